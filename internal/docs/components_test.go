package docs_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	kubernetes "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/alertmanager"
	"github.com/kansoku/kansoku/components/alloy"
	"github.com/kansoku/kansoku/components/autoscaler"
	"github.com/kansoku/kansoku/components/collector"
	"github.com/kansoku/kansoku/components/dashboards"
	"github.com/kansoku/kansoku/components/events"
	"github.com/kansoku/kansoku/components/exporters/adapter"
	"github.com/kansoku/kansoku/components/exporters/kubestatemetrics"
	"github.com/kansoku/kansoku/components/exporters/nodeexporter"
	"github.com/kansoku/kansoku/components/grafana"
	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/loki"
	"github.com/kansoku/kansoku/components/monitoring"
	"github.com/kansoku/kansoku/components/netpolicy"
	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/components/operator"
	"github.com/kansoku/kansoku/components/prometheus"
	"github.com/kansoku/kansoku/components/promtail"
	"github.com/kansoku/kansoku/components/rules"
	"github.com/kansoku/kansoku/components/thanos"
	"github.com/kansoku/kansoku/infra"
	"github.com/kansoku/kansoku/internal/comments"
	"github.com/kansoku/kansoku/internal/docs"
	"github.com/kansoku/kansoku/internal/mocks"
)

var (
	root  = filepath.Join("..", "..")
	pages = filepath.Join(root, "docs", "components")
)

// page is a page of docs/components.
type page struct {
	name    string // of the file, and its title
	folder  string // of the package
	parts   []part
	example string // the function in examples_test.go
	run     pulumi.RunFunc
}

// part is something that a package makes: a component, or for dashboards what a function returns.
type part struct {
	constructor string
	token       string // "" for what is no component
	args, made  reflect.Type
}

func component[Made, Args any](constructor, token string) part {
	return part{constructor, "kansoku:" + token, reflect.TypeFor[Args](), reflect.TypeFor[Made]()}
}

// shared are structs that many take, by the heading in the index under which they stand once.
var shared = map[reflect.Type]string{
	reflect.TypeFor[kube.Resources]():       "Resources of a container",
	reflect.TypeFor[objectstore.Location](): "Where a bucket is",
}

// none is the type of the arguments of what takes none.
type none struct{}

