package double

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// answers are the functions of aws that programs call.
var answers = map[string]func(c *Cloud, x *call, args resource.PropertyMap) (out, error){
	"aws:index/getCallerIdentity:getCallerIdentity": func(_ *Cloud, x *call, _ resource.PropertyMap) (out, error) {
		return out{
			"id": Account, "accountId": Account, "userId": "AIDA" + upper(digest(17, "user")),
			"arn": "arn:" + partitionOf(x.region) + ":iam::" + Account + ":user/offline",
		}, nil
	},
	"aws:index/getPartition:getPartition": func(_ *Cloud, x *call, _ resource.PropertyMap) (out, error) {
		suffix := dnsSuffixOf(x.region)
		reversed := strings.Split(suffix, ".")
		slices.Reverse(reversed)
		partition := partitionOf(x.region)
		return out{"id": partition, "partition": partition, "dnsSuffix": suffix, "reverseDnsPrefix": strings.Join(reversed, ".")}, nil
	},
	"aws:index/getRegion:getRegion": func(_ *Cloud, x *call, args resource.PropertyMap) (out, error) {
		region := or(text(args, "name"), x.region)
		return out{
			"id": region, "name": region, "description": region, "endpoint": "ec2." + region + "." + dnsSuffixOf(region),
		}, nil
	},
	"aws:index/getAvailabilityZones:getAvailabilityZones": availabilityZones,
	"aws:eks/getCluster:getCluster": func(c *Cloud, x *call, args resource.PropertyMap) (out, error) {
		return stored(c, x, "aws:eks/cluster:Cluster", text(args, "name")), nil
	},
	"aws:eks/getClusterAuth:getClusterAuth": func(_ *Cloud, _ *call, args resource.PropertyMap) (out, error) {
		name := text(args, "name")
		token := resource.MakeSecret(resource.NewStringProperty("k8s-aws-v1." + digest(40, "token", name)))
		return out{"id": name, "name": name, "token": token}, nil
	},
	"aws:ec2/getVpc:getVpc": func(c *Cloud, x *call, args resource.PropertyMap) (out, error) {
		return stored(c, x, "aws:ec2/vpc:Vpc", or(text(args, "id"), "vpc-0default0000000000")), nil
	},
	"aws:ec2/getSubnet:getSubnet": func(c *Cloud, x *call, args resource.PropertyMap) (out, error) {
		return stored(c, x, "aws:ec2/subnet:Subnet", text(args, "id")), nil
	},
	"aws:ec2/getSubnets:getSubnets": subnets,
	"aws:iam/getOpenIdConnectProvider:getOpenIdConnectProvider": func(c *Cloud, x *call, args resource.PropertyMap) (out, error) {
		arn := text(args, "arn")
		if url := bareURL(text(args, "url")); arn == "" && url != "" {
			arn = "arn:" + partitionOf(x.region) + ":iam::" + Account + ":oidc-provider/" + url
		}
		return stored(c, x, "aws:iam/openIdConnectProvider:OpenIdConnectProvider", arn), nil
	},
	"aws:s3/getBucket:getBucket": func(c *Cloud, x *call, args resource.PropertyMap) (out, error) {
		return stored(c, x, "aws:s3/bucketV2:BucketV2", text(args, "bucket")), nil
	},
	"aws:dynamodb/getTable:getTable": func(c *Cloud, x *call, args resource.PropertyMap) (out, error) {
		return stored(c, x, "aws:dynamodb/table:Table", text(args, "name")), nil
	},
	"aws:ssm/getParameter:getParameter": func(_ *Cloud, x *call, args resource.PropertyMap) (out, error) {
		name := text(args, "name")
		return out{
			"id": name, "name": name, "type": "String", "version": 1, "value": "ami-" + digest(17, x.region, name),
			"arn": "arn:" + partitionOf(x.region) + ":ssm:" + x.region + ":" + Account + ":parameter" + name,
		}, nil
	},
}

func (awsProvider) invoke(c *Cloud, x *call, token string, args resource.PropertyMap) (resource.PropertyMap, error) {
	find := answers[token]
	if find == nil {
		return nil, fmt.Errorf("the aws double does not answer %s", token)
	}
	found, err := find(c, x, args)
	if err != nil {
		return nil, fmt.Errorf("invoking %s: %w", token, err)
	}
	if found == nil {
		return nil, fmt.Errorf("invoking %s: nothing matches %v", token, args.Mappable())
	}
	result := resource.PropertyMap{}
	for key, value := range found {
		if kept, ok := value.(resource.PropertyValue); ok {
			result[resource.PropertyKey(key)] = kept
			continue
		}
		result[resource.PropertyKey(key)] = resource.NewPropertyValue(value)
	}
	return overlay(args, result), nil
}

// stored is the state of an object of ours, or of one outside of the program; nil if it was removed or has no id.
func stored(c *Cloud, x *call, typ, id string) out {
	key := awsKey(x, typ, id)
	if id == "" || c.removed(key) {
		return nil
	}
	one := c.find(key)
	if one == nil {
		one = c.external[key]
	}
	if one == nil {
		one = awsExternal(c, &call{typ: typ, name: id, config: x.config, region: x.region}, id)
		c.external[key] = one
	}
	found := out{"id": id}
	for name, value := range visible(one.State) {
		found[string(name)] = value
	}
	if all, ok := one.State["tagsAll"]; ok && !has(one.State, "tags") {
		found["tags"] = all
	}
	return found
}

func availabilityZones(_ *Cloud, x *call, _ resource.PropertyMap) (out, error) {
	var names, ids []any
	for _, letter := range []string{"a", "b", "c"} {
		names = append(names, x.region+letter)
		ids = append(ids, zoneID(x.region+letter))
	}
	return out{"id": x.region, "names": names, "zoneIds": ids, "groupNames": []any{x.region}}, nil
}

// subnets lists the subnets of the VPC that the filter "vpc-id" names.
func subnets(c *Cloud, x *call, args resource.PropertyMap) (out, error) {
	wanted := map[string]bool{}
	if filters := args["filters"]; filters.IsArray() {
		for _, filter := range filters.ArrayValue() {
			if !filter.IsObject() || text(filter.ObjectValue(), "name") != "vpc-id" {
				return nil, fmt.Errorf("only the filter vpc-id is known, got %v", filter.Mappable())
			}
			leaves(filter.ObjectValue()["values"], func(v resource.PropertyValue) { wanted[v.StringValue()] = true })
		}
	}
	ids := []string{}
	known := maps.Clone(c.external)
	maps.Copy(known, c.objects)
	for key, one := range known {
		if key.typ == "aws:ec2/subnet:Subnet" && (len(wanted) == 0 || wanted[text(one.State, "vpcId")]) {
			ids = append(ids, key.id)
		}
	}
	slices.Sort(ids)
	return out{"id": x.region, "ids": ids}, nil
}
