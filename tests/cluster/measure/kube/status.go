package kube

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Condition is one of a status, of the object itself, of a parent or of a listener.
type Condition struct {
	Type, Status, Reason, Message string
	Generation                    int64
}

func (c Condition) String() string {
	return fmt.Sprintf("%s=%s/%s: %s", c.Type, c.Status, c.Reason, c.Message)
}

// Conditions are all conditions in the status of an object of the Gateway API.
func Conditions(object *unstructured.Unstructured) []Condition {
	var all []Condition
	own, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	all = append(all, conditions(own)...)
	for _, list := range []string{"parents", "listeners", "ancestors"} {
		entries, _, _ := unstructured.NestedSlice(object.Object, "status", list)
		for _, entry := range entries {
			if fields, isMap := entry.(map[string]any); isMap {
				inner, _, _ := unstructured.NestedSlice(fields, "conditions")
				all = append(all, conditions(inner)...)
			}
		}
	}
	return all
}

func conditions(list []any) []Condition {
	var all []Condition
	for _, entry := range list {
		fields, isMap := entry.(map[string]any)
		if !isMap {
			continue
		}
		text := func(name string) string { value, _ := fields[name].(string); return value }
		generation, _ := fields["observedGeneration"].(int64)
		all = append(all, Condition{text("type"), text("status"), text("reason"), text("message"), generation})
	}
	return all
}

// IsAccepted says whether every parent of a route has accepted it as it is now.
func IsAccepted(route *unstructured.Unstructured) bool {
	seen := false
	for _, condition := range Conditions(route) {
		if condition.Type != "Accepted" {
			continue
		}
		seen = true
		if condition.Status != "True" || condition.Generation != route.GetGeneration() {
			return false
		}
	}
	return seen
}
