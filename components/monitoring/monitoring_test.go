package monitoring_test

import (
	"slices"
	"strings"
	"testing"

	kubernetes "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/collector"
	"github.com/kansoku/kansoku/components/grafana"
	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/loki"
	"github.com/kansoku/kansoku/components/monitoring"
	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/components/operator"
	"github.com/kansoku/kansoku/components/prometheus"
	"github.com/kansoku/kansoku/components/rules"
	"github.com/kansoku/kansoku/internal/mocks"
)

const (
	crdToken = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"
	root     = "urn:pulumi:test::kansoku::kansoku:monitoring:Monitoring"
)

func args() *monitoring.Args {
	return &monitoring.Args{
		Settings: monitoring.Settings{Loki: &loki.Settings{Schema: []loki.Period{{From: "2026-01-01", Index: loki.DynamoDB}}}},
		Cluster:  "dev",
		Blocks:   objectstore.Location{Bucket: pulumi.String("blocks"), Region: pulumi.String("ap-northeast-1")},
		Chunks:   objectstore.Location{Bucket: pulumi.String("chunks"), Region: pulumi.String("ap-northeast-1")},
		Index:    loki.Index{Table: pulumi.String("index"), Region: pulumi.String("ap-northeast-1")},
	}
}

func deploy(t *testing.T, a *monitoring.Args) *mocks.Recorder {
	t.Helper()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		m, err := monitoring.New(ctx, "m", a)
		if err != nil {
			return err
		}
		namespace := a.WithDefaults().Namespace
		pulumi.All(m.Namespace, m.PrometheusURL, m.StoreEndpoint).ApplyT(func(known []any) error {
			require.Equal(t, []any{
				namespace, "http://prometheus-k8s." + namespace + ".svc:9090",
				"dnssrv+_grpc._tcp.prometheus-k8s-thanos-sidecar." + namespace + ".svc",
			}, known)
			return nil
		})
		return nil
	})
	return r
}

func TestParts(t *testing.T) {
	t.Parallel()
	a := args()
	a.Scaled = &monitoring.ScaledCluster{Name: pulumi.String("dev"), Region: pulumi.String("ap-northeast-1")}
	a.RoleARNs = map[string]pulumi.StringInput{"cluster-autoscaler": pulumi.String("arn:scale")}
	r := deploy(t, a)
	parts := map[string]string{}
	for _, one := range r.All() {
		if one.Parent == root+"::m" && !one.Custom {
			parts[one.Name] = one.Type
		}
	}
	require.Equal(t, map[string]string{
		"m-crds": "kansoku:operator:CRDs", "m-operator": "kansoku:operator:Operator", "m-prometheus": "kansoku:prometheus:Prometheus",
		"m-cluster": "kansoku:prometheus:ClusterMonitors", "m-alertmanager": "kansoku:alertmanager:Alertmanager",
		"m-kube-state-metrics": "kansoku:exporters:KubeStateMetrics", "m-node-exporter": "kansoku:exporters:NodeExporter",
		"m-adapter": "kansoku:exporters:Adapter", "m-thanos": "kansoku:thanos:Thanos", "m-loki": "kansoku:loki:Loki",
		"m-promtail": "kansoku:promtail:Promtail", "m-events": "kansoku:events:Events", "m-grafana": "kansoku:grafana:Grafana",
		"m-autoscaler": "kansoku:autoscaler:Autoscaler", "m-network": "kansoku:netpolicy:Policies", "m-rules": "kansoku:rules:Rules",
	}, parts)
	for _, one := range r.All() {
		if namespace := one.Field("metadata", "namespace"); namespace != nil && namespace != "kube-system" {
			host := strings.Contains(one.Parent, "m-node-exporter") || strings.Contains(one.Parent, "m-promtail") ||
				one.Field("metadata", "namespace") == "monitoring-host" && strings.Contains(one.Parent, "m-network")
			want := map[bool]string{false: "monitoring", true: "monitoring-host"}[host]
			require.Equal(t, want, namespace, "%s %s", one.Type, one.Name)
		}
	}
}

