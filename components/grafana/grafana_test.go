package grafana_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/grafana"
	"github.com/kansoku/kansoku/internal/mocks"
)

const (
	deployment  = "kubernetes:apps/v1:Deployment"
	statefulSet = "kubernetes:apps/v1:StatefulSet"
	configMap   = "kubernetes:core/v1:ConfigMap"
	secret      = "kubernetes:core/v1:Secret"
	ingress     = "kubernetes:networking.k8s.io/v1:Ingress"
	password    = "random:index/randomPassword:RandomPassword"
)

// recorder notes beside what mocks.Recorder does which inputs were secret, and gives passwords.
type recorder struct {
	mocks.Recorder
	mu      sync.Mutex
	secrets map[string][]string // name of the resource: its secret texts
}

func newRecorder() *recorder {
	return &recorder{
		secrets: map[string][]string{},
		Recorder: mocks.Recorder{Outputs: map[string]func(mocks.Resource) map[string]any{
			password: func(r mocks.Resource) map[string]any { return map[string]any{"result": "random-" + r.Name} },
		}},
	}
}

func (r *recorder) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	r.mu.Lock()
	var walk func(v resource.PropertyValue, secret bool)
	walk = func(v resource.PropertyValue, secret bool) {
		switch {
		case v.IsSecret():
			walk(v.SecretValue().Element, true)
		case v.IsOutput():
			walk(v.OutputValue().Element, secret || v.OutputValue().Secret)
		case v.IsArray():
			for _, one := range v.ArrayValue() {
				walk(one, secret)
			}
		case v.IsObject():
			for _, key := range v.ObjectValue().StableKeys() {
				walk(v.ObjectValue()[key], secret)
			}
		case secret:
			r.secrets[args.Name] = append(r.secrets[args.Name], v.StringValue())
		}
	}
	walk(resource.NewObjectProperty(args.Inputs), false)
	r.mu.Unlock()
	return r.Recorder.NewResource(args)
}

type outputs struct {
	url, password  string
	passwordSecret bool
}

func run(t *testing.T, args *grafana.Args) (*recorder, outputs) {
	t.Helper()
	r := newRecorder()
	got := make(chan outputs, 1)
	require.NoError(t, pulumi.RunErr(func(ctx *pulumi.Context) error {
		g, err := grafana.New(ctx, "grafana", args)
		if err != nil {
			return err
		}
		pulumi.All(g.URL, g.AdminPassword).ApplyT(func(values []any) string {
			got <- outputs{values[0].(string), values[1].(string), pulumi.IsSecret(g.AdminPassword)}
			return ""
		})
		return nil
	}, pulumi.WithMocks(mocks.Project, mocks.Stack, r)))
	return r, <-got
}

func minimal() *grafana.Args {
	return &grafana.Args{Namespace: pulumi.String("monitoring")}
}

// full has every part.
func full() *grafana.Args {
	return &grafana.Args{
		Namespace: pulumi.String("monitoring"), PriorityClass: "important",
		ThanosURL: pulumi.String("http://thanos"), LokiURL: pulumi.String("http://loki"), AlertmanagerURL: pulumi.String("http://am"),
		ScrapeInterval: "15s",
		Dashboards: []grafana.Dashboard{
			{Name: "nodes", Folder: "Cluster", JSON: "{\n  \"title\": \"Nodes\", \"uid\": \"n\"\n}"},
			{Name: "pods", Folder: "Cluster", JSON: `{"title":"Pods","uid":"p"}`},
			{Name: "home", JSON: `{"title":"Home"}`},
		},
		GitHubSecret: pulumi.String("github secret"),
		Settings: grafana.Settings{
			StorageSize: "5Gi",
			Auth:        grafana.Auth{GitHub: &grafana.GitHub{ClientID: "id", AllowedOrganizations: []string{"example"}}},
			Ingress: &grafana.Ingress{
				Host: "grafana.example.com", Class: "alb", TLSSecret: "tls", Annotations: map[string]string{"a/b": "c"},
			},
			GrafanaCom:          []grafana.ComDashboard{{ID: 1860, Revision: 37, Folder: "Cluster"}},
			DashboardConfigMaps: []grafana.DashboardConfigMap{{Name: "dashboards-shop", Folder: "Cluster"}},
		},
	}
}

