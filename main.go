// Kansoku: metrics and logs on EKS, on spot instances, S3 and DynamoDB.
package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/internal/program"
)

func main() { pulumi.Run(program.Deploy) }
