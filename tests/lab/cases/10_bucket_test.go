package cases

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// block is what the bucket says of a block: the part of its meta.json that the tests read.
type block struct {
	ULID             string
	MinTime, MaxTime int64 // in milliseconds; MaxTime is the first that is not in it
	Stats            struct{ NumSamples int64 }
	Compaction       struct {
		Level   int
		Sources []string
	}
	Thanos struct {
		Labels     map[string]string
		Downsample struct{ Resolution int64 }
		Source     string
	}
}

// replica is the Prometheus that a block is of.
func (b block) replica() string { return b.Thanos.Labels["prometheus_replica"] }

// listBlocks returns the blocks of the bucket that are not marked for deletion, in the order of time.
func listBlocks(ctx context.Context) ([]block, error) {
	keys, err := listBucket(ctx, blocks)
	if err != nil {
		return nil, err
	}
	var all []block
	for key := range keys {
		id, file, _ := strings.Cut(key, "/")
		if _, marked := keys[id+"/deletion-mark.json"]; file != "meta.json" || marked {
			continue
		}
		content, err := readObject(ctx, blocks, key)
		if err != nil {
			return nil, err
		}
		var one block
		if err = json.Unmarshal(content, &one); err != nil {
			return nil, fmt.Errorf("decoding %s: %w", key, err)
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b block) int { return int(a.MinTime - b.MinTime) })
	return all, nil
}

// span is a time range in milliseconds, without its end.
type span struct{ From, To int64 }

func (s span) String() string {
	return time.UnixMilli(s.From).Format(time.TimeOnly) + " to " + time.UnixMilli(s.To).Format(time.TimeOnly)
}

func (s span) length() time.Duration { return time.Duration(s.To-s.From) * time.Millisecond }

// last is the last millisecond: the end of a range that a selector sees, as it includes its end and not its beginning.
func (s span) last() time.Time { return time.UnixMilli(s.To - 1) }

// spans are the time ranges that the blocks of one replica cover without a hole, from a level of compaction on. What a sidecar uploads has
// the level 1. A block begins with its first sample, so what is shorter than a scrape interval is no hole.
func spans(all []block, replica string, level int, interval time.Duration) []span {
	var found []span
	for _, one := range all {
		if one.replica() != replica || one.Compaction.Level < level || one.Thanos.Downsample.Resolution > 0 {
			continue
		}
		if n := len(found); n > 0 && one.MinTime <= found[n-1].To+interval.Milliseconds() {
			found[n-1].To = max(found[n-1].To, one.MaxTime)
		} else {
			found = append(found, span{one.MinTime, one.MaxTime})
		}
	}
	return found
}

// uploaded is the latest time range of some length that the blocks of all replicas cover.
func uploaded(all []block, length, interval time.Duration, replicas ...string) (span, error) {
	common := []span{{0, math.MaxInt64}}
	for _, replica := range replicas {
		var both []span
		for _, a := range common {
			for _, b := range spans(all, replica, 1, interval) {
				if from, to := max(a.From, b.From), min(a.To, b.To); from < to {
					both = append(both, span{from, to})
				}
			}
		}
		common = both
	}
	for _, one := range slices.Backward(common) {
		if one.length() >= length {
			return span{one.To - length.Milliseconds(), one.To}, nil
		}
	}
	return span{}, fmt.Errorf("the bucket covers %v of all of %v", common, replicas)
}

// externalLabels are the labels that a replica gives all of its blocks; nil if it has none there.
func externalLabels(all []block, replica string) map[string]string {
	for _, one := range all {
		if one.replica() == replica {
			return one.Thanos.Labels
		}
	}
	return nil
}

// contents are all samples of some series, by the series' labels.
type contents map[string][]point

func (c contents) samples() int {
	total := 0
	for _, points := range c {
		total += len(points)
	}
	return total
}

// seriesName writes labels in their order, without those that only Thanos adds.
func seriesName(labels map[string]string, without []string) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if !slices.Contains(without, key) {
			parts = append(parts, fmt.Sprintf("%s=%q", key, labels[key]))
		}
	}
	return strings.Join(parts, ",")
}

