package job

import (
	"math"
	"slices"
)

// Chunk is what an engine carries out in one process or pod: jobs of one study with the same scenario, version of SUMO and resources,
// all of them with a program or none, or a single job, whose id it has.
type Chunk struct {
	ID   string
	Jobs []Job // at least one
	// Parallel is how many of them go on at a time. Each has the CPU and the memory that it asks for.
	Parallel int
}

// ChunkLimits are the most that the runs of one chunk ask for together: what is free on one machine. A single run may ask for more. Zero
// sets no limit.
type ChunkLimits struct{ Cores, MemoryGi int }

// Fit is how many runs with the given cores and memory may go on side by side, at least one.
func (l ChunkLimits) Fit(cores, memoryGi int) int {
	most := math.MaxInt
	if l.Cores > 0 {
		most = l.Cores / cores
	}
	if l.MemoryGi > 0 {
		most = min(most, l.MemoryGi/memoryGi)
	}
	return max(1, most)
}

// Single is the chunk of one job that belongs to no study.
func Single(j Job) Chunk { return Chunk{ID: j.ID, Jobs: []Job{j}, Parallel: 1} }

// ChunkID is the id of the chunk in which j was started last.
func (j Job) ChunkID() string {
	if j.Study != nil {
		return j.Study.Chunk
	}
	return j.ID
}

// Program reports whether the runs of c have programs, or are a tool.
func (c Chunk) Program() bool { return c.Jobs[0].Options.Program() }

// Packed reports whether small results of j are kept in artifact.PackFile.
func (j Job) Packed() bool { return j.Study != nil }

// Sight is the state of one chunk as its engine sees it.
type Sight struct {
	ChunkID string
	// Runs are observations of jobs of the chunk.
	Runs []Observation
	// Others is what holds for its other jobs: that they wait, or, once the chunk has ended without them, how they ended. Its JobID is
	// empty.
	Others Observation
	// Ended is true when the engine does nothing more for the chunk. It may end later than its jobs.
	Ended bool
}

// Of returns what is seen of one job of the chunk.
func (s Sight) Of(jobID string) Observation { return s.ByJob()(jobID) }

// ByJob returns Of for those who ask for many jobs.
func (s Sight) ByJob() func(jobID string) Observation {
	at := make(map[string]int, len(s.Runs))
	for i := range s.Runs {
		at[s.Runs[i].JobID] = i
	}
	return func(jobID string) Observation {
		if i, seen := at[jobID]; seen {
			return s.Runs[i]
		}
		o := s.Others
		o.JobID = jobID
		return o
	}
}

// AtWork reports whether anything of the chunk is still to end.
func (s Sight) AtWork() bool {
	return s.Others.State.Active() || slices.ContainsFunc(s.Runs, func(o Observation) bool { return o.State.Active() })
}
