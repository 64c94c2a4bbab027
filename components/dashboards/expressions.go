package dashboards

import (
	"strings"

	"github.com/kansoku/kansoku/components/placement"
)

// rateWindow is what every rate is over: Grafana makes it four scrape intervals at least.
const rateWindow = "[$__rate_interval]"

// in selects by cluster and the given matchers.
func in(matchers ...string) string {
	return `{` + strings.Join(append([]string{`cluster="$cluster"`}, matchers...), ",") + `}`
}

// Selectors by whom a series is from. A kubelet has three targets.
func state(matchers ...string) string {
	return in(append([]string{`job="kube-state-metrics"`}, matchers...)...)
}

func machine(matchers ...string) string {
	return in(append([]string{`job="node-exporter"`}, matchers...)...)
}

func kubelet(matchers ...string) string {
	return in(append([]string{`job="kubelet"`, `metrics_path="/metrics"`}, matchers...)...)
}

func cadvisor(matchers ...string) string {
	return in(append([]string{`job="kubelet"`, `metrics_path="/metrics/cadvisor"`}, matchers...)...)
}

func server(matchers ...string) string {
	return in(append([]string{`job="apiserver"`}, matchers...)...)
}

func dns(matchers ...string) string { return in(append([]string{`job="coredns"`}, matchers...)...) }

// of selects what a part of the stack has about itself.
func (o Options) of(job string, matchers ...string) string {
	return in(append([]string{`job="` + job + `"`, `namespace="` + o.Namespace + `"`}, matchers...)...)
}

// rate per second of a counter.
func rate(series string) string { return "rate(" + series + rateWindow + ")" }

// sum of something by labels; over all of it without any.
func sum(by, expr string) string { return aggregate("sum", by, expr) }

func aggregate(how, by, expr string) string {
	if by == "" {
		return how + "(" + expr + ")"
	}
	return how + " by (" + by + ") (" + expr + ")"
}

// quantile of a histogram: 0.99 of the requests by label took at most so long. series is the histogram's name without _bucket, and its
// selector.
func quantile(q, by, name, selector string) string {
	return "histogram_quantile(" + q + ", " + sum(strings.TrimPrefix(by+", le", ", "), rate(name+"_bucket"+selector)) + ")"
}

// orZero is for counts of what may not be there: nothing is 0.
func orZero(expr string) string { return "(" + expr + ") or vector(0)" }

// share is what part of all is some, nothing where nothing happens.
func share(some, all string) string { return some + " / (" + all + " > 0)" }

// perNode makes the node exporter's "instance", which is the node's name, the label "node" that all other series have.
func perNode(expr string) string {
	return `label_replace(` + expr + `, "node", "$1", "instance", "(.+)")`
}

// podCPU is the CPU of each pod, in cores, by namespace and pod.
func (o Options) podCPU(matchers ...string) string {
	if o.NoRecords {
		return sum("namespace, pod", rate("container_cpu_usage_seconds_total"+cadvisor(append(matchers, `container!=""`)...)))
	}
	return "namespace_pod:container_cpu_usage:rate5m" + in(matchers...)
}

// podMemory is the memory of each pod that cannot be taken back, by namespace and pod.
func (o Options) podMemory(matchers ...string) string {
	if o.NoRecords {
		return sum("namespace, pod", "container_memory_working_set_bytes"+cadvisor(append(matchers, `container!=""`)...))
	}
	return "namespace_pod:container_memory_working_set_bytes:sum" + in(matchers...)
}

// owners are 1 for each pod of the workloads that the regular expression names, by namespace, pod, workload and kind of workload.
func (o Options) owners(space, workloads string) string {
	if !o.NoRecords {
		return "namespace_pod_workload:kube_pod_owner:info" + in(space, `workload=~"`+workloads+`"`)
	}
	rename := func(expr, to, from string) string {
		return `label_replace(` + expr + `, "` + to + `", "$1", "` + from + `", "(.+)")`
	}
	owned := func(metric, by string, matchers ...string) string {
		return aggregate("max", "namespace, "+by+", owner_kind, owner_name", metric+state(append([]string{space}, matchers...)...))
	}
	named := `owner_name=~"` + workloads + `"`
	deployments := rename(owned("kube_pod_owner", "pod", `owner_kind="ReplicaSet"`), "replicaset", "owner_name") +
		" * on (namespace, replicaset) group_left (workload, kind) " +
		rename(rename(owned("kube_replicaset_owner", "replicaset", `owner_kind="Deployment"`, named), "workload", "owner_name"), "kind", "owner_kind")
	others := rename(rename(owned("kube_pod_owner", "pod", `owner_kind=~"StatefulSet|DaemonSet|Job"`, named),
		"workload", "owner_name"), "kind", "owner_kind")
	return aggregate("max", "namespace, pod, workload, kind", deployments+" or "+others)
}

