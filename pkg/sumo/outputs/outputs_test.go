package outputs

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/gz"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// summary is a summary-output in which the vehicle count of step i is running(i).
func summary(steps int, running func(i int) int) string {
	var b strings.Builder
	b.WriteString("<summary>")
	for i := range steps {
		n, speed := running(i), "10.00"
		if n == 0 {
			speed = "-1.00"
		}
		fmt.Fprintf(&b, `<step time="%d.00" inserted="%d" running="%d" meanSpeed="%s"/>`, i, i, n, speed)
	}
	b.WriteString("</summary>")
	return b.String()
}

// However many steps there are, the points keep the sum of all, the extremes, and the last value of what is counted up.
func TestLongSeriesAreMergedWithoutLoss(t *testing.T) {
	t.Parallel()
	for _, steps := range []int{1, 2, 999, 1000, 1001, 1002, 2000, 2001, 4007} {
		running := func(i int) int { return i * 31 % 101 }
		s, err := ReadSeries(strings.NewReader(summary(steps, running)), nil)
		if err != nil || !s.Complete {
			t.Fatalf("complete %t, %v", s.Complete, err)
		}
		if n := len(s.Time); n > maxPoints || n < min(steps, maxPoints/2) || n != (steps+s.Merged-1)/s.Merged || s.Time[n-1] != float64(steps-1) {
			t.Fatalf("%d steps gave %d points of %d until %v", steps, n, s.Merged, s.Time[len(s.Time)-1])
		}
		want, got, peak := 0.0, 0.0, 0.0
		for i := range steps {
			want += float64(running(i))
			peak = math.Max(peak, float64(running(i)))
		}
		for i, v := range s.Curve("running").Values {
			width := s.Merged
			if i == len(s.Time)-1 {
				width = steps - i*s.Merged
			}
			got += v * float64(width)
		}
		if math.Abs(got-want) > 0.001*float64(steps) || float64(s.Curve("running").Max) != peak {
			t.Errorf("%d steps sum up to %v with peak %v, want %v with %v", steps, got, s.Curve("running").Max, want, peak)
		}
		for i, v := range s.Curve("inserted").Values {
			if v != s.Time[i] {
				t.Errorf("%v vehicles at %v", v, s.Time[i])
			}
		}
		for _, v := range s.Curve("mean_speed").Values {
			if !math.IsNaN(v) && v != 10 {
				t.Errorf("the mean of speeds of 10 is %v", v)
			}
		}
	}
}

func TestEmissionsAreSummedIntoThePointsOfTheSummary(t *testing.T) {
	t.Parallel()
	emissions := `<emission-export><timestep time="0.00"/><timestep time="1.00"><vehicle id="a" CO2="1000" NOx="1"/><vehicle id="b" CO2="500" NOx="2"/></timestep>` +
		`<timestep time="2.00"><vehicle id="a" CO2="2000" NOx="4"/></timestep><timestep time="99.00"><vehicle id="a" CO2="7" NOx="7"/></timestep></emission-export>`
	s, err := ReadSeries(strings.NewReader(summary(3, func(int) int { return 1 })), strings.NewReader(emissions))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Values{0, 1.5, 2}, s.Curve("co2").Values); diff != "" {
		t.Errorf("CO₂ (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Values{0, 3, 4}, s.Curve("nox").Values); diff != "" {
		t.Errorf("NOx (-want +got):\n%s", diff)
	}
}

func TestAFileWithoutItsEndGivesWhatIsThere(t *testing.T) {
	t.Parallel()
	whole := summary(50, func(int) int { return 3 })
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, whole)
	_ = z.Close()
	for name, tc := range map[string]struct {
		file     string
		complete bool
		points   int
	}{
		"whole":           {whole, true, 50},
		"compressed":      {packed.String(), true, 50},
		"cut in a tag":    {whole[:len(whole)/2+3], false, 25},
		"cut, compressed": {packed.String()[:packed.Len()-6], false, 50},
		"empty":           {"", false, 0},
	} {
		s, err := ReadSeries(strings.NewReader(tc.file), nil)
		if err != nil || s.Complete != tc.complete || len(s.Time) != tc.points {
			t.Errorf("%s: complete %t with %d points, %v", name, s.Complete, len(s.Time), err)
		}
	}
	away := problem.New(problem.Unavailable, "away")
	if _, err := ReadSeries(io.MultiReader(strings.NewReader(whole[:100]), iotest.ErrReader(away)), nil); !errors.Is(err, away) {
		t.Errorf("a store that is away gave %v", err)
	}
}

