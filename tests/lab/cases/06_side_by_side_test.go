package cases

import "testing"

// TestSideBySide are the tests that wait more than they work and do not disturb each other.
func TestSideBySide(t *testing.T) {
	t.Run("SeriesUnderOneHashKey", seriesUnderOneHashKey)
	t.Run("AlertReachesSlackOnce", alertReachesSlackOnce)
	t.Run("CustomMetricScales", customMetricScales)
	t.Run("CompactorDownsamples", compactorDownsamples)
	t.Run("LeastPrivilege", leastPrivilege)
}
