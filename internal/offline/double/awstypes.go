package double

import (
	"fmt"
	"maps"
)

// awsTypes is every type that the double knows; others get an id and an ARN and are listed by Unknown.
var awsTypes = merged(ec2Types, eksTypes, iamTypes, storageTypes, otherTypes)

func merged(tables ...map[string]awsType) map[string]awsType {
	all := map[string]awsType{}
	for _, table := range tables {
		maps.Copy(all, table)
	}
	return all
}

var ec2Types = map[string]awsType{
	"aws:ec2/vpc:Vpc": {
		id: generated("vpc"), tagged: true,
		defaults: out{"enableDnsSupport": true, "instanceTenancy": "default"},
		computed: func(x *made) out {
			return out{
				"arn": x.arn("ec2", "vpc/"+x.id), "ownerId": Account, "defaultSecurityGroupId": x.part("sg"),
				"defaultRouteTableId": x.part("rtb"), "mainRouteTableId": x.part("rtb"), "defaultNetworkAclId": x.part("acl"),
				"dhcpOptionsId": x.part("dopt"), "enableDnsHostnames": false, "enableNetworkAddressUsageMetrics": false,
			}
		},
		blockers: []string{
			"aws:ec2/subnet:Subnet", "aws:ec2/internetGateway:InternetGateway", "aws:ec2/routeTable:RouteTable",
			"aws:ec2/vpcEndpoint:VpcEndpoint", "aws:ec2/securityGroup:SecurityGroup",
		},
		get: func(*made) out { return out{"cidrBlock": "10.0.0.0/16"} },
	},
	"aws:ec2/subnet:Subnet": {
		id: generated("subnet"), tagged: true,
		defaults: out{
			"assignIpv6AddressOnCreation": false, "enableDns64": false, "enableResourceNameDnsARecordOnLaunch": false,
			"enableResourceNameDnsAaaaRecordOnLaunch": false, "ipv6Native": false, "mapPublicIpOnLaunch": false,
		},
		computed: func(x *made) out {
			zone := or(text(x.in, "availabilityZone"), x.region+zoneLetter(x))
			return out{
				"arn": x.arn("ec2", "subnet/"+x.id), "ownerId": Account, "availabilityZone": zone, "availabilityZoneId": zoneID(zone),
				"privateDnsHostnameTypeOnLaunch": "ip-name",
			}
		},
		blockers: []string{
			"aws:ec2/natGateway:NatGateway", "aws:eks/cluster:Cluster", "aws:eks/nodeGroup:NodeGroup", "aws:ec2/vpcEndpoint:VpcEndpoint",
		},
		get: func(x *made) out {
			return out{
				"vpcId": "vpc-0existing000000000", "cidrBlock": x.address("10.0", "cidr") + ".0/24", "availabilityZone": x.region + zoneLetter(x),
			}
		},
	},
	"aws:ec2/internetGateway:InternetGateway": {
		id: generated("igw"), tagged: true,
		computed: func(x *made) out { return out{"arn": x.arn("ec2", "internet-gateway/"+x.id), "ownerId": Account} },
	},
	"aws:ec2/eip:Eip": {
		id: generated("eipalloc"), tagged: true,
		computed: func(x *made) out {
			return out{
				"arn": x.arn("ec2", "elastic-ip/"+x.id), "allocationId": x.id, "associationId": "", "domain": "vpc",
				"networkBorderGroup": x.region, "publicIp": x.address("203.0.113", "public"), "publicIpv4Pool": "amazon",
				"privateIp": "", "networkInterface": "", "instance": "",
			}
		},
		blockers: []string{"aws:ec2/natGateway:NatGateway"},
	},
	"aws:ec2/natGateway:NatGateway": {
		id: generated("nat"), tagged: true, defaults: out{"connectivityType": "public"},
		computed: func(x *made) out {
			return out{
				"associationId": x.part("eipassoc"), "networkInterfaceId": x.part("eni"), "privateIp": x.address("10.0.0", "private"),
				"publicIp": x.lookup("aws:ec2/eip:Eip", text(x.in, "allocationId"), "publicIp"), "secondaryPrivateIpAddressCount": 0,
			}
		},
	},
	"aws:ec2/routeTable:RouteTable": {
		id: generated("rtb"), tagged: true,
		computed: func(x *made) out {
			return out{"arn": x.arn("ec2", "route-table/"+x.id), "ownerId": Account, "propagatingVgws": []any{}, "routes": []any{}}
		},
		blockers: []string{"aws:ec2/routeTableAssociation:RouteTableAssociation"},
	},
	"aws:ec2/route:Route": {
		id:       routeID,
		conflict: "RouteAlreadyExists: %s",
		computed: func(*made) out {
			return out{"origin": "CreateRoute", "state": "active", "instanceId": "", "instanceOwnerId": "", "networkInterfaceId": ""}
		},
	},
	"aws:ec2/routeTableAssociation:RouteTableAssociation": {
		id: generated("rtbassoc"),
	},
	"aws:ec2/vpcEndpoint:VpcEndpoint": {
		id: generated("vpce"), tagged: true, defaults: out{"vpcEndpointType": "Gateway"},
		computed: func(x *made) out {
			return out{
				"arn": x.arn("ec2", "vpc-endpoint/"+x.id), "ownerId": Account, "state": "available", "prefixListId": x.part("pl"),
				"cidrBlocks": []any{"198.51.100.0/24"}, "dnsEntries": []any{}, "networkInterfaceIds": []any{}, "requesterManaged": false,
				"policy":            `{"Statement":[{"Action":"*","Effect":"Allow","Principal":"*","Resource":"*"}],"Version":"2008-10-17"}`,
				"privateDnsEnabled": false, "routeTableIds": []any{}, "securityGroupIds": []any{}, "subnetIds": []any{},
				"serviceRegion": x.region, "ipAddressType": "ipv4",
			}
		},
	},
	"aws:ec2/securityGroup:SecurityGroup": {
		id: generated("sg"), name: "name", prefix: "namePrefix", tagged: true,
		inputs: out{"description": "Managed by Pulumi"}, defaults: out{"revokeRulesOnDelete": false},
		computed: func(x *made) out {
			return out{
				"arn": x.arn("ec2", "security-group/"+x.id), "ownerId": Account, "egress": []any{}, "ingress": []any{},
				"name": x.named("name", "namePrefix"),
			}
		},
		blockers: []string{"aws:eks/cluster:Cluster", "aws:eks/nodeGroup:NodeGroup", "aws:ec2/vpcEndpoint:VpcEndpoint"},
	},
	"aws:ec2/securityGroupRule:SecurityGroupRule": {
		id:       func(x *made) string { return fmt.Sprintf("sgrule-%d", 1e9+number(3e9, x.seeded("rule")...)) },
		defaults: out{"self": false},
		computed: func(x *made) out { return out{"securityGroupRuleId": x.part("sgr")} },
	},
	"aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": {
		id: func(x *made) string {
			return or(x.lookup("aws:ec2/vpc:Vpc", text(x.in, "vpcId"), "defaultSecurityGroupId"), x.part("sg"))
		},
		tagged: true, defaults: out{"revokeRulesOnDelete": false},
		computed: func(x *made) out {
			return out{
				"arn": x.arn("ec2", "security-group/"+x.id), "ownerId": Account, "name": "default",
				"description": "default VPC security group", "egress": []any{}, "ingress": []any{},
			}
		},
	},
	"aws:ec2/launchTemplate:LaunchTemplate": {
		id: generated("lt"), name: "name", prefix: "namePrefix", tagged: true,
		computed: func(x *made) out {
			options := out{
				"httpEndpoint": "enabled", "httpProtocolIpv6": "disabled", "httpPutResponseHopLimit": 1, "httpTokens": "optional",
				"instanceMetadataTags": "disabled",
			}
			return out{
				"arn": x.arn("ec2", "launch-template/"+x.id), "latestVersion": 1, "defaultVersion": 1,
				"name": x.named("name", "namePrefix"), "metadataOptions": options,
			}
		},
		counts: []string{"latestVersion", "defaultVersion"},
	},
}

