package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/service"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/show"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

func testStudies(t *testing.T, s *service.Server) {
	u := tenant(t, s)
	square := u.network("square", nil)
	dry := u.ok("study", "run", square, "--axis", "demand=scale:0.5,1", "--seeds", "1:3", "--dry-run").stdout
	says(t, dry, "square, demand 0.5", "square, demand 1 ", "2 points, 6 runs")
	says(t, u.ok("study", "run", square, "--until", "5%", "--max", "20", "--confidence", "90%", "--dry-run").stdout,
		"1 point, 5 runs (up to 20, as the aim takes)")
	stored := strings.TrimSpace(u.ok("scenarios", "upload", square).stdout)
	says(t, u.ok("study", "run", stored, "other="+stored, stored, "--seeds", "1:2", "--dry-run").stdout, "\nsquare ", "\nother ",
		"\n"+stored[:shortID]+" ")
	if left := u.ok("study", "ls"); left.stdout != "" {
		t.Errorf("a dry run left %s", left.stdout)
	}
	o := u.ok("study", "run", "base="+square, "--axis", "demand=scale:0.5,1", "--seeds", "1:3", "--name", "demand", "--baseline", "base",
		"--follow")
	says(t, o.stderr, "2 points, 6 runs", "6/6 done", "is SUCCEEDED")
	says(t, o.stdout, "Mean travel time (s, lower is better)\nvariant  demand  n ", "\nbase     0.5     3 ", "Mean time loss",
		"- The seed varies", "There is nothing to compare: the baseline is the only point, or matches none")
	id := regexp.MustCompile(`Study (\S+) has`).FindStringSubmatch(o.stderr)[1]
	says(t, u.ok("study", "ls").stdout, id, "demand", "SUCCEEDED")
	says(t, u.ok("study", "get", id).stdout, "base, demand 0.5", "SUCCEEDED", "FAILED  CANCELLED")
	if runs := u.ok("ls", "--study", id).stdout; strings.Count(runs, "demand / base, demand ") != 6 {
		t.Errorf("the runs of the study are\n%s", runs)
	}
	run := regexp.MustCompile(`(?m)^(\S+)  demand / base`).FindStringSubmatch(u.ok("ls", "--study", id).stdout)[1]
	says(t, u.ok("get", run).stdout, id+", point ", "1 core,")
	u.ends(exitRefused, "study", "retry", id)
	same := []string{"study", "run", square, "--axis", "demand=scale:0.5,1", "--seeds", "1:3", "--dry-run"}
	says(t, u.ok(same...).stdout, "2 points, 6 runs, 6 of them from the cache, about 0s of one core")
	if o := u.ok(append(same, "--cache", "refresh")...); strings.Contains(o.stdout, "cache") {
		t.Errorf("with --cache refresh: %s", o.stdout)
	}
	var forecast struct {
		Estimate struct {
			CoreSeconds float64 `json:"core_seconds"`
			Seconds     float64 `json:"seconds"`
		} `json:"estimate"`
	}
	if err := json.Unmarshal([]byte(u.ok(append(same, "--cache", "refresh", "-o", "json")...).stdout), &forecast); err != nil {
		t.Fatal(err)
	}
	// Whatever the tenant's limit on cores is, no machine has more than its own.
	if e := forecast.Estimate; e.CoreSeconds <= 0 || e.CoreSeconds > 1.001*float64(runtime.NumCPU())*e.Seconds {
		t.Errorf("%v core-seconds are to take %v s with %d cores", e.CoreSeconds, e.Seconds, runtime.NumCPU())
	}
	says(t, u.ok("study", "extend", id, "--seeds", "3:4", "--value", "demand=0.5,1.0,1.5", "-f").stderr,
		"There already, and left as they are: demand 0.5, demand 1.0.", "3 points, 12 runs", "12/12 done")

	dir := filepath.Join(t.TempDir(), "out")
	says(t, u.ok("study", "results", id, "--name", "statistics.xml", "--dir", dir).stdout, "12 files of 12 runs")
	found, err := filepath.Glob(filepath.Join(dir, "*", "*", "statistics.xml"))
	if err != nil || len(found) != 12 || !slices.Contains(found, filepath.Join(dir, "000_base_demand_0.5", "seed-4", "statistics.xml")) {
		t.Errorf("fetched %q, %v", found, err)
	}
	if err := os.Remove(found[0]); err != nil {
		t.Fatal(err)
	}
	was, err := os.ReadFile(found[1])
	if err == nil { // an earlier run's, which is as long
		err = os.WriteFile(found[1], bytes.ToUpper(was), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	again := u.ok("study", "results", id, "--name", "statistics.xml", "--dir", dir)
	says(t, again.stdout, "2 files of 12 runs")
	says(t, again.stderr, "10 files were there already")
	if is, err := os.ReadFile(found[1]); err != nil || !bytes.Equal(is, was) {
		t.Errorf("a file of the same size is not fetched again (%v)", err)
	}
	none := u.ends(exitTrouble, "study", "results", id, "--name", "*.nothing", "--dir", dir)
	says(t, none.stderr, `none of the files of 12 runs matches "*.nothing"`)
	u.ok("study", "cancel", id, "--purge")
	u.ends(exitRefused, "study", "get", id)

	// What a controller runs needs no configuration; that this service has no controllers is all that is wrong.
	u.file("control.py", []byte("import traci\n"))
	says(t, u.ends(exitRefused, "study", "run", u.dir, "--controller", "control.py", "--seeds", "1:2").stderr,
		"is not enabled on this service")
}

// testStudyNumbers asks for the numbers of a study in every form.
func testStudyNumbers(t *testing.T, s *service.Server) {
	u := tenant(t, s)
	const about = "Mean time loss (s, lower is better)\n"
	o := u.ok("study", "run", "base="+u.network("square", nil), "--axis", "demand=scale:0.5,1", "--metric", "mean_time_loss", "--follow",
		"--baseline", `{"values": {"demand": 0.5}}`, "--until", "90%", "--until", "mean_time_loss=1000", "--min", "3", "--max", "4")
	says(t, o.stderr, "2 points, 6 runs (up to 8, as the aim takes)", "Every point has reached the aim with 3 runs.")
	sentence := regexp.MustCompile(`(?m)^Mean time loss of base, demand 1 against base, demand 0.5: .* n = 3`)
	if !strings.HasPrefix(o.stdout, "\n"+about) || !sentence.MatchString(o.stdout) {
		t.Errorf("the study ends with\n%s", o.stdout)
	}
	says(t, o.stdout, "needed: runs of each point for ± 90 % of the mean or ± 1000 of mean_time_loss, at a confidence of 95 %",
		"Verdicts count 1 comparison (Holm)", "decided by looking at the results")
	id := regexp.MustCompile(`Study (\S+) has`).FindStringSubmatch(o.stderr)[1]

	wide := u.ok("study", "stats", id, "--metric", "mean_speed", "--aim", "1%", "--confidence", "0.9", "--wide").stdout
	says(t, wide, "Mean speed (m/s, higher is better)", "± (90 %)", " q1  ", "SUMO", "for ± 1 % of the mean, at a confidence of 90 %")
	says(t, u.ends(exitRefused, "study", "stats", id, "--metric", "nonsense").stderr, "is no metric of this study")
	var numbers struct{ Statistics []struct{ N int } }
	if err := json.Unmarshal([]byte(u.ok("study", "stats", id, "-o", "json").stdout), &numbers); err != nil || len(numbers.Statistics) != 2 ||
		numbers.Statistics[1].N != 3 {
		t.Errorf("as JSON there are %+v (%v)", numbers, err)
	}
	says(t, u.ok("study", "compare", id, "--baseline", `{"values": {"demand": 1}}`).stdout, "of base, demand 0.5 against base, demand 1: ")
	says(t, u.ok("study", "compare", id, "-o", "json").stdout, `"verdict":`)

	csv := u.ok("study", "table", id, "--metric", "mean_time_loss,teleports").stdout
	if rows := strings.Count(csv, "\n"); rows != 1+2*3*2 || !strings.HasPrefix(csv, "point,variant,axis.demand,") {
		t.Errorf("the table is\n%s", csv)
	}
	file := filepath.Join(u.dir, "new", "runs.csv")
	u.ok("study", "table", id, "--metric", "mean_time_loss,teleports", "--file", file)
	if saved, err := os.ReadFile(file); err != nil || string(saved) != csv {
		t.Errorf("saved is %q, %v", saved, err)
	}
	if rows := strings.Count(u.ok("study", "table", id, "--metric", "teleports", "-o", "json").stdout, `"metric":"teleports"`); rows != 6 {
		t.Errorf("as JSON the table has %d rows", rows)
	}
	trips := filepath.Join(u.dir, "trips.zip")
	says(t, u.ok("study", "tables", id, "tripinfo", "--file", trips).stderr, "Written to "+trips)
	dataset, err := zip.OpenReader(trips)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dataset.Close() }()
	if n := len(dataset.File); n != 2*3+1 || !strings.HasPrefix(dataset.File[0].Name, "tripinfo/study="+id+"/point=") {
		t.Errorf("the dataset has %d files, such as %s", n, dataset.File[0].Name)
	}
	says(t, u.ends(exitRefused, "study", "tables", id, "queue").stderr, "outputs=queue")

	says(t, u.ok("study", "plot", id, "--list").stdout, "PLOT ", "means ", "differences ")
	dir := filepath.Join(u.dir, "plots")
	says(t, u.ok("study", "plot", id, "--dir", dir).stdout, "4 plots in "+dir)
	says(t, u.ok("study", "plot", id, "means", "--metric", "mean_speed", "--format", "svg", "--dark", "--dir", dir).stdout, "1 plot in "+dir)
	drawn := map[string]string{"means.png": "\x89PNG", "convergence.png": "\x89PNG", "means-mean_speed.svg": "<?xml"}
	for name, begin := range drawn {
		if plot, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !strings.HasPrefix(string(plot), begin) {
			t.Errorf("the plot %s begins with %.9q, %v", name, plot, err)
		}
	}
	u.ends(exitRefused, "study", "plot", id, "nonsense")
	says(t, u.ok("__complete", "study", "plot", id, "").stdout, "boxes\t")
	page := filepath.Join(u.dir, "report.html")
	says(t, u.ok("study", "report", id, "--file", page).stderr, "Written to "+page)
	if saved, err := os.ReadFile(page); err != nil || !bytes.Contains(saved, []byte("Mean time loss of base, demand 1 against")) {
		t.Errorf("the report is %.200q, %v", saved, err)
	}
	says(t, u.ok("study", "report", id, "--file", "-").stdout, "<html")

	o = u.ok("study", "extend", id, "--until", "mean_time_loss=0.000001", "--min", "3", "--max", "4", "-f")
	says(t, o.stderr, "reached the aim with 4 runs each")
	says(t, o.stdout, "\nbase     0.5     4 ", "for ± 1e-06 of mean_time_loss")
	says(t, u.ok("__complete", "study", "stats", id, "--metric", "").stdout, "mean_time_loss\n")
}

func TestAStudyThatIsBeingCancelledSaysSo(t *testing.T) {
	t.Parallel()
	for state, want := range map[study.State]string{study.Running: "RUNNING, being cancelled\n", study.Cancelled: "CANCELLED\n"} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"study_id": "x", "name": "x", "status": %q, "cancel_requested": true}`, state)
		}))
		t.Cleanup(s.Close)
		u := person(t)
		u.env[urlVariable], u.env[apiKeyVariable] = s.URL, "sk-1"
		says(t, u.ok("study", "get", "x").stdout, "status        "+want)
	}
}

func TestNumbersOfAStudyAreShownWithWhatTheyHide(t *testing.T) {
	t.Parallel()
	number := func(v float64) *float64 { return &v }
	needed := func(n int) *int { return &n }
	s := client.Study{Plan: study.Plan{Axes: []study.Axis{{Name: "demand"}}}}
	numbers := client.StudyStatistics{
		Confidence: 0.95,
		Metrics:    []client.StudyMetric{{Name: "emissions_co2", Unit: "mg", Better: "lower"}},
		Points: []client.PointFate{
			{Label: "base, demand 1", Variant: "base", Setting: map[string]json.RawMessage{"demand": json.RawMessage("1")}, Succeeded: 3, Missing: 2,
				Incomplete: true, Reasons: map[string]int{"TimedOut": 1}, Teleports: number(12.5), UnfinishedTrips: number(3)},
			{Point: 1, Label: "base, demand 2", Variant: "base", Setting: map[string]json.RawMessage{"demand": json.RawMessage("2")}, Succeeded: 1,
				Open: 4, Teleports: number(0)},
			{Point: 2, Label: "base, demand 3", Variant: "base", Setting: map[string]json.RawMessage{"demand": json.RawMessage("3")}, Succeeded: 2},
		},
		Statistics: []client.MetricEstimate{
			{Point: 0, Metric: "emissions_co2", N: 3, Mean: number(4.5678e6), HalfWidth: number(23456), RelativeHalfWidth: number(0.005),
				SD: number(1e4), Needed: needed(3)},
			{Point: 1, Metric: "emissions_co2", N: 1, Mean: number(2e6)},
			{Point: 2, Metric: "emissions_co2", N: 2, Mean: number(3e6), HalfWidth: number(0), RelativeHalfWidth: number(0), SD: number(0),
				Needed: needed(1_000_000), Constant: true},
		},
	}
	var out strings.Builder
	show.Grid(&out, statisticsRows(s, numbers, numbers.Metrics[0], false), 2)
	want := `variant  demand  n  mean kg  ± (95 %)  relative     needed     sd  missing  open  teleports  unfinished
-------------------------------------------------------------------------------------------------------
base     1       3    4.568     0.023     0.5 %          3  0.010        2     0       12.5           3
base     2       1        2         -         -          -      -        0     4          0           -
base     3       2        3         0       0 %  >=1000000      0        0     0          -           -
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Incomplete: base, demand 1 lacks 2 of its 5 runs (1 TimedOut)."}, incomplete(numbers.Points)); diff != "" {
		t.Errorf("remarks (-want +got):\n%s", diff)
	}
	const same = "Emissions co2 is the same in all runs of 1 of 3 points: the seed changes nothing there."
	if diff := cmp.Diff([]string{same}, constants(numbers)); diff != "" {
		t.Errorf("constants (-want +got):\n%s", diff)
	}
	uncompared := unmatched(client.StudyComparison{Points: numbers.Points, Unmatched: []int{0, 2}})
	const alone = "Not compared, since the baseline has no point for them: base, demand 1; base, demand 3."
	if diff := cmp.Diff([]string{alone}, uncompared); diff != "" {
		t.Errorf("unmatched (-want +got):\n%s", diff)
	}
}

