package alertmanager

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a machine without time zones would refuse them all

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/internal/check"
)

// Severities of alerts, by their label "severity".
const (
	// Page asks for someone now.
	Page = "page"
	// Ticket asks for someone on the next working day.
	Ticket = "ticket"
	// Info asks for nobody, and is told to nobody unless a route names it.
	Info = "info"
)

// Route leads alerts to a receiver. The first route that matches takes an alert; what none takes goes to "default", except info.
type Route struct {
	// Receiver by name. Required.
	Receiver string `pulumi:"receiver"`
	// Severities (page, ticket, info) that it takes. Default: all but info, and alerts that have none of these.
	Severities []string `pulumi:"severities,optional"`
	// Namespaces, by the label "namespace" of the alert, that it takes. Default: all, and alerts without one.
	Namespaces []string `pulumi:"namespaces,optional"`
	// MuteTimes are the names of times in which nobody is told. What still fires when they end is told then. Default: none.
	MuteTimes []string `pulumi:"muteTimes,optional"`
}

// MuteTime is when routes that name it are silent: at these times of these days.
type MuteTime struct {
	// Name that routes mute by. Required.
	Name string `pulumi:"name"`
	// Times of the day. Default: all day.
	Times []TimeRange `pulumi:"times,optional"`
	// Weekdays, one by one ("saturday") or from one to another in a week that begins on Sunday ("monday:friday"). Default: all.
	Weekdays []string `pulumi:"weekdays,optional"`
	// Location is the time zone ("Asia/Tokyo"). Default: UTC.
	Location string `pulumi:"location,optional"`
}

// TimeRange is a part of one day.
type TimeRange struct {
	// Start of it ("18:00"). Required.
	Start string `pulumi:"start"`
	// End of it ("24:00"), later than Start: a night is two ranges. Required.
	End string `pulumi:"end"`
}

// Inhibition keeps alerts that match Target quiet while one that matches Source fires with the same values of the labels in Equal.
type Inhibition struct {
	// Source are matchers in Alertmanager's syntax ("alertname=\"NodeDown\"") for the failure. Required.
	Source []string `pulumi:"source"`
	// Target are matchers for what follows from it. Required.
	Target []string `pulumi:"target"`
	// Equal are the labels that both have with the same value. A label that both lack is equal. Default: none.
	Equal []string `pulumi:"equal,optional"`
}

var (
	label = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
	// The form that Prometheus and Alertmanager both have: a label, an operator, and a value in double quotes.
	matcher = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*(=|!=|=~|!~)("(?:[^"\\]|\\.)*")$`)
	clock   = regexp.MustCompile(`^([01]\d|2[0-3]):[0-5]\d$|^24:00$`)
	days    = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}
)

// takes says whether a route matches alerts of a namespace and severity.
func (r Route) takes(namespace, severity string) bool {
	if len(r.Namespaces) > 0 && !slices.Contains(r.Namespaces, namespace) {
		return false
	}
	if len(r.Severities) == 0 {
		return severity != Info
	}
	return slices.Contains(r.Severities, severity)
}

// validateRoutes holds that every route leads somewhere and gets something.
func (s Settings) validateRoutes(errs *check.Errors) {
	receivers := []string{defaultReceiver}
	for _, r := range s.Receivers {
		receivers = append(receivers, r.Name)
	}
	var muteTimes []string
	for _, m := range s.MuteTimes {
		muteTimes = append(muteTimes, m.Name)
	}
	for i, r := range s.Routes {
		var e check.Errors
		e.Require(slices.Contains(receivers, r.Receiver), "receiver", r.Receiver, "must be the name of a receiver")
		for j, severity := range r.Severities {
			check.OneOf(&e, fmt.Sprintf("severities[%d]", j), severity, Page, Ticket, Info)
		}
		for j, namespace := range r.Namespaces {
			e.Require(kube.IsDNSLabel(namespace), fmt.Sprintf("namespaces[%d]", j), namespace, "must be the name of a namespace")
		}
		for j, name := range r.MuteTimes {
			e.Require(slices.Contains(muteTimes, name), fmt.Sprintf("muteTimes[%d]", j), name, "must be the name of one of muteTimes")
		}
		e.Require(len(r.Severities)+len(r.Namespaces) > 0, "severities", r.Severities, "must be given, or namespaces: the receiver default takes all")
		e.Require(s.getsSomething(i), "receiver", r.Receiver, "must get alerts that no route before it takes: the first that matches does")
		errs.Under(fmt.Sprintf("routes[%d]", i), e.Err())
	}
}

