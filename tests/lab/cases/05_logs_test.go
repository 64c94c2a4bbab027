package cases

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	nativecorev1 "k8s.io/api/core/v1"
)

// stream is a source of numbered lines of which every one is known.
type stream struct {
	selector string
	lines    []string
}

// printed are the lines that `probe log` prints: "ID NUMBER TEXT". With long, each tenth is long enough for the container runtime to split.
func printed(id string, count int, long bool) []string {
	lines := make([]string, count)
	for i := range lines {
		head := fmt.Sprintf("%s %06d", id, i+1)
		sum := sha256.Sum256([]byte(head))
		text := hex.EncodeToString(sum[:])
		if long && (i+1)%10 == 0 {
			text = strings.Repeat(text, 512)
		}
		lines[i] = head + " " + text
	}
	return lines
}

// hash of lines in their order.
func hash(lines []string) string {
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:8])
}

// compared is what Loki has of a stream.
type compared struct {
	found, missing, duplicates, unexpected int
	hash                                   string
}

// compare looks for every line of a stream in Loki.
func (l lokiAPI) compare(ctx context.Context, s stream, since time.Time) (compared, error) {
	found, err := l.query(ctx, s.selector, since, time.Now().Add(time.Second))
	if err != nil {
		return compared{}, err
	}
	missing := make(map[string]bool, len(s.lines))
	for _, one := range s.lines {
		missing[one] = true
	}
	var c compared
	var texts []string
	seen := map[string]bool{}
	for _, one := range found {
		texts = append(texts, one.Text)
		switch {
		case missing[one.Text]:
			delete(missing, one.Text)
		case seen[one.Text]:
			c.duplicates++
		default:
			c.unexpected++
		}
		seen[one.Text] = true
	}
	c.found, c.missing, c.hash = len(found), len(missing), hash(texts)
	return c, nil
}

// exactly says what is wrong if Loki has not every line of a stream once, in the order in which they were written, and no other.
func (c compared) exactly(s stream) error {
	if want := hash(s.lines); c.missing > 0 || c.duplicates > 0 || c.unexpected > 0 || c.hash != want {
		return fmt.Errorf("%s: %d lines of %d, %d missing, %d duplicates, %d unexpected, hash %s and not %s", s.selector, c.found, len(s.lines),
			c.missing, c.duplicates, c.unexpected, c.hash, want)
	}
	return nil
}

// arrive waits until Loki has every line of the streams exactly once.
func (l lokiAPI) arrive(t *testing.T, timeout time.Duration, what string, since time.Time, streams ...stream) {
	t.Helper()
	for _, s := range streams {
		eventually(t, timeout, what+": "+s.selector, func() error {
			c, err := l.compare(t.Context(), s, since)
			if err != nil {
				return err
			}
			return c.exactly(s)
		})
		figure(t, "%s: %s has all %d lines once, hash %s", what, s.selector, len(s.lines), hash(s.lines))
	}
}

// flushed makes Loki write all that it has to the store, and waits until it has.
func (k *kube) flushed(t *testing.T, l lokiAPI) {
	t.Helper()
	pod := k.pod(t, namespace, "loki-0")
	number := func(name string) float64 {
		value, _, err := exposed(t.Context(), pod, 3100, name)
		require.NoError(t, err)
		return value
	}
	failed := number("loki_ingester_chunks_flush_failures_total")
	before := number("loki_ingester_chunks_flushed_total")
	require.NoError(t, l.flush(t.Context()))
	last, since := -1.0, time.Now()
	eventually(t, 2*time.Minute, "Loki has flushed", func() error {
		if now := number("loki_ingester_chunks_flushed_total"); now != last || number("loki_ingester_flush_queue_length") > 0 {
			last, since = now, time.Now()
		}
		if last == before || time.Since(since) < 5*time.Second {
			return fmt.Errorf("%v chunks are written, %v are waiting", last-before, number("loki_ingester_flush_queue_length"))
		}
		return nil
	})
	require.Equal(t, failed, number("loki_ingester_chunks_flush_failures_total"), "flushes that have failed")
	figure(t, "flushed %v chunks", last-before)
}

// logs runs a pod that prints numbered lines, and returns what Loki must have of them.
func (k *kube) logs(t *testing.T, namespace, id string, count, perSecond int, long bool) stream {
	t.Helper()
	pods := k.probes(t, namespace, id, 1, "log", fmt.Sprintf("-lines=%d", count), fmt.Sprintf("-rate=%d", perSecond), "-id="+id,
		fmt.Sprintf("-long=%t", long))
	return stream{fmt.Sprintf(`{namespace=%q,app=%q,container="probe",pod=%q}`, namespace, id, pods[0].Name), printed(id, count, long)}
}

// pusher sends lines to Loki without ever repeating one, and remembers which were acknowledged.
type pusher struct {
	loki                         lokiAPI
	labels                       map[string]string
	acknowledged, unacknowledged []string
	failures                     int
}

