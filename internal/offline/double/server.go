package double

import (
	"context"
	"fmt"
	"strconv"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/util/rpcutil/rpcerror"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

// call is what a handler knows about the resource that it is asked for.
type call struct {
	urn        resource.URN
	typ, name  string
	config     resource.PropertyMap // of the provider instance
	region     string               // aws
	generation int                  // how many of this type and name were created before
	autonaming *pulumirpc.CheckRequest_AutonamingOptions
}

// identity is what ids are derived from: the type with those of its parents, the name, and how often it was made before, so that a
// replacement gets an id of its own. Project and stack have no part in it.
func (x *call) identity() []string {
	qualified := x.typ
	if x.urn != "" {
		qualified = string(x.urn.QualifiedType())
	}
	return []string{qualified, x.name, strconv.Itoa(x.generation)}
}

func (x *call) history() string {
	parts := x.identity()
	return parts[0] + "::" + parts[1]
}

// behaviour is what differs between the packages. The methods run under the cloud's lock.
type behaviour interface {
	version() string
	// accepts says which kinds of values the real provider wants on the wire.
	accepts() (secrets, resources bool)
	diffConfig(old, fresh resource.PropertyMap) *pulumirpc.DiffResponse
	check(c *Cloud, x *call, old, fresh resource.PropertyMap) (resource.PropertyMap, []*pulumirpc.CheckFailure, error)
	diff(c *Cloud, x *call, oldInputs, oldState, fresh resource.PropertyMap, ignore []string) *pulumirpc.DiffResponse
	// create returns the new object's key and state, or says why it cannot exist. It stores nothing.
	create(c *Cloud, x *call, inputs resource.PropertyMap) (objectKey, resource.PropertyMap, error)
	previewCreate(c *Cloud, x *call, inputs resource.PropertyMap) resource.PropertyMap
	// update returns the new state of what exists.
	update(c *Cloud, x *call, id string, old *Object, inputs resource.PropertyMap, preview bool) (resource.PropertyMap, error)
	// read invents an object that exists outside of the program; nil if there is none.
	read(c *Cloud, x *call, id string) *Object
	// remove says why an object cannot be deleted, and deletes it otherwise.
	remove(c *Cloud, x *call, id string, old *Object) error
	key(x *call, id string, state resource.PropertyMap) objectKey
	invoke(c *Cloud, x *call, token string, args resource.PropertyMap) (resource.PropertyMap, error)
}

// server speaks the provider protocol for one package.
type server struct {
	pulumirpc.UnimplementedResourceProviderServer

	cloud *Cloud
	pkg   string
	does  behaviour
	base  *instance // of calls that come without a connection
}

func (c *Cloud) server(pkg string) *server {
	does := map[string]behaviour{AWS: awsProvider{}, Kubernetes: kubernetesProvider{}, Random: randomProvider{}}[pkg]
	return &server{cloud: c, pkg: pkg, does: does, base: &instance{}}
}

// begin locks the cloud and counts the verb. The caller unlocks with the returned function.
func (s *server) begin(ctx context.Context, verb, urn string) (*call, func()) {
	s.cloud.mu.Lock()
	s.cloud.calls[s.pkg+":"+verb]++
	x := &call{urn: resource.URN(urn), config: s.instance(ctx).config}
	if urn != "" {
		x.typ, x.name = string(x.urn.Type()), x.urn.Name()
		x.generation = s.cloud.created[x.history()]
	}
	x.region = regionOf(x.config)
	return x, s.cloud.mu.Unlock
}

// GetPluginInfo returns the version of the real provider that is doubled.
func (s *server) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: s.does.version()}, nil
}

// Attach has nothing to do: the doubles do not call the engine.
func (s *server) Attach(context.Context, *pulumirpc.PluginAttach) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

// Cancel has nothing to do: no call takes time.
func (s *server) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

// GetSchema returns an empty schema.
func (s *server) GetSchema(context.Context, *pulumirpc.GetSchemaRequest) (*pulumirpc.GetSchemaResponse, error) {
	return &pulumirpc.GetSchemaResponse{Schema: fmt.Sprintf(`{"name":%q,"version":%q}`, s.pkg, s.does.version())}, nil
}

// CheckConfig accepts every configuration.
func (s *server) CheckConfig(_ context.Context, req *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	return &pulumirpc.CheckResponse{Inputs: req.GetNews()}, nil
}

