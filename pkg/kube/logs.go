package kube

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// mainContainer is what Argo calls SUMO's container.
const mainContainer = "main"

const (
	// kept is the end of a followed log that is held in memory. A follower looks several times a second, and SUMO writes
	// far less in that time; a thousand logs take 64 MiB.
	kept = 64 << 10
	// idle is how long a log is followed after the last look at it.
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
// followers, and its end is kept in memory: each look costs as much as there is that is new. A reader who begins
// earlier reads the log once from its start.
//
// sumo-run writes to its standard output, byte for byte, what it writes to its log file. Offsets in a pod's log are
// thus those of the file that becomes a result, once the lines that Argo's own process in the container has added are
// left out.
//
// A kubelet divides a long output into files (containerLogMaxSize, 10 MiB as a rule) and shows only the last one from its
// start. Open streams continue across the division. Later readers get what that file has, with the offset at
// which it begins, from sumo-run's marks (simulation.LogMark).
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
	began time.Time
	lost  bool  // there were lines whose place in the log is not known
	err   error // why there is no log
}

// OpenLog implements job.LiveLogs.
func (l *Logs) OpenLog(ctx context.Context, j job.Job, offset int64) (*job.Log, error) {
	if j.Study != nil {
		return nil, problem.New(problem.NotFound, "Runs of a study share a pod: the log of one can be read once it has ended.")
	}
	offset = max(offset, 0)
	t := l.tail(j)
	select {
	case <-t.ready:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	held, err := t.from(offset)
	if err != nil || held.Offset <= offset {
		return held, err
	}
	whole, err := l.openWhole(ctx, j, offset)
	if problem.CodeOf(err) == problem.NotFound {
		return held, nil // the kubelet has just begun another file
	}
	if err == nil && whole.Began.Equal(held.Began) {
		whole.Size = max(whole.Size, held.Size)
	}
	return whole, err
}

// from returns what is kept of the log from offset on, or from later on when its start is not kept.
func (t *tail) from(offset int64) (*job.Log, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	end := t.start + int64(len(t.bytes))
	switch {
	case t.err != nil:
		return nil, t.err
	case end == 0 && t.lost:
		return nil, rotated()
	case end == 0:
		return nil, job.NoLogYet(nil)
	}
	offset = min(max(offset, t.start), end)
	body := io.NopCloser(bytes.NewReader(slices.Clone(t.bytes[offset-t.start:])))
	return &job.Log{ReadCloser: body, Began: t.began, Offset: offset, Size: end}, nil
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
	var p placer
	if err := l.read(ctx, j, pod, &at, &p, false, t); err != nil {
		t.fail(err)
		return
	}
	close(t.ready)
	for ctx.Err() == nil {
		// The stream also ends when a kubelet or an API server does; only the container's own end is final.
		if err := l.read(ctx, j, pod, &at, &p, true, t); problem.CodeOf(err) == problem.NotFound || l.ended(ctx, j, pod) {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(again):
		}
	}
}

// fail reports to those that wait why there is no log. What was read before stays readable.
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

// add appends a complete line, which stands at offset in the log. Behind a gap the tail begins anew.
func (t *tail) add(offset int64, line []byte, began time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.began = began; offset != t.start+int64(len(t.bytes)) {
		t.bytes, t.start = t.bytes[:0], offset
	}
	if over := len(t.bytes) + len(line) - 2*kept; over > 0 && len(t.bytes) > kept {
		cut := len(t.bytes) - kept
		t.start += int64(cut)
		t.bytes = append(t.bytes[:0], t.bytes[cut:]...)
	}
	t.bytes = append(t.bytes, line...)
}

// lose notes that there is a log but none of it can be read yet.
func (t *tail) lose() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lost = true
}

// placer finds where in sumo-run's log the lines of a container are.
type placer struct {
	next  int64     // offset of the line that comes next
	began time.Time // when the run began
	begun bool      // a line has come
	sure  bool      // next is known
}

// place returns the offset of a line; ok is false when it is no line of the log, or its place is not known.
func (p *placer) place(line []byte) (offset int64, ok bool) {
	if isArgos(line) {
		return 0, false
	}
	if began, offset, ok := simulation.ParseLogMark(line); ok {
		p.begun, p.sure, p.next, p.began = true, true, offset, began
		return 0, false
	}
	if !p.begun {
		p.begun = true
		p.began, p.sure = simulation.ParseLogStart(line)
	}
	if !p.sure {
		return 0, false
	}
	offset = p.next
	p.next += int64(len(line))
	return offset, true
}

// position is how far a log was read: the time of the last line, and how many lines of that very time were read.
type position struct {
	time string
	same int
	any  bool
}

func (p *position) advance(stamp string) {
	if stamp != p.time {
		p.time, p.same = stamp, 0
	}
	p.same++
	p.any = true
}

// resumption finds the position up to which a log was read in what a kubelet sends of it again.
type resumption struct {
	position
	met int // lines of the position's time
}

