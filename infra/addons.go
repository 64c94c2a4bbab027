package infra

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	awseks "github.com/pulumi/pulumi-aws/sdk/v6/go/aws/eks"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	storagev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/storage/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/internal/check"
)

// addonsToken is part of the URN of every child and must never change: all of them would be replaced.
const addonsToken = "kansoku:infra:Addons"

// The EKS add-ons that Kansoku manages, by the names that AWS gives them.
const (
	addonVPCCNI    = "vpc-cni"
	addonKubeProxy = "kube-proxy"
	addonCoreDNS   = "coredns"
	addonEBSCSI    = "aws-ebs-csi-driver"
)

// StorageClass is the name of the class that NewAddons creates: encrypted gp3 volumes.
const StorageClass = "gp3"

var errNoIssuer = errors.New("cluster: must be given, with an issuer: the EBS driver needs a role")

var addonVersion = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+-eksbuild\.[0-9]+$`)

// validateAddonVersions checks versions by add-on, below key.
func validateAddonVersions(errs *check.Errors, key string, versions map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(versions)) {
		at := key + "." + name
		switch name {
		case addonVPCCNI, addonKubeProxy, addonCoreDNS, addonEBSCSI:
			errs.Require(addonVersion.MatchString(versions[name]), at, versions[name],
				`must be the version of an EKS add-on, such as "v1.20.4-eksbuild.1"`)
		default:
			errs.Require(false, at, versions[name], "is no managed add-on; known are %s, %s, %s, %s",
				addonVPCCNI, addonKubeProxy, addonCoreDNS, addonEBSCSI)
		}
	}
}

// addon is one EKS add-on.
type addon struct {
	name          string
	version       string // empty: what AWS has as the default for the cluster's version
	configuration string // JSON; empty: none
	role          *WorkloadRole
	tags          map[string]string
}

// create installs the add-on. What it finds in a new cluster (EKS brings unmanaged copies of some) it takes over; what people
// changed since then it leaves.
func (a addon) create(ctx *pulumi.Context, name string, cluster pulumi.StringInput, opts ...pulumi.ResourceOption) (*awseks.Addon, error) {
	args := &awseks.AddonArgs{
		ClusterName:              cluster,
		AddonName:                pulumi.String(a.name),
		AddonVersion:             optionalString(a.version),
		ConfigurationValues:      optionalString(a.configuration),
		ResolveConflictsOnCreate: pulumi.String("OVERWRITE"),
		ResolveConflictsOnUpdate: pulumi.String("PRESERVE"),
		Tags:                     optionalMap(a.tags),
	}
	if a.role != nil {
		args.ServiceAccountRoleArn = a.role.ARN
		// The ARN alone would not wait for the policies: the pods would start without their rights.
		opts = append(opts, pulumi.DependsOn(a.role.Policies))
	}
	created, err := awseks.NewAddon(ctx, name, args, opts...)
	if err != nil {
		return nil, fmt.Errorf("creating the add-on %s: %w", a.name, err)
	}
	return created, nil
}

// optionalString is nil, which leaves the field out, for an empty string.
func optionalString(s string) pulumi.StringPtrInput {
	if s == "" {
		return nil
	}
	return pulumi.String(s)
}

// optionalMap is nil, which leaves the field out, for an empty map.
func optionalMap(m map[string]string) pulumi.StringMapInput {
	if len(m) == 0 {
		return nil
	}
	return pulumi.ToStringMap(m)
}

// AddonsArgs describes the add-ons that need nodes.
type AddonsArgs struct {
	// Cluster that they run on. Required, with an issuer.
	Cluster *Cluster
	// Nodes without the spot taint, which CoreDNS and the driver's controller do not tolerate: NodeGroups.OnDemand. The add-ons wait for
	// them; the driver's role and the class need not. Default: none, nodes are there.
	Nodes []pulumi.Resource
	// Versions by add-on ("coredns", "aws-ebs-csi-driver"); others are ignored. Default: what AWS has as the default for the
	// cluster's version.
	Versions map[string]string
	// Partition of AWS. Default: "aws".
	Partition string
	// Only these of the add-ons, on a cluster that has the others; the StorageClass goes with the EBS driver. Default: both.
	Only []string
	// Foreign says that the cluster is somebody else's, whose default StorageClass stays the default. Default: false.
	Foreign bool
	// ReclaimPolicy of volumes whose claim is deleted: Delete or Retain. Default: Delete.
	ReclaimPolicy string
	// Tags of the add-ons. Default: none beside the provider's default tags.
	Tags map[string]string
}

// Addons are CoreDNS, the EBS CSI driver and the storage class on top of it; nil what is left out.
type Addons struct {
	pulumi.ResourceState

	// CoreDNS resolves names in the cluster.
	CoreDNS *awseks.Addon
	// EBS is the driver that makes volumes.
	EBS *awseks.Addon
	// StorageClass is "gp3", the cluster's default.
	StorageClass *storagev1.StorageClass
	// Ready is all of it, to depend on.
	Ready []pulumi.Resource
}

// NewAddons installs the add-ons. The options must carry an AWS and a Kubernetes provider.
func NewAddons(ctx *pulumi.Context, name string, args *AddonsArgs, opts ...pulumi.ResourceOption) (*Addons, error) {
	if args == nil || args.Cluster == nil || args.Cluster.Issuer == nil {
		return nil, fmt.Errorf("creating the add-ons %s: %w", name, errNoIssuer)
	}
	a := *args
	if a.ReclaimPolicy == "" {
		a.ReclaimPolicy = "Delete"
	}
	var errs check.Errors
	validateAddonVersions(&errs, "versions", a.Versions)
	check.OneOf(&errs, "reclaimPolicy", a.ReclaimPolicy, "Delete", "Retain")
	if err := errs.Err(); err != nil {
		return nil, fmt.Errorf("creating the add-ons %s: %w", name, err)
	}
	component := &Addons{}
	if err := ctx.RegisterComponentResource(addonsToken, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering the add-ons %s: %w", name, err)
	}
	for _, one := range []struct {
		addon string
		make  func(*pulumi.Context, string, AddonsArgs, pulumi.ResourceOption) error
	}{{addonCoreDNS, component.coreDNS}, {addonEBSCSI, component.volumes}} {
		if len(a.Only) > 0 && !slices.Contains(a.Only, one.addon) {
			continue
		}
		if err := one.make(ctx, name, a, pulumi.Parent(component)); err != nil {
			return nil, err
		}
	}
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{"storageClass": pulumi.String(StorageClass)})
}

func (c *Addons) coreDNS(ctx *pulumi.Context, name string, a AddonsArgs, parent pulumi.ResourceOption) (err error) {
	one := addon{name: addonCoreDNS, version: a.Versions[addonCoreDNS], tags: a.Tags}
	c.CoreDNS, err = one.create(ctx, name+"-"+addonCoreDNS, a.Cluster.Name, parent, pulumi.DependsOn(a.Nodes))
	c.Ready = append(c.Ready, c.CoreDNS)
	return err
}

// volumes are the EBS driver and the class of volumes that it makes.
func (c *Addons) volumes(ctx *pulumi.Context, name string, a AddonsArgs, parent pulumi.ResourceOption) error {
	role, err := NewWorkloadRole(ctx, name+"-"+addonEBSCSI, &WorkloadRoleArgs{
		Issuer:          *a.Cluster.Issuer,
		ServiceAccount:  kube.ServiceAccount{Namespace: "kube-system", Name: "ebs-csi-controller-sa"},
		ManagedPolicies: []string{"service-role/AmazonEBSCSIDriverPolicy"},
		Partition:       a.Partition,
	}, parent)
	if err != nil {
		return err
	}
	ebs := addon{name: addonEBSCSI, version: a.Versions[addonEBSCSI], role: role, tags: a.Tags}
	if c.EBS, err = ebs.create(ctx, name+"-"+addonEBSCSI, a.Cluster.Name, parent, pulumi.DependsOn(a.Nodes)); err != nil {
		return err
	}
	if c.StorageClass, err = newStorageClass(ctx, name+"-"+StorageClass, a.ReclaimPolicy, !a.Foreign, parent); err != nil {
		return err
	}
	c.Ready = append(c.Ready, c.EBS, c.StorageClass)
	return nil
}

// newStorageClass makes the class, as the cluster's default or not: EKS marks none since 1.30. A volume waits for its first pod, because only then
// it is known in which zone the pod can run.
func newStorageClass(ctx *pulumi.Context, name, reclaimPolicy string, standard bool, opts ...pulumi.ResourceOption) (*storagev1.StorageClass, error) {
	meta := &metav1.ObjectMetaArgs{
		Name: pulumi.String(StorageClass), Labels: pulumi.StringMap{"app.kubernetes.io/part-of": pulumi.String(kube.PartOf)},
	}
	if standard {
		meta.Annotations = pulumi.StringMap{"storageclass.kubernetes.io/is-default-class": pulumi.String("true")}
	}
	class, err := storagev1.NewStorageClass(ctx, name, &storagev1.StorageClassArgs{
		Metadata:             meta,
		Provisioner:          pulumi.String("ebs.csi.aws.com"),
		Parameters:           pulumi.StringMap{"type": pulumi.String("gp3"), "encrypted": pulumi.String("true")},
		ReclaimPolicy:        pulumi.String(reclaimPolicy),
		VolumeBindingMode:    pulumi.String("WaitForFirstConsumer"),
		AllowVolumeExpansion: pulumi.Bool(true),
	}, opts...)
	if err != nil {
		return nil, fmt.Errorf("creating the storage class %s: %w", StorageClass, err)
	}
	return class, nil
}