// everyPage lists the pages as an importer reads them: the whole, then the parts, then the AWS side.
func everyPage() []page {
	return []page{
		{
			"monitoring", "components/monitoring",
			[]part{component[monitoring.Monitoring, monitoring.Args]("New", "monitoring:Monitoring")},
			"exampleMonitoring", func(ctx *pulumi.Context) error {
				return exampleMonitoring(ctx, pulumi.String("arn:aws:iam::1:role/a"), pulumi.String("arn:aws:iam::1:role/b"))
			},
		},
		{
			"operator", "components/operator",
			[]part{component[operator.CRDs, none]("NewCRDs", "operator:CRDs"), component[operator.Operator, operator.Args]("New", "operator:Operator")},
			"exampleOperator", exampleOperator,
		},
		{
			"prometheus", "components/prometheus",
			[]part{
				component[prometheus.Prometheus, prometheus.Args]("New", "prometheus:Prometheus"),
				component[prometheus.ClusterMonitors, prometheus.ClusterMonitorsArgs]("NewClusterMonitors", "prometheus:ClusterMonitors"),
			},
			"examplePrometheus", withRole(func(ctx *pulumi.Context, role *iam.Role) error { return examplePrometheus(ctx, role, nil) }),
		},
		{
			"thanos", "components/thanos",
			[]part{
				component[thanos.Thanos, thanos.Args]("New", "thanos:Thanos"),
				component[thanos.Store, thanos.StoreArgs]("NewStore", "thanos:Store"),
				component[thanos.Query, thanos.QueryArgs]("NewQuery", "thanos:Query"),
				component[thanos.QueryFrontend, thanos.QueryFrontendArgs]("NewQueryFrontend", "thanos:QueryFrontend"),
				component[thanos.Compact, thanos.CompactArgs]("NewCompact", "thanos:Compact"),
				component[thanos.BucketWeb, thanos.BucketWebArgs]("NewBucketWeb", "thanos:BucketWeb"),
			},
			"exampleThanos", withRole(func(ctx *pulumi.Context, role *iam.Role) error { return exampleThanos(ctx, role, role) }),
		},
		{
			"alertmanager", "components/alertmanager",
			[]part{component[alertmanager.Alertmanager, alertmanager.Args]("New", "alertmanager:Alertmanager")},
			"exampleAlertmanager", func(ctx *pulumi.Context) error {
				return exampleAlertmanager(ctx, pulumi.String("https://hooks.slack.com/services/x"), nil)
			},
		},
		{
			"rules", "components/rules",
			[]part{component[rules.Rules, rules.Args]("New", "rules:Rules")},
			"exampleRules", func(ctx *pulumi.Context) error { return exampleRules(ctx, nil) },
		},
		{
			"kube-state-metrics", "components/exporters/kubestatemetrics",
			[]part{component[kubestatemetrics.KubeStateMetrics, kubestatemetrics.Args]("New", "exporters:KubeStateMetrics")},
			"exampleKubeStateMetrics", exampleKubeStateMetrics,
		},
		{
			"node-exporter", "components/exporters/nodeexporter",
			[]part{component[nodeexporter.NodeExporter, nodeexporter.Args]("New", "exporters:NodeExporter")},
			"exampleNodeExporter", exampleNodeExporter,
		},
		{
			"adapter", "components/exporters/adapter",
			[]part{component[adapter.Adapter, adapter.Args]("New", "exporters:Adapter")},
			"exampleAdapter", func(ctx *pulumi.Context) error {
				return exampleAdapter(ctx, &prometheus.Prometheus{URL: pulumi.String("http://prometheus-k8s.monitoring.svc:9090").ToStringOutput()})
			},
		},
		{
			"loki", "components/loki",
			[]part{component[loki.Loki, loki.Args]("New", "loki:Loki")},
			"exampleLoki", withRole(exampleLoki),
		},
		{
			"promtail", "components/promtail",
			[]part{component[promtail.Promtail, collector.Args]("New", "promtail:Promtail")},
			"examplePromtail", withLoki(examplePromtail),
		},
		{
			"alloy", "components/alloy",
			[]part{component[alloy.Alloy, collector.Args]("New", "alloy:Alloy")},
			"exampleAlloy", withLoki(exampleAlloy),
		},
		{
			"events", "components/events",
			[]part{component[events.Events, events.Args]("New", "events:Events")},
			"exampleEvents", withLoki(exampleEvents),
		},
		{
			"grafana", "components/grafana",
			[]part{
				component[grafana.Grafana, grafana.Args]("New", "grafana:Grafana"),
				component[grafana.Provisioning, grafana.ProvisioningArgs]("NewProvisioning", "grafana:Provisioning"),
			},
			"exampleGrafana", exampleGrafana,
		},
		{
			"dashboards", "components/dashboards",
			[]part{{constructor: "All", args: reflect.TypeFor[dashboards.Options](), made: reflect.TypeFor[grafana.Dashboard]()}},
			"exampleDashboards", func(*pulumi.Context) error {
				all, err := exampleDashboards()
				if err == nil && len(all) == 0 {
					err = errors.New("there are no dashboards")
				}
				return err
			},
		},
		{
			"autoscaler", "components/autoscaler",
			[]part{component[autoscaler.Autoscaler, autoscaler.Args]("New", "autoscaler:Autoscaler")},
			"exampleAutoscaler", func(ctx *pulumi.Context) error {
				return exampleAutoscaler(ctx, &infra.WorkloadRole{ARN: pulumi.String("arn:aws:iam::1:role/a").ToStringOutput()})
			},
		},
		{
			"netpolicy", "components/netpolicy",
			[]part{component[netpolicy.NetworkPolicies, netpolicy.Args]("New", "netpolicy:Policies")},
			"exampleNetpolicy", exampleNetpolicy,
		},
		{
			"network", "infra",
			[]part{component[infra.Network, infra.NetworkArgs]("NewNetwork", "infra:Network")},
			"exampleNetwork", exampleNetwork,
		},
		{
			"cluster", "infra",
			[]part{component[infra.Cluster, infra.ClusterArgs]("NewCluster", "infra:Cluster")},
			"exampleCluster", func(ctx *pulumi.Context) error { return exampleCluster(ctx, someNetwork()) },
		},
		{
			"nodegroups", "infra",
			[]part{component[infra.NodeGroups, infra.NodeGroupsArgs]("NewNodeGroups", "infra:NodeGroups")},
			"exampleNodeGroups", withRole(func(ctx *pulumi.Context, role *iam.Role) error {
				return exampleNodeGroups(ctx, someNetwork(), &infra.Cluster{Name: pulumi.String("tools").ToStringOutput(), NodeRole: role})
			}),
		},
		{
			"addons", "infra",
			[]part{component[infra.Addons, infra.AddonsArgs]("NewAddons", "infra:Addons")},
			"exampleAddons", withRole(func(ctx *pulumi.Context, role *iam.Role) error {
				provider, err := kubernetes.NewProvider(ctx, "cluster", nil)
				if err != nil {
					return err
				}
				cluster := &infra.Cluster{
					Name: pulumi.String("tools").ToStringOutput(), Issuer: someIssuer(), Provider: provider, NodeRole: role,
				}
				groups, err := infra.NewNodeGroups(ctx, "nodes", &infra.NodeGroupsArgs{
					NodesSettings: infra.NodesSettings{
						Spot:     infra.SpotSettings{InstanceTypes: []string{"m7i.large", "m7a.large", "m6i.large", "m6a.large"}, MaxSize: 1},
						OnDemand: infra.OnDemandSettings{InstanceTypes: []string{"t3a.medium"}, MaxSize: 1},
					},
					ClusterName: cluster.Name, Name: "tools", NodeRoleARN: role.Arn, Subnets: someNetwork().PrivateSubnets,
				})
				if err != nil {
					return err
				}
				return exampleAddons(ctx, cluster, groups)
			}),
		},
		{
			"buckets", "infra",
			[]part{component[infra.Bucket, infra.BucketArgs]("NewBucket", "infra:Bucket")},
			"exampleBuckets", exampleBuckets,
		},
		{
			"table", "infra",
			[]part{component[infra.Table, infra.TableArgs]("NewTable", "infra:Table")},
			"exampleTable", exampleTable,
		},
		{
			"roles", "infra",
			[]part{component[infra.WorkloadRole, infra.WorkloadRoleArgs]("NewWorkloadRole", "infra:WorkloadRole")},
			"exampleRoles", func(ctx *pulumi.Context) error {
				return exampleRoles(ctx, &infra.Cluster{Issuer: someIssuer()}, &infra.Bucket{ARN: pulumi.String("arn:aws:s3:::my-blocks").ToStringOutput()})
			},
		},
	}
}