// nodeCPU and nodeMemory are the shares of a node that are in use, by node.
func (o Options) nodeCPU(nodes string) string {
	if o.NoRecords {
		return aggregate("max", "node", perNode("1 - avg by (instance) (sum without (mode) ("+
			rate("node_cpu_seconds_total"+machine(`mode=~"idle|iowait"`, `instance=~"`+nodes+`"`))+"))"))
	}
	return aggregate("max", "node", "node:node_cpu:ratio_rate5m"+in(`node=~"`+nodes+`"`))
}

func (o Options) nodeMemory(nodes string) string {
	if o.NoRecords {
		selector := machine(`instance=~"` + nodes + `"`)
		return aggregate("max", "node", perNode("1 - node_memory_MemAvailable_bytes"+selector+" / node_memory_MemTotal_bytes"+selector))
	}
	return aggregate("max", "node", "node:node_memory:ratio"+in(`node=~"`+nodes+`"`))
}

// spotNodes are 1 for each spot node, by node and zone.
func (o Options) spotNodes() string {
	if o.NoRecords {
		return aggregate("max", "node, zone", `label_replace(kube_node_labels`+state(`label_`+placement.SpotLabel+`="`+placement.SpotLabelValue+`"`)+
			`, "zone", "$1", "label_topology_kubernetes_io_zone", "(.+)")`)
	}
	return "node_zone:spot_nodes:info" + in()
}

// running keeps what is about pods that hold what they requested: a pod that has ended does not.
func running(perPod string) string {
	return perPod + ` * on (namespace, pod) group_left () (max by (namespace, pod) (kube_pod_status_phase` +
		state(`phase=~"Pending|Running"`) + `) == 1)`
}

// requested is what running pods have reserved, by namespace, pod.
func requested(resource string, matchers ...string) string {
	return running(sum("namespace, pod", "kube_pod_container_resource_requests"+state(append(matchers, `resource="`+resource+`"`)...)))
}

// stay keeps the source of data, the cluster and the time that are shown.
const stay = "&${datasource:queryparam}&${cluster:queryparam}&${__url_time_range}"

// with is the value of a variable of the dashboard that a link leads to.
type with struct{ variable, value string }

// to links to a dashboard.
func to(title, name string, variables ...with) link {
	var chosen []string
	for _, one := range variables {
		chosen = append(chosen, "var-"+one.variable+"="+one.value)
	}
	return link{title, "/d/" + uidPrefix + name + "?" + strings.Join(chosen, "&") + stay}
}

// label of the series that is pointed at.
func label(name string) string { return "${__field.labels." + name + "}" }

// cell of the same row of a table.
func cell(name string) string { return "${__data.fields." + name + "}" }

// toPod, toWorkload, toNamespace and toNode lead from what has these labels; value is label or cell.
func (o Options) toPod(value func(string) string) []link {
	return o.withLogs([]link{to("Pod", "pods", with{"namespace", value("namespace")}, with{"pod", value("pod")})}, value("namespace"), value("pod"))
}

func (o Options) toWorkload(value func(string) string) []link {
	return o.withLogs([]link{to("Workload", "workloads", with{"namespace", value("namespace")}, with{"workload", value("workload")})},
		value("namespace"), value("workload")+"-.*")
}

func (o Options) toNamespace(value func(string) string) []link {
	return o.withLogs([]link{to("Namespace", "namespaces", with{"namespace", value("namespace")})}, value("namespace"), everything)
}

func toNode(value func(string) string) link { return to("Node", "nodes", with{"node", value("node")}) }

// withLogs adds the way to the logs of the same namespace and pods.
func (o Options) withLogs(links []link, namespace, pods string) []link {
	if !o.logs() {
		return links
	}
	return append(links, link{
		"Logs", "/d/" + uidPrefix + "logs?var-namespace=" + namespace + "&var-pod=" + pods + "&${__url_time_range}",
	})
}

// Variables that several dashboards have.
func base() []variable {
	return []variable{metricsSource(), choice("cluster", "Cluster", `label_values(prometheus_build_info{job="prometheus-k8s"}, cluster)`)}
}

func namespaceVariable() variable {
	return choices("namespace", "Namespace", `label_values(kube_namespace_status_phase`+state()+`, namespace)`)
}
