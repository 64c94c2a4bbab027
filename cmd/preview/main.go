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

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"github.com/kansoku/kansoku/examples"
	"github.com/kansoku/kansoku/internal/diff"
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
	var render bool
	compared := diff.Options{Program: options.Program, Progress: os.Stderr}
	var example string
	flag.StringVar(&options.Stack, "stack", "dev", "stack whose file Pulumi.<stack>.yaml is read")
	flag.StringVar(&options.Project, "project", ".", "directory of Pulumi.yaml, the stack files and bin/")
	flag.StringVar(&more.Out, "out", "", "directory to write Kubernetes objects (YAML) and AWS resources (JSON) into, from an up against the doubles")
	flag.BoolVar(&more.ShowSecrets, "show-secrets", false, "write secrets into these files, which then only their owner can read")
	flag.BoolVar(&more.CriticalPath, "critical-path", false, "print the critical path of an up, with published creation times")
	flag.BoolVar(&render, "render", false, "only print the Kubernetes objects as YAML, without the engine")
	flag.StringVar(&compared.Base, "diff", "",
		"commit, branch or tag: print as Markdown what merging would do to the stacks that it brought up; all, or that of -stack")
	flag.IntVar(&compared.Limit, "limit", 0, "largest size of that Markdown in bytes, 0 for none")
	flag.StringVar(&example, "example", "", "directory below examples/ whose program and stack file are taken instead")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if compared.Base != "" {
		compared.Project = options.Project
		flag.Visit(func(given *flag.Flag) {
			if given.Name == "stack" {
				compared.Stacks = []string{options.Stack}
			}
		})
		return diff.Run(ctx, compared, os.Stdout)
	}
	if example != "" {
		deploy := examples.Programs[example]
		if deploy == nil {
			return fmt.Errorf("there is no example %q; there are %s", example, strings.Join(slices.Sorted(maps.Keys(examples.Programs)), ", "))
		}
		options.Program = func([]string) pulumi.RunFunc { return deploy }
		options.Tools = filepath.Join(options.Project, "bin")
		options.Project = filepath.Join(options.Project, "examples", example)
	}
	if render {
		_, err := offline.Render(options, os.Stdout)
		return err
	}
	return offline.RunPreview(ctx, options, more)
}

// isTerminal says whether colours make sense.
func isTerminal(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == ""
}
