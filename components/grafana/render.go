package grafana

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/kansoku/kansoku/components/kube"
)

// Where things are in the container.
const (
	configFile    = "/etc/grafana/grafana.ini"
	secretsDir    = "/etc/grafana/secrets"
	provisionDir  = "/etc/grafana/provisioning"
	dashboardsDir = "/etc/grafana/dashboards"
	downloadsDir  = "/etc/grafana/downloads"
	configMapsDir = "/etc/grafana/configmaps"
	dataDir       = "/var/lib/grafana"
)

// Keys of the Secret that grafana.ini refers to.
const (
	secretKeyKey     = "secret-key"
	adminPasswordKey = "admin-password"
	genericOAuthKey  = "generic-oauth-client-secret"
	gitHubKey        = "github-client-secret"
	googleKey        = "google-client-secret"
)

// config is grafana.ini.
type config struct {
	Analytics       analyticsSection       `ini:"analytics"`
	Server          serverSection          `ini:"server"`
	Security        securitySection        `ini:"security"`
	Users           usersSection           `ini:"users"`
	Auth            authSection            `ini:"auth"`
	Basic           enabledSection         `ini:"auth.basic"`
	Anonymous       anonymousSection       `ini:"auth.anonymous"`
	Proxy           proxySection           `ini:"auth.proxy"`
	GenericOAuth    *genericOAuthSection   `ini:"auth.generic_oauth"`
	GitHub          *gitHubSection         `ini:"auth.github"`
	Google          *googleSection         `ini:"auth.google"`
	DateFormats     DateFormats            `ini:"date_formats"`
	UnifiedAlerting enabledSection         `ini:"unified_alerting"`
	Plugins         pluginsSection         `ini:"plugins"`
	Snapshots       externalEnabledSection `ini:"snapshots"`
	News            newsSection            `ini:"news"`
	Log             logSection             `ini:"log"`
	LogConsole      logConsoleSection      `ini:"log.console"`
}

type enabledSection struct {
	Enabled bool `ini:"enabled"`
}

type analyticsSection struct {
	ReportingEnabled      bool `ini:"reporting_enabled"`
	CheckForUpdates       bool `ini:"check_for_updates"`
	CheckForPluginUpdates bool `ini:"check_for_plugin_updates"`
	FeedbackLinksEnabled  bool `ini:"feedback_links_enabled"`
}

type serverSection struct {
	HTTPPort int    `ini:"http_port"`
	Domain   string `ini:"domain"`
	RootURL  string `ini:"root_url"`
}

type securitySection struct {
	// Its default is public.
	SecretKey                   secretFile `ini:"secret_key"`
	DisableInitialAdminCreation bool       `ini:"disable_initial_admin_creation"`
	AdminUser                   string     `ini:"admin_user"`
	AdminPassword               secretFile `ini:"admin_password"`
	CookieSecure                bool       `ini:"cookie_secure"`
	CookieSameSite              string     `ini:"cookie_samesite"`
	AllowEmbedding              bool       `ini:"allow_embedding"`
	DisableGravatar             bool       `ini:"disable_gravatar"`
}

type usersSection struct {
	AllowSignUp    bool   `ini:"allow_sign_up"`
	AllowOrgCreate bool   `ini:"allow_org_create"`
	Role           string `ini:"auto_assign_org_role"`
	Theme          string `ini:"default_theme"`
	ViewersCanEdit bool   `ini:"viewers_can_edit"`
}

type authSection struct {
	DisableLoginForm bool `ini:"disable_login_form"`
}

type anonymousSection struct {
	enabledSection
	OrgName     string `ini:"org_name"`
	Role        string `ini:"org_role"`
	HideVersion bool   `ini:"hide_version"`
}

type proxySection struct {
	enabledSection
	HeaderName     string `ini:"header_name"`
	HeaderProperty string `ini:"header_property"`
	AutoSignUp     bool   `ini:"auto_sign_up"`
	Whitelist      string `ini:"whitelist"`
	Headers        string `ini:"headers"`
}

type genericOAuthSection struct {
	enabledSection
	ClientSecret secretFile `ini:"client_secret"`
	GenericOAuth
}

type gitHubSection struct {
	enabledSection
	ClientSecret secretFile `ini:"client_secret"`
	GitHub
}

type googleSection struct {
	enabledSection
	ClientSecret secretFile `ini:"client_secret"`
	Google
}

