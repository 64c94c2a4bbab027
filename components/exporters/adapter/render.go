package adapter

import (
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/kansoku/kansoku/components/kube"
)

// discovery is the adapter's configuration file, as far as it is used.
type discovery struct {
	Rules         []discoveryRule `json:"rules,omitempty"`
	ExternalRules []discoveryRule `json:"externalRules,omitempty"`
	ResourceRules *resourceRules  `json:"resourceRules,omitempty"`
}

type discoveryRule struct {
	SeriesQuery  string       `json:"seriesQuery"`
	Resources    mapping      `json:"resources"`
	Name         *nameMapping `json:"name,omitempty"`
	MetricsQuery string       `json:"metricsQuery"`
}

type mapping struct {
	Overrides  map[string]groupResource `json:"overrides,omitempty"`
	Namespaced *bool                    `json:"namespaced,omitempty"`
}

type groupResource struct {
	Group    string `json:"group,omitempty"`
	Resource string `json:"resource"`
}

type nameMapping struct {
	Matches string `json:"matches,omitempty"`
	As      string `json:"as,omitempty"`
}

type resourceRules struct {
	CPU    resourceRule `json:"cpu"`
	Memory resourceRule `json:"memory"`
	Window string       `json:"window"`
}

type resourceRule struct {
	ContainerQuery string  `json:"containerQuery"`
	NodeQuery      string  `json:"nodeQuery"`
	Resources      mapping `json:"resources"`
	ContainerLabel string  `json:"containerLabel"`
}

// allRules are the default rules and the stack's own.
func (s Settings) allRules() []Rule {
	if s.NoDefaultRules {
		return s.Rules
	}
	return append([]Rule{{
		SeriesQuery: `{__name__=~"http_requests_total|grpc_server_handled_total",namespace!="",pod!=""}`,
		Resources:   map[string]Resource{"namespace": namespaceKind, "pod": {Name: "pods"}},
		// The braces matter: "$1_per_second" would be a capture of that name.
		Name:         Name{Matches: "^(.*)_total$", As: "${1}_per_second"},
		MetricsQuery: fmt.Sprintf("sum by (<<.GroupBy>>) (rate(<<.Series>>{<<.LabelMatchers>>}[%s]))", s.Window),
	}}, s.Rules...)
}

// render makes the configuration file of valid settings.
func (s Settings) render() ([]byte, error) {
	var file discovery
	for _, rule := range s.allRules() {
		file.Rules = append(file.Rules, rule.discovery())
	}
	for _, rule := range s.ExternalRules {
		file.ExternalRules = append(file.ExternalRules, rule.discovery())
	}
	if s.ResourceMetrics {
		file.ResourceRules = s.resourceRules()
	}
	return yaml.Marshal(file)
}

func (r Rule) discovery() discoveryRule {
	rule := discoveryRule{SeriesQuery: r.SeriesQuery, MetricsQuery: r.MetricsQuery}
	for label, resource := range r.Resources {
		if rule.Resources.Overrides == nil {
			rule.Resources.Overrides = map[string]groupResource{}
		}
		rule.Resources.Overrides[label] = groupResource{Group: resource.Group, Resource: resource.Name}
	}
	if r.ClusterWide {
		namespaced := false
		rule.Resources.Namespaced = &namespaced
	}
	if r.Name != (Name{}) {
		rule.Name = &nameMapping{Matches: r.Name.Matches, As: r.Name.As}
	}
	return rule
}

