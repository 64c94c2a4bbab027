package program

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/kansoku/kansoku/internal/check"
	"github.com/kansoku/kansoku/internal/docs"
)

// configurationBlock is a stack file, or keys of one.
var configurationBlock = regexp.MustCompile(`(?m)\A(#.*\n|\n)*(config:|kansoku:|aws:)`)

// readSnippet decodes a piece of a stack file strictly: unknown keys and wrong types are refused. What only a whole stack can be judged by
// is not: a page shows what it is about.
func readSnippet(text string) error {
	whole := map[string]any{}
	if err := yaml.UnmarshalStrict([]byte(text), &whole); err != nil {
		return err
	}
	if config, ok := whole["config"].(map[string]any); ok {
		whole = config
	}
	from := settings{}
	for key, value := range whole {
		if object, ok := value.(map[string]any); ok && len(object) == 1 && object["secure"] != nil {
			value = "decrypted"
		}
		if text, ok := value.(string); ok {
			from[key] = text
			continue
		}
		raw, err := json.Marshal(value)
		if err != nil {
			return err
		}
		from[key] = string(raw)
	}
	var cfg Config
	var errs check.Errors
	_, keys := receiverSecrets(from, slices.Sorted(maps.Keys(from)))
	decode(from, "kansoku", keys, &cfg, &errs)
	decode(from, "aws", keys, &cfg.AWS, &errs)
	refuseNamespaces(from, keys, &errs)
	return errs.Err()
}

// TestConfigurationInDocs: what the pages show of a stack file is what the program takes.
func TestConfigurationInDocs(t *testing.T) {
	t.Parallel()
	pages, err := docs.Pages(filepath.Join("..", ".."))
	require.NoError(t, err)
	checked := 0
	for _, page := range pages {
		for _, block := range page.Blocks() {
			if block.Language == "yaml" && configurationBlock.MatchString(block.Text) {
				checked++
				if err := readSnippet(block.Text); err != nil {
					assert.Fail(t, "the program refuses it", "%s\n%v", block.At(0), err)
				}
			}
		}
	}
	require.GreaterOrEqual(t, checked, 4, "the blocks are no longer found")
}

func TestConfigurationInDocsIsRead(t *testing.T) {
	t.Parallel()
	require.NoError(t, readSnippet("config:\n  kansoku:slackUrl-team: {secure: AAAB}\n  aws:region: eu-west-1\n"))
	require.NoError(t, readSnippet("kansoku:monitoring:\n  loki:\n    replicas: 3\n"))
	for text, want := range map[string]string{
		"kansoku:monitoring:\n  loki:\n    replica: 3\n":   "kansoku:monitoring.loki.replica: is not a key",
		"config:\n  kansoku:monitorin: {}\n":               "kansoku:monitorin: is not a key",
		"kansoku:monitoring:\n  loki: {replicas: three}\n": "kansoku:monitoring.loki.replicas: must be a whole number",
		"kansoku:cluster: {}\nkubernetes:context: prod\n":  "kubernetes:context: must not be set",
		"kansoku:protect: true\nkansoku:protect: false\n":  "already set",
	} {
		require.ErrorContains(t, readSnippet(text), want, text)
		require.Regexp(t, configurationBlock, text)
	}
}
