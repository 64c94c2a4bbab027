package node

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The node has one cgroup in every hierarchy, and a cgroup namespace whose roots these are: inside, they look like the machine's own,
// wherever they are. With cgroup v1, they lie below those of the caller, so that its limits hold.

const ownMounts = "/proc/self/mountinfo"

// nodeGroup is where the node's own processes are; pods are beside it. A group with processes may have none below it that
// share out resources (cgroup v2).
const nodeGroup = "node"

// hierarchy is a tree of cgroups.
type hierarchy struct {
	// Mount is where the machine has it, Options what it is mounted with.
	Mount, Options string
	// Group is the directory of the node's cgroup.
	Group string
	// Unified says that it is the one of cgroup v2.
	Unified bool
}

// groupName is the same for every start of a lab, so that its cgroups are found again, and no other lab's.
func groupName(o Options) string {
	sum := sha256.Sum256([]byte(o.Dir))
	return "kansoku-lab-" + hex.EncodeToString(sum[:4])
}

// mountPoint is a line of /proc/self/mountinfo.
type mountPoint struct {
	root, point, kind string
	options           []string // of the file system
}

func readMounts(file string) ([]mountPoint, error) {
	content, err := readFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the mounts: %w", err)
	}
	return parseMounts(string(content)), nil
}

func parseMounts(content string) []mountPoint {
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var all []mountPoint
	for line := range strings.Lines(content) {
		before, after, ok := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 5 || len(right) < 3 {
			continue
		}
		all = append(all, mountPoint{unescape.Replace(left[3]), unescape.Replace(left[4]), right[0], strings.Split(right[2], ",")})
	}
	return all
}

func findHierarchies(name string) ([]hierarchy, error) {
	mounts, err := readMounts(ownMounts)
	if err != nil {
		return nil, err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("reading the own cgroups: %w", err)
	}
	return parseHierarchies(mounts, string(own), name)
}

// parseHierarchies takes the hierarchies of cgroup v1 if these have the controllers, else the one of v2.
func parseHierarchies(mounts []mountPoint, own, name string) ([]hierarchy, error) {
	var (
		v1      []hierarchy
		unified *hierarchy
		present []string
	)
	for line := range strings.Lines(own) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3) // number:controllers:path
		if len(fields) != 3 {
			continue
		}
		if fields[1] == "" {
			// At the root, because no group with processes (the caller's own) may share out resources.
			for _, m := range mounts {
				if m.kind == "cgroup2" {
					unified = &hierarchy{Mount: m.point, Group: filepath.Join(m.point, name), Unified: true}
				}
			}
			continue
		}
		controllers := strings.Split(fields[1], ",")
		at := slices.IndexFunc(mounts, func(m mountPoint) bool { return m.kind == "cgroup" && containsAll(m.options, controllers) })
		if at < 0 {
			continue
		}
		options := fields[1]
		if strings.HasPrefix(options, "name=") {
			options = "none," + options
		}
		m := mounts[at]
		path := strings.TrimPrefix(fields[2], strings.TrimSuffix(m.root, "/"))
		v1 = append(v1, hierarchy{Mount: m.point, Options: options, Group: filepath.Join(m.point, path, name)})
		present = append(present, controllers...)
	}
	needed := []string{"cpu", "cpuacct", "cpuset", "memory", "pids"}
	switch {
	case containsAll(present, needed):
		return v1, nil
	case unified != nil && !slices.Contains(present, "memory"):
		return []hierarchy{*unified}, nil
	}
	return nil, fmt.Errorf("looking for cgroups: of %s only %s are mounted, and no cgroup v2",
		strings.Join(needed, ", "), strings.Join(present, ", "))
}

func containsAll(all, some []string) bool {
	return !slices.ContainsFunc(some, func(one string) bool { return !slices.Contains(all, one) })
}

// createGroups makes the node's cgroup in every hierarchy, ready to be joined.
func createGroups(hierarchies []hierarchy) error {
	for _, h := range hierarchies {
		if h.Unified {
			if err := delegate(h.Mount); err != nil {
				return fmt.Errorf("sharing out the machine's resources: %w", err)
			}
		}
		for _, dir := range []string{h.Group, filepath.Join(h.Group, nodeGroup)} {
			if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, os.ErrExist) { //nolint:gosec // as the kernel has them
				return fmt.Errorf("making a cgroup: %w", err)
			}
			if h.Options != "cpuset" {
				continue
			}
			// A new group has no CPU and no memory node, and no process may join it like that.
			for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
				if err := copyFile(filepath.Join(filepath.Dir(dir), file), filepath.Join(dir, file)); err != nil {
					return fmt.Errorf("giving CPUs to a cgroup: %w", err)
				}
			}
		}
	}
	return nil
}

