package scenario

import (
	"net/netip"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestEveryEndpointOfALargeClusterHasItsOwnAddress(t *testing.T) {
	size := Size{Routes: 10, Services: 500, Endpoints: 100}
	if err := size.check(); err != nil {
		t.Fatal(err)
	}
	network := netip.MustParsePrefix(farNetwork)
	seen := map[string]bool{}
	for _, slice := range size.slices() {
		endpoints, _, _ := unstructured.NestedSlice(slice.Object, "endpoints")
		for _, endpoint := range endpoints {
			addresses, _, _ := unstructured.NestedStringSlice(endpoint.(map[string]any), "addresses")
			address := addresses[0]
			if seen[address] || !network.Contains(netip.MustParseAddr(address)) {
				t.Fatalf("%s is there twice or out of %s", address, network)
			}
			seen[address] = true
		}
	}
	if len(seen) != 50_000 || seen[farAddress(50_000)] {
		t.Errorf("%d addresses, and the next one is used: %t", len(seen), seen[farAddress(50_000)])
	}
}

func TestALargeClusterHasItsLimits(t *testing.T) {
	for _, row := range []struct {
		name string
		size Size
		good bool
	}{
		{"that of the goals", Size{5000, 500, 100}, true},
		{"more endpoints than a slice takes", Size{1, 2, 101}, false},
		{"more endpoints than addresses", Size{1, 640, 100}, false},
		{"no second Service", Size{1, 1, 1}, false},
		{"no routes", Size{0, 2, 1}, false},
	} {
		if err := row.size.check(); (err == nil) != row.good {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}
