package thanos

import (
	"fmt"
	"time"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/components/workload"
	"github.com/kansoku/kansoku/internal/check"
)

const storeToken = "kansoku:thanos:Store"

// StoreSettings are what a stack may say about the store.
type StoreSettings struct {
	// Replicas, each of which serves the whole bucket. 1 to 10. Default: 1; without it, what the sidecars have no more is missing.
	Replicas int `pulumi:"replicas,optional"`
	// CacheSize of each replica's copy of the blocks' index headers, as a Kubernetes quantity of at least 100Mi. Existing volumes do not
	// grow. Default: 10Gi (kube-thanos).
	CacheSize string `pulumi:"cacheSize,optional"`
	// EphemeralCache keeps the copy on the node's disk instead of a volume: the pod may start in any zone, and fetches what queries need
	// once more. Beyond CacheSize it is evicted and starts anew. To change it replaces the StatefulSet. Default: false.
	EphemeralCache bool `pulumi:"ephemeralCache,optional"`
	// StorageClass of the volumes. Default: gp3.
	StorageClass string `pulumi:"storageClass,optional"`
	// IndexCacheSize in memory, as a Kubernetes quantity. Default: a quarter of the memory limit.
	IndexCacheSize string `pulumi:"indexCacheSize,optional"`
	// BucketCacheSize in memory, for chunks and the list of blocks. Default: an eighth of the memory limit.
	BucketCacheSize string `pulumi:"bucketCacheSize,optional"`
	// ChunkPoolSize is what all queries together may hold in chunks; beyond it they fail. Default: a quarter of the memory limit.
	ChunkPoolSize string `pulumi:"chunkPoolSize,optional"`
	// SyncInterval is how often it looks for new and removed blocks; at least 10s. Default: 15m (Thanos).
	SyncInterval string `pulumi:"syncInterval,optional"`
	// IgnoreDeletionMarksDelay is how long a block that is marked for deletion is served on, until what replaces it is loaded. Half of
	// compact's DeleteDelay, and at least twice SyncInterval. Default: 24h; half of that delay where both are deployed together.
	IgnoreDeletionMarksDelay string `pulumi:"ignoreDeletionMarksDelay,optional"`
	// Resources of each replica. Default: 100m CPU, 512Mi memory, limit 1Gi (an estimate, not measured).
	Resources kube.Resources `pulumi:"resources,optional"`
	// RequireZones keeps a replica Pending rather than having two more in one zone than in another. Default: spread as far as it goes.
	RequireZones bool `pulumi:"requireZones,optional"`
}

// WithDefaults fills what is not set.
func (s StoreSettings) WithDefaults() StoreSettings {
	if s.Replicas == 0 {
		s.Replicas = 1
	}
	s.Resources = s.Resources.Or(kube.Resources{CPU: "100m", Memory: "512Mi", MemoryLimit: "1Gi"})
	fill(&s.CacheSize, "10Gi")
	fill(&s.StorageClass, "gp3")
	fill(&s.IndexCacheSize, share(s.Resources.MemoryLimit, 4))
	fill(&s.BucketCacheSize, share(s.Resources.MemoryLimit, 8))
	fill(&s.ChunkPoolSize, share(s.Resources.MemoryLimit, 4))
	fill(&s.SyncInterval, "15m")
	fill(&s.IgnoreDeletionMarksDelay, "24h")
	return s
}

// Validate checks the settings, defaults filled in.
func (s StoreSettings) Validate() error {
	var errs check.Errors
	requireReplicas(&errs, s.Replicas, s.RequireZones)
	requireQuantity(&errs, "cacheSize", s.CacheSize, "100Mi")
	requireStorageClass(&errs, s.StorageClass)
	requireMemory(&errs, s.Resources.MemoryLimit, reserve{"indexCacheSize", s.IndexCacheSize},
		reserve{"bucketCacheSize", s.BucketCacheSize}, reserve{"chunkPoolSize", s.ChunkPoolSize})
	sync, syncOK := requireDuration(&errs, "syncInterval", s.SyncInterval, 10*time.Second, 0)
	delay, delayOK := requireDuration(&errs, "ignoreDeletionMarksDelay", s.IgnoreDeletionMarksDelay, 0, 0)
	if syncOK && delayOK {
		errs.Require(delay >= 2*sync, "ignoreDeletionMarksDelay", s.IgnoreDeletionMarksDelay,
			"must be at least twice syncInterval (%s), so that what replaces a block is loaded before", s.SyncInterval)
	}
	errs.Under("resources", s.Resources.Validate())
	return errs.Err()
}

