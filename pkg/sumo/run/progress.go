package run

import (
	"os"
	"strconv"
	"sync"
	"time"
)

const (
	progressTotal = 1000
	// progressEvery bounds how often the file is written. Its readers look at it every quarter of a second at most.
	progressEvery = 250 * time.Millisecond
)

// progressFile reports the progress as "N/M" to Argo, the local engine or a keeper.
type progressFile struct {
	name  string                // of a file that is made when there is progress; empty for none
	file  *os.File              // nil when none was requested, or none is made yet
	all   int                   // M
	heard func(thousandths int) // nil for nobody
	last  int
	at    time.Time
}

// openProgress begins the progress of one run.
func openProgress(name string, heard func(thousandths int)) (*progressFile, error) {
	if heard == nil {
		return openProgressOf(name, progressTotal)
	}
	// In a chunk, a run that ends before anybody looks needs no file: the ends of runs are seen by their outcomes.
	return &progressFile{name: name, all: progressTotal, heard: heard, at: time.Now()}, nil
}

func openProgressOf(name string, all int) (*progressFile, error) {
	p := &progressFile{all: all}
	if name == "" {
		return p, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	p.file = f
	p.write(0)
	return p, nil
}

// set records the fraction that is done at now. It never decreases, and only done completes it.
func (p *progressFile) set(fraction float64, now time.Time) {
	p.reach(min(int(fraction*progressTotal), progressTotal-1), now)
}

// reach records n, unless there is more already or it was recorded just before.
func (p *progressFile) reach(n int, now time.Time) {
	if n > p.last && now.Sub(p.at) >= progressEvery {
		if p.name != "" && p.file == nil {
			p.file, _ = os.Create(p.name) // see write
		}
		p.write(n)
		p.at = now
	}
}

func (p *progressFile) done() { p.write(p.all) }

// write replaces the content in one call. It never gets shorter, so a reader sees the old or the new, never a part. An
// error only hides the progress, which is no reason to end the run.
func (p *progressFile) write(n int) {
	p.last = n
	if p.heard != nil {
		p.heard(n)
	}
	if p.file != nil {
		_, _ = p.file.WriteAt([]byte(strconv.Itoa(n)+"/"+strconv.Itoa(p.all)), 0)
	}
}

func (p *progressFile) close() {
	if p.file != nil {
		_ = p.file.Close()
	}
}

// overall is the progress of a chunk: the sum over its runs.
type overall struct {
	mu   sync.Mutex
	file *progressFile
	runs map[string]int // thousandths
	sum  int
}

// set records how far a run is.
func (o *overall) set(run string, thousandths int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sum += thousandths - o.runs[run]
	o.runs[run] = thousandths
	o.file.reach(o.sum, time.Now())
}

// settle records that nothing more will come of a run, done or not.
func (o *overall) settle(run string, done bool) {
	if done {
		o.set(run, progressTotal)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sum > o.file.last {
		o.file.write(o.sum)
	}
}
