package grafana

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/internal/check"
)

const provisioningToken = "kansoku:grafana:Provisioning"

// ExistingSettings say where somebody else's Grafana is, and how it finds what is provisioned: by ConfigMaps with a label, which a sidecar
// of its pod (k8s-sidecar, as Grafana's own Helm chart and kube-prometheus-stack have it) writes to files.
type ExistingSettings struct {
	// Namespace of its pods, and of the ConfigMaps. Required; it must exist.
	Namespace string `pulumi:"namespace"`
	// PodLabels find its pods, which are let in to Thanos, Loki and Alertmanager. Default: app.kubernetes.io/name: grafana.
	PodLabels map[string]string `pulumi:"podLabels,optional"`
	// DatasourceLabel is the label, with the value "1", of a ConfigMap with data sources. Default: grafana_datasource.
	DatasourceLabel string `pulumi:"datasourceLabel,optional"`
	// DashboardLabel is the label, with the value "1", of a ConfigMap with a dashboard. Default: grafana_dashboard.
	DashboardLabel string `pulumi:"dashboardLabel,optional"`
	// FolderAnnotation names a dashboard's folder, where the sidecar is told of it (its FOLDER_ANNOTATION). Default: grafana_folder.
	FolderAnnotation string `pulumi:"folderAnnotation,optional"`
}

// WithDefaults fills what is not set.
func (s ExistingSettings) WithDefaults() ExistingSettings {
	if len(s.PodLabels) == 0 {
		s.PodLabels = map[string]string{"app.kubernetes.io/name": object}
	}
	s.DatasourceLabel = cmp.Or(s.DatasourceLabel, "grafana_datasource")
	s.DashboardLabel = cmp.Or(s.DashboardLabel, "grafana_dashboard")
	s.FolderAnnotation = cmp.Or(s.FolderAnnotation, "grafana_folder")
	return s
}

// Validate checks the settings, defaults filled in.
func (s ExistingSettings) Validate() error {
	var errs check.Errors
	errs.Require(kube.IsDNSLabel(s.Namespace), "namespace", s.Namespace, "must be the name of a namespace")
	for _, key := range slices.Sorted(maps.Keys(s.PodLabels)) {
		errs.Require(isLabel(key), "podLabels", key, "must be a label's name")
		errs.Require(len(validation.IsValidLabelValue(s.PodLabels[key])) == 0, "podLabels."+key, s.PodLabels[key], "must be a label's value")
	}
	for _, one := range []struct{ key, name string }{
		{"datasourceLabel", s.DatasourceLabel}, {"dashboardLabel", s.DashboardLabel}, {"folderAnnotation", s.FolderAnnotation},
	} {
		errs.Require(isLabel(one.name), one.key, one.name, `must be the name of a label or annotation, such as "grafana_dashboard"`)
	}
	return errs.Err()
}

func isLabel(name string) bool { return len(validation.IsQualifiedName(name)) == 0 }

// ProvisioningArgs are the settings, and what Grafana is to read and to show.
type ProvisioningArgs struct {
	ExistingSettings
	// ThanosURL is where metrics are read: a Thanos query frontend or query. Default: no such data source.
	ThanosURL pulumi.StringInput `pulumi:"thanosUrl,optional"`
	// LokiURL is where logs are read. Default: no such data source.
	LokiURL pulumi.StringInput `pulumi:"lokiUrl,optional"`
	// AlertmanagerURL is where alerts and silences are. Default: no such data source.
	AlertmanagerURL pulumi.StringInput `pulumi:"alertmanagerUrl,optional"`
	// ScrapeInterval of the metrics, as a Prometheus duration: no graph has finer steps. Default: 30s.
	ScrapeInterval string `pulumi:"scrapeInterval,optional"`
	// Dashboards to show. They read Metrics(true) and Logs(true). Default: none.
	Dashboards []Dashboard `pulumi:"dashboards,optional"`
}

// Provisioning is what a Grafana of somebody else's shows of the stack.
type Provisioning struct {
	pulumi.ResourceState
}

// NewProvisioning offers data sources and dashboards to a Grafana that is there already, and changes nothing of it. The data sources are
// called otherwise than in our own Grafana, "kansoku-thanos" and "Kansoku Thanos", and none is the default one.
func NewProvisioning(ctx *pulumi.Context, name string, args *ProvisioningArgs, opts ...pulumi.ResourceOption) (*Provisioning, error) {
	if args == nil {
		args = &ProvisioningArgs{}
	}
	wired := *args
	wired.ExistingSettings = wired.WithDefaults()
	wired.ScrapeInterval = cmp.Or(wired.ScrapeInterval, defaultInterval)
	if err := errors.Join(wired.Validate(), wired.validate()); err != nil {
		return nil, fmt.Errorf("validating %s: %w", name, err)
	}
	component := &Provisioning{}
	if err := ctx.RegisterComponentResource(provisioningToken, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering %s: %w", name, err)
	}
	configMap := func(suffix, label, folder string, data pulumi.StringMap) error {
		labels := kube.Labels{Name: object, Instance: kube.PartOf, Component: "provisioning"}
		meta := labels.Meta(foreignPrefix+suffix, pulumi.String(wired.Namespace))
		all := pulumi.StringMap{label: pulumi.String("1")}
		for key, value := range labels.All() {
			all[key] = pulumi.String(value)
		}
		meta.Labels = all
		if folder != "" {
			meta.Annotations = pulumi.StringMap{wired.FolderAnnotation: pulumi.String(folder)}
		}
		_, err := corev1.NewConfigMap(ctx, name+"-"+suffix, &corev1.ConfigMapArgs{Metadata: meta, Data: data}, pulumi.Parent(component))
		if err != nil {
			return fmt.Errorf("creating ConfigMap %s: %w", suffix, err)
		}
		return nil
	}
	read := provisionSources(wired.ThanosURL, wired.LokiURL, wired.AlertmanagerURL, sources{scrapeInterval: wired.ScrapeInterval, foreign: true})
	// The sidecar writes all files of a kind into one directory, whoever they are from.
	if err := configMap("datasources", wired.DatasourceLabel, "", pulumi.StringMap{foreignPrefix + dataSourcesKey: read}); err != nil {
		return nil, err
	}
	for _, d := range wired.Dashboards {
		text, err := d.compact()
		if err != nil {
			return nil, fmt.Errorf("compacting dashboard %s: %w", d.Name, err)
		}
		data := pulumi.StringMap{foreignPrefix + d.file(): pulumi.String(text)}
		if err := configMap(d.suffix(), wired.DashboardLabel, d.Folder, data); err != nil {
			return nil, err
		}
	}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{})
}

// validate checks what is wired; the settings check themselves.
func (a ProvisioningArgs) validate() error {
	var errs check.Errors
	requireInterval(&errs, a.ScrapeInterval)
	requireDashboards(&errs, a.Dashboards)
	return errs.Err()
}
