package offline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/constant"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
)

// launcher is a language host for a program that is an executable of its own: it starts it with the variables that pulumi.Run reads.
type launcher struct {
	pulumirpc.UnimplementedLanguageRuntimeServer
	server *grpc.Server
	port   int

	mu              sync.Mutex
	executable, dir string
	environment     []string
	engine          string // address of the engine that shook hands last
}

func startLauncher() (*launcher, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening on loopback: %w", err)
	}
	l := &launcher{server: grpc.NewServer(), port: listener.Addr().(*net.TCPAddr).Port} // what Listen("tcp") gives
	pulumirpc.RegisterLanguageRuntimeServer(l.server, l)
	go func() { _ = l.server.Serve(listener) }() // returns when close stops it
	return l, nil
}

func (l *launcher) close() { l.server.Stop() }

// use says what to start from now on, where, and with which environment.
func (l *launcher) use(executable, dir string, environment []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.executable, l.dir, l.environment = executable, dir, environment
}

// Handshake implements pulumirpc.LanguageRuntimeServer.
func (l *launcher) Handshake(_ context.Context, request *pulumirpc.LanguageHandshakeRequest) (*pulumirpc.LanguageHandshakeResponse, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.engine = request.GetEngineAddress()
	return &pulumirpc.LanguageHandshakeResponse{}, nil
}

// GetPluginInfo implements pulumirpc.LanguageRuntimeServer.
func (l *launcher) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: "1.0.0"}, nil
}

// GetRequiredPackages implements pulumirpc.LanguageRuntimeServer: every provider is attached already.
func (l *launcher) GetRequiredPackages(
	context.Context, *pulumirpc.GetRequiredPackagesRequest,
) (*pulumirpc.GetRequiredPackagesResponse, error) {
	return &pulumirpc.GetRequiredPackagesResponse{}, nil
}

// Run implements pulumirpc.LanguageRuntimeServer.
func (l *launcher) Run(ctx context.Context, request *pulumirpc.RunRequest) (*pulumirpc.RunResponse, error) {
	config, err := json.Marshal(request.GetConfig())
	if err != nil {
		return nil, fmt.Errorf("encoding the configuration: %w", err)
	}
	secrets, err := json.Marshal(request.GetConfigSecretKeys())
	if err != nil {
		return nil, fmt.Errorf("encoding the keys of secrets: %w", err)
	}
	l.mu.Lock()
	command := exec.CommandContext(ctx, l.executable) //nolint:gosec // what the caller of the engine gave
	command.Dir = l.dir
	command.Env = append(slices.Clone(l.environment),
		pulumi.EnvOrganization+"="+request.GetOrganization(),
		pulumi.EnvProject+"="+request.GetProject(),
		pulumi.EnvPulumiRootDirectory+"="+l.dir,
		pulumi.EnvStack+"="+request.GetStack(),
		pulumi.EnvConfig+"="+string(config),
		pulumi.EnvConfigSecretKeys+"="+string(secrets),
		pulumi.EnvParallel+"="+strconv.Itoa(int(request.GetParallel())),
		pulumi.EnvDryRun+"="+strconv.FormatBool(request.GetDryRun()),
		pulumi.EnvMonitor+"="+request.GetMonitorAddress(),
		pulumi.EnvEngine+"="+l.engine,
	)
	l.mu.Unlock()
	var said bytes.Buffer
	command.Stderr = &said
	err = command.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return &pulumirpc.RunResponse{}, nil
	case errors.As(err, &exit) && exit.ExitCode() == constant.ExitStatusLoggedError:
		return &pulumirpc.RunResponse{Bail: true}, nil // it has told the engine
	default:
		return &pulumirpc.RunResponse{Error: fmt.Sprintf("the program ended: %v\n%s", err, strings.TrimSpace(said.String()))}, nil
	}
}
