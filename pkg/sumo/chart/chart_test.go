package chart

import (
	"bytes"
	"encoding/xml"
	"image/color"
	"image/png"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/outputs"
)

// run is a run of which all curves rise and fall, and all trips are alike.
func run(label string) Run {
	series := outputs.Series{Time: outputs.Values{0, 1, 2, 3, 4}}
	for i, name := range []string{"running", "halting", "waiting", "mean_speed", "co2", "nox"} {
		n := float64(i + 1)
		series.Series = append(series.Series, outputs.Curve{Name: name, Values: outputs.Values{math.NaN(), 9 * n, 3 * n, math.NaN(), 6 * n}})
	}
	trips := outputs.Distributions{}
	for _, name := range []string{"travel_time", "time_loss", "waiting_time"} {
		trips.Distributions = append(trips.Distributions, outputs.Distribution{
			Name: name, Label: "Some time", Unit: "s", Count: 30, P50: 12, P95: 19, Mean: 13, Edges: outputs.Values{5, 10, 15,
				20}, Counts: []int{4, 20, 6},
		})
	}
	change := -0.25
	converged := simulation.Convergence{Tool: "duaIterate", Iterations: []simulation.Iteration{
		{Number: 0, MeanTravelTime: 400}, {Number: 1, MeanTravelTime: 300, RelativeChange: &change},
		{Number: 2, MeanTravelTime: 225, RelativeChange: &change},
	}}
	return Run{Label: label, Series: &series, Trips: &trips, Convergence: &converged}
}

func TestEveryPlotShowsEachRunInItsColour(t *testing.T) {
	t.Parallel()
	for i, kind := range Kinds() {
		theme := []theme{light, dark}[i%2]
		runs := []Run{run("one")}
		want := []colour{theme.palette[0], theme.ink}
		if kind.Distribution != "" {
			want = append(want, theme.palette[1], theme.palette[2], theme.palette[3])
		}
		checkColours(t, kind, runs, theme, append(want, theme.fill(theme.palette[0]).(colour)))
		two := run("two")
		for i := range two.Series.Series {
			for k := range two.Series.Series[i].Values {
				two.Series.Series[i].Values[k] *= 0.7
			}
		}
		for i := range two.Trips.Distributions {
			two.Trips.Distributions[i].Counts = []int{10, 10, 10}
		}
		checkColours(t, kind, append(runs, two), theme, []colour{theme.palette[0], theme.palette[1]})
	}
}

func checkColours(t *testing.T, kind Kind, runs []Run, theme theme, want []colour) {
	t.Helper()
	var b bytes.Buffer
	if err := Draw(&b, kind, runs, Options{Width: 400, Height: 300, Dark: theme == dark, Subtitle: "of a test"}); err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	count := map[color.Color]int{}
	for y := range 300 {
		for x := range 400 {
			count[color.RGBAModel.Convert(img.At(x, y))]++
		}
	}
	for _, c := range want {
		if count[c] < 20 {
			t.Errorf("%s of %d runs has %d pixels of %v", kind.Name, len(runs), count[c], c)
		}
	}
	if count[theme.background] < 400*300/3 {
		t.Errorf("%s has only %d pixels of background", kind.Name, count[theme.background])
	}
}

func TestADrawingIsXMLOfTheSizeAskedForWhateverItsNames(t *testing.T) {
	t.Parallel()
	for _, kind := range Kinds() {
		var b bytes.Buffer
		name := `<b>"Tom" & Jérôme</b>` + "\n\x01"
		if err := Draw(&b, kind, []Run{run(name), run("other")}, Options{SVG: true, Width: 640, Height: 480, Subtitle: name}); err != nil {
			t.Fatal(err)
		}
		var drawing struct {
			Width  int    `xml:"width,attr"`
			Height int    `xml:"height,attr"`
			Text   string `xml:",innerxml"`
		}
		if err := xml.Unmarshal(b.Bytes(), &drawing); err != nil || drawing.Width != 640 || drawing.Height != 480 {
			t.Errorf("%s: %dx%d, %v", kind.Name, drawing.Width, drawing.Height, err)
		}
		if strings.Contains(drawing.Text, "<b>") || !strings.Contains(drawing.Text, kind.Title) || strings.Contains(drawing.Text,
			"Liberation Sans;") {
			t.Errorf("%s lacks its title or a fallback for its letters, or has others' tags", kind.Name)
		}
	}
}

