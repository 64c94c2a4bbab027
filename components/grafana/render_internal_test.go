package grafana

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// golden holds got against a file. UPDATE_GOLDEN=1 rewrites it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, got, 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

// everything sets all that goes into grafana.ini.
func everything() Settings {
	return Settings{
		StorageSize: "10Gi",
		Server:      Server{RootURL: "https://grafana.example.com:8443"},
		Security:    Security{AdminUser: "root", CookieSameSite: "none", AllowEmbedding: true},
		Users:       Users{Role: "Editor", Theme: "light", ViewersCanEdit: true},
		Auth: Auth{
			Anonymous: Anonymous{Enabled: true, OrgName: "Guests; all #1", Role: "Admin"},
			Proxy: Proxy{
				Enabled: true, HeaderName: "X-User", HeaderProperty: "email", RoleHeader: "X-Role",
				Whitelist: []string{"10.0.0.0/16", "::1"}, DisableSignUp: true,
			},
			GenericOAuth: &GenericOAuth{
				Name: "Keycloak", ClientID: "id", Scopes: []string{"openid", "groups"}, AuthURL: "https://idp.example.com/auth?x=1",
				TokenURL: "https://idp.example.com/token", APIURL: "https://idp.example.com/userinfo", AllowedDomains: []string{"example.com"},
				AllowedOrganizations: []string{"one", "two"}, AllowedGroups: []string{"ops"}, GroupsAttributePath: "groups",
				LoginAttributePath: "login", EmailAttributePath: "email",
				RoleAttributePath: "contains(groups[*], 'ops') && 'Admin' || 'Viewer'", RoleAttributeStrict: true, UsePKCE: true, AutoLogin: true,
			},
			GitHub: &GitHub{
				ClientID: "gh", AllowedOrganizations: []string{"example"}, TeamIDs: []string{"7"}, AuthURL: "https://ghe/auth", TokenURL: "https://ghe/token",
				APIURL: "https://ghe/api", RoleAttributePath: "'Viewer'", RoleAttributeStrict: true,
			},
			Google: &Google{
				ClientID: "go", Scopes: []string{"openid"}, AllowedDomains: []string{"example.com", "example.org"}, RoleAttributePath: "'Editor'",
				RoleAttributeStrict: true,
			},
		},
		DateFormats: DateFormats{
			FullDate: "YYYY-MM-DD HH:mm:ss", IntervalSecond: "HH:mm:ss", IntervalMinute: "HH:mm", IntervalHour: "MM/DD HH:mm", IntervalDay: "MM/DD",
			IntervalMonth: "YYYY-MM", IntervalYear: "YYYY", DefaultTimezone: "Asia/Tokyo",
		},
		UnifiedAlerting: true,
		Log:             Log{Level: "debug", Format: "json"},
	}
}

// locked has no password: neither form nor basic auth.
func locked(way func(*Auth)) Settings {
	s := Settings{
		Auth:    Auth{DisableLoginForm: true, DisableBasicAuth: true},
		Ingress: &Ingress{Host: "grafana.example.com", TLSSecret: "grafana-tls"},
	}
	way(&s.Auth)
	return s
}

func TestINI(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		settings Settings
		secret   bool
	}{
		{"default", Settings{}, false},
		{"everything", everything(), true},
		{"anonymous", locked(func(a *Auth) { a.Anonymous.Enabled = true }), false},
		{"proxy", locked(func(a *Auth) { a.Proxy = Proxy{Enabled: true, Whitelist: []string{"10.0.0.0/8"}} }), false},
		{"oauth", locked(func(a *Auth) {
			a.GenericOAuth = &GenericOAuth{ClientID: "id", AuthURL: "https://idp/auth", TokenURL: "https://idp/token", UsePKCE: true}
		}), false},
		{"github", locked(func(a *Auth) { a.GitHub = &GitHub{ClientID: "id", AllowedOrganizations: []string{"example"}} }), false},
	} {
		s := test.settings.WithDefaults()
		require.NoError(t, s.Validate(), test.name)
		ini, err := s.ini(test.secret)
		require.NoError(t, err, test.name)
		golden(t, test.name+".ini", ini)
	}
}

// section returns the lines of one section.
func section(t *testing.T, ini []byte, name string) []string {
	t.Helper()
	_, rest, found := strings.Cut("\n"+string(ini), "\n["+name+"]\n")
	require.True(t, found, name)
	body, _, _ := strings.Cut(rest, "\n[")
	return strings.Split(strings.TrimSpace(body), "\n")
}

