package rules

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/internal/check"
)

// runbooks is where the runbooks are, seen from here.
var runbooks = filepath.Join("..", "..", "docs", "runbooks")

func TestEachAlertIsWhole(t *testing.T) {
	t.Parallel()
	all := proofs(t)
	seen := map[string]bool{}
	for _, g := range everything() {
		require.NotEmpty(t, g.about, g.name)
		for _, r := range g.records {
			require.Regexp(t, `^[a-z_]+:[a-z0-9_]+:[a-z0-9_]*$`, r.name, "level:metric:operation")
			require.NotEmpty(t, r.why, r.name)
		}
		for _, a := range g.alerts {
			require.False(t, seen[a.name], "%s is there twice", a.name)
			seen[a.name] = true
			require.Contains(t, []string{Page, Ticket, Info}, a.severity, a.name)
			_, err := check.ParseDuration(a.hold)
			require.NoError(t, err, a.name)
			for _, text := range []string{a.summary, a.description} {
				require.Regexp(t, `\.$`, text, a.name)
			}
			require.NotContains(t, a.summary, "{{", "%s: a summary stands above several alerts, and has no values", a.name)
			// A value that nothing reads could be set, and would do nothing.
			require.Equal(t, a.counts != "", strings.Contains(a.expr, "$threshold"), "%s: threshold", a.name)
			require.Equal(t, a.counts != "", a.threshold > 0, "%s: threshold", a.name)
			require.Equal(t, a.window != "", strings.Contains(a.expr, "$window"), "%s: window", a.name)
			if g.onLogs {
				continue // Loki has nothing like promtool
			}
			p, ok := all[g.name][a.name]
			require.True(t, ok, "%s has no tests in testdata/cases/%s.yaml", a.name, g.name)
			require.True(t, a.name == always || len(p.Fires) > 0 && len(p.Silent) > 0, "%s is not tested both ways", a.name)
			require.NotEqual(t, p.Says == "", len(p.Alerts) == 0, "%s: either says, or alerts", a.name)
			delete(all[g.name], a.name)
		}
	}
	for name, cases := range all {
		require.Empty(t, slices.Sorted(maps.Keys(cases)), "testdata/cases/%s.yaml has tests of no alert", name)
	}
}

// labelled are the labels that an alert's tests expect it to have.
func labelled(p proof) map[string]bool {
	has := map[string]bool{}
	for _, one := range append(p.Alerts, told{Labels: p.Labels}) {
		for name := range one.Labels {
			has[name] = true
		}
	}
	return has
}

// What a description says by a label, the series must have.
func TestLabelsAreThere(t *testing.T) {
	t.Parallel()
	all := proofs(t)
	label := regexp.MustCompile(`\$labels\.([a-z_]+)`)
	for _, g := range everything() {
		for _, a := range g.alerts {
			if g.onLogs {
				continue
			}
			has := labelled(all[g.name][a.name])
			for _, found := range label.FindAllStringSubmatch(a.description, -1) {
				require.True(t, has[found[1]], "%s speaks of the label %s, which none of its alerts has", a.name, found[1])
			}
		}
	}
}

func TestEachAlertHasARunbook(t *testing.T) {
	t.Parallel()
	needed := map[string]bool{}
	for _, g := range everything() {
		for _, a := range g.alerts {
			needed[a.runbook+".md"] = true
			page, err := os.ReadFile(filepath.Join(runbooks, a.runbook+".md"))
			require.NoError(t, err, a.name)
			require.Contains(t, string(page), "`"+a.name+"`", "%s.md does not say that it is for %s", a.runbook, a.name)
		}
	}
	files, err := os.ReadDir(runbooks)
	require.NoError(t, err)
	sections := regexp.MustCompile(`(?s)^# [^\n]+\n\nFor [^\n]+\n.*\n## What it means\n\n.+\n## How to look\n\n.*` + "```" + `.+\n## How to mend\n\n.+$`)
	for _, file := range files {
		require.True(t, needed[file.Name()], "%s is nobody's runbook", file.Name())
		page, err := os.ReadFile(filepath.Join(runbooks, file.Name()))
		require.NoError(t, err)
		require.Regexp(t, sections, string(page), "%s", file.Name())
		require.Equal(t, 3, strings.Count(string(page), "\n## "), file.Name())
		// In code, so that prose may speak of anything.
		for _, named := range regexp.MustCompile("For ([^\n]+)\n").FindAllStringSubmatch(string(page), 1) {
			for _, name := range regexp.MustCompile("`([A-Za-z]+)`").FindAllStringSubmatch(named[1], -1) {
				require.True(t, slices.ContainsFunc(everything(), func(g group) bool {
					return slices.ContainsFunc(g.alerts, func(a alert) bool { return a.name == name[1] && a.runbook+".md" == file.Name() })
				}), "%s is for %s, which leads elsewhere", file.Name(), name[1])
			}
		}
	}
}

// An inhibition of a name that nothing has, or by a label that one side lacks, would keep nothing quiet.
func TestInhibitionsAreOfAlerts(t *testing.T) {
	t.Parallel()
	all, matcher := proofs(t), regexp.MustCompile(`^alertname=~?"(.+)"$`)
	for _, one := range Inhibitions() {
		require.Equal(t, "cluster", one.Equal[0], "%v: of another cluster it says nothing", one)
		for _, side := range [][]string{one.Source, one.Target} {
			found := matcher.FindStringSubmatch(side[0])
			require.NotNil(t, found, side)
			for name := range strings.SplitSeq(found[1], "|") {
				there := false
				for _, g := range everything() {
					for _, a := range g.alerts {
						for _, label := range one.Equal[1:] {
							require.True(t, a.name != name || labelled(all[g.name][name])[label], "%s has no label %s: %v", name, label, one)
						}
						there = there || a.name == name
					}
				}
				require.True(t, there, "no alert is called %s", name)
			}
		}
	}
}
