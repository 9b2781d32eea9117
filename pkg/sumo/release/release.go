// Package release lists the versions of SUMO on offer, and finds those that are installed on this machine.
package release

import (
	_ "embed"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:embed releases.txt
var list string

// Release is one version of SUMO on offer.
type Release struct {
	Version string // as jobs name it: "1.28"
	Full    string // as the wheel names it: "1.28.0"
	// Wheels are the SHA-256 sums of the wheel, in hexadecimal, by the architecture in Go's terms. A release need not have a
	// wheel for each.
	Wheels map[string]string
}

// All returns the releases on offer, oldest first.
func All() []Release { return slices.Clone(all()) }

var all = sync.OnceValue(func() []Release {
	var releases []Release
	for line := range strings.Lines(list) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		r := Release{Version: Short(fields[0]), Full: fields[0], Wheels: map[string]string{}}
		for i, architecture := range []string{"amd64", "arm64"} {
			if sum := fields[1+i]; sum != "-" {
				r.Wheels[architecture] = sum
			}
		}
		releases = append(releases, r)
	}
	return releases
})

// RunsOn is whether the release has a wheel for an architecture in Go's terms.
func (r Release) RunsOn(architecture string) bool { return r.Wheels[architecture] != "" }

// On returns the releases that run on an architecture, oldest first.
func On(architecture string) []Release {
	return slices.DeleteFunc(All(), func(r Release) bool { return !r.RunsOn(architecture) })
}

// Find returns the release of a version such as "1.28".
func Find(version string) (r Release, ok bool) {
	i := slices.IndexFunc(all(), func(r Release) bool { return r.Version == version })
	if i < 0 {
		return Release{}, false
	}
	return all()[i], true
}

// Oldest and Newest are the bounds of what is on offer.
func Oldest() Release { return all()[0] }

// Newest is the release that runs where nothing else is chosen.
func Newest() Release { return all()[len(all())-1] }

// Short returns the two numbers of a version that identify it, "1.28" of "1.28.0" and of a build from SUMO's repository, whose version
// is such as "v1_28_0+0557-0123abcd". The third number counts fixes only.
func Short(version string) string {
	version = strings.ReplaceAll(strings.TrimPrefix(strings.TrimSpace(version), "v"), "_", ".")
	numbers := strings.Split(version, ".")
	return strings.Join(numbers[:min(2, len(numbers))], ".")
}

// Compare orders versions such as "1.9" and "1.15.0" by their first two numbers.
func Compare(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(x), len(y), 2) {
		m, _ := strconv.Atoi(x[i])
		n, _ := strconv.Atoi(y[i])
		if m != n {
			return m - n
		}
	}
	return 0
}

// Installation is one SUMO on this machine.
type Installation struct {
	Version string // "1.28"
	Binary  string // the path of the program sumo
	Home    string // SUMO_HOME: the folder with data and tools
}

// Dir is the folder in which versions of SUMO are installed side by side unless something else is configured. All clones of the
// project share it.
func Dir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "sumo-k8", "sumo"), nil
}

// In is where a version stands in a folder of installations: the unpacked wheel in a folder of the version's name.
func In(dir, version string) Installation {
	home := filepath.Join(dir, version, "sumo")
	return Installation{Version: version, Binary: filepath.Join(home, "bin", "sumo"), Home: home}
}

// Installed returns the installations in dir of versions on offer, oldest first.
func Installed(dir string) []Installation {
	var found []Installation
	for _, r := range all() {
		at := In(dir, r.Version)
		if info, err := os.Stat(at.Binary); err == nil && info.Mode().IsRegular() {
			found = append(found, at)
		}
	}
	return found
}
