// Package answer is the server that measured routes lead to. It says who it is and what it was asked,
// by HTTP/1, HTTP/2 with prior knowledge, WebSocket and the gRPC service of the interoperability
// tests, all on one port.
package answer

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/grpc"
	echo "google.golang.org/grpc/interop/grpc_testing"
)

// From is the header field of an answer with the address the request came from, as this server sees it.
const From = "Came-From"

// many is the beginning of a path whose end says how many bytes the answer has.
const many = "/bytes/"

// Server is one that calls itself by the name.
func Server(name, address string) *http.Server {
	calls := grpc.NewServer()
	echo.RegisterTestServiceServer(calls, service{name: name})
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	answer := func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc"):
			calls.ServeHTTP(w, r)
		case websocket.IsWebSocketUpgrade(r):
			echoMessages(name, w, r)
		case strings.HasPrefix(r.URL.Path, many):
			writeMany(w, r)
		default:
			w.Header().Set(From, r.RemoteAddr)
			io.WriteString(w, name+" "+r.URL.RequestURI())
		}
	}
	return &http.Server{
		Addr: address, Handler: http.HandlerFunc(answer), Protocols: protocols,
		ReadHeaderTimeout: 10 * time.Second,
	}
}

// writeMany answers with as many bytes as it was asked for, as fast as they are taken.
func writeMany(w http.ResponseWriter, r *http.Request) {
	left, err := strconv.ParseInt(strings.TrimPrefix(r.URL.Path, many), 10, 64)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for block := make([]byte, 16<<10); left > 0; left -= int64(len(block)) {
		if _, err := w.Write(block[:min(left, int64(len(block)))]); err != nil {
			return // the client has gone
		}
	}
}

func echoMessages(name string, w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // the client has been told
	}
	defer conn.Close()
	for {
		kind, content, err := conn.ReadMessage()
		if err != nil {
			return // the client has gone
		}
		if err := conn.WriteMessage(kind, append([]byte(name+" "), content...)); err != nil {
			return
		}
	}
}

type service struct {
	echo.UnimplementedTestServiceServer
	name string
}

func (s service) UnaryCall(_ context.Context, request *echo.SimpleRequest) (*echo.SimpleResponse, error) {
	return &echo.SimpleResponse{Payload: request.GetPayload(), ServerId: s.name}, nil
}

func (s service) FullDuplexCall(call grpc.BidiStreamingServer[echo.StreamingOutputCallRequest, echo.StreamingOutputCallResponse]) error {
	for {
		request, err := call.Recv()
		if err != nil {
			return endOf(err)
		}
		body := append([]byte(s.name+" "), request.GetPayload().GetBody()...)
		if err := call.Send(&echo.StreamingOutputCallResponse{Payload: &echo.Payload{Body: body}}); err != nil {
			return err
		}
	}
}

// endOf is nil for a client that has finished.
func endOf(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
