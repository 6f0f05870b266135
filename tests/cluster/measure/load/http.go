package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/net/http2"

	"weft.dev/cluster/measure/figures"
)

// connections of one HTTP/2 client, so that both replicas of a gateway have some.
const connections = 4

type httpClient struct {
	target     Target
	transports []http.RoundTripper
	close      func()
}

func openKeepAlive(target Target) (Client, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true, DialContext: target.dialer()}
	return &httpClient{target, []http.RoundTripper{transport}, transport.CloseIdleConnections}, nil
}

func openPerRequest(target Target) (Client, error) {
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true, DialContext: target.dialer()}
	return &httpClient{target, []http.RoundTripper{transport}, transport.CloseIdleConnections}, nil
}

func openH2(target Target) (Client, error) {
	c := &httpClient{target: target}
	var all []*http2.Transport
	for range connections {
		transport := &http2.Transport{
			AllowHTTP:          true,
			DisableCompression: true,
			DialTLSContext: func(ctx context.Context, network, address string, _ *tls.Config) (net.Conn, error) {
				return target.dialer()(ctx, network, address)
			},
		}
		all = append(all, transport)
		c.transports = append(c.transports, transport)
	}
	c.close = func() {
		for _, transport := range all {
			transport.CloseIdleConnections()
		}
	}
	return c, nil
}

func (c *httpClient) Close() { c.close() }

// Exchange asks for a path that nobody else asks for, so that an answer to another request is seen.
func (c *httpClient) Exchange(ctx context.Context, number int) (Answer, error) {
	path := fmt.Sprintf("/exchange/%d", number)
	transport := c.transports[number%len(c.transports)]
	return Get(ctx, transport, c.target.Address, c.target.Host, path)
}

// wrongStatus keeps what says who gave the answer and why: its headers, and the beginning of what it
// tells people.
func wrongStatus(response *http.Response, body string) error {
	var headers []string
	for name := range response.Header {
		headers = append(headers, name+": "+response.Header.Get(name))
	}
	slices.Sort(headers)
	told := strings.Join(append(headers, body), "; ")
	return fault{figures.HTTPStatus(response.StatusCode), fmt.Errorf("%s; %s", response.Status, told)}
}

// Get asks a backend of ours for a path and checks that the answer is one to this question.
func Get(ctx context.Context, transport http.RoundTripper, address, host, path string) (Answer, error) {
	var attempts atomic.Int32
	trace := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { attempts.Add(1) }}
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, trace), http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return Answer{}, err
	}
	request.Host = host
	response, err := transport.RoundTrip(request)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	switch {
	case response.StatusCode != http.StatusOK:
		return Answer{}, wrongStatus(response, string(body))
	case err != nil:
		return Answer{}, err
	}
	backend, asked, _ := strings.Cut(string(body), " ")
	if asked != path {
		return Answer{}, fault{figures.WrongBody, errors.New(string(body))}
	}
	return Answer{Backend: backend, Retries: max(int(attempts.Load())-1, 0), isLast: response.Close}, nil
}
