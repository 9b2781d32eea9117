package submit_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/functions/internal/app"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/study"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// ask sends a study whose variants name the installation's scenario as SCENARIO.
func (in *installation) ask(t *testing.T, body string, headers ...string) (int, rest.Study, rest.Problem) {
	t.Helper()
	body = strings.ReplaceAll(body, "SCENARIO", in.scenario.Digest)
	a := in.Call(t, "POST", "/studies", body, append(headers, in.key, "Content-Type: application/json")...)
	var s rest.Study
	var p rest.Problem
	if a.Status == http.StatusOK {
		a.Into(t, &s)
	} else {
		a.Into(t, &p)
	}
	return a.Status, s, p
}

const signals = `{"name": "signals", "run": {"end": 60, "labels": {"for": "north"}, "priority": "high"},
	"variants": [{"name": "base", "scenario": "SCENARIO"}, {"name": "late", "scenario": "SCENARIO", "run": {"begin": 10, "memory_gi": 2}}],
	"axes": [{"name": "demand", "set": "scale", "values": [0.8, 1.0]},
		{"name": "teleport", "set": "option:time-to-teleport", "values": [-1, 300]}],
	"baseline": {"variant": "base", "values": {"demand": 1}}, "replications": {"seeds": "1:10"}, "max_parallel": 7,
	"metrics": ["mean_time_loss"], "on_failure": {"stop_share": 0.25}%s}`

func TestAStudyIsPlannedStoredAndRepeated(t *testing.T) {
	t.Parallel()
	in := install(t, "")
	status, dry, _ := in.ask(t, fmt.Sprintf(signals, `, "dry_run": true`))
	if status != http.StatusOK || dry.StudyID != "" || dry.Status != "" || dry.Runs.Planned != 80 ||
		dry.CreatedAt != nil || dry.Estimate.Forecast != nil {
		t.Fatalf("the dry run answers %d %+v", status, dry)
	}
	var labels []string
	for i, p := range dry.Points {
		if p.Point != i || p.Needed != 10 || p.CPURequest != 1 || p.SumoVersion == "" || p.ConfigFile == "" {
			t.Errorf("point %d is %+v", i, p)
		}
		raw, _ := json.Marshal(p.Setting)
		labels = append(labels, fmt.Sprint(p.Variant, " ", string(raw), " ", p.MemoryGi))
	}
	if diff := cmp.Diff([]string{
		`base {"demand":0.8,"teleport":-1} 4`, `base {"demand":0.8,"teleport":300} 4`, `base {"demand":1.0,"teleport":-1} 4`,
		`base {"demand":1.0,"teleport":300} 4`, `late {"demand":0.8,"teleport":-1} 2`, `late {"demand":0.8,"teleport":300} 2`,
		`late {"demand":1.0,"teleport":-1} 2`, `late {"demand":1.0,"teleport":300} 2`,
	}, labels); diff != "" {
		t.Errorf("points (-want +got):\n%s", diff)
	}
	status, made, _ := in.ask(t, fmt.Sprintf(signals, ""), "Idempotency-Key: one")
	if status != http.StatusOK || made.StudyID == "" || made.Status != study.Running || made.MaxParallel != 7 || made.Priority != "high" ||
		made.Labels["for"] != "north" || len(made.Seeds) != 10 || !slices.Contains(made.Metrics, "mean_time_loss") {
		t.Fatalf("the study is %d %+v", status, made.StudySummary)
	}
	if _, again, _ := in.ask(t, fmt.Sprintf(signals, ""), "Idempotency-Key: one"); again.StudyID != made.StudyID || len(again.Points) != 8 {
		t.Errorf("repeated, it is %s with %d points, want %s", again.StudyID, len(again.Points), made.StudyID)
	}
	other := strings.Replace(fmt.Sprintf(signals, ""), "signals", "other", 1)
	if status, _, p := in.ask(t, other, "Idempotency-Key: one"); status != http.StatusUnprocessableEntity || p.Code != problem.KeyReused {
		t.Errorf("another study with the same key answers %d %+v", status, p)
	}
	points, err := in.parts.DB.Points(t.Context(), "acme", made.StudyID)
	if err != nil || len(points) != 8 {
		t.Fatalf("%d points are stored: %v", len(points), err)
	}
	p := points[6]
	if o := p.Options; o.Seed != nil || o.Scale == nil || *o.Scale != 1 || o.Begin == nil || *o.Begin != 10 || *o.End != 60 ||
		o.SUMOOptions["time-to-teleport"] != "-1" || p.ScenarioKey != in.scenario.Key || p.TimeoutSeconds == 0 {
		t.Errorf("point 6 is %+v", p)
	}
}

