// Package stack gives a Prometheus that is there already a memory: Thanos, and nothing else.
package stack

import (
	kubernetes "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/components/thanos"
)

// Deploy is the program.
func Deploy(ctx *pulumi.Context) error {
	cfg := config.New(ctx, "")
	kubecontext := pulumi.String(cfg.Require("context"))
	// As long as the identifier stays, no change of the kubeconfig replaces what is in the cluster.
	cluster, err := kubernetes.NewProvider(ctx, "cluster", &kubernetes.ProviderArgs{Context: kubecontext, ClusterIdentifier: kubecontext})
	if err != nil {
		return err
	}
	roles := map[string]string{}
	if err = cfg.GetObject("roleArns", &roles); err != nil {
		return err
	}
	blocks := objectstore.Location{
		Bucket: pulumi.String(cfg.Require("bucket")), Region: pulumi.String(cfg.Require("region")),
		// Of an S3-compatible store; the Secret is in the namespace already, as the sidecars need it too.
		Endpoint: cfg.Get("endpoint"), Insecure: cfg.GetBool("insecure"), CredentialsSecret: cfg.Get("credentialsSecret"),
	}
	metrics, err := thanos.New(ctx, "thanos", &thanos.Args{
		Settings: thanos.Settings{
			Store:   thanos.StoreSettings{StorageClass: cfg.Get("storageClass")},
			Compact: thanos.CompactSettings{StorageClass: cfg.Get("storageClass")},
		},
		Namespace:      pulumi.String(cfg.Require("namespace")),
		Blocks:         blocks,
		RoleARNs:       pulumi.ToStringMap(roles),
		StoreEndpoints: []pulumi.StringInput{pulumi.String(cfg.Require("sidecars"))},
	}, pulumi.Provider(cluster))
	if err != nil {
		return err
	}
	ctx.Export("queryUrl", metrics.QueryFrontendURL) // what Grafana takes for a data source of type Prometheus
	ctx.Export("sidecarConfig", blocks.Thanos())     // what your sidecars take
	return nil
}
