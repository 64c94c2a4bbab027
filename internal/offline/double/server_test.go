package double_test

import (
	"strconv"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/kansoku/kansoku/internal/offline/double"
)

func TestFailures(t *testing.T) {
	t.Parallel()
	c, ports := cloud(t)
	aws := connect(t, ports, double.AWS, tokyo)
	var asked []int
	c.FailCreate(func(typ, name string, attempt int) double.Failure {
		if typ != roleType || name != "r" {
			return double.None
		}
		_ = c.Objects() // the function may look at the cloud
		asked = append(asked, attempt)
		return map[int]double.Failure{1: double.Before, 2: double.After}[attempt]
	})
	_, _, err := aws.tryCreate(roleType, "r", props{"name": "r"})
	require.ErrorContains(t, err, "nothing was created")
	assert.Empty(t, c.Objects())

	_, _, err = aws.tryCreate(roleType, "r", props{"name": "r"})
	require.Error(t, err)
	var partial *pulumirpc.ErrorResourceInitFailed
	for _, detail := range status.Convert(err).Details() {
		if one, ok := detail.(*pulumirpc.ErrorResourceInitFailed); ok {
			partial = one
		}
	}
	require.NotNil(t, partial)
	assert.Equal(t, "r", partial.GetId())
	assert.Len(t, partial.GetReasons(), 1)
	assert.Equal(t, "arn:aws:iam::123456789012:role/r", aws.read(partial.GetProperties())["arn"].StringValue())
	assert.Len(t, c.Objects(), 1)
	assert.Equal(t, []int{1, 2}, asked)

	c.FailCreate(nil)
	aws.create(roleType, "other", props{"name": "other"})
}

func TestConnectionsHaveTheirOwnConfiguration(t *testing.T) {
	t.Parallel()
	_, ports := cloud(t)
	first := connect(t, ports, double.AWS, tokyo)
	second := connect(t, ports, double.AWS, props{"region": "eu-west-1"})
	for _, one := range []struct {
		client client
		region string
	}{{first, "ap-northeast-1"}, {second, "eu-west-1"}, {first, "ap-northeast-1"}} {
		_, state := one.client.create(vpcType, "main", nil)
		assert.Contains(t, state["arn"].StringValue(), one.region)
	}
}

func TestObjectsAndReads(t *testing.T) {
	t.Parallel()
	c, ports := cloud(t)
	aws := connect(t, ports, double.AWS, tokyo)
	random := connect(t, ports, double.Random, nil)
	random.create("random:index/randomId:RandomId", "suffix", props{"byteLength": 4})
	bucket, state := aws.create(bucketType, "b", props{"bucket": "b"})
	vpc, _ := aws.create(vpcType, "v", nil)
	objects := c.Objects()
	require.Len(t, objects, 3)
	assert.Equal(t, []int{3, 2, 1}, []int{objects[0].Order, objects[1].Order, objects[2].Order})
	assert.Equal(t, vpc, objects[0].ID)
	assert.Equal(t, "aws", objects[1].Package)
	assert.Equal(t, resource.PropertyMap{"bucket": resource.NewStringProperty("b")}, objects[1].Inputs, "without bookkeeping")

	refresh := &pulumirpc.ReadRequest{
		Urn: urn(bucketType, "b"), Id: bucket, Properties: aws.wire(state.Mappable()), Inputs: aws.wire(props{"bucket": "b"}),
	}
	response, err := aws.Read(t.Context(), refresh)
	require.NoError(t, err)
	assert.Equal(t, bucket, response.GetId())
	assert.Equal(t, state, aws.read(response.GetProperties()))
	_, err = aws.Delete(t.Context(), &pulumirpc.DeleteRequest{Urn: urn(bucketType, "b"), Id: bucket})
	require.NoError(t, err)
	response, err = aws.Read(t.Context(), refresh)
	require.NoError(t, err)
	assert.Empty(t, response.GetId())
}

