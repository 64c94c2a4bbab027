package rules

import (
	"fmt"
	"strings"

	"github.com/kansoku/kansoku/components/placement"
)

// one is a metric of kube-state-metrics, once for each value of the labels.
func one(by, metric string, matchers ...string) string {
	return fmt.Sprintf("max by (%s) (%s{%s})", by, metric, strings.Join(append([]string{state}, matchers...), ","))
}

// ofWorkload makes the label that is named like a kind of workload the label "workload", and the kind one too.
func ofWorkload(label, kind, expr string) string {
	return fmt.Sprintf("label_replace(label_replace(\n%s,\n\"workload\", \"$1\", %q, \"(.+)\"), \"kind\", %q, \"\", \"\")", expr, label, kind)
}

// still holds while none of a workload's pods is being renewed.
func still(label, metric string) string {
	return "and " + "max by (namespace, " + label + ") (changes(" + metric + "{" + state + "}[10m])) == 0"
}

func workloadsGroup() group {
	const cadvisor = `{job="kubelet",metrics_path="/metrics/cadvisor",container!=""}`
	owner := func(kind, workload string) string {
		return ofWorkload("owner_name", workload, one("namespace, pod, owner_name", "kube_pod_owner", fmt.Sprintf(`owner_kind=%q`, kind)))
	}
	return group{
		name: "workloads", about: "Pods and what keeps them: deployments, jobs, autoscalers, budgets, quotas.",
		records: []record{
			{
				name: "namespace_pod_workload:kube_pod_owner:info", why: "the workload of a pod; of a deployment's pods the deployment",
				expr: "max by (namespace, pod, workload, kind) (\n" + either(
					lines(`label_replace(label_replace(`, one("namespace, pod, owner_name", "kube_pod_owner", `owner_kind="ReplicaSet"`)+`,`,
						`"replicaset", "$1", "owner_name", "(.+)")`,
						`* on (namespace, replicaset) group_left (workload)`,
						`label_replace(`, one("namespace, replicaset, owner_name", "kube_replicaset_owner", `owner_kind="Deployment"`)+`,`,
						`"workload", "$1", "owner_name", "(.+)"),`,
						`"kind", "Deployment", "", "")`),
					owner("StatefulSet", "StatefulSet"), owner("DaemonSet", "DaemonSet"), owner("Job", "Job")) + ")",
			},
			{
				name: "namespace_pod:container_cpu_usage:rate5m", why: "CPU that a pod uses, in cores",
				expr: `sum by (namespace, pod) (rate(container_cpu_usage_seconds_total` + cadvisor + `[5m]))`,
			},
			{
				name: "namespace_pod:container_memory_working_set_bytes:sum", why: "memory that a pod uses",
				expr: `sum by (namespace, pod) (container_memory_working_set_bytes` + cadvisor + `)`,
			},
		},
		alerts: append(podAlerts(), controllerAlerts()...),
	}
}

func podAlerts() []alert {
	const container = "namespace, pod, container"
	waiting := func(metric string) string {
		return `max by (` + container + `) (max_over_time(` + metric + `{` + state + `,reason="CrashLoopBackOff"}[5m])) == 1`
	}
	return []alert{
		{
			name: "PodCrashLooping", severity: Ticket, hold: "15m", runbook: "pod-failing",
			expr: onNode(either(waiting("kube_pod_container_status_waiting_reason"),
				waiting("kube_pod_init_container_status_waiting_reason"))),
			summary: "A container ends again and again.",
			description: "{{ $labels.container }} of {{ $labels.namespace }}/{{ $labels.pod }} ends soon after each start; Kubernetes waits " +
				"longer and longer between the attempts.",
		},
		{
			name: "ContainerOOMKilled", severity: Ticket, hold: "0s", window: "1h", runbook: "pod-failing",
			threshold: 2, counts: "restarts within the window, the last of them for want of memory",
			// changes() counts; increase() would guess, and make 1.01 of one.
			expr: onNode(lines(`max by (`+container+`) (changes(kube_pod_container_status_restarts_total{`+state+`}[$window])) >= $threshold`,
				`and on (`+container+`) `+one(container, "kube_pod_container_status_last_terminated_reason", `reason="OOMKilled"`)+` == 1`)),
			summary: "A container is killed for using more memory than its limit.",
			description: "{{ $labels.container }} of {{ $labels.namespace }}/{{ $labels.pod }} was restarted {{ $value }} times within $window, " +
				"the last time because it used more memory than it may.",
		},
		{
			name: "PodNotReady", severity: Ticket, hold: "15m", runbook: "pod-failing",
			expr: onNode(lines(
				`(`+one("namespace, pod", "kube_pod_status_phase", `phase=~"Pending|Unknown"`)+` == 1`,
				`or `+one("namespace, pod", "kube_pod_status_phase", `phase="Running"`)+` == 1`,
				`and on (namespace, pod) `+one("namespace, pod", "kube_pod_status_ready", `condition="true"`)+` == 0)`,
				`unless on (namespace, pod) `+one("namespace, pod", "kube_pod_owner", `owner_kind="Job"`),
				`unless on (namespace, pod) `+one("namespace, pod", "kube_pod_status_unschedulable")+` == 1`,
				`unless on (namespace, pod) `+one("namespace, pod", "kube_pod_status_reason", `reason="SchedulingGated"`)+` == 1`)),
			summary: "A pod has a node and does not become ready.",
			description: "{{ $labels.namespace }}/{{ $labels.pod }}{{ with $labels.node }} on {{ . }}{{ end }} has not been ready for 15 " +
				"minutes or more.",
		},
	}
}

