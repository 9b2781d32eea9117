package localtest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"github.com/gofrs/flock"
)

// Build builds a program of this module, such as pkg/client/sumo-k8, as the file output.
func Build(ctx context.Context, output, program string) error {
	return run(command(ctx, output, packageOf(program)))
}

func packageOf(program string) string { return "github.com/sumo-k8/sumo-k8/" + program }

func run(build *exec.Cmd) error {
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", build, err, bytes.TrimSpace(out))
	}
	return nil
}

// command builds programs with the flags of make build, whatever those of the test are: what one compiles, the other finds in Go's cache.
// Without the commit in it, a program that is up to date stays as it is while others run it.
func command(ctx context.Context, output string, packages ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-trimpath", "-buildvcs=false", "-o", output}, packages...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	return cmd
}

// SumoRunBinary returns the path of sumo-run, which lies in .local/bin/test of the module's folder, beside what it has beside it in a
// release. It is linked anew only if its sources have changed.
var SumoRunBinary = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), setUp)
	defer cancel()
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	binary, unlock, err := lockBinary(filepath.Join(root, ".local", "bin", "test"), "sumo-run")
	if err != nil {
		return "", fmt.Errorf("build sumo-run: %w", err)
	}
	defer unlock()
	return binary, run(command(ctx, filepath.Dir(binary), packageOf("pkg/sumo/sumo-run"), packageOf("pkg/confine/sumo-wall")))
})

// lockBinary returns the path of a program in a folder that it makes. The test binaries of several packages run at once: the first one
// builds, and the others wait until it unlocks.
func lockBinary(folder, name string) (binary string, unlock func(), err error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", nil, err
	}
	binary = filepath.Join(folder, name)
	lock := flock.New(binary + ".lock")
	return binary, func() { _ = lock.Unlock() }, lock.Lock()
}
