package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/gorilla/websocket"

	"weft.dev/cluster/measure/figures"
)

// Streams are how many streams a client keeps open.
const Streams = 16

// session is a stream that is open: it gives back each message, with the name of the backend in
// front.
type session interface {
	exchange(content string) (string, error)
	close()
}

// sessions keeps streams open and exchanges messages over them in turn. One that breaks is a
// failure, and is opened again by the next exchange.
type sessions struct {
	open  func(number int) (session, error)
	after func()
	slots [Streams]slot
}

type slot struct {
	// turn serialises the exchanges of a stream; it is a channel so that waiting can end.
	turn    chan struct{}
	session session
}

func newSessions(open func(number int) (session, error), after func()) *sessions {
	s := &sessions{open: open, after: after}
	for i := range s.slots {
		s.slots[i].turn = make(chan struct{}, 1)
	}
	return s
}

func (s *sessions) Exchange(ctx context.Context, number int) (Answer, error) {
	at := number % Streams
	slot := &s.slots[at]
	select {
	case slot.turn <- struct{}{}:
		defer func() { <-slot.turn }()
	case <-ctx.Done():
		return Answer{}, ctx.Err()
	}
	if slot.session == nil {
		opened, err := s.open(at)
		if err != nil {
			return Answer{}, fmt.Errorf("opening: %w", err)
		}
		slot.session = opened
	}
	content := fmt.Sprintf("exchange %d", number)
	// Whoever waits longer than the patience gives up on the stream.
	var abandoned sync.Once
	opened := slot.session
	stop := context.AfterFunc(ctx, func() { abandoned.Do(opened.close) })
	echoed, err := opened.exchange(content)
	stop()
	if err != nil {
		abandoned.Do(opened.close)
		slot.session = nil
		if ctx.Err() != nil {
			return Answer{}, ctx.Err()
		}
		return Answer{}, fault{figures.Cut, err}
	}
	backend, found := strings.CutSuffix(echoed, " "+content)
	if !found {
		return Answer{}, fault{figures.WrongBody, errors.New(echoed)}
	}
	return Answer{Backend: backend}, nil
}

func (s *sessions) Close() {
	for i := range s.slots {
		if opened := s.slots[i].session; opened != nil {
			opened.close()
		}
	}
	s.after()
}

type webSocket struct{ conn *websocket.Conn }

func openWebSockets(target Target) (Client, error) {
	dialer := websocket.Dialer{HandshakeTimeout: Patience, NetDialContext: target.dialer()}
	header := http.Header{"Host": {target.Host}}
	open := func(int) (session, error) {
		conn, response, err := dialer.Dial("ws://"+target.Address+"/socket", header)
		if err != nil {
			if response != nil {
				body, _ := io.ReadAll(response.Body) // its beginning, says the dialer
				err = wrongStatus(response, string(body))
			}
			return nil, err
		}
		return webSocket{conn}, nil
	}
	return newSessions(open, func() {}), nil
}

func (w webSocket) exchange(content string) (string, error) {
	if err := w.conn.WriteMessage(websocket.TextMessage, []byte(content)); err != nil {
		return "", err
	}
	_, echoed, err := w.conn.ReadMessage()
	return string(echoed), err
}

func (w webSocket) close() { w.conn.Close() }
