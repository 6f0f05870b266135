package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// sh runs a command to its end and gives its output in the error.
func sh(args ...string) error {
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// startTime tells two processes of one pid apart; it is empty for a process that is over.
func startTime(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The name of the process may hold spaces and brackets; it ends at the last one.
	fields := strings.Fields(string(stat)[strings.LastIndex(string(stat), ")")+1:])
	if len(fields) < 20 || fields[0] == "Z" {
		return ""
	}
	return fields[19]
}

// keepDescriptors keeps what somebody has left open to us, such as a lock, from the daemons, which
// would hold it for as long as the cluster is up.
func keepDescriptors() {
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

// start runs a daemon in a session of its own, with its output in log/NAME.log and its identity
// in run/NAME.pid.
func start(name string, args ...string) error {
	return startWith(&syscall.SysProcAttr{Setsid: true}, name, args...)
}

// startWith is start with what else is to be special about the process.
func startWith(attr *syscall.SysProcAttr, name string, args ...string) error {
	output, err := os.OpenFile(state("log", name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer output.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = output, output, stateDir
	cmd.SysProcAttr = attr
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	pid := cmd.Process.Pid
	identity := fmt.Sprintf("%d %s\n", pid, startTime(pid))
	return errors.Join(cmd.Process.Release(), writeFile(state("run", name+".pid"), identity))
}

// pidOf is the pid of a daemon that start has started and that still runs, or 0.
func pidOf(name string) int {
	identity, err := os.ReadFile(state("run", name+".pid"))
	if err != nil {
		return 0
	}
	text, since, _ := strings.Cut(strings.TrimSpace(string(identity)), " ")
	pid, err := strconv.Atoi(text)
	if err != nil || since == "" || startTime(pid) != since {
		return 0
	}
	return pid
}

// daemons are the names of everything start has started since the last down.
func daemons() []string {
	files, _ := filepath.Glob(state("run", "*.pid"))
	for i := range files {
		files[i] = strings.TrimSuffix(filepath.Base(files[i]), ".pid")
	}
	return files
}

func waitFor(limit time.Duration, done func() bool) error {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if done() {
			return nil
		}
	}
	return fmt.Errorf("not within %s", limit)
}

// processes are the pids, except our own, for which owned says yes about their arguments and the
// paths of their cgroups.
func processes(owned func(args []string, cgroups string) bool) []int {
	entries, _ := filepath.Glob("/proc/[0-9]*")
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(filepath.Base(entry))
		if err != nil || pid == os.Getpid() || startTime(pid) == "" {
			continue
		}
		cmdline, _ := os.ReadFile(filepath.Join(entry, "cmdline"))
		cgroups, _ := os.ReadFile(filepath.Join(entry, "cgroup"))
		if owned(strings.Split(string(cmdline), "\x00"), string(cgroups)) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// ofBed says whether a process belongs to the bed: a container of one of its nodes, or one of its
// programs that was told a path below the state directory, as every daemon and every shim is. A
// pager or a kubectl of somebody who looks at the bed is not.
func ofBed(args []string, cgroups string) bool {
	if strings.Contains(cgroups, ":/"+prefix+"-") {
		return true
	}
	programs := []string{"bed", "containerd", "containerd-shim-runc-v2", "kube"}
	isOurs := slices.Contains(programs, filepath.Base(args[0])) && !slices.Contains(args, "kubectl")
	return isOurs && slices.ContainsFunc(args, func(arg string) bool {
		_, value, _ := strings.Cut(arg, "=")
		return strings.HasPrefix(arg, stateDir+"/") || strings.HasPrefix(value, stateDir+"/")
	})
}

// killAll ends processes with SIGKILL until none that is owned is left.
func killAll(owned func(args []string, cgroups string) bool) error {
	return waitFor(10*time.Second, func() bool {
		pids := processes(owned)
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL)
		}
		return len(pids) == 0
	})
}

// residentMiB is the resident memory of a process, or of the one it has entered a node for.
func residentMiB(pid int) int {
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if child, err := strconv.Atoi(strings.TrimSpace(string(children))); err == nil && string(comm) == "nsenter\n" {
		pid = child
	}
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		if rest, found := strings.CutPrefix(line, "VmRSS:"); found {
			kib, _ := strconv.Atoi(strings.Fields(rest)[0])
			return kib >> 10
		}
	}
	return 0
}

func writeFile(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o600)
}
