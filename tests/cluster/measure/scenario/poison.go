package scenario

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"weft.dev/cluster/measure/figures"
	"weft.dev/cluster/measure/kube"
)

//go:embed poison.yaml
var poisons string

const (
	verdictAnnotation = "measure/verdict"
	refused           = "refused"
	taken             = "taken"
	// poisonTime is how long good routes live with the bad ones.
	poisonTime = 20 * time.Second
	// poisonEdit is how long an edit of a good route may take meanwhile.
	poisonEdit = 2 * time.Second
)

// What poison refers to, and a Gateway that lets other namespaces in.
const poisonGround = `
apiVersion: v1
kind: Namespace
metadata: {name: measure-other}
---
apiVersion: v1
kind: Service
metadata: {name: outside, namespace: ` + namespace + `}
spec: {type: ExternalName, externalName: metadata.internal, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: strange, namespace: ` + namespace + `}
spec: {ports: [{name: strange, port: 80, appProtocol: example.com/strange}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: ` + namespace + `}
spec:
  gatewayClassName: weft
  allowedListeners: {namespaces: {from: All}}
  listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]`

// poison lets bad objects in under good routes that are used and edited all the time.
func poison(ctx context.Context, r *Run) error {
	e, err := r.prepare(ctx, 2)
	if err != nil {
		return err
	}
	if err := r.Apply(ctx, kube.Join(poisonGround, markedRoute("probe", "0"))); err != nil {
		return err
	}
	bad, err := poisonObjects()
	if err != nil {
		return err
	}
	if _, err := see(ctx, watchers(e), "probe.measure", "x-mark", "0"); err != nil {
		return err
	}
	restarts, err := r.restarts(ctx)
	if err != nil {
		return err
	}
	step("%d bad objects", len(bad))
	edits := startEditor(ctx, r, e)
	outcomes, err := r.under(e.target(), func() error {
		r.admit(ctx, bad)
		judged := r.statuses(ctx, bad)
		time.Sleep(poisonTime)
		step("and away with them")
		return errors.Join(judged, r.DeleteAll(ctx, bad))
	})
	taken, editing := edits.stop()
	if err := errors.Join(err, editing); err != nil {
		return err
	}
	r.nothingLost("bad objects come and go", outcomes, false)
	r.Tell("edits of a good route meanwhile, p50", fmt.Sprintf("%s of %d", show(figures.Quantile(taken, 0.5)), len(taken)))
	r.AtMost("edits of a good route meanwhile, slowest to act", figures.Quantile(taken, 1), poisonEdit)
	again, err := r.restarts(ctx)
	r.None("containers restarted", again-restarts)
	other, parseErr := kube.Parse("apiVersion: v1\nkind: Namespace\nmetadata: {name: measure-other}")
	return errors.Join(err, parseErr, r.DeleteAll(ctx, other))
}

// poisonObjects are those of the file, and some that would be too long in it.
func poisonObjects() ([]*unstructured.Unstructured, error) {
	objects, err := kube.Parse(poisons)
	if err != nil {
		return nil, err
	}
	long, err := kube.Parse(manyMatches() + "\n---\n" + longValues())
	if err != nil {
		return nil, err
	}
	objects = append(objects, long...)
	for _, object := range objects {
		if object.GetNamespace() == "" {
			object.SetNamespace(namespace)
		}
	}
	return objects, nil
}

// manyMatches is a route with as many matches as a rule can have, each of a regular expression.
func manyMatches() string {
	var matches []string
	for number := range 64 {
		matches = append(matches, fmt.Sprintf(`{path: {type: RegularExpression, value: "/%d/(a|b|c)*[0-9]{1,40}/.*"}}`, number))
	}
	return fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: matches-64, annotations: {%s: %s}}
spec:
  parentRefs: [{name: edge}]
  hostnames: [many.bad.measure]
  rules: [{matches: [%s], backendRefs: [{name: blue, port: 8080}]}]`, verdictAnnotation, taken, strings.Join(matches, ", "))
}

// longValues is a route whose filter adds 16 KiB to every answer.
func longValues() string {
	var values []string
	for number := range 4 {
		values = append(values, fmt.Sprintf(`{name: x-long-%d, value: "%s"}`, number, strings.Repeat("x", 4096)))
	}
	return fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: values-16-kib, annotations: {%s: judged}}
spec:
  parentRefs: [{name: edge}]
  hostnames: [long.bad.measure]
  rules: [{filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [%s]}}], backendRefs: [{name: blue, port: 8080}]}]`, verdictAnnotation, strings.Join(values, ", "))
}

// admit applies bad objects. What an API server refuses is no poison and does not belong here.
func (r *Run) admit(ctx context.Context, bad []*unstructured.Unstructured) {
	kept := 0
	for _, object := range bad {
		if err := r.ApplyObject(ctx, object.DeepCopy()); err != nil {
			step("not admitted: %v", err)
			continue
		}
		kept++
	}
	r.Judge("bad objects that the API server admits", fmt.Sprintf("%d of %d", kept, len(bad)), "≥ 50, all", kept >= 50 && kept == len(bad))
}

// statuses waits until every bad object has been told what is wrong with it.
func (r *Run) statuses(ctx context.Context, bad []*unstructured.Unstructured) error {
	begin := time.Now()
	silent := 0
	for _, object := range bad {
		at, err := r.At(object)
		if err != nil {
			return err
		}
		verdict := object.GetAnnotations()[verdictAnnotation]
		err = kube.Eventually(ctx, max(time.Second, 15*time.Second-time.Since(begin)), func() error {
			now, err := at.Get(ctx, object.GetName(), metav1.GetOptions{})
			if err != nil {
				return err
			}
			return told(kube.Conditions(now), now.GetGeneration(), verdict)
		})
		if err != nil {
			silent++
			step("%s %s: %v", object.GetKind(), object.GetName(), err)
		}
	}
	r.None("bad objects whose status does not say what is to be said", silent)
	return nil
}

// told says whether conditions are what a verdict asks for. They have to be about this generation.
func told(conditions []kube.Condition, generation int64, verdict string) error {
	if len(conditions) == 0 {
		return errors.New("no condition at all")
	}
	var against, mute []string
	for _, condition := range conditions {
		if condition.Generation != generation {
			return fmt.Errorf("%s is about generation %d, not %d", condition.Type, condition.Generation, generation)
		}
		// These are about trouble when they are true; all others when they are false.
		isTrouble := condition.Type == "Conflicted" || condition.Type == "PartiallyInvalid"
		if isTrouble == (condition.Status == "True") {
			against = append(against, condition.String())
			if condition.Message == "" {
				mute = append(mute, condition.String())
			}
		}
	}
	switch {
	case len(mute) > 0:
		return fmt.Errorf("without a message: %s", strings.Join(mute, "; "))
	case verdict == refused && len(against) == 0:
		return fmt.Errorf("nothing is against it: %v", conditions)
	case verdict == taken && len(against) > 0:
		return fmt.Errorf("something is against it: %s", strings.Join(against, "; "))
	}
	return nil
}

// restarts of containers of controller, gateway and backends.
func (r *Run) restarts(ctx context.Context) (int, error) {
	controllers, err := r.controllers(ctx)
	if err != nil {
		return 0, err
	}
	others, err := r.Pods(ctx, namespace, "")
	return kube.Restarts(controllers) + kube.Restarts(others), err
}
