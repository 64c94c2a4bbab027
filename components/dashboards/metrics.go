package dashboards

import "github.com/grafana/grafana-foundation-sdk/go/units"

// resources are what the pods of a job take, as they say themselves.
func (o Options) resources(selector string) row {
	return row{"What it takes", []panel{
		graph("Memory", units.BytesIEC, "", query{sum("namespace, pod, job", "process_resident_memory_bytes"+selector), "{{pod}} {{job}}"}).
			leads(o.toPod(label)...),
		graph("CPU", units.Short, "Cores.", query{sum("namespace, pod, job", rate("process_cpu_seconds_total"+selector)), "{{pod}} {{job}}"}).
			leads(o.toPod(label)...),
	}}
}

// prometheus shows what is scraped and evaluated.
func (o Options) prometheus() board {
	const job, pod, each = "prometheus-k8s", "pod", "{{pod}}"
	of := func(matchers ...string) string { return o.of(job, matchers...) }
	by := func(expr string) query { return query{sum(pod, expr), each} }
	happened := func(metric string) string { return "increase(" + metric + of() + rateWindow + ")" }
	return board{
		name: "prometheus", title: "Prometheus", about: "Is everything scraped, stored and evaluated?", variables: base(),
		rows: []row{
			{"Scraping", []panel{
				graph("Targets by job", units.Short, "", query{aggregate("count", "job", "up"+in()), "{{job}}"}).stack(),
				graph("Targets down", units.Short, "", query{aggregate("count", "job, namespace", "up"+in()+" == 0"), "{{namespace}}/{{job}}"}).bad(1),
				list("Jobs", "What each job costs: samples are what Prometheus' memory goes by.", []string{"job"},
					column{"Samples", units.Short, sum("job", "scrape_samples_post_metric_relabeling"+in()), nil},
					column{"Of scraped", units.PercentUnit, share(sum("job", "scrape_samples_post_metric_relabeling"+in()),
						sum("job", "scrape_samples_scraped"+in())), nil},
					column{"New series", units.Short, sum("job", "scrape_series_added"+in()), nil},
					column{"Slowest", units.Seconds, aggregate("max", "job", "scrape_duration_seconds"+in()), nil}).sized(12, 9),
				graph("Samples", units.CountsPerSecond, "", by(rate("prometheus_tsdb_head_samples_appended_total"+of()))).sized(12, 9),
				graph("Scrapes that lose samples", units.Short, "Within each moment that is shown.",
					query{sum(pod, happened("prometheus_target_scrapes_exceeded_sample_limit_total")), "{{pod}} over a limit"},
					query{sum(pod, happened("prometheus_target_scrapes_sample_duplicate_timestamp_total")), "{{pod}} same time, other value"},
					query{sum(pod, happened("prometheus_target_scrapes_sample_out_of_order_total")), "{{pod}} out of order"}).bad(1),
				graph("Scrape interval", units.Seconds, "99th percentile of the time between two scrapes, by the interval that is asked for.",
					query{aggregate("max", "interval", "prometheus_target_interval_length_seconds"+of(`quantile="0.99"`)), "{{interval}}"}),
			}},
			{"Storing", []panel{
				graph("Series", units.Short, "Series that are written to at present.", by("prometheus_tsdb_head_series"+of())),
				graph("Series come and go", units.CountsPerSecond, "Many: something has a label that changes all the time.",
					query{sum(pod, rate("prometheus_tsdb_head_series_created_total"+of())), "{{pod}} created"},
					query{sum(pod, rate("prometheus_tsdb_head_series_removed_total"+of())), "{{pod}} removed"}),
				graph("On the volume", units.BytesIEC, "Blocks, write-ahead log and head.",
					query{sum(pod, "prometheus_tsdb_storage_blocks_bytes"+of()), "{{pod}} blocks"},
					query{sum(pod, "prometheus_tsdb_wal_storage_size_bytes"+of()), "{{pod}} write-ahead log"},
					query{sum(pod, "prometheus_tsdb_head_chunks_storage_size_bytes"+of()), "{{pod}} head"}),
				graph("Oldest sample", units.DurationSeconds, "How far back this Prometheus goes. The rest is in the bucket.",
					query{aggregate("max", pod, "time() - prometheus_tsdb_lowest_timestamp_seconds"+of()), each}),
				graph("Trouble with the volume", units.Short, "Within each moment that is shown.",
					query{sum(pod, happened("prometheus_tsdb_compactions_failed_total")), "{{pod}} cutting blocks"},
					query{sum(pod, happened("prometheus_tsdb_wal_corruptions_total")), "{{pod}} reading the write-ahead log"},
					query{sum(pod, happened("prometheus_tsdb_wal_writes_failed_total")), "{{pod}} writing it"},
					query{sum(pod, happened("prometheus_tsdb_reloads_failures_total")), "{{pod}} loading blocks"}).bad(1),
				graph("Restarts", units.Short, "Within each moment that is shown.",
					query{sum(pod, "changes(process_start_time_seconds"+of()+rateWindow+")"), each}),
			}},
			{"Evaluating and asking", []panel{
				graph("Rules that fail", units.Short, "Within each moment that is shown.",
					query{sum("rule_group", happened("prometheus_rule_evaluation_failures_total")), "{{rule_group}}"}).bad(1),
				graph("Rules by time", units.Seconds, "The ten groups whose last evaluation took longest.",
					query{"topk(10, " + aggregate("max", "rule_group", "prometheus_rule_group_last_duration_seconds"+of()) + ")", "{{rule_group}}"}),
				graph("Queries", units.Seconds, "90th percentile of the time that the evaluation of queries takes.",
					query{aggregate("max", pod, "prometheus_engine_query_duration_seconds"+of(`slice="inner_eval"`, `quantile="0.9"`)), each}),
				graph("Alerts on their way", units.Short, "Alerts that wait to be sent to an Alertmanager, and those that were given up.",
					query{sum(pod, "prometheus_notifications_queue_length"+of()), "{{pod}} waiting"},
					query{sum(pod, happened("prometheus_notifications_dropped_total")), "{{pod}} given up"}),
			}},
			o.resources(of()),
		},
	}
}

