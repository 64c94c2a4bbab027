package collector

// Labels that lines may have.
const (
	labelNamespace = "namespace"
	labelApp       = "app"
	labelContainer = "container"
	labelPod       = "pod"
	labelNode      = "node"
	labelInstance  = "instance"
	labelComponent = "component"
	labelStream    = "stream"
	labelLevel     = "level"
	labelCluster   = "cluster"
	labelFilename  = "filename"
)

// JournalMatches are the entries of the nodes' journal that are read. Matches on one field are alternatives (sd_journal_add_match).
const JournalMatches = "_SYSTEMD_UNIT=kubelet.service _SYSTEMD_UNIT=containerd.service"

// JournalMaxAge is how far back the journal is read at first, and after a time without a collector.
const JournalMaxAge = "24h"

// Rule makes a label from others, as Prometheus' relabelling does. Both programs read it with these names and the same defaults.
type Rule struct {
	// Sources are joined by Separator. Default separator: ";".
	Sources   []string `json:"source_labels,omitempty"`
	Separator string   `json:"separator,omitempty"`
	// Regex must match the whole; else nothing happens. Default: "(.*)".
	Regex string `json:"regex,omitempty"`
	// Target is set to Replacement. Default replacement: "$1".
	Target      string `json:"target_label,omitempty"`
	Replacement string `json:"replacement,omitempty"`
	// Action. Default: replace.
	Action string `json:"action,omitempty"`
}

const (
	meta       = "__meta_kubernetes_"
	metaLabel  = meta + "pod_label_"
	controller = "__tmp_controller"
	// firstSet is the first of several sources, joined by semicolons, that is not empty.
	firstSet = `^;*([^;]+)(;.*)?$`
)

// PodRules are the labels of each container's lines, and where its files are.
func (l Labels) PodRules() []Rule {
	rules := []Rule{
		// A Deployment's pods belong to a ReplicaSet with a hash in its name, a CronJob's to a Job with a time: neither is stable.
		{Sources: []string{meta + "pod_controller_name"}, Regex: `([0-9a-z-.]+?)(-[0-9a-f]{8,10})?`, Target: controller},
		{
			Sources: []string{metaLabel + "app_kubernetes_io_name", metaLabel + "app", controller, meta + "pod_name"},
			Regex:   firstSet, Target: labelApp,
		},
		{Sources: []string{meta + "namespace"}, Target: labelNamespace},
		{Sources: []string{meta + "pod_container_name"}, Target: labelContainer},
	}
	for _, optional := range []struct {
		kept bool
		rule Rule
	}{
		{!l.NoPod, Rule{Sources: []string{meta + "pod_name"}, Target: labelPod}},
		{l.Node, Rule{Sources: []string{meta + "pod_node_name"}, Target: labelNode}},
		{l.Instance, Rule{
			Sources: []string{metaLabel + "app_kubernetes_io_instance", metaLabel + "instance"}, Regex: firstSet, Target: labelInstance,
		}},
		{l.Component, Rule{
			Sources: []string{metaLabel + "app_kubernetes_io_component", metaLabel + "component"}, Regex: firstSet, Target: labelComponent,
		}},
	} {
		if optional.kept {
			rules = append(rules, optional.rule)
		}
	}
	const hash = "kubernetes_io_config_hash"
	return append(rules,
		// The kubelet's directories are NAMESPACE_POD_UID/CONTAINER.
		Rule{
			Sources: []string{meta + "pod_uid", meta + "pod_container_name"}, Separator: "/",
			Replacement: PodLogs + "/*$1/*.log", Target: "__path__",
		},
		// A static pod has its configuration's hash in place of the UID.
		Rule{
			Sources: []string{
				meta + "pod_annotationpresent_" + hash, meta + "pod_annotation_" + hash, meta + "pod_container_name",
			},
			Separator: "/", Regex: "true/(.*)", Replacement: PodLogs + "/*$1/*.log", Target: "__path__",
		},
	)
}

// JournalRules are the labels of the journal's entries: the unit as app, and the node, without which they mean nothing.
func JournalRules() []Rule {
	return []Rule{
		{Sources: []string{"__journal__systemd_unit"}, Regex: `(.+)\.service`, Target: labelApp},
		{Sources: []string{"__journal__hostname"}, Target: labelNode},
		// Alloy adds its component's name.
		{Action: "labeldrop", Regex: "job"},
	}
}

// ExternalLabels are on every line; nil if none are.
func (a Args) ExternalLabels() map[string]string {
	if a.Cluster == "" {
		return nil
	}
	return map[string]string{labelCluster: a.Cluster}
}
