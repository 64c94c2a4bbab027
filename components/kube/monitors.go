package kube

import (
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NewServiceMonitor has Prometheus scrape the Service with these labels, in the same namespace. The operator's definitions must exist.
func NewServiceMonitor(ctx *pulumi.Context, name, object string, namespace pulumi.StringInput, labels Labels, endpoints []monitoringv1.Endpoint,
	opts ...pulumi.ResourceOption,
) error {
	_, err := NewCustomResource(ctx, name, &CustomResourceArgs{
		APIVersion: monitoringv1.SchemeGroupVersion.String(), Kind: monitoringv1.ServiceMonitorsKind,
		Metadata: labels.Meta(object, namespace),
		Spec: monitoringv1.ServiceMonitorSpec{
			Selector: nativemetav1.LabelSelector{MatchLabels: labels.Selector()}, Endpoints: endpoints,
		},
	}, opts...)
	if err != nil {
		return fmt.Errorf("creating service monitor: %w", err)
	}
	return nil
}
