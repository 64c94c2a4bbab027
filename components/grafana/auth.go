package grafana

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/kansoku/kansoku/internal/check"
)

// The roles that Grafana has in an organization.
const (
	roleViewer = "Viewer"
	roleEditor = "Editor"
	roleAdmin  = "Admin"
)

// mainOrg is the only organization of a fresh database.
const mainOrg = "Main Org."

// Auth is how people log in: grafana.ini's [auth] and the sections below it. At least one way must be left.
type Auth struct {
	// DisableLoginForm removes the form for user and password. Default: false.
	DisableLoginForm bool `pulumi:"disableLoginForm,optional"`
	// DisableBasicAuth refuses user and password with API calls; service account tokens still work. Default: false.
	DisableBasicAuth bool `pulumi:"disableBasicAuth,optional"`
	// Anonymous lets people in without a login.
	Anonymous Anonymous `pulumi:"anonymous,optional"`
	// Proxy trusts a proxy in front that has logged people in.
	Proxy Proxy `pulumi:"proxy,optional"`
	// GenericOAuth logs in at any OpenID Connect or OAuth 2 provider. Its secret is wired. Default: none.
	GenericOAuth *GenericOAuth `pulumi:"genericOAuth,optional"`
	// GitHub logs in at GitHub. Its secret is wired. Default: none.
	GitHub *GitHub `pulumi:"github,optional"`
	// Google logs in at Google. Its secret is wired. Default: none.
	Google *Google `pulumi:"google,optional"`
}

// Anonymous is grafana.ini's [auth.anonymous].
type Anonymous struct {
	// Enabled lets everyone in who reaches Grafana. Default: false.
	Enabled bool `pulumi:"enabled,optional"`
	// OrgName is the organization that they see. Without storage there is only the default. Default: "Main Org.".
	OrgName string `pulumi:"orgName,optional"`
	// Role that they have: Viewer, Editor or Admin. Default: Viewer.
	Role string `pulumi:"role,optional"`
}

// Proxy is grafana.ini's [auth.proxy].
type Proxy struct {
	// Enabled takes the user from a header. Default: false.
	Enabled bool `pulumi:"enabled,optional"`
	// HeaderName of the header with the user. Default: X-WEBAUTH-USER.
	HeaderName string `pulumi:"headerName,optional"`
	// HeaderProperty is what the header holds: username or email. Default: username.
	HeaderProperty string `pulumi:"headerProperty,optional"`
	// RoleHeader is the name of a header with the user's role. Default: none, new users have users.role.
	RoleHeader string `pulumi:"roleHeader,optional"`
	// Whitelist of the proxy's addresses or ranges ("10.0.0.0/16"), as Grafana sees them. Required if enabled: whoever is let in can be
	// anyone.
	Whitelist []string `pulumi:"whitelist,optional"`
	// DisableSignUp lets only users in that exist already; needs storage, without which only the administrator exists. Default: false.
	DisableSignUp bool `pulumi:"disableSignUp,optional"`
}

