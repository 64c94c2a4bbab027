package loki_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/loki"
	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/internal/mocks"
)

const (
	component   = "kansoku:loki:Loki"
	statefulSet = "kubernetes:apps/v1:StatefulSet"
	configMap   = "kubernetes:core/v1:ConfigMap"
	service     = "kubernetes:core/v1:Service"
	account     = "kubernetes:core/v1:ServiceAccount"
	budget      = "kubernetes:policy/v1:PodDisruptionBudget"
	monitor     = "kubernetes:monitoring.coreos.com/v1:ServiceMonitor"
)

var (
	dynamodb  = loki.Period{From: "2024-01-01", Index: loki.DynamoDB}
	tsdb      = loki.Period{From: "2024-01-01", Index: loki.TSDB}
	tsdbLater = loki.Period{From: "2026-03-01", Index: loki.TSDB}
)

// dev is what the small stack has: one replica, everything by default.
func dev() *loki.Args {
	return &loki.Args{
		Settings:  loki.Settings{Schema: []loki.Period{dynamodb}},
		Namespace: pulumi.String("monitoring"),
		Chunks:    objectstore.Location{Bucket: pulumi.String("chunks"), Region: pulumi.String("ap-northeast-1")},
		Index:     loki.Index{Table: pulumi.String("loki-index"), Region: pulumi.String("ap-northeast-3")},
		RoleARN:   pulumi.String("arn:aws:iam::1:role/loki"),
	}
}

func prod() *loki.Args {
	args := dev()
	args.Replicas, args.RequireZones, args.PriorityClass = 3, true, "high"
	args.MaxQueryLookback, args.StorageSize, args.StorageClass = "364d", "50Gi", "fast"
	args.Resources = kube.Resources{CPU: "1", Memory: "4Gi"}
	args.AlertmanagerURL = pulumi.String("http://_web._tcp.alertmanager-operated.monitoring.svc")
	return args
}

func onTSDB() *loki.Args {
	args := dev()
	args.Schema, args.Retention, args.Index = []loki.Period{tsdb}, "31d", loki.Index{}
	args.AlertmanagerURL = pulumi.String("http://alertmanager.monitoring.svc:9093")
	return args
}

func migrating() *loki.Args {
	args := prod()
	args.Schema, args.Retention = []loki.Period{dynamodb, tsdbLater}, "90d"
	return args
}

func compatible() *loki.Args {
	args := dev()
	args.RoleARN, args.ChunkEncoding = nil, "zstd"
	args.Chunks.Endpoint, args.Chunks.Insecure, args.Chunks.CredentialsSecret = "minio.storage.svc:9000", true, "minio"
	args.Index.Endpoint, args.Index.Insecure = "dynamodb.storage.svc:8000", true
	return args
}

func run(t *testing.T, args *loki.Args) *mocks.Recorder {
	t.Helper()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		_, err := loki.New(ctx, "logs", args)
		return err
	})
	return r
}

func configOf(t *testing.T, r *mocks.Recorder) string {
	t.Helper()
	text, ok := r.Get(t, configMap, "logs").Field("data", "config.yaml").(string)
	require.True(t, ok)
	return text
}

// at is what stands at a path of the configuration.
func at(t *testing.T, r *mocks.Recorder, path ...any) any {
	t.Helper()
	parsed := map[string]any{}
	require.NoError(t, yaml.Unmarshal([]byte(configOf(t, r)), &parsed))
	return mocks.Resource{Inputs: parsed}.Field(path...)
}

func TestConfigGolden(t *testing.T) {
	t.Parallel()
	for name, args := range map[string]*loki.Args{
		"dev-dynamodb": dev(), "prod-dynamodb": prod(), "tsdb-retention": onTSDB(),
		"dynamodb-to-tsdb": migrating(), "s3-compatible": compatible(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, file := configOf(t, run(t, args)), filepath.Join("testdata", name+".yaml")
			if os.Getenv("UPDATE_GOLDEN") != "" {
				require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), got)
		})
	}
}

