// Package operator deploys the Prometheus Operator and its custom resource definitions. It owns no Prometheus.
package operator

import (
	"errors"
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/placement"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/internal/check"
)

// The type tokens are part of every child's URN and must never change.
const operatorToken = "kansoku:operator:Operator"

const (
	objectName = "prometheus-operator"
	portName   = "http"
	port       = 8080
	uid        = 65534 // nobody, as upstream runs it
)

// Settings are what a stack may say about the operator.
type Settings struct {
	// Resources of the operator. Default: 100m CPU, 100Mi memory, limit 200Mi (upstream's manifests).
	Resources kube.Resources `pulumi:"resources,optional"`
	// ReloaderResources of the container that reloads the configuration, in every pod that the operator makes. Default: 10m CPU, 50Mi
	// memory, limit 50Mi (the operator's defaults, without its CPU limit).
	ReloaderResources kube.Resources `pulumi:"reloaderResources,optional"`
}

// WithDefaults fills what is not set.
func (s Settings) WithDefaults() Settings {
	s.Resources = s.Resources.Or(kube.Resources{CPU: "100m", Memory: "100Mi", MemoryLimit: "200Mi"})
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
}

// Operator is a running Prometheus Operator.
type Operator struct {
	pulumi.ResourceState

	// Deployment is what to depend on (see CRDs.Definitions).
	Deployment *appsv1.Deployment
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
	parent := pulumi.Parent(component)
	labels := kube.Labels{Name: objectName, Instance: "main", Component: "controller", Version: versions.Operator.Version}

	account, err := kube.NewServiceAccount(ctx, name, objectName, args.Namespace, nil, labels, parent)
	if err != nil {
		return nil, fmt.Errorf("creating service account: %w", err)
	}
	binding, err := newRole(ctx, name, args.Namespace, labels, parent)
	if err != nil {
		return nil, err
	}
	// Without its rights the operator exits.
	deps := pulumi.DependsOn([]pulumi.Resource{account, binding})
	if component.Deployment, err = newDeployment(ctx, name, args.Namespace, settings, labels, parent, deps); err != nil {
		return nil, err
	}
	if err := newService(ctx, name, args.Namespace, labels, parent); err != nil {
		return nil, err
	}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{})
}

// newRole gives the operator its rights in all namespaces. The role's name has the namespace in it: it is the cluster's, and another
// instance elsewhere has its own.
func newRole(ctx *pulumi.Context, name string, namespace pulumi.StringInput, labels kube.Labels, parent pulumi.ResourceOption,
) (*rbacv1.ClusterRoleBinding, error) {
	meta := func() *metav1.ObjectMetaArgs {
		meta := labels.Meta(objectName, nil)
		meta.Name = pulumi.Sprintf("%s-%s", objectName, namespace)
		return meta
	}
	role, err := rbacv1.NewClusterRole(ctx, name, &rbacv1.ClusterRoleArgs{Metadata: meta(), Rules: rules()}, parent)
	if err != nil {
		return nil, fmt.Errorf("creating cluster role: %w", err)
	}
	binding, err := rbacv1.NewClusterRoleBinding(ctx, name, &rbacv1.ClusterRoleBindingArgs{
		Metadata: meta(),
		RoleRef: &rbacv1.RoleRefArgs{
			ApiGroup: pulumi.String("rbac.authorization.k8s.io"), Kind: pulumi.String("ClusterRole"),
			Name: pulumi.Sprintf("%s-%s", objectName, namespace),
		},
		Subjects: rbacv1.SubjectArray{&rbacv1.SubjectArgs{
			Kind: pulumi.String("ServiceAccount"), Name: pulumi.String(objectName), Namespace: namespace.ToStringOutput().ToStringPtrOutput(),
		}},
	}, parent, pulumi.DependsOn([]pulumi.Resource{role}))
	if err != nil {
		return nil, fmt.Errorf("creating cluster role binding: %w", err)
	}
	return binding, nil
}

