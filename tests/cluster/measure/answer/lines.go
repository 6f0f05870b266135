package answer

import (
	"bufio"
	"fmt"
	"net"
)

// Lines gives back every line of every connection, with the name in front.
func Lines(name string, listener net.Listener) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			for lines := bufio.NewScanner(conn); lines.Scan(); {
				if _, err := fmt.Fprintf(conn, "%s %s\n", name, lines.Text()); err != nil {
					return // the client has gone
				}
			}
		}()
	}
}
