package grafana_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/grafana"
	"github.com/kansoku/kansoku/components/kube"
)

func TestDefaults(t *testing.T) {
	t.Parallel()
	got := grafana.Settings{}.WithDefaults()
	require.Equal(t, grafana.Settings{
		Resources: kube.Resources{CPU: "100m", Memory: "384Mi", MemoryLimit: "1Gi"},
		Security:  grafana.Security{AdminUser: "admin", CookieSameSite: "lax"},
		Users:     grafana.Users{Role: "Viewer", Theme: "dark"},
		Log:       grafana.Log{Level: "info", Format: "text"},
	}, got)
	require.NoError(t, got.Validate())
	require.False(t, got.CallsInternet())

	given := grafana.Settings{
		StorageSize: "5Gi",
		Auth: grafana.Auth{
			Anonymous: grafana.Anonymous{Enabled: true}, Proxy: grafana.Proxy{Enabled: true},
			GenericOAuth: &grafana.GenericOAuth{}, GitHub: &grafana.GitHub{}, Google: &grafana.Google{},
		},
		Ingress: &grafana.Ingress{Host: "g.example.com"},
	}
	got = given.WithDefaults()
	assert.Equal(t, "gp3", got.StorageClass)
	assert.Equal(t, "http://g.example.com/", got.Server.RootURL)
	assert.Equal(t, grafana.Anonymous{Enabled: true, OrgName: "Main Org.", Role: "Viewer"}, got.Auth.Anonymous)
	assert.Equal(t, grafana.Proxy{Enabled: true, HeaderName: "X-WEBAUTH-USER", HeaderProperty: "username"}, got.Auth.Proxy)
	assert.Equal(t, &grafana.GenericOAuth{Name: "OAuth", Scopes: []string{"openid", "profile", "email"}}, got.Auth.GenericOAuth)
	assert.Equal(t, &grafana.GitHub{Scopes: []string{"user:email", "read:org"}}, got.Auth.GitHub)
	assert.Equal(t, &grafana.Google{}, got.Auth.Google)
	assert.Equal(t, got, got.WithDefaults(), "twice")
	assert.Empty(t, given.Auth.GitHub.Scopes, "what was given stays as it is")
	assert.Empty(t, given.Auth.GenericOAuth.Name, "what was given stays as it is")
	assert.True(t, got.CallsInternet())
	assert.True(t, grafana.Settings{GrafanaCom: []grafana.ComDashboard{{}}}.CallsInternet())

	for _, secure := range []grafana.Ingress{
		{Host: "g.example.com", TLSSecret: "tls"},
		{Host: "g.example.com", Annotations: map[string]string{"alb.ingress.kubernetes.io/certificate-arn": "arn"}},
	} {
		assert.Equal(t, "https://g.example.com/", grafana.Settings{Ingress: &secure}.WithDefaults().Server.RootURL)
	}
}

const (
	nobody = "auth.disableLoginForm: must not be set beside disableBasicAuth unless there is OAuth, proxy or anonymous login: nobody could log in, got true"
	line   = "must be one line without control characters, `\"\"\"`, `${`, `$__` and `%(`, got "
)

func reachable(auth grafana.Auth) grafana.Settings {
	return grafana.Settings{Auth: auth, Server: grafana.Server{RootURL: "https://grafana.example.com/"}}
}

