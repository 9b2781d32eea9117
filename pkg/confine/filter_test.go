package confine

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// TestTheFilterComparesNumbersWithNumbers calls what is allowed for some arguments with values that a filter takes for a call's
// number if it confuses the two.
func TestTheFilterComparesNumbersWithNumbers(t *testing.T) {
	t.Parallel()
	const pid = 4711
	for name, p := range map[string]policy{
		"SUMO": simulatorPolicy(pid), "a program": programPolicy(true, simulation.Confinement{Landlock: 7}),
		"a program without sockets": programPolicy(false, simulation.Confinement{Landlock: 3}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			comparesNumbersWithNumbers(t, p, pid)
		})
	}
}

func comparesNumbersWithNumbers(t *testing.T, p policy, pid uint64) {
	t.Helper()
	judge := newJudge(t, p)
	conditions := map[string][]seccomp.ArgumentConditions{}
	for _, call := range p.conditional {
		conditions[call.Name] = append(conditions[call.Name], call.Conditions)
	}
	words := []uint64{
		pid, math.MaxUint32, unix.O_TRUNC, unix.O_TRUNC | unix.O_RDWR, unix.MAP_ANONYMOUS | unix.MAP_SHARED, unix.CLONE_THREAD, unix.TCGETS,
	}
	for number := range uint64(500) {
		words = append(words, number)
	}
	for name, alternatives := range conditions {
		for _, word := range words {
			for _, other := range []uint64{0, 1, unix.TCGETS, pid} {
				for _, args := range [][6]uint64{
					{word, other}, {word << 32, other}, {word<<32 | other, other}, {word<<32 | word, other},
					{other, word}, {other, word << 32}, {other, word<<32 | other},
					{other, other, word}, {other, other, word << 32}, {other, other, other, word}, {other, other, other, word << 32},
				} {
					want := slices.ContainsFunc(alternatives, func(c seccomp.ArgumentConditions) bool { return holds(c, args) })
					if got := judge(name, args); got != want {
						t.Fatalf("%s%#x: allowed: %t, want %t", name, args, got, want)
					}
				}
			}
		}
	}
}

// TestAFilterIsMadeBeforeItsProcessIsKnown compares one that has got its process later, on the way through an order, with one that is made
// for the process.
func TestAFilterIsMadeBeforeItsProcessIsKnown(t *testing.T) {
	t.Parallel()
	const pid = 1<<22 - 1
	want, err := simulatorPolicy(pid).filter()
	if err != nil {
		t.Fatal(err)
	}
	made, err := simulatorPolicy(ownPid).filter()
	if err != nil {
		t.Fatal(err)
	}
	text, err := made.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var got filter
	if err := got.UnmarshalText(text); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made, got); diff != "" {
		t.Errorf("the order changes it (-want +got):\n%s", diff)
	}
	got.setPid(pid)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the process is set elsewhere (-want +got):\n%s", diff)
	}
	if err := got.UnmarshalText(text[:len(text)-4]); err == nil {
		t.Error("a part of a filter passes for one")
	}
}

// newJudge returns a function that asks a policy's filter about a call.
func newJudge(t *testing.T, p policy) func(name string, args [6]uint64) bool {
	t.Helper()
	program, err := p.filter()
	if err != nil {
		t.Fatal(err)
	}
	raw := make([]bpf.RawInstruction, len(program))
	for i, f := range program {
		raw[i] = bpf.RawInstruction{Op: f.Code, Jt: f.Jt, Jf: f.Jf, K: f.K}
	}
	instructions, ok := bpf.Disassemble(raw)
	if !ok {
		t.Fatal("the filter cannot be read")
	}
	machine, err := bpf.NewVM(instructions)
	if err != nil {
		t.Fatal(err)
	}
	info, err := arch.GetInfo("")
	if err != nil {
		t.Fatal(err)
	}
	return func(name string, args [6]uint64) bool {
		// As struct seccomp_data lies in a little-endian machine's memory, but that the interpreter reads words with the high byte first.
		data := binary.BigEndian.AppendUint32(nil, uint32(info.SyscallNames[name]))
		data = binary.BigEndian.AppendUint32(data, uint32(info.ID))
		data = append(data, make([]byte, 8)...)
		for _, arg := range args {
			data = binary.BigEndian.AppendUint32(data, uint32(arg))
			data = binary.BigEndian.AppendUint32(data, uint32(arg>>32))
		}
		action, err := machine.Run(data)
		if err != nil {
			t.Fatal(err)
		}
		return uint32(action) == uint32(seccomp.ActionAllow)
	}
}

func holds(conditions seccomp.ArgumentConditions, args [6]uint64) bool {
	for _, c := range conditions {
		arg, ok := args[c.Argument], false
		switch c.Operation {
		case seccomp.Equal:
			ok = arg == c.Value
		case seccomp.BitsSet:
			ok = arg&c.Value != 0
		case seccomp.BitsNotSet:
			ok = arg&c.Value == 0
		}
		if !ok {
			return false
		}
	}
	return true
}

// TestArm64LacksOldCallsOnly fails on a name that the library has in another spelling for one architecture: the call would be refused.
func TestArm64LacksOldCallsOnly(t *testing.T) {
	t.Parallel()
	info, err := arch.GetInfo("arm64")
	if err != nil {
		t.Fatal(err)
	}
	full := simulation.Confinement{Landlock: 5}
	for name, tc := range map[string]struct {
		policy policy
		old    []string // calls for which arm64 has never had anything but their successors
	}{
		"SUMO": {simulatorPolicy(1), []string{
			"access", "alarm", "arch_prctl", "creat", "dup2", "getdents", "lstat", "newfstatat", "open", "pause", "poll", "readlink", "select",
			"stat", "time",
		}},
		"a program": {programPolicy(true, full), []string{
			"access", "alarm", "arch_prctl", "chmod", "chown", "creat", "dup2", "epoll_create", "epoll_wait", "eventfd", "fork", "futimesat",
			"getdents", "getpgrp", "lchown", "link", "lstat", "mkdir", "mknod", "newfstatat", "open", "pause", "pipe", "poll", "readlink",
			"rename", "rmdir", "select", "stat", "symlink", "time", "unlink", "utime", "utimes", "vfork",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			names := slices.Concat(tc.policy.allowed, tc.policy.asked)
			for _, call := range tc.policy.conditional {
				names = append(names, call.Name)
			}
			for _, answered := range tc.policy.answered {
				names = append(names, answered.calls...)
			}
			allowed := map[int]bool{}
			var missing []string
			for _, name := range names {
				if number, ok := info.SyscallNames[name]; ok {
					allowed[number] = true
				} else if !slices.Contains(missing, name) {
					missing = append(missing, name)
				}
			}
			slices.Sort(missing)
			if diff := cmp.Diff(tc.old, missing); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			const newfstatat = 79 // by which the loader looks at libraries
			if !allowed[newfstatat] {
				t.Error("newfstatat is refused")
			}
		})
	}
}
