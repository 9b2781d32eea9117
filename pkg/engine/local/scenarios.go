package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

const (
	// keepScenario is how long a scenario is kept that no chunk uses: people change a value and submit again within minutes.
	keepScenario = 15 * time.Minute
	// maxScenarios and maxScenarioBytes bound those: a city unpacks to some hundred MB.
	maxScenarios     = 50
	maxScenarioBytes = 4 << 30
)

// scenariosFolder is no name of a chunk.
const scenariosFolder = ".scenarios"

// Names in the folder of a scenario.
const (
	scenarioFile   = "scenario.zip"
	overlayFile    = "overlay.zip"
	unpackedFolder = "unpacked" // written and read by sumo-run
)

// scenarios keeps scenarios for a while, so that chunks and jobs of the same one fetch, check and unpack it once. None outlives the
// engine: what a crash of the machine leaves may be incomplete.
//
// Removing gigabytes takes seconds, and a chunk that starts needs mu. So what is to be removed is renamed with mu held, and removed
// without.
type scenarios struct {
	dir       string
	now       func() time.Time
	log       zerolog.Logger
	removeAll func(path string) error // os.RemoveAll, but for tests
	removals  sync.WaitGroup

	mu        sync.Mutex
	kept      map[string]*shared // by name
	timer     *time.Timer        // nil while all are in use
	discarded int                // folders
}

// shared is one scenario.
type shared struct {
	dir string
	// fetching is held by the one who fetches its objects.
	fetching chan struct{}
	fetched  bool // guarded by fetching

	// guarded by scenarios.mu
	users int
	until time.Time       // when it is removed unless it is used
	size  int64           // bytes
	grown bool            // size is out of date
	forms map[string]bool // configurations and versions of SUMO for which it was used

	mu    sync.Mutex
	valid map[string]bool // forms of runs that have shown the XML to be valid
}

// openScenarios removes what an earlier engine left in dir.
func openScenarios(dir string, now func() time.Time, log zerolog.Logger) (*scenarios, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("removing scenarios of an earlier start: %w", err)
	}
	return &scenarios{dir: dir, now: now, log: log, removeAll: os.RemoveAll, kept: map[string]*shared{}}, nil
}

// close removes all. No chunk uses any.
func (s *scenarios) close() {
	s.mu.Lock()
	clear(s.kept) // a timer that has fired finds nothing
	if s.timer != nil {
		s.timer.Stop()
	}
	s.mu.Unlock()
	s.removals.Wait()
	if err := s.removeAll(s.dir); err != nil {
		s.log.Warn().Err(err).Msg("unpacked scenarios not removed")
	}
}

// take returns the scenario of runs, which stays until leave is called as often.
func (s *scenarios) take(runs []*run) *shared {
	j := runs[0].job
	sum := sha256.Sum256([]byte(j.ScenarioKey + "\x00" + j.OverlayKey))
	name := hex.EncodeToString(sum[:16])
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.kept[name]
	if x == nil {
		x = &shared{
			dir: filepath.Join(s.dir, name), fetching: make(chan struct{}, 1), forms: map[string]bool{}, valid: map[string]bool{},
		}
		s.kept[name] = x
	}
	x.users++
	for _, r := range runs {
		form := r.Options.ConfigFile + "\x00" + r.Options.SumoVersion
		x.grown = x.grown || !x.forms[form]
		x.forms[form] = true
	}
	return x
}

func (s *scenarios) leave(x *shared) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for x.users == 1 {
		s.discardHalves(x)
		if !x.grown {
			break
		}
		x.grown = false
		s.mu.Unlock() // measuring takes long too; with a user, x is not removed meanwhile
		size := sizeOf(x.dir)
		s.mu.Lock()
		x.size = size
	}
	if x.users--; x.users > 0 {
		return
	}
	x.until = s.now().Add(keepScenario)
	s.sweep()
}

