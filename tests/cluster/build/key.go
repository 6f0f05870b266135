package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// key names what a component is built from: the Go toolchain, its entry in the table, and every
// file of its module. go.sum is among them and pins all the other sources.
func (c component) key(tree, goVersion string) (string, error) {
	hash := sha256.New()
	fmt.Fprintf(hash, "%s\n%#v\n", goVersion, c)
	files, err := moduleFiles(filepath.Join(tree, c.module))
	if err != nil {
		return "", err
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		relative, err := filepath.Rel(tree, file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%s %d\n", relative, len(data))
		hash.Write(data)
	}
	return hex.EncodeToString(hash.Sum(nil))[:16], nil
}

// moduleFiles are the files below a module's directory that can change its programs, without
// those of the modules inside it.
func moduleFiles(module string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(module, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			_, err := os.Stat(filepath.Join(path, "go.mod"))
			if path != module && err == nil {
				return filepath.SkipDir
			}
			return nil
		}
		sources := []string{".go", ".mod", ".sum", ".yaml"}
		if slices.Contains(sources, filepath.Ext(path)) && !strings.Contains(path, "/reports/") {
			files = append(files, path)
		}
		return nil
	})
	return files, err
}
