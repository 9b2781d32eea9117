package calibration

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// The values are worked out by hand: 2·(1100−1000)²/2100 = 9.5238, and so on.
func TestGEH(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ m, c, want float64 }{
		{1100, 1000, 3.0861}, {1000, 1100, 3.0861}, {0, 0, 0}, {0, 12.5, 5}, {600, 400, 8.9443}, {0, 800, 40},
	} {
		if got := GEH(test.m, test.c); math.Abs(got-test.want) > 5e-5 {
			t.Errorf("GEH(%g, %g) is %g, want %g", test.m, test.c, got, test.want)
		}
	}
}

func TestTheBandIsWhereTheGEHIsReached(t *testing.T) {
	t.Parallel()
	for _, c := range []float64{12.5, 100, 1000, 5000} {
		low, high := Band(c, Accepted)
		if math.Abs(GEH(low, c)-Accepted) > 1e-9 || math.Abs(GEH(high, c)-Accepted) > 1e-9 || low >= c || high <= c {
			t.Errorf("around %g: %g (%g) to %g (%g)", c, low, GEH(low, c), high, GEH(high, c))
		}
	}
	if low, high := Band(0, Accepted); low != 0 || high != 12.5 {
		t.Errorf("around none: %g to %g", low, high)
	}
}

func TestReadingCounts(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file    string
		want    []Count
		ignored []string
	}{
		"edges in seconds": {
			file: "edge,begin,end,count\ne1,0,900,100\n",
			want: []Count{{2, Edge, []string{"e1"}, 0, 900, 400}},
		},
		"detectors by hour, vehicles per hour": {
			file: "detector,hour,flow\nd,0,100.5\nd,7,0\n",
			want: []Count{{2, Detector, []string{"d"}, 0, 3600, 100.5}, {3, Detector, []string{"d"}, 25200, 28800, 0}},
		},
		"a spreadsheet's file": {
			file:    "\uFEFFStation;Detector;Begin;End;Count\r\n\"A 8; north\";\"d_1 d_0\"; 07:30:00;08:00:00;250\r\n\r\n",
			want:    []Count{{2, Detector, []string{"d_0", "d_1"}, 27000, 28800, 500}},
			ignored: []string{`"Station"`},
		},
		"tabs, and both kinds of places": {
			file: "edge\tdetector\thour\tcount\ne\t\t1\t5\n\td\t1\t6\n",
			want: []Count{{2, Edge, []string{"e"}, 3600, 7200, 5}, {3, Detector, []string{"d"}, 3600, 7200, 6}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ignored, err := Read(strings.NewReader(test.file))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.ignored, ignored); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFaultsOfCountsNameTheirLines(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file string
		code problem.Code
		want []string // the faults, or what the sentence says
	}{
		"nothing":   {"", problem.Invalid, []string{"is empty"}},
		"no counts": {"edge,hour,count\n", problem.Invalid, []string{"no counts below"}},
		"no place":  {"id,hour,count\nx,1,1\n", problem.Invalid, []string{"line 1: there is no column detector or edge."}},
		"two times": {
			"edge,hour,begin,end,count\n", problem.Invalid,
			[]string{"line 1: there must be either begin and end, or hour."},
		},
		"half a time":    {"edge,begin,count\n", problem.Invalid, []string{"line 1: begin and end belong together."}},
		"count and flow": {"edge,hour,count,flow\n", problem.Invalid, []string{"line 1: there must be either count or flow."}},
		"a column twice": {"edge,hour,hour,count\n", problem.Invalid, []string{"line 1: the column hour is there twice."}},
		"too many places": {
			"detector,begin,end,count\n" + strings.ReplaceAll(many(MaxRows/2), "e,", "e f g,"), problem.TooLarge,
			[]string{"more than 20000"},
		},
		"an unfinished quote": {"edge,hour,count\ne,0,1\n\"e,1,1\n", problem.Invalid, []string{"not CSV"}},
		"too many":            {"edge,begin,end,count\n" + many(MaxRows+1), problem.TooLarge, []string{"more than 20000"}},
		"a place of both": {
			"edge,detector,hour,count\ne,d,0,1\n", problem.Invalid,
			[]string{"line 2: must name a detector or an edge, and not both."},
		},
		"a lane twice": {"detector,hour,count\nd d,0,1\n", problem.Invalid, []string{"line 2: names a place twice."}},
		"a row twice": {
			"detector,begin,end,count\na b,0,3600,1\nb a,0,1:0:0,2\n", problem.Invalid,
			[]string{"line 3: has the same place and interval as line 2."},
		},
		"each of several": {
			"edge,hour,count\ne,0,x\ne,1\ne,-1,1\ne,2,-5\ne,3,NaN\n", problem.Invalid,
			[]string{
				"line 2: count must",
				"line 3: has 2 columns where the first line has 3.",
				"line 4: hour must",
				"line 5: count must",
				"line 6: count must",
			},
		},
		"an interval backward": {"edge,begin,end,count\ne,60,0,1\n", problem.Invalid, []string{"line 2: end must be a second after"}},
		"no time": {
			"edge,begin,end,count\ne,noon,0,1\ne,0,9pm,1\n", problem.Invalid,
			[]string{`line 2: begin must be a time in seconds, or as 07:30:00, unlike "noon".`, "line 3: end must"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := Read(strings.NewReader(test.file))
			var p *problem.Error
			if problem.CodeOf(err) != test.code {
				t.Fatal(err)
			}
			p = err.(*problem.Error) //nolint:errorlint // CodeOf found it
			said := []string{p.Detail}
			if strings.HasPrefix(test.want[0], "line") {
				said = nil
				for _, item := range p.Items {
					said = append(said, item.Sentence())
				}
			}
			if len(said) != len(test.want) {
				t.Fatalf("faults %q, want %q", said, test.want)
			}
			for i, want := range test.want {
				if !strings.Contains(said[i], want) {
					t.Errorf("fault %q, want %q", said[i], want)
				}
			}
		})
	}
}

func many(rows int) string {
	var b strings.Builder
	for i := range rows {
		fmt.Fprintf(&b, "e,%d,%d,1\n", i, i+1)
	}
	return b.String()
}

// The run counted d0 in intervals of 300 s until 900 s, d1 in one of 900 s, and edges in two of 450 s, of which e2 is in the second only.
func TestComparing(t *testing.T) {
	t.Parallel()
	c := New([]Count{
		{Line: 2, Kind: Detector, IDs: []string{"d0"}, Begin: 0, End: 600, Flow: 600},
		{Line: 3, Kind: Detector, IDs: []string{"d0", "d1"}, Begin: 0, End: 900, Flow: 400},
		{Line: 4, Kind: Detector, IDs: []string{"d1"}, Begin: 0, End: 450, Flow: 1},
		{Line: 5, Kind: Detector, IDs: []string{"d0"}, Begin: 600, End: 1200, Flow: 60},
		{Line: 6, Kind: Detector, IDs: []string{"d0", "d9"}, Begin: 3600, End: 7200, Flow: 1},
		{Line: 7, Kind: Edge, IDs: []string{"e1"}, Begin: 0, End: 900, Flow: 80},
		{Line: 8, Kind: Edge, IDs: []string{"e2"}, Begin: 0, End: 450, Flow: 0},
		{Line: 9, Kind: Edge, IDs: []string{"e3"}, Begin: 0, End: 900, Flow: 800},
		{Line: 10, Kind: Edge, IDs: []string{"e4"}, Begin: 0, End: 900, Flow: 1},
	})
	for i, n := range []float64{50, 30, 10} {
		c.Detector("d0", 300*float64(i), 300*float64(i+1), n)
	}
	c.Detector("d1", 0, 900, 35)
	c.Detector("other", 0, 900, 1)
	c.Interval(0, 450)
	c.Edge("e1", 10)
	c.Interval(450, 900)
	c.Edge("e1", 15)
	c.Edge("e2", 5)
	c.Exists("e3")
	if diff := cmp.Diff([]string{"e4"}, c.Unseen(Edge)); diff != "" {
		t.Error(diff)
	}
	type row struct {
		Modelled, GEH float64
		Why           string
	}
	const torn = "An interval of the run is only in part in that of the count. Choose the period of the output so that its intervals divide " +
		"those of the counts."
	want := []row{
		{480, 5.1640, ""}, // 80 vehicles in 600 s; 2·120²/1080 = 26.667
		{500, 4.7140, ""}, // 125 in 900 s; 2·100²/900 = 22.222
		{0, 0, torn},
		{0, 0, "The run has values for only 300 of the 600 seconds of this interval."},
		{0, 0, `No result of the run has values of an induction loop with the id "d9". The run has no values for this interval.`},
		{100, 2.1082, ""}, // 25 in 900 s; 2·20²/180 = 4.4444
		{0, 0, ""},
		{0, 40, ""},
		{0, 0, `The run has no values of an edge "e4": the network has none, or the scenario was deleted.`},
	}
	tolerance := cmpopts.EquateApprox(0, 5e-5)
	got := func(drained bool) (rows []row) {
		for _, r := range c.Rows(drained) {
			rows = append(rows, row{r.Modelled, r.GEH, r.Why})
		}
		return rows
	}
	if diff := cmp.Diff(want, got(false), tolerance); diff != "" {
		t.Error(diff)
	}
	// Of the five rows that can be compared three are below 5. The differences are −120, 100, 20, 0 and −800.
	summary := Summary{Compared: 5, Below: 3, RMSE: math.Sqrt((120*120 + 100*100 + 20*20 + 800*800) / 5.0), Bias: -160}
	if diff := cmp.Diff(summary, Summarise(c.Rows(false)), tolerance); diff != "" {
		t.Error(diff)
	}
	want[3] = row{60, 0, ""} // nobody was left at 900 s: 10 vehicles in 600 s
	if diff := cmp.Diff(want, got(true), tolerance); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Summary{}, Summarise(nil)); diff != "" {
		t.Error(diff)
	}
}

