package provider

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/pulumi/pulumi/pkg/v3/codegen/schema"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/internal/comments"
)

// leftOut are the components that other languages do not get; the package's comment says why.
var leftOut = []string{"kansoku:infra:Addons", "kansoku:infra:Cluster", "kansoku:infra:Network", "kansoku:infra:NodeGroups"}

// goOnly are the exported fields of Args that do not cross.
var goOnly = []string{"CRDProvider"}

const root = "../.."

// TestSchema holds schema.json, which is what the provider serves, against the code. UPDATE_GOLDEN=1 rewrites it.
func TestSchema(t *testing.T) {
	t.Parallel()
	spec := newSchema(t)
	generated, err := json.MarshalIndent(spec, "", "  ")
	require.NoError(t, err)
	generated = append(generated, '\n')
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.WriteFile("schema.json", generated, 0o600))
		return
	}
	require.Equal(t, string(generated), served(t), "stale: run `make generate`")
}

// TestSchemaIsWhole holds that what an SDK shows is said.
func TestSchemaIsWhole(t *testing.T) {
	t.Parallel()
	spec := newSchema(t)
	_, diagnostics, err := schema.BindSpec(spec, nil, schema.ValidationOptions{})
	require.NoError(t, err)
	require.False(t, diagnostics.HasErrors(), diagnostics.Error())
	for _, text := range []string{spec.DisplayName, spec.Description, spec.License, spec.Repository, spec.Homepage, spec.Publisher, spec.Version} {
		assert.NotEmpty(t, text)
	}
	assert.NotEmpty(t, spec.Keywords)
	assert.ElementsMatch(t, []string{"csharp", "go", "java", "nodejs", "python"}, slices.Collect(maps.Keys(spec.Language)))
	for token, resource := range spec.Resources {
		assert.True(t, resource.IsComponent, token)
		described(t, token, resource.Description, resource.InputProperties)
		described(t, token, resource.Description, resource.Properties)
		for _, own := range []string{"id", "urn"} {
			assert.NotContains(t, resource.InputProperties, own, "%s: every resource has one", token)
			assert.NotContains(t, resource.Properties, own, "%s: every resource has one", token)
		}
	}
	for token, one := range spec.Types {
		described(t, token, one.Description, one.Properties)
		assert.NotContains(t, spec.Resources, token, "a class cannot be both in every language")
	}
}

// served is the schema as the provider gives it to the engine.
func served(t *testing.T) string {
	t.Helper()
	server, err := NewServer(nil)
	require.NoError(t, err)
	response, err := server.GetSchema(t.Context(), &pulumirpc.GetSchemaRequest{})
	require.NoError(t, err)
	return response.GetSchema()
}

func described(t *testing.T, token, description string, properties map[string]schema.PropertySpec) {
	t.Helper()
	assert.NotEmpty(t, description, token)
	for name, property := range properties {
		assert.NotEmpty(t, property.Description, token+"."+name)
	}
}

// TestEveryComponent finds the components that are registered anywhere in the code.
func TestEveryComponent(t *testing.T) {
	t.Parallel()
	var found []string
	for _, folder := range []string{"components", "infra"} {
		require.NoError(t, filepath.WalkDir(filepath.Join(root, folder), func(path string, _ os.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			code, err := os.ReadFile(path)
			for _, match := range regexp.MustCompile(`"(kansoku:\w+:\w+)"`).FindAllSubmatch(code, -1) {
				found = append(found, string(match[1]))
			}
			return err
		}))
	}
	known := slices.Clone(leftOut)
	for _, one := range components() {
		token, err := one.GetToken()
		require.NoError(t, err)
		known = append(known, token.String())
	}
	assert.ElementsMatch(t, found, known)
}

func newSchema(t *testing.T) schema.PackageSpec {
	t.Helper()
	docs, err := comments.Fields(root, "components", "infra")
	require.NoError(t, err)
	b := &builder{t: t, docs: docs, spec: schema.PackageSpec{
		Name: Name, Version: Version, DisplayName: "Kansoku",
		Description: "Metrics and logs on Kubernetes: Prometheus, Thanos, Loki, Grafana and what belongs to them, as typed components.",
		Keywords: []string{
			"pulumi", "kubernetes", "monitoring", "prometheus", "thanos", "loki", "grafana", "alertmanager", "kind/component", "category/monitoring",
		},
		Homepage: "https://github.com/kansoku/kansoku", Repository: "https://github.com/kansoku/kansoku",
		License: "Apache-2.0", Publisher: "Kansoku", Namespace: Name,
		Language: map[string]schema.RawMessage{
			"csharp": schema.RawMessage(`{"respectSchemaVersion":true,"rootNamespace":"Kansoku"}`),
			"go": schema.RawMessage(
				`{"generateResourceContainerTypes":true,"importBasePath":"github.com/kansoku/kansoku/sdk/go/kansoku","respectSchemaVersion":true}`),
			"java":   schema.RawMessage(`{"basePackage":"io.github.kansoku"}`),
			"nodejs": schema.RawMessage(`{"packageName":"@kansoku/kansoku","respectSchemaVersion":true}`),
			"python": schema.RawMessage(`{"packageName":"kansoku","pyproject":{"enabled":true},"respectSchemaVersion":true}`),
		},
		Types: map[string]schema.ComplexTypeSpec{}, Resources: map[string]schema.ResourceSpec{},
	}}
	for _, one := range components() {
		token, err := one.GetToken()
		require.NoError(t, err)
		args, made := one.(interface {
			types() (args, made reflect.Type)
		}).types()
		inputs, requiredInputs := b.properties(args, true)
		outputs, required := b.properties(made, false)
		b.spec.Resources[token.String()] = schema.ResourceSpec{
			ObjectTypeSpec: schema.ObjectTypeSpec{Description: b.constructor(made), Properties: outputs, Required: required, Type: "object"},
			IsComponent:    true, InputProperties: inputs, RequiredInputs: requiredInputs,
		}
	}
	return b.spec
}

