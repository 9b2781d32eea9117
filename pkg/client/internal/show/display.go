// Package show shows runs to people: live progress bars on a terminal, plain lines elsewhere, and a table of results.
package show

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"

	"github.com/mattn/go-runewidth"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/cwriter"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/sumo-k8/sumo-k8/pkg/job"
)

// Display shows the progress of jobs. Its methods may be called from several goroutines.
type Display interface {
	// Log shows a line of a job's log.
	Log(name, line string)
	// Note shows a remark about the run that is not part of its log.
	Note(text string)
	// Update shows a job's state and its progress, 0 to 1.
	Update(name string, state job.State, progress float64)
	// Done shows that a job has succeeded and its log has ended. Nothing follows for it.
	Done(name string)
	// Close ends the display.
	Close()
}

// New writes logs to log and all the rest to status: live bars when that is a terminal, and plain lines when it is not. What it
// shows of a job begins with its name, unless that is empty.
func New(log, status io.Writer, names []string) Display {
	width := widest(names)
	if IsTerminal(status) {
		return newBars(log, status, width, names)
	}
	return &lines{log: log, status: status, width: width, shown: map[string]int{}, states: map[string]job.State{}}
}

// IsTerminal reports whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(interface{ Fd() uintptr }) // a file, or what stands before one
	return ok && cwriter.IsTerminal(int(f.Fd()))
}

func widest(names []string) int {
	width := 0
	for _, n := range names {
		width = max(width, runewidth.StringWidth(n))
	}
	return width
}

// padded is name with what separates it from the text after it.
func padded(name string, width int, separator string) string {
	if width == 0 {
		return ""
	}
	return runewidth.FillRight(name, width) + separator
}

// Printable removes what could control the terminal from text that others wrote.
func Printable(line string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' {
			return ' '
		}
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, line)
}

// lines prints each log line, each change of state, and progress in steps of a tenth.
type lines struct {
	mu     sync.Mutex
	log    io.Writer
	status io.Writer
	width  int
	shown  map[string]int // tenths of progress shown so far
	states map[string]job.State
}

func (d *lines) Log(name, line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintf(d.log, "%s%s\n", padded(name, d.width, " | "), Printable(line))
}

func (d *lines) Note(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintln(d.status, Printable(text))
}

func (d *lines) Update(name string, state job.State, progress float64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	tenths := int(progress * 10)
	if state == d.states[name] && tenths <= d.shown[name] {
		return
	}
	d.states[name], d.shown[name] = state, tenths
	fmt.Fprintf(d.status, "%s%4.0f %% %s\n", padded(name, d.width, " "), progress*100, state)
}

func (d *lines) Done(string) {}

func (d *lines) Close() {}

// bars draws one bar for each job, with the log lines above them.
type bars struct {
	progress *mpb.Progress
	log      io.Writer
	width    int
	bar      map[string]*mpb.Bar
	state    map[string]*atomic.Value // job.State
}

// barSteps is finer than any terminal is wide.
const barSteps = 1000

func newBars(log, status io.Writer, width int, names []string) *bars {
	d := &bars{
		progress: mpb.New(mpb.WithOutput(status), mpb.WithWidth(80), mpb.WithAutoRefresh()),
		log:      log,
		width:    width,
		bar:      map[string]*mpb.Bar{},
		state:    map[string]*atomic.Value{},
	}
	if log == status || IsTerminal(log) {
		d.log = d.progress // which keeps the bars below the log
	}
	for _, name := range names {
		state := &atomic.Value{}
		state.Store(job.Queued)
		d.state[name] = state
		d.bar[name] = d.progress.AddBar(barSteps,
			mpb.PrependDecorators(
				decor.Name(padded(name, width, " ")),
				decor.Any(func(decor.Statistics) string { return fmt.Sprintf("%-9s ", state.Load()) }),
			),
			mpb.AppendDecorators(
				decor.Percentage(decor.WC{W: 5}),
				decor.Elapsed(decor.ET_STYLE_GO, decor.WC{W: 6}),
			),
		)
	}
	return d
}

func (d *bars) Log(name, line string) {
	// The bars refuse it only when all of them are done, after which nothing is logged.
	_, _ = fmt.Fprintf(d.log, "%s%s\n", padded(name, d.width, " | "), Printable(line))
}

func (d *bars) Note(text string) {
	_, _ = fmt.Fprintln(d.progress, Printable(text)) // as in Log
}

func (d *bars) Update(name string, state job.State, progress float64) {
	d.state[name].Store(state)
	// A full bar takes no more log lines, and the last of them come after the job's end: Done fills it.
	d.bar[name].SetCurrent(min(int64(progress*barSteps), barSteps-1))
}

func (d *bars) Done(name string) { d.bar[name].SetCurrent(barSteps) }

func (d *bars) Close() {
	for _, bar := range d.bar {
		bar.Abort(false) // no effect on a full one
	}
	d.progress.Wait()
}
