package infra

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/autoscaling"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	awseks "github.com/pulumi/pulumi-aws/sdk/v6/go/aws/eks"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/placement"
	"github.com/kansoku/kansoku/internal/check"
)

// nodeGroupsToken is part of the URN of every child and must never change: all nodes would be replaced.
const nodeGroupsToken = "kansoku:infra:NodeGroups"

const (
	// defaultDiskSizeGiB holds the images and logs of a node full of small pods, with room; EKS' own default is 20.
	defaultDiskSizeGiB = 50
	// minSpotTypes is how many pools a zone draws from: with fewer, one shortage in EC2 empties the zone.
	minSpotTypes = 4
)

// NodesSettings describes the nodes of a cluster.
type NodesSettings struct {
	// Architecture of every node: x86_64 or arm64. Default: x86_64.
	Architecture string `pulumi:"architecture,optional"`
	// Spot nodes carry the workloads: one group per zone.
	Spot SpotSettings `pulumi:"spot"`
	// OnDemand nodes carry what must not be reclaimed, CoreDNS and controllers: one group over all zones.
	OnDemand OnDemandSettings `pulumi:"onDemand"`
}

// SpotSettings sizes the spot group of each zone.
type SpotSettings struct {
	// InstanceTypes to draw from: at least four, of one size. Required.
	InstanceTypes []string `pulumi:"instanceTypes"`
	// MinSize is the least number of nodes per zone. Default: 0.
	MinSize int `pulumi:"minSize,optional"`
	// MaxSize is the greatest number of nodes per zone. Required, at least 1.
	MaxSize int `pulumi:"maxSize"`
	// DesiredSize is the number of nodes per zone at creation; the autoscaler moves it later. Default: MinSize.
	DesiredSize int `pulumi:"desiredSize,optional"`
	// DiskSizeGiB of a node's root volume, 20 to 16384. Default: 50.
	DiskSizeGiB int `pulumi:"diskSizeGiB,optional"`
}

// OnDemandSettings sizes the on-demand group.
type OnDemandSettings struct {
	// InstanceTypes, the preferred one first. Required.
	InstanceTypes []string `pulumi:"instanceTypes"`
	// MinSize is the least number of nodes. Default: 0.
	MinSize int `pulumi:"minSize,optional"`
	// MaxSize is the greatest number of nodes. Required, at least 1.
	MaxSize int `pulumi:"maxSize"`
	// DesiredSize is the number of nodes at creation; the autoscaler moves it later. Default: MinSize, but at least 1, because nothing
	// resolves names before CoreDNS has a node.
	DesiredSize int `pulumi:"desiredSize,optional"`
	// DiskSizeGiB of a node's root volume, 20 to 16384. Default: 50.
	DiskSizeGiB int `pulumi:"diskSizeGiB,optional"`
}

// WithDefaults fills what is not set.
func (s NodesSettings) WithDefaults() NodesSettings {
	if s.Architecture == "" {
		s.Architecture = "x86_64"
	}
	if s.Spot.DesiredSize == 0 {
		s.Spot.DesiredSize = s.Spot.MinSize
	}
	if s.OnDemand.DesiredSize == 0 {
		s.OnDemand.DesiredSize = max(s.OnDemand.MinSize, 1)
	}
	if s.Spot.DiskSizeGiB == 0 {
		s.Spot.DiskSizeGiB = defaultDiskSizeGiB
	}
	if s.OnDemand.DiskSizeGiB == 0 {
		s.OnDemand.DiskSizeGiB = defaultDiskSizeGiB
	}
	return s
}

