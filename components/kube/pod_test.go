package kube_test

import (
	"encoding/json"
	"testing"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/internal/mocks"
)

func TestResourcesOr(t *testing.T) {
	t.Parallel()
	defaults := kube.Resources{CPU: "100m", Memory: "1Gi", MemoryLimit: "2Gi", CPULimit: "1"}
	for _, test := range []struct {
		name      string
		got, want kube.Resources
	}{
		{"nothing", kube.Resources{}, defaults},
		{"cpu", kube.Resources{CPU: "2"}, kube.Resources{CPU: "2", Memory: "1Gi", MemoryLimit: "2Gi"}},
		{"cpu limit", kube.Resources{CPULimit: "3"}, kube.Resources{CPU: "100m", Memory: "1Gi", MemoryLimit: "2Gi", CPULimit: "3"}},
		{"memory", kube.Resources{Memory: "3Gi"}, kube.Resources{CPU: "100m", Memory: "3Gi", MemoryLimit: "3Gi", CPULimit: "1"}},
		{"memory limit", kube.Resources{MemoryLimit: "4Gi"}, kube.Resources{CPU: "100m", Memory: "1Gi", MemoryLimit: "4Gi", CPULimit: "1"}},
		{
			"everything",
			kube.Resources{CPU: "2", Memory: "3Gi", MemoryLimit: "4Gi", CPULimit: "5"},
			kube.Resources{CPU: "2", Memory: "3Gi", MemoryLimit: "4Gi", CPULimit: "5"},
		},
	} {
		got := test.got.Or(defaults)
		require.Equal(t, test.want, got, test.name)
		require.Equal(t, got, got.Or(defaults), "%s, twice", test.name)
	}
	require.Equal(t, kube.Resources{CPU: "1", Memory: "1Gi", MemoryLimit: "1Gi"},
		kube.Resources{CPU: "1"}.Or(kube.Resources{CPU: "9", Memory: "1Gi"}), "a limit is the request where there is none")
}

func TestResourcesValidate(t *testing.T) {
	t.Parallel()
	require.NoError(t, kube.Resources{CPU: "100m", Memory: "1Gi"}.Validate())
	require.NoError(t, kube.Resources{CPU: "1", Memory: "1Gi", MemoryLimit: "1024Mi", CPULimit: "1000m"}.Validate())
	for _, test := range []struct {
		name      string
		resources kube.Resources
		want      string
	}{
		{"empty", kube.Resources{}, `cpu: must be a positive Kubernetes quantity such as "100m" or "256Mi", got ""
memory: must be a positive Kubernetes quantity such as "100m" or "256Mi", got ""`},
		{
			"words",
			kube.Resources{CPU: "one", Memory: "1GiB", MemoryLimit: "x", CPULimit: "y"},
			`cpu: must be a positive Kubernetes quantity such as "100m" or "256Mi", got "one"
memory: must be a positive Kubernetes quantity such as "100m" or "256Mi", got "1GiB"
memoryLimit: must be a positive Kubernetes quantity such as "100m" or "256Mi", got "x"
cpuLimit: must be a positive Kubernetes quantity such as "100m" or "256Mi", got "y"`,
		},
		{
			"not positive",
			kube.Resources{CPU: "0", Memory: "-1Gi"},
			`cpu: must be a positive Kubernetes quantity such as "100m" or "256Mi", got "0"
memory: must be a positive Kubernetes quantity such as "100m" or "256Mi", got "-1Gi"`,
		},
		{
			"limits too low",
			kube.Resources{CPU: "1", Memory: "1Gi", MemoryLimit: "1023Mi", CPULimit: "999m"},
			`memoryLimit: must not be below the memory requested, 1Gi, got "1023Mi"
cpuLimit: must not be below the CPU requested, 1, got "999m"`,
		},
	} {
		require.EqualError(t, test.resources.Validate(), test.want, test.name)
	}
}

// Valid resources can be rendered: Native does not panic.
func FuzzResources(f *testing.F) {
	f.Add("100m", "1Gi", "2Gi", "1")
	f.Add("", "1e3", "9E", "-0")
	f.Fuzz(func(_ *testing.T, cpu, memory, memoryLimit, cpuLimit string) {
		r := kube.Resources{CPU: cpu, Memory: memory, MemoryLimit: memoryLimit, CPULimit: cpuLimit}
		if r.Validate() == nil {
			r.Native()
		}
	})
}

// asJSON is what Kubernetes gets of an API value.
func asJSON(t *testing.T, v any) any {
	t.Helper()
	data, err := json.Marshal(v)
	require.NoError(t, err)
	var plain any
	require.NoError(t, json.Unmarshal(data, &plain))
	return plain
}

func TestPulumiAndNativeAgree(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		resources kube.Resources
		want      any
	}{
		{kube.Resources{CPU: "100m", Memory: "1Gi"}, map[string]any{
			"requests": map[string]any{"cpu": "100m", "memory": "1Gi"}, "limits": map[string]any{"memory": "1Gi"},
		}},
		{kube.Resources{CPU: "1", Memory: "1Gi", MemoryLimit: "2Gi", CPULimit: "2"}, map[string]any{
			"requests": map[string]any{"cpu": "1", "memory": "1Gi"}, "limits": map[string]any{"cpu": "2", "memory": "2Gi"},
		}},
	} {
		r := &mocks.Recorder{}
		r.Run(t, func(ctx *pulumi.Context) error {
			_, err := corev1.NewPod(ctx, "pod", &corev1.PodArgs{Spec: &corev1.PodSpecArgs{
				SecurityContext: kube.RestrictedPod(1000, 2000),
				Containers: corev1.ContainerArray{&corev1.ContainerArgs{
					Name: pulumi.String("c"), Resources: test.resources.Pulumi(), SecurityContext: kube.RestrictedContainer(),
				}},
			}})
			return err
		})
		pod := r.Get(t, "kubernetes:core/v1:Pod", "pod")
		require.Equal(t, test.want, pod.Field("spec", "containers", 0, "resources"))
		require.Equal(t, test.want, asJSON(t, test.resources.Native()))

		restricted := map[string]any{
			"runAsNonRoot": true, "runAsUser": 1000.0, "runAsGroup": 2000.0, "fsGroup": 2000.0, "fsGroupChangePolicy": "OnRootMismatch",
			"seccompProfile": map[string]any{"type": "RuntimeDefault"},
		}
		require.Equal(t, restricted, pod.Field("spec", "securityContext"))
		require.Equal(t, restricted, asJSON(t, kube.NativeRestrictedPod(1000, 2000)))
		require.Equal(t, map[string]any{
			"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": map[string]any{"drop": []any{"ALL"}},
		}, pod.Field("spec", "containers", 0, "securityContext"))
	}
}
