package prometheus

import (
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/internal/check"
)

// The type tokens are part of every child's URN and must never change.
const clusterMonitorsToken = "kansoku:prometheus:ClusterMonitors"

// ClusterMonitorsArgs say where the monitors are.
type ClusterMonitorsArgs struct {
	// Namespace of the monitors; what they scrape is in others. Required; it must exist.
	Namespace pulumi.StringInput `pulumi:"namespace"`
}

// ClusterMonitors scrape what an EKS cluster has by itself. Its scheduler, controller manager and etcd cannot be reached.
type ClusterMonitors struct {
	pulumi.ResourceState
}

// NewClusterMonitors creates the monitors of kubelets (with cAdvisor and probes), API server and CoreDNS. The operator's definitions
// must exist before: pass pulumi.DependsOn on CRDs.Definitions.
func NewClusterMonitors(ctx *pulumi.Context, name string, args *ClusterMonitorsArgs, opts ...pulumi.ResourceOption,
) (*ClusterMonitors, error) {
	var errs check.Errors
	errs.Require(args != nil && args.Namespace != nil, "namespace", nil, "is required")
	if err := errs.Err(); err != nil {
		return nil, fmt.Errorf("validating %s: %w", name, err)
	}
	component := &ClusterMonitors{}
	if err := ctx.RegisterComponentResource(clusterMonitorsToken, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering %s: %w", name, err)
	}
	for _, monitor := range []struct {
		object string
		spec   monitoringv1.ServiceMonitorSpec
	}{
		{"kubelet", kubelet()},
		{"kube-apiserver", apiServer()},
		{"coredns", coreDNS()},
	} {
		labels := kube.Labels{Name: monitor.object, Instance: "cluster", Component: "cluster"}
		err := newServiceMonitor(ctx, name+"-"+monitor.object, labels.Meta(monitor.object, args.Namespace), monitor.spec,
			pulumi.Parent(component))
		if err != nil {
			return nil, err
		}
	}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{})
}

const (
	accountDir = "/var/run/secrets/kubernetes.io/serviceaccount/"

	// Series that cAdvisor sends although they are switched off.
	cadvisorOff = "container_(network_tcp_usage_total|network_udp_usage_total|tasks_state|cpu_load_average_10s)"
	// Series of cgroups that are no pod's (a system service), and that say nothing there. Name, pod, namespace.
	cadvisorSystem = "container_(spec_.*|file_descriptors|sockets|threads_max|threads|start_time_seconds|last_seen);;"
	// Block devices are of interest by pod, not once more by container. Name, container.
	cadvisorBlockIO = "container_blkio_device_usage_total;.+"

	// etcd's own metrics and the admission histograms: on no dashboard, in no rule.
	apiServerUnused = "etcd_(debugging|disk|server).*|apiserver_admission_(controller|step)_admission_(latencies|duration)_seconds_.*"
	// Buckets between those that matter, of the largest histograms of the largest target. The kubernetes-mixin's objectives count
	// requests within 1, 5 and 30 seconds: these stay. Prometheus 3 writes whole numbers with ".0". Name, le.
	apiServerBuckets = `(apiserver_request|apiserver_request_sli|etcd_request)_duration_seconds_bucket;` +
		`(0\.15|0\.25|0\.3|0\.35|0\.4|0\.45|0\.6|0\.7|0\.8|0\.9|1\.25|1\.5|1\.75|2\.5|3|3\.5|4\.5|6|7|8|9|15|25|50)(\.0)?`
)

func drop(regex string, sources ...monitoringv1.LabelName) monitoringv1.RelabelConfig {
	return monitoringv1.RelabelConfig{Action: "drop", SourceLabels: sources, Regex: regex}
}

// authenticated is an endpoint that asks who scrapes it.
func authenticated(port string, tls monitoringv1.TLSConfig) monitoringv1.Endpoint {
	scheme := monitoringv1.SchemeHTTPS
	endpoint := monitoringv1.Endpoint{Port: port, Scheme: &scheme}
	endpoint.BearerTokenFile = accountDir + "token" //nolint:staticcheck // its successor takes a Secret, which would not be rotated
	endpoint.TLSConfig = &tls
	return endpoint
}

// kubelet scrapes every node through the Service that the operator keeps (kube-system/kubelet). Its certificate is not verified:
// whether the cluster's authority signed it depends on how the node was set up.
func kubelet() monitoringv1.ServiceMonitorSpec {
	endpoint := func(path string, drops ...monitoringv1.RelabelConfig) monitoringv1.Endpoint {
		skip := true
		e := authenticated("https-metrics", monitoringv1.TLSConfig{SafeTLSConfig: monitoringv1.SafeTLSConfig{InsecureSkipVerify: &skip}})
		e.Path, e.HonorLabels, e.MetricRelabelConfigs = path, true, drops
		e.RelabelConfigs = []monitoringv1.RelabelConfig{{
			SourceLabels: []monitoringv1.LabelName{"__metrics_path__"}, TargetLabel: "metrics_path",
		}}
		return e
	}
	cadvisor := endpoint("/metrics/cadvisor",
		drop(cadvisorOff, "__name__"), drop(cadvisorSystem, "__name__", "pod", "namespace"), drop(cadvisorBlockIO, "__name__", "container"))
	// Its timestamps keep a container's last value alive for minutes after its end.
	own := false
	cadvisor.HonorTimestamps = &own
	return monitoringv1.ServiceMonitorSpec{
		JobLabel:          "app.kubernetes.io/name",
		NamespaceSelector: monitoringv1.NamespaceSelector{MatchNames: []string{"kube-system"}},
		Selector:          nativemetav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/name": "kubelet"}},
		Endpoints:         []monitoringv1.Endpoint{endpoint("/metrics"), cadvisor, endpoint("/metrics/probes")},
	}
}

// apiServer scrapes the control plane through the Service default/kubernetes; job "apiserver".
func apiServer() monitoringv1.ServiceMonitorSpec {
	serverName := "kubernetes"
	endpoint := authenticated("https", monitoringv1.TLSConfig{
		SafeTLSConfig:  monitoringv1.SafeTLSConfig{ServerName: &serverName},
		TLSFilesConfig: monitoringv1.TLSFilesConfig{CAFile: accountDir + "ca.crt"},
	})
	endpoint.MetricRelabelConfigs = []monitoringv1.RelabelConfig{
		drop(apiServerUnused, "__name__"), drop(apiServerBuckets, "__name__", "le"),
	}
	return monitoringv1.ServiceMonitorSpec{
		JobLabel:          "component",
		NamespaceSelector: monitoringv1.NamespaceSelector{MatchNames: []string{"default"}},
		Selector:          nativemetav1.LabelSelector{MatchLabels: map[string]string{"component": "apiserver", "provider": "kubernetes"}},
		Endpoints:         []monitoringv1.Endpoint{endpoint},
	}
}

// coreDNS scrapes by the container's port, because not every version of the EKS add-on has it in the Service; job "coredns", which
// the Service, kube-dns, would not give.
func coreDNS() monitoringv1.ServiceMonitorSpec {
	port, job := intstr.FromInt32(9153), "coredns"
	return monitoringv1.ServiceMonitorSpec{
		NamespaceSelector: monitoringv1.NamespaceSelector{MatchNames: []string{"kube-system"}},
		Selector:          nativemetav1.LabelSelector{MatchLabels: map[string]string{"k8s-app": "kube-dns"}},
		Endpoints: []monitoringv1.Endpoint{{
			TargetPort:     &port,
			RelabelConfigs: []monitoringv1.RelabelConfig{{TargetLabel: "job", Replacement: &job}},
		}},
	}
}
