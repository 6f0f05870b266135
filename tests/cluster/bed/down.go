package main

import (
	"errors"
	"log"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// down undoes up, from whatever state up or a crash has left, and fails when something remains.
//
// Nothing is asked to stop. All that pods and daemons have made lies in a namespace, a cgroup or
// a directory that goes as a whole, so that a cluster in good health and the rest of one that was
// killed go the same way.
func down() error {
	begin := time.Now()
	err := errors.Join(
		killAll(ofBed),
		unmount(),
		removeNetwork(),
		removeCgroups(),
		restoreSysctls(),
		os.RemoveAll(stateDir),
	)
	if err == nil {
		err = checkClean()
	}
	if err == nil {
		log.Printf("cluster down after %.1f s", time.Since(begin).Seconds())
	}
	return err
}

func unmount() error {
	points, err := mounts()
	for _, point := range points {
		err = errors.Join(err, syscall.Unmount(point, syscall.MNT_DETACH))
	}
	return err
}

// removeNetwork removes the bridge, and with it the host's addresses and routes. The nodes' links,
// rules and settings have gone with their namespaces, when those were unmounted.
func removeNetwork() error {
	names, err := interfaces()
	for _, name := range names {
		// The host's end of a link goes a moment after its namespace.
		if delErr := sh("ip", "link", "del", name); delErr != nil && isInterface(name) {
			err = errors.Join(err, delErr)
		}
	}
	return err
}

// interfaces are the bed's own on the host.
func interfaces() ([]string, error) {
	paths, err := filepath.Glob("/sys/class/net/" + prefix + "*")
	for i := range paths {
		paths[i] = filepath.Base(paths[i])
	}
	return paths, err
}

func isInterface(name string) bool {
	_, err := os.Stat("/sys/class/net/" + name)
	return err == nil
}
