// Package provider serves the components to programs in any language, as the Pulumi package "kansoku": the same Args, the same type tokens
// and so the same URNs as in Go. What a program sees of them is schema.json, which a test generates from the Go types and their comments and
// which is served as it stands. It holds no defaults but in descriptions: a default that an SDK filled in would overrule what
// Monitoring derives from its size.
//
// Left out are parts whose outputs only Go can pass on, because the next part is built from them: infra's Network, Cluster, NodeGroups and
// Addons (subnets, providers, node groups). Of Monitoring's Args, CRDProvider cannot cross: set existingCrds, and create
// kansoku:operator:CRDs with the provider of your choice before. Dashboards of package dashboards come with Monitoring; they are no
// component.
package provider

import (
	"context"
	_ "embed"
	"fmt"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	host "github.com/pulumi/pulumi/pkg/v3/resource/provider"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// Name of the package: the first part of every type token.
const Name = "kansoku"

// Version of the package. One that comes from a git repository takes the tag, or the commit, in its place.
const Version = "0.1.0"

//go:embed schema.json
var schemaJSON string

// Main serves the provider until the engine that started this process is done with it.
func Main() error {
	if err := host.MainContext(context.Background(), Name, NewServer); err != nil {
		return fmt.Errorf("serving the package %s: %w", Name, err)
	}
	return nil
}

// NewServer makes the provider's server for an engine; without one (nil) until the engine attaches itself.
func NewServer(engine *host.HostClient) (pulumirpc.ResourceProviderServer, error) {
	provider := infer.Provider(infer.Options{Components: components()})
	provider.GetSchema = func(context.Context, p.GetSchemaRequest) (p.GetSchemaResponse, error) {
		return p.GetSchemaResponse{Schema: schemaJSON}, nil
	}
	served, err := p.RawServer(Name, Version, provider)(engine)
	if err != nil {
		return nil, fmt.Errorf("making the server: %w", err)
	}
	return &server{served}, nil
}

// server hands on aliases that are given by name, type or parent as URNs: the framework drops them otherwise, and with them everything
// below a renamed component would be replaced.
type server struct {
	pulumirpc.ResourceProviderServer
}

// Construct implements pulumirpc.ResourceProviderServer.
func (s *server) Construct(ctx context.Context, request *pulumirpc.ConstructRequest) (*pulumirpc.ConstructResponse, error) {
	for i, alias := range request.GetAliases() {
		if spec := alias.GetSpec(); spec != nil {
			request.Aliases[i] = &pulumirpc.Alias{Alias: &pulumirpc.Alias_Urn{Urn: string(aliasURN(request, spec))}}
		}
	}
	return s.ResourceProviderServer.Construct(ctx, request) //nolint:wrapcheck // the status is for the engine
}

func aliasURN(request *pulumirpc.ConstructRequest, spec *pulumirpc.Alias_Spec) resource.URN {
	or := func(given, own string) string {
		if given == "" {
			return own
		}
		return given
	}
	parent := resource.URN(or(spec.GetParentUrn(), request.GetParent()))
	var below tokens.Type
	if parent != "" && !spec.GetNoParent() {
		below = parent.QualifiedType()
	}
	return resource.NewURN(tokens.QName(or(spec.GetStack(), request.GetStack())), tokens.PackageName(or(spec.GetProject(), request.GetProject())),
		below, tokens.Type(or(spec.GetType(), request.GetType())), or(spec.GetName(), request.GetName()))
}
