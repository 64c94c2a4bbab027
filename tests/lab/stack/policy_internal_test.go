package stack

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/internal/offline"
)

func rolePolicy(workload, text string) apitype.ResourceV3 {
	return apitype.ResourceV3{
		URN:    resource.URN("urn:pulumi:dev::kansoku::kansoku:infra:WorkloadRole$aws:iam/rolePolicy:RolePolicy::" + workload + "-policy"),
		Type:   "aws:iam/rolePolicy:RolePolicy",
		Parent: resource.URN("urn:pulumi:dev::kansoku::kansoku:infra:WorkloadRole::" + workload),
		Inputs: map[string]any{"policy": text},
	}
}

const (
	lists = `{"Sid":"Bucket","Effect":"Allow","Action":["s3:ListBucket"],"Resource":["arn:aws:s3:::b"]}`
	index = `{"Sid":"Index","Effect":"Allow","Action":["dynamodb:Query"],"Resource":["arn:aws:dynamodb:r:1:table/t"]}`
)

func document(statements string) string {
	return `{"Version":"2012-10-17","Statement":[` + statements + `]}`
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	other := rolePolicy("addons", document(lists))
	other.Parent = "urn:pulumi:dev::kansoku::kansoku:infra:Addons::addons"
	found, err := policies([]apitype.ResourceV3{
		{Type: "aws:iam/role:Role", Parent: other.Parent},
		other,
		rolePolicy("loki", document(lists+","+index)),
		rolePolicy("store", document(lists)),
		rolePolicy("cluster-autoscaler", document(index)), // reaches no bucket
	}, []string{"loki", "store"})
	require.NoError(t, err)
	want := policy{Version: "2012-10-17", Statement: []statement{{
		Sid: "Bucket", Effect: "Allow", Action: []string{"s3:ListBucket"}, Resource: []string{"arn:aws:s3:::b"},
	}}}
	assert.Equal(t, map[string]policy{"loki": want, "store": want}, found)
}

func TestPoliciesRefuse(t *testing.T) {
	t.Parallel()
	for message, resources := range map[string][]apitype.ResourceV3{
		"workload loki reaches a bucket and has no policy for it":                   {rolePolicy("loki", document(index))},
		"workload store has a policy for a bucket and is not known to reach one":    {rolePolicy("loki", document(lists)), rolePolicy("store", document(lists))},
		"workload loki: there are two":                                              {rolePolicy("loki", document(lists)), rolePolicy("loki", document(lists))},
		"workload loki: reading it":                                                 {rolePolicy("loki", "[secret]")},
		`unknown field "NotAction"`:                                                 {rolePolicy("loki", document(`{"NotAction":["s3:GetObject"]}`))},
		"workload loki: statement All mixes services: s3:GetObject, dynamodb:Query": {rolePolicy("loki", document(`{"Sid":"All","Action":["s3:GetObject","dynamodb:Query"]}`))},
	} {
		_, err := policies(resources, []string{"loki"})
		require.ErrorContains(t, err, message)
	}
}

func TestWorkloads(t *testing.T) {
	t.Parallel()
	assert.ElementsMatch(t, []string{"prometheus", "thanos-store", "thanos-compact", "thanos-bucket-web", "loki"}, workloads())
}

func TestSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.dev.yaml"), []byte(`config: {"a:b": {x: 1, from: "2026-01-01"}, "a:c": 1}`), 0o600))
	found, err := settings(dir, "dev", "a:b")
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"a:b": map[string]any{"x": float64(1), "from": "2026-01-01"}}, found)
	_, err = settings(dir, "dev", "a:b", "a:c")
	require.EqualError(t, err, "reading Pulumi.dev.yaml: a:c is no object")
}

func TestImages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	operator := pods("operator", "operator", "quay.io/prometheus-operator/prometheus-operator:v0.92.1")
	operator.Manifest["spec"].(map[string]any)["args"] = []any{
		"--prometheus-config-reloader=quay.io/prometheus-operator/prometheus-config-reloader:v0.92.1", "--kubelet-service=kube-system/kubelet",
	}
	prometheus := object("k8s", "Prometheus", "monitoring")
	prometheus.Manifest["spec"] = map[string]any{"image": "quay.io/prometheus/prometheus:v3", "thanos": map[string]any{"image": "quay.io/thanos/thanos:v0"}}
	again := pods("store", "store", "quay.io/thanos/thanos:v0")
	require.NoError(t, writeJSON(dir, ObjectsFile, []offline.Object{
		operator, prometheus, again, pods("dashboards", "grafana", "docker.io/grafana/grafana:1"),
	}))
	found, err := Images(dir)
	require.NoError(t, err)
	assert.Equal(t, []string{
		"quay.io/prometheus-operator/prometheus-config-reloader:v0.92.1", "quay.io/prometheus-operator/prometheus-operator:v0.92.1",
		"quay.io/prometheus/prometheus:v3", "quay.io/thanos/thanos:v0",
	}, found)
}