func names(r *recorder) map[string][]string {
	found := map[string][]string{}
	for _, one := range r.All() {
		if one.Type != "pulumi:pulumi:Stack" {
			found[one.Type] = append(found[one.Type], one.Name)
		}
	}
	return found
}

func TestMinimal(t *testing.T) {
	t.Parallel()
	r, got := run(t, minimal())
	assert.Equal(t, outputs{"http://grafana.monitoring.svc:80", "random-grafana-admin", true}, got)
	found := names(r)
	assert.ElementsMatch(t, []string{"grafana-secret-key", "grafana-admin"}, found[password])
	assert.ElementsMatch(t, []string{"grafana", "grafana-config"}, found[secret])
	assert.Equal(t, []string{"grafana-provisioning"}, found[configMap])
	assert.Equal(t, []string{"grafana"}, found[deployment])
	assert.Empty(t, found[statefulSet])
	assert.Empty(t, found[ingress])
	assert.Len(t, found, 8, "and component, account, Service and monitor: %v", found)

	for _, one := range r.OfType(password) {
		assert.Equal(t, []any{32.0, false}, []any{one.Field("length"), one.Field("special")})
	}
	for _, one := range r.All() {
		if one.Type != "kansoku:grafana:Grafana" && one.Type != "pulumi:pulumi:Stack" {
			assert.Equal(t, "urn:pulumi:test::kansoku::kansoku:grafana:Grafana::grafana", one.Parent, one.Name)
		}
	}

	d := r.Get(t, deployment, "grafana")
	assert.Equal(t, 1.0, d.Field("spec", "replicas"))
	pod := d.Field("spec", "template", "spec").(map[string]any)
	assert.Equal(t, false, pod["automountServiceAccountToken"])
	assert.Equal(t, 472.0, d.Field("spec", "template", "spec", "securityContext", "runAsUser"))
	assert.Nil(t, pod["initContainers"])
	assert.Equal(t, []any{
		map[string]any{"name": "tmp", "emptyDir": map[string]any{}},
		map[string]any{"name": "config", "secret": map[string]any{"secretName": "grafana-config", "defaultMode": 288.0}},
		map[string]any{"name": "secrets", "secret": map[string]any{"secretName": "grafana", "defaultMode": 288.0}},
		map[string]any{"name": "provisioning", "configMap": map[string]any{"name": "grafana-provisioning"}},
		map[string]any{"name": "data", "emptyDir": map[string]any{}},
	}, pod["volumes"])
	probe := func(period, timeout, failures float64) map[string]any {
		p := map[string]any{"httpGet": map[string]any{"path": "/api/health", "port": "http"}, "periodSeconds": period, "timeoutSeconds": timeout}
		if failures > 0 {
			p["failureThreshold"] = failures
		}
		return p
	}
	assert.Equal(t, []any{map[string]any{
		"name": "grafana", "image": "docker.io/grafana/grafana:13.1.3", "terminationMessagePolicy": "FallbackToLogsOnError",
		"ports": []any{map[string]any{"name": "http", "containerPort": 3000.0}},
		"resources": map[string]any{
			"requests": map[string]any{"cpu": "100m", "memory": "384Mi"}, "limits": map[string]any{"memory": "1Gi"},
		},
		"securityContext": map[string]any{
			"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": map[string]any{"drop": []any{"ALL"}},
		},
		"startupProbe": probe(5, 5, 60), "readinessProbe": probe(10, 5, 0), "livenessProbe": probe(10, 10, 6),
		"volumeMounts": []any{
			map[string]any{"name": "data", "mountPath": "/var/lib/grafana"},
			map[string]any{"name": "tmp", "mountPath": "/tmp"},
			map[string]any{"name": "config", "mountPath": "/etc/grafana/grafana.ini", "subPath": "grafana.ini", "readOnly": true},
			map[string]any{"name": "secrets", "mountPath": "/etc/grafana/secrets", "readOnly": true},
			map[string]any{
				"name": "provisioning", "mountPath": "/etc/grafana/provisioning/datasources/datasources.yaml", "subPath": "datasources.yaml", "readOnly": true,
			},
			map[string]any{
				"name": "provisioning", "mountPath": "/etc/grafana/provisioning/dashboards/dashboards.yaml", "subPath": "dashboards.yaml", "readOnly": true,
			},
		},
	}}, pod["containers"])

	assert.Equal(t, []any{map[string]any{"name": "http", "port": 80.0, "targetPort": "http"}},
		r.Get(t, "kubernetes:core/v1:Service", "grafana").Field("spec", "ports"))
	monitor := r.Get(t, "kubernetes:monitoring.coreos.com/v1:ServiceMonitor", "grafana")
	assert.Equal(t, []any{map[string]any{"port": "http"}}, monitor.Field("spec", "endpoints"))
	selector := map[string]any{"app.kubernetes.io/name": "grafana", "app.kubernetes.io/instance": "main"}
	assert.Equal(t, selector, monitor.Field("spec", "selector", "matchLabels"))
	for key, value := range grafana.Labels().Selector() {
		assert.Equal(t, value, selector[key])
	}
}