// metricNames are the names of all metrics that have samples around a time.
func (a promAPI) metricNames(ctx context.Context, within span) ([]string, error) {
	content, err := call(ctx, http.MethodGet, a.url+"/api/v1/label/__name__/values?"+url.Values{
		"start": {seconds(time.UnixMilli(within.From))}, "end": {seconds(within.last())},
	}.Encode(), nil, nil)
	if err != nil {
		return nil, err
	}
	var answer struct{ Data []string }
	if err = json.Unmarshal(content, &answer); err != nil {
		return nil, fmt.Errorf("decoding the names of metrics: %w", err)
	}
	return answer.Data, nil
}

// contents reads every sample of the metrics called names within a time range, as it was scraped: a range selector gives what is stored.
func (a promAPI) contents(ctx context.Context, names []string, within span, matcher string, without []string) (contents, error) {
	all := contents{}
	for some := range slices.Chunk(names, 20) {
		quoted := make([]string, len(some))
		for i, name := range some {
			quoted[i] = regexp.QuoteMeta(name)
		}
		// The range leaves out its own beginning, which the block includes.
		promql := fmt.Sprintf(`{__name__=~%q%s}[%dms]`, strings.Join(quoted, "|"), matcher, within.To-within.From)
		found, err := a.query(ctx, promql, within.last())
		if err != nil {
			return nil, err
		}
		for _, one := range found {
			name := seriesName(one.Labels, without)
			if len(one.Points) == 0 {
				return nil, fmt.Errorf("%s has no plain samples: native histograms are not compared yet", name)
			}
			if all[name] != nil {
				return nil, fmt.Errorf("%s is there twice", name)
			}
			all[name] = one.Points
		}
	}
	return all, nil
}

// differences says, for some series of many, in what found differs from want.
func differences(want, found contents) []string {
	var all []string
	for name, points := range want {
		switch others := found[name]; {
		case others == nil:
			all = append(all, fmt.Sprintf("missing: %s with %d samples", name, len(points)))
		case !slices.EqualFunc(points, others, func(a, b point) bool {
			return a.Millis == b.Millis && math.Float64bits(a.Value) == math.Float64bits(b.Value)
		}):
			all = append(all, fmt.Sprintf("different: %s: %v and not %v", name, others, points))
		}
	}
	for name := range found {
		if want[name] == nil {
			all = append(all, "unexpected: "+name)
		}
	}
	slices.Sort(all)
	if more := len(all) - 10; more > 0 {
		all = append(all[:10], fmt.Sprintf("and %d more", more))
	}
	return all
}

// prometheusReplicas are the names of both pods, which are also the values of prometheus_replica.
func prometheusReplicas() []string { return []string{"prometheus-k8s-0", "prometheus-k8s-1"} }

func prometheusClaim(pod string) string { return "prometheus-k8s-db-" + pod }

// storeOnly makes Thanos query ask the stores, and no sidecar.
func (k *kube) storeOnly(t *testing.T, a promAPI) promAPI {
	t.Helper()
	content, err := call(t.Context(), http.MethodGet, k.service(t, "thanos-query", 10902)+"/api/v1/stores", nil, nil)
	require.NoError(t, err)
	var answer struct {
		Data map[string][]struct{ Name string }
	}
	require.NoError(t, json.Unmarshal(content, &answer))
	require.NotEmpty(t, answer.Data["store"], "Thanos query knows no store: %s", content)
	var addresses []string
	for _, one := range answer.Data["store"] {
		addresses = append(addresses, regexp.QuoteMeta(one.Name))
	}
	return a.with("storeMatch[]", fmt.Sprintf(`{__address__=~%q}`, strings.Join(addresses, "|")))
}

// TestSideBySideAfterOutages is for the time that it takes until the blocks of the outages above are compacted.
func TestSideBySideAfterOutages(t *testing.T) {
	t.Run("CompactionLeavesNoGap", compactionLeavesNoGap)
	t.Run("KilledPartsLoseNothing", killedPartsLoseNothing)
	t.Run("EveryPanelHasData", everyPanelHasData)
}

