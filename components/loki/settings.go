// Package loki runs Loki as a single binary: a StatefulSet that takes logs in, keeps a write-ahead log on a volume, stores chunks in a
// bucket and the index in DynamoDB or (TSDB) in the same bucket, answers queries and evaluates alerting rules. It owns no bucket, table
// or role.
package loki

import (
	"regexp"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/internal/check"
)

const (
	single     = 1
	replicated = 3

	minRetention = 24 * time.Hour // Loki's

	minChunkAge = time.Hour
	maxChunkAge = 24 * time.Hour
)

// The stores that an index can be in.
const (
	// DynamoDB keeps the index in one table, Args.Index. Its rows are never deleted.
	DynamoDB = "dynamodb"
	// TSDB keeps the index in the bucket, beside the chunks.
	TSDB = "tsdb"
)

// Period says how logs are stored from one day on, until the next period begins.
type Period struct {
	// From is the first day, in UTC ("2026-01-31"). Never computed from today, and never changed once logs of it are stored. Required.
	From string `pulumi:"from"`
	// Index is where the index is: dynamodb or tsdb. Required.
	Index string `pulumi:"index"`
	// Version of Loki's schema: v11, v12 or v13, or v9 or v10 of a dynamodb period of an old Loki. Default: v13.
	Version string `pulumi:"version,optional"`
	// Tables of a dynamodb period in which an old Loki began a new table every so often. Nothing here makes or deletes any, so another period
	// must follow. Default: none, its index is in the one table Args.Index.
	Tables *PeriodicTables `pulumi:"tables,optional"`
}

// PeriodicTables are tables of an index, one for each stretch of time: PREFIX2680 and so on.
type PeriodicTables struct {
	// Prefix of their names ("loki_index_"): the old schema's index.prefix. Required.
	Prefix string `pulumi:"prefix"`
	// Period that each is for, whole days ("168h"): the old schema's index.period. Required.
	Period string `pulumi:"period"`
}

// Limits protect Loki from its writers and readers. Upstream's numbers are in brackets.
type Limits struct {
	// IngestionRateMB that all writers together may send per second, before replication, in MB. Beyond it they are told to try again.
	// Default: 20 (4), so that a node group's collectors can catch up after an outage.
	IngestionRateMB int `pulumi:"ingestionRateMB,optional"`
	// IngestionBurstMB may come at once at one replica, in MB. Not below IngestionRateMB. Default: twice IngestionRateMB (6).
	IngestionBurstMB int `pulumi:"ingestionBurstMB,optional"`
	// PerStreamRateMB that one stream, as a rule one container, may send per second, in MB; five times of it at once. Default: 10 (3).
	PerStreamRateMB int `pulumi:"perStreamRateMB,optional"`
	// MaxStreams that are open at once: a stream is a set of labels, a pod of a job for one, and stays open for a third of MaxChunkAge
	// after its last line. Default: 20000 (5000).
	MaxStreams int `pulumi:"maxStreams,optional"`
	// MaxLineSizeKB of one line, in KB; what is longer is cut off, not refused. Default: 256 (256, refused).
	MaxLineSizeKB int `pulumi:"maxLineSizeKB,optional"`
	// MaxQuerySeries that one metric query may give. Default: 2000 (500).
	MaxQuerySeries int `pulumi:"maxQuerySeries,optional"`
}

// WithDefaults fills what is not set.
func (l Limits) WithDefaults() Limits {
	for _, number := range []struct {
		field    *int
		fallback int
	}{
		{&l.IngestionRateMB, 20},
		{&l.PerStreamRateMB, 10},
		{&l.MaxStreams, 20000},
		{&l.MaxLineSizeKB, 256},
		{&l.MaxQuerySeries, 2000},
	} {
		if *number.field == 0 {
			*number.field = number.fallback
		}
	}
	if l.IngestionBurstMB == 0 {
		l.IngestionBurstMB = 2 * l.IngestionRateMB
	}
	return l
}