func withRole(example func(*pulumi.Context, *iam.Role) error) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		role, err := iam.NewRole(ctx, "role", &iam.RoleArgs{AssumeRolePolicy: pulumi.String("{}")})
		if err != nil {
			return err
		}
		return example(ctx, role)
	}
}

func withLoki(example func(*pulumi.Context, *loki.Loki) error) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		return example(ctx, &loki.Loki{PushURL: pulumi.String("http://loki.monitoring.svc:3100/loki/api/v1/push").ToStringOutput()})
	}
}

func someNetwork() *infra.Network {
	network := &infra.Network{VPCID: pulumi.String("vpc-1").ToStringOutput()}
	for _, zone := range []string{"eu-west-1a", "eu-west-1b", "eu-west-1c"} {
		network.PrivateSubnets = append(network.PrivateSubnets, infra.Subnet{Zone: zone, ID: pulumi.String("subnet-" + zone).ToStringOutput()})
	}
	return network
}

const issuer = "oidc.eks.eu-west-1.amazonaws.com/id/0123"

func someIssuer() *infra.Issuer {
	return &infra.Issuer{
		ARN: pulumi.String("arn:aws:iam::1:oidc-provider/" + issuer).ToStringOutput(), URL: pulumi.String(issuer).ToStringOutput(),
	}
}

