package offline_test

import (
	"bytes"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi-eks/sdk/v2/go/eks"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/internal/offline"
)

// withCluster is a program with a cluster whose endpoint is public: pulumi-eks then waits for its health check in an up.
func withCluster([]string) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		provider, err := aws.NewProvider(ctx, "aws", &aws.ProviderArgs{Region: pulumi.String("ap-northeast-1")})
		if err != nil {
			return err
		}
		role, err := iam.NewRole(ctx, "node", &iam.RoleArgs{
			AssumeRolePolicy: pulumi.String(`{"Version":"2012-10-17","Statement":[]}`),
		}, pulumi.Provider(provider))
		if err != nil {
			return err
		}
		mode := eks.AuthenticationModeApi
		cluster, err := eks.NewCluster(ctx, "main", &eks.ClusterArgs{
			Name: pulumi.String("main"), VpcId: pulumi.String("vpc-1"), PrivateSubnetIds: pulumi.ToStringArray([]string{"subnet-1", "subnet-2"}),
			AuthenticationMode: &mode, SkipDefaultNodeGroup: new(true), InstanceRole: role, UseDefaultVpcCni: new(true),
			EndpointPrivateAccess: pulumi.Bool(true), EndpointPublicAccess: pulumi.Bool(true),
		}, pulumi.Providers(provider))
		if err != nil {
			return err
		}
		ctx.Export("kubeconfig", pulumi.ToSecret(cluster.KubeconfigJson))
		return nil
	}
}

// A program that reads the cluster's issuer can be rendered without the engine.
func TestRenderWithCluster(t *testing.T) {
	t.Parallel()
	program := func([]string) pulumi.RunFunc {
		return func(ctx *pulumi.Context) error {
			cluster, err := eks.NewCluster(ctx, "main", &eks.ClusterArgs{})
			if err != nil {
				return err
			}
			issuer := cluster.EksCluster.Identities().Index(pulumi.Int(0)).Oidcs().Index(pulumi.Int(0)).Issuer().Elem()
			_, err = corev1.NewConfigMap(ctx, "issuer", &corev1.ConfigMapArgs{
				Metadata: metav1.ObjectMetaArgs{Name: pulumi.String("issuer")}, Data: pulumi.StringMap{"url": issuer},
			})
			return err
		}
	}
	var output bytes.Buffer
	count, err := offline.Render(offline.Options{Project: project(t, "config: {}\n"), Stack: "dev", Program: program}, &output)
	require.NoError(t, err)
	assert.Equal(t, 1, count)
	assert.Contains(t, output.String(), "url: https://oidc.eks.mocked-1.amazonaws.com/id/MOCKED\n")
}

func TestRealClusterProvider(t *testing.T) {
	t.Parallel()
	engine := newEngine(t, offline.Options{
		Project: project(t, "config:\n  pulumi:disable-default-providers: [aws, kubernetes]\n"), Program: withCluster,
	})
	preview, err := engine.Preview(t.Context())
	require.NoError(t, err)
	up, err := engine.Up(t.Context(), offline.UpOptions{})
	require.NoError(t, err)
	assert.Equal(t, preview.Types(), up.Types())
	assert.Equal(t, 1, up.Types()["eks:index:Cluster"])
	assert.Equal(t, 1, up.Types()["aws:eks/cluster:Cluster"])
	outputs, err := engine.Outputs(t.Context())
	require.NoError(t, err)
	assert.Contains(t, outputs["kubeconfig"].Value, ".eks.amazonaws.com")
	require.Len(t, engine.Answered(), 1)
	assert.Contains(t, engine.Answered()[0], ".eks.amazonaws.com:443/healthz")
	assert.Empty(t, engine.Refused())

	again, err := engine.Up(t.Context(), offline.UpOptions{})
	require.NoError(t, err)
	assert.Empty(t, changes(again))
}
