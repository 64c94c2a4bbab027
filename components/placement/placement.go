// Package placement decides on which nodes pods run: the one definition of spot tolerations, affinity and spread that every pod
// spec takes, as typed Pulumi arguments and as the Kubernetes API types that custom resources embed.
package placement

import (
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	nativecorev1 "k8s.io/api/core/v1"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What spot nodes carry. Node groups set it, pods answer to it.
const (
	SpotLabel      = "lifecycle"
	SpotLabelValue = "Ec2Spot"
	SpotTaint      = "spotInstance"
	SpotTaintValue = "true"
	// OnDemandLabelValue is what SpotLabel says on nodes that are not reclaimed.
	OnDemandLabelValue = "OnDemand"
)

const (
	zoneKey = "topology.kubernetes.io/zone"
	hostKey = "kubernetes.io/hostname"
)

// Placement says where the pods of one workload go. The zero value places a single pod: on spot if there is a spot node.
type Placement struct {
	// Selector finds the workload's own pods. Replicas spread over zones and nodes only with it.
	Selector map[string]string
	// RequireZones keeps a replica Pending rather than putting two more in one zone than in another. Default: spread as far as it goes.
	RequireZones bool
	// EveryNode tolerates every taint: for a DaemonSet that must run on all nodes, whatever they are tainted for.
	EveryNode bool
}

// unschedulable is what a pod does when a spread cannot be kept.
func (p Placement) unschedulable(required bool) string {
	if required {
		return "DoNotSchedule"
	}
	return "ScheduleAnyway"
}

// Tolerations lets the pods onto spot nodes.
func (p Placement) Tolerations() corev1.TolerationArray {
	if p.EveryNode {
		return corev1.TolerationArray{&corev1.TolerationArgs{Operator: pulumi.String("Exists")}}
	}
	return corev1.TolerationArray{&corev1.TolerationArgs{
		Key: pulumi.String(SpotTaint), Operator: pulumi.String("Equal"), Value: pulumi.String(SpotTaintValue),
		Effect: pulumi.String("NoSchedule"),
	}}
}

// Affinity prefers spot nodes.
func (p Placement) Affinity() *corev1.AffinityArgs {
	return &corev1.AffinityArgs{NodeAffinity: &corev1.NodeAffinityArgs{
		PreferredDuringSchedulingIgnoredDuringExecution: corev1.PreferredSchedulingTermArray{&corev1.PreferredSchedulingTermArgs{
			Weight: pulumi.Int(100),
			Preference: &corev1.NodeSelectorTermArgs{MatchExpressions: corev1.NodeSelectorRequirementArray{
				&corev1.NodeSelectorRequirementArgs{
					Key: pulumi.String(SpotLabel), Operator: pulumi.String("In"), Values: pulumi.ToStringArray([]string{SpotLabelValue}),
				},
			}},
		}},
	}}
}

// TopologySpread spreads replicas over zones, then over nodes.
func (p Placement) TopologySpread() corev1.TopologySpreadConstraintArray {
	var spread corev1.TopologySpreadConstraintArray
	for _, c := range p.NativeTopologySpread() {
		spread = append(spread, &corev1.TopologySpreadConstraintArgs{
			MaxSkew:           pulumi.Int(int(c.MaxSkew)),
			TopologyKey:       pulumi.String(c.TopologyKey),
			WhenUnsatisfiable: pulumi.String(string(c.WhenUnsatisfiable)),
			LabelSelector:     &metav1.LabelSelectorArgs{MatchLabels: pulumi.ToStringMap(p.Selector)},
		})
	}
	return spread
}

// NativeTolerations is Tolerations for a custom resource.
func (p Placement) NativeTolerations() []nativecorev1.Toleration {
	if p.EveryNode {
		return []nativecorev1.Toleration{{Operator: nativecorev1.TolerationOpExists}}
	}
	return []nativecorev1.Toleration{{
		Key: SpotTaint, Operator: nativecorev1.TolerationOpEqual, Value: SpotTaintValue, Effect: nativecorev1.TaintEffectNoSchedule,
	}}
}

// NativeAffinity is Affinity for a custom resource.
func (p Placement) NativeAffinity() *nativecorev1.Affinity {
	return &nativecorev1.Affinity{NodeAffinity: &nativecorev1.NodeAffinity{
		PreferredDuringSchedulingIgnoredDuringExecution: []nativecorev1.PreferredSchedulingTerm{{
			Weight: 100,
			Preference: nativecorev1.NodeSelectorTerm{MatchExpressions: []nativecorev1.NodeSelectorRequirement{{
				Key: SpotLabel, Operator: nativecorev1.NodeSelectorOpIn, Values: []string{SpotLabelValue},
			}}},
		}},
	}}
}

// NativeTopologySpread is TopologySpread for a custom resource.
func (p Placement) NativeTopologySpread() []nativecorev1.TopologySpreadConstraint {
	if p.Selector == nil {
		return nil
	}
	over := func(key string, required bool) nativecorev1.TopologySpreadConstraint {
		return nativecorev1.TopologySpreadConstraint{
			MaxSkew: 1, TopologyKey: key,
			WhenUnsatisfiable: nativecorev1.UnsatisfiableConstraintAction(p.unschedulable(required)),
			LabelSelector:     &nativemetav1.LabelSelector{MatchLabels: p.Selector},
		}
	}
	return []nativecorev1.TopologySpreadConstraint{over(zoneKey, p.RequireZones), over(hostKey, false)}
}
