// Package sumotest gives tests the real SUMO: the newest and the oldest version on offer, or all of them.
package sumotest

import (
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// allVariable asks for the widest matrix; make test-versions sets it.
const allVariable = "SUMO_K8_ALL_VERSIONS"

// Newest returns the newest version on offer. It fails the test where that is not installed.
func Newest(t testing.TB) release.Installation { return Version(t, release.Newest().Version) }

// Oldest returns the oldest version on offer.
func Oldest(t testing.TB) release.Installation { return Version(t, release.Oldest().Version) }

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

// Versions returns the versions with which each change is tested: the oldest and the newest on offer, or all of them.
func Versions() []string {
	if os.Getenv(allVariable) == "" {
		return []string{release.Oldest().Version, release.Newest().Version}
	}
	var versions []string
	for _, r := range release.All() {
		versions = append(versions, r.Version)
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