// What must never change by a rewrite of the golden files.
func TestINIHolds(t *testing.T) {
	t.Parallel()
	ini, err := Settings{}.WithDefaults().ini(false)
	require.NoError(t, err)
	assert.Equal(t, []string{
		"reporting_enabled = false", "check_for_updates = false", "check_for_plugin_updates = false", "feedback_links_enabled = false",
	}, section(t, ini, "analytics"))
	assert.Equal(t, []string{"preinstall_disabled = true", "preinstall_auto_update = false"}, section(t, ini, "plugins"))
	assert.Equal(t, []string{"enabled = false"}, section(t, ini, "unified_alerting"))
	assert.Equal(t, []string{"disable_login_form = false"}, section(t, ini, "auth"))
	assert.Equal(t, []string{"enabled = true"}, section(t, ini, "auth.basic"))
	assert.Contains(t, section(t, ini, "security"), "secret_key = $__file{/etc/grafana/secrets/secret-key}")
	assert.Contains(t, section(t, ini, "security"), "admin_password = $__file{/etc/grafana/secrets/admin-password}")
	assert.Contains(t, section(t, ini, "security"), "disable_initial_admin_creation = false")
	assert.Contains(t, section(t, ini, "security"), "cookie_secure = false")
	assert.NotContains(t, string(ini), "root_url")
	assert.NotContains(t, string(ini), "[auth.generic_oauth]")

	ini, err = locked(func(a *Auth) { a.Anonymous.Enabled = true }).WithDefaults().ini(false)
	require.NoError(t, err)
	assert.Equal(t, []string{"disable_login_form = true"}, section(t, ini, "auth"))
	assert.Equal(t, []string{"enabled = false"}, section(t, ini, "auth.basic"))
	assert.Equal(t, []string{"enabled = true", `org_name = Main Org.`, "org_role = Viewer", "hide_version = true"}, section(t, ini, "auth.anonymous"))
	assert.Equal(t, []string{"http_port = 3000", "domain = grafana.example.com", "root_url = https://grafana.example.com/"}, section(t, ini, "server"))
	assert.Contains(t, section(t, ini, "security"), "disable_initial_admin_creation = true")
	assert.Contains(t, section(t, ini, "security"), "cookie_secure = true")
	assert.NotContains(t, string(ini), "admin_user")
	assert.NotContains(t, string(ini), "admin_password")

	ini, err = everything().WithDefaults().ini(true)
	require.NoError(t, err)
	oauth := section(t, ini, "auth.generic_oauth")
	assert.Equal(t, "enabled = true", oauth[0])
	assert.Equal(t, "client_secret = $__file{/etc/grafana/secrets/generic-oauth-client-secret}", oauth[1])
	assert.Contains(t, oauth, `role_attribute_path = """contains(groups[*], 'ops') && 'Admin' || 'Viewer'"""`)
	assert.Contains(t, oauth, `scopes = openid groups`)
	assert.Contains(t, section(t, ini, "auth.github"), "scopes = user:email read:org")
	assert.Contains(t, section(t, ini, "auth.google"), "allowed_domains = example.com example.org")
	assert.Equal(t, []string{
		"enabled = true", "header_name = X-User", "header_property = email", "auto_sign_up = false", `whitelist = 10.0.0.0/16, ::1`, `headers = Role:X-Role`,
	}, section(t, ini, "auth.proxy"))
}

func TestDataSources(t *testing.T) {
	t.Parallel()
	all := sources{
		thanos: "http://thanos-query-frontend.monitoring.svc:9090", loki: "http://loki.monitoring.svc:3100",
		alertmanager: "http://alertmanager.monitoring.svc:9093", scrapeInterval: "30s",
	}
	for name, s := range map[string]sources{
		"all": all, "none": {}, "metrics": {thanos: all.thanos, scrapeInterval: "15s"}, "logs": {loki: "http://loki/$tenant"},
	} {
		text, err := s.provision()
		require.NoError(t, err)
		golden(t, "datasources-"+name+".yaml", text)
	}
}

// expanded is a provisioning file as Grafana sees it: split at two dollars, what is between loses its variables.
func expanded(t *testing.T, text []byte, into any) {
	t.Helper()
	parts := strings.Split(string(text), "$$")
	for i, part := range parts {
		parts[i] = os.Expand(part, func(name string) string {
			t.Errorf("Grafana would replace %q", name)
			return ""
		})
	}
	require.NoError(t, yaml.UnmarshalStrict([]byte(strings.Join(parts, "$")), into))
}

