// Package adapter deploys the Prometheus adapter, which answers Kubernetes' metrics APIs from Prometheus: what a HorizontalPodAutoscaler
// scales on. It owns no Prometheus and no HorizontalPodAutoscaler.
//
// Kubernetes has one server for each metrics API: no other adapter may serve custom metrics (nor external ones, as KEDA does), and
// resource metrics are off where metrics-server serves them. While the adapter is away its APIs fail for everybody, and namespaces cannot
// be deleted: the APIs are registered when its pods are ready, and removed before these are.
//
// The API server reaches the pods on HTTPSPort, which the nodes' security group must allow from the control plane's. Each pod makes its
// certificate for itself, so that nobody can verify it: who could take a pod's address could answer in its place, with wrong metrics.
// Whom the adapter answers is not decided by the certificate: it asks the API server about each caller. Upstream is about to retire the
// project; there is no release after v0.12.0.
package adapter

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apiregistrationv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiregistration/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/components/workload"
	"github.com/kansoku/kansoku/internal/check"
)

// The type token is part of every child's URN and must never change.
const token = "kansoku:exporters:Adapter"

// HTTPSPort serves the APIs, probes and metrics. The Service has it at 443.
const HTTPSPort = 6443

const (
	objectName  = "prometheus-adapter"
	portName    = "https"
	servicePort = 443
	uid         = 65534 // nobody, the image's user

	urlVariable = "PROMETHEUS_URL"
	configFile  = "config.yaml"
	configDir   = "/etc/adapter"
	certDir     = "/var/run/serving-cert"

	rbacGroup = "rbac.authorization.k8s.io"
	tokenFile = "/var/run/secrets/kubernetes.io/serviceaccount/token"

	// What every server made of the API server's library has and this one does not use.
	unused = "(apiserver_(audit|cel|client_certificate|envelope|flowcontrol|request_filter|request_slo|storage|webhooks)|" +
		"field_validation|workqueue)_.+"
)

// Labels of the pods; name and instance find them.
func Labels() kube.Labels {
	return kube.Labels{Name: objectName, Instance: "main", Component: "metrics-adapter", Version: versions.PrometheusAdapter.Version}
}

// Args are the settings, and what the adapter is wired to.
type Args struct {
	Settings
	// Namespace of everything but two cluster-wide bindings. Required; it must exist. One adapter serves a cluster.
	Namespace pulumi.StringInput `pulumi:"namespace"`
	// PriorityClass of the pods. Default: none.
	PriorityClass string `pulumi:"priorityClass,optional"`
	// Images says where the image is pulled from. Default: upstream's registry.
	Images versions.Images `pulumi:"images,optional"`
	// PrometheusURL is whom it asks ("http://prometheus-k8s.monitoring.svc:9090"). Required. The cluster's own Prometheus rather than
	// Thanos, which may know of other clusters' pods and is away more often.
	PrometheusURL pulumi.StringInput `pulumi:"prometheusUrl"`
}

// Adapter is a running Prometheus adapter.
type Adapter struct {
	pulumi.ResourceState
}

// New deploys the adapter. The Prometheus Operator's definitions must exist before: pass pulumi.DependsOn.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Adapter, error) {
	if args == nil {
		args = &Args{}
	}
	wired := *args
	wired.Settings = wired.WithDefaults()
	if err := errors.Join(wired.Validate(), wired.validate()); err != nil {
		return nil, fmt.Errorf("validating %s: %w", name, err)
	}
	config, err := wired.render()
	if err != nil {
		return nil, fmt.Errorf("rendering configuration of %s: %w", name, err)
	}
	component := &Adapter{}
	if err = ctx.RegisterComponentResource(token, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering %s: %w", name, err)
	}
	parent := pulumi.Parent(component)
	rights, err := newBindings(ctx, name, wired.Namespace, parent)
	if err != nil {
		return nil, err
	}
	configMap, err := corev1.NewConfigMap(ctx, name, &corev1.ConfigMapArgs{
		Metadata: Labels().Meta(objectName, wired.Namespace), Data: pulumi.StringMap{configFile: pulumi.String(config)},
	}, parent)
	if err != nil {
		return nil, fmt.Errorf("creating configuration: %w", err)
	}
	w := wired.workload(config)
	w.DependsOn = append(w.DependsOn, configMap)
	w.DependsOn = append(w.DependsOn, rights...)
	pods, err := workload.Deploy(ctx, name, w, parent)
	if err != nil {
		return nil, err
	}
	if err = newReader(ctx, name, wired.Namespace, wired.apis(), parent); err != nil {
		return nil, err
	}
	if err = newAPIServices(ctx, name, wired.Namespace, wired.apis(), parent, pulumi.DependsOn([]pulumi.Resource{pods})); err != nil {
		return nil, err
	}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{})
}

