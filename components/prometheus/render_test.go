package prometheus

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"
	nativecorev1 "k8s.io/api/core/v1"

	"github.com/kansoku/kansoku/components/kube"
)

func rendered(t *testing.T, change func(*plan)) map[string]any {
	t.Helper()
	p := plan{
		Settings: Settings{}.WithDefaults(), name: "k8s", cluster: "dev", objectStore: "type: S3\n",
		labels: kube.Labels{Name: "prometheus", Instance: "k8s", Component: "prometheus"},
	}
	if change != nil {
		change(&p)
	}
	data, err := json.Marshal(p.spec())
	require.NoError(t, err)
	var spec map[string]any
	require.NoError(t, json.Unmarshal(data, &spec))
	return spec
}

func spreadOver(key, unsatisfiable string) any {
	return map[string]any{
		"maxSkew": 1.0, "topologyKey": key, "whenUnsatisfiable": unsatisfiable,
		"labelSelector": map[string]any{"matchLabels": map[string]any{
			"app.kubernetes.io/name": "prometheus", "app.kubernetes.io/instance": "k8s",
		}},
	}
}

func TestSpecByDefault(t *testing.T) {
	t.Parallel()
	all := map[string]any{}
	require.Equal(t, map[string]any{
		"image": "quay.io/prometheus/prometheus:v3.16.0", "version": "v3.16.0", "replicas": 2.0,
		"podMetadata": map[string]any{
			"labels": map[string]any{
				"app.kubernetes.io/name": "prometheus", "app.kubernetes.io/instance": "k8s",
				"app.kubernetes.io/component": "prometheus", "app.kubernetes.io/part-of": "kansoku",
			},
			// printf 'type: S3\n' | sha256sum
			"annotations": map[string]any{
				"kansoku/objectstore-hash": "c92e0032aeab51def9df64f4aca0b9e4f260be0d1c63ed4ee35bf2e442caa60f",
			},
		},
		"serviceMonitorSelector": all, "serviceMonitorNamespaceSelector": all,
		"podMonitorSelector": all, "podMonitorNamespaceSelector": all,
		"probeSelector": all, "probeNamespaceSelector": all,
		"scrapeConfigSelector": all, "scrapeConfigNamespaceSelector": all,
		"ruleSelector": all, "ruleNamespaceSelector": all,
		"serviceDiscoveryRole": "EndpointSlice",
		"scrapeInterval":       "30s", "evaluationInterval": "30s",
		"externalLabels":           map[string]any{"cluster": "dev"},
		"replicaExternalLabelName": "prometheus_replica",
		"walCompression":           true,
		"retention":                "24h", "retentionSize": "16384MiB",

		"serviceAccountName": "prometheus-k8s", "automountServiceAccountToken": true,
		"terminationGracePeriodSeconds": 90.0,
		"securityContext": map[string]any{
			"runAsNonRoot": true, "runAsUser": 1000.0, "runAsGroup": 2000.0, "fsGroup": 2000.0, "fsGroupChangePolicy": "OnRootMismatch",
			"seccompProfile": map[string]any{"type": "RuntimeDefault"},
		},
		"resources": map[string]any{
			"requests": map[string]any{"cpu": "250m", "memory": "1Gi"}, "limits": map[string]any{"memory": "2Gi"},
		},
		"nodeSelector": map[string]any{"kubernetes.io/os": "linux"},
		"tolerations": []any{
			map[string]any{"key": "spotInstance", "operator": "Equal", "value": "true", "effect": "NoSchedule"},
		},
		"affinity": map[string]any{"nodeAffinity": map[string]any{
			"preferredDuringSchedulingIgnoredDuringExecution": []any{map[string]any{"weight": 100.0, "preference": map[string]any{
				"matchExpressions": []any{map[string]any{"key": "lifecycle", "operator": "In", "values": []any{"Ec2Spot"}}},
			}}},
		}},
		"topologySpreadConstraints": []any{
			spreadOver("topology.kubernetes.io/zone", "ScheduleAnyway"), spreadOver("kubernetes.io/hostname", "ScheduleAnyway"),
		},
		"storage": map[string]any{"volumeClaimTemplate": map[string]any{
			"metadata": map[string]any{}, "status": map[string]any{},
			"spec": map[string]any{
				"storageClassName": "gp3", "accessModes": []any{"ReadWriteOnce"},
				"resources": map[string]any{"requests": map[string]any{"storage": "20Gi"}},
			},
		}},
		"persistentVolumeClaimRetentionPolicy": map[string]any{"whenDeleted": "Retain", "whenScaled": "Retain"},
		"thanos": map[string]any{
			"image": "quay.io/thanos/thanos:v0.42.4", "version": "v0.42.4", "blockSize": "2h",
			"objectStorageConfig": map[string]any{"name": "prometheus-k8s-objectstore", "key": "thanos.yaml"},
			"additionalArgs":      []any{map[string]any{"name": "enable-auto-gomemlimit"}},
			"resources": map[string]any{
				"requests": map[string]any{"cpu": "20m", "memory": "128Mi"}, "limits": map[string]any{"memory": "512Mi"},
			},
		},
		// What the API types always write.
		"arbitraryFSAccessThroughSMs": map[string]any{}, "rules": map[string]any{"alert": map[string]any{}},
	}, rendered(t, nil))
}