// thanos shows the way of metrics to the bucket and back.
func (o Options) thanos() board {
	sidecar, store, compact := "thanos-sidecar", "thanos-store", "thanos-compact"
	every := func(matchers ...string) string {
		return in(append([]string{`job=~"thanos-.+"`, `namespace="` + o.Namespace + `"`}, matchers...)...)
	}
	happened := func(metric, selector string) string { return "increase(" + metric + selector + rateWindow + ")" }
	front, queries := o.of("thanos-query-frontend", `handler="query-frontend"`), o.of("thanos-query", `handler=~"query|query_range"`)
	return board{
		name: "thanos", title: "Thanos", about: "Do metrics get to the bucket, back from it, and does it stay tidy?", variables: base(),
		rows: []row{
			{"Reads", []panel{
				graph("Queries", units.RequestsPerSecond, "To the query frontend, by code.",
					query{sum("code", rate("http_requests_total"+front)), "{{code}}"}).stack(),
				graph("How long queries take", units.Seconds, "Of the query frontend, with its cache.",
					query{quantile("0.99", "", "http_request_duration_seconds", front), "99th percentile"},
					query{quantile("0.5", "", "http_request_duration_seconds", front), "median"}).above(10, 30),
				graph("Queries that reach Thanos query", units.RequestsPerSecond, "What the cache cannot answer, in pieces of a day.",
					query{sum("handler, code", rate("http_requests_total"+queries)), "{{handler}} {{code}}"}).stack(),
				graph("Queries that run", units.PercentUnit, "Of as many as may run at once. At 1 they wait for each other.",
					query{sum("pod", "thanos_query_concurrent_gate_queries_in_flight"+o.of("thanos-query")) + " / " +
						sum("pod", "thanos_query_concurrent_gate_queries_max"+o.of("thanos-query")), "{{pod}}"}).ratio().above(0.7, 0.9),
				graph("Connected stores", units.Short, "To which Thanos query is connected, by type.",
					query{"max by (store_type) (" + sum("pod, store_type", "thanos_store_nodes_grpc_connections"+o.of("thanos-query")) + ")", "{{store_type}}"}),
				graph("Errors of stores and sidecars", units.RequestsPerSecond, "Calls of Thanos query that fail.",
					query{
						sum("grpc_method, grpc_code", rate("grpc_client_handled_total"+o.of("thanos-query", `grpc_code!="OK"`))),
						"{{grpc_method}} {{grpc_code}}",
					}),
				graph("Index cache of the store", units.PercentUnit, "Share of the lookups that need not go to the bucket.",
					query{sum("item_type", rate("thanos_store_index_cache_hits_total"+o.of(store))) + " / " +
						sum("item_type", rate("thanos_store_index_cache_requests_total"+o.of(store))), "{{item_type}}"}).ratio(),
				graph("Blocks that the store shows", units.Short, "", query{sum("pod", "thanos_bucket_store_blocks_loaded"+o.of(store)), "{{pod}}"}),
			}},
			{"Writes", []panel{
				graph("Blocks uploaded", units.Short, "Within each moment that is shown: one every two hours from each Prometheus.",
					query{sum("pod", happened("thanos_shipper_uploads_total", o.of(sidecar))), "{{pod}}"},
					query{sum("pod", happened("thanos_shipper_upload_failures_total", o.of(sidecar))), "{{pod}} failed"}),
				graph("Since the last upload", units.DurationSeconds, "",
					query{"time() - (" + aggregate("max", "pod", "thanos_objstore_bucket_last_successful_upload_time"+o.of(sidecar)) + " > 0)", "{{pod}}"}).
					above(3*3600, 5*3600),
				graph("Prometheus behind the sidecar", units.Short, "1 while the sidecar reaches its Prometheus.",
					query{aggregate("min", "pod", "thanos_sidecar_prometheus_up"+o.of(sidecar)), "{{pod}}"}),
				graph("Bytes uploaded", units.BytesPerSecondIEC, "By sidecars, and by compact, which writes anew what it has compacted.",
					query{sum("job", rate("thanos_objstore_bucket_operation_transferred_bytes_sum"+every(`operation="upload"`))), "{{job}}"}),
			}},
			{"Compaction", []panel{
				number("Compact", units.Short, "Halted: it met blocks that it cannot work on, and stopped.",
					"max(thanos_compact_halted"+o.of(compact)+")").bad(1).sized(4, 8),
				graph("Left to do", units.Short, "Falls to 0 in each round, if compact keeps up.",
					query{sum("", "thanos_compact_todo_compactions"+o.of(compact)), "compactions"},
					query{sum("", "thanos_compact_todo_downsample_blocks"+o.of(compact)), "blocks to downsample"},
					query{sum("", "thanos_compact_todo_deletion_blocks"+o.of(compact)), "blocks to delete"}).sized(10, 8),
				graph("Rounds", units.Short, "Times that compact has been through all blocks, within each moment that is shown.",
					query{sum("", happened("thanos_compact_iterations_total", o.of(compact))), "rounds"},
					query{sum("", happened("thanos_compact_retries_total", o.of(compact))), "retries"}).sized(10, 8),
				graph("Done", units.Short, "Within each moment that is shown.",
					query{sum("", happened("thanos_compact_group_compactions_total", o.of(compact))), "compactions"},
					query{sum("", happened("thanos_compact_downsample_total", o.of(compact))), "downsamplings"},
					query{sum("", happened("thanos_compact_blocks_cleaned_total", o.of(compact))), "blocks deleted"},
					query{sum("", happened("thanos_compact_group_compactions_failures_total", o.of(compact))), "failed compactions"}),
				graph("Blocks by state", units.Short, "As compact sees the bucket.",
					query{aggregate("max", "state", "thanos_blocks_meta_synced"+o.of(compact)) + " > 0", "{{state}}"}),
			}},
			{"Bucket", []panel{
				graph("Requests", units.RequestsPerSecond, "",
					query{sum("job, operation", rate("thanos_objstore_bucket_operations_total"+every())), "{{job}} {{operation}}"}).stack(),
				graph("Requests that fail", units.RequestsPerSecond, "",
					query{sum("job, operation", rate("thanos_objstore_bucket_operation_failures_total"+every())), "{{job}} {{operation}}"}),
				graph("How long requests take", units.Seconds, "99th percentile.",
					query{quantile("0.99", "job, operation", "thanos_objstore_bucket_operation_duration_seconds", every()), "{{job}} {{operation}}"}),
				graph("Bytes read", units.BytesPerSecondIEC, "",
					query{sum("job", rate("thanos_objstore_bucket_operation_transferred_bytes_sum"+every(`operation=~"get|get_range"`))), "{{job}}"}),
			}},
			o.resources(every()),
		},
	}
}

