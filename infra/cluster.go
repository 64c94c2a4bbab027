package infra

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	awseks "github.com/pulumi/pulumi-aws/sdk/v6/go/aws/eks"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/kms"
	"github.com/pulumi/pulumi-eks/sdk/v2/go/eks"
	kubernetes "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/internal/check"
)

// clusterToken is part of the URN of every child and must never change: the cluster would be replaced.
const clusterToken = "kansoku:infra:Cluster"

// keyDeletionWindow is how long a deleted key can still be brought back, in days: the longest that KMS knows.
const keyDeletionWindow = 30

// ClusterSettings describes an EKS cluster that is created, or names one that exists.
type ClusterSettings struct {
	// Version of Kubernetes, as "1.NN". Raise it by one minor version at a time. Default: versions.Kubernetes.
	Version string `pulumi:"version,optional"`
	// PublicAccessCIDRs may reach the API server from the internet; the whole internet is refused. Default: none, the endpoint is
	// reached from the VPC only.
	PublicAccessCIDRs []string `pulumi:"publicAccessCidrs,optional"`
	// LogTypes of the control plane that go to CloudWatch Logs, which charges for them: api, audit, authenticator, controllerManager,
	// scheduler. Default: none.
	LogTypes []string `pulumi:"logTypes,optional"`
	// Access to the cluster's API for IAM principals. Whoever creates the cluster is its administrator. Default: nobody else.
	Access []ClusterAccess `pulumi:"access,optional"`
	// KMSKeyARN of the key that encrypts Kubernetes Secrets. It can never be changed. Default: a key of our own.
	KMSKeyARN string `pulumi:"kmsKeyArn,optional"`
	// AddonVersions by name of the EKS add-on (vpc-cni, kube-proxy, coredns, aws-ebs-csi-driver), as "v1.20.4-eksbuild.1". Default: what
	// AWS has as the default for the cluster's version at the time of creation.
	AddonVersions map[string]string `pulumi:"addonVersions,optional"`
	// Existing cluster that is read from AWS and not changed. Default: a cluster is created.
	Existing *ExistingCluster `pulumi:"existing,optional"`
}

// ClusterAccess lets one IAM principal in.
type ClusterAccess struct {
	// PrincipalARN of an IAM role or user. Required.
	PrincipalARN string `pulumi:"principalArn"`
	// Policy is one of EKS' access policies: admin, clusterAdmin, edit, view. Default: view.
	Policy string `pulumi:"policy,optional"`
	// Namespaces that the policy holds in; clusterAdmin has none. Default: all.
	Namespaces []string `pulumi:"namespaces,optional"`
}

// ExistingCluster is a cluster that somebody else made: an EKS cluster by its name, or any other by the context of a kubeconfig.
type ExistingCluster struct {
	// Name of the EKS cluster.
	Name string `pulumi:"name,optional"`
	// Context of the kubeconfig that whoever runs Pulumi has ($KUBECONFIG, or ~/.kube/config): "kind-kansoku". In place of Name.
	Context string `pulumi:"context,optional"`
	// OIDCProviderARN of the IAM identity provider for the cluster's issuer; an account has at most one. Default: it is created.
	OIDCProviderARN string `pulumi:"oidcProviderArn,optional"`
	// InstallAddons are EKS add-ons that come with nodes of our own: coredns, aws-ebs-csi-driver (and with it the StorageClass gp3). What the
	// cluster has of them is overwritten. Default: none; the cluster has them.
	InstallAddons []string `pulumi:"installAddons,optional"`
}

var (
	clusterVersionPattern = regexp.MustCompile(`^1\.[0-9]{2}$`)
	principalPattern      = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[\w+=,.@/-]+$`)
	oidcProviderPattern   = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:oidc-provider/[0-9A-Za-z._/-]+$`)
)

// accessPolicies are the names that EKS gives its access policies.
var accessPolicies = map[string]string{
	"admin":        "AmazonEKSAdminPolicy",
	"clusterAdmin": "AmazonEKSClusterAdminPolicy",
	"edit":         "AmazonEKSEditPolicy",
	"view":         "AmazonEKSViewPolicy",
}

