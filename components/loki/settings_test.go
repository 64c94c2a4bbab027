package loki_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/loki"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/internal/mocks"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	given := loki.Settings{Schema: []loki.Period{dynamodb}}
	want := loki.Settings{
		Replicas: 1, Schema: []loki.Period{{From: "2024-01-01", Index: "dynamodb", Version: "v13"}},
		StorageSize: "10Gi", StorageClass: "gp3", ChunkEncoding: "snappy", MaxChunkAge: "12h",
		Resources: kube.Resources{CPU: "200m", Memory: "1Gi", MemoryLimit: "2Gi"},
		Limits: loki.Limits{
			IngestionRateMB: 20, IngestionBurstMB: 40, PerStreamRateMB: 10, MaxStreams: 20000, MaxLineSizeKB: 256, MaxQuerySeries: 2000,
		},
	}
	got := given.WithDefaults()
	assert.Equal(t, want, got)
	assert.Equal(t, want, got.WithDefaults(), "twice")
	assert.Empty(t, given.Schema[0].Version, "the caller's periods stay as they are")
	require.NoError(t, got.Validate())

	full := loki.Settings{
		Replicas: 3, Schema: []loki.Period{{From: "2024-01-01", Index: "tsdb", Version: "v12"}}, Version: "3.5.12", Retention: "31d",
		MaxQueryLookback: "30d", StorageSize: "1Gi", StorageClass: "fast", Resources: kube.Resources{CPU: "1", Memory: "1Gi", MemoryLimit: "1Gi"},
		RequireZones: true, ChunkEncoding: "gzip", MaxChunkAge: "1h",
		Limits: loki.Limits{IngestionRateMB: 1, IngestionBurstMB: 1, PerStreamRateMB: 1, MaxStreams: 1, MaxLineSizeKB: 1, MaxQuerySeries: 1},
	}
	assert.Equal(t, full, full.WithDefaults())
	require.NoError(t, full.Validate())
}

