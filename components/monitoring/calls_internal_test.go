package monitoring

import (
	"fmt"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/alertmanager"
	"github.com/kansoku/kansoku/components/collector"
	"github.com/kansoku/kansoku/components/grafana"
	"github.com/kansoku/kansoku/components/loki"
	"github.com/kansoku/kansoku/components/netpolicy"
	"github.com/kansoku/kansoku/components/thanos"
)

// stacks are the shapes in which the list of calls differs.
func stacks() map[string]Args {
	logs := &loki.Settings{Schema: []loki.Period{{From: "2026-01-01", Index: loki.DynamoDB}}}
	scaled := &ScaledCluster{Name: pulumi.String("c"), Region: pulumi.String("r")}
	shapes := map[string]Args{
		"metrics only": {},
		"all":          {Settings: Settings{Loki: logs}, Scaled: scaled},
		"alloy, ingress": {Settings: Settings{
			Loki: logs, Collector: collector.Settings{Kind: collector.Alloy},
			Grafana: grafana.Settings{Ingress: &grafana.Ingress{Host: "g.example.org"}},
		}},
	}
	for name, a := range shapes {
		a.Settings = a.WithDefaults()
		shapes[name] = a
	}
	return shapes
}

// TestOnlyDeclaredCalls: between the stack's own pods each declared call is let through, and no other on any port that somebody listens on.
func TestOnlyDeclaredCalls(t *testing.T) {
	t.Parallel()
	for name, a := range stacks() {
		policies, err := netpolicy.Policies(netpolicy.Args{Workloads: a.workloads(), Calls: a.calls()})
		require.NoError(t, err, name)

		declared := map[string]bool{}
		ports := map[netpolicy.Port]bool{{Number: 1}: true} // and one that nobody declares
		for _, c := range a.calls() {
			for _, p := range c.Ports {
				if p.Protocol == "" {
					p.Protocol = "TCP"
				}
				if p.Number != netpolicy.AnyPort {
					ports[p] = true
				}
				declared[fmt.Sprint(c.From, c.To, p)] = true
			}
		}
		checked := 0
		for i, from := range a.workloads() {
			for j, to := range a.workloads() {
				for port := range ports {
					if port.Protocol == "" {
						port.Protocol = "TCP"
					}
					source := netpolicy.Pod{Namespace: from.Namespace, Labels: from.Selector, IP: fmt.Sprintf("10.0.0.%d", i+1)}
					target := netpolicy.Pod{Namespace: to.Namespace, Labels: to.Selector, IP: fmt.Sprintf("10.0.1.%d", j+1)}
					if declared[fmt.Sprint(netpolicy.Anyone, to.Key, port)] {
						continue // open to all: who may go out is the caller's policy
					}
					want := declared[fmt.Sprint(from.Key, to.Key, port)]
					got := netpolicy.Allows(policies, source, target, port)
					require.Equal(t, want, got, "%s: %s to %s on %v", name, from.Key, to.Key, port)
					checked++
				}
			}
		}
		require.Greater(t, checked, 1000, name)
	}
}

func TestEveryWorkloadIsScraped(t *testing.T) {
	t.Parallel()
	for name, a := range stacks() {
		scraped := map[string]bool{}
		for _, c := range a.calls() {
			if c.From == prometheusPods && c.Why == "scrapes its metrics" {
				scraped[c.To] = true
			}
		}
		for _, w := range a.workloads() {
			require.True(t, scraped[w.Key], "%s: %s", name, w.Key)
		}
	}
}

func TestMailGetsOut(t *testing.T) {
	t.Parallel()
	a := Args{Settings: Settings{Alertmanager: alertmanager.Settings{SMTP: &alertmanager.SMTPSettings{Smarthost: "smtp.example.org:587"}}}}
	a.Settings = a.WithDefaults()
	policies, err := netpolicy.Policies(netpolicy.Args{Workloads: a.workloads(), Calls: a.calls()})
	require.NoError(t, err)
	source := netpolicy.Pod{Namespace: a.Namespace, Labels: alertmanager.Labels().Selector(), IP: "10.0.0.1"}
	for port, want := range map[int]bool{443: true, 587: true, 465: false} {
		require.Equal(t, want, netpolicy.Allows(policies, source, netpolicy.Pod{IP: "203.0.113.7"}, netpolicy.Port{Number: port, Protocol: "TCP"}), port)
	}
}

// TestCallsBesideWhatExists: somebody else's Grafana is let in, no policy is about it or about our absent operator, and query may call other
// Store APIs, in the cluster or out of it, on their port only.
func TestCallsBesideWhatExists(t *testing.T) {
	t.Parallel()
	a := Args{Settings: Settings{
		Loki: &loki.Settings{Schema: []loki.Period{{From: "2026-01-01", Index: loki.DynamoDB}}},
		Existing: Existing{
			Namespace: "shared", Operator: true, Grafana: &grafana.ExistingSettings{Namespace: "theirs", PodLabels: map[string]string{"app": "g"}},
		},
		Thanos: thanos.Settings{Query: thanos.QuerySettings{ExtraEndpoints: []string{"dns+old.old.svc:19091", "thanos.example.org:10905"}}},
	}}
	a.Settings = a.WithDefaults()
	require.NoError(t, a.Validate())
	policies, err := netpolicy.Policies(netpolicy.Args{
		Workloads: a.workloads(), Calls: a.calls(), SharedNamespaces: a.Existing.namespaces(),
	})
	require.NoError(t, err)
	for _, p := range policies {
		require.NotContains(t, []string{grafanaPods, operatorPods, "default-deny-shared"}, p.Name)
		require.Contains(t, []string{"shared", "shared-host"}, p.Namespace)
	}
	pod := func(key, namespace string, labels map[string]string) netpolicy.Pod {
		for _, w := range a.workloads() {
			if w.Key == key {
				return netpolicy.Pod{Namespace: w.Namespace, Labels: w.Selector, IP: "10.0.0.1"}
			}
		}
		return netpolicy.Pod{Namespace: namespace, Labels: labels, IP: "10.0.0.2"}
	}
	theirs, stranger := pod(grafanaPods, "", nil), pod("", "theirs", map[string]string{"app": "other"})
	query, old, outside := pod(thanos.QueryName, "", nil), pod("", "old", map[string]string{"app": "old"}), netpolicy.Pod{IP: "203.0.113.7"}
	for _, test := range []struct {
		from, to netpolicy.Pod
		port     int
		want     bool
	}{
		{theirs, pod(lokiPods, "", nil), loki.HTTPPort, true},
		{theirs, pod(thanos.QueryFrontendName, "", nil), thanos.HTTPPort, true},
		{theirs, pod(alertmanagerPods, "", nil), alertmanager.HTTPPort, true},
		{stranger, pod(lokiPods, "", nil), loki.HTTPPort, false},
		{query, old, 19091, true},
		{query, old, 10901, false},
		{query, outside, 10905, true},
		{query, outside, 443, false},
	} {
		got := netpolicy.Allows(policies, test.from, test.to, netpolicy.Port{Number: test.port})
		require.Equal(t, test.want, got, "%v -> %v :%d", test.from, test.to, test.port)
	}
}