// recorded runs an example.
func recorded(t *testing.T, program pulumi.RunFunc) *mocks.Recorder {
	t.Helper()
	r := &mocks.Recorder{EKS: map[string]any{
		"name": "tools", "endpoint": "https://0123.gr7.eu-west-1.eks.amazonaws.com",
		"certificateAuthority": map[string]any{"data": "Q0E="},
		"identities":           []any{map[string]any{"oidcs": []any{map[string]any{"issuer": "https://" + issuer}}}},
	}, Outputs: map[string]func(mocks.Resource) map[string]any{
		"aws:ec2/launchTemplate:LaunchTemplate": func(mocks.Resource) map[string]any { return map[string]any{"latestVersion": 1} },
		"random:index/randomPassword:RandomPassword": func(mocks.Resource) map[string]any {
			return map[string]any{"result": "password"}
		},
	}}
	r.Run(t, program)
	return r
}

// TestComponents holds docs/components against the code: all but the section "When it fails", which is written by hand and stays.
// UPDATE_GOLDEN=1 rewrites the rest.
func TestComponents(t *testing.T) {
	t.Parallel()
	fields, err := comments.Fields(root, "infra", "components")
	require.NoError(t, err)
	everything := everyPage()
	var index strings.Builder
	index.WriteString("# Components\n\nEach is usable alone in a Pulumi program in Go. What it makes and takes is generated from the code: the examples " +
		"compile, and run in a test.\nThe fields have Go's names; in a stack file they are those of [configuration.md](../configuration.md).\n\n" +
		"| component | |\n| --- | --- |\n")
	var known []string
	for _, one := range everything {
		w := writer{t: t, page: one, all: everything, comments: fields}
		docs.Golden(t, filepath.Join(pages, one.name+".md"), w.write())
		fmt.Fprintf(&index, "| [%s](%s.md) | %s |\n", one.name, one.name, w.summary())
		known = append(known, one.name+".md")
	}
	index.WriteString("\nWhat they share: `components/objectstore` (where a bucket is), `components/placement` (on which nodes pods run), " +
		"`components/workload` and\n`components/kube` (what every workload consists of), `components/collector` (how logs are read), " +
		"`components/versions` (every image, once).\n")
	for _, of := range []reflect.Type{reflect.TypeFor[kube.Resources](), reflect.TypeFor[objectstore.Location]()} {
		writer{t: t, comments: fields}.table(&index, "## "+shared[of], "field", of)
	}
	docs.Golden(t, filepath.Join(pages, "README.md"), index.String())

	files, err := filepath.Glob(filepath.Join(pages, "*.md"))
	require.NoError(t, err)
	for _, file := range files {
		require.Contains(t, append(known, "README.md"), filepath.Base(file), "nothing generates this page")
	}
}

// TestEveryComponentHasAPage: a type token of the code that no page is about would be a component without documentation.
func TestEveryComponentHasAPage(t *testing.T) {
	t.Parallel()
	described := map[string]bool{}
	for _, one := range everyPage() {
		for _, p := range one.parts {
			described[p.token] = true
		}
	}
	literal, found := regexp.MustCompile(`"(kansoku:[a-z]+:[A-Za-z]+)"`), 0
	for _, folder := range []string{"components", "infra"} {
		for path, source := range goFiles(t, filepath.Join(root, folder), false) {
			for _, token := range literal.FindAllStringSubmatch(source, -1) {
				require.True(t, described[token[1]], "%s: no page of docs/components is about %s: add it to everyPage", path, token[1])
				found++
			}
		}
	}
	require.Greater(t, found, 25, "the tokens are no longer found")
}

// goFiles are the Go files below a folder, with or without tests, by path.
func goFiles(t *testing.T, folder string, tests bool) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "bin" || entry.Name() == "node_modules" || strings.HasPrefix(entry.Name(), ".") && len(entry.Name()) > 2) {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") && (tests || !strings.HasSuffix(path, "_test.go")) {
			data, err := os.ReadFile(path)
			files[path] = string(data)
			return err
		}
		return nil
	}))
	return files
}

