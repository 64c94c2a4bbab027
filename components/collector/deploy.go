package collector

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/workload"
)

// Directories of the host that a collector reads, and the one that it writes.
const (
	PodLogs = "/var/log/pods"
	// State is where positions are kept, of both programs, so that the second reads on where the first stopped.
	State = "/var/lib/kansoku/logs"
	// PromtailPositions is Promtail's file there, and PromtailJournal the name of its journal in it.
	PromtailPositions = State + "/positions.yaml"
	PromtailJournal   = "journal"

	persistentJournal = "/var/log/journal"
	volatileJournal   = "/run/log/journal"
	machineID         = "/etc/machine-id"
)

// MaxLineKiB is Loki's default (which it writes 256KB); a longer line is cut, which is better than refused.
const MaxLineKiB = 256

// How lines are sent. Without end to the retries nothing is thrown away while Loki is out of reach: reading stops, and the files wait.
// A collector holds on to the file that it reads; of those into which the kubelet has rotated meanwhile (after 10 MB each by default) it
// then reads the newest, and those between are lost.
const (
	BatchKiB   = 1024
	BatchWait  = "1s"
	Timeout    = "10s"
	MinBackoff = "500ms"
	MaxBackoff = "30s" // upstream's 5m would keep a node silent long after Loki is back
	MaxRetries = 0     // no end
)

const (
	portName = "http-metrics"
	// graceSeconds serve to send what was read. What cannot be sent by then is lost: a batch a node with Promtail, up to 10 MiB with Alloy.
	graceSeconds = 30
)

// Prepare fills the settings of args, nil or not, for the program called kind, and checks them.
func Prepare(name, kind string, args *Args) (Args, error) {
	if args == nil {
		args = &Args{}
	}
	wired := *args
	wired.Kind = kind
	wired.Settings = wired.WithDefaults()
	if err := errors.Join(wired.Validate(), wired.validate()); err != nil {
		return Args{}, fmt.Errorf("validating %s: %w", name, err)
	}
	return wired, nil
}

// Program is in what the collectors differ.
type Program struct {
	Labels kube.Labels // whose Name all objects have
	Image  string
	Args   []string
	// Config is the content of ConfigDir/ConfigFile.
	Config                string
	ConfigDir, ConfigFile string
	// Port of HTTP. Ready and Live are paths there.
	Port        int
	Ready, Live string
}

// Deploy makes the objects of a collector as children of the component in opts: program describes it for the address to push to.
func Deploy(ctx *pulumi.Context, name string, args Args, program func(pushURL string) (Program, error), opts ...pulumi.ResourceOption,
) error {
	// What does not depend on the address; it is rendered here too so that errors come at once.
	p, err := program("")
	if err != nil {
		return fmt.Errorf("rendering configuration: %w", err)
	}
	config := args.PushURL.ToStringOutput().ApplyT(func(url string) (string, error) {
		full, failed := program(url)
		return full.Config, failed
	}).(pulumi.StringOutput)
	object := p.Labels.Name
	configMap, err := corev1.NewConfigMap(ctx, name, &corev1.ConfigMapArgs{
		Metadata: p.Labels.Meta(object, args.Namespace), Data: pulumi.StringMap{p.ConfigFile: config},
	}, opts...)
	if err != nil {
		return fmt.Errorf("creating configuration: %w", err)
	}
	volumes, mounts := hostVolumes(!args.NoJournal)
	volumes = append(volumes, &corev1.VolumeArgs{
		Name: pulumi.String("config"), ConfigMap: &corev1.ConfigMapVolumeSourceArgs{Name: pulumi.String(object)},
	})
	mounts = append(mounts, &corev1.VolumeMountArgs{
		Name: pulumi.String("config"), MountPath: pulumi.String(p.ConfigDir), ReadOnly: pulumi.Bool(true),
	})
	return workload.New(ctx, name, &workload.Args{
		Kind: workload.DaemonSet, Object: object, Namespace: args.Namespace, Labels: p.Labels, EveryNode: true, PriorityClass: args.PriorityClass,
		Images: args.Images,
		// Which pods are on the node, and nothing else of them.
		ClusterRules: []kube.Rule{{Resources: []string{"pods"}, Verbs: []string{"list", "watch"}}},
		Containers: []workload.Container{{
			Name: object, Image: p.Image, Args: p.Args, Resources: args.Resources, Mounts: mounts,
			// The programs look for the pods of the node that this names; without it, of the host called like the pod.
			Env: corev1.EnvVarArray{&corev1.EnvVarArgs{Name: pulumi.String("HOSTNAME"), ValueFrom: &corev1.EnvVarSourceArgs{
				FieldRef: &corev1.ObjectFieldSelectorArgs{FieldPath: pulumi.String("spec.nodeName")},
			}}},
			Ports:     []workload.Port{{Name: portName, Number: p.Port}},
			Readiness: &workload.Probe{Path: p.Ready, Port: portName, Delay: 10, Period: 10, Failures: 5},
			// Slow to act: a collector that waits for Loki is well.
			Liveness: &workload.Probe{Path: p.Live, Port: portName, Delay: 30, Period: 60, Timeout: 10, Failures: 5},
		}},
		Volumes: volumes, Headless: true, GraceSeconds: graceSeconds, Adjust: asRoot,
		Checksum: config.ApplyT(func(content string) string {
			sum := sha256.Sum256([]byte(content))
			return hex.EncodeToString(sum[:])
		}).(pulumi.StringOutput),
		Monitor: []monitoringv1.Endpoint{{Port: portName, RelabelConfigs: []monitoringv1.RelabelConfig{{
			SourceLabels: []monitoringv1.LabelName{"__meta_kubernetes_pod_node_name"}, TargetLabel: labelNode,
		}}}},
		DependsOn: []pulumi.Resource{configMap},
	}, opts...)
}

// asRoot runs the pod as root: the kubelet's log files and the journal are root's alone, and as all capabilities are dropped, none stands
// in for being their owner.
func asRoot(pod *corev1.PodSpecArgs) {
	pod.SecurityContext = &corev1.PodSecurityContextArgs{
		RunAsNonRoot: pulumi.Bool(false), RunAsUser: pulumi.Int(0), RunAsGroup: pulumi.Int(0),
		SeccompProfile: &corev1.SeccompProfileArgs{Type: pulumi.String("RuntimeDefault")},
	}
}

func hostVolumes(journal bool) (corev1.VolumeArray, corev1.VolumeMountArray) {
	var volumes corev1.VolumeArray
	var mounts corev1.VolumeMountArray
	add := func(name, path, kind string, readOnly bool) {
		volumes = append(volumes, &corev1.VolumeArgs{
			Name:     pulumi.String(name),
			HostPath: &corev1.HostPathVolumeSourceArgs{Path: pulumi.String(path), Type: pulumi.String(kind)},
		})
		mounts = append(mounts, &corev1.VolumeMountArgs{
			Name: pulumi.String(name), MountPath: pulumi.String(path), ReadOnly: pulumi.Bool(readOnly),
		})
	}
	add("state", State, "DirectoryOrCreate", false)
	add("pods", PodLogs, "Directory", true)
	if journal {
		// A journal is in one of the two; that the other exists, empty, does not matter.
		add("journal", persistentJournal, "DirectoryOrCreate", true)
		add("journal-volatile", volatileJournal, "DirectoryOrCreate", true)
		// A reader takes the journal of the machine with this identity.
		add("machine-id", machineID, "File", true)
	}
	return volumes, mounts
}
