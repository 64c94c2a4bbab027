package docs_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/kansoku/kansoku/components/collector"
	"github.com/kansoku/kansoku/components/loki"
	"github.com/kansoku/kansoku/components/monitoring"
	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/internal/docs"
	"github.com/kansoku/kansoku/internal/mocks"
	"github.com/kansoku/kansoku/internal/offline"
	"github.com/kansoku/kansoku/internal/program"
)

// command is a line of a console block that begins with "$ ", or a command in the prose.
type command struct {
	page string
	line int
	text string
}

func (c command) String() string { return fmt.Sprintf("%s:%d: %s", c.page, c.line, c.text) }

// commands are those of a page: the lines of its console blocks, with what they continue on, and what stands in the prose as code and
// begins with a program whose arguments can be held.
func commands(p docs.Page) []command {
	var all []command
	for _, block := range p.Blocks() {
		if block.Language != "console" {
			continue
		}
		lines := strings.Split(block.Text, "\n")
		for i := 0; i < len(lines); i++ {
			text, ok := strings.CutPrefix(lines[i], "$ ")
			if !ok {
				continue
			}
			at := i
			for i+1 < len(lines) && (strings.HasSuffix(lines[i], `\`) || openQuote(text)) {
				i++
				text += "\n" + lines[i]
			}
			all = append(all, command{p.Path, block.Line + at, text})
		}
	}
	for i, line := range strings.Split(p.Prose(), "\n") {
		for _, code := range inlineCode.FindAllString(line, -1) {
			text := strings.Trim(code, "`")
			if first, _, more := strings.Cut(text, " "); more && slices.Contains([]string{"kubectl", "make", "pulumi", "go"}, first) {
				all = append(all, command{p.Path, i + 1, text})
			}
		}
	}
	return all
}

// openQuote says whether a quotation goes on in the next line.
func openQuote(text string) bool {
	_, err := shell(text)
	return err != nil
}

// shell splits a line into simple commands, each into words, as far as it takes to judge them: quotes, comments, and what joins commands.
// Redirections are left out.
func shell(text string) ([][]string, error) {
	var all [][]string
	var words []string
	var word strings.Builder
	quote, inWord := rune(0), false
	end := func() {
		if inWord {
			words = append(words, word.String())
		}
		word.Reset()
		inWord = false
	}
	runes := []rune(strings.ReplaceAll(text, "\\\n", " "))
	for i := 0; i < len(runes); i++ {
		r := runes[i]
		switch {
		case quote != 0:
			if r == quote {
				quote = 0
			} else {
				word.WriteRune(r)
			}
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case r == '\\' && i+1 < len(runes):
			i++
			word.WriteRune(runes[i])
			inWord = true
		case r == '#' && !inWord:
			for i+1 < len(runes) && runes[i+1] != '\n' {
				i++
			}
		case strings.ContainsRune("|;&()\n", r):
			end()
			if len(words) > 0 {
				all = append(all, words)
			}
			words = nil
		case r == ' ' || r == '\t':
			end()
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a quotation that does not end")
	}
	end()
	if len(words) > 0 {
		all = append(all, words)
	}
	for i, words := range all {
		all[i] = withoutRedirections(words)
	}
	return slices.DeleteFunc(all, func(words []string) bool { return len(words) == 0 }), nil
}

var (
	assignment  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)
	redirection = regexp.MustCompile(`^[0-9]*(>>?|<)`)
)

// withoutRedirections are the words of a command without what goes where, and without the variables before it.
func withoutRedirections(words []string) []string {
	var kept []string
	for i := 0; i < len(words); i++ {
		if found := redirection.FindString(words[i]); found != "" {
			if found == words[i] {
				i++
			}
			continue
		}
		if len(kept) == 0 && (assignment.MatchString(words[i]) || slices.Contains([]string{"!", "do", "else", "if", "then", "until", "while"}, words[i])) {
			continue
		}
		if len(kept) == 0 && slices.Contains([]string{"done", "fi", "for"}, words[i]) {
			return nil
		}
		kept = append(kept, words[i])
	}
	return kept
}

// judge says what is wrong with a simple command; an error also where nothing knows how to tell.
type judge func(h *held, c command, words []string) error

// judges by program.
func judges() map[string]judge {
	fine := func(*held, command, []string) error { return nil }
	all := map[string]judge{
		"make": (*held).make, "kubectl": (*held).kubectl, "pulumi": (*held).pulumi, "aws": (*held).aws, "curl": (*held).curl, "go": (*held).golang,
		"kind":    oneOf("create", "delete", "get", "load", "export"),
		"git":     oneOf("clone", "diff", "checkout", "log", "status", "tag"),
		"helm":    oneOf("get", "list", "status", "template", "uninstall", "upgrade"),
		"npm":     oneOf("ci", "install"),
		"docker":  oneOf("login", "pull", "push", "tag"),
		"crane":   oneOf("copy", "digest"),
		"skopeo":  oneOf("copy", "login"),
		"apt-get": oneOf("install", "update"),
		"$EDITOR": func(h *held, _ command, words []string) error { return h.file(words[len(words)-1]) },
		"xargs": func(h *held, c command, words []string) error {
			return h.simple(c, slices.DeleteFunc(slices.Clone(words[1:]), func(word string) bool { return strings.HasPrefix(word, "-") }))
		},
	}
	for _, tool := range []string{
		"awk", "base64", "cat", "cd", "column", "comm", "cp", "cut", "date", "diff", "echo", "export", "grep", "head", "jq", "ls", "mkdir", "printf", "read",
		"sed", "sleep", "sort", "tail", "tee", "tr", "uniq", "wc", "watch", "gunzip", "zcat", "amtool", "logcli", "promtool",
	} {
		all[tool] = fine
	}
	return all
}

func oneOf(verbs ...string) judge {
	return func(_ *held, _ command, words []string) error {
		if len(words) < 2 || !slices.Contains(verbs, words[1]) {
			return fmt.Errorf("%s: the test knows %s", strings.Join(words[:min(2, len(words))], " "), strings.Join(verbs, ", "))
		}
		return nil
	}
}

// held is what commands are held against.
type held struct {
	t         *testing.T
	makefiles string
	outputs   map[string]bool            // of a stack
	objects   map[string]bool            // "kind namespace/name"
	ports     map[string]bool            // "service port"
	own       map[string]map[string]bool // objects by the page that makes them
	forwarded map[string]map[string]bool // local ports by page
	cli       string
	help      string   // a directory with a page for each subcommand of the CLI
	answers   sync.Map // of make, by command
}

// simple judges a simple command.
func (h *held) simple(c command, words []string) error {
	if len(words) == 0 {
		return nil
	}
	if strings.HasPrefix(words[0], "bin/") || strings.HasPrefix(words[0], "./") {
		return h.built(c, words)
	}
	one := judges()[words[0]]
	if one == nil {
		return fmt.Errorf("nothing is known about %q: add it to judges in internal/docs/commands_test.go", words[0])
	}
	return one(h, c, words)
}

func (h *held) file(name string) error {
	if _, err := os.Stat(filepath.Join(root, name)); err != nil {
		return fmt.Errorf("there is no %s", name)
	}
	return nil
}

var makeVariable = regexp.MustCompile(`^([A-Z_]+)=`)

// make has make say what it would do; what only lists the commands is run.
func (h *held) make(_ command, words []string) error {
	for _, word := range words[1:] {
		if found := makeVariable.FindStringSubmatch(word); found != nil {
			if !regexp.MustCompile(`(?m)^` + found[1] + `\s*\?=|\$\(` + found[1] + `\)`).MatchString(h.makefiles) {
				return fmt.Errorf("the Makefile knows no variable %s", found[1])
			}
		}
	}
	key := "make " + strings.Join(words[1:], " ")
	if known, ok := h.answers.Load(key); ok {
		err, _ := known.(error)
		return err
	}
	arguments := []string{"-n", "-C", root}
	if slices.Equal(words[1:], []string{"help"}) {
		arguments = arguments[1:] // which costs nothing
	}
	run := exec.CommandContext(h.t.Context(), "make", append(arguments, words[1:]...)...)
	run.Env = slices.DeleteFunc(os.Environ(), func(one string) bool { return strings.HasPrefix(one, "MAKE") || strings.HasPrefix(one, "MFLAGS") })
	output, err := run.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, output)
	}
	h.answers.Store(key, err)
	return err
}

