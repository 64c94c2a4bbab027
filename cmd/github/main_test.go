package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hub plays GitHub: it gives what it holds, page by page, and keeps what is sent.
type hub struct {
	t        *testing.T
	pulls    []map[string]any
	comments []map[string]any
	issues   []map[string]any
	heads    []string
	sent     []string // "PATCH issues/1"
	bodies   []map[string]any
}

func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	assert.Equal(h.t, "Bearer secret", r.Header.Get("Authorization"))
	path := strings.TrimPrefix(r.URL.Path, "/repos/we/kansoku/")
	if r.Method != http.MethodGet {
		var body map[string]any
		assert.NoError(h.t, json.NewDecoder(r.Body).Decode(&body))
		h.sent, h.bodies = append(h.sent, r.Method+" "+path), append(h.bodies, body)
		w.WriteHeader(http.StatusCreated)
		return
	}
	var all []map[string]any
	switch path {
	case "pulls":
		h.heads = append(h.heads, r.URL.Query().Get("head"))
		all = h.pulls
	case "issues/7/comments":
		all = h.comments
	case "issues":
		all = h.issues
	default:
		http.Error(w, "no such thing", http.StatusNotFound)
		return
	}
	page, _ := strconv.Atoi(r.URL.Query().Get("page"))
	first, last := min((page-1)*100, len(all)), min(page*100, len(all))
	assert.NoError(h.t, json.NewEncoder(w).Encode(append([]map[string]any{}, all[first:last]...)))
}

// run runs the command against the hub, for a run of the commit abc on the branch "b`$(x)" of a repository.
func (h *hub) run(from string, args ...string) error {
	h.t.Helper()
	server := httptest.NewServer(h)
	defer server.Close()
	path := filepath.Join(h.t.TempDir(), "event.json")
	owner, _, _ := strings.Cut(from, "/")
	content, err := json.Marshal(map[string]any{"workflow_run": map[string]any{
		"html_url": "https://github.example/run/1", "head_sha": "abc", "head_branch": "b`$(x)&state=closed",
		"head_repository": map[string]any{"full_name": from, "owner": map[string]any{"login": owner}},
	}})
	require.NoError(h.t, err)
	require.NoError(h.t, os.WriteFile(path, content, 0o600))
	return run(h.t.Context(), args, func(name string) string {
		return map[string]string{
			"GITHUB_API_URL": server.URL, "GITHUB_REPOSITORY": "we/kansoku", "GITHUB_TOKEN": "secret", "GITHUB_EVENT_PATH": path,
			"GITHUB_SERVER_URL": "https://github.example", "GITHUB_RUN_ID": "9",
		}[name]
	})
}

func pull(number int, sha, from string) map[string]any {
	return map[string]any{"number": number, "head": map[string]any{"sha": sha, "repo": map[string]any{"full_name": from}}}
}

func by(login, body string, id int) map[string]any {
	return map[string]any{"id": id, "number": id, "body": body, "title": body, "user": map[string]any{"login": login}}
}

func partsOf(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	return dir
}

func TestCommentIsPosted(t *testing.T) {
	t.Parallel()
	h := &hub{t: t, pulls: []map[string]any{
		pull(5, "older", "we/kansoku"), pull(6, "abc", "other/kansoku"), pull(7, "abc", "we/kansoku"),
	}}
	require.NoError(t, h.run("we/kansoku", "comment", partsOf(t, map[string]string{"b.md": "second\n", "a.md": "first @everyone\n", "c.sh": "third"})))
	assert.Equal(t, []string{"we:b`$(x)&state=closed"}, h.heads)
	assert.Equal(t, []string{"POST issues/7/comments"}, h.sent)
	assert.Equal(t, marker+"\nfirst @\u200beveryone\n\nsecond\n\n[The run](https://github.example/run/1)\n", h.bodies[0]["body"])
}

