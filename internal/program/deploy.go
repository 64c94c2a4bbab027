// Package program is Kansoku's Pulumi program: configuration in, the AWS side and the stack on it, outputs out.
package program

import (
	"fmt"
	"maps"
	"slices"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/loki"
	"github.com/kansoku/kansoku/components/monitoring"
	"github.com/kansoku/kansoku/components/operator"
	"github.com/kansoku/kansoku/infra"
)

// Deploy is the program that main runs: it reads the stack's configuration, refuses it with every violation at once, or deploys it.
func Deploy(ctx *pulumi.Context) error {
	keys, err := environmentKeys()
	if err != nil {
		return err
	}
	return WithKeys(keys)(ctx)
}

// WithKeys is Deploy for a caller that runs the program inside its own process and knows which configuration keys the stack sets
// ("kansoku:network"): a context cannot enumerate them.
func WithKeys(keys []string) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		cfg, err := load(ctx, ctx.Project(), ctx.Stack(), keys)
		if err != nil {
			return fmt.Errorf("the configuration of stack %s is refused:\n%w", ctx.Stack(), err)
		}
		return deploy(ctx, cfg)
	}
}

// deployment is what has been built so far; nil where the stack does without.
type deployment struct {
	cfg     *Config
	account account
	network *infra.Network
	cluster *infra.Cluster
	blocks  *infra.Bucket
	chunks  *infra.Bucket
	index   *infra.Table
	roles   map[string]pulumi.StringInput // by workload

	monitoring *monitoring.Monitoring
}

