// Package sumotest gives tests the real SUMO: the newest and the oldest version on offer, or all of them.
package sumotest

import (
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// allVariable asks for the widest matrix; make test-versions sets it.
const allVariable = "SUMO_K8_ALL_VERSIONS"

// Newest returns the newest version that runs on this machine. It fails the test where that is not installed.
func Newest(t testing.TB) release.Installation {
	versions := here()
	return Version(t, versions[len(versions)-1])
}

// Oldest returns the oldest version that runs on this machine.
func Oldest(t testing.TB) release.Installation { return Version(t, here()[0]) }

// here lists the versions that have a wheel for this machine.
func here() []string {
	var versions []string
	for _, r := range release.On(runtime.GOARCH) {
		versions = append(versions, r.Version)
	}
	return versions
}

// Version returns one version on offer, such as "1.24".
func Version(t testing.TB, version string) release.Installation {
	t.Helper()
	dir, err := folder()
	if err != nil {
		t.Fatal(err)
	}
	installed := release.Installed(dir)
	i := slices.IndexFunc(installed, func(at release.Installation) bool { return at.Version == version })
	if i < 0 {
		t.Fatalf("SUMO %s is not installed: make sumo VERSIONS=%s", version, version)
	}
	return installed[i]
}

// Python returns what programs run with that use a version. It fails the test where that is not installed. A Python that is newer than the
// version has no libsumo of it: a test that needs that skips there.
func Python(t testing.TB, version string) release.Python {
	t.Helper()
	dir, err := folder()
	if err != nil {
		t.Fatal(err)
	}
	python, err := release.PythonIn(dir, version)
	if err != nil {
		t.Fatalf("SUMO %s: %v: make sumo-controllers VERSIONS=%s", version, err, version)
	}
	return python
}

// All reports whether tests run with all versions.
func All() bool { return os.Getenv(allVariable) != "" }

// Versions returns the versions with which each change is tested: the oldest and the newest that run here, or all of them.
func Versions() []string {
	versions := here()
	if !All() {
		return []string{versions[0], versions[len(versions)-1]}
	}
	return versions
}

// Each runs a test with each of Versions.
func Each(t *testing.T, test func(t *testing.T, sumo release.Installation)) {
	t.Helper()
	for _, version := range Versions() {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			test(t, Version(t, version))
		})
	}
}

// Command calls a program of the installation, such as "sumo" or "netgenerate", as a user would at a desk.
func Command(t testing.TB, sumo release.Installation, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), sumo.Home+"/bin/"+program, args...)
	cmd.Env = append(os.Environ(), "SUMO_HOME="+sumo.Home)
	return cmd
}
