package offline

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
)

// eksProvider is the real pulumi-eks provider, behind a port of ours. It starts with the first connection and serves every operation
// from then on: a start takes a second, as long as a whole preview of the rest.
type eksProvider struct {
	listener net.Listener

	mu      sync.Mutex
	command *exec.Cmd // not started until address is known
	stdin   io.Closer // the process ends when it is closed
	address string
	stderr  bytes.Buffer // read only when the process has ended
	err     error        // why it did not start
	closed  bool
}

// listenForEKS listens on loopback. Before the first connection serve must say what to start.
func listenForEKS() (*eksProvider, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening on loopback: %w", err)
	}
	return &eksProvider{listener: listener}, nil
}

// serve starts command, the provider, for the first connection.
func (p *eksProvider) serve(command *exec.Cmd) {
	p.command = command
	go func() {
		for {
			engine, err := p.listener.Accept()
			if err != nil {
				return
			}
			go p.connect(engine)
		}
	}()
}

// attachment is how the engine is told to connect to it.
func (p *eksProvider) attachment() string {
	return fmt.Sprintf("eks:%d", p.listener.Addr().(*net.TCPAddr).Port) // what Listen("tcp") gives
}

// connect passes everything on, both ways. If the provider does not start, the engine finds the connection closed and says so.
func (p *eksProvider) connect(engine net.Conn) {
	defer func() { _ = engine.Close() }()
	address, err := p.start()
	if err != nil {
		return
	}
	provider, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer func() { _ = provider.Close() }()
	go func() {
		_, _ = io.Copy(provider, engine)
		_ = provider.Close()
	}()
	_, _ = io.Copy(engine, provider)
}

// start gives the address of the running provider, which prints its port when it listens.
func (p *eksProvider) start() (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stdin != nil || p.closed {
		return p.address, p.err
	}
	var stdout io.Reader
	if p.stdin, p.err = p.command.StdinPipe(); p.err != nil {
		return "", p.err
	}
	if stdout, p.err = p.command.StdoutPipe(); p.err != nil {
		return "", p.err
	}
	p.command.Stderr = &p.stderr
	if p.err = p.command.Start(); p.err != nil {
		return "", p.err
	}
	lines := bufio.NewReader(stdout)
	port, err := lines.ReadString('\n')
	if err != nil {
		p.err = fmt.Errorf("it ended before it listened: %w", errors.Join(err, p.command.Wait()))
		return "", p.err
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }()
	p.address = "127.0.0.1:" + strings.TrimSpace(port)
	return p.address, nil
}

// failure is why it did not start; nil if it did, or was not asked to.
func (p *eksProvider) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		return nil
	}
	return fmt.Errorf("starting the pulumi-eks provider: %w\n%s", p.err, strings.TrimSpace(p.stderr.String()))
}

// close ends it. Safe to call twice.
func (p *eksProvider) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.address != "" && !p.closed {
		_ = p.stdin.Close()
		_ = p.command.Wait()
	}
	p.closed = true
}
