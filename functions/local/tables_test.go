package main

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/functions/status"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/table"
)

// testTables compares a table with SUMO's own file.
func testTables(t *testing.T, s *service) {
	c := s.register(t)
	j := c.submit(t, "square", [2]string{"outputs", "fcd"})
	if j = c.finish(t, j.JobID); j.Status != job.Succeeded {
		t.Fatalf("the job ended as %s: %s", j.Status, deref(j.Error))
	}
	path := "/jobs/" + j.JobID + "/tables"
	records, err := csv.NewReader(bytes.NewReader(c.call(t, "GET", path+"/fcd?columns=time,id,x,y,speed").want(t, http.StatusOK).body)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	row := 1
	number := func(column int) float64 {
		v, err := strconv.ParseFloat(records[row][column], 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, step := range outputOf[fcdFile](t, c, j.JobID, "fcd.xml.gz").Steps {
		for _, v := range step.Vehicles {
			if row == len(records) {
				t.Fatalf("the table ends after %d rows", row)
			}
			if number(0) != step.Time || records[row][1] != v.ID || number(2) != v.X || number(3) != v.Y || number(4) != v.Speed {
				t.Errorf("row %d is %v, and SUMO wrote %+v at %g", row, records[row], v, step.Time)
			}
			row++
		}
	}
	var schema table.Schema
	c.call(t, "GET", path+"/fcd/schema").want(t, http.StatusOK).into(t, &schema)
	if i := schema.Index("speed"); i < 0 || schema.Columns[i].Unit != "m/s" {
		t.Errorf("the schema is %+v", schema)
	}
	var list status.Tables
	c.call(t, "GET", path).want(t, http.StatusOK).into(t, &list)
	for _, state := range list.Tables {
		if state.Name == "fcd" && (state.Rows == nil || *state.Rows != int64(row-1)) {
			t.Errorf("listed is %+v, with %d rows read", state, row-1)
		}
	}
}

// testStudyTables reads a study's tables, made at the end of the runs and on request.
func testStudyTables(t *testing.T, s *service) {
	c := s.register(t)
	square := c.store(t, zipOf(t, "square")).ID
	var made rest.Study
	c.sendJSON(t, "/studies", fmt.Sprintf(`{"name": "half", "run": {"tables": ["tripinfo"]}, "replications": {"seeds": [7, 8]}, "variants": [
		{"name": "base", "scenario": %[1]q}, {"name": "half & half", "scenario": %[1]q, "run": {"scale": 0.5}}]}`, square),
	).want(t, http.StatusOK).into(t, &made)
	c.answered(t, made.StudyID)
	for _, name := range []string{"tripinfo", "summary"} {
		a := c.call(t, "GET", "/studies/"+made.StudyID+"/tables/"+name).want(t, http.StatusOK)
		archive, err := zip.NewReader(bytes.NewReader(a.body), int64(len(a.body)))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, file := range archive.File {
			in, err := file.Open()
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(in)
			if err != nil {
				t.Fatal(err)
			}
			if path.Ext(file.Name) == ".json" {
				if string(content) != "[]\n" {
					t.Errorf("%s is %s", file.Name, content)
				}
				continue
			}
			got = append(got, path.Dir(file.Name))
			if rows, err := table.Open(bytes.NewReader(content), int64(len(content))); err != nil || rows.Rows < 5 {
				t.Errorf("%s has %+v, %v", file.Name, rows, err)
			}
		}
		slices.Sort(got)
		root := name + "/study=" + made.StudyID
		want := []string{
			root + "/point=0/variant=base/replication=0/seed=7", root + "/point=0/variant=base/replication=1/seed=8",
			root + "/point=1/variant=half%20%26%20half/replication=0/seed=7", root + "/point=1/variant=half%20%26%20half/replication=1/seed=8",
		}
		if diff := cmp.Diff(want, got); diff != "" || a.header.Get("Runs-Left-Out") != "0" {
			t.Errorf("%q are left out, -want +got:\n%s", a.header.Get("Runs-Left-Out"), diff)
		}
	}
	content := c.call(t, "GET", "/studies/"+made.StudyID+"/table?format=parquet&metric=mean_speed").want(t, http.StatusOK).body
	runs, err := table.Open(bytes.NewReader(content), int64(len(content)))
	if err != nil || runs.Rows != 4 {
		t.Errorf("the study as a table has %+v, %v", runs, err)
	}
	// What a run has made at its end is among its results.
	for _, j := range c.runsOf(t, made.StudyID, "") {
		c.call(t, "GET", "/jobs/"+j.JobID+"/results/tables/tripinfo.parquet").want(t, http.StatusOK)
	}
	if p := c.call(t, "GET", "/studies/"+made.StudyID+"/tables/queue").want(t, http.StatusNotFound).problem(t); !strings.Contains(p.Detail, "outputs=queue") {
		t.Errorf("queues: %s", p.Detail)
	}
}
