package job_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

func TestFilesAreReadAsEachReleaseStoredThem(t *testing.T) {
	t.Parallel()
	for stored, want := range map[string]job.ResultFile{
		`{"name":"a.xml","size":7,"sha256":"f0"}`:                  {Name: "a.xml", Size: 7, SHA256: "f0"},
		`{"name":"a.xml","size":7,"role":"summary"}`:               {Name: "a.xml", Size: 7, Roles: []simulation.Output{"summary"}},
		`{"name":"a.xml","size":7,"roles":["summary","tripinfo"]}`: {Name: "a.xml", Size: 7, Roles: []simulation.Output{"summary", "tripinfo"}},
		`{"name":"a.xml","size":7,"roles":["summary","tripinfo"],"role":"summary"}`: {
			Name: "a.xml", Size: 7, Roles: []simulation.Output{"summary", "tripinfo"},
		},
		`{"name":"log.txt","size":7,"sha256":"f0","roles":[]}`: {Name: "log.txt", Size: 7, SHA256: "f0", Roles: []simulation.Output{}},
	} {
		var got job.ResultFile
		if err := json.Unmarshal([]byte(stored), &got); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", stored, diff)
		}
		var before struct { // as the release reads it that gave a file one role
			Role simulation.Output `json:"role"`
		}
		again, err := json.Marshal(got)
		if err := json.Unmarshal(again, &before); err != nil || before.Role != got.Role() || (got.Role() != "") != (len(want.Roles) > 0) {
			t.Errorf("%s is stored as %s: role %q, %v", stored, again, before.Role, err)
		}
		var back job.ResultFile
		if err != nil || json.Unmarshal(again, &back) != nil || !cmp.Equal(got, back) {
			t.Errorf("%s is stored as %s: %v", stored, again, err)
		}
	}
}
