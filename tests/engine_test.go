package tests

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/internal/offline"
	"github.com/kansoku/kansoku/internal/offline/double"
	"github.com/kansoku/kansoku/internal/program"
)

// lines shows steps in a message: operation, type, name and what changed.
func lines(steps []offline.Step) []string {
	var shown []string
	for _, s := range steps {
		shown = append(shown, fmt.Sprintf("%s %s %s %v %v", s.Op, s.Type, s.Name, s.Diff, s.Replaces))
	}
	return shown
}

func everyStackFile(t *testing.T, test func(t *testing.T, stack string)) {
	t.Helper()
	for _, stack := range stacks(t) {
		t.Run(stack, func(t *testing.T) {
			t.Parallel()
			test(t, stack)
		})
	}
}

// ids are the identities of all that exists in the cloud.
func ids(cloud *double.Cloud) []string {
	var all []string
	for _, o := range cloud.Objects() {
		all = append(all, o.Type+" "+o.ID)
	}
	slices.Sort(all)
	return all
}

// recorded are the identities that the state has of what exists in the cloud.
func recorded(state *apitype.DeploymentV3) []string {
	var all []string
	for _, r := range state.Resources {
		if r.Custom && !strings.HasPrefix(string(r.Type), "pulumi:") && !r.External {
			all = append(all, string(r.Type)+" "+string(r.ID))
		}
	}
	slices.Sort(all)
	return all
}

func TestPreviewCreatesNothing(t *testing.T) {
	t.Parallel()
	everyStackFile(t, func(t *testing.T, stack string) {
		engine := wholeEngine(t, stack, nil)
		result, err := engine.Preview(t.Context())
		require.NoError(t, err)
		assert.Len(t, result.Of("create"), result.Resources())
		require.Len(t, result.Warnings, 2)
		warnings := strings.Join(result.Warnings, "\n")
		assert.Contains(t, warnings, "tsdb", "the index that gets no more fixes, with the way out")
		assert.Contains(t, warnings, "receiver", "nobody is told of alerts")
		assert.Empty(t, engine.Cloud().Objects())
		assert.Empty(t, engine.Refused(), "something outside this machine was to be reached")
	})
}

func TestUpIsIdempotent(t *testing.T) {
	t.Parallel()
	everyStackFile(t, func(t *testing.T, stack string) {
		engine := wholeEngine(t, stack, nil)
		state := up(t, engine)
		assert.Equal(t, recorded(state), ids(engine.Cloud()))
		assert.Empty(t, engine.Cloud().Unknown(), "types that the doubles do not know")

		again, err := engine.Up(t.Context(), offline.UpOptions{})
		require.NoError(t, err)
		assert.Empty(t, lines(again.Changed()), "a second up")

		refreshed, err := engine.Refresh(t.Context())
		require.NoError(t, err)
		assert.Empty(t, lines(refreshed.Changed()), "a refresh")
		after, err := engine.Up(t.Context(), offline.UpOptions{})
		require.NoError(t, err)
		assert.Empty(t, lines(after.Changed()), "an up after the refresh")
		assert.Empty(t, engine.Refused())
	})
}

// depth is the number of resources on the longest chain of dependencies.
func depth(state *apitype.DeploymentV3) int {
	byURN := map[resource.URN]apitype.ResourceV3{}
	for _, r := range state.Resources {
		byURN[r.URN] = r
	}
	known := map[resource.URN]int{}
	var of func(urn resource.URN) int
	of = func(urn resource.URN) int {
		if d, ok := known[urn]; ok {
			return d
		}
		r, deepest := byURN[urn], 0
		before := append([]resource.URN{r.Parent}, r.Dependencies...)
		if i := strings.LastIndex(r.Provider, "::"); i > 0 {
			before = append(before, resource.URN(r.Provider[:i]))
		}
		for _, urns := range r.PropertyDependencies {
			before = append(before, urns...)
		}
		for _, b := range before {
			if b != "" {
				deepest = max(deepest, of(b))
			}
		}
		known[urn] = deepest + 1
		return known[urn]
	}
	deepest := 0
	for urn := range byURN {
		deepest = max(deepest, of(urn))
	}
	return deepest
}

