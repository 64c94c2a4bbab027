package monitoring

import (
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kansoku/kansoku/components/autoscaler"
	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/thanos"
)

// Request is what one pod of a workload asks its node for.
type Request struct {
	// Key of the workload.
	Key string
	// Replicas of the pod; 0 stands for one on every node.
	Replicas int
	// OnDemand pods do not run on spot nodes.
	OnDemand bool
	// MilliCPU and MemoryMiB that all containers of the pod ask for together.
	MilliCPU, MemoryMiB int
}

// Requests lists all pods of the stack. The settings are valid and hold their defaults.
func (s Settings) Requests() []Request {
	// Somebody else's operator has its own; ours stand for them.
	reloader := s.Operator.WithDefaults().ReloaderResources
	all := []Request{
		request(prometheusPods, s.Prometheus.Replicas, s.Prometheus.Resources, s.Prometheus.SidecarResources, reloader),
		request(alertmanagerPods, s.Alertmanager.Replicas, s.Alertmanager.Resources, reloader),
		request(kubeStateMetricsPods, 1, s.KubeStateMetrics.Resources),
		request("node-exporter", 0, s.NodeExporter.Resources),
		request(adapterPods, s.Adapter.Replicas, s.Adapter.Resources),
		request(thanos.StoreName, s.Thanos.Store.Replicas, s.Thanos.Store.Resources),
		request(thanos.QueryName, s.Thanos.Query.Replicas, s.Thanos.Query.Resources),
		request(thanos.QueryFrontendName, s.Thanos.QueryFrontend.Replicas, s.Thanos.QueryFrontend.Resources),
		request(thanos.CompactName, 1, s.Thanos.Compact.Resources),
		request(thanos.BucketWebName, 1, s.Thanos.BucketWeb.Resources),
	}
	if !s.Existing.Operator {
		all = append(all, request(operatorPods, 1, s.Operator.Resources))
	}
	if s.Existing.Grafana == nil {
		all = append(all, request(grafanaPods, 1, s.Grafana.Resources))
	}
	if s.Loki != nil {
		all = append(all,
			request(lokiPods, s.Loki.Replicas, s.Loki.Resources), request(eventsPods, 1, s.Events.Resources),
			request(collectorPods, 0, s.Collector.Resources))
	}
	if !s.NoAutoscaler {
		one := request(autoscaler.ServiceAccountName, 1, s.Autoscaler.Resources)
		one.OnDemand = true
		all = append(all, one)
	}
	return all
}

func request(key string, replicas int, containers ...kube.Resources) Request {
	r := Request{Key: key, Replicas: replicas}
	for _, c := range containers {
		cpu, memory := resource.MustParse(c.CPU), resource.MustParse(c.Memory)
		r.MilliCPU += int(cpu.MilliValue())
		r.MemoryMiB += int((memory.Value() + 1<<20 - 1) >> 20)
	}
	return r
}
