package nodeexporter_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/exporters/nodeexporter"
	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/internal/mocks"
)

const daemonSet = "kubernetes:apps/v1:DaemonSet"

func run(t *testing.T, args *nodeexporter.Args) *mocks.Recorder {
	t.Helper()
	args.Namespace = pulumi.String("monitoring-host")
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		_, err := nodeexporter.New(ctx, "node", args)
		return err
	})
	return r
}

func TestChildren(t *testing.T) {
	t.Parallel()
	r := run(t, &nodeexporter.Args{})
	types := map[string]int{}
	for _, one := range r.All() {
		types[one.Type]++
		if one.Type == "pulumi:pulumi:Stack" || one.Type == "kansoku:exporters:NodeExporter" {
			continue
		}
		assert.Equal(t, "urn:pulumi:test::kansoku::kansoku:exporters:NodeExporter::node", one.Parent, one.Type)
		assert.Equal(t, "node", one.Name)
		assert.Equal(t, "node-exporter", one.Field("metadata", "name"), one.Type)
		assert.Equal(t, "monitoring-host", one.Field("metadata", "namespace"), one.Type)
		assert.Equal(t, map[string]any{
			"app.kubernetes.io/name": "node-exporter", "app.kubernetes.io/instance": "main", "app.kubernetes.io/component": "exporter",
			"app.kubernetes.io/part-of": "kansoku", "app.kubernetes.io/version": "v1.12.1",
		}, one.Field("metadata", "labels"), one.Type)
	}
	delete(types, "pulumi:pulumi:Stack")
	assert.Equal(t, map[string]int{
		"kansoku:exporters:NodeExporter": 1, "kubernetes:core/v1:ServiceAccount": 1, daemonSet: 1, "kubernetes:core/v1:Service": 1,
		"kubernetes:monitoring.coreos.com/v1:ServiceMonitor": 1,
	}, types, "no rights")
}

func TestPods(t *testing.T) {
	t.Parallel()
	pod, ok := run(t, &nodeexporter.Args{}).Get(t, daemonSet, "node").Field("spec", "template", "spec").(map[string]any)
	require.True(t, ok)
	delete(pod, "affinity")
	containers, _ := pod["containers"].([]any)
	require.Len(t, containers, 1)
	one, _ := containers[0].(map[string]any)
	delete(pod, "containers")
	assert.Equal(t, map[string]any{
		"serviceAccountName": "node-exporter", "automountServiceAccountToken": false, "hostNetwork": true,
		"priorityClassName": "system-cluster-critical",
		"nodeSelector":      map[string]any{"kubernetes.io/os": "linux"},
		"tolerations":       []any{map[string]any{"operator": "Exists"}},
		"securityContext": map[string]any{
			"runAsNonRoot": true, "runAsUser": 65534.0, "runAsGroup": 65534.0, "fsGroup": 65534.0, "fsGroupChangePolicy": "OnRootMismatch",
			"seccompProfile": map[string]any{"type": "RuntimeDefault"},
		},
		"volumes": []any{
			map[string]any{"name": "sys", "hostPath": map[string]any{"path": "/sys"}},
			map[string]any{"name": "root", "hostPath": map[string]any{"path": "/"}},
		},
	}, pod, "no host processes")
	devices := `=^(eni.+|veth.*|[a-f0-9]{15})$`
	alive := map[string]any{
		"httpGet": map[string]any{"path": "/", "port": "http-metrics"}, "periodSeconds": 15.0, "timeoutSeconds": 5.0,
	}
	assert.Equal(t, map[string]any{
		"name": "node-exporter", "image": "quay.io/prometheus/node-exporter:v1.12.1", "terminationMessagePolicy": "FallbackToLogsOnError",
		"args": []any{
			"--web.listen-address=[$(HOST_IP)]:9100",
			"--path.procfs=/host/root/proc",
			"--path.sysfs=/host/sys",
			"--path.rootfs=/host/root",
			"--path.udev.data=/host/root/run/udev/data",
			"--no-collector.hwmon",
			"--no-collector.btrfs",
			"--collector.filesystem.mount-points-exclude=" +
				"^/(dev|proc|sys|run/containerd/.+|run/credentials/.+|var/lib/containerd/.+|var/lib/kubelet/(pods|plugins)/.+)($|/)",
			"--collector.netclass.ignored-devices" + devices,
			"--collector.netdev.device-exclude" + devices,
			"--collector.arp.device-exclude" + devices,
		},
		"env": []any{map[string]any{
			"name": "HOST_IP", "valueFrom": map[string]any{"fieldRef": map[string]any{"fieldPath": "status.hostIP"}},
		}},
		"ports": []any{map[string]any{"name": "http-metrics", "containerPort": 9100.0}},
		"volumeMounts": []any{
			map[string]any{"name": "sys", "mountPath": "/host/sys", "readOnly": true, "mountPropagation": "HostToContainer"},
			map[string]any{"name": "root", "mountPath": "/host/root", "readOnly": true, "mountPropagation": "HostToContainer"},
		},
		"livenessProbe": alive, "readinessProbe": alive,
		"resources": map[string]any{
			"requests": map[string]any{"cpu": "10m", "memory": "32Mi"}, "limits": map[string]any{"memory": "128Mi"},
		},
		"securityContext": map[string]any{
			"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": map[string]any{"drop": []any{"ALL"}},
		},
	}, one, "no capability")
}

