package job

import (
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// Usage is what a tenant has queued and active.
type Usage struct {
	ByState  map[State]int
	CPU      int // cores held by active jobs
	MemoryGi int // GiB held by active jobs
}

// Active is how many jobs hold a part of the limits.
func (u Usage) Active() int { return u.ByState[Pending] + u.ByState[Running] }

// TenantQueue is what one tenant has queued and active, against its limits.
type TenantQueue struct {
	TenantID string
	Limits   tenant.Limits
	Usage
	// Oldest is when the job that has waited longest was submitted; zero when none is queued.
	Oldest time.Time
}

// Activity counts the events of one minute.
type Activity struct {
	At        time.Time // when the minute begins
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
