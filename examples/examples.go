// Package examples lists the examples, so that the preview without an account and the tests can run them.
package examples

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	infraonly "github.com/kansoku/kansoku/examples/infra-only/stack"
	logsonly "github.com/kansoku/kansoku/examples/logs-only/stack"
	monitoringkubeconfig "github.com/kansoku/kansoku/examples/monitoring-kubeconfig/stack"
	team "github.com/kansoku/kansoku/examples/team/stack"
	thanosonly "github.com/kansoku/kansoku/examples/thanos-only/stack"
)

// Programs are the examples' programs by the name of their directory, which is that of their Pulumi project too.
var Programs = map[string]pulumi.RunFunc{
	"infra-only":            infraonly.Deploy,
	"logs-only":             logsonly.Deploy,
	"monitoring-kubeconfig": monitoringkubeconfig.Deploy,
	"team":                  team.Deploy,
	"thanos-only":           thanosonly.Deploy,
}
