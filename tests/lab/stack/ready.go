package stack

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	nativecorev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	storagev1 "k8s.io/api/storage/v1"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// What Pulumi's Kubernetes provider waits for, as functions of an object that say what is still missing ("" for nothing). Where they differ
// they ask for more: the provider retries a custom resource until its definition is established, gives a Service without endpoints ten
// seconds, and does not look at an APIService.

// Annotations that speak to the provider.
const (
	skipAwait      = "pulumi.com/skipAwait"
	waitFor        = "pulumi.com/waitFor"
	timeoutSeconds = "pulumi.com/timeoutSeconds"
)

// timeout is an object's own; 0 if it has none.
func timeout(object *unstructured.Unstructured) (time.Duration, error) {
	text := object.GetAnnotations()[timeoutSeconds]
	if text == "" {
		return 0, nil
	}
	seconds, err := strconv.Atoi(text)
	if err != nil {
		return 0, fmt.Errorf("reading the annotation %s: %w", timeoutSeconds, err)
	}
	return time.Duration(seconds) * time.Second, nil
}

// surroundings are what readiness needs to know beside the object itself.
type surroundings interface {
	endpoints(namespace, service string) ([]discoveryv1.EndpointSlice, error)
	storageClass(name string) (*storagev1.StorageClass, error)
}

// unready says what a live object waits for. applied is the object as it was applied, whose annotations count. An error is one that waiting
// does not mend.
func unready(applied, live *unstructured.Unstructured, around surroundings) (string, error) {
	annotations := applied.GetAnnotations()
	switch {
	case annotations[skipAwait] == "true":
		return "", nil
	case annotations[waitFor] != "":
		return custom(live, annotations[waitFor])
	}
	switch live.GroupVersionKind().GroupKind().String() {
	case "Deployment.apps":
		return typed(live, deployment)
	case "StatefulSet.apps":
		return typed(live, statefulSet)
	case "DaemonSet.apps":
		return typed(live, daemonSet)
	case "Job.batch":
		return typed(live, job)
	case "Namespace":
		return typed(live, namespace)
	case "Service":
		return typed(live, func(s *nativecorev1.Service) (string, error) { return service(s, around) })
	case "PersistentVolumeClaim":
		return typed(live, func(c *nativecorev1.PersistentVolumeClaim) (string, error) { return claim(c, around) })
	case "CustomResourceDefinition.apiextensions.k8s.io":
		return custom(live, "condition=Established")
	case "APIService.apiregistration.k8s.io":
		return custom(live, "condition=Available")
	}
	return "", nil
}

// typed hands a live object on as its Go type.
func typed[T any](live *unstructured.Unstructured, ready func(*T) (string, error)) (string, error) {
	object := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(live.Object, object); err != nil {
		return "", fmt.Errorf("reading %s: %w", describe(live), err)
	}
	return ready(object)
}

// custom looks for conditions: "condition=Available", "condition=Degraded=False", or a JSON list of these.
func custom(live *unstructured.Unstructured, annotation string) (string, error) {
	var expressions []string
	if json.Unmarshal([]byte(annotation), &expressions) != nil {
		expressions = []string{annotation}
	}
	for _, expression := range expressions {
		wanted, ok := strings.CutPrefix(expression, "condition=")
		if !ok {
			return "", fmt.Errorf("reading the annotation %s: only conditions are known here, got %q", waitFor, expression)
		}
		kind, status, ok := strings.Cut(wanted, "=")
		if !ok {
			status = "True"
		}
		if why := condition(live, kind, status); why != "" {
			return why, nil
		}
	}
	return "", nil
}

func condition(live *unstructured.Unstructured, kind, wanted string) string {
	conditions, _, _ := unstructured.NestedSlice(live.Object, "status", "conditions")
	for _, one := range conditions {
		found, _ := one.(map[string]any)
		if name, _ := found["type"].(string); !strings.EqualFold(name, kind) {
			continue
		}
		observed, ok, _ := unstructured.NestedInt64(found, "observedGeneration")
		if !ok {
			observed, ok, _ = unstructured.NestedInt64(live.Object, "status", "observedGeneration")
		}
		if ok && observed < live.GetGeneration() {
			return "its controller has not seen the last change"
		}
		status, _ := found["status"].(string)
		if strings.EqualFold(status, wanted) {
			return ""
		}
		return strings.TrimSpace(fmt.Sprintf("%s is %s: %v %v", kind, status, text(found["reason"]), text(found["message"])))
	}
	return "has no condition " + kind + " yet"
}

func text(value any) string {
	s, _ := value.(string)
	return s
}

const unseen = "its controller has not seen it yet"

// replicas is the number of replicas that an object asks for.
func replicas(asked *int32) int32 {
	if asked == nil {
		return 1
	}
	return *asked
}