func TestValidate(t *testing.T) {
	t.Parallel()
	const refused = "version: must be 3.5.12 while a period has its index in dynamodb: from 3.6 on Loki does not sign its requests to " +
		"DynamoDB unless keys stand in the URL, reads only the first page of an answer, and crashes when a query fails; later lines know no " +
		"DynamoDB, got "
	for _, test := range []struct {
		name   string
		change func(s *loki.Settings)
		want   string
	}{
		{
			"two replicas", func(s *loki.Settings) { s.Replicas = 2 },
			"replicas: must be 1 or 3: of two, none may be away, as a write needs a majority, got 2",
		},
		{
			"four replicas", func(s *loki.Settings) { s.Replicas = 4 },
			"replicas: must be 1 or 3: of two, none may be away, as a write needs a majority, got 4",
		},
		{"no schema", func(s *loki.Settings) { s.Schema = nil }, "schema: must list at least one period, got null"},
		{
			"no day", func(s *loki.Settings) { s.Schema[0].From = "2024-02-30" },
			`schema[0].from: must be a day such as "2026-01-31", got "2024-02-30"`,
		},
		{
			"a time", func(s *loki.Settings) { s.Schema[0].From = "2024-02-03T00:00:00Z" },
			`schema[0].from: must be a day such as "2026-01-31", got "2024-02-03T00:00:00Z"`,
		},
		{
			"same day", func(s *loki.Settings) { s.Schema = append(s.Schema, s.Schema[0]) },
			`schema[1].from: must be after the period before it, got "2024-01-01"`,
		},
		{
			"index and version of a period", func(s *loki.Settings) { s.Schema[0].Index, s.Schema[0].Version = "boltdb-shipper", "v14" },
			"schema[0].index: must be one of dynamodb, tsdb, got \"boltdb-shipper\"\n" +
				`schema[0].version: must be one of v11, v12, v13, got "v14"`,
		},
		{
			"old versions are DynamoDB's", func(s *loki.Settings) { s.Schema[0].Index, s.Schema[0].Version = "tsdb", "v9" },
			`schema[0].version: must be one of v11, v12, v13, got "v9"`,
		},
		{
			"tables of an old Loki", func(s *loki.Settings) { s.Schema[0].Tables = &loki.PeriodicTables{Prefix: "a b", Period: "36h"} },
			"schema[0].tables.prefix: must be what the tables' names begin with: letters, digits, \"_\", \".\" and \"-\", got \"a b\"\n" +
				"schema[0].tables.period: must be whole days, such as \"168h\", got \"36h\"\n" +
				`schema[0].tables: must be followed by another period: nobody makes the next table, got "a b"`,
		},
		{
			"tables of tsdb", func(s *loki.Settings) {
				s.Schema[0].Index, s.Schema[0].Tables = "tsdb", &loki.PeriodicTables{Prefix: "index_", Period: "24h"}
				s.Schema = append(s.Schema, loki.Period{From: "2026-03-01", Index: loki.TSDB, Version: "v13"})
			},
			`schema[0].tables: must not be set but for dynamodb, got "tsdb"`,
		},
		{"release 3.7 with dynamodb", func(s *loki.Settings) { s.Version = "3.7.8" }, refused + `"3.7.8"`},
		{"release 3.6 with a dynamodb past", func(s *loki.Settings) {
			s.Version, s.Schema = "3.6.15", append(s.Schema, loki.Period{From: "2026-03-01", Index: loki.TSDB, Version: "v13"})
		}, refused + `"3.6.15"`},
		{
			"unknown release", func(s *loki.Settings) { s.Schema[0].Index, s.Version = "tsdb", "3.6.15" },
			`version: must be one of 3.7.8, 3.5.12, got "3.6.15"`,
		},
		{
			"retention in dynamodb", func(s *loki.Settings) { s.Retention = "31d" },
			"retention: needs a tsdb period: with the index in DynamoDB Loki deletes nothing, and the bucket's lifecycle says how long logs " +
				`live, got "31d"`,
		},
		{
			"short retention", func(s *loki.Settings) { s.Schema[0].Index, s.Retention = "tsdb", "23h" },
			`retention: must be at least 24h, got "23h"`,
		},
		{
			"no durations", func(s *loki.Settings) { s.Schema[0].Index, s.Retention, s.MaxQueryLookback = "tsdb", "a month", "1.5d" },
			"retention: must be a duration such as \"24h\" or \"31d\", got \"a month\"\n" +
				`maxQueryLookback: must be a duration such as "24h" or "31d", got "1.5d"`,
		},
		{"no lookback", func(s *loki.Settings) { s.MaxQueryLookback = "0" }, `maxQueryLookback: must be positive, got "0"`},
		{
			"volume", func(s *loki.Settings) { s.StorageSize, s.StorageClass = "1023Mi", "Gp3" },
			"storageSize: must be a Kubernetes quantity of at least 1Gi, such as \"10Gi\", got \"1023Mi\"\n" +
				`storageClass: must name a storage class: lower-case letters, digits, dashes and dots, got "Gp3"`,
		},
		{
			"resources", func(s *loki.Settings) { s.Resources.MemoryLimit = "1Mi" },
			`resources.memoryLimit: must not be below the memory requested, 1Gi, got "1Mi"`,
		},
		{"young chunks", func(s *loki.Settings) { s.MaxChunkAge = "59m" }, `maxChunkAge: must be between 1h and 24h, got "59m"`},
		{"old chunks", func(s *loki.Settings) { s.MaxChunkAge = "25h" }, `maxChunkAge: must be between 1h and 24h, got "25h"`},
		{"ageless chunks", func(s *loki.Settings) { s.MaxChunkAge = "long" }, `maxChunkAge: must be a duration such as "24h" or "31d", got "long"`},
		{"encoding", func(s *loki.Settings) { s.ChunkEncoding = "brotli" }, `chunkEncoding: must be one of snappy, gzip, zstd, got "brotli"`},
		{
			"limits", func(s *loki.Settings) {
				s.Limits = loki.Limits{IngestionRateMB: 5, IngestionBurstMB: 4, MaxStreams: -1}
			},
			"limits.perStreamRateMB: must be at least 1, got 0\nlimits.maxStreams: must be at least 1, got -1\n" +
				"limits.maxLineSizeKB: must be at least 1, got 0\nlimits.maxQuerySeries: must be at least 1, got 0\n" +
				"limits.ingestionBurstMB: must not be below ingestionRateMB, 5, got 4",
		},
	} {
		s := loki.Settings{Schema: []loki.Period{dynamodb}}.WithDefaults()
		test.change(&s)
		assert.EqualError(t, s.Validate(), test.want, test.name)
	}
}

