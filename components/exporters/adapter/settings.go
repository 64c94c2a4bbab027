package adapter

import (
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/internal/check"
)

// maxReplicas is far above what serves.
const maxReplicas = 10

// Settings are what a stack may say about the adapter.
type Settings struct {
	// Replicas that answer. 1 to 10. Default: 2.
	Replicas int `pulumi:"replicas,optional"`
	// Rules make custom metrics of pods, namespaces and other objects out of series, beside the default rules. No two rules may make the
	// same metric of the same kind of object. Default: none.
	Rules []Rule `pulumi:"rules,optional"`
	// NoDefaultRules leaves out the rules that every stack has: http_requests_total and grpc_server_handled_total of pods as
	// http_requests_per_second and grpc_server_handled_per_second. They are few because the adapter reads all series that a rule matches,
	// every minute. CPU and memory are not among them: they are resource metrics. Without any rule there is no custom metrics API.
	NoDefaultRules bool `pulumi:"noDefaultRules,optional"`
	// ExternalRules make external metrics, which belong to no object. Default: none, and no external metrics API.
	ExternalRules []Rule `pulumi:"externalRules,optional"`
	// ResourceMetrics serves CPU and memory of pods and nodes (`kubectl top`, autoscaling on CPU), from the series of the kubelet
	// (cAdvisor) and of the node exporter, whose instance must be the node's name. Default: false, as metrics-server, an EKS add-on, does.
	ResourceMetrics bool `pulumi:"resourceMetrics,optional"`
	// Window over which default rules and CPU are averaged, as a Prometheus duration: 1m to 1h, and at least four times the scrape interval,
	// so that a missed scrape leaves a rate. Default: 2m.
	Window string `pulumi:"window,optional"`
	// Resources of each replica. Default: 20m CPU, 64Mi memory, limit 256Mi (0.011 cores and 30Mi in the lab).
	Resources kube.Resources `pulumi:"resources,optional"`
	// RequireZones keeps a replica Pending rather than having two more in one zone than in another. Default: spread as far as it goes.
	RequireZones bool `pulumi:"requireZones,optional"`
}

// Rule makes metrics out of series.
type Rule struct {
	// SeriesQuery selects the series, as a PromQL selector: `{__name__=~"queue_.+",namespace!="",pod!=""}`. Required.
	SeriesQuery string `pulumi:"seriesQuery"`
	// Resources are the kinds of objects that have the metric, by the label that holds the object's name: "pod": {name: pods}. Required. A
	// rule for objects that are in a namespace needs the namespace's label too ("namespace": {name: namespaces}), as does an external rule
	// unless it is ClusterWide.
	Resources map[string]Resource `pulumi:"resources,optional"`
	// Name of the metric. Default: the series' name.
	Name Name `pulumi:"name,optional"`
	// MetricsQuery gives the values, as a template of PromQL with <<.Series>>, <<.LabelMatchers>> and <<.GroupBy>> (also
	// <<.LabelValuesByName>> and <<.GroupBySlice>>): `sum by (<<.GroupBy>>) (<<.Series>>{<<.LabelMatchers>>})`. Required.
	MetricsQuery string `pulumi:"metricsQuery"`
	// ClusterWide, in external rules only, asks for the metric without the namespace of who asks. Default: false.
	ClusterWide bool `pulumi:"clusterWide,optional"`
}

// Resource is a kind of Kubernetes objects. The adapter gets the right to list them.
type Resource struct {
	// Group of the API ("apps"). Default: the core group.
	Group string `pulumi:"group,optional"`
	// Name in the plural ("pods"). Required.
	Name string `pulumi:"name"`
}

// Name says how a metric is called.
type Name struct {
	// Matches is a regular expression of the series' names; other series are left out. Default: all.
	Matches string `pulumi:"matches,optional"`
	// As is the metric's name, in which $1 or ${1} is what Matches captured. Default: the only capture, else the series' name.
	As string `pulumi:"as,optional"`
}

