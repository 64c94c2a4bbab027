// Package alertmanager deploys an Alertmanager cluster through the Prometheus Operator, with its routing by severity, and takes in what
// teams route in their own namespaces (AlertmanagerConfig). It owns no operator and no alert.
package alertmanager

import (
	"net/url"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/internal/check"
)

// maxReplicas: the n-th replica waits n times 15s for the others before it notifies, so a minute if all others are down.
const maxReplicas = 5

// Settings are what a stack may say about Alertmanager.
type Settings struct {
	// Replicas that agree on who notifies. They need no majority, so two are a cluster too; one loses its silences when it moves, unless it
	// has a volume. 1 to 5. Default: 3 (kube-prometheus).
	Replicas int `pulumi:"replicas,optional"`
	// Slack notifies a channel of every alert that no other receiver takes; with Args.SlackURL.
	Slack SlackSettings `pulumi:"slack,optional"`
	// RepeatInterval is when a notification of an alert that still fires is sent again; at least 5m, the least time between two
	// notifications of a group. Default: 12h (kube-prometheus).
	RepeatInterval string `pulumi:"repeatInterval,optional"`
	// CriticalRepeatInterval is the same for alerts with severity "critical". Default: 4h (Alertmanager's own default).
	CriticalRepeatInterval string `pulumi:"criticalRepeatInterval,optional"`
	// ExternalURL that the links in notifications lead to ("https://alerts.example.org"). Default: an address inside the cluster.
	ExternalURL string `pulumi:"externalUrl,optional"`
	// StorageSize of each replica's volume for silences and what was notified, as a Kubernetes quantity. Default: none, so that a
	// replica can start in any zone; it gets both from the others, and they are lost only with all replicas at once.
	StorageSize string `pulumi:"storageSize,optional"`
	// StorageClass of the volumes. Default: gp3.
	StorageClass string `pulumi:"storageClass,optional"`
	// Resources of Alertmanager. Default: 10m CPU, 100Mi memory, limit 200Mi (kube-prometheus' 4m and 100Mi, with room for a storm).
	Resources kube.Resources `pulumi:"resources,optional"`
	// RequireZones keeps a replica Pending rather than having two more in one zone than in another. Default: spread as far as it goes.
	RequireZones bool `pulumi:"requireZones,optional"`
}

// SlackSettings are what is no secret about Slack.
type SlackSettings struct {
	// Channel by name ("#alerts") or ID. Required with Args.SlackURL. Webhooks of Slack apps are bound to a channel and ignore it.
	Channel string `pulumi:"channel,optional"`
}

// WithDefaults fills what is not set.
func (s Settings) WithDefaults() Settings {
	if s.Replicas == 0 {
		s.Replicas = 3
	}
	for _, text := range []struct {
		field    *string
		fallback string
	}{
		{&s.RepeatInterval, "12h"},
		{&s.CriticalRepeatInterval, "4h"},
		{&s.StorageClass, "gp3"},
	} {
		if *text.field == "" {
			*text.field = text.fallback
		}
	}
	s.Resources = s.Resources.Or(kube.Resources{CPU: "10m", Memory: "100Mi", MemoryLimit: "200Mi"})
	return s
}

// Validate checks the settings, defaults filled in.
func (s Settings) Validate() error {
	var errs check.Errors
	errs.Require(s.Replicas >= 1 && s.Replicas <= maxReplicas, "replicas", s.Replicas, "must be between 1 and %d", maxReplicas)
	errs.Require(s.Replicas > 1 || !s.RequireZones, "requireZones", s.RequireZones, "must not be set with one replica")
	errs.Require(!strings.ContainsAny(s.Slack.Channel, " \t\n"), "slack.channel", s.Slack.Channel, `must be a channel such as "#alerts"`)
	for _, interval := range []struct{ key, value string }{
		{"repeatInterval", s.RepeatInterval},
		{"criticalRepeatInterval", s.CriticalRepeatInterval},
	} {
		d, err := check.ParseDuration(interval.value)
		errs.Require(err == nil && d >= 5*time.Minute, interval.key, interval.value, `must be a duration of at least 5m, such as "12h"`)
	}
	errs.Require(s.ExternalURL == "" || isWebURL(s.ExternalURL), "externalUrl", s.ExternalURL,
		`must be a URL such as "https://alerts.example.org"`)
	if s.StorageSize != "" {
		size, err := resource.ParseQuantity(s.StorageSize)
		errs.Require(err == nil && size.Sign() > 0, "storageSize", s.StorageSize, `must be a positive Kubernetes quantity such as "1Gi"`)
	}
	errs.Require(len(validation.IsDNS1123Subdomain(s.StorageClass)) == 0, "storageClass", s.StorageClass,
		"must name a storage class: lower-case letters, digits, dashes and dots")
	errs.Under("resources", s.Resources.Validate())
	return errs.Err()
}

func isWebURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// Args are the settings, and what Alertmanager is wired to.
type Args struct {
	Settings
	// Namespace of everything. Required; it must exist.
	Namespace pulumi.StringInput `pulumi:"namespace"`
	// PriorityClass of the pods. Default: none.
	PriorityClass string `pulumi:"priorityClass,optional"`
	// SlackURL is a Slack incoming webhook, which Slack.Channel goes with. A secret. Default: no Slack.
	SlackURL pulumi.StringInput `pulumi:"slackUrl,optional"`
	// WebhookURL takes every alert as JSON, in Alertmanager's own format. A secret. Default: none.
	WebhookURL pulumi.StringInput `pulumi:"webhookUrl,optional"`
	// WatchdogURL is a dead man's switch outside the cluster: it is called about every minute while alerting works from end to end, and
	// tells someone when it no longer is. A secret. Default: none; the alert Watchdog is dropped.
	WatchdogURL pulumi.StringInput `pulumi:"watchdogUrl,optional"`
}

// validate checks what is wired; the settings check themselves.
func (a Args) validate() error {
	var errs check.Errors
	errs.Require(a.Namespace != nil, "namespace", nil, "is required")
	errs.Require((a.Slack.Channel != "") == (a.SlackURL != nil), "slack.channel", a.Slack.Channel,
		"must be given with Slack's webhook URL, and only with it")
	return errs.Err()
}

// Warning says what the arguments allow that hardly anyone wants; empty if there is nothing.
func (a Args) Warning() string {
	if a.SlackURL != nil || a.WebhookURL != nil {
		return ""
	}
	return "alertmanager: there is no receiver: alerts are grouped and shown, and nobody is notified"
}
