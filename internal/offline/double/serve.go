package double

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"
)

// Serve starts the doubles on loopback and returns the value of PULUMI_DEBUG_PROVIDERS. Close stops them.
func (c *Cloud) Serve() (string, error) {
	var names []string
	for _, pkg := range []string{AWS, Kubernetes, Random} {
		listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			c.Close()
			return "", fmt.Errorf("listening for %s: %w", pkg, err)
		}
		served := grpc.NewServer(grpc.StatsHandler(connections{}), grpc.MaxRecvMsgSize(400<<20), grpc.MaxSendMsgSize(400<<20))
		pulumirpc.RegisterResourceProviderServer(served, c.server(pkg))
		go func() { _ = served.Serve(listener) }() // returns when Close stops it
		c.mu.Lock()
		c.stop = append(c.stop, served.Stop)
		c.mu.Unlock()
		names = append(names, fmt.Sprintf("%s:%d", pkg, listener.Addr().(*net.TCPAddr).Port))
	}
	return strings.Join(names, ","), nil
}

// Close stops the servers. What exists stays readable.
func (c *Cloud) Close() {
	c.mu.Lock()
	stop := c.stop
	c.stop = nil
	c.mu.Unlock()
	for _, one := range stop {
		one()
	}
}

// instance is one provider resource of the program: the engine opens a connection for each, and configures it.
type instance struct{ config resource.PropertyMap }

type instanceKey struct{}

// connections gives every connection an instance.
type connections struct{}

func (connections) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context {
	return context.WithValue(ctx, instanceKey{}, &instance{})
}
func (connections) HandleConn(context.Context, stats.ConnStats)                     {}
func (connections) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }
func (connections) HandleRPC(context.Context, stats.RPCStats)                       {}

func (s *server) instance(ctx context.Context) *instance {
	if own, ok := ctx.Value(instanceKey{}).(*instance); ok {
		return own
	}
	return s.base
}
