package study

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/statistics"
)

// numbers are a study of two variants at two demands, with as many seeds as each point has values of one metric. NaN is a run that failed.
func numbers(metric string, points [4][]float64) *Data {
	s := Study{
		State: Running, MetricNames: simulation.MetricNames(),
		Plan: Plan{
			Variants: []Variant{{Name: "base"}, {Name: "green wave"}},
			Axes:     []Axis{{Name: "demand", Set: "scale", Values: []json.RawMessage{json.RawMessage("0.8"), json.RawMessage("1.2")}}},
			Baseline: &Baseline{Variant: "base"}, Metrics: []string{metric},
		},
	}
	var all []Point
	var results []Result
	for i, values := range points {
		all = append(all, Point{
			Number: i, Variant: s.Plan.Variants[i/2].Name, Setting: Setting{{Axis: "demand", Value: s.Plan.Axes[0].Values[i%2]}},
		})
		for r, v := range values {
			one := Result{Point: i, Replication: r, State: job.Succeeded, SumoVersion: "1.28.0", Metrics: make([]float64, len(s.MetricNames))}
			for m, name := range s.MetricNames {
				one.Metrics[m] = math.NaN()
				if name == metric {
					one.Metrics[m] = v
				}
			}
			if math.IsNaN(v) {
				one.State, one.Reason = job.Failed, simulation.DeadlineExceeded
			}
			results = append(results, one)
			if r >= len(s.Seeds) {
				s.Seeds = append(s.Seeds, int64(r+1))
			}
		}
	}
	return NewData(s, all, results)
}

