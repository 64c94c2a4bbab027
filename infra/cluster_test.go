package infra_test

import (
	"fmt"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/infra"
	"github.com/kansoku/kansoku/internal/mocks"
)

const (
	clusterURN    = "urn:pulumi:test::kansoku::kansoku:infra:Cluster::main"
	clusterIssuer = "oidc.eks.ap-northeast-1.amazonaws.com/id/ABC"
	clusterServer = "https://ABC.gr7.ap-northeast-1.eks.amazonaws.com"
	opsRole       = "arn:aws:iam::111122223333:role/teams/ops"

	kubeconfigWithoutProfile = `{"apiVersion":"v1","kind":"Config","current-context":"demo",` +
		`"clusters":[{"name":"demo","cluster":{"server":"` + clusterServer + `","certificate-authority-data":"Q0E="}}],` +
		`"contexts":[{"name":"demo","context":{"cluster":"demo","user":"demo"}}],` +
		`"users":[{"name":"demo","user":{"exec":{"apiVersion":"client.authentication.k8s.io/v1beta1","command":"aws",` +
		`"args":["eks","get-token","--cluster-name","demo","--region","ap-northeast-1"]}}}]}`
)

var kubeconfigWithProfile = kubeconfigWithoutProfile[:len(kubeconfigWithoutProfile)-len(`}}}]}`)] +
	`,"env":[{"name":"AWS_PROFILE","value":"ops"}]}}}]}`

// oneCluster is what EKS says about the cluster demo, in the shape of the resource and of the data source.
var oneCluster = map[string]any{
	"name":                   "demo",
	"endpoint":               clusterServer,
	"certificateAuthority":   map[string]any{"data": "Q0E="},
	"certificateAuthorities": []any{map[string]any{"data": "Q0E="}},
	"identities":             []any{map[string]any{"oidcs": []any{map[string]any{"issuer": "https://" + clusterIssuer}}}},
}

func twoSubnets() []infra.Subnet {
	return []infra.Subnet{
		{Zone: "ap-northeast-1a", ID: pulumi.String("subnet-a").ToStringOutput()},
		{Zone: "ap-northeast-1c", ID: pulumi.String("subnet-c").ToStringOutput()},
	}
}

func newClusterArgs() *infra.ClusterArgs {
	return &infra.ClusterArgs{Name: "demo", Region: "ap-northeast-1", VPCID: pulumi.String("vpc-1"), PrivateSubnets: twoSubnets()}
}

// settled waits for an output and says whether it is a secret.
func settled(t *testing.T, output pulumi.StringOutput) (value string, secret bool) {
	t.Helper()
	done := make(chan string, 1)
	plain := pulumi.Unsecret(output).(pulumi.StringOutput)
	plain.ApplyT(func(v string) string {
		done <- v
		return v
	})
	value = <-done
	return value, pulumi.IsSecret(output)
}

