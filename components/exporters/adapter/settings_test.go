package adapter_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/exporters/adapter"
	"github.com/kansoku/kansoku/components/kube"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	defaults := adapter.Settings{}.WithDefaults()
	assert.Equal(t, adapter.Settings{
		Replicas: 2, Window: "2m", Resources: kube.Resources{CPU: "20m", Memory: "64Mi", MemoryLimit: "256Mi"},
	}, defaults)
	assert.Equal(t, defaults, defaults.WithDefaults())
	require.NoError(t, defaults.Validate())
	require.NoError(t, everything().WithDefaults().Validate())
}

// change gives a valid rule of one change.
func change(f func(*adapter.Rule)) []adapter.Rule {
	rule := adapter.Rule{
		SeriesQuery: "queue_depth", Resources: map[string]adapter.Resource{"namespace": {Name: "namespaces"}},
		MetricsQuery: "sum by (<<.GroupBy>>) (<<.Series>>{<<.LabelMatchers>>})",
	}
	f(&rule)
	return []adapter.Rule{rule}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	const template = "must be a template of <<.Series>>, <<.LabelMatchers>> and <<.GroupBy>>, got "
	for _, test := range []struct {
		name     string
		settings adapter.Settings
		want     string
	}{
		{"replicas", adapter.Settings{Replicas: 11}, "replicas: must be between 1 and 10, got 11"},
		{"negative replicas", adapter.Settings{Replicas: -1}, "replicas: must be between 1 and 10, got -1"},
		{"zones", adapter.Settings{Replicas: 1, RequireZones: true}, "requireZones: must not be set for a single replica, got true"},
		{
			"nothing",
			adapter.Settings{NoDefaultRules: true},
			"noDefaultRules: must not be set without rules, externalRules or resourceMetrics: nothing would be served, got true",
		},
		{"window", adapter.Settings{Window: "59s"}, `window: must be a Prometheus duration between 1m and 1h, such as "2m", got "59s"`},
		{"long window", adapter.Settings{Window: "61m"}, `window: must be a Prometheus duration between 1m and 1h, such as "2m", got "61m"`},
		{"no window", adapter.Settings{Window: "soon"}, `window: must be a Prometheus duration between 1m and 1h, such as "2m", got "soon"`},
		{
			"resources",
			adapter.Settings{Resources: kube.Resources{CPU: "x"}},
			`resources.cpu: must be a positive Kubernetes quantity such as "100m" or "256Mi", got "x"`,
		},
		{
			"empty rule",
			adapter.Settings{Rules: []adapter.Rule{{}}},
			`rules[0].seriesQuery: must not be empty, got ""
rules[0].resources: must name a kind of objects, got null
rules[0].metricsQuery: ` + template + `""`,
		},
		{
			"labels",
			adapter.Settings{Rules: change(func(r *adapter.Rule) {
				r.Resources = map[string]adapter.Resource{"a-b": {Name: "pods"}, "pod": {Name: "pod"}, "x": {Group: "Apps", Name: "deployments"}}
			})},
			`rules[0].resources.a-b: must be the name of a label, got "a-b"
rules[0].resources.pod.name: must be a kind of objects in the plural, such as "pods", got "pod"
rules[0].resources.x.group: must be an API group, such as "apps", got "Apps"`,
		},
		{
			"clusterWide",
			adapter.Settings{Rules: change(func(r *adapter.Rule) { r.ClusterWide = true })},
			"rules[0].clusterWide: must be set in external rules only, got true",
		},
		{
			"external, both",
			adapter.Settings{ExternalRules: change(func(r *adapter.Rule) { r.ClusterWide = true })},
			"externalRules[0].clusterWide: must be set unless resources has the label of namespaces, and only then, got true",
		},
		{
			"external, neither",
			adapter.Settings{ExternalRules: change(func(r *adapter.Rule) { r.Resources = nil })},
			"externalRules[0].clusterWide: must be set unless resources has the label of namespaces, and only then, got false",
		},
		{
			"matches",
			adapter.Settings{Rules: change(func(r *adapter.Rule) { r.Name.Matches = "(" })},
			`rules[0].name.matches: must be a regular expression, got "("`,
		},
		{
			"two captures",
			adapter.Settings{Rules: change(func(r *adapter.Rule) { r.Name.Matches = "(a)(b)" })},
			`rules[0].name.as: must be set where name.matches captures more than one part, got ""`,
		},
		{
			"field",
			adapter.Settings{Rules: change(func(r *adapter.Rule) { r.MetricsQuery = "<<.Labels>>" })},
			"rules[0].metricsQuery: " + template + "\"\\u003c\\u003c.Labels\\u003e\\u003e\"",
		},
		{
			"syntax",
			adapter.Settings{Rules: change(func(r *adapter.Rule) { r.MetricsQuery = "<<" })},
			"rules[0].metricsQuery: " + template + "\"\\u003c\\u003c\"",
		},
	} {
		require.EqualError(t, test.settings.WithDefaults().Validate(), test.want, test.name)
	}
	for _, query := range []string{`<<index .LabelValuesByName "pod">>`, "<<index .GroupBySlice 1>>", "vector(1)"} {
		require.NoError(t, adapter.Settings{Rules: change(func(r *adapter.Rule) { r.MetricsQuery = query })}.WithDefaults().Validate(), query)
	}
	require.NoError(t, adapter.Settings{Rules: change(func(r *adapter.Rule) { r.Name = adapter.Name{Matches: "(a)(b)", As: "$2"} })}.
		WithDefaults().Validate())
}
