package chart

import (
	"bytes"
	"image/color"
	"image/png"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/calibration"
)

// compared are two flows that agree, one that does not, and one without a value.
func compared() []calibration.Compared {
	flow := func(counted, modelled float64) calibration.Compared {
		return calibration.Compared{
			Count: calibration.Count{Flow: counted}, Modelled: modelled, GEH: calibration.GEH(modelled, counted),
		}
	}
	missing := flow(1e6, 0)
	missing.Why = "The run has no values for this interval."
	return []calibration.Compared{flow(400, 420), flow(900, 850), flow(700, 300), missing}
}

func TestCountsAreDrawnWithTheLineAndTheBand(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := DrawCounts(&b, compared(), Options{SVG: true, Width: 800, Height: 800, Subtitle: "of <a> test"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"GEH below 5: 2 of 3", "GEH of 5 or more: 1", "simulated as counted", ">GEH of 5<", "counted flow (veh/h)", "simulated flow (veh/h)",
		"of &lt;a&gt; test", ">800<",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the plot does not say %q", want)
		}
	}
	if strings.Contains(b.String(), "100000") {
		t.Error("what cannot be compared widens the plot")
	}
}

// Marks on both sides of the band differ by shape, so that a print without colours shows them.
func TestCountsAreReadableInBlackAndWhite(t *testing.T) {
	t.Parallel()
	for _, theme := range []theme{light, dark} {
		var b bytes.Buffer
		if err := DrawCounts(&b, compared(), Options{Width: 600, Height: 600, Dark: theme == dark}); err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(&b)
		if err != nil {
			t.Fatal(err)
		}
		count := map[color.Color]int{}
		for y := range 600 {
			for x := range 600 {
				count[color.RGBAModel.Convert(img.At(x, y))]++
			}
		}
		// Three filled marks with that of the legend, and two hollow ones, of which little is coloured.
		if full, hollow := count[theme.palette[0]], count[theme.palette[1]]; full < 100 || hollow < 10 || full < 3*hollow {
			t.Errorf("%d pixels of filled marks, %d of hollow ones", full, hollow)
		}
	}
}

func TestNoCountsAreAnEmptyPlot(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := DrawCounts(&b, nil, Options{SVG: true, Width: 400, Height: 400}); err != nil || !strings.Contains(b.String(), "0 of 0") {
		t.Error(err)
	}
}
