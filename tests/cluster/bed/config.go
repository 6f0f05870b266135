package main

import (
	"errors"
	"fmt"
)

// cniPlugins is where Debian's containernetworking-plugins puts them. Nodes have them in /opt/cni/bin.
const cniPlugins = "/usr/lib/cni"

// configure writes what the daemons of a node read.
func (n node) configure(proxyMode string) error {
	return errors.Join(
		writeFile(n.dir("containerd.toml"), n.containerdConfig()),
		writeFile(n.etc("cni", "net.d", "10-bed.conflist"), n.cniConfig()),
		writeFile(n.dir("kubelet.yaml"), n.kubeletConfig()),
		writeFile(n.dir("proxy.yaml"), n.proxyConfig(proxyMode)),
		writeFile(n.dir("resolv.conf"), ""),
		n.makeCgroup(),
	)
}

func (n node) containerdConfig() string {
	return fmt.Sprintf(`version = 2
root = %q
state = %q
[grpc]
  address = %q
[plugins."io.containerd.internal.v1.opt"]
  path = %q
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:3.10"
  netns_mounts_under_state_dir = true
  # Lowering oom_score_adj takes CAP_SYS_RESOURCE, which virtual machines may withhold even from
  # root; runc then dies with "can't get final child's PID from pipe: EOF".
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      Root = %q
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
`, n.dir("containerd"), n.dir("containerd-run"), n.socket(), n.dir("opt"), n.dir("runc"))
}

// cniConfig uses ptp, as kind does: with no bridge between the pods of a node all their traffic is
// routed, so that replies of Services need no br_netfilter.
func (n node) cniConfig() string {
	ranges := ""
	for i, f := range families {
		pods := f.podsOf(n.number)
		if i > 0 {
			ranges += ", "
		}
		ranges += fmt.Sprintf(`[{"subnet": %q, "gateway": %q}]`, pods, at(pods, 1))
	}
	return fmt.Sprintf(`{
  "cniVersion": "0.4.0",
  "name": %q,
  "plugins": [
    {
      "type": "ptp", "ipMasq": false, "mtu": 1500,
      "ipam": {
        "type": "host-local", "dataDir": %q, "ranges": [%s],
        "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]
      }
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`, prefix, n.dir("ipam"), ranges)
}

func (n node) kubeletConfig() string {
	return fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false # some kernels still boot with it
cgroupDriver: cgroupfs
cgroupRoot: /%s
failSwapOn: false
containerRuntimeEndpoint: unix://%s
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: %s}}
authorization: {mode: Webhook}
tlsCertFile: %s
tlsPrivateKeyFile: %s
clusterDNS: [%s]
clusterDomain: cluster.local
resolvConf: %s
podLogsDir: %s
volumePluginDir: %s
imageGCHighThresholdPercent: 100 # images cannot be pulled again
evictionHard: {memory.available: 100Mi, nodefs.available: "0%%", imagefs.available: "0%%", nodefs.inodesFree: "0%%", imagefs.inodesFree: "0%%"}
serializeImagePulls: false
makeIPTablesUtilChains: false
maxPods: 200
syncFrequency: 10s
`, n.name, n.socket(), pki("ca.crt"), pki("kubelet-"+n.name+"-serving.crt"), pki("kubelet-"+n.name+"-serving.key"),
		v4.dns, n.dir("resolv.conf"), n.dir("pod-logs"), n.dir("volume-plugins"))
}

func (n node) proxyConfig(mode string) string {
	pods := pair(func(f family) string { return f.pods.String() })
	return fmt.Sprintf(`apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: %s
clusterCIDR: %s
hostnameOverride: %s
clientConnection: {kubeconfig: %s}
conntrack: {maxPerCore: 0} # a limit of the whole machine
`, mode, pods, n.name, kubeconfig("proxy"))
}