// sweep removes what is too old and too much. The caller holds s.mu.
func (s *scenarios) sweep() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	var idle []string
	for name, x := range s.kept {
		if x.users == 0 {
			idle = append(idle, name)
		}
	}
	slices.SortFunc(idle, func(a, b string) int { return s.kept[b].until.Compare(s.kept[a].until) }) // the last used first
	now, n, bytes := s.now(), 0, int64(0)
	for _, name := range idle {
		x := s.kept[name]
		n, bytes = n+1, bytes+x.size
		if n <= maxScenarios && bytes <= maxScenarioBytes && now.Before(x.until) {
			continue
		}
		if err := s.discard(x.dir); err != nil {
			s.log.Warn().Err(err).Msg("unpacked scenario not removed")
			continue
		}
		delete(s.kept, name)
		n, bytes = n-1, bytes-x.size
	}
	if n > 0 {
		s.timer = time.AfterFunc(keepScenario, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.sweep()
		})
	}
}

// discard takes a folder out of use before it removes it: a half of it would pass for the whole. What is left of it stays until the engine
// closes, or the next one opens. The caller holds s.mu.
func (s *scenarios) discard(folder string) error {
	s.discarded++
	unused := filepath.Join(s.dir, fmt.Sprintf("discarded.%d", s.discarded))
	if err := os.Rename(folder, unused); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	s.removals.Go(func() {
		if err := s.removeAll(unused); err != nil {
			s.log.Warn().Err(err).Msg("a part of an unpacked scenario is left")
		}
	})
	return nil
}

// discardHalves discards the copies that a sumo-run was making when it was killed, whose names have a second part. No sumo-run uses x. The
// caller holds s.mu.
func (s *scenarios) discardHalves(x *shared) {
	folder := x.file(unpackedFolder)
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	for _, entry := range entries {
		if strings.Contains(entry.Name(), ".") {
			err = errors.Join(err, s.discard(filepath.Join(folder, entry.Name())))
		}
	}
	if err != nil {
		s.log.Warn().Err(err).Msg("a half-made copy of a scenario is left")
	}
}

// sizeOf is how many bytes the files below dir have, as far as it can be read.
func sizeOf(dir string) (size int64) {
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			if info, err := entry.Info(); err == nil {
				size += info.Size()
			}
		}
		return nil
	})
	return size
}

func (x *shared) file(name string) string { return filepath.Join(x.dir, name) }

// fetch gets the objects of j's scenario, unless they are there.
func (x *shared) fetch(ctx context.Context, objects artifact.Store, j job.Job) error {
	select {
	case x.fetching <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-x.fetching }()
	if x.fetched {
		return nil
	}
	if err := os.MkdirAll(x.dir, 0o700); err != nil {
		return fmt.Errorf("making the scenario's folder: %w", err)
	}
	err := fetch(ctx, objects, j.ScenarioKey, x.file(scenarioFile))
	if err == nil && j.OverlayKey != "" {
		err = fetch(ctx, objects, j.OverlayKey, x.file(overlayFile))
	}
	x.fetched = err == nil
	return err
}

var errNoScenario = errors.New("the scenario is not in the object store")

// fetch copies an object to a file. When that fails there is no file.
func fetch(ctx context.Context, objects artifact.Store, key, name string) error {
	body, err := objects.Open(ctx, key, 0, -1)
	if problem.CodeOf(err) == problem.NotFound {
		return fmt.Errorf("%w: %w", errNoScenario, err)
	}
	if err != nil {
		return fmt.Errorf("opening the scenario: %w", err)
	}
	defer body.Close()
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("making a file for the scenario: %w", err)
	}
	_, err = io.Copy(f, body)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("fetching the scenario: %w", errors.Join(err, os.Remove(name)))
	}
	return nil
}

// validated records that a run of form (see run.form) has shown the XML to be valid.
func (x *shared) validated(form string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.valid[form] = true
}

func (x *shared) isValid(form string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.valid[form]
}