var eksTypes = map[string]awsType{
	"aws:eks/cluster:Cluster": {
		id: property("name", ""), name: "name", tagged: true,
		conflict: "ResourceInUseException: Cluster already exists with name: %s",
		defaults: out{"bootstrapSelfManagedAddons": true}, computed: clusterOutputs,
		follows:  map[string][]string{"platformVersion": {"version"}},
		blockers: []string{"aws:eks/nodeGroup:NodeGroup", "aws:eks/fargateProfile:FargateProfile"}, blocked: "ResourceInUseException",
		get: func(x *made) out {
			return out{
				"name": x.id, "roleArn": x.iamARN("role/" + x.id),
				"vpcConfig": out{"subnetIds": []any{x.part("subnet")}},
			}
		},
	},
	"aws:eks/nodeGroup:NodeGroup": {
		id: joined(":", "clusterName", "nodeGroupName"), name: "nodeGroupName", prefix: "nodeGroupNamePrefix", tagged: true,
		conflict: "ResourceInUseException: NodeGroup already exists with name %s",
		parents:  map[string]string{"clusterName": "aws:eks/cluster:Cluster"},
		computed: func(x *made) out {
			version := or(text(x.in, "version"), x.lookup("aws:eks/cluster:Cluster", text(x.in, "clusterName"), "version"))
			group := text(x.in, "nodeGroupName")
			return out{
				"arn":    x.arn("eks", "nodegroup/"+text(x.in, "clusterName")+"/"+group+"/"+uuid(x.seeded("arn")...)),
				"status": "ACTIVE", "amiType": "AL2023_x86_64_STANDARD", "capacityType": "ON_DEMAND", "diskSize": 20,
				"instanceTypes": []any{"t3.medium"}, "version": version, "releaseVersion": version + ".0-20260101",
				"resources": []any{out{
					"autoscalingGroups": []any{out{"name": "eks-" + group + "-" + uuid(x.seeded("asg")...)}}, "remoteAccessSecurityGroupId": "",
				}},
				"updateConfig": out{"maxUnavailable": 1},
			}
		},
		follows: map[string][]string{"releaseVersion": {"version", "launchTemplate"}},
	},
	"aws:eks/addon:Addon": {
		id: joined(":", "clusterName", "addonName"), tagged: true,
		conflict: "ResourceInUseException: Addon already exists: %s", parents: map[string]string{"clusterName": "aws:eks/cluster:Cluster"},
		computed: func(x *made) out {
			return out{
				"arn":          x.arn("eks", "addon/"+text(x.in, "clusterName")+"/"+text(x.in, "addonName")+"/"+uuid(x.seeded("arn")...)),
				"addonVersion": "v1.0.0-eksbuild.1", "configurationValues": "", "createdAt": timestamp, "modifiedAt": timestamp,
			}
		},
	},
	"aws:eks/accessEntry:AccessEntry": {
		id: joined(":", "clusterName", "principalArn"), tagged: true, defaults: out{"type": "STANDARD"},
		conflict: "ResourceInUseException: The specified access entry resource is already in use on this cluster: %s",
		parents:  map[string]string{"clusterName": "aws:eks/cluster:Cluster"},
		computed: func(x *made) out {
			return out{
				"accessEntryArn": x.arn("eks", "access-entry/"+text(x.in, "clusterName")+"/role/"+Account+"/"+uuid(x.seeded("arn")...)),
				"createdAt":      timestamp, "modifiedAt": timestamp, "kubernetesGroups": []any{}, "userName": text(x.in, "principalArn"),
			}
		},
	},
	"aws:eks/accessPolicyAssociation:AccessPolicyAssociation": {
		id:       joined("#", "clusterName", "principalArn", "policyArn"),
		parents:  map[string]string{"clusterName": "aws:eks/cluster:Cluster"},
		computed: func(*made) out { return out{"associatedAt": timestamp, "modifiedAt": timestamp} },
	},
	"aws:eks/podIdentityAssociation:PodIdentityAssociation": {
		id: generated("a"), tagged: true, parents: map[string]string{"clusterName": "aws:eks/cluster:Cluster"},
		computed: func(x *made) out {
			return out{
				"associationArn": x.arn("eks", "podidentityassociation/"+text(x.in, "clusterName")+"/"+x.id), "associationId": x.id,
			}
		},
	},
}

