package scenario

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"

	"weft.dev/cluster/measure/figures"
	"weft.dev/cluster/measure/kube"
)

// edits times what one write does, and what many at once do.
func edits(ctx context.Context, r *Run) error {
	e, err := r.prepare(ctx, 2)
	if err != nil {
		return err
	}
	if err := r.Apply(ctx, markedRoute("probe", "0")); err != nil {
		return err
	}
	all := watchers(e)
	if _, err := see(ctx, all, "probe.measure", "x-mark", "0"); err != nil {
		return err
	}
	step("%d edits of the only routes there are", r.Edits)
	if err := r.timeEdits(ctx, all, "alone", 30*time.Millisecond); err != nil {
		return err
	}
	if err := r.bulk(ctx, all); err != nil {
		return err
	}
	among := fmt.Sprintf("among %d routes", r.Routes)
	step("%d edits %s", r.Edits, among)
	if err := r.timeEdits(ctx, all, among, 50*time.Millisecond); err != nil {
		return err
	}
	step("%d new routes", r.Edits)
	if err := r.timeNew(ctx, all); err != nil {
		return err
	}
	return r.removeMany(ctx)
}

// times are when the effect of a write was there.
type times struct {
	// fromSent counts from before the write, fromAnswered from when the API server had answered.
	fromSent, fromAnswered []time.Duration
	// answers are how long the API server took, which is in fromSent.
	answers []time.Duration
}

func (t *times) add(sent, answered, seen time.Time) {
	t.fromSent = append(t.fromSent, seen.Sub(sent))
	t.fromAnswered = append(t.fromAnswered, max(0, seen.Sub(answered)))
	t.answers = append(t.answers, answered.Sub(sent))
}

// report judges by the stricter clock, which has the API server's own time in it.
func (t *times) report(r *Run, what string, goal time.Duration) {
	q := func(values []time.Duration, at float64) time.Duration { return figures.Quantile(values, at) }
	r.AtMost(what+", p99 from the moment it was sent", q(t.fromSent, 0.99), goal)
	r.Tell(what+", p50 and maximum", show(q(t.fromSent, 0.5))+", "+show(q(t.fromSent, 1)))
	r.Tell(what+", of which the API server's answer, p50 and p99", show(q(t.answers, 0.5))+", "+show(q(t.answers, 0.99)))
	r.Tell(what+", after that answer, p50 and p99", show(q(t.fromAnswered, 0.5))+", "+show(q(t.fromAnswered, 0.99)))
}

func (r *Run) timeEdits(ctx context.Context, all []watcher, where string, goal time.Duration) error {
	var taken times
	for number := range r.Edits {
		mark := fmt.Sprintf("%s %d", where, number)
		seen := make(chan time.Time, 1)
		failed := make(chan error, 1)
		go func() {
			at, err := see(ctx, all, "probe.measure", "x-mark", mark)
			seen <- at
			failed <- err
		}()
		sent := time.Now()
		err := r.Patch(ctx, httpRouteKind, namespace, "probe", markPatch(mark))
		answered := time.Now()
		at := <-seen
		if err := errors.Join(err, <-failed); err != nil {
			return err
		}
		taken.add(sent, answered, at)
		time.Sleep(50 * time.Millisecond) // statuses follow; one edit is not to meet those of the last
	}
	taken.report(r, "route edit → effect "+where, goal)
	return nil
}

func (r *Run) timeNew(ctx context.Context, all []watcher) error {
	var taken times
	var made []*unstructured.Unstructured
	for number := range r.Edits {
		name := fmt.Sprintf("new-%d", number)
		objects, err := kube.Parse(markedRoute(name, name))
		if err != nil {
			return err
		}
		made = append(made, objects...)
		sent := time.Now()
		if err := r.ApplyAll(ctx, objects); err != nil {
			return err
		}
		answered := time.Now()
		at, err := see(ctx, all, name+".measure", "x-mark", name)
		if err != nil {
			return err
		}
		taken.add(sent, answered, at)
		time.Sleep(50 * time.Millisecond)
	}
	taken.report(r, fmt.Sprintf("new route → first 200 among %d", r.Routes), 50*time.Millisecond)
	return r.DeleteAll(ctx, made)
}

