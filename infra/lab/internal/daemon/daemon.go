// Package daemon starts programs that outlive the caller, finds them again on the next call, and stops them. A program
// is known by its pid together with the moment it started, so that a number that the kernel gave to another process is
// never taken for it.
package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// pollEvery is short compared with what it waits for, and costs nothing.
	pollEvery = 50 * time.Millisecond
	// killed is how long a process may take to end after SIGKILL: writing back its memory, at most.
	killed = 10 * time.Second
)

// Spec says how a program runs.
type Spec struct {
	Name    string
	Command []string
	Env     []string // instead of our own environment, apart from PATH
	// Inputs are the program itself and files that it reads at its start: a change to one requires a restart.
	Inputs []string
	Grace  time.Duration
	Limit  time.Duration // for becoming ready
	// Ready reports nil once the program serves.
	Ready func(context.Context) error
}

// Folder keeps the records of running programs, and their logs.
type Folder struct{ Pids, Logs string }

// record is what a pid file holds.
type record struct {
	Pid     int    `json:"pid"`
	Started uint64 `json:"started"` // in clock ticks since the machine started
	Boot    string `json:"boot"`    // of the machine: ticks of another boot are meaningless
	Digest  string `json:"digest"`  // of the command and what it read
}

// Log is the file that a program writes to.
func (f Folder) Log(name string) string { return filepath.Join(f.Logs, name+".log") }

func (f Folder) pidFile(name string) string { return filepath.Join(f.Pids, name+".json") }

// Pid returns the process id of a program, or 0 when it does not run.
func (f Folder) Pid(name string) int {
	r, ok := f.find(name)
	if !ok {
		return 0
	}
	return r.Pid
}

// Start makes the program run as the spec says. One whose command or inputs have changed is restarted. Start reports whether
// it started anything. It does not wait until the program is ready.
func (f Folder) Start(ctx context.Context, s Spec) (started bool, err error) {
	digest, err := s.digest()
	if err != nil {
		return false, fmt.Errorf("%s: %w", s.Name, err)
	}
	if r, ok := f.find(s.Name); ok {
		if r.Digest == digest {
			return false, nil
		}
		if err := f.Stop(ctx, s.Name, s.Grace); err != nil {
			return false, err
		}
	}
	if err := errors.Join(os.MkdirAll(f.Pids, 0o700), os.MkdirAll(f.Logs, 0o755)); err != nil {
		return false, err
	}
	// The previous run's log is kept: it explains why there is another run.
	if err := os.Rename(f.Log(s.Name), f.Log(s.Name)+".previous"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	log, err := os.Create(f.Log(s.Name))
	if err != nil {
		return false, err
	}
	defer log.Close()
	cmd := exec.Command(s.Command[0], s.Command[1:]...)
	cmd.Dir = "/"
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, s.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	// A separate session: neither the end of our terminal nor a Ctrl-C reaches it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return false, fmt.Errorf("start %s: %w", s.Name, err)
	}
	// Reaped if it ends before we do, or it would look alive as a zombie.
	go func() { _ = cmd.Wait() }()
	r := record{Pid: cmd.Process.Pid, Boot: bootID(), Digest: digest}
	// If it has ended already, Await reports its log.
	r.Started, _ = StartTime(r.Pid)
	text, err := json.Marshal(r)
	if err != nil {
		return true, err
	}
	return true, os.WriteFile(f.pidFile(s.Name), text, 0o600)
}

// Await returns once the program is ready. If the program ends, or is not ready within its limit, the error has the end of
// its log.
func (f Folder) Await(ctx context.Context, s Spec) error {
	ctx, cancel := context.WithTimeout(ctx, s.Limit)
	defer cancel()
	for {
		err := s.Ready(ctx)
		if err == nil {
			return nil
		}
		if f.Pid(s.Name) == 0 {
			return fmt.Errorf("%s ended; %s", s.Name, f.tail(s.Name))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready after %s: %w; %s", s.Name, s.Limit, err, f.tail(s.Name))
		case <-time.After(pollEvery):
		}
	}
}

// Stop asks the program to end and kills it if it does not within grace. It is no error if the program does not run.
func (f Folder) Stop(ctx context.Context, name string, grace time.Duration) error {
	r, ok := f.find(name)
	if ok {
		if err := End(ctx, r.Pid, r.Started, grace); err != nil {
			return fmt.Errorf("stop %s: %w", name, err)
		}
	}
	if err := os.Remove(f.pidFile(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Names returns the programs that were started and not stopped, running or not.
func (f Folder) Names() ([]string, error) {
	entries, err := os.ReadDir(f.Pids)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".json"); ok {
			names = append(names, name)
		}
	}
	return names, nil
}

// End ends the process with this pid and start time, with SIGTERM first and SIGKILL after grace.
func End(ctx context.Context, pid int, started uint64, grace time.Duration) error {
	for _, attempt := range []struct {
		signal syscall.Signal
		within time.Duration
	}{{syscall.SIGTERM, grace}, {syscall.SIGKILL, killed}} {
		deadline := time.Now().Add(attempt.within)
		if running(pid, started) && attempt.within > 0 {
			if err := syscall.Kill(pid, attempt.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
				return err
			}
		}
		for running(pid, started) && time.Now().Before(deadline) {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(pollEvery):
			}
		}
		if !running(pid, started) {
			return nil
		}
	}
	return fmt.Errorf("process %d does not end", pid)
}

func (f Folder) find(name string) (record, bool) {
	var r record
	text, err := os.ReadFile(f.pidFile(name))
	if err != nil || json.Unmarshal(text, &r) != nil {
		return record{}, false
	}
	return r, r.Boot == bootID() && running(r.Pid, r.Started)
}

// tail returns the end of a program's log, for the error about it.
func (f Folder) tail(name string) string {
	// tailSize is what fits on a screen.
	const tailSize = 2 << 10
	text, err := os.ReadFile(f.Log(name))
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("its log %s ends:\n%s", f.Log(name), text[max(0, len(text)-tailSize):])
}

func (s Spec) digest() (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q", s.Command, s.Env)
	for _, name := range s.Inputs {
		text, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, " %q %d ", name, len(text))
		h.Write(text)
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

func running(pid int, started uint64) bool {
	at, ok := StartTime(pid)
	return ok && at == started
}

// StartTime returns when a process started, in clock ticks since the machine did. A process that has ended has none,
// even when it is not reaped yet.
func StartTime(pid int) (ticks uint64, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, false
	}
	// The second field is the program's name in parentheses, which may hold anything, parentheses and blanks included.
	_, rest, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')'):]), " ")
	fields := strings.Fields(rest)
	// state is the third field of proc(5), start the 22nd; rest begins with the third.
	const state, start = 0, 19
	if len(fields) <= start || fields[state] == "Z" || fields[state] == "X" {
		return 0, false
	}
	ticks, err = strconv.ParseUint(fields[start], 10, 64)
	return ticks, err == nil
}

// bootID returns an id that changes whenever the machine starts.
func bootID() string {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
