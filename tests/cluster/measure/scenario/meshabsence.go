package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"weft.dev/cluster/measure/figures"
	"weft.dev/cluster/measure/kube"
)

const (
	// lostShare is what of all exchanges may fail while a server is gone that nobody says is gone.
	lostShare = 0.001
	// freshTime is how soon a new pod serves when the control plane is there again.
	freshTime = 2 * time.Second
	// flatMiB is how much more memory the proxy of a node may have afterwards.
	flatMiB = 8
)

// meshAbsence takes the control plane away, and then a server, of which no proxy hears.
func meshAbsence(ctx context.Context, r *Run) error {
	m, err := r.members(ctx, 3)
	if err != nil {
		return err
	}
	deployed, err := r.API.AppsV1().Deployments(controlNamespace).Get(ctx, controller, metav1.GetOptions{})
	if err != nil {
		return err
	}
	// Whatever happens, the control plane comes back.
	back := func() error {
		return r.Scale(context.WithoutCancel(ctx), controlNamespace, controller, int(*deployed.Spec.Replicas))
	}
	loops, err := m.begin()
	if err != nil {
		return err
	}
	before, err := r.proxyMemory(ctx, m)
	if err == nil {
		step("controller away for %s", r.Away)
		err = r.controllersGone(ctx)
	}
	if err != nil {
		end(loops)
		return errors.Join(err, back())
	}
	err = r.serverGone(ctx, m)
	outcomes := end(loops)
	if err != nil {
		return errors.Join(err, back())
	}
	r.judgeAbsence(outcomes)
	after, err := r.proxyMemory(ctx, m)
	if err == nil {
		more := after - before
		r.Judge("memory of the two proxies, before → after", fmt.Sprintf("%.1f → %.1f MiB", before, after), fmt.Sprintf("≤ %d MiB more", flatMiB), more <= flatMiB)
	}
	step("controller comes back")
	asked := time.Now()
	if err := errors.Join(err, back()); err != nil {
		return err
	}
	return r.servesAgain(ctx, m, asked)
}

// serverGone deletes a server while nobody tells the proxies.
func (r *Run) serverGone(ctx context.Context, m meshed) error {
	begun := time.Now()
	time.Sleep(lull)
	step("server %s is deleted", m.Servers[0].Name)
	err := r.API.CoreV1().Pods(namespace).Delete(ctx, m.Servers[0].Name, metav1.DeleteOptions{})
	time.Sleep(r.Away - time.Since(begun))
	return err
}

// replacement is the server that has come in the place of the one that is gone.
func (r *Run) replacement(ctx context.Context, m meshed) (core.Pod, error) {
	pods, err := r.Pods(ctx, namespace, "app=server")
	if err != nil {
		return core.Pod{}, err
	}
	at := slices.IndexFunc(pods, func(pod core.Pod) bool { return !isOneOf(m.Servers, pod) })
	if at < 0 {
		return core.Pod{}, errors.New("no server has come in place of the one that is gone")
	}
	return pods[at], nil
}

func isOneOf(pods []core.Pod, pod core.Pod) bool {
	return slices.ContainsFunc(pods, func(known core.Pod) bool { return known.UID == pod.UID })
}

// judgeAbsence counts what was lost. A stream whose server goes has to end, and what had begun on it; those
// of kept connections are replaced by their clients, which count it as such.
func (r *Run) judgeAbsence(outcomes []outcome) {
	for _, o := range outcomes {
		failures := figures.Failures(o.samples)
		measured := figures.Describe(failures)
		if cut := figures.Replaced(o.samples); cut > 0 {
			measured += fmt.Sprintf("; %d kept connections ended", cut)
		}
		r.Tell(fmt.Sprintf("controller away for %s: %s, failed of %d", r.Away, o.mode.Name, len(o.samples)), measured)
		r.Explain(o.samples)
	}
	samples := all(outcomes)
	failures := figures.Failures(samples)
	broken := failures[figures.Cut]
	delete(failures, figures.Cut)
	lost := figures.Count(failures)
	share := float64(lost) / float64(max(len(samples), 1))
	measured := fmt.Sprintf("%.3f %% (%d of %d), and %d streams whose end went", 100*share, lost, len(samples), broken)
	streams := 0
	for _, o := range outcomes {
		streams += o.mode.Streams
	}
	r.Judge("failed while the controller is away and a server is gone", measured,
		fmt.Sprintf("≤ %.1f %%, ≤ %d streams", 100*lostShare, streams), share <= lostShare && broken <= streams)
}

// proxyMemory is that of the proxies of both nodes, in MiB.
func (r *Run) proxyMemory(ctx context.Context, m meshed) (float64, error) {
	sum := 0.0
	for _, pod := range []core.Pod{m.Client, m.Servers[1]} {
		proxy, err := r.nodeProxy(ctx, pod)
		if err != nil {
			return 0, err
		}
		usage, err := kube.UsageOf(proxy)
		if err != nil {
			return 0, err
		}
		sum += usage.MemoryMiB
	}
	return sum, nil
}

// servesAgain times a pod that started while nobody could say who it is, or waited to start for that.
func (r *Run) servesAgain(ctx context.Context, m meshed, asked time.Time) error {
	fresh, err := r.replacement(ctx, m)
	if err != nil {
		return err
	}
	r.Tell("the pod in its place, without a controller", startOf(fresh))
	begun, err := r.controllerBegins(ctx)
	if err != nil {
		return err
	}
	r.Tell("controller asked for → its process begins", show(begun.Sub(asked)))
	err = kube.Eventually(ctx, 2*time.Minute, func() error {
		if fresh, err = r.replacement(ctx, m); err == nil && fresh.Status.PodIP == "" {
			err = fmt.Errorf("pod %s has no address: %s", fresh.Name, startOf(fresh))
		}
		return err
	})
	if err != nil {
		return err
	}
	r.Tell("on return: that pod has an address, after the process began", show(time.Since(begun)))
	m.Address = podAddress(fresh, 8080)
	err = kube.Eventually(ctx, time.Minute, func() error { _, err := r.ask(ctx, m, m.fromClient); return err })
	if err != nil {
		return fmt.Errorf("pod %s, which came without a controller, does not serve: %w", fresh.Name, err)
	}
	r.AtMost("on return: that pod serves, after the process began", time.Since(begun), freshTime)
	return r.AwaitRollout(ctx, controlNamespace, controller, time.Minute)
}

// startOf is how far a pod has got, in a word.
func startOf(pod core.Pod) string {
	for _, container := range pod.Status.ContainerStatuses {
		if waiting := container.State.Waiting; waiting != nil {
			return "waits: " + waiting.Reason
		}
	}
	return string(pod.Status.Phase)
}

// controllerBegins waits for the process of a controller.
func (r *Run) controllerBegins(ctx context.Context) (time.Time, error) {
	var begun time.Time
	err := kube.Eventually(ctx, time.Minute, func() error {
		pods, err := r.controllers(ctx)
		if err != nil {
			return err
		}
		for _, pod := range pods {
			if _, err := kube.Processes(pod); err == nil {
				begun = time.Now()
				return nil
			}
		}
		return errors.New("no controller runs")
	})
	return begun, err
}