func discard([]byte) error { return nil }

func TestPositionsOfARunThatWasKilledAreThoseThatAreThere(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, "<fcd-export>")
	for second := range 20_000 {
		_, _ = fmt.Fprintf(z, `<timestep time="%d.00"><vehicle id="R&D" x="%d.5" y="1" angle="90" speed="1"/></timestep>`, second, second%977)
	}
	_, _ = io.WriteString(z, "</fcd-export>")
	_ = z.Close()
	for name, tc := range map[string]struct {
		file     string
		complete bool
	}{"whole": {packed.String(), true}, "cut": {packed.String()[:packed.Len()/2], false}} {
		index, complete, err := Record(strings.NewReader(tc.file), "1", discard)
		if err != nil || complete != tc.complete || len(index.Segments) == 0 || index.Period != 1 {
			t.Errorf("%s: complete %t with %d segments every %g s, %v", name, complete, len(index.Segments), index.Period, err)
		}
	}
	failed := problem.New(problem.Unavailable, "the store is unreachable")
	cut := io.MultiReader(strings.NewReader(packed.String()[:packed.Len()/2]), iotest.ErrReader(failed))
	if _, _, err := Record(cut, "1", discard); !errors.Is(err, failed) {
		t.Errorf("a store that is unreachable gave %v", err)
	}
}

func TestBinsHoldEveryTripOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		scale := rapid.SampledFrom([]float64{0.01, 1, 100, 1e5}).Draw(t, "scale")
		values := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) float32 {
			return float32(math.Round(rapid.Float64Range(0, 1).Draw(t, "value")*scale*100) / 100)
		}), 1, 300).Draw(t, "values")
		d := distribute("x", "X", "s", values)
		sum := 0
		for _, n := range d.Counts {
			sum += n
		}
		if sum != len(values) || len(d.Edges) != len(d.Counts)+1 || len(d.Counts) > maxBins || d.Counts[0] == 0 ||
			d.Counts[len(d.Counts)-1] == 0 {
			t.Errorf("%d values in %v, edges %v", len(values), d.Counts, d.Edges)
		}
		if float64(d.Min) < d.Edges[0]-1e-4 || float64(d.Max) >= d.Edges[len(d.Edges)-1]+1e-4 || d.P50 > d.P90 || d.P90 > d.P95 || d.P95 > d.Max {
			t.Errorf("%+v", d)
		}
	})
}

// TestNumbersBeyondAllMeasureHaveAnEnd has what a program may write into the outputs of its run. The search for a width of bins that holds
// an infinite number would never end, and with two of them no view of any tenant would be made.
func TestNumbersBeyondAllMeasureHaveAnEnd(t *testing.T) {
	t.Parallel()
	trip := func(routeLength string) string {
		return `<tripinfo id="a" depart="0" arrival="1" duration="1e-300" routeLength="` + routeLength + `" timeLoss="1e308" waitingTime="3e38"/>`
	}
	d, err := ReadDistributions(strings.NewReader("<tripinfos>" + trip("1") + trip("1e308") + trip("-1e308") + trip("3e38") + "</tripinfos>"))
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, x := range d.Distributions {
		if counts[x.Name] = x.Count; len(x.Counts) > maxBins {
			t.Errorf("%s has %d bins", x.Name, len(x.Counts))
		}
	}
	want := map[string]int{"travel_time": 4, "time_loss": 0, "waiting_time": 4, "depart_delay": 0, "route_length": 2, "speed": 0}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("trips by quantity (-want +got):\n%s", diff)
	}
}

