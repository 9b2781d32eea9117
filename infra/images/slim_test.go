package main

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/infra/images/oci"
)

// system is a small Debian as a folder: path to content, where "-> x" is a symbolic link and "" a folder.
type system map[string]string

func (s system) write(t *testing.T, modified time.Time) (root string) {
	t.Helper()
	root = t.TempDir()
	for name, content := range s {
		host := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(host), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			if err := os.Symlink(target, host); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(host, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(host, modified, modified); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// debian is a system with two packages, of which the second shares the licence of a third.
func debian() system {
	return system{
		"lib":                            "-> usr/lib",
		"usr/lib/os-release":             "ID=debian\n",
		"etc/os-release":                 "-> ../usr/lib/os-release",
		"usr/share/data/one":             "1",
		"usr/share/data/deep/two":        "2",
		"usr/share/data/link":            "-> /usr/share/other/three",
		"usr/share/other/three":          "3",
		"usr/share/unwanted":             "x",
		"usr/share/doc/base/copyright":   "free",
		"usr/share/doc/data":             "-> shared",
		"usr/share/doc/shared/copyright": "freer",
		"usr/share/doc/unused/copyright": "costly",
		"var/lib/dpkg/info/base.list":    "/\n/etc\n/etc/os-release\n/lib\n/lib/os-release\n/usr/share/doc/base/copyright\n",
		"var/lib/dpkg/info/data:amd64.list": "/usr/share/data/one\n/usr/share/data/deep/two\n/usr/share/data/link\n/usr/share/other/three\n" +
			"/usr/share/doc/data\n",
		"var/lib/dpkg/info/shared.list": "/usr/share/doc/shared/copyright\n",
		"var/lib/dpkg/info/unused.list": "/lib\n/usr/share/unwanted\n/usr/share/doc/unused/copyright\n",
		"var/lib/dpkg/status": "Package: base\nVersion: 1\n\nPackage: data\nVersion: 2\nDescription: two\n lines\n\n" +
			"Package: shared\nVersion: 3\n\nPackage: unused\nVersion: 4\n",
	}
}

func paths(files []oci.File) []string {
	var names []string
	for _, f := range files {
		if !f.Mode.IsDir() {
			names = append(names, f.Path)
		}
	}
	slices.Sort(names)
	return names
}

func TestAnImageGetsWhatIsWantedTheLinksThatLeadThereAndThePackagesPapers(t *testing.T) {
	t.Parallel()
	files, err := slim(debian().write(t, time.Now()), []string{"/etc/os-release", "/lib/os-*", "/usr/*/data"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"/etc/os-release",
		"/lib",
		"/usr/lib/os-release",
		"/usr/share/data/deep/two",
		"/usr/share/data/link",
		"/usr/share/data/one",
		"/usr/share/doc/base/copyright",
		"/usr/share/doc/data",
		"/usr/share/doc/shared/copyright",
		"/usr/share/other/three",
		"/var/lib/dpkg/status.d/base",
		"/var/lib/dpkg/status.d/data",
		"/var/lib/dpkg/status.d/shared",
	}
	if diff := cmp.Diff(want, paths(files)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"base 1", "data 2", "shared 3"}, packageVersions(files)); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
}

func TestTheSameSystemGivesTheSameLayer(t *testing.T) {
	t.Parallel()
	var layers [2]bytes.Buffer
	for n := range layers {
		files, err := slim(debian().write(t, time.Now().AddDate(-n, 0, 0)), []string{"/usr/share/data"})
		if err != nil {
			t.Fatal(err)
		}
		if err := oci.WriteLayer(&layers[n], oci.Files(files...)); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(layers[0].Bytes(), layers[1].Bytes()) {
		t.Error("two layers from the same system differ")
	}
}

func TestWhatIsMissingOrOutsideIsAnError(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("of this machine"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change system
		wanted string
	}{
		"no such file":                      {nil, "/usr/share/nothing"},
		"pattern without a file":            {nil, "/usr/*/nothing"},
		"link out of the system":            {system{"usr/share/evil": "-> " + outside}, "/usr/share/evil"},
		"link above the system":             {system{"usr/share/evil": "-> ../../../../../../../../../.." + outside}, "/usr/share/evil"},
		"links in a circle":                 {system{"usr/share/a": "-> b", "usr/share/b": "-> a"}, "/usr/share/a"},
		"file in place of a folder":         {nil, "/usr/share/unwanted/file"},
		"package without a licence":         {system{"var/lib/dpkg/info/bare.list": "/usr/share/unwanted\n"}, "/usr/share/unwanted"},
		"file that belongs to no package":   {system{"usr/share/stray": "x"}, "/usr/share/stray"},
		"package that the status knows not": {system{"var/lib/dpkg/status": ""}, "/usr/share/data"},
		"broken program":                    {system{"usr/share/unwanted": "\x7fELF"}, "/usr/share/unwanted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := debian()
			for path, content := range c.change {
				s[path] = content
			}
			if files, err := slim(s.write(t, time.Now()), []string{c.wanted}); err == nil {
				t.Errorf("the image would hold %v", paths(files))
			}
		})
	}
}

// TestAProgramGetsTheLibrariesThatItsLoaderFinds compares our reading of a program with that of the loader itself.
func TestAProgramGetsTheLibrariesThatItsLoaderFinds(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("apt-get")
	if err != nil || !strings.HasPrefix(program, "/usr/bin/") {
		t.Skip("programs do not come from packages of Debian or Ubuntu here")
	}
	ldd, err := exec.Command("ldd", program).Output()
	if err != nil {
		t.Fatal(err)
	}
	files, err := slim("/", []string{program})
	if err != nil {
		t.Fatal(err)
	}
	chosen := map[string]bool{}
	for _, f := range files {
		if f.Mode&fs.ModeDir == 0 {
			chosen[unmerged(f.Path)] = true
		}
	}
	libraries := 0
	for line := range strings.Lines(string(ldd)) {
		for word := range strings.FieldsSeq(line) {
			if strings.HasPrefix(word, "/") {
				libraries++
				if !chosen[unmerged(word)] {
					t.Errorf("the loader takes %s, which the image would not have", word)
				}
			}
		}
	}
	if libraries < 5 {
		t.Errorf("only %d libraries in what ldd says:\n%s", libraries, ldd)
	}
}
