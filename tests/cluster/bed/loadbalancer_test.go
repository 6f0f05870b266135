package main

import (
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
)

func TestAddressesOfLoadBalancers(t *testing.T) {
	both := []v1.IPFamily{v1.IPv4Protocol, v1.IPv6Protocol}
	for _, row := range []struct {
		name     string
		families []v1.IPFamily
		asked    string
		taken    string
		want     string // empty: none
	}{
		{"the first free one", both[:1], "", "10.89.1.1", "10.89.1.2"},
		{"one per family", both, "", "", "10.89.1.1 fd00:10:89:1::1"},
		{"the one asked for", both[:1], "10.89.1.200", "", "10.89.1.200"},
		{"the one asked for, and one of the other family", both, "fd00:10:89:1::7", "", "10.89.1.1 fd00:10:89:1::7"},
		{"asked for and taken", both[:1], "10.89.1.200", "10.89.1.200", ""},
		{"asked for and not ours", both[:1], "192.0.2.250", "", ""},
	} {
		s := &v1.Service{Spec: v1.ServiceSpec{IPFamilies: row.families, LoadBalancerIP: row.asked}}
		ips, err := pick(s, map[string]bool{row.taken: true})
		if got := strings.Join(ips, " "); got != row.want || (err != nil) != (row.want == "") {
			t.Errorf("%s: %q (%v), want %q", row.name, got, err, row.want)
		}
	}
	all := map[string]bool{}
	for range 254 {
		all[firstFree(v4.loadBalancers, all)] = true
	}
	if free := firstFree(v4.loadBalancers, all); free != "" {
		t.Errorf("%s was given out of a full network", free)
	}
}
