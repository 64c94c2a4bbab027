package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/kansoku/kansoku/components/versions"
)

// judgeFiles has each rule and configuration of a stack checked by the tool that its program brings along.
func judgeFiles(t *testing.T, c *cluster, objects []*unstructured.Unstructured, workloads []workload) (rules, configurations int) {
	good := func(err error, about any) {
		assert.NoError(t, err, about)
		configurations++
	}
	buckets := map[string]string{}
	for _, object := range objects {
		switch object.GetKind() {
		case "PrometheusRule":
			n, err := judgeRules(t, object.Object["spec"])
			assert.NoError(t, err, id(object))
			rules += n
		case "ConfigMap":
			data, _, err := unstructured.NestedStringMap(object.Object, "data")
			require.NoError(t, err)
			for _, content := range data {
				n, err := judgeLogRules(t, content)
				assert.NoError(t, err, id(object))
				rules += n
				n, err = judgeDashboard(t, content)
				assert.NoError(t, err, id(object))
				rules += n
			}
		case "Secret":
			for key, content := range secretData(t, object) {
				switch {
				case key == "alertmanager.yaml":
					good(judgeAlertmanager(t, writeFile(t, key, content)), id(object))
				case onS3.MatchString(content):
					buckets[content] = id(object)
				}
			}
		}
	}
	for content, owner := range buckets {
		good(judgeBucket(t, content), owner)
	}
	for _, w := range workloads {
		if repository(w.template.Spec.Containers[0].Image) == versions.LokiDynamoDB.Repository {
			p, err := c.pod(t.Context(), w)
			require.NoError(t, err, w)
			good(p.runWith(t, "-verify-config"), w)
		}
	}
	for _, p := range c.pods {
		switch repository(p.template.Spec.Containers[0].Image) {
		case versions.Promtail.Repository:
			good(p.runWith(t, "-check-syntax"), p.workload)
		case versions.Prometheus.Repository:
			require.NotEmpty(t, p.prepared, p.workload)
			for _, path := range p.prepared {
				good(run(t.Context(), nil, "", program(t, "promtool"), "check", "config", "--lint=all", "--lint-fatal", path), p.workload)
				everyMonitorHasAJob(t, objects, path)
			}
		case versions.Alertmanager.Repository:
			require.NotEmpty(t, p.prepared, p.workload)
			for _, path := range p.prepared {
				good(judgeAlertmanager(t, path), p.workload)
			}
		}
	}
	return rules, configurations
}

// everyMonitorHasAJob holds that the operator took every monitor over: one that it cannot read, it leaves out.
func everyMonitorHasAJob(t *testing.T, objects []*unstructured.Unstructured, path string) {
	t.Helper()
	config, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, object := range objects {
		prefix := map[string]string{"ServiceMonitor": "serviceMonitor", "PodMonitor": "podMonitor", "Probe": "probe", "ScrapeConfig": "scrapeConfig"}[object.GetKind()]
		if prefix != "" {
			job := "job_name: " + prefix + "/" + object.GetNamespace() + "/" + object.GetName()
			assert.True(t, strings.Contains(string(config), job), "%s is in no Prometheus", id(object)) //nolint:testifylint // it is long
		}
	}
}

func secretData(t *testing.T, object *unstructured.Unstructured) map[string]string {
	t.Helper()
	var secret struct {
		Data       map[string][]byte `json:"data"`
		StringData map[string]string `json:"stringData"`
	}
	content, err := object.MarshalJSON()
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(content, &secret))
	all := maps.Clone(secret.StringData)
	if all == nil {
		all = map[string]string{}
	}
	for key, value := range secret.Data {
		all[key] = string(value)
	}
	return all
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// runWith runs a pod's only container with its own arguments and one more, to its end.
func (p *pod) runWith(t *testing.T, more string) error {
	t.Helper()
	binary, env, args, err := p.command(t, p.template.Spec.Containers[0])
	if err != nil {
		return err
	}
	return run(t.Context(), env, "", binary, append(args, more)...)
}

// ruleFile is what rules of Prometheus and of Loki have in common.
type ruleFile struct {
	Groups []struct {
		Rules []struct {
			Expr string `json:"expr"`
		} `json:"rules"`
	} `json:"groups"`
}

func (f ruleFile) expressions() []string {
	var all []string
	for _, group := range f.Groups {
		for _, rule := range group.Rules {
			all = append(all, rule.Expr)
		}
	}
	return all
}

