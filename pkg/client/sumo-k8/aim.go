package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// aimFlags are the flags that describe the aim of a sequential study.
type aimFlags struct {
	until      []string
	min, max   int
	of         string
	confidence float64
}

// aimOptions are the flags that --until takes.
var aimOptions = []string{"min", "max", "of", "confidence"}

func (f *aimFlags) add(c *cobra.Command) {
	flags := c.Flags()
	flags.StringSliceVar(&f.until, "until", nil, "add seeds until intervals are this narrow: ± 5% of the mean, or, in the unit of a metric, "+
		"± teleports=2; repeatable")
	flags.IntVar(&f.max, "max", 0, "with --until: the most runs of each point")
	flags.IntVar(&f.min, "min", 0, "with --until: the runs of each point before the first look (default: 5)")
	flags.StringVar(&f.of, "of", "", "with --until: whose intervals, mean (default) or difference to the baseline")
	flags.Var(confidence(&f.confidence), "confidence", "with --until: confidence of the intervals, such as 0.9 or 90% (default: 0.95)")
	c.MarkFlagsMutuallyExclusive("seeds", "until")
	must(c.RegisterFlagCompletionFunc("of", cobra.FixedCompletions([]string{"mean", "difference"}, cobra.ShellCompDirectiveNoFileComp)))
	noFiles(c, "until", "min", "max", "confidence")
}

// aim is what the flags describe; nil without --until.
func (f *aimFlags) aim(set func(name string) bool) (*study.Aim, error) {
	if len(f.until) == 0 {
		for _, name := range aimOptions {
			if set(name) {
				return nil, usage("--%s says something about --until, which is missing", name)
			}
		}
		return nil, nil
	}
	if f.max == 0 {
		return nil, usage("--until needs --max, the most runs of each point: a mean may take more runs than you want to pay for")
	}
	if set("min") && f.min < 2 {
		return nil, usage("--min %d leaves no interval to look at: two runs of each point at least", f.min)
	}
	a := &study.Aim{Min: f.min, Max: f.max, Of: f.of, Confidence: f.confidence}
	for _, text := range f.until {
		name, number, absolute := strings.Cut(text, "=")
		if !absolute {
			share, err := shareOf("--until", text)
			if err != nil {
				return nil, usage("%w, or METRIC=HALF_WIDTH such as teleports=2", err)
			}
			a.RelativeHalfWidth = share
			continue
		}
		half, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return nil, usage("--until %q: %q is not a number", text, number)
		}
		if a.Absolute == nil {
			a.Absolute = map[string]float64{}
		}
		a.Absolute[name] = half
	}
	return a, nil
}

// shareOf reads a percentage.
func shareOf(flag, text string) (float64, error) {
	number, percent := strings.CutSuffix(text, "%")
	share, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	switch {
	case !percent || err != nil:
		return 0, usage("%s %q is not a share such as 5%%", flag, text)
	case !(share > 0 && share < 100):
		return 0, usage("%s %q is not a share between 0%% and 100%%, such as 5%%", flag, text)
	}
	return share / 100, nil
}

// share is the value of a flag: 0.95 or 95%; 0 as long as it is not given.
type share struct {
	value       *float64
	what        string // for a fault: a confidence
	least, most float64
}

// confidence is the flag for the one of intervals.
func confidence(value *float64) *share {
	return &share{value, "a confidence", study.MinConfidence, study.MaxConfidence}
}

// ofRuns is the flag for a share of the runs.
func ofRuns(value *float64) *share { return &share{value, "a share of the runs", 0, 1} }

func (s *share) Set(text string) error {
	number, percent := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v >= s.least && v <= s.most) {
		return fmt.Errorf("%s is from %g to %g, or from %g%% to %g%%", s.what, s.least, s.most, 100*s.least, 100*s.most)
	}
	*s.value = v
	return nil
}

func (s *share) String() string {
	if s.value == nil || *s.value == 0 {
		return "" // so that the help shows no default
	}
	return strconv.FormatFloat(*s.value, 'g', -1, 64)
}

func (*share) Type() string { return "share" }
