package netpolicy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// undeclared is a port of no list.
const undeclared = 4242

var somePorts = []Port{{80, "TCP"}, {443, "TCP"}, {53, "UDP"}, {53, "TCP"}, {443, "UDP"}, {undeclared, "TCP"}}

// someList is a list of workloads in two namespaces, one of them on its nodes' network, and calls of every kind.
func someList(random *rand.Rand) Args {
	args := Args{VPCCIDRs: []string{"10.0.0.0/16"}}
	callers, called := []string{ControlPlane, Nodes, Anyone}, []string{DNS, APIServer, AWS, Internet, Nodes, Anyone}
	for i := range 5 {
		w := Workload{Key: fmt.Sprintf("w%d", i), Namespace: []string{"one", "two"}[i%2], HostNetwork: i == 4}
		w.Selector = map[string]string{"app": w.Key}
		args.Workloads = append(args.Workloads, w)
		callers, called = append(callers, w.Key, w.Key), append(called, w.Key, w.Key)
	}
	for range 1 + random.IntN(8) {
		c := Call{From: callers[random.IntN(len(callers))], To: called[random.IntN(len(called))], Why: "chance"}
		if outside[c.From].calls && outside[c.To].called {
			c.To = "w0"
		}
		c.Ports = []Port{somePorts[random.IntN(len(somePorts)-1)]}
		if c.To == Anyone && random.IntN(2) == 0 {
			c.Ports[0].Number = AnyPort
		}
		args.Calls = append(args.Calls, c)
	}
	return args
}

// standIn is a pod, or an address, that a name in the list stands for.
func (a Args) standIn(key string) Pod {
	switch key {
	case DNS:
		return Pod{Namespace: "kube-system", Labels: map[string]string{"k8s-app": "kube-dns"}, IP: "10.0.9.1"}
	case APIServer, ControlPlane, Nodes:
		return Pod{IP: "10.0.9.2"}
	case AWS, Internet:
		return Pod{IP: "203.0.113.1"}
	case Anyone:
		return Pod{Namespace: "shop", Labels: map[string]string{"app": "web"}, IP: "10.0.9.3"}
	}
	w, _ := a.find(key)
	if w.HostNetwork {
		return Pod{IP: "10.0.9.4"}
	}
	return Pod{Namespace: w.Namespace, Labels: map[string]string{"app": key, "pod": "1"}, IP: "10.0.1.1"}
}

// anyoneMay says whether both sides are open, and one of them to Anyone.
func (a Args) anyoneMay(from, to string, port Port) bool {
	some := func(holds func(c Call) bool) bool {
		return slices.ContainsFunc(a.Calls, func(c Call) bool {
			return holds(c) && slices.ContainsFunc(c.Ports, func(p Port) bool {
				return p == port || p.Number == AnyPort && p.Protocol == port.Protocol
			})
		})
	}
	callsAnyone := some(func(c Call) bool { return c.From == from && c.To == Anyone })
	callsAddresses := some(func(c Call) bool { return c.From == from && a.byAddress(c.To) })
	byAnyone := some(func(c Call) bool { return c.From == Anyone && c.To == to })
	byAddresses := some(func(c Call) bool { return a.byAddress(c.From) && c.To == to })
	return callsAnyone && (byAnyone || byAddresses) || callsAddresses && byAnyone
}

// directly says whether the list has this very call.
func (a Args) directly(from, to string, port Port) bool {
	return slices.ContainsFunc(a.Calls, func(c Call) bool { return c.From == from && c.To == to && slices.Contains(c.Ports, port) })
}

// TestExactlyWhatIsDeclared holds over many lists: each declared call is let through, no other call between our pods is, and a list
// is refused exactly if its policies would let one through.
func TestExactlyWhatIsDeclared(t *testing.T) {
	t.Parallel()
	accepted, refused, through := 0, 0, 0
	for seed := range uint64(2000) {
		args := someList(rand.New(rand.NewPCG(seed, 0)))
		policies := args.render()
		for _, c := range args.Calls {
			port := c.Ports[0]
			if port.Number == AnyPort {
				port.Number = undeclared
			}
			require.True(t, Allows(policies, args.standIn(c.From), args.standIn(c.To), port), "%d: %+v in %+v", seed, c, args)
		}
		leaks := 0
		for _, from := range args.Workloads {
			for _, to := range args.Workloads {
				if from.HostNetwork || to.HostNetwork {
					continue
				}
				for _, port := range somePorts {
					allowed := Allows(policies, args.standIn(from.Key), args.standIn(to.Key), port)
					declared := args.directly(from.Key, to.Key, port) || args.anyoneMay(from.Key, to.Key, port)
					require.True(t, allowed || !declared, "%d: %s -> %s %v in %+v", seed, from.Key, to.Key, port, args)
					if allowed {
						through++
						if !declared {
							leaks++
						}
					}
				}
			}
		}
		got, err := Policies(args)
		if leaks > 0 {
			require.ErrorContains(t, err, "on the same port", "%d: %+v", seed, args)
			refused++
			continue
		}
		require.NoError(t, err, "%d: %+v", seed, args)
		require.Equal(t, policies, got)
		accepted++
	}
	require.Greater(t, accepted, 1000, "most lists are fine")
	require.Greater(t, refused, 100, "some are not")
	require.Greater(t, through, 1000, "calls between our pods are among them")
}