// pluginsSection keeps the plugins as they are in the image: by default Grafana replaces them by newer ones when it starts, which fails half-way
// on a read-only root and leaves it without Prometheus and Loki (grafana/grafana issue 132528).
type pluginsSection struct {
	PreinstallDisabled   bool `ini:"preinstall_disabled"`
	PreinstallAutoUpdate bool `ini:"preinstall_auto_update"`
}

type externalEnabledSection struct {
	ExternalEnabled bool `ini:"external_enabled"`
}

type newsSection struct {
	NewsFeedEnabled bool `ini:"news_feed_enabled"`
}

type logSection struct {
	Mode  string `ini:"mode"`
	Level string `ini:"level"`
}

type logConsoleSection struct {
	Format string `ini:"format"`
}

// ini is grafana.ini. The settings are valid and hold their defaults; genericSecret says whether that provider has one.
func (s Settings) ini(genericSecret bool) ([]byte, error) {
	c := config{
		Server: serverSection{HTTPPort: HTTPPort},
		Security: securitySection{
			SecretKey: secretKeyKey, DisableInitialAdminCreation: !s.Auth.password(), CookieSameSite: s.Security.CookieSameSite,
			AllowEmbedding: s.Security.AllowEmbedding, DisableGravatar: true,
		},
		Users:           usersSection{Role: s.Users.Role, Theme: s.Users.Theme, ViewersCanEdit: s.Users.ViewersCanEdit},
		Auth:            authSection{DisableLoginForm: s.Auth.DisableLoginForm},
		Basic:           enabledSection{!s.Auth.DisableBasicAuth},
		DateFormats:     s.DateFormats,
		UnifiedAlerting: enabledSection{s.UnifiedAlerting},
		Plugins:         pluginsSection{PreinstallDisabled: true},
		Log:             logSection{Mode: "console", Level: s.Log.Level},
		LogConsole:      logConsoleSection{Format: s.Log.Format},
	}
	if u := s.root(); u != nil {
		c.Server.Domain, c.Server.RootURL = u.Hostname(), u.Scheme+"://"+u.Host+"/"
		c.Security.CookieSecure = u.Scheme == "https"
	}
	if s.Auth.password() {
		c.Security.AdminUser, c.Security.AdminPassword = s.Security.AdminUser, adminPasswordKey
	}
	if a := s.Auth.Anonymous; a.Enabled {
		c.Anonymous = anonymousSection{enabledSection{true}, a.OrgName, a.Role, true}
	}
	if p := s.Auth.Proxy; p.Enabled {
		c.Proxy = proxySection{
			enabledSection: enabledSection{true}, HeaderName: p.HeaderName, HeaderProperty: p.HeaderProperty, AutoSignUp: !p.DisableSignUp,
			Whitelist: strings.Join(p.Whitelist, ", "),
		}
		if p.RoleHeader != "" {
			c.Proxy.Headers = "Role:" + p.RoleHeader
		}
	}
	if p := s.Auth.GenericOAuth; p != nil {
		c.GenericOAuth = &genericOAuthSection{enabledSection: enabledSection{true}, GenericOAuth: *p}
		if genericSecret {
			c.GenericOAuth.ClientSecret = genericOAuthKey
		}
	}
	if p := s.Auth.GitHub; p != nil {
		c.GitHub = &gitHubSection{enabledSection{true}, gitHubKey, *p}
	}
	if p := s.Auth.Google; p != nil {
		c.Google = &googleSection{enabledSection{true}, googleKey, *p}
	}
	return marshalINI(c)
}

// The data sources' identifiers, which dashboards refer to.
const (
	ThanosUID       = "thanos"
	LokiUID         = "loki"
	AlertmanagerUID = "alertmanager"
)

// sources are the addresses of what Grafana reads; empty ones are not there.
type sources struct {
	thanos, loki, alertmanager string
	scrapeInterval             string
	// foreign says that they are for a Grafana that has others, one of which is the default one.
	foreign bool
}

// uid is how a data source of ours is called.
func (s sources) uid(own string) string {
	if s.foreign {
		return foreignPrefix + own
	}
	return own
}

func (s sources) title(own string) string {
	if s.foreign {
		return foreignTitle + own
	}
	return own
}

// What the data sources' identifiers and names begin with in a Grafana that may have some of the same name.
const (
	foreignPrefix = kube.PartOf + "-"
	foreignTitle  = "Kansoku "
)

// DataSource is how dashboards know a data source.
type DataSource struct{ UID, Name string }

// Metrics is the data source of metrics, in our Grafana or in a foreign one (see NewProvisioning).
func Metrics(foreign bool) DataSource {
	s := sources{foreign: foreign}
	return DataSource{s.uid(ThanosUID), s.title("Thanos")}
}