// TestNamespaceIsWaitedFor: what a program puts into the namespace waits for the namespace, and for no pod.
func TestNamespaceIsWaitedFor(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		m, err := monitoring.New(ctx, "m", args())
		if err != nil {
			return err
		}
		_, err = corev1.NewSecret(ctx, "credentials", &corev1.SecretArgs{Metadata: &metav1.ObjectMetaArgs{Namespace: m.Namespace}})
		return err
	})
	secret := r.Get(t, "kubernetes:core/v1:Secret", "credentials")
	require.Equal(t, "monitoring", secret.Field("metadata", "namespace"))
	require.Equal(t, []string{root + "$kubernetes:core/v1:Namespace::m"}, secret.Depends)
}

func TestWithoutLogs(t *testing.T) {
	t.Parallel()
	a := args()
	a.Loki = nil
	r := deploy(t, a)
	for _, token := range []string{"kansoku:loki:Loki", "kansoku:promtail:Promtail", "kansoku:events:Events", "kansoku:autoscaler:Autoscaler"} {
		require.Empty(t, r.OfType(token))
	}
}

// alerts are the expressions of the alerts on metrics by name, and what Loki has of its own.
func alerts(t *testing.T, r *mocks.Recorder) (onMetrics map[string]string, onLogs string) {
	t.Helper()
	onMetrics = map[string]string{}
	for _, object := range r.OfType("kubernetes:monitoring.coreos.com/v1:PrometheusRule") {
		for _, one := range object.Field("spec", "groups", 0, "rules").([]any) {
			if rule := one.(map[string]any); rule["alert"] != nil {
				onMetrics[rule["alert"].(string)] = rule["expr"].(string)
			}
		}
	}
	for _, object := range r.OfType("kubernetes:core/v1:ConfigMap") {
		if object.Name == "m-loki-rules" {
			onLogs = object.Field("data", "rules.yaml").(string)
		}
	}
	return onMetrics, onLogs
}

func TestAlertsAreOfWhatIsThere(t *testing.T) {
	t.Parallel()
	a := args()
	a.Namespace, a.Rules.Disabled = "observability", []string{"LogPanic", "NodeDown"}
	metrics, logs := alerts(t, deploy(t, a))
	require.NotContains(t, metrics, "NodeDown")
	require.Contains(t, metrics["ComponentDown"], `up{job="promtail",namespace="observability-host"}`)
	require.NotContains(t, metrics, "AutoscalerStuck", "there is none")
	require.Contains(t, logs, "alert: LogErrorBurst")
	require.Contains(t, logs, `{namespace="observability",app="loki"}`)
	require.Contains(t, logs, "cluster: dev")
	require.NotContains(t, logs, "alert: LogPanic")

	a.Collector.Kind = collector.Alloy
	a.Scaled = &monitoring.ScaledCluster{Name: pulumi.String("dev"), Region: pulumi.String("ap-northeast-1")}
	a.RoleARNs = map[string]pulumi.StringInput{"cluster-autoscaler": pulumi.String("arn:scale")}
	metrics, _ = alerts(t, deploy(t, a))
	require.Contains(t, metrics["ComponentDown"], `up{job="alloy",namespace="observability-host"}`)
	require.Contains(t, metrics, "AutoscalerStuck")

	a.Loki = nil
	metrics, logs = alerts(t, deploy(t, a))
	require.NotContains(t, metrics["ComponentDown"], "loki")
	require.NotContains(t, metrics, "LokiSlow")
	require.Empty(t, logs)
}

