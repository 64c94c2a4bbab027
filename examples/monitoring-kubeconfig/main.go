// The program that Pulumi runs here; what it makes stands in stack.
package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/examples/monitoring-kubeconfig/stack"
)

func main() { pulumi.Run(stack.Deploy) }