// StoreArgs are the settings, and what the store is wired to.
type StoreArgs struct {
	StoreSettings
	// Namespace of everything. Required; it must exist.
	Namespace pulumi.StringInput `pulumi:"namespace"`
	// PriorityClass of the pods. Default: none.
	PriorityClass string `pulumi:"priorityClass,optional"`
	// Images says where the image is pulled from. Default: upstream's registry.
	Images versions.Images `pulumi:"images,optional"`
	// Blocks is the bucket. Required.
	Blocks objectstore.Location `pulumi:"blocks"`
	// RoleARN is the IAM role that the pods take, for reading Blocks. Default: none.
	RoleARN pulumi.StringInput `pulumi:"roleArn,optional"`
}

// Store answers queries from the bucket.
type Store struct {
	pulumi.ResourceState

	// Endpoint finds all replicas by DNS, as query takes it.
	Endpoint pulumi.StringOutput `pulumi:"endpoint"`
}

// NewStore deploys the store. The Prometheus Operator's definitions must exist before: pass pulumi.DependsOn.
func NewStore(ctx *pulumi.Context, name string, args *StoreArgs, opts ...pulumi.ResourceOption) (*Store, error) {
	if args == nil {
		args = &StoreArgs{}
	}
	wired := *args
	wired.StoreSettings = wired.WithDefaults()
	if err := validateBlocks(wired.Validate(), wired.Namespace, wired.Blocks); err != nil {
		return nil, fmt.Errorf("validating %s: %w", name, err)
	}
	component := &Store{}
	if err := ctx.RegisterComponentResource(storeToken, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering %s: %w", name, err)
	}
	parent := pulumi.Parent(component)
	w := newWorkload(workload.StatefulSet, StoreName, wired.flags(), wired.Resources)
	w.Namespace, w.PriorityClass, w.RoleARN = wired.Namespace, wired.PriorityClass, wired.RoleARN
	w.Images = wired.Images
	// The replicas do not know each other; query finds each by name.
	w.Replicas, w.RequireZones, w.Headless, w.Parallel = wired.Replicas, wired.RequireZones, true, true
	if err := withBlocks(ctx, name, w, wired.Blocks, parent); err != nil {
		return nil, err
	}
	mount(w, dataVolume, dataDir, false)
	if wired.EphemeralCache {
		w.Volumes = append(w.Volumes, &corev1.VolumeArgs{
			Name: pulumi.String(dataVolume), EmptyDir: &corev1.EmptyDirVolumeSourceArgs{SizeLimit: pulumi.String(wired.CacheSize)},
		})
	} else {
		w.Claim = &workload.Claim{Name: dataVolume, Size: wired.CacheSize, StorageClass: wired.StorageClass}
	}
	if err := workload.New(ctx, name, w, parent); err != nil {
		return nil, err
	}
	component.Endpoint = pulumi.Sprintf("dnssrv+_%s._tcp.%s.%s.svc", grpcPort, StoreName, wired.Namespace)
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{"endpoint": component.Endpoint})
}

// flags of valid settings.
func (s StoreSettings) flags() []string {
	sync, _ := check.ParseDuration(s.SyncInterval)
	flags := []string{
		"store",
		"--data-dir=" + dataDir,
		blocksFlag(),
		"--index-cache.config=" + inline(cache{
			Type: "IN-MEMORY", Config: inMemory{MaxSize: size(s.IndexCacheSize), MaxItemSize: half(s.IndexCacheSize)},
		}),
		// In Thanos' proportion to the interval (5m, 15m, 15m): a shorter interval sees new blocks and deletion marks as much sooner.
		"--store.caching-bucket.config=" + inline(cache{
			Type: "IN-MEMORY", Config: inMemory{MaxSize: size(s.BucketCacheSize), MaxItemSize: half(s.BucketCacheSize)},
			BlocksIterTTL: text((sync / 3).Truncate(time.Second)), MetafileDoesntExistTTL: text(sync),
		}),
		"--chunk-pool-size=" + size(s.ChunkPoolSize),
		"--sync-block-duration=" + text(sync),
		"--ignore-deletion-marks-delay=" + s.IgnoreDeletionMarksDelay,
		// Headers of blocks that nobody asks for stay out of memory.
		"--store.enable-index-header-lazy-reader",
		// Bucket web is the one viewer.
		"--web.disable",
	}
	if s.EphemeralCache {
		flags = append(flags, "--store.index-header-lazy-download-strategy=lazy")
	}
	return append(append(flags, commonFlags()...), grpcFlags()...)
}
