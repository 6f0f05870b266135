package scenario

import (
	"context"
	"fmt"
	"time"

	core "k8s.io/api/core/v1"

	"weft.dev/cluster/measure/kube"
	"weft.dev/cluster/measure/load"
	"weft.dev/cluster/measure/wire"
)

const (
	tunnelPort = wire.TunnelPort
	// betweenMeshKills is long enough for a worker to be there again ten times over.
	betweenMeshKills = 3 * time.Second
	// againTime is how soon a worker's pods are served again.
	againTime = 200 * time.Millisecond
	// coming is how long a process is waited for that has to start again.
	coming = 10 * time.Second
)

// meshKill ends the processes of nodes, again and again: workers, then workers twice in a row, then
// supervisors. Clients and servers are on different nodes, whose turns alternate.
func meshKill(ctx context.Context, r *Run) error {
	m, err := r.members(ctx, 2)
	if err != nil {
		return err
	}
	sides := []core.Pod{m.Client, m.Servers[0]}
	for _, series := range []struct {
		name  string
		inRow int
	}{{"worker: ", 1}, {"worker twice in a row: ", 2}} {
		step("kill -9 of the worker of either node, %d × %d", r.Kills, series.inRow)
		loops, err := m.begin()
		if err != nil {
			return err
		}
		ended := kills{loops: loops, between: betweenMeshKills, inRow: series.inRow, hops: 2}
		for number := range r.Kills {
			var moment time.Time
			if moment, err = killInRow(ctx, sides[number%2], series.inRow); err != nil {
				end(loops)
				return err
			}
			ended.gone = append(ended.gone, moment)
			time.Sleep(betweenMeshKills)
		}
		r.judgeKills(series.name, ended, againTime)
	}
	return r.killSupervisors(ctx, m, sides)
}

// killInRow ends the worker of a pod, and each that comes in its place as soon as it is there.
func killInRow(ctx context.Context, pod core.Pod, count int) (time.Time, error) {
	var moment time.Time
	last := 0
	for range count {
		var process kube.Process
		err := kube.Eventually(ctx, coming, func() error {
			var err error
			if process, err = worker(pod); err == nil && process.PID == last {
				err = fmt.Errorf("process %d is still there", last)
			}
			return err
		})
		if err != nil {
			return moment, err
		}
		if moment, err = process.Kill(); err != nil {
			return moment, err
		}
		last = process.PID
	}
	return moment, nil
}

// killSupervisors ends supervisors, which nobody may notice.
func (r *Run) killSupervisors(ctx context.Context, m meshed, sides []core.Pod) error {
	step("kill -9 of the supervisor of either node, %d times", r.Kills)
	killed := 0
	var missing error
	outcomes, err := m.whole(func([]*load.Loop) error {
		for number := range r.Kills {
			missing = r.killSupervisor(ctx, sides[number%2])
			if missing != nil {
				return nil // one that does not come back is a figure too
			}
			killed++
			time.Sleep(betweenMeshKills)
		}
		return nil
	})
	if err != nil {
		return err
	}
	what := fmt.Sprintf("supervisor: killed and there again within %s, of %d", coming, r.Kills)
	measured := fmt.Sprint(killed)
	if missing != nil {
		measured += ", then " + missing.Error()
	}
	r.Judge(what, measured, fmt.Sprint(r.Kills), killed == r.Kills)
	r.nothingLost("supervisor", outcomes, false)
	return r.awaitNodeProxies(ctx, 5*time.Minute)
}

func (r *Run) killSupervisor(ctx context.Context, pod core.Pod) error {
	var process kube.Process
	err := kube.Eventually(ctx, coming, func() error {
		var err error
		process, err = r.supervisor(ctx, pod)
		return err
	})
	if err != nil {
		return err
	}
	_, err = process.Kill()
	return err
}
