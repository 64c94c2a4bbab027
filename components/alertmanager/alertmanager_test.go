package alertmanager_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/alertmanager"
	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/internal/mocks"
)

const (
	crToken      = "kubernetes:monitoring.coreos.com/v1:Alertmanager"
	monitorToken = "kubernetes:monitoring.coreos.com/v1:ServiceMonitor"
	secretToken  = "kubernetes:core/v1:Secret"
	serviceToken = "kubernetes:core/v1:Service"
	accountToken = "kubernetes:core/v1:ServiceAccount"
	budgetToken  = "kubernetes:policy/v1:PodDisruptionBudget"

	urn = "urn:pulumi:test::kansoku::kansoku:alertmanager:Alertmanager"
)

func wired() *alertmanager.Args {
	return &alertmanager.Args{
		Settings:  alertmanager.Settings{Slack: alertmanager.SlackSettings{Channel: "#alerts"}},
		Namespace: pulumi.String("ns"), Secrets: secrets("https://hooks.slack.example/abc", alertmanager.SlackURL),
	}
}

// secrets by these names, all with the same value.
func secrets(value string, names ...string) map[string]pulumi.StringInput {
	all := map[string]pulumi.StringInput{}
	for _, name := range names {
		all[name] = pulumi.String(value)
	}
	return all
}

func deploy(t *testing.T, args *alertmanager.Args) *mocks.Recorder {
	t.Helper()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		_, err := alertmanager.New(ctx, "am", args)
		return err
	})
	return r
}

func TestChildren(t *testing.T) {
	t.Parallel()
	r := deploy(t, wired())
	require.Equal(t, "kansoku:alertmanager:Alertmanager", r.All()[0].Type)
	got := map[string]string{}
	for _, one := range r.All()[1:] {
		require.Equal(t, urn+"::am", one.Parent, one.Type)
		require.Equal(t, "am", one.Name)
		require.Equal(t, "ns", one.Field("metadata", "namespace"), one.Type)
		require.Equal(t, map[string]any{
			"app.kubernetes.io/name": "alertmanager", "app.kubernetes.io/instance": "main",
			"app.kubernetes.io/component": "alerts", "app.kubernetes.io/part-of": "kansoku", "app.kubernetes.io/version": "v0.34.2",
		}, one.Field("metadata", "labels"), one.Type)
		got[one.Type] = one.Field("metadata", "name").(string)
	}
	require.Equal(t, map[string]string{
		accountToken: "alertmanager-main", secretToken: "alertmanager-main", serviceToken: "alertmanager-main",
		monitorToken: "alertmanager-main", budgetToken: "alertmanager-main", crToken: "main",
	}, got)
}

func TestObject(t *testing.T) {
	t.Parallel()
	args := wired()
	args.PriorityClass = "high"
	r := deploy(t, args)
	cr := r.Get(t, crToken, "am")
	require.Equal(t, "monitoring.coreos.com/v1", cr.Field("apiVersion"))
	require.Equal(t, "Alertmanager", cr.Field("kind"))
	require.Equal(t, map[string]any{"pulumi.com/waitFor": "condition=Available"}, cr.Field("metadata", "annotations"))
	require.ElementsMatch(t, []string{
		urn + "$" + accountToken + "::am", urn + "$" + secretToken + "::am",
	}, cr.Depends, "what the pods need is there before them")
	require.Equal(t, 3.0, cr.Field("spec", "replicas"))
	require.Equal(t, "high", cr.Field("spec", "priorityClassName"))

	account := r.Get(t, accountToken, "am")
	require.Equal(t, false, account.Field("automountServiceAccountToken"))
	require.Nil(t, account.Field("metadata", "annotations"))
	require.Equal(t, account.Field("metadata", "name"), cr.Field("spec", "serviceAccountName"))
	require.Equal(t, r.Get(t, secretToken, "am").Field("metadata", "name"), cr.Field("spec", "configSecret"))
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	args := wired()
	args.Secrets[alertmanager.WebhookURL], args.Secrets[alertmanager.WatchdogURL] = pulumi.String("https://oncall.example/x"), pulumi.String("https://ping.example/y")
	args.Inhibitions = []alertmanager.Inhibition{{Source: []string{`a="b"`}, Target: []string{`c="d"`}}}
	secret := deploy(t, args).Get(t, secretToken, "am")
	config, ok := secret.Field("stringData", "alertmanager.yaml").(string)
	require.True(t, ok)
	require.Contains(t, secret.Field("stringData", "message.tmpl"), `{{ define "kansoku.title" -}}`, "where the configuration has it")
	for _, want := range []string{
		"api_url: https://hooks.slack.example/abc\n", "channel: '#alerts'\n", "url: https://oncall.example/x\n",
		"url: https://ping.example/y\n", "  receiver: default\n", "repeat_interval: 12h\n", "repeat_interval: 4h\n",
		"inhibit_rules:\n- source_matchers:\n  - a=\"b\"\n  target_matchers:\n  - c=\"d\"\n",
	} {
		assert.Contains(t, config, want)
	}
}

