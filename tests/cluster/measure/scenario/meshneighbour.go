package scenario

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"weft.dev/cluster/measure/kube"
	"weft.dev/cluster/measure/load"
	"weft.dev/cluster/measure/noise"
)

const (
	// beside is a namespace of the mesh with workers of its own.
	beside = "measure-beside"
	// noiseStarts is how soon a pod makes noise, on a machine that has much to do.
	noiseStarts = time.Minute
)

const besideManifest = `
apiVersion: v1
kind: Namespace
metadata: {name: ` + beside + `, labels: {` + meshLabel + `: enabled}}`

// Half a processor for each end of a noise, and no more weight than others: what proxies need for it comes
// on top. Whoever is disturbed asks for what they need.
const (
	noisy     = "{requests: {cpu: 10m, memory: 16Mi}, limits: {cpu: 500m, memory: 512Mi}}"
	undaunted = `{"spec":{"template":{"spec":{"containers":[{"name":"backend","resources":{"requests":{"cpu":"200m"}}}]}}}}`
)

// neighbourhood is where a neighbour is: both of its ends are on the nodes of those it disturbs.
type neighbourhood struct {
	name, space string
	// isMember says that proxies carry its noise.
	isMember bool
}

// neighbourhoods begin with the one without proxies, with which the others are compared.
var neighbourhoods = []neighbourhood{
	{"outside of the mesh", outside, false},
	{"another worker", beside, true},
	{"the same worker", namespace, true},
}

// meshNeighbour puts a neighbour beside members that do little, and has it make every noise.
func meshNeighbour(ctx context.Context, r *Run) error {
	kinds, err := noise.Chosen(r.Noises)
	if err != nil {
		return err
	}
	m, err := r.members(ctx, 1)
	if err != nil {
		return err
	}
	if err := r.PatchTemplate(ctx, namespace, "server", undaunted); err != nil {
		return err
	}
	if err := r.AwaitRollout(ctx, namespace, "server", time.Minute); err != nil {
		return err
	}
	if m.Servers, err = r.Pods(ctx, namespace, "app=server"); err != nil {
		return err
	}
	if err := r.Apply(ctx, kube.Join(besideManifest, sinks(m.nodes))); err != nil {
		return err
	}
	for _, at := range neighbourhoods {
		if err := r.AwaitRollout(ctx, at.space, "sink", time.Minute); err != nil {
			return err
		}
	}
	heard, err := r.listen(ctx, m, kinds)
	if err != nil {
		return err
	}
	r.judgeNoise(heard)
	return nil
}

