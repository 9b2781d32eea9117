package scenario

import (
	"errors"
	"fmt"
)

// budget bounds what the documents of one scenario keep in memory, in bytes.
type budget struct {
	left int
	// spill makes another document forget what it keeps, for one that keeps own bytes so far; false when none can. It may be nil.
	spill func(own int) bool
}

// memoryBudget allows some 50,000 detectors, each with a file of its own.
const memoryBudget = 8 << 20

// record is the size of what is kept beside the bytes of text.
const record = 64

// take takes room for a record with n bytes of text, for a document that keeps own bytes so far.
func (b *budget) take(n, own int) bool {
	for b.left < n+record {
		if b.spill == nil || !b.spill(own) {
			return false
		}
	}
	b.left -= n + record
	return true
}

// maxAgain is how many files are read again; more than a few do not fit only in a zip that is made for it.
const maxAgain = 1000

// spill makes the document that keeps the most forget it. While the zip is read for the first time, nobody knows yet which files the
// configurations lead to, so the costliest give way, which are few. Later, only those that the current configuration does not lead to do.
func (in *inspection) spill(own int) bool {
	var most *document
	for name, f := range in.files {
		if f.doc != nil && !in.held[name] && f.doc.cost > 0 && (most == nil || f.doc.cost > most.cost) {
			most = f.doc
		}
	}
	if most == nil || !in.again && most.cost <= own {
		return false
	}
	in.forget(most)
	return true
}

func (in *inspection) forget(d *document) {
	in.budget.left += d.cost
	d.departs.late, d.departs.segments = lateSpans{}, nil
	d.refs, d.hazards, d.schemas, d.oddities, d.settings, d.cost, d.spilled = nil, nil, nil, nil, nil, 0, true
}

// hold keeps a file's document while a configuration is judged, and reads the file again if its document was spilled.
func (in *inspection) hold(name string, f *file) {
	in.held[name] = true
	if f.doc == nil || !f.doc.spilled || in.failed != nil {
		return
	}
	if in.reread++; in.reread <= maxAgain {
		before := *f.doc
		switch err := in.reopen(name, in.read); {
		case errors.Is(err, errTotal):
			in.forget(f.doc)
			f.doc = &before
		case err != nil:
			in.failed = fmt.Errorf("reading the zip: %w", err)
			return
		}
	}
	if f.doc.spilled {
		f.doc.hazards = []hazard{{0, "the configuration leads to more names of files than can be checked: write the detectors' results into " +
			"fewer files"}}
	}
}
