// Package node runs one real Kubernetes node out of static binaries, on a machine that has no container engine: etcd, the control plane,
// containerd, kubelet, kube-proxy, and MinIO and dynalite in the places of S3 and DynamoDB.
//
// All of it are children of one init process, which is the calling program itself, started again as `PROGRAM init` in namespaces of its
// own: mounts, network, processes, host name, IPC and cgroups. The network has no way out, only Options.Dir and /tmp can be written,
// and the end of init is the end of everything. It does not know what will run on the node.
package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// What is fixed about the node. Whatever runs on it may rely on these.
const (
	// Name of the node.
	Name = "lab"
	// IP of the node; MinIO, dynalite and pods on the host's network listen there.
	IP = "10.88.0.1"

	podCIDR      = "10.244.0.0/24"
	clusterCIDR  = "10.244.0.0/16"
	serviceCIDR  = "10.96.0.0/16"
	kubernetesIP = "10.96.0.1"
	dnsIP        = "10.96.0.10"
	domain       = "cluster.local"
	apiURL       = "https://127.0.0.1:6443"

	interfaceName = "node0"
	peerName      = "node0p"
	bridgeName    = "cni0"
)

// Options say where the node lives.
type Options struct {
	// Dir holds all that the node writes. An absolute path.
	Dir string
	// Bin is the directory of the binaries. An absolute path.
	Bin string
	// Out gets a line for every step.
	Out io.Writer
}

func (o Options) path(elements ...string) string {
	return filepath.Join(append([]string{o.Dir}, elements...)...)
}

// Kubeconfig is the administrator's. Its server is within reach only inside the node.
func (o Options) Kubeconfig() string { return o.path("pki", "admin.kubeconfig") }

// instructions are what init has to know; it reads them from a file, because it starts itself again.
type instructions struct {
	Bin         string
	Node        string  // Node.js, which runs dynalite
	Images      []Image // beside its own
	Hierarchies []hierarchy
}

// report is what init says to `up`: a line to show, the reason why it gave up, or that it is done.
type report struct {
	Line  string `json:",omitempty"`
	Error string `json:",omitempty"`
	Ready bool   `json:",omitempty"`
}

// InsideVariable is set for commands inside the node.
const InsideVariable = "LAB_INSIDE"

// Files that init inherits.
const (
	lockFD    = 3 // held as long as init lives
	reportsFD = 4
)

// ErrUp is why Up refuses.
var ErrUp = errors.New("the lab is up already, or on its way: `lab down` ends it")

// IsUp says whether the node's init lives.
func IsUp(o Options) bool {
	_, err := initPID(o)
	return err == nil
}

// Up starts the node and returns when it is Ready, holds the images, answers DNS, and the object store and the table are there. When it
// fails, or ctx ends, what has started stays, for looking at it: Down ends it. The calling program must call Init for its argument "init".
func Up(ctx context.Context, o Options, images []Image) error {
	setup, err := prepare(o, images)
	if err != nil {
		return err
	}
	lock, err := acquire(o)
	if err != nil {
		return err
	}
	defer lock.Close() //nolint:errcheck // init holds it too
	before, err := Look(o)
	if err != nil {
		return err
	}
	if err = errors.Join(setup.write(o), writeJSON(o.path(beforeFile), before)); err != nil {
		return err
	}
	if err = createGroups(setup.Hierarchies); err != nil {
		return err
	}
	reports, err := start(o, lock)
	if err != nil {
		return err
	}
	defer reports.Close() //nolint:errcheck // it was read only
	return follow(ctx, o, reports)
}

// Check says what stands against starting the node on this machine.
func Check(o Options, images []Image) error {
	// Where root's programs are, in case that a login without them has led here; for children too.
	path := os.Getenv("PATH") + ":/usr/local/sbin:/usr/sbin:/sbin"
	if err := errors.Join(isRoot(), usable(o), os.Setenv("PATH", path)); err != nil {
		return err
	}
	return installed(o, images)
}

