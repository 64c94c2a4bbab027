// Package cost estimates what a stack costs on AWS in a month, and what CloudWatch would take for the same load: each line with its
// formula and the numbers in it. It knows no program and no engine; prices stand in prices.yaml.
package cost

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kansoku/kansoku/internal/check"
)

// Load is what no configuration says: how much there is to keep, and what spot nodes cost today. Only the estimate of costs reads it.
type Load struct {
	// SamplesPerSecond that one Prometheus replica appends: rate(prometheus_tsdb_head_samples_appended_total[1h]). Required, at least 1.
	SamplesPerSecond int `pulumi:"samplesPerSecond"`
	// LogGBPerDay of lines that reach Loki, before compression and replication, in GB. Required with Loki.
	LogGBPerDay float64 `pulumi:"logGBPerDay,optional"`
	// NATGBPerMonth through all NAT gateways: images and calls of AWS' APIs, not S3 and DynamoDB, which have endpoints. Default: 0.
	NATGBPerMonth float64 `pulumi:"natGBPerMonth,optional"`
	// ControlPlaneLogGBPerDay that cluster.logTypes send to CloudWatch Logs. Required with them.
	ControlPlaneLogGBPerDay float64 `pulumi:"controlPlaneLogGBPerDay,optional"`
	// KeptDays is the age, in days, up to which the estimate counts what is kept for ever: it costs more every month. Default: 365.
	KeptDays int `pulumi:"keptDays,optional"`
	// SpotPrices in USD an hour, by instance type: the mean of the stack's zones, of every type of nodes.spot. Required with nodes.
	// `aws ec2 describe-spot-price-history --product-descriptions Linux/UNIX --instance-types m7i.large` prints them.
	SpotPrices map[string]float64 `pulumi:"spotPrices,optional"`
	// SpotPricesDate is the day of these prices ("2026-11-01"). Required with them.
	SpotPricesDate string `pulumi:"spotPricesDate,optional"`
}

// WithDefaults fills what is not set.
func (l Load) WithDefaults() Load {
	if l.KeptDays == 0 {
		l.KeptDays = 365
	}
	return l
}

// Validate reports every violation of a load that has its defaults.
func (l Load) Validate() error {
	var errs check.Errors
	errs.Require(l.SamplesPerSecond >= 1, "samplesPerSecond", l.SamplesPerSecond, "must be at least 1")
	for _, number := range []struct {
		key   string
		value float64
	}{
		{"logGBPerDay", l.LogGBPerDay},
		{"natGBPerMonth", l.NATGBPerMonth},
		{"controlPlaneLogGBPerDay", l.ControlPlaneLogGBPerDay},
	} {
		errs.Require(number.value >= 0, number.key, number.value, "must not be negative")
	}
	errs.Require(l.KeptDays >= 1, "keptDays", l.KeptDays, "must be at least 1")
	for _, name := range sorted(l.SpotPrices) {
		errs.Require(l.SpotPrices[name] > 0, "spotPrices."+name, l.SpotPrices[name], "must be greater than 0: USD an hour")
	}
	_, err := time.Parse(time.DateOnly, l.SpotPricesDate)
	errs.Require(err == nil || l.SpotPricesDate == "" && len(l.SpotPrices) == 0, "spotPricesDate", l.SpotPricesDate,
		`must be the day of spotPrices, such as "2026-11-01"`)
	return errs.Err()
}

// Stack is what there is to pay for.
type Stack struct {
	// Name and Region of the stack.
	Name, Region string
	Load         Load
	// Clusters, NATGateways, Addresses (public IPv4) and Keys (KMS) that the stack makes.
	Clusters, NATGateways, Addresses, Keys int
	Nodes                                  []Nodes
	// Volumes of pods.
	Volumes []Volume
	// ControlPlaneLogs says that the control plane logs to CloudWatch.
	ControlPlaneLogs bool
	// Zones of the nodes; 0 if they are not known.
	Zones int
	// Interval of scrapes.
	Interval time.Duration
	// Metrics and Logs are what is kept; nil where AWS does not keep it.
	Metrics *Metrics
	Logs    *Logs
}

// Nodes is one group of nodes.
type Nodes struct {
	Name string
	Spot bool
	// Types of instances; the first is the preferred one of an on-demand group.
	Types []string
	// Count is the desired size, DiskGiB of each root volume.
	Count, DiskGiB int
}

// Volume is a volume of each of Count replicas; Class is its StorageClass, named as the EBS type.
type Volume struct {
	Name  string
	Class string
	Count int
	GiB   float64
}

// Metrics is how long blocks are kept, and by whom they are made. Days of 0 are for ever.
type Metrics struct {
	// Streams of blocks that are kept: one for each Prometheus replica, or one where compact joins them.
	Streams int
	// Replicas of Prometheus, and Stores of Thanos.
	Replicas, Stores int
	// Raw, Fine (5m) and Coarse (1h) are the days that each resolution is kept; the latter two are not there if Downsampled is false.
	Raw, Fine, Coarse float64
	Downsampled       bool
	// Replaced is how many days a block stays that a compacted one replaces: its deletion delay, and as a noncurrent version.
	Replaced float64
	// StoreSync, CompactSync and WebSync are how often each looks for blocks.
	StoreSync, CompactSync, WebSync time.Duration
	Classes                         []Class
}

