package double_test

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/internal/offline/double"
)

const (
	mapType       = "kubernetes:core/v1:ConfigMap"
	secretType    = "kubernetes:core/v1:Secret"
	serviceType   = "kubernetes:core/v1:Service"
	namespaceType = "kubernetes:core/v1:Namespace"
	crdType       = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"
	setType       = "kubernetes:apps/v1:StatefulSet"
)

func kubeconfig(t *testing.T, server string) string {
	t.Helper()
	written, err := json.Marshal(props{
		"apiVersion": "v1", "kind": "Config", "current-context": "c",
		"contexts": []any{props{"name": "c", "context": props{"cluster": "k", "user": "u"}}},
		"clusters": []any{props{"name": "k", "cluster": props{"server": server}}},
	})
	require.NoError(t, err)
	return string(written)
}

func object(kind, namespace, name string, more props) props {
	metadata := props{}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	if name != "" {
		metadata["name"] = name
	}
	made := props{"apiVersion": "v1", "kind": kind, "metadata": metadata}
	maps.Copy(made, more)
	return made
}

func TestObjectsAreNamed(t *testing.T) {
	t.Parallel()
	_, ports := cloud(t)
	kube := connect(t, ports, double.Kubernetes, props{"kubeconfig": kubeconfig(t, "https://a")})
	id, state := kube.create(mapType, "settings", object("ConfigMap", "", "", nil))
	assert.Regexp(t, `^default/settings-[0-9a-f]{8}$`, id)
	metadata := state["metadata"].ObjectValue()
	assert.Equal(t, "true", metadata["annotations"].ObjectValue()["pulumi.com/autonamed"].StringValue())
	assert.NotEmpty(t, metadata["uid"].StringValue())
	assert.Equal(t, "1", metadata["resourceVersion"].StringValue())
	assert.Equal(t, "v1", state["__initialApiVersion"].StringValue())

	id, _ = kube.create(namespaceType, "monitoring", object("Namespace", "", "monitoring", nil))
	assert.Equal(t, "monitoring", id, "a namespace has no namespace")
}

func TestExistingObjectsAreRefused(t *testing.T) {
	t.Parallel()
	c, ports := cloud(t)
	config := kubeconfig(t, "https://a")
	kube := connect(t, ports, double.Kubernetes, props{"kubeconfig": config})
	upsert := connect(t, ports, double.Kubernetes, props{"kubeconfig": config, "upsertExistingObjects": "true"})
	elsewhere := connect(t, ports, double.Kubernetes, props{"kubeconfig": kubeconfig(t, "https://b")})
	first := object("ConfigMap", "default", "settings", props{"data": props{"a": "1"}})
	second := object("ConfigMap", "default", "settings", props{"data": props{"b": "2"}})
	_, made := kube.create(mapType, "one", first)

	_, _, err := kube.tryCreate(mapType, "two", second)
	require.ErrorContains(t, err, `configmaps "settings" already exists`)
	_, taken := upsert.create(mapType, "two", second)
	assert.Equal(t, props{"a": "1", "b": "2"}, taken["data"].Mappable())
	assert.Equal(t, made["metadata"].ObjectValue()["uid"], taken["metadata"].ObjectValue()["uid"])
	assert.Equal(t, "2", taken["metadata"].ObjectValue()["resourceVersion"].StringValue())
	elsewhere.create(mapType, "three", second)
	assert.Len(t, c.Objects(), 2)

	verbs := []string{}
	for _, event := range c.Events() {
		verbs = append(verbs, event.Verb+" "+event.Name)
	}
	assert.Equal(t, []string{"create one", "adopt two", "create three"}, verbs)
}

func TestNamespacesAndDefinitionsComeFirst(t *testing.T) {
	t.Parallel()
	c, ports := cloud(t)
	kube := connect(t, ports, double.Kubernetes, nil)
	monitor := object("ServiceMonitor", "monitoring", "m", props{"apiVersion": "monitoring.coreos.com/v1"})
	const typ = "kubernetes:monitoring.coreos.com/v1:ServiceMonitor"
	_, _, err := kube.tryCreate(typ, "m", monitor)
	require.ErrorContains(t, err, `no matches for kind "ServiceMonitor" in version "monitoring.coreos.com/v1"`)
	definition := object("CustomResourceDefinition", "", "servicemonitors.monitoring.coreos.com", props{
		"apiVersion": "apiextensions.k8s.io/v1",
		"spec":       props{"group": "monitoring.coreos.com", "scope": "Namespaced", "names": props{"kind": "ServiceMonitor"}},
	})
	crd, _ := kube.create(crdType, "crd", definition)
	_, _, err = kube.tryCreate(typ, "m", monitor)
	require.ErrorContains(t, err, `namespaces "monitoring" not found`)
	kube.create(namespaceType, "monitoring", object("Namespace", "", "monitoring", nil))
	id, _ := kube.create(typ, "m", monitor)
	assert.Equal(t, "monitoring/m", id)

	_, err = kube.Delete(t.Context(), &pulumirpc.DeleteRequest{Urn: urn(crdType, "crd"), Id: crd, Properties: kube.wire(definition)})
	require.NoError(t, err)
	events := c.Events()
	assert.Equal(t, double.Event{Verb: "cascade", Type: typ, ID: "monitoring/m"}, events[len(events)-1])
	assert.Len(t, c.Objects(), 1)
}