func TestANewCluster(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{EKS: oneCluster}
	r.Run(t, func(ctx *pulumi.Context) error {
		cluster, err := infra.NewCluster(ctx, "main", newClusterArgs())
		if err != nil {
			return err
		}
		name, _ := settled(t, cluster.Name)
		assert.Equal(t, "demo", name)
		endpoint, secret := settled(t, cluster.Endpoint)
		assert.Equal(t, clusterServer, endpoint)
		assert.False(t, secret)
		config, secret := settled(t, cluster.Kubeconfig)
		assert.JSONEq(t, kubeconfigWithoutProfile, config)
		assert.True(t, secret, "the kubeconfig must be a secret")
		url, _ := settled(t, cluster.Issuer.URL)
		assert.Equal(t, clusterIssuer, url)
		arn, _ := settled(t, cluster.Issuer.ARN)
		assert.Equal(t, "arn:aws:main", arn)
		assert.Len(t, cluster.Networking, 4)
		assert.NotNil(t, cluster.NodeRole)
		return nil
	})

	eks := r.Get(t, "eks:index:Cluster", "main")
	assert.Equal(t, clusterURN, eks.Parent)
	assert.False(t, eks.Protect)
	role, ok := eks.Inputs["instanceRole"].(resource.ResourceReference)
	require.True(t, ok)
	assert.Equal(t, resource.URN(clusterChild("aws:iam/role:Role", "main-node")), role.URN)
	delete(eks.Inputs, "instanceRole")
	assert.Equal(t, map[string]any{
		"name":                   "demo",
		"version":                "1.36",
		"authenticationMode":     "API",
		"vpcId":                  "vpc-1",
		"privateSubnetIds":       []any{"subnet-a", "subnet-c"},
		"skipDefaultNodeGroup":   true,
		"useDefaultVpcCni":       true,
		"createOidcProvider":     false,
		"encryptionConfigKeyArn": "arn:aws:main-secrets",
		"endpointPrivateAccess":  true,
		"endpointPublicAccess":   false,
	}, eks.Inputs)

	key := r.Get(t, "aws:kms/key:Key", "main-secrets")
	assert.Equal(t, clusterURN, key.Parent)
	assert.False(t, key.Protect)
	assert.Equal(t, map[string]any{
		"description":          "Kubernetes Secrets of the EKS cluster demo",
		"enableKeyRotation":    true,
		"deletionWindowInDays": 30.0,
	}, key.Inputs)
	assert.Equal(t, "alias/demo-secrets", r.Get(t, "aws:kms/alias:Alias", "main-secrets").Field("name"))

	issuer := r.Get(t, "aws:iam/openIdConnectProvider:OpenIdConnectProvider", "main")
	assert.Equal(t, clusterURN, issuer.Parent)
	assert.Equal(t, map[string]any{"url": "https://" + clusterIssuer, "clientIdLists": []any{"sts.amazonaws.com"}}, issuer.Inputs)
	assert.Empty(t, r.OfType("aws:eks/accessEntry:AccessEntry"))
}

// clusterChild is the URN of a child of the cluster.
func clusterChild(token, name string) string {
	return "urn:pulumi:test::kansoku::kansoku:infra:Cluster$" + token + "::" + name
}

func TestTheNodeRoleOfANewCluster(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{EKS: oneCluster}
	r.Run(t, func(ctx *pulumi.Context) error {
		args := newClusterArgs()
		args.Partition = "aws-cn"
		_, err := infra.NewCluster(ctx, "main", args)
		return err
	})
	role := r.Get(t, "aws:iam/role:Role", "main-node")
	assert.Equal(t, clusterURN, role.Parent)
	assert.Equal(t, map[string]any{
		"description": "EKS nodes",
		"assumeRolePolicy": `{"Statement":[{"Action":"sts:AssumeRole","Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"}}],` +
			`"Version":"2012-10-17"}`,
	}, role.Inputs)
	var attached []any
	for _, attachment := range r.OfType("aws:iam/rolePolicyAttachment:RolePolicyAttachment") {
		if attachment.Parent == clusterURN {
			attached = append(attached, attachment.Field("policyArn"))
		}
	}
	assert.ElementsMatch(t, []any{
		"arn:aws-cn:iam::aws:policy/AmazonEKSWorkerNodePolicy",
		"arn:aws-cn:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly",
	}, attached)
}

