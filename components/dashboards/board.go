package dashboards

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"

	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/logs"
	"github.com/grafana/grafana-foundation-sdk/go/loki"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// board is one dashboard as it is written down.
type board struct {
	// name of its file; with uidPrefix before it, its uid.
	name, title string
	// about is what it answers.
	about     string
	variables []variable
	rows      []row
}

// row is a heading, and panels from left to right, as many lines of them as it takes.
type row struct {
	title  string
	panels []panel
}

const (
	uidPrefix = "kansoku-"
	// tag is what the dashboards find each other by.
	tag = "kansoku"
	// gridWidth of a dashboard.
	gridWidth = 24
)

// The panels' types, as Grafana names them.
const (
	kindGraph  = "timeseries"
	kindNumber = "stat"
	kindTable  = "table"
	kindLines  = "logs"
)

// panel is one panel.
type panel struct {
	kind, title, about, unit string
	queries                  []query
	width, height            uint32
	steps                    []step
	links                    []link
	// stacked shows series on top of each other, bounded from 0 to 1.
	stacked, bounded bool
	// calc makes one number of a range; without it a number is asked for at the end of the range only.
	calc string
	// by are the labels that a table has columns for, columns its numbers.
	by      []string
	columns []column
	// logQL says that the queries are for Loki.
	logQL bool
}

// query is what a panel asks for, and how its series are called.
type query struct{ expr, legend string }

// step is the color from a value on.
type step struct {
	from  float64
	color string
}

const (
	green  = "green"
	orange = "orange"
	red    = "red"
)

// link leads from a series of a panel, or from the panel.
type link struct{ title, url string }

// column is a number in a table: it has the row of the labels that the expression has.
type column struct {
	name, unit, expr string
	steps            []step
}

// graph draws series over time. The empty text is for what needs no words.
func graph(title, unit, about string, queries ...query) panel {
	return panel{kind: kindGraph, title: title, unit: unit, about: about, queries: queries, width: 12, height: 8}
}

// number is one value at the end of the time that is shown.
func number(title, unit, about, expr string) panel {
	return panel{kind: kindNumber, title: title, unit: unit, about: about, queries: []query{{expr, ""}}, width: 4, height: 4}
}

// list is a table of the values at the end of the time that is shown, sorted by the first column.
func list(title, about string, by []string, columns ...column) panel {
	p := panel{kind: kindTable, title: title, about: about, unit: units.Short, by: by, columns: columns, width: gridWidth, height: 9}
	for _, c := range columns {
		p.queries = append(p.queries, query{c.expr, c.name})
	}
	return p
}

// lines shows log lines.
func lines(title, about, expr string) panel {
	return panel{
		kind: kindLines, title: title, about: about, unit: units.NoUnit, queries: []query{{expr, ""}}, logQL: true, width: gridWidth, height: 12,
	}
}

// sized sets width, of 24, and height.
func (p panel) sized(width, height uint32) panel {
	p.width, p.height = width, height
	return p
}

// stack shows series on top of each other.
func (p panel) stack() panel {
	p.stacked = true
	return p
}

// ratio has an axis from 0 to 1.
func (p panel) ratio() panel {
	p.bounded = true
	return p
}

// above colors from these values on: orange, and red.
func (p panel) above(warn, bad float64) panel {
	p.steps = []step{{0, green}, {warn, orange}, {bad, red}}
	return p
}

// bad colors red from this value on.
func (p panel) bad(from float64) panel {
	p.steps = []step{{0, green}, {from, red}}
	return p
}

// below colors red up to the first and orange up to the second of the values.
func (p panel) below(bad, warn float64) panel {
	p.steps = []step{{0, red}, {bad, orange}, {warn, green}}
	return p
}

// over makes one number of all the time that is shown: "mean", "max", "sum".
func (p panel) over(calc string) panel {
	p.calc = calc
	return p
}

// leads adds links.
func (p panel) leads(links ...link) panel {
	p.links = append(append([]link(nil), p.links...), links...)
	return p
}

// inLogQL asks Loki.
func (p panel) inLogQL() panel {
	p.logQL = true
	return p
}

// id of a panel is made of its titles, so that it stays when others come or go: addresses of single panels have it.
func id(row, title string) uint32 {
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(row + "\n" + title)) // a hash never fails
	return sum.Sum32()%1_000_000 + 1
}