// WithDefaults fills what is not set.
func (s Settings) WithDefaults() Settings {
	if s.Replicas == 0 {
		s.Replicas = 2
	}
	if s.Window == "" {
		s.Window = "2m"
	}
	s.Resources = s.Resources.Or(kube.Resources{CPU: "20m", Memory: "64Mi", MemoryLimit: "256Mi"})
	return s
}

// Validate checks the settings, defaults filled in.
func (s Settings) Validate() error {
	var errs check.Errors
	errs.Require(s.Replicas >= 1 && s.Replicas <= maxReplicas, "replicas", s.Replicas, "must be between 1 and %d", maxReplicas)
	errs.Require(!s.RequireZones || s.Replicas > 1, "requireZones", s.RequireZones, "must not be set for a single replica")
	for i, rule := range s.Rules {
		errs.Under(fmt.Sprintf("rules[%d]", i), rule.validate(false))
	}
	for i, rule := range s.ExternalRules {
		errs.Under(fmt.Sprintf("externalRules[%d]", i), rule.validate(true))
	}
	serves := !s.NoDefaultRules || len(s.Rules) > 0 || len(s.ExternalRules) > 0 || s.ResourceMetrics
	errs.Require(serves, "noDefaultRules", s.NoDefaultRules,
		"must not be set without rules, externalRules or resourceMetrics: nothing would be served")
	window, err := check.ParseDuration(s.Window)
	errs.Require(err == nil && window >= time.Minute && window <= time.Hour, "window", s.Window,
		`must be a Prometheus duration between 1m and 1h, such as "2m"`)
	errs.Under("resources", s.Resources.Validate())
	return errs.Err()
}

var (
	labelName     = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
	pluralName    = regexp.MustCompile(`^[a-z][a-z0-9-]*s$`)
	namespaceKind = Resource{Name: "namespaces"}
)

func (r Rule) validate(external bool) error {
	var errs check.Errors
	errs.Require(strings.TrimSpace(r.SeriesQuery) != "", "seriesQuery", r.SeriesQuery, "must not be empty")
	for _, label := range slices.Sorted(maps.Keys(r.Resources)) {
		resource, key := r.Resources[label], "resources."+label
		errs.Require(labelName.MatchString(label), key, label, "must be the name of a label")
		errs.Require(resource.Group == "" || len(validation.IsDNS1123Subdomain(resource.Group)) == 0, key+".group", resource.Group,
			`must be an API group, such as "apps"`)
		errs.Require(pluralName.MatchString(resource.Name), key+".name", resource.Name, `must be a kind of objects in the plural, such as "pods"`)
	}
	namespaced := slices.Contains(slices.Collect(maps.Values(r.Resources)), namespaceKind)
	if external {
		errs.Require(namespaced != r.ClusterWide, "clusterWide", r.ClusterWide,
			"must be set unless resources has the label of namespaces, and only then")
	} else {
		errs.Require(len(r.Resources) > 0, "resources", r.Resources, "must name a kind of objects")
		errs.Require(!r.ClusterWide, "clusterWide", r.ClusterWide, "must be set in external rules only")
	}
	r.Name.validate(&errs)
	if err := parseQuery(r.MetricsQuery); err != nil || strings.TrimSpace(r.MetricsQuery) == "" {
		errs.Require(false, "metricsQuery", r.MetricsQuery, "must be a template of <<.Series>>, <<.LabelMatchers>> and <<.GroupBy>>")
	}
	return errs.Err()
}

func (n Name) validate(errs *check.Errors) {
	matches, err := regexp.Compile(n.Matches)
	if err != nil {
		errs.Require(false, "name.matches", n.Matches, "must be a regular expression")
		return
	}
	errs.Require(n.As != "" || matches.NumSubexp() < 2, "name.as", n.As, "must be set where name.matches captures more than one part")
}

// parseQuery reads and tries a template as the adapter will, which exits on what it cannot read and fails, later, on an unknown field.
func parseQuery(query string) error {
	parsed, err := template.New("").Delims("<<", ">>").Parse(query)
	if err != nil {
		return err
	}
	return parsed.Execute(io.Discard, struct {
		Series, LabelMatchers, GroupBy string
		LabelValuesByName              map[string]string
		GroupBySlice                   []string
	}{GroupBySlice: []string{"namespace", "pod"}})
}
