package cases

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	nativecorev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// outage is a time in which one replica was away.
type outage struct {
	Replica string
	// Span is the whole time that is looked at, Down the part of it from the end of the pod until the next is ready.
	Span, Down span
}

const outagesFile = "outages.json"

// dedupRange is how many scrape intervals a range must have for a point in each, though a replica fails.
const dedupRange = 8

// outages that tests have caused and whose samples are still there, by what the cause was.
func outages(t *testing.T) map[string]outage {
	t.Helper()
	found := map[string]outage{}
	content, err := os.ReadFile(labDir(t, "var", outagesFile))
	if errors.Is(err, os.ErrNotExist) {
		return found
	}
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(content, &found))
	return found
}

func rememberOutage(t *testing.T, cause string, one outage) {
	t.Helper()
	all := outages(t)
	all[cause] = one
	content, err := json.MarshalIndent(all, "", "  ")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(labDir(t, "var", outagesFile), content, 0o600))
}

func forgetOutages(t *testing.T) {
	t.Helper()
	if err := os.Remove(labDir(t, "var", outagesFile)); !errors.Is(err, os.ErrNotExist) {
		require.NoError(t, err)
	}
}

// scrapeInterval is how often the stack's Prometheus scrapes.
func scrapeInterval(t *testing.T) time.Duration {
	t.Helper()
	for _, one := range rendered(t) {
		if one.GetKind() == "Prometheus" {
			text, _ := spec(one)["scrapeInterval"].(string)
			interval, err := time.ParseDuration(text)
			require.NoError(t, err, "the scrape interval of Prometheus %s", one.GetName())
			return interval
		}
	}
	require.Fail(t, "the program deploys no Prometheus")
	return 0
}

// asked counts the answers to what somebody asks once a second, through query frontend, while a replica is away.
type asked struct {
	complete, partial, failed int
	slowest                   time.Duration
	lastError                 error
}

// once asks as Grafana does: an answer without one of the replicas is an answer.
func (a *asked) once(t *testing.T, frontend promAPI) {
	t.Helper()
	start := time.Now()
	_, err := frontend.with("partial_response", "true").query(t.Context(), "count(up)", start)
	a.slowest = max(a.slowest, time.Since(start))
	switch {
	case err == nil:
		a.complete++
	case errors.Is(err, errPartial):
		a.partial++
	default:
		a.failed++
		a.lastError = err
	}
}

