package alertmanager

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/versions"
)

const (
	slackAddress   = "https://hooks.slack.example/services/T0/B0/abc"
	webhookAddress = "https://oncall.example.org/hook?token=abc"
	pingAddress    = "https://ping.example.org/abc"
)

func planned(change func(*plan)) plan {
	p := plan{secrets: map[string]string{}}
	if change != nil {
		change(&p)
	}
	p.Settings = p.WithDefaults()
	return p
}

// with are the settings' own defaults, and these secrets.
func with(secrets map[string]string) func(*plan) { return func(p *plan) { p.secrets = secrets } }

func everything(p *plan) {
	p.ExternalURL, p.RepeatInterval, p.GroupInterval, p.GroupBy = "https://alerts.example.org", "1d", "45s", []string{"alertname"}
	p.Slack.Channel = "#alerts"
	p.SMTP = &SMTPSettings{Smarthost: "smtp.example.org:587", From: "alerts@example.org", Username: "alerts"}
	p.Receivers = []Receiver{
		{Name: "default", Slack: &SlackSettings{}, Webhook: true},
		{Name: "oncall", PagerDuty: &PagerDutySettings{}, Opsgenie: &OpsgenieSettings{Region: EU, Team: "platform"}},
		{
			Name: "payments", Slack: &SlackSettings{Channel: "#payments"}, PagerDuty: &PagerDutySettings{Region: EU},
			Email: []string{"payments@example.org", "boss@example.org"},
		},
		{Name: "auditors", Email: []string{"audit@example.org"}},
	}
	p.Routes = []Route{
		{Receiver: "payments", Namespaces: []string{"payments", "checkout"}},
		{Receiver: "auditors", Namespaces: []string{"ledger"}, Severities: []string{Ticket, Info}, MuteTimes: []string{"nights", "weekends"}},
		{Receiver: "oncall", Severities: []string{Page}},
	}
	p.MuteTimes = []MuteTime{
		{Name: "nights", Times: []TimeRange{{"18:00", "24:00"}, {"00:00", "08:00"}}, Location: "Asia/Tokyo"},
		{Name: "weekends", Weekdays: []string{"saturday", "sunday"}},
	}
	p.secrets = map[string]string{
		SlackURL: slackAddress, SlackURL + "-payments": slackAddress + "/payments", WebhookURL: webhookAddress, WatchdogURL: pingAddress,
		PagerDutyKey: "0123456789abcdef0123456789abcdef", PagerDutyKey + "-payments": "fedcba9876543210fedcba9876543210",
		OpsgenieKey: "12345678-1234", SMTPPassword: "pa ss",
	}
	p.inhibitions = []Inhibition{{
		Source: []string{`alertname="NodeDown"`}, Target: []string{`alertname=~"PodNotReady|TargetDown"`, `severity!="page"`},
		Equal: []string{"cluster", "node"},
	}}
}

func TestConfigGolden(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*plan){
		"no-receiver":   nil,
		"everything":    everything,
		"slack":         with(map[string]string{SlackURL: slackAddress}),
		"webhook":       with(map[string]string{WebhookURL: webhookAddress}),
		"watchdog-only": with(map[string]string{WatchdogURL: pingAddress}),
		"woken":         with(map[string]string{PagerDutyKey: "k", OpsgenieKey: "o"}),
		"told-or-woken": with(map[string]string{SlackURL: slackAddress, PagerDutyKey: "k"}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := planned(change)
			require.NoError(t, p.Validate())
			require.NoError(t, p.ValidateSecrets(slices.Collect(maps.Keys(p.secrets))))
			got, err := p.render()
			require.NoError(t, err)
			file := filepath.Join("testdata", name+".yaml")
			if os.Getenv("UPDATE_GOLDEN") != "" {
				require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), got)
		})
	}
}

