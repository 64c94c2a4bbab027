package monitoring

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/loki"
	"github.com/kansoku/kansoku/components/netpolicy"
	"github.com/kansoku/kansoku/internal/docs"
)

// TestCallsInDocs holds the table of calls in docs/security.md. UPDATE_GOLDEN=1 rewrites it.
func TestCallsInDocs(t *testing.T) {
	t.Parallel()
	all := Args{
		Settings: Settings{Loki: &loki.Settings{Schema: []loki.Period{{From: "2026-01-01", Index: loki.DynamoDB}}}},
		Scaled:   &ScaledCluster{Name: pulumi.String("prod"), Region: pulumi.String("ap-northeast-1")},
	}
	all.Settings = all.WithDefaults()
	called := map[string]string{
		netpolicy.APIServer: "the API server", netpolicy.AWS: "addresses outside the VPC (AWS)", netpolicy.Internet: "the internet",
		netpolicy.ControlPlane: "the control plane", netpolicy.Nodes: "the nodes", netpolicy.Anyone: "any pod", netpolicy.DNS: "CoreDNS",
	}
	name := func(key string) string {
		if outside := called[key]; outside != "" {
			return outside
		}
		require.NotContains(t, key, "@", "how is it called in the table?")
		return key
	}
	usual := map[string]string{netpolicy.APIServer: "443", netpolicy.AWS: "443", netpolicy.Internet: "443"}
	var table strings.Builder
	table.WriteString("| who | calls | ports | why |\n| --- | --- | --- | --- |\n")
	for _, one := range all.calls() {
		if one.To == netpolicy.DNS && len(one.Ports) == 0 {
			continue // everybody
		}
		var ports []string
		for _, port := range one.Ports {
			shown := fmt.Sprint(port.Number)
			if port.Number == netpolicy.AnyPort {
				shown = "any"
			}
			ports = append(ports, strings.TrimSpace(shown+" "+port.Protocol))
		}
		if len(ports) == 0 {
			require.NotEmpty(t, usual[one.To], "%v", one)
			ports = []string{usual[one.To]}
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", name(one.From), name(one.To), strings.Join(ports, ", "), one.Why)
	}
	table.WriteString("| all of them | CoreDNS | 53, 53 UDP | find the others by name |\n")
	docs.Section(t, filepath.Join("..", "..", "docs", "security.md"), "calls", table.String())
}
