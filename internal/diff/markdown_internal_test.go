package diff

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/internal/offline"
)

func change(way, typ, name string, properties ...string) offline.Change {
	parts := strings.Split(typ, ":")
	object := func(version string) map[string]any {
		if parts[0] != "kubernetes" {
			return map[string]any{"name": name, "version": version}
		}
		return map[string]any{"apiVersion": "v1", "kind": parts[2], "metadata": map[string]any{"name": name}, "version": version}
	}
	one := offline.Change{
		Way: way, URN: "urn:pulumi:dev::p::" + typ + "::" + name, Type: typ, Name: name, Custom: true, Properties: properties,
	}
	if way != offline.Added {
		one.Before = object("old")
	}
	if way != offline.Deleted {
		one.After = object("new")
	}
	return one
}

const (
	bucketType = "aws:s3/bucketV2:BucketV2"
	mapType    = "kubernetes:core/v1:ConfigMap"
)

// many is a stack in which much changes.
func many(name string) stack {
	s := stack{name: name, protected: map[string]bool{"urn:pulumi:dev::p::" + bucketType + "::blocks": true}}
	for i := range 400 {
		s.changes = append(s.changes,
			change(offline.Changed, mapType, fmt.Sprintf("settings-%03d", i), "data", fmt.Sprintf("metadata.labels[\"of-%03d\"]", i)),
			change(offline.Added, "kubernetes:core/v1:Service", fmt.Sprintf("service-%03d", i)),
			change(offline.Deleted, "aws:iam/role:Role", fmt.Sprintf("role-%03d", i)))
	}
	blocks := change(offline.Deleted, bucketType, "blocks")
	s.changes = append(s.changes, blocks)
	return s
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	forced := change(offline.Replaced, "aws:dynamodb/table:Table", "index", "hashKey", "tags")
	forced.Forces = []string{"hashKey"}
	forced.Protects = true
	adopted := change(offline.Replaced, bucketType, "chunks")
	adopted.Reads = true
	definition := change(offline.Deleted, "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition", "probes")
	definition.Retained = true
	stored := change(offline.Deleted, "kubernetes:monitoring.coreos.com/v1:Prometheus", "k8s")
	stored.Before["spec"] = map[string]any{"storage": map[string]any{}}
	component := change(offline.Added, "kansoku:thanos:Store", "thanos-store")
	component.Custom = false
	fences := change(offline.Changed, mapType, "fences", "data")
	fences.After["data"] = "```\n</details>\n````\n"
	secret := change(offline.Changed, "kubernetes:core/v1:Secret", "login", "data.password")
	secret.After = secret.Before
	r := report{base: "main", commit: "0123456789abcdef0123456789abcdef01234567", stacks: []stack{
		{name: "dev"},
		{name: "prod", protected: map[string]bool{forced.URN: true}, encrypted: []string{"kansoku:slackUrl"}, changes: []offline.Change{
			change(offline.Added, mapType, "b"), change(offline.Added, mapType, "a"), component,
			change(offline.Changed, "kubernetes:apps/v1:Deployment", "query", "spec.replicas"),
			change(offline.Changed, "kubernetes:apps/v1:Deployment", "web", "spec.replicas"),
			fences, secret,
			change(offline.Replaced, "kubernetes:core/v1:Service", "web", "spec.clusterIP"),
			change(offline.Deleted, "kubernetes:apps/v1:StatefulSet", "without-volumes"),
			definition, stored, adopted, forced,
		}, cost: &cost{before: new(10.0), after: 12.345, table: "12.35  all"}},
		{name: "test", cost: &cost{before: new(10.0), failure: errors.New("no price for `x1.big`")}},
		{name: "unwell", failure: "the preview failed:\nkansoku:netwrok: is not a key", own: true},
	}}
	golden(t, "report.md", r.markdown(0))
	assert.Equal(t, r.markdown(0), r.markdown(1<<20), "nothing is cut that fits")
}

// TestEstimate: a stack without an estimate on either side is not spoken of.
func TestEstimate(t *testing.T) {
	t.Parallel()
	estimates := map[string]float64{"base/both": 1, "tree/both": 2, "base/gone": 1, "tree/fresh": 2}
	options := Options{Project: "tree", Cost: func(project, stack string) (float64, string, error) {
		if amount, there := estimates[project+"/"+stack]; there {
			return amount, "table of " + project, nil
		}
		return 0, "", errors.New("none for " + project)
	}}
	of := func(name string, added bool) *cost {
		return options.estimate(&base{project: "base"}, stack{name: name, added: added})
	}
	assert.Equal(t, &cost{before: new(1.0), after: 2, table: "table of tree"}, of("both", false))
	assert.Equal(t, &cost{after: 2, table: "table of tree"}, of("fresh", true))
	assert.Equal(t, &cost{after: 2, table: "table of tree"}, of("fresh", false))
	assert.Equal(t, &cost{before: new(1.0), failure: errors.New("none for tree")}, of("gone", false))
	assert.Nil(t, of("neither", false))
	assert.Nil(t, Options{}.estimate(nil, stack{}))
	assert.Equal(t, "\nEstimated cost a month: **2.00 USD**\n", of("fresh", true).markdown())
}

