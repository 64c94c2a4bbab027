package workload_test

import (
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/components/workload"
	"github.com/kansoku/kansoku/internal/mocks"
)

func minimal() *workload.Args {
	return &workload.Args{
		Kind: workload.Deployment, Object: "web", Namespace: pulumi.String("apps"),
		Labels:   kube.Labels{Name: "web", Instance: "main", Component: "ui", Version: "v1"},
		Replicas: 1, UID: 1000, GID: 2000,
		Containers: []workload.Container{{
			Name: "web", Image: "example.org/web:v1", Ports: []workload.Port{{Name: "http", Number: 8080, Service: 80}},
			Resources: kube.Resources{CPU: "10m", Memory: "20Mi", MemoryLimit: "30Mi"},
		}},
	}
}

func run(t *testing.T, args *workload.Args) *mocks.Recorder {
	t.Helper()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error { return workload.New(ctx, "web", args) })
	return r
}

const (
	deployment  = "kubernetes:apps/v1:Deployment"
	statefulSet = "kubernetes:apps/v1:StatefulSet"
	daemonSet   = "kubernetes:apps/v1:DaemonSet"
	service     = "kubernetes:core/v1:Service"
	budget      = "kubernetes:policy/v1:PodDisruptionBudget"
)

func TestMinimal(t *testing.T) {
	t.Parallel()
	r := run(t, minimal())
	types := map[string]int{}
	for _, one := range r.All() {
		types[one.Type]++
	}
	delete(types, "pulumi:pulumi:Stack")
	assert.Equal(t, map[string]int{deployment: 1, service: 1, "kubernetes:core/v1:ServiceAccount": 1}, types)

	selector := map[string]any{"app.kubernetes.io/name": "web", "app.kubernetes.io/instance": "main"}
	d := r.Get(t, deployment, "web")
	assert.Equal(t, map[string]any{
		"name": "web", "namespace": "apps", "labels": map[string]any{
			"app.kubernetes.io/name": "web", "app.kubernetes.io/instance": "main", "app.kubernetes.io/component": "ui",
			"app.kubernetes.io/part-of": "kansoku", "app.kubernetes.io/version": "v1",
		},
	}, d.Field("metadata"))
	assert.Equal(t, selector, d.Field("spec", "selector", "matchLabels"))
	pod := d.Field("spec", "template", "spec").(map[string]any)
	assert.Equal(t, map[string]any{
		"serviceAccountName": "web", "automountServiceAccountToken": false,
		"nodeSelector": map[string]any{"kubernetes.io/os": "linux"},
		"securityContext": map[string]any{
			"runAsNonRoot": true, "runAsUser": 1000.0, "runAsGroup": 2000.0, "fsGroup": 2000.0, "fsGroupChangePolicy": "OnRootMismatch",
			"seccompProfile": map[string]any{"type": "RuntimeDefault"},
		},
		"tolerations": []any{map[string]any{"key": "spotInstance", "operator": "Equal", "value": "true", "effect": "NoSchedule"}},
		"affinity": map[string]any{"nodeAffinity": map[string]any{"preferredDuringSchedulingIgnoredDuringExecution": []any{map[string]any{
			"weight": 100.0, "preference": map[string]any{"matchExpressions": []any{
				map[string]any{"key": "lifecycle", "operator": "In", "values": []any{"Ec2Spot"}},
			}},
		}}}},
		"containers": []any{map[string]any{
			"name": "web", "image": "example.org/web:v1", "terminationMessagePolicy": "FallbackToLogsOnError",
			"ports": []any{map[string]any{"name": "http", "containerPort": 8080.0}},
			"resources": map[string]any{
				"requests": map[string]any{"cpu": "10m", "memory": "20Mi"}, "limits": map[string]any{"memory": "30Mi"},
			},
			"securityContext": map[string]any{
				"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": map[string]any{"drop": []any{"ALL"}},
			},
		}},
	}, pod)
	assert.Equal(t, map[string]any{
		"selector": selector, "ports": []any{map[string]any{"name": "http", "port": 80.0, "targetPort": "http"}},
	}, r.Get(t, service, "web").Field("spec"))
}

