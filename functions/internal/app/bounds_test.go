package app

import (
	"encoding/json"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/job"
)

// The tags of Go's structs cannot name constants, so some bounds stand in both.
func TestTheDocumentHasTheBoundsOfTheCode(t *testing.T) {
	t.Parallel()
	var document struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct {
					MaxItems  int `json:"maxItems"`
					MaxLength int `json:"maxLength"`
				}
			}
		}
	}
	if err := json.Unmarshal(OpenAPI, &document); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		schema, property string
		want             int
	}{
		{"S3RequestBody", "scenario_id", job.MaxName}, {"ImportTenantsRequestBody", "tenants", client.MaxImportedTenants},
		{"ImportJobsRequestBody", "jobs", client.MaxImportedJobs}, {"ImportedJob", "files", client.MaxImportedFiles},
	} {
		if p := document.Components.Schemas[c.schema].Properties[c.property]; max(p.MaxItems, p.MaxLength) != c.want {
			t.Errorf("%s.%s has the bounds %+v, want %d", c.schema, c.property, p, c.want)
		}
	}
}
