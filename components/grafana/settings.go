// Package grafana deploys Grafana with its data sources (Thanos, Loki, Alertmanager), linked with each other, and dashboards: own ones and
// those of grafana.com. It owns neither the stores that it reads nor the content of the dashboards.
package grafana

import (
	"cmp"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/internal/check"
)

// Settings are what a stack may say about Grafana.
type Settings struct {
	// Resources of Grafana. Default: 100m CPU, 384Mi memory, limit 1Gi (an estimate, not measured: since Grafana 13 every kind of data
	// source is a process of its own, and upstream's 200Mi is from before).
	Resources kube.Resources `pulumi:"resources,optional"`
	// StorageSize of a volume for Grafana's database, as a Kubernetes quantity of at least 1Gi. Default: none; logins, users, preferences
	// and what was made in the browser end with the pod, what is provisioned is there again in the next.
	StorageSize string `pulumi:"storageSize,optional"`
	// StorageClass of the volume. Default: gp3.
	StorageClass string `pulumi:"storageClass,optional"`
	// Server is how people reach Grafana.
	Server Server `pulumi:"server,optional"`
	// Security of cookies, frames and the administrator.
	Security Security `pulumi:"security,optional"`
	// Users, before they choose for themselves.
	Users Users `pulumi:"users,optional"`
	// Auth is how people log in. Default: by the administrator's password.
	Auth Auth `pulumi:"auth,optional"`
	// DateFormats in which times are shown.
	DateFormats DateFormats `pulumi:"dateFormats,optional"`
	// UnifiedAlerting switches Grafana's own alerting on. Default: false, alerts are Alertmanager's.
	UnifiedAlerting bool `pulumi:"unifiedAlerting,optional"`
	// Log of Grafana itself, on standard output.
	Log Log `pulumi:"log,optional"`
	// Ingress that leads to Grafana. Default: none; `kubectl port-forward` does.
	Ingress *Ingress `pulumi:"ingress,optional"`
	// GrafanaCom are dashboards to fetch from grafana.com whenever the pod starts. What cannot be fetched is left out. Default: none.
	GrafanaCom []ComDashboard `pulumi:"grafanaCom,optional"`
	// DashboardConfigMaps are where others, a team for one, put dashboards of theirs without a change here: each key of such a ConfigMap that
	// ends in ".json" is one. Default: none.
	DashboardConfigMaps []DashboardConfigMap `pulumi:"dashboardConfigMaps,optional"`
}

// DashboardConfigMap is a ConfigMap in Grafana's namespace that somebody else makes, before or after. What is in it shows within two minutes.
type DashboardConfigMap struct {
	// Name of the ConfigMap: at most 40 lower-case letters, digits and dashes. Required.
	Name string `pulumi:"name"`
	// Folder that its dashboards appear in. Default: none.
	Folder string `pulumi:"folder,optional"`
}

// Server is grafana.ini's [server].
type Server struct {
	// RootURL as browsers see it ("https://grafana.example.com/"), without a path. Default: the ingress' host, with https if its TLS is
	// known (tlsSecret, or an AWS load balancer's certificate annotation); none without ingress.
	RootURL string `pulumi:"rootUrl,optional"`
}

// Security is grafana.ini's [security]. Cookies are for https only where the root URL is.
type Security struct {
	// AdminUser is the administrator's login. Default: admin.
	AdminUser string `pulumi:"adminUser,optional"`
	// CookieSameSite of the session: lax, strict, none or disabled. Default: lax.
	CookieSameSite string `pulumi:"cookieSameSite,optional"`
	// AllowEmbedding lets other sites show Grafana in a frame. Default: false.
	AllowEmbedding bool `pulumi:"allowEmbedding,optional"`
}

// Users is grafana.ini's [users]. Nobody signs up by themselves.
type Users struct {
	// Role of who logs in for the first time, unless OAuth or the proxy says: Viewer, Editor or Admin. Default: Viewer.
	Role string `pulumi:"role,optional"`
	// Theme: dark, light or system. Default: dark.
	Theme string `pulumi:"theme,optional"`
	// ViewersCanEdit lets viewers try changes and use Explore, and so the links between metrics and logs, without saving. Default: false.
	ViewersCanEdit bool `pulumi:"viewersCanEdit,optional"`
}

