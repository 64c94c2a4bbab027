package offline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optdestroy"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"gopkg.in/yaml.v3"

	"github.com/kansoku/kansoku/internal/offline/double"
)

// Options of an Engine.
type Options struct {
	// Project is the directory with Pulumi.yaml and the stack files. Default: the working directory. Nothing in it is written.
	Project string
	// Stack is the stack whose file is read. Required.
	Stack string
	// Program gives the program to run for the configuration keys that are set ("kansoku:network"), since a context cannot enumerate
	// them. Required unless Executable is given.
	Program func(keys []string) pulumi.RunFunc
	// Executable is a program of its own instead, as its main package builds it. It runs in Project.
	Executable string
	// Cloud holds what the program creates. Default: a new one, closed with the engine; a given one is left open.
	Cloud *double.Cloud
	// Config overrides values of the stack file, by full key: whatever YAML can express, a Secret, or nil for none.
	Config map[string]any
	// Tools is the directory with the CLI and the pulumi-eks provider. Default: "bin" in Project.
	Tools string
	// Providers are further ones on loopback, by package and port ("kansoku:40123"). Default: none.
	Providers []string
	// Output receives the engine's own progress, with colours if Colour. Default: nothing.
	Output io.Writer
	Colour bool
}

// Engine runs one program for one stack. Its state lives in a throw-away directory until Close.
type Engine struct {
	options Options
	root    string
	runtime string // of the project
	config  stackConfig
	stack   auto.Stack
	local   *auto.LocalWorkspace
	proxy   *healthProxy
	eks     *eksProvider
	starts  *launcher
	cloud   *double.Cloud
}

// RunError is an operation that failed. Its text is what the engine reported, without the tool's progress.
type RunError struct {
	// Operation is "preview", "up", "refresh" or "destroy".
	Operation string
	// Messages of the engine, at least one.
	Messages []string
	// Err is what the Automation API returned.
	Err error
}

// Error implements error.
func (e *RunError) Error() string {
	return fmt.Sprintf("the %s failed:\n%s", e.Operation, strings.Join(e.Messages, "\n"))
}

// Unwrap gives the Automation API's error.
func (e *RunError) Unwrap() error { return e.Err }

// passphrase encrypts the secrets of a state that is thrown away.
const passphrase = "offline"

// New prepares an engine. The caller closes it.
func New(ctx context.Context, options Options) (_ *Engine, err error) {
	if options.Stack == "" || options.Program == nil && options.Executable == "" {
		return nil, errors.New("preparing the engine: a stack and a program are required")
	}
	if options.Project == "" {
		options.Project = "."
	}
	if options.Tools == "" {
		options.Tools = filepath.Join(options.Project, "bin")
	}
	found, err := findTools(ctx, options.Tools)
	if err != nil {
		return nil, err
	}
	project, config, err := readProject(options)
	if err != nil {
		return nil, err
	}

	e := &Engine{options: options, config: config, cloud: options.Cloud, runtime: project.Runtime.Name()}
	defer func() {
		if err != nil {
			e.Close()
		}
	}()
	if e.root, err = os.MkdirTemp("", "kansoku-offline-"); err != nil {
		return nil, fmt.Errorf("making the engine's directory: %w", err)
	}
	for _, dir := range []string{"work", "home", "state"} {
		if err = os.Mkdir(filepath.Join(e.root, dir), 0o700); err != nil {
			return nil, fmt.Errorf("making the engine's directory: %w", err)
		}
	}
	if e.proxy, err = startProxy(); err != nil {
		return nil, err
	}
	if e.cloud == nil {
		e.cloud = double.New()
	}
	providers, err := e.cloud.Serve()
	if err != nil {
		return nil, fmt.Errorf("serving the doubles: %w", err)
	}
	if e.eks, err = listenForEKS(); err != nil {
		return nil, err
	}
	if e.starts, err = startLauncher(); err != nil {
		return nil, err
	}
	if err = found.install(e.path("shims")); err != nil {
		return nil, err
	}
	attached := strings.Join(append([]string{providers, e.eks.attachment()}, options.Providers...), ",")
	environment := e.environment(attached, fmt.Sprintf("%s:%d", project.Runtime.Name(), e.starts.port))
	e.eks.serve(found.provider(environment, e.proxy.address()))
	return e, e.open(ctx, found, project, environment)
}

func (e *Engine) path(parts ...string) string {
	return filepath.Join(append([]string{e.root}, parts...)...)
}

