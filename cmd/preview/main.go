// Command preview shows what `pulumi preview` will show for a stack, with the real engine and without an account.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/kansoku/kansoku/internal/cost"
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
	var render, formulas bool
	flag.StringVar(&options.Stack, "stack", "dev", "stack whose file Pulumi.<stack>.yaml is read")
	flag.StringVar(&options.Project, "project", ".", "directory of Pulumi.yaml, the stack files and bin/")
	flag.StringVar(&more.Out, "out", "", "directory to write Kubernetes objects (YAML) and AWS resources (JSON) into, from an up against the doubles")
	flag.BoolVar(&more.ShowSecrets, "show-secrets", false, "write secrets into these files, which then only their owner can read")
	flag.BoolVar(&more.CriticalPath, "critical-path", false, "print the critical path of an up, with published creation times")
	flag.BoolVar(&render, "render", false, "only print the Kubernetes objects as YAML, without the engine")
	flag.BoolVar(&formulas, "cost", false, "only print what the stack costs a month, each line with its formula, without the engine")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if render {
		_, err := offline.Render(options, os.Stdout)
		return err
	}
	bill, err := estimate.Of(options.Project, options.Stack)
	if formulas {
		if err != nil {
			return fmt.Errorf("estimating the cost of stack %s: %w", options.Stack, err)
		}
		fmt.Print(bill.Formulas())
		return nil
	}
	if failed := offline.RunPreview(ctx, options, more); failed != nil {
		return failed
	}
	if err != nil { // what it would cost is no reason to refuse a preview
		fmt.Print("\n", cost.Describe(options.Stack, err))
		return nil
	}
	fmt.Printf("\n%s  each line with its formula: make cost STACK=%s\n", bill.Table(), options.Stack)
	return nil
}

// isTerminal says whether colours make sense.
func isTerminal(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == ""
}