// Validate checks the limits, defaults filled in.
func (l Limits) Validate() error {
	var errs check.Errors
	for _, number := range []struct {
		key   string
		value int
	}{
		{"ingestionRateMB", l.IngestionRateMB},
		{"ingestionBurstMB", l.IngestionBurstMB},
		{"perStreamRateMB", l.PerStreamRateMB},
		{"maxStreams", l.MaxStreams},
		{"maxLineSizeKB", l.MaxLineSizeKB},
		{"maxQuerySeries", l.MaxQuerySeries},
	} {
		errs.Require(number.value >= 1, number.key, number.value, "must be at least 1")
	}
	errs.Require(l.IngestionBurstMB >= l.IngestionRateMB, "ingestionBurstMB", l.IngestionBurstMB,
		"must not be below ingestionRateMB, %d", l.IngestionRateMB)
	return errs.Err()
}

// Settings are what a stack may say about Loki.
type Settings struct {
	// Replicas: 1, or 3 that each hold everything (replication factor 3) and find each other by gossip, so that one may be away. Default: 1.
	Replicas int `pulumi:"replicas,optional"`
	// Schema lists the periods, the oldest first; the first begins before the first log line. A move to another index is a new period
	// from a day to come; a period is removed when all its logs have expired. Required.
	Schema []Period `pulumi:"schema"`
	// Version of Loki, one of the two in package versions. Default: what Schema needs, see Release.
	Version string `pulumi:"version,optional"`
	// Retention is how long logs in tsdb periods are kept, at least 24h; Loki deletes them then. Needs a tsdb period: what is stored in
	// dynamodb periods lives as long as the bucket's lifecycle lets it. Default: for ever.
	Retention string `pulumi:"retention,optional"`
	// MaxQueryLookback is how far back queries reach. With an expiry on the bucket, slightly below it. Default: Retention where all
	// periods are tsdb, else unbounded.
	MaxQueryLookback string `pulumi:"maxQueryLookback,optional"`
	// StorageSize of each replica's volume, at least 1Gi: the write-ahead log, and a cache of the index in tsdb periods. Existing
	// volumes do not grow. Default: 10Gi (upstream saw 10 to 15 GB at 5 MB of logs per second).
	StorageSize string `pulumi:"storageSize,optional"`
	// StorageClass of the volumes. Default: gp3.
	StorageClass string `pulumi:"storageClass,optional"`
	// Resources of Loki; caches and the replay of the write-ahead log are sized by the memory limit. Default: 200m CPU, 1Gi memory, limit
	// 2Gi (24 pods took 250 MB; the rest is room for queries).
	Resources kube.Resources `pulumi:"resources,optional"`
	// RequireZones keeps a replica Pending rather than putting two more in one zone than in another. Default: false.
	RequireZones bool `pulumi:"requireZones,optional"`
	// ChunkEncoding compresses chunks: snappy, gzip or zstd. zstd halves what is stored and doubles the memory. Default: snappy.
	ChunkEncoding string `pulumi:"chunkEncoding,optional"`
	// MaxChunkAge is how long a chunk that does not fill is kept open, from 1h to 24h; without a new line, a third of it. The longer, the fewer
	// objects and index rows are paid for; but until then its lines are on the replicas' volumes only, and up to 1.5 MB of each stream
	// in their memory: take less for thousands of streams. Default: 12h (upstream: 2h, or 30m without a line; `make bench-logs` compares).
	MaxChunkAge string `pulumi:"maxChunkAge,optional"`
	// Limits of ingestion and queries.
	Limits Limits `pulumi:"limits,optional"`
}

// WithDefaults fills what is not set.
func (s Settings) WithDefaults() Settings {
	if s.Replicas == 0 {
		s.Replicas = single
	}
	s.Schema = append([]Period(nil), s.Schema...)
	for i := range s.Schema {
		if s.Schema[i].Version == "" {
			s.Schema[i].Version = "v13"
		}
	}
	if s.MaxQueryLookback == "" && !s.uses(DynamoDB) {
		s.MaxQueryLookback = s.Retention
	}
	for _, text := range []struct {
		field    *string
		fallback string
	}{
		{&s.StorageSize, "10Gi"},
		{&s.StorageClass, "gp3"},
		{&s.ChunkEncoding, "snappy"},
		{&s.MaxChunkAge, "12h"},
	} {
		if *text.field == "" {
			*text.field = text.fallback
		}
	}
	s.Resources = s.Resources.Or(kube.Resources{CPU: "200m", Memory: "1Gi", MemoryLimit: "2Gi"})
	s.Limits = s.Limits.WithDefaults()
	return s
}

