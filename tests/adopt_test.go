package tests

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/internal/offline"
	"github.com/kansoku/kansoku/internal/offline/double"
)

// place puts objects of somebody else's into the cloud: what a company has before it has Kansoku.
func place(cloud *double.Cloud) {
	put := func(typ, id string, state map[string]any) {
		cloud.Put(typ, id, resource.NewPropertyMapFromMap(state))
	}
	put("aws:ec2/vpc:Vpc", "vpc-0123456789abcdef0", nil)
	for id, zone := range map[string]string{"subnet-0123456789abcdef0": "ap-northeast-1a", "subnet-0123456789abcdef1": "ap-northeast-1c"} {
		put("aws:ec2/subnet:Subnet", id, map[string]any{"vpcId": "vpc-0123456789abcdef0", "availabilityZone": zone})
	}
	put("aws:s3/bucketV2:BucketV2", "their-blocks", nil)
	put("aws:s3/bucketV2:BucketV2", "their-chunks", nil)
	put("aws:dynamodb/table:Table", "their-index", nil)
	for _, namespace := range []string{"observability", "node-agents", "dashboards"} {
		put("kubernetes:core/v1:Namespace", namespace, map[string]any{
			"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": namespace, "labels": map[string]any{"team": "platform"}},
		})
	}
	put("kubernetes:storage.k8s.io/v1:StorageClass", "fast", map[string]any{
		"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": map[string]any{"name": "fast"},
		"provisioner": "ebs.csi.aws.com", "volumeBindingMode": "WaitForFirstConsumer",
	})
	for plural, kind := range map[string]string{
		"alertmanagers": "Alertmanager", "prometheuses": "Prometheus", "prometheusrules": "PrometheusRule", "servicemonitors": "ServiceMonitor",
	} {
		put(crdType, plural+".monitoring.coreos.com", map[string]any{
			"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
			"metadata": map[string]any{
				"name": plural + ".monitoring.coreos.com", "annotations": map[string]any{"operator.prometheus.io/version": "0.92.1"},
			},
			"spec": map[string]any{"group": "monitoring.coreos.com", "scope": "Namespaced", "names": map[string]any{"kind": kind}},
		})
	}
}

// everythingExists is the configuration of a stack that makes nothing that place has put there.
func everythingExists() map[string]any {
	return map[string]any{
		"kansoku:network": map[string]any{"existing": map[string]any{
			"vpcId":          "vpc-0123456789abcdef0",
			"privateSubnets": map[string]any{"ap-northeast-1a": "subnet-0123456789abcdef0", "ap-northeast-1c": "subnet-0123456789abcdef1"},
		}},
		"kansoku:cluster": map[string]any{"existing": map[string]any{"name": "theirs"}},
		"kansoku:blocks":  map[string]any{"existing": map[string]any{"name": "their-blocks"}},
		"kansoku:chunks":  map[string]any{"existing": map[string]any{"name": "their-chunks"}},
		"kansoku:index":   map[string]any{"existing": map[string]any{"name": "their-index"}},
		"kansoku:monitoring": map[string]any{
			"existing": map[string]any{
				"namespace": "observability", "hostNamespace": "node-agents", "storageClass": "fast", "operator": true,
				"grafana": map[string]any{"namespace": "dashboards"},
			},
			// A pair of Prometheus that is to go, and the index of a Loki that has gone.
			"prometheus": map[string]any{"ignoreNamespaces": []any{"old"}},
			"thanos": map[string]any{"query": map[string]any{
				"extraEndpoints": []any{"dnssrv+_grpc._tcp.old-thanos-discovery.old.svc"},
			}},
			"loki": map[string]any{"schema": []any{
				map[string]any{
					"from": "2021-06-01", "index": "dynamodb", "version": "v11", "tables": map[string]any{"prefix": "old_index_", "period": "168h"},
				},
				map[string]any{"from": "2026-12-01", "index": "dynamodb"},
			}},
		},
	}
}

// states are the objects in the cloud by type and id.
func statesIn(cloud *double.Cloud) map[string]map[string]any {
	all := map[string]map[string]any{}
	for _, o := range cloud.Objects() {
		all[o.Type+" "+o.ID] = o.State.Mappable()
	}
	return all
}

