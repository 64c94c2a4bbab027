package dashboards

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/units"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/kansoku/kansoku/components/collector"
)

// all is a stack with everything.
func all() Options {
	return Options{Collector: collector.Promtail, DynamoDB: true, Autoscaler: true}.WithDefaults()
}

// stacks differ in what they have, by name.
func stacks() map[string]Options {
	alloy, raw := all(), all()
	alloy.Collector, raw.NoRecords = collector.Alloy, true
	return map[string]Options{"everything": all(), "alloy": alloy, "no records": raw, "no logs": Options{}.WithDefaults()}
}

// each calls check with every panel of every dashboard of every stack.
func each(t *testing.T, check func(t *testing.T, where string, o Options, b board, p panel)) {
	t.Helper()
	for name, o := range stacks() {
		for _, b := range boards(o) {
			for _, r := range b.rows {
				for _, p := range r.panels {
					check(t, strings.Join([]string{name, b.name, r.title, p.title}, " / "), o, b, p)
				}
			}
		}
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	got, err := All(all())
	require.NoError(t, err)
	again, err := All(all())
	require.NoError(t, err)
	assert.Equal(t, got, again)
	names := map[string]bool{"metrics.txt": true}
	for _, d := range got {
		names[d.Name+".json"] = true
		var text bytes.Buffer
		require.NoError(t, json.Indent(&text, []byte(d.JSON), "", " "))
		golden(t, filepath.Join("testdata", d.Name+".json"), text.String()+"\n")
		// The annotation that kubectl apply writes is smaller than a ConfigMap may be, and some still use it.
		assert.Less(t, len(d.JSON), 262144/2, d.Name)
	}
	files, err := os.ReadDir("testdata")
	require.NoError(t, err)
	for _, file := range files {
		assert.True(t, names[file.Name()], "%s is of no dashboard", file.Name())
	}
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got, "%s: make generate", path)
}

// What is there now must be there under the same address for ever.
func TestNamesStay(t *testing.T) {
	t.Parallel()
	names := func(o Options) []string {
		found := []string{}
		for _, b := range boards(o) {
			found = append(found, b.name)
		}
		return found
	}
	without := []string{
		"overview", "cluster", "nodes", "namespaces", "workloads", "pods", "volumes", "apiserver", "coredns", "spot", "prometheus", "thanos",
		"alertmanager",
	}
	assert.Equal(t, append(slices.Clone(without), "loki", "collection", "logs"), names(all()))
	assert.Equal(t, without, names(Options{}.WithDefaults()))
	assert.Equal(t, uint32(444254), id("Capacity", "CPU"))
}

// The SDK reads each dashboard back strictly: no field is missing, unknown or of another type.
func TestSchema(t *testing.T) {
	t.Parallel()
	plugins.RegisterDefaultPlugins()
	for name, o := range stacks() {
		got, err := All(o)
		require.NoError(t, err)
		for _, d := range got {
			var read dashboard.Dashboard
			require.NoError(t, read.UnmarshalJSONStrict([]byte(d.JSON)), "%s: %s", name, d.Name)
			assert.Equal(t, uidPrefix+d.Name, *read.Uid)
		}
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	for name, o := range stacks() {
		got, err := All(o)
		require.NoError(t, err)
		for _, d := range got {
			var read struct {
				Panels []struct {
					ID      uint32
					Title   string
					GridPos struct{ X, Y, W, H int }
				}
			}
			require.NoError(t, json.Unmarshal([]byte(d.JSON), &read))
			taken, ids := map[[2]int]string{}, map[uint32]string{}
			for _, p := range read.Panels {
				where := name + ": " + d.Name + ": " + p.Title
				assert.Empty(t, ids[p.ID], "%s has the id of another panel", where)
				ids[p.ID] = where
				at := p.GridPos
				assert.Positive(t, at.W, where)
				assert.Positive(t, at.H, where)
				assert.LessOrEqual(t, at.X+at.W, gridWidth, where)
				for x := at.X; x < at.X+at.W; x++ {
					for y := at.Y; y < at.Y+at.H; y++ {
						assert.Empty(t, taken[[2]int{x, y}], "%s is on top of another panel", where)
						taken[[2]int{x, y}] = where
					}
				}
			}
		}
	}
}

func TestPanels(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, where string, _ Options, b board, p panel) {
		assert.NotEmpty(t, p.title, where)
		if p.kind == kindGraph || p.kind == kindNumber {
			assert.Contains(t, unitsInWords(), p.unit, where)
		}
		for _, c := range p.columns {
			assert.NotEmpty(t, c.unit, where)
		}
		assert.NotEmpty(t, p.queries, where)
		variables := map[string]bool{}
		for _, v := range b.variables {
			variables[v.name] = true
		}
		assert.True(t, variables[map[bool]string{false: datasourceVariable, true: logsVariable}[p.logQL]], "%s reads what cannot be chosen", where)
		for _, q := range p.queries {
			for _, used := range regexp.MustCompile(`\$\{?(\w+)`).FindAllStringSubmatch(q.expr, -1) {
				name := used[1]
				assert.True(t, strings.HasPrefix(name, "__") || variables[name] || name == "1", "%s: $%s is no variable: %s", where, name, q.expr)
			}
			if p.kind == kindGraph && len(p.queries) > 1 {
				assert.NotEmpty(t, q.legend, where)
			}
			if !p.logQL {
				assert.Contains(t, q.expr, `cluster="$cluster"`, where)
			}
		}
	})
}

