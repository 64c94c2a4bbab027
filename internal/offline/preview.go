package offline

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

// PreviewOptions of RunPreview.
type PreviewOptions struct {
	// Out is the directory for the files of an up; empty for none.
	Out string
	// ShowSecrets writes secrets into these files.
	ShowSecrets bool
	// CriticalPath prints the critical path of an up after it.
	CriticalPath bool
}

// RunPreview shows the engine's preview on options.Output, then counts. With files or the critical path it also brings the stack up against
// the doubles, without a word unless that fails.
func RunPreview(ctx context.Context, options Options, more PreviewOptions) error {
	engine, err := New(ctx, options)
	if err != nil {
		return err
	}
	defer engine.Close()
	result, err := engine.Preview(ctx)
	if err != nil {
		return err
	}
	printCounts(options.Output, options.Stack, result)
	if more.Out == "" && !more.CriticalPath {
		return nil
	}
	engine.options.Output = nil
	if _, err := engine.Up(ctx, UpOptions{}); err != nil {
		return err
	}
	if more.Out != "" {
		if err := engine.WriteFiles(ctx, ExportOptions{Dir: more.Out, ShowSecrets: more.ShowSecrets}); err != nil {
			return err
		}
		_, _ = fmt.Fprintf(options.Output, "\nwritten to %s, from an up against the doubles\n", more.Out)
	}
	if more.CriticalPath {
		deployment, err := engine.Export(ctx)
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(options.Output, "\n%s", CriticalPath(deployment))
	}
	return nil
}

// printCounts ends a preview: resources by type, most first, and in all.
func printCounts(w io.Writer, stack string, result *Result) {
	types := result.Types()
	tokens := sortedKeys(types)
	slices.SortStableFunc(tokens, func(a, b string) int { return cmp.Compare(types[b], types[a]) })
	var b strings.Builder
	b.WriteString("\nResources by type:\n")
	for _, token := range tokens {
		fmt.Fprintf(&b, "  %4d  %s\n", types[token], token)
	}
	fmt.Fprintf(&b, "  %4d  in all, stack %s\n", result.Resources(), stack)
	_, _ = io.WriteString(w, b.String())
}
