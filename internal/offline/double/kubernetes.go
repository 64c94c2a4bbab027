package double

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// What the provider keeps in an object's state, beside the object.
const (
	inputsKey     = "__inputs"
	apiVersionKey = "__initialApiVersion"
	managerKey    = "__fieldManager"
	autonamed     = "pulumi.com/autonamed"
)

// kind is an object's group, version and kind.
type kind struct{ group, version, name string }

// key tells kinds apart as an API server does: versions of one kind are one kind.
func (k kind) key() string { return k.group + "/" + strings.TrimSuffix(k.name, "Patch") }

// kindOf reads the kind from the object, or from the type token, as "kubernetes:apps/v1:Deployment".
func kindOf(typ string, object resource.PropertyMap) kind {
	version, name := text(object, "apiVersion"), text(object, "kind")
	if version == "" || name == "" {
		parts := strings.Split(typ, ":")
		if len(parts) == 3 {
			version, name = strings.TrimPrefix(parts[1], "core/"), parts[2]
		}
	}
	group, number, grouped := strings.Cut(version, "/")
	if !grouped {
		group, number = "", version
	}
	return kind{group, number, name}
}

// plural is the resource's name in messages of the API server.
func (k kind) plural() string {
	name := strings.ToLower(k.name)
	switch {
	case strings.HasSuffix(name, "s"):
		name += "es"
	case strings.HasSuffix(name, "y"):
		name = strings.TrimSuffix(name, "y") + "ies"
	default:
		name += "s"
	}
	if k.group != "" {
		name += "." + k.group
	}
	return name
}

// builtin says whether an API server knows the kind without a definition.
func (k kind) builtin() bool {
	return !strings.Contains(k.group, ".") || strings.HasSuffix(k.group, ".k8s.io") && k.group != "snapshot.storage.k8s.io"
}

// clusterScoped are the built-in kinds without a namespace.
var clusterScoped = []string{
	"APIService", "CSIDriver", "CSINode", "CertificateSigningRequest", "ClusterRole", "ClusterRoleBinding", "ClusterTrustBundle",
	"ComponentStatus", "CustomResourceDefinition", "DeviceClass", "FlowSchema", "IngressClass", "MutatingAdmissionPolicy",
	"MutatingAdmissionPolicyBinding", "MutatingWebhookConfiguration", "Namespace", "Node", "PersistentVolume", "PriorityClass",
	"PriorityLevelConfiguration", "RuntimeClass", "StorageClass", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
	"ValidatingWebhookConfiguration", "VolumeAttachment", "VolumeAttributesClass",
}

// serverNamespaces exist in every cluster.
var serverNamespaces = []string{"default", "kube-node-lease", "kube-public", "kube-system"}

type kubernetesProvider struct{}

func (kubernetesProvider) version() string       { return "4.30.0" }
func (kubernetesProvider) accepts() (bool, bool) { return true, false }

const definitions = "apiextensions.k8s.io/CustomResourceDefinition"

// definition is the custom resource definition of a kind; nil if there is none.
func definition(c *Cloud, scope string, k kind) *Object {
	for key, one := range c.objects {
		if key.pkg == Kubernetes && key.typ == definitions && (key.scope == scope || key.scope == "") &&
			text(one.State, "spec", "group") == k.group && text(one.State, "spec", "names", "kind") == k.name {
			return one
		}
	}
	return nil
}

func namespaced(c *Cloud, scope string, k kind) bool {
	if k.builtin() {
		return !slices.Contains(clusterScoped, strings.TrimSuffix(k.name, "Patch"))
	}
	one := definition(c, scope, k)
	return one == nil || text(one.State, "spec", "scope") != "Cluster"
}

func (kubernetesProvider) key(x *call, id string, state resource.PropertyMap) objectKey {
	return objectKey{pkg: Kubernetes, scope: apiServer(x.config), typ: kindOf(x.typ, state).key(), id: id}
}

func objectID(namespace, name string) string {
	if namespace == "" {
		return name
	}
	return namespace + "/" + name
}

// check names what has no name, and sets the default namespace.
func (kubernetesProvider) check(
	c *Cloud, x *call, old, fresh resource.PropertyMap,
) (resource.PropertyMap, []*pulumirpc.CheckFailure, error) {
	inputs := normalized(fresh)
	if !has(inputs, "metadata", "name") {
		if has(inputs, "metadata", "generateName") {
			return nil, nil, fmt.Errorf("the `.metadata.generateName` field is not supported in Server-Side Apply mode")
		}
		name := text(old, "metadata", "name")
		if name == "" || text(old, "metadata", "annotations", autonamed) != "true" {
			made, err := kubernetesName(x)
			if err != nil {
				return nil, nil, err
			}
			name = made
		}
		hold(inputs, resource.NewStringProperty(name), "metadata", "name")
		hold(inputs, resource.NewStringProperty("true"), "metadata", "annotations", autonamed)
	}
	k := kindOf(x.typ, inputs)
	if !has(inputs, "metadata", "namespace") && namespaced(c, apiServer(x.config), k) {
		hold(inputs, resource.NewStringProperty(or(text(x.config, "namespace"), "default")), "metadata", "namespace")
	}
	secretData(inputs)
	return inputs, nil, nil
}