func TestDataSourcesAreLinkedBothWays(t *testing.T) {
	t.Parallel()
	text, err := sources{thanos: "http://thanos", loki: "http://loki", scrapeInterval: "30s"}.provision()
	require.NoError(t, err)
	var file struct {
		APIVersion  int  `json:"apiVersion"`
		Prune       bool `json:"prune"`
		DataSources []struct {
			dataSource
			JSONData map[string]any `json:"jsonData"`
		} `json:"datasources"`
	}
	expanded(t, text, &file)
	require.Equal(t, 1, file.APIVersion)
	require.True(t, file.Prune)
	require.Len(t, file.DataSources, 2)

	thanos, loki := file.DataSources[0], file.DataSources[1]
	assert.Equal(t, []any{"thanos", "prometheus", true, false, "http://thanos"},
		[]any{thanos.UID, thanos.Type, thanos.IsDefault, thanos.Editable, thanos.URL})
	assert.Equal(t, map[string]any{"httpMethod": "POST", "prometheusType": "Thanos", "timeInterval": "30s", "manageAlerts": false}, thanos.JSONData)
	var logs []string
	for _, link := range thanos.Correlations {
		assert.Equal(t, []any{"loki", "query", "range"}, []any{link.TargetUID, link.Config.Type, link.Config.Target.QueryType})
		assert.NotEmpty(t, link.Label)
		assert.NotEmpty(t, link.Description)
		logs = append(logs, link.Config.Field+": "+link.Config.Target.Expr)
	}
	assert.Equal(t, []string{
		`namespace: {namespace="${namespace}"}`,
		`pod: {namespace="${namespace}", pod="${pod}"}`,
		`container: {namespace="${namespace}", pod="${pod}", container="${container}"}`,
	}, logs)

	assert.Equal(t, []any{"loki", "loki", false}, []any{loki.UID, loki.Type, loki.IsDefault})
	assert.Equal(t, []any{
		map[string]any{"name": "namespace", "matcherType": "label", "matcherRegex": "^namespace$"},
		map[string]any{"name": "pod", "matcherType": "label", "matcherRegex": "^pod$"},
	}, loki.JSONData["derivedFields"])
	var metrics []string
	for _, link := range loki.Correlations {
		assert.Equal(t, []any{"thanos", "query", "pod", true}, []any{link.TargetUID, link.Config.Type, link.Config.Field, link.Config.Target.Range})
		metrics = append(metrics, link.Label+": "+link.Config.Target.Expr)
	}
	const pod = `namespace="${namespace}", pod="${pod}", container!=""`
	assert.Equal(t, []string{
		"CPU of the pod: sum by (namespace, pod, container) (rate(container_cpu_usage_seconds_total{" + pod + "}[$__rate_interval]))",
		"Memory of the pod: sum by (namespace, pod, container) (container_memory_working_set_bytes{" + pod + "})",
	}, metrics)
}

func TestProviders(t *testing.T) {
	t.Parallel()
	text, err := provisionFolders([]string{"", "Cost $ & more"}, []string{"Kubernetes"}, []DashboardConfigMap{{Name: "dashboards-shop", Folder: "Shop"}})
	require.NoError(t, err)
	golden(t, "dashboards.yaml", text)
	var file providers
	expanded(t, text, &file)
	assert.Equal(t, providers{1, []provider{
		{"general", 1, "", "file", false, false, 30, providerOptions{"/etc/grafana/dashboards/general"}},
		{"cost-more", 1, "Cost $ & more", "file", false, false, 30, providerOptions{"/etc/grafana/dashboards/cost-more"}},
		{"kubernetes-grafana-com", 1, "Kubernetes", "file", true, false, 30, providerOptions{"/etc/grafana/downloads/kubernetes"}},
		{"configmap:dashboards-shop", 1, "Shop", "file", false, false, 30, providerOptions{"/etc/grafana/configmaps/dashboards-shop"}},
	}}, file)
}

func TestDownloads(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("0a", 32)
	s := Settings{GrafanaCom: []ComDashboard{
		{ID: 1860, Revision: 37, SHA256: sum, Folder: "Node Exporter", Datasources: map[string]string{"DS_X.Y": "loki", "DS_A": "thanos"}},
		{ID: 3, Revision: 1},
	}}
	everywhere := func(string) bool { return true }
	assert.Equal(t,
		"1860 37 node-exporter "+sum+` s/\${DS_A}/thanos/g;s/\${DS_X\.Y}/loki/g;s/\${DS_LOKI[^}]*}/loki/g;s/\${DS_[^}]*}/thanos/g`+"\n"+
			`3 1 general - s/\${DS_LOKI[^}]*}/loki/g;s/\${DS_[^}]*}/thanos/g`+"\n", string(s.downloads(everywhere)))
	assert.Equal(t, `s/\${DS_[^}]*}/thanos/g`, s.GrafanaCom[1].replacements(func(uid string) bool { return uid == "thanos" }))
	assert.Empty(t, s.GrafanaCom[1].replacements(func(string) bool { return false }))
}

// TestForeignDataSources: nothing in somebody else's Grafana may be taken the place of: neither a name or uid, nor the default, nor what is
// provisioned beside it.
func TestForeignDataSources(t *testing.T) {
	t.Parallel()
	text, err := sources{thanos: "http://thanos", loki: "http://loki", alertmanager: "http://am", scrapeInterval: "30s", foreign: true}.provision()
	require.NoError(t, err)
	var file struct {
		APIVersion  int  `json:"apiVersion"`
		Prune       bool `json:"prune"`
		DataSources []struct {
			dataSource
			JSONData map[string]any `json:"jsonData"`
		} `json:"datasources"`
	}
	expanded(t, text, &file)
	assert.False(t, file.Prune)
	var found []string
	for _, one := range file.DataSources {
		found = append(found, one.UID+" "+one.Name)
		assert.False(t, one.IsDefault, one.UID)
		for _, link := range one.Correlations {
			assert.Contains(t, []string{"kansoku-thanos", "kansoku-loki"}, link.TargetUID)
		}
	}
	assert.Equal(t, []string{"kansoku-thanos Kansoku Thanos", "kansoku-loki Kansoku Loki", "kansoku-alertmanager Kansoku Alertmanager"}, found)
}
