package offline

import (
	"context"
	"fmt"
	"net"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// languageHost stands for the plugin of the program's language, which commands that run no program ask for all the same, as `pulumi import`
// does: which plugins does the program need? Those that the doubles stand for.
type languageHost struct {
	pulumirpc.UnimplementedLanguageRuntimeServer
}

// serveLanguage starts it on loopback and returns the value of PULUMI_DEBUG_LANGUAGES.
func serveLanguage(ctx context.Context, runtime string) (attachment string, stop func(), err error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("listening for the language: %w", err)
	}
	served := grpc.NewServer()
	pulumirpc.RegisterLanguageRuntimeServer(served, languageHost{})
	go func() { _ = served.Serve(listener) }() // returns when it is stopped
	return fmt.Sprintf("%s:%d", runtime, listener.Addr().(*net.TCPAddr).Port), served.Stop, nil
}

// Handshake accepts the engine.
func (languageHost) Handshake(context.Context, *pulumirpc.LanguageHandshakeRequest) (*pulumirpc.LanguageHandshakeResponse, error) {
	return &pulumirpc.LanguageHandshakeResponse{}, nil
}

// GetPluginInfo names no version.
func (languageHost) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: "0.0.0"}, nil
}

// GetRequiredPackages names none.
func (languageHost) GetRequiredPackages(
	context.Context, *pulumirpc.GetRequiredPackagesRequest,
) (*pulumirpc.GetRequiredPackagesResponse, error) {
	return &pulumirpc.GetRequiredPackagesResponse{}, nil
}

// GetRequiredPlugins names none.
func (languageHost) GetRequiredPlugins(
	context.Context, *pulumirpc.GetRequiredPluginsRequest,
) (*pulumirpc.GetRequiredPluginsResponse, error) {
	return &pulumirpc.GetRequiredPluginsResponse{}, nil
}
