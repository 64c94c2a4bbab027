// Package operator deploys the Prometheus Operator and its custom resource definitions. It owns no Prometheus.
package operator

import (
	"errors"
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/components/workload"
	"github.com/kansoku/kansoku/internal/check"
)

// The type tokens are part of every child's URN and must never change.
const operatorToken = "kansoku:operator:Operator"

// HTTPPort of the pod: metrics and health.
const HTTPPort = 8080

const (
	objectName = "prometheus-operator"
	portName   = "http"
	uid        = 65534 // nobody, as upstream runs it
)

// Settings are what a stack may say about the operator.
type Settings struct {
	// Resources of the operator. Default: 30m CPU, 64Mi memory, limit 200Mi (0.026 cores and 17Mi in the lab; the
	// limit is upstream's).
	Resources kube.Resources `pulumi:"resources,optional"`
	// ReloaderResources of the container that reloads the configuration, in every pod that the operator makes. Default: 10m CPU, 50Mi
	// memory, limit 50Mi (the operator's defaults, without its CPU limit).
	ReloaderResources kube.Resources `pulumi:"reloaderResources,optional"`
}

// WithDefaults fills what is not set.
func (s Settings) WithDefaults() Settings {
	s.Resources = s.Resources.Or(kube.Resources{CPU: "30m", Memory: "64Mi", MemoryLimit: "200Mi"})
	s.ReloaderResources = s.ReloaderResources.Or(kube.Resources{CPU: "10m", Memory: "50Mi", MemoryLimit: "50Mi"})
	return s
}

// Validate checks the settings, defaults filled in.
func (s Settings) Validate() error {
	var errs check.Errors
	errs.Under("resources", s.Resources.Validate())
	errs.Under("reloaderResources", s.ReloaderResources.Validate())
	return errs.Err()
}

// Args are the settings and where the operator runs.
type Args struct {
	Settings
	// Namespace of the operator. Required; it must exist. One operator serves all namespaces of a cluster.
	Namespace pulumi.StringInput `pulumi:"namespace"`
	// PriorityClass of the pod. Default: none.
	PriorityClass string `pulumi:"priorityClass,optional"`
	// Images says where the image is pulled from. Default: upstream's registry.
	Images versions.Images `pulumi:"images,optional"`
}

// Labels of the operator's pod.
func Labels() kube.Labels {
	return kube.Labels{Name: objectName, Instance: "main", Component: "controller", Version: versions.Operator.Version}
}

// Operator is a running Prometheus Operator.
type Operator struct {
	pulumi.ResourceState

	// Deployment is what to depend on (see CRDs.Definitions).
	Deployment pulumi.Resource
}

// New deploys the operator. The custom resource definitions must exist before: pass pulumi.DependsOn on CRDs.Definitions.
// The operator keeps a Service kube-system/kubelet, with all nodes behind it, which stays when the stack is destroyed.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Operator, error) {
	if args == nil {
		args = &Args{}
	}
	settings := args.WithDefaults()
	var errs check.Errors
	errs.Require(args.Namespace != nil, "namespace", nil, "is required")
	if err := errors.Join(settings.Validate(), errs.Err()); err != nil {
		return nil, fmt.Errorf("validating %s: %w", name, err)
	}
	component := &Operator{}
	if err := ctx.RegisterComponentResource(operatorToken, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering %s: %w", name, err)
	}
	var err error
	component.Deployment, err = workload.Deploy(ctx, name, &workload.Args{
		// One pod: the operator elects no leader, and what it made keeps running while it is away.
		Kind: workload.Deployment, Replicas: 1, Object: objectName, Namespace: args.Namespace, Labels: Labels(),
		PriorityClass: args.PriorityClass, Images: args.Images, UID: uid, GID: uid, ClusterRules: rules(), Headless: true,
		Containers: []workload.Container{{
			Name: objectName, Image: versions.Operator.Image(), Args: flags(settings, args.Images), Resources: settings.Resources,
			// More frequent collection keeps the caches of Secrets and ConfigMaps small (upstream's value).
			Env:       corev1.EnvVarArray{&corev1.EnvVarArgs{Name: pulumi.String("GOGC"), Value: pulumi.String("30")}},
			Ports:     []workload.Port{{Name: portName, Number: HTTPPort}},
			Liveness:  &workload.Probe{Path: "/healthz", Port: portName, Period: 10, Failures: 6},
			Readiness: &workload.Probe{Path: "/healthz", Port: portName, Period: 5},
		}},
		Monitor: []monitoringv1.Endpoint{{Port: portName, HonorLabels: true}},
	}, pulumi.Parent(component))
	if err != nil {
		return nil, fmt.Errorf("creating operator: %w", err)
	}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{})
}
