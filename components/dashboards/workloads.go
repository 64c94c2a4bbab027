package dashboards

import "github.com/grafana/grafana-foundation-sdk/go/units"

// someApp matches every stream. Loki asks for something in each selector that does not match the empty text.
const someApp = `app=~".+"`

// withLogLines adds how much is logged, by labels, and what of it tells of trouble, as far as there are logs.
func (o Options) withLogLines(b board, selector, by, legend string, links []link) board {
	if !o.logs() {
		return b
	}
	counted := func(filter string) query {
		return query{"sum by (" + by + ") (rate({" + someApp + ", " + selector + "}" + filter + " [$__auto]))", legend}
	}
	b.variables = append(b.variables, logsSource())
	b.rows = append(b.rows, row{"Logs", []panel{
		graph("Log lines", units.CountsPerSecond, "", counted("")).inLogQL().leads(links...),
		graph("Log lines that tell of trouble", units.CountsPerSecond, "Lines with one of the words error, fatal, panic and exception in them.",
			counted(trouble)).inLogQL().leads(links...),
	}})
	return b
}

// trouble keeps the lines that tell of some.
const trouble = " |~ `(?i)\\b(error|fatal|panic|exception)\\b`"

// workloads shows deployments, stateful sets, daemon sets and jobs.
func (o Options) workloads() board {
	const space = `namespace=~"$namespace"`
	owners := o.owners(space, "$workload")
	each := func(perPod string) query {
		return query{
			sum("namespace, workload", "("+perPod+") * on (namespace, pod) group_left (workload) "+owners), "{{namespace}}/{{workload}}",
		}
	}
	perPod := func(metric string) string {
		return sum("namespace, pod", rate(metric+cadvisor(space, `container!=""`)))
	}
	traffic := func(metric string) string { return sum("namespace, pod", rate(metric+cadvisor(space, `pod!=""`))) }
	restarts := sum("namespace, pod", "increase(kube_pod_container_status_restarts_total"+state(space)+rateWindow+")")
	links := o.toWorkload(label)
	b := board{
		name: "workloads", title: "Workloads", about: "How are deployments, stateful sets, daemon sets and jobs?",
		variables: append(base(), namespaceVariable(), o.workloadVariable()),
		rows: []row{
			{"Workloads", []panel{
				list("Workloads", "What all pods of a workload take.", []string{"namespace", "workload"},
					column{"CPU", units.Short, each(o.podCPU(space)).expr, nil},
					column{"CPU requested", units.Short, each(requested("cpu", space)).expr, nil},
					column{"Memory", units.BytesIEC, each(o.podMemory(space)).expr, nil},
					column{"Memory requested", units.BytesIEC, each(requested("memory", space)).expr, nil},
					column{"Pods", units.Short, aggregate("count", "namespace, workload", owners), nil},
					column{
						"Ready", units.Short, each(aggregate("max", "namespace, pod", "kube_pod_status_ready"+state(space, `condition="true"`))).expr, nil,
					}).leads(o.toWorkload(cell)...),
			}},
			{"What they use", []panel{
				graph("CPU", units.Short, "Cores.", each(o.podCPU(space))).leads(links...),
				graph("Memory", units.BytesIEC, "", each(o.podMemory(space))).leads(links...),
				graph("CPU of what is requested", units.PercentUnit, "More than 1: on a full node it would have to share.",
					query{each(o.podCPU(space)).expr + " / " + each(requested("cpu", space)).expr, "{{namespace}}/{{workload}}"}).leads(links...),
				graph("Memory of what is requested", units.PercentUnit, "More than 1: on a full node it may be evicted.",
					query{each(o.podMemory(space)).expr + " / " + each(requested("memory", space)).expr, "{{namespace}}/{{workload}}"}).leads(links...),
				graph("Network in", units.BytesPerSecondIEC, "", each(traffic("container_network_receive_bytes_total"))).leads(links...),
				graph("Network out", units.BytesPerSecondIEC, "", each(traffic("container_network_transmit_bytes_total"))).leads(links...),
			}},
			{"How they are", []panel{
				graph("Pods ready", units.Short, "",
					each(aggregate("max", "namespace, pod", "kube_pod_status_ready"+state(space, `condition="true"`)))).leads(links...),
				graph("Pods", units.Short, "Ready or not.",
					query{aggregate("count", "namespace, workload", owners), "{{namespace}}/{{workload}}"}).leads(links...),
				graph("Restarts", units.Short, "Restarts of containers within each moment that is shown.", each(restarts)).leads(links...),
				graph("CPU held back", units.PercentUnit, "Share of the periods in which a container that has a CPU limit had used it up.",
					query{each(perPod("container_cpu_cfs_throttled_periods_total")).expr + " / " +
						each(perPod("container_cpu_cfs_periods_total")).expr, "{{namespace}}/{{workload}}"}).leads(links...),
			}},
		},
	}
	// Lines have no workload; the names of its pods begin with its own.
	return o.withLogLines(b, `namespace=~"$namespace", pod=~"(${workload:pipe})-.*"`, "namespace, pod", "{{pod}}", o.toPod(label))
}

