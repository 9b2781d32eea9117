package app

import (
	"encoding/json"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
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
					Maximum   int `json:"maximum"`
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
		{"RegisterRequestBody", "max_cpu", tenant.MostLimits.MaxCPU}, {"LimitChange", "max_cpu", tenant.MostLimits.MaxCPU},
		{"RegisterRequestBody", "max_memory_gi", tenant.MostLimits.MaxMemoryGi},
		{"LimitChange", "max_memory_gi", tenant.MostLimits.MaxMemoryGi},
		{"RegisterRequestBody", "max_concurrent_jobs", tenant.MostLimits.MaxConcurrentJobs},
		{"LimitChange", "max_concurrent_jobs", tenant.MostLimits.MaxConcurrentJobs},
	} {
		if p := document.Components.Schemas[c.schema].Properties[c.property]; max(p.MaxItems, p.MaxLength, p.Maximum) != c.want {
			t.Errorf("%s.%s has the bounds %+v, want %d", c.schema, c.property, p, c.want)
		}
	}
}

// One bound for all of them: a tenant that has four checks and four plans at once would have twice its share.
func TestChecksImportsAndPlansShareOneBound(t *testing.T) {
	t.Parallel()
	f := Parts{}.submit()
	if share := f.Scenarios.Share; share == nil || share.Most != maxChecks || f.Importer.Intake != f.Scenarios {
		t.Errorf("checks are bounded by %+v, and imports have an intake of their own: %t", share, f.Importer.Intake != f.Scenarios)
	}
}
