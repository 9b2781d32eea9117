package kube

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"
	"pgregory.net/rapid"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// kubelet has one pod and its log. A real one cannot be made to lose connections and to rotate when a test wants it.
type kubelet struct {
	mu      sync.Mutex
	lines   []stampedLine
	rotated int // lines that are in another file
	ended   bool
	waiting bool // the container has not started
	streams int  // followers at the moment
	follows int  // in all
	asked   int  // looks for the pod
	grown   chan struct{}
	cut     chan struct{}
}

type stampedLine struct {
	at   time.Time
	text string
}

func newKubelet(t *testing.T) (*kubelet, *Logs) {
	t.Helper()
	k := &kubelet{grown: make(chan struct{}), cut: make(chan struct{})}
	server := httptest.NewServer(k)
	client, err := NewClient(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	logs := NewLogs(client)
	t.Cleanup(func() {
		logs.mu.Lock()
		for _, tail := range logs.tails {
			tail.stop()
		}
		logs.mu.Unlock()
		server.CloseClientConnections()
		server.Close()
	})
	return k, logs
}

var began = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// write adds lines, all of them at the same time, after so many milliseconds.
func (k *kubelet) write(milliseconds int, lines ...string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, line := range lines {
		k.lines = append(k.lines, stampedLine{began.Add(time.Duration(milliseconds) * time.Millisecond), line})
	}
	close(k.grown)
	k.grown = make(chan struct{})
}

// disconnect ends all streams, as a restart of the API server does.
func (k *kubelet) disconnect() {
	k.mu.Lock()
	defer k.mu.Unlock()
	close(k.cut)
	k.cut = make(chan struct{})
}

func (k *kubelet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	k.mu.Lock()
	state := map[string]any{"running": map[string]any{}}
	switch {
	case k.waiting:
		state = map[string]any{"waiting": map[string]any{}}
	case k.ended:
		state = map[string]any{"terminated": map[string]any{}}
	}
	pod := map[string]any{"metadata": map[string]any{"name": "p"}, "status": map[string]any{"containerStatuses": []any{
		map[string]any{"name": "wait", "state": map[string]any{}}, map[string]any{"name": "main", "state": state},
	}}}
	if !strings.HasSuffix(r.URL.Path, "/log") {
		k.asked++
		k.mu.Unlock()
		if strings.HasSuffix(r.URL.Path, "/pods") {
			_ = json.NewEncoder(w).Encode(map[string]any{"items": []any{pod}})
		} else {
			_ = json.NewEncoder(w).Encode(pod)
		}
		return
	}
	query := r.URL.Query()
	follow := query.Get("follow") == "true"
	if follow {
		k.follows++
		k.streams++
		defer func() {
			k.mu.Lock()
			k.streams--
			k.mu.Unlock()
		}()
	}
	var since time.Time
	if text := query.Get("sinceTime"); text != "" {
		var err error
		if since, err = time.Parse(time.RFC3339, text); err != nil || since.Nanosecond() > 0 {
			k.mu.Unlock()
			answerStatus(w, http.StatusBadRequest)
			return
		}
	}
	cut, sent := k.cut, k.rotated
	k.mu.Unlock()
	for {
		k.mu.Lock()
		lines, grown, ended := k.lines[sent:], k.grown, k.ended
		sent = len(k.lines)
		k.mu.Unlock()
		for _, line := range lines {
			if line.at.Before(since) {
				continue
			}
			if query.Get("timestamps") == "true" {
				fmt.Fprintf(w, "%s ", line.at.Format(time.RFC3339Nano))
			}
			fmt.Fprintln(w, line.text)
		}
		w.(http.Flusher).Flush()
		if !follow || ended {
			return
		}
		select {
		case <-grown:
		case <-cut:
			return
		case <-r.Context().Done():
			return
		}
	}
}

// Runs that share a pod share its console, which has a line for each of them.
func TestTheLogOfAStudysRunIsReadOnceItHasEnded(t *testing.T) {
	t.Parallel()
	k, logs := newKubelet(t)
	_, err := logs.OpenLog(t.Context(), job.Job{ID: "j", Namespace: "n", Study: &job.StudyRun{Chunk: "c"}}, 0)
	if problem.CodeOf(err) != problem.NotFound || !strings.Contains(err.Error(), "once it has ended") {
		t.Errorf("it answers %v", err)
	}
	if k.asked != 0 {
		t.Error("its pod was looked for")
	}
}

// read is what the log has from offset on.
func readLog(t testing.TB, logs *Logs, offset int64) string {
	t.Helper()
	body, err := logs.OpenLog(t.Context(), job.Job{ID: "j", Namespace: "n"}, offset)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if !body.Began.Equal(began) {
		t.Errorf("the log is of the run that began at %v, want %v", body.Began, began)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	if body.Offset != min(offset, body.Size) {
		t.Errorf("from %d of %d bytes, it begins at %d", offset, body.Size, body.Offset)
	}
	return string(text)
}

// follow reads on, several times a second, until it has as much as wanted.
func follow(t testing.TB, logs *Logs, offset int64, want string) string {
	t.Helper()
	var got strings.Builder
	for deadline := time.Now().Add(time.Minute); got.Len() < len(want) && time.Now().Before(deadline); {
		got.WriteString(readLog(t, logs, offset+int64(got.Len())))
		time.Sleep(time.Millisecond)
	}
	return got.String()
}

const (
	argoLine = `time="2026-11-22T10:00:00.000Z" level=info msg="sub-process exited" argo=true error="<nil>"`
	line1    = "sumo-run: started 2026-11-22T10:00:00.000Z"
	line2    = "Warning: Vehicle 'a' teleports."
)

func TestALogIsReadFromAnyOffset(t *testing.T) {
	t.Parallel()
	k, logs := newKubelet(t)
	k.write(0, argoLine, line1)
	k.write(
		1, line2, `{"argo":true,"msg":"x"}`, "time is short", "Error: exit status of the signal", "Error: exit status 31",
		"Error: signal: killed",
	)
	want := line1 + "\n" + line2 + "\n" + "time is short\n" + "Error: exit status of the signal\n"
	for offset := range len(want) + 3 {
		if diff := cmp.Diff(want[min(offset, len(want)):], readLog(t, logs, int64(offset))); diff != "" {
			t.Errorf("from %d (-want +got):\n%s", offset, diff)
		}
	}
}

func TestManyFollowersShareOneStream(t *testing.T) {
	t.Parallel()
	k, logs := newKubelet(t)
	k.write(0, line1)
	want := line1 + "\n"
	for i := range 100 {
		k.write(i+1, fmt.Sprintf("step %d", i))
		want += fmt.Sprintf("step %d\n", i)
		var work sync.WaitGroup
		for range 5 {
			work.Go(func() { follow(t, logs, int64(len(want)-5), want[len(want)-5:]) })
		}
		work.Wait()
	}
	if diff := cmp.Diff(want, readLog(t, logs, 0)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.follows != 1 || k.asked != 1 {
		t.Errorf("%d streams and %d looks for the pod, want one of each", k.follows, k.asked)
	}
}

func TestALostConnectionLosesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	k, logs := newKubelet(t)
	k.write(0, line1)
	k.write(900, "a", "a", argoLine, "a") // equal lines of one time, and lines within the second that is read again
	want := line1 + "\na\na\na\n"
	if diff := cmp.Diff(want, follow(t, logs, 0, want)); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
	k.disconnect()
	k.write(900, "b")
	k.write(950, "c")
	k.write(2500, "d")
	want += "b\nc\nd\n"
	if diff := cmp.Diff(want, follow(t, logs, 0, want)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWhatIsNoLongerInMemoryIsReadFromTheStart(t *testing.T) {
	t.Parallel()
	k, logs := newKubelet(t)
	k.write(0, line1)
	want := line1 + "\n"
	for i := range 100 {
		line := strings.Repeat(fmt.Sprint(i%10), kept/20)
		k.write(i, line)
		want += line + "\n"
	}
	for _, offset := range []int{0, 1, len(want) / 2, len(want) - kept/2, len(want)} {
		if diff := cmp.Diff(want[offset:], readLog(t, logs, int64(offset))); diff != "" {
			t.Errorf("from %d it differs", offset)
		}
	}
	logs.mu.Lock()
	defer logs.mu.Unlock()
	if n := len(logs.tails["j"].bytes); n > 2*kept {
		t.Errorf("%d bytes are kept, want at most %d", n, 2*kept)
	}
}

func TestNoLog(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		setUp func(*kubelet)
	}{
		{"the container has not started", func(k *kubelet) { k.waiting = true }},
		{"it has written nothing", func(*kubelet) {}},
		{"only Argo has written", func(k *kubelet) { k.write(0, argoLine) }},
		{"its beginning was rotated away", func(k *kubelet) { k.write(0, line2) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k, logs := newKubelet(t)
			tt.setUp(k)
			began := time.Now()
			for range 20 {
				if _, err := logs.OpenLog(t.Context(), job.Job{ID: "j", Namespace: "n"}, 0); problem.CodeOf(err) != problem.NotFound {
					t.Fatalf("it answers %v, want %s", err, problem.NotFound)
				}
			}
			k.mu.Lock()
			defer k.mu.Unlock()
			// A machine may stand still for so long that it is time to look again.
			if most := 1 + int(time.Since(began)/again); k.asked < 1 || k.asked > most {
				t.Errorf("the API server was asked %d times for a pod that 20 looks wanted, want at most %d", k.asked, most)
			}
		})
	}
}

func TestAResumptionSkipsWhatWasReadAndNothingElse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var stamps []string
		at := began
		for range rapid.IntRange(1, 20).Draw(t, "lines") {
			at = at.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "gap")) * 300 * time.Millisecond)
			stamps = append(stamps, at.Format(time.RFC3339Nano))
		}
		known := rapid.IntRange(0, len(stamps)).Draw(t, "known")
		var p position
		for _, stamp := range stamps[:known] {
			p.advance(stamp)
		}
		// What the API server sends again begins with a whole second, unless the kubelet has begun another file.
		from := 0
		if known > 0 {
			last, err := time.Parse(time.RFC3339Nano, stamps[known-1])
			if err != nil {
				t.Fatal(err)
			}
			for ; ; from++ {
				if x, _ := time.Parse(time.RFC3339Nano, stamps[from]); !x.Before(last.Truncate(time.Second)) {
					break
				}
			}
		}
		rotated := rapid.IntRange(0, len(stamps)-from).Draw(t, "rotated")
		from += rotated
		wantGap := false // when a line that was read is missing, unread ones may be too
		if known > 0 && from < len(stamps) && from > known-p.same {
			if stamps[from] == stamps[known-1] {
				return // some of the lines of one time are missing, and nothing shows which: the next mark resolves it
			}
			wantGap = true
		}
		before := resumption{position: p}
		read, gap := 0, false
		for _, stamp := range stamps[from:] {
			old, behindGap := before.known(stamp)
			if gap = gap || behindGap; !old {
				read++
			}
		}
		if want := len(stamps) - max(known, from); read != want || gap != wantGap {
			t.Fatalf("of %v from %d, %d of them known, %d were taken for new behind a gap (%v), want %d (%v)", stamps, from, known,
				read, gap, want, wantGap)
		}
	})
}

