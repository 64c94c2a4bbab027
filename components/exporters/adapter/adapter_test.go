package adapter_test

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

	"github.com/kansoku/kansoku/components/exporters/adapter"
	"github.com/kansoku/kansoku/internal/mocks"
)

const (
	deployment     = "kubernetes:apps/v1:Deployment"
	configMap      = "kubernetes:core/v1:ConfigMap"
	clusterRole    = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole"
	clusterBinding = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding"
	roleBinding    = "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding"
	apiService     = "kubernetes:apiregistration.k8s.io/v1:APIService"
	parentURN      = "urn:pulumi:test::kansoku::kansoku:exporters:Adapter::adapter"
)

func run(t *testing.T, settings adapter.Settings) *mocks.Recorder {
	t.Helper()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		_, err := adapter.New(ctx, "adapter", &adapter.Args{
			Settings: settings, Namespace: pulumi.String("monitoring"), PriorityClass: "kansoku",
			PrometheusURL: pulumi.String("http://prometheus-k8s.monitoring.svc:9090"),
		})
		return err
	})
	return r
}

// everything that can be served.
func everything() adapter.Settings {
	namespaced := func(label, group, name string) map[string]adapter.Resource {
		return map[string]adapter.Resource{"namespace": {Name: "namespaces"}, label: {Group: group, Name: name}}
	}
	return adapter.Settings{
		Replicas: 3, RequireZones: true, Window: "5m", ResourceMetrics: true,
		Rules: []adapter.Rule{
			{
				SeriesQuery: `queue_depth{namespace!="",deployment!=""}`, Resources: namespaced("deployment", "apps", "deployments"),
				MetricsQuery: "max by (<<.GroupBy>>) (<<.Series>>{<<.LabelMatchers>>})",
			},
			{
				SeriesQuery: `{__name__=~"^app_.+_total$",pod!=""}`, Resources: namespaced("pod", "", "pods"),
				Name:         adapter.Name{Matches: "^app_(.+)_total$"},
				MetricsQuery: "sum by (<<.GroupBy>>) (rate(<<.Series>>{<<.LabelMatchers>>}[1m]))",
			},
		},
		ExternalRules: []adapter.Rule{
			{
				SeriesQuery: `{__name__="sqs_messages"}`, ClusterWide: true, Name: adapter.Name{As: "backlog"},
				MetricsQuery: "sum(<<.Series>>{<<.LabelMatchers>>})",
			},
			{
				SeriesQuery: "orders_open", Resources: map[string]adapter.Resource{"namespace": {Name: "namespaces"}},
				MetricsQuery: "sum(<<.Series>>{<<.LabelMatchers>>})",
			},
		},
	}
}

func names(r *mocks.Recorder, token string) []any {
	found := []any{}
	for _, one := range r.OfType(token) {
		found = append(found, one.Field("metadata", "name"))
	}
	return found
}

func TestChildren(t *testing.T) {
	t.Parallel()
	r := run(t, adapter.Settings{})
	objects := map[string][]any{}
	for _, one := range r.All() {
		if one.Type == "pulumi:pulumi:Stack" || one.Type == "kansoku:exporters:Adapter" {
			continue
		}
		assert.Equal(t, parentURN, one.Parent, one.Type)
		objects[one.Type] = names(r, one.Type)
		labels, _ := one.Field("metadata", "labels").(map[string]any)
		assert.Equal(t, "prometheus-adapter", labels["app.kubernetes.io/name"], one.Type)
		assert.Equal(t, "main", labels["app.kubernetes.io/instance"], one.Type)
		assert.Equal(t, "metrics-adapter", labels["app.kubernetes.io/component"], one.Type)
		assert.Equal(t, "v0.12.0", labels["app.kubernetes.io/version"], one.Type)
	}
	for _, list := range objects {
		for i := range list {
			require.IsType(t, "", list[i])
		}
	}
	for token, want := range map[string][]any{
		deployment: {"prometheus-adapter"}, configMap: {"prometheus-adapter"},
		"kubernetes:core/v1:ServiceAccount": {"prometheus-adapter"}, "kubernetes:core/v1:Service": {"prometheus-adapter"},
		"kubernetes:policy/v1:PodDisruptionBudget":           {"prometheus-adapter"},
		"kubernetes:monitoring.coreos.com/v1:ServiceMonitor": {"prometheus-adapter"},
		clusterRole:    {"prometheus-adapter-monitoring", "prometheus-adapter-monitoring-reader"},
		clusterBinding: {"prometheus-adapter-monitoring", "prometheus-adapter-monitoring-auth-delegator"},
		roleBinding:    {"prometheus-adapter-monitoring-auth-reader"},
		apiService:     {"v1beta1.custom.metrics.k8s.io", "v1beta2.custom.metrics.k8s.io"},
	} {
		assert.ElementsMatch(t, want, objects[token], token)
		delete(objects, token)
	}
	assert.Empty(t, objects)
}

