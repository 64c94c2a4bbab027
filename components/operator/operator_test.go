package operator_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/operator"
	"github.com/kansoku/kansoku/internal/mocks"
)

const parentURN = "urn:pulumi:test::kansoku::kansoku:operator:Operator::op"

var selector = map[string]any{"app.kubernetes.io/name": "prometheus-operator", "app.kubernetes.io/instance": "main"}

func deploy(t *testing.T, settings operator.Settings) *mocks.Recorder {
	t.Helper()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		_, err := operator.New(ctx, "op", &operator.Args{Settings: settings, Namespace: pulumi.String("ns")})
		return err
	})
	return r
}

func TestChildren(t *testing.T) {
	t.Parallel()
	r := deploy(t, operator.Settings{})
	var types []string
	for _, one := range r.All()[1:] {
		types = append(types, one.Type)
		require.Equal(t, "op", one.Name)
		require.Equal(t, parentURN, one.Parent, one.Type)
		if one.Type != "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole" &&
			one.Type != "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding" {
			require.Equal(t, "prometheus-operator", one.Field("metadata", "name"), one.Type)
			require.Equal(t, "ns", one.Field("metadata", "namespace"), one.Type)
		}
		require.Equal(t, map[string]any{
			"app.kubernetes.io/name": "prometheus-operator", "app.kubernetes.io/instance": "main",
			"app.kubernetes.io/component": "controller", "app.kubernetes.io/part-of": "kansoku", "app.kubernetes.io/version": "v0.92.1",
		}, one.Field("metadata", "labels"), one.Type)
	}
	require.ElementsMatch(t, []string{
		"kubernetes:apps/v1:Deployment",
		"kubernetes:core/v1:Service",
		"kubernetes:core/v1:ServiceAccount",
		"kubernetes:monitoring.coreos.com/v1:ServiceMonitor",
		"kubernetes:rbac.authorization.k8s.io/v1:ClusterRole",
		"kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding",
	}, types)
	require.Equal(t, "kansoku:operator:Operator", r.All()[0].Type)
}

func TestDeployment(t *testing.T) {
	t.Parallel()
	r := deploy(t, operator.Settings{})
	d := r.Get(t, "kubernetes:apps/v1:Deployment", "op")
	require.ElementsMatch(t, []string{
		"urn:pulumi:test::kansoku::kansoku:operator:Operator$kubernetes:core/v1:ServiceAccount::op",
		"urn:pulumi:test::kansoku::kansoku:operator:Operator$kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding::op",
	}, d.Depends)
	require.Equal(t, 1.0, d.Field("spec", "replicas"))
	require.Equal(t, selector, d.Field("spec", "selector", "matchLabels"))
	require.Equal(t, d.Field("metadata", "labels"), d.Field("spec", "template", "metadata", "labels"))

	healthz := map[string]any{"path": "/healthz", "port": "http"}
	require.Equal(t, map[string]any{
		"serviceAccountName":           "prometheus-operator",
		"automountServiceAccountToken": true,
		"nodeSelector":                 map[string]any{"kubernetes.io/os": "linux"},
		"securityContext": map[string]any{
			"runAsNonRoot": true, "runAsUser": 65534.0, "runAsGroup": 65534.0, "fsGroup": 65534.0, "fsGroupChangePolicy": "OnRootMismatch",
			"seccompProfile": map[string]any{"type": "RuntimeDefault"},
		},
		"tolerations": []any{
			map[string]any{"key": "spotInstance", "operator": "Equal", "value": "true", "effect": "NoSchedule"},
		},
		"affinity": map[string]any{"nodeAffinity": map[string]any{
			"preferredDuringSchedulingIgnoredDuringExecution": []any{map[string]any{"weight": 100.0, "preference": map[string]any{
				"matchExpressions": []any{map[string]any{"key": "lifecycle", "operator": "In", "values": []any{"Ec2Spot"}}},
			}}},
		}},
		"containers": []any{map[string]any{
			"name":  "prometheus-operator",
			"image": "quay.io/prometheus-operator/prometheus-operator:v0.92.1",
			"args": []any{
				"--kubelet-service=kube-system/kubelet",
				"--kubelet-endpoints=false",
				"--kubelet-endpointslice=true",
				"--kubelet-http-metrics=false",
				"--prometheus-config-reloader=quay.io/prometheus-operator/prometheus-config-reloader:v0.92.1",
				"--watch-referenced-objects-in-all-namespaces=true",
				"--disable-unmanaged-prometheus-configuration=true",
				"--repair-policy-for-statefulsets=delete",
				"--auto-gomemlimit-ratio=0.9",
				"--config-reloader-cpu-request=10m",
				"--config-reloader-cpu-limit=0",
				"--config-reloader-memory-request=50Mi",
				"--config-reloader-memory-limit=50Mi",
			},
			"env":            []any{map[string]any{"name": "GOGC", "value": "30"}},
			"ports":          []any{map[string]any{"name": "http", "containerPort": 8080.0}},
			"livenessProbe":  map[string]any{"httpGet": healthz, "periodSeconds": 10.0, "failureThreshold": 6.0},
			"readinessProbe": map[string]any{"httpGet": healthz, "periodSeconds": 5.0},
			"resources": map[string]any{
				"requests": map[string]any{"cpu": "30m", "memory": "64Mi"}, "limits": map[string]any{"memory": "200Mi"},
			},
			"securityContext": map[string]any{
				"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": map[string]any{"drop": []any{"ALL"}},
			},
			"terminationMessagePolicy": "FallbackToLogsOnError",
		}},
	}, d.Field("spec", "template", "spec"))
}

