package thanos_test

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/thanos"
	"github.com/kansoku/kansoku/internal/mocks"
)

var stores = []pulumi.StringInput{
	pulumi.String("dnssrv+_grpc._tcp.prometheus-k8s-thanos-sidecar.monitoring.svc"), pulumi.String("other.example.org:10901"),
}

func newQuery(t *testing.T, args *thanos.QueryArgs) *mocks.Recorder {
	t.Helper()
	return record(t, func(ctx *pulumi.Context) error {
		query, err := thanos.NewQuery(ctx, "part", args)
		if err != nil {
			return err
		}
		assert.Equal(t, "http://thanos-query.monitoring.svc:10902", resolve(query.URL))
		return nil
	})
}

func TestQuery(t *testing.T) {
	t.Parallel()
	r := newQuery(t, &thanos.QueryArgs{Namespace: namespace, StoreEndpoints: stores})
	assert.Equal(t, map[string][]string{
		deployment: {"thanos-query"}, service: {"thanos-query"}, serviceAccount: {"thanos-query"}, configMap: {"thanos-query-endpoints"},
		monitor: {"thanos-query"}, budget: {"thanos-query"},
	}, objects(r))
	d := r.Get(t, deployment, "part")
	common(t, r, d, "thanos-query")
	goldenFlags(t, "query.flags", d)
	assert.Equal(t, 2.0, d.Field("spec", "replicas"))
	assert.Equal(t, "ScheduleAnyway", pod(d)("topologySpreadConstraints", 0, "whenUnsatisfiable"))
	assert.Equal(t, map[string]any{
		"requests": map[string]any{"cpu": "100m", "memory": "256Mi"}, "limits": map[string]any{"memory": "1Gi"},
	}, pod(d)("containers", 0, "resources"))
	assert.Nil(t, pod(d)("containers", 0, "env"))
	assert.Equal(t, []any{map[string]any{"name": "endpoints", "configMap": map[string]any{"name": "thanos-query-endpoints"}}},
		pod(d)("volumes"))
	assert.Equal(t, []any{map[string]any{"name": "endpoints", "mountPath": "/etc/thanos/endpoints", "readOnly": true}},
		pod(d)("containers", 0, "volumeMounts"))
	assert.Regexp(t, `ConfigMap::part-endpoints\n`, strings.Join(d.Depends, "\n")+"\n", "the file is there before the pods")
	spec := r.Get(t, service, "part").Field("spec").(map[string]any)
	assert.NotContains(t, spec, "clusterIP", "one address for both")
	assert.Equal(t, []any{
		map[string]any{"name": "http", "port": 10902.0, "targetPort": "http"},
		map[string]any{"name": "grpc", "port": 10901.0, "targetPort": "grpc"},
	}, spec["ports"])
	assert.Nil(t, r.Get(t, serviceAccount, "part").Field("metadata", "annotations"), "it has no business in the bucket")

	data := r.Get(t, configMap, "part-endpoints").Field("data").(map[string]any)
	require.Len(t, data, 1)
	golden(t, "endpoints.yaml", data["endpoints.yaml"].(string))
}

func TestQueryRollsWithItsEndpoints(t *testing.T) {
	t.Parallel()
	sum := func(endpoints ...pulumi.StringInput) any {
		return newQuery(t, &thanos.QueryArgs{Namespace: namespace, StoreEndpoints: endpoints}).Get(t, deployment, "part").
			Field("spec", "template", "metadata", "annotations", "kansoku.dev/config-checksum")
	}
	require.Regexp(t, `^[0-9a-f]{64}$`, sum(stores...))
	require.NotEqual(t, sum(stores...), sum(stores[0]))
}

func TestQueryWithEverything(t *testing.T) {
	t.Parallel()
	d := newQuery(t, &thanos.QueryArgs{
		QuerySettings: thanos.QuerySettings{
			Replicas: 1, ReplicaLabels: []string{"prometheus_replica", "rule_replica"}, Timeout: "90s", MaxConcurrent: 7, CompleteOnly: true,
			Resources: resources(),
		},
		Namespace: namespace, PriorityClass: "high", StoreEndpoints: stores,
	}).Get(t, deployment, "part")
	goldenFlags(t, "query-everything.flags", d)
	assert.Equal(t, 1.0, d.Field("spec", "replicas"))
	assert.Equal(t, wantResources, pod(d)("containers", 0, "resources"))
	assert.Equal(t, "high", pod(d)("priorityClassName"))
}

