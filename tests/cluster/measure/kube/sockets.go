package kube

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	core "k8s.io/api/core/v1"
)

// Listener is a TCP socket that listens in the network of a pod, whoever has it.
type Listener struct {
	Port  uint16
	inode string
}

// Listeners are those of a pod, of both versions of IP.
func Listeners(pod core.Pod) ([]Listener, error) {
	processes, err := Processes(pod)
	if err != nil {
		return nil, err
	}
	var all []Listener
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", processes[0].PID, table))
		if err != nil {
			return nil, err
		}
		all = append(all, parseListeners(string(text))...)
	}
	return all, nil
}

// parseListeners reads a table of sockets (proc_pid_net(5)).
func parseListeners(table string) []Listener {
	const local, state, inode, listening = 1, 3, 9, "0A"
	var all []Listener
	for row := range strings.Lines(table) {
		fields := strings.Fields(row)
		if len(fields) <= inode || fields[state] != listening {
			continue
		}
		_, digits, _ := strings.Cut(fields[local], ":")
		port, err := strconv.ParseUint(digits, 16, 16)
		if err == nil {
			all = append(all, Listener{uint16(port), fields[inode]})
		}
	}
	return all
}

// Holder is a process that has a socket, and its number for it.
type Holder struct {
	Process
	descriptor int
}

// Holders are the processes of this machine that have the socket.
func (l Listener) Holders() ([]Holder, error) {
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return nil, err
	}
	want := "socket:[" + l.inode + "]"
	var all []Holder
	for _, link := range links {
		if target, _ := os.Readlink(link); target != want { // it may have been closed
			continue
		}
		parts := strings.Split(link, "/")
		pid, _ := strconv.Atoi(parts[2]) // digits, by the pattern
		descriptor, _ := strconv.Atoi(parts[4])
		args, err := arguments(pid)
		if err == nil && !slices.ContainsFunc(all, func(h Holder) bool { return h.PID == pid }) {
			all = append(all, Holder{Process{pid, args}, descriptor})
		}
	}
	return all, nil
}

// Shut ends listening for all who have the socket: it stays theirs and is of no use.
func (h Holder) Shut() error {
	process, err := unix.PidfdOpen(h.PID, 0)
	if err != nil {
		return err
	}
	defer unix.Close(process)
	socket, err := unix.PidfdGetfd(process, h.descriptor, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	return unix.Shutdown(socket, unix.SHUT_RD)
}