// DateFormats is grafana.ini's [date_formats], in the patterns of moment.js ("YYYY-MM-DD HH:mm:ss"). Default of each: Grafana's.
type DateFormats struct {
	// FullDate is where there is room for date and time.
	FullDate string `pulumi:"fullDate,optional" ini:"full_date"`
	// IntervalSecond is on an axis of seconds.
	IntervalSecond string `pulumi:"intervalSecond,optional" ini:"interval_second"`
	// IntervalMinute is on an axis of minutes.
	IntervalMinute string `pulumi:"intervalMinute,optional" ini:"interval_minute"`
	// IntervalHour is on an axis of hours.
	IntervalHour string `pulumi:"intervalHour,optional" ini:"interval_hour"`
	// IntervalDay is on an axis of days.
	IntervalDay string `pulumi:"intervalDay,optional" ini:"interval_day"`
	// IntervalMonth is on an axis of months.
	IntervalMonth string `pulumi:"intervalMonth,optional" ini:"interval_month"`
	// IntervalYear is on an axis of years.
	IntervalYear string `pulumi:"intervalYear,optional" ini:"interval_year"`
	// DefaultTimezone of dashboards without one: "browser", "utc" or an IANA name ("Asia/Tokyo"). Default: browser.
	DefaultTimezone string `pulumi:"defaultTimezone,optional" ini:"default_timezone"`
}

// Log is grafana.ini's [log].
type Log struct {
	// Level: debug, info, warn, error or critical. Default: info.
	Level string `pulumi:"level,optional"`
	// Format: text (logfmt) or json. Default: text.
	Format string `pulumi:"format,optional"`
}

// Ingress is a Kubernetes Ingress for one host.
type Ingress struct {
	// Host ("grafana.example.com"). Required.
	Host string `pulumi:"host"`
	// Class of the ingress controller. Default: the cluster's default class.
	Class string `pulumi:"class,optional"`
	// TLSSecret is an existing Secret with the host's certificate, in Grafana's namespace. Default: none.
	TLSSecret string `pulumi:"tlsSecret,optional"`
	// Annotations for the controller. Default: none.
	Annotations map[string]string `pulumi:"annotations,optional"`
}

// albCertificate is how an AWS load balancer is told its certificate.
const albCertificate = "alb.ingress.kubernetes.io/certificate-arn"

// rootURL is where browsers find the host.
func (i *Ingress) rootURL() string {
	if i.TLSSecret != "" || i.Annotations[albCertificate] != "" {
		return "https://" + i.Host + "/"
	}
	return "http://" + i.Host + "/"
}

// ComDashboard is a dashboard on grafana.com.
type ComDashboard struct {
	// ID in its address on grafana.com. Required.
	ID int `pulumi:"id"`
	// Revision of it. Required: the newest may change at any time.
	Revision int `pulumi:"revision"`
	// SHA256 of the JSON as grafana.com serves it, 64 lower-case hexadecimal digits. Another content is not used. Default: not checked.
	SHA256 string `pulumi:"sha256,optional"`
	// Folder that it appears in. Default: none.
	Folder string `pulumi:"folder,optional"`
	// Datasources says which of our data sources (thanos, loki, alertmanager) stands for a placeholder ("DS_PROMETHEUS"). Default: loki for
	// those beginning with DS_LOKI, thanos for all others.
	Datasources map[string]string `pulumi:"datasources,optional"`
}

// WithDefaults fills what is not set.
func (s Settings) WithDefaults() Settings {
	s.Resources = s.Resources.Or(kube.Resources{CPU: "100m", Memory: "384Mi", MemoryLimit: "1Gi"})
	if s.StorageSize != "" {
		s.StorageClass = cmp.Or(s.StorageClass, "gp3")
	}
	if s.Ingress != nil {
		s.Server.RootURL = cmp.Or(s.Server.RootURL, s.Ingress.rootURL())
	}
	s.Security.AdminUser = cmp.Or(s.Security.AdminUser, "admin")
	s.Security.CookieSameSite = cmp.Or(s.Security.CookieSameSite, "lax")
	s.Users.Role = cmp.Or(s.Users.Role, roleViewer)
	s.Users.Theme = cmp.Or(s.Users.Theme, "dark")
	s.Log.Level = cmp.Or(s.Log.Level, "info")
	s.Log.Format = cmp.Or(s.Log.Format, "text")
	s.Auth = s.Auth.withDefaults()
	return s
}

