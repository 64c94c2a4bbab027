package cases

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// withoutData are the queries that may return nothing in the lab, with the reason: "dashboard / panel", or one query of it by its legend.
func withoutData() map[string]string {
	const (
		quiet    = "nothing is wrong"
		noEvents = "the event exporter's pod is left out of the lab"
		noStats  = "the lab's volumes are directories of the node, which the kubelet does not measure"
		noIO     = "the lab's cgroups do not count what is read and written"
		noLimits = "no container of the stack has a CPU limit"
	)
	return map[string]string{
		"overview / Alerts that fire":                   quiet,
		"overview / Warnings of Kubernetes":             noEvents,
		"overview / Nodes / not spot":                   "the lab's one node is on spot",
		"cluster / Replicas missing":                    quiet,
		"cluster / Disruption budgets that are used up": "budgets of a single replica are, others are not",
		"cluster / Autoscalers of pods":                 "the stack has none",
		"nodes / Conditions":                            quiet,
		"namespaces / Quotas":                           "the lab has none",
		"workloads / CPU held back":                     noLimits,
		"workloads / Log lines that tell of trouble":    quiet,
		"namespaces / Log lines that tell of trouble":   quiet,
		"pods / CPU held back":                          noLimits,
		"pods / CPU that is waited for":                 "the node may have no pressure information",
		"pods / Why containers ended or wait":           quiet,
		"pods / Log lines that tell of trouble":         quiet,
		"overview / Fullest volume":                     noStats,
		"volumes / Volumes in use":                      noStats,
		"volumes / Full":                                noStats,
		"volumes / Inodes":                              noStats,
		"pods / Disk reads":                             noIO,
		"pods / Disk writes":                            noIO,
		"spot / Pods without a node":                    quiet,
		"apiserver / Errors":                            quiet,
		"apiserver / Requests turned away":              quiet,
		"apiserver / Webhooks":                          "the lab has none",
		"coredns / Resolvers outside":                   "the lab has no way out",
		"coredns / Answers of the resolvers outside":    "the lab has no way out",
		"spot / Taken back by zone":                     "no node is taken back in the lab",
		"spot / Events of nodes":                        noEvents,
		"prometheus / Targets down":                     quiet,
		"prometheus / Rules that fail":                  quiet,
		"thanos / Errors of stores and sidecars":        quiet,
		"thanos / Requests that fail":                   quiet,
		"alertmanager / Firing":                         quiet,
		"alertmanager / Firing by severity":             quiet,
		"alertmanager / Firing most":                    quiet,
		"alertmanager / Notifications":                  quiet,
		"alertmanager / Notifications that fail":        quiet,
		"loki / Refused lines":                          quiet,
		"loki / Slowed down":                            quiet,
		"loki / Failed":                                 quiet,
		"loki / Caches":                                 "where nothing was asked for lately",
		"collection / Still to read":                    "where everything is read",
		"logs / Lines that tell of trouble, by pod":     quiet,
		"logs / Events of Kubernetes":                   noEvents,
	}
}

// panelQuery is one query of a panel, with a value for each variable.
type panelQuery struct {
	panel, legend string
	kind          string // of the data source
	expr          string
	instant       bool
}

func (q panelQuery) name() string { return q.panel + " / " + q.legend }

// dashboardModel is what of a dashboard's JSON is read.
type dashboardModel struct {
	Title      string
	Templating struct {
		List []struct {
			Name, Type, AllValue string
			IncludeAll           bool
			Current              struct{ Value any }
		}
	}
	Panels []struct {
		Title, Type string
		Targets     []struct {
			Datasource         struct{ Type string }
			Expr, LegendFormat string
			Instant            bool
			QueryType, RefID   string
		}
	}
}

// configMaps are the data of those that Grafana mounts, by name.
func configMaps(t *testing.T) map[string]map[string]string {
	t.Helper()
	found := map[string]map[string]string{}
	for _, one := range rendered(t) {
		if one.GetKind() != "ConfigMap" || !strings.HasPrefix(one.GetName(), "grafana-") {
			continue
		}
		data, _, err := unstructured.NestedStringMap(one.Object, "data")
		require.NoError(t, err)
		found[one.GetName()] = data
	}
	return found
}

// toldInterval is the scrape interval that Grafana is told, in its data source of metrics.
func toldInterval(t *testing.T, provisioned string) time.Duration {
	t.Helper()
	var file struct {
		Datasources []struct {
			Type     string
			JSONData struct{ TimeInterval string }
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(provisioned), &file))
	for _, source := range file.Datasources {
		if source.Type == "prometheus" {
			interval, err := time.ParseDuration(source.JSONData.TimeInterval)
			require.NoError(t, err)
			return interval
		}
	}
	require.Fail(t, "there is no data source of metrics")
	return 0
}

// grafanaVariable is $name, ${name} or ${name:format}; $1 is for label_replace.
var grafanaVariable = regexp.MustCompile(`\$\{([a-zA-Z_]\w*)(?::\w+)?\}|\$([a-zA-Z_]\w*)`)