func TestDeployment(t *testing.T) {
	t.Parallel()
	r := run(t, adapter.Settings{})
	d := r.Get(t, deployment, "adapter")
	assert.Equal(t, 2.0, d.Field("spec", "replicas"))
	pod, _ := d.Field("spec", "template", "spec").(map[string]any)
	assert.Equal(t, true, pod["automountServiceAccountToken"])
	assert.Equal(t, "kansoku", pod["priorityClassName"])
	assert.Equal(t, 65534.0, d.Field("spec", "template", "spec", "securityContext", "runAsUser"))
	assert.Equal(t, []any{
		map[string]any{"name": "config", "configMap": map[string]any{"name": "prometheus-adapter"}},
		map[string]any{"name": "serving-cert", "emptyDir": map[string]any{}},
	}, pod["volumes"])
	probe := func(path string, period, failures float64) map[string]any {
		return map[string]any{
			"httpGet": map[string]any{"path": path, "port": "https", "scheme": "HTTPS"}, "periodSeconds": period, "failureThreshold": failures,
		}
	}
	assert.Equal(t, []any{map[string]any{
		"name": "prometheus-adapter", "image": "registry.k8s.io/prometheus-adapter/prometheus-adapter:v0.12.0",
		"terminationMessagePolicy": "FallbackToLogsOnError",
		"args": []any{
			"--secure-port=6443",
			"--cert-dir=/var/run/serving-cert",
			"--tls-min-version=VersionTLS13",
			"--config=/etc/adapter/config.yaml",
			"--prometheus-url=$(PROMETHEUS_URL)",
			"--metrics-relist-interval=1m",
			"--metrics-max-age=5m",
		},
		"env":   []any{map[string]any{"name": "PROMETHEUS_URL", "value": "http://prometheus-k8s.monitoring.svc:9090"}},
		"ports": []any{map[string]any{"name": "https", "containerPort": 6443.0}},
		"volumeMounts": []any{
			map[string]any{"name": "config", "mountPath": "/etc/adapter", "readOnly": true},
			map[string]any{"name": "serving-cert", "mountPath": "/var/run/serving-cert"},
		},
		"startupProbe": probe("/livez", 10, 18), "livenessProbe": probe("/livez", 5, 5), "readinessProbe": probe("/readyz", 5, 5),
		"resources": map[string]any{
			"requests": map[string]any{"cpu": "20m", "memory": "64Mi"}, "limits": map[string]any{"memory": "256Mi"},
		},
		"securityContext": map[string]any{
			"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": map[string]any{"drop": []any{"ALL"}},
		},
	}}, pod["containers"])
	assert.Equal(t, []any{map[string]any{"name": "https", "port": 443.0, "targetPort": "https"}},
		r.Get(t, "kubernetes:core/v1:Service", "adapter").Field("spec", "ports"))

	needed := strings.Join(d.Depends, "\n")
	for _, one := range []string{"ConfigMap::adapter", "RoleBinding::adapter-auth-reader", "ClusterRoleBinding::adapter-auth-delegator"} {
		assert.Contains(t, needed, one, "before the pods")
	}
}

