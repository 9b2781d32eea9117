package run

import (
	"bytes"
	"strconv"
	"strings"
)

// step is one of SUMO's step lines.
type step struct {
	time    float64 // simulated seconds
	counted bool    // whether the line carries the numbers below
	// Vehicles: departed so far, on the road now, and waiting to get onto it.
	departed, running, waiting int
}

// parseStep reads a line such as
//
//	Step #200.00 (5ms ~= 200.00*RT, ~37400.00UPS, vehicles TOT 223 ACT 187 BUF 0)
//
// of which only "Step #200.00" is there when the run ended within the step. With the option human-readable-time, it is "Step #00:03:20".
func parseStep(line string) (step, bool) {
	rest, ok := strings.CutPrefix(line, "Step #")
	if !ok {
		return step{}, false
	}
	clock, rest, _ := strings.Cut(rest, " ")
	t := number(clock)
	if t == nil {
		return step{}, false
	}
	s := step{time: *t}
	_, rest, ok = strings.Cut(rest, "vehicles TOT ")
	if !ok {
		return s, true
	}
	fields := strings.Fields(strings.TrimRight(rest, ") "))
	if len(fields) < 5 || fields[1] != "ACT" || fields[3] != "BUF" {
		return s, true
	}
	var errs [3]error
	s.departed, errs[0] = strconv.Atoi(fields[0])
	s.running, errs[1] = strconv.Atoi(fields[2])
	s.waiting, errs[2] = strconv.Atoi(fields[4])
	if s.counted = errs == [3]error{}; !s.counted {
		s.departed, s.running, s.waiting = 0, 0, 0
	}
	return s, true
}

// maxLine bounds what is kept of a line; the longest sensible ones list the edges of a route.
const maxLine = 4 << 10

// splitter is a writer that yields lines. A line ends at "\n" or "\r": SUMO overwrites its step lines on a terminal.
// Empty lines are left out, and lines are cut at maxLine bytes.
type splitter struct {
	yield func(line string)
	line  []byte
}

func (s *splitter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		end := bytes.IndexAny(p, "\r\n")
		part := p
		if end >= 0 {
			part = p[:end]
		}
		s.line = append(s.line, part[:min(len(part), maxLine-len(s.line))]...)
		if end < 0 {
			break
		}
		s.flush()
		p = p[end+1:]
	}
	return n, nil
}

// flush yields what is left of an unfinished line.
func (s *splitter) flush() {
	if line := strings.TrimRight(string(s.line), " "); line != "" {
		s.yield(line)
	}
	s.line = s.line[:0]
}
