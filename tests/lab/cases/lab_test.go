// Package cases holds what the lab must show, each as a test with a name. The tests run inside the namespaces of the lab's node, by
// `lab test`: ClusterIPs, pods and processes of the node are within reach, and the files of its volumes.
package cases

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	nativecorev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// Names and addresses that the lab gives.
const (
	namespace     = "monitoring"
	hostNamespace = "monitoring-host"
	nodeName      = "lab"

	s3Endpoint = "http://10.88.0.1:9000"
	s3User     = "lab"
	s3Password = "lab-secret"
	s3Region   = "us-east-1"
	blocks     = "kansoku-blocks"
	chunks     = "kansoku-chunks"

	probeImage = "lab.local/probe:1"
)

// kube is a way to the API server as its administrator.
type kube struct {
	typed   *kubernetes.Clientset
	dynamic *dynamic.DynamicClient
}

// cluster connects to the lab's API server. When the test fails it also prints what the cluster looks like.
func cluster(t *testing.T) *kube {
	t.Helper()
	path := os.Getenv("KUBECONFIG")
	require.NotEmpty(t, path, "KUBECONFIG is not set: these tests run inside the lab, by `make lab` or `lab test`")
	config, err := clientcmd.BuildConfigFromFlags("", path)
	require.NoError(t, err, "reading %s", path)
	config.QPS, config.Burst = 100, 200
	typed, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	untyped, err := dynamic.NewForConfig(config)
	require.NoError(t, err)
	k := &kube{typed: typed, dynamic: untyped}
	t.Cleanup(func() {
		if t.Failed() {
			k.describe(t)
		}
	})
	return k
}

// labDir is the lab's state directory, or a part of it.
func labDir(t *testing.T, parts ...string) string {
	t.Helper()
	dir := os.Getenv("LAB_DIR")
	require.NotEmpty(t, dir, "LAB_DIR is not set: these tests run inside the lab, by `make lab` or `lab test`")
	return filepath.Join(append([]string{dir}, parts...)...)
}

// object is one Kubernetes object that the program deploys.
type object struct {
	URN      string
	Needs    []string
	Manifest map[string]any
}

// rendered are the objects of the stack, as `lab up` has rendered them.
func rendered(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	content, err := os.ReadFile(labDir(t, "objects.json"))
	require.NoError(t, err)
	var objects []object
	require.NoError(t, json.Unmarshal(content, &objects))
	all := make([]*unstructured.Unstructured, len(objects))
	for i, one := range objects {
		all[i] = &unstructured.Unstructured{Object: one.Manifest}
	}
	return all
}

// eventually polls once a second until check succeeds, and fails the test with the last error when time is up.
func eventually(t *testing.T, timeout time.Duration, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(timeout)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %s: %v", what, timeout, err)
		}
		time.Sleep(time.Second)
	}
}

// figure prints what a test has measured, in a form that is easy to find.
func figure(t *testing.T, format string, args ...any) {
	t.Helper()
	t.Logf("figure: "+format, args...)
}

// pods lists the pods of a namespace by label selector.
func (k *kube) pods(t *testing.T, namespace, selector string) []nativecorev1.Pod {
	t.Helper()
	list, err := k.typed.CoreV1().Pods(namespace).List(t.Context(), nativemetav1.ListOptions{LabelSelector: selector})
	require.NoError(t, err, "listing pods %s of %s", selector, namespace)
	return list.Items
}

// pod is one pod by its name.
func (k *kube) pod(t *testing.T, namespace, name string) nativecorev1.Pod {
	t.Helper()
	pod, err := k.typed.CoreV1().Pods(namespace).Get(t.Context(), name, nativemetav1.GetOptions{})
	require.NoError(t, err, "reading pod %s", name)
	return *pod
}

