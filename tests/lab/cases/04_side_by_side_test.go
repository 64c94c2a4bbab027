package cases

import "testing"

// TestSideBySide are the tests that mostly wait, and do not disturb each other: what one ends no other looks at.
func TestSideBySide(t *testing.T) {
	t.Run("ReplicasLeaveNoGap", replicasLeaveNoGap)
	t.Run("Loki", func(t *testing.T) {
		t.Parallel()
		t.Run("LogLinesSurviveAKillAndAWipe", logLinesSurviveAKillAndAWipe)
		t.Run("SeriesUnderOneHashKey", seriesUnderOneHashKey)
	})
	t.Run("AlertReachesSlackOnce", alertReachesSlackOnce)
	t.Run("CustomMetricScales", customMetricScales)
	t.Run("CompactorDownsamples", compactorDownsamples)
}
