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
	s.sweep()
	if again := s.take(runs); again == x {
		t.Error("a scenario that was removed is used again")
	}
	if left, err := os.ReadDir(s.dir); err != nil || len(left) > 0 {
		t.Errorf("left are %v (%v)", left, err)
	}
}