// ready says why a pod is not ready.
func ready(pod *nativecorev1.Pod) error {
	if pod.DeletionTimestamp != nil {
		return fmt.Errorf("pod %s is being deleted", pod.Name)
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == nativecorev1.PodReady && condition.Status == nativecorev1.ConditionTrue {
			return nil
		}
		if condition.Status == nativecorev1.ConditionFalse && condition.Message != "" {
			return fmt.Errorf("pod %s is %s, %s: %s", pod.Name, pod.Status.Phase, condition.Type, condition.Message)
		}
	}
	return fmt.Errorf("pod %s is %s", pod.Name, pod.Status.Phase)
}

// podsReady says why there are not exactly so many pods, all of them ready.
func (k *kube) podsReady(ctx context.Context, namespace, selector string, count int) error {
	list, err := k.typed.CoreV1().Pods(namespace).List(ctx, nativemetav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return fmt.Errorf("listing pods %s: %w", selector, err)
	}
	var errs []error
	if len(list.Items) != count {
		errs = append(errs, fmt.Errorf("%d pods %s, not %d", len(list.Items), selector, count))
	}
	for i := range list.Items {
		errs = append(errs, ready(&list.Items[i]))
	}
	return errors.Join(errs...)
}

// service is the base URL of one of the stack's Services by its ClusterIP: the node itself does not resolve the cluster's names.
func (k *kube) service(t *testing.T, name string, port int) string {
	t.Helper()
	found, err := k.typed.CoreV1().Services(namespace).Get(t.Context(), name, nativemetav1.GetOptions{})
	require.NoError(t, err, "reading service %s", name)
	require.NotContains(t, []string{"", nativecorev1.ClusterIPNone}, found.Spec.ClusterIP, "service %s has no ClusterIP", name)
	return "http://" + net.JoinHostPort(found.Spec.ClusterIP, strconv.Itoa(port))
}

// call does one HTTP request and returns the body of a 2xx answer.
func call(ctx context.Context, method, target string, header http.Header, body io.Reader) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", target, err)
	}
	maps.Copy(request.Header, header)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", target, err)
	}
	if response.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s %s: %s: %s", method, target, response.Status, bytes.TrimSpace(content))
	}
	return content, nil
}

// series is one element of a result of the Prometheus API.
type series struct {
	Labels map[string]string
	Points []point
}

type point struct {
	Millis int64
	Value  float64
}

// errPartial is an answer with warnings: as a rule, not all stores have given theirs.
var errPartial = errors.New("an answer with warnings")

// promAPI is something that answers PromQL over Prometheus' HTTP API.
type promAPI struct {
	url    string
	params url.Values
	header http.Header
}

// frontend is Thanos query frontend, the way that people and Grafana take. A partial answer is an error.
func (k *kube) frontend(t *testing.T) promAPI {
	t.Helper()
	return promAPI{url: k.service(t, "thanos-query-frontend", 10902), params: url.Values{"partial_response": {"false"}}}
}

// replica is one Prometheus alone, by the IP of its pod.
func (k *kube) replica(t *testing.T, pod string) promAPI {
	t.Helper()
	return promAPI{url: "http://" + net.JoinHostPort(k.pod(t, namespace, pod).Status.PodIP, "9090")}
}

// with has a parameter more, "dedup" for one.
func (a promAPI) with(key, value string) promAPI {
	params := url.Values{key: {value}}
	for k, v := range a.params {
		if k != key {
			params[k] = v
		}
	}
	a.params = params
	return a
}

// uncached passes the cache of query frontend by.
func (a promAPI) uncached() promAPI {
	a.header = http.Header{"Cache-Control": {"no-store"}}
	return a
}

// query evaluates promql at one time.
func (a promAPI) query(ctx context.Context, promql string, at time.Time) ([]series, error) {
	return a.ask(ctx, "query", url.Values{"query": {promql}, "time": {seconds(at)}})
}

