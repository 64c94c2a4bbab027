package prometheus_test

import (
	"maps"
	"regexp"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/prometheus"
	"github.com/kansoku/kansoku/internal/mocks"
)

func clusterMonitors(t *testing.T) *mocks.Recorder {
	t.Helper()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		_, err := prometheus.NewClusterMonitors(ctx, "c", &prometheus.ClusterMonitorsArgs{Namespace: pulumi.String("ns")})
		return err
	})
	return r
}

func TestClusterMonitors(t *testing.T) {
	t.Parallel()
	r := clusterMonitors(t)
	require.Equal(t, "kansoku:prometheus:ClusterMonitors", r.All()[0].Type)
	require.Len(t, r.All(), 4)
	for _, object := range []string{"kubelet", "kube-apiserver", "coredns"} {
		m := r.Get(t, monitorToken, "c-"+object)
		require.Equal(t, "urn:pulumi:test::kansoku::kansoku:prometheus:ClusterMonitors::c", m.Parent)
		require.Equal(t, map[string]any{
			"name": object, "namespace": "ns",
			"labels": map[string]any{
				"app.kubernetes.io/name": object, "app.kubernetes.io/instance": "cluster",
				"app.kubernetes.io/component": "cluster", "app.kubernetes.io/part-of": "kansoku",
			},
		}, m.Field("metadata"))
	}
}

func TestKubelet(t *testing.T) {
	t.Parallel()
	endpoint := func(path string, more map[string]any) any {
		e := map[string]any{
			"port": "https-metrics", "scheme": "HTTPS", "path": path, "honorLabels": true,
			"bearerTokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token",
			"tlsConfig":       map[string]any{"ca": map[string]any{}, "cert": map[string]any{}, "insecureSkipVerify": true},
			"relabelings":     []any{map[string]any{"sourceLabels": []any{"__metrics_path__"}, "targetLabel": "metrics_path"}},
		}
		maps.Copy(e, more)
		return e
	}
	drop := func(regex string, sources ...any) any {
		return map[string]any{"action": "drop", "regex": regex, "sourceLabels": sources}
	}
	require.Equal(t, map[string]any{
		"jobLabel":          "app.kubernetes.io/name",
		"namespaceSelector": map[string]any{"matchNames": []any{"kube-system"}},
		"selector":          map[string]any{"matchLabels": map[string]any{"app.kubernetes.io/name": "kubelet"}},
		"endpoints": []any{
			endpoint("/metrics", nil),
			endpoint("/metrics/cadvisor", map[string]any{
				"honorTimestamps": false,
				"metricRelabelings": []any{
					drop("container_(network_tcp_usage_total|network_udp_usage_total|tasks_state|cpu_load_average_10s)", "__name__"),
					drop("container_(spec_.*|file_descriptors|sockets|threads_max|threads|start_time_seconds|last_seen);;",
						"__name__", "pod", "namespace"),
					drop("container_blkio_device_usage_total;.+", "__name__", "container"),
				},
			}),
			endpoint("/metrics/probes", nil),
		},
	}, clusterMonitors(t).Get(t, monitorToken, "c-kubelet").Field("spec"))
}

func TestAPIServer(t *testing.T) {
	t.Parallel()
	m := clusterMonitors(t).Get(t, monitorToken, "c-kube-apiserver")
	require.Equal(t, "component", m.Field("spec", "jobLabel"))
	require.Equal(t, map[string]any{"matchNames": []any{"default"}}, m.Field("spec", "namespaceSelector"))
	require.Equal(t, map[string]any{"matchLabels": map[string]any{"component": "apiserver", "provider": "kubernetes"}},
		m.Field("spec", "selector"))
	require.Len(t, m.Field("spec", "endpoints"), 1)
	require.Equal(t, "https", m.Field("spec", "endpoints", 0, "port"))
	require.Equal(t, "HTTPS", m.Field("spec", "endpoints", 0, "scheme"))
	require.Equal(t, "/var/run/secrets/kubernetes.io/serviceaccount/token", m.Field("spec", "endpoints", 0, "bearerTokenFile"))
	require.Equal(t, map[string]any{
		"ca": map[string]any{}, "cert": map[string]any{}, "serverName": "kubernetes",
		"caFile": "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
	}, m.Field("spec", "endpoints", 0, "tlsConfig"))
}