func TestAnAimIsReadAsItIsMeant(t *testing.T) {
	t.Parallel()
	f := &aimFlags{until: []string{"2.5%", "teleports=2"}, max: 30, of: "difference", confidence: 0.9}
	got, err := f.aim(func(string) bool { return false })
	want := &study.Aim{RelativeHalfWidth: 0.025, Absolute: map[string]float64{"teleports": 2}, Max: 30, Of: "difference", Confidence: 0.9}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestFlagsOfAStudyAreReadAsTheyAreMeant(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"demand=scale:0.8,1":                   `demand|scale|0.8|1`,
		"SUMO=sumo_version:1.18,1.28":          `SUMO|sumo_version|"1.18"|"1.28"`,
		"t=option:time-to-teleport:300,-1":     `t|option:time-to-teleport|300|-1`,
		"u=unfinished_trips:true,false":        `u|unfinished_trips|true|false`,
		"m=option:car-following.model:IDM,KR":  `m|option:car-following.model|"IDM"|"KR"`,
		"s=xml:a.xml#v[@id='a:b']/@sigma:0,.5": `s|xml:a.xml#v[@id='a:b']/@sigma|0|".5"`,
		"v=sumo_version:\"1.20\",1.22":         `v|sumo_version|"1.20"|"1.22"`,
		"t=option:begin:0:10:00,600":           `t|option:begin|"0:10:00"|600`,
		"n=arg:at:7:30,\"a,b\",,(":             `n|arg:at|"7:30"|"a,b"|""|"("`,
		"q=option:x:\"a\\\"b\",\"c":            `q|option:x|"a\"b"|"\"c"`,
		"b=end:":                               "",
		"c=:1":                                 "",
		"=scale:1":                             "",

		"d=xml:a:b.xml#v[@id=\":J0_0\"]/@depart:0:00:10,10": `d|xml:a:b.xml#v[@id=":J0_0"]/@depart|"0:00:10"|10`,
		"f=xml:a.xml#v/@speedFactor:normc(1,0.1,0.5,2),1":   `f|xml:a.xml#v/@speedFactor|"normc(1,0.1,0.5,2)"|1`,
		"e=xml:a.xml#v/@color:\"1,0,0\",red":                `e|xml:a.xml#v/@color|"1,0,0"|"red"`,
	} {
		axis, err := axisOf(text)
		if want == "" && err != nil {
			continue
		}
		parts := []string{axis.Name, axis.Set}
		for _, v := range axis.Values {
			parts = append(parts, string(v))
		}
		if diff := cmp.Diff(want, strings.Join(parts, "|")); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", text, err, diff)
		}
	}
	u := person(t)
	for _, wrong := range [][]string{
		{"study", "run", "a.zip"}, {"study", "run", "a.zip", "--seeds", "x"}, {"study", "run", "a.zip", "--seeds", "5:1"},
		{"study", "run", "a.zip", "--seeds", "1:2", "--axis", "scale:1"}, {"study", "run", "a.zip", "--seeds", "1:2", "--axis", "a=scale"},
		{"study", "run", "a.zip", "--seeds", "1:2", "--until", "5%"}, {"study", "run", "a.zip", "--until", "5%"},
		{"study", "run", "a.zip", "--until", "5", "--max", "9"}, {"study", "run", "a.zip", "--until", "teleports=x", "--max", "9"},
		{"study", "run", "a.zip", "--until", "200%", "--max", "9"}, {"study", "run", "a.zip", "--seeds", "1:2", "--max", "9"},
		{"study", "run", "a.zip", "--seeds", "1:2", "--baseline", "{"}, {"study", "extend", "x", "--of", "mean"},
		{"study", "stats", "x", "--aim", "0"}, {"study", "table", "x", "--format", "ods"}, {"study", "plot", "x", "--format", "gif"},
		{"study", "tables", "x", "trips"}, {"study", "tables", "x", "tripinfo", "-o", "json"}, {"study", "report", "x", "-o", "json"},
		{"study", "ls", "-n", "-1"}, {"study", "run", "a.zip", "--until", "5%", "--max", "9", "--min", "0"},
		{"study", "run", "a.zip", "--seeds", "1:2", "--max-parallel", "0"},
	} {
		u.ends(exitUsage, wrong...)
	}
	for _, command := range [][]string{{"stats", "x"}, {"compare", "x"}, {"plot", "x"}, {"run", "a.zip", "--until", "5%", "--max", "9"}} {
		for _, wrong := range []string{"0", "1", "1.5", "95", "100%", "0%", "NaN", "x", ""} {
			o := u.ends(exitUsage, append(append([]string{"study"}, command...), "--confidence", wrong)...)
			says(t, o.stderr, "a confidence is from 0.5 to 0.9999, or from 50% to 99.99%")
		}
	}
	for text, want := range map[string]float64{"0.95": 0.95, "95%": 0.95, "99.9 %": 0.999, "50%": 0.5} {
		var got float64
		if err := confidence(&got).Set(text); err != nil || math.Abs(got-want) > 1e-12 {
			t.Errorf("--confidence %s is %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]float64{"0": 0, "20%": 0.2, "0.3": 0.3, "1": 1} {
		var got float64
		if err := ofRuns(&got).Set(text); err != nil || math.Abs(got-want) > 1e-12 {
			t.Errorf("--stop-share %s is %v, %v", text, got, err)
		}
	}
	for _, wrong := range []string{"20", "-1%", "x", ""} {
		says(t, u.ends(exitUsage, "study", "run", "a.zip", "--seeds", "1:2", "--stop-share", wrong).stderr, "a share of the runs is from 0 to 1")
	}
	for flag, want := range map[string]string{
		"--end=1h": `--end "1h": this flag takes a number`, "--cpu=1.5": `--cpu "1.5": this flag takes a whole number`,
		"--timeout=90": `--timeout "90": this flag takes a time with its unit`, "--strict=x": `--strict "x": this flag takes true or false`,
		"--label=a": `--label "a": this flag takes key=value`, "--replay-box=a": `--replay-box "a": this flag takes numbers`,
		"--seed=1": "unknown flag: --seed",
	} {
		says(t, u.ends(exitUsage, "study", "run", "a.zip", "--seeds", "1:2", flag).stderr, want)
	}
	u.env[urlVariable], u.env[apiKeyVariable] = "http://127.0.0.1:1", "sk-1"
	says(t, u.ends(exitUsage, "study", "run", "base=", "--seeds", "1:2").stderr, `"base=" names no scenario`)
	says(t, u.ends(exitTrouble, "study", "run", "3d704a5b6277", "--seeds", "1:2").stderr, "no file or folder 3d704a5b6277",
		"no id of a stored scenario")
}