func TestDynamoDBPeriodIsOneStaticTable(t *testing.T) {
	t.Parallel()
	r := run(t, dev())
	assert.Equal(t, []any{map[string]any{
		"from": "2024-01-01", "store": "aws", "object_store": "s3", "schema": "v13", "row_shards": 16.0,
		"index": map[string]any{"prefix": "loki-index", "period": "0"},
	}}, at(t, r, "schema_config", "configs"))
	assert.Equal(t, map[string]any{
		"bucketnames": "chunks", "region": "ap-northeast-1", "dynamodb": map[string]any{"dynamodb_url": "dynamodb://ap-northeast-3"},
	}, at(t, r, "storage_config", "aws"))
	assert.Nil(t, at(t, r, "storage_config", "tsdb_shipper"))
	assert.Nil(t, at(t, r, "compactor"))
	assert.Equal(t, map[string]any{"embedded_cache": map[string]any{"enabled": true, "max_size_mb": 107.0, "ttl": "24h"}},
		at(t, r, "chunk_store_config", "write_dedupe_cache_config"))
	for _, key := range []string{"allow_structured_metadata", "volume_enabled", "discover_log_levels"} {
		assert.Equal(t, false, at(t, r, "limits_config", key), key)
	}
	assert.Equal(t, []any{}, at(t, r, "limits_config", "discover_service_name"))
	assert.Nil(t, at(t, r, "limits_config", "max_query_lookback"))
}

func TestTSDBPeriod(t *testing.T) {
	t.Parallel()
	r := run(t, onTSDB())
	assert.Equal(t, []any{map[string]any{
		"from": "2024-01-01", "store": "tsdb", "object_store": "s3", "schema": "v13",
		"index": map[string]any{"prefix": "index_", "period": "24h"},
	}}, at(t, r, "schema_config", "configs"))
	assert.Nil(t, at(t, r, "storage_config", "aws", "dynamodb"))
	assert.Nil(t, at(t, r, "chunk_store_config", "write_dedupe_cache_config"))
	assert.Equal(t, map[string]any{"active_index_directory": "/var/loki/tsdb-index", "cache_location": "/var/loki/tsdb-cache"},
		at(t, r, "storage_config", "tsdb_shipper"))
	assert.Equal(t, map[string]any{"retention_enabled": true, "delete_request_store": "s3"}, at(t, r, "compactor"))
	assert.Equal(t, "31d", at(t, r, "limits_config", "retention_period"))
	assert.Equal(t, "31d", at(t, r, "limits_config", "max_query_lookback"), "what is about to be deleted is not to be seen")
	for _, key := range []string{"allow_structured_metadata", "volume_enabled", "discover_log_levels"} {
		assert.Equal(t, true, at(t, r, "limits_config", key), key)
	}
	assert.Nil(t, at(t, r, "limits_config", "discover_service_name"))
	assert.Equal(t, "docker.io/grafana/loki:3.7.8", image(t, r))

	forever := onTSDB()
	forever.Retention = ""
	r = run(t, forever)
	assert.Nil(t, at(t, r, "compactor"))
	assert.Nil(t, at(t, r, "limits_config", "retention_period"))

	old := onTSDB()
	old.Schema = []loki.Period{{From: "2024-01-01", Index: loki.TSDB, Version: "v12"}, tsdbLater}
	assert.Equal(t, false, at(t, run(t, old), "limits_config", "allow_structured_metadata"))
}

