package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/mattn/go-runewidth"
	"github.com/spf13/cobra"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/show"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/statistics"
	"github.com/sumo-k8/sumo-k8/pkg/study"
)

func (a *app) studyStatisticsCommand() *cobra.Command {
	var q client.StudyQuestion
	var aim string
	var wide bool
	c := a.oneStudy("stats STUDY", "Show the means of a study with their confidence intervals", nil)
	c.Long = `Shows each metric at each point: how many runs count, their mean with the half width of its confidence interval, and
how many runs it takes to know the mean as well as aimed at. The unit is one run's value of a metric, never the pooled
trips of several runs. Beside each mean stands what it does not show: runs that ended without a result, teleports, and
trips that had not ended.`
	c.Example = "  sumo-k8 study stats $STUDY\n  sumo-k8 study stats $STUDY --metric mean_time_loss --aim 2% --wide"
	flags := c.Flags()
	addMetrics(c, &q)
	flags.StringVar(&aim, "aim", "", "half width, as a share of the mean, for which needed runs are counted (default: the study's aim, or 5%)")
	flags.BoolVar(&wide, "wide", false, "also show least, quartiles, median, greatest, and the version of SUMO")
	noFiles(c, "aim")
	c.RunE = a.does(func(ctx context.Context, args []string) (err error) {
		if aim != "" {
			if q.RelativeHalfWidth, err = shareOf("--aim", aim); err != nil {
				return err
			}
		}
		api, err := a.tenant()
		if err != nil {
			return err
		}
		_, err = a.showStatistics(ctx, api, args[0], q, wide)
		return err
	})
	return c
}

// addMetrics adds the flags that choose numbers of a study.
func addMetrics(c *cobra.Command, q *client.StudyQuestion) {
	c.Flags().StringSliceVar(&q.Metrics, "metric", nil, "only these metrics (default: those that the study is about)")
	c.Flags().Var(confidence(&q.Confidence), "confidence",
		"of the intervals, such as 0.9 or 90% (default: that of the study's aim, or 0.95)")
	must(c.RegisterFlagCompletionFunc("metric", metricNames))
	noFiles(c, "confidence")
}

// metricNames completes the name of a metric.
func metricNames(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return simulation.MetricNames(), cobra.ShellCompDirectiveNoFileComp
}

// showStatistics returns the remarks that it has shown.
func (a *app) showStatistics(ctx context.Context, api *client.Client, id string, q client.StudyQuestion, wide bool) ([]string, error) {
	s, err := api.Study(ctx, id) // which has the order of the axes, and the aim
	if err != nil {
		return nil, err
	}
	numbers, err := api.StudyStatistics(ctx, id, q)
	if err != nil {
		return nil, err
	}
	remarks := slices.Concat(constants(numbers), incomplete(numbers.Points), numbers.Notes)
	a.print(numbers, func() {
		for i, m := range numbers.Metrics {
			if i > 0 {
				fmt.Fprintln(a.out)
			}
			fmt.Fprintln(a.out, metricTitle(m))
			show.Grid(a.out, printable(statisticsRows(s, numbers, m, wide)), 1+len(s.Plan.Axes))
		}
		if len(numbers.Metrics) == 0 {
			fmt.Fprintln(a.out, "No run has ended with numbers yet.")
		} else {
			fmt.Fprintf(a.out, "\nneeded: runs of each point for %s\n", aimed(s, q, numbers.Confidence))
		}
		a.remarks(remarks)
	})
	return remarks, nil
}

// printable is rows without what could control the terminal.
func printable(rows [][]string) [][]string {
	for _, row := range rows {
		for i, cell := range row {
			row[i] = show.Printable(cell)
		}
	}
	return rows
}

// remarkWidth is where remarks are folded, in columns.
const remarkWidth = 120

// remarks shows sentences that belong to an answer.
func (a *app) remarks(all []string) {
	for _, text := range all {
		line := "-"
		for _, word := range strings.Fields(show.Printable(text)) {
			if runewidth.StringWidth(line)+1+runewidth.StringWidth(word) > remarkWidth {
				fmt.Fprintln(a.out, line)
				line = " "
			}
			line += " " + word
		}
		fmt.Fprintln(a.out, line)
	}
}

