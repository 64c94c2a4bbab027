// Package collector describes how the logs of every node are read: which labels they get, what happens to whose lines, where they go.
// Promtail and Grafana Alloy are both rendered from this one description. It owns the objects that the two have in common, not their
// programs.
package collector

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/versions"
)

// The programs that can collect.
const (
	Promtail = "promtail"
	Alloy    = "alloy"
)

// DefaultMaxWait and DefaultMaxLines of a block of lines are those of both programs.
const (
	DefaultMaxWait  = "3s"
	DefaultMaxLines = 128
)

// defaultTimestamp is the format of a JSON timestamp without one.
const defaultTimestamp = "RFC3339Nano"

// Settings are what a stack may say about the collection of logs.
type Settings struct {
	// Kind of program for whoever chooses between them: promtail or alloy. Promtail is at the end of its life; Alloy takes its place and
	// reads on where Promtail stopped. Default: promtail.
	Kind string `pulumi:"kind,optional"`
	// Labels on the lines of containers.
	Labels Labels `pulumi:"labels,optional"`
	// Pipelines work on the lines of chosen containers, one after the other. Default: none; lines are stored as they were written.
	Pipelines []Pipeline `pulumi:"pipelines,optional"`
	// NoJournal leaves out the nodes' journal (kubelet and containerd). Default: it is read.
	NoJournal bool `pulumi:"noJournal,optional"`
	// Resources of each node's pod. Default: 50m CPU, 64Mi memory, limit 256Mi for Promtail (0.03 cores and 42Mi in the lab); 100m, 256Mi,
	// limit 512Mi for Alloy (an estimate, not measured).
	Resources kube.Resources `pulumi:"resources,optional"`
}

// Labels are which labels the lines of containers have beside namespace, app and container. Each costs one row of index per chunk; one
// that tells pods or nodes apart also makes more streams, and so more chunks. A label must have few values over a day.
type Labels struct {
	// NoPod leaves out the pod's name. Then nothing tells the lines of two replicas apart. Default: kept, for some 0.2 USD a month and 100
	// pods (one chunk in two hours each, eight rows a chunk, DynamoDB in Tokyo).
	NoPod bool `pulumi:"noPod,optional"`
	// Node is the node's name. Default: left out; metrics know a pod's node.
	Node bool `pulumi:"node,optional"`
	// Instance is the pod's label app.kubernetes.io/instance, or instance. Default: left out.
	Instance bool `pulumi:"instance,optional"`
	// Component is the pod's label app.kubernetes.io/component, or component. Default: left out.
	Component bool `pulumi:"component,optional"`
	// Stream is stdout or stderr; it doubles the streams of what writes to both. Default: left out.
	Stream bool `pulumi:"stream,optional"`
}

// Pipeline is what happens to the lines of chosen containers: lines are joined, then JSON is read, then lines are dropped.
type Pipeline struct {
	// Namespace of the containers whose lines these are. At least one of namespace, app and container is required. Default: any.
	Namespace string `pulumi:"namespace,optional"`
	// App is the label that the lines have. Default: any.
	App string `pulumi:"app,optional"`
	// Container by name. Default: any.
	Container string `pulumi:"container,optional"`
	// Multiline joins the lines of a stack trace. Default: no joining.
	Multiline Multiline `pulumi:"multiline,optional"`
	// JSON reads lines that are JSON objects. Default: they are text. A line that is no object stays as it is.
	JSON JSON `pulumi:"json,optional"`
	// Drop leaves lines out; they are gone. Default: none.
	Drop []Drop `pulumi:"drop,optional"`
}

// Multiline joins lines until one begins a new block.
type Multiline struct {
	// FirstLine is a regular expression (RE2) that matches a block's first line. Required to join.
	FirstLine string `pulumi:"firstLine,optional"`
	// MaxWait for a block's next line. Default: 3s.
	MaxWait string `pulumi:"maxWait,optional"`
	// MaxLines of a block; the rest becomes another. Default: 128.
	MaxLines int `pulumi:"maxLines,optional"`
}

// JSON says which fields of a line are used, each as a JMESPath expression ("message", `metadata.namespace`, `"@timestamp"`).
type JSON struct {
	// Message becomes the line, and all other fields are lost. Default: the line stays whole.
	Message string `pulumi:"message,optional"`
	// Level becomes the label "level", in lower case. Default: no such label.
	Level string `pulumi:"level,optional"`
	// Timestamp becomes the line's time. Default: when the container runtime got it.
	Timestamp string `pulumi:"timestamp,optional"`
	// TimestampFormat is RFC3339Nano, Unix, UnixMs, UnixUs, UnixNs or another that Promtail names, or a layout of Go's time package.
	// Default: RFC3339Nano. A time that does not parse is not taken.
	TimestampFormat string `pulumi:"timestampFormat,optional"`
	// Labels by name, at most four; what Settings.Labels says of costs holds. One that exists is replaced. Default: none.
	Labels map[string]string `pulumi:"labels,optional"`
}

func (j JSON) set() bool {
	return j.Message != "" || j.Level != "" || j.Timestamp != "" || len(j.Labels) > 0
}

// Drop leaves out the lines for which all that is set holds.
type Drop struct {
	// Expression is a regular expression (RE2) found anywhere in the line.
	Expression string `pulumi:"expression,optional"`
	// OlderThan is how old a line is when it is read ("24h").
	OlderThan string `pulumi:"olderThan,optional"`
}

// WithDefaults fills what is not set.
func (s Settings) WithDefaults() Settings {
	if s.Kind == "" {
		s.Kind = Promtail
	}
	resources := kube.Resources{CPU: "50m", Memory: "64Mi", MemoryLimit: "256Mi"}
	if s.Kind == Alloy {
		resources = kube.Resources{CPU: "100m", Memory: "256Mi", MemoryLimit: "512Mi"}
	}
	s.Resources = s.Resources.Or(resources)
	s.Pipelines = append([]Pipeline(nil), s.Pipelines...)
	for i := range s.Pipelines {
		p := &s.Pipelines[i]
		if p.Multiline.FirstLine != "" && p.Multiline.MaxWait == "" {
			p.Multiline.MaxWait = DefaultMaxWait
		}
		if p.Multiline.FirstLine != "" && p.Multiline.MaxLines == 0 {
			p.Multiline.MaxLines = DefaultMaxLines
		}
		if p.JSON.Timestamp != "" && p.JSON.TimestampFormat == "" {
			p.JSON.TimestampFormat = defaultTimestamp
		}
	}
	return s
}

// Args are the settings, and what a collector is wired to.
type Args struct {
	Settings
	// Namespace of everything. Required; it must exist and let pods mount their host's directories.
	Namespace pulumi.StringInput `pulumi:"namespace"`
	// PushURL takes the logs: "http://loki.monitoring.svc:3100/loki/api/v1/push". Required.
	PushURL pulumi.StringInput `pulumi:"pushUrl"`
	// Cluster is the label "cluster" on every line, where several clusters share one Loki. Default: no such label.
	Cluster string `pulumi:"cluster,optional"`
	// PriorityClass of the pods. Default: none.
	PriorityClass string `pulumi:"priorityClass,optional"`
	// Images says where the image is pulled from. Default: upstream's registry.
	Images versions.Images `pulumi:"images,optional"`
}
