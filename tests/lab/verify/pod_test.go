package verify

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	nativecorev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kansoku/kansoku/components/versions"
)

// starter is how the program of an image runs as a mere process.
type starter struct {
	binary string
	// outside gives the arguments that a process outside of a pod needs more: to listen on its own address only, to find the API server.
	outside func(p *pod) []string
	// alive takes the liveness probe in place of the readiness probe.
	alive bool
}

// starters by image, or by its repository.
var starters = map[string]starter{
	versions.Alertmanager.Repository:   {binary: "alertmanager"},
	versions.ConfigReloader.Repository: {binary: "prometheus-config-reloader"},
	versions.KubeStateMetrics.Repository: {binary: "kube-state-metrics", outside: func(p *pod) []string {
		return []string{"--host=" + p.ip, "--telemetry-host=" + p.ip, "--kubeconfig=" + p.kubeconfig()}
	}},
	versions.LokiDynamoDB.Image():    {binary: "loki"},
	versions.LokiTSDB.Image():        {binary: "loki-tsdb"},
	versions.NodeExporter.Repository: {binary: "node_exporter"},
	versions.Operator.Repository: {binary: "prometheus-operator", outside: func(p *pod) []string {
		return []string{"--web.listen-address=" + p.ip + ":8080"} // it reads KUBECONFIG
	}},
	versions.Prometheus.Repository: {binary: "prometheus", outside: func(p *pod) []string {
		return []string{"--web.listen-address=" + p.ip + ":9090"}
	}},
	versions.PrometheusAdapter.Repository: {binary: "prometheus-adapter", outside: func(p *pod) []string {
		return []string{
			"--bind-address=" + p.ip, "--lister-kubeconfig=" + p.kubeconfig(),
			"--authentication-kubeconfig=" + p.kubeconfig(), "--authorization-kubeconfig=" + p.kubeconfig(),
		}
	}},
	versions.Promtail.Repository: {binary: "promtail", alive: true, outside: func(p *pod) []string {
		return []string{"-server.http-listen-address=" + p.ip} // it is ready once there is a log file
	}},
	versions.Thanos.Repository: {binary: "thanos"},
}

// notStarted are images whose programs do not start here, with the reason.
var notStarted = map[string]string{
	versions.Alloy.Repository:             "not to be had as a Go module",
	versions.ClusterAutoscaler.Repository: "asks AWS before anything else",
	versions.EventExporter.Repository:     "not to be had as a Go module",
	versions.Grafana.Repository:           "cannot be built from its Go module; the lab checks its provisioning and every query",
	versions.LokiDynamoDB.Repository:      "needs its bucket and its table, which the lab has; its configuration and arguments are checked by -verify-config",
}

// repository of an image: all before the tag.
func repository(image string) string { return image[:max(0, strings.LastIndex(image, ":"))] }

// starterOf an image: none for one that nobody thought of.
func starterOf(image string) (starter, bool) {
	if how, ok := starters[image]; ok {
		return how, true
	}
	how, ok := starters[repository(image)]
	return how, ok
}

// pod is a pod without a kubelet: containers are processes, volumes directories, and its address one of the loopback network.
type pod struct {
	workload
	c        *cluster
	dir      string
	paths    map[string]string // of the directories and files that stand for what is mounted, by mount path
	mounts   *regexp.Regexp
	byName   map[string]*process
	prepared []string // configuration files that its init containers wrote
}

// startAll starts the pods of what can be started, and waits until every container's probe succeeds. They live as long as the cluster.
func startAll(t *testing.T, c *cluster, workloads []workload) {
	t.Helper()
	var pods []*pod
	for _, w := range workloads {
		known := 0
		for _, container := range w.template.Spec.Containers {
			if notStarted[repository(container.Image)] != "" {
				continue
			}
			known++
			_, ok := starterOf(container.Image)
			assert.True(t, ok, "%s: say how %s is started, or why it is not", w, container.Image)
		}
		if known == 0 {
			continue
		}
		require.Len(t, w.template.Spec.Containers, known, "%s: started in part", w)
		p, err := c.pod(t.Context(), w)
		require.NoError(t, err, w)
		c.pods = append(c.pods, p)
		if assert.NoError(t, p.start(t), w) {
			pods = append(pods, p)
		}
	}
	begun := time.Now()
	assert.NoError(t, eventually(t.Context(), time.Minute, func(ctx context.Context) error {
		var ended, errs []error
		pods = slices.DeleteFunc(pods, func(p *pod) bool {
			err := p.ready(ctx)
			switch {
			case errors.Is(err, errEnded):
				ended = append(ended, fmt.Errorf("%s: %w", p.workload, err))
			case err != nil:
				errs = append(errs, fmt.Errorf("%s: %w", p.workload, err))
			default:
				t.Logf("%s is ready after %.1f s", p.workload, time.Since(begun).Seconds())
			}
			return err == nil
		})
		if len(ended) > 0 {
			return errors.Join(ended...) // the others have had no time
		}
		return errors.Join(errs...)
	}))
}