// validate checks what is wired; the settings check themselves.
func (a Args) validate() error {
	var errs check.Errors
	errs.Require(a.Namespace != nil, "namespace", nil, "is required")
	errs.Require(a.PrometheusURL != nil, "prometheusUrl", nil, "is required")
	return errs.Err()
}

// workload describes the pods.
func (a Args) workload(config []byte) *workload.Args {
	sum := sha256.Sum256(config)
	probe := func(path string, period, failures int) *workload.Probe {
		return &workload.Probe{Path: path, Port: portName, Scheme: "HTTPS", Period: period, Failures: failures}
	}
	return &workload.Args{
		Kind: workload.Deployment, Object: objectName, Namespace: a.Namespace, Labels: Labels(), PriorityClass: a.PriorityClass,
		Images:   a.Images,
		Replicas: a.Replicas, RequireZones: a.RequireZones, UID: uid, GID: uid,
		ClusterRules: a.rules(), MountToken: true,
		Containers: []workload.Container{{
			Name: objectName, Image: versions.PrometheusAdapter.Image(), Args: flags(), Resources: a.Resources,
			Ports: []workload.Port{{Name: portName, Number: HTTPSPort, Service: servicePort}},
			Env: corev1.EnvVarArray{&corev1.EnvVarArgs{
				Name: pulumi.String(urlVariable), Value: a.PrometheusURL.ToStringOutput().ToStringPtrOutput(),
			}},
			Mounts: corev1.VolumeMountArray{
				&corev1.VolumeMountArgs{Name: pulumi.String("config"), MountPath: pulumi.String(configDir), ReadOnly: pulumi.Bool(true)},
				&corev1.VolumeMountArgs{Name: pulumi.String("serving-cert"), MountPath: pulumi.String(certDir)},
			},
			// As kube-prometheus has them. The paths ask for no token.
			Startup: probe("/livez", 10, 18), Liveness: probe("/livez", 5, 5), Readiness: probe("/readyz", 5, 5),
		}},
		Volumes: corev1.VolumeArray{
			&corev1.VolumeArgs{Name: pulumi.String("config"), ConfigMap: &corev1.ConfigMapVolumeSourceArgs{Name: pulumi.String(objectName)}},
			&corev1.VolumeArgs{Name: pulumi.String("serving-cert"), EmptyDir: &corev1.EmptyDirVolumeSourceArgs{}},
		},
		Checksum: pulumi.String(hex.EncodeToString(sum[:])),
		Monitor:  []monitoringv1.Endpoint{endpoint()},
	}
}

// endpoint of the metrics asks for a token of someone who may get /metrics, as Prometheus may.
func endpoint() monitoringv1.Endpoint {
	scheme, skip := monitoringv1.SchemeHTTPS, true
	e := monitoringv1.Endpoint{
		Port: portName, Scheme: &scheme,
		MetricRelabelConfigs: []monitoringv1.RelabelConfig{{
			Action: "drop", SourceLabels: []monitoringv1.LabelName{"__name__"}, Regex: unused,
		}},
	}
	e.BearerTokenFile = tokenFile //nolint:staticcheck // its successor takes a Secret, which would not be rotated
	e.TLSConfig = &monitoringv1.TLSConfig{SafeTLSConfig: monitoringv1.SafeTLSConfig{InsecureSkipVerify: &skip}}
	return e
}

