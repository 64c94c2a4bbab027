// Command preview shows what `pulumi preview` will show for a stack, with the real engine and without an account.
package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/components/loki"
	"github.com/kansoku/kansoku/components/versions"
	"github.com/kansoku/kansoku/examples"
	"github.com/kansoku/kansoku/internal/cost"
	"github.com/kansoku/kansoku/internal/diff"
	"github.com/kansoku/kansoku/internal/estimate"
	"github.com/kansoku/kansoku/internal/offline"
	"github.com/kansoku/kansoku/internal/program"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "preview:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	options := offline.Options{Program: program.WithKeys, Output: os.Stdout, Colour: isTerminal(os.Stdout)}
	var more offline.PreviewOptions
	var render, formulas, images bool
	var day, example string
	compared := diff.Options{Program: options.Program, Cost: estimateOf, Progress: os.Stderr}
	flag.StringVar(&options.Stack, "stack", "dev", "stack whose file Pulumi.<stack>.yaml is read")
	flag.StringVar(&options.Project, "project", ".", "directory of Pulumi.yaml, the stack files and bin/")
	flag.StringVar(&more.Out, "out", "", "directory to write Kubernetes objects (YAML) and AWS resources (JSON) into, from an up against the doubles")
	flag.BoolVar(&more.ShowSecrets, "show-secrets", false, "write secrets into these files, which then only their owner can read")
	flag.BoolVar(&more.CriticalPath, "critical-path", false, "print the critical path of an up, with published creation times")
	flag.StringVar(&example, "example", "", "directory below examples/ whose program and stack file are taken instead")
	flag.BoolVar(&render, "render", false, "only print the Kubernetes objects as YAML, without the engine")
	flag.BoolVar(&formulas, "cost", false, "only print what the stack costs a month, each line with its formula, without the engine")
	flag.BoolVar(&images, "images", false, "only print the images that the stack runs, and where its registry has them, without the engine")
	flag.StringVar(&day, "migrate-tsdb", "", "only print the schema that moves the index of logs from DynamoDB to TSDB from this day on")
	flag.StringVar(&compared.Base, "diff", "",
		"commit, branch or tag: print as Markdown what merging would do to the stacks that it brought up; all, or that of -stack")
	flag.IntVar(&compared.Limit, "limit", 0, "largest size of that Markdown in bytes, 0 for none")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	case compared.Base != "":
		compared.Project = options.Project
		flag.Visit(func(given *flag.Flag) {
			if given.Name == "stack" {
				compared.Stacks = []string{options.Stack}
			}
		})
		return diff.Run(ctx, compared, os.Stdout)
	case example != "":
		return previewExample(ctx, options, more, example)
	case render:
		_, err := offline.Render(options, os.Stdout)
		return err
	case day != "":
		return printMigration(options, day)
	case images:
		return printImages(options)
	case formulas:
		bill, err := estimate.Of(options.Project, options.Stack)
		if err != nil {
			return fmt.Errorf("estimating the cost of stack %s: %w", options.Stack, err)
		}
		fmt.Print(bill.Formulas())
		return nil
	}
	if err := offline.RunPreview(ctx, options, more); err != nil {
		return err
	}
	bill, err := estimate.Of(options.Project, options.Stack)
	if err != nil { // what it would cost is no reason to refuse a preview
		fmt.Print("\n", cost.Describe(options.Stack, err))
		return nil
	}
	fmt.Printf("\n%s  each line with its formula: make cost STACK=%s\n", bill.Table(), options.Stack)
	return nil
}

// estimateOf is what a comparison says of cost.
func estimateOf(project, stack string) (float64, string, error) {
	bill, err := estimate.Of(project, stack)
	if err != nil {
		return 0, "", err
	}
	return bill.Total(), bill.Table(), nil
}

func previewExample(ctx context.Context, options offline.Options, more offline.PreviewOptions, name string) error {
	deploy := examples.Programs[name]
	if deploy == nil {
		return fmt.Errorf("there is no example %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(examples.Programs)), ", "))
	}
	options.Program = func([]string) pulumi.RunFunc { return deploy }
	options.Tools = filepath.Join(options.Project, "bin")
	options.Project = filepath.Join(options.Project, "examples", name)
	return offline.RunPreview(ctx, options, more)
}

// printImages prints an image a line; with a registry, upstream's name and the name there. How to copy them goes to the error output.
func printImages(options offline.Options) error {
	planned, err := offline.Planned(options)
	if err != nil {
		return err
	}
	cfg, err := load(options)
	if err != nil {
		return err
	}
	upstream := map[string]string{}
	for _, c := range versions.All() {
		upstream[cfg.Monitoring.Images.Place(c.Image())] = c.Image()
	}
	registry := cfg.Monitoring.Images.Registry
	for _, image := range offline.Images(planned) {
		from := upstream[image]
		if from == "" || registry == "" {
			fmt.Println(image)
			continue
		}
		to, digest, pinned := strings.Cut(image, "@")
		if pinned {
			from += "@" + digest
		}
		fmt.Println(from, to)
	}
	if registry == "" {
		fmt.Fprintln(os.Stderr, "To run them from a registry of your own, set kansoku:monitoring.images.registry: docs/private-registry.md")
		return nil
	}
	fmt.Fprintf(os.Stderr, "make -s images STACK=%s | while read -r from to; do crane copy \"$from\" \"$to\"; done\n", options.Stack)
	return nil
}

func load(options offline.Options) (*program.Config, error) {
	name, values, err := offline.Configuration(options)
	if err != nil {
		return nil, err
	}
	return program.Load(name, options.Stack, values)
}

// printMigration prints what goes into the stack file, and when the table may go.
func printMigration(options offline.Options, day string) error {
	cfg, err := load(options)
	if err != nil {
		return err
	}
	if cfg.Monitoring.Loki == nil {
		return fmt.Errorf("stack %s keeps no logs: it has no kansoku:monitoring.loki", options.Stack)
	}
	schema, err := loki.MigrateToTSDB(cfg.Monitoring.Loki.Schema, day, time.Now())
	if err != nil {
		return fmt.Errorf("moving the index of stack %s to TSDB: %w", options.Stack, err)
	}
	fmt.Printf("# kansoku:monitoring.loki in Pulumi.%s.yaml; bring it up before %s 00:00 UTC\nschema:\n", options.Stack, day)
	for _, period := range schema {
		fmt.Printf("  - {from: %q, index: %s, version: %s}\n", period.From, period.Index, period.Version)
	}
	kept := time.Duration(cfg.Chunks.ExpireDays) * 24 * time.Hour
	if gone, known := loki.IndexNeededUntil(schema, kept); known {
		fmt.Printf("# The dynamodb periods, and the table with them, may go from %s on: docs/dynamodb-to-tsdb.md\n", gone.Format(time.DateOnly))
		return nil
	}
	fmt.Println("# The table may never go while logs are kept for ever: kansoku:chunks.expireDays says how long (docs/dynamodb-to-tsdb.md)")
	return nil
}

// isTerminal says whether colours make sense.
func isTerminal(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == ""
}
