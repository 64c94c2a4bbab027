package double

import (
	"slices"
	"strings"
)

// forced is one property whose change replaces the object.
type forced struct {
	typ string
	// path is the property, dotted; list indices are left out.
	path string
	// removal limits the row to the case that the property is taken away.
	removal bool
	source  string
}

// Where the rows are from. The Go SDK's comments seldom say what replaces; the schema of the Terraform provider that the bridge
// wraps (ForceNew, RequiresReplace) decides.
const (
	schemaRead  = "terraform-provider-aws, resource schema, read"
	schemaKnown = "terraform-provider-aws v5, resource schema, from knowledge"
	sdkComment  = "pulumi-aws v6.83.2, Go SDK comment"
)

// awsReplacements lists what replaces an aws object, for the types that have an entry in awsTypes.
var awsReplacements = slices.Concat(
	rows("aws:ec2/vpc:Vpc", schemaKnown, "cidrBlock", "instanceTenancy", "ipv4IpamPoolId", "ipv4NetmaskLength"),
	rows("aws:ec2/subnet:Subnet", schemaKnown, "availabilityZone", "availabilityZoneId", "cidrBlock", "ipv6Native", "outpostArn", "vpcId"),
	rows("aws:ec2/eip:Eip", schemaKnown,
		"address", "customerOwnedIpv4Pool", "domain", "ipamPoolId", "networkBorderGroup", "publicIpv4Pool", "vpc"),
	rows("aws:ec2/natGateway:NatGateway", schemaRead,
		"allocationId", "connectivityType", "privateIp", "secondaryPrivateIpAddressCount", "subnetId"),
	rows("aws:ec2/routeTable:RouteTable", schemaKnown, "vpcId"),
	rows("aws:ec2/route:Route", schemaKnown,
		"destinationCidrBlock", "destinationIpv6CidrBlock", "destinationPrefixListId", "routeTableId"),
	rows("aws:ec2/routeTableAssociation:RouteTableAssociation", schemaKnown, "gatewayId", "subnetId"),
	rows("aws:ec2/vpcEndpoint:VpcEndpoint", schemaKnown,
		"resourceConfigurationArn", "serviceName", "serviceNetworkArn", "serviceRegion", "vpcEndpointType", "vpcId"),
	rows("aws:ec2/securityGroup:SecurityGroup", schemaKnown, "description", "name", "namePrefix", "vpcId"),
	rows("aws:ec2/securityGroupRule:SecurityGroupRule", schemaKnown, "cidrBlocks", "fromPort", "ipv6CidrBlocks", "prefixListIds",
		"protocol", "securityGroupId", "self", "sourceSecurityGroupId", "toPort", "type"),
	rows("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", schemaKnown, "vpcId"),
	rows("aws:ec2/launchTemplate:LaunchTemplate", schemaKnown, "name", "namePrefix"),
	rows("aws:eks/cluster:Cluster", sdkComment, "bootstrapSelfManagedAddons"),
	rows("aws:eks/cluster:Cluster", schemaRead,
		"accessConfig.bootstrapClusterCreatorAdminPermissions", "computeConfig.nodeRoleArn", "kubernetesNetworkConfig.ipFamily",
		"kubernetesNetworkConfig.serviceIpv4Cidr", "name", "outpostConfig.controlPlaneInstanceType",
		"outpostConfig.controlPlanePlacement.groupName", "remoteNetworkConfig", "roleArn"),
	[]forced{{typ: "aws:eks/cluster:Cluster", path: "encryptionConfig", removal: true, source: schemaRead}},
	rows("aws:eks/nodeGroup:NodeGroup", schemaKnown, "amiType", "capacityType", "clusterName", "diskSize", "instanceTypes",
		"launchTemplate.id", "launchTemplate.name", "nodeGroupName", "nodeGroupNamePrefix", "nodeRoleArn", "remoteAccess", "subnetIds"),
	rows("aws:eks/addon:Addon", schemaKnown, "addonName", "clusterName"),
	rows("aws:eks/accessEntry:AccessEntry", schemaKnown, "clusterName", "principalArn", "type"),
	rows("aws:eks/accessPolicyAssociation:AccessPolicyAssociation", schemaKnown,
		"accessScope.namespaces", "accessScope.type", "clusterName", "policyArn", "principalArn"),
	rows("aws:eks/podIdentityAssociation:PodIdentityAssociation", schemaKnown, "clusterName", "namespace", "serviceAccount"),
	rows("aws:iam/role:Role", schemaKnown, "name", "namePrefix", "path"),
	rows("aws:iam/rolePolicy:RolePolicy", schemaKnown, "name", "namePrefix", "role"),
	rows("aws:iam/rolePolicyAttachment:RolePolicyAttachment", schemaKnown, "policyArn", "role"),
	rows("aws:iam/policy:Policy", schemaKnown, "description", "name", "namePrefix", "path"),
	rows("aws:iam/instanceProfile:InstanceProfile", schemaKnown, "name", "namePrefix", "path"),
	rows("aws:iam/openIdConnectProvider:OpenIdConnectProvider", schemaRead, "url"),
	rows("aws:s3/bucketV2:BucketV2", schemaKnown, "bucket", "bucketPrefix", "objectLockEnabled"),
	rows("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", schemaKnown, "bucket"),
	rows("aws:s3/bucketOwnershipControls:BucketOwnershipControls", schemaKnown, "bucket"),
	rows("aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2", schemaKnown,
		"bucket", "expectedBucketOwner"),
	rows("aws:s3/bucketVersioningV2:BucketVersioningV2", schemaKnown, "bucket", "expectedBucketOwner"),
	rows("aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2", schemaKnown, "bucket", "expectedBucketOwner"),
	rows("aws:s3/bucketPolicy:BucketPolicy", schemaKnown, "bucket"),
	rows("aws:dynamodb/table:Table", schemaKnown, "hashKey", "importTable", "localSecondaryIndexes", "name", "rangeKey",
		"restoreDateTime", "restoreSourceName", "restoreSourceTableArn", "restoreToLatestTime"),
	rows("aws:kms/key:Key", schemaKnown, "customKeyStoreId", "customerMasterKeySpec", "keyUsage", "multiRegion", "xksKeyId"),
	rows("aws:kms/alias:Alias", schemaKnown, "name", "namePrefix"),
	rows("aws:autoscaling/tag:Tag", schemaKnown, "autoscalingGroupName", "tag.key"),
	rows("aws:cloudwatch/logGroup:LogGroup", schemaKnown, "logGroupClass", "name", "namePrefix"),
)

func rows(typ, source string, paths ...string) []forced {
	made := make([]forced, len(paths))
	for i, path := range paths {
		made[i] = forced{typ: typ, path: path, source: source}
	}
	return made
}

// awsReplaces says whether a change of an aws object replaces it.
func awsReplaces(typ string, one change) bool {
	for _, row := range awsReplacements {
		if row.typ != typ || row.removal && one.now.V != nil {
			continue
		}
		if touches(one, strings.Split(row.path, ".")) {
			return true
		}
	}
	return false
}
