package loki

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/kansoku/kansoku/internal/check"
)

// Paths in the container.
const (
	configDir  = "/etc/loki/config"
	configFile = "config.yaml"
	rulesDir   = "/etc/loki/rules"
	dataDir    = "/var/loki"

	// tenant that all logs belong to where nobody signs in.
	tenant = "fake"

	queryTimeout = "3m"
)

// The structs below are the part of Loki's configuration that is set here. Loki refuses unknown keys. All of them are known to both
// releases in package versions, but those of DynamoDB, which later lines than 3.7 drop.
type config struct {
	AuthEnabled   bool         `json:"auth_enabled"`
	ShutdownDelay string       `json:"shutdown_delay"`
	Server        server       `json:"server"`
	Common        common       `json:"common"`
	Memberlist    *memberlist  `json:"memberlist,omitempty"`
	Schema        schemaConfig `json:"schema_config"`
	Storage       storage      `json:"storage_config"`
	ChunkStore    chunkStore   `json:"chunk_store_config"`
	Ingester      ingester     `json:"ingester"`
	Querier       querier      `json:"querier"`
	Limits        limits       `json:"limits_config"`
	QueryRange    queryRange   `json:"query_range"`
	Ruler         ruler        `json:"ruler"`
	Compactor     *compactor   `json:"compactor,omitempty"`
	Analytics     analytics    `json:"analytics"`
}

type server struct {
	HTTPListenPort   int    `json:"http_listen_port"`
	GRPCListenPort   int    `json:"grpc_listen_port"`
	HTTPReadTimeout  string `json:"http_server_read_timeout"`
	HTTPWriteTimeout string `json:"http_server_write_timeout"`
	GRPCMaxRecv      int    `json:"grpc_server_max_recv_msg_size"`
	GRPCMaxSend      int    `json:"grpc_server_max_send_msg_size"`
}

type common struct {
	PathPrefix        string `json:"path_prefix"`
	InstanceAddr      string `json:"instance_addr"`
	ReplicationFactor int    `json:"replication_factor"`
	Ring              ring   `json:"ring"`
}

type ring struct {
	KVStore kvStore `json:"kvstore"`
}

type kvStore struct {
	Store string `json:"store"`
}

type memberlist struct {
	ClusterLabel   string   `json:"cluster_label"`
	JoinMembers    []string `json:"join_members"`
	RejoinInterval string   `json:"rejoin_interval"`
}

type schemaConfig struct {
	Configs []periodConfig `json:"configs"`
}

type periodConfig struct {
	From        string      `json:"from"`
	Store       string      `json:"store"`
	ObjectStore string      `json:"object_store"`
	Schema      string      `json:"schema"`
	Index       indexPeriod `json:"index"`
	RowShards   int         `json:"row_shards,omitempty"`
}

type indexPeriod struct {
	Prefix string `json:"prefix"`
	Period string `json:"period"`
}

type storage struct {
	AWS         awsStorage   `json:"aws"`
	TSDBShipper *tsdbShipper `json:"tsdb_shipper,omitempty"`
}

type awsStorage struct {
	BucketNames    string          `json:"bucketnames"`
	Region         string          `json:"region"`
	Endpoint       string          `json:"endpoint,omitempty"`
	Insecure       bool            `json:"insecure,omitempty"`
	ForcePathStyle bool            `json:"s3forcepathstyle,omitempty"`
	DynamoDB       *dynamodbConfig `json:"dynamodb,omitempty"`
}

type dynamodbConfig struct {
	URL string `json:"dynamodb_url"`
}

type tsdbShipper struct {
	ActiveIndexDirectory string `json:"active_index_directory"`
	CacheLocation        string `json:"cache_location"`
}

type chunkStore struct {
	ChunkCache       cache  `json:"chunk_cache_config"`
	WriteDedupeCache *cache `json:"write_dedupe_cache_config,omitempty"`
}

type cache struct {
	Embedded embeddedCache `json:"embedded_cache"`
}

