package operator_test

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/operator"
	"github.com/kansoku/kansoku/internal/mocks"
)

// read has a program meet definitions of a release, and returns which it found itself.
func read(t *testing.T, release func(name string) string) (string, error) {
	t.Helper()
	r := &mocks.Recorder{Outputs: map[string]func(mocks.Resource) map[string]any{
		crdToken: func(one mocks.Resource) map[string]any {
			annotations := map[string]any{}
			if found := release(one.Name); found != "" {
				annotations["operator.prometheus.io/version"] = found
			}
			return map[string]any{"metadata": map[string]any{"name": one.Name, "annotations": annotations}}
		},
	}}
	got := ""
	err := r.RunErr(func(ctx *pulumi.Context) error {
		crds, err := operator.ReadCRDs(ctx, "crds")
		if err != nil {
			return err
		}
		require.Len(t, crds.Definitions, 4)
		ctx.Export("release", crds.Release.ApplyT(func(release string) string {
			got = release
			return release
		}))
		return nil
	})
	return got, err
}

func TestReleaseOfAnExistingOperator(t *testing.T) {
	t.Parallel()
	for release, refused := range map[string]bool{
		"": true, "new": true, "0.68.0": true, "0.81.9": true, "0.82.0": false, "0.92.0": false, "v0.93.1": false, "1.0.0": false,
	} {
		_, err := read(t, func(string) string { return release })
		if refused {
			require.ErrorContains(t, err, "alertmanagers.monitoring.coreos.com: annotation operator.prometheus.io/version: must be at least 0.82.0", release)
		} else {
			require.NoError(t, err, release)
		}
	}
	got, err := read(t, func(name string) string {
		if name == "prometheusrules.monitoring.coreos.com" {
			return "0.90.1"
		}
		return "0.93.0"
	})
	require.NoError(t, err)
	require.Equal(t, "0.90.1", got, "the oldest counts")
	_, err = read(t, func(name string) string {
		if name == "prometheusrules.monitoring.coreos.com" {
			return "0.66.0"
		}
		return "0.93.0"
	})
	require.ErrorContains(t, err, "prometheusrules")
}
