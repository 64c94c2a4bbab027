package diff

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/pmezard/go-difflib/difflib"

	"github.com/kansoku/kansoku/internal/offline"
)

// brevity bounds what a line of the summary lists; what is deleted or replaced with data in it has a line of its own at any.
type brevity struct {
	names, properties int
	// grouped puts deleted and replaced resources without data into one line for each type, as changed and added ones are at any.
	grouped bool
}

// brevities from long to short: the first with which the summary fits is taken.
var brevities = []brevity{{names: 20, properties: 12}, {names: 4, properties: 4, grouped: true}, {grouped: true}}

// markdown is the whole report in at most limit bytes, if it is not 0.
func (r report) markdown(limit int) string {
	folds := make([][]*fold, len(r.stacks))
	for i, one := range r.stacks {
		folds[i] = one.diffs()
	}
	var summary []section
	for _, short := range brevities {
		summary = r.sections(short, folds)
		if limit == 0 || size(summary) <= limit {
			break
		}
	}
	if limit > 0 {
		shorten(summary, limit)
	}
	var b strings.Builder
	for _, one := range summary {
		b.WriteString(one.text)
		for _, fold := range one.folds {
			b.WriteString(fold.markdown())
		}
	}
	return b.String()
}

// section is the heading of the report or one stack: text that is never cut, and what is folded below it.
type section struct {
	text  string
	folds []*fold
}

// fold is a part that a reader opens.
type fold struct {
	title, content string
	// cut is the number of lines that were left out for want of space.
	cut int
	// again is the command that shows them.
	again string
	// language is that of the content: "diff", "text".
	language string
}

func (f *fold) markdown() string {
	fence := strings.Repeat("`", max(3, longestRun(f.content, '`')+1))
	content := fence + f.language + "\n" + f.content + fence + "\n"
	note := ""
	if f.cut > 0 {
		note = fmt.Sprintf("\n%s did not fit into this comment: %s shows them.\n", plural(f.cut, "line"), code(f.again))
	}
	return fmt.Sprintf("\n<details><summary>%s</summary>\n\n%s%s\n</details>\n", f.title, content, note)
}

