package offline_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/s3"
	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/internal/offline"
	"github.com/kansoku/kansoku/internal/offline/double"
)

const tools = "../../bin"

// needTools skips where the tools are not built, unless they are promised.
func needTools(t *testing.T) {
	t.Helper()
	err := offline.CheckTools(tools)
	if err != nil && os.Getenv("KANSOKU_TOOLS") != "required" {
		t.Skip(err)
	}
	require.NoError(t, err)
}

const stackFile = `
secretsprovider: awskms://alias/nobody-has-it
encryptedkey: c29tZXRoaW5n
config:
  aws:region: ap-northeast-1
  small:settings: {replicas: 2, version: "1.30", zones: [a, b]}
  small:password:
    secure: AAABAHR
`

// settings is what the small program reads.
type settings struct {
	Replicas int      `json:"replicas"`
	Version  string   `json:"version"`
	Zones    []string `json:"zones"`
}

// small is a program with AWS and Kubernetes resources, a secret, and an order.
func small(keys []string) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		var read settings
		written, _ := ctx.GetConfig("small:settings")
		if err := json.Unmarshal([]byte(written), &read); err != nil {
			return err
		}
		plain, _ := ctx.GetConfig("small:password")
		if !ctx.IsConfigSecret("small:password") {
			return errors.New("the password is not a secret")
		}
		password := pulumi.ToSecret(pulumi.String(plain)).(pulumi.StringOutput)
		if read.Version != "1.30" {
			return errors.New("the version is " + read.Version)
		}
		bucket, err := s3.NewBucketV2(ctx, "data", &s3.BucketV2Args{Bucket: pulumi.String("small-data")})
		if err != nil {
			return err
		}
		role, err := iam.NewRole(ctx, "reader", &iam.RoleArgs{
			Name: pulumi.String("small-reader"), AssumeRolePolicy: pulumi.String(`{"Version":"2012-10-17","Statement":[]}`),
		})
		if err != nil {
			return err
		}
		namespace, err := corev1.NewNamespace(ctx, "z-small", &corev1.NamespaceArgs{Metadata: metav1.ObjectMetaArgs{Name: pulumi.String("small")}})
		if err != nil {
			return err
		}
		meta := func(name string) metav1.ObjectMetaArgs {
			return metav1.ObjectMetaArgs{Name: pulumi.String(name), Namespace: namespace.Metadata.Name()}
		}
		secret, err := corev1.NewSecret(ctx, "login", &corev1.SecretArgs{
			Metadata: meta("login"), StringData: pulumi.StringMap{"password": password},
		})
		if err != nil {
			return err
		}
		labels := pulumi.StringMap{"app": pulumi.String("small")}
		_, err = appsv1.NewDeployment(ctx, "app", &appsv1.DeploymentArgs{
			Metadata: meta("app"),
			Spec: appsv1.DeploymentSpecArgs{
				Replicas: pulumi.Int(read.Replicas),
				Selector: metav1.LabelSelectorArgs{MatchLabels: labels},
				Template: corev1.PodTemplateSpecArgs{
					Metadata: metav1.ObjectMetaArgs{Labels: labels, Annotations: pulumi.StringMap{"role": role.Arn, "bucket": bucket.Bucket}},
					Spec: corev1.PodSpecArgs{Containers: corev1.ContainerArray{corev1.ContainerArgs{
						Name: pulumi.String("app"), Image: pulumi.String("registry.example/app:1"),
					}}},
				},
			},
		}, pulumi.DependsOn([]pulumi.Resource{secret}))
		ctx.Export("keys", pulumi.ToStringArray(keys))
		ctx.Export("role", role.Arn)
		ctx.Export("password", password)
		return err
	}
}

