package cases

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	nativecorev1 "k8s.io/api/core/v1"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	killedRate     = 50 // lines a second of each pod
	killedInterval = 5 * time.Second
)

// killed is a part of the stack that is ended, and when it counts as back.
type killed struct {
	name string
	end  func(t *testing.T)
	back func(ctx context.Context, since time.Time) error
}

// killedPartsLoseNothing: while pods write lines and are scraped at constant rates, one part after the other is ended. When each has come
// back, no line and no sample is missing.
func killedPartsLoseNothing(t *testing.T) {
	t.Parallel()
	k := cluster(t)
	ns := k.testNamespace(t, "kills")
	first := time.Now()
	writers := k.probes(t, ns, "writer", 2, "log", "-lines=1000000", "-rate="+strconv.Itoa(killedRate), "-id=$(POD)")
	scraped := k.probes(t, ns, "scraped", 2, "serve")
	k.monitor(t, ns, "scraped", killedInterval)
	for _, replica := range prometheusReplicas() {
		eventually(t, 2*time.Minute, replica+" scrapes", func() error { return k.scrapes(t, replica, ns, len(scraped)) })
	}
	begun := time.Now()
	eventually(t, 2*time.Minute, "lines arrive", func() error { return k.linesArrive(t, ns, len(writers), begun) })

	start := time.Now()
	report := fmt.Sprintf("under %d lines and %.1f samples a second:", len(writers)*killedRate,
		float64(len(scraped)*len(prometheusReplicas()))/killedInterval.Seconds())
	for _, part := range k.killed(t, ns, len(scraped), len(writers)) {
		at := time.Now()
		part.end(t)
		eventually(t, 5*time.Minute, part.name+" is back", func() error { return part.back(t.Context(), at) })
		report += fmt.Sprintf("\n  %-38s back after %5.1fs", part.name, time.Since(at).Seconds())
	}
	figure(t, "%s", report)
	time.Sleep(3 * killedInterval)
	end := time.Now()

	written, doubled := 0, 0
	for _, pod := range writers {
		last := k.lastNumber(t, pod)
		written += last
		twice := 0
		eventually(t, 3*time.Minute, "all lines of "+pod.Name, func() (err error) {
			var lost []int
			lost, twice, err = k.lostLines(t, pod, last, first)
			if err == nil && len(lost) > 0 {
				return fmt.Errorf("%d of %d lines are lost: %s", len(lost), last, ranges(lost))
			}
			return err
		})
		doubled += twice
	}
	stored, lostStored := k.lostStored(t, ns, start, end)
	points, lostPoints := k.lostPoints(t, ns, len(scraped), start, end)
	figure(t, "of %d lines 0 are lost, %d doubled; %d samples stored, and %d times at which neither replica has one; of Thanos query's %d points %d are missing",
		written, doubled, stored, lostStored, points+lostPoints, lostPoints)
	assert.Zero(t, lostStored, "times at which no replica has a sample")
	assert.Zero(t, lostPoints, "points that Thanos query does not have")
	for _, namespace := range []string{namespace, hostNamespace, ns} {
		for _, pod := range k.pods(t, namespace, "") {
			assert.Empty(t, unexpectedRestarts(t, pod))
		}
	}
}

