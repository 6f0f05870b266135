package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// A node is what it is on other machines: process 1, with a process table, a network and directories of
// its own. What runs on it finds its node there, as a CNI installer finds /etc/cni/net.d and somebody with
// hostPID the node's network below /proc/1.

// ownDirectories are those of a node that it shares with no other, empty when it starts. The last one
// hides where the content of all of them lies.
var ownDirectories = []string{"/opt", "/run", "/var/log", "/var/lib"}

// own is where the content of one of them lies.
func (n node) own(dir string) string { return n.dir("root", filepath.Base(dir)) }

// etc is what the node has in /etc beside what the machine has there.
func (n node) etc(parts ...string) string { return n.dir(append([]string{"root", "etc"}, parts...)...) }

// daemon is the name of the node's first process among the daemons.
func (n node) daemon() string { return "node-" + n.name }

// boot starts the node's first process, and returns when the node has its directories.
func (n node) boot() error {
	for _, dir := range ownDirectories {
		if err := os.MkdirAll(n.own(dir), 0o755); err != nil {
			return err
		}
	}
	plugins := filepath.Join(n.own("/opt"), "cni", "bin")
	entries, err := os.ReadDir(cniPlugins)
	err = errors.Join(err, os.MkdirAll(plugins, 0o755), os.MkdirAll(n.dir("root", "work"), 0o755))
	for _, entry := range entries {
		err = errors.Join(err, os.Symlink(filepath.Join(cniPlugins, entry.Name()), filepath.Join(plugins, entry.Name())))
	}
	self, selfErr := os.Executable()
	if err := errors.Join(err, selfErr); err != nil {
		return err
	}
	attr := &syscall.SysProcAttr{Setsid: true, Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
	command := []string{"nsenter", "--net=" + n.namespace(), "--", self, "node-init", n.dir()}
	if err := startWith(attr, n.daemon(), command...); err != nil {
		return err
	}
	ready := func() bool { _, err := os.Stat(n.dir("ready")); return err == nil || pidOf(n.daemon()) == 0 }
	if err := waitFor(10*time.Second, ready); err != nil || pidOf(n.daemon()) == 0 {
		return fmt.Errorf("%s has not started, see its log in %s: %w", n.name, state("log"), err)
	}
	return nil
}

// nodeInit is the first process of a node. It ends when it is killed, and with it all others.
func nodeInit(n node) error {
	if err := n.mount(); err != nil {
		return err
	}
	if err := writeFile(n.dir("ready"), ""); err != nil {
		return err
	}
	for {
		// The kernel gives every process to it that has lost its parent.
		if _, err := syscall.Wait4(-1, nil, 0, nil); errors.Is(err, syscall.ECHILD) {
			time.Sleep(time.Second)
		}
	}
}

// mount gives the node its directories, in a mount namespace of its own: nothing of it is seen outside,
// and nothing has to be unmounted.
func (n node) mount() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mounts cannot be separated: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("/proc: %w", err)
	}
	// The state of the bed lies below one of the directories, and stays where it is.
	bed, err := os.Open(stateDir)
	if err != nil {
		return err
	}
	defer bed.Close()
	layers := fmt.Sprintf("lowerdir=/etc,upperdir=%s,workdir=%s", n.etc(), n.dir("root", "work"))
	if err := syscall.Mount("overlay", "/etc", "overlay", 0, layers); err != nil {
		return fmt.Errorf("/etc: %w", err)
	}
	for _, dir := range ownDirectories {
		if err := bind(n.own(dir), dir); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(stateDir, 0o755); err != nil {
		return err
	}
	if err := bind(fmt.Sprintf("/proc/self/fd/%d", bed.Fd()), stateDir); err != nil {
		return err
	}
	// As on other machines, so that what is mounted in a pod may be seen by its node and by other pods.
	return syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_SHARED, "")
}

func bind(source, target string) error {
	if err := syscall.Mount(source, target, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("%s: %w", target, err)
	}
	return nil
}
