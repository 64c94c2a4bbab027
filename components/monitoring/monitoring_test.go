package monitoring_test

import (
	"slices"
	"strings"
	"testing"

	kubernetes "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/monitoring"
	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/components/operator"
	"github.com/kansoku/kansoku/components/prometheus"
	"github.com/kansoku/kansoku/internal/mocks"
)

const (
	crdToken = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"
	root     = "urn:pulumi:test::kansoku::kansoku:monitoring:Monitoring"
)

func args() *monitoring.Args {
	return &monitoring.Args{
		Cluster: "dev", Blocks: objectstore.Location{Bucket: pulumi.String("blocks"), Region: pulumi.String("ap-northeast-1")},
	}
}

func deploy(t *testing.T, a *monitoring.Args) *mocks.Recorder {
	t.Helper()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		m, err := monitoring.New(ctx, "m", a)
		if err != nil {
			return err
		}
		namespace := a.WithDefaults().Namespace
		pulumi.All(m.Namespace, m.PrometheusURL, m.StoreEndpoint).ApplyT(func(known []any) error {
			require.Equal(t, []any{
				namespace, "http://prometheus-k8s." + namespace + ".svc:9090",
				"dnssrv+_grpc._tcp.prometheus-k8s-thanos-sidecar." + namespace + ".svc",
			}, known)
			return nil
		})
		return nil
	})
	return r
}

func TestParts(t *testing.T) {
	t.Parallel()
	r := deploy(t, args())
	counts := map[string]int{}
	for _, one := range r.All() {
		counts[one.Parent]++
	}
	require.Equal(t, map[string]int{
		"urn:pulumi:test::kansoku::pulumi:pulumi:Stack::kansoku-test": 1,
		root + "::m":                                            5,
		root + "$kansoku:operator:CRDs::m-crds":                 10,
		root + "$kansoku:operator:Operator::m-operator":         6,
		root + "$kansoku:prometheus:Prometheus::m-prometheus":   10,
		root + "$kansoku:prometheus:ClusterMonitors::m-cluster": 3,
	}, counts)
	for _, one := range r.All() {
		if namespace := one.Field("metadata", "namespace"); namespace != nil {
			require.Equal(t, "monitoring", namespace, "%s %s", one.Type, one.Name)
		}
	}
}

func TestNamespace(t *testing.T) {
	t.Parallel()
	a := args()
	a.Namespace = "observability"
	r := deploy(t, a)
	require.Equal(t, map[string]any{
		"name": "observability",
		"labels": map[string]any{
			"app.kubernetes.io/part-of":          "kansoku",
			"pod-security.kubernetes.io/enforce": "restricted",
			"pod-security.kubernetes.io/warn":    "restricted",
			"pod-security.kubernetes.io/audit":   "restricted",
		},
	}, r.Get(t, "kubernetes:core/v1:Namespace", "m").Field("metadata"))
	require.Equal(t, "observability", r.Get(t, "kubernetes:monitoring.coreos.com/v1:Prometheus", "m-prometheus").Field("metadata", "namespace"))
}

// Every dependency is on a resource, never on a component: that would be complete by chance only.
func TestOrder(t *testing.T) {
	t.Parallel()
	r := deploy(t, args())
	base := []string{root + "$kubernetes:core/v1:Namespace::m"}
	for _, crd := range r.OfType(crdToken) {
		base = append(base, root+"$kansoku:operator:CRDs$"+crdToken+"::"+crd.Name)
	}
	require.Len(t, base, 11)
	require.ElementsMatch(t, base, r.Get(t, "kansoku:operator:Operator", "m-operator").Depends)
	require.ElementsMatch(t, base, r.Get(t, "kansoku:prometheus:ClusterMonitors", "m-cluster").Depends)
	require.ElementsMatch(t,
		slices.Concat(base, []string{root + "$kansoku:operator:Operator$kubernetes:apps/v1:Deployment::m-operator"}),
		r.Get(t, "kansoku:prometheus:Prometheus", "m-prometheus").Depends)
	require.Empty(t, r.Get(t, "kansoku:operator:CRDs", "m-crds").Depends, "definitions need no namespace")
}

func TestExistingCRDs(t *testing.T) {
	t.Parallel()
	a := args()
	a.ExistingCRDs = true
	r := deploy(t, a)
	require.Empty(t, r.OfType(crdToken))
	require.Equal(t, []string{root + "$kubernetes:core/v1:Namespace::m"}, r.Get(t, "kansoku:operator:Operator", "m-operator").Depends)
}

