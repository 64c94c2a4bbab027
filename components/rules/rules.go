// Package rules has the alerts and recording rules of the stack and of the cluster that it watches: PrometheusRule objects for Prometheus,
// rule groups for Loki's ruler, and which alert keeps which others quiet. It owns no Prometheus, no Loki and no Alertmanager.
//
// It leaves out what cannot be right on EKS, where AWS runs scheduler, controller manager and etcd, and renews the control plane's
// certificates. docs/alerts.md lists all alerts, and those of others that have none here, with the reason.
package rules

import (
	"errors"
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/kube"
)

// The type token is part of every child's URN and must never change.
const token = "kansoku:rules:Rules"

// Rules are the alerts and recording rules that Prometheus evaluates.
type Rules struct {
	pulumi.ResourceState
}

// New creates one PrometheusRule for each subject. The operator's definitions must exist before: pass pulumi.DependsOn on
// CRDs.Definitions. The alerts on logs are not among them: Loki takes those that Logs gives.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Rules, error) {
	if args == nil {
		args = &Args{}
	}
	wired := args.withDefaults()
	if err := errors.Join(wired.Validate(), wired.validate()); err != nil {
		return nil, fmt.Errorf("validating %s: %w", name, err)
	}
	component := &Rules{}
	if err := ctx.RegisterComponentResource(token, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering %s: %w", name, err)
	}
	for i, one := range wired.render("", "") {
		// The names of the namespaces may be known later; which objects there are is known now.
		spec := pulumi.All(wired.Namespace, wired.HostNamespace).ApplyT(func(known []any) monitoringv1.PrometheusRuleSpec {
			groups := wired.render(known[0].(string), known[1].(string))
			return monitoringv1.PrometheusRuleSpec{Groups: groups[i : i+1]}
		})
		labels := kube.Labels{Name: "rules", Instance: one.Name, Component: "alerts"}
		_, err := kube.NewCustomResource(ctx, name+"-"+one.Name, &kube.CustomResourceArgs{
			APIVersion: monitoringv1.SchemeGroupVersion.String(), Kind: monitoringv1.PrometheusRuleKind,
			Metadata: labels.Meta(kube.PartOf+"-"+one.Name, wired.Namespace), Spec: spec,
		}, pulumi.Parent(component))
		if err != nil {
			return nil, fmt.Errorf("creating rules %s: %w", one.Name, err)
		}
	}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{})
}
