package thanos

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/components/workload"
	"github.com/kansoku/kansoku/internal/check"
)

const queryToken = "kansoku:thanos:Query"

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// QuerySettings are what a stack may say about query.
type QuerySettings struct {
	// Replicas, alike. 1 to 10. Default: 2.
	Replicas int `pulumi:"replicas,optional"`
	// ReplicaLabels are the labels by which series differ that are the same. Default: prometheus_replica.
	ReplicaLabels []string `pulumi:"replicaLabels,optional"`
	// Timeout of one query; 1s to 1h. Default: 2m (Thanos).
	Timeout string `pulumi:"timeout,optional"`
	// MaxConcurrent queries of one replica; more wait. 1 to 1000. Default: 20 (Thanos).
	MaxConcurrent int `pulumi:"maxConcurrent,optional"`
	// CompleteOnly refuses a query when not every sidecar and store has answered. Default: false, an answer with a warning.
	CompleteOnly bool `pulumi:"completeOnly,optional"`
	// Resources of each replica. Default: 100m CPU, 256Mi memory, limit 1Gi (an estimate, not measured).
	Resources kube.Resources `pulumi:"resources,optional"`
	// RequireZones keeps a replica Pending rather than having two more in one zone than in another. Default: spread as far as it goes.
	RequireZones bool `pulumi:"requireZones,optional"`
	// ExtraEndpoints are Store APIs beside the stack's own, such as the sidecars of another Prometheus: "HOST:PORT", "dns+HOST:PORT" for each
	// address of a name, or "dnssrv+_grpc._tcp.SERVICE.NAMESPACE.svc" for SRV records. Without TLS. Default: none.
	ExtraEndpoints []string `pulumi:"extraEndpoints,optional"`
}

// WithDefaults fills what is not set.
func (s QuerySettings) WithDefaults() QuerySettings {
	if s.Replicas == 0 {
		s.Replicas = 2
	}
	if len(s.ReplicaLabels) == 0 {
		s.ReplicaLabels = []string{ReplicaLabel}
	}
	if s.MaxConcurrent == 0 {
		s.MaxConcurrent = 20
	}
	fill(&s.Timeout, "2m")
	s.Resources = s.Resources.Or(kube.Resources{CPU: "100m", Memory: "256Mi", MemoryLimit: "1Gi"})
	return s
}

// Validate checks the settings, defaults filled in.
func (s QuerySettings) Validate() error {
	var errs check.Errors
	requireReplicas(&errs, s.Replicas, s.RequireZones)
	for i, label := range s.ReplicaLabels {
		errs.Require(labelName.MatchString(label), fmt.Sprintf("replicaLabels[%d]", i), label,
			"must be a label: letters, digits and underscores, no digit first")
	}
	for i, endpoint := range s.ExtraEndpoints {
		key := fmt.Sprintf("extraEndpoints[%d]", i)
		_, err := ParseEndpoint(endpoint)
		errs.Require(err == nil, key, endpoint, `must be "HOST:PORT", "dns+HOST:PORT" or "dnssrv+_PORT._tcp.SERVICE.NAMESPACE.svc"`)
		errs.Require(!slices.Contains(s.ExtraEndpoints[:i], endpoint), key, endpoint, "must be there once")
	}
	requireDuration(&errs, "timeout", s.Timeout, time.Second, time.Hour)
	errs.Require(s.MaxConcurrent >= 1 && s.MaxConcurrent <= 1000, "maxConcurrent", s.MaxConcurrent, "must be between 1 and 1000")
	errs.Under("resources", s.Resources.Validate())
	return errs.Err()
}

// QueryArgs are the settings, and what query is wired to.
type QueryArgs struct {
	QuerySettings
	// Namespace of everything. Required; it must exist.
	Namespace pulumi.StringInput `pulumi:"namespace"`
	// PriorityClass of the pods. Default: none.
	PriorityClass string `pulumi:"priorityClass,optional"`
	// Images says where the image is pulled from. Default: upstream's registry.
	Images versions.Images `pulumi:"images,optional"`
	// StoreEndpoints are where it finds sidecars and stores: "dnssrv+_grpc._tcp.SERVICE.NAMESPACE.svc" or "host:port". At least one.
	StoreEndpoints []pulumi.StringInput `pulumi:"storeEndpoints"`
}