// WithDefaults fills what is not set.
func (s ClusterSettings) WithDefaults() ClusterSettings {
	if s.Version == "" && s.Existing == nil {
		s.Version = versions.Kubernetes
	}
	s.Access = slices.Clone(s.Access)
	for i := range s.Access {
		if s.Access[i].Policy == "" {
			s.Access[i].Policy = "view"
		}
	}
	return s
}

// Validate reports everything that is wrong with settings that have their defaults.
func (s ClusterSettings) Validate() error {
	var errs check.Errors
	if s.Existing != nil {
		errs.Require(s.Version == "", "version", s.Version, notOurs)
		s.requireNoneOfOurs(&errs)
		errs.Require(s.Existing.Context != "" || clusterNamePattern.MatchString(s.Existing.Name), "existing.name", s.Existing.Name,
			"must be the name of an EKS cluster, or existing.context be set")
		errs.Require(s.Existing.Context == "" || s.Existing.Name == "", "existing.name", s.Existing.Name, "must not be set beside existing.context")
		errs.Require(s.Existing.Context == "" || s.Existing.OIDCProviderARN == "", "existing.oidcProviderArn", s.Existing.OIDCProviderARN,
			"must not be set beside existing.context")
		errs.Require(s.Existing.OIDCProviderARN == "" || oidcProviderPattern.MatchString(s.Existing.OIDCProviderARN),
			"existing.oidcProviderArn", s.Existing.OIDCProviderARN, "must be the ARN of an IAM OIDC provider")
		for i, addon := range s.Existing.InstallAddons {
			key := fmt.Sprintf("existing.installAddons[%d]", i)
			check.OneOf(&errs, key, addon, addonCoreDNS, addonEBSCSI)
			errs.Require(!slices.Contains(s.Existing.InstallAddons[:i], addon), key, addon, "must be named once")
		}
		errs.Require(s.Existing.Context == "" || len(s.Existing.InstallAddons) == 0, "existing.installAddons", s.Existing.InstallAddons,
			"must not be set beside existing.context")
	} else {
		errs.Require(clusterVersionPattern.MatchString(s.Version), "version", s.Version, `must be a minor version of Kubernetes such as "1.36"`)
	}
	for i, cidr := range s.PublicAccessCIDRs {
		key := fmt.Sprintf("publicAccessCidrs[%d]", i)
		prefix, err := netip.ParsePrefix(cidr)
		errs.Require(err == nil && prefix == prefix.Masked(), key, cidr, `must be a CIDR such as "203.0.113.0/24"`)
		errs.Require(err != nil || prefix.Bits() > 0, key, cidr, "must not let the whole internet in")
	}
	for i, kind := range s.LogTypes {
		key := fmt.Sprintf("logTypes[%d]", i)
		check.OneOf(&errs, key, kind, "api", "audit", "authenticator", "controllerManager", "scheduler")
		errs.Require(!slices.Contains(s.LogTypes[:i], kind), key, kind, "must be named once")
	}
	validateKMSKey(&errs, "kmsKeyArn", s.KMSKeyARN)
	s.validateAccess(&errs)
	validateAddonVersions(&errs, "addonVersions", s.AddonVersions)
	return errs.Err()
}

func (s ClusterSettings) validateAccess(errs *check.Errors) {
	type grant struct{ principal, policy string }
	seen := map[grant]bool{}
	for i, access := range s.Access {
		key := fmt.Sprintf("access[%d]", i)
		errs.Require(principalPattern.MatchString(access.PrincipalARN), key+".principalArn", access.PrincipalARN,
			"must be the ARN of an IAM role or user")
		check.OneOf(errs, key+".policy", access.Policy, "admin", "clusterAdmin", "edit", "view")
		errs.Require(access.Policy != "clusterAdmin" || len(access.Namespaces) == 0, key+".namespaces", access.Namespaces,
			"must be empty: clusterAdmin holds in the whole cluster")
		for j, namespace := range access.Namespaces {
			errs.Require(kube.IsDNSLabel(namespace), fmt.Sprintf("%s.namespaces[%d]", key, j), namespace, "must be the name of a namespace")
		}
		this := grant{access.PrincipalARN, access.Policy}
		errs.Require(!seen[this], key, access.PrincipalARN,
			"must give a principal the policy %s once: put its namespaces together", access.Policy)
		seen[this] = true
	}
}

const notOurs = "must not be set: an existing cluster is read, not changed"