// queryRange evaluates promql at every step from start to end, both included.
func (a promAPI) queryRange(ctx context.Context, promql string, start, end time.Time, step time.Duration) ([]series, error) {
	return a.ask(ctx, "query_range", url.Values{
		"query": {promql}, "start": {seconds(start)}, "end": {seconds(end)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)},
	})
}

// value is the number that promql has at one time; an error if it is not exactly one.
func (a promAPI) value(ctx context.Context, promql string, at time.Time) (float64, error) {
	found, err := a.query(ctx, promql, at)
	if err != nil {
		return 0, err
	}
	if len(found) != 1 || len(found[0].Points) != 1 {
		return 0, fmt.Errorf("%s: %d series, not one", promql, len(found))
	}
	return found[0].Points[0].Value, nil
}

func (a promAPI) ask(ctx context.Context, path string, form url.Values) ([]series, error) {
	maps.Copy(form, a.params)
	content, err := call(ctx, http.MethodGet, a.url+"/api/v1/"+path+"?"+form.Encode(), a.header, nil)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Status   string
		Error    string
		Warnings []string
		Data     struct {
			Result []struct {
				Metric map[string]string
				Value  *sample
				Values []sample
			}
		}
	}
	if err = json.Unmarshal(content, &answer); err != nil {
		return nil, fmt.Errorf("decoding the answer to %s: %w", form.Get("query"), err)
	}
	if answer.Status != "success" {
		return nil, fmt.Errorf("%s: %s", form.Get("query"), answer.Error)
	}
	// Thanos gives what PromQL notes of an expression among its warnings: of a counter whose name does not end in _total, for one.
	answer.Warnings = slices.DeleteFunc(answer.Warnings, func(one string) bool { return strings.HasPrefix(one, "PromQL info") })
	if len(answer.Warnings) > 0 {
		return nil, fmt.Errorf("%s: %w: %q", form.Get("query"), errPartial, answer.Warnings)
	}
	found := make([]series, len(answer.Data.Result))
	for i, one := range answer.Data.Result {
		found[i].Labels = one.Metric
		if one.Value != nil {
			one.Values = append(one.Values, *one.Value)
		}
		for _, value := range one.Values {
			found[i].Points = append(found[i].Points, point(value))
		}
	}
	return found, nil
}

// sample is a pair of seconds and a number in quotes.
type sample point

// UnmarshalJSON reads [1700000000.123, "1.5"].
func (s *sample) UnmarshalJSON(content []byte) error {
	var at float64
	var value string
	if err := json.Unmarshal(content, &[]any{&at, &value}); err != nil {
		return fmt.Errorf("decoding a sample: %w", err)
	}
	number, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return fmt.Errorf("decoding a sample: %w", err)
	}
	s.Millis, s.Value = int64(at*1000+0.5), number
	return nil
}

func seconds(at time.Time) string {
	return strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64)
}

// lokiAPI is Loki's HTTP API.
type lokiAPI struct{ url string }

// line is one line of one stream.
type line struct {
	Labels map[string]string
	Nanos  int64
	Text   string
}

func (k *kube) loki(t *testing.T) lokiAPI {
	t.Helper()
	return lokiAPI{k.service(t, "loki", 3100)}
}

// lokiPage is what Loki answers with at most (limits_config.max_entries_limit_per_query).
const lokiPage = 5000

