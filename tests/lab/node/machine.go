package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// beforeFile has what the machine looked like before Up.
const beforeFile = "before.json"

// Machine is what of a machine the node could leave changed. Every entry is a line.
type Machine struct {
	// Processes, Cgroups and Mounts are the node's own: in its cgroups, its cgroups, below its directory.
	Processes, Cgroups, Mounts []string
	// Interfaces of the network, whosever.
	Interfaces []string
	// Paths outside of the node's directory that programs like the node's make.
	Paths []string
	// Settings are kernel parameters, and the packet filter's rules.
	Settings []string
}

// Look at this machine.
func Look(o Options) (*Machine, error) {
	groups, err := findGroups(groupName(o))
	if err != nil {
		return nil, err
	}
	m := &Machine{Cgroups: groups}
	for _, pid := range processesIn(groups) {
		name, _ := readFile(fmt.Sprintf("/proc/%d/comm", pid))
		m.Processes = append(m.Processes, fmt.Sprintf("%d (%s)", pid, strings.TrimSpace(string(name))))
	}
	mounts, err := readMounts(ownMounts)
	if err != nil {
		return nil, err
	}
	for _, mount := range mounts {
		if strings.HasPrefix(mount.point, o.Dir+"/") {
			m.Mounts = append(m.Mounts, mount.point)
		}
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("listing the network interfaces: %w", err)
	}
	for _, i := range interfaces {
		m.Interfaces = append(m.Interfaces, i.Name)
	}
	for _, path := range []string{
		"/etc/cni", "/etc/kubernetes", "/opt/cni", "/opt/containerd", "/run/cni", "/run/containerd", "/run/netns", "/run/xtables.lock",
		"/usr/libexec/kubernetes", "/var/lib/cni", "/var/lib/containerd", "/var/lib/kubelet", "/var/log/containers", "/var/log/pods",
	} {
		if _, absent := os.Lstat(path); absent == nil {
			m.Paths = append(m.Paths, path)
		}
	}
	m.Settings, err = settings()
	return m, err
}

func settings() ([]string, error) {
	var all []string
	for _, name := range []string{
		"kernel/hostname", "kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward",
		"vm/overcommit_memory", "vm/panic_on_oom",
	} {
		value, err := readFile(filepath.Join("/proc/sys", name))
		if err == nil {
			all = append(all, name+" = "+strings.TrimSpace(string(value)))
		}
	}
	rules, err := exec.Command("nft", "--stateless", "list", "ruleset").Output()
	if err != nil {
		return nil, fmt.Errorf("listing the packet filter's rules: %w", err)
	}
	for line := range strings.Lines(string(rules)) {
		all = append(all, "rule "+strings.TrimSpace(line))
	}
	return all, nil
}

// Since lists what there is that there was not before.
func (m *Machine) Since(before *Machine) []string {
	var found []string
	for _, kind := range []struct {
		name        string
		now, before []string
	}{
		{"process", m.Processes, before.Processes},
		{"cgroup", m.Cgroups, before.Cgroups},
		{"mount", m.Mounts, before.Mounts},
		{"interface", m.Interfaces, before.Interfaces},
		{"path", m.Paths, before.Paths},
		{"setting", m.Settings, before.Settings},
	} {
		for _, entry := range kind.now {
			if !slices.Contains(kind.before, entry) {
				found = append(found, kind.name+" "+entry)
			}
		}
	}
	return found
}

// Before is what this machine looked like before Up.
func Before(o Options) (*Machine, error) {
	content, err := readFile(o.path(beforeFile))
	if err != nil {
		return nil, fmt.Errorf("reading what the machine was like before: %w", err)
	}
	before := &Machine{}
	if err := json.Unmarshal(content, before); err != nil {
		return nil, fmt.Errorf("reading what the machine was like before: %w", err)
	}
	return before, nil
}

// baseline is what to compare a machine with: Before; or, if Up was never here, now, but for what is the node's own.
func baseline(o Options, now *Machine) (*Machine, error) {
	before, err := Before(o)
	if errors.Is(err, os.ErrNotExist) {
		own := func(name string) bool { return name == interfaceName || name == peerName || name == bridgeName }
		return &Machine{
			Interfaces: slices.DeleteFunc(slices.Clone(now.Interfaces), own), Paths: now.Paths, Settings: now.Settings,
		}, nil
	}
	return before, err
}

// Leftovers are what this machine has of the node: processes, cgroups, mounts, interfaces, paths and settings that were not there before
// Up. After Down there are none.
func Leftovers(o Options) ([]string, error) {
	now, err := Look(o)
	if err != nil {
		return nil, err
	}
	before, err := baseline(o, now)
	if err != nil {
		return nil, err
	}
	return now.Since(before), nil
}
