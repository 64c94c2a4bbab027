package program

import (
	"fmt"

	"github.com/kansoku/kansoku/infra"
	"github.com/kansoku/kansoku/internal/check"
)

// validateFit refuses a stack that its nodes cannot carry: a pod that is larger than a node, or all of them together on what is left of the
// spot groups, at their maximum, when a zone is lost. Groups with an instance type of unknown size are not judged.
func (c *Config) validateFit(errs *check.Errors) {
	if c.Nodes == nil || c.Network == nil {
		return
	}
	spot, known := smallest(c.Nodes.Spot.InstanceTypes)
	demand, demandKnown := smallest(c.Nodes.OnDemand.InstanceTypes)
	if !known || !demandKnown {
		return
	}
	requests := c.Monitoring.Requests()
	for _, r := range requests { // what runs on every node leaves less for the others
		if r.Replicas == 0 {
			spot.MilliCPU, spot.MemoryMiB = spot.MilliCPU-r.MilliCPU, spot.MemoryMiB-r.MemoryMiB
			demand.MilliCPU, demand.MemoryMiB = demand.MilliCPU-r.MilliCPU, demand.MemoryMiB-r.MemoryMiB
		}
	}
	var sum infra.Capacity
	for _, r := range requests {
		node, key := spot, "kansoku:nodes.spot.instanceTypes"
		if r.OnDemand {
			node, key = demand, "kansoku:nodes.onDemand.instanceTypes"
		} else {
			sum.MilliCPU, sum.MemoryMiB = sum.MilliCPU+r.Replicas*r.MilliCPU, sum.MemoryMiB+r.Replicas*r.MemoryMiB
		}
		fits := r.Replicas == 0 || r.MilliCPU <= node.MilliCPU && r.MemoryMiB <= node.MemoryMiB
		errs.Require(fits, key, c.types(r.OnDemand), "must be larger: a pod of %s asks for %s, and the smallest type has %s left", r.Key,
			show(infra.Capacity{MilliCPU: r.MilliCPU, MemoryMiB: r.MemoryMiB}), show(node))
	}
	nodes := max(len(c.Network.ZoneNames())-1, 1) * c.Nodes.Spot.MaxSize
	all := infra.Capacity{MilliCPU: nodes * spot.MilliCPU, MemoryMiB: nodes * spot.MemoryMiB}
	errs.Require(sum.MilliCPU <= all.MilliCPU && sum.MemoryMiB <= all.MemoryMiB, "kansoku:nodes.spot.maxSize", c.Nodes.Spot.MaxSize,
		"must be larger: all pods ask for %s, and %d nodes, which are the most with one zone lost, have %s", show(sum), nodes, show(all))
}

func (c *Config) types(onDemand bool) []string {
	if onDemand {
		return c.Nodes.OnDemand.InstanceTypes
	}
	return c.Nodes.Spot.InstanceTypes
}

// smallest is what the least of these types offers; false if one is not known.
func smallest(types []string) (infra.Capacity, bool) {
	var least infra.Capacity
	for i, name := range types {
		one, known := infra.Allocatable(name)
		if !known {
			return infra.Capacity{}, false
		}
		if i == 0 {
			least = one
		}
		least.MilliCPU, least.MemoryMiB = min(least.MilliCPU, one.MilliCPU), min(least.MemoryMiB, one.MemoryMiB)
	}
	return least, len(types) > 0
}

func show(c infra.Capacity) string { return fmt.Sprintf("%dm CPU and %d MiB", c.MilliCPU, c.MemoryMiB) }
