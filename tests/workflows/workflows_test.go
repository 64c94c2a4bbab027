// Package workflows holds what must be true of .github beyond what actionlint sees: zizmor's rules, as far as they concern what is used here.
package workflows

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

const root = "../.."

// step of a job or of a composite action. Uses is a node for the comment behind it.
type step struct {
	Uses yaml.Node            `yaml:"uses"`
	Run  string               `yaml:"run"`
	With map[string]yaml.Node `yaml:"with"`
}

type job struct {
	Permissions yaml.Node `yaml:"permissions"`
	Timeout     yaml.Node `yaml:"timeout-minutes"`
	Secrets     yaml.Node `yaml:"secrets"`
	Container   yaml.Node `yaml:"container"`
	Steps       []step    `yaml:"steps"`
}

// file is a workflow or a composite action.
type file struct {
	Permissions yaml.Node              `yaml:"permissions"`
	On          yaml.Node              `yaml:"on"`
	Jobs        map[string]job         `yaml:"jobs"`
	Runs        struct{ Steps []step } `yaml:"runs"`
}

var (
	pinned  = regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40}$`)
	version = regexp.MustCompile(`^# v\d+\.\d+\.\d+$`)
	secret  = regexp.MustCompile(`secrets\.[A-Za-z_]+|toJSON\(\s*secrets`)
)

// complaints are what is wrong with a file, each with the rule's name at zizmor.
func complaints(content []byte) ([]string, error) {
	var f file
	if err := yaml.Unmarshal(content, &f); err != nil {
		return nil, err
	}
	var found []string
	complain := func(rule, format string, args ...any) { found = append(found, rule+": "+fmt.Sprintf(format, args...)) }
	if len(f.Jobs) > 0 {
		if f.Permissions.Kind != yaml.MappingNode || len(f.Permissions.Content) > 0 {
			complain("excessive-permissions", "the workflow's own must be {}")
		}
		if on := names(f.On); slices.Contains(on, "pull_request_target") || slices.Contains(on, "issue_comment") {
			complain("dangerous-triggers", "%v", on)
		}
	}
	text := string(content)
	for _, expression := range []string{"github.actor", "toJSON(secrets)", "toJson(secrets)"} {
		if strings.Contains(text, expression) {
			complain("bot-conditions, overprovisioned-secrets", "%s", expression)
		}
	}
	external := slices.ContainsFunc(names(f.On), func(on string) bool { return on == "workflow_run" })
	for name, one := range f.Jobs {
		if one.Permissions.Kind != yaml.MappingNode {
			complain("excessive-permissions", "job %s says not which it needs", name)
		}
		if one.Timeout.Kind != yaml.ScalarNode {
			complain("timeout", "job %s has none", name)
		}
		if one.Secrets.Value == "inherit" {
			complain("secrets-inherit", "job %s", name)
		}
		if !one.Container.IsZero() {
			complain("unpinned-images", "job %s", name)
		}
		for _, s := range one.Steps {
			found = append(found, s.complaints(external)...)
		}
	}
	for _, s := range f.Runs.Steps {
		found = append(found, s.complaints(external)...)
	}
	slices.Sort(found)
	return found, nil
}

func (s step) complaints(external bool) []string {
	var found []string
	complain := func(rule, what string) { found = append(found, rule+": "+what) }
	uses := s.Uses.Value
	switch {
	case uses == "" || strings.HasPrefix(uses, "./"):
	case !pinned.MatchString(uses):
		complain("unpinned-uses", uses)
	case !version.MatchString(s.Uses.LineComment):
		complain("ref-version-mismatch", uses+" says not which version it is")
	}
	if strings.HasPrefix(uses, "actions/checkout@") {
		if value := s.With["persist-credentials"]; value.Value != "false" {
			complain("artipacked", "a checkout keeps its token")
		}
		if _, given := s.With["ref"]; given || external && len(s.With) > 1 {
			complain("dangerous-triggers", "a checkout of something else than what has been triggered")
		}
	}
	if strings.HasPrefix(uses, "actions/download-artifact@") {
		if value := s.With["path"]; !strings.HasPrefix(value.Value, "${{ runner.temp }}/") {
			complain("artifact", "a download may overwrite what is run")
		}
	}
	if strings.Contains(s.Run, "${{") {
		complain("template-injection", s.Run)
	}
	for _, variable := range []string{"GITHUB_ENV", "GITHUB_PATH"} {
		if strings.Contains(s.Run, variable) {
			complain("github-env", variable)
		}
	}
	if secret.MatchString(s.Run) {
		complain("unredacted-secrets", s.Run)
	}
	return found
}

