package double

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// defaultsKey lists, in the inputs, what the provider filled in. The bridge keeps it to tell given names from its own.
const defaultsKey = "__defaults"

// awsType is what the double knows about a type.
type awsType struct {
	// id is the provider's id.
	id func(*made) string
	// name is the property that the bridge names when it is absent; prefix is the one that keeps it from doing so.
	name, prefix string
	// transform changes a made name; nil keeps it.
	transform func(string) string
	// tagged types take the provider's default tags.
	tagged bool
	// inputs are defaults that the bridge adds to the inputs.
	inputs out
	// defaults are outputs that are known before anything exists.
	defaults out
	// computed are outputs that AWS decides. A name that begins with "!" stands even over an input.
	computed func(*made) out
	// follows names, for a computed output, the inputs whose change changes it too.
	follows map[string][]string
	// counts are numbers that rise with every update of something else than the tags.
	counts []string
	// parents are properties that name an object that must exist: only where programs know the name beforehand, and so can err in
	// the order. What exists outside of the program must have been read, or placed with Put.
	parents map[string]string
	// conflict is the error of AWS where the id exists already; %s is the id.
	conflict string
	// blockers are types that keep an object from being deleted while they refer to it, and the error of AWS.
	blockers []string
	blocked  string
	// replaceLast marks types that the bridge deletes before it replaces them whatever their name.
	replaceLast bool
	// get gives the inputs of an object that exists outside of the program.
	get func(*made) out
}

type awsProvider struct{}

func (awsProvider) version() string       { return "6.83.2" }
func (awsProvider) accepts() (bool, bool) { return false, false } // the bridge's SDKv2 half takes neither

// diffConfig replaces on a change of region, as the schema of the provider's configuration says.
func (awsProvider) diffConfig(old, fresh resource.PropertyMap) *pulumirpc.DiffResponse {
	return answer(changes(old, fresh, nil), nil, func(one change) bool {
		return one.keys()[0] == "region" && one.old.V != nil
	})
}

// global services have no region.
func global(typ string) bool {
	return strings.HasPrefix(typ, "aws:iam/") || strings.HasPrefix(typ, "aws:s3/")
}

func awsKey(x *call, typ, id string) objectKey {
	key := objectKey{pkg: AWS, scope: x.region, typ: typ, id: id}
	if global(typ) {
		key.scope = partitionOf(x.region)
	}
	return key
}

func (awsProvider) key(x *call, id string, _ resource.PropertyMap) objectKey {
	return awsKey(x, x.typ, id)
}

func (awsProvider) check(
	_ *Cloud, x *call, old, fresh resource.PropertyMap,
) (resource.PropertyMap, []*pulumirpc.CheckFailure, error) {
	t := awsTypes[x.typ]
	inputs := fresh.Copy()
	var filled []string
	if t.name != "" && !has(inputs, t.name) && (t.prefix == "" || !has(inputs, t.prefix)) {
		name, err := autoName(x, t, old)
		if err != nil {
			return nil, []*pulumirpc.CheckFailure{{Property: t.name, Reason: err.Error()}}, nil
		}
		inputs[resource.PropertyKey(t.name)] = resource.NewStringProperty(name)
		filled = append(filled, t.name)
	}
	for key, value := range t.inputs {
		if !has(inputs, key) {
			inputs[resource.PropertyKey(key)] = resource.NewPropertyValue(value)
			filled = append(filled, key)
		}
	}
	if all := tagsAll(x.config, inputs); (t.tagged || has(inputs, "tags")) && all.V != nil {
		inputs["tagsAll"] = all
	}
	slices.Sort(filled)
	inputs[defaultsKey] = resource.NewPropertyValue(filled)
	return inputs, nil, nil
}

// autoName keeps the name that an earlier run made, or makes one.
func autoName(x *call, t awsType, old resource.PropertyMap) (string, error) {
	if kept := text(old, t.name); kept != "" && defaulted(old, t.name) {
		return kept, nil
	}
	made := x.name + "-" + digest(7, x.identity()...)
	if t.transform != nil {
		made = t.transform(made)
	}
	switch mode := x.autonaming; {
	case mode == nil:
		return made, nil
	case mode.GetMode() == pulumirpc.CheckRequest_AutonamingOptions_DISABLE:
		return "", errors.New("automatic naming is disabled, and there is no name")
	default:
		return mode.GetProposedName(), nil
	}
}

func defaulted(inputs resource.PropertyMap, name string) bool {
	list := inputs[defaultsKey]
	return list.IsArray() && slices.ContainsFunc(list.ArrayValue(), func(v resource.PropertyValue) bool {
		return v.IsString() && v.StringValue() == name
	})
}

