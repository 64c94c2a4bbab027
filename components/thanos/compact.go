package thanos

import (
	"fmt"
	"strconv"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/components/workload"
	"github.com/kansoku/kansoku/internal/check"
)

const compactToken = "kansoku:thanos:Compact"

const (
	day  = 24 * time.Hour
	year = 365 * day

	// Only a block of two days is downsampled to 5m, and only one of two weeks to 1h. Thanos itself accepts 40h and 10d, the least
	// lengths of such a block; but the first pieces of it would then be gone before the last are there, and missing from then on.
	minRetentionRaw = 2 * day
	minRetention5m  = 15 * day
)

// CompactSettings are what a stack may say about compact. There is always one replica: nothing keeps two from the same blocks.
type CompactSettings struct {
	// RetentionRaw is how long samples are kept as they were scraped, as a Prometheus duration; "0" for ever. At least 2d, to be
	// downsampled. Default: 90d, some 80 GB at 200,000 series every 30s and one replica, and as much for every other (estimates).
	RetentionRaw string `pulumi:"retentionRaw,optional"`
	// Retention5m is how long five aggregates of every 5 minutes are kept; "0" for ever. At least 15d, to be downsampled further, and
	// RetentionRaw. Default: 1y, or RetentionRaw if that is longer.
	Retention5m string `pulumi:"retention5m,optional"`
	// Retention1h is how long five aggregates of every hour are kept; "0" for ever. At least Retention5m. Default: 2y, or Retention5m if
	// that is longer. Thanos' rule of thumb is the same retention for all three: whoever wants to look closely at an old day needs its
	// raw samples.
	Retention1h string `pulumi:"retention1h,optional"`
	// DisableDownsampling keeps raw samples only, which makes queries over months slow. Both other retentions are then RetentionRaw by
	// default, for what was downsampled before. Default: false.
	DisableDownsampling bool `pulumi:"disableDownsampling,optional"`
	// DeleteDelay is how long a block stays in the bucket after it was marked for deletion; at least 1m. Default: 48h (Thanos).
	DeleteDelay string `pulumi:"deleteDelay,optional"`
	// ConsistencyDelay is the least age of a block that is worked on, so that its upload is complete. Default: 30m (Thanos).
	ConsistencyDelay string `pulumi:"consistencyDelay,optional"`
	// Interval is how often it looks for work, and removes what is marked; at least 10s. Default: 5m (Thanos).
	Interval string `pulumi:"interval,optional"`
	// Concurrency of compactions and of downsamplings, each of which takes a CPU, memory and space on the volume. 1 to 16. Default: 1.
	Concurrency int `pulumi:"concurrency,optional"`
	// VerticalDeduplication joins the blocks of all Prometheus replicas, which about halves the bucket. It cannot be undone: samples
	// that it takes for duplicates are gone. Thanos calls its algorithm (penalty) experimental, and knows of wrong rates after it. Copy
	// the bucket before. Default: false; query de-duplicates in any case.
	VerticalDeduplication bool `pulumi:"verticalDeduplication,optional"`
	// VolumeSize as a Kubernetes quantity of at least 1Gi: twice the two weeks of blocks of the largest replica, times Concurrency. The
	// existing volume does not grow. Default: 50Gi (an estimate, enough for 200,000 series every 30s).
	VolumeSize string `pulumi:"volumeSize,optional"`
	// StorageClass of the volume. Default: gp3.
	StorageClass string `pulumi:"storageClass,optional"`
	// Resources. Default: 250m CPU, 512Mi memory, limit 2Gi (an estimate, not measured).
	Resources kube.Resources `pulumi:"resources,optional"`
}

// WithDefaults fills what is not set.
func (s CompactSettings) WithDefaults() CompactSettings {
	fill(&s.RetentionRaw, "90d")
	if s.DisableDownsampling {
		fill(&s.Retention5m, s.RetentionRaw)
		fill(&s.Retention1h, s.Retention5m)
	}
	fill(&s.Retention5m, longer("1y", s.RetentionRaw))
	fill(&s.Retention1h, longer("2y", s.Retention5m))
	fill(&s.DeleteDelay, "48h")
	fill(&s.ConsistencyDelay, "30m")
	fill(&s.Interval, "5m")
	if s.Concurrency == 0 {
		s.Concurrency = 1
	}
	fill(&s.VolumeSize, "50Gi")
	fill(&s.StorageClass, "gp3")
	s.Resources = s.Resources.Or(kube.Resources{CPU: "250m", Memory: "512Mi", MemoryLimit: "2Gi"})
	return s
}

// longer is the longer of two retentions; one that is none is reported elsewhere.
func longer(one, other string) string {
	a, errA := check.ParseDuration(one)
	b, errB := check.ParseDuration(other)
	if errA == nil && errB == nil && shorter(a, b) {
		return other
	}
	return one
}

// shorter compares retentions, of which 0 is for ever.
func shorter(a, b time.Duration) bool { return a != 0 && (b == 0 || a < b) }

// Validate checks the settings, defaults filled in.
func (s CompactSettings) Validate() error {
	var errs check.Errors
	s.validateRetention(&errs)
	requireDuration(&errs, "deleteDelay", s.DeleteDelay, time.Minute, 0)
	requireDuration(&errs, "consistencyDelay", s.ConsistencyDelay, 0, 0)
	requireDuration(&errs, "interval", s.Interval, 10*time.Second, 0)
	errs.Require(s.Concurrency >= 1 && s.Concurrency <= 16, "concurrency", s.Concurrency, "must be between 1 and 16")
	requireQuantity(&errs, "volumeSize", s.VolumeSize, "1Gi")
	requireStorageClass(&errs, s.StorageClass)
	errs.Under("resources", s.Resources.Validate())
	return errs.Err()
}

