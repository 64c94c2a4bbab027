package monitoring

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kansoku/kansoku/components/alertmanager"
	"github.com/kansoku/kansoku/components/autoscaler"
	"github.com/kansoku/kansoku/components/collector"
	"github.com/kansoku/kansoku/components/events"
	"github.com/kansoku/kansoku/components/exporters/adapter"
	"github.com/kansoku/kansoku/components/exporters/kubestatemetrics"
	"github.com/kansoku/kansoku/components/exporters/nodeexporter"
	"github.com/kansoku/kansoku/components/grafana"
	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/loki"
	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/components/operator"
	"github.com/kansoku/kansoku/components/prometheus"
	"github.com/kansoku/kansoku/components/rules"
	"github.com/kansoku/kansoku/components/thanos"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/internal/check"
)

// Settings are what a stack may say about its monitoring.
type Settings struct {
	// Size is small, medium or large: replicas, resources and volumes of every component where its own settings do not say otherwise.
	// Default: small.
	Size string `pulumi:"size,optional"`
	// Namespace of everything that needs nothing of its host; it is created, and enforces Pod Security "restricted". What reads its host
	// lives in another, called the same with "-host". Default: monitoring.
	Namespace string `pulumi:"namespace,optional"`
	// StorageClass of every volume that does not name one. Default: gp3.
	StorageClass string `pulumi:"storageClass,optional"`
	// Images says where all images are pulled from, those of what the operator starts too.
	Images versions.Images `pulumi:"images,optional"`
	// Existing is what the cluster has already: docs/adoption.md.
	Existing Existing `pulumi:"existing,optional"`
	// CredentialsSecrets are the Secrets, in Namespace, with what each workload logs in with at an S3-compatible store, by workload
	// (prometheus, thanos-store, thanos-compact, thanos-bucket-web, loki); their keys: see objectstore.Location. Default: that of the bucket.
	CredentialsSecrets map[string]string `pulumi:"credentialsSecrets,optional"`
	// Operator is the Prometheus Operator.
	Operator operator.Settings `pulumi:"operator,optional"`
	// Prometheus scrapes, evaluates and uploads.
	Prometheus prometheus.Settings `pulumi:"prometheus,optional"`
	// Alertmanager tells people.
	Alertmanager alertmanager.Settings `pulumi:"alertmanager,optional"`
	// Rules are the alerts, on metrics and on logs.
	Rules rules.Settings `pulumi:"rules,optional"`
	// KubeStateMetrics has the state of Kubernetes objects.
	KubeStateMetrics kubestatemetrics.Settings `pulumi:"kubeStateMetrics,optional"`
	// NodeExporter has the state of nodes.
	NodeExporter nodeexporter.Settings `pulumi:"nodeExporter,optional"`
	// Adapter serves metrics to autoscalers.
	Adapter adapter.Settings `pulumi:"adapter,optional"`
	// Thanos keeps metrics in the bucket and answers for all of them.
	Thanos thanos.Settings `pulumi:"thanos,optional"`
	// Grafana shows metrics and logs.
	Grafana grafana.Settings `pulumi:"grafana,optional"`
	// NoDashboards leaves out the dashboards of the stack and of the cluster (docs/dashboards). Default: false.
	NoDashboards bool `pulumi:"noDashboards,optional"`
	// Loki keeps logs. Default: there are no logs, and no collector.
	Loki *loki.Settings `pulumi:"loki,optional"`
	// Collector reads the logs of every node.
	Collector collector.Settings `pulumi:"collector,optional"`
	// Events turns the cluster's events into logs.
	Events events.Settings `pulumi:"events,optional"`
	// Autoscaler sizes the node groups.
	Autoscaler autoscaler.Settings `pulumi:"autoscaler,optional"`
	// NoAutoscaler leaves scaling to something that the cluster has already. Default: false.
	NoAutoscaler bool `pulumi:"noAutoscaler,optional"`
}