func TestTripsThatNeverDepartedDoNotCount(t *testing.T) {
	t.Parallel()
	d, err := ReadDistributions(strings.NewReader(`<tripinfos>` +
		`<tripinfo id="a" depart="0.00" arrival="10.00" duration="10.00" routeLength="100.00" timeLoss="1" waitingTime="0" departDelay="0"/>` +
		`<tripinfo id="b" depart="5.00" arrival="-1.00" duration="20.00" routeLength="100.00" timeLoss="2" waitingTime="0" departDelay="3"/>` +
		`<tripinfo id="c" depart="-1" arrival="-1.00" duration="0" routeLength="0" timeLoss="0" waitingTime="0" departDelay="99"/>` +
		// Before the state that was loaded, whose time is now 0.
		`<tripinfo id="d" depart="-1.00" arrival="9.00" duration="10.00" routeLength="100.00" timeLoss="1" waitingTime="0" departDelay="1"/>` +
		`<tripinfo id="e" depart="-00:00:49" arrival="1.00" duration="20.00" routeLength="100.00" timeLoss="1" waitingTime="0" departDelay="1"/>` +
		`<personinfo id="p"><emissions CO2_abs="5"/></personinfo></tripinfos>`))
	if err != nil {
		t.Fatal(err)
	}
	travel, speed := d.Distribution("travel_time"), d.Distribution("speed")
	if travel.Count != 4 || travel.Mean != 15 || speed.Max != 10 || d.Distribution("depart_delay").Max != 3 || d.Unfinished != 1 ||
		d.Distribution("co2") != nil {
		t.Errorf("%+v", d)
	}
}

// edgeData has one edge more with each interval, until there are so many.
func edgeData(intervals, edges int) string {
	var b strings.Builder
	b.WriteString("<meandata>")
	for i := range intervals {
		fmt.Fprintf(&b, `<interval begin="%d.00" end="%d.00">`, i*60, i*60+60)
		for e := range min(edges, edges/2+i+1) {
			fmt.Fprintf(
				&b,
				`<edge id="e%d" sampledSeconds="60.00" traveltime="20.00" density="5.00" occupancy="2.00" waitingTime="1.00" speed="%d.00" entered="2"/>`,
				e, 5+5*(i%2),
			)
		}
		b.WriteString(`<edge id="empty" sampledSeconds="0.00" entered="0"/></interval>`)
	}
	b.WriteString("</meandata>")
	return b.String()
}

func TestIntervalsWithoutEdgesAndWithoutTimes(t *testing.T) {
	t.Parallel()
	many := "<meandata>" + strings.Repeat(`<interval begin="0" end="60"/>`, 10_000) + "</meandata>"
	d, err := readEdgeData(strings.NewReader(many), 2000)
	if err != nil || len(d.Intervals) > 2000 || d.Merged*len(d.Intervals) < 10_000 {
		t.Errorf("%d intervals, %d merged, %v", len(d.Intervals), d.Merged, err)
	}
	const edge = `<edge id="e" sampledSeconds="60" speed="5" entered="2"/>`
	untimed := `<interval begin="0" end="60">` + edge + `</interval><interval begin="60" end="1e309">` + edge + `</interval>`
	d, err = ReadEdgeData(strings.NewReader("<meandata>" + untimed + `<interval begin="nan" end="1">` + edge + "</interval></meandata>"))
	if diff := cmp.Diff([][2]float64{{0, 60}}, d.Intervals); diff != "" || err != nil {
		t.Errorf("intervals (-want +got), %v:\n%s", err, diff)
	}
	if entered := d.Measures[4].Values[0][0]; entered != 2 {
		t.Errorf("%v vehicles entered", entered)
	}
	var long strings.Builder
	for i := range 20 {
		fmt.Fprintf(&long, `<edge id="%d%s" sampledSeconds="1"/>`, i, strings.Repeat("x", 1<<20-10))
	}
	_, err = ReadEdgeData(strings.NewReader(`<meandata><interval begin="0" end="1">` + long.String() + "</interval></meandata>"))
	if problem.CodeOf(err) != problem.TooLarge {
		t.Errorf("with ids of 20 MiB: %v", err)
	}
}

