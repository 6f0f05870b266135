package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"weft.dev/cluster/measure/kube"
	"weft.dev/cluster/measure/load"
)

const (
	// rootMap is where the roots of the mesh are published, in the namespace of Weft too.
	rootMap = "weft-root"
	// handshakes are counted by proxies, by how they went.
	handshakes = "weft_tls_handshakes_total"
	// newcomer is an application that is always new.
	newcomer = "newcomer"
	// shortLife is the shortest that certificates may have.
	shortLife = "10m"
	// rotationLimit is how long a rotation may take, beyond three phases.
	rotationLimit = 2 * time.Minute
)

// meshRotate replaces the root of the mesh, again and again, while its members talk, and while a pod keeps
// coming that is new to everybody: whoever has a certificate of one root meets those of the other.
func meshRotate(ctx context.Context, r *Run) (err error) {
	m, err := r.members(ctx, 3)
	if err != nil {
		return err
	}
	if err := r.Apply(ctx, deployment(namespace, newcomer, 1, m.nodes[0])); err != nil {
		return err
	}
	if r.Dwell > 0 {
		usual, err := r.hurry(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.control(context.WithoutCancel(ctx), usual)) }()
	}
	before, isCounted, err := r.failedHandshakes(ctx, m)
	if err != nil {
		return err
	}
	fresh := startComers(ctx, r, m)
	outcomes, err := m.whole(func([]*load.Loop) error {
		for number := range r.Rotations {
			if err := r.rotate(ctx, number+1); err != nil {
				return err
			}
		}
		return nil
	})
	came, strange := fresh.stop()
	if err := errors.Join(err, strange); err != nil {
		return err
	}
	r.nothingLost(fmt.Sprintf("%d rotations", r.Rotations), outcomes, false)
	r.None(fmt.Sprintf("requests lost of %d, between the client and pods new to the mesh", came.asked), came.lost)
	after, _, err := r.failedHandshakes(ctx, m)
	if !isCounted {
		r.Tell("handshakes failed between members", "not told: proxies do not count them")
		return err
	}
	r.None("handshakes failed between members", int(after-before))
	return err
}

// rotate orders another root by Weft's own command, and waits until the old one is gone.
func (r *Run) rotate(ctx context.Context, number int) error {
	old, err := r.roots(ctx)
	if err != nil {
		return err
	}
	step("rotation %d", number)
	began := time.Now()
	limit := 3*max(r.Dwell, 2*time.Minute) + rotationLimit
	command := exec.CommandContext(ctx, r.Weft, "identity", "rotate", "--wait", "--timeout", fmt.Sprintf("%.0fs", limit.Seconds()))
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command.Args, " "), err, out)
	}
	r.Tell(fmt.Sprintf("rotation %d took", number), show(time.Since(began)))
	fresh, err := r.roots(ctx)
	if err == nil && fresh == old {
		err = errors.New("the root after a rotation is the one before it")
	}
	return err
}

func (r *Run) roots(ctx context.Context) (string, error) {
	published, err := r.API.CoreV1().ConfigMaps(controlNamespace).Get(ctx, rootMap, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	return published.Data["root.pem"], nil
}

// hurry lets phases of a rotation last as short as was asked for, which has to be longer than nodes take to
// show pods another ConfigMap, and certificates too: they are renewed within a tenth of their life. It gives
// back the arguments of the controller as they were.
func (r *Run) hurry(ctx context.Context) ([]string, error) {
	deployed, err := r.API.AppsV1().Deployments(controlNamespace).Get(ctx, controller, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	usual := deployed.Spec.Template.Spec.Containers[0].Args
	step("rotations in phases of %s, certificates for %s", r.Dwell, shortLife)
	return usual, r.control(ctx, hurried(usual, r.Dwell))
}

// hurried are the arguments of a controller with other times.
func hurried(usual []string, dwell time.Duration) []string {
	isTime := func(arg string) bool {
		return strings.HasPrefix(arg, "--certificate-life=") || strings.HasPrefix(arg, "--rotation-dwell=")
	}
	others := slices.DeleteFunc(slices.Clone(usual), isTime)
	return append(others, "--certificate-life="+shortLife, fmt.Sprintf("--rotation-dwell=%.0fs", dwell.Seconds()))
}

// control starts the controllers with these arguments, and then the proxies of nodes, which all ask for
// certificates anew.
func (r *Run) control(ctx context.Context, args []string) error {
	text, err := json.Marshal(args)
	if err != nil {
		return err
	}
	patch := fmt.Sprintf(`{"spec":{"template":{"spec":{"containers":[{"name":"controller","args":%s}]}}}}`, text)
	if err := r.PatchTemplate(ctx, controlNamespace, controller, patch); err != nil {
		return err
	}
	if err := r.AwaitRollout(ctx, controlNamespace, controller, 3*time.Minute); err != nil {
		return err
	}
	return r.RestartDaemons(ctx, controlNamespace, nodeProxies, 3*time.Minute)
}

// failedHandshakes are those that the proxies of both nodes have counted; false if they count none at all.
func (r *Run) failedHandshakes(ctx context.Context, m meshed) (float64, bool, error) {
	failed, isCounted := 0.0, false
	for _, pod := range []core.Pod{m.Client, m.Servers[0]} {
		proxy, err := r.nodeProxy(ctx, pod)
		if err != nil {
			return 0, false, err
		}
		samples, err := kube.Metrics(ctx, proxy)
		if err != nil {
			return 0, false, err
		}
		for _, s := range samples {
			if s.Name != handshakes {
				continue
			}
			isCounted = true
			if s.Labels["result"] != "success" && s.Labels["result"] != "ok" {
				failed += s.Value
			}
		}
	}
	return failed, isCounted, nil
}

// comers are pods that come one after the other, each asked as soon as it is ready.
type comers struct {
	halt, done  chan struct{}
	asked, lost int
	failed      error
}

// startComers replaces the pod of a Deployment again and again, so that somebody always has a certificate
// that is as new as can be.
func startComers(ctx context.Context, r *Run, m meshed) *comers {
	c := &comers{halt: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(c.done)
		c.failed = c.run(ctx, r, m)
	}()
	return c
}

func (c *comers) run(ctx context.Context, r *Run, m meshed) error {
	for {
		select {
		case <-c.halt:
			return nil
		default:
		}
		if err := r.Restart(ctx, namespace, newcomer, time.Minute); err != nil {
			return err
		}
		pod, dial, err := r.inside(ctx, namespace, newcomer)
		if err != nil {
			return err
		}
		c.ask(ctx, r, pod, m, dial)
	}
}

// ask goes from the pod that is new to the servers, and from the client to it.
func (c *comers) ask(ctx context.Context, r *Run, pod core.Pod, m meshed, dial load.Dialer) {
	to := m
	to.Address = podAddress(pod, 8080)
	for _, err := range []error{second(r.ask(ctx, m, dial)), second(r.ask(ctx, to, m.fromClient))} {
		c.asked++
		if err != nil {
			c.lost++
			step("%s: %v", pod.Name, err)
		}
	}
}

func second(_ string, err error) error { return err }

func (c *comers) stop() (*comers, error) {
	close(c.halt)
	<-c.done
	return c, c.failed
}
