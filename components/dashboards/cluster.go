package dashboards

import "github.com/grafana/grafana-foundation-sdk/go/units"

// cluster shows what the cluster has, and what takes it.
func (o Options) cluster() board {
	commitment := func(resource string) string {
		return sum("", requested(resource)) + " / " + sum("", "kube_node_status_allocatable"+state(`resource="`+resource+`"`))
	}
	return board{
		name: "cluster", title: "Cluster", about: "How full is the cluster, and what fills it?", variables: base(),
		rows: []row{
			{"How full is it?", []panel{
				number("CPU in use", units.PercentUnit, "Of all nodes.", "avg("+o.nodeCPU(everything)+")").above(0.7, 0.9),
				number("CPU requested", units.PercentUnit, "What running pods have reserved of what nodes have for pods.", commitment("cpu")).
					above(0.85, 0.95),
				number("Memory in use", units.PercentUnit, "Of all nodes.", "avg("+o.nodeMemory(everything)+")").above(0.8, 0.9),
				number("Memory requested", units.PercentUnit, "What running pods have reserved of what nodes have for pods.", commitment("memory")).
					above(0.85, 0.95),
				number("Nodes", units.Short, "", "count(kube_node_info"+state()+")"),
				number("Pods", units.Short, "Pods that run.", "sum(kube_pod_status_phase"+state(`phase="Running"`)+")"),
				graph("CPU by namespace", units.Short, "Cores.", query{sum("namespace", o.podCPU()), "{{namespace}}"}).stack().
					leads(o.toNamespace(label)...),
				graph("Memory by namespace", units.BytesIEC, "", query{sum("namespace", o.podMemory()), "{{namespace}}"}).stack().
					leads(o.toNamespace(label)...),
				list("Namespaces", "", []string{"namespace"},
					column{"CPU", units.Short, sum("namespace", o.podCPU()), nil},
					column{"CPU requested", units.Short, sum("namespace", requested("cpu")), nil},
					column{"Memory", units.BytesIEC, sum("namespace", o.podMemory()), nil},
					column{"Memory requested", units.BytesIEC, sum("namespace", requested("memory")), nil},
					column{"Pods", units.Short, aggregate("count", "namespace", "kube_pod_info"+state()), nil}).leads(o.toNamespace(cell)...),
			}},
			{"Is everything where it should be?", []panel{
				graph("Pods by phase", units.Short, "", query{sum("phase", "kube_pod_status_phase"+state()+" > 0"), "{{phase}}"}).stack(),
				graph("Replicas missing", units.Short, "Pods that workloads should have and that are not available.",
					query{
						sum("namespace, deployment", "kube_deployment_spec_replicas"+state()+" - kube_deployment_status_replicas_available"+state()) + " > 0",
						"{{namespace}}/{{deployment}}",
					},
					query{
						sum("namespace, statefulset", "kube_statefulset_replicas"+state()+" - kube_statefulset_status_replicas_available"+state()) + " > 0",
						"{{namespace}}/{{statefulset}}",
					},
					query{
						sum("namespace, daemonset", "kube_daemonset_status_desired_number_scheduled"+state()+
							" - kube_daemonset_status_number_available"+state()) + " > 0", "{{namespace}}/{{daemonset}}",
					}).leads(o.toNamespace(label)...),
				list("Disruption budgets that are used up", "As long as they are, no drain gets on: that of a spot node waits until it is taken away.",
					[]string{"namespace", "poddisruptionbudget"},
					column{"Healthy", units.Short, budgets("current_healthy") + usedUp, nil},
					column{"Wanted", units.Short, budgets("desired_healthy") + usedUp, nil}).sized(12, 8).leads(o.toNamespace(cell)...),
				list("Autoscalers of pods", "", []string{"namespace", "horizontalpodautoscaler"},
					column{
						"Of its maximum", units.PercentUnit, autoscalers("status_current_replicas") + " / " + autoscalers("spec_max_replicas"),
						[]step{{0, green}, {1, orange}},
					},
					column{"Replicas", units.Short, autoscalers("status_current_replicas"), nil},
					column{"Wanted", units.Short, autoscalers("status_desired_replicas"), nil}).sized(12, 8).leads(o.toNamespace(cell)...),
			}},
			{"What talks?", []panel{
				graph("Network in", units.BytesPerSecondIEC, "Bytes that pods receive.",
					query{sum("namespace", rate("container_network_receive_bytes_total"+cadvisor(`pod!=""`))), "{{namespace}}"}).stack(),
				graph("Network out", units.BytesPerSecondIEC, "Bytes that pods send.",
					query{sum("namespace", rate("container_network_transmit_bytes_total"+cadvisor(`pod!=""`))), "{{namespace}}"}).stack(),
			}},
		},
	}
}

const usedUp = ` and on (namespace, poddisruptionbudget) kube_poddisruptionbudget_status_pod_disruptions_allowed` +
	`{cluster="$cluster",job="kube-state-metrics"} == 0`

