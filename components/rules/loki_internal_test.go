package rules

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestLogAlerts asks a real Loki: each alert on logs holds for some lines, and does not for others just below.
func TestLogAlerts(t *testing.T) {
	t.Parallel()
	l := startLoki(t)
	exprs := map[string]string{}
	for _, one := range Logs(Settings{}, "monitoring", "monitoring-host", "dev")[0].Rules {
		exprs[one.Alert] = one.Expr
	}
	require.Len(t, exprs, 3, "an alert on logs has no test")

	// Loki writes down each query that it answers: none may find itself there.
	var own []string
	for _, expr := range exprs {
		own = append(own, fmt.Sprintf("level=info component=ruler query=%q status=200", expr))
	}
	minute, hour := time.Minute, time.Hour+time.Minute
	l.push(t, "itself", minute, repeat(own, 101*len(own))...)
	l.push(t, "go", minute, "panic: runtime error: index out of range", "goroutine 1 [running]:")
	l.push(t, "rust", minute, "thread 'main' panicked at src/main.rs:1:5:")
	l.push(t, "java", minute, `Exception in thread "main" java.lang.NullPointerException`)
	l.push(t, "calm", minute, "no panic: all is well", "recovered from panic: no more")
	l.push(t, "past", 6*time.Minute, "panic: over")
	require.ElementsMatch(t, []string{"go", "rust", "java"}, l.ask(t, exprs["LogPanic"]))

	kinds := []string{`level=error msg=x`, `{"level":"ERROR","msg":"x"}`, `E1123 10:00:00.000000 1 x.go:1] x`, `2026-11-23 10:00:00 FATAL x`}
	l.push(t, "burst", minute, repeat(kinds, 101)...)
	l.push(t, "below", minute, repeat(kinds, 100)...)
	l.push(t, "usual", hour, repeat(kinds, 51)...)
	l.push(t, "usual", minute, repeat(kinds, 101)...)
	l.push(t, "risen", hour, repeat(kinds, 50)...)
	l.push(t, "risen", minute, repeat(kinds, 101)...)
	l.push(t, "fine", minute, repeat([]string{"level=info msg=\"0 errors\"", "error_count=0"}, 300)...)
	l.push(t, "event-exporter", minute, repeat(kinds, 101)...)
	require.ElementsMatch(t, []string{"burst", "risen"}, l.ask(t, exprs["LogErrorBurst"]))

	l.push(t, "loki", 16*time.Minute, "a line")
	require.Equal(t, []string{"loki"}, l.ask(t, exprs["LogSilence"]))
	l.push(t, "loki", 14*time.Minute, "a line")
	require.Empty(t, l.ask(t, exprs["LogSilence"]))
}

// repeat gives n lines, which take turns.
func repeat(lines []string, n int) []string {
	var all []string
	for line := range slices.Values(slices.Repeat(lines, n)) {
		if len(all) == n {
			break
		}
		all = append(all, line)
	}
	return all
}

// running is a Loki of its own, below a directory that goes with the test.
type running string

// startLoki starts the lab's Loki and waits until it takes lines.
func startLoki(t *testing.T) running {
	t.Helper()
	program, dir := tool(t, "loki"), t.TempDir()
	port := func() string {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer func() { require.NoError(t, listener.Close()) }()
		_, number, err := net.SplitHostPort(listener.Addr().String())
		require.NoError(t, err)
		return number
	}
	web := port()
	config := filepath.Join(dir, "loki.yaml")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `
auth_enabled: false
server: {http_listen_address: 127.0.0.1, http_listen_port: %s, grpc_listen_address: 127.0.0.1, grpc_listen_port: %s, log_level: error}
common:
  path_prefix: %s
  instance_addr: 127.0.0.1
  replication_factor: 1
  ring: {kvstore: {store: inmemory}}
  storage: {filesystem: {chunks_directory: %[3]s/chunks, rules_directory: %[3]s/rules}}
schema_config:
  configs: [{from: "2020-01-01", store: tsdb, object_store: filesystem, schema: v13, index: {prefix: index_, period: 24h}}]
analytics: {reporting_enabled: false}
`, web, port(), dir), 0o600))
	var output bytes.Buffer
	command := exec.CommandContext(t.Context(), program, "-config.file="+config)
	command.Stdout, command.Stderr = &output, &output
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Wait() // killed when the test's context ended
	})
	l := running("http://127.0.0.1:" + web + "/loki/api/v1/")
	require.Eventually(t, func() bool { return l.post(t, "first", time.Minute, "ready?") }, time.Minute, 100*time.Millisecond, "Loki takes no lines")
	return l
}

// push has Loki take lines of an app in the stack's namespace, written so long ago.
func (l running) push(t *testing.T, app string, ago time.Duration, lines ...string) {
	t.Helper()
	require.True(t, l.post(t, app, ago, lines...), "Loki refused lines of %s", app)
}

func (l running) post(t *testing.T, app string, ago time.Duration, lines ...string) bool {
	t.Helper()
	var values [][2]string
	for i, line := range lines {
		// Two lines of the same time that say the same would be one.
		values = append(values, [2]string{strconv.FormatInt(time.Now().Add(-ago).UnixNano()+int64(i), 10), line})
	}
	body, err := json.Marshal(map[string]any{"streams": []any{map[string]any{
		"stream": map[string]string{"namespace": "monitoring", "app": app}, "values": values,
	}}})
	require.NoError(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, string(l)+"push", bytes.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	require.NoError(t, response.Body.Close())
	return response.StatusCode == http.StatusNoContent
}

// ask gives the apps for which an expression holds.
func (l running) ask(t *testing.T, expr string) []string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, string(l)+"query?query="+url.QueryEscape(expr), http.NoBody)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	require.Equal(t, http.StatusOK, response.StatusCode, expr)
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string `json:"metric"`
			} `json:"result"`
		} `json:"data"`
	}
	require.NoError(t, json.NewDecoder(response.Body).Decode(&answer))
	var apps []string
	for _, one := range answer.Data.Result {
		require.Equal(t, "monitoring", one.Metric["namespace"])
		apps = append(apps, one.Metric["app"])
	}
	return apps
}
