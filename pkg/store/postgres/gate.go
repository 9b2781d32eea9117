package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/google/uuid"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/store/postgres/internal/db"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

const (
	// probes is how many runs show what one of them takes, where nothing is known.
	probes = 3
	// leastWork and mostWork bound what a chunk is expected to take, in core-seconds. With less, the seconds that a pod costs weigh too
	// much; with more, much is repeated when one is lost, and others wait long behind it.
	leastWork, mostWork = 30, 300
	// mostParallel bounds the runs of a chunk that go on side by side. Its cores must be free on one machine.
	mostParallel = 8
	// studyWindow bounds the studies that one Claim looks at, and studiesAtOnce those whose runs it counts. Of the others, those in
	// front have runs at work, and the rest has its turn when these are all started.
	studyWindow   = 200
	studiesAtOnce = 10
)

// waitingStudy is a study with runs that have not been started.
type waitingStudy struct {
	ID       string
	Priority job.Priority
	// Parallel is how many more runs may go on side by side, and Cores how many its runs at work have.
	Parallel, Cores int
	// Limits bound each of its chunks.
	Limits job.ChunkLimits
	// Overdue is true when none of its runs is at work although it was made long ago.
	Overdue bool
	Kinds   []kindOfRuns
	// Probed are the scenarios that have runs at work.
	Probed map[string]bool
}

// kindOfRuns are the runs of a study that have equal needs, so that they may go into one chunk.
type kindOfRuns struct {
	Point            int // the first of those that have such runs
	Scenario         string
	CPU, MemoryGi    int
	Points           int // how many have such runs
	Started, Waiting int // how many of the runs are
	// CoreSeconds are what one is expected to take; negative while nothing is known.
	CoreSeconds float64
}

// known reports whether anything is known of what a run takes.
func (k kindOfRuns) known() bool { return k.CoreSeconds >= 0 }

// before reports whether k comes before other: fewer replications of its points are started, or as many and it is of an earlier point.
func (k kindOfRuns) before(other kindOfRuns) bool {
	return cmp.Or(cmp.Compare(k.Started*other.Points, other.Started*k.Points), cmp.Compare(k.Point, other.Point)) < 0
}

// chunkOfRuns is a chunk that is to be started. Its JSON is what the statements that record it read.
type chunkOfRuns struct {
	ID       string `json:"id"`
	StudyID  string `json:"study_id"`
	Results  string `json:"results"` // artifact.StudyResults
	Scenario string `json:"scenario_digest"`
	Point    int    `json:"point"`
	Skip     int    `json:"skip"` // runs of the same kind that other chunks take
	Runs     int    `json:"runs"`
	Parallel int    `json:"parallel"`
	CPU      int    `json:"cpu"`
	MemoryGi int    `json:"memory_gi"`
}

// studiesWaiting reads what the tenant's studies have to start, and how many further chunks it may have. That is as many as it has chunks
// at work, less those that wait for a machine: so one tenant's chunks never fill the cluster's queue before others have had a turn.
func studiesWaiting(
	ctx context.Context, q *db.Queries, t db.Tenant, limits job.ChunkLimits,
) (studies []waitingStudy, further int, err error) {
	rows, err := q.StudiesWaiting(ctx, db.StudiesWaitingParams{TenantID: t.ID, ReserveAfter: reserveAfter, Most: studyWindow})
	if err != nil || len(rows) == 0 {
		return nil, 0, err
	}
	chunks, err := q.ChunksAtWork(ctx, t.ID)
	if err != nil {
		return nil, 0, err
	}
	if further = furtherChunks(chunks); further <= 0 {
		return nil, 0, nil
	}
	for _, r := range rows {
		s := waitingStudy{ID: r.ID, Priority: r.Priority, Parallel: r.MaxParallel, Limits: limits, Overdue: r.Overdue, Probed: map[string]bool{}}
		for _, c := range chunks {
			if c.StudyID == r.ID {
				s.Parallel -= c.Runs
				s.Cores += c.CPU
				s.Probed[c.ScenarioDigest] = true
				s.Overdue = false
			}
		}
		if s.Parallel > 0 {
			studies = append(studies, s)
		}
	}
	studies, err = withRuns(ctx, q, t, studies)
	return studies, further, err
}

