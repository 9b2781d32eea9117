package keeper

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/replay"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// live is how far the recording of a run that goes on has been sent.
type live struct {
	sending sync.Mutex  // held while something is sent
	ended   atomic.Bool // the run has ended: the recording is one of its results from now on
	// Of the goroutine that sends.
	attempt string
	sent    int       // segments
	index   time.Time // when the index was written that was sent last
	pause   time.Duration
	due     time.Time // when to try again after a failure, a pause later
}

// watchRecording sends what is new of the recording of a run that goes on. What fails is tried again, ever more rarely: the run's results
// do not depend on it.
func (d *duty) watchRecording(r *run) {
	if r.Options.Replay == nil || !r.live.sending.TryLock() {
		return
	}
	info, err := d.out.Lstat(r.replay(simulation.ReplayIndexFile))
	if err != nil || info.ModTime().Equal(r.live.index) || d.Now().Before(r.live.due) {
		r.live.sending.Unlock()
		return
	}
	d.work.Go(func() {
		defer r.live.sending.Unlock()
		if err := d.sendRecording(r); err != nil {
			r.live.pause = artifact.NextRetry(r.live.pause)
			r.live.due = d.Now().Add(r.live.pause)
			if !r.live.ended.Load() && d.ctx.Err() == nil {
				d.Log.Warn().Err(err).Str("run", r.ID).Dur("retry_in", r.live.pause).
					Msg("the recording of a run that goes on could not be sent")
			}
			return
		}
		r.live.index, r.live.pause = info.ModTime(), 0
	})
}

func (r *run) replay(name string) string { return r.ID + "/" + simulation.ReplayFolder + "/" + name }

// end has no more sent, and returns once nothing is under way: what arrives in the store after the end of the run is on record would stay
// there as long as the results.
func (l *live) end() {
	l.ended.Store(true)
	l.sending.Lock()
	l.sending.Unlock() //nolint:staticcheck // waiting is all
}

// sendRecording puts the segments that the store lacks, and then the index that lists them.
func (d *duty) sendRecording(r *run) error {
	text, err := readFile(d.out, r.replay(simulation.ReplayIndexFile), replay.MaxIndex)
	if err != nil {
		return err
	}
	var index struct {
		Attempt  string
		Segments []struct{}
	}
	if err := json.Unmarshal(text, &index); err != nil {
		return fmt.Errorf("reading the index of the recording: %w", err)
	}
	if _, err := strconv.ParseInt(index.Attempt, 36, 64); err != nil {
		return fmt.Errorf("the recording's attempt is %.40q", index.Attempt)
	}
	if index.Attempt != r.live.attempt {
		r.live.attempt, r.live.sent = index.Attempt, 0
	}
	for ; r.live.sent < len(index.Segments); r.live.sent++ {
		data, err := readFile(d.out, r.replay(strconv.Itoa(r.live.sent)), replay.MaxSegment)
		if err != nil {
			return err
		}
		if err := d.sendLive(r, artifact.LiveReplaySegment(r.Results, index.Attempt, r.live.sent), data); err != nil {
			return err
		}
	}
	return d.sendLive(r, artifact.LiveReplayIndex(r.Results), text)
}

// sendLive puts an object of a recording, in turn with results.
func (d *duty) sendLive(r *run, key string, data []byte) error {
	select {
	case d.Uploads <- struct{}{}:
	case <-d.ctx.Done():
		return d.ctx.Err()
	}
	defer func() { <-d.Uploads }()
	if r.live.ended.Load() {
		return fmt.Errorf("the run has ended")
	}
	_, err := d.Objects.Put(d.ctx, key, bytes.NewReader(data), artifact.ContentType(key))
	return err
}
