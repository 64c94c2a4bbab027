package alertmanager

import (
	"fmt"
	"maps"
	"net"
	"net/mail"
	"slices"
	"strconv"
	"strings"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/internal/check"
)

// Names of secrets, in Args.Secrets and in the configuration of a stack. The first four are for all receivers; with "-" and a receiver's
// name ("slackUrl-payments") they are that receiver's own.
const (
	// SlackURL is a Slack incoming webhook.
	SlackURL = "slackUrl"
	// WebhookURL takes every message as JSON, in Alertmanager's own format.
	WebhookURL = "webhookUrl"
	// PagerDutyKey is the integration key (routing key) of a service's Events API v2.
	PagerDutyKey = "pagerDutyKey"
	// OpsgenieKey is the key of an API integration.
	OpsgenieKey = "opsgenieKey"
	// SMTPPassword goes with Settings.SMTP.Username.
	SMTPPassword = "smtpPassword"
	// WatchdogURL is a dead man's switch outside the cluster: it is called about every minute while alerting works from end to end, and
	// tells someone when it no longer is. It takes the alert Watchdog, and nothing else does.
	WatchdogURL = "watchdogUrl"
)

// ReceiverSecrets are the names of the secrets that a receiver can have for itself.
func ReceiverSecrets() []string { return []string{SlackURL, WebhookURL, PagerDutyKey, OpsgenieKey} }

// Names of receivers.
const (
	nullReceiver     = "null"
	defaultReceiver  = "default"
	oncallReceiver   = "oncall"
	watchdogReceiver = "watchdog"
)

// Regions in which PagerDuty and Opsgenie keep an account.
const (
	US = "us"
	EU = "eu"
)

// Receiver is who is told, in at least one of the ways below.
type Receiver struct {
	// Name that routes lead to: lower-case letters, digits and dashes. "default" is told what no route takes. Required.
	Name string `pulumi:"name"`
	// Slack posts to a channel. Needs the secret slackUrl.
	Slack *SlackSettings `pulumi:"slack,optional"`
	// PagerDuty opens an incident. Needs the secret pagerDutyKey.
	PagerDuty *PagerDutySettings `pulumi:"pagerDuty,optional"`
	// Opsgenie opens an alert. Needs the secret opsgenieKey. (Atlassian ends Opsgenie in April 2027.)
	Opsgenie *OpsgenieSettings `pulumi:"opsgenie,optional"`
	// Email lists addresses. Needs Settings.SMTP.
	Email []string `pulumi:"email,optional"`
	// Webhook posts JSON in Alertmanager's own format. Needs the secret webhookUrl. Default: false.
	Webhook bool `pulumi:"webhook,optional"`
}

// SlackSettings are what is no secret about Slack.
type SlackSettings struct {
	// Channel by name ("#alerts") or ID. Webhooks of Slack apps are bound to a channel and ignore it. Default: the webhook's.
	Channel string `pulumi:"channel,optional"`
}

// PagerDutySettings are what is no secret about PagerDuty.
type PagerDutySettings struct {
	// Region of the account, us or eu. Default: us.
	Region string `pulumi:"region,optional"`
}

// OpsgenieSettings are what is no secret about Opsgenie.
type OpsgenieSettings struct {
	// Region of the account, us or eu. Default: us.
	Region string `pulumi:"region,optional"`
	// Team that is to respond. Default: that of the integration.
	Team string `pulumi:"team,optional"`
}

// SMTPSettings are the server that takes mail. The connection is always encrypted.
type SMTPSettings struct {
	// Smarthost is the server's name and port ("smtp.example.org:587"). On port 465 it speaks TLS from the start; on others STARTTLS is
	// required. Required.
	Smarthost string `pulumi:"smarthost"`
	// From is the sender's address. Required.
	From string `pulumi:"from"`
	// Username to log in with, and the secret smtpPassword. Default: no login.
	Username string `pulumi:"username,optional"`
}

// port of the server; 0 if the settings have none.
func (s SMTPSettings) port() int {
	_, port, err := net.SplitHostPort(s.Smarthost)
	if err != nil {
		return 0
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return 0
	}
	return int(number)
}

// way is one way of telling a receiver that needs a secret.
type way struct {
	key, secret string
	taken       bool
}

func (r Receiver) ways() []way {
	return []way{
		{"slack", SlackURL, r.Slack != nil},
		{"webhook", WebhookURL, r.Webhook},
		{"pagerDuty", PagerDutyKey, r.PagerDuty != nil},
		{"opsgenie", OpsgenieKey, r.Opsgenie != nil},
	}
}

func (r Receiver) reachesSomebody() bool {
	return len(r.Email) > 0 || slices.ContainsFunc(r.ways(), func(w way) bool { return w.taken })
}

// secretFor is the name of the secret that a receiver uses: its own, or that of all; "" if neither is given.
func secretFor(receiver, secret string, given []string) string {
	for _, name := range []string{secret + "-" + receiver, secret} {
		if slices.Contains(given, name) {
			return name
		}
	}
	return ""
}