func project(t *testing.T, stack string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.yaml"), []byte("name: small\nruntime: go\nbackend: {url: s3://nobody-has-it}\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.dev.yaml"), []byte(stack), 0o600))
	return dir
}

func newEngine(t *testing.T, options offline.Options) *offline.Engine {
	t.Helper()
	needTools(t)
	if options.Project == "" {
		options.Project = project(t, stackFile)
	}
	if options.Program == nil {
		options.Program = small
	}
	options.Stack, options.Tools = "dev", tools
	engine, err := offline.New(t.Context(), options)
	require.NoError(t, err)
	t.Cleanup(engine.Close)
	return engine
}

// changes are the steps that changed something: "update kubernetes:apps/v1:Deployment app".
func changes(result *offline.Result) []string {
	var found []string
	for _, step := range result.Changed() {
		found = append(found, step.Op+" "+step.Type+" "+step.Name)
	}
	return found
}

var smallTypes = map[string]int{
	"pulumi:pulumi:Stack": 1, "aws:s3/bucketV2:BucketV2": 1, "aws:iam/role:Role": 1, "kubernetes:core/v1:Namespace": 1,
	"kubernetes:core/v1:Secret": 1, "kubernetes:apps/v1:Deployment": 1,
}

func TestLife(t *testing.T) {
	t.Parallel()
	var output bytes.Buffer
	engine := newEngine(t, offline.Options{Output: &output})
	ctx := t.Context()

	preview, err := engine.Preview(ctx)
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"create": 6}, preview.Changes)
	assert.Equal(t, smallTypes, preview.Types())
	assert.Equal(t, 6, preview.Resources())
	assert.Contains(t, output.String(), "Resources:\n    + 6 to create\n")
	assert.Empty(t, engine.Cloud().Objects(), "a preview makes nothing")

	up, err := engine.Up(ctx, offline.UpOptions{})
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"create": 6}, up.Changes)
	assert.Len(t, engine.Cloud().Objects(), 5)
	outputs, err := engine.Outputs(ctx)
	require.NoError(t, err)
	assert.Equal(t, []any{"aws:region", "small:password", "small:settings"}, outputs["keys"].Value)
	assert.Equal(t, "secret-value-of-password", outputs["password"].Value)
	assert.True(t, outputs["password"].Secret)

	again, err := engine.Up(ctx, offline.UpOptions{})
	require.NoError(t, err)
	assert.Empty(t, changes(again))
	assert.Equal(t, map[string]int{"same": 6}, again.Changes)
	refreshed, err := engine.Refresh(ctx)
	require.NoError(t, err)
	assert.Empty(t, changes(refreshed))

	require.NoError(t, engine.Configure(ctx, map[string]any{"small:settings": settings{Replicas: 3, Version: "1.30"}}))
	changed, err := engine.Up(ctx, offline.UpOptions{})
	require.NoError(t, err)
	assert.Equal(t, []string{"update kubernetes:apps/v1:Deployment app"}, changes(changed))
	assert.Equal(t, []string{"spec.replicas"}, changed.Changed()[0].Diff)

	destroyed, err := engine.Destroy(ctx)
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"delete": 6}, destroyed.Changes)
	assert.Empty(t, engine.Cloud().Objects())
	assert.Empty(t, engine.Refused())
}

func TestStateKeepsSecrets(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, offline.Options{Config: map[string]any{"small:password": "hunter2-and-more"}})
	_, err := engine.Up(t.Context(), offline.UpOptions{})
	require.NoError(t, err)
	state, err := engine.Export(t.Context())
	require.NoError(t, err)
	assert.Len(t, state.Resources, 8, "with two default providers")
	text, err := json.Marshal(state)
	require.NoError(t, err)
	assert.NotContains(t, string(text), "hunter2")

	dir := t.TempDir()
	require.NoError(t, engine.WriteFiles(t.Context(), offline.ExportOptions{Dir: dir}))
	first := read(t, dir)
	assert.Equal(t, []string{
		".kansoku-preview", "aws/iam-role-reader.json", "aws/s3-bucketv2-data.json", "kubernetes/001-namespace-small.yaml",
		"kubernetes/002-secret-login.yaml", "kubernetes/003-deployment-app.yaml", "outputs.json",
	}, first.names)
	for name, content := range first.content {
		assert.NotContains(t, content, "hunter2", name)
	}
	assert.Contains(t, first.content["kubernetes/002-secret-login.yaml"], "[secret]")
	assert.Contains(t, first.content["kubernetes/003-deployment-app.yaml"], "role: arn:aws:iam::")
	require.NoError(t, engine.WriteFiles(t.Context(), offline.ExportOptions{Dir: dir, ShowSecrets: true}))
	assert.Contains(t, read(t, dir).content["outputs.json"], `"password": "hunter2-and-more"`)

	// Another engine, another cloud: the same bytes.
	other := newEngine(t, offline.Options{Config: map[string]any{"small:password": "hunter2-and-more"}})
	_, err = other.Up(t.Context(), offline.UpOptions{})
	require.NoError(t, err)
	require.NoError(t, other.WriteFiles(t.Context(), offline.ExportOptions{Dir: dir}))
	assert.Equal(t, first, read(t, dir))
}

// A state goes from one engine to another one, whose cloud is empty: what has changed since is seen, and no more.
func TestImport(t *testing.T) {
	t.Parallel()
	first := newEngine(t, offline.Options{})
	_, err := first.Up(t.Context(), offline.UpOptions{})
	require.NoError(t, err)
	state, err := first.Export(t.Context())
	require.NoError(t, err)

	second := newEngine(t, offline.Options{})
	require.NoError(t, second.Import(t.Context(), state))
	same, err := second.Preview(t.Context())
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"same": 6}, same.Changes, "with a secret, encrypted with another salt")
	require.NoError(t, second.Configure(t.Context(), map[string]any{"small:settings": settings{Replicas: 3, Version: "1.30"}, "small:password": "other"}))
	changed, err := second.Preview(t.Context())
	require.NoError(t, err)
	assert.Equal(t, map[string]int{"same": 4, "update": 1, "replace": 1}, changed.Changes)
	assert.Empty(t, second.Cloud().Objects())

	state.Resources[0].URN = "urn:pulumi:prod::small::pulumi:pulumi:Stack::small-prod"
	require.ErrorContains(t, second.Import(t.Context(), state), "importing the state: ")
}

type directory struct {
	names   []string
	content map[string]string
}

