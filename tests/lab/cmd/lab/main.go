// Command lab runs a Kubernetes node on this machine, deploys the stack on it, and tests what came of it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/kansoku/kansoku/tests/lab/node"
	"github.com/kansoku/kansoku/tests/lab/stack"
)

const usage = `usage: lab COMMAND

  up [-bare] [-keep=false]    start the node and deploy the stack; -bare: only the node
  apply                       deploy the stack once more, as it was rendered by up
  test [-run REGEXP] [-skip REGEXP] [-timeout DURATION] [-parallel N]
                              run the tests inside the node
  status                      list the pods, and what is left over of a node that is down
  usage                       print what the workloads take, beside their requests and limits
  exec COMMAND...             run a command inside the node: lab exec kubectl get pods -A
  down [-wipe]                end the node; -wipe: remove its data too

The state is in $LAB_DIR (bin/lab/state), the binaries are in $LAB_BIN (bin/lab).
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		os.Exit(exit.ExitCode()) // whoever ended has said why
	default:
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	if args[0] == "init" {
		return node.Init()
	}
	if os.Geteuid() != 0 {
		return errors.New("the lab needs root: it makes namespaces, mounts and cgroups")
	}
	l, err := find()
	if err != nil {
		return err
	}
	commands := map[string]func(context.Context, []string) error{
		"up": l.up, "apply": l.apply, "test": l.test, "status": l.status, "usage": l.usage, "exec": l.exec, "down": l.down,
	}
	command, ok := commands[args[0]]
	if !ok {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	return command(ctx, args[1:])
}

// lab is where everything is.
type lab struct {
	node.Options
	project string
}

// find the project from the current directory upwards.
func find() (*lab, error) {
	project, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("finding the current directory: %w", err)
	}
	for {
		if _, absent := os.Stat(filepath.Join(project, "Pulumi.yaml")); absent == nil {
			break
		}
		if project == filepath.Dir(project) {
			return nil, errors.New("finding the project: there is no Pulumi.yaml here or above")
		}
		project = filepath.Dir(project)
	}
	bin, err := fromEnvironment("LAB_BIN", filepath.Join(project, "bin", "lab"))
	if err != nil {
		return nil, err
	}
	dir, err := fromEnvironment("LAB_DIR", filepath.Join(project, "bin", "lab", "state"))
	if err != nil {
		return nil, err
	}
	return &lab{node.Options{Dir: dir, Bin: bin, Out: os.Stdout}, project}, nil
}

// fromEnvironment is a directory that a variable may change.
func fromEnvironment(name, normal string) (string, error) {
	value := os.Getenv(name)
	if value == "" {
		return normal, nil
	}
	absolute, err := filepath.Abs(value)
	if err != nil {
		return "", fmt.Errorf("reading $%s: %w", name, err)
	}
	return absolute, nil
}

func (l *lab) up(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("up", flag.ExitOnError)
	bare, keep := flags.Bool("bare", false, ""), flags.Bool("keep", true, "")
	_ = flags.Parse(args) // ExitOnError
	begun := time.Now()
	err := l.bringUp(ctx, *bare)
	switch {
	case err == nil:
		fmt.Printf("the lab is up after %.0f s\n", time.Since(begun).Seconds())
		return nil
	case errors.Is(err, node.ErrUp) || !node.IsUp(l.Options):
		return err
	case *keep:
		return fmt.Errorf("%w\nwhat has started stays, to be looked at (logs in %s); `lab down` ends it", err, filepath.Join(l.Dir, "logs"))
	}
	return errors.Join(err, node.Down(l.Options, false))
}

func (l *lab) bringUp(ctx context.Context, bare bool) error {
	if node.IsUp(l.Options) {
		return node.ErrUp
	}
	if bare {
		return node.Up(ctx, l.Options, nil)
	}
	if err := node.Check(l.Options, nil); err != nil { // before rendering takes its time
		return err
	}
	begun := time.Now()
	if err := stack.Render(ctx, l.project, l.Dir); err != nil {
		return err
	}
	fmt.Printf("stack rendered (%.1f s)\n", time.Since(begun).Seconds())
	images, err := l.images()
	if err != nil {
		return err
	}
	if err := node.Up(ctx, l.Options, images); err != nil {
		return err
	}
	return l.self(ctx, "apply")
}

// inside runs a command inside the node, with this terminal.
func (l *lab) inside(ctx context.Context, name string, args ...string) error {
	command, err := node.Command(ctx, l.Options, name, args...)
	if err != nil {
		return err
	}
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	return command.Run()
}

// self runs a part of this program inside the node.
func (l *lab) self(ctx context.Context, command string) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	return l.inside(ctx, program, command)
}

// within says whether this is inside the node.
func within() bool { return os.Getenv(node.InsideVariable) != "" }

// apply makes the users of the object store, each with the policy that the program generates for its workload, and deploys the stack.
func (l *lab) apply(ctx context.Context, _ []string) error {
	if !within() {
		return l.self(ctx, "apply")
	}
	policies, err := stack.Policies(l.Dir)
	if err != nil {
		return err
	}
	var users []node.User
	credentials := map[string]stack.Credential{}
	for workload, policy := range policies {
		secret := workload + "-secret"
		users = append(users, node.User{Name: workload, Secret: secret, Policy: policy})
		credentials[workload] = stack.Credential{AccessKey: workload, SecretKey: secret}
	}
	if err = node.MakeUsers(ctx, l.Options, users); err != nil {
		return err
	}
	content, err := json.Marshal(credentials) //nolint:gosec // they open nothing but the lab's own store
	if err != nil {
		return fmt.Errorf("encoding the credentials: %w", err)
	}
	if err := os.WriteFile(filepath.Join(l.Dir, stack.CredentialsFile), content, 0o600); err != nil {
		return fmt.Errorf("writing the credentials: %w", err)
	}
	return stack.Apply(ctx, l.Dir, os.Stdout)
}

func (l *lab) usage(ctx context.Context, _ []string) error {
	if !within() {
		return l.self(ctx, "usage")
	}
	return stack.Usage(ctx, os.Stdout)
}

func (l *lab) test(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("test", flag.ExitOnError)
	pattern, skip := flags.String("run", "", ""), flags.String("skip", "", "")
	timeout, parallel := flags.Duration("timeout", time.Hour, ""), flags.Int("parallel", 16, "")
	_ = flags.Parse(args) // ExitOnError
	if err := os.Chdir(filepath.Join(l.project, "tests", "lab", "cases")); err != nil {
		return fmt.Errorf("going where the tests are: %w", err)
	}
	err := l.inside(ctx, filepath.Join(l.Bin, "cases.test"), "-test.v", "-test.run", *pattern, "-test.skip", *skip, "-test.timeout", timeout.String(),
		"-test.parallel", fmt.Sprint(*parallel)) // they mostly wait
	return errors.Join(err, l.ended())
}

// ended is an error when processes of the node have ended by themselves.
func (l *lab) ended() error {
	ended, err := node.Ended(l.Options)
	if err != nil {
		return err
	}
	if ended != "" {
		return fmt.Errorf("processes of the node have ended:\n%s", strings.TrimSpace(ended))
	}
	return nil
}

func (l *lab) status(ctx context.Context, _ []string) error {
	if node.IsUp(l.Options) {
		return errors.Join(l.inside(ctx, "kubectl", "get", "pods", "--all-namespaces", "--output=wide"), l.ended())
	}
	left, err := node.Leftovers(l.Options)
	if err != nil {
		return err
	}
	fmt.Printf("the lab in %s is down\n", l.Dir)
	if len(left) > 0 {
		return fmt.Errorf("left over, `lab down` removes it:\n%s", strings.Join(left, "\n"))
	}
	return nil
}

func (l *lab) exec(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New("nothing to run: lab exec COMMAND")
	}
	return l.inside(ctx, args[0], args[1:]...)
}

func (l *lab) down(_ context.Context, args []string) error {
	flags := flag.NewFlagSet("down", flag.ExitOnError)
	wipe := flags.Bool("wipe", false, "")
	_ = flags.Parse(args) // ExitOnError
	begun := time.Now()
	if err := node.Down(l.Options, *wipe); err != nil {
		return err
	}
	if *wipe {
		for _, name := range []string{stack.ObjectsFile, stack.PoliciesFile, stack.CredentialsFile} {
			if err := os.RemoveAll(filepath.Join(l.Dir, name)); err != nil {
				return fmt.Errorf("removing the rendered stack: %w", err)
			}
		}
	}
	fmt.Printf("the lab is down after %.1f s: no process, mount, cgroup or interface is left\n", time.Since(begun).Seconds())
	return nil
}
