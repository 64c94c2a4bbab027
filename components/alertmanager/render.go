package alertmanager

import (
	_ "embed"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/kansoku/kansoku/internal/check"
)

// templates are what messages say, whatever way they go.
//
//go:embed message.tmpl
var templates string

// config is the part of Alertmanager's configuration that is used here, by its key names.
type config struct {
	Global        global         `json:"global"`
	Templates     []string       `json:"templates"`
	Route         route          `json:"route"`
	InhibitRules  []inhibitRule  `json:"inhibit_rules,omitempty"`
	Receivers     []receiver     `json:"receivers"`
	TimeIntervals []timeInterval `json:"time_intervals,omitempty"`
}

type global struct {
	ResolveTimeout string `json:"resolve_timeout"`
}

type route struct {
	Receiver          string   `json:"receiver"`
	Matchers          []string `json:"matchers,omitempty"`
	GroupBy           []string `json:"group_by,omitempty"`
	GroupWait         string   `json:"group_wait,omitempty"`
	GroupInterval     string   `json:"group_interval,omitempty"`
	RepeatInterval    string   `json:"repeat_interval,omitempty"`
	MuteTimeIntervals []string `json:"mute_time_intervals,omitempty"`
	Routes            []route  `json:"routes,omitempty"`
}

type inhibitRule struct {
	SourceMatchers []string `json:"source_matchers"`
	TargetMatchers []string `json:"target_matchers"`
	Equal          []string `json:"equal,omitempty"`
}

type timeInterval struct {
	Name          string     `json:"name"`
	TimeIntervals []interval `json:"time_intervals"`
}

type interval struct {
	Times    []times  `json:"times,omitempty"`
	Weekdays []string `json:"weekdays,omitempty"`
	Location string   `json:"location,omitempty"`
}

type times struct {
	StartTime string `json:"start_time"`
	EndTime   string `json:"end_time"`
}

type receiver struct {
	Name             string            `json:"name"`
	SlackConfigs     []slackConfig     `json:"slack_configs,omitempty"`
	PagerDutyConfigs []pagerDutyConfig `json:"pagerduty_configs,omitempty"`
	OpsgenieConfigs  []opsgenieConfig  `json:"opsgenie_configs,omitempty"`
	EmailConfigs     []emailConfig     `json:"email_configs,omitempty"`
	WebhookConfigs   []webhookConfig   `json:"webhook_configs,omitempty"`
}

type slackConfig struct {
	APIURL       string `json:"api_url"`
	Channel      string `json:"channel,omitempty"`
	SendResolved bool   `json:"send_resolved"`
	Color        string `json:"color"`
	Title        string `json:"title"`
	TitleLink    string `json:"title_link"`
	Fallback     string `json:"fallback"`
	Text         string `json:"text"`
}

type pagerDutyConfig struct {
	RoutingKey   string            `json:"routing_key"`
	URL          string            `json:"url,omitempty"`
	SendResolved bool              `json:"send_resolved"`
	Description  string            `json:"description"`
	Severity     string            `json:"severity"`
	Source       string            `json:"source"`
	Class        string            `json:"class"`
	Group        string            `json:"group"`
	ClientURL    string            `json:"client_url"`
	Details      map[string]string `json:"details"`
	Links        []pagerDutyLink   `json:"links"`
}

type pagerDutyLink struct {
	Href string `json:"href"`
	Text string `json:"text"`
}

type opsgenieConfig struct {
	APIKey       string              `json:"api_key"`
	APIURL       string              `json:"api_url,omitempty"`
	SendResolved bool                `json:"send_resolved"`
	Message      string              `json:"message"`
	Description  string              `json:"description"`
	Source       string              `json:"source"`
	Priority     string              `json:"priority"`
	Responders   []opsgenieResponder `json:"responders,omitempty"`
	UpdateAlerts bool                `json:"update_alerts"`
}

type opsgenieResponder struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