// Validate reports everything that is wrong with settings that have their defaults.
func (s NodesSettings) Validate() error {
	var errs, spot, onDemand check.Errors
	check.OneOf(&errs, "architecture", s.Architecture, "x86_64", "arm64")

	spot.Require(len(s.Spot.InstanceTypes) >= minSpotTypes, "instanceTypes", s.Spot.InstanceTypes,
		"must be at least %d instance types", minSpotTypes)
	validateInstanceTypes(&spot, s.Spot.InstanceTypes, s.Architecture)
	spot.Require(len(instanceSizes(s.Spot.InstanceTypes)) <= 1, "instanceTypes", s.Spot.InstanceTypes,
		"must be of one size: the autoscaler takes all nodes of a group for the same")
	validateSizes(&spot, s.Spot)
	errs.Under("spot", spot.Err())

	onDemand.Require(len(s.OnDemand.InstanceTypes) >= 1, "instanceTypes", s.OnDemand.InstanceTypes, "must be at least 1 instance type")
	validateInstanceTypes(&onDemand, s.OnDemand.InstanceTypes, s.Architecture)
	validateSizes(&onDemand, SpotSettings(s.OnDemand))
	errs.Under("onDemand", onDemand.Err())
	return errs.Err()
}

func validateSizes(errs *check.Errors, s SpotSettings) {
	errs.Require(s.MinSize >= 0, "minSize", s.MinSize, "must be at least 0")
	errs.Require(s.MaxSize >= 1, "maxSize", s.MaxSize, "must be at least 1")
	errs.Require(s.MinSize <= s.DesiredSize && s.DesiredSize <= s.MaxSize, "desiredSize", s.DesiredSize,
		"must be between minSize, %d, and maxSize, %d", s.MinSize, s.MaxSize)
	errs.Require(s.DiskSizeGiB >= 20 && s.DiskSizeGiB <= 16384, "diskSizeGiB", s.DiskSizeGiB, "must be between 20 and 16384")
}

// instanceType splits "c6gn.xlarge" into family "c", generation "6", attributes "gn" and size "xlarge".
var instanceType = regexp.MustCompile(`^([a-z]+)([0-9]+)([a-z]*(?:-[a-z0-9]+)?)\.([a-z0-9-]+)$`)

// instanceArchitecture is the architecture of an instance type, told from its name; empty if it is none. A "g" after the generation
// means Graviton, which is Arm; so does the family a1, which is older than that rule.
func instanceArchitecture(name string) string {
	parts := instanceType.FindStringSubmatch(name)
	switch {
	case parts == nil:
		return ""
	case strings.Contains(strings.SplitN(parts[3], "-", 2)[0], "g"), parts[1]+parts[2] == "a1":
		return "arm64"
	}
	return "x86_64"
}

// instanceSizes are the distinct sizes among instance types.
func instanceSizes(names []string) []string {
	var sizes []string
	for _, name := range names {
		if parts := instanceType.FindStringSubmatch(name); parts != nil && !slices.Contains(sizes, parts[4]) {
			sizes = append(sizes, parts[4])
		}
	}
	return sizes
}

func validateInstanceTypes(errs *check.Errors, names []string, architecture string) {
	for i, name := range names {
		key := fmt.Sprintf("instanceTypes[%d]", i)
		has := instanceArchitecture(name)
		errs.Require(has != "", key, name, `must be an instance type such as "m6i.large"`)
		errs.Require(has == "" || has == architecture, key, name, "must be of architecture %s", architecture)
		errs.Require(!slices.Contains(names[:i], name), key, name, "must be named once")
	}
}

// NodeGroupsArgs describes nodes and the cluster that they join.
type NodeGroupsArgs struct {
	NodesSettings

	// ClusterName that the nodes join. Required.
	ClusterName pulumi.StringInput
	// Name of the cluster as it is known before it exists, for the nodes' Name tags. Required.
	Name string
	// NodeRoleARN of the nodes. Default: a role of their own, which also lets the network plugin work that has none: it is not ours.
	NodeRoleARN pulumi.StringInput
	// Version of Kubernetes on the nodes. Default: the cluster's, at the time of creation.
	Version string
	// Subnets for the nodes: one per zone. Required.
	Subnets []Subnet
	// Partition of AWS, for a role of their own. Default: "aws".
	Partition string
	// Tags of groups, instances and volumes. Default: none beside the provider's default tags, which do not reach instances.
	Tags map[string]string
}

