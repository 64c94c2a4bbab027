package docs_test

import (
	"slices"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	kubernetes "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/alertmanager"
	"github.com/kansoku/kansoku/components/alloy"
	"github.com/kansoku/kansoku/components/autoscaler"
	"github.com/kansoku/kansoku/components/collector"
	"github.com/kansoku/kansoku/components/dashboards"
	"github.com/kansoku/kansoku/components/events"
	"github.com/kansoku/kansoku/components/exporters/adapter"
	"github.com/kansoku/kansoku/components/exporters/kubestatemetrics"
	"github.com/kansoku/kansoku/components/exporters/nodeexporter"
	"github.com/kansoku/kansoku/components/grafana"
	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/loki"
	"github.com/kansoku/kansoku/components/monitoring"
	"github.com/kansoku/kansoku/components/netpolicy"
	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/components/operator"
	"github.com/kansoku/kansoku/components/prometheus"
	"github.com/kansoku/kansoku/components/promtail"
	"github.com/kansoku/kansoku/components/rules"
	"github.com/kansoku/kansoku/components/thanos"
	"github.com/kansoku/kansoku/infra"
)

// The bodies of these functions are the examples in docs/components, and what they register is what the pages say that a component makes.

func exampleMonitoring(ctx *pulumi.Context, loaded, index pulumi.StringInput) error {
	bucket := func(name string) objectstore.Location {
		return objectstore.Location{Bucket: pulumi.String(name), Region: pulumi.String("eu-west-1")}
	}
	stack, err := monitoring.New(ctx, "monitoring", &monitoring.Args{
		Settings: monitoring.Settings{
			Size: monitoring.Medium,
			Loki: &loki.Settings{Schema: []loki.Period{{From: "2026-01-01", Index: loki.TSDB}}},
		},
		Cluster:  "tools",
		Blocks:   bucket("my-blocks"),
		Chunks:   bucket("my-chunks"),
		RoleARNs: map[string]pulumi.StringInput{"prometheus": loaded, "loki": index}, // and those of Thanos: Settings.Workloads lists them
	})
	if err != nil {
		return err
	}
	ctx.Export("grafana", stack.GrafanaURL)
	return nil
}

func examplePrometheus(ctx *pulumi.Context, role *iam.Role, ready []pulumi.Resource) error {
	stack, err := prometheus.New(ctx, "metrics", &prometheus.Args{
		Settings:  prometheus.Settings{Replicas: 2, StorageSize: "50Gi"},
		Namespace: pulumi.String("monitoring"),
		Cluster:   "tools",
		Blocks:    objectstore.Location{Bucket: pulumi.String("my-blocks"), Region: pulumi.String("eu-west-1")},
		RoleARN:   role.Arn,
	}, pulumi.DependsOn(ready)) // the operator and its definitions: see the page of operator
	if err != nil {
		return err
	}
	_, err = prometheus.NewClusterMonitors(ctx, "cluster", &prometheus.ClusterMonitorsArgs{
		Namespace: pulumi.String("monitoring"),
	}, pulumi.DependsOn(ready))
	if err != nil {
		return err
	}
	ctx.Export("prometheus", stack.URL)
	return nil
}

func exampleThanos(ctx *pulumi.Context, reads, compacts *iam.Role) error {
	metrics, err := thanos.New(ctx, "thanos", &thanos.Args{
		Namespace: pulumi.String("monitoring"),
		Blocks:    objectstore.Location{Bucket: pulumi.String("my-blocks"), Region: pulumi.String("eu-west-1")},
		RoleARNs: map[string]pulumi.StringInput{
			"thanos-store": reads.Arn, "thanos-bucket-web": reads.Arn, "thanos-compact": compacts.Arn,
		},
		StoreEndpoints: []pulumi.StringInput{pulumi.String("dnssrv+_grpc._tcp.prometheus-operated.monitoring.svc")}, // your sidecars
	})
	if err != nil {
		return err
	}
	ctx.Export("query", metrics.QueryFrontendURL)
	return nil
}

func exampleLoki(ctx *pulumi.Context, role *iam.Role) error {
	logs, err := loki.New(ctx, "logs", &loki.Args{
		Settings: loki.Settings{
			Replicas:  3,
			Schema:    []loki.Period{{From: "2026-01-01", Index: loki.TSDB}},
			Retention: "30d",
		},
		Namespace: pulumi.String("monitoring"),
		Chunks:    objectstore.Location{Bucket: pulumi.String("my-chunks"), Region: pulumi.String("eu-west-1")},
		RoleARN:   role.Arn,
	})
	if err != nil {
		return err
	}
	ctx.Export("push", logs.PushURL)
	return nil
}

func examplePromtail(ctx *pulumi.Context, logs *loki.Loki) error {
	_, err := promtail.New(ctx, "collector", &collector.Args{
		Namespace: pulumi.String("monitoring-host"), // Pod Security must let its pods mount directories of the host
		PushURL:   logs.PushURL,
	})
	return err
}