type builder struct {
	t    *testing.T
	docs map[string]string
	spec schema.PackageSpec
}

// constructor is what the comment of a component's constructor says, without its name.
func (b *builder) constructor(made reflect.Type) string {
	doc := b.docs[made.PkgPath()+".New"+made.Name()]
	if doc == "" {
		doc = b.docs[made.PkgPath()+".New"]
	}
	_, doc, _ = strings.Cut(doc, " ")
	letters := []rune(doc)
	require.NotEmpty(b.t, letters, "%s has no constructor with a comment", made)
	letters[0] = unicode.ToUpper(letters[0])
	return string(letters)
}

// properties of a struct and those that it embeds.
func (b *builder) properties(t reflect.Type, input bool) (properties map[string]schema.PropertySpec, required []string) {
	properties = map[string]schema.PropertySpec{}
	for field := range t.Fields() {
		switch {
		case field.Type == reflect.TypeFor[pulumi.ResourceState]():
		case field.Anonymous:
			embedded, needed := b.properties(field.Type, input)
			maps.Copy(properties, embedded)
			required = append(required, needed...)
		case key(field) == "":
			require.True(b.t, !input || slices.Contains(goOnly, field.Name), "%s.%s has no name for other languages", t, field.Name)
		default:
			properties[key(field)] = schema.PropertySpec{
				TypeSpec: b.typeOf(field.Type), Description: b.docs[t.PkgPath()+"."+t.Name()+"."+field.Name],
				Secret: field.Tag.Get("provider") == "secret",
			}
			if !strings.HasSuffix(field.Tag.Get("pulumi"), ",optional") {
				required = append(required, key(field))
			}
		}
	}
	slices.Sort(required)
	return properties, required
}

// typeOf is a type in the schema. What is no Input must be plain: an SDK that let an output through would only be refused later.
func (b *builder) typeOf(t reflect.Type) schema.TypeSpec {
	switch t {
	case reflect.TypeFor[pulumi.StringInput](), reflect.TypeFor[pulumi.StringOutput]():
		return schema.TypeSpec{Type: "string"}
	}
	switch t.Kind() { //nolint:exhaustive // the others are refused
	case reflect.Pointer:
		return b.typeOf(t.Elem())
	case reflect.String:
		return schema.TypeSpec{Type: "string", Plain: true}
	case reflect.Bool:
		return schema.TypeSpec{Type: "boolean", Plain: true}
	case reflect.Int:
		return schema.TypeSpec{Type: "integer", Plain: true}
	case reflect.Float64:
		return schema.TypeSpec{Type: "number", Plain: true}
	case reflect.Slice:
		of := b.typeOf(t.Elem())
		return schema.TypeSpec{Type: "array", Items: &of, Plain: true}
	case reflect.Map:
		require.Equal(b.t, reflect.String, t.Key().Kind(), "%s: keys must be strings", t)
		of := b.typeOf(t.Elem())
		return schema.TypeSpec{Type: "object", AdditionalProperties: &of, Plain: true}
	case reflect.Struct:
		return schema.TypeSpec{Ref: "#/types/" + b.named(t), Plain: true}
	}
	require.Fail(b.t, "no other language has "+t.String())
	return schema.TypeSpec{}
}

// named adds an object's type: "kansoku:PACKAGE:NAME".
func (b *builder) named(t reflect.Type) string {
	require.NotEmpty(b.t, t.Name(), "%s has no name", t)
	token := Name + ":" + t.PkgPath()[strings.LastIndex(t.PkgPath(), "/")+1:] + ":" + t.Name()
	if _, known := b.spec.Types[token]; known {
		return token
	}
	b.spec.Types[token] = schema.ComplexTypeSpec{} // ends a recursion
	for field := range t.Fields() {
		require.False(b.t, field.Anonymous, "%s embeds: only Args may, the SDK reads no embedded struct in a nested one", t)
	}
	properties, required := b.properties(t, true)
	b.spec.Types[token] = schema.ComplexTypeSpec{ObjectTypeSpec: schema.ObjectTypeSpec{
		Description: b.docs[t.PkgPath()+"."+t.Name()], Properties: properties, Required: required, Type: "object",
	}}
	return token
}
