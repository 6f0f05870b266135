package load

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
)

// lineStream is a connection without any protocol: each line is given back.
type lineStream struct {
	conn  net.Conn
	lines *bufio.Reader
}

func openLines(target Target) (Client, error) {
	open := func(int) (session, error) {
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		conn, err := target.dialer()(ctx, "tcp", target.Lines)
		if err != nil {
			return nil, err
		}
		return lineStream{conn, bufio.NewReader(conn)}, nil
	}
	return newSessions(open, func() {}), nil
}

func (l lineStream) exchange(content string) (string, error) {
	if _, err := fmt.Fprintln(l.conn, content); err != nil {
		return "", err
	}
	echoed, err := l.lines.ReadString('\n')
	return strings.TrimSuffix(echoed, "\n"), err
}

func (l lineStream) close() { l.conn.Close() }
