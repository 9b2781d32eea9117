package main

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/show"
)

func (a *app) compareCommand() *cobra.Command {
	return &cobra.Command{
		Use: "compare JOB JOB...", Short: "Compare the figures of jobs side by side",
		Long:              "Shows every figure of two or more jobs, its difference from the first job's, and the options that differ.",
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: a.jobIDs(math.MaxInt, nil),
		RunE: a.does(func(ctx context.Context, args []string) error {
			api, err := a.tenant()
			if err != nil {
				return err
			}
			ids, err := a.eachJobID(ctx, api, args)
			if err != nil {
				return err
			}
			compared, err := api.Compare(ctx, ids...)
			if err != nil {
				return err
			}
			a.print(compared, func() { a.comparison(compared) })
			return nil
		}),
	}
}

// comparison calls the jobs A, B and so on: their own names are often alike, and their ids are long.
func (a *app) comparison(c client.Comparison) {
	letter := func(i int) string { return string(rune('A' + i)) }
	jobs := [][]string{{"", "JOB", "NAME", "STATUS"}}
	metrics := [][]string{{"", "unit"}}
	settings := [][]string{{"DIFFERENT OPTIONS"}}
	for i, j := range c.Jobs {
		jobs = append(jobs, []string{letter(i), j.ID, j.Name, string(j.Status)})
		metrics[0] = append(metrics[0], letter(i))
		if i > 0 {
			metrics[0] = append(metrics[0], letter(i)+" - A")
		}
		settings[0] = append(settings[0], letter(i))
	}
	a.table(jobs)
	for i, j := range c.Jobs {
		if j.Message != "" {
			a.note("%s: %s", letter(i), j.Message)
		}
	}
	for _, m := range c.Metrics {
		metrics = append(metrics, metricRow(m))
	}
	if len(c.Metrics) > 0 {
		fmt.Fprintln(a.out)
		show.Grid(a.out, metrics, 2)
	}
	for _, s := range c.Settings {
		row := []string{s.Name}
		for _, v := range s.Values {
			if v.Value == nil {
				row = append(row, "-")
			} else {
				row = append(row, *v.Value)
			}
		}
		settings = append(settings, row)
	}
	if len(c.Settings) > 0 {
		fmt.Fprintln(a.out)
		a.table(settings)
	}
	for _, note := range c.Notes {
		a.note("%s", note)
	}
}

func metricRow(m client.ComparedMetric) []string {
	values := make([]*float64, len(m.Values))
	for i, v := range m.Values {
		values[i] = v.Value
	}
	scale := show.ScaleOf(m.Unit, values...)
	row := []string{show.Label(m.Name), scale.Unit}
	for i, v := range m.Values {
		row = append(row, scale.Number(v.Value))
		switch {
		case i == 0:
		case v.Difference == nil:
			row = append(row, "-")
		case v.Relative != nil:
			row = append(row, fmt.Sprintf("%+.1f %%", 100**v.Relative))
		default:
			row = append(row, signed(scale.Number(v.Difference)))
		}
	}
	return row
}

// signed puts a plus before a number that has no sign.
func signed(number string) string {
	if strings.HasPrefix(number, "-") {
		return number
	}
	return "+" + number
}
