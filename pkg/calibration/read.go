package calibration

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

const (
	// MaxBytes bounds a file of counts.
	MaxBytes = 1 << 20
	// MaxRows bounds its rows and the places that they name: some thousand places with a day's hours.
	MaxRows = 20_000
	// maxPlaces bounds the detectors or edges that count together: more than a road has lanes.
	maxPlaces = 50
	// maxFlow in vehicles per hour is more than any road carries.
	maxFlow = 1e6
	// maxFaults is how many faults are reported, which are often all the same.
	maxFaults = 50
)

// columns of a file of counts. Each of the two groups has exactly one column, except that both kinds of places may be there.
const (
	columnBegin = "begin"
	columnEnd   = "end"
	columnHour  = "hour"
	columnCount = "count" // vehicles in the interval
	columnFlow  = "flow"  // vehicles per hour
)

const (
	// Format says what a file of counts is, for messages and documents.
	Format = "Its first line names the columns: detector or edge; begin and end in seconds (or as 07:30:00), or hour; and count, the " +
		"vehicles counted in the interval, or flow, the same in vehicles per hour."
	secondsPerHour = 3600
)

// Read reads counts from CSV, with commas, semicolons or tabs between the columns. Columns that it does not know are ignored, and returned.
func Read(r io.Reader) (counts []Count, ignored []string, err error) {
	in := bufio.NewReaderSize(r, 64<<10)
	if mark, _ := in.Peek(3); string(mark) == "\uFEFF" { // spreadsheets write it
		_, _ = in.Discard(len(mark))
	}
	table := csv.NewReader(in)
	table.Comma, table.TrimLeadingSpace, table.ReuseRecord = separator(in), true, true
	if table.Comma == '\t' {
		table.TrimLeadingSpace = false // an empty field is blank
	}
	header, err := table.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil, problem.New(problem.Invalid, "The file of counts is empty. %s", Format)
	}
	if err != nil {
		return nil, nil, malformed(err)
	}
	layout, err := layoutOf(header)
	if err != nil {
		return nil, nil, err
	}
	var faults []problem.Item
	firsts := map[string]int{} // lines, by what must not be there twice
	places := 0
	for {
		record, err := table.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, csv.ErrFieldCount) {
			return nil, nil, malformed(err)
		}
		line, _ := table.FieldPos(0)
		count, fault := layout.row(record)
		if places += max(1, len(count.IDs)); places > MaxRows {
			return nil, nil, problem.New(problem.TooLarge, "The file has more than %d counts or places. Send it in parts.", MaxRows)
		}
		if err != nil {
			fault = fmt.Sprintf("has %d columns where the first line has %d", len(record), len(header))
		}
		if fault == "" {
			key := fmt.Sprint(count.Kind, count.IDs, count.Begin, count.End)
			if first := firsts[key]; first > 0 {
				fault = fmt.Sprintf("has the same place and interval as line %d", first)
			} else {
				firsts[key] = line
			}
		}
		if fault != "" {
			faults = append(faults, problem.Item{Location: fmt.Sprintf("line %d", line), Message: fault})
			if len(faults) == maxFaults {
				break
			}
		}
		count.Line = line
		counts = append(counts, count)
	}
	switch {
	case len(faults) > 0:
		return nil, nil, problem.New(problem.Invalid, "The file of counts cannot be read: %s", faults[0].Sentence()).WithItems(faults...)
	case len(counts) == 0:
		return nil, nil, problem.New(problem.Invalid, "The file of counts has no counts below its first line.")
	}
	return counts, layout.ignored, nil
}

// separator is what stands between the columns of the first line.
func separator(in *bufio.Reader) rune {
	head, _ := in.Peek(4 << 10) // a failure comes again
	line, _, _ := strings.Cut(string(head), "\n")
	for _, r := range []rune{';', '\t'} {
		if strings.ContainsRune(line, r) {
			return r
		}
	}
	return ','
}

func malformed(err error) error {
	var wrong *csv.ParseError
	if !errors.As(err, &wrong) {
		return err // of reading
	}
	return problem.Wrap(err, problem.Invalid, "The file of counts is not CSV: line %d: %v.", wrong.Line, wrong.Err).
		WithItems(problem.Item{Location: fmt.Sprintf("line %d", wrong.Line), Message: wrong.Err.Error()})
}