func TestQueryRequiresZones(t *testing.T) {
	t.Parallel()
	d := newQuery(t, &thanos.QueryArgs{
		QuerySettings: thanos.QuerySettings{RequireZones: true}, Namespace: namespace, StoreEndpoints: stores,
	}).Get(t, deployment, "part")
	assert.Equal(t, "DoNotSchedule", pod(d)("topologySpreadConstraints", 0, "whenUnsatisfiable"))
}

func TestQuerySettingsRefused(t *testing.T) {
	t.Parallel()
	for want, settings := range map[string]thanos.QuerySettings{
		"replicas: must be between 1 and 10, got 11":                                         {Replicas: 11},
		"requireZones: must be false with one replica: there is nothing to spread, got true": {Replicas: 1, RequireZones: true},
		`replicaLabels[1]: must be a label: letters, digits and underscores, no digit first, got "1x"`: {
			ReplicaLabels: []string{"a", "1x"},
		},
		`timeout: must be between 1s and 1h, got "2h"`:        {Timeout: "2h"},
		`timeout: must be between 1s and 1h, got "0"`:         {Timeout: "0"},
		"maxConcurrent: must be between 1 and 1000, got 1001": {MaxConcurrent: 1001},
		"maxConcurrent: must be between 1 and 1000, got -1":   {MaxConcurrent: -1},
		`resources.memoryLimit: must not be below the memory requested, 2Gi, got "1Gi"`: {
			Resources: kube.Resources{CPU: "1", Memory: "2Gi", MemoryLimit: "1Gi"},
		},
	} {
		require.EqualError(t, settings.WithDefaults().Validate(), want)
	}
	s := thanos.QuerySettings{}.WithDefaults()
	require.NoError(t, s.Validate())
	assert.Equal(t, s, s.WithDefaults(), "defaults are filled once")
}

func TestQueryWiringRefused(t *testing.T) {
	t.Parallel()
	refused(t, `validating part: namespace: is required, got null
storeEndpoints: must have at least one, got null`, func(ctx *pulumi.Context) error {
		_, err := thanos.NewQuery(ctx, "part", nil)
		return err
	})
	refused(t, `validating part: storeEndpoints[1]: is required, got null`, func(ctx *pulumi.Context) error {
		_, err := thanos.NewQuery(ctx, "part", &thanos.QueryArgs{
			Namespace: namespace, StoreEndpoints: []pulumi.StringInput{pulumi.String("a:1"), nil},
		})
		return err
	})
	err := (&mocks.Recorder{}).RunErr(func(ctx *pulumi.Context) error {
		_, err := thanos.NewQuery(ctx, "part", &thanos.QueryArgs{
			Namespace: namespace, StoreEndpoints: []pulumi.StringInput{pulumi.String("a:1"), pulumi.String("").ToStringOutput()},
		})
		return err
	})
	require.ErrorContains(t, err, `rendering endpoints: storeEndpoints[1]: must not be empty, got ""`)
}

func TestExtraEndpoints(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]thanos.Endpoint{
		"dnssrv+_grpc._tcp.old-thanos-discovery.old.svc":               {Port: thanos.GRPCPort, InCluster: true},
		"dnssrv+_grpc._tcp.old-thanos-discovery.old.svc.cluster.local": {Port: thanos.GRPCPort, InCluster: true},
		"dns+old.old.svc:19091":                                        {Port: 19091, InCluster: true},
		"thanos.example.org:10901":                                     {Port: 10901},
		"10.0.0.7:10901":                                               {Port: 10901},
	} {
		got, err := thanos.ParseEndpoint(address)
		require.NoError(t, err, address)
		require.Equal(t, want, got, address)
	}
	for _, address := range []string{"", "old", "old:", "old:0", "old:70000", "dnssrv+old.svc", "dnssrv+_grpc._tcp.", "http://old:80", "a b:1", "old:1:2"} {
		_, err := thanos.ParseEndpoint(address)
		require.Error(t, err, address)
		settings := thanos.QuerySettings{ExtraEndpoints: []string{address}}.WithDefaults()
		require.ErrorContains(t, settings.Validate(), "extraEndpoints[0]: must be", address)
	}
	twice := thanos.QuerySettings{ExtraEndpoints: []string{"a.svc:1", "a.svc:1"}}.WithDefaults()
	require.ErrorContains(t, twice.Validate(), "extraEndpoints[1]: must be there once")
}
