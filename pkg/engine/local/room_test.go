package local

import (
	"math"
	"path/filepath"
	"strings"
	"testing"
)

func TestADiskWithLittleRoomIsReported(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := room(dir, 0); err != nil {
		t.Errorf("a disk with room enough: %v", err)
	}
	if err := room(dir, math.MaxUint64); err == nil || !strings.Contains(err.Error(), "MiB left") {
		t.Errorf("a disk with less than is needed: %v", err)
	}
	if err := room(filepath.Join(dir, "none"), 0); err == nil {
		t.Error("a folder that is not there has room")
	}
}
