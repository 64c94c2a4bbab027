package program

import (
	"cmp"
	"slices"
	"time"

	"github.com/kansoku/kansoku/components/loki"
	"github.com/kansoku/kansoku/infra"
	"github.com/kansoku/kansoku/internal/check"
	"github.com/kansoku/kansoku/internal/cost"
)

// Load reads a stack's configuration as Deploy does. values are all that the stack sets, by full key ("kansoku:network").
func Load(project, stack string, values map[string]string) (*Config, error) {
	var keys []string
	for key := range values {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return load(given(values), project, stack, keys)
}

// given is configuration that is known as a whole.
type given map[string]string

func (g given) GetConfig(key string) (string, bool) {
	value, set := g[key]
	return value, set
}

// OnAWS says whether there is an AWS side at all.
func (c *Config) OnAWS() bool { return c.onAWS() }

// Kept is what the configuration says of costs that no planned resource shows: how long metrics and logs are kept, and by whom.
func (c *Config) Kept() cost.Stack {
	kept := cost.Stack{Region: c.AWS.Region, Interval: duration(c.Monitoring.Prometheus.ScrapeInterval)}
	if c.Cost != nil {
		kept.Load = *c.Cost
	}
	if c.Network != nil {
		kept.Zones = len(c.Network.ZoneNames())
	}
	if !c.onAWS() {
		return kept
	}
	if !elsewhere(c.Blocks) {
		kept.Metrics = c.keptMetrics()
	}
	if c.Monitoring.Loki != nil && !elsewhere(c.Chunks) {
		kept.Logs = c.keptLogs(*c.Monitoring.Loki)
	}
	return kept
}

// elsewhere says whether a bucket is behind an endpoint, and paid for there.
func elsewhere(b infra.BucketSettings) bool { return b.Existing != nil && b.Existing.Endpoint != "" }

func (c *Config) keptMetrics() *cost.Metrics {
	m := c.Monitoring
	compact := m.Thanos.Compact
	kept := &cost.Metrics{
		Streams: m.Prometheus.Replicas, Replicas: m.Prometheus.Replicas, Stores: m.Thanos.Store.Replicas,
		Raw: days(compact.RetentionRaw), Fine: days(compact.Retention5m), Coarse: days(compact.Retention1h), Downsampled: !compact.DisableDownsampling,
		Replaced:  days(compact.DeleteDelay) + noncurrent(c.Blocks),
		StoreSync: duration(m.Thanos.Store.SyncInterval), CompactSync: duration(compact.Interval), WebSync: duration(m.Thanos.BucketWeb.Refresh),
		Classes: classes(c.Blocks),
	}
	if compact.VerticalDeduplication {
		kept.Streams = 1
	}
	return kept
}

func (c *Config) keptLogs(logs loki.Settings) *cost.Logs {
	last := logs.Schema[len(logs.Schema)-1].Index
	kept := &cost.Logs{Replicas: logs.Replicas, Classes: classes(c.Chunks)}
	expire := float64(c.Chunks.ExpireDays)
	if last == loki.TSDB && logs.Retention != "" {
		expire = cmp.Or(min(days(logs.Retention), expire), days(logs.Retention))
	}
	if expire > 0 {
		kept.Days = expire + noncurrent(c.Chunks)
	}
	table := c.Index.Existing
	kept.Index = last == loki.DynamoDB && (table == nil || table.Endpoint == "")
	kept.Recovery = table == nil && !c.Index.DisablePointInTimeRecovery
	return kept
}

// noncurrent is how many days a deleted object is still paid for.
func noncurrent(b infra.BucketSettings) float64 {
	if b.Versioning {
		return float64(b.NoncurrentDays)
	}
	return 0
}

func classes(b infra.BucketSettings) []cost.Class {
	var all []cost.Class
	for _, t := range b.Transitions {
		all = append(all, cost.Class{Name: t.StorageClass, Days: t.Days})
	}
	return all
}

// duration of valid settings.
func duration(text string) time.Duration {
	parsed, _ := check.ParseDuration(text)
	return parsed
}

func days(text string) float64 { return duration(text).Hours() / 24 }
