package noise

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"weft.dev/cluster/measure/answer"
)

// watched is what a pod writes while it makes noise.
type watched struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (w *watched) Write(text []byte) (int, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.text.Write(text)
}

func (w *watched) String() string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.text.String()
}

// listening answers as a backend until the test ends.
func listening(t *testing.T) (address string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := answer.Server("sink", "")
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return listener.Addr().String()
}

func TestEveryNoiseIsMade(t *testing.T) {
	for _, kind := range Kinds {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			var log watched
			address := listening(t)
			go kind.Make(ctx, address, &log)
			for {
				told, err := Read(log.String())
				if err != nil {
					t.Fatal(err)
				}
				if len(told) > 0 && told[len(told)-1].Made > 0 {
					if last := told[len(told)-1]; kind.one != nil && last.Failed > last.Made {
						t.Errorf("more fail than are made: %s", last)
					}
					return
				}
				select {
				case <-ctx.Done():
					t.Fatalf("nothing was made: %s", log.String())
				case <-time.After(50 * time.Millisecond):
				}
			}
		})
	}
}

func TestNoisesAreChosenByName(t *testing.T) {
	for _, row := range []struct{ names, want string }{
		{"", "connections readers resets h2-resets"},
		{"resets,connections", "connections resets"},
	} {
		chosen, err := Chosen(row.names)
		var got []string
		for _, kind := range chosen {
			got = append(got, kind.Name)
		}
		if err != nil || strings.Join(got, " ") != row.want {
			t.Errorf("%q: %v, %v", row.names, got, err)
		}
	}
	if _, err := Chosen("resets,thunder"); err == nil || !strings.Contains(err.Error(), `no noise "thunder"`) {
		t.Errorf("%v", err)
	}
}

func TestWhoHardlyReadsHoldsBackItsServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	writing, written := make(chan struct{}), make(chan struct{})
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(writing)
		answer.Server("sink", "").Handler.ServeHTTP(w, r)
		close(written)
	})}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	ctx, cancel := context.WithCancel(context.Background())
	count := &Count{origin: time.Now()}
	ended := make(chan error)
	go func() { ended <- hardlyRead(ctx, listener.Addr().String(), count) }()
	<-writing
	select {
	case err := <-ended:
		t.Fatalf("it ended: %v", err)
	case <-written:
		t.Fatal("1 GiB was taken")
	case <-time.After(100 * time.Millisecond): // what is taken within that is nothing
	}
	cancel()
	<-ended
}

func TestALogSaysHowFastANoiseWas(t *testing.T) {
	log := "listening\n"
	for _, told := range []Told{
		{After: time.Second, Made: 10},
		{After: 2 * time.Second, Made: 1010, Failed: 1, Why: "dial tcp: refused"},
		{After: 4 * time.Second, Made: 3010, Failed: 5, Why: "dial tcp: refused"},
	} {
		log += told.String() + "\n"
	}
	all, err := Read(log)
	if err != nil || len(all) != 3 || all[2].Why != "dial tcp: refused" {
		t.Fatalf("%+v, %v", all, err)
	}
	if made, failed := Between(all, 2*time.Second); made != 1000 || failed != 2 {
		t.Errorf("%v made and %v failed in a second", made, failed)
	}
	if _, err := Read("noise: soon 1 2 \n"); err == nil {
		t.Error("a line without a time was read")
	}
}

func TestNobodyGoesBeforeTheirTurn(t *testing.T) {
	count := &Count{origin: time.Now().Add(time.Hour)}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if count.turn(ctx) == nil {
		t.Error("a turn of the next hour has come")
	}
	count.origin = time.Now().Add(-time.Hour)
	if err := count.turn(context.Background()); err != nil {
		t.Errorf("whoever is behind waits: %v", err)
	}
}
