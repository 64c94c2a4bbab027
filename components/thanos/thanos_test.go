package thanos_test

import (
	"sort"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/components/thanos"
	"github.com/kansoku/kansoku/internal/mocks"
)

func newThanos(t *testing.T, args *thanos.Args) *mocks.Recorder {
	t.Helper()
	return record(t, func(ctx *pulumi.Context) error {
		all, err := thanos.New(ctx, "t", args)
		if err != nil {
			return err
		}
		assert.Equal(t, "http://thanos-query.monitoring.svc:10902", resolve(all.QueryURL))
		assert.Equal(t, "http://thanos-query-frontend.monitoring.svc:10902", resolve(all.QueryFrontendURL))
		assert.Equal(t, "dnssrv+_grpc._tcp.thanos-store.monitoring.svc", resolve(all.StoreEndpoint))
		return nil
	})
}

func arguments() *thanos.Args {
	args := &thanos.Args{
		Namespace: namespace, PriorityClass: "high", Blocks: aws, RoleARNs: map[string]pulumi.StringInput{},
		StoreEndpoints: []pulumi.StringInput{pulumi.String("dnssrv+_grpc._tcp.sidecars.monitoring.svc")},
	}
	for _, account := range thanos.ServiceAccounts() {
		args.RoleARNs[account.Name] = pulumi.String("arn:aws:iam::1:role/" + account.Name)
	}
	return args
}

func TestThanosIsWired(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.StoreEndpoints = append(make([]pulumi.StringInput, 0, 2), args.StoreEndpoints...)
	r := newThanos(t, args)
	assert.Nil(t, args.StoreEndpoints[:2][1], "the caller's list stays as it is")

	parts := []string{"t-bucket-web", "t-compact", "t-query", "t-query-frontend", "t-store"}
	var names []string
	for _, token := range []string{deployment, statefulSet} {
		for _, w := range r.OfType(token) {
			names = append(names, w.Name)
			assert.Equal(t, "thanos-"+strings.TrimPrefix(w.Name, "t-"), w.Field("metadata", "name"))
			assert.Equal(t, "high", pod(w)("priorityClassName"), w.Name)
			assert.Contains(t, w.Parent, "kansoku:thanos:Thanos$kansoku:thanos:", w.Name)
		}
	}
	sort.Strings(names)
	assert.Equal(t, parts, names)

	for _, token := range []string{"Store", "Query", "QueryFrontend", "Compact", "BucketWeb"} {
		found := r.OfType("kansoku:thanos:" + token)
		require.Len(t, found, 1, token)
		assert.True(t, strings.HasSuffix(found[0].Parent, "::kansoku:thanos:Thanos::t"), token)
	}
	for _, one := range []string{"bucket-web", "compact", "store"} {
		assert.Equal(t, "arn:aws:iam::1:role/thanos-"+one,
			r.Get(t, serviceAccount, "t-"+one).Field("metadata", "annotations", "eks.amazonaws.com/role-arn"))
	}
	assert.Equal(t, `endpoints:
- address: dnssrv+_grpc._tcp.sidecars.monitoring.svc
- address: dnssrv+_grpc._tcp.thanos-store.monitoring.svc
`, r.Get(t, configMap, "t-query-endpoints").Field("data", "endpoints.yaml"))
	assert.Equal(t, "http://thanos-query.monitoring.svc:10902",
		pod(r.Get(t, deployment, "t-query-frontend"))("containers", 0, "env", 0, "value"))
	assert.Equal(t, []string{"--no-query.partial-response", "--no-query-range.partial-response", "--no-labels.partial-response"},
		completeOnly(t, &thanos.Settings{Query: thanos.QuerySettings{CompleteOnly: true}}))
	assert.Equal(t, []string{"--no-query-range.partial-response", "--no-labels.partial-response"},
		completeOnly(t, &thanos.Settings{QueryFrontend: thanos.QueryFrontendSettings{CompleteOnly: true}}))
	assert.Empty(t, completeOnly(t, &thanos.Settings{}))
}

// completeOnly is which flags refuse partial responses.
func completeOnly(t *testing.T, settings *thanos.Settings) []string {
	t.Helper()
	args := arguments()
	args.Settings = *settings
	r := newThanos(t, args)
	var found []string
	for _, name := range []string{"t-query", "t-query-frontend"} {
		for _, flag := range flags(t, r.Get(t, deployment, name)) {
			if strings.HasSuffix(flag, "partial-response") {
				found = append(found, flag)
			}
		}
	}
	return found
}

