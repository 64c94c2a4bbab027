// Package workload makes what every workload of the stack consists of: service account and rights, pods, Service, monitor and disruption
// budget, all placed and secured alike. A component describes its program; it owns the objects, this package only makes them.
package workload

import (
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	policyv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/policy/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/placement"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/internal/check"
)

// Kind of the Kubernetes object that runs the pods.
type Kind string

// The kinds that the stack has.
const (
	Deployment  Kind = "Deployment"
	StatefulSet Kind = "StatefulSet"
	DaemonSet   Kind = "DaemonSet"
)

// Args describe one workload. Its objects are all called Object.
type Args struct {
	Kind      Kind
	Object    string
	Namespace pulumi.StringInput
	Labels    kube.Labels
	// Replicas of the pod; none for a DaemonSet. From two on there is a disruption budget that lets one go at a time.
	Replicas int
	// RoleARN of the IAM role that the pods take. Default: none.
	RoleARN pulumi.StringInput
	// ClusterRules and NamespaceRules are what the pods may do in the Kubernetes API, everywhere and in their namespace. With either, and
	// only then, the account's token is mounted, unless MountToken asks for it.
	ClusterRules, NamespaceRules []kube.Rule
	MountToken                   bool
	// UID and GID that all containers run as.
	UID, GID int
	// InitContainers and Containers of the pod; the first container is the program.
	InitContainers, Containers []Container
	Volumes                    corev1.VolumeArray
	// Claim is a volume of each replica's own (StatefulSet only); a deleted StatefulSet leaves it.
	Claim *Claim
	// Checksum of the configuration: a change rolls the pods. Default: none.
	Checksum pulumi.StringInput
	// GraceSeconds that a pod has to end; a reclaimed spot node gives 120. Default: Kubernetes' 30.
	GraceSeconds int
	// RequireZones and PriorityClass place the pods, see placement.Placement.
	RequireZones  bool
	PriorityClass string
	// Images says where the containers' images, which are upstream's names, are pulled from.
	Images versions.Images
	// Parallel starts and stops replicas of a StatefulSet all at once.
	Parallel bool
	// Headless gives the Service no address of its own. NoService leaves the Service out, for what nothing calls or scrapes by Service.
	Headless, NoService bool
	// NotReady publishes pods in DNS before they are ready, for programs that find each other while they start.
	NotReady bool
	// Monitor has Prometheus scrape these ports of the Service. Default: none.
	Monitor []monitoringv1.Endpoint
	// Adjust changes the pod spec for what reads its host. Default: nothing.
	Adjust func(pod *corev1.PodSpecArgs)
	// EveryNode tolerates every taint (DaemonSet).
	EveryNode bool
	// DependsOn must exist before the pods start.
	DependsOn []pulumi.Resource
}

// Container is one container, restricted as Pod Security "restricted" asks for unless Security says otherwise.
type Container struct {
	Name, Image                  string
	Command, Args                []string
	Env                          corev1.EnvVarArray
	Ports                        []Port
	Resources                    kube.Resources
	Mounts                       corev1.VolumeMountArray
	Liveness, Readiness, Startup *Probe
	Security                     *corev1.SecurityContextArgs
}

// Port of a container, and of the Service unless it is internal.
type Port struct {
	Name   string
	Number int
	// Service is the Service's port. Default: Number.
	Service int
	// Internal ports are not in the Service.
	Internal bool
	// Protocol. Default: TCP.
	Protocol string
}

// Probe asks an HTTP path of a named port. Zero numbers are Kubernetes' defaults.
type Probe struct {
	Path, Port, Scheme                        string
	Delay, Period, Timeout, Failures, Success int
}

// Claim is a volume per replica.
type Claim struct {
	// Name of the volume, for mounts. Part of every volume's name: never change it.
	Name string
	// Size as a Kubernetes quantity, StorageClass by name.
	Size, StorageClass string
}

// New makes the objects as children of the component in opts (pulumi.Parent). The pods' object takes name.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) error {
	_, err := Deploy(ctx, name, args, opts...)
	return err
}

