package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// joinedVariable tells init that it is in its cgroups.
const joinedVariable = "LAB_INIT_JOINED"

// Init is the node's first process: Up starts it. It returns only when it could not begin.
func Init() error {
	if os.Getpid() != 1 {
		return errors.New("starting init: it is not the first process of a namespace: `lab up` starts it")
	}
	o := Options{Dir: os.Getenv("LAB_DIR")}
	content, err := readFile(o.path(instructionsFile))
	if err != nil {
		return fmt.Errorf("reading init's instructions: %w", err)
	}
	var setup instructions
	if err := json.Unmarshal(content, &setup); err != nil {
		return fmt.Errorf("reading init's instructions: %w", err)
	}
	o.Bin = setup.Bin
	if os.Getenv(joinedVariable) == "" {
		return join(setup.Hierarchies)
	}
	unix.CloseOnExec(lockFD)
	unix.CloseOnExec(reportsFD)
	reports := json.NewEncoder(os.NewFile(reportsFD, "reports"))

	ctx, stop := context.WithCancelCause(context.Background())
	n := &node{Options: o, setup: setup, begun: time.Now(), reports: reports, stop: stop}
	n.supervisor = newSupervisor(o.path("logs"), n.ended)
	if err := n.bringUp(ctx); err != nil {
		_ = reports.Encode(report{Error: err.Error()})
		fmt.Fprintln(os.Stderr, err)
	} else {
		_ = reports.Encode(report{Ready: true})
	}
	select {} // until it is killed
}

// join the node's cgroups and make them the roots of a namespace. This thread alone enters that namespace, and with it who it starts: the
// program itself, as the same process.
func join(hierarchies []hierarchy) error {
	runtime.LockOSThread()
	if err := joinGroups(hierarchies, ""); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("making a cgroup namespace: %w", err)
	}
	if err := joinGroups(hierarchies, nodeGroup); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	err = unix.Exec(self, []string{self, "init"}, append(os.Environ(), joinedVariable+"=yes"))
	return fmt.Errorf("starting init again: %w", err)
}

// node is init at work.
type node struct {
	Options
	setup instructions

	begun      time.Time
	supervisor *supervisor
	stop       context.CancelCauseFunc

	mu      sync.Mutex // steps of two goroutines report
	reports *json.Encoder
}

// ended takes note of a daemon that has ended: while the node comes up that is the end of it, afterwards it is kept for whoever asks.
func (n *node) ended(err error) {
	n.stop(err)
	fmt.Fprintln(os.Stderr, err)
	list, openErr := os.OpenFile(n.path(endedLog), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if openErr != nil {
		fmt.Fprintln(os.Stderr, openErr)
		return
	}
	defer list.Close() //nolint:errcheck // the line below says it
	if _, writeErr := fmt.Fprintf(list, "%s %v\n", time.Now().Format(time.TimeOnly), err); writeErr != nil {
		fmt.Fprintln(os.Stderr, writeErr)
	}
}

// step is a part of coming up. It is reported when it is done.
type step struct {
	what string
	do   func(context.Context) error
}

// run steps one after the other, and report the time that each took, after the time since the beginning.
func (n *node) run(ctx context.Context, steps ...step) error {
	for _, s := range steps {
		begun := time.Now()
		if err := s.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
		line := fmt.Sprintf("%6.1f s  %s (%.1f s)", time.Since(n.begun).Seconds(), s.what, time.Since(begun).Seconds())
		n.mu.Lock()
		err := n.reports.Encode(report{Line: line})
		n.mu.Unlock()
		if err != nil {
			return fmt.Errorf("reporting to `lab up`, which has gone: %w", err)
		}
	}
	return nil
}

func (n *node) bringUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	if err := n.run(
		ctx,
		step{"file systems and network", func(ctx context.Context) error {
			if err := n.mounts(); err != nil {
				return err
			}
			return n.network(ctx)
		}},
		step{"certificates and configuration", func(context.Context) error { return errors.Join(writePKI(n.path("pki")), n.configure()) }},
		step{"etcd, API server, containerd, MinIO and dynalite started", n.startStores},
	); err != nil {
		return err
	}
	// Images come in beside everything else; the first pods need only the node's own.
	ownImported, imported := make(chan error, 1), make(chan error, 1)
	go func() {
		ownImported <- n.run(ctx, step{"containerd ready", n.containerdReady}, n.importImages(own()))
		if len(n.setup.Images) == 0 {
			imported <- nil
			return
		}
		imported <- n.run(ctx, n.importImages(n.setup.Images))
	}()
	c, err := connect(n.Kubeconfig())
	if err != nil {
		return err
	}
	if err := n.run(
		ctx,
		step{"API server ready", c.ready},
		step{"controller manager and scheduler started, service account made", func(ctx context.Context) error {
			if err := n.startControllers(); err != nil {
				return err
			}
			return c.serviceAccount(ctx)
		}},
		step{"CoreDNS and storage applied", func(ctx context.Context) error { return c.applyAll(ctx, n.path("volumes")) }},
		step{"buckets and table made", n.makeStores},
	); err != nil {
		return err
	}
	if err := <-ownImported; err != nil {
		return err
	}
	if err := n.run(
		ctx,
		step{"kubelet started, node registered", func(ctx context.Context) error {
			if err := n.startKubelet(); err != nil {
				return err
			}
			return c.nodeRegistered(ctx)
		}},
		step{"kube-proxy started", func(context.Context) error { return n.startProxy() }}, // it would wait 30 s if there were no node yet
		step{"node Ready", func(ctx context.Context) error { return c.nodeReady(ctx, n.begun) }},
		step{"CoreDNS ready", c.dnsReady},
		step{"DNS and ClusterIP answer", func(ctx context.Context) error { return answers(ctx, n.path("pki")) }},
	); err != nil {
		return err
	}
	return <-imported
}