// receives is the receiver that Alertmanager's rules lead an alert to: the first route that matches, else the root's.
func receives(t *testing.T, root route, labels map[string]string) route {
	t.Helper()
	for _, one := range root.Routes {
		matches := true
		for _, text := range one.Matchers {
			parts := matcher.FindStringSubmatch(text)
			require.NotNil(t, parts, text)
			value, err := strconv.Unquote(parts[2])
			require.NoError(t, err)
			name, _, _ := strings.Cut(text, parts[1])
			equal := regexp.MustCompile("^(?:" + value + ")$").MatchString(labels[name])
			matches = matches && equal == !strings.HasPrefix(parts[1], "!")
		}
		if matches {
			return one
		}
	}
	return root
}

func TestRouting(t *testing.T) {
	t.Parallel()
	p := planned(everything)
	receivers, routes := p.told(slices.Collect(maps.Keys(p.secrets)))
	root := p.route(receivers, routes)
	for _, test := range []struct{ alertname, namespace, severity, want string }{
		{"Watchdog", "", Info, "watchdog"},
		{"Watchdog", "payments", Page, "watchdog"},
		{"A", "payments", Page, "payments"},
		{"A", "checkout", Ticket, "payments"},
		{"A", "payments", "critical", "payments"},
		{"A", "payments", Info, "null"},
		{"A", "ledger", Page, "oncall"},
		{"A", "ledger", Ticket, "auditors"},
		{"A", "ledger", Info, "auditors"},
		{"A", "ledger", "critical", "default"},
		{"A", "kube-system", Page, "oncall"},
		{"A", "kube-system", Ticket, "default"},
		{"A", "", Info, "null"},
		{"A", "", "", "default"},
	} {
		got := receives(t, root, map[string]string{"alertname": test.alertname, "namespace": test.namespace, "severity": test.severity})
		assert.Equal(t, test.want, got.Receiver, test)
		if test.severity == Page && test.want != "watchdog" {
			assert.Equal(t, []string{"10s", "4h"}, []string{got.GroupWait, got.RepeatInterval}, "pages are told sooner: %v", test)
		}
		assert.Equal(t, test.want == "auditors", len(got.MuteTimeIntervals) == 2, test)
	}
}

func TestWhoIsTold(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		secrets      []string
		page, ticket string
		pagers       []string
	}{
		"nobody":            {nil, "null", "null", nil},
		"a dead man":        {[]string{WatchdogURL}, "null", "null", nil},
		"a channel":         {[]string{SlackURL}, "default", "default", nil},
		"a pager":           {[]string{PagerDutyKey}, "default", "default", []string{"default"}},
		"both":              {[]string{SlackURL, PagerDutyKey, OpsgenieKey}, "oncall", "default", []string{"oncall"}},
		"a pager and a bot": {[]string{WebhookURL, PagerDutyKey}, "oncall", "default", []string{"oncall"}},
	} {
		p := planned(func(p *plan) {
			for _, one := range test.secrets {
				p.secrets[one] = slackAddress
			}
		})
		receivers, routes := p.told(test.secrets)
		root := p.route(receivers, routes)
		assert.Equal(t, test.page, receives(t, root, map[string]string{"severity": Page}).Receiver, name)
		assert.Equal(t, test.ticket, receives(t, root, map[string]string{"severity": Ticket}).Receiver, name)
		assert.Equal(t, "null", receives(t, root, map[string]string{"severity": Info}).Receiver, name)
		var pagers []string
		for _, one := range p.receivers(receivers) {
			if len(one.PagerDutyConfigs) > 0 {
				pagers = append(pagers, one.Name)
			}
		}
		assert.Equal(t, test.pagers, pagers, name)
	}
}

func TestReceiversUseTheirOwnSecrets(t *testing.T) {
	t.Parallel()
	p := planned(everything)
	all := map[string]receiver{}
	receivers, _ := p.told(nil)
	for _, one := range p.receivers(receivers) {
		all[one.Name] = one
	}
	assert.Equal(t, slackAddress, all["default"].SlackConfigs[0].APIURL)
	assert.Equal(t, "#alerts", all["default"].SlackConfigs[0].Channel)
	assert.Equal(t, slackAddress+"/payments", all["payments"].SlackConfigs[0].APIURL)
	assert.Equal(t, "#payments", all["payments"].SlackConfigs[0].Channel)
	assert.Equal(t, "0123456789abcdef0123456789abcdef", all["oncall"].PagerDutyConfigs[0].RoutingKey)
	assert.Equal(t, "fedcba9876543210fedcba9876543210", all["payments"].PagerDutyConfigs[0].RoutingKey)
	assert.Equal(t, "pa ss", all["auditors"].EmailConfigs[0].AuthPassword)
	assert.False(t, all["watchdog"].WebhookConfigs[0].SendResolved, "a resolved Watchdog is no sign of life")
}

