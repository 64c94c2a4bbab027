package kubestatemetrics_test

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/exporters/kubestatemetrics"
	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/internal/mocks"
)

const (
	deployment  = "kubernetes:apps/v1:Deployment"
	clusterRole = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole"
)

func run(t *testing.T, args *kubestatemetrics.Args) *mocks.Recorder {
	t.Helper()
	args.Namespace = pulumi.String("monitoring")
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		_, err := kubestatemetrics.New(ctx, "ksm", args)
		return err
	})
	return r
}

func container(t *testing.T, r *mocks.Recorder) map[string]any {
	t.Helper()
	one, ok := r.Get(t, deployment, "ksm").Field("spec", "template", "spec", "containers", 0).(map[string]any)
	require.True(t, ok)
	return one
}

func TestChildren(t *testing.T) {
	t.Parallel()
	r := run(t, &kubestatemetrics.Args{})
	types := map[string]int{}
	for _, one := range r.All() {
		types[one.Type]++
		if one.Type == "pulumi:pulumi:Stack" || one.Type == "kansoku:exporters:KubeStateMetrics" {
			continue
		}
		assert.Equal(t, "urn:pulumi:test::kansoku::kansoku:exporters:KubeStateMetrics::ksm", one.Parent, one.Type)
		assert.Equal(t, "ksm", one.Name)
		assert.Equal(t, map[string]any{
			"app.kubernetes.io/name": "kube-state-metrics", "app.kubernetes.io/instance": "main", "app.kubernetes.io/component": "exporter",
			"app.kubernetes.io/part-of": "kansoku", "app.kubernetes.io/version": "v2.19.1",
		}, one.Field("metadata", "labels"), one.Type)
		name, namespace := "kube-state-metrics", any("monitoring")
		if strings.Contains(one.Type, ":ClusterRole") {
			name, namespace = "kube-state-metrics-monitoring", nil
		}
		assert.Equal(t, name, one.Field("metadata", "name"), one.Type)
		assert.Equal(t, namespace, one.Field("metadata", "namespace"), one.Type)
	}
	delete(types, "pulumi:pulumi:Stack")
	assert.Equal(t, map[string]int{
		"kansoku:exporters:KubeStateMetrics":                         1,
		"kubernetes:core/v1:ServiceAccount":                          1,
		clusterRole:                                                  1,
		"kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding": 1,
		deployment:                   1,
		"kubernetes:core/v1:Service": 1,
		"kubernetes:monitoring.coreos.com/v1:ServiceMonitor": 1,
	}, types)
}

func TestDeployment(t *testing.T) {
	t.Parallel()
	r := run(t, &kubestatemetrics.Args{PriorityClass: "kansoku"})
	d := r.Get(t, deployment, "ksm")
	assert.Equal(t, 1.0, d.Field("spec", "replicas"))
	assert.Equal(t, true, d.Field("spec", "template", "spec", "automountServiceAccountToken"))
	assert.Equal(t, "kansoku", d.Field("spec", "template", "spec", "priorityClassName"))
	assert.Equal(t, 65534.0, d.Field("spec", "template", "spec", "securityContext", "runAsUser"))
	assert.Equal(t, map[string]any{
		"name": "kube-state-metrics", "image": "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.19.1",
		"terminationMessagePolicy": "FallbackToLogsOnError",
		"args": []any{
			"--port=8080",
			"--telemetry-port=8081",
			"--resources=cronjobs,daemonsets,deployments,horizontalpodautoscalers,jobs,namespaces,nodes,persistentvolumeclaims," +
				"persistentvolumes,poddisruptionbudgets,pods,replicasets,resourcequotas,statefulsets",
			"--metric-labels-allowlist=nodes=[lifecycle,topology.kubernetes.io/zone,node.kubernetes.io/instance-type," +
				"eks.amazonaws.com/capacityType,eks.amazonaws.com/nodegroup]",
			"--metric-denylist=^kube_replicaset_(created|metadata_generation|spec_replicas|status_.+)$,^kube_pod_tolerations$",
			"--auto-gomemlimit",
		},
		"ports": []any{
			map[string]any{"name": "http-metrics", "containerPort": 8080.0}, map[string]any{"name": "telemetry", "containerPort": 8081.0},
		},
		"startupProbe": map[string]any{
			"httpGet": map[string]any{"path": "/healthz", "port": "http-metrics"}, "periodSeconds": 5.0, "failureThreshold": 12.0,
		},
		"livenessProbe": map[string]any{
			"httpGet": map[string]any{"path": "/livez", "port": "http-metrics"}, "periodSeconds": 10.0, "timeoutSeconds": 5.0,
			"failureThreshold": 6.0,
		},
		"readinessProbe": map[string]any{
			"httpGet": map[string]any{"path": "/readyz", "port": "telemetry"}, "periodSeconds": 10.0, "timeoutSeconds": 5.0,
		},
		"resources": map[string]any{
			"requests": map[string]any{"cpu": "10m", "memory": "190Mi"}, "limits": map[string]any{"memory": "250Mi"},
		},
		"securityContext": map[string]any{
			"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": map[string]any{"drop": []any{"ALL"}},
		},
	}, container(t, r))
	assert.Equal(t, map[string]any{
		"clusterIP": "None",
		"selector":  map[string]any{"app.kubernetes.io/name": "kube-state-metrics", "app.kubernetes.io/instance": "main"},
		"ports": []any{
			map[string]any{"name": "http-metrics", "port": 8080.0, "targetPort": "http-metrics"},
			map[string]any{"name": "telemetry", "port": 8081.0, "targetPort": "telemetry"},
		},
	}, r.Get(t, "kubernetes:core/v1:Service", "ksm").Field("spec"))
}

