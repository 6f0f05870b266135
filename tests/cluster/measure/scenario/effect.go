package scenario

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// patience is how long an effect is waited for.
const patience = 30 * time.Second

// pause between two looks of a watcher: short beside what is measured, long enough to leave the
// processors to what is measured.
const pause = 500 * time.Microsecond

// watcher asks one gateway pod, over one connection.
type watcher struct {
	address   string
	transport *http.Transport
}

// watchers are one for each pod, so that an effect is there when it is there everywhere.
func watchers(e edge) []watcher {
	var all []watcher
	for _, address := range podAddresses(e.Pods) {
		all = append(all, watcher{address, &http.Transport{MaxIdleConnsPerHost: 1, DisableCompression: true}})
	}
	return all
}

// look asks once and returns the status and the value of a header of the answer.
func (w watcher) look(ctx context.Context, host, header string) (status int, value string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.address+"/", nil)
	if err != nil {
		return 0, "", err
	}
	request.Host = host
	response, err := w.transport.RoundTrip(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return 0, "", err
	}
	return response.StatusCode, response.Header.Get(header), nil
}

// see waits until every pod answers 200 with the value, and says when the last one did.
func see(ctx context.Context, all []watcher, host, header, want string) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var mutex sync.Mutex
	var last time.Time
	var failed error
	var looking sync.WaitGroup
	for _, w := range all {
		looking.Go(func() {
			for {
				status, value, err := w.look(ctx, host, header)
				if ctx.Err() != nil {
					err = fmt.Errorf("%s answers %d and %q for %s, want %q: %w", w.address, status, value, host, want, ctx.Err())
				}
				seen := time.Now()
				if err != nil || status == http.StatusOK && value == want {
					mutex.Lock()
					defer mutex.Unlock()
					if err != nil {
						failed = err
					}
					last = later(last, seen)
					return
				}
				time.Sleep(pause)
			}
		})
	}
	looking.Wait()
	return last, failed
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// markedRoute answers for a host and marks the answers.
func markedRoute(name, mark string) string {
	return fmt.Sprintf(`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: %[2]s, namespace: %[1]s}
spec:
  parentRefs: [{name: edge}]
  hostnames: [%[2]s.measure]
  rules:
  - filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-mark, value: "%[3]s"}]}}]
    backendRefs: [{name: blue, port: 8080}]`, namespace, name, mark)
}

// markPatch changes the mark of such a route.
func markPatch(mark string) string {
	return fmt.Sprintf(`{"spec":{"rules":[{"filters":[{"type":"ResponseHeaderModifier","responseHeaderModifier":{"set":[{"name":"x-mark","value":%q}]}}],"backendRefs":[{"name":"blue","port":8080}]}]}}`, mark)
}
