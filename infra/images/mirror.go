package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// mirror is where Debian's packages come from, whatever the suite.
type mirror struct{ archive, security string }

// debianKeyring is of the package debian-archive-keyring, which Ubuntu has too: its apt does not trust Debian by default.
const debianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// lines are the entries of a sources.list for a suite.
func (m mirror) lines(suite string) []string {
	var lines []string
	for _, source := range []string{m.archive + " " + suite, m.archive + " " + suite + "-updates", m.security + " " + suite + "-security"} {
		lines = append(lines, "deb [signed-by="+debianKeyring+"] "+source+" main")
	}
	return lines
}

// findMirror returns the mirror that DEBIAN_MIRROR and DEBIAN_SECURITY_MIRROR name, or else the one that this machine has its
// own packages from.
func findMirror(ctx context.Context) (mirror, error) {
	if archive := strings.TrimSuffix(os.Getenv("DEBIAN_MIRROR"), "/"); archive != "" {
		security := strings.TrimSuffix(os.Getenv("DEBIAN_SECURITY_MIRROR"), "/")
		if security == "" {
			security = archive + "-security"
		}
		return mirror{archive: archive, security: security}, nil
	}
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return mirror{}, err
	}
	codename, err := debianCodename(string(release))
	if err != nil {
		return mirror{}, err
	}
	targets, err := aptTargets(ctx)
	if err != nil {
		return mirror{}, err
	}
	return ownMirror(targets, codename)
}

const nameMirror = "name one in DEBIAN_MIRROR, and in DEBIAN_SECURITY_MIRROR unless it is the same with -security at its end"

// debianCodename returns the name of the machine's Debian release, from the content of /etc/os-release.
func debianCodename(release string) (string, error) {
	values := map[string]string{}
	for line := range strings.Lines(release) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[key] = strings.Trim(value, `"'`)
	}
	if values["ID"] != "debian" {
		return "", fmt.Errorf("this machine runs %s, whose mirrors do not have Debian's packages: %s", values["PRETTY_NAME"], nameMirror)
	}
	return values["VERSION_CODENAME"], nil
}

// aptTargets lists the package lists of apt's sources, one a line: URL, release and component. apt knows every form of
// sources.list. The options are for tests.
func aptTargets(ctx context.Context, options ...string) (string, error) {
	const format = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
	args := []string{"indextargets", "--no-release-info", "--format", format, "Created-By: Packages"}
	cmd := exec.CommandContext(ctx, "apt-get", slices.Concat(options, args)...)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	targets, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("reading apt's sources: %w\n%s", err, &problems)
	}
	return string(targets), nil
}

// ownMirror finds the mirror of a Debian release among apt's targets. Third parties use the release's name too, for what
// they add to Debian, but only Debian has a release of updates.
func ownMirror(targets, codename string) (mirror, error) {
	var m mirror
	var plain string
	for line := range strings.Lines(targets) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[2] != "main" || strings.HasPrefix(fields[0], "cdrom:") {
			continue
		}
		url, release := strings.TrimSuffix(fields[0], "/"), fields[1]
		switch {
		case strings.HasSuffix(release, "-security") && m.security == "":
			m.security = url
		case strings.HasSuffix(release, "-updates") && m.archive == "":
			m.archive = url
		case release == codename && plain == "":
			plain = url
		}
	}
	if m.archive == "" {
		m.archive = plain
	}
	if m.archive == "" || m.security == "" {
		return mirror{}, errors.New("apt's sources name no mirror of Debian and its security updates: " + nameMirror)
	}
	return m, nil
}