func TestVerdictsInWords(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	base := []float64{70, 74, 71, 78, 73, 75}
	shifted := func(by float64, noise ...float64) []float64 {
		out := make([]float64, len(base))
		for i, v := range base {
			out[i] = v + by
			if len(noise) > 0 {
				out[i] += noise[i%len(noise)]
			}
		}
		return out
	}
	for name, tc := range map[string]struct {
		points [4][]float64 // base 0.8, base 1.2, green wave 0.8, green wave 1.2
		want   [2]string
	}{
		"lower, and not told apart": {
			[4][]float64{base, base, shifted(-12, 0.4, -0.5, 0.2), shifted(0, 3, -2.5, -1)},
			[2]string{
				"Mean time loss of green wave, demand 0.8 against base, demand 0.8: " +
					"lower by 11.97 s (95 %: 11.52 to 12.41), n = 6, paired by seed.",
				"Mean time loss of green wave, demand 1.2 against base, demand 1.2: " +
					"not told apart from chance with n = 6 (95 %: lower by 2.8 s to higher by 2.5 s).",
			},
		},
		"told apart by itself": {
			[4][]float64{base, base, shifted(2, 2.6, -1.6, 0.5, -2.6, 1.4, 2.9), shifted(0, 3, -2.5, -1)},
			[2]string{
				"Mean time loss of green wave, demand 0.8 against base, demand 0.8: " +
					"told apart by itself, not among the 2 comparisons of this study: " +
					"higher by 2.5 s (95 %: 0.2 to 4.9), n = 6, paired by seed.",
				"Mean time loss of green wave, demand 1.2 against base, demand 1.2: " +
					"not told apart from chance with n = 6 (95 %: lower by 2.8 s to higher by 2.5 s).",
			},
		},
		"a point without a success, and one seed": {
			[4][]float64{base, {70}, {nan, nan, nan, nan, nan, nan}, {71}},
			[2]string{
				"Mean time loss of green wave, demand 0.8 against base, demand 0.8: " +
					"nothing to be said with n = 0: two runs of each point at least. " +
					"Incomplete: 6 of 6 runs of green wave, demand 0.8 ended without a result.",
				"Mean time loss of green wave, demand 1.2 against base, demand 1.2: " +
					"nothing to be said with n = 1: two runs of each point at least.",
			},
		},
		"nothing varies": {
			[4][]float64{{5, 5}, {6.1, 6.3}, {5, 5}, {6.3, 6.5}},
			[2]string{
				"Mean time loss of green wave, demand 0.8 against base, demand 0.8: " +
					"no difference in any of 2 pairs of runs; nothing varies, so there is no test.",
				"Mean time loss of green wave, demand 1.2 against base, demand 1.2: " +
					"higher by 0.2 s in each of 2 pairs of runs; nothing varies, so there is no test.",
			},
		},
		"seeds that do not pair": {
			[4][]float64{{70, 74, 71, nan, nan, nan}, base, {nan, nan, nan, 40, 43, 41}, base},
			[2]string{
				"Mean time loss of green wave, demand 0.8 against base, demand 0.8: " +
					"lower by 30.3 s (95 %: 26.0 to 34.6), n = 3, not paired, Welch's test. " +
					"Incomplete: 3 of 6 runs of green wave, demand 0.8 ended without a result. " +
					"Incomplete: 3 of 6 runs of base, demand 0.8 ended without a result.",
				"Mean time loss of green wave, demand 1.2 against base, demand 1.2: " +
					"no difference in any of 6 pairs of runs; nothing varies, so there is no test.",
			},
		},
		"nothing varies, and seeds do not pair": {
			[4][]float64{{7, 7, nan, nan}, base, {nan, nan, 5, 5}, base},
			[2]string{
				"Mean time loss of green wave, demand 0.8 against base, demand 0.8: " +
					"lower by 2 s in all runs of both; nothing varies, so there is no test. " +
					"Incomplete: 2 of 6 runs of green wave, demand 0.8 ended without a result. " +
					"Incomplete: 2 of 6 runs of base, demand 0.8 ended without a result.",
				"Mean time loss of green wave, demand 1.2 against base, demand 1.2: " +
					"no difference in any of 6 pairs of runs; nothing varies, so there is no test.",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := numbers("mean_time_loss", tc.points)
			c := d.Compare(statistics.At(0.95), *d.Study.Plan.Baseline, d.Metrics())
			if len(c.All) != 2 || c.Family != 2 {
				t.Fatalf("%d comparisons, family %d", len(c.All), c.Family)
			}
			if diff := cmp.Diff(tc.want, [2]string{c.All[0].Sentence, c.All[1].Sentence}); diff != "" {
				t.Errorf("sentences (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheFamilyIsAllComparisonsWhateverIsShown(t *testing.T) {
	t.Parallel()
	base, other := []float64{70, 74, 71, 78}, []float64{69, 72, 70, 77.5}
	d := numbers("mean_time_loss", [4][]float64{base, base, other, base})
	d.Study.Plan.Metrics = []string{"mean_time_loss", "mean_speed"}
	m, _ := simulation.MeasureOf("mean_time_loss")
	c := d.Compare(statistics.At(0.95), *d.Study.Plan.Baseline, []simulation.Measure{m})
	if c.Family != 4 || len(c.All) != 2 {
		t.Errorf("family %d, %d comparisons shown", c.Family, len(c.All))
	}
	if got, want := c.All[0].Adjusted, min(1, 4*c.All[0].P); math.Abs(got-want) > 1e-15 {
		t.Errorf("adjusted p %v, want %v", got, want)
	}
}

func TestBaselines(t *testing.T) {
	t.Parallel()
	values := []float64{1, 2}
	d := numbers("mean_time_loss", [4][]float64{values, values, values, values})
	for text, want := range map[string]string{
		"":                             "2-0 3-1",
		"green wave":                   "0-2 1-3",
		`{"values": {"demand": 0.80}}`: "1-0 3-2",
		`{"variant": "base", "values": {"demand": 1.2}}`: "0-1 2-1 3-1",
		"red wave":                  "none of the variants; there are base, green wave",
		`{"values": {"supply": 1}}`: "none of the axes; there are demand",
		`{"values": {"demand": 7}}`: "none of the axis's values; there are 0.8, 1.2",
		`{"variant"`:                "or JSON",
	} {
		b, err := d.Study.Plan.FindBaseline(text)
		if err != nil {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", text, err, want)
			}
			continue
		}
		pairs, _ := b.pairs(d.Points)
		var got []string
		for _, p := range pairs {
			got = append(got, fmt.Sprintf("%d-%d", p[0], p[1]))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", text, got, want)
		}
	}
	d.Study.Plan.Baseline = nil
	if _, err := d.Study.Plan.FindBaseline(""); err == nil || !strings.Contains(err.Error(), "baseline=base") {
		t.Errorf("no baseline: %v", err)
	}
}

func TestMissingRunsStayVisible(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	d := numbers("mean_time_loss", [4][]float64{{1, 2, 3}, {1, 2}, {nan, nan, 3}, {1, nan, 3}})
	fates := d.Fates()
	for i, want := range [4][3]int{{3, 0, 0}, {2, 0, 1}, {1, 2, 0}, {2, 1, 0}} {
		if got := [3]int{fates[i].Succeeded, fates[i].Missing, fates[i].Open}; got != want {
			t.Errorf("point %d: succeeded, missing, open are %v, want %v", i, got, want)
		}
	}
	if fates[2].Reasons[simulation.DeadlineExceeded] != 2 {
		t.Errorf("reasons: %v", fates[2].Reasons)
	}
	notes := strings.Join(d.Notes(d.Metrics()), "\n")
	for _, want := range []string{"3 of the runs, at 2 of the points, ended without a result", "1 of the runs have not ended"} {
		if !strings.Contains(notes, want) {
			t.Errorf("notes lack %q:\n%s", want, notes)
		}
	}
	const biased = "Runs do not fail at random"
	if !strings.Contains(notes, biased) {
		t.Errorf("notes lack %q:\n%s", biased, notes)
	}
	for i, r := range d.Results {
		if r.State == job.Failed {
			d.Results[i].State, d.Results[i].Reason = job.Cancelled, simulation.Cancelled
		}
	}
	if reasons := d.Fates()[2].Reasons; reasons[simulation.Cancelled] != 2 || len(reasons) != 1 {
		t.Errorf("reasons of cancelled runs: %v", reasons)
	}
	notes = strings.Join(d.Notes(d.Metrics()), "\n")
	if strings.Contains(notes, biased) || !strings.Contains(notes, "3 of the runs, at 2 of") {
		t.Errorf("notes on cancelled runs:\n%s", notes)
	}
	for i, r := range d.Results {
		if r.State == job.Cancelled && r.Point == 2 {
			d.Results[i].State, d.Results[i].Reason = job.Failed, simulation.InvalidScenario
		}
	}
	notes = strings.Join(d.Notes(d.Metrics()), "\n")
	if strings.Contains(notes, biased) || !strings.Contains(notes, "2 could not be run as planned, and a retry does not change that: fix") {
		t.Errorf("notes on runs whose scenario is invalid:\n%s", notes)
	}
}

// A gridlock leaves most vehicles on the road. Over the trips that ended, all may look better than without it.
func TestVehiclesThatDidNotArriveStayVisible(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		metric                     string
		running, waiting, finished float64 // at green wave, demand 0.8
		unfinishedTrips            bool
		share                      string // that is left out there; empty if nothing is said
	}{
		"of a mean over trips":              {"mean_time_loss", 156, 163, 241, false, "57 %"},
		"of a sum over trips":               {"total_travel_time", 156, 163, 241, false, "57 %"},
		"of trips by class":                 {"mean_time_loss@vClass=bus", 156, 163, 241, false, "57 %"},
		"which are waiting still":           {"mean_time_loss", 156, 163, 241, true, "29 %"},
		"all of which count":                {"mean_time_loss", 319, 0, 241, true, ""},
		"as at the end of any interval":     {"mean_time_loss", 20, 0, 540, false, ""},
		"which the metric counts":           {"vehicles_finished", 156, 163, 241, false, ""},
		"of a scenario without a vehicle":   {"mean_time_loss", 0, 0, 0, false, ""},
		"of which not even one has arrived": {"mean_depart_delay", 100, 0, 0, false, "100 %"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			values := []float64{70, 74, 71}
			d := numbers(tc.metric, [4][]float64{values, values, {60, 63, 61}, values})
			for p := range d.Points {
				d.Points[p].Options.UnfinishedTrips = tc.unfinishedTrips
				of := map[string]float64{"vehicles_running": 0, "vehicles_waiting": 0, "vehicles_finished": 560}
				if p == 2 {
					of = map[string]float64{"vehicles_running": tc.running, "vehicles_waiting": tc.waiting, "vehicles_finished": tc.finished}
				}
				for metric, v := range of {
					if d.values[metric] == nil {
						d.values[metric] = make([][]float64, len(d.Points))
					}
					d.values[metric][p] = []float64{v, v, v}
				}
			}
			shown := Measures([]string{tc.metric})
			c := d.Compare(statistics.At(0.95), *d.Study.Plan.Baseline, shown)
			sentence := " Left out: " + tc.share + " of the vehicles of green wave, demand 0.8, which had not arrived at the end."
			note := "At 1 of the 4 points vehicles had not arrived at the end: " + tc.share + " of them at green wave, demand 0.8."
			notes := strings.Join(d.Notes(shown), "\n")
			if tc.share == "" {
				sentence, note = "Left out", "had not arrived"
			}
			for _, one := range c.All {
				if one.Point == 2 && overTrips(one.Metric) && (one.Verdict != Lower || (one.Better != nil) != (tc.share == "")) {
					t.Errorf("the verdict is %s, better off: %v", one.Verdict, one.Better)
				}
				if got := strings.Contains(one.Sentence, sentence); got != (tc.share != "" && one.Point == 2) {
					t.Errorf("the sentence is %q, want it with %q: %t", one.Sentence, sentence, !got)
				}
			}
			if got := strings.Contains(notes, note); got != (tc.share != "") {
				t.Errorf("the notes are %q, want %q among them: %t", notes, note, !got)
			}
		})
	}
}

// With a short time-to-teleport SUMO lifts vehicles past a jam, and the delay that they would have had there is nobody's.
func TestVehiclesThatWereMovedPastJamsStayVisible(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		metric    string
		teleports float64 // of 560 vehicles at green wave, demand 0.8
		says      string  // empty if nothing is said
	}{
		"of a mean over trips":           {"mean_time_loss", 75, "13 teleports for 100 vehicles"},
		"of a sum over trips":            {"total_travel_time", 75, "13 teleports for 100 vehicles"},
		"more often than there are any":  {"mean_time_loss", 1120, "200 teleports for 100 vehicles"},
		"a few, as in any large network": {"mean_time_loss", 20, ""},
		"of a count of all":              {"vehicles_finished", 75, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			values := []float64{70, 74, 71}
			d := numbers(tc.metric, [4][]float64{values, values, {60, 63, 61}, values})
			moved := []float64{0, 0, tc.teleports, 0}
			for metric, of := range map[string]func(point int) float64{
				"teleports": func(point int) float64 { return moved[point] }, "vehicles_inserted": func(int) float64 { return 560 },
			} {
				d.values[metric] = make([][]float64, len(d.Points))
				for p := range d.Points {
					d.values[metric][p] = []float64{of(p), of(p), of(p)}
				}
			}
			shown := Measures([]string{tc.metric})
			c := d.Compare(statistics.At(0.95), *d.Study.Plan.Baseline, shown)
			for _, one := range c.All {
				if one.Point == 2 && overTrips(one.Metric) && (one.Verdict != Lower || (one.Better != nil) != (tc.says == "")) {
					t.Errorf("the verdict is %s, better off: %v", one.Verdict, one.Better)
				}
				want := tc.says != "" && one.Point == 2
				if got := strings.HasSuffix(one.Sentence, " Moved past jams: "+tc.says+" of green wave, demand 0.8."); got != want {
					t.Errorf("the sentence is %q, want it with %q: %t", one.Sentence, tc.says, want)
				}
			}
			note := "At 1 of the 4 points SUMO moved vehicles past jams: " + tc.says + " at green wave, demand 0.8."
			if notes := strings.Join(d.Notes(shown), "\n"); strings.Contains(notes, "past jams") != (tc.says != "") ||
				tc.says != "" && !strings.Contains(notes, note) {
				t.Errorf("the notes are %q, want %q", notes, note)
			}
		})
	}
}

