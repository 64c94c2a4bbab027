package netpolicy_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/kansoku/kansoku/components/netpolicy"
)

// TestEvaluator has policies in namespace a that select app=server unless they say otherwise; client (namespace b) calls server, or
// where egress is meant, server calls client.
func TestEvaluator(t *testing.T) {
	t.Parallel()
	server := netpolicy.Pod{Namespace: "a", Labels: map[string]string{"app": "server"}, IP: "10.0.0.1"}
	client := netpolicy.Pod{
		Namespace: "b", Labels: map[string]string{"app": "client"}, IP: "10.0.1.2", NamespaceLabels: map[string]string{"team": "x"},
	}
	neighbour := netpolicy.Pod{Namespace: "a", Labels: map[string]string{"app": "client"}, IP: "10.0.0.3"}
	address := netpolicy.Pod{IP: "10.0.1.9"}
	const (
		selected = "podSelector: {matchLabels: {app: server}}\n"
		ingress  = selected + "policyTypes: [Ingress]\ningress:\n"
		egress   = selected + "policyTypes: [Egress]\negress:\n"
	)
	for _, test := range []struct {
		name     string
		from, to netpolicy.Pod
		port     netpolicy.Port
		want     bool
		specs    []string
	}{
		{"no policy", client, server, netpolicy.Port{Number: 80}, true, nil},
		{"policy for others", client, server, netpolicy.Port{Number: 80}, true, []string{"podSelector: {matchLabels: {app: other}}"}},
		{"policy of another namespace", client, neighbour, netpolicy.Port{Number: 80}, true, []string{"podSelector: {matchLabels: {app: server}}"}},
		{"selects all, allows none", client, server, netpolicy.Port{Number: 80}, false, []string{"podSelector: {}"}},
		{"without types and egress rules: ingress only", server, client, netpolicy.Port{Number: 80}, true, []string{"podSelector: {}"}},
		{
			"without types, with egress rules: egress too", server, client,
			netpolicy.Port{Number: 80},
			false,
			[]string{"podSelector: {}\negress: [{ports: [{port: 81}]}]"},
		},
		{
			"without types, with egress rules: still ingress", client, server,
			netpolicy.Port{Number: 80},
			false,
			[]string{"podSelector: {}\negress: [{}]"},
		},
		{"type ingress does not close egress", server, client, netpolicy.Port{Number: 80}, true, []string{ingress + "- {}"}},
		{"type egress does not close ingress", client, server, netpolicy.Port{Number: 80}, true, []string{egress + "- {}"}},
		{"egress closed", server, client, netpolicy.Port{Number: 80}, false, []string{selected + "policyTypes: [Egress]"}},
		{"empty rule: everyone, every port", client, server, netpolicy.Port{Number: 80}, true, []string{ingress + "- {}"}},
		{"empty rule: egress", server, address, netpolicy.Port{Number: 80}, true, []string{egress + "- {}"}},

		{"selected by expression", client, server, netpolicy.Port{Number: 80}, false, []string{"podSelector: {matchExpressions: [{key: app, operator: In, values: [server]}]}"}},
		{"not selected by expression", client, server, netpolicy.Port{Number: 80}, true, []string{"podSelector: {matchExpressions: [{key: app, operator: DoesNotExist}]}"}},
		{"selector that cannot be", client, server, netpolicy.Port{Number: 80}, true, []string{"podSelector: {matchExpressions: [{key: app, operator: Like}]}"}},

		{"port", client, server, netpolicy.Port{Number: 80}, true, []string{ingress + "- ports: [{port: 80}]"}},
		{"other port", client, server, netpolicy.Port{Number: 81}, false, []string{ingress + "- ports: [{port: 80}]"}},
		{"second port", client, server, netpolicy.Port{Number: 81}, true, []string{ingress + "- ports: [{port: 80}, {port: 81}]"}},
		{"protocol defaults to TCP", client, server, netpolicy.Port{Number: 80, Protocol: "TCP"}, true, []string{ingress + "- ports: [{port: 80}]"}},
		{"other protocol", client, server, netpolicy.Port{Number: 80, Protocol: "UDP"}, false, []string{ingress + "- ports: [{port: 80}]"}},
		{"protocol given", client, server, netpolicy.Port{Number: 80, Protocol: "UDP"}, true, []string{ingress + "- ports: [{port: 80, protocol: UDP}]"}},
		{"any port of a protocol", client, server, netpolicy.Port{Number: 80, Protocol: "UDP"}, true, []string{ingress + "- ports: [{protocol: UDP}]"}},
		{"any port of another protocol", client, server, netpolicy.Port{Number: 80}, false, []string{ingress + "- ports: [{protocol: UDP}]"}},
		{"named port", client, server, netpolicy.Port{Number: 80}, false, []string{ingress + "- ports: [{port: http}]"}},
		{"range: first", client, server, netpolicy.Port{Number: 80}, true, []string{ingress + "- ports: [{port: 80, endPort: 90}]"}},
		{"range: last", client, server, netpolicy.Port{Number: 90}, true, []string{ingress + "- ports: [{port: 80, endPort: 90}]"}},
		{"range: before", client, server, netpolicy.Port{Number: 79}, false, []string{ingress + "- ports: [{port: 80, endPort: 90}]"}},
		{"range: after", client, server, netpolicy.Port{Number: 91}, false, []string{ingress + "- ports: [{port: 80, endPort: 90}]"}},

		{"pods of the same namespace", neighbour, server, netpolicy.Port{Number: 80}, true, []string{ingress + "- from: [{podSelector: {matchLabels: {app: client}}}]"}},
		{"all pods of the same namespace", neighbour, server, netpolicy.Port{Number: 80}, true, []string{ingress + "- from: [{podSelector: {}}]"}},
		{"same labels, other namespace", client, server, netpolicy.Port{Number: 80}, false, []string{ingress + "- from: [{podSelector: {matchLabels: {app: client}}}]"}},
		{"namespace by name", client, server, netpolicy.Port{Number: 80}, true, []string{ingress + "- from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: b}}}]"}},
		{"namespace by another name", client, server, netpolicy.Port{Number: 80}, false, []string{ingress + "- from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: c}}}]"}},
		{"namespace by label", client, server, netpolicy.Port{Number: 80}, true, []string{ingress + "- from: [{namespaceSelector: {matchLabels: {team: x}}}]"}},
		{"namespace without the label", neighbour, server, netpolicy.Port{Number: 80}, false, []string{ingress + "- from: [{namespaceSelector: {matchLabels: {team: x}}}]"}},
		{"every namespace", client, server, netpolicy.Port{Number: 80}, true, []string{ingress + "- from: [{namespaceSelector: {}}]"}},
		{"every namespace is no address", address, server, netpolicy.Port{Number: 80}, false, []string{ingress + "- from: [{namespaceSelector: {}}]"}},
		{"both selectors", client, server, netpolicy.Port{Number: 80}, true, []string{ingress + "- from: [{namespaceSelector: {matchLabels: {team: x}}, podSelector: {matchLabels: {app: client}}}]"}},
		{"both, the pod's fails", client, server, netpolicy.Port{Number: 80}, false, []string{ingress + "- from: [{namespaceSelector: {matchLabels: {team: x}}, podSelector: {matchLabels: {app: other}}}]"}},
		{"both, the namespace's fails", neighbour, server, netpolicy.Port{Number: 80}, false, []string{ingress + "- from: [{namespaceSelector: {matchLabels: {team: x}}, podSelector: {matchLabels: {app: client}}}]"}},
		{"second peer", client, server, netpolicy.Port{Number: 80}, true, []string{ingress + "- from: [{podSelector: {}}, {namespaceSelector: {}}]"}},

		{"address block", address, server, netpolicy.Port{Number: 80}, true, []string{ingress + "- from: [{ipBlock: {cidr: 10.0.1.0/24}}]"}},
		{"address block matches pods", client, server, netpolicy.Port{Number: 80}, true, []string{ingress + "- from: [{ipBlock: {cidr: 10.0.1.0/24}}]"}},
		{"outside of the block", neighbour, server, netpolicy.Port{Number: 80}, false, []string{ingress + "- from: [{ipBlock: {cidr: 10.0.1.0/24}}]"}},
		{"excepted", address, server, netpolicy.Port{Number: 80}, false, []string{ingress + "- from: [{ipBlock: {cidr: 10.0.0.0/16, except: [10.0.9.0/24, 10.0.1.0/24]}}]"}},
		{"not excepted", neighbour, server, netpolicy.Port{Number: 80}, true, []string{ingress + "- from: [{ipBlock: {cidr: 10.0.0.0/16, except: [10.0.9.0/24, 10.0.1.0/24]}}]"}},
		{"excepted here, allowed by another peer", client, server, netpolicy.Port{Number: 80}, true, []string{ingress + "- from: [{ipBlock: {cidr: 10.0.0.0/16, except: [10.0.1.0/24]}}, {namespaceSelector: {}}]"}},
		{"block that cannot be", address, server, netpolicy.Port{Number: 80}, false, []string{ingress + "- from: [{ipBlock: {cidr: everywhere}}]"}},
		{"no address", netpolicy.Pod{}, server, netpolicy.Port{Number: 80}, false, []string{ingress + "- from: [{ipBlock: {cidr: 0.0.0.0/0}}]"}},
		{"egress to a block", server, address, netpolicy.Port{Number: 80}, true, []string{egress + "- to: [{ipBlock: {cidr: 10.0.1.0/24}}]\n  ports: [{port: 80}]"}},
		{"egress to a block, other port", server, address, netpolicy.Port{Number: 81}, false, []string{egress + "- to: [{ipBlock: {cidr: 10.0.1.0/24}}]\n  ports: [{port: 80}]"}},

		{"peer of one rule, port of another", client, server, netpolicy.Port{Number: 80}, false, []string{ingress + "- {from: [{podSelector: {}}], ports: [{port: 80}]}\n- {from: [{namespaceSelector: {}}], ports: [{port: 81}]}"}},
		{"second rule", client, server, netpolicy.Port{Number: 81}, true, []string{ingress + "- {from: [{podSelector: {}}], ports: [{port: 80}]}\n- {from: [{namespaceSelector: {}}], ports: [{port: 81}]}"}},
		{"one of two policies", client, server, netpolicy.Port{Number: 80}, true, []string{"podSelector: {}", ingress + "- {}"}},
		{"one of two policies, the other way around", client, server, netpolicy.Port{Number: 80}, true, []string{ingress + "- {}", "podSelector: {}"}},
		{
			"egress of the one and ingress of the other", neighbour, server,
			netpolicy.Port{Number: 80},
			true,
			[]string{ingress + "- ports: [{port: 80}]", "podSelector: {matchLabels: {app: client}}\npolicyTypes: [Egress]\negress: [{ports: [{port: 80}]}]"},
		},
		{
			"ingress alone is not enough", neighbour, server,
			netpolicy.Port{Number: 80},
			false,
			[]string{ingress + "- ports: [{port: 80}]", "podSelector: {matchLabels: {app: client}}\npolicyTypes: [Egress]"},
		},
		{
			"egress alone is not enough", neighbour, server,
			netpolicy.Port{Number: 80},
			false,
			[]string{ingress + "- ports: [{port: 81}]", "podSelector: {matchLabels: {app: client}}\npolicyTypes: [Egress]\negress: [{}]"},
		},
	} {
		policies := make([]netpolicy.Policy, len(test.specs))
		for i, spec := range test.specs {
			policies[i].Namespace = "a"
			require.NoError(t, yaml.UnmarshalStrict([]byte(spec), &policies[i].Spec), test.name)
		}
		assert.Equal(t, test.want, netpolicy.Allows(policies, test.from, test.to, test.port), test.name)
	}
}
