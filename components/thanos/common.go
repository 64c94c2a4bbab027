package thanos

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/components/workload"
	"github.com/kansoku/kansoku/internal/check"
)

// Names of the Kubernetes objects of each part, service accounts among them.
const (
	StoreName         = "thanos-store"
	QueryName         = "thanos-query"
	QueryFrontendName = "thanos-query-frontend"
	CompactName       = "thanos-compact"
	BucketWebName     = "thanos-bucket-web"
)

// Ports, Thanos' defaults: HTTPPort of every part, for API, web interface and metrics; GRPCPort of store and query.
const (
	HTTPPort = 10902
	GRPCPort = 10901

	httpPort = "http"
	grpcPort = "grpc"
)

// ReplicaLabel is the external label that tells the Prometheus replicas of one cluster apart.
const ReplicaLabel = "prometheus_replica"

const (
	// The user of Thanos' image.
	uid = 1001
	gid = 1001

	// A spot node is gone two minutes after its notice. The servers of a process end one after the other, each within serverGrace.
	terminationGraceSeconds = 90
	serverGrace             = "40s"

	// maxReplicas is far above what serves.
	maxReplicas = 10

	objectStoreKey = "thanos.yaml"
	objectStoreDir = "/etc/thanos/objectstore"
	endpointsKey   = "endpoints.yaml"
	endpointsDir   = "/etc/thanos/endpoints"
	dataDir        = "/var/thanos"
	dataVolume     = "data"
)

// Account is a service account that an IAM role is for.
type Account struct {
	// Name of the account, and the key in Args.RoleARNs.
	Name string
	// Blocks is what its pods do to the bucket.
	Blocks objectstore.Access
}

// ServiceAccounts lists who reaches the bucket, ordered by name. The other parts need no role.
func ServiceAccounts() []Account {
	return []Account{
		{BucketWebName, objectstore.Read},
		{CompactName, objectstore.Manage},
		{StoreName, objectstore.Read},
	}
}

// Labels are those of the part with this object name (StoreName, ...); name and instance find its pods.
func Labels(object string) kube.Labels {
	// As kube-thanos calls them.
	components := map[string]string{
		StoreName: "object-store-gateway", QueryName: "query-layer", QueryFrontendName: "query-cache", CompactName: "database-compactor",
		BucketWebName: "object-store-bucket-debugging",
	}
	return kube.Labels{Name: object, Instance: "main", Component: components[object], Version: versions.Thanos.Version}
}

// newWorkload describes what all parts have in common: one container of the image, its ports, probes and monitor.
func newWorkload(kind workload.Kind, object string, flags []string, resources kube.Resources) *workload.Args {
	ports := []workload.Port{{Name: httpPort, Number: HTTPPort}}
	if object == StoreName || object == QueryName {
		ports = append(ports, workload.Port{Name: grpcPort, Number: GRPCPort})
	}
	return &workload.Args{
		Kind: kind, Object: object, Labels: Labels(object), Replicas: 1, UID: uid, GID: gid,
		GraceSeconds: terminationGraceSeconds,
		Monitor:      []monitoringv1.Endpoint{{Port: httpPort}},
		Containers: []workload.Container{{
			Name: object, Image: versions.Thanos.Image(), Args: flags, Ports: ports, Resources: resources,
			// As kube-thanos has it for the store: patient, because a process that works hard answers late.
			Liveness:  &workload.Probe{Path: "/-/healthy", Port: httpPort, Period: 30, Timeout: 5, Failures: 8},
			Readiness: &workload.Probe{Path: "/-/ready", Port: httpPort, Period: 5, Timeout: 5, Failures: 20},
		}},
	}
}

// mount shows a volume to the program.
func mount(w *workload.Args, name, path string, readOnly bool) {
	one := &corev1.VolumeMountArgs{Name: pulumi.String(name), MountPath: pulumi.String(path)}
	if readOnly {
		one.ReadOnly = pulumi.Bool(true)
	}
	w.Containers[0].Mounts = append(w.Containers[0].Mounts, one)
}

// withBlocks gives the program its bucket: a Secret with the location, although there is no key in it, and credentials where the
// store is not AWS'.
func withBlocks(ctx *pulumi.Context, name string, w *workload.Args, blocks objectstore.Location, opts ...pulumi.ResourceOption) error {
	const volume = "objectstore"
	config, object := blocks.Thanos(), w.Object+"-objectstore"
	secret, err := corev1.NewSecret(ctx, name+"-objectstore", &corev1.SecretArgs{
		Metadata: w.Labels.Meta(object, w.Namespace), StringData: pulumi.StringMap{objectStoreKey: config},
	}, opts...)
	if err != nil {
		return fmt.Errorf("creating object store secret: %w", err)
	}
	w.Volumes = append(w.Volumes, &corev1.VolumeArgs{
		Name: pulumi.String(volume), Secret: &corev1.SecretVolumeSourceArgs{SecretName: pulumi.String(object)},
	})
	mount(w, volume, objectStoreDir, true)
	w.Containers[0].Env = append(w.Containers[0].Env, blocks.Env()...)
	w.Checksum = checksum(config)
	w.DependsOn = append(w.DependsOn, secret)
	return nil
}

// checksum of a configuration that is read once, at the start.
func checksum(config pulumi.StringOutput) pulumi.StringOutput {
	return config.ApplyT(func(content string) string {
		sum := sha256.Sum256([]byte(content))
		return hex.EncodeToString(sum[:])
	}).(pulumi.StringOutput)
}

func url(object string, namespace pulumi.StringInput) pulumi.StringOutput {
	return pulumi.Sprintf("http://%s.%s.svc:%d", object, namespace, HTTPPort)
}

func requireNamespace(errs *check.Errors, namespace pulumi.StringInput) {
	errs.Require(namespace != nil, "namespace", nil, "is required")
}

func requireBlocks(errs *check.Errors, blocks objectstore.Location) {
	errs.Require(blocks.Bucket != nil, "blocks.bucket", nil, "is required")
	errs.Require(blocks.Region != nil, "blocks.region", nil, "is required")
}

func requireEndpoints(errs *check.Errors, endpoints []pulumi.StringInput) {
	for i, one := range endpoints {
		errs.Require(one != nil, fmt.Sprintf("storeEndpoints[%d]", i), nil, "is required")
	}
}

// validateBlocks is the check of a part that reads the bucket.
func validateBlocks(settings error, namespace pulumi.StringInput, blocks objectstore.Location) error {
	var errs check.Errors
	requireNamespace(&errs, namespace)
	requireBlocks(&errs, blocks)
	return errors.Join(settings, errs.Err())
}
