package scenario

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	// returned is how long freed memory may stay with a process before it counts as used.
	returned = 15 * time.Second
	// scaleTime is how long a large cluster may take to serve before that is a failure.
	scaleTime = 5 * time.Minute
	// largestSlice is how many endpoints Kubernetes itself puts into a slice.
	largestSlice = 100
	// endpointGoal, proxyGoal and controlGoal are P14 and P16 of the goals of `cargo x bench`: MiB per
	// 1,000 endpoints, and cores.
	endpointGoal = 1.5
	proxyGoal    = 0.02
	controlGoal  = 0.05
)

// scale makes a cluster of thousands of routes whose Services have tens of thousands of endpoints, all
// of which answer, and then changes it a little all the time.
func scale(ctx context.Context, r *Run) (err error) {
	if err := r.Large.check(); err != nil {
		return err
	}
	e, err := r.prepare(ctx, 2)
	if err != nil {
		return err
	}
	remove, err := r.ownAddresses(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	e, controllers, err := r.fresh(ctx, e)
	if err != nil {
		return err
	}
	all := watchers(e)
	if err := r.manyRoutes(ctx, all); err != nil {
		return err
	}
	before, err := r.settled(e.Pods)
	if err != nil {
		return err
	}
	err = errors.Join(r.memory("with the routes", "controller", controllers, 0), r.manyEndpoints(ctx, all))
	if err != nil {
		return err
	}
	after, err := r.settled(e.Pods)
	if err != nil {
		return err
	}
	r.judgeEndpoints(e.Pods, before, after)
	err = errors.Join(
		r.memory("with routes and endpoints", "controller", controllers, 0),
		r.memory("with routes and endpoints", "gateway pod", e.Pods, 0),
		r.scaledChurn(ctx, controllers, e.Pods),
	)
	if err != nil {
		return err
	}
	step("%d edits", r.Edits)
	among := fmt.Sprintf("among %d routes and %d endpoints", r.Large.Routes, r.Large.all())
	return r.timeEdits(ctx, all, among, 50*time.Millisecond)
}

// manyRoutes writes Services without endpoints and routes to them, and waits until every pod knows
// every route: it answers 503 for it, and no longer 404.
func (r *Run) manyRoutes(ctx context.Context, all []watcher) error {
	if err := r.Apply(ctx, markedRoute("probe", "0")); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, scaleTime)
	defer cancel()
	step("%d Services, %d routes", r.Large.Services, r.Large.Routes)
	if err := r.CreateAll(ctx, r.Large.services(), progress("Services")); err != nil {
		return err
	}
	accepted, err := r.watchAccepted(ctx, r.Large.Routes)
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := r.CreateAll(ctx, r.Large.routes(), progress("routes")); err != nil {
		return err
	}
	last := time.Now()
	step("written; waiting until every pod knows them")
	known, err := r.allAnswer(ctx, all, http.StatusServiceUnavailable)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%d routes at once", r.Large.Routes)
	r.Tell(what+": writing them", show(last.Sub(begin)))
	r.Tell(what+": all known on every pod after the last write", show(known.Sub(last)))
	select {
	case moment := <-accepted:
		r.Tell(what+": all Accepted after the last write", show(max(0, moment.Sub(last))))
		return nil
	case <-ctx.Done():
		return errors.New("not all routes were accepted in time")
	}
}

// manyEndpoints writes the slices and waits until every route answers from one of its endpoints.
func (r *Run) manyEndpoints(ctx context.Context, all []watcher) error {
	ctx, cancel := context.WithTimeout(ctx, scaleTime)
	defer cancel()
	slices := r.Large.slices()
	step("%d EndpointSlices with %d endpoints", len(slices), r.Large.all())
	begin := time.Now()
	if err := r.CreateAll(ctx, slices, progress("slices")); err != nil {
		return err
	}
	last := time.Now()
	step("written; waiting until every route serves on every pod")
	serving, err := r.allAnswer(ctx, all, http.StatusOK)
	if err != nil {
		return err
	}
	asked := time.Now()
	again, err := r.allAnswer(ctx, all, http.StatusOK)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("%d endpoints at once", r.Large.all())
	r.Tell(what+": writing them", show(last.Sub(begin)))
	r.Tell(what+": all routes serve on every pod after the last write", show(serving.Sub(last)))
	r.Tell(what+": of which asking for every route takes", show(again.Sub(asked)))
	return nil
}