// GenericOAuth is grafana.ini's [auth.generic_oauth].
type GenericOAuth struct {
	// Name on the login button. Default: OAuth.
	Name string `pulumi:"name,optional" ini:"name"`
	// ClientID that the provider gave. Required.
	ClientID string `pulumi:"clientId" ini:"client_id"`
	// Scopes to ask for. Default: openid, profile, email.
	Scopes []string `pulumi:"scopes,optional" ini:"scopes"`
	// AuthURL where people log in. Required.
	AuthURL string `pulumi:"authUrl" ini:"auth_url"`
	// TokenURL where Grafana gets the token. Required.
	TokenURL string `pulumi:"tokenUrl" ini:"token_url"`
	// APIURL with more about the user ("https://idp.example.com/userinfo"). Default: none, all is in the token.
	APIURL string `pulumi:"apiUrl,optional" ini:"api_url"`
	// AllowedDomains of e-mail addresses. Default: all.
	AllowedDomains []string `pulumi:"allowedDomains,optional" ini:"allowed_domains"`
	// AllowedOrganizations that a user must be in one of. Default: all.
	AllowedOrganizations []string `pulumi:"allowedOrganizations,optional" ini:"allowed_organizations"`
	// AllowedGroups that a user must be in one of; needs groupsAttributePath. Default: all.
	AllowedGroups []string `pulumi:"allowedGroups,optional" ini:"allowed_groups"`
	// GroupsAttributePath is a JMESPath to the user's groups. Default: none.
	GroupsAttributePath string `pulumi:"groupsAttributePath,optional" ini:"groups_attribute_path"`
	// LoginAttributePath is a JMESPath to the user's login. Default: Grafana's own search.
	LoginAttributePath string `pulumi:"loginAttributePath,optional" ini:"login_attribute_path"`
	// EmailAttributePath is a JMESPath to the user's e-mail address. Default: Grafana's own search.
	EmailAttributePath string `pulumi:"emailAttributePath,optional" ini:"email_attribute_path"`
	// RoleAttributePath is a JMESPath to Viewer, Editor or Admin. Default: none, users have users.role.
	RoleAttributePath string `pulumi:"roleAttributePath,optional" ini:"role_attribute_path"`
	// RoleAttributeStrict refuses users without a role by that path. Default: false.
	RoleAttributeStrict bool `pulumi:"roleAttributeStrict,optional" ini:"role_attribute_strict"`
	// UsePKCE proves to the provider who asked; then a secret is not needed. Default: false.
	UsePKCE bool `pulumi:"usePkce,optional" ini:"use_pkce"`
	// AutoLogin skips the login page. Default: false.
	AutoLogin bool `pulumi:"autoLogin,optional" ini:"auto_login"`
}

// GitHub is grafana.ini's [auth.github].
type GitHub struct {
	// ClientID of the OAuth app. Required.
	ClientID string `pulumi:"clientId" ini:"client_id"`
	// Scopes to ask for. Default: user:email, read:org.
	Scopes []string `pulumi:"scopes,optional" ini:"scopes"`
	// AllowedOrganizations that a user must be in one of. Required unless teamIds are: else anyone with an account is let in.
	AllowedOrganizations []string `pulumi:"allowedOrganizations,optional" ini:"allowed_organizations"`
	// TeamIDs that a user must be in one of, as numbers. Default: all.
	TeamIDs []string `pulumi:"teamIds,optional" ini:"team_ids"`
	// AuthURL of a GitHub Enterprise Server. Default: github.com's.
	AuthURL string `pulumi:"authUrl,optional" ini:"auth_url"`
	// TokenURL of a GitHub Enterprise Server. Default: github.com's.
	TokenURL string `pulumi:"tokenUrl,optional" ini:"token_url"`
	// APIURL of a GitHub Enterprise Server. Default: github.com's.
	APIURL string `pulumi:"apiUrl,optional" ini:"api_url"`
	// RoleAttributePath is a JMESPath to Viewer, Editor or Admin. Default: none, users have users.role.
	RoleAttributePath string `pulumi:"roleAttributePath,optional" ini:"role_attribute_path"`
	// RoleAttributeStrict refuses users without a role by that path. Default: false.
	RoleAttributeStrict bool `pulumi:"roleAttributeStrict,optional" ini:"role_attribute_strict"`
	// AutoLogin skips the login page. Default: false.
	AutoLogin bool `pulumi:"autoLogin,optional" ini:"auto_login"`
}

// Google is grafana.ini's [auth.google].
type Google struct {
	// ClientID of the OAuth client. Required.
	ClientID string `pulumi:"clientId" ini:"client_id"`
	// Scopes to ask for. Default: Grafana's, profile and e-mail.
	Scopes []string `pulumi:"scopes,optional" ini:"scopes"`
	// AllowedDomains of e-mail addresses. Required: else anyone with an account is let in.
	AllowedDomains []string `pulumi:"allowedDomains" ini:"allowed_domains"`
	// RoleAttributePath is a JMESPath to Viewer, Editor or Admin. Default: none, users have users.role.
	RoleAttributePath string `pulumi:"roleAttributePath,optional" ini:"role_attribute_path"`
	// RoleAttributeStrict refuses users without a role by that path. Default: false.
	RoleAttributeStrict bool `pulumi:"roleAttributeStrict,optional" ini:"role_attribute_strict"`
	// AutoLogin skips the login page. Default: false.
	AutoLogin bool `pulumi:"autoLogin,optional" ini:"auto_login"`
}

