package kube

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestAcceptedMeansByEveryParentAndAsItIsNow(t *testing.T) {
	parent := func(status string, generation int64) any {
		return map[string]any{"conditions": []any{map[string]any{
			"type": "Accepted", "status": status, "reason": "R", "observedGeneration": generation,
		}}}
	}
	for _, row := range []struct {
		name    string
		parents []any
		want    bool
	}{
		{"no status yet", nil, false},
		{"accepted", []any{parent("True", 2)}, true},
		{"an older one was accepted", []any{parent("True", 1)}, false},
		{"refused", []any{parent("False", 2)}, false},
		{"refused by one of two", []any{parent("True", 2), parent("False", 2)}, false},
	} {
		route := &unstructured.Unstructured{Object: map[string]any{
			"metadata": map[string]any{"generation": int64(2)},
			"status":   map[string]any{"parents": row.parents},
		}}
		if got := IsAccepted(route); got != row.want {
			t.Errorf("%s: %t", row.name, got)
		}
	}
}
