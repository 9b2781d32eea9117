package show

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mattn/go-runewidth"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// shownMetrics are the rows of the table: what traffic engineers ask for first, then the cost of the run.
var shownMetrics = []shownMetric{
	{"vehicles_inserted", "vehicles inserted"},
	{"vehicles_finished", "vehicles arrived"},
	{"vehicles_running", "vehicles still on the road"},
	{"vehicles_waiting", "vehicles waiting to enter"},
	{"persons_loaded", "persons"},
	{"teleports", "teleports"},
	{"collisions", "collisions"},
	{"mean_route_length", "mean route length"},
	{"mean_speed", "mean speed of the trips"},
	{"mean_travel_time", "mean travel time"},
	{"mean_waiting_time", "mean waiting time"},
	{"mean_time_loss", "mean time loss"},
	{"mean_depart_delay", "mean departure delay"},
	{"simulated_time", "simulated time"},
	{"wall_time", "wall clock time"},
	{"real_time_factor", "times faster than real"},
}

// Column is one run of a table.
type Column struct {
	Title   string
	Summary *simulation.Summary // nil when there is none
}

// Metrics prints the metrics of all runs side by side. A row that no run has is omitted. The metrics that engineers ask for
// come first; all others follow when all is set.
func Metrics(w io.Writer, runs []Column, all bool) {
	rows := [][]string{{"", "unit"}}
	for _, r := range runs {
		rows[0] = append(rows[0], r.Title)
	}
	for _, m := range rowsFor(runs, all) {
		var unit string
		values := make([]*float64, len(runs))
		for i, r := range runs {
			if found, ok := metric(r.Summary, m.name); ok {
				unit, values[i] = found.Unit, &found.Value
			}
		}
		if unit == "" {
			continue
		}
		scale := ScaleOf(unit, values...)
		row := []string{m.label, scale.Unit}
		for _, value := range values {
			row = append(row, scale.Number(value))
		}
		rows = append(rows, row)
	}
	Grid(w, rows, 2)
}

type shownMetric struct{ name, label string }

func rowsFor(runs []Column, all bool) []shownMetric {
	rows := slices.Clone(shownMetrics)
	if !all {
		return rows
	}
	for _, r := range runs {
		if r.Summary == nil {
			continue
		}
		for _, m := range r.Summary.Metrics {
			if !slices.ContainsFunc(rows, func(known shownMetric) bool { return known.name == m.Name }) {
				rows = append(rows, shownMetric{m.Name, Label(m.Name)})
			}
		}
	}
	return rows
}

// Label is a metric's name in words.
func Label(name string) string {
	for _, m := range shownMetrics {
		if m.name == name {
			return m.label
		}
	}
	return strings.ReplaceAll(name, "_", " ")
}

// Table prints rows with aligned columns.
func Table(w io.Writer, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], runewidth.StringWidth(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			if i < len(row)-1 {
				cell = runewidth.FillRight(cell, widths[i]) + "  "
			}
			line.WriteString(cell)
		}
		fmt.Fprintln(w, line.String())
	}
}

// Grid prints rows with aligned columns: the first, left of them, begin at one side, and all others, which hold numbers, end at
// one. A rule stands below the first row.
func Grid(w io.Writer, rows [][]string, left int) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], runewidth.StringWidth(cell))
		}
	}
	for i, row := range rows {
		var line strings.Builder
		for c, cell := range row {
			if c > 0 {
				line.WriteString("  ")
			}
			if width := widths[c]; c < left {
				line.WriteString(runewidth.FillRight(cell, width))
			} else {
				line.WriteString(runewidth.FillLeft(cell, width))
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
		if i == 0 {
			total := 2 * (len(widths) - 1)
			for _, width := range widths {
				total += width
			}
			fmt.Fprintln(w, strings.Repeat("-", total))
		}
	}
}

func metric(s *simulation.Summary, name string) (m simulation.Metric, ok bool) {
	if s == nil {
		return m, false
	}
	i := slices.IndexFunc(s.Metrics, func(m simulation.Metric) bool { return m.Name == name })
	if i < 0 {
		return m, false
	}
	return s.Metrics[i], true
}
