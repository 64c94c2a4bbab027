package grafana

import (
	"bytes"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"unicode"
)

// secretFile is a value that Grafana reads from a file when it starts: the key of the Secret that is mounted at secretsDir. It is how all
// secrets reach grafana.ini, which holds none itself.
type secretFile string

// marshalINI writes a struct of sections as Grafana's INI dialect, in the order of the fields. Each field, of the file and of a section, has
// its name in an `ini` tag; embedded structs belong to the section around them. Empty texts, lists and sections are left out: to Grafana
// an empty value is none. Booleans and numbers are always written.
func marshalINI(file any) ([]byte, error) {
	var out bytes.Buffer
	for field, section := range reflect.ValueOf(file).Fields() {
		for section.Kind() == reflect.Pointer && !section.IsNil() {
			section = section.Elem()
		}
		if section.Kind() == reflect.Pointer {
			continue
		}
		var keys bytes.Buffer
		if err := marshalSection(&keys, section); err != nil {
			return nil, fmt.Errorf("writing section %s: %w", field.Tag.Get("ini"), err)
		}
		if keys.Len() == 0 {
			continue
		}
		if out.Len() > 0 {
			out.WriteByte('\n')
		}
		fmt.Fprintf(&out, "[%s]\n%s", field.Tag.Get("ini"), keys.String())
	}
	return out.Bytes(), nil
}

func marshalSection(out *bytes.Buffer, section reflect.Value) error {
	for field, value := range section.Fields() {
		key := field.Tag.Get("ini")
		if field.Anonymous {
			if err := marshalSection(out, reflect.Indirect(value)); err != nil {
				return err
			}
			continue
		}
		text := ""
		switch v := value.Interface().(type) {
		case secretFile:
			if v != "" {
				fmt.Fprintf(out, "%s = $__file{%s/%s}\n", key, secretsDir, string(v))
			}
			continue
		case string:
			text = v
		case []string:
			text = strings.Join(v, " ")
		case bool, int:
			text = fmt.Sprint(v)
		default:
			return fmt.Errorf("writing key %s: no way to write a %s", key, field.Type)
		}
		if text == "" {
			continue
		}
		if !isOneLine(text) {
			return fmt.Errorf("writing key %s: %q must be one line without %s", key, text, forbidden)
		}
		fmt.Fprintf(out, "%s = %s\n", key, quote(text))
	}
	return nil
}

// forbidden is what isOneLine refuses beside line ends: what ends a quotation, and what Grafana replaces by a file, by the environment or by
// another key.
const forbidden = "control characters, `\"\"\"`, `${`, `$__` and `%(`"

func isOneLine(text string) bool {
	for _, not := range []string{`"""`, "${", "$__", "%("} {
		if strings.Contains(text, not) {
			return false
		}
	}
	return strings.IndexFunc(text, unicode.IsControl) < 0
}

// bare is what needs no quotation: no comment, quote, backslash or outer space.
var bare = regexp.MustCompile(`^[A-Za-z0-9_./:@,+=-]([A-Za-z0-9_./:@,+= -]*[A-Za-z0-9_./:@,+=-])?$`)

// quote is how Grafana's parser reads a text as it is.
func quote(text string) string {
	if bare.MatchString(text) {
		return text
	}
	return `"""` + text + `"""`
}