func TestMonitorKeepsTheObjectsLabels(t *testing.T) {
	t.Parallel()
	monitor := run(t, &kubestatemetrics.Args{}).Get(t, "kubernetes:monitoring.coreos.com/v1:ServiceMonitor", "ksm")
	assert.Equal(t, []any{
		map[string]any{
			"port": "http-metrics", "honorLabels": true,
			"relabelings": []any{map[string]any{"action": "labeldrop", "regex": "pod|container|service|endpoint|namespace"}},
		},
		map[string]any{"port": "telemetry"},
	}, monitor.Field("spec", "endpoints"))
}

func rule(group string, resources ...any) map[string]any {
	return map[string]any{"apiGroups": []any{group}, "resources": resources, "verbs": []any{"list", "watch"}}
}

func TestRightsFollowTheObjects(t *testing.T) {
	t.Parallel()
	r := run(t, &kubestatemetrics.Args{})
	assert.Equal(t, []any{
		rule("batch", "cronjobs", "jobs"),
		rule("apps", "daemonsets", "deployments", "replicasets", "statefulsets"),
		rule("autoscaling", "horizontalpodautoscalers"),
		rule("", "namespaces", "nodes", "persistentvolumeclaims", "persistentvolumes", "pods", "resourcequotas"),
		rule("policy", "poddisruptionbudgets"),
	}, r.Get(t, clusterRole, "ksm").Field("rules"))

	r = run(t, &kubestatemetrics.Args{Settings: kubestatemetrics.Settings{
		Objects: []string{"volumeattachments", "pods"}, NodeLabels: []string{"team"}, PodLabels: []string{"app", "app.kubernetes.io/name"},
	}})
	assert.Equal(t, []any{rule("", "pods"), rule("storage.k8s.io", "volumeattachments")}, r.Get(t, clusterRole, "ksm").Field("rules"))
	flags := container(t, r)["args"]
	assert.Contains(t, flags, "--resources=pods,volumeattachments")
	assert.Contains(t, flags, "--metric-labels-allowlist=nodes=[team],pods=[app,app.kubernetes.io/name]")
}

// Whatever is asked for: as many kinds in the flag as in the rights.
func TestEveryObjectHasARight(t *testing.T) {
	t.Parallel()
	all := strings.Split(known, ", ")
	r := run(t, &kubestatemetrics.Args{Settings: kubestatemetrics.Settings{Objects: all}})
	var granted []string
	rules, _ := r.Get(t, clusterRole, "ksm").Field("rules").([]any)
	groups := map[any]bool{}
	for _, one := range rules {
		group := one.(map[string]any)["apiGroups"].([]any)[0]
		assert.False(t, groups[group], "one rule for %s", group)
		groups[group] = true
		for _, resource := range one.(map[string]any)["resources"].([]any) {
			granted = append(granted, resource.(string))
		}
	}
	assert.ElementsMatch(t, all, granted)
	assert.Contains(t, container(t, r)["args"], "--resources="+strings.Join(all, ","))
}

const known = "certificatesigningrequests, clusterrolebindings, clusterroles, cronjobs, daemonsets, deployments, endpointslices, " +
	"horizontalpodautoscalers, ingressclasses, ingresses, jobs, leases, limitranges, mutatingwebhookconfigurations, namespaces, " +
	"networkpolicies, nodes, persistentvolumeclaims, persistentvolumes, poddisruptionbudgets, pods, replicasets, replicationcontrollers, " +
	"resourcequotas, rolebindings, roles, serviceaccounts, services, statefulsets, storageclasses, validatingwebhookconfigurations, " +
	"volumeattachments"

func TestSettings(t *testing.T) {
	t.Parallel()
	defaults := kubestatemetrics.Settings{}.WithDefaults()
	require.NoError(t, defaults.Validate())
	assert.Equal(t, defaults, defaults.WithDefaults())
	for _, test := range []struct {
		name     string
		settings kubestatemetrics.Settings
		want     string
	}{
		{"secrets", kubestatemetrics.Settings{Objects: []string{"pods", "secrets"}}, `objects[1]: must be one of ` + known + `, got "secrets"`},
		{"configmaps", kubestatemetrics.Settings{Objects: []string{"configmaps"}}, `objects[0]: must be one of ` + known + `, got "configmaps"`},
		{"twice", kubestatemetrics.Settings{Objects: []string{"pods", "pods"}}, `objects[1]: must not be named twice, got "pods"`},
		{
			"labels",
			kubestatemetrics.Settings{NodeLabels: []string{"*"}, PodLabels: []string{"app", "a,b"}},
			`nodeLabels[0]: must be the key of a Kubernetes label, such as "app.kubernetes.io/name", got "*"
podLabels[1]: must be the key of a Kubernetes label, such as "app.kubernetes.io/name", got "a,b"`,
		},
		{
			"resources",
			kubestatemetrics.Settings{Resources: kube.Resources{CPU: "x"}},
			`resources.cpu: must be a positive Kubernetes quantity such as "100m" or "256Mi", got "x"`,
		},
	} {
		require.EqualError(t, test.settings.WithDefaults().Validate(), test.want, test.name)
	}
}

func TestRefusesWhatIsNotWired(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{}
	err := r.RunErr(func(ctx *pulumi.Context) error {
		_, err := kubestatemetrics.New(ctx, "ksm", nil)
		return err
	})
	require.ErrorContains(t, err, "validating ksm: namespace: is required, got null")
	assert.Empty(t, r.OfType("kansoku:exporters:KubeStateMetrics"))
}
