package offline

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/sig"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func secretValue(plaintext string) map[string]any {
	return map[string]any{sig.Key: sig.Secret, "plaintext": plaintext}
}

func exported() *apitype.DeploymentV3 {
	object := func(kind, name string, more map[string]any) map[string]any {
		all := map[string]any{"apiVersion": "v1", "kind": kind, "metadata": map[string]any{
			"name": name, "annotations": map[string]any{"pulumi.com/autonamed": "true"},
		}}
		maps.Copy(all, more)
		return all
	}
	state := deploymentOf(
		made{token: "pulumi:pulumi:Stack", name: "p-dev"},
		made{token: "aws:s3/bucket:Bucket", name: "Data", inputs: map[string]any{"bucket": "data", "big": 1e6, "text": "<a & b>"}},
		made{token: "aws:s3/bucket:Bucket", name: "data"},
		// Made last, needed first; before it by name.
		made{token: "kubernetes:core/v1:ConfigMap", name: "a", inputs: object("ConfigMap", "a", nil), needs: []string{"z"}},
		made{token: "kubernetes:core/v1:Secret", name: "b", needs: []string{"z"}, inputs: object("Secret", "b", map[string]any{
			"data": secretValue(`{"token":"aHVudGVyMg=="}`),
			"list": []any{secretValue(`"hunter2"`), secretValue(`["hunter2"]`)},
		})},
		made{
			token: "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole", name: "c", needs: []string{"z"},
			inputs: object("ClusterRole", "k8s:Role", nil),
		},
		made{token: "kubernetes:core/v1:Namespace", name: "z", inputs: object("Namespace", "z", nil)},
		made{token: "kubernetes:helm.sh/v3:Release", name: "release", inputs: map[string]any{"chart": "x"}},
	)
	state.Resources[0].Outputs = map[string]any{"kubeconfig": secretValue(`"hunter2"`), "plain": "x"}
	state.Resources[1].Outputs = map[string]any{
		"arn": "arn:aws:s3:::data", "password": secretValue(`"hunter2"`), "__meta": "{}", "cipher": map[string]any{sig.Key: sig.Secret, "ciphertext": "v1:x"},
	}
	state.Resources[1].ID, state.Resources[1].Protect = "data", true
	state.Resources[2].External = true
	return state
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		found[name] = string(content)
		return err
	}))
	return found
}

func TestWriteDeployment(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "out")
	require.NoError(t, writeDeployment(exported(), ExportOptions{Dir: dir}))
	files := contents(t, dir)
	assert.Equal(t, []string{
		".kansoku-preview", "aws/s3-bucket-data-2.json", "aws/s3-bucket-data.json", "kubernetes/001-namespace-z.yaml",
		"kubernetes/002-clusterrole-k8s-role.yaml", "kubernetes/003-configmap-a.yaml", "kubernetes/004-secret-b.yaml", "outputs.json",
	}, sortedKeys(files))
	assert.Equal(t, "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: z\n", files["kubernetes/001-namespace-z.yaml"])
	assert.Equal(t, `apiVersion: v1
data:
  token: '[secret]'
kind: Secret
list:
- '[secret]'
- - '[secret]'
metadata:
  name: b
`, files["kubernetes/004-secret-b.yaml"])
	//nolint:testifylint // the bytes matter: sorted, indented, readable
	assert.Equal(t, `{
  "id": "data",
  "inputs": {
    "big": 1000000,
    "bucket": "data",
    "text": "<a & b>"
  },
  "outputs": {
    "arn": "arn:aws:s3:::data",
    "cipher": "[secret]",
    "password": "[secret]"
  },
  "protected": true,
  "type": "aws:s3/bucket:Bucket",
  "urn": "urn:pulumi:dev::p::aws:s3/bucket:Bucket::Data"
}
`, files["aws/s3-bucket-data.json"])
	assert.Contains(t, files["aws/s3-bucket-data-2.json"], `"existing": true`)
	//nolint:testifylint // the bytes matter
	assert.Equal(t, "{\n  \"kubeconfig\": \"[secret]\",\n  \"plain\": \"x\"\n}\n", files["outputs.json"])
	for name, content := range files {
		assert.NotContains(t, content, "hunter2", name)
		assert.NotContains(t, content, "aHVudGVyMg", name)
	}

	require.NoError(t, writeDeployment(exported(), ExportOptions{Dir: dir}))
	assert.Equal(t, files, contents(t, dir), "twice the same")
}