func controllerAlerts() []alert {
	missing := func(label, kind, want, have string) string {
		by := "namespace, " + label
		return ofWorkload(label, kind, lines(one(by, "kube_"+label+want)+" - "+one(by, "kube_"+label+have)+" > 0",
			still(label, "kube_"+label+"_status_replicas_updated")))
	}
	behind := func(label, kind, prefix string) string {
		by := "namespace, " + label
		return because("changes are not taken up", ofWorkload(label, kind,
			one(by, prefix+"_metadata_generation")+" - "+one(by, prefix+"_status_observed_generation")+" > 0"))
	}
	downNodes := `scalar(count(` + one("node", "kube_node_status_condition", `condition="Ready"`, `status="true"`) + ` == 0) or vector(0))`
	return append([]alert{
		{
			name: "WorkloadDegraded", severity: Ticket, hold: "15m", runbook: "workload-degraded",
			expr: "max by (namespace, workload, kind) (\n" + either(
				missing("deployment", "Deployment", "_spec_replicas", "_status_replicas_available"),
				missing("statefulset", "StatefulSet", "_replicas", "_status_replicas_ready"),
				// One is missing on every node that is down, and comes back with it.
				ofWorkload("daemonset", "DaemonSet", lines(
					one("namespace, daemonset", "kube_daemonset_status_desired_number_scheduled")+" - "+
						one("namespace, daemonset", "kube_daemonset_status_number_available")+" > "+downNodes,
					still("daemonset", "kube_daemonset_status_updated_number_scheduled"))),
			) + ")",
			summary:     "A workload has fewer pods than it should have, and no rollout is under way.",
			description: "{{ $labels.kind }} {{ $labels.namespace }}/{{ $labels.workload }} lacks {{ $value }} of its pods.",
		},
		{
			name: "RolloutStuck", severity: Ticket, hold: "15m", runbook: "workload-degraded",
			expr: "max by (namespace, workload, kind, reason) (\n" + either(
				behind("deployment", "Deployment", "kube_deployment"), behind("statefulset", "StatefulSet", "kube_statefulset"),
				behind("daemonset", "DaemonSet", "kube_daemonset"),
				because("the deadline for progress has passed", ofWorkload("deployment", "Deployment",
					one("namespace, deployment", "kube_deployment_status_condition", `condition="Progressing"`, `status="false"`)+" == 1")),
				because("pods are of an old revision", ofWorkload("statefulset", "StatefulSet", lines(
					one("namespace, statefulset", "kube_statefulset_replicas")+" - "+
						one("namespace, statefulset", "kube_statefulset_status_replicas_updated")+" > 0",
					`and on (namespace, statefulset) (`+one("namespace, statefulset, revision", "kube_statefulset_status_current_revision"),
					`unless `+one("namespace, statefulset, revision", "kube_statefulset_status_update_revision")+`)`,
					still("statefulset", "kube_statefulset_status_replicas_updated")))),
				because("pods are of an old revision", ofWorkload("daemonset", "DaemonSet", lines(
					one("namespace, daemonset", "kube_daemonset_status_desired_number_scheduled")+" - "+
						one("namespace, daemonset", "kube_daemonset_status_updated_number_scheduled")+" > 0",
					still("daemonset", "kube_daemonset_status_updated_number_scheduled")))),
			) + ")",
			summary:     "A rollout does not get on.",
			description: "{{ $labels.kind }} {{ $labels.namespace }}/{{ $labels.workload }}: {{ $labels.reason }}.",
		},
	}, jobAlerts()...)
}