// prepare finds out whether this machine can run the node, and how.
func prepare(o Options, images []Image) (*instructions, error) {
	if err := Check(o, images); err != nil {
		return nil, err
	}
	hierarchies, err := findHierarchies(groupName(o))
	if err != nil {
		return nil, err
	}
	nodejs, err := exec.LookPath("node")
	if err != nil {
		return nil, fmt.Errorf("looking for Node.js: %w", err)
	}
	if err := loadBridgeFilter(o.Out); err != nil {
		return nil, err
	}
	return &instructions{Bin: o.Bin, Node: nodejs, Images: images, Hierarchies: hierarchies}, nil
}

// own are the images that the node itself needs, and the probe that tests run.
func own() []Image {
	return []Image{
		{Ref: pauseImage, Binary: "pause", Entrypoint: "/pause"},
		{Ref: "lab.local/coredns:1", Binary: "coredns", Entrypoint: "/coredns"},
		{Ref: "lab.local/probe:1", Binary: "probe", Entrypoint: "/probe"},
	}
}

func isRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("the lab needs root: it makes namespaces, mounts and cgroups")
	}
	return nil
}

// usable refuses directories that the node would hide from itself.
func usable(o Options) error {
	for _, dir := range []string{o.Dir, o.Bin} {
		if !filepath.IsAbs(dir) {
			return fmt.Errorf("directory %q: must be absolute", dir)
		}
		for _, hidden := range []string{"/proc", "/sys", "/run", "/var/run", "/var/lib", "/var/log"} {
			if dir == hidden || strings.HasPrefix(dir, hidden+"/") {
				return fmt.Errorf("directory %s: must not be below %s, of which the node has its own", dir, hidden)
			}
		}
	}
	return nil
}

// packages of Debian, by what the node needs of them.
var packages = []struct{ name, needed string }{
	{"containerd", "containerd"},
	{"containerd", "ctr"},
	{"runc", "runc"},
	{"containernetworking-plugins", cniPlugins + "/bridge"},
	{"nftables", "nft"},
	{"iptables", "iptables"},
	{"iproute2", "ip"},
	{"kmod", "modprobe"},
	{"util-linux", "nsenter"},
	{"util-linux", "setpriv"},
	{"nodejs", "node"},
}

// installed names everything that is missing at once: packages, and what `make lab` builds.
func installed(o Options, images []Image) error {
	binaries := []string{
		"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "minio", "minio-setup", dynaliteProgram,
	}
	for _, image := range append(own(), images...) {
		binaries = append(binaries, image.Binary)
	}
	var absent, unbuilt []string
	for _, p := range packages {
		if _, err := exec.LookPath(p.needed); err != nil && !slices.Contains(absent, p.name) {
			absent = append(absent, p.name)
		}
	}
	for _, name := range binaries {
		if _, err := os.Stat(filepath.Join(o.Bin, name)); err != nil {
			unbuilt = append(unbuilt, name)
		}
	}
	var errs []error
	if len(absent) > 0 {
		errs = append(errs, fmt.Errorf("packages are missing: apt-get install --no-install-recommends %s", strings.Join(absent, " ")))
	}
	if len(unbuilt) > 0 {
		errs = append(errs, fmt.Errorf("not built in %s: %s", o.Bin, strings.Join(unbuilt, ", ")))
	}
	return errors.Join(errs...)
}

// loadBridgeFilter makes rules apply to what pods of one node send each other; most kernels have it as a module. This is the one thing that
// stays on the machine, and it says so.
func loadBridgeFilter(out io.Writer) error {
	if _, err := os.Stat("/proc/sys/net/bridge"); err == nil {
		return nil
	}
	if output, err := command("modprobe", "br_netfilter").CombinedOutput(); err != nil {
		return fmt.Errorf("loading kernel module br_netfilter: %w: %s", err, strings.TrimSpace(string(output)))
	}
	_, err := fmt.Fprintln(out, "kernel module br_netfilter loaded; it stays")
	return err
}

// acquire the lock that init holds as long as it lives, and remove what a node that ended otherwise has left.
func acquire(o Options) (*os.File, error) {
	if err := os.MkdirAll(o.Dir, 0o755); err != nil { //nolint:gosec // pods that are not root have their volumes below
		return nil, fmt.Errorf("making the lab's directory: %w", err)
	}
	lock, err := os.OpenFile(o.path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock: %w", err)
	}
	err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		err = ErrUp
	case err != nil:
		err = fmt.Errorf("taking the lock: %w", err)
	default:
		err = clearGroups(o)
	}
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	return lock, nil
}

