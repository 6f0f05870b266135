package load

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"weft.dev/cluster/measure/figures"
)

// fault is a failure whose class the client knows.
type fault struct {
	class figures.Class
	cause error
}

func (f fault) Error() string { return string(f.class) + ": " + f.cause.Error() }
func (f fault) Unwrap() error { return f.cause }

// classify finds the class of what a client library reports.
func classify(err error) figures.Class {
	if err == nil {
		return figures.OK
	}
	if known, isKnown := errors.AsType[fault](err); isKnown {
		return known.class
	}
	if told, isStatus := status.FromError(err); isStatus {
		return classifyStatus(told)
	}
	timedOut, isNet := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return figures.Refused
	case errors.Is(err, context.DeadlineExceeded), isNet && timedOut.Timeout():
		return figures.Timeout
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF),
		errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return figures.Reset
	default:
		return classifyText(err.Error())
	}
}

// classifyStatus knows that gRPC maps every trouble of a connection, and several statuses of HTTP,
// to Unavailable.
func classifyStatus(told *status.Status) figures.Class {
	switch told.Code() {
	case codes.DeadlineExceeded:
		return figures.Timeout
	case codes.Unavailable, codes.Internal, codes.Unknown:
		class := classifyText(told.Message())
		if class == figures.Other && told.Code() == codes.Unavailable {
			class = figures.ServerError // the answer of a gateway, as 503 is
		}
		return class
	default:
		return figures.WrongStatus
	}
}

// classifyText is for libraries that report no cause but words.
func classifyText(text string) figures.Class {
	has := func(words ...string) bool {
		for _, word := range words {
			if strings.Contains(text, word) {
				return true
			}
		}
		return false
	}
	switch {
	case has("connection refused"):
		return figures.Refused
	case has("connection reset", "broken pipe", "EOF", "closed network connection", "client connection",
		"GOAWAY", "RST_STREAM", "stream error", "closing transport", "transport is closing"):
		return figures.Reset
	case has("status code received from server: 5"):
		return figures.ServerError
	case has("timeout", "deadline"):
		return figures.Timeout
	default:
		return figures.Other
	}
}
