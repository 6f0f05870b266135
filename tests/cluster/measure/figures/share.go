package figures

import (
	"math"
	"time"
)

// Step is a write of weights.
type Step struct {
	// Written is when the API server had taken the write.
	Written time.Time
	// Share is what the backend is to get from then on, from 0 to 1.
	Share float64
}

// Judged is what became of a step.
type Judged struct {
	Step
	// Count are the requests of its window, Seen the part of them that came to the backend.
	Count int
	Seen  float64
	// Holds says that what was seen is what chance allows for the share that was asked for.
	Holds bool
}

// sigmas is how far from the wanted share chance may be: a right share is called wrong once in
// 16,000 windows.
const sigmas = 4

// Judge compares what the backend got with what it was to get, between `settling` after each write
// and the next write, or the end.
func Judge(samples []Sample, steps []Step, backend string, settling time.Duration, end time.Time) []Judged {
	var all []Judged
	for i, step := range steps {
		until := end
		if i+1 < len(steps) {
			until = steps[i+1].Written
			// The next write acts before it is acknowledged.
			until = until.Add(-settling)
		}
		window := Between(samples, step.Written.Add(settling), until)
		hits, count := 0, 0
		for _, s := range window {
			if s.Class != OK {
				continue
			}
			count++
			if s.Backend == backend {
				hits++
			}
		}
		seen := 0.0
		if count > 0 {
			seen = float64(hits) / float64(count)
		}
		all = append(all, Judged{step, count, seen, count > 0 && Plausible(hits, count, step.Share)})
	}
	return all
}

// Plausible says whether so many hits of count are what independent draws with the probability
// `share` give. For 0 and 1 there is no tolerance.
func Plausible(hits, count int, share float64) bool {
	if share <= 0 {
		return hits == 0
	}
	if share >= 1 {
		return hits == count
	}
	expected := share * float64(count)
	deviation := math.Sqrt(float64(count) * share * (1 - share))
	return math.Abs(float64(hits)-expected) <= sigmas*deviation+1
}

// LastStray is how long after a write that took a backend everything the last request began that
// still came to it, over all such writes.
func LastStray(samples []Sample, steps []Step, backend string) time.Duration {
	worst := time.Duration(0)
	for i, step := range steps {
		if step.Share != 0 {
			continue
		}
		for _, s := range samples {
			isLater := i+1 < len(steps) && s.Begun.After(steps[i+1].Written.Add(-200*time.Millisecond))
			if s.Backend == backend && s.Begun.After(step.Written) && !isLater {
				worst = max(worst, s.Begun.Sub(step.Written))
			}
		}
	}
	return worst
}
