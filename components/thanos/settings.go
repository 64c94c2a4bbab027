package thanos

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kansoku/kansoku/internal/check"
)

const mebibyte = 1 << 20

// fill sets what is empty.
func fill(field *string, fallback string) {
	if *field == "" {
		*field = fallback
	}
}

// text writes a duration for both of Thanos' kinds of flags: some take Go's form, which knows no days, some Prometheus', which knows no
// fractions.
func text(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// goForm rewrites a valid duration for a flag in Go's form.
func goForm(duration string) string {
	d, _ := check.ParseDuration(duration)
	return text(d)
}

// share is a part of a memory limit, as a Kubernetes quantity.
func share(limit string, parts int64) string {
	q, err := resource.ParseQuantity(limit)
	if err != nil {
		return "1Mi" // the limit is reported
	}
	return fmt.Sprintf("%dMi", q.Value()/parts/mebibyte)
}

// size rewrites a valid Kubernetes quantity as Thanos takes it.
func size(quantity string) string {
	q := resource.MustParse(quantity)
	return fmt.Sprintf("%dMiB", q.Value()/mebibyte)
}

// half of a valid quantity, as Thanos takes it.
func half(quantity string) string {
	q := resource.MustParse(quantity)
	return fmt.Sprintf("%dKiB", q.Value()/2/1024)
}

func requireReplicas(errs *check.Errors, replicas int, requireZones bool) {
	errs.Require(replicas >= 1 && replicas <= maxReplicas, "replicas", replicas, "must be between 1 and %d", maxReplicas)
	errs.Require(!requireZones || replicas > 1, "requireZones", requireZones, "must be false with one replica: there is nothing to spread")
}

// requireDuration returns the duration and whether it is one within these limits; no upper limit if most is 0.
func requireDuration(errs *check.Errors, key, value string, least, most time.Duration) (time.Duration, bool) {
	d, err := check.ParseDuration(value)
	switch {
	case err != nil:
		errs.Require(false, key, value, `must be a Prometheus duration such as "30s", "2h" or "15d"`)
	case most == 0:
		errs.Require(d >= least, key, value, "must be at least %s", text(least))
	default:
		errs.Require(d >= least && d <= most, key, value, "must be between %s and %s", text(least), text(most))
	}
	return d, err == nil && d >= least && (most == 0 || d <= most)
}

// requireQuantity returns the bytes; 0 if the value is none.
func requireQuantity(errs *check.Errors, key, value, least string) int64 {
	q, err := resource.ParseQuantity(value)
	ok := err == nil && q.Cmp(resource.MustParse(least)) >= 0
	errs.Require(ok, key, value, "must be a Kubernetes quantity of at least %s", least)
	if !ok {
		return 0
	}
	return q.Value()
}

func requireStorageClass(errs *check.Errors, name string) {
	errs.Require(len(validation.IsDNS1123Subdomain(name)) == 0, "storageClass", name,
		"must name a storage class: lower-case letters, digits, dashes and dots")
}

// part of the memory limit that is set aside.
type reserve struct{ key, size string }

// requireMemory keeps a quarter of the limit for the work itself.
func requireMemory(errs *check.Errors, limit string, reserves ...reserve) {
	var sum int64
	var keys []string
	for _, r := range reserves {
		sum += requireQuantity(errs, r.key, r.size, "1Mi")
		keys = append(keys, r.key)
	}
	q, err := resource.ParseQuantity(limit)
	if err != nil {
		return // reported with the resources
	}
	errs.Require(sum <= q.Value()/4*3, "resources.memoryLimit", limit, "must leave a quarter free beside %s, together %dMi",
		strings.Join(keys, ", "), sum/mebibyte)
}
