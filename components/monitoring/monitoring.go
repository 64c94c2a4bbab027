// Package monitoring wires the components into the stack that most programs take: metrics, logs, alerts, dashboards and the monitors of the
// cluster itself, in two namespaces, with who calls whom. It owns no AWS resource: roles, buckets and table are given to it.
package monitoring

import (
	"errors"
	"fmt"
	"slices"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	schedulingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/scheduling/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/alertmanager"
	"github.com/kansoku/kansoku/components/alloy"
	"github.com/kansoku/kansoku/components/autoscaler"
	"github.com/kansoku/kansoku/components/collector"
	"github.com/kansoku/kansoku/components/dashboards"
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
	"github.com/kansoku/kansoku/components/rules"
	"github.com/kansoku/kansoku/components/thanos"
)

// The type token is part of every child's URN and must never change.
const token = "kansoku:monitoring:Monitoring"

// priority of the stack's pods: above whatever has none, so that what watches the cluster is the last to go when room is short; far below
// the system's own classes (2,000,000,000).
const priority = 1_000_000

// pullSecret is the name of the Secret that RegistryCredentials become.
const pullSecret = "registry-credentials"

// Monitoring is the running stack.
type Monitoring struct {
	pulumi.ResourceState

	// Namespace of everything that reads nothing of its host. It waits for that namespace and for nothing else, so that what is put there,
	// a Secret that pods wait for, can take its name from here.
	Namespace pulumi.StringOutput `pulumi:"namespace"`
	// PrometheusURL is Prometheus inside the cluster, on any one replica.
	PrometheusURL pulumi.StringOutput `pulumi:"prometheusUrl"`
	// StoreEndpoint finds the Thanos sidecars, for another Thanos query.
	StoreEndpoint pulumi.StringOutput `pulumi:"storeEndpoint"`
	// QueryURL is the Prometheus API over all replicas and all time, with a cache.
	QueryURL pulumi.StringOutput `pulumi:"queryUrl"`
	// AlertmanagerURL is Alertmanager inside the cluster.
	AlertmanagerURL pulumi.StringOutput `pulumi:"alertmanagerUrl"`
	// GrafanaURL is Grafana inside the cluster.
	GrafanaURL pulumi.StringOutput `pulumi:"grafanaUrl"`
	// GrafanaPassword of the user "admin"; empty where nobody logs in by password. A secret.
	GrafanaPassword pulumi.StringOutput `pulumi:"grafanaPassword" provider:"secret"`
	// LokiURL is Loki inside the cluster; empty without logs.
	LokiURL pulumi.StringOutput `pulumi:"lokiUrl"`
}

// New deploys the stack in order: namespaces and definitions, operator, then what the operator acts on; the rest waits for neither.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Monitoring, error) {
	if args == nil {
		args = &Args{}
	}
	wired := *args
	wired.Settings = wired.WithDefaults()
	if err := errors.Join(wired.Validate(), wired.validate()); err != nil {
		return nil, fmt.Errorf("validating %s: %w", name, err)
	}
	if wired.RegistryCredentials != nil {
		wired.Images.PullSecret = pullSecret
	}
	component := &Monitoring{}
	if err := ctx.RegisterComponentResource(token, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering %s: %w", name, err)
	}
	b := &builder{
		Args: wired, ctx: ctx, name: name, built: component, parent: pulumi.Parent(component),
		// The plain names, not the created objects': they are known in a preview, and DependsOn keeps the order.
		namespace: pulumi.String(wired.Namespace), host: pulumi.String(wired.HostNamespace()),
	}
	for _, step := range []func() error{b.base, b.operator, b.metrics, b.rules, b.exporters, b.history, b.logs, b.dashboards, b.autoscaler, b.policies} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{
		"namespace": component.Namespace, "prometheusUrl": component.PrometheusURL, "storeEndpoint": component.StoreEndpoint,
		"queryUrl": component.QueryURL, "alertmanagerUrl": component.AlertmanagerURL, "grafanaUrl": component.GrafanaURL,
		"grafanaPassword": component.GrafanaPassword, "lokiUrl": component.LokiURL,
	})
}

// builder makes the children of one stack.
type builder struct {
	Args
	ctx             *pulumi.Context
	name            string
	built           *Monitoring
	parent          pulumi.ResourceOption
	namespace, host pulumi.StringInput
	class           string            // priority class
	first           []pulumi.Resource // what everything waits for
	operated        []pulumi.Resource // what the operator's objects wait for

	alerts *alertmanager.Alertmanager
}