// away takes a replica away on a cordoned node, so that it stays away until the node is released. end ends its pod.
func (k *kube) away(t *testing.T, replica string, duration time.Duration, end func(pod nativecorev1.Pod)) outage {
	t.Helper()
	frontend, interval := k.frontend(t), scrapeInterval(t)
	eventually(t, 3*time.Minute, "both replicas have scraped for a while", func() error {
		for _, one := range prometheusReplicas() {
			pod := k.pod(t, namespace, one)
			if err := ready(&pod); err != nil {
				return err
			}
			lowest, err := k.replica(t, one).value(t.Context(), fmt.Sprintf("min(count_over_time(up[%s]))", 5*interval), time.Now())
			if err == nil && lowest < 4 {
				err = fmt.Errorf("%s has %v samples of some target", one, lowest)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	pod := k.pod(t, namespace, replica)
	release := k.hold(t, replica)
	start := time.Now()
	end(pod)
	var ended, released, back time.Time
	var counts asked
	for back.IsZero() || time.Since(back) < 4*interval {
		require.Less(t, time.Since(start), duration+5*time.Minute, "%s does not come back", replica)
		counts.once(t, frontend)
		gone, err := k.gone(t.Context(), pod)
		require.NoError(t, err)
		switch {
		case gone && ended.IsZero():
			ended = time.Now()
		case released.IsZero() && time.Since(start) > duration:
			require.False(t, ended.IsZero(), "%s has not ended within %s", replica, duration)
			release()
			released = time.Now()
		case !released.IsZero() && back.IsZero() && k.podsReady(t.Context(), namespace, "app.kubernetes.io/name=prometheus", 2) == nil:
			back = time.Now()
		}
		time.Sleep(time.Second)
	}
	figure(t, "%s ended after %s, was ready again %s after it could start", replica, ended.Sub(start).Round(time.Second),
		back.Sub(released).Round(time.Second))
	figure(t, "meanwhile query frontend gave %d complete answers, %d with a warning and %d errors (last: %v); the slowest took %s",
		counts.complete, counts.partial, counts.failed, counts.lastError, counts.slowest.Round(time.Millisecond))
	assert.Zero(t, counts.failed, "questions without an answer while a replica was away; last error: %v", counts.lastError)
	return outage{
		Replica: replica,
		Span:    span{start.Add(-4 * interval).UnixMilli(), time.Now().UnixMilli()}, Down: span{start.UnixMilli(), back.UnixMilli()},
	}
}

// checkNoGap looks at `up` of every target but the replica's own pod over an outage. A plain `up` would hide a gap, as it is valid for five
// minutes; a range selector shows the samples that there are.
//
// Between the two replicas there must be a sample in every interval. What Thanos makes of them is coarser: it leaves a replica when that is
// two intervals late, takes the other's next sample, at most three intervals after the last, and then holds what is left of the first,
// which may be the other's next chunk, to twice that distance. So its samples are at most seven intervals apart: empty points of ranges
// of two and four intervals are printed, and of eight there must be none.
func checkNoGap(t *testing.T, api promAPI, o outage, interval time.Duration) {
	t.Helper()
	// What other tests run comes and goes.
	selector := fmt.Sprintf(`up{pod!~"%s|loki-.*",namespace!~"lab-.*"}`, o.Replica)
	stored, err := api.with("dedup", "false").query(t.Context(), fmt.Sprintf("%s[%dms]", selector, o.Span.To-o.Span.From), o.Span.last())
	require.NoError(t, err)
	union := contents{}
	for _, one := range stored {
		name := seriesName(one.Labels, []string{"prometheus_replica"})
		union[name] = append(union[name], one.Points...)
	}
	var hole time.Duration
	for _, points := range union {
		slices.SortFunc(points, func(a, b point) int { return int(a.Millis - b.Millis) })
		longest, _ := distances(points, o.Span)
		hole = max(hole, longest)
	}
	figure(t, "%d targets over %s: the longest time without a sample of either replica is %s", len(union), o.Span.length().Round(time.Second), hole)
	assert.LessOrEqual(t, hole, interval*3/2, "a time in which neither replica has scraped some target")

	// Which of two replicas Thanos begins with depends on where the query begins: on whose sample comes first.
	longest, shortest, fewest, most := time.Duration(0), time.Hour, 2.0, 0.0
	for _, shift := range []time.Duration{0, interval / 4, interval / 2, 3 * interval / 4} {
		s := span{o.Span.From + shift.Milliseconds(), o.Span.To}
		found, err := api.query(t.Context(), fmt.Sprintf("%s[%dms]", selector, s.To-s.From), s.last())
		require.NoError(t, err)
		require.Len(t, found, len(union), "series of `up` without their replicas")
		for _, one := range found {
			far, near := distances(one.Points, s)
			longest, shortest = max(longest, far), min(shortest, near)
			share := float64(len(one.Points)) / (float64(s.length()) / float64(interval))
			most, fewest = max(most, share), min(fewest, share)
		}
	}
	figure(t, "as Thanos gives them: neighbouring samples are %s to %s apart, %.0f to %.0f %% of what one replica takes", shortest, longest,
		100*fewest, 100*most)
	assert.Less(t, most, 1.5, "samples of both replicas for each of one")
	assert.LessOrEqual(t, longest, 15*interval/2, "de-duplication leaves out more than its penalty explains")
	for _, width := range []time.Duration{2 * interval, 4 * interval, dedupRange * interval} {
		checkCounts(t, api, selector, o, interval, width)
	}
}

// checkCounts counts the samples in each range of some width, at every step of an interval.
func checkCounts(t *testing.T, api promAPI, selector string, o outage, interval, width time.Duration) {
	t.Helper()
	promql := fmt.Sprintf("count_over_time(%s[%s])", selector, width)
	// Aligned, as Grafana asks, and query frontend remembers.
	start, end := time.UnixMilli(o.Span.From).Truncate(interval).Add(width), time.UnixMilli(o.Span.To).Truncate(interval)
	steps := int(end.Sub(start)/interval) + 1
	empty, doubled, points := 0, 0, 0
	// What query frontend remembers may be from the time of the outage itself.
	for _, way := range []promAPI{api, api.uncached()} {
		found, err := way.queryRange(t.Context(), promql, start, end, interval)
		require.NoError(t, err)
		for _, one := range found {
			points += steps
			empty += steps - len(one.Points)
			for _, p := range one.Points {
				if p.Value > float64(width/interval)+1 {
					doubled++
				}
			}
		}
	}
	alone, err := api.with("dedup", "false").queryRange(t.Context(),
		fmt.Sprintf("count_over_time(%s,prometheus_replica=%q}[%s])", strings.TrimSuffix(selector, "}"), o.Replica, width), start, end, interval)
	require.NoError(t, err)
	missing := 0
	for _, one := range alone {
		missing += steps - len(one.Points)
	}
	figure(t, "count_over_time(up[%s]) every %s: %d of %d points empty, %d doubled; of %s alone %d empty", width, interval,
		empty, points, doubled, o.Replica, missing)
	if width == 2*interval { // wider ranges may reach over the outage
		assert.Positive(t, missing, "%s alone has no gap either: it was never away", o.Replica)
	}
	assert.Zero(t, doubled, "doubled samples in %s", promql)
	if width >= dedupRange*interval {
		assert.Zero(t, empty, "empty points of %s", promql)
	}
}

// distances are the longest and the shortest time between neighbours; the longest also up to the ends of the span.
func distances(points []point, within span) (longest, shortest time.Duration) {
	shortest = time.Hour
	before := within.From
	for i, p := range points {
		distance := time.Duration(p.Millis-before) * time.Millisecond
		longest = max(longest, distance)
		if i > 0 {
			shortest = min(shortest, distance)
		}
		before = p.Millis
	}
	return max(longest, time.Duration(within.To-before)*time.Millisecond), shortest
}

// causes are how a replica comes to be away.
func causes() []string { return []string{"killed for 60 s", "drained with two minutes of notice"} }

// outage does what the cause says, once while its samples are there: other tests look at the same again later.
func (k *kube) outage(t *testing.T, cause string) outage {
	t.Helper()
	one, known := outages(t)[cause]
	if known {
		return one
	}
	if cause == causes()[0] {
		one = k.away(t, prometheusReplicas()[0], time.Minute, func(pod nativecorev1.Pod) { k.killPod(t, pod) })
	} else {
		one = k.away(t, prometheusReplicas()[1], 2*time.Minute, func(pod nativecorev1.Pod) {
			require.NoError(t, k.evict(t, pod.Name, nil))
			// The drain has to wait for this one before it may have the other.
			err := k.evict(t, prometheusReplicas()[0], []string{nativemetav1.DryRunAll})
			require.True(t, apierrors.IsTooManyRequests(err), "evicting both replicas at once is allowed: %v", err)
		})
	}
	rememberOutage(t, cause, one)
	return one
}

// evict ends a pod as a drain does: what its disruption budget forbids is an error.
func (k *kube) evict(t *testing.T, pod string, dryRun []string) error {
	t.Helper()
	return k.typed.PolicyV1().Evictions(namespace).Evict(t.Context(), &policyv1.Eviction{
		ObjectMeta: nativemetav1.ObjectMeta{Namespace: namespace, Name: pod}, DeleteOptions: &nativemetav1.DeleteOptions{DryRun: dryRun},
	})
}

// replicasLeaveNoGap: one Prometheus is killed, and away for 60 s. Then the other is evicted from its node, as by a drain, and away for the two
// minutes of a spot instance's notice.
func replicasLeaveNoGap(t *testing.T) {
	t.Parallel()
	k := cluster(t)
	for _, cause := range causes() {
		t.Run(cause, func(t *testing.T) { checkNoGap(t, k.frontend(t), k.outage(t, cause), scrapeInterval(t)) })
	}
}
