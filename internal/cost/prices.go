package cost

import (
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// pricesFile is named in errors.
const pricesFile = "internal/cost/prices.yaml"

//go:embed prices.yaml
var pricesYAML []byte

// source is where prices are from.
type source struct {
	What string `yaml:"what"`
	Date string `yaml:"date"`
}

// price of one thing in one region.
type price struct {
	USD  float64 `yaml:"usd"`
	Per  string  `yaml:"per"`
	From string  `yaml:"from"`
}

// table is prices.yaml.
type table struct {
	Sources map[string]source           `yaml:"sources"`
	Regions map[string]map[string]price `yaml:"regions"`
}

func readTable(content []byte) (*table, error) {
	var read table
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(&read); err != nil {
		return nil, fmt.Errorf("reading %s: %w", pricesFile, err)
	}
	return &read, nil
}

// list is the prices of one region, and remembers which were asked for.
type list struct {
	region  string
	prices  map[string]price
	sources map[string]source
	used    map[string]bool
	missing []string
}

func (t *table) list(region string) (*list, error) {
	prices, known := t.Regions[region]
	if !known {
		return nil, fmt.Errorf("no prices of region %s in %s; it has %s", region, pricesFile, strings.Join(sorted(t.Regions), ", "))
	}
	return &list{region: region, prices: prices, sources: t.Sources, used: map[string]bool{}}, nil
}

// of is a price as a factor. One that is not there is reported by err, all of them at once.
func (l *list) of(key string) factor {
	found, known := l.prices[key]
	if !known || found.USD <= 0 {
		if !slices.Contains(l.missing, key) {
			l.missing = append(l.missing, key)
		}
		return factor{}
	}
	l.used[found.From] = true
	return by(found.USD, "USD/"+found.Per)
}

func (l *list) err() error {
	if len(l.missing) == 0 {
		return nil
	}
	return fmt.Errorf("no price of %s in region %s: add it to %s, with its source", strings.Join(l.missing, ", "), l.region, pricesFile)
}

// from are the sources of the prices that were asked for.
func (l *list) from() []string {
	var all []string
	for _, name := range sorted(l.used) {
		all = append(all, fmt.Sprintf("%s: %s", l.sources[name].Date, l.sources[name].What))
	}
	slices.Sort(all)
	return all
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
