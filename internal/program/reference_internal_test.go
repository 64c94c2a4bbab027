package program

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/internal/comments"
	"github.com/kansoku/kansoku/internal/docs"
)

// TestReference holds docs/configuration.md against the settings' own comments. UPDATE_GOLDEN=1 rewrites it.
func TestReference(t *testing.T) {
	t.Parallel()
	found, err := comments.Fields(filepath.Join("..", ".."), "infra", "components", "internal")
	require.NoError(t, err)
	fields := docs.Fields{Comments: found, Name: func(field reflect.StructField) string {
		return strings.TrimPrefix(tag(field), "-")
	}}
	var page strings.Builder
	page.WriteString("# Configuration\n\nEvery key of a stack file, from the comments of the code. " +
		"Unknown keys and wrong values are refused before any resource is touched.\n\n" +
		"Each row below `kansoku:` is a key of `Pulumi.<stack>.yaml`; dots are nested objects, `[]` the entries of a list.\n")
	section := func(title string, inner reflect.Type, doc string) {
		rows, err := fields.Rows(inner)
		require.NoError(t, err, title)
		fmt.Fprintf(&page, "\n## %s\n\n", title)
		if doc != "" {
			fmt.Fprintf(&page, "%s\n\n", doc)
		}
		page.WriteString(docs.Header("key") + rows)
	}
	section("aws:", reflect.TypeFor[AWS](), "")
	config := reflect.TypeFor[Config]()
	page.WriteString("\n## kansoku:\n\n" + docs.Header("key"))
	for _, field := range reflect.VisibleFields(config) {
		if fields.Name(field) != "" && docs.StructOf(field.Type) == nil {
			row, err := fields.Row(config, field)
			require.NoError(t, err)
			page.WriteString(row)
		}
	}
	for _, field := range reflect.VisibleFields(config) {
		if inner := docs.StructOf(field.Type); inner != nil && fields.Name(field) != "" {
			section("kansoku:"+tag(field), inner, fields.Comment(config, field))
		}
	}
	docs.Golden(t, filepath.Join("..", "..", "docs", "configuration.md"), page.String())
}