func TestNetworkingComesBeforeNodesAndKubernetes(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{EKS: oneCluster}
	r.Run(t, func(ctx *pulumi.Context) error {
		args := newClusterArgs()
		args.AddonVersions = map[string]string{"vpc-cni": "v1.20.4-eksbuild.1"}
		cluster, err := infra.NewCluster(ctx, "main", args)
		if err != nil {
			return err
		}
		var waits []string
		for _, one := range cluster.Networking {
			urn, _ := settled(t, one.URN().ApplyT(func(u pulumi.URN) string { return string(u) }).(pulumi.StringOutput))
			waits = append(waits, urn)
		}
		assert.Equal(t, []string{
			clusterChild("aws:eks/addon:Addon", "main-vpc-cni"),
			clusterChild("aws:eks/addon:Addon", "main-kube-proxy"),
			clusterChild("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "main-node-AmazonEKSWorkerNodePolicy"),
			clusterChild("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "main-node-AmazonEC2ContainerRegistryPullOnly"),
		}, waits)
		return nil
	})

	cni := r.Get(t, "aws:eks/addon:Addon", "main-vpc-cni")
	assert.Equal(t, clusterURN, cni.Parent)
	assert.Equal(t, map[string]any{
		"clusterName":              "demo",
		"addonName":                "vpc-cni",
		"addonVersion":             "v1.20.4-eksbuild.1",
		"configurationValues":      `{"enableNetworkPolicy":"true"}`,
		"resolveConflictsOnCreate": "OVERWRITE",
		"resolveConflictsOnUpdate": "PRESERVE",
		"serviceAccountRoleArn":    "arn:aws:main-vpc-cni",
	}, cni.Inputs)
	policy := r.Get(t, "aws:iam/rolePolicyAttachment:RolePolicyAttachment", "main-vpc-cni-AmazonEKS_CNI_Policy")
	assert.Equal(t, "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy", policy.Field("policyArn"))
	assert.Contains(t, cni.Depends,
		"urn:pulumi:test::kansoku::kansoku:infra:Cluster$kansoku:infra:WorkloadRole$"+policy.Type+"::"+policy.Name)
	trust := r.Get(t, "aws:iam/role:Role", "main-vpc-cni").Field("assumeRolePolicy")
	assert.Contains(t, trust, `"`+clusterIssuer+`:sub":"system:serviceaccount:kube-system:aws-node"`)

	proxy := r.Get(t, "aws:eks/addon:Addon", "main-kube-proxy")
	assert.Equal(t, map[string]any{
		"clusterName":              "demo",
		"addonName":                "kube-proxy",
		"resolveConflictsOnCreate": "OVERWRITE",
		"resolveConflictsOnUpdate": "PRESERVE",
	}, proxy.Inputs)

	for name, upsert := range map[string]any{"main": nil, "main-crds": true} {
		provider := r.Get(t, "pulumi:providers:kubernetes", name)
		assert.Equal(t, clusterURN, provider.Parent)
		assert.JSONEq(t, kubeconfigWithoutProfile, fmt.Sprint(provider.Field("kubeconfig")))
		assert.Equal(t, "ap-northeast-1/demo", provider.Field("clusterIdentifier"))
		assert.Equal(t, true, provider.Field("enableServerSideApply"))
		assert.Equal(t, upsert, provider.Field("upsertExistingObjects"))
		assert.Equal(t, upsert, provider.Field("enablePatchForce"), "fields of definitions belong to whoever installed them")
		assert.Contains(t, provider.Depends, clusterChild("aws:eks/addon:Addon", "main-vpc-cni"))
		assert.Contains(t, provider.Depends, clusterChild("aws:eks/addon:Addon", "main-kube-proxy"))
	}
}

func TestAClusterWithEverySetting(t *testing.T) {
	t.Parallel()
	const key = "arn:aws:kms:ap-northeast-1:111122223333:key/0a1b"
	r := &mocks.Recorder{EKS: oneCluster}
	r.Run(t, func(ctx *pulumi.Context) error {
		args := newClusterArgs()
		args.Version = "1.35"
		args.PublicAccessCIDRs = []string{"203.0.113.0/24"}
		args.LogTypes = []string{"audit", "api"}
		args.KMSKeyARN = key
		args.Profile = "ops"
		args.Protect = true
		args.Tags = map[string]string{"team": "infra"}
		args.Access = []infra.ClusterAccess{
			{PrincipalARN: opsRole, Policy: "clusterAdmin"},
			{PrincipalARN: opsRole, Policy: "edit", Namespaces: []string{"monitoring"}},
			{PrincipalARN: "arn:aws:iam::111122223333:user/eve"},
		}
		cluster, err := infra.NewCluster(ctx, "main", args)
		if err != nil {
			return err
		}
		config, secret := settled(t, cluster.Kubeconfig)
		assert.JSONEq(t, kubeconfigWithProfile, config)
		assert.True(t, secret)
		assert.Empty(t, args.Access[2].Policy, "the caller's settings must not change")
		return nil
	})

	eks := r.Get(t, "eks:index:Cluster", "main")
	assert.True(t, eks.Protect)
	assert.Equal(t, "1.35", eks.Field("version"))
	assert.Equal(t, key, eks.Field("encryptionConfigKeyArn"))
	assert.Equal(t, []any{"audit", "api"}, eks.Field("enabledClusterLogTypes"))
	assert.Equal(t, []any{"203.0.113.0/24"}, eks.Field("publicAccessCidrs"))
	assert.Equal(t, true, eks.Field("endpointPrivateAccess"))
	assert.Equal(t, true, eks.Field("endpointPublicAccess"))
	assert.NotContains(t, eks.Inputs, "accessEntries", "they would be protected with the cluster")
	assert.Equal(t, map[string]any{"profileName": "ops"}, eks.Field("providerCredentialOpts"))
	assert.Equal(t, map[string]any{"team": "infra"}, eks.Field("tags"))
	assert.Empty(t, r.OfType("aws:kms/key:Key"))
	assert.Empty(t, r.OfType("aws:kms/alias:Alias"))

	entries := r.OfType("aws:eks/accessEntry:AccessEntry")
	require.Len(t, entries, 2, "one per principal")
	ops := r.Get(t, "aws:eks/accessEntry:AccessEntry", "main-access-111122223333/role/teams/ops")
	assert.Equal(t, clusterURN, ops.Parent)
	assert.False(t, ops.Protect)
	assert.Equal(t, map[string]any{"clusterName": "demo", "principalArn": opsRole, "tags": map[string]any{"team": "infra"}}, ops.Inputs)

	for name, want := range map[string]map[string]any{
		"main-access-111122223333/role/teams/ops-clusterAdmin": {
			"clusterName": "demo", "principalArn": opsRole,
			"policyArn":   "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
			"accessScope": map[string]any{"type": "cluster"},
		},
		"main-access-111122223333/role/teams/ops-edit": {
			"clusterName": "demo", "principalArn": opsRole,
			"policyArn":   "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy",
			"accessScope": map[string]any{"type": "namespace", "namespaces": []any{"monitoring"}},
		},
		"main-access-111122223333/user/eve-view": {
			"clusterName": "demo", "principalArn": "arn:aws:iam::111122223333:user/eve",
			"policyArn":   "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy",
			"accessScope": map[string]any{"type": "cluster"},
		},
	} {
		association := r.Get(t, "aws:eks/accessPolicyAssociation:AccessPolicyAssociation", name)
		assert.Equal(t, clusterURN, association.Parent)
		assert.Equal(t, want, association.Inputs)
	}
	association := r.Get(t, "aws:eks/accessPolicyAssociation:AccessPolicyAssociation", "main-access-111122223333/role/teams/ops-edit")
	assert.Contains(t, association.Depends, clusterChild(ops.Type, ops.Name))
}

func TestTheOwnKeyIsProtected(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{EKS: oneCluster}
	r.Run(t, func(ctx *pulumi.Context) error {
		args := newClusterArgs()
		args.Protect = true
		_, err := infra.NewCluster(ctx, "main", args)
		return err
	})
	assert.True(t, r.Get(t, "aws:kms/key:Key", "main-secrets").Protect)
}

// found answers the data source with the cluster demo.
func found(t *testing.T) map[string]func(map[string]any) map[string]any {
	t.Helper()
	return map[string]func(map[string]any) map[string]any{
		"aws:eks/getCluster:getCluster": func(args map[string]any) map[string]any {
			assert.Equal(t, map[string]any{"name": "demo"}, args)
			return oneCluster
		},
	}
}

func TestAnExistingClusterIsRead(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{Calls: found(t)}
	r.Run(t, func(ctx *pulumi.Context) error {
		cluster, err := infra.NewCluster(ctx, "main", &infra.ClusterArgs{
			ClusterSettings: infra.ClusterSettings{Existing: &infra.ExistingCluster{Name: "demo"}},
			Name:            "another-name", Region: "ap-northeast-1",
		})
		if err != nil {
			return err
		}
		name, _ := settled(t, cluster.Name)
		assert.Equal(t, "demo", name)
		endpoint, _ := settled(t, cluster.Endpoint)
		assert.Equal(t, clusterServer, endpoint)
		config, secret := settled(t, cluster.Kubeconfig)
		assert.JSONEq(t, kubeconfigWithoutProfile, config)
		assert.True(t, secret)
		url, _ := settled(t, cluster.Issuer.URL)
		assert.Equal(t, clusterIssuer, url)
		assert.Nil(t, cluster.NodeRole)
		assert.Empty(t, cluster.Networking)
		return nil
	})
	assert.Equal(t, "https://"+clusterIssuer, r.Get(t, "aws:iam/openIdConnectProvider:OpenIdConnectProvider", "main").Field("url"))
	assert.Equal(t, "ap-northeast-1/demo", r.Get(t, "pulumi:providers:kubernetes", "main").Field("clusterIdentifier"))
	assert.Equal(t, "ap-northeast-1/demo", r.Get(t, "pulumi:providers:kubernetes", "main-crds").Field("clusterIdentifier"))
	assert.Len(t, r.All(), 4, "the component, the OIDC provider and two Kubernetes providers: %v", r.All())
}

func TestAnExistingClusterWithItsOIDCProvider(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:iam::111122223333:oidc-provider/" + clusterIssuer
	r := &mocks.Recorder{Calls: found(t)}
	r.Run(t, func(ctx *pulumi.Context) error {
		cluster, err := infra.NewCluster(ctx, "main", &infra.ClusterArgs{
			ClusterSettings: infra.ClusterSettings{Existing: &infra.ExistingCluster{Name: "demo", OIDCProviderARN: arn}},
			Region:          "ap-northeast-1",
		})
		if err != nil {
			return err
		}
		given, _ := settled(t, cluster.Issuer.ARN)
		assert.Equal(t, arn, given)
		url, _ := settled(t, cluster.Issuer.URL)
		assert.Equal(t, clusterIssuer, url)
		return nil
	})
	assert.Empty(t, r.OfType("aws:iam/openIdConnectProvider:OpenIdConnectProvider"))
}

func TestTheOIDCProviderOfAnotherClusterIsRefused(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{Calls: found(t)}
	err := r.RunErr(func(ctx *pulumi.Context) error {
		cluster, err := infra.NewCluster(ctx, "main", &infra.ClusterArgs{
			ClusterSettings: infra.ClusterSettings{Existing: &infra.ExistingCluster{
				Name: "demo", OIDCProviderARN: "arn:aws:iam::111122223333:oidc-provider/other",
			}},
			Region: "ap-northeast-1",
		})
		if err != nil {
			return err
		}
		ctx.Export("url", cluster.Issuer.URL)
		return nil
	})
	require.ErrorContains(t, err, `existing.oidcProviderArn: must be the provider of `+clusterIssuer+
		`, got "arn:aws:iam::111122223333:oidc-provider/other"`)
}

const otherKubeconfig = `
apiVersion: v1
kind: Config
current-context: b
clusters:
- {name: a, cluster: {server: "https://a"}}
- {name: b, cluster: {server: "https://b"}}
contexts:
- {name: a, context: {cluster: a, user: a}}
- {name: b, context: {cluster: b, user: b}}
users:
- {name: b, user: {token: hidden}}
`

func TestAClusterByKubeconfig(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		cluster, err := infra.NewCluster(ctx, "main", &infra.ClusterArgs{Name: "kind", Kubeconfig: pulumi.String(otherKubeconfig)})
		if err != nil {
			return err
		}
		name, _ := settled(t, cluster.Name)
		assert.Equal(t, "kind", name)
		config, secret := settled(t, cluster.Kubeconfig)
		assert.Equal(t, otherKubeconfig, config)
		assert.True(t, secret)
		endpoint, secret := settled(t, cluster.Endpoint)
		assert.Equal(t, "https://b", endpoint)
		assert.False(t, secret)
		assert.Nil(t, cluster.Issuer)
		assert.Nil(t, cluster.NodeRole)
		return nil
	})
	for _, name := range []string{"main", "main-crds"} {
		provider := r.Get(t, "pulumi:providers:kubernetes", name)
		assert.Equal(t, otherKubeconfig, provider.Field("kubeconfig"))
		assert.Equal(t, "kind", provider.Field("clusterIdentifier"))
	}
	assert.Len(t, r.All(), 3)
}

