package kubestatemetrics

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/placement"
	"github.com/kansoku/kansoku/internal/check"
)

// Settings are what a stack may say about kube-state-metrics.
type Settings struct {
	// Objects are the kinds that are read, in the plural ("pods"); any that kube-state-metrics knows, but secrets and configmaps: who may
	// list these may read them. The rights to list and watch follow from this list. Default: cronjobs, daemonsets, deployments,
	// horizontalpodautoscalers, jobs, namespaces, nodes, persistentvolumeclaims, persistentvolumes, poddisruptionbudgets, pods,
	// replicasets, resourcequotas, statefulsets (what dashboards and alerts ask for).
	Objects []string `pulumi:"objects,optional"`
	// NodeLabels are labels of nodes that kube_node_labels has. Default: lifecycle, topology.kubernetes.io/zone,
	// node.kubernetes.io/instance-type, eks.amazonaws.com/capacityType, eks.amazonaws.com/nodegroup (what tells spot nodes apart). In
	// metrics they are label_lifecycle, label_eks_amazonaws_com_capacity_type and so on.
	NodeLabels []string `pulumi:"nodeLabels,optional"`
	// PodLabels are labels of pods that kube_pod_labels has: one more series for each pod. Default: none, as logs and metrics are found by
	// namespace, pod and container.
	PodLabels []string `pulumi:"podLabels,optional"`
	// Resources of the pod. Default: 10m CPU, 190Mi memory, limit 250Mi (kube-prometheus; upstream says 250Mi up to 100 nodes).
	Resources kube.Resources `pulumi:"resources,optional"`
}

// kind of objects that kube-state-metrics can read, and the API group of the rights for it.
type kind struct {
	plural, group string
	needed        bool // unless a stack says otherwise
}

// kinds is the one table that flags and rights come from.
var kinds = []kind{
	{"certificatesigningrequests", "certificates.k8s.io", false},
	{"clusterrolebindings", "rbac.authorization.k8s.io", false},
	{"clusterroles", "rbac.authorization.k8s.io", false},
	{"cronjobs", "batch", true}, // runs that did not start
	{"daemonsets", "apps", true},
	{"deployments", "apps", true},
	{"endpointslices", "discovery.k8s.io", false},
	{"horizontalpodautoscalers", "autoscaling", true}, // at their maximum, or unable to scale
	{"ingressclasses", "networking.k8s.io", false},
	{"ingresses", "networking.k8s.io", false},
	{"jobs", "batch", true},
	{"leases", "coordination.k8s.io", false},
	{"limitranges", "", false},
	{"mutatingwebhookconfigurations", "admissionregistration.k8s.io", false},
	{"namespaces", "", true},
	{"networkpolicies", "networking.k8s.io", false},
	{"nodes", "", true},                      // capacity, conditions, spot
	{"persistentvolumeclaims", "", true},     // the kubelet's volume statistics have no phase and no access mode
	{"persistentvolumes", "", true},          // failed ones
	{"poddisruptionbudgets", "policy", true}, // evictions that are refused
	{"pods", "", true},                       // restarts, phases, requests and limits
	{"replicasets", "apps", true},            // which deployment a pod is of
	{"replicationcontrollers", "", false},
	{"resourcequotas", "", true}, // full ones
	{"rolebindings", "rbac.authorization.k8s.io", false},
	{"roles", "rbac.authorization.k8s.io", false},
	{"serviceaccounts", "", false},
	{"services", "", false},
	{"statefulsets", "apps", true},
	{"storageclasses", "storage.k8s.io", false},
	{"validatingwebhookconfigurations", "admissionregistration.k8s.io", false},
	{"volumeattachments", "storage.k8s.io", false},
}

// denied are series that are many and in no dashboard or alert: Kubernetes keeps ten old replica sets of each deployment, of which only the
// owner matters, and a daemon's pod tolerates half a dozen taints.
var denied = []string{"^kube_replicaset_(created|metadata_generation|spec_replicas|status_.+)$", "^kube_pod_tolerations$"}

// WithDefaults fills what is not set.
func (s Settings) WithDefaults() Settings {
	if len(s.Objects) == 0 {
		s.Objects = nil
		for _, k := range kinds {
			if k.needed {
				s.Objects = append(s.Objects, k.plural)
			}
		}
	}
	if len(s.NodeLabels) == 0 {
		s.NodeLabels = []string{
			placement.SpotLabel, "topology.kubernetes.io/zone", "node.kubernetes.io/instance-type", "eks.amazonaws.com/capacityType",
			"eks.amazonaws.com/nodegroup",
		}
	}
	s.Resources = s.Resources.Or(kube.Resources{CPU: "10m", Memory: "190Mi", MemoryLimit: "250Mi"})
	return s
}

// Validate checks the settings, defaults filled in.
func (s Settings) Validate() error {
	var errs check.Errors
	known := make([]string, len(kinds))
	for i, k := range kinds {
		known[i] = k.plural
	}
	for i, object := range s.Objects {
		key := fmt.Sprintf("objects[%d]", i)
		check.OneOf(&errs, key, object, known...)
		errs.Require(!slices.Contains(s.Objects[:i], object), key, object, "must not be named twice")
	}
	validateLabels(&errs, "nodeLabels", s.NodeLabels)
	validateLabels(&errs, "podLabels", s.PodLabels)
	errs.Under("resources", s.Resources.Validate())
	return errs.Err()
}

func validateLabels(errs *check.Errors, key string, labels []string) {
	for i, label := range labels {
		errs.Require(len(validation.IsQualifiedName(label)) == 0, fmt.Sprintf("%s[%d]", key, i), label,
			`must be the key of a Kubernetes label, such as "app.kubernetes.io/name"`)
	}
}

// rules are the rights that the objects take.
func (s Settings) rules() []kube.Rule {
	var rules []kube.Rule
	for _, k := range kinds {
		if !slices.Contains(s.Objects, k.plural) {
			continue
		}
		at := slices.IndexFunc(rules, func(r kube.Rule) bool { return r.Group == k.group })
		if at < 0 {
			at = len(rules)
			rules = append(rules, kube.Rule{Group: k.group, Verbs: []string{"list", "watch"}})
		}
		rules[at].Resources = append(rules[at].Resources, k.plural)
	}
	return rules
}

// flags of valid settings.
func (s Settings) flags() []string {
	objects := slices.Sorted(slices.Values(s.Objects))
	labels := "nodes=[" + strings.Join(s.NodeLabels, ",") + "]"
	if len(s.PodLabels) > 0 {
		labels += ",pods=[" + strings.Join(s.PodLabels, ",") + "]"
	}
	return []string{
		fmt.Sprintf("--port=%d", HTTPPort),
		fmt.Sprintf("--telemetry-port=%d", TelemetryPort),
		"--resources=" + strings.Join(objects, ","),
		"--metric-labels-allowlist=" + labels,
		"--metric-denylist=" + strings.Join(denied, ","),
		"--auto-gomemlimit",
	}
}