func (a *NodeGroupsArgs) validate() error {
	var errs check.Errors
	errs.Require(a.ClusterName != nil, "clusterName", nil, "must be given")
	errs.Require(a.Name != "", "name", a.Name, "must be given")
	errs.Require(a.Version == "" || clusterVersionPattern.MatchString(a.Version), "version", a.Version,
		`must be a minor version of Kubernetes such as "1.36"`)
	errs.Require(len(a.Subnets) > 0, "subnets", len(a.Subnets), "must be given")
	suffixes := map[string]string{}
	for _, subnet := range a.Subnets {
		other, taken := suffixes[zoneSuffix(subnet.Zone)]
		errs.Require(!taken, "subnets", subnet.Zone, "must be one per zone, and their zones end differently from %s", other)
		suffixes[zoneSuffix(subnet.Zone)] = subnet.Zone
	}
	return errors.Join(a.Validate(), errs.Err())
}

// zoneSuffix is what tells a zone from the others of its region: "a" of "ap-northeast-1a".
func zoneSuffix(zone string) string {
	if suffix := zone[strings.LastIndexAny(zone, "0123456789")+1:]; suffix != "" {
		return suffix
	}
	return zone
}

// NodeGroups are the managed node groups of a cluster.
type NodeGroups struct {
	pulumi.ResourceState

	// Spot groups, one per zone, in the order of the subnets.
	Spot []*awseks.NodeGroup
	// OnDemand group over all zones.
	OnDemand *awseks.NodeGroup
}

// NewNodeGroups creates the groups. Nodes only become ready on a cluster with its network add-ons: give Cluster.Networking in DependsOn.
func NewNodeGroups(ctx *pulumi.Context, name string, args *NodeGroupsArgs, opts ...pulumi.ResourceOption) (*NodeGroups, error) {
	if args == nil {
		return nil, fmt.Errorf("creating the node groups %s: %w", name, errors.New("args: must be given"))
	}
	a := *args
	a.NodesSettings = a.WithDefaults()
	if a.Partition == "" {
		a.Partition = defaultPartition
	}
	if err := a.validate(); err != nil {
		return nil, fmt.Errorf("creating the node groups %s: %w", name, err)
	}
	component := &NodeGroups{}
	if err := ctx.RegisterComponentResource(nodeGroupsToken, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering the node groups %s: %w", name, err)
	}
	var policies []pulumi.Resource
	if a.NodeRoleARN == nil {
		role, attached, err := newNodeRole(ctx, name+"-node", a.Partition, append(slices.Clone(nodePolicies), "AmazonEKS_CNI_Policy"), a.Tags,
			pulumi.Parent(component))
		if err != nil {
			return nil, err
		}
		a.NodeRoleARN, policies = role.Arn, attached
	}
	if err := component.newSpot(ctx, name, &a, policies); err != nil {
		return nil, err
	}
	if err := component.newOnDemand(ctx, name, &a, policies); err != nil {
		return nil, err
	}
	err := ctx.RegisterResourceOutputs(component, pulumi.Map{"onDemand": component.OnDemand.NodeGroupName})
	return component, err
}

// newSpot makes one group per zone. A volume is bound to its zone, so each zone must be able to get a node back on its own; a group
// over several zones may get it in another.
func (n *NodeGroups) newSpot(ctx *pulumi.Context, name string, args *NodeGroupsArgs, policies []pulumi.Resource) error {
	template, err := n.newTemplate(ctx, name+"-spot", args, args.Spot.DiskSizeGiB)
	if err != nil {
		return err
	}
	for _, subnet := range args.Subnets {
		group := nodeGroup{
			SpotSettings: args.Spot, name: name + "-spot-" + zoneSuffix(subnet.Zone), capacity: "SPOT", lifecycle: placement.SpotLabelValue,
			subnets: []Subnet{subnet}, template: template,
			taints: awseks.NodeGroupTaintArray{&awseks.NodeGroupTaintArgs{
				Key: pulumi.String(placement.SpotTaint), Value: pulumi.String(placement.SpotTaintValue), Effect: pulumi.String("NO_SCHEDULE"),
			}},
		}
		created, err := n.newGroup(ctx, group, args, policies)
		if err != nil {
			return err
		}
		n.Spot = append(n.Spot, created)
		for _, tag := range []scaleTag{
			{"label", "label/" + placement.SpotLabel, placement.SpotLabelValue},
			{"taint", "taint/" + placement.SpotTaint, placement.SpotTaintValue + ":NoSchedule"},
			{"zone", "label/topology.kubernetes.io/zone", subnet.Zone},
			{"volume-zone", "label/topology.ebs.csi.aws.com/zone", subnet.Zone},
		} {
			if err := n.newScaleTag(ctx, group.name, created, tag); err != nil {
				return err
			}
		}
	}
	return nil
}