func (s CompactSettings) validateRetention(errs *check.Errors) {
	raw, rawOK := requireDuration(errs, "retentionRaw", s.RetentionRaw, 0, 0)
	fine, fineOK := requireDuration(errs, "retention5m", s.Retention5m, 0, 0)
	coarse, coarseOK := requireDuration(errs, "retention1h", s.Retention1h, 0, 0)
	if s.DisableDownsampling {
		return
	}
	if rawOK {
		errs.Require(!shorter(raw, minRetentionRaw), "retentionRaw", s.RetentionRaw,
			`must be "0", for ever, or at least 2d: nothing younger is downsampled to 5m`)
	}
	if fineOK {
		errs.Require(!shorter(fine, minRetention5m), "retention5m", s.Retention5m,
			`must be "0", for ever, or at least 15d: nothing younger than two weeks is downsampled to 1h`)
	}
	if rawOK && fineOK {
		errs.Require(!shorter(fine, raw), "retention5m", s.Retention5m, "must not be shorter than retentionRaw (%s)", s.RetentionRaw)
	}
	if fineOK && coarseOK {
		errs.Require(!shorter(coarse, fine), "retention1h", s.Retention1h, "must not be shorter than retention5m (%s)", s.Retention5m)
	}
}

// Longest is the longest of the retentions, false if something is kept for ever or a retention is none. Blocks stay DeleteDelay
// longer. A bucket that expires objects before that breaks blocks.
func (s CompactSettings) Longest() (time.Duration, bool) {
	s = s.WithDefaults()
	var longest time.Duration
	for _, retention := range []string{s.RetentionRaw, s.Retention5m, s.Retention1h} {
		d, err := check.ParseDuration(retention)
		if err != nil || d == 0 {
			return 0, false
		}
		longest = max(longest, d)
	}
	return longest, true
}

// CompactArgs are the settings, and what compact is wired to.
type CompactArgs struct {
	CompactSettings
	// Namespace of everything. Required; it must exist.
	Namespace pulumi.StringInput `pulumi:"namespace"`
	// PriorityClass of the pod. Default: none.
	PriorityClass string `pulumi:"priorityClass,optional"`
	// Images says where the image is pulled from. Default: upstream's registry.
	Images versions.Images `pulumi:"images,optional"`
	// Blocks is the bucket; no other compact may work on it. Required.
	Blocks objectstore.Location `pulumi:"blocks"`
	// RoleARN is the IAM role that the pod takes, for all of reading, writing and deleting in Blocks. Default: none.
	RoleARN pulumi.StringInput `pulumi:"roleArn,optional"`
}

// Compact joins small blocks, downsamples and enforces the retention.
type Compact struct {
	pulumi.ResourceState
}

// NewCompact deploys compact. The Prometheus Operator's definitions must exist before: pass pulumi.DependsOn.
func NewCompact(ctx *pulumi.Context, name string, args *CompactArgs, opts ...pulumi.ResourceOption) (*Compact, error) {
	if args == nil {
		args = &CompactArgs{}
	}
	wired := *args
	wired.CompactSettings = wired.WithDefaults()
	if err := validateBlocks(wired.Validate(), wired.Namespace, wired.Blocks); err != nil {
		return nil, fmt.Errorf("validating %s: %w", name, err)
	}
	component := &Compact{}
	if err := ctx.RegisterComponentResource(compactToken, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering %s: %w", name, err)
	}
	parent := pulumi.Parent(component)
	// A StatefulSet never runs two pods of one ordinal, not even during an update.
	w := newWorkload(workload.StatefulSet, CompactName, wired.flags(), wired.Resources)
	w.Namespace, w.PriorityClass, w.RoleARN, w.Headless = wired.Namespace, wired.PriorityClass, wired.RoleARN, true
	w.Images = wired.Images
	if err := withBlocks(ctx, name, w, wired.Blocks, parent); err != nil {
		return nil, err
	}
	mount(w, dataVolume, dataDir, false)
	w.Claim = &workload.Claim{Name: dataVolume, Size: wired.VolumeSize, StorageClass: wired.StorageClass}
	if err := workload.New(ctx, name, w, parent); err != nil {
		return nil, err
	}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{})
}

// flags of valid settings.
func (s CompactSettings) flags() []string {
	concurrency := strconv.Itoa(s.Concurrency)
	flags := []string{
		"compact",
		"--wait",
		"--wait-interval=" + goForm(s.Interval),
		"--data-dir=" + dataDir,
		blocksFlag(),
		"--retention.resolution-raw=" + s.RetentionRaw,
		"--retention.resolution-5m=" + s.Retention5m,
		"--retention.resolution-1h=" + s.Retention1h,
		"--delete-delay=" + s.DeleteDelay,
		"--consistency-delay=" + goForm(s.ConsistencyDelay),
		"--compact.cleanup-interval=" + goForm(s.Interval),
		"--compact.concurrency=" + concurrency,
		"--downsample.concurrency=" + concurrency,
		// Its web interface can mark blocks for deletion, and its role can delete them. Bucket web is the one viewer.
		"--web.disable",
	}
	if s.DisableDownsampling {
		flags = append(flags, "--downsampling.disable")
	}
	if s.VerticalDeduplication {
		// The default function is for exact copies: it would keep the samples of both replicas.
		flags = append(flags, "--deduplication.replica-label="+ReplicaLabel, "--deduplication.func=penalty")
	}
	return append(flags, commonFlags()...)
}
