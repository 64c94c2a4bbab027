package offline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

// marker is the file by which a directory is known as ours; it lists the files that were written, one a line.
const marker = ".kansoku-preview"

// ExportOptions of WriteFiles.
type ExportOptions struct {
	// Dir receives the files; made if missing. It must be empty or hold an earlier export.
	Dir string
	// ShowSecrets writes secrets in plain text, into files that only their owner reads. Default: "[secret]".
	ShowSecrets bool
}

// WriteFiles writes what the last up made: kubernetes/NNN-kind-name.yaml in an order in which the objects can be applied,
// aws/type-name.json with inputs and outputs, outputs.json with the stack's outputs. The same state gives the same bytes.
func (e *Engine) WriteFiles(ctx context.Context, options ExportOptions) error {
	deployment, err := e.exportPlain(ctx)
	if err != nil {
		return err
	}
	return writeDeployment(deployment, options)
}

// Object is one Kubernetes object of a program.
type Object struct {
	// URN of the resource.
	URN string `json:"urn"`
	// Needs are the URNs of the Kubernetes objects that it waits for, directly or through something else. Sorted.
	Needs []string `json:"needs,omitempty"`
	// Manifest is what is applied, secrets in plain text.
	Manifest map[string]any `json:"manifest"`
}

// Objects are the Kubernetes objects that the last up made, in an order in which each can be applied.
func (e *Engine) Objects(ctx context.Context) ([]Object, error) {
	deployment, err := e.exportPlain(ctx)
	if err != nil {
		return nil, err
	}
	return objects(deployment), nil
}

func objects(deployment *apitype.DeploymentV3) []Object {
	found := manifests(deployment, true)
	applied := map[string]bool{}
	for _, one := range found {
		applied[one.urn] = true
	}
	g := newGraph(deployment)
	all := make([]Object, len(found))
	for i, one := range found {
		all[i] = Object{URN: one.urn, Needs: g.nearest(one.urn, applied), Manifest: one.object}
	}
	return all
}

func writeDeployment(deployment *apitype.DeploymentV3, options ExportOptions) error {
	files, err := render(deployment, options.ShowSecrets)
	if err != nil {
		return err
	}
	if err := clearAway(options.Dir); err != nil {
		return err
	}
	return write(files, options)
}

// render gives the content of every file by its path.
func render(deployment *apitype.DeploymentV3, show bool) (map[string][]byte, error) {
	files := map[string][]byte{}
	objects := manifests(deployment, show)
	digits := max(3, len(fmt.Sprint(len(objects))))
	for i, one := range objects {
		content, err := one.yaml()
		if err != nil {
			return nil, err
		}
		files[fmt.Sprintf("kubernetes/%0*d-%s-%s.yaml", digits, i+1, fileName(one.kind), fileName(one.name))] = content
	}
	g := newGraph(deployment)
	for _, urn := range g.urns {
		one := g.resources[urn]
		switch {
		case strings.HasPrefix(string(one.Type), "aws:"):
			content, err := renderAWS(one, show)
			if err != nil {
				return nil, err
			}
			files[free(files, "aws/"+shortType(string(one.Type))+"-"+fileName(one.URN.Name()))] = content
		case one.Type == "pulumi:pulumi:Stack":
			content, err := asJSON(reveal(nonNil(one.Outputs), show))
			if err != nil {
				return nil, err
			}
			files["outputs.json"] = content
		}
	}
	return files, nil
}

func renderAWS(one *apitype.ResourceV3, show bool) ([]byte, error) {
	content := map[string]any{
		"urn": one.URN, "type": one.Type, "id": one.ID,
		"inputs": reveal(nonNil(one.Inputs), show), "outputs": reveal(nonNil(one.Outputs), show),
	}
	if one.External {
		content["existing"] = true // read, not created
	}
	if one.Protect {
		content["protected"] = true
	}
	return asJSON(content)
}

func nonNil(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// asJSON sorts keys and keeps "<", ">" and "&" readable.
func asJSON(content any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(content); err != nil {
		return nil, fmt.Errorf("rendering JSON: %w", err)
	}
	return b.Bytes(), nil
}

// shortType makes "ec2-vpc" of "aws:ec2/vpc:Vpc".
func shortType(token string) string {
	parts := strings.Split(token, ":")
	return fileName(strings.ReplaceAll(parts[1], "/", "-"))
}

var unfit = regexp.MustCompile(`[^a-z0-9.-]+`)

// fileName makes any name fit for a file system that folds case.
func fileName(s string) string { return unfit.ReplaceAllString(strings.ToLower(s), "-") }

// free returns the first of "base.json", "base-2.json", ... that is not taken: two resources of one type and name may have different parents.
func free(taken map[string][]byte, base string) string {
	path := base + ".json"
	for i := 2; taken[path] != nil; i++ {
		path = fmt.Sprintf("%s-%d.json", base, i)
	}
	return path
}

// clearAway removes the files of an earlier export. A directory that holds anything else and no marker is refused.
func clearAway(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the directory to write into: %w", err)
	}
	listed, err := os.ReadFile(filepath.Join(dir, marker)) //nolint:gosec // the caller's directory
	if err != nil {
		return fmt.Errorf("refusing to write into %s: it is not empty, and no earlier preview wrote it (it holds no %s)", dir, marker)
	}
	for name := range strings.SplitSeq(strings.TrimSpace(string(listed)), "\n") {
		if name == "" || !filepath.IsLocal(name) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("removing a file of an earlier preview: %w", err)
		}
	}
	return nil
}

func write(files map[string][]byte, options ExportOptions) error {
	fileMode, dirMode := os.FileMode(0o644), os.FileMode(0o755)
	if options.ShowSecrets {
		fileMode, dirMode = 0o600, 0o700
	}
	names := sortedKeys(files)
	// The marker comes first: whatever is interrupted after it can be cleared away.
	content := map[string][]byte{marker: []byte(strings.Join(names, "\n") + "\n")}
	for _, name := range append([]string{marker}, names...) {
		if files[name] != nil {
			content[name] = files[name]
		}
		path := filepath.Join(options.Dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
			return fmt.Errorf("making the directory of an export: %w", err)
		}
		// A file that is already there would keep its mode.
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("replacing a file of an earlier export: %w", err)
		}
		if err := os.WriteFile(path, content[name], fileMode); err != nil {
			return fmt.Errorf("writing an export: %w", err)
		}
	}
	return nil
}
