package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

var written = time.Date(2026, 11, 29, 12, 30, 0, 0, time.UTC)

// example is a study of two signal plans at two demands, whose plan change alters. Each third run at the last point fails.
func example(seeds int, change func(*study.Study)) *study.Data {
	s := study.Study{
		ID: "0198a1b2-0000-7000-8000-000000000000", Name: "signal plans", State: study.Incomplete, MetricNames: simulation.MetricNames(),
		CreatedAt: written.Add(-time.Hour), FinishedAt: new(written.Add(-time.Minute)), MaxParallel: study.MaxRuns,
		Plan: study.Plan{
			Variants: []study.Variant{{Name: "base", Scenario: strings.Repeat("a", 64)}, {Name: "green wave", Scenario: strings.Repeat("b", 64)}},
			Axes:     []study.Axis{{Name: "demand", Set: "scale", Values: []json.RawMessage{json.RawMessage("0.8"), json.RawMessage("1.2")}}},
			Baseline: &study.Baseline{Variant: "base"}, Metrics: []string{"mean_time_loss", "teleports"},
			Run: json.RawMessage(`{"end": 900, "outputs": "edgedata"}`),
		},
	}
	for i := range seeds {
		s.Seeds = append(s.Seeds, int64(i+1))
	}
	if change != nil {
		change(&s)
	}
	var points []study.Point
	var results []study.Result
	for v, variant := range s.Plan.Variants {
		for _, value := range s.Plan.Axes[0].Values {
			p := study.Point{
				Number: len(points), Variant: variant.Name, Setting: study.Setting{{Axis: s.Plan.Axes[0].Name, Value: value}},
				Options: simulation.Options{ConfigFile: "city.sumocfg", SumoVersion: "1.28"}, Warnings: []string{"A signal plan <b>is unused</b>."},
			}
			points = append(points, p)
			for r := range s.Seeds {
				one := study.Result{Point: p.Number, Replication: r, State: job.Succeeded, SumoVersion: "1.28.0"}
				one.Metrics = make([]float64, len(s.MetricNames))
				noise := rand.New(rand.NewPCG(uint64(p.Number+1), uint64(r))).NormFloat64()
				for i, name := range s.MetricNames {
					one.Metrics[i] = 70 + noise - 12*float64(v*(p.Number%2)) + float64(i)
					if name == "teleports" {
						one.Metrics[i] = math.Round(math.Abs(noise))
					}
				}
				if p.Number == 3 && r%3 == 2 {
					one.State, one.Reason, one.Metrics = job.Failed, simulation.DeadlineExceeded, nil
				}
				results = append(results, one)
			}
		}
	}
	return study.NewData(s, points, results)
}