// compactionLeavesNoGap looks at both outages again when the compactor has joined the blocks that hold them, and only the store is
// asked. Every sample of either replica must still be there.
func compactionLeavesNoGap(t *testing.T) {
	t.Parallel()
	k := cluster(t)
	both := map[string]outage{}
	for _, cause := range causes() {
		both[cause] = k.outage(t, cause)
	}
	covered := func(level int) func() error {
		return func() error {
			all, err := listBlocks(t.Context())
			if err != nil {
				return err
			}
			for cause, one := range both {
				for _, replica := range prometheusReplicas() {
					interval := scrapeInterval(t)
					first := interval.Milliseconds()
					parts := []span{{one.Span.From + first, one.Span.To}}
					if replica == one.Replica {
						parts = []span{{one.Span.From + first, one.Down.From}, {one.Down.To + first, one.Span.To}}
					}
					for _, part := range parts {
						if found := spans(all, replica, level, interval); !covers(found, part) {
							return fmt.Errorf("%s, %s: blocks from level %d on of %s are of %v", cause, part, level, replica, found)
						}
					}
				}
			}
			return nil
		}
	}
	eventually(t, 8*time.Minute, "the blocks of both outages are uploaded", covered(1))
	start := time.Now()
	k.endWindow(t)
	eventually(t, 6*time.Minute, "the blocks of both outages are compacted", covered(2))
	compacted := time.Since(start)
	store := k.pods(t, namespace, "app.kubernetes.io/name=thanos-store")[0]
	eventually(t, 3*time.Minute, "the store serves the compacted blocks", func() error {
		all, err := listBlocks(t.Context())
		if err != nil {
			return err
		}
		loaded, _, err := exposed(t.Context(), store, 10902, "thanos_bucket_store_blocks_loaded")
		if err == nil && int(loaded) != len(all) {
			err = fmt.Errorf("it has loaded %v blocks of %d", loaded, len(all))
		}
		return err
	})
	figure(t, "compacted %s after the window's end", compacted.Round(time.Second))
	eventually(t, 3*time.Minute, "both replicas can be asked", func() error {
		return k.podsReady(t.Context(), namespace, "app.kubernetes.io/name=prometheus", len(prometheusReplicas()))
	})
	api := k.storeOnly(t, k.frontend(t))
	for _, cause := range causes() {
		t.Run(cause, func(t *testing.T) {
			one := both[cause]
			checkNoGap(t, api, one, scrapeInterval(t))
			for _, replica := range prometheusReplicas() {
				want, err := k.replica(t, replica).contents(t.Context(), []string{"up"}, one.Span, "", nil)
				require.NoError(t, err)
				all, err := listBlocks(t.Context())
				require.NoError(t, err)
				found, err := api.with("dedup", "false").contents(t.Context(), []string{"up"}, one.Span,
					fmt.Sprintf(",prometheus_replica=%q", replica), slices.Collect(maps.Keys(externalLabels(all, replica))))
				require.NoError(t, err)
				assert.Empty(t, differences(want, found), "`up` of %s in the compacted blocks", replica)
				figure(t, "%s, %s: all %d samples of `up` are in the compacted blocks", cause, replica, want.samples())
			}
		})
	}
}

func covers(found []span, one span) bool {
	for _, s := range found {
		if s.From <= one.From && one.To <= s.To {
			return true
		}
	}
	return false
}