type embeddedCache struct {
	Enabled   bool   `json:"enabled"`
	MaxSizeMB int64  `json:"max_size_mb"`
	TTL       string `json:"ttl,omitempty"`
}

type ingester struct {
	ChunkEncoding       string `json:"chunk_encoding"`
	ChunkTargetSize     int    `json:"chunk_target_size"`
	ChunkIdlePeriod     string `json:"chunk_idle_period"`
	MaxChunkAge         string `json:"max_chunk_age"`
	SyncPeriod          string `json:"sync_period"`
	AutoForgetUnhealthy bool   `json:"autoforget_unhealthy,omitempty"`
	WAL                 wal    `json:"wal"`
}

type querier struct {
	QueryIngestersWithin string `json:"query_ingesters_within"`
}

type wal struct {
	Enabled             bool   `json:"enabled"`
	Dir                 string `json:"dir"`
	FlushOnShutdown     bool   `json:"flush_on_shutdown"`
	ReplayMemoryCeiling string `json:"replay_memory_ceiling"`
}

type limits struct {
	IngestionRateMB         int    `json:"ingestion_rate_mb"`
	IngestionBurstSizeMB    int    `json:"ingestion_burst_size_mb"`
	PerStreamRateLimit      string `json:"per_stream_rate_limit"`
	PerStreamRateLimitBurst string `json:"per_stream_rate_limit_burst"`
	MaxGlobalStreams        int    `json:"max_global_streams_per_user"`
	MaxLineSize             string `json:"max_line_size"`
	MaxLineSizeTruncate     bool   `json:"max_line_size_truncate"`
	RejectOldSamples        bool   `json:"reject_old_samples"`
	RejectOldSamplesMaxAge  string `json:"reject_old_samples_max_age"`
	MaxQuerySeries          int    `json:"max_query_series"`
	MaxQueryLookback        string `json:"max_query_lookback,omitempty"`
	QueryTimeout            string `json:"query_timeout"`
	RetentionPeriod         string `json:"retention_period,omitempty"`
	DeletionMode            string `json:"deletion_mode"`
	AllowStructuredMetadata bool   `json:"allow_structured_metadata"`
	VolumeEnabled           bool   `json:"volume_enabled"`
	DiscoverLogLevels       bool   `json:"discover_log_levels"`
	// DiscoverServiceName is an empty list to switch it off, nil for Loki's default.
	DiscoverServiceName *[]string `json:"discover_service_name,omitempty"`
}

type queryRange struct {
	CacheResults bool         `json:"cache_results"`
	ResultsCache resultsCache `json:"results_cache"`
}

type resultsCache struct {
	Cache cache `json:"cache"`
}

type ruler struct {
	Storage               ruleStorage `json:"storage"`
	AlertmanagerURL       string      `json:"alertmanager_url,omitempty"`
	AlertmanagerDiscovery bool        `json:"enable_alertmanager_discovery,omitempty"`
	AlertmanagerV2        bool        `json:"enable_alertmanager_v2"`
	EnableAPI             bool        `json:"enable_api"`
	EnableSharding        bool        `json:"enable_sharding"`
}

type ruleStorage struct {
	Type  string       `json:"type"`
	Local ruleLocation `json:"local"`
}

type ruleLocation struct {
	Directory string `json:"directory"`
}

type compactor struct {
	RetentionEnabled   bool   `json:"retention_enabled"`
	DeleteRequestStore string `json:"delete_request_store,omitempty"`
}

type analytics struct {
	ReportingEnabled bool `json:"reporting_enabled"`
}

// plan is a configuration before it is written: valid settings with their defaults, and the wires' values.
type plan struct {
	Settings
	namespace, bucket, region, table, indexRegion, alertmanagerURL string

	endpoint, indexEndpoint string
	insecure, indexInsecure bool
}

