package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"time"
)

//go:embed proof.yaml
var proof string

const proofNamespace = prefix + "-proof"

// claim is one thing that tests of Weft rely on.
type claim struct {
	name string
	// holds returns what is seen instead when the claim does not hold.
	holds func() error
}

// prove shows on the cluster that is up that every claim holds, and fails with all that do not.
func prove() error {
	if !isUp() {
		return errors.New("no cluster is up; `cargo x cluster up` makes one")
	}
	if err := applyManifest(state("kube"), proof); err != nil {
		return err
	}
	defer kubectl(state("kube"), "delete", "namespace", proofNamespace).Run()
	for _, workload := range []string{"daemonset/echo", "deployment/client"} {
		if _, err := ask("rollout", "status", workload, "--timeout=60s"); err != nil {
			return err
		}
	}
	var failed error
	for _, c := range claims() {
		begin := time.Now()
		var err error
		if waitFor(15*time.Second, func() bool { err = c.holds(); return err == nil }) != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", c.name, err))
			log.Printf("does not hold: %s", c.name)
			continue
		}
		log.Printf("holds: %s (%.1f s)", c.name, time.Since(begin).Seconds())
	}
	return failed
}

func claims() []claim {
	list := []claim{
		{"the name of a Service reaches pods on every node, from a pod", fromPod("http://echo." + proofNamespace)},
		{"the log of a pod can be read", func() error { return says("logs", "daemonset/echo") }},
		{"a pod that breaks the rules of its namespace is refused", refusesPrivileged},
		{"a load balancer with externalTrafficPolicy Local answers the host and shows its address", localKeepsSource},
	}
	for i, f := range families {
		number := i
		list = append(list,
			claim{fmt.Sprintf("load balancer %s reaches every node from the host", f.loadBalancers), func() error {
				address, err := ask("get", "service", "echo", "-o", fmt.Sprintf("jsonpath={.status.loadBalancer.ingress[%d].ip}", number))
				return errors.Join(err, everyNodeAnswers(address, "80"))
			}},
			claim{fmt.Sprintf("cluster address in %s reaches every node from the host", f.services), func() error {
				address, err := ask("get", "service", "echo", "-o", fmt.Sprintf("jsonpath={.spec.clusterIPs[%d]}", number))
				return errors.Join(err, everyNodeAnswers(address, "80"))
			}},
		)
		for _, n := range present() {
			address := f.node(n.number).String()
			list = append(list, claim{"node port of " + address + " reaches every node", func() error {
				return everyNodeAnswers(address, "30080")
			}})
		}
	}
	return list
}

// ask runs kubectl in the namespace of the proof and returns what it prints.
func ask(args ...string) (string, error) {
	out, err := kubectl(state("kube"), append([]string{"-n", proofNamespace}, args...)...).Output()
	if exit, isExit := errors.AsType[*exec.ExitError](err); isExit {
		err = fmt.Errorf("kubectl %s: %s", args[0], exit.Stderr)
	}
	return strings.TrimSpace(string(out)), err
}

func says(args ...string) error {
	out, err := ask(args...)
	if err == nil && out == "" {
		err = errors.New("it is empty")
	}
	return err
}

// everyNodeAnswers fails unless connections to the address come to pods on each node.
func everyNodeAnswers(host, port string) error {
	seen := map[string]bool{}
	for range 40 {
		pod, err := fetch(host, port)
		if err != nil {
			return err
		}
		seen[pod] = true
	}
	return all(seen)
}

func all(seen map[string]bool) error {
	for _, n := range present() {
		if !seen[n.name] {
			return fmt.Errorf("no pod of %s answers, only those of %v", n.name, seen)
		}
	}
	return nil
}

// fetch asks the echo server for the node it runs on, over a connection of its own.
func fetch(host, port string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/", nil)
	if err != nil {
		return "", err
	}
	request.Close = true
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	var echo struct{ Pod string }
	return echo.Pod, json.NewDecoder(response.Body).Decode(&echo)
}

// fromPod asks for the URL by the client in a pod, which shows names, exec and Services at once.
func fromPod(url string) func() error {
	return func() error {
		out, err := ask("exec", "deployment/client", "--", "/usr/local/bin/client", "--count", "40", url)
		seen := map[string]bool{}
		for _, n := range present() {
			seen[n.name] = strings.Contains(out, n.name)
		}
		return errors.Join(err, all(seen))
	}
}

func refusesPrivileged() error {
	out, err := kubectl(state("kube"), "-n", proofNamespace, "run", "rude", "--image=rude", "--privileged", "--dry-run=server").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "violates PodSecurity") {
		return fmt.Errorf("it was answered %q", out)
	}
	return nil
}

// localKeepsSource looks for the host's address in the logs of the pods, which name their clients.
func localKeepsSource() error {
	address, err := ask("get", "service", "local", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}")
	if err != nil {
		return err
	}
	if _, err := fetch(address, "80"); err != nil {
		return err
	}
	logs, err := ask("logs", "--selector=app=echo", "--tail=-1")
	lines := strings.Split(logs, "\n")
	isHost := func(line string) bool { return strings.Contains(line, "to client ("+v4.host().String()+":") }
	if err == nil && !slices.ContainsFunc(lines, isHost) {
		err = errors.New("the pods saw another address")
	}
	return err
}
