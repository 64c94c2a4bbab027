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

func newStore(t *testing.T, args *thanos.StoreArgs) *mocks.Recorder {
	t.Helper()
	return record(t, func(ctx *pulumi.Context) error {
		store, err := thanos.NewStore(ctx, "part", args)
		if err != nil {
			return err
		}
		assert.Equal(t, "dnssrv+_grpc._tcp.thanos-store.monitoring.svc", resolve(store.Endpoint))
		return nil
	})
}

func TestStore(t *testing.T) {
	t.Parallel()
	r := newStore(t, &thanos.StoreArgs{Namespace: namespace, Blocks: aws, RoleARN: role})
	assert.Equal(t, map[string][]string{
		statefulSet: {"thanos-store"}, service: {"thanos-store"}, serviceAccount: {"thanos-store"}, secret: {"thanos-store-objectstore"},
		monitor: {"thanos-store"},
	}, objects(r))
	s := r.Get(t, statefulSet, "part")
	common(t, r, s, "thanos-store")
	readsBlocks(t, r, s, "thanos-store")
	goldenFlags(t, "store.flags", s)
	assert.Equal(t, 1.0, s.Field("spec", "replicas"))
	assert.Equal(t, "Parallel", s.Field("spec", "podManagementPolicy"))
	assert.Equal(t, "data", s.Field("spec", "volumeClaimTemplates", 0, "metadata", "name"))
	assert.Equal(t, "10Gi", s.Field("spec", "volumeClaimTemplates", 0, "spec", "resources", "requests", "storage"))
	assert.Equal(t, "gp3", s.Field("spec", "volumeClaimTemplates", 0, "spec", "storageClassName"))
	assert.Contains(t, pod(s)("containers", 0, "volumeMounts"), map[string]any{"name": "data", "mountPath": "/var/thanos"})
	assert.Len(t, pod(s)("volumes"), 1, "the data is a claim")
	assert.Equal(t, map[string]any{
		"requests": map[string]any{"cpu": "100m", "memory": "512Mi"}, "limits": map[string]any{"memory": "1Gi"},
	}, pod(s)("containers", 0, "resources"))
	assert.Nil(t, pod(s)("priorityClassName"))
	assert.Equal(t, map[string]any{
		"clusterIP": "None", "selector": map[string]any{"app.kubernetes.io/name": "thanos-store", "app.kubernetes.io/instance": "main"},
		"ports": []any{
			map[string]any{"name": "http", "port": 10902.0, "targetPort": "http"},
			map[string]any{"name": "grpc", "port": 10901.0, "targetPort": "grpc"},
		},
	}, r.Get(t, service, "part").Field("spec"))
}

func TestStoreWithEverything(t *testing.T) {
	t.Parallel()
	r := newStore(t, &thanos.StoreArgs{
		StoreSettings: thanos.StoreSettings{
			Replicas: 2, CacheSize: "20Gi", EphemeralCache: true, StorageClass: "fast", IndexCacheSize: "1Gi", BucketCacheSize: "300Mi",
			ChunkPoolSize: "1G", SyncInterval: "1h5s", IgnoreDeletionMarksDelay: "3d", Resources: resources(), RequireZones: true,
		},
		Namespace: namespace, PriorityClass: "high", Blocks: minio,
	})
	s := r.Get(t, statefulSet, "part")
	goldenFlags(t, "store-everything.flags", s)
	assert.Equal(t, 2.0, s.Field("spec", "replicas"))
	assert.Nil(t, s.Field("spec", "volumeClaimTemplates"))
	assert.Contains(t, pod(s)("volumes"), map[string]any{"name": "data", "emptyDir": map[string]any{"sizeLimit": "20Gi"}})
	assert.Equal(t, wantResources, pod(s)("containers", 0, "resources"))
	assert.Equal(t, "high", pod(s)("priorityClassName"))
	assert.Equal(t, "DoNotSchedule", pod(s)("topologySpreadConstraints", 0, "whenUnsatisfiable"))
	assert.Equal(t, credentials(), pod(s)("containers", 0, "env"))
	assert.Equal(t, 1.0, r.Get(t, budget, "part").Field("spec", "maxUnavailable"))
	assert.Nil(t, r.Get(t, serviceAccount, "part").Field("metadata", "annotations"))
}

