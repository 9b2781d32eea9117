package job

import (
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// TenantQueue is what one tenant has waiting and running, against its limits.
type TenantQueue struct {
	TenantID string
	Limits   tenant.Limits
	Usage
	// Oldest is when the job that has waited longest was submitted; zero when none waits.
	Oldest time.Time
}

// Activity is what happened in one minute.
type Activity struct {
	At        time.Time // the minute's begin
	Submitted int
	Started   int
	Succeeded int
	Failed    int
	Cancelled int
}

// Failure counts the jobs that failed for one reason.
type Failure struct {
	Reason simulation.Reason
	Count  int
}
