package monitoring

import (
	"cmp"
	"reflect"

	"github.com/kansoku/kansoku/components/alertmanager"
	"github.com/kansoku/kansoku/components/exporters/adapter"
	"github.com/kansoku/kansoku/components/exporters/kubestatemetrics"
	"github.com/kansoku/kansoku/components/grafana"
	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/loki"
	"github.com/kansoku/kansoku/components/prometheus"
	"github.com/kansoku/kansoku/components/thanos"
)

// The sizes of a stack, by the load that it is meant for. The lab has measured some of Small's numbers, where it says so; all
// others are estimates from what the projects themselves say.
const (
	// Small: some 10 nodes, 200,000 series, 10 GB of logs a day.
	Small = "small"
	// Medium: some 50 nodes, 1,000,000 series, 50 GB of logs a day.
	Medium = "medium"
	// Large: some 150 nodes, 3,000,000 series, 200 GB of logs a day.
	Large = "large"
)

// profile is what a size says. What it leaves out is the component's own default, at every size.
func profile(size string) Settings {
	memory := func(cpu, request, limit string) kube.Resources {
		return kube.Resources{CPU: cpu, Memory: request, MemoryLimit: limit}
	}
	switch size {
	case Medium:
		return Settings{
			Prometheus: prometheus.Settings{
				StorageSize: "100Gi", Resources: memory("1", "5Gi", "8Gi"), SidecarResources: memory("50m", "256Mi", "1Gi"),
			},
			Alertmanager:     alertmanager.Settings{Replicas: 3},
			KubeStateMetrics: kubestatemetrics.Settings{Resources: memory("50m", "300Mi", "500Mi")},
			Adapter:          adapter.Settings{Resources: memory("200m", "512Mi", "1Gi")},
			Thanos: thanos.Settings{
				Store:         thanos.StoreSettings{Resources: memory("250m", "1Gi", "3Gi")},
				Query:         thanos.QuerySettings{Resources: memory("250m", "512Mi", "2Gi")},
				QueryFrontend: thanos.QueryFrontendSettings{Resources: memory("50m", "512Mi", "1Gi")},
				Compact:       thanos.CompactSettings{VolumeSize: "150Gi", Resources: memory("500m", "1Gi", "4Gi")},
			},
			Grafana: grafana.Settings{Resources: memory("200m", "512Mi", "1Gi")},
			Loki:    &loki.Settings{Replicas: 3, StorageSize: "20Gi", Resources: memory("500m", "2Gi", "4Gi")},
		}
	case Large:
		return Settings{
			Prometheus: prometheus.Settings{
				StorageSize: "300Gi", Resources: memory("2", "14Gi", "20Gi"), SidecarResources: memory("100m", "512Mi", "2Gi"),
			},
			Alertmanager:     alertmanager.Settings{Replicas: 3},
			KubeStateMetrics: kubestatemetrics.Settings{Resources: memory("100m", "1Gi", "1500Mi")},
			Adapter:          adapter.Settings{Resources: memory("500m", "1Gi", "2Gi")},
			Thanos: thanos.Settings{
				Store:         thanos.StoreSettings{Replicas: 2, Resources: memory("500m", "3Gi", "6Gi")},
				Query:         thanos.QuerySettings{Resources: memory("500m", "2Gi", "4Gi")},
				QueryFrontend: thanos.QueryFrontendSettings{Replicas: 2, Resources: memory("100m", "1Gi", "2Gi")},
				Compact:       thanos.CompactSettings{VolumeSize: "400Gi", Resources: memory("1", "2Gi", "8Gi")},
			},
			Grafana: grafana.Settings{Resources: memory("500m", "1Gi", "2Gi")},
			Loki:    &loki.Settings{Replicas: 3, StorageSize: "50Gi", Resources: memory("1", "4Gi", "8Gi")},
		}
	default:
		return Settings{Alertmanager: alertmanager.Settings{Replicas: 1}}
	}
}

// sized fills what is not set from the profile of the settings' size.
func sized(s Settings) Settings {
	from := profile(s.Size)
	if s.Loki == nil {
		from.Loki = nil
	} else {
		own := *s.Loki // the caller's stays as it is
		s.Loki = &own
	}
	from.Prometheus.StorageClass, from.Alertmanager.StorageClass = s.StorageClass, s.StorageClass
	from.Thanos.Store.StorageClass, from.Thanos.Compact.StorageClass = s.StorageClass, s.StorageClass
	if s.Loki != nil {
		s.Loki.StorageClass = cmp.Or(s.Loki.StorageClass, s.StorageClass)
	}
	if s.Existing.Grafana != nil {
		from.Grafana = grafana.Settings{}
	}
	if s.Grafana.StorageSize != "" {
		from.Grafana.StorageClass = s.StorageClass
	}
	fill(reflect.ValueOf(&s).Elem(), reflect.ValueOf(from))
	return s
}

var resources = reflect.TypeFor[kube.Resources]()

// fill sets the zero fields of into from the same fields of from. Resources are one thing: a limit belongs to its request.
func fill(into, from reflect.Value) {
	for i := range into.NumField() {
		field, value := into.Field(i), from.Field(i)
		switch {
		case field.Type() == resources:
			own, given := field.Interface().(kube.Resources), value.Interface().(kube.Resources)
			if given != (kube.Resources{}) {
				field.Set(reflect.ValueOf(own.Or(given)))
			}
		case field.Kind() == reflect.Struct:
			fill(field, value)
		case field.Kind() == reflect.Pointer && !field.IsNil() && !value.IsNil() && field.Elem().Kind() == reflect.Struct:
			fill(field.Elem(), value.Elem())
		case field.IsZero():
			field.Set(value)
		}
	}
}