func TestRelease(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, version string
		schema        []loki.Period
		want          versions.Component
	}{
		{"dynamodb", "", []loki.Period{dynamodb}, versions.LokiDynamoDB},
		{"dynamodb, asked for", "3.5.12", []loki.Period{dynamodb}, versions.LokiDynamoDB},
		{"moving", "", []loki.Period{dynamodb, tsdbLater}, versions.LokiDynamoDB},
		{"moving back", "", []loki.Period{tsdb, {From: "2026-03-01", Index: loki.DynamoDB}}, versions.LokiDynamoDB},
		{"tsdb", "", []loki.Period{tsdb}, versions.LokiTSDB},
		{"tsdb, asked for", "3.7.8", []loki.Period{tsdb}, versions.LokiTSDB},
		{"tsdb, not yet upgraded", "3.5.12", []loki.Period{tsdb}, versions.LokiDynamoDB},
	} {
		got, err := loki.Release(test.schema, test.version)
		require.NoError(t, err, test.name)
		assert.Equal(t, test.want, got, test.name)
	}
	got, err := loki.Release([]loki.Period{dynamodb}, "3.7.8")
	require.ErrorContains(t, err, "version: must be 3.5.12 while a period has its index in dynamodb: ")
	assert.Zero(t, got)
}

func TestWarning(t *testing.T) {
	t.Parallel()
	const (
		before = "Loki 3.5.12 is the last that works with an index in DynamoDB, and gets no more fixes. "
		after  = "Once the last logs of the dynamodb periods have expired, remove these periods: Loki 3.7.8 runs then."
	)
	assert.Equal(t, before+"To leave it, add a schema period with index tsdb from a day to come. "+after,
		loki.Settings{Schema: []loki.Period{dynamodb}}.Warning())
	assert.Equal(t, before+"The index moves to TSDB on 2026-03-01. "+after,
		loki.Settings{Schema: []loki.Period{dynamodb, tsdbLater}}.Warning())
	assert.Empty(t, loki.Settings{Schema: []loki.Period{tsdb}}.Warning())
	assert.Empty(t, loki.Settings{}.Warning())
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		args func() *loki.Args
		want string
	}{
		{"nil", func() *loki.Args { return nil }, `validating logs: schema: must list at least one period, got null
namespace: is required, got null
chunks.bucket: is required, got null
chunks.region: is required, got null`},
		{"no table", func() *loki.Args {
			args := dev()
			args.Index = loki.Index{}
			return args
		}, `validating logs: index.table: is required with a dynamodb period, got null
index.region: is required with a dynamodb period, got null`},
		{"endpoint that reads as a region", endpoint("localhost:8000"), refusedEndpoint + `"localhost:8000"`},
		{"endpoint with its dot in the path", endpoint("localhost/a.b"), refusedEndpoint + `"localhost/a.b"`},
		{"endpoint with a scheme", endpoint("http://a.b:8000"), refusedEndpoint + `"http://a.b:8000"`},
		{"rules", func() *loki.Args {
			args := dev()
			args.Rules = []loki.RuleGroup{
				{Name: "a", Interval: "soon", Rules: []loki.Rule{{For: "1.5m"}}}, {Name: "a", Rules: nil},
			}
			return args
		}, `validating logs: rules[0].interval: must be a duration such as "30s" or "5m", got "soon"
rules[0].rules[0].alert: must not be empty, got ""
rules[0].rules[0].expr: must not be empty, got ""
rules[0].rules[0].for: must be a duration such as "30s" or "5m", got "1.5m"
rules[1].name: must be given, and unique, got "a"
rules[1].rules: must list at least one, got null`},
	} {
		r := &mocks.Recorder{}
		err := r.RunErr(func(ctx *pulumi.Context) error {
			_, err := loki.New(ctx, "logs", test.args())
			assert.EqualError(t, err, test.want, test.name)
			return err
		})
		require.Error(t, err, test.name)
		assert.Empty(t, r.OfType(component), test.name)
	}
}

const refusedEndpoint = "validating logs: index.endpoint: must be a host with a dot, and a port where needed, such as " +
	`"dynamodb.storage.svc:8000"; Loki takes a name without a dot for a region, got `

func endpoint(host string) func() *loki.Args {
	return func() *loki.Args {
		args := dev()
		args.Index.Endpoint = host
		return args
	}
}
