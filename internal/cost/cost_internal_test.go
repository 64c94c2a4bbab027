package cost

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// round prices, so that a bill can be computed by hand.
const testPrices = `
sources: {a: {what: "a test", date: "2026-01-02"}}
regions:
  here:
    eks.cluster: {usd: 0.1, per: hour, from: a}
    instance.big: {usd: 0.5, per: hour, from: a}
    nat.gateway: {usd: 0.06, per: hour, from: a}
    nat.data: {usd: 0.06, per: GB, from: a}
    address: {usd: 0.005, per: hour, from: a}
    zone.data: {usd: 0.01, per: GB, from: a}
    volume.gp3: {usd: 0.1, per: GB-month, from: a}
    key: {usd: 1, per: month, from: a}
    s3.STANDARD: {usd: 0.02, per: GB-month, from: a}
    s3.STANDARD_IA: {usd: 0.01, per: GB-month, from: a}
    s3.transition.STANDARD_IA: {usd: 0.00001, per: request, from: a}
    s3.put: {usd: 0.000005, per: request, from: a}
    s3.get: {usd: 0.0000004, per: request, from: a}
    dynamodb.write: {usd: 0.000001, per: write, from: a}
    dynamodb.storage: {usd: 0.25, per: GB-month, from: a}
    dynamodb.recovery: {usd: 0.2, per: GB-month, from: a}
    cloudwatch.ingestion: {usd: 0.5, per: GB, from: a}
    cloudwatch.storage: {usd: 0.03, per: GB-month, from: a}
    cloudwatch.metric.1: {usd: 0.3, per: metric-month, from: a}
    cloudwatch.metric.2: {usd: 0.1, per: metric-month, from: a}
    cloudwatch.metric.3: {usd: 0.05, per: metric-month, from: a}
    cloudwatch.metric.4: {usd: 0.02, per: metric-month, from: a}
`

func small() Stack {
	return Stack{
		Name: "small", Region: "here", Clusters: 1, NATGateways: 1, Addresses: 1, Keys: 1, Zones: 2, Interval: 30 * time.Second,
		Load: Load{
			SamplesPerSecond: 1000, LogGBPerDay: 10, NATGBPerMonth: 100, ControlPlaneLogGBPerDay: 1, KeptDays: 100,
			SpotPrices: map[string]float64{"one": 0.04, "two": 0.06}, SpotPricesDate: "2026-11-01",
		},
		Nodes: []Nodes{
			{Name: "spot", Spot: true, Types: []string{"one", "two"}, Count: 3, DiskGiB: 50},
			{Name: "on-demand", Types: []string{"big", "unknown"}, Count: 2, DiskGiB: 20},
		},
		Volumes:          []Volume{{Name: "data", Class: "gp3", Count: 2, GiB: 10}},
		ControlPlaneLogs: true,
		Metrics: &Metrics{
			Streams: 2, Replicas: 2, Stores: 1, Raw: 10, Fine: 20, Coarse: 0, Downsampled: true, Replaced: 9,
			StoreSync: 15 * time.Minute, CompactSync: 5 * time.Minute, WebSync: 30 * time.Minute,
		},
		Logs: &Logs{Replicas: 3, Days: 90, Index: true, Recovery: true, Classes: []Class{{Name: "STANDARD_IA", Days: 30}}},
	}
}

func bill(t *testing.T, stack Stack) *Bill {
	t.Helper()
	known, err := readTable([]byte(testPrices))
	require.NoError(t, err)
	made, err := estimateWith(stack, known)
	require.NoError(t, err)
	return made
}

func refused(t *testing.T, stack Stack) string {
	t.Helper()
	known, err := readTable([]byte(testPrices))
	require.NoError(t, err)
	_, err = estimateWith(stack, known)
	require.Error(t, err)
	return err.Error()
}

// amounts by group and name.
func amounts(items []Item) map[string]float64 {
	all := map[string]float64{}
	for _, item := range items {
		all[item.Group+": "+item.Name] = item.USD
	}
	return all
}

