package monitoring

import (
	"github.com/kansoku/kansoku/components/alertmanager"
	"github.com/kansoku/kansoku/components/alloy"
	"github.com/kansoku/kansoku/components/autoscaler"
	"github.com/kansoku/kansoku/components/collector"
	"github.com/kansoku/kansoku/components/events"
	"github.com/kansoku/kansoku/components/exporters/adapter"
	"github.com/kansoku/kansoku/components/exporters/kubestatemetrics"
	"github.com/kansoku/kansoku/components/exporters/nodeexporter"
	"github.com/kansoku/kansoku/components/grafana"
	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/loki"
	"github.com/kansoku/kansoku/components/netpolicy"
	"github.com/kansoku/kansoku/components/operator"
	"github.com/kansoku/kansoku/components/prometheus"
	"github.com/kansoku/kansoku/components/promtail"
	"github.com/kansoku/kansoku/components/thanos"
)

// Who there is, in the list of who calls whom.
const (
	operatorPods         = "prometheus-operator"
	prometheusPods       = "prometheus"
	alertmanagerPods     = "alertmanager"
	kubeStateMetricsPods = "kube-state-metrics"
	adapterPods          = "prometheus-adapter"
	grafanaPods          = "grafana"
	lokiPods             = "loki"
	eventsPods           = "events"
	collectorPods        = "collector"
	autoscalerPods       = "cluster-autoscaler"
)

// workloads are all pods of the stack but the node exporter's, which are on their node's network: no policy reaches them.
func (a Args) workloads() []netpolicy.Workload {
	pods := func(key, namespace string, labels kube.Labels) netpolicy.Workload {
		return netpolicy.Workload{Key: key, Namespace: namespace, Selector: labels.Selector()}
	}
	all := []netpolicy.Workload{
		pods(prometheusPods, a.Namespace, prometheus.Labels(prometheus.DefaultName)),
		pods(alertmanagerPods, a.Namespace, alertmanager.Labels()),
		pods(kubeStateMetricsPods, a.Namespace, kubestatemetrics.Labels()),
		pods(adapterPods, a.Namespace, adapter.Labels()),
	}
	if !a.Existing.Operator {
		all = append(all, pods(operatorPods, a.Namespace, operator.Labels()))
	}
	if theirs := a.Existing.Grafana; theirs != nil {
		all = append(all, netpolicy.Workload{Key: grafanaPods, Namespace: theirs.Namespace, Selector: theirs.PodLabels, Foreign: true})
	} else {
		all = append(all, pods(grafanaPods, a.Namespace, grafana.Labels()))
	}
	for _, object := range []string{thanos.StoreName, thanos.QueryName, thanos.QueryFrontendName, thanos.CompactName, thanos.BucketWebName} {
		all = append(all, pods(object, a.Namespace, thanos.Labels(object)))
	}
	if a.Loki != nil {
		collects := promtail.Labels()
		if a.Collector.Kind == collector.Alloy {
			collects = alloy.Labels()
		}
		all = append(all,
			pods(lokiPods, a.Namespace, loki.Labels()), pods(eventsPods, a.Namespace, events.Labels()),
			pods(collectorPods, a.HostNamespace(), collects))
	}
	if a.scales() {
		all = append(all, pods(autoscalerPods, a.Namespace, autoscaler.Labels()))
	}
	return all
}

func tcp(numbers ...int) []netpolicy.Port {
	var ports []netpolicy.Port
	for _, number := range numbers {
		ports = append(ports, netpolicy.Port{Number: number})
	}
	return ports
}

const (
	kubeletPort = 10250
	coreDNSPort = 9153
)

