package infra_test

import (
	"maps"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/infra"
	"github.com/kansoku/kansoku/internal/mocks"
)

const nodesURN = "urn:pulumi:test::kansoku::kansoku:infra:NodeGroups::nodes"

func nodesSettings() infra.NodesSettings {
	return infra.NodesSettings{
		Spot: infra.SpotSettings{
			InstanceTypes: []string{"m6i.large", "m6a.large", "m5.large", "m7i-flex.large"}, MinSize: 1, MaxSize: 5, DesiredSize: 2, DiskSizeGiB: 80,
		},
		OnDemand: infra.OnDemandSettings{InstanceTypes: []string{"t3.medium"}, MinSize: 2, MaxSize: 3},
	}
}

func newNodesArgs() *infra.NodeGroupsArgs {
	return &infra.NodeGroupsArgs{
		NodesSettings: nodesSettings(), ClusterName: pulumi.String("demo"), Name: "demo", NodeRoleARN: pulumi.String("arn:aws:iam::1:role/node"),
		Version: "1.36", Subnets: twoSubnets(), Tags: map[string]string{"team": "infra"},
	}
}

func runNodes(t *testing.T, args *infra.NodeGroupsArgs) *mocks.Recorder {
	t.Helper()
	r := &mocks.Recorder{Outputs: map[string]func(mocks.Resource) map[string]any{
		"aws:ec2/launchTemplate:LaunchTemplate": func(mocks.Resource) map[string]any { return map[string]any{"latestVersion": 3} },
	}}
	r.Run(t, func(ctx *pulumi.Context) error {
		groups, err := infra.NewNodeGroups(ctx, "nodes", args)
		if err != nil {
			return err
		}
		assert.Len(t, groups.Spot, len(args.Subnets))
		assert.NotNil(t, groups.OnDemand)
		return nil
	})
	return r
}

func TestSpotGroupsPerZoneAndOneOnDemand(t *testing.T) {
	t.Parallel()
	r := runNodes(t, newNodesArgs())
	require.Len(t, r.OfType("aws:eks/nodeGroup:NodeGroup"), 3)
	require.Len(t, r.OfType("aws:ec2/launchTemplate:LaunchTemplate"), 2)
	assert.Empty(t, r.OfType("aws:iam/role:Role"), "the role is given")

	common := func(more map[string]any) map[string]any {
		all := map[string]any{
			"clusterName":      "demo",
			"nodeRoleArn":      "arn:aws:iam::1:role/node",
			"version":          "1.36",
			"amiType":          "AL2023_x86_64_STANDARD",
			"updateConfig":     map[string]any{"maxUnavailablePercentage": 33.0},
			"nodeRepairConfig": map[string]any{"enabled": true},
			"tags":             map[string]any{"team": "infra"},
		}
		maps.Copy(all, more)
		return all
	}
	for zone, subnet := range map[string]string{"a": "subnet-a", "c": "subnet-c"} {
		spot := r.Get(t, "aws:eks/nodeGroup:NodeGroup", "nodes-spot-"+zone)
		assert.Equal(t, nodesURN, spot.Parent)
		assert.Equal(t, []string{"scalingConfig.desiredSize"}, spot.Ignore)
		assert.Equal(t, common(map[string]any{
			"subnetIds":      []any{subnet},
			"capacityType":   "SPOT",
			"instanceTypes":  []any{"m6i.large", "m6a.large", "m5.large", "m7i-flex.large"},
			"labels":         map[string]any{"lifecycle": "Ec2Spot"},
			"taints":         []any{map[string]any{"key": "spotInstance", "value": "true", "effect": "NO_SCHEDULE"}},
			"scalingConfig":  map[string]any{"minSize": 1.0, "maxSize": 5.0, "desiredSize": 2.0},
			"launchTemplate": map[string]any{"id": "nodes-spot-id", "version": "3"},
		}), spot.Inputs)
	}
	onDemand := r.Get(t, "aws:eks/nodeGroup:NodeGroup", "nodes-on-demand")
	assert.Equal(t, nodesURN, onDemand.Parent)
	assert.Equal(t, []string{"scalingConfig.desiredSize"}, onDemand.Ignore)
	assert.Equal(t, common(map[string]any{
		"subnetIds":      []any{"subnet-a", "subnet-c"},
		"capacityType":   "ON_DEMAND",
		"instanceTypes":  []any{"t3.medium"},
		"labels":         map[string]any{"lifecycle": "OnDemand"},
		"scalingConfig":  map[string]any{"minSize": 2.0, "maxSize": 3.0, "desiredSize": 2.0},
		"launchTemplate": map[string]any{"id": "nodes-on-demand-id", "version": "3"},
	}), onDemand.Inputs)
}

