package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/yaml"
)

const (
	// tick is how often lines are sent: several times between two looks of Loki whether a chunk is to be written.
	tick = 25 * time.Millisecond
	// maxLag is how late the sender may be, in the day's time: half of the shortest silence after which a chunk is written.
	maxLag = 15 * time.Minute
)

type options struct {
	bin, dir string
	seed     uint64
	day      time.Duration
	set      []string // changes of our configuration
	set3     []string // the same for replication factor 3 only
}

// bench is one comparison.
type bench struct {
	options
	out     io.Writer
	version string    // of Loki
	start   time.Time // of the day
	stores  []*process
	setups  []*setup
}

// setup is one configuration of Loki, and what came of it.
type setup struct {
	name     string
	replicas int
	config   func(to stores) (config, error)
	labels   func(l *life, stderr bool) map[string]string

	processes []*process
	counts    counts
	lines     int
	bytes     int64
	lag       time.Duration
}

// key tells setups apart: "ours-3" is ours at replication factor 3. Buckets, tables and processes are called so.
func (s *setup) key() string { return fmt.Sprintf("%s-%d", s.name, s.replicas) }

func (b *bench) newSetups() {
	names := ourLabels()
	some := func(l *life, stderr bool) map[string]string {
		known, chosen := l.labels(stderr), map[string]string{}
		for _, name := range names {
			chosen[name] = known[name]
		}
		return chosen
	}
	changed := func(replicas int, changes []string) func(to stores) (config, error) {
		return func(to stores) (config, error) {
			c, err := ours(replicas, to)
			if err != nil {
				return nil, err
			}
			for _, one := range changes {
				path, text, _ := strings.Cut(one, "=")
				var value any
				err = errors.Join(err, yaml.Unmarshal([]byte(text), &value), c.set(path, value))
			}
			return c, err
		}
	}
	b.setups = []*setup{
		{name: "2020", replicas: 1, config: theirs, labels: (*life).labels2020},
		{name: "ours", replicas: 1, config: changed(1, b.set), labels: some},
		{name: "ours", replicas: 3, config: changed(3, slices.Concat(b.set, b.set3)), labels: some},
	}
}

func (b *bench) factor() float64 { return float64(dayLength) / float64(b.day) }

func (b *bench) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.out, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

func (b *bench) run(ctx context.Context) error {
	// Yesterday, because Loki takes no lines from the future.
	b.start = time.Now().UTC().Truncate(dayLength).Add(-dayLength)
	for _, path := range []*string{&b.bin, &b.dir} {
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return fmt.Errorf("finding %s: %w", *path, err)
		}
		*path = absolute
	}
	pinned, err := os.ReadFile(filepath.Join(b.bin, "versions.json"))
	if err != nil {
		return fmt.Errorf("finding the version of Loki: %w", err)
	}
	built := map[string]string{}
	if err = json.Unmarshal(pinned, &built); err != nil {
		return fmt.Errorf("finding the version of Loki: %w", err)
	}
	b.version = built["loki"]
	b.newSetups()
	b.say("starting stores")
	if err = b.startStores(ctx); err != nil {
		return err
	}
	b.say("starting Loki")
	if err = b.each(func(s *setup) error { return b.startLoki(ctx, s) }); err != nil {
		return err
	}
	if err = b.each(func(s *setup) error { return s.ready(ctx) }); err != nil {
		return err
	}
	b.say("sending the lines of 24 hours in %s", b.day)
	sending, cancel := context.WithCancel(ctx)
	go b.progress(sending)
	err = b.each(func(s *setup) error {
		one := b.send(sending, s)
		if one != nil {
			cancel() // the others have nothing to be compared with
		}
		return one
	})
	cancel()
	if err != nil {
		return err
	}
	b.say("flushing what is not written yet, and looking for every line")
	return b.each(func(s *setup) error { return s.flush(ctx, b.start.Add(dayLength)) })
}

// all does something with each at the same time.
func all[T any](of []T, do func(one T) error) error {
	errs := make([]error, len(of))
	var group sync.WaitGroup
	for i, one := range of {
		group.Go(func() { errs[i] = do(one) })
	}
	group.Wait()
	return errors.Join(errs...)
}

// each does something with all setups, and says whose errors there are.
func (b *bench) each(do func(s *setup) error) error {
	return all(b.setups, func(s *setup) error {
		if err := do(s); err != nil {
			return fmt.Errorf("%s: %w", s.key(), err)
		}
		return nil
	})
}

// stop ends Loki before its stores.
func (b *bench) stop() error {
	var loki []*process
	for _, s := range b.setups {
		loki = append(loki, s.processes...)
	}
	return errors.Join(all(loki, (*process).stop), all(b.stores, (*process).stop))
}