func exampleAlloy(ctx *pulumi.Context, logs *loki.Loki) error {
	_, err := alloy.New(ctx, "collector", &collector.Args{
		Namespace: pulumi.String("monitoring-host"),
		PushURL:   logs.PushURL,
	})
	return err
}

func exampleAlertmanager(ctx *pulumi.Context, slack pulumi.StringInput, ready []pulumi.Resource) error {
	alerts, err := alertmanager.New(ctx, "alerts", &alertmanager.Args{
		Settings:    alertmanager.Settings{Replicas: 3},
		Namespace:   pulumi.String("monitoring"),
		Secrets:     map[string]pulumi.StringInput{alertmanager.SlackURL: slack},
		Inhibitions: rules.Inhibitions(),
	}, pulumi.DependsOn(ready)) // the operator and its definitions: see the page of operator
	if err != nil {
		return err
	}
	ctx.Export("alertmanager", alerts.URL)
	return nil
}

func exampleGrafana(ctx *pulumi.Context) error {
	own, err := dashboards.All(dashboards.Options{})
	if err != nil {
		return err
	}
	shown, err := grafana.New(ctx, "grafana", &grafana.Args{
		Namespace:  pulumi.String("monitoring"),
		ThanosURL:  pulumi.String("http://thanos-query-frontend.monitoring.svc:10902"),
		Dashboards: own[:1], // or all of them
	})
	if err != nil {
		return err
	}
	ctx.Export("password", shown.AdminPassword)
	// Or for a Grafana that is there already:
	_, err = grafana.NewProvisioning(ctx, "shown", &grafana.ProvisioningArgs{
		ExistingSettings: grafana.ExistingSettings{Namespace: "grafana"},
		ThanosURL:        pulumi.String("http://thanos-query-frontend.monitoring.svc:10902"),
		Dashboards:       own[:1],
	})
	return err
}

func exampleOperator(ctx *pulumi.Context) error {
	crds, err := operator.NewCRDs(ctx, "crds")
	if err != nil {
		return err
	}
	runs, err := operator.New(ctx, "operator", &operator.Args{
		Namespace: pulumi.String("monitoring"),
	}, pulumi.DependsOn(crds.Definitions))
	if err != nil {
		return err
	}
	ready := slices.Concat(crds.Definitions, []pulumi.Resource{runs.Deployment}) // what Prometheus and Alertmanager depend on
	_, err = alertmanager.New(ctx, "alerts", &alertmanager.Args{Namespace: pulumi.String("monitoring")}, pulumi.DependsOn(ready))
	return err
}

func exampleKubeStateMetrics(ctx *pulumi.Context) error {
	_, err := kubestatemetrics.New(ctx, "kube-state-metrics", &kubestatemetrics.Args{Namespace: pulumi.String("monitoring")})
	return err
}

func exampleNodeExporter(ctx *pulumi.Context) error {
	_, err := nodeexporter.New(ctx, "node-exporter", &nodeexporter.Args{
		Namespace: pulumi.String("monitoring-host"), // Pod Security must let its pods use their host's network
	})
	return err
}

func exampleAdapter(ctx *pulumi.Context, metrics *prometheus.Prometheus) error {
	_, err := adapter.New(ctx, "adapter", &adapter.Args{
		Namespace:     pulumi.String("monitoring"),
		PrometheusURL: metrics.URL,
	})
	return err
}

func exampleEvents(ctx *pulumi.Context, logs *loki.Loki) error {
	_, err := events.New(ctx, "events", &events.Args{Namespace: pulumi.String("monitoring")})
	if err != nil {
		return err
	}
	// Its lines get the namespace of what they are about.
	_, err = promtail.New(ctx, "collector", &collector.Args{
		Settings:  collector.Settings{Pipelines: []collector.Pipeline{events.Pipeline("monitoring")}},
		Namespace: pulumi.String("monitoring-host"),
		PushURL:   logs.PushURL,
	})
	return err
}

func exampleAutoscaler(ctx *pulumi.Context, role *infra.WorkloadRole) error {
	_, err := autoscaler.New(ctx, "autoscaler", &autoscaler.Args{
		Namespace:   pulumi.String("monitoring"),
		ClusterName: pulumi.String("tools"),
		Region:      pulumi.String("eu-west-1"),
		RoleARN:     role.ARN, // with infra.AutoscalerStatements
	})
	return err
}

func exampleRules(ctx *pulumi.Context, ready []pulumi.Resource) error {
	_, err := rules.New(ctx, "rules", &rules.Args{
		Settings:      rules.Settings{Disabled: []string{"QuotaNearlyFull"}},
		Namespace:     pulumi.String("monitoring"),
		HostNamespace: pulumi.String("monitoring-host"),
		NoLogs:        true, // those on logs go to Loki: loki.Args{Rules: rules.Logs(...)}
	}, pulumi.DependsOn(ready)) // the operator's definitions: see the page of operator
	return err
}

func exampleDashboards() ([]grafana.Dashboard, error) {
	return dashboards.All(dashboards.Options{ // for grafana.Args.Dashboards
		Namespace: "monitoring",
		Collector: collector.Promtail, // without one there are none of logs
	})
}

