// Package stack is the whole of Kansoku's monitoring on a cluster that is there already, with an S3-compatible store.
package stack

import (
	kubernetes "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"github.com/kansoku/kansoku/components/grafana"
	"github.com/kansoku/kansoku/components/loki"
	"github.com/kansoku/kansoku/components/monitoring"
	"github.com/kansoku/kansoku/components/objectstore"
)

// credentials is the Secret with which all workloads log in at the store.
const credentials = "object-store"

// Deploy is the program.
func Deploy(ctx *pulumi.Context) error {
	cfg := config.New(ctx, "")
	kubecontext := pulumi.String(cfg.Require("context"))
	// As long as the identifier stays, no change of the kubeconfig replaces what is in the cluster.
	cluster, err := kubernetes.NewProvider(ctx, "cluster", &kubernetes.ProviderArgs{Context: kubecontext, ClusterIdentifier: kubecontext})
	if err != nil {
		return err
	}
	// The definitions of the Prometheus Operator outlive a stack, so that the next one meets them: this provider takes over what it finds.
	definitions, err := kubernetes.NewProvider(ctx, "definitions", &kubernetes.ProviderArgs{
		Context: kubecontext, ClusterIdentifier: kubecontext, UpsertExistingObjects: pulumi.Bool(true),
	})
	if err != nil {
		return err
	}
	bucket := func(key string) objectstore.Location {
		return objectstore.Location{
			Bucket: pulumi.String(cfg.Require(key)), Region: pulumi.String(cfg.Require("region")),
			Endpoint: cfg.Require("endpoint"), Insecure: cfg.GetBool("insecure"), CredentialsSecret: credentials,
		}
	}
	stack, err := monitoring.New(ctx, "monitoring", &monitoring.Args{
		Settings: monitoring.Settings{
			StorageClass: cfg.Get("storageClass"),
			Loki: &loki.Settings{
				Schema:    []loki.Period{{From: "2026-01-01", Index: loki.TSDB}}, // never change a period that has begun
				Retention: "30d",
			},
			// Where the team of ../team puts its dashboards.
			Grafana: grafana.Settings{DashboardConfigMaps: []grafana.DashboardConfigMap{{Name: "dashboards-shop", Folder: "Shop"}}},
		},
		Cluster:     ctx.Stack(), // the label that tells this cluster's series from others in the bucket
		Blocks:      bucket("blocks"),
		Chunks:      bucket("chunks"),
		CRDProvider: definitions,
	}, pulumi.Provider(cluster))
	if err != nil {
		return err
	}
	_, err = corev1.NewSecret(ctx, credentials, &corev1.SecretArgs{
		Metadata: &metav1.ObjectMetaArgs{Name: pulumi.String(credentials), Namespace: stack.Namespace},
		StringData: pulumi.StringMap{
			"AWS_ACCESS_KEY_ID": cfg.RequireSecret("accessKey"), "AWS_SECRET_ACCESS_KEY": cfg.RequireSecret("secretKey"),
		},
	}, pulumi.Provider(cluster))
	if err != nil {
		return err
	}
	ctx.Export("grafana", stack.GrafanaURL)
	ctx.Export("grafanaPassword", stack.GrafanaPassword)
	return nil
}
