// Package versions is the one place that says which version of what runs: every image and every chart-less release that the
// components deploy. A component never writes a version or an image itself.
package versions

// Component is a released program and the image that carries it.
type Component struct {
	// Version as upstream tags it ("v3.16.0", "3.5.12").
	Version string
	// Repository of the image, with its registry.
	Repository string
}

// Image is the pinned reference that a pod spec takes.
func (c Component) Image() string { return c.Repository + ":" + c.Version }

// What is shipped. The lab builds the same versions, or prints the difference.
var (
	Operator       = Component{"v0.92.1", "quay.io/prometheus-operator/prometheus-operator"}
	ConfigReloader = Component{"v0.92.1", "quay.io/prometheus-operator/prometheus-config-reloader"}
	Prometheus     = Component{"v3.16.0", "quay.io/prometheus/prometheus"}
	Thanos         = Component{"v0.42.4", "quay.io/thanos/thanos"}
)

// Kubernetes is the control plane's minor version by default.
const Kubernetes = "1.36"

// All lists every image that some component deploys, in alphabetical order of repository.
func All() []Component {
	return []Component{ConfigReloader, Operator, Prometheus, Thanos}
}
