package infra_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/infra"
	"github.com/kansoku/kansoku/internal/mocks"
)

const (
	zoneA = "ap-northeast-1a"
	zoneC = "ap-northeast-1c"
	zoneD = "ap-northeast-1d"
)

// typesOf counts what was registered, by type.
func typesOf(r *mocks.Recorder) map[string]int {
	counts := map[string]int{}
	for _, one := range r.All() {
		counts[one.Type]++
	}
	return counts
}

// waitsFor lists what a resource depends on as "type::name", sorted.
func waitsFor(one mocks.Resource) []string {
	found := []string{}
	for _, urn := range one.Depends {
		parts := strings.Split(urn, "::")
		types := strings.Split(parts[2], "$")
		found = append(found, types[len(types)-1]+"::"+parts[3])
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// requireChildren fails unless every custom resource descends from that component.
func requireChildren(t *testing.T, r *mocks.Recorder, component string) {
	t.Helper()
	for _, one := range r.All() {
		if one.Custom {
			assert.Equal(t, "urn:pulumi:test::kansoku::"+component, one.Parent, "parent of %s %s", one.Type, one.Name)
			assert.Empty(t, one.Provider, "provider of %s %s", one.Type, one.Name)
		}
	}
}

// runNetwork builds a network and returns what it registered, and its subnets by "kind zone".
func runNetwork(t *testing.T, args *infra.NetworkArgs) (*mocks.Recorder, *infra.Network, map[string]string) {
	t.Helper()
	r := &mocks.Recorder{}
	var network *infra.Network
	ids := map[string]string{}
	r.Run(t, func(ctx *pulumi.Context) (err error) {
		network, err = infra.NewNetwork(ctx, "network", args)
		if err != nil {
			return err
		}
		all := []any{network.VPCID, network.CIDR}
		keys := []string{"vpc", "cidr"}
		for _, subnet := range network.PrivateSubnets {
			all, keys = append(all, subnet.ID), append(keys, "private "+subnet.Zone)
		}
		for _, subnet := range network.PublicSubnets {
			all, keys = append(all, subnet.ID), append(keys, "public "+subnet.Zone)
		}
		ctx.Export("all", pulumi.All(all...).ApplyT(func(known []any) string {
			for i, key := range keys {
				ids[key] = known[i].(string)
			}
			return ""
		}))
		return nil
	})
	return r, network, ids
}

func newNetworkArgs(nat string) *infra.NetworkArgs {
	return &infra.NetworkArgs{
		NetworkSettings: infra.NetworkSettings{CIDR: "10.20.0.0/16", Zones: []string{zoneC, zoneA, zoneD}, NAT: nat},
		Region:          "ap-northeast-1", ClusterName: "kansoku-test",
	}
}

func TestNetworkPerZone(t *testing.T) {
	t.Parallel()
	r, network, ids := runNetwork(t, newNetworkArgs(infra.NATPerZone))

	assert.Equal(t, map[string]int{
		"kansoku:infra:Network": 1,
		"aws:ec2/vpc:Vpc":       1,
		"aws:ec2/defaultSecurityGroup:DefaultSecurityGroup":   1,
		"aws:ec2/internetGateway:InternetGateway":             1,
		"aws:ec2/subnet:Subnet":                               6,
		"aws:ec2/eip:Eip":                                     3,
		"aws:ec2/natGateway:NatGateway":                       3,
		"aws:ec2/routeTable:RouteTable":                       4,
		"aws:ec2/route:Route":                                 4,
		"aws:ec2/routeTableAssociation:RouteTableAssociation": 6,
		"aws:ec2/vpcEndpoint:VpcEndpoint":                     2,
	}, typesOf(r))
	requireChildren(t, r, "kansoku:infra:Network::network")
	assert.Equal(t, map[string]string{
		"vpc": "network-id", "cidr": "10.20.0.0/16",
		"private " + zoneA: "network-private-" + zoneA + "-id", "public " + zoneA: "network-public-" + zoneA + "-id",
		"private " + zoneC: "network-private-" + zoneC + "-id", "public " + zoneC: "network-public-" + zoneC + "-id",
		"private " + zoneD: "network-private-" + zoneD + "-id", "public " + zoneD: "network-public-" + zoneD + "-id",
	}, ids)
	for i, zone := range []string{zoneA, zoneC, zoneD} {
		assert.Equal(t, zone, network.PrivateSubnets[i].Zone)
		assert.Equal(t, zone, network.PublicSubnets[i].Zone)
		nat := r.Get(t, "aws:ec2/natGateway:NatGateway", "network-nat-"+zone)
		assert.Equal(t, "network-public-"+zone+"-id", nat.Inputs["subnetId"])
		assert.Equal(t, "network-nat-"+zone+"-id", nat.Inputs["allocationId"])
		assert.Equal(t, "network-nat-"+zone+"-id", r.Get(t, "aws:ec2/route:Route", "network-private-"+zone).Inputs["natGatewayId"])
	}
	assert.Len(t, network.Egress, 8) // per zone a route and an association, two endpoints
}

func TestNetworkInputs(t *testing.T) {
	t.Parallel()
	r, _, _ := runNetwork(t, newNetworkArgs(infra.NATPerZone))

	assert.Equal(t, map[string]any{
		"cidrBlock": "10.20.0.0/16", "enableDnsHostnames": true, "enableDnsSupport": true, "tags": map[string]any{"Name": "network"},
	}, r.Get(t, "aws:ec2/vpc:Vpc", "network").Inputs)
	assert.Equal(t, map[string]any{"vpcId": "network-id", "tags": map[string]any{"Name": "network-default"}},
		r.Get(t, "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", "network-default").Inputs)
	assert.Equal(t, map[string]any{"vpcId": "network-id", "tags": map[string]any{"Name": "network-internet"}},
		r.Get(t, "aws:ec2/internetGateway:InternetGateway", "network-internet").Inputs)
	for name, want := range map[string][3]string{
		"network-private-" + zoneA: {zoneA, "10.20.0.0/19", "internal-elb"},
		"network-private-" + zoneC: {zoneC, "10.20.64.0/19", "internal-elb"},
		"network-private-" + zoneD: {zoneD, "10.20.96.0/19", "internal-elb"},
		"network-public-" + zoneA:  {zoneA, "10.20.192.0/21", "elb"},
		"network-public-" + zoneC:  {zoneC, "10.20.208.0/21", "elb"},
		"network-public-" + zoneD:  {zoneD, "10.20.216.0/21", "elb"},
	} {
		assert.Equal(t, map[string]any{
			"vpcId": "network-id", "availabilityZone": want[0], "cidrBlock": want[1], "tags": map[string]any{
				"Name": name, "kubernetes.io/role/" + want[2]: "1", "kubernetes.io/cluster/kansoku-test": "shared",
			},
		}, r.Get(t, "aws:ec2/subnet:Subnet", name).Inputs)
	}
	assert.Equal(t, map[string]any{"domain": "vpc", "tags": map[string]any{"Name": "network-nat-" + zoneD}},
		r.Get(t, "aws:ec2/eip:Eip", "network-nat-"+zoneD).Inputs)
	assert.Equal(t, map[string]any{"vpcId": "network-id", "tags": map[string]any{"Name": "network-public"}},
		r.Get(t, "aws:ec2/routeTable:RouteTable", "network-public").Inputs)
	assert.Equal(t, map[string]any{
		"routeTableId": "network-public-id", "destinationCidrBlock": "0.0.0.0/0", "gatewayId": "network-internet-id",
	}, r.Get(t, "aws:ec2/route:Route", "network-public").Inputs)
	assert.Equal(t, map[string]any{
		"routeTableId": "network-private-" + zoneC + "-id", "destinationCidrBlock": "0.0.0.0/0", "natGatewayId": "network-nat-" + zoneC + "-id",
	}, r.Get(t, "aws:ec2/route:Route", "network-private-"+zoneC).Inputs)
	const association = "aws:ec2/routeTableAssociation:RouteTableAssociation"
	assert.Equal(t, map[string]any{"routeTableId": "network-public-id", "subnetId": "network-public-" + zoneC + "-id"},
		r.Get(t, association, "network-public-"+zoneC).Inputs)
	assert.Equal(t, map[string]any{"routeTableId": "network-private-" + zoneC + "-id", "subnetId": "network-private-" + zoneC + "-id"},
		r.Get(t, association, "network-private-"+zoneC).Inputs)
	for _, service := range []string{"s3", "dynamodb"} {
		assert.Equal(t, map[string]any{
			"vpcId": "network-id", "vpcEndpointType": "Gateway", "serviceName": "com.amazonaws.ap-northeast-1." + service,
			"routeTableIds": []any{"network-private-" + zoneA + "-id", "network-private-" + zoneC + "-id", "network-private-" + zoneD + "-id"},
			"tags":          map[string]any{"Name": "network-" + service},
		}, r.Get(t, "aws:ec2/vpcEndpoint:VpcEndpoint", "network-"+service).Inputs)
	}
}

func TestNetworkWaitsForNothingThatItNeedNot(t *testing.T) {
	t.Parallel()
	r, _, _ := runNetwork(t, newNetworkArgs(infra.NATPerZone))
	const vpc = "aws:ec2/vpc:Vpc::network"
	for _, want := range []struct {
		token, name string
		waits       []string
	}{
		{"aws:ec2/vpc:Vpc", "network", []string{}},
		{"aws:ec2/eip:Eip", "network-nat-" + zoneA, []string{}},
		{"aws:ec2/subnet:Subnet", "network-private-" + zoneA, []string{vpc}},
		{"aws:ec2/subnet:Subnet", "network-public-" + zoneA, []string{vpc}},
		{"aws:ec2/internetGateway:InternetGateway", "network-internet", []string{vpc}},
		{"aws:ec2/routeTable:RouteTable", "network-private-" + zoneA, []string{vpc}},
		{"aws:ec2/routeTableAssociation:RouteTableAssociation", "network-private-" + zoneA, []string{
			"aws:ec2/routeTable:RouteTable::network-private-" + zoneA, "aws:ec2/subnet:Subnet::network-private-" + zoneA,
		}},
		{"aws:ec2/natGateway:NatGateway", "network-nat-" + zoneA, []string{
			"aws:ec2/eip:Eip::network-nat-" + zoneA, "aws:ec2/internetGateway:InternetGateway::network-internet",
			"aws:ec2/subnet:Subnet::network-public-" + zoneA,
		}},
		{"aws:ec2/route:Route", "network-private-" + zoneA, []string{
			"aws:ec2/natGateway:NatGateway::network-nat-" + zoneA, "aws:ec2/routeTable:RouteTable::network-private-" + zoneA,
		}},
		{"aws:ec2/vpcEndpoint:VpcEndpoint", "network-s3", []string{
			"aws:ec2/routeTable:RouteTable::network-private-" + zoneA, "aws:ec2/routeTable:RouteTable::network-private-" + zoneC,
			"aws:ec2/routeTable:RouteTable::network-private-" + zoneD, vpc,
		}},
	} {
		assert.Equal(t, want.waits, waitsFor(r.Get(t, want.token, want.name)), "%s %s", want.token, want.name)
	}
}

func TestSingleNATStandsInTheFirstZoneListed(t *testing.T) {
	t.Parallel()
	args := newNetworkArgs("") // single by default
	r, _, _ := runNetwork(t, args)

	require.Len(t, r.OfType("aws:ec2/natGateway:NatGateway"), 1)
	require.Len(t, r.OfType("aws:ec2/eip:Eip"), 1)
	assert.Equal(t, "network-public-"+zoneC+"-id", r.Get(t, "aws:ec2/natGateway:NatGateway", "network-nat-"+zoneC).Inputs["subnetId"])
	for _, zone := range args.Zones {
		assert.Equal(t, "network-nat-"+zoneC+"-id", r.Get(t, "aws:ec2/route:Route", "network-private-"+zone).Inputs["natGatewayId"])
	}
}

func TestNetworkWithoutClusterTagsNone(t *testing.T) {
	t.Parallel()
	args := newNetworkArgs("")
	args.ClusterName, args.Region = "", ""
	r, _, _ := runNetwork(t, args)
	assert.Equal(t, map[string]any{"Name": "network-public-" + zoneA, "kubernetes.io/role/elb": "1"},
		r.Get(t, "aws:ec2/subnet:Subnet", "network-public-"+zoneA).Inputs["tags"])
}

func TestZonesComeAndGoWithoutMovingOthers(t *testing.T) {
	t.Parallel()
	subnets := func(zones ...string) map[string]any {
		r, _, _ := runNetwork(t, &infra.NetworkArgs{NetworkSettings: infra.NetworkSettings{Zones: zones}})
		found := map[string]any{}
		for _, one := range r.OfType("aws:ec2/subnet:Subnet") {
			found[one.Name] = one.Inputs["cidrBlock"]
		}
		return found
	}
	before, more, less := subnets(zoneC, zoneD), subnets(zoneC, zoneD, zoneA), subnets(zoneD, zoneA)
	require.Len(t, more, 6)
	assert.Subset(t, more, before)
	assert.Subset(t, more, less)
}

const (
	vpcID     = "vpc-0123456789abcdef0"
	privateA  = "subnet-0123456789abcdefa"
	privateC  = "subnet-0123456789abcdefc"
	publicA   = "subnet-0123456789abcde0a"
	subnetTyp = "aws:ec2/subnet:Subnet"
)

func existingNetwork() *infra.ExistingNetwork {
	return &infra.ExistingNetwork{
		VPCID: vpcID, PrivateSubnets: map[string]string{zoneC: privateC, zoneA: privateA}, PublicSubnets: map[string]string{zoneA: publicA},
	}
}

// awsKnows answers reads as AWS would: with the subnet's zone and VPC.
func awsKnows(zones map[string]string) map[string]func(mocks.Resource) map[string]any {
	return map[string]func(mocks.Resource) map[string]any{
		"aws:ec2/vpc:Vpc": func(mocks.Resource) map[string]any { return map[string]any{"cidrBlock": "172.31.0.0/16"} },
		subnetTyp: func(r mocks.Resource) map[string]any {
			return map[string]any{"availabilityZone": zones[r.Name], "vpcId": vpcID}
		},
	}
}

func TestExistingNetworkIsReadNotCreated(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{Outputs: awsKnows(map[string]string{
		"network-private-" + zoneA: zoneA, "network-private-" + zoneC: zoneC, "network-public-" + zoneA: zoneA,
	})}
	var got []any
	r.Run(t, func(ctx *pulumi.Context) error {
		network, err := infra.NewNetwork(ctx, "network", &infra.NetworkArgs{
			NetworkSettings: infra.NetworkSettings{Existing: existingNetwork()}, Region: "ap-northeast-1", ClusterName: "kansoku",
		})
		if err != nil {
			return err
		}
		assert.Empty(t, network.Egress)
		private, public := network.PrivateSubnets, network.PublicSubnets
		require.Len(t, private, 2)
		require.Len(t, public, 1)
		assert.Equal(t, []string{zoneA, zoneC, zoneA}, []string{private[0].Zone, private[1].Zone, public[0].Zone})
		ctx.Export("all", pulumi.All(network.VPCID, network.CIDR, private[0].ID, private[1].ID, public[0].ID).ApplyT(func(known []any) string {
			got = known
			return ""
		}))
		return nil
	})
	assert.Equal(t, []any{vpcID, "172.31.0.0/16", privateA, privateC, publicA}, got)
	assert.Equal(t, map[string]int{"kansoku:infra:Network": 1, "aws:ec2/vpc:Vpc": 1, subnetTyp: 3}, typesOf(r))
	requireParents(t, r, "kansoku:infra:Network::network", "aws:ec2/vpc:Vpc", subnetTyp)
}

// requireParents is requireChildren for reads, which the mock does not mark as custom.
func requireParents(t *testing.T, r *mocks.Recorder, component string, tokens ...string) {
	t.Helper()
	for _, token := range tokens {
		for _, one := range r.OfType(token) {
			assert.Equal(t, "urn:pulumi:test::kansoku::"+component, one.Parent, "parent of %s %s", one.Type, one.Name)
		}
	}
}

func TestExistingSubnetInAnotherZoneIsRefused(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{Outputs: awsKnows(map[string]string{
		"network-private-" + zoneA: zoneA, "network-private-" + zoneC: zoneD, "network-public-" + zoneA: zoneA,
	})}
	err := r.RunErr(func(ctx *pulumi.Context) error {
		network, err := infra.NewNetwork(ctx, "network", &infra.NetworkArgs{NetworkSettings: infra.NetworkSettings{Existing: existingNetwork()}})
		if err == nil {
			ctx.Export("subnet", network.PrivateSubnets[1].ID)
		}
		return err
	})
	require.ErrorContains(t, err, "checking subnet subnet-0123456789abcdefc: it must be in ap-northeast-1c, and is in ap-northeast-1d")
}

func TestNetworkValidation(t *testing.T) {
	t.Parallel()
	const notIPv4 = `cidr: must be an IPv4 network such as "10.0.0.0/16", got `
	zones := []string{zoneA, zoneC}
	for name, test := range map[string]struct {
		settings infra.NetworkSettings
		want     string // empty: valid
	}{
		"two zones":   {infra.NetworkSettings{Zones: zones}, ""},
		"smallest":    {infra.NetworkSettings{Zones: zones, CIDR: "192.168.4.0/22", NAT: "perZone"}, ""},
		"gov cloud":   {infra.NetworkSettings{Zones: []string{"us-gov-west-1a", "us-gov-west-1b"}}, ""},
		"existing":    {infra.NetworkSettings{Existing: existingNetwork()}, ""},
		"nothing":     {infra.NetworkSettings{}, `zones: must be 2 to 4 zones, or existing must name a VPC, got null`},
		"no CIDR":     {infra.NetworkSettings{Zones: zones, CIDR: "ten"}, notIPv4 + `"ten"`},
		"an address":  {infra.NetworkSettings{Zones: zones, CIDR: "10.0.0.0"}, notIPv4 + `"10.0.0.0"`},
		"IPv6":        {infra.NetworkSettings{Zones: zones, CIDR: "fd00::/16"}, notIPv4 + `"fd00::/16"`},
		"mapped IPv4": {infra.NetworkSettings{Zones: zones, CIDR: "::ffff:10.0.0.0/112"}, notIPv4 + `"::ffff:10.0.0.0/112"`},
		"host bits": {
			infra.NetworkSettings{Zones: zones, CIDR: "10.0.3.1/16"},
			`cidr: must have no host bits set: the network is 10.0.0.0/16, got "10.0.3.1/16"`,
		},
		"too large": {
			infra.NetworkSettings{Zones: zones, CIDR: "10.0.0.0/15"},
			`cidr: must be a /16 to /22: AWS allows no larger VPC, a smaller one runs out of pod addresses, got "10.0.0.0/15"`,
		},
		"too small": {
			infra.NetworkSettings{Zones: zones, CIDR: "10.0.0.0/23"},
			`cidr: must be a /16 to /22: AWS allows no larger VPC, a smaller one runs out of pod addresses, got "10.0.0.0/23"`,
		},
		"one zone": {
			infra.NetworkSettings{Zones: zones[:1]},
			`zones: must be 2 to 4 zones, or existing must name a VPC, got ["ap-northeast-1a"]`,
		},
		"five zones": {
			infra.NetworkSettings{Zones: []string{"us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d", "us-east-1e"}},
			`zones: must be 2 to 4 zones, or existing must name a VPC, got ["us-east-1a","us-east-1b","us-east-1c","us-east-1d","us-east-1e"]`,
		},
		"a zone twice": {infra.NetworkSettings{Zones: []string{zoneA, zoneC, zoneA}}, `zones[2]: must be listed once, got "ap-northeast-1a"`},
		"a region and a local zone": {
			infra.NetworkSettings{Zones: []string{"us-west-2", "us-west-2-lax-1a"}},
			`zones[0]: must be an availability zone such as "ap-northeast-1a", got "us-west-2"
zones[1]: must be an availability zone such as "ap-northeast-1a", got "us-west-2-lax-1a"`,
		},
		"two regions": {
			infra.NetworkSettings{Zones: []string{"ap-northeast-1a", "ap-northeast-2a"}},
			`zones[1]: must be a zone of ap-northeast-1, got "ap-northeast-2a"`,
		},
		"NAT": {infra.NetworkSettings{Zones: zones, NAT: "none"}, `nat: must be one of single, perZone, got "none"`},
		"all at once": {
			infra.NetworkSettings{CIDR: "x", NAT: "y", Zones: []string{"z"}},
			`cidr: must be an IPv4 network such as "10.0.0.0/16", got "x"
nat: must be one of single, perZone, got "y"
zones: must be 2 to 4 zones, or existing must name a VPC, got ["z"]
zones[0]: must be an availability zone such as "ap-northeast-1a", got "z"`,
		},
		"existing beside new": {
			infra.NetworkSettings{CIDR: "10.0.0.0/16", Zones: zones, NAT: "single", Existing: existingNetwork()},
			`cidr: must not be set beside existing, got "10.0.0.0/16"
zones: must not be set beside existing, got ["ap-northeast-1a","ap-northeast-1c"]
nat: must not be set beside existing, got "single"`,
		},
		"existing without subnets": {
			infra.NetworkSettings{Existing: &infra.ExistingNetwork{VPCID: vpcID}},
			`existing.privateSubnets: must hold a subnet for each zone, got null`,
		},
		"existing malformed": {
			infra.NetworkSettings{Existing: &infra.ExistingNetwork{
				VPCID:          "vpc-1",
				PrivateSubnets: map[string]string{zoneA: "subnet-XYZ", "b": privateC, "us-east-1a": publicA},
				PublicSubnets:  map[string]string{zoneA: privateC},
			}},
			`existing.vpcId: must be the id of a VPC, such as "vpc-0123456789abcdef0", got "vpc-1"
existing.privateSubnets.ap-northeast-1a: must be the id of a subnet, such as "subnet-0123456789abcdef0", got "subnet-XYZ"
existing.privateSubnets.b: must be an availability zone such as "ap-northeast-1a", got "b"
existing.privateSubnets.us-east-1a: must be a zone of ap-northeast-1, got "us-east-1a"
existing.publicSubnets.ap-northeast-1a: must be a subnet of its own: existing.privateSubnets.b has it, got "subnet-0123456789abcdefc"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requireInvalid(t, test.settings.WithDefaults().Validate(), test.want)
		})
	}
}

// requireInvalid compares a whole validation error; none is wanted if want is empty.
func requireInvalid(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" {
		require.NoError(t, err)
		return
	}
	require.EqualError(t, err, want)
}

func TestNetworkArgsValidation(t *testing.T) {
	t.Parallel()
	args := infra.NetworkArgs{NetworkSettings: infra.NetworkSettings{Zones: []string{zoneA, zoneC}}.WithDefaults()}
	require.NoError(t, args.Validate())

	args.Region, args.ClusterName = "ap-northeast-10", "-"
	require.EqualError(t, args.Validate(), `region: must be a region such as "ap-northeast-1", got "ap-northeast-10"
clusterName: must be 1 to 100 letters, digits, dashes and underscores, beginning with a letter or digit, got "-"
zones[0]: must be a zone of ap-northeast-10, got "ap-northeast-1a"
zones[1]: must be a zone of ap-northeast-10, got "ap-northeast-1c"`)

	args = infra.NetworkArgs{NetworkSettings: infra.NetworkSettings{Existing: existingNetwork()}, Region: "us-east-1"}
	require.EqualError(t, args.Validate(), `existing.privateSubnets.ap-northeast-1a: must be a zone of us-east-1, got "ap-northeast-1a"
existing.privateSubnets.ap-northeast-1c: must be a zone of us-east-1, got "ap-northeast-1c"
existing.publicSubnets.ap-northeast-1a: must be a zone of us-east-1, got "ap-northeast-1a"`)
}

func TestNetworkRefusesBeforeRegistering(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{}
	err := r.RunErr(func(ctx *pulumi.Context) error {
		_, err := infra.NewNetwork(ctx, "network", nil)
		return err
	})
	require.ErrorContains(t, err, "checking network network: zones: must be 2 to 4 zones, or existing must name a VPC, got null")
	assert.Empty(t, r.All())
}

func TestNetworkDefaults(t *testing.T) {
	t.Parallel()
	given := infra.NetworkSettings{Zones: []string{zoneC, zoneA}}
	full := given.WithDefaults()
	assert.Equal(t, infra.NetworkSettings{CIDR: "10.0.0.0/16", Zones: []string{zoneC, zoneA}, NAT: "single"}, full)
	assert.Equal(t, full, full.WithDefaults())
	assert.Equal(t, []string{zoneA, zoneC}, full.ZoneNames())
	assert.Equal(t, []string{zoneC, zoneA}, full.Zones, "the first zone keeps the NAT gateway")

	existing := infra.NetworkSettings{Existing: existingNetwork()}
	assert.Equal(t, existing, existing.WithDefaults())
	assert.Equal(t, []string{zoneA, zoneC}, existing.ZoneNames())
}

func FuzzCarve(f *testing.F) {
	for bits := 16; bits <= 22; bits++ { // what decides the outcome: every size, with every zone
		f.Add(fmt.Sprintf("10.0.0.0/%d", bits), uint8(6))
	}
	f.Add("192.168.252.0/22", uint8(4))
	f.Add("255.255.0.0/16", uint8(2))
	f.Add("0.0.0.0/22", uint8(5))
	f.Add("10.0.0.7/20", uint8(5))
	f.Fuzz(func(t *testing.T, cidr string, count uint8) {
		settings := infra.NetworkSettings{CIDR: cidr, Zones: []string{"eu-west-1a", "eu-west-1b"}}.WithDefaults()
		if settings.Validate() != nil {
			return
		}
		vpc := netip.MustParsePrefix(settings.CIDR)
		var all []netip.Prefix
		for letter := range count % 7 {
			private, public := infra.Carve(vpc, "eu-west-1"+string('a'+rune(letter)))
			require.Equal(t, vpc.Bits()+3, private.Bits())
			require.Equal(t, vpc.Bits()+5, public.Bits())
			all = append(all, private, public)
		}
		for i, one := range all {
			require.Equal(t, one.Masked(), one)
			require.True(t, vpc.Overlaps(one) && one.Bits() > vpc.Bits(), "%s is not inside %s", one, vpc)
			for _, other := range all[:i] {
				require.False(t, one.Overlaps(other), "%s overlaps %s", one, other)
			}
		}
	})
}

func TestCarveExactly(t *testing.T) {
	t.Parallel()
	for zone, want := range map[string][2]string{
		"eu-west-1a": {"10.0.252.0/25", "10.0.255.0/27"},
		"eu-west-1b": {"10.0.252.128/25", "10.0.255.32/27"},
		"eu-west-1f": {"10.0.254.128/25", "10.0.255.160/27"},
	} {
		private, public := infra.Carve(netip.MustParsePrefix("10.0.252.0/22"), zone)
		assert.Equal(t, want, [2]string{private.String(), public.String()}, zone)
	}
}
