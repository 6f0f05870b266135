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

// noticing is how long clients on a busy machine need to know that a connection they have is dead.
// What they write to it meanwhile is in flight, whatever a gateway does; a new connection does not
// come to anybody as soon as that. Where speed is not judged, nor is that of clients.
func (r *Run) noticing() time.Duration {
	if r.OnlyFailures {
		return time.Second
	}
	return 20 * time.Millisecond
}

// betweenKills is longer than anything a client still has to do about the last one.
const betweenKills = 6 * time.Second

// kill ends the process that serves, again and again, of a Gateway that has no second pod.
func kill(ctx context.Context, r *Run) error {
	e, err := r.prepare(ctx, 1)
	if err != nil {
		return err
	}
	var loops []*load.Loop
	for _, mode := range load.Modes {
		loop, err := load.Start(mode, e.target(), r.Rate)
		if err != nil {
			return err
		}
		loops = append(loops, loop)
	}
	time.Sleep(3 * time.Second)
	var gone []time.Time
	for number := range r.Kills {
		moment, err := killWorker(e.Pods[0])
		if err != nil {
			return err
		}
		step("kill %d", number+1)
		gone = append(gone, moment)
		time.Sleep(betweenKills)
	}
	r.judgeKills("", kills{loops, gone, betweenKills, 1, 1}, time.Second)
	pods, err := r.Pods(ctx, namespace, gatewayPods)
	r.None("containers restarted", kube.Restarts(pods))
	return err
}

// kills are ends of processes under load.
type kills struct {
	loops []*load.Loop
	// gone are the moments when processes were gone; of several in a row that of the last.
	gone []time.Time
	// between is the time between two moments, and inRow how many processes went at each.
	between time.Duration
	inRow   int
	// hops are how many have to notice, one after the other: the client, and whoever is before it.
	hops int
}

// judgeKills ends the load and tells, kind by kind, what was lost. Nobody may be refused or lose what began
// when the process was gone, and all serve again within the limit.
func (r *Run) judgeKills(prefix string, k kills, limit time.Duration) {
	var refused, late int
	var worst, longest time.Duration
	for _, loop := range k.loops {
		samples := loop.Stop()
		failures := figures.Failures(samples)
		refused += failures[figures.Refused]
		afterwards, again := r.perKill(loop.Mode, samples, k)
		late += afterwards
		if !loop.Mode.IsSession() { // streams are found broken one by one before the first is well
			worst = max(worst, figures.Quantile(again, 1))
		}
		longest = max(longest, figures.Quantile(figures.Latencies(samples), 1))
		r.Tell(fmt.Sprintf("%s%s: lost of %d in %d kills", prefix, loop.Mode.Name, len(samples), len(k.gone)*k.inRow), figures.Describe(failures))
		r.Explain(samples)
		r.Tell(prefix+loop.Mode.Name+": serving again, per kill", shows(again))
		r.Tell(prefix+loop.Mode.Name+": attempts hidden by the client's library", fmt.Sprint(figures.Retries(samples)))
	}
	r.None(prefix+"connections refused", refused)
	r.None(prefix+"lost although they began when the process was gone", late)
	r.AtMost(prefix+"serving again after the process was gone, worst of all", worst, limit)
	r.Tell(prefix+"longest wait of a request that was answered", show(longest))
}

// perKill counts what was lost that had not begun, and finds how soon each kill was over. Of streams,
// each may be found broken once for every process, by whichever message comes next.
func (r *Run) perKill(mode load.Mode, samples []figures.Sample, k kills) (late int, again []time.Duration) {
	noticed := time.Duration(k.hops) * r.noticing()
	for number, moment := range k.gone {
		around := figures.Between(samples, moment.Add(-time.Second), moment.Add(k.between-time.Second))
		if mode.IsSession() {
			late += max(0, figures.Failures(around)[figures.Cut]-mode.Streams*k.inRow)
			around = slices.DeleteFunc(around, func(s figures.Sample) bool { return s.Class == figures.Cut })
		}
		for _, s := range around {
			if s.Class != figures.OK && s.Begun.After(moment.Add(noticed)) {
				late++
				step("kill %d: %s lost %s after the process was gone: %s", number+1, mode.Name, show(s.Begun.Sub(moment)), s.Fault)
			}
		}
		took, found := figures.FirstAnswer(around, moment)
		if !found {
			took = k.between
		}
		again = append(again, took)
	}
	return late, again
}

// killWorker kills the process of a gateway pod that reads what clients send, and says when it was
// gone.
func killWorker(pod core.Pod) (time.Time, error) {
	processes, err := kube.Processes(pod)
	if err != nil {
		return time.Time{}, err
	}
	at := slices.IndexFunc(processes, func(p kube.Process) bool { return slices.Contains(p.Args, "worker") })
	if at < 0 {
		return time.Time{}, fmt.Errorf("pod %s has no worker", pod.Name)
	}
	return processes[at].Kill()
}