// TestEveryItemIsWhatAHandComputes: the right-hand sides are computed by hand from the small stack, not by the package's own constants.
func TestEveryItemIsWhatAHandComputes(t *testing.T) {
	t.Parallel()
	made := bill(t, small())
	want := map[string]float64{
		"EKS control plane: clusters":                            73,      // 0.10 × 730
		"spot nodes: spot":                                       109.5,   // 3 × (0.04 + 0.06) / 2 × 730
		"on-demand nodes: on-demand, big":                        730,     // 2 × 0.50 × 730: the first type, the other's price is not asked for
		"KMS keys: keys":                                         1,       //
		"control plane's logs: ingestion":                        15.2083, // 1 × 30.41667 × 0.50
		"control plane's logs: storage, kept for ever: 100 days": 0.45,    // 1 × 100 × 0.15 × 0.03
		"network: NAT gateways":                                  43.8,    // 0.06 × 730
		"network: NAT, data as stated":                           6,       // 100 × 0.06
		"network: public IPv4 addresses":                         3.65,    // 0.005 × 730
		"network: between zones, collectors to Loki":             1.0646,  // 304.1667 GB × 0.35 × half of them × 2 × 0.01
		"network: between zones, Loki's replicas":                12.1667, // 304.1667 GB × 2 × 2 × 0.01
		"volumes: roots of spot":                                 15,      // 3 × 50 × 0.1
		"volumes: roots of on-demand":                            4,       // 2 × 20 × 0.1
		"volumes: data":                                          2,       // 2 × 10 × 0.1
		"S3, metrics: raw samples, STANDARD":                     0.05184, // 0.2592 GB a day × 10 × 0.02
		"S3, metrics: aggregates of 5m, STANDARD":                0.05184, // 30,000 × 2 × 288 × 5 × 1.5 / 1e9 = 0.1296 GB a day × 20 × 0.02
		"S3, metrics: aggregates of 1h, STANDARD":                0.0216,  // a twelfth, 0.0108, × 100 days kept for ever × 0.02
		"S3, metrics: replaced blocks, STANDARD":                 0.13997, // 0.2592 × 3 × 9 × 0.02
		"S3, metrics: PUTs":                                      0.01898, // 2 × 15.6 × 4 × 30.41667 × 0.000005
		"S3, metrics: GETs of Thanos store":                      0.0934,  // 2 × (10 + 10/14 + 20/14 + 100/14, rounded up) = 40 × 2 × 2920 × 4e-7
		"S3, metrics: GETs of Thanos compact":                    1.6819,  // 40 × 4 × 3 × 8760 × 4e-7
		"S3, metrics: GETs of Thanos bucket web":                 0.02336, // 40 × 1460 × 4e-7
		"S3, metrics: LISTs of all three":                        0.1533,  // (2920 + 26280 + 1460) × 0.000005
		"S3, logs: chunks, STANDARD":                             2.82,    // 10 × 0.47 × 30 × 0.02
		"S3, logs: chunks, STANDARD_IA":                          2.82,    // 10 × 0.47 × 60 × 0.01
		"S3, logs: PUTs":                                         2.2965,  // 304,166.7 MB × 1.51 × 0.000005
		"S3, logs: transitions to STANDARD_IA":                   4.5929,  // 304,166.7 MB × 1.51 × 0.00001
		"DynamoDB, index of logs: writes":                        1.4904,  // 304,166.7 MB × 4.90 / 1e6
		"DynamoDB, index of logs: storage":                       0.4096,  // 10,000 MB × 4.90 × 334.375 × 100 / 1e9 = 1.63844 GB × 0.25
		"DynamoDB, index of logs: point-in-time recovery":        0.3277,  // 1.63844 GB × 0.2
	}
	got := amounts(made.Items)
	for name, usd := range want {
		require.InEpsilon(t, usd, got[name], 0.0005, name)
	}
	require.Len(t, got, len(want), "nothing else is charged")
	require.InDelta(t, 1033.83, made.Total(), 0.01)

	beside := amounts(made.CloudWatch)
	for name, usd := range map[string]float64{
		"custom metrics, the first 10,000": 3000,     // 30,000 series
		"custom metrics, the next 240,000": 2000,     // the other 20,000 × 0.10
		"logs, ingestion":                  152.0833, // 304.1667 × 0.50
		"logs, storage":                    4.05,     // 10 × 90 × 0.15 × 0.03
	} {
		require.InEpsilon(t, usd, beside["CloudWatch for the same load: "+name], 0.0005, name)
	}
	require.Len(t, beside, 4)
	require.InDelta(t, 5156.13, made.CloudWatchTotal(), 0.01)
}

// TestFormulasGiveWhatTheySay: whoever types a printed formula into a calculator gets the printed amount.
func TestFormulasGiveWhatTheySay(t *testing.T) {
	t.Parallel()
	made := bill(t, small())
	token := regexp.MustCompile(`(^| × | ÷ )([0-9.,]+)`)
	for _, item := range slices.Concat(made.Items, made.CloudWatch) {
		value := 1.0
		for _, match := range token.FindAllStringSubmatch(item.Formula, -1) {
			operand, err := strconv.ParseFloat(strings.ReplaceAll(match[2], ",", ""), 64)
			require.NoError(t, err)
			if match[1] == " ÷ " {
				operand = 1 / operand
			}
			value *= operand
		}
		// CloudWatch's first tiers name in brackets where their number comes from.
		if !strings.Contains(item.Formula, "(") || item.Group != watchGroup {
			require.InEpsilon(t, item.USD, value, 0.0005, "%s: %s", item.Name, item.Formula)
		}
	}
}

