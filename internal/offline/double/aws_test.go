package double_test

import (
	"encoding/base64"
	"regexp"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/internal/offline/double"
)

const (
	vpcType     = "aws:ec2/vpc:Vpc"
	subnetType  = "aws:ec2/subnet:Subnet"
	roleType    = "aws:iam/role:Role"
	bucketType  = "aws:s3/bucketV2:BucketV2"
	clusterType = "aws:eks/cluster:Cluster"
	groupType   = "aws:eks/nodeGroup:NodeGroup"
	ltType      = "aws:ec2/launchTemplate:LaunchTemplate"
	tableType   = "aws:dynamodb/table:Table"
)

var tokyo = props{"region": "ap-northeast-1"}

func TestPreviewLeavesWhatAWSDecidesUnknown(t *testing.T) {
	t.Parallel()
	c, ports := cloud(t)
	aws := connect(t, ports, double.AWS, tokyo)
	state := aws.preview(clusterType, "main", props{
		"name": "main", "roleArn": unknown, "vpcConfig": props{"subnetIds": []any{"subnet-1", unknown}},
	})
	assert.Equal(t, "main", state["name"].StringValue())
	for _, key := range []string{"arn", "endpoint", "certificateAuthority", "identities", "status", "roleArn", "version"} {
		assert.True(t, state[resource.PropertyKey(key)].IsComputed(), key)
	}
	network := state["vpcConfig"].ObjectValue()
	assert.True(t, network["clusterSecurityGroupId"].IsComputed())
	assert.Equal(t, "subnet-1", network["subnetIds"].ArrayValue()[0].StringValue())
	assert.True(t, network["subnetIds"].ArrayValue()[1].IsComputed())
	assert.Empty(t, c.Objects())
	assert.Equal(t, 1, c.Calls()["aws:PreviewCreate"])
	assert.Zero(t, c.Calls()["aws:Create"])
}

func TestIDsAreTheSameInEveryCloud(t *testing.T) {
	t.Parallel()
	var seen []string
	for range 2 {
		_, ports := cloud(t)
		aws := connect(t, ports, double.AWS, tokyo)
		id, state := aws.create(vpcType, "main", props{"cidrBlock": "10.0.0.0/16"})
		assert.Regexp(t, `^vpc-[0-9a-f]{17}$`, id)
		assert.Equal(t, "arn:aws:ec2:ap-northeast-1:123456789012:vpc/"+id, state["arn"].StringValue())
		other, _ := aws.create(vpcType, "other", props{"cidrBlock": "10.0.0.0/16"})
		again, _ := aws.create(vpcType, "main", props{"cidrBlock": "10.1.0.0/16"}) // the replacement, before the old one goes
		assert.NotEqual(t, id, other)
		assert.NotEqual(t, id, again)
		seen = append(seen, id+other+again)
	}
	assert.Equal(t, seen[0], seen[1])
}

func TestClusterOutputs(t *testing.T) {
	t.Parallel()
	_, ports := cloud(t)
	aws := connect(t, ports, double.AWS, tokyo)
	vpc, _ := aws.create(vpcType, "main", props{"cidrBlock": "10.0.0.0/16"})
	subnet, _ := aws.create(subnetType, "a", props{"vpcId": vpc, "cidrBlock": "10.0.0.0/24", "availabilityZone": "ap-northeast-1a"})
	id, state := aws.create(clusterType, "main", props{
		"name": "main", "roleArn": "arn:aws:iam::123456789012:role/r", "vpcConfig": props{"subnetIds": []any{subnet}},
	})
	assert.Equal(t, "main", id)
	endpoint := state["endpoint"].StringValue()
	match := regexp.MustCompile(`^https://([0-9A-F]{32})\.gr7\.ap-northeast-1\.eks\.amazonaws\.com$`).FindStringSubmatch(endpoint)
	require.NotNil(t, match, endpoint)
	issuer := state["identities"].ArrayValue()[0].ObjectValue()["oidcs"].ArrayValue()[0].ObjectValue()["issuer"].StringValue()
	assert.Equal(t, "https://oidc.eks.ap-northeast-1.amazonaws.com/id/"+match[1], issuer)
	certificate, err := base64.StdEncoding.DecodeString(state["certificateAuthority"].ObjectValue()["data"].StringValue())
	require.NoError(t, err)
	assert.Contains(t, string(certificate), "BEGIN CERTIFICATE")
	assert.Equal(t, "ACTIVE", state["status"].StringValue())
	assert.Equal(t, vpc, state["vpcConfig"].ObjectValue()["vpcId"].StringValue())

	provider, output := aws.create("aws:iam/openIdConnectProvider:OpenIdConnectProvider", "main", props{"url": issuer})
	assert.Equal(t, "arn:aws:iam::123456789012:oidc-provider/oidc.eks.ap-northeast-1.amazonaws.com/id/"+match[1], provider)
	assert.Equal(t, "oidc.eks.ap-northeast-1.amazonaws.com/id/"+match[1], output["url"].StringValue())
}

