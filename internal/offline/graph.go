package offline

import (
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// graph is what waits for what, from the edges that the engine recorded: parents, providers, dependencies of the resource and of its
// properties. Who depends on a component waits for everything in it.
type graph struct {
	urns      []string // sorted
	resources map[string]*apitype.ResourceV3
	needs     map[string][]string // sorted
}

func newGraph(deployment *apitype.DeploymentV3) *graph {
	g := &graph{resources: map[string]*apitype.ResourceV3{}, needs: map[string][]string{}}
	children := map[string][]string{}
	for i := range deployment.Resources {
		one := &deployment.Resources[i]
		urn := string(one.URN)
		if one.Delete || g.resources[urn] != nil {
			continue // what a replacement left to delete has its successor's URN
		}
		g.urns = append(g.urns, urn)
		g.resources[urn] = one
		children[string(one.Parent)] = append(children[string(one.Parent)], urn)
	}
	slices.Sort(g.urns)
	for _, urn := range g.urns {
		g.needs[urn] = g.recorded(g.resources[urn], children)
	}
	return g
}

// recorded are the direct edges of one resource.
func (g *graph) recorded(one *apitype.ResourceV3, children map[string][]string) []string {
	urn := string(one.URN)
	found := map[string]bool{}
	add := func(needed resource.URN) {
		if dependency := g.resources[string(needed)]; dependency != nil && string(needed) != urn {
			found[string(needed)] = true
			if !dependency.Custom && !g.within(urn, string(needed)) {
				g.descend(string(needed), children, found)
			}
		}
	}
	for _, needed := range one.Dependencies {
		add(needed)
	}
	for _, list := range one.PropertyDependencies {
		for _, needed := range list {
			add(needed)
		}
	}
	// A parent and a provider need only be there; nobody waits for what else a parent holds.
	provider, _, _ := cutLast(one.Provider, "::")
	for _, needed := range []string{string(one.Parent), provider} {
		if g.resources[needed] != nil {
			found[needed] = true
		}
	}
	delete(found, urn)
	return sortedKeys(found)
}

func (g *graph) descend(urn string, children map[string][]string, found map[string]bool) {
	for _, child := range children[urn] {
		found[child] = true
		g.descend(child, children, found)
	}
}

// within says whether a resource descends from another.
func (g *graph) within(urn, ancestor string) bool {
	for at := g.resources[urn]; at != nil; at = g.resources[string(at.Parent)] {
		if string(at.URN) == ancestor {
			return true
		}
	}
	return false
}

// nearest are the resources of a set that one waits for, seen through those that are not in the set. Sorted.
func (g *graph) nearest(urn string, set map[string]bool) []string {
	seen, found := map[string]bool{urn: true}, map[string]bool{}
	var visit func(urn string)
	visit = func(urn string) {
		for _, needed := range g.needs[urn] {
			switch {
			case seen[needed]:
			case set[needed]:
				found[needed] = true
			default:
				seen[needed] = true
				visit(needed)
			}
		}
	}
	visit(urn)
	return sortedKeys(found)
}

// longest gives every resource the largest sum of weights on a way to it, its own weight included, and the step before it on that way
// ("" for none; of several the first by URN). Edges that would close a cycle are left out: expanding components can make one.
func (g *graph) longest(weight func(*apitype.ResourceV3) float64) (sums map[string]float64, before map[string]string) {
	sums, before = map[string]float64{}, map[string]string{}
	open := map[string]bool{}
	var visit func(urn string)
	visit = func(urn string) {
		open[urn] = true
		best := 0.0
		for _, needed := range g.needs[urn] {
			if open[needed] {
				continue
			}
			if _, known := sums[needed]; !known {
				visit(needed)
			}
			if sums[needed] > best {
				best, before[urn] = sums[needed], needed
			}
		}
		delete(open, urn)
		sums[urn] = best + weight(g.resources[urn])
	}
	for _, urn := range g.urns {
		if _, known := sums[urn]; !known {
			visit(urn)
		}
	}
	return sums, before
}

func cutLast(s, separator string) (before, after string, found bool) {
	if i := strings.LastIndex(s, separator); i >= 0 {
		return s[:i], s[i+len(separator):], true
	}
	return s, "", false
}