func TestWhatIsNotThereIsNotCharged(t *testing.T) {
	t.Parallel()
	stack := small()
	stack.Clusters, stack.NATGateways, stack.Addresses, stack.Keys, stack.ControlPlaneLogs = 0, 0, 0, 0, false
	stack.Nodes, stack.Volumes, stack.Metrics, stack.Logs = nil, nil, nil, nil
	made := bill(t, stack)
	require.Empty(t, made.Items)
	require.Zero(t, made.Total())
	require.Len(t, made.CloudWatch, 2, "metrics only: without Loki there are no logs to compare")
}

func TestEdges(t *testing.T) {
	t.Parallel()
	change := func(edit func(*Stack)) map[string]float64 {
		stack := small()
		stack.Load.SpotPrices = map[string]float64{"one": 0.04, "two": 0.06}
		edit(&stack)
		return amounts(bill(t, stack).Items)
	}

	one := change(func(s *Stack) { s.Zones = 1 })
	require.NotContains(t, one, "network: between zones, Loki's replicas", "one zone, nothing between them")
	single := change(func(s *Stack) { s.Logs.Replicas = 1 })
	require.NotContains(t, single, "network: between zones, Loki's replicas", "one replica sends to no other")
	require.InEpsilon(t, 304_166.7*1.63/1e6, single["DynamoDB, index of logs: writes"], 0.0005)

	tsdb := change(func(s *Stack) { s.Logs.Index = false })
	for name := range tsdb {
		require.NotContains(t, name, "DynamoDB")
	}
	require.NotContains(t, change(func(s *Stack) { s.Logs.Recovery = false }), "DynamoDB, index of logs: point-in-time recovery")

	raw := change(func(s *Stack) { s.Metrics.Downsampled = false })
	require.NotContains(t, raw, "S3, metrics: aggregates of 5m, STANDARD")
	require.InEpsilon(t, 22*2*2920*4e-7, raw["S3, metrics: GETs of Thanos store"], 0.0005, "2 × (10/14 rounded up + 10) blocks")

	// A class that nothing gets old enough for, and one at once.
	young := change(func(s *Stack) { s.Logs.Days = 30 })
	require.InEpsilon(t, 10*0.47*30*0.02, young["S3, logs: chunks, STANDARD"], 0.0005)
	require.NotContains(t, young, "S3, logs: chunks, STANDARD_IA")
	require.NotContains(t, young, "S3, logs: transitions to STANDARD_IA")
	atOnce := change(func(s *Stack) { s.Logs.Classes[0].Days = 0 })
	require.NotContains(t, atOnce, "S3, logs: chunks, STANDARD")
	require.InEpsilon(t, 10*0.47*90*0.01, atOnce["S3, logs: chunks, STANDARD_IA"], 0.0005)

	stack := small()
	stack.Load.SamplesPerSecond = 100_000 // three million series: all four tiers
	beside := amounts(bill(t, stack).CloudWatch)
	require.InEpsilon(t, 2_000_000*0.02, beside["CloudWatch for the same load: custom metrics, all others"], 0.0005)
	require.InEpsilon(t, 750_000*0.05, beside["CloudWatch for the same load: custom metrics, the next 750,000"], 0.0005)
}

func TestAMissingPriceIsAnErrorThatNamesItAndTheFile(t *testing.T) {
	t.Parallel()
	stack := small()
	stack.Region = "nowhere"
	require.Equal(t, "no prices of region nowhere in internal/cost/prices.yaml; it has here", refused(t, stack))

	stack = small()
	stack.Nodes[1].Types = []string{"unknown"}
	stack.Volumes[0].Class = "io9"
	require.Equal(t, "no price of instance.unknown, volume.io9 in region here: add it to internal/cost/prices.yaml, with its source",
		refused(t, stack), "all at once")

	stack = small()
	stack.Logs.Classes[0].Name = "GLACIER_IR"
	require.Contains(t, refused(t, stack), "no price of s3.GLACIER_IR, s3.transition.GLACIER_IR in region here")
}