func longestRun(s string, of byte) int {
	longest, run := 0, 0
	for i := range len(s) {
		if s[i] != of {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return longest
}

// size is that of the sections with nothing in their folds.
func size(sections []section) int {
	total := 0
	for _, one := range sections {
		total += len(one.text)
		for _, f := range one.folds {
			total += f.least()
		}
	}
	return total
}

// least is the size of a fold without a line, its notice and the longest fence that a line may need included.
func (f *fold) least() int {
	empty := *f
	empty.cut, empty.content = math.MaxInt32, ""
	return len(empty.markdown()) + 2*longestRun(f.content, '`')
}

// shorten cuts the content of folds at the end of a line until all fits: small ones stay whole, large ones share what is left.
func shorten(sections []section, limit int) {
	left := limit - size(sections)
	var folds []*fold
	for i := range sections {
		folds = append(folds, sections[i].folds...)
	}
	slices.SortStableFunc(folds, func(a, b *fold) int { return cmp.Compare(len(a.content), len(b.content)) })
	for i, f := range folds {
		share := max(0, left/(len(folds)-i))
		if len(f.content) > share {
			end := strings.LastIndexByte(f.content[:share], '\n') + 1
			f.cut = strings.Count(f.content[end:], "\n")
			f.content = f.content[:end]
		}
		left -= len(f.content)
	}
}

func (r report) sections(short brevity, folds [][]*fold) []section {
	var same []string
	var changed []section
	for i, one := range r.stacks {
		if one.silent() {
			same = append(same, one.name)
			continue
		}
		changed = append(changed, one.section(r.base, short, folds[i]))
	}
	against := fmt.Sprintf("compared with %s, where this branch left %s", code(fmt.Sprintf("%.12s", r.commit)), code(r.base))
	if len(changed) == 0 {
		return []section{{text: fmt.Sprintf("Merging changes nothing in %s, %s.\n", strings.Join(same, ", "), against)}}
	}
	text := fmt.Sprintf("## What merging would do\n\nTo running stacks, %s: by the real engine against doubles of AWS and Kubernetes, "+
		"so this is what Pulumi would do, not whether AWS would accept it.\n", against)
	if len(same) > 0 {
		text += fmt.Sprintf("Nothing changes in %s.\n", strings.Join(same, ", "))
	}
	return append([]section{{text: text}}, changed...)
}

// silent says whether there is nothing to say.
func (s stack) silent() bool {
	return s.failure == "" && !s.added && !s.removed && len(s.changes) == 0 && len(s.encrypted) == 0 && (s.cost == nil || s.cost.silent())
}

func (s stack) section(base string, short brevity, diffs []*fold) section {
	heading := "\n### " + s.name
	switch {
	case s.failure != "" && s.own:
		return section{text: heading + ": refused\n\nThe program of this branch fails:\n\n" + quoted(s.failure)}
	case s.failure != "":
		return section{text: heading + ": cannot be compared\n\nThe base cannot be brought up, which is not this branch's doing:\n\n" + quoted(s.failure)}
	case s.removed:
		return section{text: heading + ": its stack file is gone\n\n" +
			"That deletes nothing: the stack stays as it is, with nothing that manages it. `pulumi destroy` comes before the file goes.\n"}
	}
	var b strings.Builder
	b.WriteString(heading + ": " + s.counts() + "\n")
	if s.added {
		fmt.Fprintf(&b, "\nA new stack: %s shows all of it.\n", code("make preview STACK="+s.name+" OUT=out"))
	}
	if lines := s.lines(short); lines != "" || len(s.encrypted) > 0 {
		b.WriteString("\n" + lines)
	}
	for _, key := range s.encrypted {
		fmt.Fprintf(&b, "- the encrypted %s differs; it is read on neither side\n", code(key))
	}
	said := section{}
	if s.cost != nil {
		b.WriteString(s.cost.markdown())
		if s.cost.failure == nil && !s.cost.silent() {
			said.folds = append(said.folds, &fold{
				title: "Estimated cost a month", content: strings.TrimRight(s.cost.table, "\n") + "\n", language: "text",
			})
		}
	}
	if !s.added {
		said.folds = append(said.folds, diffs...)
	}
	for _, f := range said.folds {
		f.again = fmt.Sprintf("make diff BASE=%s STACK=%s", base, s.name)
	}
	said.text = b.String()
	return said
}

// counts as "1 added, 2 changed, **1 deleted**".
func (s stack) counts() string {
	counted := map[string]int{}
	for _, one := range s.changes {
		counted[one.Way]++
	}
	var said []string
	for _, way := range []string{offline.Added, offline.Changed, offline.Replaced, offline.Deleted} {
		text := fmt.Sprintf("%d %s", counted[way], way)
		switch {
		case counted[way] == 0:
		case way == offline.Replaced || way == offline.Deleted:
			said = append(said, "**"+text+"**")
		default:
			said = append(said, text)
		}
	}
	if len(said) == 0 {
		return "no resource changes"
	}
	return strings.Join(said, ", ")
}

// lines are the changes: first what data goes with, then what else is deleted and replaced, what changes, and what is added.
func (s stack) lines(short brevity) string {
	var grave, gone, rest []offline.Change
	for _, one := range s.changes {
		switch {
		case loses(one) != "":
			grave = append(grave, one)
		case one.Way == offline.Deleted, one.Way == offline.Replaced:
			gone = append(gone, one)
		default:
			rest = append(rest, one)
		}
	}
	slices.SortStableFunc(grave, byWay)
	slices.SortStableFunc(gone, byWay)
	var b strings.Builder
	if len(grave) > 0 {
		fmt.Fprintf(&b, "> [!CAUTION]\n> **%s would be deleted or replaced with data in %s.**\n\n",
			plural(len(grave), "resource"), pick(len(grave), "it", "them"))
	}
	for _, one := range grave {
		lost := loses(one)
		if one.Retained {
			lost = "it is retained: it leaves the stack, and stays where it is with all that it holds"
		}
		b.WriteString(s.line(one, short) + "; " + lost + "\n")
	}
	if short.grouped {
		rest = append(gone, rest...)
	} else {
		for _, one := range gone {
			b.WriteString(s.line(one, short) + "\n")
		}
	}
	b.WriteString(groups(rest, short))
	return b.String()
}

func byWay(a, b offline.Change) int {
	return cmp.Or(cmp.Compare(a.Way, b.Way), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name))
}

// line is one resource that is deleted or replaced.
func (s stack) line(c offline.Change, short brevity) string {
	text := fmt.Sprintf("- **%s** %s **%s**", c.Way, code(c.Type), code(c.Name))
	if c.Way == offline.Replaced {
		switch {
		case c.Reads:
			text += ", by one that exists and is only read: the stack's own is deleted, protected or not"
		case len(c.Forces) == 0:
			text += ", since something that it depends on is"
		default:
			text += ", forced by " + codes(c.Forces, short.properties)
		}
	}
	if s.protected[c.URN] && (c.Way == offline.Deleted || c.Protects) {
		text += "; it is protected: an up refuses this until `pulumi state unprotect`"
	}
	return text
}

// groups has one line for what happens to resources of one type alike.
func groups(changes []offline.Change, short brevity) string {
	names := map[string][]string{}
	var order []string
	slices.SortStableFunc(changes, func(a, b offline.Change) int {
		return cmp.Or(cmp.Compare(slices.Index(orderOfWays, a.Way), slices.Index(orderOfWays, b.Way)), byWay(a, b))
	})
	for _, one := range changes {
		way, properties := one.Way, ""
		if way == offline.Replaced || way == offline.Deleted {
			way = "**" + way + "**"
		}
		if len(one.Properties) > 0 && short.properties > 0 {
			properties = " (" + codes(one.Properties, short.properties) + ")"
		}
		key := fmt.Sprintf("- %s %s\x00%s", way, code(one.Type), properties)
		if names[key] == nil {
			order = append(order, key)
		}
		names[key] = append(names[key], one.Name)
	}
	var b strings.Builder
	for _, key := range order {
		head, properties, _ := strings.Cut(key, "\x00")
		if short.names == 0 {
			fmt.Fprintf(&b, "%s × %d\n", head, len(names[key]))
			continue
		}
		fmt.Fprintf(&b, "%s %s%s\n", head, codes(names[key], short.names), properties)
	}
	return b.String()
}

var orderOfWays = []string{offline.Deleted, offline.Replaced, offline.Changed, offline.Added}

// diffs are the folded parts: Kubernetes objects, and everything else that a provider makes.
func (s stack) diffs() []*fold {
	parts := []*fold{{language: "diff"}, {language: "diff"}}
	counts := make([]int, len(parts))
	for _, one := range s.changes {
		title, before, after, err := one.Render()
		if err != nil {
			before, after = nil, []byte(err.Error()+"\n")
		}
		text := unified(title, string(before), string(after))
		if text == "" {
			continue // a component; or only secrets differ
		}
		part := 1
		if strings.HasPrefix(one.Type, "kubernetes:") {
			part = 0
		}
		parts[part].content += text
		counts[part]++
	}
	parts[0].title = "Kubernetes: " + plural(counts[0], "object") + " as YAML"
	parts[1].title = "AWS and other: " + plural(counts[1], "resource") + " as JSON"
	return slices.DeleteFunc(parts, func(f *fold) bool { return f.content == "" })
}

// longestLine keeps a line that holds a whole document from taking the place of all others.
const longestLine = 2000

// unified is the difference of two texts with three lines around it; empty if there is none.
func unified(title, before, after string) string {
	if before == after {
		return ""
	}
	from, to := title, title
	if before == "" {
		from = "/dev/null"
	}
	if after == "" {
		to = "/dev/null"
	}
	text, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: linesOf(before), B: linesOf(after), FromFile: from, ToFile: to, Context: 3,
	})
	if err != nil {
		return err.Error() + "\n" // a failed write into memory
	}
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		if over := len(line) - longestLine; over > 0 {
			lines[i] = strings.ToValidUTF8(line[:longestLine], "") + fmt.Sprintf("… (%d bytes more)\n", over)
		}
	}
	return strings.Join(lines, "")
}

