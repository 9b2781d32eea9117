// Package servicetest starts the real service for a test, as make dev does.
//
//	func TestMain(m *testing.M) { servicetest.Main(m) }
package servicetest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/service"
)

// startWithin covers compiling the service with an empty build cache.
const startWithin = 5 * time.Minute

// Main runs the tests of a package whose services end their streams so early that following a job means to resume several times, as
// behind a gateway.
func Main(m *testing.M) {
	if err := os.Setenv("STREAM_LIMIT", "300ms"); err != nil {
		panic(err)
	}
	localtest.Main(m)
}

// Start starts the service, and stops it when the test ends.
func Start(t testing.TB) *service.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startWithin)
	defer cancel()
	store, err := localtest.ObjectStoreBinary(ctx)
	if err != nil {
		t.Fatal(err)
	}
	bin, dir := localtest.Folder(t), localtest.Folder(t)
	for name, pkg := range map[string]string{"local": "functions/local", "sumo-run": "pkg/sumo/sumo-run"} {
		args := append([]string{"build", "-o", filepath.Join(bin, name)}, likeThisTest()...)
		out, err := exec.CommandContext(ctx, "go", append(args, "github.com/sumo-k8/sumo-k8/"+pkg)...).CombinedOutput()
		if err != nil {
			t.Fatalf("building %s: %v: %s", name, err, out)
		}
	}
	server, err := service.Start(ctx, filepath.Join(bin, "local"), dir, "--objectstore", store)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	return server
}

// likeThisTest are the flags with which the packages of this test were compiled, so that they need not be again.
func likeThisTest() (flags []string) {
	info, _ := debug.ReadBuildInfo()
	for _, setting := range info.Settings {
		if setting.Key == "-race" || setting.Key == "-gcflags" {
			flags = append(flags, setting.Key+"="+setting.Value)
		}
	}
	return flags
}