// open makes the workspace and the stack in it.
func (e *Engine) open(ctx context.Context, found tools, project *workspace.Project, environment []string) error {
	if err := e.writeStack(""); err != nil {
		return err
	}
	local, err := auto.NewLocalWorkspace(ctx,
		auto.WorkDir(e.path("work")),
		auto.PulumiHome(e.path("home", ".pulumi")),
		auto.Project(*project),
		auto.SecretsProvider("passphrase"),
		auto.Pulumi(command{path: found.cli, version: found.cliVersion, env: environment}),
	)
	if err != nil {
		return fmt.Errorf("making the workspace: %w", err)
	}
	e.local = local.(*auto.LocalWorkspace) // what NewLocalWorkspace makes
	if err = e.setProgram(); err != nil {
		return err
	}
	if e.stack, err = auto.NewStack(ctx, e.options.Stack, e.local); err != nil {
		return fmt.Errorf("making the stack: %w", err)
	}
	return e.setSecrets(ctx)
}

// setProgram has the operations that follow run what the options name.
func (e *Engine) setProgram() error {
	if e.options.Program != nil {
		e.local.SetProgram(e.options.Program(e.config.keys()))
		return nil
	}
	executable, err := filepath.Abs(e.options.Executable)
	if err != nil {
		return fmt.Errorf("resolving the path of the program: %w", err)
	}
	dir, err := filepath.Abs(e.options.Project)
	if err != nil {
		return fmt.Errorf("resolving the path of the project: %w", err)
	}
	e.local.SetProgram(nil)
	e.starts.use(executable, dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + e.path("home"), "TMPDIR=" + os.TempDir(), "LANG=C.UTF-8"})
	return nil
}

// environment is the CLI's whole environment.
func (e *Engine) environment(providers, languages string) []string {
	return []string{
		"PATH=" + e.path("shims") + string(os.PathListSeparator) + os.Getenv("PATH"),
		"HOME=" + e.path("home"),
		"TMPDIR=" + os.TempDir(),
		"LANG=C.UTF-8",
		"TERM=" + os.Getenv("TERM"),
		"GOGC=" + os.Getenv("GOGC"),
		"PULUMI_BACKEND_URL=file://" + e.path("state"),
		"PULUMI_CONFIG_PASSPHRASE=" + passphrase,
		"PULUMI_SKIP_UPDATE_CHECK=true",
		"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=true",
		"PULUMI_IGNORE_AMBIENT_PLUGINS=true",
		"PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS=true",
		// The state is written once, at the end, of a failed operation too: after every step it takes most of an up's time.
		"PULUMI_SKIP_CHECKPOINTS=true",
		"PULUMI_DEBUG_PROVIDERS=" + providers,
		"PULUMI_DEBUG_LANGUAGES=" + languages,
	}
}

// readProject reads Pulumi.yaml and the stack file. What points elsewhere (a backend, plugins, a template) is left behind.
func readProject(options Options) (*workspace.Project, stackConfig, error) {
	project, err := workspace.LoadProject(filepath.Join(options.Project, "Pulumi.yaml"))
	if err != nil {
		return nil, stackConfig{}, fmt.Errorf("reading the project: %w", err)
	}
	config, err := readStack(filepath.Join(options.Project, project.StackConfigDir, "Pulumi."+options.Stack+".yaml"))
	if err != nil {
		return nil, stackConfig{}, err
	}
	if err := config.override(options.Config); err != nil {
		return nil, stackConfig{}, err
	}
	config.declared(project)
	return &workspace.Project{Name: project.Name, Description: project.Description, Runtime: project.Runtime, Config: project.Config}, config, nil
}

func (e *Engine) stackFile() string { return e.path("work", "Pulumi."+e.options.Stack+".yaml") }

func (e *Engine) writeStack(salt string) error {
	content, err := e.config.file(salt)
	if err != nil {
		return err
	}
	if err := os.WriteFile(e.stackFile(), content, 0o600); err != nil {
		return fmt.Errorf("writing the stack file: %w", err)
	}
	return nil
}

func (e *Engine) setSecrets(ctx context.Context) error {
	if len(e.config.secrets) == 0 {
		return nil
	}
	secrets := auto.ConfigMap{}
	for key, value := range e.config.secrets {
		secrets[key] = auto.ConfigValue{Value: value, Secret: true}
	}
	if err := e.stack.SetAllConfig(ctx, secrets); err != nil {
		return fmt.Errorf("setting the secrets: %w", err)
	}
	return nil
}

// Configure overrides configuration values for the operations that follow, as Options.Config does.
func (e *Engine) Configure(ctx context.Context, values map[string]any) error {
	if err := e.config.override(values); err != nil {
		return err
	}
	return e.configured(ctx)
}

