package alertmanager

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/kansoku/kansoku/components/kube"
)

const (
	slackURL    = "https://hooks.slack.example/services/T0/B0/abc"
	webhookURL  = "https://oncall.example.org/hook?token=abc"
	watchdogURL = "https://ping.example.org/abc"
)

func planned(change func(*plan)) plan {
	p := plan{Settings: Settings{}.WithDefaults()}
	if change != nil {
		change(&p)
	}
	return p
}

func everything(p *plan) {
	p.Slack.Channel, p.slackURL, p.webhookURL, p.watchdogURL = "#alerts", slackURL, webhookURL, watchdogURL
	p.RepeatInterval, p.CriticalRepeatInterval = "1d", "1h"
}

func TestConfigGolden(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*plan){
		"no-receiver":   nil,
		"everything":    everything,
		"slack":         func(p *plan) { p.Slack.Channel, p.slackURL = "#alerts", slackURL },
		"webhook":       func(p *plan) { p.webhookURL = webhookURL },
		"watchdog-only": func(p *plan) { p.watchdogURL = watchdogURL },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := planned(change).render()
			require.NoError(t, err)
			file := filepath.Join("testdata", name+".yaml")
			if os.Getenv("UPDATE_GOLDEN") != "" {
				require.NoError(t, os.WriteFile(file, []byte(got), 0o600))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), got)
		})
	}
}

func parsed(t *testing.T, change func(*plan)) map[string]any {
	t.Helper()
	text, err := planned(change).render()
	require.NoError(t, err)
	read := map[string]any{}
	require.NoError(t, yaml.Unmarshal([]byte(text), &read))
	return read
}

func TestRouting(t *testing.T) {
	t.Parallel()
	assert.Equal(t, map[string]any{
		"receiver": "default", "group_by": []any{"namespace", "alertname"},
		"group_wait": "30s", "group_interval": "5m", "repeat_interval": "1d",
		"routes": []any{
			map[string]any{
				"receiver": "watchdog", "matchers": []any{`alertname="Watchdog"`},
				"group_wait": "0s", "group_interval": "1m", "repeat_interval": "50s",
			},
			map[string]any{"receiver": "null", "matchers": []any{`alertname="InfoInhibitor"`}},
			map[string]any{
				"receiver": "default", "matchers": []any{`severity="critical"`}, "group_wait": "10s", "repeat_interval": "1h",
			},
		},
	}, parsed(t, everything)["route"])
}

func TestReceivers(t *testing.T) {
	t.Parallel()
	silent := map[string]any{"name": "null"}
	webhook := map[string]any{"url": webhookURL, "send_resolved": true}
	slack := map[string]any{"api_url": slackURL, "channel": "#alerts", "send_resolved": true, "text": slackText}
	watchdog := map[string]any{
		"name": "watchdog", "webhook_configs": []any{map[string]any{"url": watchdogURL, "send_resolved": false}},
	}
	for name, test := range map[string]struct {
		change func(*plan)
		want   []any
	}{
		"none": {nil, []any{silent}},
		"all": {everything, []any{
			silent, map[string]any{"name": "default", "slack_configs": []any{slack}, "webhook_configs": []any{webhook}}, watchdog,
		}},
		"slack": {func(p *plan) { p.Slack.Channel, p.slackURL = "#alerts", slackURL }, []any{
			silent, map[string]any{"name": "default", "slack_configs": []any{slack}},
		}},
		"webhook": {func(p *plan) { p.webhookURL = webhookURL }, []any{
			silent, map[string]any{"name": "default", "webhook_configs": []any{webhook}},
		}},
		"watchdog": {func(p *plan) { p.watchdogURL = watchdogURL }, []any{silent, watchdog}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			read := parsed(t, test.change)
			assert.Equal(t, test.want, read["receivers"])
			known := map[string]bool{}
			for _, one := range read["receivers"].([]any) {
				known[one.(map[string]any)["name"].(string)] = true
			}
			root := read["route"].(map[string]any)
			for _, route := range append([]any{root}, root["routes"].([]any)...) {
				assert.True(t, known[route.(map[string]any)["receiver"].(string)], "every route has its receiver")
			}
		})
	}
}

func TestInhibitions(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []any{
		map[string]any{
			"source_matchers": []any{`severity="critical"`}, "target_matchers": []any{`severity=~"warning|info"`},
			"equal": []any{"namespace", "alertname"},
		},
		map[string]any{
			"source_matchers": []any{`severity="warning"`}, "target_matchers": []any{`severity="info"`},
			"equal": []any{"namespace", "alertname"},
		},
		map[string]any{
			"source_matchers": []any{`alertname="InfoInhibitor"`}, "target_matchers": []any{`severity="info"`}, "equal": []any{"namespace"},
		},
	}, parsed(t, nil)["inhibit_rules"])
}

func TestURLsAreRefusedWithoutBeingShown(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"secret-token", "ftp://h/secret-token", "https://", "http://h:x/secret-token", "https://h/{{ secret-token }}"} {
		_, err := planned(func(p *plan) { p.slackURL, p.webhookURL, p.watchdogURL = bad, bad, bad }).render()
		require.EqualError(t, err, `checking receivers: slackUrl: must be an http or https URL, got "[secret]"
webhookUrl: must be an http or https URL, got "[secret]"
watchdogUrl: must be an http or https URL, got "[secret]"`, bad)
	}
}