// writer writes one page.
type writer struct {
	t        *testing.T
	page     page
	all      []page
	comments map[string]string
	part     part // that is being written
}

// byHand begins what is written by hand, to the end of the page.
const byHand = "\n## When it fails\n"

func (w writer) write() string {
	w.t.Helper()
	var out strings.Builder
	path := "github.com/kansoku/kansoku/" + w.page.folder
	name := filepath.Base(w.page.folder)
	fmt.Fprintf(&out, "# %s\n\n%s\n\n```go\n%s```\n", w.page.name, w.about(), w.example())
	fmt.Fprintf(&out, "\nPackage `%s`.\n", path)
	r := recorded(w.t, w.page.run)
	for _, p := range w.page.parts {
		w.part = p
		fmt.Fprintf(&out, "\n## %s.%s\n\n", name, p.constructor)
		if p.token != "" {
			fmt.Fprintf(&out, "Type `%s`. ", p.token)
		}
		fmt.Fprintf(&out, "%s\n", w.doc(p.constructor))
		if p.token != "" {
			fmt.Fprintf(&out, "\n### What %s makes\n\nIn the example above:\n\n%s", p.constructor, w.makes(r, p.token))
		}
		w.table(&out, fmt.Sprintf("### What %s takes", p.constructor), "argument", p.args)
		w.table(&out, fmt.Sprintf("### What %s gives", p.constructor), "output", p.made)
	}
	out.WriteString(w.hand())
	return out.String()
}

// hand is the part of the page that is written by hand.
func (w writer) hand() string {
	w.t.Helper()
	path := filepath.Join(pages, w.page.name+".md")
	page, err := os.ReadFile(path)
	require.NoError(w.t, err, "write its section %q", strings.TrimSpace(byHand))
	_, hand, found := strings.Cut("\n"+string(page), byHand)
	require.True(w.t, found, "%s has no section %q", path, strings.TrimSpace(byHand))
	require.Greater(w.t, len(hand), 300, "%s: say what breaks, how it shows, how it is mended", path)
	return byHand + hand
}

func (w writer) table(out *strings.Builder, title, first string, t reflect.Type) {
	w.t.Helper()
	fields := docs.Fields{
		Comments: w.comments,
		Name: func(field reflect.StructField) string {
			if field.Anonymous {
				return ""
			}
			return field.Name
		},
		Link: func(inner reflect.Type) string {
			if inner == t {
				return ""
			}
			return w.link(inner)
		},
	}
	rows, err := fields.Rows(t)
	require.NoError(w.t, err, "%s: %v", w.page.name, t)
	if rows != "" {
		fmt.Fprintf(out, "\n%s\n\n%s%s", title, docs.Header(first), rows)
	}
}

// link is the page that describes a struct better than a table of its fields would.
func (w writer) link(t reflect.Type) string {
	if heading := shared[t]; heading != "" {
		return "README.md#" + anchor(heading)
	}
	for _, own := range w.page.parts {
		if own.args != w.part.args && slices.ContainsFunc(reflect.VisibleFields(own.args), func(f reflect.StructField) bool {
			return f.Anonymous && f.Type == t
		}) {
			return fmt.Sprintf("#what-%s-takes", strings.ToLower(own.constructor))
		}
	}
	for _, other := range w.all {
		for _, p := range other.parts {
			foreign := p.args.PkgPath() == t.PkgPath() && !slices.ContainsFunc(w.page.parts, func(own part) bool {
				return own.args.PkgPath() == t.PkgPath()
			})
			if (t == p.made || foreign) && other.name != w.page.name {
				return other.name + ".md"
			}
		}
	}
	return ""
}

