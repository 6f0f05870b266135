// Package scenario holds what is measured on a cluster: each scenario prepares it, does what its
// name says under the eyes of clients, and compares what they saw with a goal.
package scenario

import (
	"context"
	"fmt"
	"strings"
	"time"

	"weft.dev/cluster/measure/figures"
	"weft.dev/cluster/measure/kube"
)

// Options are what a run can be told.
type Options struct {
	// Weft is the command line of the build under test.
	Weft string
	// Kinds is the directory with the CRDs of the Gateway API.
	Kinds string
	// Rate is the number of exchanges per second and kind of client.
	Rate int
	// Away is how long the control plane is away.
	Away time.Duration
	// Kills is how often the worker is killed.
	Kills int
	// Edits is how many edits are timed.
	Edits int
	// Exchanges are how many have to go well while everything happens at once.
	Exchanges int
	// Routes is how many routes many are.
	Routes int
	// Hold is how long streams are watched after gateway pods were replaced.
	Hold time.Duration
	// Steps is how often weights are moved.
	Steps int
	// Rotations is how often the root of the mesh is replaced.
	Rotations int
	// Dwell is how long each phase of a rotation lasts at least, if it is to last something else than usual.
	Dwell time.Duration
	// Starters are the pods that start at once.
	Starters int
	// Swaps are how often an address goes to another account.
	Swaps int
	// Noise is how long each noise of a neighbour is listened to, and how long silence is.
	Noise time.Duration
	// Noises are those that are listened to, with commas between them; empty for all.
	Noises string
	// OnlyFailures tells how long things took and judges only what was lost and refused, for machines
	// whose speed nobody knows.
	OnlyFailures bool
	// Links are the interfaces of this machine that lead to nodes, by how their names begin.
	Links string
	// Large is how large the cluster of `scale` is.
	Large Size
}

// Size is what a large cluster has.
type Size struct {
	// Routes refer to Services, each of which has so many Endpoints.
	Routes, Services, Endpoints int
}

// Row is one figure with what was wanted.
type Row struct {
	What     string `json:"what"`
	Measured string `json:"measured"`
	Goal     string `json:"goal,omitempty"`
	// Examples are some of the failures that were counted, as the clients were told them.
	Examples []string `json:"examples,omitempty"`
	// Met is absent for what is told without a goal.
	Met *bool `json:"met,omitempty"`
}

// Run is one scenario under way.
type Run struct {
	*kube.Cluster
	Options
	Rows []Row
	// Images are those of the pods that were measured.
	Images []string
}

// Scenario is something to measure.
type Scenario struct {
	Name  string
	About string
	Do    func(context.Context, *Run) error
}

// All are the scenarios, in the order in which they disturb each other least.
var All = []Scenario{
	{"first-light", "from a cluster without Weft to the first answer of a Gateway", firstLight},
	{"edits", "how long edits of routes take to act, alone and among many", edits},
	{"churn", "CPU and memory of controller and proxies, idle and while many routes are edited", churn},
	{"scale", "a large cluster: until all routes serve, memory per endpoint, the price of changes", scale},
	{"upgrades", "constant load of six kinds while weights, gateways, controllers and backends change", upgrades},
	{"kill", "kill -9 of the process that serves, of a Gateway with one pod", kill},
	{"absence", "no control plane, then no API server either", absence},
	{"mesh", "a namespace joins the mesh and leaves it while its pods talk across nodes", mesh},
	{"mesh-cpu", "processor time and memory of the proxies for what passes between two nodes", meshCPU},
	{"mesh-crowd", "fifty running pods join the mesh and leave it at once, under the load of all clients", meshCrowd},
	{"mesh-kill", "kill -9 of the workers and supervisors of nodes, also twice in a row", meshKill},
	{"mesh-upgrade", "proxies of nodes and controller are replaced under connections that stay", meshUpgrade},
	{"mesh-absence", "no controller while a server goes and another comes", meshAbsence},
	{"mesh-rotate", "another root for the mesh, while its members talk", meshRotate},
	{"mesh-repair", "packet rules, routes and listeners of pods are damaged behind Weft's back", meshRepair},
	{"mesh-race", "pods of the mesh that start all at once, and what of theirs can be read between nodes", meshRace},
	{"mesh-neighbour", "what pods notice of a neighbour that floods, hardly reads or resets what it begins", meshNeighbour},
	{"mesh-reuse", "addresses of pods go to pods of another account", meshReuse},
	{"poison", "hostile objects come and go while good routes are edited and used", poison},
	{"uninstall", "what is left of Weft after it was removed", uninstall},
}

// Judge notes a figure that has a goal.
func (r *Run) Judge(what, measured, goal string, met bool) {
	r.Rows = append(r.Rows, Row{What: what, Measured: measured, Goal: goal, Met: &met})
	verdict := "met"
	if !met {
		verdict = "MISSED"
	}
	fmt.Printf("    %-62s %-28s %-28s %s\n", what, measured, goal, verdict)
}

// Tell notes a figure that has none.
func (r *Run) Tell(what, measured string) {
	r.Rows = append(r.Rows, Row{What: what, Measured: measured})
	fmt.Printf("    %-62s %s\n", what, measured)
}

// AtMost notes a duration that is to be at most another.
func (r *Run) AtMost(what string, measured, goal time.Duration) {
	if r.OnlyFailures {
		r.Tell(what, show(measured))
		return
	}
	r.Judge(what, show(measured), "≤ "+show(goal), measured <= goal)
}

// examplesPerClass is how many failures of one class are kept with a figure.
const examplesPerClass = 3

// Explain keeps some failures with the figure that was noted last, so that one can begin to look for
// the cause.
func (r *Run) Explain(samples []figures.Sample) {
	row := &r.Rows[len(r.Rows)-1]
	row.Examples = figures.Examples(samples, examplesPerClass)
	for _, example := range row.Examples {
		fmt.Printf("      %s\n", example)
	}
}

// None notes a number that is to be zero.
func (r *Run) None(what string, count int) {
	r.Judge(what, fmt.Sprint(count), "0", count == 0)
}

// show writes a duration with three digits.
func show(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d.Abs() >= time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	default:
		return fmt.Sprintf("%d µs", d.Microseconds())
	}
}

// shows writes durations one after the other.
func shows(all []time.Duration) string {
	var words []string
	for _, d := range all {
		words = append(words, show(d))
	}
	return strings.Join(words, ", ")
}

func step(format string, args ...any) {
	fmt.Printf("  %s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}