// clusterOutputs are what EKS decides of a cluster.
func clusterOutputs(x *made) out {
	var subnet string
	if subnets := at(x.in, "vpcConfig", "subnetIds"); subnets.IsArray() && len(subnets.ArrayValue()) > 0 {
		if first := subnets.ArrayValue()[0]; first.IsString() {
			subnet = first.StringValue()
		}
	}
	id := upper(digest(32, x.seeded("endpoint")...))
	return out{
		"arn": x.arn("eks", "cluster/"+text(x.in, "name")), "status": "ACTIVE", "createdAt": timestamp,
		"endpoint":             "https://" + id + ".gr7." + x.region + ".eks." + dnsSuffixOf(x.region),
		"certificateAuthority": out{"data": certificate(x)}, "certificateAuthorities": []any{out{"data": certificate(x)}},
		"identities":      []any{out{"oidcs": []any{out{"issuer": "https://oidc.eks." + x.region + "." + dnsSuffixOf(x.region) + "/id/" + id}}}},
		"platformVersion": "eks.1", "version": "1.36", "clusterId": "", "enabledClusterLogTypes": []any{},
		"vpcConfig": out{
			"clusterSecurityGroupId": x.part("sg"), "vpcId": or(x.lookup("aws:ec2/subnet:Subnet", subnet, "vpcId"), x.part("vpc")),
			"endpointPrivateAccess": false, "endpointPublicAccess": true, "publicAccessCidrs": []any{"0.0.0.0/0"},
		},
		"accessConfig":            out{"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": true},
		"kubernetesNetworkConfig": out{"ipFamily": "ipv4", "serviceIpv4Cidr": "172.20.0.0/16"},
		"upgradePolicy":           out{"supportType": "EXTENDED"},
	}
}