// calls is the one list of who calls whom. Ports are those of the pods.
func (a Args) calls() []netpolicy.Call {
	calls := netpolicy.EverybodyAsksDNS(a.workloads())
	call := func(from, to, why string, ports ...int) {
		calls = append(calls, netpolicy.Call{From: from, To: to, Ports: tcp(ports...), Why: why})
	}
	a.scrapes(call)

	watchers := []string{prometheusPods, kubeStateMetricsPods, adapterPods}
	if !a.Existing.Operator {
		watchers = append([]string{operatorPods}, watchers...)
	}
	for _, caller := range watchers {
		call(caller, netpolicy.APIServer, "watches or asks the Kubernetes API")
	}
	call(netpolicy.ControlPlane, adapterPods, "asks for the metrics that the adapter serves as an API", adapter.HTTPSPort)
	call(adapterPods, prometheusPods, "reads the series behind these metrics", prometheus.HTTPPort)

	call(prometheusPods, alertmanagerPods, "sends alerts", alertmanager.HTTPPort)
	calls = append(calls, netpolicy.Call{
		From: alertmanagerPods, To: alertmanagerPods, Why: "replicas agree on who notifies",
		Ports: []netpolicy.Port{{Number: alertmanager.MeshPort}, {Number: alertmanager.MeshPort, Protocol: "UDP"}},
	})
	call(alertmanagerPods, netpolicy.Internet, "notifies people", a.Alertmanager.Egress()...)

	call(thanos.QueryName, prometheusPods, "reads what is not in the bucket yet", thanos.GRPCPort)
	call(thanos.QueryName, thanos.StoreName, "reads what is in the bucket", thanos.GRPCPort)
	for _, address := range a.Thanos.Query.ExtraEndpoints {
		endpoint, err := thanos.ParseEndpoint(address)
		if err != nil {
			continue // refused elsewhere
		}
		where := netpolicy.Internet
		if endpoint.InCluster {
			where = netpolicy.Anyone
		}
		call(thanos.QueryName, where, "reads another Store API", endpoint.Port)
	}
	call(thanos.QueryFrontendName, thanos.QueryName, "has queries answered", thanos.HTTPPort)
	for _, caller := range []string{prometheusPods, thanos.StoreName, thanos.CompactName, thanos.BucketWebName} {
		a.store(call, caller, a.Blocks.Endpoint, "reads or writes the bucket of metrics")
	}

	call(grafanaPods, thanos.QueryFrontendName, "shows metrics", thanos.HTTPPort)
	call(grafanaPods, alertmanagerPods, "shows alerts and silences", alertmanager.HTTPPort)
	if a.Grafana.Ingress != nil {
		call(netpolicy.Anyone, grafanaPods, "an ingress controller brings people", grafana.HTTPPort)
		call(netpolicy.Nodes, grafanaPods, "a load balancer brings people", grafana.HTTPPort)
	}
	if a.Grafana.CallsInternet() {
		call(grafanaPods, netpolicy.Internet, "fetches dashboards, or logs people in elsewhere")
	}
	a.logCalls(call)
	if a.scales() {
		call(autoscalerPods, netpolicy.APIServer, "watches pods and nodes")
		call(autoscalerPods, netpolicy.AWS, "sizes the node groups")
	}
	return calls
}

// store is a call to an object store or table: AWS, or something in the cluster's reach whose port the endpoint says.
func (a Args) store(call func(from, to, why string, ports ...int), from, endpoint, why string) {
	if endpoint == "" {
		call(from, netpolicy.AWS, why)
		return
	}
	call(from, netpolicy.Anyone, why, netpolicy.AnyPort)
}

func (a Args) logCalls(call func(from, to, why string, ports ...int)) {
	if a.Loki == nil {
		return
	}
	call(grafanaPods, lokiPods, "shows logs", loki.HTTPPort)
	call(collectorPods, lokiPods, "brings logs", loki.HTTPPort)
	call(collectorPods, netpolicy.APIServer, "learns of the pods on its node")
	call(eventsPods, netpolicy.APIServer, "watches events")
	call(lokiPods, lokiPods, "its parts, and its replicas, work together", loki.GRPCPort, loki.GossipPort)
	call(lokiPods, alertmanagerPods, "sends alerts on logs", alertmanager.HTTPPort)
	a.store(call, lokiPods, a.Chunks.Endpoint, "reads and writes the bucket of logs, and its index")
}

// scrapes are the calls of Prometheus for metrics: of the stack, of what the cluster has, and of other people's pods, for whose monitors it
// looks in every namespace.
func (a Args) scrapes(call func(from, to, why string, ports ...int)) {
	const why = "scrapes its metrics"
	if !a.Existing.Operator {
		call(prometheusPods, operatorPods, why, operator.HTTPPort)
	}
	call(prometheusPods, prometheusPods, why, prometheus.HTTPPort, prometheus.ReloaderPort, thanos.HTTPPort)
	call(prometheusPods, alertmanagerPods, why, alertmanager.HTTPPort, alertmanager.ReloaderPort)
	call(prometheusPods, kubeStateMetricsPods, why, kubestatemetrics.HTTPPort, kubestatemetrics.TelemetryPort)
	call(prometheusPods, adapterPods, why, adapter.HTTPSPort)
	if a.Existing.Grafana == nil {
		call(prometheusPods, grafanaPods, why, grafana.HTTPPort)
	}
	for _, object := range []string{thanos.StoreName, thanos.QueryName, thanos.QueryFrontendName, thanos.CompactName, thanos.BucketWebName} {
		call(prometheusPods, object, why, thanos.HTTPPort)
	}
	if a.Loki != nil {
		call(prometheusPods, lokiPods, why, loki.HTTPPort)
		call(prometheusPods, eventsPods, why, events.HTTPPort)
		port := promtail.HTTPPort
		if a.Collector.Kind == collector.Alloy {
			port = alloy.HTTPPort
		}
		call(prometheusPods, collectorPods, why, port)
	}
	if a.scales() {
		call(prometheusPods, autoscalerPods, why, autoscaler.HTTPPort)
	}
	call(prometheusPods, netpolicy.Nodes, "scrapes kubelets and node exporters", kubeletPort, nodeexporter.HTTPPort)
	call(prometheusPods, netpolicy.DNS, "scrapes CoreDNS", coreDNSPort)
	call(prometheusPods, netpolicy.Anyone, "scrapes what teams have monitors for, on ports that only they know", netpolicy.AnyPort)
}
