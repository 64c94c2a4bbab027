package cost

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/kansoku/kansoku/internal/check"
)

// The groups of a bill.
const (
	clusterGroup = "EKS control plane"
	spotGroup    = "spot nodes"
	demandGroup  = "on-demand nodes"
	networkGroup = "network"
	volumeGroup  = "volumes"
	metricsGroup = "S3, metrics"
	logsGroup    = "S3, logs"
	indexGroup   = "DynamoDB, index of logs"
	keyGroup     = "KMS keys"
	auditGroup   = "control plane's logs"
	watchGroup   = "CloudWatch for the same load"
)

const (
	hoursPerMonth = 730 // AWS' own
	daysPerMonth  = 365.0 / 12
	secondsPerDay = 86_400
	gb            = 1e9
	mbPerGB       = 1000

	// Prometheus' documentation: "an average of only 1-2 bytes per sample", index included.
	bytesPerSample = 1.5
	// Thanos keeps five aggregates of every window: count, sum, min, max, counter.
	aggregates = 5
	// Thanos compacts blocks of 2h to 8h, 2d and 14d: what is uploaded once is written three times more.
	rewrites = 3
	// Blocks that a stream uploads a day, of 2h, and their compacted ones: 12, 3, a half and a fourteenth; as many hourly and 5m ones again
	// are few. Each is three objects, meta.json, index and chunks, and gets a mark when it is deleted.
	blocksPerDay    = 15.6
	objectsPerBlock = 4
	// A block of two weeks is the largest; the younger ones of a stream are some ten more.
	blockDays, youngBlocks = 14, 10
	// Thanos 0.42 asks for meta.json and a deletion mark of each block when it looks (store), and for two more marks (compact, which looks
	// three times an interval: to compact, to clean up, to report), for meta.json only (bucket web).
	storeReads, compactReads, webReads, compactLooks = 2, 4, 1, 3

	// A row of Loki's index: 1.5 MB of 6,400 rows (docs/lab.md), and 100 bytes that DynamoDB adds to every item it stores.
	rowBytes = 1.5e6/6400 + 100
	// AWS' own examples of CloudWatch Logs take 15 % of what is ingested as stored.
	archivedShare = 0.15
)

// written is what Loki makes of one MB of lines, by `make bench-logs` (docs/lab.md, columns "ours").
var written = map[int]struct{ puts, rows, stored float64 }{
	1: {puts: 0.50, rows: 1.63, stored: 0.35},
	3: {puts: 1.51, rows: 4.90, stored: 0.47},
}

// tiers of CloudWatch's metrics: how many of them each price is for.
var tiers = []float64{10_000, 240_000, 750_000, math.Inf(1)}

// leftOut is what an estimate does not count.
const leftOut = "tax, discounts, free tiers, support; traffic to the internet, and that of metrics between zones; reads by queries and by " +
	"alerts on logs; index rows of periods that have ended; the TSDB index of logs; calls of KMS; snapshots; nodes beyond the desired size"

// assumed is what holds for every estimate.
var assumed = []string{
	"A GB has 10^9 bytes.",
	"Nodes: the desired sizes of the groups, all the time; of spot types the mean price, of on-demand types the first.",
	"Metrics: 1.5 bytes a sample (Prometheus' documentation: 1 to 2), five aggregates where downsampled; a compacted block replaces three " +
		"earlier ones.",
	"Logs: PUTs, rows and bytes for a MB of lines as `make bench-logs` measured with the defaults (docs/lab.md); rows are never deleted.",
	"Between zones: collectors send compressed as stored, a replica sends the lines as they are to the others, each in a zone of its own.",
	"CloudWatch: every series is a custom metric (samples a second × scrape interval); PutMetricData's requests, dashboards, alarms and " +
		"queries are not counted. Whoever sends it less pays less.",
}

// Estimate gives the bill of a stack. A price that prices.yaml or the stack's load does not have is an error, which names all of them.
func Estimate(stack Stack) (*Bill, error) {
	known, err := readTable(pricesYAML)
	if err != nil {
		return nil, err
	}
	return estimateWith(stack, known)
}