// WithDefaults fills what is not set, first from the size.
func (s Settings) WithDefaults() Settings {
	if s.Size == "" {
		s.Size = Small
	}
	s.Namespace = cmp.Or(s.Namespace, s.Existing.Namespace, "monitoring")
	s.StorageClass = cmp.Or(s.StorageClass, s.Existing.StorageClass)
	s.Existing = s.Existing.WithDefaults()
	s = sized(s)
	s.Prometheus, s.Alertmanager, s.Thanos = s.Prometheus.WithDefaults(), s.Alertmanager.WithDefaults(), s.Thanos.WithDefaults()
	s.KubeStateMetrics, s.NodeExporter, s.Adapter = s.KubeStateMetrics.WithDefaults(), s.NodeExporter.WithDefaults(), s.Adapter.WithDefaults()
	if !s.Existing.Operator {
		s.Operator = s.Operator.WithDefaults()
	}
	if s.Existing.Grafana == nil {
		s.Grafana = s.Grafana.WithDefaults()
	}
	if !s.NoDashboards {
		s.Rules.GrafanaURL = cmp.Or(s.Rules.GrafanaURL, s.Grafana.Server.RootURL)
	}
	s.Rules = s.Rules.WithDefaults()
	if s.Loki != nil {
		logs := s.Loki.WithDefaults()
		s.Loki = &logs
	}
	s.Collector, s.Events, s.Autoscaler = s.Collector.WithDefaults(), s.Events.WithDefaults(), s.Autoscaler.WithDefaults()
	return s
}

// Validate checks the settings, defaults filled in.
func (s Settings) Validate() error {
	var errs check.Errors
	check.OneOf(&errs, "size", s.Size, Small, Medium, Large)
	if s.Existing.Namespace == "" {
		// The host's namespace has five characters more.
		errs.Require(kube.IsDNSLabel(s.Namespace+"-host"), "namespace", s.Namespace, "must be at most 58 lower-case letters, digits and dashes")
		errs.Require(s.Namespace != "default" && !strings.HasPrefix(s.Namespace, "kube-"), "namespace", s.Namespace,
			"must not be one of Kubernetes' own")
	}
	errs.Under("images", s.Images.Validate())
	s.validateExisting(&errs)
	for _, part := range []struct {
		key string
		err error
	}{
		{"prometheus", s.Prometheus.Validate()},
		{"alertmanager", s.Alertmanager.Validate()},
		{"rules", s.Rules.Validate()},
		{"kubeStateMetrics", s.KubeStateMetrics.Validate()},
		{"nodeExporter", s.NodeExporter.Validate()},
		{"adapter", s.Adapter.Validate()},
		{"thanos", s.Thanos.Validate()},
		{"collector", s.Collector.Validate()},
		{"events", s.Events.Validate()},
		{"autoscaler", s.Autoscaler.Validate()},
	} {
		errs.Under(part.key, part.err)
	}
	if s.Loki != nil {
		errs.Under("loki", s.Loki.Validate())
	}
	s.validateCredentials(&errs)
	s.validateIntervals(&errs)
	errs.Require(s.Loki != nil || len(s.Rules.MustLog) == 0, "rules.mustLog", s.Rules.MustLog, "must not be set without loki: there are no logs")
	return errs.Err()
}

// validateIntervals refuses an interval of which what looks back over a range would miss too much.
func (s Settings) validateIntervals(errs *check.Errors) {
	interval, err := check.ParseDuration(s.Prometheus.ScrapeInterval)
	if err != nil {
		return // refused elsewhere
	}
	if window, err := check.ParseDuration(s.Adapter.Window); err == nil {
		errs.Require(window/4 >= interval, "adapter.window", s.Adapter.Window,
			"must be at least four times prometheus.scrapeInterval (%s), so that a missed scrape leaves a rate", s.Prometheus.ScrapeInterval)
	}
	errs.Require(rules.ShortestRange/4 >= interval, "prometheus.scrapeInterval", s.Prometheus.ScrapeInterval,
		"must be at most %s, a quarter of what alerts look back over, so that a missed scrape leaves a rate", rules.ShortestRange/4)
}

