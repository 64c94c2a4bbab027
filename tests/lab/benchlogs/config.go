package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"sigs.k8s.io/yaml"

	"github.com/kansoku/kansoku/components/collector"
	"github.com/kansoku/kansoku/components/loki"
	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/internal/mocks"
)

const (
	loopback = "127.0.0.1"
	region   = "us-east-1"
)

// in2020 is how Loki 1.6 was configured: its defaults, with the index in DynamoDB. Keys that came later are set to what was there before.
const in2020 = `
auth_enabled: false
common:
  instance_addr: 127.0.0.1
  replication_factor: 1
  ring: {kvstore: {store: inmemory}}
ingester:
  chunk_encoding: gzip
  chunk_idle_period: 30m
  max_chunk_age: 1h
  chunk_block_size: 262144
  chunk_target_size: 0 # none: a chunk is full with ten blocks
  sync_period: 0s
  wal: {enabled: false}
limits_config:
  allow_structured_metadata: false
  discover_log_levels: false
  discover_service_name: []
  volume_enabled: false
schema_config:
  configs:
  - {from: "2020-01-01", store: aws, object_store: s3, schema: v11, row_shards: 16}
storage_config:
  aws: {region: us-east-1, s3forcepathstyle: true, insecure: true}
analytics: {reporting_enabled: false}
`

// stores are where one Loki writes to: addresses, and the name of both its bucket and its table.
type stores struct{ s3, dynamodb, name string }

// config is a configuration of Loki that one can change in places.
type config map[string]any

func parse(text string) (config, error) {
	c := config{}
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		return nil, fmt.Errorf("parsing a configuration: %w", err)
	}
	return c, nil
}

// section is the object at a path, made if it is not there.
func (c config) section(keys []string) (config, error) {
	at := map[string]any(c)
	for _, key := range keys {
		next, ok := at[key].(map[string]any)
		if !ok && at[key] != nil {
			return nil, fmt.Errorf("%s is no object", key)
		}
		if !ok {
			next = map[string]any{}
			at[key] = next
		}
		at = next
	}
	return at, nil
}

// set changes what stands at a path ("ingester.wal.dir").
func (c config) set(path string, value any) error {
	keys := strings.Split(path, ".")
	last := len(keys) - 1
	section, err := c.section(keys[:last])
	if err != nil {
		return fmt.Errorf("setting %s: %w", path, err)
	}
	section[keys[last]] = value
	return nil
}

// shorten divides a duration by how much faster the day passes. Without a value of its own it is Loki's default.
func (c config) shorten(path, fallback string, factor float64) error {
	keys := strings.Split(path, ".")
	last := len(keys) - 1
	section, err := c.section(keys[:last])
	if err != nil {
		return fmt.Errorf("shortening %s: %w", path, err)
	}
	text, ok := section[keys[last]].(string)
	if !ok {
		text = fallback
	}
	long, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("shortening %s: %w", path, err)
	}
	section[keys[last]] = time.Duration(float64(long) / factor).String()
	return nil
}

// compress makes Loki fit to a day that passes faster. What it measures by the clock is shortened: how long a stream is silent, how often
// it looks, how long it remembers rows. What it measures on the lines' own timestamps (max_chunk_age, sync_period) stays.
func (c config) compress(factor float64) error {
	if err := c.shorten("ingester.chunk_idle_period", "30m", factor); err != nil {
		return err
	}
	if err := c.shorten("ingester.flush_check_period", "30s", factor); err != nil {
		return err
	}
	if store, _ := c["chunk_store_config"].(map[string]any); store["write_dedupe_cache_config"] == nil {
		return nil
	}
	return c.shorten("chunk_store_config.write_dedupe_cache_config.embedded_cache.ttl", "1h", factor)
}

// place makes a configuration run here: on loopback ports, below a directory, and beside other replicas.
func (c config) place(p *process, replicas []*process) error {
	changes := map[string]any{
		"server.http_listen_address": loopback,
		"server.http_listen_port":    p.http,
		"server.grpc_listen_address": loopback,
		"server.grpc_listen_port":    p.grpc,
		"server.log_level":           "warn",
		"common.path_prefix":         p.dir,
		"common.ring.instance_id":    p.name,
		"ingester.wal.dir":           filepath.Join(p.dir, "wal"),
	}
	if c["ruler"] != nil {
		changes["ruler.storage.local.directory"] = filepath.Join(p.dir, "rules")
	}
	if c["memberlist"] != nil {
		var members []string
		for _, one := range replicas {
			members = append(members, fmt.Sprintf("%s:%d", loopback, one.gossip))
		}
		changes["memberlist.join_members"] = members
		changes["memberlist.bind_addr"] = []string{loopback}
		changes["memberlist.bind_port"] = p.gossip
		changes["memberlist.advertise_port"] = p.gossip
	}
	for path, value := range changes {
		if err := c.set(path, value); err != nil {
			return err
		}
	}
	return nil
}

// ours is what the component renders.
func ours(replicas int, to stores) (config, error) {
	recorder := &mocks.Recorder{}
	err := recorder.RunErr(func(ctx *pulumi.Context) error {
		_, err := loki.New(ctx, "logs", &loki.Args{
			Settings:  loki.Settings{Replicas: replicas, Schema: []loki.Period{{From: "2024-01-01", Index: loki.DynamoDB}}},
			Namespace: pulumi.String("monitoring"),
			Chunks:    objectstore.Location{Bucket: pulumi.String(to.name), Region: pulumi.String(region), Endpoint: to.s3, Insecure: true},
			Index:     loki.Index{Table: pulumi.String(to.name), Region: pulumi.String(region), Endpoint: to.dynamodb, Insecure: true},
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("rendering the component: %w", err)
	}
	for _, one := range recorder.OfType("kubernetes:core/v1:ConfigMap") {
		if text, ok := one.Field("data", "config.yaml").(string); ok {
			return parse(text)
		}
	}
	return nil, fmt.Errorf("rendering the component: no ConfigMap has a config.yaml")
}

// theirs is the configuration of 2020.
func theirs(to stores) (config, error) {
	c, err := parse(in2020)
	if err != nil {
		return nil, err
	}
	for path, value := range map[string]any{
		"storage_config.aws.endpoint":              to.s3,
		"storage_config.aws.bucketnames":           to.name,
		"storage_config.aws.dynamodb.dynamodb_url": "http://" + to.dynamodb,
	} {
		if err = c.set(path, value); err != nil {
			return nil, err
		}
	}
	periods, _ := c["schema_config"].(map[string]any)["configs"].([]any)
	return c, config(periods[0].(map[string]any)).set("index", map[string]any{"prefix": to.name, "period": "0"})
}

// ourLabels names the labels that our collector leaves on a line.
func ourLabels() []string {
	settings := collector.Settings{}.WithDefaults()
	names := []string{"filename", "stream"} // from the collector itself, and from the container runtime
	for _, rule := range settings.Labels.PodRules() {
		if !strings.HasPrefix(rule.Target, "__") {
			names = append(names, rule.Target)
		}
	}
	for _, stage := range settings.PodStages() {
		names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(stage.LabelDrop, name) })
	}
	return names
}
