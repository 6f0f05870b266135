package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sysctl is a setting of the whole machine that the bed or Kubernetes changes.
type sysctl struct {
	key string
	// value is what the bed sets; empty where only Kubernetes does.
	value string
}

// Settings of a network namespace are not here: they end with it.
var sysctls = []sysctl{
	{"fs/inotify/max_user_instances", "8192"}, // containerd, kubelet and every watcher take some
	// kubelet sets these when they differ from what it wants.
	{"kernel/keys/root_maxbytes", ""},
	{"kernel/keys/root_maxkeys", ""},
	{"kernel/panic", ""},
	{"kernel/panic_on_oops", ""},
	{"vm/overcommit_memory", ""},
	{"vm/panic_on_oom", ""},
}

func (s sysctl) path() string  { return "/proc/sys/" + s.key }
func (s sysctl) saved() string { return state("sysctl", strings.ReplaceAll(s.key, "/", ".")) }

// setSysctls saves every setting before it changes any.
func setSysctls() error {
	for _, s := range sysctls {
		old, err := os.ReadFile(s.path())
		if err != nil {
			return err
		}
		if err := writeFile(s.saved(), string(old)); err != nil {
			return err
		}
	}
	for _, s := range sysctls {
		if s.value == "" {
			continue
		}
		if err := os.WriteFile(s.path(), []byte(s.value), 0); err != nil {
			return err
		}
	}
	return nil
}

func restoreSysctls() error {
	var failed error
	for _, s := range sysctls {
		old, err := os.ReadFile(s.saved())
		if errors.Is(err, os.ErrNotExist) {
			continue // up did not come this far
		}
		if err == nil {
			err = os.WriteFile(s.path(), old, 0)
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// cgroupRoots are the hierarchies of this machine: the one of cgroup v2, or one per controller
// where the kernel was booted with cgroup v1.
func cgroupRoots() ([]string, error) {
	const root = "/sys/fs/cgroup"
	if _, err := os.Stat(filepath.Join(root, "cgroup.controllers")); err == nil {
		return []string{root}, nil
	}
	files, err := filepath.Glob(root + "/*/cgroup.procs")
	var roots []string
	for _, file := range files {
		// In a hybrid set-up this is a cgroup v2 without controllers, of no use to kubelet.
		if dir := filepath.Dir(file); filepath.Base(dir) != "unified" {
			roots = append(roots, dir)
		}
	}
	if err == nil && len(roots) == 0 {
		err = fmt.Errorf("no cgroup hierarchy is mounted below %s", root)
	}
	return roots, err
}

// makeCgroup makes the group below which a node's containers live.
func (n node) makeCgroup() error {
	roots, err := cgroupRoots()
	if err != nil {
		return err
	}
	for _, root := range roots {
		// cgroup v2 hands controllers down one by one; kubelet refuses a group that lacks some.
		available, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
		if err == nil {
			if err := delegate(root, string(available)); err != nil {
				return err
			}
		}
		if err := os.MkdirAll(filepath.Join(root, n.name), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// delegate hands the controllers kubelet asks for to the groups below root. On a machine under
// systemd most already are; the others stay handed down, which changes nothing for who ignores them.
func delegate(root, available string) error {
	for _, controller := range strings.Fields(available) {
		if !slices.Contains([]string{"cpu", "cpuset", "io", "memory", "pids", "hugetlb"}, controller) {
			continue
		}
		file := filepath.Join(root, "cgroup.subtree_control")
		if err := os.WriteFile(file, []byte("+"+controller), 0); err != nil {
			return fmt.Errorf("cgroup controller %s: %w", controller, err)
		}
	}
	return nil
}

// cgroups are the groups of every node the bed has or had. runc makes them in the hierarchies that
// kubelet has no use for, too.
func cgroups() ([]string, error) {
	unified, err := filepath.Glob("/sys/fs/cgroup/" + prefix + "-*")
	perController, perErr := filepath.Glob("/sys/fs/cgroup/*/" + prefix + "-*")
	return append(unified, perController...), errors.Join(err, perErr)
}

// removeCgroups removes the groups from the leaves up; their processes are over.
func removeCgroups() error {
	groups, err := cgroups()
	for _, group := range groups {
		err = errors.Join(err, sh("find", group, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"))
	}
	return err
}

// mounts are the mount points below the state directory, newest first.
func mounts() ([]string, error) {
	table, err := os.ReadFile("/proc/self/mounts")
	var points []string
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) > 1 && strings.HasPrefix(fields[1], stateDir+"/") {
			points = append(points, fields[1])
		}
	}
	slices.Reverse(points)
	return points, err
}
