// Command bed runs a real Kubernetes cluster on this machine: no registry, no Docker, nothing of
// it a fake. `cargo x cluster` builds and calls it.
//
//	bed -kube BINARY [-image ARCHIVE…] [-nodes N] [-proxy nftables|iptables] up
//	bed load ARCHIVE…      import docker or OCI archives on every node
//	bed kubectl ARG…       run kubectl as the administrator
//	bed kubeconfig         print the path of the administrator's kubeconfig
//	bed status             nodes and daemons, with their memory; fails when the cluster is not up
//	bed prove              show that the cluster does what tests rely on
//	bed down               stop everything and remove every trace
//	bed check-clean        fail if there is a trace
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
)

func main() {
	log.SetFlags(0)
	keepDescriptors()
	p := plan{}
	flag.StringVar(&p.kube, "kube", "", "binary with the programs of Kubernetes")
	flag.IntVar(&p.nodes, "nodes", 2, "number of nodes, at most nine")
	flag.StringVar(&p.proxyMode, "proxy", "nftables", "mode of kube-proxy")
	flag.Func("image", "archive every node has from the start; may be given several times", func(archive string) error {
		p.images = append(p.images, archive)
		return nil
	})
	flag.Parse()
	err := run(flag.Arg(0), flag.Args(), p)
	if exit, isExit := errors.AsType[*exec.ExitError](err); isExit && flag.Arg(0) == "kubectl" {
		os.Exit(exit.ExitCode()) // it has said why
	}
	if err != nil {
		log.Fatal("bed: ", err)
	}
}

func run(command string, args []string, p plan) error {
	if command == "kubeconfig" {
		fmt.Println(kubeconfig("admin"))
		return nil
	}
	if os.Geteuid() != 0 {
		return errors.New("network namespaces, mounts and cgroups need root; run it as root")
	}
	switch command {
	case "up":
		if p.nodes < 1 || p.nodes > 9 {
			return fmt.Errorf("-nodes %d: want 1 to 9", p.nodes)
		}
		return up(p)
	case "load":
		return load(present(), args[1:])
	case "kubectl":
		cmd := kubectl(state("kube"), args[1:]...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		return cmd.Run()
	case "status":
		return status()
	case "prove":
		return prove()
	case "down":
		return down()
	case "check-clean":
		return checkClean()
	case "node-init": // started by up
		return nodeInit(named(filepath.Base(args[1])))
	case "load-balancer": // started by up
		log.SetFlags(log.LstdFlags)
		return runBalancer(args[1])
	default:
		return fmt.Errorf("no command %q", command)
	}
}

// status prints what runs, and fails unless all of it does.
func status() error {
	names := daemons()
	if len(names) == 0 {
		return errors.New("no cluster is up; `cargo x cluster up` makes one")
	}
	total := 0
	for _, name := range names {
		pid := pidOf(name)
		if pid == 0 {
			fmt.Printf("%-24s dead, see %s\n", name, state("log", name+".log"))
			continue
		}
		total += residentMiB(pid)
		fmt.Printf("%-24s pid %-8d %5d MiB\n", name, pid, residentMiB(pid))
	}
	fmt.Printf("%-24s %18d MiB\n\n", "together", total)
	if !isUp() {
		return errors.New("part of the cluster is dead; `cargo x cluster up` makes a new one")
	}
	cmd := kubectl(state("kube"), "get", "nodes", "-o", "wide")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}
