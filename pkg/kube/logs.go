package kube

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// What Argo calls the parts of a run: the label that leads from a workflow to its pods, and SUMO's container.
const (
	workflowLabel = "workflows.argoproj.io/workflow"
	mainContainer = "main"
)

const (
	// kept is the end of a followed log that is held in memory. A follower looks several times a second, and SUMO writes
	// far less in that time; a thousand logs take 64 MiB.
	kept = 64 << 10
	// idle is how long a log goes on being followed after the last look at it.
	idle = 15 * time.Second
	// again is how often a pod is looked for that is not there yet, or whose log has ended. It spares the API server
	// from what followers of waiting jobs ask several times a second.
	again = 2 * time.Second
	// readAhead is the buffer of one log that is being read.
	readAhead = 32 << 10
	// maxLine is far more than sumo-run ever writes in one line.
	maxLine = 4 << 20
)

// Logs reads the logs of pods that run jobs.
//
// A log is addressed by byte offset, but a kubelet only knows times, and asking it several times a second for each
// follower would be too much. So the log of a job that is being followed comes in one stream, whatever the number of
// followers, and its end is kept in memory: each look costs as much as there is that is new. Who has to begin further in
// front reads the log once from its start.
//
// sumo-run writes to its standard output, byte for byte, what it writes to its log file. Offsets in a pod's log are
// thus those of the file that becomes a result, once the lines are left out that Argo's own process in the
// container has added.
type Logs struct {
	client rest.Interface

	mu    sync.Mutex
	tails map[string]*tail // by job id
}

var _ job.LiveLogs = (*Logs)(nil)

// NewLogs reads logs by client.
func NewLogs(client rest.Interface) *Logs {
	return &Logs{client: client, tails: map[string]*tail{}}
}

// tail is the end of one log.
type tail struct {
	stop   context.CancelFunc
	unused *time.Timer
	ready  chan struct{} // closed once all that was there has been read, or reading it has failed

	mu    sync.Mutex
	bytes []byte // complete lines
	start int64  // offset of bytes[0]
	err   error  // why there is no log
}

// OpenLog implements job.LiveLogs.
func (l *Logs) OpenLog(ctx context.Context, j job.Job, offset int64) (io.ReadCloser, error) {
	offset = max(offset, 0)
	t := l.tail(j)
	select {
	case <-t.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	rest, held, err := t.from(offset)
	if err != nil {
		return nil, err
	}
	if !held {
		return l.openWhole(ctx, j, offset)
	}
	return io.NopCloser(bytes.NewReader(rest)), nil
}

// from returns what the log has from offset on; held is false when that begins before what is kept.
func (t *tail) from(offset int64) (rest []byte, held bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	end := t.start + int64(len(t.bytes))
	switch {
	case t.err != nil:
		return nil, false, t.err
	case end == 0:
		return nil, false, noLog(nil)
	case offset < t.start:
		return nil, false, nil
	}
	return slices.Clone(t.bytes[min(offset, end)-t.start:]), true, nil
}

// tail returns the tail of j's log, which it begins to follow when nobody does yet.
func (l *Logs) tail(j job.Job) *tail {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.tails[j.ID]
	if t == nil {
		ctx, stop := context.WithCancel(context.Background())
		t = &tail{stop: stop, ready: make(chan struct{})}
		t.unused = time.AfterFunc(idle, func() { l.drop(j.ID, t) })
		l.tails[j.ID] = t
		go l.run(ctx, j, t)
		return t
	}
	t.unused.Reset(idle)
	return t
}

// drop forgets t, so that the next look begins anew.
func (l *Logs) drop(id string, t *tail) {
	t.stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tails[id] == t {
		delete(l.tails, id)
	}
}

// run reads j's log into t until the container has ended or nobody looks any longer.
func (l *Logs) run(ctx context.Context, j job.Job, t *tail) {
	defer func() {
		// What follows, if anything, is another container's log: it is looked for after a while.
		select {
		case <-ctx.Done():
		case <-time.After(again):
		}
		l.drop(j.ID, t)
	}()
	pod, err := l.newestPod(ctx, j)
	if err != nil {
		t.fail(err)
		return
	}
	var at position
	if err := l.read(ctx, j, pod, &at, false, t); err != nil {
		t.fail(err)
		return
	}
	close(t.ready)
	for ctx.Err() == nil {
		// The stream also ends when a kubelet or an API server does; only the container's own end is final.
		if err := l.read(ctx, j, pod, &at, true, t); problem.CodeOf(err) == problem.NotFound || l.over(ctx, j, pod) {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(again):
		}
	}
}

// fail says why there is no log to those that wait. What was read before stays readable.
func (t *tail) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-t.ready:
	default:
		t.err = err
		close(t.ready)
	}
}

