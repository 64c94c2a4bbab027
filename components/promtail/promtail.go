// Package promtail runs Promtail on every node: it reads the logs of containers, and the journal, and pushes them to Loki. How is described
// by package collector. It owns no Loki.
package promtail

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/collector"
	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/versions"
)

// The type token is part of every child's URN and must never change.
const token = "kansoku:promtail:Promtail"

// HTTPPort serves metrics and probes.
const HTTPPort = 3101

const (
	objectName = "promtail"
	configDir  = "/etc/promtail"
	configFile = "promtail.yaml"
)

// Labels of the pods.
func Labels() kube.Labels {
	return kube.Labels{Name: objectName, Instance: "main", Component: "log-collector", Version: versions.Promtail.Version}
}

// Promtail is a collector of logs.
type Promtail struct {
	pulumi.ResourceState
}

// New deploys Promtail. The operator's custom resource definitions must exist before: pass pulumi.DependsOn on what makes them.
func New(ctx *pulumi.Context, name string, args *collector.Args, opts ...pulumi.ResourceOption) (*Promtail, error) {
	wired, err := collector.Prepare(name, collector.Promtail, args)
	if err != nil {
		return nil, err
	}
	component := &Promtail{}
	if err = ctx.RegisterComponentResource(token, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering %s: %w", name, err)
	}
	err = collector.Deploy(ctx, name, wired, func(pushURL string) (collector.Program, error) {
		config, failed := render(wired, pushURL)
		return collector.Program{
			Labels: Labels(), Image: versions.Promtail.Image(), Args: []string{"-config.file=" + configDir + "/" + configFile},
			Config: string(config), ConfigDir: configDir, ConfigFile: configFile,
			// Ready is who has found logs. For being alive there is no path of its own; of longer pages the kubelet hangs up in the middle, and
			// Promtail complains.
			Port: HTTPPort, Ready: "/ready", Live: "/static/",
		}, failed
	}, pulumi.Parent(component))
	if err != nil {
		return nil, err
	}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{})
}