// run sends ten lines every 50 ms until stopped.
func (p *pusher) run(ctx context.Context) {
	for batch := 0; ctx.Err() == nil; batch++ {
		var lines []line
		var texts []string
		now := time.Now()
		for i := range 10 {
			text := fmt.Sprintf("pushed %06d", batch*10+i)
			lines = append(lines, line{p.labels, now.UnixNano() + int64(i), text})
			texts = append(texts, text)
		}
		// A batch that is under way when the time is up is waited for.
		if err := p.loki.push(context.WithoutCancel(ctx), lines...); err != nil {
			p.failures++
			p.unacknowledged = append(p.unacknowledged, texts...)
		} else {
			p.acknowledged = append(p.acknowledged, texts...)
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// dropped is how many lines Promtail has given up.
func (k *kube) dropped(t *testing.T) (lines, retries float64) {
	t.Helper()
	pods := k.pods(t, hostNamespace, "app.kubernetes.io/name=promtail")
	require.Len(t, pods, 1)
	lines, _, err := exposed(t.Context(), pods[0], 3101, "promtail_dropped_entries_total")
	require.NoError(t, err)
	retries, _, err = exposed(t.Context(), pods[0], 3101, "promtail_batch_retries_total")
	require.NoError(t, err)
	return lines, retries
}

// logLinesSurviveAKillAndAWipe: the lines of pods reach Loki through Promtail, every one once. Loki is killed while lines flow, and has
// afterwards every line that it had acknowledged, once. Then its volume is lost, and every line that was flushed comes back from S3 and
// DynamoDB alone.
func logLinesSurviveAKillAndAWipe(t *testing.T) {
	k := cluster(t)
	loki := k.loki(t)
	space := k.testNamespace(t, "logs")
	since := time.Now().Add(-time.Second)

	steady := k.logs(t, space, "steady", 20_000, 2000, false)
	long := k.logs(t, space, "long", 1_000, 100, true)
	loki.arrive(t, 2*time.Minute, "as they were printed", since, steady, long)
	k.flushed(t, loki)

	droppedBefore, retriesBefore := k.dropped(t)
	flowing := k.logs(t, space, "flowing", 30_000, 500, false)
	pushing := &pusher{loki: loki, labels: map[string]string{"namespace": space, "app": "pusher"}}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { pushing.run(ctx) })
	time.Sleep(15 * time.Second)
	pod := k.pod(t, namespace, "loki-0")
	k.signal(t, pod, "loki", syscall.SIGKILL)
	killed := time.Now()
	eventually(t, 3*time.Minute, "Loki is back", func() error { return k.restarted(t, pod) })
	back := time.Since(killed)
	time.Sleep(15 * time.Second)
	stop()
	running.Wait()
	loki.arrive(t, 3*time.Minute, "after the kill", since, steady, long, flowing)
	recovered := time.Since(killed)
	dropped, retries := k.dropped(t)
	assert.Zero(t, dropped-droppedBefore, "lines that Promtail has given up")

	pushed := stream{fmt.Sprintf(`{namespace=%q,app="pusher"}`, space), pushing.acknowledged}
	c, err := loki.compare(t.Context(), pushed, since)
	require.NoError(t, err)
	assert.Zero(t, c.missing, "acknowledged lines that are lost")
	assert.Zero(t, c.duplicates, "lines that are there twice")
	assert.LessOrEqual(t, c.unexpected, len(pushing.unacknowledged), "lines that nobody has pushed")
	require.NotEmpty(t, pushing.unacknowledged, "Loki has acknowledged every line: it was not killed while they flowed")
	figure(t, "Loki killed: ready again after %s; the lines of Promtail complete after %s, with %v batches sent again and none dropped",
		back.Round(time.Second), recovered.Round(time.Second), retries-retriesBefore)
	figure(t, "of %d acknowledged lines %d lost, %d twice; of %d that were not acknowledged %d are there all the same",
		len(pushing.acknowledged), c.missing, c.duplicates, len(pushing.unacknowledged), c.unexpected)

	k.flushed(t, loki)
	release := k.hold(t, "loki-0")
	// Killed, so that nothing is saved at the last moment.
	k.killPod(t, k.pod(t, namespace, "loki-0"))
	k.wipe(t, namespace, "data-loki-0")
	release()
	wiped := time.Now()
	eventually(t, 3*time.Minute, "Loki is back", func() error {
		return k.podsReady(t.Context(), namespace, "app.kubernetes.io/name=loki", 1)
	})
	figure(t, "volume wiped: Loki ready again after %s", time.Since(wiped).Round(time.Second))
	loki.arrive(t, time.Minute, "from S3 and DynamoDB alone", since, steady, long, flowing)
	again, err := loki.compare(t.Context(), pushed, since)
	require.NoError(t, err)
	assert.Equal(t, c, again, "the pushed lines before and after the loss of the volume")
	figure(t, "from S3 and DynamoDB alone: %d pushed lines, hash %s", again.found, again.hash)
}

// restarted says why the pod's first container has not started once more and is ready.
func (k *kube) restarted(t *testing.T, before nativecorev1.Pod) error {
	t.Helper()
	now := k.pod(t, before.Namespace, before.Name)
	if now.Status.ContainerStatuses[0].RestartCount <= before.Status.ContainerStatuses[0].RestartCount {
		return errors.New("its container has not started again")
	}
	return ready(&now)
}
