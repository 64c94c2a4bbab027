package offline

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/sig"
	"sigs.k8s.io/yaml"
)

// redacted stands for a secret.
const redacted = "[secret]"

// reveal turns a value of the state into a plain one: assets and references become their text, secrets are shown or redacted. A redacted
// object or list keeps its shape, so that a reader sees which keys there are.
func reveal(value any, show bool) any {
	switch value := value.(type) {
	case map[string]any:
		if kind, special := value[sig.Key].(string); special {
			return revealSpecial(kind, value, show)
		}
		plain := make(map[string]any, len(value))
		for key, inner := range value {
			if !strings.HasPrefix(key, "__") { // the bookkeeping of providers
				plain[key] = reveal(inner, show)
			}
		}
		return plain
	case []any:
		plain := make([]any, len(value))
		for i, inner := range value {
			plain[i] = reveal(inner, show)
		}
		return plain
	}
	return value
}

func revealSpecial(kind string, value map[string]any, show bool) any {
	switch kind {
	case sig.Secret:
		var inner any
		text, _ := value["plaintext"].(string)
		if json.Unmarshal([]byte(text), &inner) != nil {
			return redacted // a ciphertext
		}
		if show {
			return reveal(inner, true)
		}
		return redact(reveal(inner, true))
	case sig.ResourceReference:
		return value["urn"]
	case sig.AssetSig:
		return value["text"]
	}
	return fmt.Sprintf("[%s]", kind)
}

func redact(value any) any {
	switch value := value.(type) {
	case map[string]any:
		hidden := make(map[string]any, len(value))
		for key := range value {
			hidden[key] = redact(value[key])
		}
		return hidden
	case []any:
		hidden := make([]any, len(value))
		for i := range value {
			hidden[i] = redact(value[i])
		}
		return hidden
	}
	return redacted
}

// manifest is one Kubernetes object of a program.
type manifest struct {
	urn, kind, namespace, name string
	object                     map[string]any
	level                      int
}

// manifests are the Kubernetes objects of a state in an order in which each can be applied: by the longest way of recorded dependencies
// to it, within one step by kind, namespace and name.
func manifests(deployment *apitype.DeploymentV3, show bool) []manifest {
	g := newGraph(deployment)
	levels, _ := g.longest(func(*apitype.ResourceV3) float64 { return 1 })
	var found []manifest
	for _, urn := range g.urns {
		one := g.resources[urn]
		if !one.Custom || one.External || !strings.HasPrefix(string(one.Type), "kubernetes:") {
			continue
		}
		if object, ok := asObject(one.Inputs, show); ok {
			found = append(found, describe(urn, object, int(levels[urn])))
		}
	}
	sortManifests(found)
	return found
}

// asObject makes what is applied of a resource's inputs. Annotations that speak to Pulumi's provider stay, since the cluster would hold them
// too; the mark of a generated name goes, since here the name is written out.
func asObject(inputs map[string]any, show bool) (map[string]any, bool) {
	object, _ := reveal(inputs, show).(map[string]any)
	if object["apiVersion"] == nil || object["kind"] == nil {
		return nil, false // a Helm release, a kustomization: not an object
	}
	metadata, _ := object["metadata"].(map[string]any)
	if annotations, ok := metadata["annotations"].(map[string]any); ok {
		delete(annotations, "pulumi.com/autonamed")
		if len(annotations) == 0 {
			delete(metadata, "annotations")
		}
	}
	return object, true
}

func describe(urn string, object map[string]any, level int) manifest {
	text := func(of map[string]any, key string) string {
		value, _ := of[key].(string)
		return value
	}
	metadata, _ := object["metadata"].(map[string]any)
	return manifest{
		urn: urn, level: level, object: object,
		kind: text(object, "kind"), namespace: text(metadata, "namespace"), name: text(metadata, "name"),
	}
}

func sortManifests(found []manifest) {
	slices.SortFunc(found, func(a, b manifest) int {
		return cmp.Or(cmp.Compare(a.level, b.level), cmp.Compare(a.kind, b.kind), cmp.Compare(a.namespace, b.namespace),
			cmp.Compare(a.name, b.name), cmp.Compare(a.urn, b.urn))
	})
}

// yaml is the object as a file.
func (m manifest) yaml() ([]byte, error) {
	rendered, err := yaml.Marshal(m.object)
	if err != nil {
		return nil, fmt.Errorf("rendering %s %s: %w", m.kind, m.name, err)
	}
	return rendered, nil
}
