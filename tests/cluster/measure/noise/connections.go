package noise

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

const (
	// patience is how long anything of a noise may take.
	patience = 10 * time.Second
	// sip is what somebody takes of an answer in a second who hardly reads.
	sip = 1024
)

func dial(ctx context.Context, address string) (*net.TCPConn, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return conn.(*net.TCPConn), conn.SetDeadline(time.Now().Add(patience))
}

// ask sends a request after whose answer the server ends the connection. It is the server, so that no port
// of the client is kept for a minute (TIME-WAIT, RFC 9293 section 3.6).
func ask(conn net.Conn, path string) error {
	_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: sink\r\nConnection: close\r\n\r\n", path)
	return err
}

// connect opens a connection, asks once and reads to the end.
func connect(ctx context.Context, address string) error {
	conn, err := dial(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := ask(conn, "/"); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	if err == nil && !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) {
		err = fmt.Errorf("answered %.60q", answer)
	}
	return err
}

// reset opens a connection, asks and resets it: so close(2) does when nothing may linger (socket(7)).
func reset(ctx context.Context, address string) error {
	conn, err := dial(ctx, address)
	if err != nil {
		return err
	}
	err = errors.Join(conn.SetLinger(0), ask(conn, "/"))
	return errors.Join(err, conn.Close())
}

// hardlyRead asks for far more than it reads. Made is what was asked and answered at all.
func hardlyRead(ctx context.Context, address string, count *Count) error {
	if err := count.turn(ctx); err != nil {
		return err
	}
	conn, err := dial(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := errors.Join(conn.SetReadBuffer(4*sip), ask(conn, "/bytes/1073741824")); err != nil {
		return err
	}
	taken := make([]byte, sip)
	for isFirst := true; ; isFirst = false {
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		if _, err := conn.Read(taken); err != nil {
			return err
		}
		if isFirst {
			count.note(nil)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}