// render makes the JSON that Grafana reads.
func (b board) render() ([]byte, error) {
	uid, timezone, refresh, sync := uidPrefix+b.name, "browser", "1m", dashboard.DashboardCursorSyncCrosshair
	editable := false
	d := dashboard.NewDashboard()
	d.Uid, d.Title, d.Description, d.Tags = &uid, &b.title, &b.about, []string{tag}
	d.Timezone, d.Refresh, d.GraphTooltip, d.Editable = &timezone, &refresh, &sync, &editable
	d.Time = &dashboard.DashboardDashboardTime{From: "now-6h", To: "now"}
	d.Links = []dashboard.DashboardLink{{
		Title: "Dashboards", Type: dashboard.DashboardLinkTypeDashboards, Icon: "external link", Tags: []string{tag},
		AsDropdown: true, IncludeVars: true, KeepTime: true,
	}}
	d.Annotations.List = []dashboard.AnnotationQuery{builtIn()}
	for _, v := range b.variables {
		d.Templating.List = append(d.Templating.List, v.model())
	}
	var y uint32
	for _, r := range b.rows {
		title := r.title
		d.Panels = append(d.Panels, dashboard.PanelOrRowPanel{RowPanel: &dashboard.RowPanel{
			Type: "row", Title: &title, Id: id(r.title, ""), GridPos: &dashboard.GridPos{H: 1, W: gridWidth, Y: y}, Panels: []dashboard.Panel{},
		}})
		y++
		var x, high uint32
		for _, p := range r.panels {
			if x+p.width > gridWidth {
				x, y, high = 0, y+high, 0
			}
			one := p.model(id(r.title, p.title))
			one.GridPos = &dashboard.GridPos{H: p.height, W: p.width, X: x, Y: y}
			d.Panels = append(d.Panels, dashboard.PanelOrRowPanel{Panel: one})
			x, high = x+p.width, max(high, p.height)
		}
		y += high
	}
	return marshal(d)
}

// builtIn are Grafana's own annotations, which every dashboard has.
func builtIn() dashboard.AnnotationQuery {
	kind, source, own, hidden, form := "grafana", "-- Grafana --", 1.0, true, "dashboard"
	return dashboard.AnnotationQuery{
		Name: "Annotations & Alerts", Datasource: common.DataSourceRef{Type: &kind, Uid: &source}, Enable: true, Hide: &hidden,
		IconColor: "rgba(0, 211, 255, 1)", BuiltIn: &own, Type: &form,
	}
}

// marshal gives every key its place by the alphabet, and leaves < and > as they are.
func marshal(d *dashboard.Dashboard) ([]byte, error) {
	raw, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("marshalling: %w", err)
	}
	var plain any
	if err = json.Unmarshal(raw, &plain); err != nil {
		return nil, fmt.Errorf("reading back: %w", err)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err = encoder.Encode(plain); err != nil {
		return nil, fmt.Errorf("marshalling: %w", err)
	}
	return bytes.TrimSpace(out.Bytes()), nil
}

func (p panel) source() *common.DataSourceRef {
	kind, uid := "prometheus", "${"+datasourceVariable+"}"
	if p.logQL {
		kind, uid = "loki", "${"+logsVariable+"}"
	}
	return &common.DataSourceRef{Type: &kind, Uid: &uid}
}

// model is the panel without its place.
func (p panel) model(id uint32) *dashboard.Panel {
	one := &dashboard.Panel{Id: &id, Type: p.kind, Title: &p.title, Datasource: p.source(), FieldConfig: p.fields(), Targets: p.targets()}
	if p.about != "" {
		one.Description = &p.about
	}
	switch p.kind {
	case kindGraph:
		one.Options = timeseries.Options{
			Legend: common.VizLegendOptions{
				DisplayMode: common.LegendDisplayModeTable, Placement: common.LegendPlacementBottom, ShowLegend: true, Calcs: []string{"lastNotNull", "max"},
			},
			Tooltip: common.VizTooltipOptions{Mode: common.TooltipDisplayModeMulti, Sort: common.SortOrderDescending},
		}
	case kindNumber:
		graphMode, calc := common.BigValueGraphModeNone, "lastNotNull"
		if p.calc != "" {
			graphMode, calc = common.BigValueGraphModeArea, p.calc
		}
		one.Options = stat.Options{
			GraphMode: graphMode, ColorMode: common.BigValueColorModeValue, JustifyMode: common.BigValueJustifyModeAuto,
			TextMode: common.BigValueTextModeAuto, WideLayout: true, Orientation: common.VizOrientationAuto,
			PercentChangeColorMode: common.PercentChangeColorModeStandard, ReduceOptions: common.ReduceDataOptions{Calcs: []string{calc}},
		}
	case kindTable:
		descending := true
		one.Options = table.Options{
			ShowHeader: true, SortBy: []common.TableSortByFieldState{{DisplayName: p.columns[0].name, Desc: &descending}},
		}
		one.Transformations = p.transformations()
	case kindLines:
		one.Links = p.ways() // lines have no series to lead from
		one.Options = logs.Options{
			ShowTime: true, WrapLogMessage: true, EnableLogDetails: true, SortOrder: common.LogsSortOrderDescending,
			DedupStrategy: common.LogsDedupStrategyNone,
		}
	}
	return one
}