// layout says where the columns are; -1 stands for none.
type layout struct {
	detector, edge, begin, end, hour, count, flow int
	ignored                                       []string
}

func layoutOf(header []string) (l layout, err error) {
	l = layout{-1, -1, -1, -1, -1, -1, -1, nil}
	places := map[string]*int{
		string(Detector): &l.detector, string(Edge): &l.edge, columnBegin: &l.begin, columnEnd: &l.end, columnHour: &l.hour,
		columnCount: &l.count, columnFlow: &l.flow,
	}
	var faults []string
	for i, name := range header {
		at := places[strings.ToLower(strings.TrimSpace(name))]
		switch {
		case at == nil:
			l.ignored = append(l.ignored, strings.Clone(fmt.Sprintf("%.80q", name)))
		case *at >= 0:
			faults = append(faults, fmt.Sprintf("the column %s is there twice", strings.TrimSpace(name)))
		default:
			*at = i
		}
	}
	if l.detector < 0 && l.edge < 0 {
		faults = append(faults, "there is no column detector or edge")
	}
	switch interval := l.begin >= 0 || l.end >= 0; {
	case interval == (l.hour >= 0):
		faults = append(faults, "there must be either begin and end, or hour")
	case interval && (l.begin < 0 || l.end < 0):
		faults = append(faults, "begin and end belong together")
	}
	if (l.count < 0) == (l.flow < 0) {
		faults = append(faults, "there must be either count or flow")
	}
	if len(faults) == 0 {
		return l, nil
	}
	e := problem.New(problem.Invalid, "The columns of the file of counts are not clear: %s. %s", strings.Join(faults, "; "), Format)
	for _, f := range faults {
		e = e.WithItems(problem.Item{Location: "line 1", Message: f})
	}
	return l, e
}

// row reads one, or says what is wrong with it.
func (l layout) row(record []string) (c Count, fault string) {
	at := func(column int) string {
		if column < 0 || column >= len(record) {
			return ""
		}
		return strings.TrimSpace(record[column])
	}
	detector, edge := at(l.detector), at(l.edge)
	switch {
	case (detector == "") == (edge == ""):
		return c, "must name a detector or an edge, and not both"
	case detector != "":
		c.Kind, c.IDs = Detector, strings.Fields(strings.Clone(detector))
	default:
		c.Kind, c.IDs = Edge, strings.Fields(strings.Clone(edge))
	}
	if len(c.IDs) > maxPlaces {
		return c, fmt.Sprintf("names %d places; at most %d count together", len(c.IDs), maxPlaces)
	}
	slices.Sort(c.IDs)
	if len(slices.Compact(slices.Clone(c.IDs))) < len(c.IDs) {
		return c, "names a place twice"
	}
	if c.Begin, c.End, fault = l.interval(at); fault != "" {
		return c, fault
	}
	name, text, factor := columnFlow, at(l.flow), 1.0
	if l.count >= 0 {
		name, text, factor = columnCount, at(l.count), secondsPerHour/(c.End-c.Begin)
	}
	n, err := strconv.ParseFloat(text, 64)
	if c.Flow = n * factor; err != nil || !(n >= 0 && c.Flow <= maxFlow) {
		return c, fmt.Sprintf("%s must be a number of vehicles such as 412, at most %.0f in an hour, unlike %.40q", name, maxFlow, text)
	}
	return c, ""
}

// interval reads when was counted.
func (l layout) interval(at func(column int) string) (begin, end float64, fault string) {
	if l.hour >= 0 {
		hour, err := strconv.Atoi(at(l.hour))
		if err != nil || hour < 0 || hour > math.MaxInt32 {
			return 0, 0, fmt.Sprintf("hour must be a whole number of hours since the simulated time 0, unlike %.40q", at(l.hour))
		}
		return float64(hour) * secondsPerHour, float64(hour+1) * secondsPerHour, ""
	}
	begin, first := xml.Time(at(l.begin))
	end, last := xml.Time(at(l.end))
	switch {
	case !first:
		return 0, 0, fmt.Sprintf("begin must be a time in seconds, or as 07:30:00, unlike %.40q", at(l.begin))
	case !last:
		return 0, 0, fmt.Sprintf("end must be a time in seconds, or as 07:30:00, unlike %.40q", at(l.end))
	case begin < 0 || end-begin < 1:
		return 0, 0, "end must be a second after begin at least, and begin not before 0"
	}
	return begin, end, ""
}