// newDeployment runs one pod: the operator elects no leader, and what it made keeps running while it is away.
func newDeployment(ctx *pulumi.Context, name string, namespace pulumi.StringInput, settings Settings, labels kube.Labels,
	opts ...pulumi.ResourceOption,
) (*appsv1.Deployment, error) {
	where := placement.Placement{Selector: labels.Selector()}
	selector := pulumi.ToStringMap(labels.Selector())
	deployment, err := appsv1.NewDeployment(ctx, name, &appsv1.DeploymentArgs{
		Metadata: labels.Meta(objectName, namespace),
		Spec: &appsv1.DeploymentSpecArgs{
			Replicas: pulumi.Int(1),
			Selector: &metav1.LabelSelectorArgs{MatchLabels: selector},
			Template: &corev1.PodTemplateSpecArgs{
				Metadata: &metav1.ObjectMetaArgs{Labels: pulumi.ToStringMap(labels.All())},
				Spec: &corev1.PodSpecArgs{
					ServiceAccountName:           pulumi.String(objectName),
					AutomountServiceAccountToken: pulumi.Bool(true),
					SecurityContext:              kube.RestrictedPod(uid, uid),
					NodeSelector:                 pulumi.StringMap{"kubernetes.io/os": pulumi.String("linux")},
					Tolerations:                  where.Tolerations(),
					Affinity:                     where.Affinity(),
					Containers:                   corev1.ContainerArray{container(settings)},
				},
			},
		},
	}, opts...)
	if err != nil {
		return nil, fmt.Errorf("creating deployment: %w", err)
	}
	return deployment, nil
}

func container(settings Settings) *corev1.ContainerArgs {
	healthz := &corev1.HTTPGetActionArgs{Path: pulumi.String("/healthz"), Port: pulumi.String(portName)}
	return &corev1.ContainerArgs{
		Name:  pulumi.String(objectName),
		Image: pulumi.String(versions.Operator.Image()),
		Args:  pulumi.ToStringArray(flags(settings)),
		// More frequent collection keeps the caches of Secrets and ConfigMaps small (upstream's value).
		Env:             corev1.EnvVarArray{&corev1.EnvVarArgs{Name: pulumi.String("GOGC"), Value: pulumi.String("30")}},
		Ports:           corev1.ContainerPortArray{&corev1.ContainerPortArgs{Name: pulumi.String(portName), ContainerPort: pulumi.Int(port)}},
		Resources:       settings.Resources.Pulumi(),
		SecurityContext: kube.RestrictedContainer(),
		LivenessProbe:   &corev1.ProbeArgs{HttpGet: healthz, PeriodSeconds: pulumi.Int(10), FailureThreshold: pulumi.Int(6)},
		ReadinessProbe:  &corev1.ProbeArgs{HttpGet: healthz, PeriodSeconds: pulumi.Int(5)},
	}
}

// newService makes the operator's own metrics scrapable.
func newService(ctx *pulumi.Context, name string, namespace pulumi.StringInput, labels kube.Labels, parent pulumi.ResourceOption) error {
	_, err := corev1.NewService(ctx, name, &corev1.ServiceArgs{
		Metadata: labels.Meta(objectName, namespace),
		Spec: &corev1.ServiceSpecArgs{
			ClusterIP: pulumi.String("None"),
			Selector:  pulumi.ToStringMap(labels.Selector()),
			Ports: corev1.ServicePortArray{&corev1.ServicePortArgs{
				Name: pulumi.String(portName), Port: pulumi.Int(port), TargetPort: pulumi.String(portName),
			}},
		},
	}, parent)
	if err != nil {
		return fmt.Errorf("creating service: %w", err)
	}
	_, err = kube.NewCustomResource(ctx, name, &kube.CustomResourceArgs{
		APIVersion: monitoringv1.SchemeGroupVersion.String(), Kind: monitoringv1.ServiceMonitorsKind,
		Metadata: labels.Meta(objectName, namespace),
		Spec: monitoringv1.ServiceMonitorSpec{
			Selector:  nativemetav1.LabelSelector{MatchLabels: labels.Selector()},
			Endpoints: []monitoringv1.Endpoint{{Port: portName, HonorLabels: true}},
		},
	}, parent)
	if err != nil {
		return fmt.Errorf("creating service monitor: %w", err)
	}
	return nil
}
