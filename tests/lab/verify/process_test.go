package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var addresses atomic.Uint32

// nextAddress is an address of the loopback network that nothing else uses: whoever has one to itself keeps its usual ports.
func nextAddress() string {
	pid, n := os.Getpid(), addresses.Add(1)
	return fmt.Sprintf("127.%d.%d.%d", 1+pid%250, 1+pid/250%250, n)
}

// process is a running program.
type process struct {
	name    string
	command *exec.Cmd
	done    chan struct{} // closed when it has ended
	err     error         // set by then

	mu     sync.Mutex
	output bytes.Buffer
}

// Write keeps what the program says.
func (p *process) Write(data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.Write(data) //nolint:wrapcheck // a buffer
}

// tail is the end of what it said.
func (p *process) tail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(p.output.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

var errEnded = errors.New("has ended")

// ended is an error once the program has ended, whatever its exit code.
func (p *process) ended() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s %w (%v):\n%s", p.name, errEnded, p.err, p.tail()) //nolint:errorlint // nil is worth showing
	default:
		return nil
	}
}

// program is the path of one of the lab's programs.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(labBin(), name))
	require.NoError(t, err)
	_, err = os.Stat(path)
	require.NoError(t, err, "`make verify` builds what is missing")
	return path
}

// environment of every program: no proxy, no credentials, no configuration of whoever runs the tests.
func environment(more ...string) []string {
	return append([]string{"PATH=/usr/bin:/bin", "LANG=C.UTF-8", "AWS_EC2_METADATA_DISABLED=true"}, more...)
}

// launch starts a program. Whoever does so stops it.
func launch(name, path string, env []string, args ...string) (*process, error) {
	p := &process{name: name, done: make(chan struct{})}
	p.command = exec.Command(path, args...)
	p.command.Env, p.command.Stdout, p.command.Stderr = environment(env...), p, p
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // nothing outlives the tests, not even when they are killed
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		p.err = p.command.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) stop() {
	_ = p.command.Process.Kill()
	<-p.done
}

// start launches a program until the end of a test.
func start(t *testing.T, name, path string, env []string, args ...string) *process {
	t.Helper()
	p, err := launch(name, path, env, args...)
	require.NoError(t, err)
	t.Cleanup(p.stop)
	return p
}

// run runs a program to its end, within a minute, and gives an error its output.
func run(ctx context.Context, env []string, stdin, path string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, path, args...)
	command.Env, command.Stdin = environment(env...), strings.NewReader(stdin)
	output, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w:\n%s", filepath.Base(path), strings.Join(args, " "), err, bytes.TrimSpace(output))
	}
	return nil
}