// withRuns returns the first of studies that have runs which fit into the tenant's limits, with them.
func withRuns(ctx context.Context, q *db.Queries, t db.Tenant, studies []waitingStudy) (some []waitingStudy, err error) {
	for batch := range slices.Chunk(studies, studiesAtOnce) {
		if batch, err = countRuns(ctx, q, t, batch); err != nil {
			return nil, err
		}
		if some = append(some, batch...); len(some) >= studiesAtOnce {
			return some[:studiesAtOnce], nil
		}
	}
	return some, nil
}

func countRuns(ctx context.Context, q *db.Queries, t db.Tenant, studies []waitingStudy) ([]waitingStudy, error) {
	kinds, err := q.RunsWaiting(ctx, db.RunsWaitingParams{
		TenantID: t.ID, StudyIds: each(studies, func(s waitingStudy) string { return s.ID }), MaxCPU: t.MaxCPU, MaxMemoryGi: t.MaxMemoryGi,
	})
	if err != nil {
		return nil, err
	}
	for _, k := range kinds {
		i := slices.IndexFunc(studies, func(s waitingStudy) bool { return s.ID == k.StudyID })
		studies[i].Kinds = append(studies[i].Kinds, kindOfRuns{
			Point: k.Point, Scenario: k.ScenarioDigest, CPU: k.CPURequest, MemoryGi: k.MemoryGi, Points: k.Points, Started: k.Placed,
			Waiting: k.Runs, CoreSeconds: k.CoreSeconds,
		})
	}
	return slices.DeleteFunc(studies, func(s waitingStudy) bool { return len(s.Kinds) == 0 }), nil
}

// furtherChunks is how many more chunks of studies a tenant may have.
func furtherChunks(atWork []db.ChunksAtWorkRow) int {
	begun := 0
	for _, c := range atWork {
		if c.Begun {
			begun++
		}
	}
	return max(1, begun) - (len(atWork) - begun)
}

// choose returns the ids of the waiting jobs that start now, and the chunks of studies, each in their order. Within a priority, jobs come
// before studies, since a study is waited for anyway.
func choose(waiting []db.QueueHeadRow, studies []waitingStudy, free tenant.Limits, further int) (jobs []string, chunks []chunkOfRuns) {
	for {
		nextStudy := len(studies) > 0 && (len(waiting) == 0 || waiting[0].Priority < studies[0].Priority)
		switch {
		case free.MaxConcurrentJobs <= 0 || len(waiting)+len(studies) == 0:
			return jobs, chunks
		case nextStudy:
			s := studies[0]
			studies = studies[1:]
			taken := s.take(&free, further)
			further -= len(taken)
			chunks = append(chunks, taken...)
			if s.Overdue && len(taken) == 0 && further > 0 && len(s.Kinds) > 0 {
				return jobs, chunks // freed room is kept for it
			}
		default:
			w := waiting[0]
			waiting = waiting[1:]
			if w.CPURequest > free.MaxCPU || w.MemoryGi > free.MaxMemoryGi {
				if w.Overdue {
					return jobs, chunks
				}
				continue
			}
			free.MaxCPU -= w.CPURequest
			free.MaxMemoryGi -= w.MemoryGi
			free.MaxConcurrentJobs--
			jobs = append(jobs, w.ID)
		}
	}
}

