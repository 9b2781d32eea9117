package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/gz"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/program"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// The least and greatest time between two progress lines of the log, and the progress that justifies one in between.
const (
	logEvery    = time.Second
	logAtLeast  = 10 * time.Second
	logAdvance  = 0.05
	maxMessages = 5 // of SUMO's error lines, as many as a person reads
	maxProblems = 100
)

// monitor reads SUMO's output while it runs: it turns step lines into progress, writes the log, and keeps what judge
// needs.
type monitor struct {
	log      *logbook
	progress *progressFile
	settings settings
	enough   func() // is called when there are enough step lines; nil where that does not matter
	recorded *recording

	mu       sync.Mutex
	seen     observed
	demand   float64 // vehicles that the scenario will send, where it can be counted; 0 while unknown
	fraction float64 // of the run that is done
	section  string  // of SUMO's closing statistics
	// continued are the messages that the next line continues if it begins with a blank.
	continued []*string
	logged    struct {
		at       time.Time
		fraction float64
	}
}

// observed is what SUMO has reported about its run.
type observed struct {
	version  string
	begin    float64 // simulated seconds, as SUMO names it
	last     step    // the newest
	steps    int     // step lines
	reason   string  // why the simulation ended, in SUMO's words; empty when it did not say
	ended    *float64
	realTime *float64 // simulated seconds per second, without loading
	updates  *float64 // vehicle updates per second, without loading
	counts   counts
	errors   []string // the first few, each with its continuation lines
	other    []string // the last few lines on stderr that are neither warnings nor errors
	ignored  []string // the first few departures that were dropped because of their order
	dropped  int      // how many there were
	said     []string // the first warnings and errors, as SUMO wrote them, each with its continuation lines
	warnings int
	fraction float64
}

// counts are SUMO's closing numbers of vehicles, and of persons; nil where it gave none.
type counts struct {
	loaded, inserted, running, waiting *float64
	teleports, collisions              *float64
	emergencyStops, emergencyBraking   *float64
	persons                            *float64            // inserted
	means                              map[string]*float64 // over trips, by the attribute of the statistics output
}

func newMonitor(log *logbook, progress *progressFile, s settings) *monitor {
	return &monitor{log: log, progress: progress, settings: s}
}

func (m *monitor) observed() observed {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seen.fraction = m.fraction
	return m.seen
}

// stdout takes a line of SUMO's standard output.
func (m *monitor) stdout(line string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s, ok := parseStep(line); ok {
		m.step(s, time.Now())
		return
	}
	text := strings.TrimSpace(line)
	if rest, ok := strings.CutPrefix(text, "Simulation version "); ok {
		started, begin, _ := strings.Cut(rest, " with time: ")
		version, _, _ := strings.Cut(started, " started") // libsumo's says "started via libsumo"
		m.seen.version = clean(version)
		if t := number(strings.TrimSuffix(begin, ".")); t != nil {
			m.seen.begin = *t
		}
	}
	switch key, value, _ := strings.Cut(text, ": "); key {
	case "Simulation ended at time":
		m.seen.ended = number(strings.TrimSuffix(value, ".")) // with a dot since 1.22
	case "Reason":
		m.seen.reason = value
	case "Real time factor":
		m.seen.realTime = number(value)
	case "UPS":
		m.seen.updates = number(value)
	}
	if m.seen.ended != nil {
		m.count(line, text)
		m.log.end(line) // the statistics are kept however long the log is
	} else {
		m.log.line(line)
	}
}

// printedMeans are the means that SUMO prints below "Statistics (avg of 2):", by their names there, with their names in the statistics
// output.
var printedMeans = map[string]string{
	"RouteLength": "routeLength", "Speed": "speed", "Duration": "duration", "WaitingTime": "waitingTime", "TimeLoss": "timeLoss",
	"DepartDelay": "departDelay",
}