// metricTitle is the head of a metric's rows: "Mean time loss (s, lower is better)".
func metricTitle(m client.StudyMetric) string {
	var about []string
	if m.Unit != "1" && m.Unit != "" {
		about = append(about, m.Unit)
	}
	if m.Better != simulation.NoDirection {
		about = append(about, string(m.Better)+" is better")
	}
	title := show.Printable(simulation.Measure{Name: m.Name}.Words())
	if len(about) > 0 {
		title += " (" + strings.Join(about, ", ") + ")"
	}
	return title
}

// statisticsRows are the rows of one metric, by point.
func statisticsRows(s client.Study, numbers client.StudyStatistics, m client.StudyMetric, wide bool) [][]string {
	open := slices.ContainsFunc(numbers.Points, func(p client.PointFate) bool { return p.Open > 0 })
	var of []client.MetricEstimate
	var means []*float64
	for _, e := range numbers.Statistics {
		if e.Metric == m.Name && e.Point < len(numbers.Points) {
			of, means = append(of, e), append(means, e.Mean)
		}
	}
	scale := show.ScaleOf(m.Unit, means...)
	unit := ""
	if scale.Unit != "" {
		unit = " " + scale.Unit
	}
	head := []string{"variant"}
	for _, axis := range s.Plan.Axes {
		head = append(head, axis.Name)
	}
	head = append(head, "n", "mean"+unit, fmt.Sprintf("± (%s)", study.ExactPercent(numbers.Confidence)), "relative", "needed", "sd")
	if wide {
		head = append(head, "min", "q1", "median", "q3", "max")
	}
	head = append(head, "missing")
	if open {
		head = append(head, "open")
	}
	head = append(head, "teleports", "unfinished")
	if wide {
		head = append(head, "SUMO")
	}
	rows := [][]string{head}
	for _, e := range of {
		p := numbers.Points[e.Point]
		row := []string{p.Variant}
		for _, axis := range s.Plan.Axes {
			row = append(row, study.Value{Value: p.Setting[axis.Name]}.Text())
		}
		row = append(row, strconv.Itoa(e.N), scale.Exact(e.Mean, e.HalfWidth), scale.Exact(e.HalfWidth, e.HalfWidth),
			shareText(e.RelativeHalfWidth), neededText(e.Needed), scale.Exact(e.SD, e.HalfWidth))
		if wide {
			for _, v := range []*float64{e.Min, e.Q1, e.Median, e.Q3, e.Max} {
				row = append(row, scale.Exact(v, e.HalfWidth))
			}
		}
		row = append(row, strconv.Itoa(p.Missing))
		if open {
			row = append(row, strconv.Itoa(p.Open))
		}
		row = append(row, countText(p.Teleports), countText(p.UnfinishedTrips))
		if wide {
			row = append(row, cmp.Or(strings.Join(p.SumoVersions, " "), "-"))
		}
		rows = append(rows, row)
	}
	return rows
}

func shareText(share *float64) string {
	if share == nil {
		return "-"
	}
	return study.Percent(*share)
}

func neededText(n *int) string {
	switch {
	case n == nil:
		return "-"
	case *n >= statistics.MostNeeded:
		return fmt.Sprintf(">=%d", statistics.MostNeeded)
	}
	return strconv.Itoa(*n)
}

// countText is a mean of counts.
func countText(mean *float64) string {
	if mean == nil {
		return "-"
	}
	return strconv.FormatFloat(*mean, 'g', 4, 64)
}

// aimed says how well means are to be known.
func aimed(s client.Study, q client.StudyQuestion, confidence float64) string {
	share := cmp.Or(q.RelativeHalfWidth, study.DefaultHalfWidth)
	var absolute []string
	if aim := s.Plan.Replications.Until; aim != nil && q.RelativeHalfWidth == 0 {
		share = aim.RelativeHalfWidth
		for _, name := range slices.Sorted(maps.Keys(aim.Absolute)) {
			absolute = append(absolute, fmt.Sprintf("± %g of %s", aim.Absolute[name], name))
		}
	}
	if share > 0 {
		absolute = append([]string{"± " + study.ExactPercent(share) + " of the mean"}, absolute...)
	}
	return fmt.Sprintf("%s, at a confidence of %s, if the spread stays what it is", strings.Join(absolute, " or "), study.ExactPercent(confidence))
}

