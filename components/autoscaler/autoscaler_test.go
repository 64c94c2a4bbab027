package autoscaler_test

import (
	"os"
	"path/filepath"
	"testing"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/kansoku/kansoku/components/autoscaler"
	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/internal/mocks"
)

const (
	deployment  = "kubernetes:apps/v1:Deployment"
	configMap   = "kubernetes:core/v1:ConfigMap"
	service     = "kubernetes:core/v1:Service"
	account     = "kubernetes:core/v1:ServiceAccount"
	monitor     = "kubernetes:monitoring.coreos.com/v1:ServiceMonitor"
	role        = "kubernetes:rbac.authorization.k8s.io/v1:Role"
	binding     = "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding"
	clusterRole = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole"
	clusterBind = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding"

	urn = "urn:pulumi:test::kansoku::kansoku:autoscaler:Autoscaler"
)

func wired() *autoscaler.Args {
	return &autoscaler.Args{
		Namespace: pulumi.String("ns"), ClusterName: pulumi.String("prod"), Region: pulumi.String("ap-northeast-1"),
		RoleARN: pulumi.String("arn:aws:iam::1:role/autoscaler"),
	}
}

func deploy(t *testing.T, args *autoscaler.Args) *mocks.Recorder {
	t.Helper()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		as, err := autoscaler.New(ctx, "as", args)
		if err == nil {
			require.IsType(t, &appsv1.Deployment{}, as.Deployment)
		}
		return err
	})
	return r
}

func TestChildren(t *testing.T) {
	t.Parallel()
	r := deploy(t, wired())
	require.Equal(t, "kansoku:autoscaler:Autoscaler", r.All()[0].Type)
	got := map[string]string{}
	for _, one := range r.All()[1:] {
		require.Equal(t, urn+"::as", one.Parent, one.Type)
		require.Equal(t, "cluster-autoscaler", one.Field("metadata", "labels", "app.kubernetes.io/name"))
		got[one.Type+" "+one.Name] = one.Field("metadata", "name").(string)
	}
	require.Equal(t, map[string]string{
		deployment + " as": "cluster-autoscaler", service + " as": "cluster-autoscaler", monitor + " as": "cluster-autoscaler",
		account + " as": "cluster-autoscaler", role + " as": "cluster-autoscaler", binding + " as": "cluster-autoscaler",
		clusterRole + " as": "cluster-autoscaler-ns", clusterBind + " as": "cluster-autoscaler-ns",
		configMap + " as-priorities": "cluster-autoscaler-priority-expander",
	}, got)
	require.Equal(t, "arn:aws:iam::1:role/autoscaler",
		r.Get(t, account, "as").Field("metadata", "annotations", "eks.amazonaws.com/role-arn"))
	require.Equal(t, "cluster-autoscaler", autoscaler.ServiceAccountName)
	require.Contains(t, r.Get(t, deployment, "as").Depends, urn+"$"+configMap+"::as-priorities")
}

func TestPod(t *testing.T) {
	t.Parallel()
	r := deploy(t, wired())
	d := r.Get(t, deployment, "as")
	require.Equal(t, 1.0, d.Field("spec", "replicas"))
	require.Equal(t, map[string]any{
		"app.kubernetes.io/name": "cluster-autoscaler", "app.kubernetes.io/instance": "main",
		"app.kubernetes.io/component": "controller", "app.kubernetes.io/part-of": "kansoku", "app.kubernetes.io/version": "v1.36.0",
	}, d.Field("spec", "template", "metadata", "labels"))
	pod := d.Field("spec", "template", "spec").(map[string]any)
	container := pod["containers"].([]any)[0].(map[string]any)
	delete(pod, "containers")
	require.Equal(t, map[string]any{
		"serviceAccountName": "cluster-autoscaler", "automountServiceAccountToken": true,
		"nodeSelector":      map[string]any{"kubernetes.io/os": "linux", "lifecycle": "OnDemand"},
		"priorityClassName": "system-cluster-critical",
		"securityContext": map[string]any{
			"runAsNonRoot": true, "runAsUser": 65532.0, "runAsGroup": 65532.0, "fsGroup": 65532.0, "fsGroupChangePolicy": "OnRootMismatch",
			"seccompProfile": map[string]any{"type": "RuntimeDefault"},
		},
		"tolerations": []any{map[string]any{"key": "spotInstance", "operator": "Equal", "value": "true", "effect": "NoSchedule"}},
	}, pod)
	health := map[string]any{"httpGet": map[string]any{"path": "/health-check", "port": "http"}, "timeoutSeconds": 5.0}
	delete(container, "args")
	require.Equal(t, map[string]any{
		"name": "cluster-autoscaler", "image": "registry.k8s.io/autoscaling/cluster-autoscaler:v1.36.0",
		"command": []any{"/cluster-autoscaler"}, "terminationMessagePolicy": "FallbackToLogsOnError",
		"env": []any{
			map[string]any{"name": "AWS_REGION", "value": "ap-northeast-1"},
			map[string]any{"name": "CLUSTER_NAME", "value": "prod"},
			map[string]any{"name": "POD_NAMESPACE", "valueFrom": map[string]any{"fieldRef": map[string]any{"fieldPath": "metadata.namespace"}}},
		},
		"ports": []any{map[string]any{"name": "http", "containerPort": 8085.0}},
		"resources": map[string]any{
			"requests": map[string]any{"cpu": "100m", "memory": "256Mi"}, "limits": map[string]any{"memory": "600Mi"},
		},
		"livenessProbe": health, "readinessProbe": health,
		"securityContext": map[string]any{
			"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": map[string]any{"drop": []any{"ALL"}},
		},
	}, container)
	require.Equal(t, []any{map[string]any{"name": "http", "port": 8085.0, "targetPort": "http"}},
		r.Get(t, service, "as").Field("spec", "ports"))
	require.Equal(t, []any{map[string]any{"port": "http"}}, r.Get(t, monitor, "as").Field("spec", "endpoints"))
	require.Equal(t, 8085, autoscaler.HTTPPort)
	require.Equal(t, map[string]string{"app.kubernetes.io/name": "cluster-autoscaler", "app.kubernetes.io/instance": "main"},
		autoscaler.Labels().Selector())
}

