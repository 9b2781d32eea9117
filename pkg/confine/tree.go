package confine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/process"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Tree is a program with everything that it has started, however that has detached itself. A process of its own, the warden, is
// the ancestor of all of it.
type Tree struct {
	warden *process.Process
	done   chan struct{}
	err    error // set before done is closed
}

// Why a tree was ended.
var (
	ErrMemory    = errors.New("the program and what it has started occupy too much memory")
	ErrProcesses = errors.New("the program has started too many processes")
)

// StartTree starts cmd behind w, whose profile is Program. A wall that does not hold is refused, as under Require. It uses the same
// fields of cmd as Start.
func StartTree(cmd *exec.Cmd, w Wall) (*Tree, simulation.Confinement, error) {
	if !entered {
		return nil, simulation.Confinement{}, errNotEntered
	}
	if w.Loopback {
		w.Read = append(slices.Clone(w.Read), localhost...)
		t, held, err := startTree(cmd, w, true)
		if _, wall := errors.AsType[*wallError](err); !wall {
			return t, held, err
		}
	}
	return startTree(cmd, w, false)
}

// localhost are the files from which the C library learns the address of localhost.
var localhost = []string{"/etc/hosts", "/etc/host.conf", "/etc/nsswitch.conf"}

// startTree starts a tree. With a network of its own, an error is a wallError where this machine does not allow one.
func startTree(cmd *exec.Cmd, w Wall, network bool) (*Tree, simulation.Confinement, error) {
	text, err := json.Marshal(errand{
		Wall: w, Network: network, Path: cmd.Path, Args: cmd.Args, Env: cmd.Env, Dir: cmd.Dir, Parent: os.Getpid(),
	})
	if err != nil {
		return nil, simulation.Confinement{}, fmt.Errorf("encoding what to start: %w", err)
	}
	report, reporter, err := os.Pipe()
	if err != nil {
		return nil, simulation.Confinement{}, fmt.Errorf("opening a pipe: %w", err)
	}
	child := &exec.Cmd{
		Path: starter(), Args: []string{wardenMarker, string(text)}, Env: oneThread,
		Stdout: cmd.Stdout, Stderr: cmd.Stderr, WaitDelay: cmd.WaitDelay, ExtraFiles: []*os.File{reporter},
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}
	if network {
		ownNetwork(child.SysProcAttr)
	}
	warden, err := process.Start(child, process.Options{DeathSignal: killTree})
	reporter.Close()
	if err != nil {
		report.Close()
		if network { // the usual reason is that this user may not make one
			err = &wallError{"network namespace", err.Error()}
		}
		return nil, simulation.Confinement{}, err
	}
	reports := json.NewDecoder(report)
	var began beginning
	if err := cmp.Or(reports.Decode(&began), began.err(cmd.Path)); err != nil {
		report.Close()
		return nil, simulation.Confinement{}, errors.Join(err, notItsOwn(warden.Wait()))
	}
	t := &Tree{warden: warden, done: make(chan struct{})}
	go t.await(report, reports)
	return t, began.Held, nil
}

// notItsOwn is nil for the exit code of a warden that has reported why it ends.
func notItsOwn(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == exitNotStarted {
		return nil
	}
	return err
}

// await sets what Wait returns.
func (t *Tree) await(report io.Closer, reports *json.Decoder) {
	defer close(t.done)
	defer report.Close()
	var end ending
	reported := reports.Decode(&end)
	t.err = t.warden.Wait()
	switch {
	case reported != nil:
		t.err = errors.Join(fmt.Errorf("the warden of the program's processes has ended without a report: %w", reported), t.err)
	case end.Broken == brokeMemory:
		t.err = errors.Join(ErrMemory, t.err)
	case end.Broken == brokeProcesses:
		t.err = errors.Join(ErrProcesses, t.err)
	}
}

// Pids are the processes of the tree at this time, of which one is missing now and then.
func (t *Tree) Pids() []int {
	tree, err := lineage(t.warden.Pid())
	if err != nil {
		return nil
	}
	var pids []int
	for _, d := range tree {
		pids = append(pids, d.pid)
	}
	return pids
}

// Done is closed when no process of the tree is left.
func (t *Tree) Done() <-chan struct{} { return t.done }

// Wait returns when no process of the tree is left, with the error of the program itself as exec.Cmd.Wait gives it. It wraps ErrMemory or
// ErrProcesses if the tree was ended because it broke that limit.
func (t *Tree) Wait() error {
	<-t.done
	return t.err
}

// Stop asks the program to end, and kills the tree when it has not done so after grace or when ctx ends. It returns as Wait does.
func (t *Tree) Stop(ctx context.Context, grace time.Duration) error {
	_ = t.warden.Signal(syscall.SIGTERM) // it fails only when the tree has ended
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-t.done:
		return t.err
	case <-timer.C:
	case <-ctx.Done():
	}
	t.Kill()
	return t.Wait()
}

// Kill ends all processes of the tree at once.
func (t *Tree) Kill() { _ = t.warden.Signal(killTree) }