// Logs is the data source of logs, in our Grafana or in a foreign one.
func Logs(foreign bool) DataSource {
	s := sources{foreign: foreign}
	return DataSource{s.uid(LokiUID), s.title("Loki")}
}

type dataSources struct {
	APIVersion int `json:"apiVersion"`
	// Prune removes from a kept database what is no longer here: also what others have provisioned and given up.
	Prune       bool         `json:"prune,omitempty"`
	DataSources []dataSource `json:"datasources"`
}

type dataSource struct {
	Name         string        `json:"name"`
	UID          string        `json:"uid"`
	Type         string        `json:"type"`
	Access       string        `json:"access"`
	URL          string        `json:"url"`
	IsDefault    bool          `json:"isDefault"`
	Editable     bool          `json:"editable"`
	JSONData     any           `json:"jsonData"`
	Correlations []correlation `json:"correlations,omitempty"`
}

type prometheusData struct {
	HTTPMethod     string `json:"httpMethod"`
	PrometheusType string `json:"prometheusType"`
	TimeInterval   string `json:"timeInterval"`
	ManageAlerts   bool   `json:"manageAlerts"`
}

type lokiData struct {
	MaxLines      int            `json:"maxLines"`
	ManageAlerts  bool           `json:"manageAlerts"`
	DerivedFields []derivedField `json:"derivedFields,omitempty"`
}

// derivedField makes a field of a log line out of one of its labels.
type derivedField struct {
	Name         string `json:"name"`
	MatcherType  string `json:"matcherType"`
	MatcherRegex string `json:"matcherRegex"`
}

type alertmanagerData struct {
	Implementation             string `json:"implementation"`
	HandleGrafanaManagedAlerts bool   `json:"handleGrafanaManagedAlerts"`
}

// correlation is a link in Explore from a field of one data source's results to a query of another. It shows only where all fields that
// the query mentions are there. Label and description must be given: Grafana dies without them.
type correlation struct {
	TargetUID   string            `json:"targetUID"`
	Label       string            `json:"label"`
	Description string            `json:"description"`
	Config      correlationConfig `json:"config"`
}

type correlationConfig struct {
	// Type is here and not beside Label, where some releases die of it.
	Type   string            `json:"type"`
	Field  string            `json:"field"`
	Target correlationTarget `json:"target"`
}

type correlationTarget struct {
	Expr string `json:"expr"`
	// Range and QueryType say the same to Prometheus and to Loki.
	Range     bool   `json:"range,omitempty"`
	QueryType string `json:"queryType,omitempty"`
}

func correlate(target, field, label, description string, query correlationTarget) correlation {
	return correlation{target, label, description, correlationConfig{"query", field, query}}
}

// toLogs lead from the labels of a metric to the logs of the same namespace, pod or container.
func (s sources) toLogs() []correlation {
	var links []correlation
	var selector []string
	for _, label := range []string{"namespace", "pod", "container"} {
		selector = append(selector, fmt.Sprintf(`%s="${%s}"`, label, label))
		links = append(links, correlate(s.uid(LokiUID), label, "Logs of the "+label, "What the "+label+" of this metric logs",
			correlationTarget{Expr: "{" + strings.Join(selector, ", ") + "}", QueryType: "range"}))
	}
	return links
}

// toMetrics lead from a log line to what its pod uses.
func (s sources) toMetrics() []correlation {
	const pod = `namespace="${namespace}", pod="${pod}", container!=""`
	link := func(label, what, expr string) correlation {
		return correlate(s.uid(ThanosUID), "pod", label, what+" of the pod that wrote this line",
			correlationTarget{Expr: "sum by (namespace, pod, container) (" + expr + ")", Range: true})
	}
	return []correlation{
		link("CPU of the pod", "CPU", "rate(container_cpu_usage_seconds_total{"+pod+"}[$__rate_interval])"),
		link("Memory of the pod", "Memory", "container_memory_working_set_bytes{"+pod+"}"),
	}
}

