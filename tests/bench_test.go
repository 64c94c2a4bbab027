package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/components/monitoring"
	"github.com/kansoku/kansoku/components/objectstore"
	"github.com/kansoku/kansoku/components/operator"
	"github.com/kansoku/kansoku/components/prometheus"
	"github.com/kansoku/kansoku/infra"
	"github.com/kansoku/kansoku/internal/mocks"
	"github.com/kansoku/kansoku/internal/offline"
	"github.com/kansoku/kansoku/internal/program"
)

// process runs the preview command as users do, and reports its memory beside the time.
func process(b *testing.B, args ...string) {
	b.Helper()
	command := filepath.Join(project, "bin", "preview")
	if _, err := os.Stat(command); err != nil {
		b.Skip("`make bench` builds bin/preview")
	}
	var largest int64
	for b.Loop() {
		run := exec.CommandContext(b.Context(), command, append([]string{"-project", project}, args...)...)
		if out, err := run.CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		usage, ok := run.ProcessState.SysUsage().(*syscall.Rusage)
		if !ok {
			b.Fatal("no resource usage on this system")
		}
		largest = max(largest, kibibytes(usage.Maxrss))
	}
	b.ReportMetric(float64(largest)/1024, "MB-peak")
}

// kibibytes of a peak, which Linux gives in KiB and Darwin in bytes.
func kibibytes(maxrss int64) int64 {
	if runtime.GOOS == "darwin" {
		return maxrss / 1024
	}
	return maxrss
}

func BenchmarkPreview(b *testing.B) {
	for _, stack := range []string{"dev", "prod"} {
		b.Run(stack, func(b *testing.B) { process(b, "-stack", stack) })
	}
}

// BenchmarkRender is the whole process that prints every Kubernetes object as YAML without the engine.
func BenchmarkRender(b *testing.B) { process(b, "-stack", "prod", "-render") }

// BenchmarkConstructor is the cost of each component's constructor, with mocks in place of the engine.
func BenchmarkConstructor(b *testing.B) {
	blocks := objectstore.Location{Bucket: pulumi.String("blocks"), Region: pulumi.String("eu-west-1")}
	namespace := pulumi.String("monitoring")
	for name, construct := range map[string]func(ctx *pulumi.Context) error{
		"network": func(ctx *pulumi.Context) error {
			_, err := infra.NewNetwork(ctx, "network", &infra.NetworkArgs{
				NetworkSettings: infra.NetworkSettings{Zones: []string{"eu-west-1a", "eu-west-1b", "eu-west-1c"}},
				Region:          "eu-west-1", ClusterName: "bench",
			})
			return err
		},
		"bucket": func(ctx *pulumi.Context) error {
			_, err := infra.NewBucket(ctx, "blocks", &infra.BucketArgs{DefaultName: "bench-blocks", Region: "eu-west-1"})
			return err
		},
		"table": func(ctx *pulumi.Context) error {
			_, err := infra.NewTable(ctx, "index", &infra.TableArgs{DefaultName: "bench-index"})
			return err
		},
		"operator": func(ctx *pulumi.Context) error {
			_, err := operator.New(ctx, "operator", &operator.Args{Namespace: namespace})
			return err
		},
		"crds": func(ctx *pulumi.Context) error {
			_, err := operator.NewCRDs(ctx, "crds")
			return err
		},
		"prometheus": func(ctx *pulumi.Context) error {
			_, err := prometheus.New(ctx, "prometheus", &prometheus.Args{Namespace: namespace, Cluster: "bench", Blocks: blocks})
			return err
		},
		"monitoring": func(ctx *pulumi.Context) error {
			_, err := monitoring.New(ctx, "monitoring", &monitoring.Args{Cluster: "bench", Blocks: blocks, ExistingCRDs: true})
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			resources := 0
			for b.Loop() {
				recorder := &mocks.Recorder{}
				if err := recorder.RunErr(construct); err != nil {
					b.Fatal(err)
				}
				resources = len(recorder.All())
			}
			b.ReportMetric(float64(resources), "resources")
		})
	}
}

// TestTheRenderedObjectsAreThoseOfTheStack holds what BenchmarkRender measures against what the engine deploys.
func TestTheRenderedObjectsAreThoseOfTheStack(t *testing.T) {
	t.Parallel()
	everyStackFile(t, func(t *testing.T, stack string) {
		want := len(stateOf(t, stack).ofType("kubernetes:"))
		var out strings.Builder
		got, err := offline.Render(offline.Options{Project: project, Stack: stack, Program: program.WithKeys}, &out)
		require.NoError(t, err)
		assert.Equal(t, want, got)
		assert.Equal(t, want, strings.Count("\n"+out.String(), "\n---\n"))
	})
}
