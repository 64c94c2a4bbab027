package cases

import (
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	nativecorev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// programTargets leaves out what other tests may have had scraped a moment ago.
const programTargets = `up{namespace!~"lab-.*"}`

// target is what one scrape should look like: the labels of its `up`, and what is asked.
type target struct {
	monitor string
	labels  map[string]string
	url     string
}

// targetName is the identity of a target in what the test prints.
func targetName(labels map[string]string) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if key != "__name__" && key != "cluster" && key != "prometheus" && key != "container" {
			parts = append(parts, key+"="+labels[key])
		}
	}
	return strings.Join(parts, " ")
}

// TestEveryDeclaredTargetIsUp: through Thanos query frontend `up` is 1 for every target that the program's monitors declare, by name, from
// both Prometheus replicas. None is missing and none is there that the program has not declared.
func TestEveryDeclaredTargetIsUp(t *testing.T) {
	k := cluster(t)
	frontend := k.frontend(t)
	var declared []target
	// A pod that is gone leaves its `up` for five minutes where its Prometheus has ended with it.
	eventually(t, 6*time.Minute, "the targets are those declared", func() error {
		var err error
		if declared, err = k.declared(t); err != nil {
			return err
		}
		want := map[string]bool{}
		for _, one := range declared {
			for _, replica := range []string{"prometheus-k8s-0", "prometheus-k8s-1"} {
				labels := maps.Clone(one.labels)
				labels["prometheus_replica"] = replica
				want[targetName(labels)] = true
			}
		}
		found, err := frontend.with("dedup", "false").query(t.Context(), programTargets, time.Now())
		if err != nil {
			return err
		}
		var wrong []string
		for _, one := range found {
			name := targetName(one.Labels)
			switch {
			case !want[name]:
				wrong = append(wrong, "unexpected: "+name)
			case one.Points[0].Value != 1:
				wrong = append(wrong, "down: "+name)
			}
			delete(want, name)
		}
		for name := range want {
			wrong = append(wrong, "missing: "+name)
		}
		if len(wrong) > 0 {
			slices.Sort(wrong)
			return fmt.Errorf("%d targets are not as declared:\n%s", len(wrong), strings.Join(wrong, "\n"))
		}
		return nil
	})
	urls, jobs := map[string]string{}, map[string]int{}
	for _, one := range declared {
		assert.Empty(t, urls[one.url], "%s is scraped by %s, and by this monitor too", one.url, one.monitor)
		urls[one.url] = one.monitor
		jobs[one.labels["job"]]++
	}
	deduplicated, err := frontend.query(t.Context(), programTargets, time.Now())
	require.NoError(t, err)
	assert.Len(t, deduplicated, len(declared), "series of `up` when the two replicas are taken for one")
	figure(t, "%d targets up in each of two replicas; by job: %v", len(declared), jobs)
}

// declared derives the targets from the monitors that the program deploys and the Services that the cluster has. Every monitor must have
// targets, but those of what the lab leaves out.
func (k *kube) declared(t *testing.T) ([]target, error) {
	t.Helper()
	var all []target
	for _, one := range rendered(t) {
		switch one.GetKind() {
		case monitoringv1.PodMonitorsKind, monitoringv1.ProbesKind, "ScrapeConfig":
			require.Fail(t, "the program deploys a "+one.GetKind()+", which this test does not read yet")
		case monitoringv1.ServiceMonitorsKind:
			var monitor monitoringv1.ServiceMonitor
			require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(one.Object, &monitor), "reading monitor %s", one.GetName())
			for _, endpoint := range monitor.Spec.Endpoints {
				found := k.targets(t, &monitor, &endpoint)
				if len(found) == 0 && !slices.Contains(leftOut(), monitor.Name) {
					return nil, fmt.Errorf("monitor %s, port %q, has no target: no Service or no pod is as it says", monitor.Name, endpoint.Port)
				}
				all = append(all, found...)
			}
		}
	}
	return all, nil
}

