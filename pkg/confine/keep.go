package confine

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/sumo-k8/sumo-k8/pkg/process"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Keep keeps what the walls of programs that run one after the other have in common, since making it takes longer than all else between
// two brief programs: the choice of the wall, Landlock's set of rules, the system call filter and the mount namespace. Nothing in it can be
// changed from behind the wall. Close it before a folder of the wall is removed, and when it is no longer needed. The zero value keeps
// nothing yet. A Keep serves one goroutine at a time.
type Keep struct {
	of       string // the wall that it is for
	plan     simulation.Confinement
	filter   filter
	asks     bool     // whether the filter leaves calls to the warden
	ruleset  *os.File // nil without Landlock
	landlock uint32   // the flags for enforcing it
	mounts   *os.File // nil until the first program has made it
}

// Start is the function Start for programs that may share what is kept. A wall that differs from the last one replaces that.
func (k *Keep) Start(cmd *exec.Cmd, w Wall, mode Mode) (*process.Process, simulation.Confinement, error) {
	if !entered {
		return nil, simulation.Confinement{}, errNotEntered
	}
	of, err := k.name(cmd, w, mode)
	if err != nil {
		return nil, simulation.Confinement{}, err
	}
	if k.of == of {
		p, _, err := k.start(cmd, w)
		if err == nil {
			return p, k.plan, nil
		}
		k.Close()
		if _, wall := errors.AsType[*wallError](err); !wall {
			return nil, simulation.Confinement{}, err
		}
	}
	p, _, err := k.begin(cmd, w, mode)
	if err != nil {
		k.Close()
		return nil, simulation.Confinement{}, err
	}
	k.of = of
	return p, k.plan, nil
}

// name is equal for programs that may have the same wall: the user and the limits are set for each.
func (k *Keep) name(cmd *exec.Cmd, w Wall, mode Mode) (string, error) {
	w.Slot, w.Limits = 0, Limits{}
	text, err := json.Marshal([]any{w, mode, cmd.Path})
	if err != nil {
		return "", fmt.Errorf("encoding a wall: %w", err)
	}
	return string(text), nil
}

// Close forgets what is kept. Programs that run keep their walls.
func (k *Keep) Close() {
	k.ruleset.Close() // nil and what is closed already only answer an error
	k.mounts.Close()
	*k = Keep{}
}

// make makes w by plan, and starts cmd behind it.
func (k *Keep) make(cmd *exec.Cmd, w Wall, plan simulation.Confinement) (*process.Process, *os.File, error) {
	k.plan = plan
	if plan.Filter {
		policy, err := w.policy(plan)
		if err == nil {
			k.filter, err = policy.filter()
		}
		if err != nil {
			return nil, nil, &wallError{"system call filter", err.Error()}
		}
		k.asks = len(policy.asked) > 0
	}
	if plan.Landlock > 0 {
		var err error
		if k.ruleset, k.landlock, err = w.rules(plan.Landlock); err != nil {
			return nil, nil, &wallError{"Landlock", err.Error()}
		}
	}
	return k.start(cmd, w)
}

// mountsOf is the mount namespace in which a process has just been started, or nil where it cannot be had, so that the next one gets its
// own. It is to be used only once that process has said that its wall is up. An ordinary user's belongs to a user namespace, and cannot be
// entered alone.
func mountsOf(p *process.Process) *os.File {
	if os.Geteuid() != 0 {
		return nil
	}
	mounts, err := os.Open(fmt.Sprintf("/proc/%d/ns/mnt", p.Pid()))
	if err != nil {
		return nil
	}
	select {
	case <-p.Done(): // its number may have been another process's
		mounts.Close()
		return nil
	default:
		return mounts
	}
}
