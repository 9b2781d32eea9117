package keeper

import (
	"archive/zip"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

const (
	// maxFiles bounds what is stored of one run: beside a scenario's own files, sumo-run leaves ten, and one for each output and table.
	// maxEntries bounds the search for them.
	maxFiles   = simulation.MaxOwnFiles + 100
	maxEntries = 10 * maxFiles
	// maxOutcome is several times the largest outcome, whose texts and lists are all bounded.
	maxOutcome = 8 << 20
)

// finish stores a run that has ended.
func (d *duty) finish(r *run, began chunk.RunState) {
	s := began
	outcome, unreadable := d.outcome(r)
	if unreadable != nil {
		d.Log.Error().Err(unreadable).Str("run", r.ID).Msg("outcome not readable")
	}
	files, err := d.store(r, outcome)
	r.live.end()
	now := d.Now().UTC()
	if d.ctx.Err() != nil {
		return // nobody waits for it
	}
	if err != nil {
		d.Log.Error().Err(err).Str("run", r.ID).Msg("results not stored")
		outcome = d.unstoredOutcome(r, outcome, err)
	} else {
		s.StoredAt = now
	}
	if outcome.Reason == simulation.Interrupted && r.isCancelled() {
		outcome.Reason, outcome.Message = simulation.Cancelled, simulation.Cancelled.Message()
	}
	if !outcome.StartedAt.IsZero() {
		s.StartedAt = outcome.StartedAt
	}
	if outcome.FinishedAt.IsZero() {
		outcome.FinishedAt = now
	}
	seen := job.Observation{Roles: outcome.Files}
	seen.Stored(files)
	s.Results = seen.Results
	s.Outcome = &outcome
	if outcome.Succeeded() {
		s.Progress = 1
	}
	d.handOver(end{r.ID, s})
}

func (r *run) isCancelled() bool {
	select {
	case <-r.cancel:
		return true
	default:
		return false
	}
}

// outcome reads how a run has ended.
func (d *duty) outcome(r *run) (simulation.Outcome, error) {
	var outcome simulation.Outcome
	text, err := readFile(d.out, r.ID+"/"+simulation.OutcomeFile, maxOutcome)
	if err == nil {
		err = json.Unmarshal(text, &outcome)
	}
	if err != nil {
		return simulation.InternalError.Unreported(), fmt.Errorf("reading the outcome: %w", err)
	}
	return outcome.Bounded(), nil
}

// unstoredOutcome is outcome for a run of which not all could be stored, because of err.
func (d *duty) unstoredOutcome(r *run, outcome simulation.Outcome, err error) simulation.Outcome {
	var ours *fs.PathError
	switch {
	case r.isCancelled():
		outcome.Reason, outcome.Message = simulation.Cancelled, simulation.CancelledUnstoredMessage
		return outcome
	case errors.As(err, &ours):
		outcome.Reason, outcome.Message = simulation.InternalError, simulation.InternalError.Message()
		return outcome
	}
	why, _ := artifact.Refusal(err)
	return outcome.Unstored(why)
}

// store puts the files of a run, and returns those that could be stored. It tries until all are, or waiting is useless. The first try is
// made for a cancelled run as well, whose results are what was written so far; later ones end with the cancellation, so that it never waits
// for the store.
func (d *duty) store(r *run, outcome simulation.Outcome) ([]job.ResultFile, error) {
	stored := map[string]job.ResultFile{}
	retries := d.newRetries()
	waiting := false
	defer func() {
		if waiting && d.Waiting != nil {
			d.Waiting(r.ID, false, "")
		}
	}()
	for {
		err := d.send(r, outcome, stored)
		if err == nil || d.ctx.Err() != nil || r.isCancelled() {
			return sorted(stored), err
		}
		delay, again := retries.After(err)
		if !again {
			return sorted(stored), err
		}
		d.Log.Warn().Err(err).Str("run", r.ID).Dur("retry_in", delay).Msg("object store failed")
		if waiting = true; d.Waiting != nil {
			why, _ := artifact.Refusal(err)
			d.Waiting(r.ID, true, why)
		}
		select {
		case <-time.After(delay):
		case <-r.cancel:
		case <-d.ctx.Done():
		}
	}
}

// send puts the files that are not in stored yet, and adds them: large ones first, each as an object, then the pack. If the store becomes
// unreachable the rest is left out; a file that the store refuses does not keep the others from being sent.
func (d *duty) send(r *run, outcome simulation.Outcome, stored map[string]job.ResultFile) error {
	files, err := d.files(r)
	if err != nil {
		return err
	}
	var (
		mu      sync.Mutex
		outage  error
		refused []error
		work    sync.WaitGroup
	)
	put := func(what string, put func() (sent []job.ResultFile, err error)) {
		select {
		case d.Uploads <- struct{}{}:
		case <-d.ctx.Done():
			return
		}
		work.Go(func() {
			defer func() { <-d.Uploads }()
			mu.Lock()
			proceed := outage == nil && d.ctx.Err() == nil
			mu.Unlock()
			if !proceed {
				return
			}
			sent, err := put()
			mu.Lock()
			defer mu.Unlock()
			if what == artifact.PackFile && sent != nil { // it takes the place of an earlier one
				maps.DeleteFunc(stored, func(_ string, f job.ResultFile) bool { return f.Packed() })
			}
			for _, f := range sent {
				stored[f.Name] = f
			}
			switch {
			case err == nil:
			case problem.CodeOf(err) == problem.Unavailable:
				outage = fmt.Errorf("storing %s: %w", what, err)
			default:
				refused = append(refused, fmt.Errorf("storing %s: %w", what, err))
			}
		})
	}
	var packed, single []file
	missing := false // from the pack
	for _, f := range files {
		_, done := stored[f.name]
		switch {
		case r.Pack && (f.info.Size() < artifact.PackBelow || f.name == artifact.PackFile): // the name is the pack's
			packed = append(packed, f)
			missing = missing || !done
		case !done:
			single = append(single, f)
		}
	}
	for _, f := range single {
		put(f.name, func() ([]job.ResultFile, error) { return d.sendFile(r, f) })
	}
	work.Wait()
	if missing {
		put(artifact.PackFile, func() ([]job.ResultFile, error) { return d.sendPack(r, packed, outcome.FinishedAt) })
		work.Wait()
	}
	return cmp.Or(outage, errors.Join(refused...), d.ctx.Err())
}

// file is one that a run left.
type file struct {
	name string      // below the run's folder
	info fs.FileInfo // of the file itself, also where it is a link
}

// files lists the regular files of a run, in the order of their names. What a sumo-run that was killed has left of a recording is none, as
// its keys are those of a run that goes on, which are removed; nor is what it was about to write.
func (d *duty) files(r *run) (files []file, err error) {
	entries := 0
	err = fs.WalkDir(d.out.FS(), r.ID, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entries++; entries > maxEntries || len(files) == maxFiles {
			d.Log.Warn().Str("run", r.ID).Msg("the run left more files than are stored")
			return fs.SkipAll
		}
		name := strings.TrimPrefix(path, r.ID+"/")
		if r.Options.Replay != nil && name == simulation.ReplayFolder && entry.IsDir() { // else it is the scenario's
			return fs.SkipDir
		}
		if !entry.Type().IsRegular() || !artifact.Storable(name) || simulation.Unfinished(name) {
			return nil
		}
		info, err := entry.Info()
		files = append(files, file{name, info})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing results: %w", err)
	}
	return files, nil
}

var errChanged = errors.New("the file was replaced meanwhile")

// open opens a file as it was listed, and nothing that took its place.
func (d *duty) open(r *run, f file) (*os.File, error) {
	opened, err := d.out.OpenFile(r.ID+"/"+f.name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err := opened.Stat(); err != nil || !info.Mode().IsRegular() || !os.SameFile(info, f.info) {
		opened.Close()
		return nil, cmp.Or(err, errChanged)
	}
	return opened, nil
}

// readFile reads a regular file of at most limit bytes.
func readFile(root *os.Root, name string, limit int64) ([]byte, error) {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular() || info.Size() > limit:
		return nil, fmt.Errorf("%s is no regular file of at most %d bytes", name, limit)
	}
	return io.ReadAll(io.LimitReader(f, limit))
}

// sendFile stores a file as an object.
func (d *duty) sendFile(r *run, f file) ([]job.ResultFile, error) {
	opened, err := d.open(r, f)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	sum := sha256.New()
	size, err := d.Objects.Put(d.ctx, r.Results+f.name, io.TeeReader(opened, sum), artifact.ContentType(f.name))
	if err != nil {
		return nil, err
	}
	content, err := contentSum(opened, f.name)
	if err != nil {
		return nil, err
	}
	return []job.ResultFile{{Name: f.name, Size: size, SHA256: hex.EncodeToString(sum.Sum(nil)), ContentSHA256: content}}, nil
}

// contentSum reads a file again, which is in memory unless it is large; empty if it has no such sum.
func contentSum(f *os.File, name string) (string, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	sum, _, err := simulation.ContentSum(name, f)
	return sum, err
}

// sendPack stores files together. Their sizes are what was read, whatever they were when they were listed. A file that cannot be opened is
// left out, with an error beside the others.
func (d *duty) sendPack(r *run, files []file, modified time.Time) (sent []job.ResultFile, err error) {
	body, w := io.Pipe()
	var left []error
	written := make(chan error, 1)
	go func() {
		var err error
		sent, left, err = d.writePack(w, r, files, modified)
		w.CloseWithError(err) // a nil error is the proper end
		written <- err
	}()
	_, err = d.Objects.Put(d.ctx, r.Results+artifact.PackFile, body, artifact.ContentType(artifact.PackFile))
	body.CloseWithError(cmp.Or(err, io.ErrClosedPipe)) // a writer still at work must not block for ever
	if err := cmp.Or(err, <-written); err != nil {
		return nil, err
	}
	return sent, errors.Join(left...)
}

func (d *duty) writePack(w io.Writer, r *run, files []file, modified time.Time) (sent []job.ResultFile, left []error, err error) {
	counted := &counter{w: w}
	pack := zip.NewWriter(counted)
	sent = []job.ResultFile{}
	for _, f := range files {
		opened, err := d.open(r, f)
		if err != nil {
			left = append(left, fmt.Errorf("opening %s: %w", f.name, err))
			continue
		}
		entry, err := pack.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Store, Modified: modified})
		if err == nil {
			err = pack.Flush()
		}
		offset, sum := counted.n, sha256.New()
		var size int64
		if err == nil {
			size, err = io.Copy(io.MultiWriter(entry, sum), opened)
		}
		var content string
		if err == nil {
			content, err = contentSum(opened, f.name)
		}
		opened.Close()
		if err != nil {
			return nil, nil, fmt.Errorf("packing %s: %w", f.name, err)
		}
		sent = append(sent, job.ResultFile{
			Name: f.name, Size: size, Offset: offset, SHA256: hex.EncodeToString(sum.Sum(nil)), ContentSHA256: content,
		})
	}
	return sent, left, pack.Close()
}

// counter counts what is written.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