// panelQueries are the queries of a dashboard. All is chosen where it can be, as it is at first.
func panelQueries(t *testing.T, name, content string, values map[string]string) []panelQuery {
	t.Helper()
	var d dashboardModel
	require.NoError(t, json.Unmarshal([]byte(content), &d), name)
	values = maps.Clone(values)
	for _, v := range d.Templating.List {
		switch {
		case v.IncludeAll:
			values[v.Name] = v.AllValue
		case v.Type == "textbox":
			values[v.Name], _ = v.Current.Value.(string)
		}
	}
	var all []panelQuery
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			expr := grafanaVariable.ReplaceAllStringFunc(target.Expr, func(match string) string {
				names := grafanaVariable.FindStringSubmatch(match)
				value, known := values[names[1]+names[2]]
				require.True(t, known, "%s: %s: %s has no value", name, p.Title, match)
				return value
			})
			legend := target.LegendFormat
			if legend == "" {
				legend = target.RefID
			}
			all = append(all, panelQuery{
				panel: name + " / " + p.Title, legend: legend, kind: target.Datasource.Type, expr: expr,
				instant: target.Instant || target.QueryType == "instant",
			})
		}
	}
	return all
}

// results counts what a query returns: series, or streams.
func (k *kube) results(ctx context.Context, metrics promAPI, logs lokiAPI, q panelQuery) (int, error) {
	now := time.Now()
	if q.kind == "loki" {
		var answer struct{ Data struct{ Result []any } }
		err := logs.get(ctx, "query_range", url.Values{
			"query": {q.expr}, "limit": {"10"}, "step": {"60"},
			"start": {strconv.FormatInt(now.Add(-time.Hour).UnixNano(), 10)}, "end": {strconv.FormatInt(now.UnixNano(), 10)},
		}, &answer)
		return len(answer.Data.Result), err
	}
	if q.instant {
		found, err := metrics.query(ctx, q.expr, now)
		return len(found), err
	}
	found, err := metrics.queryRange(ctx, q.expr, now.Add(-15*time.Minute), now, time.Minute)
	return len(found), err
}

// everyPanelHasData: every query of every panel is understood, and returns something, or is on the list of those that need not.
func everyPanelHasData(t *testing.T) {
	t.Parallel()
	k := cluster(t)
	metrics, logs := k.frontend(t), k.loki(t)
	var about []series
	eventually(t, time.Minute, "Prometheus knows itself", func() (err error) {
		about, err = metrics.query(t.Context(), `prometheus_build_info{job="prometheus-k8s"}`, time.Now())
		if err == nil && len(about) == 0 {
			err = errors.New("no such series")
		}
		return err
	})
	mounted := configMaps(t)
	interval := scrapeInterval(t)
	require.Equal(t, interval, toldInterval(t, mounted["grafana-provisioning"]["datasources.yaml"]), "Grafana makes every window four of these")
	values := map[string]string{
		"cluster": about[0].Labels["cluster"], "__rate_interval": (4 * interval).String(), "__range": "30m", "__auto": "1m",
	}
	var queries []panelQuery
	dashboards := 0
	for name, data := range mounted {
		if dashboard, own := strings.CutPrefix(name, "grafana-dashboard-"); own {
			dashboards++
			queries = append(queries, panelQueries(t, dashboard, data[dashboard+".json"], values)...)
		}
	}
	require.Positive(t, dashboards)
	slices.SortFunc(queries, func(a, b panelQuery) int { return strings.Compare(a.name(), b.name()) })

	excused, unused := withoutData(), withoutData()
	for _, q := range queries {
		delete(unused, q.panel)
		delete(unused, q.name())
	}
	require.Empty(t, unused, "of the list: no such query")

	answered := map[string]bool{}
	var flushed time.Time
	eventually(t, 4*time.Minute, "every panel has data", func() error {
		// Loki keeps its chunks for hours: what it stores would be seen by luck only.
		if time.Since(flushed) > interval {
			if err := logs.flush(t.Context()); err != nil {
				return err
			}
			flushed = time.Now()
		}
		var wrong []string
		for _, q := range queries {
			key := q.name() + " " + q.expr
			if answered[key] {
				continue
			}
			found, err := k.results(t.Context(), metrics, logs, q)
			switch {
			case err != nil:
				wrong = append(wrong, fmt.Sprintf("%s: %v", q.name(), err))
			case found > 0:
				answered[key] = true
			case excused[q.panel] == "" && excused[q.name()] == "":
				wrong = append(wrong, fmt.Sprintf("%s: nothing: %s", q.name(), q.expr))
			}
		}
		if len(wrong) > 0 {
			return fmt.Errorf("%d of %d queries are not as they should be:\n%s", len(wrong), len(queries), strings.Join(wrong, "\n"))
		}
		return nil
	})
	empty := 0
	for _, q := range queries {
		reason := excused[q.panel] + excused[q.name()]
		switch {
		case !answered[q.name()+" "+q.expr]:
			empty++
			t.Logf("without data, because %s: %s", reason, q.name())
		case reason != "":
			t.Logf("has data, although %s: %s", reason, q.name())
		}
	}
	figure(t, "%d dashboards, %d queries: %d have data, %d are without it for a known reason", dashboards, len(queries), len(queries)-empty, empty)
}