func deployment(d *appsv1.Deployment) (string, error) {
	wanted, s := replicas(d.Spec.Replicas), d.Status
	switch {
	case s.ObservedGeneration < d.Generation:
		return unseen, nil
	case s.UpdatedReplicas < wanted:
		return fmt.Sprintf("%d of %d pods made", s.UpdatedReplicas, wanted), nil
	case s.AvailableReplicas < wanted || s.Replicas > s.UpdatedReplicas:
		return fmt.Sprintf("%d of %d pods available, %d of an earlier revision", s.AvailableReplicas, wanted, s.Replicas-s.UpdatedReplicas), nil
	}
	return "", nil
}

func statefulSet(set *appsv1.StatefulSet) (string, error) {
	wanted, s := replicas(set.Spec.Replicas), set.Status
	switch {
	case s.ObservedGeneration < set.Generation:
		return unseen, nil
	case s.ReadyReplicas != wanted || s.Replicas != wanted:
		return fmt.Sprintf("%d of %d pods ready", s.ReadyReplicas, wanted), nil
	case s.CurrentRevision == "" || s.CurrentRevision != s.UpdateRevision || s.CurrentReplicas != wanted:
		return fmt.Sprintf("%d of %d pods of revision %s", s.UpdatedReplicas, wanted, s.UpdateRevision), nil
	}
	return "", nil
}

// daemonSet also wants a node: with one node, a set that is for none is wrong.
func daemonSet(set *appsv1.DaemonSet) (string, error) {
	s := set.Status
	switch {
	case s.ObservedGeneration < set.Generation:
		return unseen, nil
	case s.DesiredNumberScheduled == 0:
		return "no node takes it", nil
	case s.UpdatedNumberScheduled < s.DesiredNumberScheduled || s.NumberAvailable < s.DesiredNumberScheduled ||
		s.NumberReady < s.DesiredNumberScheduled:
		return fmt.Sprintf("%d of %d pods available", min(s.UpdatedNumberScheduled, s.NumberAvailable, s.NumberReady), s.DesiredNumberScheduled), nil
	}
	return "", nil
}

func job(j *batchv1.Job) (string, error) {
	for _, c := range j.Status.Conditions {
		holds := c.Status == nativecorev1.ConditionTrue
		if holds && c.Type == batchv1.JobComplete {
			return "", nil
		}
		if holds && c.Type == batchv1.JobFailed {
			return "", fmt.Errorf("it failed: %s %s", c.Reason, c.Message)
		}
	}
	return fmt.Sprintf("%d pods succeeded, %d run", j.Status.Succeeded, j.Status.Active), nil
}

func namespace(n *nativecorev1.Namespace) (string, error) {
	if n.Status.Phase != nativecorev1.NamespaceActive {
		return fmt.Sprintf("is %q", n.Status.Phase), nil
	}
	return "", nil
}

// service waits for pods unless none are to be found by it, or all in DNS only.
func service(s *nativecorev1.Service, around surroundings) (string, error) {
	if s.Spec.Type == nativecorev1.ServiceTypeExternalName || s.Spec.ClusterIP == nativecorev1.ClusterIPNone || len(s.Spec.Selector) == 0 {
		return "", nil
	}
	slices, err := around.endpoints(s.Namespace, s.Name)
	if err != nil {
		return err.Error(), nil
	}
	return endpoints(slices), nil
}

// endpoints must be there, and all ready.
func endpoints(all []discoveryv1.EndpointSlice) string {
	ready, pending := 0, 0
	for _, slice := range all {
		for _, endpoint := range slice.Endpoints {
			if endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready {
				ready++
			} else {
				pending++
			}
		}
	}
	if ready == 0 || pending > 0 {
		return fmt.Sprintf("%d of %d endpoints ready", ready, ready+pending)
	}
	return ""
}

func claim(c *nativecorev1.PersistentVolumeClaim, around surroundings) (string, error) {
	if c.Status.Phase == nativecorev1.ClaimBound {
		return "", nil
	}
	if c.Spec.StorageClassName != nil {
		class, err := around.storageClass(*c.Spec.StorageClassName)
		if err != nil {
			return err.Error(), nil
		}
		if class.VolumeBindingMode != nil && *class.VolumeBindingMode == storagev1.VolumeBindingWaitForFirstConsumer {
			return "", nil
		}
	}
	return fmt.Sprintf("is %q", c.Status.Phase), nil
}

// operated says what the StatefulSets that the operator made of a custom resource wait for.
func operated(kind, name string, all []appsv1.StatefulSet) string {
	var waiting []string
	made := 0
	for i := range all {
		if !slices.ContainsFunc(all[i].OwnerReferences, func(owner nativemetav1.OwnerReference) bool {
			return owner.Kind == kind && owner.Name == name
		}) {
			continue
		}
		made++
		if why, _ := statefulSet(&all[i]); why != "" { // it never fails for good
			waiting = append(waiting, all[i].Name+": "+why)
		}
	}
	if made == 0 {
		return "the operator has made no StatefulSet of it"
	}
	return strings.Join(waiting, ", ")
}
