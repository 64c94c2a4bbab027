package thanos_test

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

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/internal/mocks"
)

const (
	deployment     = "kubernetes:apps/v1:Deployment"
	statefulSet    = "kubernetes:apps/v1:StatefulSet"
	service        = "kubernetes:core/v1:Service"
	serviceAccount = "kubernetes:core/v1:ServiceAccount"
	secret         = "kubernetes:core/v1:Secret"
	configMap      = "kubernetes:core/v1:ConfigMap"
	budget         = "kubernetes:policy/v1:PodDisruptionBudget"
	monitor        = "kubernetes:monitoring.coreos.com/v1:ServiceMonitor"
	stack          = "pulumi:pulumi:Stack"
)

var (
	namespace = pulumi.String("monitoring")
	aws       = objectstore.Location{Bucket: pulumi.String("blocks"), Region: pulumi.String("ap-northeast-1")}
	minio     = objectstore.Location{
		Bucket: pulumi.String("blocks"), Region: pulumi.String("us-east-1"), Endpoint: "minio.storage.svc:9000", Insecure: true,
		CredentialsSecret: "minio",
	}
	role = pulumi.String("arn:aws:iam::1:role/thanos")
)

// record runs make and returns what it registered.
func record(t *testing.T, program func(ctx *pulumi.Context) error) *mocks.Recorder {
	t.Helper()
	r := &mocks.Recorder{}
	r.Run(t, program)
	return r
}

// resolve waits for an output.
func resolve(output pulumi.StringOutput) string {
	known := make(chan string, 1)
	output.ApplyT(func(value string) error {
		known <- value
		return nil
	})
	return <-known
}

// objects is the Kubernetes name of everything, by type.
func objects(r *mocks.Recorder) map[string][]string {
	found := map[string][]string{}
	for _, one := range r.All() {
		if name, ok := one.Field("metadata", "name").(string); ok {
			found[one.Type] = append(found[one.Type], name)
		}
	}
	return found
}

// pod is the pod spec of a workload.
func pod(r mocks.Resource) func(path ...any) any {
	return func(path ...any) any { return r.Field(append([]any{"spec", "template", "spec"}, path...)...) }
}

// flags of a workload's program.
func flags(t *testing.T, r mocks.Resource) []string {
	t.Helper()
	list, ok := pod(r)("containers", 0, "args").([]any)
	require.True(t, ok, "the program has flags")
	text := make([]string, len(list))
	for i, one := range list {
		text[i] = one.(string)
	}
	return text
}

// golden compares with a file in testdata; UPDATE_GOLDEN=1 writes it.
func golden(t *testing.T, file, content string) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), content, path)
}

// goldenFlags compares a workload's flags, one a line.
func goldenFlags(t *testing.T, file string, r mocks.Resource) {
	t.Helper()
	golden(t, file, strings.Join(flags(t, r), "\n")+"\n")
}