// targets of one endpoint of a monitor: every address of every Service that it selects.
func (k *kube) targets(t *testing.T, monitor *monitoringv1.ServiceMonitor, endpoint *monitoringv1.Endpoint) []target {
	t.Helper()
	namespaces := monitor.Spec.NamespaceSelector.MatchNames
	require.False(t, monitor.Spec.NamespaceSelector.Any, "monitor %s selects all namespaces, which this test does not read yet", monitor.Name)
	if len(namespaces) == 0 {
		namespaces = []string{monitor.Namespace}
	}
	var all []target
	for _, namespace := range namespaces {
		services, err := k.typed.CoreV1().Services(namespace).List(t.Context(), nativemetav1.ListOptions{
			LabelSelector: nativemetav1.FormatLabelSelector(&monitor.Spec.Selector),
		})
		require.NoError(t, err)
		for _, service := range services.Items {
			parts, err := k.typed.DiscoveryV1().EndpointSlices(namespace).List(t.Context(), nativemetav1.ListOptions{
				LabelSelector: discoveryv1.LabelServiceName + "=" + service.Name,
			})
			require.NoError(t, err)
			for _, slice := range parts.Items {
				for _, address := range slice.Endpoints {
					if port := k.port(t, &slice, &address, endpoint); port != 0 {
						all = append(all, newTarget(t, monitor, endpoint, &service, &address, port))
					}
				}
			}
		}
	}
	return all
}

// port of an address that the endpoint asks for: by the name that it has in the Service, or a number that a container of the pod has.
func (k *kube) port(t *testing.T, slice *discoveryv1.EndpointSlice, address *discoveryv1.Endpoint, endpoint *monitoringv1.Endpoint) int {
	t.Helper()
	if endpoint.TargetPort == nil {
		for _, port := range slice.Ports {
			if port.Name != nil && *port.Name == endpoint.Port && port.Port != nil {
				return int(*port.Port)
			}
		}
		return 0
	}
	require.NotNil(t, address.TargetRef, "an address without a pod has no container to have port %s", endpoint.TargetPort)
	pod := k.pod(t, address.TargetRef.Namespace, address.TargetRef.Name)
	for _, container := range pod.Spec.Containers {
		for _, port := range container.Ports {
			if port.ContainerPort == endpoint.TargetPort.IntVal && port.Protocol == nativecorev1.ProtocolTCP {
				return int(port.ContainerPort)
			}
		}
	}
	return 0
}

// newTarget gives a target the labels that the operator gives it, then those that the monitor itself says.
func newTarget(t *testing.T, monitor *monitoringv1.ServiceMonitor, endpoint *monitoringv1.Endpoint, service *nativecorev1.Service,
	address *discoveryv1.Endpoint, port int,
) target {
	t.Helper()
	at := net.JoinHostPort(address.Addresses[0], strconv.Itoa(port))
	path := endpoint.Path
	if path == "" {
		path = "/metrics"
	}
	labels := map[string]string{
		"job": service.Name, "namespace": service.Namespace, "service": service.Name, "instance": at, "endpoint": endpoint.Port,
		"__metrics_path__": path,
	}
	if endpoint.TargetPort != nil {
		labels["endpoint"] = endpoint.TargetPort.String()
	}
	if job := service.Labels[monitor.Spec.JobLabel]; job != "" {
		labels["job"] = job
	}
	if address.TargetRef != nil {
		labels[strings.ToLower(address.TargetRef.Kind)] = address.TargetRef.Name // pod or node
	}
	if address.NodeName != nil {
		labels["__meta_kubernetes_pod_node_name"] = *address.NodeName
	}
	for _, rule := range endpoint.RelabelConfigs {
		relabel(t, labels, rule)
	}
	for key := range labels {
		if strings.HasPrefix(key, "__") {
			delete(labels, key)
		}
	}
	return target{monitor: monitor.Name, labels: labels, url: at + path}
}

// relabel does what the monitors of this program use of Prometheus' relabelling.
func relabel(t *testing.T, labels map[string]string, rule monitoringv1.RelabelConfig) {
	t.Helper()
	pattern := rule.Regex
	if pattern == "" {
		pattern = "(.*)"
	}
	expression := regexp.MustCompile("^(?:" + pattern + ")$")
	switch action := strings.ToLower(rule.Action); action {
	case "labeldrop":
		for key := range labels {
			if expression.MatchString(key) {
				delete(labels, key)
			}
		}
	case "", "replace":
		var values []string
		for _, source := range rule.SourceLabels {
			values = append(values, labels[string(source)])
		}
		replacement := "$1"
		if rule.Replacement != nil {
			replacement = *rule.Replacement
		}
		if joined := strings.Join(values, ";"); expression.MatchString(joined) {
			labels[rule.TargetLabel] = expression.ReplaceAllString(joined, replacement)
		}
	default:
		require.Fail(t, "a monitor relabels by "+action+", which this test does not know yet")
	}
}
