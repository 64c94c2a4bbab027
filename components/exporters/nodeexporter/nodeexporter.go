// Package nodeexporter runs the node exporter on every node, whatever it is tainted for: metrics of the machine and its kernel.
//
// It reads its host, so that its namespace must not enforce Pod Security "baseline" or "restricted". It needs the host's network
// namespace: /proc/net and netlink show that of whoever asks. It does without the host's process namespace, which upstream gives it,
// because the host's own /proc is what it reads (the series are the same); and without SYS_TIME, because asking the clock for its offset
// takes no right.
//
// Its port is open on the node's address, without a password, to whoever the node's security group lets through: other nodes and, where
// pods share their node's group, pods. NetworkPolicies do not apply to host networks. It shows numbers and names of devices only.
package nodeexporter

import (
	"errors"
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/components/workload"
	"github.com/kansoku/kansoku/internal/check"
)

// The type token is part of every child's URN and must never change.
const token = "kansoku:exporters:NodeExporter"

// HTTPPort serves the metrics, on the node's own address.
const HTTPPort = 9100

// PriorityClass by default, upstream's: it goes on to a full node at another pod's expense, and stays when memory runs short, which is
// what it is there to show. A node works without it, so that it does not rank with the node's own daemons.
const PriorityClass = "system-cluster-critical"

const (
	objectName = "node-exporter"
	portName   = "http-metrics"
	uid        = 65534 // nobody, as upstream runs it

	hostSys  = "/host/sys"
	hostRoot = "/host/root"

	// Mounts that are the container runtime's and the kubelet's, one or more for each pod; the kubelet reports on volumes by itself.
	mounts = `^/(dev|proc|sys|run/containerd/.+|run/credentials/.+|var/lib/containerd/.+|var/lib/kubelet/(pods|plugins)/.+)($|/)`
	// Interfaces that are a pod's end: eni… of the AWS VPC CNI, veth… and bare numbers of others.
	devices = `^(eni.+|veth.*|[a-f0-9]{15})$`
)

// Settings are what a stack may say about the node exporter.
type Settings struct {
	// Resources of each pod. Default: 10m CPU, 32Mi memory, limit 128Mi (0.005 cores and 9Mi in the lab; more on nodes with many devices).
	Resources kube.Resources `pulumi:"resources,optional"`
}

// WithDefaults fills what is not set.
func (s Settings) WithDefaults() Settings {
	s.Resources = s.Resources.Or(kube.Resources{CPU: "10m", Memory: "32Mi", MemoryLimit: "128Mi"})
	return s
}

// Validate checks the settings, defaults filled in.
func (s Settings) Validate() error {
	var errs check.Errors
	errs.Under("resources", s.Resources.Validate())
	return errs.Err()
}

// Args are the settings and where it runs.
type Args struct {
	Settings
	// Namespace of everything, one that lets pods reach their host. Required; it must exist.
	Namespace pulumi.StringInput `pulumi:"namespace"`
	// PriorityClass of the pods. Default: system-cluster-critical.
	PriorityClass string `pulumi:"priorityClass,optional"`
	// Images says where the image is pulled from. Default: upstream's registry.
	Images versions.Images `pulumi:"images,optional"`
}

// NodeExporter runs on every node.
type NodeExporter struct {
	pulumi.ResourceState
}

// Labels of the pods; name and instance find them.
func Labels() kube.Labels {
	return kube.Labels{Name: objectName, Instance: "main", Component: "exporter", Version: versions.NodeExporter.Version}
}

// New deploys the node exporter. The Prometheus Operator's definitions must exist before: pass pulumi.DependsOn.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*NodeExporter, error) {
	if args == nil {
		args = &Args{}
	}
	settings, priority := args.WithDefaults(), args.PriorityClass
	if priority == "" {
		priority = PriorityClass
	}
	var errs check.Errors
	errs.Require(args.Namespace != nil, "namespace", nil, "is required")
	if err := errors.Join(settings.Validate(), errs.Err()); err != nil {
		return nil, fmt.Errorf("validating %s: %w", name, err)
	}
	component := &NodeExporter{}
	if err := ctx.RegisterComponentResource(token, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering %s: %w", name, err)
	}
	volumes, volumeMounts := host()
	// Not /metrics: that is all the work there is.
	alive := &workload.Probe{Path: "/", Port: portName, Period: 15, Timeout: 5}
	err := workload.New(ctx, name, &workload.Args{
		Kind: workload.DaemonSet, Object: objectName, Namespace: args.Namespace, Labels: Labels(), EveryNode: true, PriorityClass: priority,
		UID: uid, GID: uid, Images: args.Images,
		Containers: []workload.Container{{
			Name: objectName, Image: versions.NodeExporter.Image(), Args: flags(), Resources: settings.Resources, Mounts: volumeMounts,
			Ports: []workload.Port{{Name: portName, Number: HTTPPort}},
			Env: corev1.EnvVarArray{&corev1.EnvVarArgs{Name: pulumi.String("HOST_IP"), ValueFrom: &corev1.EnvVarSourceArgs{
				FieldRef: &corev1.ObjectFieldSelectorArgs{FieldPath: pulumi.String("status.hostIP")},
			}}},
			Liveness: alive, Readiness: alive,
		}},
		Volumes: volumes, Headless: true,
		Adjust: func(pod *corev1.PodSpecArgs) { pod.HostNetwork = pulumi.Bool(true) },
		// A machine keeps its name when the pod on it changes.
		Monitor: []monitoringv1.Endpoint{{Port: portName, RelabelConfigs: []monitoringv1.RelabelConfig{{
			SourceLabels: []monitoringv1.LabelName{"__meta_kubernetes_pod_node_name"}, TargetLabel: "instance",
		}}}},
	}, pulumi.Parent(component))
	if err != nil {
		return nil, err
	}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{})
}

// flags are the same on every node.
func flags() []string {
	return []string{
		fmt.Sprintf("--web.listen-address=[$(HOST_IP)]:%d", HTTPPort),
		"--path.procfs=" + hostRoot + "/proc",
		"--path.sysfs=" + hostSys,
		"--path.rootfs=" + hostRoot,
		"--path.udev.data=" + hostRoot + "/run/udev/data",
		// A virtual machine has no sensors, EKS' images no btrfs.
		"--no-collector.hwmon",
		"--no-collector.btrfs",
		"--collector.filesystem.mount-points-exclude=" + mounts,
		"--collector.netclass.ignored-devices=" + devices,
		"--collector.netdev.device-exclude=" + devices,
		"--collector.arp.device-exclude=" + devices,
	}
}

// host shows the node's file system, kernel interfaces among it. Read-only holds for the root mount alone, as Kubernetes makes it hold for
// all only where mounts do not propagate; what keeps the rest from being written is that the user is nobody. Without propagation, a
// volume that the node unmounts would stay in use here.
func host() (corev1.VolumeArray, corev1.VolumeMountArray) {
	var volumes corev1.VolumeArray
	var seen corev1.VolumeMountArray
	for _, one := range []struct{ name, path, at string }{{"sys", "/sys", hostSys}, {"root", "/", hostRoot}} {
		volumes = append(volumes, &corev1.VolumeArgs{
			Name: pulumi.String(one.name), HostPath: &corev1.HostPathVolumeSourceArgs{Path: pulumi.String(one.path)},
		})
		seen = append(seen, &corev1.VolumeMountArgs{
			Name: pulumi.String(one.name), MountPath: pulumi.String(one.at), ReadOnly: pulumi.Bool(true),
			MountPropagation: pulumi.String("HostToContainer"),
		})
	}
	return volumes, seen
}
