package operator_test

import (
	"os"
	"slices"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/operator"
	"github.com/kansoku/kansoku/internal/mocks"
)

const crdToken = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"

func newCRDs(t *testing.T) *mocks.Recorder {
	t.Helper()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		crds, err := operator.NewCRDs(ctx, "crds")
		if err == nil {
			require.Len(t, crds.Definitions, 10)
		}
		return err
	})
	return r
}

func TestTenDefinitions(t *testing.T) {
	t.Parallel()
	r := newCRDs(t)
	require.Len(t, r.OfType(crdToken), 10)
	for _, want := range []struct{ kind, plural, short, version string }{
		{"Alertmanager", "alertmanagers", "am", "v1"},
		{"AlertmanagerConfig", "alertmanagerconfigs", "amcfg", "v1alpha1"},
		{"PodMonitor", "podmonitors", "pmon", "v1"},
		{"Probe", "probes", "prb", "v1"},
		{"Prometheus", "prometheuses", "prom", "v1"},
		{"PrometheusAgent", "prometheusagents", "promagent", "v1alpha1"},
		{"PrometheusRule", "prometheusrules", "promrule", "v1"},
		{"ScrapeConfig", "scrapeconfigs", "scfg", "v1alpha1"},
		{"ServiceMonitor", "servicemonitors", "smon", "v1"},
		{"ThanosRuler", "thanosrulers", "ruler", "v1"},
	} {
		name := want.plural + ".monitoring.coreos.com"
		crd := r.Get(t, crdToken, name)
		require.Equal(t, "urn:pulumi:test::kansoku::kansoku:operator:CRDs::crds", crd.Parent)
		require.True(t, crd.Retain, "deleting a definition deletes everyone's objects")
		require.Equal(t, "apiextensions.k8s.io/v1", crd.Field("apiVersion"))
		require.Equal(t, "CustomResourceDefinition", crd.Field("kind"))
		require.Equal(t, map[string]any{
			"name": name,
			"annotations": map[string]any{
				"controller-gen.kubebuilder.io/version": "v0.21.0",
				"operator.prometheus.io/version":        "0.92.0",
			},
		}, crd.Field("metadata"))
		require.Equal(t, "monitoring.coreos.com", crd.Field("spec", "group"))
		require.Equal(t, "Namespaced", crd.Field("spec", "scope"))
		require.Equal(t, want.kind, crd.Field("spec", "names", "kind"))
		require.Equal(t, want.plural, crd.Field("spec", "names", "plural"))
		require.Equal(t, []any{want.short}, crd.Field("spec", "names", "shortNames"))
		require.Len(t, crd.Field("spec", "versions"), 1)
		require.Equal(t, want.version, crd.Field("spec", "versions", 0, "name"))
		require.Equal(t, true, crd.Field("spec", "versions", 0, "served"))
		require.Equal(t, true, crd.Field("spec", "versions", 0, "storage"))
		require.Equal(t, "object", crd.Field("spec", "versions", 0, "schema", "openAPIV3Schema", "type"))
	}
}

func TestWhatTypedArgumentsWouldLose(t *testing.T) {
	t.Parallel()
	r := newCRDs(t)
	monitor := []any{"spec", "versions", 0, "schema", "openAPIV3Schema", "properties", "spec", "properties"}
	targetPort := slices.Concat(monitor, []any{"endpoints", "items", "properties", "targetPort", "x-kubernetes-int-or-string"})
	require.Equal(t, true, r.Get(t, crdToken, "servicemonitors.monitoring.coreos.com").Field(targetPort...))
	// A bare = is a special value in YAML 1.1, which Go's parsers read as the text that it is.
	match := slices.Concat(monitor, []any{
		"route", "properties", "matchers", "items", "properties", "matchType", "enum",
	})
	require.Equal(t, []any{"!=", "=", "=~", "!~"}, r.Get(t, crdToken, "alertmanagerconfigs.monitoring.coreos.com").Field(match...))
}

// The definitions, the types that the components compile against and the annotation are of one release.
func TestOneReleaseOfTheAPI(t *testing.T) {
	t.Parallel()
	require.Equal(t, "monitoring.coreos.com/v1", monitoringv1.SchemeGroupVersion.String())
	for _, file := range []string{"../../go.mod", "../../tools/controller-gen/go.mod"} {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Contains(t, string(data), "\tgithub.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring v0.92.0\n", file)
	}
}
