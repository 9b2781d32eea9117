package scenario

import (
	"archive/zip"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// Derivation is what a scenario is to have differently from the one that it is derived from.
type Derivation struct {
	From string // its digest
	// Files is a zip of the files that are changed or added; empty or nil for none.
	Files io.Reader
	// Delete are the paths of files and folders that are left out.
	Delete []string
	About
}

// Derive makes a scenario that shares everything with another but the changes, which it stores as an overlay. It is checked as a whole,
// as if it had been uploaded in one zip, and answers as Accept does, with what it has differently from d.From. The same changes to the same
// zip are the same scenario, by whatever steps they came about; none at all are the zip itself. Requests that change nothing, or delete
// what is not there, are problem.Invalid. A repeated request has the same answer after the uploaded scenario that it begins from was deleted,
// while what it made is there.
func (in *Intake) Derive(ctx context.Context, t tenant.Tenant, d Derivation) (s Scenario, step Differences, created bool, err error) {
	var changes layer
	if d.Files != nil {
		sent, err := in.receive(ctx, t, d.Files)
		if err != nil {
			return Scenario{}, step, false, err
		}
		defer in.discard(ctx, sent.Key)
		if sent.Size > 0 {
			changes = layer{NewReaderAt(ctx, in.Objects, sent.Key, sent.Size), sent.Size}
		}
	}
	ctx, end, err := in.Share.Begin(ctx, t.ID)
	if err != nil {
		return Scenario{}, step, false, err
	}
	defer end()
	parent, gone, err := in.parent(ctx, t, d.From)
	if err != nil {
		return Scenario{}, step, false, err
	}
	next, err := in.derivation(ctx, parent, changes, d.Delete)
	if err != nil {
		return Scenario{}, step, false, err
	}
	s = next.scenario
	if d.Check != nil {
		if err := d.Check(ctx, s.Digest); err != nil {
			return Scenario{}, step, false, err
		}
	}
	if known, found, err := in.known(ctx, t, s.Digest, d.About); found || err != nil {
		return known, next.step, false, err
	}
	if gone != nil { // it was deleted, and nothing new can be made from it
		return Scenario{}, step, false, gone
	}
	if !next.delta.empty() {
		s.OverlayKey = artifact.OverlayKey(t.Namespace, in.NewID())
		if s.OverlaySize, err = in.storeOverlay(ctx, s.OverlayKey, next); err != nil {
			return Scenario{}, step, false, err
		}
	}
	if s.Manifest, err = in.inspect(ctx, s, d.Config, d.Program); err != nil {
		in.discardOverlay(ctx, s)
		return Scenario{}, step, false, err
	}
	s.Name, s.CreatedAt = cmp.Or(d.Name, parent.Name), in.Now()
	stored, created, err := in.Store.PutDerived(ctx, s, parent.Digest)
	if err != nil {
		if problem.CodeOf(err) == problem.NotFound {
			in.discardOverlay(ctx, s)
		}
		// Otherwise the row may exist although the answer was lost: see Accept.
		return Scenario{}, step, false, fmt.Errorf("recording the scenario: %w", err)
	}
	if !created {
		in.discardOverlay(ctx, s)
	}
	return stored, next.step, created, nil
}

// parent returns the scenario to derive from. Of one that was uploaded and is deleted, what others that share its zip show of it suffices to
// recognize a repeated request; gone is the answer to all others.
func (in *Intake) parent(ctx context.Context, t tenant.Tenant, digest string) (parent Scenario, gone, err error) {
	parent, err = in.Store.Scenario(ctx, t.ID, digest)
	if problem.CodeOf(err) != problem.NotFound {
		return parent, nil, err
	}
	gone = err
	sharing, err := in.Store.ScenarioOverBase(ctx, t.ID, digest)
	if problem.CodeOf(err) == problem.NotFound {
		return Scenario{}, nil, gone
	}
	return Scenario{TenantID: t.ID, Digest: digest, Key: sharing.Key, Size: sharing.Size}, gone, err
}

func (in *Intake) storeOverlay(ctx context.Context, key string, next derived) (int64, error) {
	reader, writer := io.Pipe()
	defer func() { _ = reader.Close() }() // ends the goroutine below when the store gives up early
	go func() { writer.CloseWithError(next.delta.pack(ctx, writer, next.files)) }()
	size, err := in.Objects.Put(ctx, key, reader, artifact.ContentType(key))
	if err != nil {
		return 0, fmt.Errorf("storing the changes: %w", err)
	}
	return size, nil
}

func (in *Intake) discardOverlay(ctx context.Context, s Scenario) {
	if s.OverlayKey != "" {
		in.discard(ctx, s.OverlayKey)
	}
}

// derived is a derivation that is settled.
type derived struct {
	scenario Scenario // without its overlay, manifest and name
	delta    delta
	files    map[string]*zip.File // those in delta
	step     Differences          // from the parent
}

// derivation settles what parent becomes by changes.
func (in *Intake) derivation(ctx context.Context, parent Scenario, changes layer, deleted []string) (derived, error) {
	var ignored report // of what is stored already
	below := parent
	below.OverlayKey = ""
	base, err := openArchive(ctx, below.Content(ctx, in.Objects), in.Limits, &ignored)
	if err != nil {
		return derived{}, err
	}
	before := overlay{delta: delta{Base: parent.Digest}}
	if parent.OverlayKey != "" {
		if before, err = base.openOverlay(ctx, parent.Content(ctx, in.Objects).overlay); err != nil {
			return derived{}, err
		}
	}
	next := derived{
		delta: delta{Base: before.delta.Base, Files: map[string]string{}}, files: map[string]*zip.File{},
		scenario: Scenario{TenantID: parent.TenantID, Key: parent.Key, Size: parent.Size},
	}
	maps.Copy(next.delta.Files, before.delta.Files)
	for _, p := range before.files {
		next.files[p.file.Name] = p.file
	}
	sent, err := in.sent(ctx, changes)
	if err != nil {
		return derived{}, err
	}
	entries := base.byName()
	gone, err := before.delete(entries, sent, deleted)
	if err != nil {
		return derived{}, err
	}
	for name := range gone {
		delete(next.delta.Files, name)
	}
	for name, f := range sent {
		delete(gone, name)
		same, err := base.holds(ctx, entries[name], f)
		if err != nil {
			return derived{}, err
		}
		if next.files[name] = f.file; same {
			delete(next.delta.Files, name)
		} else {
			next.delta.Files[name] = f.digest
		}
	}
	for name := range gone {
		if entries[name].there() {
			next.delta.Deleted = append(next.delta.Deleted, name)
		}
	}
	slices.Sort(next.delta.Deleted)
	if next.delta.equal(before.delta) {
		return derived{}, problem.New(problem.Invalid, "Nothing would change: the scenario has the same files already. Send a zip of the "+
			"files that differ, or name files to delete.")
	}
	next.step = next.delta.since(before.delta, entries)
	next.step.Base = parent.Digest
	err = next.settle(entries)
	return next, err
}

// since is what d has differently from before, another delta over the same base.
func (d delta) since(before delta, base map[string]entry) (step Differences) {
	touched := map[string]bool{}
	for _, of := range []delta{before, d} {
		for _, name := range slices.AppendSeq(slices.Clone(of.Deleted), maps.Keys(of.Files)) {
			touched[name] = true
		}
	}
	has := func(of delta, name string) bool {
		_, own := of.Files[name]
		return own || base[name].there() && !slices.Contains(of.Deleted, name)
	}
	for _, name := range slices.Sorted(maps.Keys(touched)) {
		switch had, has := has(before, name), has(d, name); {
		case !had && has:
			step.Added = append(step.Added, name)
		case had && !has:
			step.Deleted = append(step.Deleted, name)
		case before.Files[name] != d.Files[name]: // the base's own are in neither
			step.Changed = append(step.Changed, name)
		}
	}
	step.Total = len(step.Added) + len(step.Deleted) + len(step.Changed)
	return step
}

// settle fills in what the delta says of the scenario.
func (d *derived) settle(base map[string]entry) error {
	if d.delta.empty() {
		d.scenario.Digest = d.delta.Base
		return nil
	}
	text, err := d.delta.text()
	if err != nil {
		return err
	}
	digest := sha256.Sum256(text)
	d.scenario.Digest = hex.EncodeToString(digest[:])
	c := Differences{Base: d.delta.Base, Deleted: d.delta.Deleted, Total: len(d.delta.Files) + len(d.delta.Deleted)}
	for _, name := range slices.Sorted(maps.Keys(d.delta.Files)) {
		if base[name].there() {
			c.Changed = append(c.Changed, name)
		} else {
			c.Added = append(c.Added, name)
		}
	}
	d.scenario.Derived = c
	return nil
}

// sentFile is a file that is changed or added.
type sentFile struct {
	file   *zip.File
	digest string // SHA-256, in hexadecimal
}

// sent reads the files in the zip of changes. Every one of them is meant, so what no run may have is a fault.
func (in *Intake) sent(ctx context.Context, changes layer) (map[string]sentFile, error) {
	files := map[string]sentFile{}
	if changes.ReaderAt == nil {
		return files, nil
	}
	var rep report
	a, err := openArchive(ctx, Content{zip: changes}, in.Limits, &rep)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(a.unusable)) {
		rep.fault(shown(name), "%s", a.unusable[name])
	}
	if err := rep.err(); err != nil {
		return nil, err
	}
	for _, e := range a.files {
		files[e.name] = sentFile{file: e.file}
	}
	every := func(string) bool { return true }
	hashed := func(name string, r *entryReader) error {
		digest, err := digestOf(r)
		files[name] = sentFile{files[name].file, digest}
		return err
	}
	if err := a.each(ctx, &rep, every, hashed, func(name, fault string) { rep.fault(name, "%s", fault) }); err != nil {
		return nil, err
	}
	return files, rep.err()
}

