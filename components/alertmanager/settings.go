// Package alertmanager deploys an Alertmanager cluster through the Prometheus Operator, with its routing by severity, and takes in what
// teams route in their own namespaces (AlertmanagerConfig). It owns no operator and no alert.
package alertmanager

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/internal/check"
)

const (
	// peerWait is how long a replica gives each of those before it to notify, Alertmanager's default.
	peerWait = 15 * time.Second
	// maxReplicas, so that the last notifies after a minute if all others are down.
	maxReplicas = 5
)

// Settings are what a stack may say about Alertmanager.
type Settings struct {
	// Replicas that agree on who notifies. They need no majority, so two are a cluster too; one loses its silences when it moves, unless it
	// has a volume. 1 to 5. Default: 3 (kube-prometheus).
	Replicas int `pulumi:"replicas,optional"`
	// Slack is what holds for every receiver with Slack that does not say otherwise.
	Slack SlackSettings `pulumi:"slack,optional"`
	// SMTP is the server for receivers with email. Required with one. Default: none.
	SMTP *SMTPSettings `pulumi:"smtp,optional"`
	// Receivers who are told. One must be called "default". Default: "default" is told in every way that there is a secret for; where some
	// of them wake people (PagerDuty, Opsgenie) and others do not, only pages go to those that do.
	Receivers []Receiver `pulumi:"receivers,optional"`
	// Routes to the receivers, in order: the first that matches takes an alert. Default: all but info goes to "default".
	Routes []Route `pulumi:"routes,optional"`
	// MuteTimes that routes name. Default: none.
	MuteTimes []MuteTime `pulumi:"muteTimes,optional"`
	// GroupBy are the labels by which alerts are put into one message. Default: namespace and alertname.
	GroupBy []string `pulumi:"groupBy,optional"`
	// GroupWait is how long a new group waits for more of its kind before it is told. Default: 30s (Alertmanager's own default).
	GroupWait string `pulumi:"groupWait,optional"`
	// PageGroupWait is the same for pages. Default: 10s.
	PageGroupWait string `pulumi:"pageGroupWait,optional"`
	// GroupInterval is the least time between two messages about a group; at least 15s for each replica, since a late one would repeat what is
	// no longer so. Default: 5m (Alertmanager's own default).
	GroupInterval string `pulumi:"groupInterval,optional"`
	// RepeatInterval is when a message about what still fires is sent again; at least GroupInterval. Default: 12h (kube-prometheus).
	RepeatInterval string `pulumi:"repeatInterval,optional"`
	// PageRepeatInterval is the same for pages. Default: 4h (Alertmanager's own default).
	PageRepeatInterval string `pulumi:"pageRepeatInterval,optional"`
	// EgressPorts are ports of receivers' URLs, beside 443, that the network policy opens. Default: none.
	EgressPorts []int `pulumi:"egressPorts,optional"`
	// ExternalURL at which people reach Alertmanager ("https://alerts.example.org"), and find a form for a silence. Default: none, and no link.
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

// WithDefaults fills what is not set.
func (s Settings) WithDefaults() Settings {
	if s.Replicas == 0 {
		s.Replicas = 3
	}
	for _, text := range []struct {
		field    *string
		fallback string
	}{
		{&s.GroupWait, "30s"},
		{&s.PageGroupWait, "10s"},
		{&s.GroupInterval, "5m"},
		{&s.RepeatInterval, "12h"},
		{&s.PageRepeatInterval, "4h"},
		{&s.StorageClass, "gp3"},
	} {
		if *text.field == "" {
			*text.field = text.fallback
		}
	}
	if len(s.GroupBy) == 0 {
		s.GroupBy = []string{"namespace", "alertname"}
	}
	s.Resources = s.Resources.Or(kube.Resources{CPU: "10m", Memory: "100Mi", MemoryLimit: "200Mi"})
	return s
}

// Validate checks the settings, defaults filled in.
func (s Settings) Validate() error {
	var errs check.Errors
	errs.Require(s.Replicas >= 1 && s.Replicas <= maxReplicas, "replicas", s.Replicas, "must be between 1 and %d", maxReplicas)
	errs.Require(s.Replicas > 1 || !s.RequireZones, "requireZones", s.RequireZones, "must not be set with one replica")
	s.validateReceivers(&errs)
	s.validateRoutes(&errs)
	s.validateMuteTimes(&errs)
	s.validateGrouping(&errs)
	for i, port := range s.EgressPorts {
		errs.Require(port >= 1 && port <= 65535 && port != httpsPort, fmt.Sprintf("egressPorts[%d]", i), port,
			"must be 1 to 65535, and not 443, which is open")
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

func (s Settings) validateGrouping(errs *check.Errors) {
	for i, name := range s.GroupBy {
		errs.Require(label.MatchString(name), fmt.Sprintf("groupBy[%d]", i), name, "must be the name of a label")
	}
	least := time.Duration(s.Replicas) * peerWait
	interval, err := check.ParseDuration(s.GroupInterval)
	errs.Require(err == nil && interval >= least, "groupInterval", s.GroupInterval,
		"must be a duration of at least %s for each of the %d replicas, so %s", peerWait, s.Replicas, least)
	for _, wait := range []struct{ key, value string }{{"groupWait", s.GroupWait}, {"pageGroupWait", s.PageGroupWait}} {
		_, err = check.ParseDuration(wait.value)
		errs.Require(err == nil, wait.key, wait.value, `must be a duration such as "30s"`)
	}
	for _, repeat := range []struct{ key, value string }{
		{"repeatInterval", s.RepeatInterval},
		{"pageRepeatInterval", s.PageRepeatInterval},
	} {
		d, err := check.ParseDuration(repeat.value)
		errs.Require(err == nil && d >= interval, repeat.key, repeat.value, "must be a duration of at least groupInterval, %s", s.GroupInterval)
	}
}

const httpsPort = 443

// Egress are the ports outside the stack that Alertmanager calls.
func (s Settings) Egress() []int {
	ports := append([]int{httpsPort}, s.EgressPorts...)
	if s.SMTP != nil && !slices.Contains(ports, s.SMTP.port()) {
		ports = append(ports, s.SMTP.port())
	}
	return ports
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
	// Images says where the image is pulled from. Default: upstream's registry.
	Images versions.Images `pulumi:"images,optional"`
	// Secrets of the receivers, by name: see SlackURL and the others. Default: none, and nobody is told.
	Secrets map[string]pulumi.StringInput `pulumi:"secrets,optional" provider:"secret"`
	// Inhibitions say which alerts keep others quiet. Default: none.
	Inhibitions []Inhibition `pulumi:"inhibitions,optional"`
}

// given are the names of the secrets.
func (a Args) given() []string { return slices.Sorted(maps.Keys(a.Secrets)) }

// validate checks what is wired; the settings check themselves.
func (a Args) validate() error {
	var errs check.Errors
	errs.Require(a.Namespace != nil, "namespace", nil, "is required")
	errs.Under("images", a.Images.Validate())
	for _, name := range a.given() {
		errs.Require(a.Secrets[name] != nil, "secrets", name, "must not be nil")
	}
	validateInhibitions(&errs, a.Inhibitions)
	return errors.Join(errs.Err(), a.ValidateSecrets(a.given()))
}

// Warning says what the arguments allow that hardly anyone wants; empty if there is nothing.
func (a Args) Warning() string {
	if receivers, _ := a.told(a.given()); len(receivers) > 0 {
		return ""
	}
	return "alertmanager: there is no receiver: alerts are grouped and shown, and nobody is notified"
}
