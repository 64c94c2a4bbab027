package rules

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

// proof is how one alert fires and how it stays silent; testdata/cases/stack.yaml says what the fields are.
type proof struct {
	Every  string            `json:"every"`
	Series []string          `json:"series"`
	Fires  []string          `json:"fires"`
	Silent []string          `json:"silent"`
	Never  []string          `json:"never"`
	At     string            `json:"at"`
	Labels map[string]string `json:"labels"`
	Says   string            `json:"says"`
	Alerts []told            `json:"alerts"`
}

type told struct {
	Labels map[string]string `json:"labels"`
	Says   string            `json:"says"`
}

// proofs reads testdata/cases, by group and alert.
func proofs(t *testing.T) map[string]map[string]proof {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "cases", "*.yaml"))
	require.NoError(t, err)
	all := map[string]map[string]proof{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		cases := map[string]proof{}
		require.NoError(t, yaml.UnmarshalStrict(data, &cases), file)
		all[strings.TrimSuffix(filepath.Base(file), ".yaml")] = cases
	}
	return all
}

// The structs below are the part of promtool's test files that is used here.
type unitTests struct {
	RuleFiles []string   `json:"rule_files"`
	Interval  string     `json:"evaluation_interval"`
	Tests     []unitTest `json:"tests"`
}

type unitTest struct {
	Name   string      `json:"name"`
	Every  string      `json:"interval"`
	Series []series    `json:"input_series"`
	Alerts []alertTest `json:"alert_rule_test"`
}

type series struct {
	Series string `json:"series"`
	Values string `json:"values"`
}

type alertTest struct {
	At     string     `json:"eval_time"`
	Alert  string     `json:"alertname"`
	Expect []expected `json:"exp_alerts,omitempty"`
}

type expected struct {
	Labels      map[string]string `json:"exp_labels"`
	Annotations map[string]string `json:"exp_annotations"`
}

// tests are those that promtool runs for an alert.
func (p proof) tests(t *testing.T, of alert, in group) []unitTest {
	t.Helper()
	every := p.Every
	if every == "" {
		every = "1m"
	}
	input := func(more []string) []series {
		var all []series
		for _, one := range slices.Concat(p.Series, more) {
			end := strings.LastIndex(one, "} ") + 1
			require.Positive(t, end, "%s: %s", of.name, one)
			all = append(all, series{one[:end], one[end+1:]})
		}
		return all
	}
	fires := alertTest{At: p.At, Alert: of.name}
	alerts := p.Alerts
	if p.Labels != nil {
		alerts = append(alerts, told{p.Labels, p.Says})
	}
	for _, one := range alerts {
		labels, annotations := of.labels(in), Settings{RunbookBase: defaultRunbooks}.annotations(of, in)
		maps.Copy(labels, one.Labels)
		annotations["description"] = one.Says
		fires.Expect = append(fires.Expect, expected{labels, annotations})
	}
	silent := alertTest{At: p.At, Alert: of.name}
	both := []unitTest{{of.name + " fires", every, input(p.Fires), []alertTest{fires}}}
	if of.name != always {
		both = append(both, unitTest{of.name + " is silent just below", every, input(p.Silent), []alertTest{silent}})
	}
	if p.Never != nil {
		p.Series = nil
		both = append(both, unitTest{of.name + " is not meant", every, input(p.Never), []alertTest{silent}})
	}
	return both
}

// always is the alert that is never silent.
const always = "Watchdog"

// tool is a program that the lab builds; without it the test is skipped. `make verify` builds it, and requires it.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "bin", "lab", name))
	require.NoError(t, err)
	if _, err = os.Stat(path); err != nil {
		if os.Getenv("KANSOKU_LAB_TOOLS") == "required" {
			require.NoError(t, err)
		}
		t.Skipf("no %s: the lab's tools are not built, and nothing was evaluated", path)
	}
	return path
}

// TestAlerts has promtool evaluate the golden rules over the series of testdata/cases.
func TestAlerts(t *testing.T) {
	t.Parallel()
	promtool := tool(t, "promtool")
	all := proofs(t)
	for _, g := range everything() {
		if g.onLogs {
			continue
		}
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			rules := func(name string) string {
				path, err := filepath.Abs(filepath.Join("testdata", "rules", name+".yaml"))
				require.NoError(t, err)
				return path
			}
			files := []string{rules(g.name)}
			if g.name == "workloads" {
				files = append(files, rules("stack")) // where the node of a pod is recorded
			}
			// What is sampled seldom is evaluated seldom: a day by the minute would take minutes.
			byInterval := map[string][]unitTest{}
			for _, a := range g.alerts {
				for _, one := range all[g.name][a.name].tests(t, a, g) {
					byInterval[one.Every] = append(byInterval[one.Every], one)
				}
			}
			for every, tests := range byInterval {
				data, err := yaml.Marshal(unitTests{RuleFiles: files, Interval: every, Tests: tests})
				require.NoError(t, err)
				path := filepath.Join(t.TempDir(), "tests.yaml")
				require.NoError(t, os.WriteFile(path, data, 0o600))
				output, err := exec.CommandContext(t.Context(), promtool, "test", "rules", path).CombinedOutput()
				require.NoError(t, err, string(output))
			}
		})
	}
}

// TestQueriesOfRunbooks has promtool parse what the runbooks have people ask Prometheus.
func TestQueriesOfRunbooks(t *testing.T) {
	t.Parallel()
	promtool := tool(t, "promtool")
	query := regexp.MustCompile(`localhost:9090/api/v1/query --data-urlencode 'query=([^']+)'`)
	files, err := filepath.Glob(filepath.Join(runbooks, "*.md"))
	require.NoError(t, err)
	var parsed []monitoringv1.Rule
	for _, file := range files {
		var page []byte
		page, err = os.ReadFile(file)
		require.NoError(t, err)
		for i, found := range query.FindAllStringSubmatch(string(page), -1) {
			name := fmt.Sprintf("%s:%d", strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), ".md"), "-", "_"), i)
			parsed = append(parsed, monitoringv1.Rule{Record: name, Expr: intstr.FromString(found[1])})
		}
	}
	require.Greater(t, len(parsed), 30, "the queries are no longer found")
	data, err := yaml.Marshal(map[string][]monitoringv1.RuleGroup{"groups": {{Name: "runbooks", Rules: parsed}}})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "queries.yaml")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	output, err := exec.CommandContext(t.Context(), promtool, "check", "rules", path).CombinedOutput()
	require.NoError(t, err, string(output))
}
