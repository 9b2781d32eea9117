package run

import (
	"regexp"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/replay"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// What SUMO says of vehicles, as its source has it in src/microsim (1.18 to 1.28).
var (
	eventKinds = []struct{ part, kind string }{
		{"Teleporting vehicle '", replay.Teleport},
		{"collision with ", replay.Collision},
		{"performs emergency braking", replay.EmergencyBraking},
		{"performs emergency stop", replay.EmergencyStop},
		{"should be sorted by departure time, ignoring '", replay.Dropped},
		{"has no valid route", replay.Dropped},
	}
	quotedVehicle = regexp.MustCompile(`(?:[Vv]ehicle|ignoring) '([^']*)'`)
	quotedLane    = regexp.MustCompile(`lane[ =]'([^']*)'`)
	quotedEdge    = regexp.MustCompile(`edge[ =]'([^']*)'`)
	timeOfEvent   = regexp.MustCompile(`time=([0-9.:]+[0-9])`)
)

// eventOf reads a line of SUMO's; text is what the log shows of it.
func eventOf(line, text string) (e replay.Incident, ok bool) {
	for _, k := range eventKinds {
		if strings.Contains(line, k.part) {
			e.Kind = k.kind
			break
		}
	}
	if e.Kind == "" {
		return e, false
	}
	e.Text = text
	e.Vehicle = submatch(quotedVehicle, line)
	e.Lane, e.Edge = submatch(quotedLane, line), submatch(quotedEdge, line)
	if e.Edge == "" && e.Lane != "" {
		e.Edge = string(edgeOf([]byte(e.Lane), false))
	}
	if t, ok := xml.Number([]byte(submatch(timeOfEvent, line))); ok {
		e.Time = t
	} else {
		e.Time = -1 // the line names none
	}
	return e, true
}

func submatch(pattern *regexp.Regexp, text string) string {
	if found := pattern.FindStringSubmatch(text); found != nil {
		return found[1]
	}
	return ""
}
