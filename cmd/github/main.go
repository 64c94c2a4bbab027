// Command github says on GitHub what the workflows found: the comment of a pull request, and the issue of a stack that drifted. It reads the
// variables that GitHub sets for every step, and GITHUB_TOKEN.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

const usage = `usage:
  github comment DIR                post DIR/*.md as the one comment of the pull request whose workflow run has ended
  github drift STACK OUTCOME FILE   open, update or close the issue of a stack; OUTCOME is "success" or "failure"`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Getenv)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "github:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, getenv func(string) string) error {
	to := api{url: getenv("GITHUB_API_URL"), repository: getenv("GITHUB_REPOSITORY"), token: getenv("GITHUB_TOKEN")}
	if to.url == "" || to.repository == "" || to.token == "" {
		return errors.New("GITHUB_API_URL, GITHUB_REPOSITORY and GITHUB_TOKEN are required")
	}
	switch {
	case len(args) == 2 && args[0] == "comment":
		return to.comment(ctx, getenv("GITHUB_EVENT_PATH"), args[1]) //nolint:gosec // the case counts them
	case len(args) == 4 && args[0] == "drift":
		log := fmt.Sprintf("%s/%s/actions/runs/%s", getenv("GITHUB_SERVER_URL"), to.repository, getenv("GITHUB_RUN_ID"))
		return to.drift(ctx, args[1], args[2], args[3], log) //nolint:gosec // the case counts them
	}
	return errors.New(usage)
}

const (
	// author is who writes with a workflow's own token: what anybody else wrote is left alone.
	author = "github-actions[bot]"
	// marker is how the comment is found again. It is not shown.
	marker = "<!-- kansoku: what merging would do -->"
	// longest is a little less than the 65,536 characters that GitHub takes.
	longest = 65_000
)

// event is the part of the event workflow_run that says whose run it was. GitHub wrote it; the names in it are the author's.
type event struct {
	WorkflowRun struct {
		URL        string `json:"html_url"`
		HeadSHA    string `json:"head_sha"`
		HeadBranch string `json:"head_branch"`
		Head       struct {
			FullName string `json:"full_name"`
			Owner    user   `json:"owner"`
		} `json:"head_repository"`
	} `json:"workflow_run"`
}

type user struct {
	Login string `json:"login"`
}

type pullRequest struct {
	Number int `json:"number"`
	Head   struct {
		SHA  string `json:"sha"`
		Repo struct {
			FullName string `json:"full_name"`
		} `json:"repo"`
	} `json:"head"`
}

// note is a comment or an issue.
type note struct {
	ID          int64           `json:"id"`
	Number      int             `json:"number"`
	Title       string          `json:"title"`
	Body        string          `json:"body"`
	User        user            `json:"user"`
	PullRequest json.RawMessage `json:"pull_request"`
}

// comment posts the parts as one comment, or puts them in the place of an earlier one.
func (a api) comment(ctx context.Context, eventPath, dir string) error {
	content, err := os.ReadFile(eventPath) //nolint:gosec // GitHub's variable
	if err != nil {
		return fmt.Errorf("reading the event: %w", err)
	}
	var of event
	if err = json.Unmarshal(content, &of); err != nil {
		return fmt.Errorf("reading the event: %w", err)
	}
	number, err := a.pullRequest(ctx, of)
	if err != nil || number == 0 {
		return err // without a number the branch has moved on, and another run speaks for it
	}
	text, err := parts(dir)
	if err != nil {
		return err
	}
	if text == "" {
		text = "There is nothing to show: the run made nothing.\n"
	}
	from := ""
	if of.WorkflowRun.Head.FullName != a.repository {
		from = "From a fork: what follows was written by its own code.\n\n"
	}
	body := marker + "\n" + from + fit(text, fmt.Sprintf("\n[The run](%s)\n", of.WorkflowRun.URL))
	comments, err := list[note](ctx, a, fmt.Sprintf("issues/%d/comments", number), nil)
	if err != nil {
		return fmt.Errorf("listing the comments: %w", err)
	}
	for _, one := range comments {
		if one.User.Login == author && strings.HasPrefix(one.Body, marker) {
			return a.send(ctx, http.MethodPatch, fmt.Sprintf("issues/comments/%d", one.ID), map[string]any{"body": body})
		}
	}
	return a.send(ctx, http.MethodPost, fmt.Sprintf("issues/%d/comments", number), map[string]any{"body": body})
}