// secrecy records which inputs are secrets.
type secrecy struct {
	mu     sync.Mutex
	inputs map[string]resource.PropertyMap
}

func (s *secrecy) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inputs[args.TypeToken] = args.Inputs
	return args.Name, args.Inputs, nil
}

func (s *secrecy) Call(pulumi.MockCallArgs) (resource.PropertyMap, error) { return nil, nil }

func TestOnlyTheConfigurationIsSecret(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]pulumi.StringInput{
		"secret": pulumi.ToSecret(pulumi.String("https://hooks.slack.example/abc")).(pulumi.StringOutput),
		"plain":  pulumi.String("https://hooks.slack.example/abc"),
	} {
		seen := &secrecy{inputs: map[string]resource.PropertyMap{}}
		require.NoError(t, pulumi.RunErr(func(ctx *pulumi.Context) error {
			args := wired()
			args.Secrets[alertmanager.SlackURL] = url
			_, err := alertmanager.New(ctx, "am", args)
			return err
		}, pulumi.WithMocks(mocks.Project, mocks.Stack, seen)))
		for token, inputs := range seen.inputs {
			assert.Equal(t, token == secretToken, inputs.ContainsSecrets(), "%s: %s", name, token)
		}
	}
}

func TestEmptyOrWrongURLFails(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"":        `checking secrets: slackUrl: must be an http or https URL, got "[secret]"`,
		"xyz-abc": `checking secrets: slackUrl: must be an http or https URL, got "[secret]"`,
	} {
		err := (&mocks.Recorder{}).RunErr(func(ctx *pulumi.Context) error {
			args := wired()
			args.Secrets = secrets(url, alertmanager.SlackURL)
			_, err := alertmanager.New(ctx, "am", args)
			return err
		})
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "xyz-abc")
	}
}

func TestService(t *testing.T) {
	t.Parallel()
	r := deploy(t, wired())
	selector := map[string]any{"app.kubernetes.io/name": "alertmanager", "app.kubernetes.io/instance": "main"}
	require.Equal(t, map[string]any{
		"selector": selector, "sessionAffinity": "ClientIP",
		"ports": []any{
			map[string]any{"name": "web", "port": 9093.0, "targetPort": "web"},
			map[string]any{"name": "reloader-web", "port": 8080.0, "targetPort": "reloader-web"},
		},
	}, r.Get(t, serviceToken, "am").Field("spec"))
	require.Equal(t, map[string]any{
		"selector": map[string]any{"matchLabels": selector}, "namespaceSelector": map[string]any{},
		"endpoints": []any{map[string]any{"port": "web"}, map[string]any{"port": "reloader-web"}},
	}, r.Get(t, monitorToken, "am").Field("spec"))
	require.Equal(t, map[string]any{
		"maxUnavailable": 1.0, "selector": map[string]any{"matchLabels": selector}, "unhealthyPodEvictionPolicy": "AlwaysAllow",
	}, r.Get(t, budgetToken, "am").Field("spec"))
}