func TestSilenceLinksNeedAnAddress(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "https://alerts.example.org"} {
		text, err := planned(func(p *plan) { everything(p); p.ExternalURL = address }).render()
		require.NoError(t, err)
		assert.Equal(t, address != "", strings.Contains(text, "silence"), address)
	}
}

// TestTemplatesAreUsed: each template is called, by another or by the configuration, and none is called that there is not. That they say
// something is for `make verify`, which has Alertmanager's own tool render them.
func TestTemplatesAreUsed(t *testing.T) {
	t.Parallel()
	text, err := planned(everything).render()
	require.NoError(t, err)
	names := func(pattern, in string) []string {
		var all []string
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(in, -1) {
			all = append(all, match[1])
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	assert.Equal(t, names(`define "([^"]+)"`, templates), names(`template "([^"]+)"`, templates+text))
	assert.Contains(t, text, "templates:\n- /etc/alertmanager/config/message.tmpl\n")
}

func TestSecretsAreRefusedWithoutBeingShown(t *testing.T) {
	t.Parallel()
	const address, key = `: must be an http or https URL, got "[secret]"`, `: must be a key: not empty, and without spaces, got "[secret]"`
	for _, bad := range []string{"secret token", "https://h/{{ secret-token }}", "https://h/$(secret)", ""} {
		_, err := planned(with(map[string]string{SlackURL: bad, WebhookURL + "-a": bad, WatchdogURL: bad, PagerDutyKey: bad, OpsgenieKey + "-a": bad})).render()
		require.EqualError(t, err, "checking secrets: opsgenieKey-a"+key+"\npagerDutyKey"+key+"\nslackUrl"+address+"\nwatchdogUrl"+address+
			"\nwebhookUrl-a"+address, bad)
	}
	for _, bad := range []string{"secret-token", "ftp://h/secret-token", "https://", "http://h:x/secret-token"} {
		_, err := planned(with(map[string]string{SlackURL: bad})).render()
		require.EqualError(t, err, "checking secrets: slackUrl"+address, bad)
	}
	for _, bad := range []string{"", "a$(HOME)b"} {
		_, err := planned(with(map[string]string{SMTPPassword: bad})).render()
		require.EqualError(t, err, `checking secrets: smtpPassword: must not be empty, and hold no $(name), got "[secret]"`)
	}
}

func TestURLsLeadToOpenPorts(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"https://h/x": true, "https://h:443/x": true, "http://h/x": false, "http://h:443/x": true, "https://h:8443/x": true, "http://h:9095": false,
	} {
		_, err := planned(func(p *plan) { p.secrets[SlackURL], p.EgressPorts = address, []int{8443} }).render()
		assert.Equal(t, want, err == nil, address)
		if err != nil {
			require.EqualError(t, err, `checking secrets: slackUrl: must lead to port 443, or to one of egressPorts: the network policy opens no other, got "[secret]"`)
		}
	}
}

func rendered(t *testing.T, priorityClass string, change func(*Settings)) map[string]any {
	t.Helper()
	s := Settings{}.WithDefaults()
	if change != nil {
		change(&s)
	}
	data, err := json.Marshal(spec(s, priorityClass, versions.Images{}))
	require.NoError(t, err)
	var read map[string]any
	require.NoError(t, json.Unmarshal(data, &read))
	return read
}

var podSelector = map[string]any{"matchLabels": map[string]any{
	"app.kubernetes.io/name": "alertmanager", "app.kubernetes.io/instance": "main",
}}

func spreadOver(key, unsatisfiable string) any {
	return map[string]any{"maxSkew": 1.0, "topologyKey": key, "whenUnsatisfiable": unsatisfiable, "labelSelector": podSelector}
}

func TestSpecByDefault(t *testing.T) {
	t.Parallel()
	require.Equal(t, map[string]any{
		"image": "quay.io/prometheus/alertmanager:v0.34.2", "version": "v0.34.2", "replicas": 3.0,
		"podMetadata": map[string]any{"labels": map[string]any{
			"app.kubernetes.io/name": "alertmanager", "app.kubernetes.io/instance": "main",
			"app.kubernetes.io/component": "alerts", "app.kubernetes.io/part-of": "kansoku",
		}},
		"configSecret":               "alertmanager-main",
		"alertmanagerConfigSelector": map[string]any{}, "alertmanagerConfigNamespaceSelector": map[string]any{},
		"serviceAccountName": "alertmanager-main", "automountServiceAccountToken": false,
		"terminationGracePeriodSeconds": 60.0,
		"securityContext": map[string]any{
			"runAsNonRoot": true, "runAsUser": 1000.0, "runAsGroup": 2000.0, "fsGroup": 2000.0, "fsGroupChangePolicy": "OnRootMismatch",
			"seccompProfile": map[string]any{"type": "RuntimeDefault"},
		},
		"resources": map[string]any{
			"requests": map[string]any{"cpu": "10m", "memory": "100Mi"}, "limits": map[string]any{"memory": "200Mi"},
		},
		"nodeSelector": map[string]any{"kubernetes.io/os": "linux"},
		"tolerations": []any{
			map[string]any{"key": "spotInstance", "operator": "Equal", "value": "true", "effect": "NoSchedule"},
		},
		"affinity": map[string]any{
			"nodeAffinity": map[string]any{
				"preferredDuringSchedulingIgnoredDuringExecution": []any{map[string]any{"weight": 100.0, "preference": map[string]any{
					"matchExpressions": []any{map[string]any{"key": "lifecycle", "operator": "In", "values": []any{"Ec2Spot"}}},
				}}},
			},
			"podAntiAffinity": map[string]any{
				"preferredDuringSchedulingIgnoredDuringExecution": []any{map[string]any{"weight": 100.0, "podAffinityTerm": map[string]any{
					"topologyKey": "kubernetes.io/hostname", "labelSelector": podSelector,
				}}},
			},
		},
		"topologySpreadConstraints": []any{
			spreadOver("topology.kubernetes.io/zone", "ScheduleAnyway"), spreadOver("kubernetes.io/hostname", "ScheduleAnyway"),
		},
		// What the API types always write.
		"alertmanagerConfigMatcherStrategy": map[string]any{},
	}, rendered(t, "", nil))
}

func TestSpecFollowsSettings(t *testing.T) {
	t.Parallel()
	want := rendered(t, "", nil)
	maps.Copy(want, map[string]any{
		"replicas": 2.0, "priorityClassName": "high", "externalUrl": "https://alerts.example.org",
		"topologySpreadConstraints": []any{
			spreadOver("topology.kubernetes.io/zone", "DoNotSchedule"), spreadOver("kubernetes.io/hostname", "ScheduleAnyway"),
		},
		"storage": map[string]any{"volumeClaimTemplate": map[string]any{
			"metadata": map[string]any{}, "status": map[string]any{},
			"spec": map[string]any{
				"storageClassName": "io2", "accessModes": []any{"ReadWriteOnce"},
				"resources": map[string]any{"requests": map[string]any{"storage": "1Gi"}},
			},
		}},
		"resources": map[string]any{
			"requests": map[string]any{"cpu": "1", "memory": "1Gi"}, "limits": map[string]any{"memory": "2Gi"},
		},
	})
	require.Equal(t, want, rendered(t, "high", func(s *Settings) {
		s.Replicas, s.RequireZones, s.ExternalURL = 2, true, "https://alerts.example.org"
		s.StorageSize, s.StorageClass = "1Gi", "io2"
		s.Resources = kube.Resources{CPU: "1", Memory: "1Gi", MemoryLimit: "2Gi"}
	}))
	one := rendered(t, "", func(s *Settings) { s.Replicas = 1 })
	require.Nil(t, one["topologySpreadConstraints"], "one replica is not spread")
	require.Equal(t, 1.0, one["replicas"])
}
