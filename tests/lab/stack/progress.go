package stack

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// every is how often progress says what is waited for.
const every = 15 * time.Second

// progress prints what happens, a line each, with the seconds since its start.
type progress struct {
	mu      sync.Mutex
	out     io.Writer
	begun   time.Time
	waiting map[string]string // why, by object
	said    map[string]string // what of it was printed
}

func newProgress(out io.Writer) *progress {
	return &progress{out: out, begun: time.Now(), waiting: map[string]string{}, said: map[string]string{}}
}

func (p *progress) line(format string, args ...any) {
	_, _ = fmt.Fprintf(p.out, "%6.1fs  %s\n", time.Since(p.begun).Seconds(), fmt.Sprintf(format, args...))
}

func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line(format, args...)
}

func (p *progress) waits(s step, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting[s.String()] = why
}

// ready tells of a step that is done; the time it took is of interest where it had to be waited for.
func (p *progress) ready(s step, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch _, waited := p.waiting[s.String()]; {
	case s.unawaited != "":
		p.line("%s applied, not waited for: %s", s, s.unawaited)
	case waited:
		p.line("%s ready after %.1fs", s, took.Seconds())
	default:
		p.line("%s", s)
	}
	delete(p.waiting, s.String())
}

func (p *progress) failed(s step, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, s.String())
	p.line("FAILED %s: %s", s, err)
}

// report says every so often what is waited for, until the returned function is called.
func (p *progress) report(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				p.remaining()
			}
		}
	})
	return func() {
		cancel()
		group.Wait()
	}
}

// remaining prints what is waited for: with the reason where that has changed since.
func (p *progress) remaining() {
	p.mu.Lock()
	defer p.mu.Unlock()
	var unchanged []string
	for _, object := range slices.Sorted(maps.Keys(p.waiting)) {
		if why := p.waiting[object]; p.said[object] != why {
			p.said[object] = why
			p.line("  waiting for %s: %s", object, why)
			continue
		}
		unchanged = append(unchanged, object)
	}
	if len(unchanged) > 0 {
		p.line("  still waiting for %s", strings.Join(unchanged, ", "))
	}
}

// Write prints the API server's warnings, which come as lines of their own.
func (p *progress) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(text) //nolint:wrapcheck // a writer's own error
}
