package noise

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// atOnce is how many requests are written before they are sent.
const atOnce = 32

// resetStreams asks over one connection and takes back each request at once (RST_STREAM, RFC 9113 section
// 6.4), which costs it nothing and its server a request. Made are those that were sent.
func resetStreams(ctx context.Context, address string, count *Count) error {
	if err := count.turn(ctx); err != nil {
		return err
	}
	conn, err := dial(ctx, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	ended := make(chan error, 1)
	out := &frames{buffer: bufio.NewWriter(conn)}
	out.framer = http2.NewFramer(out.buffer, nil)
	go func() { ended <- answerAll(conn, out) }()
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return err
	}
	if err := out.write(func(to *http2.Framer) error { return to.WriteSettings() }); err != nil {
		return err
	}
	request := headers()
	for stream := uint32(1); stream < math.MaxInt32-2*atOnce; {
		begun := stream
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		err := out.write(func(to *http2.Framer) error {
			for ; stream < begun+2*atOnce; stream += 2 {
				if err := count.turn(ctx); err != nil {
					return err
				}
				asked := to.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: request, EndStream: true, EndHeaders: true})
				if err := errors.Join(asked, to.WriteRSTStream(stream, http2.ErrCodeCancel)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			// Why a connection ended is known to whoever reads.
			conn.Close()
			return errors.Join(err, <-ended)
		}
		count.made.Add(atOnce)
	}
	return nil
}

// headers are those of every request, in a form that needs no table.
func headers() []byte {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "sink"}, {":path", "/"}} {
		// A table of its own would be of one connection; what is sensitive goes into none.
		err := encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1], Sensitive: true})
		if err != nil {
			panic(fmt.Sprintf("a buffer refuses bytes: %v", err))
		}
	}
	return block.Bytes()
}

// frames are written by whoever asks and by whoever answers the server.
type frames struct {
	mutex  sync.Mutex
	buffer *bufio.Writer
	framer *http2.Framer
}

func (f *frames) write(act func(*http2.Framer) error) error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return errors.Join(act(f.framer), f.buffer.Flush())
}

// answerAll reads what the server says and answers where it has to (RFC 9113 sections 6.5 and 6.7), until
// the end of the connection.
func answerAll(conn io.Reader, out *frames) error {
	for in := http2.NewFramer(nil, conn); ; {
		frame, err := in.ReadFrame()
		if err != nil {
			return err
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				err = out.write(func(to *http2.Framer) error { return to.WriteSettingsAck() })
			}
		case *http2.PingFrame:
			if !frame.IsAck() {
				err = out.write(func(to *http2.Framer) error { return to.WritePing(true, frame.Data) })
			}
		case *http2.GoAwayFrame:
			return fmt.Errorf("the server ends the connection: %s", frame.ErrCode)
		}
		if err != nil {
			return err
		}
	}
}