// converge repeats up --continue-on-error until one succeeds, and returns how many it took.
func converge(t *testing.T, engine *offline.Engine, limit int) int {
	t.Helper()
	var last error
	for round := 1; round <= limit; round++ {
		if _, last = engine.Up(t.Context(), offline.UpOptions{ContinueOnError: true}); last == nil {
			return round
		}
	}
	require.NoError(t, last, "no success in %d rounds", limit)
	return limit
}

// TestFailedCreatesAreResumed: every create fails on its first attempt, for one resource of each type after the cloud has made the object,
// as when a request times out. Repeated, the up converges: nothing is made twice, nothing is forgotten.
func TestFailedCreatesAreResumed(t *testing.T) {
	t.Parallel()
	everyStackFile(t, func(t *testing.T, stack string) {
		want := stateOf(t, stack)
		engine := newEngine(t, stack, nil)
		var mu sync.Mutex
		failed, late := map[string]bool{}, map[string]string{} // late: type to the one name that fails late
		engine.Cloud().FailCreate(func(typ, name string, attempt int) double.Failure {
			mu.Lock()
			defer mu.Unlock()
			if attempt > 1 {
				return double.None
			}
			failed[typ+" "+name] = true
			if _, ok := late[typ]; !ok {
				late[typ] = name
				return double.After
			}
			return double.Before
		})
		limit := depth(&apitype.DeploymentV3{Resources: want.resources})
		rounds := converge(t, engine, limit)
		t.Logf("every create failed once: %d rounds, depth of the graph %d", rounds, limit)
		assert.Greater(t, rounds, 3)

		state := export(t, engine)
		assert.Len(t, state.Resources, len(want.resources))
		assert.Equal(t, recorded(state), ids(engine.Cloud()), "something is there twice, or forgotten")
		assert.Len(t, failed, len(engine.Cloud().Objects()), "not every create failed first")
		types := map[string]bool{}
		for _, o := range engine.Cloud().Objects() {
			types[o.Type] = true
		}
		assert.Len(t, late, len(types), "one resource of each type")
		again, err := engine.Up(t.Context(), offline.UpOptions{})
		require.NoError(t, err)
		assert.Empty(t, lines(again.Changed()))
	})
}

// withPrometheus is the monitoring section of a stack with some of Prometheus' settings changed.
func withPrometheus(settings map[string]any) map[string]any {
	return map[string]any{"kansoku:monitoring": map[string]any{"prometheus": settings}}
}

func TestReplicaCountUpdatesInPlace(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, "dev", withPrometheus(map[string]any{"replicas": 2}))
	up(t, engine)
	require.NoError(t, engine.Configure(t.Context(), withPrometheus(map[string]any{"replicas": 3})))
	result, err := engine.Up(t.Context(), offline.UpOptions{})
	require.NoError(t, err)
	assert.Equal(t, []string{"update kubernetes:monitoring.coreos.com/v1:Prometheus monitoring-prometheus [spec.replicas] []"}, lines(result.Changed()))
}

