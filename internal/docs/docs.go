// Package docs generates the parts of the documentation that follow from the code, and reads the pages for the tests that hold them
// against it. It owns no page: whoever knows the content writes it through Golden or Section.
package docs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Stale is what a test says of a page that no longer follows from the code.
const Stale = "stale: run `make generate`, and read the difference"

// Golden holds a file against its content. UPDATE_GOLDEN=1 writes it.
func Golden(t *testing.T, path, content string) {
	t.Helper()
	if os.Getenv("UPDATE_GOLDEN") != "" {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o750))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600)) //nolint:gosec // a page of this repository
	}
	got, err := os.ReadFile(path) //nolint:gosec // a page of this repository
	require.NoError(t, err)
	require.Equal(t, content, string(got), "%s is %s", path, Stale)
}

// Section holds the generated section of a page that is otherwise written by hand: what stands between the lines
// "<!-- generated: NAME -->" and "<!-- end -->". UPDATE_GOLDEN=1 writes it.
func Section(t *testing.T, path, name, content string) {
	t.Helper()
	// Sections of one page may be written by several tests at once, in several processes.
	file, err := os.Open(path) //nolint:gosec // a page of this repository
	require.NoError(t, err)
	defer file.Close() //nolint:errcheck // it was read only
	require.NoError(t, syscall.Flock(int(file.Fd()), syscall.LOCK_EX))
	data, err := os.ReadFile(path) //nolint:gosec // a page of this repository
	require.NoError(t, err)
	page, err := replaced(string(data), name, content)
	require.NoError(t, err, path)
	Golden(t, path, page)
}

// replaced is the page with another content of a section.
func replaced(page, name, content string) (string, error) {
	begin, end := "<!-- generated: "+name+" -->\n", "<!-- end -->"
	before, rest, found := strings.Cut(page, begin)
	if !found {
		return "", fmt.Errorf("there is no line %q", strings.TrimSpace(begin))
	}
	_, after, found := strings.Cut(rest, end)
	if !found {
		return "", fmt.Errorf("there is no line %q after %q", end, strings.TrimSpace(begin))
	}
	return before + begin + "\n" + strings.TrimSpace(content) + "\n\n" + end + after, nil
}

// Page is a Markdown file.
type Page struct {
	// Path from the root of the repository, with slashes.
	Path string
	Text string
}

// Block is a fenced block of a page.
type Block struct {
	// Page that it is in, and its first line's number there, below the fence.
	Page string
	Line int
	// Language after the fence ("yaml").
	Language string
	Text     string
}

// Pages reads the Markdown files of the repository at root, as git would have them: hidden folders, what is built and what packages bring
// along left out. Sorted by path.
func Pages(root string) ([]Page, error) {
	var pages []Page
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") || slices.Contains([]string{"bin", "out", "node_modules", "testdata"}, name)) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".md") {
			return nil
		}
		data, err := os.ReadFile(path) //nolint:gosec // a file of this repository
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		pages = append(pages, Page{Path: filepath.ToSlash(relative), Text: string(data)})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the pages: %w", err)
	}
	return pages, nil
}

// Blocks are the fenced blocks of a page, in order; a block in a list loses its indentation.
func (p Page) Blocks() []Block {
	var blocks []Block
	var open *Block
	indent := 0
	for i, line := range strings.Split(p.Text, "\n") {
		fence := strings.TrimLeft(line, " ")
		switch {
		case open == nil && strings.HasPrefix(fence, "```"):
			indent = len(line) - len(fence)
			open = &Block{Page: p.Path, Line: i + 2, Language: strings.TrimSpace(strings.TrimPrefix(fence, "```"))}
		case open != nil && strings.TrimRight(fence, " ") == "```":
			blocks = append(blocks, *open)
			open = nil
		case open != nil:
			open.Text += strings.TrimPrefix(line, strings.Repeat(" ", indent)) + "\n"
		}
	}
	return blocks
}

// Prose is the page with its fenced blocks emptied: the numbers of lines stay.
func (p Page) Prose() string {
	lines := strings.Split(p.Text, "\n")
	for _, block := range p.Blocks() {
		for i := range strings.Count(block.Text, "\n") {
			lines[block.Line-1+i] = ""
		}
	}
	return strings.Join(lines, "\n")
}

// At says where in the repository something stands.
func (b Block) At(offset int) string { return fmt.Sprintf("%s:%d", b.Page, b.Line+offset) }
