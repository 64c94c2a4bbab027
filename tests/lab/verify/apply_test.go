package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	nativecorev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/kansoku/kansoku/components/versions"
)

// resource is where an object of a kind is to be had. A kind that a CRD has just brought is looked up for a while.
func (c *cluster) resource(ctx context.Context, object *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	kind := object.GroupVersionKind()
	var mapping *meta.RESTMapping
	err := eventually(ctx, 15*time.Second, func(context.Context) error {
		var err error
		if mapping, err = c.mapper.RESTMapping(kind.GroupKind(), kind.Version); err != nil {
			c.mapper.Reset()
		}
		return err //nolint:wrapcheck // says itself what it is
	})
	if err != nil {
		return nil, fmt.Errorf("looking up the kind: %w", err)
	}
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return c.dynamic.Resource(mapping.Resource), nil
	}
	return c.dynamic.Resource(mapping.Resource).Namespace(object.GetNamespace()), nil
}

// apply is server-side apply as Pulumi's provider does it, but strict: an unknown or repeated field is an error.
func (c *cluster) apply(ctx context.Context, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	resource, err := c.resource(ctx, object)
	if err != nil {
		return nil, err
	}
	data, err := object.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encoding: %w", err)
	}
	force := true
	options := nativemetav1.PatchOptions{FieldManager: "pulumi-kubernetes", Force: &force, FieldValidation: nativemetav1.FieldValidationStrict}
	applied, err := resource.Patch(ctx, object.GetName(), types.ApplyPatchType, data, options)
	if err != nil {
		return nil, fmt.Errorf("applying: %w", err)
	}
	return applied, nil
}

// allowedWarnings are answers that an object may get, with the reason.
var allowedWarnings = map[string]string{}

// noWarnings fails for what the API server has warned of since it was last asked.
func noWarnings(t *testing.T, c *cluster, about string) {
	t.Helper()
	for _, text := range c.warnings.take() {
		assert.NotEmpty(t, allowedWarnings[text], "%s: warning: %s", about, text)
	}
}

// takenForGranted makes the storage classes that the objects name and do not bring: a cluster has them, and the operator looks.
func takenForGranted(t *testing.T, c *cluster, objects []*unstructured.Unstructured) {
	t.Helper()
	missing := map[string]bool{}
	var look func(value any)
	look = func(value any) {
		switch value := value.(type) {
		case map[string]any:
			if name, ok := value["storageClassName"].(string); ok {
				missing[name] = true
			}
			for _, inner := range value {
				look(inner)
			}
		case []any:
			for _, inner := range value {
				look(inner)
			}
		}
	}
	for _, object := range objects {
		look(object.Object)
	}
	for _, object := range objects {
		if object.GetKind() == "StorageClass" {
			delete(missing, object.GetName())
		}
	}
	for name := range missing {
		class := &storagev1.StorageClass{ObjectMeta: nativemetav1.ObjectMeta{Name: name}, Provisioner: "kubernetes.io/no-provisioner"}
		_, err := c.client.StorageV1().StorageClasses().Create(t.Context(), class, nativemetav1.CreateOptions{})
		require.NoError(t, err)
	}
}

// applyAll applies in order; a CRD has to be established before the next object.
func applyAll(t *testing.T, c *cluster, objects []*unstructured.Unstructured) {
	c.warnings.take()
	for _, object := range objects {
		if _, err := c.apply(t.Context(), object); !assert.NoError(t, err, id(object)) {
			continue
		}
		noWarnings(t, c, id(object))
		if object.GetKind() == "CustomResourceDefinition" {
			assert.NoError(t, eventually(t.Context(), 30*time.Second, func(ctx context.Context) error { return c.established(ctx, object) }), id(object))
		}
	}
}

func (c *cluster) established(ctx context.Context, definition *unstructured.Unstructured) error {
	resource, err := c.resource(ctx, definition)
	if err != nil {
		return err
	}
	current, err := resource.Get(ctx, definition.GetName(), nativemetav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading it back: %w", err)
	}
	conditions, _, _ := unstructured.NestedSlice(current.Object, "status", "conditions")
	for _, one := range conditions {
		if condition, ok := one.(map[string]any); ok && condition["type"] == "Established" && condition["status"] == "True" {
			return nil
		}
	}
	return fmt.Errorf("not established: %v", conditions)
}

// applyAgain holds that an apply of what is there is no write: no field is owned by two, defaulted differently or rewritten by the server.
func applyAgain(t *testing.T, c *cluster, objects []*unstructured.Unstructured) {
	for _, object := range objects {
		resource, err := c.resource(t.Context(), object)
		require.NoError(t, err)
		before, err := resource.Get(t.Context(), object.GetName(), nativemetav1.GetOptions{})
		require.NoError(t, err, id(object))
		after, err := c.apply(t.Context(), object)
		require.NoError(t, err, id(object))
		assert.Equal(t, before.GetResourceVersion(), after.GetResourceVersion(), "%s was written by a second apply", id(object))
	}
}

// workload is a kind of object that pods are made of.
type workload struct {
	kind, namespace, name string
	ip                    string                       // of its pod
	template              nativecorev1.PodTemplateSpec // claims stand in it as volumes
}

func (w workload) String() string { return w.kind + " " + w.namespace + "/" + w.name }

var templates = map[string][]string{
	"Deployment": {"spec", "template"}, "DaemonSet": {"spec", "template"}, "StatefulSet": {"spec", "template"}, "Job": {"spec", "template"},
	"CronJob": {"spec", "jobTemplate", "spec", "template"},
}

