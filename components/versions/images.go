package versions

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/kansoku/kansoku/internal/check"
)

// Images says where images are pulled from, and which of them by digest. The zero value is upstream's registries, by tag.
type Images struct {
	// Registry, with a path where it has one ("registry.example.com/mirror"), that has every image under the path it has upstream:
	// REGISTRY/thanos/thanos for quay.io/thanos/thanos. `make images` lists them. Default: upstream's registries.
	Registry string `pulumi:"registry,optional"`
	// Digests pin images beyond their tag, by upstream's name: {"quay.io/thanos/thanos:v0.42.4": "sha256:…"}. A name that this release
	// does not have is refused: a digest must not outlive its version. Default: tags only.
	Digests map[string]string `pulumi:"digests,optional"`
	// PullSecret is the Secret of type kubernetes.io/dockerconfigjson, in the pods' namespaces, with what the registry asks for. Default:
	// none, as for a registry that the nodes' role may read.
	PullSecret string `pulumi:"pullSecret,optional"`
}

var (
	registryPattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$`)
	digestPattern   = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	secretPattern   = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)
)

// Validate reports every violation.
func (i Images) Validate() error {
	var errs check.Errors
	host, _, _ := strings.Cut(i.Registry, "/")
	// A name without a dot or a port is a path on Docker Hub to a container runtime.
	valid := registryPattern.MatchString(i.Registry) && strings.ContainsAny(host, ".:")
	errs.Require(i.Registry == "" || valid, "registry", i.Registry,
		`must be a host with a dot or a port, and a path if it has one, such as "registry.example.com/mirror"`)
	errs.Require(i.PullSecret == "" || secretPattern.MatchString(i.PullSecret), "pullSecret", i.PullSecret, "must be the name of a Secret")
	var names []string
	for _, c := range All() {
		names = append(names, c.Image())
	}
	for _, name := range slices.Sorted(maps.Keys(i.Digests)) {
		errs.Require(slices.Contains(names, name), "digests", name, "must be keyed by an image of this release: %s", strings.Join(names, ", "))
		errs.Require(digestPattern.MatchString(i.Digests[name]), "digests."+name, i.Digests[name], `must be "sha256:" and 64 hexadecimal digits`)
	}
	return errs.Err()
}

// Place is an image of upstream's (Component.Image) as a pod takes it: in the registry, with its digest.
func (i Images) Place(image string) string {
	placed := image
	if i.Registry != "" {
		_, path, _ := strings.Cut(image, "/")
		placed = i.Registry + "/" + path
	}
	if digest := i.Digests[image]; digest != "" {
		placed += "@" + digest
	}
	return placed
}
