package netpolicy_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/kansoku/kansoku/components/netpolicy"
	"github.com/kansoku/kansoku/internal/mocks"
)

const (
	componentType = "kansoku:netpolicy:Policies"
	policyType    = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
)

func app(name string) map[string]string { return map[string]string{"app.kubernetes.io/name": name} }

func tcp(numbers ...int) []netpolicy.Port {
	ports := make([]netpolicy.Port, len(numbers))
	for i, n := range numbers {
		ports[i].Number = n
	}
	return ports
}

// example has a call of every kind.
func example() netpolicy.Args {
	workloads := []netpolicy.Workload{
		{Key: "grafana", Namespace: "monitoring", Selector: app("grafana")},
		{Key: "prometheus", Namespace: "monitoring", Selector: app("prometheus")},
		{Key: "adapter", Namespace: "monitoring", Selector: app("adapter")},
		{Key: "loki", Namespace: "monitoring", Selector: app("loki")},
		{Key: "promtail", Namespace: "node-agents", Selector: app("promtail")},
		{Key: "node-exporter", Namespace: "node-agents", HostNetwork: true},
		{Key: "autoscaler", Namespace: "kube-system", Selector: app("autoscaler")},
	}
	return netpolicy.Args{
		Workloads: workloads,
		Calls: append(netpolicy.EverybodyAsksDNS(workloads[:1]), []netpolicy.Call{
			{From: "grafana", To: "prometheus", Ports: tcp(9090), Why: "queries metrics"},
			{From: "grafana", To: "loki", Ports: tcp(3100), Why: "queries logs"},
			{From: "grafana", To: netpolicy.Internet, Why: "fetches dashboards"},
			{From: netpolicy.Anyone, To: "grafana", Ports: tcp(3000), Why: "people read, through an ingress controller"},
			{From: "prometheus", To: netpolicy.APIServer, Why: "discovers targets"},
			{From: "prometheus", To: netpolicy.Nodes, Ports: tcp(10250), Why: "scrapes kubelets"},
			{From: "prometheus", To: "node-exporter", Ports: tcp(9100), Why: "scrapes"},
			{From: "prometheus", To: netpolicy.Anyone, Ports: tcp(netpolicy.AnyPort), Why: "scrapes what people monitor"},
			{From: netpolicy.ControlPlane, To: "adapter", Ports: tcp(6443), Why: "serves the metrics API"},
			{From: "loki", To: "loki", Ports: []netpolicy.Port{{Number: 7946}, {Number: 7946, Protocol: "UDP"}}, Why: "gossips"},
			{From: "loki", To: netpolicy.AWS, Why: "keeps chunks"},
			{From: "promtail", To: "loki", Ports: tcp(3100), Why: "pushes logs"},
			{From: "node-exporter", To: "loki", Ports: tcp(3101), Why: "shows a call from a node's network"},
		}...),
		VPCCIDRs: []string{"10.0.0.0/16", "172.20.0.0/16"},
	}
}

