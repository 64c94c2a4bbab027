package alloy

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// expression is written as it is: a reference or a call.
type expression string

// writer writes Alloy's configuration language.
type writer struct {
	text  strings.Builder
	depth int
}

func (w *writer) String() string { return w.text.String() }

func (w *writer) line(text string) {
	w.text.WriteString(strings.Repeat("  ", w.depth) + text + "\n")
}

// block writes head { body }; body may be nil.
func (w *writer) block(head string, body func()) {
	if w.depth == 0 && w.text.Len() > 0 {
		w.text.WriteString("\n")
	}
	w.line(head + " {")
	if body != nil {
		w.depth++
		body()
		w.depth--
	}
	w.line("}")
}

func (w *writer) attr(key string, value any) { w.line(key + " = " + literal(value)) }

// set writes an attribute unless its value is empty, which is the program's default.
func (w *writer) set(key, value string) {
	if value != "" {
		w.attr(key, value)
	}
}

// literal is a value as the language writes it; its strings are Go's.
func literal(value any) string {
	switch v := value.(type) {
	case expression:
		return string(v)
	case string:
		return strconv.Quote(v)
	case []string:
		parts := make([]string, len(v))
		for i, one := range v {
			parts[i] = strconv.Quote(one)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case map[string]string:
		var parts []string
		for _, key := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, strconv.Quote(key)+" = "+strconv.Quote(v[key]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	default:
		return fmt.Sprint(v)
	}
}
