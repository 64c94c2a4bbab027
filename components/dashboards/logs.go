package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/units"

	"github.com/kansoku/kansoku/components/collector"
)

// loki shows where logs are kept.
func (o Options) loki() board {
	of := func(matchers ...string) string { return o.of("loki", matchers...) }
	const push = `route=~"loki_api_v1_push"`
	const ask = `route=~"loki_api_v1_(query|query_range|series|labels|label_name_values)"`
	happened := func(metric string) string { return "increase(" + metric + of() + rateWindow + ")" }
	b := board{
		name: "loki", title: "Loki", about: "Are log lines taken, kept and found?", variables: base(),
		rows: []row{
			{"Writes", []panel{
				graph("Lines", units.CountsPerSecond, "", query{sum("pod", rate("loki_distributor_lines_received_total"+of())), "{{pod}}"}).stack(),
				graph("Bytes", units.BytesPerSecondIEC, "Of lines, before compression.",
					query{sum("pod", rate("loki_distributor_bytes_received_total"+of())), "{{pod}}"}).stack(),
				graph("Refused lines", units.CountsPerSecond, "By reason. Collectors try again where a rate was exceeded; other lines are lost.",
					query{sum("reason", rate("loki_discarded_samples_total"+of())), "{{reason}}"}).above(0.1, 1),
				graph("How long pushes take", units.Seconds, "",
					query{quantile("0.99", "", "loki_request_duration_seconds", of(push)), "99th percentile"},
					query{quantile("0.5", "", "loki_request_duration_seconds", of(push)), "median"}),
				graph("Streams", units.Short, "Streams that are open. Each has a chunk, and each chunk rows in the index.",
					query{sum("pod", "loki_ingester_memory_streams"+of()), "{{pod}}"}),
				graph("Streams come and go", units.CountsPerSecond, "Many: a label has too many values.",
					query{sum("", rate("loki_ingester_streams_created_total"+of())), "created"},
					query{sum("", rate("loki_ingester_streams_removed_total"+of())), "removed"}),
			}},
			{"Chunks", []panel{
				graph("In memory", units.Short, "Chunks.", query{sum("pod", "loki_ingester_memory_chunks"+of()), "{{pod}}"}),
				graph("Written", units.CountsPerSecond, "Chunks, by why they were closed. Many that are idle or old: small chunks, which cost more.",
					query{sum("reason", rate("loki_ingester_chunks_flushed_total"+of())), "{{reason}}"}).stack(),
				graph("Size", units.BytesIEC, "Of the chunks that were written: the larger, the fewer requests and rows.",
					query{quantile("0.5", "", "loki_ingester_chunk_size_bytes", of()), "median"},
					query{quantile("0.9", "", "loki_ingester_chunk_size_bytes", of()), "90th percentile"}),
				graph("Could not be written", units.Short, "Chunks within each moment that is shown, and how many wait.",
					query{sum("", happened("loki_ingester_chunks_flush_failures_total")), "failed"},
					query{sum("", "loki_ingester_flush_queue_length"+of()), "waiting"}),
				graph("Write-ahead log", units.BytesIEC, "In use, since the last checkpoint.",
					query{sum("pod", "loki_ingester_wal_bytes_in_use"+of()), "{{pod}}"}),
				graph("Trouble", units.Short, "Within each moment that is shown.",
					query{sum("", happened("loki_panic_total")), "panics"},
					query{sum("", happened("loki_ingester_wal_disk_full_failures_total")), "volume full"},
					query{sum("", happened("loki_ingester_checkpoint_creations_failed_total")), "checkpoints that failed"}).bad(1),
			}},
			{"Reads", []panel{
				graph("Requests", units.RequestsPerSecond, "By code.",
					query{sum("route, status_code", rate("loki_request_duration_seconds_count"+of(ask))), "{{route}} {{status_code}}"}).stack(),
				graph("How long answers take", units.Seconds, "99th percentile.",
					query{quantile("0.99", "route", "loki_request_duration_seconds", of(ask)), "{{route}}"}).above(10, 30),
				graph("Queries of LogQL", units.Seconds, "99th percentile, by type.",
					query{quantile("0.99", "query_type", "logql_query_duration_seconds", of()), "{{query_type}}"}),
				graph("Caches", units.PercentUnit, "Share of the keys that were found.",
					query{share(sum("name", rate("loki_cache_hits"+of())), sum("name", rate("loki_cache_fetched_keys"+of()))), "{{name}}"}).ratio(),
			}},
			{"Bucket", []panel{
				graph("Requests to S3", units.RequestsPerSecond, "",
					query{sum("operation, status_code", rate("loki_s3_request_duration_seconds_count"+of())), "{{operation}} {{status_code}}"}).stack(),
				graph("How long S3 takes", units.Seconds, "99th percentile.",
					query{quantile("0.99", "operation", "loki_s3_request_duration_seconds", of()), "{{operation}}"}),
			}},
		},
	}
	if o.DynamoDB {
		b.rows = append(b.rows, o.table())
	}
	b.rows = append(b.rows, o.resources(of()))
	return b
}

