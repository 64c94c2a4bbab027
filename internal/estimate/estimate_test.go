package estimate_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/internal/estimate"
)

var root = filepath.Join("..", "..")

// TestBills are the shipped stacks' bills. UPDATE_GOLDEN=1 rewrites them.
func TestBills(t *testing.T) {
	t.Parallel()
	for _, stack := range []string{"dev", "prod"} {
		t.Run(stack, func(t *testing.T) {
			t.Parallel()
			bill, err := estimate.Of(root, stack)
			require.NoError(t, err)
			got := bill.Table() + "\n" + bill.Formulas()
			golden := filepath.Join("testdata", stack+".txt")
			if os.Getenv("UPDATE_GOLDEN") != "" {
				require.NoError(t, os.MkdirAll("testdata", 0o755))
				require.NoError(t, os.WriteFile(golden, []byte(got), 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), got, "stale: run `make generate`")
			require.Less(t, bill.Total(), bill.CloudWatchTotal())
		})
	}
}

// changed is a project with the stack file of dev, made of the shipped one by replacing texts: old, new, old, new.
func changed(t *testing.T, edits ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"Pulumi.yaml", "Pulumi.dev.yaml"} {
		content, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		text := string(content)
		for i := 0; i < len(edits) && name != "Pulumi.yaml"; i += 2 {
			require.Contains(t, text, edits[i])
			text = strings.Replace(text, edits[i], edits[i+1], 1)
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

func TestTheBillFollowsTheConfiguration(t *testing.T) {
	t.Parallel()
	before, err := estimate.Of(root, "dev")
	require.NoError(t, err)
	after, err := estimate.Of(changed(t,
		"nat: single", "nat: perZone",
		"index: dynamodb}", "index: tsdb}\n      retention: 20d",
		"storageSize: 20Gi", "storageSize: 70Gi",
		"desiredSize: 1\n      maxSize: 3", "desiredSize: 2\n      maxSize: 3",
	), "dev")
	require.NoError(t, err)
	usd := func(group string, all bool) float64 {
		of := before
		if all {
			of = after
		}
		for _, one := range of.Groups() {
			if one.Name == group {
				return one.USD
			}
		}
		return 0
	}
	require.InDelta(t, 2*730*(0.062+0.005), usd("network", true)-usd("network", false), 0.01, "two more gateways, each with an address")
	require.InDelta(t, usd("spot nodes", false)*2, usd("spot nodes", true), 0.01)
	require.InDelta(t, (2*50+3*50)*0.096, usd("volumes", true)-usd("volumes", false), 0.01, "two replicas' claims, three nodes' roots")
	require.Zero(t, usd("DynamoDB, index of logs", true))
	require.InEpsilon(t, 20.0/30, (usd("S3, logs", true)-0.14)/(usd("S3, logs", false)-0.14), 0.01, "20 days in place of 30; the PUTs stay")
}

func TestWithoutAnEstimate(t *testing.T) {
	t.Parallel()
	_, err := estimate.Of(root, "local")
	require.ErrorIs(t, err, estimate.ErrNotOnAWS)

	_, err = estimate.Of(changed(t, "  kansoku:cost:\n    samplesPerSecond: 2000 # 60,000 series every 30s\n    logGBPerDay: 2\n    natGBPerMonth: 50\n"+
		"    spotPrices: {m7i.large: 0.052, m7a.large: 0.060, m6i.large: 0.050, m6a.large: 0.045, m5.large: 0.050}\n"+
		"    spotPricesDate: \"2026-11-01\"\n", ""), "dev")
	require.ErrorIs(t, err, estimate.ErrNoLoad)

	_, err = estimate.Of(changed(t, "samplesPerSecond: 2000", "samplesPerSecond: 0"), "dev")
	require.ErrorContains(t, err, "kansoku:cost.samplesPerSecond: must be at least 1, got 0")

	_, err = estimate.Of(changed(t, "[t3a.medium, t3.medium]", "[m7i.4xlarge]"), "dev")
	require.EqualError(t, err,
		"no price of instance.m7i.4xlarge in region ap-northeast-1: add it to internal/cost/prices.yaml, with its source")

	_, err = estimate.Of(changed(t, "m6a.large: 0.045, ", ""), "dev")
	require.EqualError(t, err, "kansoku:cost.spotPrices.m6a.large: must be set: the spot nodes may be of this type, got null")

	_, err = estimate.Of(t.TempDir(), "dev")
	require.Error(t, err)
}