// A range is never shorter than four scrape intervals: Thanos' de-duplication may leave it empty.
func TestRanges(t *testing.T) {
	t.Parallel()
	ranges := regexp.MustCompile(`\[([^\]]*)\]`)
	allowed := []string{"$__rate_interval", "$__range", "1h", "1h:1m", "6h"}
	each(t, func(t *testing.T, where string, _ Options, _ board, p panel) {
		for _, q := range p.queries {
			for _, found := range ranges.FindAllStringSubmatch(regexp.MustCompile("\"[^\"]*\"|`[^`]*`").ReplaceAllString(q.expr, ""), -1) {
				if p.logQL {
					assert.Equal(t, "$__auto", found[1], where)
					continue
				}
				assert.Contains(t, allowed, found[1], where)
			}
		}
	})
}

var (
	comments   = regexp.MustCompile(`(?m)\s*#.*$`)
	quoted     = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	labelLists = regexp.MustCompile(`\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)`)
	selected   = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\s*\{([^}]*)\}`)
	word       = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*`)
)

// known are the metrics that are scraped, by job.
func known(t *testing.T) map[string]map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "metrics.txt"))
	require.NoError(t, err)
	jobs, job := map[string]map[string]bool{}, ""
	for line := range strings.Lines(comments.ReplaceAllString(string(text), "")) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "["):
			job = strings.Trim(line, "[]")
			jobs[job] = map[string]bool{}
		case line != "":
			jobs[job][line] = true
		}
	}
	return jobs
}

// ofJob is whom a selector says that its series are from.
var ofJob = regexp.MustCompile(`\bjob(=~?)"([^"]*)"`)

// asks checks the selectors of an expression, and counts them: they ask for what is scraped, of whom it is scraped.
func asks(t *testing.T, where, expr string, o Options, jobs map[string]map[string]bool) int {
	t.Helper()
	found := selected.FindAllStringSubmatch(expr, -1)
	for _, one := range found {
		name := one[1]
		if strings.Contains(name, ":") {
			assert.False(t, o.NoRecords, "%s: %s is recorded", where, name)
			assert.Contains(t, records(), name, where)
			continue
		}
		if jobs["every job"][name] || jobs["Prometheus itself"][name] {
			continue
		}
		job := ofJob.FindStringSubmatch(one[2])
		if !assert.NotNil(t, job, "%s: %s is of no job", where, one[0]) {
			continue
		}
		wanted := regexp.MustCompile("^(?:" + job[2] + ")$")
		scraped := slices.ContainsFunc(slices.Collect(maps.Keys(jobs)), func(name string) bool { return wanted.MatchString(name) && jobs[name][one[1]] })
		assert.True(t, scraped, "%s: %s does not have %s", where, job[0], name)
	}
	return len(found)
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	jobs := known(t)
	each(t, func(t *testing.T, where string, o Options, b board, p panel) {
		for _, v := range b.variables {
			if v.kind == dashboard.VariableTypeQuery && !v.logQL {
				assert.Positive(t, asks(t, where+", variable "+v.name, v.query, o, jobs), v.name)
			}
		}
		if p.logQL {
			return
		}
		for _, q := range p.queries {
			assert.Positive(t, asks(t, where, q.expr, o, jobs), "%s: %s asks for nothing", where, q.expr)
			// Nothing is asked for without a selector, and so without a cluster.
			rest := labelLists.ReplaceAllString(quoted.ReplaceAllString(selected.ReplaceAllString(q.expr, " "), " "), " ")
			rest = regexp.MustCompile(`\[[^\]]*\]`).ReplaceAllString(rest, " ")
			for _, at := range word.FindAllStringIndex(rest, -1) {
				called := strings.HasPrefix(strings.TrimSpace(rest[at[1]:]), "(")
				operator := slices.Contains([]string{"or", "and", "unless", "by", "e"}, rest[at[0]:at[1]])
				assert.True(t, called || operator || isNumber(rest, at), "%s: %s has no selector: %s", where, rest[at[0]:at[1]], q.expr)
			}
		}
	})
}

