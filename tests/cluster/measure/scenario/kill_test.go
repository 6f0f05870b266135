package scenario

import (
	"testing"
	"time"

	"weft.dev/cluster/measure/figures"
	"weft.dev/cluster/measure/load"
)

func TestOnlyWhatWasUnderWayMayBeLostToAKill(t *testing.T) {
	moment := time.Date(2030, 1, 1, 0, 0, 10, 0, time.UTC)
	sample := func(begun, ended int, class figures.Class) figures.Sample {
		at := func(ms int) time.Time { return moment.Add(time.Duration(ms) * time.Millisecond) }
		return figures.Sample{Due: at(begun), Begun: at(begun), Ended: at(ended), Class: class}
	}
	cut := func(count int) []figures.Sample {
		var all []figures.Sample
		for range count {
			all = append(all, sample(500, 501, figures.Cut))
		}
		return append(all, sample(30, 90, figures.OK))
	}
	requests, streams := load.Mode{Name: "h1"}, load.Mode{Name: "streams", Streams: 3}
	for _, row := range []struct {
		name    string
		mode    load.Mode
		inRow   int
		samples []figures.Sample
		late    int
		again   time.Duration
	}{
		{"under way, and then an answer", requests, 1, []figures.Sample{sample(-5, 1, figures.Reset), sample(3, 80, figures.OK)}, 0, 80 * time.Millisecond},
		{"too soon for a client to know", requests, 1, []figures.Sample{sample(19, 20, figures.Reset), sample(30, 40, figures.OK)}, 0, 40 * time.Millisecond},
		{"begun when it was gone", requests, 1, []figures.Sample{sample(50, 51, figures.Refused), sample(60, 70, figures.OK)}, 1, 70 * time.Millisecond},
		{"nobody answers any more", requests, 1, []figures.Sample{sample(-9, -1, figures.OK), sample(50, 900, figures.Timeout)}, 1, 3 * time.Second},
		{"after the next kill", requests, 1, []figures.Sample{sample(30, 40, figures.OK), sample(2500, 2600, figures.Reset)}, 0, 40 * time.Millisecond},
		{"every stream once", streams, 1, cut(3), 0, 90 * time.Millisecond},
		{"a stream twice", streams, 1, cut(4), 1, 90 * time.Millisecond},
		{"streams by two kills in a row", streams, 2, cut(6), 0, 90 * time.Millisecond},
	} {
		r := &Run{}
		late, again := r.perKill(row.mode, row.samples, kills{gone: []time.Time{moment}, between: 3 * time.Second, inRow: row.inRow, hops: 1})
		if late != row.late || len(again) != 1 || again[0] != row.again {
			t.Errorf("%s: %d late, again after %v; want %d and %s", row.name, late, again, row.late, row.again)
		}
	}
}
