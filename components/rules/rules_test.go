package rules_test

import (
	"fmt"
	"regexp"
	"slices"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/collector"
	"github.com/kansoku/kansoku/components/loki"
	"github.com/kansoku/kansoku/components/monitoring"
	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/components/rules"
	"github.com/kansoku/kansoku/internal/check"
	"github.com/kansoku/kansoku/internal/mocks"
)

const ruleToken = "kubernetes:monitoring.coreos.com/v1:PrometheusRule"

func args() *rules.Args {
	return &rules.Args{Namespace: pulumi.String("monitoring"), HostNamespace: pulumi.String("monitoring-host")}
}

func deploy(t *testing.T, a *rules.Args) *mocks.Recorder {
	t.Helper()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		_, err := rules.New(ctx, "r", a)
		return err
	})
	return r
}

// exprs are the expressions of all rules, by the alert's or record's name.
func exprs(r *mocks.Recorder) map[string]string {
	all := map[string]string{}
	for _, object := range r.OfType(ruleToken) {
		for _, one := range object.Field("spec", "groups", 0, "rules").([]any) {
			rule := one.(map[string]any)
			name, _ := rule["alert"].(string)
			if name == "" {
				name = rule["record"].(string)
			}
			all[name] = rule["expr"].(string)
		}
	}
	return all
}

func names(r *mocks.Recorder) []string {
	var all []string
	for _, object := range r.OfType(ruleToken) {
		all = append(all, object.Name)
	}
	slices.Sort(all)
	return all
}

func TestObjects(t *testing.T) {
	t.Parallel()
	r := deploy(t, args())
	require.Equal(t, []string{
		"r-cluster", "r-collection", "r-cost", "r-loki", "r-metrics", "r-nodes", "r-spot", "r-stack", "r-thanos", "r-volumes", "r-workloads",
	}, names(r))
	one := r.Get(t, ruleToken, "r-volumes")
	require.Equal(t, "urn:pulumi:test::kansoku::kansoku:rules:Rules::r", one.Parent)
	require.Equal(t, map[string]any{
		"name": "kansoku-volumes", "namespace": "monitoring",
		"labels": map[string]any{
			"app.kubernetes.io/name": "rules", "app.kubernetes.io/instance": "volumes", "app.kubernetes.io/component": "alerts",
			"app.kubernetes.io/part-of": "kansoku",
		},
	}, one.Field("metadata"))
	groups := one.Field("spec", "groups").([]any)
	require.Len(t, groups, 1)
	require.Equal(t, "volumes", one.Field("spec", "groups", 0, "name"))
	require.Equal(t, map[string]any{
		"alert": "VolumeFailed", "for": "10m",
		"expr": `max by (persistentvolume, phase) (kube_persistentvolume_status_phase{job="kube-state-metrics",phase=~"Failed|Pending"}) == 1` +
			"\nor\n" + `max by (namespace, persistentvolumeclaim, phase) ` +
			`(kube_persistentvolumeclaim_status_phase{job="kube-state-metrics",phase="Lost"}) == 1`,
		"labels": map[string]any{"severity": "ticket", "area": "volumes"},
		"annotations": map[string]any{
			"summary": "A volume could not be made, removed or found.",
			"description": "{{ with $labels.persistentvolume }}Volume {{ . }}{{ else }}Claim {{ $labels.namespace }}/" +
				"{{ $labels.persistentvolumeclaim }}{{ end }} is {{ $labels.phase }}.",
			"runbook_url": "https://github.com/kansoku/kansoku/blob/main/docs/runbooks/volume-failed.md",
		},
	}, one.Field("spec", "groups", 0, "rules", 2))
}

func TestNamespaces(t *testing.T) {
	t.Parallel()
	a := args()
	a.Namespace, a.HostNamespace = pulumi.String("observability"), pulumi.String("of-hosts")
	r := deploy(t, a)
	require.Equal(t, "observability", r.Get(t, ruleToken, "r-loki").Field("metadata", "namespace"))
	for name, expr := range exprs(r) {
		require.NotContains(t, expr, "monitoring", name)
		require.NotRegexp(t, `\$[a-z]`, expr, "%s: a value is not filled in", name)
	}
	require.Contains(t, exprs(r)["LokiPanics"], `namespace="observability"`)
	require.Contains(t, exprs(r)["LogsDropped"], `namespace="of-hosts"`)
}

