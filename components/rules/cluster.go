package rules

import "fmt"

// stackGroup is about whether anything can be seen at all.
func stackGroup(parts []job) group {
	gone := func(core bool) string {
		var all []string
		for _, p := range parts {
			if p.core == core {
				// absent() keeps no label of a comparison.
				all = append(all, with("job", p.name, with("namespace", p.namespace,
					fmt.Sprintf("absent(up{job=%q,namespace=%q%s} == 1)", p.name, p.namespace, p.more))))
			}
		}
		return either(all...)
	}
	return group{
		name: "stack", about: "Whether the parts of the stack and of the cluster answer at all.",
		records: []record{{
			name: "node_namespace_pod:kube_pod_info:",
			expr: lines("topk by (namespace, pod) (1,", `max by (node, namespace, pod) (kube_pod_info{`+state+`}))`),
			why:  "every pod once, with the node that it is on, if it is on one",
		}},
		alerts: []alert{
			{
				name: "Watchdog", severity: Info, hold: "0s", expr: "vector(1)", runbook: "watchdog",
				summary: "Alerting works from end to end.",
				description: "This alert always fires. It goes to the dead man's switch, which tells someone when it no longer comes: " +
					"then Prometheus, Alertmanager or the way out of the cluster is broken.",
			},
			{
				name: "ComponentDown", severity: Page, hold: "10m", expr: gone(true), runbook: "component-down",
				summary:     "A part without which others cannot be watched, or data is lost, does not answer.",
				description: "No target of {{ $labels.job }} has answered Prometheus for 10 minutes or more.",
			},
			{
				name: "TargetDown", severity: Ticket, hold: "15m", runbook: "component-down",
				// What is gone altogether has no target that is down.
				expr:    either(lines(onNode("up == 0"), "or on (namespace, job, instance, endpoint, metrics_path) up == 0"), gone(false)),
				summary: "A target, or all targets of a part of the stack, cannot be scraped.",
				description: "Prometheus gets no metrics from {{ $labels.job }}{{ with $labels.pod }}, pod {{ . }}{{ end }}" +
					"{{ with $labels.instance }}, at {{ . }}{{ end }}{{ with $labels.node }}, on node {{ . }}{{ end }}.",
			},
		},
	}
}

// Shares of a node's file systems; what belongs to containers is not mounted for the node exporter.
const (
	disks = `{` + machine + `,fstype=~"ext4|xfs"}`

	writable   = `and node_filesystem_readonly` + disks + ` == 0`
	spaceFree  = `node_filesystem_avail_bytes` + disks + ` / node_filesystem_size_bytes` + disks
	inodesFree = `node_filesystem_files_free` + disks + ` / node_filesystem_files` + disks
)

