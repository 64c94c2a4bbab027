package prometheus_test

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/components/prometheus"
	"github.com/kansoku/kansoku/internal/mocks"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	got := prometheus.Settings{}.WithDefaults()
	require.Equal(t, prometheus.Settings{
		Replicas: 2, Retention: "24h", StorageSize: "20Gi", StorageClass: "gp3", ScrapeInterval: "30s", BlockDuration: "2h",
		Resources:        kube.Resources{CPU: "250m", Memory: "1Gi", MemoryLimit: "2Gi"},
		SidecarResources: kube.Resources{CPU: "20m", Memory: "128Mi", MemoryLimit: "512Mi"},
	}, got)
	require.Equal(t, got, got.WithDefaults(), "twice is once")
	require.NoError(t, got.Validate())

	given := prometheus.Settings{
		Replicas: 3, Retention: "7d", StorageSize: "1Gi", StorageClass: "fast.ebs", ScrapeInterval: "1m", BlockDuration: "5m",
		Resources:        kube.Resources{CPU: "1", Memory: "4Gi", MemoryLimit: "5Gi"},
		SidecarResources: kube.Resources{CPU: "1", Memory: "1Gi", MemoryLimit: "1Gi"}, RequireZones: true,
	}
	require.Equal(t, given, given.WithDefaults(), "what is given stays")
	require.NoError(t, given.Validate())
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		settings prometheus.Settings
		want     string // empty: valid
	}{
		{"no replica", prometheus.Settings{Replicas: -1}, "replicas: must be between 1 and 10, got -1"},
		{"too many replicas", prometheus.Settings{Replicas: 11}, "replicas: must be between 1 and 10, got 11"},
		{"one replica", prometheus.Settings{Replicas: 1}, ""},
		{
			"storage that is none",
			prometheus.Settings{StorageSize: "20 GB"},
			`storageSize: must be a Kubernetes quantity of at least 1Gi, such as "20Gi", got "20 GB"`,
		},
		{
			"storage too small",
			prometheus.Settings{StorageSize: "1023Mi"},
			`storageSize: must be a Kubernetes quantity of at least 1Gi, such as "20Gi", got "1023Mi"`,
		},
		{
			"storage class",
			prometheus.Settings{StorageClass: "GP3"},
			`storageClass: must name a storage class: lower-case letters, digits, dashes and dots, got "GP3"`,
		},
		{
			"durations that are none",
			prometheus.Settings{ScrapeInterval: "30", Retention: "1 day", BlockDuration: "2H"},
			`scrapeInterval: must be a Prometheus duration such as "30s", "2h" or "15d", got "30"
retention: must be a Prometheus duration such as "30s", "2h" or "15d", got "1 day"
blockDuration: must be a Prometheus duration such as "30s", "2h" or "15d", got "2H"`,
		},
		{"scraping too often", prometheus.Settings{ScrapeInterval: "999ms"}, `scrapeInterval: must be between 1s and 2m, got "999ms"`},
		{"scraping too seldom", prometheus.Settings{ScrapeInterval: "2m1s"}, `scrapeInterval: must be between 1s and 2m, got "2m1s"`},
		{
			"no block",
			prometheus.Settings{BlockDuration: "0"},
			`blockDuration: must be between 1m and 2h, and 2h must be a multiple of it, got "0"`,
		},
		{
			"block too long",
			prometheus.Settings{BlockDuration: "4h"},
			`blockDuration: must be between 1m and 2h, and 2h must be a multiple of it, got "4h"`,
		},
		{
			"block across windows",
			prometheus.Settings{BlockDuration: "7m"},
			`blockDuration: must be between 1m and 2h, and 2h must be a multiple of it, got "7m"`,
		},
		{
			"no time to upload",
			prometheus.Settings{Retention: "5h59m"},
			`retention: must be at least three times blockDuration (2h), so that the sidecar has time to upload, got "5h59m"`,
		},
		{"just time to upload", prometheus.Settings{Retention: "6h"}, ""},
		{"short blocks", prometheus.Settings{Retention: "3m", BlockDuration: "1m"}, ""},
		{
			"resources",
			prometheus.Settings{Resources: kube.Resources{CPU: "x"}, SidecarResources: kube.Resources{Memory: "y"}},
			`resources.cpu: must be a positive Kubernetes quantity such as "100m" or "256Mi", got "x"
sidecarResources.memory: must be a positive Kubernetes quantity such as "100m" or "256Mi", got "y"
sidecarResources.memoryLimit: must be a positive Kubernetes quantity such as "100m" or "256Mi", got "y"`,
		},
	} {
		err := test.settings.WithDefaults().Validate()
		if test.want == "" {
			require.NoError(t, err, test.name)
			continue
		}
		require.EqualError(t, err, test.want, test.name)
	}
}

func TestValidateWithoutDefaults(t *testing.T) {
	t.Parallel()
	require.Error(t, prometheus.Settings{}.Validate(), "and no panic")
}

// Nothing panics, and what is valid can be rendered and deployed.
func FuzzSettings(f *testing.F) {
	f.Add(2, "24h", "20Gi", "gp3", "30s", "2h", "1", "1Gi")
	f.Add(0, "", "", "", "", "", "", "")
	f.Add(-1, "0", "9E", "a.b", "1s", "1m", "1n", "1e18")
	f.Fuzz(func(t *testing.T, replicas int, retention, size, class, interval, block, cpu, memory string) {
		s := prometheus.Settings{
			Replicas: replicas, Retention: retention, StorageSize: size, StorageClass: class, ScrapeInterval: interval, BlockDuration: block,
			Resources: kube.Resources{CPU: cpu, Memory: memory},
		}
		if s.Validate() != nil && s.WithDefaults().Validate() != nil {
			return
		}
		r := &mocks.Recorder{}
		r.Run(t, func(ctx *pulumi.Context) error {
			_, err := prometheus.New(ctx, "p", &prometheus.Args{
				Settings: s, Namespace: pulumi.String("ns"), Cluster: "c",
				Blocks: objectstore.Location{Bucket: pulumi.String("b"), Region: pulumi.String("r")},
			})
			return err
		})
	})
}

func TestArgsRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		args *prometheus.Args
		want string
	}{
		"nothing": {nil, `validating p: namespace: is required, got null
cluster: must not be empty, got ""
blocks.bucket: is required, got null
blocks.region: is required, got null`},
		"an Alertmanager that is none": {
			&prometheus.Args{
				Namespace: pulumi.String("ns"), Cluster: "c", Alertmanager: &prometheus.AlertmanagerEndpoint{},
				Blocks: objectstore.Location{Bucket: pulumi.String("b"), Region: pulumi.String("r")},
			},
			`validating p: alertmanager.name: must not be empty, got ""
alertmanager.port: must not be empty, got ""
alertmanager.namespace: is required, got null`,
		},
		"everything": {
			&prometheus.Args{
				Settings: prometheus.Settings{Replicas: -1}, Name: strings.Repeat("a", 38), Namespace: pulumi.String("ns"), Cluster: "c",
				Blocks: objectstore.Location{Bucket: pulumi.String("b"), Region: pulumi.String("r")},
			},
			`validating p: replicas: must be between 1 and 10, got -1
name: must be at most 37 lower-case letters, digits and dashes, got "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"`,
		},
	} {
		r := &mocks.Recorder{}
		err := r.RunErr(func(ctx *pulumi.Context) error {
			_, err := prometheus.New(ctx, "p", test.args)
			return err
		})
		require.ErrorContains(t, err, test.want, name)
		require.Empty(t, r.All(), "nothing is made of wrong arguments")
	}
}
