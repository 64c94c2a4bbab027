package alloy

import (
	"fmt"

	"github.com/kansoku/kansoku/components/collector"
)

// render gives the configuration file: files and journal, each through its labels and stages, to one writer.
func render(args collector.Args, pushURL string) string {
	w := &writer{}
	w.block("logging", func() { w.attr("level", "warn") })
	renderPods(w, args)
	if !args.NoJournal {
		renderJournal(w)
	}
	w.block(`loki.write "loki"`, func() {
		w.block("endpoint", func() {
			w.attr("url", pushURL)
			w.attr("batch_wait", collector.BatchWait)
			w.attr("batch_size", kib(collector.BatchKiB))
			w.attr("remote_timeout", collector.Timeout)
			w.attr("min_backoff_period", collector.MinBackoff)
			w.attr("max_backoff_period", collector.MaxBackoff)
			w.attr("max_backoff_retries", collector.MaxRetries)
		})
		if labels := args.ExternalLabels(); labels != nil {
			w.attr("external_labels", labels)
		}
	})
	return w.String()
}

func renderPods(w *writer, args collector.Args) {
	w.block(`discovery.kubernetes "pods"`, func() {
		w.attr("role", "pod")
		w.block("selectors", func() {
			w.attr("role", "pod")
			w.attr("field", expression(`"spec.nodeName=" + sys.env("HOSTNAME")`))
		})
	})
	w.block(`discovery.relabel "pods"`, func() {
		w.attr("targets", expression("discovery.kubernetes.pods.targets"))
		rules(w, args.Labels.PodRules())
	})
	w.block(`loki.source.file "pods"`, func() {
		w.attr("targets", expression("discovery.relabel.pods.output"))
		w.attr("forward_to", expression("[loki.process.pods.receiver]"))
		w.attr("legacy_positions_file", collector.PromtailPositions)
		w.block("file_match", func() { w.attr("enabled", true) })
	})
	w.block(`loki.process "pods"`, func() {
		w.attr("forward_to", expression("[loki.write.loki.receiver]"))
		stages(w, args.PodStages())
		truncate(w)
	})
}

func renderJournal(w *writer) {
	w.block(`loki.relabel "journal"`, func() {
		w.attr("forward_to", expression("[]"))
		rules(w, collector.JournalRules())
	})
	w.block(`loki.source.journal "journal"`, func() {
		w.attr("matches", collector.JournalMatches)
		w.attr("max_age", collector.JournalMaxAge)
		w.attr("relabel_rules", expression("loki.relabel.journal.rules"))
		w.attr("forward_to", expression("[loki.process.journal.receiver]"))
		w.block("legacy_position", func() {
			w.attr("file", collector.PromtailPositions)
			w.attr("name", collector.PromtailJournal)
		})
	})
	w.block(`loki.process "journal"`, func() {
		w.attr("forward_to", expression("[loki.write.loki.receiver]"))
		truncate(w)
	})
}

// truncate cuts lines that Loki would refuse.
func truncate(w *writer) {
	w.block("stage.truncate", func() {
		w.block("rule", func() { w.attr("limit", kib(collector.MaxLineKiB)) })
	})
}

func kib(n int) string { return fmt.Sprintf("%dKiB", n) }

func rules(w *writer, all []collector.Rule) {
	for _, r := range all {
		w.block("rule", func() {
			if len(r.Sources) > 0 {
				w.attr("source_labels", r.Sources)
			}
			w.set("separator", r.Separator)
			w.set("regex", r.Regex)
			w.set("replacement", r.Replacement)
			w.set("target_label", r.Target)
			w.set("action", r.Action)
		})
	}
}

func stages(w *writer, all []collector.Stage) {
	for _, s := range all {
		stage(w, s)
	}
}

// stage gives one stage; the one field that is set says which.
func stage(w *writer, s collector.Stage) {
	switch {
	case s.CRI != nil:
		w.block("stage.cri", nil)
	case s.Match != nil:
		w.block("stage.match", func() {
			w.attr("selector", s.Match.Selector)
			stages(w, s.Match.Stages)
		})
	case s.Multiline != nil:
		w.block("stage.multiline", func() {
			w.attr("firstline", s.Multiline.FirstLine)
			w.attr("max_wait_time", s.Multiline.MaxWaitTime)
			w.attr("max_lines", s.Multiline.MaxLines)
		})
	case s.JSON != nil:
		w.block("stage.json", func() { w.attr("expressions", s.JSON.Expressions) })
	case s.Template != nil:
		w.block("stage.template", func() {
			w.attr("source", s.Template.Source)
			w.attr("template", s.Template.Template)
		})
	case s.Labels != nil:
		w.block("stage.labels", func() { w.attr("values", s.Labels) })
	case s.Timestamp != nil:
		w.block("stage.timestamp", func() {
			w.attr("source", s.Timestamp.Source)
			w.attr("format", s.Timestamp.Format)
			w.attr("action_on_failure", s.Timestamp.ActionOnFailure)
		})
	case s.Drop != nil:
		w.block("stage.drop", func() {
			w.set("expression", s.Drop.Expression)
			w.set("older_than", s.Drop.OlderThan)
			w.attr("drop_counter_reason", s.Drop.Reason)
		})
	case s.Output != nil:
		w.block("stage.output", func() { w.attr("source", s.Output.Source) })
	case s.LabelDrop != nil:
		w.block("stage.label_drop", func() { w.attr("values", s.LabelDrop) })
	}
}
