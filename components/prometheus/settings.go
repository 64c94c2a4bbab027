// Package prometheus deploys replicated Prometheus servers through the Prometheus Operator, each with a Thanos sidecar that uploads
// its blocks, and the monitors of what a cluster has by itself: kubelets, API server, CoreDNS. It owns no operator, bucket or role.
package prometheus

import (
	"fmt"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/internal/check"
)

const (
	// DefaultName is the name of a Prometheus without one.
	DefaultName = "k8s"

	maxBlock = 2 * time.Hour
	minBlock = time.Minute
	// maxName leaves room in the longest name made of it, prometheus-NAME-thanos-sidecar: 63 characters for a Service.
	maxName = 37
	// maxReplicas is far above what serves: each replica scrapes everything.
	maxReplicas = 10
)

// Settings are what a stack may say about a Prometheus.
type Settings struct {
	// Replicas that scrape the same targets; Thanos de-duplicates them. 1 to 10. Default: 2.
	Replicas int `pulumi:"replicas,optional"`
	// Retention on the volume, as a Prometheus duration. At least three times BlockDuration (Thanos' advice for uploading sidecars);
	// what it has beyond that is how long the bucket may be out of reach without loss. Default: 24h (the operator's default).
	Retention string `pulumi:"retention,optional"`
	// StorageSize of each replica's volume, as a Kubernetes quantity of at least 1Gi. Blocks beyond 80 % of it are removed early, the
	// oldest first, so that the disk never fills. The operator does not grow existing volumes. Default: 20Gi.
	StorageSize string `pulumi:"storageSize,optional"`
	// StorageClass of the volumes. Default: gp3.
	StorageClass string `pulumi:"storageClass,optional"`
	// ScrapeInterval of every monitor that has none of its own, and of rules; 1s to 2m, because a series is stale 5m after its last
	// sample. Default: 30s (as kube-prometheus).
	ScrapeInterval string `pulumi:"scrapeInterval,optional"`
	// BlockDuration is what one uploaded block holds, and what is lost with a volume; 1m to 2h, and 2h must be a multiple of it, because
	// Thanos' compactor joins blocks within windows of 2h. Anything below 2h is for tests. Default: 2h.
	BlockDuration string `pulumi:"blockDuration,optional"`
	// Resources of Prometheus. Default: 250m CPU, 1Gi memory, limit 2Gi (for some 200,000 series: 56,000
	// took 314Mi and 0.09 cores in the lab, at 15s).
	Resources kube.Resources `pulumi:"resources,optional"`
	// SidecarResources of the Thanos sidecar. Default: 20m CPU, 128Mi memory, limit 512Mi (an estimate; a long query goes through it).
	SidecarResources kube.Resources `pulumi:"sidecarResources,optional"`
	// RequireZones keeps a replica Pending rather than having two more in one zone than in another. Default: spread as far as it goes.
	RequireZones bool `pulumi:"requireZones,optional"`
	// IgnoreNamespaces are those whose monitors, probes, scrape configurations and rules are not for this Prometheus: that of another
	// monitoring stack, whose alerts would else be sent twice. Default: none; those of every namespace are taken.
	IgnoreNamespaces []string `pulumi:"ignoreNamespaces,optional"`
}

// WithDefaults fills what is not set.
func (s Settings) WithDefaults() Settings {
	if s.Replicas == 0 {
		s.Replicas = 2
	}
	for _, text := range []struct {
		field    *string
		fallback string
	}{
		{&s.Retention, "24h"},
		{&s.StorageSize, "20Gi"},
		{&s.StorageClass, "gp3"},
		{&s.ScrapeInterval, "30s"},
		{&s.BlockDuration, "2h"},
	} {
		if *text.field == "" {
			*text.field = text.fallback
		}
	}
	s.Resources = s.Resources.Or(kube.Resources{CPU: "250m", Memory: "1Gi", MemoryLimit: "2Gi"})
	s.SidecarResources = s.SidecarResources.Or(kube.Resources{CPU: "20m", Memory: "128Mi", MemoryLimit: "512Mi"})
	return s
}

