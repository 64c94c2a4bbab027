package operator

import (
	"embed"
	"errors"
	"fmt"
	"sync"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	apiextensionsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions/v1"
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/utilities"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"sigs.k8s.io/yaml"
)

// The CRDs are made from the API types that the components compile against. bin/controller-gen is built from tools/controller-gen,
// which is also where the API module is found; without descriptions the CRDs are a quarter of their size.
//go:generate sh -c "rm -f crds/*.yaml"
//go:generate sh -c "cd ../../tools/controller-gen && ../../bin/controller-gen crd:crdVersions=v1,maxDescLen=0 paths=github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1 paths=github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1alpha1 output:crd:dir=../../components/operator/crds"

//go:embed crds/*.yaml
var crdFiles embed.FS

// apiVersion is the release of the API types that the CRDs were made from; go.mod has the same one.
const apiVersion = "0.92.0"

// The type tokens are part of every child's URN and must never change.
const crdsToken = "kansoku:operator:CRDs"

// CRDs are the Prometheus Operator's ten custom resource definitions.
type CRDs struct {
	pulumi.ResourceState

	// Definitions are what to depend on. Not the component: the SDK adds its children to it concurrently, and a dependency that is
	// resolved meanwhile misses some.
	Definitions []pulumi.Resource
	// Release of the operator that the definitions are of ("0.92.0").
	Release pulumi.StringOutput
}

// NewCRDs creates the definitions. They stay when the stack is destroyed: with a definition, Kubernetes deletes every object of its
// kind, also those of others. So the definitions may exist already, and the provider in opts should be one that adopts what exists.
func NewCRDs(ctx *pulumi.Context, name string, opts ...pulumi.ResourceOption) (*CRDs, error) {
	definitions, err := definitions()
	if err != nil {
		return nil, err
	}
	component := &CRDs{Release: pulumi.String(apiVersion).ToStringOutput()}
	if err := ctx.RegisterComponentResource(crdsToken, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering %s: %w", name, err)
	}
	childOpts := utilities.PkgResourceDefaultOpts([]pulumi.ResourceOption{pulumi.Parent(component), pulumi.RetainOnDelete(true)})
	for _, d := range definitions {
		var crd apiextensionsv1.CustomResourceDefinition
		// Untyped, because the typed arguments lose keys with hyphens (x-kubernetes-…).
		if err := ctx.RegisterResource("kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition", d.name,
			kubernetes.UntypedArgs(d.object), &crd, childOpts...); err != nil {
			return nil, fmt.Errorf("creating definition %s: %w", d.name, err)
		}
		component.Definitions = append(component.Definitions, &crd)
	}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{})
}

type definition struct {
	name   string
	object map[string]any
}

var errNoMetadata = errors.New("no metadata.name and annotations")

// definitions reads the embedded files and notes the release in each, as upstream's own files do. Sorted by file name. Half a second, so
// once for all programs in a process; they only read it.
var definitions = sync.OnceValues(func() ([]definition, error) {
	files, err := crdFiles.ReadDir("crds")
	if err != nil {
		return nil, fmt.Errorf("listing definitions: %w", err)
	}
	all := make([]definition, len(files))
	for i, file := range files {
		data, err := crdFiles.ReadFile("crds/" + file.Name())
		if err != nil {
			return nil, fmt.Errorf("reading definition %s: %w", file.Name(), err)
		}
		if err := yaml.Unmarshal(data, &all[i].object); err != nil {
			return nil, fmt.Errorf("parsing definition %s: %w", file.Name(), err)
		}
		metadata, _ := all[i].object["metadata"].(map[string]any)
		annotations, ok := metadata["annotations"].(map[string]any)
		all[i].name, _ = metadata["name"].(string)
		if !ok || all[i].name == "" {
			return nil, fmt.Errorf("parsing definition %s: %w", file.Name(), errNoMetadata)
		}
		annotations[releaseAnnotation] = apiVersion
	}
	return all, nil
})