// newOnDemand makes the group that nothing is reclaimed from.
func (n *NodeGroups) newOnDemand(ctx *pulumi.Context, name string, args *NodeGroupsArgs, policies []pulumi.Resource) error {
	template, err := n.newTemplate(ctx, name+"-on-demand", args, args.OnDemand.DiskSizeGiB)
	if err != nil {
		return err
	}
	group := nodeGroup{
		SpotSettings: SpotSettings(args.OnDemand), name: name + "-on-demand", capacity: "ON_DEMAND", lifecycle: placement.OnDemandLabelValue,
		subnets: args.Subnets, template: template,
	}
	if n.OnDemand, err = n.newGroup(ctx, group, args, policies); err != nil {
		return err
	}
	return n.newScaleTag(ctx, group.name, n.OnDemand, scaleTag{"label", "label/" + placement.SpotLabel, placement.OnDemandLabelValue})
}

// newTemplate makes the launch template of one kind of group. Each kind has its own even where they do not differ: a group that changes
// to another template is replaced, one that gets a new version of its template is not.
func (n *NodeGroups) newTemplate(ctx *pulumi.Context, name string, args *NodeGroupsArgs, diskSizeGiB int) (*ec2.LaunchTemplate, error) {
	tags := map[string]string{"Name": args.Name}
	maps.Copy(tags, args.Tags)
	var specifications ec2.LaunchTemplateTagSpecificationArray
	for _, kind := range []string{"instance", "volume"} {
		specifications = append(specifications, &ec2.LaunchTemplateTagSpecificationArgs{
			ResourceType: pulumi.String(kind), Tags: pulumi.ToStringMap(tags),
		})
	}
	template, err := ec2.NewLaunchTemplate(ctx, name, &ec2.LaunchTemplateArgs{
		Description:          pulumi.String("Nodes of the EKS cluster " + args.Name),
		UpdateDefaultVersion: pulumi.Bool(true),
		BlockDeviceMappings: ec2.LaunchTemplateBlockDeviceMappingArray{&ec2.LaunchTemplateBlockDeviceMappingArgs{
			DeviceName: pulumi.String("/dev/xvda"), // the root device of AL2023
			Ebs: &ec2.LaunchTemplateBlockDeviceMappingEbsArgs{
				VolumeType: pulumi.String("gp3"), VolumeSize: pulumi.Int(diskSizeGiB),
				Encrypted: pulumi.String("true"), DeleteOnTermination: pulumi.String("true"),
			},
		}},
		// One hop: the node itself reaches the metadata, a pod does not, so that no pod gets the node's role.
		MetadataOptions: &ec2.LaunchTemplateMetadataOptionsArgs{
			HttpEndpoint: pulumi.String("enabled"), HttpTokens: pulumi.String("required"), HttpPutResponseHopLimit: pulumi.Int(1),
			InstanceMetadataTags: pulumi.String("disabled"),
		},
		TagSpecifications: specifications,
		Tags:              optionalMap(args.Tags),
	}, pulumi.Parent(n))
	if err != nil {
		return nil, fmt.Errorf("creating the launch template %s: %w", name, err)
	}
	return template, nil
}

// nodeGroup is what tells one group from another.
type nodeGroup struct {
	SpotSettings // or the on-demand group's, which are alike

	name      string
	capacity  string
	lifecycle string // value of the label placement.SpotLabel
	subnets   []Subnet
	taints    awseks.NodeGroupTaintArray
	template  *ec2.LaunchTemplate
}