func TestMigrationKeepsBothReadable(t *testing.T) {
	t.Parallel()
	r := run(t, migrating())
	assert.Equal(t, "aws", at(t, r, "schema_config", "configs", 0, "store"))
	assert.Equal(t, "tsdb", at(t, r, "schema_config", "configs", 1, "store"))
	assert.Equal(t, "2026-03-01", at(t, r, "schema_config", "configs", 1, "from"))
	assert.NotNil(t, at(t, r, "storage_config", "aws", "dynamodb"))
	assert.NotNil(t, at(t, r, "storage_config", "tsdb_shipper"))
	assert.NotNil(t, at(t, r, "chunk_store_config", "write_dedupe_cache_config"))
	assert.Equal(t, true, at(t, r, "compactor", "retention_enabled"))
	assert.Equal(t, false, at(t, r, "limits_config", "allow_structured_metadata"))
	assert.Equal(t, "364d", at(t, r, "limits_config", "max_query_lookback"))
	assert.Equal(t, "docker.io/grafana/loki:3.5.12", image(t, r))

	unbounded := migrating()
	unbounded.MaxQueryLookback = ""
	assert.Nil(t, at(t, run(t, unbounded), "limits_config", "max_query_lookback"), "the table's logs may be older than the retention")
}

func TestCompatibleStores(t *testing.T) {
	t.Parallel()
	args := compatible()
	r := run(t, args)
	assert.Equal(t, map[string]any{
		"bucketnames": "chunks", "region": "ap-northeast-1", "endpoint": "minio.storage.svc:9000", "insecure": true, "s3forcepathstyle": true,
		"dynamodb": map[string]any{"dynamodb_url": "http://dynamodb.storage.svc:8000"},
	}, at(t, r, "storage_config", "aws"))
	secret := func(key string) map[string]any {
		return map[string]any{"name": key, "valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": "minio", "key": key}}}
	}
	assert.Equal(t, []any{
		map[string]any{"name": "POD_IP", "valueFrom": map[string]any{"fieldRef": map[string]any{"fieldPath": "status.podIP"}}},
		map[string]any{"name": "GOMEMLIMIT", "value": "1843MiB"},
		map[string]any{"name": "AWS_REGION", "value": "ap-northeast-3"},
		secret("AWS_ACCESS_KEY_ID"), secret("AWS_SECRET_ACCESS_KEY"),
	}, container(t, r)["env"])
	assert.Nil(t, r.Get(t, account, "logs").Field("metadata", "annotations"))

	args.Index.Insecure = false
	assert.Equal(t, "https://dynamodb.storage.svc:8000", at(t, run(t, args), "storage_config", "aws", "dynamodb", "dynamodb_url"))
	args.Index.Endpoint = "127.0.0.1"
	assert.Equal(t, "https://127.0.0.1", at(t, run(t, args), "storage_config", "aws", "dynamodb", "dynamodb_url"))
}

