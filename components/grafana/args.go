package grafana

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/internal/check"
)

// Args are the settings, and what Grafana is wired to.
type Args struct {
	Settings
	// Namespace of everything. Required; it must exist.
	Namespace pulumi.StringInput `pulumi:"namespace"`
	// PriorityClass of the pod. Default: the cluster's.
	PriorityClass string `pulumi:"priorityClass,optional"`
	// Images says where the image is pulled from. Default: upstream's registry.
	Images versions.Images `pulumi:"images,optional"`
	// ThanosURL is where metrics are read: a Thanos query frontend or query. Default: no such data source.
	ThanosURL pulumi.StringInput `pulumi:"thanosUrl,optional"`
	// LokiURL is where logs are read. Default: no such data source.
	LokiURL pulumi.StringInput `pulumi:"lokiUrl,optional"`
	// AlertmanagerURL is where alerts and silences are. Default: no such data source.
	AlertmanagerURL pulumi.StringInput `pulumi:"alertmanagerUrl,optional"`
	// ScrapeInterval of the metrics, as a Prometheus duration: no graph has finer steps. Default: 30s.
	ScrapeInterval string `pulumi:"scrapeInterval,optional"`
	// Dashboards beside those of grafana.com. Default: none.
	Dashboards []Dashboard `pulumi:"dashboards,optional"`
	// AdminPassword of the administrator. A database that is kept has its first one for good. Default: a random one; none, and not allowed,
	// where nobody logs in by password.
	AdminPassword pulumi.StringInput `pulumi:"adminPassword,optional" provider:"secret"`
	// GenericOAuthSecret is the client secret for auth.genericOAuth. Required with it, unless usePkce is set.
	GenericOAuthSecret pulumi.StringInput `pulumi:"genericOAuthSecret,optional" provider:"secret"`
	// GitHubSecret is the client secret for auth.github. Required with it.
	GitHubSecret pulumi.StringInput `pulumi:"githubSecret,optional" provider:"secret"`
	// GoogleSecret is the client secret for auth.google. Required with it.
	GoogleSecret pulumi.StringInput `pulumi:"googleSecret,optional" provider:"secret"`
}

// Dashboard is one that the program brings.
type Dashboard struct {
	// Name of its file and of its ConfigMap, grafana-dashboard-NAME: lower-case letters, digits and dashes. Required.
	Name string `pulumi:"name"`
	// Folder that it appears in. Default: none.
	Folder string `pulumi:"folder,optional"`
	// JSON of the dashboard as Grafana exports it, with a title. Required; 1 MiB at most, without white space.
	JSON string `pulumi:"json"`
}

// maxConfigMap is what Kubernetes lets a ConfigMap hold: the bytes of keys and values.
const maxConfigMap = 1 << 20

func (d Dashboard) suffix() string { return "dashboard-" + d.Name }

func (d Dashboard) file() string { return d.Name + ".json" }

// compact is the JSON without white space.
func (d Dashboard) compact() (string, error) {
	var out bytes.Buffer
	err := json.Compact(&out, []byte(d.JSON))
	return out.String(), err
}

// model is what this package must know of a dashboard.
type model struct {
	Title string `json:"title"`
	UID   string `json:"uid"`
}

func (d Dashboard) validate() (model, error) {
	var errs check.Errors
	errs.Require(kube.IsDNSLabel(d.Name), "name", d.Name, "must be at most 63 lower-case letters, digits and dashes")
	requireFolder(&errs, "folder", d.Folder)
	errs.Require(isOneLine(d.Folder), "folder", d.Folder, "must be one line without %s", forbidden)
	var m model
	err := json.Unmarshal([]byte(d.JSON), &m)
	if err != nil {
		errs.Under("json", errors.New("must be a JSON object: "+err.Error()))
		return m, errs.Err()
	}
	errs.Require(m.Title != "", "json.title", m.Title, "must not be empty: Grafana refuses it")
	text, err := d.compact()
	errs.Under("json", err)
	size := len(text) + len(d.file())
	errs.Require(size <= maxConfigMap, "json", size, "must fit into a ConfigMap, %d bytes with its file name and without white space", maxConfigMap)
	return m, errs.Err()
}

// source is the address of one of our data sources; nil if there is no such source.
func (a Args) source(uid string) pulumi.StringInput {
	return map[string]pulumi.StringInput{ThanosUID: a.ThanosURL, LokiUID: a.LokiURL, AlertmanagerUID: a.AlertmanagerURL}[uid]
}

// validate checks what is wired; the settings check themselves.
func (a Args) validate() error {
	var errs check.Errors
	errs.Require(a.Namespace != nil, "namespace", nil, "is required")
	requireInterval(&errs, a.ScrapeInterval)
	a.validateSecrets(&errs)
	requireDashboards(&errs, a.Dashboards)
	requireDirectories(&errs, "dashboards", a.ownFolders())
	for i, d := range a.GrafanaCom {
		for _, placeholder := range sorted(d.Datasources) {
			uid := d.Datasources[placeholder]
			errs.Require(a.source(uid) != nil, "grafanaCom["+strconv.Itoa(i)+"].datasources."+placeholder, uid,
				"must be a data source that there is")
		}
	}
	return errs.Err()
}

func (a Args) validateSecrets(errs *check.Errors) {
	errs.Require(a.AdminPassword == nil || a.Auth.password(), "adminPassword", nil,
		"must not be set beside auth.disableLoginForm and auth.disableBasicAuth: nobody logs in by password")
	for _, secret := range []struct {
		key, of        string
		given, allowed bool
		required       bool
	}{
		{
			"genericOAuthSecret", "auth.genericOAuth", a.GenericOAuthSecret != nil, a.Auth.GenericOAuth != nil,
			a.Auth.GenericOAuth != nil && !a.Auth.GenericOAuth.UsePKCE,
		},
		{"githubSecret", "auth.github", a.GitHubSecret != nil, a.Auth.GitHub != nil, a.Auth.GitHub != nil},
		{"googleSecret", "auth.google", a.GoogleSecret != nil, a.Auth.Google != nil, a.Auth.Google != nil},
	} {
		errs.Require(secret.given || !secret.required, secret.key, nil, "is required with %s", secret.of)
		errs.Require(!secret.given || secret.allowed, secret.key, nil, "must not be set without %s", secret.of)
	}
}

// defaultInterval is that of package prometheus.
const defaultInterval = "30s"

func requireInterval(errs *check.Errors, interval string) {
	d, err := check.ParseDuration(interval)
	errs.Require(err == nil && d > 0, "scrapeInterval", interval, `must be a Prometheus duration such as "30s"`)
}

func requireDashboards(errs *check.Errors, all []Dashboard) {
	names, uids := map[string]bool{}, map[string]bool{}
	for i, d := range all {
		at := "dashboards[" + strconv.Itoa(i) + "]"
		m, err := d.validate()
		errs.Under(at, err)
		errs.Require(!names[d.Name], at+".name", d.Name, "must be there once")
		errs.Require(m.UID == "" || !uids[m.UID], at+".json.uid", m.UID, "must be there once: one dashboard would replace the other")
		names[d.Name], uids[m.UID] = true, true
	}
}