// expression of the flag that ends in name.
func expression(t *testing.T, name string) *regexp.Regexp {
	t.Helper()
	flags, _ := run(t, &nodeexporter.Args{}).Get(t, daemonSet, "node").Field("spec", "template", "spec", "containers", 0, "args").([]any)
	for _, one := range flags {
		if flag, value, _ := strings.Cut(one.(string), "="); strings.HasSuffix(flag, name) {
			return regexp.MustCompile(value)
		}
	}
	t.Fatalf("no flag %s", name)
	return nil
}

func TestWhatIsLeftOut(t *testing.T) {
	t.Parallel()
	mounts := expression(t, "mount-points-exclude")
	for mount, out := range map[string]bool{
		"/": false, "/boot/efi": false, "/var/lib/kubelet": false, "/var/lib/containerd": false, "/mnt/k8s-disks/0": false, "/run": false,
		"/tmp": false, "/devices": false, "/dev/shm": true, "/sys/fs/bpf": true,
		"/run/containerd/io.containerd.grpc.v1.cri/sandboxes/0a/shm":                true,
		"/run/containerd/io.containerd.runtime.v2.task/k8s.io/0a/rootfs":            true,
		"/var/lib/kubelet/pods/1-2/volumes/kubernetes.io~projected/kube-api-access": true,
		"/var/lib/kubelet/plugins/kubernetes.io/csi/ebs.csi.aws.com/0a/globalmount": true,
	} {
		assert.Equal(t, out, mounts.MatchString(mount), mount)
	}
	for _, flag := range []string{"netclass.ignored-devices", "netdev.device-exclude", "arp.device-exclude"} {
		devices := expression(t, flag)
		for device, out := range map[string]bool{
			"lo": false, "eth0": false, "ens5": false, "eni": false, "pod-id-link0": false,
			"eni0123456789a": true, "veth1234": true, "0123456789abcde": true,
		} {
			assert.Equal(t, out, devices.MatchString(device), device)
		}
	}
}

func TestServiceAndMonitor(t *testing.T) {
	t.Parallel()
	r := run(t, &nodeexporter.Args{})
	assert.Equal(t, map[string]any{
		"clusterIP": "None",
		"selector":  map[string]any{"app.kubernetes.io/name": "node-exporter", "app.kubernetes.io/instance": "main"},
		"ports":     []any{map[string]any{"name": "http-metrics", "port": 9100.0, "targetPort": "http-metrics"}},
	}, r.Get(t, "kubernetes:core/v1:Service", "node").Field("spec"))
	assert.Equal(t, []any{map[string]any{
		"port": "http-metrics",
		"relabelings": []any{map[string]any{
			"sourceLabels": []any{"__meta_kubernetes_pod_node_name"}, "targetLabel": "instance",
		}},
	}}, r.Get(t, "kubernetes:monitoring.coreos.com/v1:ServiceMonitor", "node").Field("spec", "endpoints"))
}

func TestSettings(t *testing.T) {
	t.Parallel()
	settings := nodeexporter.Settings{Resources: kube.Resources{CPU: "1", Memory: "1Gi"}}
	d := run(t, &nodeexporter.Args{PriorityClass: "high", Settings: settings}).Get(t, daemonSet, "node")
	assert.Equal(t, "high", d.Field("spec", "template", "spec", "priorityClassName"))
	assert.Equal(t, map[string]any{
		"requests": map[string]any{"cpu": "1", "memory": "1Gi"}, "limits": map[string]any{"memory": "1Gi"},
	}, d.Field("spec", "template", "spec", "containers", 0, "resources"))
	defaults := nodeexporter.Settings{}.WithDefaults()
	require.NoError(t, defaults.Validate())
	assert.Equal(t, defaults, defaults.WithDefaults())
	require.EqualError(t, nodeexporter.Settings{Resources: kube.Resources{Memory: "x"}}.WithDefaults().Validate(),
		`resources.memory: must be a positive Kubernetes quantity such as "100m" or "256Mi", got "x"
resources.memoryLimit: must be a positive Kubernetes quantity such as "100m" or "256Mi", got "x"`)
}

func TestRefusesWhatIsNotWired(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{}
	err := r.RunErr(func(ctx *pulumi.Context) error {
		_, err := nodeexporter.New(ctx, "node", nil)
		return err
	})
	require.ErrorContains(t, err, "validating node: namespace: is required, got null")
	assert.Empty(t, r.OfType("kansoku:exporters:NodeExporter"))
}
