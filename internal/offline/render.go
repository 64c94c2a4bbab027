package offline

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/tokens"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Render runs the program without the engine, against mocks that echo what they are given, and writes its Kubernetes objects as one YAML
// stream in the order of WriteFiles; it returns their number. Ids and ARNs are stand-ins, so the output serves to measure and to look at,
// not to apply. It takes neither the CLI nor Node.
func Render(options Options, w io.Writer) (int, error) {
	registered, err := register(options)
	if err != nil {
		return 0, err
	}
	objects := manifests(&apitype.DeploymentV3{Resources: registered}, false)
	var b bytes.Buffer
	for _, one := range objects {
		content, err := one.yaml()
		if err != nil {
			return 0, err
		}
		b.WriteString("---\n")
		b.Write(content)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return 0, fmt.Errorf("writing the objects: %w", err)
	}
	return len(objects), nil
}

func withProject(options Options) Options {
	options.Project = cmp.Or(options.Project, ".")
	return options
}

// register runs the program against mocks and returns what it registers.
func register(options Options) ([]apitype.ResourceV3, error) {
	project, config, err := readProject(withProject(options))
	if err != nil {
		return nil, err
	}
	values, err := config.flat()
	if err != nil {
		return nil, err
	}
	m := &mocked{project: string(project.Name), stack: options.Stack}
	program := options.Program(config.keys())
	err = pulumi.RunErr(func(ctx *pulumi.Context) error {
		if adopted := m.adoptCluster(ctx); adopted != nil {
			return adopted
		}
		return program(ctx)
	}, pulumi.WithMocks(m.project, m.stack, m), func(info *pulumi.RunInfo) {
		info.Config, info.ConfigSecretKeys = values, sortedKeys(config.secrets)
	})
	if err != nil {
		return nil, fmt.Errorf("running the program against mocks: %w", err)
	}
	return m.resources, nil
}

// mocked answers every registration at once and keeps it as a state would.
type mocked struct {
	project, stack string

	mu        sync.Mutex
	resources []apitype.ResourceV3
}

// eksCluster is the name of the resource that the mocks return as pulumi-eks' eksCluster: a resource-valued output must name one that is
// registered.
const eksCluster = "mocked"

func (m *mocked) adoptCluster(ctx *pulumi.Context) error {
	var cluster struct{ pulumi.CustomResourceState }
	if err := ctx.RegisterResource("aws:eks/cluster:Cluster", eksCluster, nil, &cluster); err != nil {
		return fmt.Errorf("registering the mocked cluster: %w", err)
	}
	// Wait until it is there.
	registered := make(chan struct{})
	cluster.URN().ApplyT(func(pulumi.URN) int { close(registered); return 0 })
	<-registered
	return nil
}

// NewResource implements pulumi.MockResourceMonitor.
func (m *mocked) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	one := apitype.ResourceV3{
		Custom: args.Custom, Type: tokens.Type(args.TypeToken), External: args.ID != "",
		Inputs: args.Inputs.MapRepl(nil, plainSecret),
	}
	if rpc := args.RegisterRPC; rpc != nil {
		one.Custom, one.Parent, one.Provider = rpc.GetCustom(), resource.URN(rpc.GetParent()), rpc.GetProvider()
		for _, urn := range rpc.GetDependencies() {
			one.Dependencies = append(one.Dependencies, resource.URN(urn))
		}
	}
	one.URN = m.urn(one.Parent, args.TypeToken, args.Name)

	outputs := args.Inputs.Copy()
	maps.Copy(outputs, m.computed(args))
	id := args.ID
	if id == "" && one.Custom {
		id = args.Name + "-id"
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.resources = append(m.resources, one)
	return id, outputs, nil
}

// computed are outputs that programs look into.
func (m *mocked) computed(args pulumi.MockResourceArgs) resource.PropertyMap {
	outputs := map[string]any{}
	if strings.HasPrefix(args.TypeToken, "aws:") {
		outputs["arn"] = "arn:aws:mocked:" + args.Name
		outputs["name"] = args.Name
	}
	switch args.TypeToken {
	case "aws:eks/cluster:Cluster":
		outputs["endpoint"] = "https://mocked.gr7.mocked-1.eks.amazonaws.com"
		outputs["certificateAuthority"] = map[string]any{"data": "bW9ja2Vk"}
		outputs["identities"] = []any{map[string]any{"oidcs": []any{map[string]any{"issuer": "https://oidc.eks.mocked-1.amazonaws.com/id/MOCKED"}}}}
		outputs["vpcConfig"] = map[string]any{"clusterSecurityGroupId": "sg-mocked"}
	case "aws:eks/nodeGroup:NodeGroup":
		outputs["resources"] = []any{map[string]any{"autoscalingGroups": []any{map[string]any{"name": "eks-" + args.Name}}}}
	case "aws:iam/openIdConnectProvider:OpenIdConnectProvider":
		outputs["url"] = "oidc.eks.mocked-1.amazonaws.com/id/MOCKED"
	case "random:index/randomPassword:RandomPassword":
		outputs["result"] = "mocked"
	}
	computed := resource.NewPropertyMapFromMap(outputs)
	if args.Inputs.HasValue("name") {
		delete(computed, "name")
	}
	if args.TypeToken == "eks:index:Cluster" {
		computed["eksCluster"] = resource.MakeCustomResourceReference(m.urn("", "aws:eks/cluster:Cluster", eksCluster), eksCluster+"-id", "")
	}
	return computed
}

// Call implements pulumi.MockResourceMonitor.
func (m *mocked) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	answer := args.Args.Copy()
	maps.Copy(answer, resource.NewPropertyMapFromMap(map[string]any{
		"id": "mocked", "accountId": "123456789012", "partition": "aws", "dnsSuffix": "amazonaws.com", "name": "mocked",
		"arn": "arn:aws:mocked", "json": "{}",
	}))
	return answer, nil
}

// urn is the one that the SDK's mock monitor gives.
func (m *mocked) urn(parent resource.URN, token, name string) resource.URN {
	var parentType tokens.Type
	if parent != "" && parent.QualifiedType() != "pulumi:pulumi:Stack" {
		parentType = parent.QualifiedType()
	}
	return resource.NewURN(tokens.QName(m.stack), tokens.PackageName(m.project), parentType, tokens.Type(token), name)
}

// plainSecret keeps secrets marked as a state does, and drops outputs' dependencies.
func plainSecret(value resource.PropertyValue) (any, bool) {
	switch {
	case value.IsSecret():
		return redact(value.SecretValue().Element.MapRepl(nil, plainSecret)), true
	case value.IsOutput():
		return value.OutputValue().Element.MapRepl(nil, plainSecret), true
	}
	return nil, false
}
