package answer

import (
	"fmt"
	"strings"
	"time"
)

// First is what became of the first request of a pod. It is a line of the pod's log.
type First struct {
	Took  time.Duration
	Class string
}

func (f First) String() string { return fmt.Sprintf("first request: %s %s", f.Took, f.Class) }

// ReadFirst finds it in a log.
func ReadFirst(log string) (First, error) {
	for line := range strings.Lines(log) {
		told, found := strings.CutPrefix(strings.TrimSpace(line), "first request: ")
		if !found {
			continue
		}
		took, class, _ := strings.Cut(told, " ")
		duration, err := time.ParseDuration(took)
		return First{duration, class}, err
	}
	return First{}, fmt.Errorf("nothing of a first request in %q", log)
}
