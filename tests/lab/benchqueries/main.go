// Command benchqueries prints how long each panel of the dashboards overview and workloads takes over thirty days, with the recording rules
// and without. The series are synthetic, Prometheus is a real one on loopback; it is ended, and its data removed, afterwards.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/kansoku/kansoku/components/collector"
	"github.com/kansoku/kansoku/components/dashboards"
)

const (
	// points that a graph asks for, about as many as it is wide.
	points = 1000
	// runs of each query; the quickest counts.
	runs = 3
	// patience with Prometheus.
	patience = 2 * time.Minute
	cluster  = "bench"
)

type options struct {
	bin  string
	days int
	size size
}

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", "../../bin/lab", "`directory` of prometheus and promtool")
	flag.IntVar(&o.days, "days", 30, "how many days there are")
	flag.IntVar(&o.size.pods, "pods", 40, "how many pods run at once; each lives for a day")
	flag.DurationVar(&o.size.interval, "interval", 2*time.Minute, "between two samples")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench-queries:", err)
		os.Exit(1) //nolint:gocritic // the signal handler needs no end
	}
}

func run(ctx context.Context, o options, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "bench-queries-")
	if err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	end := time.Now().UTC().Truncate(24 * time.Hour)
	begun := time.Now()
	samples := 0
	for day := range o.days {
		n, failed := o.blocks(ctx, dir, end.AddDate(0, 0, day-o.days), day)
		if failed != nil {
			return failed
		}
		samples += n
	}
	_, _ = fmt.Fprintf(out, "%d days of %d samples, written in %s\n", o.days, samples, time.Since(begun).Round(time.Second))
	server, stop, err := o.serve(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	return o.compare(ctx, server, end, out)
}

// blocks writes one day: promtool reads its input once for each block, so that it gets little at a time.
func (o options) blocks(ctx context.Context, dir string, from time.Time, day int) (int, error) {
	path := filepath.Join(dir, "day.txt")
	samples, err := o.size.write(path, from, day)
	if err != nil {
		return 0, err
	}
	//nolint:gosec // our own binary
	output, err := exec.CommandContext(ctx, filepath.Join(o.bin, "promtool"), "tsdb", "create-blocks-from", "openmetrics", "--quiet", path,
		filepath.Join(dir, "data")).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("creating blocks of %s: %w: %s", from.Format(time.DateOnly), err, output)
	}
	return samples, os.Remove(path)
}

// serve starts Prometheus on the blocks, as they are: it does not compact them meanwhile.
func (o options) serve(ctx context.Context, dir string) (server string, stop func() error, err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("looking for a free port: %w", err)
	}
	address := listener.Addr().String()
	if err = listener.Close(); err != nil {
		return "", nil, fmt.Errorf("freeing the port: %w", err)
	}
	config, said := filepath.Join(dir, "prometheus.yaml"), filepath.Join(dir, "output.log")
	if err = os.WriteFile(config, []byte("{}\n"), 0o600); err != nil {
		return "", nil, fmt.Errorf("writing configuration: %w", err)
	}
	output, err := os.Create(said) //nolint:gosec // in our own directory
	if err != nil {
		return "", nil, fmt.Errorf("creating log: %w", err)
	}
	defer func() { _ = output.Close() }()
	//nolint:gosec,noctx // our own binary; stop ends it in order
	command := exec.Command(filepath.Join(o.bin, "prometheus"), "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--storage.tsdb.retention.time=10y", "--storage.tsdb.min-block-duration=2h", "--storage.tsdb.max-block-duration=2h",
		"--web.listen-address="+address, "--log.level=warn")
	command.Stdout, command.Stderr = output, output
	if err = command.Start(); err != nil {
		return "", nil, fmt.Errorf("starting Prometheus: %w", err)
	}
	stop = func() error {
		if failed := command.Process.Signal(syscall.SIGTERM); failed != nil {
			return fmt.Errorf("ending Prometheus: %w", failed)
		}
		_ = command.Wait() // it is ended by a signal
		return nil
	}
	server = "http://" + address
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		if _, err = get(ctx, server+"/-/ready"); err == nil {
			return server, stop, nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			log, _ := os.ReadFile(said) //nolint:gosec // in our own directory
			return "", nil, errors.Join(fmt.Errorf("waiting for Prometheus: %w: %s", err, log), stop())
		}
	}
}

