package scenario

import (
	"context"
	"fmt"
	"time"

	"weft.dev/cluster/measure/load"
)

const (
	// crowd is how many pods join the mesh and leave it at once.
	crowd = 50
	// crowdTime is how soon they have done so.
	crowdTime = time.Second
)

// meshCrowd takes fifty running pods into the mesh and out of it, while clients keep connections to them.
func meshCrowd(ctx context.Context, r *Run) error {
	m, err := r.prepareMesh(ctx, crowd-1)
	if err != nil {
		return err
	}
	if err := r.crowd(ctx, m, "joining", true); err != nil {
		return err
	}
	if err := r.crowd(ctx, m, "leaving", false); err != nil {
		return err
	}
	return r.letGo(ctx, m)
}

// crowd changes what the pods are under load, of which nothing may be lost.
func (r *Run) crowd(ctx context.Context, m meshed, name string, isWanted bool) error {
	var took time.Duration
	outcomes, err := m.whole(func([]*load.Loop) error {
		var err error
		took, err = r.enrol(ctx, isWanted)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r.AtMost(fmt.Sprintf("%s: until all of %d pods say so", name, crowd), took, crowdTime)
	r.lostNothing(name, outcomes)
	return nil
}
