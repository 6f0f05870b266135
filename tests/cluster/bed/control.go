package main

import (
	"errors"
	"os"
)

// etcd and the rest of the control plane run in the network namespace of node 1, so that their
// ports are nobody else's.
const etcd = "http://127.0.0.1:2379"

// startControlPlane starts what the API needs. The kube binary is every program of Kubernetes.
func startControlPlane(kube string, first node) error {
	run := func(name string, flags ...string) error {
		return start(name, first.enter(append([]string{kube, name}, flags...)...)...)
	}
	advertised := v4.node(1).String()
	services := pair(func(f family) string { return f.services.String() })
	return errors.Join(
		run("etcd",
			"--data-dir="+state("etcd"),
			"--listen-client-urls="+etcd, "--advertise-client-urls="+etcd,
			"--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380",
			"--initial-cluster=default=http://127.0.0.1:2380",
			"--unsafe-no-fsync", "--log-level=warn"),
		run("apiserver",
			"--etcd-servers="+etcd, "--advertise-address="+advertised, "--secure-port=6443",
			"--service-cluster-ip-range="+services, "--allow-privileged=true",
			"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
			"--client-ca-file="+pki("ca.crt"), "--tls-cert-file="+pki("apiserver.crt"), "--tls-private-key-file="+pki("apiserver.key"),
			"--kubelet-certificate-authority="+pki("ca.crt"), "--kubelet-preferred-address-types=InternalIP",
			"--kubelet-client-certificate="+pki("apiserver-client.crt"), "--kubelet-client-key="+pki("apiserver-client.key"),
			"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
			"--service-account-key-file="+pki("service-account.key"), "--service-account-signing-key-file="+pki("service-account.key"),
			"--requestheader-client-ca-file="+pki("ca.crt"), "--requestheader-allowed-names=front-proxy",
			"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--proxy-client-cert-file="+pki("front-proxy.crt"), "--proxy-client-key-file="+pki("front-proxy.key")),
	)
}

// startControllers starts what needs the API: controllers, scheduler, load balancer, and on every
// node kubelet and kube-proxy.
func startControllers(kube string, all []node) error {
	run := func(name string, flags ...string) error {
		config := kubeconfig(name)
		flags = append(flags, "--kubeconfig="+config, "--authentication-kubeconfig="+config, "--authorization-kubeconfig="+config, "--leader-elect=false")
		return start(name, all[0].enter(append([]string{kube, name}, flags...)...)...)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	err = errors.Join(
		run("controller-manager",
			"--use-service-account-credentials", "--service-account-private-key-file="+pki("service-account.key"),
			"--root-ca-file="+pki("ca.crt"), "--cluster-signing-cert-file="+pki("ca.crt"), "--cluster-signing-key-file="+pki("ca.key"),
			"--flex-volume-plugin-dir="+state("volume-plugins"),
			"--cluster-cidr="+pair(func(f family) string { return f.pods.String() })),
		run("scheduler"),
		start("load-balancer", self, "load-balancer", kubeconfig("admin")),
	)
	for _, n := range all {
		err = errors.Join(err,
			start("kubelet-"+n.name, n.on(kube, "kubelet", "--config="+n.dir("kubelet.yaml"), "--kubeconfig="+kubeconfig("kubelet-"+n.name),
				"--hostname-override="+n.name, "--node-ip="+n.addrs(), "--root-dir="+n.dir("kubelet"), "--cert-dir="+n.dir("kubelet-pki"))...),
			start("proxy-"+n.name, n.on(kube, "proxy", "--config="+n.dir("proxy.yaml"))...))
	}
	return err
}