type emailConfig struct {
	To           string            `json:"to"`
	From         string            `json:"from"`
	Smarthost    string            `json:"smarthost"`
	AuthUsername string            `json:"auth_username,omitempty"`
	AuthPassword string            `json:"auth_password,omitempty"`
	RequireTLS   bool              `json:"require_tls"`
	SendResolved bool              `json:"send_resolved"`
	Headers      map[string]string `json:"headers"`
	HTML         string            `json:"html"` // empty, or Alertmanager's own would go with the text
	Text         string            `json:"text"`
}

type webhookConfig struct {
	URL          string `json:"url"`
	SendResolved bool   `json:"send_resolved"`
}

// plan is everything that shapes the configuration. The secrets are by name.
type plan struct {
	Settings
	inhibitions []Inhibition
	secrets     map[string]string
}

// render writes alertmanager.yaml. The arguments are valid and hold their defaults; the secrets are checked here, where they are known.
func (p plan) render() (string, error) {
	if err := p.validate(); err != nil {
		return "", fmt.Errorf("checking secrets: %w", err)
	}
	receivers, routes := p.told(slices.Collect(maps.Keys(p.secrets)))
	data, err := yaml.Marshal(config{
		Global:        global{ResolveTimeout: "5m"},
		Templates:     []string{templatePath},
		Route:         p.route(receivers, routes),
		InhibitRules:  p.inhibitRules(),
		Receivers:     p.receivers(receivers),
		TimeIntervals: p.timeIntervals(),
	})
	if err != nil {
		return "", fmt.Errorf("marshalling configuration: %w", err)
	}
	return string(data), nil
}

// variable is what the operator's reloader replaces in the configuration, or stumbles over.
var variable = regexp.MustCompile(`\$\([a-zA-Z_0-9]+\)`)

// validate shows no secret. One that Alertmanager would refuse would leave it with its former configuration.
func (p plan) validate() error {
	const hidden = "[secret]"
	var errs check.Errors
	for _, name := range slices.Sorted(maps.Keys(p.secrets)) {
		text := p.secrets[name]
		kind, _, _ := strings.Cut(name, "-")
		if kind == SMTPPassword {
			errs.Require(text != "" && !variable.MatchString(text), name, hidden, "must not be empty, and hold no $(name)")
			continue
		}
		// Braces would make it a template.
		plain := text != "" && !strings.ContainsAny(text, " \t\r\n") && !strings.Contains(text, "{{") && !variable.MatchString(text)
		if kind == PagerDutyKey || kind == OpsgenieKey {
			errs.Require(plain, name, hidden, "must be a key: not empty, and without spaces")
			continue
		}
		errs.Require(plain && isWebURL(text), name, hidden, "must be an http or https URL")
		errs.Require(!plain || !isWebURL(text) || slices.Contains(p.Egress(), port(text)), name, hidden,
			"must lead to port 443, or to one of egressPorts: the network policy opens no other")
	}
	return errs.Err()
}

// port of a web URL.
func port(text string) int {
	u, err := url.Parse(text)
	if err != nil {
		return 0
	}
	if u.Port() == "" {
		return map[string]int{"http": 80, "https": httpsPort}[u.Scheme]
	}
	number, err := strconv.Atoi(u.Port())
	if err != nil {
		return 0
	}
	return number
}

// route of all alerts. Pages are told sooner and repeated more often.
func (p plan) route(receivers []Receiver, routes []Route) route {
	// Where nobody can be told, a route to "default" leads nowhere.
	fallback := nullReceiver
	if len(receivers) > 0 {
		fallback = defaultReceiver
	}
	watchdog := route{Receiver: nullReceiver, Matchers: []string{`alertname="Watchdog"`}}
	if p.secrets[WatchdogURL] != "" {
		watchdog.Receiver = watchdogReceiver
		// A group is looked at once in its interval: repeating a little sooner than that repeats each time.
		watchdog.GroupWait, watchdog.GroupInterval, watchdog.RepeatInterval = "0s", "1m", "50s"
	}
	root := route{
		Receiver: fallback, GroupBy: p.GroupBy, GroupWait: p.GroupWait, GroupInterval: p.GroupInterval, RepeatInterval: p.RepeatInterval,
		Routes: []route{watchdog},
	}
	for _, r := range routes {
		if len(receivers) == 0 {
			r.Receiver = nullReceiver
		}
		root.Routes = append(root.Routes, p.branches(r)...)
	}
	root.Routes = append(root.Routes,
		route{Receiver: nullReceiver, Matchers: []string{severityIs(Info)}}, p.paging(route{Receiver: fallback}))
	return root
}

