// Package verify lets the programs that consume what the stacks render judge it, for every stack file: a real API server, under strict field
// validation and Pod Security admission, takes every object; each program that can be built takes its own configuration and arguments, and
// gets along with its own rights. It runs on Linux, needs no root, and nothing in it leaves the loopback network.
//
// There are no controllers, no scheduler and no kubelet here: whether pods run, and what becomes of metrics and logs, the lab shows.
package verify

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

const project = "../../.."

// labBin is the directory with the programs that judge.
func labBin() string {
	if dir := os.Getenv("LAB_BIN"); dir != "" {
		return dir
	}
	return filepath.Join(project, "bin", "lab")
}

// previewCommand renders a stack. It is the very command that users run, so that what is judged is what they read.
func previewCommand() string {
	if path := os.Getenv("PREVIEW"); path != "" {
		return path
	}
	return filepath.Join(project, "bin", "preview")
}

func TestMain(m *testing.M) {
	_ = flag.Set("test.parallel", "8") // half of the time is waiting
	code := m.Run()
	report.print()
	os.Exit(code)
}

// render brings a stack up against the doubles and returns its objects, secrets plain, in an order in which each can be applied.
func render(t *testing.T, stack string) []*unstructured.Unstructured {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "out")
	command := exec.CommandContext(t.Context(), previewCommand(), "-project", project, "-stack", stack, "-out", dir, "-show-secrets")
	command.Env = append(os.Environ(), "GOGC=400") // memory for time
	output, err := command.CombinedOutput()
	require.NoError(t, err, "rendering stack %s: %s", stack, output)
	files, err := filepath.Glob(filepath.Join(dir, "kubernetes", "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	slices.Sort(files)
	var objects []*unstructured.Unstructured
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		content, err = yaml.YAMLToJSONStrict(content)
		require.NoError(t, err, file)
		object := &unstructured.Unstructured{}
		require.NoError(t, object.UnmarshalJSON(content), file)
		objects = append(objects, object)
	}
	return objects
}

func TestStacks(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(project, "Pulumi.*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		stack := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "Pulumi."), ".yaml")
		t.Run(stack, func(t *testing.T) {
			t.Parallel()
			verify(t, stack)
		})
	}
}

// verify is everything that is checked of one stack. What needs the step before it is skipped when that one failed.
func verify(t *testing.T, stack string) {
	begun := time.Now()
	objects := render(t, stack)
	c := startCluster(t)
	row := &row{stack: stack, objects: len(objects)}
	defer func() { row.time = time.Since(begun); report.add(row) }()

	takenForGranted(t, c, objects)
	if !t.Run("the API server takes every object", func(t *testing.T) { applyAll(t, c, objects) }) {
		return
	}
	t.Run("a second apply changes nothing", func(t *testing.T) { applyAgain(t, c, objects) })

	workloads := workloadsOf(t, objects)
	if !t.Run("programs start", func(t *testing.T) {
		c.resolve(t, objects, workloads)
		startAll(t, c, workloads)
		operated := operatedBy(t, c, objects)
		workloads = append(workloads, operated...)
		startAll(t, c, operated)
	}) {
		return
	}
	row.started = len(c.pods)
	t.Run("Pod Security admits every pod", func(t *testing.T) { row.pods = admitAll(t, c, workloads) })
	t.Run("rights suffice", func(t *testing.T) { row.calls = rightsSuffice(t, c) })
	t.Run("rules and configurations", func(t *testing.T) {
		row.rules, row.configurations = judgeFiles(t, c, objects, workloads)
	})
	row.passed = !t.Failed()
}

// row is what the table says of a stack.
type row struct {
	stack                                                string
	objects, pods, started, calls, rules, configurations int
	time                                                 time.Duration
	passed                                               bool
}

type table struct {
	mu   sync.Mutex
	rows []*row
}

var report table

func (r *table) add(one *row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, one)
}

func (r *table) print() {
	if len(r.rows) == 0 {
		return
	}
	slices.SortFunc(r.rows, func(a, b *row) int { return strings.Compare(a.stack, b.stack) })
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "stack\tobjects applied\tpods admitted\tpods started\tAPI calls, none refused\trules\tconfigurations\ttime\t\t")
	for _, one := range r.rows {
		verdict := "accepted"
		if !one.passed {
			verdict = "REFUSED"
		}
		_, _ = fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%.0fs\t%s\t\n", one.stack, one.objects, one.pods, one.started, one.calls, one.rules,
			one.configurations, one.time.Seconds(), verdict)
	}
	_ = w.Flush()
	fmt.Println("not started here, with the reason:")
	for _, repository := range slices.Sorted(keys(notStarted)) {
		fmt.Printf("  %s: %s\n", repository, notStarted[repository])
	}
}

func keys[V any](of map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for key := range of {
			if !yield(key) {
				return
			}
		}
	}
}

// eventually repeats a check until it succeeds, and gives its last error if it does not in time, or if a program has ended meanwhile.
func eventually(ctx context.Context, limit time.Duration, check func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := check(ctx)
		if err == nil || errors.Is(err, errEnded) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", limit, err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// id names an object in messages.
func id(object *unstructured.Unstructured) string {
	if object.GetNamespace() == "" {
		return object.GetKind() + " " + object.GetName()
	}
	return object.GetKind() + " " + object.GetNamespace() + "/" + object.GetName()
}