func TestSpecFollowsSettings(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*plan)
		want   map[string]any
	}{
		{"replicas", func(p *plan) { p.Replicas = 1 }, map[string]any{"replicas": 1.0}},
		{"times", func(p *plan) { p.Retention, p.ScrapeInterval = "7d", "15s" }, map[string]any{
			"retention": "7d", "scrapeInterval": "15s", "evaluationInterval": "15s",
		}},
		{"volume", func(p *plan) { p.StorageSize, p.StorageClass = "10Gi", "io2" }, map[string]any{
			"retentionSize": "8192MiB",
			"storage": map[string]any{"volumeClaimTemplate": map[string]any{
				"metadata": map[string]any{}, "status": map[string]any{},
				"spec": map[string]any{
					"storageClassName": "io2", "accessModes": []any{"ReadWriteOnce"},
					"resources": map[string]any{"requests": map[string]any{"storage": "10Gi"}},
				},
			}},
		}},
		{"namespaces of others", func(p *plan) { p.IgnoreNamespaces = []string{"old"} }, func() map[string]any {
			all := map[string]any{}
			for _, kind := range []string{"serviceMonitor", "podMonitor", "probe", "scrapeConfig", "rule"} {
				all[kind+"NamespaceSelector"] = map[string]any{"matchExpressions": []any{map[string]any{
					"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": []any{"old"},
				}}}
			}
			return all
		}()},
		{"cluster", func(p *plan) { p.cluster = "prod" }, map[string]any{"externalLabels": map[string]any{"cluster": "prod"}}},
		{
			"name and sidecar",
			func(p *plan) {
				p.name, p.BlockDuration, p.SidecarResources = "other", "5m", kube.Resources{CPU: "1", Memory: "1Gi", MemoryLimit: "1Gi"}
			},
			map[string]any{
				"serviceAccountName": "prometheus-other",
				"thanos": map[string]any{
					"image": "quay.io/thanos/thanos:v0.42.4", "version": "v0.42.4", "blockSize": "5m",
					"objectStorageConfig": map[string]any{"name": "prometheus-other-objectstore", "key": "thanos.yaml"},
					"additionalArgs":      []any{map[string]any{"name": "enable-auto-gomemlimit"}},
					"resources": map[string]any{
						"requests": map[string]any{"cpu": "1", "memory": "1Gi"}, "limits": map[string]any{"memory": "1Gi"},
					},
				},
			},
		},
		{"resources", func(p *plan) { p.Resources = kube.Resources{CPU: "2", Memory: "4Gi", CPULimit: "3"} }, map[string]any{
			"resources": map[string]any{
				"requests": map[string]any{"cpu": "2", "memory": "4Gi"}, "limits": map[string]any{"cpu": "3", "memory": "4Gi"},
			},
		}},
		{"zones", func(p *plan) { p.RequireZones = true }, map[string]any{
			"topologySpreadConstraints": []any{
				spreadOver("topology.kubernetes.io/zone", "DoNotSchedule"), spreadOver("kubernetes.io/hostname", "ScheduleAnyway"),
			},
		}},
		{"priority", func(p *plan) { p.priorityClass = "high" }, map[string]any{"priorityClassName": "high"}},
		{"alerting", func(p *plan) { p.alerting = alerting("alertmanager-main", "web", "alerts") }, map[string]any{
			"alerting": map[string]any{"alertmanagers": []any{
				map[string]any{"apiVersion": "V2", "name": "alertmanager-main", "namespace": "alerts", "port": "web"},
			}},
		}},
		{
			"credentials",
			func(p *plan) { p.credentials = []nativecorev1.EnvVar{{Name: "AWS_ACCESS_KEY_ID", Value: "x"}} },
			map[string]any{"containers": []any{map[string]any{
				"name": "thanos-sidecar", "resources": map[string]any{}, "env": []any{map[string]any{"name": "AWS_ACCESS_KEY_ID", "value": "x"}},
			}}},
		},
	} {
		want := rendered(t, nil)
		maps.Copy(want, test.want)
		require.Equal(t, want, rendered(t, test.change), "%s: and nothing else", test.name)
	}
}

func TestChangedObjectStoreRollsThePods(t *testing.T) {
	t.Parallel()
	changed := rendered(t, func(p *plan) { p.objectStore = "type: GCS\n" })
	require.NotEqual(t, rendered(t, nil)["podMetadata"], changed["podMetadata"])
}

func TestRetentionSize(t *testing.T) {
	t.Parallel()
	for storage, want := range map[string]string{
		"1Gi": "819MiB", "20Gi": "16384MiB", "1Ti": "838860MiB", "50G": "38146MiB", "7E": "5340576171875MiB",
	} {
		require.Equal(t, want, string(retentionSize(storage)), storage)
	}
}