func TestValuesOfTwoDefinitionsInOneFileAreNotAdded(t *testing.T) {
	t.Parallel()
	c := New([]Count{{Line: 2, Kind: Edge, IDs: []string{"e"}, End: 60}})
	for range 2 {
		c.Interval(0, 60)
		c.Edge("e", 1)
	}
	if rows := c.Rows(true); !strings.Contains(rows[0].Why, "several values") {
		t.Errorf("%+v", rows)
	}
}

// Whatever is read can be compared, and has finite numbers.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"edge,begin,end,count\ne1,0,900,100\n", "detector;hour;flow\r\n\"d_0 d_1\";7;12.5\r\n", "\uFEFFedge\thour\tcount\ne\t1\t1\n",
		"edge,begin,end,flow\ne,1:0:0,01:15:00,0x1p4\n", "a\"b,c\n", "edge,hour,count\n\n,,\n", "edge,hour,count\ne,2147483647,1e6\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file string) {
		counts, _, err := Read(strings.NewReader(file))
		if err != nil {
			if code := problem.CodeOf(err); code != problem.Invalid && code != problem.TooLarge {
				t.Fatalf("%q: %v", file, err)
			}
			return
		}
		c := New(counts)
		for _, row := range counts {
			for _, id := range row.IDs {
				c.Detector(id, row.Begin, row.End, 3)
			}
			c.Interval(row.Begin, row.End)
			for _, id := range row.IDs {
				c.Edge(id, 3)
			}
		}
		for _, row := range c.Rows(false) {
			if math.IsNaN(row.GEH) || math.IsInf(row.GEH, 0) || row.Line < 2 || row.End <= row.Begin || len(row.IDs) == 0 {
				t.Errorf("%q: %+v", file, row)
			}
		}
	})
}
