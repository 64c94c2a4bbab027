package kube_test

import (
	"math"
	"strings"
	"testing"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/internal/mocks"
)

var labels = kube.Labels{Name: "prometheus", Instance: "k8s", Component: "metrics", Version: "v3.16.0"}

func TestLabels(t *testing.T) {
	t.Parallel()
	require.Equal(t, map[string]string{
		"app.kubernetes.io/name":     "prometheus",
		"app.kubernetes.io/instance": "k8s",
	}, labels.Selector(), "a version in a selector would replace the workload with every release")
	require.Equal(t, map[string]string{
		"app.kubernetes.io/name":      "prometheus",
		"app.kubernetes.io/instance":  "k8s",
		"app.kubernetes.io/component": "metrics",
		"app.kubernetes.io/part-of":   "kansoku",
		"app.kubernetes.io/version":   "v3.16.0",
	}, labels.All())
	unversioned := labels
	unversioned.Version = ""
	require.NotContains(t, unversioned.All(), "app.kubernetes.io/version")
}

func TestMeta(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		extra := map[string]string{"a": "b", "app.kubernetes.io/component": "other"}
		if _, err := corev1.NewConfigMap(ctx, "in", &corev1.ConfigMapArgs{
			Metadata: labels.Meta("here", pulumi.String("ns"), extra),
		}); err != nil {
			return err
		}
		_, err := corev1.NewConfigMap(ctx, "out", &corev1.ConfigMapArgs{Metadata: labels.Meta("there", nil)})
		return err
	})
	in, out := r.Get(t, "kubernetes:core/v1:ConfigMap", "in"), r.Get(t, "kubernetes:core/v1:ConfigMap", "out")
	require.Equal(t, map[string]any{
		"name": "here", "namespace": "ns",
		"labels": map[string]any{
			"a":                           "b",
			"app.kubernetes.io/name":      "prometheus",
			"app.kubernetes.io/instance":  "k8s",
			"app.kubernetes.io/component": "other",
			"app.kubernetes.io/part-of":   "kansoku",
			"app.kubernetes.io/version":   "v3.16.0",
		},
	}, in.Field("metadata"))
	require.Equal(t, "there", out.Field("metadata", "name"))
	require.NotContains(t, out.Field("metadata"), "namespace")
	require.Equal(t, "metrics", out.Field("metadata", "labels", "app.kubernetes.io/component"))
}

func TestIsDNSLabel(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "0", "a-b", "monitoring", strings.Repeat("a", 63)} {
		require.True(t, kube.IsDNSLabel(good), good)
	}
	for _, bad := range []string{"", "-a", "a-", "A", "a.b", "a_b", "a b", "a\n", "é", strings.Repeat("a", 64)} {
		require.False(t, kube.IsDNSLabel(bad), bad)
	}
}

func TestServiceAccountSubject(t *testing.T) {
	t.Parallel()
	account := kube.ServiceAccount{Namespace: "monitoring", Name: "prometheus-k8s"}
	require.Equal(t, "system:serviceaccount:monitoring:prometheus-k8s", account.Subject())
}

func TestNewServiceAccount(t *testing.T) {
	t.Parallel()
	const token = "kubernetes:core/v1:ServiceAccount"
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		if _, err := kube.NewServiceAccount(ctx, "plain", "account", pulumi.String("ns"), nil, labels); err != nil {
			return err
		}
		_, err := kube.NewServiceAccount(ctx, "role", "account", pulumi.String("ns"), pulumi.String("arn:aws:iam::1:role/r"), labels)
		return err
	})
	plain, role := r.Get(t, token, "plain"), r.Get(t, token, "role")
	require.Equal(t, "account", plain.Field("metadata", "name"))
	require.Equal(t, "ns", plain.Field("metadata", "namespace"))
	require.Equal(t, "k8s", plain.Field("metadata", "labels", "app.kubernetes.io/instance"))
	require.Nil(t, plain.Field("metadata", "annotations"))
	require.Equal(t, false, plain.Field("automountServiceAccountToken"))
	require.Equal(t, map[string]any{
		"eks.amazonaws.com/role-arn":               "arn:aws:iam::1:role/r",
		"eks.amazonaws.com/sts-regional-endpoints": "true",
	}, role.Field("metadata", "annotations"))
	require.Equal(t, false, role.Field("automountServiceAccountToken"))
}

type inline struct {
	Shared string `json:"shared"`
}

type spec struct {
	inline `json:",inline"`
	Count  int32    `json:"count"`
	Empty  string   `json:"empty,omitempty"`
	List   []string `json:"list"`
}

func TestNewCustomResource(t *testing.T) {
	t.Parallel()
	const token = "kubernetes:example.com/v1:Thing"
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		value := spec{inline: inline{Shared: "s"}, Count: 2, List: []string{"a"}}
		args := kube.CustomResourceArgs{APIVersion: "example.com/v1", Kind: "Thing", Metadata: labels.Meta("thing", nil), Spec: value}
		if _, err := kube.NewCustomResource(ctx, "plain", &args); err != nil {
			return err
		}
		args.Spec = pulumi.String("x").ToStringOutput().ApplyT(func(s string) spec {
			value.Shared = s
			return value
		})
		_, err := kube.NewCustomResource(ctx, "output", &args)
		return err
	})
	plain := r.Get(t, token, "plain")
	require.Equal(t, "example.com/v1", plain.Field("apiVersion"))
	require.Equal(t, "Thing", plain.Field("kind"))
	require.Equal(t, "thing", plain.Field("metadata", "name"))
	require.Equal(t, map[string]any{"shared": "s", "count": 2.0, "list": []any{"a"}}, plain.Field("spec"))
	require.Equal(t, map[string]any{"shared": "x", "count": 2.0, "list": []any{"a"}}, r.Get(t, token, "output").Field("spec"))
}

func TestNewCustomResourceRefusesWhatIsNoJSON(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]any{
		"plain":  math.NaN(),
		"output": pulumi.Float64(math.NaN()).ToFloat64Output(),
	} {
		err := (&mocks.Recorder{}).RunErr(func(ctx *pulumi.Context) error {
			_, err := kube.NewCustomResource(ctx, "bad", &kube.CustomResourceArgs{APIVersion: "example.com/v1", Kind: "Thing", Spec: bad})
			return err
		})
		require.ErrorContains(t, err, "json: unsupported value: NaN", name)
	}
}