// render gives the configuration file and its hash.
func (p plan) render() (file, checksum string, err error) {
	data, err := yaml.Marshal(p.config())
	if err != nil {
		return "", "", fmt.Errorf("rendering configuration: %w", err)
	}
	sum := sha256.Sum256(data)
	return string(data), hex.EncodeToString(sum[:]), nil
}

func (p plan) config() config {
	c := config{
		// One tenant: who may reach Loki is for the network policies to say.
		AuthEnabled: false,
		// Long enough for the Service to forget the pod before it stops listening.
		ShutdownDelay: "5s",
		Server: server{
			HTTPListenPort: HTTPPort, GRPCListenPort: GRPCPort,
			// Above the query timeout: the default, 30s, cuts off longer queries.
			HTTPReadTimeout: "4m", HTTPWriteTimeout: "4m",
			// Answers between querier and frontend pass through here; the default of 4 MB refuses large ones.
			GRPCMaxRecv: 64 << 20, GRPCMaxSend: 64 << 20,
		},
		Common: common{
			PathPrefix: dataDir, InstanceAddr: "${POD_IP}", ReplicationFactor: p.Replicas, Ring: ring{kvStore{"inmemory"}},
		},
		Schema:  schemaConfig{p.periods()},
		Storage: p.storage(), ChunkStore: p.chunkStore(), Ingester: p.ingester(), Querier: p.querier(), Limits: p.limits(),
		QueryRange: queryRange{CacheResults: true, ResultsCache: resultsCache{cache{embeddedCache{Enabled: true, MaxSizeMB: p.share(40)}}}},
		Ruler:      p.ruler(),
		Analytics:  analytics{ReportingEnabled: false},
	}
	if p.Replicas > 1 {
		c.Common.Ring.KVStore.Store = "memberlist"
		c.Memberlist = &memberlist{
			// A pod's address may have belonged to another program that gossips on the same port.
			ClusterLabel: "loki." + p.namespace,
			JoinMembers:  []string{fmt.Sprintf("dns+%s.%s.svc:%d", gossipObject, p.namespace, GossipPort)},
			// Replicas that started at once, each alone in DNS, find each other later.
			RejoinInterval: "1m",
		}
	}
	if p.uses(TSDB) && p.Retention != "" {
		c.Compactor = &compactor{RetentionEnabled: true, DeleteRequestStore: "s3"}
	}
	return c
}

func (p plan) periods() []periodConfig {
	periods := make([]periodConfig, len(p.Schema))
	for i, one := range p.Schema {
		period := periodConfig{From: one.From, ObjectStore: "s3", Schema: one.Version}
		if one.Index == DynamoDB {
			// Period 0 is one static table, named by the prefix.
			period.Store, period.Index, period.RowShards = "aws", indexPeriod{p.table, "0"}, 16
			if one.Tables != nil {
				span, _ := check.ParseDuration(one.Tables.Period)
				period.Index = indexPeriod{one.Tables.Prefix, fmt.Sprintf("%dh", span/time.Hour)}
			}
			if one.Version == "v9" {
				period.RowShards = 0 // it knows none
			}
		} else {
			period.Store, period.Index = "tsdb", indexPeriod{"index_", "24h"}
		}
		periods[i] = period
	}
	return periods
}

func (p plan) storage() storage {
	s := storage{AWS: awsStorage{
		BucketNames: p.bucket, Region: p.region, Endpoint: p.endpoint, Insecure: p.insecure,
		ForcePathStyle: p.endpoint != "", // a store behind a plain host name has no bucket subdomains
	}}
	if p.uses(DynamoDB) {
		s.AWS.DynamoDB = &dynamodbConfig{URL: p.dynamodbURL()}
	}
	if p.uses(TSDB) {
		s.TSDBShipper = &tsdbShipper{ActiveIndexDirectory: dataDir + "/tsdb-index", CacheLocation: dataDir + "/tsdb-cache"}
	}
	return s
}

func (p plan) dynamodbURL() string {
	switch {
	case p.indexEndpoint == "":
		return "dynamodb://" + p.indexRegion
	case p.indexInsecure:
		return "http://" + p.indexEndpoint
	default:
		return "https://" + p.indexEndpoint
	}
}

