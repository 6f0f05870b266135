// Command measure shows on a real cluster what Weft promises about edits, load, crashes and
// absences. `cargo x cluster measure` builds and calls it.
//
//	measure [-weft PATH] [-kinds DIR] [-write DIR] [SCENARIO…]
//	measure -list
//
// It uses the cluster of KUBECONFIG, in a namespace of its own which it removes at the end. What it
// kills and whose memory it reads are processes of this machine, as they are on the bed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"weft.dev/cluster/measure/kube"
	"weft.dev/cluster/measure/report"
	"weft.dev/cluster/measure/scenario"
)

func main() {
	log.SetFlags(0)
	var options scenario.Options
	flag.StringVar(&options.Weft, "weft", "weft", "command line of the build under test")
	flag.StringVar(&options.Kinds, "kinds", "../../../crates/api/crds/standard", "directory with the CRDs of the Gateway API")
	flag.IntVar(&options.Rate, "rate", 100, "exchanges per second and kind of client")
	flag.DurationVar(&options.Away, "away", 30*time.Second, "how long the control plane is away")
	flag.DurationVar(&options.Hold, "hold", 20*time.Second, "how long streams are watched after gateway pods were replaced")
	flag.IntVar(&options.Kills, "kills", 5, "how often each kind of process is killed")
	flag.IntVar(&options.Edits, "edits", 200, "how many edits are timed")
	flag.IntVar(&options.Exchanges, "exchanges", 20_000, "how many exchanges, at least, while everything happens at once")
	flag.IntVar(&options.Routes, "routes", 1000, "how many routes many are")
	flag.IntVar(&options.Steps, "steps", 20, "how often weights are moved, 20 at most")
	flag.IntVar(&options.Rotations, "rotations", 3, "how often the root of the mesh is replaced")
	flag.DurationVar(&options.Dwell, "dwell", 0, "how long each phase of a rotation lasts at least, if not as usual; the bed shows pods a ConfigMap within 15s")
	flag.IntVar(&options.Starters, "starters", 20, "how many pods start at once")
	flag.IntVar(&options.Swaps, "swaps", 200, "how often an address goes to another account")
	flag.DurationVar(&options.Noise, "noise", 15*time.Second, "how long each noise of a neighbour is listened to")
	flag.StringVar(&options.Noises, "noises", "", "which noises are listened to, with commas between them; without it all")
	flag.StringVar(&options.Links, "links", "weft-bed-", "interfaces of this machine that lead to nodes, by how their names begin")
	flag.BoolVar(&options.OnlyFailures, "only-failures", false, "judge what is lost and refused, and only tell how long things take")
	flag.IntVar(&options.Large.Routes, "scale-routes", 5000, "routes of the large cluster")
	flag.IntVar(&options.Large.Services, "scale-services", 500, "Services of the large cluster")
	flag.IntVar(&options.Large.Endpoints, "scale-endpoints", 100, "endpoints of each of its Services, 100 at most")
	list := flag.Bool("list", false, "say what can be measured")
	keep := flag.Bool("keep", false, "leave what was made in the cluster")
	write := flag.String("write", "", "directory for measure.json and measure.md")
	results := flag.String("results", "", "file whose block of figures with goals is made anew, as -write says what they are")
	flag.Parse()
	if *list {
		for _, s := range scenario.All {
			fmt.Printf("%-14s %s\n", s.Name, s.About)
		}
		return
	}
	chosen, err := choose(flag.Args())
	if err == nil {
		err = run(chosen, options, keeping{*keep, *write, *results})
	}
	if err != nil {
		log.Fatal("measure: ", err)
	}
}

// choose finds scenarios by name, in the order of the list; without names it is all of them.
func choose(names []string) ([]scenario.Scenario, error) {
	var chosen []scenario.Scenario
	unknown := slices.Clone(names)
	for _, s := range scenario.All {
		if len(names) == 0 || slices.Contains(names, s.Name) {
			chosen = append(chosen, s)
		}
		unknown = slices.DeleteFunc(unknown, func(name string) bool { return name == s.Name })
	}
	if len(unknown) > 0 {
		return nil, fmt.Errorf("no scenario %s; -list names them", strings.Join(unknown, ", "))
	}
	return chosen, nil
}

// keeping says what stays of a run: what it made in the cluster, and where its figures go.
type keeping struct {
	objects        bool
	write, results string
}

func run(chosen []scenario.Scenario, options scenario.Options, keep keeping) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cluster, err := kube.Connect()
	if err != nil {
		return err
	}
	var failed error
	for _, s := range chosen {
		fmt.Printf("%s: %s\n", s.Name, s.About)
		r := &scenario.Run{Cluster: cluster, Options: options}
		begin, busy := time.Now(), report.LoadAverage()
		err := s.Do(ctx, r)
		if !keep.objects {
			// Even when somebody has had enough, what was made goes.
			err = errors.Join(err, r.Clear(context.WithoutCancel(ctx)))
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", s.Name, err))
			fmt.Printf("  %s did not come to its end: %v\n", s.Name, err)
		}
		for _, row := range r.Rows {
			if row.Met != nil && !*row.Met {
				failed = errors.Join(failed, fmt.Errorf("%s: missed: %s: %s, want %s", s.Name, row.What, row.Measured, row.Goal))
			}
		}
		fmt.Printf("  took %s\n", time.Since(begin).Round(time.Second))
		if keep.write != "" && err == nil {
			part := report.Part{Scenario: s.Name, About: s.About, Rows: r.Rows, Images: r.Images, Began: begin, Load: busy, Took: time.Since(begin)}
			failed = errors.Join(failed, report.Write(keep.write, keep.results, part))
		}
	}
	return failed
}