// find is the one resource of a type and name in the cloud's namespace.
func find(t *testing.T, state *apitype.DeploymentV3, typ, id string) apitype.ResourceV3 {
	t.Helper()
	for _, r := range state.Resources {
		if string(r.Type) == typ && string(r.ID) == id {
			return r
		}
	}
	require.Failf(t, "not there", "%s %s", typ, id)
	return apitype.ResourceV3{}
}

// TestWhatExistsIsAdopted: VPC, subnets, cluster, buckets, table, namespaces, StorageClass, Prometheus Operator and Grafana. None of it is
// created, changed or deleted, by an up nor by a destroy; everything else is wired to it.
func TestWhatExistsIsAdopted(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, "dev", everythingExists())
	place(engine.Cloud())
	theirs := statesIn(engine.Cloud())
	state := up(t, engine)

	after := statesIn(engine.Cloud())
	for key, before := range theirs {
		assert.Equal(t, before, after[key], "changed: %s", key)
	}
	for _, event := range engine.Cloud().Events() {
		assert.NotContains(t, theirs, event.Type+" "+event.ID, event.Verb)
		assert.NotContains(t, []string{
			"aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet", "aws:eks/cluster:Cluster", "aws:eks/addon:Addon", "aws:s3/bucketV2:BucketV2",
			"aws:dynamodb/table:Table", "kubernetes:core/v1:Namespace", "kubernetes:storage.k8s.io/v1:StorageClass", crdType,
		}, event.Type, event.ID)
		assert.NotContains(t, event.ID, "prometheus-operator", event.Type)
		assert.NotEqual(t, "observability/default-deny", event.ID, "the pods of others are in that namespace")
		assert.NotEqual(t, "node-agents/default-deny", event.ID, "the pods of others are in that namespace")
	}
	wiredToWhatExists(t, state)
	outputs, err := engine.Outputs(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "theirs", outputs["clusterName"].Value)
	assert.Equal(t, "their-blocks", outputs["blocksBucket"].Value)
	assert.Empty(t, outputs["grafanaPassword"].Value)

	again, err := engine.Up(t.Context(), offline.UpOptions{})
	require.NoError(t, err)
	assert.Empty(t, lines(again.Changed()), "a second up")
	_, err = engine.Destroy(t.Context())
	require.NoError(t, err)
	assert.Equal(t, theirs, statesIn(engine.Cloud()), "a destroy leaves what was there, and nothing else")
}

