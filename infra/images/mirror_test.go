package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// targetsOf lets apt read sources, by their file names.
func targetsOf(t *testing.T, sources map[string]string) string {
	t.Helper()
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skip("apt is not installed, as on systems other than Debian and Ubuntu")
	}
	dir := t.TempDir()
	for name, content := range sources {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	targets, err := aptTargets(t.Context(), "-o", "Dir::Etc::sourcelist=/dev/null", "-o", "Dir::Etc::sourceparts="+dir)
	if err != nil {
		t.Fatal(err)
	}
	return targets
}

func TestPackagesComeFromTheMirrorOfTheMachine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sources map[string]string
		want    mirror
	}{
		"one line each": {map[string]string{"debian.list": `# of this machine
deb [arch=amd64] http://near.example/debian/ bookworm main contrib
deb-src http://source.example/debian bookworm main
deb [arch=amd64] http://near.example/debian/ bookworm-updates main contrib
deb http://safe.example/debian-security bookworm-security main
`}, mirror{archive: "http://near.example/debian", security: "http://safe.example/debian-security"}},
		"deb822": {map[string]string{"debian.sources": `Types: deb deb-src
URIs: https://near.example/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main non-free-firmware
Signed-By: /usr/share/keyrings/near.gpg

Types: deb
URIs: https://near.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/near.gpg
`}, mirror{archive: "https://near.example/debian", security: "https://near.example/debian-security"}},
		"among others, switched off ones and the installer's disc": {map[string]string{
			"another.list": "deb http://another.example/apt bookworm main\ndeb http://another.example/apt cloud-bookworm main\n",
			"cdrom.list":   "deb cdrom:[Debian 12]/ bookworm main\n",
			"debian.list": `deb http://near.example/debian stable main
deb http://near.example/debian stable-updates main
deb http://safe.example/debian stable-security main
`,
			"off.sources": `Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm-updates bookworm-security
Components: main
`,
			"old.list": "# deb http://old.example/debian bookworm-updates main\n",
		}, mirror{archive: "http://near.example/debian", security: "http://safe.example/debian"}},
		"without updates": {map[string]string{"debian.list": `deb http://near.example/debian bookworm main
deb http://safe.example/debian bookworm-security main
`}, mirror{archive: "http://near.example/debian", security: "http://safe.example/debian"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ownMirror(targetsOf(t, c.sources), "bookworm")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(mirror{})); diff != "" {
				t.Errorf("mirror (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAMachineWithoutAMirrorNeedsOneNamed(t *testing.T) {
	t.Parallel()
	for name, sources := range map[string]map[string]string{
		"no sources":  nil,
		"other suite": {"a.list": "deb http://near.example/debian trixie main\ndeb http://near.example/debian trixie-security main\n"},
		"no main":     {"a.list": "deb http://near.example/debian bookworm contrib\ndeb http://near.example/debian bookworm-security main\n"},
		"no security": {"a.list": "deb http://near.example/debian bookworm main\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if m, err := ownMirror(targetsOf(t, sources), "bookworm"); err == nil || !strings.Contains(err.Error(), "DEBIAN_MIRROR") {
				t.Errorf("found %+v (%v), want an error that names DEBIAN_MIRROR", m, err)
			}
		})
	}
}

func TestUbuntuHasNoMirrorOfDebian(t *testing.T) {
	t.Parallel()
	name, err := debianCodename("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n")
	if err != nil || name != "bookworm" {
		t.Errorf("Debian 12 is %q (%v)", name, err)
	}
	_, err = debianCodename("PRETTY_NAME=\"Ubuntu 24.04.1 LTS\"\nID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\n")
	if err == nil || !strings.Contains(err.Error(), "Ubuntu 24.04.1 LTS") || !strings.Contains(err.Error(), "DEBIAN_MIRROR") {
		t.Errorf("the error on Ubuntu is %v, want one that names the system and DEBIAN_MIRROR", err)
	}
}

func TestTheEnvironmentNamesAnotherMirror(t *testing.T) {
	t.Setenv("DEBIAN_MIRROR", "http://near.example/debian/")
	for security, want := range map[string]string{
		"":                       "http://near.example/debian-security",
		"http://safe.example/d/": "http://safe.example/d",
	} {
		t.Setenv("DEBIAN_SECURITY_MIRROR", security)
		got, err := findMirror(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(mirror{archive: "http://near.example/debian", security: want}, got, cmp.AllowUnexported(mirror{})); diff != "" {
			t.Errorf("mirror (-want +got):\n%s", diff)
		}
	}
}

func TestEverySuiteComesFromTheSameMirrorWithItsUpdates(t *testing.T) {
	t.Parallel()
	want := []string{
		"deb [signed-by=" + debianKeyring + "] http://near.example/debian trixie main",
		"deb [signed-by=" + debianKeyring + "] http://near.example/debian trixie-updates main",
		"deb [signed-by=" + debianKeyring + "] http://safe.example/debian trixie-security main",
	}
	m := mirror{archive: "http://near.example/debian", security: "http://safe.example/debian"}
	if diff := cmp.Diff(want, m.lines("trixie")); diff != "" {
		t.Errorf("sources (-want +got):\n%s", diff)
	}
}
