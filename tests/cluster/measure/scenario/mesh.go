package scenario

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	core "k8s.io/api/core/v1"

	"weft.dev/cluster/measure/answer"
	"weft.dev/cluster/measure/figures"
	"weft.dev/cluster/measure/load"
	"weft.dev/cluster/measure/wire"
)

const (
	// enrolTime is how soon running pods are in the mesh.
	enrolTime = 2 * time.Second
	// meshRate is how many exchanges of each kind begin in a second.
	meshRate = 50
	// inClear is what every request of the load has in its first line, and no other traffic has.
	inClear = "GET /exchange/"
	// watching is how long the links of nodes are looked at.
	watching = 3 * time.Second
)

// mesh takes a namespace into the mesh and out of it again while its pods talk across nodes.
func mesh(ctx context.Context, r *Run) error {
	m, err := r.prepareMesh(ctx, 1)
	if err != nil {
		return err
	}
	if err := r.inTheClear(ctx, m, "before"); err != nil {
		return err
	}
	if err := r.change(ctx, m, "enrol", true); err != nil {
		return err
	}
	if err := r.encrypted(ctx, m); err != nil {
		return err
	}
	if err := r.change(ctx, m, "un-enrol", false); err != nil {
		return err
	}
	if err := r.letGo(ctx, m); err != nil {
		return err
	}
	return r.inTheClear(ctx, m, "afterwards")
}

// change enrols or un-enrols under load, of which nothing may be lost.
func (r *Run) change(ctx context.Context, m meshed, name string, isWanted bool) error {
	var took time.Duration
	outcomes, err := r.meshLoad(m, func() error {
		var err error
		took, err = r.enrol(ctx, isWanted)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	r.AtMost(name+": until every pod says so", took, enrolTime)
	r.lostNothing(name, outcomes)
	return nil
}

// meshLoad runs whoever keeps a connection and whoever does not from the client's pod, before, while and
// after something is done.
func (r *Run) meshLoad(m meshed, act func() error) ([]outcome, error) {
	var loops []*load.Loop
	for _, mode := range load.Modes[:2] {
		loop, err := load.Start(mode, m.target(), meshRate)
		if err != nil {
			return nil, err
		}
		loops = append(loops, loop)
	}
	time.Sleep(lull)
	err := act()
	time.Sleep(lull)
	var outcomes []outcome
	for _, loop := range loops {
		outcomes = append(outcomes, outcome{loop.Mode, loop.Stop()})
	}
	return outcomes, err
}

func (r *Run) lostNothing(name string, outcomes []outcome) {
	for _, o := range outcomes {
		failures := figures.Failures(o.samples)
		what := fmt.Sprintf("%s: %s failed of %d", name, o.mode.Name, len(o.samples))
		r.Judge(what, figures.Describe(failures), "0", len(failures) == 0)
		r.Explain(o.samples)
	}
}

// watch looks at the links of nodes while clients come and go, with connections of their own.
func (r *Run) watch(m meshed) (wire.Seen, []outcome, error) {
	sniffer, err := wire.Listen(r.Links, inClear)
	if err != nil {
		return wire.Seen{}, nil, err
	}
	outcomes, err := r.meshLoad(m, func() error { time.Sleep(watching); return nil })
	seen, stopErr := sniffer.Stop()
	return seen, outcomes, errors.Join(err, stopErr)
}

// inTheClear shows that without the mesh all is as without Weft, and that the links show it.
func (r *Run) inTheClear(ctx context.Context, m meshed, when string) error {
	seen, outcomes, err := r.watch(m)
	if err != nil {
		return err
	}
	r.Judge(when+": requests readable between nodes", fmt.Sprint(seen.Plain), "> 0", seen.Plain > 0)
	r.None(when+": frames of tunnels", int(seen.Tunnel))
	r.lostNothing(when, outcomes)
	_, err = r.ask(ctx, m, m.fromStranger)
	r.Judge(when+": a client outside of the mesh", said(err), "is answered", err == nil)
	return nil
}

// encrypted shows what the mesh is for.
func (r *Run) encrypted(ctx context.Context, m meshed) error {
	seen, outcomes, err := r.watch(m)
	if err != nil {
		return err
	}
	r.None("requests of members readable between nodes", int(seen.Plain))
	r.Judge("frames of their tunnels", fmt.Sprint(seen.Tunnel), "> 0", seen.Tunnel > 0)
	r.lostNothing("members", outcomes)
	from, err := r.ask(ctx, m, m.fromClient)
	host, _, _ := net.SplitHostPort(from)
	r.Judge("address that the server sees", host+said(err), m.Client.Status.PodIP, host == m.Client.Status.PodIP)
	_, err = r.ask(ctx, m, m.fromStranger)
	r.Judge("a client outside of the mesh", said(err), "is refused", isRefused(err))
	return nil
}

func said(err error) string {
	if err == nil {
		return ""
	}
	return string(load.Classify(err))
}

func isRefused(err error) bool {
	class := load.Classify(err)
	return class == figures.Refused || class == figures.Reset
}

// ask sends one request from somewhere, and says which address the server saw.
func (r *Run) ask(ctx context.Context, m meshed, dial load.Dialer) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, load.Patience)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: dial}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.Address+"/", nil)
	if err != nil {
		return "", err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return "", err
	}
	return response.Header.Get(answer.From), response.Body.Close()
}

// tablesLeft counts pods with packet rules of Weft.
func tablesLeft(pods []core.Pod) (int, error) {
	left := 0
	for _, pod := range pods {
		tables, err := run(pod, "nft", "list", "tables")
		if err != nil {
			return 0, err
		}
		if strings.Contains(tables, "weft") {
			left++
		}
	}
	return left, nil
}