func flags(t *testing.T, args *autoscaler.Args) []any {
	t.Helper()
	return deploy(t, args).Get(t, deployment, "as").Field("spec", "template", "spec", "containers", 0, "args").([]any)
}

func TestFlags(t *testing.T) {
	t.Parallel()
	require.Equal(t, []any{
		"--cloud-provider=aws",
		"--node-group-auto-discovery=asg:tag=k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/$(CLUSTER_NAME)",
		"--namespace=$(POD_NAMESPACE)",
		"--leader-elect=true",
		"--expander=priority,least-waste",
		"--balance-similar-node-groups",
		"--balancing-label=lifecycle",
		"--max-node-provision-time=5m",
		"--scale-down-unneeded-time=10m",
		"--scale-down-utilization-threshold=0.5",
		"--ignore-daemonsets-utilization",
		"--skip-nodes-with-local-storage=false",
		"--v=2",
	}, flags(t, wired()))
	args := wired()
	args.Settings = autoscaler.Settings{
		Expander: "least-waste", ScaleDownUtilizationThreshold: 0.65, ScaleDownUnneededTime: "1m", MaxNodeProvisionTime: "2m30s",
	}
	got := flags(t, args)
	for _, want := range []string{
		"--expander=least-waste", "--max-node-provision-time=2m30s", "--scale-down-unneeded-time=1m", "--scale-down-utilization-threshold=0.65",
	} {
		require.Contains(t, got, want)
	}
}

