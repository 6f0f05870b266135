// Package figures computes what the scenarios report from what was seen. It neither waits nor
// reads a clock, so that everything in it is tested with data.
package figures

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Class says how an exchange went. There are those below and, for answers that are not the right one,
// those of HTTPStatus and GRPCStatus.
type Class string

// What can become of an exchange. Everything but OK is a failure.
const (
	OK        Class = "ok"
	Refused   Class = "refused"       // nobody accepted the connection
	Reset     Class = "reset"         // the connection broke before the answer was there
	Timeout   Class = "timeout"       // no answer in time
	WrongBody Class = "wrong body"    // a good status over content that is not the answer
	Cut       Class = "stream cut"    // a stream or WebSocket ended under an exchange
	Unknown   Class = "unknown error" // what the client says fits none of the others
)

// HTTPStatus is the class of an answer with a status that is not the right one.
func HTTPStatus(status int) Class { return Class("HTTP " + strconv.Itoa(status)) }

// GRPCStatus is that of a call that ended with a status, by the name gRPC gives its code.
func GRPCStatus(code string) Class { return Class("gRPC " + code) }

// Sample is one exchange of an open loop.
type Sample struct {
	// Due is when it should have begun, and what latency counts from.
	Due, Begun, Ended time.Time
	Class             Class
	// Backend is the group of backends that answered.
	Backend string
	// Retries are the attempts that the client's library made beyond the first without being asked.
	Retries int
	// Replaced are the connections kept for it that were gone, though nobody had said that they would end.
	Replaced int
	// Fault is what the client was told, if it failed.
	Fault string
}

// Latency is what somebody had to wait who wanted an answer at that moment.
func (s Sample) Latency() time.Duration { return s.Ended.Sub(s.Due) }

// Latencies are those of the exchanges that succeeded.
func Latencies(samples []Sample) []time.Duration {
	var all []time.Duration
	for _, s := range samples {
		if s.Class == OK {
			all = append(all, s.Latency())
		}
	}
	return all
}

// Quantile is the smallest value that at least the fraction q of all is not above (the nearest
// rank), or 0 without values.
func Quantile[T cmp.Ordered](values []T, q float64) T {
	if len(values) == 0 {
		var none T
		return none
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(q * float64(len(sorted)))
	if float64(rank) < q*float64(len(sorted)) {
		rank++
	}
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// Failures counts the exchanges of every class but OK.
func Failures(samples []Sample) map[Class]int {
	counts := map[Class]int{}
	for _, s := range samples {
		if s.Class != OK {
			counts[s.Class]++
		}
	}
	return counts
}

// Examples are what clients were told by the first failures, at most so many of each class.
func Examples(samples []Sample, perClass int) []string {
	var all []string
	taken := map[Class]int{}
	for _, s := range samples {
		if s.Class == OK || taken[s.Class] == perClass {
			continue
		}
		taken[s.Class]++
		all = append(all, fmt.Sprintf("%s, begun %s, ended after %s: %s", s.Class,
			s.Begun.UTC().Format("15:04:05.000"), s.Ended.Sub(s.Begun).Round(100*time.Microsecond), shorten(s.Fault)))
	}
	return all
}

// longest is how many characters are kept of what a client was told.
const longest = 300

func shorten(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if letters := []rune(text); len(letters) > longest {
		return string(letters[:longest]) + "…"
	}
	return text
}

// Count is the number of failures that Failures has counted.
func Count(failures map[Class]int) int {
	sum := 0
	for _, count := range failures {
		sum += count
	}
	return sum
}

// Describe writes failures by class, in a stable order.
func Describe(failures map[Class]int) string {
	if len(failures) == 0 {
		return "0"
	}
	var parts []string
	for _, class := range slices.Sorted(maps.Keys(failures)) {
		parts = append(parts, strconv.Itoa(failures[class])+" "+string(class))
	}
	return strings.Join(parts, ", ")
}

// Retries is the number of attempts that libraries hid.
func Retries(samples []Sample) int {
	sum := 0
	for _, s := range samples {
		sum += s.Retries
	}
	return sum
}

// Replaced is the number of kept connections that ended although nobody had said so.
func Replaced(samples []Sample) int {
	sum := 0
	for _, s := range samples {
		sum += s.Replaced
	}
	return sum
}

// Between are the samples whose exchange began in the window.
func Between(samples []Sample, from, to time.Time) []Sample {
	var within []Sample
	for _, s := range samples {
		if !s.Begun.Before(from) && s.Begun.Before(to) {
			within = append(within, s)
		}
	}
	return within
}

// FirstAnswer is how long after the moment the first exchange had succeeded that began after it.
func FirstAnswer(samples []Sample, moment time.Time) (time.Duration, bool) {
	best, found := time.Duration(0), false
	for _, s := range samples {
		if s.Class == OK && s.Begun.After(moment) {
			if took := s.Ended.Sub(moment); !found || took < best {
				best, found = took, true
			}
		}
	}
	return best, found
}