func nodesGroup() group {
	filling := func(share, free string) string {
		return lines(share+" < $threshold", "and predict_linear("+free+disks+"[$window], 24 * 3600) < 0", writable)
	}
	full := func(share string) string {
		return perNode(lines(share+" < $threshold", writable), "mountpoint", "device")
	}
	return group{
		name: "nodes", about: "The machines, whatever runs on them.",
		records: []record{
			{
				name: "node:node_cpu:ratio_rate5m",
				expr: perNode(`1 - avg by (instance) (sum without (mode) (rate(node_cpu_seconds_total{` + machine + `,mode=~"idle|iowait"}[5m])))`),
				why:  "share of a node's CPU that is in use",
			},
			{
				name: "node:node_memory:ratio",
				expr: perNode(`1 - node_memory_MemAvailable_bytes{` + machine + `} / node_memory_MemTotal_bytes{` + machine + `}`),
				why:  "share of a node's memory that is in use",
			},
		},
		alerts: append([]alert{
			{
				name: "NodeDown", severity: Page, hold: "5m", window: "10m", runbook: "node-down",
				threshold: 0.5, counts: "share of the window in which the node was ready",
				// Not one that is being drained, and not one that is gone: whoever ends a node cordons it first.
				expr: lines(
					`max by (node) (avg_over_time(kube_node_status_condition{`+state+`,condition="Ready",status="true"}[$window])) < $threshold`,
					`and on (node) max by (node) (kube_node_spec_unschedulable{`+state+`}) == 0`),
				summary: "A node is not ready, or only at times.",
				description: "{{ $labels.node }} was ready for {{ $value | humanizePercentage }} of the last $window. StatefulSets do not replace " +
					"their pods on it until the node object is gone.",
			},
			{
				name: "NodePressure", severity: Ticket, hold: "5m", window: "15m", runbook: "node-pressure",
				expr: either(
					one("node, condition", "kube_node_status_condition", `condition=~"MemoryPressure|DiskPressure|PIDPressure"`, `status="true"`)+" == 1",
					lines(`label_replace(`, rising("node, eviction_signal", `kubelet_evictions{`+kubelet+`}`)+`,`,
						`"condition", "evictions: $1", "eviction_signal", "(.+)")`)),
				summary:     "A node is short of memory, disk or process numbers and gets rid of pods.",
				description: "{{ $labels.node }}: {{ $labels.condition }}.",
			},
			{
				name: "NodeDiskFilling", severity: Ticket, hold: "30m", window: "6h", runbook: "node-disk",
				threshold: 0.15, counts: "share of the space, or of the inodes, that is free",
				expr: either(
					with("resource", "space", perNode(filling(spaceFree, "node_filesystem_avail_bytes"), "mountpoint", "device")),
					with("resource", "inodes", perNode(filling(inodesFree, "node_filesystem_files_free"), "mountpoint", "device"))),
				summary: "A node's disk will be full within a day.",
				description: "{{ $labels.mountpoint }} on {{ $labels.node }} has {{ $value | humanizePercentage }} of its {{ $labels.resource }} " +
					"left and goes on like in the last $window.",
			},
			{
				name: "NodeDiskFull", severity: Page, hold: "10m", runbook: "node-disk",
				threshold: 0.05, counts: "share of the space, or of the inodes, that is free",
				expr:        either(with("resource", "space", full(spaceFree)), with("resource", "inodes", full(inodesFree))),
				summary:     "A node's disk is full, although the kubelet evicts pods from 10% on.",
				description: "{{ $labels.mountpoint }} on {{ $labels.node }} has {{ $value | humanizePercentage }} of its {{ $labels.resource }} left.",
			},
		}, shortages()...),
	}
}

// shortages are of nodes that run and are slow.
func shortages() []alert {
	const available = `node_memory_MemAvailable_bytes{` + machine + `} / node_memory_MemTotal_bytes{` + machine + `}`
	return []alert{
		{
			name: "NodeMemoryShort", severity: Ticket, hold: "10m", runbook: "node-pressure",
			threshold: 0.05, counts: "share of the memory that is available; twice that if the node reads programs from disk again and again",
			expr: perNode(either(
				available+" < $threshold",
				lines(available+" < 2 * $threshold", "and on (instance) rate(node_vmstat_pgmajfault{"+machine+"}[5m]) > 500"))),
			summary:     "A node has hardly any memory left.",
			description: "{{ $labels.node }} has {{ $value | humanizePercentage }} of its memory available.",
		},
		{
			name: "NodeCPUShort", severity: Ticket, hold: "30m", runbook: "node-slow",
			threshold: 0.1, counts: "share of the CPU time that the hypervisor gives to others, or four runnable tasks per core",
			expr: either(
				because("share of its CPU is stolen",
					perNode(`avg by (instance) (rate(node_cpu_seconds_total{`+machine+`,mode="steal"}[5m])) > $threshold`)),
				because("runnable tasks wait per core", perNode(lines(`node_load5{`+machine+`}`,
					`/ on (instance) count by (instance) (node_cpu_seconds_total{`+machine+`,mode="idle"}) > 4`)))),
			summary:     "A node has less CPU than its pods want, or than it pays for.",
			description: `{{ $labels.node }}: {{ $value | printf "%.2f" }} {{ $labels.reason }}.`,
		},
		{
			name: "NodeDiskSlow", severity: Ticket, hold: "30m", runbook: "node-slow",
			threshold: 10, counts: "requests that wait for the disk",
			expr: perNode(`rate(node_disk_io_time_weighted_seconds_total{`+machine+`,device=~"nvme.+|xvd.+|sd.+"}[5m]) > $threshold`,
				"device"),
			summary:     "A node's disk does not keep up.",
			description: `{{ $value | printf "%.0f" }} requests wait for {{ $labels.device }} on {{ $labels.node }}.`,
		},
		{
			name: "NodeConntrackFull", severity: Ticket, hold: "5m", runbook: "node-slow",
			threshold: 0.75, counts: "share of the kernel's table of connections that is in use",
			expr:    perNode(`node_nf_conntrack_entries{` + machine + `} / node_nf_conntrack_entries_limit{` + machine + `} > $threshold`),
			summary: "A node will soon refuse connections.",
			description: "{{ $labels.node }} uses {{ $value | humanizePercentage }} of its table of connections; when it is full, packets are " +
				"dropped.",
		},
		{
			name: "NodeClockSkewed", severity: Ticket, hold: "10m", runbook: "node-clock",
			threshold: 0.05, counts: "seconds that the clock is off",
			expr: either(
				because("is off", perNode(`abs(node_timex_offset_seconds{`+machine+`}) > $threshold`)),
				because("is not synchronised, and may be off", perNode(lines(`node_timex_maxerror_seconds{`+machine+`} >= 16`,
					`and on (instance) max_over_time(node_timex_sync_status{`+machine+`}[5m]) == 0`)))),
			summary:     "A node's clock is wrong. AWS refuses requests that are five minutes off.",
			description: "The clock of {{ $labels.node }} {{ $labels.reason }} by {{ $value | humanizeDuration }}.",
		},
	}
}

