package alloy_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/alloy"
	"github.com/kansoku/kansoku/components/collector"
	"github.com/kansoku/kansoku/internal/mocks"
)

func args(settings collector.Settings) *collector.Args {
	return &collector.Args{
		Settings: settings, Namespace: pulumi.String("node-agents"), Cluster: "kansoku-dev",
		PushURL: pulumi.String("http://loki.monitoring.svc:3100/loki/api/v1/push"),
	}
}

func run(t *testing.T, args *collector.Args) *mocks.Recorder {
	t.Helper()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		_, err := alloy.New(ctx, "logs", args)
		return err
	})
	return r
}

func data(t *testing.T, r *mocks.Recorder, file string) string {
	t.Helper()
	text, ok := r.Get(t, "kubernetes:core/v1:ConfigMap", "logs").Field("data", file).(string)
	require.True(t, ok)
	return text
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

// everything is on.
func everything() collector.Settings {
	return collector.Settings{
		Labels: collector.Labels{NoPod: true, Node: true, Instance: true, Component: true, Stream: true},
		Pipelines: []collector.Pipeline{
			{Namespace: "shop", App: "web", Multiline: collector.Multiline{FirstLine: `^\d{4}-\d\d-\d\d "x"$`, MaxWait: "1s", MaxLines: 500}},
			{Container: "api", JSON: collector.JSON{
				Message: "msg", Level: "severity", Timestamp: `"@timestamp"`, Labels: map[string]string{"method": "http.method"},
			}, Drop: []collector.Drop{{Expression: `GET /healthz`, OlderThan: "1h"}, {OlderThan: "7d"}}},
		},
	}
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	golden(t, "default.alloy", data(t, run(t, args(collector.Settings{})), "config.alloy"))
	golden(t, "everything.alloy", data(t, run(t, args(everything())), "config.alloy"))
}

func TestSwitches(t *testing.T) {
	t.Parallel()
	a := args(collector.Settings{NoJournal: true})
	a.Cluster = ""
	r := run(t, a)
	assert.NotContains(t, data(t, r, "config.alloy"), "journal")
	assert.NotContains(t, data(t, r, "config.alloy"), "external_labels")
	volumes, ok := r.Get(t, "kubernetes:apps/v1:DaemonSet", "logs").Field("spec", "template", "spec", "volumes").([]any)
	require.True(t, ok)
	assert.Len(t, volumes, 3)
}

// What is as for Promtail is held by Promtail's tests: both are made by one function.
func TestDaemonSet(t *testing.T) {
	t.Parallel()
	r := run(t, args(collector.Settings{}))
	for _, one := range r.All() {
		if one.Custom {
			assert.Contains(t, one.Parent, "kansoku:alloy:Alloy::logs", one.Type)
		}
	}
	d := r.Get(t, "kubernetes:apps/v1:DaemonSet", "logs")
	assert.Equal(t, "alloy", d.Field("metadata", "name"))
	assert.Equal(t, map[string]any{"app.kubernetes.io/name": "alloy", "app.kubernetes.io/instance": "main"},
		d.Field("spec", "selector", "matchLabels"))
	container := func(path ...any) any {
		return d.Field(append([]any{"spec", "template", "spec", "containers", 0}, path...)...)
	}
	assert.Equal(t, "docker.io/grafana/alloy:v1.18.1", container("image"))
	assert.Equal(t, []any{
		"run", "/etc/alloy/config.alloy", "--storage.path=/var/lib/kansoku/logs/alloy", "--server.http.listen-addr=0.0.0.0:12345",
		"--server.http.disable-support-bundle", "--stability.level=generally-available", "--disable-reporting",
	}, container("args"))
	assert.Equal(t, []any{map[string]any{"name": "http-metrics", "containerPort": 12345.0}}, container("ports"))
	assert.Equal(t, "/-/ready", container("readinessProbe", "httpGet", "path"))
	assert.Equal(t, "/-/ready", container("livenessProbe", "httpGet", "path"))
	assert.Equal(t, "256Mi", container("resources", "requests", "memory"))
	assert.Equal(t, "512Mi", container("resources", "limits", "memory"))
	assert.Equal(t, "/etc/alloy", container("volumeMounts", 5, "mountPath"))
	assert.Equal(t, 0.0, d.Field("spec", "template", "spec", "securityContext", "runAsUser"))
	assert.Len(t, r.OfType("kubernetes:monitoring.coreos.com/v1:ServiceMonitor"), 1)
}

func TestRefused(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{}
	err := r.RunErr(func(ctx *pulumi.Context) error {
		_, err := alloy.New(ctx, "logs", nil)
		return err
	})
	require.ErrorContains(t, err, "validating logs: namespace: is required, got null\npushUrl: is required, got null")
}
