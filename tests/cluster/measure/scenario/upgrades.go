package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"weft.dev/cluster/measure/figures"
	"weft.dev/cluster/measure/load"
)

const (
	// stepTime is between two writes of weights, shareTime how soon each has to act.
	stepTime  = 2 * time.Second
	shareTime = 100 * time.Millisecond
	// lull before and after what is done to the cluster under load.
	lull = 2 * time.Second
)

// shares of blue, in percent: all or nothing again and again, because that forgives nothing, and
// some between.
var shares = []int{100, 0, 50, 90, 10, 100, 0, 100, 0, 25, 75, 0, 100, 50, 1, 99, 0, 100, 0, 50}

// outcome is what one kind of client saw.
type outcome struct {
	mode    load.Mode
	samples []figures.Sample
}

// upgrades changes everything that can be changed while it is used.
func upgrades(ctx context.Context, r *Run) error {
	e, err := r.prepare(ctx, 2)
	if err != nil {
		return err
	}
	if err := r.weights(ctx, e); err != nil {
		return err
	}
	phases := []struct {
		name string
		act  func() error
		// breaksStreams says that the far ends of streams go, so that streams have to.
		breaksStreams bool
	}{
		{"rolling update of the gateway", func() error { return r.rollGateway(ctx, e) }, false},
		{"rolling update of the controller", func() error { return r.Restart(ctx, controlNamespace, controller, 3*time.Minute) }, false},
		{"rolling update of backends that end at once", func() error { return r.rollBackends(ctx) }, true},
	}
	for _, phase := range phases {
		step("%s", phase.name)
		outcomes, err := r.under(e.target(), phase.act)
		if err != nil {
			return fmt.Errorf("%s: %w", phase.name, err)
		}
		r.nothingLost(phase.name, outcomes, phase.breaksStreams)
	}
	return r.allAtOnce(ctx, e)
}

// under does something to the cluster under load of all kinds.
func (r *Run) under(target load.Target, act func() error) ([]outcome, error) {
	var loops []*load.Loop
	for _, mode := range load.Modes {
		loop, err := load.Start(mode, target, r.Rate)
		if err != nil {
			return nil, err
		}
		loops = append(loops, loop)
	}
	time.Sleep(lull)
	err := act()
	time.Sleep(lull)
	var outcomes []outcome
	for _, loop := range loops {
		outcomes = append(outcomes, outcome{loop.Mode, loop.Stop()})
	}
	return outcomes, err
}

// nothingLost judges by failures, kind by kind.
func (r *Run) nothingLost(phase string, outcomes []outcome, breaksStreams bool) {
	for _, o := range outcomes {
		failures := figures.Failures(o.samples)
		what := fmt.Sprintf("%s: %s, failed of %d", phase, o.mode.Name, len(o.samples))
		latencies := figures.Latencies(o.samples)
		measured := fmt.Sprintf("%s; p99 %s, longest %s", figures.Describe(failures),
			show(figures.Quantile(latencies, 0.99)), show(figures.Quantile(latencies, 1)))
		if hidden := figures.Retries(o.samples); hidden > 0 {
			measured += fmt.Sprintf("; %d attempts hidden by the client's library", hidden)
		}
		cut := figures.Replaced(o.samples)
		if cut > 0 {
			measured += fmt.Sprintf("; %d kept connections cut", cut)
		}
		if o.mode.IsSession() && breaksStreams {
			broken := failures[figures.Cut]
			delete(failures, figures.Cut)
			r.Judge(what, measured, fmt.Sprintf("only streams whose end went (%d)", broken), len(failures) == 0)
			o.samples = slices.DeleteFunc(o.samples, func(s figures.Sample) bool { return s.Class == figures.Cut })
		} else {
			r.Judge(what, measured, "0", len(failures) == 0 && cut == 0)
		}
		r.Explain(o.samples)
	}
}

