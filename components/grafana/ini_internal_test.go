package grafana

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type inner struct {
	Enabled bool `ini:"enabled"`
}

type sample struct {
	First *struct {
		A string `ini:"a"`
	} `ini:"first"`
	Second struct {
		inner
		Text  string     `ini:"text"`
		Empty string     `ini:"empty"`
		List  []string   `ini:"list"`
		N     int        `ini:"n"`
		File  secretFile `ini:"file"`
		None  secretFile `ini:"none"`
	} `ini:"second"`
	Third struct {
		Empty string `ini:"empty"`
	} `ini:"third"`
	Fourth struct {
		B bool `ini:"b"`
	} `ini:"fourth"`
}

func TestMarshalINI(t *testing.T) {
	t.Parallel()
	var s sample
	s.Second.Text, s.Second.List, s.Second.File = "a;b", []string{"x", "y"}, "key"
	got, err := marshalINI(s)
	require.NoError(t, err)
	assert.Equal(t, `[second]
enabled = false
text = """a;b"""
list = x y
n = 0
file = $__file{/etc/grafana/secrets/key}

[fourth]
b = false
`, string(got))
}

func TestMarshalINIRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"a\nb", "a\r", "a\x00", "\u0085", `a"""b`, "${HOME}", "$__file{/etc/passwd}", "%(name)s"} {
		var s sample
		s.Second.Text = text
		_, err := marshalINI(s)
		require.ErrorContains(t, err, "writing section second: writing key text: ", "%q", text)
		s.Second.Text, s.Second.List = "", []string{"fine", text}
		_, err = marshalINI(s)
		require.ErrorContains(t, err, "writing section second: writing key list: ", "%q", text)
	}
	_, err := marshalINI(struct {
		S struct {
			F float64 `ini:"f"`
		} `ini:"s"`
	}{})
	require.EqualError(t, err, "writing section s: writing key f: no way to write a float64")
}

// Quoted is what Grafana's parser would else cut, continue on the next line or strip; each was read back with gopkg.in/ini.v1.
func TestQuote(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a":                      "a",
		"Main Org.":              "Main Org.",
		"https://h:1/x?y=1":      `"""https://h:1/x?y=1"""`,
		"https://h:1/x":          "https://h:1/x",
		"a#b":                    `"""a#b"""`,
		"a;b":                    `"""a;b"""`,
		"'x'":                    `"""'x'"""`,
		`"x"`:                    `""""x""""`,
		"`x`":                    "\"\"\"`x`\"\"\"",
		`x\`:                     `"""x\"""`,
		" x":                     `""" x"""`,
		"x ":                     `"""x """`,
		"[Q]Q":                   `"""[Q]Q"""`,
		"-":                      "-",
		"日本":                     `"""日本"""`,
		"a = b":                  "a = b",
		"YYYY-MM-DD HH:mm:ss":    "YYYY-MM-DD HH:mm:ss",
		"contains(a[*], 'b')":    `"""contains(a[*], 'b')"""`,
		"x@example.com, 1.2.3.4": "x@example.com, 1.2.3.4",
	} {
		assert.Equal(t, want, quote(text), text)
	}
}
