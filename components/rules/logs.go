package rules

import (
	"fmt"

	"github.com/kansoku/kansoku/components/collector"
)

func lokiGroup() group {
	return group{
		name: "loki", about: "Loki: taking lines in, keeping them, answering.",
		alerts: append(lokiAlerts(), storeAlerts()...),
	}
}

func lokiAlerts() []alert {
	loki := of("loki")
	slow := func(routes, seconds string) string {
		return `histogram_quantile(0.99, sum by (namespace, route, le) (rate(loki_request_duration_seconds_bucket` +
			of("loki", `route=~"`+routes+`"`) + `[5m]))) > ` + seconds
	}
	return []alert{
		{
			name: "LokiRequestErrors", severity: Page, hold: "15m", runbook: "loki-requests",
			threshold: 0.1, counts: "share of a route's requests that may fail",
			expr: share("namespace, route", "loki_request_duration_seconds_count"+of("loki", `status_code=~"5.."`),
				"loki_request_duration_seconds_count"+loki, "5m") + " > $threshold",
			summary:     "Loki fails to take lines, or to answer.",
			description: "{{ $value | humanizePercentage }} of Loki's requests on {{ $labels.route }} fail.",
		},
		{
			name: "LokiPanics", severity: Ticket, hold: "0s", window: "10m", runbook: "loki-requests",
			expr:        rising("namespace, pod", "loki_panic_total"+loki),
			summary:     "Loki runs into errors of its own program.",
			description: `{{ $labels.pod }} panicked {{ $value | printf "%.0f" }} times within $window.`,
		},
		{
			name: "LokiSlow", severity: Ticket, hold: "15m", runbook: "loki-requests",
			threshold: 1, counts: "seconds that a write takes (99th percentile); for queries thirty times that",
			expr: either(slow("loki_api_v1_push|/logproto.Pusher/Push", "$threshold"),
				slow("loki_api_v1_(query|query_range|series|labels?|label_name_values)", "30 * $threshold")),
			summary:     "Loki is slow.",
			description: "One request of Loki in a hundred on {{ $labels.route }} takes longer than {{ $value | humanizeDuration }}.",
		},
		{
			name: "LokiRefusesLines", severity: Ticket, hold: "15m", runbook: "loki-refuses",
			threshold: 1, counts: "lines per second that may be refused for one reason",
			expr:    "sum by (namespace, reason) (rate(loki_discarded_samples_total" + loki + "[5m])) > $threshold",
			summary: "Loki refuses lines.",
			description: "Loki refuses {{ $value | humanize }} lines per second: {{ $labels.reason }}. Collectors try again when a rate is " +
				"exceeded; otherwise these lines are lost.",
		},
		{
			name: "LokiCompactorFailing", severity: Ticket, hold: "1h", runbook: "loki-compactor",
			threshold: 3 * 3600, counts: "seconds since the index was last compacted",
			// Only with the index in TSDB there is a compactor, and only one works.
			expr: either(
				because("it has not compacted for a while, in seconds", lines("time() - max by (namespace) (",
					"loki_boltdb_shipper_compact_tables_operation_last_successful_run_timestamp_seconds"+loki+" > 0) > $threshold")),
				because("several work at once", "sum by (namespace) (loki_boltdb_shipper_compactor_running"+loki+") > 1")),
			summary:     "Loki's compactor does not work: queries get slow, and nothing is deleted.",
			description: "Loki's compactor: {{ $labels.reason }} ({{ $value | humanize }}).",
		},
	}
}