// chunkAge is MaxChunkAge. The settings must be valid.
func (s Settings) chunkAge() time.Duration {
	age, _ := check.ParseDuration(s.MaxChunkAge)
	return age
}

// uses says whether some period has this index.
func (s Settings) uses(index string) bool {
	for _, period := range s.Schema {
		if period.Index == index {
			return true
		}
	}
	return false
}

// memory is the limit in bytes. The settings must be valid.
func (s Settings) memory() int64 {
	limit := s.Resources.Native().Limits["memory"]
	return limit.Value()
}

// Validate checks the settings, defaults filled in.
func (s Settings) Validate() error {
	var errs check.Errors
	errs.Require(s.Replicas == single || s.Replicas == replicated, "replicas", s.Replicas,
		"must be 1 or 3: of two, none may be away, as a write needs a majority")
	s.validateSchema(&errs)
	s.validateTimes(&errs)
	size, err := resource.ParseQuantity(s.StorageSize)
	errs.Require(err == nil && size.Cmp(resource.MustParse("1Gi")) >= 0, "storageSize", s.StorageSize,
		`must be a Kubernetes quantity of at least 1Gi, such as "10Gi"`)
	errs.Require(len(validation.IsDNS1123Subdomain(s.StorageClass)) == 0, "storageClass", s.StorageClass,
		"must name a storage class: lower-case letters, digits, dashes and dots")
	errs.Under("resources", s.Resources.Validate())
	check.OneOf(&errs, "chunkEncoding", s.ChunkEncoding, "snappy", "gzip", "zstd")
	errs.Under("limits", s.Limits.Validate())
	return errs.Err()
}

func (s Settings) validateSchema(errs *check.Errors) {
	errs.Require(len(s.Schema) > 0, "schema", s.Schema, "must list at least one period")
	var before time.Time
	for i, period := range s.Schema {
		var one check.Errors
		from, err := time.Parse(time.DateOnly, period.From)
		one.Require(err == nil, "from", period.From, `must be a day such as "2026-01-31"`)
		if err == nil {
			one.Require(from.After(before), "from", period.From, "must be after the period before it")
			before = from
		}
		check.OneOf(&one, "index", period.Index, DynamoDB, TSDB)
		known := []string{"v11", "v12", "v13"}
		if period.Index == DynamoDB {
			known = append([]string{"v9", "v10"}, known...)
		}
		check.OneOf(&one, "version", period.Version, known...)
		period.validateTables(&one, i == len(s.Schema)-1)
		errs.Under(period.key(i), one.Err())
	}
	choose(errs, s.Schema, s.Version)
}

// tablePrefix is what can begin a table's name, with room for a number.
var tablePrefix = regexp.MustCompile(`^[0-9A-Za-z_.-]{1,245}$`)

func (p Period) validateTables(errs *check.Errors, last bool) {
	if p.Tables == nil {
		return
	}
	errs.Require(p.Index == DynamoDB, "tables", p.Index, "must not be set but for dynamodb")
	errs.Require(tablePrefix.MatchString(p.Tables.Prefix), "tables.prefix", p.Tables.Prefix,
		`must be what the tables' names begin with: letters, digits, "_", "." and "-"`)
	span, err := check.ParseDuration(p.Tables.Period)
	const day = 24 * time.Hour
	errs.Require(err == nil && span > 0 && span%day == 0, "tables.period", p.Tables.Period, `must be whole days, such as "168h"`)
	errs.Require(!last, "tables", p.Tables.Prefix, "must be followed by another period: nobody makes the next table")
}

