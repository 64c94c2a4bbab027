package tests

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kansoku/kansoku/examples"
	"github.com/kansoku/kansoku/internal/offline"
	"github.com/kansoku/kansoku/internal/offline/double"
)

// exampleEngine prepares an example as it stands in its directory, on a cloud of its own if there is none.
func exampleEngine(t *testing.T, name string, cloud *double.Cloud) *offline.Engine {
	t.Helper()
	needEngine(t)
	engine, err := offline.New(t.Context(), offline.Options{
		Project: filepath.Join(project, "examples", name), Stack: "dev", Tools: tools, Cloud: cloud,
		Program: func([]string) pulumi.RunFunc { return cutDown(examples.Programs[name]) },
	})
	require.NoError(t, err)
	t.Cleanup(engine.Close)
	return engine
}

// TestExamplesAreListed: each has a page of its own, a line in the index, and is previewed.
func TestExamplesAreListed(t *testing.T) {
	t.Parallel()
	index, err := os.ReadFile(filepath.Join(project, "examples", "README.md"))
	require.NoError(t, err)
	found, err := filepath.Glob(filepath.Join(project, "examples", "*", "Pulumi.yaml"))
	require.NoError(t, err)
	var names []string
	for _, file := range found {
		name := filepath.Base(filepath.Dir(file))
		assert.Contains(t, string(index), "| ["+name+"]("+name+") |")
		if _, err := os.Stat(filepath.Join(filepath.Dir(file), "main.go")); errors.Is(err, os.ErrNotExist) {
			continue // in another language: nothing here can run it
		}
		names = append(names, name)
		page, err := os.ReadFile(filepath.Join(filepath.Dir(file), "README.md"))
		require.NoError(t, err)
		assert.Contains(t, string(page), "$ make preview EXAMPLE="+name+"\n")
		assert.Contains(t, string(page), "$ cd examples/"+name+"\n")
	}
	assert.Equal(t, slices.Sorted(maps.Keys(examples.Programs)), names)
}

// TestExamplesPreview: what their pages promise. The other two are brought up below.
func TestExamplesPreview(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]map[string]int{
		"thanos-only": {
			"kansoku:thanos:Store": 1, "kansoku:thanos:Query": 1, "kansoku:thanos:QueryFrontend": 1, "kansoku:thanos:Compact": 1,
			"kansoku:thanos:BucketWeb": 1, "kubernetes:core/v1:ServiceAccount": 5, "kubernetes:core/v1:Service": 5,
			"kubernetes:monitoring.coreos.com/v1:ServiceMonitor": 5, "kubernetes:core/v1:Namespace": 0, crdType: 0,
		},
		"logs-only": {
			"kubernetes:core/v1:Namespace": 2, "kansoku:loki:Loki": 1, "kubernetes:apps/v1:StatefulSet": 1, "kansoku:promtail:Promtail": 1,
			"kubernetes:apps/v1:DaemonSet": 1, crdType: 0,
		},
		"infra-only": {
			"aws:ec2/vpc:Vpc": 1, "aws:ec2/subnet:Subnet": 4, "aws:ec2/natGateway:NatGateway": 1, "aws:eks/cluster:Cluster": 1,
			"aws:kms/key:Key": 1, "aws:iam/openIdConnectProvider:OpenIdConnectProvider": 1, "aws:eks/nodeGroup:NodeGroup": 3,
			"aws:eks/addon:Addon": 4, "kubernetes:storage.k8s.io/v1:StorageClass": 1, "aws:s3/bucketV2:BucketV2": 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			engine := exampleEngine(t, name, nil)
			result, err := engine.Preview(t.Context())
			require.NoError(t, err)
			types := result.Types()
			for typ, count := range want {
				assert.Equal(t, count, types[typ], typ)
			}
			assert.Len(t, result.Of("create"), result.Resources())
			assert.Empty(t, result.Warnings)
			assert.Empty(t, engine.Cloud().Unknown(), "types that the doubles do not know")
			assert.Empty(t, engine.Refused(), "something outside this machine was to be reached")
		})
	}
}

// of is an object in the cloud, as plain values.
func of(t *testing.T, cloud *double.Cloud, typ, id string) map[string]any {
	t.Helper()
	for _, o := range cloud.Objects() {
		if o.Type == typ && o.ID == id {
			return o.State.MapRepl(nil, func(v resource.PropertyValue) (any, bool) {
				if v.IsSecret() {
					return resource.PropertyMap{"v": v.SecretValue().Element}.Mappable()["v"], true
				}
				return nil, false
			})
		}
	}
	require.Failf(t, "not there", "%s %s", typ, id)
	return nil
}