func TestCommentIsUpdatedInPlace(t *testing.T) {
	t.Parallel()
	h := &hub{t: t, pulls: []map[string]any{pull(7, "abc", "them/fork")}}
	for i := range 150 {
		h.comments = append(h.comments, by("somebody", marker+" not ours", i))
	}
	h.comments = append(h.comments, by(author, "something else", 200), by(author, marker+"\nbefore", 201))
	require.NoError(t, h.run("them/fork", "comment", partsOf(t, map[string]string{"a.md": strings.Repeat("é", longest)})))
	assert.Equal(t, []string{"PATCH issues/comments/201"}, h.sent)
	body, _ := h.bodies[0]["body"].(string)
	assert.True(t, strings.HasPrefix(body, marker+"\nFrom a fork: "))
	assert.LessOrEqual(t, len(body), longest)
	assert.True(t, strings.HasSuffix(body, "…\n\n[The run](https://github.example/run/1)\n"))
}

// TestCommentOfNobody: the branch has moved on, or the pull request is closed.
func TestCommentOfNobody(t *testing.T) {
	t.Parallel()
	h := &hub{t: t, pulls: []map[string]any{pull(7, "newer", "we/kansoku")}}
	require.NoError(t, h.run("we/kansoku", "comment", t.TempDir()))
	assert.Empty(t, h.sent)
}

func TestCommentWithoutParts(t *testing.T) {
	t.Parallel()
	h := &hub{t: t, pulls: []map[string]any{pull(7, "abc", "we/kansoku")}}
	require.NoError(t, h.run("we/kansoku", "comment", filepath.Join(t.TempDir(), "none")))
	assert.Contains(t, h.bodies[0]["body"], "There is nothing to show")
}

// TestPartsStayInside: a part that is a link tells nothing of what it points at.
func TestPartsStayInside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(outside, []byte("hunter2"), 0o600))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "a.md")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "b.md"), 0o755))
	text, err := parts(dir)
	require.NoError(t, err)
	assert.Empty(t, text)
}

func TestDrift(t *testing.T) {
	t.Parallel()
	request := by(author, "Drift: prod", 1)
	request["pull_request"] = map[string]any{"url": "x"}
	others := []map[string]any{request, by("somebody", "Drift: prod", 2), by(author, "Drift: dev", 3)}
	mine := append([]map[string]any{by(author, "Drift: prod", 4)}, others...)
	for name, test := range map[string]struct {
		issues  []map[string]any
		outcome string
		sent    []string
		has     string
	}{
		"new":      {others, "failure", []string{"POST issues"}, `"title":"Drift: prod"`},
		"still":    {mine, "failure", []string{"PATCH issues/4"}, `"body":"What stack prod has differs`},
		"over":     {mine, "success", []string{"PATCH issues/4"}, `"state":"closed"`},
		"no drift": {others, "success", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := &hub{t: t, issues: test.issues}
			file := filepath.Join(partsOf(t, map[string]string{"drift.md": "~ spec.replicas"}), "drift.md")
			require.NoError(t, h.run("we/kansoku", "drift", "prod", test.outcome, file))
			assert.Equal(t, test.sent, h.sent)
			for _, body := range h.bodies {
				text, err := json.Marshal(body)
				require.NoError(t, err)
				assert.Contains(t, string(text), test.has)
				if test.outcome == "failure" {
					assert.Contains(t, string(text), "~ spec.replicas")
					assert.Contains(t, string(text), "https://github.example/we/kansoku/actions/runs/9")
				}
			}
		})
	}
}

func TestErrorsSayWhatGitHubSaid(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"message":"Resource not accessible by integration"}`, http.StatusForbidden)
	}))
	t.Cleanup(server.Close)
	to := api{url: server.URL, repository: "we/kansoku", token: "secret"}
	err := to.drift(t.Context(), "prod", "success", "", "")
	require.ErrorContains(t, err, "listing the issues: GET issues?")
	require.ErrorContains(t, err, "403 Forbidden: {\"message\":\"Resource not accessible by integration\"}")
	assert.NotContains(t, err.Error(), "secret")
	require.ErrorContains(t, run(t.Context(), nil, func(string) string { return "" }), "GITHUB_TOKEN are required")
	require.ErrorContains(t, run(t.Context(), []string{"x"}, func(name string) string { return fmt.Sprint(name, "x") }), "usage:")
}