func TestUpdateKeepsOutputs(t *testing.T) {
	t.Parallel()
	_, ports := cloud(t)
	aws := connect(t, ports, double.AWS, tokyo)
	old := props{"name": "main", "roleArn": "r", "version": "1.35", "vpcConfig": props{"subnetIds": []any{"subnet-1"}}}
	now := props{"name": "main", "roleArn": "r", "version": "1.36", "vpcConfig": props{"subnetIds": []any{"subnet-1"}}}
	id, state := aws.create(clusterType, "main", old)

	preview := aws.change(clusterType, "main", id, state, old, now, true)
	assert.Equal(t, state["endpoint"], preview["endpoint"])
	assert.Equal(t, state["vpcConfig"], preview["vpcConfig"])
	assert.Equal(t, "1.36", preview["version"].StringValue())
	assert.True(t, preview["platformVersion"].IsComputed(), "it follows the version")

	after := aws.change(clusterType, "main", id, state, old, now, false)
	assert.Equal(t, state["endpoint"], after["endpoint"])
	assert.Equal(t, "eks.1", after["platformVersion"].StringValue())
}

func TestLaunchTemplateCountsItsVersions(t *testing.T) {
	t.Parallel()
	_, ports := cloud(t)
	aws := connect(t, ports, double.AWS, tokyo)
	old := props{"name": "spot", "instanceType": "m7i.large", "updateDefaultVersion": true}
	id, state := aws.create(ltType, "spot", old)
	assert.InDelta(t, 1, state["latestVersion"].NumberValue(), 0)

	now := props{"name": "spot", "instanceType": "m7i.xlarge", "updateDefaultVersion": true}
	assert.True(t, aws.change(ltType, "spot", id, state, old, now, true)["latestVersion"].IsComputed())
	after := aws.change(ltType, "spot", id, state, old, now, false)
	assert.InDelta(t, 2, after["latestVersion"].NumberValue(), 0)
	assert.InDelta(t, 2, after["defaultVersion"].NumberValue(), 0)

	tagged := props{"name": "spot", "instanceType": "m7i.xlarge", "updateDefaultVersion": true, "tags": props{"a": "b"}}
	after = aws.change(ltType, "spot", id, after, now, tagged, false)
	assert.InDelta(t, 2, after["latestVersion"].NumberValue(), 0)
}

func TestNamesAreMadeAndKept(t *testing.T) {
	t.Parallel()
	_, ports := cloud(t)
	aws := connect(t, ports, double.AWS, tokyo)
	for _, one := range []struct{ typ, name, property, want string }{
		{roleType, "node", "name", `^node-[0-9a-f]{7}$`},
		{bucketType, "Blocks", "bucket", `^blocks-[0-9a-f]{7}$`},
		{"aws:kms/alias:Alias", "key", "name", `^alias/key-[0-9a-f]{7}$`},
		{groupType, "spot", "nodeGroupName", `^spot-[0-9a-f]{7}$`},
	} {
		first := aws.read(aws.checked(one.typ, one.name, nil))
		assert.Regexp(t, one.want, first[resource.PropertyKey(one.property)].StringValue())
		again, err := aws.Check(t.Context(), &pulumirpc.CheckRequest{
			Urn: urn(one.typ, one.name), Olds: aws.checked(one.typ, one.name, nil), News: aws.wire(nil),
		})
		require.NoError(t, err)
		assert.Equal(t, first, aws.read(again.GetInputs()))
	}
	given := aws.read(aws.checked(roleType, "node", props{"namePrefix": "node-"}))
	assert.NotContains(t, given, resource.PropertyKey("name"))
	made, _ := aws.create(roleType, "node", nil)
	next := aws.read(aws.checked(roleType, "node", nil)) // for the replacement, while the old one stands
	assert.NotEqual(t, made, next["name"].StringValue())
}

