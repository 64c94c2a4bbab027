package collector_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/collector"
	"github.com/kansoku/kansoku/components/kube"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	s := collector.Settings{Pipelines: []collector.Pipeline{
		{App: "web", Multiline: collector.Multiline{FirstLine: "^x"}, JSON: collector.JSON{Timestamp: "t"}},
		{App: "api", JSON: collector.JSON{Level: "l"}},
	}}
	full := s.WithDefaults()
	assert.Equal(t, collector.Settings{
		Kind: collector.Promtail, Resources: kube.Resources{CPU: "50m", Memory: "64Mi", MemoryLimit: "256Mi"},
		Pipelines: []collector.Pipeline{
			{
				App: "web", Multiline: collector.Multiline{FirstLine: "^x", MaxWait: "3s", MaxLines: 128},
				JSON: collector.JSON{Timestamp: "t", TimestampFormat: "RFC3339Nano"},
			},
			{App: "api", JSON: collector.JSON{Level: "l"}},
		},
	}, full)
	assert.Equal(t, full, full.WithDefaults(), "idempotent")
	assert.Empty(t, s.Pipelines[0].Multiline.MaxWait, "a copy")
	assert.Equal(t, kube.Resources{CPU: "100m", Memory: "256Mi", MemoryLimit: "512Mi"},
		collector.Settings{Kind: collector.Alloy}.WithDefaults().Resources)
	require.NoError(t, full.Validate())
	require.NoError(t, collector.Settings{}.WithDefaults().Validate())
}

