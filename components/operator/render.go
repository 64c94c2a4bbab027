package operator

import (
	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/versions"
)

// flags are the operator's arguments. The settings are valid and hold their defaults.
func flags(s Settings, images versions.Images) []string {
	return append([]string{
		"--kubelet-service=kube-system/kubelet",
		// Endpoints are deprecated since Kubernetes 1.33 and cut off at 1,000 nodes.
		"--kubelet-endpoints=false",
		"--kubelet-endpointslice=true",
		// The kubelet's port without authentication is closed on EKS.
		"--kubelet-http-metrics=false",
		"--prometheus-config-reloader=" + images.Place(versions.ConfigReloader.Image()),
		"--watch-referenced-objects-in-all-namespaces=true",
		"--disable-unmanaged-prometheus-configuration=true",
		// A pod that a bad update broke blocks the good update after it (upstream's advice from Kubernetes 1.35 on). Deleting needs no
		// right that the operator has not, evicting would.
		"--repair-policy-for-statefulsets=delete",
		"--auto-gomemlimit-ratio=0.9",
	}, reloaderFlags(s.ReloaderResources)...)
}

// reloaderFlags hand the resources on. Zero is how a limit is switched off.
func reloaderFlags(r kube.Resources) []string {
	cpuLimit := r.CPULimit
	if cpuLimit == "" {
		cpuLimit = "0"
	}
	return []string{
		"--config-reloader-cpu-request=" + r.CPU,
		"--config-reloader-cpu-limit=" + cpuLimit,
		"--config-reloader-memory-request=" + r.Memory,
		"--config-reloader-memory-limit=" + r.MemoryLimit,
	}
}

// rules are upstream's for this release, with those for EndpointSlices and without those for Endpoints (see flags). They read every
// Secret and ConfigMap: the operator keeps the configurations that it writes there, and those that monitors refer to.
func rules() []kube.Rule {
	rule := func(group string, resources []string, verbs ...string) kube.Rule {
		return kube.Rule{Group: group, Resources: resources, Verbs: verbs}
	}
	return []kube.Rule{
		rule("monitoring.coreos.com", []string{
			"alertmanagers", "alertmanagers/finalizers", "alertmanagers/status", "alertmanagerconfigs",
			"prometheuses", "prometheuses/finalizers", "prometheuses/status",
			"prometheusagents", "prometheusagents/finalizers", "prometheusagents/status",
			"thanosrulers", "thanosrulers/finalizers", "thanosrulers/status",
			"scrapeconfigs", "scrapeconfigs/status", "servicemonitors", "servicemonitors/status",
			"podmonitors", "podmonitors/status", "probes", "probes/status", "prometheusrules", "prometheusrules/status",
		}, "*"),
		rule("apps", []string{"statefulsets"}, "*"),
		rule("", []string{"configmaps", "secrets"}, "*"),
		rule("", []string{"pods"}, "list", "delete"),
		rule("", []string{"services", "services/finalizers"}, "get", "create", "update", "delete"),
		rule("", []string{"nodes"}, "list", "watch"),
		rule("", []string{"namespaces"}, "get", "list", "watch"),
		rule("events.k8s.io", []string{"events"}, "patch", "create"),
		rule("networking.k8s.io", []string{"ingresses"}, "get", "list", "watch"),
		rule("storage.k8s.io", []string{"storageclasses"}, "get"),
		rule("discovery.k8s.io", []string{"endpointslices"}, "get", "list", "create", "update", "delete"),
	}
}
