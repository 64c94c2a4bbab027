package tests

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/internal/offline"
)

// The snapshot of the last release: compat/VERSION, with the project and stack files of that release, and the state of each stack after an
// up, without the schemas of the CRDs.
const compat = "compat"

// keeps are the types that hold what an upgrade must not lose, or on whose identity such things hang.
var keeps = []string{
	"aws:s3/bucketV2:BucketV2", "aws:dynamodb/table:Table", "aws:kms/key:Key", "aws:eks/cluster:Cluster",
	"aws:iam/openIdConnectProvider:OpenIdConnectProvider", "kubernetes:core/v1:Namespace", "kubernetes:core/v1:PersistentVolumeClaim",
	"kubernetes:apps/v1:StatefulSet", crdType,
	"kubernetes:monitoring.coreos.com/v1:Prometheus", "kubernetes:monitoring.coreos.com/v1:Alertmanager",
}

// losses are the steps that lose something: a replacement or deletion of what is to be kept, and a change of the volume claims that the
// operator makes a StatefulSet with. (One of a StatefulSet of ours replaces it.)
func losses(result *offline.Result) []string {
	var lost []string
	for _, step := range result.Steps {
		if !slices.Contains(keeps, step.Type) {
			continue
		}
		what := ""
		switch {
		case step.Op == "replace":
			what = fmt.Sprintf("would be replaced, for %v", step.Replaces)
		case step.Op == "delete":
			what = "would be deleted"
		case step.Op == "update" && slices.ContainsFunc(step.Diff, func(property string) bool { return strings.HasPrefix(property, "spec.storage") }):
			what = fmt.Sprintf("would want other volumes, for %v", step.Diff)
		default:
			continue
		}
		lost = append(lost, fmt.Sprintf("%s %s %s: %s", step.Type, step.Name, what, step.URN))
	}
	return lost
}

// release is the version whose snapshot there is.
func release(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(compat, "*", "Pulumi.yaml"))
	require.NoError(t, err)
	require.Len(t, found, 1, "the snapshot of one release, the last one")
	return filepath.Base(filepath.Dir(found[0]))
}

// released prepares the program of today for a stack as the last release left it, with the configuration of then.
func released(t *testing.T, stack string) (*offline.Engine, *apitype.DeploymentV3) {
	t.Helper()
	needEngine(t)
	dir := filepath.Join(compat, release(t))
	engine, err := offline.New(t.Context(), offline.Options{Project: dir, Stack: stack, Program: withoutSchemas, Tools: tools})
	require.NoError(t, err)
	t.Cleanup(engine.Close)
	packed, err := os.ReadFile(filepath.Join(dir, stack+".json.gz"))
	require.NoError(t, err)
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	require.NoError(t, err)
	state := &apitype.DeploymentV3{}
	require.NoError(t, json.NewDecoder(reader).Decode(state))
	return engine, state
}

// TestUpgradeFromTheLastRelease previews the program of today on every stack as the last release left it. What changes is listed; nothing
// that holds data, and no identity that data hangs on, may be replaced or deleted.
func TestUpgradeFromTheLastRelease(t *testing.T) {
	t.Parallel()
	everyStackFile(t, func(t *testing.T, stack string) {
		engine, state := released(t, stack)
		require.NoError(t, engine.Import(t.Context(), state))
		result, err := engine.Preview(t.Context())
		assert.Empty(t, losses(result), "an upgrade of stack %s from %s loses this", stack, release(t))
		require.NoError(t, err)
		t.Logf("an upgrade from %s changes:\n%s", release(t), strings.Join(lines(result.Changed()), "\n"))
	})
}