// With an address for Grafana every alert leads to a dashboard that is there.
func TestAlertsLinkToDashboards(t *testing.T) {
	t.Parallel()
	links := func(change func(*monitoring.Args)) []string {
		a := args()
		change(a)
		r := deploy(t, a)
		uids := map[string]bool{}
		for _, one := range r.OfType("kubernetes:core/v1:ConfigMap") {
			if name, own := strings.CutPrefix(one.Name, "m-grafana-dashboard-"); own {
				uids["kansoku-"+name] = true
			}
		}
		var found []string
		for _, object := range r.OfType("kubernetes:monitoring.coreos.com/v1:PrometheusRule") {
			for _, one := range object.Field("spec", "groups", 0, "rules").([]any) {
				annotations, _ := one.(map[string]any)["annotations"].(map[string]any)
				link, ok := annotations["dashboard_url"].(string)
				if !ok {
					continue
				}
				uid, ours := strings.CutPrefix(link, "https://grafana.example.com/d/")
				require.True(t, ours, link)
				require.True(t, uids[uid], "%s is no dashboard", uid)
				found = append(found, link)
			}
		}
		return found
	}
	require.Empty(t, links(func(*monitoring.Args) {}))
	require.Greater(t, len(links(func(a *monitoring.Args) { a.Grafana.Server.RootURL = "https://grafana.example.com/" })), 50)
	require.Empty(t, links(func(a *monitoring.Args) {
		a.Grafana.Server.RootURL, a.NoDashboards = "https://grafana.example.com/", true
	}))
}

// The dashboards are about what there is, come before those that the program brings, and can be left out.
func TestDashboards(t *testing.T) {
	t.Parallel()
	names := func(change func(*monitoring.Args)) []string {
		a := args()
		a.Dashboards = []grafana.Dashboard{{Name: "ours", JSON: `{"title": "Ours"}`}}
		change(a)
		var found []string
		for _, one := range deploy(t, a).OfType("kubernetes:core/v1:ConfigMap") {
			if name, own := strings.CutPrefix(one.Name, "m-grafana-dashboard-"); own {
				found = append(found, name)
			}
		}
		slices.Sort(found)
		return found
	}
	everything := []string{
		"alertmanager", "apiserver", "cluster", "collection", "coredns", "logs", "loki", "namespaces", "nodes", "ours", "overview", "pods",
		"prometheus", "spot", "thanos", "volumes", "workloads",
	}
	require.Equal(t, everything, names(func(*monitoring.Args) {}))
	withoutLogs := slices.DeleteFunc(slices.Clone(everything), func(name string) bool {
		return slices.Contains([]string{"collection", "logs", "loki"}, name)
	})
	require.Equal(t, withoutLogs, names(func(a *monitoring.Args) { a.Loki = nil }))
	require.Equal(t, []string{"ours"}, names(func(a *monitoring.Args) { a.NoDashboards = true }))
}

func TestAlloyInPlaceOfPromtail(t *testing.T) {
	t.Parallel()
	a := args()
	a.Collector.Kind = collector.Alloy
	r := deploy(t, a)
	require.Empty(t, r.OfType("kansoku:promtail:Promtail"))
	require.Len(t, r.OfType("kansoku:alloy:Alloy"), 1)
}

func TestNamespace(t *testing.T) {
	t.Parallel()
	a := args()
	a.Namespace = "observability"
	r := deploy(t, a)
	require.Equal(t, map[string]any{
		"name": "observability",
		"labels": map[string]any{
			"app.kubernetes.io/part-of":          "kansoku",
			"pod-security.kubernetes.io/enforce": "restricted",
			"pod-security.kubernetes.io/warn":    "restricted",
			"pod-security.kubernetes.io/audit":   "restricted",
		},
	}, r.Get(t, "kubernetes:core/v1:Namespace", "m").Field("metadata"))
	require.Equal(t, "observability", r.Get(t, "kubernetes:monitoring.coreos.com/v1:Prometheus", "m-prometheus").Field("metadata", "namespace"))
}

// before is what everything in the stack waits for.
func before(r *mocks.Recorder) []string {
	base := []string{
		root + "$kubernetes:core/v1:Namespace::m", root + "$kubernetes:core/v1:Namespace::m-host",
		root + "$kubernetes:scheduling.k8s.io/v1:PriorityClass::m",
	}
	for _, crd := range r.OfType(crdToken) {
		base = append(base, root+"$kansoku:operator:CRDs$"+crdToken+"::"+crd.Name)
	}
	return base
}

