package main

import (
	"fmt"
	"net/netip"
	"path/filepath"
)

// Everything the bed makes on the machine is found by one of these: a path below stateDir, or a
// name that starts with prefix.
const (
	stateDir = "/var/lib/weft-bed"
	prefix   = "weft-bed"
	bridge   = prefix
)

// family is the plan of addresses of one IP version. The host has the first address of the
// nodes' network, node N the one at firstNode+N-1.
type family struct {
	nodes, services, pods, loadBalancers netip.Prefix
	// dns is the address of cluster DNS, out of services.
	dns string
	// podBits is the length of one node's prefix of pods.
	podBits int
}

const firstNode = 11

var (
	v4 = family{
		nodes:         netip.MustParsePrefix("10.89.0.0/24"),
		services:      netip.MustParsePrefix("10.96.0.0/16"),
		pods:          netip.MustParsePrefix("10.244.0.0/16"),
		loadBalancers: netip.MustParsePrefix("10.89.1.0/24"),
		dns:           "10.96.0.10",
		podBits:       24,
	}
	v6 = family{
		nodes:         netip.MustParsePrefix("fd00:10:89::/64"),
		services:      netip.MustParsePrefix("fd00:10:96::/112"),
		pods:          netip.MustParsePrefix("fd00:10:244::/48"),
		loadBalancers: netip.MustParsePrefix("fd00:10:89:1::/112"),
		podBits:       64,
	}
	families = []family{v4, v6}
)

// at is the address at an offset of the prefix. Offsets are below 256.
func at(p netip.Prefix, offset int) netip.Addr {
	bytes := p.Addr().AsSlice()
	bytes[len(bytes)-1] += byte(offset)
	addr, _ := netip.AddrFromSlice(bytes)
	return addr
}

func (f family) host() netip.Addr { return at(f.nodes, 1) }

func (f family) node(number int) netip.Addr { return at(f.nodes, firstNode+number-1) }

// podsOf is the prefix of the pods of one node: the number fills the last bytes before podBits.
func (f family) podsOf(number int) netip.Prefix {
	bytes := f.pods.Addr().AsSlice()
	bytes[f.podBits/8-1] = byte(number)
	addr, _ := netip.AddrFromSlice(bytes)
	return netip.PrefixFrom(addr, f.podBits)
}

// ip is the ip command for this family.
func (f family) ip(args ...string) []string {
	flag := "-4"
	if f.nodes.Addr().Is6() {
		flag = "-6"
	}
	return append([]string{"ip", flag}, args...)
}

// pair joins what both families have, as Kubernetes wants it: IPv4 first.
func pair(value func(family) string) string {
	return value(v4) + "," + value(v6)
}

// node is one Kubernetes node: namespaces of this machine with their own containerd, kubelet and
// kube-proxy. They share the kernel, and what of the file system is nobody's alone.
type node struct {
	number int
	// name is also that of its cgroup and of the host's end of its link.
	name string
}

func nodes(count int) []node {
	var all []node
	for number := 1; number <= count; number++ {
		all = append(all, node{number, fmt.Sprintf("%s-%d", prefix, number)})
	}
	return all
}

func (n node) addrs() string {
	return pair(func(f family) string { return f.node(n.number).String() })
}

func (n node) dir(parts ...string) string {
	return state(append([]string{"nodes", n.name}, parts...)...)
}

func (n node) socket() string { return n.dir("containerd.sock") }

// namespace is where the node's network namespace is mounted. Not in /run/netns, because `ip netns`
// mounts that directory on itself for good, and `ip netns exec` hides /sys/fs/cgroup.
func (n node) namespace() string { return n.dir("netns") }

// enter prefixes a command so that it runs in the node's network namespace.
func (n node) enter(args ...string) []string {
	return append([]string{"nsenter", "--net=" + n.namespace(), "--"}, args...)
}

// on prefixes a command so that it runs on the node, once that has booted.
func (n node) on(args ...string) []string {
	target := fmt.Sprintf("--target=%d", pidOf(n.daemon()))
	return append([]string{"nsenter", target, "--net", "--mount", "--pid", "--"}, args...)
}

func (n node) ctr(args ...string) error {
	return sh(append([]string{"ctr", "-a", n.socket(), "-n", "k8s.io"}, args...)...)
}

func state(parts ...string) string {
	return filepath.Join(append([]string{stateDir}, parts...)...)
}

func kubeconfig(user string) string { return state("kubeconfig", user) }

// server is where the API server listens: on node 1, as all of the control plane.
func server() string {
	return fmt.Sprintf("https://%s:6443", v4.node(1))
}