func TestAClusterByContext(t *testing.T) {
	t.Parallel()
	r := &mocks.Recorder{}
	r.Run(t, func(ctx *pulumi.Context) error {
		cluster, err := infra.NewCluster(ctx, "main", &infra.ClusterArgs{
			Name: "demo", ClusterSettings: infra.ClusterSettings{Existing: &infra.ExistingCluster{Context: "kind-demo"}},
		})
		if err != nil {
			return err
		}
		name, _ := settled(t, cluster.Name)
		assert.Equal(t, "demo", name)
		assert.Nil(t, cluster.Issuer)
		return nil
	})
	for _, name := range []string{"main", "main-crds"} {
		provider := r.Get(t, "pulumi:providers:kubernetes", name)
		assert.Equal(t, "kind-demo", provider.Field("context"))
		assert.Equal(t, "demo", provider.Field("clusterIdentifier"))
	}
	assert.Len(t, r.All(), 3, "AWS is not asked")
}

func TestAKubeconfigWithoutServerIsRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ content, want string }{
		"no YAML":    {"\tsecret", "reading the kubeconfig: it is not the content of a kubeconfig file"},
		"no context": {"apiVersion: v1", "reading the kubeconfig: its current context names no cluster with a server"},
		"no cluster": {
			"{current-context: a, contexts: [{name: a, context: {cluster: b}}]}",
			"reading the kubeconfig: its current context names no cluster with a server",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := (&mocks.Recorder{}).RunErr(func(ctx *pulumi.Context) error {
				cluster, err := infra.NewCluster(ctx, "main", &infra.ClusterArgs{Name: "kind", Kubeconfig: pulumi.String(tc.content)})
				if err == nil {
					ctx.Export("endpoint", cluster.Endpoint)
				}
				return err
			})
			require.ErrorContains(t, err, tc.want)
			assert.NotContains(t, err.Error(), "secret")
		})
	}
}

func TestClusterSettingsThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		settings infra.ClusterSettings
		want     string
	}{
		"a version of something else": {
			infra.ClusterSettings{Version: "1.36.2"},
			`version: must be a minor version of Kubernetes such as "1.36", got "1.36.2"`,
		},
		"the whole internet": {
			infra.ClusterSettings{PublicAccessCIDRs: []string{"203.0.113.0/24", "0.0.0.0/0", "::/0", "203.0.113.1/24", "home"}},
			`publicAccessCidrs[1]: must not let the whole internet in, got "0.0.0.0/0"
publicAccessCidrs[2]: must not let the whole internet in, got "::/0"
publicAccessCidrs[3]: must be a CIDR such as "203.0.113.0/24", got "203.0.113.1/24"
publicAccessCidrs[4]: must be a CIDR such as "203.0.113.0/24", got "home"`,
		},
		"logs": {
			infra.ClusterSettings{LogTypes: []string{"api", "kubelet", "api"}},
			`logTypes[1]: must be one of api, audit, authenticator, controllerManager, scheduler, got "kubelet"
logTypes[2]: must be named once, got "api"`,
		},
		"a key by its alias": {
			infra.ClusterSettings{KMSKeyARN: "alias/eks"},
			`kmsKeyArn: must be the ARN of a KMS key, "arn:aws:kms:REGION:ACCOUNT:key/ID", got "alias/eks"`,
		},
		"access": {
			infra.ClusterSettings{Access: []infra.ClusterAccess{
				{PrincipalARN: "arn:aws:sts::111122223333:assumed-role/ops/eve", Policy: "root"},
				{PrincipalARN: opsRole, Policy: "clusterAdmin", Namespaces: []string{"monitoring"}},
				{PrincipalARN: opsRole, Namespaces: []string{"Logs"}},
				{PrincipalARN: opsRole, Policy: "view"},
			}},
			`access[0].principalArn: must be the ARN of an IAM role or user, got "arn:aws:sts::111122223333:assumed-role/ops/eve"
access[0].policy: must be one of admin, clusterAdmin, edit, view, got "root"
access[1].namespaces: must be empty: clusterAdmin holds in the whole cluster, got ["monitoring"]
access[2].namespaces[0]: must be the name of a namespace, got "Logs"
access[3]: must give a principal the policy view once: put its namespaces together, got "` + opsRole + `"`,
		},
		"add-ons": {
			infra.ClusterSettings{AddonVersions: map[string]string{"vpc-cni": "1.20", "adot": "v0.1.0-eksbuild.1"}},
			`addonVersions.adot: is no managed add-on; known are vpc-cni, kube-proxy, coredns, aws-ebs-csi-driver, got "v0.1.0-eksbuild.1"
addonVersions.vpc-cni: must be the version of an EKS add-on, such as "v1.20.4-eksbuild.1", got "1.20"`,
		},
		"an existing cluster with settings of a new one": {
			infra.ClusterSettings{
				Version: "1.36", PublicAccessCIDRs: []string{"203.0.113.0/24"}, LogTypes: []string{"api"},
				KMSKeyARN: "arn:aws:kms:eu-west-1:111122223333:key/a",
				Access:    []infra.ClusterAccess{{PrincipalARN: opsRole}},
				Existing:  &infra.ExistingCluster{Name: "-", OIDCProviderARN: "arn:aws:iam::111122223333:role/a"},
			},
			`version: must not be set: an existing cluster is read, not changed, got "1.36"
publicAccessCidrs: must not be set: an existing cluster is read, not changed, got ["203.0.113.0/24"]
logTypes: must not be set: an existing cluster is read, not changed, got ["api"]
access: must not be set: an existing cluster is read, not changed, ` +
				`got [{"PrincipalARN":"` + opsRole + `","Policy":"view","Namespaces":null}]
kmsKeyArn: must not be set: an existing cluster is read, not changed, got "arn:aws:kms:eu-west-1:111122223333:key/a"
existing.name: must be the name of an EKS cluster, or existing.context be set, got "-"
existing.oidcProviderArn: must be the ARN of an IAM OIDC provider, got "arn:aws:iam::111122223333:role/a"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.EqualError(t, tc.settings.WithDefaults().Validate(), tc.want)
		})
	}
}

func TestClusterSettingsThatHold(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]infra.ClusterSettings{
		"none":     {},
		"existing": {Existing: &infra.ExistingCluster{Name: "demo"}},
		"all": {
			Version: "1.34", PublicAccessCIDRs: []string{"203.0.113.7/32", "2001:db8::/32"},
			LogTypes:  []string{"api", "audit", "authenticator", "controllerManager", "scheduler"},
			KMSKeyARN: "arn:aws-cn:kms:cn-north-1:111122223333:key/mrk-0a",
			Access:    []infra.ClusterAccess{{PrincipalARN: opsRole, Policy: "admin", Namespaces: []string{"logs"}}, {PrincipalARN: opsRole}},
			AddonVersions: map[string]string{
				"coredns": "v1.12.4-eksbuild.10", "aws-ebs-csi-driver": "v1.48.0-eksbuild.2", "kube-proxy": "v1.34.0-eksbuild.4",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			full := settings.WithDefaults()
			require.NoError(t, full.Validate())
			assert.Equal(t, full, full.WithDefaults(), "defaults must not change defaults")
		})
	}
}

func TestClusterArgsThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		args *infra.ClusterArgs
		want string
	}{
		"none": {nil, "creating the cluster main: args: must be given"},
		"empty": {&infra.ClusterArgs{}, `creating the cluster main: name: must be letters, digits, dashes and underscores, at most 100, got ""
region: must be set, got ""
vpcId: must be given for a new cluster, got null
privateSubnets: must be in at least two zones, got 0`},
		"settings first": {
			&infra.ClusterArgs{
				ClusterSettings: infra.ClusterSettings{Version: "2"}, Name: "demo", VPCID: pulumi.String("vpc-1"), PrivateSubnets: twoSubnets(),
			},
			`creating the cluster main: version: must be a minor version of Kubernetes such as "1.36", got "2"
region: must be set, got ""`,
		},
		"a kubeconfig beside others": {
			&infra.ClusterArgs{
				ClusterSettings: infra.ClusterSettings{LogTypes: []string{"api"}}, Name: "kind", Kubeconfig: pulumi.String(otherKubeconfig),
			},
			`creating the cluster main: logTypes: must not be set: an existing cluster is read, not changed, got ["api"]`,
		},
		"two ways to an existing cluster": {
			&infra.ClusterArgs{
				ClusterSettings: infra.ClusterSettings{Existing: &infra.ExistingCluster{Name: "demo"}}, Kubeconfig: pulumi.String(otherKubeconfig),
			},
			`creating the cluster main: existing: must not be set beside a kubeconfig, got {"Name":"demo","Context":"","OIDCProviderARN":"","InstallAddons":null}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &mocks.Recorder{EKS: oneCluster}
			err := r.RunErr(func(ctx *pulumi.Context) error {
				_, err := infra.NewCluster(ctx, "main", tc.args)
				require.EqualError(t, err, tc.want)
				return nil
			})
			require.NoError(t, err)
			assert.Len(t, r.All(), 1, "nothing but the mock's own cluster may be registered")
		})
	}
}
