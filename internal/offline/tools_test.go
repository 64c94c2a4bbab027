package offline

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/blang/semver"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func executable(t *testing.T, path, script string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755))
}

func TestFindTools(t *testing.T) {
	bin := t.TempDir()
	onPath := t.TempDir()
	t.Setenv("PATH", onPath)

	_, err := findTools(context.Background(), bin)
	require.ErrorContains(t, err, "`make bin/pulumi` builds it")
	require.ErrorContains(t, err, "`make tools` installs it")
	require.ErrorContains(t, err, "node is not on PATH")

	executable(t, filepath.Join(onPath, "node"), "")
	executable(t, filepath.Join(onPath, "pulumi"), "echo v3.100.0\n")
	require.NoError(t, os.MkdirAll(filepath.Join(bin, "eks/node_modules/@pulumi/eks/cmd/provider"), 0o755))
	_, err = findTools(context.Background(), bin)
	require.EqualError(t, err, filepath.Join(onPath, "pulumi")+
		" is version 3.100.0, needed is 3.246.0 or newer: remove it, and `make bin/pulumi` builds it")

	executable(t, filepath.Join(onPath, "pulumi"), "echo v3.300.0\n")
	found, err := findTools(context.Background(), bin)
	require.NoError(t, err)
	assert.Equal(t, tools{
		cli: filepath.Join(onPath, "pulumi"), cliVersion: semver.MustParse("3.300.0"), node: filepath.Join(onPath, "node"),
		eks: filepath.Join(bin, "eks/node_modules/@pulumi/eks"),
	}, found)

	// Ours comes first.
	executable(t, filepath.Join(bin, "pulumi"), "echo v3.246.0\n")
	found, err = findTools(context.Background(), bin)
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(bin, "pulumi"), found.cli)
}

func TestShims(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "it's a dir")
	node := filepath.Join(dir, "node")
	executable(t, node, `echo "$1 $2 $A $HTTPS_PROXY $no_grpc_proxy"`)
	found := tools{node: node, eks: "/eks"}
	require.NoError(t, found.install(filepath.Join(dir, "shims")))

	run := func(path string, args ...string) (string, error) {
		output, err := exec.CommandContext(t.Context(), path, args...).Output()
		return string(output), err
	}
	aws, err := run(filepath.Join(dir, "shims/aws"), "--version")
	require.NoError(t, err)
	assert.Equal(t, "aws-cli/2.30.0\n", aws)
	kubectl, err := run(filepath.Join(dir, "shims/kubectl"), "version", "--client=true", "--output=json")
	require.NoError(t, err)
	assert.JSONEq(t, `{"clientVersion":{"gitVersion":"v1.36.0"}}`, kubectl)
	for shim, args := range map[string][]string{"aws": {"sts", "get-caller-identity"}, "kubectl": {"apply", "-f", "-"}} {
		_, err = run(filepath.Join(dir, "shims", shim), args...)
		require.Error(t, err, shim)
	}
	provider, err := found.provider([]string{"A=1"}, "127.0.0.1:1").Output()
	require.NoError(t, err)
	assert.Contains(t, string(provider), "--eval process.stdin.on(")
	assert.Contains(t, string(provider), " 1 http://127.0.0.1:1 127.0.0.1,localhost\n")
}

// A provider that does not start is named as the reason.
func TestProviderThatDoesNotStart(t *testing.T) {
	t.Parallel()
	broken := filepath.Join(t.TempDir(), "node")
	executable(t, broken, "echo no such module >&2; exit 1\n")
	eks, err := listenForEKS()
	require.NoError(t, err)
	eks.serve(tools{node: broken}.provider(nil, "127.0.0.1:1"))
	defer eks.close()
	require.NoError(t, eks.failure())
	engine, err := net.Dial("tcp", eks.listener.Addr().String())
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, engine)
	require.NoError(t, err, "closed, since there is nobody to answer")
	require.ErrorContains(t, eks.failure(), "starting the pulumi-eks provider: it ended before it listened")
	assert.ErrorContains(t, eks.failure(), "no such module")
}

func TestCommandPassesNoEnvironmentOn(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "of the caller")
	path := filepath.Join(t.TempDir(), "pulumi")
	executable(t, path, "echo $*; /usr/bin/env; exit 3\n")
	var seen bytes.Buffer
	stdout, _, code, err := command{path: path, env: []string{"A=1"}}.Run(
		context.Background(), t.TempDir(), nil, []io.Writer{&seen}, nil, []string{"B=2"}, "up")
	require.Error(t, err)
	assert.Equal(t, 3, code)
	assert.Equal(t, stdout, seen.String())
	assert.Contains(t, stdout, "--non-interactive up\n")
	assert.Contains(t, stdout, "A=1\n")
	assert.Contains(t, stdout, "B=2\n")
	assert.NotContains(t, stdout, "AWS_SECRET_ACCESS_KEY")
}