// startStores starts MinIO with the buckets and dynalite with the tables.
func (b *bench) startStores(ctx context.Context) error {
	minio, err := newProcess(ctx, b.dir, "minio")
	if err != nil {
		return err
	}
	data := filepath.Join(minio.dir, "data")
	for _, s := range b.setups {
		// To MinIO a directory is a bucket.
		if err = os.MkdirAll(filepath.Join(data, s.key()), 0o700); err != nil {
			return fmt.Errorf("making a bucket: %w", err)
		}
	}
	b.stores = append(b.stores, minio)
	err = minio.start([]string{"MINIO_ROOT_USER=" + accessKey, "MINIO_ROOT_PASSWORD=" + secretKey, "MINIO_BROWSER=off", "MINIO_UPDATE=off"},
		filepath.Join(b.bin, "minio"), "server", "--quiet", "--address", fmt.Sprintf("%s:%d", loopback, minio.http), data)
	if err != nil {
		return err
	}
	dynalite, err := newProcess(ctx, b.dir, "dynalite")
	if err != nil {
		return err
	}
	server := filepath.Join(b.bin, "dynalite", "server.js")
	b.stores = append(b.stores, dynalite)
	if err = dynalite.start(nil, "node", server, fmt.Sprintf("%s:%d", loopback, dynalite.http)); err != nil {
		return err
	}
	if err = minio.until(ctx, "to be ready", func() error { return minio.answers(ctx, "/minio/health/ready") }); err != nil {
		return err
	}
	for _, s := range b.setups {
		if err = dynalite.until(ctx, "to have a table", func() error { return createTable(ctx, dynalite, s.key()) }); err != nil {
			return err
		}
	}
	return nil
}

// createTable makes a table like that of the stack, and is done when it is active.
func createTable(ctx context.Context, dynalite *process, table string) error {
	ask := func(operation, body string) (string, error) {
		return do(ctx, http.MethodPost, dynalite.url("/"), map[string]string{
			"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810." + operation, "X-Amz-Date": "20260101T000000Z",
			// It looks for a signature, and does not check it.
			"Authorization": "AWS4-HMAC-SHA256 Credential=bench/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0",
		}, strings.NewReader(body))
	}
	_, created := ask("CreateTable", `{"TableName": "`+table+`", "BillingMode": "PAY_PER_REQUEST",
		"AttributeDefinitions": [{"AttributeName": "h", "AttributeType": "S"}, {"AttributeName": "r", "AttributeType": "B"}],
		"KeySchema": [{"AttributeName": "h", "KeyType": "HASH"}, {"AttributeName": "r", "KeyType": "RANGE"}]}`)
	text, err := ask("DescribeTable", `{"TableName": "`+table+`"}`)
	if err != nil {
		return errors.Join(created, err)
	}
	if !strings.Contains(text, `"ACTIVE"`) {
		return fmt.Errorf("creating the table: it is not active: %s", text)
	}
	return nil
}

// startLoki starts the processes of a setup, each with its configuration, behind counters.
func (b *bench) startLoki(ctx context.Context, s *setup) error {
	s.counts.objects, s.counts.calls = map[string]int64{}, map[string]int{}
	address := func(store *process) string { return fmt.Sprintf("%s:%d", loopback, store.http) }
	s3, err := forward(ctx, address(b.stores[0]), s.counts.s3)
	if err != nil {
		return err
	}
	dynamodb, err := forward(ctx, address(b.stores[1]), s.counts.dynamodb)
	if err != nil {
		return err
	}
	for replica := range s.replicas {
		p, err := newProcess(ctx, b.dir, fmt.Sprintf("loki-%s-%d", s.key(), replica))
		if err != nil {
			return err
		}
		s.processes = append(s.processes, p)
	}
	for _, p := range s.processes {
		c, err := s.config(stores{s3, dynamodb, s.key()})
		if err != nil {
			return err
		}
		if err = errors.Join(c.compress(b.factor()), c.place(p, s.processes)); err != nil {
			return err
		}
		text, err := yaml.Marshal(c)
		if err != nil {
			return fmt.Errorf("writing a configuration: %w", err)
		}
		file := filepath.Join(p.dir, "config.yaml")
		if err = errors.Join(os.WriteFile(file, text, 0o600), os.MkdirAll(filepath.Join(p.dir, "rules"), 0o700)); err != nil {
			return fmt.Errorf("writing a configuration: %w", err)
		}
		env := []string{"POD_IP=" + loopback, "AWS_REGION=" + region, "AWS_ACCESS_KEY_ID=" + accessKey, "AWS_SECRET_ACCESS_KEY=" + secretKey}
		if err = p.start(env, filepath.Join(b.bin, "loki"), "-config.file="+file, "-config.expand-env=true", "-target=all"); err != nil {
			return err
		}
	}
	return nil
}

