package program

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/internal/comments"
)

// TestReference holds docs/configuration.md against the settings' own comments. UPDATE_GOLDEN=1 rewrites it.
func TestReference(t *testing.T) {
	t.Parallel()
	docs, err := comments.Fields(filepath.Join("..", ".."), "infra", "components", "internal/program", "internal/cost")
	require.NoError(t, err)
	var page strings.Builder
	page.WriteString("# Configuration\n\nEvery key of a stack file, from the comments of the code. " +
		"Unknown keys and wrong values are refused before any resource is touched.\n\n" +
		"Each row below `kansoku:` is a key of `Pulumi.<stack>.yaml`; dots are nested objects, `[]` the entries of a list.\n")
	section(&page, docs, "aws:", reflect.TypeFor[AWS](), "")
	config := reflect.TypeFor[Config]()
	var scalars []reflect.StructField
	for _, field := range reflect.VisibleFields(config) {
		switch {
		case tag(field) == "" || tag(field) == "-":
		case structOf(field.Type) == nil:
			scalars = append(scalars, field)
		}
	}
	page.WriteString("\n## kansoku:\n\n| key | type | |\n| --- | --- | --- |\n")
	for _, field := range scalars {
		row(&page, docs, config, field, "")
	}
	for _, field := range reflect.VisibleFields(config) {
		if inner := structOf(field.Type); inner != nil && tag(field) != "-" {
			section(&page, docs, "kansoku:"+tag(field), inner, docs[config.PkgPath()+"."+config.Name()+"."+field.Name])
		}
	}

	golden := filepath.Join("..", "..", "docs", "configuration.md")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.MkdirAll(filepath.Dir(golden), 0o755))
		require.NoError(t, os.WriteFile(golden, []byte(page.String()), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), page.String(), "stale: run `make generate`")
	require.NotContains(t, page.String(), "UNDOCUMENTED")
}

func section(page *strings.Builder, docs map[string]string, title string, t reflect.Type, doc string) {
	fmt.Fprintf(page, "\n## %s\n\n", title)
	if doc != "" {
		fmt.Fprintf(page, "%s\n\n", doc)
	}
	page.WriteString("| key | type | |\n| --- | --- | --- |\n")
	rows(page, docs, t, "")
}

func rows(page *strings.Builder, docs map[string]string, t reflect.Type, prefix string) {
	for _, field := range reflect.VisibleFields(t) {
		if tag(field) == "" || tag(field) == "-" {
			continue
		}
		row(page, docs, t, field, prefix)
		if inner := structOf(field.Type); inner != nil {
			dot := "."
			if field.Type.Kind() == reflect.Slice {
				dot = "[]."
			}
			rows(page, docs, inner, prefix+tag(field)+dot)
		}
	}
}

func row(page *strings.Builder, docs map[string]string, t reflect.Type, field reflect.StructField, prefix string) {
	doc := docs[t.PkgPath()+"."+t.Name()+"."+field.Name]
	if doc == "" {
		doc = "UNDOCUMENTED"
	}
	kind := kindName(field.Type)
	if structOf(field.Type) != nil && field.Type.Kind() != reflect.Slice {
		kind = "an object"
	}
	fmt.Fprintf(page, "| `%s%s` | %s | %s |\n", prefix, tag(field), strings.TrimPrefix(strings.TrimPrefix(kind, "a "), "an "), strings.ReplaceAll(doc, "|", `\|`))
}

// structOf is the settings struct behind a field, directly, by pointer or as the element of a list; nil for scalars and maps.
func structOf(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() == reflect.Struct {
		return t
	}
	return nil
}