// known reports whether the line with this time was read before. Gap reports that lines are missing between the position
// and this first new line: the kubelet has begun another file.
func (r *resumption) known(stamp string) (known, gap bool) {
	if !r.any {
		return false, false
	}
	switch c := compareStamps(stamp, r.time); {
	case c < 0:
		return true, false
	case c == 0 && r.met < r.same:
		r.met++
		return true, false
	}
	r.any = false // all that follows is new
	return false, r.met < r.same
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

// read adds the lines after at to t, to the present end or, following, until the stream ends.
func (l *Logs) read(ctx context.Context, j job.Job, pod string, at *position, p *placer, following bool, t *tail) error {
	request := l.client.Get().AbsPath(podsPath(j.Namespace), pod, "log").
		Param("container", mainContainer).Param("timestamps", "true")
	if following {
		request = request.Param("follow", "true")
	}
	if at.any {
		// The API server takes whole seconds; what the rounding brings again is left out below.
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
	before := resumption{position: *at}
	lines := stamped{in: bufio.NewReaderSize(body, readAhead)}
	for {
		stamp, line, err := lines.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && following:
			return nil // a cut connection: the next one continues after the last line
		case err != nil:
			return Failed(err, "read the log of pod "+pod)
		}
		known, gap := before.known(stamp)
		if known {
			continue
		}
		at.advance(stamp)
		if gap {
			p.sure = false
		}
		if offset, ok := p.place(line); ok {
			t.add(offset, line, p.began)
		} else if p.begun && !p.sure {
			t.lose()
		}
	}
}

func rotated() error {
	return problem.New(problem.NotFound, "The log has grown so long that its beginning is unavailable while the job runs. "+
		"Its latest part comes in a moment, and all of it can be read when the job has ended.")
}

// argosVerdict is what Argo's process says at its end of a sumo-run that did not succeed, outside of its own log. The words
// are those of os/exec.
var argosVerdict = regexp.MustCompile(`^Error: (exit status \d+|signal: [a-z ]+)( \(core dumped\))?\s*$`)

// isArgos distinguishes the lines of Argo's process in the container from those of sumo-run.
func isArgos(line []byte) bool {
	return bytes.HasPrefix(line, []byte(`time="`)) && bytes.Contains(line, []byte(" argo=true")) ||
		bytes.HasPrefix(line, []byte("{")) && bytes.Contains(line, []byte(`"argo":true`)) ||
		argosVerdict.Match(line)
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

// openWhole reads the log from where the kubelet's file begins, once, for readers who need more of it than is kept.
func (l *Logs) openWhole(ctx context.Context, j job.Job, offset int64) (*job.Log, error) {
	pod, err := l.newestPod(ctx, j)
	if err != nil {
		return nil, err
	}
	body, err := l.client.Get().AbsPath(podsPath(j.Namespace), pod, "log").
		Param("container", mainContainer).Stream(ctx)
	if err != nil {
		return nil, logFailed(err, pod)
	}
	w := &wholeLog{body: body, in: bufio.NewReaderSize(body, readAhead)}
	begins, err := w.skip(offset)
	if err != nil {
		body.Close()
		if errors.Is(err, io.EOF) {
			return nil, rotated()
		}
		return nil, Failed(err, "read the log of pod "+pod)
	}
	return &job.Log{ReadCloser: w, Began: w.placer.began, Offset: begins, Size: begins}, nil
}

// wholeLog is a pod's log without what is not sumo-run's, up to its last complete line.
type wholeLog struct {
	body   io.Closer
	in     *bufio.Reader
	placer placer
	line   []byte
	end    int64 // offset behind line
}

// skip goes forward to offset, or to where the log begins when that is later, and returns where it is then.
func (w *wholeLog) skip(offset int64) (int64, error) {
	for {
		begins, err := w.next()
		if errors.Is(err, io.EOF) && w.end > 0 {
			return w.end, nil // the log is shorter than it was: another run's
		}
		if err != nil {
			return 0, err
		}
		if w.end > offset {
			cut := max(offset-begins, 0)
			w.line = w.line[cut:]
			return begins + cut, nil
		}
	}
}

// next reads the next line of the log and returns its offset.
func (w *wholeLog) next() (int64, error) {
	for {
		line, err := w.in.ReadBytes('\n')
		if err != nil {
			return 0, err
		}
		begins, ok := w.placer.place(line)
		if !ok {
			continue
		}
		if w.end > 0 && begins != w.end {
			return 0, io.EOF // what follows a gap is another reading's
		}
		w.line, w.end = line, begins+int64(len(line))
		return begins, nil
	}
}

func (w *wholeLog) Read(p []byte) (int, error) {
	if len(w.line) == 0 {
		if _, err := w.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, w.line)
	w.line = w.line[n:]
	return n, nil
}

func (w *wholeLog) Close() error { return w.body.Close() }

// newestPod is the name of the job's last pod whose container has started.
func (l *Logs) newestPod(ctx context.Context, j job.Job) (string, error) {
	var newest *corev1.Pod
	err := EachPodOf(ctx, l.client, j.Namespace, j.ID, func(p *corev1.Pod) {
		state := mainState(p)
		if (state.Running != nil || state.Terminated != nil) && (newest == nil || newest.CreationTimestamp.Before(&p.CreationTimestamp)) {
			newest = p
		}
	})
	if err != nil {
		return "", err
	}
	if newest == nil {
		return "", job.NoLogYet(nil)
	}
	return newest.Name, nil
}

// mainState is that of SUMO's container; empty while there is none.
func mainState(p *corev1.Pod) corev1.ContainerState {
	for _, c := range p.Status.ContainerStatuses {
		if c.Name == mainContainer {
			return c.State
		}
	}
	return corev1.ContainerState{}
}

// ended reports whether the pod's container is known to have ended, or the pod to be deleted.
func (l *Logs) ended(ctx context.Context, j job.Job, name string) bool {
	var pod corev1.Pod
	if err := read(ctx, l.client, podsPath(j.Namespace)+"/"+name, metav1.ListOptions{}, &pod); err != nil {
		return apierrors.IsNotFound(err)
	}
	return mainState(&pod).Terminated != nil
}

func logFailed(err error, pod string) error {
	// While a container is being made, a kubelet answers 400.
	if apierrors.IsNotFound(err) || apierrors.IsBadRequest(err) {
		return job.NoLogYet(err)
	}
	return Failed(err, "read the log of pod "+pod)
}