func TestSettingsReachTheDeployment(t *testing.T) {
	t.Parallel()
	d := run(t, everything()).Get(t, deployment, "adapter")
	assert.Equal(t, 3.0, d.Field("spec", "replicas"))
	assert.Equal(t, "DoNotSchedule", d.Field("spec", "template", "spec", "topologySpreadConstraints", 0, "whenUnsatisfiable"))
}

func TestMonitorShowsItsToken(t *testing.T) {
	t.Parallel()
	monitor := run(t, adapter.Settings{}).Get(t, "kubernetes:monitoring.coreos.com/v1:ServiceMonitor", "adapter")
	assert.Equal(t, []any{map[string]any{
		"port": "https", "scheme": "HTTPS", "bearerTokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token",
		"tlsConfig": map[string]any{"insecureSkipVerify": true, "ca": map[string]any{}, "cert": map[string]any{}},
		"metricRelabelings": []any{map[string]any{
			"action": "drop", "sourceLabels": []any{"__name__"},
			"regex": "(apiserver_(audit|cel|client_certificate|envelope|flowcontrol|request_filter|request_slo|storage|webhooks)|" +
				"field_validation|workqueue)_.+",
		}},
	}}, monitor.Field("spec", "endpoints"))
}

func TestBindings(t *testing.T) {
	t.Parallel()
	r := run(t, adapter.Settings{})
	subjects := []any{map[string]any{"kind": "ServiceAccount", "name": "prometheus-adapter", "namespace": "monitoring"}}
	delegator := r.Get(t, clusterBinding, "adapter-auth-delegator")
	assert.Equal(t, subjects, delegator.Field("subjects"))
	assert.Equal(t, map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator"},
		delegator.Field("roleRef"))
	reader := r.Get(t, roleBinding, "adapter-auth-reader")
	assert.Equal(t, "kube-system", reader.Field("metadata", "namespace"))
	assert.Equal(t, subjects, reader.Field("subjects"))
	assert.Equal(t, map[string]any{
		"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "extension-apiserver-authentication-reader",
	}, reader.Field("roleRef"))
}

func rule(group string, verbs string, resources ...any) map[string]any {
	list := []any{}
	for verb := range strings.FieldsSeq(verbs) {
		list = append(list, verb)
	}
	return map[string]any{"apiGroups": []any{group}, "resources": resources, "verbs": list}
}

func TestRightsFollowTheRules(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name          string
		settings      adapter.Settings
		own, readers  []any
		registrations []any
	}{
		{
			"defaults",
			adapter.Settings{},
			[]any{rule("", "list", "namespaces", "pods")},
			[]any{rule("custom.metrics.k8s.io", "get", "*")},
			[]any{"v1beta1.custom.metrics.k8s.io", "v1beta2.custom.metrics.k8s.io"},
		},
		{
			"everything", everything(),
			[]any{rule("", "list", "namespaces", "pods"), rule("apps", "list", "deployments"), rule("", "list watch", "nodes", "pods")},
			[]any{
				rule("custom.metrics.k8s.io", "get", "*"), rule("external.metrics.k8s.io", "list", "*"),
				rule("metrics.k8s.io", "get list", "nodes", "pods"),
			},
			[]any{
				"v1beta1.custom.metrics.k8s.io", "v1beta2.custom.metrics.k8s.io", "v1beta1.external.metrics.k8s.io", "v1beta1.metrics.k8s.io",
			},
		},
		{
			"resources only",
			adapter.Settings{NoDefaultRules: true, ResourceMetrics: true},
			[]any{rule("", "list watch", "nodes", "pods")},
			[]any{rule("metrics.k8s.io", "get list", "nodes", "pods")},
			[]any{"v1beta1.metrics.k8s.io"},
		},
		{
			"external only",
			adapter.Settings{NoDefaultRules: true, ExternalRules: everything().ExternalRules},
			nil,
			[]any{rule("external.metrics.k8s.io", "list", "*")},
			[]any{"v1beta1.external.metrics.k8s.io"},
		},
	} {
		r := run(t, test.settings)
		assert.Equal(t, test.readers, r.Get(t, clusterRole, "adapter-reader").Field("rules"), test.name)
		assert.ElementsMatch(t, test.registrations, names(r, apiService), test.name)
		if test.own == nil {
			assert.Len(t, r.OfType(clusterRole), 1, "the reader's")
			assert.Equal(t, true, r.Get(t, deployment, "adapter").Field("spec", "template", "spec", "automountServiceAccountToken"))
			continue
		}
		assert.Equal(t, test.own, r.Get(t, clusterRole, "adapter").Field("rules"), test.name)
	}
	labels, _ := run(t, adapter.Settings{}).Get(t, clusterRole, "adapter-reader").Field("metadata", "labels").(map[string]any)
	for _, role := range []string{"view", "edit", "admin"} {
		assert.Equal(t, "true", labels["rbac.authorization.k8s.io/aggregate-to-"+role])
	}
}

