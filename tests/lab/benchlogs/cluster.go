package main

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// dayLength is what a run covers: one day from midnight to midnight in UTC, because the index has rows per series and day.
const dayLength = 24 * time.Hour

// app is a workload whose logs are written here.
type app struct {
	namespace, name string
	stateful        bool // its pods have numbers: a StatefulSet; else a Deployment
	pods            int
	crashes         int // of each container in a day; its pod keeps its name
	out, err        voice
}

// voice is what one output of a container sounds like: bursts of lines, and pauses between them.
type voice struct {
	every time.Duration // from burst to burst, on average; 0 is silence
	lines int           // in a burst, on average
	pace  pace
	line  func(r *rand.Rand, at time.Time) string
}

// pace says how the pauses vary.
type pace int

const (
	chance  pace = iota // as chance has it
	timer               // within a tenth
	traffic             // as chance has it, most bursts in the afternoon
)

// apps are 24 pods of a small cluster: a few that are chatty because they serve requests, and many that say something now and then. Who
// writes to which output is as programs do it: services their warnings to standard error, klog, Prometheus' family and databases everything.
func apps() []app {
	const second, minute, hour = time.Second, time.Minute, time.Hour
	silent := voice{}
	warnings := func(every time.Duration) voice { return voice{every, 6, chance, traceLine} }
	return []app{
		{"shop", "web", false, 3, 0, voice{5 * second, 6, traffic, accessLine}, voice{6 * minute, 2, traffic, nginxLine}},
		{"shop", "api", false, 3, 0, voice{8 * second, 5, traffic, jsonLine}, warnings(5 * minute)},
		{"shop", "orders", false, 2, 0, voice{2 * minute, 4, traffic, jsonLine}, warnings(15 * minute)},
		{"shop", "payment", false, 2, 1, voice{3 * minute, 4, traffic, jsonLine}, warnings(15 * minute)},
		{"shop", "catalog", false, 2, 0, voice{5 * minute, 4, traffic, jsonLine}, warnings(30 * minute)},
		{"shop", "mail", false, 1, 0, voice{12 * minute, 3, chance, jsonLine}, warnings(hour)},
		{"shop", "worker", false, 2, 1, voice{10 * minute, 40, timer, workerLine}, warnings(20 * minute)},
		{"shop", "postgres", true, 1, 0, silent, voice{5 * minute, 2, timer, postgresLine}},
		{"shop", "redis", true, 1, 0, voice{15 * minute, 4, chance, redisLine}, silent},
		{"kube-system", "coredns", false, 2, 0, voice{70 * minute, 2, chance, klogLine}, silent},
		{"kube-system", "cluster-autoscaler", false, 1, 0, silent, voice{10 * second, 5, timer, klogLine}},
		{"kube-system", "external-dns", false, 1, 0, silent, voice{minute, 1, timer, logfmtLine}},
		{"monitoring", "grafana", false, 1, 0, voice{10 * minute, 3, timer, logfmtLine}, silent},
		{"monitoring", "prometheus", true, 1, 0, silent, voice{40 * minute, 4, chance, logfmtLine}},
		{"monitoring", "thanos-compact", true, 1, 0, silent, voice{5 * minute, 6, timer, logfmtLine}},
	}
}

const (
	nodes      = 3
	rolloutAt  = 10 * time.Hour // when api gets a new version, and its pods new names
	startLines = 20             // that a container writes when it starts
)

// life is a container from one start to the next.
type life struct {
	app      app
	replica  int
	version  int
	start    time.Time
	pod, uid string
	node     int
	restarts int
}

// replace gives the pod a new identity, as its controller does.
func (l *life) replace(r *rand.Rand) {
	const letters = "bcdfghjklmnpqrstvwxz2456789"
	suffix := make([]byte, 5)
	for i := range suffix {
		suffix[i] = letters[r.IntN(len(letters))]
	}
	l.pod = fmt.Sprintf("%s-%s-%s", l.app.name, l.hash(), suffix)
	if l.app.stateful {
		l.pod = fmt.Sprintf("%s-%d", l.app.name, l.replica)
	}
	l.uid, l.restarts = uuid(r), 0
}

func (l *life) hash() string {
	sum := fnv.New32a()
	_, _ = fmt.Fprint(sum, l.app.name, l.version) // never fails
	return fmt.Sprintf("%x", sum.Sum32()|1<<31)
}