// dropped says whether the rules of an endpoint drop a series, as Prometheus applies them.
func dropped(rules any, series map[string]string) bool {
	for _, rule := range rules.([]any) {
		object := rule.(map[string]any)
		joined := ""
		for i, source := range object["sourceLabels"].([]any) {
			if i > 0 {
				joined += ";"
			}
			joined += series[source.(string)]
		}
		if regexp.MustCompile("^(?s:" + object["regex"].(string) + ")$").MatchString(joined) {
			return true
		}
	}
	return false
}

func TestAPIServerDrops(t *testing.T) {
	t.Parallel()
	rules := clusterMonitors(t).Get(t, monitorToken, "c-kube-apiserver").Field("spec", "endpoints", 0, "metricRelabelings")
	for _, histogram := range []string{"apiserver_request", "apiserver_request_sli", "etcd_request"} {
		bucket := func(le string) map[string]string {
			return map[string]string{"__name__": histogram + "_duration_seconds_bucket", "le": le}
		}
		for _, le := range []string{"0.15", "0.9", "3", "3.0", "3.5", "25", "25.0", "50.0"} {
			require.True(t, dropped(rules, bucket(le)), "%s %s", histogram, le)
		}
		for _, le := range []string{"0.05", "0.1", "0.5", "1", "1.0", "5", "5.0", "10.0", "30", "30.0", "60.0", "+Inf"} {
			require.False(t, dropped(rules, bucket(le)), "%s %s", histogram, le)
		}
	}
	for name, want := range map[string]bool{
		"etcd_debugging_snap_save_total_duration_seconds_sum":              true,
		"etcd_server_has_leader":                                           true,
		"apiserver_admission_controller_admission_duration_seconds_bucket": true,
		"apiserver_admission_step_admission_latencies_seconds_count":       true,
		"etcd_requests_total":                                              false,
		"apiserver_request_total":                                          false,
		"apiserver_request_duration_seconds_count":                         false,
		"apiserver_admission_webhook_admission_duration_seconds_bucket":    false,
	} {
		require.Equal(t, want, dropped(rules, map[string]string{"__name__": name}), name)
	}
}

func TestCAdvisorDrops(t *testing.T) {
	t.Parallel()
	rules := clusterMonitors(t).Get(t, monitorToken, "c-kubelet").Field("spec", "endpoints", 1, "metricRelabelings")
	pod := map[string]string{"pod": "p", "namespace": "n", "container": "c"}
	for _, test := range []struct {
		name   string
		labels map[string]string
		want   bool
	}{
		{"container_tasks_state", pod, true},
		{"container_spec_cpu_shares", nil, true},
		{"container_spec_cpu_shares", pod, false},
		{"container_start_time_seconds", nil, true},
		{"container_cpu_usage_seconds_total", nil, false},
		{"container_cpu_usage_seconds_total", pod, false},
		{"container_blkio_device_usage_total", pod, true},
		{"container_blkio_device_usage_total", map[string]string{"pod": "p", "namespace": "n"}, false},
	} {
		series := map[string]string{"__name__": test.name}
		maps.Copy(series, test.labels)
		require.Equal(t, test.want, dropped(rules, series), "%v", series)
	}
}

func TestCoreDNS(t *testing.T) {
	t.Parallel()
	require.Equal(t, map[string]any{
		"namespaceSelector": map[string]any{"matchNames": []any{"kube-system"}},
		"selector":          map[string]any{"matchLabels": map[string]any{"k8s-app": "kube-dns"}},
		"endpoints": []any{map[string]any{
			"targetPort": 9153.0, "relabelings": []any{map[string]any{"targetLabel": "job", "replacement": "coredns"}},
		}},
	}, clusterMonitors(t).Get(t, monitorToken, "c-coredns").Field("spec"))
}

func TestClusterMonitorsRefused(t *testing.T) {
	t.Parallel()
	for _, args := range []*prometheus.ClusterMonitorsArgs{nil, {}} {
		err := (&mocks.Recorder{}).RunErr(func(ctx *pulumi.Context) error {
			_, err := prometheus.NewClusterMonitors(ctx, "c", args)
			return err
		})
		require.ErrorContains(t, err, "validating c: namespace: is required, got null")
	}
}
