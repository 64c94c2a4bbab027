package offline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

// Hop is one resource on a way through the graph, or in a bound one kind of resource.
type Hop struct {
	// Kind as "node group"; URN, Type and Name are empty in a bound.
	Kind, URN, Type, Name string
	// Start and Seconds of its creation.
	Start, Seconds float64
	// Source of the number.
	Source string
}

// Schedule is how long an up takes if nothing but the recorded dependencies holds it back, with published creation times.
type Schedule struct {
	// Path is the critical path: each resource waits for the one before it. Resources that take no time are left out.
	Path []Hop
	// Length of the path in seconds.
	Length float64
	// Bound is the longest unavoidable chain: of the kinds of resource that the state holds, one each, in the order that AWS and
	// Kubernetes themselves demand (a cluster needs a subnet, a node needs a cluster and a way out, a volume needs its driver, ...), each
	// as fast as its kind is. No program that makes these kinds of resource can be faster.
	Bound []Hop
	// BoundLength in seconds.
	BoundLength float64
}

// CriticalPath computes the schedule of an up from the state that it left.
func CriticalPath(deployment *apitype.DeploymentV3) *Schedule {
	g := newGraph(deployment)
	sums, before := g.longest(func(one *apitype.ResourceV3) float64 { return takes(kindOf(one)).seconds })
	s := &Schedule{}
	last := ""
	for _, urn := range g.urns {
		if sums[urn] > s.Length {
			last, s.Length = urn, sums[urn]
		}
	}
	for urn := last; urn != ""; urn = before[urn] {
		one := g.resources[urn]
		kind := kindOf(one)
		if kind == "" {
			continue
		}
		taken := takes(kind)
		s.Path = append(s.Path, Hop{
			Kind: kind, URN: urn, Type: string(one.Type), Name: one.URN.Name(),
			Start: sums[urn] - taken.seconds, Seconds: taken.seconds, Source: taken.source,
		})
	}
	slices.Reverse(s.Path)
	s.Bound = bound(g)
	for _, hop := range s.Bound {
		s.BoundLength += hop.Seconds
	}
	return s
}

// bound is the longest chain in unavoidable among the kinds that are there. The table has no cycle.
func bound(g *graph) []Hop {
	there := map[string]bool{}
	for _, urn := range g.urns {
		if kind := kindOf(g.resources[urn]); kind != "" {
			there[kind] = true
		}
	}
	var chain func(kind string) []Hop
	chain = func(kind string) []Hop {
		var longest []Hop
		for _, needed := range unavoidable[kind] {
			if one := chain(needed); end(one) > end(longest) {
				longest = one
			}
		}
		if !there[kind] {
			return longest // adopted: what stands behind it may still be new
		}
		taken := takes(kind)
		return append(slices.Clone(longest), Hop{Kind: kind, Start: end(longest), Seconds: taken.seconds, Source: taken.source})
	}
	var longest []Hop
	for _, kind := range sortedKeys(there) {
		if one := chain(kind); end(one) > end(longest) {
			longest = one
		}
	}
	return longest
}

func end(hops []Hop) float64 {
	if len(hops) == 0 {
		return 0
	}
	last := hops[len(hops)-1]
	return last.Start + last.Seconds
}

// String is the schedule as a table, for people.
func (s *Schedule) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "critical path of an up: %s (lower bound %s)\n", minutes(s.Length), minutes(s.BoundLength))
	sources := writeHops(&b, s.Path, map[string]int{})
	b.WriteString("lower bound: the longest chain that AWS and Kubernetes demand of any program with these kinds of resource\n")
	sources = writeHops(&b, s.Bound, sources)
	b.WriteString("sources of the times\n")
	for _, source := range slices.SortedFunc(keysOf(sources), func(x, y string) int { return cmp.Compare(sources[x], sources[y]) }) {
		fmt.Fprintf(&b, "  [%d] %s\n", sources[source], source)
	}
	return b.String()
}

func writeHops(b *strings.Builder, hops []Hop, sources map[string]int) map[string]int {
	for _, hop := range hops {
		if sources[hop.Source] == 0 {
			sources[hop.Source] = len(sources) + 1
		}
		fmt.Fprintf(b, "  at %6s  +%6s  %-16s %s [%d]\n", minutes(hop.Start), minutes(hop.Seconds), hop.Kind, hop.Name, sources[hop.Source])
	}
	return sources
}

func keysOf(m map[string]int) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for key := range m {
			if !yield(key) {
				return
			}
		}
	}
}

func minutes(seconds float64) string {
	return fmt.Sprintf("%d:%02d", int(seconds)/60, int(seconds)%60)
}