// What a stack does not have must not be missed.
func TestParts(t *testing.T) {
	t.Parallel()
	a := args()
	a.NoLogs, a.NoAutoscaler = true, true
	r := deploy(t, a)
	require.Equal(t, []string{
		"r-cluster", "r-cost", "r-metrics", "r-nodes", "r-spot", "r-stack", "r-thanos", "r-volumes", "r-workloads",
	}, names(r))
	all := exprs(r)
	for _, name := range []string{"ComponentDown", "TargetDown"} {
		require.NotRegexp(t, "loki|promtail|alloy|event-exporter|cluster-autoscaler", all[name])
	}
	require.NotContains(t, all, "ScaleUpFailed")
	require.NotContains(t, all, "AutoscalerStuck")
	require.Contains(t, all, "SpotNodesReclaimed")

	a = args()
	a.Collector = collector.Alloy
	all = exprs(deploy(t, a))
	require.Contains(t, all["ComponentDown"], `up{job="alloy",namespace="monitoring-host"}`)
	require.NotContains(t, all["ComponentDown"], "promtail")
}

// stack deploys the whole stack with a kind of collector.
func stack(t *testing.T, kind string) *mocks.Recorder {
	t.Helper()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		bucket := objectstore.Location{Bucket: pulumi.String("bucket"), Region: pulumi.String("eu-west-1")}
		_, err := monitoring.New(ctx, "m", &monitoring.Args{
			Settings: monitoring.Settings{
				Loki:      &loki.Settings{Schema: []loki.Period{{From: "2026-01-01", Index: loki.DynamoDB}}},
				Collector: collector.Settings{Kind: kind},
			},
			Cluster: "dev", Blocks: bucket, Chunks: bucket, Index: loki.Index{Table: pulumi.String("index"), Region: pulumi.String("eu-west-1")},
			Scaled:   &monitoring.ScaledCluster{Name: pulumi.String("dev"), Region: pulumi.String("eu-west-1")},
			RoleARNs: map[string]pulumi.StringInput{"cluster-autoscaler": pulumi.String("arn:scale")},
		})
		return err
	})
	return r
}

// Every job that a rule asks for is the job of some target: ServiceMonitors name them, and a rename would silence the alert.
func TestJobsExist(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{collector.Promtail, collector.Alloy} {
		r := stack(t, kind)
		have := map[string]bool{}
		for _, monitor := range r.OfType("kubernetes:monitoring.coreos.com/v1:ServiceMonitor") {
			for _, job := range jobs(r, monitor) {
				have[job] = true
			}
		}
		asked := map[string]bool{}
		for name, expr := range exprs(r) {
			for _, found := range regexp.MustCompile(`job="([^"]+)"`).FindAllStringSubmatch(expr, -1) {
				require.True(t, have[found[1]], "%s asks for the job %s, and no monitor makes it", name, found[1])
				asked[found[1]] = true
			}
		}
		for job := range have {
			require.True(t, asked[job], "nothing tells when %s is gone", job)
		}
	}
}

// jobs are the values that a monitor's targets have as "job": what a relabelling writes there, else a label of the Service, else its name.
func jobs(r *mocks.Recorder, monitor mocks.Resource) []string {
	if job, ok := monitor.Field("spec", "endpoints", 0, "relabelings", 0, "targetLabel").(string); ok && job == "job" {
		return []string{monitor.Field("spec", "endpoints", 0, "relabelings", 0, "replacement").(string)}
	}
	selector := monitor.Field("spec", "selector", "matchLabels").(map[string]any)
	label, _ := monitor.Field("spec", "jobLabel").(string)
	if value, ok := selector[label].(string); ok {
		return []string{value}
	}
	var names []string
	for _, service := range r.OfType("kubernetes:core/v1:Service") {
		labels, _ := service.Field("metadata", "labels").(map[string]any)
		fits := service.Field("metadata", "namespace") == monitor.Field("metadata", "namespace")
		for key, value := range selector {
			fits = fits && labels[key] == value
		}
		if fits {
			names = append(names, service.Field("metadata", "name").(string))
		}
	}
	return names
}

