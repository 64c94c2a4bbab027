package double

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"google.golang.org/protobuf/types/known/structpb"
)

// out is a shorthand for the properties that tables write down.
type out = map[string]any

// unmarshal reads properties off the wire; nil gives an empty map. Resource references arrive as ids.
func unmarshal(properties *structpb.Struct) (resource.PropertyMap, error) {
	read, err := plugin.UnmarshalProperties(properties, plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true, SkipNulls: true})
	if err != nil {
		return nil, fmt.Errorf("reading properties: %w", err)
	}
	if read == nil {
		read = resource.PropertyMap{}
	}
	return read, nil
}

func marshal(properties resource.PropertyMap) (*structpb.Struct, error) {
	written, err := plugin.MarshalProperties(properties, plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true, SkipNulls: true})
	if err != nil {
		return nil, fmt.Errorf("writing properties: %w", err)
	}
	return written, nil
}

// bare strips the secret mark from a value, deeply.
func bare(v resource.PropertyValue) resource.PropertyValue {
	switch {
	case v.IsSecret():
		return bare(v.SecretValue().Element)
	case v.IsObject():
		return resource.NewObjectProperty(bareMap(v.ObjectValue()))
	case v.IsArray():
		list := make([]resource.PropertyValue, len(v.ArrayValue()))
		for i, one := range v.ArrayValue() {
			list[i] = bare(one)
		}
		return resource.NewArrayProperty(list)
	}
	return v
}

func bareMap(m resource.PropertyMap) resource.PropertyMap {
	stripped := make(resource.PropertyMap, len(m))
	for key, value := range m {
		stripped[key] = bare(value)
	}
	return stripped
}

// annotate marks an output secret where the input of the same path is: whole lists, single fields of objects, as the engine and the
// bridged providers do.
func annotate(outputs, inputs resource.PropertyMap) {
	for key, input := range inputs {
		output, ok := outputs[key]
		switch {
		case !ok:
		case output.IsObject() && input.IsObject():
			annotate(output.ObjectValue(), input.ObjectValue())
		case !output.IsSecret() && input.ContainsSecrets():
			outputs[key] = resource.MakeSecret(output)
		}
	}
}

// overlay lays top over base: objects merge, everything else of top wins.
func overlay(base, top resource.PropertyMap) resource.PropertyMap {
	merged := base.Copy()
	for key, value := range top {
		if below, ok := merged[key]; ok && below.IsObject() && value.IsObject() {
			value = resource.NewObjectProperty(overlay(below.ObjectValue(), value.ObjectValue()))
		}
		merged[key] = value
	}
	return merged
}

// project keeps the shape's keys with the values of from where it has them.
func project(from, shape resource.PropertyMap) resource.PropertyMap {
	kept := make(resource.PropertyMap, len(shape))
	for key, value := range shape {
		old, ok := from[key]
		switch {
		case !ok:
			kept[key] = value
		case old.IsObject() && value.IsObject():
			kept[key] = resource.NewObjectProperty(project(old.ObjectValue(), value.ObjectValue()))
		default:
			kept[key] = old
		}
	}
	return kept
}

// unknownLike replaces computed values by unknowns: single fields where the inputs give the object, else the whole value.
func unknownLike(computed, inputs resource.PropertyMap) resource.PropertyMap {
	result := make(resource.PropertyMap, len(computed))
	for key, value := range computed {
		if input, ok := inputs[key]; ok && input.IsObject() && value.IsObject() {
			result[key] = resource.NewObjectProperty(unknownLike(value.ObjectValue(), input.ObjectValue()))
			continue
		}
		result[key] = unknownValue()
	}
	return result
}

func unknownValue() resource.PropertyValue {
	return resource.MakeComputed(resource.NewStringProperty(""))
}

// visible drops the keys that are bookkeeping between a provider and itself.
func visible(m resource.PropertyMap) resource.PropertyMap {
	shown := make(resource.PropertyMap, len(m))
	for key, value := range m {
		if !strings.HasPrefix(string(key), "__") {
			shown[key] = value
		}
	}
	return shown
}

// at follows keys through objects; the zero value if there is nothing.
func at(m resource.PropertyMap, path ...string) resource.PropertyValue {
	here := resource.NewObjectProperty(m)
	for _, key := range path {
		if here.IsSecret() {
			here = here.SecretValue().Element
		}
		if !here.IsObject() {
			return resource.PropertyValue{}
		}
		here = here.ObjectValue()[resource.PropertyKey(key)]
	}
	return here
}

// text is the known string at a path, else empty.
func text(m resource.PropertyMap, path ...string) string {
	v := at(m, path...)
	if v.IsSecret() {
		v = v.SecretValue().Element
	}
	if v.IsString() {
		return v.StringValue()
	}
	return ""
}

// has says whether a path holds a value, known or not.
func has(m resource.PropertyMap, path ...string) bool { return at(m, path...).V != nil }

// hold stores a value at a path and makes the objects on the way. It changes m.
func hold(m resource.PropertyMap, value resource.PropertyValue, path ...string) {
	for _, key := range path[:len(path)-1] {
		below := m[resource.PropertyKey(key)]
		if below.IsSecret() {
			below = below.SecretValue().Element
		}
		copied := resource.PropertyMap{}
		if below.IsObject() {
			copied = below.ObjectValue().Copy()
		}
		m[resource.PropertyKey(key)] = resource.NewObjectProperty(copied)
		m = copied
	}
	m[resource.PropertyKey(path[len(path)-1])] = value
}

func props(m out) resource.PropertyMap { return resource.NewPropertyMapFromMap(m) }

// digest is n lower-case hex digits that depend on the parts alone.
func digest(n int, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])[:n]
}

// number is a number below limit that depends on the parts alone.
func number(limit int, parts ...string) int {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	n := 0
	for _, b := range sum[:6] {
		n = n<<8 | int(b)
	}
	return n % limit
}

// uuid has the form of a version 4 UUID.
func uuid(parts ...string) string {
	d := digest(32, parts...)
	return fmt.Sprintf("%s-%s-4%s-a%s-%s", d[:8], d[8:12], d[13:16], d[17:20], d[20:32])
}

// decoded returns v, or what it holds if it is a string with a JSON object: SDKs send nested provider configuration that way.
func decoded(v resource.PropertyValue) resource.PropertyValue {
	v = bare(v)
	if !v.IsString() {
		return v
	}
	var read any
	if err := json.Unmarshal([]byte(v.StringValue()), &read); err != nil {
		return v
	}
	return resource.NewPropertyValue(read)
}

// isTrue reads a flag of provider configuration, which arrives as a boolean or as text.
func isTrue(v resource.PropertyValue) bool {
	v = bare(v)
	return v.IsBool() && v.BoolValue() || v.IsString() && v.StringValue() == "true"
}

// leaves visits every scalar.
func leaves(v resource.PropertyValue, visit func(resource.PropertyValue)) {
	switch v = bare(v); {
	case v.IsObject():
		for _, one := range v.ObjectValue() {
			leaves(one, visit)
		}
	case v.IsArray():
		for _, one := range v.ArrayValue() {
			leaves(one, visit)
		}
	default:
		visit(v)
	}
}