// requireNoneOfOurs refuses what only a cluster of our own can have.
func (s ClusterSettings) requireNoneOfOurs(errs *check.Errors) {
	errs.Require(len(s.PublicAccessCIDRs) == 0, "publicAccessCidrs", s.PublicAccessCIDRs, notOurs)
	errs.Require(len(s.LogTypes) == 0, "logTypes", s.LogTypes, notOurs)
	errs.Require(len(s.Access) == 0, "access", s.Access, notOurs)
	errs.Require(s.KMSKeyARN == "", "kmsKeyArn", s.KMSKeyARN, notOurs)
}

// ClusterArgs describes a cluster and where it goes.
type ClusterArgs struct {
	ClusterSettings

	// Name of the cluster in AWS; for a cluster known by kubeconfig, any stable name. Of an existing one read from AWS,
	// Existing.Name counts. With the region it identifies the cluster to Pulumi: a change of it replaces every Kubernetes object.
	Name string
	// Region of the cluster. Required, except with Kubeconfig or Existing.Context.
	Region string
	// Profile of the AWS CLI that the kubeconfig names. Default: none, the environment's credentials count.
	Profile string
	// Partition of AWS. Default: "aws".
	Partition string
	// VPCID that a new cluster is created in. Required for one.
	VPCID pulumi.StringInput
	// PrivateSubnets for the control plane's network interfaces, in at least two zones. Required for a new cluster.
	PrivateSubnets []Subnet
	// Kubeconfig (its content, not a path) of an existing cluster that is not read from AWS; such a cluster has no issuer.
	Kubeconfig pulumi.StringInput
	// Protect guards cluster and key against deletion. Default: false.
	Protect bool
	// Tags of everything in AWS that is created. Default: none beside the provider's default tags.
	Tags map[string]string
}

func (a *ClusterArgs) validate() error {
	var errs check.Errors
	adopted := a.Existing != nil || a.Kubeconfig != nil
	errs.Require(clusterNamePattern.MatchString(a.Name), "name", a.Name, "must be letters, digits, dashes and underscores, at most 100")
	errs.Require(a.Region != "" || a.Kubeconfig != nil || a.context() != "", "region", a.Region, "must be set")
	if a.Kubeconfig != nil {
		errs.Require(a.Existing == nil, "existing", a.Existing, "must not be set beside a kubeconfig")
		a.requireNoneOfOurs(&errs)
	}
	if !adopted {
		errs.Require(a.VPCID != nil, "vpcId", nil, "must be given for a new cluster")
		zones := map[string]bool{}
		for _, subnet := range a.PrivateSubnets {
			zones[subnet.Zone] = true
		}
		errs.Require(len(zones) >= 2, "privateSubnets", len(zones), "must be in at least two zones")
	}
	return errors.Join(a.Validate(), errs.Err())
}

// context is that of the kubeconfig in which an existing cluster is found; "" if none.
func (a *ClusterArgs) context() string {
	if a.Existing == nil {
		return ""
	}
	return a.Existing.Context
}

// identifier is what tells the Kubernetes providers that the cluster is still the same one.
func (a *ClusterArgs) identifier() string {
	if a.Region == "" {
		return a.Name
	}
	return a.Region + "/" + a.Name
}

// Cluster is an EKS cluster, or one that exists, and the way into it.
type Cluster struct {
	pulumi.ResourceState

	// Name of the cluster. It waits for the cluster.
	Name pulumi.StringOutput
	// Endpoint is the URL of the API server.
	Endpoint pulumi.StringOutput
	// Kubeconfig with one context. A secret. Empty for a cluster that is found by context.
	Kubeconfig pulumi.StringOutput
	// Issuer of the service accounts' tokens, for their roles to trust; nil for a cluster known by kubeconfig.
	Issuer *Issuer
	// NodeRole is the role of a new cluster's nodes; nil for an existing one.
	NodeRole *iam.Role
	// Provider of the objects in the cluster.
	Provider *kubernetes.Provider
	// CRDProvider takes over objects that are there already. For CRDs, which outlive the stack; nothing else should use it.
	CRDProvider *kubernetes.Provider
	// Networking is what nodes have to wait for: the vpc-cni and kube-proxy add-ons and the policies of the node role. Empty for an
	// existing cluster.
	Networking []pulumi.Resource
}

