package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/units"

	"github.com/kansoku/kansoku/components/placement"
)

// spot shows the nodes that AWS may take back.
func (o Options) spot() board {
	const typed = "label_node_kubernetes_io_instance_type"
	const zoned = "label_topology_kubernetes_io_zone"
	const spots = `label_` + placement.SpotLabel + `="` + placement.SpotLabelValue + `"`
	ready := aggregate("max", "node", "kube_node_status_condition"+state(`condition="Ready"`, `status="true"`)) + " == 1"
	allocatable := func(resource string) string {
		return aggregate("max", "node", "kube_node_status_allocatable"+state(`resource="`+resource+`"`))
	}
	onSpot := " and on (node) " + o.spotNodes()
	requests := func(resource string) string {
		return aggregate("sum", "node", "kube_pod_container_resource_requests"+state(`resource="`+resource+`"`, `node!=""`))
	}
	// As the alert SpotNodesReclaimed counts, over an hour.
	gone := "max by (node, zone) (max_over_time((" + o.spotNodes() + ")[1h:1m])) unless on (node) " + o.spotNodes() +
		" unless on (node) max_over_time(kube_node_spec_taint" + state(`key="ToBeDeletedByClusterAutoscaler"`) + "[1h])"
	zone := func(perNode string) string {
		return sum("zone", "("+perNode+") * on (node) group_left (zone) "+o.spotNodes())
	}
	b := board{
		name: "spot", title: "Spot", about: "Is there spot capacity in each zone, of which types, and what is taken back?", variables: base(),
		rows: []row{
			{"Capacity", []panel{
				number("Spot nodes", units.Short, "", orZero("count("+o.spotNodes()+")")),
				number("Other nodes", units.Short, "", orZero("count(kube_node_info"+state()+" unless on (node) "+o.spotNodes()+")")),
				number("On spot", units.PercentUnit, "Share of the CPU that nodes have for pods.",
					"sum("+allocatable("cpu")+onSpot+") / sum("+allocatable("cpu")+")"),
				number("Zones with spot", units.Short, "Zones with a spot node that is ready.",
					orZero("count(count by (zone) ("+o.spotNodes()+" and on (node) "+ready+"))")),
				number("Pods without a node", units.Short, "Pods for which there is no room anywhere.",
					orZero("sum(kube_pod_status_unschedulable"+state()+")")).bad(1),
				number("Taken back", units.Short, "Spot nodes of the last hour that are gone without the autoscaler having removed them.",
					orZero("count("+gone+")")).above(1, 3),
				graph("Nodes by zone", units.Short, "", query{aggregate("count", "zone", o.spotNodes()), "{{zone}}"}).stack().sized(8, 8),
				graph("Nodes by instance type", units.Short, "Of several types, not all are taken back at once.",
					query{aggregate("count", typed, "max by (node, "+typed+") (kube_node_labels"+state(spots)+")"), "{{" + typed + "}}"}).
					stack().sized(8, 8),
				graph("CPU by zone", units.Short, "Cores that spot nodes have for pods.", query{zone(allocatable("cpu")), "{{zone}}"}).stack().sized(8, 8),
				list("Zones and types", "", []string{zoned, typed},
					column{
						"Nodes", units.Short,
						aggregate("count", zoned+", "+typed, "max by (node, "+zoned+", "+typed+") (kube_node_labels"+state(spots)+")"), nil,
					}).
					sized(12, 8),
				list("Spot nodes by age", "", []string{"node", "zone"},
					column{
						"Age", units.DurationSeconds,
						"time() - max by (node) (kube_node_created" + state() + ") * on (node) group_left (zone) " + o.spotNodes(), nil,
					}).
					sized(12, 8).leads(toNode(cell)),
			}},
			{"Is there room, if a zone loses some?", []panel{
				graph("CPU requested by zone", units.PercentUnit, "Of what the zone's spot nodes have for pods.",
					query{zone(requests("cpu")) + " / " + zone(allocatable("cpu")), "{{zone}}"}).ratio().above(0.85, 0.95),
				graph("Memory requested by zone", units.PercentUnit, "Of what the zone's spot nodes have for pods.",
					query{zone(requests("memory")) + " / " + zone(allocatable("memory")), "{{zone}}"}).ratio().above(0.85, 0.95),
			}},
			{"What is taken back", []panel{
				graph("Taken back by zone", units.Short, "Spot nodes of the last hour that are gone without the autoscaler having removed them.",
					query{"count by (zone) (" + gone + ")", "{{zone}}"}),
				graph("Pods without a node", units.Short, "", query{sum("namespace", "kube_pod_status_unschedulable"+state()), "{{namespace}}"}).
					stack().leads(o.toNamespace(label)...),
			}},
		},
	}
	if o.Autoscaler {
		b.rows = append(b.rows, o.scaling())
	}
	if o.logs() {
		b.variables = append(b.variables, logsSource())
		b.rows = append(b.rows, row{"Events", []panel{
			lines("Events of nodes", "What Kubernetes, the autoscaler and AWS say of nodes.", "{app=\"event-exporter\"} |= `\"kind\":\"Node\"`"),
		}})
	}
	return b
}

// scaling is what the autoscaler does.
func (o Options) scaling() row {
	const job = "cluster-autoscaler"
	return row{"Autoscaler", []panel{
		graph("Nodes by state", units.Short, "As the autoscaler sees them.",
			query{aggregate("max", "state", "cluster_autoscaler_nodes_count"+o.of(job)), "{{state}}"}).stack(),
		graph("Nodes added and removed", units.Short, "Within each moment that is shown.",
			query{sum("", "increase(cluster_autoscaler_scaled_up_nodes_total"+o.of(job)+rateWindow+")"), "added"},
			query{sum("reason", "increase(cluster_autoscaler_scaled_down_nodes_total"+o.of(job)+rateWindow+")"), "removed: {{reason}}"}),
		graph("Nodes that AWS did not give", units.Short, "Attempts within each moment that is shown, by reason.",
			query{sum("reason", "increase(cluster_autoscaler_failed_scale_ups_total"+o.of(job)+rateWindow+")"), "{{reason}}"}).bad(1),
		graph("Since it last looked", units.Seconds, "The autoscaler looks every ten seconds.",
			query{"time() - max by (activity) (cluster_autoscaler_last_activity" + o.of(job, `activity="main"`) + ")", "{{activity}}"}).above(120, 600),
	}}
}