const accountDir = "/var/run/secrets/kubernetes.io/serviceaccount"

func (p *pod) kubeconfig() string { return filepath.Join(p.paths[accountDir], "kubeconfig") }

// mounted says whether the pod has its service account's token.
func (p *pod) mounted() bool {
	wanted := p.template.Spec.AutomountServiceAccountToken
	return wanted == nil || *wanted
}

// pod prepares a workload's pod, with its volumes in a directory.
func (c *cluster) pod(ctx context.Context, w workload) (*pod, error) {
	p := &pod{workload: w, c: c, dir: c.path(w.namespace + "-" + w.kind + "-" + w.name), paths: map[string]string{}, byName: map[string]*process{}}
	return p, p.prepare(ctx)
}

// prepare makes what the pod's volumes hold.
func (p *pod) prepare(ctx context.Context) error {
	if p.mounted() {
		p.paths[accountDir] = filepath.Join(p.dir, "serviceaccount")
		if err := p.c.credentials(ctx, p.paths[accountDir], p.namespace, p.template.Spec.ServiceAccountName); err != nil {
			return err
		}
	}
	volumes := map[string]nativecorev1.VolumeSource{}
	for _, volume := range p.template.Spec.Volumes {
		volumes[volume.Name] = volume.VolumeSource
	}
	for _, container := range slices.Concat(p.template.Spec.InitContainers, p.template.Spec.Containers) {
		for _, mount := range container.VolumeMounts {
			path := filepath.Join(p.dir, "volumes", mount.Name, mount.SubPath)
			if host := volumes[mount.Name].HostPath; host != nil && (host.Path == "/" || host.Path == "/sys") {
				path = host.Path // what every machine has, to be read
			}
			p.paths[strings.TrimSuffix(mount.MountPath, "/")] = path
		}
	}
	// Longer paths come first, so that what is mounted within a mount is found.
	var found []string
	for path := range p.paths {
		found = append(found, regexp.QuoteMeta(path))
	}
	slices.SortFunc(found, func(a, b string) int { return len(b) - len(a) })
	p.mounts = regexp.MustCompile(`(^|[\s"'=:,\[(])(` + strings.Join(found, "|") + `)`)

	for name, source := range volumes {
		files, err := p.files(ctx, source)
		if err != nil {
			return fmt.Errorf("volume %s: %w", name, err)
		}
		if err := writeAll(filepath.Join(p.dir, "volumes", name), files); err != nil {
			return err
		}
	}
	for _, path := range p.paths {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			if err := os.MkdirAll(path, 0o700); err != nil {
				return fmt.Errorf("making a volume: %w", err)
			}
		}
	}
	return nil
}

// files are a volume's files by their paths in it.
func (p *pod) files(ctx context.Context, source nativecorev1.VolumeSource) (map[string]string, error) {
	switch {
	case source.ConfigMap != nil:
		return p.configMap(ctx, source.ConfigMap.Name, source.ConfigMap.Optional, source.ConfigMap.Items)
	case source.Secret != nil:
		return p.secret(ctx, source.Secret.SecretName, source.Secret.Optional, source.Secret.Items)
	case source.Projected != nil:
		all := map[string]string{}
		for _, one := range source.Projected.Sources {
			var files map[string]string
			var err error
			switch {
			case one.ConfigMap != nil:
				files, err = p.configMap(ctx, one.ConfigMap.Name, one.ConfigMap.Optional, one.ConfigMap.Items)
			case one.Secret != nil:
				files, err = p.secret(ctx, one.Secret.Name, one.Secret.Optional, one.Secret.Items)
			default:
				err = fmt.Errorf("a projection that is not known here: %v", one)
			}
			if err != nil {
				return nil, err
			}
			maps.Copy(all, files)
		}
		return all, nil
	case source.EmptyDir != nil, source.PersistentVolumeClaim != nil, source.HostPath != nil:
		return nil, nil
	}
	return nil, fmt.Errorf("a volume that is not known here: %v", source)
}

func (p *pod) configMap(ctx context.Context, name string, optional *bool, items []nativecorev1.KeyToPath) (map[string]string, error) {
	object, err := p.c.client.CoreV1().ConfigMaps(p.namespace).Get(ctx, name, nativemetav1.GetOptions{})
	if apierrors.IsNotFound(err) && optional != nil && *optional {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading a ConfigMap: %w", err)
	}
	return p.chosen(object.Data, items)
}

