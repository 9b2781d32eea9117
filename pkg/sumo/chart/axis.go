package chart

import (
	"fmt"
	"math"
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"gonum.org/v1/plot"
)

// english writes numbers with a comma between thousands.
var english = message.NewPrinter(language.English)

// roundTicks is an axis with at most so many intervals, each 1, 2 or 5 times a power of ten.
type roundTicks int

// Ticks implements plot.Ticker.
func (most roundTicks) Ticks(least, greatest float64) []plot.Tick {
	wanted := (greatest - least) / float64(most)
	if wanted <= 0 {
		return []plot.Tick{{Value: least, Label: number(least)}}
	}
	power := math.Pow(10, math.Floor(math.Log10(wanted)))
	step := 10 * power
	for _, factor := range []float64{1, 2, 5} {
		if factor*power >= wanted {
			step = factor * power
			break
		}
	}
	decimals := max(0, -int(math.Floor(math.Log10(step))))
	var ticks []plot.Tick
	for i := math.Ceil(least / step); i*step <= greatest; i++ {
		at := i*step + 0 // −0 becomes 0
		ticks = append(ticks, plot.Tick{Value: at, Label: english.Sprintf("%.*f", decimals, at)})
	}
	return ticks
}

// clockTicks is an axis of time in hours and minutes.
type clockTicks struct{}

// Ticks implements plot.Ticker.
func (clockTicks) Ticks(least, greatest float64) []plot.Tick {
	const most = 10
	const hour = 3600
	step := 24 * float64(hour)
	for _, s := range []float64{600, 900, 1800, hour, 2 * hour, 3 * hour, 6 * hour, 12 * hour} {
		if (greatest-least)/s <= most {
			step = s
			break
		}
	}
	step *= math.Max(1, math.Ceil((greatest-least)/step/most))
	var ticks []plot.Tick
	for i := math.Ceil(least / step); i*step <= greatest; i++ {
		minutes := int(i * step / 60)
		ticks = append(ticks, plot.Tick{Value: i * step, Label: fmt.Sprintf("%d:%02d", minutes/60, minutes%60)})
	}
	return ticks
}

// clockSpan is the length of a run, in seconds, from which hours are easier to read than seconds.
const clockSpan = 2 * 3600

func timeAxis(least, greatest float64) (label string, ticks plot.Ticker) {
	if greatest-least >= clockSpan {
		return "simulated time (h:mm)", clockTicks{}
	}
	return "simulated time (s)", roundTicks(10)
}

// number writes a figure for a legend.
func number(v float64) string {
	decimals := 0
	if math.Abs(v) < 100 {
		decimals = 1
	}
	if math.Abs(v) < 1 {
		decimals = 2
	}
	text := english.Sprintf("%.*f", decimals, v)
	if strings.Contains(text, ".") {
		text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// lower is a label in the middle of a line.
func lower(label string) string { return strings.ToLower(label[:1]) + label[1:] }
