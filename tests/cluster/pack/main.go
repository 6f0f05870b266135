// Command pack writes a static binary as an OCI archive that `ctr images import`, `docker load`
// and `kind load image-archive` take. The binary becomes the entry point in /usr/local/bin.
//
//	go run ./pack -out weft.tar -ref NAME:TAG [-ref …] [-user ID] [-tmp] [-label KEY=VALUE …] [-file PATH=FILE …] BINARY
package main

import (
	"flag"
	"fmt"
	"log"
	"path"
	"path/filepath"
	"strings"

	"weft.dev/cluster/oci"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("pack: ")
	im := oci.Image{Labels: map[string]string{}, Files: map[string]string{}}
	out := flag.String("out", "", "archive to write")
	flag.StringVar(&im.User, "user", "65532:65532", "numeric user the program runs as")
	flag.BoolVar(&im.HasTmp, "tmp", false, "give it a /tmp that everybody may write to")
	flag.Func("ref", "name the image is imported under, as NAME:TAG; may be given several times", func(ref string) error {
		im.Refs = append(im.Refs, ref)
		return nil
	})
	flag.Func("label", "label of the image, as KEY=VALUE; may be given several times", func(label string) error {
		key, value, found := strings.Cut(label, "=")
		if !found {
			return fmt.Errorf("want KEY=VALUE")
		}
		im.Labels[key] = value
		return nil
	})
	flag.Func("file", "file of the image beside the binary, as PATH=FILE; may be given several times", func(file string) error {
		name, source, found := strings.Cut(file, "=")
		if !found || !path.IsAbs(name) {
			return fmt.Errorf("want PATH=FILE with an absolute PATH")
		}
		im.Files[path.Clean(name)] = source
		return nil
	})
	flag.Parse()
	if flag.NArg() != 1 || *out == "" || len(im.Refs) == 0 {
		log.Fatal("want -out ARCHIVE, at least one -ref NAME:TAG, and one BINARY")
	}
	program := "/usr/local/bin/" + filepath.Base(flag.Arg(0))
	im.Entrypoint = []string{program}
	im.Files[program] = flag.Arg(0)
	if err := im.WriteFile(*out); err != nil {
		log.Fatal(err)
	}
}
