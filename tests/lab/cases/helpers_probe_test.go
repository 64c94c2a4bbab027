package cases

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	nativecorev1 "k8s.io/api/core/v1"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// probePort serves the probe's API and its metrics.
const probePort = 8080

// testNamespace makes a namespace for one test, and removes it with all that is in it when the test is over.
func (k *kube) testNamespace(t *testing.T, name string) string {
	t.Helper()
	api := k.typed.CoreV1().Namespaces()
	made, err := api.Create(t.Context(), &nativecorev1.Namespace{ObjectMeta: nativemetav1.ObjectMeta{GenerateName: "lab-" + name + "-"}}, nativemetav1.CreateOptions{})
	require.NoError(t, err, "making a namespace")
	t.Cleanup(func() {
		// Not the test's context: it is done when the cleanup runs.
		assert.NoError(t, api.Delete(context.Background(), made.Name, nativemetav1.DeleteOptions{}), "removing namespace %s", made.Name)
	})
	return made.Name
}

// probes runs pods of the probe, found by the label app=name, and waits until they are ready. POD in their arguments is the pod's name.
func (k *kube) probes(t *testing.T, namespace, name string, replicas int32, arguments ...string) []nativecorev1.Pod {
	t.Helper()
	k.deploy(t, namespace, probe(name, replicas, arguments...))
	eventually(t, 2*time.Minute, "pods of "+name+" are ready", func() error {
		return k.podsReady(t.Context(), namespace, "app="+name, int(replicas))
	})
	return k.pods(t, namespace, "app="+name)
}

// probe is a Deployment of the probe.
func probe(name string, replicas int32, arguments ...string) *appsv1.Deployment {
	labels, grace, noToken := map[string]string{"app": name}, int64(1), false
	container := nativecorev1.Container{
		Name: "probe", Image: probeImage, ImagePullPolicy: nativecorev1.PullIfNotPresent, Command: append([]string{"/probe"}, arguments...),
		Ports: []nativecorev1.ContainerPort{{Name: "http", ContainerPort: probePort}},
		Env: []nativecorev1.EnvVar{{
			Name: "POD", ValueFrom: &nativecorev1.EnvVarSource{FieldRef: &nativecorev1.ObjectFieldSelector{FieldPath: "metadata.name"}},
		}},
	}
	return &appsv1.Deployment{
		ObjectMeta: nativemetav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &nativemetav1.LabelSelector{MatchLabels: labels},
			Template: nativecorev1.PodTemplateSpec{
				ObjectMeta: nativemetav1.ObjectMeta{Labels: labels},
				Spec: nativecorev1.PodSpec{
					Containers: []nativecorev1.Container{container}, TerminationGracePeriodSeconds: &grace, AutomountServiceAccountToken: &noToken,
					Tolerations: []nativecorev1.Toleration{{Key: "spotInstance", Value: "true", Effect: nativecorev1.TaintEffectNoSchedule}},
				},
			},
		},
	}
}

func (k *kube) deploy(t *testing.T, namespace string, deployment *appsv1.Deployment) {
	t.Helper()
	_, err := k.typed.AppsV1().Deployments(namespace).Create(t.Context(), deployment, nativemetav1.CreateOptions{})
	require.NoError(t, err, "making deployment %s", deployment.Name)
}

// monitor has Prometheus scrape the pods with the label app=name.
func (k *kube) monitor(t *testing.T, namespace, name string, interval time.Duration) {
	t.Helper()
	k.custom(t, "podmonitors", "PodMonitor", namespace, name, map[string]any{
		"selector":            map[string]any{"matchLabels": map[string]any{"app": name}},
		"podMetricsEndpoints": []any{map[string]any{"port": "http", "interval": interval.String()}},
	})
}

// custom makes an object that the Prometheus Operator works on.
func (k *kube) custom(t *testing.T, resource, kind, namespace, name string, spec map[string]any) {
	t.Helper()
	group := schema.GroupVersion{Group: "monitoring.coreos.com", Version: "v1"}
	_, err := k.dynamic.Resource(group.WithResource(resource)).Namespace(namespace).Create(t.Context(), &unstructured.Unstructured{
		Object: map[string]any{
			"apiVersion": group.String(), "kind": kind, "metadata": map[string]any{"name": name}, "spec": spec,
		},
	}, nativemetav1.CreateOptions{})
	require.NoError(t, err, "making %s %s", kind, name)
}

// podURL is the base URL of a pod by its IP.
func podURL(pod nativecorev1.Pod, port int) string {
	return "http://" + net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(port))
}

// exposed sums the series of a metric that a pod exposes, and counts them.
func exposed(ctx context.Context, pod nativecorev1.Pod, port int, metric string) (sum float64, count int, err error) {
	content, err := call(ctx, http.MethodGet, podURL(pod, port)+"/metrics", nil, nil)
	if err != nil {
		return 0, 0, err
	}
	for row := range strings.Lines(string(content)) {
		rest, found := strings.CutPrefix(strings.TrimSpace(row), metric)
		if !found || !strings.HasPrefix(rest, "{") && !strings.HasPrefix(rest, " ") {
			continue
		}
		value, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			return 0, 0, fmt.Errorf("reading metric %s of pod %s: %w", metric, pod.Name, err)
		}
		sum += value
		count++
	}
	return sum, count, nil
}

// containerLog is all that a container has printed since it started, as far as the kubelet still has it.
func (k *kube) containerLog(ctx context.Context, pod nativecorev1.Pod, container string) (string, error) {
	content, err := k.typed.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &nativecorev1.PodLogOptions{Container: container}).DoRaw(ctx)
	if err != nil {
		return "", fmt.Errorf("reading the log of %s/%s: %w", pod.Name, container, err)
	}
	return string(content), nil
}

// scaleStatefulSet sets the replicas of a StatefulSet of the stack, and waits until so many pods are ready and no others are left.
func (k *kube) scaleStatefulSet(t *testing.T, name, selector string, replicas int) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	_, err := k.typed.AppsV1().StatefulSets(namespace).Patch(t.Context(), name, "application/merge-patch+json", patch, nativemetav1.PatchOptions{}, "scale")
	require.NoError(t, err, "scaling %s to %d", name, replicas)
	eventually(t, 4*time.Minute, fmt.Sprintf("%s has %d ready pods", name, replicas), func() error {
		return k.podsReady(t.Context(), namespace, selector, replicas)
	})
}
