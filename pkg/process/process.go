// Package process runs child processes that never outlive their parent, however it ends.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Options configure how a child is ended. The zero value suits a program that ends on SIGTERM.
type Options struct {
	// DeathSignal is what the kernel sends to the child when we end without having stopped it; 0 means SIGKILL.
	DeathSignal syscall.Signal
	// StopSignal is what Stop asks with; 0 means SIGTERM.
	StopSignal syscall.Signal
}

// Process is a running child, the leader of a process group of its own.
type Process struct {
	pid        int
	stopSignal syscall.Signal
	done       chan struct{}
	err        error // of exec.Cmd.Wait; set before done is closed

	mu     sync.Mutex
	reaped bool // from now on the pid may belong to another process
}

// Start starts cmd, whose SysProcAttr is kept but for the process group and the death signal. The caller must not call
// cmd.Wait.
//
// Linux ties the death signal to the thread that forked the child, not to the process: a Go thread that is retired
// would take the child with it. So one goroutine stays locked to the forking thread for as long as the child runs.
func Start(cmd *exec.Cmd, opts Options) (*Process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = !cmd.SysProcAttr.Setsid // a session leader already leads a process group
	cmd.SysProcAttr.Pdeathsig = orDefault(opts.DeathSignal, syscall.SIGKILL)

	p := &Process{stopSignal: orDefault(opts.StopSignal, syscall.SIGTERM), done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- fmt.Errorf("starting %s: %w", cmd.Path, err)
			return
		}
		p.pid = cmd.Process.Pid
		started <- nil
		p.reap(cmd)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func orDefault(sig, otherwise syscall.Signal) syscall.Signal {
	if sig == 0 {
		return otherwise
	}
	return sig
}

// reap waits for the child's end, ends what it left in its group, and only then frees its pid: until then the number
// of the group cannot have been given to anyone else.
func (p *Process) reap(cmd *exec.Cmd) {
	for {
		err := unix.Waitid(unix.P_PID, p.pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	p.Kill()
	p.mu.Lock()
	p.reaped = true
	p.mu.Unlock()
	p.err = cmd.Wait()
	close(p.done)
}

// Pid is the child's process id, and that of its group.
func (p *Process) Pid() int { return p.pid }

// Done is closed when the child has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Wait returns when the child has ended, with the error that exec.Cmd.Wait gives: nil for exit code 0.
func (p *Process) Wait() error {
	<-p.done
	return p.err
}

// Signal sends sig to the child alone. A child that has ended answers os.ErrProcessDone.
func (p *Process) Signal(sig syscall.Signal) error { return p.kill(p.pid, sig) }

// Kill ends the child and everything in its group at once.
func (p *Process) Kill() { _ = p.kill(-p.pid, syscall.SIGKILL) }

func (p *Process) kill(target int, sig syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return os.ErrProcessDone
	}
	return syscall.Kill(target, sig)
}

// Stop asks the child to end, and kills its group when it has not done so after grace or when ctx ends. It returns as
// Wait does.
func (p *Process) Stop(ctx context.Context, grace time.Duration) error {
	if err := p.Signal(p.stopSignal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.Kill()
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.err
	case <-timer.C:
	case <-ctx.Done():
	}
	p.Kill()
	return p.Wait()
}