func TestSettings(t *testing.T) {
	t.Parallel()
	half := 0.5
	a := args()
	a.Disabled = []string{"NodeDown", "LogPanic"}
	a.RunbookBase = "https://wiki.example.org/"
	a.Alerts = []rules.Alert{
		{Name: "NodeDiskFilling", For: "1h", Threshold: &half, Window: "2h", Severity: rules.Info},
		{Name: "NodeDiskFull", For: "0s"},
		{Name: "LogErrorBurst", Window: "10m"},
	}
	r := deploy(t, a)
	all := exprs(r)
	require.NotContains(t, all, "NodeDown")
	require.Contains(t, all["NodeDiskFilling"], "< 0.5")
	require.Contains(t, all["NodeDiskFilling"], "[2h]")
	for _, one := range r.Get(t, ruleToken, "r-nodes").Field("spec", "groups", 0, "rules").([]any) {
		rule := one.(map[string]any)
		switch rule["alert"] {
		case "NodeDiskFilling":
			require.Equal(t, "1h", rule["for"])
			require.Equal(t, "info", rule["labels"].(map[string]any)["severity"])
			require.Equal(t, "https://wiki.example.org/node-disk.md", rule["annotations"].(map[string]any)["runbook_url"])
		case "NodeDiskFull":
			require.NotContains(t, rule, "for", "at once")
		}
	}

	logs := rules.Logs(a.Settings, "monitoring", "monitoring-host", "dev")
	require.Len(t, logs, 1)
	require.Equal(t, "logs", logs[0].Name)
	var alerts []string
	for _, one := range logs[0].Rules {
		alerts = append(alerts, one.Alert)
		require.Equal(t, "dev", one.Labels["cluster"])
	}
	require.Equal(t, []string{"LogErrorBurst", "LogSilence"}, alerts)
	require.Contains(t, logs[0].Rules[0].Expr, "[10m]")
}

// A range must hold four scrapes, so that one that is missed leaves a rate: components/monitoring refuses an interval for which it would not.
func TestNoRangeIsShorter(t *testing.T) {
	t.Parallel()
	ranges, checked := regexp.MustCompile(`\[([0-9a-z]+)\]`), 0
	for name, expr := range exprs(deploy(t, args())) {
		for _, found := range ranges.FindAllStringSubmatch(expr, -1) {
			length, err := check.ParseDuration(found[1])
			require.NoError(t, err, name)
			require.GreaterOrEqual(t, length, rules.ShortestRange, name)
			checked++
		}
	}
	require.Greater(t, checked, 100, "the ranges are no longer found")
}

func TestMustLog(t *testing.T) {
	t.Parallel()
	silence := func(s rules.Settings) []string {
		var all []string
		for _, one := range rules.Logs(s, "observability", "observability-host", "dev")[0].Rules {
			if one.Alert == "LogSilence" {
				all = append(all, one.Expr)
			}
		}
		return all
	}
	require.Equal(t, []string{`absent_over_time({namespace="observability",app="loki"}[15m])`}, silence(rules.Settings{}))
	require.Equal(t, []string{
		`absent_over_time({namespace="shop",app="cart"}[15m])`, `absent_over_time({namespace="shop",app="web"}[15m])`,
	}, silence(rules.Settings{MustLog: []rules.Workload{{Namespace: "shop", App: "cart"}, {Namespace: "shop", App: "web"}}}))
	require.Empty(t, rules.Logs(rules.Settings{Disabled: []string{"LogPanic", "LogErrorBurst", "LogSilence"}}, "monitoring", "monitoring-host", "dev"))
}

func TestLogRulesAreTaken(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		_, err := loki.New(ctx, "l", &loki.Args{
			Settings:  loki.Settings{Schema: []loki.Period{{From: "2026-01-01", Index: loki.TSDB}}},
			Namespace: pulumi.String("monitoring"),
			Chunks:    objectstore.Location{Bucket: pulumi.String("chunks"), Region: pulumi.String("eu-west-1")},
			Rules:     rules.Logs(rules.Settings{}, "monitoring", "monitoring-host", "dev"),
		})
		return err
	})
	require.Contains(t, fmt.Sprint(r.Get(t, "kubernetes:core/v1:ConfigMap", "l-rules").Inputs), "LogErrorBurst")
}

