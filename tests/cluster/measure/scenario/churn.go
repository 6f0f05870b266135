package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"weft.dev/cluster/measure/kube"
)

const (
	churnTime = time.Minute
	quietTime = 20 * time.Second
	// settling is how long everything is left alone before memory is read.
	settling = 5 * time.Second
)

var sliceKind = schema.GroupVersionResource{Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"}

// A Service without selector, whose endpoints are whatever somebody writes.
const movingManifest = `
apiVersion: v1
kind: Service
metadata: {name: moving, namespace: ` + namespace + `}
spec: {ports: [{name: http, port: 8080}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: moving, namespace: ` + namespace + `, labels: {kubernetes.io/service-name: moving}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.244.9.1]}, {addresses: [10.244.9.2]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: moving, namespace: ` + namespace + `}
spec:
  parentRefs: [{name: edge}]
  hostnames: [moving.measure]
  rules: [{backendRefs: [{name: moving, port: 8080}]}]`

// churn reads what controller and proxies use, with nothing to do and with a little all the time.
func churn(ctx context.Context, r *Run) error {
	e, err := r.prepare(ctx, 2)
	if err != nil {
		return err
	}
	e, controllers, err := r.fresh(ctx, e)
	if err != nil {
		return err
	}
	if err := r.memory("idle", "controller", controllers, 40); err != nil {
		return err
	}
	if err := r.memory("idle", "gateway pod", e.Pods, 20); err != nil {
		return err
	}
	if err := r.Apply(ctx, kube.Join(markedRoute("probe", "0"), movingManifest)); err != nil {
		return err
	}
	if err := r.bulk(ctx, watchers(e)); err != nil {
		return err
	}
	time.Sleep(settling)
	with := fmt.Sprintf("with %d routes", r.Routes)
	err = errors.Join(r.memory(with, "controller", controllers, 0), r.memory(with, "gateway pod", e.Pods, 0))
	if err != nil {
		return err
	}
	if err := r.timeQuiet(slices.Concat(controllers, e.Pods)); err != nil {
		return err
	}
	used, err := r.timeChurn(ctx, controllers, e.Pods, func(second int) error {
		endpoints := fmt.Sprintf(`{"endpoints":[{"addresses":["10.244.9.1"]},{"addresses":["10.244.9.%d"]}]}`, second%200+2)
		return r.Patch(ctx, sliceKind, namespace, "moving", endpoints)
	})
	if err != nil {
		return err
	}
	r.AtMost("CPU of all controllers together in a minute of churn", used.controllers, 1200*time.Millisecond)
	r.AtMost("CPU of the busiest proxy in a minute of churn", used.busiestProxy, 300*time.Millisecond)
	return r.removeMany(ctx)
}

// fresh replaces the pods of controller and gateway: what earlier work has left in their heaps is not
// what idle means.
func (r *Run) fresh(ctx context.Context, e edge) (edge, []core.Pod, error) {
	step("restarting controller and gateway, to see them idle")
	err := errors.Join(
		r.Restart(ctx, controlNamespace, controller, 2*time.Minute),
		r.Restart(ctx, namespace, e.Deployment, 2*time.Minute),
	)
	if err != nil {
		return e, nil, err
	}
	if e, err = r.serving(ctx, 2); err != nil {
		return e, nil, err
	}
	controllers, err := r.controllers(ctx)
	time.Sleep(settling)
	return e, controllers, err
}

// memory reports the largest of pods that do the same; a goal of 0 MiB is none.
func (r *Run) memory(when, what string, pods []core.Pod, goalMiB float64) error {
	most := 0.0
	for _, pod := range pods {
		usage, err := kube.UsageOf(pod)
		if err != nil {
			return err
		}
		most = max(most, usage.MemoryMiB)
	}
	name, measured := fmt.Sprintf("memory of the largest %s, %s", what, when), fmt.Sprintf("%.1f MiB", most)
	if goalMiB == 0 {
		r.Tell(name, measured)
		return nil
	}
	r.Judge(name, measured, fmt.Sprintf("≤ %.0f MiB", goalMiB), most <= goalMiB)
	return nil
}

// timeQuiet reads what the same pods use when nothing changes: probes, renewals, bookmarks.
func (r *Run) timeQuiet(pods []core.Pod) error {
	before, err := processorTime(pods)
	if err != nil {
		return err
	}
	time.Sleep(quietTime)
	after, err := processorTime(pods)
	for _, pod := range pods {
		r.Tell(fmt.Sprintf("CPU of %s in %s without changes", pod.Name, quietTime), show(after[pod.Name]-before[pod.Name]))
	}
	return err
}

// churned is the processor time of a minute of churn.
type churned struct{ controllers, busiestProxy time.Duration }

// timeChurn edits a route and moves endpoints once a second.
func (r *Run) timeChurn(ctx context.Context, controllers, gateways []core.Pod, move func(second int) error) (churned, error) {
	var used churned
	step("%s of one edit of a route and one of endpoints per second", churnTime)
	before, err := processorTime(slices.Concat(controllers, gateways))
	if err != nil {
		return used, err
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for second := range int(churnTime / time.Second) {
		<-ticker.C
		err := errors.Join(r.Patch(ctx, httpRouteKind, namespace, "probe", markPatch(fmt.Sprint("churn ", second))), move(second))
		if err != nil {
			return used, err
		}
	}
	time.Sleep(time.Second)
	after, err := processorTime(slices.Concat(controllers, gateways))
	if err != nil {
		return used, err
	}
	of := func(pod core.Pod) time.Duration {
		spent := after[pod.Name] - before[pod.Name]
		r.Tell("CPU of "+pod.Name, show(spent))
		return spent
	}
	for _, pod := range controllers {
		used.controllers += of(pod)
	}
	for _, pod := range gateways {
		used.busiestProxy = max(used.busiestProxy, of(pod))
	}
	return used, nil
}

func processorTime(pods []core.Pod) (map[string]time.Duration, error) {
	used := map[string]time.Duration{}
	for _, pod := range pods {
		usage, err := kube.UsageOf(pod)
		if err != nil {
			return nil, err
		}
		used[pod.Name] = usage.CPU
	}
	return used, nil
}
