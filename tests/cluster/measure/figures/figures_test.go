package figures

import (
	"strings"
	"testing"
	"time"
)

var origin = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func at(ms int) time.Time { return origin.Add(time.Duration(ms) * time.Millisecond) }

// exchange is a sample that begins when it is due.
func exchange(begin, end int, class Class, backend string) Sample {
	return Sample{Due: at(begin), Begun: at(begin), Ended: at(end), Class: class, Backend: backend}
}

func TestQuantileIsTheNearestRank(t *testing.T) {
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[99-i] = i + 1
	}
	for _, row := range []struct {
		name   string
		values []int
		q      float64
		want   int
	}{
		{"nothing", nil, 0.5, 0},
		{"one value is every quantile", []int{7}, 0.99, 7},
		{"the median of two is the lower", []int{2, 1}, 0.5, 1},
		{"the 99th of a hundred", hundred, 0.99, 99},
		{"the smallest", hundred, 0, 1},
		{"the largest", hundred, 1, 100},
	} {
		if got := Quantile(row.values, row.q); got != row.want {
			t.Errorf("%s: %d, want %d", row.name, got, row.want)
		}
	}
}

func TestLatencyCountsFromWhenARequestWasDue(t *testing.T) {
	late := Sample{Due: at(0), Begun: at(900), Ended: at(1000), Class: OK}
	failed := exchange(0, 5000, Timeout, "")
	got := Latencies([]Sample{late, failed})
	if len(got) != 1 || got[0] != time.Second {
		t.Errorf("latencies %v, want the whole second of the one that succeeded", got)
	}
}

func TestFailuresAreCountedByClass(t *testing.T) {
	samples := []Sample{exchange(0, 1, OK, "a"), exchange(0, 1, Reset, ""), exchange(0, 1, Reset, ""), exchange(0, 1, Refused, "")}
	failures := Failures(samples)
	if got := Describe(failures); got != "1 refused, 2 reset" {
		t.Errorf("described as %q", got)
	}
	if got := Examples(append(samples, exchange(0, 1, HTTPStatus(503), "")), 1); len(got) != 3 ||
		!strings.HasPrefix(got[0], "reset, begun 00:00:00.000, ended after 1ms: ") || !strings.HasPrefix(got[2], "HTTP 503, ") {
		t.Errorf("examples %q", got)
	}
	if Count(failures) != 3 || Describe(Failures(nil)) != "0" {
		t.Error("the sum or the empty sum is wrong")
	}
}

func TestTheFirstAnswerIsToWhatBeganAfterwards(t *testing.T) {
	samples := []Sample{
		exchange(0, 40, Reset, ""), exchange(10, 30, OK, "a"),
		exchange(30, 90, Refused, ""), exchange(20, 25, Reset, ""),
	}
	if took, found := FirstAnswer(append(samples, exchange(50, 400, OK, "a"), exchange(60, 120, OK, "a")), at(20)); !found || took != 100*time.Millisecond {
		t.Errorf("first answer after %s, want 100ms", took)
	}
	if _, found := FirstAnswer(samples, at(20)); found {
		t.Error("an answer was found that did not begin after the crash")
	}
}

func TestPlausible(t *testing.T) {
	for _, row := range []struct {
		name        string
		hits, count int
		share       float64
		want        bool
	}{
		{"none of none wanted", 0, 500, 0, true},
		{"one stray where none is wanted", 1, 500, 0, false},
		{"all", 500, 500, 1, true},
		{"one missing of all", 499, 500, 1, false},
		{"half", 250, 500, 0.5, true},
		{"chance around half", 280, 500, 0.5, true},
		{"more than chance", 310, 500, 0.5, false},
		{"a tenth for a half", 50, 500, 0.5, false},
	} {
		if got := Plausible(row.hits, row.count, row.share); got != row.want {
			t.Errorf("%s: %t", row.name, got)
		}
	}
}

func TestSharesAreJudgedWithinTheirWindow(t *testing.T) {
	steps := []Step{{at(1000), 0}, {at(3000), 1}}
	var samples []Sample
	for ms := 0; ms < 5000; ms += 10 {
		backend := "a"
		// The first write acts after 50 ms, the second after 150.
		if ms > 1050 && ms < 3150 {
			backend = "b"
		}
		samples = append(samples, exchange(ms, ms+1, OK, backend))
	}
	judged := Judge(samples, steps, "a", 100*time.Millisecond, at(5000))
	if !judged[0].Holds || judged[0].Seen != 0 {
		t.Errorf("a write that acted in time is judged %+v", judged[0])
	}
	if judged[1].Holds || judged[1].Seen == 1 {
		t.Errorf("a write that acted late is judged %+v", judged[1])
	}
	if got := LastStray(samples, steps, "a"); got != 50*time.Millisecond {
		t.Errorf("last stray after %s, want 50ms", got)
	}
	if Judge(nil, steps, "a", 0, at(5000))[0].Holds {
		t.Error("a share without requests is no share")
	}
}
