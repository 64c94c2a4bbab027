// Package versions is the one place that says which version of what runs: every image and every chart-less release that the
// components deploy. A component never writes a version or an image itself.
package versions

// Component is a released program and the image that carries it.
type Component struct {
	// Version as upstream tags it ("v3.16.0", "3.5.12").
	Version string
	// Repository of the image, with its registry.
	Repository string
}

// Image is the pinned reference that a pod spec takes.
func (c Component) Image() string { return c.Repository + ":" + c.Version }

// What is shipped. The lab builds the same versions, or prints the difference.
var (
	Alertmanager      = Component{"v0.34.2", "quay.io/prometheus/alertmanager"}
	Alloy             = Component{"v1.18.1", "docker.io/grafana/alloy"}
	ClusterAutoscaler = Component{"v1.36.0", "registry.k8s.io/autoscaling/cluster-autoscaler"}
	ConfigReloader    = Component{"v0.92.1", "quay.io/prometheus-operator/prometheus-config-reloader"}
	Curl              = Component{"8.21.0", "docker.io/curlimages/curl"}
	EventExporter     = Component{"v1.7", "ghcr.io/resmoio/kubernetes-event-exporter"}
	Grafana           = Component{"13.1.3", "docker.io/grafana/grafana"}
	KubeStateMetrics  = Component{"v2.19.1", "registry.k8s.io/kube-state-metrics/kube-state-metrics"}
	// LokiDynamoDB is the last line that reads and writes a DynamoDB index with a role's credentials.
	LokiDynamoDB = Component{"3.5.12", "docker.io/grafana/loki"}
	// LokiTSDB is the current line; its index is in the bucket.
	LokiTSDB          = Component{"3.7.8", "docker.io/grafana/loki"}
	NodeExporter      = Component{"v1.12.1", "quay.io/prometheus/node-exporter"}
	Operator          = Component{"v0.92.1", "quay.io/prometheus-operator/prometheus-operator"}
	Prometheus        = Component{"v3.16.0", "quay.io/prometheus/prometheus"}
	PrometheusAdapter = Component{"v0.12.0", "registry.k8s.io/prometheus-adapter/prometheus-adapter"}
	// Promtail is the last line that there is; Alloy takes its place.
	Promtail = Component{"3.5.12", "docker.io/grafana/promtail"}
	Thanos   = Component{"v0.42.4", "quay.io/thanos/thanos"}
)

// Kubernetes is the control plane's minor version by default.
const Kubernetes = "1.36"

// All lists every image that some component deploys, in alphabetical order.
func All() []Component {
	return []Component{
		Curl, Alloy, Grafana, LokiDynamoDB, LokiTSDB, Promtail,
		EventExporter,
		ConfigReloader, Operator, Alertmanager, NodeExporter, Prometheus, Thanos,
		ClusterAutoscaler, KubeStateMetrics, PrometheusAdapter,
	}
}
