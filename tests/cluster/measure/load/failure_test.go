package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weft.dev/cluster/measure/figures"
)

func TestFailuresHaveTheirClass(t *testing.T) {
	system := func(errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", errno)}
	}
	for _, row := range []struct {
		name string
		err  error
		want figures.Class
	}{
		{"success", nil, figures.OK},
		{"nobody listens", fmt.Errorf("Get: %w", system(syscall.ECONNREFUSED)), figures.Refused},
		{"a reset", fmt.Errorf("Get: %w", system(syscall.ECONNRESET)), figures.Reset},
		{"an end in the middle", io.ErrUnexpectedEOF, figures.Reset},
		{"an end before the answer", fmt.Errorf("Get: %w", io.EOF), figures.Reset},
		{"no answer in time", fmt.Errorf("Get: %w", context.DeadlineExceeded), figures.Timeout},
		{"a system's timeout", system(syscall.ETIMEDOUT), figures.Timeout},
		{"a status", fault{figures.HTTPStatus(503), errors.New("503")}, "HTTP 503"},
		{"a wrapped status", fmt.Errorf("x: %w", fault{figures.WrongBody, errors.New("?")}), figures.WrongBody},
		{"gRPC: nobody listens", status.Error(codes.Unavailable, "connection error: desc = \"transport: Error while dialing: dial tcp 10.0.0.1:80: connect: connection refused\""), figures.Refused},
		{"gRPC: the connection broke", status.Error(codes.Unavailable, "error reading from server: EOF"), figures.Reset},
		{"gRPC: the gateway's 503", status.Error(codes.Unavailable, "unexpected HTTP status code received from server: 503 (Service Unavailable)"), "HTTP 503"},
		{"gRPC: the gateway's own status", status.Error(codes.Unavailable, "upstream_reset"), "gRPC Unavailable"},
		{"gRPC: no answer in time", status.Error(codes.DeadlineExceeded, "context deadline exceeded"), figures.Timeout},
		{"gRPC: not there", status.Error(codes.Unimplemented, ""), "gRPC Unimplemented"},
		{"gRPC: an answer without a status", status.Error(codes.Internal, "server closed the stream without sending trailers"), "gRPC Internal"},
		{"HTTP/2: a stream reset", errors.New("stream error: stream ID 5; REFUSED_STREAM; received from peer"), figures.Reset},
		{"who knows", errors.New("cosmic rays"), figures.Unknown},
	} {
		if got := Classify(row.err); got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
	}
}
