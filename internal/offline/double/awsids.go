package double

import (
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// What the doubles say where a real account would.
const (
	// Account is the AWS account of every object.
	Account       = "123456789012"
	defaultRegion = "us-east-1"
	timestamp     = "2026-01-01T00:00:00Z"
)

// made is an aws object while its outputs are worked out.
type made struct {
	*call

	id    string
	in    resource.PropertyMap // without secrets
	cloud *Cloud
}

// regionOf is the region of a provider's configuration.
func regionOf(config resource.PropertyMap) string {
	if region := text(config, "region"); region != "" {
		return region
	}
	return defaultRegion
}

// partitionOf is the partition that a region belongs to.
func partitionOf(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

func dnsSuffixOf(region string) string {
	if strings.HasPrefix(region, "cn-") {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}

// zoneID gives a zone's id, as "apne1-az1" for ap-northeast-1a. Real ids are shuffled between accounts.
func zoneID(zone string) string {
	parts := strings.Split(zone, "-")
	if len(parts) < 3 {
		return zone
	}
	short := []string{strings.Join(parts[:len(parts)-2], "")}
	for _, direction := range []string{"north", "south", "east", "west", "central"} {
		if strings.Contains(parts[len(parts)-2], direction) {
			short = append(short, direction[:1])
		}
	}
	last := parts[len(parts)-1]
	return fmt.Sprintf("%s%s-az%d", strings.Join(short, ""), last[:len(last)-1], last[len(last)-1]-'a'+1)
}

// seeded is what the ids within an object depend on.
func (x *made) seeded(what string) []string { return append(x.identity(), what) }

// generated makes an id of a prefix and seventeen hex digits, the form of EC2.
func generated(prefix string) func(*made) string {
	return func(x *made) string { return prefix + "-" + digest(17, x.seeded(prefix)...) }
}

// part makes an id of something that the object owns.
func (x *made) part(prefix string) string { return generated(prefix)(x) }

// property makes the id of a property, or of the name that AWS would make from the prefix in prefixed.
func property(name, prefixed string) func(*made) string {
	return func(x *made) string { return x.named(name, prefixed) }
}

func (x *made) named(name, prefixed string) string {
	if given := text(x.in, name); given != "" || prefixed == "" {
		return given
	}
	return text(x.in, prefixed) + "20260101" + digest(18, x.seeded(name)...)
}

// joined makes an id of several properties.
func joined(separator string, names ...string) func(*made) string {
	return func(x *made) string {
		parts := make([]string, len(names))
		for i, name := range names {
			parts[i] = text(x.in, name)
		}
		return strings.Join(parts, separator)
	}
}

// arn makes an ARN in the object's region and account.
func (x *made) arn(service, resource string) string {
	return strings.Join([]string{"arn", partitionOf(x.region), service, x.region, Account, resource}, ":")
}

// iamARN makes an ARN of IAM, which has no region.
func (x *made) iamARN(resource string) string {
	return strings.Join([]string{"arn", partitionOf(x.region), "iam", "", Account, resource}, ":")
}

// unique makes an id as IAM does, as AROA and seventeen letters and digits.
func (x *made) unique(prefix string) string {
	return prefix + strings.ToUpper(digest(17, x.seeded(prefix)...))
}

// routeID is the id that the provider makes up for a route.
func routeID(x *made) string {
	destination := text(x.in, "destinationCidrBlock") + text(x.in, "destinationIpv6CidrBlock") + text(x.in, "destinationPrefixListId")
	return fmt.Sprintf("r-%s%d", text(x.in, "routeTableId"), crc32.ChecksumIEEE([]byte(destination)))
}

// address makes an address of a documentation or private network.
func (x *made) address(network, what string) string {
	return fmt.Sprintf("%s.%d", network, 1+number(254, x.seeded(what)...))
}

// lookup returns a string from the state of another aws object.
func (x *made) lookup(typ, id string, path ...string) string {
	key := awsKey(x.call, typ, id)
	one := x.cloud.find(key)
	if one == nil {
		one = x.cloud.external[key]
	}
	if one == nil {
		return ""
	}
	return text(one.State, path...)
}

// zoneLetter picks a zone for a subnet that does not say.
func zoneLetter(x *made) string { return []string{"a", "b", "c"}[number(3, x.seeded("zone")...)] }

// or is the first that is not empty.
func or(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}