func digestOf(r io.Reader) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// holds reports whether e, one of the archive's own or none, is the same file. It is read only if the tables of contents say the same of
// both.
func (a *archive) holds(ctx context.Context, e entry, f sentFile) (same bool, err error) {
	if e.file == nil || e.twice || e.file.CRC32 != f.file.CRC32 || e.file.UncompressedSize64 != f.file.UncompressedSize64 {
		return false, nil
	}
	err = a.one(ctx, e, func(_ string, r *entryReader) error {
		digest, err := digestOf(r)
		same = digest == f.digest
		return err
	})
	if failed := a.failed(); failed != nil || ctx.Err() != nil {
		return false, cmp.Or(failed, ctx.Err())
	}
	return same && err == nil, nil // a file that is damaged there is replaced
}

// delete returns the paths that the scenario of o over base leaves out once the named files and folders are deleted. Files that are sent
// come afterwards, so a folder may be deleted and filled again.
func (o overlay) delete(base map[string]entry, sent map[string]sentFile, paths []string) (gone map[string]bool, err error) {
	gone = map[string]bool{}
	for _, name := range o.delta.Deleted {
		gone[name] = true
	}
	present := slices.Collect(maps.Keys(o.delta.Files))
	for name := range base {
		if _, ok := o.delta.Files[name]; !ok && !gone[name] {
			present = append(present, name)
		}
	}
	var items []problem.Item
	for _, asked := range paths {
		name := path.Clean(asked)
		found := false
		for _, p := range present {
			if p == name || strings.HasPrefix(p, name+"/") {
				found, gone[p] = true, true
			}
		}
		fault := ""
		if _, both := sent[name]; both {
			fault = "is in the zip and to be deleted: leave it out of one of them"
		} else if !found {
			fault = "is no file or folder of the scenario: check the path of what is to be deleted"
		}
		if fault != "" {
			items = append(items, problem.Item{Location: "query.delete", Message: quote(asked) + " " + fault})
		}
	}
	if len(items) > 0 {
		return nil, problem.New(problem.Invalid, "The scenario cannot be derived: %s.", items[0].Message).WithItems(items...)
	}
	return gone, nil
}
