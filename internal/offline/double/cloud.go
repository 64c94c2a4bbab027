// Package double holds gRPC doubles of the providers aws, kubernetes and random. They keep what was created in memory, give it
// deterministic ids, and make no claim that AWS or Kubernetes accepts anything.
package double

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// The packages that have a double.
const (
	AWS        = "aws"
	Kubernetes = "kubernetes"
	Random     = "random"
)

// Object is one thing that exists in the cloud.
type Object struct {
	// Package is "aws", "kubernetes" or "random".
	Package string
	// Type is the Pulumi type token, as "aws:s3/bucketV2:BucketV2".
	Type string
	// ID is the provider's id: unique within a type, a region (aws) or a cluster (kubernetes).
	ID string
	// Inputs are the inputs after Check, without the keys that begin with "__".
	Inputs resource.PropertyMap
	// State is what the engine was told, without the keys that begin with "__".
	State resource.PropertyMap
	// Order counts creations in the whole cloud, from 1.
	Order int
}

// Event is one change of the cloud, in the order in which it happened.
type Event struct {
	// Verb is "create", "update", "delete", "adopt" (an upsert took over what existed) or "cascade" (it went with its namespace, its
	// custom resource definition or its cluster, before the program deleted it).
	Verb string
	// Type is the Pulumi type token.
	Type string
	// Name is the name in the URN; empty for a cascade.
	Name string
	// ID is the provider's id.
	ID string
}

// Failure says what an injected failure does.
type Failure int

// The failures that FailCreate may inject.
const (
	// None lets the create succeed.
	None Failure = iota
	// Before fails the create; nothing exists.
	Before
	// After makes the object and then reports an error with its partial state, so that the engine records it.
	After
)

// Cloud is everything that the doubles made. It outlives the engine runs that use it, and is safe for concurrent use.
type Cloud struct {
	mu       sync.Mutex
	objects  map[objectKey]*Object
	external map[objectKey]*Object // read, but made by nobody here
	gone     map[objectKey]bool    // removed behind the program's back: not invented again by a read
	created  map[string]int        // creations by qualified type and name
	attempts map[string]int
	calls    map[string]int
	unknown  map[string]bool
	events   []Event
	order    int
	fail     func(typ, name string, attempt int) Failure
	stop     []func()
}

// objectKey names an object. The scope is the region (aws, where the service is regional) or the API server (kubernetes); what Put
// placed has an empty one and is seen from every scope.
type objectKey struct{ pkg, scope, typ, id string }

// New returns an empty cloud.
func New() *Cloud {
	return &Cloud{
		objects: map[objectKey]*Object{}, external: map[objectKey]*Object{}, gone: map[objectKey]bool{}, created: map[string]int{},
		attempts: map[string]int{}, calls: map[string]int{}, unknown: map[string]bool{},
	}
}

// Objects returns what exists now, sorted by package, type and id.
func (c *Cloud) Objects() []Object {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := make([]Object, 0, len(c.objects))
	for _, one := range c.objects {
		shown := *one
		shown.Inputs, shown.State = visible(one.Inputs), visible(one.State)
		found = append(found, shown)
	}
	slices.SortFunc(found, func(a, b Object) int {
		return cmp.Or(cmp.Compare(a.Package, b.Package), cmp.Compare(a.Type, b.Type), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Order, b.Order))
	})
	return found
}

// Events returns every change so far, oldest first.
func (c *Cloud) Events() []Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.events)
}

// FailCreate has fn decide every later create; nil stops the injection. fn gets the type token, the URN's name and the attempt, which
// counts the creates of this type and name from 1 since FailCreate was called.
func (c *Cloud) FailCreate(fn func(typ, name string, attempt int) Failure) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail, c.attempts = fn, map[string]int{}
}

// Calls returns how often each verb was called, as "aws:Create". Previews count as "aws:PreviewCreate" and "aws:PreviewUpdate".
func (c *Cloud) Calls() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.calls)
}

// Unknown returns the type tokens of the aws resources that got the generic answer, sorted.
func (c *Cloud) Unknown() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.unknown))
}

// Put places an object that no program made, so that a program meets it: an existing bucket, a subnet in a certain zone, a custom
// resource definition. The type is a Pulumi type token; state is what a read returns. For aws it lies over what the double would
// make up, and may be nil. The object is seen in every region and cluster.
func (c *Cloud) Put(typ, id string, state resource.PropertyMap) {
	c.mu.Lock()
	defer c.mu.Unlock()
	pkg, _, _ := strings.Cut(typ, ":")
	key, inputs := objectKey{pkg: pkg, typ: typ, id: id}, state
	switch pkg {
	case Kubernetes:
		key.typ = kindOf(typ, state).key()
	case AWS:
		invented := awsExternal(c, &call{typ: typ, name: id, region: defaultRegion}, id)
		inputs, state = overlay(invented.Inputs, state), invented.merge(state)
	}
	c.order++
	c.objects[key] = &Object{Package: pkg, Type: typ, ID: id, Inputs: inputs, State: state, Order: c.order}
	delete(c.gone, key)
}

// Remove deletes the objects with this type and id behind the program's back, and says whether there was one. Reads find nothing
// afterwards.
func (c *Cloud) Remove(typ, id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := false
	for key, one := range c.objects {
		if one.Type == typ && one.ID == id {
			delete(c.objects, key)
			c.gone[key] = true
			found = true
		}
	}
	return found
}

// What follows expects the lock to be held.

func (c *Cloud) find(key objectKey) *Object {
	if one := c.objects[key]; one != nil {
		return one
	}
	key.scope = ""
	return c.objects[key]
}

// exists says whether a program made the object, or has read it from outside.
func (c *Cloud) exists(key objectKey) bool {
	return c.find(key) != nil || c.external[key] != nil
}

// removed says whether Remove took the object away.
func (c *Cloud) removed(key objectKey) bool {
	placed := key
	placed.scope = ""
	return c.gone[key] || c.gone[placed]
}

func (c *Cloud) put(x *call, key objectKey, verb string, inputs, state resource.PropertyMap) {
	if old := c.find(key); old != nil {
		old.Inputs, old.State = inputs, state
	} else {
		c.order++
		c.objects[key] = &Object{Package: key.pkg, Type: x.typ, ID: key.id, Inputs: inputs, State: state, Order: c.order}
	}
	delete(c.gone, key)
	c.events = append(c.events, Event{Verb: verb, Type: x.typ, Name: x.name, ID: key.id})
}

func (c *Cloud) remove(x *call, key objectKey) {
	one := c.find(key)
	if one == nil {
		return
	}
	delete(c.objects, key)
	key.scope = ""
	delete(c.objects, key)
	c.events = append(c.events, Event{Verb: "delete", Type: x.typ, Name: x.name, ID: key.id})
}

// cascade removes what went with something else.
func (c *Cloud) cascade(goes func(objectKey, *Object) bool) {
	var keys []objectKey
	for key, one := range c.objects {
		if goes(key, one) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b objectKey) int { return cmp.Compare(c.objects[a].Order, c.objects[b].Order) })
	for _, key := range keys {
		c.events = append(c.events, Event{Verb: "cascade", Type: c.objects[key].Type, ID: key.id})
		delete(c.objects, key)
	}
}