func TestOneReplicaHasNoBudget(t *testing.T) {
	t.Parallel()
	args := wired()
	args.Replicas = 1
	require.Empty(t, deploy(t, args).OfType(budgetToken), "it would block every drain")
}

func TestOutputs(t *testing.T) {
	t.Parallel()
	var got []any
	(&mocks.Recorder{}).Run(t, func(ctx *pulumi.Context) error {
		am, err := alertmanager.New(ctx, "am", wired())
		if err != nil {
			return err
		}
		require.Equal(t, "alertmanager-main", am.Endpoint.Name)
		require.Equal(t, "web", am.Endpoint.Port)
		ctx.Export("seen", pulumi.All(am.URL, am.DiscoveryURL, am.Endpoint.Namespace).ApplyT(func(known []any) string {
			got = known
			return ""
		}))
		return nil
	})
	require.Equal(t, []any{
		"http://alertmanager-main.ns.svc:9093", "http://_web._tcp.alertmanager-operated.ns.svc", "ns",
	}, got)
	require.Equal(t, []int{9093, 9094, 8080}, []int{alertmanager.HTTPPort, alertmanager.MeshPort, alertmanager.ReloaderPort})
}

func TestWarning(t *testing.T) {
	t.Parallel()
	const want = "alertmanager: there is no receiver: alerts are grouped and shown, and nobody is notified"
	require.Equal(t, want, alertmanager.Args{}.Warning())
	require.Equal(t, want, alertmanager.Args{Secrets: secrets("x", alertmanager.WatchdogURL)}.Warning(), "it tells of nothing but its own end")
	for _, name := range alertmanager.ReceiverSecrets() {
		require.Empty(t, alertmanager.Args{Secrets: secrets("x", name)}.Warning(), name)
	}

	config := deploy(t, &alertmanager.Args{Namespace: pulumi.String("ns")}).Get(t, secretToken, "am").Field("stringData", "alertmanager.yaml")
	require.Contains(t, config, "receivers:\n- name: \"null\"\n", "it is allowed all the same")
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	got := alertmanager.Settings{}.WithDefaults()
	require.Equal(t, alertmanager.Settings{
		Replicas: 3, GroupBy: []string{"namespace", "alertname"}, GroupWait: "30s", PageGroupWait: "10s", GroupInterval: "5m",
		RepeatInterval: "12h", PageRepeatInterval: "4h", StorageClass: "gp3",
		Resources: kube.Resources{CPU: "10m", Memory: "100Mi", MemoryLimit: "200Mi"},
	}, got)
	require.Equal(t, got, got.WithDefaults(), "twice is once")
	require.NoError(t, got.Validate())
	given := alertmanager.Settings{
		Replicas: 1, Slack: alertmanager.SlackSettings{Channel: "#a"}, GroupBy: []string{"a"}, GroupWait: "0s", PageGroupWait: "1s", GroupInterval: "15s",
		RepeatInterval: "15s", PageRepeatInterval: "1d", EgressPorts: []int{9095},
		ExternalURL: "http://a.example/am", StorageSize: "1Gi", StorageClass: "io2", Resources: kube.Resources{CPU: "1", Memory: "1Gi", MemoryLimit: "1Gi"},
	}
	require.Equal(t, given, given.WithDefaults(), "what is given stays")
	require.NoError(t, given.Validate())
}

