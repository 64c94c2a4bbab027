package grafana_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/grafana"
	"github.com/kansoku/kansoku/internal/mocks"
)

func TestProvisioningOfAnExistingGrafana(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		_, err := grafana.NewProvisioning(ctx, "p", &grafana.ProvisioningArgs{
			ExistingSettings: grafana.ExistingSettings{Namespace: "grafana", DashboardLabel: "team/dashboard"},
			ThanosURL:        pulumi.String("http://thanos"),
			Dashboards:       []grafana.Dashboard{{Name: "one", Folder: "Ours", JSON: `{"title": "One"}`}},
		})
		return err
	})
	require.Len(t, r.All(), 3, "the component and two ConfigMaps")
	labels := func(kind string) map[string]any {
		return map[string]any{
			"app.kubernetes.io/name": "grafana", "app.kubernetes.io/instance": "kansoku", "app.kubernetes.io/component": "provisioning",
			"app.kubernetes.io/part-of": "kansoku", kind: "1",
		}
	}
	sources := r.Get(t, "kubernetes:core/v1:ConfigMap", "p-datasources")
	require.Equal(t, map[string]any{
		"name": "kansoku-datasources", "namespace": "grafana", "labels": labels("grafana_datasource"),
	}, sources.Field("metadata"))
	require.Contains(t, sources.Field("data", "kansoku-datasources.yaml"), "url: http://thanos")
	require.NotContains(t, sources.Field("data", "kansoku-datasources.yaml"), "loki")
	board := r.Get(t, "kubernetes:core/v1:ConfigMap", "p-dashboard-one")
	require.Equal(t, map[string]any{
		"name": "kansoku-dashboard-one", "namespace": "grafana", "labels": labels("team/dashboard"),
		"annotations": map[string]any{"grafana_folder": "Ours"},
	}, board.Field("metadata"))
	require.Equal(t, map[string]any{"kansoku-one.json": `{"title":"One"}`}, board.Field("data"))
}

func TestRefusedProvisioning(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{}
	err := r.RunErr(func(ctx *pulumi.Context) error {
		_, err := grafana.NewProvisioning(ctx, "p", &grafana.ProvisioningArgs{
			ExistingSettings: grafana.ExistingSettings{
				Namespace: "Grafana", PodLabels: map[string]string{"a b": "c d"}, DatasourceLabel: "x y", FolderAnnotation: "/",
			},
			ScrapeInterval: "soon", Dashboards: []grafana.Dashboard{{Name: "one", JSON: `{}`}},
		})
		return err
	})
	for _, want := range []string{
		`namespace: must be the name of a namespace, got "Grafana"`,
		`podLabels: must be a label's name, got "a b"`,
		`podLabels.a b: must be a label's value, got "c d"`,
		`datasourceLabel: must be the name of a label or annotation, such as "grafana_dashboard", got "x y"`,
		`folderAnnotation: must be the name`,
		`scrapeInterval: must be a Prometheus duration such as "30s", got "soon"`,
		`dashboards[0].json.title: must not be empty`,
	} {
		require.ErrorContains(t, err, want)
	}
	require.Empty(t, r.All())
}