// NewCluster creates a cluster, reads an existing one from AWS, or takes one by its kubeconfig.
func NewCluster(ctx *pulumi.Context, name string, args *ClusterArgs, opts ...pulumi.ResourceOption) (*Cluster, error) {
	if args == nil {
		return nil, fmt.Errorf("creating the cluster %s: %w", name, errors.New("args: must be given"))
	}
	a := *args
	a.ClusterSettings = a.WithDefaults()
	if a.Existing != nil && a.context() == "" {
		a.Name = a.Existing.Name
	}
	if a.Partition == "" {
		a.Partition = defaultPartition
	}
	if err := a.validate(); err != nil {
		return nil, fmt.Errorf("creating the cluster %s: %w", name, err)
	}
	component := &Cluster{}
	if err := ctx.RegisterComponentResource(clusterToken, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering the cluster %s: %w", name, err)
	}
	build := component.create
	switch {
	case a.Kubeconfig != nil:
		build = component.takeKubeconfig
	case a.context() != "":
		build = component.takeContext
	case a.Existing != nil:
		build = component.read
	}
	if err := build(ctx, name, &a); err != nil {
		return nil, err
	}
	if err := component.newProviders(ctx, name, &a); err != nil {
		return nil, err
	}
	err := ctx.RegisterResourceOutputs(component, pulumi.Map{
		"name": component.Name, "endpoint": component.Endpoint, "kubeconfig": component.Kubeconfig,
	})
	return component, err
}

var errIncomplete = errors.New("reading the cluster: it has no issuer or certificate authority yet")

// create makes a new cluster with what belongs to it. Everything about it is read from the AWS resource inside the remote component;
// the component's own outputs hold more than its Go types can take.
func (c *Cluster) create(ctx *pulumi.Context, name string, args *ClusterArgs) error {
	role, policies, err := newNodeRole(ctx, name+"-node", args.Partition, nodePolicies, args.Tags, pulumi.Parent(c))
	if err != nil {
		return err
	}
	c.NodeRole = role
	key, err := c.secretsKey(ctx, name, args)
	if err != nil {
		return err
	}
	cluster, err := c.newEKS(ctx, name, args, key)
	if err != nil {
		return err
	}
	found := cluster.EksCluster
	c.Name, c.Endpoint = found.Name(), found.Endpoint()
	c.kubeconfig(args, found.CertificateAuthority().Data().Elem())
	issuer := found.Identities().ApplyT(func(identities []awseks.ClusterIdentity) (string, error) {
		for _, identity := range identities {
			for _, oidc := range identity.Oidcs {
				if oidc.Issuer != nil {
					return *oidc.Issuer, nil
				}
			}
		}
		return "", errIncomplete // its creation was cut off; the next up completes it
	}).(pulumi.StringOutput)
	if err := c.newIssuer(ctx, name, issuer, args.Tags); err != nil {
		return err
	}
	if err := c.grantAccess(ctx, name, args); err != nil {
		return err
	}
	if err := c.newNetworking(ctx, name, args); err != nil {
		return err
	}
	c.Networking = append(c.Networking, policies...)
	return nil
}

func (c *Cluster) newEKS(ctx *pulumi.Context, name string, args *ClusterArgs, key pulumi.StringInput) (*eks.Cluster, error) {
	subnets := pulumi.StringArray{}
	for _, subnet := range args.PrivateSubnets {
		subnets = append(subnets, subnet.ID)
	}
	mode, yes := eks.AuthenticationModeApi, true
	settings := &eks.ClusterArgs{
		Name:               pulumi.String(args.Name),
		Version:            pulumi.String(args.Version),
		AuthenticationMode: &mode,
		VpcId:              args.VPCID.ToStringOutput(),
		PrivateSubnetIds:   subnets,
		// Our own node groups and role: the default ones run an operating system that EKS no longer publishes.
		SkipDefaultNodeGroup: &yes,
		InstanceRole:         c.NodeRole,
		// The network plugin is an add-on: the component's own resource for it runs kubectl.
		UseDefaultVpcCni: &yes,
		// Our own OIDC provider: the component's opens a TLS connection to AWS, even in a preview.
		CreateOidcProvider:     pulumi.Bool(false),
		EncryptionConfigKeyArn: key.ToStringOutput(),
		EndpointPrivateAccess:  pulumi.Bool(true),
		// Public, the component waits in an up for the endpoint's health check: five minutes where the CIDRs do not let Pulumi in.
		EndpointPublicAccess: pulumi.Bool(len(args.PublicAccessCIDRs) > 0),
		Tags:                 optionalMap(args.Tags),
	}
	if args.Profile != "" {
		settings.ProviderCredentialOpts = &eks.KubeconfigOptionsArgs{ProfileName: pulumi.String(args.Profile)}
	}
	if len(args.LogTypes) > 0 {
		settings.EnabledClusterLogTypes = pulumi.ToStringArray(args.LogTypes)
	}
	if len(args.PublicAccessCIDRs) > 0 {
		settings.PublicAccessCidrs = pulumi.ToStringArray(args.PublicAccessCIDRs)
	}
	cluster, err := eks.NewCluster(ctx, name, settings, pulumi.Parent(c), pulumi.Protect(args.Protect))
	if err != nil {
		return nil, fmt.Errorf("creating the EKS cluster %s: %w", args.Name, err)
	}
	return cluster, nil
}

