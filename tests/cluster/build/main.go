// Command build compiles the programs and images of the bed and of the conformance suite, each
// once per content of its module, into a cache directory that outlives the checkout.
//
//	go run ./build -cache DIR NAME…
//
// It prints a line `NAME binary|image PATH`, separated by tabs, for everything that was asked for;
// what it is doing goes to standard error. It uses nothing but the standard library, so that it
// starts in a second on a machine that has built nothing yet.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"weft.dev/cluster/oci"
)

const (
	// heartbeat is how often a long build says that it is alive.
	heartbeat = 20 * time.Second
	// unusedFor is how long a build stays that nobody asked for.
	unusedFor = 30 * 24 * time.Hour
	imageFile = "image.tar"
)

// builder knows where sources and results are.
type builder struct {
	tree, cache, goVersion string
}

func main() {
	log.SetFlags(0)
	cache := flag.String("cache", "", "directory that keeps what is built")
	flag.Parse()
	if *cache == "" || flag.NArg() == 0 {
		log.Fatal("build: want -cache DIR and the names of components")
	}
	if err := run(*cache, flag.Args()); err != nil {
		log.Fatal("build: ", err)
	}
}

func run(cache string, names []string) error {
	tree, err := os.Getwd()
	if err != nil {
		return err
	}
	b := builder{tree: tree, cache: cache}
	if b.goVersion, err = output(tree, "go", "env", "GOVERSION", "GOOS", "GOARCH"); err != nil {
		return err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	for _, name := range names {
		at := slices.IndexFunc(components, func(c component) bool { return c.name == name })
		if at < 0 {
			return fmt.Errorf("no component %q; they are listed in build/components.go", name)
		}
		c := components[at]
		dir, err := b.ensure(c)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, program := range c.programs() {
			fmt.Printf("%s\tbinary\t%s\n", name, filepath.Join(dir, program))
		}
		if len(c.refs) > 0 {
			fmt.Printf("%s\timage\t%s\n", name, filepath.Join(dir, imageFile))
		}
	}
	return nil
}

// ensure returns the directory with what c is built into, after building it if need be.
func (b builder) ensure(c component) (string, error) {
	key, err := c.key(b.tree, b.goVersion)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(b.cache, c.name+"-"+key)
	now := time.Now()
	if os.Chtimes(dir, now, now) == nil {
		return dir, nil
	}
	// Built aside and moved whole: neither a broken build nor a second builder can be seen.
	aside, err := os.MkdirTemp(b.cache, ".building-"+c.name+"-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(aside)
	stop := announce(c)
	err = b.build(c, aside)
	stop(err == nil)
	if err != nil {
		return "", err
	}
	if err := os.Chmod(aside, 0o755); err != nil {
		return "", err
	}
	if err := os.Rename(aside, dir); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return dir, b.prune(c)
}

func (b builder) build(c component, dir string) error {
	module := filepath.Join(b.tree, c.module)
	for at, program := range c.programs() {
		args := []string{"build"}
		if c.isTest {
			args = []string{"test", "-c"}
		}
		args = append(args, "-trimpath", "-ldflags=-s -w "+c.ldflags, "-o", filepath.Join(dir, program), c.pkgs[at])
		if _, err := output(module, "go", args...); err != nil {
			return err
		}
	}
	if len(c.refs) == 0 {
		return nil
	}
	im := oci.Image{Refs: c.refs, User: c.user, HasTmp: true, Files: map[string]string{}}
	im.Entrypoint = []string{"/usr/local/bin/" + c.programs()[0]}
	for _, program := range c.programs() {
		im.Files["/usr/local/bin/"+program] = filepath.Join(dir, program)
	}
	for _, file := range c.extra {
		source, err := output(module, "go", "list", "-m", "-f", "{{.Dir}}", file.module)
		if err != nil {
			return err
		}
		im.Files[file.dst] = filepath.Join(source, file.path)
	}
	return im.WriteFile(filepath.Join(dir, imageFile))
}

// programs are the names of what c's packages are built into.
func (c component) programs() []string {
	if len(c.pkgs) == 1 {
		return []string{c.name}
	}
	var names []string
	for _, pkg := range c.pkgs {
		names = append(names, path.Base(pkg))
	}
	return names
}

// prune removes builds of c, finished or not, that nobody has asked for in a long time.
func (b builder) prune(c component) error {
	for _, pattern := range []string{c.name + "-????????????????", ".building-" + c.name + "-*"} {
		dirs, err := filepath.Glob(filepath.Join(b.cache, pattern))
		if err != nil {
			return err
		}
		for _, dir := range dirs {
			info, err := os.Stat(dir)
			if err == nil && time.Since(info.ModTime()) > unusedFor {
				err = os.RemoveAll(dir)
			}
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// output runs a command to its end without cgo, so that what Go builds is static.
func output(dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// announce says that c is being built, again and again until the returned function is called.
func announce(c component) (stop func(succeeded bool)) {
	begin := time.Now()
	hint := ""
	if c.cold != "" {
		hint = "; the first time takes about " + c.cold + " on two cores"
	}
	log.Printf("    building %s%s", c.name, hint)
	done := make(chan struct{})
	go func() {
		ticker := time.NewTicker(heartbeat)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				log.Printf("    building %s: %s", c.name, time.Since(begin).Round(time.Second))
			}
		}
	}()
	return func(succeeded bool) {
		close(done)
		if succeeded {
			log.Printf("    built %s in %.1f s", c.name, time.Since(begin).Seconds())
		}
	}
}
