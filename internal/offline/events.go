package offline

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Step is one thing that the engine did, or in a preview would do.
type Step struct {
	// Op is the engine's word: "same", "create", "update", "delete", "replace", "create-replacement", "delete-replaced", "read", "refresh".
	Op string
	// URN, Type ("aws:s3/bucket:Bucket") and Name of the resource.
	URN, Type, Name string
	// Replaces are the properties that force a replacement.
	Replaces []string
	// Diff are the properties that changed, sorted.
	Diff []string

	old, fresh *apitype.StepEventStateMetadata
	forces     []string // the paths in Diff that force a replacement
}

// Result is what one operation of the engine did.
type Result struct {
	// Changes counts the resources by operation, as the engine's own summary does.
	Changes map[string]int
	// Steps in the order in which they began, without those of default providers.
	Steps []Step
	// Failed are the steps that ended in an error.
	Failed []Step
	// Errors and Warnings are the engine's diagnostics, without colours.
	Errors, Warnings []string
}

// Of returns the steps with one of these operations.
func (r *Result) Of(ops ...string) []Step {
	var found []Step
	for _, step := range r.Steps {
		if slices.Contains(ops, step.Op) {
			found = append(found, step)
		}
	}
	return found
}

// Changed returns the steps that are not "same", "read" or "refresh": none of them in a run that changes nothing.
func (r *Result) Changed() []Step {
	var found []Step
	for _, step := range r.Steps {
		if !slices.Contains([]string{"same", "read", "refresh"}, step.Op) {
			found = append(found, step)
		}
	}
	return found
}

// Types counts the resources that exist after the operation, or would exist, by type.
func (r *Result) Types() map[string]int {
	counted := map[string]bool{}
	types := map[string]int{}
	for _, step := range r.Steps {
		if strings.HasPrefix(step.Op, "delete") || strings.HasPrefix(step.Op, "discard") || counted[step.URN] {
			continue
		}
		counted[step.URN] = true
		types[step.Type]++
	}
	return types
}

// Resources counts the resources that exist after the operation, or would exist.
func (r *Result) Resources() int {
	total := 0
	for _, count := range r.Types() {
		total += count
	}
	return total
}

// collector gathers a Result from the engine's events.
type collector struct {
	channel chan events.EngineEvent
	done    chan struct{}

	mu     sync.Mutex
	result Result
}

func collect() *collector {
	c := &collector{channel: make(chan events.EngineEvent), done: make(chan struct{}), result: Result{Changes: map[string]int{}}}
	go func() {
		defer close(c.done)
		for event := range c.channel {
			c.add(event.EngineEvent)
		}
	}()
	return c
}

// end returns what was gathered. The stream never ends if the tool fails before it has opened it, so the wait has a limit.
func (c *collector) end() *Result {
	select {
	case <-c.done:
	case <-time.After(time.Second):
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	gathered := c.result
	return &gathered
}

// colours are the engine's markup in diagnostics.
var colours = regexp.MustCompile(`<\{%[^%]*%\}>`)

func (c *collector) add(event apitype.EngineEvent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case event.ResourcePreEvent != nil:
		if step, shown := newStep(event.ResourcePreEvent.Metadata); shown {
			c.result.Steps = append(c.result.Steps, step)
		}
	case event.ResOpFailedEvent != nil:
		step, _ := newStep(event.ResOpFailedEvent.Metadata)
		c.result.Failed = append(c.result.Failed, step)
	case event.DiagnosticEvent != nil:
		c.diagnose(event.DiagnosticEvent)
	case event.SummaryEvent != nil:
		for op, count := range event.SummaryEvent.ResourceChanges {
			c.result.Changes[string(op)] = count
		}
	}
}

func (c *collector) diagnose(event *apitype.DiagnosticEvent) {
	message := strings.TrimSpace(colours.ReplaceAllString(event.Message, ""))
	if name := resource.URN(event.URN); event.URN != "" && name.Name() != "" {
		message = fmt.Sprintf("%s (%s): %s", name.Type().DisplayName(), name.Name(), message)
	}
	switch event.Severity {
	case "error":
		c.result.Errors = append(c.result.Errors, message)
	case "warning":
		c.result.Warnings = append(c.result.Warnings, message)
	}
}

// newStep leaves out default providers, as the engine's own display does.
func newStep(metadata apitype.StepEventMetadata) (Step, bool) {
	step := Step{
		Op: string(metadata.Op), URN: metadata.URN, Type: metadata.Type, Name: resource.URN(metadata.URN).Name(), Replaces: metadata.Keys,
	}
	if ways[step.Op] != "" { // the rest is most of a stack, and nobody looks at it
		step.old, step.fresh = metadata.Old, metadata.New
	}
	for property, change := range metadata.DetailedDiff {
		step.Diff = append(step.Diff, property)
		if strings.HasSuffix(string(change.Kind), "-replace") {
			step.forces = append(step.forces, property)
		}
	}
	if len(step.Diff) == 0 {
		step.Diff = slices.Clone(metadata.Diffs)
	}
	slices.Sort(step.Diff)
	slices.Sort(step.forces)
	isDefault := strings.HasPrefix(step.Type, "pulumi:providers:") && strings.HasPrefix(step.Name, "default")
	return step, !isDefault
}
