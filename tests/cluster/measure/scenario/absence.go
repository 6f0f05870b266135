package scenario

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"weft.dev/cluster/measure/kube"
	"weft.dev/cluster/measure/load"
)

const (
	// absentRoutes are edited while nobody watches.
	absentRoutes = 20
	// daemons is where the bed keeps the identities of its processes.
	daemons = "/var/lib/weft-bed/run/"
	// leases of nodes are older than their limit when an API server comes back; kubelets renew them
	// in this time, and only then somebody may judge by them.
	renewal = 15 * time.Second
)

// absence takes the controller away and then the API server.
func absence(ctx context.Context, r *Run) error {
	e, err := r.prepare(ctx, 2)
	if err != nil {
		return err
	}
	for number := range absentRoutes {
		if err := r.Apply(ctx, markedRoute(fmt.Sprintf("absent-%d", number), "before")); err != nil {
			return err
		}
	}
	if _, err := see(ctx, watchers(e), fmt.Sprintf("absent-%d.measure", absentRoutes-1), "x-mark", "before"); err != nil {
		return err
	}
	deployed, err := r.API.AppsV1().Deployments(controlNamespace).Get(ctx, controller, metav1.GetOptions{})
	if err != nil {
		return err
	}
	replicas := int(*deployed.Spec.Replicas)
	step("controller away for %s", r.Away)
	if err := r.controllersGone(ctx); err != nil {
		return err
	}
	err = errors.Join(r.withoutController(ctx, e), r.withoutAPI(ctx, e))
	return errors.Join(err, r.back(ctx, e, replicas))
}

func (r *Run) controllersGone(ctx context.Context) error {
	if err := r.Scale(ctx, controlNamespace, controller, 0); err != nil {
		return err
	}
	return kube.Eventually(ctx, 2*time.Minute, func() error {
		list, err := r.API.CoreV1().Pods(controlNamespace).List(ctx, metav1.ListOptions{LabelSelector: controllerPods})
		if err == nil && len(list.Items) > 0 {
			err = fmt.Errorf("%d controllers are still there", len(list.Items))
		}
		return err
	})
}

func (r *Run) withoutController(ctx context.Context, e edge) error {
	outcomes, err := r.under(e.target(), func() error { time.Sleep(r.Away); return nil })
	if err != nil {
		return err
	}
	r.nothingLost(fmt.Sprintf("controller away for %s", r.Away), outcomes, false)
	step("a gateway container is killed and comes back")
	if err := r.restartedContainer(ctx, e.Pods[0]); err != nil {
		return err
	}
	step("a new gateway pod")
	return r.newPod(ctx, e)
}

// restartedContainer kills the first process of a container, which ends all of it.
func (r *Run) restartedContainer(ctx context.Context, pod core.Pod) error {
	processes, err := kube.Processes(pod)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(processes, func(p kube.Process) bool { return !slices.Contains(p.Args, "worker") })
	if at < 0 {
		return fmt.Errorf("pod %s has no parent process", pod.Name)
	}
	begin := time.Now()
	if err := syscall.Kill(processes[at].PID, syscall.SIGKILL); err != nil {
		return err
	}
	// What has not gone yet may not be asked.
	err = kube.Eventually(ctx, 5*time.Second, func() error {
		if _, err := os.Stat(fmt.Sprintf("/proc/%d", processes[at].PID)); err == nil {
			return errors.New("the process is still there")
		}
		return nil
	})
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableKeepAlives: true}
	err = kube.Eventually(ctx, 2*time.Minute, func() error {
		_, err := load.Get(ctx, transport, podAddresses([]core.Pod{pod})[0], webHost, "/")
		return err
	})
	r.Judge("restarted container without a controller: serves HTTP from its disk", show(time.Since(begin)), "serves", err == nil)
	return nil
}

// newPod asks a pod that has no configuration what it waits for.
func (r *Run) newPod(ctx context.Context, e edge) error {
	if err := r.Scale(ctx, namespace, e.Deployment, 3); err != nil {
		return err
	}
	var fresh core.Pod
	err := kube.Eventually(ctx, time.Minute, func() error {
		pods, err := r.Pods(ctx, namespace, gatewayPods)
		if err != nil {
			return err
		}
		known := func(pod core.Pod) bool {
			return slices.ContainsFunc(e.Pods, func(old core.Pod) bool { return old.Name == pod.Name })
		}
		pods = slices.DeleteFunc(pods, known)
		if len(pods) != 1 || pods[0].Status.PodIP == "" || len(pods[0].Status.ContainerStatuses) != 1 || pods[0].Status.ContainerStatuses[0].State.Running == nil {
			return errors.New("the new pod does not run")
		}
		fresh = pods[0]
		return nil
	})
	if err != nil {
		return err
	}
	time.Sleep(settling)
	says, isReady := r.readiness(ctx, fresh)
	r.Judge("new pod without a controller: is not ready and says why", says, "names the control plane", !isReady && namesControl(says))
	log, err := r.Logs(ctx, fresh)
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(log), "\n")
	at := slices.IndexFunc(lines, namesControl)
	line := "nothing of it"
	if at >= 0 {
		line = lines[at]
	}
	r.Judge("new pod without a controller: its log says what it waits for", line, "names the control plane", at >= 0)
	return r.Scale(ctx, namespace, e.Deployment, 2)
}

