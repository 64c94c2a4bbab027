package cases

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	nativecorev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

const (
	// slackAddress and slackPath are where the lab's stack posts to (slackUrl).
	slackAddress = "10.88.0.1:9095"
	slackPath    = "/slack"

	alertName        = "LabToggle"
	runbook          = "https://runbooks.example.org/toggle.md"
	alertmanagerTags = "app.kubernetes.io/name=alertmanager"
	alertmanagerPort = 9093

	// peerWait is how long a replica gives each of those before it to notify, Alertmanager's default.
	peerWait = 15 * time.Second
)

// alertReachesSlackOnce: three Alertmanagers get an alert from two Prometheus, and one message comes of it; so it is when it is resolved.
func alertReachesSlackOnce(t *testing.T) {
	t.Parallel()
	k := cluster(t)
	slack := listenAsSlack(t)
	replicas := k.pods(t, namespace, alertmanagerTags)
	require.Len(t, replicas, 3)
	for _, pod := range replicas {
		eventually(t, time.Minute, pod.Name+" knows the others", func() error { return gossips(t, pod, len(replicas)) })
	}
	groupWait, groupInterval := pageWaits(t, replicas[0])
	ns := k.testNamespace(t, "alert")
	toggle := podURL(k.probes(t, ns, "toggle", 1, "serve")[0], probePort) + "/load/"
	set := func(value string) time.Time {
		_, err := call(t.Context(), http.MethodPut, toggle+value, nil, nil)
		require.NoError(t, err)
		return time.Now()
	}
	set("0")
	k.monitor(t, ns, "toggle", 5*time.Second)
	k.custom(t, "prometheusrules", "PrometheusRule", ns, "toggle", map[string]any{"groups": []any{map[string]any{
		"name": "toggle", "interval": "5s", "rules": []any{map[string]any{
			"alert": alertName, "expr": fmt.Sprintf("probe_load{namespace=%q} > 0", ns),
			"labels":      map[string]any{"severity": "page"},
			"annotations": map[string]any{"summary": "The toggle of a test is on.", "runbook_url": runbook},
		}},
	}}})
	for _, pod := range []string{"prometheus-k8s-0", "prometheus-k8s-1"} {
		eventually(t, 4*time.Minute, pod+" evaluates the rule", func() error {
			value, err := k.replica(t, pod).value(t.Context(), fmt.Sprintf("probe_load{namespace=%q}", ns), time.Now())
			if err != nil || value != 0 {
				return fmt.Errorf("probe_load is %g: %w", value, err)
			}
			return hasRule(t, k.pod(t, namespace, pod))
		})
	}

	on := set("1")
	var starts time.Time
	for _, pod := range replicas {
		eventually(t, time.Minute, pod.Name+" has the alert", func() (err error) {
			starts, err = firing(t, pod, ns)
			return err
		})
	}
	fired := slack.wait(t, groupWait+2*time.Minute, ns, "[FIRING:1] page "+alertName+" ")
	off := set("0")
	resolved := slack.wait(t, groupInterval+3*time.Minute, ns, "[RESOLVED] page "+alertName+" ")
	// Whatever another replica sends too comes when it has waited for all those before it.
	time.Sleep(time.Duration(len(replicas))*peerWait + 5*time.Second)

	all := slack.of(ns)
	figure(t, "from three Alertmanagers, one message %s after the alert began (%s after its cause), and %s later, %s after the cause ended, one of its end; "+
		"%d messages in all, by %s and %s", fired.at.Sub(starts).Round(time.Second/10), fired.at.Sub(on).Round(time.Second/10),
		resolved.at.Sub(fired.at).Round(time.Second/10), resolved.at.Sub(off).Round(time.Second/10), len(all),
		sender(replicas, fired), sender(replicas, resolved))
	require.Len(t, all, 2, "messages about the alert: %v", all)
	assert.Empty(t, slack.refused(), "requests that Slack would refuse")
	assert.GreaterOrEqual(t, fired.at.Sub(starts), groupWait, "the group was not waited for")
	assert.GreaterOrEqual(t, resolved.at.Sub(fired.at), groupInterval-peerWait, "the group's interval was not waited for")
	for _, message := range all {
		assert.Contains(t, message.Attachments[0].Text, "*The toggle of a test is on.*")
		assert.Contains(t, message.Attachments[0].Text, "namespace="+ns)
		assert.Contains(t, message.Attachments[0].Text, "<"+runbook+"|Runbook>")
		assert.NotEmpty(t, message.Channel)
	}
	assert.Equal(t, "danger", fired.Attachments[0].Color)
	assert.Equal(t, "good", resolved.Attachments[0].Color)
}

// pageWaits are how long Alertmanager waits with pages that no team takes: before a group's first message, and between two.
func pageWaits(t *testing.T, pod nativecorev1.Pod) (groupWait, groupInterval time.Duration) {
	t.Helper()
	var status struct{ Config struct{ Original string } }
	require.NoError(t, getJSON(t, podURL(pod, alertmanagerPort)+"/api/v2/status", &status))
	type route struct {
		Matchers      []string
		GroupWait     string `json:"group_wait"`
		GroupInterval string `json:"group_interval"`
	}
	var config struct {
		Route struct {
			GroupInterval string `json:"group_interval"`
			Routes        []route
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(status.Config.Original), &config))
	pages := slices.IndexFunc(config.Route.Routes, func(r route) bool { return slices.Equal(r.Matchers, []string{`severity="page"`}) })
	require.GreaterOrEqual(t, pages, 0, "no route for pages: %s", status.Config.Original)
	var err error
	groupWait, err = time.ParseDuration(config.Route.Routes[pages].GroupWait)
	require.NoError(t, err)
	groupInterval, err = time.ParseDuration(config.Route.GroupInterval)
	require.NoError(t, err)
	return groupWait, groupInterval
}