// isNumber says whether a word is the exponent of a number.
func isNumber(text string, at []int) bool {
	return at[0] > 0 && text[at[0]-1] >= '0' && text[at[0]-1] <= '9'
}

// records are the recording rules of components/rules that panels may use.
func records() []string {
	return []string{
		"cluster:apiserver_request:rate5m", "cluster:apiserver_request_bad:rate5m", "namespace_pod:container_cpu_usage:rate5m",
		"namespace_pod:container_memory_working_set_bytes:sum", "namespace_pod_workload:kube_pod_owner:info", "node:node_cpu:ratio_rate5m",
		"node:node_memory:ratio", "node_zone:spot_nodes:info",
	}
}

// Links lead to dashboards that there are, and to variables that these have.
func TestLinks(t *testing.T) {
	t.Parallel()
	target, variable := regexp.MustCompile(`^/d/`+uidPrefix+`(\w+)\?`), regexp.MustCompile(`[?&]var-(\w+)=([^&]*)`)
	each(t, func(t *testing.T, where string, o Options, b board, p panel) {
		there := map[string]board{}
		for _, other := range boards(o) {
			there[other.name] = other
		}
		for _, l := range p.links {
			assert.NotContains(t, l.url, "+", "%s: a plus in an address is a space", where)
			found := target.FindStringSubmatch(l.url)
			if !assert.NotNil(t, found, "%s: %s", where, l.url) || !assert.Contains(t, there, found[1], where) {
				continue
			}
			for _, v := range variable.FindAllStringSubmatch(l.url, -1) {
				has := slices.ContainsFunc(there[found[1]].variables, func(one choiceOf) bool { return one.name == v[1] })
				assert.True(t, has, "%s: %s has no variable %s", where, found[1], v[1])
				if of := regexp.MustCompile(`__field\.labels\.(\w+)`).FindStringSubmatch(v[2]); of != nil {
					assert.True(t, slices.ContainsFunc(p.queries, func(q query) bool { return keeps(q.expr, of[1]) }), "%s: no series has a label %s", where, of[1])
				}
				if of := regexp.MustCompile(`__data\.fields\.(\w+)`).FindStringSubmatch(v[2]); of != nil {
					assert.Contains(t, p.by, of[1], where)
				}
			}
		}
		if o.logs() && slices.Contains([]string{"workloads", "pods"}, b.name) && p.title != "Where they are" {
			leads := slices.ContainsFunc(p.links, func(l link) bool { return strings.HasPrefix(l.url, "/d/"+uidPrefix+"logs?") })
			assert.True(t, leads, "%s does not lead to the logs", where)
		}
	})
}

// keeps says whether the series that an expression gives have a label: the first list of labels is the outermost.
func keeps(expr, label string) bool {
	list := regexp.MustCompile(`\bby \(([^)]*)\)`).FindStringSubmatch(expr)
	if list == nil {
		return strings.Contains(expr, label)
	}
	return slices.Contains(strings.Split(list[1], ", "), label)
}

type choiceOf = variable

// What is not deployed is nowhere.
func TestWhatIsNotThere(t *testing.T) {
	t.Parallel()
	text := func(o Options) string {
		got, err := All(o)
		require.NoError(t, err)
		var out strings.Builder
		for _, d := range got {
			out.WriteString(d.JSON)
		}
		return out.String()
	}
	for _, word := range []string{`"loki"`, "kansoku-logs", "kansoku-loki", "promtail", "loki_", "cluster_autoscaler_"} {
		assert.NotContains(t, text(Options{}), word)
		assert.Contains(t, text(all()), word)
	}
	alloy := all()
	alloy.Collector = collector.Alloy
	assert.NotContains(t, text(alloy), "promtail")
	assert.Contains(t, text(alloy), "loki_write_sent_entries_total")
	table := all()
	table.DynamoDB = false
	assert.Contains(t, text(all()), "loki_dynamo_")
	assert.NotContains(t, text(table), "loki_dynamo_")
}

