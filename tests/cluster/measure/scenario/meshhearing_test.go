package scenario

import (
	"slices"
	"strings"
	"testing"
	"time"

	"weft.dev/cluster/measure/figures"
	"weft.dev/cluster/measure/load"
	"weft.dev/cluster/measure/noise"
)

// hearing is silence, a noise of a neighbour in which everything takes so long, and silence.
func hearing(at neighbourhood, took time.Duration, peak map[string]float64) heard {
	const noiseTime = time.Minute
	origin := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	latencies := []time.Duration{time.Millisecond, took, time.Millisecond}
	var all heard
	var samples []figures.Sample
	for i, latency := range latencies {
		from := origin.Add(time.Duration(i) * noiseTime)
		p := phase{from: from, to: from.Add(noiseTime), peak: map[string]float64{"shard": 10, "node": 10}}
		if i == 1 {
			p.at, p.kind, p.peak = at, noise.Kind{Name: "resets", Held: 256}, peak
		}
		all.phases = append(all.phases, p)
		due := from.Add(time.Second)
		samples = append(samples, figures.Sample{Due: due, Begun: due, Ended: due.Add(latency), Class: figures.OK})
	}
	for _, way := range []string{"L4", "routed"} {
		all.outcomes = append(all.outcomes, outcome{load.Mode{Name: way + ", h2"}, slices.Clone(samples)})
	}
	return all
}

func TestNeighboursOfTheMeshAreJudgedByWhatTheyDisturb(t *testing.T) {
	plain, member := neighbourhoods[0], neighbourhoods[2]
	small, large := map[string]float64{"shard": 57, "node": 50}, map[string]float64{"shard": 59, "node": 51}
	for _, row := range []struct {
		name   string
		heard  heard
		missed []string
	}{
		{"twice as long", hearing(member, 2*time.Millisecond, small), nil},
		{"longer", hearing(member, 3*time.Millisecond, small), []string{"p99", "p99"}},
		{"longer without proxies", hearing(plain, 3*time.Millisecond, small), nil},
		{"memory", hearing(member, time.Millisecond, large), []string{"worker", "supervisor"}},
		{"memory without proxies", hearing(plain, time.Millisecond, large), nil},
	} {
		r := &Run{}
		r.judgeNoise(row.heard)
		var missed []string
		for _, judged := range r.Rows {
			if judged.Met != nil && !*judged.Met {
				missed = append(missed, judged.What)
			}
		}
		if len(missed) != len(row.missed) {
			t.Fatalf("%s: missed %q, want %q", row.name, missed, row.missed)
		}
		for i, want := range row.missed {
			if !strings.Contains(missed[i], want) {
				t.Errorf("%s: missed %q, want %q", row.name, missed[i], want)
			}
		}
	}
}

func TestAFailureOfAnyPhaseCounts(t *testing.T) {
	all := hearing(neighbourhoods[2], time.Millisecond, map[string]float64{"shard": 10, "node": 10})
	broken := all.outcomes[0].samples
	broken = append(broken, broken[1])
	broken[3].Class = figures.Reset
	all.outcomes[0].samples = broken
	r := &Run{}
	r.judgeNoise(all)
	missed := 0
	for _, judged := range r.Rows {
		if judged.Met != nil && !*judged.Met {
			missed++
		}
	}
	if missed != 1 {
		t.Errorf("%d goals missed, want that of the failure", missed)
	}
}

func TestNobodyIsFastWhereNobodyIsAnswered(t *testing.T) {
	all := hearing(neighbourhoods[2], time.Millisecond, map[string]float64{"shard": 10, "node": 10})
	all.outcomes[0].samples[1].Class = figures.Timeout
	r := &Run{}
	r.judgeNoise(all)
	if row := r.Rows[1]; row.Met == nil || *row.Met || !strings.Contains(row.Measured, "nobody") {
		t.Errorf("%+v", row)
	}
}

func TestMembersBesideANoiseKeepTheirConnections(t *testing.T) {
	for _, way := range lasting(meshed{}.ways()) {
		for _, mode := range way.modes {
			if mode.Name == "h1 connection per request" {
				t.Errorf("%s dials for each request", way.name)
			}
		}
		if len(way.modes) < 3 {
			t.Errorf("%d kinds of clients are left on %s", len(way.modes), way.name)
		}
	}
}