// tagsAll is the provider's default tags under the object's own; the zero value if there are none, unknown if the own are.
func tagsAll(config, inputs resource.PropertyMap) resource.PropertyValue {
	own := bare(inputs["tags"])
	if own.ContainsUnknowns() {
		return unknownValue()
	}
	all := resource.PropertyMap{}
	if defaults := decoded(config["defaultTags"]); defaults.IsObject() {
		if tags := decoded(defaults.ObjectValue()["tags"]); tags.IsObject() {
			all = tags.ObjectValue().Copy()
		}
	}
	if own.IsObject() {
		all = overlay(all, own.ObjectValue())
	}
	if len(all) == 0 {
		return resource.PropertyValue{}
	}
	return resource.NewObjectProperty(all)
}

func (awsProvider) diff(_ *Cloud, x *call, oldInputs, _, fresh resource.PropertyMap, ignore []string) *pulumirpc.DiffResponse {
	response := answer(changes(oldInputs, fresh, equivalent), ignore, func(one change) bool { return awsReplaces(x.typ, one) })
	t := awsTypes[x.typ]
	_, marked := fresh[defaultsKey]
	named := marked && t.name != "" && has(fresh, t.name) && !defaulted(fresh, t.name)
	response.DeleteBeforeReplace = len(response.Replaces) > 0 && (t.replaceLast || named)
	return response
}

// ordered names the lists in which the order means something; in all others Terraform's provider uses sets.
var ordered = []string{"instanceTypes", "thumbprintLists", "rules", "routes"}

// equivalent calls equal what the provider does not tell apart: the order of sets, the layout of JSON, empty and absent.
func equivalent(path resource.PropertyPath, old, fresh resource.PropertyValue) bool {
	if empty(old) && empty(fresh) {
		return true
	}
	if old.IsString() && fresh.IsString() {
		var a, b map[string]any
		return json.Unmarshal([]byte(old.StringValue()), &a) == nil && json.Unmarshal([]byte(fresh.StringValue()), &b) == nil &&
			reflect.DeepEqual(a, b)
	}
	if !old.IsArray() || !fresh.IsArray() || fresh.ContainsUnknowns() || len(old.ArrayValue()) != len(fresh.ArrayValue()) {
		return false
	}
	if last, ok := path[len(path)-1].(string); ok && slices.Contains(ordered, last) {
		return false
	}
	rest := slices.Clone(fresh.ArrayValue())
	for _, one := range old.ArrayValue() {
		i := slices.IndexFunc(rest, one.DeepEquals)
		if i < 0 {
			return false
		}
		rest = slices.Delete(rest, i, i+1)
	}
	return true
}

func empty(v resource.PropertyValue) bool {
	return v.V == nil || v.IsArray() && len(v.ArrayValue()) == 0 || v.IsObject() && len(v.ObjectValue()) == 0
}

// outputs are the defaults and what AWS computes; overrides stand over the inputs.
func (x *made) outputs() (computed, overrides resource.PropertyMap) {
	t, ok := awsTypes[x.typ]
	computed, overrides = resource.PropertyMap{}, resource.PropertyMap{}
	if !ok {
		x.cloud.unknown[x.typ] = true
		computed["arn"] = resource.NewStringProperty(genericARN(x))
		return computed, overrides
	}
	if t.computed != nil {
		for key, value := range props(t.computed(x)) {
			if name, forced := strings.CutPrefix(string(key), "!"); forced {
				overrides[resource.PropertyKey(name)] = value
			} else {
				computed[key] = value
			}
		}
	}
	return computed, overrides
}

func genericARN(x *made) string {
	module, kind, _ := strings.Cut(strings.TrimPrefix(x.typ, "aws:"), "/")
	kind, _, _ = strings.Cut(kind, ":")
	return x.arn(module, kind+"/"+x.id)
}

func genericID(x *made) string {
	_, kind, _ := strings.Cut(x.typ, "/")
	kind, _, _ = strings.Cut(kind, ":")
	return strings.ToLower(kind) + "-" + digest(17, x.identity()...)
}

// state puts outputs together: defaults, computed, inputs, overrides; each over the one before.
func (x *made) state(computed, overrides resource.PropertyMap) resource.PropertyMap {
	state := overlay(overlay(overlay(props(awsTypes[x.typ].defaults), computed), visible(x.in)), overrides)
	if awsTypes[x.typ].tagged && !has(state, "tagsAll") {
		state["tagsAll"] = resource.NewObjectProperty(resource.PropertyMap{})
	}
	return state
}

func (awsProvider) previewCreate(c *Cloud, x *call, inputs resource.PropertyMap) resource.PropertyMap {
	m := &made{call: x, in: bareMap(inputs), cloud: c}
	computed, overrides := m.outputs()
	for key := range overrides { // known only once AWS has answered, if the program does not give it
		if !has(m.in, string(key)) {
			computed[key] = overrides[key]
		}
	}
	return m.state(unknownLike(computed, m.in), nil)
}