// share is the nth part of the memory limit in MB, as caches count them. Loki's own default is 100 MB for each of its caches.
func (p plan) share(n int64) int64 { return max(1, p.memory()/n/1_000_000) }

func (p plan) chunkStore() chunkStore {
	c := chunkStore{ChunkCache: cache{embeddedCache{Enabled: true, MaxSizeMB: p.share(20)}}}
	if p.uses(DynamoDB) {
		// Rows that say which series there are hold for a day: each is written once a day instead of with each chunk. Loki ignores this
		// cache while three replicas wait for a tsdb period.
		c.WriteDedupeCache = &cache{embeddedCache{Enabled: true, MaxSizeMB: p.share(20), TTL: "24h"}}
	}
	return c
}

// ingester fills chunks as far as it can: what is paid for is their number. Lines may come late by half of the greatest age.
func (p plan) ingester() ingester {
	age := p.chunkAge()
	return ingester{
		ChunkEncoding: p.ChunkEncoding, ChunkTargetSize: 1_572_864, ChunkIdlePeriod: (age / 3).String(), MaxChunkAge: age.String(),
		// Loki's default, an hour, cuts chunks when they are a tenth full, so that replicas make the same ones: for a cache that they share.
		SyncPeriod: "0s",
		// A replica that died would keep others, started anew, from becoming ready.
		AutoForgetUnhealthy: p.Replicas > 1,
		WAL: wal{
			Enabled: true, Dir: dataDir + "/wal", FlushOnShutdown: true,
			ReplayMemoryCeiling: fmt.Sprintf("%dMB", p.memory()*3/4>>20),
		},
	}
}

// querier asks the ingesters for everything that they may still hold; an hour is for the flush to take place.
func (p plan) querier() querier {
	return querier{QueryIngestersWithin: (p.chunkAge() + time.Hour).String()}
}

func (p plan) limits() limits {
	l := limits{
		IngestionRateMB: p.Limits.IngestionRateMB, IngestionBurstSizeMB: p.Limits.IngestionBurstMB,
		PerStreamRateLimit:      fmt.Sprintf("%dMB", p.Limits.PerStreamRateMB),
		PerStreamRateLimitBurst: fmt.Sprintf("%dMB", 5*p.Limits.PerStreamRateMB),
		MaxGlobalStreams:        p.Limits.MaxStreams,
		MaxLineSize:             fmt.Sprintf("%dKB", p.Limits.MaxLineSizeKB), MaxLineSizeTruncate: true,
		RejectOldSamples: true, RejectOldSamplesMaxAge: "168h",
		MaxQuerySeries: p.Limits.MaxQuerySeries, MaxQueryLookback: p.MaxQueryLookback, QueryTimeout: queryTimeout,
		RetentionPeriod: p.Retention,
		// Without tenants, everyone who can query could delete.
		DeletionMode: "disabled",
	}
	modern := true
	for _, period := range p.Schema {
		modern = modern && period.Index == TSDB && period.Version == "v13"
	}
	// What follows needs TSDB and v13; Loki does not start with structured metadata on another index.
	l.AllowStructuredMetadata, l.VolumeEnabled, l.DiscoverLogLevels = modern, modern, modern
	if !modern {
		l.DiscoverServiceName = &[]string{} // a label more is a row more per series
	}
	return l
}

func (p plan) ruler() ruler {
	r := ruler{
		Storage:         ruleStorage{Type: "local", Local: ruleLocation{rulesDir}},
		AlertmanagerURL: p.alertmanagerURL, AlertmanagerV2: true, EnableAPI: true,
		// Otherwise every replica evaluates every rule.
		EnableSharding: p.Replicas > 1,
	}
	if u, err := url.Parse(p.alertmanagerURL); err == nil {
		r.AlertmanagerDiscovery = strings.HasPrefix(u.Host, "_")
	}
	return r
}
