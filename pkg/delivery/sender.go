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
	// deliveries of one line. Sixteen tenants must have nothing but slow receivers before others wait.
	maxLines    = 128
	maxOfTenant = 8
	maxPerLine  = 4
	// batch and batchTime bound what is sent of a line before others have their turn.
	batch     = 64
	batchTime = 2 * time.Second
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

// Round starts to send what is due and returns at once. Busy reports whether anything is on its way, or about to be due.
func (s *Sender) Round(ctx context.Context) (busy bool, err error) {
	if s.stopped(ctx) {
		return s.sending(), nil
	}
	err = errors.Join(s.startLines(ctx), s.startSignals(ctx))
	return s.sending() || s.sendingSoon(ctx), err
}

func (s *Sender) sending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.lines)+len(s.signals) > 0
}

// sendingSoon reports whether something will be due so soon that it is worth staying for: the second attempt, five seconds after the first,
// rather than the schedule's next call.
func (s *Sender) sendingSoon(ctx context.Context) bool {
	const soon = 8 * time.Second
	w := s.wanted()
	w.Each, w.Most = 1, 1
	due, err := s.outbox.Due(ctx, s.now().Add(soon), w)
	return err == nil && len(due) > 0
}

// Stop makes rounds start nothing more, until Finish. What is on its way takes seconds.
func (s *Sender) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
}

// Finish stops, waits for the attempts that are on their way, and returns the counts since it was last called.
func (s *Sender) Finish() Sent {
	s.Stop()
	s.working.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := s.sent
	s.sent, s.stopping = Sent{}, false
	return sent
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
	for tenant, n := range ofTenant {
		if n >= maxOfTenant {
			w.Full = append(w.Full, tenant)
		}
	}
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
	log := s.log.With().Str("tenant", r.TenantID).Str("receiver", HostOf(r.Receiver)).Logger() // a path may be a secret
	began := s.now()
	due, err := s.outbox.DueFor(ctx, began, r.Line, batch)
	if err != nil {
		log.Warn().Err(err).Msg("deliveries could not be read")
		return
	}
	line := course{workers: maxPerLine}
	if r.Failures > 0 {
		line.workers = 1 // one attempt shows whether the receiver is back
	}
	var next atomic.Int64
	var all sync.WaitGroup
	for range line.workers {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(due)); i = next.Add(1) - 1 {
				if line.ended() || s.stopped(ctx) || s.now().Sub(began) > batchTime {
					return
				}
				if a, made := s.deliver(ctx, due[i], log); made {
					line.note(a)
				}
			}
		})
	}
	all.Wait()
	if ctx.Err() != nil {
		return
	}
	if err := s.conclude(ctx, r, &line); err != nil {
		log.Warn().Err(err).Msg("the state of a receiver could not be recorded")
	}
}

// conclude records what the attempts of a batch have shown of the receiver.
func (s *Sender) conclude(ctx context.Context, r Receiving, line *course) error {
	switch {
	case line.inTrouble():
		failures := r.Failures + 1
		if line.answered > 0 {
			failures = 1 // it works at times
		}
		wait := max(spread(pause(failures), s.jitter()), min(line.retryAfter, delays[len(delays)-1]))
		return s.outbox.Block(ctx, r.Line, failures, s.now().Add(wait))
	case line.answered > 0 && r.Failures > 0:
		return s.outbox.Unblock(ctx, r.Line)
	}
	return nil
}

// course is how a batch goes.
type course struct {
	workers int

	mu         sync.Mutex
	answered   int
	down       int // in a row
	gone       bool
	retryAfter time.Duration
}

func (c *course) note(a Attempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone = c.gone || a.Gone
	c.retryAfter = max(c.retryAfter, a.RetryAfter)
	if a.Down {
		c.down++
		return
	}
	c.answered, c.down = c.answered+1, 0
}

// inTrouble reports whether the receiver has failed as often in a row as attempts are made at once. One that fails now and then is not in
// trouble: only what failed is tried again.
func (c *course) inTrouble() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.down >= c.workers || c.retryAfter > 0
}

func (c *course) ended() bool {
	c.mu.Lock()
	gone := c.gone
	c.mu.Unlock()
	return gone || c.inTrouble()
}

// deliver makes one attempt, if the delivery is still due, and records how it went. An attempt that our own end interrupts is not recorded:
// it is made again.
func (s *Sender) deliver(ctx context.Context, d Delivery, log zerolog.Logger) (a Attempt, made bool) {
	log = log.With().Str("delivery", d.ID).Str("job", d.JobID).Str("event", string(d.Event.Type)).Logger()
	if d.Event.Type == JobFinished {
		s.awaitSignals(d)
	}
	// The hook may have been changed, disabled or given a new secret since the batch was read.
	d, due, err := s.outbox.Current(ctx, d.ID, s.now())
	if err != nil {
		log.Warn().Err(err).Msg("a delivery could not be read again")
	}
	if err != nil || !due {
		return Attempt{}, false
	}
	if d.Task != nil {
		a = s.tasks.End(ctx, d)
	} else {
		a = s.poster.Post(ctx, d)
	}
	if ctx.Err() != nil {
		return a, false
	}
	after := d.After(a, s.now(), s.jitter())
	if err := s.outbox.Attempted(ctx, d, after); err != nil {
		log.Warn().Err(err).Msg("an attempt could not be recorded; it will be repeated")
		return a, true
	}
	if a.Gone && d.Hook != nil && d.Hook.JobID == "" { // the few events of one job are each tried
		if err := s.outbox.DisableHook(ctx, d.Hook.ID, "The receiver answered 410 Gone: it wants nothing more."); err != nil {
			log.Warn().Err(err).Msg("a webhook whose receiver is gone could not be disabled")
		}
	}
	s.count(after)
	log.Debug().Int("attempt", after.Attempts).Int("status", a.Status).Str("error", a.Error).Str("state", string(after.State)).Msg("delivery")
	return a, true
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

// awaitSignals waits until no progress of d's job is on its way to the same receiver, so that none arrives behind the job's end.
func (s *Sender) awaitSignals(d Delivery) {
	target := d.HookID
	if d.Task != nil {
		target = TargetTask
	}
	s.mu.Lock()
	sending := s.signals[signalKey{d.TenantID, d.JobID, target}]
	s.mu.Unlock()
	if sending != nil {
		<-sending
	}
}

func (s *Sender) startSignals(ctx context.Context) error {
	w := s.wanted()
	w.Most, w.Each = maxReports, maxSignalsOfTenant
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
		err = fmt.Errorf("looking for progress to report: %w", err) // of one kind; the others are sent
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
	return err
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