// gossips says why a replica of Alertmanager is not one of so many.
func gossips(t *testing.T, pod nativecorev1.Pod, count int) error {
	t.Helper()
	var status struct {
		Cluster struct {
			Status string
			Peers  []any
		}
	}
	if err := getJSON(t, podURL(pod, alertmanagerPort)+"/api/v2/status", &status); err != nil {
		return err
	}
	if status.Cluster.Status != "ready" || len(status.Cluster.Peers) != count {
		return fmt.Errorf("it is %s with %d peers", status.Cluster.Status, len(status.Cluster.Peers))
	}
	return nil
}

// hasRule says why a Prometheus does not evaluate the alert, which does not fire yet.
func hasRule(t *testing.T, pod nativecorev1.Pod) error {
	t.Helper()
	var rules struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, State string }
			}
		}
	}
	if err := getJSON(t, podURL(pod, 9090)+"/api/v1/rules?rule_name[]="+alertName, &rules); err != nil {
		return err
	}
	for _, group := range rules.Data.Groups {
		for _, rule := range group.Rules {
			if rule.Health == "ok" && rule.State == "inactive" {
				return nil
			}
		}
	}
	return fmt.Errorf("no healthy rule that does not fire: %v", rules.Data.Groups)
}

// firing is when the alert that a replica of Alertmanager has began.
func firing(t *testing.T, pod nativecorev1.Pod, namespace string) (time.Time, error) {
	t.Helper()
	var alerts []struct{ StartsAt time.Time }
	filter := url.Values{"active": {"true"}, "filter": {`alertname="` + alertName + `"`, `namespace="` + namespace + `"`}}
	if err := getJSON(t, podURL(pod, alertmanagerPort)+"/api/v2/alerts?"+filter.Encode(), &alerts); err != nil {
		return time.Time{}, err
	}
	if len(alerts) != 1 {
		return time.Time{}, fmt.Errorf("%d alerts, not one", len(alerts))
	}
	return alerts[0].StartsAt, nil
}

func getJSON(t *testing.T, target string, into any) error {
	t.Helper()
	content, err := call(t.Context(), http.MethodGet, target, nil, nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("decoding the answer of %s: %w", target, err)
	}
	return nil
}

// slackMessage is what an incoming webhook of Slack takes, as far as it is looked at.
type slackMessage struct {
	Channel     string
	Attachments []struct{ Title, Text, Color string }

	at   time.Time
	from string
}

// slackReceiver takes messages as Slack does.
type slackReceiver struct {
	mu       sync.Mutex
	messages []slackMessage
	wrong    []string
}

func listenAsSlack(t *testing.T) *slackReceiver {
	t.Helper()
	receiver := &slackReceiver{}
	listener, err := net.Listen("tcp", slackAddress)
	require.NoError(t, err, "listening as Slack")
	server := &http.Server{Handler: receiver, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		assert.NoError(t, server.Close())
		assert.ErrorIs(t, <-done, http.ErrServerClosed)
	})
	return receiver
}

// ServeHTTP answers "ok" in plain text to a message with one attachment, as Slack does, and refuses everything else.
func (s *slackReceiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	message := slackMessage{at: time.Now(), from: r.RemoteAddr}
	err := json.NewDecoder(r.Body).Decode(&message)
	if r.Method != http.MethodPost || r.URL.Path != slackPath || r.Header.Get("Content-Type") != "application/json" {
		err = errors.Join(err, fmt.Errorf("%s %s with %s", r.Method, r.URL.Path, r.Header.Get("Content-Type")))
	}
	if len(message.Attachments) != 1 {
		err = errors.Join(err, fmt.Errorf("%d attachments", len(message.Attachments)))
	}
	if err != nil {
		s.wrong = append(s.wrong, err.Error())
		http.Error(w, "invalid_payload", http.StatusBadRequest)
		return
	}
	s.messages = append(s.messages, message)
	w.Header().Set("Content-Type", "text/html")
	_, _ = w.Write([]byte("ok"))
}

// of are the messages so far about alerts of a namespace.
func (s *slackReceiver) of(namespace string) []slackMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []slackMessage
	for _, message := range s.messages {
		if strings.Contains(message.Attachments[0].Title, namespace) {
			found = append(found, message)
		}
	}
	return found
}

func (s *slackReceiver) refused() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wrong
}

// wait for the first message about a namespace with a title that begins so.
func (s *slackReceiver) wait(t *testing.T, timeout time.Duration, namespace, title string) (found slackMessage) {
	t.Helper()
	eventually(t, timeout, "message "+title, func() error {
		for _, found = range s.of(namespace) {
			if strings.HasPrefix(found.Attachments[0].Title, title) {
				return nil
			}
		}
		return fmt.Errorf("messages so far: %v; refused: %v", s.of(namespace), s.refused())
	})
	return found
}

// sender is the pod that a message came from.
func sender(pods []nativecorev1.Pod, message slackMessage) string {
	host, _, _ := net.SplitHostPort(message.from)
	for _, pod := range pods {
		if pod.Status.PodIP == host {
			return pod.Name
		}
	}
	return message.from
}
