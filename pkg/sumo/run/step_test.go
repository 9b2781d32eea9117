package run

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/gz"
)

func TestParseStep(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]step{
		"Step #200.00 (5ms ~= 200.00*RT, ~37400.00UPS, vehicles TOT 223 ACT 187 BUF 4)          ": {200, true, 223, 187, 4},
		"Step #0.00 (0ms ?*RT. ?UPS, vehicles TOT 0 ACT 0 BUF 0)":                                 {time: 0, counted: true},
		"Step #-10.50 (0ms ?*RT. ?UPS, vehicles TOT 1 ACT 1 BUF 0)":                               {-10.5, true, 1, 1, 0},
		"Step #100.00": {time: 100},
		"Step #00:01:40 (0ms ?*RT. ?UPS, vehicles TOT 1 ACT 0 BUF 0)": {100, true, 1, 0, 0},
		"Step #100.00 (0ms, vehicles TOT x ACT 1 BUF 2)":              {time: 100},
		"Step #100.00 (0ms, vehicles TOT 5":                           {time: 100},
	} {
		if got, ok := parseStep(line); !ok || got != want {
			t.Errorf("%q: got %+v, %v", line, got, ok)
		}
	}
	for _, line := range []string{"", "Step #", "Step #x", "Step #NaN (", "Step #+Inf", "Steps #1.00", " Step #1.00", "Reason: Step #1"} {
		if got, ok := parseStep(line); ok {
			t.Errorf("%q was taken for a step: %+v", line, got)
		}
	}
}

// TestTheTimeOfAKilledRunIsNotCutOff reads what SUMO had sent of a step line when it was killed.
func TestTheTimeOfAKilledRunIsNotCutOff(t *testing.T) {
	t.Parallel()
	const before = "Step #204.00 (0ms ?*RT. ?UPS, vehicles TOT 9 ACT 3 BUF 0)"
	for name, test := range map[string]struct {
		lines []string
		want  float64
	}{
		"within the step":     {[]string{before, "Step #205.00"}, 205},
		"within the number":   {[]string{before, "Step #20"}, 204},
		"within the decimals": {[]string{before, "Step #205."}, 205},
		"in the first step":   {[]string{"Step #-5.00"}, -5},
		"begun again":         {[]string{before, "Step #1.00 (0ms ?*RT. ?UPS, vehicles TOT 0 ACT 0 BUF 0)"}, 1},
	} {
		log, err := openLogbook(filepath.Join(t.TempDir(), simulation.LogFile), time.Now(), io.Discard, strings.NewReplacer())
		if err != nil {
			t.Fatal(err)
		}
		progress, err := openProgress("", nil)
		if err != nil {
			t.Fatal(err)
		}
		m := newMonitor(log, progress, settings{})
		for _, line := range test.lines {
			m.stdout(line)
		}
		if got := m.observed().last.time; got != test.want {
			t.Errorf("%s: the simulation was at %g, want %g", name, got, test.want)
		}
	}
}

func FuzzParseStep(f *testing.F) {
	f.Add("Step #200.00 (5ms ~= 200.00*RT, ~37400.00UPS, vehicles TOT 223 ACT 187 BUF 0)")
	f.Add("Step #100.00")
	f.Add("Step #1e309 vehicles TOT 99999999999999999999 ACT 1 BUF 1")
	f.Fuzz(func(t *testing.T, line string) {
		s, ok := parseStep(line)
		if math.IsNaN(s.time) || math.IsInf(s.time, 0) {
			t.Errorf("time %v", s.time)
		}
		if !ok && s != (step{}) || !s.counted && (s.departed != 0 || s.running != 0 || s.waiting != 0) {
			t.Errorf("half a step: %+v", s)
		}
	})
}

