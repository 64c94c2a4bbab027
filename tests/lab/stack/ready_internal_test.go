package stack

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	storagev1 "k8s.io/api/storage/v1"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// around are surroundings by name: how many endpoints of a Service are ready and how many are not, and storage classes.
type around struct {
	pods    map[string][2]int
	classes map[string]storagev1.VolumeBindingMode
}

func (a around) endpoints(namespace, service string) ([]discoveryv1.EndpointSlice, error) {
	counts, ok := a.pods[namespace+"/"+service]
	if !ok {
		return nil, errors.New("no such service")
	}
	var slice discoveryv1.EndpointSlice
	for i, ready := range []bool{true, false} {
		for range counts[i] {
			slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Conditions: discoveryv1.EndpointConditions{Ready: &ready}})
		}
	}
	return []discoveryv1.EndpointSlice{slice}, nil
}

func (a around) storageClass(name string) (*storagev1.StorageClass, error) {
	mode, ok := a.classes[name]
	if !ok {
		return nil, errors.New("no such class")
	}
	return &storagev1.StorageClass{VolumeBindingMode: &mode}, nil
}

func parse(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	require.NoError(t, err)
	var read unstructured.Unstructured
	require.NoError(t, read.UnmarshalJSON(data)) // whole numbers as the API's clients have them
	return &read
}

func TestUnready(t *testing.T) {
	t.Parallel()
	deployment := "{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, generation: 2}, spec: {replicas: 2}, status: "
	stateful := "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: a, generation: 1}, spec: {replicas: 2}, status: "
	daemon := "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: a, generation: 1}, status: "
	service := "{apiVersion: v1, kind: Service, metadata: {namespace: x, name: "
	claim := "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}, "
	prometheus := "{apiVersion: monitoring.coreos.com/v1, kind: Prometheus, metadata: {name: a, generation: 2, annotations: {pulumi.com/waitFor: "
	conditions := "status: {conditions: [{type: Available, status: "
	for _, c := range []struct{ object, want string }{
		{deployment + "{observedGeneration: 1, updatedReplicas: 2, replicas: 2, availableReplicas: 2}}", unseen},
		{deployment + "{observedGeneration: 2, updatedReplicas: 1, replicas: 2, availableReplicas: 2}}", "1 of 2 pods made"},
		{deployment + "{observedGeneration: 2, updatedReplicas: 2, replicas: 2, availableReplicas: 1}}", "1 of 2 pods available, 0 of an earlier revision"},
		{deployment + "{observedGeneration: 2, updatedReplicas: 2, replicas: 3, availableReplicas: 3}}", "3 of 2 pods available, 1 of an earlier revision"},
		{deployment + "{observedGeneration: 2, updatedReplicas: 2, replicas: 2, availableReplicas: 2}}", ""},
		{deployment + "{}}", unseen},

		{stateful + "{replicas: 2, readyReplicas: 2}}", unseen},
		{stateful + "{observedGeneration: 1, replicas: 2, readyReplicas: 1, currentReplicas: 2, currentRevision: r, updateRevision: r}}", "1 of 2 pods ready"},
		{stateful + "{observedGeneration: 1, replicas: 3, readyReplicas: 2, currentReplicas: 2, currentRevision: r, updateRevision: r}}", "2 of 2 pods ready"},
		{
			stateful + "{observedGeneration: 1, replicas: 2, readyReplicas: 2, currentReplicas: 1, updatedReplicas: 1, currentRevision: r, updateRevision: s}}",
			"1 of 2 pods of revision s",
		},
		{stateful + "{observedGeneration: 1, replicas: 2, readyReplicas: 2, currentReplicas: 2, currentRevision: r, updateRevision: r}}", ""},

		{daemon + "{observedGeneration: 1, desiredNumberScheduled: 0}}", "no node takes it"},
		{daemon + "{observedGeneration: 1, desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 1, numberReady: 2}}", "1 of 2 pods available"},
		{daemon + "{observedGeneration: 1, desiredNumberScheduled: 2, updatedNumberScheduled: 1, numberAvailable: 2, numberReady: 2}}", "1 of 2 pods available"},
		{daemon + "{observedGeneration: 1, desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 2, numberReady: 2}}", ""},

		{service + "other}, spec: {clusterIP: 10.96.0.1, selector: {a: b}}}", "no such service"},
		{service + "none}, spec: {clusterIP: 10.96.0.1, selector: {a: b}}}", "0 of 0 endpoints ready"},
		{service + "half}, spec: {clusterIP: 10.96.0.1, selector: {a: b}}}", "1 of 3 endpoints ready"},
		{service + "full}, spec: {clusterIP: 10.96.0.1, selector: {a: b}}}", ""},
		{service + "other}, spec: {clusterIP: None, selector: {a: b}}}", ""},
		{service + "other}, spec: {clusterIP: 10.96.0.1}}", ""},
		{service + "other}, spec: {type: ExternalName, selector: {a: b}}}", ""},

		{claim + "spec: {storageClassName: late}, status: {phase: Pending}}", ""},
		{claim + "spec: {storageClassName: at-once}, status: {phase: Pending}}", `is "Pending"`},
		{claim + "spec: {storageClassName: unknown}, status: {phase: Pending}}", "no such class"},
		{claim + "spec: {}, status: {phase: Pending}}", `is "Pending"`},
		{claim + "spec: {storageClassName: at-once}, status: {phase: Bound}}", ""},

		{prometheus + "condition=Available}}}", "has no condition Available yet"},
		{prometheus + "condition=Available}}, " + conditions + "\"False\", reason: NoPodReady, message: sorry}]}}", "Available is False: NoPodReady sorry"},
		{prometheus + "condition=Available}}, " + conditions + "\"True\", observedGeneration: 1}]}}", "its controller has not seen the last change"},
		{prometheus + "condition=Available}}, " + conditions + "\"True\", observedGeneration: 2}]}}", ""},
		{prometheus + "condition=Available=Degraded}}, " + conditions + "Degraded}]}}", ""},
		{prometheus + "'[\"condition=Available\", \"condition=Reconciled\"]'}}, " + conditions + "\"True\"}]}}", "has no condition Reconciled yet"},
		{prometheus + "\"\"}}}", ""},
		{prometheus + "condition=Available, pulumi.com/skipAwait: \"true\"}}}", ""},

		{"{apiVersion: v1, kind: Namespace, metadata: {name: a}, status: {phase: Terminating}}", `is "Terminating"`},
		{"{apiVersion: v1, kind: Namespace, metadata: {name: a}, status: {phase: Active}}", ""},
		{"{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: a}}", "has no condition Established yet"},
		{"{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: a}, " + conditions + "\"True\"}]}}", ""},
		{"{apiVersion: batch/v1, kind: Job, metadata: {name: a}, status: {active: 1}}", "0 pods succeeded, 1 run"},
		{"{apiVersion: batch/v1, kind: Job, metadata: {name: a}, status: {conditions: [{type: Complete, status: \"True\"}]}}", ""},
		{"{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}", ""},
	} {
		read := parse(t, c.object)
		why, err := unready(read, read, around{
			pods:    map[string][2]int{"x/none": {}, "x/half": {1, 2}, "x/full": {2, 0}},
			classes: map[string]storagev1.VolumeBindingMode{"late": storagev1.VolumeBindingWaitForFirstConsumer, "at-once": storagev1.VolumeBindingImmediate},
		})
		require.NoError(t, err, c.object)
		assert.Equal(t, c.want, why, c.object)
	}
}

