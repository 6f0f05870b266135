// Package kube is what scenarios do to a cluster: apply, wait, look at pods and at their processes.
package kube

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
)

const manager = "measure"

// writers is how many requests are under way when many objects are written.
const writers = 16

// Cluster is the one that KUBECONFIG names.
type Cluster struct {
	API     kubernetes.Interface
	Dynamic dynamic.Interface
	mapper  *restmapper.DeferredDiscoveryRESTMapper
}

// Connect reads KUBECONFIG as kubectl does.
func Connect() (*Cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, err
	}
	config.QPS = -1 // the limit of the client would be what is measured
	config.WarningHandler = rest.NoWarnings{}
	api, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(api.Discovery()))
	return &Cluster{API: api, Dynamic: objects, mapper: mapper}, nil
}

// Parse reads the documents of a manifest.
func Parse(manifest string) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	documents := yaml.NewYAMLOrJSONDecoder(strings.NewReader(manifest), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := documents.Decode(&object.Object)
		switch {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		case len(object.Object) > 0:
			all = append(all, object)
		}
	}
}

// At finds the collection an object belongs to.
func (c *Cluster) At(object *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	kind := object.GroupVersionKind()
	mapping, err := c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) {
		c.mapper.Reset() // its CRD may have come since
		mapping, err = c.mapper.RESTMapping(kind.GroupKind(), kind.Version)
	}
	if err != nil {
		return nil, err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return c.Dynamic.Resource(mapping.Resource), nil
	}
	namespace := object.GetNamespace()
	if namespace == "" {
		namespace = metav1.NamespaceDefault
	}
	return c.Dynamic.Resource(mapping.Resource).Namespace(namespace), nil
}

// Apply applies a manifest by server-side apply, one object after the other.
func (c *Cluster) Apply(ctx context.Context, manifest string) error {
	objects, err := Parse(manifest)
	if err != nil {
		return err
	}
	for _, object := range objects {
		if err := c.ApplyObject(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

// ApplyObject applies one object.
func (c *Cluster) ApplyObject(ctx context.Context, object *unstructured.Unstructured) error {
	at, err := c.At(object)
	if err != nil {
		return err
	}
	_, err = at.Apply(ctx, object.GetName(), object, metav1.ApplyOptions{FieldManager: manager, Force: true})
	if err != nil {
		err = fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
	}
	return err
}

// ApplyAll applies objects that do not depend on each other, several at once.
func (c *Cluster) ApplyAll(ctx context.Context, objects []*unstructured.Unstructured) error {
	return each(objects, func(object *unstructured.Unstructured) error { return c.ApplyObject(ctx, object) })
}

// CreateAll creates objects that are not there yet, several at once, which costs an API server less
// than applying them. Every thousand it says how many there are.
func (c *Cluster) CreateAll(ctx context.Context, objects []*unstructured.Unstructured, say func(done int)) error {
	var done atomic.Int64
	return each(objects, func(object *unstructured.Unstructured) error {
		at, err := c.At(object)
		if err != nil {
			return err
		}
		if _, err := at.Create(ctx, object, metav1.CreateOptions{FieldManager: manager}); err != nil {
			return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
		if count := done.Add(1); count%1000 == 0 {
			say(int(count))
		}
		return nil
	})
}

// DeleteAll deletes objects, several at once, and waits until they are gone.
func (c *Cluster) DeleteAll(ctx context.Context, objects []*unstructured.Unstructured) error {
	err := each(objects, func(object *unstructured.Unstructured) error {
		at, err := c.At(object)
		if meta.IsNoMatchError(err) {
			return nil // with its kind went every object
		}
		if err != nil {
			return err
		}
		err = at.Delete(ctx, object.GetName(), metav1.DeleteOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, object := range objects {
		gone := func() error {
			at, err := c.At(object)
			if meta.IsNoMatchError(err) {
				return nil
			}
			if err != nil {
				return err
			}
			_, err = at.Get(ctx, object.GetName(), metav1.GetOptions{})
			switch {
			case apierrors.IsNotFound(err):
				return nil
			case err == nil:
				err = errors.New("it is still there")
			}
			return fmt.Errorf("deleting %s %s: %w", object.GetKind(), object.GetName(), err)
		}
		if err := Eventually(ctx, 3*time.Minute, gone); err != nil {
			return err
		}
	}
	return nil
}

// each acts on objects, several at once, until one cannot be acted on.
func each(objects []*unstructured.Unstructured, act func(*unstructured.Unstructured) error) error {
	queue := make(chan *unstructured.Unstructured)
	failed := make(chan error, writers)
	var workers sync.WaitGroup
	for range writers {
		workers.Go(func() {
			for object := range queue {
				if err := act(object); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	var err error
	for _, object := range objects {
		select {
		case queue <- object:
			continue
		case err = <-failed:
		}
		break
	}
	close(queue)
	workers.Wait()
	select {
	case last := <-failed:
		err = errors.Join(err, last)
	default:
	}
	return err
}

// Patch merges a JSON document into an object.
func (c *Cluster) Patch(ctx context.Context, resource schema.GroupVersionResource, namespace, name, patch string) error {
	return c.patch(ctx, resource, namespace, name, types.MergePatchType, patch)
}

// PatchJSON changes an object by the operations of RFC 6902.
func (c *Cluster) PatchJSON(ctx context.Context, resource schema.GroupVersionResource, namespace, name, operations string) error {
	return c.patch(ctx, resource, namespace, name, types.JSONPatchType, operations)
}

func (c *Cluster) patch(ctx context.Context, resource schema.GroupVersionResource, namespace, name string, kind types.PatchType, text string) error {
	_, err := c.Dynamic.Resource(resource).Namespace(namespace).
		Patch(ctx, name, kind, []byte(text), metav1.PatchOptions{FieldManager: manager})
	return err
}

// Eventually asks again and again until the answer is no error, and gives the last one otherwise.
func Eventually(ctx context.Context, limit time.Duration, holds func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := holds()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", limit, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Join makes one manifest of several.
func Join(manifests ...string) string {
	var all bytes.Buffer
	for _, manifest := range manifests {
		fmt.Fprintf(&all, "%s\n---\n", manifest)
	}
	return all.String()
}