// One way in is enough, whichever it is.
func TestWaysIn(t *testing.T) {
	t.Parallel()
	for name, way := range map[string]func(*grafana.Auth){
		"form":      func(a *grafana.Auth) { a.DisableLoginForm = false },
		"basic":     func(a *grafana.Auth) { a.DisableBasicAuth = false },
		"anonymous": func(a *grafana.Auth) { a.Anonymous.Enabled = true },
		"proxy":     func(a *grafana.Auth) { a.Proxy = grafana.Proxy{Enabled: true, Whitelist: []string{"10.0.0.1"}} },
		"generic": func(a *grafana.Auth) {
			a.GenericOAuth = &grafana.GenericOAuth{ClientID: "id", AuthURL: "https://idp/auth", TokenURL: "https://idp/token"}
		},
		"github": func(a *grafana.Auth) { a.GitHub = &grafana.GitHub{ClientID: "id", TeamIDs: []string{"1"}} },
		"google": func(a *grafana.Auth) {
			a.Google = &grafana.Google{ClientID: "id", AllowedDomains: []string{"example.com"}}
		},
	} {
		auth := grafana.Auth{DisableLoginForm: true, DisableBasicAuth: true}
		require.EqualError(t, reachable(auth).WithDefaults().Validate(), nobody)
		way(&auth)
		require.NoError(t, reachable(auth).WithDefaults().Validate(), name)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	oauth := func() *grafana.GenericOAuth {
		return &grafana.GenericOAuth{ClientID: "id", AuthURL: "https://idp/auth", TokenURL: "https://idp/token"}
	}
	for name, test := range map[string]struct {
		settings grafana.Settings
		want     string
	}{
		"storage": {
			grafana.Settings{StorageSize: "500Mi", StorageClass: "GP3"},
			`storageSize: must be a Kubernetes quantity of at least 1Gi, such as "10Gi", got "500Mi"
storageClass: must name a storage class: lower-case letters, digits, dashes and dots, got "GP3"`,
		},
		"class without storage": {
			grafana.Settings{StorageClass: "gp3"}, `storageClass: must not be set without storageSize, got "gp3"`,
		},
		"resources": {
			grafana.Settings{Resources: kube.Resources{CPU: "x"}},
			`resources.cpu: must be a positive Kubernetes quantity such as "100m" or "256Mi", got "x"`,
		},
		"words": {
			grafana.Settings{
				Security: grafana.Security{CookieSameSite: "no"}, Users: grafana.Users{Role: "viewer", Theme: "blue"},
				Log: grafana.Log{Level: "trace", Format: "xml"},
			},
			`security.cookieSameSite: must be one of lax, strict, none, disabled, got "no"
users.role: must be one of Viewer, Editor, Admin, got "viewer"
users.theme: must be one of dark, light, system, got "blue"
log.level: must be one of debug, info, warn, error, critical, got "trace"
log.format: must be one of text, json, got "xml"`,
		},
		"cookies without https": {
			grafana.Settings{Security: grafana.Security{CookieSameSite: "none"}, Server: grafana.Server{RootURL: "http://h"}},
			`security.cookieSameSite: must not be none without https: browsers drop such cookies, got "none"`,
		},
		"anonymous, not enabled": {
			grafana.Settings{Auth: grafana.Auth{Anonymous: grafana.Anonymous{Role: "Viewer"}}},
			`auth.anonymous.enabled: must be true, or the rest of it not set, got false`,
		},
		"anonymous": {
			grafana.Settings{Auth: grafana.Auth{Anonymous: grafana.Anonymous{Enabled: true, OrgName: "Mine", Role: "Root"}}},
			`auth.anonymous.orgName: must be "Main Org." without storage: a fresh database has no other, got "Mine"
auth.anonymous.role: must be one of Viewer, Editor, Admin, got "Root"`,
		},
		"proxy, not enabled": {
			grafana.Settings{Auth: grafana.Auth{Proxy: grafana.Proxy{Whitelist: []string{"1.2.3.4"}}}},
			`auth.proxy.enabled: must be true, or the rest of it not set, got false`,
		},
		"proxy": {
			grafana.Settings{Auth: grafana.Auth{Proxy: grafana.Proxy{
				Enabled: true, HeaderName: "X: Y", HeaderProperty: "login", RoleHeader: "a b", DisableSignUp: true,
			}}},
			`auth.proxy.headerName: must be the name of a header: letters, digits and dashes, got "X: Y"
auth.proxy.roleHeader: must be the name of a header: letters, digits and dashes, got "a b"
auth.proxy.headerProperty: must be one of username, email, got "login"
auth.proxy.whitelist: must have the proxy's addresses: whoever else reaches Grafana could claim to be anyone, got null
auth.proxy.disableSignUp: must not be set without storage: a fresh database has no user but the administrator, got true`,
		},
		"proxy's addresses": {
			grafana.Settings{Auth: grafana.Auth{Proxy: grafana.Proxy{Enabled: true, Whitelist: []string{"10.0.0.0/8", "10.0.0.0/33", "proxy", "::1"}}}},
			`auth.proxy.whitelist[1]: must be an address or a range, such as "10.0.0.0/16", got "10.0.0.0/33"
auth.proxy.whitelist[2]: must be an address or a range, such as "10.0.0.0/16", got "proxy"`,
		},
		"OAuth without address": {
			grafana.Settings{Auth: grafana.Auth{GenericOAuth: oauth()}},
			`server.rootUrl: must be set, or an ingress, for OAuth: the provider sends people back there, got ""`,
		},
		"generic OAuth": {
			reachable(grafana.Auth{GenericOAuth: &grafana.GenericOAuth{
				AuthURL: "ftp://idp", TokenURL: "", APIURL: "idp", Scopes: []string{"a b"}, AllowedDomains: []string{""},
				AllowedOrganizations: []string{"a,b"}, AllowedGroups: []string{"x", "y z"}, RoleAttributeStrict: true,
			}}),
			`auth.genericOAuth.clientId: is required, got ""
auth.genericOAuth.authUrl: must be a URL, got "ftp://idp"
auth.genericOAuth.tokenUrl: must be a URL, got ""
auth.genericOAuth.apiUrl: must be a URL, got "idp"
auth.genericOAuth.scopes[0]: must not be empty, nor have spaces or commas, got "a b"
auth.genericOAuth.allowedDomains[0]: must not be empty, nor have spaces or commas, got ""
auth.genericOAuth.allowedOrganizations[0]: must not be empty, nor have spaces or commas, got "a,b"
auth.genericOAuth.allowedGroups[1]: must not be empty, nor have spaces or commas, got "y z"
auth.genericOAuth.groupsAttributePath: must be set beside allowedGroups: without it nobody is in a group, got ""
auth.genericOAuth.roleAttributePath: must be set beside roleAttributeStrict: without it nobody has a role, got ""`,
		},
		"GitHub": {
			reachable(grafana.Auth{GitHub: &grafana.GitHub{AuthURL: "x", TokenURL: "y", APIURL: "z", RoleAttributeStrict: true}}),
			`auth.github.clientId: is required, got ""
auth.github.allowedOrganizations: must have one, or teamIds: else anyone with an account is let in, got null
auth.github.authUrl: must be a URL, got "x"
auth.github.tokenUrl: must be a URL, got "y"
auth.github.apiUrl: must be a URL, got "z"
auth.github.roleAttributePath: must be set beside roleAttributeStrict: without it nobody has a role, got ""`,
		},
		"GitHub's teams": {
			reachable(grafana.Auth{GitHub: &grafana.GitHub{ClientID: "id", TeamIDs: []string{"1", "ops", "-1"}}}),
			`auth.github.teamIds[1]: must be a team's number, got "ops"
auth.github.teamIds[2]: must be a team's number, got "-1"`,
		},
		"Google": {
			reachable(grafana.Auth{Google: &grafana.Google{Scopes: []string{","}, RoleAttributeStrict: true}}),
			`auth.google.clientId: is required, got ""
auth.google.allowedDomains: must have one: else anyone with an account is let in, got null
auth.google.scopes[0]: must not be empty, nor have spaces or commas, got ","
auth.google.roleAttributePath: must be set beside roleAttributeStrict: without it nobody has a role, got ""`,
		},
		"two log in by themselves": {
			reachable(grafana.Auth{
				GitHub: &grafana.GitHub{ClientID: "id", TeamIDs: []string{"1"}, AutoLogin: true},
				Google: &grafana.Google{ClientID: "id", AllowedDomains: []string{"example.com"}, AutoLogin: true},
			}),
			`auth: must have autoLogin at one provider at most, got 2`,
		},
		"ingress": {
			grafana.Settings{Ingress: &grafana.Ingress{Host: "*.example.com", Class: "A", TLSSecret: "b_c"}, Server: grafana.Server{RootURL: "https://h/"}},
			`ingress.host: must be a host name, such as "grafana.example.com", got "*.example.com"
ingress.class: must name an ingress class: lower-case letters, digits, dashes and dots, got "A"
ingress.tlsSecret: must name a Secret: lower-case letters, digits, dashes and dots, got "b_c"`,
		},
		"grafana.com": {
			grafana.Settings{GrafanaCom: []grafana.ComDashboard{
				{ID: 1, Revision: 1, SHA256: strings.Repeat("a", 64)},
				{ID: 1, SHA256: "A", Folder: "GENERAL", Datasources: map[string]string{"DS_}": "thanos", "DS_A": "prometheus"}},
				{Revision: -1, Folder: "?!"},
				{ID: 2, Revision: 1, Folder: strings.Repeat("x", 41)},
			}},
			`grafanaCom[1].id: must be there once, got 1
grafanaCom[1].revision: must be at least 1, got 0
grafanaCom[1].sha256: must be 64 lower-case hexadecimal digits, got "A"
grafanaCom[1].folder: must be at most 40 characters with a letter or digit among them, and not General; none is no folder, got "GENERAL"
grafanaCom[1].datasources.DS_A: must be one of thanos, loki, alertmanager, got "prometheus"
grafanaCom[1].datasources: must be keyed by placeholders: DS_ and letters, digits, underscores, dots and dashes, got "DS_}"
grafanaCom[2].id: must be the number in the dashboard's address on grafana.com, got 0
grafanaCom[2].revision: must be at least 1, got -1
grafanaCom[2].folder: must be at most 40 characters with a letter or digit among them, and not General; none is no folder, got "?!"
grafanaCom[3].folder: must be at most 40 characters with a letter or digit among them, and not General; none is no folder, got "` +
				strings.Repeat("x", 41) + `"
grafanaCom: must have folders that differ in letters or digits; there is "", got "GENERAL"`,
		},
		"ConfigMaps": {
			grafana.Settings{DashboardConfigMaps: []grafana.DashboardConfigMap{
				{Name: "a"}, {Name: "a", Folder: "General"}, {Name: "grafana-config"}, {Name: strings.Repeat("x", 41)},
			}},
			`dashboardConfigMaps[1].name: must be there once, got "a"
dashboardConfigMaps[1].folder: must be at most 40 characters with a letter or digit among them, and not General; none is no folder, got "General"
dashboardConfigMaps[2].name: must not begin with grafana-: those are our own, got "grafana-config"
dashboardConfigMaps[3].name: must be at most 40 lower-case letters, digits and dashes, got "` + strings.Repeat("x", 41) + `"`,
		},
		"folders": {
			grafana.Settings{GrafanaCom: []grafana.ComDashboard{{ID: 1, Revision: 1, Folder: "A b"}, {ID: 2, Revision: 1, Folder: "a-B"}}},
			`grafanaCom: must have folders that differ in letters or digits; there is "A b", got "a-B"`,
		},
		"lines": {
			func() grafana.Settings {
				s := reachable(grafana.Auth{GenericOAuth: oauth()})
				s.Security.AdminUser = "admin\n[auth.anonymous]\nenabled = true"
				s.Auth.GenericOAuth.RoleAttributePath = "$__file{/etc/passwd}"
				s.Auth.GenericOAuth.Scopes = []string{"ok", "a\tb"}
				s.DateFormats.FullDate = `"""`
				s.GrafanaCom = []grafana.ComDashboard{{ID: 1, Revision: 1, Folder: "${X}"}}
				return s
			}(),
			`security.adminUser: ` + line + `"admin\n[auth.anonymous]\nenabled = true"
auth.genericOAuth.scopes[1]: ` + line + `"a\tb"
auth.genericOAuth.roleAttributePath: ` + line + `"$__file{/etc/passwd}"
dateFormats.fullDate: ` + line + `"\"\"\""
grafanaCom[0].folder: ` + line + `"${X}"`,
		},
	} {
		require.EqualError(t, test.settings.WithDefaults().Validate(), test.want, name)
	}
	for _, root := range []string{"grafana", "https://", "ftp://h/", "https://h/grafana", "https://h/?a", "https://u@h/", "https://h/#a", "https://h:x/"} {
		require.EqualError(t, grafana.Settings{Server: grafana.Server{RootURL: root}}.WithDefaults().Validate(),
			`server.rootUrl: must be a URL with a host and without a path, such as "https://grafana.example.com/", got "`+root+`"`)
	}
}
