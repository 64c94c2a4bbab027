package events_test

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
	"github.com/kansoku/kansoku/components/events"
	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/internal/mocks"
)

func run(t *testing.T, args *events.Args) *mocks.Recorder {
	t.Helper()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		_, err := events.New(ctx, "events", args)
		return err
	})
	return r
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

func config(t *testing.T, r *mocks.Recorder) string {
	t.Helper()
	data, ok := r.Get(t, "kubernetes:core/v1:ConfigMap", "events").Field("data", "config.yaml").(string)
	require.True(t, ok)
	return data
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	r := run(t, &events.Args{Namespace: pulumi.String("monitoring")})
	golden(t, "config.yaml", config(t, r))
	assert.NotContains(t, config(t, r), "$", "the exporter would replace it")
	other := run(t, &events.Args{Namespace: pulumi.String("monitoring"), Settings: events.Settings{MaxAge: "1h"}})
	assert.Contains(t, config(t, other), "maxEventAgeSeconds: 3600\n")
}

func TestDeployment(t *testing.T) {
	t.Parallel()
	r := run(t, &events.Args{Namespace: pulumi.String("monitoring"), PriorityClass: "kansoku"})
	types := map[string]int{}
	for _, one := range r.All() {
		types[one.Type]++
		if one.Custom {
			assert.Contains(t, one.Parent, "kansoku:events:Events::events", one.Type)
		}
	}
	delete(types, "pulumi:pulumi:Stack")
	assert.Equal(t, map[string]int{
		"kansoku:events:Events": 1, "kubernetes:core/v1:ConfigMap": 1, "kubernetes:core/v1:ServiceAccount": 1,
		"kubernetes:rbac.authorization.k8s.io/v1:ClusterRole": 1, "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding": 1,
		"kubernetes:core/v1:Service": 1, "kubernetes:apps/v1:Deployment": 1, "kubernetes:monitoring.coreos.com/v1:ServiceMonitor": 1,
	}, types)
	assert.Equal(t, []any{map[string]any{"apiGroups": []any{""}, "resources": []any{"events"}, "verbs": []any{"list", "watch"}}},
		r.Get(t, "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole", "events").Field("rules"))

	d := r.Get(t, "kubernetes:apps/v1:Deployment", "events")
	assert.Equal(t, 1.0, d.Field("spec", "replicas"))
	sum := sha256.Sum256([]byte(config(t, r)))
	assert.Equal(t, hex.EncodeToString(sum[:]), d.Field("spec", "template", "metadata", "annotations", "kansoku.dev/config-checksum"))
	assert.Equal(t, "kansoku", d.Field("spec", "template", "spec", "priorityClassName"))
	assert.Equal(t, true, d.Field("spec", "template", "spec", "automountServiceAccountToken"))
	assert.Equal(t, 65532.0, d.Field("spec", "template", "spec", "securityContext", "runAsUser"))
	assert.Equal(t, true, d.Field("spec", "template", "spec", "securityContext", "runAsNonRoot"))
	assert.Equal(t, []any{map[string]any{"name": "config", "configMap": map[string]any{"name": "event-exporter"}}},
		d.Field("spec", "template", "spec", "volumes"))
	assert.Equal(t, map[string]any{
		"name": "event-exporter", "image": "ghcr.io/resmoio/kubernetes-event-exporter:v1.7",
		"args":  []any{"-conf=/etc/event-exporter/config.yaml", "-metrics-address=:2112"},
		"ports": []any{map[string]any{"name": "http-metrics", "containerPort": 2112.0}},
		"resources": map[string]any{
			"requests": map[string]any{"cpu": "10m", "memory": "64Mi"}, "limits": map[string]any{"memory": "256Mi"},
		},
		"securityContext": map[string]any{
			"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": map[string]any{"drop": []any{"ALL"}},
		},
		"livenessProbe": map[string]any{
			"httpGet": map[string]any{"path": "/-/healthy", "port": "http-metrics"}, "periodSeconds": 30.0, "timeoutSeconds": 5.0,
		},
		"readinessProbe":           map[string]any{"httpGet": map[string]any{"path": "/-/ready", "port": "http-metrics"}},
		"volumeMounts":             []any{map[string]any{"name": "config", "mountPath": "/etc/event-exporter", "readOnly": true}},
		"terminationMessagePolicy": "FallbackToLogsOnError",
	}, d.Field("spec", "template", "spec", "containers", 0))
	assert.Equal(t, []any{map[string]any{"port": "http-metrics"}},
		r.Get(t, "kubernetes:monitoring.coreos.com/v1:ServiceMonitor", "events").Field("spec", "endpoints"))
}

// The pipeline finds the lines of this very pod, and is one that a collector takes.
func TestPipeline(t *testing.T) {
	t.Parallel()
	p := events.Pipeline("monitoring")
	assert.Equal(t, events.Labels().Name, p.App)
	d := run(t, &events.Args{Namespace: pulumi.String("monitoring")}).Get(t, "kubernetes:apps/v1:Deployment", "events")
	assert.Equal(t, p.Container, d.Field("spec", "template", "spec", "containers", 0, "name"))
	assert.Equal(t, p.App, d.Field("spec", "template", "metadata", "labels", "app.kubernetes.io/name"))
	assert.Equal(t, p.Namespace, d.Field("metadata", "namespace"))
	s := collector.Settings{Pipelines: []collector.Pipeline{p}}.WithDefaults()
	require.NoError(t, s.Validate())
	assert.Equal(t, []collector.Stage{
		{JSON: &collector.JSONStage{Expressions: map[string]string{"level": "type", "namespace": "metadata.namespace"}}},
		{Template: &collector.TemplateStage{Source: "level", Template: "{{ ToLower .Value }}"}},
		{Labels: map[string]string{"level": "level", "namespace": "namespace"}},
	}, s.PodStages()[1].Match.Stages)
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for want, args := range map[string]*events.Args{
		"validating events: namespace: is required, got null": nil,
		`validating events: maxAge: must be a duration from 5s to 1h, such as "2m", got "4s"`: {
			Namespace: pulumi.String("a"), Settings: events.Settings{MaxAge: "4s"},
		},
		`validating events: maxAge: must be a duration from 5s to 1h, such as "2m", got "2h"`: {
			Namespace: pulumi.String("a"), Settings: events.Settings{MaxAge: "2h"},
		},
		`validating events: maxAge: must be a duration from 5s to 1h, such as "2m", got "soon"`: {
			Namespace: pulumi.String("a"), Settings: events.Settings{MaxAge: "soon"},
		},
		`validating events: resources.memory: must be a positive Kubernetes quantity such as "100m" or "256Mi", got "x"`: {
			Namespace: pulumi.String("a"), Settings: events.Settings{Resources: kube.Resources{Memory: "x", MemoryLimit: "1Gi"}},
		},
	} {
		r := &mocks.Recorder{}
		err := r.RunErr(func(ctx *pulumi.Context) error {
			_, err := events.New(ctx, "events", args)
			return err
		})
		require.ErrorContains(t, err, want)
		assert.Empty(t, r.OfType("kansoku:events:Events"))
	}
}

func TestDefaultsAreIdempotent(t *testing.T) {
	t.Parallel()
	s := events.Settings{}.WithDefaults()
	assert.Equal(t, events.Settings{MaxAge: "2m", Resources: kube.Resources{CPU: "10m", Memory: "64Mi", MemoryLimit: "256Mi"}}, s)
	assert.Equal(t, s, s.WithDefaults())
	require.NoError(t, s.Validate())
}