func TestValidate(t *testing.T) {
	t.Parallel()
	const intervals = `groupInterval: must be a duration of at least 15s for each of the 3 replicas, so 45s, got "44s"`
	for want, settings := range map[string]alertmanager.Settings{
		"replicas: must be between 1 and 5, got -1":                     {Replicas: -1},
		"replicas: must be between 1 and 5, got 6":                      {Replicas: 6},
		"requireZones: must not be set with one replica, got true":      {Replicas: 1, RequireZones: true},
		`slack.channel: must be a channel such as "#alerts", got "a b"`: {Slack: alertmanager.SlackSettings{Channel: "a b"}},
		intervals: {GroupInterval: "44s"},
		`repeatInterval: must be a duration of at least groupInterval, 5m, got "4m59s"
pageRepeatInterval: must be a duration of at least groupInterval, 5m, got "soon"`: {RepeatInterval: "4m59s", PageRepeatInterval: "soon"},
		`groupWait: must be a duration such as "30s", got "soon"
pageGroupWait: must be a duration such as "30s", got "1.5s"`: {GroupWait: "soon", PageGroupWait: "1.5s"},
		`groupBy[1]: must be the name of a label, got "..."`:                                              {GroupBy: []string{"a", "..."}},
		`egressPorts[0]: must be 1 to 65535, and not 443, which is open, got 443`:                         {EgressPorts: []int{443, 80}},
		`externalUrl: must be a URL such as "https://alerts.example.org", got "alerts.example.org"`:       {ExternalURL: "alerts.example.org"},
		`storageSize: must be a positive Kubernetes quantity such as "1Gi", got "1 GB"`:                   {StorageSize: "1 GB"},
		`storageSize: must be a positive Kubernetes quantity such as "1Gi", got "0"`:                      {StorageSize: "0"},
		`storageClass: must name a storage class: lower-case letters, digits, dashes and dots, got "GP3"`: {StorageClass: "GP3"},
		`resources.cpu: must be a positive Kubernetes quantity such as "100m" or "256Mi", got "x"`:        {Resources: kube.Resources{CPU: "x"}},
	} {
		require.EqualError(t, settings.WithDefaults().Validate(), want)
	}
	require.NoError(t, alertmanager.Settings{Replicas: 2}.WithDefaults().Validate(), "two are a cluster")
	require.Error(t, alertmanager.Settings{}.Validate(), "and no panic")
}

// routed are settings with a receiver "team" beside the default one, and a route to it.
func routed(change func(*alertmanager.Settings)) alertmanager.Settings {
	s := alertmanager.Settings{
		Receivers: []alertmanager.Receiver{
			{Name: "default", Slack: &alertmanager.SlackSettings{}}, {Name: "team", PagerDuty: &alertmanager.PagerDutySettings{}},
		},
		Routes: []alertmanager.Route{{Receiver: "team", Namespaces: []string{"shop"}}},
	}
	if change != nil {
		change(&s)
	}
	return s.WithDefaults()
}