// Validate checks the settings, defaults filled in.
func (s Settings) Validate() error {
	var errs check.Errors
	requireOneLine(&errs, reflect.ValueOf(s), "")
	errs.Under("resources", s.Resources.Validate())
	s.validateStorage(&errs)
	s.validateServer(&errs)
	check.OneOf(&errs, "security.cookieSameSite", s.Security.CookieSameSite, "lax", "strict", "none", "disabled")
	check.OneOf(&errs, "users.role", s.Users.Role, roleViewer, roleEditor, roleAdmin)
	check.OneOf(&errs, "users.theme", s.Users.Theme, "dark", "light", "system")
	check.OneOf(&errs, "log.level", s.Log.Level, "debug", "info", "warn", "error", "critical")
	check.OneOf(&errs, "log.format", s.Log.Format, "text", "json")
	s.validateAuth(&errs)
	if s.Ingress != nil {
		errs.Under("ingress", s.Ingress.validate())
	}
	s.validateGrafanaCom(&errs)
	s.validateConfigMaps(&errs)
	return errs.Err()
}

func (s Settings) validateStorage(errs *check.Errors) {
	if s.StorageSize == "" {
		errs.Require(s.StorageClass == "", "storageClass", s.StorageClass, "must not be set without storageSize")
		return
	}
	size, err := resource.ParseQuantity(s.StorageSize)
	errs.Require(err == nil && size.Cmp(resource.MustParse("1Gi")) >= 0, "storageSize", s.StorageSize,
		`must be a Kubernetes quantity of at least 1Gi, such as "10Gi"`)
	errs.Require(len(validation.IsDNS1123Subdomain(s.StorageClass)) == 0, "storageClass", s.StorageClass,
		"must name a storage class: lower-case letters, digits, dashes and dots")
}

// root is the root URL, parsed; nil if there is none or it is none.
func (s Settings) root() *url.URL {
	u, err := url.Parse(s.Server.RootURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil
	}
	return u
}

func (s Settings) validateServer(errs *check.Errors) {
	if s.Server.RootURL == "" {
		return
	}
	// Below a path Grafana answers its probes, its metrics and its ingress elsewhere.
	u := s.root()
	errs.Require(u != nil && u.User == nil && u.RawQuery == "" && u.Fragment == "" && strings.Trim(u.Path, "/") == "", "server.rootUrl",
		s.Server.RootURL, `must be a URL with a host and without a path, such as "https://grafana.example.com/"`)
	errs.Require(s.Security.CookieSameSite != "none" || u == nil || u.Scheme == "https", "security.cookieSameSite", s.Security.CookieSameSite,
		"must not be none without https: browsers drop such cookies")
}

func (i *Ingress) validate() error {
	var errs check.Errors
	errs.Require(len(validation.IsDNS1123Subdomain(i.Host)) == 0, "host", i.Host, `must be a host name, such as "grafana.example.com"`)
	errs.Require(i.Class == "" || len(validation.IsDNS1123Subdomain(i.Class)) == 0, "class", i.Class,
		"must name an ingress class: lower-case letters, digits, dashes and dots")
	errs.Require(i.TLSSecret == "" || len(validation.IsDNS1123Subdomain(i.TLSSecret)) == 0, "tlsSecret", i.TLSSecret,
		"must name a Secret: lower-case letters, digits, dashes and dots")
	return errs.Err()
}

var (
	sha256Form      = regexp.MustCompile(`^[0-9a-f]{64}$`)
	placeholderForm = regexp.MustCompile(`^DS_[A-Za-z0-9_.-]+$`)
)

