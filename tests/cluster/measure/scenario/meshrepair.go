package scenario

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"weft.dev/cluster/measure/kube"
)

const (
	// repairTime is how soon what somebody did to a pod's capture is undone.
	repairTime = 30 * time.Second
	// repairs is the counter of a node for it.
	repairs = "weft_capture_repairs_total"
)

// damage is something that befalls the capture of a pod.
type damage struct {
	name string
	// do damages, see says what is there, to be compared.
	do  func(core.Pod) error
	see func(core.Pod) (string, error)
}

var damages = []damage{
	{"rules flushed", within("nft", "flush", "ruleset"), rulesOf},
	{"table of rules deleted", within("nft", "delete", "table", "inet", "weft"), rulesOf},
	{"route of transparent replies deleted", within("ip", "route", "flush", "table", "100"), routesOf},
	{"rule of transparent replies deleted", within("ip", "rule", "delete", "pref", "32764"), routesOf},
	{"listener of plaintext shut", shut(15006), listenersOf},
	{"listener of tunnels shut", shut(tunnelPort), listenersOf},
	{"listener of the applications shut", shut(15001), listenersOf},
}

// meshRepair damages the capture of one pod after the other, and waits until it is as before.
func meshRepair(ctx context.Context, r *Run) error {
	m, err := r.members(ctx, len(damages))
	if err != nil {
		return err
	}
	proxy, err := r.nodeProxy(ctx, m.Servers[0])
	if err != nil {
		return err
	}
	before, err := counted(ctx, proxy)
	if err != nil {
		return err
	}
	step("%d kinds of damage, each to another pod", len(damages))
	took := make([]time.Duration, len(damages))
	failed := make([]error, len(damages))
	var repairing sync.WaitGroup
	for i, damage := range damages {
		repairing.Go(func() { took[i], failed[i] = damage.repaired(ctx, m.Servers[i]) })
	}
	repairing.Wait()
	for i, damage := range damages {
		if errors.Is(failed[i], errNotDone) {
			return failed[i]
		}
		r.judgeRepair(ctx, damage, m, m.Servers[i], took[i], failed[i])
	}
	after, err := counted(ctx, proxy)
	r.Judge("repairs counted by the node", fmt.Sprint(after-before), fmt.Sprintf("≥ %d", len(damages)), after-before >= float64(len(damages)))
	return err
}

// errNotDone says that the damage could not be done.
var errNotDone = errors.New("not done")

// repaired damages a pod and says when it was as before.
func (d damage) repaired(ctx context.Context, pod core.Pod) (time.Duration, error) {
	sound, err := d.see(pod)
	if err == nil {
		err = d.do(pod)
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w: %w", d.name, errNotDone, err)
	}
	began := time.Now()
	if seen, err := d.see(pod); err != nil || seen == sound {
		return 0, fmt.Errorf("%s: %w: nothing changed by it: %w", d.name, errNotDone, err)
	}
	err = kube.Eventually(ctx, 2*repairTime, func() error {
		seen, err := d.see(pod)
		if err == nil && seen != sound {
			err = fmt.Errorf("there is\n%s\nand was\n%s", seen, sound)
		}
		return err
	})
	return time.Since(began), err
}

// judgeRepair asks whether a pod is repaired, does what it did, and says so.
func (r *Run) judgeRepair(ctx context.Context, d damage, m meshed, pod core.Pod, took time.Duration, failed error) {
	if failed != nil {
		r.Judge(d.name+": repaired", failed.Error(), "≤ "+show(repairTime), false)
	} else {
		r.AtMost(d.name+": repaired", took, repairTime)
	}
	m.Address = podAddress(pod, 8080)
	_, err := r.ask(ctx, m, m.fromClient)
	r.Judge(d.name+": afterwards a member", "is answered"+ifFailed(err), "is answered", err == nil)
	_, err = r.ask(ctx, m, m.fromStranger)
	r.Judge(d.name+": afterwards a stranger", said(err), "is refused", isRefused(err))
	events, err := r.eventsOf(ctx, pod)
	r.Judge(d.name+": Events of the pod by Weft", strings.Join(events, "; ")+said(err), "≥ 1", len(events) > 0)
}

func ifFailed(err error) string {
	if err == nil {
		return ""
	}
	return " not: " + said(err)
}

// eventsOf are what Weft has said of a pod.
func (r *Run) eventsOf(ctx context.Context, pod core.Pod) ([]string, error) {
	list, err := r.API.CoreV1().Events(pod.Namespace).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=" + pod.Name})
	if err != nil {
		return nil, err
	}
	var all []string
	for _, event := range list.Items {
		if strings.Contains(event.ReportingController+event.Source.Component, "weft") {
			all = append(all, event.Reason)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(all))), nil
}

// counted are the repairs of a node.
func counted(ctx context.Context, proxy core.Pod) (float64, error) {
	samples, err := kube.Metrics(ctx, proxy)
	sum := 0.0
	for _, s := range samples {
		if s.Name == repairs {
			sum += s.Value
		}
	}
	return sum, err
}

// within runs a program in the network of a pod.
func within(program ...string) func(core.Pod) error {
	return func(pod core.Pod) error {
		_, err := run(pod, program...)
		return err
	}
}

func run(pod core.Pod, program ...string) (string, error) {
	processes, err := kube.Processes(pod)
	if err != nil {
		return "", err
	}
	enter := []string{fmt.Sprintf("--target=%d", processes[0].PID), "--net", "--"}
	command := exec.Command("nsenter", append(enter, program...)...)
	out, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(command.Args, " "), err, out)
	}
	return string(out), nil
}

func rulesOf(pod core.Pod) (string, error) { return run(pod, "nft", "--stateless", "list", "ruleset") }

func routesOf(pod core.Pod) (string, error) {
	rules, err := run(pod, "ip", "rule", "list")
	if err != nil {
		return "", err
	}
	// A table that never had a route is unknown to it, and an empty one is not.
	routes, err := run(pod, "ip", "route", "show", "table", "all")
	return rules + routes, err
}

// shut ends a listener of a pod behind the back of all who have it.
func shut(port uint16) func(core.Pod) error {
	return func(pod core.Pod) error {
		listeners, err := kube.Listeners(pod)
		if err != nil {
			return err
		}
		for _, listener := range listeners {
			if listener.Port != port {
				continue
			}
			holders, err := listener.Holders()
			if err != nil || len(holders) == 0 {
				return errors.Join(err, fmt.Errorf("nobody listens on port %d", port))
			}
			if err := holders[0].Shut(); err != nil {
				return err
			}
		}
		return nil
	}
}

// listenersOf are the ports on which a pod takes connections, with as many sockets as there are.
func listenersOf(pod core.Pod) (string, error) {
	listeners, err := kube.Listeners(pod)
	var ports []int
	for _, listener := range listeners {
		ports = append(ports, int(listener.Port))
	}
	slices.Sort(ports)
	return fmt.Sprint(ports), err
}
