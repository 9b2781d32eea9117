package local

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/pkg/job"
)

func TestAScenarioThatNobodyUsesKeepsNoHalfMadeCopyAndIsNotRemovedByHalves(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s, err := openScenarios(filepath.Join(t.TempDir(), "scenarios"), func() time.Time { return now }, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	runs := []*run{{job: job.Job{ScenarioKey: "key"}}}
	x := s.take(runs)
	whole, half := x.file("unpacked/abc/files"), x.file("unpacked/abd.123/files")
	if err := errors.Join(os.MkdirAll(whole, 0o700), os.MkdirAll(half, 0o700)); err != nil {
		t.Fatal(err)
	}
	s.take(runs)
	s.leave(x)
	if _, err := os.Stat(half); err != nil {
		t.Errorf("while another chunk uses the scenario: %v", err)
	}
	s.leave(x)
	if _, err := os.Stat(half); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the half-made copy: %v", err)
	}
	if _, err := os.Stat(whole); err != nil {
		t.Errorf("the whole copy: %v", err)
	}
	now = now.Add(time.Hour)
	s.mu.Lock()
	s.sweep()
	s.mu.Unlock()
	if again := s.take(runs); again == x {
		t.Error("a scenario that was removed is used again")
	}
	s.removals.Wait()
	if left, err := os.ReadDir(s.dir); err != nil || len(left) > 0 {
		t.Errorf("left are %v (%v)", left, err)
	}
}

func TestNoChunkWaitsForAScenarioToBeRemoved(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s, err := openScenarios(filepath.Join(t.TempDir(), "[scenarios]"), func() time.Time { return now }, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	slow := make(chan struct{})
	s.removeAll = func(path string) error {
		<-slow
		return os.RemoveAll(path)
	}
	runs := []*run{{job: job.Job{ScenarioKey: "key"}}}
	x := s.take(runs)
	if err := os.MkdirAll(x.file("unpacked/abd.123/files"), 0o700); err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	go func() {
		defer close(started)
		s.leave(x) // with a half-made copy
		now = now.Add(time.Hour)
		other := s.take([]*run{{job: job.Job{ScenarioKey: "another"}}})
		s.leave(other) // which is when the first is removed
		if again := s.take(runs); again == x {
			t.Error("a scenario that is being removed is used again")
		}
	}()
	select {
	case <-started:
	case <-time.After(time.Minute):
		t.Error("a chunk waits for the removal of a scenario")
	}
	close(slow)
	<-started
	s.close()
	if _, err := os.Stat(s.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder of a closed engine: %v", err)
	}
}
