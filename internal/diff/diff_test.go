package diff_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/s3"
	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/internal/diff"
	"github.com/kansoku/kansoku/internal/offline"
)

// TestMain lets this binary be the base's program too: the engine starts it with the address of its monitor.
func TestMain(m *testing.M) {
	if os.Getenv(pulumi.EnvMonitor) != "" {
		pulumi.Run(small(nil))
		return
	}
	os.Exit(m.Run())
}

// small has a bucket, another whose name in the cloud mentions it, and a deployment that does too.
func small([]string) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		get := func(key string) string {
			value, _ := ctx.GetConfig("small:" + key)
			return value
		}
		if refused := get("refused"); refused != "" {
			return errors.New(refused)
		}
		replicas, err := strconv.Atoi(get("replicas"))
		if err != nil {
			return err
		}
		bucket, err := s3.NewBucketV2(ctx, get("bucket"), &s3.BucketV2Args{
			Bucket: pulumi.String(get("bucket") + "-of-small"), Tags: pulumi.StringMap{"password": pulumi.String(get("password"))},
		}, pulumi.Protect(true))
		if err != nil {
			return err
		}
		if _, err = s3.NewBucketV2(ctx, "logs", &s3.BucketV2Args{Bucket: pulumi.String("logs-beside-" + get("bucket"))}); err != nil {
			return err
		}
		labels := pulumi.StringMap{"app": pulumi.String("small")}
		_, err = appsv1.NewDeployment(ctx, "app", &appsv1.DeploymentArgs{
			Metadata: metav1.ObjectMetaArgs{Name: pulumi.String("app"), Namespace: pulumi.String("default")},
			Spec: appsv1.DeploymentSpecArgs{
				Replicas: pulumi.Int(replicas),
				Selector: metav1.LabelSelectorArgs{MatchLabels: labels},
				Template: corev1.PodTemplateSpecArgs{
					Metadata: metav1.ObjectMetaArgs{Labels: labels, Annotations: pulumi.StringMap{"bucket": bucket.Arn}},
					Spec: corev1.PodSpecArgs{Containers: corev1.ContainerArray{corev1.ContainerArgs{
						Name: pulumi.String("app"), Image: pulumi.String("registry.example/app:1"),
					}}},
				},
			},
		})
		return err
	}
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	command := exec.Command("git", append([]string{"-C", dir}, args...)...)
	for _, who := range []string{"AUTHOR", "COMMITTER"} {
		command.Env = append(command.Env, "GIT_"+who+"_NAME=a", "GIT_"+who+"_EMAIL=a@example.com", "GIT_"+who+"_DATE=2026-01-01T00:00:00Z")
	}
	command.Env = append(command.Env, "PATH="+os.Getenv("PATH"), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	said, err := command.CombinedOutput()
	require.NoError(t, err, string(said))
	return strings.TrimSpace(string(said))
}

// write makes the files of a directory; "" removes one.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if content == "" {
			require.NoError(t, os.Remove(path))
			continue
		}
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	}
}

// repository has one commit on its branch main.
func repository(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	git(t, dir, "init", "--quiet", "--initial-branch=main")
	write(t, dir, files)
	git(t, dir, "add", ".")
	git(t, dir, "commit", "--quiet", "--message=base")
	return dir
}

// toolsFor is a directory of tools of the test's own, for the programs that are kept in it.
func toolsFor(t *testing.T) string {
	t.Helper()
	built, err := filepath.Abs("../../bin")
	require.NoError(t, err)
	if missing := offline.CheckTools(built); missing != nil && os.Getenv("KANSOKU_TOOLS") != "required" {
		t.Skipf("no engine: %v", missing)
	}
	dir := t.TempDir()
	for _, tool := range []string{"pulumi", "eks"} {
		require.NoError(t, os.Symlink(filepath.Join(built, tool), filepath.Join(dir, tool)))
	}
	return dir
}

func stackFile(bucket string, replicas int, more string) string {
	return fmt.Sprintf("config:\n  aws:region: ap-northeast-1\n  small:bucket: %s\n  small:replicas: %d\n  small:password: {secure: AAAA}\n%s",
		bucket, replicas, more)
}

const projectFile = "name: small\nruntime: go\n"

