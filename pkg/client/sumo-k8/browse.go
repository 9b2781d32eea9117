package main

import (
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"

	"github.com/sumo-k8/sumo-k8/pkg/client/internal/show"
)

// browse opens a page, whose address has been printed, in a person's browser.
func (a *app) browse(page string) {
	if !show.IsTerminal(a.out) || a.asJSON() {
		return // a program reads the address
	}
	call := browserCall(runtime.GOOS, a.env, page)
	if call == nil {
		return
	}
	cmd := exec.Command(call[0], call[1:]...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, apiKeyVariable+"=") || strings.HasPrefix(v, adminKeyVariable+"=")
	})
	if err := cmd.Start(); err != nil {
		a.note("No browser could be started: %v.", err)
		return
	}
	_ = cmd.Process.Release() // it goes on after this program
}

// browserCall is the call that opens a page; nil where nobody would see it.
func browserCall(system string, env func(string) string, page string) []string {
	// $BROWSER may name several, with colons between them, and say with %s where the address goes.
	first, _, _ := strings.Cut(env("BROWSER"), ":")
	if own := strings.Fields(first); len(own) > 0 {
		if !strings.Contains(first, "%s") {
			return append(own, page)
		}
		for i, word := range own {
			own[i] = strings.ReplaceAll(word, "%s", page)
		}
		return own
	}
	switch {
	case system == "darwin":
		return []string{"open", page}
	case system == "windows":
		return []string{"rundll32", "url.dll,FileProtocolHandler", page}
	case env("DISPLAY") != "" || env("WAYLAND_DISPLAY") != "": // without one, xdg-open takes over the terminal
		return []string{"xdg-open", page}
	}
	return nil
}
