package scenario

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// maxItems is how many problems are listed: enough to fix before the next upload.
const maxItems = 100

// report collects what is wrong with a scenario, each fault once.
type report struct {
	items    []problem.Item
	more     int
	warnings []Warning
	noted    [2]int // warnings that are not strict, and those that are
	seen     map[string]bool
	found    int // faults, with those that were found twice
}

func (r *report) first(text string) bool {
	if r.seen == nil {
		r.seen = map[string]bool{}
	}
	if r.seen[text] {
		return false
	}
	r.seen[text] = true
	return true
}

// full reports whether further faults are only counted.
func (r *report) full() bool { return len(r.items) >= maxItems }

func (r *report) fault(location, format string, args ...any) {
	r.found++
	if r.full() {
		r.more++
		return
	}
	message := fmt.Sprintf(format, args...)
	if r.first(location + "\x00" + message) {
		r.items = append(r.items, problem.Item{Location: location, Message: message})
	}
}

// warn notes what a person should know.
func (r *report) warn(location, format string, args ...any) {
	r.note(Warning{Location: location, Message: fmt.Sprintf(format, args...)})
}

// warnStrict notes what SUMO drops or ignores in silence, which a strict run refuses.
func (r *report) warnStrict(location, format string, args ...any) {
	r.note(Warning{Location: location, Message: fmt.Sprintf(format, args...), Strict: true})
}

// note keeps a warning. Of each kind there is room for maxItems, so that harmless ones displace none that a strict run refuses.
func (r *report) note(w Warning) {
	if !r.fullOf(w.Strict) && r.first(w.String()) {
		r.warnings = append(r.warnings, w)
		r.noted[kindOf(w.Strict)]++
	}
}

// fullOf reports whether further warnings, strict or not, are dropped.
func (r *report) fullOf(strict bool) bool { return r.noted[kindOf(strict)] >= maxItems }

func kindOf(strict bool) int {
	if strict {
		return 1
	}
	return 0
}

// all returns the faults, with a last one that counts those that did not fit.
func (r *report) all() []problem.Item {
	if r.more == 0 {
		return r.items
	}
	return append(slices.Clone(r.items), problem.Item{
		Message: fmt.Sprintf("There are %d more problems. Fix these first, then upload again.", r.more),
	})
}

// err returns all faults as one problem, or nil when there are none.
func (r *report) err() error { return invalid(r.all()) }

// invalid returns what is wrong with a scenario as one problem, or nil when nothing is.
func invalid(items []problem.Item) error {
	if len(items) == 0 {
		return nil
	}
	head := fmt.Sprintf("The scenario has %d problems; the first is: ", len(items))
	switch {
	case len(items) == 1:
		head = "The scenario has a problem: "
	case len(items) > maxItems:
		head = fmt.Sprintf("The scenario has more than %d problems; the first is: ", maxItems)
	}
	return problem.New(problem.ScenarioInvalid, "%s%s", head, items[0].Sentence()).WithItems(items...)
}

// itemText is an item on one line.
func itemText(i problem.Item) string {
	return Warning{Location: i.Location, Message: i.Message}.String()
}

// at is the location of a line.
func at(file string, line int) string {
	if line <= 0 {
		return file
	}
	return file + ":" + strconv.Itoa(line)
}

// quote quotes text of a scenario, shortened and without control characters.
func quote(text string) string {
	const most = 120
	if len(text) > most {
		cut := most
		for cut > 0 && text[cut]&0xC0 == 0x80 {
			cut--
		}
		text = text[:cut] + "…"
	}
	return strconv.Quote(text)
}

// bytesText is a readable size.
func bytesText(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}
