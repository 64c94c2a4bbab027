package rules

import (
	"slices"
	"strings"
)

// of selects what one part of the stack has about itself.
func of(job string, more ...string) string {
	return "{" + strings.Join(append([]string{`job="` + job + `"`, `namespace="$namespace"`}, more...), ",") + "}"
}

// share is what part of all is some, over five minutes or the window.
func share(by, some, all, over string) string {
	return "sum by (" + by + ") (rate(" + some + "[" + over + "])) / sum by (" + by + ") (rate(" + all + "[" + over + "]))"
}

// metricsGroup is about what makes and delivers metrics and alerts.
func metricsGroup(a Args) group {
	return group{
		name: "metrics", about: "Prometheus, Alertmanager, the operator, kube-state-metrics, Grafana.",
		alerts: slices.DeleteFunc(append(prometheusAlerts(), deliveryAlerts()...), func(one alert) bool {
			return a.NoOperator && one.name == "OperatorFailing" || a.NoGrafana && one.name == "GrafanaErrors"
		}),
	}
}

func prometheusAlerts() []alert {
	prom := of("prometheus-k8s")
	const pod = "namespace, pod"
	return []alert{
		{
			name: "ConfigNotReloaded", severity: Ticket, hold: "10m", runbook: "config-not-reloaded",
			expr: "max by (namespace, pod, container) (max_over_time({__name__=~\"prometheus_config_last_reload_successful|" +
				"alertmanager_config_last_reload_successful|reloader_last_reload_successful\",namespace=\"$namespace\"}[5m])) == 0",
			summary:     "A changed configuration is not taken up: the old one stays.",
			description: "{{ $labels.container }} of {{ $labels.pod }} could not load its configuration.",
		},
		{
			name: "RulesFailing", severity: Ticket, hold: "15m", window: "5m", runbook: "rules-failing",
			expr: either(
				because("fail", rising(pod+", rule_group", "prometheus_rule_evaluation_failures_total"+prom)),
				because("are skipped, for evaluation takes too long", rising(pod+", rule_group", "prometheus_rule_group_iterations_missed_total"+prom)),
				because("fail", rising(pod+", rule_group", "loki_prometheus_rule_evaluation_failures_total"+of("loki")))),
			summary: "Rules are not evaluated: their alerts cannot fire.",
			description: `{{ $value | printf "%.0f" }} evaluations of {{ $labels.rule_group }} in {{ $labels.pod }} {{ $labels.reason }} ` +
				"within $window.",
		},
		{
			name: "PrometheusNotIngesting", severity: Page, hold: "10m", runbook: "prometheus-storage",
			expr:        "sum by (" + pod + ") (rate(prometheus_tsdb_head_samples_appended_total" + prom + "[5m])) <= 0",
			summary:     "A Prometheus stores no samples.",
			description: "{{ $labels.pod }} runs and has stored nothing for 10 minutes or more.",
		},
		{
			name: "PrometheusStorageFailing", severity: Ticket, hold: "5m", window: "3h", runbook: "prometheus-storage",
			expr: either(
				because("cutting a block", rising(pod, "prometheus_tsdb_compactions_failed_total"+prom)),
				because("loading blocks", rising(pod, "prometheus_tsdb_reloads_failures_total"+prom)),
				because("writing the write-ahead log", rising(pod, "prometheus_tsdb_wal_writes_failed_total"+prom)),
				because("reading the write-ahead log", rising(pod, "prometheus_tsdb_wal_corruptions_total"+prom)),
				because("writing a checkpoint", rising(pod, "prometheus_tsdb_checkpoint_creations_failed_total"+prom)),
				because("truncating the head", rising(pod, "prometheus_tsdb_head_truncations_failed_total"+prom))),
			summary:     "A Prometheus has trouble with its volume. Without blocks there is nothing to upload.",
			description: `{{ $labels.pod }} failed {{ $value | printf "%.0f" }} times within $window at {{ $labels.reason }}.`,
		},
		{
			name: "PrometheusScrapesIncomplete", severity: Ticket, hold: "20m", window: "10m", runbook: "scrapes-incomplete",
			expr: either(
				because("samples have the same time and another value", rising(pod, "prometheus_target_scrapes_sample_duplicate_timestamp_total"+prom)),
				because("samples come out of order", rising(pod, "prometheus_target_scrapes_sample_out_of_order_total"+prom)),
				because("samples are over a sample limit", rising(pod, "prometheus_target_scrapes_exceeded_sample_limit_total"+prom)),
				because("answers are over a size limit", rising(pod, "prometheus_target_scrapes_exceeded_body_size_limit_total"+prom)),
				because("labels are over a limit", rising(pod, "prometheus_target_scrape_pool_exceeded_label_limits_total"+prom)),
				because("targets are over a limit", rising(pod, "prometheus_target_scrape_pool_exceeded_target_limit_total"+prom)),
				because("targets have impossible labels", rising(pod, "prometheus_target_sync_failed_total"+prom)),
				because("Kubernetes does not say which targets there are", rising(pod, "prometheus_sd_kubernetes_failures_total"+prom)),
				because("discovery does not say which targets there are", rising(pod, "prometheus_sd_refresh_failures_total"+prom))),
			summary:     "A Prometheus does not get all that its monitors ask for.",
			description: `{{ $labels.pod }}: {{ $labels.reason }}, {{ $value | printf "%.0f" }} times within $window.`,
		},
		{
			name: "OperatorFailing", severity: Ticket, hold: "10m", runbook: "operator",
			threshold: 0.1, counts: "share of what the operator does that may fail",
			expr: either(
				because("objects cannot be brought about", `sum by (controller) (min_over_time(prometheus_operator_syncs`+
					of("prometheus-operator", `status="failed"`)+`[5m])) > 0`),
				because("objects are refused as wrong", `sum by (controller, resource) (min_over_time(prometheus_operator_managed_resources`+
					of("prometheus-operator", `state="rejected"`)+`[5m])) > 0`),
				because("it is not ready", `max by (controller) (max_over_time(prometheus_operator_ready`+of("prometheus-operator")+`[5m])) == 0`),
				because("reconciliations fail", failing("reconcile_errors_total", "reconcile_operations_total")),
				because("listing fails", failing("list_operations_failed_total", "list_operations_total")),
				because("watching fails", failing("watch_operations_failed_total", "watch_operations_total")),
				because("writing of states fails", failing("status_update_errors_total", "status_update_operations_total")),
				because("the list of kubelets is not kept up", `sum(increase(prometheus_operator_node_syncs_failed_total`+
					of("prometheus-operator")+`[10m])) > 0`)),
			summary: "The Prometheus Operator does not do what monitors and rules ask for.",
			description: "The operator{{ with $labels.controller }}, controller {{ . }}{{ end }}{{ with $labels.resource }}, {{ . }}{{ end }}: " +
				"{{ $labels.reason }} ({{ $value | humanize }}).",
		},
		{
			name: "KubeStateMetricsFailing", severity: Ticket, hold: "15m", runbook: "kube-state-metrics",
			threshold: 0.01, counts: "share of the requests to the API server that may fail",
			expr: either(
				because("lists", "sum(rate(kube_state_metrics_list_total"+of("kube-state-metrics", `result="error"`)+"[5m])) / "+
					"sum(rate(kube_state_metrics_list_total"+of("kube-state-metrics")+"[5m])) > $threshold"),
				because("watches", "sum(rate(kube_state_metrics_watch_total"+of("kube-state-metrics", `result="error"`)+"[5m])) / "+
					"sum(rate(kube_state_metrics_watch_total"+of("kube-state-metrics")+"[5m])) > $threshold")),
			summary:     "kube-state-metrics does not see all objects: alerts about them are silent.",
			description: "{{ $value | humanizePercentage }} of what kube-state-metrics {{ $labels.reason }} fails.",
		},
		{
			name: "GrafanaErrors", severity: Ticket, hold: "10m", runbook: "grafana",
			threshold: 0.1, counts: "share of the requests that may fail, those that go on to Thanos or Loki left out",
			expr: share("namespace", "grafana_http_request_duration_seconds_count"+of("grafana", `status_code=~"5.."`, ownPages),
				"grafana_http_request_duration_seconds_count"+of("grafana", ownPages), "5m") + " > $threshold",
			summary:     "Grafana fails.",
			description: "{{ $value | humanizePercentage }} of the requests to Grafana fail.",
		},
	}
}