func TestReplicas(t *testing.T) {
	t.Parallel()
	one, three := run(t, dev()), run(t, prod())
	assert.Equal(t, "inmemory", at(t, one, "common", "ring", "kvstore", "store"))
	assert.Equal(t, 1.0, at(t, one, "common", "replication_factor"))
	assert.Nil(t, at(t, one, "memberlist"))
	assert.Equal(t, false, at(t, one, "ruler", "enable_sharding"))
	assert.Nil(t, at(t, one, "ingester", "autoforget_unhealthy"))
	assert.Empty(t, one.OfType(budget))
	assert.Len(t, one.OfType(service), 1)

	assert.Equal(t, "memberlist", at(t, three, "common", "ring", "kvstore", "store"))
	assert.Equal(t, 3.0, at(t, three, "common", "replication_factor"))
	assert.Equal(t, map[string]any{
		"cluster_label": "loki.monitoring", "join_members": []any{"dns+loki-memberlist.monitoring.svc:7946"}, "rejoin_interval": "1m",
	}, at(t, three, "memberlist"))
	assert.Equal(t, true, at(t, three, "ruler", "enable_sharding"))
	assert.Equal(t, true, at(t, three, "ingester", "autoforget_unhealthy"))
	assert.Equal(t, 1.0, three.Get(t, budget, "logs").Field("spec", "maxUnavailable"))

	selector := map[string]any{"app.kubernetes.io/name": "loki", "app.kubernetes.io/instance": "main"}
	gossip := three.Get(t, service, "logs-memberlist")
	assert.Equal(t, "loki-memberlist", gossip.Field("metadata", "name"))
	assert.Equal(t, "memberlist", gossip.Field("metadata", "labels", "app.kubernetes.io/instance"), "the monitor must not find it")
	assert.Equal(t, map[string]any{
		"clusterIP": "None", "publishNotReadyAddresses": true, "selector": selector,
		"ports": []any{map[string]any{"name": "memberlist", "port": 7946.0, "targetPort": "memberlist"}},
	}, gossip.Field("spec"))

	set := three.Get(t, statefulSet, "logs")
	assert.Equal(t, 3.0, set.Field("spec", "replicas"))
	assert.Equal(t, "Parallel", set.Field("spec", "podManagementPolicy"))
	pod := podSpec(t, three)
	assert.Equal(t, "high", pod["priorityClassName"])
	assert.Equal(t, "DoNotSchedule", set.Field("spec", "template", "spec", "topologySpreadConstraints", 0, "whenUnsatisfiable"))
	assert.Equal(t, map[string]any{"name": "memberlist", "containerPort": 7946.0},
		set.Field("spec", "template", "spec", "containers", 0, "ports", 2))
	assert.Equal(t, "fast", set.Field("spec", "volumeClaimTemplates", 0, "spec", "storageClassName"))
	assert.Equal(t, "50Gi", set.Field("spec", "volumeClaimTemplates", 0, "spec", "resources", "requests", "storage"))
}

func TestMemorySizesCachesAndReplay(t *testing.T) {
	t.Parallel()
	args := dev()
	args.Resources = kube.Resources{CPU: "1", Memory: "512Mi", MemoryLimit: "1Gi"}
	r := run(t, args)
	assert.Equal(t, "768MB", at(t, r, "ingester", "wal", "replay_memory_ceiling"))
	assert.Equal(t, 53.0, at(t, r, "chunk_store_config", "chunk_cache_config", "embedded_cache", "max_size_mb"))
	assert.Equal(t, 53.0, at(t, r, "chunk_store_config", "write_dedupe_cache_config", "embedded_cache", "max_size_mb"))
	assert.Equal(t, 26.0, at(t, r, "query_range", "results_cache", "cache", "embedded_cache", "max_size_mb"))
	assert.Equal(t, map[string]any{
		"requests": map[string]any{"cpu": "1", "memory": "512Mi"}, "limits": map[string]any{"memory": "1Gi"},
	}, container(t, r)["resources"])
	args.Resources = kube.Resources{CPU: "1", Memory: "1Mi"}
	assert.Equal(t, 1.0, at(t, run(t, args), "query_range", "results_cache", "cache", "embedded_cache", "max_size_mb"), "0 is no cache")
}

func TestLimits(t *testing.T) {
	t.Parallel()
	args := dev()
	args.Limits = loki.Limits{
		IngestionRateMB: 7, IngestionBurstMB: 8, PerStreamRateMB: 3, MaxStreams: 100, MaxLineSizeKB: 64, MaxQuerySeries: 9,
	}
	r := run(t, args)
	for key, want := range map[string]any{
		"ingestion_rate_mb": 7.0, "ingestion_burst_size_mb": 8.0, "per_stream_rate_limit": "3MB", "per_stream_rate_limit_burst": "15MB",
		"max_global_streams_per_user": 100.0, "max_line_size": "64KB", "max_line_size_truncate": true, "max_query_series": 9.0,
		"reject_old_samples": true, "reject_old_samples_max_age": "168h", "deletion_mode": "disabled",
	} {
		assert.Equal(t, want, at(t, r, "limits_config", key), key)
	}
}