func TestAPIServices(t *testing.T) {
	t.Parallel()
	r := run(t, everything())
	for object, want := range map[string]struct {
		group, version string
		priority       float64
	}{
		"v1beta1.custom.metrics.k8s.io":   {"custom.metrics.k8s.io", "v1beta1", 100},
		"v1beta2.custom.metrics.k8s.io":   {"custom.metrics.k8s.io", "v1beta2", 200},
		"v1beta1.external.metrics.k8s.io": {"external.metrics.k8s.io", "v1beta1", 100},
		"v1beta1.metrics.k8s.io":          {"metrics.k8s.io", "v1beta1", 100},
	} {
		one := r.Get(t, apiService, "adapter-"+object)
		assert.Equal(t, object, one.Field("metadata", "name"))
		assert.Nil(t, one.Field("metadata", "namespace"))
		assert.Equal(t, map[string]any{
			"group": want.group, "version": want.version, "groupPriorityMinimum": 100.0, "versionPriority": want.priority,
			"insecureSkipTLSVerify": true,
			"service":               map[string]any{"name": "prometheus-adapter", "namespace": "monitoring", "port": 443.0},
		}, one.Field("spec"))
		assert.Contains(t, one.Depends, parentURN[:len("urn:pulumi:test::kansoku::")]+
			"kansoku:exporters:Adapter$kubernetes:apps/v1:Deployment::adapter", "removed before the pods")
	}
}

func config(t *testing.T, r *mocks.Recorder) string {
	t.Helper()
	data, ok := r.Get(t, configMap, "adapter").Field("data", "config.yaml").(string)
	require.True(t, ok)
	return data
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	for file, settings := range map[string]adapter.Settings{
		"default.yaml":    {},
		"everything.yaml": everything(),
		"resources.yaml":  {NoDefaultRules: true, ResourceMetrics: true},
	} {
		r := run(t, settings)
		got, path := config(t, r), filepath.Join("testdata", file)
		if os.Getenv("UPDATE_GOLDEN") != "" {
			require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, string(want), got, file)
		sum := sha256.Sum256(want)
		assert.Equal(t, hex.EncodeToString(sum[:]),
			r.Get(t, deployment, "adapter").Field("spec", "template", "metadata", "annotations", "kansoku.dev/config-checksum"), file)
	}
}

// The node exporter's instance is the node's name; nothing depends on a recording rule.
func TestNodesAreFoundByInstance(t *testing.T) {
	t.Parallel()
	text := config(t, run(t, adapter.Settings{NoDefaultRules: true, ResourceMetrics: true, Window: "5m"}))
	assert.NotContains(t, text, "node_namespace_pod")
	assert.Equal(t, 2, strings.Count(text, "instance:\n          resource: nodes\n"))
	assert.Contains(t, text, "window: 5m\n")
	assert.Equal(t, 2, strings.Count(text, "[5m]"))
}

func TestNilArgs(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{}
	err := r.RunErr(func(ctx *pulumi.Context) error {
		_, err := adapter.New(ctx, "adapter", nil)
		return err
	})
	require.ErrorContains(t, err, "validating adapter: namespace: is required, got null\nprometheusUrl: is required, got null")
	assert.Empty(t, r.OfType("kansoku:exporters:Adapter"))
}