func deploy(ctx *pulumi.Context, cfg *Config) error {
	d := &deployment{cfg: cfg}
	for _, step := range []func(*pulumi.Context) error{d.connect, d.storage, d.clusters, d.grant, d.monitor, d.export} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// account is where the AWS side goes.
type account struct {
	id        string
	partition string
	provider  *aws.Provider
	tags      map[string]string
}

// options are those of a component on the AWS side; empty without AWS.
func (a account) options(more ...pulumi.ResourceOption) []pulumi.ResourceOption {
	if a.provider == nil {
		return more
	}
	return append([]pulumi.ResourceOption{pulumi.Providers(a.provider)}, more...)
}

// connect makes the one AWS provider, with the default tags.
func (d *deployment) connect(ctx *pulumi.Context) error {
	if !d.cfg.onAWS() {
		return nil
	}
	d.account.tags = map[string]string{"Project": ctx.Project(), "Stack": ctx.Stack()}
	maps.Copy(d.account.tags, d.cfg.Tags)
	args := &aws.ProviderArgs{
		Region:      pulumi.String(d.cfg.AWS.Region),
		DefaultTags: &aws.ProviderDefaultTagsArgs{Tags: pulumi.ToStringMap(d.account.tags)},
	}
	if d.cfg.AWS.Profile != "" {
		args.Profile = pulumi.String(d.cfg.AWS.Profile)
	}
	provider, err := aws.NewProvider(ctx, "aws", args)
	if err != nil {
		return fmt.Errorf("creating the AWS provider: %w", err)
	}
	identity, err := aws.GetCallerIdentity(ctx, &aws.GetCallerIdentityArgs{}, pulumi.Provider(provider))
	if err != nil {
		return fmt.Errorf("asking AWS for the account: %w", err)
	}
	partition, err := aws.GetPartition(ctx, &aws.GetPartitionArgs{}, pulumi.Provider(provider))
	if err != nil {
		return fmt.Errorf("asking AWS for the partition: %w", err)
	}
	d.account.provider, d.account.id, d.account.partition = provider, identity.AccountId, partition.Partition
	return nil
}

// globalName is the default name of something whose name the whole of S3 shares: known before it exists, and nobody else's.
func (d *deployment) globalName(what string) string {
	return fmt.Sprintf("%s-%s-%s-%s", d.cfg.Name, what, d.account.id, d.cfg.AWS.Region)
}

// storage makes what outlives every pod. It waits for nothing.
func (d *deployment) storage(ctx *pulumi.Context) (err error) {
	cfg := d.cfg
	bucket := func(name string, settings infra.BucketSettings) (*infra.Bucket, error) {
		return infra.NewBucket(ctx, name, &infra.BucketArgs{
			BucketSettings: settings, DefaultName: d.globalName(name), Region: cfg.AWS.Region, Partition: d.account.partition, Protect: cfg.Protect,
		}, d.account.options()...)
	}
	if d.blocks, err = bucket("blocks", cfg.Blocks); err != nil {
		return err
	}
	if cfg.onAWS() || cfg.Monitoring.Loki != nil {
		if d.chunks, err = bucket("chunks", cfg.Chunks); err != nil {
			return err
		}
	}
	if !cfg.onAWS() && cfg.Index.Existing == nil || !cfg.needsIndex() {
		return nil
	}
	d.index, err = infra.NewTable(ctx, "index", &infra.TableArgs{
		TableSettings: cfg.Index, DefaultName: cfg.Name + "-index", Protect: cfg.Protect,
		Region: cfg.AWS.Region, AccountID: d.account.id, Partition: d.account.partition,
	}, d.account.options()...)
	return err
}

// clusters makes or adopts network, cluster and nodes.
func (d *deployment) clusters(ctx *pulumi.Context) (err error) {
	cfg := d.cfg
	args := &infra.ClusterArgs{
		ClusterSettings: cfg.Cluster, Name: cfg.Name, Region: cfg.AWS.Region, Profile: cfg.AWS.Profile, Partition: d.account.partition,
		Protect: cfg.Protect, Tags: d.account.tags,
	}
	if cfg.Kubeconfig != "" {
		args.Kubeconfig = pulumi.ToSecret(pulumi.String(cfg.Kubeconfig)).(pulumi.StringOutput)
	}
	if cfg.Network != nil {
		d.network, err = infra.NewNetwork(ctx, "network", &infra.NetworkArgs{
			NetworkSettings: *cfg.Network, Region: cfg.AWS.Region, ClusterName: cfg.clusterName(),
		}, d.account.options()...)
		if err != nil {
			return err
		}
		args.VPCID, args.PrivateSubnets = d.network.VPCID, d.network.PrivateSubnets
	}
	d.cluster, err = infra.NewCluster(ctx, "cluster", args, d.account.options()...)
	return err
}

// grant makes one role for each workload that uses AWS, trusted by that workload's service account alone.
func (d *deployment) grant(ctx *pulumi.Context) error {
	d.roles = map[string]pulumi.StringInput{}
	if d.cluster.Issuer == nil {
		return nil
	}
	for _, workload := range d.cfg.Monitoring.Workloads() {
		if workload.Scales && d.cfg.Nodes == nil {
			continue // the groups are somebody else's, and so is their autoscaler
		}
		statements := append(infra.BucketStatements(d.blocks, workload.Blocks), infra.BucketStatements(d.chunks, workload.Chunks)...)
		if workload.Index {
			statements = append(statements, infra.IndexStatements(d.index)...)
			statements = append(statements,
				infra.PeriodicIndexStatements(workload.OldIndexes, d.account.partition, d.cfg.AWS.Region, d.account.id)...)
		}
		if workload.Scales {
			statements = append(statements, infra.AutoscalerStatements(d.cfg.clusterName(), d.account.partition, d.cfg.AWS.Region, d.account.id)...)
		}
		if len(statements) == 0 {
			continue // its store has credentials of its own
		}
		role, err := infra.NewWorkloadRole(ctx, workload.Key, &infra.WorkloadRoleArgs{
			Issuer: *d.cluster.Issuer, Partition: d.account.partition, ServiceAccount: workload.ServiceAccount, Statements: statements,
		}, d.account.options()...)
		if err != nil {
			return err
		}
		d.roles[workload.Key] = role.ARN
	}
	return nil
}

// nodes makes the node groups and the add-ons that need nodes, and returns what pods have to wait for.
func (d *deployment) nodes(ctx *pulumi.Context) ([]pulumi.Resource, error) {
	cfg := d.cfg
	if cfg.Nodes == nil {
		return nil, nil
	}
	// A node that starts before there is a way out cannot pull its images.
	before := append(slices.Clone(d.cluster.Networking), d.network.Egress...)
	args := &infra.NodeGroupsArgs{
		NodesSettings: *cfg.Nodes, ClusterName: d.cluster.Name, Name: cfg.clusterName(), Version: cfg.Cluster.Version,
		Subnets: d.network.PrivateSubnets, Partition: d.account.partition, Tags: d.account.tags,
	}
	if d.cluster.NodeRole != nil {
		args.NodeRoleARN = d.cluster.NodeRole.Arn
	}
	groups, err := infra.NewNodeGroups(ctx, "nodes", args, d.account.options(pulumi.DependsOn(before))...)
	if err != nil {
		return nil, err
	}
	reclaim := "Delete"
	if cfg.Protect {
		reclaim = "Retain"
	}
	// The resources one by one: a component in DependsOn stands for those of its children that happen to be registered by then.
	ready := []pulumi.Resource{groups.OnDemand}
	addons := &infra.AddonsArgs{
		Cluster: d.cluster, Versions: cfg.Cluster.AddonVersions, Partition: d.account.partition, ReclaimPolicy: reclaim,
		Nodes: []pulumi.Resource{groups.OnDemand},
	}
	if existing := cfg.Cluster.Existing; existing != nil {
		addons.Only, addons.Foreign = existing.InstallAddons, true
	}
	if !addons.Foreign || len(addons.Only) > 0 {
		made, err := infra.NewAddons(ctx, "addons", addons, pulumi.Providers(d.account.provider, d.cluster.Provider))
		if err != nil {
			return nil, err
		}
		ready = append(ready, made.Ready...)
	}
	for _, group := range groups.Spot {
		ready = append(ready, group)
	}
	return ready, nil
}

// monitor deploys the stack itself. The CRDs need the API server only; pods wait for their nodes and volumes.
func (d *deployment) monitor(ctx *pulumi.Context) error {
	var definitions []pulumi.Resource
	if !d.cfg.Monitoring.Existing.Operator {
		crds, err := operator.NewCRDs(ctx, "crds", pulumi.Provider(d.cluster.CRDProvider))
		if err != nil {
			return err
		}
		definitions = crds.Definitions
	}
	ready, err := d.nodes(ctx)
	if err != nil {
		return err
	}
	args := &monitoring.Args{
		Settings: d.cfg.Monitoring, Cluster: d.cfg.Name, Blocks: d.blocks.Location, RoleARNs: d.roles, ExistingCRDs: true,
		AlertSecrets: map[string]pulumi.StringInput{}, GrafanaOAuthSecret: secret(d.cfg.GrafanaOAuthSecret),
		RegistryCredentials: secret(d.cfg.RegistryCredentials),
	}
	for name, value := range d.cfg.alertSecrets() {
		args.AlertSecrets[name] = secret(value)
	}
	if d.chunks != nil {
		args.Chunks = d.chunks.Location
	}
	if d.index != nil {
		args.Index = loki.Index{
			Table: d.index.Name, Region: pulumi.String(d.cfg.AWS.Region), Endpoint: d.index.Endpoint, Insecure: d.index.Insecure,
		}
	}
	if d.cfg.Nodes != nil {
		// The plain name: the cluster's own is unknown in a preview that changes it, and the whole pod spec with it.
		args.Scaled = &monitoring.ScaledCluster{Name: pulumi.String(d.cfg.clusterName()), Region: pulumi.String(d.cfg.AWS.Region)}
	}
	for _, warning := range args.Warnings() {
		if err = ctx.Log.Warn(warning, nil); err != nil {
			return fmt.Errorf("warning: %w", err)
		}
	}
	d.monitoring, err = monitoring.New(ctx, "monitoring", args,
		pulumi.Provider(d.cluster.Provider), pulumi.DependsOn(append(ready, definitions...)))
	return err
}

// secret is a configuration value that stays one in the state; nil if it is not set.
func secret(value string) pulumi.StringInput {
	if value == "" {
		return nil
	}
	return pulumi.ToSecret(pulumi.String(value)).(pulumi.StringOutput)
}

// export names what people and other stacks need.
func (d *deployment) export(ctx *pulumi.Context) error {
	if existing := d.cfg.Cluster.Existing; existing == nil || existing.Context == "" {
		ctx.Export("kubeconfig", d.cluster.Kubeconfig)
	}
	ctx.Export("clusterName", d.cluster.Name)
	ctx.Export("blocksBucket", d.blocks.Name)
	if d.chunks != nil {
		ctx.Export("chunksBucket", d.chunks.Name)
	}
	if d.index != nil {
		ctx.Export("indexTable", d.index.Name)
	}
	ctx.Export("roleArns", pulumi.StringMap(d.roles))
	ctx.Export("services", pulumi.StringMap{
		"prometheus": d.monitoring.PrometheusURL, "query": d.monitoring.QueryURL, "alertmanager": d.monitoring.AlertmanagerURL,
		"grafana": d.monitoring.GrafanaURL, "loki": d.monitoring.LokiURL,
	})
	ctx.Export("grafanaPassword", d.monitoring.GrafanaPassword)
	return nil
}
