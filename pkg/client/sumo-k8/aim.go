package main

import (
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
	flags.Float64Var(&f.confidence, "confidence", 0, "with --until: confidence of the intervals (default: 0.95)")
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
	if !percent || err != nil || !(share > 0 && share < 100) {
		return 0, usage("%s %q is not a share such as 5%%", flag, text)
	}
	return share / 100, nil
}
