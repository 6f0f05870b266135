package scenario

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"weft.dev/cluster/measure/kube"
	"weft.dev/cluster/measure/load"
)

const (
	namespace = "measure"
	// BackendImage is what tests/cluster/build packs the backend as.
	BackendImage = "ghcr.io/weft-mesh/measure-backend:1"

	gatewayPods = "gateway.networking.k8s.io/gateway-name=edge"
	webHost     = "web.measure"
	grpcHost    = "grpc.measure"
)

var (
	gatewayKind   = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"}
	httpRouteKind = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"}
	grpcRouteKind = schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "grpcroutes"}
)

const spaceManifest = `
apiVersion: v1
kind: Namespace
metadata: {name: ` + namespace + `}`

// edgeManifest is the Gateway all scenarios use. How many pods it has is said by scaling them.
const edgeManifest = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: ` + namespace + `}
spec:
  gatewayClassName: weft
  listeners: [{name: http, port: 80, protocol: HTTP}]`

// backendManifest is a Deployment of the backend and its Service. A pod that begins to end is not
// asked to wait: what it does not answer by then is lost.
func backendManifest(name string, replicas int) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[2]s, namespace: %[1]s}
spec:
  replicas: %[3]d
  selector: {matchLabels: {app: %[2]s}}
  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  template:
    metadata: {labels: {app: %[2]s}}
    spec:
      containers:
      - name: backend
        image: %[4]s
        args: [-name=%[2]s]
        resources: {requests: {cpu: 100m, memory: 32Mi}}
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: %[2]s, namespace: %[1]s}
spec:
  selector: {app: %[2]s}
  ports:
  - {name: http, port: 8080, targetPort: 8080}
  - {name: grpc, port: 8081, targetPort: 8080, appProtocol: kubernetes.io/h2c}`, namespace, name, replicas, BackendImage)
}

// routesManifest sends a share of both kinds of requests to blue, in percent, and the rest to green.
// Calls may be made twice: one that a backend reads before it ends at once can be saved in no other way.
func routesManifest(blue int) string {
	return fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: %[1]s}
spec:
  parentRefs: [{name: edge}]
  hostnames: [%[2]s]
  rules: [{backendRefs: %[4]s}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: calls, namespace: %[1]s, annotations: {weft.dev/idempotent: "true"}}
