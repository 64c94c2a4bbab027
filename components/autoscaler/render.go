package autoscaler

import (
	"fmt"
	"strconv"

	"sigs.k8s.io/yaml"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/placement"
)

const (
	// The autoscaler knows these by name.
	statusConfigMap   = "cluster-autoscaler-status"
	priorityConfigMap = "cluster-autoscaler-priority-expander"
	prioritiesKey     = "priorities"
	lease             = "cluster-autoscaler"

	clusterVariable   = "CLUSTER_NAME"
	namespaceVariable = "POD_NAMESPACE"
)

// flags of valid settings that hold their defaults. Kubernetes fills in the variables.
func (s Settings) flags() []string {
	expander := s.Expander
	if expander == Priority {
		expander += ",least-waste"
	}
	return []string{
		"--cloud-provider=aws",
		// The tags that EKS puts on the groups behind managed node groups.
		"--node-group-auto-discovery=asg:tag=k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/$(" + clusterVariable + ")",
		"--namespace=$(" + namespaceVariable + ")",
		// A rollout runs two for a moment.
		"--leader-elect=true",
		"--expander=" + expander,
		"--balance-similar-node-groups",
		// The spot groups are alike. Comparing them by everything they are (--balancing-ignore-label for what is to be left out) would not
		// find that: the nodes of a group are of several instance types, and what is assumed of an empty group has other labels and
		// capacities than a node that runs. What a pod needs of its zone is looked at apart from this.
		"--balancing-label=" + placement.SpotLabel,
		"--max-node-provision-time=" + s.MaxNodeProvisionTime,
		"--scale-down-unneeded-time=" + s.ScaleDownUnneededTime,
		"--scale-down-utilization-threshold=" + strconv.FormatFloat(s.ScaleDownUtilizationThreshold, 'f', -1, 64),
		// They go with the node.
		"--ignore-daemonsets-utilization",
		// Nearly every pod has an emptyDir, and would hold its node for ever.
		"--skip-nodes-with-local-storage=false",
		// Says what it decides, but not what it looks at.
		"--v=2",
	}
}

// priorities renders what the priority expander reads: the highest number that a group's name matches counts.
func (s Settings) priorities() (string, error) {
	data, err := yaml.Marshal(map[int][]string{10: {".*"}, 50: {s.SpotGroups}})
	if err != nil {
		return "", fmt.Errorf("marshalling priorities: %w", err)
	}
	return string(data), nil
}

// clusterRules is what it watches, the simulated scheduler included, and what it does to nodes and pods. Upstream's example allows more:
// what an older release asked for.
func clusterRules() []kube.Rule {
	watch := []string{"list", "watch"}
	return []kube.Rule{
		{Resources: []string{"events"}, Verbs: []string{"create", "patch"}},
		{Resources: []string{"nodes"}, Verbs: []string{"get", "list", "watch", "update"}},
		{Resources: []string{"pods"}, Verbs: []string{"get", "list", "watch"}},
		{Resources: []string{"pods/eviction"}, Verbs: []string{"create"}},
		{
			Resources: []string{"namespaces", "persistentvolumeclaims", "persistentvolumes", "replicationcontrollers", "services"},
			Verbs:     watch,
		},
		{Group: "apps", Resources: []string{"daemonsets", "replicasets", "statefulsets"}, Verbs: watch},
		{Group: "batch", Resources: []string{"jobs"}, Verbs: watch},
		{Group: "policy", Resources: []string{"poddisruptionbudgets"}, Verbs: watch},
		{Group: "resource.k8s.io", Resources: []string{"deviceclasses", "resourceclaims", "resourceslices"}, Verbs: watch},
		{
			Group:     "storage.k8s.io",
			Resources: []string{"csidrivers", "csinodes", "csistoragecapacities", "storageclasses", "volumeattachments"},
			Verbs:     watch,
		},
	}
}

// namespaceRules is for leadership, status and priorities. What is created or watched cannot be restricted to a name.
func (s Settings) namespaceRules() []kube.Rule {
	rules := []kube.Rule{
		{Group: "coordination.k8s.io", Resources: []string{"leases"}, Verbs: []string{"create"}},
		{Group: "coordination.k8s.io", Resources: []string{"leases"}, Names: []string{lease}, Verbs: []string{"get", "update"}},
		{Resources: []string{"configmaps"}, Verbs: []string{"create"}},
		{Resources: []string{"configmaps"}, Names: []string{statusConfigMap}, Verbs: []string{"get", "update", "delete"}},
	}
	if s.Expander == Priority {
		rules = append(rules, kube.Rule{Resources: []string{"configmaps"}, Verbs: []string{"list", "watch"}})
	}
	return rules
}
