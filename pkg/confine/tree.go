package confine

import (
	"context"
	"os/exec"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/process"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Tree is a program with everything that it has started, however that has detached itself.
type Tree struct{ main *process.Process }

// StartTree starts cmd behind w, whose profile is Program. A wall that does not hold is refused, as under Require.
func StartTree(cmd *exec.Cmd, _ Wall) (*Tree, simulation.Confinement, error) {
	main, err := process.Start(cmd, process.Options{})
	return &Tree{main}, simulation.Confinement{}, err
}

// Done is closed when no process of the tree is left.
func (t *Tree) Done() <-chan struct{} { return t.main.Done() }

// Wait returns when no process of the tree is left, with the error of the program itself as exec.Cmd.Wait gives it. It wraps ErrMemory or
// ErrProcesses if the tree was ended because it broke that limit.
func (t *Tree) Wait() error { return t.main.Wait() }

// Stop asks the program to end, and kills the tree when it has not done so after grace or when ctx ends. It returns as Wait does.
func (t *Tree) Stop(ctx context.Context, grace time.Duration) error { return t.main.Stop(ctx, grace) }

// Kill ends all processes of the tree at once.
func (t *Tree) Kill() { t.main.Kill() }