func TestWhatTheLoadMustSay(t *testing.T) {
	t.Parallel()
	stack := small()
	stack.Load = Load{SpotPrices: map[string]float64{"two": -1}, SpotPricesDate: "yesterday", NATGBPerMonth: -1}
	require.Equal(t, strings.Join([]string{
		`kansoku:cost.samplesPerSecond: must be at least 1, got 0`,
		`kansoku:cost.natGBPerMonth: must not be negative, got -1`,
		`kansoku:cost.spotPrices.two: must be greater than 0: USD an hour, got -1`,
		`kansoku:cost.spotPricesDate: must be the day of spotPrices, such as "2026-11-01", got "yesterday"`,
		`kansoku:cost.logGBPerDay: must be set: the stack keeps logs, got 0`,
		`kansoku:cost.controlPlaneLogGBPerDay: must be set: kansoku:cluster.logTypes go to CloudWatch, got 0`,
		`kansoku:cost.spotPrices.one: must be set: the spot nodes may be of this type, got null`,
	}, "\n"), refused(t, stack))

	stack = small()
	stack.Load.SpotPricesDate = ""
	require.Contains(t, refused(t, stack), "spotPricesDate: must be the day of spotPrices")
	stack.Load.SpotPrices, stack.Nodes = nil, nil
	bill(t, stack) // nothing on spot, nothing to date
	stack.Logs.Replicas = 2
	require.Contains(t, refused(t, stack), "kansoku:monitoring.loki.replicas: must be 1 or 3: nothing else was measured, got 2")
}

func TestEveryPriceHasASourceWithADate(t *testing.T) {
	t.Parallel()
	known, err := readTable(pricesYAML)
	require.NoError(t, err)
	used := map[string]bool{}
	for region, prices := range known.Regions {
		for key, one := range prices {
			require.Positive(t, one.USD, "%s %s", region, key)
			require.NotEmpty(t, one.Per, "%s %s", region, key)
			require.Contains(t, known.Sources, one.From, "%s %s", region, key)
			used[one.From] = true
		}
	}
	for name, from := range known.Sources {
		require.True(t, used[name], "%s is the source of nothing", name)
		require.NotEmpty(t, from.What, name)
		_, err = time.Parse(time.DateOnly, from.Date)
		require.NoError(t, err, name)
	}
	_, err = readTable([]byte("sources: {}\nregion: {}\n"))
	require.ErrorContains(t, err, "field region not found", "a misspelt key is no silent gap")
}

// TestFiguresAreThoseOfTheLab holds what is assumed of Loki against what was measured.
func TestFiguresAreThoseOfTheLab(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "lab.md"))
	require.NoError(t, err)
	row := func(name string) (ours, three float64) {
		match := regexp.MustCompile(`(?m)^\| ` + name + ` \| [0-9.]+ \| ([0-9.]+) \| ([0-9.]+) \|$`).FindStringSubmatch(string(page))
		require.NotNil(t, match, name)
		ours, err := strconv.ParseFloat(match[1], 64)
		require.NoError(t, err)
		three, err = strconv.ParseFloat(match[2], 64)
		require.NoError(t, err)
		return ours, three
	}
	puts1, puts3 := row("S3 PUTs")
	rows1, rows3 := row("DynamoDB items written")
	stored1, stored3 := row("MB stored")
	require.Equal(t, [2]float64{written[1].puts, written[3].puts}, [2]float64{puts1, puts3})
	require.Equal(t, [2]float64{written[1].rows, written[3].rows}, [2]float64{rows1, rows3})
	require.Equal(t, [2]float64{written[1].stored, written[3].stored}, [2]float64{stored1, stored3})
	require.Contains(t, string(page), "| series under one hash key | 6,400, 1.5 MB of rows", "what a row takes")
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for value, want := range map[float64]string{
		0: "0", 3: "3", 1000: "1,000", 1234567: "1,234,567", 0.0000047: "0.0000047", 30.416666: "30.417", 304166.6667: "304,166.7", 0.05: "0.05",
	} {
		require.Equal(t, want, number(value))
	}
	require.Equal(t, "12,345.60", money(12345.6))
}

func TestPrinted(t *testing.T) {
	t.Parallel()
	made := bill(t, small())
	require.Equal(t, `Cost a month in USD, estimated: stack small, here, spot prices of 2026-11-01
  EKS control plane                   73.00
  spot nodes                         109.50
  on-demand nodes                    730.00
  KMS keys                             1.00
  control plane's logs                15.66
  network                             66.68
  volumes                             21.00
  S3, metrics                          2.24
  S3, logs                            12.53
  DynamoDB, index of logs              2.23
  total                            1,033.83
  CloudWatch, the same load        5,156.13
`, made.Table())
	full := made.Formulas()
	require.Contains(t, full, "  spot                                             109.50\n      3 nodes × 0.05 USD/hour (mean of 2 types) × 730 hours\n")
	require.Contains(t, full, "  - 2026-01-02: a test\n")
	require.Contains(t, full, leftOut)
	require.Equal(t, "Cost a month: no estimate of stack x: why\n  and why\n", Describe("x", errText("why\nand why")))
}

type errText string

func (e errText) Error() string { return string(e) }