// judgeRules of Prometheus.
func judgeRules(t *testing.T, spec any) (int, error) {
	t.Helper()
	content, err := yaml.Marshal(spec)
	require.NoError(t, err)
	var file ruleFile
	require.NoError(t, yaml.Unmarshal(content, &file))
	path := writeFile(t, "rules.yaml", string(content))
	return len(file.expressions()), run(t.Context(), nil, "", program(t, "promtool"), "check", "rules", "--lint=all", "--lint-fatal", path)
}

// lokiAlone is a configuration for a Loki that does nothing but load rules.
const lokiAlone = `
auth_enabled: false
server: {http_listen_address: %[1]s, grpc_listen_address: %[1]s, log_level: error}
common:
  path_prefix: %[2]s/data
  instance_addr: %[1]s
  replication_factor: 1
  ring: {kvstore: {store: inmemory}}
  storage: {filesystem: {chunks_directory: %[2]s/chunks, rules_directory: %[2]s/written}}
schema_config:
  configs: [{from: "2020-01-01", store: tsdb, object_store: filesystem, schema: v13, index: {prefix: index_, period: 24h}}]
ruler: {enable_api: true, storage: {type: local, local: {directory: %[2]s/rules}}}
analytics: {reporting_enabled: false}
`

// judgeLogRules has the ruler of a Loki load rules, in the place of its only tenant, and tell which it has. There is no tool that does so
// alone, and a Loki that cannot read a file starts all the same. What is no rule file has no rules.
func judgeLogRules(t *testing.T, content string) (int, error) {
	t.Helper()
	var file ruleFile
	if yaml.Unmarshal([]byte(content), &file) != nil || len(file.expressions()) == 0 {
		return 0, nil
	}
	wanted := file.expressions()
	dir, ip := t.TempDir(), nextAddress()
	require.NoError(t, writeAll(dir, map[string]string{"rules/fake/rules.yaml": content, "loki.yaml": fmt.Sprintf(lokiAlone, ip, dir)}))
	loki := start(t, "loki", program(t, "loki"), nil, "-config.file="+filepath.Join(dir, "loki.yaml"))
	var answer []byte
	status := 0
	err := eventually(t.Context(), 30*time.Second, func(ctx context.Context) error {
		if err := loki.ended(); err != nil {
			return err
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(ip, "3100")+"/loki/api/v1/rules", http.NoBody)
		if err != nil {
			return fmt.Errorf("asking for the rules: %w", err)
		}
		response, err := probing.Do(request)
		if err != nil {
			return fmt.Errorf("asking for the rules: %w", err)
		}
		defer func() { _ = response.Body.Close() }()
		answer, err = io.ReadAll(response.Body)
		if status = response.StatusCode; err != nil || status >= http.StatusInternalServerError {
			return fmt.Errorf("asking for the rules: %s: %w", response.Status, err)
		}
		return nil
	})
	if err != nil {
		return len(wanted), err
	}
	if status != http.StatusOK {
		return len(wanted), fmt.Errorf("the ruler refuses them: %s", answer)
	}
	loaded := map[string][]struct {
		Rules []struct {
			Expr string `json:"expr"`
		} `json:"rules"`
	}{}
	if err := yaml.Unmarshal(answer, &loaded); err != nil {
		return len(wanted), fmt.Errorf("reading the ruler's answer: %w", err)
	}
	var got []string
	for _, group := range loaded["rules.yaml"] {
		for _, rule := range group.Rules {
			got = append(got, rule.Expr)
		}
	}
	if !slices.Equal(got, wanted) {
		return len(wanted), fmt.Errorf("the ruler has %q, not %q", got, wanted)
	}
	return len(wanted), nil
}

// dashboardQueries is what of a dashboard's JSON is read.
type dashboardQueries struct {
	Panels []struct {
		Title   string `json:"title"`
		Targets []struct {
			Expr       string `json:"expr"`
			Datasource struct {
				Type string `json:"type"`
			} `json:"datasource"`
		} `json:"targets"`
	} `json:"panels"`
}

// grafanaRanges have a length in the place of Grafana's. Its other variables stand in texts, where they are as good as any.
var grafanaRanges = strings.NewReplacer("$__rate_interval", "2m", "$__range", "6h", "$__auto", "2m")