func exampleNetpolicy(ctx *pulumi.Context) error {
	_, err := netpolicy.New(ctx, "network", &netpolicy.Args{
		Workloads: []netpolicy.Workload{
			{Key: "shop", Namespace: "shop", Selector: map[string]string{"app": "shop"}},
			{Key: "database", Namespace: "shop", Selector: map[string]string{"app": "database"}},
		},
		Calls: []netpolicy.Call{
			{From: "shop", To: "database", Ports: []netpolicy.Port{{Number: 5432}}, Why: "reads and writes orders"},
			{From: "shop", To: netpolicy.DNS, Why: "resolves the database's name"},
		},
	})
	return err
}

func exampleNetwork(ctx *pulumi.Context) error {
	network, err := infra.NewNetwork(ctx, "network", &infra.NetworkArgs{
		NetworkSettings: infra.NetworkSettings{
			CIDR: "10.20.0.0/16", Zones: []string{"eu-west-1a", "eu-west-1b", "eu-west-1c"}, NAT: "single",
		},
		ClusterName: "tools",
	})
	if err != nil {
		return err
	}
	ctx.Export("vpc", network.VPCID)
	return nil
}

func exampleCluster(ctx *pulumi.Context, network *infra.Network) error {
	cluster, err := infra.NewCluster(ctx, "cluster", &infra.ClusterArgs{
		ClusterSettings: infra.ClusterSettings{PublicAccessCIDRs: []string{"203.0.113.0/24"}},
		Name:            "tools",
		Region:          "eu-west-1",
		VPCID:           network.VPCID,
		PrivateSubnets:  network.PrivateSubnets,
	})
	if err != nil {
		return err
	}
	ctx.Export("kubeconfig", cluster.Kubeconfig)
	return nil
}

func exampleNodeGroups(ctx *pulumi.Context, network *infra.Network, cluster *infra.Cluster) error {
	_, err := infra.NewNodeGroups(ctx, "nodes", &infra.NodeGroupsArgs{
		NodesSettings: infra.NodesSettings{
			Spot:     infra.SpotSettings{InstanceTypes: []string{"m7i.large", "m7a.large", "m6i.large", "m6a.large"}, MaxSize: 3},
			OnDemand: infra.OnDemandSettings{InstanceTypes: []string{"t3a.medium"}, MaxSize: 2},
		},
		ClusterName: cluster.Name,
		Name:        "tools",
		NodeRoleARN: cluster.NodeRole.Arn,
		Subnets:     network.PrivateSubnets,
	}, pulumi.DependsOn(append(cluster.Networking, network.Egress...)))
	return err
}

func exampleAddons(ctx *pulumi.Context, cluster *infra.Cluster, groups *infra.NodeGroups) error {
	_, err := infra.NewAddons(ctx, "addons", &infra.AddonsArgs{
		Cluster: cluster,
		Nodes:   []pulumi.Resource{groups.OnDemand},
	}, pulumi.Providers(cluster.Provider))
	return err
}

func exampleBuckets(ctx *pulumi.Context) error {
	blocks, err := infra.NewBucket(ctx, "blocks", &infra.BucketArgs{
		BucketSettings: infra.BucketSettings{Name: "my-blocks-123456789012", Versioning: true},
		Region:         "eu-west-1",
		Protect:        true,
	})
	if err != nil {
		return err
	}
	ctx.Export("bucket", blocks.Name) // blocks.Location is what the components take
	return nil
}

func exampleTable(ctx *pulumi.Context) error {
	index, err := infra.NewTable(ctx, "index", &infra.TableArgs{
		TableSettings: infra.TableSettings{Name: "tools-index"},
		Protect:       true,
	})
	if err != nil {
		return err
	}
	ctx.Export("table", index.Name)
	return nil
}

func exampleRoles(ctx *pulumi.Context, cluster *infra.Cluster, blocks *infra.Bucket) error {
	role, err := infra.NewWorkloadRole(ctx, "thanos-store", &infra.WorkloadRoleArgs{
		Issuer:         *cluster.Issuer,
		ServiceAccount: kube.ServiceAccount{Namespace: "monitoring", Name: "thanos-store"},
		Statements:     infra.BucketStatements(blocks, objectstore.Read),
	})
	if err != nil {
		return err
	}
	ctx.Export("role", role.ARN)
	return nil
}

// exampleReadme is what README.md shows, below its imports.
func exampleReadme(ctx *pulumi.Context, role *iam.Role, cluster *kubernetes.Provider) error {
	stack, err := prometheus.New(ctx, "metrics", &prometheus.Args{
		Namespace: pulumi.String("monitoring"),
		Cluster:   "tools", // the label that tells this cluster's series from others in the bucket
		Blocks:    objectstore.Location{Bucket: pulumi.String("my-blocks"), Region: pulumi.String("eu-west-1")},
		RoleARN:   role.Arn,
	}, pulumi.Provider(cluster))
	if err != nil {
		return err
	}
	ctx.Export("prometheus", stack.URL)
	return nil
}