func TestReceiversRefused(t *testing.T) {
	t.Parallel()
	type settings = alertmanager.Settings
	smtp := alertmanager.SMTPSettings{Smarthost: "mail.example.org:587", From: "alerts@example.org"}
	for want, change := range map[string]func(*settings){
		`receivers: must have one called default: it is told what no route takes, got ["team"]`: func(s *settings) { s.Receivers = s.Receivers[1:] },
		`receivers[1].name: must be lower-case letters, digits and dashes, and not null or watchdog, got "watchdog"`: func(s *settings) {
			s.Receivers[1].Name, s.Routes[0].Receiver = "watchdog", "watchdog"
		},
		`receivers[1].name: must be lower-case letters, digits and dashes, and not null or watchdog, got "The team"`: func(s *settings) {
			s.Receivers[1].Name, s.Routes[0].Receiver = "The team", "The team"
		},
		`receivers[2].name: must be unique, got "team"`:                  func(s *settings) { s.Receivers = append(s.Receivers, s.Receivers[1]) },
		`receivers[1].name: must be the receiver of a route, got "team"`: func(s *settings) { s.Routes = nil },
		`receivers[1].name: must have slack, pagerDuty, opsgenie, email or webhook, got "team"`: func(s *settings) {
			s.Receivers[1].PagerDuty = nil
		},
		`receivers[0].slack.channel: must be a channel such as "#alerts", got "{{ .x }}"`: func(s *settings) { s.Receivers[0].Slack.Channel = "{{ .x }}" },
		`receivers[1].pagerDuty.region: must be us or eu, got "jp"`:                       func(s *settings) { s.Receivers[1].PagerDuty.Region = "jp" },
		`receivers[1].opsgenie.region: must be us or eu, got "jp"
receivers[1].opsgenie.team: must be the name of a team, got "{{ a }}"`: func(s *settings) {
			s.Receivers[1].Opsgenie = &alertmanager.OpsgenieSettings{Region: "jp", Team: "{{ a }}"}
		},
		`receivers[1].email[1]: must be an address such as "oncall@example.org", got "oncall"`: func(s *settings) {
			s.SMTP, s.Receivers[1].Email = &smtp, []string{"a@example.org", "oncall"}
		},
		`smtp: must be set where a receiver has email, and only there, got null`: func(s *settings) { s.Receivers[1].Email = []string{"a@example.org"} },
		`smtp: must be set where a receiver has email, and only there, got {"Smarthost":"mail.example.org:587","From":"alerts@example.org","Username":""}`: func(s *settings) {
			s.SMTP = &smtp
		},
		`smtp.smarthost: must be a name and a port such as "smtp.example.org:587", got "mail.example.org"
smtp.from: must be an address such as "alerts@example.org", got "Alerts"`: func(s *settings) {
			s.Receivers[1].Email = []string{"a@example.org"}
			s.SMTP = &alertmanager.SMTPSettings{Smarthost: "mail.example.org", From: "Alerts"}
		},
		`smtp.smarthost: must be a name and a port such as "smtp.example.org:587", got "mail.example.org:99999"`: func(s *settings) {
			s.Receivers[1].Email = []string{"a@example.org"}
			s.SMTP = &alertmanager.SMTPSettings{Smarthost: "mail.example.org:99999", From: "a@example.org"}
		},
	} {
		require.EqualError(t, routed(change).Validate(), want)
	}
	require.NoError(t, routed(nil).Validate())
}

