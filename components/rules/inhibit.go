package rules

import "fmt"

// Inhibition keeps Target quiet while Source fires with the same values of the labels in Equal. Matchers are Alertmanager's.
type Inhibition struct {
	// Source are the matchers of the failure.
	Source []string
	// Target are the matchers of what follows from it.
	Target []string
	// Equal are labels that both have, with the same value.
	Equal []string
}

// Inhibitions are what Alertmanager needs so that a failure is told once, and not again by each of its consequences.
func Inhibitions() []Inhibition {
	alertname := func(name string) string { return fmt.Sprintf("alertname=%q", name) }
	oneOf := func(names string) string { return fmt.Sprintf("alertname=~%q", names) }
	down := func(job, consequences string) Inhibition {
		// With an instance it is one target of several.
		source := []string{oneOf("ComponentDown|TargetDown"), fmt.Sprintf("job=%q", job), `instance=""`}
		return Inhibition{Source: source, Target: []string{oneOf(consequences)}, Equal: []string{"cluster"}}
	}
	same := func(source, target string, equal ...string) Inhibition {
		return Inhibition{Source: []string{alertname(source)}, Target: []string{oneOf(target)}, Equal: append([]string{"cluster"}, equal...)}
	}
	return []Inhibition{
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
