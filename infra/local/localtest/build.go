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

// Build builds a program of this module, such as pkg/sumo/sumo-run, as the file output.
func Build(ctx context.Context, output, program string) error {
	if out, err := command(ctx, output, "github.com/sumo-k8/sumo-k8/"+program).CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w: %s", program, err, bytes.TrimSpace(out))
	}
	return nil
}

// command builds a program with the flags of make build, whatever those of the test are: what one compiles, the other finds in Go's cache.
// Without the commit in it, a program that is up to date stays as it is while others run it.
func command(ctx context.Context, output, program string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", output, program)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	return cmd
}

// SumoRunBinary returns the path of sumo-run, which is .local/bin/sumo-run-test in the module's folder. It is linked anew only if its
// sources have changed.
var SumoRunBinary = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), setUp)
	defer cancel()
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	binary, unlock, err := lockBinary(root, "sumo-run-test")
	if err != nil {
		return "", fmt.Errorf("build sumo-run: %w", err)
	}
	defer unlock()
	return binary, Build(ctx, binary, "pkg/sumo/sumo-run")
})

// lockBinary returns the path of a program in the module's .local/bin. The test binaries of several packages run at once: the first one
// builds, and the others wait until it unlocks.
func lockBinary(root, name string) (binary string, unlock func(), err error) {
	bin := filepath.Join(root, ".local", "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", nil, err
	}
	binary = filepath.Join(bin, name)
	lock := flock.New(binary + ".lock")
	return binary, func() { _ = lock.Unlock() }, lock.Lock()
}
