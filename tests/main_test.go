package tests

import (
	"os"
	"runtime/debug"
	"testing"
)

// TestMain trades memory for time: a third of it went into collecting garbage, here and in the CLI.
func TestMain(m *testing.M) {
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(400)
		_ = os.Setenv("GOGC", "400")
	}
	os.Exit(m.Run())
}