func TestReplicas(t *testing.T) {
	t.Parallel()
	args := minimal()
	args.Replicas, args.RequireZones, args.PriorityClass, args.GraceSeconds = 3, true, "high", 100
	args.Headless, args.NotReady = true, true
	args.Monitor = []monitoringv1.Endpoint{{Port: "http"}}
	args.Checksum = pulumi.String("abc")
	r := run(t, args)
	assert.Equal(t, 1.0, r.Get(t, budget, "web").Field("spec", "maxUnavailable"))
	d := r.Get(t, deployment, "web")
	assert.Equal(t, "DoNotSchedule", d.Field("spec", "template", "spec", "topologySpreadConstraints", 0, "whenUnsatisfiable"))
	assert.Equal(t, "ScheduleAnyway", d.Field("spec", "template", "spec", "topologySpreadConstraints", 1, "whenUnsatisfiable"))
	assert.Equal(t, "high", d.Field("spec", "template", "spec", "priorityClassName"))
	assert.Equal(t, 100.0, d.Field("spec", "template", "spec", "terminationGracePeriodSeconds"))
	assert.Equal(t, "abc", d.Field("spec", "template", "metadata", "annotations", "kansoku.dev/config-checksum"))
	assert.Equal(t, "None", r.Get(t, service, "web").Field("spec", "clusterIP"))
	assert.Equal(t, true, r.Get(t, service, "web").Field("spec", "publishNotReadyAddresses"))
	monitor := r.Get(t, "kubernetes:monitoring.coreos.com/v1:ServiceMonitor", "web")
	assert.Equal(t, "http", monitor.Field("spec", "endpoints", 0, "port"))
	assert.Equal(t, "web", monitor.Field("spec", "selector", "matchLabels", "app.kubernetes.io/name"))
}

func TestRightsMountTheToken(t *testing.T) {
	t.Parallel()
	args := minimal()
	args.RoleARN = pulumi.String("arn:aws:iam::1:role/web")
	args.ClusterRules = []kube.Rule{{Resources: []string{"pods"}, Verbs: []string{"list"}}, {URLs: []string{"/metrics"}, Verbs: []string{"get"}}}
	args.NamespaceRules = []kube.Rule{{Group: "apps", Resources: []string{"deployments"}, Names: []string{"web"}, Verbs: []string{"get"}}}
	r := run(t, args)
	assert.Equal(t, true, r.Get(t, deployment, "web").Field("spec", "template", "spec", "automountServiceAccountToken"))
	assert.Equal(t, []any{
		map[string]any{"apiGroups": []any{""}, "resources": []any{"pods"}, "verbs": []any{"list"}},
		map[string]any{"nonResourceURLs": []any{"/metrics"}, "verbs": []any{"get"}},
	}, r.Get(t, "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole", "web").Field("rules"))
	assert.Equal(t, "web-apps", r.Get(t, "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding", "web").Field("roleRef", "name"))
	assert.Equal(t, []any{map[string]any{
		"apiGroups": []any{"apps"}, "resources": []any{"deployments"}, "resourceNames": []any{"web"}, "verbs": []any{"get"},
	}}, r.Get(t, "kubernetes:rbac.authorization.k8s.io/v1:Role", "web").Field("rules"))
	assert.Equal(t, []any{map[string]any{"kind": "ServiceAccount", "name": "web", "namespace": "apps"}},
		r.Get(t, "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding", "web").Field("subjects"))
	assert.Equal(t, "arn:aws:iam::1:role/web",
		r.Get(t, "kubernetes:core/v1:ServiceAccount", "web").Field("metadata", "annotations", "eks.amazonaws.com/role-arn"))
}

