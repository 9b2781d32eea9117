package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sumo-k8/sumo-k8/pkg/process/processtest"
)

func TestBrowserCall(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		system string
		env    map[string]string
		want   []string
	}{
		"no screen":        {"linux", nil, nil},
		"X11":              {"linux", map[string]string{"DISPLAY": ":0"}, []string{"xdg-open", "http://x/#/a"}},
		"Wayland":          {"freebsd", map[string]string{"WAYLAND_DISPLAY": "wayland-0"}, []string{"xdg-open", "http://x/#/a"}},
		"macOS":            {"darwin", nil, []string{"open", "http://x/#/a"}},
		"Windows":          {"windows", nil, []string{"rundll32", "url.dll,FileProtocolHandler", "http://x/#/a"}},
		"chosen":           {"linux", map[string]string{"BROWSER": "firefox -P work"}, []string{"firefox", "-P", "work", "http://x/#/a"}},
		"several":          {"linux", map[string]string{"BROWSER": "one:two"}, []string{"one", "http://x/#/a"}},
		"with a place":     {"darwin", map[string]string{"BROWSER": "b --app=%s -q"}, []string{"b", "--app=http://x/#/a", "-q"}},
		"chosen as spaces": {"linux", map[string]string{"BROWSER": "  "}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := browserCall(tc.system, func(name string) string { return tc.env[name] }, "http://x/#/a")
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// terminal is one whose output nobody reads.
func terminal(t *testing.T) *os.File {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { slave.Close() })
	return slave
}

// opened is what the user's browser is asked to open, within a time, by a command on a terminal; empty if nothing.
func (u *user) opened(wait time.Duration, args ...string) string {
	u.t.Helper()
	seen := filepath.Join(u.t.TempDir(), "seen")
	browser := filepath.Join(u.t.TempDir(), "browser")
	processtest.WriteProgram(u.t, browser, "#!/bin/sh\necho \"$1\" >"+seen+".part\nmv "+seen+".part "+seen+"\n")
	u.env["BROWSER"] = browser
	defer delete(u.env, "BROWSER")
	code := run(u.t.Context(), args, strings.NewReader(""), terminal(u.t), io.Discard, func(name string) string { return u.env[name] })
	if code != exitOK {
		u.t.Fatalf("sumo-k8 %q: exit code %d", args, code)
	}
	for until := time.Now().Add(wait); ; time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(seen)
		if err == nil || time.Now().After(until) {
			return strings.TrimSpace(string(text))
		}
	}
}