// slow is the rate of requests that took longer than the objective: changes and single objects 1s, a namespace 5s, the whole cluster 30s.
func slow() string {
	const (
		kind  = `job="apiserver",subresource!~"proxy|attach|log|exec|portforward"`
		read  = `verb=~"LIST|GET"`
		write = `verb=~"POST|PUT|PATCH|DELETE"`
	)
	all := func(verbs string) string {
		return `(sum(rate(apiserver_request_sli_duration_seconds_count{` + kind + `,` + verbs + `}[5m])) or vector(0))`
	}
	within := func(verbs, scope, seconds string) string {
		return `(sum(rate(apiserver_request_sli_duration_seconds_bucket{` + kind + `,` + verbs +
			`,scope=~"` + scope + `",le=~"` + seconds + `(\\.0)?"}[5m])) or vector(0))`
	}
	return lines(
		"clamp_min("+all(write), "- "+within(write, ".*", "1")+", 0)",
		"+ clamp_min("+all(read), "- "+within(read, "resource|", "1"), "- "+within(read, "namespace", "5"),
		"- "+within(read, "cluster", "30")+", 0)",
	)
}

func clusterGroup() group {
	const requests, bad = "cluster:apiserver_request:rate5m", "cluster:apiserver_request_bad:rate5m"
	burns := func(factor, long, short string) string {
		over := func(window string) string {
			return "avg_over_time(" + bad + "[" + window + "]) / avg_over_time(" + requests + "[" + window + "]) > " + factor + " * $threshold"
		}
		return lines(over(long), "and", over(short))
	}
	return group{
		name: "cluster", about: "What a cluster has by itself: kubelets, API server, DNS.",
		records: []record{
			{
				name: requests, why: "requests to the API server, and those that it ended itself",
				expr: lines(`sum(rate(apiserver_request_total{job="apiserver",verb=~"LIST|GET|POST|PUT|PATCH|DELETE"}[5m]))`,
					`+ (sum(rate(apiserver_request_terminations_total{job="apiserver"}[5m])) or vector(0))`),
			},
			{
				name: bad, why: "those of them that failed, were ended or took too long",
				expr: lines(`(sum(rate(apiserver_request_total{job="apiserver",code=~"5..",verb=~"LIST|GET|POST|PUT|PATCH|DELETE"}[5m])) or vector(0))`,
					`+ (sum(rate(apiserver_request_terminations_total{job="apiserver"}[5m])) or vector(0))`, "+ "+slow(), "and "+requests),
			},
		},
		alerts: []alert{
			{
				name: "KubeletFailing", severity: Ticket, hold: "15m", window: "15m", runbook: "kubelet",
				threshold: 10, counts: "seconds that looking through the containers takes (99th percentile)",
				expr: either(
					because("needs too long to look through its containers, in seconds",
						`histogram_quantile(0.99, sum by (node, le) (rate(kubelet_pleg_relist_duration_seconds_bucket{`+kubelet+`}[5m]))) >= $threshold`),
					because("has a certificate that expires within a day, in seconds", lines(`min by (node) (`,
						`kubelet_certificate_manager_server_ttl_seconds{`+kubelet+`}`, `or kubelet_certificate_manager_client_ttl_seconds{`+kubelet+`}`,
						`) < 24 * 3600`)),
					because("cannot renew its server certificate, errors", rising("node", `kubelet_server_expiration_renew_errors{`+kubelet+`}`)),
					because("cannot renew its client certificate, errors",
						rising("node", `kubelet_certificate_manager_client_expiration_renew_errors{`+kubelet+`}`))),
				summary:     "A kubelet is slow, or loses its certificate.",
				description: "The kubelet on {{ $labels.node }} {{ $labels.reason }}: {{ $value | humanize }}.",
			},
			{
				name: "APIServerBudgetBurnsFast", severity: Page, hold: "2m", runbook: "api-server",
				threshold: 0.01, counts: "share of the requests that may fail or be slow over 30 days",
				expr:    either(burns("14.4", "1h", "5m"), burns("6", "6h", "30m")),
				summary: "The API server fails so many requests, or is so slow, that a month's budget is gone within days.",
				description: "{{ $value | humanizePercentage }} of the requests to the API server failed or took too long, of " +
					"{{ $threshold | humanizePercentage }} that may.",
			},
			{
				name: "APIServerBudgetBurnsSlowly", severity: Ticket, hold: "1h", runbook: "api-server",
				threshold: 0.01, counts: "share of the requests that may fail or be slow over 30 days",
				// Prometheus keeps a day: Thanos has more, but alerts are not to depend on it.
				expr:    burns("3", "1d", "2h"),
				summary: "The API server fails more requests, or is slower, than it may in the long run.",
				description: "{{ $value | humanizePercentage }} of the day's requests to the API server failed or took too long, of " +
					"{{ $threshold | humanizePercentage }} that may.",
			},
			{
				name: "AggregatedAPIDown", severity: Ticket, hold: "5m", window: "10m", runbook: "aggregated-api",
				threshold: 0.15, counts: "share of the window in which the API was not available",
				expr:        `max by (name) (avg_over_time(aggregator_unavailable_apiservice{job="apiserver"}[$window])) > $threshold`,
				summary:     "An API that something in the cluster adds to Kubernetes does not answer; namespaces cannot be deleted meanwhile.",
				description: "{{ $labels.name }} was not available for {{ $value | humanizePercentage }} of the last $window.",
			},
			{
				name: "CoreDNSErrors", severity: Page, hold: "10m", runbook: "coredns",
				threshold: 0.05, counts: "share of the answers that are SERVFAIL",
				expr: lines(`sum(rate(coredns_dns_responses_total{job="coredns",rcode="SERVFAIL"}[5m]))`,
					`/ sum(rate(coredns_dns_responses_total{job="coredns"}[5m])) > $threshold`),
				summary:     "Names in the cluster do not resolve.",
				description: "CoreDNS answers {{ $value | humanizePercentage }} of the questions with SERVFAIL.",
			},
			{
				name: "CoreDNSSlow", severity: Ticket, hold: "10m", runbook: "coredns",
				threshold: 1, counts: "seconds that an answer takes (99th percentile)",
				expr: lines(`histogram_quantile(0.99, sum by (le) (`,
					`rate(coredns_dns_request_duration_seconds_bucket{job="coredns"}[5m]))) > $threshold`),
				summary:     "Names in the cluster resolve slowly.",
				description: "One answer of CoreDNS in a hundred takes longer than {{ $value | humanizeDuration }}.",
			},
		},
	}
}
