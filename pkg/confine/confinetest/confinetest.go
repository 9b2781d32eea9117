// Package confinetest helps to test what confined programs can do, as root and as an ordinary user.
package confinetest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/process/processtest"
)

// ordinary is the user as whom root runs a test once more: nobody, in all distributions.
const ordinary = 65534

// AsOrdinaryUser reruns the calling test in a process of an ordinary user, as a parallel subtest, when the tests run as
// root. Otherwise the test runs as one already.
func AsOrdinaryUser(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	t.Run("ordinary user", func(t *testing.T) {
		t.Parallel()
		Again(t)
	})
}

// Again runs the calling test in a process of an ordinary user.
func Again(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	hostile := Hostile(t)
	dir := OpenDir(t)
	copied, scratch := filepath.Join(dir, "test"), filepath.Join(dir, "tmp")
	processtest.WriteProgram(t, copied, string(binary))
	if err := errors.Join(os.Mkdir(scratch, 0o700), os.Chown(scratch, ordinary, ordinary)); err != nil {
		t.Fatal(err)
	}
	name, _, _ := strings.Cut(t.Name(), "/")
	cmd := exec.CommandContext(t.Context(), copied, "-test.run=^"+name+"$", "-test.v", "-test.timeout=10m")
	cmd.Env = append(os.Environ(), "TMPDIR="+scratch, "HOME="+scratch, hostileVariable+"="+hostile)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ordinary, Gid: ordinary}}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
}

// OpenDir is a temporary folder that every user can reach.
func OpenDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// hostileVariable is the path of Hostile's program where it is built already: an ordinary user may have no build cache.
const hostileVariable = "TEST_HOSTILE"

// Hostile builds a program that stands in for a SUMO that was taken over, and returns its path.
func Hostile(t *testing.T) string {
	t.Helper()
	if program := os.Getenv(hostileVariable); program != "" {
		return program
	}
	program := filepath.Join(OpenDir(t), "hostile")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "github.com/sumo-k8/sumo-k8/pkg/confine/internal/hostile")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building it: %v: %s", err, out)
	}
	return program
}