func linesOf(s string) []string {
	if s == "" {
		return nil
	}
	lines := strings.SplitAfter(s, "\n")
	if last := len(lines) - 1; lines[last] == "" {
		lines = lines[:last]
	} else {
		lines[last] += "\n"
	}
	return lines
}

// silent says whether the estimate is the same to the cent.
func (c cost) silent() bool {
	return c.failure == nil && c.before != nil && cents(*c.before) == cents(c.after)
}

func cents(usd float64) int64 { return int64(math.Round(usd * 100)) }

// markdown is the change in one line, or all of it where the base has no estimate.
func (c cost) markdown() string {
	switch {
	case c.failure != nil:
		return "\nThe cost can no longer be estimated:\n\n" + quoted(c.failure.Error())
	case c.silent():
		return ""
	case c.before == nil:
		return fmt.Sprintf("\nEstimated cost a month: **%.2f USD**\n", c.after)
	}
	return fmt.Sprintf("\nEstimated cost a month: %.2f → %.2f USD (**%+.2f USD**)\n", *c.before, c.after, float64(cents(c.after)-cents(*c.before))/100)
}

// longestMessage bounds what a failed stack says, since it is not folded.
const longestMessage = 4000

// quoted is text as it is.
func quoted(text string) string {
	text = strings.TrimRight(text, "\n")
	if len(text) > longestMessage {
		text = strings.ToValidUTF8(text[:longestMessage], "") + "…"
	}
	fence := strings.Repeat("`", max(3, longestRun(text, '`')+1))
	return fence + "text\n" + text + "\n" + fence + "\n"
}

// code is text in the middle of a line that Markdown does not touch.
func code(text string) string {
	return "`" + strings.NewReplacer("`", "'", "\n", " ", "\r", " ").Replace(text) + "`"
}

// codes lists at most so many, and says how many more there are.
func codes(all []string, most int) string {
	shown := make([]string, 0, len(all))
	for _, one := range all[:min(most, len(all))] {
		shown = append(shown, code(one))
	}
	text := strings.Join(shown, ", ")
	if more := len(all) - len(shown); more > 0 {
		text = strings.TrimSpace(fmt.Sprintf("%s and %d more", text, more))
	}
	return text
}

func plural(count int, noun string) string {
	return fmt.Sprintf("%d %s%s", count, noun, pick(count, "", "s"))
}

func pick(count int, one, many string) string {
	if count == 1 {
		return one
	}
	return many
}