// table is the index in DynamoDB.
func (o Options) table() row {
	of := o.of("loki")
	return row{"Index table", []panel{
		graph("Units", units.CountsPerSecond, "Request units of DynamoDB, by operation.",
			query{sum("operation", rate("loki_dynamo_consumed_capacity_total"+of)), "{{operation}}"}).stack(),
		graph("How long DynamoDB takes", units.Seconds, "99th percentile.",
			query{quantile("0.99", "operation", "loki_dynamo_request_duration_seconds", of), "{{operation}}"}),
		graph("Slowed down", units.CountsPerSecond, "Requests that DynamoDB throttled.",
			query{sum("operation", rate("loki_dynamo_throttled_total"+of)), "{{operation}}"}),
		graph("Failed", units.CountsPerSecond, "",
			query{sum("operation, error", rate("loki_dynamo_failures_total"+of)), "{{operation}} {{error}}"},
			query{sum("operation, error", rate("loki_dynamo_dropped_requests_total"+of)), "{{operation}} {{error}}, given up"}),
	}}
}

// collection shows how logs get from the nodes to Loki. Promtail and Alloy have other names for the same.
func (o Options) collection() board {
	title, prefix, read := "Promtail", "promtail_", "promtail_"
	if o.Collector == collector.Alloy {
		title, prefix, read = "Alloy", "loki_write_", "loki_source_file_"
	}
	of := func(matchers ...string) string {
		return in(append([]string{`job="` + o.Collector + `"`, `namespace="` + o.HostNamespace + `"`}, matchers...)...)
	}
	happened := func(metric string) string { return "increase(" + metric + of() + rateWindow + ")" }
	const each = "{{node}}"
	nodes := toNode(label)
	return board{
		name: "collection", title: title, about: "Do log lines get from the nodes to Loki?", variables: base(),
		rows: []row{
			{"Lines", []panel{
				graph("Sent", units.CountsPerSecond, "Lines that Loki has taken.", query{sum("node", rate(prefix+"sent_entries_total"+of())), each}).
					stack().leads(nodes),
				graph("Bytes sent", units.BytesPerSecondIEC, "", query{sum("node", rate(prefix+"sent_bytes_total"+of())), each}).stack().leads(nodes),
				graph("Given up", units.Short, "Lines that are lost, within each moment that is shown.",
					query{sum("node, reason", happened(prefix+"dropped_entries_total")), "{{node}} {{reason}}"}).bad(1).leads(nodes),
				graph("Tried again", units.Short, "Batches that Loki did not take at first, within each moment that is shown.",
					query{sum("node", happened(prefix+"batch_retries_total")), each}).leads(nodes),
				graph("How long pushes take", units.Seconds, "99th percentile.",
					query{quantile("0.99", "node", prefix+"request_duration_seconds", of()), each}).leads(nodes),
				graph("Answers of Loki", units.RequestsPerSecond, "By code.",
					query{sum("status_code", rate(prefix+"request_duration_seconds_count"+of())), "{{status_code}}"}).stack(),
			}},
			{"Files", []panel{
				graph("Files", units.Short, "That are read.", query{sum("node", read+"files_active_total"+of()), each}).leads(nodes),
				graph("Still to read", units.BytesIEC, "The ten files of which most is still to be read. What the kubelet rotates away before is lost.",
					query{
						"topk(10, max by (node, path) (" + read + "file_bytes_total" + of() + " - " + read + "read_bytes_total" + of() + ") > 0)",
						"{{node}} {{path}}",
					}).leads(nodes),
				graph("Read most", units.CountsPerSecond, "The ten files with the most lines.",
					query{"topk(10, " + sum("node, path", rate(read+"read_lines_total"+of())) + ")", "{{node}} {{path}}"}).leads(nodes),
			}},
			o.resources(of()),
		},
	}
}

// explorer finds lines. Panels about workloads and pods lead here, with the same namespace and pods.
func (o Options) explorer() board {
	const stream = `{` + someApp + `, namespace=~"$namespace", app=~"$app", pod=~"${pod:raw}", container=~"$container"}`
	const found = stream + " |~ `(?i)${search:raw}`"
	pods := link{"Pod", "/d/" + uidPrefix + "pods?var-namespace=" + label("namespace") + "&var-pod=" + label("pod") + "&${__url_time_range}"}
	fromLoki := func(v variable) variable {
		v.logQL = true
		return v
	}
	return board{
		name: "logs", title: "Logs", about: "What was logged, by whom, and when?",
		variables: []variable{
			logsSource(),
			fromLoki(choices("namespace", "Namespace", "label_values({"+someApp+"}, namespace)")),
			fromLoki(choices("app", "App", "label_values({"+someApp+`, namespace=~"$namespace"}, app)`)),
			text("pod", "Pods (regular expression)", everything),
			fromLoki(choices("container", "Container", "label_values({"+someApp+`, namespace=~"$namespace"}, container)`)),
			text("search", "Search (regular expression)", ""),
		},
		rows: []row{{"Lines", []panel{
			graph("Lines by app", units.CountsPerSecond, "That are found.",
				query{"sum by (namespace, app) (rate(" + found + " [$__auto]))", "{{namespace}} {{app}}"}).inLogQL().stack(),
			graph("Lines that tell of trouble, by pod", units.CountsPerSecond,
				"Of those that are found, the ones with one of the words error, fatal, panic and exception in them.",
				query{"sum by (namespace, pod) (rate(" + found + trouble + " [$__auto]))", "{{namespace}} {{pod}}"}).
				inLogQL().stack().leads(pods),
			lines("Lines", "The newest that are found.", found).sized(gridWidth, 20),
			lines("Events of Kubernetes", "Of the same namespaces.", `{app="event-exporter", namespace=~"$namespace"}`),
		}}},
	}
}
