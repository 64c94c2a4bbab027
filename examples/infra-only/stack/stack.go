// Package stack is Kansoku's AWS side alone: a network, an EKS cluster on spot instances, and a bucket.
package stack

import (
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"github.com/kansoku/kansoku/infra"
)

const name = "example" // of the cluster

// Deploy is the program.
func Deploy(ctx *pulumi.Context) error {
	cfg, region := config.New(ctx, ""), config.Require(ctx, "aws:region")
	var zones, cidrs []string
	cfg.RequireObject("zones", &zones)
	cfg.RequireObject("publicAccessCidrs", &cidrs)

	network, err := infra.NewNetwork(ctx, "network", &infra.NetworkArgs{
		NetworkSettings: infra.NetworkSettings{Zones: zones}, ClusterName: name,
	})
	if err != nil {
		return err
	}
	cluster, err := infra.NewCluster(ctx, "cluster", &infra.ClusterArgs{
		ClusterSettings: infra.ClusterSettings{PublicAccessCIDRs: cidrs}, Name: name, Region: region,
		VPCID: network.VPCID, PrivateSubnets: network.PrivateSubnets,
	})
	if err != nil {
		return err
	}
	nodes, err := infra.NewNodeGroups(ctx, "nodes", &infra.NodeGroupsArgs{
		NodesSettings: infra.NodesSettings{
			Spot:     infra.SpotSettings{InstanceTypes: []string{"m7i.large", "m7a.large", "m6i.large", "m5.large"}, DesiredSize: 1, MaxSize: 3},
			OnDemand: infra.OnDemandSettings{InstanceTypes: []string{"t3a.medium", "t3.medium"}, MaxSize: 2},
		},
		ClusterName: cluster.Name, Name: name, NodeRoleARN: cluster.NodeRole.Arn, Subnets: network.PrivateSubnets,
		// A node that starts before the network plugin, or before there is a way out, cannot join.
	}, pulumi.DependsOn(slices.Concat(cluster.Networking, network.Egress)))
	if err != nil {
		return err
	}
	_, err = infra.NewAddons(ctx, "addons", &infra.AddonsArgs{
		Cluster: cluster, Nodes: []pulumi.Resource{nodes.OnDemand},
	}, pulumi.Provider(cluster.Provider))
	if err != nil {
		return err
	}
	bucket, err := infra.NewBucket(ctx, "data", &infra.BucketArgs{
		BucketSettings: infra.BucketSettings{Name: cfg.Require("bucket"), ExpireDays: 365}, Region: region,
	})
	if err != nil {
		return err
	}
	ctx.Export("kubeconfig", cluster.Kubeconfig)
	ctx.Export("bucket", bucket.Name)
	return nil
}
