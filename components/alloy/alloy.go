// Package alloy runs Grafana Alloy on every node, in place of Promtail: same labels, same constructor, and it reads on where Promtail
// stopped. How is described by package collector. It owns no Loki.
package alloy

import (
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/collector"
	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/versions"
)

// The type token is part of every child's URN and must never change.
const token = "kansoku:alloy:Alloy"

// HTTPPort serves metrics, probes and Alloy's own interface.
const HTTPPort = 12345

const (
	objectName = "alloy"
	configDir  = "/etc/alloy"
	configFile = "config.alloy"
)

// Labels of the pods.
func Labels() kube.Labels {
	return kube.Labels{Name: objectName, Instance: "main", Component: "log-collector", Version: versions.Alloy.Version}
}

// Alloy is a collector of logs.
type Alloy struct {
	pulumi.ResourceState
}

// New deploys Alloy. The operator's custom resource definitions must exist before: pass pulumi.DependsOn on what makes them.
func New(ctx *pulumi.Context, name string, args *collector.Args, opts ...pulumi.ResourceOption) (*Alloy, error) {
	wired, err := collector.Prepare(name, collector.Alloy, args)
	if err != nil {
		return nil, err
	}
	component := &Alloy{}
	if err = ctx.RegisterComponentResource(token, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering %s: %w", name, err)
	}
	err = collector.Deploy(ctx, name, wired, func(pushURL string) (collector.Program, error) {
		return collector.Program{
			Labels: Labels(), Image: versions.Alloy.Image(), Args: flags(),
			Config: render(wired, pushURL), ConfigDir: configDir, ConfigFile: configFile,
			Port: HTTPPort, Ready: "/-/ready", Live: "/-/ready",
		}, nil
	}, pulumi.Parent(component))
	if err != nil {
		return nil, err
	}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{})
}

func flags() []string {
	return []string{
		"run", configDir + "/" + configFile,
		"--storage.path=" + collector.State + "/alloy",
		fmt.Sprintf("--server.http.listen-addr=0.0.0.0:%d", HTTPPort),
		"--server.http.disable-support-bundle",
		"--stability.level=generally-available",
		"--disable-reporting",
	}
}
