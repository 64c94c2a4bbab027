// Package stack keeps a cluster's logs in one bucket: Loki with a TSDB index, and Promtail on every node.
package stack

import (
	kubernetes "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"github.com/kansoku/kansoku/components/collector"
	"github.com/kansoku/kansoku/components/loki"
	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/components/promtail"
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
	logs, err := corev1.NewNamespace(ctx, "logs", &corev1.NamespaceArgs{
		Metadata: &metav1.ObjectMetaArgs{Name: pulumi.String("logs")},
	}, pulumi.Provider(cluster))
	if err != nil {
		return err
	}
	// Promtail reads files of its node, which Pod Security must let it.
	host, err := corev1.NewNamespace(ctx, "logs-host", &corev1.NamespaceArgs{Metadata: &metav1.ObjectMetaArgs{
		Name: pulumi.String("logs-host"), Labels: pulumi.StringMap{"pod-security.kubernetes.io/enforce": pulumi.String("privileged")},
	}}, pulumi.Provider(cluster))
	if err != nil {
		return err
	}
	store, err := loki.New(ctx, "loki", &loki.Args{
		Settings: loki.Settings{
			Schema:       []loki.Period{{From: "2026-01-01", Index: loki.TSDB}}, // never change a period that has begun
			Retention:    "30d",
			StorageClass: cfg.Get("storageClass"),
		},
		Namespace: logs.Metadata.Name().Elem(),
		Chunks:    objectstore.Location{Bucket: pulumi.String(cfg.Require("bucket")), Region: pulumi.String(cfg.Require("region"))},
		RoleARN:   pulumi.String(cfg.Require("roleArn")),
	}, pulumi.Provider(cluster))
	if err != nil {
		return err
	}
	_, err = promtail.New(ctx, "promtail", &collector.Args{
		Namespace: host.Metadata.Name().Elem(),
		PushURL:   store.PushURL,
	}, pulumi.Provider(cluster))
	ctx.Export("lokiUrl", store.URL) // what Grafana takes for a data source
	return err
}
