package wheel

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
)

// bundle is a folder of wheels for pip to find them in, in place of its index.
type bundle struct {
	folder  string
	release release.Release // whose wheel it holds
}

// made returns a bundle with one wheel of the given version, with a SUMO of the given files.
func made(t *testing.T, version string, files map[string]string) bundle {
	t.Helper()
	papers := "eclipse_sumo-" + version + ".dist-info/"
	var content bytes.Buffer
	archive := zip.NewWriter(&content)
	add := func(name, text string) {
		w, err := archive.Create(name)
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		add(name, text)
	}
	add(papers+"METADATA", "Metadata-Version: 2.1\nName: eclipse-sumo\nVersion: "+version+"\n")
	add(papers+"WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
	add(papers+"RECORD", "")
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	b := bundle{folder: t.TempDir()}
	if err := os.WriteFile(filepath.Join(b.folder, "eclipse_sumo-"+version+"-py3-none-any.whl"), content.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content.Bytes())
	b.release = release.Release{
		Version: release.Short(version), Full: version, Wheels: map[string]string{"amd64": hex.EncodeToString(sum[:])},
	}
	return b
}

func (b bundle) installer(dir string, log *bytes.Buffer) installer {
	return installer{dir: dir, log: log, architecture: "amd64", env: []string{"PIP_NO_INDEX=1", "PIP_FIND_LINKS=" + b.folder}}
}

func (b bundle) install(t *testing.T, dir string) error {
	t.Helper()
	var log bytes.Buffer
	err := b.installer(dir, &log).install(t.Context(), []release.Release{b.release})
	t.Log(log.String())
	return err
}

// below lists the files below dir with their permissions.
func below(t *testing.T, dir string) map[string]fs.FileMode {
	t.Helper()
	found := map[string]fs.FileMode{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(dir, name)
		found[inside] = info.Mode()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAWheelIsInstalledWithRunBitsAndWithoutItsGraphicalPrograms(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := made(t, "1.28.0", map[string]string{
		"sumo/bin/sumo": "code", "sumo/bin/netedit": "code", "sumo/include/libsumo/x.h": "x", "sumo/data/po/de.po": "x",
		"sumo/data/xsd/net_file.xsd": "x", "sumo/data/posts": "x", "sumo/tools/game/a.sumocfg": "x", "eclipse_sumo.libs/libx-1.so": "x",
	})
	if err := b.install(t, dir); err != nil {
		t.Fatal(err)
	}
	want := map[string]fs.FileMode{
		".lock": 0o600, "1.28/sumo/bin/sumo": 0o755, "1.28/sumo/data/xsd/net_file.xsd": 0o644, "1.28/sumo/data/posts": 0o644,
		"1.28/sumo/tools/game/a.sumocfg": 0o644, "1.28/eclipse_sumo.libs/libx-1.so": 0o644,
		"1.28/eclipse_sumo-1.28.0.dist-info/METADATA": 0o644, "1.28/eclipse_sumo-1.28.0.dist-info/WHEEL": 0o644,
		"1.28/eclipse_sumo-1.28.0.dist-info/RECORD": 0o644,
	}
	if diff := cmp.Diff(want, below(t, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]release.Installation{release.In(dir, "1.28")}, release.Installed(dir)); diff != "" {
		t.Errorf("installations (-want +got):\n%s", diff)
	}
}

func TestWhatIsInstalledIsLeftAloneAndAnotherFixOfTheVersionReplacesIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := made(t, "1.28.0", map[string]string{"sumo/bin/sumo": "first"})
	if err := first.install(t, dir); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(first.folder); err != nil {
		t.Fatal(err)
	}
	if err := first.install(t, dir); err != nil {
		t.Errorf("a version that is installed is downloaded again: %v", err)
	}
	second := made(t, "1.28.1", map[string]string{"sumo/bin/sumo": "second"})
	if err := second.install(t, dir); err != nil {
		t.Fatal(err)
	}
	if content, err := os.ReadFile(filepath.Join(dir, "1.28", programs, "sumo")); err != nil || string(content) != "second" {
		t.Errorf("the program is %q (%v)", content, err)
	}
}

// A failed installation leaves nothing behind, and what was there before.
func TestWhatCannotBeTrustedIsNotInstalled(t *testing.T) {
	t.Parallel()
	whole := func(t *testing.T) bundle { return made(t, "1.28.0", map[string]string{"sumo/bin/sumo": "code"}) }
	for name, c := range map[string]struct {
		bundle      func(t *testing.T) bundle
		unavailable bool
		message     string
	}{
		"another wheel than the one that is known": {func(t *testing.T) bundle {
			b := whole(t)
			b.release.Wheels["amd64"] = strings.Repeat("0", 64)
			return b
		}, false, "known by its sum"},
		"a wheel that is cut off": {func(t *testing.T) bundle {
			b := whole(t)
			name := filepath.Join(b.folder, "eclipse_sumo-1.28.0-py3-none-any.whl")
			if err := os.Truncate(name, 100); err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(content)
			b.release.Wheels["amd64"] = hex.EncodeToString(sum[:])
			return b
		}, true, "pip"},
		"no wheel": {func(t *testing.T) bundle {
			b := whole(t)
			b.folder = t.TempDir()
			return b
		}, true, "pip"},
		"a name above the folder": {func(t *testing.T) bundle {
			return made(t, "1.28.0", map[string]string{"sumo/bin/sumo": "code", "../../evil": "x"})
		}, false, "would leave the folder"},
		"an absolute name": {func(t *testing.T) bundle {
			return made(t, "1.28.0", map[string]string{"sumo/bin/sumo": "code", "/tmp/evil": "x"})
		}, false, "would leave the folder"},
		"a file below a file": {func(t *testing.T) bundle {
			return made(t, "1.28.0", map[string]string{"sumo/bin/sumo": "code", "sumo/bin/sumo/x": "x"})
		}, false, "sumo/bin/sumo"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			before := release.In(dir, "1.28").Binary // of another wheel of the version
			if err := errors.Join(os.MkdirAll(filepath.Dir(before), 0o755), os.WriteFile(before, nil, 0o755)); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, ".lock"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			files := below(t, dir)
			err := c.bundle(t).install(t, dir)
			if err == nil || !strings.Contains(err.Error(), c.message) || errors.Is(err, ErrUnavailable) != c.unavailable {
				t.Errorf("unavailable: %v, want %v, with %q: %v", errors.Is(err, ErrUnavailable), c.unavailable, c.message, err)
			}
			if diff := cmp.Diff(files, below(t, dir)); diff != "" {
				t.Errorf("files (-before +after):\n%s", diff)
			}
		})
	}
}

func TestALinkInAWheelIsRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.whl")
	var content bytes.Buffer
	archive := zip.NewWriter(&content)
	link := &zip.FileHeader{Name: "sumo/data"}
	link.SetMode(fs.ModeSymlink | 0o777)
	w, err := archive.CreateHeader(link)
	if err == nil {
		_, err = w.Write([]byte("/etc"))
	}
	if err := errors.Join(err, archive.Close(), os.WriteFile(file, content.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := unpack(t.Context(), file, t.TempDir(), serves); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("unpack = %v", err)
	}
}

// What a killed installation leaves is not taken for an installation, and the next one removes it.
func TestRemainsOfAnInterruptedInstallationAreRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	remains := filepath.Join(dir, unfinished+"1", "1.28", programs)
	if err := os.MkdirAll(remains, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := made(t, "1.28.0", map[string]string{"sumo/bin/sumo": "code"}).install(t, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(remains); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there (%v)", remains, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	var log bytes.Buffer
	b := made(t, "1.26.0", map[string]string{"sumo/bin/sumo": "code"})
	if err := b.installer(dir, &log).install(ctx, []release.Release{b.release}); err == nil {
		t.Error("an interrupted installation reports success")
	}
	if names, err := filepath.Glob(filepath.Join(dir, unfinished+"*")); err != nil || len(names) > 0 {
		t.Errorf("it left %v (%v)", names, err)
	}
}

func TestInstallationsSideBySideWaitForEachOther(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := made(t, "1.28.0", map[string]string{"sumo/bin/sumo": "code"})
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if err := b.install(t, dir); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if got := release.Installed(dir); len(got) != 1 {
		t.Errorf("installed: %v", got)
	}
}

func TestChoosingVersions(t *testing.T) {
	t.Parallel()
	oldest, newest, onArm := release.Oldest().Version, release.Newest().Version, release.On("arm64")
	for name, c := range map[string]struct {
		architecture string
		versions     []string
		want         string // or the error's text
	}{
		"words":                           {"amd64", []string{Newest, Oldest}, oldest + ", " + newest},
		"each once, in order":             {"amd64", []string{newest, "1.20", Newest}, "1.20, " + newest},
		"all":                             {"amd64", []string{All}, list(release.All())},
		"what has a wheel":                {"arm64", []string{All}, list(onArm)},
		"the oldest with a wheel":         {"arm64", []string{Oldest}, onArm[0].Version},
		"a version that is not on offer":  {"amd64", []string{"1.15"}, "SUMO 1.15 is not on offer: choose from " + list(release.All())},
		"a version without a wheel here":  {"arm64", []string{"1.18"}, "SUMO 1.18 has none for arm64; these versions have one: " + list(onArm)},
		"a machine without any wheel":     {"riscv64", []string{Newest}, "none is made for riscv64"},
		"a version with its third number": {"amd64", []string{"1.28.0"}, "SUMO 1.28.0 is not on offer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			chosen, err := Choose(c.architecture, c.versions...)
			got := list(chosen)
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, c.want) || (err == nil && got != c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