// after are the options of a component that waits for the base.
func (b *builder) after() []pulumi.ResourceOption {
	return []pulumi.ResourceOption{b.parent, pulumi.DependsOn(b.first)}
}

// base makes what must be there before anything else. Pods that Pod Security "restricted" would refuse are refused in the one namespace;
// in the other live those that read their host.
func (b *builder) base() error {
	for _, one := range []struct {
		name, namespace, level string
		existing               bool
		known                  *pulumi.StringInput
	}{
		{b.name, b.Namespace, "restricted", b.Existing.Namespace != "", &b.namespace},
		{b.name + "-host", b.HostNamespace(), "privileged", b.Existing.HostNamespace != "", &b.host},
	} {
		found, in, err := b.newNamespace(one.name, one.namespace, one.level, one.existing)
		if err != nil {
			return err
		}
		if one.existing {
			*one.known = found
		}
		if one.namespace == b.Namespace {
			b.built.Namespace = found
		}
		if err := b.newPullSecret(one.name, one.namespace, in); err != nil {
			return err
		}
	}
	b.class = kube.PartOf + "-" + b.Namespace
	class, err := schedulingv1.NewPriorityClass(b.ctx, b.name, &schedulingv1.PriorityClassArgs{
		Metadata: &metav1.ObjectMetaArgs{
			Name: pulumi.String(b.class), Labels: pulumi.StringMap{"app.kubernetes.io/part-of": pulumi.String(kube.PartOf)},
		},
		Value: pulumi.Int(priority), GlobalDefault: pulumi.Bool(false),
		Description: pulumi.String("Metrics and logs: what watches the cluster is the last to go when room is short."),
	}, b.parent)
	if err != nil {
		return fmt.Errorf("creating priority class: %w", err)
	}
	b.first = append(b.first, class)
	return errors.Join(b.readStorageClass(), b.definitions())
}

// newNamespace makes a namespace that enforces a level of Pod Security, or reads one that is there. It returns its name and what has to be
// there before it holds anything.
func (b *builder) newNamespace(name, namespace, level string, existing bool) (pulumi.StringOutput, []pulumi.Resource, error) {
	if existing {
		found, err := b.readNamespace(name, namespace, level == "privileged")
		if err != nil {
			return pulumi.StringOutput{}, nil, err
		}
		return found.ToStringOutput(), nil, nil
	}
	labels := pulumi.StringMap{"app.kubernetes.io/part-of": pulumi.String(kube.PartOf)}
	for _, mode := range []string{"enforce", "warn", "audit"} {
		labels["pod-security.kubernetes.io/"+mode] = pulumi.String(level)
	}
	made, err := corev1.NewNamespace(b.ctx, name, &corev1.NamespaceArgs{
		Metadata: &metav1.ObjectMetaArgs{Name: pulumi.String(namespace), Labels: labels},
	}, b.parent)
	if err != nil {
		return pulumi.StringOutput{}, nil, fmt.Errorf("creating namespace %s: %w", namespace, err)
	}
	b.first = append(b.first, made)
	return made.Metadata.Name().Elem(), []pulumi.Resource{made}, nil
}

// newPullSecret makes what the pods of a namespace log in to the registry with. Its name is set before.
func (b *builder) newPullSecret(name, namespace string, in []pulumi.Resource) error {
	if b.RegistryCredentials == nil {
		return nil
	}
	secret, err := corev1.NewSecret(b.ctx, name+"-registry", &corev1.SecretArgs{
		Metadata: &metav1.ObjectMetaArgs{
			Name: pulumi.String(b.Images.PullSecret), Namespace: pulumi.String(namespace),
			Labels: pulumi.StringMap{"app.kubernetes.io/part-of": pulumi.String(kube.PartOf)},
		},
		Type: pulumi.String("kubernetes.io/dockerconfigjson"), StringData: pulumi.StringMap{".dockerconfigjson": b.RegistryCredentials},
	}, b.parent, pulumi.DependsOn(in))
	if err != nil {
		return fmt.Errorf("creating the registry's credentials in %s: %w", namespace, err)
	}
	b.first = append(b.first, secret)
	return nil
}

func (b *builder) operator() error {
	if b.Existing.Operator {
		b.operated = b.first
		return nil
	}
	op, err := operator.New(b.ctx, b.name+"-operator", &operator.Args{
		Settings: b.Operator, Namespace: b.namespace, PriorityClass: b.class, Images: b.Images,
	}, b.after()...)
	if err != nil {
		return fmt.Errorf("creating operator: %w", err)
	}
	b.operated = append(slices.Clone(b.first), op.Deployment)
	return nil
}

