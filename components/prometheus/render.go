package prometheus

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "k8s.io/api/apps/v1"
	nativecorev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/placement"
	"github.com/kansoku/kansoku/components/versions"
)

const (
	// As kube-prometheus runs it.
	uid = 1000
	gid = 2000

	// A spot node is gone two minutes after its notice; the drain needs some of that to begin. Prometheus that is killed before it has
	// closed its head replays the write-ahead log from its volume.
	terminationGraceSeconds = 90

	objectStoreKey = "thanos.yaml"
)

// plan is everything that shapes the Prometheus object.
type plan struct {
	Settings
	name    string
	cluster string
	labels  kube.Labels
	// credentials are the sidecar's environment, for S3-compatible stores only.
	credentials []nativecorev1.EnvVar
	// objectStore is the content of the Secret that configures the sidecar.
	objectStore string
	// alerting is where alerts go; nil for nowhere.
	alerting      *monitoringv1.AlertingSpec
	priorityClass string
	images        versions.Images
}

// spec renders the Prometheus object's spec. The settings are valid and hold their defaults.
func (p plan) spec() monitoringv1.PrometheusSpec {
	replicas, grace, compress, automount := int32(p.Replicas), int64(terminationGraceSeconds), true, true //nolint:gosec // at most 10
	image, replicaLabel, role := p.images.Place(versions.Prometheus.Image()), "prometheus_replica", monitoringv1.EndpointSliceRole
	where := placement.Placement{Selector: p.labels.Selector(), RequireZones: p.RequireZones}
	namespaces := p.namespaces()
	return monitoringv1.PrometheusSpec{
		CommonPrometheusFields: monitoringv1.CommonPrometheusFields{
			Replicas: &replicas,
			Image:    &image,
			// The operator chooses flags by it, so it goes with the image.
			Version:     versions.Prometheus.Version,
			PodMetadata: p.podMetadata(),

			ServiceMonitorSelector: everything(), ServiceMonitorNamespaceSelector: namespaces,
			PodMonitorSelector: everything(), PodMonitorNamespaceSelector: namespaces,
			ProbeSelector: everything(), ProbeNamespaceSelector: namespaces,
			ScrapeConfigSelector: everything(), ScrapeConfigNamespaceSelector: namespaces,
			ServiceDiscoveryRole: &role,
			ScrapeInterval:       monitoringv1.Duration(p.ScrapeInterval),

			ExternalLabels:           map[string]string{"cluster": p.cluster},
			ReplicaExternalLabelName: &replicaLabel,
			WALCompression:           &compress,

			ServiceAccountName:            ServiceAccountName(p.name),
			AutomountServiceAccountToken:  &automount,
			SecurityContext:               kube.NativeRestrictedPod(uid, gid),
			Resources:                     p.Resources.Native(),
			TerminationGracePeriodSeconds: &grace,
			NodeSelector:                  map[string]string{"kubernetes.io/os": "linux"},
			Tolerations:                   where.NativeTolerations(),
			Affinity:                      where.NativeAffinity(),
			TopologySpreadConstraints:     spread(where),
			PriorityClassName:             p.priorityClass,
			ImagePullSecrets:              kube.PullSecrets(p.images.PullSecret),
			Containers:                    p.patches(),

			Storage: p.storage(),
			// A volume outlives its pod, its replica and its Prometheus: it may hold what is not uploaded yet.
			PersistentVolumeClaimRetentionPolicy: &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
				WhenDeleted: appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
				WhenScaled:  appsv1.RetainPersistentVolumeClaimRetentionPolicyType,
			},
		},
		RuleSelector: everything(), RuleNamespaceSelector: namespaces,
		EvaluationInterval: monitoringv1.Duration(p.ScrapeInterval),
		Retention:          monitoringv1.Duration(p.Retention),
		RetentionSize:      retentionSize(p.StorageSize),
		Alerting:           p.alerting,
		Thanos:             p.thanos(),
	}
}

