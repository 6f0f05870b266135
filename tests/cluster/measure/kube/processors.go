package kube

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// cgroups is where a node of the bed has a group of its name, with all its pods below; that of cpuset(7)
	// where each controller has a hierarchy of its own.
	cgroups, cpusets = "/sys/fs/cgroup", "/sys/fs/cgroup/cpuset"
	cpus             = "cpuset.cpus"
	// settling is how long pods have to come and go, as no group may be moved under one that is just made.
	settling = 10 * time.Second
)

// Apart gives the pods of each node processors of their own, as they have on machines of their own, and says
// which. What is returned ends that, and can be called in any case.
func Apart(ctx context.Context, nodes ...string) (shares []string, together func() error, err error) {
	nothing := func() error { return nil }
	var mine unix.CPUSet
	if err := unix.SchedGetaffinity(0, &mine); err != nil {
		return nil, nothing, err
	}
	shares, err = deal(mine, len(nodes))
	if err != nil {
		return nil, nothing, err
	}
	before := map[string]string{}
	together = func() error {
		var failed error
		for group, had := range before {
			failed = errors.Join(failed, Eventually(context.WithoutCancel(ctx), settling, func() error { return widen(group, had) }))
		}
		return failed
	}
	for i, node := range nodes {
		group, err := groupOf(node)
		if err != nil {
			return nil, nothing, errors.Join(err, together())
		}
		had, err := os.ReadFile(filepath.Join(group, cpus))
		if err != nil {
			return nil, nothing, errors.Join(err, together())
		}
		before[group] = string(had)
		if err := Eventually(ctx, settling, func() error { return narrow(group, shares[i]) }); err != nil {
			return nil, nothing, errors.Join(err, together())
		}
	}
	return shares, together, nil
}

// deal divides processors into so many lists.
func deal(all unix.CPUSet, parts int) ([]string, error) {
	var numbers []string
	for cpu := 0; len(numbers) < all.Count(); cpu++ {
		if all.IsSet(cpu) {
			numbers = append(numbers, strconv.Itoa(cpu))
		}
	}
	if len(numbers) < parts {
		return nil, fmt.Errorf("%d processors for %d nodes", len(numbers), parts)
	}
	var lists []string
	for part := range slices.Chunk(numbers[:len(numbers)/parts*parts], len(numbers)/parts) {
		lists = append(lists, strings.Join(part, ","))
	}
	return lists, nil
}

// groupOf is the group of a node that decides about processors.
func groupOf(node string) (string, error) {
	for _, root := range []string{cpusets, cgroups} {
		group := filepath.Join(root, node)
		if _, err := os.Stat(filepath.Join(group, cpus)); err == nil {
			return group, nil
		}
	}
	return "", fmt.Errorf("node %s: %w", node, ErrElsewhere)
}

// narrow takes processors from a group, from below: none may have less than those in it.
func narrow(group, list string) error {
	groups, err := below(group)
	slices.Reverse(groups)
	return errors.Join(err, set(groups, list))
}

// widen gives them back, from above: none may have more than the one it is in.
func widen(group, list string) error {
	groups, err := below(group)
	return errors.Join(err, set(groups, list))
}

// below are a group and all in it, outer ones first. In cgroup v2 what is not said of those in it follows.
func below(group string) ([]string, error) {
	if filepath.Dir(group) == cgroups {
		return []string{group}, nil
	}
	var all []string
	err := filepath.WalkDir(group, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // a container that has ended
			return nil
		case err != nil:
			return err
		case entry.IsDir():
			all = append(all, path)
		}
		return nil
	})
	return all, err
}

func set(groups []string, list string) error {
	for _, group := range groups {
		err := os.WriteFile(filepath.Join(group, cpus), []byte(list), 0)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