func namesControl(text string) bool {
	return strings.Contains(text, controller) || strings.Contains(text, "control plane")
}

// readiness is what the probe of a pod answers.
func (r *Run) readiness(ctx context.Context, pod core.Pod) (says string, isReady bool) {
	answer, err := r.API.CoreV1().RESTClient().Get().Namespace(pod.Namespace).Resource("pods").
		Name(pod.Name + ":15021").SubResource("proxy").Suffix("readyz").DoRaw(ctx)
	text := strings.TrimSpace(string(answer))
	if text == "" && err != nil {
		text = err.Error()
	}
	return text, err == nil
}

// withoutAPI freezes API server, controller manager and scheduler: connections to them stay and
// nobody answers, which is harder on clients than connections that are refused.
func (r *Run) withoutAPI(ctx context.Context, e edge) error {
	var frozen []int
	for _, name := range []string{"controller-manager", "scheduler", "apiserver"} {
		identity, err := os.ReadFile(daemons + name + ".pid")
		if err != nil {
			r.Tell("API server away", "not done: only the bed's can be stopped")
			return nil
		}
		pid, err := strconv.Atoi(strings.Fields(string(identity))[0])
		if err != nil {
			return err
		}
		frozen = append(frozen, pid)
	}
	away := max(r.Away/2, 20*time.Second)
	// Edits that nobody sees before everything is back.
	for number := range absentRoutes {
		if err := r.Patch(ctx, httpRouteKind, namespace, fmt.Sprintf("absent-%d", number), markPatch("after")); err != nil {
			return err
		}
	}
	step("API server away too, for %s", away)
	thaw := func() error {
		slices.Reverse(frozen)
		err := syscall.Kill(frozen[0], syscall.SIGCONT)
		time.Sleep(renewal)
		for _, pid := range frozen[1:] {
			err = errors.Join(err, syscall.Kill(pid, syscall.SIGCONT))
		}
		return err
	}
	for _, pid := range frozen {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			return errors.Join(err, thaw())
		}
	}
	outcomes, err := r.under(e.target(), func() error {
		time.Sleep(away)
		return nil
	})
	if err := errors.Join(err, thaw()); err != nil {
		return err
	}
	r.nothingLost(fmt.Sprintf("API server away for %s", away), outcomes, false)
	return nil
}

// back brings the controllers and times what follows.
func (r *Run) back(ctx context.Context, e edge, replicas int) error {
	step("everything comes back")
	asked := time.Now()
	if err := r.Scale(ctx, controlNamespace, controller, replicas); err != nil {
		return err
	}
	begun, err := r.controllerBegins(ctx)
	if err != nil {
		return err
	}
	pods, err := r.Pods(ctx, namespace, gatewayPods)
	if err != nil {
		return err
	}
	serving := slices.DeleteFunc(pods, func(pod core.Pod) bool { return pod.Status.PodIP == "" })
	seen, err := see(ctx, watchers(edge{Pods: serving}), fmt.Sprintf("absent-%d.measure", absentRoutes-1), "x-mark", "after")
	if err != nil {
		return err
	}
	err = kube.Eventually(ctx, time.Minute, func() error {
		for number := range absentRoutes {
			route, err := r.Dynamic.Resource(httpRouteKind).Namespace(namespace).Get(ctx, fmt.Sprintf("absent-%d", number), metav1.GetOptions{})
			if err != nil {
				return err
			}
			if !kube.IsAccepted(route) {
				return fmt.Errorf("the status of %s is old", route.GetName())
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	r.Tell("controller asked for → its process begins", show(begun.Sub(asked)))
	r.AtMost("on return: edits of meanwhile act, after the process began", seen.Sub(begun), 2*time.Second)
	r.AtMost("on return: statuses are current, after the process began", time.Since(begun), 10*time.Second)
	return r.AwaitRollout(ctx, controlNamespace, controller, time.Minute)
}
