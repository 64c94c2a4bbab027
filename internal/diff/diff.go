// Package diff says what merging the working tree would do to the stacks that another commit brought up, by the engine without a cloud, as
// Markdown for a pull request.
package diff

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"gopkg.in/yaml.v3"

	"github.com/kansoku/kansoku/internal/offline"
)

// Options of Run.
type Options struct {
	// Project is the directory of Pulumi.yaml and the stack files in the working tree. Default: the working directory.
	Project string
	// Base is the commit, branch or tag to compare with. Required. Compared is with the commit in which it and the working tree part.
	Base string
	// Stacks to compare. Default: every stack file of either side.
	Stacks []string
	// Program is the working tree's. Required.
	Program func(keys []string) pulumi.RunFunc
	// Tools is the directory with the CLI and the pulumi-eks provider; the program of Base is kept in it. Default: "bin" in Project.
	Tools string
	// Cost estimates a stack. Default: nothing is said of cost.
	Cost Cost
	// Limit is the largest output in bytes, reached by shortening what is folded; 0 for none. GitHub refuses a comment over 65,536 characters.
	Limit int
	// Progress hears what is being done. Default: nothing.
	Progress io.Writer
}

// Cost estimates what a stack costs in a month, in USD, from the stack file in a project's directory; table is plain text. An error is said
// if the base has none, as a stack may have no estimate at all.
type Cost func(project, stack string) (total float64, table string, err error)

// report is what there is to say.
type report struct {
	base, commit string
	stacks       []stack
}

// stack is what merging would do to one stack.
type stack struct {
	name string
	// added and removed say that only one side has a stack file.
	added, removed bool
	// failure is why a side could not be looked at; with whose it is.
	failure string
	own     bool // it is the working tree's
	changes []offline.Change
	// protected are the URNs that an up does not delete.
	protected map[string]bool
	// encrypted are the configuration keys whose ciphertext differs: their content is read on neither side.
	encrypted []string
	cost      *cost
}

type cost struct {
	before  *float64 // nil without an estimate
	after   float64
	table   string
	failure error // of after
}

// Run compares, writes Markdown to w, and returns an error if the working tree's program fails for a stack, after what there is to say of
// the others. A Base that does not build, or that cannot be brought up, is said in the Markdown and no error: it is not this branch's.
func Run(ctx context.Context, options Options, w io.Writer) error {
	if options.Base == "" || options.Program == nil {
		return errors.New("comparing: a base and a program are required")
	}
	if options.Project == "" {
		options.Project = "."
	}
	if options.Tools == "" {
		options.Tools = filepath.Join(options.Project, "bin")
	}
	if options.Progress == nil {
		options.Progress = io.Discard
	}
	if err := offline.CheckTools(options.Tools); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "kansoku-base-")
	if err != nil {
		return fmt.Errorf("making a directory for the base: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b, err := checkOut(ctx, options.Project, options.Base, dir)
	if err != nil {
		return fmt.Errorf("checking out the base: %w", err)
	}
	names, err := stackNames(options.Stacks, options.Project, b.project)
	if err != nil {
		return err
	}
	options.say("building the program of %.12s", b.commit)
	if err := b.build(ctx, filepath.Join(options.Tools, "base")); err != nil {
		return err
	}
	said := report{base: options.Base, commit: b.commit}
	var failed []string
	for _, name := range names {
		one, err := options.compare(ctx, b, name)
		if err != nil {
			return err
		}
		if one.own {
			failed = append(failed, name)
		}
		said.stacks = append(said.stacks, one)
	}
	if _, err := io.WriteString(w, said.markdown(options.Limit)); err != nil {
		return fmt.Errorf("writing the diff: %w", err)
	}
	if len(failed) > 0 {
		return fmt.Errorf("the working tree's program fails for %s", strings.Join(failed, ", "))
	}
	return nil
}

func (o Options) say(format string, args ...any) {
	_, _ = fmt.Fprintf(o.Progress, format+"\n", args...)
}

// stackNames are the stacks asked for, or all that either side has. Sorted.
func stackNames(asked []string, projects ...string) ([]string, error) {
	found := map[string]bool{}
	for _, project := range projects {
		files, err := filepath.Glob(filepath.Join(project, "Pulumi.*.yaml"))
		if err != nil {
			return nil, fmt.Errorf("listing the stack files: %w", err)
		}
		for _, file := range files {
			found[strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "Pulumi."), ".yaml")] = true
		}
	}
	all := slices.Sorted(maps.Keys(found))
	if len(asked) == 0 {
		if len(all) == 0 {
			return nil, errors.New("there is no stack file on either side")
		}
		return all, nil
	}
	for _, name := range asked {
		if !found[name] {
			return nil, fmt.Errorf("neither side has a Pulumi.%s.yaml: there are %s", name, strings.Join(all, ", "))
		}
	}
	return slices.Sorted(slices.Values(asked)), nil
}

