package scenario

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"weft.dev/cluster/measure/kube"
)

// leaving is how long what was removed may take to be gone.
const leaving = time.Minute

// uninstall removes Weft from under a Gateway that serves, and looks at every object there is.
func uninstall(ctx context.Context, r *Run) error {
	if _, err := r.prepare(ctx, 2); err != nil {
		return err
	}
	before, err := r.traces(ctx)
	if err != nil {
		return err
	}
	r.Tell("objects of ours while Weft is installed", fmt.Sprint(len(before)))
	step("removing Weft")
	if err := r.remove(ctx); err != nil {
		return err
	}
	// Pods end what they have begun, and what they own goes after them.
	var left []string
	err = kube.Eventually(ctx, leaving, func() error {
		var err error
		if left, err = r.traces(ctx); err == nil && len(left) > 0 {
			err = fmt.Errorf("%d objects are left", len(left))
			time.Sleep(time.Second)
		}
		return err
	})
	if err != nil && len(left) == 0 {
		return err
	}
	r.None("objects of ours after the removal", len(left))
	for _, trace := range left {
		r.Tell("left", trace)
	}
	return nil
}

// traces names every object of the cluster that Weft has made or that was installed with it.
func (r *Run) traces(ctx context.Context) ([]string, error) {
	lists, err := discovery.ServerPreferredResources(r.API.Discovery())
	if err != nil {
		return nil, err
	}
	var found []string
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, err
		}
		for _, resource := range list.APIResources {
			if !slices.Contains([]string(resource.Verbs), "list") || resource.Kind == "Event" {
				continue
			}
			objects, err := r.Dynamic.Resource(version.WithResource(resource.Name)).List(ctx, metav1.ListOptions{})
			if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("listing %s: %w", resource.Name, err)
			}
			for _, object := range objects.Items {
				if why := ours(&object); why != "" {
					found = append(found, fmt.Sprintf("%s %s/%s (%s)", resource.Kind, object.GetNamespace(), object.GetName(), why))
				}
			}
		}
	}
	return found, nil
}

// ours says by what an object is known to be Weft's, or nothing.
func ours(object *unstructured.Unstructured) string {
	name, labels := object.GetName(), object.GetLabels()
	isBed := strings.HasPrefix(name, "weft-bed")
	switch {
	case labels["app.kubernetes.io/part-of"] == "weft", labels["app.kubernetes.io/managed-by"] == "weft":
		return "by its labels"
	case !isBed && (name == "weft" || strings.HasPrefix(name, "weft-")):
		return "by its name"
	case object.GetNamespace() == controlNamespace:
		return "by its namespace"
	}
	for _, entry := range object.GetManagedFields() {
		// Of users' objects we own statuses only, and users' they stay.
		if strings.HasPrefix(entry.Manager, "weft") && entry.Subresource == "" {
			return "by who wrote it, " + entry.Manager
		}
	}
	return ""
}