func TestRuler(t *testing.T) {
	t.Parallel()
	local := map[string]any{"type": "local", "local": map[string]any{"directory": "/etc/loki/rules"}}
	assert.Equal(t, map[string]any{"storage": local, "enable_alertmanager_v2": true, "enable_api": true, "enable_sharding": false},
		at(t, run(t, dev()), "ruler"))
	assert.Equal(t, map[string]any{
		"storage": local, "enable_alertmanager_v2": true, "enable_api": true, "enable_sharding": false,
		"alertmanager_url": "http://alertmanager.monitoring.svc:9093",
	}, at(t, run(t, onTSDB()), "ruler"))
	assert.Equal(t, map[string]any{
		"storage": local, "enable_alertmanager_v2": true, "enable_api": true, "enable_sharding": true,
		"alertmanager_url": "http://_web._tcp.alertmanager-operated.monitoring.svc", "enable_alertmanager_discovery": true,
	}, at(t, run(t, prod()), "ruler"))
}

func TestRulesRestartNothing(t *testing.T) {
	t.Parallel()
	without, args := run(t, dev()), dev()
	assert.Equal(t, "loki-rules", without.Get(t, configMap, "logs-rules").Field("metadata", "name"))
	assert.Empty(t, without.Get(t, configMap, "logs-rules").Field("data"))
	args.Rules = []loki.RuleGroup{{
		Name: "app", Interval: "30s",
		Rules: []loki.Rule{{
			Alert: "Panics", Expr: `sum(rate({app="web"} |= "panic" [5m])) > 0`, For: "5m",
			Labels: map[string]string{"severity": "critical"}, Annotations: map[string]string{"summary": "web panics"},
		}},
	}}
	with := run(t, args)
	assert.Equal(t, map[string]any{"rules.yaml": `groups:
- interval: 30s
  name: app
  rules:
  - alert: Panics
    annotations:
      summary: web panics
    expr: sum(rate({app="web"} |= "panic" [5m])) > 0
    for: 5m
    labels:
      severity: critical
`}, with.Get(t, configMap, "logs-rules").Field("data"))
	assert.Equal(t, podTemplate(t, without), podTemplate(t, with))
}

func podTemplate(t *testing.T, r *mocks.Recorder) map[string]any {
	t.Helper()
	template, ok := r.Get(t, statefulSet, "logs").Field("spec", "template").(map[string]any)
	require.True(t, ok)
	return template
}

func podSpec(t *testing.T, r *mocks.Recorder) map[string]any {
	t.Helper()
	spec, ok := podTemplate(t, r)["spec"].(map[string]any)
	require.True(t, ok)
	return spec
}

func container(t *testing.T, r *mocks.Recorder) map[string]any {
	t.Helper()
	all, ok := podSpec(t, r)["containers"].([]any)
	require.True(t, ok)
	require.Len(t, all, 1)
	return all[0].(map[string]any)
}

func image(t *testing.T, r *mocks.Recorder) string {
	t.Helper()
	return container(t, r)["image"].(string)
}

