package offline

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// reference is an image with its registry and a tag, a digest or both: what stands for itself, or behind the "=" of a flag.
var reference = regexp.MustCompile(
	`(?:^|=)([a-z0-9-]+(?:(?:\.[a-z0-9-]+)+(?::[0-9]+)?|:[0-9]+)(?:/[a-z0-9._-]+)+(?::[A-Za-z0-9._-]+(?:@sha256:[0-9a-f]{64})?|@sha256:[0-9a-f]{64}))$`)

// Images are the images in Kubernetes objects, wherever in them they stand: in a pod, in a custom resource, in a flag of the operator. Sorted.
func Images(planned []Resource) []string {
	found := map[string]bool{}
	for _, one := range planned {
		if strings.HasPrefix(one.Type, "kubernetes:") {
			collectImages(one.Inputs, found)
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func collectImages(value any, into map[string]bool) {
	switch value := value.(type) {
	case map[string]any:
		for _, inner := range value {
			collectImages(inner, into)
		}
	case []any:
		for _, inner := range value {
			collectImages(inner, into)
		}
	case string:
		if match := reference.FindStringSubmatch(value); match != nil {
			into[match[1]] = true
		}
	}
}
