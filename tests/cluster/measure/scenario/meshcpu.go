package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	core "k8s.io/api/core/v1"

	"weft.dev/cluster/measure/figures"
	"weft.dev/cluster/measure/kube"
	"weft.dev/cluster/measure/load"
)

const (
	// costRate is how many exchanges begin in a second, costTime how long that goes on.
	costRate = 500
	costTime = 20 * time.Second
	// What Istio's ambient mesh without waypoints used on a bed of this kind, of both nodes together: for a
	// request on a connection that is kept, and for a connection with one request.
	peerRequest    = 258 * time.Microsecond
	peerConnection = 893 * time.Microsecond
)

// toll is a kind of client on one of the ways, and what it may cost.
type toll struct {
	what    string
	address string
	mode    load.Mode
	most    time.Duration
}

// paid is what a kind of client has cost.
type paid struct {
	// exchange is the processor time of the proxies for each exchange, beyond what they use without any.
	exchange time.Duration
	median   time.Duration
	outcome  outcome
}

// meshCPU reads what the proxies of both nodes use for what passes between them, and how much memory.
func meshCPU(ctx context.Context, r *Run) error {
	m, err := r.prepareMesh(ctx, 1)
	if err != nil {
		return err
	}
	proxies, err := r.Pods(ctx, controlNamespace, nodeProxyPods)
	if err != nil {
		return err
	}
	kept, anew := load.Modes[0], load.Modes[1]
	without := map[string]time.Duration{}
	for _, mode := range []load.Mode{kept, anew} {
		paid, err := r.pay(m, toll{address: m.Address, mode: mode}, proxies, 0)
		if err != nil {
			return err
		}
		without[mode.Name] = paid.median
		r.Tell("without the mesh: median of "+mode.Name, show(paid.median))
	}
	if _, err := r.enrol(ctx, true); err != nil {
		return err
	}
	time.Sleep(joined)
	idle, err := r.idleCost(proxies)
	if err != nil {
		return err
	}
	for _, t := range []toll{
		{"bytes", m.Address, kept, peerRequest * 6 / 10},
		{"bytes", m.Address, anew, peerConnection * 6 / 10},
		{"routed", m.Routed, kept, peerRequest * 8 / 10},
		{"routed", m.Routed, anew, peerConnection * 8 / 10},
	} {
		paid, err := r.pay(m, t, proxies, idle)
		if err != nil {
			return err
		}
		what := fmt.Sprintf("%s, %s", t.what, t.mode.Name)
		r.AtMost("CPU of both nodes for each exchange: "+what, paid.exchange, t.most)
		r.Tell("more at the median than without the mesh: "+what, show(paid.median-without[t.mode.Name]))
		r.lostNothing(t.what, []outcome{paid.outcome})
	}
	return r.meshMemory(ctx, proxies)
}

// pay puts clients of one kind on a way; `idle` is what the proxies use in that time without any.
func (r *Run) pay(m meshed, t toll, proxies []core.Pod, idle time.Duration) (paid, error) {
	target := m.target()
	target.Address = t.address
	loop, err := load.Start(t.mode, target, costRate)
	if err != nil {
		return paid{}, err
	}
	time.Sleep(lull)
	begun := loop.Count()
	before, err := together(proxies)
	time.Sleep(costTime)
	after, errAfter := together(proxies)
	exchanges := loop.Count() - begun
	samples := loop.Stop()
	if err := errors.Join(err, errAfter); err != nil {
		return paid{}, err
	}
	if exchanges == 0 {
		return paid{}, fmt.Errorf("not one exchange of %s ended in %s", t.mode.Name, costTime)
	}
	return paid{
		exchange: (after - before - idle) / time.Duration(exchanges),
		median:   figures.Quantile(figures.Latencies(samples), 0.5),
		outcome:  outcome{t.mode, samples},
	}, nil
}

// idleCost is what the proxies use in the time of a measurement when nothing passes.
func (r *Run) idleCost(proxies []core.Pod) (time.Duration, error) {
	before, err := together(proxies)
	if err != nil {
		return 0, err
	}
	time.Sleep(costTime)
	after, err := together(proxies)
	r.Tell(fmt.Sprintf("CPU of both nodes in %s with nothing to carry", costTime), show(after-before))
	return after - before, err
}

// together is the processor time that pods have used since they began.
func together(pods []core.Pod) (time.Duration, error) {
	used, err := processorTime(pods)
	sum := time.Duration(0)
	for _, spent := range used {
		sum += spent
	}
	return sum, err
}

// meshMemory reads what is there for the mesh, after all of that.
func (r *Run) meshMemory(ctx context.Context, proxies []core.Pod) error {
	controllers, err := r.controllers(ctx)
	if err != nil {
		return err
	}
	for _, proxy := range proxies {
		usage, err := kube.UsageOf(proxy)
		if err != nil {
			return err
		}
		r.Tell("memory of "+proxy.Name, fmt.Sprintf("%.1f MiB", usage.MemoryMiB))
	}
	if err := r.memory("after that", "proxy of a node, all of its processes", proxies, 30); err != nil {
		return err
	}
	return r.memory("after that", "controller", controllers, 50)
}
