package prometheus_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/components/prometheus"
	"github.com/kansoku/kansoku/internal/mocks"
)

const (
	crToken      = "kubernetes:monitoring.coreos.com/v1:Prometheus"
	monitorToken = "kubernetes:monitoring.coreos.com/v1:ServiceMonitor"
	urn          = "urn:pulumi:test::kansoku::kansoku:prometheus:Prometheus"
)

func deploy(t *testing.T, change func(*prometheus.Args)) *mocks.Recorder {
	t.Helper()
	args := &prometheus.Args{
		Namespace: pulumi.String("ns"), Cluster: "dev",
		Blocks: objectstore.Location{Bucket: pulumi.String("blocks"), Region: pulumi.String("ap-northeast-1")},
	}
	if change != nil {
		change(args)
	}
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		p, err := prometheus.New(ctx, "p", args)
		if err != nil {
			return err
		}
		ctx.Export("url", p.URL)
		ctx.Export("store", p.StoreEndpoint)
		pulumi.All(p.URL, p.StoreEndpoint).ApplyT(func(known []any) error {
			require.Equal(t, []any{
				"http://" + p.ServiceAccountName + ".ns.svc:9090",
				"dnssrv+_grpc._tcp." + p.ServiceAccountName + "-thanos-sidecar.ns.svc",
			}, known)
			return nil
		})
		return nil
	})
	return r
}

func labels(component, version string) map[string]any {
	return map[string]any{
		"app.kubernetes.io/name": "prometheus", "app.kubernetes.io/instance": "k8s",
		"app.kubernetes.io/component": component, "app.kubernetes.io/part-of": "kansoku", "app.kubernetes.io/version": version,
	}
}

var selector = map[string]any{"app.kubernetes.io/name": "prometheus", "app.kubernetes.io/instance": "k8s"}

func TestChildren(t *testing.T) {
	t.Parallel()
	r := deploy(t, nil)
	got := map[string]string{}
	for _, one := range r.All()[1:] {
		require.Equal(t, urn+"::p", one.Parent, one.Type)
		object := one.Field("metadata", "name").(string)
		if namespace, ok := one.Field("metadata", "namespace").(string); ok {
			object = namespace + "/" + object
		}
		got[one.Type+" "+one.Name] = object
		want := labels("prometheus", "v3.16.0")
		if one.Name != "p" {
			want = labels("thanos-sidecar", "v0.42.4")
		}
		require.Equal(t, want, one.Field("metadata", "labels"), one.Type)
	}
	require.Equal(t, map[string]string{
		"kubernetes:core/v1:ServiceAccount p":                                 "ns/prometheus-k8s",
		"kubernetes:rbac.authorization.k8s.io/v1:ClusterRole p":               "prometheus-k8s-ns",
		"kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding p":        "prometheus-k8s-ns",
		"kubernetes:core/v1:Secret p-objectstore":                             "ns/prometheus-k8s-objectstore",
		"kubernetes:monitoring.coreos.com/v1:Prometheus p":                    "ns/k8s",
		"kubernetes:core/v1:Service p":                                        "ns/prometheus-k8s",
		"kubernetes:core/v1:Service p-thanos-sidecar":                         "ns/prometheus-k8s-thanos-sidecar",
		"kubernetes:monitoring.coreos.com/v1:ServiceMonitor p":                "ns/prometheus-k8s",
		"kubernetes:monitoring.coreos.com/v1:ServiceMonitor p-thanos-sidecar": "ns/prometheus-k8s-thanos-sidecar",
		"kubernetes:policy/v1:PodDisruptionBudget p":                          "ns/prometheus-k8s",
	}, got)
	require.Equal(t, "kansoku:prometheus:Prometheus", r.All()[0].Type)
}