// labels are all that a collector can know of a line. Which of them a stream gets is the collector's choice.
func (l *life) labels(stderr bool) map[string]string {
	stream := "stdout"
	if stderr {
		stream = "stderr"
	}
	return map[string]string{
		"namespace": l.app.namespace, "pod": l.pod, "container": l.app.name, "app": l.app.name, "stream": stream,
		"node": fmt.Sprintf("ip-10-20-%d-17.ap-northeast-1.compute.internal", 32*l.node), "instance": l.app.name + "-main", "component": "server",
		"filename": fmt.Sprintf("/var/log/pods/%s_%s_%s/%s/%d.log", l.app.namespace, l.pod, l.uid, l.app.name, l.restarts),
	}
}

// labels2020 are a dozen, as Promtail's chart of 2020 gave them: every label that the pod has, and where its file is.
func (l *life) labels2020(stderr bool) map[string]string {
	dozen := l.labels(stderr)
	dozen["node_name"] = dozen["node"]
	delete(dozen, "node")
	dozen["job"], dozen["release"] = l.app.namespace+"/"+l.app.name, "main"
	revision := "pod_template_hash"
	if l.app.stateful {
		revision = "controller_revision_hash"
	}
	dozen[revision] = l.hash()
	return dozen
}

// lives are those of one replica through the day.
func (a app) lives(r *rand.Rand, start time.Time, replica, node int) []*life {
	type event struct {
		after  time.Duration
		happen func(l *life) bool // whether it concerns this container
	}
	events := []event{
		{rolloutAt, func(l *life) bool {
			if a.name != "api" {
				return false
			}
			l.version++
			l.replace(r)
			return true
		}},
	}
	for range a.crashes {
		events = append(events, event{time.Duration(r.Int64N(int64(dayLength))), func(l *life) bool {
			l.restarts++
			return true
		}})
	}
	slices.SortFunc(events, func(a, b event) int { return cmp.Compare(a.after, b.after) })

	first := &life{app: a, replica: replica, start: start, node: node}
	first.replace(r)
	all := []*life{first}
	for _, one := range events {
		next := *all[len(all)-1]
		next.start = start.Add(one.after)
		if one.happen(&next) {
			all = append(all, &next)
		}
	}
	return all
}

// entry is one line of a container.
type entry struct {
	at     time.Time
	text   string
	from   *life
	stderr bool
}

// writer is one output of one replica through the day.
type writer struct {
	voice  voice
	stderr bool
	lives  []*life // the rest of them; the first is the current one
	random *rand.Rand
	next   time.Time // of the next burst
}

// day gives the lines of a day, the same for the same seed and start.
type day struct{ writers []*writer }

func newDay(seed uint64, start time.Time) *day {
	d := &day{}
	sources := uint64(0)
	source := func() *rand.Rand {
		sources++
		return rand.New(rand.NewPCG(seed, sources)) //nolint:gosec // the same in every run
	}
	slot := 0
	for _, a := range apps() {
		for replica := range a.pods {
			lives := a.lives(source(), start, replica, slot%nodes)
			slot++
			for i, one := range []voice{a.out, a.err} {
				if one.every == 0 {
					continue
				}
				w := &writer{voice: one, stderr: i == 1, lives: lives, random: source(), next: start}
				w.next = start.Add(w.pause())
				d.writers = append(d.writers, w)
			}
		}
	}
	return d
}

// pause is the time until the next burst.
func (w *writer) pause() time.Duration {
	mean := float64(w.voice.every)
	switch w.voice.pace {
	case timer:
		return time.Duration(mean * (0.9 + 0.2*w.random.Float64()))
	case traffic:
		hour := float64(w.next.Hour()) + float64(w.next.Minute())/60
		mean /= 1 + 0.7*math.Cos(2*math.Pi*(hour-15)/24)
	default:
	}
	return time.Duration(mean * w.random.ExpFloat64())
}

// until gives the lines before a moment that were not given before, in the order of their times.
func (d *day) until(end time.Time) []entry {
	var all []entry
	for _, w := range d.writers {
		all = w.until(end, all)
	}
	slices.SortStableFunc(all, func(a, b entry) int { return a.at.Compare(b.at) })
	return all
}

func (w *writer) until(end time.Time, all []entry) []entry {
	for {
		starts := len(w.lives) > 1 && w.lives[1].start.Before(w.next)
		at := w.next
		if starts {
			at = w.lives[1].start
		}
		// Before this nothing is drawn, so that it does not matter how often someone asks.
		if !at.Before(end) {
			return all
		}
		lines := startLines
		if starts {
			w.lives = w.lives[1:]
		} else {
			lines = 1 + w.random.IntN(2*w.voice.lines)
			w.next = at.Add(w.pause())
		}
		for range lines {
			all = append(all, entry{at: at, text: w.voice.line(w.random, at), from: w.lives[0], stderr: w.stderr})
			at = at.Add(time.Duration(1 + w.random.Int64N(int64(2*time.Millisecond))))
		}
	}
}
