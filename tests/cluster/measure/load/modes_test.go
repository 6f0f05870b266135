package load

import (
	"context"
	"net"
	"sync"
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
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, conn := range c.accepted {
		conn.Close()
	}
}

// serve answers as a backend called blue until the returned function is called.
func serve(t *testing.T) (address string, stop func()) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	connections := &crashing{Listener: listener}
	go answer.Server("blue", "").Serve(connections)
	return listener.Addr().String(), connections.crash
}

func TestEveryModeKnowsAnAnswerAndALoss(t *testing.T) {
	for _, mode := range Modes {
		t.Run(mode.Name, func(t *testing.T) {
			address, stop := serve(t)
			client, err := mode.Open(Target{Address: address, Host: "web.test", GRPCHost: "grpc.test"})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			// Twice over the same stream, and over every one.
			for number := range 2 * Streams {
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
	address, stop := serve(t)
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