// built is a program that the Makefile builds: its flags stand in its source.
func (h *held) built(c command, words []string) error {
	name := strings.TrimPrefix(words[0], "./")
	inLab := strings.HasPrefix(name, "bin/lab/") && regexp.MustCompile(`\b`+regexp.QuoteMeta(filepath.Base(name))+`\b`).MatchString(h.makefiles)
	if !inLab && !strings.Contains(h.makefiles, name) {
		return fmt.Errorf("the Makefile does not build %s", name)
	}
	if name == "bin/pulumi" {
		return h.pulumi(c, words)
	}
	if name == "bin/lab/lab" && len(words) > 2 && words[1] == "exec" {
		return h.simple(c, words[2:])
	}
	source := ""
	for _, folder := range []string{filepath.Join(root, "cmd", filepath.Base(name)), filepath.Join(root, "tests", "lab", "cmd", filepath.Base(name))} {
		if _, err := os.Stat(folder); err == nil {
			for _, text := range goFiles(h.t, folder, false) {
				source += text
			}
		}
	}
	if source == "" {
		return nil // a tool of others
	}
	for _, word := range words[1:] {
		flag, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
		if strings.HasPrefix(word, "-") && !strings.Contains(source, `"`+flag+`"`) {
			return fmt.Errorf("%s has no flag %s", name, word)
		}
	}
	return nil
}

