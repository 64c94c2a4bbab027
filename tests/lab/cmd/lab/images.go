package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/tests/lab/node"
	"github.com/kansoku/kansoku/tests/lab/stack"
)

// built says, by an image's repository, which binary is in it, and where the image of that name has it.
func built() map[string]node.Image {
	return map[string]node.Image{
		versions.Alertmanager.Repository:      {Binary: "alertmanager", Entrypoint: "/bin/alertmanager"},
		versions.ConfigReloader.Repository:    {Binary: "prometheus-config-reloader", Entrypoint: "/bin/prometheus-config-reloader"},
		versions.KubeStateMetrics.Repository:  {Binary: "kube-state-metrics", Entrypoint: "/kube-state-metrics"},
		versions.LokiDynamoDB.Repository:      {Binary: "loki", Entrypoint: "/usr/bin/loki"},
		versions.NodeExporter.Repository:      {Binary: "node_exporter", Entrypoint: "/bin/node_exporter"},
		versions.Operator.Repository:          {Binary: "prometheus-operator", Entrypoint: "/bin/operator"},
		versions.Prometheus.Repository:        {Binary: "prometheus", Entrypoint: "/bin/prometheus"},
		versions.PrometheusAdapter.Repository: {Binary: "prometheus-adapter", Entrypoint: "/adapter"},
		versions.Promtail.Repository:          {Binary: "promtail", Entrypoint: "/usr/bin/promtail"},
		versions.Thanos.Repository:            {Binary: "thanos", Entrypoint: "/bin/thanos"},
	}
}

// images are those of the rendered stack. It prints where the version that is built is not the one that is pinned.
func (l *lab) images() ([]node.Image, error) {
	references, err := stack.Images(l.Dir)
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(filepath.Join(l.Bin, "versions.json"))
	if err != nil {
		return nil, fmt.Errorf("reading the built versions: %w", err)
	}
	var available map[string]string
	if err = json.Unmarshal(content, &available); err != nil {
		return nil, fmt.Errorf("reading the built versions: %w", err)
	}
	images, differences, err := choose(references, available)
	if err != nil {
		return nil, err
	}
	for _, line := range differences {
		fmt.Println(line)
	}
	return images, nil
}

// choose the binary for every reference, by its repository.
func choose(references []string, available map[string]string) (images []node.Image, differences []string, err error) {
	for _, reference := range references {
		colon := strings.LastIndex(reference, ":")
		if colon < 0 {
			return nil, nil, fmt.Errorf("image %s: it has no version", reference)
		}
		image, ok := built()[reference[:colon]]
		if !ok {
			return nil, nil, fmt.Errorf("image %s: nothing that is built here belongs in it", reference)
		}
		image.Ref = reference
		images = append(images, image)
		if pinned, here := strings.TrimPrefix(reference[colon+1:], "v"), available[image.Binary]; pinned != here {
			differences = append(differences, fmt.Sprintf("image %s: the binary in it is built from %s", reference, here))
		}
	}
	return images, differences, nil
}
