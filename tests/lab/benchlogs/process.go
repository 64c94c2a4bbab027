package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// credentials of the stores, which listen on loopback and live for minutes.
const (
	accessKey = "bench"
	secretKey = "bench-secret"
)

// process is a server that this program started.
type process struct {
	name, dir          string
	http, grpc, gossip int
	command            *exec.Cmd
	ended              chan error
}

// url of the process' HTTP server.
func (p *process) url(path string) string {
	return fmt.Sprintf("http://%s:%d%s", loopback, p.http, path)
}

func newProcess(ctx context.Context, dir, name string) (*process, error) {
	p := &process{name: name, dir: filepath.Join(dir, name), ended: make(chan error, 1)}
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return nil, fmt.Errorf("making a directory: %w", err)
	}
	// All are open at once, so that they differ.
	for _, port := range []*int{&p.http, &p.grpc, &p.gossip} {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", loopback+":0")
		if err != nil {
			return nil, fmt.Errorf("looking for a free port: %w", err)
		}
		defer func() { _ = listener.Close() }()
		*port = listener.Addr().(*net.TCPAddr).Port
	}
	return p, nil
}

// start runs the command until stop. What it says goes to a file.
func (p *process) start(env []string, name string, args ...string) error {
	output, err := os.Create(p.log())
	if err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	defer func() { _ = output.Close() }()
	p.command = exec.Command(name, args...) //nolint:gosec,noctx // our own binaries; stop ends it in order
	p.command.Dir, p.command.Stdout, p.command.Stderr = p.dir, output, output
	p.command.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir, "TMPDIR=" + p.dir}, env...)
	// An interrupt from the terminal comes to this program alone, which ends the others in order.
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err = p.command.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	go func() { p.ended <- p.command.Wait() }()
	return nil
}

func (p *process) log() string { return filepath.Join(p.dir, "output.log") }

// stop ends the process, by force if it takes long.
func (p *process) stop() error {
	if p.command == nil || p.command.Process == nil {
		return nil
	}
	_ = p.command.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.ended:
		return nil
	case <-time.After(time.Minute):
		_ = p.command.Process.Kill()
		<-p.ended
		return fmt.Errorf("stopping %s: had to be killed", p.name)
	}
}

// memory is the most that it took, in bytes. It must have ended.
func (p *process) memory() int64 {
	usage, ok := p.command.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return usage.Maxrss << 10
}

// until waits for a condition of the process.
func (p *process) until(ctx context.Context, what string, holds func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		err := holds()
		if err == nil {
			return nil
		}
		select {
		case exit := <-p.ended:
			p.ended <- exit
			return fmt.Errorf("waiting for %s %s: it ended: %w; see %s", p.name, what, errors.Join(exit, err), p.log())
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s %s: %w; see %s", p.name, what, errors.Join(ctx.Err(), err), p.log())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// answers is nil if there is a good answer.
func (p *process) answers(ctx context.Context, path string) error {
	_, err := do(ctx, http.MethodGet, p.url(path), nil, nil)
	return err
}

// metric sums a metric over all series whose labels contain the text.
func (p *process) metric(ctx context.Context, name, labels string) (float64, error) {
	body, err := do(ctx, http.MethodGet, p.url("/metrics"), nil, nil)
	if err != nil {
		return 0, err
	}
	var sum float64
	lines := bufio.NewScanner(strings.NewReader(body))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		series, value, _ := strings.Cut(lines.Text(), "} ")
		series, with, _ := strings.Cut(series, "{")
		if with == "" {
			series, value, _ = strings.Cut(lines.Text(), " ")
		}
		if series != name || !strings.Contains(with, labels) {
			continue
		}
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return 0, fmt.Errorf("reading metric %s: %w", name, err)
		}
		sum += number
	}
	return sum, lines.Err()
}

// do asks, and gives the body of a good answer.
func do(ctx context.Context, method, url string, header map[string]string, body io.Reader) (string, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return "", fmt.Errorf("asking %s: %w", url, err)
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("asking %s: %w", url, err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return "", fmt.Errorf("reading the answer of %s: %w", url, err)
	}
	if answer.StatusCode/100 != 2 {
		return "", fmt.Errorf("asking %s: %s: %s", url, answer.Status, text)
	}
	return string(text), nil
}
