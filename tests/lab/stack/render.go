// Package stack brings what the program deploys onto the lab's node: rendered by the real engine, applied in the order of the program's own
// graph, each object when what it waits for is ready. It does not know how the node is made.
package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/internal/offline"
	"github.com/kansoku/kansoku/internal/program"
)

// Files in the lab's directory.
const (
	// ObjectsFile has what Apply brings up: a list of offline.Object, secrets in plain text.
	ObjectsFile = "objects.json"
	// PoliciesFile has what Policies returns.
	PoliciesFile = "policies.json"
	// CredentialsFile has a Credential by workload, for users with exactly these policies; whoever makes the users writes it.
	CredentialsFile = "credentials.json"
)

const (
	stackName = "local"
	// awsStack is where the program grants workloads their access: the policies are taken from there.
	awsStack = "dev"
	// slackURL is where a test listens as Slack, which would take this channel.
	slackURL     = "http://10.88.0.1:9095/slack"
	slackPort    = 9095
	slackChannel = "#lab"

	blocksKey = "kansoku:blocks"
	chunksKey = "kansoku:chunks"
)

// Render runs the program of a project against the doubles: for stack local, whose objects it writes, and for stack dev with the lab's
// buckets, whose S3 policies it writes.
func Render(ctx context.Context, project, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the directory to render into: %w", err)
	}
	done := make(chan error, 2)
	go func() { done <- renderObjects(ctx, project, dir) }()
	go func() { done <- renderPolicies(ctx, project, dir) }()
	return errors.Join(<-done, <-done)
}

func renderObjects(ctx context.Context, project, dir string) error {
	config, err := settings(project, stackName, "kansoku:monitoring")
	if err != nil {
		return err
	}
	// The channel goes with the address, which only this machine has.
	monitoring := config["kansoku:monitoring"].(map[string]any) // as settings makes it
	if err = unstructured.SetNestedField(monitoring, slackChannel, "alertmanager", "slack", "channel"); err != nil {
		return fmt.Errorf("configuring Slack: %w", err)
	}
	if err = unstructured.SetNestedSlice(monitoring, []any{int64(slackPort)}, "alertmanager", "egressPorts"); err != nil {
		return fmt.Errorf("opening the way to Slack: %w", err)
	}
	if err = unstructured.SetNestedSlice(monitoring, sooner(), "rules", "alerts"); err != nil {
		return fmt.Errorf("configuring alerts: %w", err)
	}
	config["kansoku:slackUrl"] = offline.Secret(slackURL)
	engine, err := up(ctx, project, stackName, config)
	if err != nil {
		return err
	}
	defer engine.Close()
	objects, err := engine.Objects(ctx)
	if err != nil {
		return fmt.Errorf("listing the objects of stack %s: %w", stackName, err)
	}
	return writeJSON(dir, ObjectsFile, objects)
}

// sooner has those alerts fire within minutes that a test provokes. What they ask, and of what, stays as it is shipped.
func sooner() []any {
	var alerts []any
	for _, name := range []string{"DynamoDBErrors", "PodCrashLooping", "TargetDown", "ThanosCompactHalted", "VolumeFull"} {
		alerts = append(alerts, map[string]any{"name": name, "for": "2m"})
	}
	return alerts
}

func renderPolicies(ctx context.Context, project, dir string) error {
	config, err := settings(project, awsStack, blocksKey, chunksKey)
	if err != nil {
		return err
	}
	// Maps, as settings makes them.
	config[blocksKey].(map[string]any)["name"] = "kansoku-blocks"
	config[chunksKey].(map[string]any)["name"] = "kansoku-chunks"
	engine, err := up(ctx, project, awsStack, config)
	if err != nil {
		return err
	}
	defer engine.Close()
	state, err := engine.Export(ctx)
	if err != nil {
		return fmt.Errorf("reading the state of stack %s: %w", awsStack, err)
	}
	found, err := policies(state.Resources, workloads())
	if err != nil {
		return fmt.Errorf("taking the policies from stack %s: %w", awsStack, err)
	}
	return writeJSON(dir, PoliciesFile, found)
}

// up is an engine that has run the program. The caller closes it.
func up(ctx context.Context, project, stack string, config map[string]any) (*offline.Engine, error) {
	engine, err := offline.New(ctx, offline.Options{Project: project, Stack: stack, Program: program.WithKeys, Config: config})
	if err != nil {
		return nil, fmt.Errorf("preparing stack %s: %w", stack, err)
	}
	if _, err := engine.Up(ctx, offline.UpOptions{}); err != nil {
		engine.Close()
		return nil, fmt.Errorf("rendering stack %s: %w", stack, err)
	}
	return engine, nil
}

// settings are objects of a stack file by key, each a map, for an override that changes a part of one.
func settings(project, stack string, keys ...string) (map[string]any, error) {
	name := "Pulumi." + stack + ".yaml"
	content, err := os.ReadFile(filepath.Join(project, name)) //nolint:gosec // a stack file of the project
	if err != nil {
		return nil, fmt.Errorf("reading a stack file: %w", err)
	}
	var file struct {
		Config map[string]any `json:"config"`
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	found := map[string]any{}
	for _, key := range keys {
		value, ok := file.Config[key].(map[string]any)
		if !ok {
			return nil, fmt.Errorf("reading %s: %s is no object", name, key)
		}
		found[key] = value
	}
	return found, nil
}

// Images lists the images that Apply needs, each once, sorted: of every object that is not left out.
func Images(dir string) ([]string, error) {
	var objects []offline.Object
	if err := readJSON(dir, ObjectsFile, &objects); err != nil {
		return nil, err
	}
	var found []string
	for _, object := range objects {
		if leftOut(object.Manifest) == "" {
			found = append(found, images(object.Manifest)...)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// images are those that an object names: in fields called image, as pods and custom resources have them, and as values of flags, which is how
// the operator is told what to put beside its pods.
func images(value any) []string {
	var found []string
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			if image, ok := inner.(string); ok && key == "image" {
				found = append(found, image)
			}
			found = append(found, images(inner)...)
		}
	case []any:
		for _, inner := range value {
			flag, _ := inner.(string)
			_, image, _ := strings.Cut(flag, "=")
			if slices.ContainsFunc(versions.All(), func(known versions.Component) bool { return known.Image() == image }) {
				found = append(found, image)
			}
			found = append(found, images(inner)...)
		}
	}
	return found
}

func writeJSON(dir, name string, content any) error {
	data, err := json.MarshalIndent(content, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding %s: %w", name, err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

func readJSON(dir, name string, into any) error {
	data, err := os.ReadFile(filepath.Join(dir, name)) //nolint:gosec // the lab's own directory
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return nil
}
