// Package autoscaler deploys cluster-autoscaler for a cluster with one spot node group per zone and an on-demand group, which it runs
// on. It owns no node group and no role.
package autoscaler

import (
	"regexp"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/internal/check"
)

// Priority is the expander that takes spot groups first, and others only when no spot group can grow.
const Priority = "priority"

// Settings are what a stack may say about the autoscaler.
type Settings struct {
	// Expander chooses among groups that could all take a pod: priority (spot first, then as least-waste), least-waste, most-pods,
	// least-nodes or random. Only priority tells spot from on-demand: what pods prefer, the autoscaler does not ask. Default: priority.
	Expander string `pulumi:"expander,optional"`
	// SpotGroups is a regular expression that the names of the spot nodes' auto scaling groups match, and no other; for priority. EKS
	// names them eks-NODEGROUP-ID. Default: -spot-.
	SpotGroups string `pulumi:"spotGroups,optional"`
	// ScaleDownUtilizationThreshold is the share of a node's CPU and memory that pods request, DaemonSets aside, below which the node may
	// go; between 0 and 1. Default: 0.5 (upstream's).
	ScaleDownUtilizationThreshold float64 `pulumi:"scaleDownUtilizationThreshold,optional"`
	// ScaleDownUnneededTime is how long a node must not be needed before it goes, as a Go duration of 1m to 24h. Default: 10m
	// (upstream's).
	ScaleDownUnneededTime string `pulumi:"scaleDownUnneededTime,optional"`
	// MaxNodeProvisionTime is how long a group may take for a new node before the others are tried, as a Go duration of 2m to 1h. A
	// managed node is ready within two or three minutes, and a pool without spot instances does not get better by waiting. Default: 5m
	// (upstream's is 15m).
	MaxNodeProvisionTime string `pulumi:"maxNodeProvisionTime,optional"`
	// Resources of the autoscaler. Default: 100m CPU, 256Mi memory, limit 600Mi (upstream's example, with a smaller request: an
	// estimate for tens of nodes).
	Resources kube.Resources `pulumi:"resources,optional"`
}

// WithDefaults fills what is not set.
func (s Settings) WithDefaults() Settings {
	for _, text := range []struct {
		field    *string
		fallback string
	}{
		{&s.Expander, Priority},
		{&s.SpotGroups, "-spot-"},
		{&s.ScaleDownUnneededTime, "10m"},
		{&s.MaxNodeProvisionTime, "5m"},
	} {
		if *text.field == "" {
			*text.field = text.fallback
		}
	}
	if s.ScaleDownUtilizationThreshold == 0 {
		s.ScaleDownUtilizationThreshold = 0.5
	}
	s.Resources = s.Resources.Or(kube.Resources{CPU: "100m", Memory: "256Mi", MemoryLimit: "600Mi"})
	return s
}

// Validate checks the settings, defaults filled in.
func (s Settings) Validate() error {
	var errs check.Errors
	check.OneOf(&errs, "expander", s.Expander, Priority, "least-waste", "most-pods", "least-nodes", "random")
	_, err := regexp.Compile(s.SpotGroups)
	errs.Require(err == nil && s.SpotGroups != "", "spotGroups", s.SpotGroups, "must be a regular expression")
	errs.Require(s.ScaleDownUtilizationThreshold > 0 && s.ScaleDownUtilizationThreshold < 1, "scaleDownUtilizationThreshold",
		s.ScaleDownUtilizationThreshold, "must be above 0 and below 1")
	for _, d := range []struct {
		key, value string
		least      time.Duration
		most       time.Duration
	}{
		{"scaleDownUnneededTime", s.ScaleDownUnneededTime, time.Minute, 24 * time.Hour},
		{"maxNodeProvisionTime", s.MaxNodeProvisionTime, 2 * time.Minute, time.Hour},
	} {
		parsed, err := time.ParseDuration(d.value)
		errs.Require(err == nil && parsed >= d.least && parsed <= d.most, d.key, d.value,
			`must be a duration between %s and %s, such as "10m"`, d.least, d.most)
	}
	errs.Under("resources", s.Resources.Validate())
	return errs.Err()
}

// Args are the settings, and what the autoscaler is wired to.
type Args struct {
	Settings
	// Namespace of everything. Required; it must exist.
	Namespace pulumi.StringInput `pulumi:"namespace"`
	// ClusterName in AWS: the auto scaling groups tagged with it are the ones to scale. Required.
	ClusterName pulumi.StringInput `pulumi:"clusterName"`
	// Region of the cluster. Required.
	Region pulumi.StringInput `pulumi:"region"`
	// RoleARN is the IAM role that the pod takes. Required: the node's own is out of a pod's reach.
	RoleARN pulumi.StringInput `pulumi:"roleArn"`
	// PriorityClass of the pod. Default: system-cluster-critical, as upstream, which any namespace may use: without the autoscaler
	// nothing makes room.
	PriorityClass string `pulumi:"priorityClass,optional"`
	// Images says where the image is pulled from. Default: upstream's registry.
	Images versions.Images `pulumi:"images,optional"`
}

// validate checks what is wired; the settings check themselves.
func (a Args) validate() error {
	var errs check.Errors
	for _, required := range []struct {
		key   string
		value pulumi.StringInput
	}{
		{"namespace", a.Namespace},
		{"clusterName", a.ClusterName},
		{"region", a.Region},
		{"roleArn", a.RoleARN},
	} {
		errs.Require(required.value != nil, required.key, nil, "is required")
	}
	return errs.Err()
}
