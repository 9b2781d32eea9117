package run

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// checkSteps are the steps that a check simulates: SUMO reads route files up to the first departure after the begin, and goes on in the
// step of that departure. Everything else departs there, too, so SUMO reads on to the end of the interval, and examines all routes.
const checkSteps = 2

// A check takes about as long as loading, which these exceed three times. But where SUMO has yet to find routes, as for trips, it takes
// as long as that, and may find only some of them.
const (
	checkLeast  = 30 * time.Second
	checkPerMiB = 3 * time.Second // of the scenario's files
)

// checkTooLong is the cause with which a check ends that has taken this long.
type checkTooLong time.Duration

func (c checkTooLong) Error() string { return "no check takes more than " + time.Duration(c).String() }

// boundCheck ends the context of a check when it has taken too long for a scenario in root.
func boundCheck(ctx context.Context, root *os.Root) (context.Context, context.CancelFunc, error) {
	var size int64
	err := fs.WalkDir(root.FS(), ".", func(_ string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	limit := checkLeast + time.Duration(size>>20)*checkPerMiB
	ctx, cancel := context.WithTimeoutCause(ctx, limit, checkTooLong(limit))
	return ctx, cancel, err
}

// place is where SUMO says that it found a fault: "… In file 'city.rou.xml' At line/column 13/3." All versions count lines from 2.
var place = regexp.MustCompile(`^(.*?) In file '([^']*)' At line/column (\d+)/(\d+)\.`)

var (
	// timed is the end of messages about traffic, which a check does not simulate.
	timed = regexp.MustCompile(`, time=[\d.:]+\.?$`)
	// walking is the one that is about a route.
	walking = regexp.MustCompile(`^Warning: Person .* has a disconnect`)
	// crowded are messages about departures that depend on other traffic, and speeding is the one about a limit that depends on the time.
	crowded  = regexp.MustCompile(`will not be able to depart using the given velocity`)
	speeding = regexp.MustCompile(`^(?:Error: )?Departure speed for vehicle .* is too high for the departure edge `)
)

// checked is the outcome of a check: what SUMO says about the scenario. Departures in the files of unmoved remained where they were. ctx
// is that of the run.
func (f fate) checked(ctx context.Context, s settings, unmoved []string) simulation.Outcome {
	fatal := f.code != 0 && len(f.errors) > 0 && passing(f.errors[len(f.errors)-1])
	f.said, f.errors = about(f.said), slices.DeleteFunc(about(f.errors), speeding.MatchString)
	var missed []string
	switch long, ok := errors.AsType[checkTooLong](context.Cause(ctx)); {
	case ok && f.stop != "":
		f.stop, f.code, f.signal, f.reason = "", 0, 0, reasonEnd
		missed = append(missed, "SUMO had not found all of them after "+time.Duration(long).String())
	case fatal:
		f.code, f.reason = 0, reasonEnd
		missed = append(missed, "SUMO ended where a vehicle departs faster than its edge then allows")
	}
	if s.resumes {
		missed = append(missed, "the scenario starts from a saved state")
	}
	if len(unmoved) > 0 {
		missed = append(missed, strings.Join(unmoved, ", ")+" cannot be read to its end")
	}
	reason, message := f.judge()
	if reason == simulation.SimulationError && f.signal == 0 && len(f.errors) > 0 {
		reason = simulation.InvalidScenario // whatever SUMO refuses while loading is the scenario's
	}
	outcome := simulation.Outcome{Reason: reason, Message: message, Confinement: &f.held}
	if reason == "" && len(missed) > 0 {
		outcome.Warnings = []string{"Not all routes were examined: " + strings.Join(missed, "; ") + "."}
	}
	for _, message := range f.said {
		if speeding.MatchString(message) {
			message += " A check moves departures: at the vehicle's own time, the edge may allow it."
		}
		item := problem.Item{Message: message}
		if m := place.FindStringSubmatch(message); m != nil {
			line, _ := strconv.Atoi(m[3]) // digits
			item.Location, item.Message = path.Clean(m[2])+":"+strconv.Itoa(line-1), m[1]
		}
		outcome.Problems = append(outcome.Problems, item)
	}
	return outcome
}

// passing reports whether a message may not come at the departures' own times.
func passing(message string) bool {
	return crowded.MatchString(message) || speeding.MatchString(message)
}

// about are those messages that are about the scenario, not about traffic.
func about(messages []string) []string {
	var kept []string
	for _, m := range messages {
		m = againText.ReplaceAllString(m, "")
		switch {
		case walking.MatchString(m), speeding.MatchString(m):
			m = timed.ReplaceAllString(m, ".")
		case timed.MatchString(m), crowded.MatchString(m):
			continue
		}
		kept = append(kept, m)
	}
	return kept
}