func TestRefused(t *testing.T) {
	t.Parallel()
	zero, one := 0.0, 1.0
	for want, s := range map[string]rules.Settings{
		`disabled[0]: must be the name of an alert; near to it are NodeDown, LokiSlow, NodeDiskSlow, got "NodeDwon"`: {Disabled: []string{"NodeDwon"}},
		`disabled[1]: must not be named twice, got "NodeDown"`:                                                       {Disabled: []string{"NodeDown", "NodeDown"}},
		`alerts[0].name: must be the name of an alert; near to it are LokiSlow, CoreDNSSlow, LogPanic, got "lokislow"`: {
			Alerts: []rules.Alert{{Name: "lokislow", For: "5m"}},
		},
		`alerts[1].name: must not be named twice, got "NodeDown"`: {Alerts: []rules.Alert{{Name: "NodeDown", For: "5m"}, {Name: "NodeDown", For: "6m"}}},
		`alerts[0].name: must not be disabled as well, got "NodeDown"`: {
			Disabled: []string{"NodeDown"}, Alerts: []rules.Alert{{Name: "NodeDown", For: "5m"}},
		},
		`alerts[0].for: must be a Prometheus duration such as "30m", got "5 minutes"`: {Alerts: []rules.Alert{{Name: "NodeDown", For: "5 minutes"}}},
		`alerts[0].window: must be a Prometheus duration of at least 5m, such as "30m": a shorter one has too few samples, got "4m"`: {
			Alerts: []rules.Alert{{Name: "NodeDown", Window: "4m"}},
		},
		`alerts[0].window: must not be set: NodeDiskFull looks back over none, got "5m"`: {
			Alerts: []rules.Alert{{Name: "NodeDiskFull", Window: "5m"}},
		},
		`alerts[0].threshold: must not be set: PodNotReady has none, got 1`: {Alerts: []rules.Alert{{Name: "PodNotReady", Threshold: &one}}},
		`alerts[0].threshold: must be above 0; to leave the alert out, name it in disabled, got 0`: {
			Alerts: []rules.Alert{{Name: "NodeDown", Threshold: &zero}},
		},
		`alerts[0].severity: must be one of page, ticket, info, got "critical"`: {Alerts: []rules.Alert{{Name: "NodeDown", Severity: "critical"}}},
		`alerts[0]: must change something: for, threshold, window or severity, got "NodeDown"`: {
			Alerts: []rules.Alert{{Name: "NodeDown"}},
		},
		`runbookBase: must be a URL such as "https://wiki.example.org/runbooks", got "docs"`:     {RunbookBase: "docs"},
		`grafanaUrl: must be a URL such as "https://grafana.example.com", got "grafana.example"`: {GrafanaURL: "grafana.example"},
		`mustLog[0].namespace: must be a namespace's name, got ""`:                               {MustLog: []rules.Workload{{App: "web"}}},
		`mustLog[0].app: must be the label of log lines, got "a\"b"`:                             {MustLog: []rules.Workload{{Namespace: "shop", App: `a"b`}}},
	} {
		require.EqualError(t, s.WithDefaults().Validate(), want)
	}
	for want, a := range map[string]*rules.Args{
		"namespace: is required, got null":     nil,
		"hostNamespace: is required, got null": {Namespace: pulumi.String("monitoring")},
		`collector: must be one of promtail, alloy, got "fluentd"`: {
			Namespace: pulumi.String("monitoring"), HostNamespace: pulumi.String("h"), Collector: "fluentd",
		},
	} {
		err := (&mocks.Recorder{}).RunErr(func(ctx *pulumi.Context) error {
			_, err := rules.New(ctx, "r", a)
			return err
		})
		require.ErrorContains(t, err, "validating r: ")
		require.ErrorContains(t, err, want)
	}
}

// TestWhatIsSomebodyElses: the operator and Grafana of others are watched by others.
func TestWhatIsSomebodyElses(t *testing.T) {
	t.Parallel()
	ours, a := exprs(deploy(t, args())), args()
	a.NoOperator, a.NoGrafana = true, true
	theirs := exprs(deploy(t, a))
	for alert, job := range map[string]string{"OperatorFailing": "prometheus-operator", "GrafanaErrors": "grafana"} {
		require.Contains(t, ours, alert)
		require.NotContains(t, theirs, alert)
		for name, expr := range theirs {
			require.NotContains(t, expr, `job="`+job+`"`, name)
		}
	}
	require.Len(t, theirs, len(ours)-2)
}
