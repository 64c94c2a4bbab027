package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/kansoku/kansoku/components/versions"
)

// What ours must reach at replication factor 1: how many times fewer than in 2020.
const (
	wantWrites = 50
	wantPuts   = 5
)

const mb = 1e6

// report prints the comparison. It is an error if ours is not good enough.
func (b *bench) report() error {
	old, one, three := b.setups[0], b.setups[1], b.setups[2]
	text := &strings.Builder{}
	fmt.Fprintf(text, `
Method: the same %d lines of 24 pods in one day (seed %d) go through Loki %s (the stack runs %s) three times at once, in %s: %.0f times
as fast as their timestamps say. What Loki measures by the clock (chunk_idle_period, flush_check_period, the dedupe cache's ttl) is divided
by as much, in all three; what it measures on timestamps (max_chunk_age, sync_period) is not. The day ends with a flush of all that is
open. No chunk spans midnight here; each that does costs one item more in ours, %d in that of 2020. MB are 10^6 bytes of lines, counted
once whatever the replication factor. Stored is what is in the bucket at the end: an object that was written twice counts once.
`, old.lines, b.seed, b.version, versions.LokiDynamoDB.Version, b.day, b.factor(), len(old.labels(&life{}, false))+3)
	if len(b.set)+len(b.set3) > 0 {
		fmt.Fprintf(text, "Ours is changed: %s; at replication factor 3 also: %s.\n", strings.Join(b.set, ", "), strings.Join(b.set3, ", "))
	}
	b.table(text)

	fewer := func(s *setup) (writes, puts float64) {
		return float64(old.counts.units) / float64(s.counts.units), float64(old.counts.puts) / float64(s.counts.puts)
	}
	writes, puts := fewer(one)
	fmt.Fprintf(text, "\nReplication factor 1: %.1f times fewer DynamoDB writes than in 2020 (wanted: %d), %.1f times fewer S3 PUTs (wanted: %d).\n",
		writes, wantWrites, puts, wantPuts)
	writes3, puts3 := fewer(three)
	fmt.Fprintf(text, "Replication factor 3: %.1f times fewer DynamoDB writes than in 2020 at factor 1, %.1f times fewer S3 PUTs; that is %.2f and "+
		"%.2f times what factor 1 needs.\n", writes3, puts3, writes/writes3, puts/puts3)
	if _, err := io.WriteString(b.out, text.String()); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	if writes < wantWrites || puts < wantPuts {
		return errors.New("ours needs more than it should at replication factor 1")
	}
	return nil
}

func (b *bench) table(text *strings.Builder) {
	row := func(title string, value func(s *setup) any) {
		fmt.Fprintf(text, "%-28s", title)
		for _, s := range b.setups {
			format := "%12v"
			if _, ok := value(s).(float64); ok {
				format = "%12.2f"
			}
			fmt.Fprintf(text, format, value(s))
		}
		text.WriteByte('\n')
	}
	perMB := func(s *setup, number int) any { return float64(number) / (float64(s.bytes) / mb) }

	text.WriteByte('\n')
	row("configuration", func(s *setup) any { return s.name })
	row("replication factor", func(s *setup) any { return s.replicas })
	row("MB of logs", func(s *setup) any { return float64(s.bytes) / mb })
	row("S3 PUTs per MB", func(s *setup) any { return perMB(s, s.counts.puts) })
	row("DynamoDB items per MB", func(s *setup) any { return perMB(s, s.counts.items) })
	row("DynamoDB write units per MB", func(s *setup) any { return perMB(s, s.counts.units) })
	row("MB stored per MB", func(s *setup) any { return float64(s.counts.stored()) / float64(s.bytes) })
	row("S3 PUTs", func(s *setup) any { return s.counts.puts })
	row("DynamoDB items", func(s *setup) any { return s.counts.items })
	row("peak memory of Loki, MB", func(s *setup) any {
		var most int64
		for _, p := range s.processes {
			most = max(most, p.memory())
		}
		return float64(most) / mb
	})
	row("sender late by, at most", func(s *setup) any { return s.lag.Round(1e6) })
	for _, s := range b.setups {
		if len(s.counts.calls) > 0 {
			fmt.Fprintf(text, "%s also called: %v\n", s.key(), s.counts.calls)
		}
	}
}
