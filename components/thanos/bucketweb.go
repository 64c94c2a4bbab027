package thanos

import (
	"fmt"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/components/workload"
	"github.com/kansoku/kansoku/internal/check"
)

const bucketWebToken = "kansoku:thanos:BucketWeb"

// BucketWebSettings are what a stack may say about bucket web.
type BucketWebSettings struct {
	// GroupLabel is the external label by which the blocks are grouped. Default: cluster.
	GroupLabel string `pulumi:"groupLabel,optional"`
	// Refresh is how often it reads what is in the bucket; at least 1m. Thanos advises 5m at least. Default: 30m (Thanos).
	Refresh string `pulumi:"refresh,optional"`
	// Resources. Default: 10m CPU, 64Mi memory, limit 256Mi (an estimate, not measured).
	Resources kube.Resources `pulumi:"resources,optional"`
}

// WithDefaults fills what is not set.
func (s BucketWebSettings) WithDefaults() BucketWebSettings {
	fill(&s.GroupLabel, "cluster")
	fill(&s.Refresh, "30m")
	s.Resources = s.Resources.Or(kube.Resources{CPU: "10m", Memory: "64Mi", MemoryLimit: "256Mi"})
	return s
}

// Validate checks the settings, defaults filled in.
func (s BucketWebSettings) Validate() error {
	var errs check.Errors
	errs.Require(labelName.MatchString(s.GroupLabel), "groupLabel", s.GroupLabel,
		"must be a label: letters, digits and underscores, no digit first")
	requireDuration(&errs, "refresh", s.Refresh, time.Minute, 0)
	errs.Under("resources", s.Resources.Validate())
	return errs.Err()
}

// BucketWebArgs are the settings, and what bucket web is wired to.
type BucketWebArgs struct {
	BucketWebSettings
	// Namespace of everything. Required; it must exist.
	Namespace pulumi.StringInput `pulumi:"namespace"`
	// PriorityClass of the pod. Default: none.
	PriorityClass string `pulumi:"priorityClass,optional"`
	// Images says where the image is pulled from. Default: upstream's registry.
	Images versions.Images `pulumi:"images,optional"`
	// Blocks is the bucket. Required.
	Blocks objectstore.Location `pulumi:"blocks"`
	// RoleARN is the IAM role that the pod takes, for reading Blocks. Default: none.
	RoleARN pulumi.StringInput `pulumi:"roleArn,optional"`
}

// BucketWeb shows which blocks there are, and changes none.
type BucketWeb struct {
	pulumi.ResourceState

	// URL of the web interface.
	URL pulumi.StringOutput `pulumi:"url"`
}

// NewBucketWeb deploys bucket web. The Prometheus Operator's definitions must exist before: pass pulumi.DependsOn.
func NewBucketWeb(ctx *pulumi.Context, name string, args *BucketWebArgs, opts ...pulumi.ResourceOption) (*BucketWeb, error) {
	if args == nil {
		args = &BucketWebArgs{}
	}
	wired := *args
	wired.BucketWebSettings = wired.WithDefaults()
	if err := validateBlocks(wired.Validate(), wired.Namespace, wired.Blocks); err != nil {
		return nil, fmt.Errorf("validating %s: %w", name, err)
	}
	component := &BucketWeb{}
	if err := ctx.RegisterComponentResource(bucketWebToken, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering %s: %w", name, err)
	}
	parent := pulumi.Parent(component)
	w := newWorkload(workload.Deployment, BucketWebName, wired.flags(), wired.Resources)
	w.Namespace, w.PriorityClass, w.RoleARN = wired.Namespace, wired.PriorityClass, wired.RoleARN
	w.Images = wired.Images
	if err := withBlocks(ctx, name, w, wired.Blocks, parent); err != nil {
		return nil, err
	}
	if err := workload.New(ctx, name, w, parent); err != nil {
		return nil, err
	}
	component.URL = url(BucketWebName, wired.Namespace)
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{"url": component.URL})
}

// flags of valid settings.
func (s BucketWebSettings) flags() []string {
	return append([]string{
		"tools", "bucket", "web",
		blocksFlag(),
		"--refresh=" + goForm(s.Refresh),
		"--label=" + s.GroupLabel,
		"--disable-admin-operations",
		"--web.disable-cors",
	}, commonFlags()...)
}
