package offline

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

func stackFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "Pulumi.dev.yaml")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestReadStack(t *testing.T) {
	t.Parallel()
	read, err := readStack(stackFile(t, `
secretsprovider: awskms://alias/nobody-has-it
encryptedkey: c29tZXRoaW5n
config:
  aws:region: ap-northeast-1
  kansoku:cluster: {version: "1.30", shared: &zones [a, b]}
  kansoku:zones: *zones
  kansoku:slackWebhookUrl:
    secure: AAABAHR
  kansoku:kubeconfig:
    secure: AAABAHR
  kansoku:password:
    secure: AAABAHR
  kansoku:look: {secure: true, wide: false}
`))
	require.NoError(t, err)
	assert.Equal(t, []string{
		"aws:region", "kansoku:cluster", "kansoku:kubeconfig", "kansoku:look", "kansoku:password", "kansoku:slackWebhookUrl", "kansoku:zones",
	}, read.keys())
	assert.Equal(t, map[string]string{
		"kansoku:slackWebhookUrl": "https://secret.invalid/slackWebhookUrl",
		"kansoku:kubeconfig":      placeholderKubeconfig,
		"kansoku:password":        "secret-value-of-password",
	}, read.secrets)

	flat, err := read.flat()
	require.NoError(t, err)
	assert.Equal(t, "ap-northeast-1", flat["aws:region"])
	assert.JSONEq(t, `{"version": "1.30", "shared": ["a", "b"]}`, flat["kansoku:cluster"])
	assert.JSONEq(t, `["a", "b"]`, flat["kansoku:zones"])

	// What is written for the engine means the same, without the other secrets provider.
	written, err := read.file("salt")
	require.NoError(t, err)
	var back map[string]any
	require.NoError(t, yaml.Unmarshal(written, &back))
	assert.Equal(t, map[string]any{
		"encryptionsalt": "salt",
		"config": map[string]any{
			"aws:region":      "ap-northeast-1",
			"kansoku:cluster": map[string]any{"version": "1.30", "shared": []any{"a", "b"}},
			"kansoku:zones":   []any{"a", "b"},
			"kansoku:look":    map[string]any{"secure": true, "wide": false},
		},
	}, back)
}

func TestReadStackRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ content, want string }{
		"nested secrets": {
			"config:\n  kansoku:grafana:\n    users:\n      - {name: a, password: {secure: AAA}}\n  kansoku:slack: {url: {secure: AAA}}\n",
			"kansoku:grafana.users[0].password: an encrypted value must be a key of its own, not nested in kansoku:grafana\n" +
				"kansoku:slack.url: an encrypted value must be a key of its own, not nested in kansoku:slack",
		},
		"an environment": {
			"environment: [prod]\nconfig: {}\n",
			"Pulumi.dev.yaml takes values from an environment of Pulumi's service, which cannot be opened without it",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := readStack(stackFile(t, test.content))
			require.EqualError(t, err, test.want)
		})
	}
	_, err := readStack(filepath.Join(t.TempDir(), "Pulumi.none.yaml"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestDeclaredSecrets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.yaml"), []byte(`{name: k, runtime: go, config: {
  missing: {type: string, secret: true}, plain: {type: string, secret: true}, encrypted: {type: string, secret: true},
  fallback: {type: string, secret: true, default: x}, public: {type: string}, "k:own": {type: string, secret: true}, "aws:region": {value: r}}}`), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Pulumi.dev.yaml"), []byte("config: {k:plain: given, k:encrypted: {secure: AAA}}\n"), 0o600))
	_, read, err := readProject(Options{Project: dir, Stack: "dev", Config: map[string]any{"k:encrypted": "mine"}})
	require.NoError(t, err)
	assert.Equal(t, map[string]string{
		"k:missing": "secret-value-of-missing", "k:own": "secret-value-of-own", "k:encrypted": "mine",
	}, read.secrets)
	assert.Equal(t, []string{"k:encrypted", "k:missing", "k:own", "k:plain"}, read.keys())
}

func TestOverride(t *testing.T) {
	t.Parallel()
	read, err := readStack(stackFile(t, "config:\n  k:a: 1\n  k:b: {secure: AAA}\n  k:c: x\n  k:d: y\n"))
	require.NoError(t, err)
	require.NoError(t, read.override(map[string]any{
		"k:a": map[string]any{"replicas": 3}, "k:b": "mine", "k:c": Secret("hidden"), "k:d": nil, "k:e": []string{"new"},
	}))
	flat, err := read.flat()
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"k:a": `{"replicas":3}`, "k:b": "mine", "k:c": "hidden", "k:e": `["new"]`}, flat)
	assert.Equal(t, map[string]string{"k:b": "mine", "k:c": "hidden"}, read.secrets)
	assert.Equal(t, []string{"k:a", "k:b", "k:c", "k:e"}, read.keys())
}