func TestObject(t *testing.T) {
	t.Parallel()
	r := deploy(t, nil)
	cr := r.Get(t, crToken, "p")
	require.Equal(t, "monitoring.coreos.com/v1", cr.Field("apiVersion"))
	require.Equal(t, "Prometheus", cr.Field("kind"))
	require.Equal(t, map[string]any{"pulumi.com/waitFor": "condition=Available"}, cr.Field("metadata", "annotations"))
	require.ElementsMatch(t, []string{
		urn + "$kubernetes:core/v1:ServiceAccount::p",
		urn + "$kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding::p",
		urn + "$kubernetes:core/v1:Secret::p-objectstore",
	}, cr.Depends, "what the pods need is there before them")
	require.Equal(t, "dev", cr.Field("spec", "externalLabels", "cluster"))
	require.Equal(t, "prometheus-k8s", cr.Field("spec", "serviceAccountName"))
	require.Nil(t, cr.Field("spec", "containers"))
	// The SHA-256 of the Secret below.
	require.Equal(t, "3fec5086d138cb9fe16e2babe378aa924871b00dd484105e03c54bdded5b685c", cr.Field("spec", "podMetadata", "annotations", "kansoku/objectstore-hash"))

	secret := r.Get(t, "kubernetes:core/v1:Secret", "p-objectstore")
	require.Equal(t, map[string]any{"thanos.yaml": `config:
  aws_sdk_auth: true
  bucket: blocks
  endpoint: s3.ap-northeast-1.amazonaws.com
  region: ap-northeast-1
type: S3
`}, secret.Field("stringData"))
	require.Equal(t, secret.Field("metadata", "name"), cr.Field("spec", "thanos", "objectStorageConfig", "name"))
}

func TestStoreThatIsNotOnAWS(t *testing.T) {
	t.Parallel()
	r := deploy(t, func(a *prometheus.Args) { a.Blocks.Endpoint, a.Blocks.CredentialsSecret = "minio:9000", "minio" })
	variable := func(key string) any {
		return map[string]any{"name": key, "valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": "minio", "key": key}}}
	}
	require.Equal(t, []any{map[string]any{
		"name": "thanos-sidecar", "resources": map[string]any{},
		"env": []any{variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")},
	}}, r.Get(t, crToken, "p").Field("spec", "containers"))
}

func TestRole(t *testing.T) {
	t.Parallel()
	without := deploy(t, nil).Get(t, "kubernetes:core/v1:ServiceAccount", "p")
	require.Nil(t, without.Field("metadata", "annotations"))
	with := deploy(t, func(a *prometheus.Args) { a.RoleARN = pulumi.String("arn:aws:iam::1:role/r") })
	require.Equal(t, "arn:aws:iam::1:role/r", with.Get(t, "kubernetes:core/v1:ServiceAccount", "p").
		Field("metadata", "annotations", "eks.amazonaws.com/role-arn"))
}

func TestAlertmanagerAndPriority(t *testing.T) {
	t.Parallel()
	without := deploy(t, nil).Get(t, crToken, "p")
	require.Nil(t, without.Field("spec", "alerting"))
	require.Nil(t, without.Field("spec", "priorityClassName"))
	with := deploy(t, func(a *prometheus.Args) {
		a.PriorityClass = "high"
		a.Alertmanager = &prometheus.AlertmanagerEndpoint{
			Name: "alertmanager-main", Port: "web", Namespace: pulumi.String("alerts").ToStringOutput(),
		}
	}).Get(t, crToken, "p")
	require.Equal(t, "high", with.Field("spec", "priorityClassName"))
	require.Equal(t, map[string]any{"alertmanagers": []any{
		map[string]any{"apiVersion": "V2", "name": "alertmanager-main", "namespace": "alerts", "port": "web"},
	}}, with.Field("spec", "alerting"))
	require.Equal(t, without.Field("spec", "podMetadata"), with.Field("spec", "podMetadata"))
}

