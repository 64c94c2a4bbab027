package cases

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	nativecorev1 "k8s.io/api/core/v1"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// leftOut are the Deployments that the lab has no program for: `lab up` says why. Their Services are there, with no pod behind them.
func leftOut() []string { return []string{"grafana", "event-exporter"} }

// workload is what makes pods: by the program itself, or by the operator from one of its objects.
type workload struct {
	kind, namespace, name string
	replicas              int
}

func (w workload) String() string { return w.kind + " " + w.namespace + "/" + w.name }

// workloads are what the program deploys, and how many pods that is on the one node.
func workloads(t *testing.T) []workload {
	t.Helper()
	var all []workload
	for _, one := range rendered(t) {
		w := workload{kind: one.GetKind(), namespace: one.GetNamespace(), name: one.GetName()}
		switch w.kind {
		case "Deployment", "StatefulSet":
			w.replicas = replicas(one)
		case "DaemonSet":
			w.replicas = 1
		case "Prometheus", "Alertmanager":
			w.kind, w.name, w.replicas = "StatefulSet", strings.ToLower(w.kind)+"-"+w.name, replicas(one)
		default:
			continue
		}
		if !slices.Contains(leftOut(), w.name) {
			all = append(all, w)
		}
	}
	return all
}

// replicas that an object asks for; one if it does not say.
func replicas(object *unstructured.Unstructured) int {
	switch number := spec(object)["replicas"].(type) {
	case int64:
		return int(number)
	case float64:
		return int(number)
	default:
		return 1
	}
}

func spec(object *unstructured.Unstructured) map[string]any {
	fields, _ := object.Object["spec"].(map[string]any)
	return fields
}

// TestEveryWorkloadIsReady: all that the program deploys runs, every pod of it ready, and no container has started twice.
func TestEveryWorkloadIsReady(t *testing.T) {
	k := cluster(t)
	all := workloads(t)
	found := map[string]int{}
	for _, w := range all {
		found[w.name] = w.replicas
	}
	assert.Equal(t, map[string]int{
		"prometheus-operator": 1, "prometheus-k8s": 2, "alertmanager-main": 3, "kube-state-metrics": 1, "node-exporter": 1,
		"prometheus-adapter": 2, "thanos-store": 1, "thanos-query": 2, "thanos-query-frontend": 1, "thanos-compact": 1, "thanos-bucket-web": 1,
		"loki": 1, "promtail": 1,
	}, found, "the workloads that the program deploys to the lab")

	total, containers := 0, 0
	for _, w := range all {
		eventually(t, 3*time.Minute, w.String(), func() error { return k.workloadReady(t, w) })
		total += w.replicas
	}
	for _, namespace := range []string{namespace, hostNamespace} {
		for _, pod := range k.pods(t, namespace, "") {
			require.NoError(t, ready(&pod))
			assert.Empty(t, unexpectedRestarts(t, pod))
			containers += len(pod.Spec.Containers)
			total--
			if strings.HasPrefix(pod.Name, "prometheus-k8s-") {
				assert.Contains(t, containerNames(pod), "thanos-sidecar", "containers of pod %s", pod.Name)
			}
		}
	}
	assert.Zero(t, total, "pods that the program's workloads do not account for, or that are missing")
	figure(t, "%d workloads ready, %d containers, no restart", len(all), containers)
}

func containerNames(pod nativecorev1.Pod) []string {
	names := map[string]bool{}
	for _, container := range pod.Spec.Containers {
		names[container.Name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// workloadReady says why a workload is not wholly ready in its newest form.
func (k *kube) workloadReady(t *testing.T, w workload) error {
	t.Helper()
	get := nativemetav1.GetOptions{}
	apps := k.typed.AppsV1()
	var want, updated, isReady, total int32
	var current bool
	var err error
	switch w.kind {
	case "Deployment":
		one, failed := apps.Deployments(w.namespace).Get(t.Context(), w.name, get)
		if err = failed; err == nil {
			s := one.Status
			want, updated, isReady, total = *one.Spec.Replicas, s.UpdatedReplicas, s.ReadyReplicas, s.Replicas
			current = s.ObservedGeneration == one.Generation
		}
	case "StatefulSet":
		one, failed := apps.StatefulSets(w.namespace).Get(t.Context(), w.name, get)
		if err = failed; err == nil {
			s := one.Status
			want, updated, isReady, total = *one.Spec.Replicas, s.UpdatedReplicas, s.ReadyReplicas, s.Replicas
			current = s.ObservedGeneration == one.Generation
		}
	case "DaemonSet":
		one, failed := apps.DaemonSets(w.namespace).Get(t.Context(), w.name, get)
		if err = failed; err == nil {
			s := one.Status
			want, updated, isReady, total = s.DesiredNumberScheduled, s.UpdatedNumberScheduled, s.NumberReady, s.CurrentNumberScheduled
			current = s.ObservedGeneration == one.Generation
		}
	default:
		require.Fail(t, "no kind "+w.kind)
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", w, err)
	}
	if !current {
		return errors.New("its controller has not seen it yet")
	}
	if n := int32(w.replicas); want != n || updated != n || isReady != n || total != n {
		return fmt.Errorf("%d pods wanted by the program, %d by the object; %d of them there, %d of these in the newest form, %d ready",
			w.replicas, want, total, updated, isReady)
	}
	return nil
}