// Load has the operations that follow run another program with the stack file beside it: of the options Project, Program, Executable and
// Config count. The state stays, so the project must have the name of the first.
func (e *Engine) Load(ctx context.Context, options Options) error {
	options.Stack = e.options.Stack
	project, config, err := readProject(options)
	if err != nil {
		return err
	}
	before, err := e.local.ProjectSettings(ctx)
	if err != nil {
		return fmt.Errorf("reading the project before: %w", err)
	}
	if project.Name != before.Name {
		return fmt.Errorf("the project was %s and is %s now: every resource would be another", before.Name, project.Name)
	}
	if err := e.local.SaveProjectSettings(ctx, project); err != nil {
		return fmt.Errorf("writing the project: %w", err)
	}
	e.config = config
	e.options.Project, e.options.Program, e.options.Executable = options.Project, options.Program, options.Executable
	return e.configured(ctx)
}

// configured writes the stack file for the operations that follow.
func (e *Engine) configured(ctx context.Context) error {
	content, err := os.ReadFile(e.stackFile())
	if err != nil {
		return fmt.Errorf("reading the stack file: %w", err)
	}
	var file struct {
		Salt string `yaml:"encryptionsalt"`
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		return fmt.Errorf("reading the stack file: %w", err)
	}
	if err := e.writeStack(file.Salt); err != nil {
		return err
	}
	if err := e.setProgram(); err != nil {
		return err
	}
	return e.setSecrets(ctx)
}

// SetProgram changes the program for the operations that follow.
func (e *Engine) SetProgram(program func(keys []string) pulumi.RunFunc) {
	e.options.Program = program
	e.local.SetProgram(program(e.config.keys()))
}

// Cloud is what the program created.
func (e *Engine) Cloud() *double.Cloud { return e.cloud }

// Answered lists the health checks of clusters that were played for the pulumi-eks provider, as "GET host:443/healthz".
func (e *Engine) Answered() []string {
	answered, _ := e.proxy.seen()
	return answered
}

// Refused lists what else that provider tried to reach.
func (e *Engine) Refused() []string {
	_, refused := e.proxy.seen()
	return refused
}

// Preview shows what an up would do.
func (e *Engine) Preview(ctx context.Context) (*Result, error) {
	return e.run("preview", func(stream chan<- events.EngineEvent, stdout, stderr io.Writer) error {
		_, err := e.stack.Preview(ctx, optpreview.EventStreams(stream), optpreview.ProgressStreams(stdout),
			optpreview.ErrorProgressStreams(stderr), optpreview.Color(e.colour()))
		return err
	})
}

// UpOptions of an Up.
type UpOptions struct {
	// ContinueOnError goes on with what does not depend on a failed resource.
	ContinueOnError bool
	// Targets are the URNs of the only resources to touch. Default: all.
	Targets []string
}

// Up creates and updates. The result is there beside an error too.
func (e *Engine) Up(ctx context.Context, options UpOptions) (*Result, error) {
	return e.run("up", func(stream chan<- events.EngineEvent, stdout, stderr io.Writer) error {
		given := []optup.Option{
			optup.EventStreams(stream), optup.ProgressStreams(stdout), optup.ErrorProgressStreams(stderr), optup.Color(e.colour()),
		}
		if options.ContinueOnError {
			given = append(given, optup.ContinueOnError())
		}
		if len(options.Targets) > 0 {
			given = append(given, optup.Target(options.Targets))
		}
		_, err := e.stack.Up(ctx, given...)
		return err
	})
}

// Refresh reads every resource back.
func (e *Engine) Refresh(ctx context.Context) (*Result, error) {
	return e.run("refresh", func(stream chan<- events.EngineEvent, stdout, stderr io.Writer) error {
		_, err := e.stack.Refresh(ctx, optrefresh.EventStreams(stream), optrefresh.ProgressStreams(stdout),
			optrefresh.ErrorProgressStreams(stderr), optrefresh.Color(e.colour()))
		return err
	})
}

// Destroy deletes what is not retained. As the CLI does, it previews first and deletes nothing if that fails, as it does for each protected
// resource.
func (e *Engine) Destroy(ctx context.Context) (*Result, error) {
	options := func(stream chan<- events.EngineEvent, stdout, stderr io.Writer) []optdestroy.Option {
		return []optdestroy.Option{
			optdestroy.EventStreams(stream), optdestroy.ProgressStreams(stdout), optdestroy.ErrorProgressStreams(stderr), optdestroy.Color(e.colour()),
		}
	}
	refused, err := e.run("destroy", func(stream chan<- events.EngineEvent, stdout, stderr io.Writer) error {
		_, err := e.stack.PreviewDestroy(ctx, append(options(stream, stdout, stderr), optdestroy.ContinueOnError())...)
		return err
	})
	if err != nil {
		return refused, err
	}
	return e.run("destroy", func(stream chan<- events.EngineEvent, stdout, stderr io.Writer) error {
		_, err := e.stack.Destroy(ctx, options(stream, stdout, stderr)...)
		return err
	})
}

func (e *Engine) colour() string {
	if e.options.Colour {
		return "always"
	}
	return "never"
}

