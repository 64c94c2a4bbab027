// Package check collects everything that is wrong with an input, so that it is reported at once:
// each violation names the key, what would be right, and the value that was given.
package check

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Violation is one field that does not hold what it must.
type Violation struct {
	Key   string // path of the field, as it is written in configuration: "spot.maxSize"
	Want  string // what would be right: "must be at least 1"
	Value any    // what was given
}

// Error renders the violation: `spot.maxSize: must be at least 1, got 0`.
func (v *Violation) Error() string {
	got, err := json.Marshal(v.Value)
	if err != nil {
		got = fmt.Appendf(nil, "%v", v.Value)
	}
	return fmt.Sprintf("%s: %s, got %s", v.Key, v.Want, got)
}

// Errors is a list of violations under construction. The zero value is empty and ready to use.
type Errors struct {
	found []*Violation
}

// Require records a violation of key unless ok. The remaining arguments are formatted into want.
func (e *Errors) Require(ok bool, key string, value any, want string, args ...any) {
	if !ok {
		e.found = append(e.found, &Violation{Key: key, Want: fmt.Sprintf(want, args...), Value: value})
	}
}

// OneOf requires value to be one of allowed.
func OneOf[T comparable](e *Errors, key string, value T, allowed ...T) {
	words := make([]string, len(allowed))
	for i, a := range allowed {
		if a == value {
			return
		}
		words[i] = fmt.Sprint(a)
	}
	e.Require(false, key, value, "must be one of %s", strings.Join(words, ", "))
}

// Under records the violations in err with their keys below prefix. An error that is no violation is recorded under the prefix itself.
func (e *Errors) Under(prefix string, err error) {
	if err == nil {
		return
	}
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		for _, one := range joined.Unwrap() {
			e.Under(prefix, one)
		}
		return
	}
	var violation *Violation
	if !errors.As(err, &violation) {
		violation = &Violation{Want: err.Error()}
	}
	nested := *violation
	nested.Key = strings.TrimSuffix(prefix+"."+violation.Key, ".")
	if strings.HasPrefix(violation.Key, "[") {
		nested.Key = prefix + violation.Key
	}
	e.found = append(e.found, &nested)
}

// Err joins the violations in the order in which they were found; nil if there are none.
func (e *Errors) Err() error {
	all := make([]error, len(e.found))
	for i, v := range e.found {
		all[i] = v
	}
	return errors.Join(all...)
}