func TestPriorities(t *testing.T) {
	t.Parallel()
	args := wired()
	args.SpotGroups = `^eks-(a|b)\.spot: #1$`
	for file, change := range map[string]*autoscaler.Args{"priorities.yaml": wired(), "priorities-pattern.yaml": args} {
		got, ok := deploy(t, change).Get(t, configMap, "as-priorities").Field("data", "priorities").(string)
		require.True(t, ok)
		golden := filepath.Join("testdata", file)
		if os.Getenv("UPDATE_GOLDEN") != "" {
			require.NoError(t, os.WriteFile(golden, []byte(got), 0o600))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		require.Equal(t, string(want), got)
		// As the autoscaler reads it.
		var read map[int][]string
		require.NoError(t, yaml.Unmarshal([]byte(got), &read))
		require.Equal(t, map[int][]string{10: {".*"}, 50: {change.WithDefaults().SpotGroups}}, read)
	}
}

func rule(group string, verbs, resources []any, names ...any) any {
	one := map[string]any{"apiGroups": []any{group}, "resources": resources, "verbs": verbs}
	if len(names) > 0 {
		one["resourceNames"] = names
	}
	return one
}

func TestRights(t *testing.T) {
	t.Parallel()
	watch := []any{"list", "watch"}
	r := deploy(t, wired())
	require.Equal(t, []any{
		rule("", []any{"create", "patch"}, []any{"events"}),
		rule("", []any{"get", "list", "watch", "update"}, []any{"nodes"}),
		rule("", []any{"get", "list", "watch"}, []any{"pods"}),
		rule("", []any{"create"}, []any{"pods/eviction"}),
		rule("", watch, []any{"namespaces", "persistentvolumeclaims", "persistentvolumes", "replicationcontrollers", "services"}),
		rule("apps", watch, []any{"daemonsets", "replicasets", "statefulsets"}),
		rule("batch", watch, []any{"jobs"}),
		rule("policy", watch, []any{"poddisruptionbudgets"}),
		rule("resource.k8s.io", watch, []any{"deviceclasses", "resourceclaims", "resourceslices"}),
		rule("storage.k8s.io", watch, []any{"csidrivers", "csinodes", "csistoragecapacities", "storageclasses", "volumeattachments"}),
	}, r.Get(t, clusterRole, "as").Field("rules"))
	own := []any{
		rule("coordination.k8s.io", []any{"create"}, []any{"leases"}),
		rule("coordination.k8s.io", []any{"get", "update"}, []any{"leases"}, "cluster-autoscaler"),
		rule("", []any{"create"}, []any{"configmaps"}),
		rule("", []any{"get", "update", "delete"}, []any{"configmaps"}, "cluster-autoscaler-status"),
	}
	require.Equal(t, append(own[:4:4], rule("", watch, []any{"configmaps"})), r.Get(t, role, "as").Field("rules"))
	require.Equal(t, "ns", r.Get(t, role, "as").Field("metadata", "namespace"))

	args := wired()
	args.Expander = "random"
	r = deploy(t, args)
	require.Equal(t, own, r.Get(t, role, "as").Field("rules"))
	require.Empty(t, r.OfType(configMap), "only the priority expander has priorities")
}

func TestPriorityClass(t *testing.T) {
	t.Parallel()
	args := wired()
	args.PriorityClass = "high"
	require.Equal(t, "high", deploy(t, args).Get(t, deployment, "as").Field("spec", "template", "spec", "priorityClassName"))
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	got := autoscaler.Settings{}.WithDefaults()
	require.Equal(t, autoscaler.Settings{
		Expander: "priority", SpotGroups: "-spot-", ScaleDownUtilizationThreshold: 0.5, ScaleDownUnneededTime: "10m", MaxNodeProvisionTime: "5m",
		Resources: kube.Resources{CPU: "100m", Memory: "256Mi", MemoryLimit: "600Mi"},
	}, got)
	require.Equal(t, got, got.WithDefaults(), "twice is once")
	require.NoError(t, got.Validate())
	given := autoscaler.Settings{
		Expander: "most-pods", SpotGroups: "x", ScaleDownUtilizationThreshold: 0.9, ScaleDownUnneededTime: "1h", MaxNodeProvisionTime: "10m",
		Resources: kube.Resources{CPU: "1", Memory: "1Gi", MemoryLimit: "1Gi"},
	}
	require.Equal(t, given, given.WithDefaults(), "what is given stays")
	require.NoError(t, given.Validate())
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for want, settings := range map[string]autoscaler.Settings{
		`expander: must be one of priority, least-waste, most-pods, least-nodes, random, got "price"`: {Expander: "price"},
		`spotGroups: must be a regular expression, got "("`:                                           {SpotGroups: "("},
		"scaleDownUtilizationThreshold: must be above 0 and below 1, got -0.1":                        {ScaleDownUtilizationThreshold: -0.1},
		"scaleDownUtilizationThreshold: must be above 0 and below 1, got 1":                           {ScaleDownUtilizationThreshold: 1},
		`scaleDownUnneededTime: must be a duration between 1m0s and 24h0m0s, such as "10m", got "59s"
maxNodeProvisionTime: must be a duration between 2m0s and 1h0m0s, such as "10m", got "1d"`: {ScaleDownUnneededTime: "59s", MaxNodeProvisionTime: "1d"},
		`resources.memory: must be a positive Kubernetes quantity such as "100m" or "256Mi", got "-1"
resources.memoryLimit: must be a positive Kubernetes quantity such as "100m" or "256Mi", got "-1"`: {Resources: kube.Resources{Memory: "-1"}},
	} {
		require.EqualError(t, settings.WithDefaults().Validate(), want)
	}
	require.Error(t, autoscaler.Settings{}.Validate(), "and no panic")
}

func TestArgsRefused(t *testing.T) {
	t.Parallel()
	for want, args := range map[string]*autoscaler.Args{
		`validating as: namespace: is required, got null
clusterName: is required, got null
region: is required, got null
roleArn: is required, got null`: nil,
		`validating as: expander: must be one of priority, least-waste, most-pods, least-nodes, random, got "price"
namespace: is required, got null`: {Settings: autoscaler.Settings{Expander: "price"}},
	} {
		r := &mocks.Recorder{}
		err := r.RunErr(func(ctx *pulumi.Context) error {
			_, err := autoscaler.New(ctx, "as", args)
			return err
		})
		require.ErrorContains(t, err, want)
		require.Empty(t, r.All(), "nothing is made of wrong arguments")
	}
}
