package thanos

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/components/workload"
	"github.com/kansoku/kansoku/internal/check"
)

const queryFrontendToken = "kansoku:thanos:QueryFrontend"

const (
	queryURLVariable = "QUERY_URL"

	// Answers are split at full days, so most of them never change; what a late block would add is seen after this time.
	cacheValidity = "6h"
	// Go's client keeps two, and a split query opens 14 (Thanos' default parallelism).
	idleConnections = 100
)

// QueryFrontendSettings are what a stack may say about the query frontend.
type QueryFrontendSettings struct {
	// Replicas, each with a cache of its own. 1 to 10. Default: 1.
	Replicas int `pulumi:"replicas,optional"`
	// SplitInterval is the time range of the parts that a range query and a search for labels are split into; at least 1h.
	// Default: 24h (Thanos).
	SplitInterval string `pulumi:"splitInterval,optional"`
	// MaxRetries of each part. 1 to 20. Default: 5 (Thanos).
	MaxRetries int `pulumi:"maxRetries,optional"`
	// LogSlowerThan logs queries that take longer; at least 100ms. Default: 10s.
	LogSlowerThan string `pulumi:"logSlowerThan,optional"`
	// RangeCacheSize in memory for range queries, as a Kubernetes quantity. Default: half of the memory limit.
	RangeCacheSize string `pulumi:"rangeCacheSize,optional"`
	// LabelsCacheSize in memory for names and values of labels and for series. Default: an eighth of the memory limit.
	LabelsCacheSize string `pulumi:"labelsCacheSize,optional"`
	// CompleteOnly refuses a query when not every sidecar and store has answered. Default: false, an answer with a warning; as query,
	// where both are deployed together.
	CompleteOnly bool `pulumi:"completeOnly,optional"`
	// Resources of each replica. Default: 50m CPU, 256Mi memory, limit 512Mi (an estimate, not measured).
	Resources kube.Resources `pulumi:"resources,optional"`
	// RequireZones keeps a replica Pending rather than having two more in one zone than in another. Default: spread as far as it goes.
	RequireZones bool `pulumi:"requireZones,optional"`
}

// WithDefaults fills what is not set.
func (s QueryFrontendSettings) WithDefaults() QueryFrontendSettings {
	if s.Replicas == 0 {
		s.Replicas = 1
	}
	if s.MaxRetries == 0 {
		s.MaxRetries = 5
	}
	s.Resources = s.Resources.Or(kube.Resources{CPU: "50m", Memory: "256Mi", MemoryLimit: "512Mi"})
	fill(&s.SplitInterval, "24h")
	fill(&s.LogSlowerThan, "10s")
	fill(&s.RangeCacheSize, share(s.Resources.MemoryLimit, 2))
	fill(&s.LabelsCacheSize, share(s.Resources.MemoryLimit, 8))
	return s
}

// Validate checks the settings, defaults filled in.
func (s QueryFrontendSettings) Validate() error {
	var errs check.Errors
	requireReplicas(&errs, s.Replicas, s.RequireZones)
	requireDuration(&errs, "splitInterval", s.SplitInterval, time.Hour, 0)
	errs.Require(s.MaxRetries >= 1 && s.MaxRetries <= 20, "maxRetries", s.MaxRetries, "must be between 1 and 20")
	requireDuration(&errs, "logSlowerThan", s.LogSlowerThan, 100*time.Millisecond, 0)
	requireMemory(&errs, s.Resources.MemoryLimit, reserve{"rangeCacheSize", s.RangeCacheSize}, reserve{"labelsCacheSize", s.LabelsCacheSize})
	errs.Under("resources", s.Resources.Validate())
	return errs.Err()
}

// QueryFrontendArgs are the settings, and what the query frontend is wired to.
type QueryFrontendArgs struct {
	QueryFrontendSettings
	// Namespace of everything. Required; it must exist.
	Namespace pulumi.StringInput `pulumi:"namespace"`
	// PriorityClass of the pods. Default: none.
	PriorityClass string `pulumi:"priorityClass,optional"`
	// Images says where the image is pulled from. Default: upstream's registry.
	Images versions.Images `pulumi:"images,optional"`
	// QueryURL is the query that it asks. Required.
	QueryURL pulumi.StringInput `pulumi:"queryUrl"`
}

// validate checks what is wired; the settings check themselves.
func (a QueryFrontendArgs) validate() error {
	var errs check.Errors
	requireNamespace(&errs, a.Namespace)
	errs.Require(a.QueryURL != nil, "queryUrl", nil, "is required")
	return errs.Err()
}

// QueryFrontend splits queries by time, repeats what fails and remembers the answers.
type QueryFrontend struct {
	pulumi.ResourceState

	// URL of the Prometheus API.
	URL pulumi.StringOutput `pulumi:"url"`
}

// NewQueryFrontend deploys the query frontend, which is ready when query is. The Prometheus Operator's definitions must exist before:
// pass pulumi.DependsOn.
func NewQueryFrontend(ctx *pulumi.Context, name string, args *QueryFrontendArgs, opts ...pulumi.ResourceOption) (*QueryFrontend, error) {
	if args == nil {
		args = &QueryFrontendArgs{}
	}
	wired := *args
	wired.QueryFrontendSettings = wired.WithDefaults()
	if err := errors.Join(wired.Validate(), wired.validate()); err != nil {
		return nil, fmt.Errorf("validating %s: %w", name, err)
	}
	component := &QueryFrontend{}
	if err := ctx.RegisterComponentResource(queryFrontendToken, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering %s: %w", name, err)
	}
	w := newWorkload(workload.Deployment, QueryFrontendName, wired.flags(), wired.Resources)
	w.Namespace, w.PriorityClass = wired.Namespace, wired.PriorityClass
	w.Images = wired.Images
	w.Replicas, w.RequireZones = wired.Replicas, wired.RequireZones
	w.Containers[0].Env = corev1.EnvVarArray{&corev1.EnvVarArgs{
		Name: pulumi.String(queryURLVariable), Value: wired.QueryURL.ToStringOutput().ToStringPtrOutput(),
	}}
	if err := workload.New(ctx, name, w, pulumi.Parent(component)); err != nil {
		return nil, err
	}
	component.URL = url(QueryFrontendName, wired.Namespace)
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{"url": component.URL})
}

// flags of valid settings.
func (s QueryFrontendSettings) flags() []string {
	answers := func(quantity string) string {
		return inline(cache{Type: "IN-MEMORY", Config: inMemory{MaxSize: size(quantity), Validity: cacheValidity}})
	}
	split, retries := goForm(s.SplitInterval), strconv.Itoa(s.MaxRetries)
	flags := []string{
		"query-frontend",
		"--query-frontend.downstream-url=$(" + queryURLVariable + ")",
		"--query-frontend.downstream-tripper-config=" + inline(tripper{MaxIdleConnsPerHost: idleConnections}),
		"--query-frontend.compress-responses",
		"--query-frontend.log-queries-longer-than=" + goForm(s.LogSlowerThan),
		"--query-range.split-interval=" + split,
		"--query-range.max-retries-per-request=" + retries,
		"--query-range.response-cache-config=" + answers(s.RangeCacheSize),
		"--query.max-retries-per-request=" + retries,
		"--labels.split-interval=" + split,
		"--labels.max-retries-per-request=" + retries,
		"--labels.response-cache-config=" + answers(s.LabelsCacheSize),
		"--web.disable-cors",
	}
	if s.CompleteOnly {
		flags = append(flags, "--no-query-range.partial-response", "--no-labels.partial-response")
	}
	return append(flags, commonFlags()...)
}