// targets of a graph are over time, those of a number or a table at the end of it unless something is made of the whole.
func (p panel) targets() []variants.Dataquery {
	atEnd := p.kind == kindTable || p.kind == kindNumber && p.calc == ""
	during := !atEnd
	var all []variants.Dataquery
	for i, q := range p.queries {
		ref := string(rune('A' + i))
		if p.logQL {
			kind := string(loki.LokiQueryTypeRange)
			if atEnd {
				kind = string(loki.LokiQueryTypeInstant)
			}
			all = append(all, loki.Dataquery{Expr: q.expr, LegendFormat: &q.legend, QueryType: &kind, RefId: &ref, Datasource: p.source()})
			continue
		}
		format := prometheus.PromQueryFormatTimeSeries
		if p.kind == kindTable {
			format = prometheus.PromQueryFormatTable
		}
		all = append(all, prometheus.Dataquery{
			Expr: q.expr, LegendFormat: &q.legend, Instant: &atEnd, Range: &during, Format: &format, RefId: &ref, Datasource: p.source(),
		})
	}
	return all
}

// transformations make one table of the answers, with the labels first.
func (p panel) transformations() []dashboard.DataTransformerConfig {
	order, names := map[string]int{}, map[string]string{}
	for i, label := range p.by {
		order[label] = i
	}
	for i, c := range p.columns {
		field := "Value #" + string(rune('A'+i))
		order[field], names[field] = len(p.by)+i, c.name
	}
	if len(p.columns) == 1 {
		names["Value"] = p.columns[0].name // so it is called where there is one query only
	}
	return []dashboard.DataTransformerConfig{
		{Id: "merge", Options: map[string]any{}},
		{Id: "organize", Options: map[string]any{
			"excludeByName": map[string]bool{"Time": true}, "indexByName": order, "renameByName": names,
		}},
	}
}

// ways are the links.
func (p panel) ways() []dashboard.DashboardLink {
	var all []dashboard.DashboardLink
	for _, l := range p.links {
		all = append(all, dashboard.DashboardLink{Title: l.title, Type: dashboard.DashboardLinkTypeLink, Url: &l.url, Tags: []string{}})
	}
	return all
}

func thresholds(steps []step) *dashboard.ThresholdsConfig {
	config := &dashboard.ThresholdsConfig{Mode: dashboard.ThresholdsModeAbsolute, Steps: []dashboard.Threshold{{Color: green}}}
	for i, s := range steps {
		if i == 0 {
			config.Steps[0].Color = s.color // the first has no lower end
			continue
		}
		config.Steps = append(config.Steps, dashboard.Threshold{Value: &s.from, Color: s.color})
	}
	return config
}

func (p panel) fields() *dashboard.FieldConfigSource {
	fields := dashboard.FieldConfig{Unit: &p.unit, Thresholds: thresholds(p.steps)}
	mode := dashboard.FieldColorModeIdPaletteClassic
	if p.kind != kindGraph {
		mode = dashboard.FieldColorModeIdThresholds
	}
	fields.Color = &dashboard.FieldColor{Mode: mode}
	if p.bounded {
		least, most := 0.0, 1.0
		fields.Min, fields.Max = &least, &most
	}
	if p.kind != kindLines {
		fields.Links = p.ways()
	}
	source := &dashboard.FieldConfigSource{Overrides: []dashboard.DashboardFieldConfigSourceOverrides{}}
	switch p.kind {
	case kindGraph:
		fields.Custom = p.drawing()
	case kindTable:
		source.Overrides = p.overrides()
	}
	source.Defaults = fields
	return source
}

// drawing of a graph: thin lines, areas where they are stacked, thresholds dashed. Holes stay holes: a missed scrape is to be seen.
func (p panel) drawing() common.GraphFieldConfig {
	style, width, opacity, points := common.GraphDrawStyleLine, 1.0, 0.0, common.VisibilityModeNever
	config := common.GraphFieldConfig{DrawStyle: &style, LineWidth: &width, FillOpacity: &opacity, ShowPoints: &points}
	if p.stacked {
		opacity = 30
		mode, group := common.StackingModeNormal, "A"
		config.Stacking = &common.StackingConfig{Mode: &mode, Group: &group}
	}
	if len(p.steps) > 0 {
		config.ThresholdsStyle = &common.GraphThresholdsStyleConfig{Mode: common.GraphThresholdsStyleModeDashed}
	}
	return config
}

// overrides give the columns of a table their own units and colors.
func (p panel) overrides() []dashboard.DashboardFieldConfigSourceOverrides {
	all := make([]dashboard.DashboardFieldConfigSourceOverrides, len(p.columns))
	for i, c := range p.columns {
		all[i] = dashboard.DashboardFieldConfigSourceOverrides{
			Matcher:    dashboard.MatcherConfig{Id: "byName", Options: c.name},
			Properties: []dashboard.DynamicConfigValue{{Id: "unit", Value: c.unit}},
		}
		if c.steps != nil {
			all[i].Properties = append(all[i].Properties,
				dashboard.DynamicConfigValue{Id: "thresholds", Value: thresholds(c.steps)},
				dashboard.DynamicConfigValue{Id: "custom.cellOptions", Value: map[string]string{"type": "color-text"}})
		}
	}
	return all
}