func pageOf(t testing.TB, d *study.Data) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, d, written); err != nil {
		t.Fatal(err)
	}
	if to := os.Getenv("REPORT"); to != "" {
		if err := os.WriteFile(to+"/"+strings.ReplaceAll(t.Name(), "/", "-")+".html", b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

var (
	drawings = regexp.MustCompile(`(?s)<svg.*?</svg>`)
	tags     = regexp.MustCompile(`<[^>]*>`)
)

// textOf is what a reader of a page sees beside its drawings.
func textOf(page string) string {
	text := tags.ReplaceAllString(drawings.ReplaceAllString(page, ""), " ")
	return strings.Join(strings.Fields(html.UnescapeString(text)), " ")
}

func TestAReportSaysAllThatTheStudyCameTo(t *testing.T) {
	t.Parallel()
	page := pageOf(t, example(9, nil))
	text := textOf(page)
	for _, want := range []string{
		"Comparisons with the baseline, points by metrics: 4. Told apart from chance: 1 lower and 0 higher. Told apart by " +
			"itself, not among all comparisons: 1. Not told apart from chance: 2.",
		"Mean time loss of green wave, demand 1.2 against base, demand 1.2: lower by 1", "n = 6, paired by seed.",
		"Mean time loss of green wave, demand 0.8 against base, demand 0.8: not told apart from chance with n = 9 " +
			"(95 %: lower by 0.87 s to higher by 0.57 s).",
		"3 of the runs, at 1 of the points, ended without a result.",
		"4 points, each with the seeds 1:9: 36 runs.", "Baseline: base, at the same values of all axes.",
		strings.Repeat("b", 64), "city.sumocfg", "demand scale 0.8, 1.2", "DeadlineExceeded (3)", "Results come from SUMO 1.28.0.",
		"A signal plan <b>is unused</b>.", "Report of 29 November 2026, 12:30 UTC.", "finished 29 November 2026, 12:29 UTC",
		"Mean time loss (s), lower is better", "Teleports, lower is better", `"seeds": "1:9"`, `"sumo_version": "1.28"`, "--seeds 1:9",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
	if n := len(drawings.FindAllString(page, -1)); n != 8 {
		t.Errorf("%d figures", n)
	}
	for _, d := range drawings.FindAllString(page, -1) {
		if !strings.Contains(d, `role="img"`) || !strings.Contains(d, "<title>Mean time loss") && !strings.Contains(d, "<title>Teleports") {
			t.Errorf("a drawing says nothing to those who do not see it: %.200s", d)
		}
	}
}

// A file that is opened from disk or sent by mail loads nothing and runs nothing.
func TestAReportStandsAlone(t *testing.T) {
	t.Parallel()
	page := pageOf(t, example(3, nil))
	loads := regexp.MustCompile(`(?i)<script|<link|<img|<iframe|<object|<form|\son\w+=|\ssrc=|href=|url\(|@import|<!ENTITY`)
	for _, m := range loads.FindAllString(page, -1) {
		t.Errorf("the page has %q", m)
	}
	for _, want := range []string{`<html lang="en">`, "default-src 'none'; style-src 'unsafe-inline'", "@page", "break-inside: avoid"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	for _, m := range regexp.MustCompile(`<th[ >][^>]*`).FindAllString(page, -1) {
		if !strings.Contains(m, `scope="`) {
			t.Errorf("a header of a table has no scope: %s", m)
		}
	}
}

func TestNamesAreTextOnly(t *testing.T) {
	t.Parallel()
	const hostile = `<script>alert("&'1'")</script></title>`
	d := example(3, func(s *study.Study) {
		s.Name, s.Message = hostile, hostile
		s.Plan.Variants[1].Name, s.Plan.Variants[1].Scenario = hostile+"2", hostile
		s.Plan.Axes[0].Name, s.Plan.Axes[0].Set = hostile, "xml:"+hostile
		text, _ := json.Marshal(hostile)
		s.Plan.Axes[0].Values[1] = text
		s.Plan.Run, _ = json.Marshal(map[string]string{"config_file": hostile})
	})
	page := pageOf(t, d)
	if strings.Contains(page, "<script") || strings.Count(page, "</title>") != 1+len(drawings.FindAllString(page, -1)) {
		t.Error("a name is read as HTML")
	}
	if n := strings.Count(textOf(page), "alert("); n < 10 {
		t.Errorf("names are shown %d times", n)
	}
	decoder := xml.NewDecoder(strings.NewReader(page))
	decoder.Strict, decoder.AutoClose, decoder.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the page cannot be read: %v", err)
		}
		if e, ok := token.(xml.StartElement); ok && slices.Contains([]string{"script", "alert"}, e.Name.Local) {
			t.Errorf("the page has the element %s", e.Name.Local)
		}
	}
}

func TestAReportOfALargeStudyHasBounds(t *testing.T) {
	t.Parallel()
	d := example(5, func(s *study.Study) {
		s.Plan.Metrics = nil
		s.Plan.Variants = nil
		for i := range 100 {
			s.Plan.Variants = append(s.Plan.Variants, study.Variant{Name: fmt.Sprintf("plan %d", i), Scenario: strings.Repeat("c", 64)})
		}
		s.Plan.Baseline.Variant = "plan 0"
	})
	page := pageOf(t, d)
	text := textOf(page)
	for _, want := range []string{
		"Left out here for its length:", "the tables of 22 more metrics, at GET /studies/" + d.Study.ID + "/statistics",
		"the plots of 21 more metrics", "And 186 more", "/table?format=csv", "50 more variants",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	if rows := strings.Count(page, "<tr>"); rows > 1100 || len(page) > 8<<20 {
		t.Errorf("%d rows, %d bytes", rows, len(page))
	}
	if !strings.Contains(page, "The first 36 of 200 are shown.") {
		t.Error("no figure says what it leaves out")
	}
}

func TestAReportOfLittle(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		seeds  int
		change func(*study.Study)
		want   []string
	}{
		"one seed": {1, nil, []string{"nothing to be said with n = 1", "each with the seeds 1: 4 runs."}},
		"no baseline": {4, func(s *study.Study) { s.Plan.Baseline = nil }, []string{
			"The study names no baseline", "Mean time loss of base, demand 0.8: ",
		}},
		"no runs": {0, func(s *study.Study) { s.State, s.Plan.Metrics = study.Running, nil }, []string{"No run has a result yet."}},
		"an aim": {6, func(s *study.Study) {
			s.Plan.Replications.Until = &study.Aim{RelativeHalfWidth: 0.05, Max: 30, Absolute: map[string]float64{"teleports": 2}}
		}, []string{"The number of runs follows from an aim: intervals of means with a half width of 5 % of the mean, and 2 of teleports, at a " +
			"confidence of 95 %, with 5 to 30 runs of each point."}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := textOf(pageOf(t, example(tc.seeds, tc.change)))
			for _, want := range tc.want {
				if !strings.Contains(text, want) {
					t.Errorf("the report lacks %q: %s", want, text)
				}
			}
		})
	}
}

func TestTheSameRunsAgain(t *testing.T) {
	t.Parallel()
	const plain = "sumo-k8 study run \\\n  base=" + "SCENARIO" + " \\\n  'green wave=" + "OTHER" + "' \\\n  --name 'signal plans' \\\n  " +
		"--axis demand=scale:0.8,1.2 \\\n  --seeds 1:3 \\\n  --baseline base \\\n  --metric mean_time_loss,teleports \\\n  --end 900 \\\n  " +
		"--outputs edgedata \\\n  --sumo-version 1.28"
	for name, tc := range map[string]struct {
		change func(*study.Study)
		want   string
	}{
		"plain":            {nil, plain},
		"a run of its own": {func(s *study.Study) { s.Plan.Variants[0].Run = json.RawMessage(`{"end": 5}`) }, ""},
		"a text that looks like a number": {func(s *study.Study) {
			s.Plan.Axes[0].Set, s.Plan.Axes[0].Values[0] = "option:x", json.RawMessage(`"1"`)
		}, ""},
		"a text with a comma": {func(s *study.Study) { s.Plan.Axes[0].Values[0] = json.RawMessage(`"a,b"`) }, ""},
		"an unknown field":    {func(s *study.Study) { s.Plan.Run = json.RawMessage(`{"unfinished_trips": true}`) }, ""},
		"labels": {func(s *study.Study) {
			s.Plan.Run = json.RawMessage(`{"end": 900, "outputs": ["edgedata"], "labels": {"a": "b", "c": "d e"}}`)
		}, strings.Replace(plain, " \\\n  --outputs", " \\\n  --label a=b \\\n  --label 'c=d e' \\\n  --outputs", 1)},
		"a label with a comma": {func(s *study.Study) { s.Plan.Run = json.RawMessage(`{"labels": {"a": "b,c"}}`) }, ""},
		"a quote":              {func(s *study.Study) { s.Name = "it's" }, strings.Replace(plain, "'signal plans'", `'it'\''s'`, 1)},
		"an aim that was reached": {func(s *study.Study) {
			s.Plan.Replications.Until = &study.Aim{RelativeHalfWidth: 0.05, Max: 30}
		}, plain},
		"an axis of one version": {func(s *study.Study) {
			s.Plan.Axes[0].Set, s.Plan.Axes[0].Values = "sumo_version", []json.RawMessage{json.RawMessage(`"1.28"`)}
		}, strings.NewReplacer("demand=scale:0.8,1.2", "demand=sumo_version:1.28", " \\\n  --sumo-version 1.28", "").Replace(plain)},
		"other seeds": {func(s *study.Study) { s.Seeds = []int64{3, 5, 9} }, strings.Replace(plain, "1:3", "3,5,9", 1)},
	} {
		d := example(3, tc.change)
		got := strings.NewReplacer(strings.Repeat("a", 64), "SCENARIO", strings.Repeat("b", 64), "OTHER").Replace(command(d))
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		text, err := body(d)
		if err != nil {
			t.Fatal(err)
		}
		var read study.Plan
		if err := json.Unmarshal([]byte(text), &read); err != nil || read.Replications.Until != nil || len(read.Variants) != 2 {
			t.Errorf("%s: the body is %s: %v", name, text, err)
		}
		if seeds, err := study.ParseSeeds(read.Replications.Seeds); err != nil || !slices.Equal(seeds, d.Study.Seeds) {
			t.Errorf("%s: the body has the seeds %v: %v", name, seeds, err)
		}
	}
}
