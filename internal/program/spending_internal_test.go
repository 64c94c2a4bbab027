package program

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/loki"
	"github.com/kansoku/kansoku/components/monitoring"
	"github.com/kansoku/kansoku/infra"
	"github.com/kansoku/kansoku/internal/cost"
)

// keeps is a stack on AWS with logs, changed by edit before defaults are filled in.
func keeps(edit func(*Config)) cost.Stack {
	cfg := &Config{
		AWS: AWS{Region: "ap-northeast-1"}, Network: &infra.NetworkSettings{Zones: []string{"ap-northeast-1a", "ap-northeast-1c"}},
		Chunks:     infra.BucketSettings{Versioning: true, ExpireDays: 30},
		Monitoring: monitoring.Settings{Loki: &loki.Settings{Schema: []loki.Period{{From: "2026-01-01", Index: loki.DynamoDB}}}},
		Cost:       &cost.Load{SamplesPerSecond: 7},
	}
	edit(cfg)
	cfg.defaults()
	return cfg.Kept()
}

func TestKept(t *testing.T) {
	t.Parallel()
	kept := keeps(func(*Config) {})
	require.Equal(t, cost.Stack{
		Region: "ap-northeast-1", Zones: 2, Interval: 30 * time.Second, Load: cost.Load{SamplesPerSecond: 7, KeptDays: 365},
		Metrics: &cost.Metrics{
			Streams: 2, Replicas: 2, Stores: 1, Raw: 90, Fine: 365, Coarse: 730, Downsampled: true, Replaced: 2,
			StoreSync: 15 * time.Minute, CompactSync: 5 * time.Minute, WebSync: 30 * time.Minute,
		},
		Logs: &cost.Logs{Replicas: 1, Days: 37, Index: true, Recovery: true}, // 30, and 7 as a noncurrent version
	}, kept)
}

func TestKeptFollowsTheConfiguration(t *testing.T) {
	t.Parallel()
	tsdb := func(c *Config) { c.Monitoring.Loki.Schema[0].Index, c.Monitoring.Loki.Retention = loki.TSDB, "10d" }
	external := func(b *infra.BucketSettings) {
		*b = infra.BucketSettings{Existing: &infra.ExistingBucket{Name: "x", Endpoint: "minio.storage.svc:9000"}}
	}
	require.InDelta(t, 17, keeps(tsdb).Logs.Days, 0, "Loki's own retention is shorter than the bucket's")
	require.False(t, keeps(tsdb).Logs.Index)
	require.InDelta(t, 17, keeps(func(c *Config) { tsdb(c); c.Chunks.ExpireDays = 0 }).Logs.Days, 0)
	require.Zero(t, keeps(func(c *Config) { c.Chunks.ExpireDays = 0 }).Logs.Days, "for ever")
	require.InDelta(t, 30, keeps(func(c *Config) { c.Chunks.Versioning = false }).Logs.Days, 0)
	require.Equal(t, 1, keeps(func(c *Config) { c.Monitoring.Thanos.Compact.VerticalDeduplication = true }).Metrics.Streams)
	require.InDelta(t, 9, keeps(func(c *Config) { c.Blocks.Versioning = true }).Metrics.Replaced, 0)
	require.False(t, keeps(func(c *Config) { c.Index.DisablePointInTimeRecovery = true }).Logs.Recovery)
	require.Equal(t, []cost.Class{{Name: "STANDARD_IA", Days: 30}},
		keeps(func(c *Config) { c.Chunks.Transitions = []infra.Transition{{StorageClass: "STANDARD_IA", Days: 30}} }).Logs.Classes)
	elsewhere := keeps(func(c *Config) { external(&c.Blocks); external(&c.Chunks) })
	require.Nil(t, elsewhere.Metrics, "a store behind an endpoint is paid for there")
	require.Nil(t, elsewhere.Logs)
	theirs := keeps(func(c *Config) { c.Index.Existing = &infra.ExistingTable{Name: "t"} })
	require.True(t, theirs.Logs.Index)
	require.False(t, theirs.Logs.Recovery, "what their table has is not known")
	require.False(t, keeps(func(c *Config) { c.Index.Existing = &infra.ExistingTable{Name: "t", Endpoint: "d.e:1"} }).Logs.Index)
	require.Nil(t, keeps(func(c *Config) { c.AWS.Region = "" }).Metrics)
	require.Nil(t, keeps(func(c *Config) { c.Monitoring.Loki = nil }).Logs)
}

func TestLoadRefusesAsDeployDoes(t *testing.T) {
	t.Parallel()
	_, err := Load("kansoku", "dev", map[string]string{"kansoku:cost": `{"samplesPerSecond":0,"spotPrices":{"m5.large":"much"}}`})
	require.EqualError(t, err, `kansoku:cost.spotPrices[m5.large]: must be a number, got null`)
	_, err = Load("kansoku", "dev", map[string]string{
		"aws:region": "ap-northeast-1", "kansoku:cost": `{"samplesPerSecond":0,"spotPrices":{"m5.large":0.04},"load":1}`,
	})
	require.ErrorContains(t, err, "kansoku:cost.load: is not a key")
}
