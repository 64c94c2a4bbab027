package grafana

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeCurl serves the files of $SITE by dashboard and revision. It fails as curl does: with a part of the file, if one is called so.
const fakeCurl = `#!/bin/sh
echo "$@" >>"$SITE/calls"
while [ $# -gt 1 ]; do
	[ "$1" = --output ] && output=$2
	shift
done
file=$SITE/$(echo "$1" | sed -e 's|^https://grafana.com/api/dashboards/\([0-9]*\)/revisions/\([0-9]*\)/download$|\1-\2|')
if [ -f "$file.part" ]; then
	cat "$file.part" >"$output"
	echo "curl: (18) transfer closed" >&2
	exit 18
fi
if [ ! -f "$file" ]; then
	echo "curl: (6) Could not resolve host: grafana.com" >&2
	exit 6
fi
cat "$file" >"$output"
`

type site struct {
	dir, into string
	env       []string
}

func newSite(t *testing.T, files map[string]string) *site {
	t.Helper()
	s := &site{dir: t.TempDir(), into: t.TempDir()}
	for name, content := range files {
		require.NoError(t, os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o600))
	}
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "curl"), []byte(fakeCurl), 0o700))
	s.env = []string{"PATH=" + bin + ":" + os.Getenv("PATH"), "SITE=" + s.dir}
	return s
}

// run downloads as the init container does and returns what there is afterwards, with what was said.
func (s *site) run(t *testing.T, dashboards []ComDashboard, env ...string) (files map[string]string, said string) {
	t.Helper()
	list := filepath.Join(t.TempDir(), "list")
	everywhere := func(string) bool { return true }
	require.NoError(t, os.WriteFile(list, Settings{GrafanaCom: dashboards}.downloads(everywhere), 0o600))
	cmd := exec.Command("sh", "download.sh", list, s.into)
	cmd.Env = slices.Concat(s.env, env)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	files = map[string]string{}
	require.NoError(t, filepath.WalkDir(s.into, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == s.into {
			return err
		}
		name, _ := filepath.Rel(s.into, path)
		if entry.IsDir() {
			files[name+"/"] = ""
			return nil
		}
		content, err := os.ReadFile(path)
		files[name] = string(content)
		return err
	}))
	return files, string(out)
}

func checksum(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

func TestDownload(t *testing.T) {
	t.Parallel()
	node := `{"title":"a\nb","x":"$1 & \\","panels":[{"datasource":"${DS_PROMETHEUS}"},{"datasource":{"uid":"${DS_LOKI-MAIN}"}},{"expr":"a{b=\"${var}\"}"}]}`
	s := newSite(t, map[string]string{"1860-37": node, "2-1": `{"uid":"${DS_MY_LOGS}${DS_MY_LOGS2}"}`})
	files, said := s.run(t, []ComDashboard{
		{ID: 1860, Revision: 37, SHA256: checksum(node), Folder: "Node Exporter"},
		{ID: 2, Revision: 1, Datasources: map[string]string{"DS_MY_LOGS": "loki"}},
	})
	assert.Equal(t, map[string]string{
		"node-exporter/": "", "general/": "",
		"node-exporter/1860.json": `{"title":"a\nb","x":"$1 & \\","panels":[{"datasource":"thanos"},{"datasource":{"uid":"loki"}},{"expr":"a{b=\"${var}\"}"}]}`,
		"general/2.json":          `{"uid":"lokithanos"}`,
	}, files)
	assert.Equal(t, "dashboard 1860: revision 37 fetched\ndashboard 2: revision 1 fetched\n", said)

	calls, err := os.ReadFile(filepath.Join(s.dir, "calls"))
	require.NoError(t, err)
	first, _, _ := strings.Cut(string(calls), "\n")
	assert.Equal(t, "-q --fail --silent --show-error --proto =https --connect-timeout 5 --max-time 20 --max-filesize 8388608 --output "+
		s.into+"/1860.part https://grafana.com/api/dashboards/1860/revisions/37/download", first)
}

func TestDownloadUnreachable(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"2-1": "{}"})
	files, said := s.run(t, []ComDashboard{{ID: 1, Revision: 1, Folder: "F"}, {ID: 2, Revision: 1}})
	assert.Equal(t, map[string]string{"f/": "", "general/": "", "general/2.json": "{}"}, files)
	assert.Equal(t, `curl: (6) Could not resolve host: grafana.com
dashboard 1: left out, cannot be fetched from https://grafana.com/api/dashboards/1/revisions/1/download
dashboard 2: revision 1 fetched
`, said)
}

func TestDownloadCutOff(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"1-1.part": `{"title":`})
	files, said := s.run(t, []ComDashboard{{ID: 1, Revision: 1}})
	assert.Equal(t, map[string]string{"general/": ""}, files)
	assert.Contains(t, said, "dashboard 1: left out, cannot be fetched")
}

func TestDownloadWrongChecksum(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"1-1": `{"title":"other"}`, "2-1": "{}"})
	want := checksum(`{"title":"this"}`)
	files, said := s.run(t, []ComDashboard{{ID: 1, Revision: 1, SHA256: want}, {ID: 2, Revision: 1, SHA256: checksum("{}")}})
	assert.Equal(t, map[string]string{"general/": "", "general/2.json": "{}"}, files)
	assert.Equal(t, fmt.Sprintf("dashboard 1: left out, its SHA-256 is %s, not %s\ndashboard 2: revision 1 fetched\n",
		checksum(`{"title":"other"}`), want), said)
}

// A container that starts again finds what it had fetched, and replaces it only by something whole.
func TestDownloadAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"1-1": `{"v":1}`})
	dashboards := []ComDashboard{{ID: 1, Revision: 1}}
	s.run(t, dashboards)
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "1-1.part"), []byte(`{"v"`), 0o600))
	files, _ := s.run(t, dashboards)
	assert.Equal(t, map[string]string{"general/": "", "general/1.json": `{"v":1}`}, files)
}

func TestDownloadIsGivenLimitedTime(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"1-1": "{}"})
	files, said := s.run(t, []ComDashboard{{ID: 1, Revision: 1}}, "LIMIT=0")
	assert.Equal(t, map[string]string{"general/": ""}, files)
	assert.Equal(t, "dashboard 1: left out, 0 seconds have passed\n", said)
}

// Where nothing can be written the script still ends well.
func TestDownloadWithoutDirectory(t *testing.T) {
	t.Parallel()
	s := newSite(t, map[string]string{"1-1": "{}"})
	s.into = filepath.Join(s.into, "file")
	require.NoError(t, os.WriteFile(s.into, nil, 0o600))
	list := filepath.Join(t.TempDir(), "list")
	require.NoError(t, os.WriteFile(list, []byte("1 1 general - \n"), 0o600))
	cmd := exec.Command("sh", "download.sh", list, s.into)
	cmd.Env = s.env
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Contains(t, string(out), "dashboard 1: left out")
}