func TestSecretInputsGiveSecretOutputs(t *testing.T) {
	t.Parallel()
	_, ports := cloud(t)
	aws := connect(t, ports, double.AWS, tokyo)
	inputs := props{"name": "g", "kmsKeyId": secret("k"), "tags": props{"a": secret("b"), "c": "d"}}
	_, state := aws.create("aws:cloudwatch/logGroup:LogGroup", "g", inputs)
	assert.Equal(t, secret("k"), state["kmsKeyId"])
	assert.Equal(t, secret("b"), state["tags"].ObjectValue()["a"])
	assert.Equal(t, "d", state["tags"].ObjectValue()["c"].StringValue())
	assert.False(t, state["arn"].IsSecret())
}

func TestRandom(t *testing.T) {
	t.Parallel()
	const typ = "random:index/randomPassword:RandomPassword"
	var seen []resource.PropertyValue
	for range 2 {
		_, ports := cloud(t)
		random := connect(t, ports, double.Random, nil)
		preview := random.preview(typ, "admin", props{"length": 24, "special": false})
		assert.True(t, preview["result"].ContainsUnknowns())
		id, state := random.create(typ, "admin", props{"length": 24, "special": false})
		assert.Equal(t, "none", id)
		require.True(t, state["result"].IsSecret())
		assert.Regexp(t, `^[0-9A-Za-z]{24}$`, state["result"].SecretValue().Element.StringValue())
		_, again := random.create(typ, "admin", props{"length": 24, "special": false})
		assert.NotEqual(t, state["result"], again["result"], "a replacement has another value")
		seen = append(seen, state["result"])
		assert.Equal(t, []string{"keepers"}, random.compare(typ, "admin", nil, props{"keepers": props{"a": "b"}}).GetReplaces())

		id, state = random.create("random:index/randomString:RandomString", "s", props{"length": 5, "upper": false, "special": false})
		assert.Equal(t, id, state["result"].StringValue())
		assert.Regexp(t, `^[0-9a-z]{5}$`, id)
		_, state = random.create("random:index/randomId:RandomId", "i", props{"byteLength": 4, "prefix": "p-"})
		assert.Regexp(t, `^p-[0-9a-f]{8}$`, state["hex"].StringValue())
		id, _ = random.create("random:index/randomPet:RandomPet", "p", props{"length": 3, "prefix": "x"})
		assert.Regexp(t, `^x-[a-z]+-[a-z]+-[a-z]+$`, id)
	}
	assert.Equal(t, seen[0], seen[1])
}

func TestPluginsGiveTheVersionsTheyDouble(t *testing.T) {
	t.Parallel()
	_, ports := cloud(t)
	for pkg, version := range map[string]string{double.AWS: "6.83.2", double.Kubernetes: "4.30.0", double.Random: "4.18.4"} {
		one := connect(t, ports, pkg, nil)
		info, err := one.GetPluginInfo(t.Context(), &emptypb.Empty{})
		require.NoError(t, err)
		assert.Equal(t, version, info.GetVersion())
		response, err := one.Configure(t.Context(), &pulumirpc.ConfigureRequest{})
		require.NoError(t, err)
		assert.True(t, response.GetSupportsPreview())
		assert.Equal(t, pkg == double.Kubernetes, response.GetAcceptSecrets())
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	c, ports := cloud(t)
	aws := connect(t, ports, double.AWS, tokyo)
	c.FailCreate(func(string, string, int) double.Failure { return double.None })
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			aws.create(vpcType, strconv.Itoa(i), nil)
			_ = c.Objects()
		})
	}
	all.Wait()
	assert.Len(t, c.Objects(), 20)
	assert.Equal(t, 20, c.Calls()["aws:Create"])
}

func TestNilPropertiesAreNoError(t *testing.T) {
	t.Parallel()
	_, ports := cloud(t)
	aws := connect(t, ports, double.AWS, nil)
	for _, preview := range []bool{true, false} {
		_, err := aws.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn(vpcType, "main"), Preview: preview})
		require.NoError(t, err)
	}
	_, err := aws.Create(t.Context(), &pulumirpc.CreateRequest{Urn: urn(tableType, "main")})
	require.ErrorContains(t, err, "nothing to name it by")
}