func TestFull(t *testing.T) {
	t.Parallel()
	r, got := run(t, full())
	assert.True(t, got.passwordSecret)
	found := names(r)
	assert.ElementsMatch(t, []string{
		"grafana-provisioning", "grafana-downloads", "grafana-dashboard-nodes", "grafana-dashboard-pods", "grafana-dashboard-home",
	}, found[configMap])
	assert.Empty(t, found[deployment])

	for name, want := range map[string]map[string]any{
		"nodes": {"nodes.json": `{"title":"Nodes","uid":"n"}`},
		"pods":  {"pods.json": `{"title":"Pods","uid":"p"}`},
		"home":  {"home.json": `{"title":"Home"}`},
	} {
		d := r.Get(t, configMap, "grafana-dashboard-"+name)
		assert.Equal(t, want, d.Field("data"))
		assert.Equal(t, "grafana-dashboard-"+name, d.Field("metadata", "name"))
		assert.Equal(t, "monitoring", d.Field("metadata", "namespace"))
	}
	assert.Equal(t, `1860 37 cluster - s/\${DS_LOKI[^}]*}/loki/g;s/\${DS_[^}]*}/thanos/g`+"\n",
		r.Get(t, configMap, "grafana-downloads").Field("data", "dashboards.txt"))
	provisioning := r.Get(t, configMap, "grafana-provisioning")
	read := provisioning.Field("data", "datasources.yaml").(string)
	for _, part := range []string{"url: http://thanos\n", "url: http://loki\n", "url: http://am\n", "timeInterval: 15s\n"} {
		assert.Contains(t, read, part)
	}
	folders := provisioning.Field("data", "dashboards.yaml").(string)
	for _, path := range []string{"/etc/grafana/dashboards/general\n", "/etc/grafana/dashboards/cluster\n", "/etc/grafana/downloads/cluster\n", "/etc/grafana/configmaps/dashboards-shop\n"} {
		assert.Contains(t, folders, "path: "+path)
	}
	ini := r.Get(t, secret, "grafana-config").Field("stringData", "grafana.ini").(string)
	assert.Contains(t, ini, "\nroot_url = https://grafana.example.com/\n")
	assert.Contains(t, ini, "\nclient_secret = $__file{/etc/grafana/secrets/github-client-secret}\n")

	s := r.Get(t, statefulSet, "grafana")
	assert.Equal(t, "important", s.Field("spec", "template", "spec", "priorityClassName"))
	claim := s.Field("spec", "volumeClaimTemplates", 0).(map[string]any)
	assert.Equal(t, map[string]any{"name": "data"}, claim["metadata"])
	assert.Equal(t, map[string]any{
		"accessModes": []any{"ReadWriteOnce"}, "storageClassName": "gp3", "resources": map[string]any{"requests": map[string]any{"storage": "5Gi"}},
	}, claim["spec"])
	pod := s.Field("spec", "template", "spec").(map[string]any)
	volumes := pod["volumes"].([]any)
	assert.Equal(t, []any{
		map[string]any{"name": "folder-general", "projected": map[string]any{"sources": []any{
			map[string]any{"configMap": map[string]any{"name": "grafana-dashboard-home"}},
		}}},
		map[string]any{"name": "folder-cluster", "projected": map[string]any{"sources": []any{
			map[string]any{"configMap": map[string]any{"name": "grafana-dashboard-nodes"}},
			map[string]any{"configMap": map[string]any{"name": "grafana-dashboard-pods"}},
		}}},
		map[string]any{"name": "downloads", "emptyDir": map[string]any{}},
		map[string]any{"name": "download-list", "configMap": map[string]any{"name": "grafana-downloads"}},
		map[string]any{"name": "configmap-dashboards-shop", "configMap": map[string]any{"name": "dashboards-shop", "optional": true}},
	}, volumes[len(volumes)-5:])
	assert.NotContains(t, volumes, map[string]any{"name": "data", "emptyDir": map[string]any{}})
	mounts := s.Field("spec", "template", "spec", "containers", 0, "volumeMounts").([]any)
	assert.Equal(t, []any{
		map[string]any{"name": "folder-general", "mountPath": "/etc/grafana/dashboards/general", "readOnly": true},
		map[string]any{"name": "folder-cluster", "mountPath": "/etc/grafana/dashboards/cluster", "readOnly": true},
		map[string]any{"name": "downloads", "mountPath": "/etc/grafana/downloads", "readOnly": true},
		map[string]any{"name": "configmap-dashboards-shop", "mountPath": "/etc/grafana/configmaps/dashboards-shop", "readOnly": true},
	}, mounts[len(mounts)-4:])
	assert.Equal(t, []any{map[string]any{
		"name": "download-dashboards", "image": "docker.io/curlimages/curl:8.21.0", "terminationMessagePolicy": "FallbackToLogsOnError",
		"command":   []any{"/bin/sh", "/etc/downloads/download.sh", "/etc/downloads/dashboards.txt", "/etc/grafana/downloads"},
		"resources": map[string]any{"requests": map[string]any{"cpu": "10m", "memory": "32Mi"}, "limits": map[string]any{"memory": "64Mi"}},
		"securityContext": map[string]any{
			"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": map[string]any{"drop": []any{"ALL"}},
		},
		"volumeMounts": []any{
			map[string]any{"name": "download-list", "mountPath": "/etc/downloads", "readOnly": true},
			map[string]any{"name": "downloads", "mountPath": "/etc/grafana/downloads"},
		},
	}}, pod["initContainers"])

	i := r.Get(t, ingress, "grafana")
	assert.Equal(t, map[string]any{"a/b": "c"}, i.Field("metadata", "annotations"))
	assert.Equal(t, map[string]any{
		"ingressClassName": "alb",
		"tls":              []any{map[string]any{"hosts": []any{"grafana.example.com"}, "secretName": "tls"}},
		"rules": []any{map[string]any{"host": "grafana.example.com", "http": map[string]any{"paths": []any{map[string]any{
			"path": "/", "pathType": "Prefix",
			"backend": map[string]any{"service": map[string]any{"name": "grafana", "port": map[string]any{"name": "http"}}},
		}}}}},
	}, i.Field("spec"))
}

