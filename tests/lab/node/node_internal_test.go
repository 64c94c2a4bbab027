package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	nativecorev1 "k8s.io/api/core/v1"
	nativemetav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestDirectoriesThatTheNodeHides(t *testing.T) {
	t.Parallel()
	require.NoError(t, usable(Options{Dir: "/srv/lab", Bin: "/var/libexec"}))
	require.EqualError(t, usable(Options{Dir: "lab", Bin: "/bin"}), `directory "lab": must be absolute`)
	require.EqualError(t, usable(Options{Dir: "/srv", Bin: "/var/lib/lab"}),
		"directory /var/lib/lab: must not be below /var/lib, of which the node has its own")
	require.Error(t, usable(Options{Dir: "/run", Bin: "/bin"}))
}

func TestWhatIsNotInstalledIsNamedAtOnce(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	bin := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bin, "etcd"), nil, 0o600))
	err := installed(Options{Bin: bin}, []Image{{Binary: "thanos"}})
	require.ErrorContains(t, err, "apt-get install --no-install-recommends containerd runc ")
	require.ErrorContains(t, err, "nftables iptables iproute2 kmod util-linux nodejs")
	require.ErrorContains(t, err, "not built in "+bin+": kube-apiserver, ")
	require.ErrorContains(t, err, ", pause, coredns, probe, thanos")
	require.NotContains(t, err.Error(), "etcd")
}

func TestUpRefusesWhenTheLockIsHeld(t *testing.T) {
	t.Parallel()
	o := Options{Dir: t.TempDir()}
	lock, err := acquire(o)
	require.NoError(t, err)
	_, err = acquire(o)
	require.ErrorIs(t, err, ErrUp)
	require.ErrorContains(t, unlocked(o), "another `lab up` is at work")
	require.NoError(t, lock.Close())
	require.NoError(t, unlocked(o))
	lock, err = acquire(o)
	require.NoError(t, err, "a lock whose holder has gone is nobody's")
	require.NoError(t, lock.Close())
}

func TestNothingLeadsOutOfTheNode(t *testing.T) {
	t.Setenv("https_proxy", "http://proxy:3128")
	t.Setenv("NO_PROXY", "localhost")
	t.Setenv("AWS_PROFILE", "production")
	t.Setenv("LAB_TEST_KEPT", "yes")
	found := environment("MORE=1")
	require.Contains(t, found, "LAB_TEST_KEPT=yes")
	require.Contains(t, found, "MORE=1")
	for _, variable := range found {
		require.NotRegexp(t, `(?i)^(.*_proxy|aws_.*)=`, variable)
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	reports := func(all ...report) *bytes.Buffer {
		var out bytes.Buffer
		for _, one := range all {
			require.NoError(t, json.NewEncoder(&out).Encode(one))
		}
		return &out
	}
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "logs"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, initLog), []byte("mounting /proc: no\n"), 0o600))
	var out bytes.Buffer
	o := Options{Dir: dir, Out: &out}

	require.NoError(t, follow(t.Context(), o, reports(report{Line: "one"}, report{Line: "two"}, report{Ready: true})))
	require.Equal(t, "one\ntwo\n", out.String())
	require.EqualError(t, follow(t.Context(), o, reports(report{Error: "etcd: no"})), "starting the node: etcd: no")
	require.EqualError(t, follow(t.Context(), o, reports(report{Line: "one"})), "init has ended:\n\tmounting /proc: no")

	silent, _, err := os.Pipe()
	require.NoError(t, err)
	defer silent.Close() //nolint:errcheck // a test's
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, follow(ctx, o, silent), context.Canceled)
}