// sinks are the far ends of neighbours: a Service whose connections are carried as they are, and one whose
// requests are read.
func sinks(nodes [2]string) string {
	var all []string
	for _, at := range neighbourhoods {
		far := workload{space: at.space, name: "sink", replicas: 1, node: nodes[0], resources: noisy}
		all = append(all, far.manifest(), fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: sink, namespace: %[1]s}
spec: {selector: {app: sink}, ports: [{name: any, port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: sink-routed, namespace: %[1]s}
spec: {selector: {app: sink}, ports: [{name: http, port: 8080}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: sink, namespace: %[1]s}
spec:
  parentRefs: [{group: "", kind: Service, name: sink-routed}]
  rules: [{backendRefs: [{name: sink-routed, port: 8080}]}]`, at.space))
	}
	return kube.Join(all...)
}

// listen puts clients on every way and keeps them there, while neighbours come and go.
func (r *Run) listen(ctx context.Context, m meshed, kinds []noise.Kind) (heard, error) {
	undo := r.undisturbed(ctx, m)
	loops, err := begin(lasting(m.ways()))
	if err != nil {
		return heard{}, errors.Join(err, undo())
	}
	phases, err := r.phases(ctx, m, kinds)
	return heard{phases, end(loops)}, errors.Join(err, undo())
}

// undisturbed keeps away what noise would disturb here and nowhere else: this program, in which the clients
// are, and the pods of the other node, which share no processors with the noise on machines of their own.
// What is returned ends that.
func (r *Run) undisturbed(ctx context.Context, m meshed) func() error {
	shares, together, err := kube.Apart(ctx, m.nodes[:]...)
	if err == nil {
		r.Tell("processors of the nodes", strings.Join(shares, "; "))
	} else {
		r.Tell("processors of the nodes", "they share them: "+err.Error())
	}
	later, err := load.First()
	if err != nil {
		r.Tell("clients go before whatever else the machine does", "no: "+err.Error())
	}
	return func() error { return errors.Join(later(), together()) }
}

// lasting are the clients that keep what they have. Those that dial for each request make a thread of this
// program each time, and it would be the program that a busy machine delays.
func lasting(ways []way) []way {
	for i := range ways {
		ways[i].modes = slices.DeleteFunc(slices.Clone(ways[i].modes), func(mode load.Mode) bool { return mode.DialsAlways })
	}
	return ways
}

// phases are silence, every noise of every neighbour, and silence again.
func (r *Run) phases(ctx context.Context, m meshed, kinds []noise.Kind) ([]phase, error) {
	silent := func() (string, error) { return "", nil }
	before, err := r.listenFor(ctx, m, silent)
	if err != nil {
		return nil, err
	}
	all := []phase{before}
	for _, kind := range kinds {
		for _, at := range neighbourhoods {
			heard, err := r.disturb(ctx, m, kind, at)
			if err != nil {
				return all, fmt.Errorf("%s, %s: %w", kind.Name, at.name, err)
			}
			all = append(all, heard)
		}
	}
	after, err := r.listenFor(ctx, m, silent)
	return append(all, after), err
}

// disturb has one neighbour make one noise.
func (r *Run) disturb(ctx context.Context, m meshed, kind noise.Kind, at neighbourhood) (phase, error) {
	step("%s, %s", kind.About, at.name)
	target, err := r.sink(ctx, kind, at)
	if err != nil {
		return phase{}, err
	}
	neighbour := workload{at.space, "neighbour", 1, m.nodes[1], []string{"-noise=" + kind.Name, "-to=" + target}, noisy}
	if err := r.Apply(ctx, neighbour.manifest()); err != nil {
		return phase{}, err
	}
	if err := r.AwaitRollout(ctx, at.space, "neighbour", noiseStarts); err != nil {
		return phase{}, err
	}
	told := func() ([]noise.Told, error) { return r.told(ctx, at) }
	err = kube.Eventually(ctx, noiseStarts, func() error {
		all, err := told()
		if err == nil && (len(all) == 0 || all[len(all)-1].Made == 0) {
			err = errors.New("the neighbour is silent")
		}
		return err
	})
	if err != nil {
		return phase{}, err
	}
	time.Sleep(lull)
	heard, err := r.listenFor(ctx, m, func() (string, error) {
		all, err := told()
		made, failed := noise.Between(all, r.Noise)
		return described(made, failed, all), err
	})
	heard.kind, heard.at = kind, at
	return heard, errors.Join(err, r.silence(ctx, at))
}

// sink is the address of the far end for a noise.
func (r *Run) sink(ctx context.Context, kind noise.Kind, at neighbourhood) (string, error) {
	name := "sink"
	if kind.IsRead {
		name = "sink-routed"
	}
	service, err := r.API.CoreV1().Services(at.space).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(service.Spec.ClusterIP, "8080"), nil
}

// told is what a neighbour says of its noise.
func (r *Run) told(ctx context.Context, at neighbourhood) ([]noise.Told, error) {
	pods, err := r.Pods(ctx, at.space, "app=neighbour")
	if err != nil {
		return nil, err
	}
	if len(pods) != 1 {
		return nil, fmt.Errorf("%d neighbours", len(pods))
	}
	log, err := r.Logs(ctx, pods[0])
	if err != nil {
		return nil, err
	}
	return noise.Read(log)
}

// described is how fast a noise was.
func described(made, failed float64, all []noise.Told) string {
	text := fmt.Sprintf("%.0f/s", made)
	if len(all) > 0 && made < 1 {
		text = fmt.Sprintf("%d held", all[len(all)-1].Made)
	}
	if failed > 0 {
		text += fmt.Sprintf(", %.0f/s failed (%.80s)", failed, all[len(all)-1].Why)
	}
	return text
}

// silence takes a neighbour away, and waits until it has gone.
func (r *Run) silence(ctx context.Context, at neighbourhood) error {
	foreground := metav1.DeletePropagationForeground
	err := r.API.AppsV1().Deployments(at.space).Delete(ctx, "neighbour", metav1.DeleteOptions{PropagationPolicy: &foreground})
	if err != nil {
		return err
	}
	return kube.Eventually(ctx, time.Minute, func() error {
		_, err := r.API.AppsV1().Deployments(at.space).Get(ctx, "neighbour", metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case err != nil:
			return err
		default:
			return errors.New("the neighbour is still there")
		}
	})
}