// common checks what every part's pods have.
func common(t *testing.T, r *mocks.Recorder, w mocks.Resource, object string) {
	t.Helper()
	at := pod(w)
	assert.Equal(t, object, w.Field("metadata", "name"))
	assert.Equal(t, "monitoring", w.Field("metadata", "namespace"))
	assert.Equal(t, map[string]any{"app.kubernetes.io/name": object, "app.kubernetes.io/instance": "main"},
		w.Field("spec", "selector", "matchLabels"))
	assert.Equal(t, object, at("serviceAccountName"))
	assert.Equal(t, false, at("automountServiceAccountToken"))
	assert.Equal(t, 90.0, at("terminationGracePeriodSeconds"), "longer than both servers' 40s, shorter than a spot node's 120s")
	assert.Equal(t, map[string]any{
		"runAsNonRoot": true, "runAsUser": 1001.0, "runAsGroup": 1001.0, "fsGroup": 1001.0, "fsGroupChangePolicy": "OnRootMismatch",
		"seccompProfile": map[string]any{"type": "RuntimeDefault"},
	}, at("securityContext"))
	assert.Len(t, at("containers"), 1)
	assert.Equal(t, "quay.io/thanos/thanos:v0.42.4", at("containers", 0, "image"))
	assert.Equal(t, true, at("containers", 0, "securityContext", "readOnlyRootFilesystem"))
	assert.Nil(t, at("containers", 0, "resources", "limits", "cpu"))
	assert.Equal(t, map[string]any{
		"httpGet": map[string]any{"path": "/-/healthy", "port": "http"}, "periodSeconds": 30.0, "timeoutSeconds": 5.0, "failureThreshold": 8.0,
	}, at("containers", 0, "livenessProbe"))
	assert.Equal(t, map[string]any{
		"httpGet": map[string]any{"path": "/-/ready", "port": "http"}, "periodSeconds": 5.0, "timeoutSeconds": 5.0, "failureThreshold": 20.0,
	}, at("containers", 0, "readinessProbe"))
	for _, flag := range []string{"--enable-auto-gomemlimit", "--http-address=0.0.0.0:10902", "--http-grace-period=40s"} {
		assert.Contains(t, flags(t, w), flag)
	}
	monitors := r.OfType(monitor)
	require.Len(t, monitors, 1)
	assert.Equal(t, []any{map[string]any{"port": "http"}}, monitors[0].Field("spec", "endpoints"))
	assert.Equal(t, w.Field("spec", "selector"), monitors[0].Field("spec", "selector"))
	for _, flag := range flags(t, w) {
		assert.NotRegexp(t, `^--[a-z0-9.-]+=(true|false)$`, flag, "switches have no value")
	}
}

// readsBlocks checks how a part gets to its bucket.
func readsBlocks(t *testing.T, r *mocks.Recorder, w mocks.Resource, object string) {
	t.Helper()
	s := r.Get(t, secret, "part-objectstore")
	assert.Equal(t, object+"-objectstore", s.Field("metadata", "name"))
	assert.Equal(t, map[string]any{"thanos.yaml": `config:
  aws_sdk_auth: true
  bucket: blocks
  endpoint: s3.ap-northeast-1.amazonaws.com
  region: ap-northeast-1
type: S3
`}, s.Field("stringData"))
	at := pod(w)
	assert.Contains(t, at("volumes"), map[string]any{"name": "objectstore", "secret": map[string]any{"secretName": object + "-objectstore"}})
	assert.Contains(t, at("containers", 0, "volumeMounts"),
		map[string]any{"name": "objectstore", "mountPath": "/etc/thanos/objectstore", "readOnly": true})
	assert.Contains(t, flags(t, w), "--objstore.config-file=/etc/thanos/objectstore/thanos.yaml")
	assert.Nil(t, at("containers", 0, "env"), "on AWS the role is used")
	sum := sha256.Sum256([]byte(s.Field("stringData", "thanos.yaml").(string)))
	assert.Equal(t, hex.EncodeToString(sum[:]), w.Field("spec", "template", "metadata", "annotations", "kansoku.dev/config-checksum"))
	assert.Equal(t, "arn:aws:iam::1:role/thanos",
		r.Get(t, serviceAccount, "part").Field("metadata", "annotations", "eks.amazonaws.com/role-arn"))
	assert.Regexp(t, `Secret::part-objectstore\n`, strings.Join(w.Depends, "\n")+"\n", "the Secret is there before the pods")
}

// credentials of a store that is not AWS'.
func credentials() []any {
	variable := func(key string) any {
		return map[string]any{"name": key, "valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": "minio", "key": key}}}
	}
	return []any{variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")}
}

func resources() kube.Resources { return kube.Resources{CPU: "1", Memory: "2Gi", MemoryLimit: "4Gi"} }

var wantResources = map[string]any{
	"requests": map[string]any{"cpu": "1", "memory": "2Gi"}, "limits": map[string]any{"memory": "4Gi"},
}

// refused checks that make registers nothing and says why.
func refused(t *testing.T, want string, program func(ctx *pulumi.Context) error) {
	t.Helper()
	r := &mocks.Recorder{}
	var reason error
	require.Error(t, r.RunErr(func(ctx *pulumi.Context) error {
		reason = program(ctx)
		return reason
	}))
	require.EqualError(t, reason, want)
	for _, one := range r.All() {
		assert.Equal(t, stack, one.Type, "nothing is registered")
	}
}