// Logs is how long lines are kept, and where.
type Logs struct {
	// Replicas of Loki, which is the replication factor: 1 or 3.
	Replicas int
	// Days that chunks are kept, noncurrent versions included; 0 for ever.
	Days float64
	// Index says that index rows are written to DynamoDB, Recovery that the table has point-in-time recovery.
	Index, Recovery bool
	Classes         []Class
}

// Class is a storage class that objects move to at an age of Days.
type Class struct {
	Name string
	Days int
}

// Item is one line of a bill.
type Item struct {
	// Group of the item ("nodes"), and its own name.
	Group, Name string
	// Formula in numbers; its value is USD, a month.
	Formula string
	USD     float64
}

// Bill is an estimate.
type Bill struct {
	Stack, Region string
	// SpotPricesDate of the stack file.
	SpotPricesDate string
	// Items on AWS, and CloudWatch for the same load.
	Items, CloudWatch []Item
	// Sources of the prices in use, with their dates.
	Sources []string
}

// Total of the items, in USD a month.
func (b *Bill) Total() float64 { return total(b.Items) }

// CloudWatchTotal of the same load, in USD a month.
func (b *Bill) CloudWatchTotal() float64 { return total(b.CloudWatch) }

func total(items []Item) float64 {
	sum := 0.0
	for _, item := range items {
		sum += item.USD
	}
	return sum
}

// Groups are the items' groups with their sums, in order: one line each in Table.
func (b *Bill) Groups() []Item {
	var groups []Item
	for _, item := range b.Items {
		if i := slices.IndexFunc(groups, func(g Item) bool { return g.Name == item.Group }); i >= 0 {
			groups[i].USD += item.USD
			continue
		}
		groups = append(groups, Item{Name: item.Group, USD: item.USD})
	}
	return groups
}

// factor is a number with its unit; a divisor where it divides.
type factor struct {
	value   float64
	unit    string
	divisor bool
}

func by(value float64, unit string) factor   { return factor{value: value, unit: unit} }
func over(value float64, unit string) factor { return factor{value: value, unit: unit, divisor: true} }

// product is what is computed and what is printed, from the same numbers.
func product(factors ...factor) (value float64, formula string) {
	value = 1
	var b strings.Builder
	for i, f := range factors {
		switch {
		case f.divisor:
			value /= f.value
			b.WriteString(" ÷ ")
		default:
			value *= f.value
			if i > 0 {
				b.WriteString(" × ")
			}
		}
		b.WriteString(number(f.value))
		if f.unit != "" {
			b.WriteString(" " + f.unit)
		}
	}
	return value, b.String()
}

// number is a value with five significant digits at least, thousands apart.
func number(value float64) string {
	switch {
	case value == math.Trunc(value) && math.Abs(value) < 1e15:
		return thousands(strconv.FormatFloat(value, 'f', 0, 64))
	case value >= 1e4:
		return thousands(strconv.FormatFloat(value, 'f', 1, 64))
	}
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(value, 'g', 5, 64), 64) // what it has just written
	return thousands(strconv.FormatFloat(rounded, 'f', -1, 64))
}

func thousands(digits string) string {
	whole, fraction, _ := strings.Cut(digits, ".")
	for at := len(whole) - 3; at > 0 && whole[at-1] != '-'; at -= 3 {
		whole = whole[:at] + "," + whole[at:]
	}
	if fraction != "" {
		return whole + "." + fraction
	}
	return whole
}

// money is an amount of USD with cents.
func money(usd float64) string { return thousands(strconv.FormatFloat(usd, 'f', 2, 64)) }

// Table is a bill in short: groups, total, and CloudWatch beside it.
func (b *Bill) Table() string {
	var w strings.Builder
	fmt.Fprintf(&w, "Cost a month in USD, estimated: stack %s, %s, spot prices of %s\n", b.Stack, b.Region, b.SpotPricesDate)
	for _, group := range b.Groups() {
		fmt.Fprintf(&w, "  %-28s %12s\n", group.Name, money(group.USD))
	}
	fmt.Fprintf(&w, "  %-28s %12s\n", "total", money(b.Total()))
	fmt.Fprintf(&w, "  %-28s %12s\n", "CloudWatch, the same load", money(b.CloudWatchTotal()))
	return w.String()
}

// Formulas is a bill in full: every item with its formula, what is not in it, and where the prices are from.
func (b *Bill) Formulas() string {
	var w strings.Builder
	fmt.Fprintf(&w, "Cost a month in USD, estimated: stack %s, %s, spot prices of %s\n", b.Stack, b.Region, b.SpotPricesDate)
	list := func(items []Item, sum string, usd float64) {
		group := ""
		for _, item := range items {
			if item.Group != group {
				group = item.Group
				fmt.Fprintf(&w, "\n%s\n", group)
			}
			fmt.Fprintf(&w, "  %-42s %12s\n      %s\n", item.Name, money(item.USD), item.Formula)
		}
		fmt.Fprintf(&w, "\n%-44s %12s\n", sum, money(usd))
	}
	list(b.Items, "total", b.Total())
	list(b.CloudWatch, "CloudWatch, total", b.CloudWatchTotal())
	w.WriteString("\nNot in it: " + leftOut + ".\n\nAssumed:\n")
	for _, line := range assumed {
		fmt.Fprintf(&w, "  - %s\n", line)
	}
	w.WriteString("\nPrices (internal/cost/prices.yaml):\n")
	for _, source := range b.Sources {
		fmt.Fprintf(&w, "  - %s\n", source)
	}
	return w.String()
}