// pullRequest is the number of the open one whose head is the commit that ran; 0 if there is none. The event itself names none for forks.
func (a api) pullRequest(ctx context.Context, of event) (int, error) {
	head := of.WorkflowRun
	open, err := list[pullRequest](ctx, a, "pulls", url.Values{"state": {"open"}, "head": {head.Head.Owner.Login + ":" + head.HeadBranch}})
	if err != nil {
		return 0, fmt.Errorf("looking for the pull request: %w", err)
	}
	for _, one := range open {
		if one.Head.SHA == head.HeadSHA && one.Head.Repo.FullName == head.Head.FullName {
			return one.Number, nil
		}
	}
	return 0, nil
}

// parts are the Markdown files of a directory, by name. They are not trusted: nothing outside the directory is read through them.
func parts(dir string) (string, error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("opening the parts: %w", err)
	}
	defer func() { _ = root.Close() }()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("listing the parts: %w", err)
	}
	var texts []string
	for _, entry := range entries {
		if !entry.Type().IsRegular() || !strings.HasSuffix(entry.Name(), ".md") {
			continue
		}
		text, err := readMost(root, entry.Name())
		if err != nil {
			return "", err
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "\n"), nil
}

func readMost(root *os.Root, name string) (string, error) {
	file, err := root.Open(name)
	if err != nil {
		return "", fmt.Errorf("opening a part: %w", err)
	}
	defer func() { _ = file.Close() }()
	content, err := io.ReadAll(io.LimitReader(file, longest))
	if err != nil {
		return "", fmt.Errorf("reading a part: %w", err)
	}
	return string(content), nil
}

// fit keeps the text as short as GitHub demands, with the end whole, and lets nobody be called by it: a zero-width space follows every "@".
func fit(text, end string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, ""), "@", "@\u200b")
	if most := longest - len(end) - len(marker) - 200; len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…\n"
	}
	return text + end
}

// drift opens the issue of a stack, updates the one that is open, or closes it.
func (a api) drift(ctx context.Context, stack, outcome, path, log string) error {
	title := "Drift: " + stack
	open, err := list[note](ctx, a, "issues", url.Values{"state": {"open"}})
	if err != nil {
		return fmt.Errorf("listing the issues: %w", err)
	}
	found := slices.IndexFunc(open, func(one note) bool {
		return one.Title == title && one.User.Login == author && one.PullRequest == nil
	})
	if outcome == "success" {
		if found < 0 {
			return nil
		}
		return a.send(ctx, http.MethodPatch, fmt.Sprintf("issues/%d", open[found].Number), map[string]any{"state": "closed"})
	}
	content, err := os.ReadFile(path) //nolint:gosec // the workflow's file
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("reading what was found: %w", err)
	}
	body := fit(fmt.Sprintf("What stack %s has differs from what main says, or could not be compared.\n\n%s", stack, content),
		fmt.Sprintf("\n[The run](%s). The next that finds no difference closes this.\n", log))
	if found >= 0 {
		return a.send(ctx, http.MethodPatch, fmt.Sprintf("issues/%d", open[found].Number), map[string]any{"body": body})
	}
	return a.send(ctx, http.MethodPost, "issues", map[string]any{"title": title, "body": body})
}

// api is GitHub's for one repository.
type api struct{ url, repository, token string }

// list gets all pages.
func list[T any](ctx context.Context, a api, path string, query url.Values) ([]T, error) {
	const perPage = 100
	var all []T
	for page := 1; ; page++ {
		given := url.Values{"per_page": {fmt.Sprint(perPage)}, "page": {fmt.Sprint(page)}}
		maps.Copy(given, query)
		var found []T
		if err := a.do(ctx, http.MethodGet, path+"?"+given.Encode(), nil, &found); err != nil {
			return nil, err
		}
		if all = append(all, found...); len(found) < perPage {
			return all, nil
		}
	}
}

func (a api) send(ctx context.Context, method, path string, body map[string]any) error {
	return a.do(ctx, method, path, body, nil)
}

func (a api) do(ctx context.Context, method, path string, body, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("preparing %s %s: %w", method, path, err)
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, fmt.Sprintf("%s/repos/%s/%s", a.url, a.repository, path), content)
	if err != nil {
		return fmt.Errorf("preparing %s %s: %w", method, path, err)
	}
	request.Header.Set("Authorization", "Bearer "+a.token)
	request.Header.Set("Accept", "application/vnd.github+json")
	request.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode/100 != 2 {
		said, _ := io.ReadAll(io.LimitReader(response.Body, 1000))
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, said)
	}
	if answer == nil {
		return nil
	}
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		return fmt.Errorf("%s %s: reading the answer: %w", method, path, err)
	}
	return nil
}