// The pod starts only when all that it mounts is there.
func TestOrder(t *testing.T) {
	t.Parallel()
	r, _ := run(t, full())
	depends := strings.Join(r.Get(t, statefulSet, "grafana").Depends, "\n")
	for _, one := range append(r.OfType(configMap), r.OfType(secret)...) {
		assert.Contains(t, depends, one.Type+"::"+one.Name)
	}
}

func TestIngressWithoutMore(t *testing.T) {
	t.Parallel()
	args := minimal()
	args.Ingress = &grafana.Ingress{Host: "g.example.com"}
	r, _ := run(t, args)
	i := r.Get(t, ingress, "grafana")
	assert.Nil(t, i.Field("metadata", "annotations"))
	assert.Nil(t, i.Field("spec", "ingressClassName"))
	assert.Nil(t, i.Field("spec", "tls"))
}

// Secrets are in the one Secret, as secrets, and nowhere else.
func TestSecrets(t *testing.T) {
	t.Parallel()
	args := full()
	args.AdminPassword, args.GoogleSecret, args.GenericOAuthSecret = pulumi.String("given"), pulumi.String("google secret"), pulumi.String("generic secret")
	args.Auth.Google = &grafana.Google{ClientID: "id", AllowedDomains: []string{"example.com"}}
	args.Auth.GenericOAuth = &grafana.GenericOAuth{ClientID: "id", AuthURL: "https://idp/auth", TokenURL: "https://idp/token"}
	r, got := run(t, args)
	assert.Equal(t, "given", got.password)
	assert.True(t, got.passwordSecret)
	assert.Equal(t, []string{"grafana-secret-key"}, names(r)[password])
	assert.Equal(t, map[string]any{
		"secret-key": "random-grafana-secret-key", "admin-password": "given", "github-client-secret": "github secret",
		"google-client-secret": "google secret", "generic-oauth-client-secret": "generic secret",
	}, r.Get(t, secret, "grafana").Field("stringData"))
	all := []string{"random-grafana-secret-key", "given", "github secret", "google secret", "generic secret"}
	assert.ElementsMatch(t, all, r.secrets["grafana"])
	delete(r.secrets, "grafana")
	delete(r.secrets, "grafana-config") // the SDK makes all that a Secret holds one
	assert.Empty(t, r.secrets)
	for _, one := range r.All() {
		if one.Type == secret && one.Name == "grafana" {
			continue
		}
		text, err := json.Marshal(one.Inputs)
		require.NoError(t, err)
		for _, value := range all {
			assert.NotContains(t, string(text), `"`+value, "%s %s", one.Type, one.Name)
			assert.NotContains(t, string(text), value+`\n`, "%s %s", one.Type, one.Name)
		}
	}
	ini := r.Get(t, secret, "grafana-config").Field("stringData", "grafana.ini").(string)
	assert.Contains(t, ini, "generic-oauth-client-secret}")
}