// provision renders the data sources. Grafana replaces variables in these files: every dollar is written twice, as none of ours is for it.
func (s sources) provision() ([]byte, error) {
	file := dataSources{APIVersion: 1, Prune: !s.foreign, DataSources: []dataSource{}}
	linked := s.thanos != "" && s.loki != ""
	if s.thanos != "" {
		source := dataSource{
			Name: s.title("Thanos"), UID: s.uid(ThanosUID), Type: "prometheus", Access: "proxy", URL: s.thanos, IsDefault: !s.foreign,
			JSONData: prometheusData{HTTPMethod: "POST", PrometheusType: "Thanos", TimeInterval: s.scrapeInterval},
		}
		if linked {
			source.Correlations = s.toLogs()
		}
		file.DataSources = append(file.DataSources, source)
	}
	if s.loki != "" {
		data := lokiData{MaxLines: 1000}
		source := dataSource{
			Name: s.title("Loki"), UID: s.uid(LokiUID), Type: "loki", Access: "proxy", URL: s.loki, IsDefault: s.thanos == "" && !s.foreign,
		}
		if linked {
			// What a correlation starts from and mentions must be a field; labels are not.
			for _, label := range []string{"namespace", "pod"} {
				data.DerivedFields = append(data.DerivedFields, derivedField{label, "label", "^" + label + "$"})
			}
			source.Correlations = s.toMetrics()
		}
		source.JSONData = data
		file.DataSources = append(file.DataSources, source)
	}
	if s.alertmanager != "" {
		file.DataSources = append(file.DataSources, dataSource{
			Name: s.title("Alertmanager"), UID: s.uid(AlertmanagerUID), Type: "alertmanager", Access: "proxy", URL: s.alertmanager,
			JSONData: alertmanagerData{Implementation: "prometheus"},
		})
	}
	return marshalProvisioning(file)
}

func marshalProvisioning(file any) ([]byte, error) {
	text, err := yaml.Marshal(file)
	if err != nil {
		return nil, fmt.Errorf("marshalling provisioning file: %w", err)
	}
	return bytes.ReplaceAll(text, []byte("$"), []byte("$$")), nil
}

type providers struct {
	APIVersion int        `json:"apiVersion"`
	Providers  []provider `json:"providers"`
}

type provider struct {
	Name                  string          `json:"name"`
	OrgID                 int             `json:"orgId"`
	Folder                string          `json:"folder"`
	Type                  string          `json:"type"`
	DisableDeletion       bool            `json:"disableDeletion"`
	AllowUIUpdates        bool            `json:"allowUiUpdates"`
	UpdateIntervalSeconds int             `json:"updateIntervalSeconds"`
	Options               providerOptions `json:"options"`
}

type providerOptions struct {
	Path string `json:"path"`
}

// provisionFolders renders where dashboards are: a provider for each folder of own ones, and for each of those from grafana.com, which a kept
// database does not lose when grafana.com is out of reach; and one for each ConfigMap of others.
func provisionFolders(own, com []string, maps []DashboardConfigMap) ([]byte, error) {
	file := providers{APIVersion: 1, Providers: []provider{}}
	add := func(name, title, path string, keep bool) {
		file.Providers = append(file.Providers, provider{
			Name: name, OrgID: 1, Folder: title, Type: "file", DisableDeletion: keep, UpdateIntervalSeconds: 30, Options: providerOptions{path},
		})
	}
	for _, from := range []struct {
		titles         []string
		parent, suffix string
		keep           bool
	}{
		{own, dashboardsDir, "", false},
		{com, downloadsDir, "-grafana-com", true},
	} {
		for _, title := range from.titles {
			add(directory(title)+from.suffix, title, from.parent+"/"+directory(title), from.keep)
		}
	}
	for _, c := range maps {
		add("configmap:"+c.Name, c.Folder, configMapsDir+"/"+c.Name, false) // no directory has a colon
	}
	return marshalProvisioning(file)
}

// downloads is the list that download.sh reads. has says which data sources there are.
func (s Settings) downloads(has func(uid string) bool) []byte {
	var out bytes.Buffer
	for _, d := range s.GrafanaCom {
		sum := d.SHA256
		if sum == "" {
			sum = "-"
		}
		fmt.Fprintf(&out, "%d %d %s %s %s\n", d.ID, d.Revision, directory(d.Folder), sum, d.replacements(has))
	}
	return out.Bytes()
}

// replacements are sed commands that put data sources in the place of placeholders: those named first, then all others.
func (d ComDashboard) replacements(has func(uid string) bool) string {
	var commands []string
	replace := func(pattern, uid string) {
		if has(uid) {
			commands = append(commands, `s/\${`+pattern+`}/`+uid+`/g`)
		}
	}
	for _, placeholder := range sorted(d.Datasources) {
		replace(regexp.QuoteMeta(placeholder), d.Datasources[placeholder])
	}
	replace("DS_LOKI[^}]*", LokiUID)
	replace("DS_[^}]*", ThanosUID)
	return strings.Join(commands, ";")
}
