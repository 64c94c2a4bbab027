package node

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	mountsV1 = `22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:26 / /sys/fs/cgroup rw shared:9 - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset,clone_children
33 30 0:29 /docker/c0ffee /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
34 30 0:30 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
35 30 0:31 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
36 30 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
37 22 0:33 / /mnt/with\040space rw - tmpfs tmpfs rw
`
	ownV1 = `6:name=systemd:/user
5:pids:/
4:memory:/docker/c0ffee/inner
3:cpuset:/
2:cpu,cpuacct:/own
0::/
`
	mountsV2 = `22 1 254:0 / / rw - ext4 /dev/vda rw
30 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate
`
)

func TestParseMounts(t *testing.T) {
	t.Parallel()
	mounts := parseMounts(mountsV1)
	require.Len(t, mounts, 9)
	require.Equal(t, mountPoint{"/docker/c0ffee", "/sys/fs/cgroup/memory", "cgroup", []string{"rw", "memory"}}, mounts[4])
	require.Equal(t, "/mnt/with space", mounts[8].point)
}

func TestHierarchiesOfVersion1(t *testing.T) {
	t.Parallel()
	found, err := parseHierarchies(parseMounts(mountsV1), ownV1, "lab")
	require.NoError(t, err)
	require.Equal(t, []hierarchy{
		{Mount: "/sys/fs/cgroup/systemd", Options: "none,name=systemd", Group: "/sys/fs/cgroup/systemd/user/lab"},
		{Mount: "/sys/fs/cgroup/pids", Options: "pids", Group: "/sys/fs/cgroup/pids/lab"},
		{Mount: "/sys/fs/cgroup/memory", Options: "memory", Group: "/sys/fs/cgroup/memory/inner/lab"},
		{Mount: "/sys/fs/cgroup/cpuset", Options: "cpuset", Group: "/sys/fs/cgroup/cpuset/lab"},
		{Mount: "/sys/fs/cgroup/cpu,cpuacct", Options: "cpu,cpuacct", Group: "/sys/fs/cgroup/cpu,cpuacct/own/lab"},
	}, found, "below the caller's own groups, the version 2 hierarchy beside them left alone")
}

func TestHierarchyOfVersion2(t *testing.T) {
	t.Parallel()
	found, err := parseHierarchies(parseMounts(mountsV2), "0::/user.slice/session.scope\n", "lab")
	require.NoError(t, err)
	require.Equal(t, []hierarchy{{Mount: "/sys/fs/cgroup", Group: "/sys/fs/cgroup/lab", Unified: true}}, found)
}

func TestHierarchiesThatAreMissing(t *testing.T) {
	t.Parallel()
	_, err := parseHierarchies(parseMounts(mountsV1), "5:pids:/\n4:memory:/docker/c0ffee\n0::/\n", "lab")
	require.EqualError(t, err, "looking for cgroups: of cpu, cpuacct, cpuset, memory, pids only pids, memory are mounted, and no cgroup v2")
	_, err = parseHierarchies(nil, "0::/\n", "lab")
	require.Error(t, err)
}

func TestGroupNameIsTheDirectorysOwn(t *testing.T) {
	t.Parallel()
	one := groupName(Options{Dir: "/one"})
	require.Regexp(t, `^kansoku-lab-[0-9a-f]{8}$`, one)
	require.Equal(t, one, groupName(Options{Dir: "/one", Bin: "/bin"}))
	require.NotEqual(t, one, groupName(Options{Dir: "/two"}))
}

// A directory tree stands in for a hierarchy: these functions only read files and directories.
func TestProcessesAndRemovalOfGroups(t *testing.T) {
	t.Parallel()
	group := filepath.Join(t.TempDir(), "lab")
	inner := filepath.Join(group, "kubepods", "pod1")
	require.NoError(t, os.MkdirAll(inner, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte("7\n0\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(inner, "cgroup.procs"), []byte("12\n7\n"), 0o600))
	require.Equal(t, []int{7, 12}, processesIn([]string{group}), "0 is a process of another namespace")
	require.Equal(t, []string{inner, filepath.Join(group, "kubepods"), group}, directories(group))

	require.Error(t, removeGroups([]string{group}), "not empty")
	require.NoError(t, os.Remove(filepath.Join(group, "cgroup.procs")))
	require.NoError(t, os.Remove(filepath.Join(inner, "cgroup.procs")))
	require.NoError(t, removeGroups([]string{group, filepath.Join(group, "gone")}))
	require.NoDirExists(t, group)
}

func TestIsFirst(t *testing.T) {
	t.Parallel()
	require.True(t, isFirst("Name:\tlab\nNSpid:\t4711\t1\nNSpgid:\t4711\t1\n"))
	require.True(t, isFirst("NSpid:\t4711\t12\t1\n"), "the caller is in a namespace itself")
	require.False(t, isFirst("NSpid:\t4711\t17\n"))
	require.False(t, isFirst("NSpid:\t1\n"), "the machine's own")
	require.False(t, isFirst("Name:\tlab\n"))
}