func (r *Run) many() ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	for number := range r.Routes {
		name := fmt.Sprintf("many-%04d", number)
		objects, err := kube.Parse(markedRoute(name, name))
		if err != nil {
			return nil, err
		}
		all = append(all, objects...)
	}
	return all, nil
}

func (r *Run) removeMany(ctx context.Context) error {
	all, err := r.many()
	if err != nil {
		return err
	}
	return r.DeleteAll(ctx, all)
}

// bulk applies many routes at once, and times from the last write until all serve and all say so.
func (r *Run) bulk(ctx context.Context, watching []watcher) error {
	all, err := r.many()
	if err != nil {
		return err
	}
	if err := r.DeleteAll(ctx, all); err != nil {
		return err
	}
	step("%d routes at once", len(all))
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	accepted, err := r.watchAccepted(ctx, len(all))
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := r.ApplyAll(ctx, all); err != nil {
		return err
	}
	last := time.Now()
	serving, err := allServe(ctx, watching, all)
	if err != nil {
		return err
	}
	var known time.Time
	select {
	case known = <-accepted:
	case <-ctx.Done():
		return errors.New("not all routes were accepted in time")
	}
	goal := 2 * time.Second
	many := fmt.Sprintf("%d routes at once", len(all))
	r.Tell(many+": writing them", show(last.Sub(begin)))
	r.AtMost(many+": all serve on every pod after the last write", serving.Sub(last), goal)
	r.AtMost(many+": all Accepted after the last write", max(0, known.Sub(last)), goal)
	return nil
}

// watchAccepted sends the moment when so many of the many routes were accepted. It begins once it
// sees what is there.
func (r *Run) watchAccepted(ctx context.Context, count int) (<-chan time.Time, error) {
	informers := dynamicinformer.NewFilteredDynamicSharedInformerFactory(r.Dynamic, 0, namespace, nil)
	moment := make(chan time.Time, 1)
	accepted := map[string]bool{} // of the one goroutine that calls the handler
	look := func(object any) {
		route, isRoute := object.(*unstructured.Unstructured)
		if !isRoute || !strings.HasPrefix(route.GetName(), "many-") || accepted[route.GetName()] || !kube.IsAccepted(route) {
			return
		}
		accepted[route.GetName()] = true
		if len(accepted) == count {
			moment <- time.Now()
		}
	}
	informer := informers.ForResource(httpRouteKind).Informer()
	handler := cache.ResourceEventHandlerFuncs{AddFunc: look, UpdateFunc: func(_, now any) { look(now) }}
	if _, err := informer.AddEventHandler(handler); err != nil {
		return nil, err
	}
	informers.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil, errors.New("routes cannot be watched")
	}
	return moment, nil
}

// allServe asks every pod for every route until each has answered as it should, and says when the
// last one did.
func allServe(ctx context.Context, watching []watcher, routes []*unstructured.Unstructured) (time.Time, error) {
	var mutex sync.Mutex
	var last time.Time
	var failed error
	var asking sync.WaitGroup
	for _, w := range watching {
		asking.Go(func() {
			missing := routes
			for len(missing) > 0 && ctx.Err() == nil {
				var still []*unstructured.Unstructured
				for _, route := range missing {
					status, mark, err := w.look(ctx, route.GetName()+".measure", "x-mark")
					if err != nil || status != http.StatusOK || mark != route.GetName() {
						still = append(still, route)
					}
				}
				missing = still
			}
			mutex.Lock()
			defer mutex.Unlock()
			last = later(last, time.Now())
			if len(missing) > 0 {
				failed = fmt.Errorf("%s does not serve %d of %d routes: %w", w.address, len(missing), len(routes), ctx.Err())
			}
		})
	}
	asking.Wait()
	return last, failed
}
