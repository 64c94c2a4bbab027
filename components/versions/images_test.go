package versions_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/versions"
)

func TestPlace(t *testing.T) {
	t.Parallel()
	const upstream = "quay.io/thanos/thanos:v0.1.2"
	digest := "sha256:" + strings.Repeat("0a", 32)
	require.Equal(t, upstream, versions.Images{}.Place(upstream))
	require.Equal(t, "r.example.com:5000/mirror/thanos/thanos:v0.1.2", versions.Images{Registry: "r.example.com:5000/mirror"}.Place(upstream))
	pinned := versions.Images{Registry: "r.example.com", Digests: map[string]string{upstream: digest}}
	require.Equal(t, "r.example.com/thanos/thanos:v0.1.2@"+digest, pinned.Place(upstream))
	require.Equal(t, "r.example.com/thanos/thanos:v0.1.3", pinned.Place("quay.io/thanos/thanos:v0.1.3"), "another tag, another image")
}

func TestNoTwoImagesMeetInARegistry(t *testing.T) {
	t.Parallel()
	images, placed := versions.Images{Registry: "r.example.com"}, map[string]string{}
	for _, c := range versions.All() {
		at := images.Place(c.Image())
		require.Empty(t, placed[at], c.Image())
		placed[at] = c.Image()
	}
}

func TestImagesValidate(t *testing.T) {
	t.Parallel()
	thanos := versions.Thanos.Image()
	for _, fine := range []versions.Images{
		{},
		{Registry: "registry.example.com"},
		{Registry: "localhost:5000/a/b_c"},
		{Registry: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/mirror", PullSecret: "registry.credentials"},
		{Digests: map[string]string{thanos: "sha256:" + strings.Repeat("0", 64)}},
	} {
		require.NoError(t, fine.Validate(), "%v", fine)
	}
	for registry, why := range map[string]string{
		"mirror": "Docker Hub's", "https://registry.example.com": "a scheme", "registry.example.com/": "a slash", "Registry.example.com": "capitals",
		"registry.example.com/x:1": "a tag",
	} {
		require.ErrorContains(t, versions.Images{Registry: registry}.Validate(), "registry: must be a host with a dot or a port", why)
	}
	err := versions.Images{
		PullSecret: "A_B", Digests: map[string]string{thanos: "sha256:0", "quay.io/thanos/thanos:v0.1.2": "sha256:" + strings.Repeat("0", 64)},
	}.Validate()
	require.ErrorContains(t, err, `pullSecret: must be the name of a Secret, got "A_B"`)
	require.ErrorContains(t, err, "digests."+thanos+`: must be "sha256:" and 64 hexadecimal digits, got "sha256:0"`)
	require.ErrorContains(t, err, "digests: must be keyed by an image of this release: "+versions.All()[0].Image())
	require.ErrorContains(t, err, `got "quay.io/thanos/thanos:v0.1.2"`, "a digest of another version")
}