// query returns every line of LogQL in [start, end), in the order of time. Loki answers with a page at most: a time range that fills
// one is halved, so that no line is met twice and none is skipped, not even where many have the same time. A line that is in several
// chunks (two after a kill) counts in each towards the page and is given once: so a quarter of a page is taken for a full one.
func (l lokiAPI) query(ctx context.Context, logql string, start, end time.Time) ([]line, error) {
	content, err := call(ctx, http.MethodGet, l.url+"/loki/api/v1/query_range?"+url.Values{
		"query": {logql}, "limit": {strconv.Itoa(lokiPage)}, "direction": {"forward"},
		"start": {strconv.FormatInt(start.UnixNano(), 10)}, "end": {strconv.FormatInt(end.UnixNano(), 10)},
	}.Encode(), nil, nil)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct {
			Result []struct {
				Stream map[string]string
				Values [][2]string
			}
		}
	}
	if err = json.Unmarshal(content, &answer); err != nil {
		return nil, fmt.Errorf("decoding the answer to %s: %w", logql, err)
	}
	var lines []line
	for _, stream := range answer.Data.Result {
		for _, value := range stream.Values {
			nanos, err := strconv.ParseInt(value[0], 10, 64)
			if err != nil {
				return nil, fmt.Errorf("decoding a line's time: %w", err)
			}
			lines = append(lines, line{stream.Stream, nanos, value[1]})
		}
	}
	if len(lines) >= lokiPage/4 {
		middle := start.Add(end.Sub(start) / 2)
		if !middle.After(start) {
			return nil, fmt.Errorf("%s: %d lines within a nanosecond", logql, len(lines))
		}
		first, err := l.query(ctx, logql, start, middle)
		if err != nil {
			return nil, err
		}
		second, err := l.query(ctx, logql, middle, end)
		if err != nil {
			return nil, err
		}
		return append(first, second...), nil
	}
	slices.SortStableFunc(lines, func(a, b line) int { return int(a.Nanos - b.Nanos) })
	return lines, nil
}

// push sends lines of one stream, and succeeds when Loki has acknowledged them.
func (l lokiAPI) push(ctx context.Context, lines ...line) error {
	type stream struct {
		Stream map[string]string `json:"stream"`
		Values [][2]string       `json:"values"`
	}
	var one stream
	for _, entry := range lines {
		one.Stream = entry.Labels
		one.Values = append(one.Values, [2]string{strconv.FormatInt(entry.Nanos, 10), entry.Text})
	}
	body, err := json.Marshal(map[string]any{"streams": []stream{one}})
	if err != nil {
		return fmt.Errorf("encoding lines: %w", err)
	}
	_, err = call(ctx, http.MethodPost, l.url+"/loki/api/v1/push", http.Header{"Content-Type": {"application/json"}}, bytes.NewReader(body))
	return err
}

// flush makes Loki write every open chunk to the store. It returns when the flush has begun, not when it is done.
func (l lokiAPI) flush(ctx context.Context) error {
	_, err := call(ctx, http.MethodPost, l.url+"/flush", nil, nil)
	return err
}

// s3Client reaches the lab's MinIO as its root user.
func s3Client() *s3.Client {
	return s3As(s3User, s3Password)
}

// s3As reaches the lab's MinIO as somebody.
func s3As(user, password string) *s3.Client {
	return s3.New(s3.Options{
		Region: s3Region, BaseEndpoint: aws.String(s3Endpoint), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(user, password, ""),
	})
}

// uploadBlock puts a directory with a block into the bucket as a sidecar does, under these external labels and meta.json last. It is
// removed when the test is over.
func uploadBlock(t *testing.T, dir string, external map[string]string) {
	t.Helper()
	id, client := filepath.Base(dir), s3Client()
	content, err := os.ReadFile(filepath.Join(dir, "meta.json"))
	require.NoError(t, err)
	var meta map[string]any
	require.NoError(t, json.Unmarshal(content, &meta))
	meta["thanos"] = map[string]any{
		"version": 1, "labels": external, "downsample": map[string]any{"resolution": 0}, "source": "sidecar",
	}
	content, err = json.Marshal(meta)
	require.NoError(t, err)
	files := map[string][]byte{}
	segments, err := filepath.Glob(filepath.Join(dir, "chunks", "*"))
	require.NoError(t, err)
	for _, file := range append(segments, filepath.Join(dir, "index")) {
		name := strings.TrimPrefix(file, dir+"/")
		files[name], err = os.ReadFile(file)
		require.NoError(t, err)
	}
	order := append(slices.Sorted(maps.Keys(files)), "meta.json")
	files["meta.json"] = content
	for _, name := range order {
		_, err = client.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String(blocks), Key: aws.String(id + "/" + name), Body: bytes.NewReader(files[name]),
		})
		require.NoError(t, err, "uploading %s of block %s", name, id)
	}
	t.Cleanup(func() {
		for _, name := range slices.Backward(order) {
			// Not the test's context: it is done when the cleanup runs.
			_, failed := client.DeleteObject(context.Background(), &s3.DeleteObjectInput{Bucket: aws.String(blocks), Key: aws.String(id + "/" + name)})
			require.NoError(t, failed, "removing %s of block %s", name, id)
		}
	})
}