func TestRights(t *testing.T) {
	t.Parallel()
	r := deploy(t, nil)
	find := []any{"get", "list", "watch"}
	require.Equal(t, []any{
		map[string]any{"apiGroups": []any{"discovery.k8s.io"}, "resources": []any{"endpointslices"}, "verbs": find},
		map[string]any{"apiGroups": []any{""}, "resources": []any{"services", "pods"}, "verbs": find},
		map[string]any{"apiGroups": []any{"networking.k8s.io"}, "resources": []any{"ingresses"}, "verbs": find},
		map[string]any{"apiGroups": []any{""}, "resources": []any{"nodes/metrics"}, "verbs": []any{"get"}},
		map[string]any{"nonResourceURLs": []any{"/metrics", "/metrics/slis"}, "verbs": []any{"get"}},
	}, r.Get(t, "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole", "p").Field("rules"))
	binding := r.Get(t, "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding", "p")
	require.Equal(t, map[string]any{
		"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "prometheus-k8s-ns",
	}, binding.Field("roleRef"))
	require.Equal(t, []any{map[string]any{"kind": "ServiceAccount", "name": "prometheus-k8s", "namespace": "ns"}},
		binding.Field("subjects"))
}

func TestServices(t *testing.T) {
	t.Parallel()
	r := deploy(t, nil)
	require.Equal(t, map[string]any{
		"selector": selector, "sessionAffinity": "ClientIP",
		"ports": []any{
			map[string]any{"name": "web", "port": 9090.0, "targetPort": "web"},
			map[string]any{"name": "reloader-web", "port": 8080.0, "targetPort": "reloader-web"},
		},
	}, r.Get(t, "kubernetes:core/v1:Service", "p").Field("spec"))
	require.Equal(t, map[string]any{
		"selector": selector, "clusterIP": "None",
		"ports": []any{
			map[string]any{"name": "grpc", "port": 10901.0, "targetPort": "grpc"},
			map[string]any{"name": "http", "port": 10902.0, "targetPort": "http"},
		},
	}, r.Get(t, "kubernetes:core/v1:Service", "p-thanos-sidecar").Field("spec"))
}

func TestMonitors(t *testing.T) {
	t.Parallel()
	r := deploy(t, nil)
	only := func(component string) any {
		return map[string]any{"matchLabels": map[string]any{
			"app.kubernetes.io/name": "prometheus", "app.kubernetes.io/instance": "k8s", "app.kubernetes.io/component": component,
		}}
	}
	require.Equal(t, map[string]any{
		"selector": only("prometheus"), "namespaceSelector": map[string]any{},
		"endpoints": []any{map[string]any{"port": "web"}, map[string]any{"port": "reloader-web"}},
	}, r.Get(t, monitorToken, "p").Field("spec"))
	require.Equal(t, map[string]any{
		"selector": only("thanos-sidecar"), "namespaceSelector": map[string]any{}, "jobLabel": "app.kubernetes.io/component",
		"endpoints": []any{map[string]any{"port": "http"}},
	}, r.Get(t, monitorToken, "p-thanos-sidecar").Field("spec"))
}

func TestDisruptionBudget(t *testing.T) {
	t.Parallel()
	const token = "kubernetes:policy/v1:PodDisruptionBudget"
	require.Equal(t, map[string]any{
		"maxUnavailable": 1.0, "selector": map[string]any{"matchLabels": selector}, "unhealthyPodEvictionPolicy": "AlwaysAllow",
	}, deploy(t, nil).Get(t, token, "p").Field("spec"))
	require.Empty(t, deploy(t, func(a *prometheus.Args) { a.Replicas = 1 }).OfType(token), "it would block every drain")
}

func TestTwoInstancesDoNotCollide(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, change := range []func(*prometheus.Args){
		nil,
		func(a *prometheus.Args) { a.Name = "other" },
		func(a *prometheus.Args) { a.Namespace = pulumi.String("elsewhere") },
	} {
		args := &prometheus.Args{
			Namespace: pulumi.String("ns"), Cluster: "dev",
			Blocks: objectstore.Location{Bucket: pulumi.String("b"), Region: pulumi.String("r")},
		}
		if change != nil {
			change(args)
		}
		r := &mocks.Recorder{}
		r.Run(t, func(ctx *pulumi.Context) error {
			_, err := prometheus.New(ctx, "p", args)
			return err
		})
		for _, one := range r.All()[1:] {
			namespace, _ := one.Field("metadata", "namespace").(string)
			key := one.Type + " " + namespace + "/" + one.Field("metadata", "name").(string)
			require.False(t, seen[key], key)
			seen[key] = true
		}
	}
	require.Len(t, seen, 30)
}