func TestRefused(t *testing.T) {
	t.Parallel()
	_, err := All(Options{Namespace: "A", Collector: "fluentd", Prices: Prices{S3Write: -1}})
	require.EqualError(t, err, `validating dashboards: namespace: must be at most 63 lower-case letters, digits and dashes, got "A"
hostNamespace: must be at most 63 lower-case letters, digits and dashes, got "A-host"
collector: must be one of promtail, alloy, got "fluentd"
prices.s3Write: must not be negative, got -1`)
	_, err = All(Options{DynamoDB: true})
	require.EqualError(t, err, "validating dashboards: dynamoDB: must not be set without a collector: there are no logs, got true")
}

// A thousand writes a second for a month of 730 hours, by hand.
func TestPrices(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "sum(x) * 12.3516", dollars("x", 0.0047/1000))
}

// promQL has something in the place of Grafana's variables.
func promQL(expr string) string {
	return strings.NewReplacer("$__rate_interval", "2m", "$__range", "6h").Replace(expr)
}

// TestPromQL has promtool parse every expression.
func TestPromQL(t *testing.T) {
	t.Parallel()
	promtool, err := filepath.Abs(filepath.Join("..", "..", "bin", "lab", "promtool"))
	require.NoError(t, err)
	if _, err = os.Stat(promtool); err != nil {
		t.Skipf("no %s: the lab's tools are not built, and nothing was parsed", promtool)
	}
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var rules []rule
	seen := map[string]bool{}
	each(t, func(_ *testing.T, _ string, _ Options, _ board, p panel) {
		for _, q := range p.queries {
			if !p.logQL && !seen[q.expr] {
				seen[q.expr] = true
				rules = append(rules, rule{fmt.Sprintf("panel:%d", len(rules)), promQL(q.expr)})
			}
		}
	})
	data, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "panels", "rules": rules}}})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	output, err := exec.CommandContext(t.Context(), promtool, "check", "rules", "--lint=none", path).CombinedOutput()
	require.NoError(t, err, string(output))
	t.Logf("%d expressions parsed", len(rules))
}

// unitsInWords says what Grafana's units are.
func unitsInWords() map[string]string {
	return map[string]string{
		units.Short: "number", units.PercentUnit: "share", units.BytesIEC: "bytes", units.BytesPerSecondIEC: "bytes a second",
		units.CountsPerSecond: "number a second", units.RequestsPerSecond: "requests a second", units.PacketsPerSecond: "packets a second",
		units.Seconds: "seconds", units.DurationSeconds: "duration", units.Dollars: "USD",
	}
}

// TestPage holds docs/dashboards.
func TestPage(t *testing.T) {
	t.Parallel()
	var page strings.Builder
	page.WriteString("# Dashboards\n\nIn Grafana's folder " + Folder + ", of a stack that has everything; what a stack does not have is not there. Every " +
		"panel about pods or\nworkloads leads to the logs of the same namespace and pods. `make generate` writes this page.\n\n" +
		"Each takes its place in the address `/d/kansoku-NAME`.\n")
	bs, panels, queries := boards(all()), 0, 0
	for _, b := range bs {
		for _, r := range b.rows {
			panels += len(r.panels)
			for _, p := range r.panels {
				queries += len(p.queries)
			}
		}
	}
	fmt.Fprintf(&page, "\n%d dashboards, %d panels, %d queries.\n", len(bs), panels, queries)
	for _, b := range bs {
		fmt.Fprintf(&page, "\n## %s: `%s`\n\n%s\n\n| | panel | unit | |\n| --- | --- | --- | --- |\n", b.title, uidPrefix+b.name, b.about)
		for _, r := range b.rows {
			heading := r.title
			for _, p := range r.panels {
				what := p.about
				if p.kind == kindTable {
					var columns []string
					for _, c := range p.columns {
						columns = append(columns, c.name)
					}
					what = strings.TrimSpace(what + " By " + strings.Join(p.by, ", ") + ": " + strings.Join(columns, ", ") + ".")
				}
				unit := unitsInWords()[p.unit]
				if p.kind == kindTable || p.kind == kindLines {
					unit = p.kind
				}
				fmt.Fprintf(&page, "| %s | %s | %s | %s |\n", heading, p.title, unit, strings.ReplaceAll(what, "|", `\|`))
				heading = ""
			}
		}
	}
	path := filepath.Join("..", "..", "docs", "dashboards", "README.md")
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	golden(t, path, page.String())
}