// ownPages are what Grafana answers by itself.
const ownPages = `handler!~"/api/datasources/proxy/.*|/api/ds/query|/api/tsdb/query"`

func failing(some, all string) string {
	const prefix = "prometheus_operator_"
	return share("controller", prefix+some+of("prometheus-operator"), prefix+all+of("prometheus-operator"), "5m") + " > $threshold"
}

// deliveryAlerts are about alerts on their way to people.
func deliveryAlerts() []alert {
	prom, manager := of("prometheus-k8s"), of("alertmanager-main")
	undelivered := func(prefix, from string) string {
		return lines("min by (namespace, pod) (rate("+prefix+"_errors_total"+from+"[5m])", "/ rate("+prefix+"_sent_total"+from+"[5m])) > $threshold")
	}
	return []alert{
		{
			name: "AlertsNotDelivered", severity: Page, hold: "10m", runbook: "alert-delivery",
			threshold: 0.05, counts: "share of the alerts that do not reach the best Alertmanager",
			expr: either(
				because("finds no Alertmanager",
					"max by (namespace, pod) (max_over_time(prometheus_notifications_alertmanagers_discovered"+prom+"[5m])) < 1"),
				because("cannot send to any Alertmanager", undelivered("prometheus_notifications", prom)),
				because("cannot send to any Alertmanager", undelivered("loki_prometheus_notifications", of("loki")))),
			summary:     "Alerts do not reach Alertmanager.",
			description: "{{ $labels.pod }} {{ $labels.reason }}.",
		},
		{
			name: "NotificationsFailing", severity: Page, hold: "5m", runbook: "alert-delivery",
			threshold: 0.05, counts: "share of the notifications that may fail",
			expr: share("namespace, integration", "alertmanager_notifications_failed_total"+manager,
				"alertmanager_notifications_total"+manager, "15m") + " > $threshold",
			summary:     "Alertmanager cannot tell people.",
			description: "{{ $value | humanizePercentage }} of the notifications by {{ $labels.integration }} fail.",
		},
		{
			name: "AlertmanagerClusterBroken", severity: Ticket, hold: "15m", runbook: "alert-delivery",
			expr: either(
				because("does not know all others", lines("max by (namespace, pod) (max_over_time(alertmanager_cluster_members"+manager+"[5m]))",
					"< on (namespace) group_left () count by (namespace) (alertmanager_cluster_members"+manager+")")),
				because("has lost others", "max by (namespace, pod) (max_over_time(alertmanager_cluster_failed_peers"+manager+"[5m])) > 0"),
				because("and the others have different configurations",
					`count by (namespace) (count_values by (namespace) ("hash", alertmanager_config_hash`+manager+`)) > 1`)),
			summary:     "The Alertmanagers do not agree: people are told twice, or silences are forgotten.",
			description: "{{ with $labels.pod }}{{ . }}{{ else }}Each Alertmanager{{ end }} {{ $labels.reason }}.",
		},
	}
}
