package offline

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/sig"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func stepEvent(op, typ, name string, old, fresh *apitype.StepEventStateMetadata) events.EngineEvent {
	return events.EngineEvent{EngineEvent: apitype.EngineEvent{ResourcePreEvent: &apitype.ResourcePreEvent{Metadata: apitype.StepEventMetadata{
		Op: apitype.OpType(op), URN: "urn:pulumi:dev::p::" + typ + "::" + name, Type: typ, Old: old, New: fresh, Keys: []string{"bucket"},
		DetailedDiff: map[string]apitype.PropertyDiff{"tags.a": {Kind: apitype.DiffUpdate}, "bucket": {Kind: apitype.DiffUpdateReplace}},
	}}}}
}

func TestPerResource(t *testing.T) {
	t.Parallel()
	const bucket, claim = "aws:s3/bucket:Bucket", "kubernetes:core/v1:PersistentVolumeClaim"
	state := func(more func(*apitype.StepEventStateMetadata)) *apitype.StepEventStateMetadata {
		one := &apitype.StepEventStateMetadata{Custom: true, Inputs: map[string]any{
			"bucket": "b", "token": map[string]any{sig.Key: sig.Secret, "ciphertext": "[secret]"},
			"list": []any{map[string]any{"id": plugin.UnknownStringValue}}, "__defaults": []any{},
		}}
		if more != nil {
			more(one)
		}
		return one
	}
	object := state(func(s *apitype.StepEventStateMetadata) {
		s.RetainOnDelete = true
		s.Inputs = map[string]any{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": map[string]any{"name": "data", "namespace": "logs"}}
	})
	gathered := collect()
	for _, event := range []events.EngineEvent{
		stepEvent("create", "pulumi:pulumi:Stack", "p-dev", nil, state(nil)),
		stepEvent("same", bucket, "same", state(nil), state(nil)),
		stepEvent("delete-replaced", bucket, "b", state(nil), nil),
		stepEvent("replace", bucket, "b", state(nil), state(func(s *apitype.StepEventStateMetadata) { s.Protect = true })),
		stepEvent("create-replacement", bucket, "b", state(nil), state(nil)),
		stepEvent("replace", bucket, "adopted", state(nil), state(func(s *apitype.StepEventStateMetadata) { s.External = true })),
		stepEvent("create", "p:index:Component", "a", nil, &apitype.StepEventStateMetadata{}),
		stepEvent("delete", claim, "c", object, nil),
	} {
		gathered.channel <- event
	}
	close(gathered.channel)
	changes := gathered.end().PerResource()
	require.Len(t, changes, 4)
	ways := map[string]Change{}
	for _, one := range changes {
		ways[one.Name] = one
	}
	readable := map[string]any{"bucket": "b", "token": "[secret]", "list": []any{map[string]any{"id": "[known after an up]"}}}
	assert.Equal(t, Change{
		Way: Replaced, URN: "urn:pulumi:dev::p::" + bucket + "::b", Type: bucket, Name: "b", Properties: []string{"bucket", "tags.a"},
		Forces: []string{"bucket"}, Before: readable, After: readable, Custom: true, Protects: true,
	}, ways["b"])
	assert.True(t, ways["adopted"].Reads)
	assert.Equal(t, Added, ways["a"].Way)
	assert.Equal(t, Deleted, ways["c"].Way)
	assert.True(t, ways["c"].Retained)

	title, before, after, err := ways["c"].Render()
	require.NoError(t, err)
	assert.Equal(t, "PersistentVolumeClaim logs/data", title)
	assert.Equal(t, "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: data\n  namespace: logs\n", string(before))
	assert.Empty(t, after)
	title, before, _, err = ways["b"].Render()
	require.NoError(t, err)
	assert.Equal(t, bucket+" b", title)
	assert.Contains(t, string(before), `"token": "[secret]"`)
	_, before, after, err = ways["a"].Render()
	require.NoError(t, err)
	assert.Empty(t, string(before)+string(after), "a component is made by no provider")
}