// weights moves shares between two backends, and asks who answers from when on.
func (r *Run) weights(ctx context.Context, e edge) error {
	shares := shares[:min(max(r.Steps, 1), len(shares))]
	step("%d steps of weights", len(shares))
	var http, grpc []figures.Step
	outcomes, err := r.under(e.target(), func() error {
		for _, blue := range shares {
			err := r.Patch(ctx, httpRouteKind, namespace, "web", fmt.Sprintf(`{"spec":{"rules":[{"backendRefs":%s}]}}`, weighted(8080, blue)))
			http = append(http, figures.Step{Written: time.Now(), Share: float64(blue) / 100})
			err = errors.Join(err, r.Patch(ctx, grpcRouteKind, namespace, "calls", fmt.Sprintf(`{"spec":{"rules":[{"backendRefs":%s}]}}`, weighted(8081, blue))))
			grpc = append(grpc, figures.Step{Written: time.Now(), Share: float64(blue) / 100})
			if err != nil {
				return err
			}
			time.Sleep(stepTime)
		}
		return nil
	})
	if err != nil {
		return err
	}
	end := http[len(http)-1].Written.Add(stepTime)
	phase := fmt.Sprintf("%d steps of weights", len(shares))
	r.nothingLost(phase, outcomes, false)
	var samples, calls []figures.Sample
	for _, o := range outcomes {
		switch {
		case o.mode.IsSession(): // streams stay where they are
		case strings.HasPrefix(o.mode.Name, "gRPC"):
			calls = append(calls, o.samples...)
		default:
			samples = append(samples, o.samples...)
		}
	}
	r.judgeShares("HTTP", samples, http, end)
	r.judgeShares("gRPC", calls, grpc, end)
	return nil
}

func (r *Run) judgeShares(what string, samples []figures.Sample, steps []figures.Step, end time.Time) {
	wrong := 0
	for i, judged := range figures.Judge(samples, steps, "blue", shareTime, end) {
		if !judged.Holds {
			wrong++
			step("%s, step %d: %.3f of %d requests, want %.2f", what, i+1, judged.Seen, judged.Count, judged.Share)
		}
	}
	name := fmt.Sprintf("%s: shares wrong from %s after a write, of %d", what, show(shareTime), len(steps))
	if r.OnlyFailures { // how soon a write acts is a matter of speed
		r.Tell(name, fmt.Sprint(wrong))
	} else {
		r.None(name, wrong)
	}
	r.Tell(what+": last request to a backend without weight, after the write", show(figures.LastStray(samples, steps, "blue")))
}

// rollGateway replaces the pods of the Gateway and then waits, for streams to be seen living on, but not
// beyond the end of their drain.
func (r *Run) rollGateway(ctx context.Context, e edge) error {
	begin := time.Now()
	err := r.Restart(ctx, namespace, e.Deployment, 3*time.Minute)
	time.Sleep(min(r.Hold, drainLimit-time.Since(begin)))
	return err
}

func (r *Run) rollBackends(ctx context.Context) error {
	var failed error
	var mutex sync.Mutex
	var rolling sync.WaitGroup
	for _, name := range []string{"blue", "green"} {
		rolling.Go(func() {
			err := r.Restart(ctx, namespace, name, 3*time.Minute)
			mutex.Lock()
			defer mutex.Unlock()
			failed = errors.Join(failed, err)
		})
	}
	rolling.Wait()
	return failed
}

// drainLimit is how long a pod of a Gateway goes on after it was told to end (-drain-limit of its proxy).
const drainLimit = 300 * time.Second

// allAtOnce goes on with weights and updates of everything until so many exchanges are over.
func (r *Run) allAtOnce(ctx context.Context, e edge) error {
	step("everything at once, until %d exchanges", r.Exchanges)
	begin := time.Now()
	// Every exchange takes its turn of the rate, so time tells how many there have been.
	end := begin.Add(time.Duration(r.Exchanges/(len(load.Modes)*r.Rate)+1) * time.Second)
	rounds := 0
	outcomes, err := r.under(e.target(), func() error {
		for time.Now().Before(end) {
			if err := r.oneOfEach(ctx, e); err != nil {
				return err
			}
			rounds++
		}
		return nil
	})
	if err != nil {
		return err
	}
	total := 0
	for _, o := range outcomes {
		total += len(o.samples)
	}
	r.Tell("everything at once: exchanges, rounds, time", fmt.Sprintf("%d, %d, %s", total, rounds, show(time.Since(begin))))
	r.nothingLost("everything at once", outcomes, true)
	return nil
}

// oneOfEach rolls gateway, controller and backends at the same time, and moves weights meanwhile.
func (r *Run) oneOfEach(ctx context.Context, e edge) error {
	failures := make(chan error, 3)
	go func() { failures <- r.Restart(ctx, namespace, e.Deployment, 3*time.Minute) }()
	go func() { failures <- r.Restart(ctx, controlNamespace, controller, 3*time.Minute) }()
	go func() { failures <- r.rollBackends(ctx) }()
	var failed error
	for number, open := 0, cap(failures); open > 0; number++ {
		blue := shares[number%len(shares)]
		failed = errors.Join(failed, r.Patch(ctx, httpRouteKind, namespace, "web", fmt.Sprintf(`{"spec":{"rules":[{"backendRefs":%s}]}}`, weighted(8080, blue))))
		select {
		case err := <-failures:
			failed = errors.Join(failed, err)
			open--
		case <-time.After(500 * time.Millisecond):
		}
	}
	return failed
}
