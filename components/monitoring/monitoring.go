// Package monitoring wires the components into the stack that most programs take: a namespace, the Prometheus Operator with its
// definitions, Prometheus, and the monitors of the cluster itself. It owns no AWS resource: roles and buckets are given to it.
package monitoring

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/components/operator"
	"github.com/kansoku/kansoku/components/prometheus"
	"github.com/kansoku/kansoku/internal/check"
)

// The type token is part of every child's URN and must never change.
const token = "kansoku:monitoring:Monitoring"

const prometheusKey = "prometheus"

// Settings are what a stack may say about its monitoring.
type Settings struct {
	// Namespace of everything; it is created. Default: monitoring.
	Namespace string `pulumi:"namespace,optional"`
	// Operator is the Prometheus Operator.
	Operator operator.Settings `pulumi:"operator,optional"`
	// Prometheus scrapes, evaluates and uploads.
	Prometheus prometheus.Settings `pulumi:"prometheus,optional"`
}

// WithDefaults fills what is not set.
func (s Settings) WithDefaults() Settings {
	if s.Namespace == "" {
		s.Namespace = "monitoring"
	}
	s.Operator, s.Prometheus = s.Operator.WithDefaults(), s.Prometheus.WithDefaults()
	return s
}

// Validate checks the settings, defaults filled in.
func (s Settings) Validate() error {
	var errs check.Errors
	errs.Require(kube.IsDNSLabel(s.Namespace), "namespace", s.Namespace, "must be at most 63 lower-case letters, digits and dashes")
	errs.Require(s.Namespace != "default" && !strings.HasPrefix(s.Namespace, "kube-"), "namespace", s.Namespace,
		"must not be one of Kubernetes' own")
	errs.Under("operator", s.Operator.Validate())
	errs.Under("prometheus", s.Prometheus.Validate())
	return errs.Err()
}

// Workload is a part of the stack that needs a role on AWS.
type Workload struct {
	// Key names it, in Args.RoleARNs among others.
	Key string
	// ServiceAccount is who its pods are.
	ServiceAccount kube.ServiceAccount
	// Blocks is what it does to the bucket of metrics; "" if nothing.
	Blocks objectstore.Access
}

// Workloads lists who needs a role, ordered by key.
func (s Settings) Workloads() []Workload {
	return []Workload{{
		Key: prometheusKey,
		ServiceAccount: kube.ServiceAccount{
			Namespace: s.WithDefaults().Namespace, Name: prometheus.ServiceAccountName(prometheus.DefaultName),
		},
		Blocks: objectstore.Write,
	}}
}

// Args are the settings, and what the stack is wired to.
type Args struct {
	Settings
	// Cluster is the external label "cluster" on every series. Required; unique among the writers of Blocks, and never changed.
	Cluster string `pulumi:"cluster"`
	// Blocks is where the metrics' blocks are kept. Required.
	Blocks objectstore.Location `pulumi:"blocks"`
	// RoleARNs are the IAM roles by Workload.Key. Default: none, for a store that is not on AWS.
	RoleARNs map[string]pulumi.StringInput `pulumi:"roleArns,optional"`
	// ExistingCRDs leaves the operator's definitions to someone else, who must have made them before. Default: false.
	ExistingCRDs bool `pulumi:"existingCrds,optional"`
	// CRDProvider creates the definitions: one that adopts those that an earlier stack has left behind. Default: as for all the others.
	CRDProvider pulumi.ProviderResource
}

// validate checks what is wired; the settings check themselves.
func (a Args) validate() error {
	var errs check.Errors
	errs.Require(a.Cluster != "", "cluster", a.Cluster, "must not be empty")
	errs.Require(a.Blocks.Bucket != nil, "blocks.bucket", nil, "is required")
	errs.Require(a.Blocks.Region != nil, "blocks.region", nil, "is required")
	var keys []string
	for _, w := range a.Workloads() {
		keys = append(keys, w.Key)
	}
	for _, key := range slices.Sorted(maps.Keys(a.RoleARNs)) {
		errs.Require(slices.Contains(keys, key), "roleArns", key, "must be keyed by workload (%s)", strings.Join(keys, ", "))
	}
	return errs.Err()
}

