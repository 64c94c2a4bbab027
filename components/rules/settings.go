package rules

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/collector"
	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/internal/check"
)

// What an alert asks of people. They are values of its label "severity".
const (
	// Page wakes someone: something is broken now, or data is being lost, and it will not mend itself.
	Page = "page"
	// Ticket is for the next working day.
	Ticket = "ticket"
	// Info is there to be looked at beside other alerts; nobody is told.
	Info = "info"
)

// ShortestRange is the shortest that any alert looks back over. Whoever scrapes at an interval of more than a quarter of it leaves ranges with
// too few samples, and alerts silent.
const ShortestRange = 5 * time.Minute

// defaultRunbooks is where the runbooks of this repository are read.
const defaultRunbooks = "https://github.com/kansoku/kansoku/blob/main/docs/runbooks"

// Settings are what a stack may say about alerts. Names, thresholds and windows, and their defaults, are listed in docs/alerts.md.
type Settings struct {
	// Disabled alerts are left out, by name. Default: none.
	Disabled []string `pulumi:"disabled,optional"`
	// Alerts to change, by name. Default: none; all are as docs/alerts.md lists them.
	Alerts []Alert `pulumi:"alerts,optional"`
	// RunbookBase is the address that the file names of the runbooks are appended to. Default: docs/runbooks of this repository on GitHub.
	RunbookBase string `pulumi:"runbookBase,optional"`
	// GrafanaURL is where people reach Grafana ("https://grafana.example.com"): each alert links to the dashboard of its area there, as package
	// dashboards names them. Default: grafana.server.rootUrl where the stack has these dashboards; without it, no links.
	GrafanaURL string `pulumi:"grafanaUrl,optional"`
	// MustLog are workloads that are never silent for long: LogSilence is about them. Default: Loki itself, which logs every evaluation of
	// these very alerts.
	MustLog []Workload `pulumi:"mustLog,optional"`
}

// Alert changes one alert. What is not set stays as it is.
type Alert struct {
	// Name of the alert ("NodeDiskFilling"). Required.
	Name string `pulumi:"name"`
	// For is how long it must hold before it fires, as a Prometheus duration ("30m"); "0s" for at once.
	For string `pulumi:"for,optional"`
	// Threshold beyond which it holds; what it counts is in docs/alerts.md. Above 0, and only for alerts that have one.
	Threshold *float64 `pulumi:"threshold,optional"`
	// Window that is looked back over, as a Prometheus duration ("6h") of at least 5m. Only for alerts that have one.
	Window string `pulumi:"window,optional"`
	// Severity is page, ticket or info.
	Severity string `pulumi:"severity,optional"`
}

// Workload is whose log lines have these labels.
type Workload struct {
	// Namespace of its pods. Required.
	Namespace string `pulumi:"namespace"`
	// App is the label that its lines have. Required.
	App string `pulumi:"app"`
}

// WithDefaults fills what is not set.
func (s Settings) WithDefaults() Settings {
	if s.RunbookBase == "" {
		s.RunbookBase = defaultRunbooks
	}
	return s
}

// Validate checks the settings, defaults filled in.
func (s Settings) Validate() error {
	var errs check.Errors
	known := map[string]alert{}
	for _, g := range everything() {
		for _, a := range g.alerts {
			known[a.name] = a
		}
	}
	unknown := func(key, name string) bool {
		_, ok := known[name]
		errs.Require(ok, key, name, "must be the name of an alert; near to it are %s", strings.Join(nearest(name, known), ", "))
		return !ok
	}
	for i, name := range s.Disabled {
		key := fmt.Sprintf("disabled[%d]", i)
		unknown(key, name)
		errs.Require(!slices.Contains(s.Disabled[:i], name), key, name, "must not be named twice")
	}
	for i, change := range s.Alerts {
		key := fmt.Sprintf("alerts[%d]", i)
		twice := slices.ContainsFunc(s.Alerts[:i], func(a Alert) bool { return a.Name == change.Name })
		errs.Require(!twice, key+".name", change.Name, "must not be named twice")
		errs.Require(!slices.Contains(s.Disabled, change.Name), key+".name", change.Name, "must not be disabled as well")
		if !unknown(key+".name", change.Name) {
			errs.Under(key, change.validate(known[change.Name]))
		}
	}
	errs.Require(isURL(s.RunbookBase), "runbookBase", s.RunbookBase, `must be a URL such as "https://wiki.example.org/runbooks"`)
	errs.Require(s.GrafanaURL == "" || isURL(s.GrafanaURL), "grafanaUrl", s.GrafanaURL, `must be a URL such as "https://grafana.example.com"`)
	for i, workload := range s.MustLog {
		key := fmt.Sprintf("mustLog[%d].", i)
		errs.Require(kube.IsDNSLabel(workload.Namespace), key+"namespace", workload.Namespace, "must be a namespace's name")
		quotable := workload.App != "" && !strings.ContainsAny(workload.App, "\"\\\n")
		errs.Require(quotable, key+"app", workload.App, "must be the label of log lines")
	}
	return errs.Err()
}

func isURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// validate checks the change against the alert that it is for.
func (a Alert) validate(of alert) error {
	var errs check.Errors
	_, err := check.ParseDuration(a.For)
	errs.Require(a.For == "" || err == nil, "for", a.For, `must be a Prometheus duration such as "30m"`)
	window, err := check.ParseDuration(a.Window)
	errs.Require(a.Window == "" || err == nil && window >= ShortestRange, "window", a.Window,
		`must be a Prometheus duration of at least 5m, such as "30m": a shorter one has too few samples`)
	errs.Require(a.Window == "" || of.window != "", "window", a.Window, "must not be set: %s looks back over none", of.name)
	if a.Threshold != nil {
		errs.Require(*a.Threshold > 0, "threshold", *a.Threshold, "must be above 0; to leave the alert out, name it in disabled")
		errs.Require(of.counts != "", "threshold", *a.Threshold, "must not be set: %s has none", of.name)
	}
	if a.Severity != "" {
		check.OneOf(&errs, "severity", a.Severity, Page, Ticket, Info)
	}
	errs.Require(a != Alert{Name: a.Name}, "", a.Name, "must change something: for, threshold, window or severity")
	return errs.Err()
}

// nearest are the three names that take the fewest changes of letters, the nearest first.
func nearest(name string, known map[string]alert) []string {
	var names []string
	for candidate := range known {
		names = append(names, candidate)
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := distance(name, a) - distance(name, b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return names[:3]
}

// distance is how many letters must be put in, taken out or replaced to make one of the other, whatever their case.
func distance(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// Args are the settings, and what there is to watch.
type Args struct {
	Settings
	// Namespace of the rules and of the stack that they are about. Required; it must exist.
	Namespace pulumi.StringInput `pulumi:"namespace"`
	// HostNamespace is where node exporter and collector run. Required.
	HostNamespace pulumi.StringInput `pulumi:"hostNamespace"`
	// NoLogs says that there is no Loki, no collector and no event exporter. Default: false.
	NoLogs bool `pulumi:"noLogs,optional"`
	// Collector of logs: promtail or alloy. Default: promtail.
	Collector string `pulumi:"collector,optional"`
	// NoAutoscaler says that no cluster-autoscaler runs in Namespace. Default: false.
	NoAutoscaler bool `pulumi:"noAutoscaler,optional"`
	// NoOperator says that the Prometheus Operator is somebody else's, who watches it. Default: false.
	NoOperator bool `pulumi:"noOperator,optional"`
	// NoGrafana says that Grafana is somebody else's, who watches it. Default: false.
	NoGrafana bool `pulumi:"noGrafana,optional"`
}

func (a Args) withDefaults() Args {
	a.Settings = a.WithDefaults()
	if a.Collector == "" {
		a.Collector = collector.Promtail
	}
	return a
}

// validate checks what is wired; the settings check themselves.
func (a Args) validate() error {
	var errs check.Errors
	errs.Require(a.Namespace != nil, "namespace", nil, "is required")
	errs.Require(a.HostNamespace != nil, "hostNamespace", nil, "is required")
	check.OneOf(&errs, "collector", a.Collector, collector.Promtail, collector.Alloy)
	return errs.Err()
}