func TestRoutesRefused(t *testing.T) {
	t.Parallel()
	type (
		settings = alertmanager.Settings
		route    = alertmanager.Route
		muteTime = alertmanager.MuteTime
	)
	muted := func(m muteTime) func(*settings) {
		return func(s *settings) { s.MuteTimes, s.Routes[0].MuteTimes = []muteTime{m}, []string{m.Name} }
	}
	const nothing = `must get alerts that no route before it takes: the first that matches does, got "team"`
	for want, change := range map[string]func(*settings){
		`routes[0].receiver: must be the name of a receiver, got "tema"
receivers[1].name: must be the receiver of a route, got "team"`: nil, // filled in below: the order of the two is that of validation
		`routes[0].severities[1]: must be one of page, ticket, info, got "critical"`: func(s *settings) { s.Routes[0].Severities = []string{"page", "critical"} },
		`routes[0].namespaces[0]: must be the name of a namespace, got "shop-.*"`:    func(s *settings) { s.Routes[0].Namespaces = []string{"shop-.*"} },
		`routes[0].severities: must be given, or namespaces: the receiver default takes all, got null`: func(s *settings) {
			s.Routes[0].Namespaces = nil
		},
		`routes[1].receiver: ` + nothing: func(s *settings) {
			s.Routes = append(s.Routes, route{Receiver: "team", Namespaces: []string{"shop"}, Severities: []string{"page"}})
		},
		`routes[2].receiver: ` + nothing: func(s *settings) {
			s.Routes = append(s.Routes, route{Receiver: "default", Severities: []string{"page", "ticket"}},
				route{Receiver: "team", Namespaces: []string{"shop", "till"}, Severities: []string{"ticket"}})
		},
		`routes[0].muteTimes[0]: must be the name of one of muteTimes, got "nights"`: func(s *settings) { s.Routes[0].MuteTimes = []string{"nights"} },
		`muteTimes[0].name: must be among the muteTimes of a route, got "nights"`: func(s *settings) {
			s.MuteTimes = []muteTime{{Name: "nights", Weekdays: []string{"sunday"}}}
		},
		`muteTimes[0].times: must be given, or weekdays: this would be always, got null`: muted(muteTime{Name: "nights"}),
		`muteTimes[0].times[0]: must be times of one day such as "18:00" and "24:00", in order, got "18:00 to 08:00"`: muted(muteTime{
			Name: "nights", Times: []alertmanager.TimeRange{{Start: "18:00", End: "08:00"}},
		}),
		`muteTimes[0].times[0]: must be times of one day such as "18:00" and "24:00", in order, got "6:00 to 24:30"`: muted(muteTime{
			Name: "nights", Times: []alertmanager.TimeRange{{Start: "6:00", End: "24:30"}},
		}),
		`muteTimes[0].weekdays[0]: must be a day such as "monday", or two in a week that begins on Sunday, such as "monday:friday", got "friday:monday"
muteTimes[0].weekdays[1]: must be a day such as "monday", or two in a week that begins on Sunday, such as "monday:friday", got "Sat"`: muted(muteTime{
			Name: "off", Weekdays: []string{"friday:monday", "Sat"},
		}),
		`muteTimes[0].location: must be a time zone such as "Europe/Berlin", got "Local"`: muted(muteTime{Name: "off", Weekdays: []string{"sunday"}, Location: "Local"}),
		`muteTimes[0].location: must be a time zone such as "Europe/Berlin", got "Berlin"`: muted(muteTime{
			Name: "off", Weekdays: []string{"sunday"}, Location: "Berlin",
		}),
	} {
		if change == nil {
			err := routed(func(s *settings) { s.Routes[0].Receiver = "tema" }).Validate()
			for line := range strings.SplitSeq(want, "\n") {
				require.ErrorContains(t, err, line)
			}
			continue
		}
		require.EqualError(t, routed(change).Validate(), want)
	}
	twice := routed(func(s *settings) {
		muted(muteTime{Name: "off", Weekdays: []string{"sunday"}, Location: "Asia/Tokyo"})(s)
		s.MuteTimes = append(s.MuteTimes, s.MuteTimes[0])
	})
	require.EqualError(t, twice.Validate(), `muteTimes[1].name: must be unique, got "off"`)
	partly := routed(func(s *settings) {
		s.Routes = append([]route{{Receiver: "default", Severities: []string{"page"}}}, s.Routes...)
	})
	require.NoError(t, partly.Validate(), "tickets are left for it")
}

func TestSecretsRefused(t *testing.T) {
	t.Parallel()
	mail := func(s *alertmanager.Settings) {
		s.Receivers[1].Email = []string{"a@example.org"}
		s.SMTP = &alertmanager.SMTPSettings{Smarthost: "mail.example.org:587", From: "alerts@example.org", Username: "me"}
	}
	for _, test := range []struct {
		settings alertmanager.Settings
		given    []string
		want     string
	}{
		{routed(nil), []string{"slackUrl", "pagerDutyKey"}, ""},
		{routed(nil), []string{"slackUrl-default", "pagerDutyKey-team", "watchdogUrl"}, ""},
		{routed(nil), []string{"slackUrl"}, `receivers[1].pagerDuty: must have the secret pagerDutyKey-team, or pagerDutyKey, got "team"`},
		{
			routed(nil),
			[]string{"slackUrl", "pagerDutyKey-team", "pagerDutyKey", "opsgenieKey", "slackUrl-tema", "token"},
			`secrets: must be needed by a receiver: no way of telling asks for this one, got "opsgenieKey"
secrets: must be needed by a receiver: no way of telling asks for this one, got "pagerDutyKey"
secrets: must be needed by a receiver: no way of telling asks for this one, got "slackUrl-tema"
secrets: must be needed by a receiver: no way of telling asks for this one, got "token"`,
		},
		{routed(mail), []string{"slackUrl", "pagerDutyKey", "smtpPassword"}, ""},
		{
			routed(mail),
			[]string{"slackUrl", "pagerDutyKey"},
			`smtp.username: must have the secret smtpPassword, got "me"`,
		},
		{alertmanager.Settings{}, []string{"smtpPassword"}, `secrets: must be needed by a receiver: no way of telling asks for this one, got "smtpPassword"`},
		{alertmanager.Settings{}, []string{"slackUrl-team"}, `secrets: must be needed by a receiver: no way of telling asks for this one, got "slackUrl-team"`},
		{alertmanager.Settings{Slack: alertmanager.SlackSettings{Channel: "#a"}}, []string{"slackUrl"}, ""},
		{
			alertmanager.Settings{Slack: alertmanager.SlackSettings{Channel: "#a"}},
			nil,
			`slack.channel: must be given only where a receiver has Slack, with the secret slackUrl, got "#a"`,
		},
	} {
		err := test.settings.ValidateSecrets(test.given)
		if test.want == "" {
			require.NoError(t, err)
			continue
		}
		require.EqualError(t, err, test.want)
	}
}

