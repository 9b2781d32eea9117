package run

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// Bounds of a log. A congested city prints millions of warnings that differ in a name and a time.
const (
	maxPerKind = 10_000
	maxKinds   = 1_000 // all further kinds are counted as one
	maxLog     = 64 << 20
	// logReserve is kept for SUMO's closing statistics and our last lines.
	logReserve = 64 << 10
)

// logbook writes the log: complete lines, without delay, bounded, and with nothing that a terminal or a browser
// would take for more than text.
type logbook struct {
	mu       sync.Mutex
	file     *os.File
	console  io.Writer
	replacer *strings.Replacer // shortens our absolute paths
	err      error             // the first failure to write
	began    time.Time
	marked   int // bytes of the log at the last mark on the console

	limit      int // bytes, without the reserve
	written    int
	full       bool
	kinds      map[string]*kind
	order      []*kind
	suppressed bool // the last message, and with it its continuation lines
}

// kind is a group of messages that differ only in names and numbers.
type kind struct {
	example string
	count   int
}

// openLogbook begins the log of a run that began at the given time.
func openLogbook(name string, began time.Time, console io.Writer, paths *strings.Replacer) (*logbook, error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	if console == nil {
		console = io.Discard
	}
	l := &logbook{file: f, console: console, replacer: paths, began: began, limit: maxLog - logReserve, kinds: map[string]*kind{}}
	l.line(simulation.LogStart(began))
	return l, nil
}

// text is a line as the log would show it.
func (l *logbook) text(line string) string { return clean(l.replacer.Replace(line)) }

// line writes one line.
func (l *logbook) line(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.append(l.text(line), l.limit)
}

// message writes a line of SUMO's standard error, unless there were too many of its kind already.
func (l *logbook) message(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if strings.HasPrefix(line, " ") {
		if !l.suppressed {
			l.append(l.text(line), l.limit)
		}
		return
	}
	text := l.text(line)
	name := kindOf(text)
	k := l.kinds[name]
	if k == nil && len(l.kinds) >= maxKinds {
		name = ""
		k = l.kinds[name]
	}
	if k == nil {
		k = &kind{example: text}
		l.kinds[name] = k
		l.order = append(l.order, k)
	}
	k.count++
	if l.suppressed = k.count > maxPerKind; !l.suppressed {
		l.append(text, l.limit)
	}
}

// summariseMessages writes how many messages of each kind were dropped.
func (l *logbook) summariseMessages() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range l.order {
		if more := k.count - maxPerKind; more > 0 {
			l.append(fmt.Sprintf("sumo-run: %d more like: %s", more, k.example), l.limit)
		}
	}
}

// end writes a closing remark of one or more lines, for which room is reserved.
func (l *logbook) end(remark string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range strings.Split(remark, "\n") {
		l.append(l.text(line), maxLog)
	}
}

func (l *logbook) append(text string, limit int) {
	if l.written+len(text)+1 > limit {
		if l.full {
			return
		}
		l.full = true
		text = fmt.Sprintf("sumo-run: the log has reached %d MiB; further lines are dropped", maxLog>>20)
	}
	// One call per line, so that no reader sees half a line.
	line := []byte(text + "\n")
	n, err := l.file.Write(line)
	l.written += n
	if err != nil && l.err == nil {
		l.err = err
	}
	_, _ = l.console.Write(line)
	if l.written-l.marked >= simulation.LogMarkEvery {
		l.marked = l.written
		_, _ = io.WriteString(l.console, simulation.LogMark(l.began, int64(l.written))+"\n")
	}
}

// close closes the log and returns the first error in writing it.
func (l *logbook) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.file.Close(); l.err == nil {
		l.err = err
	}
	return l.err
}

// clean makes text safe to show: names in a scenario may hold escape sequences or marks that reverse the reading order.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case !unicode.IsPrint(r): // also what is not UTF-8, which arrives as U+FFFD
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// kindOf is text without numbers and quoted names.
func kindOf(text string) string {
	var b strings.Builder
	quoted := false
	for _, r := range text {
		switch {
		case r == '\'':
			quoted = !quoted
		case !quoted && (r < '0' || r > '9'):
			b.WriteRune(r)
		}
	}
	return b.String()
}
