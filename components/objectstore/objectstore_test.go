package objectstore_test

import (
	"encoding/json"
	"testing"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/internal/mocks"
)

func TestThanos(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		location objectstore.Location
		want     string
	}{
		{
			"AWS",
			objectstore.Location{Bucket: pulumi.String("blocks"), Region: pulumi.String("ap-northeast-1")},
			`config:
  aws_sdk_auth: true
  bucket: blocks
  endpoint: s3.ap-northeast-1.amazonaws.com
  region: ap-northeast-1
type: S3
`,
		},
		{
			"S3-compatible",
			objectstore.Location{
				Bucket: pulumi.String("blocks"), Region: pulumi.String("us-east-1"),
				Endpoint: "minio.storage.svc:9000", Insecure: true, CredentialsSecret: "minio",
			},
			`config:
  aws_sdk_auth: true
  bucket: blocks
  bucket_lookup_type: path
  endpoint: minio.storage.svc:9000
  insecure: true
  region: us-east-1
type: S3
`,
		},
	} {
		r := &mocks.Recorder{}
		r.Run(t, func(ctx *pulumi.Context) error {
			_, err := corev1.NewSecret(ctx, "s", &corev1.SecretArgs{StringData: pulumi.StringMap{"y": test.location.Thanos()}})
			return err
		})
		require.Equal(t, test.want, r.Get(t, "kubernetes:core/v1:Secret", "s").Field("stringData", "y"), test.name)
	}
}

func TestEnv(t *testing.T) {
	t.Parallel()
	require.Empty(t, objectstore.Location{}.Env(), "on AWS the role is used")
	require.Empty(t, objectstore.Location{}.NativeEnv())

	location := objectstore.Location{CredentialsSecret: "minio"}
	variable := func(key string) any {
		return map[string]any{
			"name": key, "valueFrom": map[string]any{"secretKeyRef": map[string]any{"name": "minio", "key": key}},
		}
	}
	want := []any{variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")}

	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		_, err := corev1.NewPod(ctx, "p", &corev1.PodArgs{Spec: &corev1.PodSpecArgs{
			Containers: corev1.ContainerArray{&corev1.ContainerArgs{Name: pulumi.String("c"), Env: location.Env()}},
		}})
		return err
	})
	require.Equal(t, want, r.Get(t, "kubernetes:core/v1:Pod", "p").Field("spec", "containers", 0, "env"))

	data, err := json.Marshal(location.NativeEnv())
	require.NoError(t, err)
	var plain any
	require.NoError(t, json.Unmarshal(data, &plain))
	require.Equal(t, want, plain)
}
