package client

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTablesAreAskedForByTheirParameters(t *testing.T) {
	t.Parallel()
	var asked []string
	server := newScript(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RequestURI())
		_, _ = io.WriteString(w, `{"job_id": "j", "tables": [{"name": "fcd", "ready": true, "rows": 7, "columns": [{"name": "x", "unit": "m"}]}]}`)
	})
	api := server.client(t)
	found, err := api.Tables(t.Context(), "j")
	if err != nil || len(found.Tables) != 1 || *found.Tables[0].Rows != 7 || found.Tables[0].Columns[0].Unit != "m" {
		t.Errorf("the tables are %+v, %v", found, err)
	}
	var out bytes.Buffer
	from, to := 0.0, 60.5
	for _, err := range []error{
		api.Table(t.Context(), "j", "fcd", TableQuery{Format: "parquet"}, &out),
		api.Table(t.Context(), "j", "fcd", TableQuery{Format: "csv", Columns: []string{"x", "param_a&b"}, From: &from, To: &to}, &out),
		api.StudyTables(t.Context(), "s", "tripinfo", &out),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	want := []string{
		"/jobs/j/tables", "/jobs/j/tables/fcd?format=parquet", "/jobs/j/tables/fcd?columns=x%2Cparam_a%26b&format=csv&from=0&to=60.5",
		"/studies/s/tables/tripinfo",
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
}