func TestWipeRemovesWhatIsTheNodesAndNothingElse(t *testing.T) {
	t.Parallel()
	o := Options{Dir: filepath.Join(t.TempDir(), "state")}
	lock, err := acquire(o)
	require.NoError(t, err)
	require.NoError(t, lock.Close())
	require.NoError(t, (&instructions{}).write(o))
	other := o.path("somebody's")
	require.NoError(t, os.WriteFile(other, nil, 0o600))
	require.NoError(t, removeData(o))
	entries, err := os.ReadDir(o.Dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.NoError(t, os.Remove(other))
	require.NoError(t, removeData(o))
	require.NoDirExists(t, o.Dir)
	require.NoError(t, removeData(o), "once more")
}

func TestEnded(t *testing.T) {
	t.Parallel()
	o := Options{Dir: t.TempDir()}
	ended, err := Ended(o)
	require.NoError(t, err)
	require.Empty(t, ended)
	require.NoError(t, os.Mkdir(o.path("logs"), 0o700))
	var stopped error
	n := &node{Options: o, stop: func(cause error) { stopped = cause }}
	n.ended(errors.New("etcd has ended (exit code 1)"))
	n.ended(errors.New("minio has ended (signal: killed)"))
	ended, err = Ended(o)
	require.NoError(t, err)
	require.Regexp(t, `^\d\d:\d\d:\d\d etcd has ended \(exit code 1\)\n\d\d:\d\d:\d\d minio has ended \(signal: killed\)\n$`, ended)
	require.EqualError(t, stopped, "minio has ended (signal: killed)")
}

func TestMachineSince(t *testing.T) {
	t.Parallel()
	before := &Machine{Interfaces: []string{"lo"}, Paths: []string{"/run/netns"}, Settings: []string{"kernel/panic = 0"}}
	now := &Machine{
		Processes: []string{"12 (etcd)"}, Cgroups: []string{"/sys/fs/cgroup/lab"}, Interfaces: []string{"lo", "cni0"},
		Paths: []string{"/run/netns"}, Settings: []string{"kernel/panic = 10"},
	}
	require.Equal(t,
		[]string{"process 12 (etcd)", "cgroup /sys/fs/cgroup/lab", "interface cni0", "setting kernel/panic = 10"}, now.Since(before))
	require.Empty(t, before.Since(before))
}

func TestWithoutARecordOnlyTheNodesOwnIsLeftOver(t *testing.T) {
	t.Parallel()
	now := &Machine{Processes: []string{"12 (etcd)"}, Interfaces: []string{"lo", "eth0", "cni0"}, Settings: []string{"kernel/panic = 10"}}
	before, err := baseline(Options{Dir: t.TempDir()}, now)
	require.NoError(t, err)
	require.Equal(t, []string{"process 12 (etcd)", "interface cni0"}, now.Since(before))
}

func TestReadyNode(t *testing.T) {
	t.Parallel()
	begun := time.Date(2026, 1, 1, 12, 0, 0, 500, time.UTC)
	said := func(status nativecorev1.ConditionStatus, at time.Time) *nativecorev1.Node {
		return &nativecorev1.Node{Status: nativecorev1.NodeStatus{Conditions: []nativecorev1.NodeCondition{
			{Type: nativecorev1.NodeDiskPressure, Status: nativecorev1.ConditionFalse},
			{Type: nativecorev1.NodeReady, Status: status, Message: "no network", LastHeartbeatTime: nativemetav1.NewTime(at)},
		}}}
	}
	require.NoError(t, readyNode(said(nativecorev1.ConditionTrue, begun.Truncate(time.Second)), begun), "the API has whole seconds")
	require.EqualError(t, readyNode(said(nativecorev1.ConditionFalse, begun), begun), "the node is not ready: no network")
	require.ErrorContains(t, readyNode(said(nativecorev1.ConditionTrue, begun.Add(-2*time.Second)), begun), "since it was started")
	require.ErrorContains(t, readyNode(&nativecorev1.Node{}, begun), "nothing yet")
}

func TestPollEndsWithTheLastError(t *testing.T) {
	t.Parallel()
	calls := 0
	require.NoError(t, poll(t.Context(), time.Millisecond, func(context.Context) error {
		if calls++; calls < 3 {
			return errors.New("not yet")
		}
		return nil
	}))
	require.Equal(t, 3, calls)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("etcd has ended"))
	require.EqualError(t, poll(ctx, time.Hour, func(context.Context) error { return errors.New("not yet") }), "etcd has ended")
	ctx, cancelTimeout := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancelTimeout()
	require.EqualError(t, poll(ctx, time.Hour, func(context.Context) error { return errors.New("not yet") }), "not in time: not yet")
}

