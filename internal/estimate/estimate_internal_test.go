package estimate

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/internal/cost"
	"github.com/kansoku/kansoku/internal/offline"
)

func TestWhatIsPlannedIsCounted(t *testing.T) {
	t.Parallel()
	claim := func(size string) map[string]any {
		return map[string]any{"spec": map[string]any{
			"storageClassName": "gp3", "resources": map[string]any{"requests": map[string]any{"storage": size}},
		}}
	}
	planned := []offline.Resource{
		{Type: "kubernetes:apps/v1:StatefulSet", Name: "set", Inputs: map[string]any{
			"kind": "StatefulSet", "spec": map[string]any{"replicas": 3, "volumeClaimTemplates": []any{claim("10Gi")}},
		}},
		{Type: "kubernetes:monitoring.coreos.com/v1:Alertmanager", Name: "operated", Inputs: map[string]any{
			"kind": "Alertmanager", "spec": map[string]any{"replicas": 2, "storage": map[string]any{"volumeClaimTemplate": claim("512Mi")}},
		}},
		{Type: "kubernetes:core/v1:PersistentVolumeClaim", Name: "alone", Inputs: map[string]any{
			"kind": "PersistentVolumeClaim", "spec": claim("1Gi")["spec"],
		}},
		{Type: "kubernetes:core/v1:ConfigMap", Name: "none", Inputs: map[string]any{"kind": "ConfigMap"}},
		{Type: "aws:kms/key:Key", Name: "ours"},
		{Type: "aws:kms/key:Key", Name: "theirs", Existing: true},
		{Type: "aws:s3/bucketV2:BucketV2", Name: "bucket"},
		{Type: "aws:ec2/vpcEndpoint:VpcEndpoint", Name: "s3", Inputs: map[string]any{"vpcEndpointType": "Gateway"}},
	}
	var spent cost.Stack
	require.NoError(t, add(&spent, planned))
	require.Equal(t, []cost.Volume{
		{Name: "alone", Class: "gp3", Count: 1, GiB: 1},
		{Name: "operated", Class: "gp3", Count: 2, GiB: 0.5},
		{Name: "set", Class: "gp3", Count: 3, GiB: 10},
	}, spent.Volumes)
	require.Equal(t, 1, spent.Keys, "what exists is somebody else's")
}

func TestWhatIsNotKnownIsAnError(t *testing.T) {
	t.Parallel()
	err := add(&cost.Stack{}, []offline.Resource{
		{Type: "aws:elasticache/cluster:Cluster", Name: "cache"},
		{Type: "aws:ec2/vpcEndpoint:VpcEndpoint", Name: "sts", Inputs: map[string]any{"vpcEndpointType": "Interface"}},
	})
	require.EqualError(t, err, "aws:elasticache/cluster:Cluster cache: the estimate does not know what it costs\n"+
		"aws:ec2/vpcEndpoint:VpcEndpoint sts: an endpoint that is no gateway is paid by the hour, which the estimate does not know")
}