func TestStatefulSet(t *testing.T) {
	t.Parallel()
	args := minimal()
	args.Kind, args.Parallel = workload.StatefulSet, true
	args.Claim = &workload.Claim{Name: "data", Size: "10Gi", StorageClass: "gp3"}
	args.Containers[0].Readiness = &workload.Probe{Path: "/ready", Port: "http", Scheme: "HTTPS", Delay: 5, Period: 3, Timeout: 2, Failures: 4, Success: 1}
	args.Containers[0].Ports = append(args.Containers[0].Ports,
		workload.Port{Name: "gossip", Number: 7946, Protocol: "UDP"}, workload.Port{Name: "debug", Number: 1, Internal: true})
	r := run(t, args)
	s := r.Get(t, statefulSet, "web")
	assert.Equal(t, "web", s.Field("spec", "serviceName"))
	assert.Equal(t, "Parallel", s.Field("spec", "podManagementPolicy"))
	assert.Equal(t, map[string]any{"whenDeleted": "Retain", "whenScaled": "Retain"}, s.Field("spec", "persistentVolumeClaimRetentionPolicy"))
	assert.Equal(t, map[string]any{
		"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": map[string]any{"name": "data"},
		"spec": map[string]any{
			"accessModes": []any{"ReadWriteOnce"}, "storageClassName": "gp3",
			"resources": map[string]any{"requests": map[string]any{"storage": "10Gi"}},
		},
	}, s.Field("spec", "volumeClaimTemplates", 0))
	assert.Equal(t, map[string]any{
		"httpGet":             map[string]any{"path": "/ready", "port": "http", "scheme": "HTTPS"},
		"initialDelaySeconds": 5.0, "periodSeconds": 3.0, "timeoutSeconds": 2.0, "failureThreshold": 4.0, "successThreshold": 1.0,
	}, s.Field("spec", "template", "spec", "containers", 0, "readinessProbe"))
	assert.Equal(t, []any{
		map[string]any{"name": "http", "port": 80.0, "targetPort": "http"},
		map[string]any{"name": "gossip", "port": 7946.0, "targetPort": "gossip", "protocol": "UDP"},
	}, r.Get(t, service, "web").Field("spec", "ports"))
}

func TestDaemonSetOnEveryNode(t *testing.T) {
	t.Parallel()
	args := minimal()
	args.Kind, args.Replicas, args.EveryNode, args.NoService = workload.DaemonSet, 0, true, true
	args.Adjust = func(pod *corev1.PodSpecArgs) { pod.HostNetwork = pulumi.Bool(true) }
	r := run(t, args)
	d := r.Get(t, daemonSet, "web")
	assert.Equal(t, []any{map[string]any{"operator": "Exists"}}, d.Field("spec", "template", "spec", "tolerations"))
	assert.Equal(t, true, d.Field("spec", "template", "spec", "hostNetwork"))
	assert.Equal(t, "10%", d.Field("spec", "updateStrategy", "rollingUpdate", "maxUnavailable"))
	assert.Empty(t, r.OfType(service))
	assert.Empty(t, r.OfType(budget))
}

func TestUnknownKind(t *testing.T) {
	t.Parallel()
	args := minimal()
	args.Kind = "CronJob"
	r := &mocks.Recorder{}
	err := r.RunErr(func(ctx *pulumi.Context) error { return workload.New(ctx, "web", args) })
	require.ErrorContains(t, err, `web: creating CronJob: no kind "CronJob"`)
}

func TestDeployGivesWhatRunsThePods(t *testing.T) {
	t.Parallel()
	for kind, token := range map[workload.Kind]string{
		workload.Deployment: deployment, workload.StatefulSet: statefulSet, workload.DaemonSet: daemonSet,
	} {
		args := minimal()
		args.Kind = kind
		r := &mocks.Recorder{}
		r.Run(t, func(ctx *pulumi.Context) error {
			pods, err := workload.Deploy(ctx, "web", args)
			if err != nil {
				return err
			}
			_, err = corev1.NewConfigMap(ctx, "after", nil, pulumi.DependsOn([]pulumi.Resource{pods}))
			return err
		})
		assert.Equal(t, []string{"urn:pulumi:test::kansoku::" + token + "::web"}, r.Get(t, "kubernetes:core/v1:ConfigMap", "after").Depends)
	}
}

func TestImagesArePlacedInTheRegistry(t *testing.T) {
	t.Parallel()
	args := minimal()
	args.InitContainers = args.Containers
	args.Images = versions.Images{Registry: "registry.example.com/mirror", PullSecret: "credentials"}
	spec, ok := run(t, args).Get(t, deployment, "web").Inputs["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
	require.True(t, ok)
	for _, kind := range []string{"containers", "initContainers"} {
		container, ok := spec[kind].([]any)[0].(map[string]any)
		require.True(t, ok)
		require.Equal(t, "registry.example.com/mirror/web:v1", container["image"], kind)
	}
	require.Equal(t, []any{map[string]any{"name": "credentials"}}, spec["imagePullSecrets"])

	args.Images.Registry = "mirror"
	err := (&mocks.Recorder{}).RunErr(func(ctx *pulumi.Context) error { return workload.New(ctx, "web", args) })
	require.ErrorContains(t, err, "images.registry: must be a host with a dot or a port")
}