// listBucket returns size by key of all objects.
func listBucket(ctx context.Context, bucket string) (map[string]int64, error) {
	found := map[string]int64{}
	pages := s3.NewListObjectsV2Paginator(s3Client(), &s3.ListObjectsV2Input{Bucket: aws.String(bucket)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("listing %s: %w", bucket, err)
		}
		for _, one := range page.Contents {
			found[aws.ToString(one.Key)] = aws.ToInt64(one.Size)
		}
	}
	return found, nil
}

// readObject returns an object of a bucket.
func readObject(ctx context.Context, bucket, key string) ([]byte, error) {
	answer, err := s3Client().GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)})
	if err != nil {
		return nil, fmt.Errorf("reading %s of %s: %w", key, bucket, err)
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("reading %s of %s: %w", key, bucket, err)
	}
	return content, nil
}

// signal sends a signal to the first process of a container. There is nothing in the images that could send one, but the node sees
// every process. The restart that follows a deadly one is expected from then on.
func (k *kube) signal(t *testing.T, pod nativecorev1.Pod, container string, sent syscall.Signal) {
	t.Helper()
	process := k.process(t, pod, container)
	if sent == syscall.SIGKILL || sent == syscall.SIGTERM {
		expectRestart(t, pod, container)
	}
	require.NoError(t, syscall.Kill(process, sent), "sending %s to %s of pod %s", sent, container, pod.Name)
}

// process is the id, in the node, of the first process of a container.
func (k *kube) process(t *testing.T, pod nativecorev1.Pod, container string) int {
	t.Helper()
	current := k.pod(t, pod.Namespace, pod.Name)
	var id string
	for _, status := range current.Status.ContainerStatuses {
		if status.Name == container {
			_, id, _ = strings.Cut(status.ContainerID, "://")
		}
	}
	require.NotEmpty(t, id, "pod %s has no running container %s", pod.Name, container)
	processes, err := processesOf(id)
	require.NoError(t, err)
	for _, process := range processes {
		// It may have ended since.
		status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(process), "status"))
		if err != nil {
			continue
		}
		for row := range strings.Lines(string(status)) {
			if ids := strings.Fields(row); len(ids) > 2 && ids[0] == "NSpid:" && ids[len(ids)-1] == "1" {
				return process
			}
		}
	}
	t.Fatalf("container %s of pod %s (%s) has no process", container, pod.Name, id)
	return 0
}

// processesOf lists the processes of the node in whose cgroup's path there is the id of a container or of a pod.
func processesOf(id string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var found []int
	for _, entry := range entries {
		process, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		// A process may end between the two reads; then it is not one.
		groups, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "cgroup"))
		if err == nil && bytes.Contains(groups, []byte(id)) {
			found = append(found, process)
		}
	}
	return found, nil
}

// restartsFile remembers the restarts that tests have caused, by pod and container, over several runs of the tests.
const restartsFile = "expected-restarts.json"

// notes guards the files in which tests that run side by side remember what they have done.
var notes sync.Mutex

// expectRestart tells TestNothingRestartedByItself of a restart that a test causes.
func expectRestart(t *testing.T, pod nativecorev1.Pod, container string) {
	t.Helper()
	notes.Lock()
	defer notes.Unlock()
	expected := readRestarts(t)
	expected[restartKey(pod, container)]++
	content, err := json.MarshalIndent(expected, "", "  ")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(labDir(t, "var", restartsFile), content, 0o600))
}