func TestTagsAll(t *testing.T) {
	t.Parallel()
	_, ports := cloud(t)
	for _, defaults := range []any{props{"tags": props{"stack": "dev", "team": "a"}}, `{"tags":{"stack":"dev","team":"a"}}`} {
		aws := connect(t, ports, double.AWS, props{"region": "ap-northeast-1", "defaultTags": defaults})
		inputs := aws.read(aws.checked(vpcType, "main", props{"tags": props{"team": "b"}}))
		assert.Equal(t, props{"stack": "dev", "team": "b"}, inputs["tagsAll"].Mappable())
		_, state := aws.create(vpcType, "main", nil)
		assert.Equal(t, props{"stack": "dev", "team": "a"}, state["tagsAll"].Mappable())
		untagged := aws.read(aws.checked("aws:ec2/route:Route", "r", nil))
		assert.NotContains(t, untagged, resource.PropertyKey("tagsAll"))
		assert.True(t, aws.read(aws.checked(vpcType, "u", props{"tags": props{"a": unknown}}))["tagsAll"].IsComputed())
	}
}

func TestNamesAreUnique(t *testing.T) {
	t.Parallel()
	for _, one := range []struct {
		typ    string
		inputs props
		want   string
	}{
		{bucketType, props{"bucket": "b"}, "BucketAlreadyOwnedByYou"},
		{tableType, props{"name": "t"}, "ResourceInUseException: Table already exists: t"},
		{roleType, props{"name": "r"}, "EntityAlreadyExists: Role with name r already exists."},
		{clusterType, props{"name": "c"}, "ResourceInUseException: Cluster already exists with name: c"},
		{"aws:eks/addon:Addon", props{"clusterName": "main", "addonName": "coredns"}, "ResourceInUseException: Addon already exists"},
		{"aws:kms/alias:Alias", props{"name": "alias/a"}, "AlreadyExistsException"},
		{"aws:iam/openIdConnectProvider:OpenIdConnectProvider", props{"url": "https://x.io/id"}, "EntityAlreadyExists"},
		{"aws:cloudwatch/logGroup:LogGroup", props{"name": "g"}, "ResourceAlreadyExistsException"},
	} {
		t.Run(one.typ, func(t *testing.T) {
			t.Parallel()
			c, ports := cloud(t)
			c.Put(clusterType, "main", nil)
			aws := connect(t, ports, double.AWS, tokyo)
			aws.create(one.typ, "first", one.inputs)
			_, _, err := aws.tryCreate(one.typ, "second", one.inputs)
			require.ErrorContains(t, err, one.want)
		})
	}
}

func TestRegionsAreApart(t *testing.T) {
	t.Parallel()
	_, ports := cloud(t)
	connect(t, ports, double.AWS, tokyo).create(tableType, "t", props{"name": "t"})
	_, state := connect(t, ports, double.AWS, props{"region": "eu-west-1"}).create(tableType, "t", props{"name": "t"})
	assert.Equal(t, "arn:aws:dynamodb:eu-west-1:123456789012:table/t", state["arn"].StringValue())
}

func TestOrderIsHeld(t *testing.T) {
	t.Parallel()
	_, ports := cloud(t)
	aws := connect(t, ports, double.AWS, tokyo)
	_, _, err := aws.tryCreate("aws:eks/addon:Addon", "dns", props{"clusterName": "main", "addonName": "coredns"})
	require.ErrorContains(t, err, `clusterName "main" does not exist`)

	vpc, _ := aws.create(vpcType, "main", nil)
	subnet, _ := aws.create(subnetType, "a", props{"vpcId": vpc})
	_, err = aws.Delete(t.Context(), &pulumirpc.DeleteRequest{Urn: urn(vpcType, "main"), Id: vpc})
	require.ErrorContains(t, err, "DependencyViolation")
	for _, one := range []struct{ typ, name, id string }{{subnetType, "a", subnet}, {vpcType, "main", vpc}, {vpcType, "main", vpc}} {
		_, err = aws.Delete(t.Context(), &pulumirpc.DeleteRequest{Urn: urn(one.typ, one.name), Id: one.id})
		require.NoError(t, err)
	}
}

