package double

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/stretchr/testify/assert"
)

// nested puts a value at a dotted path.
func nested(path, value string) resource.PropertyMap {
	made := resource.PropertyMap{}
	hold(made, resource.NewStringProperty(value), strings.Split(path, ".")...)
	return made
}

func TestEveryRowReplaces(t *testing.T) {
	t.Parallel()
	for _, row := range awsReplacements {
		t.Run(row.typ+" "+row.path, func(t *testing.T) {
			t.Parallel()
			assert.Contains(t, awsTypes, row.typ)
			assert.NotEmpty(t, row.source)
			x, old, now := &call{typ: row.typ}, nested(row.path, "old"), nested(row.path, "now")
			if row.removal {
				now = resource.PropertyMap{}
			}
			top, _, _ := strings.Cut(row.path, ".")
			assert.Equal(t, []string{top}, awsProvider{}.diff(nil, x, old, nil, now, nil).GetReplaces())
			assert.Empty(t, awsProvider{}.diff(nil, x, old, nil, old, nil).GetReplaces())
			assert.Empty(t, awsProvider{}.diff(nil, x, nil, nil, nested("tags.a", "b"), nil).GetReplaces())
		})
	}
}

func TestOnlyTheRemovalOfEncryptionReplaces(t *testing.T) {
	t.Parallel()
	x, set := &call{typ: "aws:eks/cluster:Cluster"}, nested("encryptionConfig.provider.keyArn", "a")
	assert.Empty(t, awsProvider{}.diff(nil, x, nil, nil, set, nil).GetReplaces())
	assert.Equal(t, []string{"encryptionConfig"}, awsProvider{}.diff(nil, x, set, nil, nil, nil).GetReplaces())
}

func TestEveryKubernetesRowReplaces(t *testing.T) {
	t.Parallel()
	for key, paths := range kubernetesReplacements {
		group, name, _ := strings.Cut(key, "/")
		typ := "kubernetes:" + or(group, "core") + "/v1:" + name
		for _, path := range append(paths, "metadata.name", "metadata.namespace") {
			t.Run(key+" "+path, func(t *testing.T) {
				t.Parallel()
				top, _, _ := strings.Cut(path, ".")
				answer := kubernetesProvider{}.diff(New(), &call{typ: typ}, nested(path, "old"), nil, nested(path, "now"), nil)
				assert.Equal(t, []string{top}, answer.GetReplaces())
				other := kubernetesProvider{}.diff(New(), &call{typ: typ}, nil, nil, nested("metadata.labels.a", "b"), nil)
				assert.Empty(t, other.GetReplaces())
			})
		}
	}
}

func TestUUIDAndZoneID(t *testing.T) {
	t.Parallel()
	assert.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$`, uuid("a"))
	assert.NotEqual(t, uuid("a", "b"), uuid("ab"))
	for zone, want := range map[string]string{
		"us-east-1a": "use1-az1", "ap-northeast-1d": "apne1-az4", "eu-central-1b": "euc1-az2", "us-gov-west-1a": "usgovw1-az1",
	} {
		assert.Equal(t, want, zoneID(zone))
	}
}
