package thanos_test

import (
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/thanos"
	"github.com/kansoku/kansoku/internal/mocks"
)

func newCompact(t *testing.T, args *thanos.CompactArgs) *mocks.Recorder {
	t.Helper()
	return record(t, func(ctx *pulumi.Context) error {
		_, err := thanos.NewCompact(ctx, "part", args)
		return err
	})
}

func TestCompact(t *testing.T) {
	t.Parallel()
	r := newCompact(t, &thanos.CompactArgs{Namespace: namespace, Blocks: aws, RoleARN: role})
	assert.Equal(t, map[string][]string{
		statefulSet: {"thanos-compact"}, service: {"thanos-compact"}, serviceAccount: {"thanos-compact"},
		secret: {"thanos-compact-objectstore"}, monitor: {"thanos-compact"},
	}, objects(r))
	s := r.Get(t, statefulSet, "part")
	common(t, r, s, "thanos-compact")
	readsBlocks(t, r, s, "thanos-compact")
	goldenFlags(t, "compact.flags", s)
	assert.Equal(t, 1.0, s.Field("spec", "replicas"))
	assert.Nil(t, s.Field("spec", "podManagementPolicy"), "never two at once")
	assert.Equal(t, "data", s.Field("spec", "volumeClaimTemplates", 0, "metadata", "name"))
	assert.Equal(t, "50Gi", s.Field("spec", "volumeClaimTemplates", 0, "spec", "resources", "requests", "storage"))
	assert.Equal(t, "gp3", s.Field("spec", "volumeClaimTemplates", 0, "spec", "storageClassName"))
	assert.Contains(t, pod(s)("containers", 0, "volumeMounts"), map[string]any{"name": "data", "mountPath": "/var/thanos"})
	assert.Equal(t, map[string]any{
		"requests": map[string]any{"cpu": "250m", "memory": "512Mi"}, "limits": map[string]any{"memory": "2Gi"},
	}, pod(s)("containers", 0, "resources"))
	assert.Equal(t, "None", r.Get(t, service, "part").Field("spec", "clusterIP"))
	for _, flag := range flags(t, s) {
		assert.NotContains(t, flag, "deduplication", "two replicas stay two unless someone asks")
	}
}

func TestCompactWithEverything(t *testing.T) {
	t.Parallel()
	s := newCompact(t, &thanos.CompactArgs{
		CompactSettings: thanos.CompactSettings{
			RetentionRaw: "30d", Retention5m: "26w", Retention1h: "0", DisableDownsampling: true, DeleteDelay: "1d", ConsistencyDelay: "1d",
			Interval: "90s", Concurrency: 3, VerticalDeduplication: true, VolumeSize: "100Gi", StorageClass: "fast", Resources: resources(),
		},
		Namespace: namespace, PriorityClass: "high", Blocks: minio,
	}).Get(t, statefulSet, "part")
	goldenFlags(t, "compact-everything.flags", s)
	assert.Equal(t, 1.0, s.Field("spec", "replicas"))
	assert.Equal(t, "100Gi", s.Field("spec", "volumeClaimTemplates", 0, "spec", "resources", "requests", "storage"))
	assert.Equal(t, "fast", s.Field("spec", "volumeClaimTemplates", 0, "spec", "storageClassName"))
	assert.Equal(t, wantResources, pod(s)("containers", 0, "resources"))
	assert.Equal(t, "high", pod(s)("priorityClassName"))
	assert.Equal(t, credentials(), pod(s)("containers", 0, "env"))
}

func TestRetentionDefaultsAreNeverContradictory(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		set, want [3]string // raw, 5m, 1h
		raw       bool      // only
	}{
		{[3]string{}, [3]string{"90d", "1y", "2y"}, false},
		{[3]string{"400d"}, [3]string{"400d", "400d", "2y"}, false},
		{[3]string{"3y"}, [3]string{"3y", "3y", "3y"}, false},
		{[3]string{"0"}, [3]string{"0", "0", "0"}, false},
		{[3]string{"", "0d"}, [3]string{"90d", "0d", "0d"}, false},
		{[3]string{"", "", "0"}, [3]string{"90d", "1y", "0"}, false},
		{[3]string{}, [3]string{"90d", "90d", "90d"}, true},
		{[3]string{"1h", "", "7d"}, [3]string{"1h", "1h", "7d"}, true},
	} {
		s := thanos.CompactSettings{
			RetentionRaw: test.set[0], Retention5m: test.set[1], Retention1h: test.set[2], DisableDownsampling: test.raw,
		}.WithDefaults()
		assert.Equal(t, test.want, [3]string{s.RetentionRaw, s.Retention5m, s.Retention1h})
		require.NoError(t, s.Validate())
		assert.Equal(t, s, s.WithDefaults(), "defaults are filled once")
	}
}