func (a Auth) withDefaults() Auth {
	if a.Anonymous.Enabled {
		a.Anonymous.OrgName = cmp.Or(a.Anonymous.OrgName, mainOrg)
		a.Anonymous.Role = cmp.Or(a.Anonymous.Role, roleViewer)
	}
	if a.Proxy.Enabled {
		a.Proxy.HeaderName = cmp.Or(a.Proxy.HeaderName, "X-WEBAUTH-USER")
		a.Proxy.HeaderProperty = cmp.Or(a.Proxy.HeaderProperty, "username")
	}
	if a.GenericOAuth != nil {
		generic := *a.GenericOAuth
		generic.Name = cmp.Or(generic.Name, "OAuth")
		if len(generic.Scopes) == 0 {
			generic.Scopes = []string{"openid", "profile", "email"}
		}
		a.GenericOAuth = &generic
	}
	if a.GitHub != nil && len(a.GitHub.Scopes) == 0 {
		github := *a.GitHub
		github.Scopes = []string{"user:email", "read:org"}
		a.GitHub = &github
	}
	return a
}

// password says whether anyone can log in by password, and so whether there is an administrator to have one.
func (a Auth) password() bool { return !a.DisableLoginForm || !a.DisableBasicAuth }

// oauth says whether there is a provider.
func (a Auth) oauth() bool { return a.GenericOAuth != nil || a.GitHub != nil || a.Google != nil }