spec:
  parentRefs: [{name: edge}]
  hostnames: [%[3]s]
  rules: [{backendRefs: %[5]s}]`, namespace, webHost, grpcHost, weighted(8080, blue), weighted(8081, blue))
}

// weighted is a list of backendRefs in JSON, which is YAML too.
func weighted(port, blue int) string {
	return fmt.Sprintf(`[{"name":"blue","port":%[1]d,"weight":%[2]d},{"name":"green","port":%[1]d,"weight":%[3]d}]`, port, blue, 100-blue)
}

// edge is the Gateway when it serves.
type edge struct {
	// Address is host and port of its load balancer.
	Address string
	// Deployment is the name of what runs its pods.
	Deployment string
	Pods       []core.Pod
}

func (e edge) target() load.Target {
	return load.Target{Address: e.Address, Host: webHost, GRPCHost: grpcHost}
}

// prepare installs Weft if it is not there, and makes the Gateway with so many pods, backends and
// routes. It waits until all of it serves.
func (r *Run) prepare(ctx context.Context, replicas int) (edge, error) {
	if err := r.ensureInstalled(ctx); err != nil {
		return edge{}, err
	}
	manifest := kube.Join(spaceManifest, backendManifest("blue", 3), backendManifest("green", 3), edgeManifest, routesManifest(50))
	if err := r.Apply(ctx, manifest); err != nil {
		return edge{}, err
	}
	for _, name := range []string{"blue", "green"} {
		if err := r.AwaitRollout(ctx, namespace, name, time.Minute); err != nil {
			return edge{}, err
		}
	}
	return r.serving(ctx, replicas)
}

// serving waits until the Gateway has an address and all its pods answer.
func (r *Run) serving(ctx context.Context, replicas int) (edge, error) {
	var e edge
	err := kube.Eventually(ctx, time.Minute, func() error {
		deployment, err := r.gatewayDeployment(ctx)
		if err != nil {
			return err
		}
		if *deployment.Spec.Replicas != int32(replicas) {
			if err := r.Scale(ctx, namespace, deployment.Name, replicas); err != nil {
				return err
			}
		}
		e.Deployment = deployment.Name
		e.Address, err = r.address(ctx)
		return err
	})
	if err != nil {
		return e, err
	}
	if err := r.AwaitRollout(ctx, namespace, e.Deployment, time.Minute); err != nil {
		return e, err
	}
	if e.Pods, err = r.Pods(ctx, namespace, gatewayPods); err != nil {
		return e, err
	}
	if err := r.note(ctx, e); err != nil {
		return e, err
	}
	transport := &http.Transport{DisableKeepAlives: true}
	for _, address := range append(podAddresses(e.Pods), e.Address) {
		err := kube.Eventually(ctx, 30*time.Second, func() error {
			_, err := load.Get(ctx, transport, address, webHost, "/")
			return err
		})
		if err != nil {
			return e, fmt.Errorf("the Gateway at %s: %w", address, err)
		}
	}
	return e, nil
}

// note remembers which images are measured.
func (r *Run) note(ctx context.Context, e edge) error {
	controllers, err := r.controllers(ctx)
	if err != nil {
		return err
	}
	r.Images = kube.Images(append(controllers, e.Pods...))
	return nil
}

func (r *Run) gatewayDeployment(ctx context.Context) (*apps.Deployment, error) {
	list, err := r.API.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{LabelSelector: gatewayPods})
	if err != nil {
		return nil, err
	}
	if len(list.Items) != 1 {
		return nil, fmt.Errorf("%d Deployments for the Gateway", len(list.Items))
	}
	return &list.Items[0], nil
}

// address is host and port of the Gateway, once its status says that it is programmed.
func (r *Run) address(ctx context.Context) (string, error) {
	gateway, err := r.Dynamic.Resource(gatewayKind).Namespace(namespace).Get(ctx, "edge", metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	addresses, _, _ := unstructured.NestedSlice(gateway.Object, "status", "addresses")
	if len(addresses) == 0 {
		return "", errors.New("the Gateway has no address")
	}
	first, _ := addresses[0].(map[string]any)
	value, _ := first["value"].(string)
	return net.JoinHostPort(value, "80"), nil
}

func podAddresses(pods []core.Pod) []string {
	var all []string
	for _, pod := range pods {
		all = append(all, net.JoinHostPort(pod.Status.PodIP, "80"))
	}
	return all
}

// Clear removes what scenarios have made, except Weft itself.
func (r *Run) Clear(ctx context.Context) error {
	objects, err := kube.Parse(kube.Join(spaceManifest, outsideManifest, besideManifest))
	if err != nil {
		return err
	}
	_, err = r.API.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	// A namespace with pods that may take their time to end is looked at again as late as that.
	return errors.Join(err, r.endPods(ctx), r.DeleteAll(ctx, objects))
}

// endPods ends all pods at once, after those who would put them back: streams are over, and nobody has
// to wait for the drain.
func (r *Run) endPods(ctx context.Context) error {
	now, every := int64(0), metav1.ListOptions{}
	err := r.Dynamic.Resource(gatewayKind).Namespace(namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, every)
	if apierrors.IsNotFound(err) {
		err = nil // with its kind went every Gateway
	}
	err = errors.Join(err,
		r.API.AppsV1().Deployments(namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, every),
		r.API.AppsV1().DaemonSets(namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, every),
	)
	return errors.Join(err, kube.Eventually(ctx, time.Minute, func() error {
		pods, err := r.API.CoreV1().Pods(namespace).List(ctx, every)
		if err != nil || len(pods.Items) == 0 {
			return err
		}
		return errors.Join(fmt.Errorf("%d pods are still there", len(pods.Items)),
			r.API.CoreV1().Pods(namespace).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &now}, every))
	}))
}
