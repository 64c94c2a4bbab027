package cases

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	nativecorev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// alertWait is how long an alert may take to fire: its cause must be seen, hold for the two minutes that the lab gives it, and be seen by
	// both Prometheus. It may take as long to end: some look back over five minutes.
	alertWait = 10 * time.Minute
	// resolved is an alert's end for good: one that only pauses would be back within this time.
	resolved = 45 * time.Second
)

// TestAlertsThatAreProvokedFireAndEnd: failures that are cheap to bring about each make their alert fire in both Prometheus, and it ends when the
// failure is mended as its runbook says.
func TestAlertsThatAreProvokedFireAndEnd(t *testing.T) {
	t.Run("CompactorHalted", compactorHalts)
	t.Run("LokiWithoutItsTable", lokiLosesItsTable)
	t.Run("TargetDown", targetGoesDown)
	t.Run("VolumeFull", volumeFills)
	t.Run("CrashLoop", podCrashes)
}

// alerts are those that fire in both Prometheus, by a selector's matchers; an error if one Prometheus has none.
func (k *kube) alerts(t *testing.T, matchers string) ([]series, error) {
	t.Helper()
	var all []series
	for _, replica := range prometheusReplicas() {
		found, err := k.replica(t, replica).query(t.Context(), `ALERTS{alertstate="firing",`+matchers+`}`, time.Now())
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("%s has no firing alert {%s}", replica, matchers)
		}
		all = append(all, found...)
	}
	return all, nil
}

// fires waits for an alert, doing something meanwhile once in a quarter of a minute, and holds that it has a severity.
func (k *kube) fires(t *testing.T, matchers, severity string, meanwhile func() error) {
	t.Helper()
	begun := time.Now()
	var last time.Time
	var all []series
	eventually(t, alertWait, "alert {"+matchers+"} fires", func() (err error) {
		if meanwhile != nil && time.Since(last) > 15*time.Second {
			last = time.Now()
			if err = meanwhile(); err != nil {
				return err
			}
		}
		all, err = k.alerts(t, matchers)
		return err
	})
	for _, one := range all {
		assert.Equal(t, severity, one.Labels["severity"], alertText(one.Labels))
	}
	figure(t, "fired in both Prometheus %s after its cause: %s", time.Since(begun).Round(time.Second), alertText(all[0].Labels))
}

// ends waits until an alert neither fires nor is pending in either Prometheus, for good.
func (k *kube) ends(t *testing.T, matchers string) {
	t.Helper()
	begun := time.Now()
	var since time.Time
	eventually(t, alertWait, "alert {"+matchers+"} ends", func() error {
		for _, replica := range prometheusReplicas() {
			found, err := k.replica(t, replica).query(t.Context(), "ALERTS{"+matchers+"}", time.Now())
			if err != nil {
				return err
			}
			if len(found) > 0 {
				since = time.Time{}
				return fmt.Errorf("%s: %s", replica, alertText(found[0].Labels))
			}
		}
		if since.IsZero() {
			since = time.Now()
		}
		if time.Since(since) < resolved {
			return errors.New("it has just ended")
		}
		return nil
	})
	figure(t, "ended %s after the failure was mended: {%s}", since.Sub(begun).Round(time.Second), matchers)
}

// compactorHalts: two blocks of the same labels and times are what no compactor may touch.
func compactorHalts(t *testing.T) {
	t.Parallel()
	k := cluster(t)
	const alert, tags = `alertname="ThanosCompactHalted",pod="thanos-compact-0"`, "app.kubernetes.io/name=thanos-compact"
	labels := map[string]string{
		"cluster": fmt.Sprintf("overlap-%d", time.Now().Unix()), "prometheus": "monitoring/overlap", "prometheus_replica": "overlap-0",
	}
	from := time.Now().Add(-48 * time.Hour).Truncate(2 * time.Hour)
	dir := t.TempDir()
	for range 2 {
		writeBlocks(t, dir, from, from.Add(2*time.Hour))
	}
	require.Equal(t, 2, uploadBlocks(t, dir, labels))
	k.fires(t, alert, "ticket", nil)

	removeBlocks(t, map[string]block{}, labels["cluster"])
	k.deletePod(t, k.pods(t, namespace, tags)[0], 30)
	k.ends(t, alert)
	require.NoError(t, k.podsReady(t.Context(), namespace, tags, 1))
}

