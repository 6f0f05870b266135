// Package noise is what a pod does that nobody wants beside them: it opens connections, reads none of what
// it has asked for, or ends what it has begun, as fast as it can up to a rate.
package noise

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Rate is how many of each kind a noise aims at in a second.
const Rate = 10_000

// Kind is a noise.
type Kind struct {
	Name  string
	About string
	// Held is how many connections of it are open at a time, at most.
	Held int
	// IsRead says that it needs somebody on the way who reads requests.
	IsRead bool
	// one makes one of it, and says nil if it was made.
	one func(ctx context.Context, address string) error
	// series makes many over one connection, and counts each.
	series func(ctx context.Context, address string, count *Count) error
}

// Kinds are all of them.
var Kinds = []Kind{
	{Name: "connections", About: "new connections, each with one request", Held: 256, one: connect},
	{Name: "readers", About: "answers of 1 GiB that are hardly read", Held: 256, IsRead: true, series: hardlyRead},
	{Name: "resets", About: "connections that are reset once they have asked", Held: 256, one: reset},
	{Name: "h2-resets", About: "HTTP/2 requests that are reset at once", Held: 8, IsRead: true, series: resetStreams},
}

// Of finds a kind by its name.
func Of(name string) (Kind, error) {
	var names []string
	for _, kind := range Kinds {
		if kind.Name == name {
			return kind, nil
		}
		names = append(names, kind.Name)
	}
	return Kind{}, fmt.Errorf("no noise %q; there are %s", name, strings.Join(names, ", "))
}

// Chosen finds kinds by their names with commas between them, in the order of the list; all without a name.
func Chosen(names string) ([]Kind, error) {
	if names == "" {
		return Kinds, nil
	}
	wanted := strings.Split(names, ",")
	for _, name := range wanted {
		if _, err := Of(name); err != nil {
			return nil, err
		}
	}
	unwanted := func(kind Kind) bool { return !slices.Contains(wanted, kind.Name) }
	return slices.DeleteFunc(slices.Clone(Kinds), unwanted), nil
}

// Count is what a noise has done so far.
type Count struct {
	made, failed atomic.Int64
	// why is the last failure.
	why atomic.Value
	// begun is how many have had their turn of the rate.
	begun  atomic.Int64
	origin time.Time
}

// turn waits for the next turn. Whoever is behind does not wait.
func (c *Count) turn(ctx context.Context) error {
	number := c.begun.Add(1)
	due := c.origin.Add(time.Duration(number) * time.Second / Rate)
	if wait := time.Until(due); wait > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	return ctx.Err()
}

func (c *Count) note(err error) {
	if err == nil {
		c.made.Add(1)
		return
	}
	c.failed.Add(1)
	c.why.Store(err.Error())
}

// Make goes on until the context ends, and writes what it has done every second.
func (k Kind) Make(ctx context.Context, address string, log io.Writer) {
	count := &Count{origin: time.Now()}
	var all sync.WaitGroup
	for range k.Held {
		all.Go(func() { k.again(ctx, address, count) })
	}
	for every := time.NewTicker(time.Second); ctx.Err() == nil; {
		select {
		case <-ctx.Done():
			every.Stop()
		case <-every.C:
			fmt.Fprintln(log, count.told())
		}
	}
	all.Wait()
}

// again makes one after the other.
func (k Kind) again(ctx context.Context, address string, count *Count) {
	for ctx.Err() == nil {
		if k.series != nil {
			if err := k.series(ctx, address, count); err != nil && ctx.Err() == nil {
				count.note(err)
			}
			continue
		}
		if count.turn(ctx) == nil {
			count.note(k.one(ctx, address))
		}
	}
}

func (c *Count) told() Told {
	why, _ := c.why.Load().(string)
	return Told{time.Since(c.origin), c.made.Load(), c.failed.Load(), why}
}

// Told is a line of the log of a pod that makes noise: what it has done by then.
type Told struct {
	After        time.Duration
	Made, Failed int64
	// Why is the last failure.
	Why string
}

const mark = "noise: "

func (t Told) String() string {
	return fmt.Sprintf("%s%s %d %d %s", mark, t.After.Round(time.Millisecond), t.Made, t.Failed, t.Why)
}

// Read finds what a pod has told, in order.
func Read(log string) ([]Told, error) {
	var all []Told
	for line := range strings.Lines(log) {
		text, found := strings.CutPrefix(strings.TrimSpace(line), mark)
		if !found {
			continue
		}
		var told Told
		after, rest, _ := strings.Cut(text, " ")
		duration, err := time.ParseDuration(after)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		told.After = duration
		if _, err := fmt.Sscanf(rest, "%d %d", &told.Made, &told.Failed); err != nil {
			return nil, fmt.Errorf("%q: %w", line, err)
		}
		if words := strings.SplitN(rest, " ", 3); len(words) == 3 {
			told.Why = words[2]
		}
		all = append(all, told)
	}
	return all, nil
}

// Between is what was done within a time that ended with the last line: made and failed in a second.
func Between(all []Told, window time.Duration) (made, failed float64) {
	if len(all) < 2 {
		return 0, 0
	}
	last, first := all[len(all)-1], all[0]
	for _, told := range all {
		if told.After <= last.After-window {
			first = told
		}
	}
	seconds := (last.After - first.After).Seconds()
	if seconds <= 0 {
		return 0, 0
	}
	return float64(last.Made-first.Made) / seconds, float64(last.Failed-first.Failed) / seconds
}
