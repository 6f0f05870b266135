package scenario

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	core "k8s.io/api/core/v1"

	"weft.dev/cluster/measure/answer"
	"weft.dev/cluster/measure/figures"
	"weft.dev/cluster/measure/kube"
	"weft.dev/cluster/measure/load"
	"weft.dev/cluster/measure/wire"
)

const (
	// firstWait is how long the first request of a new pod takes at most.
	firstWait = 100 * time.Millisecond
	// early is what requests to pods have in their first line that have only just got an address.
	early = "GET /early/"
	// starting is how long pods have to start.
	starting = 2 * time.Minute
)

// meshRace starts pods on both nodes at once. The first thing each does is to ask somebody on the other
// node, and a member asks those on the other node as soon as anybody knows their address.
func meshRace(ctx context.Context, r *Run) error {
	m, err := r.members(ctx, 2)
	if err != nil {
		return err
	}
	theirs, err := wire.Listen(r.Links, inClear)
	if err != nil {
		return err
	}
	toThem, err := wire.Listen(r.Links, early)
	if err != nil {
		_, stopErr := theirs.Stop()
		return errors.Join(err, stopErr)
	}
	asked, raceErr := r.race(ctx, m)
	seen, err := theirs.Stop()
	seenEarly, earlyErr := toThem.Stop()
	if err := errors.Join(raceErr, err, earlyErr); err != nil {
		return err
	}
	r.None("frames with requests of new members readable between nodes", int(seen.Plain))
	r.None("frames with requests to new members readable between nodes", int(seenEarly.Plain))
	r.Judge("frames of tunnels", fmt.Sprint(seen.Tunnel), "> 0", seen.Tunnel > 0)
	if err := r.judgeFirst(ctx); err != nil {
		return err
	}
	return errors.Join(asked.judge(r), r.startOutside(ctx, m))
}

// race makes the pods, asks them, and waits until all are ready.
func (r *Run) race(ctx context.Context, m meshed) (*askers, error) {
	half := max(r.Starters/2, 1)
	step("%d pods start at once", 2*half)
	manifest := kube.Join(
		deployment(namespace, "starter-near", half, m.nodes[0], "-ask="+podAddress(m.Client, 8080)),
		deployment(namespace, "starter-far", half, m.nodes[1], "-ask="+m.Address))
	if err := r.Apply(ctx, manifest); err != nil {
		return nil, err
	}
	asked := &askers{known: map[string]bool{}, failures: map[figures.Class]int{}}
	defer asked.asking.Wait()
	err := kube.Eventually(ctx, starting, func() error {
		pods, err := r.Pods(ctx, namespace, "app=starter-near")
		if err != nil {
			return err
		}
		for _, pod := range pods {
			asked.ask(ctx, m, pod)
		}
		for _, name := range []string{"starter-near", "starter-far"} {
			err = errors.Join(err, r.AwaitRollout(ctx, namespace, name, time.Millisecond))
		}
		return err
	})
	return asked, err
}

// startOutside starts as many pods outside of the mesh, which take the same processors for themselves: what
// their first requests take is no part of the mesh.
func (r *Run) startOutside(ctx context.Context, m meshed) error {
	strangers, err := r.Pods(ctx, outside, "app=stranger")
	if err != nil {
		return err
	}
	if len(strangers) != 1 {
		return fmt.Errorf("%d pods to ask outside of the mesh", len(strangers))
	}
	half := max(r.Starters/2, 1)
	step("%d pods start at once outside of the mesh", 2*half)
	ask := "-ask=" + podAddress(strangers[0], 8080)
	err = r.Apply(ctx, kube.Join(
		deployment(outside, "starter-near", half, m.nodes[0], ask),
		deployment(outside, "starter-far", half, m.nodes[1], ask)))
	if err != nil {
		return err
	}
	for _, name := range []string{"starter-near", "starter-far"} {
		if err := r.AwaitRollout(ctx, outside, name, starting); err != nil {
			return err
		}
	}
	first, err := r.first(ctx, outside)
	if err != nil {
		return err
	}
	r.Tell("first requests outside of the mesh, median and longest",
		fmt.Sprintf("%s, %s", show(figures.Quantile(first.took, 0.5)), show(figures.Quantile(first.took, 1))))
	r.Tell("first requests outside of the mesh that failed", figures.Describe(first.failures))
	return nil
}