// TestAClusterChangeReplacesNoObject: a replaced cluster has unknown outputs in the preview, and with them the kubeconfig; what runs in
// the cluster must not be shown as replaced for that.
func TestAClusterChangeReplacesNoObject(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, "dev", nil)
	up(t, engine)
	const cluster = "aws:eks/cluster:Cluster"
	engine.SetProgram(func(keys []string) pulumi.RunFunc {
		return func(ctx *pulumi.Context) error {
			// No key of the configuration replaces a cluster: that is as it should be, so the test does it.
			err := ctx.RegisterResourceTransform(func(_ context.Context, args *pulumi.ResourceTransformArgs) *pulumi.ResourceTransformResult {
				if args.Type != cluster {
					return nil
				}
				args.Props["roleArn"] = pulumi.String("arn:aws:iam::123456789012:role/another")
				return &pulumi.ResourceTransformResult{Props: args.Props, Opts: args.Opts}
			})
			if err != nil {
				return err
			}
			return program.WithKeys(keys)(ctx)
		}
	})
	result, err := engine.Preview(t.Context())
	require.NoError(t, err)
	var replaced []string
	for _, step := range result.Of("replace", "create-replacement", "delete-replaced", "delete") {
		if strings.Contains(step.URN, "eks:index:Cluster$pulumi:providers:kubernetes") {
			continue // pulumi-eks makes two of its own, which nothing uses
		}
		replaced = append(replaced, step.Type)
	}
	assert.Contains(t, replaced, cluster, "the change was to make the cluster's outputs unknown")
	for _, typ := range replaced {
		assert.NotContains(t, typ, "kubernetes", "a Kubernetes object or its provider would be replaced: %v",
			lines(result.Of("replace", "create-replacement", "delete-replaced", "delete")))
	}
}

// definitions are the operator's CRDs, by id.
func definitions(state *apitype.DeploymentV3) []string {
	var all []string
	for _, r := range state.Resources {
		if r.Type == crdType {
			all = append(all, string(r.Type)+" "+string(r.ID))
		}
	}
	slices.Sort(all)
	return all
}

// TestDestroyLeavesNothingBehind: a cluster of our own takes along what was not deleted in it, which is the definitions only.
func TestDestroyLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, "dev", nil)
	state := up(t, engine)
	_, err := engine.Destroy(t.Context())
	require.NoError(t, err)
	assert.Empty(t, ids(engine.Cloud()))
	var cascaded []string
	for _, event := range engine.Cloud().Events() {
		if event.Verb == "cascade" {
			cascaded = append(cascaded, event.Type+" "+event.ID)
		}
	}
	slices.Sort(cascaded)
	assert.Equal(t, definitions(state), cascaded)
}

// TestDestroyLeavesOnlyDefinitionsWhichAnUpAdopts: on a cluster of somebody else's the definitions stay, as other programs may have
// objects of these kinds, and the next up takes them over.
func TestDestroyLeavesOnlyDefinitionsWhichAnUpAdopts(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, "dev", map[string]any{
		"kansoku:network": nil, "kansoku:nodes": nil, "kansoku:cluster": map[string]any{"existing": map[string]any{"name": "theirs"}},
	})
	before := up(t, engine)
	_, err := engine.Destroy(t.Context())
	require.NoError(t, err)
	assert.Len(t, definitions(before), 10)
	assert.Equal(t, definitions(before), ids(engine.Cloud()))
	after := up(t, engine)
	assert.Len(t, after.Resources, len(before.Resources))
	assert.Equal(t, recorded(after), ids(engine.Cloud()))
}

func TestDestroyOfProdIsRefused(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, "prod", nil)
	state := up(t, engine)
	existing := ids(engine.Cloud())
	_, err := engine.Destroy(t.Context())
	require.Error(t, err)
	// The engine names what it may not delete from the outside in: what has a protected part, or is needed by one, comes after it.
	blocked := map[resource.URN]bool{}
	for _, r := range state.Resources {
		if r.Protect && r.Custom {
			blocked[r.Parent] = true
			for _, urn := range r.Dependencies {
				blocked[urn] = true
			}
		}
	}
	var named []string
	for _, r := range state.Resources {
		if r.Protect && r.Custom && !blocked[r.URN] {
			named = append(named, string(r.Type))
			assert.Contains(t, err.Error(), fmt.Sprintf("resource %q cannot be deleted", r.URN))
		}
	}
	assert.Contains(t, named, "aws:s3/bucketV2:BucketV2")
	assert.Contains(t, named, "aws:dynamodb/table:Table")
	assert.Equal(t, existing, ids(engine.Cloud()), "something is gone")
}