func TestRun(t *testing.T) {
	t.Parallel()
	project := repository(t, map[string]string{
		"Pulumi.yaml":          projectFile,
		"Pulumi.broken.yaml":   stackFile("data", 2, ""),
		"Pulumi.gone.yaml":     stackFile("data", 2, ""),
		"Pulumi.renamed.yaml":  stackFile("data", 2, ""),
		"Pulumi.same.yaml":     stackFile("data", 2, ""),
		"Pulumi.scaled.yaml":   stackFile("data", 2, ""),
		"docs/is/not/read.txt": "anything",
	})
	commit := git(t, project, "rev-parse", "HEAD")
	tools := toolsFor(t)
	own, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(tools, "base"), 0o755))
	require.NoError(t, os.Symlink(own, filepath.Join(tools, "base", commit)))
	write(t, project, map[string]string{
		"Pulumi.broken.yaml":  stackFile("data", 2, "  small:refused: no such thing\n"),
		"Pulumi.fresh.yaml":   stackFile("data", 2, ""),
		"Pulumi.gone.yaml":    "",
		"Pulumi.renamed.yaml": stackFile("archive", 2, ""),
		"Pulumi.scaled.yaml":  strings.Replace(stackFile("data", 3, ""), "AAAA", "BBBB", 1),
	})

	var said bytes.Buffer
	err = diff.Run(t.Context(), diff.Options{
		Project: project, Base: "main", Program: small, Tools: tools,
		Cost: func(project, stack string) (float64, string, error) {
			content, missing := os.ReadFile(filepath.Join(project, "Pulumi."+stack+".yaml"))
			replicas, _ := strconv.Atoi(strings.Split(string(content), "small:replicas: ")[1][:1])
			return float64(replicas) * 10.5, fmt.Sprintf("%8.2f  replicas\n", float64(replicas)*10.5), missing
		},
	}, &said)
	require.EqualError(t, err, "the working tree's program fails for broken")
	diff.Golden(t, "run.md", said.String())
	assert.NotContains(t, said.String(), "secret-value-of")
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "kansoku-base-*"))
	require.NoError(t, err)
	for _, dir := range left {
		tree, err := os.ReadFile(filepath.Join(dir, "tree", "docs/is/not/read.txt"))
		assert.Error(t, err, "the checkout is still there: %s", tree)
	}
}

// TestRunBuildsTheBase: what does not build, or fails, is the base's fault and no error.
func TestRunBuildsTheBase(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"nothing to build": {want: "its program does not build: exit status 1\n"},
		"a program that fails": {
			files: map[string]string{
				"go.mod":  "module example.com/base\n",
				"main.go": "package main\n\nimport \"os\"\n\nfunc main() {\n\tprintln(\"out of ink:\", os.Getenv(\"PULUMI_STACK\"))\n\tos.Exit(3)\n}\n",
			},
			want: "the program ended: exit status 3\nout of ink: dev",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tools := toolsFor(t)
			files := map[string]string{"Pulumi.yaml": projectFile, "Pulumi.dev.yaml": stackFile("data", 2, "")}
			maps.Copy(files, test.files)
			project := repository(t, files)
			var said bytes.Buffer
			require.NoError(t, diff.Run(t.Context(), diff.Options{Project: project, Base: "HEAD", Program: small, Tools: tools}, &said))
			assert.Contains(t, said.String(), "### dev: cannot be compared\n")
			assert.Contains(t, said.String(), test.want)
			kept, err := os.ReadDir(filepath.Join(tools, "base"))
			require.NoError(t, err)
			assert.Len(t, kept, len(test.files)/2, "a program that was built is kept")
		})
	}
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	tools := toolsFor(t)
	project := repository(t, map[string]string{"Pulumi.yaml": projectFile, "Pulumi.dev.yaml": stackFile("data", 2, "")})
	run := func(options diff.Options) error {
		options.Project, options.Program, options.Tools = project, small, tools
		return diff.Run(t.Context(), options, &bytes.Buffer{})
	}
	require.EqualError(t, run(diff.Options{}), "comparing: a base and a program are required")
	require.ErrorContains(t, run(diff.Options{Base: "nowhere"}), `checking out the base: "nowhere" names no commit here`)
	require.ErrorContains(t, run(diff.Options{Base: "--output=x"}), "names no commit here")
	require.EqualError(t, run(diff.Options{Base: "main", Stacks: []string{"prod"}}), "neither side has a Pulumi.prod.yaml: there are dev")
}