// Every dependency is on a resource, never on a component: that would be complete by chance only.
func TestOrder(t *testing.T) {
	t.Parallel()
	r := deploy(t, args())
	base := before(r)
	require.Len(t, base, 13)
	operated := slices.Concat(base, []string{root + "$kansoku:operator:Operator$kubernetes:apps/v1:Deployment::m-operator"})
	for _, one := range r.All() {
		if one.Parent != root+"::m" || one.Custom {
			continue
		}
		switch one.Name {
		case "m-crds":
			require.Empty(t, one.Depends, "definitions need no namespace")
		case "m-prometheus", "m-alertmanager":
			require.ElementsMatch(t, operated, one.Depends, one.Name)
		default:
			require.ElementsMatch(t, base, one.Depends, one.Name)
		}
	}
}

func TestExistingCRDs(t *testing.T) {
	t.Parallel()
	a := args()
	a.ExistingCRDs = true
	r := deploy(t, a)
	require.Empty(t, r.OfType(crdToken))
	require.Len(t, before(r), 3)
	require.ElementsMatch(t, before(r), r.Get(t, "kansoku:operator:Operator", "m-operator").Depends)
}

func TestCRDProvider(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		usual, err := kubernetes.NewProvider(ctx, "usual", &kubernetes.ProviderArgs{})
		if err != nil {
			return err
		}
		adopting, err := kubernetes.NewProvider(ctx, "adopting", &kubernetes.ProviderArgs{})
		if err != nil {
			return err
		}
		a := args()
		a.CRDProvider = adopting
		_, err = monitoring.New(ctx, "m", a, pulumi.Providers(usual))
		return err
	})
	for _, one := range r.All() {
		if !one.Custom || !strings.HasPrefix(one.Type, "kubernetes:") {
			continue
		}
		want := "::usual::"
		if one.Type == crdToken {
			want = "::adopting::"
		}
		require.Contains(t, one.Provider, want, "%s %s", one.Type, one.Name)
	}
}

func TestRolesReachTheirServiceAccounts(t *testing.T) {
	t.Parallel()
	a := args()
	a.RoleARNs = map[string]pulumi.StringInput{}
	for _, w := range a.Workloads() {
		a.RoleARNs[w.Key] = pulumi.String("arn:" + w.Key)
	}
	a.Scaled = &monitoring.ScaledCluster{Name: pulumi.String("dev"), Region: pulumi.String("ap-northeast-1")}
	r := deploy(t, a)
	require.Len(t, a.Workloads(), 6)
	for _, w := range a.Workloads() {
		found := 0
		for _, account := range r.OfType("kubernetes:core/v1:ServiceAccount") {
			if account.Field("metadata", "name") == w.ServiceAccount.Name && account.Field("metadata", "namespace") == w.ServiceAccount.Namespace {
				found++
				require.Equal(t, "arn:"+w.Key, account.Field("metadata", "annotations", "eks.amazonaws.com/role-arn"))
			}
		}
		require.Equal(t, 1, found, "the account that the role of %s trusts", w.Key)
	}
}

func TestWorkloads(t *testing.T) {
	t.Parallel()
	account := func(name string) kube.ServiceAccount { return kube.ServiceAccount{Namespace: "elsewhere", Name: name} }
	settings := monitoring.Settings{Namespace: "elsewhere", Loki: &loki.Settings{Schema: []loki.Period{
		{From: "2026-01-01", Index: loki.DynamoDB}, {From: "2026-06-01", Index: loki.TSDB},
	}}}
	require.Equal(t, []monitoring.Workload{
		{Key: "prometheus", ServiceAccount: account("prometheus-k8s"), Blocks: objectstore.Write},
		{Key: "thanos-bucket-web", ServiceAccount: account("thanos-bucket-web"), Blocks: objectstore.Read},
		{Key: "thanos-compact", ServiceAccount: account("thanos-compact"), Blocks: objectstore.Manage},
		{Key: "thanos-store", ServiceAccount: account("thanos-store"), Blocks: objectstore.Read},
		{Key: "loki", ServiceAccount: account("loki"), Chunks: objectstore.Manage, Index: true},
		{Key: "cluster-autoscaler", ServiceAccount: account("cluster-autoscaler"), Scales: true},
	}, settings.Workloads())
	settings.Loki.Schema = settings.Loki.Schema[:1]
	require.Equal(t, objectstore.Write, settings.Workloads()[4].Chunks, "nobody deletes chunks of a dynamodb period")
	settings.Loki, settings.NoAutoscaler = nil, true
	require.Len(t, settings.Workloads(), 4)
}