// add appends a complete line.
func (t *tail) add(line []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if over := len(t.bytes) + len(line) - 2*kept; over > 0 && len(t.bytes) > kept {
		cut := len(t.bytes) - kept
		t.start += int64(cut)
		t.bytes = append(t.bytes[:0], t.bytes[cut:]...)
	}
	t.bytes = append(t.bytes, line...)
}

// position is how far a log was read: the time of the last line, and how many lines of that very time were read.
type position struct {
	time string
	same int
	any  bool
}

// skip reports whether the line with this time was read before p. Seen counts the lines of the present reading.
func (p position) skip(seen *position, stamp string) bool {
	if !p.any {
		return false
	}
	if stamp != seen.time {
		seen.time, seen.same = stamp, 0
	}
	seen.same++
	if c := compareStamps(stamp, p.time); c != 0 {
		return c < 0
	}
	return seen.same <= p.same
}

func (p *position) advance(stamp string) {
	if stamp != p.time {
		p.time, p.same = stamp, 0
	}
	p.same++
	p.any = true
}

// compareStamps orders times as a kubelet writes them. Their fractions of a second differ in length.
func compareStamps(a, b string) int {
	x, errX := time.Parse(time.RFC3339Nano, a)
	y, errY := time.Parse(time.RFC3339Nano, b)
	if errX != nil || errY != nil {
		return strings.Compare(a, b)
	}
	return x.Compare(y)
}

// read adds the lines behind at to t, to the present end or, following, until the stream ends.
func (l *Logs) read(ctx context.Context, j job.Job, pod string, at *position, following bool, t *tail) error {
	request := l.client.Get().AbsPath("/api/v1/namespaces", j.Namespace, "pods", pod, "log").
		Param("container", mainContainer).Param("timestamps", "true")
	if following {
		request = request.Param("follow", "true")
	}
	if at.any {
		// The API server takes whole seconds; skip leaves out what the rounding brings again.
		since, err := time.Parse(time.RFC3339Nano, at.time)
		if err != nil {
			return fmt.Errorf("the log of pod %s has a line without its time: %w", pod, err)
		}
		request = request.Param("sinceTime", since.UTC().Truncate(time.Second).Format(time.RFC3339))
	}
	body, err := request.Stream(ctx)
	if err != nil {
		return logFailed(err, pod)
	}
	defer body.Close()
	first := !at.any
	known, seen := *at, position{}
	lines := stamped{in: bufio.NewReaderSize(body, readAhead)}
	for {
		stamp, line, err := lines.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && following:
			return nil // a cut connection: the next one goes on behind the last line
		case err != nil:
			return failed(err, "read the log of pod "+pod)
		}
		if known.skip(&seen, stamp) {
			continue
		}
		at.advance(stamp)
		if isArgos(line) {
			continue
		}
		if first && !bytes.HasPrefix(line, []byte(firstWord)) {
			return rotated()
		}
		first = false
		t.add(line)
	}
}

// firstWord begins the first line of every log of sumo-run. A log that begins otherwise has lost its beginning: a
// kubelet shows only the last of the files into which it divides a long log.
const firstWord = "sumo-run: "

func rotated() error {
	return problem.New(problem.NotFound, "The log has grown so long that its beginning is not at hand. All of it can be read when the job has ended.")
}

// isArgos tells the lines of Argo's process in the container from those of sumo-run.
func isArgos(line []byte) bool {
	return bytes.HasPrefix(line, []byte(`time="`)) && bytes.Contains(line, []byte(" argo=true")) ||
		bytes.HasPrefix(line, []byte("{")) && bytes.Contains(line, []byte(`"argo":true`))
}

// stamped reads lines that begin with their time.
type stamped struct{ in *bufio.Reader }