func (o Options) workloadVariable() variable {
	if o.NoRecords {
		v := choices("workload", "Workload", "query_result("+o.owners(`namespace=~"$namespace"`, everything)+")")
		v.regex = `/workload="([^"]+)"/`
		return v
	}
	return choices("workload", "Workload", "label_values("+o.owners(`namespace=~"$namespace"`, everything)+", workload)")
}

// pods shows pods and their containers.
func (o Options) pods() board {
	const space = `namespace=~"$namespace"`
	const chosen = `pod=~"$pod"`
	const each = "{{pod}}"
	const inEach = "{{pod}} {{container}}"
	const byContainer = "namespace, pod, container"
	links := o.toPod(label)
	usage := rate("container_cpu_usage_seconds_total" + cadvisor(space, chosen, `container!=""`))
	memory := "container_memory_working_set_bytes" + cadvisor(space, chosen, `container!=""`)
	limit := func(resource string) string {
		return sum(byContainer, "kube_pod_container_resource_limits"+state(space, chosen, `resource="`+resource+`"`))
	}
	request := func(resource string) string {
		return sum(byContainer, "kube_pod_container_resource_requests"+state(space, chosen, `resource="`+resource+`"`))
	}
	net := func(metric string) query {
		return query{sum("namespace, pod", rate(metric+cadvisor(space, chosen))), each}
	}
	// The series without a container sum up the others once more.
	disk := func(metric string) query {
		return query{sum("namespace, pod", rate(metric+cadvisor(space, chosen, `container!=""`))), each}
	}
	b := board{
		name: "pods", title: "Pods", about: "How are pods, and the containers in them?",
		variables: append(base(), namespaceVariable(),
			choices("pod", "Pod", `label_values(kube_pod_info`+state(space)+`, pod)`)),
		rows: []row{
			{"Pods", []panel{
				list("Containers", "", []string{"namespace", "pod", "container"},
					column{"CPU", units.Short, sum(byContainer, usage), nil},
					column{"Memory", units.BytesIEC, sum(byContainer, memory), nil},
					column{
						"Of its limit", units.PercentUnit, sum(byContainer, memory) + " / " + limit("memory"),
						[]step{{0, green}, {0.8, orange}, {0.95, red}},
					},
					column{
						"Restarts", units.Short, sum(byContainer, "kube_pod_container_status_restarts_total"+state(space, chosen)),
						[]step{{0, green}, {1, orange}},
					},
					column{
						"Ready", units.Short, sum(byContainer, "kube_pod_container_status_ready"+state(space, chosen)),
						[]step{{0, red}, {1, green}},
					}).leads(o.toPod(cell)...),
				list("Where they are", "", []string{"namespace", "pod", "node"},
					column{
						"Started", units.DateTimeFromNow,
						"1000 * " + aggregate("max", "namespace, pod", "kube_pod_start_time"+state(space, chosen)) +
							" * on (namespace, pod) group_left (node) " + aggregate("max", "namespace, pod, node", "kube_pod_info"+state(space, chosen)), nil,
					}).
					sized(12, 8).leads(toNode(cell)),
				list("Why containers ended or wait", "The reason for which a container ended last, and for which one waits now.",
					[]string{"namespace", "pod", "container", "reason"},
					column{"Ended", units.Short, sum(byContainer+", reason",
						"kube_pod_container_status_last_terminated_reason"+state(space, chosen)+" == 1"), nil},
					column{"Waits", units.Short, sum(byContainer+", reason",
						"kube_pod_container_status_waiting_reason"+state(space, chosen)+" == 1"), nil}).sized(12, 8).leads(o.toPod(cell)...),
			}},
			{"Processor", []panel{
				graph("CPU", units.Short, "Cores, by container.", query{sum(byContainer, usage), inEach}).leads(links...),
				graph("CPU of what is requested", units.PercentUnit, "By container.",
					query{sum(byContainer, usage) + " / " + request("cpu"), inEach}).leads(links...),
				graph("CPU held back", units.PercentUnit, "Share of the periods in which a container that has a CPU limit had used it up.",
					query{sum(byContainer, rate("container_cpu_cfs_throttled_periods_total"+cadvisor(space, chosen, `container!=""`))) + " / " +
						sum(byContainer, rate("container_cpu_cfs_periods_total"+cadvisor(space, chosen, `container!=""`))), inEach}).leads(links...),
				graph("CPU that is waited for", units.PercentUnit, "Pressure: share of the time in which something in the container waited for the CPU.",
					query{sum(byContainer, rate("container_pressure_cpu_waiting_seconds_total"+cadvisor(space, chosen, `container!=""`))), inEach}).
					leads(links...),
			}},
			{"Memory", []panel{
				graph("Memory", units.BytesIEC, "What cannot be taken back, by container.", query{sum(byContainer, memory), inEach}).leads(links...),
				graph("Memory of its limit", units.PercentUnit, "At 1 the container is killed.",
					query{sum(byContainer, memory) + " / " + limit("memory"), inEach}).above(0.8, 0.95).leads(links...),
				graph("Memory of what is requested", units.PercentUnit, "More than 1: on a node that is short of memory, this pod goes first.",
					query{sum(byContainer, memory) + " / " + request("memory"), inEach}).leads(links...),
				graph("Restarts", units.Short, "Restarts of containers within each moment that is shown.",
					query{sum(byContainer, "increase(kube_pod_container_status_restarts_total"+state(space, chosen)+rateWindow+")"), inEach}).
					bad(1).leads(links...),
			}},
			{"Network and disk", []panel{
				graph("Network in", units.BytesPerSecondIEC, "", net("container_network_receive_bytes_total")).leads(links...),
				graph("Network out", units.BytesPerSecondIEC, "", net("container_network_transmit_bytes_total")).leads(links...),
				graph("Disk reads", units.BytesPerSecondIEC, "", disk("container_fs_reads_bytes_total")).leads(links...),
				graph("Disk writes", units.BytesPerSecondIEC, "", disk("container_fs_writes_bytes_total")).leads(links...),
			}},
		},
	}
	if !o.logs() {
		return b
	}
	const selector = `namespace=~"$namespace", pod=~"${pod:pipe}"`
	b = o.withLogLines(b, selector, "namespace, pod", "{{pod}}", links)
	last := &b.rows[len(b.rows)-1]
	last.panels = append(last.panels, lines("Lines", "The newest lines of these pods.", "{"+someApp+", "+selector+"}").
		leads(link{"Logs", "/d/" + uidPrefix + "logs?var-namespace=${namespace:pipe}&var-pod=${pod:pipe}&${__url_time_range}"}))
	return b
}