// golang: the packages are there.
func (h *held) golang(_ command, words []string) error {
	if len(words) < 2 || !slices.Contains([]string{"build", "doc", "generate", "get", "install", "mod", "run", "test", "version", "vet", "work"}, words[1]) {
		return fmt.Errorf("go has no such command")
	}
	for _, word := range words[2:] {
		if name, local := strings.CutPrefix(word, "./"); local {
			if err := h.file(strings.TrimSuffix(name, "...")); err != nil {
				return err
			}
		}
		if name, ours := strings.CutPrefix(word, "github.com/kansoku/kansoku/"); ours {
			name, _, _ = strings.Cut(name, "@")
			if err := h.file(name); err != nil {
				return err
			}
		}
	}
	return nil
}

// awsOperations are what the pages may ask of AWS.
var awsOperations = map[string][]string{
	"autoscaling":    {"describe-auto-scaling-groups", "describe-scaling-activities"},
	"cloudtrail":     {"lookup-events"},
	"cloudwatch":     {"get-metric-statistics"},
	"dynamodb":       {"create-table", "describe-continuous-backups", "describe-table", "list-tables", "wait", "restore-table-to-point-in-time", "scan", "update-table"},
	"ec2":            {"describe-instance-status", "describe-instances", "describe-spot-price-history", "describe-subnets", "describe-volumes", "describe-vpcs", "create-snapshot", "describe-snapshots", "get-console-output", "get-spot-placement-scores", "terminate-instances"},
	"eks":            {"describe-addon", "describe-addon-versions", "describe-cluster", "describe-cluster-versions", "describe-insight", "describe-nodegroup", "list-addons", "list-clusters", "list-insights", "list-nodegroups", "update-kubeconfig", "update-nodegroup-version"},
	"iam":            {"get-role", "get-role-policy", "list-open-id-connect-providers", "simulate-principal-policy"},
	"kms":            {"describe-key"},
	"logs":           {"describe-log-groups", "tail"},
	"pricing":        {"get-products"},
	"s3":             {"cp", "ls", "mb", "sync"},
	"s3api":          {"get-bucket-location", "get-bucket-lifecycle-configuration", "get-bucket-versioning", "head-bucket", "list-object-versions", "list-objects-v2"},
	"service-quotas": {"get-service-quota", "list-service-quotas", "request-service-quota-increase"},
	"sts":            {"get-caller-identity"},
}