func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	_, ports := cloud(t)
	kube := connect(t, ports, double.Kubernetes, nil)
	inputs := kube.read(kube.checked(secretType, "s", object("Secret", "default", "s", props{"stringData": props{"a": "x"}})))
	assert.NotContains(t, inputs, resource.PropertyKey("stringData"))
	assert.Equal(t, secret(props{"a": "eA=="}), inputs["data"])
	_, state := kube.create(secretType, "s", object("Secret", "default", "s", props{"stringData": props{"a": "x"}}))
	assert.Equal(t, secret(props{"a": "eA=="}), state["data"])
	assert.True(t, state["__inputs"].ObjectValue()["data"].IsSecret())

	_, state = kube.create(mapType, "m", object("ConfigMap", "default", "m", props{"data": props{"open": "1", "hidden": secret("2")}}))
	data := state["data"].ObjectValue()
	assert.Equal(t, secret("2"), data["hidden"])
	assert.Equal(t, "1", data["open"].StringValue())
}

func TestServiceAddressIsKept(t *testing.T) {
	t.Parallel()
	_, ports := cloud(t)
	kube := connect(t, ports, double.Kubernetes, nil)
	old := object("Service", "default", "s", props{"spec": props{"ports": []any{props{"port": 80}}}})
	id, state := kube.create(serviceType, "s", old)
	address := state["spec"].ObjectValue()["clusterIP"]
	assert.Regexp(t, `^172\.20\.\d+\.\d+$`, address.StringValue())
	headless := object("Service", "default", "h", props{"spec": props{"clusterIP": "None"}})
	_, none := kube.create(serviceType, "h", headless)
	assert.Equal(t, "None", none["spec"].ObjectValue()["clusterIP"].StringValue())

	now := object("Service", "default", "s", props{"spec": props{"ports": []any{props{"port": 81}}}})
	for _, preview := range []bool{true, false} {
		after := kube.change(serviceType, "s", id, state, old, now, preview)
		assert.Equal(t, address, after["spec"].ObjectValue()["clusterIP"])
		assert.InDelta(t, 81, after["spec"].ObjectValue()["ports"].ArrayValue()[0].ObjectValue()["port"].NumberValue(), 0)
		assert.Equal(t, state["metadata"].ObjectValue()["uid"], after["metadata"].ObjectValue()["uid"])
	}
}

func TestKubernetesPreview(t *testing.T) {
	t.Parallel()
	c, ports := cloud(t)
	kube := connect(t, ports, double.Kubernetes, nil)
	state := kube.preview(mapType, "m", object("ConfigMap", "default", "m", props{"data": props{"a": unknown}}))
	assert.True(t, state["data"].ObjectValue()["a"].IsComputed())
	assert.NotContains(t, state["metadata"].ObjectValue(), resource.PropertyKey("uid"))
	assert.Empty(t, c.Objects())
}