func readRestarts(t *testing.T) map[string]int32 {
	t.Helper()
	expected := map[string]int32{}
	content, err := os.ReadFile(labDir(t, "var", restartsFile))
	if errors.Is(err, os.ErrNotExist) {
		return expected
	}
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(content, &expected))
	return expected
}

func restartKey(pod nativecorev1.Pod, container string) string {
	return pod.Namespace + "/" + pod.Name + "/" + string(pod.UID) + "/" + container
}

// unexpectedRestarts lists the containers of a pod that restarted without a test having caused it.
func unexpectedRestarts(t *testing.T, pod nativecorev1.Pod) []string {
	t.Helper()
	notes.Lock()
	expected := readRestarts(t)
	notes.Unlock()
	var found []string
	for _, status := range append(slices.Clone(pod.Status.InitContainerStatuses), pod.Status.ContainerStatuses...) {
		if want := expected[restartKey(pod, status.Name)]; status.RestartCount > want {
			one := fmt.Sprintf("%s of pod %s restarted %d times, %d of them by a test", status.Name, pod.Name, status.RestartCount, want)
			if last := status.LastTerminationState.Terminated; last != nil {
				one += fmt.Sprintf("; last: %s, exit code %d, %s", last.Reason, last.ExitCode, last.FinishedAt.Format(time.TimeOnly))
			}
			found = append(found, one)
		}
	}
	return found
}

// deletePod deletes a pod and waits until it is gone, or replaced by one of the same name. Its restarts are gone with it, so they are
// looked at first.
func (k *kube) deletePod(t *testing.T, pod nativecorev1.Pod, grace int64) {
	t.Helper()
	require.Empty(t, unexpectedRestarts(t, k.pod(t, pod.Namespace, pod.Name)))
	api := k.typed.CoreV1().Pods(pod.Namespace)
	require.NoError(t, api.Delete(t.Context(), pod.Name, nativemetav1.DeleteOptions{GracePeriodSeconds: &grace}))
	eventually(t, 3*time.Minute, "pod "+pod.Name+" is gone", func() error {
		gone, err := k.gone(t.Context(), pod)
		if err == nil && !gone {
			err = errors.New("it is still there")
		}
		return err
	})
}

// gone says whether a pod does not exist any more; another of the same name may.
func (k *kube) gone(ctx context.Context, pod nativecorev1.Pod) (bool, error) {
	found, err := k.typed.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, nativemetav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("reading pod %s: %w", pod.Name, err)
	default:
		return found.UID != pod.UID, nil
	}
}

// killPod ends all containers of a pod at once, as the end of its node would, and removes the pod. Its successor waits if it is held.
// It returns when nothing of the pod runs any more.
func (k *kube) killPod(t *testing.T, pod nativecorev1.Pod) {
	t.Helper()
	require.Empty(t, unexpectedRestarts(t, k.pod(t, pod.Namespace, pod.Name)))
	for _, container := range pod.Spec.Containers {
		require.NoError(t, syscall.Kill(k.process(t, pod, container.Name), syscall.SIGKILL), "killing %s of pod %s", container.Name, pod.Name)
	}
	now := int64(0)
	require.NoError(t, k.typed.CoreV1().Pods(pod.Namespace).Delete(t.Context(), pod.Name, nativemetav1.DeleteOptions{GracePeriodSeconds: &now}))
	// The object goes at once; the kubelet may just have started a container again, and ends it a moment later.
	eventually(t, time.Minute, "pod "+pod.Name+" has ended", func() error {
		processes, err := processesOf(string(pod.UID))
		if err == nil && len(processes) > 0 {
			err = fmt.Errorf("processes %v are left", processes)
		}
		return err
	})
}