func (awsProvider) create(c *Cloud, x *call, inputs resource.PropertyMap) (objectKey, resource.PropertyMap, error) {
	t := awsTypes[x.typ]
	m := &made{call: x, in: bareMap(inputs), cloud: c}
	for name, typ := range t.parents {
		if id := text(m.in, name); id != "" && !c.exists(awsKey(x, typ, id)) {
			return objectKey{}, nil, fmt.Errorf("creating %s (%s): %s %q does not exist", x.typ, x.name, name, id)
		}
	}
	m.id = genericID(m)
	if t.id != nil {
		m.id = t.id(m)
	}
	if m.id == "" {
		return objectKey{}, nil, fmt.Errorf("creating %s (%s): the inputs have nothing to name it by", x.typ, x.name)
	}
	key := awsKey(x, x.typ, m.id)
	if t.conflict != "" && c.find(key) != nil {
		return objectKey{}, nil, fmt.Errorf("creating %s (%s): %s", x.typ, m.id, fmt.Sprintf(t.conflict, m.id))
	}
	return key, m.state(m.outputs()), nil
}

func (awsProvider) update(
	c *Cloud, x *call, id string, old *Object, inputs resource.PropertyMap, preview bool,
) (resource.PropertyMap, error) {
	if old == nil {
		return nil, fmt.Errorf("the provider reported that %s (%s) does not exist any more", x.typ, id)
	}
	t := awsTypes[x.typ]
	m := &made{call: x, id: id, in: bareMap(inputs), cloud: c}
	prior := bareMap(old.State)
	computed, overrides := m.outputs()
	kept := project(prior, computed)
	touched := map[string]bool{}
	for _, one := range changes(old.Inputs, inputs, equivalent) {
		touched[one.keys()[0]] = true
	}
	for key, causes := range t.follows {
		if slices.ContainsFunc(causes, func(cause string) bool { return touched[cause] }) {
			kept[resource.PropertyKey(key)] = computed[resource.PropertyKey(key)]
			if preview {
				kept[resource.PropertyKey(key)] = unknownValue()
			}
		}
	}
	delete(touched, "tags")
	delete(touched, "tagsAll")
	for _, key := range t.counts {
		if len(touched) == 0 || key == "defaultVersion" && !isTrue(m.in["updateDefaultVersion"]) {
			continue
		}
		if kept[resource.PropertyKey(key)] = unknownValue(); !preview && at(prior, key).IsNumber() {
			kept[resource.PropertyKey(key)] = resource.NewNumberProperty(at(prior, key).NumberValue() + 1)
		}
	}
	return m.state(kept, project(prior, overrides)), nil
}

func (awsProvider) read(c *Cloud, x *call, id string) *Object { return awsExternal(c, x, id) }

// awsExternal invents an object that exists outside of the program.
func awsExternal(c *Cloud, x *call, id string) *Object {
	m := &made{call: &call{typ: x.typ, name: id, config: x.config, region: x.region}, id: id, in: resource.PropertyMap{}, cloud: c}
	if get := awsTypes[x.typ].get; get != nil {
		m.in = props(get(m))
	}
	state := m.state(m.outputs())
	return &Object{Package: AWS, Type: x.typ, ID: id, Inputs: m.in, State: state}
}

// merge lays a state over the object's own.
func (o *Object) merge(state resource.PropertyMap) resource.PropertyMap {
	return overlay(o.State, state)
}

func (awsProvider) remove(c *Cloud, x *call, id string, old *Object) error {
	t := awsTypes[x.typ]
	if x.typ == "aws:dynamodb/table:Table" && isTrue(old.State["deletionProtectionEnabled"]) {
		return fmt.Errorf("deleting %s (%s): ValidationException: the table is protected against deletion", x.typ, id)
	}
	names := []string{id}
	if arn := text(old.State, "arn"); arn != "" {
		names = append(names, arn)
	}
	for key, other := range c.objects {
		if key.pkg != AWS || !slices.Contains(t.blockers, key.typ) || key == awsKey(x, x.typ, id) {
			continue
		}
		refers := false
		leaves(resource.NewObjectProperty(other.Inputs), func(v resource.PropertyValue) {
			refers = refers || v.IsString() && slices.Contains(names, v.StringValue())
		})
		if refers {
			return fmt.Errorf("deleting %s (%s): %s: %s (%s) still refers to it", x.typ, id, or(t.blocked, "DependencyViolation"), key.typ, key.id)
		}
	}
	c.remove(x, awsKey(x, x.typ, id))
	if server := text(old.State, "endpoint"); x.typ == "aws:eks/cluster:Cluster" && server != "" {
		c.cascade(func(key objectKey, _ *Object) bool { return key.pkg == Kubernetes && key.scope == server })
	}
	return nil
}
