package main

import "testing"

func TestAddressesOfANodeLieInItsPrefixes(t *testing.T) {
	for _, row := range []struct{ name, got, want string }{
		{"host", v4.host().String(), "10.89.0.1"},
		{"host v6", v6.host().String(), "fd00:10:89::1"},
		{"node 2", v4.node(2).String(), "10.89.0.12"},
		{"node 2 v6", v6.node(2).String(), "fd00:10:89::c"},
		{"pods of node 2", v4.podsOf(2).String(), "10.244.2.0/24"},
		{"pods of node 2 v6", v6.podsOf(2).String(), "fd00:10:244:2::/64"},
		{"services", pair(func(f family) string { return f.services.String() }), "10.96.0.0/16,fd00:10:96::/112"},
	} {
		if row.got != row.want {
			t.Errorf("%s: %s, want %s", row.name, row.got, row.want)
		}
	}
	for _, f := range families {
		for number := 1; number <= 9; number++ {
			if !f.nodes.Contains(f.node(number)) || !f.pods.Contains(f.podsOf(number).Addr()) {
				t.Errorf("node %d leaves the plan of addresses", number)
			}
		}
		if !f.services.Contains(at(f.services, 1)) || f.nodes.Overlaps(f.loadBalancers) {
			t.Errorf("the networks of %s overlap", f.nodes)
		}
	}
}