func (s Settings) validateAuth(errs *check.Errors) {
	a := s.Auth
	errs.Require(a.password() || a.oauth() || a.Proxy.Enabled || a.Anonymous.Enabled, "auth.disableLoginForm", true,
		"must not be set beside disableBasicAuth unless there is OAuth, proxy or anonymous login: nobody could log in")
	s.validateAnonymous(errs)
	s.validateProxy(errs)
	errs.Require(!a.oauth() || s.Server.RootURL != "", "server.rootUrl", s.Server.RootURL,
		"must be set, or an ingress, for OAuth: the provider sends people back there")
	auto := 0
	if p := a.GenericOAuth; p != nil {
		errs.Under("auth.genericOAuth", p.validate())
		auto += count(p.AutoLogin)
	}
	if p := a.GitHub; p != nil {
		errs.Under("auth.github", p.validate())
		auto += count(p.AutoLogin)
	}
	if p := a.Google; p != nil {
		errs.Under("auth.google", p.validate())
		auto += count(p.AutoLogin)
	}
	errs.Require(auto <= 1, "auth", auto, "must have autoLogin at one provider at most")
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (s Settings) validateAnonymous(errs *check.Errors) {
	a := s.Auth.Anonymous
	if !a.Enabled {
		errs.Require(a == Anonymous{}, "auth.anonymous.enabled", false, "must be true, or the rest of it not set")
		return
	}
	errs.Require(a.OrgName == mainOrg || s.StorageSize != "", "auth.anonymous.orgName", a.OrgName,
		"must be %q without storage: a fresh database has no other", mainOrg)
	check.OneOf(errs, "auth.anonymous.role", a.Role, roleViewer, roleEditor, roleAdmin)
}

func (s Settings) validateProxy(errs *check.Errors) {
	p := s.Auth.Proxy
	if !p.Enabled {
		unset := p.HeaderName == "" && p.HeaderProperty == "" && p.RoleHeader == "" && len(p.Whitelist) == 0 && !p.DisableSignUp
		errs.Require(unset, "auth.proxy.enabled", false, "must be true, or the rest of it not set")
		return
	}
	requireHeader(errs, "auth.proxy.headerName", p.HeaderName)
	if p.RoleHeader != "" {
		requireHeader(errs, "auth.proxy.roleHeader", p.RoleHeader)
	}
	check.OneOf(errs, "auth.proxy.headerProperty", p.HeaderProperty, "username", "email")
	errs.Require(len(p.Whitelist) > 0, "auth.proxy.whitelist", p.Whitelist,
		"must have the proxy's addresses: whoever else reaches Grafana could claim to be anyone")
	for i, network := range p.Whitelist {
		errs.Require(isNetwork(network), "auth.proxy.whitelist["+strconv.Itoa(i)+"]", network,
			`must be an address or a range, such as "10.0.0.0/16"`)
	}
	errs.Require(!p.DisableSignUp || s.StorageSize != "", "auth.proxy.disableSignUp", true,
		"must not be set without storage: a fresh database has no user but the administrator")
}

func requireHeader(errs *check.Errors, key, name string) {
	valid := name != "" && strings.Trim(strings.ToLower(name), "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
	errs.Require(valid, key, name, "must be the name of a header: letters, digits and dashes")
}

func (p *GenericOAuth) validate() error {
	var errs check.Errors
	requireClient(&errs, p.ClientID)
	requireURL(&errs, "authUrl", p.AuthURL, true)
	requireURL(&errs, "tokenUrl", p.TokenURL, true)
	requireURL(&errs, "apiUrl", p.APIURL, false)
	requireWords(&errs, "scopes", p.Scopes)
	requireWords(&errs, "allowedDomains", p.AllowedDomains)
	requireWords(&errs, "allowedOrganizations", p.AllowedOrganizations)
	requireWords(&errs, "allowedGroups", p.AllowedGroups)
	errs.Require(len(p.AllowedGroups) == 0 || p.GroupsAttributePath != "", "groupsAttributePath", p.GroupsAttributePath,
		"must be set beside allowedGroups: without it nobody is in a group")
	errs.Require(!p.RoleAttributeStrict || p.RoleAttributePath != "", "roleAttributePath", p.RoleAttributePath, strictWant)
	return errs.Err()
}

func (p *GitHub) validate() error {
	var errs check.Errors
	requireClient(&errs, p.ClientID)
	errs.Require(len(p.AllowedOrganizations)+len(p.TeamIDs) > 0, "allowedOrganizations", p.AllowedOrganizations,
		"must have one, or teamIds: else anyone with an account is let in")
	requireURL(&errs, "authUrl", p.AuthURL, false)
	requireURL(&errs, "tokenUrl", p.TokenURL, false)
	requireURL(&errs, "apiUrl", p.APIURL, false)
	requireWords(&errs, "scopes", p.Scopes)
	requireWords(&errs, "allowedOrganizations", p.AllowedOrganizations)
	for i, id := range p.TeamIDs {
		n, err := strconv.Atoi(id)
		errs.Require(err == nil && n > 0, "teamIds["+strconv.Itoa(i)+"]", id, "must be a team's number")
	}
	errs.Require(!p.RoleAttributeStrict || p.RoleAttributePath != "", "roleAttributePath", p.RoleAttributePath, strictWant)
	return errs.Err()
}

func (p *Google) validate() error {
	var errs check.Errors
	requireClient(&errs, p.ClientID)
	errs.Require(len(p.AllowedDomains) > 0, "allowedDomains", p.AllowedDomains, "must have one: else anyone with an account is let in")
	requireWords(&errs, "scopes", p.Scopes)
	requireWords(&errs, "allowedDomains", p.AllowedDomains)
	errs.Require(!p.RoleAttributeStrict || p.RoleAttributePath != "", "roleAttributePath", p.RoleAttributePath, strictWant)
	return errs.Err()
}

const strictWant = "must be set beside roleAttributeStrict: without it nobody has a role"

func requireClient(errs *check.Errors, id string) {
	errs.Require(id != "", "clientId", id, "is required")
}

func requireURL(errs *check.Errors, key, text string, required bool) {
	if text == "" && !required {
		return
	}
	u, err := url.Parse(text)
	errs.Require(err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "", key, text, "must be a URL")
}

// requireWords: Grafana splits lists at commas and spaces.
func requireWords(errs *check.Errors, key string, words []string) {
	for i, word := range words {
		errs.Require(word != "" && !strings.ContainsAny(word, ", "), key+"["+strconv.Itoa(i)+"]", word,
			"must not be empty, nor have spaces or commas")
	}
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
