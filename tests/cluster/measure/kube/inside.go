package kube

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
	core "k8s.io/api/core/v1"
)

// DialerIn makes connections in the network of a pod of this machine: what dials is as much the pod as a
// program of it would be.
func DialerIn(pod core.Pod) (func(ctx context.Context, network, address string) (net.Conn, error), error) {
	processes, err := Processes(pod)
	if err != nil {
		return nil, err
	}
	namespace, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", processes[0].PID))
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		type dialled struct {
			conn net.Conn
			err  error
		}
		done := make(chan dialled, 1)
		go func() {
			// The thread is never unlocked, so that it ends here and nobody else finds itself in the pod.
			runtime.LockOSThread()
			if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
				done <- dialled{nil, fmt.Errorf("network of pod %s: %w", pod.Name, err)}
				return
			}
			// Addresses are numbers: the socket is made on this thread.
			conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
			done <- dialled{conn, err}
		}()
		result := <-done
		return result.conn, result.err
	}, nil
}
