package kube

import (
	"net"
	"os"
	"slices"
	"testing"
)

const sockets = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:3A99 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000 100 0 0 10 0
   1: 0100007F:3A99 0100007F:D4C2 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000 20 4 30 10 -1
   2: 00000000000000000000000000000000:3AA0 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4713 1 0
   3: cut off
`

func TestListenersAreReadOffTheTableOfSockets(t *testing.T) {
	want := []Listener{{15001, "4711"}, {15008, "4713"}}
	if got := parseListeners(sockets); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestASocketIsFoundWithItsHolderAndShut(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := uint16(listener.Addr().(*net.TCPAddr).Port)
	table, err := os.ReadFile("/proc/self/net/tcp")
	if err != nil {
		t.Skip("this system has no table of sockets")
	}
	all := parseListeners(string(table))
	at := slices.IndexFunc(all, func(l Listener) bool { return l.Port == port })
	if at < 0 {
		t.Fatalf("port %d is not in the table", port)
	}
	holders, err := all[at].Holders()
	if err != nil || len(holders) != 1 || holders[0].PID != os.Getpid() {
		t.Fatalf("holders %+v, %v; want this process", holders, err)
	}
	if err := holders[0].Shut(); err != nil {
		t.Skipf("sockets of processes are not given away here: %v", err)
	}
	if conn, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		conn.Close()
		t.Error("it listens after it was shut")
	}
}
