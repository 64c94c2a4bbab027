// Package mocks runs a Pulumi program without an engine and records what it registers.
package mocks

import (
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"
)

// Project and Stack are what programs under Run see.
const (
	Project = "kansoku"
	Stack   = "test"
)

// Resource is one registration, as the engine would have seen it. Secrets in Inputs are shown plain.
type Resource struct {
	Type     string
	Name     string
	Inputs   map[string]any
	Parent   string // URN
	Provider string // URN::ID, empty for the default provider
	Custom   bool
	Protect  bool
	Retain   bool
	Ignore   []string // ignoreChanges
	Depends  []string // URNs, implicit and explicit
	Secret   []string // additionalSecretOutputs
}

// Recorder holds what a program registered.
type Recorder struct {
	// Outputs gives a type the outputs that its cloud would compute, beside an echo of the inputs. Types without an entry get
	// id "<name>-id" and, for AWS types, arn "arn:aws:<name>".
	Outputs map[string]func(r Resource) map[string]any
	// Calls answers invokes by token; an invoke without an entry fails the program.
	Calls map[string]func(args map[string]any) map[string]any
	// EKS gives the outputs of the AWS cluster inside pulumi-eks' remote component, as the engine would give them (name, endpoint,
	// identities, ...). A program that creates such a component needs it.
	EKS map[string]any

	mu        sync.Mutex
	resources []Resource
}

// Run runs program against the recorder and fails the test if the program fails.
func (r *Recorder) Run(t *testing.T, program pulumi.RunFunc) {
	t.Helper()
	require.NoError(t, r.RunErr(program))
}

// RunErr runs program against the recorder.
func (r *Recorder) RunErr(program pulumi.RunFunc) error {
	if r.EKS != nil {
		program = r.withEKS(program)
	}
	return pulumi.RunErr(program, pulumi.WithMocks(Project, Stack, r))
}

// All returns the registrations in the order in which they came.
func (r *Recorder) All() []Resource {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Resource(nil), r.resources...)
}

// OfType returns the registrations of one type token.
func (r *Recorder) OfType(token string) []Resource {
	var found []Resource
	for _, one := range r.All() {
		if one.Type == token {
			found = append(found, one)
		}
	}
	return found
}

// Get returns the one registration of that type and name.
func (r *Recorder) Get(t *testing.T, token, name string) Resource {
	t.Helper()
	var names []string
	for _, one := range r.OfType(token) {
		if one.Name == name {
			return one
		}
		names = append(names, one.Name)
	}
	require.Failf(t, "not registered", "no %s is named %q; there are %v", token, name, names)
	return Resource{}
}

// Field returns what stands at a path of keys ("spec", "replicas") or list indices in the inputs; nil if nothing does.
func (r Resource) Field(path ...any) any {
	var at any = r.Inputs
	for _, step := range path {
		switch key := step.(type) {
		case string:
			object, ok := at.(map[string]any)
			if !ok {
				return nil
			}
			at = object[key]
		case int:
			list, ok := at.([]any)
			if !ok || key >= len(list) {
				return nil
			}
			at = list[key]
		}
	}
	return at
}

// NewResource implements pulumi.MockResourceMonitor.
func (r *Recorder) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	one := Resource{
		Type: args.TypeToken, Name: args.Name, Inputs: plain(args.Inputs), Provider: args.Provider, Custom: args.Custom,
	}
	if rpc := args.RegisterRPC; rpc != nil {
		one.Parent, one.Protect, one.Retain = rpc.GetParent(), rpc.GetProtect(), rpc.GetRetainOnDelete()
		one.Ignore, one.Depends, one.Secret = rpc.GetIgnoreChanges(), rpc.GetDependencies(), rpc.GetAdditionalSecretOutputs()
		one.Custom = rpc.GetCustom()
	}
	if rpc := args.ReadRPC; rpc != nil {
		one.Parent, one.Depends = rpc.GetParent(), rpc.GetDependencies()
	}
	r.mu.Lock()
	r.resources = append(r.resources, one)
	r.mu.Unlock()

	outputs := args.Inputs.Copy()
	if strings.HasPrefix(args.TypeToken, "aws:") && !outputs.HasValue("arn") {
		outputs["arn"] = resource.NewStringProperty("arn:aws:" + args.Name)
	}
	if compute := r.Outputs[args.TypeToken]; compute != nil {
		maps.Copy(outputs, resource.NewPropertyMapFromMap(compute(one)))
	}
	r.eksOutputs(one, outputs)
	id := args.ID
	if id == "" {
		id = args.Name + "-id"
	}
	if value, ok := outputs["id"]; ok && value.IsString() {
		id = value.StringValue()
	}
	return id, outputs, nil
}

// Call implements pulumi.MockResourceMonitor.
func (r *Recorder) Call(args pulumi.MockCallArgs) (resource.PropertyMap, error) {
	answer := r.Calls[args.Token]
	if answer == nil {
		return nil, &unansweredError{args.Token}
	}
	return resource.NewPropertyMapFromMap(answer(plain(args.Args))), nil
}

type unansweredError struct{ token string }

func (e *unansweredError) Error() string { return "no mock answers the invoke " + e.token }

// plain strips secrets and outputs and leaves maps, lists and scalars.
func plain(properties resource.PropertyMap) map[string]any {
	return properties.MapRepl(nil, func(v resource.PropertyValue) (any, bool) {
		switch {
		case v.IsSecret():
			return unwrap(v.SecretValue().Element), true
		case v.IsOutput():
			return unwrap(v.OutputValue().Element), true
		}
		return nil, false
	})
}

func unwrap(v resource.PropertyValue) any {
	return plain(resource.PropertyMap{"v": v})["v"]
}
