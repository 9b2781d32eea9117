package confine

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// task is a process of this machine.
type task struct {
	pid, parent, group int
	state              byte
	resident           int64 // bytes
}

// processes are the ids of those that /proc shows.
func processes() ([]int, error) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer proc.Close()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// tasks are the processes that /proc shows.
func tasks() ([]task, error) {
	pids, err := processes()
	if err != nil {
		return nil, err
	}
	var all []task
	for _, pid := range pids {
		if t, err := taskOf(pid); err == nil { // it may have ended
			all = append(all, t)
		}
	}
	return all, nil
}

func taskOf(pid int) (task, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return task{}, err
	}
	// The name in parentheses may hold anything.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	const state, parent, group, resident = 0, 1, 2, 21
	if len(fields) <= resident {
		return task{}, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	t := task{pid: pid, state: fields[state][0]}
	var errs [3]error
	var pages int64
	t.parent, errs[0] = strconv.Atoi(fields[parent])
	t.group, errs[1] = strconv.Atoi(fields[group])
	pages, errs[2] = strconv.ParseInt(fields[resident], 10, 64)
	for _, err := range errs {
		if err != nil {
			return task{}, err
		}
	}
	t.resident = pages * int64(os.Getpagesize())
	return t, nil
}

// descendants are those of all whose line of parents leads to a process, without itself.
func descendants(of int, all []task) []task {
	children := map[int][]task{}
	for _, t := range all {
		children[t.parent] = append(children[t.parent], t)
	}
	tree := children[of]
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children[tree[i].pid]...)
	}
	return tree
}

// listsChildren reports whether the kernel lists the children of threads (CONFIG_PROC_CHILDREN).
var listsChildren = sync.OnceValue(func() bool {
	_, err := os.Stat("/proc/thread-self/children")
	return err == nil
})

// lineage are the descendants of a process, found from parent to child: the effort depends on their number, and not on that of all
// processes. A child is missing now and then, when a sibling or the thread that started it ends at that moment.
func lineage(of int) ([]task, error) {
	if !listsChildren() {
		all, err := tasks()
		return descendants(of, all), err
	}
	var tree []task
	seen := map[int]bool{} // a child whose thread ends becomes another's
	for next := []int{of}; len(next) > 0; next = next[1:] {
		for _, pid := range childrenOf(next[0]) {
			if t, err := taskOf(pid); err == nil && !seen[pid] {
				seen[pid] = true
				tree, next = append(tree, t), append(next, pid)
			}
		}
	}
	return tree, nil
}

// childrenOf are the children of a process; none if it has ended.
func childrenOf(pid int) (children []int) {
	folder := fmt.Sprintf("/proc/%d/task/", pid)
	threads, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	for _, thread := range threads {
		list, err := os.ReadFile(folder + thread.Name() + "/children")
		if err != nil {
			continue
		}
		for field := range strings.FieldsSeq(string(list)) {
			if child, err := strconv.Atoi(field); err == nil {
				children = append(children, child)
			}
		}
	}
	return children
}

// anyEnded reports whether any of these processes has ended since it was read, or has given up its memory, which comes first.
func anyEnded(tree []task) bool {
	return slices.ContainsFunc(tree, func(was task) bool {
		if was.state == 'Z' {
			return false
		}
		now, err := taskOf(was.pid)
		return err != nil || now.state == 'Z' || now.state == 'X' || now.resident == 0 && was.resident > 0
	})
}

// resident is the memory that processes occupy, each with all that it shares with others.
func resident(tree []task) (sum int64) {
	for _, t := range tree {
		sum += t.resident
	}
	return sum
}

// proportional is the memory that processes occupy, each with its share of what it shares with others.
func proportional(tree []task) int64 {
	var sum int64
	for _, t := range tree {
		pss, err := proportionalOf(t.pid)
		if err != nil { // it has ended, or we may not look
			pss = t.resident
		}
		sum += pss
	}
	return sum
}

func proportionalOf(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "Pss:" {
			kibibytes, err := strconv.ParseInt(fields[1], 10, 64)
			return kibibytes << 10, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/smaps_rollup lacks the proportional size", pid)
}

// eachLink calls visit with the descriptors of processes: the path of each in /proc, and what it links to.
func eachLink(tree []task, visit func(path, link string)) {
	for _, t := range tree {
		folder := fmt.Sprintf("/proc/%d/fd/", t.pid)
		entries, err := os.ReadDir(folder)
		if err != nil {
			continue // it has ended
		}
		for _, entry := range entries {
			if link, err := os.Readlink(folder + entry.Name()); err == nil {
				visit(folder+entry.Name(), link)
			}
		}
	}
}

// What the kernel may hold for a socket and for a pipe: net.core.wmem_default and 16 pages (pipe(7)).
const (
	socketMemory = 208 << 10
	pipeMemory   = 64 << 10
)

// beside is what processes occupy beside their own memory: what the kernel may hold for their sockets and pipes, and files that they have
// open but have removed, which no folder's size includes.
func beside(tree []task) int64 {
	sizes := map[string]int64{}
	eachLink(tree, func(path, link string) {
		switch {
		case strings.HasPrefix(link, socketLink):
			sizes[link] = socketMemory
		case strings.HasPrefix(link, "pipe:["):
			sizes[link] = pipeMemory
		case strings.HasSuffix(link, " (deleted)"):
			var status unix.Stat_t
			if unix.Stat(path, &status) == nil {
				const block = 512
				sizes[fmt.Sprintf("file:[%d:%d]", status.Dev, status.Ino)] = status.Blocks * block
			}
		}
	})
	var sum int64
	for _, size := range sizes {
		sum += size
	}
	return sum
}
