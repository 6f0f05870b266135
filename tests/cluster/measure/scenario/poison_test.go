package scenario

import (
	"testing"

	"weft.dev/cluster/measure/kube"
)

func TestPoisonIsDistinctAndSaysWhatItExpects(t *testing.T) {
	objects, err := poisonObjects()
	if err != nil {
		t.Fatal(err)
	}
	if len(objects) < 50 {
		t.Errorf("%d objects, want 50 at least", len(objects))
	}
	seen := map[string]bool{}
	for _, object := range objects {
		key := object.GetKind() + " " + object.GetNamespace() + "/" + object.GetName()
		if seen[key] {
			t.Errorf("%s stands there twice", key)
		}
		seen[key] = true
		switch object.GetAnnotations()[verdictAnnotation] {
		case refused, taken, "judged":
		default:
			t.Errorf("%s does not say what its status is to say", key)
		}
	}
}

func TestTold(t *testing.T) {
	condition := func(kind, status, message string) kube.Condition {
		return kube.Condition{Type: kind, Status: status, Reason: "R", Message: message, Generation: 3}
	}
	accepted := condition("Accepted", "True", "")
	for _, row := range []struct {
		name       string
		conditions []kube.Condition
		verdict    string
		want       bool
	}{
		{"silence", nil, "judged", false},
		{"a refusal with its reason", []kube.Condition{condition("Accepted", "False", "why")}, refused, true},
		{"a refusal without words", []kube.Condition{condition("Accepted", "False", "")}, refused, false},
		{"a rule left out", []kube.Condition{accepted, condition("PartiallyInvalid", "True", "why")}, refused, true},
		{"poison that is taken", []kube.Condition{accepted}, refused, false},
		{"what is taken", []kube.Condition{accepted, condition("Conflicted", "False", "")}, taken, true},
		{"what should be taken", []kube.Condition{accepted, condition("ResolvedRefs", "False", "why")}, taken, false},
		{"either", []kube.Condition{accepted}, "judged", true},
		{"an old verdict", []kube.Condition{{Type: "Accepted", Status: "False", Message: "why", Generation: 2}}, refused, false},
	} {
		if err := told(row.conditions, 3, row.verdict); (err == nil) != row.want {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}
