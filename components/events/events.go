// Package events writes the cluster's events as log lines, one JSON object each, to its standard output: the collector takes them to Loki
// like any other log. Kubernetes itself forgets events after an hour. It owns no collector; Pipeline is what that needs to know.
package events

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/collector"
	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/components/workload"
	"github.com/kansoku/kansoku/internal/check"
)

// The type token is part of every child's URN and must never change.
const token = "kansoku:events:Events"

// HTTPPort serves metrics and probes.
const HTTPPort = 2112

const (
	objectName = "event-exporter"
	portName   = "http-metrics"
	configDir  = "/etc/event-exporter"
	configFile = "config.yaml"
	uid        = 65532 // the image's
)

// Labels of the pods.
func Labels() kube.Labels {
	return kube.Labels{Name: objectName, Instance: "main", Component: "events", Version: versions.EventExporter.Version}
}

// Settings are what a stack may say about events.
type Settings struct {
	// MaxAge of an event that is still written. After a restart the events of the time between are written if they are younger, and those that
	// were already written are written again. 5s to 1h. Default: 2m, in which a pod of a reclaimed spot node is back.
	MaxAge string `pulumi:"maxAge,optional"`
	// Resources of the exporter, which holds the last hour's events in memory. Default: 10m CPU, 64Mi memory, limit 256Mi (an estimate, not
	// measured).
	Resources kube.Resources `pulumi:"resources,optional"`
}

// WithDefaults fills what is not set.
func (s Settings) WithDefaults() Settings {
	if s.MaxAge == "" {
		s.MaxAge = "2m"
	}
	s.Resources = s.Resources.Or(kube.Resources{CPU: "10m", Memory: "64Mi", MemoryLimit: "256Mi"})
	return s
}

// Validate checks the settings, defaults filled in.
func (s Settings) Validate() error {
	var errs check.Errors
	age, err := check.ParseDuration(s.MaxAge)
	errs.Require(err == nil && age >= 5*time.Second && age <= time.Hour, "maxAge", s.MaxAge, `must be a duration from 5s to 1h, such as "2m"`)
	errs.Under("resources", s.Resources.Validate())
	return errs.Err()
}

// Args are the settings and where the exporter runs.
type Args struct {
	Settings
	// Namespace of everything. Required; it must exist.
	Namespace pulumi.StringInput `pulumi:"namespace"`
	// PriorityClass of the pod. Default: none.
	PriorityClass string `pulumi:"priorityClass,optional"`
	// Images says where the image is pulled from. Default: upstream's registry.
	Images versions.Images `pulumi:"images,optional"`
}

// Events is a running exporter of events.
type Events struct {
	pulumi.ResourceState
}

// Pipeline labels events that are written in this namespace by whom they are about: namespace is the event's own, level its type in lower
// case (normal or warning). {app="event-exporter", namespace="shop", level="warning"} finds them.
func Pipeline(namespace string) collector.Pipeline {
	return collector.Pipeline{
		Namespace: namespace, App: objectName, Container: objectName,
		JSON: collector.JSON{Level: "type", Labels: map[string]string{"namespace": "metadata.namespace"}},
	}
}

// New deploys the exporter. The operator's custom resource definitions must exist before: pass pulumi.DependsOn on what makes them.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Events, error) {
	if args == nil {
		args = &Args{}
	}
	wired := *args
	wired.Settings = wired.WithDefaults()
	var errs check.Errors
	errs.Require(wired.Namespace != nil, "namespace", nil, "is required")
	if err := errors.Join(wired.Validate(), errs.Err()); err != nil {
		return nil, fmt.Errorf("validating %s: %w", name, err)
	}
	component := &Events{}
	if err := ctx.RegisterComponentResource(token, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering %s: %w", name, err)
	}
	if err := deploy(ctx, name, wired, pulumi.Parent(component)); err != nil {
		return nil, err
	}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{})
}

func deploy(ctx *pulumi.Context, name string, args Args, parent pulumi.ResourceOption) error {
	config, err := render(args.Settings)
	if err != nil {
		return fmt.Errorf("rendering configuration: %w", err)
	}
	configMap, err := corev1.NewConfigMap(ctx, name, &corev1.ConfigMapArgs{
		Metadata: Labels().Meta(objectName, args.Namespace), Data: pulumi.StringMap{configFile: pulumi.String(config)},
	}, parent)
	if err != nil {
		return fmt.Errorf("creating configuration: %w", err)
	}
	sum := sha256.Sum256(config)
	return workload.New(ctx, name, &workload.Args{
		// Two would write everything twice.
		Kind: workload.Deployment, Object: objectName, Namespace: args.Namespace, Labels: Labels(), Replicas: 1, UID: uid, GID: uid,
		PriorityClass: args.PriorityClass, Images: args.Images,
		ClusterRules: []kube.Rule{{Resources: []string{"events"}, Verbs: []string{"list", "watch"}}},
		Containers: []workload.Container{{
			Name: objectName, Image: versions.EventExporter.Image(), Resources: args.Resources,
			Args:      []string{"-conf=" + configDir + "/" + configFile, fmt.Sprintf("-metrics-address=:%d", HTTPPort)},
			Ports:     []workload.Port{{Name: portName, Number: HTTPPort}},
			Liveness:  &workload.Probe{Path: "/-/healthy", Port: portName, Period: 30, Timeout: 5},
			Readiness: &workload.Probe{Path: "/-/ready", Port: portName},
			Mounts: corev1.VolumeMountArray{&corev1.VolumeMountArgs{
				Name: pulumi.String("config"), MountPath: pulumi.String(configDir), ReadOnly: pulumi.Bool(true),
			}},
		}},
		Volumes: corev1.VolumeArray{&corev1.VolumeArgs{
			Name: pulumi.String("config"), ConfigMap: &corev1.ConfigMapVolumeSourceArgs{Name: pulumi.String(objectName)},
		}},
		Checksum:  pulumi.String(hex.EncodeToString(sum[:])),
		Monitor:   []monitoringv1.Endpoint{{Port: portName}},
		DependsOn: []pulumi.Resource{configMap},
	}, parent)
}