func TestManifests(t *testing.T) {
	t.Parallel()
	objects, err := parse(coreDNSManifest, storageManifest)
	require.NoError(t, err)
	byName := map[string]*unstructured.Unstructured{}
	for _, object := range objects {
		byName[object.GetKind()+" "+object.GetName()] = object
	}
	require.Len(t, byName, 12)

	t.Run("the monitor of CoreDNS finds it", func(t *testing.T) {
		t.Parallel()
		service := byName["Service kube-dns"]
		require.Equal(t, "kube-dns", service.GetLabels()["k8s-app"])
		ip, _, err := unstructured.NestedString(service.Object, "spec", "clusterIP")
		require.NoError(t, err)
		require.Equal(t, dnsIP, ip)
		ports, _, err := unstructured.NestedSlice(service.Object, "spec", "ports")
		require.NoError(t, err)
		require.Contains(t, ports, map[string]any{"name": "metrics", "port": int64(9153), "protocol": "TCP", "targetPort": int64(9153)})
		config, _, err := unstructured.NestedString(byName["ConfigMap coredns"].Object, "data", "Corefile")
		require.NoError(t, err)
		require.Contains(t, config, "prometheus :9153")
		require.Contains(t, config, "kubernetes "+domain)
	})

	t.Run("the Services outside of the cluster lead to the node", func(t *testing.T) {
		t.Parallel()
		for name, address := range map[string]string{"minio": storeAddress, "dynamodb": tableAddress} {
			slice := byName["EndpointSlice "+name]
			require.Equal(t, name, slice.GetLabels()["kubernetes.io/service-name"])
			endpoints, _, err := unstructured.NestedSlice(slice.Object, "endpoints")
			require.NoError(t, err)
			ports, _, err := unstructured.NestedSlice(slice.Object, "ports")
			require.NoError(t, err)
			host, port, _ := strings.Cut(address, ":")
			require.Equal(t, []any{host}, endpoints[0].(map[string]any)["addresses"])
			require.Equal(t, port, strings.TrimSpace(mustJSON(t, ports[0].(map[string]any)["port"])))
			require.NotContains(t, byName["Service "+name].Object["spec"], "selector")
		}
	})
}

func mustJSON(t *testing.T, value any) string {
	t.Helper()
	content, err := json.Marshal(value)
	require.NoError(t, err)
	return string(content)
}

func TestVolumesAreOpenToAll(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	objects, err := makeVolumes(dir)
	require.NoError(t, err)
	require.Len(t, objects, 16)
	path := filepath.Join(dir, "volume-07")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o777), info.Mode().Perm())
	require.Equal(t, map[string]any{"path": path, "type": "Directory"}, objects[7].Object["spec"].(map[string]any)["hostPath"])
}

func TestStoreSetupIsWhatTheToolReads(t *testing.T) {
	t.Parallel()
	o := Options{Dir: t.TempDir(), Bin: "/bin"}
	require.NoError(t, os.Mkdir(o.path("home"), 0o700))
	command, err := setupCommand(t.Context(), o, []User{{Name: "loki", Secret: "s", Policy: json.RawMessage(`{"Version":"1"}`)}})
	require.NoError(t, err)
	var read struct {
		Endpoint, AccessKey, SecretKey string
		Buckets                        []string
		Users                          []map[string]any
	}
	require.NoError(t, json.NewDecoder(command.Stdin).Decode(&read))
	require.Equal(t, "10.88.0.1:9000", read.Endpoint)
	require.Equal(t, []string{"kansoku-blocks", "kansoku-chunks"}, read.Buckets)
	require.Equal(t, []map[string]any{{"name": "loki", "secret": "s", "policy": map[string]any{"Version": "1"}}}, read.Users)
	left, err := os.ReadDir(o.path("home"))
	require.NoError(t, err)
	require.Empty(t, left, "no secret stays in a file")
}

func TestLockIsNotForTheNodesChildren(t *testing.T) {
	t.Parallel()
	o := Options{Dir: t.TempDir()}
	lock, err := acquire(o)
	require.NoError(t, err)
	defer lock.Close() //nolint:errcheck // a test's
	flags, _, number := syscall.Syscall(syscall.SYS_FCNTL, lock.Fd(), syscall.F_GETFD, 0)
	require.Zero(t, number)
	require.NotZero(t, flags&syscall.FD_CLOEXEC)
}

func TestAnImagesMarkChangesWithItsBinary(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	image := Image{Ref: "lab.local/probe:1", Binary: "probe", Entrypoint: "/probe"}
	_, err := image.mark(bin)
	require.ErrorContains(t, err, "looking at the binary of lab.local/probe:1")
	path := filepath.Join(bin, "probe")
	require.NoError(t, os.WriteFile(path, []byte("one"), 0o600))
	one, err := image.mark(bin)
	require.NoError(t, err)
	again, err := image.mark(bin)
	require.NoError(t, err)
	require.Equal(t, one, again)
	require.NoError(t, os.Chtimes(path, time.Time{}, time.Now().Add(time.Second)))
	later, err := image.mark(bin)
	require.NoError(t, err)
	require.NotEqual(t, one, later, "built again, perhaps of the same size")
	image.Entrypoint = "/bin/probe"
	moved, err := image.mark(bin)
	require.NoError(t, err)
	require.NotEqual(t, later, moved)
}