func workloadsOf(t *testing.T, objects []*unstructured.Unstructured) []workload {
	t.Helper()
	var found []workload
	for _, object := range objects {
		path, ok := templates[object.GetKind()]
		if !ok {
			continue
		}
		w := workload{kind: object.GetKind(), namespace: object.GetNamespace(), name: object.GetName(), ip: nextAddress()}
		template, ok, err := unstructured.NestedMap(object.Object, path...)
		require.NoError(t, err, w)
		require.True(t, ok, w)
		require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(template, &w.template), w)
		claims, _, err := unstructured.NestedSlice(object.Object, "spec", "volumeClaimTemplates")
		require.NoError(t, err, w)
		for _, claim := range claims {
			name, _, _ := unstructured.NestedString(claim.(map[string]any), "metadata", "name")
			w.template.Spec.Volumes = append(w.template.Spec.Volumes, nativecorev1.Volume{Name: name, VolumeSource: nativecorev1.VolumeSource{
				PersistentVolumeClaim: &nativecorev1.PersistentVolumeClaimVolumeSource{ClaimName: name + "-" + w.name + "-0"},
			}})
		}
		found = append(found, w)
	}
	require.NotEmpty(t, found)
	return found
}

// resolve makes the Services known that lead to the pods of workloads.
func (c *cluster) resolve(t *testing.T, objects []*unstructured.Unstructured, workloads []workload) {
	t.Helper()
	for _, object := range objects {
		if object.GetKind() != "Service" {
			continue
		}
		var described nativecorev1.Service
		require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &described), id(object))
		selector := labels.SelectorFromSet(described.Spec.Selector)
		for _, w := range workloads {
			if w.namespace == described.Namespace && !selector.Empty() && selector.Matches(labels.Set(w.template.Labels)) {
				found := service{ip: w.ip, ports: map[string]int32{}}
				for _, port := range described.Spec.Ports {
					found.ports[port.Name] = port.Port
				}
				c.services[described.Name+"."+described.Namespace] = found
			}
		}
	}
}

// operatedBy waits until the operator has made the workloads of its custom resources, and returns them.
func operatedBy(t *testing.T, c *cluster, objects []*unstructured.Unstructured) []workload {
	t.Helper()
	i := slices.IndexFunc(c.pods, func(p *pod) bool {
		return repository(p.template.Spec.Containers[0].Image) == versions.Operator.Repository
	})
	require.GreaterOrEqual(t, i, 0, "no operator runs")
	operator := c.pods[i].byName[c.pods[i].template.Spec.Containers[0].Name]
	var made []*unstructured.Unstructured
	for _, object := range objects {
		if kind := object.GetKind(); kind != "Prometheus" && kind != "Alertmanager" {
			continue
		}
		set := &unstructured.Unstructured{}
		set.SetAPIVersion("apps/v1")
		set.SetKind("StatefulSet")
		set.SetNamespace(object.GetNamespace())
		prefix := map[string]string{"Prometheus": "prometheus-", "Alertmanager": "alertmanager-"}[object.GetKind()]
		require.NoError(t, eventually(t.Context(), time.Minute, func(ctx context.Context) error {
			if err := operator.ended(); err != nil {
				return err
			}
			resource, err := c.resource(ctx, set)
			if err != nil {
				return err
			}
			current, err := resource.Get(ctx, prefix+object.GetName(), nativemetav1.GetOptions{})
			if err != nil {
				return fmt.Errorf("what the operator makes of it: %w; it said:\n%s", err, operator.tail())
			}
			made = append(made, current)
			return nil
		}), id(object))
	}
	require.NotEmpty(t, made, "a stack without a Prometheus")
	return workloadsOf(t, made)
}

// admitAll has the API server judge one pod of each workload, since no controller makes any. Nothing is stored.
func admitAll(t *testing.T, c *cluster, workloads []workload) int {
	c.warnings.take()
	namespaces := map[string]bool{}
	for _, w := range workloads {
		namespaces[w.namespace] = true
		assert.NoError(t, c.admit(t.Context(), w), w)
		noWarnings(t, c, w.String())
	}
	// The judge is there: what restricted namespaces must not have, they do not get.
	refusing := 0
	for namespace := range namespaces {
		current, err := c.client.CoreV1().Namespaces().Get(t.Context(), namespace, nativemetav1.GetOptions{})
		require.NoError(t, err)
		level := current.Labels["pod-security.kubernetes.io/enforce"]
		assert.Contains(t, []string{"restricted", "privileged"}, level, "namespace %s", namespace)
		if level == "restricted" {
			refusing++
			for _, w := range workloads {
				if w.namespace == namespace {
					w.template.Spec.HostNetwork = true
					assert.True(t, apierrors.IsForbidden(c.admit(t.Context(), w)), "%s would be admitted on the host's network", w)
					c.warnings.take()
					break
				}
			}
		}
	}
	assert.Positive(t, refusing, "no namespace is restricted")
	return len(workloads)
}

func (c *cluster) admit(ctx context.Context, w workload) error {
	template, err := json.Marshal(w.template)
	if err != nil {
		return fmt.Errorf("encoding the pod: %w", err)
	}
	pod := &nativecorev1.Pod{}
	if err := json.Unmarshal(template, pod); err != nil {
		return fmt.Errorf("encoding the pod: %w", err)
	}
	pod.Name, pod.Namespace = w.name+"-0", w.namespace
	options := nativemetav1.CreateOptions{DryRun: []string{nativemetav1.DryRunAll}, FieldValidation: nativemetav1.FieldValidationStrict}
	if _, err := c.client.CoreV1().Pods(w.namespace).Create(ctx, pod, options); err != nil {
		return fmt.Errorf("creating a pod: %w", err)
	}
	return nil
}