func TestExample(t *testing.T) {
	t.Parallel()
	policies, err := netpolicy.Policies(example())
	require.NoError(t, err)
	documents := make([]string, len(policies))
	for i, p := range policies {
		data, marshalErr := yaml.Marshal(p)
		require.NoError(t, marshalErr)
		documents[i] = string(data)
	}
	got := strings.Join(documents, "---\n")
	path := filepath.Join("testdata", "example.yaml")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func TestNewCreatesWhatIsRendered(t *testing.T) {
	t.Parallel()
	args := example()
	r := &mocks.Recorder{}
	var component *netpolicy.NetworkPolicies
	r.Run(t, func(ctx *pulumi.Context) error {
		var err error
		component, err = netpolicy.New(ctx, "stack", &args)
		return err
	})
	policies, err := netpolicy.Policies(args)
	require.NoError(t, err)
	require.Equal(t, policies, component.Policies)
	require.Len(t, r.OfType(componentType), 1)
	require.Len(t, r.OfType(policyType), len(policies))
	for i, name := range []string{
		"stack-grafana", "stack-prometheus", "stack-adapter", "stack-loki", "stack-promtail", "stack-autoscaler",
		"stack-default-deny-monitoring", "stack-default-deny-node-agents",
	} {
		got := r.Get(t, policyType, name)
		require.True(t, strings.HasSuffix(got.Parent, componentType+"::stack"), got.Parent)
		data, err := json.Marshal(policies[i])
		require.NoError(t, err)
		created, err := json.Marshal(got.Inputs)
		require.NoError(t, err)
		require.JSONEq(t, string(data), string(created), name)
	}
}

func TestNewRefusesAnEmptyList(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{}
	err := r.RunErr(func(ctx *pulumi.Context) error {
		_, err := netpolicy.New(ctx, "stack", nil)
		return err
	})
	require.ErrorContains(t, err, "validating stack: workloads: must not be empty, got null")
	require.Empty(t, r.OfType(componentType))
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	policies, err := netpolicy.Policies(netpolicy.Args{
		Workloads: []netpolicy.Workload{{Key: "a", Namespace: "n", Selector: app("a")}},
		Calls: []netpolicy.Call{
			{From: "a", To: netpolicy.APIServer, Why: "w"},
			{From: "a", To: netpolicy.DNS, Ports: tcp(9153), Why: "named ports replace the peer's own"},
		},
	})
	require.NoError(t, err)
	data, err := json.Marshal(policies[0].Spec.Egress)
	require.NoError(t, err)
	require.JSONEq(t, `[
		{"ports": [{"protocol": "TCP", "port": 443}], "to": [
			{"ipBlock": {"cidr": "10.0.0.0/8"}}, {"ipBlock": {"cidr": "172.16.0.0/12"}},
			{"ipBlock": {"cidr": "192.168.0.0/16"}}, {"ipBlock": {"cidr": "100.64.0.0/10"}}]},
		{"ports": [{"protocol": "TCP", "port": 9153}], "to": [{
			"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
			"podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}]}
	]`, string(data))
}

func TestEverybodyAsksDNS(t *testing.T) {
	t.Parallel()
	require.Equal(t, []netpolicy.Call{
		{From: "grafana", To: netpolicy.DNS, Why: "resolves names"},
		{From: "loki", To: netpolicy.DNS, Why: "resolves names"},
	}, netpolicy.EverybodyAsksDNS([]netpolicy.Workload{{Key: "grafana"}, {Key: "node-exporter", HostNetwork: true}, {Key: "loki"}}))
}

func TestEveryViolationAtOnce(t *testing.T) {
	t.Parallel()
	_, err := netpolicy.Policies(netpolicy.Args{
		Workloads: []netpolicy.Workload{
			{Key: "a", Namespace: "n", Selector: app("a")},
			{Key: "a", Namespace: "n", Selector: app("b")},
			{Key: "@loki", Namespace: "N"},
			{Key: "default-deny-n", Namespace: "n", Selector: map[string]string{"app.kubernetes.io/name": "a", "x": "y"}},
			{Key: "elsewhere", Namespace: "m", Selector: app("a")},
			{Key: "host", Namespace: "n", HostNetwork: true},
		},
		Calls: []netpolicy.Call{
			{From: "nobody", To: "nothing", Ports: tcp(1), Why: "w"},
			{From: netpolicy.DNS, To: netpolicy.ControlPlane, Ports: tcp(1), Why: "w"},
			{From: netpolicy.Anyone, To: netpolicy.AWS, Why: "w"},
			{From: "a", To: "elsewhere", Why: " "},
			{From: "a", To: "elsewhere", Ports: []netpolicy.Port{{}, {Number: 65536}, {Number: 1, Protocol: "tcp"}}, Why: "w"},
			{From: "a", To: "elsewhere", Ports: tcp(netpolicy.AnyPort), Why: "w"},
			{From: "a", To: netpolicy.Nodes, Why: "a peer without ports of its own"},
		},
		VPCCIDRs: []string{"10.0.0.1/16", "fd00::/8", "0.0.0.0/0", "vpc", "10.0.0.0/16"},
	})
	require.EqualError(t, err, strings.Join([]string{
		`workloads[0].selector: must not select the pods of default-deny-n, got {"app.kubernetes.io/name":"a"}`,
		`workloads[1].key: must be unique, got "a"`,
		`workloads[2].key: must be at most 63 lower-case letters, digits and dashes, got "@loki"`,
		`workloads[2].namespace: must be at most 63 lower-case letters, digits and dashes, got "N"`,
		`workloads[2].selector: must not be empty, got null`,
		`workloads[3].key: must not begin with default-deny, got "default-deny-n"`,
		`calls[0].from: must be a workload, @control-plane, @nodes or @anyone, got "nobody"`,
		`calls[0].to: must be a workload, @dns, @api-server, @aws, @internet, @nodes or @anyone, got "nothing"`,
		`calls[1].from: must be a workload, @control-plane, @nodes or @anyone, got "@dns"`,
		`calls[1].to: must be a workload, @dns, @api-server, @aws, @internet, @nodes or @anyone, got "@control-plane"`,
		`calls[2].from: must be a workload where @aws is none, got "@anyone"`,
		`calls[3].ports: must not be empty, got null`,
		`calls[3].why: must not be empty, got " "`,
		`calls[4].ports[0].number: must be 1 to 65535, got 0`,
		`calls[4].ports[1].number: must be 1 to 65535, got 65536`,
		`calls[4].ports[2].protocol: must be one of TCP, UDP, SCTP, got "tcp"`,
		`calls[5].ports[0].number: must be 1 to 65535, got -1`,
		`calls[6].ports: must not be empty, got null`,
		`vpcCidrs[0]: must be an IPv4 network such as "10.0.0.0/16", got "10.0.0.1/16"`,
		`vpcCidrs[1]: must be an IPv4 network such as "10.0.0.0/16", got "fd00::/8"`,
		`vpcCidrs[2]: must be an IPv4 network such as "10.0.0.0/16", got "0.0.0.0/0"`,
		`vpcCidrs[3]: must be an IPv4 network such as "10.0.0.0/16", got "vpc"`,
	}, "\n"))
}

func TestTwoCallsMustNotOpenAThird(t *testing.T) {
	t.Parallel()
	args := netpolicy.Args{
		Workloads: []netpolicy.Workload{
			{Key: "operator", Namespace: "n", Selector: app("operator")},
			{Key: "adapter", Namespace: "n", Selector: app("adapter")},
		},
		Calls: []netpolicy.Call{
			{From: "operator", To: netpolicy.APIServer, Ports: tcp(443, 6443), Why: "w"},
			{From: netpolicy.ControlPlane, To: "adapter", Ports: tcp(6443), Why: "w"},
		},
	}
	_, err := netpolicy.Policies(args)
	require.EqualError(t, err, "calls[0].ports: must not let operator reach adapter, which @control-plane calls on the same port: "+
		"use another, or declare that call, got 6443")

	args.Calls = append(args.Calls, netpolicy.Call{From: "operator", To: "adapter", Ports: tcp(6443), Why: "w"})
	_, err = netpolicy.Policies(args)
	require.NoError(t, err)
}

// TestOutsideOfTheExample holds what reaches, and is reached by, that which is no workload.
func TestOutsideOfTheExample(t *testing.T) {
	t.Parallel()
	policies, err := netpolicy.Policies(example())
	require.NoError(t, err)
	pod := func(namespace, name string) netpolicy.Pod {
		return netpolicy.Pod{Namespace: namespace, Labels: app(name), IP: "10.0.7.7"}
	}
	var (
		grafana, prometheus = pod("monitoring", "grafana"), pod("monitoring", "prometheus")
		adapter, loki       = pod("monitoring", "adapter"), pod("monitoring", "loki")
		promtail, stranger  = pod("node-agents", "promtail"), pod("shop", "web")
		intruder            = pod("monitoring", "intruder")
		autoscaler          = pod("kube-system", "autoscaler")
		dns                 = netpolicy.Pod{Namespace: "kube-system", Labels: map[string]string{"k8s-app": "kube-dns"}, IP: "10.0.7.8"}
		node, aws           = netpolicy.Pod{IP: "10.0.1.1"}, netpolicy.Pod{IP: "52.95.0.1"}
	)
	for _, test := range []struct {
		name     string
		from, to netpolicy.Pod
		port     int
		protocol string
		want     bool
	}{
		{"declared", grafana, dns, 53, "UDP", true},
		{"declared", grafana, dns, 53, "TCP", true},
		{"not its port", grafana, dns, 9153, "", false},
		{"not declared", adapter, dns, 53, "UDP", false},
		{"declared", grafana, aws, 443, "", true},
		{"not its port", grafana, aws, 80, "", false},
		{"anywhere is also inside", grafana, node, 443, "", true},
		{"declared", loki, aws, 443, "", true},
		{"AWS is not inside", loki, node, 443, "", false},
		{"not declared", promtail, aws, 443, "", false},
		{"declared", prometheus, node, 443, "", true},
		{"declared", prometheus, node, 10250, "", true},
		{"declared", prometheus, node, 9100, "", true},
		{"not its port", prometheus, node, 22, "", false},
		{"the VPC is not outside", prometheus, aws, 443, "", false},
		{"anyone's pods, any port", prometheus, stranger, 8081, "", true},
		{"of the protocol", prometheus, stranger, 8081, "UDP", false},
		{"declared", node, adapter, 6443, "", true},
		{"not from outside", aws, adapter, 6443, "", false},
		{"not its port", node, adapter, 443, "", false},
		{"declared", stranger, grafana, 3000, "", true},
		{"a node is nobody's pod", node, grafana, 3000, "", false},
		{"not its port", stranger, grafana, 3001, "", false},
		{"not declared", stranger, loki, 3100, "", false},
		{"declared", node, loki, 3101, "", true},
		{"not declared", node, loki, 3100, "", false},
		{"who is on no list is closed", intruder, aws, 443, "", false},
		{"who is on no list is closed", grafana, intruder, 9090, "", false},
		{"Kubernetes' own namespace stays open", dns, aws, 443, "", true},
		{"to who is not on the list", autoscaler, aws, 443, "", false},
		{"what is not ours is open", stranger, aws, 443, "", true},
	} {
		got := netpolicy.Allows(policies, test.from, test.to, netpolicy.Port{Number: test.port, Protocol: test.protocol})
		assert.Equal(t, test.want, got, "%s: %v -> %v :%d%s", test.name, test.from, test.to, test.port, test.protocol)
	}
}

// TestPodsOfOthers: they are let in where that is declared, and no policy is about them: neither their own, nor one for their namespace.
func TestPodsOfOthers(t *testing.T) {
	t.Parallel()
	args := netpolicy.Args{
		Workloads: []netpolicy.Workload{
			{Key: "loki", Namespace: "shared", Selector: app("loki")},
			{Key: "query", Namespace: "own", Selector: app("query")},
			{Key: "grafana", Namespace: "theirs", Selector: app("grafana"), Foreign: true},
		},
		Calls:            []netpolicy.Call{{From: "grafana", To: "loki", Ports: tcp(3100), Why: "queries logs"}},
		SharedNamespaces: []string{"shared"},
	}
	require.Len(t, netpolicy.EverybodyAsksDNS(args.Workloads), 2)
	policies, err := netpolicy.Policies(args)
	require.NoError(t, err)
	var names []string
	for _, p := range policies {
		names = append(names, p.Namespace+"/"+p.Name)
	}
	assert.Equal(t, []string{"shared/loki", "own/query", "own/default-deny"}, names)
	pod := func(namespace, name string) netpolicy.Pod {
		return netpolicy.Pod{Namespace: namespace, Labels: app(name), IP: "10.0.0.9"}
	}
	allows := func(from, to netpolicy.Pod) bool {
		return netpolicy.Allows(policies, from, to, netpolicy.Port{Number: 3100})
	}
	assert.True(t, allows(pod("theirs", "grafana"), pod("shared", "loki")))
	assert.False(t, allows(pod("theirs", "other"), pod("shared", "loki")))
	assert.True(t, allows(pod("shared", "other"), pod("theirs", "other")), "what shares the namespace is not cut off")
	assert.False(t, allows(pod("own", "other"), pod("theirs", "other")))
}
