// Package oci writes images of static binaries as OCI archives, without a daemon or a registry.
//
// It uses nothing but the standard library, so that packing an image downloads no module.
package oci

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
)

// Image is one layer of files and how to start it.
type Image struct {
	// Refs are the full names it is imported under, as in registry.example/project/name:tag.
	Refs       []string
	Entrypoint []string
	// User is the numeric user, or user:group, that the entry point runs as.
	User   string
	Labels map[string]string
	// Files maps a path in the image to a file of this machine. They are readable by everybody
	// and executable where the source is.
	Files map[string]string
	// HasTmp gives it a /tmp that everybody may write to, as the usual base images have.
	HasTmp bool
}

const (
	mediaIndex    = "application/vnd.oci.image.index.v1+json"
	mediaManifest = "application/vnd.oci.image.manifest.v1+json"
	mediaConfig   = "application/vnd.oci.image.config.v1+json"
	mediaLayer    = "application/vnd.oci.image.layer.v1.tar"
)

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int               `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type blob struct {
	descriptor
	data []byte
}

func newBlob(mediaType string, data []byte) blob {
	sum := sha256.Sum256(data)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	return blob{descriptor{MediaType: mediaType, Digest: digest, Size: len(data)}, data}
}

// path is where the image layout keeps the blob.
func (b blob) path() string {
	return "blobs/sha256/" + strings.TrimPrefix(b.Digest, "sha256:")
}

// WriteFile writes the image to a new archive at out. Equal images give equal bytes: entries are
// sorted and carry no time and no owner.
func (im Image) WriteFile(out string) error {
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	if err := im.Write(f); err != nil {
		f.Close()
		return fmt.Errorf("image %s: %w", strings.Join(im.Refs, ", "), err)
	}
	return f.Close()
}

// Write writes the archive: an OCI image layout, whose names lie in the annotations that
// containerd reads, and beside it the manifest.json that Docker has read since before OCI. Both
// point at the same blobs.
func (im Image) Write(w io.Writer) error {
	layerBytes, err := im.layer()
	if err != nil {
		return err
	}
	layer := newBlob(mediaLayer, layerBytes)
	config, err := jsonBlob(mediaConfig, map[string]any{
		"architecture": "amd64",
		"os":           "linux",
		"config": map[string]any{
			"Entrypoint": im.Entrypoint,
			"Env":        []string{"PATH=/usr/local/bin:/usr/bin:/bin"},
			"Labels":     im.Labels,
			"User":       im.User,
			"WorkingDir": "/",
		},
		// Not compressed: the digest of the layer is that of its content.
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{layer.Digest}},
	})
	if err != nil {
		return err
	}
	manifest, err := jsonBlob(mediaManifest, map[string]any{
		"schemaVersion": 2,
		"mediaType":     mediaManifest,
		"config":        config.descriptor,
		"layers":        []descriptor{layer.descriptor},
	})
	if err != nil {
		return err
	}
	index, err := im.index(manifest)
	if err != nil {
		return err
	}
	docker, err := json.Marshal([]map[string]any{{
		"Config": config.path(), "RepoTags": im.Refs, "Layers": []string{layer.path()},
	}})
	if err != nil {
		return err
	}
	entries := map[string][]byte{
		"oci-layout":    []byte(`{"imageLayoutVersion":"1.0.0"}`),
		"index.json":    index,
		"manifest.json": docker,
	}
	for _, b := range []blob{layer, config, manifest} {
		entries[b.path()] = b.data
	}
	return writeTar(w, entries)
}

// index names the one manifest once per reference.
func (im Image) index(manifest blob) ([]byte, error) {
	var manifests []descriptor
	for _, ref := range im.Refs {
		_, tag, found := strings.Cut(path.Base(ref), ":")
		if !found {
			return nil, fmt.Errorf("reference %q has no tag; write NAME:TAG", ref)
		}
		d := manifest.descriptor
		d.Annotations = map[string]string{
			"io.containerd.image.name":          ref,
			"org.opencontainers.image.ref.name": tag,
		}
		manifests = append(manifests, d)
	}
	return json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": mediaIndex, "manifests": manifests})
}

// layer is the tar of the image's files, with the directories above them.
func (im Image) layer() ([]byte, error) {
	var buffer bytes.Buffer
	tw := tar.NewWriter(&buffer)
	made := map[string]bool{"/": true}
	if im.HasTmp {
		header := &tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777}
		if err := tw.WriteHeader(header); err != nil {
			return nil, err
		}
	}
	for _, name := range sorted(im.Files) {
		for _, dir := range parents(name) {
			if made[dir] {
				continue
			}
			made[dir] = true
			header := &tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(dir, "/") + "/", Mode: 0o755}
			if err := tw.WriteHeader(header); err != nil {
				return nil, err
			}
		}
		if err := addFile(tw, name, im.Files[name]); err != nil {
			return nil, err
		}
	}
	if err := tw.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

// parents are the directories above an absolute path, outermost first.
func parents(name string) []string {
	var dirs []string
	for dir := path.Dir(name); dir != "/" && dir != "."; dir = path.Dir(dir) {
		dirs = append(dirs, dir)
	}
	slices.Reverse(dirs)
	return dirs
}

func addFile(tw *tar.Writer, name, source string) error {
	info, err := os.Stat(source) // follows links: an image holds plain files
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", source)
	}
	mode := int64(0o444) | int64(info.Mode().Perm()&0o111)
	header := &tar.Header{Name: strings.TrimPrefix(name, "/"), Mode: mode, Size: info.Size()}
	if err := tw.WriteHeader(header); err != nil {
		return err
	}
	f, err := os.Open(source)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(tw, f)
	return err
}

func jsonBlob(mediaType string, value any) (blob, error) {
	data, err := json.Marshal(value)
	return newBlob(mediaType, data), err
}

func writeTar(w io.Writer, entries map[string][]byte) error {
	tw := tar.NewWriter(w)
	for _, name := range sorted(entries) {
		header := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(entries[name]))}
		if err := tw.WriteHeader(header); err != nil {
			return err
		}
		if _, err := tw.Write(entries[name]); err != nil {
			return err
		}
	}
	return tw.Close()
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
