package load

import (
	"context"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	echo "google.golang.org/grpc/interop/grpc_testing"

	"weft.dev/cluster/measure/figures"
)

// dialGRPC makes the connections of a client, each with its own transport. gRPC connects at the first
// call.
func dialGRPC(target Target) ([]*grpc.ClientConn, error) {
	var all []*grpc.ClientConn
	for range connections {
		conn, err := grpc.NewClient("passthrough:///"+target.Address,
			grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithAuthority(target.GRPCHost),
			grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
				return target.dialer()(ctx, "tcp", address)
			}))
		if err != nil {
			return nil, err
		}
		all = append(all, conn)
	}
	return all, nil
}

type unary struct{ connections []*grpc.ClientConn }

func openUnary(target Target) (Client, error) {
	all, err := dialGRPC(target)
	return &unary{all}, err
}

func (c *unary) Close() {
	for _, conn := range c.connections {
		conn.Close()
	}
}

func (c *unary) Exchange(ctx context.Context, number int) (Answer, error) {
	content := fmt.Sprintf("exchange %d", number)
	client := echo.NewTestServiceClient(c.connections[number%len(c.connections)])
	answer, err := client.UnaryCall(ctx, &echo.SimpleRequest{
		FillServerId: true,
		Payload:      &echo.Payload{Body: []byte(content)},
	})
	if err != nil {
		return Answer{}, err
	}
	if got := string(answer.GetPayload().GetBody()); got != content {
		return Answer{}, fault{figures.WrongBody, errors.New(got)}
	}
	return Answer{Backend: answer.GetServerId()}, nil
}

// stream is a bidirectional call that echoes.
type stream struct {
	call   grpc.BidiStreamingClient[echo.StreamingOutputCallRequest, echo.StreamingOutputCallResponse]
	cancel context.CancelFunc
}

func openStreams(target Target) (Client, error) {
	all, err := dialGRPC(target)
	if err != nil {
		return nil, err
	}
	open := func(number int) (session, error) {
		ctx, cancel := context.WithCancel(context.Background())
		call, err := echo.NewTestServiceClient(all[number%len(all)]).FullDuplexCall(ctx)
		if err != nil {
			cancel()
			return nil, err
		}
		return &stream{call, cancel}, nil
	}
	return newSessions(open, (&unary{all}).Close), nil
}

func (s *stream) exchange(content string) (string, error) {
	err := s.call.Send(&echo.StreamingOutputCallRequest{Payload: &echo.Payload{Body: []byte(content)}})
	if err != nil {
		// Of a broken stream only the receiving side knows why.
		_, err = s.call.Recv()
		return "", err
	}
	answer, err := s.call.Recv()
	return string(answer.GetPayload().GetBody()), err
}

func (s *stream) close() { s.cancel() }