func kubernetesName(x *call) (string, error) {
	switch mode := x.autonaming; {
	case mode == nil:
		return x.name + "-" + digest(8, x.identity()...), nil
	case mode.GetMode() == pulumirpc.CheckRequest_AutonamingOptions_DISABLE:
		return "", fmt.Errorf("autonaming is disabled, resource requires the .metadata.name field to be set")
	default:
		return mode.GetProposedName(), nil
	}
}

// normalized is a copy of an object in the form that the API server gives it: a Secret's stringData becomes data, unless something of
// the object is unknown.
func normalized(object resource.PropertyMap) resource.PropertyMap {
	result := object.Copy()
	plain := bare(object["stringData"])
	if text(object, "kind") != "Secret" || resource.NewObjectProperty(object).ContainsUnknowns() || !plain.IsObject() {
		return result
	}
	data := resource.PropertyMap{}
	if given := bare(object["data"]); given.IsObject() {
		data = given.ObjectValue().Copy()
	}
	for key, value := range plain.ObjectValue() {
		if value.IsString() {
			data[key] = resource.NewStringProperty(base64.StdEncoding.EncodeToString([]byte(value.StringValue())))
		}
	}
	result["data"] = resource.MakeSecret(resource.NewObjectProperty(data))
	delete(result, "stringData")
	return result
}

// secretData marks the contents of a Secret, whether the program did or not.
func secretData(object resource.PropertyMap) {
	if text(object, "kind") != "Secret" {
		return
	}
	for _, key := range []resource.PropertyKey{"data", "stringData"} {
		if value, ok := object[key]; ok && !value.IsSecret() {
			object[key] = resource.MakeSecret(value)
		}
	}
}

func (p kubernetesProvider) create(c *Cloud, x *call, inputs resource.PropertyMap) (objectKey, resource.PropertyMap, error) {
	k := kindOf(x.typ, inputs)
	namespace, name := text(inputs, "metadata", "namespace"), text(inputs, "metadata", "name")
	key := p.key(x, objectID(namespace, name), inputs)
	refuse := func(format string, args ...any) (objectKey, resource.PropertyMap, error) {
		reason := fmt.Sprintf(format, args...)
		return objectKey{}, nil, fmt.Errorf("resource %q was not successfully created by the Kubernetes API server: %s", x.urn, reason)
	}
	if !k.builtin() && definition(c, key.scope, k) == nil {
		return refuse("no matches for kind %q in version %q: verify that its definition was created", k.name, k.group+"/"+k.version)
	}
	if namespace != "" && !slices.Contains(serverNamespaces, namespace) {
		if c.find(objectKey{Kubernetes, key.scope, "/Namespace", namespace}) == nil {
			return refuse("namespaces %q not found", namespace)
		}
	}
	old := c.find(key)
	if old == nil && key.typ == "/Namespace" && slices.Contains(serverNamespaces, name) {
		old = serverNamespace(x, name)
	}
	if old == nil {
		return key, p.checkpoint(x, inputs, live(x, inputs)), nil
	}
	if !isTrue(x.config["upsertExistingObjects"]) && !strings.HasSuffix(k.name, "Patch") {
		return refuse("%s %q already exists\n\nThe resource already exists in the cluster; "+
			"upsertExistingObjects on the provider allows to take it over", k.plural(), name)
	}
	return key, p.checkpoint(x, inputs, bumped(overlay(visible(old.State), bareMap(inputs)))), nil
}

// live is the object as the API server returns it from a create.
func live(x *call, inputs resource.PropertyMap) resource.PropertyMap {
	made := bareMap(inputs).Copy()
	k := kindOf(x.typ, inputs)
	id := objectID(text(inputs, "metadata", "namespace"), text(inputs, "metadata", "name"))
	seed := append(x.identity(), k.key(), id)
	hold(made, resource.NewStringProperty(uuid(seed...)), "metadata", "uid")
	hold(made, resource.NewStringProperty("1"), "metadata", "resourceVersion")
	hold(made, resource.NewNumberProperty(1), "metadata", "generation")
	hold(made, resource.NewStringProperty(timestamp), "metadata", "creationTimestamp")
	if k.key() == "/Service" && text(inputs, "spec", "type") != "ExternalName" {
		service(made, seed)
	}
	return made
}

