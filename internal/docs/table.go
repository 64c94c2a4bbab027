package docs

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Fields writes tables of the fields of structs.
type Fields struct {
	// Comments by "<package path>.<Type>.<Field>", as internal/comments reads them.
	Comments map[string]string
	// Name of a field in the table; empty leaves it out.
	Name func(field reflect.StructField) string
	// Link is the page that describes a struct, whose fields are then left out; empty if there is none. Default: none.
	Link func(t reflect.Type) string
}

// undocumented stands where a field has no comment.
const undocumented = "UNDOCUMENTED"

// Header begins a table of fields.
func Header(first string) string {
	return "| " + first + " | type | |\n| --- | --- | --- |\n"
}

// Rows are the rows of a struct's fields, those of structs inside with dots. It fails on a field without a comment.
func (f Fields) Rows(t reflect.Type) (string, error) {
	var rows strings.Builder
	f.rows(&rows, t, "")
	return checked(rows.String())
}

// Row is the row of one field of t, without those below it.
func (f Fields) Row(t reflect.Type, field reflect.StructField) (string, error) {
	var rows strings.Builder
	f.row(&rows, t, field, f.Name(field))
	return checked(rows.String())
}

// Comment of a field of t.
func (f Fields) Comment(t reflect.Type, field reflect.StructField) string {
	return f.Comments[t.PkgPath()+"."+t.Name()+"."+field.Name]
}

func checked(rows string) (string, error) {
	var missing []error
	for line := range strings.Lines(rows) {
		if strings.Contains(line, undocumented) {
			missing = append(missing, fmt.Errorf("a field without a comment: %s", strings.TrimSpace(line)))
		}
	}
	return rows, errors.Join(missing...)
}

func (f Fields) rows(rows *strings.Builder, t reflect.Type, prefix string) {
	for field := range t.Fields() {
		if field.Anonymous && StructOf(field.Type) != nil {
			f.rows(rows, StructOf(field.Type), prefix)
			continue
		}
		name := f.Name(field)
		if name == "" || !field.IsExported() {
			continue
		}
		f.row(rows, t, field, prefix+name)
		inner := StructOf(field.Type)
		if inner == nil || f.link(inner) != "" {
			continue
		}
		if field.Type.Kind() == reflect.Slice {
			name += "[]"
		}
		f.rows(rows, inner, prefix+name+".")
	}
}

func (f Fields) row(rows *strings.Builder, t reflect.Type, field reflect.StructField, name string) {
	doc := f.Comment(t, field)
	if doc == "" {
		doc = undocumented
	}
	kind := KindName(field.Type)
	if inner := StructOf(field.Type); inner != nil {
		if page := f.link(inner); page != "" {
			kind = fmt.Sprintf("[%s](%s)", kind, page)
		}
	}
	fmt.Fprintf(rows, "| `%s` | %s | %s |\n", name, kind, strings.ReplaceAll(doc, "|", `\|`))
}

func (f Fields) link(t reflect.Type) string {
	if f.Link == nil {
		return ""
	}
	return f.Link(t)
}

const module = "github.com/kansoku/kansoku/"

// StructOf is the struct of this module behind a field, directly, by pointer or as the element of a list; nil for all else.
func StructOf(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() == reflect.Struct && strings.HasPrefix(t.PkgPath(), module) {
		return t
	}
	return nil
}

// KindName is a Go type in plain words. What Pulumi may learn later counts as what it then is.
func KindName(t reflect.Type) string {
	switch {
	case t.Implements(reflect.TypeFor[pulumi.ProviderResource]()):
		return "provider"
	case StructOf(t) == nil && t.Implements(reflect.TypeFor[pulumi.Resource]()):
		return "resource"
	case t.PkgPath() == reflect.TypeFor[pulumi.String]().PkgPath():
		return strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(t.Name(), "Input"), "Output"))
	}
	switch t.Kind() {
	case reflect.Pointer:
		return KindName(t.Elem())
	case reflect.Float64:
		return "number"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "whole number"
	case reflect.String:
		return "string"
	case reflect.Slice:
		return "list"
	case reflect.Func:
		return "function"
	default:
		return "object"
	}
}
