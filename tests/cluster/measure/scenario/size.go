package scenario

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"weft.dev/cluster/measure/kube"
)

const (
	// farNetwork is where the many endpoints are. Every node takes it for its own, so that one server
	// per node answers for all of them.
	farNetwork = "10.128.0.0/16"
	farPort    = 18080
	// perOctet leaves out addresses that some take for a network or a broadcast.
	perOctet = 250
	farMost  = 256 * perOctet
)

// What nobody but Weft follows: kube-proxy would spend minutes on rules that nobody uses.
var notForKubeProxy = map[string]any{"service.kubernetes.io/service-proxy-name": "none"}

// farManifest is the server of all those addresses. It ends every connection after an answer, or the
// connections that a proxy keeps would be measured with its endpoints.
var farManifest = fmt.Sprintf(`
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: far, namespace: %[1]s}
spec:
  selector: {matchLabels: {app: far}}
  template:
    metadata: {labels: {app: far}}
    spec:
      hostNetwork: true
      tolerations: [{operator: Exists}]
      containers:
      - name: backend
        image: %[2]s
        args: [-name=far, "-listen=:%[3]d", -once]
        readinessProbe: {httpGet: {path: /, port: %[3]d}, periodSeconds: 1}`, namespace, BackendImage, farPort)

// all is the number of endpoints.
func (s Size) all() int { return s.Services * s.Endpoints }

func (s Size) check() error {
	switch {
	case s.Routes < 1 || s.Services < 2 || s.Endpoints < 1:
		return errors.New("a large cluster has routes, two Services at least, and endpoints")
	case s.Endpoints > largestSlice:
		return fmt.Errorf("%d endpoints per Service: a slice has %d at most", s.Endpoints, largestSlice)
	case s.all()+int(churnTime/time.Second) > farMost:
		return fmt.Errorf("%d endpoints: %s has room for %d", s.all(), farNetwork, farMost)
	}
	return nil
}

// farAddress is the address of an endpoint by its number.
func farAddress(number int) string {
	return fmt.Sprintf("10.128.%d.%d", number/perOctet%256, number%perOctet+1)
}

func routeName(number int) string   { return fmt.Sprintf("many-%05d", number) }
func serviceName(number int) string { return fmt.Sprintf("far-%04d", number) }

// services have no selector: their endpoints are whatever somebody writes.
func (s Size) services() []*unstructured.Unstructured {
	return objects(s.Services, func(number int) map[string]any {
		return map[string]any{
			"apiVersion": "v1", "kind": "Service",
			"metadata": map[string]any{"name": serviceName(number), "namespace": namespace, "labels": notForKubeProxy},
			"spec":     map[string]any{"ports": []any{map[string]any{"name": "http", "port": int64(80), "targetPort": int64(farPort)}}},
		}
	})
}

// slices have what Kubernetes writes of a pod that is ready.
func (s Size) slices() []*unstructured.Unstructured {
	return objects(s.Services, func(service int) map[string]any {
		var endpoints []any
		for at := range s.Endpoints {
			number := service*s.Endpoints + at
			node := fmt.Sprintf("node-%03d", number%100)
			endpoints = append(endpoints, map[string]any{
				"addresses":  []any{farAddress(number)},
				"conditions": map[string]any{"ready": true, "serving": true, "terminating": false},
				"nodeName":   node, "zone": fmt.Sprintf("zone-%c", 'a'+number%3),
				"targetRef": map[string]any{
					"kind": "Pod", "namespace": namespace, "name": fmt.Sprintf("%s-7c9d8f6b5-%05x", serviceName(service), number),
					"uid": fmt.Sprintf("00000000-0000-4000-8000-%012x", number),
				},
			})
		}
		labels := map[string]any{"kubernetes.io/service-name": serviceName(service)}
		for name, value := range notForKubeProxy {
			labels[name] = value
		}
		return map[string]any{
			"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
			"metadata":    map[string]any{"name": serviceName(service), "namespace": namespace, "labels": labels},
			"addressType": "IPv4",
			"ports":       []any{map[string]any{"name": "http", "port": int64(farPort), "protocol": "TCP"}},
			"endpoints":   endpoints,
		}
	})
}

// routes are spread over the Services; each sends a tenth to a second one, as a canary does.
func (s Size) routes() []*unstructured.Unstructured {
	return objects(s.Routes, func(number int) map[string]any {
		name := routeName(number)
		backend := func(service, weight int) any {
			return map[string]any{"name": serviceName(service % s.Services), "port": int64(80), "weight": int64(weight)}
		}
		mark := map[string]any{"name": "x-mark", "value": name}
		filter := map[string]any{"type": "ResponseHeaderModifier", "responseHeaderModifier": map[string]any{"set": []any{mark}}}
		return map[string]any{
			"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
			"metadata": map[string]any{"name": name, "namespace": namespace},
			"spec": map[string]any{
				"parentRefs": []any{map[string]any{"name": "edge"}},
				"hostnames":  []any{name + ".measure"},
				"rules":      []any{map[string]any{"filters": []any{filter}, "backendRefs": []any{backend(number, 9), backend(number+1, 1)}}},
			},
		}
	})
}

// ownAddresses has every node answer for the addresses of the endpoints, until the returned function
// is called. That needs the nodes' network namespaces on this machine, as on the bed.
func (r *Run) ownAddresses(ctx context.Context) (remove func() error, err error) {
	if err := r.Apply(ctx, farManifest); err != nil {
		return nil, err
	}
	var pods []core.Pod
	err = kube.Eventually(ctx, time.Minute, func() error {
		set, err := r.API.AppsV1().DaemonSets(namespace).Get(ctx, "far", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if wanted, ready := set.Status.DesiredNumberScheduled, set.Status.NumberReady; wanted == 0 || ready < wanted {
			return fmt.Errorf("%d of %d servers for far endpoints are ready", ready, wanted)
		}
		pods, err = r.Pods(ctx, namespace, "app=far")
		return err
	})
	if err != nil {
		return nil, err
	}
	var namespaces []string
	for _, pod := range pods {
		processes, err := kube.Processes(pod)
		if err != nil {
			return nil, err
		}
		namespaces = append(namespaces, fmt.Sprint(processes[0].PID))
	}
	route := func(action string) error {
		var failed error
		for _, pid := range namespaces {
			ip := exec.Command("nsenter", "--target="+pid, "--net", "--", "ip", "route", action, "local", farNetwork, "dev", "lo")
			if out, err := ip.CombinedOutput(); err != nil {
				failed = errors.Join(failed, fmt.Errorf("%s: %w: %s", strings.Join(ip.Args, " "), err, out))
			}
		}
		return failed
	}
	return func() error { return route("del") }, route("replace")
}

func halvesOf(pod core.Pod) (halves, error) {
	processes, err := kube.Processes(pod)
	if err != nil {
		return halves{}, err
	}
	var found halves
	for _, process := range processes {
		memory, err := process.MemoryMiB()
		if err != nil {
			return found, err
		}
		if slices.Contains(process.Args, "worker") {
			found.worker += memory
		} else {
			found.parent += memory
		}
	}
	if found.worker == 0 || found.parent == 0 {
		return found, fmt.Errorf("pod %s has no parent or no worker", pod.Name)
	}
	return found, nil
}