func TestRefused(t *testing.T) {
	t.Parallel()
	pipeline := func(p collector.Pipeline) collector.Settings {
		return collector.Settings{Pipelines: []collector.Pipeline{p}}
	}
	const named = "pipelines[0].json.labels: must be named by letters, digits and underscores, " +
		"and not be one of [cluster level filename stream], got "
	drop := []collector.Drop{{Expression: "x"}}
	for name, tt := range map[string]struct {
		settings collector.Settings
		want     string
	}{
		"kind": {collector.Settings{Kind: "fluentd"}, `kind: must be one of promtail, alloy, got "fluentd"`},
		"resources": {
			collector.Settings{Resources: kube.Resources{CPU: "-1", Memory: "1Mi"}},
			`resources.cpu: must be a positive Kubernetes quantity such as "100m" or "256Mi", got "-1"`,
		},
		"nobody's": {pipeline(collector.Pipeline{Drop: drop}), `pipelines[0].namespace: must be set, or app, or container, got ""`},
		"no work":  {pipeline(collector.Pipeline{App: "a"}), `pipelines[0]: must have multiline, json or drop, got null`},
		"namespace": {
			pipeline(collector.Pipeline{Namespace: `a"}`, Drop: drop}),
			`pipelines[0].namespace: must be a namespace's name, got "a\"}"`,
		},
		"app": {
			pipeline(collector.Pipeline{App: "a b", Drop: drop}),
			`pipelines[0].app: must be the value of a pod's label, or a workload's name, got "a b"`,
		},
		"container": {pipeline(collector.Pipeline{Container: "A", Drop: drop}), `pipelines[0].container: must be a container's name, got "A"`},
		"first line missing": {
			pipeline(collector.Pipeline{App: "a", Multiline: collector.Multiline{MaxWait: "3s", MaxLines: 5}}),
			`pipelines[0].multiline.firstLine: is required, got ""`,
		},
		"first line": {
			pipeline(collector.Pipeline{App: "a", Multiline: collector.Multiline{FirstLine: "("}}),
			"pipelines[0].multiline.firstLine: must be a regular expression (RE2): error parsing regexp: missing closing ): `(`, got \"(\"",
		},
		"wait": {
			pipeline(collector.Pipeline{App: "a", Multiline: collector.Multiline{FirstLine: "x", MaxWait: "2m"}}),
			`pipelines[0].multiline.maxWait: must be between 100ms and 1m, got "2m"`,
		},
		"wait form": {
			pipeline(collector.Pipeline{App: "a", Multiline: collector.Multiline{FirstLine: "x", MaxWait: "3"}}),
			`pipelines[0].multiline.maxWait: must be a duration such as "3s" or "24h", got "3"`,
		},
		"lines": {
			pipeline(collector.Pipeline{App: "a", Multiline: collector.Multiline{FirstLine: "x", MaxLines: 1}}),
			`pipelines[0].multiline.maxLines: must be between 2 and 10000, got 1`,
		},
		"format alone": {
			pipeline(collector.Pipeline{App: "a", JSON: collector.JSON{Level: "l", TimestampFormat: "Unix"}}),
			`pipelines[0].json.timestampFormat: must come with timestamp, got "Unix"`,
		},
		"many labels": {
			pipeline(collector.Pipeline{App: "a", JSON: collector.JSON{
				Labels: map[string]string{"a": "a", "b": "b", "c": "c", "d": "d", "e": "e"},
			}}), `pipelines[0].json.labels: must be at most 4, got 5`,
		},
		"level twice": {
			pipeline(collector.Pipeline{App: "a", JSON: collector.JSON{Labels: map[string]string{"level": "l"}}}),
			named + `"level"`,
		},
		"inner label": {
			pipeline(collector.Pipeline{App: "a", JSON: collector.JSON{Labels: map[string]string{"__path__": "l"}}}),
			named + `"__path__"`,
		},
		"label's path": {
			pipeline(collector.Pipeline{App: "a", JSON: collector.JSON{Labels: map[string]string{"a": ""}}}),
			`pipelines[0].json.labels.a: must not be empty, got ""`,
		},
		"empty drop": {
			pipeline(collector.Pipeline{App: "a", Drop: []collector.Drop{{}}}), `pipelines[0].drop[0]: must have expression or olderThan, got null`,
		},
		"drop": {
			pipeline(collector.Pipeline{App: "a", Drop: []collector.Drop{{Expression: "x"}, {Expression: "["}}}),
			"pipelines[0].drop[1].expression: must be a regular expression (RE2): error parsing regexp: missing closing ]: `[`, got \"[\"",
		},
		"age": {
			pipeline(collector.Pipeline{App: "a", Drop: []collector.Drop{{OlderThan: "0"}}}),
			`pipelines[0].drop[0].olderThan: must be more than 0, got "0"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.EqualError(t, tt.settings.WithDefaults().Validate(), tt.want)
		})
	}
}

func TestPrepare(t *testing.T) {
	t.Parallel()
	_, err := collector.Prepare("logs", collector.Promtail, nil)
	require.EqualError(t, err, "validating logs: namespace: is required, got null\npushUrl: is required, got null")
	wired, err := collector.Prepare("logs", collector.Alloy, &collector.Args{
		Settings: collector.Settings{Kind: collector.Promtail}, Namespace: pulumi.String("a"), PushURL: pulumi.String("b"),
	})
	require.NoError(t, err)
	assert.Equal(t, collector.Alloy, wired.Kind, "the program decides")
	assert.Equal(t, "100m", wired.Resources.CPU)
}

func targets(l collector.Labels) []string {
	var found []string
	for _, rule := range l.PodRules() {
		if rule.Target[:2] != "__" {
			found = append(found, rule.Target)
		}
	}
	return found
}

func TestLabels(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []string{"app", "namespace", "container", "pod"}, targets(collector.Labels{}))
	assert.Equal(t, []string{"app", "namespace", "container"}, targets(collector.Labels{NoPod: true}))
	assert.Equal(t, []string{"app", "namespace", "container", "pod", "node", "instance", "component"},
		targets(collector.Labels{Node: true, Instance: true, Component: true}))

	last := func(s collector.Settings) collector.Stage { return s.PodStages()[len(s.PodStages())-1] }
	assert.Equal(t, collector.Stage{LabelDrop: []string{"filename", "stream"}}, last(collector.Settings{}))
	assert.Equal(t, collector.Stage{LabelDrop: []string{"filename"}}, last(collector.Settings{Labels: collector.Labels{Stream: true}}))

	assert.Nil(t, collector.Args{}.ExternalLabels())
	assert.Equal(t, map[string]string{"cluster": "dev"}, collector.Args{Cluster: "dev"}.ExternalLabels())
}

// Lines are joined before they are read, and dropped by what they were before one field takes their place; only then do the labels go by
// which files are told apart.
func TestOrderOfStages(t *testing.T) {
	t.Parallel()
	s := collector.Settings{Pipelines: []collector.Pipeline{{
		Namespace: "shop", App: "web", Container: "main",
		Multiline: collector.Multiline{FirstLine: "^{"},
		JSON: collector.JSON{
			Message: "msg", Level: "lvl", Timestamp: "ts", TimestampFormat: "UnixMs", Labels: map[string]string{"tenant": "a.b"},
		},
		Drop: []collector.Drop{{Expression: "healthz"}, {OlderThan: "1d"}},
	}}}.WithDefaults()
	assert.Equal(t, []collector.Stage{
		{CRI: &collector.CRIStage{}},
		{Match: &collector.MatchStage{Selector: `{namespace="shop",app="web",container="main"}`, Stages: []collector.Stage{
			{Multiline: &collector.MultilineStage{FirstLine: "^{", MaxWaitTime: "3s", MaxLines: 128}},
			{JSON: &collector.JSONStage{Expressions: map[string]string{
				"__message": "msg", "__timestamp": "ts", "level": "lvl", "tenant": "a.b",
			}}},
			{Template: &collector.TemplateStage{Source: "level", Template: "{{ ToLower .Value }}"}},
			{Labels: map[string]string{"level": "level", "tenant": "tenant"}},
			{Timestamp: &collector.TimestampStage{Source: "__timestamp", Format: "UnixMs", ActionOnFailure: "skip"}},
			{Drop: &collector.DropStage{Expression: "healthz", Reason: "dropped"}},
			{Drop: &collector.DropStage{OlderThan: "24h0m0s", Reason: "dropped"}},
			{Output: &collector.OutputStage{Source: "__message"}},
		}}},
		{LabelDrop: []string{"filename", "stream"}},
	}, s.PodStages())

	message := collector.Settings{Pipelines: []collector.Pipeline{{App: "a", JSON: collector.JSON{Message: "m"}}}}
	assert.Equal(t, []collector.Stage{
		{JSON: &collector.JSONStage{Expressions: map[string]string{"__message": "m"}}},
		{Output: &collector.OutputStage{Source: "__message"}},
	}, message.PodStages()[1].Match.Stages)
}