// TestTeamOnARunningStack: what the example of a team adds is found by the monitoring that the other example runs.
func TestTeamOnARunningStack(t *testing.T) {
	t.Parallel()
	needEngine(t)
	cloud := double.New()
	t.Cleanup(cloud.Close)
	platform := exampleEngine(t, "monitoring-kubeconfig", cloud)
	up(t, platform)
	cloud.Put("kubernetes:core/v1:Namespace", "shop", resource.NewPropertyMapFromMap(map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "shop", "labels": map[string]any{"kubernetes.io/metadata.name": "shop"}},
	}))
	team := exampleEngine(t, "team", cloud)
	result, err := team.Up(t.Context(), offline.UpOptions{})
	require.NoError(t, err)
	assert.Equal(t, map[string]int{
		"pulumi:pulumi:Stack": 1, "pulumi:providers:kubernetes": 1, "kubernetes:monitoring.coreos.com/v1:ServiceMonitor": 1,
		"kubernetes:monitoring.coreos.com/v1:PrometheusRule": 1, "kubernetes:core/v1:ConfigMap": 1,
	}, result.Types())
	assert.Empty(t, append(platform.Refused(), team.Refused()...))
	assert.Empty(t, cloud.Unknown())
	for _, o := range cloud.Objects() {
		assert.NotEqual(t, double.AWS, o.Package, o.ID)
	}

	const custom = "kubernetes:monitoring.coreos.com/v1:"
	prometheus := of(t, cloud, custom+"Prometheus", "monitoring/k8s")
	assert.True(t, picks(t, prometheus, "serviceMonitorSelector", of(t, cloud, custom+"ServiceMonitor", "shop/checkout")))
	assert.True(t, picks(t, prometheus, "serviceMonitorNamespaceSelector", of(t, cloud, "kubernetes:core/v1:Namespace", "shop")))
	rule := of(t, cloud, custom+"PrometheusRule", "shop/checkout")
	assert.True(t, picks(t, prometheus, "ruleSelector", rule))
	assert.True(t, picks(t, prometheus, "ruleNamespaceSelector", of(t, cloud, "kubernetes:core/v1:Namespace", "shop")))
	assert.Equal(t, "page", at(rule, "spec", "groups", 0, "rules", 0, "labels", "severity"))

	// Grafana mounts the ConfigMap, looks into that directory, and has the data source.
	dashboards := of(t, cloud, "kubernetes:core/v1:ConfigMap", "monitoring/dashboards-shop")
	grafana := of(t, cloud, "kubernetes:apps/v1:Deployment", "monitoring/grafana")
	path := mountOf(grafana, at(dashboards, "metadata", "name"))
	provisioning := of(t, cloud, "kubernetes:core/v1:ConfigMap", "monitoring/grafana-provisioning")
	assert.NotEmpty(t, path)
	assert.Contains(t, at(provisioning, "data", "dashboards.yaml"), "path: "+path+"\n")
	var board map[string]any
	require.NoError(t, json.Unmarshal([]byte(at(dashboards, "data", "checkout.json").(string)), &board))
	assert.Equal(t, "Checkout", board["title"])
	assert.Contains(t, at(provisioning, "data", "datasources.yaml"), "uid: "+at(board, "panels", 0, "datasource", "uid").(string)+"\n")

	// The Secret that all pods wait for is the one that they name.
	secret := of(t, cloud, "kubernetes:core/v1:Secret", "monitoring/object-store")
	loki := of(t, cloud, "kubernetes:apps/v1:StatefulSet", "monitoring/loki")
	for _, one := range at(loki, "spec", "template", "spec", "containers", 0, "env").([]any) {
		if key := at(one, "valueFrom", "secretKeyRef", "key"); key != nil {
			assert.Equal(t, "object-store", at(one, "valueFrom", "secretKeyRef", "name"))
			assert.Contains(t, secret["data"], key)
		}
	}
}

// picks says whether a selector of the Prometheus object selects an object. No selector selects nothing.
func picks(t *testing.T, prometheus map[string]any, selector string, object map[string]any) bool {
	t.Helper()
	written, err := json.Marshal(at(prometheus, "spec", selector))
	require.NoError(t, err)
	var read *nativemetav1.LabelSelector
	require.NoError(t, json.Unmarshal(written, &read))
	matcher, err := nativemetav1.LabelSelectorAsSelector(read)
	require.NoError(t, err)
	own := labels.Set{}
	if given, ok := at(object, "metadata", "labels").(map[string]any); ok {
		for key, value := range given {
			own[key], _ = value.(string)
		}
	}
	return matcher.Matches(own)
}

// mountOf is where a pod has a ConfigMap; "" if it has not.
func mountOf(workload map[string]any, configMap any) string {
	pod := at(workload, "spec", "template", "spec")
	for _, volume := range at(pod, "volumes").([]any) {
		if at(volume, "configMap", "name") != configMap {
			continue
		}
		for _, mount := range at(pod, "containers", 0, "volumeMounts").([]any) {
			if at(mount, "name") == at(volume, "name") {
				return strings.TrimSuffix(at(mount, "mountPath").(string), "/")
			}
		}
	}
	return ""
}
