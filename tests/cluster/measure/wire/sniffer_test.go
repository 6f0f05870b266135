package wire

import (
	"encoding/binary"
	"testing"
)

// frame is one of TCP over an IP version, from and to ports.
func frame(version int, from, to uint16) []byte {
	header, kind := make([]byte, 20), uint16(0x0800)
	header[0], header[9] = 0x45, 6
	if version == 6 {
		header, kind = make([]byte, 40), 0x86dd
		header[0], header[6] = 0x60, 6
	}
	all := binary.BigEndian.AppendUint16(make([]byte, 12), kind)
	all = append(all, header...)
	all = binary.BigEndian.AppendUint16(all, from)
	return binary.BigEndian.AppendUint16(all, to)
}

func TestAFrameOfTheTunnelIsKnownByItsPort(t *testing.T) {
	udp := frame(4, 40000, TunnelPort)
	udp[14+9] = 17
	for _, row := range []struct {
		name  string
		frame []byte
		want  bool
	}{
		{"to the tunnel", frame(4, 40000, TunnelPort), true},
		{"from the tunnel", frame(4, TunnelPort, 40000), true},
		{"to the tunnel over IPv6", frame(6, 40000, TunnelPort), true},
		{"to another port", frame(4, 40000, 8080), false},
		{"UDP", udp, false},
		{"cut off", frame(4, 40000, TunnelPort)[:36], false},
		{"nothing", nil, false},
	} {
		if got := hasPort(row.frame, TunnelPort); got != row.want {
			t.Errorf("%s: %t, want %t", row.name, got, row.want)
		}
	}
}