func (p *pod) secret(ctx context.Context, name string, optional *bool, items []nativecorev1.KeyToPath) (map[string]string, error) {
	object, err := p.c.client.CoreV1().Secrets(p.namespace).Get(ctx, name, nativemetav1.GetOptions{})
	if apierrors.IsNotFound(err) && optional != nil && *optional {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading a Secret: %w", err)
	}
	data := map[string]string{}
	for key, value := range object.Data {
		data[key] = string(value)
	}
	return p.chosen(data, items)
}

// chosen are the items of an object's data, as they are for a process outside of a pod.
func (p *pod) chosen(data map[string]string, items []nativecorev1.KeyToPath) (map[string]string, error) {
	files := map[string]string{}
	for key, content := range data {
		path := key
		if len(items) > 0 {
			i := slices.IndexFunc(items, func(item nativecorev1.KeyToPath) bool { return item.Key == key })
			if i < 0 {
				continue
			}
			path = items[i].Path
		}
		if strings.HasSuffix(key, ".gz") {
			plain, err := gunzip([]byte(content))
			if err != nil {
				return nil, err
			}
			content = gzipped(p.outside(plain))
		} else {
			content = p.outside(content)
		}
		files[path] = content
	}
	return files, nil
}

var (
	discovery = regexp.MustCompile(`(?m)^(\s*)- role: .+$`)
	onS3      = regexp.MustCompile(`(?m)^type: S3$`)
	svcName   = regexp.MustCompile(`(?:dnssrv\+_([a-z-]+)\._tcp\.)?([a-z0-9-]+\.[a-z0-9-]+)\.svc\b(?:\.cluster\.local)?`)
	everyHost = regexp.MustCompile(`\b0\.0\.0\.0\b|\b(localhost|127\.0\.0\.1)\b(:)|=:(\d+)$`)
)

// outside makes an argument or a file fit for a process outside of a pod: volumes and the token stand elsewhere, it listens on its own
// address, it finds the API server by a kubeconfig and other pods without DNS, and its bucket is a directory (judgeBucket checks the real one).
func (p *pod) outside(text string) string {
	if onS3.MatchString(text) {
		return "type: FILESYSTEM\nconfig: {directory: " + filepath.Join(p.dir, "bucket") + "}\n"
	}
	if len(p.paths) > 0 {
		text = p.mounts.ReplaceAllStringFunc(text, func(match string) string {
			i := strings.IndexByte(match, '/')
			return match[:i] + p.paths[match[i:]]
		})
	}
	if p.mounted() && strings.Contains(text, "kubernetes_sd_configs:") {
		text = discovery.ReplaceAllString(text, "$0\n$1  kubeconfig_file: "+p.kubeconfig())
	}
	text = svcName.ReplaceAllStringFunc(text, func(match string) string {
		parts := svcName.FindStringSubmatch(match)
		found, ok := p.c.services[parts[2]]
		if !ok {
			return p.c.nowhere
		}
		if parts[1] != "" {
			return net.JoinHostPort(found.ip, fmt.Sprint(found.ports[parts[1]]))
		}
		return found.ip
	})
	return everyHost.ReplaceAllStringFunc(text, func(match string) string {
		if port, ok := strings.CutPrefix(match, "=:"); ok {
			return "=" + p.ip + ":" + port
		}
		if strings.HasSuffix(match, ":") {
			return p.ip + ":"
		}
		return p.ip
	})
}

func gunzip(data []byte) (string, error) {
	reader, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return "", fmt.Errorf("unpacking: %w", err)
	}
	plain, err := io.ReadAll(reader)
	if err != nil {
		return "", fmt.Errorf("unpacking: %w", err)
	}
	return string(plain), nil
}

func gzipped(plain string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(plain)) // into memory
	_ = w.Close()
	return b.String()
}

func writeAll(dir string, files map[string]string) error {
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("writing a file: %w", err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return fmt.Errorf("writing a file: %w", err)
		}
	}
	return nil
}

// start runs the init containers to their end, then the others.
func (p *pod) start(t *testing.T) error {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(p.dir, "bucket"), 0o700); err != nil {
		return fmt.Errorf("making the bucket: %w", err)
	}
	for _, container := range p.template.Spec.InitContainers {
		binary, env, args, err := p.command(t, container)
		if err != nil {
			return err
		}
		if err := run(t.Context(), env, "", binary, args...); err != nil {
			return fmt.Errorf("init container %s: %w", container.Name, err)
		}
		for _, arg := range args {
			if path, ok := strings.CutPrefix(arg, "--config-envsubst-file="); ok {
				p.prepared = append(p.prepared, path)
			}
		}
	}
	for _, container := range p.template.Spec.Containers {
		binary, env, args, err := p.command(t, container)
		if err != nil {
			return err
		}
		if p.byName[container.Name], err = launch(p.name+"/"+container.Name, binary, env, args...); err != nil {
			return err
		}
	}
	return nil
}

