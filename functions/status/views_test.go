package status_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/functions/status"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/outputs"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/roadnet"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

func TestResultsAreListedWithLinksThatNeedNoKey(t *testing.T) {
	t.Parallel()
	in := install(t)
	id := in.finish(t, succeeded())
	var got status.Results
	in.get(t, "/jobs/"+id+"/results").Want(t, http.StatusOK).Into(t, &got)
	if got.Results == nil || *got.Results != *got.ResultLocation || got.Partial || got.Message != "" || len(got.Files) != len(outputsOf()) {
		t.Errorf("the results are %+v", got)
	}
	for _, f := range got.Files {
		if valid := time.Until(f.ExpiresAt); valid < 50*time.Minute || valid > time.Hour {
			t.Errorf("the link of %s is valid for %s", f.Name, valid)
		}
		location := in.get(t, "/jobs/"+id+"/results/"+f.Name).Want(t, http.StatusFound).Header.Get("Location")
		for _, link := range []string{f.URL, location} {
			response, err := http.Get(link)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			if err != nil || response.StatusCode != http.StatusOK || int64(len(body)) != f.Size ||
				!strings.Contains(response.Header.Get("Content-Disposition"), f.Name) {
				t.Errorf("%s answers %d with %d bytes and %v, %v", link, response.StatusCode, len(body), response.Header, err)
			}
		}
	}
}

// outputsOf lists the outputs of every finished run of these tests.
func outputsOf() (names []string) {
	for _, f := range succeeded().Results {
		names = append(names, f.Name)
	}
	return names
}

func TestResultsThatAreNotThereAreExplained(t *testing.T) {
	t.Parallel()
	in := install(t)
	stopped := succeeded()
	stopped.State, stopped.Reason, stopped.Message = job.Failed, simulation.SimulationError, "SUMO stopped."
	queued, partial, gone := in.queue(t), in.finish(t, stopped, urgent), in.finish(t, succeeded(), urgent)
	if err := in.parts.DB.MarkResultsPruned(t.Context(), []string{gone}); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]struct {
		files   int
		partial bool
		message string
	}{
		queued:  {0, false, "It is QUEUED"},
		partial: {len(outputsOf()), true, "before it stopped"},
		gone:    {0, false, "because of their age"},
	} {
		var got status.Results
		in.get(t, "/jobs/"+id+"/results").Want(t, http.StatusOK).Into(t, &got)
		if got.Results != nil || len(got.Files) != want.files || got.Partial != want.partial || !strings.Contains(got.Message, want.message) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	in.get(t, "/jobs/"+gone+"/series").Want(t, http.StatusNotFound)
	name := in.get(t, "/jobs/"+partial+"/results.zip").Want(t, http.StatusOK).Header.Get("Content-Disposition")
	if !strings.Contains(name, "-partial.zip") {
		t.Errorf("the zip is called %s", name)
	}
}

// urgent lets a job be claimed before those that wait.
func urgent(j *job.Job) { j.Priority = job.High }