// directoryModes are the directories that the node writes to, in its own.
func directoryModes() map[string]os.FileMode {
	return map[string]os.FileMode{
		"logs": 0o755, "pki": 0o700, "etc": 0o755, "home": 0o700, "minio": 0o700, "dynalite": 0o700, "etcd": 0o700, "containerd": 0o711,
		"var/lib/kubelet": 0o755, "var/lib/cni": 0o755, "var/log/pods": 0o755, "var/log/containers": 0o755,
	}
}

func (i *instructions) write(o Options) error {
	for dir, mode := range directoryModes() {
		if err := os.MkdirAll(o.path(dir), mode); err != nil {
			return fmt.Errorf("making a directory of the lab: %w", err)
		}
	}
	if err := os.RemoveAll(o.path(endedLog)); err != nil {
		return fmt.Errorf("removing the list of ended processes: %w", err)
	}
	return writeJSON(o.path(instructionsFile), i)
}

const (
	instructionsFile = "etc/node.json"
	initLog          = "logs/init.log"
	endedLog         = "logs/ended.log"
)

// The lab runs what it has built, and reads and writes what is its own or the kernel's.

func command(name string, args ...string) *exec.Cmd {
	return exec.Command(name, args...) //nolint:gosec // see above
}

func readFile(path string) ([]byte, error) {
	return os.ReadFile(path) //nolint:gosec // see above
}

// writeFile writes a file that is there already, as the kernel's are.
func writeFile(path, content string) error {
	return os.WriteFile(path, []byte(content), 0)
}

func writeJSON(path string, value any) error {
	content, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding %s: %w", path, err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return fmt.Errorf("writing configuration: %w", err)
	}
	return nil
}

// start init, and return what it reports.
func start(o Options, lock *os.File) (io.ReadCloser, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	log, err := os.Create(o.path(initLog))
	if err != nil {
		return nil, fmt.Errorf("opening init's log: %w", err)
	}
	defer log.Close() //nolint:errcheck // init writes it
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("opening a pipe: %w", err)
	}
	defer writer.Close() //nolint:errcheck // init writes it
	init := command(self, "init")
	init.Dir = "/"
	init.Env = environment("LAB_DIR="+o.Dir, "HOME="+o.path("home"))
	init.Stdout, init.Stderr = log, log
	init.ExtraFiles = []*os.File{lock, writer}
	init.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		Setsid:     true, // the terminal's signals are not for it
	}
	if err := init.Start(); err != nil {
		_ = reader.Close()
		return nil, fmt.Errorf("starting init: %w", err)
	}
	go func() { _ = init.Wait() }()
	return reader, nil
}

// environment of all that runs inside: this one, without what would lead out of it (a proxy, credentials for the real AWS).
func environment(more ...string) []string {
	var kept []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		if upper := strings.ToUpper(name); strings.HasSuffix(upper, "_PROXY") || strings.HasPrefix(upper, "AWS_") {
			continue
		}
		kept = append(kept, variable)
	}
	return append(kept, more...)
}

// follow shows what init reports until it is done.
func follow(ctx context.Context, o Options, reports io.Reader) error {
	decoder, received := json.NewDecoder(reports), make(chan report)
	go func() {
		defer close(received)
		for {
			var next report
			if decoder.Decode(&next) != nil {
				return
			}
			select {
			case received <- next:
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the node: %w", context.Cause(ctx))
		case next, more := <-received:
			switch {
			case !more:
				return fmt.Errorf("init has ended:\n%s", tail(o.path(initLog)))
			case next.Error != "":
				return fmt.Errorf("starting the node: %s", next.Error)
			case next.Ready:
				return nil
			}
			if _, err := fmt.Fprintln(o.Out, next.Line); err != nil {
				return err
			}
		}
	}
}

// Down ends every process of the node and removes its cgroups, however far Up came; mounts and interfaces end with the processes. With
// wipe, its directory goes too.
func Down(o Options, wipe bool) error {
	if err := errors.Join(isRoot(), usable(o)); err != nil {
		return err
	}
	if err := clearGroups(o); err != nil {
		return err
	}
	if err := unlocked(o); err != nil {
		return err
	}
	left, err := Leftovers(o)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("left over: %s", strings.Join(left, ", "))
	}
	if wipe {
		return removeData(o)
	}
	return nil
}