var iamTypes = map[string]awsType{
	"aws:iam/role:Role": {
		id: property("name", "namePrefix"), name: "name", prefix: "namePrefix", tagged: true,
		conflict: "EntityAlreadyExists: Role with name %s already exists.",
		defaults: out{"path": "/", "maxSessionDuration": 3600, "forceDetachPolicies": false},
		computed: func(x *made) out {
			name := x.named("name", "namePrefix")
			return out{
				"arn": x.iamARN("role" + or(text(x.in, "path"), "/") + name), "createDate": timestamp, "name": name,
				"uniqueId": x.unique("AROA"), "managedPolicyArns": []any{}, "inlinePolicies": []any{},
			}
		},
		blockers: []string{
			"aws:iam/rolePolicy:RolePolicy", "aws:iam/rolePolicyAttachment:RolePolicyAttachment", "aws:iam/instanceProfile:InstanceProfile",
		},
		blocked: "DeleteConflict",
		get: func(x *made) out {
			return out{"name": x.id, "assumeRolePolicy": `{"Statement":[],"Version":"2012-10-17"}`}
		},
	},
	"aws:iam/rolePolicy:RolePolicy": {
		id:   func(x *made) string { return text(x.in, "role") + ":" + x.named("name", "namePrefix") },
		name: "name", prefix: "namePrefix", parents: map[string]string{"role": "aws:iam/role:Role"},
		computed: func(x *made) out { return out{"name": x.named("name", "namePrefix")} },
	},
	"aws:iam/rolePolicyAttachment:RolePolicyAttachment": {
		id:          func(x *made) string { return text(x.in, "role") + "-" + digest(26, x.seeded("id")...) },
		replaceLast: true, parents: map[string]string{"role": "aws:iam/role:Role"},
	},
	"aws:iam/policy:Policy": {
		id:   policyARN,
		name: "name", prefix: "namePrefix", tagged: true, defaults: out{"path": "/"},
		conflict: "EntityAlreadyExists: A policy called %s already exists. Duplicate names are not allowed.",
		computed: func(x *made) out {
			return out{"arn": policyARN(x), "policyId": x.unique("ANPA"), "attachmentCount": 0, "name": x.named("name", "namePrefix")}
		},
		blockers: []string{"aws:iam/rolePolicyAttachment:RolePolicyAttachment"}, blocked: "DeleteConflict",
	},
	"aws:iam/instanceProfile:InstanceProfile": {
		id: property("name", "namePrefix"), name: "name", prefix: "namePrefix", tagged: true, defaults: out{"path": "/"},
		conflict: "EntityAlreadyExists: Instance Profile %s already exists.",
		computed: func(x *made) out {
			name := x.named("name", "namePrefix")
			return out{
				"arn":        x.iamARN("instance-profile" + or(text(x.in, "path"), "/") + name),
				"createDate": timestamp, "name": name, "uniqueId": x.unique("AIPA"),
			}
		},
	},
	"aws:iam/openIdConnectProvider:OpenIdConnectProvider": {
		id:       func(x *made) string { return x.iamARN("oidc-provider/" + bareURL(text(x.in, "url"))) },
		tagged:   true,
		conflict: "EntityAlreadyExists: Provider with url of %s already exists.",
		computed: func(x *made) out {
			return out{"arn": x.id, "!url": bareURL(text(x.in, "url")), "thumbprintLists": []any{"9e99a48a9960b14926bb7f3b02e22da2b0ab7280"}}
		},
		get: func(x *made) out {
			return out{"url": afterFirst(x.id, ":oidc-provider/"), "clientIdLists": []any{"sts.amazonaws.com"}}
		},
	},
}