func (h *held) aws(_ command, words []string) error {
	var plain []string
	for i := 1; i < len(words) && len(plain) < 2; i++ {
		if strings.HasPrefix(words[i], "--") {
			if !strings.Contains(words[i], "=") {
				i++ // its value: of those that stand before the service, all have one
			}
			continue
		}
		plain = append(plain, words[i])
	}
	if len(plain) < 2 || !slices.Contains(awsOperations[plain[0]], plain[1]) {
		return fmt.Errorf("aws %s: not on the list awsOperations in internal/docs/commands_test.go", strings.Join(plain, " "))
	}
	return nil
}

var localPort = regexp.MustCompile(`(?:localhost|127\.0\.0\.1):([0-9]+)`)

// curl asks what the page has forwarded to this machine.
func (h *held) curl(c command, words []string) error {
	for _, word := range words[1:] {
		if found := localPort.FindStringSubmatch(word); found != nil && !h.forwarded[c.page][found[1]] {
			return fmt.Errorf("no command of the page forwards port %s", found[1])
		}
	}
	return nil
}

// pulumi: the CLI has the subcommand and its flags, the program the configuration key and the output.
func (h *held) pulumi(_ command, words []string) error {
	if h.cli == "" {
		return nil
	}
	var subcommand, plain []string
	for _, word := range words[1:] {
		switch {
		case strings.HasPrefix(word, "-"):
		case len(plain) == 0 && h.helpOf(append(slices.Clone(subcommand), word)) != "":
			subcommand = append(subcommand, word)
		default:
			plain = append(plain, word)
		}
	}
	help := h.helpOf(subcommand)
	if len(subcommand) == 0 {
		return fmt.Errorf("pulumi has no command %q", strings.Join(words[1:], " "))
	}
	for i, word := range words {
		if word == "--" {
			break
		}
		flag, value, assigned := strings.Cut(word, "=")
		if !strings.HasPrefix(word, "-") {
			continue
		}
		long := regexp.MustCompile(`(?m)^ +(-\w, )?` + regexp.QuoteMeta(flag) + `[ \[=]`)
		short := regexp.MustCompile(`(?m)^ +` + regexp.QuoteMeta(flag) + `, --`)
		if !long.MatchString(help) && !short.MatchString(help) {
			return fmt.Errorf("pulumi %s has no flag %s", strings.Join(subcommand, " "), flag)
		}
		if flag == "--stack" || flag == "-s" {
			if !assigned && i+1 < len(words) {
				value = words[i+1]
			}
			plain = slices.DeleteFunc(plain, func(word string) bool { return word == value })
		}
	}
	switch strings.Join(subcommand, " ") {
	case "config set", "config get", "config rm":
		return configurationKey(plain)
	case "stack output":
		if len(plain) > 0 && !h.outputs[plain[0]] {
			return fmt.Errorf("the program has no output %s", plain[0])
		}
	}
	return nil
}

// configurationKey: the first word is a key that the program takes, "kansoku:" left out or not, with a path behind it or not.
func configurationKey(words []string) error {
	if len(words) == 0 {
		return nil // asks for nothing yet
	}
	key := strings.TrimPrefix(words[0], "kansoku:")
	at := reflect.TypeFor[program.Config]()
	if name, aws := strings.CutPrefix(key, "aws:"); aws {
		key, at = name, reflect.TypeFor[program.AWS]()
	}
	steps := strings.FieldsFunc(key, func(r rune) bool { return strings.ContainsRune(`.[]"`, r) })
	for _, step := range steps {
		if strings.Trim(step, "0123456789") == "" {
			continue // an entry of a list
		}
		if at = docs.StructOf(at); at == nil {
			return nil // a map
		}
		step, _, _ = strings.Cut(step, "-") // slackUrl-NAME
		field := slices.IndexFunc(reflect.VisibleFields(at), func(f reflect.StructField) bool {
			name, _, _ := strings.Cut(f.Tag.Get("pulumi"), ",")
			return name == step
		})
		if field < 0 {
			return fmt.Errorf("%s: %s is not a key", words[0], step)
		}
		at = reflect.VisibleFields(at)[field].Type
	}
	return nil
}

