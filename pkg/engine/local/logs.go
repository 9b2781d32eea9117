package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Logs reads the logs of the runs of an engine with this configuration, which may be another process's.
func Logs(cfg Config) job.LiveLogs { return folder(cfg.Dir) }

// OpenLog reads the log of a run of a chunk that has not been forgotten, up to the end of its last complete line.
func (e *Engine) OpenLog(ctx context.Context, j job.Job, offset int64) (*job.Log, error) {
	return folder(e.cfg.Dir).OpenLog(ctx, j, offset)
}

// folder holds the folders of chunks.
type folder string

func (dir folder) OpenLog(_ context.Context, j job.Job, offset int64) (*job.Log, error) {
	if !isFolderName(j.ID) || !isFolderName(j.ChunkID()) {
		return nil, job.NoLogYet(nil)
	}
	place := filepath.Join(string(dir), j.ChunkID())
	f, err := os.Open(filepath.Join(place, outFolder, j.ID, simulation.LogFile))
	if errors.Is(err, os.ErrNotExist) { // it may have ended
		f, err = os.Open(filepath.Join(place, logsFolder, j.ID))
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil, job.NoLogYet(err)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the log of run %s: %w", j.ID, err)
	}
	end, err := endOfLastLine(f)
	if err == nil && end == 0 {
		err = job.NoLogYet(nil)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	offset = min(max(offset, 0), end)
	body := struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, offset, end-offset), f}
	return &job.Log{ReadCloser: body, Began: firstLine(f), Offset: offset, Size: end}, nil
}

// keepLog keeps the log of a run that has ended readable until the chunk is forgotten: sumo-run removes the run's folder once it is stored,
// which is a moment before its end is on record.
func (e *Engine) keepLog(t *task, r *run) {
	name := filepath.Join(t.file(logsFolder), r.ID)
	err := os.Link(t.out(r, simulation.LogFile), name)
	if errors.Is(err, os.ErrNotExist) {
		if err = os.Mkdir(t.file(logsFolder), 0o700); err == nil {
			err = os.Link(t.out(r, simulation.LogFile), name)
		}
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrExist) {
		e.log.Warn().Err(err).Str("job", r.ID).Msg("log not readable until the run's end is on record")
	}
}

// firstLine reads from the first line of a log when its run began.
func firstLine(f *os.File) time.Time {
	var head [simulation.MaxLogStart]byte
	n, _ := f.ReadAt(head[:], 0) // a shorter file is no failure, and an unreadable one shows when it is read
	line, _, _ := bytes.Cut(head[:n], []byte("\n"))
	began, _ := simulation.ParseLogStart(line)
	return began
}

// endOfLastLine returns how many bytes of f are complete lines. It reads f backwards, as far as one line goes.
func endOfLastLine(f *os.File) (int64, error) {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, fmt.Errorf("finding the end of a log: %w", err)
	}
	var block [4096]byte
	for end > 0 {
		from := max(0, end-int64(len(block)))
		n, err := f.ReadAt(block[:end-from], from)
		if err != nil && err != io.EOF {
			return 0, fmt.Errorf("reading a log: %w", err)
		}
		for i := n - 1; i >= 0; i-- {
			if block[i] == '\n' {
				return from + int64(i) + 1, nil
			}
		}
		end = from
	}
	return 0, nil
}
