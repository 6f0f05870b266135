package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Pods are those with the labels that are not about to end.
func (c *Cluster) Pods(ctx context.Context, namespace, selector string) ([]core.Pod, error) {
	list, err := c.API.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list.Items, func(pod core.Pod) bool { return pod.DeletionTimestamp != nil }), nil
}

// AwaitRollout waits until every pod of a Deployment is a ready one of its newest version; pods of
// older versions may still be about to end.
func (c *Cluster) AwaitRollout(ctx context.Context, namespace, name string, limit time.Duration) error {
	return Eventually(ctx, limit, func() error {
		d, err := c.API.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if !isRolledOut(d) {
			return fmt.Errorf("Deployment %s/%s: %d of %d pods updated, %d available", namespace, name,
				d.Status.UpdatedReplicas, *d.Spec.Replicas, d.Status.AvailableReplicas)
		}
		return nil
	})
}

func isRolledOut(d *apps.Deployment) bool {
	wanted := *d.Spec.Replicas
	return d.Status.ObservedGeneration >= d.Generation && d.Status.UpdatedReplicas == wanted &&
		d.Status.Replicas == wanted && d.Status.AvailableReplicas == wanted
}

// Restart replaces the pods of a Deployment as `kubectl rollout restart` does, and waits for the new
// ones.
func (c *Cluster) Restart(ctx context.Context, namespace, name string, limit time.Duration) error {
	_, err := c.API.AppsV1().Deployments(namespace).Patch(ctx, name, types.StrategicMergePatchType, restarted(), metav1.PatchOptions{})
	if err != nil {
		return err
	}
	return c.AwaitRollout(ctx, namespace, name, limit)
}

// RestartDaemons replaces the pods of a DaemonSet in the same way, and waits for the new ones.
func (c *Cluster) RestartDaemons(ctx context.Context, namespace, name string, limit time.Duration) error {
	_, err := c.API.AppsV1().DaemonSets(namespace).Patch(ctx, name, types.StrategicMergePatchType, restarted(), metav1.PatchOptions{})
	if err != nil {
		return err
	}
	return c.AwaitDaemons(ctx, namespace, name, limit)
}

// PatchTemplate changes the pods of a Deployment.
func (c *Cluster) PatchTemplate(ctx context.Context, namespace, name, patch string) error {
	_, err := c.API.AppsV1().Deployments(namespace).Patch(ctx, name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	return err
}

// restarted is another template than any before.
func restarted() []byte {
	const patch = `{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":%q}}}}}`
	return fmt.Appendf(nil, patch, time.Now().Format(time.RFC3339Nano))
}

// templateGeneration is the label by which a pod of a DaemonSet says of which version it is.
const templateGeneration = "pod-template-generation"

// AwaitDaemons waits until every node has a ready pod of the newest version, and others were asked to end: who
// connects before that may be served by one of these, until the end of its drain. The status of a DaemonSet tells
// of the oldest pod of a node, which may be about to end for minutes; so the pods are looked at.
func (c *Cluster) AwaitDaemons(ctx context.Context, namespace, name string, limit time.Duration) error {
	return Eventually(ctx, limit, func() error {
		set, err := c.API.AppsV1().DaemonSets(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		pods, err := c.Pods(ctx, namespace, metav1.FormatLabelSelector(set.Spec.Selector))
		if err != nil {
			return err
		}
		version := set.Annotations[apps.DeprecatedTemplateGeneration]
		wanted, ready, old := int(set.Status.DesiredNumberScheduled), 0, 0
		for _, pod := range pods {
			isNew := pod.Labels[templateGeneration] == version
			if isNew && IsReady(pod) {
				ready++
			}
			if !isNew && pod.DeletionTimestamp == nil {
				old++
			}
		}
		if set.Status.ObservedGeneration < set.Generation || ready < wanted || wanted == 0 {
			return fmt.Errorf("DaemonSet %s: %d of %d new pods are ready", name, ready, wanted)
		}
		if old > 0 {
			return fmt.Errorf("DaemonSet %s: %d pods of an older version were not asked to end", name, old)
		}
		return nil
	})
}

// IsReady says whether a pod is, by its condition.
func IsReady(pod core.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c core.PodCondition) bool {
		return c.Type == core.PodReady && c.Status == core.ConditionTrue
	})
}

// Scale sets the replicas of a Deployment.
func (c *Cluster) Scale(ctx context.Context, namespace, name string, replicas int) error {
	patch := fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas)
	_, err := c.API.AppsV1().Deployments(namespace).
		Patch(ctx, name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "scale")
	return err
}

// Logs of a pod's first container.
func (c *Cluster) Logs(ctx context.Context, pod core.Pod) (string, error) {
	text, err := c.API.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &core.PodLogOptions{}).DoRaw(ctx)
	return string(text), err
}

// Restarts of all containers of pods.
func Restarts(pods []core.Pod) int {
	sum := 0
	for _, pod := range pods {
		for _, container := range pod.Status.ContainerStatuses {
			sum += int(container.RestartCount)
		}
	}
	return sum
}

// Images of pods, with what the runtime knows them by.
func Images(pods []core.Pod) []string {
	var all []string
	for _, pod := range pods {
		for _, container := range pod.Status.ContainerStatuses {
			_, digest, _ := strings.Cut(container.ImageID, "sha256:")
			image := fmt.Sprintf("%s (sha256:%.12s)", container.Image, digest)
			if !slices.Contains(all, image) {
				all = append(all, image)
			}
		}
	}
	return all
}
