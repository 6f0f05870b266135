// Package load puts clients of well-known libraries under an open loop: exchanges begin when they
// are due, however long those before them take, so that a pause of the server is seen by everybody
// who would have come in it.
package load

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"weft.dev/cluster/measure/figures"
)

// Patience is how long a client waits for an answer, as many do.
const Patience = 10 * time.Second

// Answer is what a good exchange gives.
type Answer struct {
	// Backend is the group of the backend that answered.
	Backend string
	// Retries are attempts of the library beyond the first.
	Retries int
	// Replaced are the connections that the client had kept for it and found gone, though nobody had said
	// that they would end.
	Replaced int
	// isLast says that the server ends the connection after this answer.
	isLast bool
}

// Client is one kind of client of the gateway.
type Client interface {
	// Exchange asks and checks the answer. It is called by many at once; number is another one in
	// every call.
	Exchange(ctx context.Context, number int) (Answer, error)
	Close()
}

// Mode is a kind of client with its name.
type Mode struct {
	Name string
	// Streams are how many a client keeps open and exchanges over in turn; each stays with one backend.
	// It is 0 where exchanges stand alone.
	Streams int
	Open    func(Target) (Client, error)
	// DialsAlways says that each exchange has a connection of its own.
	DialsAlways bool
}

// IsSession says that exchanges share streams.
func (m Mode) IsSession() bool { return m.Streams > 0 }

// Target is where clients go.
type Target struct {
	// Address is host and port of the gateway.
	Address string
	// Host is the name that HTTP and WebSocket ask for, GRPCHost that of gRPC.
	Host, GRPCHost string
	// Lines is host and port of what answers lines without any protocol; not every target has it.
	Lines string
	// Dial makes connections where the clients are; without it that is here.
	Dial Dialer
}

// Dialer makes a connection, as net.Dialer does.
type Dialer func(ctx context.Context, network, address string) (net.Conn, error)

func (t Target) dialer() Dialer {
	if t.Dial != nil {
		return t.Dial
	}
	return (&net.Dialer{}).DialContext
}

// Modes are the kinds of clients of a gateway.
var Modes = []Mode{
	{"h1 keep-alive", 0, openKeepAlive, false},
	{"h1 connection per request", 0, openPerRequest, true},
	{"h2", 0, openH2, false},
	{"gRPC unary", 0, openUnary, false},
	{"gRPC stream", Streams, openStreams, false},
	{"WebSocket", Streams, openWebSockets, false},
}

// MeshModes are those of a mesh, where every connection that is kept has to be. The last of them knows no
// HTTP.
var MeshModes = []Mode{
	{fmt.Sprintf("h1, %d kept connections", Kept), 0, openKept, false},
	{"h1 connection per request", 0, openPerRequest, true},
	{"h2", 0, openH2, false},
	{"gRPC stream", Streams, openStreams, false},
	{"TCP stream", Streams, openLines, false},
}

// Loop is a client under a constant rate of arrivals.
type Loop struct {
	Mode   Mode
	client Client
	stop   context.CancelFunc
	done   chan struct{}

	mutex   sync.Mutex
	samples []figures.Sample
}

// Start begins an open loop of so many exchanges per second.
func Start(mode Mode, target Target, rate int) (*Loop, error) {
	client, err := mode.Open(target)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	loop := &Loop{Mode: mode, client: client, stop: stop, done: make(chan struct{})}
	go loop.run(ctx, time.Second/time.Duration(rate))
	return loop, nil
}

func (l *Loop) run(ctx context.Context, every time.Duration) {
	defer close(l.done)
	var pending sync.WaitGroup
	defer pending.Wait()
	begin := time.Now()
	for number := 0; ; number++ {
		due := begin.Add(time.Duration(number) * every)
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(due)):
		}
		pending.Go(func() { l.one(number, due) })
	}
}

func (l *Loop) one(number int, due time.Time) {
	ctx, cancel := context.WithDeadline(context.Background(), due.Add(Patience))
	defer cancel()
	sample := figures.Sample{Due: due, Begun: time.Now()}
	answer, err := l.client.Exchange(ctx, number)
	sample.Ended = time.Now()
	sample.Class, sample.Backend = Classify(err), answer.Backend
	sample.Retries, sample.Replaced = answer.Retries, answer.Replaced
	if err != nil {
		sample.Fault = err.Error()
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.samples = append(l.samples, sample)
}

// Count is the number of exchanges that are over.
func (l *Loop) Count() int {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return len(l.samples)
}

// Stop ends the arrivals, waits for what is under way and returns all samples.
func (l *Loop) Stop() []figures.Sample {
	l.stop()
	<-l.done
	l.client.Close()
	return l.samples
}