// Deploy is New, and returns the object that runs the pods, for what must wait until they are ready.
func Deploy(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (pulumi.Resource, error) {
	if err := args.Images.Validate(); err != nil {
		var errs check.Errors
		errs.Under("images", err)
		return nil, fmt.Errorf("validating %s: %w", name, errs.Err())
	}
	b := &builder{Args: args, ctx: ctx, name: name, opts: opts}
	for _, step := range []func() error{b.account, b.rights, b.service, b.pods, b.monitor, b.disruption} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return b.made, nil
}

type builder struct {
	*Args
	ctx    *pulumi.Context
	name   string
	opts   []pulumi.ResourceOption
	needed []pulumi.Resource // by the pods
	made   pulumi.Resource   // what runs the pods
}

func (b *builder) account() error {
	account, err := kube.NewServiceAccount(b.ctx, b.name, b.Object, b.Namespace, b.RoleARN, b.Labels, b.opts...)
	if err != nil {
		return fmt.Errorf("creating service account: %w", err)
	}
	b.needed = append(b.needed, account)
	return nil
}

func (b *builder) rights() error {
	if len(b.ClusterRules) > 0 {
		granted, err := kube.Grant(b.ctx, b.name, b.Object, b.Namespace, b.Labels, b.ClusterRules, b.opts...)
		if err != nil {
			return err
		}
		b.needed = append(b.needed, granted)
	}
	if len(b.NamespaceRules) > 0 {
		granted, err := kube.GrantIn(b.ctx, b.name, b.Object, b.Namespace, b.Namespace, b.Labels, b.NamespaceRules, b.opts...)
		if err != nil {
			return err
		}
		b.needed = append(b.needed, granted)
	}
	return nil
}

func (b *builder) service() error {
	ports := corev1.ServicePortArray{}
	for _, c := range b.Containers {
		for _, p := range c.Ports {
			if p.Internal {
				continue
			}
			number := p.Service
			if number == 0 {
				number = p.Number
			}
			port := &corev1.ServicePortArgs{Name: pulumi.String(p.Name), Port: pulumi.Int(number), TargetPort: pulumi.String(p.Name)}
			if p.Protocol != "" {
				port.Protocol = pulumi.String(p.Protocol)
			}
			ports = append(ports, port)
		}
	}
	if b.NoService || len(ports) == 0 {
		return nil
	}
	spec := &corev1.ServiceSpecArgs{Selector: pulumi.ToStringMap(b.Labels.Selector()), Ports: ports}
	if b.Headless {
		spec.ClusterIP = pulumi.String("None")
	}
	if b.NotReady {
		spec.PublishNotReadyAddresses = pulumi.Bool(true)
	}
	_, err := corev1.NewService(b.ctx, b.name, &corev1.ServiceArgs{
		Metadata: b.Labels.Meta(b.Object, b.Namespace), Spec: spec,
	}, b.opts...)
	if err != nil {
		return fmt.Errorf("creating service: %w", err)
	}
	return nil
}

// template is the pod template.
func (b *builder) template() *corev1.PodTemplateSpecArgs {
	where := placement.Placement{Selector: b.Labels.Selector(), RequireZones: b.RequireZones, EveryNode: b.EveryNode}
	spec := &corev1.PodSpecArgs{
		ServiceAccountName:           pulumi.String(b.Object),
		AutomountServiceAccountToken: pulumi.Bool(b.MountToken || len(b.ClusterRules)+len(b.NamespaceRules) > 0),
		SecurityContext:              kube.RestrictedPod(b.UID, b.GID),
		NodeSelector:                 pulumi.StringMap{"kubernetes.io/os": pulumi.String("linux")},
		Tolerations:                  where.Tolerations(),
		Affinity:                     where.Affinity(),
		Containers:                   b.containers(b.Containers),
	}
	if len(b.InitContainers) > 0 {
		spec.InitContainers = b.containers(b.InitContainers)
	}
	if len(b.Volumes) > 0 {
		spec.Volumes = b.Volumes
	}
	if b.Replicas > 1 {
		spec.TopologySpreadConstraints = where.TopologySpread()
	}
	if b.GraceSeconds > 0 {
		spec.TerminationGracePeriodSeconds = pulumi.Int(b.GraceSeconds)
	}
	if b.PriorityClass != "" {
		spec.PriorityClassName = pulumi.String(b.PriorityClass)
	}
	if b.Images.PullSecret != "" {
		spec.ImagePullSecrets = corev1.LocalObjectReferenceArray{
			&corev1.LocalObjectReferenceArgs{Name: pulumi.String(b.Images.PullSecret)},
		}
	}
	if b.Adjust != nil {
		b.Adjust(spec)
	}
	meta := &metav1.ObjectMetaArgs{Labels: pulumi.ToStringMap(b.Labels.All())}
	if b.Checksum != nil {
		meta.Annotations = pulumi.StringMap{"kansoku.dev/config-checksum": b.Checksum}
	}
	return &corev1.PodTemplateSpecArgs{Metadata: meta, Spec: spec}
}

func (b *builder) containers(described []Container) corev1.ContainerArray {
	var all corev1.ContainerArray
	for _, c := range described {
		one := &corev1.ContainerArgs{
			Name: pulumi.String(c.Name), Image: pulumi.String(b.Images.Place(c.Image)), Resources: c.Resources.Pulumi(),
			LivenessProbe: c.Liveness.args(), ReadinessProbe: c.Readiness.args(), StartupProbe: c.Startup.args(),
			SecurityContext: c.Security, TerminationMessagePolicy: pulumi.String("FallbackToLogsOnError"),
		}
		if c.Security == nil {
			one.SecurityContext = kube.RestrictedContainer()
		}
		if len(c.Env) > 0 {
			one.Env = c.Env
		}
		if len(c.Mounts) > 0 {
			one.VolumeMounts = c.Mounts
		}
		if len(c.Command) > 0 {
			one.Command = pulumi.ToStringArray(c.Command)
		}
		if len(c.Args) > 0 {
			one.Args = pulumi.ToStringArray(c.Args)
		}
		var ports corev1.ContainerPortArray
		for _, p := range c.Ports {
			port := &corev1.ContainerPortArgs{Name: pulumi.String(p.Name), ContainerPort: pulumi.Int(p.Number)}
			if p.Protocol != "" {
				port.Protocol = pulumi.String(p.Protocol)
			}
			ports = append(ports, port)
		}
		if len(ports) > 0 {
			one.Ports = ports
		}
		all = append(all, one)
	}
	return all
}

func (p *Probe) args() corev1.ProbePtrInput {
	if p == nil {
		return nil
	}
	get := &corev1.HTTPGetActionArgs{Path: pulumi.String(p.Path), Port: pulumi.String(p.Port)}
	if p.Scheme != "" {
		get.Scheme = pulumi.String(p.Scheme)
	}
	number := func(n int) pulumi.IntPtrInput {
		if n == 0 {
			return nil
		}
		return pulumi.Int(n)
	}
	return &corev1.ProbeArgs{
		HttpGet: get, InitialDelaySeconds: number(p.Delay), PeriodSeconds: number(p.Period), TimeoutSeconds: number(p.Timeout),
		FailureThreshold: number(p.Failures), SuccessThreshold: number(p.Success),
	}
}

func (b *builder) pods() error {
	meta := b.Labels.Meta(b.Object, b.Namespace)
	selector := &metav1.LabelSelectorArgs{MatchLabels: pulumi.ToStringMap(b.Labels.Selector())}
	opts := append([]pulumi.ResourceOption{pulumi.DependsOn(append(b.needed, b.DependsOn...))}, b.opts...)
	var err error
	switch b.Kind {
	case Deployment:
		b.made, err = appsv1.NewDeployment(b.ctx, b.name, &appsv1.DeploymentArgs{Metadata: meta, Spec: &appsv1.DeploymentSpecArgs{
			Replicas: pulumi.Int(b.Replicas), Selector: selector, Template: b.template(),
		}}, opts...)
	case StatefulSet:
		spec := &appsv1.StatefulSetSpecArgs{
			Replicas: pulumi.Int(b.Replicas), Selector: selector, ServiceName: pulumi.String(b.Object), Template: b.template(),
		}
		if b.Parallel {
			spec.PodManagementPolicy = pulumi.String("Parallel")
		}
		if b.Claim != nil {
			spec.VolumeClaimTemplates = b.Claim.templates()
			spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicyArgs{
				WhenDeleted: pulumi.String("Retain"), WhenScaled: pulumi.String("Retain"),
			}
		}
		b.made, err = appsv1.NewStatefulSet(b.ctx, b.name, &appsv1.StatefulSetArgs{Metadata: meta, Spec: spec}, opts...)
	case DaemonSet:
		b.made, err = appsv1.NewDaemonSet(b.ctx, b.name, &appsv1.DaemonSetArgs{Metadata: meta, Spec: &appsv1.DaemonSetSpecArgs{
			Selector: selector, Template: b.template(),
			UpdateStrategy: &appsv1.DaemonSetUpdateStrategyArgs{
				Type: pulumi.String("RollingUpdate"), RollingUpdate: &appsv1.RollingUpdateDaemonSetArgs{MaxUnavailable: pulumi.String("10%")},
			},
		}}, opts...)
	default:
		err = fmt.Errorf("no kind %q", b.Kind)
	}
	if err != nil {
		return fmt.Errorf("creating %s: %w", b.Kind, err)
	}
	return nil
}

func (c *Claim) templates() corev1.PersistentVolumeClaimTypeArray {
	return corev1.PersistentVolumeClaimTypeArray{&corev1.PersistentVolumeClaimTypeArgs{
		ApiVersion: pulumi.String("v1"), Kind: pulumi.String("PersistentVolumeClaim"),
		Metadata: &metav1.ObjectMetaArgs{Name: pulumi.String(c.Name)},
		Spec: &corev1.PersistentVolumeClaimSpecArgs{
			AccessModes: pulumi.ToStringArray([]string{"ReadWriteOnce"}), StorageClassName: pulumi.String(c.StorageClass),
			Resources: &corev1.VolumeResourceRequirementsArgs{Requests: pulumi.StringMap{"storage": pulumi.String(c.Size)}},
		},
	}}
}

func (b *builder) monitor() error {
	if len(b.Monitor) == 0 {
		return nil
	}
	return kube.NewServiceMonitor(b.ctx, b.name, b.Object, b.Namespace, b.Labels, b.Monitor, b.opts...)
}

func (b *builder) disruption() error {
	if b.Replicas < 2 {
		return nil
	}
	_, err := policyv1.NewPodDisruptionBudget(b.ctx, b.name, &policyv1.PodDisruptionBudgetArgs{
		Metadata: b.Labels.Meta(b.Object, b.Namespace),
		Spec: &policyv1.PodDisruptionBudgetSpecArgs{
			MaxUnavailable: pulumi.Int(1), Selector: &metav1.LabelSelectorArgs{MatchLabels: pulumi.ToStringMap(b.Labels.Selector())},
		},
	}, b.opts...)
	if err != nil {
		return fmt.Errorf("creating disruption budget: %w", err)
	}
	return nil
}