func TestMarkdownOfNothing(t *testing.T) {
	t.Parallel()
	r := report{base: "main", commit: "0123456789abcdef", stacks: []stack{{name: "dev", cost: &cost{before: new(1.0), after: 1.001}}, {name: "prod"}}}
	assert.Equal(t, "Merging changes nothing in dev, prod, compared with `0123456789ab`, where this branch left `main`.\n", r.markdown(65536))
}

// TestMarkdownFits: what is folded is cut, then the lists get shorter; the counts and what holds data stay.
func TestMarkdownFits(t *testing.T) {
	t.Parallel()
	r := report{base: "main", commit: "0123456789abcdef", stacks: []stack{many("dev"), many("prod"), many("test")}}
	whole := r.markdown(0)
	assert.Greater(t, len(whole), 200_000)
	assert.NotContains(t, whole, "did not fit")
	for _, limit := range []int{150_000, 65_000, 10_000} {
		text := r.markdown(limit)
		assert.LessOrEqual(t, len(text), limit)
		assert.Contains(t, text, "did not fit into this comment: `make diff BASE=main STACK=prod` shows them.")
		assert.Equal(t, 3, strings.Count(text, ": 400 added, 400 changed, **401 deleted**\n"))
		assert.Equal(t, 3, strings.Count(text,
			"- **deleted** `"+bucketType+"` **`blocks`**; it is protected: an up refuses this until `pulumi state unprotect`; every object in it is lost\n"))
		assert.Equal(t, 6, strings.Count(text, "</details>"))
		assert.Zero(t, strings.Count(text, "```")%2, "a fence stays open")
	}
}

func TestUnified(t *testing.T) {
	t.Parallel()
	assert.Empty(t, unified("a", "x\n", "x\n"))
	assert.Equal(t, "--- /dev/null\n+++ a\n@@ -0,0 +1,2 @@\n+x\n+y\n", unified("a", "", "x\ny"))
	assert.Equal(t, "--- a\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n", unified("a", "x\n", ""))
	long := unified("a", "", strings.Repeat("é", longestLine)+"\n")
	assert.Less(t, len(long), longestLine+100)
	assert.Contains(t, long, "bytes more)\n")
}

func TestCodeIsNoMarkup(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "`a'</details> @everyone`", code("a`</details>\n@everyone"))
	assert.Equal(t, "`a`, `b` and 2 more", codes([]string{"a", "b", "c", "d"}, 2))
	assert.Equal(t, "and 2 more", codes([]string{"c", "d"}, 0))
}

// TestCheckOut: the base is the commit in which the two part, and the repository stays as it is.
func TestCheckOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	git := func(args ...string) string {
		command := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"}, args...)...)
		said, err := command.CombinedOutput()
		require.NoError(t, err, string(said))
		return strings.TrimSpace(string(said))
	}
	write := func(content string) {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "sub"), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "sub", "Pulumi.dev.yaml"), []byte(content), 0o600))
	}
	git("init", "--quiet", "--initial-branch=main")
	write("parted")
	git("add", ".")
	git("commit", "--quiet", "--message=parted")
	parted := git("rev-parse", "HEAD")
	git("checkout", "--quiet", "-b", "branch")
	write("branch")
	git("commit", "--quiet", "--all", "--message=branch")
	git("checkout", "--quiet", "main")
	write("main")
	git("commit", "--quiet", "--all", "--message=main")
	git("checkout", "--quiet", "branch")
	write("not committed")

	b, err := checkOut(t.Context(), filepath.Join(dir, "sub"), "main", t.TempDir())
	require.NoError(t, err)
	assert.Equal(t, parted, b.commit)
	content, err := os.ReadFile(filepath.Join(b.project, "Pulumi.dev.yaml"))
	require.NoError(t, err)
	assert.Equal(t, "parted", string(content))
	assert.Equal(t, "M sub/Pulumi.dev.yaml", git("status", "--porcelain"))
	assert.Equal(t, 1, strings.Count(git("worktree", "list"), "\n")+1)
}

// golden compares with a file, or rewrites it.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got)
}