func TestEgress(t *testing.T) {
	t.Parallel()
	require.Equal(t, []int{443}, alertmanager.Settings{}.Egress())
	require.Equal(t, []int{443, 8443, 587}, alertmanager.Settings{
		EgressPorts: []int{8443}, SMTP: &alertmanager.SMTPSettings{Smarthost: "mail.example.org:587"},
	}.Egress())
	require.Equal(t, []int{443, 465}, alertmanager.Settings{
		EgressPorts: []int{465}, SMTP: &alertmanager.SMTPSettings{Smarthost: "mail.example.org:465"},
	}.Egress(), "once")
}

func TestArgsRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args *alertmanager.Args
		want string
	}{
		"nothing": {nil, "validating am: namespace: is required, got null"},
		"settings": {
			&alertmanager.Args{Settings: alertmanager.Settings{Replicas: 9}, Namespace: pulumi.String("ns")},
			"validating am: replicas: must be between 1 and 5, got 9",
		},
		"a channel without Slack": {
			&alertmanager.Args{
				Namespace: pulumi.String("ns"), Settings: alertmanager.Settings{Slack: alertmanager.SlackSettings{Channel: "#a"}},
			},
			`validating am: slack.channel: must be given only where a receiver has Slack, with the secret slackUrl, got "#a"`,
		},
		"a secret that is nil": {
			&alertmanager.Args{Namespace: pulumi.String("ns"), Secrets: map[string]pulumi.StringInput{"slackUrl": nil}},
			`validating am: secrets: must not be nil, got "slackUrl"`,
		},
		"inhibitions": {
			&alertmanager.Args{Namespace: pulumi.String("ns"), Inhibitions: []alertmanager.Inhibition{
				{Source: []string{`a="b"`}, Target: []string{`a=~"b|c"`, `d!~"e\\."`, `f!=""`}, Equal: []string{"g"}},
				{Source: []string{`a=b`}, Target: []string{`a=~"("`}, Equal: []string{"a b"}},
				{},
			}},
			`validating am: inhibitions[1].source[0]: must be a matcher such as alertname="NodeDown", got "a=b"
inhibitions[1].target[0]: must be a matcher such as alertname="NodeDown", got "a=~\"(\""
inhibitions[1].equal[0]: must be the name of a label, got "a b"
inhibitions[2].source: must not be empty, got null
inhibitions[2].target: must not be empty, got null`,
		},
	} {
		r := &mocks.Recorder{}
		err := r.RunErr(func(ctx *pulumi.Context) error {
			_, err := alertmanager.New(ctx, "am", test.args)
			return err
		})
		require.ErrorContains(t, err, test.want, name)
		require.Empty(t, r.All(), "nothing is made of wrong arguments")
	}
}
