package main

import (
	"os"
	"path/filepath"
	"testing"
)

// tree lays out files, by path, in a new directory.
func tree(t *testing.T, files map[string]string) string {
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestKeyFollowsWhatIsBuiltAndNothingElse(t *testing.T) {
	base := func() map[string]string {
		return map[string]string{"go.mod": "module m", "main.go": "package main", "inner/go.mod": "module i", "README.md": "text"}
	}
	c := component{name: "c", module: "."}
	key := func(files map[string]string, c component, goVersion string) string {
		key, err := c.key(tree(t, files), goVersion)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	original := key(base(), c, "go1")
	for _, row := range []struct {
		name    string
		file    string
		text    string
		changes bool
	}{
		{"the same files elsewhere", "main.go", "package main", false},
		{"an edited source", "main.go", "package main // edited", true},
		{"a new source", "more.go", "package main", true},
		{"an edited checksum", "go.sum", "h1:", true},
		{"prose", "README.md", "other text", false},
		{"a module inside the module", "inner/go.mod", "module other", false},
	} {
		files := base()
		files[row.file] = row.text
		if changed := key(files, c, "go1") != original; changed != row.changes {
			t.Errorf("%s: key changed: %t, want %t", row.name, changed, row.changes)
		}
	}
	if key(base(), c, "go2") == original {
		t.Error("another toolchain gave the same key")
	}
	if key(base(), component{name: "c", module: ".", ldflags: "-X a=b"}, "go1") == original {
		t.Error("other flags gave the same key")
	}
}
