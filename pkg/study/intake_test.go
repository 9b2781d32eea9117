package study

import (
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/fairness"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

func TestPlansOfATenantAreSettledAFewAtOnce(t *testing.T) {
	t.Parallel()
	in := &Intake{Jobs: &job.Intake{}, Share: &fairness.Bound{Most: 1, Patience: time.Millisecond}}
	_, end, err := in.Share.Begin(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	if _, err := in.settle(t.Context(), tenant.Tenant{ID: "acme"}, Plan{}, nil, faults{}); problem.CodeOf(err) != problem.RateLimited {
		t.Errorf("beside another plan of the tenant: %v", err)
	}
}