func budgets(what string) string {
	return aggregate("max", "namespace, poddisruptionbudget", "kube_poddisruptionbudget_status_"+what+state())
}

func autoscalers(what string) string {
	return aggregate("max", "namespace, horizontalpodautoscaler", "kube_horizontalpodautoscaler_"+what+state())
}

// nodes shows the machines.
func (o Options) nodes() board {
	const chosen = "$node"
	of := func(matchers ...string) string { return machine(append(matchers, `instance=~"`+chosen+`"`)...) }
	by := func(expr string, labels string) string { return aggregate("max", labels, perNode(expr)) }
	const real = `fstype=~"ext4|xfs"`
	full := "1 - node_filesystem_avail_bytes" + of(real) + " / node_filesystem_size_bytes" + of(real)
	const nic, disk = `device!="lo"`, `device=~"(nvme|sd|vd|xvd).*"`
	return board{
		name: "nodes", title: "Nodes", about: "How are the machines?",
		variables: append(base(), choices("node", "Node", `label_values(kube_node_info`+state()+`, node)`)),
		rows: []row{
			{"Nodes", []panel{
				list("Nodes", "", []string{"node"},
					column{"CPU", units.PercentUnit, o.nodeCPU(chosen), []step{{0, green}, {0.7, orange}, {0.9, red}}},
					column{"Memory", units.PercentUnit, o.nodeMemory(chosen), []step{{0, green}, {0.8, orange}, {0.9, red}}},
					column{"Fullest disk", units.PercentUnit, by(full, "node"), []step{{0, green}, {0.8, orange}, {0.9, red}}},
					column{"Pods", units.Short, aggregate("count", "node", "kube_pod_info"+state(`node=~"`+chosen+`"`)), nil},
					column{"Up for", units.DurationSeconds, "time() - " + by("node_boot_time_seconds"+of(), "node"), nil}).leads(toNode(cell)),
				graph("Conditions", units.Short, "1 while a node is not ready, short of something, or closed to new pods.",
					query{aggregate("max", "node, condition", "kube_node_status_condition"+
						state(`node=~"`+chosen+`"`, `condition!="Ready"`, `status="true"`)+" == 1"), "{{node}} {{condition}}"},
					query{aggregate("max", "node", "kube_node_status_condition"+
						state(`node=~"`+chosen+`"`, `condition="Ready"`, `status=~"false|unknown"`)+" == 1"), "{{node}} not ready"},
					query{aggregate("max", "node", "kube_node_spec_unschedulable"+state(`node=~"`+chosen+`"`)+" == 1"), "{{node}} cordoned"}),
			}},
			{"Processor and memory", []panel{
				graph("CPU in use", units.PercentUnit, "", query{o.nodeCPU(chosen), "{{node}}"}).ratio().above(0.7, 0.9).leads(toNode(label)),
				graph("Load per core", units.Short, "Processes that run or wait, by core. More than 1: some wait.",
					query{by("node_load5"+of()+" / on (instance) count by (instance) (node_cpu_seconds_total"+of(`mode="idle"`)+")", "node"), "{{node}}"}).
					above(1, 4).leads(toNode(label)),
				graph("CPU taken by the hypervisor", units.PercentUnit, "Steal: of the CPU time of the node. Burstable instances without credits have it.",
					query{by("avg by (instance) ("+rate("node_cpu_seconds_total"+of(`mode="steal"`))+")", "node"), "{{node}}"}).above(0.05, 0.1),
				graph("CPU that pods wait for", units.PercentUnit, "Pressure: share of the time in which something waited for the CPU.",
					query{by(rate("node_pressure_cpu_waiting_seconds_total"+of()), "node"), "{{node}}"}).ratio(),
				graph("Memory in use", units.PercentUnit, "", query{o.nodeMemory(chosen), "{{node}}"}).ratio().above(0.8, 0.9).leads(toNode(label)),
				graph("Memory that is waited for", units.PercentUnit, "Pressure: share of the time in which everything waited for memory. Hardly any is much.",
					query{by(rate("node_pressure_memory_stalled_seconds_total"+of()), "node"), "{{node}}"}),
			}},
			{"Disks", []panel{
				graph("File systems", units.PercentUnit, "Share of the space that is taken. The kubelet evicts pods from 0.9 on.",
					query{by(full, "node, mountpoint"), "{{node}} {{mountpoint}}"}).ratio().above(0.8, 0.9),
				graph("Disk busy", units.PercentUnit, "Share of the time in which the disk had something to do.",
					query{by(rate("node_disk_io_time_seconds_total"+of(disk)), "node, device"), "{{node}} {{device}}"}).ratio(),
				graph("Disk reads", units.BytesPerSecondIEC, "", query{by(rate("node_disk_read_bytes_total"+of(disk)), "node, device"), "{{node}} {{device}}"}),
				graph("Disk writes", units.BytesPerSecondIEC, "",
					query{by(rate("node_disk_written_bytes_total"+of(disk)), "node, device"), "{{node}} {{device}}"}),
			}},
			{"Network", []panel{
				graph("Received", units.BytesPerSecondIEC, "",
					query{by("sum by (instance) ("+rate("node_network_receive_bytes_total"+of(nic))+")", "node"), "{{node}}"}),
				graph("Sent", units.BytesPerSecondIEC, "",
					query{by("sum by (instance) ("+rate("node_network_transmit_bytes_total"+of(nic))+")", "node"), "{{node}}"}),
				graph("Packets dropped", units.PacketsPerSecond, "Received and dropped, or dropped before they were sent.",
					query{by("sum by (instance) ("+rate("node_network_receive_drop_total"+of(nic))+")", "node"), "{{node}} in"},
					query{by("sum by (instance) ("+rate("node_network_transmit_drop_total"+of(nic))+")", "node"), "{{node}} out"}),
				graph("Table of connections", units.PercentUnit, "Share of the kernel's table (conntrack) that is taken. Full: connections are refused.",
					query{by("node_nf_conntrack_entries"+of()+" / node_nf_conntrack_entries_limit"+of(), "node"), "{{node}}"}).ratio().above(0.75, 0.9),
				graph("Clock", units.Seconds, "How far the clock is off. AWS refuses requests that are five minutes off.",
					query{by("node_timex_offset_seconds"+of(), "node"), "{{node}}"}),
				graph("Killed for want of memory", units.Short, "Processes that the kernel killed, within each moment that is shown.",
					query{by("increase(node_vmstat_oom_kill"+of()+rateWindow+")", "node"), "{{node}}"}).bad(1),
			}},
		},
	}
}