func TestLongest(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for _, test := range []struct {
		settings thanos.CompactSettings
		want     time.Duration
		ends     bool
	}{
		{thanos.CompactSettings{}, 730 * day, true},
		{thanos.CompactSettings{RetentionRaw: "30d", Retention5m: "60d", Retention1h: "60d"}, 60 * day, true},
		{thanos.CompactSettings{RetentionRaw: "30d", DisableDownsampling: true}, 30 * day, true},
		{thanos.CompactSettings{RetentionRaw: "30d", Retention5m: "90d", Retention1h: "3d", DisableDownsampling: true}, 90 * day, true},
		{thanos.CompactSettings{Retention1h: "0"}, 0, false},
		{thanos.CompactSettings{RetentionRaw: "0d", Retention5m: "1y", Retention1h: "1y"}, 0, false},
		{thanos.CompactSettings{Retention5m: "soon"}, 0, false},
	} {
		longest, ends := test.settings.Longest()
		assert.Equal(t, test.want, longest, test.settings)
		assert.Equal(t, test.ends, ends, test.settings)
	}
}

func TestCompactSettingsRefused(t *testing.T) {
	t.Parallel()
	for want, settings := range map[string]thanos.CompactSettings{
		`retentionRaw: must be "0", for ever, or at least 2d: nothing younger is downsampled to 5m, got "47h"`: {RetentionRaw: "47h"},
		`retention5m: must be "0", for ever, or at least 15d: nothing younger than two weeks is downsampled to 1h, got "14d"`: {
			RetentionRaw: "14d", Retention5m: "14d",
		},
		`retention5m: must not be shorter than retentionRaw (90d), got "89d"`: {Retention5m: "89d"},
		`retention5m: must not be shorter than retentionRaw (0), got "10y"`: {
			RetentionRaw: "0", Retention5m: "10y", Retention1h: "10y",
		},
		`retention1h: must not be shorter than retention5m (1y), got "364d"`: {Retention1h: "364d"},
		`retention1h: must not be shorter than retention5m (0d), got "10y"`:  {Retention5m: "0d", Retention1h: "10y"},
		`retentionRaw: must be a Prometheus duration such as "30s", "2h" or "15d", got "1 month"`: {
			RetentionRaw: "1 month", Retention5m: "1y",
		},
		`retention5m: must be a Prometheus duration such as "30s", "2h" or "15d", got "x"`:              {Retention5m: "x", Retention1h: "1y"},
		`retention1h: must be a Prometheus duration such as "30s", "2h" or "15d", got "-1d"`:            {Retention1h: "-1d"},
		`deleteDelay: must be at least 1m, got "0"`:                                                     {DeleteDelay: "0"},
		`consistencyDelay: must be a Prometheus duration such as "30s", "2h" or "15d", got "1.5m"`:      {ConsistencyDelay: "1.5m"},
		`interval: must be at least 10s, got "1s"`:                                                      {Interval: "1s"},
		"concurrency: must be between 1 and 16, got 17":                                                 {Concurrency: 17},
		"concurrency: must be between 1 and 16, got -1":                                                 {Concurrency: -1},
		`volumeSize: must be a Kubernetes quantity of at least 1Gi, got "500Mi"`:                        {VolumeSize: "500Mi"},
		`storageClass: must name a storage class: lower-case letters, digits, dashes and dots, got "-"`: {StorageClass: "-"},
		`resources.memory: must be a positive Kubernetes quantity such as "100m" or "256Mi", got "0"`: {
			Resources: kube.Resources{Memory: "0", MemoryLimit: "1Gi"},
		},
	} {
		require.EqualError(t, settings.WithDefaults().Validate(), want)
	}
	for _, settings := range []thanos.CompactSettings{
		{RetentionRaw: "2d", Retention5m: "15d", Retention1h: "15d"},
		{RetentionRaw: "0", Retention5m: "0", Retention1h: "0"},
		{RetentionRaw: "1h", Retention5m: "5m", Retention1h: "1m", DisableDownsampling: true},
		{DeleteDelay: "1m", ConsistencyDelay: "0", Interval: "10s"},
	} {
		require.NoError(t, settings.WithDefaults().Validate())
	}
}

func TestCompactWiringRefused(t *testing.T) {
	t.Parallel()
	refused(t, `validating part: interval: must be at least 10s, got "1s"
namespace: is required, got null
blocks.bucket: is required, got null
blocks.region: is required, got null`, func(ctx *pulumi.Context) error {
		_, err := thanos.NewCompact(ctx, "part", &thanos.CompactArgs{CompactSettings: thanos.CompactSettings{Interval: "1s"}})
		return err
	})
	refused(t, `validating part: namespace: is required, got null
blocks.bucket: is required, got null
blocks.region: is required, got null`, func(ctx *pulumi.Context) error {
		_, err := thanos.NewCompact(ctx, "part", nil)
		return err
	})
}
