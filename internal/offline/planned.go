package offline

import (
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

// Resource is one that the program makes, as its registration says: without what only a cloud would answer.
type Resource struct {
	// Type ("aws:eks/nodeGroup:NodeGroup") and Name of the resource.
	Type, Name string
	// Existing resources are read, not made.
	Existing bool
	// Inputs in plain values, secrets redacted. Ids and ARNs of others in them are stand-ins.
	Inputs map[string]any
}

// Planned runs the program without the engine, as Render does, and returns what it would make, in no particular order.
func Planned(options Options) ([]Resource, error) {
	registered, err := register(options)
	if err != nil {
		return nil, err
	}
	var planned []Resource
	for _, one := range registered {
		if one.URN.Name() != eksCluster || len(one.Inputs) > 0 { // the one that only the mocks need
			planned = append(planned, newResource(one))
		}
	}
	return planned, nil
}

func newResource(one apitype.ResourceV3) Resource {
	inputs, _ := reveal(nonNil(one.Inputs), false).(map[string]any)
	return Resource{Type: string(one.Type), Name: one.URN.Name(), Existing: one.External, Inputs: inputs}
}

// Configuration is what the program's context gives it: the project's name, and every value of the stack file by its full key
// ("kansoku:network"), scalars as they are written, the rest as JSON, encrypted ones as placeholders.
func Configuration(options Options) (project string, values map[string]string, err error) {
	read, config, err := readProject(withProject(options))
	if err != nil {
		return "", nil, err
	}
	values, err = config.flat()
	return string(read.Name), values, err
}
