package main

import "testing"

func TestTheBedKnowsItsOwnProcesses(t *testing.T) {
	for _, row := range []struct {
		name    string
		args    []string
		cgroups string
		want    bool
	}{
		{"a container", []string{"/echo"}, "4:pids:/weft-bed-1/kubepods/pod1/c1\n", true},
		{"a container under cgroup v2", []string{"/echo"}, "0::/weft-bed-2/kubepods/pod1/c1\n", true},
		{"a shim", []string{"/usr/bin/containerd-shim-runc-v2", "-address", "/var/lib/weft-bed/nodes/weft-bed-1/containerd.sock"}, "0::/\n", true},
		{"a daemon", []string{"/cache/kube", "apiserver", "--client-ca-file=/var/lib/weft-bed/pki/ca.crt"}, "0::/\n", true},
		{"another containerd", []string{"containerd"}, "0::/system.slice/containerd.service\n", false},
		{"a pager on a log", []string{"less", "/var/lib/weft-bed/log/etcd.log"}, "0::/user.slice\n", false},
		{"somebody's kubectl", []string{"kube", "kubectl", "--kubeconfig=/var/lib/weft-bed/kubeconfig/admin"}, "0::/user.slice\n", false},
		{"a kernel thread", []string{""}, "0::/\n", false},
	} {
		if got := ofBed(row.args, row.cgroups); got != row.want {
			t.Errorf("%s: owned %t, want %t", row.name, got, row.want)
		}
	}
}