// secretsKey is the ARN of the key that encrypts Kubernetes Secrets: the given one, or one of our own.
func (c *Cluster) secretsKey(ctx *pulumi.Context, name string, args *ClusterArgs) (pulumi.StringInput, error) {
	if args.KMSKeyARN != "" {
		return pulumi.String(args.KMSKeyARN), nil
	}
	key, err := kms.NewKey(ctx, name+"-secrets", &kms.KeyArgs{
		Description:          pulumi.String("Kubernetes Secrets of the EKS cluster " + args.Name),
		EnableKeyRotation:    pulumi.Bool(true),
		DeletionWindowInDays: pulumi.Int(keyDeletionWindow),
		Tags:                 optionalMap(args.Tags),
	}, pulumi.Parent(c), pulumi.Protect(args.Protect))
	if err != nil {
		return nil, fmt.Errorf("creating the key of cluster %s: %w", args.Name, err)
	}
	_, err = kms.NewAlias(ctx, name+"-secrets", &kms.AliasArgs{
		Name:        pulumi.String("alias/" + args.Name + "-secrets"),
		TargetKeyId: key.KeyId,
	}, pulumi.Parent(c))
	if err != nil {
		return nil, fmt.Errorf("naming the key of cluster %s: %w", args.Name, err)
	}
	return key.Arn, nil
}

// newIssuer makes IAM trust the cluster's tokens. AWS knows the thumbprint of its own issuers.
func (c *Cluster) newIssuer(ctx *pulumi.Context, name string, issuer pulumi.StringOutput, tags map[string]string) error {
	provider, err := iam.NewOpenIdConnectProvider(ctx, name, &iam.OpenIdConnectProviderArgs{
		Url:           issuer,
		ClientIdLists: pulumi.ToStringArray([]string{"sts.amazonaws.com"}),
		Tags:          optionalMap(tags),
	}, pulumi.Parent(c))
	if err != nil {
		return fmt.Errorf("creating the OIDC provider of cluster %s: %w", name, err)
	}
	c.Issuer = &Issuer{ARN: provider.Arn, URL: withoutScheme(issuer)}
	return nil
}

func withoutScheme(url pulumi.StringOutput) pulumi.StringOutput {
	return url.ApplyT(func(u string) string { return strings.TrimPrefix(u, "https://") }).(pulumi.StringOutput)
}

