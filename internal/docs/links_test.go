package docs_test

import (
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/internal/docs"
)

func everyMarkdown(t *testing.T) []docs.Page {
	t.Helper()
	found, err := docs.Pages(root)
	require.NoError(t, err)
	require.Greater(t, len(found), 60, "the pages are no longer found")
	return found
}

// manual are the pages whose commands and code are held: what is written for those who use and change Kansoku.
func manual(t *testing.T) []docs.Page {
	t.Helper()
	var found []docs.Page
	for _, one := range everyMarkdown(t) {
		if one.Path == "README.md" || one.Path == "CONTRIBUTING.md" || strings.HasPrefix(one.Path, "docs/") {
			found = append(found, one)
		}
	}
	return found
}

var (
	inlineCode = regexp.MustCompile("`[^`\n]+`")
	linked     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading    = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
	noAnchor   = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// anchors are those that GitHub makes of a page's headings.
func anchors(p docs.Page) map[string]bool {
	all, times := map[string]bool{}, map[string]int{}
	for _, found := range heading.FindAllStringSubmatch(p.Prose(), -1) {
		one := anchor(found[1])
		if n := times[one]; n > 0 {
			all[one+"-"+strconv.Itoa(n)] = true
		} else {
			all[one] = true
		}
		times[one]++
	}
	return all
}

// anchor is that of a heading.
func anchor(text string) string {
	text = linkText.ReplaceAllString(text, "$1")
	return strings.ReplaceAll(noAnchor.ReplaceAllString(strings.ToLower(text), ""), " ", "-")
}

var linkText = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)

// links are the targets of a page's relative links, from the root of the repository, with their line.
func links(p docs.Page) (targets []string, lines []int) {
	for i, line := range strings.Split(p.Prose(), "\n") {
		for _, found := range linked.FindAllStringSubmatch(inlineCode.ReplaceAllString(line, "``"), -1) {
			target, err := url.PathUnescape(found[1])
			if err != nil || strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			file, anchor, _ := strings.Cut(target, "#")
			if file == "" {
				file = p.Path
			} else {
				file = path.Join(path.Dir(p.Path), file)
			}
			if anchor != "" {
				file += "#" + anchor
			}
			targets, lines = append(targets, file), append(lines, i+1)
		}
	}
	return targets, lines
}

// TestLinks: what a page links to is there, and so is the heading.
func TestLinks(t *testing.T) {
	t.Parallel()
	all := everyMarkdown(t)
	checked := 0
	for _, one := range all {
		targets, lines := links(one)
		for i, target := range targets {
			file, anchor, _ := strings.Cut(target, "#")
			checked++
			if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(file))); err != nil {
				assert.Fail(t, "a link to nothing", "%s:%d: there is no %s", one.Path, lines[i], file)
				continue
			}
			at := slices.IndexFunc(all, func(p docs.Page) bool { return p.Path == file })
			if anchor != "" && at >= 0 && !anchors(all[at])[anchor] {
				assert.Fail(t, "a link to no heading", "%s:%d: %s has no heading #%s", one.Path, lines[i], file, anchor)
			}
		}
	}
	require.Greater(t, checked, 200, "the links are no longer found")
}

// TestEveryPageIsReachable: a page in docs that docs/README.md does not lead to will not be read.
func TestEveryPageIsReachable(t *testing.T) {
	t.Parallel()
	byPath := map[string]docs.Page{}
	for _, one := range everyMarkdown(t) {
		byPath[one.Path] = one
	}
	const index = "docs/README.md"
	reached, next := map[string]bool{index: true}, []string{index}
	for len(next) > 0 {
		targets, _ := links(byPath[next[0]])
		next = next[1:]
		for _, target := range targets {
			file, _, _ := strings.Cut(target, "#")
			if _, folder := byPath[path.Join(file, "README.md")]; folder {
				file = path.Join(file, "README.md")
			}
			if _, ok := byPath[file]; ok && !reached[file] && strings.HasPrefix(file, "docs/") {
				reached[file], next = true, append(next, file)
			}
		}
	}
	for file := range byPath {
		assert.True(t, reached[file] || !strings.HasPrefix(file, "docs/"), "%s: no link leads from %s to it", file, index)
	}
	targets, _ := links(byPath["README.md"])
	assert.Contains(t, targets, index, "README.md does not link to it")
}

func TestAnchorsAreGitHubs(t *testing.T) {
	t.Parallel()
	page := docs.Page{Text: "# The `lab`: what it shows\n\n```\n# none\n```\n## Twice\n## Twice\n### What [runs](x.md) where?\n"}
	assert.Equal(t, map[string]bool{"the-lab-what-it-shows": true, "twice": true, "twice-1": true, "what-runs-where": true}, anchors(page))
}