func TestUnreadyForGood(t *testing.T) {
	t.Parallel()
	for text, message := range map[string]string{
		"{apiVersion: batch/v1, kind: Job, metadata: {name: a}, status: {conditions: [{type: Failed, status: \"True\", reason: Deadline}]}}": "it failed: Deadline",
		"{apiVersion: v1, kind: Secret, metadata: {name: a, annotations: {pulumi.com/waitFor: \"jsonpath={.a}\"}}}":                          "only conditions are known",
		"{apiVersion: v1, kind: Namespace, metadata: {name: a}, status: 3}":                                                                  "reading Namespace a",
	} {
		read := parse(t, text)
		_, err := unready(read, read, around{})
		require.ErrorContains(t, err, message)
	}
	_, err := timeout(parse(t, "{apiVersion: v1, kind: Secret, metadata: {name: a, annotations: {pulumi.com/timeoutSeconds: 5m}}}"))
	require.ErrorContains(t, err, "pulumi.com/timeoutSeconds")
}

func TestOperated(t *testing.T) {
	t.Parallel()
	set := func(owner string, ready int32) appsv1.StatefulSet {
		two := int32(2)
		return appsv1.StatefulSet{
			ObjectMeta: nativemetav1.ObjectMeta{
				Name: "prometheus-" + owner, OwnerReferences: []nativemetav1.OwnerReference{{Kind: "Prometheus", Name: owner}},
			},
			Spec: appsv1.StatefulSetSpec{Replicas: &two},
			Status: appsv1.StatefulSetStatus{
				Replicas: 2, ReadyReplicas: ready, CurrentReplicas: 2, CurrentRevision: "r", UpdateRevision: "r",
			},
		}
	}
	all := []appsv1.StatefulSet{set("k8s", 1), set("other", 2)}
	assert.Equal(t, "prometheus-k8s: 1 of 2 pods ready", operated("Prometheus", "k8s", all))
	assert.Empty(t, operated("Prometheus", "other", all))
	assert.Equal(t, "the operator has made no StatefulSet of it", operated("Alertmanager", "other", all))
}
