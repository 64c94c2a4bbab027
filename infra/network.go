package infra

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/internal/check"
)

// networkToken is part of every child's URN and must never change: a new one would replace the whole network.
const networkToken = "kansoku:infra:Network"

// How private subnets reach the internet.
const (
	// NATSingle is one NAT gateway, in the zone that is listed first: cheap, and the other zones lose the internet with that one.
	NATSingle = "single"
	// NATPerZone is a NAT gateway in every zone.
	NATPerZone = "perZone"
)

const (
	defaultCIDR = "10.0.0.0/16"
	anywhere    = "0.0.0.0/0"

	minZones = 2 // EKS puts the control plane's interfaces into two zones at least
	maxZones = 4 // more zones add subnets, node groups and NAT gateways, and no safety
)

var (
	// Zone letters end at f in every region. Local and wavelength zones ("us-west-2-lax-1a") cannot hold a control plane.
	zonePattern   = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[1-9][a-f]$`)
	regionPattern = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]+)+-[1-9]$`)
	vpcPattern    = regexp.MustCompile(`^vpc-([0-9a-f]{8}|[0-9a-f]{17})$`)
	subnetPattern = regexp.MustCompile(`^subnet-([0-9a-f]{8}|[0-9a-f]{17})$`)
	// EKS' rule for the name of a cluster.
	clusterNamePattern = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$`)
)

// Subnet is one subnet and the zone that it is in.
type Subnet struct {
	// Zone of the subnet ("ap-northeast-1a"). Required.
	Zone string
	// ID of the subnet. Required.
	ID pulumi.StringOutput
}

// NetworkSettings says what the network looks like, or which one to use.
type NetworkSettings struct {
	// CIDR of the new VPC: IPv4, /16 to /22. Each zone gets an eighth of it for its private and a thirty-second for its public subnet
	// (of a /16: 8187 and 2043 usable addresses; every pod takes a private one). Default: 10.0.0.0/16.
	CIDR string `pulumi:"cidr,optional"`
	// Zones of the new VPC ("ap-northeast-1a"), two to four of one region. A subnet's addresses follow from its zone's letter, so zones
	// can come and go without moving others; only a single NAT gateway is bound to the first. Required for a new VPC.
	Zones []string `pulumi:"zones,optional"`
	// NAT is "single" (one gateway, in the first zone) or "perZone". Default: single.
	NAT string `pulumi:"nat,optional"`
	// Existing is a VPC that is there already. Default: a new one. Nothing else may be set beside it.
	Existing *ExistingNetwork `pulumi:"existing,optional"`
}

// ExistingNetwork is a VPC that is read, never changed: routes, endpoints and the tags that load balancers look for
// (kubernetes.io/role/elb, kubernetes.io/role/internal-elb) are its owner's.
type ExistingNetwork struct {
	// VPCID such as "vpc-0123456789abcdef0". Required.
	VPCID string `pulumi:"vpcId"`
	// PrivateSubnets are the subnets of control plane and nodes, by zone: {"ap-northeast-1a": "subnet-…"}. They must reach the internet.
	// Required: one at least.
	PrivateSubnets map[string]string `pulumi:"privateSubnets"`
	// PublicSubnets are the subnets of public load balancers, by zone. Default: none.
	PublicSubnets map[string]string `pulumi:"publicSubnets,optional"`
}

// NetworkArgs are the settings and what the network serves.
type NetworkArgs struct {
	NetworkSettings
	// Region that the zones must belong to. Default: the zones' own.
	Region string `pulumi:"region,optional"`
	// ClusterName is the cluster that the subnets are tagged for. Default: not tagged for a cluster.
	ClusterName string `pulumi:"clusterName,optional"`
}

// WithDefaults fills in what is left out.
func (s NetworkSettings) WithDefaults() NetworkSettings {
	if s.Existing != nil {
		return s
	}
	if s.CIDR == "" {
		s.CIDR = defaultCIDR
	}
	if s.NAT == "" {
		s.NAT = NATSingle
	}
	return s
}

// Validate reports every violation.
func (s NetworkSettings) Validate() error {
	var e check.Errors
	s.validate(&e, "")
	return e.Err()
}

// ZoneNames are the zones with a private subnet, of the new or the existing network, sorted.
func (s NetworkSettings) ZoneNames() []string {
	if s.Existing != nil {
		return slices.Sorted(maps.Keys(s.Existing.PrivateSubnets))
	}
	return slices.Sorted(slices.Values(s.Zones))
}

// Validate reports every violation of the settings, and zones outside of Region.
func (a NetworkArgs) Validate() error {
	var e check.Errors
	e.Require(a.Region == "" || regionPattern.MatchString(a.Region), "region", a.Region, `must be a region such as "ap-northeast-1"`)
	e.Require(a.ClusterName == "" || clusterNamePattern.MatchString(a.ClusterName), "clusterName", a.ClusterName,
		"must be 1 to 100 letters, digits, dashes and underscores, beginning with a letter or digit")
	a.validate(&e, a.Region)
	return e.Err()
}

func (s NetworkSettings) validate(e *check.Errors, region string) {
	if s.Existing != nil {
		e.Require(s.CIDR == "", "cidr", s.CIDR, "must not be set beside existing")
		e.Require(len(s.Zones) == 0, "zones", s.Zones, "must not be set beside existing")
		e.Require(s.NAT == "", "nat", s.NAT, "must not be set beside existing")
		s.Existing.validate(e, region)
		return
	}
	validateCIDR(e, "cidr", s.CIDR)
	check.OneOf(e, "nat", s.NAT, NATSingle, NATPerZone)
	e.Require(len(s.Zones) >= minZones && len(s.Zones) <= maxZones, "zones", s.Zones,
		"must be %d to %d zones, or existing must name a VPC", minZones, maxZones)
	zones := zoneCheck{region: region}
	for i, zone := range s.Zones {
		key := fmt.Sprintf("zones[%d]", i)
		zones.check(e, key, zone)
		e.Require(!slices.Contains(s.Zones[:i], zone), key, zone, "must be listed once")
	}
}

func validateCIDR(e *check.Errors, key, cidr string) {
	prefix, err := netip.ParsePrefix(cidr)
	if err != nil || !prefix.Addr().Is4() {
		e.Require(false, key, cidr, `must be an IPv4 network such as "10.0.0.0/16"`)
		return
	}
	e.Require(prefix.Masked() == prefix, key, cidr, "must have no host bits set: the network is %s", prefix.Masked())
	e.Require(prefix.Bits() >= 16 && prefix.Bits() <= 22, key, cidr,
		"must be a /16 to /22: AWS allows no larger VPC, a smaller one runs out of pod addresses")
}

// zoneCheck checks zones one after the other; they must all be in one region, by default that of the first.
type zoneCheck struct{ region string }

func (c *zoneCheck) check(e *check.Errors, key, zone string) {
	if !zonePattern.MatchString(zone) {
		e.Require(false, key, zone, `must be an availability zone such as "ap-northeast-1a"`)
		return
	}
	if c.region == "" {
		c.region = regionOf(zone)
	}
	e.Require(regionOf(zone) == c.region, key, zone, "must be a zone of %s", c.region)
}

// regionOf is the region of a well-formed zone: all but its letter.
func regionOf(zone string) string { return zone[:len(zone)-1] }

func (n ExistingNetwork) validate(e *check.Errors, region string) {
	e.Require(vpcPattern.MatchString(n.VPCID), "existing.vpcId", n.VPCID, `must be the id of a VPC, such as "vpc-0123456789abcdef0"`)
	e.Require(len(n.PrivateSubnets) > 0, "existing.privateSubnets", n.PrivateSubnets, "must hold a subnet for each zone")
	zones := zoneCheck{region: region}
	used := map[string]string{}
	for _, kind := range []struct {
		key     string
		subnets map[string]string
	}{{"existing.privateSubnets", n.PrivateSubnets}, {"existing.publicSubnets", n.PublicSubnets}} {
		for _, zone := range slices.Sorted(maps.Keys(kind.subnets)) {
			id, key := kind.subnets[zone], kind.key+"."+zone
			zones.check(e, key, zone)
			e.Require(subnetPattern.MatchString(id), key, id, `must be the id of a subnet, such as "subnet-0123456789abcdef0"`)
			e.Require(used[id] == "", key, id, "must be a subnet of its own: %s has it", used[id])
			used[id] = key
		}
	}
}

// carve gives the addresses of a zone's subnets. They depend on the zone's letter alone: a to f each own an eighth of the VPC for private
// and a thirty-second, in the last two eighths, for public. cidr and zone must be valid.
func carve(cidr netip.Prefix, zone string) (private, public netip.Prefix) {
	slot := uint32(zone[len(zone)-1] - 'a')
	return nth(cidr, 3, slot), nth(cidr, 5, 6*4+slot)
}

// nth is the n-th of the 2^bits networks into which an IPv4 network divides.
func nth(network netip.Prefix, bits int, n uint32) netip.Prefix {
	size := network.Bits() + bits
	at := network.Addr().As4()
	binary.BigEndian.PutUint32(at[:], binary.BigEndian.Uint32(at[:])|n<<(32-size))
	return netip.PrefixFrom(netip.AddrFrom4(at), size)
}

// Network is a VPC with its subnets.
type Network struct {
	pulumi.ResourceState

	// VPCID of the network.
	VPCID pulumi.StringOutput
	// CIDR of the network.
	CIDR pulumi.StringOutput
	// PrivateSubnets of control plane and nodes, sorted by zone.
	PrivateSubnets []Subnet
	// PublicSubnets of load balancers, sorted by zone.
	PublicSubnets []Subnet
	// Egress is what the private subnets need to reach AWS and the registries: their routes and the gateway endpoints. A node that starts
	// before them cannot join the cluster. Empty for an existing VPC.
	Egress []pulumi.Resource
}

// NewNetwork creates a VPC over the zones, or reads the existing one.
func NewNetwork(ctx *pulumi.Context, name string, args *NetworkArgs, opts ...pulumi.ResourceOption) (*Network, error) {
	if args == nil {
		args = &NetworkArgs{}
	}
	full := *args
	full.NetworkSettings = args.WithDefaults()
	if err := full.Validate(); err != nil {
		return nil, fmt.Errorf("checking network %s: %w", name, err)
	}
	network := &Network{}
	if err := ctx.RegisterComponentResource(networkToken, name, network, opts...); err != nil {
		return nil, fmt.Errorf("registering network %s: %w", name, err)
	}
	b := &networkBuilder{ctx: ctx, name: name, args: &full, network: network}
	build := b.create
	if full.Existing != nil {
		build = b.read
	}
	if err := build(); err != nil {
		return nil, err
	}
	return network, ctx.RegisterResourceOutputs(network, pulumi.Map{
		"vpcId":          network.VPCID,
		"cidr":           network.CIDR,
		"privateSubnets": subnetIDs(network.PrivateSubnets),
		"publicSubnets":  subnetIDs(network.PublicSubnets),
	})
}

func subnetIDs(subnets []Subnet) pulumi.StringMap {
	ids := pulumi.StringMap{}
	for _, subnet := range subnets {
		ids[subnet.Zone] = subnet.ID
	}
	return ids
}

// networkBuilder carries what every step of building a network needs.
type networkBuilder struct {
	ctx     *pulumi.Context
	name    string
	args    *NetworkArgs
	network *Network
}

func (b *networkBuilder) options(opts ...pulumi.ResourceOption) []pulumi.ResourceOption {
	return append([]pulumi.ResourceOption{pulumi.Parent(b.network)}, opts...)
}

// child names a resource within the network: "network-private-ap-northeast-1a".
func (b *networkBuilder) child(parts ...string) string {
	return strings.Join(append([]string{b.name}, parts...), "-")
}

func named(name string) pulumi.StringMap { return pulumi.StringMap{"Name": pulumi.String(name)} }

func (b *networkBuilder) create() error {
	vpc, err := ec2.NewVpc(b.ctx, b.name, &ec2.VpcArgs{
		CidrBlock: pulumi.String(b.args.CIDR),
		// A private endpoint of EKS resolves only with both.
		EnableDnsHostnames: pulumi.Bool(true),
		EnableDnsSupport:   pulumi.Bool(true),
		Tags:               named(b.name),
	}, b.options()...)
	if err != nil {
		return fmt.Errorf("creating VPC %s: %w", b.name, err)
	}
	b.network.VPCID, b.network.CIDR = vpc.ID().ToStringOutput(), vpc.CidrBlock

	// What somebody starts without naming a security group lands in the default one: it lets nothing in or out.
	if _, err = ec2.NewDefaultSecurityGroup(b.ctx, b.child("default"), &ec2.DefaultSecurityGroupArgs{
		VpcId: vpc.ID(), Tags: named(b.child("default")),
	}, b.options()...); err != nil {
		return fmt.Errorf("closing the default security group of %s: %w", b.name, err)
	}
	if err = b.subnets(); err != nil {
		return err
	}
	gateway, err := b.publicRoutes()
	if err != nil {
		return err
	}
	nats, err := b.natGateways(gateway)
	if err != nil {
		return err
	}
	tables, err := b.privateRoutes(nats)
	if err != nil {
		return err
	}
	return b.endpoints(tables)
}

// subnets makes a private and a public subnet in each zone.
func (b *networkBuilder) subnets() error {
	cidr, err := netip.ParsePrefix(b.args.CIDR)
	if err != nil {
		return fmt.Errorf("parsing the CIDR of %s: %w", b.name, err)
	}
	for _, zone := range b.args.ZoneNames() {
		private, public := carve(cidr, zone)
		subnet, err := b.subnet("private", zone, private, "kubernetes.io/role/internal-elb")
		if err != nil {
			return err
		}
		b.network.PrivateSubnets = append(b.network.PrivateSubnets, subnet)
		if subnet, err = b.subnet("public", zone, public, "kubernetes.io/role/elb"); err != nil {
			return err
		}
		b.network.PublicSubnets = append(b.network.PublicSubnets, subnet)
	}
	return nil
}

// subnet makes one subnet; the role tag is how load balancers find it.
func (b *networkBuilder) subnet(kind, zone string, cidr netip.Prefix, roleTag string) (Subnet, error) {
	name := b.child(kind, zone)
	tags := named(name)
	tags[roleTag] = pulumi.String("1")
	if b.args.ClusterName != "" {
		tags["kubernetes.io/cluster/"+b.args.ClusterName] = pulumi.String("shared")
	}
	subnet, err := ec2.NewSubnet(b.ctx, name, &ec2.SubnetArgs{
		VpcId: b.network.VPCID, AvailabilityZone: pulumi.String(zone), CidrBlock: pulumi.String(cidr.String()), Tags: tags,
	}, b.options()...)
	if err != nil {
		return Subnet{}, fmt.Errorf("creating subnet %s: %w", name, err)
	}
	return Subnet{Zone: zone, ID: subnet.ID().ToStringOutput()}, nil
}

// routeTable makes a table and attaches it to the subnets. The associations are returned.
func (b *networkBuilder) routeTable(name string, subnets map[string]Subnet) (*ec2.RouteTable, []pulumi.Resource, error) {
	table, err := ec2.NewRouteTable(b.ctx, name, &ec2.RouteTableArgs{VpcId: b.network.VPCID, Tags: named(name)}, b.options()...)
	if err != nil {
		return nil, nil, fmt.Errorf("creating route table %s: %w", name, err)
	}
	var attached []pulumi.Resource
	for _, child := range slices.Sorted(maps.Keys(subnets)) {
		association, err := ec2.NewRouteTableAssociation(b.ctx, child, &ec2.RouteTableAssociationArgs{
			RouteTableId: table.ID(), SubnetId: subnets[child].ID,
		}, b.options()...)
		if err != nil {
			return nil, nil, fmt.Errorf("attaching route table %s: %w", name, err)
		}
		attached = append(attached, association)
	}
	return table, attached, nil
}

// publicRoutes sends the public subnets straight to the internet.
func (b *networkBuilder) publicRoutes() (*ec2.InternetGateway, error) {
	gateway, err := ec2.NewInternetGateway(b.ctx, b.child("internet"), &ec2.InternetGatewayArgs{
		VpcId: b.network.VPCID, Tags: named(b.child("internet")),
	}, b.options()...)
	if err != nil {
		return nil, fmt.Errorf("creating the internet gateway of %s: %w", b.name, err)
	}
	subnets := map[string]Subnet{}
	for _, subnet := range b.network.PublicSubnets {
		subnets[b.child("public", subnet.Zone)] = subnet
	}
	table, _, err := b.routeTable(b.child("public"), subnets)
	if err != nil {
		return nil, err
	}
	// Routes are resources of their own: a table with inline routes would drop what a peering or a VPN adds.
	if _, err := ec2.NewRoute(b.ctx, b.child("public"), &ec2.RouteArgs{
		RouteTableId: table.ID(), DestinationCidrBlock: pulumi.String(anywhere), GatewayId: gateway.ID(),
	}, b.options()...); err != nil {
		return nil, fmt.Errorf("creating the public route of %s: %w", b.name, err)
	}
	return gateway, nil
}

// natGateways makes the NAT gateways and says which one each zone uses.
func (b *networkBuilder) natGateways(internet *ec2.InternetGateway) (map[string]*ec2.NatGateway, error) {
	made := map[string]*ec2.NatGateway{}
	for _, public := range b.network.PublicSubnets {
		if b.args.NAT == NATSingle && public.Zone != b.args.Zones[0] {
			continue
		}
		name := b.child("nat", public.Zone)
		address, err := ec2.NewEip(b.ctx, name, &ec2.EipArgs{Domain: pulumi.String("vpc"), Tags: named(name)}, b.options()...)
		if err != nil {
			return nil, fmt.Errorf("creating elastic IP %s: %w", name, err)
		}
		// AWS refuses a NAT gateway in a VPC that has no internet gateway yet, and nothing else orders the two.
		made[public.Zone], err = ec2.NewNatGateway(b.ctx, name, &ec2.NatGatewayArgs{
			AllocationId: address.ID(), SubnetId: public.ID, Tags: named(name),
		}, b.options(pulumi.DependsOn([]pulumi.Resource{internet}))...)
		if err != nil {
			return nil, fmt.Errorf("creating NAT gateway %s: %w", name, err)
		}
	}
	if b.args.NAT == NATSingle {
		for _, zone := range b.args.Zones {
			made[zone] = made[b.args.Zones[0]]
		}
	}
	return made, nil
}

// privateRoutes gives each zone a table of its own, so that going from one NAT gateway to one per zone changes a route and nothing else.
func (b *networkBuilder) privateRoutes(nats map[string]*ec2.NatGateway) (pulumi.StringArray, error) {
	var tables pulumi.StringArray
	for _, subnet := range b.network.PrivateSubnets {
		name := b.child("private", subnet.Zone)
		table, attached, err := b.routeTable(name, map[string]Subnet{name: subnet})
		if err != nil {
			return nil, err
		}
		route, err := ec2.NewRoute(b.ctx, name, &ec2.RouteArgs{
			RouteTableId: table.ID(), DestinationCidrBlock: pulumi.String(anywhere), NatGatewayId: nats[subnet.Zone].ID(),
		}, b.options()...)
		if err != nil {
			return nil, fmt.Errorf("creating route %s: %w", name, err)
		}
		b.network.Egress = append(append(b.network.Egress, attached...), route)
		tables = append(tables, table.ID())
	}
	return tables, nil
}

// endpoints keeps the traffic of blocks, chunks and index off the NAT gateways. Gateway endpoints cost nothing.
func (b *networkBuilder) endpoints(tables pulumi.StringArray) error {
	for _, service := range []string{"s3", "dynamodb"} {
		name := b.child(service)
		endpoint, err := ec2.NewVpcEndpoint(b.ctx, name, &ec2.VpcEndpointArgs{
			VpcId: b.network.VPCID, VpcEndpointType: pulumi.String("Gateway"), RouteTableIds: tables, Tags: named(name),
			ServiceName: pulumi.String(fmt.Sprintf("com.amazonaws.%s.%s", regionOf(b.args.Zones[0]), service)),
		}, b.options()...)
		if err != nil {
			return fmt.Errorf("creating endpoint %s: %w", name, err)
		}
		b.network.Egress = append(b.network.Egress, endpoint)
	}
	return nil
}

// read looks up the existing VPC and its subnets.
func (b *networkBuilder) read() (err error) {
	existing := b.args.Existing
	vpc, err := ec2.GetVpc(b.ctx, b.name, pulumi.ID(existing.VPCID), nil, b.options()...)
	if err != nil {
		return fmt.Errorf("reading VPC %s: %w", existing.VPCID, err)
	}
	b.network.VPCID, b.network.CIDR = vpc.ID().ToStringOutput(), vpc.CidrBlock
	if b.network.PrivateSubnets, err = b.readSubnets("private", existing.PrivateSubnets); err != nil {
		return err
	}
	b.network.PublicSubnets, err = b.readSubnets("public", existing.PublicSubnets)
	return err
}

func (b *networkBuilder) readSubnets(kind string, ids map[string]string) ([]Subnet, error) {
	var subnets []Subnet
	for _, zone := range slices.Sorted(maps.Keys(ids)) {
		subnet, err := ec2.GetSubnet(b.ctx, b.child(kind, zone), pulumi.ID(ids[zone]), nil, b.options()...)
		if err != nil {
			return nil, fmt.Errorf("reading subnet %s: %w", ids[zone], err)
		}
		subnets = append(subnets, Subnet{Zone: zone, ID: b.inPlace(subnet, zone, ids[zone])})
	}
	return subnets, nil
}

// inPlace is the subnet's id, once AWS has confirmed zone and VPC: a volume made for the wrong zone never attaches.
func (b *networkBuilder) inPlace(subnet *ec2.Subnet, zone, id string) pulumi.StringOutput {
	vpcID := b.args.Existing.VPCID
	return pulumi.All(subnet.AvailabilityZone, subnet.VpcId).ApplyT(func(got []any) (string, error) {
		for i, want := range []string{zone, vpcID} {
			if found := got[i].(string); found != "" && found != want {
				return "", fmt.Errorf("checking subnet %s: it must be in %s, and is in %s", id, want, found)
			}
		}
		return id, nil
	}).(pulumi.StringOutput)
}
