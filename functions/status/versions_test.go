package status_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/functions/status"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

type versionList struct {
	Versions []status.Version
	Notes    []string
}

func TestVersionsOnOfferAreListed(t *testing.T) {
	t.Parallel()
	in := install(t)
	byDefault := func() (standard string, list versionList) {
		in.get(t, "/versions").Want(t, http.StatusOK).Into(t, &list)
		for _, v := range list.Versions {
			if v.Default {
				standard += v.Version
			}
		}
		return standard, list
	}
	standard, list := byDefault()
	if standard != "1.28" || len(list.Notes) > 0 || len(list.Versions) < 2 {
		t.Fatalf("the default is %s; %+v", standard, list)
	}
	oldest := status.Version{Version: "1.18", Build: "1.18.0", Installed: true, Architectures: []string{"amd64"}, CanRun: []string{}}
	if diff := cmp.Diff(oldest, list.Versions[0]); diff != "" {
		t.Errorf("the oldest (-want +got):\n%s", diff)
	}
	newest := list.Versions[len(list.Versions)-1]
	if newest.Version != "1.28" || !newest.Installed || len(newest.CanRun) < 3 || len(newest.Architectures) != 2 ||
		list.Versions[1].Installed {
		t.Errorf("the versions are %+v", list.Versions)
	}

	for chosen, want := range map[string]struct{ standard, note string }{
		"1.18": {"1.18", ""}, "1.15": {"1.18", "SUMO 1.15, this tenant's default, is no longer offered"},
	} {
		if _, err := in.parts.DB.UpdateTenant(t.Context(), "acme", tenant.Patch{DefaultSumoVersion: &chosen}); err != nil {
			t.Fatal(err)
		}
		standard, list := byDefault()
		var dashboard status.Dashboard
		in.get(t, "/tenants/me/dashboard").Want(t, http.StatusOK).Into(t, &dashboard)
		note := strings.Join(list.Notes, "\n")
		if standard != want.standard || !strings.Contains(note, want.note) || (note == "") != (want.note == "") {
			t.Errorf("of a tenant with %s the default is %s, with the notes %q", chosen, standard, list.Notes)
		}
		if diff := cmp.Diff(list.Notes, dashboard.Notes); diff != "" {
			t.Errorf("the dashboard's notes differ:\n%s", diff)
		}
	}
}

func TestViewsFindTheirFilesByRole(t *testing.T) {
	t.Parallel()
	in := install(t)
	named := map[string]simulation.Output{
		"out/my_summary.xml": simulation.OutputSummary, "out/my_trips.xml": simulation.OutputTripinfo, "positions.csv": simulation.OutputFCD,
	}
	u := job.Update{State: job.Succeeded, Progress: 1, Warnings: []string{"SUMO dropped b"}}
	for _, name := range []string{"out/my_summary.xml", "out/my_trips.xml", "positions.csv", "summary.xml"} {
		file := job.ResultFile{Name: name, Roles: []simulation.Output{}}
		if role, ok := named[name]; ok {
			file.Roles = append(file.Roles, role)
		}
		u.Results = append(u.Results, file)
	}
	content := func(name string) string {
		return written[strings.Replace(strings.TrimPrefix(name, "out/my_"), "trips", "tripinfo", 1)]
	}
	id := in.finishWith(t, u, content)
	for _, path := range []string{"/series", "/distributions", "/plots/speed.svg", "/plots/travel_time.png"} {
		in.get(t, "/jobs/"+id+path).Want(t, http.StatusOK)
	}
	a := in.get(t, "/jobs/"+id+"/vehicles?begin=0&end=1").Want(t, http.StatusNotFound)
	if !strings.Contains(string(a.Body), "is the table positions.csv") {
		t.Errorf("positions in a table: %s", a.Body)
	}
	var got rest.Job
	in.get(t, "/jobs/"+id).Want(t, http.StatusOK).Into(t, &got)
	first := got.ResultFiles.Files[0].Roles
	var listed status.Results
	in.get(t, "/jobs/"+id+"/results").Want(t, http.StatusOK).Into(t, &listed)
	for i, f := range got.ResultFiles.Files { // for clients that know one role
		if len(f.Roles) > 0 && (f.Role != f.Roles[0] || listed.Files[i].Role != f.Role) || len(f.Roles) == 0 && f.Role != "" {
			t.Errorf("%s has the roles %v, and the role %q, %q", f.Name, f.Roles, f.Role, listed.Files[i].Role)
		}
	}
	if diff := cmp.Diff([]string{"SUMO dropped b"}, got.Warnings); diff != "" || !slices.Contains(first, simulation.OutputSummary) {
		t.Errorf("the files are %+v; warnings (-want +got):\n%s", got.ResultFiles, diff)
	}
}

func TestACheckHasProblemsAndNoResults(t *testing.T) {
	t.Parallel()
	in := install(t)
	u := failed()
	u.Problems = []problem.Item{{Location: "a.rou.xml:4", Message: "Unknown edge 'x'", Value: "x"}}
	id := in.finish(t, u, func(j *job.Job) { j.Options.Check = true })
	var got rest.Job
	in.get(t, "/jobs/"+id).Want(t, http.StatusOK).Into(t, &got)
	if diff := cmp.Diff(u.Problems, got.Problems); diff != "" || !got.Options.Check || got.ResultFiles != nil || got.ResultLocation != nil {
		t.Errorf("the check is %+v (-want +got):\n%s", got, diff)
	}
}