// judgeDashboard has every query of a dashboard parsed. What is no dashboard has none.
func judgeDashboard(t *testing.T, content string) (int, error) {
	t.Helper()
	var dashboard dashboardQueries
	if json.Unmarshal([]byte(content), &dashboard) != nil {
		return 0, nil
	}
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var rules []rule
	logs := 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			expr := grafanaRanges.Replace(target.Expr)
			if target.Datasource.Type != "loki" {
				rules = append(rules, rule{fmt.Sprintf("panel:%d", len(rules)), expr})
				continue
			}
			logs++
			if err := run(t.Context(), nil, expr, program(t, "logcli"), "fmt"); err != nil {
				return len(rules) + logs, fmt.Errorf("%s: %s: %w", panel.Title, expr, err)
			}
		}
	}
	if len(rules) == 0 {
		return logs, nil
	}
	n, err := judgeRules(t, map[string]any{"groups": []any{map[string]any{"name": "panels", "rules": rules}}})
	return n + logs, err
}

func judgeAlertmanager(t *testing.T, path string) error {
	t.Helper()
	return run(t.Context(), nil, "", program(t, "amtool"), "check-config", path)
}

// judgeBucket has Thanos list a bucket through a proxy that lets nothing through: a configuration that it takes leads to the endpoint.
func judgeBucket(t *testing.T, content string) error {
	t.Helper()
	var location struct {
		Config struct {
			Bucket, Endpoint string
		}
	}
	if err := yaml.Unmarshal([]byte(content), &location); err != nil {
		return fmt.Errorf("reading the bucket's configuration: %w", err)
	}
	asked := make(chan string, 100)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case asked <- r.Host + r.URL.Path:
		default:
		}
		w.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(proxy.Close)
	env := []string{"HTTP_PROXY=" + proxy.URL, "HTTPS_PROXY=" + proxy.URL, "AWS_ACCESS_KEY_ID=verify", "AWS_SECRET_ACCESS_KEY=verify"}
	thanos := start(t, "thanos", program(t, "thanos"), env, "tools", "bucket", "ls", "--objstore.config-file="+writeFile(t, "thanos.yaml", content))
	select {
	case target := <-asked:
		host, _, err := net.SplitHostPort(strings.SplitN(target, "/", 2)[0])
		wanted, _, _ := strings.Cut(location.Config.Endpoint, ":")
		// S3 has the bucket's name in the host's, in whichever of its forms the client prefers; others in the path.
		onAWS := strings.HasPrefix(host, location.Config.Bucket+".s3.") && strings.HasSuffix(wanted, ".amazonaws.com")
		if err != nil || !onAWS && (host != wanted || !strings.Contains(target, "/"+location.Config.Bucket)) {
			return fmt.Errorf("asks %s for bucket %s on %s", target, location.Config.Bucket, location.Config.Endpoint)
		}
		return nil
	case <-thanos.done:
		return thanos.ended()
	case <-time.After(20 * time.Second):
		return fmt.Errorf("asks nobody: %s", thanos.tail())
	}
}

// rightsSuffice waits until the programs ask the API server for nothing new, and holds that none was refused anything, and that the operator has
// nothing to complain of. It returns the number of calls that they made.
func rightsSuffice(t *testing.T, c *cluster) int {
	t.Helper()
	seen, since := 0, time.Now()
	for deadline := time.Now().Add(30 * time.Second); time.Since(since) < 4*time.Second && time.Now().Before(deadline); time.Sleep(250 * time.Millisecond) {
		kinds := map[string]bool{}
		for _, one := range c.calls(t) {
			kinds[one.account()+" "+one.what()] = true
		}
		if len(kinds) != seen {
			seen, since = len(kinds), time.Now()
		}
	}
	calls := c.calls(t)
	callers := map[string]map[string]bool{} // what each did
	refused := map[string]bool{}
	for _, one := range calls {
		if callers[one.account()] == nil {
			callers[one.account()] = map[string]bool{}
		}
		callers[one.account()][one.what()] = true
		if one.Status.Code == http.StatusForbidden || one.Status.Code == http.StatusUnauthorized {
			refused[one.account()+" may not "+one.what()] = true
		}
		if one.Object.Resource == "selfsubjectaccessreviews" && !one.Review.Status.Allowed {
			asked := one.Review.Spec.ResourceAttributes
			about := strings.TrimSpace(asked["verb"] + " " + strings.Trim(asked["group"]+"/"+asked["resource"], "/"))
			assert.NotEmpty(t, deniedReviews[about], "%s asked whether it may %s, and may not", one.account(), about)
		}
	}
	assert.Empty(t, slices.Sorted(maps.Keys(refused)))
	events, err := c.client.EventsV1().Events("").List(t.Context(), nativemetav1.ListOptions{})
	require.NoError(t, err)
	for _, event := range events.Items {
		if strings.HasPrefix(event.Regarding.APIVersion, "monitoring.coreos.com/") {
			assert.NotEqual(t, "Warning", event.Type, "the operator on %s %s: %s", event.Regarding.Kind, event.Regarding.Name, event.Note)
		}
	}
	for _, p := range c.pods {
		account := p.namespace + "/" + p.template.Spec.ServiceAccountName
		t.Logf("%s: %s", account, strings.Join(slices.Sorted(maps.Keys(callers[account])), ", "))
		assert.Equal(t, p.mounted(), len(callers[account]) > 0, "%s has a token, or uses one, that it does not use, or have", p.workload)
		for _, process := range p.byName {
			assert.NoError(t, process.ended(), p.workload)
		}
	}
	return len(calls)
}

