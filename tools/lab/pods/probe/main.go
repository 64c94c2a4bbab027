// Command probe is the workload of the lab's tests: it serves a metric, prints numbered log lines, fills a volume or crashes.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const usage = `usage:
  probe serve [-listen :8080]                    GET /metrics (the gauge probe_load), PUT /load/N, GET /ready
  probe log -lines N -rate R -id X [-long]       print N lines at R a second (0: at once), then wait
  probe fill -path P -mb N                       write N MiB to the file P, then wait
  probe crash                                    exit with 1
`

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	// The process ends with the first signal: there is nothing to stop the notification for.
	ctx, _ := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	flags := flag.NewFlagSet(os.Args[1], flag.ExitOnError)
	flags.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	var run func() error
	switch os.Args[1] {
	case "serve":
		listen := flags.String("listen", ":8080", "")
		run = func() error { return serve(ctx, *listen) }
	case "log":
		lines, rate := flags.Int("lines", 0, ""), flags.Float64("rate", 0, "")
		id, long := flags.String("id", "", ""), flags.Bool("long", false, "")
		run = func() error { return log(ctx, os.Stdout, *lines, *rate, *id, *long) }
	case "fill":
		path, mebibytes := flags.String("path", "", ""), flags.Int("mb", 0, "")
		run = func() error { return fill(ctx, *path, *mebibytes) }
	case "crash":
		run = func() error { return errors.New("crashing, as asked") }
	default:
		flags.Usage()
		os.Exit(2)
	}
	// ExitOnError: Parse returns no error.
	_ = flags.Parse(os.Args[2:])
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, address string) error {
	var load atomic.Uint64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = fmt.Fprintf(w, "# HELP probe_load What was set last by PUT /load/N.\n# TYPE probe_load gauge\nprobe_load %v\n",
			math.Float64frombits(load.Load()))
	})
	mux.HandleFunc("PUT /load/{value}", func(w http.ResponseWriter, r *http.Request) {
		value, err := strconv.ParseFloat(r.PathValue("value"), 64)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		load.Store(math.Float64bits(value))
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ready\n") })
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving on %s: %w", address, err)
	}
	return nil
}

// line is "ID NUMBER TEXT": whoever knows the id knows every line. With long, each tenth has 32 KiB of text: a container runtime
// writes it to the log file in three parts.
func line(id string, number int, long bool) string {
	head := fmt.Sprintf("%s %06d", id, number)
	sum := sha256.Sum256([]byte(head))
	text := hex.EncodeToString(sum[:])
	if long && number%10 == 0 {
		text = strings.Repeat(text, 512)
	}
	return head + " " + text + "\n"
}

func log(ctx context.Context, out io.Writer, lines int, rate float64, id string, long bool) error {
	if id == "" || lines < 0 || rate < 0 {
		return errors.New("log: -id is required, -lines and -rate must not be negative")
	}
	start := time.Now()
	for number := 1; number <= lines; number++ {
		if rate > 0 {
			due := start.Add(time.Duration(float64(number-1) / rate * float64(time.Second)))
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Until(due)):
			}
		}
		if _, err := io.WriteString(out, line(id, number, long)); err != nil {
			return fmt.Errorf("printing line %d: %w", number, err)
		}
	}
	<-ctx.Done()
	return nil
}

func fill(ctx context.Context, path string, mebibytes int) error {
	file, err := os.Create(path) //nolint:gosec // the test says where
	if err != nil {
		return fmt.Errorf("filling: %w", err)
	}
	defer func() { _ = file.Close() }()
	block := bytes.Repeat([]byte("kansoku "), 1<<17)
	for written := range mebibytes {
		if _, err := file.Write(block); err != nil {
			return fmt.Errorf("filling after %d MiB: %w", written, err)
		}
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("filling: %w", err)
	}
	fmt.Printf("filled %s with %d MiB\n", path, mebibytes)
	<-ctx.Done()
	return nil
}
