package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/infra/images/oci"
	"github.com/sumo-k8/sumo-k8/pkg/process/processtest"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
)

// TestAnImageHoldsWhatItsSUMOLoads runs the chosen program in a folder of its own, with nothing else of the installation.
func TestAnImageHoldsWhatItsSUMOLoads(t *testing.T) {
	t.Parallel()
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		files, err := sumoFiles(filepath.Dir(filepath.Dir(sumo.Home)), sumo.Version, "")
		if err != nil {
			t.Fatal(err)
		}
		root := t.TempDir()
		for _, f := range files {
			name := filepath.Join(root, f.Path)
			content, err := os.ReadFile(f.Source)
			if err == nil {
				err = os.MkdirAll(filepath.Dir(name), 0o755)
			}
			if err != nil {
				t.Fatal(err)
			}
			if f.Mode.Perm()&0o111 != 0 {
				processtest.WriteProgram(t, name, string(content))
			} else if err := os.WriteFile(name, content, f.Mode); err != nil {
				t.Fatal(err)
			}
		}
		in := release.In(filepath.Join(root, installations), sumo.Version)
		cmd := exec.CommandContext(t.Context(), in.Binary, "--version")
		cmd.Env = []string{"SUMO_HOME=" + in.Home, "LC_ALL=C.UTF-8"}
		if said, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(said), sumo.Version) {
			t.Errorf("it says %q (%v)", said, err)
		}
		for _, name := range []string{"data/xsd/net_file.xsd", "data/emissions"} {
			if _, err := os.Stat(filepath.Join(in.Home, name)); err != nil {
				t.Error(err)
			}
		}
		for _, name := range []string{"bin/netconvert", "tools", "data/typemap"} {
			if _, err := os.Stat(filepath.Join(in.Home, name)); err == nil {
				t.Errorf("%s serves no run", name)
			}
		}
		if licences, err := filepath.Glob(filepath.Join(root, installations, sumo.Version, "*.dist-info", "*")); err != nil || len(licences) < 3 {
			t.Errorf("its licences are %v (%v)", licences, err)
		}
	})
}

// What wheels expect of the system is in the image, and on machines that infra/debian/install.sh has prepared.
func TestEveryLibraryOfTheSystemThatSUMOLoadsIsProvided(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile("../debian/install.sh")
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile(`sumo_libraries=\((.*)\)`).FindSubmatch(script)
	if list == nil {
		t.Fatal("install.sh has no sumo_libraries")
	}
	installed := strings.Fields(string(list[1]))
	var inImage []string
	for _, name := range sources["sumo"].files {
		inImage = append(inImage, filepath.Base(name))
	}
	// Of the C library, and of what every C++ program has.
	everywhere := regexp.MustCompile(`^(ld-linux|lib(c|m|dl|nsl|pthread|resolv|rt|gcc_s)\.so)`)
	sumotest.Each(t, func(t *testing.T, sumo release.Installation) {
		n, err := loads(bundle(sumo), sumo.Binary)
		if err != nil {
			t.Fatal(err)
		}
		if len(n.bundled) < 10 || len(n.system) < 5 {
			t.Errorf("SUMO loads only %v of its own and %v of the system", n.bundled, n.system)
		}
		for _, library := range n.system {
			if !everywhere.MatchString(library) && !slices.Contains(installed, library) {
				t.Errorf("install.sh does not install %s", library)
			}
			// The loader, and the C library itself, come with every program.
			if !regexp.MustCompile(`^(ld-linux|libc\.so)`).MatchString(library) && !slices.Contains(inImage, library) {
				t.Errorf("sumo.files lacks %s", library)
			}
		}
	})
}

func TestASUMOWhoseLibrariesTheLayerLacksIsNoImage(t *testing.T) {
	t.Parallel()
	layer := filepath.Join(t.TempDir(), "layer.tar")
	if err := writeLayer([]oci.File{{Path: "/usr/lib/x/libm.so.6", Mode: fs.ModePerm}}, layer); err != nil {
		t.Fatal(err)
	}
	if err := provides([]string{layer}, "SUMO", []string{"libm.so.6"}); err != nil {
		t.Error(err)
	}
	err := provides([]string{layer}, "SUMO", []string{"libm.so.6", "libGL.so.1"})
	if err == nil || !strings.Contains(err.Error(), "SUMO loads libGL.so.1,") {
		t.Errorf("provides = %v", err)
	}
	sumo := sumotest.Newest(t)
	if _, err := sumoFiles(filepath.Dir(filepath.Dir(sumo.Home)), sumo.Version, layer); err == nil {
		t.Error("an image without SUMO's libraries is made")
	}
}

func TestImagesOfAllVersionsAreMadeByDefault(t *testing.T) {
	t.Parallel()
	got, err := chosen(nil)
	if err != nil {
		t.Fatal(err)
	}
	want := append(recipesFor(release.On(runtime.GOARCH)), pythonRecipe(release.Newest()))
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(recipe{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAVersionThatIsNoLongerOnOfferIsBuiltFromDebianByItsNameOnly(t *testing.T) {
	t.Parallel()
	newest := recipesFor([]release.Release{release.Newest()})
	old := recipe{
		name: "dev.local/sumo:1.15", suite: "bookworm", source: "debian-sumo", sumo: "1.15", programs: runPrograms,
		env: []string{"PATH=/usr/bin", "SUMO_BINARY=/usr/bin/sumo", "SUMO_HOME=/usr/share/sumo", "SUMO_VERSION=1.15", "LC_ALL=C.UTF-8"},
	}
	for versions, want := range map[string][]recipe{
		"1.15": {newest[0], old}, "newest 1.15 1.15": append(newest, old), "newest": newest,
	} {
		got, err := chosen(strings.Fields(versions))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(recipe{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", versions, diff)
		}
	}
	for _, version := range []string{"1.14", "1.14-python", "1.15-python"} { // 1.15 has no wheel
		if _, err := chosen([]string{version}); err == nil {
			t.Errorf("%s, which nobody has, is built", version)
		}
	}
	if n := len(old.image(contents{debian: []string{""}}, "").Layers); n != 2 {
		t.Errorf("its image has %d layers, want Debian's and that of our programs", n)
	}
}
