package load

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
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

// Classify finds the class of what a client library reports.
func Classify(err error) figures.Class {
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

// statusInWords is how grpc-go tells the HTTP status of an answer that is none of gRPC.
const statusInWords = "HTTP status code received from server: "

// classifyStatus knows that gRPC maps every trouble of a connection, and several statuses of HTTP,
// to Unavailable. What is left is named by its code: grpc-go says Internal of a stream that ended
// without a status, and Unknown of content that is not gRPC's.
func classifyStatus(told *status.Status) figures.Class {
	switch told.Code() {
	case codes.DeadlineExceeded:
		return figures.Timeout
	case codes.Unavailable, codes.Internal, codes.Unknown:
		if class := classifyText(told.Message()); class != figures.Unknown {
			return class
		}
	}
	return figures.GRPCStatus(told.Code().String())
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
	if _, after, found := strings.Cut(text, statusInWords); found {
		digits, _, _ := strings.Cut(after, " ")
		if number, err := strconv.Atoi(strings.Trim(digits, ";")); err == nil {
			return figures.HTTPStatus(number)
		}
	}
	switch {
	case has("connection refused"):
		return figures.Refused
	case has("connection reset", "broken pipe", "EOF", "closed network connection", "client connection",
		"GOAWAY", "RST_STREAM", "stream error", "closing transport", "transport is closing"):
		return figures.Reset
	case has("timeout", "deadline"):
		return figures.Timeout
	default:
		return figures.Unknown
	}
}