// incomplete says which points lack runs, and why.
func incomplete(points []client.PointFate) (lines []string) {
	for _, p := range points {
		if !p.Incomplete {
			continue
		}
		reasons := make([]string, 0, len(p.Reasons))
		for _, reason := range slices.Sorted(maps.Keys(p.Reasons)) {
			reasons = append(reasons, fmt.Sprintf("%d %s", p.Reasons[reason], reason))
		}
		line := fmt.Sprintf("Incomplete: %s lacks %d of its %s", p.Label, p.Missing, counted(p.Missing+p.Succeeded+p.Open, "run"))
		if len(reasons) > 0 {
			line += " (" + strings.Join(reasons, ", ") + ")"
		}
		lines = append(lines, line+".")
	}
	return lines
}

// constants says which metrics the seed does not change.
func constants(numbers client.StudyStatistics) (lines []string) {
	for _, m := range numbers.Metrics {
		var n int
		for _, e := range numbers.Statistics {
			if e.Metric == m.Name && e.Constant {
				n++
			}
		}
		if n > 0 {
			lines = append(lines, fmt.Sprintf("%s is the same in all runs of %d of %s: the seed changes nothing there.",
				simulation.Measure{Name: m.Name}.Words(), n, counted(len(numbers.Points), "point")))
		}
	}
	return lines
}

func (a *app) compareStudyCommand() *cobra.Command {
	var q client.StudyQuestion
	c := a.oneStudy("compare STUDY", "Say how each point of a study differs from the baseline", nil)
	c.Long = `Says of each point and metric how it differs from the baseline, in a sentence that can stand in a report, or that it is
not told apart from chance. Runs are paired by seed where seeds pair. Verdicts count all comparisons of the study,
whatever is shown; each interval is that of its comparison alone.`
	c.Example = `  sumo-k8 study compare $STUDY
  sumo-k8 study compare $STUDY --metric mean_time_loss --baseline '{"values": {"demand": 1}}'`
	addMetrics(c, &q)
	c.Flags().StringVar(&q.Baseline, "baseline", "", "what to compare with: a variant, or values of axes as JSON (default: the study's)")
	noFiles(c, "baseline")
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		api, err := a.tenant()
		if err != nil {
			return err
		}
		return a.showComparison(ctx, api, args[0], q, nil)
	})
	return c
}

// showComparison leaves out the remarks that the reader knows.
func (a *app) showComparison(ctx context.Context, api *client.Client, id string, q client.StudyQuestion, known []string) error {
	compared, err := api.StudyComparison(ctx, id, q)
	if err != nil {
		return err
	}
	a.print(compared, func() {
		for _, c := range compared.Comparisons {
			fmt.Fprintln(a.out, show.Printable(c.Sentence))
		}
		switch {
		case len(compared.Metrics) == 0:
			fmt.Fprintln(a.out, "There is nothing to compare yet: no run has succeeded.")
		case len(compared.Comparisons) == 0:
			fmt.Fprintln(a.out, "There is nothing to compare: the baseline is the only point, or matches none of the others.")
		default:
			fmt.Fprintf(a.out, "\nVerdicts count %s (%s); each interval is that of its comparison alone.\n",
				counted(compared.Family, "comparison"), compared.Adjustment)
		}
		remarks := slices.Concat(unmatched(compared), incomplete(compared.Points), compared.Notes)
		a.remarks(slices.DeleteFunc(remarks, func(text string) bool { return slices.Contains(known, text) }))
	})
	return nil
}

// unmatched says which points were not compared.
func unmatched(c client.StudyComparison) (lines []string) {
	var labels []string
	for _, p := range c.Points {
		if slices.Contains(c.Unmatched, p.Point) {
			labels = append(labels, p.Label)
		}
	}
	if len(labels) == 0 {
		return nil
	}
	return []string{"Not compared, since the baseline has no point for them: " + strings.Join(labels, "; ") + "."}
}

// showOutcome shows what an ended study says: means, and sentences if it has a baseline.
func (a *app) showOutcome(ctx context.Context, api *client.Client, s client.Study) error {
	var q client.StudyQuestion
	if len(s.Plan.Metrics) == 0 {
		q.Metrics = study.DefaultMetrics()
	}
	fmt.Fprintln(a.out)
	known, err := a.showStatistics(ctx, api, s.ID, q, false)
	if err != nil || s.Plan.Baseline == nil {
		return err
	}
	fmt.Fprintln(a.out)
	return a.showComparison(ctx, api, s.ID, q, known)
}