// newBindings lets the adapter ask the API server who calls it and what that one may do, by the roles that Kubernetes has for this. It
// exits without them.
func newBindings(ctx *pulumi.Context, name string, namespace pulumi.StringInput, opts ...pulumi.ResourceOption) ([]pulumi.Resource, error) {
	subjects := rbacv1.SubjectArray{&rbacv1.SubjectArgs{
		Kind: pulumi.String("ServiceAccount"), Name: pulumi.String(objectName), Namespace: namespace.ToStringOutput().ToStringPtrOutput(),
	}}
	role := func(kind, name string) *rbacv1.RoleRefArgs {
		return &rbacv1.RoleRefArgs{ApiGroup: pulumi.String(rbacGroup), Kind: pulumi.String(kind), Name: pulumi.String(name)}
	}
	delegator := Labels().Meta("", nil)
	delegator.Name = global(namespace, "auth-delegator")
	delegation, err := rbacv1.NewClusterRoleBinding(ctx, name+"-auth-delegator", &rbacv1.ClusterRoleBindingArgs{
		Metadata: delegator, RoleRef: role("ClusterRole", "system:auth-delegator"), Subjects: subjects,
	}, opts...)
	if err != nil {
		return nil, fmt.Errorf("binding system:auth-delegator: %w", err)
	}
	reader := Labels().Meta("", pulumi.String("kube-system"))
	reader.Name = global(namespace, "auth-reader")
	reading, err := rbacv1.NewRoleBinding(ctx, name+"-auth-reader", &rbacv1.RoleBindingArgs{
		Metadata: reader, RoleRef: role("Role", "extension-apiserver-authentication-reader"), Subjects: subjects,
	}, opts...)
	if err != nil {
		return nil, fmt.Errorf("binding extension-apiserver-authentication-reader: %w", err)
	}
	return []pulumi.Resource{delegation, reading}, nil
}

// global names an object that is not in the adapter's namespace.
func global(namespace pulumi.StringInput, suffix string) pulumi.StringOutput {
	return pulumi.Sprintf("%s-%s-%s", objectName, namespace, suffix)
}

// newReader adds the metrics to what view, edit and admin may read. Kubernetes' own autoscaler may by itself.
func newReader(ctx *pulumi.Context, name string, namespace pulumi.StringInput, apis []api, opts ...pulumi.ResourceOption) error {
	var rules []kube.Rule
	for _, a := range apis {
		rules = append(rules, a.reading)
	}
	meta := Labels().Meta("", nil, map[string]string{
		rbacGroup + "/aggregate-to-view": "true", rbacGroup + "/aggregate-to-edit": "true", rbacGroup + "/aggregate-to-admin": "true",
	})
	meta.Name = global(namespace, "reader")
	_, err := rbacv1.NewClusterRole(ctx, name+"-reader", &rbacv1.ClusterRoleArgs{Metadata: meta, Rules: kube.Rules(rules)}, opts...)
	if err != nil {
		return fmt.Errorf("creating cluster role of readers: %w", err)
	}
	return nil
}

// newAPIServices has the API server pass on the APIs. Their names are Kubernetes' to choose: VERSION.GROUP.
func newAPIServices(ctx *pulumi.Context, name string, namespace pulumi.StringInput, apis []api, opts ...pulumi.ResourceOption) error {
	for _, a := range apis {
		for i, version := range a.versions {
			object := version + "." + a.group
			_, err := apiregistrationv1.NewAPIService(ctx, name+"-"+object, &apiregistrationv1.APIServiceArgs{
				Metadata: Labels().Meta(object, nil),
				Spec: &apiregistrationv1.APIServiceSpecArgs{
					Group: pulumi.String(a.group), Version: pulumi.String(version),
					// The lowest that upstream gives: no name of another group's should give way to these.
					GroupPriorityMinimum: pulumi.Int(100), VersionPriority: pulumi.Int(100 * (i + 1)),
					InsecureSkipTLSVerify: pulumi.Bool(true),
					Service: &apiregistrationv1.ServiceReferenceArgs{
						Name: pulumi.String(objectName), Namespace: namespace.ToStringOutput().ToStringPtrOutput(), Port: pulumi.Int(servicePort),
					},
				},
			}, opts...)
			if err != nil {
				return fmt.Errorf("creating API service %s: %w", object, err)
			}
		}
	}
	return nil
}