// namespaces shows who takes how much.
func (o Options) namespaces() board {
	const chosen = `namespace=~"$namespace"`
	quota := func(kind string) string {
		return aggregate("max", "namespace, resourcequota, resource", "kube_resourcequota"+state(chosen, `type="`+kind+`"`))
	}
	b := board{
		name: "namespaces", title: "Namespaces", about: "Who takes how much of the cluster?", variables: append(base(), namespaceVariable()),
		rows: []row{
			{"What they use", []panel{
				graph("CPU", units.Short, "Cores.", query{sum("namespace", o.podCPU(chosen)), "{{namespace}}"}).stack().leads(o.toNamespace(label)...),
				graph("Memory", units.BytesIEC, "", query{sum("namespace", o.podMemory(chosen)), "{{namespace}}"}).stack().
					leads(o.toNamespace(label)...),
				graph("CPU of what is requested", units.PercentUnit, "More than 1: on a full node it would have to share. Far less: it could ask for less.",
					query{sum("namespace", o.podCPU(chosen)) + " / " + sum("namespace", requested("cpu", chosen)), "{{namespace}}"}).
					leads(o.toNamespace(label)...),
				graph("Memory of what is requested", units.PercentUnit, "More than 1: on a full node pods would be evicted. Far less: it could ask for less.",
					query{sum("namespace", o.podMemory(chosen)) + " / " + sum("namespace", requested("memory", chosen)), "{{namespace}}"}).
					leads(o.toNamespace(label)...),
				graph("Pods", units.Short, "", query{sum("namespace", "kube_pod_status_phase"+state(chosen, `phase="Running"`)), "{{namespace}}"}).
					stack().leads(o.toNamespace(label)...),
				graph("Restarts", units.Short, "Restarts of containers within each moment that is shown.",
					query{sum("namespace", "increase(kube_pod_container_status_restarts_total"+state(chosen)+rateWindow+")"), "{{namespace}}"}).
					leads(o.toNamespace(label)...),
				graph("Network in", units.BytesPerSecondIEC, "Bytes that pods receive.",
					query{sum("namespace", rate("container_network_receive_bytes_total"+cadvisor(chosen, `pod!=""`))), "{{namespace}}"}).
					leads(o.toNamespace(label)...),
				graph("Network out", units.BytesPerSecondIEC, "Bytes that pods send.",
					query{sum("namespace", rate("container_network_transmit_bytes_total"+cadvisor(chosen, `pod!=""`))), "{{namespace}}"}).
					leads(o.toNamespace(label)...),
			}},
			{"What they may", []panel{
				list("Quotas", "", []string{"namespace", "resourcequota", "resource"},
					column{"Taken", units.PercentUnit, share(quota("used"), quota("hard")), []step{{0, green}, {0.8, orange}, {0.95, red}}},
					column{"Used", units.Short, quota("used"), nil}, column{"Hard", units.Short, quota("hard"), nil}).leads(o.toNamespace(cell)...),
			}},
		},
	}
	return o.withLogLines(b, `namespace=~"$namespace"`, "namespace", "{{namespace}}", o.toNamespace(label))
}