func (p plan) paging(r route) route {
	r.Matchers = append(slices.Clone(r.Matchers), severityIs(Page))
	r.GroupWait, r.RepeatInterval = p.PageGroupWait, p.PageRepeatInterval
	return r
}

// branches are a route's pages, and the rest of it, as far as it takes them.
func (p plan) branches(r Route) []route {
	base := route{Receiver: r.Receiver, MuteTimeIntervals: r.MuteTimes}
	if len(r.Namespaces) > 0 {
		base.Matchers = []string{oneOf("namespace", r.Namespaces)}
	}
	rest := func(severity string) route {
		one := base
		one.Matchers = append(slices.Clone(base.Matchers), severity)
		return one
	}
	if len(r.Severities) == 0 {
		return []route{p.paging(base), rest(fmt.Sprintf("severity!=%q", Info))}
	}
	var all []route
	if slices.Contains(r.Severities, Page) {
		all = append(all, p.paging(base))
	}
	if others := slices.DeleteFunc(slices.Clone(r.Severities), func(s string) bool { return s == Page }); len(others) > 0 {
		all = append(all, rest(oneOf("severity", others)))
	}
	return all
}

func severityIs(severity string) string { return oneOf("severity", []string{severity}) }

// oneOf matches a label against names, in which nothing means anything to a regular expression.
func oneOf(label string, names []string) string {
	operator := "="
	if len(names) > 1 {
		operator = "=~"
	}
	return fmt.Sprintf("%s%s%q", label, operator, strings.Join(names, "|"))
}

func (p plan) inhibitRules() []inhibitRule {
	var all []inhibitRule
	for _, one := range p.inhibitions {
		all = append(all, inhibitRule{SourceMatchers: one.Source, TargetMatchers: one.Target, Equal: one.Equal})
	}
	return all
}

func (p plan) timeIntervals() []timeInterval {
	var all []timeInterval
	for _, m := range p.MuteTimes {
		one := interval{Weekdays: m.Weekdays, Location: m.Location}
		for _, t := range m.Times {
			one.Times = append(one.Times, times{StartTime: t.Start, EndTime: t.End})
		}
		all = append(all, timeInterval{Name: m.Name, TimeIntervals: []interval{one}})
	}
	return all
}

func (p plan) receivers(receivers []Receiver) []receiver {
	all := []receiver{{Name: nullReceiver}}
	for _, r := range receivers {
		all = append(all, p.receiver(r))
	}
	if address := p.secrets[WatchdogURL]; address != "" {
		// A resolved Watchdog is no sign of life.
		all = append(all, receiver{Name: watchdogReceiver, WebhookConfigs: []webhookConfig{{URL: address}}})
	}
	return all
}

func (p plan) receiver(r Receiver) receiver {
	names := slices.Collect(maps.Keys(p.secrets))
	secret := func(kind string) string { return p.secrets[secretFor(r.Name, kind, names)] }
	one := receiver{Name: r.Name}
	if r.Slack != nil {
		one.SlackConfigs = []slackConfig{p.slack(*r.Slack, secret(SlackURL))}
	}
	if r.PagerDuty != nil {
		one.PagerDutyConfigs = []pagerDutyConfig{p.pagerDuty(*r.PagerDuty, secret(PagerDutyKey))}
	}
	if r.Opsgenie != nil {
		one.OpsgenieConfigs = []opsgenieConfig{p.opsgenie(*r.Opsgenie, secret(OpsgenieKey))}
	}
	if len(r.Email) > 0 {
		one.EmailConfigs = []emailConfig{p.email(r.Email)}
	}
	if r.Webhook {
		one.WebhookConfigs = []webhookConfig{{URL: secret(WebhookURL), SendResolved: true}}
	}
	return one
}

