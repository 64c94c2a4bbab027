package diff

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// base is another commit's project, in a directory that is thrown away.
type base struct {
	commit     string
	project    string // the directory that Options.Project is in that commit
	executable string // the program; empty if it does not build
	failure    error  // why not
}

// checkOut writes the commit in which Options.Base and the working tree part into dir: what came to Options.Base later is not this
// branch's doing. The repository, its index and its list of worktrees stay as they are.
func checkOut(ctx context.Context, project, rev, dir string) (*base, error) {
	git := func(environment []string, args ...string) (string, error) {
		command := exec.CommandContext(ctx, "git", append([]string{"-C", project}, args...)...) //nolint:gosec // a revision, checked by git
		command.Env = append(os.Environ(), environment...)
		var said bytes.Buffer
		command.Stderr = &said
		printed, err := command.Output()
		if err != nil {
			return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(said.String()))
		}
		return strings.TrimSuffix(string(printed), "\n"), nil
	}
	commit, err := git(nil, "rev-parse", "--verify", "--quiet", "--end-of-options", rev+"^{commit}")
	if err != nil {
		return nil, fmt.Errorf("%q names no commit here: %w", rev, err)
	}
	if parted, none := git(nil, "merge-base", commit, "HEAD"); none == nil {
		commit = parted // without a common ancestor, as in a shallow clone, the commit itself
	}
	top, err := git(nil, "rev-parse", "--show-toplevel")
	if err != nil {
		return nil, err
	}
	prefix, err := git(nil, "rev-parse", "--show-prefix")
	if err != nil {
		return nil, err
	}
	tree := filepath.Join(dir, "tree")
	index := []string{"GIT_INDEX_FILE=" + filepath.Join(dir, "index")}
	if _, err := git(index, "read-tree", commit); err != nil {
		return nil, err
	}
	if _, err := git(index, "-C", top, "checkout-index", "--all", "--prefix="+tree+string(filepath.Separator)); err != nil {
		return nil, err
	}
	return &base{commit: commit, project: filepath.Join(tree, filepath.FromSlash(prefix))}, nil
}

// build makes the program, kept in the directory cache under its commit so that the next diff against it need not build it again; those
// of other commits go.
func (b *base) build(ctx context.Context, cache string) error {
	path, err := filepath.Abs(filepath.Join(cache, b.commit))
	if err != nil {
		return fmt.Errorf("resolving the directory of programs: %w", err)
	}
	if _, missing := os.Stat(path); missing == nil {
		b.executable = path
		return nil
	}
	if err = os.RemoveAll(cache); err != nil {
		return fmt.Errorf("removing the program of another commit: %w", err)
	}
	if err = os.MkdirAll(cache, 0o750); err != nil {
		return fmt.Errorf("making the directory of programs: %w", err)
	}
	command := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-ldflags", "-s -w", "-o", path, ".") //nolint:gosec // a path of ours
	command.Dir = b.project
	said, err := command.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		b.executable = path
	case ctx.Err() == nil && (errors.As(err, &exit) || errors.Is(err, os.ErrNotExist)):
		b.failure = fmt.Errorf("its program does not build: %w\n%s", err, strings.TrimSpace(string(said)))
	default:
		return fmt.Errorf("building the program of %s: %w", b.commit, err)
	}
	return nil
}