func TestSpeedsAreInTheUnitOfRoadSigns(t *testing.T) {
	t.Parallel()
	fast := run("fast")
	fast.Series.Curve("mean_speed").Values = outputs.Values{0, 10, 30, 20, 30} // m/s
	kinds := Kinds()
	speed := kinds[slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == "speed" })]
	var b bytes.Buffer
	if err := Draw(&b, speed, []Run{fast}, Options{SVG: true, Width: 640, Height: 480}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{">mean speed (km/h)<", ">100<"} { // the axis ends a little above 108
		if !strings.Contains(b.String(), want) {
			t.Errorf("the plot has no %s", want)
		}
	}
}

func TestRunsWithNothingToShowAreDrawnEmpty(t *testing.T) {
	t.Parallel()
	for _, kind := range Kinds() {
		for name, time := range map[string]outputs.Values{"no step": nil, "one step": {5}} {
			empty := run("empty")
			empty.Series.Time = time
			for i := range empty.Series.Series {
				empty.Series.Series[i].Values = make(outputs.Values, len(time))
			}
			for i := range empty.Trips.Distributions {
				d := &empty.Trips.Distributions[i]
				d.Count, d.Edges, d.Counts, d.P50 = 0, nil, nil, outputs.Optional(math.NaN())
			}
			var b bytes.Buffer
			if err := Draw(&b, kind, []Run{empty}, Options{SVG: true, Width: 400, Height: 300}); err != nil {
				t.Errorf("%s with %s: %v", kind.Name, name, err)
			}
			if err := Draw(&b, kind, []Run{empty, run("other")}, Options{SVG: true, Width: 400, Height: 300}); err != nil {
				t.Errorf("%s with %s beside another: %v", kind.Name, name, err)
			}
		}
	}
}

func TestSharesRiseToAllOfTheTrips(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		counts := rapid.SliceOfN(rapid.IntRange(0, 9), 1, 80).Draw(t, "counts")
		d := &outputs.Distribution{Counts: append(counts, 1), Edges: outputs.Values{0}}
		for i, n := range d.Counts {
			d.Edges, d.Count = append(d.Edges, float64(i+1)*0.5), d.Count+n
		}
		points := shares(d)
		for i := range points[1:] {
			if grown := points[i+1].Y - points[i].Y; math.Abs(grown-100*float64(d.Counts[i])/float64(d.Count)) > 1e-9 ||
				points[i+1].X != d.Edges[i+1] {
				t.Errorf("%v in %v became %v", d.Counts, d.Edges, points)
			}
		}
		if last := points[len(points)-1]; math.Abs(last.Y-100) > 1e-9 {
			t.Errorf("it ends at %v", last)
		}
	})
}

func TestTicks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		least, greatest float64
		want            string
	}{
		{0, 900, "0 100 200 300 400 500 600 700 800 900"},
		{7, 4200, "500 1,000 1,500 2,000 2,500 3,000 3,500 4,000"},
		{0, 1, "0.0 0.1 0.2 0.3 0.4 0.5 0.6 0.7 0.8 0.9 1.0"},
		{5, 5, "5"},
		{0, 7200, "0:00 0:15 0:30 0:45 1:00 1:15 1:30 1:45 2:00"},
		{21600, 36000, "6:00 6:30 7:00 7:30 8:00 8:30 9:00 9:30 10:00"},
		{0, 86400, "0:00 3:00 6:00 9:00 12:00 15:00 18:00 21:00 24:00"},
		{0, 20 * 86400, "0:00 48:00 96:00 144:00 192:00 240:00 288:00 336:00 384:00 432:00 480:00"},
	} {
		var labels []string
		_, axis := timeAxis(tt.least, tt.greatest)
		for _, tick := range axis.Ticks(tt.least, tt.greatest) {
			labels = append(labels, tick.Label)
		}
		if diff := cmp.Diff(strings.Fields(tt.want), labels); diff != "" {
			t.Errorf("from %v to %v (-want +got):\n%s", tt.least, tt.greatest, diff)
		}
	}
}

func TestFiguresAreAsPreciseAsAPersonReadsThem(t *testing.T) {
	t.Parallel()
	var got []string
	for _, v := range []float64{0.123, 0, 5, 12.34, 201, 1234567.8, -12} {
		got = append(got, number(v))
	}
	if diff := cmp.Diff([]string{"0.12", "0", "5", "12.3", "201", "1,234,568", "-12"}, got); diff != "" {
		t.Errorf("figures (-want +got):\n%s", diff)
	}
}