func TestKubernetesDiff(t *testing.T) {
	t.Parallel()
	_, ports := cloud(t)
	kube := connect(t, ports, double.Kubernetes, nil)
	mutable := connect(t, ports, double.Kubernetes, props{"enableConfigMapMutable": true, "enableSecretMutable": "true"})
	old := object("ConfigMap", "default", "m", props{"data": props{"a": "1"}})
	now := object("ConfigMap", "default", "m", props{"data": props{"a": "2"}})
	named := kube.compare(mapType, "m", old, now)
	assert.Equal(t, []string{"data"}, named.GetReplaces())
	assert.True(t, named.GetDeleteBeforeReplace())
	assert.Empty(t, mutable.compare(mapType, "m", old, now).GetReplaces())
	frozen := object("ConfigMap", "default", "m", props{"data": props{"a": "2"}, "immutable": true})
	assert.Equal(t, []string{"data"}, mutable.compare(mapType, "m", old, frozen).GetReplaces())
	autonamed := kube.compare(mapType, "m", object("ConfigMap", "", "", props{"data": props{"a": "1"}}),
		object("ConfigMap", "", "", props{"data": props{"a": "2"}}))
	assert.Equal(t, []string{"data"}, autonamed.GetReplaces())
	assert.False(t, autonamed.GetDeleteBeforeReplace())

	password := func(value string) props {
		return object("Secret", "default", "s", props{"stringData": props{"a": value}})
	}
	assert.Equal(t, []string{"data"}, kube.compare(secretType, "s", password("1"), password("2")).GetReplaces())
	assert.Empty(t, mutable.compare(secretType, "s", password("1"), password("2")).GetReplaces())
	assert.Equal(t, pulumirpc.DiffResponse_DIFF_NONE, kube.compare(secretType, "s", password("1"), password("1")).GetChanges())

	size := func(size string, replicas int) props {
		return object("StatefulSet", "default", "db", props{"apiVersion": "apps/v1", "spec": props{
			"replicas": replicas, "volumeClaimTemplates": []any{props{"spec": props{"resources": props{"requests": props{"storage": size}}}}},
		}})
	}
	assert.Empty(t, kube.compare(setType, "db", size("1Gi", 1), size("1Gi", 2)).GetReplaces())
	grown := kube.compare(setType, "db", size("1Gi", 1), size("2Gi", 1))
	assert.Equal(t, pulumirpc.PropertyDiff_UPDATE_REPLACE,
		grown.GetDetailedDiff()["spec.volumeClaimTemplates[0].spec.resources.requests.storage"].GetKind())
	moved := kube.compare(mapType, "m", old, object("ConfigMap", "other", "m", props{"data": props{"a": "1"}}))
	assert.Equal(t, []string{"metadata"}, moved.GetReplaces())
	assert.False(t, moved.GetDeleteBeforeReplace(), "both may stand at once")
}

func TestKubernetesDiffConfig(t *testing.T) {
	t.Parallel()
	_, ports := cloud(t)
	kube := connect(t, ports, double.Kubernetes, nil)
	a, b := kubeconfig(t, "https://a"), kubeconfig(t, "https://b")
	is := func(kubeconfig any) props { return props{"kubeconfig": kubeconfig} }
	pinned := func(kubeconfig any, pin string) props {
		return props{"kubeconfig": kubeconfig, "clusterIdentifier": pin}
	}
	with := func(key string) props { return props{"kubeconfig": a, key: "true"} }
	for name, one := range map[string]struct {
		old, now props
		replaces []string
	}{
		"nothing changes":                  {is(a), is(a), nil},
		"another cluster":                  {is(a), is(b), []string{"kubeconfig"}},
		"another text, the same cluster":   {is(a), is(a + " "), nil},
		"unknown":                          {is(a), is(unknown), []string{"kubeconfig"}},
		"unknown, pinned":                  {pinned(a, "x"), pinned(unknown, "x"), nil},
		"another cluster, pinned":          {pinned(a, "x"), pinned(b, "x"), nil},
		"unknown, pinned now":              {is(a), pinned(unknown, "x"), []string{"kubeconfig"}},
		"another pin":                      {pinned(a, "x"), pinned(a, "y"), []string{"clusterIdentifier"}},
		"a switch that leaves the cluster": {is(a), with("enableConfigMapMutable"), nil},
		"rendered to a directory":          {is(a), with("renderYamlToDirectory"), []string{"renderYamlToDirectory"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			response, err := kube.DiffConfig(t.Context(), &pulumirpc.DiffRequest{Olds: kube.wire(one.old), News: kube.wire(one.now)})
			require.NoError(t, err)
			assert.Equal(t, one.replaces, response.GetReplaces())
		})
	}
}

func TestObjectsGoWithTheirCluster(t *testing.T) {
	t.Parallel()
	c, ports := cloud(t)
	aws := connect(t, ports, double.AWS, tokyo)
	id, state := aws.create(clusterType, "main", props{"name": "main"})
	config := kubeconfig(t, state["endpoint"].StringValue())
	connect(t, ports, double.Kubernetes, props{"kubeconfig": config}).create(mapType, "m", object("ConfigMap", "default", "m", nil))
	_, err := aws.Delete(t.Context(), &pulumirpc.DeleteRequest{Urn: urn(clusterType, "main"), Id: id})
	require.NoError(t, err)
	assert.Empty(t, c.Objects())
	events := c.Events()
	assert.Equal(t, "cascade", events[len(events)-1].Verb)
}
