// Package down holds the last of what the lab must show. It runs outside of the node, when everything else has been shown: it ends the lab.
package down

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kansoku/kansoku/tests/lab/node"
)

// TestDownLeavesNothing needs a lab that is up, and ends it: afterwards the machine is as it was.
func TestDownLeavesNothing(t *testing.T) {
	dir := os.Getenv("LAB_DIR")
	if dir == "" {
		var err error
		dir, err = filepath.Abs("../../../bin/lab/state")
		require.NoError(t, err)
	}
	o := node.Options{Dir: dir, Bin: filepath.Dir(dir), Out: os.Stdout}
	require.True(t, node.IsUp(o), "the lab in %s is not up: there is nothing to end", dir)
	before, err := node.Before(o)
	require.NoError(t, err)

	up, err := node.Look(o)
	require.NoError(t, err)
	require.NotEmpty(t, up.Processes, "what cannot be seen while the lab is up is not missed afterwards")
	require.NotEmpty(t, up.Cgroups)
	require.NotEmpty(t, users(t, dir))
	for _, entry := range up.Since(before) {
		assert.Regexp(t, "^(process|cgroup) ", entry, "the node reaches the machine itself")
	}

	begun := time.Now()
	require.NoError(t, node.Down(o, false))
	took := time.Since(begun)

	after, err := node.Look(o)
	require.NoError(t, err)
	require.Empty(t, after.Since(before))
	require.Empty(t, before.Since(after), "what there was before is there still")
	require.Empty(t, users(t, dir))
	t.Logf("figure: 12: down took %.1f s; of %d processes and %d cgroups: %d and %d left, and no mount, interface, path, sysctl or rule",
		took.Seconds(), len(up.Processes), len(up.Cgroups), len(after.Processes), len(after.Cgroups))
}

// users are the processes of this machine that work in a directory or have a file of it open. Containers' have none: they see other files.
func users(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{"/proc/[0-9]*/cwd", "/proc/[0-9]*/fd/*"} {
		links, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, link := range links {
			if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, dir+"/") {
				found = append(found, link+" -> "+target)
			}
		}
	}
	return found
}