func (s Settings) validateCredentials(errs *check.Errors) {
	var keys []string
	for _, w := range s.Workloads() {
		if w.Blocks != "" || w.Chunks != "" {
			keys = append(keys, w.Key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.CredentialsSecrets)) {
		errs.Require(slices.Contains(keys, key), "credentialsSecrets", key, "must be keyed by workload (%s)", strings.Join(keys, ", "))
		secret := s.CredentialsSecrets[key]
		errs.Require(len(validation.IsDNS1123Subdomain(secret)) == 0, "credentialsSecrets."+key, secret, "must be the name of a Secret")
	}
}

// location is where a workload finds a bucket, with its own credentials if it has any.
func (s Settings) location(workload string, shared objectstore.Location) objectstore.Location {
	if own := s.CredentialsSecrets[workload]; own != "" {
		shared.CredentialsSecret = own
	}
	return shared
}

// HostNamespace is where the pods live that read their host.
func (s Settings) HostNamespace() string {
	return cmp.Or(s.Existing.HostNamespace, s.Namespace+"-host")
}

// Workload is a part of the stack that needs a role on AWS.
type Workload struct {
	// Key names it, in Args.RoleARNs among others.
	Key string
	// ServiceAccount is who its pods are.
	ServiceAccount kube.ServiceAccount
	// Blocks and Chunks are what it does to the buckets of metrics and logs; "" if nothing.
	Blocks, Chunks objectstore.Access
	// Index says that it reads and writes the index table.
	Index bool
	// OldIndexes are what the names of further tables begin with that it reads and writes: those of an old Loki.
	OldIndexes []string
	// Scales says that it sizes the cluster's node groups.
	Scales bool
}

// Keys of workloads that have none in their own package.
const (
	prometheusKey = "prometheus"
	lokiKey       = "loki"
)

// Workloads lists who needs a role.
func (s Settings) Workloads() []Workload {
	s = s.WithDefaults()
	account := func(name string) kube.ServiceAccount { return kube.ServiceAccount{Namespace: s.Namespace, Name: name} }
	all := []Workload{{
		Key: prometheusKey, ServiceAccount: account(prometheus.ServiceAccountName(prometheus.DefaultName)), Blocks: objectstore.Write,
	}}
	for _, a := range thanos.ServiceAccounts() {
		all = append(all, Workload{Key: a.Name, ServiceAccount: account(a.Name), Blocks: a.Blocks})
	}
	if s.Loki != nil {
		logs := Workload{Key: lokiKey, ServiceAccount: account(loki.ServiceAccountName), Chunks: objectstore.Write}
		for _, period := range s.Loki.Schema {
			if period.Index == loki.TSDB {
				logs.Chunks = objectstore.Manage // its compactor deletes what is past the retention
				continue
			}
			logs.Index = true
			if period.Tables != nil && !slices.Contains(logs.OldIndexes, period.Tables.Prefix) {
				logs.OldIndexes = append(logs.OldIndexes, period.Tables.Prefix)
			}
		}
		all = append(all, logs)
	}
	if !s.NoAutoscaler {
		all = append(all, Workload{Key: autoscaler.ServiceAccountName, ServiceAccount: account(autoscaler.ServiceAccountName), Scales: true})
	}
	return all
}

// ScaledCluster is the cluster that the autoscaler sizes.
type ScaledCluster struct {
	// Name of the cluster in AWS.
	Name pulumi.StringInput `pulumi:"name"`
	// Region of the cluster.
	Region pulumi.StringInput `pulumi:"region"`
}

// Args are the settings, and what the stack is wired to.
type Args struct {
	Settings
	// Cluster is the external label "cluster" on every series. Required; unique among the writers of Blocks, and never changed.
	Cluster string `pulumi:"cluster"`
	// Blocks is where the metrics' blocks are kept. Required.
	Blocks objectstore.Location `pulumi:"blocks"`
	// Chunks is where the logs' chunks are kept. Required with Loki.
	Chunks objectstore.Location `pulumi:"chunks,optional"`
	// Index is the table of the logs' index. Required with a dynamodb period of Loki's schema.
	Index loki.Index `pulumi:"index,optional"`
	// RoleARNs are the IAM roles by Workload.Key. Default: none, for a store that is not on AWS.
	RoleARNs map[string]pulumi.StringInput `pulumi:"roleArns,optional"`
	// Scaled is the cluster that the autoscaler sizes. Default: none, and no autoscaler.
	Scaled *ScaledCluster `pulumi:"scaled,optional"`
	// VPCCIDRs are the IPv4 networks of nodes, pods, Services and API server, for the network policies. Default: all private ones.
	VPCCIDRs []string `pulumi:"vpcCidrs,optional"`
	// AlertSecrets are what Alertmanager's receivers need, by name: see alertmanager.SlackURL and the others. Default: none.
	AlertSecrets map[string]pulumi.StringInput `pulumi:"alertSecrets,optional" provider:"secret"`
	// GrafanaOAuthSecret is the client secret of the login that Grafana's settings name (generic OAuth, GitHub or Google). Default: none.
	GrafanaOAuthSecret pulumi.StringInput `pulumi:"grafanaOAuthSecret,optional" provider:"secret"`
	// Dashboards of Grafana, beside the own ones and those of grafana.com. Default: none.
	Dashboards []grafana.Dashboard `pulumi:"dashboards,optional"`
	// RegistryCredentials are what Images.Registry asks for, as the JSON of a Docker configuration ({"auths": …}): a Secret is made of them
	// in both namespaces, in place of Images.PullSecret. Default: none.
	RegistryCredentials pulumi.StringInput `pulumi:"registryCredentials,optional"`
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
	errs.Require(a.RegistryCredentials == nil || a.Images.PullSecret == "", "images.pullSecret", a.Images.PullSecret,
		"must not be set beside registryCredentials")
	if a.Loki != nil {
		errs.Require(a.Chunks.Bucket != nil, "chunks.bucket", nil, "is required with loki")
		errs.Require(a.Chunks.Region != nil, "chunks.region", nil, "is required with loki")
	}
	errs.Under("alertmanager", a.Alertmanager.ValidateSecrets(slices.Sorted(maps.Keys(a.AlertSecrets))))
	for _, w := range a.Workloads() {
		at := a.Blocks
		if w.Chunks != "" {
			at = a.Chunks
		}
		secret := a.CredentialsSecrets[w.Key]
		errs.Require(secret == "" || at.Endpoint != "", "credentialsSecrets."+w.Key, secret, "must not be set for a bucket on AWS: roles are taken there")
	}
	if a.scales() {
		errs.Require(a.RoleARNs[autoscaler.ServiceAccountName] != nil, "roleArns", nil, "must have one for %s", autoscaler.ServiceAccountName)
	}
	var keys []string
	for _, w := range a.Workloads() {
		keys = append(keys, w.Key)
	}
	for _, key := range slices.Sorted(maps.Keys(a.RoleARNs)) {
		errs.Require(slices.Contains(keys, key), "roleArns", key, "must be keyed by workload (%s)", strings.Join(keys, ", "))
	}
	return errs.Err()
}

// Warnings are what whoever deploys this should know.
func (a Args) Warnings() []string {
	var all []string
	add := func(warning string) {
		if warning != "" {
			all = append(all, warning)
		}
	}
	if a.Loki != nil {
		add(a.Loki.Warning())
	}
	add(alertmanager.Args{Settings: a.Alertmanager, Secrets: a.AlertSecrets}.Warning())
	return all
}

// scales says whether the autoscaler runs.
func (a Args) scales() bool { return !a.NoAutoscaler && a.Scaled != nil }
