package dashboards

import "github.com/grafana/grafana-foundation-sdk/go/units"

// overview answers whether everything is well, and what it costs.
func (o Options) overview() board {
	b := board{
		name: "overview", title: "Overview", about: "Is everything well, and what does it cost?", variables: base(),
		rows: []row{o.wellbeing(), o.capacity(), o.ingest(), o.costs()},
	}
	if o.logs() {
		b.variables = append(b.variables, logsSource())
		b.rows = append(b.rows, row{"Events", []panel{
			lines("Warnings of Kubernetes", "Events of type Warning, from the whole cluster.", `{app="event-exporter", level="warning"}`),
		}})
	}
	return b
}

func (o Options) wellbeing() row {
	firing := func(matchers ...string) string { return "ALERTS" + in(append(matchers, `alertstate="firing"`)...) }
	const told = `alertname!="Watchdog"`
	alerts := to("Alertmanager", "alertmanager")
	parts := in(`namespace=~"` + o.Namespace + `|` + o.HostNamespace + `"`)
	return row{"Is everything well?", []panel{
		number("Pages", units.Short, "Alerts that someone should look at now.", orZero("count("+firing(`severity="page"`)+")")).
			bad(1).leads(alerts).sized(3, 4),
		number("Tickets", units.Short, "Alerts that someone should look at on the next working day.",
			orZero("count("+firing(`severity="ticket"`)+")")).above(1, 10).leads(alerts).sized(3, 4),
		number("Watchdog", units.Short, "An alert that always fires: while it does, alerts get from Prometheus to Alertmanager. 0 is bad.",
			orZero("count("+firing(`alertname="Watchdog"`)+")")).below(1, 1).leads(alerts).sized(3, 4),
		number("Targets down", units.Short, "Targets of all monitors that do not answer Prometheus.", orZero("count(up"+in()+" == 0)")).
			bad(1).leads(to("Prometheus", "prometheus")).sized(3, 4),
		number("Nodes not ready", units.Short, "",
			orZero("count(kube_node_status_condition"+state(`condition="Ready"`, `status="true"`)+" == 0)")).
			bad(1).leads(to("Nodes", "nodes")).sized(3, 4),
		number("Pods not running", units.Short, "Pods that wait, failed, or are on a node that is gone.",
			orZero("sum(kube_pod_status_phase"+state(`phase=~"Pending|Failed|Unknown"`)+")")).above(1, 10).leads(to("Pods", "pods")).sized(3, 4),
		number("Restarts", units.Short, "Restarts of containers within the time that is shown.",
			"sum(increase(kube_pod_container_status_restarts_total"+state()+"[$__range]))").above(1, 20).leads(to("Pods", "pods")).sized(3, 4),
		number("Fullest volume", units.PercentUnit, "", "max(1 - kubelet_volume_stats_available_bytes"+kubelet()+
			" / kubelet_volume_stats_capacity_bytes"+kubelet()+")").above(0.8, 0.9).leads(to("Volumes", "volumes")).sized(3, 4),
		list("Alerts that fire", "All but the Watchdog, with how many series of each.", []string{"alertname", "severity", "namespace"},
			column{"Firing", units.Short, aggregate("count", "alertname, severity, namespace", firing(told)), nil}).sized(12, 8),
		list("Parts of the stack", "1 where every target of a job answers, 0 where one does not.", []string{"job"},
			column{"Up", units.Short, aggregate("min", "job", "up"+parts), []step{{0, red}, {1, green}}},
			column{"Targets", units.Short, aggregate("count", "job", "up"+parts), nil}).sized(12, 8),
	}}
}

func (o Options) capacity() row {
	allocatable := func(resource string) string {
		return sum("", "kube_node_status_allocatable"+state(`resource="`+resource+`"`))
	}
	return row{"Capacity", []panel{
		graph("CPU", units.Short, "Cores: what pods use, what they have reserved, and what nodes have for them.",
			query{sum("", o.podCPU()), "used"}, query{sum("", requested("cpu")), "requested"}, query{allocatable("cpu"), "allocatable"}).
			leads(to("Cluster", "cluster")).sized(8, 8),
		graph("Memory", units.BytesIEC, "What pods use, what they have reserved, and what nodes have for them.",
			query{sum("", o.podMemory()), "used"}, query{sum("", requested("memory")), "requested"}, query{allocatable("memory"), "allocatable"}).
			leads(to("Cluster", "cluster")).sized(8, 8),
		graph("Nodes", units.Short, "Nodes by zone; on spot, and others.",
			query{aggregate("count", "zone", o.spotNodes()), "spot {{zone}}"},
			query{"count(kube_node_info" + state() + " unless on (node) " + o.spotNodes() + ")", "not spot"}).
			leads(to("Spot", "spot")).stack().sized(8, 8),
	}}
}

func (o Options) ingest() row {
	r := row{"What comes in?", []panel{
		graph("Samples", units.CountsPerSecond, "Samples that each Prometheus stores. Both replicas store the same.",
			query{sum("pod", rate("prometheus_tsdb_head_samples_appended_total"+o.of("prometheus-k8s"))), "{{pod}}"}).
			leads(to("Prometheus", "prometheus")).sized(6, 7),
		graph("Series", units.Short, "Series that are written to at present.",
			query{sum("pod", "prometheus_tsdb_head_series"+o.of("prometheus-k8s")), "{{pod}}"}).leads(to("Prometheus", "prometheus")).sized(6, 7),
	}}
	if !o.logs() {
		return r
	}
	r.panels = append(r.panels,
		graph("Log lines", units.CountsPerSecond, "Lines that Loki takes.",
			query{sum("", rate("loki_distributor_lines_received_total"+o.of("loki"))), "lines"}).leads(to("Loki", "loki")).sized(6, 7),
		graph("Log bytes", units.BytesPerSecondIEC, "Bytes of lines that Loki takes, before compression.",
			query{sum("", rate("loki_distributor_bytes_received_total"+o.of("loki"))), "bytes"}).leads(to("Loki", "loki")).sized(6, 7))
	return r
}
