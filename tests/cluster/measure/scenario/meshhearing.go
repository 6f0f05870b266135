package scenario

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	core "k8s.io/api/core/v1"

	"weft.dev/cluster/measure/figures"
	"weft.dev/cluster/measure/kube"
	"weft.dev/cluster/measure/load"
	"weft.dev/cluster/measure/noise"
)

const (
	// mostOfQuiet is how many times as long the slowest of a hundred may take beside a noise as without.
	mostOfQuiet = 2
	// A supervisor carries nothing of anybody.
	mostOfSupervisor = 50
	// What a worker may need more than in silence: for each of the two legs of a connection, and for a
	// flood at all.
	mostOfLeg, mostOfFlood = 64.0 / 1024, 16.0
	// memoryLook is between two looks at the memory of processes.
	memoryLook = 200 * time.Millisecond
)

// phase is a time that was listened to.
type phase struct {
	kind noise.Kind
	at   neighbourhood
	// rate is how fast the noise was.
	rate     string
	from, to time.Time
	// peak is the most memory that the largest process of each role had, in MiB, and spent the processor
	// time of all proxies.
	peak  map[string]float64
	spent time.Duration
}

// heard is everything that was listened to, and what the clients saw meanwhile.
type heard struct {
	phases   []phase
	outcomes []outcome
}

// listenFor waits as long as noises are listened to, looks at the memory of the proxies meanwhile, and then
// asks how fast the noise was.
func (r *Run) listenFor(ctx context.Context, m meshed, rate func() (string, error)) (phase, error) {
	proxies, err := r.Pods(ctx, controlNamespace, nodeProxyPods)
	if err != nil {
		return phase{}, err
	}
	processes, err := processesOf(proxies)
	if err != nil {
		return phase{}, err
	}
	before, err := together(proxies)
	if err != nil {
		return phase{}, err
	}
	heard := phase{from: time.Now(), peak: map[string]float64{}}
	err = load.AsOthers(func() error { return heard.watch(ctx, processes, r.Noise) })
	if err != nil {
		return heard, err
	}
	heard.to = time.Now()
	after, err := together(proxies)
	if err != nil {
		return heard, err
	}
	heard.spent = after - before
	heard.rate, err = rate()
	return heard, err
}

// watch looks at the memory of processes again and again.
func (p *phase) watch(ctx context.Context, processes []kube.Process, limit time.Duration) error {
	for time.Since(p.from) < limit {
		if err := p.look(processes); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(memoryLook):
		}
	}
	return nil
}

func processesOf(pods []core.Pod) ([]kube.Process, error) {
	var all []kube.Process
	for _, pod := range pods {
		processes, err := kube.Processes(pod)
		if err != nil {
			return nil, err
		}
		all = append(all, processes...)
	}
	return all, nil
}

// look notes what processes need. One that has ended is a failure: its memory says nothing.
func (p *phase) look(processes []kube.Process) error {
	for _, process := range processes {
		mib, err := process.MemoryMiB()
		if err != nil {
			return fmt.Errorf("%s: %w", process.Role(), err)
		}
		p.peak[process.Role()] = max(p.peak[process.Role()], mib)
	}
	return nil
}

// judgeNoise compares every noise with the silence before, way by way.
func (r *Run) judgeNoise(heard heard) {
	if len(heard.phases) == 0 {
		return
	}
	quiet, noises := heard.phases[0], heard.phases[1:]
	for _, way := range []string{"L4", "routed"} {
		samples := onWay(heard.outcomes, way)
		silence := slowest(samples, quiet)
		r.Tell(way+", quiet: p99 before and after", show(silence)+", "+show(slowest(samples, noises[len(noises)-1])))
		for _, p := range noises[:len(noises)-1] {
			r.judgeSlowest(p, way, samples, silence)
		}
	}
	for _, p := range append([]phase{quiet}, noises...) {
		r.tellCost(p)
	}
	for _, p := range noises[:len(noises)-1] {
		if p.at.isMember {
			r.judgeMemory(p, quiet)
		}
	}
	r.nothingLost("all of that", heard.outcomes, false)
}

// onWay are the samples of all clients on a way.
func onWay(outcomes []outcome, way string) []figures.Sample {
	return all(slices.DeleteFunc(slices.Clone(outcomes), func(o outcome) bool {
		return !strings.HasPrefix(o.mode.Name, way+", ")
	}))
}

// slowest is what 99 of 100 exchanges of a phase took at most.
func slowest(samples []figures.Sample, p phase) time.Duration {
	return figures.Quantile(figures.Latencies(figures.Between(samples, p.from, p.to)), 0.99)
}

// lateness is how late 99 of 100 exchanges of a phase were begun at most, which is this program's doing.
func lateness(samples []figures.Sample, p phase) time.Duration {
	var all []time.Duration
	for _, s := range figures.Between(samples, p.from, p.to) {
		all = append(all, s.Begun.Sub(s.Due))
	}
	return figures.Quantile(all, 0.99)
}

// judgeSlowest judges members only: what happens without proxies says what the machine is worth.
func (r *Run) judgeSlowest(p phase, way string, samples []figures.Sample, quiet time.Duration) {
	took := slowest(samples, p)
	times := float64(took) / float64(quiet)
	what := fmt.Sprintf("%s, %s, %s: p99 beside it", way, p.kind.Name, p.at.name)
	measured := fmt.Sprintf("%s, %.1f × quiet; begun late by %s", show(took), times, show(lateness(samples, p)))
	isAnswered := took > 0 && quiet > 0
	if !isAnswered {
		measured = "nobody was answered"
	}
	if !p.at.isMember || r.OnlyFailures {
		r.Tell(what, measured)
		return
	}
	r.Judge(what, measured, fmt.Sprintf("≤ %d × quiet", mostOfQuiet), isAnswered && times <= mostOfQuiet)
}

func (r *Run) tellCost(p phase) {
	name := "quiet"
	if p.kind.Name != "" {
		name = p.kind.Name + ", " + p.at.name
	}
	var roles []string
	for _, role := range slices.Sorted(maps.Keys(p.peak)) {
		roles = append(roles, fmt.Sprintf("%s %.1f MiB", role, p.peak[role]))
	}
	r.Tell(name+": noise, CPU of both proxies, largest processes",
		fmt.Sprintf("%s; %.2f cores; %s", p.rate, p.spent.Seconds()/p.to.Sub(p.from).Seconds(), strings.Join(roles, ", ")))
}

// judgeMemory compares with what connections may have buffered, and with what a flood may cost.
func (r *Run) judgeMemory(p, quiet phase) {
	name := fmt.Sprintf("%s, %s: memory of the largest ", p.kind.Name, p.at.name)
	most := quiet.peak["shard"] + mostOfFlood + 2*mostOfLeg*float64(p.kind.Held)
	r.Judge(name+"worker", fmt.Sprintf("%.1f MiB", p.peak["shard"]), fmt.Sprintf("≤ %.0f MiB", most), p.peak["shard"] <= most)
	r.Judge(name+"supervisor", fmt.Sprintf("%.1f MiB", p.peak["node"]), fmt.Sprintf("≤ %d MiB", mostOfSupervisor), p.peak["node"] <= mostOfSupervisor)
}