func (p *pod) stop() {
	for _, process := range p.byName {
		process.stop()
	}
}

// command is what a container's process is started with.
func (p *pod) command(t *testing.T, container nativecorev1.Container) (binary string, env, args []string, err error) {
	t.Helper()
	how, ok := starterOf(container.Image)
	if !ok {
		return "", nil, nil, fmt.Errorf("container %s: no way to start %s", container.Name, container.Image)
	}
	values := map[string]string{}
	for _, variable := range container.Env {
		value, err := p.value(t.Context(), variable)
		if err != nil {
			return "", nil, nil, fmt.Errorf("container %s: variable %s: %w", container.Name, variable.Name, err)
		}
		values[variable.Name] = p.outside(value)
		env = append(env, variable.Name+"="+values[variable.Name])
	}
	if p.mounted() {
		env = append(env, "KUBECONFIG="+p.kubeconfig())
	}
	for _, arg := range container.Args {
		arg = p.outside(arg)
		for name, value := range values {
			arg = strings.ReplaceAll(arg, "$("+name+")", value)
		}
		args = append(args, arg)
	}
	if how.outside != nil {
		args = append(args, how.outside(p)...)
	}
	return program(t, how.binary), env, args, nil
}

func (p *pod) value(ctx context.Context, variable nativecorev1.EnvVar) (string, error) {
	from := variable.ValueFrom
	switch {
	case from == nil:
		return variable.Value, nil
	case from.FieldRef != nil:
		field, ok := map[string]string{
			"metadata.name": p.name + "-0", "metadata.namespace": p.namespace, "spec.nodeName": "verify",
			"status.podIP": p.ip, "status.hostIP": p.ip,
		}[from.FieldRef.FieldPath]
		if !ok {
			return "", fmt.Errorf("a field that is not known here: %s", from.FieldRef.FieldPath)
		}
		return field, nil
	case from.SecretKeyRef != nil:
		if strings.HasPrefix(from.SecretKeyRef.Key, "AWS_") {
			return "verify", nil // of a store that is not there; the Secret is made by whoever deploys
		}
		files, err := p.secret(ctx, from.SecretKeyRef.Name, from.SecretKeyRef.Optional, nil)
		return files[from.SecretKeyRef.Key], err
	}
	return "", fmt.Errorf("a source that is not known here: %v", from)
}

// probing speaks to processes on the loopback network, whose certificates they sign themselves.
var probing = &http.Client{
	Timeout:   2 * time.Second,
	Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
}

// ready is nil once every container's probe succeeds; one without a probe has to run.
func (p *pod) ready(ctx context.Context) error {
	for _, container := range p.template.Spec.Containers {
		process := p.byName[container.Name]
		if err := process.ended(); err != nil {
			return err
		}
		probe := container.ReadinessProbe
		if how, _ := starterOf(container.Image); how.alive {
			probe = container.LivenessProbe
		}
		if probe == nil {
			continue
		}
		if err := p.probe(ctx, container, probe.HTTPGet); err != nil {
			return fmt.Errorf("%s: %w; it said:\n%s", process.name, err, process.tail())
		}
	}
	return nil
}

func (p *pod) probe(ctx context.Context, container nativecorev1.Container, get *nativecorev1.HTTPGetAction) error {
	if get == nil {
		return fmt.Errorf("%w: a probe that is not HTTP", errors.ErrUnsupported)
	}
	port := get.Port.String()
	if get.Port.Type == intstr.String {
		i := slices.IndexFunc(container.Ports, func(one nativecorev1.ContainerPort) bool { return one.Name == port })
		if i < 0 {
			return fmt.Errorf("the probe's port %q is none of the container's", port)
		}
		port = fmt.Sprint(container.Ports[i].ContainerPort)
	}
	scheme := strings.ToLower(string(get.Scheme))
	if scheme == "" {
		scheme = "http"
	}
	return answers(ctx, scheme+"://"+net.JoinHostPort(p.ip, port)+get.Path)
}

// answers is nil if a URL does, as a kubelet sees it.
func answers(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("probing: %w", err)
	}
	answer, err := probing.Do(request)
	if err != nil {
		return fmt.Errorf("probing: %w", err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("probing %s: %s", url, answer.Status)
	}
	return nil
}