func TestCRDProvider(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		usual, err := kubernetes.NewProvider(ctx, "usual", &kubernetes.ProviderArgs{})
		if err != nil {
			return err
		}
		adopting, err := kubernetes.NewProvider(ctx, "adopting", &kubernetes.ProviderArgs{})
		if err != nil {
			return err
		}
		a := args()
		a.CRDProvider = adopting
		_, err = monitoring.New(ctx, "m", a, pulumi.Providers(usual))
		return err
	})
	for _, one := range r.All() {
		if !one.Custom || !strings.HasPrefix(one.Type, "kubernetes:") {
			continue
		}
		want := "::usual::"
		if one.Type == crdToken {
			want = "::adopting::"
		}
		require.Contains(t, one.Provider, want, "%s %s", one.Type, one.Name)
	}
}

func TestRolesReachTheirServiceAccounts(t *testing.T) {
	t.Parallel()
	a := args()
	a.RoleARNs = map[string]pulumi.StringInput{}
	for _, w := range a.Workloads() {
		a.RoleARNs[w.Key] = pulumi.String("arn:" + w.Key)
	}
	r := deploy(t, a)
	for _, w := range a.Workloads() {
		found := 0
		for _, account := range r.OfType("kubernetes:core/v1:ServiceAccount") {
			if account.Field("metadata", "name") == w.ServiceAccount.Name && account.Field("metadata", "namespace") == w.ServiceAccount.Namespace {
				found++
				require.Equal(t, "arn:"+w.Key, account.Field("metadata", "annotations", "eks.amazonaws.com/role-arn"))
			}
		}
		require.Equal(t, 1, found, "the account that the role of %s trusts", w.Key)
	}
}

func TestWorkloads(t *testing.T) {
	t.Parallel()
	require.Equal(t, []monitoring.Workload{{
		Key:            "prometheus",
		ServiceAccount: kube.ServiceAccount{Namespace: "elsewhere", Name: "prometheus-k8s"},
		Blocks:         objectstore.Write,
	}}, monitoring.Settings{Namespace: "elsewhere"}.Workloads())
	require.Equal(t, "monitoring", monitoring.Settings{}.Workloads()[0].ServiceAccount.Namespace)
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	got := monitoring.Settings{}.WithDefaults()
	require.Equal(t, monitoring.Settings{
		Namespace: "monitoring", Operator: operator.Settings{}.WithDefaults(), Prometheus: prometheus.Settings{}.WithDefaults(),
	}, got)
	require.Equal(t, got, got.WithDefaults())
	require.NoError(t, got.Validate())
}

func TestRefused(t *testing.T) {
	t.Parallel()
	wrong := &monitoring.Args{
		Settings: monitoring.Settings{
			Namespace:  "Kube",
			Operator:   operator.Settings{Resources: kube.Resources{CPU: "x"}},
			Prometheus: prometheus.Settings{Replicas: -1, Retention: "1h"},
		},
		RoleARNs: map[string]pulumi.StringInput{"promtheus": pulumi.String("arn")},
	}
	system := args()
	system.Namespace = "kube-system"
	for name, test := range map[string]struct {
		args *monitoring.Args
		want string
	}{
		"nothing": {nil, `validating m: cluster: must not be empty, got ""
blocks.bucket: is required, got null
blocks.region: is required, got null`},
		"everything": {wrong, `validating m: namespace: must be at most 63 lower-case letters, digits and dashes, got "Kube"
operator.resources.cpu: must be a positive Kubernetes quantity such as "100m" or "256Mi", got "x"
prometheus.replicas: must be between 1 and 10, got -1
prometheus.retention: must be at least three times blockDuration (2h), so that the sidecar has time to upload, got "1h"
cluster: must not be empty, got ""
blocks.bucket: is required, got null
blocks.region: is required, got null
roleArns: must be keyed by workload (prometheus), got "promtheus"`},
		"Kubernetes' own": {system, `validating m: namespace: must not be one of Kubernetes' own, got "kube-system"`},
	} {
		r := &mocks.Recorder{}
		err := r.RunErr(func(ctx *pulumi.Context) error {
			_, err := monitoring.New(ctx, "m", test.args)
			return err
		})
		require.ErrorContains(t, err, test.want, name)
		require.Empty(t, r.All(), "nothing is made of wrong arguments")
	}
}
