package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// supervisor starts processes, each with a log file. In the node it is the first process, so that it also inherits and buries what others
// leave behind (containerd's shims): it waits for any child at all, and nothing else in its program may wait for one.
type supervisor struct {
	logs string
	// ended is called for a daemon that has ended.
	ended func(error)

	mu      sync.Mutex // held from a start until the process is listed, so that it is not buried unknown
	running map[int]*process
}

type process struct {
	log    string
	done   chan struct{} // closed when it has ended
	status syscall.WaitStatus
}

func newSupervisor(logs string, ended func(error)) *supervisor {
	s := &supervisor{logs: logs, ended: ended, running: map[int]*process{}}
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	go func() {
		for range children {
			s.bury()
		}
	}()
	return s
}

// bury all children that have ended: several may share one signal.
func (s *supervisor) bury() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if p, known := s.running[pid]; known {
			delete(s.running, pid)
			p.status = status
			close(p.done)
		}
	}
}

// start a program. Its input, if any, must be a file.
func (s *supervisor) start(name string, command *exec.Cmd) (*process, error) {
	path := filepath.Join(s.logs, name+".log")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644) //nolint:gosec // for whoever looks for the reason
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", name, err)
	}
	defer log.Close() //nolint:errcheck // the process writes it
	command.Stdout, command.Stderr = log, log
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p := &process{log: path, done: make(chan struct{})}
	s.running[command.Process.Pid] = p
	_ = command.Process.Release() // its end is seen by bury
	return p, nil
}

// daemon starts a program that is not to end.
func (s *supervisor) daemon(name string, command *exec.Cmd) error {
	p, err := s.start(name, command)
	if err != nil {
		return err
	}
	go func() {
		<-p.done
		s.ended(p.failure(name))
	}()
	return nil
}

// task runs a program to its end.
func (s *supervisor) task(ctx context.Context, name string, command *exec.Cmd) error {
	p, err := s.start(name, command)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("running %s: %w", name, context.Cause(ctx))
	case <-p.done:
	}
	if p.status.ExitStatus() != 0 {
		return p.failure(name)
	}
	return nil
}

// failure says how a process ended, with the end of what it said.
func (p *process) failure(name string) error {
	how := fmt.Sprintf("exit code %d", p.status.ExitStatus())
	if p.status.Signaled() {
		how = "signal: " + p.status.Signal().String()
	}
	return fmt.Errorf("%s has ended (%s), and said last:\n%s", name, how, tail(p.log))
}

// tail is the last lines of a log file.
func tail(path string) string {
	const lines, size = 20, 16 << 10
	content, err := readFile(path)
	if err != nil {
		return err.Error()
	}
	content = content[max(0, len(content)-size):]
	all := strings.Split(strings.TrimSpace(string(content)), "\n")
	return "\t" + strings.Join(all[max(0, len(all)-lines):], "\n\t")
}
