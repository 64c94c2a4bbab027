package alloy_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/kansoku/kansoku/components/collector"
	"github.com/kansoku/kansoku/components/promtail"
	"github.com/kansoku/kansoku/internal/mocks"
)

// rule is a relabelling rule as either file has it.
type rule struct {
	Sources     []string `json:"source_labels"`
	Separator   string   `json:"separator"`
	Regex       string   `json:"regex"`
	Target      string   `json:"target_label"`
	Replacement string   `json:"replacement"`
	Action      string   `json:"action"`
}

type promtailJob struct {
	Name   string           `json:"job_name"`
	Rules  []rule           `json:"relabel_configs"`
	Stages []map[string]any `json:"pipeline_stages"`
}

// block is a block of Alloy's configuration, its values as they are written.
type block struct {
	head   string
	attrs  map[string]string
	blocks []*block
}

// parse reads what the writer writes: one attribute or brace a line.
func parse(t *testing.T, text string) *block {
	t.Helper()
	stack := []*block{{attrs: map[string]string{}}}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		top := stack[len(stack)-1]
		switch {
		case line == "":
		case line == "}":
			stack = stack[:len(stack)-1]
		case strings.HasSuffix(line, " {"):
			one := &block{head: strings.TrimSuffix(line, " {"), attrs: map[string]string{}}
			top.blocks, stack = append(top.blocks, one), append(stack, one)
		default:
			key, value, found := strings.Cut(line, " = ")
			require.True(t, found, line)
			top.attrs[key] = value
		}
	}
	require.Len(t, stack, 1, "all blocks are closed")
	return stack[0]
}

func (b *block) child(t *testing.T, head string) *block {
	t.Helper()
	for _, one := range b.blocks {
		if one.head == head {
			return one
		}
	}
	require.Fail(t, "no block", head)
	return nil
}

// value is a literal as JSON would have it.
func value(t *testing.T, literal string) any {
	t.Helper()
	if strings.HasPrefix(literal, "{") {
		literal = strings.ReplaceAll(literal, `" = "`, `": "`)
	}
	var v any
	require.NoError(t, json.Unmarshal([]byte(literal), &v), literal)
	return v
}

func (b *block) rules(t *testing.T) []rule {
	t.Helper()
	var rules []rule
	for _, one := range b.blocks {
		require.Equal(t, "rule", one.head)
		fields := map[string]any{}
		for key, literal := range one.attrs {
			fields[key] = value(t, literal)
		}
		data, err := json.Marshal(fields)
		require.NoError(t, err)
		var r rule
		require.NoError(t, yaml.UnmarshalStrict(data, &r))
		rules = append(rules, r)
	}
	return rules
}

// stages are in Promtail's form; what only Alloy has is left out.
func (b *block) stages(t *testing.T) []map[string]any {
	t.Helper()
	var stages []map[string]any
	for _, one := range b.blocks {
		kind := strings.TrimPrefix(one.head, "stage.")
		fields := map[string]any{}
		for key, literal := range one.attrs {
			fields[key] = value(t, literal)
		}
		var content any = fields
		switch kind {
		case "truncate":
			continue
		case "match":
			var nested []any
			for _, stage := range one.stages(t) {
				nested = append(nested, stage)
			}
			fields["stages"] = nested
		case "label_drop":
			kind, content = "labeldrop", fields["values"]
		case "labels":
			content = fields["values"]
		}
		stages = append(stages, map[string]any{kind: content})
	}
	return stages
}

// relabel does what Prometheus' relabelling does with these rules, and drops what is internal.
func relabel(t *testing.T, rules []rule, labels map[string]string) map[string]string {
	t.Helper()
	have := maps.Clone(labels)
	or := func(text, fallback string) string {
		if text == "" {
			return fallback
		}
		return text
	}
	for _, r := range rules {
		regex := regexp.MustCompile("^(?s:" + or(r.Regex, "(.*)") + ")$")
		switch or(r.Action, "replace") {
		case "labeldrop":
			for name := range have {
				if regex.MatchString(name) {
					delete(have, name)
				}
			}
		case "replace":
			var values []string
			for _, source := range r.Sources {
				values = append(values, have[source])
			}
			joined := strings.Join(values, or(r.Separator, ";"))
			if at := regex.FindStringSubmatchIndex(joined); at != nil {
				have[r.Target] = string(regex.ExpandString(nil, or(r.Replacement, "$1"), joined, at))
				if have[r.Target] == "" {
					delete(have, r.Target)
				}
			}
		default:
			require.Fail(t, "unknown action", r.Action)
		}
	}
	path := have["__path__"]
	for name := range have {
		if strings.HasPrefix(name, "__") {
			delete(have, name)
		}
	}
	if path != "" {
		have["__path__"] = path
	}
	return have
}

