package infra_test

import (
	"slices"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/infra"
	"github.com/kansoku/kansoku/internal/mocks"
)

const addonsURN = "urn:pulumi:test::kansoku::kansoku:infra:Addons::addons"

func addonsCluster() *infra.Cluster {
	return &infra.Cluster{
		Name: pulumi.String("demo").ToStringOutput(),
		Issuer: &infra.Issuer{
			ARN: pulumi.String("arn:aws:iam::111122223333:oidc-provider/" + clusterIssuer).ToStringOutput(),
			URL: pulumi.String(clusterIssuer).ToStringOutput(),
		},
	}
}

func TestAddons(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		addons, err := infra.NewAddons(ctx, "addons", &infra.AddonsArgs{
			Cluster: addonsCluster(), Versions: map[string]string{"coredns": "v1.12.4-eksbuild.1"}, Partition: "aws-cn", ReclaimPolicy: "Retain",
			Tags: map[string]string{"team": "infra"},
		})
		if err != nil {
			return err
		}
		assert.NotNil(t, addons.CoreDNS)
		assert.NotNil(t, addons.EBS)
		assert.NotNil(t, addons.StorageClass)
		return nil
	})
	require.Len(t, r.OfType("aws:eks/addon:Addon"), 2)

	coredns := r.Get(t, "aws:eks/addon:Addon", "addons-coredns")
	assert.Equal(t, addonsURN, coredns.Parent)
	assert.Equal(t, map[string]any{
		"clusterName":              "demo",
		"addonName":                "coredns",
		"addonVersion":             "v1.12.4-eksbuild.1",
		"resolveConflictsOnCreate": "OVERWRITE",
		"resolveConflictsOnUpdate": "PRESERVE",
		"tags":                     map[string]any{"team": "infra"},
	}, coredns.Inputs)

	ebs := r.Get(t, "aws:eks/addon:Addon", "addons-aws-ebs-csi-driver")
	assert.Equal(t, addonsURN, ebs.Parent)
	assert.Equal(t, map[string]any{
		"clusterName":              "demo",
		"addonName":                "aws-ebs-csi-driver",
		"resolveConflictsOnCreate": "OVERWRITE",
		"resolveConflictsOnUpdate": "PRESERVE",
		"serviceAccountRoleArn":    "arn:aws:addons-aws-ebs-csi-driver",
		"tags":                     map[string]any{"team": "infra"},
	}, ebs.Inputs)
	assert.Contains(t, r.Get(t, "aws:iam/role:Role", "addons-aws-ebs-csi-driver").Field("assumeRolePolicy"),
		`"`+clusterIssuer+`:sub":"system:serviceaccount:kube-system:ebs-csi-controller-sa"`)
	policy := r.Get(t, "aws:iam/rolePolicyAttachment:RolePolicyAttachment", "addons-aws-ebs-csi-driver-AmazonEBSCSIDriverPolicy")
	assert.Equal(t, "arn:aws-cn:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy", policy.Field("policyArn"))
	assert.Contains(t, ebs.Depends, "urn:pulumi:test::kansoku::kansoku:infra:Addons$kansoku:infra:WorkloadRole$"+policy.Type+"::"+policy.Name)

	class := r.Get(t, "kubernetes:storage.k8s.io/v1:StorageClass", "addons-gp3")
	assert.Equal(t, addonsURN, class.Parent)
	assert.Equal(t, map[string]any{
		"apiVersion": "storage.k8s.io/v1",
		"kind":       "StorageClass",
		"metadata": map[string]any{
			"name":        "gp3",
			"labels":      map[string]any{"app.kubernetes.io/part-of": "kansoku"},
			"annotations": map[string]any{"storageclass.kubernetes.io/is-default-class": "true"},
		},
		"provisioner":          "ebs.csi.aws.com",
		"parameters":           map[string]any{"type": "gp3", "encrypted": "true"},
		"reclaimPolicy":        "Retain",
		"volumeBindingMode":    "WaitForFirstConsumer",
		"allowVolumeExpansion": true,
	}, class.Inputs)
}

func TestVolumesAreDeletedWithTheirClaimByDefault(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		_, err := infra.NewAddons(ctx, "addons", &infra.AddonsArgs{Cluster: addonsCluster()})
		return err
	})
	assert.Equal(t, "Delete", r.Get(t, "kubernetes:storage.k8s.io/v1:StorageClass", "addons-gp3").Field("reclaimPolicy"))
	assert.Equal(t, "arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy",
		r.Get(t, "aws:iam/rolePolicyAttachment:RolePolicyAttachment", "addons-aws-ebs-csi-driver-AmazonEBSCSIDriverPolicy").Field("policyArn"))
}

func TestAddonsThatAreRefused(t *testing.T) {
	t.Parallel()
	const noIssuer = "creating the add-ons addons: cluster: must be given, with an issuer: the EBS driver needs a role"
	for name, tc := range map[string]struct {
		args *infra.AddonsArgs
		want string
	}{
		"none":       {nil, noIssuer},
		"no cluster": {&infra.AddonsArgs{}, noIssuer},
		"no issuer":  {&infra.AddonsArgs{Cluster: &infra.Cluster{}}, noIssuer},
		"the rest": {
			&infra.AddonsArgs{Cluster: addonsCluster(), Versions: map[string]string{"coredns": "latest"}, ReclaimPolicy: "Recycle"},
			`creating the add-ons addons: versions.coredns: must be the version of an EKS add-on, such as "v1.20.4-eksbuild.1", got "latest"
reclaimPolicy: must be one of Delete, Retain, got "Recycle"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &mocks.Recorder{}
			require.NoError(t, r.RunErr(func(ctx *pulumi.Context) error {
				_, err := infra.NewAddons(ctx, "addons", tc.args)
				require.EqualError(t, err, tc.want)
				return nil
			}))
			assert.Empty(t, r.All())
		})
	}
}

func TestOnlyTheAddonsWaitForNodes(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		role, err := iam.NewRole(ctx, "stands-for-nodes", &iam.RoleArgs{AssumeRolePolicy: pulumi.String("{}")})
		if err != nil {
			return err
		}
		_, err = infra.NewAddons(ctx, "addons", &infra.AddonsArgs{Cluster: addonsCluster(), Nodes: []pulumi.Resource{role}})
		return err
	})
	nodes := "urn:pulumi:test::kansoku::aws:iam/role:Role::stands-for-nodes"
	waiting := map[string]bool{}
	for _, one := range r.All() {
		if slices.Contains(one.Depends, nodes) {
			waiting[one.Name] = true
		}
	}
	assert.Equal(t, map[string]bool{"addons-coredns": true, "addons-aws-ebs-csi-driver": true}, waiting)
}

// TestAddonsOfAnExistingCluster: only those that are asked for, and the default class of volumes stays whose it is.
func TestAddonsOfAnExistingCluster(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		addons, err := infra.NewAddons(ctx, "addons", &infra.AddonsArgs{
			Cluster: addonsCluster(), Only: []string{"aws-ebs-csi-driver"}, Foreign: true,
		})
		if err == nil {
			assert.Len(t, addons.Ready, 2)
			assert.Nil(t, addons.CoreDNS)
		}
		return err
	})
	installed := r.OfType("aws:eks/addon:Addon")
	require.Len(t, installed, 1)
	assert.Equal(t, "aws-ebs-csi-driver", installed[0].Field("addonName"))
	class := r.Get(t, "kubernetes:storage.k8s.io/v1:StorageClass", "addons-gp3")
	assert.Nil(t, class.Field("metadata", "annotations"))
}
