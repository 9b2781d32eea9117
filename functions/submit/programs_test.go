package submit_test

import (
	"archive/zip"
	"bytes"
	"mime/multipart"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/functions/internal/app"
	"github.com/sumo-k8/sumo-k8/functions/submit"
	"github.com/sumo-k8/sumo-k8/pkg/config"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// withPrograms enables programs, as if Python and libsumo were installed for 1.28.
func withPrograms(t *testing.T) func(*app.Parts) {
	t.Helper()
	dir := t.TempDir()
	interpreter := release.InterpreterFile(dir)
	for _, folder := range []string{release.Packages(dir, "cp311"), release.Libsumo(dir, "1.28", "cp311")} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(interpreter, []byte(interpreter+"\ncp311\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(p *app.Parts) { p.Config.Controllers, p.Config.SumoDir = config.ControllersPython, dir }
}

// allowPrograms allows them to the tenant, and gives its scenario the program control.py.
func (in *installation) allowPrograms(t *testing.T) {
	t.Helper()
	allowed := true
	if _, err := in.parts.DB.UpdateTenant(t.Context(), "acme", tenant.Patch{Controllers: &allowed}); err != nil {
		t.Fatal(err)
	}
	var stored submit.StoredScenario
	in.Call(t, "POST", "/scenarios", steered(t), in.key, "Content-Type: application/zip").Want(t, http.StatusOK).Into(t, &stored)
	in.scenario.Digest = stored.ID
}

// steered is the zip of square with control.py, but for the files whose names end in one of left.
func steered(t *testing.T, left ...string) string {
	t.Helper()
	data, err := networks.ReadyZip("square")
	if err != nil {
		t.Fatal(err)
	}
	from, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	to := zip.NewWriter(&out)
	for _, f := range from.File {
		if slices.ContainsFunc(left, func(end string) bool { return strings.HasSuffix(f.Name, end) }) {
			continue
		}
		if err := to.Copy(f); err != nil {
			t.Fatal(err)
		}
	}
	program, err := to.Create("control.py")
	if err == nil {
		_, err = program.Write([]byte("import traci\n"))
	}
	if err == nil {
		err = to.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestAJobRunsAProgramWhereItIsEnabledAndAllowed(t *testing.T) {
	t.Parallel()
	const controller = `, "controller": {"file": "control.py", "args": ["--seed", "{seed}"]}`
	enabled, off := install(t, "", withPrograms(t)), install(t, "")
	refused := func(in *installation, says string) {
		t.Helper()
		if a := in.submit(t, controller).Want(t, http.StatusBadRequest); !strings.Contains(string(a.Body), says) {
			t.Errorf("refused with %s", a.Body)
		}
	}
	refused(enabled, "controllers: true")
	off.allowPrograms(t)
	refused(off, "CONTROLLERS=python")
	enabled.allowPrograms(t)
	j := enabled.job(t, controller)
	want := &simulation.Controller{File: "control.py", Args: []string{"--seed", "{seed}"}, Interface: simulation.TraCI}
	if diff := cmp.Diff(want, j.Options.Controller); diff != "" || j.ConfigFile != "square.sumocfg" || j.Options.SumoVersion != "1.28" {
		t.Errorf("%s with %s on %s (-want +got):\n%s", j.JobID, j.ConfigFile, j.Options.SumoVersion, diff)
	}
	tool := enabled.job(t, `, "tool": {"name": "netconvert", "args": ["-s", "square.net.xml"], "keep_as": "rebuilt"}`)
	if diff := cmp.Diff(&simulation.Tool{Name: "netconvert", Args: []string{"-s", "square.net.xml"}, KeepAs: "rebuilt"},
		tool.Options.Tool); diff != "" {
		t.Errorf("the tool (-want +got):\n%s", diff)
	}
	for more, says := range map[string]string{
		controller + `, "tool": {"name": "netconvert"}`:                  "excludes controller",
		`, "controller": {"file": "other.py"}`:                           "There are: control.py",
		controller + `, "sumo_version": "1.18"`:                          "make sumo-controllers",
		`, "tool": {"name": "netconvert"}, "begin": 1`:                   "tool.args",
		`, "controller": {"file": "control.py", "interface": "corba"}`:   "interface",
		`, "controller": {"file": "control.py"}, "check": true`:          "neither a controller nor a tool",
		`, "controller": {"file": "control.sh"}`:                         "must be the path of a Python program",
		`, "controller": {"file": "control.py"}, "config_file": "x.xml"`: "no configuration",
	} {
		if a := enabled.submit(t, more); a.Status < 400 || a.Status > 422 || !strings.Contains(string(a.Body), says) {
			t.Errorf("%s: %d %s", more, a.Status, a.Body)
		}
	}
}

func TestAScenarioThatOnlyProgramsCanRunIsStoredForThem(t *testing.T) {
	t.Parallel()
	in := install(t, "", withPrograms(t))
	in.allowPrograms(t)
	unfinished := steered(t, ".sumocfg")
	const header = "Content-Type: application/zip"
	plain := in.Call(t, "POST", "/scenarios", unfinished, in.key, header).Want(t, http.StatusUnprocessableEntity)
	var checked submit.Validation
	in.Call(t, "POST", "/scenarios/validate?for=program", unfinished, in.key, header).Want(t, http.StatusOK).Into(t, &checked)
	if !checked.Valid || len(checked.Warnings) == 0 {
		t.Errorf("checked for a program: %+v", checked)
	}
	var stored submit.StoredScenario
	in.Call(t, "POST", "/scenarios?for=program", unfinished, in.key, header).Want(t, http.StatusOK).Into(t, &stored)
	if len(stored.Warnings) == 0 || len(stored.Configs) != 0 {
		t.Errorf("stored with the warnings %q and %d configurations", stored.Warnings, len(stored.Configs))
	}
	in.scenario.Digest = stored.ID
	var said, again rest.Problem
	plain.Into(t, &said)
	in.submit(t, "").Want(t, http.StatusUnprocessableEntity).Into(t, &again)
	if said.Detail != again.Detail {
		t.Errorf("the plain run is refused with %q, the upload with %q", again.Detail, said.Detail)
	}
	if j := in.job(t, `, "controller": {"file": "control.py"}`); j.ConfigFile != "" {
		t.Errorf("the program gets %s", j.ConfigFile)
	}
	in.Call(t, "POST", "/scenarios/"+stored.ID+"/derive?name=x&delete=square.rou.xml&for=program", "", in.key).Want(t, http.StatusOK)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	_ = form.WriteField("scenario_id", "x")
	_ = form.WriteField("controller", `{"file": "control.py"}`)
	file, err := form.CreateFormFile("sumo_files", "unfinished.zip")
	if err == nil {
		_, err = file.Write([]byte(steered(t, ".rou.xml")))
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	in.Call(t, "POST", "/jobs", body.String(), in.key, "Content-Type: "+form.FormDataContentType()).Want(t, http.StatusOK)
}