// count takes a line of SUMO's closing statistics, in which "Inserted: 2 (Loaded: 3)" stands below "Vehicles:". What did not happen, such
// as teleports, has no line.
func (m *monitor) count(line, text string) {
	key, value, _ := strings.Cut(text, ": ")
	c := &m.seen.counts
	if !strings.HasPrefix(line, " ") && key != "Teleports" { // up to 1.15 it is not indented
		m.section = strings.TrimSuffix(text, ":")
		if m.section == "Vehicles" {
			*c = counts{
				teleports: new(float64), collisions: new(float64), emergencyStops: new(float64), emergencyBraking: new(float64),
				means: map[string]*float64{},
			}
		}
		return
	}
	value, rest, _ := strings.Cut(value, " ")
	if name := printedMeans[key]; name != "" && strings.HasPrefix(m.section, "Statistics (") && c.means != nil {
		c.means[name] = number(value)
		return
	}
	if key == "Teleports" {
		c.teleports = number(value)
		if _, collisions, ok := strings.Cut(rest, "Collisions: "); ok {
			c.collisions = number(strings.TrimRight(strings.SplitN(collisions, ",", 2)[0], ")"))
		}
		return
	}
	switch m.section + " " + key {
	case "Vehicles Emergency Stops":
		c.emergencyStops = number(value)
	case "Vehicles Emergency Braking":
		c.emergencyBraking = number(value)
	case "Vehicles Inserted":
		c.inserted, c.loaded = number(value), number(value)
		if loaded, ok := strings.CutPrefix(rest, "(Loaded: "); ok { // where it differs
			c.loaded = number(strings.TrimSuffix(loaded, ")"))
		}
	case "Vehicles Running":
		c.running = number(value)
	case "Vehicles Waiting":
		c.waiting = number(value)
	case "Persons Inserted":
		c.persons = number(value)
	}
}

// part takes the part of a tool's work that is done.
func (m *monitor) part(done float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fraction = math.Max(m.fraction, math.Min(done, 1))
	m.progress.set(m.fraction, time.Now())
}

// stderr takes a line of SUMO's standard error.
func (m *monitor) stderr(line string) {
	if line == program.Mark {
		m.recorded.simulates()
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	warning, isWarning := strings.CutPrefix(line, "Warning: ")
	fault, isError := strings.CutPrefix(line, "Error: ")
	switch {
	case isWarning:
		m.seen.warnings++
		m.continued = m.continued[:0]
		if strings.Contains(line, "should be sorted") && strings.Contains(line, "ignoring") {
			m.seen.dropped++
			m.keep(&m.seen.ignored, maxMessages, warning)
		}
		m.keep(&m.seen.said, maxProblems, line)
	case isError:
		m.continued = m.continued[:0]
		m.keep(&m.seen.errors, maxMessages, fault)
		m.keep(&m.seen.said, maxProblems, line)
	case strings.HasPrefix(line, "Quitting (on error)."):
	case strings.HasPrefix(line, " "):
		for _, message := range m.continued {
			if len(*message) < maxLine {
				*message += " " + m.log.text(strings.TrimSpace(line))
			}
		}
	default:
		m.seen.other = append(m.seen.other[max(0, len(m.seen.other)-maxMessages+1):], m.log.text(line))
	}
	if isWarning || isError {
		m.recorded.line(line, m.log.text(line))
	}
	m.log.message(line)
}

// keep appends a message to a list unless it is full. The lines that continue the message will be appended to it.
func (m *monitor) keep(list *[]string, limit int, message string) {
	if len(*list) < limit {
		*list = append(*list, m.log.text(message))
		m.continued = append(m.continued, &(*list)[len(*list)-1])
	}
}

// step takes a step line that arrived at now.
func (m *monitor) step(s step, now time.Time) {
	m.seen.steps++
	if m.seen.steps == m.settings.enough && m.enough != nil {
		m.enough()
	}
	if !s.counted {
		if m.seen.steps == 1 || s.time > m.seen.last.time { // a SUMO that is killed may leave the first digits of its time
			m.seen.last.time = s.time
		}
		return
	}
	m.seen.last = s
	m.fraction = math.Max(m.fraction, m.settings.fraction(s, m.demand))
	m.progress.set(m.fraction, now)
	since := now.Sub(m.logged.at)
	if since >= logAtLeast || since >= logEvery && m.fraction >= m.logged.fraction+logAdvance {
		m.logStep(now)
	}
}

func (m *monitor) logStep(now time.Time) {
	s := m.seen.last
	percent := "     ?"
	if m.settings.end != nil || m.demand > 0 {
		percent = fmt.Sprintf("%6.1f", 100*m.fraction)
	}
	m.log.line(fmt.Sprintf("[%s %%] t=%g s  running %d  waiting %d  departed %d", percent, s.time, s.running, s.waiting, s.departed))
	m.logged.at, m.logged.fraction = now, m.fraction
}

// finish is called when SUMO has ended.
func (m *monitor) finish() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.log.summariseMessages()
}

