// Package report writes up a study as one HTML file, for people to read and print.
package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/statistics"
	"github.com/sumo-k8/sumo-k8/pkg/study"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/chart"
)

// Bounds of what a report shows of a large study; it names what it leaves out, and where that is.
const (
	mostSentences = 12  // of each metric
	mostDrawn     = 4   // metrics with figures
	mostTables    = 12  // metrics with tables
	mostRows      = 600 // of all tables together
	mostInFigure  = 36  // rows, which fill a page
	mostWarnings  = 40
	mostVariants  = 50
	mostBody      = 20_000 // bytes of the plan
)

// figureWidth in pixels is what makes a figure's text as large as the report's in print.
const figureWidth = 900

//go:embed report.html
var pageHTML string

var page = template.Must(template.New("report").Funcs(template.FuncMap{
	"date": func(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") },
	"join": strings.Join,
	// Figures are counted from 1.
	"number": func(i int) int { return i + 1 },
}).Parse(pageHTML))

// document is what the page shows.
type document struct {
	Study    study.Study
	State    string
	Written  time.Time
	Answers  []answer
	Summary  string // of all comparisons
	Baseline string
	Variants []variant
	Axes     []axis
	Points   int
	Runs     int
	Seeds    string
	Aim      string
	Percent  string
	Notes    []string
	Fates    []fate
	Tables   []table
	Figures  []figure
	Left     []string // what is left out, and where it is
	Versions string
	Warnings []string
	Body     string // of POST /studies
	Command  string // of the command line; empty where it has no flags for the study
}

// answer is what there is to say about a metric.
type answer struct {
	Metric    string
	Sentences []string
	More      int // that are left out
}

type variant struct {
	Name, Scenario, Config string
	Versions               []string
}

type axis struct {
	Name, Set string
	Values    []string
}

// fate is what has become of a point's runs.
type fate struct {
	Label                    string
	Succeeded, Missing, Open int
	Reasons                  string
	Teleports, Unfinished    string
}

type table struct {
	Metric, Unit, Better string
	Rows                 []numbers
}

type numbers struct {
	fate
	N                                       int
	Mean, Relative, SD, Least, Most, Needed string
}

type figure struct {
	Caption string
	SVG     template.HTML
}

// Write writes the report of a study, as it is at now.
func Write(w io.Writer, d *study.Data, now time.Time) error {
	level := statistics.At(d.Study.Confidence())
	s, metrics := d.Study, d.Metrics()
	doc := document{
		Study: s, State: strings.ToLower(string(s.State)), Written: now, Points: len(d.Points), Runs: len(d.Points) * len(s.Seeds),
		Seeds: seedWords(s.Seeds, ", "), Percent: study.ExactPercent(level.Confidence()), Notes: d.Notes(metrics),
	}
	doc.question(d)
	doc.answer(d, level, metrics)
	doc.tables(d, level, metrics)
	if err := doc.figures(d, level, metrics); err != nil {
		return err
	}
	var err error
	if doc.Body, err = body(d); err != nil {
		return err
	}
	doc.Command = command(d)
	if len(doc.Body) > mostBody {
		doc.Body, doc.Command = "", ""
	}
	var out bytes.Buffer
	if err := page.Execute(&out, doc); err != nil {
		return fmt.Errorf("writing the report of a study: %w", err)
	}
	_, err = w.Write(out.Bytes())
	return err
}

// question is what the study asked.
func (doc *document) question(d *study.Data) {
	plan := d.Study.Plan
	if plan.Baseline != nil {
		doc.Baseline = plan.BaselineWords(*plan.Baseline)
	}
	if n := len(plan.Variants) - mostVariants; n > 0 {
		doc.Left = append(doc.Left, fmt.Sprintf("%s, at GET /studies/%s", study.Counted(n, "more variant"), d.Study.ID))
	}
	for _, v := range plan.Variants[:min(len(plan.Variants), mostVariants)] {
		one := variant{Name: v.Name, Scenario: v.Scenario}
		for _, p := range d.Points {
			if p.Variant == v.Name {
				one.Config = p.Options.ConfigFile
				if version := p.Options.SumoVersion; version != "" && !slices.Contains(one.Versions, version) {
					one.Versions = append(one.Versions, version)
				}
			}
		}
		doc.Variants = append(doc.Variants, one)
	}
	for _, a := range plan.Axes {
		one := axis{Name: a.Name, Set: a.Set}
		for _, v := range a.Values {
			one.Values = append(one.Values, study.Value{Value: v}.Text())
		}
		doc.Axes = append(doc.Axes, one)
	}
	if a := plan.Replications.Until; a != nil {
		doc.Aim = a.Words()
	}
	var ran []string
	for _, f := range d.Fates() {
		for _, v := range f.Versions {
			if !slices.Contains(ran, v) {
				ran = append(ran, v)
			}
		}
	}
	slices.Sort(ran)
	doc.Versions = strings.Join(ran, ", ")
	for _, p := range d.Points {
		for _, warning := range p.Warnings {
			if !slices.Contains(doc.Warnings, warning) {
				doc.Warnings = append(doc.Warnings, warning)
			}
		}
	}
	if n := len(doc.Warnings); n > mostWarnings {
		rest := fmt.Sprintf("and %d more, with the points of GET /studies/%s", n-mostWarnings, d.Study.ID)
		doc.Warnings = append(doc.Warnings[:mostWarnings], rest)
	}
}

// answer is the comparison in sentences, or the means where the study has no baseline.
func (doc *document) answer(d *study.Data, level *statistics.Level, metrics []simulation.Measure) {
	if d.Study.Plan.Baseline == nil {
		for _, m := range metrics[:min(len(metrics), mostDrawn)] {
			a := answer{Metric: m.Words()}
			for _, e := range d.Statistics(level, []simulation.Measure{m}, d.Study.Plan.Replications.Until) {
				a.add(fmt.Sprintf("%s of %s: %s.", m.Words(), label(d, e.Point), words(e, doc.Percent)))
			}
			doc.Answers = append(doc.Answers, a)
		}
		return
	}
	c := d.Compare(level, *d.Study.Plan.Baseline, metrics)
	doc.Notes = append(c.Notes, doc.Notes...)
	count := map[study.Verdict]int{}
	for _, one := range c.All {
		count[one.Verdict]++
	}
	doc.Summary = fmt.Sprintf("Comparisons with the baseline, points by metrics: %d. Told apart from chance: %d lower and %d higher. ",
		c.Family, count[study.Lower], count[study.Higher])
	for _, rest := range []struct {
		verdict study.Verdict
		text    string
	}{
		{study.ByItself, "Told apart by itself, not among all comparisons"}, {study.NotToldApart, "Not told apart from chance"},
		{study.Constant, "The same difference in every pair of runs, so that there is no test"}, {study.Unknown, "Too few runs"},
	} {
		if n := count[rest.verdict]; n > 0 {
			doc.Summary += fmt.Sprintf("%s: %d. ", rest.text, n)
		}
	}
	if n := len(c.Unmatched); n > 0 {
		doc.Notes = append([]string{"Not compared, without a partner at the baseline: " + study.Counted(n, "point") + "."}, doc.Notes...)
	}
	for _, m := range metrics[:min(len(metrics), mostDrawn)] {
		a := answer{Metric: m.Words()}
		for _, apart := range []bool{true, false} {
			for _, one := range c.All {
				if one.Metric == m && apart == (one.Verdict == study.Lower || one.Verdict == study.Higher) {
					a.add(one.Sentence)
				}
			}
		}
		doc.Answers = append(doc.Answers, a)
	}
	if n := len(metrics) - mostDrawn; n > 0 {
		doc.Left = append(doc.Left, fmt.Sprintf("the sentences of %s, at GET /studies/%s/comparison", study.Counted(n, "more metric"),
			d.Study.ID))
	}
}

func (a *answer) add(sentence string) {
	if len(a.Sentences) == mostSentences {
		a.More++
		return
	}
	a.Sentences = append(a.Sentences, sentence)
}

func label(d *study.Data, point int) string {
	return study.Label(d.Points[point].Variant, d.Points[point].Setting)
}

// unit is that of a metric, empty for a bare number.
func unit(m simulation.Measure) string {
	if m.Unit == "1" {
		return ""
	}
	return m.Unit
}

// words are an estimate in a sentence.
func words(e study.Estimate, percent string) string {
	of := unit(e.Metric)
	switch {
	case e.N == 0:
		return "no value"
	case e.N == 1:
		return study.Quantity(e.Mean, 0, of) + ", from a single run, which has no interval"
	case e.SD == 0:
		return fmt.Sprintf("%s in each of %d runs", study.Quantity(e.Mean, 0, of), e.N)
	}
	return fmt.Sprintf("%s (%s: %s to %s), n = %d", study.Quantity(e.Mean, e.Half, of), percent, study.Quantity(e.Mean-e.Half, e.Half, ""),
		study.Quantity(e.Mean+e.Half, e.Half, ""), e.N)
}

// tables are what has become of the points, and the numbers of the metrics.
func (doc *document) tables(d *study.Data, level *statistics.Level, metrics []simulation.Measure) {
	rows := len(d.Points)
	if rows > mostRows/2 {
		rows = mostRows / 2
		doc.Left = append(doc.Left, fmt.Sprintf("the rows of %s in each table, at GET /studies/%s/statistics",
			study.Counted(len(d.Points)-rows, "more point"), d.Study.ID))
	}
	for _, f := range d.Fates()[:rows] {
		one := fate{
			Label: label(d, f.Point), Succeeded: f.Succeeded, Missing: f.Missing, Open: f.Open, Teleports: figureOf(f.Teleports),
			Unfinished: figureOf(f.Unfinished),
		}
		var reasons []string
		for reason, n := range f.Reasons {
			reasons = append(reasons, fmt.Sprintf("%s (%d)", reason, n))
		}
		slices.Sort(reasons)
		one.Reasons = strings.Join(reasons, ", ")
		doc.Fates = append(doc.Fates, one)
	}
	tables := min(len(metrics), mostTables, max(1, mostRows/max(rows, 1)))
	if n := len(metrics) - tables; n > 0 {
		doc.Left = append(doc.Left, fmt.Sprintf("the tables of %s, at GET /studies/%s/statistics", study.Counted(n, "more metric"), d.Study.ID))
	}
	for _, m := range metrics[:tables] {
		t := table{Metric: m.Words(), Unit: unit(m)}
		switch m.Better {
		case simulation.LowerIsBetter:
			t.Better = "lower is better"
		case simulation.HigherIsBetter:
			t.Better = "higher is better"
		}
		for _, e := range d.Statistics(level, []simulation.Measure{m}, d.Study.Plan.Replications.Until)[:rows] {
			t.Rows = append(t.Rows, numbersOf(e, doc.Fates[e.Point]))
		}
		doc.Tables = append(doc.Tables, t)
	}
}

func numbersOf(e study.Estimate, f fate) numbers {
	n := numbers{fate: f, N: e.N, Mean: "–", Relative: "–", SD: "–", Least: "–", Most: "–", Needed: "–"}
	if e.N == 0 {
		return n
	}
	n.Mean, n.Least, n.Most = study.Quantity(e.Mean, e.Half, ""), study.Quantity(e.Min, e.Half, ""), study.Quantity(e.Max, e.Half, "")
	if e.N >= 2 {
		n.Mean += " ± " + study.Quantity(e.Half, e.Half, "")
		n.SD = study.Quantity(e.SD, e.SD, "")
	}
	if !math.IsNaN(e.Relative) {
		n.Relative = study.Percent(e.Relative)
	}
	switch {
	case e.Needed >= statistics.MostNeeded:
		n.Needed = "very many"
	case e.Needed > 0:
		n.Needed = fmt.Sprint(e.Needed)
	}
	return n
}

// figureOf is a mean of counts.
func figureOf(v float64) string {
	if math.IsNaN(v) {
		return "–"
	}
	return fmt.Sprintf("%.3g", v)
}

// figures are the plots of the first metrics.
func (doc *document) figures(d *study.Data, level *statistics.Level, metrics []simulation.Measure) error {
	if n := len(metrics) - mostDrawn; n > 0 {
		doc.Left = append(doc.Left, fmt.Sprintf("the plots of %s, at GET /studies/%s/plots", study.Counted(n, "more metric"), d.Study.ID))
	}
	for _, m := range metrics[:min(len(metrics), mostDrawn)] {
		for _, plot := range chart.StudyPlots() {
			q := chart.Question{Metric: m, Level: level, Most: mostInFigure}
			if plot.Name == chart.Differences {
				if d.Study.Plan.Baseline == nil {
					continue
				}
				q.Baseline = *d.Study.Plan.Baseline
			}
			var svg bytes.Buffer
			if err := chart.DrawStudy(&svg, plot, d, q, chart.Options{SVG: true, Width: figureWidth}); err != nil {
				return err
			}
			_, drawing, _ := bytes.Cut(svg.Bytes(), []byte("<svg")) // what is before it has no place inside a page
			caption := m.Words() + ": " + strings.ToLower(plot.Title[:1]) + plot.Title[1:]
			doc.Figures = append(doc.Figures, figure{caption, template.HTML("<svg" + string(drawing))}) // whose texts the drawing has escaped
		}
	}
	return nil
}
