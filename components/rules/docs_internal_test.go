package rules

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// project is somebody else's set of alerts, in testdata/upstream.yaml.
type project struct {
	Project string     `json:"project"`
	Read    string     `json:"read"`
	Rules   int        `json:"rules"`
	Alerts  []upstream `json:"alerts"`
}

// upstream is one of them: what we have in its place, or why nothing.
type upstream struct {
	Alert string   `json:"alert"`
	Ours  []string `json:"ours"`
	Note  string   `json:"note"`
	Why   string   `json:"why"`
}

// TestPage holds docs/alerts.md against the catalogue and the list of the alerts of others. UPDATE_GOLDEN=1 rewrites it.
func TestPage(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("testdata", "upstream.yaml"))
	require.NoError(t, err)
	var projects []project
	require.NoError(t, yaml.UnmarshalStrict(data, &projects))
	var page strings.Builder
	page.WriteString(introduction)
	ours(&page)
	quiet(&page)
	theirs(t, &page, projects)
	golden(t, filepath.Join("..", "..", "docs", "alerts.md"), []byte(page.String()))
}

const introduction = `# Alerts

Every alert says what is wrong, where, and with which value; links to a runbook; and has the labels ` + "`severity`" + ` and ` + "`area`" + `.

| severity | asks for |
| --- | --- |
| page | someone, now: something is broken or data is being lost, and it will not mend itself |
| ticket | someone, on the next working day |
| info | nobody: it is there to be looked at beside others |

Where a node or a pod is meant, the alert has its name as ` + "`node`, `namespace` and `pod`" + `. Prometheus, which keeps a day, evaluates all but
the last group, which is Loki's; neither depends on Thanos. Each of Prometheus' alerts is tested by promtool: it fires on some series, and
stays silent on others just below. To change or leave out one:

` + "```yaml" + `
kansoku:monitoring:
  rules:
    disabled: [QuotaNearlyFull]
    alerts:
      - {name: NodeDiskFilling, threshold: 0.1, window: 12h}
      - {name: PodCrashLooping, for: 1h, severity: info}
` + "```" + `

A name that is none is refused, as is a threshold or a window of an alert that has none.

With grafana.server.rootUrl, or rules.grafanaUrl, each also links to the dashboard of its area.
`

// ours lists the catalogue.
func ours(page *strings.Builder) {
	counts := map[string]int{}
	for _, g := range everything() {
		for _, a := range g.alerts {
			counts[a.severity]++
		}
	}
	fmt.Fprintf(page, "\n## Ours\n\n%d alerts: %d pages, %d tickets, %d for information.\n", counts[Page]+counts[Ticket]+counts[Info],
		counts[Page], counts[Ticket], counts[Info])
	for _, g := range everything() {
		fmt.Fprintf(page, "\n### %s\n\n%s\n\n| alert | severity | for | threshold | window | |\n| --- | --- | --- | --- | --- | --- |\n", g.name, g.about)
		for _, a := range g.alerts {
			hold, threshold := a.hold, ""
			if hold == "0s" {
				hold = ""
			}
			if a.counts != "" {
				threshold = strconv.FormatFloat(a.threshold, 'f', -1, 64) + ": " + a.counts
			}
			fmt.Fprintf(page, "| [%s](runbooks/%s.md) | %s | %s | %s | %s | %s |\n", a.name, a.runbook, a.severity, hold, threshold, a.window, a.summary)
		}
	}
	page.WriteString("\n### Records\n\nSeries that are computed once, for alerts and dashboards.\n\n| record | |\n| --- | --- |\n")
	for _, g := range everything() {
		for _, r := range g.records {
			fmt.Fprintf(page, "| `%s` | %s |\n", r.name, r.why)
		}
	}
}

// quiet lists the inhibitions.
func quiet(page *strings.Builder) {
	page.WriteString("\n## What keeps what quiet\n\nA failure is told once: its consequences are not, while it fires and the labels are the same.\n\n" +
		"| while this fires | these are not told | for the same |\n| --- | --- | --- |\n")
	names := strings.NewReplacer("alertname=~", "", "alertname=", "", `"`, "", "|", ", ", `, instance=`, "")
	for _, one := range Inhibitions() {
		fmt.Fprintf(page, "| %s | %s | %s |\n", names.Replace(strings.Join(one.Source, ", ")), names.Replace(one.Target[0]), strings.Join(one.Equal, ", "))
	}
}

// theirs maps the alerts of others to ours.
func theirs(t *testing.T, page *strings.Builder, projects []project) {
	t.Helper()
	known := map[string]bool{}
	for _, g := range everything() {
		for _, a := range g.alerts {
			known[a.name] = true
		}
	}
	page.WriteString("\n## Those of others\n\nWhat detects the same failure here, or why nothing does. An alert that others have at two severities or windows stands once.\n")
	both := map[string]bool{}
	for _, p := range projects {
		covered := 0
		for _, one := range p.Alerts {
			require.NotEqual(t, len(one.Ours) > 0, one.Why != "", "%s: either ours, or why not", one.Alert)
			require.True(t, one.Note == "" || len(one.Ours) > 0, one.Alert)
			for _, name := range one.Ours {
				require.True(t, known[name], "%s: %s is no alert of ours", one.Alert, name)
				both[name] = true
			}
			if len(one.Ours) > 0 {
				covered++
			}
		}
		twice := slices.Clone(p.Alerts)
		slices.SortFunc(twice, func(a, b upstream) int { return strings.Compare(a.Alert, b.Alert) })
		require.Len(t, slices.CompactFunc(twice, func(a, b upstream) bool { return a.Alert == b.Alert }), len(p.Alerts), p.Project)
		fmt.Fprintf(page, "\n### %s\n\nRead: %s. %d rules, %d names; of these %d have a counterpart.\n\n| theirs | ours |\n| --- | --- |\n",
			p.Project, p.Read, p.Rules, len(p.Alerts), covered)
		for _, one := range p.Alerts {
			answer := cmp.Or(one.Why, strings.Join(one.Ours, ", "))
			if one.Why != "" {
				answer = "none: " + answer
			}
			if one.Note != "" {
				answer += ". " + one.Note
			}
			fmt.Fprintf(page, "| %s | %s |\n", one.Alert, answer)
		}
	}
	page.WriteString("\n## Only ours\n\nFailures that none of the above detects.\n\n")
	for _, g := range everything() {
		for _, a := range g.alerts {
			if !both[a.name] {
				fmt.Fprintf(page, "- %s: %s\n", a.name, a.summary)
			}
		}
	}
}