// grantAccess lets the given principals in: one entry per principal, one association per policy. They are no children of the remote
// component because those are protected with the cluster, and access must be possible to take away.
func (c *Cluster) grantAccess(ctx *pulumi.Context, name string, args *ClusterArgs) error {
	entries := map[string]*awseks.AccessEntry{}
	for _, access := range args.Access {
		_, principal, _ := strings.Cut(access.PrincipalARN, ":iam::")
		at := name + "-access-" + strings.Replace(principal, ":", "/", 1)
		entry := entries[access.PrincipalARN]
		if entry == nil {
			var err error
			entry, err = awseks.NewAccessEntry(ctx, at, &awseks.AccessEntryArgs{
				ClusterName:  c.Name,
				PrincipalArn: pulumi.String(access.PrincipalARN),
				Tags:         optionalMap(args.Tags),
			}, pulumi.Parent(c))
			if err != nil {
				return fmt.Errorf("creating the access entry of %s: %w", access.PrincipalARN, err)
			}
			entries[access.PrincipalARN] = entry
		}
		scope := &awseks.AccessPolicyAssociationAccessScopeArgs{Type: pulumi.String("cluster")}
		if len(access.Namespaces) > 0 {
			scope.Type, scope.Namespaces = pulumi.String("namespace"), pulumi.ToStringArray(access.Namespaces)
		}
		_, err := awseks.NewAccessPolicyAssociation(ctx, at+"-"+access.Policy, &awseks.AccessPolicyAssociationArgs{
			ClusterName:  c.Name,
			PrincipalArn: pulumi.String(access.PrincipalARN),
			PolicyArn:    pulumi.Sprintf("arn:%s:eks::aws:cluster-access-policy/%s", args.Partition, accessPolicies[access.Policy]),
			AccessScope:  scope,
		}, pulumi.Parent(c), pulumi.DependsOn([]pulumi.Resource{entry}))
		if err != nil {
			return fmt.Errorf("granting %s to %s: %w", access.Policy, access.PrincipalARN, err)
		}
	}
	return nil
}

// newNetworking installs the add-ons without which a node never becomes ready. The plugin has a role of its own, so that the nodes
// need no rights on network interfaces.
func (c *Cluster) newNetworking(ctx *pulumi.Context, name string, args *ClusterArgs) error {
	role, err := NewWorkloadRole(ctx, name+"-"+addonVPCCNI, &WorkloadRoleArgs{
		Issuer:          *c.Issuer,
		ServiceAccount:  kube.ServiceAccount{Namespace: "kube-system", Name: "aws-node"},
		ManagedPolicies: []string{"AmazonEKS_CNI_Policy"},
		Partition:       args.Partition,
	}, pulumi.Parent(c))
	if err != nil {
		return err
	}
	for _, a := range []addon{
		{name: addonVPCCNI, configuration: `{"enableNetworkPolicy":"true"}`, role: role},
		{name: addonKubeProxy},
	} {
		a.version, a.tags = args.AddonVersions[a.name], args.Tags
		created, err := a.create(ctx, name+"-"+a.name, c.Name, pulumi.Parent(c))
		if err != nil {
			return err
		}
		c.Networking = append(c.Networking, created)
	}
	return nil
}

// read takes an existing cluster from AWS.
func (c *Cluster) read(ctx *pulumi.Context, name string, args *ClusterArgs) error {
	found := awseks.LookupClusterOutput(ctx, awseks.LookupClusterOutputArgs{Name: pulumi.String(args.Existing.Name)}, pulumi.Parent(c))
	c.Name, c.Endpoint = found.Name(), found.Endpoint()
	c.kubeconfig(args, found.CertificateAuthorities().ApplyT(func(authorities []awseks.GetClusterCertificateAuthority) (string, error) {
		if len(authorities) == 0 {
			return "", errIncomplete
		}
		return authorities[0].Data, nil
	}).(pulumi.StringOutput))
	issuer := found.Identities().ApplyT(func(identities []awseks.GetClusterIdentity) (string, error) {
		if len(identities) == 0 || len(identities[0].Oidcs) == 0 {
			return "", errIncomplete
		}
		return identities[0].Oidcs[0].Issuer, nil
	}).(pulumi.StringOutput)
	arn := args.Existing.OIDCProviderARN
	if arn == "" {
		return c.newIssuer(ctx, name, issuer, args.Tags)
	}
	url := withoutScheme(issuer).ApplyT(func(url string) (string, error) {
		if !strings.HasSuffix(arn, ":oidc-provider/"+url) {
			return "", fmt.Errorf("reading the cluster %s: existing.oidcProviderArn: must be the provider of %s, got %q", args.Name, url, arn)
		}
		return url, nil
	}).(pulumi.StringOutput)
	c.Issuer = &Issuer{ARN: pulumi.String(arn).ToStringOutput(), URL: url}
	return nil
}

// takeKubeconfig takes a cluster that AWS is not asked about.
func (c *Cluster) takeKubeconfig(_ *pulumi.Context, _ string, args *ClusterArgs) error {
	content := args.Kubeconfig.ToStringOutput()
	c.Name = pulumi.String(args.Name).ToStringOutput()
	c.Kubeconfig = pulumi.ToSecret(content).(pulumi.StringOutput)
	c.Endpoint = pulumi.Unsecret(content.ApplyT(kubeconfigEndpoint)).(pulumi.StringOutput)
	return nil
}