func get(ctx context.Context, target string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, fmt.Errorf("asking: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("reading: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", response.Status, content)
	}
	return content, nil
}

// panel is a panel's queries, by dashboard and title.
type panel struct {
	name    string
	queries []query
}

type query struct {
	expr    string
	instant bool
}

// panels of the two dashboards that ask for metrics.
func panels(noRecords bool, values *strings.Replacer) ([]panel, error) {
	all, err := dashboards.All(dashboards.Options{Collector: collector.Promtail, DynamoDB: true, NoRecords: noRecords})
	if err != nil {
		return nil, err
	}
	var found []panel
	for _, d := range all {
		if !slices.Contains([]string{"overview", "workloads"}, d.Name) {
			continue
		}
		var model struct {
			Panels []struct {
				Title   string
				Targets []struct {
					Datasource struct{ Type string }
					Expr       string
					Instant    bool
				}
			}
		}
		if err = json.Unmarshal([]byte(d.JSON), &model); err != nil {
			return nil, fmt.Errorf("reading dashboard %s: %w", d.Name, err)
		}
		for _, p := range model.Panels {
			one := panel{name: d.Name + " / " + p.Title}
			for _, target := range p.Targets {
				if target.Datasource.Type == "prometheus" {
					one.queries = append(one.queries, query{values.Replace(target.Expr), target.Instant})
				}
			}
			if len(one.queries) > 0 {
				found = append(found, one)
			}
		}
	}
	return found, nil
}

// compare prints a line for each panel.
func (o options) compare(ctx context.Context, server string, end time.Time, out io.Writer) error {
	step := max(time.Duration(o.days)*24*time.Hour/points, time.Minute).Truncate(time.Second)
	// As Grafana makes it of the step and the scrape interval.
	window := max(step+o.size.interval, 4*o.size.interval)
	values := strings.NewReplacer("$cluster", cluster, "$namespace", ".*", "$workload", ".*",
		"$__rate_interval", window.String(), "$__range", strconv.Itoa(o.days)+"d")
	with, err := panels(false, values)
	if err != nil {
		return err
	}
	without, err := panels(true, values)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(table, "panel\tseries\twithout records\twith\tx\t")
	var before, after time.Duration
	for i, p := range with {
		raw, _, err := o.time(ctx, server, without[i], end, step)
		if err != nil {
			return err
		}
		recorded, series, err := o.time(ctx, server, p, end, step)
		if err != nil {
			return err
		}
		before, after = before+raw, after+recorded
		_, _ = fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%.1f\t\n", p.name, series, raw.Round(time.Millisecond), recorded.Round(time.Millisecond),
			raw.Seconds()/recorded.Seconds())
	}
	_, _ = fmt.Fprintf(table, "all, one after the other\t\t%s\t%s\t%.1f\t\n", before.Round(time.Millisecond), after.Round(time.Millisecond),
		before.Seconds()/after.Seconds())
	return table.Flush()
}

// time asks all queries of a panel, one after the other, a few times, and returns the quickest, and how many series there are.
func (o options) time(ctx context.Context, server string, p panel, end time.Time, step time.Duration) (best time.Duration, series int, err error) {
	for range runs {
		begun := time.Now()
		series = 0
		for _, q := range p.queries {
			path, form := "/api/v1/query?", url.Values{"query": {q.expr}, "time": {strconv.FormatInt(end.Add(-time.Minute).Unix(), 10)}}
			if !q.instant {
				path = "/api/v1/query_range?"
				form = url.Values{
					"query": {q.expr}, "step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)}, "end": {strconv.FormatInt(end.Unix(), 10)},
					"start": {strconv.FormatInt(end.AddDate(0, 0, -o.days).Unix(), 10)},
				}
			}
			content, err := get(ctx, server+path+form.Encode())
			if err != nil {
				return 0, 0, fmt.Errorf("%s: %s: %w", p.name, q.expr, err)
			}
			var answer struct {
				Data struct{ Result []json.RawMessage }
			}
			if err = json.Unmarshal(content, &answer); err != nil {
				return 0, 0, fmt.Errorf("%s: reading the answer: %w", p.name, err)
			}
			series += len(answer.Data.Result)
		}
		if took := time.Since(begun); best == 0 || took < best {
			best = took
		}
	}
	return best, series, nil
}