// endWindow makes the compactor take the present window of two hours for a complete one: it does when there are two blocks of later times.
// Otherwise the test would have to wait for the next even hour.
func (k *kube) endWindow(t *testing.T) {
	t.Helper()
	const window = 2 * time.Hour
	all, err := listBlocks(t.Context())
	require.NoError(t, err)
	next := time.Now().Truncate(window).Add(window)
	metrics := "# TYPE lab_window_end gauge\n"
	for _, at := range []time.Time{next.Add(window / 2), next.Add(window + window/2)} {
		metrics += fmt.Sprintf("lab_window_end 1 %d\n", at.Unix())
	}
	for _, replica := range prometheusReplicas() {
		dir := t.TempDir()
		file := filepath.Join(dir, "metrics.txt")
		require.NoError(t, os.WriteFile(file, []byte(metrics+"# EOF\n"), 0o600))
		output, err := exec.CommandContext(t.Context(), filepath.Join(os.Getenv("LAB_BIN"), "promtool"),
			"tsdb", "create-blocks-from", "openmetrics", file, filepath.Join(dir, "blocks")).CombinedOutput()
		require.NoError(t, err, "making blocks: %s", output)
		made, err := filepath.Glob(filepath.Join(dir, "blocks", "*"))
		require.NoError(t, err)
		require.Len(t, made, 2, "blocks: %s", output)
		for _, one := range made {
			uploadBlock(t, one, externalLabels(all, replica))
		}
	}
}

// TestSamplesComeBackFromTheBucket: the volumes of both Prometheus replicas are lost. What they had uploaded comes back from the store:
// every series, every sample, every value.
func TestSamplesComeBackFromTheBucket(t *testing.T) {
	const length = 4 * time.Minute
	k := cluster(t)
	frontend := k.frontend(t)
	replicas := prometheusReplicas()
	for _, replica := range replicas {
		pod := k.pod(t, namespace, replica)
		require.NoError(t, ready(&pod))
	}

	var within span
	var external []string
	eventually(t, 10*time.Minute, fmt.Sprintf("the bucket has %s of both replicas", length), func() error {
		all, err := listBlocks(t.Context())
		if err != nil {
			return err
		}
		if within, err = uploaded(all, length, scrapeInterval(t), replicas...); err != nil {
			return err
		}
		external = slices.Collect(maps.Keys(externalLabels(all, replicas[0])))
		return nil
	})
	recorded, names := map[string]contents{}, map[string][]string{}
	for _, replica := range replicas {
		var err error
		names[replica], err = k.replica(t, replica).metricNames(t.Context(), within)
		require.NoError(t, err)
		recorded[replica], err = k.replica(t, replica).contents(t.Context(), names[replica], within, "", nil)
		require.NoError(t, err)
		require.Greater(t, recorded[replica].samples(), 10_000, "samples of %s: there is nothing to lose", replica)
	}

	forgetOutages(t)
	release := k.hold(t, replicas...)
	for _, replica := range replicas {
		k.killPod(t, k.pod(t, namespace, replica))
	}
	for _, replica := range replicas {
		k.wipe(t, namespace, prometheusClaim(replica))
	}
	release()
	start := time.Now()
	eventually(t, 3*time.Minute, "Prometheus is back", func() error {
		return k.podsReady(t.Context(), namespace, "app.kubernetes.io/name=prometheus", len(replicas))
	})
	back := time.Since(start)
	for _, replica := range replicas {
		left, err := k.replica(t, replica).query(t.Context(), fmt.Sprintf(`up[%dms]`, within.To-within.From), within.last())
		require.NoError(t, err)
		require.Empty(t, left, "%s still has samples of %s: its volume was not wiped", replica, within)
	}
	// All stores must answer before what is missing can be blamed on one.
	eventually(t, 2*time.Minute, "Thanos answers completely", func() error {
		_, err := frontend.value(t.Context(), "count(up)", time.Now())
		return err
	})
	for _, replica := range replicas {
		want := recorded[replica]
		found, err := frontend.with("dedup", "false").contents(t.Context(), names[replica], within,
			fmt.Sprintf(",prometheus_replica=%q", replica), external)
		require.NoError(t, err)
		assert.Empty(t, differences(want, found), "what the store has of %s, %s", replica, within)
		figure(t, "%s, %s: %d series and %d samples before, %d and %d from the bucket", replica, within,
			len(want), want.samples(), len(found), found.samples())
	}
	figure(t, "both replicas ready again %s after the loss of their volumes", back.Round(time.Second))
}
