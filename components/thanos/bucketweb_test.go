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

func newBucketWeb(t *testing.T, args *thanos.BucketWebArgs) *mocks.Recorder {
	t.Helper()
	return record(t, func(ctx *pulumi.Context) error {
		web, err := thanos.NewBucketWeb(ctx, "part", args)
		if err != nil {
			return err
		}
		assert.Equal(t, "http://thanos-bucket-web.monitoring.svc:10902", resolve(web.URL))
		return nil
	})
}

func TestBucketWeb(t *testing.T) {
	t.Parallel()
	r := newBucketWeb(t, &thanos.BucketWebArgs{Namespace: namespace, Blocks: aws, RoleARN: role})
	assert.Equal(t, map[string][]string{
		deployment: {"thanos-bucket-web"}, service: {"thanos-bucket-web"}, serviceAccount: {"thanos-bucket-web"},
		secret: {"thanos-bucket-web-objectstore"}, monitor: {"thanos-bucket-web"},
	}, objects(r))
	d := r.Get(t, deployment, "part")
	common(t, r, d, "thanos-bucket-web")
	readsBlocks(t, r, d, "thanos-bucket-web")
	goldenFlags(t, "bucketweb.flags", d)
	assert.Contains(t, flags(t, d), "--disable-admin-operations")
	assert.Equal(t, 1.0, d.Field("spec", "replicas"))
	assert.Equal(t, map[string]any{
		"requests": map[string]any{"cpu": "10m", "memory": "64Mi"}, "limits": map[string]any{"memory": "256Mi"},
	}, pod(d)("containers", 0, "resources"))
	assert.Equal(t, []any{map[string]any{"name": "http", "port": 10902.0, "targetPort": "http"}},
		r.Get(t, service, "part").Field("spec", "ports"))
}

func TestBucketWebWithEverything(t *testing.T) {
	t.Parallel()
	d := newBucketWeb(t, &thanos.BucketWebArgs{
		BucketWebSettings: thanos.BucketWebSettings{GroupLabel: "prometheus_replica", Refresh: "1d", Resources: resources()},
		Namespace:         namespace, PriorityClass: "high", Blocks: minio,
	}).Get(t, deployment, "part")
	goldenFlags(t, "bucketweb-everything.flags", d)
	assert.Equal(t, wantResources, pod(d)("containers", 0, "resources"))
	assert.Equal(t, "high", pod(d)("priorityClassName"))
	assert.Equal(t, credentials(), pod(d)("containers", 0, "env"))
}

func TestBucketWebSettingsRefused(t *testing.T) {
	t.Parallel()
	for want, settings := range map[string]thanos.BucketWebSettings{
		`groupLabel: must be a label: letters, digits and underscores, no digit first, got "a-b"`: {GroupLabel: "a-b"},
		`refresh: must be at least 1m, got "59s"`:                                                 {Refresh: "59s"},
		`resources.cpuLimit: must not be below the CPU requested, 2, got "1"`: {
			Resources: kube.Resources{CPU: "2", Memory: "64Mi", CPULimit: "1"},
		},
	} {
		require.EqualError(t, settings.WithDefaults().Validate(), want)
	}
	s := thanos.BucketWebSettings{}.WithDefaults()
	require.NoError(t, s.Validate())
	assert.Equal(t, s, s.WithDefaults(), "defaults are filled once")
}

func TestBucketWebWiringRefused(t *testing.T) {
	t.Parallel()
	refused(t, `validating part: namespace: is required, got null
blocks.bucket: is required, got null
blocks.region: is required, got null`, func(ctx *pulumi.Context) error {
		_, err := thanos.NewBucketWeb(ctx, "part", nil)
		return err
	})
}
