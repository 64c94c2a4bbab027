package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"github.com/kansoku/kansoku/components/grafana"
)

// Names of the variables that choose data sources.
const (
	datasourceVariable = "datasource"
	logsVariable       = "logs"
)

// everything is what "All" stands for. It matches what is not there, too, and has no plus, which a link would turn into a space.
const everything = ".*"

// variable is a choice at the top of a dashboard.
type variable struct {
	name, label string
	kind        dashboard.VariableType
	// query gives the choices: of a data source its type, of a text what it is at first.
	query string
	// regex takes the choices out of what query gives.
	regex string
	// current is what is chosen at first, by value and by name.
	current, currentText string
	// many lets one choose several, or all.
	many bool
	// logQL says that the query is for Loki.
	logQL bool
}

// metricsSource and logsSource choose where to read from.
func metricsSource() variable {
	return source(datasourceVariable, "Metrics", "prometheus", grafana.Metrics(false))
}

func logsSource() variable {
	return source(logsVariable, "Logs", "loki", grafana.Logs(false))
}

// foreignSources has a dashboard's variables choose our data sources in a Grafana of somebody else's.
func foreignSources(variables []variable) {
	for i, v := range variables {
		for name, first := range map[string]grafana.DataSource{datasourceVariable: grafana.Metrics(true), logsVariable: grafana.Logs(true)} {
			if v.name == name {
				variables[i].current, variables[i].currentText = first.UID, first.Name
			}
		}
	}
}

func source(name, label, kind string, first grafana.DataSource) variable {
	return variable{
		name: name, label: label, kind: dashboard.VariableTypeDatasource, query: kind, current: first.UID, currentText: first.Name,
	}
}

// choice is one of what a query gives.
func choice(name, label, query string) variable {
	return variable{name: name, label: label, kind: dashboard.VariableTypeQuery, query: query}
}

// choices are any of what a query gives; all at first.
func choices(name, label, query string) variable {
	v := choice(name, label, query)
	v.many, v.current, v.currentText = true, "$__all", "All"
	return v
}

// text is free.
func text(name, label, first string) variable {
	return variable{name: name, label: label, kind: dashboard.VariableTypeTextbox, query: first, current: first, currentText: first}
}

func (v variable) model() dashboard.VariableModel {
	label, query := v.label, v.query
	m := dashboard.VariableModel{Type: v.kind, Name: v.name, Label: &label, Query: &dashboard.StringOrMap{String: &query}}
	if v.current != "" || v.kind == dashboard.VariableTypeTextbox {
		m.Current = option(v.currentText, v.current, v.many)
	}
	if v.kind != dashboard.VariableTypeQuery {
		return m
	}
	// What there is changes with the time that is shown.
	kind, uid, refresh, sort, all := "prometheus", "${"+datasourceVariable+"}", dashboard.VariableRefreshOnTimeRangeChanged,
		dashboard.VariableSortNaturalAsc, everything
	if v.logQL {
		kind, uid = "loki", "${"+logsVariable+"}"
	} else {
		m.Query = &dashboard.StringOrMap{Map: map[string]any{"query": v.query, "refId": v.name}}
	}
	m.Datasource = &common.DataSourceRef{Type: &kind, Uid: &uid}
	m.Refresh, m.Sort, m.Multi, m.IncludeAll = &refresh, &sort, &v.many, &v.many
	if v.regex != "" {
		m.Regex = &v.regex
	}
	if v.many {
		m.AllValue = &all
	}
	return m
}

func option(text, value string, many bool) *dashboard.VariableOption {
	if many {
		return &dashboard.VariableOption{
			Text:  dashboard.StringOrArrayOfString{ArrayOfString: []string{text}},
			Value: dashboard.StringOrArrayOfString{ArrayOfString: []string{value}},
		}
	}
	return &dashboard.VariableOption{Text: dashboard.StringOrArrayOfString{String: &text}, Value: dashboard.StringOrArrayOfString{String: &value}}
}
