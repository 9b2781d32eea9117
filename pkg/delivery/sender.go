package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
)

// Sender sends what is due, in the background.
type Sender struct {
	outbox Outbox
	poster Poster
	tasks  Tasks
	now    func() time.Time
	jitter func() float64
	log    zerolog.Logger

	changed chan struct{}
	working sync.WaitGroup

	mu       sync.Mutex // guards what follows
	lines    map[Line]bool
	signals  map[signalKey]chan struct{} // closed when the signal is sent
	asked    time.Time                   // when signals were looked for
	stopping bool
	sent     Sent
}

type signalKey struct{ tenant, job, target string }

const (
	// maxLines, maxOfTenant and maxPerLine bound what is on its way at a time: so many lines, so many of one tenant, and so many
	// deliveries of one line.
	maxLines    = 32
	maxOfTenant = 8
	maxPerLine  = 4
	// batch is how much of a line is sent before others have their turn.
	batch = 64
	// maxSignals bounds the reports of running jobs that are on their way, and maxSignalsOfTenant those of one tenant.
	maxSignals         = 64
	maxSignalsOfTenant = 16
	// maxReports bounds the reports that are looked at, and askEvery how often.
	maxReports = 1_000
	askEvery   = progressEvery / 2
)

// Sent counts what became of attempts.
type Sent struct {
	Delivered int `json:"delivered"` // confirmed by their receivers
	Failed    int `json:"failed"`    // to be tried again
	GivenUp   int `json:"given_up"`  // for good
	Signals   int `json:"signals"`   // heartbeats and progress of running jobs
}

// NewSender makes a Sender. Poster and tasks are nil where the operator has not enabled them. Jitter returns random numbers from 0 to 1.
func NewSender(outbox Outbox, poster Poster, tasks Tasks, now func() time.Time, jitter func() float64, log zerolog.Logger) *Sender {
	return &Sender{
		outbox: outbox, poster: poster, tasks: tasks, now: now, jitter: jitter, log: log, changed: make(chan struct{}, 1),
		lines: map[Line]bool{}, signals: map[signalKey]chan struct{}{},
	}
}

// Changed delivers a value when another Round would send more.
func (s *Sender) Changed() <-chan struct{} { return s.changed }

// Round starts to send what is due and returns at once. Busy reports whether anything is on its way.
func (s *Sender) Round(ctx context.Context) (busy bool, err error) {
	err = errors.Join(s.startLines(ctx), s.startSignals(ctx))
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lines)+len(s.signals) > 0, err
}

// Finish waits for the attempts that are on their way, which takes seconds, and starts no others before the next Round. It returns the
// counts since it was last called.
func (s *Sender) Finish() Sent {
	s.stop(true)
	s.working.Wait()
	s.stop(false)
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := s.sent
	s.sent = Sent{}
	return sent
}

func (s *Sender) stop(stopping bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = stopping
}

func (s *Sender) stopped(ctx context.Context) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopping || ctx.Err() != nil
}

func (s *Sender) wanted() Wanted { return Wanted{Hooks: s.poster != nil, Tasks: s.tasks != nil} }

func (s *Sender) startLines(ctx context.Context) error {
	w := s.wanted()
	w.Each = maxOfTenant
	ofTenant := map[string]int{}
	s.mu.Lock()
	for l := range s.lines {
		w.Busy = append(w.Busy, l)
		ofTenant[l.TenantID]++
	}
	w.Most = maxLines - len(s.lines)
	s.mu.Unlock()
	if w.Most <= 0 || !w.Hooks && !w.Tasks {
		return nil
	}
	due, err := s.outbox.Due(ctx, s.now(), w)
	if err != nil {
		return fmt.Errorf("looking for deliveries: %w", err)
	}
	for _, r := range due {
		if ofTenant[r.TenantID]++; ofTenant[r.TenantID] > maxOfTenant {
			continue
		}
		s.mu.Lock()
		s.lines[r.Line] = true
		s.mu.Unlock()
		s.working.Go(func() {
			s.serve(ctx, r)
			s.mu.Lock()
			delete(s.lines, r.Line)
			s.mu.Unlock()
			s.more()
		})
	}
	return nil
}

func (s *Sender) more() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// serve sends a batch of a line. When the receiver turns out to be in trouble it leaves the rest for later.
func (s *Sender) serve(ctx context.Context, r Receiving) {
	log := s.log.With().Str("tenant", r.TenantID).Str("receiver", r.Receiver).Logger()
	due, err := s.outbox.DueFor(ctx, s.now(), r.Line, batch)
	if err != nil {
		log.Warn().Err(err).Msg("deliveries could not be read")
		return
	}
	workers := maxPerLine
	if r.Failures > 0 {
		workers = 1 // one attempt shows whether the receiver is back
	}
	var next atomic.Int64
	var down, answered atomic.Bool
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(due)) && !down.Load() && !s.stopped(ctx); i = next.Add(1) - 1 {
				if s.deliver(ctx, due[i], log).Down {
					down.Store(true)
				} else {
					answered.Store(true)
				}
			}
		})
	}
	all.Wait()
	switch {
	case ctx.Err() != nil:
		return
	case down.Load():
		until := s.now().Add(spread(pause(r.Failures+1), s.jitter()))
		err = s.outbox.Block(ctx, r.Line, r.Failures+1, until)
	case answered.Load() && r.Failures > 0:
		err = s.outbox.Unblock(ctx, r.Line)
	}
	if err != nil {
		log.Warn().Err(err).Msg("the state of a receiver could not be recorded")
	}
}

