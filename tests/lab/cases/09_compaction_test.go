package cases

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	nativecorev1 "k8s.io/api/core/v1"
)

const (
	archiveSeries   = 10
	archiveInterval = time.Minute
	// archiveSpan is the compactor's largest range: only a block of ten days or more is downsampled to 1h, and only such ranges are that long.
	archiveSpan = 14 * 24 * time.Hour
)

// compactorDownsamples: two weeks of blocks, as a Prometheus would have uploaded them, become one block, which is downsampled to 5m and 1h.
// Each resolution answers with the same sum.
func compactorDownsamples(t *testing.T) {
	t.Parallel()
	k := cluster(t)
	compactor := k.pods(t, namespace, "app.kubernetes.io/name=thanos-compact")[0]
	before := compactions(t, compactor)

	// Blocks with these labels are nobody else's: those of another run would overlap with them.
	labels := map[string]string{
		"cluster": fmt.Sprintf("archive-%d", time.Now().Unix()), "prometheus": "monitoring/archive", "prometheus_replica": "archive-0",
	}
	span := int64(archiveSpan.Seconds())
	end := time.Unix(time.Now().Add(-4*24*time.Hour).Unix()/span*span, 0)
	start := end.Add(-archiveSpan)
	dir, sum, samples := t.TempDir(), 0.0, 0
	for day := start; day.Before(end); day = day.Add(24 * time.Hour) {
		added, count := writeBlocks(t, dir, day, day.Add(24*time.Hour))
		sum, samples = sum+added, samples+count
	}
	// The compactor takes nothing that could still grow: it leaves the youngest block alone, and what ends after the one before that begins.
	for _, later := range []time.Duration{24 * time.Hour, 72 * time.Hour} {
		writeBlocks(t, dir, end.Add(later), end.Add(later+2*time.Hour))
	}
	known := map[string]block{}
	made := uploadBlocks(t, dir, labels)
	t.Cleanup(func() { removeBlocks(t, known, labels["cluster"]) })
	begun := time.Now()

	var found map[int64]block
	eventually(t, 12*time.Minute, "one block of two weeks in each resolution", func() (err error) {
		halted, count, err := exposed(t.Context(), compactor, 10902, "thanos_compact_halted")
		if err != nil || count != 1 {
			return fmt.Errorf("%d series say whether the compactor has halted: %w", count, err)
		}
		require.Zero(t, halted, "the compactor has halted")
		found, err = longest(t.Context(), known, labels["cluster"], end)
		return err
	})
	after := compactions(t, compactor)
	figure(t, "%d blocks, %d samples over %d days: compacted to level %d and downsampled after %s, in %g compactions; samples raw %d, 5m %d, 1h %d",
		made, samples, int(archiveSpan.Hours()/24), found[0].Compaction.Level, time.Since(begun).Round(time.Second),
		after["thanos_compact_group_compactions_total"]-before["thanos_compact_group_compactions_total"],
		found[0].Stats.NumSamples, found[fiveMinutes].Stats.NumSamples, found[oneHour].Stats.NumSamples)
	require.Equal(t, int64(samples), found[0].Stats.NumSamples, "samples of the compacted block")
	require.Equal(t, before["thanos_compact_group_compactions_failures_total"], after["thanos_compact_group_compactions_failures_total"])
	require.Greater(t, after["thanos_compact_group_compactions_total"], before["thanos_compact_group_compactions_total"])

	selected := fmt.Sprintf("(lab_archive{cluster=%q}[15d])", labels["cluster"])
	query := promAPI{url: k.service(t, "thanos-query", 10902)}.with("partial_response", "false")
	for _, resolution := range []struct {
		name  string
		every time.Duration
	}{{"0s", archiveInterval}, {"5m", 5 * time.Minute}, {"1h", time.Hour}} {
		// How many points there are tells which blocks have answered; a point of a downsampled block holds the sum of what it stands for.
		points := float64(archiveSeries * int(archiveSpan/resolution.every))
		api := query.with("max_source_resolution", resolution.name)
		var count, total float64
		eventually(t, 4*time.Minute, "the store answers with "+resolution.name, func() (err error) {
			at := end.Add(12 * time.Hour) // after all of it, before what is later
			if count, err = api.value(t.Context(), "sum(count_over_time"+selected+")", at); err != nil {
				return err
			}
			if count != points {
				return fmt.Errorf("%g points, not %g", count, points)
			}
			total, err = api.value(t.Context(), "sum(sum_over_time"+selected+")", at)
			return err
		})
		figure(t, "max_source_resolution=%s: %g points with the sum %.0f", resolution.name, count, total)
		require.Equal(t, sum, total, "sum of all samples at %s", resolution.name)
	}
}

// Resolutions of blocks, in milliseconds.
const (
	fiveMinutes = int64(5 * time.Minute / time.Millisecond)
	oneHour     = int64(time.Hour / time.Millisecond)
)

