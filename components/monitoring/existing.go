package monitoring

import (
	"fmt"
	"reflect"
	"strings"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	storagev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/storage/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kansoku/kansoku/components/grafana"
	"github.com/kansoku/kansoku/components/kube"
	"github.com/kansoku/kansoku/components/operator"
	"github.com/kansoku/kansoku/internal/check"
)

// Existing is what the cluster has already. It is read, or used as it is; nothing of it is created, changed or deleted.
type Existing struct {
	// Namespace that is there, in place of namespace. Nothing is denied to the pods of others in it. Default: it is created.
	Namespace string `pulumi:"namespace,optional"`
	// HostNamespace that is there, for what reads its host: its Pod Security must not be enforced as baseline or restricted. Default:
	// namespace with "-host", which is created.
	HostNamespace string `pulumi:"hostNamespace,optional"`
	// StorageClass that is there, in place of storageClass. Default: gp3, which comes with the EBS driver.
	StorageClass string `pulumi:"storageClass,optional"`
	// Operator says that a Prometheus Operator, of release 0.82 or later, runs in the cluster with its definitions and acts on every namespace:
	// ours stays away, for two would undo each other's work. Default: false.
	Operator bool `pulumi:"operator,optional"`
	// Grafana that is there gets data sources and dashboards as ConfigMaps, which its sidecar finds; ours stays away. Default: ours.
	Grafana *grafana.ExistingSettings `pulumi:"grafana,optional"`
}

// Any says whether there is something.
func (e Existing) Any() bool { return e != Existing{} }

// WithDefaults fills what is not set.
func (e Existing) WithDefaults() Existing {
	if e.Grafana != nil {
		full := e.Grafana.WithDefaults()
		e.Grafana = &full
	}
	return e
}

// namespaces are those that pods of others may be in.
func (e Existing) namespaces() []string {
	var all []string
	for _, one := range []string{e.Namespace, e.HostNamespace} {
		if one != "" {
			all = append(all, one)
		}
	}
	return all
}

// requireNamespace refuses what is no namespace, and Kubernetes' own.
func requireNamespace(errs *check.Errors, key, name string) {
	errs.Require(kube.IsDNSLabel(name), key, name, "must be at most 63 lower-case letters, digits and dashes")
	errs.Require(name != "default" && !strings.HasPrefix(name, "kube-"), key, name, "must not be one of Kubernetes' own")
}

// validateExisting checks what is there against what is asked for beside it.
func (s Settings) validateExisting(errs *check.Errors) {
	const beside = "must not be set beside existing."
	e := s.Existing
	if e.Namespace != "" {
		requireNamespace(errs, "existing.namespace", e.Namespace)
		errs.Require(s.Namespace == e.Namespace, "namespace", s.Namespace, beside+"namespace")
	}
	if e.HostNamespace != "" {
		requireNamespace(errs, "existing.hostNamespace", e.HostNamespace)
	}
	errs.Require(s.HostNamespace() != s.Namespace, "existing.hostNamespace", e.HostNamespace,
		"must not be the namespace of the others: what reads its host is kept apart")
	if e.StorageClass != "" {
		errs.Require(len(validation.IsDNS1123Subdomain(e.StorageClass)) == 0, "existing.storageClass", e.StorageClass, "must name a storage class")
		errs.Require(s.StorageClass == e.StorageClass, "storageClass", s.StorageClass, beside+"storageClass")
	}
	if e.Operator {
		errs.Require(s.Operator == operator.Settings{}, "operator", s.Operator, beside+"operator")
	} else {
		errs.Under("operator", s.Operator.Validate())
	}
	if e.Grafana != nil {
		errs.Under("existing.grafana", e.Grafana.Validate())
		errs.Require(reflect.ValueOf(s.Grafana).IsZero(), "grafana", nil, beside+"grafana: it is somebody else's")
	} else {
		errs.Under("grafana", s.Grafana.Validate())
	}
}

// readNamespace finds a namespace; its name is known once Pod Security in it is known to let our pods run.
func (b *builder) readNamespace(name, namespace string, host bool) (pulumi.StringInput, error) {
	read, err := corev1.GetNamespace(b.ctx, name, pulumi.ID(namespace), nil, b.parent)
	if err != nil {
		return nil, fmt.Errorf("reading namespace %s: %w", namespace, err)
	}
	b.first = append(b.first, read)
	return read.Metadata.Labels().ApplyT(func(labels map[string]string) (string, error) {
		const label = "pod-security.kubernetes.io/enforce"
		if level := labels[label]; host && level != "" && level != "privileged" {
			return "", fmt.Errorf("checking namespace %s: label %s: must be privileged, or not be there, got %q: its pods read their host",
				namespace, label, level)
		}
		return namespace, nil
	}).(pulumi.StringOutput), nil
}

// readStorageClass finds the class of the volumes.
func (b *builder) readStorageClass() error {
	name := b.Existing.StorageClass
	if name == "" {
		return nil
	}
	read, err := storagev1.GetStorageClass(b.ctx, b.name, pulumi.ID(name), nil, b.parent)
	if err != nil {
		return fmt.Errorf("reading storage class %s: %w", name, err)
	}
	b.first = append(b.first, read)
	read.VolumeBindingMode.ApplyT(func(mode string) error {
		if mode == "Immediate" {
			return b.ctx.Log.Warn(fmt.Sprintf("The storage class %s makes volumes before it is known where their pods run: where they are "+
				"bound to a zone, pods may not find a node there. WaitForFirstConsumer waits.", name), nil)
		}
		return nil
	})
	return nil
}

// definitions are what the operator's objects are made of: ours, those of somebody's operator, or those that whoever calls us has made.
func (b *builder) definitions() error {
	read := operator.ReadCRDs
	switch {
	case b.Existing.Operator:
	case b.ExistingCRDs:
		return nil
	default:
		read = operator.NewCRDs
	}
	opts := []pulumi.ResourceOption{b.parent}
	if b.CRDProvider != nil && !b.Existing.Operator {
		opts = append(opts, pulumi.Provider(b.CRDProvider))
	}
	crds, err := read(b.ctx, b.name+"-crds", opts...)
	if err != nil {
		return fmt.Errorf("creating definitions: %w", err)
	}
	b.first = append(b.first, crds.Definitions...)
	if b.Existing.Operator {
		// Nothing is made before they are known to serve.
		b.namespace = after(b.namespace, crds.Release)
	}
	return nil
}

// after is a value that waits for another.
func after(value pulumi.StringInput, first pulumi.StringOutput) pulumi.StringInput {
	return pulumi.All(value, first).ApplyT(func(known []any) string { return known[0].(string) }).(pulumi.StringOutput)
}

// provision offers data sources and dashboards to the Grafana that is there.
func (b *builder) provision(shows []grafana.Dashboard) error {
	args := &grafana.ProvisioningArgs{
		ExistingSettings: *b.Existing.Grafana, ScrapeInterval: b.Prometheus.ScrapeInterval, ThanosURL: b.built.QueryURL,
		AlertmanagerURL: b.built.AlertmanagerURL, Dashboards: shows,
	}
	if b.Loki != nil {
		args.LokiURL = b.built.LokiURL
	}
	if _, err := grafana.NewProvisioning(b.ctx, b.name+"-grafana", args, b.after()...); err != nil {
		return fmt.Errorf("provisioning Grafana: %w", err)
	}
	b.built.GrafanaURL, b.built.GrafanaPassword = pulumi.String("").ToStringOutput(), pulumi.String("").ToStringOutput()
	return nil
}
