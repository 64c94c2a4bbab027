// Package kubestatemetrics deploys kube-state-metrics, which turns the state of Kubernetes objects into metrics. It decides which kinds of
// objects are read, and its rights follow from that.
package kubestatemetrics

import (
	"errors"
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/components/workload"
	"github.com/kansoku/kansoku/internal/check"
)

// The type token is part of every child's URN and must never change.
const token = "kansoku:exporters:KubeStateMetrics"

// Ports, upstream's defaults: HTTPPort serves the metrics of the cluster's objects, TelemetryPort the program's own.
const (
	HTTPPort      = 8080
	TelemetryPort = 8081
)

const (
	objectName    = "kube-state-metrics"
	httpPort      = "http-metrics"
	telemetryPort = "telemetry"
	uid           = 65534 // nobody, as upstream runs it
)

// Labels of the pod; name and instance find it.
func Labels() kube.Labels {
	return kube.Labels{Name: objectName, Instance: "main", Component: "exporter", Version: versions.KubeStateMetrics.Version}
}

// Args are the settings and where it runs.
type Args struct {
	Settings
	// Namespace of everything. Required; it must exist. One instance serves all namespaces of a cluster.
	Namespace pulumi.StringInput `pulumi:"namespace"`
	// PriorityClass of the pod. Default: none.
	PriorityClass string `pulumi:"priorityClass,optional"`
	// Images says where the image is pulled from. Default: upstream's registry.
	Images versions.Images `pulumi:"images,optional"`
}

// KubeStateMetrics is a running kube-state-metrics.
type KubeStateMetrics struct {
	pulumi.ResourceState
}

// New deploys kube-state-metrics. The Prometheus Operator's definitions must exist before: pass pulumi.DependsOn.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*KubeStateMetrics, error) {
	if args == nil {
		args = &Args{}
	}
	settings := args.WithDefaults()
	var errs check.Errors
	errs.Require(args.Namespace != nil, "namespace", nil, "is required")
	if err := errors.Join(settings.Validate(), errs.Err()); err != nil {
		return nil, fmt.Errorf("validating %s: %w", name, err)
	}
	component := &KubeStateMetrics{}
	if err := ctx.RegisterComponentResource(token, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering %s: %w", name, err)
	}
	err := workload.New(ctx, name, &workload.Args{
		Kind: workload.Deployment, Object: objectName, Namespace: args.Namespace, Labels: Labels(), PriorityClass: args.PriorityClass,
		// One: two would report everything twice. It keeps nothing, so that another is there within seconds.
		Replicas:     1,
		ClusterRules: settings.rules(),
		UID:          uid, GID: uid,
		Containers: []workload.Container{{
			Name: objectName, Image: versions.KubeStateMetrics.Image(), Args: settings.flags(), Resources: settings.Resources,
			Ports: []workload.Port{{Name: httpPort, Number: HTTPPort}, {Name: telemetryPort, Number: TelemetryPort}},
			// What each of the paths is for is upstream's advice. livez asks the API server: without it the numbers would be old ones.
			Startup:   &workload.Probe{Path: "/healthz", Port: httpPort, Period: 5, Failures: 12},
			Liveness:  &workload.Probe{Path: "/livez", Port: httpPort, Period: 10, Timeout: 5, Failures: 6},
			Readiness: &workload.Probe{Path: "/readyz", Port: telemetryPort, Period: 10, Timeout: 5},
		}},
		Headless: true, Images: args.Images,
		Monitor: monitor(),
	}, pulumi.Parent(component))
	if err != nil {
		return nil, err
	}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{})
}

// monitor scrapes the cluster's metrics with the labels that they come with. Those of the exporter's own pod must go: a node's metric
// would seem to be that pod's.
func monitor() []monitoringv1.Endpoint {
	return []monitoringv1.Endpoint{
		{
			Port: httpPort, HonorLabels: true,
			RelabelConfigs: []monitoringv1.RelabelConfig{{Action: "labeldrop", Regex: "pod|container|service|endpoint|namespace"}},
		},
		{Port: telemetryPort},
	}
}
