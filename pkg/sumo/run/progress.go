package run

import (
	"os"
	"strconv"
	"time"
)

const (
	progressTotal = 1000
	// progressEvery bounds how often the file is written. Its readers look at it every quarter of a second at most.
	progressEvery = 250 * time.Millisecond
)

// progressFile reports the progress as "N/1000" to Argo or the local engine.
type progressFile struct {
	file *os.File // nil when none was requested
	last int
	at   time.Time
}

func openProgress(name string) (*progressFile, error) {
	p := &progressFile{}
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
	n := min(int(fraction*progressTotal), progressTotal-1)
	if n > p.last && now.Sub(p.at) >= progressEvery {
		p.write(n)
		p.at = now
	}
}

func (p *progressFile) done() { p.write(progressTotal) }

// write replaces the content in one call. It never gets shorter, so a reader sees the old or the new, never a part. An
// error only hides the progress, which is no reason to end the run.
func (p *progressFile) write(n int) {
	p.last = n
	if p.file != nil {
		_, _ = p.file.WriteAt([]byte(strconv.Itoa(n)+"/"+strconv.Itoa(progressTotal)), 0)
	}
}

func (p *progressFile) close() {
	if p.file != nil {
		_ = p.file.Close()
	}
}
