package main

import "net/netip"

// network links host and nodes by one bridge. The host gets nothing beyond that bridge and routes
// over it, so that removing the bridge removes them all: addresses of Services, load balancers
// and pods are the nodes' business, and are translated and filtered inside their namespaces.
func network(all []node) error {
	steps := [][]string{{"ip", "link", "add", bridge, "type", "bridge"}}
	for _, f := range families {
		steps = append(steps, f.ip(withoutDAD(f, "addr", "add", within(f.host(), f.nodes), "dev", bridge)...))
	}
	steps = append(steps, []string{"ip", "link", "set", bridge, "up"})
	for _, n := range all {
		if err := writeFile(n.namespace(), ""); err != nil { // what it is mounted on
			return err
		}
		steps = append(steps, n.link()...)
	}
	for _, f := range families {
		// Any node answers for these; the first one does.
		via := []string{"via", f.node(1).String(), "dev", bridge}
		for _, prefix := range []netip.Prefix{f.services, f.loadBalancers} {
			steps = append(steps, f.ip(append([]string{"route", "add", prefix.String()}, via...)...))
		}
		for _, n := range all {
			to := f.podsOf(n.number).String()
			steps = append(steps, f.ip("route", "add", to, "via", f.node(n.number).String(), "dev", bridge))
			for _, other := range all {
				if other != n {
					steps = append(steps, other.enter(f.ip("route", "add", to, "via", f.node(n.number).String())...))
				}
			}
		}
	}
	for _, step := range steps {
		if err := sh(step...); err != nil {
			return err
		}
	}
	return nil
}

// link makes the node's network namespace and its link to the bridge.
func (n node) link() [][]string {
	steps := [][]string{
		{"unshare", "--net=" + n.namespace(), "true"},
		{"ip", "link", "add", n.name, "type", "veth", "peer", "name", "eth0", "netns", n.namespace()},
		{"ip", "link", "set", n.name, "master", bridge, "up"},
		n.enter("ip", "link", "set", "lo", "up"),
		n.enter("ip", "link", "set", "eth0", "up"),
		n.enter("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"),
		n.enter("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"),
	}
	for _, f := range families {
		address := f.node(n.number)
		steps = append(steps,
			n.enter(f.ip(withoutDAD(f, "addr", "add", within(address, f.nodes), "dev", "eth0")...)...),
			n.enter(f.ip("route", "add", "default", "via", f.host().String())...),
			// A local route makes the node own every load balancer's address, so that those not
			// in use refuse. It needs src: such a route would else make the address its own source.
			n.enter(f.ip("route", "add", "local", f.loadBalancers.String(), "dev", "lo", "src", address.String())...),
		)
	}
	return steps
}

// within is an address with the length of its network, as `ip addr add` wants it.
func within(address netip.Addr, network netip.Prefix) string {
	return netip.PrefixFrom(address, network.Bits()).String()
}

// withoutDAD has an IPv6 address be usable at once; the bed gives no address twice.
func withoutDAD(f family, args ...string) []string {
	if f.nodes.Addr().Is6() {
		return append(args, "nodad")
	}
	return args
}
