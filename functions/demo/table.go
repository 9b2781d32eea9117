package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// shownMetrics are the rows of the table: what a traffic engineer asks first, then what the run cost.
var shownMetrics = []struct{ name, label string }{
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

// writeTable prints the metrics of all runs side by side. A row that no run has is left out.
func writeTable(w io.Writer, runs []finished) {
	rows := [][]string{{"", "unit"}}
	for _, r := range runs {
		rows[0] = append(rows[0], r.name)
	}
	for _, m := range shownMetrics {
		row, known := []string{m.label, ""}, false
		for _, r := range runs {
			cell := "-"
			if value, unit, ok := metric(r.summary, m.name); ok {
				row[1], cell, known = unit, formatted(value, unit), true
			}
			row = append(row, cell)
		}
		if known {
			rows = append(rows, row)
		}
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for i, row := range rows {
		fmt.Fprintf(w, "%-*s  %-*s", widths[0], row[0], widths[1], row[1])
		for c, cell := range row[2:] {
			fmt.Fprintf(w, "  %*s", widths[c+2], cell)
		}
		fmt.Fprintln(w)
		if i == 0 {
			total := 2 * (len(widths) - 1)
			for _, width := range widths {
				total += width
			}
			fmt.Fprintln(w, strings.Repeat("-", total))
		}
	}
}

func metric(s *simulation.Summary, name string) (value float64, unit string, ok bool) {
	if s == nil {
		return 0, "", false
	}
	for _, m := range s.Metrics {
		if m.Name == name {
			if m.Unit == "1" { // a bare number
				return m.Value, "", true
			}
			return m.Value, m.Unit, true
		}
	}
	return 0, "", false
}

// formatted writes counts, which are whole, without decimals, and everything else with two.
func formatted(value float64, unit string) string {
	if value == math.Trunc(value) && (unit == "" || unit == "veh" || unit == "pers") {
		return grouped(strconv.FormatFloat(value, 'f', 0, 64))
	}
	return grouped(strconv.FormatFloat(value, 'f', 2, 64))
}

// grouped puts a comma between each three digits of the whole part.
func grouped(number string) string {
	sign := ""
	if strings.HasPrefix(number, "-") {
		sign, number = "-", number[1:]
	}
	whole, fraction, _ := strings.Cut(number, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction != "" {
		whole += "." + fraction
	}
	return sign + whole
}
