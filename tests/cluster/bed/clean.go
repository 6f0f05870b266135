package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// checkClean fails when the machine holds anything of a bed, and lists it.
func checkClean() error {
	var left []string
	for _, pid := range processes(ofBed) {
		cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		text := strings.TrimSpace(string(bytes.ReplaceAll(cmdline, []byte{0}, []byte{' '})))
		left = append(left, fmt.Sprintf("process %d: %s", pid, text))
	}
	add := func(kind string, names []string, err error) error {
		for _, name := range names {
			left = append(left, kind+" "+name)
		}
		return err
	}
	points, mountsErr := mounts()
	links, linksErr := interfaces()
	groups, groupsErr := cgroups()
	var files []string
	routes, routesErr := routes()
	if _, err := os.Lstat(stateDir); err == nil {
		files = append(files, stateDir)
	}
	err := errors.Join(
		add("mount", points, mountsErr),
		add("interface", links, linksErr),
		add("cgroup", groups, groupsErr),
		add("file", files, nil),
		add("route", routes, routesErr),
	)
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("the bed has left on this machine:\n  %s", strings.Join(left, "\n  "))
	}
	return err
}

// routes are the host's routes to networks of the bed.
func routes() ([]string, error) {
	var found []string
	for _, f := range families {
		out, err := exec.Command("ip", f.ip("route", "show", "table", "all")[1:]...).Output()
		if err != nil {
			return nil, fmt.Errorf("ip route: %w", err)
		}
		networks := []string{f.nodes.String(), f.services.String(), f.loadBalancers.String(), f.podsOf(1).String(), f.podsOf(2).String()}
		for line := range strings.Lines(string(out)) {
			isOurs := slices.ContainsFunc(strings.Fields(line), func(word string) bool { return slices.Contains(networks, word) })
			if isOurs || strings.Contains(line, "dev "+bridge) {
				found = append(found, strings.TrimSpace(line))
			}
		}
	}
	return found, nil
}
