package promtail_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/collector"
	"github.com/kansoku/kansoku/components/promtail"
	"github.com/kansoku/kansoku/internal/mocks"
)

const pushURL = "http://loki.monitoring.svc:3100/loki/api/v1/push"

func run(t *testing.T, settings collector.Settings, change ...func(*collector.Args)) *mocks.Recorder {
	t.Helper()
	args := &collector.Args{Settings: settings, Namespace: pulumi.String("node-agents"), PushURL: pulumi.String(pushURL).ToStringOutput()}
	for _, one := range change {
		one(args)
	}
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		_, err := promtail.New(ctx, "logs", args)
		return err
	})
	return r
}

func config(t *testing.T, r *mocks.Recorder) string {
	t.Helper()
	data, ok := r.Get(t, "kubernetes:core/v1:ConfigMap", "logs").Field("data", "promtail.yaml").(string)
	require.True(t, ok)
	return data
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
		Labels: collector.Labels{Node: true, Instance: true, Component: true, Stream: true},
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
	golden(t, "default.yaml", config(t, run(t, collector.Settings{})))
	golden(t, "everything.yaml", config(t, run(t, everything(), func(a *collector.Args) { a.Cluster = "kansoku-dev" })))
}

func TestNoJournal(t *testing.T) {
	t.Parallel()
	r := run(t, collector.Settings{NoJournal: true})
	assert.NotContains(t, config(t, r), "journal")
	volumes := r.Get(t, "kubernetes:apps/v1:DaemonSet", "logs").Field("spec", "template", "spec", "volumes")
	assert.Equal(t, []any{"state", "pods", "config"}, names(volumes))
}

func names(list any) []any {
	var found []any
	for _, one := range list.([]any) {
		found = append(found, one.(map[string]any)["name"])
	}
	return found
}

func TestDaemonSet(t *testing.T) {
	t.Parallel()
	r := run(t, collector.Settings{}, func(a *collector.Args) { a.PriorityClass = "kansoku" })
	d := r.Get(t, "kubernetes:apps/v1:DaemonSet", "logs")
	assert.Equal(t, "promtail", d.Field("metadata", "name"))
	assert.Equal(t, "node-agents", d.Field("metadata", "namespace"))
	assert.Equal(t, map[string]any{"app.kubernetes.io/name": "promtail", "app.kubernetes.io/instance": "main"},
		d.Field("spec", "selector", "matchLabels"))
	sum := sha256.Sum256([]byte(config(t, r)))
	assert.Equal(t, hex.EncodeToString(sum[:]), d.Field("spec", "template", "metadata", "annotations", "kansoku.dev/config-checksum"))

	pod, ok := d.Field("spec", "template", "spec").(map[string]any)
	require.True(t, ok)
	mount := func(name, path string, readOnly bool) map[string]any {
		return map[string]any{"name": name, "mountPath": path, "readOnly": readOnly}
	}
	container, ok := pod["containers"].([]any)[0].(map[string]any)
	require.True(t, ok)
	assert.Equal(t, map[string]any{
		"name": "promtail", "image": "docker.io/grafana/promtail:3.5.12", "args": []any{"-config.file=/etc/promtail/promtail.yaml"},
		"env":   []any{map[string]any{"name": "HOSTNAME", "valueFrom": map[string]any{"fieldRef": map[string]any{"fieldPath": "spec.nodeName"}}}},
		"ports": []any{map[string]any{"name": "http-metrics", "containerPort": 3101.0}},
		"resources": map[string]any{
			"requests": map[string]any{"cpu": "50m", "memory": "64Mi"}, "limits": map[string]any{"memory": "256Mi"},
		},
		"securityContext": map[string]any{
			"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": map[string]any{"drop": []any{"ALL"}},
		},
		"readinessProbe": map[string]any{
			"httpGet":             map[string]any{"path": "/ready", "port": "http-metrics"},
			"initialDelaySeconds": 10.0, "periodSeconds": 10.0, "failureThreshold": 5.0,
		},
		"livenessProbe": map[string]any{
			"httpGet":             map[string]any{"path": "/static/", "port": "http-metrics"},
			"initialDelaySeconds": 30.0, "periodSeconds": 60.0, "timeoutSeconds": 10.0, "failureThreshold": 5.0,
		},
		"volumeMounts": []any{
			mount("state", "/var/lib/kansoku/logs", false), mount("pods", "/var/log/pods", true),
			mount("journal", "/var/log/journal", true), mount("journal-volatile", "/run/log/journal", true),
			mount("machine-id", "/etc/machine-id", true), mount("config", "/etc/promtail", true),
		},
		"terminationMessagePolicy": "FallbackToLogsOnError",
	}, container)
	host := func(name, path, kind string) map[string]any {
		return map[string]any{"name": name, "hostPath": map[string]any{"path": path, "type": kind}}
	}
	delete(pod, "containers")
	delete(pod, "affinity") // placement's tests hold it
	assert.Equal(t, map[string]any{
		"serviceAccountName": "promtail", "automountServiceAccountToken": true, "priorityClassName": "kansoku",
		"nodeSelector": map[string]any{"kubernetes.io/os": "linux"}, "terminationGracePeriodSeconds": 30.0,
		"tolerations": []any{map[string]any{"operator": "Exists"}},
		"securityContext": map[string]any{
			"runAsNonRoot": false, "runAsUser": 0.0, "runAsGroup": 0.0, "seccompProfile": map[string]any{"type": "RuntimeDefault"},
		},
		"volumes": []any{
			host("state", "/var/lib/kansoku/logs", "DirectoryOrCreate"), host("pods", "/var/log/pods", "Directory"),
			host("journal", "/var/log/journal", "DirectoryOrCreate"), host("journal-volatile", "/run/log/journal", "DirectoryOrCreate"),
			host("machine-id", "/etc/machine-id", "File"),
			map[string]any{"name": "config", "configMap": map[string]any{"name": "promtail"}},
		},
	}, pod)
}

