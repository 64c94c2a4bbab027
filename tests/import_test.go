package tests

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/internal/offline"
)

// TestImport is the recipe of docs/adoption.md: first the providers, then the import, then an up that neither creates nor replaces what was
// imported; and the way back.
func TestImport(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, "dev", map[string]any{
		"kansoku:network": nil, "kansoku:nodes": nil, "kansoku:cluster": map[string]any{"existing": map[string]any{"name": "theirs"}},
		"kansoku:blocks": map[string]any{"name": "old-blocks"},
		"kansoku:chunks": map[string]any{"name": "old-chunks", "expireDays": 30},
		"kansoku:index":  map[string]any{"name": "old-index"},
	})
	cloud := engine.Cloud()
	cloud.Put("aws:s3/bucketV2:BucketV2", "old-blocks", nil)
	cloud.Put("aws:s3/bucketV2:BucketV2", "old-chunks", resource.NewPropertyMapFromMap(map[string]any{"tags": map[string]any{"owner": "someone"}}))
	// As old installations left it: paid by the hour, without a backup.
	cloud.Put("aws:dynamodb/table:Table", "old-index", resource.NewPropertyMapFromMap(map[string]any{
		"billingMode": "PROVISIONED", "readCapacity": 300, "writeCapacity": 1000,
	}))
	cloud.Put("kubernetes:core/v1:Namespace", "monitoring", resource.NewPropertyMapFromMap(map[string]any{
		"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "monitoring"},
	}))
	there := ids(cloud)

	file := importFile(t)
	_, err := engine.Up(t.Context(), offline.UpOptions{Targets: file.first()})
	require.NoError(t, err)
	assert.Equal(t, there, ids(cloud), "the first step makes nothing in the cloud")
	path := filepath.Join(t.TempDir(), "import.json")
	content, err := json.Marshal(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, content, 0o600))
	_, err = engine.CLI(t.Context(), "import", "--file", path, "--generate-code=false", "--yes", "--protect=false")
	require.NoError(t, err)
	assert.Equal(t, there, ids(cloud))

	result, err := engine.Up(t.Context(), offline.UpOptions{})
	require.NoError(t, err)
	imported := map[string]bool{}
	for _, one := range file.Resources {
		if !one.Component {
			imported[one.Type+" "+one.ID] = true
		}
	}
	for _, step := range result.Changed() {
		assert.False(t, imported[step.Type+" "+file.idOf(step.Name, step.Type)] && step.Op != "update", lines([]offline.Step{step}))
	}
	for _, event := range cloud.Events() {
		if imported[event.Type+" "+event.ID] {
			assert.Equal(t, "update", event.Verb, "%s %s", event.Type, event.ID)
		}
	}
	for _, o := range cloud.Objects() {
		if o.Type == "aws:dynamodb/table:Table" {
			assert.Equal(t, "PAY_PER_REQUEST", o.State["billingMode"].StringValue())
		}
	}
	again, err := engine.Up(t.Context(), offline.UpOptions{})
	require.NoError(t, err)
	assert.Empty(t, lines(again.Changed()))

	// And given away again.
	giveAway(t, engine, imported)
	require.NoError(t, engine.Configure(t.Context(), map[string]any{
		"kansoku:blocks":     map[string]any{"existing": map[string]any{"name": "old-blocks"}},
		"kansoku:chunks":     map[string]any{"existing": map[string]any{"name": "old-chunks"}},
		"kansoku:index":      map[string]any{"existing": map[string]any{"name": "old-index"}},
		"kansoku:monitoring": map[string]any{"existing": map[string]any{"namespace": "monitoring"}},
	}))
	_, err = engine.Up(t.Context(), offline.UpOptions{})
	require.NoError(t, err)
	_, err = engine.Destroy(t.Context())
	require.NoError(t, err)
	left := slices.DeleteFunc(ids(cloud), func(id string) bool { return strings.HasPrefix(id, crdType) })
	assert.Equal(t, there, left, "what was given away outlives the stack")
}

// giveAway has the state know some resources as only read, by type and id.
func giveAway(t *testing.T, engine *offline.Engine, given map[string]bool) {
	t.Helper()
	exported, err := engine.CLI(t.Context(), "stack", "export")
	require.NoError(t, err)
	var state map[string]any
	require.NoError(t, json.Unmarshal([]byte(exported), &state))
	for _, one := range at(state, "deployment", "resources").([]any) {
		if r := one.(map[string]any); given[text(r, "type")+" "+text(r, "id")] {
			r["external"], r["protect"] = true, false
		}
	}
	changed, err := json.Marshal(state)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "given-away.json")
	require.NoError(t, os.WriteFile(path, changed, 0o600))
	_, err = engine.CLI(t.Context(), "stack", "import", "--file", path)
	require.NoError(t, err)
}

// imports is the file that `pulumi import --file` reads.
type imports struct {
	NameTable map[string]string `json:"nameTable"`
	Resources []struct {
		Type        string `json:"type"`
		Name        string `json:"name"`
		LogicalName string `json:"logicalName,omitempty"`
		ID          string `json:"id,omitempty"`
		Parent      string `json:"parent,omitempty"`
		Provider    string `json:"provider,omitempty"`
		Component   bool   `json:"component,omitempty"`
	} `json:"resources"`
}

// first are the URNs that must be in the state before.
func (f imports) first() []string {
	var all []string
	for _, urn := range f.NameTable {
		all = append(all, urn)
	}
	return all
}

func (f imports) idOf(name, typ string) string {
	for _, one := range f.Resources {
		if one.Name == name && one.Type == typ {
			return one.ID
		}
	}
	return ""
}

// importFile is the one in docs/adoption.md.
func importFile(t *testing.T) imports {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(project, "docs", "adoption.md"))
	require.NoError(t, err)
	_, after, found := strings.Cut(string(page), "```json\n")
	require.True(t, found)
	block, _, _ := strings.Cut(after, "```")
	var file imports
	require.NoError(t, json.Unmarshal([]byte(block), &file))
	require.Len(t, file.Resources, 8)
	return file
}