// Without a login by password there is no password, and no administrator to have one.
func TestNoPassword(t *testing.T) {
	t.Parallel()
	args := minimal()
	args.Auth = grafana.Auth{DisableLoginForm: true, DisableBasicAuth: true, Anonymous: grafana.Anonymous{Enabled: true}}
	r, got := run(t, args)
	assert.Equal(t, outputs{"http://grafana.monitoring.svc:80", "", true}, got)
	assert.Equal(t, []string{"grafana-secret-key"}, names(r)[password])
	assert.Equal(t, map[string]any{"secret-key": "random-grafana-secret-key"}, r.Get(t, secret, "grafana").Field("stringData"))
}

func TestPublicClientNeedsNoSecret(t *testing.T) {
	t.Parallel()
	args := minimal()
	args.Server.RootURL = "https://grafana.example.com"
	args.Auth.GenericOAuth = &grafana.GenericOAuth{ClientID: "id", AuthURL: "https://idp/auth", TokenURL: "https://idp/token", UsePKCE: true}
	r, _ := run(t, args)
	assert.NotContains(t, r.Get(t, secret, "grafana-config").Field("stringData", "grafana.ini"), "client_secret")
}

func TestChecksumRollsThePod(t *testing.T) {
	t.Parallel()
	sum := func(change func(*grafana.Args)) string {
		args := full()
		args.StorageSize = ""
		change(args)
		r, _ := run(t, args)
		text := r.Get(t, deployment, "grafana").Field("spec", "template", "metadata", "annotations", "kansoku.dev/config-checksum").(string)
		require.Regexp(t, `^[0-9a-f]{64}$`, text)
		return text
	}
	before := sum(func(*grafana.Args) {})
	assert.Equal(t, before, sum(func(*grafana.Args) {}))
	assert.Equal(t, before, sum(func(a *grafana.Args) { a.Dashboards[0].JSON = `{"title":"Other"}` }), "Grafana reads dashboards again by itself")
	for name, change := range map[string]func(*grafana.Args){
		"grafana.ini": func(a *grafana.Args) { a.Users.ViewersCanEdit = true },
		"sources":     func(a *grafana.Args) { a.LokiURL = pulumi.String("http://other") },
		"folders":     func(a *grafana.Args) { a.Dashboards[0].Folder = "Other" },
		"downloads":   func(a *grafana.Args) { a.GrafanaCom[0].Revision++ },
		"secret":      func(a *grafana.Args) { a.GitHubSecret = pulumi.String("other") },
		"password":    func(a *grafana.Args) { a.AdminPassword = pulumi.String("other") },
	} {
		assert.NotEqual(t, before, sum(change), name)
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	large := `{"title":"` + strings.Repeat("x", 1<<20) + `"}`
	for name, test := range map[string]struct {
		args *grafana.Args
		want string
	}{
		"nothing": {nil, "namespace: is required, got null"},
		"settings and wires": {
			&grafana.Args{Settings: grafana.Settings{Log: grafana.Log{Level: "x"}}, ScrapeInterval: "0s"},
			`log.level: must be one of debug, info, warn, error, critical, got "x"
namespace: is required, got null
scrapeInterval: must be a Prometheus duration such as "30s", got "0s"`,
		},
		"secrets missing": {
			&grafana.Args{Namespace: pulumi.String("m"), Settings: grafana.Settings{
				Server: grafana.Server{RootURL: "https://h"}, Auth: grafana.Auth{
					GenericOAuth: &grafana.GenericOAuth{ClientID: "id", AuthURL: "https://idp/auth", TokenURL: "https://idp/token"},
					GitHub:       &grafana.GitHub{ClientID: "id", TeamIDs: []string{"1"}},
					Google:       &grafana.Google{ClientID: "id", AllowedDomains: []string{"example.com"}},
				},
			}},
			`genericOAuthSecret: is required with auth.genericOAuth, got null
githubSecret: is required with auth.github, got null
googleSecret: is required with auth.google, got null`,
		},
		"secrets for nothing": {
			&grafana.Args{
				Namespace: pulumi.String("m"), AdminPassword: pulumi.String("x"), GenericOAuthSecret: pulumi.String("x"),
				GitHubSecret: pulumi.String("x"), GoogleSecret: pulumi.String("x"),
				Settings: grafana.Settings{Auth: grafana.Auth{
					DisableLoginForm: true, DisableBasicAuth: true, Anonymous: grafana.Anonymous{Enabled: true},
				}},
			},
			`adminPassword: must not be set beside auth.disableLoginForm and auth.disableBasicAuth: nobody logs in by password, got null
genericOAuthSecret: must not be set without auth.genericOAuth, got null
githubSecret: must not be set without auth.github, got null
googleSecret: must not be set without auth.google, got null`,
		},
		"dashboards": {
			&grafana.Args{Namespace: pulumi.String("m"), Dashboards: []grafana.Dashboard{
				{Name: "A", JSON: `{"title":"x","uid":"u"}`},
				{Name: "b", JSON: `{"uid":"u"}`},
				{Name: "b", JSON: `[`},
				{Name: "c", JSON: `"x"`},
				{Name: "d", JSON: large},
				{Name: "e", Folder: "a/b", JSON: `{"title":"x"}`},
				{Name: "f", Folder: "A B", JSON: `{"title":"x"} `},
				{Name: "g", Folder: "x\ny", JSON: `{"title":"x"}{}`},
			}},
			`dashboards[0].name: must be at most 63 lower-case letters, digits and dashes, got "A"
dashboards[1].json.title: must not be empty: Grafana refuses it, got ""
dashboards[1].json.uid: must be there once: one dashboard would replace the other, got "u"
dashboards[2].json: must be a JSON object: unexpected end of JSON input, got null
dashboards[2].name: must be there once, got "b"
dashboards[3].json: must be a JSON object: json: cannot unmarshal string into Go value of type grafana.model, got null
dashboards[4].json: must fit into a ConfigMap, 1048576 bytes with its file name and without white space, got 1048594
dashboards[7].folder: ` + line + `"x\ny"
dashboards[7].json: must be a JSON object: invalid character '{' after top-level value, got null
dashboards: must have folders that differ in letters or digits; there is "A B", got "a/b"`,
		},
		"a source that is not there": {
			&grafana.Args{Namespace: pulumi.String("m"), ThanosURL: pulumi.String("http://thanos"), Settings: grafana.Settings{
				GrafanaCom: []grafana.ComDashboard{{ID: 1, Revision: 1, Datasources: map[string]string{"DS_A": "thanos", "DS_B": "loki"}}},
			}},
			`grafanaCom[0].datasources.DS_B: must be a data source that there is, got "loki"`,
		},
	} {
		r := newRecorder()
		err := r.RunErr(func(ctx *pulumi.Context) error {
			_, err := grafana.New(ctx, "grafana", test.args)
			return err
		})
		require.ErrorContains(t, err, "validating grafana: "+test.want, name)
		require.True(t, strings.HasSuffix(strings.TrimSpace(err.Error()), strings.TrimSpace(test.want)), "%s: %s", name, err)
		require.Empty(t, names(r), name)
	}
}