func TestAMetricWithoutAValueSaysWhy(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	for name, tt := range map[string]struct {
		shown, measured string
		points          [4][]float64 // of measured
		outputs         []simulation.Output
		want            string
	}{
		"persons": {
			"persons_finished", "vehicles_loaded", [4][]float64{{1}, {1}, {1}, {1}}, nil,
			" a value of Persons finished: there were no persons.",
		},
		"persons of unknown fate": {
			"persons_finished", "persons_loaded", [4][]float64{{1}, {1}, {1}, {1}}, nil, " a value of Persons finished.",
		},
		"emissions": {
			"emissions_co2", "vehicles_loaded", [4][]float64{{1}, {1}, {1}, {1}}, nil,
			" a value of Emissions co2: the output emission was not asked for.",
		},
		"emissions of nothing": {
			"fuel", "vehicles_loaded", [4][]float64{{1}, {1}, {1}, {1}}, []simulation.Output{simulation.OutputEmission}, " a value of Fuel.",
		},
		"no trips": {
			"mean_time_loss", "vehicles_finished", [4][]float64{{0}, {0}, {0}, {0}}, nil, " a value of Mean time loss: no vehicle had arrived.",
		},
		"trips that are not read": {"mean_time_loss", "vehicles_finished", [4][]float64{{0}, {9}, {0}, {0}}, nil, " a value of Mean time loss."},
		"a class": {
			"mean_time_loss@vClass=bus", "mean_time_loss", [4][]float64{{1}, {1}, {1}, {1}}, nil,
			" a value of Mean time loss (vClass bus): no vehicle of that class had a trip that counts.",
		},
		"all but failed runs": {"persons_finished", "vehicles_loaded", [4][]float64{{1}, {nan}, {1}, {1}}, nil, ": there were no persons."},
		"some points": {
			"vehicles_loaded", "vehicles_loaded", [4][]float64{{1}, {math.Inf(1)}, {1}, {1}}, nil, "Vehicles loaded at 1 of the 4 points.",
		},
		"no run": {"persons_finished", "vehicles_loaded", [4][]float64{{nan}, {nan}, {nan}, {nan}}, nil, ""},
		"all":    {"vehicles_loaded", "vehicles_loaded", [4][]float64{{1}, {1}, {1}, {1}}, nil, ""},
	} {
		d := numbers(tt.measured, tt.points)
		for i := range d.Points {
			d.Points[i].Options.Outputs = tt.outputs
		}
		m, _ := simulation.MeasureOf(tt.shown)
		var got []string
		for _, note := range d.Notes([]simulation.Measure{m}) {
			if strings.HasPrefix(note, "No successful run") {
				got = append(got, note)
			}
		}
		if text := strings.Join(got, "\n"); (tt.want == "") != (text == "") || !strings.HasSuffix(text, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	d := numbers("vehicles_loaded", [4][]float64{{1}, {1}, {1}, {1}})
	var three []simulation.Measure
	for _, name := range []string{"fuel", "persons_loaded", "emissions_co2"} {
		m, _ := simulation.MeasureOf(name)
		three = append(three, m)
	}
	notes := d.Notes(three)
	want := []string{
		"No successful run has a value of Fuel, Emissions co2: the output emission was not asked for.",
		"No successful run has a value of Persons loaded: there were no persons.",
	}
	if diff := cmp.Diff(want, notes[1:]); diff != "" {
		t.Errorf("of several metrics (-want +got):\n%s", diff)
	}
}

func TestSuccessfulRunsWithoutAValueStayVisible(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	d := numbers("mean_time_loss", [4][]float64{{1, 2, 3}, {1, 2, 3}, {nan, nan, 3}, {1, nan, 3}})
	const unmeasured = "succeeded without a value"
	if notes := strings.Join(d.Notes(Measures(d.Study.Plan.Metrics)), "\n"); strings.Contains(notes, unmeasured) {
		t.Errorf("notes on failed runs:\n%s", notes)
	}
	for i := range d.Results {
		d.Results[i].State, d.Results[i].Reason = job.Succeeded, ""
	}
	notes := strings.Join(d.Notes(Measures(d.Study.Plan.Metrics)), "\n")
	if !strings.Contains(notes, "3 of the runs, at 2 of the points, "+unmeasured) ||
		!strings.Contains(notes, ": Mean time loss.") {
		t.Errorf("notes lack %q:\n%s", unmeasured, notes)
	}
}

func TestRunsThatNeverBeganChangeNothing(t *testing.T) {
	t.Parallel()
	d := numbers("mean_time_loss", [4][]float64{{1, 2, 3}, {1, 2, 3}, {1, 2}, {1}})
	for state, want := range map[State]string{
		Running:   "3 of the runs have not ended: these numbers will change.",
		Cancelled: "3 of the runs never began, because the study was stopped.",
	} {
		d.Study.State = state
		if notes := d.Notes(d.Metrics()); notes[len(notes)-1] != want {
			t.Errorf("%s: %q, want %q", state, notes, want)
		}
	}
}

func TestResultsBeyondTheStudyAreLeftOut(t *testing.T) {
	t.Parallel()
	values := []float64{1, 2}
	d := numbers("mean_time_loss", [4][]float64{values, values, values, values})
	more := append([]Result{{Point: 4, State: job.Succeeded}, {Replication: 2, State: job.Succeeded}}, d.Results...)
	if got := NewData(d.Study, d.Points, more); len(got.Results) != 8 || got.Fates()[0].Open != 0 {
		t.Errorf("%d results, point 0 is %+v", len(got.Results), got.Fates()[0])
	}
}

// Numbers at the edge of what a float64 holds overflow on the way to a mean or a spread.
func TestExtremeNumbersHaveAnswers(t *testing.T) {
	t.Parallel()
	extreme := []float64{math.MaxFloat64, largest, -largest, math.SmallestNonzeroFloat64, 0, 1, math.Inf(1), math.Inf(-1), math.NaN()}
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var points [4][]float64
		for p := range points {
			for range 5 {
				points[p] = append(points[p], extreme[r.IntN(len(extreme))])
			}
		}
		d := numbers("mean_time_loss", points)
		d.Study.Plan.Replications.Until = &Aim{RelativeHalfWidth: 0.05, Max: 12, Of: []string{ofMean, ofDifference}[r.IntN(2)]}
		if next := d.Next(); len(next) > 5 {
			t.Fatalf("%v: %d further seeds", points, len(next))
		}
		_ = d.Remark()
		level := statistics.At(0.95)
		for _, e := range d.Statistics(level, d.Metrics(), nil) {
			if e.Needed < 0 || e.Needed > statistics.MostNeeded {
				t.Fatalf("%v: %+v", points, e)
			}
		}
		for _, c := range d.Compare(level, *d.Study.Plan.Baseline, d.Metrics()).All {
			if strings.Contains(c.Words, "NaN") || strings.Contains(c.Words, "Inf") {
				t.Fatalf("%v: %s", points, c.Words)
			}
		}
	}
}

func TestRareCountsNeedNoRunsForAShareOfTheirMean(t *testing.T) {
	t.Parallel()
	few := []float64{0, 1, 0, 2}
	for name, tc := range map[string]struct {
		metric string
		aim    *Aim
		needed bool
	}{
		"a mean":                      {"mean_time_loss", nil, true},
		"a count":                     {"teleports", nil, false},
		"a count, with a share":       {"teleports", &Aim{RelativeHalfWidth: 0.05}, false},
		"a count, with a half width":  {"teleports", &Aim{RelativeHalfWidth: 0.05, Absolute: map[string]float64{"teleports": 1}}, true},
		"a mean that is not aimed at": {"mean_time_loss", &Aim{Absolute: map[string]float64{"teleports": 1}}, false},
	} {
		d := numbers(tc.metric, [4][]float64{few, few, few, few})
		for _, e := range d.Statistics(statistics.At(0.95), d.Metrics(), tc.aim) {
			if (e.Needed > 0) != tc.needed {
				t.Errorf("%s: point %d needs %d runs", name, e.Point, e.Needed)
			}
		}
	}
}

func TestRoundsOfASequentialStudy(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	wide, narrow := []float64{60, 90, 75, 80, 70}, []float64{74, 75, 74.5, 75.2, 74.8}
	for name, tc := range map[string]struct {
		aim    Aim
		points [4][]float64
		want   int // seeds of the next round
	}{
		"every point has its aim":       {Aim{RelativeHalfWidth: 0.05, Max: 30}, [4][]float64{narrow, narrow, narrow, narrow}, 0},
		"the widest point asks for all": {Aim{RelativeHalfWidth: 0.12, Max: 30}, [4][]float64{narrow, wide, narrow, narrow}, 4},
		"a round doubles at most":       {Aim{RelativeHalfWidth: 0.01, Max: 30}, [4][]float64{narrow, wide, narrow, narrow}, 5},
		"no more than max":              {Aim{RelativeHalfWidth: 0.01, Max: 7}, [4][]float64{narrow, wide, narrow, narrow}, 2},
		"max is reached":                {Aim{RelativeHalfWidth: 0.01, Max: 5}, [4][]float64{narrow, wide, narrow, narrow}, 0},
		"a point without results asks nothing": {
			Aim{RelativeHalfWidth: 0.05, Max: 30}, [4][]float64{narrow, {nan, nan, nan, nan, nan}, narrow, narrow}, 0,
		},
		"a single value asks for another": {
			Aim{RelativeHalfWidth: 0.05, Max: 30}, [4][]float64{narrow, {74, nan, nan, nan, nan}, narrow, narrow}, 1,
		},
		"a mean of zero has no relative aim": {Aim{RelativeHalfWidth: 0.05, Max: 30}, [4][]float64{{-1, 1}, narrow, narrow, narrow}, 0},
		"an absolute half width": {
			Aim{Absolute: map[string]float64{"mean_time_loss": 20}, Max: 30}, [4][]float64{wide, wide, wide, wide}, 0,
		},
		"a metric without an aim": {
			Aim{Absolute: map[string]float64{"teleports": 2}, Max: 30}, [4][]float64{wide, wide, wide, wide}, 0,
		},
		"differences vary less than means": {Aim{RelativeHalfWidth: 0.05, Of: "difference", Max: 30}, [4][]float64{wide, wide, wide, wide}, 0},
		"differences to an uneven baseline": {
			Aim{RelativeHalfWidth: 0.05, Of: "difference", Max: 30}, [4][]float64{wide, wide, narrow, wide}, 5,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := numbers("mean_time_loss", tc.points)
			d.Study.Plan.Replications.Until = &tc.aim
			next := d.Next()
			if len(next) != tc.want {
				t.Fatalf("%d seeds, want %d", len(next), tc.want)
			}
			if diff := cmp.Diff(NextSeeds([]int64{1, 2, 3, 4, 5}, tc.want), next); diff != "" {
				t.Errorf("next seeds (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNextSeedsAreNew(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff([]int64{1, 3, 5}, NextSeeds([]int64{2, 4, 23423}, 3)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
