package offline

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"gopkg.in/yaml.v3"
)

// Secret is a configuration value that is set encrypted.
type Secret string

// stackConfig is the configuration of a stack: plain values as they stand in the file, so that "1.30" stays a string, and secrets.
type stackConfig struct {
	plain   map[string]*yaml.Node
	secrets map[string]string
}

// readStack reads a stack file. Encrypted values need no key: they become placeholders.
func readStack(path string) (stackConfig, error) {
	read := stackConfig{plain: map[string]*yaml.Node{}, secrets: map[string]string{}}
	content, err := os.ReadFile(path) //nolint:gosec // the caller's project
	if err != nil {
		return read, fmt.Errorf("reading the stack file: %w", err)
	}
	var file struct {
		Config      map[string]yaml.Node `yaml:"config"`
		Environment yaml.Node            `yaml:"environment"`
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		return read, fmt.Errorf("reading the stack file %s: %w", filepath.Base(path), err)
	}
	if !file.Environment.IsZero() {
		return read, fmt.Errorf("%s takes values from an environment of Pulumi's service, which cannot be opened without it", filepath.Base(path))
	}
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(file.Config)) {
		value := file.Config[key]
		inline(&value)
		if isSecure(&value) {
			read.secrets[key] = placeholder(key)
			continue
		}
		if at := nestedSecure(&value, key); at != "" {
			errs = append(errs, fmt.Errorf("%s: an encrypted value must be a key of its own, not nested in %s", at, key))
			continue
		}
		read.plain[key] = &value
	}
	return read, errors.Join(errs...)
}

// override replaces values: a Secret, or whatever YAML can express. What the file has encrypted stays a secret.
func (c stackConfig) override(values map[string]any) error {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		_, encrypted := c.secrets[key]
		switch value := values[key].(type) {
		case nil:
			delete(c.plain, key)
			delete(c.secrets, key)
			continue
		case Secret:
			delete(c.plain, key)
			c.secrets[key] = string(value)
			continue
		case string:
			if encrypted {
				c.secrets[key] = value
				continue
			}
		}
		var node yaml.Node
		if err := node.Encode(values[key]); err != nil {
			return fmt.Errorf("encoding the configuration value %s: %w", key, err)
		}
		delete(c.secrets, key)
		c.plain[key] = &node
	}
	return nil
}

// declared fills in the secrets that the project asks for (Pulumi.yaml, config) and the stack does not set, as if it had them encrypted.
func (c stackConfig) declared(project *workspace.Project) {
	for name, declared := range project.Config {
		key := name
		if !strings.Contains(key, ":") {
			key = string(project.Name) + ":" + name
		}
		_, encrypted := c.secrets[key]
		if declared.Secret && declared.Default == nil && declared.Value == nil && c.plain[key] == nil && !encrypted {
			c.secrets[key] = placeholder(key)
		}
	}
}

// keys are all keys that are set, sorted.
func (c stackConfig) keys() []string {
	keys := slices.Collect(maps.Keys(c.plain))
	for key := range c.secrets {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// file renders the stack file with the plain values and what else belongs in it.
func (c stackConfig) file(salt string) ([]byte, error) {
	content := map[string]any{"config": c.plain}
	if salt != "" {
		content["encryptionsalt"] = salt
	}
	rendered, err := yaml.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("rendering the stack file: %w", err)
	}
	return rendered, nil
}

// inline replaces aliases by what they stand for, since a value is written without the anchors around it.
func inline(value *yaml.Node) {
	if value.Kind == yaml.AliasNode {
		*value = *value.Alias
	}
	value.Anchor = ""
	for _, child := range value.Content {
		inline(child)
	}
}

// isSecure says whether a value is an encrypted one: an object with the one key "secure".
func isSecure(value *yaml.Node) bool {
	return value.Kind == yaml.MappingNode && len(value.Content) == 2 && value.Content[0].Value == "secure" &&
		value.Content[1].Kind == yaml.ScalarNode
}

// nestedSecure returns the path of the first encrypted value inside a value, "" if there is none.
func nestedSecure(value *yaml.Node, path string) string {
	if isSecure(value) {
		return path
	}
	for i, child := range value.Content {
		at := path
		switch value.Kind { //nolint:exhaustive // the others have no children of interest
		case yaml.MappingNode:
			if i%2 == 0 {
				continue
			}
			at += "." + value.Content[i-1].Value
		case yaml.SequenceNode:
			at += fmt.Sprintf("[%d]", i)
		}
		if found := nestedSecure(child, at); found != "" {
			return found
		}
	}
	return ""
}

// placeholder stands for an encrypted value, in the shape that its name promises, so that validation accepts it.
func placeholder(key string) string {
	_, name, _ := strings.Cut(key, ":")
	lower := strings.ToLower(name)
	switch {
	case strings.Contains(lower, "kubeconfig"):
		return placeholderKubeconfig
	case strings.Contains(lower, "registry"):
		return `{"auths": {"secret.invalid": {}}}`
	case strings.Contains(lower, "url"), strings.Contains(lower, "webhook"):
		return "https://secret.invalid/" + name
	}
	return "secret-value-of-" + name
}

const placeholderKubeconfig = `apiVersion: v1
kind: Config
current-context: offline
contexts:
  - name: offline
    context: {cluster: offline, user: offline}
clusters:
  - name: offline
    cluster: {server: "https://kubernetes.invalid"}
users:
  - name: offline
    user: {token: secret-value-of-kubeconfig}
`

// flat gives every value as a program's context sees it: scalars as they are written, the rest as JSON.
func (c stackConfig) flat() (map[string]string, error) {
	flat := maps.Clone(c.secrets)
	for key, node := range c.plain {
		if node.Kind == yaml.ScalarNode {
			flat[key] = node.Value
			continue
		}
		var value any
		if err := node.Decode(&value); err != nil {
			return nil, fmt.Errorf("reading the configuration value %s: %w", key, err)
		}
		text, err := json.Marshal(value)
		if err != nil {
			return nil, fmt.Errorf("reading the configuration value %s: %w", key, err)
		}
		flat[key] = string(text)
	}
	return flat, nil
}
