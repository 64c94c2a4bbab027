package double_test

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/kansoku/kansoku/internal/offline/double"
)

type (
	props  = map[string]any
	client struct {
		pulumirpc.ResourceProviderClient

		t *testing.T
	}
)

// cloud is a served cloud; the ports are by package.
func cloud(t *testing.T) (*double.Cloud, map[string]string) {
	t.Helper()
	c := double.New()
	value, err := c.Serve()
	require.NoError(t, err)
	t.Cleanup(c.Close)
	ports := map[string]string{}
	for one := range strings.SplitSeq(value, ",") {
		pkg, port, _ := strings.Cut(one, ":")
		ports[pkg] = port
	}
	return c, ports
}

// connect opens a connection of its own, as the engine does for each provider resource, and configures it.
func connect(t *testing.T, ports map[string]string, pkg string, config props) client {
	t.Helper()
	conn, err := grpc.NewClient("127.0.0.1:"+ports[pkg], grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	c := client{pulumirpc.NewResourceProviderClient(conn), t}
	_, err = c.Configure(t.Context(), &pulumirpc.ConfigureRequest{Args: c.wire(config), AcceptSecrets: true})
	require.NoError(t, err)
	return c
}

var (
	unknown = resource.MakeComputed(resource.NewStringProperty(""))
	options = plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true}
)

func secret(value any) resource.PropertyValue {
	return resource.MakeSecret(resource.NewPropertyValue(value))
}

func urn(typ, name string) string { return "urn:pulumi:dev::kansoku::" + typ + "::" + name }

func (c client) wire(m props) *structpb.Struct {
	c.t.Helper()
	written, err := plugin.MarshalProperties(resource.NewPropertyMapFromMap(m), options)
	require.NoError(c.t, err)
	return written
}

func (c client) read(m *structpb.Struct) resource.PropertyMap {
	c.t.Helper()
	read, err := plugin.UnmarshalProperties(m, options)
	require.NoError(c.t, err)
	return read
}

// checked are the inputs as Check returns them for a new object.
func (c client) checked(typ, name string, inputs props) *structpb.Struct {
	c.t.Helper()
	response, err := c.Check(c.t.Context(), &pulumirpc.CheckRequest{Urn: urn(typ, name), News: c.wire(inputs)})
	require.NoError(c.t, err)
	require.Empty(c.t, response.GetFailures())
	return response.GetInputs()
}

// create checks and creates.
func (c client) create(typ, name string, inputs props) (string, resource.PropertyMap) {
	c.t.Helper()
	id, state, err := c.tryCreate(typ, name, inputs)
	require.NoError(c.t, err)
	return id, state
}

func (c client) tryCreate(typ, name string, inputs props) (string, resource.PropertyMap, error) {
	c.t.Helper()
	request := &pulumirpc.CreateRequest{Urn: urn(typ, name), Properties: c.checked(typ, name, inputs)}
	response, err := c.Create(c.t.Context(), request)
	if err != nil {
		return "", nil, err
	}
	return response.GetId(), c.read(response.GetProperties()), nil
}

func (c client) preview(typ, name string, inputs props) resource.PropertyMap {
	c.t.Helper()
	request := &pulumirpc.CreateRequest{Urn: urn(typ, name), Properties: c.checked(typ, name, inputs), Preview: true}
	response, err := c.Create(c.t.Context(), request)
	require.NoError(c.t, err)
	require.Empty(c.t, response.GetId())
	return c.read(response.GetProperties())
}

// change previews or makes an update of what was created with old.
func (c client) change(typ, name, id string, state resource.PropertyMap, old, now props, preview bool) resource.PropertyMap {
	c.t.Helper()
	written, err := plugin.MarshalProperties(state, options)
	require.NoError(c.t, err)
	before := c.checked(typ, name, old)
	response, err := c.Check(c.t.Context(), &pulumirpc.CheckRequest{Urn: urn(typ, name), Olds: before, News: c.wire(now)})
	require.NoError(c.t, err)
	updated, err := c.Update(c.t.Context(), &pulumirpc.UpdateRequest{
		Urn: urn(typ, name), Id: id, Olds: written, OldInputs: before, News: response.GetInputs(), Preview: preview,
	})
	require.NoError(c.t, err)
	return c.read(updated.GetProperties())
}

// compare diffs two sets of inputs, both checked, the second with the first as old.
func (c client) compare(typ, name string, old, now props, ignore ...string) *pulumirpc.DiffResponse {
	c.t.Helper()
	before := c.checked(typ, name, old)
	after, err := c.Check(c.t.Context(), &pulumirpc.CheckRequest{Urn: urn(typ, name), Olds: before, News: c.wire(now)})
	require.NoError(c.t, err)
	response, err := c.Diff(c.t.Context(), &pulumirpc.DiffRequest{
		Urn: urn(typ, name), Id: "id", OldInputs: before, Olds: before, News: after.GetInputs(), IgnoreChanges: ignore,
	})
	require.NoError(c.t, err)
	return response
}
