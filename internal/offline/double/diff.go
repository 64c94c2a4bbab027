package double

import (
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// change is one difference between two sets of properties. A value without V is absent.
type change struct {
	path     resource.PropertyPath
	old, now resource.PropertyValue
}

// keys is the path without list indices.
func (c change) keys() []string {
	var names []string
	for _, step := range c.path {
		if name, ok := step.(string); ok {
			names = append(names, name)
		}
	}
	return names
}

func (c change) kind(replace bool) pulumirpc.PropertyDiff_Kind {
	switch {
	case c.old.V == nil && replace:
		return pulumirpc.PropertyDiff_ADD_REPLACE
	case c.old.V == nil:
		return pulumirpc.PropertyDiff_ADD
	case c.now.V == nil && replace:
		return pulumirpc.PropertyDiff_DELETE_REPLACE
	case c.now.V == nil:
		return pulumirpc.PropertyDiff_DELETE
	case replace:
		return pulumirpc.PropertyDiff_UPDATE_REPLACE
	}
	return pulumirpc.PropertyDiff_UPDATE
}

// changes compares two sets of properties, field by field and element by element. An unknown is always a change. same may call two
// values equal that differ; nil calls none so.
func changes(old, now resource.PropertyMap, same func(path resource.PropertyPath, old, now resource.PropertyValue) bool) []change {
	var found []change
	var walk func(path resource.PropertyPath, old, now resource.PropertyValue)
	walk = func(path resource.PropertyPath, old, now resource.PropertyValue) {
		switch {
		case old.V == nil && now.V == nil:
		case old.IsObject() && now.IsObject():
			for _, key := range bothKeys(old.ObjectValue(), now.ObjectValue()) {
				name := resource.PropertyKey(key)
				walk(append(slices.Clone(path), key), old.ObjectValue()[name], now.ObjectValue()[name])
			}
		case !now.ContainsUnknowns() && old.V != nil && now.V != nil && old.DeepEquals(now):
		case same != nil && same(path, old, now):
		case old.IsArray() && now.IsArray():
			for i := range max(len(old.ArrayValue()), len(now.ArrayValue())) {
				walk(append(slices.Clone(path), i), element(old, i), element(now, i))
			}
		default:
			found = append(found, change{path, old, now})
		}
	}
	walk(nil, resource.NewObjectProperty(bareMap(old)), resource.NewObjectProperty(bareMap(now)))
	return found
}

func element(list resource.PropertyValue, i int) resource.PropertyValue {
	if i < len(list.ArrayValue()) {
		return list.ArrayValue()[i]
	}
	return resource.PropertyValue{}
}

func bothKeys(a, b resource.PropertyMap) []string {
	var keys []string
	for key := range a {
		keys = append(keys, string(key))
	}
	for key := range b {
		if _, ok := a[key]; !ok {
			keys = append(keys, string(key))
		}
	}
	slices.Sort(keys)
	return slices.DeleteFunc(keys, func(key string) bool { return strings.HasPrefix(key, "__") })
}

// touches says whether a change lies at or below a path of keys, or above it while the value below differs.
func touches(one change, path []string) bool {
	keys := one.keys()
	if len(keys) >= len(path) {
		return slices.Equal(keys[:len(path)], path)
	}
	if !slices.Equal(keys, path[:len(keys)]) {
		return false
	}
	old, now := below(one.old, path[len(keys):]), below(one.now, path[len(keys):])
	return one.now.ContainsUnknowns() && one.now.IsComputed() || (old.V != nil || now.V != nil) && !old.DeepEquals(now)
}

// below follows keys into a value; the first element stands for a list.
func below(v resource.PropertyValue, path []string) resource.PropertyValue {
	for _, key := range path {
		if v.IsArray() {
			v = element(v, 0)
		}
		if !v.IsObject() {
			return resource.PropertyValue{}
		}
		v = v.ObjectValue()[resource.PropertyKey(key)]
	}
	return v
}

// answer turns changes into the engine's form. replaces decides per change.
func answer(found []change, ignore []string, replaces func(change) bool) *pulumirpc.DiffResponse {
	response := &pulumirpc.DiffResponse{
		Changes: pulumirpc.DiffResponse_DIFF_NONE, HasDetailedDiff: true, DetailedDiff: map[string]*pulumirpc.PropertyDiff{},
	}
	for _, one := range found {
		if ignored(one, ignore) {
			continue
		}
		replace := replaces(one)
		response.Changes = pulumirpc.DiffResponse_DIFF_SOME
		response.DetailedDiff[one.path.String()] = &pulumirpc.PropertyDiff{Kind: one.kind(replace), InputDiff: true}
		top := one.keys()[0]
		if !slices.Contains(response.Diffs, top) {
			response.Diffs = append(response.Diffs, top)
		}
		if replace && !slices.Contains(response.Replaces, top) {
			response.Replaces = append(response.Replaces, top)
		}
	}
	slices.Sort(response.Diffs)
	slices.Sort(response.Replaces)
	return response
}

func ignored(one change, ignore []string) bool {
	for _, pattern := range ignore {
		path, err := resource.ParsePropertyPath(pattern)
		if err == nil && path.Contains(one.path) {
			return true
		}
	}
	return false
}