// storeAlerts are about what Loki writes to and reads from.
func storeAlerts() []alert {
	loki := of("loki")
	const (
		throttled = "Throttl.*|ProvisionedThroughputExceeded.*|RequestLimitExceeded"
		by        = "namespace, operation"
	)
	return []alert{
		{
			name: "LokiFlushFailing", severity: Page, hold: "15m", window: "15m", runbook: "loki-flush",
			expr:        rising("namespace, pod", "loki_ingester_chunks_flush_failures_total"+loki),
			summary:     "Loki cannot store its chunks: they fill its memory and its volume.",
			description: `{{ $labels.pod }} failed to store chunks {{ $value | printf "%.0f" }} times within $window.`,
		},
		{
			name: "LokiWALFailing", severity: Page, hold: "0s", window: "15m", runbook: "loki-flush",
			expr: either(
				because("the volume is full, and lines are in memory only",
					rising("namespace, pod", "loki_ingester_wal_disk_full_failures_total"+loki)),
				because("checkpoints cannot be written, and the log grows",
					rising("namespace, pod", "loki_ingester_checkpoint_creations_failed_total"+loki)),
				// It is read at the start, before the first scrape: no increase is seen.
				because("it was found broken at the start, and lines are lost", lines(
					"sum by (namespace, pod) (loki_ingester_wal_corruptions_total"+loki+") > 0",
					"and on (namespace, pod) time() - process_start_time_seconds"+loki+" < 3600"))),
			summary:     "Loki's write-ahead log fails: lines are lost if the pod ends.",
			description: "Write-ahead log of {{ $labels.pod }}: {{ $labels.reason }}.",
		},
		{
			name: "DynamoDBErrors", severity: Ticket, hold: "10m", window: "5m", runbook: "loki-index",
			expr: either(
				rising(by+", error", "loki_dynamo_failures_total"+of("loki", `error!~"`+throttled+`"`)),
				with("error", "rows were dropped", rising(by, "loki_dynamo_dropped_requests_total"+loki))),
			summary:     "Loki's index table refuses requests.",
			description: `{{ $labels.operation }} failed {{ $value | printf "%.0f" }} times within $window: {{ $labels.error }}.`,
		},
		{
			name: "DynamoDBThrottled", severity: Ticket, hold: "15m", window: "5m", runbook: "loki-index",
			expr: "max by (" + by + ") (\n" + either(rising(by, "loki_dynamo_throttled_total"+loki),
				rising(by, "loki_dynamo_failures_total"+of("loki", `error=~"`+throttled+`"`))) + ")",
			summary:     "DynamoDB slows Loki down.",
			description: `{{ $labels.operation }} was told to slow down {{ $value | printf "%.0f" }} times within $window.`,
		},
		{
			name: "LokiBucketErrors", severity: Ticket, hold: "15m", window: "15m", runbook: "bucket-errors",
			threshold: 0.05, counts: "share of the requests to the bucket that may fail",
			// S3 tells to slow down by a failure like any other.
			expr: share(by, "loki_s3_request_duration_seconds_count"+of("loki", `operation=~"S3.(Get|Put|Delete)Object"`, `status_code=~"5.."`),
				"loki_s3_request_duration_seconds_count"+of("loki", `operation=~"S3.(Get|Put|Delete)Object"`), "$window") + " > $threshold",
			summary:     "Requests to the bucket of logs fail.",
			description: "{{ $value | humanizePercentage }} of Loki's {{ $labels.operation }} fail, or were told to slow down.",
		},
	}
}

// collectionGroup is about the way of the lines to Loki, whichever program brings them.
func collectionGroup() group {
	const (
		by   = "node, pod"
		here = `{namespace="$host"}`
	)
	dropped := map[string]string{collector.Promtail: "promtail_dropped_entries_total", collector.Alloy: "loki_write_dropped_entries_total"}
	sent := map[string]string{collector.Promtail: "promtail_sent_entries_total", collector.Alloy: "loki_write_sent_entries_total"}
	retries := map[string]string{collector.Promtail: "promtail_batch_retries_total", collector.Alloy: "loki_write_batch_retries_total"}
	size := map[string]string{collector.Promtail: "promtail_file_bytes_total", collector.Alloy: "loki_source_file_file_bytes_total"}
	read := map[string]string{collector.Promtail: "promtail_read_bytes_total", collector.Alloy: "loki_source_file_read_bytes_total"}
	var stuck, lagging []string
	for _, kind := range []string{collector.Promtail, collector.Alloy} {
		stuck = append(stuck, lines(rising(by, retries[kind]+here), "unless on ("+by+") "+rising(by, sent[kind]+here)))
		lagging = append(lagging,
			fmt.Sprintf("max by (%s, path) (%s%s - %s%s) > $threshold", by, size[kind], here, read[kind], here),
			// What is not read at all has a size only.
			fmt.Sprintf("max by (%s, path) (%s%s unless %s%s) > $threshold", by, size[kind], here, read[kind], here))
	}
	return group{
		name: "collection", about: "The collectors that bring logs to Loki.",
		alerts: []alert{
			{
				name: "LogsDropped", severity: Ticket, hold: "0s", window: "15m", runbook: "log-collection",
				expr:        collectors(dropped, rising(by+", reason", "$metric"+here)),
				summary:     "A collector gave up on lines: they are lost.",
				description: `{{ $labels.pod }} on {{ $labels.node }} dropped {{ $value | printf "%.0f" }} lines within $window: {{ $labels.reason }}.`,
			},
			{
				name: "LogsStuck", severity: Ticket, hold: "5m", window: "15m", runbook: "log-collection",
				expr: either(stuck...),
				summary: "A collector tries to deliver the same lines again and again. It reads no further, and what the kubelet rotates away " +
					"is lost.",
				description: `{{ $labels.pod }} on {{ $labels.node }} tried {{ $value | printf "%.0f" }} times within $window, and Loki took nothing.`,
			},
			{
				name: "LogsLagging", severity: Ticket, hold: "15m", runbook: "log-collection",
				threshold: 10 << 20, counts: "bytes of a file that are not read yet; the kubelet rotates a file at 10 MiB",
				expr:        either(lagging...),
				summary:     "A collector does not keep up with a container.",
				description: "{{ $labels.pod }} on {{ $labels.node }} has {{ $value | humanize1024 }}B of {{ $labels.path }} still to read.",
			},
		},
	}
}