// TestUpgradeGateNamesLosses: on a state in which everything that is to be kept has another name, or other volumes, the upgrade is refused
// with the name of each. The AWS side has a preview of its own: what is in a cluster that is lost too, a preview cannot tell.
func TestUpgradeGateNamesLosses(t *testing.T) {
	t.Parallel()
	engine, state := released(t, "dev")
	covered := []string{"kubernetes:core/v1:PersistentVolumeClaim"} // the program makes none itself
	for _, side := range []string{"aws:", "kubernetes:"} {
		var want []string
		renamed, resized := map[string]resource.URN{}, map[string]bool{} // the first of each type
		for i := range state.Resources {
			r := &state.Resources[i]
			typ := string(r.Type)
			claim := storage(r.Inputs)
			switch {
			case !strings.HasPrefix(typ, side) || !slices.Contains(keeps, typ):
			case claim != nil && !resized[typ]:
				resized[typ] = true
				kept, _ := r.Outputs["__inputs"].(map[string]any)
				claim["resources"], storage(kept)["resources"] = nil, nil
				want = append(want, typ+" "+r.URN.Name()+" would ")
			case claim == nil && renamed[typ] == "":
				renamed[typ] = r.URN
				want = append(want, typ+" another would be deleted: "+another(r.URN))
			}
		}
		require.NoError(t, engine.Import(t.Context(), rename(t, state, renamed)))
		result, err := engine.Preview(t.Context())
		require.NoError(t, err)
		lost := losses(result)
		assert.Len(t, lost, len(want), "%v", lost)
		for _, one := range want {
			assert.Contains(t, strings.Join(lost, "\n"), one)
		}
		covered = slices.Concat(covered, slices.Collect(maps.Keys(renamed)), slices.Collect(maps.Keys(resized)))
	}
	assert.ElementsMatch(t, keeps, covered, "nothing of a type was lost, so the test says nothing about it")
}

// storage is the spec of the first volume claim that an object asks for; nil if it asks for none.
func storage(object map[string]any) map[string]any {
	for _, path := range [][]any{{"spec", "volumeClaimTemplates", 0, "spec"}, {"spec", "storage", "volumeClaimTemplate", "spec"}} {
		if spec, ok := at(object, path...).(map[string]any); ok {
			return spec
		}
	}
	return nil
}

// another is the URN with another name.
func another(urn resource.URN) string {
	return string(urn[:strings.LastIndex(string(urn), "::")]) + "::another"
}

// rename gives resources another name, wherever the state mentions them.
func rename(t *testing.T, state *apitype.DeploymentV3, renamed map[string]resource.URN) *apitype.DeploymentV3 {
	t.Helper()
	written, err := json.Marshal(state)
	require.NoError(t, err)
	for _, urn := range renamed {
		written = bytes.ReplaceAll(written, []byte(`"`+string(urn)+`"`), []byte(`"`+another(urn)+`"`))
	}
	changed := &apitype.DeploymentV3{}
	require.NoError(t, json.Unmarshal(written, changed))
	return changed
}

var (
	versionForm = regexp.MustCompile(`^\d+\.\d+\.\d+$`)
	heading     = regexp.MustCompile(`(?m)^## \[(\d+\.\d+\.\d+)\]`)
)

// TestSnapshotIsOfTheLastRelease: a release without a snapshot is one that the next may break.
func TestSnapshotIsOfTheLastRelease(t *testing.T) {
	t.Parallel()
	changelog, err := os.ReadFile(filepath.Join(project, "CHANGELOG.md"))
	require.NoError(t, err)
	last := heading.FindSubmatch(changelog)
	require.NotNil(t, last)
	assert.Equal(t, string(last[1]), release(t), "the newest release in CHANGELOG.md; `make release-snapshot` makes its snapshot")
}

// TestReleaseSnapshot writes the snapshot of a release in place of the one before; it is no test without KANSOKU_RELEASE.
func TestReleaseSnapshot(t *testing.T) {
	t.Parallel()
	version := os.Getenv("KANSOKU_RELEASE")
	if version == "" {
		t.Skip("writes a snapshot: make release-snapshot VERSION=x.y.z")
	}
	require.Regexp(t, versionForm, version, "VERSION=x.y.z")
	files := map[string][]byte{}
	for _, stack := range stacks(t) {
		state := up(t, newEngine(t, stack, nil))
		for i := range state.Resources { // of no account, and other ones every time
			state.Resources[i].Created, state.Resources[i].Modified = nil, nil
		}
		state.Manifest = apitype.ManifestV1{}
		var packed bytes.Buffer
		writer, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
		require.NoError(t, err)
		require.NoError(t, json.NewEncoder(writer).Encode(state))
		require.NoError(t, writer.Close())
		files[stack+".json.gz"] = packed.Bytes()
	}
	configured, err := filepath.Glob(filepath.Join(project, "Pulumi.*yaml"))
	require.NoError(t, err)
	for _, file := range configured {
		files[filepath.Base(file)], err = os.ReadFile(file)
		require.NoError(t, err)
	}
	require.NoError(t, os.RemoveAll(compat))
	require.NoError(t, os.MkdirAll(filepath.Join(compat, version), 0o755))
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(compat, version, name), content, 0o600))
	}
}
