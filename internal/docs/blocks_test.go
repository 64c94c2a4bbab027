package docs_test

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	kubernetes "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	nativeappsv1 "k8s.io/api/apps/v1"
	nativebatchv1 "k8s.io/api/batch/v1"
	nativecorev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// TestGoInDocs: Go code parses, and what imports something, a whole file or its beginning, stands in a Go file of this repository, where it is
// compiled.
func TestGoInDocs(t *testing.T) {
	t.Parallel()
	compiled := map[string]bool{} // whole files and bodies, without white space
	var sources []string
	for _, text := range goFiles(t, root, true) {
		sources = append(sources, squeezed(text))
	}
	require.Greater(t, len(sources), 100)
	module, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	found := 0
	for _, p := range everyMarkdown(t) {
		for _, block := range p.Blocks() {
			if block.Language != "go" {
				continue
			}
			found++
			imports, rest := beginning(block.Text)
			wrapped := block.Text
			if !strings.HasPrefix(strings.TrimSpace(block.Text), "package ") {
				wrapped = "package p\n" + imports + "\nfunc _() {\n" + rest + "\n}\n"
				if regexp.MustCompile(`(?m)^(func|type|const|var) `).MatchString(rest) && !strings.Contains(rest, ":=") {
					wrapped = "package p\n" + block.Text
				}
			}
			file, err := parser.ParseFile(token.NewFileSet(), "", wrapped, parser.SkipObjectResolution)
			if err != nil {
				assert.Fail(t, "this is no Go", "%s\n%v", block.At(0), err)
				continue
			}
			for _, one := range file.Imports {
				path, err := strconv.Unquote(one.Path.Value)
				require.NoError(t, err)
				if name, ours := strings.CutPrefix(path, "github.com/kansoku/kansoku/"); ours {
					assert.DirExists(t, filepath.Join(root, name), "%s imports it", block.At(0))
					continue
				}
				host, _, _ := strings.Cut(path, "/")
				known := !strings.Contains(host, ".") || slices.ContainsFunc(strings.Fields(string(module)), func(word string) bool {
					return strings.HasPrefix(path+"/", word+"/") && strings.Contains(word, ".")
				})
				assert.True(t, known, "%s: go.mod does not know %s", block.At(0), path)
			}
			if len(file.Imports) == 0 {
				continue // a piece, to look at
			}
			text := squeezed(rest)
			if compiled[text] {
				continue
			}
			there := slices.ContainsFunc(sources, func(source string) bool { return strings.Contains(source, text) })
			assert.True(t, there, "%s: no Go file has this code, so nothing compiles it: take it from one, such as internal/docs/examples_test.go", block.At(0))
			compiled[text] = there
		}
	}
	require.Greater(t, found, 20, "the blocks are no longer found")
}

var importDeclaration = regexp.MustCompile(`(?s)\A\s*import (\(.*?\n\)|"[^"]+"\n)`)

// beginning splits the imports from the code below them.
func beginning(text string) (imports, rest string) {
	imports = importDeclaration.FindString(text)
	return imports, strings.TrimPrefix(text, imports)
}

// squeezed is the code without white space: how far it is indented does not matter.
func squeezed(text string) string { return strings.Join(strings.Fields(text), " ") }

func TestReadmeExample(t *testing.T) {
	t.Parallel()
	r := recorded(t, withRole(func(ctx *pulumi.Context, role *iam.Role) error {
		provider, err := kubernetes.NewProvider(ctx, "cluster", nil)
		if err != nil {
			return err
		}
		return exampleReadme(ctx, role, provider)
	}))
	require.Len(t, r.OfType("kubernetes:monitoring.coreos.com/v1:Prometheus"), 1)
}

// TestLocalManifests: what docs/local makes is what Pulumi.local.yaml asks for.
func TestLocalManifests(t *testing.T) {
	t.Parallel()
	secrets, services, setup := map[string]bool{}, map[string]bool{}, ""
	for _, name := range []string{"storage.yaml", "credentials.yaml"} {
		data, err := os.ReadFile(filepath.Join(root, "docs", "local", name))
		require.NoError(t, err)
		for document := range strings.SplitSeq(string(data), "\n---\n") {
			var head struct{ Kind string }
			require.NoError(t, yaml.Unmarshal([]byte(document), &head))
			var pod nativecorev1.PodSpec
			switch head.Kind {
			case "Namespace":
				require.NoError(t, yaml.UnmarshalStrict([]byte(document), &nativecorev1.Namespace{}))
			case "Secret":
				var one nativecorev1.Secret
				require.NoError(t, yaml.UnmarshalStrict([]byte(document), &one))
				require.NotEmpty(t, one.StringData["AWS_ACCESS_KEY_ID"], one.Name)
				require.NotEmpty(t, one.StringData["AWS_SECRET_ACCESS_KEY"], one.Name)
				secrets[one.Namespace+"/"+one.Name] = true
			case "Service":
				var one nativecorev1.Service
				require.NoError(t, yaml.UnmarshalStrict([]byte(document), &one))
				services[one.Name+"."+one.Namespace+".svc:"+strconv.Itoa(int(one.Spec.Ports[0].Port))] = true
			case "Deployment":
				var one nativeappsv1.Deployment
				require.NoError(t, yaml.UnmarshalStrict([]byte(document), &one))
				require.Equal(t, one.Spec.Selector.MatchLabels, one.Spec.Template.Labels)
				pod = one.Spec.Template.Spec
			case "Job":
				var one nativebatchv1.Job
				require.NoError(t, yaml.UnmarshalStrict([]byte(document), &one))
				pod = one.Spec.Template.Spec
				setup = strings.Join(pod.Containers[0].Command, "\n")
			default:
				require.Fail(t, "what is it?", head.Kind)
			}
			for _, container := range pod.Containers {
				require.Regexp(t, `^[a-z.]+\.(io|com)/.+:[A-Z]*[.0-9].+$`, container.Image, "not pinned")
			}
		}
	}
	data, err := os.ReadFile(filepath.Join(root, "Pulumi.local.yaml"))
	require.NoError(t, err)
	type existing struct {
		Existing struct{ Name, Endpoint string } `json:"existing"`
	}
	var stack struct {
		Config struct {
			Blocks     existing `json:"kansoku:blocks"`
			Chunks     existing `json:"kansoku:chunks"`
			Index      existing `json:"kansoku:index"`
			Monitoring struct {
				CredentialsSecrets map[string]string `json:"credentialsSecrets"`
			} `json:"kansoku:monitoring"`
		} `json:"config"`
	}
	require.NoError(t, yaml.Unmarshal(data, &stack))
	for _, one := range []existing{stack.Config.Blocks, stack.Config.Chunks, stack.Config.Index} {
		require.NotEmpty(t, one.Existing.Name)
		require.Regexp(t, `\b`+one.Existing.Name+`\b`, setup, "the Job does not make it")
		require.True(t, services[one.Existing.Endpoint], "no Service is %s: there are %v", one.Existing.Endpoint, services)
	}
	require.Len(t, stack.Config.Monitoring.CredentialsSecrets, 5)
	for workload, name := range stack.Config.Monitoring.CredentialsSecrets {
		require.True(t, secrets["monitoring/"+name], "%s has no Secret %s", workload, name)
	}
}
