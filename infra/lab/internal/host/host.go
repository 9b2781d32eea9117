// Package host changes the host under the lab and restores it: network bridge, packet filter, kernel settings, mounts
// and control groups. What it removes it knows by name or place, so that nobody else's is touched.
package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// Run runs a program to its end and returns what it printed.
func Run(ctx context.Context, input string, command ...string) (string, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin = strings.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}

// EnsureBridge makes sure that a bridge of this name is up with this address.
func EnsureBridge(ctx context.Context, name, address string) error {
	if _, err := net.InterfaceByName(name); err != nil {
		if _, err := Run(ctx, "", "ip", "link", "add", name, "type", "bridge"); err != nil {
			return err
		}
	}
	_, err := Run(ctx, "", "ip", "address", "replace", address, "dev", name)
	if err == nil {
		_, err = Run(ctx, "", "ip", "link", "set", name, "up")
	}
	return err
}

// RemoveBridge removes the bridge and the host's ends of the pods' links that are attached to it.
func RemoveBridge(ctx context.Context, name string) error {
	if _, err := net.InterfaceByName(name); err != nil {
		return nil
	}
	links, err := Run(ctx, "", "ip", "-brief", "link", "show", "master", name)
	if err != nil {
		return err
	}
	for line := range strings.Lines(links) {
		// The first word is the name, with the pod's end after it: veth1@if2.
		link, _, _ := strings.Cut(strings.Fields(line)[0], "@")
		// It may have disappeared meanwhile, if the kernel has just removed the pod's end.
		_, _ = Run(ctx, "", "ip", "link", "delete", link)
	}
	_, err = Run(ctx, "", "ip", "link", "delete", name)
	return err
}

// Filters are the programs of the packet filters of IPv4 and IPv6.
var Filters = []string{"iptables", "ip6tables"}

// RemoveSets removes the packet filter's address sets whose names begin with one of the prefixes. No rule may still use
// them.
func RemoveSets(ctx context.Context, prefixes ...string) error {
	if _, err := exec.LookPath("ipset"); err != nil {
		return nil // no ipset, so no sets
	}
	names, err := Run(ctx, "", "ipset", "list", "-name")
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range strings.Fields(names) {
		if slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			_, err := Run(ctx, "", "ipset", "destroy", name)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// RemoveChains removes all chains whose names begin with one of the prefixes, and the rules of other chains that lead
// there.
func RemoveChains(ctx context.Context, prefixes ...string) error {
	var errs []error
	for _, filter := range Filters {
		rules, err := Run(ctx, "", filter+"-save")
		if err == nil {
			if removal := Removal(rules, prefixes); removal != "" {
				_, err = Run(ctx, removal, filter+"-restore", "--noflush")
			}
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Removal turns the output of iptables-save into input for iptables-restore --noflush that removes the chains with these
// prefixes. It is empty when there are none.
func Removal(rules string, prefixes []string) string {
	ours := func(chain string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(chain, p) })
	}
	var out, unlink, flush, remove strings.Builder
	table := ""
	for line := range strings.Lines(rules) {
		line = strings.TrimSpace(line)
		words := strings.Fields(quoted.ReplaceAllString(line, "comment"))
		switch {
		case len(words) == 0:
		case line[0] == '*':
			table = line
			unlink.Reset()
			flush.Reset()
			remove.Reset()
		case line[0] == ':' && ours(words[0][1:]):
			fmt.Fprintln(&flush, "-F", words[0][1:])
			fmt.Fprintln(&remove, "-X", words[0][1:])
		case words[0] == "-A" && !ours(words[1]) && ours(target(words)):
			fmt.Fprintln(&unlink, "-D", strings.TrimPrefix(line, "-A "))
		case line == "COMMIT" && unlink.Len()+flush.Len() > 0:
			// All are flushed before the first is removed, since they refer to one another.
			fmt.Fprintf(&out, "%s\n%s%s%sCOMMIT\n", table, &unlink, &flush, &remove)
		}
	}
	return out.String()
}

// quoted is a rule's comment, which may contain anything.
var quoted = regexp.MustCompile(`"(\\.|[^"\\])*"`)

// target is the chain that a rule leads to.
func target(words []string) string {
	for i, w := range words[:len(words)-1] {
		if w == "-j" || w == "-g" {
			return words[i+1]
		}
	}
	return ""
}

// KeepSettings writes the values of these kernel settings to a file, unless it exists.
func KeepSettings(file string, names []string) error {
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	values := map[string]string{}
	for _, name := range names {
		value, err := os.ReadFile(setting(name))
		if err != nil {
			return fmt.Errorf("read the kernel setting %s: %w", name, err)
		}
		values[name] = strings.TrimSpace(string(value))
	}
	text, err := json.MarshalIndent(values, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, text, 0o600)
}

// Set sets a kernel setting.
func Set(name, value string) error { return os.WriteFile(setting(name), []byte(value), 0o644) }

// RestoreSettings restores the kernel settings that KeepSettings stored.
func RestoreSettings(file string) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var values map[string]string
	if err == nil {
		err = json.Unmarshal(text, &values)
	}
	for name, value := range values {
		err = errors.Join(err, Set(name, value))
	}
	return err
}

func setting(name string) string { return "/proc/sys/" + strings.ReplaceAll(name, ".", "/") }

// Unmount unmounts everything in a folder, the latest first.
func Unmount(dir string) error {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	var errs []error
	for _, point := range slices.Backward(MountPoints(string(text), dir)) {
		// Lazily, so that it succeeds while some process is still ending.
		if err := syscall.Unmount(point, syscall.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) {
			errs = append(errs, fmt.Errorf("unmount %s: %w", point, err))
		}
	}
	return errors.Join(errs...)
}

// MountPoints lists the mount points in a folder, in the order in which they were mounted.
func MountPoints(mountinfo, dir string) []string {
	// The kernel escapes whitespace and backslashes in octal.
	plain := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var points []string
	for line := range strings.Lines(mountinfo) {
		fields := strings.Fields(line)
		// The fifth field of proc(5) is the mount point.
		const mountPoint = 4
		if len(fields) <= mountPoint {
			continue
		}
		if point := plain.Replace(fields[mountPoint]); strings.HasPrefix(point, dir+"/") {
			points = append(points, point)
		}
	}
	return points
}

// RemoveControlGroups removes the empty control groups of this name in every hierarchy.
func RemoveControlGroups(name string) error {
	// Version 1 has a folder for each controller, version 2 none. The errors of Glob are about its pattern only.
	roots, _ := filepath.Glob("/sys/fs/cgroup/*/" + name)
	if _, err := os.Stat("/sys/fs/cgroup/" + name); err == nil {
		roots = append(roots, "/sys/fs/cgroup/"+name)
	}
	var errs []error
	for _, root := range roots {
		var folders []string
		errs = append(errs, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				folders = append(folders, path)
			}
			return err
		}))
		for _, folder := range slices.Backward(folders) {
			errs = append(errs, syscall.Rmdir(folder))
		}
	}
	return errors.Join(errs...)
}