// mounts makes this namespace's own file systems: nothing that the node writes outside of its directory reaches the machine.
func (n *node) mounts() error {
	const flags = unix.MS_NOSUID | unix.MS_NODEV
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("parting from the machine's mounts: %w", err)
	}
	// Beside the node's own directory, only /tmp can be written: for tests, which run here.
	if err := errors.Join(bind(n.Dir, n.Dir), bind("/tmp", "/tmp"),
		unix.Mount("", "/", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")); err != nil {
		return fmt.Errorf("protecting the machine's files: %w", err)
	}
	if err := errors.Join(unix.Unmount("/proc", unix.MNT_DETACH), unix.Mount("proc", "/proc", "proc", flags|unix.MS_NOEXEC, "")); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	if err := mountGroups(n.setup.Hierarchies); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", "/run", "tmpfs", flags, "mode=755"); err != nil {
		return fmt.Errorf("mounting /run: %w", err)
	}
	for _, dir := range []string{"/var/lib", "/var/log"} {
		if err := bind(n.path(dir), dir); err != nil {
			return err
		}
	}
	if err := n.resolver(); err != nil {
		return err
	}
	if err := sysctls(); err != nil {
		return err
	}
	// As on a machine that systemd has booted: what kubelet mounts reaches pods that ask for it.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("sharing mounts with pods: %w", err)
	}
	return nil
}

func bind(from, to string) error {
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mounting %s on %s: %w", from, to, err)
	}
	return nil
}

// resolver lets the node's own processes (not the pods) resolve the names of Services.
func (n *node) resolver() error {
	path := n.path("etc", "resolv.conf")
	content := fmt.Sprintf("nameserver %s\nsearch svc.%s %s\noptions ndots:5 timeout:2\n", dnsIP, domain, domain)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil { //nolint:gosec // as everywhere
		return fmt.Errorf("writing resolv.conf: %w", err)
	}
	const target = "/etc/resolv.conf"
	link, err := os.Readlink(target)
	if err != nil {
		return bind(path, target)
	}
	// It usually points into /run, which is empty by now.
	if !filepath.IsAbs(link) {
		link = filepath.Join("/etc", link)
	}
	if err = os.MkdirAll(filepath.Dir(link), 0o755); err != nil { //nolint:gosec // as everywhere
		return fmt.Errorf("making the place of resolv.conf: %w", err)
	}
	file, err := os.OpenFile(link, os.O_CREATE, 0o644) //nolint:gosec // as everywhere
	if err != nil {
		return fmt.Errorf("making the place of resolv.conf: %w", err)
	}
	_ = file.Close()
	return bind(path, link)
}

// sysctls leaves the machine's as they are: only those of this network namespace can be written. kubelet insists on the values of some
// others, and would write them: it is shown files that have them already.
func sysctls() error {
	const root, flags = "/proc/sys", unix.MS_BIND | unix.MS_REMOUNT
	if err := errors.Join(bind(root, root), unix.Mount("", root, "", flags|unix.MS_RDONLY, "")); err != nil {
		return fmt.Errorf("protecting the machine's sysctls: %w", err)
	}
	if err := errors.Join(bind(root+"/net", root+"/net"), unix.Mount("", root+"/net", "", flags, "")); err != nil {
		return fmt.Errorf("opening the network's sysctls: %w", err)
	}
	for name, value := range map[string]string{
		"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
		"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
	} {
		shown := filepath.Join("/run", "sysctl-"+strings.ReplaceAll(name, "/", "-"))
		if err := os.WriteFile(shown, []byte(value+"\n"), 0o644); err != nil { //nolint:gosec // as everywhere
			return fmt.Errorf("writing a sysctl: %w", err)
		}
		if err := bind(shown, filepath.Join(root, name)); err != nil {
			return err
		}
	}
	return nil
}

// network has a pair of interfaces that lead to each other only. The default route ends there: a packet that would leave is lost.
func (n *node) network(ctx context.Context) error {
	if err := unix.Sethostname([]byte(Name)); err != nil {
		return fmt.Errorf("setting the host name: %w", err)
	}
	for _, line := range []string{
		"link set lo up",
		"link add " + interfaceName + " type veth peer name " + peerName,
		"addr add " + IP + "/24 dev " + interfaceName,
		"link set " + interfaceName + " up",
		"link set " + peerName + " up",
		"route add default dev " + interfaceName,
	} {
		if err := n.supervisor.task(ctx, "network", command("ip", strings.Fields(line)...)); err != nil {
			return fmt.Errorf("ip %s: %w", line, err)
		}
	}
	for _, sysctl := range []string{"ipv4/ip_forward", "bridge/bridge-nf-call-iptables"} {
		if err := writeFile(filepath.Join("/proc/sys/net", sysctl), "1"); err != nil {
			return fmt.Errorf("setting up the network: %w", err)
		}
	}
	return nil
}