// lokiLosesItsTable: what Loki must write into the index is refused, until there is a table again.
func lokiLosesItsTable(t *testing.T) {
	t.Parallel()
	k := cluster(t)
	const alert = `alertname="DynamoDBErrors",error="ResourceNotFoundException"`
	logs := k.loki(t)
	content, err := callTable(t.Context(), "DescribeTable", map[string]any{"TableName": table})
	require.NoError(t, err)
	var described struct {
		Table struct{ KeySchema, AttributeDefinitions []any }
	}
	require.NoError(t, json.Unmarshal(content, &described))
	require.Len(t, described.Table.KeySchema, 2)
	create := func(ctx context.Context) error {
		_, failed := callTable(ctx, "CreateTable", map[string]any{
			"TableName": table, "BillingMode": "PAY_PER_REQUEST",
			"KeySchema": described.Table.KeySchema, "AttributeDefinitions": described.Table.AttributeDefinitions,
		})
		return failed
	}
	k.flushed(t, logs) // what was written before is not to be among what is refused
	_, err = callTable(t.Context(), "DeleteTable", map[string]any{"TableName": table})
	require.NoError(t, err)
	made := false
	t.Cleanup(func() {
		if !made {
			assert.NoError(t, create(context.Background())) // not the test's context: it is done when the cleanup runs
		}
	})
	number := 0
	write := func(ctx context.Context) error {
		number++
		at := time.Now()
		labels := map[string]string{"lab_table": fmt.Sprintf("%d-%d", at.Unix(), number)} // a stream of its own: rows that are in no cache
		return errors.Join(logs.push(ctx, line{labels, at.UnixNano(), "a line without a table"}), logs.flush(ctx))
	}
	k.fires(t, alert, "ticket", func() error { return write(t.Context()) })

	require.NoError(t, create(t.Context()))
	made = true
	// It remembers which rows it has written, and they are gone.
	pod := k.pod(t, namespace, "loki-0")
	k.deletePod(t, pod, *pod.Spec.TerminationGracePeriodSeconds)
	eventually(t, 4*time.Minute, "Loki is ready", func() error { return k.podsReady(t.Context(), namespace, lokiTags, 1) })
	require.NoError(t, write(t.Context()))
	k.ends(t, alert)
	k.flushed(t, logs)
}

// targetGoesDown: a pod that is to be scraped and does not listen.
func targetGoesDown(t *testing.T) {
	t.Parallel()
	k := cluster(t)
	ns := k.testNamespace(t, "down")
	alert := fmt.Sprintf(`alertname="TargetDown",namespace=%q`, ns)
	pod := k.probes(t, ns, "target", 1, "log", "-lines=1", "-id=deaf")[0]
	k.monitor(t, ns, "target", 5*time.Second)
	k.fires(t, fmt.Sprintf(`%s,pod=%q,node=%q`, alert, pod.Name, nodeName), "ticket", nil)

	require.NoError(t, k.typed.AppsV1().Deployments(ns).Delete(t.Context(), "target", nativemetav1.DeleteOptions{}))
	eventually(t, 2*time.Minute, "the deployment is gone", func() error { return k.podsReady(t.Context(), ns, "app=target", 0) })
	k.probes(t, ns, "target", 1, "serve")
	k.ends(t, alert)
	for _, replica := range prometheusReplicas() {
		require.NoError(t, k.scrapes(t, replica, ns, 1))
	}
}

