// Package osspecific is the file that the published module of Argo Workflows lacks: its name makes the module proxy's
// copy leave out what argoexec calls on Linux. The lab puts this one in its place when it builds argoexec.
package osspecific

import (
	"errors"
	"os"
	"syscall"

	argo "github.com/argoproj/argo-workflows/v3/util/errors"
)

// Term asks a process to end.
var Term = syscall.SIGTERM

// CanIgnoreSignal reports whether a signal concerns only argoexec's own runtime and is not passed on to the user's program:
// the end of a child, and the preemption of a goroutine.
func CanIgnoreSignal(s os.Signal) bool { return s == syscall.SIGCHLD || s == syscall.SIGURG }

// Kill signals the whole group of the process, or the process alone when it has left its group.
func Kill(pid int, s syscall.Signal) error {
	group, err := syscall.Getpgid(pid)
	if err != nil {
		return syscall.Kill(pid, s)
	}
	return syscall.Kill(-group, s)
}

// Setpgid makes the child the leader of a group, so that Kill reaches its children too.
func Setpgid(a *syscall.SysProcAttr) { a.Setpgid = true }

// Wait returns when the process has ended, with its exit code as an error. argoexec is the first process of its
// container and inherits every orphan: an orphan that ends meanwhile is reaped too, or it would stay a zombie.
func Wait(process *os.Process) error {
	pid := process.Pid
	if err := process.Release(); err != nil {
		return err
	}
	for {
		var status syscall.WaitStatus
		ended, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR), err == nil && ended != pid:
			continue
		case err != nil:
			return err
		case status.Signaled():
			// Shells report 128 plus the signal.
			return argo.NewExitErr(128 + int(status.Signal()))
		default:
			return argo.NewExitErr(status.ExitStatus())
		}
	}
}