// Monitoring is the running stack.
type Monitoring struct {
	pulumi.ResourceState

	// Namespace of everything.
	Namespace pulumi.StringOutput
	// PrometheusURL is Prometheus inside the cluster.
	PrometheusURL pulumi.StringOutput
	// StoreEndpoint finds the Thanos sidecars, for Thanos query.
	StoreEndpoint pulumi.StringOutput
}

// New deploys the stack in order: namespace and definitions, operator, then what the operator acts on.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Monitoring, error) {
	if args == nil {
		args = &Args{}
	}
	wired := *args
	wired.Settings = wired.WithDefaults()
	if err := errors.Join(wired.Validate(), wired.validate()); err != nil {
		return nil, fmt.Errorf("validating %s: %w", name, err)
	}
	component := &Monitoring{}
	if err := ctx.RegisterComponentResource(token, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering %s: %w", name, err)
	}
	parent := pulumi.Parent(component)
	// The plain name, not the created object's: it is known in a preview, and DependsOn keeps the order.
	namespace := pulumi.String(wired.Namespace)

	base, err := newBase(ctx, name, wired, parent)
	if err != nil {
		return nil, err
	}
	op, err := operator.New(ctx, name+"-operator", &operator.Args{Settings: wired.Operator, Namespace: namespace},
		parent, pulumi.DependsOn(base))
	if err != nil {
		return nil, fmt.Errorf("creating operator: %w", err)
	}
	deps := pulumi.DependsOn(slices.Concat(base, []pulumi.Resource{op.Deployment}))
	prom, err := prometheus.New(ctx, name+"-prometheus", &prometheus.Args{
		Settings: wired.Prometheus, Namespace: namespace, Cluster: wired.Cluster, Blocks: wired.Blocks, RoleARN: wired.RoleARNs[prometheusKey],
	}, parent, deps)
	if err != nil {
		return nil, fmt.Errorf("creating Prometheus: %w", err)
	}
	// Monitors need no operator to exist.
	if _, err := prometheus.NewClusterMonitors(ctx, name+"-cluster", &prometheus.ClusterMonitorsArgs{Namespace: namespace},
		parent, pulumi.DependsOn(base)); err != nil {
		return nil, fmt.Errorf("creating cluster monitors: %w", err)
	}
	component.Namespace = namespace.ToStringOutput()
	component.PrometheusURL, component.StoreEndpoint = prom.URL, prom.StoreEndpoint
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{
		"namespace": component.Namespace, "prometheusUrl": component.PrometheusURL, "storeEndpoint": component.StoreEndpoint,
	})
}

// newBase makes what must be there before anything else. Pods that Pod Security "restricted" would refuse are refused here.
func newBase(ctx *pulumi.Context, name string, args Args, parent pulumi.ResourceOption) ([]pulumi.Resource, error) {
	labels := pulumi.StringMap{"app.kubernetes.io/part-of": pulumi.String(kube.PartOf)}
	for _, mode := range []string{"enforce", "warn", "audit"} {
		labels["pod-security.kubernetes.io/"+mode] = pulumi.String("restricted")
	}
	namespace, err := corev1.NewNamespace(ctx, name, &corev1.NamespaceArgs{
		Metadata: &metav1.ObjectMetaArgs{Name: pulumi.String(args.Namespace), Labels: labels},
	}, parent)
	if err != nil {
		return nil, fmt.Errorf("creating namespace: %w", err)
	}
	base := []pulumi.Resource{namespace}
	if args.ExistingCRDs {
		return base, nil
	}
	opts := []pulumi.ResourceOption{parent}
	if args.CRDProvider != nil {
		opts = append(opts, pulumi.Provider(args.CRDProvider))
	}
	crds, err := operator.NewCRDs(ctx, name+"-crds", opts...)
	if err != nil {
		return nil, fmt.Errorf("creating definitions: %w", err)
	}
	return append(base, crds.Definitions...), nil
}