// fraction is how much of the run is done: of its interval or, without an end, of its vehicles. It is 0 while unknown.
func (s settings) fraction(at step, demand float64) float64 {
	done := 0.0
	switch {
	case s.end != nil && *s.end > s.begin:
		done = (at.time - s.begin) / (*s.end - s.begin)
	case s.end == nil && demand > 0:
		done = float64(at.departed-at.running) / demand
	}
	return math.Max(0, math.Min(done, 1))
}

// demandCounts are the vehicles that the runs of a chunk have counted: equal runs need not count them again. Nil keeps nothing.
type demandCounts struct{ known sync.Map }

// of is what count says of the vehicles that a run's files send.
func (d *demandCounts) of(r Run, config string, count func() (int, error)) (int, error) {
	if d == nil {
		return count()
	}
	key, _ := json.Marshal([]any{config, r.Options.Attributes}) // strings
	if n, ok := d.known.Load(string(key)); ok {
		return n.(int), nil
	}
	n, err := count()
	if err == nil {
		d.known.Store(string(key), n)
	}
	return n, err
}

// countDemand counts the vehicles in the scenario's route files, while SUMO is already loading. It is an estimate, for
// progress only. stop ends the counting and waits for that: root is closed next, and the files may be removed.
func (m *monitor) countDemand(ctx context.Context, root *os.Root, s settings, r Run, config string) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var counting sync.WaitGroup
	counting.Go(func() { m.takeDemand(ctx, root, s, r, config) })
	return func() {
		cancel()
		counting.Wait()
	}
}

func (m *monitor) takeDemand(ctx context.Context, root *os.Root, s settings, r Run, config string) {
	total, err := r.counted.of(r, config, func() (int, error) {
		total := 0
		for _, name := range append(append([]string(nil), s.routes...), s.additional...) {
			n, err := countVehicles(ctx, root, name, scenario.NewSetter(name, s.attributes))
			if err != nil {
				return 0, err
			}
			total += n
		}
		return total, nil
	})
	if err != nil {
		return // progress stays unknown
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.demand = float64(total) * s.scale
}

var errUncountable = errors.New("a flow of unknown size")

// flowSize is how many vehicles a flow sends. One with neither a number nor an end has no size: it lasts a day.
func flowSize(e xml.Element) (float64, bool) {
	if n := attribute(e, "number"); n != nil {
		return *n, true
	}
	begin, end := attribute(e, "begin"), attribute(e, "end")
	if begin == nil || end == nil {
		return 0, false
	}
	perSecond := 0.0
	if v := attribute(e, "vehsPerHour"); v != nil {
		perSecond = *v / 3600
	} else if v := attribute(e, "probability"); v != nil {
		perSecond = *v
	} else if v := attribute(e, "period"); v != nil && *v > 0 {
		perSecond = 1 / *v
	}
	return (*end - *begin) * perSecond, perSecond > 0 && *end > *begin
}

// countVehicles counts those of a file with the values that set gives it, which may be nil.
func countVehicles(ctx context.Context, root *os.Root, name string, set *scenario.Setter) (int, error) {
	f, err := root.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n := 0
	plain, err := gz.Unpack(readWhile{ctx, f})
	if err != nil {
		return 0, err
	}
	s := xml.Scanner{MaxValue: maxNumber, Element: func(e xml.Element) error {
		if set != nil {
			e, _ = set.Set(e)
		}
		switch string(e.Name) {
		case "vehicle", "trip":
			n++
		case "flow":
			size, ok := flowSize(e)
			if !ok {
				return errUncountable
			}
			n += int(size)
		}
		return nil
	}}
	if err = s.Scan(plain); errors.Is(err, xml.ErrNotXML) { // it has no vehicles
		err = nil
	}
	return n, err
}

// readWhile reads as long as ctx lasts.
type readWhile struct {
	ctx context.Context
	r   io.Reader
}

func (r readWhile) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// maxNumber is longer than any number is written, in bytes. Longer attributes, such as shapes, are not kept.
const maxNumber = 64

// attribute returns the value of an attribute, or nil when it is missing or no number.
func attribute(e xml.Element, name string) *float64 {
	if v, ok := e.Number(name); ok {
		return &v
	}
	return nil
}

func number(text string) *float64 {
	if v, ok := xml.Number([]byte(text)); ok {
		return &v
	}
	return nil
}