// Validate checks the settings, defaults filled in.
func (s Settings) Validate() error {
	var errs check.Errors
	errs.Require(s.Replicas >= 1 && s.Replicas <= maxReplicas, "replicas", s.Replicas, "must be between 1 and %d", maxReplicas)
	size, err := resource.ParseQuantity(s.StorageSize)
	errs.Require(err == nil && size.Cmp(resource.MustParse("1Gi")) >= 0, "storageSize", s.StorageSize,
		`must be a Kubernetes quantity of at least 1Gi, such as "20Gi"`)
	errs.Require(len(validation.IsDNS1123Subdomain(s.StorageClass)) == 0, "storageClass", s.StorageClass,
		"must name a storage class: lower-case letters, digits, dashes and dots")
	s.validateTimes(&errs)
	for i, namespace := range s.IgnoreNamespaces {
		errs.Require(kube.IsDNSLabel(namespace), fmt.Sprintf("ignoreNamespaces[%d]", i), namespace, "must be the name of a namespace")
	}
	errs.Under("resources", s.Resources.Validate())
	errs.Under("sidecarResources", s.SidecarResources.Validate())
	return errs.Err()
}

func (s Settings) validateTimes(errs *check.Errors) {
	duration := func(key, text string) (time.Duration, bool) {
		d, err := check.ParseDuration(text)
		errs.Require(err == nil, key, text, `must be a Prometheus duration such as "30s", "2h" or "15d"`)
		return d, err == nil
	}
	if interval, ok := duration("scrapeInterval", s.ScrapeInterval); ok {
		errs.Require(interval >= time.Second && interval <= 2*time.Minute, "scrapeInterval", s.ScrapeInterval, "must be between 1s and 2m")
	}
	retention, retentionOK := duration("retention", s.Retention)
	block, blockOK := duration("blockDuration", s.BlockDuration)
	if !blockOK {
		return
	}
	fits := block >= minBlock && block <= maxBlock && maxBlock%block == 0
	errs.Require(fits, "blockDuration", s.BlockDuration, "must be between 1m and 2h, and 2h must be a multiple of it")
	if fits && retentionOK {
		errs.Require(retention >= 3*block, "retention", s.Retention,
			"must be at least three times blockDuration (%s), so that the sidecar has time to upload", s.BlockDuration)
	}
}

// Args are the settings, and what a Prometheus is wired to.
type Args struct {
	Settings
	// Name of the Prometheus object; everything that belongs to it is called prometheus-NAME. At most 37 characters. Default: k8s.
	Name string `pulumi:"name,optional"`
	// Namespace of everything. Required; it must exist.
	Namespace pulumi.StringInput `pulumi:"namespace"`
	// Cluster is the external label "cluster" on every series. Required: Thanos tells the blocks of one bucket apart by it, so it must
	// be unique there and never change.
	Cluster string `pulumi:"cluster"`
	// Blocks is where the sidecar uploads to. Required.
	Blocks objectstore.Location `pulumi:"blocks"`
	// RoleARN is the IAM role that the pods take, for writing to Blocks. Default: none.
	RoleARN pulumi.StringInput `pulumi:"roleArn,optional"`
	// Alertmanager that alerts go to. Default: none; rules are evaluated, and nobody is told.
	Alertmanager *AlertmanagerEndpoint `pulumi:"alertmanager,optional"`
	// PriorityClass of the pods. Default: none.
	PriorityClass string `pulumi:"priorityClass,optional"`
	// Images says where the image is pulled from. Default: upstream's registry.
	Images versions.Images `pulumi:"images,optional"`
}

// AlertmanagerEndpoint is a Service in front of Alertmanagers; every pod behind it gets every alert.
type AlertmanagerEndpoint struct {
	// Name of the Service. Required.
	Name string `pulumi:"name"`
	// Port of the Service, by name. Required.
	Port string `pulumi:"port"`
	// Namespace of the Service. Required.
	Namespace pulumi.StringInput `pulumi:"namespace"`
}

// validate checks what is wired; the settings check themselves.
func (a Args) validate() error {
	var errs check.Errors
	errs.Require(kube.IsDNSLabel(a.Name) && len(a.Name) <= maxName, "name", a.Name,
		"must be at most %d lower-case letters, digits and dashes", maxName)
	errs.Require(a.Namespace != nil, "namespace", nil, "is required")
	errs.Under("images", a.Images.Validate())
	errs.Require(a.Cluster != "", "cluster", a.Cluster, "must not be empty")
	errs.Require(a.Blocks.Bucket != nil, "blocks.bucket", nil, "is required")
	errs.Require(a.Blocks.Region != nil, "blocks.region", nil, "is required")
	if to := a.Alertmanager; to != nil {
		errs.Require(to.Name != "", "alertmanager.name", to.Name, "must not be empty")
		errs.Require(to.Port != "", "alertmanager.port", to.Port, "must not be empty")
		errs.Require(to.Namespace != nil, "alertmanager.namespace", nil, "is required")
	}
	return errs.Err()
}

// ServiceAccountName is the account that the pods of the Prometheus called name run as: what its IAM role trusts.
func ServiceAccountName(name string) string { return "prometheus-" + name }