// costGroup compares the last hour with the last day, which is what Prometheus keeps: what is far above the usual is noticed, and what
// stays there becomes the usual.
func costGroup() group {
	const writes, requests = "namespace:dynamodb_write_units:rate5m", "namespace_job:s3_requests:rate5m"
	unusual := func(series, least string) string {
		return lines(
			"avg_over_time("+series+"[1h]) > $threshold * avg_over_time("+series+"[1d])", "and avg_over_time("+series+"[1h]) > "+least,
			// A new stack has no usual yet.
			"and "+series+" offset 12h >= 0")
	}
	return group{
		name: "cost", about: "What AWS charges by the request.",
		records: []record{
			{
				name: writes, why: "write units that Loki's index takes, per second",
				expr: "sum by (namespace) (rate(loki_dynamo_consumed_capacity_total" + of("loki", `operation="DynamoDB.BatchWriteItem"`) + "[5m]))",
			},
			{
				name: requests, why: "requests to S3 by part, per second",
				expr: either("sum by (namespace, job) (rate("+objects+"s_total{"+thanosJobs+"}[5m]))",
					"sum by (namespace, job) (rate(loki_s3_request_duration_seconds_count"+of("loki")+"[5m]))"),
			},
		},
		alerts: []alert{
			{
				name: "DynamoDBWritesHigh", severity: Ticket, hold: "15m", runbook: "cost",
				threshold: 3, counts: "times the day's average that the last hour may be, if it is above 5 write units per second (some 9 USD a month)",
				expr:        unusual(writes, "5"),
				summary:     "Loki writes far more rows into DynamoDB than usual.",
				description: "Loki writes {{ $value | humanize }} units per second into its index, more than $threshold times the day's average.",
			},
			{
				name: "S3RequestsHigh", severity: Ticket, hold: "15m", runbook: "cost",
				threshold: 3, counts: "times the day's average that the last hour may be, if it is above 20 requests per second (some 20 USD " +
					"a month, if all were GET)",
				expr:        unusual(requests, "20"),
				summary:     "A part of the stack sends far more requests to S3 than usual.",
				description: "{{ $labels.job }} sends {{ $value | humanize }} requests per second to S3, more than $threshold times the day's average.",
			},
		},
	}
}

// logsGroup are the alerts that Loki's ruler evaluates. Each evaluation reads what it selects, so windows are short; and Loki logs each of
// these queries itself, so that no pattern may match its own text.
func logsGroup(mustLog []Workload) group {
	const (
		everyone = `{namespace=~".+",app!="event-exporter"}`
		panics   = "`^(panic: |fatal error: |thread '.+' panicked at |Exception in thread )`"
		errors   = "`(?i:level\"?[=:] ?\"?(error|fatal|critical))|^[EF][0-9]{4} |\\b(ERRO[R]|FATA[L]|CRITICA[L])\\b`"
		by       = "sum by (namespace, app) "
	)
	burst := by + "(count_over_time(" + everyone + " |~ " + errors + " [$window]"
	g := group{
		name: "logs", about: "What log lines themselves say.", onLogs: true,
		alerts: []alert{
			{
				name: "LogPanic", severity: Ticket, hold: "0s", window: "5m", runbook: "log-alerts",
				expr:    by + "(count_over_time(" + everyone + " |~ " + panics + " [$window])) > 0",
				summary: "A program has crashed, by what it wrote last.",
				description: "{{ $labels.namespace }}/{{ $labels.app }} wrote {{ $value }} lines of a crash (panic, fatal error, uncaught " +
					"exception) within $window.",
			},
			{
				name: "LogErrorBurst", severity: Ticket, hold: "0s", window: "5m", runbook: "log-alerts",
				threshold: 100, counts: "lines of errors within the window, if at most half as many came an hour before",
				expr:        burst + ")) > $threshold unless 2 * " + burst + " offset 1h)) > $threshold",
				summary:     "A workload writes many errors, and did not an hour ago.",
				description: "{{ $labels.namespace }}/{{ $labels.app }} wrote {{ $value }} lines of errors within $window.",
			},
		},
	}
	if len(mustLog) == 0 {
		mustLog = []Workload{{Namespace: "$namespace", App: "loki"}}
	}
	for _, w := range mustLog {
		g.alerts = append(g.alerts, alert{
			name: "LogSilence", severity: Ticket, hold: "0s", window: "15m", runbook: "log-alerts",
			expr:        fmt.Sprintf("absent_over_time({namespace=%q,app=%q}[$window])", w.Namespace, w.App),
			summary:     "A workload that always writes has gone silent, or its lines do not arrive.",
			description: "No line of {{ $labels.namespace }}/{{ $labels.app }} has arrived within $window.",
		})
	}
	return g
}