func TestSplitterYieldsTheSameLinesHoweverTheyArrive(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOf(rapid.StringMatching(`[a-z#. ]{0,20}`)).Draw(t, "lines")
		ends := rapid.SliceOfN(rapid.SampledFrom([]string{"\r", "\n", "\r\n"}), len(lines), len(lines)).Draw(t, "ends")
		var text string
		var want []string
		for i, line := range lines {
			text += line + ends[i]
			if line = strings.TrimRight(line, " "); line != "" {
				want = append(want, line)
			}
		}
		var got []string
		s := &splitter{yield: func(line string) { got = append(got, line) }}
		for text != "" {
			n := rapid.IntRange(1, len(text)).Draw(t, "n")
			if wrote, err := s.Write([]byte(text[:n])); wrote != n || err != nil {
				t.Fatal(wrote, err)
			}
			text = text[n:]
		}
		s.flush()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestSplitterCutsEndlessLines(t *testing.T) {
	t.Parallel()
	var got []string
	s := &splitter{yield: func(line string) { got = append(got, line) }}
	for range 100 {
		_, _ = s.Write(bytes.Repeat([]byte("x"), 1000))
	}
	_, _ = s.Write([]byte("\nnext\n"))
	if len(got) != 2 || len(got[0]) != maxLine || got[1] != "next" {
		t.Errorf("%d lines", len(got))
	}
}

func TestFractionOfARun(t *testing.T) {
	t.Parallel()
	bounded := settings{begin: 100, end: seconds(300)}
	open := settings{}
	for _, tc := range []struct {
		s      settings
		at     step
		demand float64
		want   float64
	}{
		{bounded, step{time: 100}, 0, 0},
		{bounded, step{time: 150}, 0, 0.25},
		{bounded, step{time: 50}, 0, 0},
		{bounded, step{time: 400}, 0, 1},
		{settings{begin: 100, end: seconds(100)}, step{time: 100}, 0, 0},
		{open, step{time: 100, departed: 10, running: 5}, 0, 0},
		{open, step{time: 100, departed: 10, running: 5}, 20, 0.25},
		{open, step{time: 100, departed: 50, running: 5}, 20, 1},
	} {
		if got := tc.s.fraction(tc.at, tc.demand); got != tc.want {
			t.Errorf("%+v at %+v of %v: got %v, want %v", tc.s, tc.at, tc.demand, got, tc.want)
		}
	}
}

func TestARunHasAThousandStepLinesAtMost(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		s    settings
		want int
	}{
		{settings{stepLength: 1}, openEndPeriod},
		{settings{stepLength: 1, end: seconds(900)}, 1},
		{settings{stepLength: 1, end: seconds(3600)}, 4},
		{settings{stepLength: 0.1, end: seconds(3600)}, 36},
		{settings{stepLength: 1, begin: 3600, end: seconds(3600 * 25)}, 87},
		{settings{stepLength: 1, begin: 10, end: seconds(5)}, 1},
		{settings{stepLength: 1e-3, end: seconds(1e18)}, 1e6},
	} {
		if got := tc.s.logPeriod(); got != tc.want {
			t.Errorf("%+v: %d, want %d", tc.s, got, tc.want)
		}
	}
}

func TestSUMOHoldsBackFewStepLines(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(filepath.Join(bufferLibrary, "libstdbuf.so")); err != nil {
		t.Skip(err)
	}
	for _, tc := range []struct {
		r    Run
		want string // the buffer in bytes; empty for that of C
	}{
		{Run{}, "256"},
		{Run{study: true}, "1024"},
		{Run{study: true, brief: true}, ""},
		{Run{Options: simulation.Options{Check: true}}, "0"},
	} {
		got := ""
		for _, variable := range tc.r.buffering() {
			if size, found := strings.CutPrefix(variable, "_STDBUF_O="); found {
				got = size
			}
		}
		if got != tc.want {
			t.Errorf("study %v, brief %v, check %v: %q, want %q", tc.r.study, tc.r.brief, tc.r.Options.Check, got, tc.want)
		}
	}
}

func TestEdgeDataHasAHundredIntervalsAtMost(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		s    settings
		want float64 // seconds
	}{
		{settings{}, 300},
		{settings{end: seconds(90)}, 60},
		{settings{end: seconds(6000)}, 60},
		{settings{end: seconds(6001)}, 120},
		{settings{begin: 21600, end: seconds(36000)}, 300},
		{settings{end: seconds(86400)}, 900},
		{settings{end: seconds(100 * 3600)}, 3600},
		{settings{end: seconds(100*3600 + 1)}, 7200},
	} {
		if got := tc.s.edgeDataPeriod(); got != tc.want {
			t.Errorf("%+v: %v s, want %v s", tc.s, got, tc.want)
		}
	}
}