func TestObjects(t *testing.T) {
	t.Parallel()
	state := deploymentOf(
		made{token: "kubernetes:core/v1:Namespace", name: "z", inputs: map[string]any{"apiVersion": "v1", "kind": "Namespace"}},
		made{token: "aws:s3/bucket:Bucket", name: "data", needs: []string{"z"}},
		made{token: "kubernetes:core/v1:Secret", name: "a", needs: []string{"data"}, inputs: map[string]any{
			"apiVersion": "v1", "kind": "Secret", "data": secretValue(`{"token":"aHVudGVyMg=="}`),
		}},
		made{token: "kubernetes:core/v1:ConfigMap", name: "b", needs: []string{"a"}, inputs: map[string]any{"apiVersion": "v1", "kind": "ConfigMap"}},
	)
	found := objects(state)
	require.Len(t, found, 3)
	assert.Empty(t, found[0].Needs)
	assert.Equal(t, []string{found[0].URN}, found[1].Needs, "through what is no object of Kubernetes")
	assert.Equal(t, map[string]any{"token": "aHVudGVyMg=="}, found[1].Manifest["data"])
	assert.Equal(t, []string{found[1].URN}, found[2].Needs, "not what those wait for in turn")
}

func TestWriteDeploymentWithSecrets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// A readable file of an earlier run must not stay readable.
	require.NoError(t, writeDeployment(exported(), ExportOptions{Dir: dir}))
	require.NoError(t, writeDeployment(exported(), ExportOptions{Dir: dir, ShowSecrets: true}))
	files := contents(t, dir)
	assert.Contains(t, files["kubernetes/004-secret-b.yaml"], "token: aHVudGVyMg==\n")
	assert.Contains(t, files["outputs.json"], `"kubeconfig": "hunter2"`)
	assert.Contains(t, files["aws/s3-bucket-data.json"], `"cipher": "[secret]"`, "what is encrypted cannot be shown")
	for name := range files {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		assert.Equal(t, fs.FileMode(0o600), info.Mode().Perm(), name)
	}
}

func TestWriteDeploymentLeavesAloneWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	foreign := filepath.Join(dir, "notes.txt")
	require.NoError(t, os.WriteFile(foreign, []byte("mine"), 0o600))
	require.ErrorContains(t, writeDeployment(exported(), ExportOptions{Dir: dir}), "refusing to write into "+dir)
	assert.Equal(t, map[string]string{"notes.txt": "mine"}, contents(t, dir))

	// In a directory of ours, what we did not write stays; what the new state no longer has goes.
	require.NoError(t, os.Remove(foreign))
	require.NoError(t, writeDeployment(exported(), ExportOptions{Dir: dir}))
	require.NoError(t, os.WriteFile(foreign, []byte("mine"), 0o600))
	outside := filepath.Join(filepath.Dir(dir), "outside.txt")
	require.NoError(t, os.WriteFile(outside, []byte("mine"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, marker), []byte("../outside.txt\naws/s3-bucket-data.json\naws/s3-bucket-data-2.json\n"), 0o600))
	smaller := exported()
	smaller.Resources = smaller.Resources[:1]
	require.NoError(t, writeDeployment(smaller, ExportOptions{Dir: dir}))
	assert.FileExists(t, foreign)
	assert.FileExists(t, outside)
	assert.NoFileExists(t, filepath.Join(dir, "aws/s3-bucket-data.json"))
}