// metrics are what scrapes and what tells.
func (b *builder) metrics() (err error) {
	after := pulumi.DependsOn(b.operated)
	b.alerts, err = alertmanager.New(b.ctx, b.name+"-alertmanager", &alertmanager.Args{
		Settings: b.Alertmanager, Namespace: b.namespace, PriorityClass: b.class, Images: b.Images, Secrets: b.AlertSecrets,
		Inhibitions: rules.Inhibitions(),
	}, b.parent, after)
	if err != nil {
		return fmt.Errorf("creating Alertmanager: %w", err)
	}
	b.built.AlertmanagerURL = b.alerts.URL
	prom, err := prometheus.New(b.ctx, b.name+"-prometheus", &prometheus.Args{
		Settings: b.Prometheus, Namespace: b.namespace, PriorityClass: b.class, Images: b.Images, Cluster: b.Cluster,
		Blocks:  b.location(prometheusKey, b.Blocks),
		RoleARN: b.RoleARNs[prometheusKey], Alertmanager: &b.alerts.Endpoint,
	}, b.parent, after)
	if err != nil {
		return fmt.Errorf("creating Prometheus: %w", err)
	}
	b.built.PrometheusURL, b.built.StoreEndpoint = prom.URL, prom.StoreEndpoint
	_, err = prometheus.NewClusterMonitors(b.ctx, b.name+"-cluster", &prometheus.ClusterMonitorsArgs{Namespace: b.namespace}, b.after()...)
	if err != nil {
		return fmt.Errorf("creating cluster monitors: %w", err)
	}
	return nil
}

// rules are the alerts on metrics; Loki takes those on logs.
func (b *builder) rules() error {
	_, err := rules.New(b.ctx, b.name+"-rules", &rules.Args{
		Settings: b.Rules, Namespace: b.namespace, HostNamespace: b.host,
		NoLogs: b.Loki == nil, Collector: b.Collector.Kind, NoAutoscaler: !b.scales(),
		NoOperator: b.Existing.Operator, NoGrafana: b.Existing.Grafana != nil,
	}, b.after()...)
	if err != nil {
		return fmt.Errorf("creating rules: %w", err)
	}
	return nil
}

func (b *builder) exporters() error {
	_, err := kubestatemetrics.New(b.ctx, b.name+"-kube-state-metrics", &kubestatemetrics.Args{
		Settings: b.KubeStateMetrics, Namespace: b.namespace, PriorityClass: b.class, Images: b.Images,
	}, b.after()...)
	if err != nil {
		return fmt.Errorf("creating kube-state-metrics: %w", err)
	}
	_, err = nodeexporter.New(b.ctx, b.name+"-node-exporter", &nodeexporter.Args{
		Settings: b.NodeExporter, Namespace: b.host, Images: b.Images,
	}, b.after()...)
	if err != nil {
		return fmt.Errorf("creating node exporter: %w", err)
	}
	_, err = adapter.New(b.ctx, b.name+"-adapter", &adapter.Args{
		Settings: b.Adapter, Namespace: b.namespace, PriorityClass: b.class, Images: b.Images, PrometheusURL: b.built.PrometheusURL,
	}, b.after()...)
	if err != nil {
		return fmt.Errorf("creating adapter: %w", err)
	}
	return nil
}

// history is what keeps metrics and answers for all of them.
func (b *builder) history() error {
	roles, secrets := map[string]pulumi.StringInput{}, map[string]string{}
	for _, account := range thanos.ServiceAccounts() {
		if role := b.RoleARNs[account.Name]; role != nil {
			roles[account.Name] = role
		}
		if secret := b.CredentialsSecrets[account.Name]; secret != "" {
			secrets[account.Name] = secret
		}
	}
	metrics, err := thanos.New(b.ctx, b.name+"-thanos", &thanos.Args{
		Settings: b.Thanos, Namespace: b.namespace, PriorityClass: b.class, Images: b.Images, Blocks: b.Blocks, RoleARNs: roles,
		CredentialsSecrets: secrets,
		StoreEndpoints:     []pulumi.StringInput{b.built.StoreEndpoint},
	}, b.after()...)
	if err != nil {
		return fmt.Errorf("creating Thanos: %w", err)
	}
	b.built.QueryURL = metrics.QueryFrontendURL
	return nil
}