// delegate lets the groups below a group of cgroup v2 share out what it has, as far as kubelet wants it. At the machine's root, where
// systemd has done so already, it stays.
func delegate(group string) error {
	available, err := readFile(filepath.Join(group, "cgroup.controllers"))
	if err != nil {
		return err
	}
	shared, err := readFile(filepath.Join(group, "cgroup.subtree_control"))
	if err != nil {
		return err
	}
	for _, controller := range []string{"cpu", "cpuset", "hugetlb", "io", "memory", "pids"} {
		if !slices.Contains(strings.Fields(string(available)), controller) || slices.Contains(strings.Fields(string(shared)), controller) {
			continue
		}
		if err := writeFile(filepath.Join(group, "cgroup.subtree_control"), "+"+controller); err != nil {
			return fmt.Errorf("controller %s: %w", controller, err)
		}
	}
	return nil
}

func copyFile(from, to string) error {
	content, err := readFile(from)
	if err != nil {
		return err
	}
	return writeFile(to, strings.TrimSpace(string(content)))
}

// joinGroups moves this process into the node's cgroups. A namespace that begins then has them as its roots.
func joinGroups(hierarchies []hierarchy, below string) error {
	for _, h := range hierarchies {
		if err := writeFile(filepath.Join(h.Group, below, "cgroup.procs"), "0"); err != nil {
			return fmt.Errorf("joining a cgroup: %w", err)
		}
	}
	return nil
}

// mountGroups replaces /sys by one of this network namespace, with this cgroup namespace's hierarchies in it.
func mountGroups(hierarchies []hierarchy) error {
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := errors.Join(unix.Unmount("/sys", unix.MNT_DETACH), unix.Mount("sysfs", "/sys", "sysfs", flags, "")); err != nil {
		return fmt.Errorf("mounting /sys: %w", err)
	}
	const root = "/sys/fs/cgroup"
	if hierarchies[0].Unified {
		if err := unix.Mount("cgroup2", root, "cgroup2", flags, ""); err != nil {
			return fmt.Errorf("mounting cgroup v2: %w", err)
		}
		if err := delegate(root); err != nil {
			return fmt.Errorf("sharing out the node's resources: %w", err)
		}
		return nil
	}
	if err := unix.Mount("tmpfs", root, "tmpfs", flags, "mode=755"); err != nil {
		return fmt.Errorf("mounting %s: %w", root, err)
	}
	for _, h := range hierarchies {
		name := filepath.Base(h.Mount)
		dir := filepath.Join(root, name)
		if err := os.Mkdir(dir, 0o755); err != nil { //nolint:gosec // as everywhere
			return fmt.Errorf("mounting a cgroup hierarchy: %w", err)
		}
		if err := unix.Mount("cgroup", dir, "cgroup", flags, h.Options); err != nil {
			return fmt.Errorf("mounting cgroup hierarchy %s: %w", h.Options, err)
		}
		for controller := range strings.SplitSeq(h.Options, ",") {
			if controller == name || !strings.Contains(h.Options, ",") || strings.Contains(h.Options, "=") {
				continue
			}
			if err := os.Symlink(name, filepath.Join(root, controller)); err != nil {
				return fmt.Errorf("naming a cgroup hierarchy: %w", err)
			}
		}
	}
	return nil
}

// findGroups lists the directories of a node's cgroups on this machine. What it needs to know is only their name, so that it finds them
// from another session, in whose cgroups they are not.
func findGroups(name string) ([]string, error) {
	mounts, err := readMounts(ownMounts)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, m := range mounts {
		if m.kind != "cgroup" && m.kind != "cgroup2" {
			continue
		}
		err := filepath.WalkDir(m.point, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, os.ErrNotExist): // others come and go
				return nil
			case err != nil:
				return err
			case entry.IsDir() && entry.Name() == name:
				found = append(found, path)
				return fs.SkipDir
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("looking for cgroups: %w", err)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// directories are a group and all below it, the innermost first.
func directories(group string) []string {
	var all []string
	_ = filepath.WalkDir(group, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			all = append(all, path)
		}
		return nil
	})
	slices.Reverse(all)
	return all
}

// processesIn lists the processes in groups and below, each once.
func processesIn(groups []string) []int {
	var pids []int
	for _, group := range groups {
		for _, dir := range directories(group) {
			pids = append(pids, readPIDs(dir)...)
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

func readPIDs(group string) []int {
	content, _ := readFile(filepath.Join(group, "cgroup.procs"))
	var pids []int
	for field := range strings.FieldsSeq(string(content)) {
		if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}

func removeGroups(groups []string) error {
	var errs []error
	for _, group := range groups {
		for _, dir := range directories(group) {
			if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, fmt.Errorf("removing a cgroup: %w", err))
			}
		}
	}
	return errors.Join(errs...)
}
