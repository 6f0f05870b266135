package oci

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func sample(t *testing.T) Image {
	binary := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(binary, []byte("a program"), 0o755); err != nil {
		t.Fatal(err)
	}
	return Image{
		Refs:       []string{"example.test/weft:1", "example.test/weft:2"},
		Entrypoint: []string{"/usr/local/bin/program"},
		User:       "65532:65532",
		Labels:     map[string]string{"b": "2", "a": "1"},
		Files:      map[string]string{"/usr/local/bin/program": binary, "/etc/motd": binary},
	}
}

func write(t *testing.T, im Image) []byte {
	var out bytes.Buffer
	if err := im.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func entries(t *testing.T, archive []byte) (names []string, contents map[string][]byte) {
	contents = map[string][]byte{}
	tr := tar.NewReader(bytes.NewReader(archive))
	for {
		header, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return names, contents
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name)
		contents[header.Name] = data
	}
}

func TestEqualImagesGiveEqualBytes(t *testing.T) {
	im := sample(t)
	first := write(t, im)
	later := im.Files["/etc/motd"]
	if err := os.Chtimes(later, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, write(t, im)) {
		t.Error("the time of a source file reached the archive")
	}
}

func TestEveryBlobIsNamedByItsDigest(t *testing.T) {
	_, contents := entries(t, write(t, sample(t)))
	blobs := 0
	for name, data := range contents {
		digest, isBlob := strings.CutPrefix(name, "blobs/sha256/")
		if !isBlob {
			continue
		}
		blobs++
		sum := sha256.Sum256(data)
		if hex.EncodeToString(sum[:]) != digest {
			t.Errorf("%s holds something else", name)
		}
	}
	if blobs != 3 {
		t.Errorf("%d blobs; want layer, config and manifest", blobs)
	}
}

func TestBothFormsNameEveryReference(t *testing.T) {
	im := sample(t)
	_, contents := entries(t, write(t, im))
	var index struct {
		Manifests []descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(contents["index.json"], &index); err != nil {
		t.Fatal(err)
	}
	var docker []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(contents["manifest.json"], &docker); err != nil {
		t.Fatal(err)
	}
	for i, ref := range im.Refs {
		if got := index.Manifests[i].Annotations["io.containerd.image.name"]; got != ref {
			t.Errorf("containerd would import %q, want %q", got, ref)
		}
		if docker[0].RepoTags[i] != ref {
			t.Errorf("docker would load %q, want %q", docker[0].RepoTags[i], ref)
		}
	}
	for _, blob := range append(docker[0].Layers, docker[0].Config) {
		if contents[blob] == nil {
			t.Errorf("manifest.json points at %s, which is not there", blob)
		}
	}
}

func TestTheLayerHoldsReadableFilesBelowTheirDirectories(t *testing.T) {
	layer, err := sample(t).layer()
	if err != nil {
		t.Fatal(err)
	}
	names, _ := entries(t, layer)
	want := "etc/ etc/motd usr/ usr/local/ usr/local/bin/ usr/local/bin/program"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("entries %q, want %q", got, want)
	}
}

func TestAReferenceNeedsATag(t *testing.T) {
	im := sample(t)
	im.Refs = []string{"example.test:5000/weft"}
	if err := im.Write(io.Discard); err == nil {
		t.Error("a reference without a tag was taken; the port of its registry is none")
	}
}
