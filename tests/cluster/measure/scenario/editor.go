package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// editor edits a good route again and again, and times how long each edit takes to act.
type editor struct {
	halt chan struct{}
	done chan struct{}
	// took and failed belong to the editor until it is done.
	took   []time.Duration
	failed error
}

func startEditor(ctx context.Context, r *Run, e edge) *editor {
	editing := &editor{halt: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(editing.done)
		all := watchers(e)
		for number := 0; ; number++ {
			select {
			case <-editing.halt:
				return
			case <-time.After(200 * time.Millisecond):
			}
			mark := fmt.Sprint("edit ", number)
			sent := time.Now()
			err := r.Patch(ctx, httpRouteKind, namespace, "probe", markPatch(mark))
			if err == nil {
				var seen time.Time
				seen, err = see(ctx, all, "probe.measure", "x-mark", mark)
				editing.took = append(editing.took, seen.Sub(sent))
			}
			if err != nil {
				editing.failed = errors.Join(editing.failed, err)
				return
			}
		}
	}()
	return editing
}

func (e *editor) stop() ([]time.Duration, error) {
	close(e.halt)
	<-e.done
	return e.took, e.failed
}
