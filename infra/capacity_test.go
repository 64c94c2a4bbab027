package infra_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/kansoku/kansoku/infra"
)

func TestAllocatable(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]infra.Capacity{
		"m7i.large":    {MilliCPU: 1680, MemoryMiB: 6972},    // two cores, 8 GiB
		"t3.medium":    {MilliCPU: 1680, MemoryMiB: 3131},    // two cores, 4 GiB, 17 pods
		"t3a.large":    {MilliCPU: 1680, MemoryMiB: 6972},    // as m
		"c6gn.xlarge":  {MilliCPU: 3670, MemoryMiB: 6653},    // four cores, 8 GiB, 58 pods
		"r6a.2xlarge":  {MilliCPU: 7660, MemoryMiB: 62276},   // eight cores, 64 GiB
		"m7a.16xlarge": {MilliCPU: 63520, MemoryMiB: 251050}, // 64 cores, 256 GiB, 234 pods
	} {
		got, known := infra.Allocatable(name)
		assert.True(t, known, name)
		assert.Equal(t, want, got, name)
	}
	for _, name := range []string{"", "m7i", "p5.48xlarge", "m7g.medium", "m7i.metal", "inf2.xlarge", "m7i.large.large"} {
		_, known := infra.Allocatable(name)
		assert.False(t, known, name)
	}
}
