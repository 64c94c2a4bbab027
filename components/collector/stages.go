package collector

import (
	"maps"
	"strconv"
	"strings"

	"github.com/kansoku/kansoku/internal/check"
)

// Stage is one step of what happens to a line; exactly one field is set. The names are Promtail's.
type Stage struct {
	CRI       *CRIStage         `json:"cri,omitempty"`
	Match     *MatchStage       `json:"match,omitempty"`
	Multiline *MultilineStage   `json:"multiline,omitempty"`
	JSON      *JSONStage        `json:"json,omitempty"`
	Template  *TemplateStage    `json:"template,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	Timestamp *TimestampStage   `json:"timestamp,omitempty"`
	Drop      *DropStage        `json:"drop,omitempty"`
	Output    *OutputStage      `json:"output,omitempty"`
	LabelDrop []string          `json:"labeldrop,omitempty"`
}

// CRIStage takes off what the container runtime writes before each line, and joins what it has split.
type CRIStage struct{}

// MatchStage has stages for the lines of one selector.
type MatchStage struct {
	Selector string  `json:"selector"`
	Stages   []Stage `json:"stages"`
}

// MultilineStage joins lines.
type MultilineStage struct {
	FirstLine   string `json:"firstline"`
	MaxWaitTime string `json:"max_wait_time"`
	MaxLines    int    `json:"max_lines"`
}

// JSONStage reads fields, for the stages that follow.
type JSONStage struct {
	Expressions map[string]string `json:"expressions"`
}

// TemplateStage rewrites a field.
type TemplateStage struct {
	Source   string `json:"source"`
	Template string `json:"template"`
}

// TimestampStage takes a field as the line's time.
type TimestampStage struct {
	Source          string `json:"source"`
	Format          string `json:"format"`
	ActionOnFailure string `json:"action_on_failure"`
}

// DropStage leaves lines out. The reason is a label of the metric that counts them.
type DropStage struct {
	Expression string `json:"expression,omitempty"`
	OlderThan  string `json:"older_than,omitempty"`
	Reason     string `json:"drop_counter_reason"`
}

// OutputStage takes a field as the line.
type OutputStage struct {
	Source string `json:"source"`
}

// Fields that the JSON stage reads for other stages; no label is called so.
const (
	fieldMessage   = "__message"
	fieldTimestamp = "__timestamp"
)

// PodStages are what happens to the lines of containers.
func (s Settings) PodStages() []Stage {
	stages := []Stage{{CRI: &CRIStage{}}}
	for _, p := range s.Pipelines {
		stages = append(stages, Stage{Match: &MatchStage{Selector: p.selector(), Stages: p.stages()}})
	}
	// Which file and which output tell blocks of lines apart until they are joined; only then may the labels go. The file's name has the
	// pod's UID in it.
	drop := []string{labelFilename}
	if !s.Labels.Stream {
		drop = append(drop, labelStream)
	}
	return append(stages, Stage{LabelDrop: drop})
}

func (p Pipeline) selector() string {
	var matchers []string
	for _, one := range []struct{ label, value string }{
		{labelNamespace, p.Namespace},
		{labelApp, p.App},
		{labelContainer, p.Container},
	} {
		if one.value != "" {
			matchers = append(matchers, one.label+"="+strconv.Quote(one.value))
		}
	}
	return "{" + strings.Join(matchers, ",") + "}"
}

func (p Pipeline) stages() []Stage {
	var stages []Stage
	if p.Multiline.FirstLine != "" {
		stages = append(stages, Stage{Multiline: &MultilineStage{
			FirstLine: p.Multiline.FirstLine, MaxWaitTime: goDuration(p.Multiline.MaxWait), MaxLines: p.Multiline.MaxLines,
		}})
	}
	if p.JSON.set() {
		stages = append(stages, p.JSON.stages()...)
	}
	for _, d := range p.Drop {
		one := &DropStage{Expression: d.Expression, Reason: "dropped"}
		if d.OlderThan != "" {
			one.OlderThan = goDuration(d.OlderThan)
		}
		stages = append(stages, Stage{Drop: one})
	}
	// Last, because lines are dropped by what they were.
	if p.JSON.Message != "" {
		stages = append(stages, Stage{Output: &OutputStage{Source: fieldMessage}})
	}
	return stages
}

func (j JSON) stages() []Stage {
	fields, labels := maps.Clone(j.Labels), map[string]string{}
	if fields == nil {
		fields = map[string]string{}
	}
	for name := range j.Labels {
		labels[name] = name
	}
	for field, path := range map[string]string{labelLevel: j.Level, fieldTimestamp: j.Timestamp, fieldMessage: j.Message} {
		if path != "" {
			fields[field] = path
		}
	}
	stages := []Stage{{JSON: &JSONStage{Expressions: fields}}}
	if j.Level != "" {
		// INFO and info are one stream.
		stages = append(stages, Stage{Template: &TemplateStage{Source: labelLevel, Template: "{{ ToLower .Value }}"}})
		labels[labelLevel] = labelLevel
	}
	if len(labels) > 0 {
		stages = append(stages, Stage{Labels: labels})
	}
	if j.Timestamp != "" {
		// Promtail's default on failure is a time near the last one: the runtime's own is better.
		stages = append(stages, Stage{Timestamp: &TimestampStage{
			Source: fieldTimestamp, Format: j.TimestampFormat, ActionOnFailure: "skip",
		}})
	}
	return stages
}

// goDuration is a valid duration as Go's time package reads it, and so both programs: it knows no days.
func goDuration(text string) string {
	d, _ := check.ParseDuration(text) // validated
	return d.String()
}