// names are the keys of a mapping, the items of a list, or the one value.
func names(node yaml.Node) []string {
	if node.Kind == yaml.ScalarNode {
		return []string{node.Value}
	}
	var found []string
	for i, one := range node.Content {
		if node.Kind == yaml.SequenceNode || i%2 == 0 {
			found = append(found, one.Value)
		}
	}
	return found
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(t, err)
	return content
}

func paths(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{".github/workflows/*.yaml", ".github/actions/*/action.yaml"} {
		matched, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		require.NotEmpty(t, matched, pattern)
		for _, path := range matched {
			relative, err := filepath.Rel(root, path)
			require.NoError(t, err)
			found = append(found, relative)
		}
	}
	return found
}

func TestWorkflowsAreSafe(t *testing.T) {
	t.Parallel()
	for _, path := range paths(t) {
		found, err := complaints(read(t, path))
		require.NoError(t, err, path)
		assert.Empty(t, found, path)
	}
	other, err := filepath.Glob(filepath.Join(root, ".github/workflows/*.yml"))
	require.NoError(t, err)
	assert.Empty(t, other, "not looked at: call it .yaml")
}

// TestOneVersionOfEachAction: an action that is pinned twice is pinned to the same commit.
func TestOneVersionOfEachAction(t *testing.T) {
	t.Parallel()
	uses := regexp.MustCompile(`uses: ([\w./-]+)@(\S+ # \S+)`)
	seen := map[string]string{}
	for _, path := range paths(t) {
		for _, match := range uses.FindAllStringSubmatch(string(read(t, path)), -1) {
			if before, known := seen[match[1]]; known {
				assert.Equal(t, before, match[2], "%s in %s", match[1], path)
			}
			seen[match[1]] = match[2]
		}
	}
	assert.Len(t, seen, 7)
}

// TestPulumiIsTheOneOfTheSDK: stacks are brought up by the command line tool that the tests ran with.
func TestPulumiIsTheOneOfTheSDK(t *testing.T) {
	t.Parallel()
	match := regexp.MustCompile(`pulumi/pkg/v3 v(\S+)`).FindSubmatch(read(t, "tools/pulumi/go.mod"))
	require.NotNil(t, match)
	assert.Contains(t, string(read(t, ".github/actions/account/action.yaml")), "pulumi-version: "+string(match[1])+"\n")
}

// TestStacksOfWorkflows: the stacks that a workflow names have a file.
func TestStacksOfWorkflows(t *testing.T) {
	t.Parallel()
	lists := regexp.MustCompile(`stack: \[(.*)\]|\.ci/stack up (\w+)`)
	count := 0
	for _, path := range paths(t) {
		for _, match := range lists.FindAllStringSubmatch(string(read(t, path)), -1) {
			for name := range strings.SplitSeq(match[1]+match[2], ", ") {
				assert.FileExists(t, filepath.Join(root, "Pulumi."+name+".yaml"), path)
				count++
			}
		}
	}
	assert.Equal(t, 6, count)
}

const good = `
on: {pull_request: {}}
permissions: {}
jobs:
  a:
    timeout-minutes: 5
    permissions: {contents: read}
    steps:
      - uses: actions/checkout@0123456789abcdef0123456789abcdef01234567 # v1.2.3
        with:
          persist-credentials: false
      - uses: actions/download-artifact@0123456789abcdef0123456789abcdef01234567 # v1.2.3
        with:
          path: ${{ runner.temp }}/parts
      - run: make
`