func TestDelaysOfALab(t *testing.T) {
	t.Parallel()
	args := arguments()
	args.Compact = thanos.CompactSettings{DeleteDelay: "5m", ConsistencyDelay: "10s", Interval: "20s"}
	args.Store = thanos.StoreSettings{SyncInterval: "30s"}
	r := newThanos(t, args)
	store := flags(t, r.Get(t, statefulSet, "t-store"))
	assert.Contains(t, store, "--ignore-deletion-marks-delay=2m30s", "half of compact's delay")
	assert.Contains(t, store, "--sync-block-duration=30s")
	assert.Contains(t, store, `--store.caching-bucket.config={"type":"IN-MEMORY","config":{"max_size":"128MiB","max_item_size":"65536KiB"},`+
		`"blocks_iter_ttl":"10s","metafile_doesnt_exist_ttl":"30s"}`)
	compact := flags(t, r.Get(t, statefulSet, "t-compact"))
	for _, flag := range []string{"--delete-delay=5m", "--consistency-delay=10s", "--wait-interval=20s", "--compact.cleanup-interval=20s"} {
		assert.Contains(t, compact, flag)
	}
}

func TestSettingsRefused(t *testing.T) {
	t.Parallel()
	for want, settings := range map[string]thanos.Settings{
		"store.replicas: must be between 1 and 10, got 11":         {Store: thanos.StoreSettings{Replicas: 11}},
		"query.replicas: must be between 1 and 10, got 11":         {Query: thanos.QuerySettings{Replicas: 11}},
		"queryFrontend.replicas: must be between 1 and 10, got 11": {QueryFrontend: thanos.QueryFrontendSettings{Replicas: 11}},
		"compact.concurrency: must be between 1 and 16, got 17":    {Compact: thanos.CompactSettings{Concurrency: 17}},
		`bucketWeb.refresh: must be at least 1m, got "1s"`:         {BucketWeb: thanos.BucketWebSettings{Refresh: "1s"}},
		`store.ignoreDeletionMarksDelay: must be shorter than compact.deleteDelay (24h) by store.syncInterval (15m), ` +
			`or the store reads blocks that are gone, got "1425m1s"`: {
			Store: thanos.StoreSettings{IgnoreDeletionMarksDelay: "1425m1s"}, Compact: thanos.CompactSettings{DeleteDelay: "24h"},
		},
		`store.ignoreDeletionMarksDelay: must be at least twice syncInterval (15m), so that what replaces a block is loaded before, got "10m"`: {
			Compact: thanos.CompactSettings{DeleteDelay: "20m"},
		},
	} {
		if strings.Contains(want, "twice") { // both relations are broken
			require.ErrorContains(t, settings.WithDefaults().Validate(), want)
			continue
		}
		require.EqualError(t, settings.WithDefaults().Validate(), want)
	}
	s := thanos.Settings{}.WithDefaults()
	require.NoError(t, s.Validate())
	assert.Equal(t, "24h", s.Store.IgnoreDeletionMarksDelay)
	assert.Equal(t, s, s.WithDefaults(), "defaults are filled once")
	require.NoError(t, thanos.Settings{
		Store: thanos.StoreSettings{IgnoreDeletionMarksDelay: "1425m"}, Compact: thanos.CompactSettings{DeleteDelay: "24h"},
	}.WithDefaults().Validate())
}

func TestWiringRefused(t *testing.T) {
	t.Parallel()
	refused(t, `validating t: namespace: is required, got null
blocks.bucket: is required, got null
blocks.region: is required, got null`, func(ctx *pulumi.Context) error {
		_, err := thanos.New(ctx, "t", nil)
		return err
	})
	refused(t, `validating t: compact.concurrency: must be between 1 and 16, got 99
storeEndpoints[0]: is required, got null
roleArns: must be keyed by service account (thanos-bucket-web, thanos-compact, thanos-store), got "thanos-query"
credentialsSecrets: must be keyed by service account (thanos-bucket-web, thanos-compact, thanos-store), got "compact"`,
		func(ctx *pulumi.Context) error {
			args := arguments()
			args.Compact.Concurrency = 99
			args.RoleARNs["thanos-query"] = role
			args.CredentialsSecrets = map[string]string{"compact": "c"}
			args.StoreEndpoints[0] = nil
			_, err := thanos.New(ctx, "t", args)
			return err
		})
}

func TestServiceAccounts(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []thanos.Account{
		{Name: "thanos-bucket-web", Blocks: objectstore.Read},
		{Name: "thanos-compact", Blocks: objectstore.Manage},
		{Name: "thanos-store", Blocks: objectstore.Read},
	}, thanos.ServiceAccounts())
}

func TestLabels(t *testing.T) {
	t.Parallel()
	for object, component := range map[string]string{
		thanos.StoreName: "object-store-gateway", thanos.QueryName: "query-layer", thanos.QueryFrontendName: "query-cache",
		thanos.CompactName: "database-compactor", thanos.BucketWebName: "object-store-bucket-debugging",
	} {
		assert.Equal(t, map[string]string{
			"app.kubernetes.io/name": object, "app.kubernetes.io/instance": "main", "app.kubernetes.io/component": component,
			"app.kubernetes.io/part-of": "kansoku", "app.kubernetes.io/version": "v0.42.4",
		}, thanos.Labels(object).All())
	}
}