func TestNoSecretIsPlainInTheState(t *testing.T) {
	t.Parallel()
	everyStack(t, func(t *testing.T, s *state) {
		state, err := json.Marshal(s.resources)
		require.NoError(t, err)
		secrets := 0
		for name, output := range s.outputs {
			if !output.Secret {
				continue
			}
			secrets++
			plain, err := json.Marshal(output.Value)
			require.NoError(t, err)
			assert.NotContains(t, string(state), strings.Trim(string(plain), `"`), "the output %s", name)
			// Once more as it stands inside another JSON document.
			quoted, err := json.Marshal(string(plain))
			require.NoError(t, err)
			assert.NotContains(t, string(state), strings.Trim(string(quoted), `"`), "the output %s", name)
		}
		assert.Positive(t, secrets)
	})
}

func TestOutputs(t *testing.T) {
	t.Parallel()
	everyStackFile(t, func(t *testing.T, stack string) {
		s := stateOf(t, stack)
		plain := func(name string) any { return s.outputs[name].Value }
		want := map[string]any{ // of a stack without AWS
			"clusterName": "kansoku-" + stack, "blocksBucket": "kansoku-blocks", "chunksBucket": "kansoku-chunks", "indexTable": "kansoku-index",
		}
		names := []string{"blocksBucket", "chunksBucket", "clusterName", "grafanaPassword", "indexTable", "roleArns", "services"}
		if len(s.ofType("aws:")) > 0 {
			for _, bucket := range []string{"blocks", "chunks"} {
				want[bucket+"Bucket"] = "kansoku-" + stack + "-" + bucket + "-123456789012-ap-northeast-1"
			}
			want["indexTable"] = "kansoku-" + stack + "-index"
			names = append(names, "kubeconfig")
			assert.True(t, s.outputs["kubeconfig"].Secret)
			roles, ok := plain("roleArns").(map[string]any)
			require.True(t, ok)
			assert.Equal(t, []string{
				"cluster-autoscaler", "loki", "prometheus", "thanos-bucket-web", "thanos-compact", "thanos-store",
			}, slices.Sorted(maps.Keys(roles)))
			assert.Regexp(t, `^arn:aws:iam::123456789012:role/prometheus-[0-9a-f]{7}$`, roles["prometheus"])
		}
		slices.Sort(names)
		assert.Equal(t, names, slices.Sorted(maps.Keys(s.outputs)))
		for name, value := range want {
			assert.Equal(t, value, plain(name), name)
		}
		assert.Equal(t, map[string]any{
			"prometheus": "http://prometheus-k8s.monitoring.svc:9090", "query": "http://thanos-query-frontend.monitoring.svc:10902",
			"alertmanager": "http://alertmanager-main.monitoring.svc:9093", "grafana": "http://grafana.monitoring.svc:80",
			"loki": "http://loki.monitoring.svc:3100",
		}, plain("services"))
		assert.True(t, s.outputs["grafanaPassword"].Secret)
	})
}

// TestRefusalComesBeforeAnyResource: a stack with wrong configuration touches nothing, and says all that is wrong.
func TestRefusalComesBeforeAnyResource(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, "dev", map[string]any{
		"kansoku:netwrok": map[string]any{}, "kansoku:protect": "maybe",
	})
	_, err := engine.Up(t.Context(), offline.UpOptions{})
	require.ErrorContains(t, err, "the configuration of stack dev is refused")
	require.ErrorContains(t, err, "kansoku:netwrok: is not a key")
	require.ErrorContains(t, err, `kansoku:protect: must be true or false, got "maybe"`)
	assert.Empty(t, engine.Cloud().Objects())
}