func TestProtectedTableStays(t *testing.T) {
	t.Parallel()
	c, ports := cloud(t)
	aws := connect(t, ports, double.AWS, tokyo)
	id, _ := aws.create(tableType, "t", props{"name": "t", "deletionProtectionEnabled": true})
	_, err := aws.Delete(t.Context(), &pulumirpc.DeleteRequest{Urn: urn(tableType, "t"), Id: id})
	require.ErrorContains(t, err, "protected against deletion")
	assert.Len(t, c.Objects(), 1)
}

func TestReadsOfWhatIsOutside(t *testing.T) {
	t.Parallel()
	c, ports := cloud(t)
	aws := connect(t, ports, double.AWS, tokyo)
	get := func(typ, id string) *pulumirpc.ReadResponse {
		response, err := aws.Read(t.Context(), &pulumirpc.ReadRequest{Urn: urn(typ, "x"), Id: id})
		require.NoError(t, err)
		return response
	}
	assert.Equal(t, "arn:aws:s3:::logs", aws.read(get(bucketType, "logs").GetProperties())["arn"].StringValue())
	table := aws.read(get(tableType, "index").GetProperties())
	assert.Equal(t, "arn:aws:dynamodb:ap-northeast-1:123456789012:table/index", table["arn"].StringValue())
	assert.Equal(t, "h", table["hashKey"].StringValue())
	assert.Equal(t, "10.0.0.0/16", aws.read(get(vpcType, "vpc-1").GetProperties())["cidrBlock"].StringValue())
	cluster := aws.read(get(clusterType, "old").GetProperties())
	assert.Contains(t, cluster["endpoint"].StringValue(), ".gr7.ap-northeast-1.eks.amazonaws.com")
	assert.Empty(t, c.Objects(), "what is read is not made")
	aws.create("aws:eks/addon:Addon", "dns", props{"clusterName": "old", "addonName": "coredns"}) // what was read exists

	c.Put(subnetType, "subnet-1", resource.NewPropertyMapFromMap(props{"vpcId": "vpc-1", "availabilityZone": "ap-northeast-1c"}))
	subnet := aws.read(get(subnetType, "subnet-1").GetProperties())
	assert.Equal(t, "ap-northeast-1c", subnet["availabilityZone"].StringValue())
	assert.True(t, c.Remove(subnetType, "subnet-1"))
	assert.Empty(t, get(subnetType, "subnet-1").GetId())
}

func TestUnknownTypesAreListed(t *testing.T) {
	t.Parallel()
	c, ports := cloud(t)
	aws := connect(t, ports, double.AWS, tokyo)
	id, state := aws.create("aws:sqs/queue:Queue", "q", props{"name": "q"})
	assert.Regexp(t, `^queue-[0-9a-f]{17}$`, id)
	assert.Equal(t, "arn:aws:sqs:ap-northeast-1:123456789012:queue/"+id, state["arn"].StringValue())
	aws.create(vpcType, "main", nil)
	assert.Equal(t, []string{"aws:sqs/queue:Queue"}, c.Unknown())
}

