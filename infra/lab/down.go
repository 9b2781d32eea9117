package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/sumo-k8/sumo-k8/infra/lab/internal/daemon"
	"github.com/sumo-k8/sumo-k8/infra/lab/internal/host"
	"github.com/sumo-k8/sumo-k8/infra/local"
)

// last are the programs that others still use while they end, in the order in which to stop them.
var last = []string{containerdDaemon, apiserverDaemon, etcdDaemon, postgresDaemon, s3Daemon}

// down ends the lab and restores the machine. Programs, images and logs are kept. Every part is tried even when
// another fails, and down may be repeated.
func down(ctx context.Context, l layout, out io.Writer) error {
	unlock, err := local.Lock(l.cache)
	if err != nil {
		return fmt.Errorf("the lab: %w", err)
	}
	defer unlock()
	if _, err := os.Stat(l.run); errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintln(out, "The lab is not up.")
		return nil
	}
	folder := l.daemons()
	names, err := folder.Names()
	if err != nil {
		return err
	}
	slices.SortStableFunc(names, func(a, b string) int { return slices.Index(last, a) - slices.Index(last, b) })
	var errs []error
	for _, name := range names {
		errs = append(errs, folder.Stop(ctx, name, graceOf(name)))
		if name == containerdDaemon {
			// Only now, so that it does not clean up after the others while we do.
			errs = append(errs, endContainers(ctx, l))
		}
	}
	errs = append(errs,
		endContainers(ctx, l), // containerd may have died earlier and left them running
		host.Unmount(l.run),
		host.RemoveBridge(ctx, bridge),
		host.RemoveChains(ctx, chains...),
		host.RemoveSets(ctx, sets...),
		host.RemoveControlGroups(controlGroup),
		host.RestoreSettings(filepath.Join(l.run, "settings.json")),
		removeTraces(l),
	)
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("not everything could be removed; run make lab-down again: %w", err)
	}
	if err := errors.Join(removeDatabase(l), os.RemoveAll(l.run)); err != nil {
		return err
	}
	fmt.Fprintf(out, "The lab is down. Programs and images stay in %s, logs in %s.\n", l.cache, l.logs)
	return nil
}

// endContainers ends the shims that hold our containers, and all processes below them.
func endContainers(ctx context.Context, l layout) error {
	shims, children, err := processes(func(args []string) bool {
		return filepath.Base(args[0]) == "containerd-shim-runc-v2" && slices.Contains(args, l.containerd("containerd.sock"))
	})
	if err != nil {
		return err
	}
	var errs []error
	var end func(pid int)
	end = func(pid int) {
		started, ok := daemon.StartTime(pid)
		// The parent first: a shim that outlives its container starts cleaning up as well.
		if ok {
			errs = append(errs, daemon.End(ctx, pid, started, 0))
		}
		for _, child := range children[pid] {
			end(child)
		}
	}
	for _, pid := range shims {
		end(pid)
	}
	return errors.Join(errs...)
}

// processes lists the processes whose command matches, and the children of every process.
func processes(match func(args []string) bool) (matching []int, children map[int][]int, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, nil, err
	}
	children = map[int][]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// A process that ends meanwhile has neither.
		command, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if _, rest, ok := strings.Cut(string(status), "\nPPid:\t"); ok {
			line, _, _ := strings.Cut(rest, "\n")
			if parent, err := strconv.Atoi(line); err == nil {
				children[parent] = append(children[parent], pid)
			}
		}
		if args := strings.Split(string(command), "\x00"); match(args) {
			matching = append(matching, pid)
		}
	}
	return matching, children, nil
}

// removeTraces removes what the container runtime, its network plugins and the kubelet keep outside the lab's folders.
func removeTraces(l layout) error {
	var errs []error
	remove := func(path string) {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	// Each shim's socket is named in its container's folder. The errors of Glob are about its pattern only.
	bundles, _ := filepath.Glob(l.containerd("state/io.containerd.runtime.v2.task/k8s.io/*/address"))
	for _, file := range bundles {
		if text, err := os.ReadFile(file); err == nil {
			remove(strings.TrimPrefix(string(text), "unix://"))
		}
	}
	results, _ := filepath.Glob("/var/lib/cni/results/*")
	for _, file := range results {
		if text, err := os.ReadFile(file); err == nil && strings.Contains(string(text), l.run) {
			remove(file)
		}
	}
	logs, _ := filepath.Glob("/var/log/containers/*.log")
	for _, link := range logs {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, l.run) {
			remove(link)
		}
	}
	// The kubelet listens for device plugins here, wherever its own folder is.
	remove("/var/lib/kubelet/device-plugins/kubelet.sock")
	// Folders are removed as well unless something else uses them.
	for _, dir := range []string{
		"/var/lib/kubelet/device-plugins", "/var/lib/kubelet",
		"/var/lib/cni/results", "/var/lib/cni/cache", "/var/lib/cni", "/var/log/containers",
		"/run/containerd/s", "/run/containerd/io.containerd.grpc.v1.cri", "/run/containerd",
	} {
		_ = os.Remove(dir)
	}
	return errors.Join(errs...)
}

// removeDatabase removes the cluster's folder when Postgres could not reach ours.
func removeDatabase(l layout) error {
	elsewhere, err := os.Readlink(filepath.Join(l.run, "postgres", "elsewhere"))
	if err != nil {
		return nil
	}
	return os.RemoveAll(elsewhere)
}
