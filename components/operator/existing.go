package operator

import (
	"fmt"

	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/version"
)

// Oldest is the oldest release of an operator that can run what the components make: terminationGracePeriodSeconds of Prometheus and
// Alertmanager came with it (the operator's change log, 0.82.0).
const Oldest = "0.82.0"

const releaseAnnotation = "operator.prometheus.io/version"

// used are the definitions of the kinds that the components make objects of.
var used = []string{"alertmanagers", "prometheuses", "prometheusrules", "servicemonitors"}

// ReadCRDs finds the definitions that the operator of somebody else brought, and changes nothing. Its Release fails where they are missing,
// or older than Oldest; whatever is made of these kinds should be made of something that waits for it. An operator that is older than the
// one that the components are tested with is warned of.
func ReadCRDs(ctx *pulumi.Context, name string, opts ...pulumi.ResourceOption) (*CRDs, error) {
	component := &CRDs{}
	if err := ctx.RegisterComponentResource(crdsToken, name, component, opts...); err != nil {
		return nil, fmt.Errorf("registering %s: %w", name, err)
	}
	var releases []any
	for _, plural := range used {
		object := plural + ".monitoring.coreos.com"
		var read struct {
			pulumi.CustomResourceState
			Metadata metav1.ObjectMetaOutput `pulumi:"metadata"`
		}
		err := ctx.ReadResource("kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition", object, pulumi.ID(object), nil, &read,
			pulumi.Parent(component))
		if err != nil {
			return nil, fmt.Errorf("reading definition %s: %w", object, err)
		}
		component.Definitions = append(component.Definitions, &read)
		releases = append(releases, read.Metadata.Annotations())
	}
	component.Release = pulumi.All(releases...).ApplyT(func(found []any) (string, error) {
		oldest, err := oldestRelease(found)
		if err == nil && version.MustParseGeneric(oldest).LessThan(version.MustParseGeneric(apiVersion)) {
			err = ctx.Log.Warn(fmt.Sprintf("The Prometheus Operator that is there is of release %s. Tested is %s.", oldest, apiVersion), nil)
		}
		return oldest, err
	}).(pulumi.StringOutput)
	return component, ctx.RegisterResourceOutputs(component, pulumi.Map{})
}

// oldestRelease is that of the oldest definition, of which there are the annotations.
func oldestRelease(annotations []any) (string, error) {
	oldest := ""
	for i, one := range annotations {
		all, _ := one.(map[string]string)
		release, err := version.ParseGeneric(all[releaseAnnotation])
		if err != nil || release.LessThan(version.MustParseGeneric(Oldest)) {
			return "", fmt.Errorf("checking definition %s.monitoring.coreos.com: annotation %s: must be at least %s, got %q: upgrade the operator "+
				"and its definitions, or let the stack bring its own", used[i], releaseAnnotation, Oldest, all[releaseAnnotation])
		}
		if oldest == "" || release.LessThan(version.MustParseGeneric(oldest)) {
			oldest = release.String()
		}
	}
	return oldest, nil
}