// Calls of the templates.
const (
	title     = `{{ template "kansoku.title" . }}`
	headline  = title + `{{ with .CommonAnnotations.summary }}: {{ . }}{{ end }}`
	runbook   = `{{ .CommonAnnotations.runbook_url }}`
	dashboard = `{{ .CommonAnnotations.dashboard_url }}`
	// PagerDuty refuses an event without a source.
	source = `{{ or .CommonLabels.cluster "Alertmanager" }}`
)

// silenced adds a link to a silence where people reach Alertmanager.
func (p plan) silenced(text, link string) string {
	if p.ExternalURL == "" {
		return text
	}
	return text + link
}

func (p plan) text() string {
	return p.silenced(`{{ template "kansoku.text" . }}`, `{{ template "kansoku.text.silence" . }}`)
}

func (p plan) slack(s SlackSettings, address string) slackConfig {
	channel := s.Channel
	if channel == "" {
		channel = p.Slack.Channel
	}
	return slackConfig{
		APIURL: address, Channel: channel, SendResolved: true, Color: `{{ template "kansoku.slack.color" . }}`,
		// Alertmanager's own would lead to an address inside the cluster.
		Title: title, TitleLink: runbook, Fallback: title,
		Text: p.silenced(`{{ template "kansoku.slack" . }}`, `{{ template "kansoku.slack.silence" . }}`),
	}
}

func (p plan) pagerDuty(s PagerDutySettings, key string) pagerDutyConfig {
	one := pagerDutyConfig{
		RoutingKey: key, SendResolved: true, Description: headline, Severity: `{{ template "kansoku.pagerduty.severity" . }}`,
		Source: source, Class: `{{ .CommonLabels.alertname }}`, Group: `{{ .CommonLabels.namespace }}`, ClientURL: runbook,
		// By these names Alertmanager would add all alerts as JSON.
		Details: map[string]string{
			"firing":   `{{ template "kansoku.text.alerts" (dict "alerts" .Alerts.Firing "all" .) }}`,
			"resolved": `{{ template "kansoku.text.alerts" (dict "alerts" .Alerts.Resolved "all" .) }}`,
		},
		Links: []pagerDutyLink{{runbook, "Runbook"}, {dashboard, "Dashboard"}}, // those that are empty are left out
	}
	if s.Region == EU {
		one.URL = "https://events.eu.pagerduty.com/v2/enqueue"
	}
	if p.ExternalURL != "" {
		one.Links = append(one.Links, pagerDutyLink{`{{ template "kansoku.silence" . }}`, "Silence"})
	}
	return one
}

func (p plan) opsgenie(s OpsgenieSettings, key string) opsgenieConfig {
	one := opsgenieConfig{
		APIKey: key, SendResolved: true, Message: title, Description: p.text(), Source: source,
		Priority: `{{ template "kansoku.opsgenie.priority" . }}`, UpdateAlerts: true,
	}
	if s.Region == EU {
		one.APIURL = "https://api.eu.opsgenie.com/"
	}
	if s.Team != "" {
		one.Responders = []opsgenieResponder{{s.Team, "team"}}
	}
	return one
}

func (p plan) email(addresses []string) emailConfig {
	return emailConfig{
		To: strings.Join(addresses, ", "), From: p.SMTP.From, Smarthost: p.SMTP.Smarthost,
		AuthUsername: p.SMTP.Username, AuthPassword: p.secrets[SMTPPassword], RequireTLS: true, SendResolved: true,
		Headers: map[string]string{"Subject": title}, Text: p.text(),
	}
}