// DiffConfig says whether a change of configuration replaces the provider, and with it every resource of it.
func (s *server) DiffConfig(_ context.Context, req *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	old, err := unmarshal(req.GetOlds())
	if err != nil {
		return nil, err
	}
	fresh, err := unmarshal(req.GetNews())
	if err != nil {
		return nil, err
	}
	return s.does.diffConfig(bareMap(old), bareMap(fresh)), nil
}

// Configure keeps the configuration for the connection.
func (s *server) Configure(ctx context.Context, req *pulumirpc.ConfigureRequest) (*pulumirpc.ConfigureResponse, error) {
	config, err := unmarshal(req.GetArgs())
	if err != nil {
		return nil, err
	}
	s.cloud.mu.Lock()
	defer s.cloud.mu.Unlock()
	s.cloud.calls[s.pkg+":Configure"]++
	s.instance(ctx).config = bareMap(config)
	secrets, resources := s.does.accepts()
	return &pulumirpc.ConfigureResponse{
		AcceptSecrets: secrets, AcceptResources: resources, SupportsPreview: true, SupportsAutonamingConfiguration: true,
	}, nil
}

// Check fills in names and defaults.
func (s *server) Check(ctx context.Context, req *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	old, err := unmarshal(req.GetOlds())
	if err != nil {
		return nil, err
	}
	fresh, err := unmarshal(req.GetNews())
	if err != nil {
		return nil, err
	}
	x, done := s.begin(ctx, "Check", req.GetUrn())
	defer done()
	x.autonaming = req.GetAutonaming()
	inputs, failures, err := s.does.check(s.cloud, x, old, fresh)
	if err != nil {
		return nil, err
	}
	annotate(inputs, fresh)
	written, err := marshal(inputs)
	return &pulumirpc.CheckResponse{Inputs: written, Failures: failures}, err
}

// Diff compares by property.
func (s *server) Diff(ctx context.Context, req *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	// Reading off the wire costs more than anything else here, and most resources of most operations have not changed.
	if proto.Equal(req.GetOldInputs(), req.GetNews()) {
		return &pulumirpc.DiffResponse{Changes: pulumirpc.DiffResponse_DIFF_NONE}, nil
	}
	oldInputs, err := unmarshal(req.GetOldInputs())
	if err != nil {
		return nil, err
	}
	oldState, err := unmarshal(req.GetOlds())
	if err != nil {
		return nil, err
	}
	fresh, err := unmarshal(req.GetNews())
	if err != nil {
		return nil, err
	}
	x, done := s.begin(ctx, "Diff", req.GetUrn())
	defer done()
	return s.does.diff(s.cloud, x, oldInputs, oldState, fresh, req.GetIgnoreChanges()), nil
}

// injected asks the function of FailCreate, without the lock, so that it may look at the cloud.
func (s *server) injected(urn resource.URN) Failure {
	s.cloud.mu.Lock()
	fail := s.cloud.fail
	typ, name := string(urn.Type()), urn.Name()
	s.cloud.attempts[typ+"::"+name]++
	attempt := s.cloud.attempts[typ+"::"+name]
	s.cloud.mu.Unlock()
	if fail == nil {
		return None
	}
	return fail(typ, name, attempt)
}

// Create makes an object, or answers what it would be.
func (s *server) Create(ctx context.Context, req *pulumirpc.CreateRequest) (*pulumirpc.CreateResponse, error) {
	inputs, err := unmarshal(req.GetProperties())
	if err != nil {
		return nil, err
	}
	if req.GetPreview() {
		x, done := s.begin(ctx, "PreviewCreate", req.GetUrn())
		defer done()
		state := s.does.previewCreate(s.cloud, x, inputs)
		annotate(state, inputs)
		response := &pulumirpc.CreateResponse{}
		response.Properties, err = marshal(state)
		return response, err
	}
	failure := s.injected(resource.URN(req.GetUrn()))
	x, done := s.begin(ctx, "Create", req.GetUrn())
	defer done()
	if failure == Before {
		return nil, rpcerror.Newf(codes.Unknown, "creating %s (%s): injected failure, nothing was created", x.typ, x.name)
	}
	key, state, err := s.does.create(s.cloud, x, inputs)
	if err != nil {
		return nil, rpcerror.New(codes.Unknown, err.Error())
	}
	annotate(state, inputs)
	written, err := marshal(state)
	if err != nil {
		return nil, err
	}
	verb := "create"
	if s.cloud.find(key) != nil {
		verb = "adopt"
	}
	s.cloud.put(x, key, verb, inputs, state)
	s.cloud.created[x.history()]++
	if failure == After {
		reason := fmt.Sprintf("creating %s (%s): injected failure, the object exists", x.typ, x.name)
		detail := &pulumirpc.ErrorResourceInitFailed{Id: key.id, Properties: written, Reasons: []string{reason}}
		return nil, rpcerror.WithDetails(rpcerror.New(codes.Unknown, reason), detail)
	}
	return &pulumirpc.CreateResponse{Id: key.id, Properties: written}, nil
}

