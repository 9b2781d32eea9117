package job

import (
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// Usage is what a tenant has queued and active.
type Usage struct {
	ByState map[State]int // of jobs, runs of studies among them
	// Held is how many of its concurrent jobs the tenant uses: a chunk of a study's runs counts as one.
	Held     int
	CPU      int // cores held by active jobs and chunks
	MemoryGi int // GiB held by active jobs and chunks
}

// TenantQueue is what one tenant has queued and active, against its limits.
type TenantQueue struct {
	TenantID string
	Limits   tenant.Limits
	Usage
	// Oldest is when the job that has waited longest was submitted; zero when none is queued.
	Oldest time.Time
	// Studies is how many of its studies go on, and Unstarted how many runs of theirs have not been started. Those are not jobs yet.
	Studies, Unstarted int
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