// run gathers the events of one operation and gives an error the engine's words.
func (e *Engine) run(operation string, start func(stream chan<- events.EngineEvent, stdout, stderr io.Writer) error) (*Result, error) {
	output := e.options.Output
	if output == nil {
		output = io.Discard
	}
	var complaints strings.Builder
	gathered := collect()
	err := start(gathered.channel, output, io.MultiWriter(output, &complaints))
	result := gathered.end()
	if err == nil {
		return result, nil
	}
	failed := &RunError{Operation: operation, Messages: result.Errors, Err: err}
	if len(failed.Messages) == 0 {
		failed.Messages = []string{strings.TrimSpace(complaints.String())}
	}
	if failed.Messages[0] == "" {
		failed.Messages = []string{err.Error()}
	}
	if err := e.eks.failure(); err != nil {
		failed.Messages = append(failed.Messages, err.Error())
	}
	return result, failed
}

// Outputs are the stack's outputs after the last up; secrets are plain and marked.
func (e *Engine) Outputs(ctx context.Context) (auto.OutputMap, error) {
	outputs, err := e.stack.Outputs(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the outputs: %w", err)
	}
	return outputs, nil
}

// Export is the state as the engine stores it: secrets are encrypted.
func (e *Engine) Export(ctx context.Context) (*apitype.DeploymentV3, error) {
	return e.export(ctx)
}

// exportPlain is the state with secrets in plain text, each still marked as one.
func (e *Engine) exportPlain(ctx context.Context) (*apitype.DeploymentV3, error) {
	return e.export(ctx, "--show-secrets")
}

// Unprotect takes the protection of every resource in the state away, so that a preview goes on past what an up would refuse, and says
// which resources had it, by URN.
func (e *Engine) Unprotect(ctx context.Context) (map[string]bool, error) {
	deployment, err := e.export(ctx)
	if err != nil {
		return nil, err
	}
	protected := map[string]bool{}
	for i := range deployment.Resources {
		if one := &deployment.Resources[i]; one.Protect {
			protected[string(one.URN)] = true
		}
	}
	if len(protected) == 0 {
		return protected, nil
	}
	if _, err := e.CLI(ctx, "state", "unprotect", "--all", "--yes"); err != nil {
		return nil, fmt.Errorf("unprotecting the state: %w", err)
	}
	return protected, nil
}

// CLI runs a command of the CLI that needs no program, such as "import" or "state delete", on the stack, and returns what it printed.
func (e *Engine) CLI(ctx context.Context, args ...string) (string, error) {
	language, stop, err := serveLanguage(ctx, e.runtime)
	if err != nil {
		return "", err
	}
	defer stop()
	env := []string{"PULUMI_HOME=" + e.local.PulumiHome(), "PULUMI_DEBUG_LANGUAGES=" + language}
	args = append(slices.Clone(args), "--stack", e.options.Stack)
	stdout, stderr, _, err := e.local.PulumiCommand().Run(ctx, e.local.WorkDir(), nil, nil, nil, env, args...)
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, strings.TrimSpace(stdout+stderr))
	}
	return stdout, nil
}

func (e *Engine) export(ctx context.Context, more ...string) (*apitype.DeploymentV3, error) {
	stdout, err := e.CLI(ctx, append([]string{"stack", "export"}, more...)...)
	if err != nil {
		return nil, fmt.Errorf("exporting the state: %w", err)
	}
	var exported struct {
		Deployment apitype.DeploymentV3 `json:"deployment"`
	}
	if err := json.Unmarshal([]byte(stdout), &exported); err != nil {
		return nil, fmt.Errorf("reading the exported state: %w", err)
	}
	return &exported.Deployment, nil
}

// Import replaces the stack's state by one that Export gave, of this engine or of another one. The cloud stays as it is: a preview over the
// imported state needs nothing in it but what the program reads.
func (e *Engine) Import(ctx context.Context, deployment *apitype.DeploymentV3) error {
	written, err := json.Marshal(deployment)
	if err != nil {
		return fmt.Errorf("writing the state to import: %w", err)
	}
	if err := e.stack.Import(ctx, apitype.UntypedDeployment{Version: 3, Deployment: written}); err != nil {
		return fmt.Errorf("importing the state: %w", err)
	}
	return nil
}

// Close removes everything. Safe to call twice.
func (e *Engine) Close() {
	if e.proxy != nil {
		e.proxy.close()
	}
	if e.eks != nil {
		e.eks.close()
	}
	if e.starts != nil {
		e.starts.close()
	}
	if e.cloud != nil && e.options.Cloud == nil {
		e.cloud.Close()
	}
	if e.root != "" {
		_ = os.RemoveAll(e.root)
	}
}

// sortedKeys are a map's keys, sorted.
func sortedKeys[V any](of map[string]V) []string { return slices.Sorted(maps.Keys(of)) }
