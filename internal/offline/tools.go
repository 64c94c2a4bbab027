package offline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/blang/semver"
	"github.com/pulumi/pulumi/sdk/v3"
)

// tools are the programs that the engine needs, by absolute path.
type tools struct {
	cli        string
	cliVersion semver.Version
	node       string
	eks        string // directory of the package @pulumi/eks
}

// CheckTools says what is missing to run the engine with the tools in the directory bin ("" for "bin" in the working directory), and
// which make target builds it; nil if all is there.
func CheckTools(bin string) error {
	_, err := findTools(context.Background(), bin)
	return err
}

func findTools(ctx context.Context, bin string) (tools, error) {
	if bin == "" {
		bin = "bin"
	}
	bin, err := filepath.Abs(bin)
	if err != nil {
		return tools{}, fmt.Errorf("resolving the directory of tools: %w", err)
	}
	var found tools
	var cliErr, eksErr error
	found.cli, found.cliVersion, cliErr = findCLI(ctx, bin)
	found.eks, eksErr = findEKS(bin)
	found.node, err = exec.LookPath("node")
	if err != nil {
		err = errors.New("node is not on PATH: install Node 20 or newer; the pulumi-eks provider runs on it")
	}
	return found, errors.Join(cliErr, err, eksErr)
}

// findCLI prefers the tool that this repository builds, so that an older one on PATH changes nothing.
func findCLI(ctx context.Context, bin string) (string, semver.Version, error) {
	path := filepath.Join(bin, "pulumi")
	if _, err := os.Stat(path); err != nil {
		path, err = exec.LookPath("pulumi")
		if err != nil {
			return "", semver.Version{}, fmt.Errorf("the Pulumi CLI is neither in %s nor on PATH: `make bin/pulumi` builds it", bin)
		}
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", semver.Version{}, fmt.Errorf("resolving the path of the Pulumi CLI: %w", err)
	}
	command := exec.CommandContext(ctx, path, "version") //nolint:gosec // the tool that was just looked up
	command.Env = []string{"PULUMI_SKIP_UPDATE_CHECK=true", "HOME=" + os.TempDir(), "PATH=" + os.Getenv("PATH")}
	printed, err := command.Output()
	if err != nil {
		return "", semver.Version{}, fmt.Errorf("asking %s for its version: %w", path, err)
	}
	version, err := semver.ParseTolerant(strings.TrimSpace(string(printed)))
	if err != nil {
		return "", semver.Version{}, fmt.Errorf("reading the version of %s: %w", path, err)
	}
	// The Automation API refuses a tool that is older than itself.
	if version.LT(sdk.Version) || version.Major != sdk.Version.Major {
		return "", semver.Version{}, fmt.Errorf("%s is version %s, needed is %s or newer: remove it, and `make bin/pulumi` builds it",
			path, version, sdk.Version)
	}
	return path, version, nil
}

func findEKS(bin string) (string, error) {
	dir := filepath.Join(bin, "eks", "node_modules", "@pulumi", "eks")
	if _, err := os.Stat(filepath.Join(dir, "cmd", "provider")); err != nil {
		return "", fmt.Errorf("the pulumi-eks provider is not in %s: `make tools` installs it", filepath.Join(bin, "eks"))
	}
	return dir, nil
}

// install writes what stands first on PATH.
func (t tools) install(shims string) error {
	files := map[string]string{
		// pulumi-eks asks both for their version, even in a preview, and uses neither.
		filepath.Join(shims, "aws"):     answerOnly("aws", "--version", "aws-cli/2.30.0"),
		filepath.Join(shims, "kubectl"): answerOnly("kubectl", "version", `{"clientVersion":{"gitVersion":"v1.36.0"}}`),
	}
	if err := os.MkdirAll(shims, 0o700); err != nil {
		return fmt.Errorf("making the directory of shims: %w", err)
	}
	for path, content := range files {
		if err := os.WriteFile(path, []byte(content), 0o700); err != nil { //nolint:gosec // they are executed
			return fmt.Errorf("writing the shim %s: %w", filepath.Base(path), err)
		}
	}
	return nil
}

const loopback = "127.0.0.1,localhost"

// provider is the command that runs pulumi-eks until its standard input ends, with what it asks of clusters sent to the loopback proxy.
// environment is the CLI's.
func (t tools) provider(environment []string, proxy string) *exec.Cmd {
	script := fmt.Sprintf(`process.stdin.on("end", () => process.exit()).resume(); require(%s).main([])`,
		jsString(filepath.Join(t.eks, "cmd", "provider")))
	command := exec.Command(t.node, "--eval", script) //nolint:gosec,noctx // the tool that was looked up; it lives as long as its engine
	// HTTPS_PROXY is read by pulumi-eks only; gRPC reads the lower-case names, which are not set.
	command.Env = append(slices.Clone(environment), "HTTPS_PROXY=http://"+proxy, "NO_PROXY="+loopback, "no_grpc_proxy="+loopback)
	// An interrupt at the terminal is for the CLI, which still needs it.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return command
}

// answerOnly is a shim that answers one argument and refuses all others.
func answerOnly(name, argument, answer string) string {
	return fmt.Sprintf("#!/bin/sh\n[ \"$1\" = %s ] && echo %s && exit\necho \"the engine without a cloud has no %s: refusing: $*\" >&2\nexit 1\n",
		argument, shellString(answer), name)
}

func shellString(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func jsString(s string) string {
	quoted, _ := json.Marshal(s)
	return string(quoted)
}

// command runs the CLI for the Automation API. Unlike the Automation API's own it passes none of this process's environment on, so that
// no credentials, proxy, kubeconfig or Pulumi setting of the caller has a say.
type command struct {
	path    string
	version semver.Version
	env     []string
}

// Version implements auto.PulumiCommand.
func (c command) Version() semver.Version { return c.version }

// Run implements auto.PulumiCommand.
func (c command) Run(
	ctx context.Context, dir string, stdin io.Reader, stdouts, stderrs []io.Writer, env []string, args ...string,
) (string, string, int, error) {
	run := exec.CommandContext(ctx, c.path, append([]string{"--non-interactive"}, args...)...) //nolint:gosec // the Automation API's arguments
	run.Dir, run.Stdin = dir, stdin
	run.Env = append(append(append([]string{}, c.env...), env...), "PULUMI_AUTOMATION_API=true")
	var stdout, stderr bytes.Buffer
	run.Stdout, run.Stderr = io.MultiWriter(append(stdouts, &stdout)...), io.MultiWriter(append(stderrs, &stderr)...)
	// Its own process group: an interrupt at the terminal reaches the CLI once, through the context.
	run.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	run.Cancel = func() error { return run.Process.Signal(os.Interrupt) }
	run.WaitDelay = 10 * time.Second
	err := run.Run()
	code := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		code = -1
	}
	return stdout.String(), stderr.String(), code, err
}
