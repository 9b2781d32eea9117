package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// desk is the folder that the keeper of a chunk writes: see package chunk.
type desk struct {
	folder string
	// The last sign of the keeper, by the clock of its machine, and when it was first seen by ours, which may stand still meanwhile.
	sign time.Time
	seen time.Time
}

// lookEvery is how often the desk is looked at: a few dozen names, in some 50 µs.
const lookEvery = 25 * time.Millisecond

// errSilent is the cause with which a chunk ends whose keeper gives no sign.
var errSilent = errors.New("the keeper of the results gives no sign")

func newDesk(folder string) *desk { return &desk{folder: folder, seen: time.Now()} }

// ready waits for the keeper, at most as long as it may be silent.
func (d *desk) ready(ctx context.Context, patience time.Duration) (chunk.Ready, error) {
	var ready chunk.Ready
	for {
		text, err := os.ReadFile(filepath.Join(d.folder, chunk.ReadyFile))
		if err == nil {
			if err = json.Unmarshal(text, &ready); err != nil {
				err = fmt.Errorf("reading what the keeper has stored: %w", err)
			}
			d.seen = time.Now()
			return ready, err
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return ready, err
		}
		if time.Since(d.seen) > patience {
			return ready, errSilent
		}
		select {
		case <-ctx.Done():
			return ready, context.Cause(ctx)
		case <-time.After(lookEvery):
		}
	}
}

// silent is for how long the keeper has given no sign.
func (d *desk) silent(now time.Time) time.Duration {
	if info, err := os.Stat(filepath.Join(d.folder, chunk.AliveFile)); err == nil && !info.ModTime().Equal(d.sign) {
		d.sign, d.seen = info.ModTime(), now
	}
	return now.Sub(d.seen)
}

func (d *desk) cancelled(run string) bool { return d.has(chunk.CancelFolder, run) }

// lanes is how many runs may go on at a time by the keeper's word; 0 if it has not said.
func (d *desk) lanes() int {
	text, err := os.ReadFile(filepath.Join(d.folder, chunk.LanesFile))
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(string(text))
	return n
}

func (d *desk) stored(run string) bool { return d.has(chunk.StoredFolder, run) }

// outcome is how a run that is stored has ended.
func (d *desk) outcome(run string) (simulation.Outcome, error) {
	var state chunk.RunState
	text, err := os.ReadFile(filepath.Join(d.folder, chunk.StoredFolder, run))
	if err == nil {
		err = json.Unmarshal(text, &state)
	}
	switch {
	case err != nil:
		return simulation.Outcome{}, fmt.Errorf("reading what the keeper has stored: %w", err)
	case !state.Ended():
		return simulation.Outcome{}, fmt.Errorf("the keeper has stored run %s without an outcome", run)
	}
	return *state.Outcome, nil
}

func (d *desk) has(folder, run string) bool {
	_, err := os.Lstat(filepath.Join(d.folder, folder, run))
	return err == nil
}