// heldPod stands for any pod that is held: whether the API server holds already, or still, shows at a pod that is only tried.
const heldPod, heldGate = "held", "lab.local/held"

// hold keeps the next pods of these names from being scheduled, as if their node were away, until the returned function is called, or the
// test ends. Other pods are not touched.
func (k *kube) hold(t *testing.T, pods ...string) (release func()) {
	t.Helper()
	ctx := context.Background() // not the test's: it is done when the cleanup runs
	named, err := json.Marshal(append(pods, heldPod))
	require.NoError(t, err)
	api, name, fail := k.typed.AdmissionregistrationV1(), "hold-"+pods[0], admissionv1.Fail
	_, err = api.MutatingAdmissionPolicies().Create(ctx, &admissionv1.MutatingAdmissionPolicy{
		ObjectMeta: nativemetav1.ObjectMeta{Name: name},
		Spec: admissionv1.MutatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Create},
					Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
				},
			}}},
			// Others have no name yet, but one to be generated.
			MatchConditions: []admissionv1.MatchCondition{
				{Name: "named", Expression: "has(object.metadata.name) && object.metadata.name in " + string(named)},
			},
			Mutations: []admissionv1.Mutation{{
				PatchType: admissionv1.PatchTypeApplyConfiguration, ApplyConfiguration: &admissionv1.ApplyConfiguration{
					Expression: fmt.Sprintf(`Object{spec: Object.spec{schedulingGates: [Object.spec.schedulingGates{name: %q}]}}`, heldGate),
				},
			}},
			FailurePolicy: &fail, ReinvocationPolicy: admissionv1.NeverReinvocationPolicy,
		},
	}, nativemetav1.CreateOptions{})
	require.NoError(t, err)
	_, err = api.MutatingAdmissionPolicyBindings().Create(ctx, &admissionv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: nativemetav1.ObjectMeta{Name: name}, Spec: admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: name},
	}, nativemetav1.CreateOptions{})
	require.NoError(t, err)
	eventually(t, time.Minute, "the API server holds "+pods[0], func() error { return k.holding(ctx, true) })
	release = sync.OnceFunc(func() {
		require.NoError(t, api.MutatingAdmissionPolicyBindings().Delete(ctx, name, nativemetav1.DeleteOptions{}))
		require.NoError(t, api.MutatingAdmissionPolicies().Delete(ctx, name, nativemetav1.DeleteOptions{}))
		eventually(t, time.Minute, "the API server does not hold "+pods[0], func() error { return k.holding(ctx, false) })
		for _, pod := range pods {
			_, err := k.typed.CoreV1().Pods(namespace).Patch(ctx, pod, types.MergePatchType, []byte(`{"spec":{"schedulingGates":null}}`), nativemetav1.PatchOptions{})
			require.True(t, err == nil || apierrors.IsNotFound(err), "releasing pod %s: %v", pod, err)
		}
	})
	t.Cleanup(release)
	return release
}

// holding says why pods are not held, or are held, other than wanted.
func (k *kube) holding(ctx context.Context, wanted bool) error {
	tried, err := k.typed.CoreV1().Pods("default").Create(ctx, &nativecorev1.Pod{
		ObjectMeta: nativemetav1.ObjectMeta{Name: heldPod},
		Spec:       nativecorev1.PodSpec{Containers: []nativecorev1.Container{{Name: heldPod, Image: probeImage}}},
	}, nativemetav1.CreateOptions{DryRun: []string{nativemetav1.DryRunAll}})
	if err != nil {
		return fmt.Errorf("trying a pod: %w", err)
	}
	if held := len(tried.Spec.SchedulingGates) > 0; held != wanted {
		return fmt.Errorf("it has the scheduling gates %v", tried.Spec.SchedulingGates)
	}
	return nil
}

