package verify

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// message is what Alertmanager's templates are given.
type message struct {
	Receiver          string            `json:"receiver"`
	Status            string            `json:"status"`
	Alerts            []firing          `json:"alerts"`
	GroupLabels       map[string]string `json:"groupLabels"`
	CommonLabels      map[string]string `json:"commonLabels"`
	CommonAnnotations map[string]string `json:"commonAnnotations"`
	ExternalURL       string            `json:"externalURL"`
}

// firing is one alert of a message, resolved if Status says so.
type firing struct {
	Status      string            `json:"status"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

// about puts alerts into one message, as Alertmanager does.
func about(alerts ...firing) message {
	m := message{Receiver: "default", Status: "resolved", Alerts: alerts, ExternalURL: "https://alerts.example.org"}
	m.CommonLabels, m.CommonAnnotations = maps.Clone(alerts[0].Labels), maps.Clone(alerts[0].Annotations)
	for i := range alerts {
		a := &alerts[i]
		a.StartsAt = time.Date(2026, 11, 23, 19, 30, i%60, 0, time.FixedZone("JST", 9*60*60))
		if a.Status == "firing" {
			m.Status = a.Status
		} else {
			a.EndsAt = a.StartsAt.Add(90 * time.Minute)
		}
		maps.DeleteFunc(m.CommonLabels, func(name, value string) bool { return a.Labels[name] != value })
		maps.DeleteFunc(m.CommonAnnotations, func(name, value string) bool { return a.Annotations[name] != value })
	}
	return m
}

func crashing(status, severity, pod string) firing {
	return firing{
		Status: status,
		Labels: map[string]string{
			"alertname": "PodCrashLooping", "severity": severity, "area": "workloads", "cluster": "kansoku-prod", "namespace": "shop", "pod": pod,
			"container": "till", "prometheus": "monitoring/k8s",
		},
		Annotations: map[string]string{
			"summary": "A container ends again and again.", "description": "till in " + pod + " was restarted 7 times in 10m.",
			"runbook_url":   "https://runbooks.example.org/pod-crash-looping.md",
			"dashboard_url": "https://grafana.example.org/d/pods?var-namespace=shop&var-pod=" + pod,
		},
	}
}

// messages are of the kinds that differ in what they say.
func messages() map[string]message {
	bare := firing{Status: "firing", Labels: map[string]string{"alertname": "Bare", "cluster": "kansoku-prod"}}
	hostile := firing{
		Status: "firing",
		Labels: map[string]string{"alertname": "Hostile", "severity": "ticket", "path": `C:\a "b" + <!channel> & 100%`},
		Annotations: map[string]string{
			"summary": "5 > 3 & <!channel> is no call", "description": "{{ .no }} template, *no* <https://example.org|link>",
		},
	}
	storm := []firing{}
	for i := range 42 {
		a := crashing("firing", "page", fmt.Sprintf("till-%02d-%s", i, strings.Repeat("x", 60)))
		a.Annotations["description"] += strings.Repeat(" And it has a lot to say about that.", 40)
		if i >= 30 {
			a.Status = "resolved"
		}
		storm = append(storm, a)
	}
	other := crashing("firing", "info", "till-1")
	other.Labels["alertname"], other.Annotations["summary"] = "PodNotReady", "A pod is not ready."
	return map[string]message{
		"page":     about(crashing("firing", "page", "till-0")),
		"tickets":  about(crashing("firing", "ticket", "till-0"), crashing("firing", "ticket", "till-1"), crashing("resolved", "ticket", "till-2")),
		"resolved": about(crashing("resolved", "page", "till-0"), crashing("resolved", "page", "till-1")),
		"mixed":    about(crashing("firing", "info", "till-0"), other),
		"bare":     about(bare),
		"hostile":  about(hostile),
		"storm":    about(storm...),
	}
}

// limits are the most characters that a service takes: Alertmanager cuts titles itself, and lists of alerts not at all. Slack's is that of a
// text block, Opsgenie's and PagerDuty's are those of their APIs.
var limits = map[string]int{
	"slack_configs.text": 3000, "slack_configs.title": 250, "pagerduty_configs.description": 1024, "opsgenie_configs.message": 130,
	"opsgenie_configs.description": 15000, "pagerduty_configs.details.firing": 15000, "email_configs.headers.Subject": 250,
}

// TestMessages renders what every receiver says, with the templates as they are deployed, by Alertmanager's own tool, and holds it against
// golden files. UPDATE_GOLDEN=1 rewrites them.
func TestMessages(t *testing.T) {
	t.Parallel()
	component := filepath.Join(project, "components", "alertmanager")
	content, err := os.ReadFile(filepath.Join(component, "testdata", "everything.yaml"))
	require.NoError(t, err)
	var config struct{ Receivers []map[string]any }
	require.NoError(t, yaml.Unmarshal(content, &config))
	said := map[string]string{}
	for _, receiver := range config.Receivers {
		collect("", receiver, said)
	}
	require.Greater(t, len(said), 15)
	for key := range limits {
		require.Contains(t, said, key)
	}
	for name, m := range messages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := json.Marshal(m)
			require.NoError(t, err)
			file := writeFile(t, "message.json", string(data))
			var got strings.Builder
			for _, key := range slices.Sorted(maps.Keys(said)) {
				text := templated(t, filepath.Join(component, "message.tmpl"), said[key], file)
				if limit := limits[key]; limit > 0 {
					assert.LessOrEqual(t, len([]rune(text)), limit, key)
				}
				assert.NotContains(t, text, "no value", key)
				fmt.Fprintf(&got, "== %s\n%s\n", key, strings.TrimSuffix(text, "\n"))
			}
			golden := filepath.Join(component, "testdata", "messages", name+".txt")
			if os.Getenv("UPDATE_GOLDEN") != "" {
				require.NoError(t, os.MkdirAll(filepath.Dir(golden), 0o755))
				require.NoError(t, os.WriteFile(golden, []byte(got.String()), 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), got.String())
		})
	}
}

// collect finds the templates in a receiver, by where they stand.
func collect(path string, value any, into map[string]string) {
	switch typed := value.(type) {
	case string:
		if strings.Contains(typed, "{{") {
			into[path] = typed
		}
	case []any:
		for _, one := range typed {
			link, _ := one.(map[string]any)
			if text, named := link["text"].(string); named && link["href"] != nil {
				into[path+"."+text], _ = link["href"].(string)
				continue
			}
			collect(path, one, into)
		}
	case map[string]any:
		for key, one := range typed {
			collect(strings.TrimPrefix(path+"."+key, "."), one, into)
		}
	}
}

// templated is a template's text, rendered as Alertmanager would.
func templated(t *testing.T, templates, text, data string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), program(t, "amtool"), "template", "render",
		"--template.glob="+templates, "--template.text="+text, "--template.data="+data)
	var failure strings.Builder
	command.Env, command.Stderr = environment(), &failure
	output, err := command.Output()
	require.NoError(t, err, "%s: %s", text, failure.String())
	return string(output)
}