func TestSizes(t *testing.T) {
	t.Parallel()
	small, medium := monitoring.Settings{}.WithDefaults(), monitoring.Settings{Size: "medium", Loki: &loki.Settings{}}.WithDefaults()
	require.Equal(t, "small", small.Size)
	require.Equal(t, 1, small.Alertmanager.Replicas)
	require.Equal(t, prometheus.Settings{}.WithDefaults(), small.Prometheus)
	require.Nil(t, small.Loki, "a size does not switch logs on")
	require.Equal(t, 3, medium.Alertmanager.Replicas)
	require.Equal(t, kube.Resources{CPU: "1", Memory: "5Gi", MemoryLimit: "8Gi"}, medium.Prometheus.Resources)
	require.Equal(t, "100Gi", medium.Prometheus.StorageSize)
	require.Equal(t, 3, medium.Loki.Replicas)

	own := monitoring.Settings{
		Size:       "medium",
		Prometheus: prometheus.Settings{Replicas: 1, Resources: kube.Resources{Memory: "3Gi"}},
		Loki:       &loki.Settings{Replicas: 1},
	}
	got := own.WithDefaults()
	require.Equal(t, kube.Resources{CPU: "1", Memory: "3Gi", MemoryLimit: "3Gi"}, got.Prometheus.Resources, "a limit belongs to its request")
	require.Equal(t, 1, got.Prometheus.Replicas)
	require.Equal(t, 1, got.Loki.Replicas)
	require.Equal(t, "20Gi", got.Loki.StorageSize)
	require.Equal(t, &loki.Settings{Replicas: 1}, own.Loki, "the caller's settings stay as they are")

	for _, size := range []string{"small", "medium", "large"} {
		s := monitoring.Settings{
			Size: size, Loki: &loki.Settings{Schema: []loki.Period{{From: "2026-01-01", Index: loki.TSDB}}},
		}.WithDefaults()
		require.NoError(t, s.Validate(), size)
		require.Equal(t, s, s.WithDefaults(), size)
	}
}

// What the stack asks of its nodes is what its pods ask for.
func TestRequests(t *testing.T) {
	t.Parallel()
	a := args()
	a.Scaled = &monitoring.ScaledCluster{Name: pulumi.String("dev"), Region: pulumi.String("ap-northeast-1")}
	a.RoleARNs = map[string]pulumi.StringInput{"cluster-autoscaler": pulumi.String("arn:scale")}
	r := deploy(t, a)
	pods := 0
	for _, kind := range []string{"apps/v1:Deployment", "apps/v1:StatefulSet", "apps/v1:DaemonSet", "monitoring.coreos.com/v1:Prometheus", "monitoring.coreos.com/v1:Alertmanager"} {
		pods += len(r.OfType("kubernetes:" + kind))
	}
	requests := a.WithDefaults().Requests()
	require.Len(t, requests, pods)
	require.Contains(t, requests, monitoring.Request{Key: "prometheus", Replicas: 2, MilliCPU: 250 + 20 + 10, MemoryMiB: 1024 + 128 + 50})
	require.Contains(t, requests, monitoring.Request{Key: "node-exporter", MilliCPU: 10, MemoryMiB: 32})
	require.True(t, requests[len(requests)-1].OnDemand)
}