func (s Settings) validateTimes(errs *check.Errors) {
	duration := func(key, text string) (time.Duration, bool) {
		if text == "" {
			return 0, false
		}
		d, err := check.ParseDuration(text)
		errs.Require(err == nil, key, text, `must be a duration such as "24h" or "31d"`)
		return d, err == nil
	}
	if retention, ok := duration("retention", s.Retention); ok {
		errs.Require(retention >= minRetention, "retention", s.Retention, "must be at least 24h")
	}
	errs.Require(s.Retention == "" || s.uses(TSDB), "retention", s.Retention,
		"needs a tsdb period: with the index in DynamoDB Loki deletes nothing, and the bucket's lifecycle says how long logs live")
	if age, ok := duration("maxChunkAge", s.MaxChunkAge); ok {
		errs.Require(age >= minChunkAge && age <= maxChunkAge, "maxChunkAge", s.MaxChunkAge, "must be between 1h and 24h")
	}
	if lookback, ok := duration("maxQueryLookback", s.MaxQueryLookback); ok {
		errs.Require(lookback > 0, "maxQueryLookback", s.MaxQueryLookback, "must be positive")
	}
}

// Index is the DynamoDB table of the dynamodb periods: hash key h (string), range key r (binary).
type Index struct {
	// Table is its name. Required with a dynamodb period.
	Table pulumi.StringInput `pulumi:"table,optional"`
	// Region of the table ("ap-northeast-1"). Required with a dynamodb period.
	Region pulumi.StringInput `pulumi:"region,optional"`
	// Endpoint is the host, with a port where needed, of a DynamoDB-compatible store ("dynamodb.storage.svc:8000"). It has a dot: Loki
	// takes a name without one for a region. Default: AWS in Region.
	Endpoint string `pulumi:"endpoint,optional"`
	// Insecure speaks plain HTTP to the endpoint. Default: false.
	Insecure bool `pulumi:"insecure,optional"`
}

// Args are the settings, and what Loki is wired to.
type Args struct {
	Settings
	// Namespace of everything. Required; it must exist.
	Namespace pulumi.StringInput `pulumi:"namespace"`
	// PriorityClass of the pods. Default: none.
	PriorityClass string `pulumi:"priorityClass,optional"`
	// Images says where the image is pulled from. Default: upstream's registry.
	Images versions.Images `pulumi:"images,optional"`
	// Chunks is the bucket for chunks, and for the index of tsdb periods. Its CredentialsSecret also serves for Index. Required.
	Chunks objectstore.Location `pulumi:"chunks"`
	// Index is the table for dynamodb periods; without such a period it is not used.
	Index Index `pulumi:"index,optional"`
	// RoleARN is the IAM role that the pods take, for Chunks and Index. Default: none.
	RoleARN pulumi.StringInput `pulumi:"roleArn,optional"`
	// AlertmanagerURL is where alerts go. A host that starts with an underscore names SRV records, one for each Alertmanager
	// ("http://_web._tcp.alertmanager-operated.monitoring.svc"): several Alertmanagers must each get every alert, which one Service
	// address does not give. Default: none, and alerts are only to be seen in Loki's API.
	AlertmanagerURL pulumi.StringInput `pulumi:"alertmanagerUrl,optional"`
	// Rules are the alerts on logs. A change reaches running pods within about two minutes and restarts none. Default: none.
	Rules []RuleGroup `pulumi:"rules,optional"`
}

// validate checks what is wired; the settings check themselves.
func (a Args) validate() error {
	var errs check.Errors
	errs.Require(a.Namespace != nil, "namespace", nil, "is required")
	errs.Require(a.Chunks.Bucket != nil, "chunks.bucket", nil, "is required")
	errs.Require(a.Chunks.Region != nil, "chunks.region", nil, "is required")
	if a.uses(DynamoDB) {
		errs.Require(a.Index.Table != nil, "index.table", nil, "is required with a dynamodb period")
		errs.Require(a.Index.Region != nil, "index.region", nil, "is required with a dynamodb period")
	}
	if host, _, _ := strings.Cut(a.Index.Endpoint, ":"); a.Index.Endpoint != "" {
		errs.Require(strings.Contains(host, ".") && !strings.Contains(a.Index.Endpoint, "/"), "index.endpoint", a.Index.Endpoint,
			`must be a host with a dot, and a port where needed, such as "dynamodb.storage.svc:8000"; Loki takes a name without a dot for a region`)
	}
	errs.Under("rules", validateRules(a.Rules))
	return errs.Err()
}