// helpOf is what the CLI says of a subcommand; empty if it has none such.
func (h *held) helpOf(subcommand []string) string {
	// The CLI describes a command under one of its names only.
	if slices.Equal(subcommand, []string{"stack", "init"}) {
		subcommand = []string{"stack", "new"}
	}
	page, err := os.ReadFile(filepath.Join(h.help, strings.Join(append([]string{"pulumi"}, subcommand...), "_")+".md"))
	if err != nil {
		return ""
	}
	return string(page)
}

// describe has the CLI write down what it has.
func (h *held) describe() {
	h.t.Helper()
	h.help = h.t.TempDir()
	run := exec.CommandContext(h.t.Context(), h.cli, "gen-markdown", h.help)
	run.Env = append(os.Environ(), "PULUMI_SKIP_UPDATE_CHECK=true", "PULUMI_HOME="+h.t.TempDir())
	output, err := run.CombinedOutput()
	require.NoError(h.t, err, "%s", output)
	require.NotEmpty(h.t, h.helpOf([]string{"stack", "output"}))
}

// hold gathers what commands are held against.
func hold(t *testing.T, all []docs.Page) *held {
	t.Helper()
	h := &held{
		t: t, outputs: map[string]bool{}, objects: map[string]bool{}, ports: map[string]bool{},
		own: map[string]map[string]bool{}, forwarded: map[string]map[string]bool{},
	}
	for _, name := range []string{"Makefile", filepath.Join("tools", "lab", "Makefile")} {
		data, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		h.makefiles += string(data)
	}
	source, err := os.ReadFile(filepath.Join(root, "internal", "program", "deploy.go"))
	require.NoError(t, err)
	for _, found := range regexp.MustCompile(`ctx\.Export\("(\w+)"`).FindAllStringSubmatch(string(source), -1) {
		h.outputs[found[1]] = true
	}
	require.NotEmpty(t, h.outputs)
	if missing := offline.CheckTools(filepath.Join(root, "bin")); missing == nil {
		if h.cli, err = exec.LookPath("pulumi"); err != nil {
			h.cli, err = filepath.Abs(filepath.Join(root, "bin", "pulumi"))
			require.NoError(t, err)
		}
		h.describe()
	} else {
		require.NotEqual(t, "required", os.Getenv("KANSOKU_TOOLS"), "no CLI: %v", missing)
	}
	for _, kind := range []string{collector.Promtail, collector.Alloy} {
		h.deployed(kind)
	}
	for _, p := range all {
		h.prepare(p)
	}
	return h
}