// removeData removes what the node has written, by name: whatever else is in its directory stays.
func removeData(o Options) error {
	names := []string{beforeFile, "lock", "var", "volumes"}
	for name := range directoryModes() {
		names = append(names, name)
	}
	for _, name := range names {
		if err := os.RemoveAll(o.path(name)); err != nil {
			return fmt.Errorf("removing the lab's data: %w", err)
		}
	}
	if err := os.Remove(o.Dir); err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) {
		return fmt.Errorf("removing the lab's directory: %w", err)
	}
	return nil
}

// unlocked makes sure that nobody is about to start the node again.
func unlocked(o Options) error {
	lock, err := os.Open(o.path("lock"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening the lock: %w", err)
	}
	defer lock.Close() //nolint:errcheck // it was read only
	for range 20 {
		if err = syscall.Flock(int(lock.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return errors.New("another `lab up` is at work: end that first")
}

// clearGroups kills what is in the node's cgroups and removes these.
func clearGroups(o Options) error {
	groups, err := findGroups(groupName(o))
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		pids := processesIn(groups)
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if len(pids) == 0 {
			if err = removeGroups(groups); err == nil {
				return nil
			}
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("ending the node: still there after 20 s: processes %v", pids), err)
		}
	}
}

// Command is a program to run inside the node, where the API server, pods and services are within reach. It starts in the current
// directory, and ends with its starter.
func Command(ctx context.Context, o Options, name string, args ...string) (*exec.Cmd, error) {
	if err := isRoot(); err != nil {
		return nil, err
	}
	pid, err := initPID(o)
	if err != nil {
		return nil, err
	}
	here, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("finding the current directory: %w", err)
	}
	enter := []string{
		"--target", strconv.Itoa(pid), "--mount", "--net", "--pid", "--uts", "--ipc", "--cgroup", "--wdns=" + here, "--",
		"setpriv", "--pdeathsig", "KILL", "--", name,
	}
	inside := exec.CommandContext(ctx, "nsenter", append(enter, args...)...) //nolint:gosec // whatever the caller wants
	inside.Env = environment("PATH="+o.Bin+":"+os.Getenv("PATH")+":/usr/sbin:/sbin",
		"KUBECONFIG="+o.Kubeconfig(), "KUBECACHEDIR="+o.path("home", "kubectl"), "LAB_DIR="+o.Dir, "LAB_BIN="+o.Bin, InsideVariable+"=yes")
	return inside, nil
}

// initPID is the process that is the first one in its own namespace.
func initPID(o Options) (int, error) {
	groups, err := findGroups(groupName(o))
	if err != nil {
		return 0, err
	}
	for _, group := range groups {
		for _, pid := range readPIDs(filepath.Join(group, nodeGroup)) {
			status, err := readFile(fmt.Sprintf("/proc/%d/status", pid))
			if err == nil && isFirst(string(status)) {
				return pid, nil
			}
		}
	}
	return 0, fmt.Errorf("the lab in %s is not up: start it with `lab up`", o.Dir)
}

// isFirst says whether a process, by /proc/PID/status, has number 1 in its innermost namespace.
func isFirst(status string) bool {
	for line := range strings.Lines(status) {
		if numbers, ok := strings.CutPrefix(line, "NSpid:"); ok {
			fields := strings.Fields(numbers)
			return len(fields) > 1 && fields[len(fields)-1] == "1"
		}
	}
	return false
}

// Ended lists the processes of the node that have ended though they should not, with their last lines; "" if none.
func Ended(o Options) (string, error) {
	content, err := readFile(o.path(endedLog))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading the list of ended processes: %w", err)
	}
	return string(content), nil
}