// deliver makes one attempt and records how it went. An attempt that our own end interrupts is not recorded: it is made again.
func (s *Sender) deliver(ctx context.Context, d Delivery, log zerolog.Logger) Attempt {
	log = log.With().Str("delivery", d.ID).Str("job", d.JobID).Str("event", string(d.Event.Type)).Logger()
	if d.Event.Type == JobFinished {
		s.awaitSignals(d.JobID)
	}
	var a Attempt
	if d.Task != nil {
		a = s.tasks.End(ctx, d)
	} else {
		a = s.poster.Post(ctx, d)
	}
	if ctx.Err() != nil {
		return a
	}
	after := d.After(a, s.now(), s.jitter())
	if err := s.outbox.Attempted(ctx, d, after); err != nil {
		log.Warn().Err(err).Msg("an attempt could not be recorded; it will be repeated")
		return a
	}
	if a.Gone && d.Hook != nil {
		if err := s.outbox.DisableHook(ctx, d.Hook.ID, "The receiver answered 410 Gone: it wants nothing more."); err != nil {
			log.Warn().Err(err).Msg("a webhook whose receiver is gone could not be disabled")
		}
	}
	s.count(after)
	log.Debug().Int("attempt", after.Attempts).Int("status", a.Status).Str("error", a.Error).Str("state", string(after.State)).Msg("delivery")
	return a
}

func (s *Sender) count(d Delivery) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch d.State {
	case Delivered:
		s.sent.Delivered++
	case GivenUp:
		s.sent.GivenUp++
	default:
		s.sent.Failed++
	}
}

// awaitSignals waits until no progress of a job is on its way any longer, so that none arrives behind the job's end.
func (s *Sender) awaitSignals(jobID string) {
	s.mu.Lock()
	var sending []chan struct{}
	for key, done := range s.signals {
		if key.job == jobID {
			sending = append(sending, done)
		}
	}
	s.mu.Unlock()
	for _, done := range sending {
		<-done
	}
}

func (s *Sender) startSignals(ctx context.Context) error {
	w := s.wanted()
	w.Most = maxReports
	now := s.now()
	ofTenant := map[string]int{}
	s.mu.Lock()
	early := now.Sub(s.asked) < askEvery
	free := maxSignals - len(s.signals)
	for key := range s.signals {
		ofTenant[key.tenant]++
	}
	if !early {
		s.asked = now
	}
	s.mu.Unlock()
	if early || free <= 0 || !w.Hooks && !w.Tasks {
		return nil
	}
	due, err := s.outbox.Signals(ctx, now, w)
	if err != nil {
		return fmt.Errorf("looking for progress to report: %w", err)
	}
	for _, one := range due {
		if free == 0 || ofTenant[one.TenantID] == maxSignalsOfTenant {
			continue
		}
		key, done := signalKey{one.TenantID, one.JobID, one.Target}, make(chan struct{})
		s.mu.Lock()
		_, sending := s.signals[key]
		if !sending {
			s.signals[key] = done
		}
		s.mu.Unlock()
		if sending {
			continue
		}
		free, ofTenant[one.TenantID] = free-1, ofTenant[one.TenantID]+1
		s.working.Go(func() {
			if err := s.signal(ctx, one); err != nil && ctx.Err() == nil {
				s.log.Warn().Err(err).Str("tenant", one.TenantID).Str("job", one.JobID).Msg("progress could not be reported")
			}
			s.mu.Lock()
			delete(s.signals, key)
			s.mu.Unlock()
			close(done)
			s.more()
		})
	}
	return nil
}

// signal sends a report, unless its job has ended by now, and records it.
func (s *Sender) signal(ctx context.Context, one Signal) error {
	running, err := s.outbox.Running(ctx, one.JobID)
	if err != nil || !running || s.stopped(ctx) {
		return err
	}
	a := s.report(ctx, one)
	if ctx.Err() != nil {
		return nil
	}
	if a.Error == "" {
		one.Sent, one.Failures = one.Percent, 0
	} else {
		one.Failures++
	}
	s.mu.Lock()
	s.sent.Signals++
	s.mu.Unlock()
	return s.outbox.Signalled(ctx, one, one.due(s.now()))
}

func (s *Sender) report(ctx context.Context, one Signal) Attempt {
	switch one.Target {
	case TargetTask:
		return s.tasks.Heartbeat(ctx, one.TaskToken)
	case TargetProgress:
		return s.poster.Progress(ctx, *one.Progress, one.Percent)
	default:
		return s.poster.Post(ctx, Delivery{
			// The same for repetitions of the same value. Ids of deliveries are UUIDs, so it is none of theirs.
			ID:       strings.Join([]string{one.JobID, one.Hook.ID, fmt.Sprint(one.Percent)}, "_"),
			TenantID: one.TenantID, JobID: one.JobID, HookID: one.Hook.ID, URL: one.Hook.URL, Hook: one.Hook, Event: one.Event,
			CreatedAt: one.Event.At,
		})
	}
}
