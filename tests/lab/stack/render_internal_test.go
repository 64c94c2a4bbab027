package stack

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/internal/offline"
)

// What the program renders can be brought up: its graph has an order, and whoever reaches a bucket has a policy.
func TestRender(t *testing.T) {
	t.Parallel()
	project := filepath.Join("..", "..", "..")
	if missing := offline.CheckTools(filepath.Join(project, "bin")); missing != nil && os.Getenv("KANSOKU_TOOLS") != "required" {
		t.Skipf("no engine: %v", missing)
	}
	dir := filepath.Join(t.TempDir(), "state")
	require.NoError(t, Render(t.Context(), project, dir))

	granted, err := Policies(dir)
	require.NoError(t, err)
	assert.ElementsMatch(t, workloads(), slices.Collect(maps.Keys(granted)))
	credentials := map[string]Credential{}
	for workload := range granted {
		credentials[workload] = Credential{AccessKey: workload, SecretKey: "secret"}
	}
	for workload, bucket := range map[string]string{"loki": "kansoku-chunks", "thanos-store": "kansoku-blocks"} {
		assert.Contains(t, string(granted[workload]), "arn:aws:s3:::"+bucket+"/*")
		assert.NotContains(t, string(granted[workload]), "dynamodb")
	}

	var objects []offline.Object
	require.NoError(t, readJSON(dir, ObjectsFile, &objects))
	p, err := newPlan(objects, credentials)
	require.NoError(t, err)
	assert.Len(t, p.steps, len(objects)+len(credentials)-len(p.leftOut))
	assert.Len(t, p.leftOut, 2, "Grafana and the exporter of events: %v", p.leftOut)
	assert.Len(t, operatedSteps(p.steps), 2, "Prometheus and Alertmanager")
	for _, s := range p.steps {
		if kind := s.object.GetKind(); kind == "StatefulSet" || kind == "Deployment" {
			assert.NotEmpty(t, s.needs, s.String())
		}
	}

	used, err := Images(dir)
	require.NoError(t, err)
	assert.Len(t, used, 10, "of operator, reloader, Prometheus, Alertmanager, two exporters, adapter, Thanos, Loki and Promtail: %v", used)
	info, err := os.Stat(filepath.Join(dir, ObjectsFile))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm(), "it has secrets")
}