// take makes chunks of a study's runs, most at most, and takes what they hold from free.
func (s *waitingStudy) take(free *tenant.Limits, most int) (chunks []chunkOfRuns) {
	skip := make([]int, len(s.Kinds))
	for len(chunks) < most && free.MaxConcurrentJobs > 0 && s.Parallel > 0 {
		i := s.next(*free)
		if i < 0 {
			break
		}
		k := &s.Kinds[i]
		runs := min(probes, k.Waiting)
		if k.known() {
			runs = s.size(*k, free.MaxCPU)
		}
		parallel := min(mostParallel, s.Limits.Fit(k.CPU, k.MemoryGi), free.MaxCPU/k.CPU, free.MaxMemoryGi/k.MemoryGi, s.Parallel, runs)
		chunks = append(chunks, chunkOfRuns{
			StudyID: s.ID, Scenario: k.Scenario, Point: k.Point, Skip: skip[i], Runs: runs, Parallel: parallel,
			CPU: parallel * k.CPU, MemoryGi: parallel * k.MemoryGi,
		})
		skip[i] += runs
		k.Started += runs
		k.Waiting -= runs
		s.Probed[k.Scenario] = true
		s.Parallel -= parallel
		s.Cores += parallel * k.CPU
		free.MaxCPU -= parallel * k.CPU
		free.MaxMemoryGi -= parallel * k.MemoryGi
		free.MaxConcurrentJobs--
	}
	return chunks
}

// next is the kind of runs that a study goes on with: the one whose points have the fewest replications started; -1 if none can start.
// Where nothing is known of a scenario, no other run of it starts before its probes have ended.
func (s *waitingStudy) next(free tenant.Limits) int {
	best := -1
	for i, k := range s.Kinds {
		if k.Waiting == 0 || k.CPU > free.MaxCPU || k.MemoryGi > free.MaxMemoryGi || !k.known() && s.Probed[k.Scenario] {
			continue
		}
		if best < 0 || k.before(s.Kinds[best]) {
			best = i
		}
	}
	return best
}

// size is how many runs go into a chunk: as few as keep all cores that the study has or can get at work until its end, because the later
// chunks are, the more evenly the last ones end; within the bounds of a chunk's work.
func (s *waitingStudy) size(k kindOfRuns, freeCores int) int {
	var left float64 // core-seconds of all runs that wait
	for _, other := range s.Kinds {
		left += float64(other.Waiting) * max(0, other.CoreSeconds)
	}
	work := min(mostWork, max(leastWork, left/float64(2*(freeCores+s.Cores))))
	fit := func(work float64) int { // runs that make so much work
		return int(math.Ceil(min(chunk.MostRuns, work/max(k.CoreSeconds, work/chunk.MostRuns))))
	}
	runs := min(k.Waiting, fit(work))
	if rest := k.Waiting - runs; rest > 0 && float64(rest)*k.CoreSeconds < leastWork && k.Waiting <= fit(mostWork) {
		return k.Waiting // what would be left is not worth a chunk
	}
	return runs
}

// place records chunks and makes jobs of their runs, and returns the chunks and the ids of the jobs, in their order. Studies that have
// ended since they were read get none.
func place(ctx context.Context, q *db.Queries, t db.Tenant, chunks []chunkOfRuns) (placed []chunkOfRuns, ids []string, err error) {
	running, err := q.LockStudiesToPlace(ctx, each(chunks, func(c chunkOfRuns) string { return c.StudyID }))
	if err != nil {
		return nil, nil, err
	}
	chunks = slices.DeleteFunc(chunks, func(c chunkOfRuns) bool { return !slices.Contains(running, c.StudyID) })
	if len(chunks) == 0 {
		return nil, nil, nil
	}
	for i := range chunks {
		c := &chunks[i]
		if c.ID, err = newID(); err != nil {
			return nil, nil, err
		}
		c.Results = artifact.StudyResults(t.Namespace, c.StudyID)
		for range c.Runs {
			id, err := newID()
			if err != nil {
				return nil, nil, err
			}
			ids = append(ids, id)
		}
	}
	doc, err := json.Marshal(chunks)
	if err != nil {
		return nil, nil, fmt.Errorf("recording chunks: %w", err)
	}
	if err := q.InsertChunks(ctx, db.InsertChunksParams{TenantID: t.ID, Chunks: doc}); err != nil {
		return nil, nil, err
	}
	ids, err = q.InsertRuns(ctx, db.InsertRunsParams{Ids: ids, Chunks: doc})
	return chunks, ids, err
}

func newID() (string, error) {
	id, err := uuid.NewV7()
	return id.String(), err
}
