package provider

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/property"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/internal/check"
)

// settle checks the inputs against the type of the Args, so that what the SDK would drop or could not read is said by its key, all at once.
// What an SDK says of an object as a whole (that it is secret, that it depends on something) it moves to the values in it, where the Args
// have room for it. A plain value may come from another resource if it is known by then.
func settle(inputs property.Map, args reflect.Type) (property.Map, error) {
	var errs check.Errors
	settled := object(&errs, "", property.New(inputs), args)
	if err := errs.Err(); err != nil {
		return property.Map{}, err
	}
	return settled.AsMap(), nil
}

var inputType, stringType = reflect.TypeFor[pulumi.Input](), reflect.TypeFor[string]()

// value settles one value for a field of type t.
func value(errs *check.Errors, path string, given property.Value, t reflect.Type) property.Value {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	input := t.Implements(inputType)
	if input {
		t = stringType // the only kind of input there is: the schema's test holds it
	}
	if given.IsNull() || input && given.IsComputed() {
		return given
	}
	if given.IsComputed() {
		errs.Require(false, path, nil, "must be known before anything is created: it decides what is created")
		return given
	}
	switch t.Kind() {
	case reflect.Struct:
		return object(errs, path, given, t)
	case reflect.Map:
		return dictionary(errs, path, given, t)
	case reflect.Slice:
		return list(errs, path, given, t)
	default:
		if !input {
			errs.Require(!given.Secret(), path, shown(given), "must not be a secret: it is written in plain")
			given = given.WithDependencies(nil)
		}
		want, ok := scalar(given, t.Kind())
		errs.Require(ok, path, shown(given), "must be %s", want)
		return given
	}
}

func scalar(given property.Value, kind reflect.Kind) (want string, ok bool) {
	switch kind {
	case reflect.Bool:
		return "true or false", given.IsBool()
	case reflect.Int:
		return "a whole number", given.IsNumber() && given.AsNumber() == math.Trunc(given.AsNumber())
	case reflect.Float64:
		return "a number", given.IsNumber()
	default:
		return "a string", given.IsString()
	}
}

func object(errs *check.Errors, path string, given property.Value, t reflect.Type) property.Value {
	if errs.Require(given.IsMap(), path, shown(given), "must be an object"); !given.IsMap() {
		return given
	}
	fields := map[string]reflect.Type{}
	for _, field := range reflect.VisibleFields(t) {
		if name := key(field); name != "" {
			fields[name] = field.Type
		}
	}
	settled := map[string]property.Value{}
	for name, one := range given.AsMap().AllStable {
		if resource.IsInternalPropertyKey(resource.PropertyKey(name)) {
			continue
		}
		field, known := fields[name]
		if !known {
			errs.Require(false, join(path, name), shown(one), "is not a key; known are %s", strings.Join(slices.Sorted(maps.Keys(fields)), ", "))
			continue
		}
		settled[name] = value(errs, join(path, name), inherit(given, one), field)
	}
	return property.New(settled)
}

func dictionary(errs *check.Errors, path string, given property.Value, t reflect.Type) property.Value {
	if errs.Require(given.IsMap(), path, shown(given), "must be an object"); !given.IsMap() {
		return given
	}
	settled := map[string]property.Value{}
	for name, one := range given.AsMap().AllStable {
		if !resource.IsInternalPropertyKey(resource.PropertyKey(name)) {
			settled[name] = value(errs, join(path, name), inherit(given, one), t.Elem())
		}
	}
	return property.New(settled)
}

func list(errs *check.Errors, path string, given property.Value, t reflect.Type) property.Value {
	if errs.Require(given.IsArray(), path, shown(given), "must be a list"); !given.IsArray() {
		return given
	}
	settled := make([]property.Value, 0, given.AsArray().Len())
	for i, one := range given.AsArray().All {
		settled = append(settled, value(errs, fmt.Sprintf("%s[%d]", path, i), inherit(given, one), t.Elem()))
	}
	return property.New(settled)
}

// inherit gives a value what was said of the one around it.
func inherit(around, inner property.Value) property.Value {
	dependencies := append(slices.Clone(around.Dependencies()), inner.Dependencies()...)
	slices.Sort(dependencies)
	return inner.WithSecret(around.Secret() || inner.Secret()).WithDependencies(slices.Compact(dependencies))
}

// key is the name of a field in every language; "" for what does not cross.
func key(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("pulumi"), ",")
	return name
}

func join(path, name string) string { return strings.TrimPrefix(path+"."+name, ".") }

// shown is a value as a message may show it.
func shown(given property.Value) any {
	switch {
	case given.HasSecrets():
		return "[secret]"
	case given.IsString():
		return given.AsString()
	case given.IsNumber():
		return given.AsNumber()
	case given.IsBool():
		return given.AsBool()
	case given.IsArray():
		return fmt.Sprintf("a list of %d", given.AsArray().Len())
	case given.IsMap():
		return "an object"
	default:
		return nil
	}
}