// wiredToWhatExists looks at what was made beside it.
func wiredToWhatExists(t *testing.T, state *apitype.DeploymentV3) {
	t.Helper()
	inputs := func(typ, id string) map[string]any { return find(t, state, typ, id).Inputs }
	var namespaces []string
	claims := 0
	for _, r := range state.Resources {
		if strings.HasPrefix(string(r.Type), "kubernetes:") && text(r.Inputs, "metadata", "namespace") != "" {
			namespaces = append(namespaces, text(r.Inputs, "metadata", "namespace"))
		}
		for _, class := range storageClasses(r.Inputs) {
			claims++
			assert.Equal(t, "fast", class, r.URN)
		}
	}
	slices.Sort(namespaces)
	assert.Equal(t, []string{"dashboards", "kube-system", "node-agents", "observability"}, slices.Compact(namespaces))
	assert.Greater(t, claims, 3)

	// Grafana is shown data sources and dashboards, and let in.
	const configMap = "kubernetes:core/v1:ConfigMap"
	sources := text(inputs(configMap, "dashboards/kansoku-datasources"), "data", "kansoku-datasources.yaml")
	assert.Contains(t, sources, "url: http://thanos-query-frontend.observability.svc:10902")
	assert.Contains(t, sources, "url: http://loki.observability.svc:3100")
	board := text(inputs(configMap, "dashboards/kansoku-dashboard-overview"), "data", "kansoku-overview.json")
	assert.Contains(t, board, `"value":"kansoku-thanos"`)
	assert.NotContains(t, board, `"value":"thanos"`)
	const policy = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
	for _, called := range []string{"thanos-query-frontend", "loki", "alertmanager"} {
		assert.True(t, slices.ContainsFunc(rulesOf(inputs(policy, "observability/"+called), "ingress", "from"), func(peer any) bool {
			return text(peer, "namespaceSelector", "matchLabels", "kubernetes.io/metadata.name") == "dashboards" &&
				text(peer, "podSelector", "matchLabels", "app.kubernetes.io/name") == "grafana"
		}), "Grafana is not let in to %s", called)
	}

	// The old pair of Prometheus is asked, and its monitors and rules are left to it.
	endpoints := inputs(configMap, "observability/thanos-query-endpoints")
	assert.Contains(t, text(endpoints, "data", slices.Collect(maps.Keys(endpoints["data"].(map[string]any)))[0]),
		"dnssrv+_grpc._tcp.old-thanos-discovery.old.svc")
	assert.True(t, slices.ContainsFunc(rulesOf(inputs(policy, "observability/thanos-query"), "egress", ""), func(rule any) bool {
		anyone, _ := at(rule, "to", 0, "namespaceSelector").(map[string]any)
		return anyone != nil && len(anyone) == 0 && at(rule, "ports", 0, "port") == 10901.0
	}), "query may not call the old sidecars")
	prometheus := inputs("kubernetes:monitoring.coreos.com/v1:Prometheus", "observability/k8s")
	for _, kind := range []string{"serviceMonitor", "podMonitor", "probe", "scrapeConfig", "rule"} {
		assert.Equal(t, map[string]any{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": []any{"old"}},
			at(prometheus, "spec", kind+"NamespaceSelector", "matchExpressions", 0), kind)
	}

	// The old index is read where it was.
	config := text(inputs("kubernetes:core/v1:ConfigMap", "observability/loki"), "data", "config.yaml")
	assert.Contains(t, config, "prefix: old_index_\n")
	for _, r := range state.Resources {
		if r.Type == "aws:iam/rolePolicy:RolePolicy" && r.URN.Name() == "loki-policy" {
			assert.Contains(t, text(r.Inputs, "policy"), `"arn:aws:dynamodb:ap-northeast-1:123456789012:table/old_index_*"`)
			assert.Contains(t, text(r.Inputs, "policy"), `table/their-index"`)
		}
	}
}

// storageClasses finds the classes of all volume claims in a value.
func storageClasses(value any) []string {
	var found []string
	switch typed := value.(type) {
	case map[string]any:
		for key, inner := range typed {
			if name, ok := inner.(string); ok && key == "storageClassName" {
				found = append(found, name)
			} else {
				found = append(found, storageClasses(inner)...)
			}
		}
	case []any:
		for _, inner := range typed {
			found = append(found, storageClasses(inner)...)
		}
	}
	return found
}

// rulesOf are a policy's rules of one direction, or the peers in all of them.
func rulesOf(policy map[string]any, direction, peers string) []any {
	rules, _ := at(policy, "spec", direction).([]any)
	if peers == "" {
		return rules
	}
	var all []any
	for _, rule := range rules {
		some, _ := at(rule, peers).([]any)
		all = append(all, some...)
	}
	return all
}

// TestWhatExistsMustServe: an operator that is too old, and a namespace whose Pod Security would refuse what reads its host, stop an up
// before anything is made in the cluster.
func TestWhatExistsMustServe(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, "dev", everythingExists())
	place(engine.Cloud())
	engine.Cloud().Put(crdType, "prometheuses.monitoring.coreos.com", resource.NewPropertyMapFromMap(map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{
			"name": "prometheuses.monitoring.coreos.com", "annotations": map[string]any{"operator.prometheus.io/version": "0.74.0"},
		},
		"spec": map[string]any{"group": "monitoring.coreos.com", "scope": "Namespaced", "names": map[string]any{"kind": "Prometheus"}},
	}))
	engine.Cloud().Put("kubernetes:core/v1:Namespace", "node-agents", resource.NewPropertyMapFromMap(map[string]any{
		"apiVersion": "v1", "kind": "Namespace",
		"metadata": map[string]any{"name": "node-agents", "labels": map[string]any{"pod-security.kubernetes.io/enforce": "baseline"}},
	}))
	_, err := engine.Preview(t.Context())
	require.ErrorContains(t, err, `must be at least 0.82.0, got "0.74.0"`)
	assert.True(t, engine.Cloud().Remove("kubernetes:storage.k8s.io/v1:StorageClass", "fast"))
	_, err = engine.Preview(t.Context())
	require.ErrorContains(t, err, "fast")
}
