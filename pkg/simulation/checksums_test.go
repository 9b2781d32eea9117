package simulation

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChecksumsAreReadBySha256sumAndByUs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sums, want := map[string][]byte{}, map[string]string{}
	for _, name := range []string{"log.txt", "name with  blanks.xml", "Straße/ä.xml"} {
		sum := sha256.Sum256([]byte(name))
		sums[name], want[name] = sum[:], hex.EncodeToString(sum[:])
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sums["a\nline"] = sums["log.txt"]
	text := FormatChecksums(sums)
	check := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", "-")
	check.Dir, check.Stdin = dir, strings.NewReader(string(text))
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("sha256sum: %v\n%s", err, out)
	}
	if diff := cmp.Diff(want, ParseChecksums(text)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := ParseChecksums([]byte("\nabc  x\n" + strings.Repeat("g", 64) + "  y\n" + strings.Repeat("0", 64) + "\n")); len(got) != 0 {
		t.Errorf("what is no checksum reads as %v", got)
	}
}
