package offline

import (
	"cmp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
)

// The ways in which a program changes a stack.
const (
	Added    = "added"
	Changed  = "changed"
	Replaced = "replaced"
	Deleted  = "deleted"
)

// Change is what a preview would do to one resource.
type Change struct {
	// Way is Added, Changed, Replaced or Deleted.
	Way string
	// URN, Type and Name of the resource.
	URN, Type, Name string
	// Properties are the paths that change, Forces those of them that force a replacement; sorted. A replacement without any follows
	// from that of another resource.
	Properties, Forces []string
	// Inputs before and after, secrets redacted, what only an up can know as "[known after an up]"; nil where there is no resource.
	Before, After map[string]any
	// Custom says that a provider makes it; else it is a component.
	Custom bool
	// Reads says that a replacement is none of the program's: it deletes its own and reads another in its place.
	Reads bool
	// Protects says that the program protects it from now on.
	Protects bool
	// Retained says that a deletion takes it out of the stack only.
	Retained bool
}

// ways are the steps that stand for a change; of a replacement the one that is neither the creation nor the deletion.
var ways = map[string]string{
	"create": Added, "import": Added, "update": Changed, "replace": Replaced, "delete": Deleted,
}

// PerResource lists what an operation changes, one change a resource, by URN. The stack itself is none.
func (r *Result) PerResource() []Change {
	var found []Change
	for _, step := range r.Steps {
		way := ways[step.Op]
		if way == "" || step.Type == "pulumi:pulumi:Stack" {
			continue
		}
		one := Change{Way: way, URN: step.URN, Type: step.Type, Name: step.Name}
		if way == Changed || way == Replaced {
			one.Properties, one.Forces = step.Diff, step.forces
			if len(one.Forces) == 0 && way == Replaced {
				one.Forces = step.Replaces
			}
		}
		if step.old != nil && way != Added {
			one.Before, one.Custom, one.Retained = readable(step.old), step.old.Custom, step.old.RetainOnDelete
		}
		if step.fresh != nil && way != Deleted {
			one.After, one.Custom, one.Protects = readable(step.fresh), step.fresh.Custom, step.fresh.Protect
			if one.Reads = way == Replaced && step.fresh.External; one.Reads {
				one.After = nil // what is read has no inputs
			}
		}
		found = append(found, one)
	}
	slices.SortStableFunc(found, func(a, b Change) int { return strings.Compare(a.URN, b.URN) })
	return found
}

func readable(state *apitype.StepEventStateMetadata) map[string]any {
	plain, _ := settle(reveal(nonNil(state.Inputs), false)).(map[string]any)
	return plain
}

// settle gives what is unknown in a preview a name.
func settle(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for key := range value {
			value[key] = settle(value[key])
		}
	case []any:
		for i := range value {
			value[i] = settle(value[i])
		}
	case string:
		if value == plugin.UnknownStringValue {
			return "[known after an up]"
		}
	}
	return value
}

// Render gives the resource before and after as WriteFiles would write it, under a title: a Kubernetes object as YAML, anything else as JSON
// of its inputs. Nothing where there is no resource, and for a component.
func (c Change) Render() (title string, before, after []byte, err error) {
	if !c.Custom {
		return "", nil, nil, nil
	}
	if before, title, err = renderInputs(c, c.Before); err != nil {
		return "", nil, nil, err
	}
	var now string
	if after, now, err = renderInputs(c, c.After); err != nil {
		return "", nil, nil, err
	}
	return cmp.Or(now, title), before, after, nil
}

func renderInputs(c Change, inputs map[string]any) (content []byte, title string, err error) {
	if inputs == nil {
		return nil, "", nil
	}
	if strings.HasPrefix(c.Type, "kubernetes:") {
		if object, ok := asObject(inputs, false); ok {
			one := describe(c.URN, object, 0)
			content, err = one.yaml()
			return content, strings.TrimSpace(one.kind + " " + strings.TrimPrefix(one.namespace+"/"+one.name, "/")), err
		}
	}
	content, err = asJSON(inputs)
	return content, c.Type + " " + c.Name, err
}
