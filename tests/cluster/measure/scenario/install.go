package scenario

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"weft.dev/cluster/measure/kube"
)

const (
	controlNamespace = "weft-system"
	controller       = "weft-controller"
	controllerPods   = "app.kubernetes.io/name=" + controller
)

// manifests is what `weft install` prints, with some more arguments.
func (r *Run) manifests(ctx context.Context, more ...string) (string, error) {
	out, err := exec.CommandContext(ctx, r.Weft, append([]string{"install"}, more...)...).Output()
	if err != nil {
		return "", fmt.Errorf("%s install: %w; --weft names the binary of the build under test", r.Weft, err)
	}
	return string(out), nil
}

// kinds are the CRDs of the Gateway API as one manifest.
func (r *Run) kinds() (string, error) {
	files, err := filepath.Glob(filepath.Join(r.Kinds, "*.yaml"))
	if err != nil {
		return "", err
	}
	if len(files) == 0 {
		return "", fmt.Errorf("no CRDs in %s", r.Kinds)
	}
	var all []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		all = append(all, string(text))
	}
	return kube.Join(all...), nil
}

// install applies the CRDs and Weft, as users do.
func (r *Run) install(ctx context.Context) error {
	kinds, err := r.kinds()
	if err != nil {
		return err
	}
	weft, err := r.manifests(ctx)
	if err != nil {
		return err
	}
	if err := r.Apply(ctx, kinds); err != nil {
		return err
	}
	// A kind is served a moment after its CRD was taken.
	return kube.Eventually(ctx, 30*time.Second, func() error { return r.Apply(ctx, weft) })
}

func (r *Run) ensureInstalled(ctx context.Context) error {
	_, err := r.API.AppsV1().Deployments(controlNamespace).Get(ctx, controller, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		step("installing Weft")
		err = r.install(ctx)
	}
	if err != nil {
		return err
	}
	return r.AwaitRollout(ctx, controlNamespace, controller, time.Minute)
}

func (r *Run) controllers(ctx context.Context) ([]core.Pod, error) {
	return r.Pods(ctx, controlNamespace, controllerPods)
}

// remove takes Weft away, by its own command.
func (r *Run) remove(ctx context.Context) error {
	if exec.CommandContext(ctx, r.Weft, "uninstall", "--help").Run() == nil {
		out, err := exec.CommandContext(ctx, r.Weft, "uninstall", "--yes", "--stop-gateways").CombinedOutput()
		if err != nil {
			return fmt.Errorf("weft uninstall: %w: %s", err, out)
		}
		return nil
	}
	step("this weft has no `uninstall`; deleting what `weft install` prints")
	weft, err := r.manifests(ctx)
	if err != nil {
		return err
	}
	objects, err := kube.Parse(weft)
	if err != nil {
		return err
	}
	slices.Reverse(objects)
	return r.DeleteAll(ctx, objects)
}

// othersUse says whether somebody but us has objects of the Gateway API.
func (r *Run) othersUse(ctx context.Context) (string, error) {
	list, err := r.Dynamic.Resource(gatewayKind).List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) {
		return "", nil // not even the kinds are there
	}
	if err != nil {
		return "", err
	}
	for _, gateway := range list.Items {
		if gateway.GetNamespace() != namespace {
			return gateway.GetNamespace() + "/" + gateway.GetName(), nil
		}
	}
	return "", nil
}

// firstLight begins with a cluster that has neither Weft nor the Gateway API.
func firstLight(ctx context.Context, r *Run) error {
	if gateway, err := r.othersUse(ctx); err != nil || gateway != "" {
		return errors.Join(err, fmt.Errorf("the kinds of the Gateway API have to go for this, and Gateway %q uses them", gateway))
	}
	if err := r.emptied(ctx); err != nil {
		return err
	}
	step("backends, which a cluster has before it has a Gateway")
	if err := r.Apply(ctx, kube.Join(spaceManifest, backendManifest("blue", 3), backendManifest("green", 3))); err != nil {
		return err
	}
	for _, name := range []string{"blue", "green"} {
		if err := r.AwaitRollout(ctx, namespace, name, time.Minute); err != nil {
			return err
		}
	}
	step("install, and a Gateway with its routes at once")
	begin := time.Now()
	if err := r.install(ctx); err != nil {
		return err
	}
	installed := time.Since(begin)
	if err := r.Apply(ctx, kube.Join(edgeManifest, routesManifest(50))); err != nil {
		return err
	}
	applied := time.Since(begin)
	address, err := r.firstAnswer(ctx)
	if err != nil {
		return err
	}
	took := time.Since(begin)
	r.Tell("manifests applied", show(installed))
	r.Tell("Gateway and routes applied", show(applied))
	r.AtMost("install → Gateway → first 200", took, time.Minute)
	r.Tell("address", address)
	e, err := r.serving(ctx, 1)
	r.Tell("its pod ready, and programmed", show(time.Since(begin)))
	return errors.Join(err, r.note(ctx, e))
}

// firstAnswer asks the Gateway for anything until it answers 200.
func (r *Run) firstAnswer(ctx context.Context) (string, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	address := ""
	err := kube.Eventually(ctx, 2*time.Minute, func() error {
		if address == "" {
			found, err := r.gatewayService(ctx)
			if err != nil {
				return err
			}
			address = found
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
		if err != nil {
			return err
		}
		request.Host = webHost
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return errors.New(response.Status)
		}
		return nil
	})
	return address, err
}

// gatewayService is the address of the load balancer, which may be there before the status has it.
func (r *Run) gatewayService(ctx context.Context) (string, error) {
	list, err := r.API.CoreV1().Services(namespace).List(ctx, metav1.ListOptions{LabelSelector: gatewayPods})
	if err != nil {
		return "", err
	}
	for _, service := range list.Items {
		for _, ingress := range service.Status.LoadBalancer.Ingress {
			return net.JoinHostPort(ingress.IP, "80"), nil
		}
	}
	return "", errors.New("the load balancer has no address")
}

// emptied removes Weft, what scenarios have made and the kinds of the Gateway API.
func (r *Run) emptied(ctx context.Context) error {
	_, err := r.API.CoreV1().Namespaces().Get(ctx, controlNamespace, metav1.GetOptions{})
	if err == nil {
		step("removing Weft")
		if err := r.Clear(ctx); err != nil {
			return err
		}
		if err := r.remove(ctx); err != nil {
			return err
		}
	} else if !apierrors.IsNotFound(err) {
		return err
	}
	if err := r.Clear(ctx); err != nil {
		return err
	}
	kinds, err := r.kinds()
	if err != nil {
		return err
	}
	objects, err := kube.Parse(strings.TrimSpace(kinds))
	if err != nil {
		return err
	}
	return r.DeleteAll(ctx, objects)
}
