package rules

import (
	"fmt"

	"github.com/kansoku/kansoku/components/alertmanager"
)

// Inhibitions are what Alertmanager needs so that a failure is told once, and not again by each of its consequences.
func Inhibitions() []alertmanager.Inhibition {
	alertname := func(name string) string { return fmt.Sprintf("alertname=%q", name) }
	oneOf := func(names string) string { return fmt.Sprintf("alertname=~%q", names) }
	down := func(job, consequences string) alertmanager.Inhibition {
		// With an instance it is one target of several.
		source := []string{oneOf("ComponentDown|TargetDown"), fmt.Sprintf("job=%q", job), `instance=""`}
		return alertmanager.Inhibition{Source: source, Target: []string{oneOf(consequences)}, Equal: []string{"cluster"}}
	}
	same := func(source, target string, equal ...string) alertmanager.Inhibition {
		return alertmanager.Inhibition{Source: []string{alertname(source)}, Target: []string{oneOf(target)}, Equal: append([]string{"cluster"}, equal...)}
	}
	return []alertmanager.Inhibition{
		// A dead node takes its targets, its pods and its collector along.
		same("NodeDown", "TargetDown|PodNotReady|PodCrashLooping|ContainerOOMKilled|KubeletFailing|NodePressure|NodeMemoryShort|NodeCPUShort|"+
			"NodeDiskSlow|NodeDiskFull|NodeDiskFilling|NodeConntrackFull|NodeClockSkewed|LogsStuck|LogsLagging|LogsDropped", "node"),
		same("NodeDiskFull", "NodeDiskFilling", "node", "mountpoint", "resource"),
		same("VolumeFull", "VolumeFilling", "namespace", "persistentvolumeclaim", "resource"),
		// Of a pod that ends again and again, that is all there is to say.
		same("PodCrashLooping", "PodNotReady|TargetDown", "namespace", "pod"),
		same("PodNotReady", "TargetDown", "namespace", "pod"),
		same("ComponentDown", "TargetDown", "job"),
		same("APIServerBudgetBurnsFast", "APIServerBudgetBurnsSlowly"),
		same("CoreDNSErrors", "CoreDNSSlow"),
		// Compact halts because of what overlaps, and is behind because it has halted.
		same("ThanosOverlap", "ThanosCompactHalted"),
		same("ThanosCompactHalted", "ThanosCompactBehind"),
		// Who does not reach a part says so too.
		down("apiserver", "PrometheusScrapesIncomplete|KubeStateMetricsFailing|OperatorFailing|AutoscalerStuck|AggregatedAPIDown"),
		down("prometheus-adapter", "AggregatedAPIDown|HPACannotScale"),
		down("coredns", "CoreDNSErrors|CoreDNSSlow|ThanosStoresUnreachable|LogsStuck"),
		down("loki", "LokiRequestErrors|LogsStuck|LogsLagging|LogSilence"),
		down("alertmanager-main", "AlertsNotDelivered|AlertmanagerClusterBroken"),
		down("thanos-query", "ThanosQueryErrors|ThanosSlow"),
		down("thanos-store", "ThanosStoresUnreachable"),
	}
}