func TestManyIntervalsOfManyEdgesAreMerged(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ intervals, edges, merged int }{{1, 10, 1}, {7, 10, 1}, {60, 60, 2}, {61, 60, 2}, {40, 160, 4}} {
		d, err := readEdgeData(strings.NewReader(edgeData(tc.intervals, tc.edges)), 2000)
		if err != nil {
			t.Fatal(err)
		}
		n := (tc.intervals + tc.merged - 1) / tc.merged
		if d.Merged != tc.merged || len(d.Intervals) != n || d.Intervals[0][0] != 0 || d.Intervals[n-1][1] != float64(60*tc.intervals) {
			t.Fatalf("%+v: %d merged into %v", tc, d.Merged, d.Intervals)
		}
		for i := 1; i < n; i++ {
			if d.Intervals[i][0] != d.Intervals[i-1][1] {
				t.Errorf("%+v: a gap before %v", tc, d.Intervals[i])
			}
		}
		entered := 0.0
		for _, row := range d.Measures[4].Values {
			entered += row[0]
		}
		if entered != float64(2*tc.intervals) {
			t.Errorf("%+v: %v vehicles entered the first edge", tc, entered)
		}
		if tc.merged == 1 {
			continue
		}
		// Two minutes at 5 and 10 m/s, with as many vehicles: 7.5 m/s. Roads of 100 m and 200 m in 20 s each are, on average,
		// 150 m long. The density is that of each.
		for m, want := range []float64{7.5, 5, 2, float64(tc.merged), float64(2 * tc.merged), 20} {
			if got := d.Measures[m].Values[0][0]; got != want {
				t.Errorf("%+v: %s is %v, want %v", tc, d.Measures[m].Name, got, want)
			}
		}
	}
}

func TestAnEdgeWithoutVehiclesHasNoValues(t *testing.T) {
	t.Parallel()
	d, err := ReadEdgeData(strings.NewReader(edgeData(2, 3)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"e0", "e1", "e2"}, d.Edges); diff != "" {
		t.Errorf("edges (-want +got):\n%s", diff)
	}
	nan := math.NaN()
	if diff := cmp.Diff([]Values{{5, 5, nan}, {10, 10, 10}}, d.Measures[0].Values, cmpopts.EquateNaNs()); diff != "" {
		t.Errorf("speeds (-want +got):\n%s", diff)
	}
	text, err := json.Marshal(d.Measures[0].Values)
	if err != nil || string(text) != "[[5,5,null],[10,10,10]]" {
		t.Errorf("written as %s, %v", text, err)
	}
}

func TestPositionsThatFitNoMapAreRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ file, says string }{
		"longitudes": {"<!--\n<fcd-output.geo value=\"true\"/>\n-->\n<fcd-export><timestep time=\"0\"><vehicle id=\"a\" x=\"13.4\" " +
			"y=\"52.5\"/></timestep></fcd-export>", "fcd-output.geo"},
		"no x and y": {`<fcd-export><timestep time="0"><vehicle id="a" speed="3"/></timestep></fcd-export>`, "fcd-output.attributes"},
		"nobody":     {`<fcd-export><timestep time="0"/></fcd-export>`, "none departed"},
	} {
		_, _, err := Record(strings.NewReader(tc.file), "1", discard)
		var p *problem.Error
		if !errors.As(err, &p) || p.Code != problem.NotFound || !strings.Contains(p.Detail, tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// bomb is a whole document in gzip that expands to some hundred times its size.
func bomb(t *testing.T, root string) []byte {
	t.Helper()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err := io.WriteString(z, "<"+root+">"+strings.Repeat("<a/>", 4<<20)+"</"+root+">")
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

func TestNothingIsReadFromWhatExpandsBeyondAllProportion(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]func(io.Reader) error{
		"series":        func(r io.Reader) error { _, err := ReadSeries(r, nil); return err },
		"distributions": func(r io.Reader) error { _, err := ReadDistributions(r); return err },
		"edges":         func(r io.Reader) error { _, err := ReadEdgeData(r); return err },
		"replay": func(r io.Reader) error {
			_, _, err := Record(r, "", func([]byte) error { return nil })
			return err
		},
		"table": func(r io.Reader) error {
			_, err := Scan(r, &xml.Scanner{Element: func(xml.Element) error { return nil }, Lenient: true}, 0)
			return err
		},
	} {
		err := read(bytes.NewReader(bomb(t, "summary")))
		if problem.CodeOf(err) != problem.NotFound || !errors.Is(err, gz.ErrExpands) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The curves of one output must not take all others with them.
	s, err := ReadSeries(strings.NewReader(summary(3, func(i int) int { return i })), bytes.NewReader(bomb(t, "emission-export")))
	if err != nil || s.Complete || s.Curve("running") == nil || s.Curve("co2") != nil {
		t.Errorf("series beside emissions that are not read: complete %t, %v, %v", s.Complete, s.Series, err)
	}
}
