package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kansoku/kansoku/components/collector"
	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/loki"
)

// alert is one alert before its values are filled in: $threshold, $window, $namespace and $host stand for them, in the expression and in
// what it says. ($labels and $value are Prometheus' own.)
type alert struct {
	name     string
	severity string
	// hold is how long the expression must hold: "for".
	hold string
	// threshold, and in words what it counts; none without the words.
	threshold float64
	counts    string
	// window that is looked back over; none if empty.
	window string
	expr   string
	// summary has no values, so that it groups; description has them.
	summary, description string
	// runbook is a file in docs/runbooks, without ".md". Alerts that show the same failure share one.
	runbook string
}

// record is a series that is computed once for many readers.
type record struct {
	name, expr string
	// why it is kept.
	why string
}

// group is what one subject has. Its name is the label "area" of its alerts, which routes and dashboards go by.
type group struct {
	name, about string
	records     []record
	alerts      []alert
	// onLogs says that the expressions are LogQL, for Loki's ruler.
	onLogs bool
}

// everything is the catalogue of a stack that has all parts.
func everything() []group { return catalogue(Args{}.withDefaults()) }

// catalogue is what there is to say about the parts that a stack has.
func catalogue(a Args) []group {
	groups := []group{
		stackGroup(jobs(a)), nodesGroup(), clusterGroup(), workloadsGroup(), volumesGroup(), spotGroup(a.NoAutoscaler), metricsGroup(a),
		thanosGroup(),
	}
	if !a.NoLogs {
		groups = append(groups, lokiGroup(), collectionGroup())
	}
	groups = append(groups, costGroup())
	if !a.NoLogs {
		groups = append(groups, logsGroup(a.MustLog))
	}
	return groups
}

// job is a part of the stack or of the cluster by the name that its targets have.
type job struct {
	name, namespace string
	// core parts are missed at once; the others can wait for the morning.
	core bool
	// more tells the targets apart that are called the same.
	more string
}

// jobs are the parts that a stack has: each must have a target that answers.
func jobs(a Args) []job {
	all := []job{
		{"apiserver", "default", true, ""},
		{"kubelet", "kube-system", true, `,metrics_path="/metrics"`},
		{"coredns", "kube-system", true, ""},
		{"node-exporter", "$host", true, ""},
		// Its metrics of the cluster, not those of its own process: their targets have no namespace, because they have those of the objects.
		{"kube-state-metrics", "", true, ""},
		{"prometheus-k8s", "$namespace", true, `,endpoint="web"`},
		{"alertmanager-main", "$namespace", true, `,endpoint="web"`},
		{"prometheus-operator", "$namespace", false, ""},
		{"prometheus-adapter", "$namespace", false, ""},
		{"thanos-sidecar", "$namespace", false, ""},
		{"thanos-store", "$namespace", false, ""},
		{"thanos-query", "$namespace", false, ""},
		{"thanos-query-frontend", "$namespace", false, ""},
		{"thanos-compact", "$namespace", false, ""},
		{"thanos-bucket-web", "$namespace", false, ""},
		{"grafana", "$namespace", false, ""},
	}
	all = slices.DeleteFunc(all, func(j job) bool {
		return a.NoOperator && j.name == "prometheus-operator" || a.NoGrafana && j.name == "grafana"
	})
	if !a.NoLogs {
		all = append(all,
			job{"loki", "$namespace", true, ""}, job{a.Collector, "$host", true, ""}, job{"event-exporter", "$namespace", false, ""})
	}
	if !a.NoAutoscaler {
		all = append(all, job{"cluster-autoscaler", "$namespace", false, ""})
	}
	return all
}

// render gives the groups of Prometheus. The settings are valid and hold their defaults.
func (a Args) render(namespace, host string) []monitoringv1.RuleGroup {
	var groups []monitoringv1.RuleGroup
	for _, g := range catalogue(a) {
		if g.onLogs {
			continue
		}
		one := monitoringv1.RuleGroup{Name: g.name}
		// The records come first: the alerts after them see what they have just written.
		for _, r := range g.records {
			expr := strings.NewReplacer("$namespace", namespace, "$host", host).Replace(r.expr)
			one.Rules = append(one.Rules, monitoringv1.Rule{Record: r.name, Expr: intstr.FromString(expr)})
		}
		for _, f := range a.filled(g, namespace, host) {
			hold := monitoringv1.Duration(f.hold)
			rule := monitoringv1.Rule{Alert: f.name, Expr: intstr.FromString(f.expr), Labels: f.labels(g), Annotations: a.annotations(f, g)}
			if hold != "0s" {
				rule.For = &hold
			}
			one.Rules = append(one.Rules, rule)
		}
		if len(one.Rules) > 0 {
			groups = append(groups, one)
		}
	}
	return groups
}