func TestSettingsAreThoseOfTheOptions(t *testing.T) {
	t.Parallel()
	none := map[simulation.Output]string{}
	for name, tc := range map[string]struct {
		options []scenario.Option
		want    settings
	}{
		"none": {nil, settings{stepLength: 1, scale: 1, routeSteps: 200, own: none}},
		"outputs": {[]scenario.Option{
			{Name: "summary-output", Files: []string{"out/s.xml"}, Writes: true},
			{Name: "tripinfo-output", Files: []string{os.DevNull}, Writes: true},
			{Name: "statistic-output", Files: []string{"stats.xml"}, Writes: true},
			{Name: "edgedata-output", Files: []string{"e.csv"}, Writes: true},
			{Name: "output-prefix", Value: "x_"}, {Name: "output-suffix", Value: "_y"}, {Name: "output.format", Value: "csv"},
			{Name: "tripinfo-output.write-unfinished", Value: "True"},
		}, settings{
			stepLength: 1, scale: 1, routeSteps: 200, prefix: "x_", suffix: "_y", format: "csv", unfinished: true,
			own: map[simulation.Output]string{
				simulation.OutputSummary: "out/s.xml", simulation.OutputStatistics: "stats.xml", simulation.OutputEdgeData: "e.csv",
			},
		}},
		"what is replaced": {
			[]scenario.Option{
				{Name: "xml-validation", Value: "auto"}, {Name: "xml-validation.net", Value: "never"},
			},
			settings{stepLength: 1, scale: 1, routeSteps: 200, own: none, autoValidation: []string{"xml-validation"}, validates: true},
		},
		"all": {[]scenario.Option{
			{Name: "additional-files", Files: []string{"sub/a.xml", "b.xml"}}, {Name: "route-files", Files: []string{"sub/x.rou.xml"}},
			{Name: "step-length", Value: "0:00:00.5"}, {Name: "scale", Value: " 2"}, {Name: "threads", Value: "3"},
			{Name: "route-steps", Value: "100"},
		}, settings{additional: []string{"sub/a.xml", "b.xml"}, routes: []string{"sub/x.rou.xml"}, stepLength: 0.5, scale: 2, routeSteps: 100,
			own: none}},
		"nonsense is left to SUMO": {
			[]scenario.Option{{Name: "step-length", Value: "long"}, {Name: "scale", Value: "-1"}, {Name: "route-steps", Value: "x"}},
			settings{stepLength: 1, scale: 1, routeSteps: 200, own: none},
		},
	} {
		if diff := cmp.Diff(tc.want, settingsOf(scenario.Config{Options: tc.options}), cmp.AllowUnexported(settings{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestOptionsBeatTheConfiguration(t *testing.T) {
	t.Parallel()
	s := settings{stepLength: 1, scale: 1}
	s.apply(scenario.Config{Begin: seconds(10), End: seconds(20)}, simulation.Options{End: seconds(30), StepLength: seconds(0.1)})
	if s.begin != 10 || *s.end != 30 || s.stepLength != 0.1 || s.scale != 1 {
		t.Errorf("%+v", s)
	}
	s.apply(scenario.Config{End: seconds(-1)}, simulation.Options{Begin: seconds(5), Scale: seconds(2)})
	if s.begin != 5 || s.end != nil || s.scale != 2 {
		t.Errorf("%+v", s)
	}
}

// folder is a folder with these files.
func folder(t *testing.T, f files) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	for name, text := range f {
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := root.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestCountVehicles(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(`<routes><trip id="1"/><trip id="2"/></routes>`))
	_ = z.Close()
	root := folder(t, files{
		"mixed.xml": "<routes><vType id='vehicle'/><vehicle id='1'>\n" +
			"<route edges='" + strings.Repeat("edge ", 100_000) + "'/></vehicle><vehicle\nid='2'/><trip id='3'/></routes>",
		"flows.xml":    `<routes><flow id="number" number='7'/><flow begin="0" end="600" vehsPerHour="60"/><flow begin="0" end="10" period="2"/></routes>`,
		"endless.xml":  `<routes><flow begin="0" vehsPerHour="60"/></routes>`,
		"trips.xml.gz": packed.String(),
		"empty.xml":    "",
	})
	for name, want := range map[string]int{"mixed.xml": 3, "flows.xml": 22, "trips.xml.gz": 2, "empty.xml": 0} {
		if got, err := countVehicles(t.Context(), root, name, nil); err != nil || got != want {
			t.Errorf("%s: %d, %v, want %d", name, got, err, want)
		}
	}
	for _, name := range []string{"endless.xml", "missing.xml"} {
		if got, err := countVehicles(t.Context(), root, name, nil); err == nil {
			t.Errorf("%s: counted %d", name, got)
		}
	}
}

func TestCompleteNoticesEveryCut(t *testing.T) {
	t.Parallel()
	const plain = "<?xml version=\"1.0\"?>\n\n<!-- generated <summary> -->\n\n" +
		"<summary a=\"1\">\n    <step time=\"0\"/>\n    <step time=\"1\"/>\n</summary>\n"
	const single = "<?xml version=\"1.0\"?>\n<!-- x -->\n<stops xmlns=\"y\"/>\n"
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(plain))
	_ = z.Close()
	for name, whole := range map[string]string{"a.xml": plain, "b.xml": single, "c.xml.gz": packed.String()} {
		dir := t.TempDir()
		file := filepath.Join(dir, name)
		text := strings.TrimRight(whole, "\n")
		for n := range len(text) + 1 {
			if err := os.WriteFile(file, []byte(text[:n]), 0o644); err != nil {
				t.Fatal(err)
			}
			if got, _ := complete(file); got != (n == len(text)) {
				t.Errorf("%s cut at %d of %d: complete = %v", name, n, len(text), got)
			}
		}
	}
	// Long ones, whose ends are read by themselves.
	long := filepath.Join(t.TempDir(), "long.xml")
	for _, size := range []int{maxHead - 100, maxHead, maxHead + maxTail/2, 2 * maxHead} {
		text := "<a>" + strings.Repeat("<b/>", size/4) + "</a>"
		for cut, want := range map[int]bool{0: true, 2: false, 8: false} {
			if err := os.WriteFile(long, []byte(text[:len(text)-cut]), 0o644); err != nil {
				t.Fatal(err)
			}
			if got, _ := complete(long); got != want {
				t.Errorf("%d bytes cut by %d: complete = %v", len(text), cut, got)
			}
		}
	}
}

// A program may leave a compressed output that was made to waste time.
func TestNothingIsReadFromABomb(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte("<tripinfos>" + strings.Repeat("<a/>", 4<<20) + "</tripinfos>"))
	_ = z.Close()
	if err := os.WriteFile(filepath.Join(dir, "bomb.xml.gz"), packed.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	var left kept
	if broken := left.incomplete(dir, []string{"bomb.xml.gz"}); len(broken) > 0 || len(left.notes) != 1 ||
		!strings.Contains(left.notes[0], "bomb.xml.gz") || !strings.Contains(left.notes[0], "200 times") {
		t.Errorf("broken: %v, notes: %q", broken, left.notes)
	}
	if _, err := readTrips(dir, "bomb.xml.gz", true); !errors.Is(err, gz.ErrExpands) {
		t.Errorf("reading the trips: %v", err)
	}
}

var summaryOnly = map[simulation.Output]string{simulation.OutputSummary: "summary.xml"}

func TestSummaryOfAKilledRunComesFromItsLastWholeStep(t *testing.T) {
	t.Parallel()
	r := Run{Out: t.TempDir()}
	text := `<summary><step time="1.00" loaded="9" inserted="5" running="3" waiting="4" arrived="2"/>` +
		`<step time="2.00" loaded="9" inserted="7" running="3" waiting="2" arrived="4" meanSpeed="nan"/><step time="3.00" loaded="9" inser`
	if err := os.WriteFile(filepath.Join(r.Out, "summary.xml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	s, _ := r.summarise(scenario.Config{Path: "x"}, fate{observed: observed{version: "1", last: step{time: 3}}}, summaryOnly)
	for name, want := range map[string]float64{
		"vehicles_loaded": 9, "vehicles_inserted": 7, "vehicles_running": 3, "vehicles_waiting": 2, "vehicles_finished": 4, "end": 3,
	} {
		if got, ok := s.Metric(name); !ok || got != want {
			t.Errorf("%s = %v, %v, want %v", name, got, ok, want)
		}
	}
}

func TestFinishedPersonsAreThoseWhoseLastStageEnded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := `<tripinfos><personinfo id="a"><walk arrival="10.00"/><ride arrival="20.00"/></personinfo>` +
		`<personinfo id="b"><walk arrival="10.00"/><ride arrival="-1"/></personinfo><personinfo id="c"></personinfo>` +
		`<personinfo id="d"><stop actType="R&D, a<b & &x;" arrival="0.00"/></personinfo><personinfo id="cut"><walk arrival="1.00"/>`
	if err := os.WriteFile(filepath.Join(dir, "tripinfo.xml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := readTrips(dir, "tripinfo.xml", true)
	if got.personsFinished != 2 || err == nil {
		t.Errorf("got %v, %v, want 2 and an error for the end", got.personsFinished, err)
	}
}

func TestEmissionsOfAPartOfTheTripsAreSaidToBe(t *testing.T) {
	t.Parallel()
	const with, without = `<tripinfo id="a"><emissions CO2_abs="2"/></tripinfo>`, `<tripinfo id="b"/>`
	for text, want := range map[string]string{
		without + without: "", with + with: "", with + without + with: "those of 2 of 3 trips", without + with: "those of 1 of 2 trips",
		with + `<personinfo id="p"><walk arrival="1"/></personinfo>`: "",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "tripinfo.xml"), []byte("<tripinfos>"+text+"</tripinfos>"), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, persons := range []bool{true, false} {
			got, err := readTrips(dir, "tripinfo.xml", persons)
			if err != nil || got.partly() == "" != (want == "") || !strings.Contains(got.partly(), want) {
				t.Errorf("%s says %q, %v; want %q", text, got.partly(), err, want)
			}
		}
	}
}

// A run that is killed may leave a trip that is cut off before its emissions.
func TestATripThatIsCutOffIsNotSaidToLackItsEmissions(t *testing.T) {
	t.Parallel()
	const step, trip = `<summary><step time="1.00" inserted="2" running="1"/>`, `<tripinfo id="a"><emissions CO2_abs="2"/></tripinfo>`
	for text, want := range map[string]bool{trip + `<tripinfo id="b">`: false, trip + `<tripinfo id="b"/></tripinfos>`: true} {
		r := Run{Out: t.TempDir()}
		for name, content := range map[string]string{"summary.xml": step, "tripinfo.xml": "<tripinfos>" + text} {
			if err := os.WriteFile(filepath.Join(r.Out, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		_, note := r.summarise(scenario.Config{Path: "x"}, fate{observed: observed{version: "1"}}, map[simulation.Output]string{
			simulation.OutputSummary: "summary.xml", simulation.OutputTripinfo: "tripinfo.xml",
		})
		if (note != "") != want {
			t.Errorf("%s: %q", text, note)
		}
	}
}

func TestOnlyTheEndOfASummaryIsRead(t *testing.T) {
	t.Parallel()
	r := Run{Out: t.TempDir()}
	var text strings.Builder
	text.WriteString("<summary>\n")
	for step := range 1000 {
		fmt.Fprintf(&text, `    <step time="%d.00" loaded="9" inserted="%d" running="3" waiting="4" arrived="2"/>`+"\n", step, step)
	}
	for name, tail := range map[string]string{"whole": "</summary>\n", "cut": `    <step time="1000.00" loaded="9" inse`} {
		if err := os.WriteFile(filepath.Join(r.Out, "summary.xml"), []byte(text.String()+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		s, _ := r.summarise(scenario.Config{Path: "x"}, fate{observed: observed{version: "1", last: step{time: 3}}}, summaryOnly)
		if got, ok := s.Metric("vehicles_inserted"); !ok || got != 999 {
			t.Errorf("%s: %v, %t, want 999", name, got, ok)
		}
	}
}

func TestAWordIsFoundWhereverReadsEnd(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"<emissions CO2=": true, "<emission <emissions ": true, "<emissions": false, "": false} {
		if got, err := contains(iotest.OneByteReader(strings.NewReader(text)), "<emissions "); got != want || err != nil {
			t.Errorf("%q: %t, %v, want %t", text, got, err, want)
		}
	}
}