func TestPod(t *testing.T) {
	t.Parallel()
	r := run(t, dev())
	pod := podSpec(t, r)
	assert.Equal(t, "loki", pod["serviceAccountName"])
	assert.Equal(t, false, pod["automountServiceAccountToken"])
	assert.Equal(t, 120.0, pod["terminationGracePeriodSeconds"])
	assert.Equal(t, map[string]any{
		"runAsNonRoot": true, "runAsUser": 10001.0, "runAsGroup": 10001.0, "fsGroup": 10001.0, "fsGroupChangePolicy": "OnRootMismatch",
		"seccompProfile": map[string]any{"type": "RuntimeDefault"},
	}, pod["securityContext"])
	assert.Equal(t, []any{
		map[string]any{"name": "config", "configMap": map[string]any{"name": "loki"}},
		map[string]any{"name": "rules", "configMap": map[string]any{"name": "loki-rules"}},
		map[string]any{"name": "tmp", "emptyDir": map[string]any{}},
	}, pod["volumes"])
	buildinfo := map[string]any{"path": "/loki/api/v1/status/buildinfo", "port": "http-metrics"}
	assert.Equal(t, map[string]any{
		"name": "loki", "image": "docker.io/grafana/loki:3.5.12", "terminationMessagePolicy": "FallbackToLogsOnError",
		"args": []any{"-config.file=/etc/loki/config/config.yaml", "-config.expand-env=true", "-target=all"},
		"env": []any{
			map[string]any{"name": "POD_IP", "valueFrom": map[string]any{"fieldRef": map[string]any{"fieldPath": "status.podIP"}}},
			map[string]any{"name": "GOMEMLIMIT", "value": "1843MiB"},
		},
		"ports": []any{
			map[string]any{"name": "http-metrics", "containerPort": 3100.0}, map[string]any{"name": "grpc", "containerPort": 9095.0},
		},
		"resources": map[string]any{"requests": map[string]any{"cpu": "200m", "memory": "1Gi"}, "limits": map[string]any{"memory": "2Gi"}},
		"volumeMounts": []any{
			map[string]any{"name": "config", "mountPath": "/etc/loki/config", "readOnly": true},
			map[string]any{"name": "rules", "mountPath": "/etc/loki/rules/fake", "readOnly": true},
			map[string]any{"name": "data", "mountPath": "/var/loki"},
			map[string]any{"name": "tmp", "mountPath": "/tmp"},
		},
		"livenessProbe": map[string]any{"httpGet": buildinfo, "periodSeconds": 10.0, "timeoutSeconds": 5.0, "failureThreshold": 6.0},
		"startupProbe":  map[string]any{"httpGet": buildinfo, "periodSeconds": 5.0, "timeoutSeconds": 5.0, "failureThreshold": 60.0},
		"readinessProbe": map[string]any{
			"httpGet":       map[string]any{"path": "/ready", "port": "http-metrics"},
			"periodSeconds": 10.0, "timeoutSeconds": 5.0, "failureThreshold": 3.0,
		},
		"securityContext": map[string]any{
			"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": map[string]any{"drop": []any{"ALL"}},
		},
	}, container(t, r))
	set := r.Get(t, statefulSet, "logs")
	assert.Equal(t, "loki", set.Field("metadata", "name"))
	assert.Equal(t, "monitoring", set.Field("metadata", "namespace"))
	assert.Equal(t, "3.5.12", set.Field("metadata", "labels", "app.kubernetes.io/version"))
	assert.Equal(t, "data", set.Field("spec", "volumeClaimTemplates", 0, "metadata", "name"))
	assert.Equal(t, "gp3", set.Field("spec", "volumeClaimTemplates", 0, "spec", "storageClassName"))
	assert.Equal(t, "10Gi", set.Field("spec", "volumeClaimTemplates", 0, "spec", "resources", "requests", "storage"))
	for _, needed := range []string{"::logs", "::logs-rules"} {
		assert.True(t, anyEndsWith(set.Depends, configMap+needed), needed)
	}
}

func anyEndsWith(urns []string, suffix string) bool {
	for _, urn := range urns {
		if strings.HasSuffix(urn, suffix) {
			return true
		}
	}
	return false
}