// firsts is how the first requests of new pods went.
type firsts struct {
	pods     []core.Pod
	took     []time.Duration
	failures map[figures.Class]int
}

// first reads it in their logs.
func (r *Run) first(ctx context.Context, space string) (firsts, error) {
	pods, err := r.Pods(ctx, space, "app in (starter-near, starter-far)")
	if err != nil {
		return firsts{}, err
	}
	all := firsts{pods: pods, failures: map[figures.Class]int{}}
	for _, pod := range pods {
		log, err := r.Logs(ctx, pod)
		if err != nil {
			return firsts{}, err
		}
		first, err := answer.ReadFirst(log)
		if err != nil {
			return firsts{}, fmt.Errorf("pod %s: %w", pod.Name, err)
		}
		if first.Class != string(figures.OK) {
			all.failures[figures.Class(first.Class)]++
		}
		all.took = append(all.took, first.Took)
	}
	return all, nil
}

// judgeFirst judges those of members.
func (r *Run) judgeFirst(ctx context.Context) error {
	first, err := r.first(ctx, namespace)
	if err != nil {
		return err
	}
	r.Judge(fmt.Sprintf("first requests of new pods, failed of %d", len(first.took)), figures.Describe(first.failures),
		"0", len(first.failures) == 0)
	r.Tell("first requests of new pods, median", show(figures.Quantile(first.took, 0.5)))
	r.AtMost("first requests of new pods, longest", figures.Quantile(first.took, 1), firstWait)
	r.startTimes(first.pods)
	return nil
}

// startTimes tells how long pods took from being made to running, which the mesh has a part in.
func (r *Run) startTimes(pods []core.Pod) {
	var took []time.Duration
	for _, pod := range pods {
		for _, container := range pod.Status.ContainerStatuses {
			if running := container.State.Running; running != nil {
				took = append(took, running.StartedAt.Sub(pod.CreationTimestamp.Time))
			}
		}
	}
	r.Tell("pods from made to running, median and longest, in whole seconds",
		fmt.Sprintf("%s, %s", figures.Quantile(took, 0.5), figures.Quantile(took, 1)))
}

// askers ask new pods until they answer.
type askers struct {
	asking sync.WaitGroup
	// known belongs to whoever calls ask.
	known map[string]bool

	mutex    sync.Mutex
	took     []time.Duration
	failures map[figures.Class]int
	never    []error
}

// ask begins to ask a pod that has an address now and had none before.
func (a *askers) ask(ctx context.Context, m meshed, pod core.Pod) {
	if pod.Status.PodIP == "" || a.known[pod.Name] {
		return
	}
	a.known[pod.Name] = true
	a.asking.Go(func() {
		transport := &http.Transport{DisableKeepAlives: true, DialContext: m.fromClient}
		begun := time.Now()
		failures := map[figures.Class]int{}
		err := kube.Eventually(ctx, time.Minute, func() error {
			ctx, cancel := context.WithTimeout(ctx, load.Patience)
			defer cancel()
			_, err := load.Get(ctx, transport, podAddress(pod, 8080), "starter", "/early/"+pod.Name)
			if err != nil {
				failures[load.Classify(err)]++
			}
			return err
		})
		a.mutex.Lock()
		defer a.mutex.Unlock()
		a.took = append(a.took, time.Since(begun))
		for class, count := range failures {
			a.failures[class] += count
		}
		if err != nil {
			a.never = append(a.never, fmt.Errorf("pod %s: %w", pod.Name, err))
		}
	})
}

func (a *askers) judge(r *Run) error {
	r.Tell("asked since their address was known: attempts that failed", figures.Describe(a.failures))
	r.Tell("asked since their address was known: until they answer, median and longest",
		fmt.Sprintf("%s, %s", show(figures.Quantile(a.took, 0.5)), show(figures.Quantile(a.took, 1))))
	return errors.Join(a.never...)
}