// compactions of the compactor so far, and failures. A counter is there as soon as there has been something to count.
func compactions(t *testing.T, compactor nativecorev1.Pod) map[string]float64 {
	t.Helper()
	found := map[string]float64{}
	for _, name := range []string{"thanos_compact_group_compactions_total", "thanos_compact_group_compactions_failures_total"} {
		value, _, err := exposed(t.Context(), compactor, 10902, name)
		require.NoError(t, err)
		found[name] = value
	}
	return found
}

// writeBlocks makes blocks of two hours, as Prometheus has them, of all series in [from, to). It returns the sum of the samples and how many
// there are; they are whole numbers, so that every order of adding them up gives the same.
func writeBlocks(t *testing.T, dir string, from, to time.Time) (sum float64, samples int) {
	t.Helper()
	var text bytes.Buffer
	text.WriteString("# TYPE lab_archive gauge\n")
	for series := range int64(archiveSeries) {
		for at := from.Unix(); at < to.Unix(); at += int64(archiveInterval.Seconds()) {
			value := (at/60*(series+3) + 17*series) % 1009
			fmt.Fprintf(&text, "lab_archive{series=\"%d\"} %d %d\n", series, value, at)
			sum += float64(value)
			samples++
		}
	}
	text.WriteString("# EOF\n")
	input := filepath.Join(dir, "input")
	require.NoError(t, os.WriteFile(input, text.Bytes(), 0o600))
	promtool := filepath.Join(os.Getenv("LAB_BIN"), "promtool")
	made := exec.CommandContext(t.Context(), promtool, "tsdb", "create-blocks-from", "openmetrics", "--quiet", input, filepath.Join(dir, "blocks"))
	output, err := made.CombinedOutput()
	require.NoError(t, err, "%s: %s", strings.Join(made.Args, " "), output)
	return sum, samples
}

// uploadBlocks puts all blocks into the bucket in the order of time: a range that the compactor takes must not get another block afterwards.
// It returns how many there are.
func uploadBlocks(t *testing.T, dir string, labels map[string]string) int {
	t.Helper()
	metas, err := filepath.Glob(filepath.Join(dir, "blocks", "*", "meta.json"))
	require.NoError(t, err)
	from := map[string]int64{}
	for _, file := range metas {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		var one block
		require.NoError(t, json.Unmarshal(content, &one))
		from[filepath.Dir(file)] = one.MinTime
	}
	inTime := slices.SortedFunc(maps.Keys(from), func(a, b string) int { return int(from[a] - from[b]) })
	for _, one := range inTime {
		uploadBlock(t, one, labels)
	}
	return len(inTime)
}

// removeBlocks takes the blocks of a cluster out of the bucket, those that the compactor has made too, and those that it has marked.
func removeBlocks(t *testing.T, known map[string]block, cluster string) {
	t.Helper()
	ctx := context.Background() // the test's own is done when the cleanup runs
	keys, err := listBucket(ctx, blocks)
	require.NoError(t, err)
	for key := range keys {
		id, file, _ := strings.Cut(key, "/")
		if file != "meta.json" {
			continue
		}
		one, err := readBlock(ctx, known, id)
		require.NoError(t, err)
		if one.Thanos.Labels["cluster"] != cluster {
			continue
		}
		removeObject(t, blocks, key) // first: without it a block is none
		for other := range keys {
			if strings.HasPrefix(other, id+"/") && other != key {
				removeObject(t, blocks, other)
			}
		}
	}
}

// readBlock remembers in known what it has read: a block does not change.
func readBlock(ctx context.Context, known map[string]block, id string) (block, error) {
	if one, ok := known[id]; ok {
		return one, nil
	}
	var one block
	content, err := readObject(ctx, blocks, id+"/meta.json")
	if err != nil {
		return one, err
	}
	if err := json.Unmarshal(content, &one); err != nil {
		return one, fmt.Errorf("decoding the meta.json of block %s: %w", id, err)
	}
	known[id] = one
	return one, nil
}

// longest are the blocks of a cluster that hold all of the two weeks before end, by their resolution; an error if there is not one of each.
func longest(ctx context.Context, known map[string]block, cluster string, end time.Time) (map[int64]block, error) {
	keys, err := listBucket(ctx, blocks)
	if err != nil {
		return nil, err
	}
	found, left := map[int64]block{}, map[int64]int{}
	for key := range keys {
		id, file, _ := strings.Cut(key, "/")
		if _, marked := keys[id+"/deletion-mark.json"]; file != "meta.json" || marked {
			continue
		}
		one, err := readBlock(ctx, known, id)
		if err != nil {
			return nil, err
		}
		if one.Thanos.Labels["cluster"] != cluster || one.MinTime >= end.UnixMilli() {
			continue
		}
		resolution := one.Thanos.Downsample.Resolution
		left[resolution]++
		// The last interval of a block may be missing from what its meta.json says.
		if one.MaxTime-one.MinTime > (archiveSpan - time.Hour).Milliseconds() {
			found[resolution] = one
		}
	}
	for _, resolution := range []int64{0, fiveMinutes, oneHour} {
		if _, ok := found[resolution]; !ok {
			return nil, fmt.Errorf("none with resolution %d ms yet; blocks by resolution: %v", resolution, left)
		}
	}
	return found, nil
}