// Read returns what is stored. What is not stored and comes without inputs is a get of something outside of the program.
func (s *server) Read(ctx context.Context, req *pulumirpc.ReadRequest) (*pulumirpc.ReadResponse, error) {
	state, err := unmarshal(req.GetProperties())
	if err != nil {
		return nil, err
	}
	x, done := s.begin(ctx, "Read", req.GetUrn())
	defer done()
	key := s.does.key(x, req.GetId(), state)
	one := s.cloud.find(key)
	if one == nil {
		one = s.cloud.external[key]
	}
	if one == nil && len(req.GetInputs().GetFields()) == 0 && !s.cloud.removed(key) {
		if one = s.does.read(s.cloud, x, req.GetId()); one != nil {
			s.cloud.external[key] = one
		}
	}
	if one == nil {
		return &pulumirpc.ReadResponse{}, nil
	}
	inputs, err := marshal(one.Inputs)
	if err != nil {
		return nil, err
	}
	written, err := marshal(one.State)
	return &pulumirpc.ReadResponse{Id: req.GetId(), Properties: written, Inputs: inputs}, err
}

// Update changes an object, or answers what it would be.
func (s *server) Update(ctx context.Context, req *pulumirpc.UpdateRequest) (*pulumirpc.UpdateResponse, error) {
	inputs, err := unmarshal(req.GetNews())
	if err != nil {
		return nil, err
	}
	oldState, err := unmarshal(req.GetOlds())
	if err != nil {
		return nil, err
	}
	oldInputs, err := unmarshal(req.GetOldInputs())
	if err != nil {
		return nil, err
	}
	verb := "Update"
	if req.GetPreview() {
		verb = "PreviewUpdate"
	}
	x, done := s.begin(ctx, verb, req.GetUrn())
	defer done()
	key := s.does.key(x, req.GetId(), oldState)
	old := s.cloud.find(key)
	if req.GetPreview() && old == nil {
		old = &Object{Inputs: oldInputs, State: oldState}
	}
	state, err := s.does.update(s.cloud, x, req.GetId(), old, inputs, req.GetPreview())
	if err != nil {
		return nil, rpcerror.New(codes.Unknown, err.Error())
	}
	annotate(state, inputs)
	written, err := marshal(state)
	if err == nil && !req.GetPreview() {
		s.cloud.put(x, key, "update", inputs, state)
	}
	return &pulumirpc.UpdateResponse{Properties: written}, err
}

// Delete removes an object. What is gone already is no error.
func (s *server) Delete(ctx context.Context, req *pulumirpc.DeleteRequest) (*emptypb.Empty, error) {
	state, err := unmarshal(req.GetProperties())
	if err != nil {
		return nil, err
	}
	x, done := s.begin(ctx, "Delete", req.GetUrn())
	defer done()
	old := s.cloud.find(s.does.key(x, req.GetId(), state))
	if old == nil {
		return &emptypb.Empty{}, nil
	}
	if err := s.does.remove(s.cloud, x, req.GetId(), old); err != nil {
		return nil, rpcerror.New(codes.Unknown, err.Error())
	}
	return &emptypb.Empty{}, nil
}

// Invoke answers the functions that programs call; an unanswered one is an error that names it.
func (s *server) Invoke(ctx context.Context, req *pulumirpc.InvokeRequest) (*pulumirpc.InvokeResponse, error) {
	args, err := unmarshal(req.GetArgs())
	if err != nil {
		return nil, err
	}
	x, done := s.begin(ctx, "Invoke", "")
	defer done()
	result, err := s.does.invoke(s.cloud, x, req.GetTok(), bareMap(args))
	if err != nil {
		return nil, rpcerror.New(codes.Unknown, err.Error())
	}
	written, err := marshal(result)
	return &pulumirpc.InvokeResponse{Return: written}, err
}