// killed are the parts in turn.
func (k *kube) killed(t *testing.T, ns string, scraped, writers int) []killed {
	t.Helper()
	signalled := func(name, namespace, selector, container string, back func(context.Context, time.Time) error) killed {
		return killed{name: name + ", kill -9", back: back, end: func(t *testing.T) {
			t.Helper()
			pods := k.pods(t, namespace, selector)
			require.NotEmpty(t, pods)
			for _, pod := range pods {
				k.signal(t, pod, container, syscall.SIGKILL)
			}
		}}
	}
	linesArrive := func(_ context.Context, since time.Time) error { return k.linesArrive(t, ns, writers, since) }
	replica := prometheusReplicas()[0]
	return []killed{
		signalled("Promtail", hostNamespace, "app.kubernetes.io/name=promtail", "promtail", linesArrive),
		signalled("Loki", namespace, lokiTags, "loki", linesArrive),
		signalled("Thanos query (both replicas)", namespace, "app.kubernetes.io/name=thanos-query", "thanos-query",
			func(ctx context.Context, _ time.Time) error {
				count, err := k.frontend(t).uncached().value(ctx, fmt.Sprintf("count(probe_load{namespace=%q})", ns), time.Now())
				if err == nil && int(count) != scraped {
					err = fmt.Errorf("%g series, not %d", count, scraped)
				}
				return errors.Join(err, k.podsReady(ctx, namespace, "app.kubernetes.io/name=thanos-query", 2))
			}),
		{
			name: "Prometheus Operator, kill -9",
			end: func(t *testing.T) {
				t.Helper()
				pods := k.pods(t, namespace, "app.kubernetes.io/name=prometheus-operator")
				require.Len(t, pods, 1)
				k.signal(t, pods[0], "prometheus-operator", syscall.SIGKILL)
				k.custom(t, "prometheusrules", "PrometheusRule", ns, "made-while-away", map[string]any{"groups": []any{map[string]any{
					"name": "made", "rules": []any{map[string]any{"record": "lab:made_while_away", "expr": "vector(1)"}},
				}}})
			},
			back: func(ctx context.Context, _ time.Time) error { return k.operatorWrote(ctx, ns+"-made-while-away") },
		},
		{
			name: "Prometheus " + replica + ", pod deleted",
			end: func(t *testing.T) {
				t.Helper()
				pod := k.pod(t, namespace, replica)
				k.deletePod(t, pod, *pod.Spec.TerminationGracePeriodSeconds)
			},
			back: func(ctx context.Context, _ time.Time) error {
				pod, err := k.typed.CoreV1().Pods(namespace).Get(ctx, replica, nativemetav1.GetOptions{})
				if err != nil {
					return fmt.Errorf("reading pod %s: %w", replica, err)
				}
				if err = ready(pod); err != nil {
					return err
				}
				return k.scrapes(t, replica, ns, scraped)
			},
		},
	}
}

// scrapes says why one Prometheus has not scraped so many pods just now.
func (k *kube) scrapes(t *testing.T, replica, ns string, count int) error {
	t.Helper()
	promql := fmt.Sprintf("count(count_over_time(probe_load{namespace=%q}[%s]))", ns, 2*killedInterval)
	found, err := k.replica(t, replica).value(t.Context(), promql, time.Now())
	if err == nil && int(found) != count {
		err = fmt.Errorf("it has new samples of %g pods, not %d", found, count)
	}
	return err
}

// linesArrive says why Loki has no line of every writer that was written after a time.
func (k *kube) linesArrive(t *testing.T, ns string, writers int, since time.Time) error {
	t.Helper()
	lines, err := k.loki(t).query(t.Context(), fmt.Sprintf(`{namespace=%q,app="writer"}`, ns), since, time.Now())
	if err != nil {
		return err
	}
	pods := map[string]bool{}
	for _, one := range lines {
		pods[one.Labels["pod"]] = true
	}
	if len(pods) != writers {
		return fmt.Errorf("lines since %s of %d pods, not %d", since.Format(time.TimeOnly), len(pods), writers)
	}
	return nil
}

// operatorWrote says why the operator has not given a rule to Prometheus.
func (k *kube) operatorWrote(ctx context.Context, rule string) error {
	maps, err := k.typed.CoreV1().ConfigMaps(namespace).List(ctx, nativemetav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing rule files: %w", err)
	}
	for _, one := range maps.Items {
		for file := range one.Data {
			if strings.HasPrefix(file, rule) {
				return nil
			}
		}
	}
	return fmt.Errorf("no rule file %s in %d ConfigMaps", rule, len(maps.Items))
}

// lastNumber is the number of the last line that a writer has printed.
func (k *kube) lastNumber(t *testing.T, pod nativecorev1.Pod) int {
	t.Helper()
	one := int64(1)
	content, err := k.typed.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &nativecorev1.PodLogOptions{TailLines: &one}).DoRaw(t.Context())
	require.NoError(t, err)
	number, err := numberOf(string(content), pod.Name)
	require.NoError(t, err)
	return number
}