func TestLaunchTemplates(t *testing.T) {
	t.Parallel()
	r := runNodes(t, newNodesArgs())
	for name, size := range map[string]float64{"nodes-spot": 80, "nodes-on-demand": 50} {
		template := r.Get(t, "aws:ec2/launchTemplate:LaunchTemplate", name)
		assert.Equal(t, nodesURN, template.Parent)
		tags := map[string]any{"team": "infra", "Name": "demo"}
		assert.Equal(t, map[string]any{
			"description":          "Nodes of the EKS cluster demo",
			"updateDefaultVersion": true,
			"blockDeviceMappings": []any{map[string]any{
				"deviceName": "/dev/xvda",
				"ebs":        map[string]any{"volumeType": "gp3", "volumeSize": size, "encrypted": "true", "deleteOnTermination": "true"},
			}},
			"metadataOptions": map[string]any{
				"httpEndpoint": "enabled", "httpTokens": "required", "httpPutResponseHopLimit": 1.0, "instanceMetadataTags": "disabled",
			},
			"tagSpecifications": []any{
				map[string]any{"resourceType": "instance", "tags": tags},
				map[string]any{"resourceType": "volume", "tags": tags},
			},
			"tags": map[string]any{"team": "infra"},
		}, template.Inputs)
	}
}

func TestScaleFromZeroTags(t *testing.T) {
	t.Parallel()
	r := runNodes(t, newNodesArgs())
	const prefix = "k8s.io/cluster-autoscaler/node-template/"
	want := map[string][3]string{"nodes-on-demand-label": {"eks-nodes-on-demand", prefix + "label/lifecycle", "OnDemand"}}
	for group, zone := range map[string]string{"nodes-spot-a": "ap-northeast-1a", "nodes-spot-c": "ap-northeast-1c"} {
		want[group+"-label"] = [3]string{"eks-" + group, prefix + "label/lifecycle", "Ec2Spot"}
		want[group+"-taint"] = [3]string{"eks-" + group, prefix + "taint/spotInstance", "true:NoSchedule"}
		want[group+"-zone"] = [3]string{"eks-" + group, prefix + "label/topology.kubernetes.io/zone", zone}
		want[group+"-volume-zone"] = [3]string{"eks-" + group, prefix + "label/topology.ebs.csi.aws.com/zone", zone}
	}
	tags := r.OfType("aws:autoscaling/tag:Tag")
	require.Len(t, tags, len(want))
	for _, tag := range tags {
		assert.Equal(t, nodesURN, tag.Parent)
		assert.Equal(t, map[string]any{
			"autoscalingGroupName": want[tag.Name][0],
			"tag":                  map[string]any{"key": want[tag.Name][1], "value": want[tag.Name][2], "propagateAtLaunch": false},
		}, tag.Inputs)
	}
}

func TestNodesOfAClusterThatIsNotOurs(t *testing.T) {
	t.Parallel()
	args := newNodesArgs()
	args.NodeRoleARN, args.Version, args.Tags = nil, "", nil
	args.Architecture = "arm64"
	args.Spot.InstanceTypes = []string{"m7g.large", "c6gn.large", "r8gd.large", "t4g.large"}
	args.OnDemand.InstanceTypes = []string{"a1.large"}
	r := runNodes(t, args)

	role := r.Get(t, "aws:iam/role:Role", "nodes-node")
	assert.Equal(t, nodesURN, role.Parent)
	var policies []any
	for _, attachment := range r.OfType("aws:iam/rolePolicyAttachment:RolePolicyAttachment") {
		policies = append(policies, attachment.Field("policyArn"))
	}
	assert.ElementsMatch(t, []any{
		"arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy",
		"arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly",
		"arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy",
	}, policies)
	for _, group := range r.OfType("aws:eks/nodeGroup:NodeGroup") {
		assert.Equal(t, "arn:aws:nodes-node", group.Field("nodeRoleArn"))
		assert.Equal(t, "AL2023_ARM_64_STANDARD", group.Field("amiType"))
		assert.NotContains(t, group.Inputs, "version")
		assert.NotContains(t, group.Inputs, "tags")
		assert.Contains(t, group.Depends, "urn:pulumi:test::kansoku::kansoku:infra:NodeGroups$"+
			"aws:iam/rolePolicyAttachment:RolePolicyAttachment::nodes-node-AmazonEKS_CNI_Policy")
	}
	template := r.Get(t, "aws:ec2/launchTemplate:LaunchTemplate", "nodes-spot")
	assert.Equal(t, map[string]any{"Name": "demo"}, template.Field("tagSpecifications", 0, "tags"))
}

func TestNodesDefaults(t *testing.T) {
	t.Parallel()
	full := infra.NodesSettings{Spot: infra.SpotSettings{MinSize: 3}}.WithDefaults()
	assert.Equal(t, infra.NodesSettings{
		Architecture: "x86_64",
		Spot:         infra.SpotSettings{MinSize: 3, DesiredSize: 3, DiskSizeGiB: 50},
		OnDemand:     infra.OnDemandSettings{DesiredSize: 1, DiskSizeGiB: 50},
	}, full)
	assert.Equal(t, full, full.WithDefaults())
}

func TestNodesThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*infra.NodesSettings)
		want   string
	}{
		"architecture": {
			func(s *infra.NodesSettings) {
				s.Architecture = "riscv"
				s.Spot.InstanceTypes, s.OnDemand.InstanceTypes = nil, nil
			},
			`architecture: must be one of x86_64, arm64, got "riscv"
spot.instanceTypes: must be at least 4 instance types, got null
onDemand.instanceTypes: must be at least 1 instance type, got null`,
		},
		"too few types": {
			func(s *infra.NodesSettings) { s.Spot.InstanceTypes = s.Spot.InstanceTypes[:3] },
			`spot.instanceTypes: must be at least 4 instance types, got ["m6i.large","m6a.large","m5.large"]`,
		},
		"one type twice": {
			func(s *infra.NodesSettings) {
				s.Spot.InstanceTypes = []string{"m6i.large", "m6a.large", "m5.large", "m5.large"}
			},
			`spot.instanceTypes[3]: must be named once, got "m5.large"`,
		},
		"two sizes": {
			func(s *infra.NodesSettings) {
				s.Spot.InstanceTypes = []string{"m6i.large", "m6a.large", "m5.large", "m5.xlarge"}
			},
			`spot.instanceTypes: must be of one size: the autoscaler takes all nodes of a group for the same, ` +
				`got ["m6i.large","m6a.large","m5.large","m5.xlarge"]`,
		},
		"another architecture, and no type at all": {
			func(s *infra.NodesSettings) {
				s.Spot.InstanceTypes = []string{"m6i.large", "m7g.large", "im4gn.large", "g4dn.large", "large"}
				s.OnDemand.InstanceTypes = []string{"a1.medium", "gr6.large", "x2gd.medium"}
			},
			`spot.instanceTypes[1]: must be of architecture x86_64, got "m7g.large"
spot.instanceTypes[2]: must be of architecture x86_64, got "im4gn.large"
spot.instanceTypes[4]: must be an instance type such as "m6i.large", got "large"
onDemand.instanceTypes[0]: must be of architecture x86_64, got "a1.medium"
onDemand.instanceTypes[2]: must be of architecture x86_64, got "x2gd.medium"`,
		},
		"x86 among arm": {
			func(s *infra.NodesSettings) {
				s.Architecture = "arm64"
				s.Spot.InstanceTypes = []string{"m7g.large", "c7gn.large", "r6g.large", "m7i-flex.large"}
				s.OnDemand.InstanceTypes = []string{"t4g.medium"}
			},
			`spot.instanceTypes[3]: must be of architecture arm64, got "m7i-flex.large"`,
		},
		"sizes": {
			func(s *infra.NodesSettings) {
				s.Spot.MinSize, s.Spot.DesiredSize, s.Spot.MaxSize = -1, 6, 5
				s.OnDemand.MinSize, s.OnDemand.DesiredSize, s.OnDemand.MaxSize = 0, 0, 0
			},
			`spot.minSize: must be at least 0, got -1
spot.desiredSize: must be between minSize, -1, and maxSize, 5, got 6
onDemand.maxSize: must be at least 1, got 0
onDemand.desiredSize: must be between minSize, 0, and maxSize, 0, got 1`,
		},
		"disks": {
			func(s *infra.NodesSettings) { s.Spot.DiskSizeGiB, s.OnDemand.DiskSizeGiB = 19, 16385 },
			`spot.diskSizeGiB: must be between 20 and 16384, got 19
onDemand.diskSizeGiB: must be between 20 and 16384, got 16385`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings := nodesSettings()
			tc.change(&settings)
			require.EqualError(t, settings.WithDefaults().Validate(), tc.want)
		})
	}
}

func TestNodeGroupsArgsThatAreRefused(t *testing.T) {
	t.Parallel()
	twice := append(twoSubnets(), twoSubnets()[0])
	for name, tc := range map[string]struct {
		args *infra.NodeGroupsArgs
		want string
	}{
		"none": {nil, "creating the node groups nodes: args: must be given"},
		"empty": {
			&infra.NodeGroupsArgs{NodesSettings: nodesSettings(), Version: "latest"},
			`creating the node groups nodes: clusterName: must be given, got null
name: must be given, got ""
version: must be a minor version of Kubernetes such as "1.36", got "latest"
subnets: must be given, got 0`,
		},
		"two subnets in a zone": {
			&infra.NodeGroupsArgs{NodesSettings: nodesSettings(), ClusterName: pulumi.String("demo"), Name: "demo", Subnets: twice},
			`creating the node groups nodes: subnets: must be one per zone, and their zones end differently from ap-northeast-1a, ` +
				`got "ap-northeast-1a"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &mocks.Recorder{}
			require.NoError(t, r.RunErr(func(ctx *pulumi.Context) error {
				_, err := infra.NewNodeGroups(ctx, "nodes", tc.args)
				require.EqualError(t, err, tc.want)
				return nil
			}))
			assert.Empty(t, r.All())
		})
	}
}
