package prometheus

import (
	"errors"
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	policyv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/policy/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/versions"
)

// The type tokens are part of every child's URN and must never change.
const prometheusToken = "kansoku:prometheus:Prometheus"

// Ports and their names, as the operator gives them to the containers.
const (
	webPort      = "web"
	reloaderPort = "reloader-web"
	grpcPort     = "grpc"
	httpPort     = "http"

	sidecarComponent = "thanos-sidecar"
)

// Ports of the pods. Those of the sidecar are Thanos' own.
const (
	HTTPPort     = 9090
	ReloaderPort = 8080
)

// Labels of the pods of the Prometheus called name.
func Labels(name string) kube.Labels {
	return kube.Labels{Name: "prometheus", Instance: name, Component: "prometheus", Version: versions.Prometheus.Version}
}

// Prometheus is a replicated Prometheus with its Thanos sidecars.
type Prometheus struct {
	pulumi.ResourceState

	// URL of the web interface and query API inside the cluster, on any one replica: "http://prometheus-k8s.monitoring.svc:9090".
	URL pulumi.StringOutput `pulumi:"url"`
	// StoreEndpoint finds all sidecars by DNS, as Thanos query takes it in --endpoint.
	StoreEndpoint pulumi.StringOutput `pulumi:"storeEndpoint"`
	// ServiceAccountName is who the pods are.
	ServiceAccountName string `pulumi:"serviceAccountName"`
}

// New deploys a Prometheus. The operator and its definitions must exist before, and the operator must outlive it: pass
// pulumi.DependsOn on Operator.Deployment and CRDs.Definitions. It is ready when all replicas are.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Prometheus, error) {
	if args == nil {
		args = &Args{}
	}
	wired := *args
	wired.Settings = wired.WithDefaults()
	if wired.Name == "" {
		wired.Name = DefaultName
	}
	if err := errors.Join(wired.Validate(), wired.validate()); err != nil {
		return nil, fmt.Errorf("validating %s: %w", name, err)
	}
	component := &Prometheus{ServiceAccountName: ServiceAccountName(wired.Name)}
	if err := ctx.RegisterComponentResource(prometheusToken, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering %s: %w", name, err)
	}
	b := &builder{
		Args: wired, ctx: ctx, name: name, parent: pulumi.Parent(component), object: ServiceAccountName(wired.Name),
		labels: Labels(wired.Name),
	}
	for _, step := range []func() error{
		b.newServiceAccount, b.newRole, b.newObjectStore, b.newPrometheus, b.newServices, b.newMonitors, b.newDisruptionBudget,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	component.URL = pulumi.Sprintf("http://%s.%s.svc:9090", b.object, wired.Namespace)
	component.StoreEndpoint = pulumi.Sprintf("dnssrv+_%s._tcp.%s.%s.svc", grpcPort, b.sidecar(), wired.Namespace)
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{
		"url":                component.URL,
		"storeEndpoint":      component.StoreEndpoint,
		"serviceAccountName": pulumi.String(component.ServiceAccountName),
	})
}

// builder makes the children of one Prometheus.
type builder struct {
	Args
	ctx    *pulumi.Context
	name   string // of the component
	object string // of the Kubernetes objects: prometheus-NAME
	labels kube.Labels
	parent pulumi.ResourceOption
	// needed by the pods, which the operator starts as soon as there is a Prometheus object.
	needed []pulumi.Resource
}

func (b *builder) sidecar() string { return b.object + "-thanos-sidecar" }

func (b *builder) sidecarLabels() kube.Labels {
	labels := b.labels
	labels.Component, labels.Version = sidecarComponent, versions.Thanos.Version
	return labels
}

func (b *builder) newServiceAccount() error {
	account, err := kube.NewServiceAccount(b.ctx, b.name, b.object, b.Namespace, b.RoleARN, b.labels, b.parent)
	if err != nil {
		return fmt.Errorf("creating service account: %w", err)
	}
	b.needed = append(b.needed, account)
	return nil
}

// newRole lets Prometheus find targets in all namespaces, as its monitors may be anywhere, and read the metrics of kubelets and API
// server.
func (b *builder) newRole() error {
	watch := []string{"get", "list", "watch"}
	granted, err := kube.Grant(b.ctx, b.name, b.object, b.Namespace, b.labels, []kube.Rule{
		{Group: "discovery.k8s.io", Resources: []string{"endpointslices"}, Verbs: watch},
		{Resources: []string{"services", "pods"}, Verbs: watch},
		{Group: "networking.k8s.io", Resources: []string{"ingresses"}, Verbs: watch},
		{Resources: []string{"nodes/metrics"}, Verbs: []string{"get"}},
		{URLs: []string{"/metrics", "/metrics/slis"}, Verbs: []string{"get"}},
	}, b.parent)
	if err != nil {
		return err
	}
	b.needed = append(b.needed, granted)
	return nil
}

func (b *builder) newObjectStore() error {
	secret, err := corev1.NewSecret(b.ctx, b.name+"-objectstore", &corev1.SecretArgs{
		Metadata:   b.sidecarLabels().Meta(objectStoreName(b.Name), b.Namespace),
		StringData: pulumi.StringMap{objectStoreKey: b.Blocks.Thanos()},
	}, b.parent)
	if err != nil {
		return fmt.Errorf("creating object store secret: %w", err)
	}
	b.needed = append(b.needed, secret)
	return nil
}

