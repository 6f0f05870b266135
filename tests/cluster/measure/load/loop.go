// Package load puts clients of well-known libraries under an open loop: exchanges begin when they
// are due, however long those before them take, so that a pause of the server is seen by everybody
// who would have come in it.
package load

import (
	"context"
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
	// IsSession says that its exchanges share streams, which stay with one backend.
	IsSession bool
	Open      func(Target) (Client, error)
}

// Target is where clients go.
type Target struct {
	// Address is host and port of the gateway.
	Address string
	// Host is the name that HTTP and WebSocket ask for, GRPCHost that of gRPC.
	Host, GRPCHost string
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

// Modes are all kinds of clients.
var Modes = []Mode{
	{"h1 keep-alive", false, openKeepAlive},
	{"h1 connection per request", false, openPerRequest},
	{"h2", false, openH2},
	{"gRPC unary", false, openUnary},
	{"gRPC stream", true, openStreams},
	{"WebSocket", true, openWebSockets},
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
	sample.Class, sample.Backend, sample.Retries = Classify(err), answer.Backend, answer.Retries
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
