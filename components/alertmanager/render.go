package alertmanager

import (
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/kansoku/kansoku/internal/check"
)

// Names of receivers.
const (
	nullReceiver     = "null"
	defaultReceiver  = "default"
	watchdogReceiver = "watchdog"
)

// slackText is one paragraph for each alert; Slack's default shows labels only.
const slackText = `{{ range .Alerts }}{{ with .Labels.severity }}*{{ . }}* {{ end }}{{ or .Annotations.summary .Labels.alertname }}` +
	`{{ with .Annotations.description }}
{{ . }}{{ end }}{{ with .Annotations.runbook_url }}
<{{ . }}|Runbook>{{ end }}

{{ end }}`

// config is the part of Alertmanager's configuration that is used here, by its key names.
type config struct {
	Global       global        `json:"global"`
	Route        route         `json:"route"`
	InhibitRules []inhibitRule `json:"inhibit_rules"`
	Receivers    []receiver    `json:"receivers"`
}

type global struct {
	ResolveTimeout string `json:"resolve_timeout"`
}

type route struct {
	Receiver       string   `json:"receiver"`
	Matchers       []string `json:"matchers,omitempty"`
	GroupBy        []string `json:"group_by,omitempty"`
	GroupWait      string   `json:"group_wait,omitempty"`
	GroupInterval  string   `json:"group_interval,omitempty"`
	RepeatInterval string   `json:"repeat_interval,omitempty"`
	Routes         []route  `json:"routes,omitempty"`
}

type inhibitRule struct {
	SourceMatchers []string `json:"source_matchers"`
	TargetMatchers []string `json:"target_matchers"`
	Equal          []string `json:"equal"`
}

type receiver struct {
	Name           string          `json:"name"`
	SlackConfigs   []slackConfig   `json:"slack_configs,omitempty"`
	WebhookConfigs []webhookConfig `json:"webhook_configs,omitempty"`
}

type slackConfig struct {
	APIURL       string `json:"api_url"`
	Channel      string `json:"channel"`
	SendResolved bool   `json:"send_resolved"`
	Text         string `json:"text"`
}

type webhookConfig struct {
	URL          string `json:"url"`
	SendResolved bool   `json:"send_resolved"`
}

// plan is everything that shapes the configuration. A URL that is empty means that there is none.
type plan struct {
	Settings
	slackURL, webhookURL, watchdogURL string
}

// render writes alertmanager.yaml. The settings are valid and hold their defaults; the URLs are checked here, where they are known.
func (p plan) render() (string, error) {
	if err := p.validate(); err != nil {
		return "", fmt.Errorf("checking receivers: %w", err)
	}
	data, err := yaml.Marshal(config{
		Global:       global{ResolveTimeout: "5m"},
		Route:        p.route(),
		InhibitRules: inhibitRules(),
		Receivers:    p.receivers(),
	})
	if err != nil {
		return "", fmt.Errorf("marshalling configuration: %w", err)
	}
	return string(data), nil
}

// validate shows no URL: they are secrets. One that Alertmanager would refuse would leave it with its former configuration.
func (p plan) validate() error {
	var errs check.Errors
	for _, one := range []struct{ key, url string }{
		{"slackUrl", p.slackURL},
		{"webhookUrl", p.webhookURL},
		{"watchdogUrl", p.watchdogURL},
	} {
		// Braces would make it a template.
		errs.Require(one.url == "" || isWebURL(one.url) && !strings.Contains(one.url, "{{"), one.key, "[secret]", "must be an http or https URL")
	}
	return errs.Err()
}

// notified is the receiver of whatever has no route of its own.
func (p plan) notified() string {
	if p.slackURL == "" && p.webhookURL == "" {
		return nullReceiver
	}
	return defaultReceiver
}

// route sends critical alerts sooner and repeats them more often. Times are kube-prometheus' unless there is a reason.
func (p plan) route() route {
	watchdog := route{Receiver: nullReceiver, Matchers: []string{`alertname="Watchdog"`}}
	if p.watchdogURL != "" {
		watchdog.Receiver = watchdogReceiver
		// A group is looked at once in its interval: repeating a little sooner than that repeats each time.
		watchdog.GroupWait, watchdog.GroupInterval, watchdog.RepeatInterval = "0s", "1m", "50s"
	}
	return route{
		Receiver: p.notified(), GroupBy: []string{"namespace", "alertname"},
		GroupWait: "30s", GroupInterval: "5m", RepeatInterval: p.RepeatInterval,
		Routes: []route{
			watchdog,
			// It is there to inhibit, not to be read.
			{Receiver: nullReceiver, Matchers: []string{`alertname="InfoInhibitor"`}},
			{
				Receiver: p.notified(), Matchers: []string{`severity="critical"`},
				GroupWait: "10s", RepeatInterval: p.CriticalRepeatInterval,
			},
		},
	}
}

// inhibitRules keep quiet what says less than another alert about the same.
func inhibitRules() []inhibitRule {
	same := []string{"namespace", "alertname"}
	return []inhibitRule{
		{SourceMatchers: []string{`severity="critical"`}, TargetMatchers: []string{`severity=~"warning|info"`}, Equal: same},
		{SourceMatchers: []string{`severity="warning"`}, TargetMatchers: []string{`severity="info"`}, Equal: same},
		// InfoInhibitor fires where there is nothing but information.
		{SourceMatchers: []string{`alertname="InfoInhibitor"`}, TargetMatchers: []string{`severity="info"`}, Equal: []string{"namespace"}},
	}
}

func (p plan) receivers() []receiver {
	all := []receiver{{Name: nullReceiver}}
	if p.notified() == defaultReceiver {
		one := receiver{Name: defaultReceiver}
		if p.slackURL != "" {
			one.SlackConfigs = []slackConfig{{APIURL: p.slackURL, Channel: p.Slack.Channel, SendResolved: true, Text: slackText}}
		}
		if p.webhookURL != "" {
			one.WebhookConfigs = []webhookConfig{{URL: p.webhookURL, SendResolved: true}}
		}
		all = append(all, one)
	}
	if p.watchdogURL != "" {
		// A resolved Watchdog is no sign of life.
		all = append(all, receiver{Name: watchdogReceiver, WebhookConfigs: []webhookConfig{{URL: p.watchdogURL}}})
	}
	return all
}
