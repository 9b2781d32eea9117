package show

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/cwriter"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/sumo-k8/sumo-k8/pkg/client"
)

// Tally is what has become of runs.
type Tally struct {
	Planned, Succeeded, Failed, Cancelled, Running int
}

// Done is how many have ended.
func (t Tally) Done() int { return t.Succeeded + t.Failed + t.Cancelled }

func (t Tally) String() string {
	text := fmt.Sprintf("%d/%d done", t.Done(), t.Planned)
	for _, part := range []struct {
		n    int
		word string
	}{{t.Running, "running"}, {t.Failed, "failed"}, {t.Cancelled, "cancelled"}} {
		if part.n > 0 {
			text += fmt.Sprintf(", %d %s", part.n, part.word)
		}
	}
	return text
}

// Study shows the progress of a study.
type Study interface {
	// Point shows what has become of the runs of one point, by its place among the labels.
	Point(n int, t Tally)
	// All shows that of all runs, and when the last of them is expected to end; zero while that is not known.
	All(t Tally, eta time.Time)
	// Close ends the display.
	Close()
}

// NewStudy shows a study with these points on status: a grid of live bars when that is a terminal and they fit, and plain lines when
// it is not a terminal.
func NewStudy(status io.Writer, labels []string) Study {
	if !IsTerminal(status) {
		return &studyLines{out: status}
	}
	d := &studyBars{progress: mpb.New(mpb.WithOutput(status), mpb.WithWidth(80), mpb.WithAutoRefresh())}
	if len(labels) > 1 && fits(status, len(labels)+1) {
		width := widest(labels)
		for _, label := range labels {
			d.points = append(d.points, d.row(padded(Printable(label), width, " ")))
		}
	}
	d.all = d.row("")
	return d
}

// fits reports whether so many rows can be drawn again and again on a terminal. Rows that have scrolled out of it could not.
func fits(terminal io.Writer, rows int) bool {
	_, height, err := cwriter.New(terminal).GetTermSize()
	return err == nil && rows < height // the cursor stands below the last row
}

// Event shows on d what an event in following a study with so many points says of its runs. Rounds of a sequential study add to those that
// are planned.
func Event(d Study, e client.StudyEvent, points int) {
	if e.End {
		return
	}
	planned := e.Runs.Planned / max(1, points)
	for _, p := range e.Points {
		d.Point(p.Point, tallyOf(p.StudyRuns, planned))
	}
	var eta time.Time
	if e.ETA != nil {
		eta = *e.ETA
	}
	d.All(tallyOf(e.Runs, e.Runs.Planned), eta)
}

func tallyOf(r client.StudyRuns, planned int) Tally {
	return Tally{Planned: planned, Succeeded: r.Succeeded, Failed: r.Failed, Cancelled: r.Cancelled, Running: r.Running}
}

// PointLabels names the points of a study.
func PointLabels(s client.Study) []string {
	labels := make([]string, len(s.Points))
	for i, p := range s.Points {
		labels[i] = s.PointLabel(p.Variant, p.Setting)
	}
	return labels
}

// studyLines prints each tenth of the progress, and each further failure.
type studyLines struct {
	out     io.Writer
	tenths  int
	failed  int
	printed bool
}

func (d *studyLines) Point(int, Tally) {}

func (d *studyLines) All(t Tally, eta time.Time) {
	tenths := t.Done() * 10 / max(1, t.Planned)
	if d.printed && tenths == d.tenths && t.Failed == d.failed {
		return
	}
	d.printed, d.tenths, d.failed = true, tenths, t.Failed
	fmt.Fprintln(d.out, t.String()+until(eta))
}

func (d *studyLines) Close() {}

// until is when eta is, as the end of a sentence.
func until(eta time.Time) string {
	if eta.IsZero() {
		return ""
	}
	return ", ends about " + eta.Local().Format("15:04:05")
}

// studyBars draws a bar for each point, and one for all.
type studyBars struct {
	progress *mpb.Progress
	points   []*studyRow
	all      *studyRow
}

// studyRow is a bar with what has become of its runs.
type studyRow struct {
	bar   *mpb.Bar
	mu    sync.Mutex
	tally Tally
	eta   time.Time
}

func (d *studyBars) row(label string) *studyRow {
	r := &studyRow{}
	r.bar = d.progress.AddBar(barSteps, mpb.PrependDecorators(decor.Name(label)), mpb.AppendDecorators(
		decor.Any(func(decor.Statistics) string {
			r.mu.Lock()
			defer r.mu.Unlock()
			return " " + r.tally.String() + until(r.eta)
		}),
	))
	return r
}

func (r *studyRow) set(t Tally, eta time.Time) {
	r.mu.Lock()
	r.tally, r.eta = t, eta
	r.mu.Unlock()
	// A full bar changes no more, and another round may follow: Close fills it.
	r.bar.SetCurrent(min(int64(t.Done()*barSteps/max(1, t.Planned)), barSteps-1))
}

func (d *studyBars) Point(n int, t Tally) {
	if n < len(d.points) {
		d.points[n].set(t, time.Time{})
	}
}

func (d *studyBars) All(t Tally, eta time.Time) { d.all.set(t, eta) }

func (d *studyBars) Close() {
	for _, r := range append(d.points, d.all) {
		r.mu.Lock()
		full := r.tally.Planned > 0 && r.tally.Done() >= r.tally.Planned
		r.mu.Unlock()
		if full {
			r.bar.SetCurrent(barSteps)
		}
		r.bar.Abort(false) // no effect on a full one
	}
	d.progress.Wait()
}