// takeContext takes a cluster that only the kubeconfig of whoever runs Pulumi knows.
func (c *Cluster) takeContext(_ *pulumi.Context, _ string, args *ClusterArgs) error {
	c.Name = pulumi.String(args.Name).ToStringOutput()
	c.Kubeconfig, c.Endpoint = pulumi.String("").ToStringOutput(), pulumi.String("").ToStringOutput()
	return nil
}

// kubeconfig renders the way into a cluster that AWS knows.
func (c *Cluster) kubeconfig(args *ClusterArgs, ca pulumi.StringOutput) {
	c.Kubeconfig = pulumi.ToSecret(pulumi.All(c.Name, c.Endpoint, ca).ApplyT(func(found []any) (string, error) {
		return eksAccess{
			name: found[0].(string), endpoint: found[1].(string), ca: found[2].(string), region: args.Region, profile: args.Profile,
		}.kubeconfig()
	})).(pulumi.StringOutput)
}

// newProviders makes the two Kubernetes providers. Only a change of the identifier replaces them: a kubeconfig that a preview does not
// know yet would otherwise show every object in the cluster as replaced. They wait for the add-ons: the API server's name was seen not
// to resolve for a while after the cluster is reported as active, and pods need those add-ons anyway.
func (c *Cluster) newProviders(ctx *pulumi.Context, name string, args *ClusterArgs) error {
	provider := func(name string, upsert bool) (*kubernetes.Provider, error) {
		settings := &kubernetes.ProviderArgs{
			ClusterIdentifier:     pulumi.String(args.identifier()),
			EnableServerSideApply: pulumi.Bool(true),
		}
		if args.context() != "" {
			settings.Context = pulumi.String(args.context())
		} else {
			settings.Kubeconfig = c.Kubeconfig
		}
		if upsert {
			settings.UpsertExistingObjects = pulumi.Bool(true)
			// Whoever installed them before owns their fields: Helm, kubectl, an earlier stack.
			settings.EnablePatchForce = pulumi.Bool(true)
		}
		made, err := kubernetes.NewProvider(ctx, name, settings, pulumi.Parent(c), pulumi.DependsOn(c.Networking))
		if err != nil {
			return nil, fmt.Errorf("creating the Kubernetes provider %s: %w", name, err)
		}
		return made, nil
	}
	var err error
	if c.Provider, err = provider(name, false); err != nil {
		return err
	}
	c.CRDProvider, err = provider(name+"-crds", true)
	return err
}

// nodePolicies is what a node needs: to register itself and to pull from ECR, where the add-ons' images are. Nobody logs in to nodes,
// so there is no Session Manager.
var nodePolicies = []string{"AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"}

// newNodeRole makes a role for nodes, and returns the attachments of its policies beside it.
func newNodeRole(ctx *pulumi.Context, name, partition string, policies []string, tags map[string]string, opts ...pulumi.ResourceOption,
) (*iam.Role, []pulumi.Resource, error) {
	trust, err := json.Marshal(map[string]any{
		"Version": "2012-10-17",
		"Statement": []any{map[string]any{
			"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": map[string]any{"Service": "ec2.amazonaws.com"},
		}},
	})
	if err != nil {
		return nil, nil, fmt.Errorf("rendering the trust of %s: %w", name, err)
	}
	role, err := iam.NewRole(ctx, name, &iam.RoleArgs{
		Description:      pulumi.String("EKS nodes"),
		AssumeRolePolicy: pulumi.String(trust),
		Tags:             optionalMap(tags),
	}, opts...)
	if err != nil {
		return nil, nil, fmt.Errorf("creating the role %s: %w", name, err)
	}
	var attachments []pulumi.Resource
	for _, policy := range policies {
		attachment, err := iam.NewRolePolicyAttachment(ctx, name+"-"+policy, &iam.RolePolicyAttachmentArgs{
			Role:      role.Name,
			PolicyArn: pulumi.Sprintf("arn:%s:iam::aws:policy/%s", partition, policy),
		}, opts...)
		if err != nil {
			return nil, nil, fmt.Errorf("attaching %s to %s: %w", policy, name, err)
		}
		attachments = append(attachments, attachment)
	}
	return role, attachments, nil
}