func (s Settings) validateGrafanaCom(errs *check.Errors) {
	seen := map[int]bool{}
	for i, d := range s.GrafanaCom {
		at := "grafanaCom[" + strconv.Itoa(i) + "]."
		errs.Require(d.ID >= 1, at+"id", d.ID, "must be the number in the dashboard's address on grafana.com")
		errs.Require(!seen[d.ID], at+"id", d.ID, "must be there once")
		seen[d.ID] = true
		errs.Require(d.Revision >= 1, at+"revision", d.Revision, "must be at least 1")
		errs.Require(d.SHA256 == "" || sha256Form.MatchString(d.SHA256), at+"sha256", d.SHA256, "must be 64 lower-case hexadecimal digits")
		requireFolder(errs, at+"folder", d.Folder)
		for _, placeholder := range sorted(d.Datasources) {
			uid := d.Datasources[placeholder]
			errs.Require(placeholderForm.MatchString(placeholder), at+"datasources", placeholder,
				"must be keyed by placeholders: DS_ and letters, digits, underscores, dots and dashes")
			check.OneOf(errs, at+"datasources."+placeholder, uid, ThanosUID, LokiUID, AlertmanagerUID)
		}
	}
	requireDirectories(errs, "grafanaCom", s.comFolders())
}

func (s Settings) validateConfigMaps(errs *check.Errors) {
	seen := map[string]bool{}
	for i, c := range s.DashboardConfigMaps {
		at := "dashboardConfigMaps[" + strconv.Itoa(i) + "]."
		errs.Require(kube.IsDNSLabel(c.Name) && len(c.Name) <= maxFolder, at+"name", c.Name,
			"must be at most %d lower-case letters, digits and dashes", maxFolder)
		errs.Require(!strings.HasPrefix(c.Name, object+"-"), at+"name", c.Name, "must not begin with %s-: those are our own", object)
		errs.Require(!seen[c.Name], at+"name", c.Name, "must be there once")
		seen[c.Name] = true
		requireFolder(errs, at+"folder", c.Folder)
	}
}

// comFolders of the dashboards of grafana.com, one each.
func (s Settings) comFolders() []string {
	all := map[string]bool{}
	for _, d := range s.GrafanaCom {
		all[d.Folder] = true
	}
	return sorted(all)
}

// CallsInternet says whether the pods call addresses outside the cluster: grafana.com when they start, an OAuth provider when people log in.
func (s Settings) CallsInternet() bool {
	return len(s.GrafanaCom) > 0 || s.Auth.oauth()
}

// maxFolder leaves room in the longest name made of it, a volume's.
const maxFolder = 40

// requireFolder: "General" is what Grafana calls no folder.
func requireFolder(errs *check.Errors, key, title string) {
	if title == "" {
		return
	}
	errs.Require(directory(title) != "" && len(title) <= maxFolder && !strings.EqualFold(title, "general"), key, title,
		"must be at most %d characters with a letter or digit among them, and not General; none is no folder", maxFolder)
}

// requireDirectories refuses folders that only differ in what a directory's name cannot tell.
func requireDirectories(errs *check.Errors, key string, titles []string) {
	owner := map[string]string{}
	for _, title := range titles {
		dir := directory(title)
		if other, taken := owner[dir]; taken {
			errs.Require(false, key, title, "must have folders that differ in letters or digits; there is %q", other)
		}
		owner[dir] = title
	}
}

var noDirectory = regexp.MustCompile(`[^a-z0-9]+`)

// directory is the file name of a folder.
func directory(title string) string {
	if title == "" {
		return "general"
	}
	return strings.Trim(noDirectory.ReplaceAllString(strings.ToLower(title), "-"), "-")
}

// requireOneLine walks all texts of the settings: none may end its line in grafana.ini or have Grafana put something else in its place.
func requireOneLine(errs *check.Errors, v reflect.Value, key string) {
	switch v.Kind() { //nolint:exhaustive // settings are made of these kinds only
	case reflect.String:
		errs.Require(isOneLine(v.String()), key, v.String(), "must be one line without %s", forbidden)
	case reflect.Pointer:
		if !v.IsNil() {
			requireOneLine(errs, v.Elem(), key)
		}
	case reflect.Slice:
		for i := range v.Len() {
			requireOneLine(errs, v.Index(i), key+"["+strconv.Itoa(i)+"]")
		}
	case reflect.Struct:
		for field, value := range v.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("pulumi"), ",")
			requireOneLine(errs, value, strings.TrimPrefix(key+"."+name, "."))
		}
	}
}

// isNetwork says whether text is an address or a range of them.
func isNetwork(text string) bool {
	_, err := netip.ParseAddr(text)
	if err == nil {
		return true
	}
	_, err = netip.ParsePrefix(text)
	return err == nil
}