func TestAWSDiff(t *testing.T) {
	t.Parallel()
	_, ports := cloud(t)
	aws := connect(t, ports, double.AWS, tokyo)
	none := func(typ string, old, now props) {
		t.Helper()
		assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, aws.compare(typ, "x", old, now).GetChanges())
	}
	none(roleType, nil, nil)
	none(roleType, props{"assumeRolePolicy": `{"a": 1}`}, props{"assumeRolePolicy": `{"a":1}`})
	none(groupType, props{"subnetIds": []any{"a", "b"}}, props{"subnetIds": []any{"b", "a"}})

	changed := aws.compare(groupType, "x", props{"instanceTypes": []any{"a", "b"}}, props{"instanceTypes": []any{"b", "a"}})
	assert.Equal(t, []string{"instanceTypes"}, changed.GetReplaces())
	assert.False(t, changed.GetDeleteBeforeReplace(), "the name is made")
	assert.Equal(t, pulumirpc.PropertyDiff_UPDATE_REPLACE, changed.GetDetailedDiff()["instanceTypes[0]"].GetKind())

	named := aws.compare(roleType, "x", props{"name": "r", "path": "/a/"}, props{"name": "r", "path": "/b/"})
	assert.True(t, named.GetDeleteBeforeReplace(), "the name is given")

	plain := aws.compare(vpcType, "x", props{"tags": props{"a.b": "1"}}, props{"tags": props{"a.b": "2"}})
	assert.Empty(t, plain.GetReplaces())
	assert.Equal(t, []string{"tags", "tagsAll"}, plain.GetDiffs())
	assert.Equal(t, pulumirpc.PropertyDiff_UPDATE, plain.GetDetailedDiff()[`tags["a.b"]`].GetKind())

	unsure := aws.compare(subnetType, "x", props{"vpcId": "vpc-1"}, props{"vpcId": unknown})
	assert.Equal(t, []string{"vpcId"}, unsure.GetReplaces())

	scaled := props{"scalingConfig": props{"desiredSize": 2, "maxSize": 5}}
	ignored := aws.compare(groupType, "x", props{"scalingConfig": props{"desiredSize": 1, "maxSize": 5}}, scaled, "scalingConfig.desiredSize")
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, ignored.GetChanges())
}

func TestAWSDiffConfig(t *testing.T) {
	t.Parallel()
	_, ports := cloud(t)
	aws := connect(t, ports, double.AWS, nil)
	diff := func(old, now props) *pulumirpc.DiffResponse {
		response, err := aws.DiffConfig(t.Context(), &pulumirpc.DiffRequest{Olds: aws.wire(old), News: aws.wire(now)})
		require.NoError(t, err)
		return response
	}
	assert.Equal(t, []string{"region"}, diff(props{"region": "a"}, props{"region": "b"}).GetReplaces())
	assert.Empty(t, diff(props{"profile": "a"}, props{"profile": "b"}).GetReplaces())
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, diff(props{"region": "a"}, props{"region": "a"}).GetChanges())
}

func TestInvokes(t *testing.T) {
	t.Parallel()
	_, ports := cloud(t)
	aws := connect(t, ports, double.AWS, tokyo)
	ask := func(token string, args props) resource.PropertyMap {
		t.Helper()
		response, err := aws.Invoke(t.Context(), &pulumirpc.InvokeRequest{Tok: token, Args: aws.wire(args)})
		require.NoError(t, err)
		return aws.read(response.GetReturn())
	}
	assert.Equal(t, "123456789012", ask("aws:index/getCallerIdentity:getCallerIdentity", nil)["accountId"].StringValue())
	assert.Equal(t, "ap-northeast-1", ask("aws:index/getRegion:getRegion", nil)["name"].StringValue())
	partition := ask("aws:index/getPartition:getPartition", nil)
	assert.Equal(t, "aws", partition["partition"].StringValue())
	assert.Equal(t, "com.amazonaws", partition["reverseDnsPrefix"].StringValue())
	zones := ask("aws:index/getAvailabilityZones:getAvailabilityZones", nil)
	assert.Equal(t, []any{"ap-northeast-1a", "ap-northeast-1b", "ap-northeast-1c"}, zones["names"].Mappable())
	assert.Equal(t, []any{"apne1-az1", "apne1-az2", "apne1-az3"}, zones["zoneIds"].Mappable())
	assert.True(t, ask("aws:eks/getClusterAuth:getClusterAuth", props{"name": "main"})["token"].IsSecret())

	vpc, _ := aws.create(vpcType, "main", props{"cidrBlock": "10.9.0.0/16"})
	assert.Equal(t, "10.9.0.0/16", ask("aws:ec2/getVpc:getVpc", props{"id": vpc})["cidrBlock"].StringValue())
	subnet, _ := aws.create(subnetType, "a", props{"vpcId": vpc})
	listed := ask("aws:ec2/getSubnets:getSubnets", props{"filters": []any{props{"name": "vpc-id", "values": []any{vpc}}}})
	assert.Equal(t, []any{subnet}, listed["ids"].Mappable())

	_, err := aws.Invoke(t.Context(), &pulumirpc.InvokeRequest{Tok: "aws:ec2/getAmi:getAmi"})
	require.ErrorContains(t, err, "aws:ec2/getAmi:getAmi")
}