func estimateWith(stack Stack, known *table) (*Bill, error) {
	prices, err := known.list(stack.Region)
	if err != nil {
		return nil, err
	}
	e := &estimate{Stack: stack, prices: prices}
	e.Load = e.Load.WithDefaults()
	if err := e.loaded(); err != nil {
		return nil, err
	}
	e.cluster()
	e.network()
	e.volumes()
	e.metrics()
	e.logs()
	e.cloudWatch()
	if err := prices.err(); err != nil {
		return nil, err
	}
	return &Bill{
		Stack: stack.Name, Region: stack.Region, SpotPricesDate: e.Load.SpotPricesDate,
		Items: e.items, CloudWatch: e.beside, Sources: prices.from(),
	}, nil
}

type estimate struct {
	Stack
	prices        *list
	items, beside []Item
}

// loaded requires what this stack's estimate cannot do without.
func (e *estimate) loaded() error {
	var errs check.Errors
	errs.Under("kansoku:cost", e.Load.Validate())
	errs.Require(e.Logs == nil || e.Load.LogGBPerDay > 0, "kansoku:cost.logGBPerDay", e.Load.LogGBPerDay, "must be set: the stack keeps logs")
	errs.Require(!e.ControlPlaneLogs || e.Load.ControlPlaneLogGBPerDay > 0, "kansoku:cost.controlPlaneLogGBPerDay", e.Load.ControlPlaneLogGBPerDay,
		"must be set: kansoku:cluster.logTypes go to CloudWatch")
	asked := map[string]bool{}
	for _, group := range e.Nodes {
		for _, name := range group.Types {
			if group.Spot && !asked[name] && e.Load.SpotPrices[name] == 0 {
				errs.Require(false, "kansoku:cost.spotPrices."+name, nil, "must be set: the spot nodes may be of this type")
			}
			asked[name] = asked[name] || group.Spot
		}
	}
	if e.Logs != nil {
		_, measured := written[e.Logs.Replicas]
		errs.Require(measured, "kansoku:monitoring.loki.replicas", e.Logs.Replicas, "must be 1 or 3: nothing else was measured")
	}
	return errs.Err()
}

// add adds an item of these factors, unless there is none of it.
func (e *estimate) add(group, name string, factors ...factor) {
	usd, formula := product(factors...)
	if usd != 0 {
		e.items = append(e.items, Item{Group: group, Name: name, Formula: formula, USD: usd})
	}
}

func (e *estimate) cluster() {
	if e.Clusters > 0 {
		e.add(clusterGroup, "clusters", by(float64(e.Clusters), ""), e.prices.of("eks.cluster"), by(hoursPerMonth, "hours"))
	}
	for _, group := range e.Nodes {
		nodes := by(float64(group.Count), "nodes")
		if group.Count == 0 {
			continue
		}
		if group.Spot {
			e.add(spotGroup, group.Name, nodes, by(e.meanSpot(group.Types), fmt.Sprintf("USD/hour (mean of %d types)", len(group.Types))),
				by(hoursPerMonth, "hours"))
			continue
		}
		e.add(demandGroup, fmt.Sprintf("%s, %s", group.Name, group.Types[0]), nodes, e.prices.of("instance."+group.Types[0]),
			by(hoursPerMonth, "hours"))
	}
	if e.Keys > 0 {
		e.add(keyGroup, "keys", by(float64(e.Keys), ""), e.prices.of("key"))
	}
	if e.ControlPlaneLogs {
		e.add(auditGroup, "ingestion", by(e.Load.ControlPlaneLogGBPerDay, "GB/day"), by(daysPerMonth, "days"), e.prices.of("cloudwatch.ingestion"))
		e.add(auditGroup, fmt.Sprintf("storage, kept for ever: %d days", e.Load.KeptDays), by(e.Load.ControlPlaneLogGBPerDay, "GB/day"),
			by(float64(e.Load.KeptDays), "days"), by(archivedShare, "stored"), e.prices.of("cloudwatch.storage"))
	}
}

func (e *estimate) meanSpot(types []string) float64 {
	sum := 0.0
	for _, name := range types {
		sum += e.Load.SpotPrices[name]
	}
	return sum / float64(len(types))
}