// wipe removes everything that a claim's volume holds. No pod may use it.
func (k *kube) wipe(t *testing.T, namespace, claim string) {
	t.Helper()
	found, err := k.typed.CoreV1().PersistentVolumeClaims(namespace).Get(t.Context(), claim, nativemetav1.GetOptions{})
	require.NoError(t, err, "reading claim %s", claim)
	volume, err := k.typed.CoreV1().PersistentVolumes().Get(t.Context(), found.Spec.VolumeName, nativemetav1.GetOptions{})
	require.NoError(t, err, "reading the volume of %s", claim)
	require.NotNil(t, volume.Spec.HostPath, "volume %s is no directory of the node", volume.Name)
	dir := volume.Spec.HostPath.Path
	require.Equal(t, labDir(t, "volumes"), filepath.Dir(dir), "volume %s is not one of the lab's", volume.Name)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.NotEmpty(t, entries, "volume %s of %s is empty already: it is not what the pods write to", volume.Name, claim)
	for _, entry := range entries {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, entry.Name())))
	}
}

// describe prints what is wrong in the cluster: pods that are not ready or have restarted by themselves, with their last lines, and recent
// warnings.
func (k *kube) describe(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second) // the test's own is done
	defer cancel()
	all, err := k.typed.CoreV1().Pods("").List(ctx, nativemetav1.ListOptions{})
	if err != nil {
		t.Logf("listing pods: %v", err)
		return
	}
	for _, pod := range all.Items {
		if pod.Status.Phase == nativecorev1.PodSucceeded {
			continue
		}
		notReady := ready(&pod)
		if notReady != nil {
			t.Logf("pod %s/%s: %v", pod.Namespace, pod.Name, notReady)
		}
		for _, status := range pod.Status.ContainerStatuses {
			if notReady == nil && len(unexpectedRestarts(t, pod)) == 0 {
				continue
			}
			t.Logf("pod %s/%s, container %s: ready %t, %d restarts, state %v, before that %v",
				pod.Namespace, pod.Name, status.Name, status.Ready, status.RestartCount, state(status.State), state(status.LastTerminationState))
			k.lastLines(ctx, t, pod, status)
		}
	}
	events, err := k.typed.CoreV1().Events("").List(ctx, nativemetav1.ListOptions{FieldSelector: "type=Warning"})
	if err != nil {
		t.Logf("listing events: %v", err)
		return
	}
	for _, event := range events.Items {
		if time.Since(event.LastTimestamp.Time) < 5*time.Minute {
			t.Logf("event %s %s %s/%s: %s (%d times)", event.LastTimestamp.Format(time.TimeOnly), event.Reason,
				event.InvolvedObject.Namespace, event.InvolvedObject.Name, event.Message, event.Count)
		}
	}
}

// lastLines prints the end of a container's log, and of the run before it when there was one.
func (k *kube) lastLines(ctx context.Context, t *testing.T, pod nativecorev1.Pod, status nativecorev1.ContainerStatus) {
	t.Helper()
	for _, previous := range []bool{true, false} {
		if previous && status.RestartCount == 0 {
			continue
		}
		tail := int64(20)
		lines, err := k.typed.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &nativecorev1.PodLogOptions{
			Container: status.Name, TailLines: &tail, Previous: previous,
		}).DoRaw(ctx)
		if err != nil {
			t.Logf("reading the log of %s: %v", status.Name, err)
			continue
		}
		t.Logf("log of %s/%s (previous run: %t):\n%s", pod.Name, status.Name, previous, lines)
	}
}

func state(s nativecorev1.ContainerState) string {
	switch {
	case s.Running != nil:
		return "running since " + s.Running.StartedAt.Format(time.TimeOnly)
	case s.Waiting != nil:
		return "waiting: " + s.Waiting.Reason + " " + s.Waiting.Message
	case s.Terminated != nil:
		return fmt.Sprintf("ended: %s, exit code %d", s.Terminated.Reason, s.Terminated.ExitCode)
	default:
		return "none"
	}
}
