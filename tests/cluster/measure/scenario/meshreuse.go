package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"weft.dev/cluster/measure/figures"
	"weft.dev/cluster/measure/kube"
	"weft.dev/cluster/measure/load"
)

const (
	// addressBooks is where the bed's nodes note the addresses of pods.
	addressBooks = "/var/lib/weft-bed/nodes/%s/ipam/weft-bed/last_reserved_ip.*"
	// slots are how many pods change places at once.
	slots = 10
)

// accounts take turns at the addresses.
var accounts = [2]string{"red", "blue"}

// accountManifest is an account with a Service, and a pod of it that stays, so that there is always somebody
// who may answer.
func accountManifest(account, node string) string {
	return kube.Join(fmt.Sprintf(`
apiVersion: v1
kind: ServiceAccount
metadata: {name: %[2]s, namespace: %[1]s}
---
apiVersion: v1
kind: Service
metadata: {name: %[2]s, namespace: %[1]s}
spec: {selector: {account: %[2]s}, ports: [{name: any, port: 8080}]}`, namespace, account), accountPod(account+"-stays", account, node))
}

// accountPod goes on answering for a while after it was told to end, as pods do that want to lose nothing.
func accountPod(name, account, node string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %[2]s, namespace: %[1]s, labels: {account: %[3]s}}
spec:
  nodeName: %[4]s
  serviceAccountName: %[3]s
  terminationGracePeriodSeconds: 4
  containers:
  - name: backend
    image: %[5]s
    args: [-name=%[3]s]
    resources: {requests: {cpu: 10m, memory: 16Mi}}
    lifecycle: {preStop: {sleep: {seconds: 2}}}
    readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}`, namespace, name, account, node, BackendImage)
}

// meshReuse lets pods of two accounts take turns at the same addresses, while both are asked.
func meshReuse(ctx context.Context, r *Run) error {
	m, err := r.members(ctx, 1)
	if err != nil {
		return err
	}
	for _, account := range accounts {
		if err := r.Apply(ctx, accountManifest(account, m.nodes[0])); err != nil {
			return err
		}
	}
	if err := r.podsReady(ctx, len(accounts)); err != nil {
		return err
	}
	loops, err := r.askAccounts(ctx, m)
	if err != nil {
		return err
	}
	reused, err := r.takeTurns(ctx, m.nodes[0])
	outcomes := end(loops)
	if err != nil {
		return err
	}
	r.Judge("addresses that went to the other account", fmt.Sprint(reused), fmt.Sprintf("≥ %d", r.Swaps), reused >= r.Swaps)
	wrong := 0
	for _, o := range outcomes {
		for _, s := range o.samples {
			if s.Class == figures.OK && !strings.HasPrefix(o.mode.Name, s.Backend) {
				wrong++
			}
		}
	}
	r.None("answered by the wrong account", wrong)
	r.nothingLost("turns of accounts", outcomes, false)
	return nil
}

// askAccounts asks for each account, and names the clients after whom they want to hear.
func (r *Run) askAccounts(ctx context.Context, m meshed) ([]*load.Loop, error) {
	var loops []*load.Loop
	for _, account := range accounts {
		service, err := r.API.CoreV1().Services(namespace).Get(ctx, account, metav1.GetOptions{})
		if err != nil {
			end(loops)
			return nil, err
		}
		target := m.target()
		target.Address = service.Spec.ClusterIP + ":8080"
		for _, mode := range load.Modes[:2] {
			mode.Name = account + ", " + mode.Name
			loop, err := load.Start(mode, target, meshRate)
			if err != nil {
				end(loops)
				return nil, err
			}
			loops = append(loops, loop)
		}
	}
	return loops, nil
}

// takeTurns replaces pods by those of the other account at the same addresses, and counts how often an
// address changed hands.
func (r *Run) takeTurns(ctx context.Context, node string) (int, error) {
	book, err := openBook(node)
	if err != nil {
		return 0, err
	}
	owners := map[string]string{}
	reused := 0
	step("%d addresses, until they have changed hands %d times", slots, r.Swaps)
	for round := 0; reused < r.Swaps && round <= 2*r.Swaps/slots+1; round++ {
		if err := book.goBack(); err != nil {
			return reused, err
		}
		for slot := range slots {
			account := accounts[(round+slot)%2]
			if err := r.Apply(ctx, accountPod(fmt.Sprintf("slot-%d-%d", round, slot), account, node)); err != nil {
				return reused, err
			}
		}
		if err := r.podsReady(ctx, len(accounts)+slots); err != nil {
			return reused, err
		}
		pods, err := r.Pods(ctx, namespace, "account")
		if err != nil {
			return reused, err
		}
		reused += changeHands(owners, pods)
		if err := r.slotsEmpty(ctx); err != nil {
			return reused, err
		}
	}
	return reused, nil
}

// changeHands counts the addresses that have another owner than before, and notes the owners of now.
func changeHands(owners map[string]string, pods []core.Pod) int {
	changed := 0
	for _, pod := range pods {
		address, owner := pod.Status.PodIP, pod.Spec.ServiceAccountName
		if before := owners[address]; before != "" && before != owner {
			changed++
		}
		owners[address] = owner
	}
	return changed
}

func (r *Run) podsReady(ctx context.Context, count int) error {
	return kube.Eventually(ctx, time.Minute, func() error {
		pods, err := r.Pods(ctx, namespace, "account")
		ready := 0
		for _, pod := range pods {
			if kube.IsReady(pod) {
				ready++
			}
		}
		if err == nil && ready < count {
			err = fmt.Errorf("%d of %d pods are ready", ready, count)
		}
		return err
	})
}

// slotsEmpty ends the pods that have had their turn.
func (r *Run) slotsEmpty(ctx context.Context) error {
	list, err := r.API.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "account"})
	if err != nil {
		return err
	}
	for _, pod := range list.Items {
		if strings.HasPrefix(pod.Name, "slot-") {
			if err := r.API.CoreV1().Pods(namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{}); err != nil {
				return err
			}
		}
	}
	return kube.Eventually(ctx, time.Minute, func() error {
		list, err := r.API.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: "account"})
		if err == nil && len(list.Items) > len(accounts) {
			err = fmt.Errorf("%d pods are still there", len(list.Items)-len(accounts))
		}
		return err
	})
}

// book is where a node notes which address it gave last, for each version of IP; the next one is given next.
type book map[string][]byte

func openBook(node string) (book, error) {
	pages, err := filepath.Glob(fmt.Sprintf(addressBooks, node))
	if err != nil {
		return nil, err
	}
	if len(pages) == 0 {
		return nil, errors.New("addresses can be given again on the bed only")
	}
	b := book{}
	for _, page := range pages {
		if b[page], err = os.ReadFile(page); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// goBack lets the node give the same addresses again that it has given since the book was opened.
func (b book) goBack() error {
	var failed error
	for page, address := range b {
		failed = errors.Join(failed, os.WriteFile(page, address, 0o644))
	}
	return failed
}
