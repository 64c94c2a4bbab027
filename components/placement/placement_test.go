package placement_test

import (
	"encoding/json"
	"testing"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
	nativecorev1 "k8s.io/api/core/v1"

	"github.com/kansoku/kansoku/components/placement"
	"github.com/kansoku/kansoku/internal/mocks"
)

func constraint(key, unsatisfiable string) any {
	return map[string]any{
		"maxSkew": 1.0, "topologyKey": key, "whenUnsatisfiable": unsatisfiable,
		"labelSelector": map[string]any{"matchLabels": map[string]any{"app": "x"}},
	}
}

func TestPlacement(t *testing.T) {
	t.Parallel()
	selector := map[string]string{"app": "x"}
	spot := []any{map[string]any{"key": "spotInstance", "operator": "Equal", "value": "true", "effect": "NoSchedule"}}
	for _, test := range []struct {
		name                string
		placement           placement.Placement
		tolerations, spread any
	}{
		{"single", placement.Placement{}, spot, nil},
		{
			"replicas",
			placement.Placement{Selector: selector},
			spot,
			[]any{constraint("topology.kubernetes.io/zone", "ScheduleAnyway"), constraint("kubernetes.io/hostname", "ScheduleAnyway")},
		},
		{
			"zones required",
			placement.Placement{Selector: selector, RequireZones: true},
			spot,
			[]any{constraint("topology.kubernetes.io/zone", "DoNotSchedule"), constraint("kubernetes.io/hostname", "ScheduleAnyway")},
		},
		{"every node", placement.Placement{EveryNode: true}, []any{map[string]any{"operator": "Exists"}}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			pod := render(t, test.placement)
			require.Equal(t, test.tolerations, pod.Field("spec", "tolerations"))
			require.Equal(t, test.spread, pod.Field("spec", "topologySpreadConstraints"))
			require.Equal(t, map[string]any{"nodeAffinity": map[string]any{
				"preferredDuringSchedulingIgnoredDuringExecution": []any{map[string]any{
					"weight": 100.0,
					"preference": map[string]any{"matchExpressions": []any{
						map[string]any{"key": "lifecycle", "operator": "In", "values": []any{"Ec2Spot"}},
					}},
				}},
			}}, pod.Field("spec", "affinity"))
			require.Equal(t, native(t, test.placement), pod.Field("spec"), "typed arguments and API types must place alike")
		})
	}
}

func render(t *testing.T, p placement.Placement) mocks.Resource {
	t.Helper()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		_, err := corev1.NewPod(ctx, "pod", &corev1.PodArgs{Spec: &corev1.PodSpecArgs{
			Containers:                corev1.ContainerArray{},
			Tolerations:               p.Tolerations(),
			Affinity:                  p.Affinity(),
			TopologySpreadConstraints: p.TopologySpread(),
		}})
		return err
	})
	return r.Get(t, "kubernetes:core/v1:Pod", "pod")
}

func native(t *testing.T, p placement.Placement) any {
	t.Helper()
	data, err := json.Marshal(nativecorev1.PodSpec{
		Containers:                []nativecorev1.Container{},
		Tolerations:               p.NativeTolerations(),
		Affinity:                  p.NativeAffinity(),
		TopologySpreadConstraints: p.NativeTopologySpread(),
	})
	require.NoError(t, err)
	var plain any
	require.NoError(t, json.Unmarshal(data, &plain))
	return plain
}