// about is the comment of the package; of infra, which has a page for each of its components, the comment of what the page is about.
func (w writer) about() string {
	w.t.Helper()
	if w.page.folder == "infra" {
		return w.typeDoc(w.page.parts[0].made.Name())
	}
	for _, source := range w.parsed(parser.PackageClauseOnly | parser.ParseComments) {
		if source.Doc != nil {
			return strings.TrimSpace(strings.ReplaceAll(source.Doc.Text(), "\t", "    "))
		}
	}
	require.Fail(w.t, "no comment of the package", w.page.folder)
	return ""
}

// summary is what the page is about, in a sentence.
func (w writer) summary() string {
	text := strings.TrimPrefix(strings.Join(strings.Fields(w.about()), " "), "Package "+filepath.Base(w.page.folder)+" ")
	sentence, _, _ := strings.Cut(text, ". ")
	return strings.ToUpper(sentence[:1]) + strings.TrimSuffix(sentence[1:], ".") + "."
}

// parsed are the files of the package.
func (w writer) parsed(mode parser.Mode) []*ast.File {
	w.t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, w.page.folder, "*.go"))
	require.NoError(w.t, err)
	var files []*ast.File
	for _, path := range paths {
		if !strings.HasSuffix(path, "_test.go") {
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, mode)
			require.NoError(w.t, err)
			files = append(files, file)
		}
	}
	return files
}

// doc is the comment of a function.
func (w writer) doc(function string) string {
	w.t.Helper()
	for _, file := range w.parsed(parser.ParseComments) {
		for _, declared := range file.Decls {
			if f, ok := declared.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == function {
				require.NotNil(w.t, f.Doc, function)
				return strings.TrimSpace(f.Doc.Text())
			}
		}
	}
	require.Fail(w.t, "no such function", "%s.%s", w.page.folder, function)
	return ""
}

// typeDoc is the comment of a type.
func (w writer) typeDoc(name string) string {
	w.t.Helper()
	for _, file := range w.parsed(parser.ParseComments) {
		for _, declared := range file.Decls {
			general, ok := declared.(*ast.GenDecl)
			if !ok || general.Doc == nil {
				continue
			}
			for _, spec := range general.Specs {
				if named, ok := spec.(*ast.TypeSpec); ok && named.Name.Name == name {
					return strings.TrimSpace(general.Doc.Text())
				}
			}
		}
	}
	require.Fail(w.t, "no such type", "%s.%s", w.page.folder, name)
	return ""
}

// example is the body of the page's function in examples_test.go.
func (w writer) example() string {
	w.t.Helper()
	data, err := os.ReadFile("examples_test.go")
	require.NoError(w.t, err)
	_, rest, found := strings.Cut(string(data), "\nfunc "+w.page.example+"(")
	require.True(w.t, found, w.page.example)
	_, rest, _ = strings.Cut(rest, " {\n")
	body, _, _ := strings.Cut(rest, "\n}\n")
	var out strings.Builder
	for line := range strings.Lines(body + "\n") {
		out.WriteString(strings.TrimPrefix(line, "\t"))
	}
	return out.String()
}

// makes is a table of what a component of that type made. What has a page of its own is linked, and its children are left to that.
func (w writer) makes(r *mocks.Recorder, token string) string {
	w.t.Helper()
	var rows []string
	for _, one := range r.All() {
		if one.Parent == "" || string(resource.URN(one.Parent).Type()) != token {
			continue
		}
		kind := fmt.Sprintf("`%s`", one.Type)
		for _, other := range w.all {
			if other.name != w.page.name && slices.ContainsFunc(other.parts, func(p part) bool { return p.token == one.Type }) {
				kind = fmt.Sprintf("[%s](%s.md)", kind, other.name)
			}
		}
		object, _ := one.Field("metadata", "name").(string)
		if namespace, ok := one.Field("metadata", "namespace").(string); ok {
			object = namespace + "/" + object
		}
		if object != "" {
			object = "`" + object + "`"
		}
		rows = append(rows, fmt.Sprintf("| %s | `%s` | %s |\n", kind, one.Name, object))
	}
	require.NotEmpty(w.t, rows, "%s makes nothing", token)
	slices.Sort(rows)
	return "| type | name | object |\n| --- | --- | --- |\n" + strings.Join(slices.Compact(rows), "")
}
