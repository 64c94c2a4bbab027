package program_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"

	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/internal/offline"
	"github.com/kansoku/kansoku/internal/program"
)

const mirror = "registry.example.com:5000/mirror"

// planned is a shipped stack with some keys of its monitoring changed, and others beside it.
func planned(t *testing.T, stack string, monitoring, config map[string]any) []offline.Resource {
	t.Helper()
	root := filepath.Join("..", "..")
	content, err := os.ReadFile(filepath.Join(root, "Pulumi."+stack+".yaml"))
	require.NoError(t, err)
	var file struct{ Config map[string]any }
	require.NoError(t, yaml.Unmarshal(content, &file))
	all, ok := file.Config["kansoku:monitoring"].(map[string]any)
	require.True(t, ok)
	maps.Copy(all, monitoring)
	override := map[string]any{"kansoku:monitoring": all}
	maps.Copy(override, config)
	made, err := offline.Planned(offline.Options{Project: root, Stack: stack, Program: program.WithKeys, Config: override})
	require.NoError(t, err)
	return made
}

func with(settings, more map[string]any) map[string]any {
	all := map[string]any{}
	maps.Copy(all, settings)
	maps.Copy(all, more)
	return all
}

// TestOneSettingRewritesEveryImage looks at every text of every object, so that no field of a custom resource and no flag is forgotten.
func TestOneSettingRewritesEveryImage(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for stack, settings := range map[string]map[string]any{
		"dev":   nil,
		"local": nil,
		"prod": { // what the others leave out
			"collector": map[string]any{"kind": "alloy"},
			"grafana":   map[string]any{"grafanaCom": []any{map[string]any{"id": 1860, "revision": 37}}},
		},
	} {
		upstream := offline.Images(planned(t, stack, settings, nil))
		require.GreaterOrEqual(t, len(upstream), 12, stack)
		want := []string{}
		for _, image := range upstream {
			seen[image] = true
			want = append(want, versions.Images{Registry: mirror}.Place(image))
		}
		slices.Sort(want)
		moved := planned(t, stack, with(settings, map[string]any{"images": map[string]any{"registry": mirror}}), nil)
		require.Equal(t, want, offline.Images(moved), stack)

		text, err := json.Marshal(moved)
		require.NoError(t, err)
		for _, c := range versions.All() {
			require.NotContains(t, string(text), c.Repository, "%s: upstream's name stands somewhere", stack)
		}
	}
	for _, c := range versions.All() {
		if c != versions.LokiTSDB { // Loki of the other index
			require.True(t, seen[c.Image()], "%s runs in none of these stacks", c.Image())
		}
	}
}

// TestEveryImageIsFound holds offline.Images against the fields that are called image.
func TestEveryImageIsFound(t *testing.T) {
	t.Parallel()
	made := planned(t, "prod", nil, nil)
	found := offline.Images(made)
	var images []string
	var walk func(value any)
	walk = func(value any) {
		switch value := value.(type) {
		case map[string]any:
			for key, inner := range value {
				if text, ok := inner.(string); ok && key == "image" {
					images = append(images, text)
				}
				walk(inner)
			}
		case []any:
			for _, inner := range value {
				walk(inner)
			}
		}
	}
	for _, one := range made {
		if strings.HasPrefix(one.Type, "kubernetes:") {
			walk(one.Inputs)
		}
	}
	require.Greater(t, len(images), 12)
	for _, image := range images {
		require.Contains(t, found, image)
	}
	require.Contains(t, found, versions.ConfigReloader.Image(), "it stands in a flag of the operator")
}

func TestDigestsAndCredentialsReachEveryPod(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("1", 64)
	made := planned(t, "prod",
		map[string]any{"images": map[string]any{"registry": mirror, "digests": map[string]any{
			versions.Prometheus.Image(): digest, versions.Thanos.Image(): digest, versions.ConfigReloader.Image(): digest,
		}}},
		map[string]any{"kansoku:registryCredentials": offline.Secret(`{"auths":{"registry.example.com:5000":{"auth":"eDp5"}}}`)},
	)
	images := offline.Images(made)
	for _, c := range []versions.Component{versions.Prometheus, versions.Thanos, versions.ConfigReloader} {
		require.Contains(t, images, versions.Images{Registry: mirror}.Place(c.Image())+"@"+digest)
		require.NotContains(t, images, versions.Images{Registry: mirror}.Place(c.Image()), "with and without")
	}
	var secrets []string
	pods := 0
	for _, one := range made {
		kind := one.Inputs["kind"]
		spec, _ := one.Inputs["spec"].(map[string]any)
		metadata, _ := one.Inputs["metadata"].(map[string]any)
		if template, ok := spec["template"].(map[string]any); ok {
			spec, _ = template["spec"].(map[string]any)
		}
		switch kind {
		case "Deployment", "StatefulSet", "DaemonSet", "Prometheus", "Alertmanager":
			require.Equal(t, []any{map[string]any{"name": "registry-credentials"}}, spec["imagePullSecrets"], "%s %s", kind, one.Name)
			pods++
		case "Secret":
			if one.Inputs["type"] == "kubernetes.io/dockerconfigjson" {
				require.Equal(t, "registry-credentials", metadata["name"])
				secrets = append(secrets, metadata["namespace"].(string))
			}
		}
	}
	require.Greater(t, pods, 12)
	slices.Sort(secrets)
	require.Equal(t, []string{"monitoring", "monitoring-host"}, secrets)
}

func TestRegistryRefusals(t *testing.T) {
	t.Parallel()
	_, err := program.Load("kansoku", "dev", map[string]string{
		"aws:region": "ap-northeast-1", "kansoku:registryCredentials": "user:password", "kansoku:monitoring": `{"images":{"registry":"mirror"}}`,
	})
	require.ErrorContains(t, err, `kansoku:registryCredentials: must be the JSON of a Docker configuration: {"auths": {"registry.example.com": …}}, got "[secret]"`)
	require.ErrorContains(t, err, `kansoku:monitoring.images.registry: must be a host with a dot or a port`)
	_, err = program.Load("kansoku", "dev", map[string]string{
		"kansoku:registryCredentials": `{"auths":{}}`, "kansoku:monitoring": `{"images":{"pullSecret":"mine"}}`,
	})
	require.ErrorContains(t, err, "kansoku:registryCredentials: must not be set without kansoku:monitoring.images.registry, nor beside its pullSecret")
	require.NotContains(t, err.Error(), "auths\":{}")
}