// alerting finds every pod behind the Service: each Alertmanager must get each alert, and they agree among themselves on who notifies.
func alerting(service, port, namespace string) *monitoringv1.AlertingSpec {
	v2 := monitoringv1.AlertmanagerAPIVersion2
	return &monitoringv1.AlertingSpec{Alertmanagers: []monitoringv1.AlertmanagerEndpoints{{
		Name: service, Port: intstr.FromString(port), Namespace: &namespace, APIVersion: &v2,
	}}}
}

// everything selects all; nil would select nothing, or the own namespace only.
func everything() *nativemetav1.LabelSelector { return &nativemetav1.LabelSelector{} }

// namespaces are those whose monitors and rules are taken.
func (s Settings) namespaces() *nativemetav1.LabelSelector {
	if len(s.IgnoreNamespaces) == 0 {
		return everything()
	}
	return &nativemetav1.LabelSelector{MatchExpressions: []nativemetav1.LabelSelectorRequirement{{
		Key: nativecorev1.LabelMetadataName, Operator: nativemetav1.LabelSelectorOpNotIn, Values: s.IgnoreNamespaces,
	}}}
}

// podMetadata names what the operator does not, and ties the pods to the sidecar's configuration: it is read once, at the start.
func (p plan) podMetadata() *monitoringv1.EmbeddedObjectMetadata {
	sum := sha256.Sum256([]byte(p.objectStore))
	return &monitoringv1.EmbeddedObjectMetadata{
		Labels:      p.labels.All(),
		Annotations: map[string]string{"kansoku/objectstore-hash": hex.EncodeToString(sum[:])},
	}
}

// thanos is the sidecar. With an object store the operator fixes Prometheus' block duration to BlockDuration and so switches local
// compaction off, which would run against the uploads.
func (p plan) thanos() *monitoringv1.ThanosSpec {
	image, version := p.images.Place(versions.Thanos.Image()), versions.Thanos.Version
	return &monitoringv1.ThanosSpec{
		Image:         &image,
		Version:       &version,
		Resources:     p.SidecarResources.Native(),
		BlockDuration: monitoringv1.Duration(p.BlockDuration),
		ObjectStorageConfig: &nativecorev1.SecretKeySelector{
			LocalObjectReference: nativecorev1.LocalObjectReference{Name: objectStoreName(p.name)}, Key: objectStoreKey,
		},
		AdditionalArgs: []monitoringv1.Argument{{Name: "enable-auto-gomemlimit"}},
	}
}

// patches is what the operator has no field for, merged into the containers that it makes.
func (p plan) patches() []nativecorev1.Container {
	if len(p.credentials) == 0 {
		return nil
	}
	return []nativecorev1.Container{{Name: "thanos-sidecar", Env: p.credentials}}
}

func (p plan) storage() *monitoringv1.StorageSpec {
	return &monitoringv1.StorageSpec{VolumeClaimTemplate: monitoringv1.EmbeddedPersistentVolumeClaim{
		Spec: nativecorev1.PersistentVolumeClaimSpec{
			StorageClassName: &p.StorageClass,
			AccessModes:      []nativecorev1.PersistentVolumeAccessMode{nativecorev1.ReadWriteOnce},
			Resources: nativecorev1.VolumeResourceRequirements{
				Requests: nativecorev1.ResourceList{nativecorev1.ResourceStorage: resource.MustParse(p.StorageSize)},
			},
		},
	}}
}

// retentionSize is 80 % of the volume, the lower of what Prometheus' documentation advises (80 to 85 %), in its powers of two.
func retentionSize(storage string) monitoringv1.ByteSize {
	size := resource.MustParse(storage)
	return monitoringv1.ByteSize(fmt.Sprintf("%dMiB", size.Value()/10*8>>20))
}

func spread(where placement.Placement) []monitoringv1.TopologySpreadConstraint {
	native := where.NativeTopologySpread()
	constraints := make([]monitoringv1.TopologySpreadConstraint, len(native))
	for i, one := range native {
		constraints[i].CoreV1TopologySpreadConstraint = monitoringv1.CoreV1TopologySpreadConstraint(one)
	}
	return constraints
}

func objectStoreName(name string) string { return ServiceAccountName(name) + "-objectstore" }
