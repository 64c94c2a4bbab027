// Kansoku: metrics and logs on EKS, on spot instances, S3 and DynamoDB.
package main

import (
	"fmt"
	"os"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/internal/program"
	"github.com/kansoku/kansoku/internal/provider"
)

// main is the program of Pulumi.yaml, and the package of PulumiPlugin.yaml: the engine starts a program without arguments, and a package
// with its address.
func main() {
	if len(os.Args) == 1 {
		pulumi.Run(program.Deploy)
		return
	}
	if err := provider.Main(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