func (e *estimate) network() {
	if e.NATGateways > 0 {
		e.add(networkGroup, "NAT gateways", by(float64(e.NATGateways), ""), e.prices.of("nat.gateway"), by(hoursPerMonth, "hours"))
		e.add(networkGroup, "NAT, data as stated", by(e.Load.NATGBPerMonth, "GB"), e.prices.of("nat.data"))
	}
	if e.Addresses > 0 {
		e.add(networkGroup, "public IPv4 addresses", by(float64(e.Addresses), ""), e.prices.of("address"), by(hoursPerMonth, "hours"))
	}
	if e.Logs == nil || e.Zones < 2 {
		return
	}
	// What leaves a zone is paid there, and where it arrives.
	each := written[1].stored * float64(e.Zones-1) / float64(e.Zones)
	e.add(networkGroup, "between zones, collectors to Loki", by(e.Load.LogGBPerDay, "GB/day"), by(daysPerMonth, "days"),
		by(each, "compressed, to another zone"), by(2, "ways"), e.prices.of("zone.data"))
	e.add(networkGroup, "between zones, Loki's replicas", by(e.Load.LogGBPerDay, "GB/day"), by(daysPerMonth, "days"),
		by(float64(e.Logs.Replicas-1), "other replicas"), by(2, "ways"), e.prices.of("zone.data"))
}

func (e *estimate) volumes() {
	for _, group := range e.Nodes {
		if group.Count > 0 {
			e.add(volumeGroup, "roots of "+group.Name, by(float64(group.Count), "nodes"), by(float64(group.DiskGiB), "GiB"), e.prices.of("volume.gp3"))
		}
	}
	for _, volume := range e.Volumes {
		e.add(volumeGroup, volume.Name, by(float64(volume.Count), "replicas"), by(volume.GiB, "GiB"), e.prices.of("volume."+volume.Class))
	}
}

// days is how long something is counted, with a word on it if it is kept for ever.
func (e *estimate) days(configured float64) (days float64, unit string) {
	if configured == 0 {
		return float64(e.Load.KeptDays), "days (kept for ever)"
	}
	return configured, "days"
}

// stored adds the storage of something that grows by the same amount every day: one item for each class that it passes through.
func (e *estimate) stored(group, name string, configured float64, classes []Class, perDay ...factor) {
	all, unit := e.days(configured)
	at, class := 0.0, "STANDARD"
	for i := 0; i <= len(classes); i++ {
		until := all
		if i < len(classes) {
			until = math.Min(all, float64(classes[i].Days))
		}
		if until > at {
			factors := append(append([]factor(nil), perDay...), by(until-at, unit), e.prices.of("s3."+class))
			e.add(group, name+", "+class, factors...)
		}
		at = math.Max(at, until)
		if i < len(classes) {
			class = classes[i].Name
		}
	}
}

func (e *estimate) metrics() {
	m := e.Metrics
	if m == nil {
		return
	}
	streams, gigabytes := by(float64(m.Streams), "streams"), []factor{by(bytesPerSample, "bytes"), over(gb, "bytes/GB")}
	scraped := append([]factor{by(float64(e.Load.SamplesPerSecond), "samples/s"), streams, by(secondsPerDay, "s/day")}, gigabytes...)
	e.stored(metricsGroup, "raw samples", m.Raw, m.Classes, scraped...)
	series := by(float64(e.Load.SamplesPerSecond)*e.Interval.Seconds(), "series")
	downsampled := func(seconds float64) []factor {
		return append([]factor{series, streams, by(secondsPerDay/seconds, "windows/day"), by(aggregates, "aggregates")}, gigabytes...)
	}
	if m.Downsampled {
		e.stored(metricsGroup, "aggregates of 5m", m.Fine, m.Classes, downsampled(300)...)
		e.stored(metricsGroup, "aggregates of 1h", m.Coarse, m.Classes, downsampled(3600)...)
	}
	if m.Replaced > 0 {
		e.stored(metricsGroup, "replaced blocks", m.Replaced, nil, append(scraped, by(rewrites, "times replaced"))...)
	}
	e.add(metricsGroup, "PUTs", by(float64(m.Replicas), "replicas"), by(blocksPerDay, "blocks/day"), by(objectsPerBlock, "objects"),
		by(daysPerMonth, "days"), e.prices.of("s3.put"))

	blocks := 0.0
	for _, kept := range e.resolutions() {
		days, _ := e.days(kept)
		blocks += days / blockDays
	}
	all := by(float64(m.Streams)*(math.Ceil(blocks)+youngBlocks), "blocks")
	perMonth := func(sync time.Duration) float64 { return hoursPerMonth * time.Hour.Hours() / sync.Hours() }
	store, compact, web := float64(m.Stores)*perMonth(m.StoreSync), compactLooks*perMonth(m.CompactSync), perMonth(m.WebSync)
	get := e.prices.of("s3.get")
	e.add(metricsGroup, "GETs of Thanos store", all, by(storeReads, "each"), by(store, "looks"), get)
	e.add(metricsGroup, "GETs of Thanos compact", all, by(compactReads, "each"), by(compact, "looks"), get)
	e.add(metricsGroup, "GETs of Thanos bucket web", all, by(webReads, "each"), by(web, "looks"), get)
	e.add(metricsGroup, "LISTs of all three", by(store+compact+web, "looks"), e.prices.of("s3.put"))
}