// ready waits until every process takes lines and knows the others. They are asked at once, as each waits 15 s from the first time on.
func (s *setup) ready(ctx context.Context) error {
	return all(s.processes, func(p *process) error {
		return p.until(ctx, "to be ready", func() error {
			if err := p.answers(ctx, "/ready"); err != nil {
				return err
			}
			members, err := p.metric(ctx, "loki_ring_members", `name="ingester",state="ACTIVE"`)
			if err == nil && int(members) != s.replicas {
				err = fmt.Errorf("it knows %v of %d replicas", members, s.replicas)
			}
			return err
		})
	})
}

func (b *bench) progress(ctx context.Context) {
	begin := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(b.day / 8):
		}
		var text []string
		for _, s := range b.setups {
			s.counts.mu.Lock()
			text = append(text, fmt.Sprintf("%s %d PUTs %d items", s.key(), s.counts.puts, s.counts.items))
			s.counts.mu.Unlock()
		}
		at := b.start.Add(time.Duration(float64(time.Since(begin)) * b.factor()))
		b.say("it is %s: %s", at.Format("15:04"), strings.Join(text, ", "))
	}
}

// pushed is a stream in a push request.
type pushed struct {
	Stream json.RawMessage `json:"stream"`
	Values [][2]string     `json:"values"`
}

// send sends the lines of the day when their time has come.
func (b *bench) send(ctx context.Context, s *setup) error {
	type key struct {
		from   *life
		stderr bool
	}
	labels := map[key]string{}
	today, begin := newDay(b.seed, b.start), time.Now()
	for number := range int(b.day / tick) {
		due := time.Duration(number+1) * tick
		select {
		case <-ctx.Done():
			return fmt.Errorf("sending lines: %w", ctx.Err())
		case <-time.After(time.Until(begin.Add(due))):
		}
		s.lag = max(s.lag, time.Since(begin.Add(due)))

		streams := map[string]*pushed{}
		for _, one := range today.until(b.start.Add(time.Duration(float64(due) * b.factor()))) {
			k := key{one.from, one.stderr}
			if labels[k] == "" {
				text, err := json.Marshal(s.labels(one.from, one.stderr))
				if err != nil {
					return fmt.Errorf("writing labels: %w", err)
				}
				labels[k] = string(text)
			}
			name := labels[k]
			if streams[name] == nil {
				streams[name] = &pushed{Stream: json.RawMessage(name)}
			}
			streams[name].Values = append(streams[name].Values, [2]string{strconv.FormatInt(one.at.UnixNano(), 10), one.text})
			s.lines++
			s.bytes += int64(len(one.text))
		}
		if err := s.push(ctx, s.processes[number%len(s.processes)], streams); err != nil {
			return err
		}
	}
	if b.factor()*float64(s.lag) > float64(maxLag) {
		return fmt.Errorf("sending lines: %s late; give the day more time (-day)", s.lag)
	}
	return nil
}

func (s *setup) push(ctx context.Context, p *process, streams map[string]*pushed) error {
	if len(streams) == 0 {
		return nil
	}
	var request struct {
		Streams []*pushed `json:"streams"`
	}
	for _, one := range streams {
		request.Streams = append(request.Streams, one)
	}
	body, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("writing a push request: %w", err)
	}
	_, err = do(ctx, http.MethodPost, p.url("/loki/api/v1/push"), map[string]string{"Content-Type": "application/json"}, bytes.NewReader(body))
	return err
}

// flush writes what is in memory, and checks that every line can be read back from the stores.
func (s *setup) flush(ctx context.Context, end time.Time) error {
	for _, p := range s.processes {
		if _, err := do(ctx, http.MethodPost, p.url("/flush"), nil, nil); err != nil {
			return err
		}
		err := p.until(ctx, "to flush", func() error {
			left, err := p.metric(ctx, "loki_ingester_memory_chunks", "")
			if err == nil && left != 0 {
				err = fmt.Errorf("%v chunks are left", left)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	query := url.Values{
		"query": {`sum(count_over_time({namespace=~".+"}[25h]))`}, "time": {strconv.FormatInt(end.Add(30*time.Minute).Unix(), 10)},
	}
	text, err := do(ctx, http.MethodGet, s.processes[0].url("/loki/api/v1/query?"+query.Encode()), nil, nil)
	if err != nil {
		return err
	}
	var answer struct {
		Data struct {
			Result []struct {
				Value [2]any
			}
		}
	}
	if err = json.Unmarshal([]byte(text), &answer); err != nil {
		return fmt.Errorf("reading an answer: %w", err)
	}
	if len(answer.Data.Result) != 1 || answer.Data.Result[0].Value[1] != strconv.Itoa(s.lines) {
		return fmt.Errorf("reading back %d lines: got %s", s.lines, text)
	}
	if len(s.counts.refused) > 0 {
		return fmt.Errorf("counting: the stores refused %d requests: %s", len(s.counts.refused), s.counts.refused[0])
	}
	return nil
}