func TestStoreStorageClass(t *testing.T) {
	t.Parallel()
	s := newStore(t, &thanos.StoreArgs{
		StoreSettings: thanos.StoreSettings{CacheSize: "20Gi", StorageClass: "fast"}, Namespace: namespace, Blocks: aws,
	}).Get(t, statefulSet, "part")
	assert.Equal(t, "20Gi", s.Field("spec", "volumeClaimTemplates", 0, "spec", "resources", "requests", "storage"))
	assert.Equal(t, "fast", s.Field("spec", "volumeClaimTemplates", 0, "spec", "storageClassName"))
	assert.NotContains(t, flags(t, s), "--store.index-header-lazy-download-strategy=lazy", "what is fetched stays")
}

func TestStoreCachesFollowTheMemoryLimit(t *testing.T) {
	t.Parallel()
	s := thanos.StoreSettings{Resources: kube.Resources{CPU: "1", Memory: "1Gi", MemoryLimit: "8Gi"}}.WithDefaults()
	assert.Equal(t, "2048Mi", s.IndexCacheSize)
	assert.Equal(t, "1024Mi", s.BucketCacheSize)
	assert.Equal(t, "2048Mi", s.ChunkPoolSize)
	require.NoError(t, s.Validate())
	assert.Equal(t, s, s.WithDefaults(), "defaults are filled once")
}

func TestStoreSettingsRefused(t *testing.T) {
	t.Parallel()
	for want, settings := range map[string]thanos.StoreSettings{
		"replicas: must be between 1 and 10, got -1":                                                      {Replicas: -1},
		"replicas: must be between 1 and 10, got 11":                                                      {Replicas: 11},
		"requireZones: must be false with one replica: there is nothing to spread, got true":              {RequireZones: true},
		`cacheSize: must be a Kubernetes quantity of at least 100Mi, got "99Mi"`:                          {CacheSize: "99Mi"},
		`cacheSize: must be a Kubernetes quantity of at least 100Mi, got "big"`:                           {CacheSize: "big"},
		`storageClass: must name a storage class: lower-case letters, digits, dashes and dots, got "G P"`: {StorageClass: "G P"},
		`indexCacheSize: must be a Kubernetes quantity of at least 1Mi, got "1k"`:                         {IndexCacheSize: "1k"},
		`bucketCacheSize: must be a Kubernetes quantity of at least 1Mi, got "x"`:                         {BucketCacheSize: "x"},
		`chunkPoolSize: must be a Kubernetes quantity of at least 1Mi, got "0"`:                           {ChunkPoolSize: "0"},
		`resources.memoryLimit: must leave a quarter free beside indexCacheSize, bucketCacheSize, chunkPoolSize, together 769Mi, got "1Gi"`: {
			IndexCacheSize: "385Mi",
		},
		`syncInterval: must be at least 10s, got "9s"`:                                                     {SyncInterval: "9s"},
		`syncInterval: must be a Prometheus duration such as "30s", "2h" or "15d", got "1.5h"`:             {SyncInterval: "1.5h"},
		`ignoreDeletionMarksDelay: must be a Prometheus duration such as "30s", "2h" or "15d", got "long"`: {IgnoreDeletionMarksDelay: "long"},
		`ignoreDeletionMarksDelay: must be at least twice syncInterval (15m), so that what replaces a block is loaded before, got "29m"`: {
			IgnoreDeletionMarksDelay: "29m",
		},
		`resources.memoryLimit: must be a positive Kubernetes quantity such as "100m" or "256Mi", got "x"`: {
			Resources:      kube.Resources{CPU: "1", Memory: "1Gi", MemoryLimit: "x"},
			IndexCacheSize: "1Mi", BucketCacheSize: "1Mi", ChunkPoolSize: "1Mi",
		},
	} {
		require.EqualError(t, settings.WithDefaults().Validate(), want)
	}
	for _, settings := range []thanos.StoreSettings{
		{IndexCacheSize: "384Mi"},
		{IgnoreDeletionMarksDelay: "30m"},
		{SyncInterval: "10s"},
		{CacheSize: "100Mi"},
		{Replicas: 10, RequireZones: true},
	} {
		require.NoError(t, settings.WithDefaults().Validate())
	}
}

func TestStoreWiringRefused(t *testing.T) {
	t.Parallel()
	refused(t, `validating part: namespace: is required, got null
blocks.bucket: is required, got null
blocks.region: is required, got null`, func(ctx *pulumi.Context) error {
		_, err := thanos.NewStore(ctx, "part", nil)
		return err
	})
}