func jobAlerts() []alert {
	started := one("namespace, job_name", "kube_job_status_start_time")
	return []alert{
		{
			name: "JobFailing", severity: Ticket, hold: "15m", runbook: "job-failing",
			threshold: 12 * 3600, counts: "seconds that a job may run",
			expr: "max by (namespace, workload, kind, reason) (\n" + either(
				because("failed", ofWorkload("job_name", "Job", lines(one("namespace, job_name", "kube_job_failed", `condition="true"`)+" == 1",
					// The last failed job of a cron job stays until the next one fails: for ever, if none does. A day is enough to see it.
					"and on (namespace, job_name) "+started+" > time() - 24 * 3600"))),
				because("still runs", ofWorkload("job_name", "Job", lines("time() - "+started+" > $threshold",
					"and on (namespace, job_name) "+one("namespace, job_name", "kube_job_status_active")+" > 0"))),
				because("should have started an hour ago or earlier", ofWorkload("cronjob", "CronJob", lines(
					"time() - "+one("namespace, cronjob", "kube_cronjob_next_schedule_time")+" > 3600",
					"and on (namespace, cronjob) "+one("namespace, cronjob", "kube_cronjob_spec_suspend")+" == 0"))),
			) + ")",
			summary:     "A job failed, does not end or did not start.",
			description: "{{ $labels.kind }} {{ $labels.namespace }}/{{ $labels.workload }} {{ $labels.reason }}.",
		},
		{
			name: "HPACannotScale", severity: Ticket, hold: "15m", runbook: "aggregated-api",
			expr: lines(one("namespace, horizontalpodautoscaler, condition", "kube_horizontalpodautoscaler_status_condition",
				`condition=~"ScalingActive|AbleToScale"`, `status="false"`)+" == 1",
				// To nothing is how scaling is switched off.
				"and on (namespace, horizontalpodautoscaler) "+
					one("namespace, horizontalpodautoscaler", "kube_horizontalpodautoscaler_status_desired_replicas")+" > 0"),
			summary:     "An autoscaler of pods gets no metrics, or may not change its workload.",
			description: "HorizontalPodAutoscaler {{ $labels.namespace }}/{{ $labels.horizontalpodautoscaler }}: {{ $labels.condition }} is false.",
		},
		{
			name: "PDBUnmet", severity: Ticket, hold: "15m", runbook: "workload-degraded",
			expr: one("namespace, poddisruptionbudget", "kube_poddisruptionbudget_status_desired_healthy") + " - " +
				one("namespace, poddisruptionbudget", "kube_poddisruptionbudget_status_current_healthy") + " > 0",
			summary:     "A disruption budget is used up: drains wait, until the spot notice runs out.",
			description: "PodDisruptionBudget {{ $labels.namespace }}/{{ $labels.poddisruptionbudget }} lacks {{ $value }} healthy pods.",
		},
		{
			name: "QuotaNearlyFull", severity: Info, hold: "15m", runbook: "quota",
			threshold: 0.9, counts: "share of the quota that is used",
			expr: one("namespace, resourcequota, resource", "kube_resourcequota", `type="used"`) + " / (" +
				one("namespace, resourcequota, resource", "kube_resourcequota", `type="hard"`) + " > 0) > $threshold",
			summary: "A namespace will soon get no more pods.",
			description: "{{ $labels.namespace }} uses {{ $value | humanizePercentage }} of its quota {{ $labels.resourcequota }} of " +
				"{{ $labels.resource }}.",
		},
	}
}

func volumesGroup() group {
	const (
		by     = "max by (namespace, persistentvolumeclaim) "
		volume = "{{ $labels.namespace }}/{{ $labels.persistentvolumeclaim }}"
	)
	metric := func(name string) string { return "kubelet_volume_stats_" + name + "{" + kubelet + "}" }
	share := func(free, all string) string { return metric(free) + " / " + metric(all) + " < $threshold" }
	filling := func(free, all string) string {
		return by + "(" + lines(share(free, all), "and predict_linear("+metric(free)+"[$window], 4 * 24 * 3600) < 0") + ")"
	}
	return group{
		name: "volumes", about: "Volumes of pods, of the stack and of others.",
		alerts: []alert{
			{
				name: "VolumeFilling", severity: Ticket, hold: "30m", window: "6h", runbook: "volume-filling",
				threshold: 0.15, counts: "share of the space, or of the inodes, that is free",
				expr: either(with("resource", "space", filling("available_bytes", "capacity_bytes")),
					with("resource", "inodes", filling("inodes_free", "inodes"))),
				summary:     "A volume will be full within four days.",
				description: volume + " has {{ $value | humanizePercentage }} of its {{ $labels.resource }} left and goes on like in the last $window.",
			},
			{
				name: "VolumeFull", severity: Page, hold: "5m", runbook: "volume-filling",
				threshold: 0.03, counts: "share of the space, or of the inodes, that is free",
				expr: either(with("resource", "space", by+"("+share("available_bytes", "capacity_bytes")+")"),
					with("resource", "inodes", by+"("+share("inodes_free", "inodes")+")")),
				summary:     "A volume is full.",
				description: volume + " has {{ $value | humanizePercentage }} of its {{ $labels.resource }} left.",
			},
			{
				name: "VolumeFailed", severity: Ticket, hold: "10m", runbook: "volume-failed",
				expr: either(
					one("persistentvolume, phase", "kube_persistentvolume_status_phase", `phase=~"Failed|Pending"`)+" == 1",
					one("namespace, persistentvolumeclaim, phase", "kube_persistentvolumeclaim_status_phase", `phase="Lost"`)+" == 1"),
				summary:     "A volume could not be made, removed or found.",
				description: "{{ with $labels.persistentvolume }}Volume {{ . }}{{ else }}Claim " + volume + "{{ end }} is {{ $labels.phase }}.",
			},
		},
	}
}

