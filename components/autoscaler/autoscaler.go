package autoscaler

import (
	"errors"
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/placement"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/components/workload"
)

// The type token is part of every child's URN and must never change.
const autoscalerToken = "kansoku:autoscaler:Autoscaler"

// HTTPPort serves metrics and health.
const HTTPPort = 8085

// ServiceAccountName is the account that the pod runs as: what the IAM role trusts.
const ServiceAccountName = objectName

const (
	objectName      = "cluster-autoscaler"
	httpPort        = "http"
	uid             = 65532 // the image's own
	defaultPriority = "system-cluster-critical"
)

// Labels of the pod.
func Labels() kube.Labels {
	return kube.Labels{Name: objectName, Instance: "main", Component: "controller"}
}

// Autoscaler is a running cluster-autoscaler.
type Autoscaler struct {
	pulumi.ResourceState

	// Deployment is what to depend on for pods that need more nodes than there are at first.
	Deployment pulumi.Resource
}

// New deploys cluster-autoscaler. The Prometheus Operator's definitions must exist before (there is a ServiceMonitor), and whoever gives
// the role its permissions: pass pulumi.DependsOn. A cluster must have one autoscaler only.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Autoscaler, error) {
	if args == nil {
		args = &Args{}
	}
	wired := *args
	wired.Settings = wired.WithDefaults()
	if err := errors.Join(wired.Validate(), wired.validate()); err != nil {
		return nil, fmt.Errorf("validating %s: %w", name, err)
	}
	if wired.PriorityClass == "" {
		wired.PriorityClass = defaultPriority
	}
	component := &Autoscaler{}
	if err := ctx.RegisterComponentResource(autoscalerToken, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering %s: %w", name, err)
	}
	parent := pulumi.Parent(component)
	needed, err := newPriorities(ctx, name, wired, parent)
	if err != nil {
		return nil, err
	}
	labels := Labels()
	labels.Version = versions.ClusterAutoscaler.Version
	component.Deployment, err = workload.Deploy(ctx, name, &workload.Args{
		Kind: workload.Deployment, Object: objectName, Namespace: wired.Namespace, Labels: labels, Replicas: 1,
		RoleARN: wired.RoleARN, ClusterRules: clusterRules(), NamespaceRules: wired.namespaceRules(),
		UID: uid, GID: uid, Containers: []workload.Container{container(wired)}, PriorityClass: wired.PriorityClass,
		Images:  wired.Images,
		Monitor: []monitoringv1.Endpoint{{Port: httpPort}},
		Adjust:  onDemand, DependsOn: needed,
	}, parent)
	if err != nil {
		return nil, err
	}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{})
}

// newPriorities writes what the priority expander reads, before each of its decisions. Other expanders need nothing.
func newPriorities(ctx *pulumi.Context, name string, args Args, parent pulumi.ResourceOption) ([]pulumi.Resource, error) {
	if args.Expander != Priority {
		return nil, nil
	}
	text, err := args.priorities()
	if err != nil {
		return nil, err
	}
	labels := Labels()
	priorities, err := corev1.NewConfigMap(ctx, name+"-priorities", &corev1.ConfigMapArgs{
		Metadata: labels.Meta(priorityConfigMap, args.Namespace), Data: pulumi.StringMap{prioritiesKey: pulumi.String(text)},
	}, parent)
	if err != nil {
		return nil, fmt.Errorf("creating priorities: %w", err)
	}
	return []pulumi.Resource{priorities}, nil
}

// onDemand keeps the pod on nodes that are not reclaimed: it is what replaces those that are.
func onDemand(pod *corev1.PodSpecArgs) {
	pod.NodeSelector = pulumi.StringMap{
		"kubernetes.io/os": pulumi.String("linux"), placement.SpotLabel: pulumi.String(placement.OnDemandLabelValue),
	}
	pod.Affinity = nil
}

func container(args Args) workload.Container {
	variable := func(name string, value pulumi.StringInput) *corev1.EnvVarArgs {
		return &corev1.EnvVarArgs{Name: pulumi.String(name), Value: value.ToStringOutput().ToStringPtrOutput()}
	}
	// It fails when nothing has happened for ten minutes, or nothing has gone well for fifteen (upstream's defaults).
	health := &workload.Probe{Path: "/health-check", Port: httpPort, Timeout: 5}
	return workload.Container{
		Name: objectName, Image: versions.ClusterAutoscaler.Image(),
		Command: []string{"/cluster-autoscaler"}, Args: args.flags(),
		Env: corev1.EnvVarArray{
			variable("AWS_REGION", args.Region),
			variable(clusterVariable, args.ClusterName),
			&corev1.EnvVarArgs{Name: pulumi.String(namespaceVariable), ValueFrom: &corev1.EnvVarSourceArgs{
				FieldRef: &corev1.ObjectFieldSelectorArgs{FieldPath: pulumi.String("metadata.namespace")},
			}},
		},
		Ports: []workload.Port{{Name: httpPort, Number: HTTPPort}}, Resources: args.Resources,
		Liveness: health, Readiness: health,
	}
}