func (e *estimate) resolutions() []float64 {
	if e.Metrics.Downsampled {
		return []float64{e.Metrics.Raw, e.Metrics.Fine, e.Metrics.Coarse}
	}
	return []float64{e.Metrics.Raw}
}

func (e *estimate) logs() {
	logs := e.Logs
	if logs == nil {
		return
	}
	made := written[logs.Replicas]
	lines, mb, month := by(e.Load.LogGBPerDay, "GB/day"), by(mbPerGB, "MB/GB"), by(daysPerMonth, "days")
	e.stored(logsGroup, "chunks", logs.Days, logs.Classes, lines, by(made.stored, "stored"))
	puts := []factor{lines, mb, by(made.puts, "PUTs/MB"), month}
	e.add(logsGroup, "PUTs", append(puts, e.prices.of("s3.put"))...)
	all, _ := e.days(logs.Days)
	for _, class := range logs.Classes {
		if float64(class.Days) < all {
			e.add(logsGroup, "transitions to "+class.Name, append(append([]factor(nil), puts...), e.prices.of("s3.transition."+class.Name))...)
		}
	}
	if !logs.Index {
		return
	}
	rows := by(made.rows, "rows/MB")
	e.add(indexGroup, "writes", lines, mb, rows, month, e.prices.of("dynamodb.write"))
	kept := []factor{lines, mb, rows, by(rowBytes, "bytes"), by(float64(e.Load.KeptDays), "days (kept for ever)"), over(gb, "bytes/GB")}
	e.add(indexGroup, "storage", append(append([]factor(nil), kept...), e.prices.of("dynamodb.storage"))...)
	if logs.Recovery {
		e.add(indexGroup, "point-in-time recovery", append(append([]factor(nil), kept...), e.prices.of("dynamodb.recovery"))...)
	}
}

// cloudWatch is what CloudWatch would take for the metrics and the logs.
func (e *estimate) cloudWatch() {
	put := func(name string, factors ...factor) {
		usd, formula := product(factors...)
		if usd != 0 {
			e.beside = append(e.beside, Item{Group: watchGroup, Name: name, Formula: formula, USD: usd})
		}
	}
	left := float64(e.Load.SamplesPerSecond) * e.Interval.Seconds()
	unit := fmt.Sprintf("of %s metrics (%s samples/s × %s s)", number(left), number(float64(e.Load.SamplesPerSecond)), number(e.Interval.Seconds()))
	for i, size := range tiers {
		count := math.Min(left, size)
		left -= count
		name := "custom metrics, the first " + number(size)
		switch {
		case math.IsInf(size, 1):
			name = "custom metrics, all others"
		case i > 0:
			name = "custom metrics, the next " + number(size)
		}
		if count > 0 {
			put(name, by(count, unit), e.prices.of(fmt.Sprintf("cloudwatch.metric.%d", i+1)))
		}
	}
	if e.Logs == nil {
		return
	}
	days, kept := e.days(e.Logs.Days)
	put("logs, ingestion", by(e.Load.LogGBPerDay, "GB/day"), by(daysPerMonth, "days"), e.prices.of("cloudwatch.ingestion"))
	put("logs, storage", by(e.Load.LogGBPerDay, "GB/day"), by(days, kept), by(archivedShare, "stored"), e.prices.of("cloudwatch.storage"))
}

// Describe is a line for a stack that has no estimate, and why.
func Describe(stack string, err error) string {
	return fmt.Sprintf("Cost a month: no estimate of stack %s: %s\n", stack, strings.ReplaceAll(err.Error(), "\n", "\n  "))
}
