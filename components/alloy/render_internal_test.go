package alloy

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/collector"
)

// A kind of stage that is added to the description and forgotten here would vanish without a word.
func TestEveryStageIsRendered(t *testing.T) {
	t.Parallel()
	fields := reflect.TypeFor[collector.Stage]()
	for i := range fields.NumField() {
		var s collector.Stage
		field := reflect.ValueOf(&s).Elem().Field(i)
		switch field.Kind() {
		case reflect.Pointer:
			field.Set(reflect.New(field.Type().Elem()))
		case reflect.Map:
			field.Set(reflect.MakeMap(field.Type()))
		case reflect.Slice:
			field.Set(reflect.MakeSlice(field.Type(), 0, 0))
		default:
			require.Fail(t, "unknown kind", field.Kind())
		}
		w := &writer{}
		stage(w, s)
		assert.NotEmpty(t, w.String(), fields.Field(i).Name)
	}
}

func TestLiterals(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]any{
		`"a \"b\" \\d\n"`:        "a \"b\" \\d\n",
		`["a", "b"]`:             []string{"a", "b"},
		`[]`:                     []string{},
		`{"a" = "1", "b" = "2"}`: map[string]string{"b": "2", "a": "1"},
		`3`:                      3,
		`true`:                   true,
		`x.y`:                    expression("x.y"),
	} {
		assert.Equal(t, want, literal(v))
	}
}
