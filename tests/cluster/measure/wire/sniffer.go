// Package wire looks at what travels between the nodes of the bed, which is a bridge of this machine.
package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Sniffer reads every frame of the links of nodes until it is stopped.
type Sniffer struct {
	marker []byte
	socket int
	done   chan struct{}
	failed error

	plain, tunnel atomic.Int64
	isOver        atomic.Bool
}

// Seen is what a sniffer has seen.
type Seen struct {
	// Plain are the frames that hold the marker in clear, Tunnel those from or to the port.
	Plain, Tunnel int64
}

// TunnelPort is where members of the mesh take what is meant for them.
const TunnelPort = 15008

// Listen begins to read the links of which the names begin so, and looks for the marker.
func Listen(links, marker string) (*Sniffer, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	wanted := map[int]bool{}
	for _, link := range all {
		if strings.HasPrefix(link.Name, links) {
			wanted[link.Index] = true
		}
	}
	if len(wanted) == 0 {
		return nil, fmt.Errorf("this machine has no link %s…: what travels between nodes is seen on the bed only", links)
	}
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(networkOrder(unix.ETH_P_ALL)))
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	// The loop looks several times a second whether it is to end.
	limit := unix.NsecToTimeval((100 * time.Millisecond).Nanoseconds())
	err = errors.Join(
		unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit),
		unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_RCVBUF, 64<<20),
	)
	if err != nil {
		return nil, errors.Join(err, unix.Close(socket))
	}
	s := &Sniffer{marker: []byte(marker), socket: socket, done: make(chan struct{})}
	go s.read(wanted)
	return s, nil
}

func networkOrder(value uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, value))
}

func (s *Sniffer) read(wanted map[int]bool) {
	defer close(s.done)
	frame := make([]byte, 64<<10)
	for !s.isOver.Load() {
		length, from, err := unix.Recvfrom(s.socket, frame, 0)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			s.failed = err
			return
		}
		if link, isLink := from.(*unix.SockaddrLinklayer); !isLink || !wanted[link.Ifindex] {
			continue
		}
		if bytes.Contains(frame[:length], s.marker) {
			s.plain.Add(1)
		}
		if hasPort(frame[:length], TunnelPort) {
			s.tunnel.Add(1)
		}
	}
}

// Stop ends it, and says what was seen.
func (s *Sniffer) Stop() (Seen, error) {
	s.isOver.Store(true)
	<-s.done
	stats, err := unix.GetsockoptTpacketStats(s.socket, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err == nil && stats.Drops > 0 {
		err = fmt.Errorf("%d frames were not read: nobody knows what was in them", stats.Drops)
	}
	err = errors.Join(s.failed, err, unix.Close(s.socket))
	return Seen{Plain: s.plain.Load(), Tunnel: s.tunnel.Load()}, err
}

// hasPort says whether an Ethernet frame is TCP from or to a port. IPv6 extension headers are not looked
// through; nothing here writes any.
func hasPort(frame []byte, port uint16) bool {
	const ethernet, tcp = 14, 6
	if len(frame) < ethernet {
		return false
	}
	packet := frame[ethernet:]
	var segment []byte
	switch binary.BigEndian.Uint16(frame[12:]) {
	case unix.ETH_P_IP:
		if len(packet) < 20 || packet[9] != tcp {
			return false
		}
		segment = packet[min(len(packet), int(packet[0]&0xf)*4):]
	case unix.ETH_P_IPV6:
		if len(packet) < 40 || packet[6] != tcp {
			return false
		}
		segment = packet[40:]
	}
	if len(segment) < 4 {
		return false
	}
	return binary.BigEndian.Uint16(segment) == port || binary.BigEndian.Uint16(segment[2:]) == port
}
