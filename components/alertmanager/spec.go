package alertmanager

import (
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	nativecorev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/placement"
	"github.com/kansoku/kansoku/components/versions"
)

const (
	// As kube-prometheus runs it.
	uid = 1000
	gid = 2000

	// It has little to write: silences and what was notified. A reclaimed spot node gives 120 s.
	terminationGraceSeconds = 60
)

// spec renders the Alertmanager object's spec. The settings are valid and hold their defaults.
func spec(s Settings, priorityClass string, images versions.Images) monitoringv1.AlertmanagerSpec {
	replicas, grace, automount := int32(s.Replicas), int64(terminationGraceSeconds), false //nolint:gosec // at most 5
	image, labels := images.Place(versions.Alertmanager.Image()), Labels()
	where := placement.Placement{Selector: labels.Selector(), RequireZones: s.RequireZones}
	rendered := monitoringv1.AlertmanagerSpec{
		Replicas: &replicas,
		Image:    &image,
		// The operator chooses flags by it, so it goes with the image.
		Version:     versions.Alertmanager.Version,
		PodMetadata: &monitoringv1.EmbeddedObjectMetadata{Labels: labels.All()},
		ExternalURL: s.ExternalURL,

		ConfigSecret: ServiceName,
		// Everything; nil would select nothing, or the own namespace only. What a team routes is for alerts from its namespace.
		AlertmanagerConfigSelector: &nativemetav1.LabelSelector{}, AlertmanagerConfigNamespaceSelector: &nativemetav1.LabelSelector{},

		ServiceAccountName:            ServiceName,
		AutomountServiceAccountToken:  &automount,
		SecurityContext:               kube.NativeRestrictedPod(uid, gid),
		Resources:                     s.Resources.Native(),
		TerminationGracePeriodSeconds: &grace,
		PriorityClassName:             priorityClass,
		ImagePullSecrets:              kube.PullSecrets(images.PullSecret),
		NodeSelector:                  map[string]string{"kubernetes.io/os": "linux"},
		Tolerations:                   where.NativeTolerations(),
		Affinity:                      affinity(where),
		Storage:                       storage(s),
	}
	if s.Replicas > 1 {
		rendered.TopologySpreadConstraints = where.NativeTopologySpread()
	}
	return rendered
}

// affinity keeps replicas off each other's node while there is another: what they know is lost only if all go at once.
func affinity(where placement.Placement) *nativecorev1.Affinity {
	all := where.NativeAffinity()
	all.PodAntiAffinity = &nativecorev1.PodAntiAffinity{
		PreferredDuringSchedulingIgnoredDuringExecution: []nativecorev1.WeightedPodAffinityTerm{{
			Weight: 100,
			PodAffinityTerm: nativecorev1.PodAffinityTerm{
				TopologyKey: "kubernetes.io/hostname", LabelSelector: &nativemetav1.LabelSelector{MatchLabels: where.Selector},
			},
		}},
	}
	return all
}

func storage(s Settings) *monitoringv1.StorageSpec {
	if s.StorageSize == "" {
		return nil
	}
	return &monitoringv1.StorageSpec{VolumeClaimTemplate: monitoringv1.EmbeddedPersistentVolumeClaim{
		Spec: nativecorev1.PersistentVolumeClaimSpec{
			StorageClassName: &s.StorageClass,
			AccessModes:      []nativecorev1.PersistentVolumeAccessMode{nativecorev1.ReadWriteOnce},
			Resources: nativecorev1.VolumeResourceRequirements{
				Requests: nativecorev1.ResourceList{nativecorev1.ResourceStorage: resource.MustParse(s.StorageSize)},
			},
		},
	}}
}
