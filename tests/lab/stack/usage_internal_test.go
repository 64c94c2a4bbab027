package stack

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	nativecorev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestSummary(t *testing.T) {
	t.Parallel()
	used, err := summary([]byte(`{"node":{},"pods":[{"podRef":{"name":"loki-0","namespace":"monitoring","uid":"1"},"containers":[
		{"name":"loki","startTime":"2026-01-01T00:00:00Z","cpu":{"usageCoreNanoSeconds":50000000000},"memory":{"workingSetBytes":1048576}}]}]}`),
		time.Date(2026, 1, 1, 0, 1, 40, 0, time.UTC))
	require.NoError(t, err)
	assert.Equal(t, map[container]figures{{"monitoring", "loki-0", "loki"}: {cpu: 0.5, memory: 1 << 20}}, used)
}

func TestVector(t *testing.T) {
	t.Parallel()
	values, err := vector([]byte(`{"status":"success","data":{"resultType":"vector","result":[
		{"metric":{"namespace":"monitoring","pod":"loki-0","container":"loki"},"value":[1700000000.1,"2.5"]}]}}`))
	require.NoError(t, err)
	assert.Equal(t, map[container]float64{{"monitoring", "loki-0", "loki"}: 2.5}, values)
	_, err = vector([]byte(`{"status":"error","error":"parse error"}`))
	require.EqualError(t, err, "reading Prometheus' answer: parse error")
}

func TestTabulate(t *testing.T) {
	t.Parallel()
	controlled := func(name, kind, owner string, restarts int32) nativecorev1.Pod {
		yes := true
		return nativecorev1.Pod{
			ObjectMeta: nativemetav1.ObjectMeta{
				Name: name, Namespace: "monitoring", OwnerReferences: []nativemetav1.OwnerReference{{Kind: kind, Name: owner, Controller: &yes}},
			},
			Spec: nativecorev1.PodSpec{Containers: []nativecorev1.Container{{Name: "main", Resources: nativecorev1.ResourceRequirements{
				Requests: nativecorev1.ResourceList{"cpu": resource.MustParse("100m"), "memory": resource.MustParse("64Mi")},
				Limits:   nativecorev1.ResourceList{"memory": resource.MustParse("128Mi")},
			}}}},
			Status: nativecorev1.PodStatus{ContainerStatuses: []nativecorev1.ContainerStatus{{Name: "main", RestartCount: restarts}}},
		}
	}
	key := func(pod string) container { return container{"monitoring", pod, "main"} }
	rows, total := tabulate([]nativecorev1.Pod{
		controlled("query-1", "ReplicaSet", "query-abc", 1), controlled("query-2", "ReplicaSet", "query-abc", 2), controlled("loki-0", "StatefulSet", "loki", 0),
	}, map[string]string{"monitoring/query-abc": "query"}, map[container]figures{
		key("query-1"): {cpu: 0.25, memory: 10 << 20, memoryMax: 30 << 20}, key("query-2"): {cpu: 0.5, memory: 20 << 20, memoryMax: 20 << 20},
		key("loki-0"): {cpu: 1, memory: 5 << 20, memoryMax: 5 << 20},
	})
	require.Len(t, rows, 2)
	assert.Equal(t, usageRow{workload: "monitoring/query", container: "main", pods: 2, figures: figures{
		cpu: 0.5, memory: 20 << 20, memoryMax: 30 << 20, cpuRequest: 0.1, memoryRequest: 64 << 20, memoryLimit: 128 << 20, restarts: 3,
	}}, rows[1])
	assert.InDelta(t, 35<<20, total.memory, 1)
	assert.InDelta(t, 192<<20, total.memoryRequest, 1)

	var out bytes.Buffer
	total.memoryMax = 7e9
	require.NoError(t, printUsage(&out, rows, total))
	lines := strings.Split(out.String(), "\n")
	assert.Equal(t, []string{"monitoring/query", "main", "2", "0.500", "-", "0.100", "-", "20", "30", "64", "128", "3"}, strings.Fields(lines[2]))
	assert.Contains(t, out.String(), "The stack took 6676 MiB at most at one time: MORE THAN 6 GB (5722 MiB).")
}
