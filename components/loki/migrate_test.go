package loki_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/loki"
	"github.com/kansoku/kansoku/components/versions"
)

var dynamo = []loki.Period{{From: "2026-01-01", Index: loki.DynamoDB, Version: "v12"}}

func moment(t *testing.T, text string) time.Time {
	t.Helper()
	parsed, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return parsed
}

func TestMigrateToTSDB(t *testing.T) {
	t.Parallel()
	now := moment(t, "2026-11-23T10:00:00Z")
	migrated, err := loki.MigrateToTSDB(dynamo, "2026-11-24", now)
	require.NoError(t, err)
	require.Equal(t, []loki.Period{
		{From: "2026-01-01", Index: loki.DynamoDB, Version: "v12"}, {From: "2026-11-24", Index: loki.TSDB, Version: "v12"},
	}, migrated)
	require.Len(t, dynamo, 1, "what was given stays")
	require.NoError(t, loki.Settings{Schema: migrated}.WithDefaults().Validate())
	release, err := loki.Release(migrated, "")
	require.NoError(t, err)
	require.Equal(t, versions.LokiDynamoDB, release, "both indices, so the old line")
	release, err = loki.Release(migrated[1:], "")
	require.NoError(t, err)
	require.Equal(t, versions.LokiTSDB, release, "without the dynamodb period the current line")
}

func TestMigrateToTSDBRefuses(t *testing.T) {
	t.Parallel()
	for name, one := range map[string]struct {
		schema []loki.Period
		day    string
		now    string
		want   string
	}{
		"a day that has passed":    {dynamo, "2026-11-22", "2026-11-23T10:00:00Z", "day: must be 2026-11-24 or later"},
		"today":                    {dynamo, "2026-11-23", "2026-11-23T00:00:00Z", "day: must be 2026-11-24 or later"},
		"today in UTC":             {dynamo, "2026-11-23", "2026-11-22T20:00:00-05:00", "day: must be 2026-11-24 or later"},
		"too soon to roll out":     {dynamo, "2026-11-24", "2026-11-23T23:00:01Z", "day: must be 2026-11-25 or later"},
		"no day":                   {dynamo, "tomorrow", "2026-11-23T10:00:00Z", `day: must be a day such as "2027-01-10", got "tomorrow"`},
		"none":                     {dynamo, "", "2026-11-23T10:00:00Z", "day: must be a day"},
		"before the last period":   {[]loki.Period{{From: "2027-06-01", Index: loki.DynamoDB}}, "2027-01-10", "2026-11-23T10:00:00Z", "day: must be after the period before it, 2027-06-01"},
		"the last period's day":    {[]loki.Period{{From: "2027-06-01", Index: loki.DynamoDB}}, "2027-06-01", "2026-11-23T10:00:00Z", "day: must be after the period before it"},
		"moved already":            {append(dynamo[:1:1], loki.Period{From: "2026-06-01", Index: loki.TSDB}), "2027-01-10", "2026-11-23T10:00:00Z", "schema[1].index: must be dynamodb: the index moves to TSDB on 2026-06-01 already"},
		"a schema that is invalid": {append(dynamo[:1:1], loki.Period{From: "2025-06-01", Index: loki.DynamoDB}), "2027-01-10", "2026-11-23T10:00:00Z", "schema[1].from: must be after the period before it"},
		"no schema":                {nil, "2027-01-10", "2026-11-23T10:00:00Z", "schema: must list at least one period"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := loki.MigrateToTSDB(one.schema, one.day, moment(t, one.now))
			require.ErrorContains(t, err, one.want)
		})
	}
	_, err := loki.MigrateToTSDB(dynamo, "2026-11-24", moment(t, "2026-11-23T23:00:00Z"))
	require.NoError(t, err, "an hour is enough")
}

func TestIndexNeededUntil(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	moved := slices.Concat(dynamo, []loki.Period{{From: "2027-01-10", Index: loki.TSDB}})
	until, known := loki.IndexNeededUntil(moved, 30*day)
	require.True(t, known)
	require.Equal(t, "2027-02-11", until.Format(time.DateOnly), "30 days, and two for what is stored late")
	until, known = loki.IndexNeededUntil(moved, 12*time.Hour)
	require.True(t, known)
	require.Equal(t, "2027-01-13", until.Format(time.DateOnly), "rounded up to a whole day")

	again := slices.Concat(moved, []loki.Period{{From: "2027-03-01", Index: loki.DynamoDB}, {From: "2027-04-01", Index: loki.TSDB}})
	until, known = loki.IndexNeededUntil(again, day)
	require.True(t, known)
	require.Equal(t, "2027-04-04", until.Format(time.DateOnly), "the last of them counts")

	_, known = loki.IndexNeededUntil(dynamo, 30*day)
	require.False(t, known, "it is still written")
	_, known = loki.IndexNeededUntil(moved, 0)
	require.False(t, known, "kept for ever")
	until, known = loki.IndexNeededUntil(moved[1:], 30*day)
	require.True(t, known)
	require.True(t, until.IsZero(), "it is not needed at all")
}