// validate checks what is wired; the settings check themselves.
func (a QueryArgs) validate() error {
	var errs check.Errors
	requireNamespace(&errs, a.Namespace)
	errs.Require(len(a.StoreEndpoints) > 0, "storeEndpoints", nil, "must have at least one")
	requireEndpoints(&errs, a.StoreEndpoints)
	return errs.Err()
}

// Query answers over all sidecars and stores, each series once.
type Query struct {
	pulumi.ResourceState

	// URL of the Prometheus API and the web interface.
	URL pulumi.StringOutput `pulumi:"url"`
}

// NewQuery deploys query. The Prometheus Operator's definitions must exist before: pass pulumi.DependsOn.
func NewQuery(ctx *pulumi.Context, name string, args *QueryArgs, opts ...pulumi.ResourceOption) (*Query, error) {
	if args == nil {
		args = &QueryArgs{}
	}
	wired := *args
	wired.QuerySettings = wired.WithDefaults()
	if err := errors.Join(wired.Validate(), wired.validate()); err != nil {
		return nil, fmt.Errorf("validating %s: %w", name, err)
	}
	component := &Query{}
	if err := ctx.RegisterComponentResource(queryToken, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering %s: %w", name, err)
	}
	parent := pulumi.Parent(component)
	w := newWorkload(workload.Deployment, QueryName, wired.flags(), wired.Resources)
	w.Namespace, w.PriorityClass = wired.Namespace, wired.PriorityClass
	w.Images = wired.Images
	w.Replicas, w.RequireZones = wired.Replicas, wired.RequireZones
	if err := wired.withEndpoints(ctx, name, w, parent); err != nil {
		return nil, err
	}
	if err := workload.New(ctx, name, w, parent); err != nil {
		return nil, err
	}
	component.URL = url(QueryName, wired.Namespace)
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{"url": component.URL})
}

// withEndpoints gives the program the list of what it asks. In a file: the flags for single endpoints are to go.
func (a QueryArgs) withEndpoints(ctx *pulumi.Context, name string, w *workload.Args, opts ...pulumi.ResourceOption) error {
	const volume, object = "endpoints", QueryName + "-endpoints"
	all := slices.Clone(pulumi.StringArray(a.StoreEndpoints))
	for _, endpoint := range a.ExtraEndpoints {
		all = append(all, pulumi.String(endpoint))
	}
	config := all.ToStringArrayOutput().ApplyT(renderEndpoints).(pulumi.StringOutput)
	file, err := corev1.NewConfigMap(ctx, name+"-endpoints", &corev1.ConfigMapArgs{
		Metadata: w.Labels.Meta(object, w.Namespace), Data: pulumi.StringMap{endpointsKey: config},
	}, opts...)
	if err != nil {
		return fmt.Errorf("creating endpoints: %w", err)
	}
	w.Volumes = append(w.Volumes, &corev1.VolumeArgs{
		Name: pulumi.String(volume), ConfigMap: &corev1.ConfigMapVolumeSourceArgs{Name: pulumi.String(object)},
	})
	mount(w, volume, endpointsDir, true)
	w.Checksum = checksum(config)
	w.DependsOn = append(w.DependsOn, file)
	return nil
}

// flags of valid settings.
func (s QuerySettings) flags() []string {
	flags := []string{"query", "--endpoint.sd-config-file=" + endpointsDir + "/" + endpointsKey}
	for _, label := range s.ReplicaLabels {
		flags = append(flags, "--query.replica-label="+label)
	}
	flags = append(
		flags,
		"--query.auto-downsampling",
		"--query.timeout="+s.Timeout,
		"--query.max-concurrent="+strconv.Itoa(s.MaxConcurrent),
		// Grafana asks from its server; a browser's page of another origin has no business here.
		"--web.disable-cors",
	)
	if s.CompleteOnly {
		flags = append(flags, "--no-query.partial-response")
	}
	return append(append(flags, commonFlags()...), grpcFlags()...)
}
