package check

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"time"
)

var (
	durationForm  = regexp.MustCompile(`^(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?$`)
	durationUnits = []time.Duration{
		365 * 24 * time.Hour, 7 * 24 * time.Hour, 24 * time.Hour, time.Hour, time.Minute, time.Second, time.Millisecond,
	}
)

// ParseDuration reads a duration as Prometheus, Thanos and Loki write it ("30s", "1h30m", "15d", "0"): whole numbers of the units y,
// w, d, h, m, s and ms, each at most once and in this order. A year has 365 days.
func ParseDuration(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	parts := durationForm.FindStringSubmatch(s)
	if s == "" || parts == nil {
		return 0, fmt.Errorf(`%q is no duration such as "30s", "1h30m" or "15d"`, s)
	}
	var sum time.Duration
	for i, unit := range durationUnits {
		part := parts[i+1]
		if part == "" {
			continue
		}
		digits := part[:len(part)-1]
		if unit == time.Millisecond {
			digits = part[:len(part)-2]
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n > int64(math.MaxInt64-sum)/int64(unit) {
			return 0, fmt.Errorf("%q is longer than 292 years", s)
		}
		sum += time.Duration(n) * unit
	}
	return sum, nil
}
