package scenario

import (
	"testing"

	core "k8s.io/api/core/v1"
)

func TestAnAddressChangesHandsWhenAnotherAccountHasIt(t *testing.T) {
	owners := map[string]string{}
	pod := func(address, account string) core.Pod {
		return core.Pod{Spec: core.PodSpec{ServiceAccountName: account}, Status: core.PodStatus{PodIP: address}}
	}
	for _, row := range []struct {
		name string
		pods []core.Pod
		want int
	}{
		{"nobody had them", []core.Pod{pod("10.0.0.1", "red"), pod("10.0.0.2", "blue")}, 0},
		{"the same have them", []core.Pod{pod("10.0.0.1", "red"), pod("10.0.0.2", "blue")}, 0},
		{"one changes", []core.Pod{pod("10.0.0.1", "blue"), pod("10.0.0.2", "blue"), pod("10.0.0.3", "red")}, 1},
		{"and back, after nobody had it", []core.Pod{pod("10.0.0.1", "red")}, 1},
	} {
		if got := changeHands(owners, row.pods); got != row.want {
			t.Errorf("%s: %d, want %d", row.name, got, row.want)
		}
	}
}
