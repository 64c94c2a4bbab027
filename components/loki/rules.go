package loki

import (
	"fmt"

	"sigs.k8s.io/yaml"

	"github.com/kansoku/kansoku/internal/check"
)

// RuleGroup is a list of alerts that are evaluated together.
type RuleGroup struct {
	// Name of the group, unique. Required.
	Name string `pulumi:"name" json:"name"`
	// Interval between evaluations. Default: 1m (Loki's).
	Interval string `pulumi:"interval,optional" json:"interval,omitempty"`
	// Rules of the group. At least one.
	Rules []Rule `pulumi:"rules" json:"rules"`
}

// Rule is one alert on logs.
type Rule struct {
	// Alert is its name. Required.
	Alert string `pulumi:"alert" json:"alert"`
	// Expr is a metric query in LogQL; each series that it gives is an alert. Required.
	Expr string `pulumi:"expr" json:"expr"`
	// For is how long the query must give the series before the alert fires. Default: at once.
	For string `pulumi:"for,optional" json:"for,omitempty"`
	// Labels to add to the alert.
	Labels map[string]string `pulumi:"labels,optional" json:"labels,omitempty"`
	// Annotations of the alert, as templates.
	Annotations map[string]string `pulumi:"annotations,optional" json:"annotations,omitempty"`
}

func validateRules(groups []RuleGroup) error {
	var errs check.Errors
	duration := func(errs *check.Errors, key, text string) {
		if text != "" {
			_, err := check.ParseDuration(text)
			errs.Require(err == nil, key, text, `must be a duration such as "30s" or "5m"`)
		}
	}
	names := map[string]bool{}
	for i, group := range groups {
		var one check.Errors
		one.Require(group.Name != "" && !names[group.Name], "name", group.Name, "must be given, and unique")
		names[group.Name] = true
		duration(&one, "interval", group.Interval)
		one.Require(len(group.Rules) > 0, "rules", group.Rules, "must list at least one")
		for j, rule := range group.Rules {
			var inner check.Errors
			inner.Require(rule.Alert != "", "alert", rule.Alert, "must not be empty")
			inner.Require(rule.Expr != "", "expr", rule.Expr, "must not be empty")
			duration(&inner, "for", rule.For)
			one.Under(fmt.Sprintf("rules[%d]", j), inner.Err())
		}
		errs.Under(fmt.Sprintf("[%d]", i), one.Err())
	}
	return errs.Err()
}

// ruleFiles renders the groups as the files of the ruler's only tenant: none without a group.
func ruleFiles(groups []RuleGroup) (map[string]string, error) {
	if len(groups) == 0 {
		return nil, nil
	}
	data, err := yaml.Marshal(struct {
		Groups []RuleGroup `json:"groups"`
	}{groups})
	if err != nil {
		return nil, fmt.Errorf("rendering rules: %w", err)
	}
	return map[string]string{"rules.yaml": string(data)}, nil
}