// compare brings the stack up as the base has it, and previews the working tree on that.
func (o Options) compare(ctx context.Context, b *base, name string) (stack, error) {
	one := stack{name: name}
	before, err := readEncrypted(b.project, name)
	if one.added = errors.Is(err, os.ErrNotExist); err != nil && !one.added {
		one.failure = "the stack file of the base: " + err.Error()
		return one, nil
	}
	after, err := readEncrypted(o.Project, name)
	if one.removed = errors.Is(err, os.ErrNotExist); err != nil && !one.removed {
		one.failure, one.own = err.Error(), true
		return one, nil
	}
	if one.removed {
		return one, nil
	}
	if !one.added && b.failure != nil {
		one.failure = b.failure.Error()
		return one, nil
	}
	own := offline.Options{Project: o.Project, Stack: name, Program: o.Program, Tools: o.Tools}
	first := own
	if !one.added {
		first.Project, first.Program, first.Executable = b.project, nil, b.executable
		one.encrypted = differing(before, after)
	}
	engine, err := offline.New(ctx, first)
	if err != nil {
		one.failure, one.own = err.Error(), one.added
		return one, ctx.Err()
	}
	defer engine.Close()
	if !one.added {
		o.say("%s: bringing it up as the base has it", name)
		if _, err = engine.Up(ctx, offline.UpOptions{}); err != nil {
			one.failure = err.Error()
			return one, ctx.Err()
		}
		if one.protected, err = engine.Unprotect(ctx); err != nil {
			return one, err
		}
		if err = engine.Load(ctx, own); err != nil {
			one.failure, one.own = err.Error(), true
			return one, ctx.Err()
		}
	}
	o.say("%s: previewing the working tree", name)
	result, err := engine.Preview(ctx)
	if err != nil {
		one.failure, one.own = err.Error(), true
		return one, ctx.Err()
	}
	one.changes = result.PerResource()
	one.cost = o.estimate(b, one)
	return one, nil
}

// estimate is nil without an estimate.
func (o Options) estimate(b *base, one stack) *cost {
	if o.Cost == nil {
		return nil
	}
	found := &cost{}
	if !one.added {
		if before, _, err := o.Cost(b.project, one.name); err == nil {
			found.before = &before
		}
	}
	found.after, found.table, found.failure = o.Cost(o.Project, one.name)
	if found.before == nil && found.failure != nil {
		return nil
	}
	return found
}

// readEncrypted gives the encrypted values of a stack file by key.
func readEncrypted(project, name string) (map[string]string, error) {
	content, err := os.ReadFile(filepath.Join(project, "Pulumi."+name+".yaml")) //nolint:gosec // the caller's project
	if err != nil {
		return nil, fmt.Errorf("reading the stack file: %w", err)
	}
	var file struct {
		Config map[string]yaml.Node `yaml:"config"`
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		return nil, fmt.Errorf("reading the stack file Pulumi.%s.yaml: %w", name, err)
	}
	found := map[string]string{}
	for key, node := range file.Config {
		var value struct {
			Secure string `yaml:"secure"`
		}
		if node.Kind == yaml.MappingNode && node.Decode(&value) == nil && value.Secure != "" {
			found[key] = value.Secure
		}
	}
	return found, nil
}

// differing are the keys that both have and whose values differ: one that comes or goes is a change that the preview shows.
func differing(a, b map[string]string) []string {
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(a)) {
		if value, both := b[key]; both && value != a[key] {
			keys = append(keys, key)
		}
	}
	return keys
}
