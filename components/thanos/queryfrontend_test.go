package thanos_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/thanos"
	"github.com/kansoku/kansoku/internal/mocks"
)

func newQueryFrontend(t *testing.T, args *thanos.QueryFrontendArgs) *mocks.Recorder {
	t.Helper()
	return record(t, func(ctx *pulumi.Context) error {
		frontend, err := thanos.NewQueryFrontend(ctx, "part", args)
		if err != nil {
			return err
		}
		assert.Equal(t, "http://thanos-query-frontend.monitoring.svc:10902", resolve(frontend.URL))
		return nil
	})
}

func TestQueryFrontend(t *testing.T) {
	t.Parallel()
	r := newQueryFrontend(t, &thanos.QueryFrontendArgs{Namespace: namespace, QueryURL: pulumi.String("http://q:1")})
	assert.Equal(t, map[string][]string{
		deployment: {"thanos-query-frontend"}, service: {"thanos-query-frontend"}, serviceAccount: {"thanos-query-frontend"},
		monitor: {"thanos-query-frontend"},
	}, objects(r))
	d := r.Get(t, deployment, "part")
	common(t, r, d, "thanos-query-frontend")
	goldenFlags(t, "queryfrontend.flags", d)
	assert.Equal(t, 1.0, d.Field("spec", "replicas"))
	assert.Equal(t, []any{map[string]any{"name": "QUERY_URL", "value": "http://q:1"}}, pod(d)("containers", 0, "env"))
	assert.Contains(t, flags(t, d), "--query-frontend.downstream-url=$(QUERY_URL)")
	assert.Nil(t, pod(d)("volumes"))
	assert.Equal(t, map[string]any{
		"requests": map[string]any{"cpu": "50m", "memory": "256Mi"}, "limits": map[string]any{"memory": "512Mi"},
	}, pod(d)("containers", 0, "resources"))
	assert.Equal(t, []any{map[string]any{"name": "http", "port": 10902.0, "targetPort": "http"}},
		r.Get(t, service, "part").Field("spec", "ports"), "it speaks no gRPC")
}

func TestQueryFrontendWithEverything(t *testing.T) {
	t.Parallel()
	r := newQueryFrontend(t, &thanos.QueryFrontendArgs{
		QueryFrontendSettings: thanos.QueryFrontendSettings{
			Replicas: 2, SplitInterval: "1d", MaxRetries: 3, LogSlowerThan: "1m30s", RangeCacheSize: "1Gi", LabelsCacheSize: "100Mi",
			CompleteOnly: true, Resources: resources(), RequireZones: true,
		},
		Namespace: namespace, PriorityClass: "high", QueryURL: pulumi.String("http://q:1"),
	})
	d := r.Get(t, deployment, "part")
	goldenFlags(t, "queryfrontend-everything.flags", d)
	assert.Equal(t, 2.0, d.Field("spec", "replicas"))
	assert.Equal(t, wantResources, pod(d)("containers", 0, "resources"))
	assert.Equal(t, "high", pod(d)("priorityClassName"))
	assert.Equal(t, "DoNotSchedule", pod(d)("topologySpreadConstraints", 0, "whenUnsatisfiable"))
	assert.Equal(t, 1.0, r.Get(t, budget, "part").Field("spec", "maxUnavailable"))
}

func TestQueryFrontendSettingsRefused(t *testing.T) {
	t.Parallel()
	for want, settings := range map[string]thanos.QueryFrontendSettings{
		"replicas: must be between 1 and 10, got 11":                                         {Replicas: 11},
		"requireZones: must be false with one replica: there is nothing to spread, got true": {RequireZones: true},
		`splitInterval: must be at least 1h, got "59m"`:                                      {SplitInterval: "59m"},
		"maxRetries: must be between 1 and 20, got 21":                                       {MaxRetries: 21},
		"maxRetries: must be between 1 and 20, got -1":                                       {MaxRetries: -1},
		`logSlowerThan: must be at least 100ms, got "0"`:                                     {LogSlowerThan: "0"},
		`rangeCacheSize: must be a Kubernetes quantity of at least 1Mi, got "none"`:          {RangeCacheSize: "none"},
		`labelsCacheSize: must be a Kubernetes quantity of at least 1Mi, got "1"`:            {LabelsCacheSize: "1"},
		`resources.memoryLimit: must leave a quarter free beside rangeCacheSize, labelsCacheSize, together 385Mi, got "512Mi"`: {
			LabelsCacheSize: "129Mi",
		},
		`resources.cpu: must be a positive Kubernetes quantity such as "100m" or "256Mi", got "x"`: {Resources: kube.Resources{CPU: "x"}},
	} {
		require.EqualError(t, settings.WithDefaults().Validate(), want)
	}
	s := thanos.QueryFrontendSettings{}.WithDefaults()
	require.NoError(t, s.Validate())
	assert.Equal(t, s, s.WithDefaults(), "defaults are filled once")
	require.NoError(t, thanos.QueryFrontendSettings{LabelsCacheSize: "128Mi"}.WithDefaults().Validate())
}

func TestQueryFrontendWiringRefused(t *testing.T) {
	t.Parallel()
	refused(t, `validating part: namespace: is required, got null
queryUrl: is required, got null`, func(ctx *pulumi.Context) error {
		_, err := thanos.NewQueryFrontend(ctx, "part", nil)
		return err
	})
}