// numberOf reads a line of the probe: its id, its number and a text.
func numberOf(text, id string) (int, error) {
	fields := strings.Fields(text)
	if len(fields) != 3 || fields[0] != id {
		return 0, fmt.Errorf("line %q is not one of %s", text, id)
	}
	number, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0, fmt.Errorf("reading the number of line %q: %w", text, err)
	}
	return number, nil
}

// lostLines are the numbers up to last of the lines that Loki does not have, and how many it has more than once.
func (k *kube) lostLines(t *testing.T, pod nativecorev1.Pod, last int, since time.Time) (lost []int, doubled int, err error) {
	t.Helper()
	count := make([]int, last+1)
	// Piece by piece: Loki counts a line towards the limit of an answer each time that it finds it, in several chunks after a kill, but gives
	// it once. So an answer may be short although it is not complete.
	const piece = 20 * time.Second
	for now := time.Now(); since.Before(now); since = since.Add(piece) {
		lines, err := k.loki(t).query(t.Context(), fmt.Sprintf(`{namespace=%q,pod=%q}`, pod.Namespace, pod.Name), since, since.Add(piece))
		if err != nil {
			return nil, 0, err
		}
		for _, one := range lines {
			number, err := numberOf(one.Text, pod.Name)
			if err != nil {
				return nil, 0, err
			}
			if number <= last {
				count[number]++
			}
		}
	}
	for number := 1; number <= last; number++ {
		switch {
		case count[number] == 0:
			lost = append(lost, number)
		case count[number] > 1:
			doubled++
		}
	}
	return lost, doubled, nil
}

// ranges writes sorted numbers in short.
func ranges(numbers []int) string {
	var parts []string
	for first := 0; first < len(numbers); {
		last := first
		for last+1 < len(numbers) && numbers[last+1] == numbers[last]+1 {
			last++
		}
		parts = append(parts, fmt.Sprintf("%d-%d", numbers[first], numbers[last]))
		first = last + 1
	}
	return strings.Join(parts, ", ")
}

// lostStored counts what both replicas together have stored, and how many times neither has a sample of a pod when one was due.
func (k *kube) lostStored(t *testing.T, ns string, start, end time.Time) (stored, lost int) {
	t.Helper()
	promql := fmt.Sprintf("probe_load{namespace=%q}[%dms]", ns, end.Sub(start).Milliseconds())
	found, err := k.frontend(t).uncached().with("dedup", "false").query(t.Context(), promql, end)
	require.NoError(t, err)
	times := map[string][]int64{}
	for _, one := range found {
		for _, sample := range one.Points {
			times[one.Labels["pod"]] = append(times[one.Labels["pod"]], sample.Millis)
		}
		stored += len(one.Points)
	}
	require.NotEmpty(t, times)
	interval := killedInterval.Milliseconds()
	for _, all := range times {
		all = append(all, start.UnixMilli(), end.UnixMilli())
		slices.Sort(all)
		for i := 1; i < len(all); i++ {
			// A scrape may be late by a moment.
			lost += int((all[i] - all[i-1] - interval/5) / interval)
		}
	}
	return stored, lost
}

// lostPoints counts the points that Thanos query has, de-duplicated, and those that it has not: within two intervals there must always be a
// sample. (A plain selector would show the last one for five minutes.)
func (k *kube) lostPoints(t *testing.T, ns string, pods int, start, end time.Time) (points, lost int) {
	t.Helper()
	start, end = start.Truncate(killedInterval).Add(2*killedInterval), end.Truncate(killedInterval)
	promql := fmt.Sprintf("count_over_time(probe_load{namespace=%q}[%s])", ns, 2*killedInterval)
	found, err := k.frontend(t).uncached().queryRange(t.Context(), promql, start, end, killedInterval)
	require.NoError(t, err)
	require.Len(t, found, pods)
	for _, one := range found {
		points += len(one.Points)
	}
	return points, pods*(int(end.Sub(start)/killedInterval)+1) - points
}