// resourceRules ask for nodes by instance, which our monitor of the node exporter makes the node's name. (kube-prometheus asks for CPU by a
// label node, which it joins on from kube_pod_info with a recording rule: without that rule, nodes have no CPU.)
func (s Settings) resourceRules() *resourceRules {
	const cadvisor = `job="kubelet",metrics_path="/metrics/cadvisor",container!="",pod!=""`
	rule := func(containers, nodes string) resourceRule {
		return resourceRule{
			ContainerQuery: "sum by (<<.GroupBy>>) (" + containers + ")", NodeQuery: "sum by (<<.GroupBy>>) (" + nodes + ")",
			Resources: mapping{Overrides: map[string]groupResource{
				"instance": {Resource: "nodes"}, "namespace": {Resource: "namespaces"}, "pod": {Resource: "pods"},
			}},
			ContainerLabel: "container",
		}
	}
	return &resourceRules{
		CPU: rule(
			fmt.Sprintf(`rate(container_cpu_usage_seconds_total{%s,<<.LabelMatchers>>}[%s])`, cadvisor, s.Window),
			fmt.Sprintf(`1 - rate(node_cpu_seconds_total{job="node-exporter",mode="idle",<<.LabelMatchers>>}[%s])`, s.Window)),
		Memory: rule(
			fmt.Sprintf(`container_memory_working_set_bytes{%s,<<.LabelMatchers>>}`, cadvisor),
			`node_memory_MemTotal_bytes{job="node-exporter",<<.LabelMatchers>>} - `+
				`node_memory_MemAvailable_bytes{job="node-exporter",<<.LabelMatchers>>}`),
		Window: s.Window,
	}
}

// api is one of the metrics APIs. Readers use the verbs in reading: to ask for a metric by its path is a get where the path ends in a name
// ("*" is one), else a list.
type api struct {
	group    string
	versions []string // the preferred last
	reading  kube.Rule
}

// apis are what the settings have something to answer for.
func (s Settings) apis() []api {
	var served []api
	add := func(group string, versions, resources []string, verbs ...string) {
		served = append(served, api{group, versions, kube.Rule{Group: group, Resources: resources, Verbs: verbs}})
	}
	if len(s.allRules()) > 0 {
		add("custom.metrics.k8s.io", []string{"v1beta1", "v1beta2"}, []string{"*"}, "get")
	}
	if len(s.ExternalRules) > 0 {
		add("external.metrics.k8s.io", []string{"v1beta1"}, []string{"*"}, "list")
	}
	if s.ResourceMetrics {
		add("metrics.k8s.io", []string{"v1beta1"}, []string{"nodes", "pods"}, "get", "list")
	}
	return served
}

// rules are the adapter's rights on objects: it lists those that a selector asks for, and keeps up with pods and nodes for their resources.
func (s Settings) rules() []kube.Rule {
	var rules []kube.Rule
	for _, rule := range s.allRules() {
		for _, resource := range rule.Resources {
			at := slices.IndexFunc(rules, func(r kube.Rule) bool { return r.Group == resource.Group })
			if at < 0 {
				at = len(rules)
				rules = append(rules, kube.Rule{Group: resource.Group, Verbs: []string{"list"}})
			}
			if !slices.Contains(rules[at].Resources, resource.Name) {
				rules[at].Resources = append(rules[at].Resources, resource.Name)
			}
		}
	}
	for _, rule := range rules {
		slices.Sort(rule.Resources)
	}
	slices.SortFunc(rules, func(a, b kube.Rule) int { return strings.Compare(a.Group, b.Group) })
	if s.ResourceMetrics {
		rules = append(rules, kube.Rule{Resources: []string{"nodes", "pods"}, Verbs: []string{"list", "watch"}})
	}
	return rules
}

// flags are the same for all settings.
func flags() []string {
	return []string{
		fmt.Sprintf("--secure-port=%d", HTTPSPort),
		"--cert-dir=" + certDir,
		// API server, kubelet and Prometheus all speak it, so that there is no list of ciphers to keep.
		"--tls-min-version=VersionTLS13",
		"--config=" + configDir + "/" + configFile,
		"--prometheus-url=$(" + urlVariable + ")",
		// A new metric is found within a minute, and one that was not scraped stays for as long as Prometheus shows its last value.
		"--metrics-relist-interval=1m",
		"--metrics-max-age=5m",
	}
}
