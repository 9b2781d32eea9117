package keeper

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestWatchAnnouncesThatARunBeginsAndEnds(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	changes := watch(t.Context(), out)
	announced := func(what string) {
		t.Helper()
		select {
		case <-changes:
		case <-time.After(time.Minute):
			t.Errorf("nothing announces that %s", what)
		}
	}
	if err := os.Mkdir(filepath.Join(out, "r"), 0o700); err != nil {
		t.Fatal(err)
	}
	announced("a run begins")
	progress := filepath.Join(out, "r.progress")
	if err := os.WriteFile(progress, []byte("0/1000"), 0o600); err != nil {
		t.Fatal(err)
	}
	announced("it goes on")
	if err := os.Remove(progress); err != nil {
		t.Fatal(err)
	}
	announced("it ends")
}
