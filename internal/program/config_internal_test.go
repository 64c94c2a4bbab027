package program

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/kansoku/kansoku/components/rules"
	"github.com/kansoku/kansoku/components/versions"
)

// settings is a stack's configuration as the engine hands it over: structured values as JSON.
type settings map[string]string

func (s settings) GetConfig(key string) (string, bool) {
	v, ok := s[key]
	return v, ok
}

func (s settings) with(changes settings) settings {
	all := maps.Clone(s)
	for key, value := range changes {
		if value == "" {
			delete(all, key)
		} else {
			all[key] = value
		}
	}
	return all
}

func (s settings) load() (*Config, error) {
	return load(s, "kansoku", "test", slices.Sorted(maps.Keys(s)))
}

// shipped reads a stack file of this repository.
func shipped(tb testing.TB, stack string) settings {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "Pulumi."+stack+".yaml"))
	require.NoError(tb, err)
	var file struct {
		Config map[string]any `json:"config"`
	}
	require.NoError(tb, yaml.Unmarshal(data, &file))
	all := settings{}
	for key, value := range file.Config {
		if text, ok := value.(string); ok {
			all[key] = text
			continue
		}
		raw, err := json.Marshal(value)
		require.NoError(tb, err)
		all[key] = string(raw)
	}
	return all
}

func TestShippedStacksAreValid(t *testing.T) {
	t.Parallel()
	for _, stack := range []string{"dev", "prod"} {
		cfg, err := shipped(t, stack).load()
		require.NoError(t, err, stack)
		assert.Equal(t, "kansoku-test", cfg.Name)
		assert.Equal(t, "ap-northeast-1", cfg.AWS.Region)
		assert.Equal(t, []string{"ap-northeast-1a", "ap-northeast-1c", "ap-northeast-1d"}, cfg.Network.ZoneNames())
		assert.Equal(t, 2, cfg.Monitoring.Prometheus.Replicas)
		assert.Equal(t, "1.36", cfg.Cluster.Version)
		assert.Equal(t, "observability", cfg.Tags["CostCenter"])
		assert.Equal(t, stack == "prod", cfg.Protect)
		assert.Equal(t, stack == "prod", cfg.Monitoring.Prometheus.RequireZones)
	}
}

func TestTheStackWithoutAWSIsValid(t *testing.T) {
	t.Parallel()
	cfg, err := shipped(t, "local").load()
	require.NoError(t, err)
	assert.False(t, cfg.onAWS())
	assert.Equal(t, "kansoku-test", cfg.clusterName())
	for _, class := range []string{
		cfg.Monitoring.Prometheus.StorageClass, cfg.Monitoring.Alertmanager.StorageClass, cfg.Monitoring.Loki.StorageClass,
		cfg.Monitoring.Thanos.Store.StorageClass, cfg.Monitoring.Thanos.Compact.StorageClass,
	} {
		assert.Equal(t, "standard", class)
	}
}

