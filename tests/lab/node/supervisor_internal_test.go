package node

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// One test: a supervisor waits for every child of its program, so that there can be only one, and no other test may wait for a child.
func TestSupervisor(t *testing.T) {
	logs := t.TempDir()
	ended := make(chan error, 1)
	s := newSupervisor(logs, func(err error) { ended <- err })
	shell := func(script string) *exec.Cmd { return exec.Command("/bin/sh", "-c", script) }

	require.NoError(t, s.task(t.Context(), "good", shell("echo out; echo err >&2")))
	log, err := os.ReadFile(filepath.Join(logs, "good.log"))
	require.NoError(t, err)
	require.Equal(t, "out\nerr\n", string(log))

	err = s.task(t.Context(), "bad", shell("seq 100; exit 3"))
	require.ErrorContains(t, err, "bad has ended (exit code 3), and said last:\n\t81\n\t82\n")
	require.True(t, strings.HasSuffix(err.Error(), "\n\t100"), err)

	err = s.task(t.Context(), "missing", exec.Command("/nowhere/etcd"))
	require.ErrorContains(t, err, "starting missing:")

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, s.task(ctx, "slow", shell("exec sleep 1")), context.DeadlineExceeded)

	for i := range 50 { // a program may end before its start is noted
		require.NoError(t, s.task(t.Context(), fmt.Sprint("quick", i), exec.Command("/bin/true")))
	}

	require.NoError(t, s.daemon("etcd", shell("echo corrupt; kill -9 $$")))
	select {
	case err = <-ended:
		require.EqualError(t, err, "etcd has ended (signal: killed), and said last:\n\tcorrupt")
	case <-time.After(10 * time.Second):
		t.Fatal("nobody said that the daemon has ended")
	}

	// What it did not start itself, it buries as well: as the first process it inherits everything.
	pid, err := syscall.ForkExec("/bin/true", []string{"true"}, &syscall.ProcAttr{})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return syscall.Kill(pid, 0) != nil }, 10*time.Second, 10*time.Millisecond)
}
