package logs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"time"
	"unicode/utf8"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

// Snapshot is a log, or part of one, on the wire.
type Snapshot struct {
	JobID      string     `json:"job_id" format:"uuid"`
	PodName    string     `json:"pod_name" doc:"The pod or process that runs the job; empty until it exists."`
	Logs       string     `json:"logs" doc:"Always whole characters. If there is no log yet, an answer to a request without offset says why here."`
	Status     job.State  `json:"status"`
	Offset     int64      `json:"offset" doc:"Offset in bytes at which logs begins."`
	NextOffset int64      `json:"next_offset" doc:"Byte after the end of logs: send it as offset to read on."`
	Size       int64      `json:"size" doc:"Current size of the log in bytes."`
	Complete   bool       `json:"complete" doc:"True once the job has finished and logs reaches the end of the log: nothing more will follow."`
	Truncated  bool       `json:"truncated" doc:"True if the log has more before offset."`
	BeganAt    *time.Time `json:"log_began_at" doc:"When the run that writes this log began. If the value changes, the job was restarted and its log starts over."`
	Message    string     `json:"message,omitempty" doc:"Why there is no log, or less than requested."`
}

// An answer shows at most a MiB of a log: thousands of lines, and little enough to hold in memory.
type snapshotRequest struct {
	ID     string               `path:"id"`
	Offset rest.Optional[int64] `query:"offset" minimum:"0" doc:"Byte offset to start at. If it falls inside a character, reading starts at the beginning of that character."`
	Limit  int                  `query:"limit" minimum:"4" maximum:"1048576" default:"1048576" doc:"Maximum number of bytes; the longest character has 4."`
	Tail   int                  `query:"tail" minimum:"1" maximum:"100000" doc:"Return only the last lines, at most this many."`
}

type snapshotAnswer struct{ Body Snapshot }

func (f *Function) snapshot(ctx context.Context, in *snapshotRequest) (*snapshotAnswer, error) {
	if in.Offset.Set && in.Tail > 0 {
		return nil, problem.New(problem.Invalid, "offset and tail exclude each other. Send offset to read on from a byte, or tail for "+
			"the last lines.")
	}
	j, err := f.Jobs.Job(ctx, rest.TenantOf(ctx).ID, in.ID)
	if err != nil {
		return nil, err
	}
	out := Snapshot{JobID: j.ID, PodName: podName(j), Status: j.State}
	var log *job.Log
	var text []byte
	if in.Offset.Set {
		log, text, err = f.part(ctx, j, in.Offset.Value, in.Limit)
	} else {
		log, text, err = f.end(ctx, j, in.Tail, in.Limit)
	}
	switch {
	case problem.CodeOf(err) == problem.NotFound:
		out.Message = whyNoLog(j, err)
		out.Offset, out.NextOffset = in.Offset.Value, in.Offset.Value
		if !in.Offset.Set {
			out.Logs = out.Message
		}
		return &snapshotAnswer{Body: out}, nil
	case err != nil:
		return nil, fmt.Errorf("reading the log of job %s: %w", j.ID, err)
	}
	out.Logs, out.Offset, out.NextOffset = string(text), log.Offset, log.Offset+int64(len(text))
	out.Size, out.Truncated = max(log.Size, out.NextOffset), out.Offset > 0
	out.Complete = j.State.Terminal() && out.NextOffset == out.Size
	if !log.Began.IsZero() {
		out.BeganAt = &log.Began
	}
	if in.Offset.Set && out.Offset > in.Offset.Value {
		out.Message = skipped(in.Offset.Value, out.Offset)
	}
	return &snapshotAnswer{Body: out}, nil
}

// skipped explains an unavailable part.
func skipped(from, to int64) string {
	return fmt.Sprintf("Bytes %d to %d of the log are unavailable while the job runs. They can be read once it has finished.", from, to-1)
}

// part reads up to limit bytes from offset, in whole characters. The log's Offset is where text begins.
func (f *Function) part(ctx context.Context, j job.Job, offset int64, limit int) (log *job.Log, text []byte, err error) {
	// If offset is inside a character, the character begins at most three bytes before.
	log, err = f.open(ctx, j, max(0, offset-(utf8.UTFMax-1)))
	if err != nil {
		return nil, nil, err
	}
	defer log.Close()
	before := max(0, int(min(offset, log.Size)-log.Offset))
	text, err = io.ReadAll(io.LimitReader(log, int64(before+limit)))
	if err != nil {
		return nil, nil, err
	}
	start := min(before, len(text))
	for start > 0 && start < len(text) && !utf8.RuneStart(text[start]) {
		start--
	}
	text = text[start:]
	if len(text) >= limit { // the log may continue, and with it the last character
		text = wholeCharacters(text[:limit])
	}
	log.Offset += int64(start)
	return log, text, nil
}

// wholeCharacters returns text without an incomplete character at its end.
func wholeCharacters(text []byte) []byte {
	for i := len(text) - 1; i >= max(0, len(text)-utf8.UTFMax); i-- {
		if utf8.RuneStart(text[i]) {
			if !utf8.FullRune(text[i:]) {
				return text[:i]
			}
			break
		}
	}
	return text
}

// end reads the last lines, all of them when lines is 0, as far as they fit into limit bytes.
func (f *Function) end(ctx context.Context, j job.Job, lines, limit int) (log *job.Log, text []byte, err error) {
	log, err = f.open(ctx, j, math.MaxInt64) // for its size
	if err != nil {
		return nil, nil, err
	}
	log.Close()
	log, err = f.open(ctx, j, max(0, log.Size-int64(limit)-1))
	if err != nil {
		return nil, nil, err
	}
	defer log.Close()
	text, skipped, err := tail(log, lines, limit)
	log.Offset += skipped
	return log, text, err
}

// tail reads all of r and returns its last bytes from the start of a line, at most limit bytes, and how many bytes precede
// them. If the last line is longer than limit, only its end is returned. If lines is not 0, tail returns at most that many.
func tail(r io.Reader, lines, limit int) (text []byte, skipped int64, err error) {
	window := limit + 1 // with the byte before, which shows whether the last limit bytes begin a line
	buffer := make([]byte, 0, 64<<10)
	chunk := make([]byte, 64<<10)
	for {
		n, err := r.Read(chunk)
		buffer = append(buffer, chunk[:n]...)
		if len(buffer) > 2*window {
			kept := copy(buffer, buffer[len(buffer)-window:])
			skipped += int64(len(buffer) - kept)
			buffer = buffer[:kept]
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, 0, err
		}
	}
	if over := len(buffer) - window; over > 0 {
		buffer, skipped = buffer[over:], skipped+int64(over)
	}
	start := 0
	if len(buffer) > limit || skipped > 0 {
		start = bytes.IndexByte(buffer, '\n') + 1
		if start == 0 || start == len(buffer) {
			start = len(buffer) - limit
			for start < len(buffer) && !utf8.RuneStart(buffer[start]) {
				start++
			}
		}
	}
	if lines > 0 {
		start += startOfLast(buffer[start:], lines)
	}
	return buffer[start:], skipped + int64(start), nil
}

// startOfLast returns where the last lines of text begin.
func startOfLast(text []byte, lines int) int {
	at := len(bytes.TrimSuffix(text, []byte("\n")))
	for range lines {
		if at = bytes.LastIndexByte(text[:at], '\n'); at < 0 {
			return 0
		}
	}
	return at + 1
}

func podName(j job.Job) string {
	if j.State == job.Queued || j.Attempt == 0 {
		return ""
	}
	return job.RunName(j.ChunkID())
}