func TestServiceAccountAndMonitor(t *testing.T) {
	t.Parallel()
	r := run(t, dev())
	selector := map[string]any{"app.kubernetes.io/name": "loki", "app.kubernetes.io/instance": "main"}
	s := r.Get(t, service, "logs")
	assert.Equal(t, "loki", s.Field("metadata", "name"))
	assert.Equal(t, map[string]any{"selector": selector, "ports": []any{
		map[string]any{"name": "http-metrics", "port": 3100.0, "targetPort": "http-metrics"},
		map[string]any{"name": "grpc", "port": 9095.0, "targetPort": "grpc"},
	}}, s.Field("spec"))
	assert.Equal(t, loki.ServiceAccountName, r.Get(t, account, "logs").Field("metadata", "name"))
	assert.Equal(t, "arn:aws:iam::1:role/loki", r.Get(t, account, "logs").Field("metadata", "annotations", "eks.amazonaws.com/role-arn"))
	m := r.Get(t, monitor, "logs")
	assert.Equal(t, selector, m.Field("spec", "selector", "matchLabels"))
	assert.Equal(t, []any{map[string]any{"port": "http-metrics"}}, m.Field("spec", "endpoints"))
	assert.Equal(t, map[string]string{"app.kubernetes.io/name": "loki", "app.kubernetes.io/instance": "main"}, loki.Labels().Selector())
}

func TestConfigRollsThePods(t *testing.T) {
	t.Parallel()
	r := run(t, dev())
	sum := sha256.Sum256([]byte(configOf(t, r)))
	assert.Equal(t, hex.EncodeToString(sum[:]),
		r.Get(t, statefulSet, "logs").Field("spec", "template", "metadata", "annotations", "kansoku.dev/config-checksum"))
}

func TestEverythingIsTheComponents(t *testing.T) {
	t.Parallel()
	r := run(t, prod())
	types := map[string]int{}
	for _, one := range r.All() {
		types[one.Type]++
		if one.Custom {
			assert.True(t, strings.HasSuffix(one.Parent, "::"+component+"::logs"), "%s %s has the parent %s", one.Type, one.Name, one.Parent)
		}
	}
	delete(types, "pulumi:pulumi:Stack")
	assert.Equal(t, map[string]int{
		component: 1, statefulSet: 1, configMap: 2, service: 2, account: 1, budget: 1, monitor: 1,
	}, types)
}

func TestOutputs(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{}
	seen := make(chan []any, 1)
	r.Run(t, func(ctx *pulumi.Context) error {
		args := dev()
		args.Namespace = pulumi.String("logging")
		l, err := loki.New(ctx, "logs", args)
		if err != nil {
			return err
		}
		pulumi.All(l.URL, l.PushURL).ApplyT(func(known []any) error {
			seen <- known
			return nil
		})
		return nil
	})
	assert.Equal(t, []any{"http://loki.logging.svc:3100", "http://loki.logging.svc:3100/loki/api/v1/push"}, <-seen)
}

// TestAnOldLokisTablesAreRead: periods stay as they were, with the tables that an old Loki began every week.
func TestAnOldLokisTablesAreRead(t *testing.T) {
	t.Parallel()
	args := dev()
	args.Schema = []loki.Period{
		{From: "2019-05-01", Index: loki.DynamoDB, Version: "v9", Tables: &loki.PeriodicTables{Prefix: "index_", Period: "7d"}},
		{From: "2020-10-24", Index: loki.DynamoDB, Version: "v11", Tables: &loki.PeriodicTables{Prefix: "loki_index_", Period: "168h"}},
		{From: "2026-03-01", Index: loki.DynamoDB},
	}
	assert.Equal(t, []any{
		map[string]any{
			"from": "2019-05-01", "store": "aws", "object_store": "s3", "schema": "v9",
			"index": map[string]any{"prefix": "index_", "period": "168h"},
		},
		map[string]any{
			"from": "2020-10-24", "store": "aws", "object_store": "s3", "schema": "v11", "row_shards": 16.0,
			"index": map[string]any{"prefix": "loki_index_", "period": "168h"},
		},
		map[string]any{
			"from": "2026-03-01", "store": "aws", "object_store": "s3", "schema": "v13", "row_shards": 16.0,
			"index": map[string]any{"prefix": "loki-index", "period": "0"},
		},
	}, at(t, run(t, args), "schema_config", "configs"))
}