// service fills in what a Service gets from the cluster.
func service(made resource.PropertyMap, seed []string) {
	if !has(made, "spec", "clusterIP") {
		address := fmt.Sprintf("172.20.%d.%d", number(250, append(seed, "a")...), 1+number(250, append(seed, "b")...))
		hold(made, resource.NewStringProperty(address), "spec", "clusterIP")
	}
	hold(made, resource.NewPropertyValue([]any{text(made, "spec", "clusterIP")}), "spec", "clusterIPs")
	if !has(made, "spec", "type") {
		hold(made, resource.NewStringProperty("ClusterIP"), "spec", "type")
	}
	if text(made, "spec", "type") == "LoadBalancer" {
		host := digest(32, append(seed, "host")...) + ".elb.amazonaws.com"
		hold(made, resource.NewPropertyValue([]any{out{"hostname": host}}), "status", "loadBalancer", "ingress")
	}
}

// bumped raises the resource version.
func bumped(made resource.PropertyMap) resource.PropertyMap {
	version, _ := strconv.Atoi(text(made, "metadata", "resourceVersion"))
	hold(made, resource.NewStringProperty(strconv.Itoa(version+1)), "metadata", "resourceVersion")
	return made
}

// checkpoint adds to an object what the provider needs at the next run.
func (kubernetesProvider) checkpoint(x *call, inputs, made resource.PropertyMap) resource.PropertyMap {
	state := made.Copy()
	kept := inputs.Copy()
	annotate(state, inputs)
	secretData(state)
	secretData(kept)
	state[inputsKey] = resource.NewObjectProperty(kept)
	state[apiVersionKey] = resource.NewStringProperty(text(inputs, "apiVersion"))
	state[managerKey] = resource.NewStringProperty("pulumi-kubernetes-" + digest(8, x.identity()...))
	return state
}

// previewCreate echoes the inputs, as the provider does where a dry run is not possible; what the cluster fills in stays unknown.
func (kubernetesProvider) previewCreate(_ *Cloud, _ *call, inputs resource.PropertyMap) resource.PropertyMap {
	state := inputs.Copy()
	secretData(state)
	return state
}

func (p kubernetesProvider) update(
	_ *Cloud, x *call, _ string, old *Object, inputs resource.PropertyMap, preview bool,
) (resource.PropertyMap, error) {
	if preview && resource.NewObjectProperty(inputs).ContainsUnknowns() {
		return p.previewCreate(nil, x, inputs), nil
	}
	if old == nil { // server-side apply creates what is missing
		return p.checkpoint(x, inputs, live(x, inputs)), nil
	}
	made := bareMap(visible(old.State))
	for key := range old.Inputs { // fields that the program gave up
		if !has(inputs, string(key)) {
			delete(made, key)
		}
	}
	owned := []string{"metadata", "spec", "status"}
	for key, value := range bareMap(inputs) {
		if !slices.Contains(owned, string(key)) {
			made[key] = value
		}
	}
	fresh := live(x, inputs)
	for _, top := range owned {
		shape := at(fresh, top)
		if !shape.IsObject() {
			continue
		}
		given := bare(at(inputs, top))
		filled := resource.PropertyMap{}
		for key, value := range shape.ObjectValue() {
			filled[key] = value
			before, ok := bareMap(old.State)[resource.PropertyKey(top)]
			if ok && before.IsObject() && (!given.IsObject() || !has(given.ObjectValue(), string(key))) && has(before.ObjectValue(), string(key)) {
				filled[key] = before.ObjectValue()[key] // decided by the cluster at the create
			}
		}
		made[resource.PropertyKey(top)] = resource.NewObjectProperty(filled)
	}
	return p.checkpoint(x, inputs, bumped(made)), nil
}

// read knows the namespaces that every cluster has.
func (kubernetesProvider) read(_ *Cloud, x *call, id string) *Object {
	if kindOf(x.typ, nil).key() == "/Namespace" && slices.Contains(serverNamespaces, id) {
		return serverNamespace(x, id)
	}
	return nil
}

func serverNamespace(x *call, name string) *Object {
	inputs := props(out{"apiVersion": "v1", "kind": "Namespace", "metadata": out{"name": name}})
	return &Object{Package: Kubernetes, Type: x.typ, ID: name, Inputs: inputs, State: live(x, inputs)}
}

// remove takes a namespace's objects along, and a definition's.
func (p kubernetesProvider) remove(c *Cloud, x *call, id string, old *Object) error {
	key := p.key(x, id, old.State)
	c.remove(x, key)
	switch key.typ {
	case "/Namespace":
		c.cascade(func(other objectKey, _ *Object) bool {
			return other.pkg == Kubernetes && other.scope == key.scope && strings.HasPrefix(other.id, id+"/")
		})
	case definitions:
		gone := kind{text(old.State, "spec", "group"), "", text(old.State, "spec", "names", "kind")}
		c.cascade(func(other objectKey, _ *Object) bool {
			return other.pkg == Kubernetes && other.scope == key.scope && other.typ == gone.key()
		})
	}
	return nil
}

func (kubernetesProvider) invoke(_ *Cloud, _ *call, token string, _ resource.PropertyMap) (resource.PropertyMap, error) {
	return nil, fmt.Errorf("the kubernetes double does not answer %s", token)
}