func TestCredentialsReachTheirWorkloads(t *testing.T) {
	t.Parallel()
	a := args()
	a.Blocks.Endpoint, a.Chunks.Endpoint, a.Index.Endpoint = "minio.storage.svc:9000", "minio.storage.svc:9000", "dynamodb.storage.svc:8000"
	a.Blocks.CredentialsSecret = "shared"
	a.CredentialsSecrets = map[string]string{"thanos-store": "of-store", "loki": "of-loki", "prometheus": "of-prometheus"}
	r := deploy(t, a)
	secretOf := func(token, name string) (found []any) {
		for _, one := range r.OfType(token) {
			if one.Field("metadata", "name") != name {
				continue
			}
			for _, container := range one.Field("spec", "template", "spec", "containers").([]any) {
				env, _ := container.(map[string]any)["env"].([]any)
				for _, v := range env {
					if v := v.(map[string]any); v["name"] == "AWS_ACCESS_KEY_ID" {
						found = append(found, v["valueFrom"].(map[string]any)["secretKeyRef"].(map[string]any)["name"])
					}
				}
			}
		}
		return found
	}
	const statefulSet = "kubernetes:apps/v1:StatefulSet"
	require.Equal(t, []any{"of-store"}, secretOf(statefulSet, "thanos-store"))
	require.Equal(t, []any{"shared"}, secretOf(statefulSet, "thanos-compact"), "has none of its own")
	require.Equal(t, []any{"of-loki"}, secretOf(statefulSet, "loki"))

	a.Chunks.Endpoint = ""
	a.CredentialsSecrets["autoscaler"] = "A!"
	err := (&mocks.Recorder{}).RunErr(func(ctx *pulumi.Context) error {
		_, err := monitoring.New(ctx, "m", a)
		return err
	})
	require.ErrorContains(t, err, `credentialsSecrets: must be keyed by workload (prometheus, thanos-bucket-web, thanos-compact, thanos-store, loki), got "autoscaler"
credentialsSecrets.autoscaler: must be the name of a Secret, got "A!"`)
	require.ErrorContains(t, err, `credentialsSecrets.loki: must not be set for a bucket on AWS: roles are taken there, got "of-loki"`)
}

func TestRefused(t *testing.T) {
	t.Parallel()
	wrong := &monitoring.Args{
		Settings: monitoring.Settings{
			Namespace:  "Kube",
			Operator:   operator.Settings{Resources: kube.Resources{CPU: "x"}},
			Prometheus: prometheus.Settings{Replicas: -1, Retention: "1h", ScrapeInterval: "90s"},
			Rules:      rules.Settings{Disabled: []string{"NodeDwon"}, MustLog: []rules.Workload{{Namespace: "shop", App: "cart"}}},
		},
		RoleARNs: map[string]pulumi.StringInput{"promtheus": pulumi.String("arn")},
	}
	system := args()
	system.Namespace = "kube-system"
	for name, test := range map[string]struct {
		args *monitoring.Args
		want string
	}{
		"nothing": {nil, `validating m: cluster: must not be empty, got ""
blocks.bucket: is required, got null
blocks.region: is required, got null`},
		"everything": {wrong, `validating m: namespace: must be at most 58 lower-case letters, digits and dashes, got "Kube"
operator.resources.cpu: must be a positive Kubernetes quantity such as "100m" or "256Mi", got "x"
prometheus.replicas: must be between 1 and 10, got -1
prometheus.retention: must be at least three times blockDuration (2h), so that the sidecar has time to upload, got "1h"
rules.disabled[0]: must be the name of an alert; near to it are NodeDown, LokiSlow, NodeDiskSlow, got "NodeDwon"
adapter.window: must be at least four times prometheus.scrapeInterval (90s), so that a missed scrape leaves a rate, got "2m"
prometheus.scrapeInterval: must be at most 1m15s, a quarter of what alerts look back over, so that a missed scrape leaves a rate, got "90s"
rules.mustLog: must not be set without loki: there are no logs, got [{"Namespace":"shop","App":"cart"}]
cluster: must not be empty, got ""
blocks.bucket: is required, got null
blocks.region: is required, got null
roleArns: must be keyed by workload (prometheus, thanos-bucket-web, thanos-compact, thanos-store, cluster-autoscaler), got "promtheus"`},
		"Kubernetes' own": {system, `validating m: namespace: must not be one of Kubernetes' own, got "kube-system"`},
	} {
		r := &mocks.Recorder{}
		err := r.RunErr(func(ctx *pulumi.Context) error {
			_, err := monitoring.New(ctx, "m", test.args)
			return err
		})
		require.ErrorContains(t, err, test.want, name)
		require.Empty(t, r.All(), "nothing is made of wrong arguments")
	}
}
