package scenario

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// gameFolder is the folder of scenarios that SUMO itself carries.
func gameFolder(at release.Installation) string { return filepath.Join(at.Home, "tools", "game") }

// gameOf is that folder, zipped as a person would, but without compression, which would take longer than the rest of a test.
func gameOf(t testing.TB, at release.Installation) []byte {
	t.Helper()
	var parts []part
	dir := gameFolder(at)
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(p)
		rel, _ := filepath.Rel(dir, p)
		parts = append(parts, stored(filepath.ToSlash(rel), string(text)))
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
			for _, w := range c.Strict(c.Interval(nil, nil)) {
				// Its flows have beginLane where SUMO has departLane, and its configuration turns validation off, which would find them.
				if c.Path != "fokr_bs_demo.sumocfg" || !strings.Contains(w.Message, `the attribute "begin`) {
					t.Errorf("%s: %s", c.Path, itemText(w))
				}
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

// TestSUMOsOwnScenariosAreReadAsItDoes runs each as it is, and in our words: the statistics are the same.
func TestSUMOsOwnScenariosAreReadAsItDoes(t *testing.T) {
	t.Parallel()
	at := sumotest.Newest(t)
	data := gameOf(t, at)
	m, err := inspect(t, data, DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range m.Configs {
		if len(c.Unfit(at.Version)) > 0 {
			continue
		}
		t.Run(c.Path, func(t *testing.T) {
			t.Parallel()
			plain, ours := t.TempDir(), t.TempDir()
			if err := os.CopyFS(plain, os.DirFS(gameFolder(at))); err != nil {
				t.Fatal(err)
			}
			root, err := os.OpenRoot(ours)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			if err := Extract(t.Context(), Zip(bytes.NewReader(data), int64(len(data))), DefaultLimits(), root, c.Reads); err != nil {
				t.Fatal(err)
			}
			for _, output := range c.Outputs {
				for _, dir := range []string{plain, ours} {
					if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, output)), 0o755); err != nil {
						t.Fatal(err)
					}
				}
			}
			text, err := c.Encode(func(file string, _ bool) string { return filepath.Join(ours, file) }, func(string) bool { return false })
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(ours, "ours.sumocfg"), text, 0o644); err != nil {
				t.Fatal(err)
			}
			end := 50.0
			if c.Begin != nil {
				end += *c.Begin
			}
			statistics := func(dir, config string) string {
				out, ok := sumo(t, at, dir, "sumo", "-c", config, "--end", fmt.Sprint(end), "--no-step-log",
					"--statistic-output", "stat.xml", "--output-prefix=")
				if !ok {
					t.Fatal(out)
				}
				text, err := os.ReadFile(filepath.Join(dir, "stat.xml"))
				if err != nil {
					t.Fatal(err)
				}
				_, text, _ = bytes.Cut(text, []byte("<statistics"))
				return regexp.MustCompile(`<performance[^>]*>`).ReplaceAllString(string(text), "")
			}
			if diff := cmp.Diff(statistics(plain, c.Path), statistics(ours, "ours.sumocfg")); diff != "" {
				t.Errorf("(-plain +ours):\n%s", diff)
			}
		})
	}
}