func TestAlertsAreSet(t *testing.T) {
	t.Parallel()
	cfg, err := shipped(t, "dev").with(settings{
		"kansoku:monitoring": `{"rules": {"disabled": ["NodeDown"], "alerts": [{"name": "NodeDiskFull", "for": "1h", "threshold": 0.1}]}}`,
	}).load()
	require.NoError(t, err)
	share := 0.1
	assert.Equal(t, []string{"NodeDown"}, cfg.Monitoring.Rules.Disabled)
	assert.Equal(t, []rules.Alert{{Name: "NodeDiskFull", For: "1h", Threshold: &share}}, cfg.Monitoring.Rules.Alerts)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	dev := shipped(t, "dev")
	for name, tc := range map[string]struct {
		change settings
		want   []string
	}{
		"an unknown key": {
			settings{"kansoku:netwrok": "{}"},
			[]string{`kansoku:netwrok: is not a key; known are name, tags, protect, network, cluster, nodes, blocks, chunks, index, monitoring, cost, kubeconfig, slackUrl, webhookUrl, pagerDutyKey, opsgenieKey, smtpPassword, watchdogUrl, grafanaOAuthSecret, registryCredentials, got {}`},
		},
		"an unknown key inside": {
			settings{"kansoku:chunks": `{"expireDay": 30}`},
			[]string{`kansoku:chunks.expireDay: is not a key; known are name, versioning, kmsKeyArn, expireDays, `},
		},
		"an unknown key in a list": {
			settings{"kansoku:cluster": `{"access": [{"principalArn": "x"}, {"principal": "y"}]}`},
			[]string{`kansoku:cluster.access[1].principal: is not a key; known are principalArn, policy, namespaces, got "y"`},
		},
		"another namespace": {
			settings{"kubernetes:context": "prod"},
			[]string{`kubernetes:context: must not be set: the program reads the namespaces kansoku and aws only, got "prod"`},
		},
		"an AWS key that would be ignored": {
			settings{"aws:assumeRole": `{"roleArn": "x"}`},
			[]string{`aws:assumeRole: is not a key; known are region, profile, got {"roleArn":"x"}`},
		},
		"wrong types and unknown keys, all at once": {
			settings{"kansoku:netwrok": "{}", "kansoku:protect": "maybe", "kansoku:network": "[]", "kansoku:index": "7", "kansoku:monitoring": `{"prometheus": {"replicas": "two"}}`},
			[]string{
				`kansoku:netwrok: is not a key`, `kansoku:protect: must be true or false, got "maybe"`, `kansoku:network: must be an object, got []`,
				`kansoku:index: must be an object, got 7`,
				`kansoku:monitoring.prometheus.replicas: must be a whole number, got "two"`,
			},
		},
		"a fraction": {
			settings{"kansoku:chunks": `{"expireDays": 2.5}`},
			[]string{`kansoku:chunks.expireDays: must be a whole number, got 2.5`},
		},
		"alerts": {
			settings{"kansoku:monitoring": `{"rules": {"disable": ["NodeDown"], "alerts": [{"name": "NodeDown", "threshold": "much"}, {"nam": "x"}]}}`},
			[]string{
				`kansoku:monitoring.rules.disable: is not a key; known are disabled, alerts, runbookBase, grafanaUrl, mustLog, got ["NodeDown"]`,
				`kansoku:monitoring.rules.alerts[0].threshold: must be a number, got "much"`,
				`kansoku:monitoring.rules.alerts[1].nam: is not a key; known are name, for, threshold, window, severity, got "x"`,
			},
		},
		"an alert that there is not": {
			settings{"kansoku:monitoring": `{"rules": {"disabled": ["NodeDwon"], "alerts": [{"name": "NodeDiskFull", "window": "1h", "threshold": 0}]}}`},
			[]string{
				`kansoku:monitoring.rules.disabled[0]: must be the name of an alert; near to it are NodeDown, `,
				`kansoku:monitoring.rules.alerts[0].window: must not be set: NodeDiskFull looks back over none, got "1h"`,
				`kansoku:monitoring.rules.alerts[0].threshold: must be above 0`,
			},
		},
		"a number that lost its zero": {
			settings{"kansoku:cluster": `{"version": 1.3}`},
			[]string{`kansoku:cluster.version: must be a string: quote it, got 1.3`},
		},
		"a list of the wrong things": {
			settings{"kansoku:cluster": `{"logTypes": "audit"}`},
			[]string{`kansoku:cluster.logTypes: must be a list, got "audit"`},
		},
		"no region":   {settings{"aws:region": ""}, []string{`aws:region: must name the region, such as "ap-northeast-1", unless kansoku:kubeconfig or kansoku:cluster.existing.context is set, got ""`}},
		"bad region":  {settings{"aws:region": "Tokyo"}, []string{`aws:region: must be the name of a region, such as "ap-northeast-1", got "Tokyo"`}},
		"nobody pays": {settings{"kansoku:tags": "{}"}, []string{`kansoku:tags.CostCenter: must say who pays, got ""`}},
		"reserved tag": {
			settings{"kansoku:tags": `{"CostCenter": "x", "Stack": "other"}`},
			[]string{`kansoku:tags.Stack: must not be set: AWS or the program sets it, got "other"`},
		},
		"a bad name": {
			settings{"kansoku:name": "My_Stack"},
			[]string{`kansoku:name: must be 3 to 28 lower-case letters, digits and dashes, beginning with a letter, got "My_Stack"`},
		},
		"zones of another region": {
			settings{"aws:region": "eu-west-1"},
			[]string{`kansoku:network.zones[0]: must be a zone of eu-west-1, got "ap-northeast-1a"`},
		},
		"a new cluster without network and nodes": {
			settings{"kansoku:network": "", "kansoku:nodes": ""},
			[]string{
				`kansoku:network: must be set: a new cluster needs a VPC, created or existing, got null`,
				`kansoku:nodes: must be set: a new cluster needs nodes, got null`,
			},
		},
		"a kubeconfig beside a cluster of our own": {
			settings{"kansoku:kubeconfig": "apiVersion: v1"},
			[]string{
				`kansoku:nodes: must not be set: nodes join a cluster that AWS knows, not one known by its kubeconfig`,
				`kansoku:network: must not be set: a cluster known by its kubeconfig has a network`,
			},
		},
		"no AWS and no other store": {
			settings{
				"aws:region": "", "kansoku:kubeconfig": "apiVersion: v1", "kansoku:network": "", "kansoku:cluster": "", "kansoku:nodes": "",
			},
			[]string{`kansoku:blocks.existing: must be an existing bucket with an endpoint where aws:region is not set, got null`},
		},
		"a context beside a cluster of our own": {
			settings{"kansoku:cluster": `{"existing": {"context": "kind", "name": "theirs"}}`},
			[]string{
				`kansoku:nodes: must not be set: nodes join a cluster that AWS knows, not one known by its kubeconfig`,
				`kansoku:cluster.existing.name: must not be set beside existing.context, got "theirs"`,
			},
		},
		"an index in DynamoDB without AWS": {
			settings{
				"aws:region": "", "kansoku:cluster": `{"existing": {"context": "kind"}}`, "kansoku:network": "", "kansoku:nodes": "",
				"kansoku:index": `{"existing": {"name": "theirs"}}`,
			},
			[]string{
				`kansoku:index.existing: must have an endpoint where aws:region is not set, got {`,
				`kansoku:monitoring.loki.schema[0].index: must be tsdb, or kansoku:index.existing have an endpoint, where aws:region is not set`,
			},
		},
		"nodes for an existing cluster in an unknown network": {
			settings{"kansoku:cluster": `{"existing": {"name": "theirs"}}`, "kansoku:network": ""},
			[]string{`kansoku:network.existing: must name the VPC and subnets of the existing cluster that kansoku:nodes join, got null`},
		},
		"one zone for spread replicas": {
			settings{
				"kansoku:network":    `{"existing": {"vpcId": "vpc-0123456789abcdef0", "privateSubnets": {"ap-northeast-1a": "subnet-0123456789abcdef0"}}}`,
				"kansoku:monitoring": `{"prometheus": {"requireZones": true}}`,
			},
			[]string{`kansoku:monitoring.prometheus.requireZones: must be false, or the network must have at least two zones (it has 1): replicas cannot spread, got true`},
		},
		"a bad CIDR":                      {settings{"kansoku:network": `{"cidr": "10.0.0.0/33", "zones": ["ap-northeast-1a", "ap-northeast-1c"]}`}, []string{`kansoku:network.cidr: `, `got "10.0.0.0/33"`}},
		"an existing VPC without subnets": {settings{"kansoku:network": `{"existing": {"vpcId": "vpc-0123456789abcdef0"}}`}, []string{`kansoku:network.existing.privateSubnets: `}},
		"three spot types": {
			settings{"kansoku:nodes": `{"spot": {"instanceTypes": ["m6i.large", "m6a.large", "m5.large"], "maxSize": 2}, "onDemand": {"instanceTypes": ["t3.medium"], "maxSize": 1, "minSize": 1, "desiredSize": 1}}`},
			[]string{`kansoku:nodes.spot.instanceTypes: `, `got ["m6i.large","m6a.large","m5.large"]`},
		},
		"a pod larger than a node": {
			settings{"kansoku:monitoring": `{"prometheus": {"resources": {"cpu": "3", "memory": "1Gi"}}}`},
			[]string{`kansoku:nodes.spot.instanceTypes: must be larger: a pod of prometheus asks for 3030m CPU and 1202 MiB, and the smallest type has 1670m CPU and 6940 MiB left, got ["m7i.large"`},
		},
		"more than two zones can carry": {
			settings{"kansoku:monitoring": `{"size": "medium", "prometheus": {"replicas": 8, "resources": {"cpu": "1", "memory": "6Gi"}}}`},
			[]string{`kansoku:nodes.spot.maxSize: must be larger: all pods ask for `, `and 6 nodes, which are the most with one zone lost, have 10020m CPU and 41640 MiB, got 3`},
		},
		"a bucket that forgets before Thanos does": {
			settings{"kansoku:blocks": `{"expireDays": 30}`},
			[]string{`kansoku:blocks.expireDays: must be 0, or longer than every retention in kansoku:monitoring.thanos.compact: half a block cannot be read, got 30`},
		},
		"queries into what is gone": {
			settings{"kansoku:monitoring": `{"loki": {"maxQueryLookback": "60d", "schema": [{"from": "2026-01-01", "index": "dynamodb"}]}}`},
			[]string{`kansoku:monitoring.loki.maxQueryLookback: must not reach further back than kansoku:chunks.expireDays, 30: chunks are gone by then, got "60d"`},
		},
		"a Loki that cannot use the index": {
			settings{"kansoku:monitoring": `{"loki": {"version": "3.7.8", "schema": [{"from": "2026-01-01", "index": "dynamodb"}]}}`},
			[]string{`kansoku:monitoring.loki.version: `, `got "3.7.8"`},
		},
		"a retention that the sidecar cannot keep up with": {
			settings{"kansoku:monitoring": `{"prometheus": {"retention": "2h"}}`},
			[]string{`kansoku:monitoring.prometheus.retention: `, `got "2h"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := dev.with(tc.change).load()
			require.Error(t, err)
			for _, want := range tc.want {
				assert.Contains(t, err.Error(), want)
			}
		})
	}
}

func TestViolationsOfDifferentSectionsComeTogether(t *testing.T) {
	t.Parallel()
	_, err := shipped(t, "dev").with(settings{
		"kansoku:name": "X", "aws:region": "nowhere", "kansoku:tags": "{}", "kansoku:chunks": `{"expireDays": -1}`,
	}).load()
	require.Error(t, err)
	for _, key := range []string{"kansoku:name: ", "aws:region: ", "kansoku:tags.CostCenter: ", "kansoku:chunks.expireDays: "} {
		assert.Contains(t, err.Error(), key)
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	_, err := shipped(t, "dev").with(settings{"kansoku:kubeconfig": "s3cr3t", "kansoku:name": "X"}).load()
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "s3cr3t")
}

func TestReceiversMeetTheirSecrets(t *testing.T) {
	t.Parallel()
	with := func(alerts string, secrets settings) settings {
		all := shipped(t, "dev").with(secrets)
		var monitoring map[string]any
		require.NoError(t, json.Unmarshal([]byte(all["kansoku:monitoring"]), &monitoring))
		var parsed any
		require.NoError(t, yaml.Unmarshal([]byte(alerts), &parsed))
		monitoring["alertmanager"] = parsed
		raw, err := json.Marshal(monitoring)
		require.NoError(t, err)
		return all.with(settings{"kansoku:monitoring": string(raw)})
	}
	const two = `{receivers: [{name: default, slack: {}, webhook: true}, {name: team, pagerDuty: {}}], routes: [{receiver: team, namespaces: [shop]}]}`
	cfg, err := with(two, settings{
		"kansoku:slackUrl": "https://s.example", "kansoku:webhookUrl-default": "https://w.example", "kansoku:pagerDutyKey-team": "k",
	}).load()
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"slackUrl": "https://s.example", "webhookUrl-default": "https://w.example", "pagerDutyKey-team": "k"}, cfg.alertSecrets())
	assert.NotNil(t, cfg.Monitoring.Alertmanager.Receivers[0].Slack, "an empty object is one")

	_, err = with(two, settings{"kansoku:slackUrl": "https://s.example", "kansoku:webhookUrl": "https://w.example", "kansoku:opsgenieKey-team": "s3cr3t"}).load()
	require.EqualError(t, err, `kansoku:monitoring.alertmanager.receivers[1].pagerDuty: must have the secret pagerDutyKey-team, or pagerDutyKey, got "team"
kansoku:monitoring.alertmanager.secrets: must be needed by a receiver: no way of telling asks for this one, got "opsgenieKey-team"`)

	_, err = with("{}", settings{"kansoku:smtpPassword-team": "s3cr3t"}).load()
	require.ErrorContains(t, err, "kansoku:smtpPassword-team: is not a key; known are ")
	require.NotContains(t, err.Error(), "s3cr3t")
}

// TestRoutingExamples: what docs/routing.md shows is accepted as a part of the dev stack.
func TestRoutingExamples(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "routing.md"))
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)```yaml\n(.+?)```").FindAllSubmatch(page, -1)
	require.Len(t, blocks, 3)
	for _, block := range blocks {
		var example struct {
			Config map[string]map[string]any `json:"config"`
		}
		require.NoError(t, yaml.UnmarshalStrict(block[1], &example))
		all := shipped(t, "dev")
		for key, value := range example.Config {
			if _, encrypted := value["secure"]; encrypted {
				all[key] = "decrypted"
				continue
			}
			merged := map[string]any{}
			require.NoError(t, json.Unmarshal([]byte(all[key]), &merged))
			maps.Copy(merged, value)
			raw, failed := json.Marshal(merged)
			require.NoError(t, failed)
			all[key] = string(raw)
		}
		_, err = all.load()
		require.NoError(t, err, "%s", block[1])
	}
}

func TestAnExistingClusterNeedsNoNetwork(t *testing.T) {
	t.Parallel()
	cfg, err := settings{
		"kansoku:kubeconfig": "apiVersion: v1",
		"kansoku:blocks":     `{"existing": {"name": "blocks", "region": "us-east-1", "endpoint": "minio.storage.svc:9000", "insecure": true, "credentialsSecret": "minio"}}`,
	}.load()
	require.NoError(t, err)
	assert.False(t, cfg.onAWS())
	assert.False(t, cfg.newCluster())
	assert.Equal(t, "minio.storage.svc:9000", cfg.Blocks.Existing.Endpoint)
}

func TestABucketMayForgetWhatThanosForgot(t *testing.T) {
	t.Parallel()
	dev := shipped(t, "dev")
	for days, want := range map[string]bool{"731": false, "732": false, "733": true, "4000": true} { // two years, and the delay of two days
		_, err := dev.with(settings{"kansoku:blocks": `{"expireDays": ` + days + `}`}).load()
		assert.Equal(t, want, err == nil, days)
	}
}

func TestEnvironmentKeys(t *testing.T) {
	t.Setenv("PULUMI_CONFIG", `{"kansoku:name": "x", "aws:region": "y"}`)
	keys, err := environmentKeys()
	require.NoError(t, err)
	assert.Equal(t, []string{"aws:region", "kansoku:name"}, keys)
	t.Setenv("PULUMI_CONFIG", `{`)
	_, err = environmentKeys()
	require.ErrorContains(t, err, "reading PULUMI_CONFIG")
}

// FuzzLoad: whatever stands under a key, loading answers with a configuration or an error.
func FuzzLoad(f *testing.F) {
	dev := shipped(f, "dev")
	for key, value := range dev {
		f.Add(key, value)
	}
	for _, value := range []string{"", "null", "{}", "[]", "[null]", "1e99", `"x"`, `{"existing": null}`, `{"existing": {}}`, `{"spot": {"instanceTypes": [""]}}`} {
		for _, key := range []string{"network", "cluster", "nodes", "blocks", "chunks", "index", "monitoring", "tags", "protect", "name"} {
			f.Add("kansoku:"+key, value)
		}
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		changed := dev.with(settings{key: value})
		cfg, err := changed.load()
		if (cfg == nil) == (err == nil) && err == nil {
			t.Fatalf("%s=%s: neither a configuration nor an error", key, value)
		}
		if err != nil && strings.TrimSpace(err.Error()) == "" {
			t.Fatalf("%s=%s: an error without words", key, value)
		}
	})
}

// TestWhatExistsIsConsistent: what is adopted is in a cluster that exists, and nothing else may be said about it.
func TestWhatExistsIsConsistent(t *testing.T) {
	t.Parallel()
	refused := func(s settings, wants ...string) {
		_, err := s.load()
		for _, want := range wants {
			require.ErrorContains(t, err, want)
		}
	}
	refused(shipped(t, "dev").with(settings{"kansoku:monitoring": `{"existing": {"operator": true}}`}),
		"kansoku:monitoring.existing: must not be set: a new cluster has nothing yet")
	on := shipped(t, "dev").with(settings{
		"kansoku:network": "", "kansoku:nodes": "", "kansoku:cluster": `{"existing": {"name": "theirs"}}`,
	})
	refused(on.with(settings{"kansoku:cluster": `{"existing": {"name": "theirs", "installAddons": ["vpc-cni", "coredns", "coredns"]}}`}),
		`kansoku:cluster.existing.installAddons[0]: must be one of coredns, aws-ebs-csi-driver, got "vpc-cni"`,
		`kansoku:cluster.existing.installAddons[2]: must be named once`,
		`kansoku:cluster.existing.installAddons: must not be set without kansoku:nodes`)
	refused(on.with(settings{"kansoku:monitoring": `{
			"size": "medium", "namespace": "ours", "storageClass": "slow",
			"operator": {"resources": {"cpu": "1", "memory": "1Gi"}}, "grafana": {"storageSize": "1Gi"},
			"existing": {"namespace": "default", "hostNamespace": "ours", "storageClass": "Fast", "operator": true, "grafana": {"namespace": "G"}}}`}),
		`kansoku:monitoring.existing.namespace: must not be one of Kubernetes' own, got "default"`,
		`kansoku:monitoring.namespace: must not be set beside existing.namespace, got "ours"`,
		`kansoku:monitoring.existing.hostNamespace: must not be the namespace of the others`,
		`kansoku:monitoring.existing.storageClass: must name a storage class, got "Fast"`,
		`kansoku:monitoring.storageClass: must not be set beside existing.storageClass, got "slow"`,
		`kansoku:monitoring.operator: must not be set beside existing.operator`,
		`kansoku:monitoring.grafana: must not be set beside existing.grafana`,
		`kansoku:monitoring.existing.grafana.namespace: must be the name of a namespace, got "G"`)
	cfg, err := on.with(settings{"kansoku:monitoring": `{"size": "large", "existing": {"namespace": "theirs", "storageClass": "fast",
		"operator": true, "grafana": {"namespace": "dashboards"}}}`}).load()
	require.NoError(t, err)
	assert.Equal(t, "theirs", cfg.Monitoring.Namespace)
	assert.Equal(t, "theirs-host", cfg.Monitoring.HostNamespace())
	assert.Equal(t, "fast", cfg.Monitoring.Prometheus.StorageClass)
	assert.Equal(t, cfg.Monitoring, cfg.Monitoring.WithDefaults(), "twice")
	for _, request := range cfg.Monitoring.Requests() {
		assert.NotContains(t, []string{"grafana", "prometheus-operator"}, request.Key)
	}
}

// TestAdoptionExamples: what the pages on adoption, migration and operation show is accepted as a part of a stack on an existing cluster.
func TestAdoptionExamples(t *testing.T) {
	t.Parallel()
	for page, count := range map[string]int{
		"adoption.md": 11, "from-kube-prometheus-stack.md": 2, "from-loki-on-dynamodb.md": 2, "operations.md": 2,
	} {
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
		require.NoError(t, err)
		if strings.Contains(string(text), "thanos:\n      version:") {
			require.Contains(t, string(text), "version: "+versions.Thanos.Version, "the sidecar of the old pair")
		}
		blocks := regexp.MustCompile("(?s) *```yaml\n(.+?)```").FindAllSubmatch(text, -1)
		require.Len(t, blocks, count, page)
		for _, block := range blocks {
			var example map[string]any
			require.NoError(t, yaml.UnmarshalStrict(block[1], &example), "%s: %s", page, block[1])
			all := shipped(t, "dev").with(settings{
				"kansoku:network": "", "kansoku:nodes": "", "kansoku:cluster": `{"existing": {"name": "theirs"}}`,
			})
			for key, value := range example {
				raw, failed := json.Marshal(value)
				require.NoError(t, failed)
				all[key] = string(raw)
			}
			_, err = all.load()
			require.NoError(t, err, "%s: %s", page, block[1])
		}
	}
}