// TestComplaints: each rule can be broken.
func TestComplaints(t *testing.T) {
	t.Parallel()
	found, err := complaints([]byte(good))
	require.NoError(t, err)
	require.Empty(t, found)
	for _, test := range []struct{ from, to, want string }{
		{"permissions: {}\n", "", "excessive-permissions: the workflow's own must be {}"},
		{"permissions: {}\n", "permissions: {contents: write}\n", "excessive-permissions: the workflow's own must be {}"},
		{"permissions: {}\n", "permissions: write-all\n", "excessive-permissions: the workflow's own must be {}"},
		{"    permissions: {contents: read}\n", "", "excessive-permissions: job a says not which it needs"},
		{"    permissions: {contents: read}\n", "    permissions: read-all\n", "excessive-permissions: job a says not which it needs"},
		{"    timeout-minutes: 5\n", "", "timeout: job a has none"},
		{"{pull_request: {}}", "pull_request_target", "dangerous-triggers: [pull_request_target]"},
		{"{pull_request: {}}", "[push, issue_comment]", "dangerous-triggers: [push issue_comment]"},
		{"          persist-credentials: false\n", "          fetch-depth: 1\n", "artipacked: a checkout keeps its token"},
		{"persist-credentials: false\n", "persist-credentials: false\n          ref: x\n", "dangerous-triggers: a checkout of something else"},
		{"actions/checkout@0123456789abcdef0123456789abcdef01234567", "actions/checkout@v6", "unpinned-uses: actions/checkout@v6"},
		{"34567 # v1.2.3\n        with:\n          persist", "34567\n        with:\n          persist", "ref-version-mismatch: actions/checkout@"},
		{"34567 # v1.2.3\n        with:\n          persist", "34567 # v1\n        with:\n          persist", "ref-version-mismatch: actions/checkout@"},
		{"${{ runner.temp }}/parts", "parts", "artifact: a download may overwrite what is run"},
		{"run: make", "run: echo ${{ github.head_ref }}", "template-injection: echo ${{ github.head_ref }}"},
		{"run: make", "run: echo x >> $GITHUB_ENV", "github-env: GITHUB_ENV"},
		{"run: make", "run: make\n        if: github.actor == 'x'", "bot-conditions"},
		{"run: make", "run: make\n        env: {ALL: \"${{ toJSON(secrets) }}\"}", "overprovisioned-secrets"},
		{"    timeout-minutes: 5\n", "    timeout-minutes: 5\n    secrets: inherit\n", "secrets-inherit: job a"},
		{"    timeout-minutes: 5\n", "    timeout-minutes: 5\n    container: debian:12\n", "unpinned-images: job a"},
	} {
		require.Contains(t, good, test.from)
		found, err = complaints([]byte(strings.Replace(good, test.from, test.to, 1)))
		require.NoError(t, err, test.to)
		assert.Condition(t, func() bool {
			return slices.ContainsFunc(found, func(one string) bool { return strings.Contains(one, test.want) })
		}, "%s: %v", test.to, found)
	}
	found, err = complaints([]byte(strings.Replace(strings.Replace(good, "{pull_request: {}}", "{workflow_run: {}}", 1),
		"persist-credentials: false\n", "persist-credentials: false\n          repository: x/y\n", 1)))
	require.NoError(t, err)
	assert.Equal(t, []string{"dangerous-triggers: a checkout of something else than what has been triggered"}, found)
}

// TestStackScript: .ci/stack runs what it says, keeps the status, and writes what was printed.
func TestStackScript(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	fake := "#!/bin/bash\nprintf '%s|' \"$@\" >\"$(dirname \"$0\")/args\"\necho \"token ${PULUMI_ACCESS_TOKEN-unset}\"\n" +
		"for ((i = 0; i < LINES_TO_PRINT; i++)); do echo \"  ~ spec.replicas: 2 => 3\"; done\nexit \"$STATUS\"\n"
	require.NoError(t, os.WriteFile(filepath.Join(bin, "pulumi"), []byte(fake), 0o700))
	run := func(status, lines int, args ...string) (code int, printed string) {
		command := exec.Command(filepath.Join(root, ".ci/stack"), args...)
		command.Env = []string{
			"PATH=" + bin + ":" + os.Getenv("PATH"), "PULUMI_ACCESS_TOKEN=", fmt.Sprint("STATUS=", status), fmt.Sprint("LINES_TO_PRINT=", lines),
		}
		said, err := command.CombinedOutput()
		var exit *exec.ExitError
		if err != nil {
			require.ErrorAs(t, err, &exit)
			code = exit.ExitCode()
		}
		return code, string(said)
	}
	given := func() string {
		content, err := os.ReadFile(filepath.Join(bin, "args"))
		require.NoError(t, err)
		return string(content)
	}
	out := filepath.Join(t.TempDir(), "x.md")
	const common = "--stack|dev|--non-interactive|--color|never|--suppress-progress|--diff|"

	code, printed := run(0, 1, "preview", "dev", out)
	assert.Zero(t, code)
	assert.Equal(t, "preview|"+common, given())
	assert.Contains(t, printed, "token unset\n")
	content, err := os.ReadFile(out)
	require.NoError(t, err)
	assert.Equal(t, "### dev, with the account\n\n<details><summary><code>pulumi preview --stack dev</code></summary>\n\n~~~~~~~~~~~~text\n"+
		"token unset\n  ~ spec.replicas: 2 => 3\n\n~~~~~~~~~~~~\n\n</details>\n", string(content))

	code, _ = run(3, 1000, "drift", "dev", out)
	assert.Equal(t, 3, code)
	assert.Equal(t, "preview|"+common+"--refresh|--expect-no-changes|", given())
	content, err = os.ReadFile(out)
	require.NoError(t, err)
	assert.Contains(t, string(content), "### dev, with the account: it failed\n")
	assert.Contains(t, string(content), "The rest stands in the log of the run.\n")
	assert.Less(t, len(content), 11_000)

	code, _ = run(0, 1, "up", "dev")
	assert.Zero(t, code)
	assert.Equal(t, "up|"+common+"--yes|", given())
	code, printed = run(0, 1, "destroy", "dev")
	assert.Equal(t, 2, code)
	assert.Contains(t, printed, "usage: ")
}