func TestRightsAndMonitor(t *testing.T) {
	t.Parallel()
	r := run(t, collector.Settings{})
	types := map[string]int{}
	for _, one := range r.All() {
		types[one.Type]++
		if one.Custom {
			assert.Contains(t, one.Parent, "kansoku:promtail:Promtail::logs", one.Type)
		}
	}
	delete(types, "pulumi:pulumi:Stack")
	assert.Equal(t, map[string]int{
		"kansoku:promtail:Promtail": 1, "kubernetes:core/v1:ConfigMap": 1, "kubernetes:core/v1:ServiceAccount": 1,
		"kubernetes:rbac.authorization.k8s.io/v1:ClusterRole": 1, "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding": 1,
		"kubernetes:core/v1:Service": 1, "kubernetes:apps/v1:DaemonSet": 1, "kubernetes:monitoring.coreos.com/v1:ServiceMonitor": 1,
	}, types)
	assert.Equal(t, []any{map[string]any{"apiGroups": []any{""}, "resources": []any{"pods"}, "verbs": []any{"list", "watch"}}},
		r.Get(t, "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole", "logs").Field("rules"))
	assert.Equal(t, "None", r.Get(t, "kubernetes:core/v1:Service", "logs").Field("spec", "clusterIP"))
	assert.Equal(t, []any{map[string]any{
		"port":        "http-metrics",
		"relabelings": []any{map[string]any{"sourceLabels": []any{"__meta_kubernetes_pod_node_name"}, "targetLabel": "node"}},
	}}, r.Get(t, "kubernetes:monitoring.coreos.com/v1:ServiceMonitor", "logs").Field("spec", "endpoints"))
	assert.Contains(t, r.Get(t, "kubernetes:apps/v1:DaemonSet", "logs").Depends,
		"urn:pulumi:test::kansoku::kansoku:promtail:Promtail$kubernetes:core/v1:ConfigMap::logs")
}

func TestRefused(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{}
	err := r.RunErr(func(ctx *pulumi.Context) error {
		_, err := promtail.New(ctx, "logs", nil)
		return err
	})
	require.ErrorContains(t, err, "validating logs: namespace: is required, got null\npushUrl: is required, got null")
	assert.Empty(t, r.OfType("kansoku:promtail:Promtail"))
}
