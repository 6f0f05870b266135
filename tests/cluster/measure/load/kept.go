package load

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
)

// Kept is how many connections a client keeps that is there to see them last.
const Kept = 200

// keeper has many connections and uses them in turn, so that each is idle most of the time, as in a pool.
type keeper struct {
	target Target
	lines  [Kept]line
}

// line is one of the connections.
type line struct {
	transport *http.Transport
	// isKnown says that there was one before, isEnding that the server said this one ends.
	isKnown, isEnding atomic.Bool
	replaced          atomic.Int32
}

func openKept(target Target) (Client, error) {
	k := &keeper{target: target}
	for i := range k.lines {
		at := &k.lines[i]
		at.transport = &http.Transport{MaxConnsPerHost: 1, DisableCompression: true, DialContext: at.dialer(target.dialer())}
	}
	return k, nil
}

// dialer counts the connections that take the place of one whose end nobody had said.
func (l *line) dialer(dial Dialer) Dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err == nil && l.isKnown.Swap(true) && !l.isEnding.Swap(false) {
			l.replaced.Add(1)
		}
		return conn, err
	}
}

func (k *keeper) Exchange(ctx context.Context, number int) (Answer, error) {
	at := &k.lines[number%Kept]
	answer, err := Get(ctx, at.transport, k.target.Address, k.target.Host, fmt.Sprintf("/exchange/%d", number))
	if answer.isLast {
		at.isEnding.Store(true)
	}
	answer.Replaced = int(at.replaced.Swap(0))
	return answer, err
}

func (k *keeper) Close() {
	for i := range k.lines {
		k.lines[i].transport.CloseIdleConnections()
	}
}