func (b *builder) newPrometheus() error {
	meta := b.labels.Meta(b.Name, b.Namespace)
	// Custom resources are not awaited by themselves.
	meta.Annotations = pulumi.StringMap{"pulumi.com/waitFor": pulumi.String("condition=Available")}
	podLabels := b.labels
	podLabels.Version = "" // the operator sets it
	p := plan{
		Settings: b.Settings, name: b.Name, cluster: b.Cluster, labels: podLabels, credentials: b.Blocks.NativeEnv(),
		priorityClass: b.PriorityClass, images: b.Images,
	}
	known := []any{b.Blocks.Thanos()}
	if b.Alertmanager != nil {
		known = append(known, b.Alertmanager.Namespace)
	}
	_, err := kube.NewCustomResource(b.ctx, b.name, &kube.CustomResourceArgs{
		APIVersion: monitoringv1.SchemeGroupVersion.String(), Kind: monitoringv1.PrometheusesKind,
		Metadata: meta,
		Spec: pulumi.All(known...).ApplyT(func(known []any) monitoringv1.PrometheusSpec {
			p := p
			p.objectStore = known[0].(string)
			if b.Alertmanager != nil {
				p.alerting = alerting(b.Alertmanager.Name, b.Alertmanager.Port, known[1].(string))
			}
			return p.spec()
		}),
	}, b.parent, pulumi.DependsOn(b.needed))
	if err != nil {
		return fmt.Errorf("creating Prometheus: %w", err)
	}
	return nil
}

// newServices makes one for people and Grafana, and a headless one by which Thanos query finds every sidecar.
func (b *builder) newServices() error {
	selector := pulumi.ToStringMap(b.labels.Selector())
	port := func(name string, number int) *corev1.ServicePortArgs {
		return &corev1.ServicePortArgs{Name: pulumi.String(name), Port: pulumi.Int(number), TargetPort: pulumi.String(name)}
	}
	_, err := corev1.NewService(b.ctx, b.name, &corev1.ServiceArgs{
		Metadata: b.labels.Meta(b.object, b.Namespace),
		Spec: &corev1.ServiceSpecArgs{
			Selector: selector,
			Ports:    corev1.ServicePortArray{port(webPort, 9090), port(reloaderPort, 8080)},
			// The replicas differ by a scrape interval: a page of graphs is to come from one.
			SessionAffinity: pulumi.String("ClientIP"),
		},
	}, b.parent)
	if err != nil {
		return fmt.Errorf("creating service: %w", err)
	}
	_, err = corev1.NewService(b.ctx, b.name+"-thanos-sidecar", &corev1.ServiceArgs{
		Metadata: b.sidecarLabels().Meta(b.sidecar(), b.Namespace),
		Spec: &corev1.ServiceSpecArgs{
			ClusterIP: pulumi.String("None"),
			Selector:  selector,
			Ports:     corev1.ServicePortArray{port(grpcPort, 10901), port(httpPort, 10902)},
		},
	}, b.parent)
	if err != nil {
		return fmt.Errorf("creating sidecar service: %w", err)
	}
	return nil
}

// newMonitors lets Prometheus scrape itself, its reloaders and its sidecars.
func (b *builder) newMonitors() error {
	for _, m := range []struct {
		suffix, object, jobLabel string
		labels                   kube.Labels
		ports                    []string
	}{
		{"", b.object, "", b.labels, []string{webPort, reloaderPort}},
		{"-thanos-sidecar", b.sidecar(), "app.kubernetes.io/component", b.sidecarLabels(), []string{httpPort}},
	} {
		selector := m.labels.Selector()
		selector["app.kubernetes.io/component"] = m.labels.Component
		spec := monitoringv1.ServiceMonitorSpec{JobLabel: m.jobLabel, Selector: nativemetav1.LabelSelector{MatchLabels: selector}}
		for _, port := range m.ports {
			spec.Endpoints = append(spec.Endpoints, monitoringv1.Endpoint{Port: port})
		}
		if err := newServiceMonitor(b.ctx, b.name+m.suffix, m.labels.Meta(m.object, b.Namespace), spec, b.parent); err != nil {
			return err
		}
	}
	return nil
}

// newDisruptionBudget lets a drain take one replica at a time. A replica that is not ready anyway may always go.
func (b *builder) newDisruptionBudget() error {
	if b.Replicas < 2 {
		return nil
	}
	_, err := policyv1.NewPodDisruptionBudget(b.ctx, b.name, &policyv1.PodDisruptionBudgetArgs{
		Metadata: b.labels.Meta(b.object, b.Namespace),
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

func newServiceMonitor(ctx *pulumi.Context, name string, meta *metav1.ObjectMetaArgs, spec monitoringv1.ServiceMonitorSpec,
	opts ...pulumi.ResourceOption,
) error {
	_, err := kube.NewCustomResource(ctx, name, &kube.CustomResourceArgs{
		APIVersion: monitoringv1.SchemeGroupVersion.String(), Kind: monitoringv1.ServiceMonitorsKind, Metadata: meta, Spec: spec,
	}, opts...)
	if err != nil {
		return fmt.Errorf("creating service monitor %s: %w", name, err)
	}
	return nil
}
