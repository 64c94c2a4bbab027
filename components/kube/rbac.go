package kube

import (
	"fmt"

	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// Rule allows verbs on resources of one API group ("" is the core group), or on URLs that are no resources.
type Rule struct {
	Group     string
	Resources []string
	// Names restricts the rule to objects of these names. Default: all.
	Names []string
	// URLs, in place of a group and resources.
	URLs  []string
	Verbs []string
}

// Rules renders rules for a Role or a ClusterRole.
func Rules(rules []Rule) rbacv1.PolicyRuleArray {
	rendered := rbacv1.PolicyRuleArray{}
	for _, r := range rules {
		one := &rbacv1.PolicyRuleArgs{Verbs: pulumi.ToStringArray(r.Verbs)}
		if len(r.URLs) > 0 {
			one.NonResourceURLs = pulumi.ToStringArray(r.URLs)
		} else {
			one.ApiGroups, one.Resources = pulumi.ToStringArray([]string{r.Group}), pulumi.ToStringArray(r.Resources)
		}
		if len(r.Names) > 0 {
			one.ResourceNames = pulumi.ToStringArray(r.Names)
		}
		rendered = append(rendered, one)
	}
	return rendered
}

const rbacGroup = "rbac.authorization.k8s.io"

// Grant gives a service account rights in all namespaces. The role's name has the namespace in it: it is the cluster's, and another
// instance elsewhere has its own. What it returns must exist before the account's pods start.
func Grant(ctx *pulumi.Context, name, account string, namespace pulumi.StringInput, labels Labels, rules []Rule, opts ...pulumi.ResourceOption,
) (pulumi.Resource, error) {
	global := pulumi.Sprintf("%s-%s", account, namespace)
	meta := func() *metav1.ObjectMetaArgs {
		meta := labels.Meta(account, nil)
		meta.Name = global
		return meta
	}
	role, err := rbacv1.NewClusterRole(ctx, name, &rbacv1.ClusterRoleArgs{Metadata: meta(), Rules: Rules(rules)}, opts...)
	if err != nil {
		return nil, fmt.Errorf("creating cluster role: %w", err)
	}
	binding, err := rbacv1.NewClusterRoleBinding(ctx, name, &rbacv1.ClusterRoleBindingArgs{
		Metadata: meta(),
		RoleRef:  &rbacv1.RoleRefArgs{ApiGroup: pulumi.String(rbacGroup), Kind: pulumi.String("ClusterRole"), Name: global},
		Subjects: subjects(account, namespace),
	}, append(opts, pulumi.DependsOn([]pulumi.Resource{role}))...)
	if err != nil {
		return nil, fmt.Errorf("creating cluster role binding: %w", err)
	}
	return binding, nil
}

// GrantIn gives a service account rights in one namespace, its own or another ("kube-system").
func GrantIn(ctx *pulumi.Context, name, account string, namespace, in pulumi.StringInput, labels Labels, rules []Rule, opts ...pulumi.ResourceOption,
) (pulumi.Resource, error) {
	role, err := rbacv1.NewRole(ctx, name, &rbacv1.RoleArgs{Metadata: labels.Meta(account, in), Rules: Rules(rules)}, opts...)
	if err != nil {
		return nil, fmt.Errorf("creating role: %w", err)
	}
	binding, err := rbacv1.NewRoleBinding(ctx, name, &rbacv1.RoleBindingArgs{
		Metadata: labels.Meta(account, in),
		RoleRef:  &rbacv1.RoleRefArgs{ApiGroup: pulumi.String(rbacGroup), Kind: pulumi.String("Role"), Name: pulumi.String(account)},
		Subjects: subjects(account, namespace),
	}, append(opts, pulumi.DependsOn([]pulumi.Resource{role}))...)
	if err != nil {
		return nil, fmt.Errorf("creating role binding: %w", err)
	}
	return binding, nil
}

func subjects(account string, namespace pulumi.StringInput) rbacv1.SubjectArray {
	return rbacv1.SubjectArray{&rbacv1.SubjectArgs{
		Kind: pulumi.String("ServiceAccount"), Name: pulumi.String(account), Namespace: namespace.ToStringOutput().ToStringPtrOutput(),
	}}
}
