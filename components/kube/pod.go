package kube

import (
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	nativecorev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kansoku/kansoku/internal/check"
)

// Resources are what a container asks for and what it may use, as Kubernetes quantities.
type Resources struct {
	// CPU requested ("100m"). Required.
	CPU string `pulumi:"cpu"`
	// Memory requested ("256Mi"). Required.
	Memory string `pulumi:"memory"`
	// MemoryLimit ("512Mi"). Default: the memory requested.
	MemoryLimit string `pulumi:"memoryLimit,optional"`
	// CPULimit ("1"). Default: none, so that a burst is not throttled.
	CPULimit string `pulumi:"cpuLimit,optional"`
}

// Or fills what is not set from defaults; a limit follows the request it came with.
func (r Resources) Or(defaults Resources) Resources {
	if r == (Resources{}) {
		return defaults
	}
	if r.CPU == "" {
		r.CPU = defaults.CPU
		if r.CPULimit == "" {
			r.CPULimit = defaults.CPULimit
		}
	}
	if r.Memory == "" {
		r.Memory = defaults.Memory
		if r.MemoryLimit == "" {
			r.MemoryLimit = defaults.MemoryLimit
		}
	}
	if r.MemoryLimit == "" {
		r.MemoryLimit = r.Memory
	}
	return r
}

// Validate checks that the quantities parse and that no limit is below its request.
func (r Resources) Validate() error {
	var errs check.Errors
	quantity := func(key, value string, required bool) *resource.Quantity {
		if value == "" && !required {
			return nil
		}
		q, err := resource.ParseQuantity(value)
		errs.Require(err == nil && q.Sign() > 0, key, value, `must be a positive Kubernetes quantity such as "100m" or "256Mi"`)
		if err != nil {
			return nil
		}
		return &q
	}
	cpu, memory := quantity("cpu", r.CPU, true), quantity("memory", r.Memory, true)
	if limit := quantity("memoryLimit", r.MemoryLimit, false); limit != nil && memory != nil {
		errs.Require(limit.Cmp(*memory) >= 0, "memoryLimit", r.MemoryLimit, "must not be below the memory requested, %s", r.Memory)
	}
	if limit := quantity("cpuLimit", r.CPULimit, false); limit != nil && cpu != nil {
		errs.Require(limit.Cmp(*cpu) >= 0, "cpuLimit", r.CPULimit, "must not be below the CPU requested, %s", r.CPU)
	}
	return errs.Err()
}

// PullSecrets is what a custom resource's pods log in to a registry with; none for no name.
func PullSecrets(name string) []nativecorev1.LocalObjectReference {
	if name == "" {
		return nil
	}
	return []nativecorev1.LocalObjectReference{{Name: name}}
}

func (r Resources) limits() map[string]string {
	limits := map[string]string{"memory": r.MemoryLimit}
	if r.MemoryLimit == "" {
		limits["memory"] = r.Memory
	}
	if r.CPULimit != "" {
		limits["cpu"] = r.CPULimit
	}
	return limits
}

// Pulumi renders the resources for a typed pod spec.
func (r Resources) Pulumi() *corev1.ResourceRequirementsArgs {
	return &corev1.ResourceRequirementsArgs{
		Requests: pulumi.StringMap{"cpu": pulumi.String(r.CPU), "memory": pulumi.String(r.Memory)},
		Limits:   pulumi.ToStringMap(r.limits()),
	}
}

// Native renders the resources for a custom resource. They must be valid.
func (r Resources) Native() nativecorev1.ResourceRequirements {
	limits := nativecorev1.ResourceList{}
	for name, value := range r.limits() {
		limits[nativecorev1.ResourceName(name)] = resource.MustParse(value)
	}
	return nativecorev1.ResourceRequirements{
		Requests: nativecorev1.ResourceList{"cpu": resource.MustParse(r.CPU), "memory": resource.MustParse(r.Memory)},
		Limits:   limits,
	}
}

// RestrictedPod is the pod security context that Pod Security "restricted" asks for. Files of mounted volumes belong to the group;
// a volume that belongs to it already is not walked through again, so that a pod that moves starts at once.
func RestrictedPod(uid, gid int) *corev1.PodSecurityContextArgs {
	return &corev1.PodSecurityContextArgs{
		RunAsNonRoot:        pulumi.Bool(true),
		RunAsUser:           pulumi.Int(uid),
		RunAsGroup:          pulumi.Int(gid),
		FsGroup:             pulumi.Int(gid),
		FsGroupChangePolicy: pulumi.String("OnRootMismatch"),
		SeccompProfile:      &corev1.SeccompProfileArgs{Type: pulumi.String("RuntimeDefault")},
	}
}

// NativeRestrictedPod is RestrictedPod for a custom resource.
func NativeRestrictedPod(uid, gid int64) *nativecorev1.PodSecurityContext {
	nonRoot, policy := true, nativecorev1.FSGroupChangeOnRootMismatch
	return &nativecorev1.PodSecurityContext{
		RunAsNonRoot:        &nonRoot,
		RunAsUser:           &uid,
		RunAsGroup:          &gid,
		FSGroup:             &gid,
		FSGroupChangePolicy: &policy,
		SeccompProfile:      &nativecorev1.SeccompProfile{Type: nativecorev1.SeccompProfileTypeRuntimeDefault},
	}
}

// RestrictedContainer is the container security context that Pod Security "restricted" asks for, with a read-only root.
func RestrictedContainer() *corev1.SecurityContextArgs {
	return &corev1.SecurityContextArgs{
		AllowPrivilegeEscalation: pulumi.Bool(false),
		ReadOnlyRootFilesystem:   pulumi.Bool(true),
		Capabilities:             &corev1.CapabilitiesArgs{Drop: pulumi.ToStringArray([]string{"ALL"})},
	}
}
