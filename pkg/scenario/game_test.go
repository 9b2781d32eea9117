package scenario

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// gameOf is the folder of scenarios that SUMO itself carries, zipped as a person would.
func gameOf(t testing.TB, at release.Installation) []byte {
	t.Helper()
	var parts []part
	dir := filepath.Join(at.Home, "tools", "game")
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(p)
		rel, _ := filepath.Rel(dir, p)
		parts = append(parts, entryOf(filepath.ToSlash(rel), string(text)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return zipOf(t, parts...)
}

// Whatever SUMO carries or our own scenarios have is right.
func TestNothingIsSaidOfWhatIsRight(t *testing.T) {
	t.Parallel()
	sound := func(t *testing.T, data []byte, version string) {
		t.Helper()
		limits := DefaultLimits()
		limits.SUMOVersion = version
		m, err := inspect(t, data, limits)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range m.Configs {
			for _, w := range c.Strict() {
				t.Errorf("%s: %s", c.Path, itemText(w))
			}
			for _, p := range append(c.Problems, c.Unfit(version)...) {
				if !strings.Contains(p.Message, "osg-view") { // only a SUMO with a view in 3D has it; two of these scenarios need it
					t.Errorf("%s cannot run: %s", c.Path, itemText(p))
				}
			}
		}
	}
	sumotest.Each(t, func(t *testing.T, at release.Installation) { sound(t, gameOf(t, at), at.Version) })
	for _, name := range networks.Ready() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := networks.ReadyZip(name)
			if err != nil {
				t.Fatal(err)
			}
			sound(t, data, release.Oldest().Version)
		})
	}
}