// both renders the same settings for both programs.
func both(t *testing.T, settings collector.Settings) (map[string]promtailJob, *block) {
	t.Helper()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		_, err := promtail.New(ctx, "logs", args(settings))
		return err
	})
	var file struct {
		Scrape []promtailJob `json:"scrape_configs"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(data(t, r, "promtail.yaml")), &file))
	jobs := map[string]promtailJob{}
	for _, job := range file.Scrape {
		jobs[job.Name] = job
	}
	return jobs, parse(t, data(t, run(t, args(settings)), "config.alloy"))
}

func pod(more map[string]string) map[string]string {
	labels := map[string]string{
		"__meta_kubernetes_namespace": "shop", "__meta_kubernetes_pod_name": "web-7d4b9c6f5d-x2x4z", "__meta_kubernetes_pod_uid": "u-1",
		"__meta_kubernetes_pod_container_name": "main", "__meta_kubernetes_pod_node_name": "ip-10-0-0-1", "__address__": "10.0.0.1:80",
	}
	for name, text := range more {
		labels["__meta_kubernetes_pod_"+name] = text
	}
	return labels
}

func TestBothGiveTheSameLabels(t *testing.T) {
	t.Parallel()
	few := collector.Settings{}
	most := collector.Settings{Labels: collector.Labels{Node: true, Instance: true, Component: true}}
	const path = "/var/log/pods/*u-1/main/*.log"
	for name, tt := range map[string]struct {
		settings   collector.Settings
		have, want map[string]string
	}{
		"deployment": {
			few, pod(map[string]string{"controller_name": "web-7d4b9c6f5d", "controller_kind": "ReplicaSet"}),
			map[string]string{"namespace": "shop", "app": "web", "container": "main", "pod": "web-7d4b9c6f5d-x2x4z", "__path__": path},
		},
		"without pod": {
			collector.Settings{Labels: collector.Labels{NoPod: true}},
			pod(map[string]string{"controller_name": "db"}),
			map[string]string{"namespace": "shop", "app": "db", "container": "main", "__path__": path},
		},
		"cron job": {
			few, pod(map[string]string{"controller_name": "backup-29012345"}),
			map[string]string{"namespace": "shop", "app": "backup", "container": "main", "pod": "web-7d4b9c6f5d-x2x4z", "__path__": path},
		},
		"named by labels": {
			most, pod(map[string]string{
				"controller_name": "x", "label_app_kubernetes_io_name": "nginx", "label_app": "old", "label_app_kubernetes_io_instance": "blue",
				"label_component": "front",
			}),
			map[string]string{
				"namespace": "shop", "app": "nginx", "container": "main", "pod": "web-7d4b9c6f5d-x2x4z", "node": "ip-10-0-0-1",
				"instance": "blue", "component": "front", "__path__": path,
			},
		},
		"old label": {
			most, pod(map[string]string{"controller_name": "x", "label_app": "old"}),
			map[string]string{
				"namespace": "shop", "app": "old", "container": "main", "pod": "web-7d4b9c6f5d-x2x4z", "node": "ip-10-0-0-1", "__path__": path,
			},
		},
		"bare pod": {
			few, pod(nil),
			map[string]string{
				"namespace": "shop", "app": "web-7d4b9c6f5d-x2x4z", "container": "main", "pod": "web-7d4b9c6f5d-x2x4z", "__path__": path,
			},
		},
		"static pod": {
			few, pod(map[string]string{
				"annotationpresent_kubernetes_io_config_hash": "true", "annotation_kubernetes_io_config_hash": "h-1", "controller_name": "node",
			}),
			map[string]string{
				"namespace": "shop", "app": "node", "container": "main", "pod": "web-7d4b9c6f5d-x2x4z", "__path__": "/var/log/pods/*h-1/main/*.log",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			jobs, file := both(t, tt.settings)
			assert.Equal(t, tt.want, relabel(t, jobs["pods"].Rules, tt.have), "Promtail")
			assert.Equal(t, tt.want, relabel(t, file.child(t, `discovery.relabel "pods"`).rules(t), tt.have), "Alloy")
		})
	}
}

func TestBothLabelTheJournalAlike(t *testing.T) {
	t.Parallel()
	jobs, file := both(t, collector.Settings{})
	have := map[string]string{"__journal__systemd_unit": "kubelet.service", "__journal__hostname": "ip-10-0-0-1", "__journal_priority": "6"}
	want := map[string]string{"app": "kubelet", "node": "ip-10-0-0-1"}
	assert.Equal(t, want, relabel(t, jobs["journal"].Rules, have))
	have["job"] = "loki.source.journal.journal" // Alloy's own
	assert.Equal(t, want, relabel(t, file.child(t, `loki.relabel "journal"`).rules(t), have))
}

func TestBothDoTheSameToLines(t *testing.T) {
	t.Parallel()
	for _, settings := range []collector.Settings{{}, everything()} {
		jobs, file := both(t, settings)
		require.NotEmpty(t, jobs["pods"].Stages)
		assert.Equal(t, jobs["pods"].Stages, file.child(t, `loki.process "pods"`).stages(t))
		assert.Empty(t, jobs["journal"].Stages)
		assert.Empty(t, file.child(t, `loki.process "journal"`).stages(t))
	}
}