func rendered(t *testing.T, priorityClass string, change func(*Settings)) map[string]any {
	t.Helper()
	s := Settings{}.WithDefaults()
	if change != nil {
		change(&s)
	}
	data, err := json.Marshal(spec(s, priorityClass))
	require.NoError(t, err)
	var read map[string]any
	require.NoError(t, json.Unmarshal(data, &read))
	return read
}

var podSelector = map[string]any{"matchLabels": map[string]any{
	"app.kubernetes.io/name": "alertmanager", "app.kubernetes.io/instance": "main",
}}

func spreadOver(key, unsatisfiable string) any {
	return map[string]any{"maxSkew": 1.0, "topologyKey": key, "whenUnsatisfiable": unsatisfiable, "labelSelector": podSelector}
}

func TestSpecByDefault(t *testing.T) {
	t.Parallel()
	require.Equal(t, map[string]any{
		"image": "quay.io/prometheus/alertmanager:v0.34.2", "version": "v0.34.2", "replicas": 3.0,
		"podMetadata": map[string]any{"labels": map[string]any{
			"app.kubernetes.io/name": "alertmanager", "app.kubernetes.io/instance": "main",
			"app.kubernetes.io/component": "alerts", "app.kubernetes.io/part-of": "kansoku",
		}},
		"configSecret":               "alertmanager-main",
		"alertmanagerConfigSelector": map[string]any{}, "alertmanagerConfigNamespaceSelector": map[string]any{},
		"serviceAccountName": "alertmanager-main", "automountServiceAccountToken": false,
		"terminationGracePeriodSeconds": 60.0,
		"securityContext": map[string]any{
			"runAsNonRoot": true, "runAsUser": 1000.0, "runAsGroup": 2000.0, "fsGroup": 2000.0, "fsGroupChangePolicy": "OnRootMismatch",
			"seccompProfile": map[string]any{"type": "RuntimeDefault"},
		},
		"resources": map[string]any{
			"requests": map[string]any{"cpu": "10m", "memory": "100Mi"}, "limits": map[string]any{"memory": "200Mi"},
		},
		"nodeSelector": map[string]any{"kubernetes.io/os": "linux"},
		"tolerations": []any{
			map[string]any{"key": "spotInstance", "operator": "Equal", "value": "true", "effect": "NoSchedule"},
		},
		"affinity": map[string]any{
			"nodeAffinity": map[string]any{
				"preferredDuringSchedulingIgnoredDuringExecution": []any{map[string]any{"weight": 100.0, "preference": map[string]any{
					"matchExpressions": []any{map[string]any{"key": "lifecycle", "operator": "In", "values": []any{"Ec2Spot"}}},
				}}},
			},
			"podAntiAffinity": map[string]any{
				"preferredDuringSchedulingIgnoredDuringExecution": []any{map[string]any{"weight": 100.0, "podAffinityTerm": map[string]any{
					"topologyKey": "kubernetes.io/hostname", "labelSelector": podSelector,
				}}},
			},
		},
		"topologySpreadConstraints": []any{
			spreadOver("topology.kubernetes.io/zone", "ScheduleAnyway"), spreadOver("kubernetes.io/hostname", "ScheduleAnyway"),
		},
		// What the API types always write.
		"alertmanagerConfigMatcherStrategy": map[string]any{},
	}, rendered(t, "", nil))
}

func TestSpecFollowsSettings(t *testing.T) {
	t.Parallel()
	want := rendered(t, "", nil)
	maps.Copy(want, map[string]any{
		"replicas": 2.0, "priorityClassName": "high", "externalUrl": "https://alerts.example.org",
		"topologySpreadConstraints": []any{
			spreadOver("topology.kubernetes.io/zone", "DoNotSchedule"), spreadOver("kubernetes.io/hostname", "ScheduleAnyway"),
		},
		"storage": map[string]any{"volumeClaimTemplate": map[string]any{
			"metadata": map[string]any{}, "status": map[string]any{},
			"spec": map[string]any{
				"storageClassName": "io2", "accessModes": []any{"ReadWriteOnce"},
				"resources": map[string]any{"requests": map[string]any{"storage": "1Gi"}},
			},
		}},
		"resources": map[string]any{
			"requests": map[string]any{"cpu": "1", "memory": "1Gi"}, "limits": map[string]any{"memory": "2Gi"},
		},
	})
	require.Equal(t, want, rendered(t, "high", func(s *Settings) {
		s.Replicas, s.RequireZones, s.ExternalURL = 2, true, "https://alerts.example.org"
		s.StorageSize, s.StorageClass = "1Gi", "io2"
		s.Resources = kube.Resources{CPU: "1", Memory: "1Gi", MemoryLimit: "2Gi"}
	}))
	one := rendered(t, "", func(s *Settings) { s.Replicas = 1 })
	require.Nil(t, one["topologySpreadConstraints"], "one replica is not spread")
	require.Equal(t, 1.0, one["replicas"])
}