// volumes shows the volumes of pods.
func (o Options) volumes() board {
	const space = `namespace=~"$namespace"`
	const claim = "namespace, persistentvolumeclaim"
	const each = "{{namespace}}/{{persistentvolumeclaim}}"
	of := func(what string) string { return aggregate("max", claim, "kubelet_volume_stats_"+what+kubelet(space)) }
	full := "1 - " + of("available_bytes") + " / " + of("capacity_bytes")
	inodes := of("inodes_used") + " / " + of("inodes")
	filled := []step{{0, green}, {0.8, orange}, {0.9, red}}
	return board{
		name: "volumes", title: "Volumes", about: "Which volumes fill up, and when?", variables: append(base(), namespaceVariable()),
		rows: []row{
			{"Volumes", []panel{
				list("Volumes in use", "Full in: if it goes on like in the last six hours; empty if it does not grow.",
					[]string{"namespace", "persistentvolumeclaim"},
					column{"Full", units.PercentUnit, full, filled},
					column{"Inodes", units.PercentUnit, inodes, filled},
					column{"Size", units.BytesIEC, of("capacity_bytes"), nil},
					column{"Free", units.BytesIEC, of("available_bytes"), nil},
					column{
						"Full in", units.DurationSeconds,
						of("available_bytes") + " / (- " + aggregate("min", claim, "deriv(kubelet_volume_stats_available_bytes"+kubelet(space)+"[6h])") + " > 0)",
						[]step{{0, red}, {86400, orange}, {4 * 86400, green}},
					}).leads(o.toNamespace(cell)...),
				graph("Full", units.PercentUnit, "Share of the space that is taken.", query{full, each}).ratio().above(0.8, 0.9).leads(o.toNamespace(label)...),
				graph("Inodes", units.PercentUnit, "Share of the inodes that are taken.", query{inodes, each}).ratio().above(0.8, 0.9).
					leads(o.toNamespace(label)...),
			}},
			{"Claims", []panel{
				graph("Claims by phase", units.Short, "", query{sum("phase", "kube_persistentvolumeclaim_status_phase"+state(space)), "{{phase}}"}).stack(),
				graph("Volumes by phase", units.Short, "Of the whole cluster. Released ones are paid for and used by nobody.",
					query{sum("phase", "kube_persistentvolume_status_phase"+state()), "{{phase}}"}).stack(),
				list("Claims by size", "", []string{"namespace", "persistentvolumeclaim", "storageclass"},
					column{"Requested", units.BytesIEC, aggregate("max", claim, "kube_persistentvolumeclaim_resource_requests_storage_bytes"+state(space)) +
						" * on (" + claim + ") group_left (storageclass) " +
						aggregate("max", claim+", storageclass", "kube_persistentvolumeclaim_info"+state(space)), nil}).leads(o.toNamespace(cell)...),
			}},
		},
	}
}
