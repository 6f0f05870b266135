package scenario

import (
	"context"
	"fmt"
	"slices"
	"time"

	core "k8s.io/api/core/v1"

	"weft.dev/cluster/measure/figures"
	"weft.dev/cluster/measure/kube"
	"weft.dev/cluster/measure/load"
)

const (
	// joined is how long a pod that has joined while it ran still takes plaintext, and some more.
	joined = 6 * time.Second
	// filling is how long connections are opened before anything is done to them: each has its turn.
	filling = time.Second + load.Kept*time.Second/meshRate
)

// members are the pods of prepareMesh, in the mesh, of which the servers refuse strangers.
func (r *Run) members(ctx context.Context, servers int) (meshed, error) {
	m, err := r.prepareMesh(ctx, servers)
	if err != nil {
		return m, err
	}
	if _, err := r.enrol(ctx, true); err != nil {
		return m, err
	}
	time.Sleep(joined)
	if _, err := r.ask(ctx, m, m.fromStranger); !isRefused(err) {
		return m, fmt.Errorf("a stranger is not refused, so this would say nothing of a mesh: %w", err)
	}
	_, err = r.ask(ctx, m, m.fromClient)
	return m, err
}

// way is one of the ways to the servers with the clients that take it.
type way struct {
	name   string
	target load.Target
	modes  []load.Mode
}

// ways are that of connections, and that of requests, on which whatever is none is lost.
func (m meshed) ways() []way {
	routed := m.target()
	routed.Address = m.Routed
	return []way{
		{"L4", m.target(), load.MeshModes},
		{"routed", routed, load.MeshModes[:len(load.MeshModes)-1]},
	}
}

// begin puts every kind of client on every way, and waits until their connections are open.
func (m meshed) begin() ([]*load.Loop, error) { return begin(m.ways()) }

func begin(ways []way) ([]*load.Loop, error) {
	var loops []*load.Loop
	for _, way := range ways {
		for _, mode := range way.modes {
			mode.Name = way.name + ", " + mode.Name
			loop, err := load.Start(mode, way.target, meshRate)
			if err != nil {
				end(loops)
				return nil, err
			}
			loops = append(loops, loop)
		}
	}
	time.Sleep(filling)
	return loops, nil
}

// end stops all clients.
func end(loops []*load.Loop) []outcome {
	var outcomes []outcome
	for _, loop := range loops {
		outcomes = append(outcomes, outcome{loop.Mode, loop.Stop()})
	}
	return outcomes
}

// whole does something to the mesh under the load of all clients.
func (m meshed) whole(act func(loops []*load.Loop) error) ([]outcome, error) {
	loops, err := m.begin()
	if err != nil {
		return nil, err
	}
	err = act(loops)
	time.Sleep(lull)
	return end(loops), err
}

// over is how many exchanges of all clients are over.
func over(loops []*load.Loop) int {
	sum := 0
	for _, loop := range loops {
		sum += loop.Count()
	}
	return sum
}

// all puts the samples of all clients together.
func all(outcomes []outcome) []figures.Sample {
	var samples []figures.Sample
	for _, o := range outcomes {
		samples = append(samples, o.samples...)
	}
	return samples
}

// nodeProxy is the ready proxy of a pod's node.
func (r *Run) nodeProxy(ctx context.Context, pod core.Pod) (core.Pod, error) {
	pods, err := r.Pods(ctx, controlNamespace, nodeProxyPods)
	if err != nil {
		return core.Pod{}, err
	}
	at := slices.IndexFunc(pods, func(p core.Pod) bool { return p.Spec.NodeName == pod.Spec.NodeName && kube.IsReady(p) })
	if at < 0 {
		return core.Pod{}, fmt.Errorf("node %s has no ready proxy", pod.Spec.NodeName)
	}
	return pods[at], nil
}

// supervisor is the process of a node that captures its pods.
func (r *Run) supervisor(ctx context.Context, pod core.Pod) (kube.Process, error) {
	proxy, err := r.nodeProxy(ctx, pod)
	if err != nil {
		return kube.Process{}, err
	}
	processes, err := kube.Processes(proxy)
	if err != nil {
		return kube.Process{}, err
	}
	at := slices.IndexFunc(processes, func(p kube.Process) bool { return p.Role() == "node" })
	if at < 0 {
		return kube.Process{}, fmt.Errorf("pod %s has no supervisor", proxy.Name)
	}
	return processes[at], nil
}

// worker is the process that takes what is meant for a pod: of those that may, one that does, because it
// has what tunnels come in by.
func worker(pod core.Pod) (kube.Process, error) {
	listeners, err := kube.Listeners(pod)
	if err != nil {
		return kube.Process{}, err
	}
	for _, listener := range listeners {
		if listener.Port != tunnelPort {
			continue
		}
		holders, err := listener.Holders()
		if err != nil {
			return kube.Process{}, err
		}
		at := slices.IndexFunc(holders, func(h kube.Holder) bool { return h.Role() == "shard" })
		if at >= 0 {
			return holders[at].Process, nil
		}
	}
	return kube.Process{}, fmt.Errorf("nobody takes tunnels for pod %s", pod.Name)
}
