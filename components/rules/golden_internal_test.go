package rules

import (
	"os"
	"path/filepath"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/kansoku/kansoku/components/loki"
)

// shipped are the arguments of the whole stack, as it is by default.
func shipped() Args {
	return Args{Namespace: pulumi.String("monitoring"), HostNamespace: pulumi.String("monitoring-host")}.withDefaults()
}

// golden compares with a file below testdata, or writes it where UPDATE_GOLDEN is set.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, got, 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "stale: run `make generate`")
}

// TestRendered keeps the rules as Prometheus and Loki read them, so that a change shows in review; promtool tests these very files.
func TestRendered(t *testing.T) {
	t.Parallel()
	files := map[string]any{}
	for _, g := range shipped().render("monitoring", "monitoring-host") {
		files[g.Name] = map[string][]monitoringv1.RuleGroup{"groups": {g}}
	}
	for _, g := range Logs(Settings{}, "monitoring", "monitoring-host", "dev") {
		files[g.Name] = map[string][]loki.RuleGroup{"groups": {g}}
	}
	require.Len(t, files, len(everything()), "two groups have the same name")
	for name, file := range files {
		data, err := yaml.Marshal(file)
		require.NoError(t, err)
		golden(t, filepath.Join("testdata", "rules", name+".yaml"), data)
	}
}