// next returns one line with its newline, and its time. A line without an end is not returned: more of it may come.
func (s stamped) next() (stamp string, line []byte, err error) {
	var text []byte
	for {
		piece, err := s.in.ReadSlice('\n')
		text = append(text, piece...)
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", nil, err
		}
		if len(text) > maxLine {
			return "", nil, fmt.Errorf("a line has more than %d bytes", maxLine)
		}
	}
	before, after, found := bytes.Cut(text, []byte(" "))
	if !found {
		return "", text, nil
	}
	return string(before), after, nil
}

// openWhole reads the log from its start, once, for who needs more of it than is kept.
func (l *Logs) openWhole(ctx context.Context, j job.Job, offset int64) (io.ReadCloser, error) {
	pod, err := l.newestPod(ctx, j)
	if err != nil {
		return nil, err
	}
	body, err := l.client.Get().AbsPath("/api/v1/namespaces", j.Namespace, "pods", pod, "log").
		Param("container", mainContainer).Stream(ctx)
	if err != nil {
		return nil, logFailed(err, pod)
	}
	whole := &wholeLog{body: body, in: bufio.NewReaderSize(body, readAhead)}
	if _, err := io.CopyN(io.Discard, whole, offset); err != nil && !errors.Is(err, io.EOF) {
		body.Close()
		return nil, err
	}
	return whole, nil
}

// wholeLog is a pod's log without Argo's lines, up to its last complete line.
type wholeLog struct {
	body  io.Closer
	in    *bufio.Reader
	line  []byte
	begun bool
}

func (w *wholeLog) Read(p []byte) (int, error) {
	for len(w.line) == 0 {
		line, err := w.in.ReadBytes('\n')
		if err != nil {
			return 0, err
		}
		if isArgos(line) {
			continue
		}
		if !w.begun && !bytes.HasPrefix(line, []byte(firstWord)) {
			return 0, rotated()
		}
		w.begun, w.line = true, line
	}
	n := copy(p, w.line)
	w.line = w.line[n:]
	return n, nil
}

func (w *wholeLog) Close() error { return w.body.Close() }

// podStatus is what decides which pod's log is to be read.
type podStatus struct {
	Metadata struct {
		Name              string    `json:"name"`
		CreationTimestamp time.Time `json:"creationTimestamp"`
	} `json:"metadata"`
	Status struct {
		Phase      string `json:"phase"`
		Containers []struct {
			Name  string `json:"name"`
			State struct {
				Running    *struct{} `json:"running"`
				Terminated *struct{} `json:"terminated"`
			} `json:"state"`
		} `json:"containerStatuses"`
	} `json:"status"`
}

// newestPod is the name of the job's last pod whose container has started.
func (l *Logs) newestPod(ctx context.Context, j job.Job) (string, error) {
	var list struct {
		Items []podStatus `json:"items"`
	}
	query := map[string]string{"labelSelector": workflowLabel + "=sumo-" + j.ID}
	if err := read(ctx, l.client, "/api/v1/namespaces/"+j.Namespace+"/pods", query, &list); err != nil {
		return "", err
	}
	slices.SortFunc(list.Items, func(a, b podStatus) int { return b.Metadata.CreationTimestamp.Compare(a.Metadata.CreationTimestamp) })
	for _, pod := range list.Items {
		for _, c := range pod.Status.Containers {
			if c.Name == mainContainer && (c.State.Running != nil || c.State.Terminated != nil) {
				return pod.Metadata.Name, nil
			}
		}
	}
	return "", noLog(nil)
}

// over reports whether the pod's container is known to have ended, or the pod to be gone.
func (l *Logs) over(ctx context.Context, j job.Job, name string) bool {
	var pod podStatus
	err := read(ctx, l.client, "/api/v1/namespaces/"+j.Namespace+"/pods/"+name, nil, &pod)
	if err != nil {
		return problem.CodeOf(err) == problem.NotFound
	}
	for _, c := range pod.Status.Containers {
		if c.Name == mainContainer {
			return c.State.Terminated != nil
		}
	}
	return false
}

func noLog(cause error) error {
	return problem.Wrap(cause, problem.NotFound, "The run has not written a log yet. Ask again once it is RUNNING.")
}

func logFailed(err error, pod string) error {
	// While a container is being made, a kubelet answers 400.
	if apierrors.IsNotFound(err) || apierrors.IsBadRequest(err) {
		return noLog(err)
	}
	return failed(err, "read the log of pod "+pod)
}
