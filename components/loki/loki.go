package loki

import (
	"errors"
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/components/workload"
)

// The type token is part of every child's URN and must never change.
const lokiToken = "kansoku:loki:Loki"

// Ports of the pods. Loki's pods call each other on GRPCPort and, with three replicas, on GossipPort (TCP only).
const (
	HTTPPort   = 3100
	GRPCPort   = 9095
	GossipPort = 7946
)

// ServiceAccountName is the account that the pods run as: what the IAM role trusts.
const ServiceAccountName = objectName

const (
	objectName   = "loki"
	rulesObject  = "loki-rules"
	gossipObject = "loki-memberlist"

	httpPort, grpcPort, gossipPort = "http-metrics", "grpc", "memberlist"

	uid = 10001 // as the image has it

	// graceSeconds is all that a reclaimed spot node gives. Open chunks are flushed in it, so that they can be read while the volume
	// waits for a node in its zone; what does not get out in time is replayed from the write-ahead log.
	graceSeconds = 120
)

// Labels of the pods.
func Labels() kube.Labels {
	return kube.Labels{Name: objectName, Instance: "main", Component: "logs"}
}

// Loki is a running Loki.
type Loki struct {
	pulumi.ResourceState

	// URL of the API, for queries: "http://loki.monitoring.svc:3100".
	URL pulumi.StringOutput `pulumi:"url"`
	// PushURL is where collectors send logs: URL and "/loki/api/v1/push".
	PushURL pulumi.StringOutput `pulumi:"pushUrl"`
}

// New deploys Loki. The operator's definitions must exist before (there is a ServiceMonitor): pass pulumi.DependsOn on them.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Loki, error) {
	if args == nil {
		args = &Args{}
	}
	wired := *args
	wired.Settings = wired.WithDefaults()
	if err := errors.Join(wired.Validate(), wired.validate()); err != nil {
		return nil, fmt.Errorf("validating %s: %w", name, err)
	}
	release, err := Release(wired.Schema, wired.Version)
	if err != nil {
		return nil, fmt.Errorf("choosing the release of %s: %w", name, err)
	}
	component := &Loki{}
	if err = ctx.RegisterComponentResource(lokiToken, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering %s: %w", name, err)
	}
	b := &builder{Args: wired, ctx: ctx, name: name, parent: pulumi.Parent(component), release: release, labels: Labels()}
	b.labels.Version = release.Version
	for _, step := range []func() error{b.newConfig, b.newRules, b.newGossip, b.newWorkload} {
		if err = step(); err != nil {
			return nil, err
		}
	}
	component.URL = pulumi.Sprintf("http://%s.%s.svc:%d", objectName, wired.Namespace, HTTPPort)
	component.PushURL = pulumi.Sprintf("%s/loki/api/v1/push", component.URL)
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{"url": component.URL, "pushUrl": component.PushURL})
}

// builder makes the children of one Loki.
type builder struct {
	Args
	ctx      *pulumi.Context
	name     string
	parent   pulumi.ResourceOption
	release  versions.Component
	labels   kube.Labels
	checksum pulumi.StringOutput
	needed   []pulumi.Resource // by the pods
}

// newConfig writes the configuration, which holds no secret: credentials come by role or environment.
func (b *builder) newConfig() error {
	known := func(input pulumi.StringInput) pulumi.StringInput {
		if input == nil {
			return pulumi.String("")
		}
		return input
	}
	rendered := pulumi.All(
		b.Namespace, b.Chunks.Bucket, b.Chunks.Region, known(b.Index.Table), known(b.Index.Region), known(b.AlertmanagerURL),
	).ApplyT(func(values []any) ([]string, error) {
		text := make([]string, len(values))
		for i, value := range values {
			text[i] = value.(string)
		}
		file, checksum, err := plan{
			Settings: b.Settings, namespace: text[0], bucket: text[1], region: text[2], table: text[3], indexRegion: text[4],
			alertmanagerURL: text[5], endpoint: b.Chunks.Endpoint, insecure: b.Chunks.Insecure,
			indexEndpoint: b.Index.Endpoint, indexInsecure: b.Index.Insecure,
		}.render()
		return []string{file, checksum}, err
	}).(pulumi.StringArrayOutput)
	b.checksum = rendered.Index(pulumi.Int(1))
	config, err := corev1.NewConfigMap(b.ctx, b.name, &corev1.ConfigMapArgs{
		Metadata: b.labels.Meta(objectName, b.Namespace),
		Data:     pulumi.StringMap{configFile: rendered.Index(pulumi.Int(0))},
	}, b.parent)
	if err != nil {
		return fmt.Errorf("creating configuration: %w", err)
	}
	b.needed = append(b.needed, config)
	return nil
}

// newRules is there without rules too, so that the first one restarts nothing.
func (b *builder) newRules() error {
	files, err := ruleFiles(b.Rules)
	if err != nil {
		return err
	}
	rules, err := corev1.NewConfigMap(b.ctx, b.name+"-rules", &corev1.ConfigMapArgs{
		Metadata: b.labels.Meta(rulesObject, b.Namespace), Data: pulumi.ToStringMap(files),
	}, b.parent)
	if err != nil {
		return fmt.Errorf("creating rules: %w", err)
	}
	b.needed = append(b.needed, rules)
	return nil
}