func TestTheZipHasEveryFile(t *testing.T) {
	t.Parallel()
	in := install(t)
	id := in.finish(t, succeeded())
	a := in.get(t, "/jobs/"+id+"/results.zip").Want(t, http.StatusOK)
	archive, err := zip.NewReader(bytes.NewReader(a.Body), int64(len(a.Body)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range archive.File {
		names = append(names, f.Name)
	}
	if diff := cmp.Diff(outputsOf(), names); diff != "" || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("with %v (-want +got):\n%s", a.Header, diff)
	}
}

func TestASummaryIsTheRuns(t *testing.T) {
	t.Parallel()
	in := install(t)
	id := in.finish(t, succeeded())
	var got status.Summary
	in.get(t, "/jobs/"+id+"/summary").Want(t, http.StatusOK).Into(t, &got)
	if diff := cmp.Diff(status.Summary{JobID: id, Status: job.Succeeded, Summary: *succeeded().Summary}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestJobsAreCompared(t *testing.T) {
	t.Parallel()
	in := install(t)
	slower := succeeded()
	slower.Summary.Metrics[0].Value = 5
	seed := int64(7)
	a, b := in.finish(t, succeeded()), in.finish(t, slower, func(j *job.Job) { j.Options.Seed = &seed })
	queued := in.queue(t)
	var got status.Comparison
	in.get(t, "/jobs/compare?ids="+a+","+b+","+queued).Want(t, http.StatusOK).Into(t, &got)
	four, five, one, quarter, standard, seven := 4., 5., 1., 0.25, "23423", "7"
	want := status.Comparison{
		Jobs: []status.ComparedJob{
			{JobID: a, ScenarioID: "morning", Status: job.Succeeded}, {JobID: b, ScenarioID: "morning", Status: job.Succeeded},
			{JobID: queued, ScenarioID: "morning", Status: job.Queued, Message: got.Jobs[2].Message},
		},
		Metrics: []status.ComparedMetric{{Name: "mean_time_loss", Unit: "s", Values: []status.ComparedValue{
			{JobID: a, Value: &four}, {JobID: b, Value: &five, Difference: &one, Relative: &quarter}, {JobID: queued},
		}}},
		Settings: []status.ComparedSetting{{Name: "seed", Values: []status.ComparedChoice{
			{JobID: a, Value: &standard}, {JobID: b, Value: &seven}, {JobID: queued, Value: &standard},
		}}},
		Notes: []string{},
	}
	if diff := cmp.Diff(want, got); diff != "" || !strings.Contains(got.Jobs[2].Message, "QUEUED") {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestViewsShowWhatTheRunWrote(t *testing.T) {
	t.Parallel()
	in := install(t)
	id := in.finish(t, succeeded())
	var series outputs.Series
	in.get(t, "/jobs/"+id+"/series").Want(t, http.StatusOK).Into(t, &series)
	speed := series.Curve("mean_speed")
	if series.JobID != id || !series.Complete || speed == nil || !slices.Equal([]float64(speed.Values), []float64{5, 7}) {
		t.Errorf("the series are %+v", series)
	}
	var trips outputs.Distributions
	in.get(t, "/jobs/"+id+"/distributions").Want(t, http.StatusOK).Into(t, &trips)
	if trips.JobID != id || len(trips.Distributions) == 0 || trips.Distributions[0].Count != 1 {
		t.Errorf("the distributions are %+v", trips)
	}
	var network roadnet.Geometry
	in.get(t, "/jobs/"+id+"/network").Want(t, http.StatusOK).Into(t, &network)
	if len(network.Edges) == 0 || len(network.Junctions) == 0 {
		t.Errorf("the network has %d edges and %d junctions", len(network.Edges), len(network.Junctions))
	}
	var edges outputs.EdgeData
	in.get(t, "/jobs/"+id+"/edgedata").Want(t, http.StatusOK).Into(t, &edges)
	if edges.JobID != id || !slices.Equal(edges.Edges, []string{"e"}) || len(edges.Intervals) != 1 {
		t.Errorf("the edge data are %+v", edges)
	}
	for query, times := range map[string][]float64{"": {0, 1}, "?begin=0.5": {1}, "?end=0.5": {0}, "?begin=7": {}, "?step=5": {0}} {
		var got status.Vehicles
		in.get(t, "/jobs/"+id+"/vehicles"+query).Want(t, http.StatusOK).Into(t, &got)
		if !slices.Equal(got.Times, times) || got.Begin != 0 || got.End != 1 || got.Next != nil || len(got.Frames.Frames) != len(times) {
			t.Errorf("%q shows %+v", query, got)
		}
	}
	var plots status.Plots
	in.get(t, "/jobs/"+id+"/plots").Want(t, http.StatusOK).Into(t, &plots)
	var names []string
	for _, p := range plots.Plots {
		names = append(names, p.Name)
		in.get(t, p.SVG).Want(t, http.StatusOK)
		if a := in.get(t, p.PNG+"?theme=dark&width=400&height=300").Want(t, http.StatusOK); !bytes.HasPrefix(a.Body, []byte("\x89PNG")) {
			t.Errorf("%s is %.20q", p.PNG, a.Body)
		}
	}
	// No emissions, which were not asked for.
	if want := []string{"vehicles", "speed", "travel_time", "time_loss", "waiting_time"}; !slices.Equal(names, want) {
		t.Errorf("the plots are %v, want %v", names, want)
	}
}

func TestViewsAreKeptByTheirReader(t *testing.T) {
	t.Parallel()
	in := install(t)
	id, other := in.finish(t, succeeded()), in.finish(t, succeeded())
	for _, path := range []string{
		"/series", "/distributions", "/network", "/edgedata", "/vehicles", "/plots/speed.svg", "/plots/speed.png?with=" + other,
	} {
		path = "/jobs/" + id + path
		plain := in.get(t, path, "Accept-Encoding: identity").Want(t, http.StatusOK)
		tag := plain.Header.Get("ETag")
		if tag == "" || plain.Header.Get("Cache-Control") != "private, max-age=3600" ||
			plain.Header.Get("Vary") != "Accept-Encoding, Authorization, Origin" {
			t.Errorf("%s has the headers %v", path, plain.Header)
		}
		again := in.get(t, path, "If-None-Match: "+tag).Want(t, http.StatusNotModified)
		if len(again.Body) > 0 || again.Header.Get("ETag") != tag ||
			again.Header.Get("Cache-Control") != plain.Header.Get("Cache-Control") ||
			again.Header.Get("Vary") != plain.Header.Get("Vary") {
			t.Errorf("%s, unchanged, has the headers %v", path, again.Header)
		}
		in.get(t, path, `If-None-Match: "other"`).Want(t, http.StatusOK)
		if !strings.HasPrefix(tag, "W/") {
			continue // pictures are sent as they are
		}
		for encoding, zipped := range map[string]bool{
			"gzip": true, "br, GZIP;q=0.5": true, "*": true, "gzip;q=0": false, "gzip; q=0.0, br": false, "br": false,
		} {
			a := in.get(t, path, "Accept-Encoding: "+encoding).Want(t, http.StatusOK)
			if (a.Header.Get("Content-Encoding") == "gzip") != zipped || a.Header.Get("ETag") != tag {
				t.Errorf("%s as %q has the headers %v", path, encoding, a.Header)
				continue
			}
			body := a.Body
			if zipped {
				z, err := gzip.NewReader(bytes.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				if body, err = io.ReadAll(z); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(body, plain.Body) {
				t.Errorf("%s as %q is another answer", path, encoding)
			}
		}
	}
}

func TestTheNetworkOfADerivedScenarioIsItsOwn(t *testing.T) {
	t.Parallel()
	in := install(t)
	edges := func(digest, config string) []roadnet.Edge {
		t.Helper()
		id := in.finish(t, succeeded(), func(j *job.Job) { j.ScenarioDigest, j.Options.ConfigFile = digest, config })
		var network roadnet.Geometry
		in.get(t, "/jobs/"+id+"/network").Want(t, http.StatusOK).Into(t, &network)
		return network.Edges
	}
	cross, err := networks.ReadyZip("cross")
	if err != nil {
		t.Fatal(err)
	}
	derived := in.derive(t, in.digest, cross, "square.net.xml", "square.sumocfg")
	if diff := cmp.Diff(edges(in.scenario(t, "acme", "cross"), "cross.sumocfg"), edges(derived, "cross.sumocfg")); diff != "" {
		t.Errorf("its edges (-want +got):\n%s", diff)
	}
	var shown rest.Scenario
	in.get(t, "/scenarios/"+derived).Want(t, http.StatusOK).Into(t, &shown)
	if d := shown.Derived; d == nil || d.Base != in.digest || !slices.Equal(d.Deleted, []string{"square.net.xml", "square.sumocfg"}) {
		t.Errorf("it is shown as %+v", shown)
	}
}

func TestTheNetworkIsThereBeforeTheRun(t *testing.T) {
	t.Parallel()
	in := install(t)
	cross := in.scenario(t, "acme", "cross")
	id := in.queue(t, func(j *job.Job) { j.ScenarioDigest, j.Options.ConfigFile = cross, "cross.sumocfg" })
	var network roadnet.Geometry
	in.get(t, "/jobs/"+id+"/network").Want(t, http.StatusOK).Into(t, &network)
	if len(network.Edges) == 0 || len(network.StopLines) == 0 || network.StopLines[0].Signal != "centre" {
		t.Errorf("the network has %d edges, and the stop lines %+v", len(network.Edges), network.StopLines)
	}
	in.get(t, "/jobs/"+id+"/edgedata").Want(t, http.StatusConflict)
}

func TestAViewOfAScenarioThatIsGoneIsExplained(t *testing.T) {
	t.Parallel()
	in := install(t)
	id := in.finish(t, succeeded())
	_, unneeded, err := in.parts.DB.DeleteScenario(t.Context(), "acme", in.digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := in.parts.Objects.Delete(t.Context(), unneeded...); err != nil {
		t.Fatal(err)
	}
	a := in.get(t, "/jobs/"+id+"/network").Want(t, http.StatusNotFound)
	if !strings.Contains(string(a.Body), "scenario of job "+id+" was removed") {
		t.Errorf("answered %s", a.Body)
	}
}