// deployed takes the objects of the whole stack, and those that Kubernetes and the operator make of them.
func (h *held) deployed(kind string) {
	h.t.Helper()
	r := &mocks.Recorder{}
	r.Run(h.t, func(ctx *pulumi.Context) error {
		bucket := objectstore.Location{Bucket: pulumi.String("bucket"), Region: pulumi.String("eu-west-1")}
		_, err := monitoring.New(ctx, "m", &monitoring.Args{
			Settings: monitoring.Settings{
				Loki:      &loki.Settings{Schema: []loki.Period{{From: "2026-01-01", Index: loki.DynamoDB}}},
				Collector: collector.Settings{Kind: kind},
			},
			Cluster: "dev", Blocks: bucket, Chunks: bucket, Index: loki.Index{Table: pulumi.String("index"), Region: pulumi.String("eu-west-1")},
			Scaled:   &monitoring.ScaledCluster{Name: pulumi.String("dev"), Region: pulumi.String("eu-west-1")},
			RoleARNs: map[string]pulumi.StringInput{"cluster-autoscaler": pulumi.String("arn:scale")},
		})
		return err
	})
	add := func(kind string, namespace any, name string) {
		h.objects[fmt.Sprintf("%s %v/%s", kind, namespace, name)] = true
	}
	for _, one := range r.All() {
		if !strings.HasPrefix(one.Type, "kubernetes:") {
			continue
		}
		kind, name, namespace := strings.ToLower(one.Type[strings.LastIndex(one.Type, ":")+1:]), fmt.Sprint(one.Field("metadata", "name")), one.Field("metadata", "namespace")
		add(kind, namespace, name)
		switch kind {
		case "prometheus", "alertmanager": // the operator makes a StatefulSet of it, with a claim
			set := kind + "-" + name
			add("statefulset", namespace, set)
			add("secret", namespace, set)
			add("secret", namespace, set+"-generated")
			h.replicas(namespace, set, fmt.Sprintf("%s-%s-db", kind, name))
		case "statefulset":
			claims, _ := one.Field("spec", "volumeClaimTemplates").([]any)
			var names []string
			for _, claim := range claims {
				names = append(names, fmt.Sprint(claim.(map[string]any)["metadata"].(map[string]any)["name"]))
			}
			h.replicas(namespace, name, names...)
		case "service":
			ports, _ := one.Field("spec", "ports").([]any)
			for _, port := range ports {
				h.ports[fmt.Sprintf("%s %v", name, port.(map[string]any)["port"])] = true
			}
		}
	}
	add("configmap", "monitoring", "cluster-autoscaler-status") // the autoscaler writes it
}

// replicas are the pods of a StatefulSet, and their volumes.
func (h *held) replicas(namespace any, set string, claims ...string) {
	for i := range 3 {
		pod := fmt.Sprintf("%s-%d", set, i)
		h.objects[fmt.Sprintf("pod %v/%s", namespace, pod)] = true
		for _, claim := range claims {
			h.objects[fmt.Sprintf("persistentvolumeclaim %v/%s-%s", namespace, claim, pod)] = true
		}
	}
}

var forwards = regexp.MustCompile(`port-forward\s+(\S+)\s+([0-9]+)(?::([0-9]+))?`)

// prepare takes what a page makes for its own commands: ports that it forwards, objects that it has as YAML or applies.
func (h *held) prepare(p docs.Page) {
	h.t.Helper()
	h.own[p.Path], h.forwarded[p.Path] = map[string]bool{}, map[string]bool{}
	for _, found := range forwards.FindAllStringSubmatch(p.Text, -1) {
		h.forwarded[p.Path][found[2]] = true
	}
	manifests := []string{}
	for _, block := range p.Blocks() {
		if block.Language == "yaml" {
			manifests = append(manifests, block.Text)
		}
	}
	for _, found := range regexp.MustCompile(`(?:apply|create) (?:\S+ )*?-f (\S+\.yaml)`).FindAllStringSubmatch(p.Text, -1) {
		if data, err := os.ReadFile(filepath.Join(root, found[1])); err == nil {
			manifests = append(manifests, string(data))
		}
	}
	for _, manifest := range manifests {
		for document := range strings.SplitSeq("\n"+manifest, "\n---") {
			var object struct {
				Kind     string
				Metadata struct{ Namespace, Name string }
			}
			if yaml.Unmarshal([]byte(document), &object) == nil && object.Kind != "" {
				h.own[p.Path][fmt.Sprintf("%s %s/%s", strings.ToLower(object.Kind), object.Metadata.Namespace, object.Metadata.Name)] = true
			}
		}
	}
}

// TestCommands: every command of the manual is one that works, as far as that can be told without running it: make says what it would do,
// Pulumi's own help has the flags, objects are those that the program deploys.
func TestCommands(t *testing.T) {
	t.Parallel()
	sample := docs.Page{Path: "x.md", Text: "```console\n$ kubectl -n monitoring port-forward service/loki 3100 &\n```\n"}
	all := manual(t)
	h := hold(t, append(all, sample))
	judged(t, h)
	checked := 0
	for _, p := range all {
		for _, c := range commands(p) {
			checked++
			simple, err := shell(c.text)
			if err != nil {
				assert.Fail(t, "a command that cannot be read", "%s\n%v", c, err)
				continue
			}
			for _, words := range simple {
				if err := h.simple(c, words); err != nil {
					assert.Fail(t, "a command that does not work", "%s\n%v", c, err)
				}
			}
		}
	}
	require.Greater(t, checked, 250, "the commands are no longer found")
}