// newGossip lets replicas find each other while they start. Its own instance label keeps the monitor to the other Service.
func (b *builder) newGossip() error {
	if b.Replicas == single {
		return nil
	}
	labels := b.labels
	labels.Instance = "memberlist"
	_, err := corev1.NewService(b.ctx, b.name+"-memberlist", &corev1.ServiceArgs{
		Metadata: labels.Meta(gossipObject, b.Namespace),
		Spec: &corev1.ServiceSpecArgs{
			ClusterIP: pulumi.String("None"), PublishNotReadyAddresses: pulumi.Bool(true), Selector: pulumi.ToStringMap(b.labels.Selector()),
			Ports: corev1.ServicePortArray{&corev1.ServicePortArgs{
				Name: pulumi.String(gossipPort), Port: pulumi.Int(GossipPort), TargetPort: pulumi.String(gossipPort),
			}},
		},
	}, b.parent)
	if err != nil {
		return fmt.Errorf("creating gossip service: %w", err)
	}
	return nil
}

func (b *builder) newWorkload() error {
	configMap := func(volume, object string) *corev1.VolumeArgs {
		return &corev1.VolumeArgs{
			Name: pulumi.String(volume), ConfigMap: &corev1.ConfigMapVolumeSourceArgs{Name: pulumi.String(object)},
		}
	}
	return workload.New(b.ctx, b.name, &workload.Args{
		Kind: workload.StatefulSet, Object: objectName, Namespace: b.Namespace, Labels: b.labels,
		Replicas: b.Replicas, RoleARN: b.RoleARN, UID: uid, GID: uid,
		Containers: []workload.Container{b.container()},
		Volumes: corev1.VolumeArray{
			configMap("config", objectName), configMap("rules", rulesObject),
			&corev1.VolumeArgs{Name: pulumi.String("tmp"), EmptyDir: &corev1.EmptyDirVolumeSourceArgs{}},
		},
		Claim:    &workload.Claim{Name: "data", Size: b.StorageSize, StorageClass: b.StorageClass},
		Checksum: b.checksum, GraceSeconds: graceSeconds, RequireZones: b.RequireZones, PriorityClass: b.PriorityClass,
		Images: b.Images,
		// A replica whose zone has no node must not hold up the next.
		Parallel:  true,
		Monitor:   []monitoringv1.Endpoint{{Port: httpPort}},
		DependsOn: b.needed,
	}, b.parent)
}

func (b *builder) container() workload.Container {
	mount := func(volume, path string, readOnly bool) *corev1.VolumeMountArgs {
		args := &corev1.VolumeMountArgs{Name: pulumi.String(volume), MountPath: pulumi.String(path)}
		if readOnly {
			args.ReadOnly = pulumi.Bool(true)
		}
		return args
	}
	ports := []workload.Port{{Name: httpPort, Number: HTTPPort}, {Name: grpcPort, Number: GRPCPort}}
	if b.Replicas > single {
		ports = append(ports, workload.Port{Name: gossipPort, Number: GossipPort, Internal: true})
	}
	// Answers as soon as Loki listens, which it does before it replays the write-ahead log: only readiness waits for the replay, for as
	// long as it takes.
	alive := workload.Probe{Path: "/loki/api/v1/status/buildinfo", Port: httpPort, Period: 10, Timeout: 5, Failures: 6}
	started := alive
	started.Period, started.Failures = 5, 60
	return workload.Container{
		Name: objectName, Image: b.release.Image(),
		Args: []string{"-config.file=" + configDir + "/" + configFile, "-config.expand-env=true", "-target=all"},
		Env:  b.env(), Ports: ports, Resources: b.Resources,
		Mounts: corev1.VolumeMountArray{
			mount("config", configDir, true), mount("rules", rulesDir+"/"+tenant, true), mount("data", dataDir, false), mount("tmp", "/tmp", false),
		},
		Liveness: &alive, Startup: &started,
		Readiness: &workload.Probe{Path: "/ready", Port: httpPort, Period: 10, Timeout: 5, Failures: 3},
	}
}

func (b *builder) env() corev1.EnvVarArray {
	// Collect in time rather than be killed: caches and queries share the limit.
	goMemory := fmt.Sprintf("%dMiB", b.memory()*9/10>>20)
	env := corev1.EnvVarArray{
		&corev1.EnvVarArgs{Name: pulumi.String("POD_IP"), ValueFrom: &corev1.EnvVarSourceArgs{
			FieldRef: &corev1.ObjectFieldSelectorArgs{FieldPath: pulumi.String("status.podIP")},
		}},
		&corev1.EnvVarArgs{Name: pulumi.String("GOMEMLIMIT"), Value: pulumi.String(goMemory)},
	}
	if b.uses(DynamoDB) && b.Index.Endpoint != "" {
		// Loki finds no region in the URL of an endpoint.
		env = append(env, &corev1.EnvVarArgs{Name: pulumi.String("AWS_REGION"), Value: b.Index.Region.ToStringOutput().ToStringPtrOutput()})
	}
	return append(env, b.Chunks.Env()...)
}