// rotate is what a kubelet does with a log of some length: what was written so far is in another file, which it does not
// show. Open streams continue.
func (k *kubelet) rotate() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rotated = len(k.lines)
}

// longLog is what sumo-run writes to its console, and what to its log.
type longLog struct {
	log    strings.Builder
	marked int
}

// write adds n lines to the log and gives them, with marks, to the kubelet.
func (l *longLog) write(k *kubelet, n int) {
	for range n {
		line := fmt.Sprintf("line at %d %s", l.log.Len(), strings.Repeat("x", l.log.Len()%77))
		if l.log.Len() == 0 {
			line = line1
		}
		l.log.WriteString(line + "\n")
		k.write(l.log.Len(), line)
		if l.log.Len()-l.marked >= 1000 {
			l.marked = l.log.Len()
			k.write(l.log.Len(), simulation.LogMark(began, int64(l.marked)))
		}
	}
}

func TestAFollowerContinuesWhenTheKubeletRotates(t *testing.T) {
	t.Parallel()
	k, logs := newKubelet(t)
	var l longLog
	l.write(k, 50)
	got := readLog(t, logs, 0)
	for streams := 0; streams == 0; time.Sleep(time.Millisecond) {
		k.mu.Lock()
		streams = k.streams
		k.mu.Unlock()
	}
	for range 5 {
		k.rotate()
		l.write(k, 50)
		got += follow(t, logs, int64(len(got)), l.log.String()[len(got):])
	}
	if diff := cmp.Diff(l.log.String(), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAReaderAfterARotationGetsTheLatestPartWithItsPlace(t *testing.T) {
	t.Parallel()
	k, logs := newKubelet(t)
	var l longLog
	l.write(k, 100)
	k.rotate()
	l.log.WriteString(line2 + "\n")
	k.write(l.log.Len(), line2)
	if _, err := logs.OpenLog(t.Context(), job.Job{ID: "j", Namespace: "n"}, 0); problem.CodeOf(err) != problem.NotFound ||
		!strings.Contains(err.Error(), "so long") {
		t.Errorf("without a mark it answers %v", err)
	}
	l.write(k, 100)
	whole := l.log.String()
	for _, offset := range []int{0, 1, len(whole) - 500, len(whole)} {
		want := 0
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			body, err := logs.OpenLog(t.Context(), job.Job{ID: "j", Namespace: "n"}, int64(offset))
			if problem.CodeOf(err) == problem.NotFound && time.Now().Before(deadline) {
				continue // the marks are on their way
			}
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(body)
			if err != nil {
				t.Fatal(err)
			}
			body.Close()
			if want = int(body.Offset); want+len(text) < len(whole) && time.Now().Before(deadline) {
				continue
			}
			if want < offset || !body.Began.Equal(began) || string(text) != whole[want:] {
				t.Errorf("from %d it has %d bytes at %d, which are not those of the log", offset, len(text), want)
			}
			break
		}
		if offset > len(whole)/2+1000 && want != offset {
			t.Errorf("from %d it begins at %d, though that is at hand", offset, want)
		}
		if offset == 0 && (want < len(whole)/3 || want > len(whole)*2/3) {
			t.Errorf("of %d bytes, half of them rotated away, it begins at %d", len(whole), want)
		}
	}
}

func TestARotationDuringALostConnectionIsNoticed(t *testing.T) {
	t.Parallel()
	k, logs := newKubelet(t)
	var l longLog
	l.write(k, 100)
	known := len(readLog(t, logs, 0))
	k.mu.Lock()
	close(k.cut) // and nobody may come back before the rotation
	k.cut = make(chan struct{})
	for _, line := range []string{"gone", "gone too"} {
		k.lines = append(k.lines, stampedLine{began.Add(time.Duration(l.log.Len()) * time.Millisecond), line})
		l.log.WriteString(line + "\n")
	}
	k.rotated = len(k.lines)
	k.mu.Unlock()
	l.write(k, 100)
	whole := l.log.String()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		body, err := logs.OpenLog(t.Context(), job.Job{ID: "j", Namespace: "n"}, int64(known))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		body.Close()
		if len(text) == 0 && time.Now().Before(deadline) {
			continue
		}
		begins := int(body.Offset)
		if begins == known || !strings.HasPrefix(whole[begins:], string(text)) {
			t.Errorf("behind byte %d it has %d bytes at %d, which are not those of the log:\n%.100s", known, len(text), begins, text)
		}
		return
	}
}
