package collector

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/internal/check"
)

var (
	appForm   = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.]{0,251}[A-Za-z0-9])?$`)
	labelForm = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
	// reserved labels are the collector's own: made here, or needed to tell streams apart until lines are joined.
	reserved = []string{labelCluster, labelLevel, labelFilename, labelStream}
)

// maxJSONLabels of a pipeline: a stream of Loki has 15 labels by default, and eleven may come from elsewhere (eight of the container,
// cluster, level, and the service_name that Loki adds).
const maxJSONLabels = 4

// Validate checks the settings, defaults filled in.
func (s Settings) Validate() error {
	var errs check.Errors
	check.OneOf(&errs, "kind", s.Kind, Promtail, Alloy)
	for i, p := range s.Pipelines {
		errs.Under(fmt.Sprintf("pipelines[%d]", i), p.validate())
	}
	errs.Under("resources", s.Resources.Validate())
	return errs.Err()
}

func (p Pipeline) validate() error {
	var errs check.Errors
	errs.Require(p.Namespace+p.App+p.Container != "", "namespace", p.Namespace, "must be set, or app, or container")
	errs.Require(p.Namespace == "" || kube.IsDNSLabel(p.Namespace), "namespace", p.Namespace, "must be a namespace's name")
	errs.Require(p.App == "" || appForm.MatchString(p.App), "app", p.App, "must be the value of a pod's label, or a workload's name")
	errs.Require(p.Container == "" || kube.IsDNSLabel(p.Container), "container", p.Container, "must be a container's name")
	errs.Require(p.Multiline != (Multiline{}) || p.JSON.set() || len(p.Drop) > 0, "", nil, "must have multiline, json or drop")
	errs.Under("multiline", p.Multiline.validate())
	errs.Under("json", p.JSON.validate())
	for i, d := range p.Drop {
		errs.Under(fmt.Sprintf("drop[%d]", i), d.validate())
	}
	return errs.Err()
}

func (m Multiline) validate() error {
	var errs check.Errors
	if m == (Multiline{}) {
		return nil
	}
	expression(&errs, "firstLine", m.FirstLine)
	errs.Require(m.FirstLine != "", "firstLine", m.FirstLine, "is required")
	wait, ok := duration(&errs, "maxWait", m.MaxWait)
	errs.Require(!ok || wait >= 100*time.Millisecond && wait <= time.Minute, "maxWait", m.MaxWait, "must be between 100ms and 1m")
	errs.Require(m.MaxLines >= 2 && m.MaxLines <= 10000, "maxLines", m.MaxLines, "must be between 2 and 10000")
	return errs.Err()
}

func (j JSON) validate() error {
	var errs check.Errors
	errs.Require(j.TimestampFormat == "" || j.Timestamp != "", "timestampFormat", j.TimestampFormat, "must come with timestamp")
	errs.Require(len(j.Labels) <= maxJSONLabels, "labels", len(j.Labels), "must be at most %d", maxJSONLabels)
	for _, name := range slices.Sorted(maps.Keys(j.Labels)) {
		ok := labelForm.MatchString(name) && name[:min(2, len(name))] != "__" && !slices.Contains(reserved, name)
		errs.Require(ok, "labels", name, "must be named by letters, digits and underscores, and not be one of %v", reserved)
		errs.Require(j.Labels[name] != "", "labels."+name, j.Labels[name], "must not be empty")
	}
	return errs.Err()
}

func (d Drop) validate() error {
	var errs check.Errors
	errs.Require(d != (Drop{}), "", nil, "must have expression or olderThan")
	expression(&errs, "expression", d.Expression)
	if d.OlderThan != "" {
		age, ok := duration(&errs, "olderThan", d.OlderThan)
		errs.Require(!ok || age > 0, "olderThan", d.OlderThan, "must be more than 0")
	}
	return errs.Err()
}

func expression(errs *check.Errors, key, text string) {
	_, err := regexp.Compile(text)
	errs.Require(err == nil, key, text, "must be a regular expression (RE2): %v", err)
}

func duration(errs *check.Errors, key, text string) (time.Duration, bool) {
	d, err := check.ParseDuration(text)
	errs.Require(err == nil, key, text, `must be a duration such as "3s" or "24h"`)
	return d, err == nil
}

// validate checks what is wired; the settings check themselves.
func (a Args) validate() error {
	var errs check.Errors
	errs.Require(a.Namespace != nil, "namespace", nil, "is required")
	errs.Require(a.PushURL != nil, "pushUrl", nil, "is required")
	return errs.Err()
}