// logs are Loki, what brings it the logs of every node, and the cluster's events among them.
func (b *builder) logs() error {
	b.built.LokiURL = pulumi.String("").ToStringOutput()
	if b.Loki == nil {
		return nil
	}
	store, err := loki.New(b.ctx, b.name+"-loki", &loki.Args{
		Settings: *b.Loki, Namespace: b.namespace, PriorityClass: b.class, Images: b.Images, Chunks: b.location(lokiKey, b.Chunks), Index: b.Index,
		RoleARN: b.RoleARNs[lokiKey], AlertmanagerURL: b.alerts.DiscoveryURL, Rules: rules.Logs(b.Rules, b.Namespace, b.HostNamespace(), b.Cluster),
	}, b.after()...)
	if err != nil {
		return fmt.Errorf("creating Loki: %w", err)
	}
	b.built.LokiURL = store.URL
	_, err = events.New(b.ctx, b.name+"-events", &events.Args{
		Settings: b.Events, Namespace: b.namespace, PriorityClass: b.class, Images: b.Images,
	}, b.after()...)
	if err != nil {
		return fmt.Errorf("creating events: %w", err)
	}
	args := &collector.Args{Settings: b.Collector, Namespace: b.host, PushURL: store.PushURL, PriorityClass: b.class, Images: b.Images}
	// The last one, because it gives the lines of events the namespace of what they are about: pipelines of that namespace are for its pods.
	args.Pipelines = append(slices.Clone(args.Pipelines), events.Pipeline(b.Namespace))
	if b.Collector.Kind == collector.Alloy {
		_, err = alloy.New(b.ctx, b.name+"-alloy", args, b.after()...)
	} else {
		_, err = promtail.New(b.ctx, b.name+"-promtail", args, b.after()...)
	}
	if err != nil {
		return fmt.Errorf("creating the collector of logs: %w", err)
	}
	return nil
}

func (b *builder) dashboards() error {
	shows := b.Dashboards
	if !b.NoDashboards {
		own, err := dashboards.All(b.shows())
		if err != nil {
			return err
		}
		shows = append(own, shows...)
	}
	if b.Existing.Grafana != nil {
		return b.provision(shows)
	}
	args := &grafana.Args{
		Settings: b.Grafana, Namespace: b.namespace, PriorityClass: b.class, Images: b.Images, ScrapeInterval: b.Prometheus.ScrapeInterval,
		ThanosURL: b.built.QueryURL, AlertmanagerURL: b.built.AlertmanagerURL, Dashboards: shows,
	}
	if b.Loki != nil {
		args.LokiURL = b.built.LokiURL
	}
	if auth := b.Grafana.Auth; b.GrafanaOAuthSecret != nil {
		switch {
		case auth.GenericOAuth != nil:
			args.GenericOAuthSecret = b.GrafanaOAuthSecret
		case auth.GitHub != nil:
			args.GitHubSecret = b.GrafanaOAuthSecret
		case auth.Google != nil:
			args.GoogleSecret = b.GrafanaOAuthSecret
		}
	}
	shown, err := grafana.New(b.ctx, b.name+"-grafana", args, b.after()...)
	if err != nil {
		return fmt.Errorf("creating Grafana: %w", err)
	}
	b.built.GrafanaURL, b.built.GrafanaPassword = shown.URL, shown.AdminPassword
	return nil
}

// shows is what the dashboards are about.
func (b *builder) shows() dashboards.Options {
	options := dashboards.Options{
		Namespace: b.Namespace, HostNamespace: b.HostNamespace(), Autoscaler: b.scales(),
		ForeignGrafana: b.Existing.Grafana != nil,
	}
	if b.Loki != nil {
		options.Collector = b.Collector.Kind
		options.DynamoDB = slices.ContainsFunc(b.Loki.Schema, func(p loki.Period) bool { return p.Index == loki.DynamoDB })
	}
	return options
}

func (b *builder) autoscaler() error {
	if !b.scales() {
		return nil
	}
	_, err := autoscaler.New(b.ctx, b.name+"-autoscaler", &autoscaler.Args{
		Settings: b.Autoscaler, Namespace: b.namespace, ClusterName: b.Scaled.Name, Region: b.Scaled.Region, Images: b.Images,
		RoleARN: b.RoleARNs[autoscaler.ServiceAccountName],
	}, b.after()...)
	if err != nil {
		return fmt.Errorf("creating autoscaler: %w", err)
	}
	return nil
}

func (b *builder) policies() error {
	_, err := netpolicy.New(b.ctx, b.name+"-network", &netpolicy.Args{
		Workloads: b.workloads(), Calls: b.calls(), VPCCIDRs: b.VPCCIDRs, SharedNamespaces: b.Existing.namespaces(),
	}, b.after()...)
	if err != nil {
		return fmt.Errorf("creating network policies: %w", err)
	}
	return nil
}
