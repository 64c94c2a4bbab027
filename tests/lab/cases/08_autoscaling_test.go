package cases

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	nativecorev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// customMetricScales: a HorizontalPodAutoscaler gets requests per second of pods, by the rule that every stack has, and scales up and down.
func customMetricScales(t *testing.T) {
	t.Parallel()
	const most, perPod = 3, 10
	k := cluster(t)
	ns := k.testNamespace(t, "autoscaling")
	k.probes(t, ns, "scaled", 1, "serve")
	// The probe has one gauge. Under this name, and counted up, it is what a server of HTTP would show.
	k.custom(t, "podmonitors", "PodMonitor", ns, "scaled", map[string]any{
		"selector": map[string]any{"matchLabels": map[string]any{"app": "scaled"}},
		"podMetricsEndpoints": []any{map[string]any{
			"port": "http", "interval": "5s", "metricRelabelings": []any{map[string]any{
				"sourceLabels": []any{"__name__"}, "regex": "probe_load", "targetLabel": "__name__", "replacement": "http_requests_total",
			}},
		}},
	})
	stop := k.countRequests(t, ns, "scaled", most*perPod)

	begun := time.Now()
	eventually(t, 4*time.Minute, "the adapter serves the metric", func() error {
		found, err := k.requestsPerSecond(t.Context(), ns)
		if err == nil && len(found) == 0 {
			return errors.New("of no pod")
		}
		return err
	})
	served := time.Since(begun)
	k.autoscaler(t, ns, "scaled", most, perPod)
	begun = time.Now()
	eventually(t, 4*time.Minute, "the autoscaler scales up", func() error { return k.scaledTo(t.Context(), ns, "scaled", most) })
	up := time.Since(begun)
	measured, err := k.requestsPerSecond(t.Context(), ns)
	require.NoError(t, err)

	stop()
	begun = time.Now()
	eventually(t, 6*time.Minute, "the autoscaler scales down", func() error { return k.scaledTo(t.Context(), ns, "scaled", 1) })
	figure(t, "the adapter served http_requests_per_second after %s; 1 to %d pods after %s, at %v requests a second and pod; back to 1 %s after the load ended",
		served.Round(time.Second), most, up.Round(time.Second), measured, time.Since(begun).Round(time.Second))
}

// countRequests counts so many requests a second, shared by the ready pods of an app, until the returned function or the end of the test.
func (k *kube) countRequests(t *testing.T, namespace, app string, perSecond int) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		counted := map[string]int{}
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			list, err := k.typed.CoreV1().Pods(namespace).List(ctx, nativemetav1.ListOptions{LabelSelector: "app=" + app})
			if err != nil {
				continue // of interest is what the pods show
			}
			pods := slices.DeleteFunc(list.Items, func(pod nativecorev1.Pod) bool { return ready(&pod) != nil })
			for _, pod := range pods {
				counted[pod.Name] += perSecond / len(pods)
				_, _ = call(ctx, http.MethodPut, podURL(pod, probePort)+"/load/"+strconv.Itoa(counted[pod.Name]), nil, nil)
			}
		}
	})
	stop = func() {
		cancel()
		group.Wait()
	}
	t.Cleanup(stop)
	return stop
}

// requestsPerSecond asks the custom metrics API, as an autoscaler does.
func (k *kube) requestsPerSecond(ctx context.Context, namespace string) ([]string, error) {
	path := "/apis/custom.metrics.k8s.io/v1beta2/namespaces/" + namespace + "/pods/*/http_requests_per_second"
	content, err := k.typed.RESTClient().Get().AbsPath(path).DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking the custom metrics API: %w", err)
	}
	var answer struct {
		Items []struct{ Value string }
	}
	if err := json.Unmarshal(content, &answer); err != nil {
		return nil, fmt.Errorf("decoding metrics: %w", err)
	}
	var values []string
	for _, one := range answer.Items {
		values = append(values, one.Value)
	}
	return values, nil
}

// autoscaler makes a HorizontalPodAutoscaler of a Deployment that acts at once in both directions.
func (k *kube) autoscaler(t *testing.T, namespace, name string, most int32, perPod int64) {
	t.Helper()
	least, atOnce := int32(1), int32(0)
	_, err := k.typed.AutoscalingV2().HorizontalPodAutoscalers(namespace).Create(t.Context(), &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: nativemetav1.ObjectMeta{Name: name},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: name},
			MinReplicas:    &least, MaxReplicas: most,
			Metrics: []autoscalingv2.MetricSpec{{
				Type: autoscalingv2.PodsMetricSourceType,
				Pods: &autoscalingv2.PodsMetricSource{
					Metric: autoscalingv2.MetricIdentifier{Name: "http_requests_per_second"},
					Target: autoscalingv2.MetricTarget{
						Type: autoscalingv2.AverageValueMetricType, AverageValue: resource.NewQuantity(perPod, resource.DecimalSI),
					},
				},
			}},
			Behavior: &autoscalingv2.HorizontalPodAutoscalerBehavior{
				ScaleDown: &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: &atOnce},
			},
		},
	}, nativemetav1.CreateOptions{})
	require.NoError(t, err, "making an autoscaler")
}

// scaledTo says why an autoscaler does not have a Deployment at so many ready pods.
func (k *kube) scaledTo(ctx context.Context, namespace, name string, replicas int32) error {
	scaler, err := k.typed.AutoscalingV2().HorizontalPodAutoscalers(namespace).Get(ctx, name, nativemetav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading the autoscaler: %w", err)
	}
	if scaler.Status.DesiredReplicas != replicas {
		return fmt.Errorf("it wants %d pods: %v", scaler.Status.DesiredReplicas, scaler.Status.Conditions)
	}
	return k.podsReady(ctx, namespace, "app="+name, int(replicas))
}
