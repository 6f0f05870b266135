package scenario

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"weft.dev/cluster/measure/kube"
	"weft.dev/cluster/measure/load"
)

const (
	// outside is a namespace that stays out of the mesh.
	outside = "measure-outside"
	// nodeProxies is the DaemonSet of the mesh.
	nodeProxies    = "weft-node"
	nodeProxyPods  = "app.kubernetes.io/name=" + nodeProxies
	meshLabel      = "weft.dev/mesh"
	capturedMark   = "weft.dev/captured"
	capturedReason = "weft.dev/captured-reason"
)

var namespaceKind = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}

const outsideManifest = `
apiVersion: v1
kind: Namespace
metadata: {name: ` + outside + `}`

// meshManifest has a server on one node, a client on the other, and a client outside of the mesh. What
// clients send is sent by this program, from the networks of their pods.
func meshManifest(servers int, nodes [2]string) string {
	return kube.Join(spaceManifest, outsideManifest, waysManifest, deployment(namespace, "server", servers, nodes[0]),
		deployment(namespace, "client", 1, nodes[1]), deployment(outside, "stranger", 1, nodes[1]))
}

// deployment has its pods on one node, with some more arguments.
func deployment(space, name string, replicas int, node string, more ...string) string {
	return workload{space, name, replicas, node, more, "{requests: {cpu: 10m, memory: 16Mi}}"}.manifest()
}

// workload is a Deployment of the backend.
type workload struct {
	space, name string
	replicas    int
	node        string
	args        []string
	// resources in YAML.
	resources string
}

func (w workload) manifest() string {
	args := append([]string{"-name=" + w.name, "-lines=:9000"}, w.args...)
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[2]s, namespace: %[1]s}
spec:
  replicas: %[3]d
  selector: {matchLabels: {app: %[2]s}}
  template:
    metadata: {labels: {app: %[2]s}}
    spec:
      nodeName: %[4]s
      terminationGracePeriodSeconds: 1
      containers:
      - name: backend
        image: %[5]s
        args: [%[6]s]
        resources: %[7]s
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}`,
		w.space, w.name, w.replicas, w.node, BackendImage, quoted(args), w.resources)
}

// quoted are the elements of a list in YAML.
func quoted(words []string) string {
	var all []string
	for _, word := range words {
		all = append(all, fmt.Sprintf("%q", word))
	}
	return strings.Join(all, ", ")
}

// waysManifest has two ways to the servers. Weft reads what goes to the Service with a route and carries
// the rest as it is.
const waysManifest = `
apiVersion: v1
kind: Service
metadata: {name: server, namespace: ` + namespace + `}
spec:
  selector: {app: server}
  ports: [{name: any, port: 8080}, {name: lines, port: 9000}]
