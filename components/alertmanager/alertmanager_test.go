package alertmanager_test

import (
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
		Namespace: pulumi.String("ns"), SlackURL: pulumi.String("https://hooks.slack.example/abc"),
	}
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
	args.WebhookURL, args.WatchdogURL = pulumi.String("https://oncall.example/x"), pulumi.String("https://ping.example/y")
	config, ok := deploy(t, args).Get(t, secretToken, "am").Field("stringData", "alertmanager.yaml").(string)
	require.True(t, ok)
	for _, want := range []string{
		"api_url: https://hooks.slack.example/abc\n", "channel: '#alerts'\n", "url: https://oncall.example/x\n",
		"url: https://ping.example/y\n", "  receiver: default\n", "repeat_interval: 12h\n", "repeat_interval: 4h\n",
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
			args.SlackURL = url
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
		"":        "rendering configuration: slackUrl: must not be empty",
		"xyz-abc": `checking receivers: slackUrl: must be an http or https URL, got "[secret]"`,
	} {
		err := (&mocks.Recorder{}).RunErr(func(ctx *pulumi.Context) error {
			args := wired()
			args.SlackURL = pulumi.String(url)
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
	url := pulumi.String("https://a.example")
	const want = "alertmanager: there is no receiver: alerts are grouped and shown, and nobody is notified"
	require.Equal(t, want, alertmanager.Args{}.Warning())
	require.Equal(t, want, alertmanager.Args{WatchdogURL: url}.Warning(), "it tells of nothing but its own end")
	require.Empty(t, alertmanager.Args{SlackURL: url}.Warning())
	require.Empty(t, alertmanager.Args{WebhookURL: url}.Warning())

	config := deploy(t, &alertmanager.Args{Namespace: pulumi.String("ns")}).Get(t, secretToken, "am").Field("stringData", "alertmanager.yaml")
	require.Contains(t, config, "receivers:\n- name: \"null\"\n", "it is allowed all the same")
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	got := alertmanager.Settings{}.WithDefaults()
	require.Equal(t, alertmanager.Settings{
		Replicas: 3, RepeatInterval: "12h", CriticalRepeatInterval: "4h", StorageClass: "gp3",
		Resources: kube.Resources{CPU: "10m", Memory: "100Mi", MemoryLimit: "200Mi"},
	}, got)
	require.Equal(t, got, got.WithDefaults(), "twice is once")
	require.NoError(t, got.Validate())
	given := alertmanager.Settings{
		Replicas: 1, Slack: alertmanager.SlackSettings{Channel: "#a"}, RepeatInterval: "5m", CriticalRepeatInterval: "1d",
		ExternalURL: "http://a.example/am", StorageSize: "1Gi", StorageClass: "io2", Resources: kube.Resources{CPU: "1", Memory: "1Gi", MemoryLimit: "1Gi"},
	}
	require.Equal(t, given, given.WithDefaults(), "what is given stays")
	require.NoError(t, given.Validate())
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for want, settings := range map[string]alertmanager.Settings{
		"replicas: must be between 1 and 5, got -1":                     {Replicas: -1},
		"replicas: must be between 1 and 5, got 6":                      {Replicas: 6},
		"requireZones: must not be set with one replica, got true":      {Replicas: 1, RequireZones: true},
		`slack.channel: must be a channel such as "#alerts", got "a b"`: {Slack: alertmanager.SlackSettings{Channel: "a b"}},
		`repeatInterval: must be a duration of at least 5m, such as "12h", got "4m59s"
criticalRepeatInterval: must be a duration of at least 5m, such as "12h", got "soon"`: {RepeatInterval: "4m59s", CriticalRepeatInterval: "soon"},
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

func TestArgsRefused(t *testing.T) {
	t.Parallel()
	const channel = "slack.channel: must be given with Slack's webhook URL, and only with it, got "
	for name, test := range map[string]struct {
		args *alertmanager.Args
		want string
	}{
		"nothing": {nil, "validating am: namespace: is required, got null"},
		"settings": {
			&alertmanager.Args{Settings: alertmanager.Settings{Replicas: 9}, Namespace: pulumi.String("ns")},
			"validating am: replicas: must be between 1 and 5, got 9",
		},
		"no channel": {
			&alertmanager.Args{Namespace: pulumi.String("ns"), SlackURL: pulumi.String("https://a.example")}, "validating am: " + channel + `""`,
		},
		"no URL": {
			&alertmanager.Args{
				Namespace: pulumi.String("ns"), Settings: alertmanager.Settings{Slack: alertmanager.SlackSettings{Channel: "#a"}},
			},
			"validating am: " + channel + `"#a"`,
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
