// Package kube holds what the Kubernetes objects of every component share: labels, service accounts, resources, security
// contexts and custom resources. It owns no workload.
package kube

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"

	kubernetes "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// PartOf is the value of app.kubernetes.io/part-of on everything that Kansoku deploys.
const PartOf = "kansoku"

// Labels are Kubernetes' recommended labels of one workload.
type Labels struct {
	Name      string // app.kubernetes.io/name: the program ("prometheus")
	Instance  string // app.kubernetes.io/instance: which of several ("k8s")
	Component string // app.kubernetes.io/component: its part in the stack ("metrics")
	Version   string // app.kubernetes.io/version; never part of a selector
}

// Selector is the part of the labels that never changes over a workload's life.
func (l Labels) Selector() map[string]string {
	return map[string]string{
		"app.kubernetes.io/name":     l.Name,
		"app.kubernetes.io/instance": l.Instance,
	}
}

// All is the selector and what may change with a release.
func (l Labels) All() map[string]string {
	all := l.Selector()
	all["app.kubernetes.io/component"] = l.Component
	all["app.kubernetes.io/part-of"] = PartOf
	if l.Version != "" {
		all["app.kubernetes.io/version"] = l.Version
	}
	return all
}

// Meta is the metadata of an object that carries these labels, and extra ones where given.
func (l Labels) Meta(name string, namespace pulumi.StringInput, extra ...map[string]string) *metav1.ObjectMetaArgs {
	labels := l.All()
	for _, more := range extra {
		maps.Copy(labels, more)
	}
	meta := &metav1.ObjectMetaArgs{Name: pulumi.String(name), Labels: pulumi.ToStringMap(labels)}
	if namespace != nil {
		meta.Namespace = namespace.ToStringOutput().ToStringPtrOutput()
	}
	return meta
}

var dnsLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// IsDNSLabel says whether s can name an object: lower-case letters, digits and dashes, at most 63 (RFC 1123).
func IsDNSLabel(s string) bool { return dnsLabel.MatchString(s) }

// ServiceAccount names who a workload is. The pods run as it and the IAM role trusts it: both take this one value.
type ServiceAccount struct {
	// Namespace of the account. Required.
	Namespace string `pulumi:"namespace"`
	// Name of the account. Required.
	Name string `pulumi:"name"`
}

// Subject is the "sub" claim of the account's tokens.
func (s ServiceAccount) Subject() string {
	return fmt.Sprintf("system:serviceaccount:%s:%s", s.Namespace, s.Name)
}

// NewServiceAccount creates the account. With a role, the pods that start afterwards get its credentials (IAM roles for service
// accounts). Its token is mounted only by pods that ask for it.
func NewServiceAccount(ctx *pulumi.Context, name, account string, namespace, roleARN pulumi.StringInput, labels Labels,
	opts ...pulumi.ResourceOption,
) (*corev1.ServiceAccount, error) {
	meta := labels.Meta(account, namespace)
	if roleARN != nil {
		meta.Annotations = pulumi.StringMap{
			"eks.amazonaws.com/role-arn":               roleARN,
			"eks.amazonaws.com/sts-regional-endpoints": pulumi.String("true"),
		}
	}
	return corev1.NewServiceAccount(ctx, name, &corev1.ServiceAccountArgs{
		Metadata:                     meta,
		AutomountServiceAccountToken: pulumi.Bool(false),
	}, opts...)
}

// CustomResourceArgs describes a custom resource by a value of its project's own Go API type.
type CustomResourceArgs struct {
	APIVersion string
	Kind       string
	Metadata   *metav1.ObjectMetaArgs
	// Spec is a struct of the resource's API (monitoringv1.PrometheusSpec), or a pulumi.Output of one.
	Spec any
}

// NewCustomResource creates the resource with its spec marshalled by the API type's own JSON names, so that the compiler checks
// every field and the preview shows it.
func NewCustomResource(ctx *pulumi.Context, name string, args *CustomResourceArgs, opts ...pulumi.ResourceOption,
) (*apiextensions.CustomResource, error) {
	var spec any
	if output, ok := args.Spec.(pulumi.Output); ok {
		spec = output.ApplyT(untyped)
	} else {
		object, err := untyped(args.Spec)
		if err != nil {
			return nil, fmt.Errorf("marshalling %s %s: %w", args.Kind, name, err)
		}
		spec = object
	}
	return apiextensions.NewCustomResource(ctx, name, &apiextensions.CustomResourceArgs{
		ApiVersion:  pulumi.String(args.APIVersion),
		Kind:        pulumi.String(args.Kind),
		Metadata:    args.Metadata,
		OtherFields: kubernetes.UntypedArgs{"spec": spec},
	}, opts...)
}

// untyped is v as its JSON: maps, lists and scalars.
func untyped(v any) (any, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var object any
	err = json.Unmarshal(data, &object)
	return object, err
}