---
apiVersion: v1
kind: Service
metadata: {name: routed, namespace: ` + namespace + `}
spec: {selector: {app: server}, ports: [{name: http, port: 8080}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: routed, namespace: ` + namespace + `}
spec:
  parentRefs: [{group: "", kind: Service, name: routed}]
  rules: [{backendRefs: [{name: routed, port: 8080}]}]`

// meshed is a server and two clients when they run.
type meshed struct {
	// Address is host and port of the server's Service, Routed that of the one with a route.
	Address, Routed string
	// nodes are those of servers and of clients.
	nodes [2]string
	// Lines is where lines are answered.
	Lines                    string
	Servers                  []core.Pod
	Client                   core.Pod
	fromClient, fromStranger load.Dialer
}

func (m meshed) target() load.Target {
	return load.Target{Address: m.Address, Host: "server", GRPCHost: "server", Lines: m.Lines, Dial: m.fromClient}
}

// prepareMesh installs Weft if it is not there, and makes pods on two nodes that are not in the mesh yet.
func (r *Run) prepareMesh(ctx context.Context, servers int) (meshed, error) {
	var m meshed
	if err := errors.Join(r.ensureInstalled(ctx), r.ensureMesh(ctx)); err != nil {
		return m, err
	}
	if err := r.awaitNodeProxies(ctx, 2*time.Minute); err != nil {
		return m, err
	}
	nodes, err := r.API.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return m, err
	}
	if len(nodes.Items) < 2 {
		return m, errors.New("two nodes are needed")
	}
	m.nodes = [2]string{nodes.Items[0].Name, nodes.Items[1].Name}
	if err := r.Apply(ctx, meshManifest(servers, m.nodes)); err != nil {
		return m, err
	}
	for _, deployment := range [][2]string{{namespace, "server"}, {namespace, "client"}, {outside, "stranger"}} {
		if err := r.AwaitRollout(ctx, deployment[0], deployment[1], time.Minute); err != nil {
			return m, err
		}
	}
	for name, addresses := range map[string]map[string]*string{
		"server": {"8080": &m.Address, "9000": &m.Lines},
		"routed": {"8080": &m.Routed},
	} {
		service, err := r.API.CoreV1().Services(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return m, err
		}
		for port, address := range addresses {
			*address = net.JoinHostPort(service.Spec.ClusterIP, port)
		}
	}
	if m.Servers, err = r.Pods(ctx, namespace, "app=server"); err != nil {
		return m, err
	}
	if m.Client, m.fromClient, err = r.inside(ctx, namespace, "client"); err != nil {
		return m, err
	}
	if _, m.fromStranger, err = r.inside(ctx, outside, "stranger"); err != nil {
		return m, err
	}
	// kube-proxy knows a Service a moment after its endpoints are ready.
	err = kube.Eventually(ctx, 30*time.Second, func() error { _, err := r.ask(ctx, m, m.fromClient); return err })
	if err != nil {
		return m, err
	}
	proxies, err := r.Pods(ctx, controlNamespace, nodeProxyPods)
	r.Images = kube.Images(proxies)
	return m, err
}

// ensureMesh installs the proxies of nodes, if they are not there.
func (r *Run) ensureMesh(ctx context.Context) error {
	_, err := r.API.AppsV1().DaemonSets(controlNamespace).Get(ctx, nodeProxies, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		return err
	}
	step("installing the mesh")
	manifests, err := r.manifests(ctx, "--set", "mesh.enabled=true")
	if err != nil {
		return err
	}
	if err := r.Apply(ctx, manifests); err != nil {
		return err
	}
	return r.AwaitRollout(ctx, controlNamespace, controller, 2*time.Minute)
}

// inside is the one pod of an application, and what dials from it.
func (r *Run) inside(ctx context.Context, space, app string) (core.Pod, load.Dialer, error) {
	pods, err := r.Pods(ctx, space, "app="+app)
	if err != nil {
		return core.Pod{}, nil, err
	}
	if len(pods) != 1 {
		return core.Pod{}, nil, fmt.Errorf("%d pods of %s/%s", len(pods), space, app)
	}
	dial, err := kube.DialerIn(pods[0])
	return pods[0], dial, err
}

// podAddress is host and port of a pod.
func podAddress(pod core.Pod, port int) string {
	return net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(port))
}

// awaitNodeProxies waits until every node has a ready proxy of the newest version.
func (r *Run) awaitNodeProxies(ctx context.Context, limit time.Duration) error {
	return r.AwaitDaemons(ctx, controlNamespace, nodeProxies, limit)
}

// enrol writes the label of the namespace, or takes it away, and waits until every pod says that nothing new
// goes the old way. It returns how long that took.
func (r *Run) enrol(ctx context.Context, isWanted bool) (time.Duration, error) {
	began := time.Now()
	if err := r.label(ctx, isWanted); err != nil {
		return 0, err
	}
	err := r.awaitPods(ctx, func(said string) bool { return (said == "true") == isWanted })
	return time.Since(began), err
}

// letGo waits until nothing is left of the mesh in pods that have left it: until then a pod says `pending`,
// because connections that began before go on.
func (r *Run) letGo(ctx context.Context, m meshed) error {
	began := time.Now()
	if err := r.awaitPods(ctx, func(said string) bool { return said == "" }); err != nil {
		return err
	}
	r.Tell("until nothing is left of the mesh, once clients have gone", show(time.Since(began)))
	left, err := tablesLeft(append(m.Servers, m.Client))
	r.None("packet rules left in pods", left)
	return err
}

// label writes the label of the namespace, or takes it away.
func (r *Run) label(ctx context.Context, isWanted bool) error {
	label := "null"
	if isWanted {
		label = `"enabled"`
	}
	patch := fmt.Sprintf(`{"metadata":{"labels":{%q:%s}}}`, meshLabel, label)
	return r.Patch(ctx, namespaceKind, "", namespace, patch)
}

// awaitPods waits until what every pod says of its capture is as it should be.
func (r *Run) awaitPods(ctx context.Context, isThere func(said string) bool) error {
	return kube.Eventually(ctx, time.Minute, func() error {
		pods, err := r.Pods(ctx, namespace, "")
		if err != nil {
			return err
		}
		var behind []string
		for _, pod := range pods {
			if said := pod.Annotations[capturedMark]; !isThere(said) {
				behind = append(behind, fmt.Sprintf("%s %q %s", pod.Name, said, pod.Annotations[capturedReason]))
			}
		}
		if len(behind) > 0 {
			return fmt.Errorf("not there yet: %s", strings.Join(behind, ", "))
		}
		return nil
	})
}