func TestSettingsReachTheDeployment(t *testing.T) {
	t.Parallel()
	r := deploy(t, operator.Settings{
		Resources:         kube.Resources{CPU: "1", Memory: "1Gi", CPULimit: "2"},
		ReloaderResources: kube.Resources{CPU: "20m", Memory: "64Mi", MemoryLimit: "128Mi", CPULimit: "50m"},
	})
	container := r.Get(t, "kubernetes:apps/v1:Deployment", "op").Field("spec", "template", "spec", "containers", 0).(map[string]any)
	require.Equal(t, map[string]any{
		"requests": map[string]any{"cpu": "1", "memory": "1Gi"}, "limits": map[string]any{"cpu": "2", "memory": "1Gi"},
	}, container["resources"])
	require.Equal(t, []any{
		"--config-reloader-cpu-request=20m",
		"--config-reloader-cpu-limit=50m",
		"--config-reloader-memory-request=64Mi",
		"--config-reloader-memory-limit=128Mi",
	}, container["args"].([]any)[9:])
}

func rule(group string, resources []any, verbs ...any) any {
	return map[string]any{"apiGroups": []any{group}, "resources": resources, "verbs": verbs}
}

func TestRights(t *testing.T) {
	t.Parallel()
	r := deploy(t, operator.Settings{})
	role := r.Get(t, "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole", "op")
	require.Equal(t, "prometheus-operator-ns", role.Field("metadata", "name"))
	require.NotContains(t, role.Field("metadata"), "namespace")
	require.Equal(t, []any{
		rule("monitoring.coreos.com", []any{
			"alertmanagers", "alertmanagers/finalizers", "alertmanagers/status", "alertmanagerconfigs",
			"prometheuses", "prometheuses/finalizers", "prometheuses/status",
			"prometheusagents", "prometheusagents/finalizers", "prometheusagents/status",
			"thanosrulers", "thanosrulers/finalizers", "thanosrulers/status",
			"scrapeconfigs", "scrapeconfigs/status", "servicemonitors", "servicemonitors/status",
			"podmonitors", "podmonitors/status", "probes", "probes/status", "prometheusrules", "prometheusrules/status",
		}, "*"),
		rule("apps", []any{"statefulsets"}, "*"),
		rule("", []any{"configmaps", "secrets"}, "*"),
		rule("", []any{"pods"}, "list", "delete"),
		rule("", []any{"services", "services/finalizers"}, "get", "create", "update", "delete"),
		rule("", []any{"nodes"}, "list", "watch"),
		rule("", []any{"namespaces"}, "get", "list", "watch"),
		rule("events.k8s.io", []any{"events"}, "patch", "create"),
		rule("networking.k8s.io", []any{"ingresses"}, "get", "list", "watch"),
		rule("storage.k8s.io", []any{"storageclasses"}, "get"),
		rule("discovery.k8s.io", []any{"endpointslices"}, "get", "list", "create", "update", "delete"),
	}, role.Field("rules"))

	binding := r.Get(t, "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding", "op")
	require.Equal(t, "prometheus-operator-ns", binding.Field("metadata", "name"))
	require.Equal(t, map[string]any{
		"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "prometheus-operator-ns",
	}, binding.Field("roleRef"))
	require.Equal(t, []any{map[string]any{"kind": "ServiceAccount", "name": "prometheus-operator", "namespace": "ns"}},
		binding.Field("subjects"))
	require.Equal(t, false, r.Get(t, "kubernetes:core/v1:ServiceAccount", "op").Field("automountServiceAccountToken"))
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	r := deploy(t, operator.Settings{})
	service := r.Get(t, "kubernetes:core/v1:Service", "op")
	require.Equal(t, map[string]any{
		"clusterIP": "None", "selector": selector,
		"ports": []any{map[string]any{"name": "http", "port": 8080.0, "targetPort": "http"}},
	}, service.Field("spec"))
	monitor := r.Get(t, "kubernetes:monitoring.coreos.com/v1:ServiceMonitor", "op")
	require.Equal(t, map[string]any{
		"selector": map[string]any{"matchLabels": selector}, "namespaceSelector": map[string]any{},
		"endpoints": []any{map[string]any{"port": "http", "honorLabels": true}},
	}, monitor.Field("spec"))
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args *operator.Args
		want string
	}{
		"nothing": {nil, "validating op: namespace: is required, got null"},
		"everything wrong": {
			&operator.Args{Settings: operator.Settings{
				Resources: kube.Resources{CPU: "x"}, ReloaderResources: kube.Resources{Memory: "2Gi", MemoryLimit: "1Gi"},
			}},
			`validating op: resources.cpu: must be a positive Kubernetes quantity such as "100m" or "256Mi", got "x"
reloaderResources.memoryLimit: must not be below the memory requested, 2Gi, got "1Gi"
namespace: is required, got null`,
		},
	} {
		r := &mocks.Recorder{}
		err := r.RunErr(func(ctx *pulumi.Context) error {
			_, err := operator.New(ctx, "op", test.args)
			return err
		})
		require.ErrorContains(t, err, test.want, name)
		require.Empty(t, r.All(), "nothing is made of wrong settings")
	}
}

func TestDefaultsAreIdempotent(t *testing.T) {
	t.Parallel()
	once := operator.Settings{}.WithDefaults()
	require.Equal(t, once, once.WithDefaults())
	require.NoError(t, once.Validate())
}
