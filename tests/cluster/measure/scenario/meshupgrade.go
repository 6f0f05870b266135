package scenario

import (
	"context"
	"fmt"
	"time"

	"weft.dev/cluster/measure/load"
)

// meshUpgrade replaces all of Weft under its members. Nothing of what goes is to be noticed: neither by who
// comes, nor by the connections and streams that were there before and go on to the end of the load, which
// is before that of the drain.
func meshUpgrade(ctx context.Context, r *Run) error {
	m, err := r.members(ctx, 2)
	if err != nil {
		return err
	}
	var began time.Time
	outcomes, err := m.whole(func(loops []*load.Loop) error {
		began = time.Now()
		step("rolling update of the proxies of nodes")
		if err := r.RestartDaemons(ctx, controlNamespace, nodeProxies, 3*time.Minute); err != nil {
			return err
		}
		r.Tell("proxies of both nodes replaced", show(time.Since(began)))
		step("rolling update of the controller")
		if err := r.Restart(ctx, controlNamespace, controller, 3*time.Minute); err != nil {
			return err
		}
		r.Tell("controller replaced too", show(time.Since(began)))
		step("until %d exchanges", r.Exchanges)
		for over(loops) < r.Exchanges && ctx.Err() == nil {
			time.Sleep(time.Second)
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	took := time.Since(began)
	r.Judge("exchanges, since the first proxy was told to go", fmt.Sprintf("%d, %s", len(all(outcomes)), show(took)),
		"before the end of the drain", took < drainLimit)
	r.nothingLost("upgrade", outcomes, false)
	return nil
}