var amiTypes = map[string]string{"x86_64": "AL2023_x86_64_STANDARD", "arm64": "AL2023_ARM_64_STANDARD"}

// newGroup creates a group. Pulumi adds a random part to its name in AWS, so that a replacement can be there before the old one goes.
func (n *NodeGroups) newGroup(ctx *pulumi.Context, group nodeGroup, args *NodeGroupsArgs, policies []pulumi.Resource,
) (*awseks.NodeGroup, error) {
	subnets := pulumi.StringArray{}
	for _, subnet := range group.subnets {
		subnets = append(subnets, subnet.ID)
	}
	settings := &awseks.NodeGroupArgs{
		ClusterName:   args.ClusterName,
		NodeRoleArn:   args.NodeRoleARN,
		SubnetIds:     subnets,
		Version:       optionalString(args.Version),
		AmiType:       pulumi.String(amiTypes[args.Architecture]),
		CapacityType:  pulumi.String(group.capacity),
		InstanceTypes: pulumi.ToStringArray(group.InstanceTypes),
		Labels:        pulumi.StringMap{placement.SpotLabel: pulumi.String(group.lifecycle)},
		LaunchTemplate: &awseks.NodeGroupLaunchTemplateArgs{
			Id: group.template.ID().ToStringOutput(), Version: pulumi.Sprintf("%d", group.template.LatestVersion),
		},
		ScalingConfig: &awseks.NodeGroupScalingConfigArgs{
			MinSize: pulumi.Int(group.MinSize), MaxSize: pulumi.Int(group.MaxSize), DesiredSize: pulumi.Int(group.DesiredSize),
		},
		UpdateConfig:     &awseks.NodeGroupUpdateConfigArgs{MaxUnavailablePercentage: pulumi.Int(33)},
		NodeRepairConfig: &awseks.NodeGroupNodeRepairConfigArgs{Enabled: pulumi.Bool(true)},
		Tags:             optionalMap(args.Tags),
	}
	if group.taints != nil {
		settings.Taints = group.taints
	}
	created, err := awseks.NewNodeGroup(ctx, group.name, settings, pulumi.Parent(n), pulumi.DependsOn(policies),
		// The autoscaler's, once the group is there.
		pulumi.IgnoreChanges([]string{"scalingConfig.desiredSize"}))
	if err != nil {
		return nil, fmt.Errorf("creating the node group %s: %w", group.name, err)
	}
	return created, nil
}

// scaleTag tells cluster-autoscaler something about the nodes of a group.
type scaleTag struct{ suffix, key, value string }

// newScaleTag tags the auto scaling group behind a node group. While a group has no node, these tags are all that cluster-autoscaler
// knows about the nodes that it would get: without them it does not scale up from zero for a pod with a toleration, an affinity or a
// volume in that zone. The tags of a node group do not reach its auto scaling group.
func (n *NodeGroups) newScaleTag(ctx *pulumi.Context, name string, group *awseks.NodeGroup, tag scaleTag) error {
	scalingGroup := group.Resources.ApplyT(func(resources []awseks.NodeGroupResource) (string, error) {
		for _, one := range resources {
			for _, scalingGroup := range one.AutoscalingGroups {
				if scalingGroup.Name != nil {
					return *scalingGroup.Name, nil
				}
			}
		}
		return "", fmt.Errorf("reading the node group %s: it has no auto scaling group", name)
	}).(pulumi.StringOutput)
	_, err := autoscaling.NewTag(ctx, name+"-"+tag.suffix, &autoscaling.TagArgs{
		AutoscalingGroupName: scalingGroup,
		Tag: &autoscaling.TagTagArgs{
			Key:   pulumi.String("k8s.io/cluster-autoscaler/node-template/" + tag.key),
			Value: pulumi.String(tag.value), PropagateAtLaunch: pulumi.Bool(false),
		},
	}, pulumi.Parent(n))
	if err != nil {
		return fmt.Errorf("tagging the auto scaling group of %s: %w", name, err)
	}
	return nil
}