func TestThreadsOfAConfigurationAreCores(t *testing.T) {
	t.Parallel()
	in := install(t, "")
	threads, err := networks.Edited("square", func(name, content string) string {
		if path.Ext(name) != ".sumocfg" {
			return content
		}
		return strings.Replace(content, "</configuration>", `<processing><threads value="3"/></processing></configuration>`, 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	var stored rest.Scenario
	in.Call(t, "POST", "/scenarios", string(threads), in.key, "Content-Type: application/zip").Into(t, &stored)
	for run, want := range map[string]int{"{}": 3, `{"cpu_request": 2}`: 2} {
		status, s, p := in.ask(t, fmt.Sprintf(`{"name": "x", "variants": [{"name": "a", "scenario": %q}], "run": %s, "replications": {"seeds": "1:2"},
			"dry_run": true}`, stored.ID, run))
		if status != http.StatusOK || s.Points[0].CPURequest != want {
			t.Errorf("run %s: %d, %+v, %v", run, status, s.Points, p)
		}
	}
}

func TestAnAxisSetsAnArgumentOfTheController(t *testing.T) {
	t.Parallel()
	in := install(t, "", withPrograms(t))
	in.allowPrograms(t)
	status, s, p := in.ask(t, `{"name": "gains", "variants": [{"name": "a", "scenario": "SCENARIO"}],
		"run": {"controller": {"file": "control.py", "args": ["--gain", "0.1", "--out={out}"], "interface": "libsumo"}},
		"axes": [{"name": "gain", "set": "arg:gain", "values": [0.2, 0.4]}, {"name": "mode", "set": "arg:mode", "values": ["fast"]}],
		"replications": {"seeds": "1:2"}}`)
	if status != http.StatusOK || len(s.Points) != 2 {
		t.Fatalf("answers %d: %+v", status, p)
	}
	points, err := in.parts.DB.Points(t.Context(), "acme", s.StudyID)
	if err != nil {
		t.Fatal(err)
	}
	for i, gain := range []string{"0.2", "0.4"} {
		want := &simulation.Controller{
			File: "control.py", Args: []string{"--gain", gain, "--out={out}", "--mode", "fast"}, Interface: simulation.Libsumo,
		}
		if diff := cmp.Diff(want, points[i].Options.Controller); diff != "" {
			t.Errorf("gain %s (-want +got):\n%s", gain, diff)
		}
	}
	for name, tt := range map[string]struct{ body, location, says string }{
		"no controller":               {`"axes": [{"name": "gain", "set": "arg:gain", "values": [1]}]`, "body.axes[0].set", "run.controller"},
		"no argument":                 {`"axes": [{"name": "gain", "set": "arg:--gain", "values": [1]}]`, "body.axes[0].set", "without its dashes"},
		"a tool":                      {`"run": {"tool": {"name": "netconvert"}}`, "body.run.tool", "keep_as"},
		"a program that is not there": {`"run": {"controller": {"file": "other.py"}}`, "body.run.controller.file", "control.py"},
	} {
		status, _, p := in.ask(t, `{"name": "x", "variants": [{"name": "a", "scenario": "SCENARIO"}], "replications": {"seeds": [1]}, `+tt.body+`}`)
		if status != http.StatusBadRequest || !slices.ContainsFunc(p.Errors, func(i problem.Item) bool {
			return i.Location == tt.location && strings.Contains(i.Message, tt.says)
		}) {
			t.Errorf("%s: %d, %+v", name, status, p)
		}
	}
}

func TestAStudyIsRefusedWithEveryFault(t *testing.T) {
	t.Parallel()
	in := install(t, "")
	unknown := strings.Repeat("0", 64)
	for name, tt := range map[string]struct {
		body   string
		status int
		says   []string // locations and words of items, in any order
	}{
		"faults of the plan": {`{"name": "x", "variants": [{"name": "a", "scenario": "no"}, {"name": "a", "scenario": "SCENARIO"}],
			"axes": [{"name": "d", "set": "seed", "values": [1]}, {"name": "d", "set": "scale", "values": [1, 1.0]},
				{"name": "e", "set": "scale", "values": [[1]]}],
			"baseline": {"variant": "z", "values": {"q": 1}}, "metrics": ["speed"], "replications": {"seeds": "3:1"}}`, 400, []string{
			"body.variants[0].scenario", "body.variants[1].name", "body.axes[0].set replications", "body.axes[1].name",
			"body.axes[1].values[1] twice", "body.axes[2].set another axis", "body.axes[2].values[0] number", "body.baseline.variant",
			"body.baseline.values.q",
			"body.metrics[0] mean_speed",
			"body.replications.seeds 1:3",
		}},
		"fields of single jobs": {`{"name": "x", "run": {"seed": 1, "task_token": "a", "webhook_url": "https://x", "progress_webhook_url": "https://x", "speed": 1},
			"variants": [{"name": "a", "scenario": "SCENARIO", "run": {"labels": {}}}], "replications": {"seeds": [1]}}`, 400, []string{
			"body.variants[0].run.labels",
		}},
		"fields that a study's runs lack": {`{"name": "x", "run": {"seed": 1, "task_token": "a", "webhook_url": "https://x", "progress_webhook_url": "https://x",
			"speed": 1, "check": true}, "variants": [{"name": "a", "scenario": "SCENARIO"}], "replications": {"seeds": [1]}}`, 400, []string{
			"body.run.seed replications", "body.run.task_token study.finished", "body.run.webhook_url study.finished",
			"body.run.progress_webhook_url events", "body.run.speed field", "body.run.check metrics",
		}},
		"values": {`{"name": "x", "variants": [{"name": "a", "scenario": "SCENARIO", "run": {"cpu_request": 9}}], "axes": [
			{"name": "demand", "set": "scale", "values": [1, 5000]}, {"name": "SUMO", "set": "sumo_version", "values": ["1.28", "1.19"]},
			{"name": "o", "set": "option:net-file", "values": ["x"]}], "replications": {"seeds": [1, 2]}}`, 400, []string{
			"body.axes[0].values[1] 1000", "body.axes[1].values[1] 1.28", "body.axes[2].values[0] variant",
			"body.variants[0].run.cpu_request max_cpu",
		}},
		"an interval that is empty": {`{"name": "x", "run": {"begin": 50}, "variants": [{"name": "a", "scenario": "SCENARIO"}], "axes": [
			{"name": "end", "set": "end", "values": [60, 20]}], "replications": {"seeds": [1]}}`, 400, []string{"body.axes[0].values[1] begin"}},
		"an attribute that is not there": {`{"name": "x", "variants": [{"name": "a", "scenario": "SCENARIO"}], "axes": [
			{"name": "e", "set": "end", "values": [60]}, {"name": "d", "set": "xml:square.rou.xml#vehicles/@depart", "values": [1]}],
			"replications": {"seeds": [1]}}`, 422, []string{"body.axes[1].values[0] vehicle"}},
		"axes that set one attribute": {`{"name": "x", "variants": [{"name": "a", "scenario": "SCENARIO"}], "axes": [
			{"name": "all", "set": "xml:square.rou.xml#vehicle/@depart", "values": [0, 1]},
			{"name": "e", "set": "end", "values": [60]},
			{"name": "one", "set": "xml:square.rou.xml#vehicle[@id='3']/@depart", "values": [2]}],
			"replications": {"seeds": [1]}}`, 422, []string{"body.axes[2].values[0] same attribute"}},
		"axes that set one option by two names": {`{"name": "x", "variants": [{"name": "a", "scenario": "SCENARIO"}], "axes": [
			{"name": "o", "set": "option:device.rerouting.period", "values": [30]},
			{"name": "p", "set": "option:device.routing.period", "values": [60]}], "replications": {"seeds": [1]}}`, 400, []string{
			"body.axes[1].set another axis"}},
		"values that axes replace": {`{"name": "x", "run": {"scale": 2, "end": 60, "begin": 1}, "variants": [{"name": "a", "scenario": "SCENARIO"},
			{"name": "b", "scenario": "SCENARIO", "run": {"begin": 3, "end": 50}}], "axes": [{"name": "demand", "set": "scale", "values": [1]},
			{"name": "until", "set": "end", "values": [60]}], "replications": {"seeds": [1]}}`, 400, []string{
			"body.run.scale demand", "body.run.end until", "body.variants[1].run.end until"}},
		"a text for a number": {`{"name": "x", "variants": [{"name": "a", "scenario": "SCENARIO"}], "axes": [
			{"name": "e", "set": "end", "values": [60]}, {"name": "p", "set": "xml:square.net.xml#edge/@priority", "values": [1, "high"]}],
			"replications": {"seeds": [1]}}`, 422, []string{"body.axes[1].values[1] number"}},
		"lists of different lengths": {`{"name": "x", "combine": "zip", "variants": [{"name": "a", "scenario": "SCENARIO"}], "axes": [
			{"name": "d", "set": "scale", "values": [1, 1]}, {"name": "e", "set": "end", "values": [60]}], "replications": {"seeds": [1]}}`, 400,
			[]string{"body.axes[1].values zip"}},
		"no configuration": {`{"name": "x", "variants": [{"name": "a", "scenario": "SCENARIO"}], "axes": [
			{"name": "c", "set": "config_file", "values": ["a.sumocfg", "b.sumocfg"]}], "replications": {"seeds": [1]}}`, 400, []string{
			"body.axes[0].values[0] square.sumocfg", "body.axes[0].values[1] b.sumocfg",
		}},
		"too many runs": {`{"name": "x", "variants": [{"name": "a", "scenario": "SCENARIO"}], "axes": [{"name": "d", "set": "scale", "values": [1, 2]}],
			"replications": {"seeds": "1:5001"}}`, 400, []string{"body.replications 10002"}},
		"names that cannot be stored": {`{"name": "x\u0000", "variants": [{"name": "\u0000", "scenario": "SCENARIO"}], "replications": {"seeds": [1]},
			"dry_run": true}`, 400, []string{"body.name NUL", "body.variants[0].name NUL"}},
		"too many seeds": {`{"name": "x", "variants": [{"name": "a", "scenario": "SCENARIO"}], "replications": {"seeds": "1:10001"}}`, 400,
			[]string{"body.replications.seeds 10001;"}},
		"too many points": {`{"name": "x", "variants": [{"name": "a", "scenario": "SCENARIO"}], "axes": [
			{"name": "a", "set": "scale", "values": [` + numbers(40) + `]}, {"name": "b", "set": "end", "values": [` + numbers(40) + `]}],
			"replications": {"seeds": "1:5"}}`, 400, []string{"body.axes 1000"}},
		"a scenario that is not there": {`{"name": "x", "variants": [{"name": "a", "scenario": "` + unknown + `"}], "replications": {"seeds": [1]}}`, 404,
			[]string{"body.variants[0].scenario"}},
		"an aim with faults": {`{"name": "x", "variants": [{"name": "a", "scenario": "SCENARIO"}], "replications": {"until": {"relative_half_width": 5, "max": 1,
			"of": "difference", "absolute": {"speed": 1}}}}`, 400, []string{"until.relative_half_width", "until.max", "until.of baseline", "until.absolute.speed"}},
		"an aim beyond any study": {`{"name": "x", "variants": [{"name": "a", "scenario": "SCENARIO"}], "replications": {"until": {"relative_half_width": 0.05,
			"min": 9000000000000000000, "max": 9200000000000000000}}}`, 400, []string{"until.max 10000"}},
		"an aim beyond any number": {`{"name": "x", "variants": [{"name": "a", "scenario": "SCENARIO"}], "replications": {"until": {"relative_half_width": 0.05,
			"max": 1e30}}}`, 400, nil},
		"an aim without a first look": {`{"name": "x", "variants": [{"name": "a", "scenario": "SCENARIO"}], "replications": {"until": {"relative_half_width": 0.05,
			"min": 20000, "max": 30}}}`, 400, []string{"until.max 20000"}},
		"an aim of almost certainty": {`{"name": "x", "variants": [{"name": "a", "scenario": "SCENARIO"}], "replications": {"until": {"relative_half_width": 0.05,
			"confidence": 0.99999999, "max": 30}}}`, 400, []string{"until.confidence 0.9999"}},
		"an aim for counts": {`{"name": "x", "variants": [{"name": "a", "scenario": "SCENARIO"}], "metrics": ["teleports"],
			"replications": {"until": {"relative_half_width": 0.05, "max": 30}}}`, 400, []string{"until.relative_half_width absolute"}},
		"an aim that no seeds are left for": {`{"name": "x", "variants": [{"name": "a", "scenario": "SCENARIO"}], "axes": [
			{"name": "d", "set": "scale", "values": [1, 2]}], "replications": {"until": {"relative_half_width": 0.05, "max": 5001}}}`, 400,
			[]string{"body.replications 10002"}},
		"an aim at no difference": {`{"name": "x", "variants": [{"name": "a", "scenario": "SCENARIO"}], "baseline": {"variant": "a"},
			"replications": {"until": {"relative_half_width": 0.05, "max": 30, "of": "difference"}}}`, 400, []string{"until.of judge"}},
		"seeds and an aim": {`{"name": "x", "variants": [{"name": "a", "scenario": "SCENARIO"}],
			"replications": {"seeds": "1:3", "until": {"relative_half_width": 0.05, "max": 30}}}`, 400, []string{"body.replications both"}},
		"nothing to replicate": {`{"name": "x", "variants": [{"name": "a", "scenario": "SCENARIO"}], "replications": {}}`, 400, []string{"body.replications seeds"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, _, p := in.ask(t, tt.body)
			if status != tt.status {
				t.Fatalf("answers %d %+v", status, p)
			}
			for _, want := range tt.says {
				location, word, _ := strings.Cut(want, " ")
				if !slices.ContainsFunc(p.Errors, func(i problem.Item) bool {
					return (i.Location == location || !strings.HasPrefix(location, "body.") && strings.HasSuffix(i.Location, location)) &&
						strings.Contains(i.Message, word)
				}) {
					t.Errorf("no item at %s says %q: %+v", location, word, p.Errors)
				}
			}
		})
	}
	all, err := in.parts.DB.ListStudies(t.Context(), "acme", study.Filter{}, "", 10)
	if err != nil || len(all) > 0 {
		t.Errorf("%d studies are stored: %v", len(all), err)
	}
}

// numbers are the first n, as a list in JSON.
func numbers(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprint(i+1))
	}
	return strings.Join(all, ", ")
}

func TestAStudyIsExtendedCancelledAndRetried(t *testing.T) {
	t.Parallel()
	in := install(t, "")
	_, made, _ := in.ask(t, fmt.Sprintf(signals, ""))
	post := func(path, body string, status int, out any, headers ...string) {
		t.Helper()
		body = strings.ReplaceAll(body, "SCENARIO", in.scenario.Digest)
		a := in.Call(t, "POST", "/studies/"+made.StudyID+path, body, append(headers, in.key, "Content-Type: application/json")...).Want(t, status)
		if out != nil {
			a.Into(t, out)
		}
	}
	var longer rest.Study
	more := `{"replications": {"seeds": "5:12"}, "values": {"demand": [1.4]}, "max_parallel": 3,
		"variants": [{"name": "early", "scenario": "SCENARIO"}]}`
	post("/extend", more, http.StatusOK, &longer, "Idempotency-Key: more")
	if len(longer.Seeds) != 12 || len(longer.Points) != 18 || longer.Runs.Planned != 216 || longer.MaxParallel != 3 {
		t.Errorf("extended: %d seeds, %d points, %+v", len(longer.Seeds), len(longer.Points), longer.Runs)
	}
	if diff := cmp.Diff(made.Points, longer.Points[:8], cmp.Transformer("kept", func(p rest.StudyPoint) rest.StudyPoint {
		p.Needed = 0
		return p
	})); diff != "" {
		t.Errorf("points that were there (-before +after):\n%s", diff)
	}
	var repeated rest.Study
	post("/extend", more, http.StatusOK, &repeated, "Idempotency-Key: more")
	if len(repeated.Points) != 18 {
		t.Errorf("repeated: %d points", len(repeated.Points))
	}
	post("/extend", `{"replications": {"seeds": "5:13"}}`, http.StatusUnprocessableEntity, nil, "Idempotency-Key: more")
	post("/extend", `{"replications": {"seeds": "1:3"}}`, http.StatusConflict, nil)
	const known = `{"values": {"demand": [1.4]}, "variants": [{"name": "early", "scenario": "SCENARIO"}]}`
	post("/extend", known, http.StatusConflict, nil)
	post("/extend", strings.Replace(known, "1.4", "1.4, 1.5, 1.6", 1), http.StatusOK, &repeated)
	if len(repeated.Points) != 30 || len(repeated.Plan.Variants) != 3 {
		t.Errorf("with two values beside one that is there: %d points of %d variants", len(repeated.Points), len(repeated.Plan.Variants))
	}
	for body, says := range map[string]string{
		`{"values": {"demand": [1.4, 2, 2]}}`: "body.values.demand[2]", `{"values": {"x": [1]}}`: "body.values.x",
		`{"replications": {"seeds": "1:9000"}}`: "body.replications", `{"max_parallel": 10001}`: "body.max_parallel",
		`{"variants": [{"name": "early", "scenario": "SCENARIO"}, {"name": "base", "scenario": "SCENARIO", "run": {"end": 9}}]}`: "body.variants[1].name",
		`{"values": {"demand": [1.4, 5000]}}`: "body.values.demand[1]",
	} {
		var p rest.Problem
		if post("/extend", body, http.StatusBadRequest, &p); !strings.Contains(p.Detail, says) {
			t.Errorf("%s answers %q, want %q in it", body, p.Detail, says)
		}
	}
	post("/retry", "", http.StatusConflict, nil)
	in.Call(t, "DELETE", "/studies/"+made.StudyID+"?purge=true", "", in.key).Want(t, http.StatusConflict)
	for range 2 {
		var stopped rest.StudySummary
		in.Call(t, "DELETE", "/studies/"+made.StudyID, "", in.key).Want(t, http.StatusOK).Into(t, &stopped)
		if !stopped.Cancelling {
			t.Errorf("cancelled: %+v", stopped)
		}
	}
	post("/extend", `{"replications": {"seeds": "20:21"}}`, http.StatusConflict, nil)
	post("/retry", "", http.StatusConflict, nil)
	in.Call(t, "DELETE", "/studies/0198a1b2-0000-7000-8000-000000000000", "", in.key).Want(t, http.StatusNotFound)
}

func TestAStudyGetsNoFurtherRunsThatItsTenantMayNotHave(t *testing.T) {
	t.Parallel()
	in := install(t, "", withPrograms(t))
	in.allowPrograms(t)
	_, made, _ := in.ask(t, `{"name": "x", "variants": [{"name": "a", "scenario": "SCENARIO"}], "replications": {"seeds": "1:2"},
		"run": {"controller": {"file": "control.py"}, "cpu_request": 2}}`)
	forbidden, one, enough := false, 1, 8
	for _, change := range []struct {
		to       tenant.Patch
		location string
	}{
		{tenant.Patch{Controllers: &forbidden}, "body.run.controller"},
		{tenant.Patch{MaxCPU: &one}, "body.run.cpu_request"},
	} {
		if _, err := in.parts.DB.UpdateTenant(t.Context(), "acme", change.to); err != nil {
			t.Fatal(err)
		}
		for _, more := range [][2]string{
			{"/extend", `{"replications": {"seeds": "3:4"}}`}, {"/retry", ""},
			{"/extend", `{"replications": {"until": {"relative_half_width": 0.1, "max": 9}}}`},
		} {
			var p rest.Problem
			in.Call(t, "POST", "/studies/"+made.StudyID+more[0], more[1], in.key, "Content-Type: application/json").
				Want(t, http.StatusBadRequest).Into(t, &p)
			if !slices.ContainsFunc(p.Errors, func(i problem.Item) bool { return i.Location == change.location }) {
				t.Errorf("%q answers %+v, want an error at %s", more, p, change.location)
			}
		}
		in.Call(t, "POST", "/studies/"+made.StudyID+"/extend", `{"max_parallel": 3}`, in.key, "Content-Type: application/json").
			Want(t, http.StatusOK)
		allowed := true
		if _, err := in.parts.DB.UpdateTenant(t.Context(), "acme", tenant.Patch{Controllers: &allowed, MaxCPU: &enough}); err != nil {
			t.Fatal(err)
		}
	}
	in.Call(t, "POST", "/studies/"+made.StudyID+"/extend", `{"replications": {"seeds": "3:4"}}`, in.key, "Content-Type: application/json").
		Want(t, http.StatusOK)
}

func TestStudiesAreAdmittedAsSubmissions(t *testing.T) {
	t.Parallel()
	in := install(t, "", func(p *app.Parts) { p.Config.MaxQueuedJobs = 1 })
	if status, _, p := in.ask(t, fmt.Sprintf(signals, "")); status != http.StatusOK {
		t.Fatalf("the first answers %d %+v", status, p)
	}
	if status, _, p := in.ask(t, fmt.Sprintf(signals, "")); status != http.StatusTooManyRequests || p.Code != problem.QueueFull {
		t.Errorf("one more than may wait answers %d %+v", status, p)
	}
	limited := install(t, "", func(p *app.Parts) { p.Config.SubmissionsPerMinute = 1 })
	limited.ask(t, fmt.Sprintf(signals, `, "dry_run": true`))
	if status, _, p := limited.ask(t, fmt.Sprintf(signals, "")); status != http.StatusOK {
		t.Fatalf("the first answers %d %+v", status, p)
	}
	if status, _, p := limited.ask(t, fmt.Sprintf(signals, "")); status != http.StatusTooManyRequests || p.Code != problem.RateLimited {
		t.Errorf("the second within a minute answers %d %+v", status, p)
	}
}
