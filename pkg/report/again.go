package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/study"
)

// seedWords are seeds in as few words as they take: "1:10", or "3,5,9".
func seedWords(seeds []int64, separator string) string {
	if consecutive(seeds) {
		return fmt.Sprintf("%d:%d", seeds[0], seeds[len(seeds)-1])
	}
	parts := make([]string, len(seeds))
	for i, s := range seeds {
		parts[i] = strconv.FormatInt(s, 10)
	}
	return strings.Join(parts, separator)
}

// consecutive reports whether seeds are a range of several.
func consecutive(seeds []int64) bool {
	for i, s := range seeds {
		if s != seeds[0]+int64(i) {
			return false
		}
	}
	return len(seeds) > 1
}

// again is the plan of the same runs: with the seeds that the study came to, and the version of SUMO that it ran on.
func again(d *study.Data) (study.Plan, error) {
	plan := d.Study.Plan
	seeds, err := json.Marshal(d.Study.Seeds)
	if consecutive(d.Study.Seeds) {
		seeds, err = json.Marshal(seedWords(d.Study.Seeds, ""))
	}
	if err != nil {
		return plan, fmt.Errorf("writing seeds: %w", err)
	}
	plan.Replications = study.Replications{Seeds: seeds}
	version := ""
	for _, p := range d.Points {
		if version == "" {
			version = p.Options.SumoVersion
		}
		if version != p.Options.SumoVersion {
			return plan, nil // what makes them differ is in the plan
		}
	}
	fields, err := fieldsOf(plan.Run)
	if err != nil || version == "" || slices.ContainsFunc(plan.Axes, func(a study.Axis) bool { return a.Set == "sumo_version" }) {
		return plan, err
	}
	if _, named := fields["sumo_version"]; !named {
		fields["sumo_version"], _ = json.Marshal(version) // texts can always be written
		if plan.Run, err = json.Marshal(fields); err != nil {
			return plan, fmt.Errorf("writing the fields of runs: %w", err)
		}
	}
	return plan, nil
}

func fieldsOf(run json.RawMessage) (map[string]json.RawMessage, error) {
	fields := map[string]json.RawMessage{}
	if len(run) == 0 {
		return fields, nil
	}
	if err := json.Unmarshal(run, &fields); err != nil {
		return nil, fmt.Errorf("reading the fields of runs: %w", err)
	}
	return fields, nil
}

// body is that of POST /studies for the same runs.
func body(d *study.Data) (string, error) {
	plan, err := again(d)
	if err != nil {
		return "", err
	}
	request := struct {
		Name string `json:"name"`
		study.Plan
		MaxParallel int `json:"max_parallel,omitempty"`
	}{d.Study.Name, plan, parallel(d.Study)}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false) // the template escapes
	e.SetIndent("", "  ")
	if err := e.Encode(request); err != nil {
		return "", fmt.Errorf("writing a plan: %w", err)
	}
	return strings.TrimSpace(out.String()), nil
}

// parallel is what was asked for; 0 for nothing.
func parallel(s study.Study) int {
	if s.MaxParallel >= study.MaxRuns {
		return 0
	}
	return s.MaxParallel
}

// flags of sumo-k8 study run, by the field of the run that each sets.
var flags = map[string]string{
	"begin": "begin", "end": "end", "step_length": "step-length", "scale": "scale", "outputs": "outputs", "priority": "priority",
	"timeout_seconds": "timeout", "cpu_request": "cpu", "memory_gi": "memory-gi", "config_file": "config-file", "sumo_version": "sumo-version",
}

// command is the line of the command line for the same runs; empty where it has no flag for something.
func command(d *study.Data) string {
	plan, err := again(d)
	if err != nil {
		return ""
	}
	line := commandLine{"sumo-k8 study run"}
	if !line.variants(plan.Variants) {
		return ""
	}
	line.add("name", d.Study.Name)
	if !line.axes(plan.Axes) {
		return ""
	}
	line.add("seeds", seedWords(d.Study.Seeds, ","))
	if plan.Combine == study.Zip {
		line.add("combine", string(plan.Combine))
	}
	if b := plan.Baseline; b != nil {
		text := b.Variant
		if len(b.Values) > 0 {
			raw, err := json.Marshal(b)
			if err != nil {
				return ""
			}
			text = string(raw)
		}
		line.add("baseline", text)
	}
	if len(plan.Metrics) > 0 {
		line.add("metric", strings.Join(plan.Metrics, ","))
	}
	if n := parallel(d.Study); n > 0 {
		line.add("max-parallel", strconv.Itoa(n))
	}
	if plan.OnFailure != nil {
		line.add("stop-share", strconv.FormatFloat(plan.OnFailure.StopShare, 'g', -1, 64))
	}
	if !line.run(plan.Run) {
		return ""
	}
	return strings.Join(line, " \\\n  ")
}

// commandLine is a command with its arguments, one in each line. What adds arguments reports whether the command line can express them.
type commandLine []string

func (l *commandLine) add(flag, value string) { *l = append(*l, "--"+flag+" "+quoted(value)) }

func (l *commandLine) variants(variants []study.Variant) bool {
	for _, v := range variants {
		if len(v.Run) > 0 || strings.Contains(v.Name, "=") {
			return false
		}
		*l = append(*l, quoted(v.Name+"="+v.Scenario))
	}
	return true
}

func (l *commandLine) axes(axes []study.Axis) bool {
	for _, a := range axes {
		values := make([]string, len(a.Values))
		for i, v := range a.Values {
			values[i] = study.Value{Value: v}.Text()
			text := bytes.HasPrefix(bytes.TrimSpace(v), []byte(`"`)) && a.Set != "sumo_version" && a.Set != "config_file"
			if strings.Contains(values[i], ",") || text && json.Valid([]byte(values[i])) {
				return false // it would read another value
			}
		}
		if strings.Contains(a.Name, "=") {
			return false
		}
		l.add("axis", a.Name+"="+a.Set+":"+strings.Join(values, ","))
	}
	return true
}

// run adds the fields of the run that all runs share.
func (l *commandLine) run(run json.RawMessage) bool {
	fields, err := fieldsOf(run)
	if err != nil {
		return false
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if name == "labels" {
			if !l.labels(fields[name]) {
				return false
			}
			continue
		}
		flag, ok := flags[name]
		text := study.Value{Value: fields[name]}.Text()
		var list []string
		if json.Unmarshal(fields[name], &list) == nil {
			text = strings.Join(list, ",")
		}
		if !ok || text == "" {
			return false
		}
		if name == "timeout_seconds" {
			text += "s"
		}
		l.add(flag, text)
	}
	return true
}

func (l *commandLine) labels(raw json.RawMessage) bool {
	var labels map[string]string
	if json.Unmarshal(raw, &labels) != nil {
		return false
	}
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if strings.ContainsAny(key+labels[key], `,="`) {
			return false // which separate labels there
		}
		l.add("label", key+"="+labels[key])
	}
	return true
}

// quoted is text as one word of a shell.
func quoted(text string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-=:,./", r)
	}
	if text != "" && !strings.ContainsFunc(text, func(r rune) bool { return !plain(r) }) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