// volumeFills: a volume of 64 MiB on which 63 are in use. Of the volumes that the lab makes the kubelet tells no sizes: they are directories.
func volumeFills(t *testing.T) {
	t.Parallel()
	k := cluster(t)
	const claim, class, size = "filling", "lab-filling", "64Mi"
	ns := k.testNamespace(t, "volume")
	alert := fmt.Sprintf(`alertname="VolumeFull",namespace=%q,persistentvolumeclaim=%q,resource="space"`, ns, claim)
	dir := labDir(t, "volumes", ns)
	require.NoError(t, os.Mkdir(dir, 0o755))
	require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64m"))
	t.Cleanup(func() {
		assert.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) // a pod may still have it
		assert.NoError(t, os.Remove(dir))
	})
	k.localVolume(t, ns, claim, class, size, dir)
	filling := probe("fill", 1, "fill", "-path=/data/file", "-mb=63")
	pod := &filling.Spec.Template.Spec
	pod.Volumes = []nativecorev1.Volume{{Name: "data", VolumeSource: nativecorev1.VolumeSource{
		PersistentVolumeClaim: &nativecorev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
	}}}
	pod.Containers[0].VolumeMounts = []nativecorev1.VolumeMount{{Name: "data", MountPath: "/data"}}
	k.deploy(t, ns, filling)
	k.fires(t, alert, "page", nil)

	// Not removed: who has it open would keep the space.
	require.NoError(t, os.Truncate(filepath.Join(dir, "file"), 0))
	k.ends(t, alert)
	require.NoError(t, k.typed.AppsV1().Deployments(ns).Delete(t.Context(), "fill", nativemetav1.DeleteOptions{}))
	eventually(t, 2*time.Minute, "the pod is gone", func() error { return k.podsReady(t.Context(), ns, "app=fill", 0) })
}

// localVolume makes a claim, and its volume of a directory of the node: a kind of which the kubelet tells how full it is.
func (k *kube) localVolume(t *testing.T, ns, claim, class, size, dir string) {
	t.Helper()
	modes := []nativecorev1.PersistentVolumeAccessMode{nativecorev1.ReadWriteOnce}
	storage := nativecorev1.ResourceList{nativecorev1.ResourceStorage: resource.MustParse(size)}
	volumes := k.typed.CoreV1().PersistentVolumes()
	_, err := volumes.Create(t.Context(), &nativecorev1.PersistentVolume{
		ObjectMeta: nativemetav1.ObjectMeta{Name: ns},
		Spec: nativecorev1.PersistentVolumeSpec{
			Capacity: storage, AccessModes: modes, StorageClassName: class,
			PersistentVolumeReclaimPolicy: nativecorev1.PersistentVolumeReclaimRetain,
			PersistentVolumeSource:        nativecorev1.PersistentVolumeSource{Local: &nativecorev1.LocalVolumeSource{Path: dir}},
			NodeAffinity: &nativecorev1.VolumeNodeAffinity{Required: &nativecorev1.NodeSelector{
				NodeSelectorTerms: []nativecorev1.NodeSelectorTerm{{MatchExpressions: []nativecorev1.NodeSelectorRequirement{{
					Key: nativecorev1.LabelHostname, Operator: nativecorev1.NodeSelectorOpIn, Values: []string{nodeName},
				}}}},
			}},
		},
	}, nativemetav1.CreateOptions{})
	require.NoError(t, err, "making a volume")
	t.Cleanup(func() {
		// Not the test's context: it is done when the cleanup runs.
		failed := volumes.Delete(context.Background(), ns, nativemetav1.DeleteOptions{})
		assert.True(t, failed == nil || apierrors.IsNotFound(failed), "removing volume %s: %v", ns, failed)
	})
	_, err = k.typed.CoreV1().PersistentVolumeClaims(ns).Create(t.Context(), &nativecorev1.PersistentVolumeClaim{
		ObjectMeta: nativemetav1.ObjectMeta{Name: claim},
		Spec: nativecorev1.PersistentVolumeClaimSpec{
			AccessModes: modes, StorageClassName: new(class), VolumeName: ns,
			Resources: nativecorev1.VolumeResourceRequirements{Requests: storage},
		},
	}, nativemetav1.CreateOptions{})
	require.NoError(t, err, "making claim %s", claim)
}

// podCrashes: a container that ends as soon as it has started.
func podCrashes(t *testing.T) {
	t.Parallel()
	k := cluster(t)
	ns := k.testNamespace(t, "crash")
	alert := fmt.Sprintf(`alertname="PodCrashLooping",namespace=%q,container="probe"`, ns)
	k.deploy(t, ns, probe("crash", 1, "crash"))
	k.fires(t, alert, "ticket", nil)

	patch := []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"probe","command":["/probe","serve"]}]}}}}`)
	_, err := k.typed.AppsV1().Deployments(ns).Patch(t.Context(), "crash", types.StrategicMergePatchType, patch, nativemetav1.PatchOptions{})
	require.NoError(t, err)
	k.ends(t, alert)
	require.NoError(t, k.podsReady(t.Context(), ns, "app=crash", 1))
}
