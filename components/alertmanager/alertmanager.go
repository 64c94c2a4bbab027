package alertmanager

import (
	"errors"
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	policyv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/policy/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/prometheus"
	"github.com/kansoku/kansoku/components/versions"
)

// The type token is part of every child's URN and must never change.
const alertmanagerToken = "kansoku:alertmanager:Alertmanager"

const (
	// Name of the Alertmanager object.
	Name = "main"
	// ServiceName is the Service in front of all replicas; account and Secret are called the same.
	ServiceName = "alertmanager-" + Name
	// GoverningService is headless and made by the operator; one for all Alertmanagers of a namespace.
	GoverningService = "alertmanager-operated"
)

// Ports of the pods. Replicas call each other on MeshPort, by TCP and UDP.
const (
	HTTPPort     = 9093
	MeshPort     = 9094
	ReloaderPort = 8080
)

// Names of the ports, as the operator gives them to the containers.
const (
	webPort      = "web"
	reloaderPort = "reloader-web"
)

const (
	// configKey is where the operator looks in the Secret.
	configKey = "alertmanager.yaml"
	// templateKey is a file beside it: the operator mounts the Secret's other keys there.
	templateKey  = "message.tmpl"
	templatePath = "/etc/alertmanager/config/" + templateKey
)

// Labels of the pods.
func Labels() kube.Labels {
	return kube.Labels{Name: "alertmanager", Instance: Name, Component: "alerts"}
}

// Alertmanager is a running Alertmanager.
type Alertmanager struct {
	pulumi.ResourceState

	// URL of any one replica: "http://alertmanager-main.monitoring.svc:9093".
	URL pulumi.StringOutput `pulumi:"url"`
	// DiscoveryURL names every replica by SRV record, for Loki's ruler: "http://_web._tcp.alertmanager-operated.monitoring.svc".
	DiscoveryURL pulumi.StringOutput `pulumi:"discoveryUrl"`
	// Endpoint is what Prometheus takes.
	Endpoint prometheus.AlertmanagerEndpoint
}

// New deploys Alertmanager. The operator and its definitions must exist before, and the operator must outlive it: pass
// pulumi.DependsOn on Operator.Deployment and CRDs.Definitions. It is ready when all replicas are.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Alertmanager, error) {
	if args == nil {
		args = &Args{}
	}
	wired := *args
	wired.Settings = wired.WithDefaults()
	if err := errors.Join(wired.Validate(), wired.validate()); err != nil {
		return nil, fmt.Errorf("validating %s: %w", name, err)
	}
	component := &Alertmanager{}
	if err := ctx.RegisterComponentResource(alertmanagerToken, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering %s: %w", name, err)
	}
	b := &builder{Args: wired, ctx: ctx, name: name, labels: Labels(), parent: pulumi.Parent(component)}
	b.labels.Version = versions.Alertmanager.Version
	for _, step := range []func() error{b.newAccount, b.newConfig, b.newAlertmanager, b.newService, b.newDisruptionBudget} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	component.URL = pulumi.Sprintf("http://%s.%s.svc:%d", ServiceName, wired.Namespace, HTTPPort)
	component.DiscoveryURL = pulumi.Sprintf("http://_%s._tcp.%s.%s.svc", webPort, GoverningService, wired.Namespace)
	component.Endpoint = prometheus.AlertmanagerEndpoint{Name: ServiceName, Port: webPort, Namespace: wired.Namespace}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{
		"url": component.URL, "discoveryUrl": component.DiscoveryURL,
	})
}

// builder makes the children of one Alertmanager.
type builder struct {
	Args
	ctx    *pulumi.Context
	name   string
	labels kube.Labels
	parent pulumi.ResourceOption
	// needed by the pods, which the operator starts as soon as there is an Alertmanager object.
	needed []pulumi.Resource
}

func (b *builder) newAccount() error {
	account, err := kube.NewServiceAccount(b.ctx, b.name, ServiceName, b.Namespace, nil, b.labels, b.parent)
	if err != nil {
		return fmt.Errorf("creating service account: %w", err)
	}
	b.needed = append(b.needed, account)
	return nil
}

