package load

import (
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weft.dev/cluster/measure/answer"
	"weft.dev/cluster/measure/figures"
)

// crashing closes every connection that was ever accepted, as the end of a process does. A server
// that is closed leaves those of WebSockets.
type crashing struct {
	net.Listener
	mutex    sync.Mutex
	accepted []net.Conn
}

func (c *crashing) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if err == nil {
		c.accepted = append(c.accepted, conn)
	}
	return conn, err
}

func (c *crashing) crash() {
	c.Close()
	c.cut()
}

func (c *crashing) cut() {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, conn := range c.accepted {
		conn.Close()
	}
}

// serve answers as a backend called blue until the returned function is called.
func serve(t *testing.T) (address, lines string, stop func()) {
	requests, plain := listen(t), listen(t)
	go answer.Server("blue", "").Serve(requests)
	go answer.Lines("blue", plain)
	return requests.Addr().String(), plain.Addr().String(), func() { requests.crash(); plain.crash() }
}

func listen(t *testing.T) *crashing {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return &crashing{Listener: listener}
}

func TestEveryModeKnowsAnAnswerAndALoss(t *testing.T) {
	for _, mode := range append(slices.Clone(Modes), MeshModes...) {
		t.Run(mode.Name, func(t *testing.T) {
			address, lines, stop := serve(t)
			client, err := mode.Open(Target{Address: address, Host: "web.test", GRPCHost: "grpc.test", Lines: lines})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			// Twice over the same stream, and over every one.
			for number := range 2 * max(mode.Streams, 1) {
				got, err := client.Exchange(ctx, number)
				if err != nil || got.Backend != "blue" {
					t.Fatalf("exchange %d: %+v, %v; want an answer of blue", number, got, err)
				}
			}
			stop()
			_, err = client.Exchange(ctx, 0)
			switch class := Classify(err); class {
			case figures.Refused, figures.Reset, figures.Cut:
			default:
				t.Errorf("a server that is gone gives %s: %v", class, err)
			}
		})
	}
}

func TestALoopIsOpen(t *testing.T) {
	address, _, stop := serve(t)
	defer stop()
	loop, err := Start(Modes[0], Target{Address: address}, 200)
	if err != nil {
		t.Fatal(err)
	}
	for loop.Count() < 20 {
		time.Sleep(time.Millisecond)
	}
	samples := loop.Stop()
	for i, s := range samples {
		if s.Class != figures.OK || s.Begun.Before(s.Due) || s.Ended.Before(s.Begun) {
			t.Errorf("exchange %d: %+v", i, s)
		}
	}
}

func TestAKeptConnectionIsMissedWhenNobodySaidThatItWouldEnd(t *testing.T) {
	for _, row := range []struct {
		name string
		end  func(says *atomic.Bool, connections *crashing)
		want int
	}{
		{"it lives", func(*atomic.Bool, *crashing) {}, 0},
		{"it is cut", func(_ *atomic.Bool, connections *crashing) { connections.cut() }, 1},
		{"its end was said", func(says *atomic.Bool, _ *crashing) { says.Store(true) }, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			connections := listen(t)
			defer connections.crash()
			var says atomic.Bool
			go http.Serve(connections, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if says.Load() {
					w.Header().Set("Connection", "close")
				}
				io.WriteString(w, "blue "+r.URL.RequestURI())
			}))
			client, err := openKept(Target{Address: connections.Addr().String()})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			replaced := 0
			ask := func(round int) {
				// The same connection every time.
				got, err := client.Exchange(context.Background(), round*Kept)
				if err != nil {
					t.Fatalf("exchange %d: %v", round, err)
				}
				replaced += got.Replaced
			}
			ask(0)
			row.end(&says, connections)
			for round := 1; round < 4; round++ {
				ask(round)
			}
			if replaced != row.want {
				t.Errorf("%d connections replaced, want %d", replaced, row.want)
			}
		})
	}
}