// TestAClusterByKubeconfig: a stack without any AWS.
func TestAClusterByKubeconfig(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, "dev", map[string]any{
		"aws:region": nil, "kansoku:tags": nil, "kansoku:network": nil, "kansoku:cluster": nil, "kansoku:nodes": nil, "kansoku:chunks": nil,
		"kansoku:index":      nil,
		"kansoku:monitoring": map[string]any{},
		"kansoku:kubeconfig": offline.Secret(`{"current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}], "clusters": [{"name": "k", "cluster": {"server": "https://k.invalid"}}]}`),
		"kansoku:blocks": map[string]any{"existing": map[string]any{
			"name": "blocks", "region": "us-east-1", "endpoint": "minio.storage.svc:9000", "insecure": true, "credentialsSecret": "minio",
		}},
	})
	up(t, engine)
	for _, o := range engine.Cloud().Objects() {
		assert.NotEqual(t, "aws", o.Package, o.ID)
	}
}

// TestTheIndexMovesToTSDB walks the way of docs/dynamodb-to-tsdb.md on a protected stack: a dated period, nothing replaced; what is still
// guarded cannot go by mistake; then the table goes, alone.
func TestTheIndexMovesToTSDB(t *testing.T) {
	t.Parallel()
	const table, bucket = "aws:dynamodb/table:Table", "aws:s3/bucketV2:BucketV2"
	dynamo := map[string]any{"from": "2026-01-01", "index": "dynamodb"}
	tsdb := map[string]any{"from": "2027-01-10", "index": "tsdb"}
	logs := func(unprotected bool, schema ...map[string]any) map[string]any {
		return map[string]any{
			"kansoku:index":      map[string]any{"unprotected": unprotected},
			"kansoku:monitoring": map[string]any{"loki": map[string]any{"schema": schema}},
		}
	}
	engine := newEngine(t, "prod", logs(false, dynamo))
	up(t, engine)
	stored := func() (all []string) {
		for _, id := range ids(engine.Cloud()) {
			if strings.HasPrefix(id, bucket+" ") || strings.HasPrefix(id, table+" ") {
				all = append(all, id)
			}
		}
		return all
	}
	// What is made anew or goes, but ConfigMaps: Pulumi replaces them when their content changes.
	notUpdated := func(result *offline.Result) (all []string) {
		for _, step := range result.Changed() {
			if step.Op != "update" && step.Type != "kubernetes:core/v1:ConfigMap" {
				all = append(all, step.Op+" "+step.Type)
			}
		}
		return all
	}
	before := stored()
	require.Len(t, before, 3)

	require.NoError(t, engine.Configure(t.Context(), logs(false, dynamo, tsdb)))
	result, err := engine.Preview(t.Context())
	require.NoError(t, err)
	require.NotEmpty(t, result.Of("update"), "what Loki's role may do in the bucket, and its pods")
	require.Empty(t, notUpdated(result), "nothing but configuration is replaced")
	for _, step := range result.Changed() {
		require.NotContains(t, []string{table, bucket}, step.Type)
	}

	require.NoError(t, engine.Configure(t.Context(), logs(false, tsdb)))
	_, err = engine.Preview(t.Context())
	require.ErrorContains(t, err, "cannot be deleted", "a protected table")

	require.NoError(t, engine.Configure(t.Context(), logs(true, dynamo, tsdb)))
	result, err = engine.Up(t.Context(), offline.UpOptions{})
	require.NoError(t, err)
	require.Empty(t, notUpdated(result))
	require.Contains(t, lines(result.Changed()), "update "+table+" index [deletionProtectionEnabled] []")
	require.Equal(t, before, stored())

	require.NoError(t, engine.Configure(t.Context(), logs(true, tsdb)))
	result, err = engine.Up(t.Context(), offline.UpOptions{})
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"delete " + table, "delete kansoku:infra:Table"}, notUpdated(result))
	require.Equal(t, before[1:], stored(), "both buckets are as they were")
	require.Contains(t, strings.Join(lines(result.Of("update")), "\n"), "StatefulSet monitoring-loki [",
		"Loki runs with the new schema")
}
