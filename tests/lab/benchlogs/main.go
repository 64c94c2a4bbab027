// Command benchlogs sends the lines of one day through Loki as it was configured in 2020 and as this project configures it, and counts what
// each asks S3 and DynamoDB for. Everything runs on loopback and is ended and removed afterwards.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// deadline for all of it.
const deadline = 12 * time.Minute

func main() {
	o := options{}
	flag.StringVar(&o.bin, "bin", "../../bin/lab", "`directory` of loki, minio and dynalite")
	flag.StringVar(&o.dir, "dir", "", "`directory` to keep configurations and output in (default: a temporary one that is removed)")
	flag.Uint64Var(&o.seed, "seed", 4, "of the lines")
	flag.DurationVar(&o.day, "day", 5*time.Minute, "how long the day takes")
	change := func(changes *[]string) func(text string) error {
		return func(text string) error {
			*changes = append(*changes, text)
			return nil
		}
	}
	flag.Func("set", "change our configuration, to see what it would cost: `path=value`; may be repeated", change(&o.set))
	flag.Func("set3", "the same for replication factor 3 only: `path=value`", change(&o.set3))
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench-logs:", err)
		os.Exit(1) //nolint:gocritic // the signal handler needs no end
	}
}

func run(ctx context.Context, o options) (err error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	temporary := o.dir == ""
	if temporary {
		if o.dir, err = os.MkdirTemp("", "bench-logs-"); err != nil {
			return fmt.Errorf("making a directory: %w", err)
		}
	}
	b := &bench{options: o, out: os.Stdout}
	if err = b.run(ctx); err != nil {
		// Why may stand in what the processes said.
		return errors.Join(err, b.stop(), fmt.Errorf("what was said is kept in %s", o.dir))
	}
	err = errors.Join(b.stop(), b.report())
	if temporary {
		err = errors.Join(err, os.RemoveAll(o.dir))
	}
	return err
}