// told is who is told what, given the names of the secrets. Where no receivers are listed, the secrets make them: "default" is told by all
// of them; but where some wake people and some do not, only "oncall" is woken, and of pages only.
func (s Settings) told(given []string) ([]Receiver, []Route) {
	if len(s.Receivers) > 0 {
		return s.Receivers, s.Routes
	}
	has := func(secret string) bool { return slices.Contains(given, secret) }
	calm, loud := Receiver{Name: defaultReceiver, Webhook: has(WebhookURL)}, Receiver{Name: defaultReceiver}
	if has(SlackURL) {
		calm.Slack = &SlackSettings{}
	}
	if has(PagerDutyKey) {
		loud.PagerDuty = &PagerDutySettings{}
	}
	if has(OpsgenieKey) {
		loud.Opsgenie = &OpsgenieSettings{}
	}
	switch {
	case !calm.reachesSomebody() && !loud.reachesSomebody():
		return nil, s.Routes
	case !loud.reachesSomebody():
		return []Receiver{calm}, s.Routes
	case !calm.reachesSomebody():
		return []Receiver{loud}, s.Routes
	}
	loud.Name, loud.Slack, loud.Webhook = oncallReceiver, calm.Slack, calm.Webhook
	return []Receiver{calm, loud}, append(slices.Clone(s.Routes), Route{Receiver: oncallReceiver, Severities: []string{Page}})
}

// validateReceivers holds that each can be told, and that a route leads to it.
func (s Settings) validateReceivers(errs *check.Errors) {
	names := map[string]bool{}
	routed := map[string]bool{defaultReceiver: true}
	for _, r := range s.Routes {
		routed[r.Receiver] = true
	}
	mail := false
	for i, r := range s.Receivers {
		var e check.Errors
		e.Require(kube.IsDNSLabel(r.Name) && r.Name != nullReceiver && r.Name != watchdogReceiver, "name", r.Name,
			"must be lower-case letters, digits and dashes, and not null or watchdog")
		e.Require(!names[r.Name], "name", r.Name, "must be unique")
		e.Require(routed[r.Name], "name", r.Name, "must be the receiver of a route")
		e.Require(r.reachesSomebody(), "name", r.Name, "must have slack, pagerDuty, opsgenie, email or webhook")
		names[r.Name] = true
		r.validateWays(&e)
		mail = mail || len(r.Email) > 0
		errs.Under(fmt.Sprintf("receivers[%d]", i), e.Err())
	}
	errs.Require(len(s.Receivers) == 0 || names[defaultReceiver], "receivers", slices.Sorted(maps.Keys(names)),
		"must have one called default: it is told what no route takes")
	errs.Require(validChannel(s.Slack.Channel), "slack.channel", s.Slack.Channel, `must be a channel such as "#alerts"`)
	errs.Require(mail == (s.SMTP != nil), "smtp", s.SMTP, "must be set where a receiver has email, and only there")
	if s.SMTP != nil {
		host, _, _ := net.SplitHostPort(s.SMTP.Smarthost)
		errs.Require(host != "" && s.SMTP.port() > 0, "smtp.smarthost", s.SMTP.Smarthost, `must be a name and a port such as "smtp.example.org:587"`)
		errs.Require(isAddress(s.SMTP.From), "smtp.from", s.SMTP.From, `must be an address such as "alerts@example.org"`)
	}
}

func (r Receiver) validateWays(e *check.Errors) {
	if r.Slack != nil {
		e.Require(validChannel(r.Slack.Channel), "slack.channel", r.Slack.Channel, `must be a channel such as "#alerts"`)
	}
	if r.PagerDuty != nil {
		e.Require(validRegion(r.PagerDuty.Region), "pagerDuty.region", r.PagerDuty.Region, "must be us or eu")
	}
	if r.Opsgenie != nil {
		e.Require(validRegion(r.Opsgenie.Region), "opsgenie.region", r.Opsgenie.Region, "must be us or eu")
		e.Require(!strings.Contains(r.Opsgenie.Team, "{{"), "opsgenie.team", r.Opsgenie.Team, "must be the name of a team")
	}
	for i, address := range r.Email {
		e.Require(isAddress(address), fmt.Sprintf("email[%d]", i), address, `must be an address such as "oncall@example.org"`)
	}
}

func validRegion(name string) bool { return name == "" || name == US || name == EU }

// Braces would make a template of it.
func validChannel(name string) bool { return !strings.ContainsAny(name, " \t\n{}") }

func isAddress(text string) bool {
	parsed, err := mail.ParseAddress(text)
	return err == nil && parsed.Address == text && !strings.ContainsAny(text, "{}")
}

// ValidateSecrets holds the receivers against the names of the secrets that are given: each has what it needs, and none is left over.
func (s Settings) ValidateSecrets(given []string) error {
	var errs check.Errors
	login := s.SMTP != nil && s.SMTP.Username != ""
	needed := map[string]bool{WatchdogURL: true, SMTPPassword: login}
	receivers, _ := s.told(given)
	slack := false
	for i, r := range receivers {
		slack = slack || r.Slack != nil
		for _, w := range r.ways() {
			if !w.taken {
				continue
			}
			name := secretFor(r.Name, w.secret, given)
			errs.Require(name != "", fmt.Sprintf("receivers[%d].%s", i, w.key), r.Name, "must have the secret %s-%s, or %s", w.secret, r.Name, w.secret)
			needed[name] = true
		}
	}
	errs.Require(slack || s.Slack.Channel == "", "slack.channel", s.Slack.Channel,
		"must be given only where a receiver has Slack, with the secret slackUrl")
	if login {
		errs.Require(slices.Contains(given, SMTPPassword), "smtp.username", s.SMTP.Username, "must have the secret %s", SMTPPassword)
	}
	for _, name := range slices.Sorted(slices.Values(given)) {
		errs.Require(needed[name], "secrets", name, "must be needed by a receiver: no way of telling asks for this one")
	}
	return errs.Err()
}