// newConfig writes the configuration. It holds the receivers' secrets, so all of it is secret. The pods reload it by themselves.
func (b *builder) newConfig() error {
	names := b.given()
	var inputs []any
	for _, name := range names {
		inputs = append(inputs, b.Secrets[name])
	}
	rendered := pulumi.All(inputs...).ApplyT(func(known []any) (string, error) {
		secrets := map[string]string{}
		for i, name := range names {
			secrets[name] = known[i].(string)
		}
		return plan{Settings: b.Settings, inhibitions: b.Inhibitions, secrets: secrets}.render()
	})
	secret, err := corev1.NewSecret(b.ctx, b.name, &corev1.SecretArgs{
		Metadata: b.labels.Meta(ServiceName, b.Namespace),
		StringData: pulumi.StringMap{
			configKey:   pulumi.ToSecret(rendered).(pulumi.StringOutput),
			templateKey: pulumi.String(templates),
		},
	}, b.parent)
	if err != nil {
		return fmt.Errorf("creating configuration: %w", err)
	}
	b.needed = append(b.needed, secret)
	return nil
}

func (b *builder) newAlertmanager() error {
	meta := b.labels.Meta(Name, b.Namespace)
	// Custom resources are not awaited by themselves.
	meta.Annotations = pulumi.StringMap{"pulumi.com/waitFor": pulumi.String("condition=Available")}
	_, err := kube.NewCustomResource(b.ctx, b.name, &kube.CustomResourceArgs{
		APIVersion: monitoringv1.SchemeGroupVersion.String(), Kind: monitoringv1.AlertmanagersKind,
		Metadata: meta, Spec: spec(b.Settings, b.PriorityClass, b.Images),
	}, b.parent, pulumi.DependsOn(b.needed))
	if err != nil {
		return fmt.Errorf("creating Alertmanager: %w", err)
	}
	return nil
}

func (b *builder) newService() error {
	port := func(name string, number int) *corev1.ServicePortArgs {
		return &corev1.ServicePortArgs{Name: pulumi.String(name), Port: pulumi.Int(number), TargetPort: pulumi.String(name)}
	}
	_, err := corev1.NewService(b.ctx, b.name, &corev1.ServiceArgs{
		Metadata: b.labels.Meta(ServiceName, b.Namespace),
		Spec: &corev1.ServiceSpecArgs{
			Selector: pulumi.ToStringMap(b.labels.Selector()),
			Ports:    corev1.ServicePortArray{port(webPort, HTTPPort), port(reloaderPort, ReloaderPort)},
			// Who has just made a silence sees it: the other replicas hear of it a moment later.
			SessionAffinity: pulumi.String("ClientIP"),
		},
	}, b.parent)
	if err != nil {
		return fmt.Errorf("creating service: %w", err)
	}
	return kube.NewServiceMonitor(b.ctx, b.name, ServiceName, b.Namespace, b.labels,
		[]monitoringv1.Endpoint{{Port: webPort}, {Port: reloaderPort}}, b.parent)
}

// newDisruptionBudget lets a drain take one replica at a time. A replica that is not ready anyway may always go.
func (b *builder) newDisruptionBudget() error {
	if b.Replicas < 2 {
		return nil
	}
	_, err := policyv1.NewPodDisruptionBudget(b.ctx, b.name, &policyv1.PodDisruptionBudgetArgs{
		Metadata: b.labels.Meta(ServiceName, b.Namespace),
		Spec: &policyv1.PodDisruptionBudgetSpecArgs{
			MaxUnavailable:             pulumi.Int(1),
			Selector:                   &metav1.LabelSelectorArgs{MatchLabels: pulumi.ToStringMap(b.labels.Selector())},
			UnhealthyPodEvictionPolicy: pulumi.String("AlwaysAllow"),
		},
	}, b.parent)
	if err != nil {
		return fmt.Errorf("creating disruption budget: %w", err)
	}
	return nil
}
