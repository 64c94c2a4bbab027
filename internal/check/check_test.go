package check_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/internal/check"
)

func TestViolationsNameKeyWantAndValue(t *testing.T) {
	t.Parallel()
	var inner check.Errors
	inner.Require(true, "fine", 1, "is never reported")
	inner.Require(false, "maxSize", 0, "must be at least %d", 1)
	check.OneOf(&inner, "nat", "two", "single", "perZone")
	check.OneOf(&inner, "mode", "a", "a", "b")

	var outer check.Errors
	outer.Under("spot", inner.Err())
	outer.Under("groups", func() error {
		var e check.Errors
		e.Require(false, "[1]", []string{"x"}, "must have two")
		return e.Err()
	}())
	outer.Under("other", errors.New("reading it failed"))
	outer.Under("none", nil)

	require.EqualError(t, outer.Err(), `spot.maxSize: must be at least 1, got 0
spot.nat: must be one of single, perZone, got "two"
groups[1]: must have two, got ["x"]
other: reading it failed, got null`)
}

func TestNoViolationIsNoError(t *testing.T) {
	t.Parallel()
	var e check.Errors
	require.NoError(t, e.Err())
}

func TestUnprintableValue(t *testing.T) {
	t.Parallel()
	var e check.Errors
	e.Require(false, "f", func() {}, "must not be a function")
	require.ErrorContains(t, e.Err(), "f: must not be a function, got 0x")
}