// getsSomething says whether the routes before the i-th leave anything for it.
func (s Settings) getsSomething(i int) bool {
	namespaces := []string{""} // any other
	for _, r := range s.Routes {
		namespaces = append(namespaces, r.Namespaces...)
	}
	for _, namespace := range namespaces {
		for _, severity := range []string{Page, Ticket, Info, ""} {
			taken := slices.ContainsFunc(s.Routes[:i], func(before Route) bool { return before.takes(namespace, severity) })
			if !taken && s.Routes[i].takes(namespace, severity) {
				return true
			}
		}
	}
	return false
}

func (s Settings) validateMuteTimes(errs *check.Errors) {
	used, names := map[string]bool{}, map[string]bool{}
	for _, r := range s.Routes {
		for _, name := range r.MuteTimes {
			used[name] = true
		}
	}
	for i, m := range s.MuteTimes {
		var e check.Errors
		e.Require(kube.IsDNSLabel(m.Name), "name", m.Name, "must be lower-case letters, digits and dashes")
		e.Require(!names[m.Name], "name", m.Name, "must be unique")
		e.Require(used[m.Name], "name", m.Name, "must be among the muteTimes of a route")
		names[m.Name] = true
		e.Require(len(m.Times)+len(m.Weekdays) > 0, "times", m.Times, "must be given, or weekdays: this would be always")
		for j, t := range m.Times {
			// Both have the same form, so text compares as time does.
			ok := clock.MatchString(t.Start) && clock.MatchString(t.End) && t.Start < t.End
			e.Require(ok, fmt.Sprintf("times[%d]", j), t.Start+" to "+t.End, `must be times of one day such as "18:00" and "24:00", in order`)
		}
		for j, day := range m.Weekdays {
			first, last, isRange := strings.Cut(day, ":")
			if !isRange {
				last = first
			}
			from, to := slices.Index(days, first), slices.Index(days, last)
			e.Require(from >= 0 && from <= to, fmt.Sprintf("weekdays[%d]", j), day,
				`must be a day such as "monday", or two in a week that begins on Sunday, such as "monday:friday"`)
		}
		_, err := time.LoadLocation(m.Location)
		e.Require(err == nil && m.Location != "Local", "location", m.Location, `must be a time zone such as "Europe/Berlin"`)
		errs.Under(fmt.Sprintf("muteTimes[%d]", i), e.Err())
	}
}

func validateInhibitions(errs *check.Errors, all []Inhibition) {
	for i, one := range all {
		var e check.Errors
		for _, side := range []struct {
			key      string
			matchers []string
		}{{"source", one.Source}, {"target", one.Target}} {
			e.Require(len(side.matchers) > 0, side.key, side.matchers, "must not be empty")
			for j, text := range side.matchers {
				e.Require(validMatcher(text), fmt.Sprintf("%s[%d]", side.key, j), text, `must be a matcher such as alertname="NodeDown"`)
			}
		}
		for j, name := range one.Equal {
			e.Require(label.MatchString(name), fmt.Sprintf("equal[%d]", j), name, "must be the name of a label")
		}
		errs.Under(fmt.Sprintf("inhibitions[%d]", i), e.Err())
	}
}

func validMatcher(text string) bool {
	parts := matcher.FindStringSubmatch(text)
	if parts == nil {
		return false
	}
	value, err := strconv.Unquote(parts[2])
	if err != nil {
		return false
	}
	if strings.HasSuffix(parts[1], "~") {
		_, err = regexp.Compile(value)
	}
	return err == nil
}