// allAnswer asks every pod for every route until each was answered with the status once, and says
// when the last one was. Answers of a backend have to have the mark of their route.
func (r *Run) allAnswer(ctx context.Context, watching []watcher, want int) (time.Time, error) {
	var mutex sync.Mutex
	var last time.Time
	var failed error
	var asking sync.WaitGroup
	for _, w := range watching {
		asking.Go(func() {
			err := r.eachAnswers(ctx, w, want)
			mutex.Lock()
			defer mutex.Unlock()
			failed = errors.Join(failed, err)
			last = later(last, time.Now())
		})
	}
	asking.Wait()
	return last, failed
}

func (r *Run) eachAnswers(ctx context.Context, w watcher, want int) error {
	for number := range r.Large.Routes {
		name := routeName(number)
		for {
			status, mark, err := w.look(ctx, name+".measure", "x-mark")
			if err == nil && status == want && (want != http.StatusOK || mark == name) {
				break
			}
			if ctx.Err() != nil {
				return fmt.Errorf("%s answers %d and %q for %s, want %d: %w", w.address, status, mark, name, want, errors.Join(err, ctx.Err()))
			}
			time.Sleep(pause)
		}
	}
	return nil
}

// halves is the anonymous memory of a gateway pod in MiB, of the process that owns its sockets and of
// the one that serves.
type halves struct{ parent, worker float64 }

// settled reads the memory of pods when they have given back what they no longer use.
func (r *Run) settled(pods []core.Pod) (map[string]halves, error) {
	time.Sleep(returned)
	all := map[string]halves{}
	for _, pod := range pods {
		found, err := halvesOf(pod)
		if err != nil {
			return nil, err
		}
		all[pod.Name] = found
	}
	return all, nil
}

// judgeEndpoints compares memory without and with endpoints, of the pod that needed the most.
func (r *Run) judgeEndpoints(pods []core.Pod, before, after map[string]halves) {
	thousands := float64(r.Large.all()) / 1000
	most := 0.0
	for _, pod := range pods {
		was, is := before[pod.Name], after[pod.Name]
		grown := halves{(is.parent - was.parent) / thousands, (is.worker - was.worker) / thousands}
		r.Tell("anonymous memory of "+pod.Name+", without and with endpoints",
			fmt.Sprintf("parent %.1f → %.1f MiB, worker %.1f → %.1f MiB", was.parent, is.parent, was.worker, is.worker))
		r.Tell("memory of "+pod.Name+" per 1,000 endpoints", fmt.Sprintf("parent %.2f MiB, worker %.2f MiB", grown.parent, grown.worker))
		most = max(most, grown.parent+grown.worker)
	}
	r.Judge("memory of a proxy per 1,000 endpoints, both processes", fmt.Sprintf("%.2f MiB", most),
		fmt.Sprintf("≤ %.1f MiB", endpointGoal), most <= endpointGoal)
}

// scaledChurn moves endpoints of one Service after the other.
func (r *Run) scaledChurn(ctx context.Context, controllers, gateways []core.Pod) error {
	used, err := r.timeChurn(ctx, controllers, gateways, func(second int) error {
		moved := r.Large.all() + second // an address that nobody has yet
		operation := fmt.Sprintf(`[{"op":"replace","path":"/endpoints/%d/addresses/0","value":%q}]`, second%r.Large.Endpoints, farAddress(moved))
		return r.PatchJSON(ctx, sliceKind, namespace, serviceName(second%r.Large.Services), operation)
	})
	if err != nil {
		return err
	}
	judge := func(what string, used time.Duration, goal float64) {
		cores := used.Seconds() / churnTime.Seconds()
		r.Judge(what, fmt.Sprintf("%.4f cores", cores), fmt.Sprintf("≤ %.2f cores", goal), cores <= goal)
	}
	judge("churn at that size: the busiest proxy", used.busiestProxy, proxyGoal)
	judge("churn at that size: all controllers together", used.controllers, controlGoal)
	return nil
}

// progress says from time to time how many objects have been written.
func progress(what string) func(int) {
	return func(done int) { step("%d %s", done, what) }
}

// objects makes so many objects of numbers.
func objects(count int, of func(number int) map[string]any) []*unstructured.Unstructured {
	var all []*unstructured.Unstructured
	for number := range count {
		all = append(all, &unstructured.Unstructured{Object: of(number)})
	}
	return all
}
