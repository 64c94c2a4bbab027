package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var midnight = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)

func TestDayIsTheSameHoweverOftenItIsAsked(t *testing.T) {
	t.Parallel()
	const hours = 6
	whole := newDay(1, midnight).until(midnight.Add(hours * time.Hour))
	var parts []entry
	in := newDay(1, midnight)
	for end := time.Minute; end <= hours*time.Hour; end += time.Minute {
		parts = append(parts, in.until(midnight.Add(end))...)
	}
	lines := func(all []entry) map[string]int {
		count := map[string]int{}
		for _, one := range all {
			count[one.at.String()+one.from.pod+one.text]++
		}
		return count
	}
	require.Greater(t, len(whole), 10000)
	assert.Equal(t, lines(whole), lines(parts))
	assert.NotEqual(t, lines(whole), lines(newDay(2, midnight).until(midnight.Add(hours*time.Hour))))
}

func TestDayHasRestartsAndADozenLabels(t *testing.T) {
	t.Parallel()
	early, pods, files := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, one := range newDay(1, midnight).until(midnight.Add(dayLength)) {
		labels := one.from.labels2020(one.stderr)
		require.Len(t, labels, 12)
		pods[labels["pod"]], files[labels["filename"]] = true, true
		if one.at.Before(midnight.Add(rolloutAt)) {
			early[labels["pod"]] = true
		}
	}
	assert.Len(t, early, 24)
	assert.Len(t, pods, 24+3, "api has three")
	assert.Greater(t, len(files), len(pods))
}

func TestOurLabelsAreKnown(t *testing.T) {
	t.Parallel()
	all := newDay(1, midnight).writers[0].lives[0].labels(true)
	for _, name := range ourLabels() {
		assert.NotEmpty(t, all[name], name)
	}
}

func TestWrittenUnits(t *testing.T) {
	t.Parallel()
	// The names h and r, and 1021 or 1022 letters, and one byte in base64.
	item := func(letters int) string {
		return `{"PutRequest": {"Item": {"h": {"S": "` + strings.Repeat("x", letters) + `"}, "r": {"B": "AA=="}}}}`
	}
	items, units, err := written([]byte(`{"RequestItems": {"index": [` + item(1021) + `,` + item(1022) + `]}}`))
	require.NoError(t, err)
	assert.Equal(t, 2, items)
	assert.Equal(t, 3, units)
	_, _, err = written([]byte(`{"RequestItems": {"index": [{"DeleteRequest": {}}]}}`))
	require.ErrorContains(t, err, "something else than a put")
}

func TestOursIsTheComponents(t *testing.T) {
	t.Parallel()
	c, err := ours(3, stores{"127.0.0.1:1", "127.0.0.1:2", "logs"})
	require.NoError(t, err)
	before, ok := c["ingester"].(map[string]any)
	require.True(t, ok)
	age, idle := before["max_chunk_age"], before["chunk_idle_period"]
	require.NotEmpty(t, age)
	require.NoError(t, c.compress(10))
	after := c["ingester"].(map[string]any)
	assert.Equal(t, age, after["max_chunk_age"], "measured on timestamps")
	long, err := time.ParseDuration(idle.(string))
	require.NoError(t, err)
	assert.Equal(t, (long / 10).String(), after["chunk_idle_period"], "measured by the clock")
	assert.Equal(t, "3s", after["flush_check_period"], "Loki's default")
}