// spotGroup goes by what Kubernetes knows: EKS drains a node of a managed group that it is told to give back, and writes no event of its
// own about it. Nodes that were there and are not, and that the autoscaler did not take away (it taints these before), were taken back,
// replaced by an update of the group, or repaired.
func spotGroup(noAutoscaler bool) group {
	const nodes = "node_zone:spot_nodes:info"
	spot := fmt.Sprintf("label_%s=%q", placement.SpotLabel, placement.SpotLabelValue)
	seen := "max by (node, zone) (max_over_time(" + nodes + "[$window]))"
	g := group{
		name: "spot", about: "Spot capacity: what is taken back, and what cannot be had.",
		records: []record{{
			name: nodes, why: "the spot nodes that there are, with their zone",
			expr: lines(`max by (node, zone) (label_replace(`, `kube_node_labels{`+state+`,`+spot+`},`,
				`"zone", "$1", "label_topology_kubernetes_io_zone", "(.+)"))`),
		}},
		alerts: []alert{
			{
				name: "SpotNodesReclaimed", severity: Ticket, hold: "5m", window: "1h", runbook: "spot-capacity",
				threshold: 0.3, counts: "share of the spot nodes of the window that are gone, and not because the autoscaler wanted it",
				expr: lines("count("+seen, "unless on (node) "+nodes,
					"unless on (node) max_over_time(kube_node_spec_taint{"+state+`,key="ToBeDeletedByClusterAutoscaler"}[$window]))`,
					"/ count("+seen+") > $threshold",
					// While kube-state-metrics moves, all nodes seem to be gone.
					"and on () count(kube_node_labels{"+state+"})"),
				summary: "AWS takes back many spot nodes.",
				description: "{{ $value | humanizePercentage }} of the spot nodes of the last $window are gone without the autoscaler having " +
					"removed them.",
			},
			{
				name: "ZoneWithoutNodes", severity: Ticket, hold: "10m", window: "1d", runbook: "spot-capacity",
				expr: lines("count by (zone) ("+seen+")",
					"unless on (zone) count by (zone) ("+nodes,
					"and on (node) "+one("node", "kube_node_status_condition", `condition="Ready"`, `status="true"`)+" == 1)",
					"and on () count("+one("namespace, pod", "kube_pod_status_unschedulable")+" == 1)"),
				summary:     "A zone has lost its last spot node while pods wait for one. Volumes are bound to their zone.",
				description: "Zone {{ $labels.zone }} had {{ $value }} spot nodes within $window, has none that is ready, and pods wait.",
			},
			{
				name: "PodUnschedulable", severity: Ticket, hold: "15m", runbook: "spot-capacity",
				expr:        one("namespace, pod", "kube_pod_status_unschedulable") + " == 1",
				summary:     "A pod finds no node, although the autoscaler has had time to add one.",
				description: "{{ $labels.namespace }}/{{ $labels.pod }} has waited for a node for 15 minutes or more.",
			},
		},
	}
	if noAutoscaler {
		return g
	}
	scaler := of("cluster-autoscaler")
	g.alerts = append(g.alerts, alert{
		name: "ScaleUpFailed", severity: Ticket, hold: "0s", window: "30m", runbook: "spot-capacity",
		expr:        rising("reason", "cluster_autoscaler_failed_scale_ups_total"+scaler),
		summary:     "AWS does not give the nodes that the autoscaler asks for.",
		description: `The autoscaler asked in vain for nodes {{ $value | printf "%.0f" }} times within $window: {{ $labels.reason }}.`,
	}, alert{
		name: "AutoscalerStuck", severity: Ticket, hold: "15m", runbook: "autoscaler",
		threshold: 600, counts: "seconds since it last looked",
		expr: either(
			because("too many nodes are not ready for it to act",
				"max by (namespace) (cluster_autoscaler_cluster_safe_to_autoscale"+scaler+") == 0"),
			because("it has not looked for a while",
				"time() - max by (namespace) (cluster_autoscaler_last_activity"+of("cluster-autoscaler", `activity="main"`)+") > $threshold")),
		summary:     "The autoscaler adds and removes no nodes.",
		description: "cluster-autoscaler does nothing: {{ $labels.reason }}.",
	})
	return g
}
