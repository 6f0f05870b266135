package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

//go:embed addons.yaml
var addons string

// plan is what a cluster is made of.
type plan struct {
	nodes     int
	proxyMode string
	// kube is the binary with every program of Kubernetes; images are there before the first pod.
	kube   string
	images []string
}

// up makes the cluster, after removing what an earlier one left when it was killed.
func up(p plan) error {
	begin := time.Now()
	if isUp() {
		log.Print("the cluster is up already")
		return nil
	}
	if _, err := os.Stat(stateDir); err == nil {
		log.Print("removing what an earlier cluster has left")
		if err := down(); err != nil {
			return err
		}
	}
	all := nodes(p.nodes)
	for _, dir := range []string{"log", "run", "etcd"} {
		if err := os.MkdirAll(state(dir), 0o700); err != nil {
			return err
		}
	}
	for _, step := range []func() error{
		func() error { return os.Symlink(p.kube, state("kube")) },
		setSysctls,
		func() error { return makePKI(all) },
		func() error { return network(all) },
		func() error { return startControlPlane(p.kube, all[0]) },
		func() error { return startRuntimes(all, p) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	log.Printf("%d images on %d nodes after %.1f s", len(p.images), len(all), time.Since(begin).Seconds())
	api, err := awaitAPI()
	if err != nil {
		return err
	}
	log.Printf("API server ready after %.1f s", time.Since(begin).Seconds())
	if err := errors.Join(startControllers(p.kube, all), applyManifest(p.kube, addons), awaitNodes(api, len(all))); err != nil {
		return err
	}
	log.Printf("nodes ready after %.1f s", time.Since(begin).Seconds())
	if err := awaitDNS(api); err != nil {
		return err
	}
	log.Printf("cluster up after %.1f s; export KUBECONFIG=%s", time.Since(begin).Seconds(), kubeconfig("admin"))
	return nil
}

// isUp says whether every daemon of the bed runs.
func isUp() bool {
	names := daemons()
	for _, name := range names {
		if pidOf(name) == 0 {
			return false
		}
	}
	_, err := os.Stat(kubeconfig("admin"))
	return err == nil && len(names) > 0
}

func startRuntimes(all []node, p plan) error {
	for _, n := range all {
		if err := n.configure(p.proxyMode); err != nil {
			return err
		}
		if err := n.boot(); err != nil {
			return err
		}
		if err := start("containerd-"+n.name, n.on("containerd", "-c", n.dir("containerd.toml"))...); err != nil {
			return err
		}
	}
	for _, n := range all {
		if err := waitFor(20*time.Second, func() bool { return n.ctr("version") == nil }); err != nil {
			return fmt.Errorf("containerd of %s, see its log in %s: %w", n.name, state("log"), err)
		}
	}
	return load(all, p.images)
}

// load imports archives of images on every node.
func load(all []node, archives []string) error {
	if len(all) == 0 {
		return errors.New("no cluster is up; `cargo x cluster up` makes one")
	}
	for _, n := range all {
		for _, archive := range archives {
			if err := n.ctr("images", "import", archive); err != nil {
				return err
			}
		}
	}
	return nil
}

// present are the nodes of the cluster that is up, or of what is left of it.
func present() []node {
	dirs, _ := os.ReadDir(state("nodes"))
	return nodes(len(dirs))
}

// named is the node of a name.
func named(name string) node {
	number, _ := strconv.Atoi(strings.TrimPrefix(name, prefix+"-"))
	return node{number, name}
}

func client(path string) (*kubernetes.Clientset, error) {
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}

func awaitAPI() (*kubernetes.Clientset, error) {
	api, err := client(kubeconfig("admin"))
	if err != nil {
		return nil, err
	}
	err = waitFor(60*time.Second, func() bool {
		_, err := api.RESTClient().Get().AbsPath("/readyz").DoRaw(context.Background())
		return err == nil
	})
	if err != nil {
		err = fmt.Errorf("API server, see its log in %s: %w", state("log"), err)
	}
	return api, err
}

// kubectl is that command as the administrator, with its cache where down removes it.
func kubectl(kube string, args ...string) *exec.Cmd {
	cmd := exec.Command(kube, append([]string{"kubectl", "--kubeconfig=" + kubeconfig("admin")}, args...)...)
	cmd.Env = append(os.Environ(), "KUBECACHEDIR="+state("kubectl"))
	return cmd
}

func applyManifest(kube, manifest string) error {
	cmd := kubectl(kube, "apply", "-f", "-")
	cmd.Stdin = strings.NewReader(manifest)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl apply: %w: %s", err, out)
	}
	return nil
}

func awaitNodes(api *kubernetes.Clientset, count int) error {
	err := waitFor(90*time.Second, func() bool {
		list, err := api.CoreV1().Nodes().List(context.Background(), metav1.ListOptions{})
		if err != nil {
			return false
		}
		ready := 0
		for _, n := range list.Items {
			for _, condition := range n.Status.Conditions {
				if condition.Type == v1.NodeReady && condition.Status == v1.ConditionTrue {
					ready++
				}
			}
		}
		return ready == count
	})
	if err != nil {
		err = fmt.Errorf("nodes are not ready, see the logs of kubelet in %s: %w", state("log"), err)
	}
	return err
}

func awaitDNS(api *kubernetes.Clientset) error {
	err := waitFor(90*time.Second, func() bool {
		d, err := api.AppsV1().Deployments("kube-system").Get(context.Background(), "coredns", metav1.GetOptions{})
		return err == nil && d.Status.AvailableReplicas > 0
	})
	if err != nil {
		err = fmt.Errorf("cluster DNS is not ready: %w", err)
	}
	return err
}
