// Package stack is what a team adds to a Kansoku that runs: what is scraped of its program, an alert and a dashboard.
package stack

import (
	"encoding/json"

	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	kubernetes "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kansoku/kansoku/components/grafana"
	"github.com/kansoku/kansoku/components/kube"
)

const (
	namespace  = "shop"       // the team's
	monitoring = "monitoring" // Kansoku's
	program    = "checkout"

	errorRate = `sum by (namespace) (rate(http_requests_total{namespace="shop", code=~"5.."}[5m]))
  / sum by (namespace) (rate(http_requests_total{namespace="shop"}[5m]))`
)

// Deploy is the program.
func Deploy(ctx *pulumi.Context) error {
	kubecontext := pulumi.String(config.New(ctx, "").Require("context"))
	cluster, err := kubernetes.NewProvider(ctx, "cluster", &kubernetes.ProviderArgs{
		Context: kubecontext, ClusterIdentifier: kubecontext,
		EnableConfigMapMutable: pulumi.Bool(true), // else a changed dashboard would be gone for a moment
	})
	if err != nil {
		return err
	}
	_, err = kube.NewCustomResource(ctx, program, &kube.CustomResourceArgs{
		APIVersion: monitoringv1.SchemeGroupVersion.String(), Kind: monitoringv1.ServiceMonitorsKind, Metadata: named(program, namespace),
		Spec: monitoringv1.ServiceMonitorSpec{
			Selector:  nativemetav1.LabelSelector{MatchLabels: map[string]string{"app": program}}, // of the Service
			Endpoints: []monitoringv1.Endpoint{{Port: "metrics"}},
		},
	}, pulumi.Provider(cluster))
	if err != nil {
		return err
	}
	_, err = kube.NewCustomResource(ctx, program, &kube.CustomResourceArgs{
		APIVersion: monitoringv1.SchemeGroupVersion.String(), Kind: monitoringv1.PrometheusRuleKind, Metadata: named(program, namespace),
		Spec: alerts(),
	}, pulumi.Provider(cluster))
	if err != nil {
		return err
	}
	board, err := overview()
	if err != nil {
		return err
	}
	// The name that Kansoku's Grafana has been told: grafana.Settings.DashboardConfigMaps.
	_, err = corev1.NewConfigMap(ctx, "dashboards", &corev1.ConfigMapArgs{
		Metadata: named("dashboards-shop", monitoring), Data: pulumi.StringMap{"checkout.json": pulumi.String(board)},
	}, pulumi.Provider(cluster))
	return err
}

func named(name, in string) *metav1.ObjectMetaArgs {
	return &metav1.ObjectMetaArgs{Name: pulumi.String(name), Namespace: pulumi.String(in)}
}

// alerts have what Kansoku's own have: a severity (page, ticket or info), the label by which they are routed, and words.
func alerts() monitoringv1.PrometheusRuleSpec {
	wait := monitoringv1.Duration("10m")
	return monitoringv1.PrometheusRuleSpec{Groups: []monitoringv1.RuleGroup{{Name: program, Rules: []monitoringv1.Rule{{
		Alert: "CheckoutFails", Expr: intstr.FromString(errorRate + " > 0.05"), For: &wait,
		Labels: map[string]string{"severity": "page"},
		Annotations: map[string]string{
			"summary":       "The checkout answers with errors.",
			"description":   `{{ $value | humanizePercentage }} of the requests fail.`,
			"runbook_url":   "https://wiki.example.org/checkout",
			"dashboard_url": "https://grafana.example.org/d/shop-checkout",
		},
	}}}}}
}

// overview is the JSON of a dashboard.
func overview() ([]byte, error) {
	kind, uid := "prometheus", grafana.ThanosUID
	source := common.DataSourceRef{Type: &kind, Uid: &uid}
	board, err := dashboard.NewDashboardBuilder("Checkout").Uid("shop-checkout").Time("now-6h", "now").
		WithPanel(timeseries.NewPanelBuilder().Title("Requests that fail").Unit("percentunit").Datasource(source).
			WithTarget(prometheus.NewDataqueryBuilder().RefId("A").Expr(errorRate).Datasource(source))).
		Build()
	if err != nil {
		return nil, err
	}
	return json.Marshal(board)
}
