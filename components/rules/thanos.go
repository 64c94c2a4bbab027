package rules

const (
	thanosJobs = `job=~"thanos-.+",namespace="$namespace"`
	objects    = "thanos_objstore_bucket_operation"
)

func thanosGroup() group {
	return group{
		name: "thanos", about: "Long-term metrics: the way to the bucket, and back.",
		alerts: append(uploadAlerts(), readAlerts()...),
	}
}

// uploadAlerts are about what is in the bucket.
func uploadAlerts() []alert {
	sidecar, compact := of("thanos-sidecar"), of("thanos-compact")
	return []alert{
		{
			name: "ThanosSidecarNotUploading", severity: Page, hold: "10m", window: "5h", runbook: "thanos-upload",
			// A block comes every two hours. Who began later than the window had no chance to miss one.
			expr: lines("sum by (namespace, pod) (increase(thanos_shipper_uploads_total"+sidecar+"[$window])) == 0",
				"and on (namespace, pod) thanos_shipper_uploads_total"+sidecar+" offset $window"),
			summary:     "Metrics do not get to S3: they are lost when the volume's retention, a day, is over.",
			description: "The sidecar of {{ $labels.pod }} has uploaded no block for $window.",
		},
		{
			name: "ThanosCompactHalted", severity: Ticket, hold: "5m", runbook: "thanos-compact",
			expr:        "max by (namespace, pod) (thanos_compact_halted" + compact + ") == 1",
			summary:     "Thanos compact has met blocks that it cannot work on, and stopped: nothing is compacted, downsampled or deleted.",
			description: "{{ $labels.pod }} has halted. Its log says on which blocks.",
		},
		{
			name: "ThanosCompactBehind", severity: Ticket, hold: "10m", window: "12h", runbook: "thanos-compact",
			expr: lines("sum by (namespace) (increase(thanos_compact_iterations_total"+compact+"[$window])) == 0",
				"and on (namespace) thanos_compact_iterations_total"+compact+" offset $window"),
			summary:     "Thanos compact does not get through its work.",
			description: "Thanos compact has not once been through all blocks within $window: it fails and tries again, or has too much to do.",
		},
		{
			name: "ThanosOverlap", severity: Ticket, hold: "15m", runbook: "thanos-overlap",
			expr: either(
				because("Prometheus replicas have the same external labels",
					"max by (namespace, external_labels) (thanos_store_nodes_grpc_connections"+of("thanos-query", `store_type="sidecar"`)+") > 1"),
				because("compactors run on the same bucket", "sum by (namespace) (up"+compact+") > 1")),
			summary:     "Two write what only one may: blocks overlap, and compact halts.",
			description: "{{ $value }} {{ $labels.reason }}{{ with $labels.external_labels }}, {{ . }}{{ end }}.",
		},
		{
			name: "ThanosBucketErrors", severity: Ticket, hold: "15m", window: "15m", runbook: "bucket-errors",
			threshold: 0.05, counts: "share of the requests to the bucket that may fail",
			expr: share("namespace, job, operation", objects+"_failures_total{"+thanosJobs+"}",
				objects+"s_total{"+thanosJobs+"}", "$window") + " > $threshold",
			summary:     "Requests to the bucket of metrics fail.",
			description: "{{ $value | humanizePercentage }} of what {{ $labels.job }} does to the bucket ({{ $labels.operation }}) fail.",
		},
	}
}

// readAlerts are about answers.
func readAlerts() []alert {
	query := of("thanos-query")
	const pages = `job=~"thanos-query|thanos-query-frontend",namespace="$namespace",handler=~"query|query_range|query-frontend"`
	return []alert{
		{
			name: "ThanosBlocksUnreadable", severity: Ticket, hold: "15m", window: "30m", runbook: "thanos-reads",
			expr: either(
				because("cannot load blocks", rising("namespace, job", "thanos_bucket_store_block_load_failures_total{"+thanosJobs+"}")),
				because("cannot find out which blocks there are", rising("namespace, job", "thanos_blocks_meta_sync_failures_total{"+thanosJobs+"}")),
				because("found blocks with a broken meta.json",
					`max by (namespace, job) (thanos_blocks_meta_synced{`+thanosJobs+`,state="corrupted-meta-json"}) > 0`)),
			summary:     "Part of the history cannot be read.",
			description: `{{ $labels.job }} {{ $labels.reason }} ({{ $value | printf "%.0f" }}).`,
		},
		{
			name: "ThanosStoresUnreachable", severity: Ticket, hold: "15m", runbook: "thanos-reads",
			threshold: 0.05, counts: "share of the calls to stores and sidecars that may fail",
			expr: either(
				because("calls fail", share("namespace", "grpc_client_handled_total"+of("thanos-query", `grpc_code!~"OK|Canceled"`),
					"grpc_client_handled_total"+query, "5m")+" > $threshold"),
				because("names do not resolve", share("namespace", "thanos_query_endpoints_dns_failures_total"+query,
					"thanos_query_endpoints_dns_lookups_total"+query, "5m")+" > $threshold"),
				because("no store is connected", "absent(thanos_store_nodes_grpc_connections"+of("thanos-query", `store_type="store"`)+")"),
				because("fewer sidecars are connected than there are", lines(
					"min by (namespace) (sum by (namespace, pod) (thanos_store_nodes_grpc_connections"+of("thanos-query", `store_type="sidecar"`)+"))",
					"< on (namespace) sum by (namespace) (up"+of("thanos-sidecar")+")")),
				because("a sidecar does not reach its Prometheus", "count by (namespace) (thanos_sidecar_prometheus_up"+of("thanos-sidecar")+" == 0)")),
			summary:     "Graphs lack part of the data, or fail.",
			description: "Thanos query: {{ $labels.reason }} ({{ $value | humanize }}).",
		},
		{
			name: "ThanosQueryErrors", severity: Ticket, hold: "5m", runbook: "thanos-reads",
			threshold: 0.05, counts: "share of the queries that may fail",
			expr: share("namespace, job", "http_requests_total{"+pages+`,code=~"5.."}`,
				"http_requests_total{"+pages+"}", "5m") + " > $threshold",
			summary:     "Graphs fail.",
			description: "{{ $value | humanizePercentage }} of the queries to {{ $labels.job }} fail.",
		},
		{
			name: "ThanosSlow", severity: Ticket, hold: "15m", runbook: "thanos-reads",
			threshold: 30, counts: "seconds that a query takes (99th percentile)",
			expr: either(
				because("seconds take the slowest queries", lines("histogram_quantile(0.99, sum by (namespace, le) (",
					"rate(http_request_duration_seconds_bucket"+of("thanos-query-frontend", `handler="query-frontend"`)+"[5m]))) > $threshold")),
				because("of as many queries as may run at once do", lines("max by (namespace) (",
					"avg_over_time(thanos_query_concurrent_gate_queries_in_flight"+query+"[5m])",
					"/ thanos_query_concurrent_gate_queries_max"+query+") > 0.9"))),
			summary:     "Graphs take long, or queries wait for each other.",
			description: "{{ $value | humanize }} {{ $labels.reason }}.",
		},
	}
}