// judged: what would not work is told, and what works is not.
func judged(t *testing.T, h *held) {
	t.Helper()
	for line, want := range map[string]string{
		"make previw":                                                  "No rule to make target",
		"make preview STAK=prod":                                       "the Makefile knows no variable STAK",
		"bin/preview -stak prod":                                       "bin/preview has no flag -stak",
		"bin/nothing":                                                  "the Makefile does not build bin/nothing",
		"go test ./nowhere/...":                                        "there is no nowhere",
		"jsonnet -J vendor x":                                          `nothing is known about "jsonnet"`,
		"aws s3 rb s3://x":                                             "aws s3 rb: not on the list",
		"curl -s localhost:9090/ready":                                 "no command of the page forwards port 9090",
		"kubectl -n monitoring logs pod/a":                             "there is no pod monitoring/a",
		"kubectl -n monitoring get lokis":                              `"lokis" is no kind`,
		"kubectl -n monitoring reboot":                                 `kubectl has no command "reboot"`,
		"kubectl get pods --every-namespace":                           "the test knows no flag --every-namespace",
		"kubectl -n monitoring port-forward service/loki 3101":         "service loki has no port 3101",
		"kubectl apply -f nowhere.yaml":                                "there is no nowhere.yaml",
		"cat x | kubectl -n monitoring rollout restart deployment/lok": "there is no deployment monitoring/lok",
	} {
		simple, err := shell(line)
		require.NoError(t, err)
		var found []string
		for _, words := range simple {
			if err := h.simple(command{"x.md", 1, line}, words); err != nil {
				found = append(found, err.Error())
			}
		}
		assert.Contains(t, strings.Join(found, "\n"), want, line)
	}
	for _, line := range []string{
		"make preview STACK=prod OUT=out", "bin/preview -stack prod", "curl -s 'localhost:3100/ready?a=b' | jq -r '.a | .b'", "go test ./components/loki/",
		"kubectl -n monitoring delete pod loki-0", "kubectl -n monitoring get statefulset prometheus-k8s -o jsonpath='{.spec}'",
		"make -s images STACK=prod | while read -r from to; do crane copy \"$from\" \"$to\"; done",
		"KUBECONFIG=x kubectl get nodes -L topology.kubernetes.io/zone > nodes", "kubectl -n monitoring logs loki-0 --since=1h | grep -E 'a|b'",
	} {
		simple, err := shell(line)
		require.NoError(t, err)
		for _, words := range simple {
			require.NoError(t, h.simple(command{"x.md", 1, line}, words), line)
		}
	}
	if h.cli == "" {
		return
	}
	for line, want := range map[string]string{
		"pulumi upp":                   "pulumi has no command",
		"pulumi up --stak dev":         "pulumi up has no flag --stak",
		"pulumi stack output kubeconf": "the program has no output kubeconf",
		"pulumi config set kansoku:monitoring.loki.replic": "replic is not a key",
	} {
		simple, err := shell(line)
		require.NoError(t, err)
		require.ErrorContains(t, h.simple(command{"x.md", 1, line}, simple[0]), want, line)
	}
	for _, line := range []string{
		"pulumi stack output --stack dev kubeconfig --show-secrets", "pulumi config set --secret slackUrl-team", "pulumi stack init dev",
		`pulumi config set --path 'kansoku:monitoring.loki.schema[1].from' 2026-01-01`,
	} {
		simple, err := shell(line)
		require.NoError(t, err)
		require.NoError(t, h.simple(command{"x.md", 1, line}, simple[0]), line)
	}
}