// alertmanager shows what wakes people.
func (o Options) alertmanager() board {
	of := func() string { return o.of("alertmanager-main") }
	firing := "ALERTS" + in(`alertstate="firing"`, `alertname!="Watchdog"`)
	return board{
		name: "alertmanager", title: "Alertmanager", about: "What fires, and do people hear of it?", variables: base(),
		rows: []row{
			{"What fires", []panel{
				list("Firing", "As Prometheus says. Alerts on logs are Loki's: they are among the numbers below.",
					[]string{"alertname", "severity", "namespace", "pod", "node"},
					column{"Series", units.Short, aggregate("count", "alertname, severity, namespace, pod, node", firing), nil}),
				graph("Firing by severity", units.Short, "", query{aggregate("count", "severity", firing), "{{severity}}"}).stack(),
				graph("Firing most", units.Short, "", query{"topk(10, " + aggregate("count", "alertname", firing) + ")", "{{alertname}}"}).stack(),
			}},
			{"Do people hear of it?", []panel{
				graph("Alerts", units.Short, "In Alertmanager, by state. Suppressed: silenced, or inhibited by another.",
					query{aggregate("max", "state", "alertmanager_alerts"+of()), "{{state}}"}),
				graph("Alerts received", units.CountsPerSecond, "",
					query{sum("pod, status", rate("alertmanager_alerts_received_total"+of())), "{{pod}} {{status}}"}),
				graph("Notifications", units.Short, "Within each moment that is shown, by way.",
					query{sum("integration", "increase(alertmanager_notifications_total"+of()+rateWindow+")") + " > 0", "{{integration}}"}),
				graph("Notifications that fail", units.Short, "Within each moment that is shown, by way.",
					query{
						sum("integration, reason", "increase(alertmanager_notifications_failed_total"+of()+rateWindow+")") + " > 0",
						"{{integration}} {{reason}}",
					}).bad(1),
				graph("How long notifications take", units.Seconds, "99th percentile, by way.",
					query{quantile("0.99", "integration", "alertmanager_notification_latency_seconds", of()), "{{integration}}"}),
				graph("Silences", units.Short, "", query{aggregate("max", "state", "alertmanager_silences"+of()), "{{state}}"}),
			}},
			{"Do they agree?", []panel{
				graph("Members", units.Short, "How many Alertmanagers each knows. Those that do not know each other tell people twice.",
					query{aggregate("max", "pod", "alertmanager_cluster_members"+of()), "{{pod}}"}),
				graph("Lost members", units.Short, "", query{aggregate("max", "pod", "alertmanager_cluster_failed_peers"+of()), "{{pod}}"}).bad(1),
				graph("Configuration", units.Short, "1 where the last change was taken up.",
					query{aggregate("min", "pod", "alertmanager_config_last_reload_successful"+of()), "{{pod}}"}),
				graph("Configurations that differ", units.Short, "1: all are the same.",
					query{`count(count_values("hash", alertmanager_config_hash` + of() + `))`, "configurations"}).bad(2),
			}},
			o.resources(of()),
		},
	}
}