// deniedReviews are rights that a program asks whether it has and does without, with the reason.
var deniedReviews = map[string]string{}

// TestGolden has the golden files of the components judged: options that no stack sets.
func TestGolden(t *testing.T) {
	t.Parallel()
	golden := func(t *testing.T, pattern string, judge func(t *testing.T, path string)) {
		t.Helper()
		files, err := filepath.Glob(filepath.Join(project, "components", pattern))
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, file := range files {
			t.Run(filepath.Base(file), func(t *testing.T) { judge(t, file) })
		}
	}
	t.Run("loki", func(t *testing.T) {
		golden(t, "loki/testdata/*.yaml", func(t *testing.T, path string) {
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			binary := "loki-tsdb"
			if strings.Contains(string(content), "store: aws\n") {
				binary = "loki" // some period has its index in DynamoDB
			}
			assert.NoError(t, run(t.Context(), []string{"POD_IP=127.0.0.1"}, "", program(t, binary),
				"-config.file="+path, "-config.expand-env=true", "-verify-config"))
		})
	})
	t.Run("alertmanager", func(t *testing.T) {
		golden(t, "alertmanager/testdata/*.yaml", func(t *testing.T, path string) { assert.NoError(t, judgeAlertmanager(t, path)) })
	})
	t.Run("promtail", func(t *testing.T) {
		golden(t, "promtail/testdata/*.yaml", func(t *testing.T, path string) {
			assert.NoError(t, run(t.Context(), nil, "", program(t, "promtail"), "-config.file="+path, "-check-syntax"))
		})
	})
	t.Run("rules", func(t *testing.T) {
		golden(t, "rules/testdata/rules/*.yaml", func(t *testing.T, path string) {
			content, err := os.ReadFile(path)
			require.NoError(t, err)
			if filepath.Base(path) == "logs.yaml" {
				_, err = judgeLogRules(t, string(content))
			} else {
				var groups any
				require.NoError(t, yaml.Unmarshal(content, &groups))
				_, err = judgeRules(t, groups)
			}
			assert.NoError(t, err)
		})
	})
	t.Run("thanos", func(t *testing.T) {
		golden(t, "thanos/testdata/*.flags", func(t *testing.T, path string) { startThanos(t, path) })
	})
}

// startThanos starts what a file of arguments says, on a bucket that is a directory, until it is ready.
func startThanos(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	dir, ip := t.TempDir(), nextAddress()
	require.NoError(t, writeAll(dir, map[string]string{
		"objectstore/thanos.yaml":  "type: FILESYSTEM\nconfig: {directory: " + filepath.Join(dir, "bucket") + "}\n",
		"endpoints/endpoints.yaml": "endpoints: []\n",
		"bucket/.keep":             "",
	}))
	// A frontend is ready once its downstream is.
	downstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	t.Cleanup(downstream.Close)
	place := strings.NewReplacer("/etc/thanos", dir, "/var/thanos", filepath.Join(dir, "data"), "0.0.0.0", ip, "$(QUERY_URL)", downstream.URL)
	thanos := start(t, "thanos", program(t, "thanos"), nil, strings.Fields(place.Replace(string(content)))...)
	assert.NoError(t, eventually(t.Context(), 30*time.Second, func(ctx context.Context) error {
		if err := thanos.ended(); err != nil {
			return err
		}
		if err := answers(ctx, "http://"+ip+":10902/-/ready"); err != nil {
			return fmt.Errorf("%w; it said:\n%s", err, thanos.tail())
		}
		return nil
	}))
}
