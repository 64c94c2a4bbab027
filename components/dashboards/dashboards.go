// Package dashboards has Grafana's dashboards of the stack and of the cluster that it watches, as data: a pure function gives the JSON, for
// grafana.Args.Dashboards. It owns no Grafana.
//
// A dashboard is a list of panels, and docs/dashboards lists them all. Every rate is over $__rate_interval, which Grafana makes four scrape
// intervals or more: Thanos' de-duplication leaves shorter ranges empty where it changes from one Prometheus replica to the other.
package dashboards

import (
	"cmp"
	"fmt"

	"github.com/kansoku/kansoku/components/collector"
	"github.com/kansoku/kansoku/components/grafana"
	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/internal/check"
)

// Folder that the dashboards are in.
const Folder = "Kansoku"

// Options say what is deployed: what is not there has no panel, no dashboard, and no link to one.
type Options struct {
	// Namespace of the stack. Default: monitoring.
	Namespace string
	// HostNamespace of what reads its host: node exporter and collector. Default: the namespace's name with "-host".
	HostNamespace string
	// Collector of logs, one of components/collector's kinds: promtail or alloy. Default: there are no logs.
	Collector string
	// DynamoDB says that the index of the logs is, or was, in DynamoDB. Default: false.
	DynamoDB bool
	// Autoscaler says that cluster-autoscaler is part of the stack. Default: false.
	Autoscaler bool
	// NoRecords says that there are no recording rules: panels compute over long times what would be recorded. Default: false.
	NoRecords bool
	// ForeignGrafana says that they are for a Grafana of somebody else's, where the data sources are called otherwise. Default: false.
	ForeignGrafana bool
	// Prices for the estimate of what the stack costs. Default: those of Tokyo.
	Prices Prices
}

// WithDefaults fills what is not set.
func (o Options) WithDefaults() Options {
	o.Namespace = cmp.Or(o.Namespace, "monitoring")
	o.HostNamespace = cmp.Or(o.HostNamespace, o.Namespace+"-host")
	if o.Prices == (Prices{}) {
		o.Prices = Tokyo()
	}
	return o
}

// Validate checks the options, defaults filled in.
func (o Options) Validate() error {
	var errs check.Errors
	errs.Require(kube.IsDNSLabel(o.Namespace), "namespace", o.Namespace, "must be at most 63 lower-case letters, digits and dashes")
	errs.Require(kube.IsDNSLabel(o.HostNamespace), "hostNamespace", o.HostNamespace, "must be at most 63 lower-case letters, digits and dashes")
	if o.logs() {
		check.OneOf(&errs, "collector", o.Collector, collector.Promtail, collector.Alloy)
	}
	errs.Require(!o.DynamoDB || o.Collector != "", "dynamoDB", o.DynamoDB, "must not be set without a collector: there are no logs")
	errs.Under("prices", o.Prices.validate())
	return errs.Err()
}

// logs says whether there are any.
func (o Options) logs() bool { return o.Collector != "" }

// boards are the dashboards of what is deployed, in the order in which they are read.
func boards(o Options) []board {
	all := []board{
		o.overview(), o.cluster(), o.nodes(), o.namespaces(), o.workloads(), o.pods(), o.volumes(), o.apiServer(), o.coreDNS(), o.spot(),
		o.prometheus(), o.thanos(), o.alertmanager(),
	}
	if o.logs() {
		all = append(all, o.loki(), o.collection(), o.explorer())
	}
	if o.ForeignGrafana {
		for _, b := range all {
			foreignSources(b.variables)
		}
	}
	return all
}

// All gives the dashboards of what is deployed. The uids ("kansoku-overview") and the names never change; the JSON is the same for the same
// options.
func All(o Options) ([]grafana.Dashboard, error) {
	o = o.WithDefaults()
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("validating dashboards: %w", err)
	}
	var all []grafana.Dashboard
	for _, b := range boards(o) {
		text, err := b.render()
		if err != nil {
			return nil, fmt.Errorf("rendering dashboard %s: %w", b.name, err)
		}
		all = append(all, grafana.Dashboard{Name: b.name, Folder: Folder, JSON: string(text)})
	}
	return all, nil
}