func read(t *testing.T, dir string) directory {
	t.Helper()
	found := directory{content: map[string]string{}}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		require.NoError(t, err)
		content, err := os.ReadFile(path)
		found.names, found.content[name] = append(found.names, name), string(content)
		return err
	}))
	return found
}

// A failed operation says what failed, keeps what was made, and is resumed by the next.
func TestResume(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]double.Failure{"nothing was made": double.Before, "it was made": double.After} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cloud := double.New()
			t.Cleanup(cloud.Close)
			engine := newEngine(t, offline.Options{Cloud: cloud})
			cloud.FailCreate(func(typ, _ string, attempt int) double.Failure {
				if typ == "aws:s3/bucketV2:BucketV2" && attempt == 1 {
					return failure
				}
				return double.None
			})
			result, err := engine.Up(t.Context(), offline.UpOptions{ContinueOnError: true})
			var failed *offline.RunError
			require.ErrorAs(t, err, &failed)
			require.ErrorContains(t, err, "aws:s3:BucketV2 (data): ")
			require.Len(t, result.Failed, 1)
			assert.Equal(t, "data", result.Failed[0].Name)
			state, err := engine.Export(t.Context())
			require.NoError(t, err)
			assert.GreaterOrEqual(t, len(state.Resources), 6, "stack, role, namespace, secret and two providers")

			_, err = engine.Up(t.Context(), offline.UpOptions{})
			require.NoError(t, err)
			assert.Len(t, cloud.Objects(), 5, "nothing double, nothing missing")
			again, err := engine.Up(t.Context(), offline.UpOptions{})
			require.NoError(t, err)
			assert.Empty(t, changes(again))
		})
	}
}

func TestErrorsAreTheEngines(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, offline.Options{Config: map[string]any{"small:settings": settings{Version: "1.29"}}})
	result, err := engine.Preview(t.Context())
	var failed *offline.RunError
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, "preview", failed.Operation)
	require.ErrorContains(t, err, "the version is 1.29")
	assert.NotContains(t, err.Error(), "goroutine")
	assert.NotContains(t, err.Error(), "stdout:")
	assert.NotNil(t, result)

	engine.SetProgram(func([]string) pulumi.RunFunc {
		return func(*pulumi.Context) error { panic("a fault of the program") }
	})
	_, err = engine.Up(t.Context(), offline.UpOptions{})
	require.ErrorContains(t, err, "a fault of the program")
	assert.NotContains(t, err.Error(), "goroutine")

	another := project(t, stackFile)
	require.NoError(t, os.WriteFile(filepath.Join(another, "Pulumi.yaml"), []byte("name: large\nruntime: go\n"), 0o600))
	err = engine.Load(t.Context(), offline.Options{Project: another, Program: small})
	require.EqualError(t, err, "the project was small and is large now: every resource would be another")
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	_, err := offline.New(t.Context(), offline.Options{})
	require.EqualError(t, err, "preparing the engine: a stack and a program are required")
	needTools(t)
	_, err = offline.New(t.Context(), offline.Options{Project: project(t, stackFile), Stack: "prod", Program: small, Tools: tools})
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = offline.New(t.Context(), offline.Options{Project: t.TempDir(), Stack: "dev", Program: small, Tools: tools})
	require.ErrorContains(t, err, "reading the project")
}

func TestRunPreview(t *testing.T) {
	t.Parallel()
	needTools(t)
	var output bytes.Buffer
	out := filepath.Join(t.TempDir(), "out")
	options := offline.Options{Project: project(t, stackFile), Stack: "dev", Program: small, Tools: tools, Output: &output}
	require.NoError(t, offline.RunPreview(t.Context(), options, offline.PreviewOptions{Out: out, CriticalPath: true}))
	assert.Contains(t, output.String(), `
Resources by type:
     1  aws:iam/role:Role
     1  aws:s3/bucketV2:BucketV2
     1  kubernetes:apps/v1:Deployment
     1  kubernetes:core/v1:Namespace
     1  kubernetes:core/v1:Secret
     1  pulumi:pulumi:Stack
     6  in all, stack dev

written to `+out+", from an up against the doubles\n")
	assert.Contains(t, output.String(), "critical path of an up: 0:27 (lower bound 0:25)\n", "namespace, secret, deployment")
	assert.NotContains(t, output.String(), "secret-value-of")
	assert.FileExists(t, filepath.Join(out, "kubernetes/001-namespace-small.yaml"))
}

func TestRender(t *testing.T) {
	t.Parallel()
	var output bytes.Buffer
	count, err := offline.Render(offline.Options{Project: project(t, stackFile), Stack: "dev", Program: small}, &output)
	require.NoError(t, err)
	assert.Equal(t, 3, count)
	objects := bytes.Split(output.Bytes(), []byte("---\n"))
	require.Len(t, objects, 4)
	assert.Contains(t, string(objects[1]), "kind: Namespace\n")
	assert.Contains(t, string(objects[2]), "password: '[secret]'\n")
	assert.Contains(t, string(objects[3]), "replicas: 2\n")
	assert.Contains(t, string(objects[3]), "role: arn:aws:mocked:reader\n")
}
