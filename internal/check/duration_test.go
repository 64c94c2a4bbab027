package check_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/internal/check"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0":                  0,
		"0s":                 0,
		"30s":                30 * time.Second,
		"1h30m":              90 * time.Minute,
		"15d":                15 * 24 * time.Hour,
		"1w":                 7 * 24 * time.Hour,
		"1y":                 365 * 24 * time.Hour,
		"250ms":              250 * time.Millisecond,
		"1y2w3d4h5m6s7ms":    (365+14+3)*24*time.Hour + 4*time.Hour + 5*time.Minute + 6*time.Second + 7*time.Millisecond,
		"9223372036854ms":    9223372036854 * time.Millisecond,
		"0y0w0d0h0m0s0ms":    0,
		"00000000000000024h": 24 * time.Hour,
	} {
		got, err := check.ParseDuration(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

func TestParseDurationRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", " 1h", "1h ", "-1h", "1.5h", "h", "1", "1m1h", "1h1h", "1H", "1us", "1d-", "1h\n"} {
		_, err := check.ParseDuration(text)
		require.ErrorContains(t, err, "is no duration such as", text)
	}
	for _, text := range []string{"293y", "9223372036855ms", "99999999999999999999h", "292y100w"} {
		_, err := check.ParseDuration(text)
		require.EqualError(t, err, `"`+text+`" is longer than 292 years`)
	}
}

// The result is never negative: nothing overflows.
func FuzzParseDuration(f *testing.F) {
	f.Add("1h30m")
	f.Add("292y99999999999h")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := check.ParseDuration(text)
		require.GreaterOrEqual(t, got, time.Duration(0))
		if err != nil {
			require.Zero(t, got)
		}
	})
}