// Logs gives the alerts on logs of valid settings, for loki.Args.Rules. The namespaces are those of the stack and of what reads its
// host; the cluster becomes a label, as Prometheus adds it to its own alerts.
func Logs(settings Settings, namespace, host, cluster string) []loki.RuleGroup {
	a := Args{Settings: settings}.withDefaults()
	var groups []loki.RuleGroup
	for _, g := range catalogue(a) {
		if !g.onLogs {
			continue
		}
		// Loki reads all that a query selects each time, the index in DynamoDB with it: no more often than windows of 5m need to overlap.
		one := loki.RuleGroup{Name: g.name, Interval: "2m"}
		for _, f := range a.filled(g, namespace, host) {
			labels := f.labels(g)
			labels["cluster"] = cluster
			one.Rules = append(one.Rules, loki.Rule{
				Alert: f.name, Expr: f.expr, For: f.hold, Labels: labels, Annotations: a.annotations(f, g),
			})
		}
		if len(one.Rules) > 0 {
			groups = append(groups, one)
		}
	}
	return groups
}

// filled are the alerts of a group that are not disabled, as the settings want them and with all values in place.
func (s Settings) filled(g group, namespace, host string) []alert {
	var all []alert
	for _, f := range g.alerts {
		if slices.Contains(s.Disabled, f.name) {
			continue
		}
		if i := slices.IndexFunc(s.Alerts, func(a Alert) bool { return a.Name == f.name }); i >= 0 {
			change := s.Alerts[i]
			f.hold, f.window, f.severity = cmp.Or(change.For, f.hold), cmp.Or(change.Window, f.window), cmp.Or(change.Severity, f.severity)
			if change.Threshold != nil {
				f.threshold = *change.Threshold
			}
		}
		values := strings.NewReplacer("$threshold", strconv.FormatFloat(f.threshold, 'f', -1, 64), "$window", f.window,
			"$namespace", namespace, "$host", host)
		f.expr, f.description = values.Replace(f.expr), values.Replace(f.description)
		all = append(all, f)
	}
	return all
}

func (f alert) labels(g group) map[string]string {
	return map[string]string{"severity": f.severity, "area": g.name}
}

func (s Settings) annotations(f alert, g group) map[string]string {
	all := map[string]string{
		"summary": f.summary, "description": f.description, "runbook_url": strings.TrimSuffix(s.RunbookBase, "/") + "/" + f.runbook + ".md",
	}
	if s.GrafanaURL != "" {
		all["dashboard_url"] = strings.TrimSuffix(s.GrafanaURL, "/") + "/d/" + g.dashboard()
	}
	return all
}

// dashboard is the uid of the one that shows a group's subject, as package dashboards has it.
func (g group) dashboard() string {
	switch g.name {
	case "stack", "cost":
		return kube.PartOf + "-overview"
	case "metrics":
		return kube.PartOf + "-prometheus"
	default:
		return kube.PartOf + "-" + g.name
	}
}

// lines joins the parts of an expression.
func lines(parts ...string) string { return strings.Join(parts, "\n") }

// either holds where one of the expressions does.
func either(expressions ...string) string { return strings.Join(expressions, "\nor\n") }

// with gives all series of an expression the same label.
func with(label, value, expr string) string {
	return fmt.Sprintf("label_replace(\n%s,\n%q, %q, \"\", \"\")", expr, label, value)
}

// because says in the label "reason" which of several failures it is.
func because(reason, expr string) string { return with("reason", reason, expr) }

// rising holds while a counter rises.
func rising(by, counter string) string {
	return fmt.Sprintf("sum by (%s) (increase(%s[$window])) > 0", by, counter)
}

// Selectors of whom a series is from. A kubelet has three targets; kube-state-metrics' series change their label "instance" when its pod
// does, so that all that is made of them is aggregated without it: an alert would begin anew.
const (
	state   = `job="kube-state-metrics"`
	machine = `job="node-exporter"`
	kubelet = `job="kubelet",metrics_path="/metrics"`
)

// perNode makes the node exporter's "instance", which is the node's name, the label "node" that all other series have, and keeps the others
// that are named.
func perNode(expr string, labels ...string) string {
	by := strings.Join(append([]string{"node"}, labels...), ", ")
	return lines("max by ("+by+") (label_replace(", expr+",", `"node", "$1", "instance", "(.+)"))`)
}

// onNode adds to an expression about pods the label "node" of the node that they are on, if any: the alert of a dead node keeps those of
// its pods quiet by it.
func onNode(expr string) string {
	return lines("("+expr+")", "* on (namespace, pod) group_left (node) node_namespace_pod:kube_pod_info:")
}

// collectors are the names of a metric in the programs that collect logs.
func collectors(names map[string]string, expr string) string {
	var both []string
	for _, kind := range []string{collector.Promtail, collector.Alloy} {
		both = append(both, strings.ReplaceAll(expr, "$metric", names[kind]))
	}
	return either(both...)
}
