package kube

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	core "k8s.io/api/core/v1"
)

// ticks of the clock of /proc/PID/stat per second, on every architecture Linux has this century.
const ticks = 100

// Process is one of a pod, seen from the machine that all nodes of the bed share.
type Process struct {
	PID  int
	Args []string
}

// ErrElsewhere says that the processes of a pod are not on this machine.
var ErrElsewhere = errors.New("its processes are not on this machine; run on the bed")

// Processes are those of a pod, without that of its sandbox.
func Processes(pod core.Pod) ([]Process, error) {
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	var all []Process
	for _, entry := range entries {
		cgroups, _ := os.ReadFile(filepath.Join(entry, "cgroup")) // it may have ended
		if !strings.Contains(string(cgroups), "/pod"+string(pod.UID)+"/") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(entry))
		if err != nil {
			continue
		}
		args, err := arguments(pid)
		if err != nil || filepath.Base(args[0]) == "pause" {
			continue
		}
		all = append(all, Process{pid, args})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("pod %s: %w", pod.Name, ErrElsewhere)
	}
	return all, nil
}

// arguments of a process, with its name in front; one that has ended has none.
func arguments(pid int) ([]string, error) {
	command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	args := strings.Split(strings.TrimRight(string(command), "\x00"), "\x00")
	if err == nil && args[0] == "" {
		err = fmt.Errorf("process %d has ended", pid)
	}
	return args, err
}

// Role is the first argument of a process, which says what one of Weft does.
func (p Process) Role() string {
	if len(p.Args) < 2 {
		return ""
	}
	return p.Args[1]
}

// Kill ends a process by SIGKILL, and says when it was gone.
func (p Process) Kill() (time.Time, error) {
	if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
		return time.Time{}, err
	}
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Microsecond) {
		// A process without memory of its own has closed its connections.
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return time.Now(), nil
		}
	}
	return time.Time{}, errors.New("a process survives SIGKILL")
}

// Usage is what a pod has used.
type Usage struct {
	// CPU is user and system time of its processes since they began.
	CPU time.Duration
	// MemoryMiB is the anonymous and shared memory of all its processes and the pages of files that
	// the largest has mapped: they run one program, whose pages they share.
	MemoryMiB float64
}

// UsageOf adds up the processes of a pod.
func UsageOf(pod core.Pod) (Usage, error) {
	processes, err := Processes(pod)
	if err != nil {
		return Usage{}, err
	}
	var usage Usage
	files := 0.0
	for _, process := range processes {
		cpu, err := cpuOf(process.PID)
		if err != nil {
			return usage, err
		}
		own, mapped, err := memoryOf(process.PID)
		if err != nil {
			return usage, err
		}
		usage.CPU += cpu
		usage.MemoryMiB += own
		files = max(files, mapped)
	}
	usage.MemoryMiB += files
	return usage, nil
}

func cpuOf(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseCPU(string(stat))
}

// parseCPU reads utime and stime (fields 14 and 15 of proc_pid_stat(5)).
func parseCPU(stat string) (time.Duration, error) {
	// The name of the process may hold spaces and brackets; it ends at the last one.
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/PID/stat has %d fields", len(fields))
	}
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		return 0, err
	}
	system, err := strconv.Atoi(fields[12])
	return time.Duration(user+system) * time.Second / ticks, err
}

// MemoryMiB is the anonymous and shared memory of a process.
func (p Process) MemoryMiB() (float64, error) {
	own, _, err := memoryOf(p.PID)
	return own, err
}

func memoryOf(pid int) (own, mapped float64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	own, mapped = parseMemory(string(status))
	return own, mapped, nil
}

// parseMemory reads resident memory by kind, in MiB.
func parseMemory(status string) (own, mapped float64) {
	for line := range strings.Lines(status) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kib, _ := strconv.ParseFloat(fields[1], 64) // other lines hold other things
		switch fields[0] {
		case "RssAnon:", "RssShmem:":
			own += kib / 1024
		case "RssFile:":
			mapped += kib / 1024
		}
	}
	return own, mapped
}
