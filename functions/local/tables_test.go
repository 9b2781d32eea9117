package main

import (
	"bytes"
	"encoding/csv"
	"net/http"
	"strconv"
	"testing"

	"github.com/sumo-k8/sumo-k8/functions/status"
	"github.com/sumo-k8/sumo-k8/pkg/job"
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
