package cases

import "testing"

// TestSideBySide are the tests that wait more than they work and do not disturb each other: a resolved alert alone takes five minutes.
func TestSideBySide(t *testing.T) { //nolint:paralleltest // whatever comes after it waits for all of them
	t.Run("SeriesUnderOneHashKey", seriesUnderOneHashKey)
	t.Run("AlertReachesSlackOnce", alertReachesSlackOnce)
	t.Run("CustomMetricScales", customMetricScales)
	t.Run("CompactorDownsamples", compactorDownsamples)
	t.Run("LeastPrivilege", leastPrivilege)
}
