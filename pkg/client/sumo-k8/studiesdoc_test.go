package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/service"
)

// example is a block of commands in a document, with what they print.
var example = regexp.MustCompile("(?s)<!-- run -->\n```sh\n(.*?)```\n(?:\n```text\n(.*?)```\n)?")

var (
	// progress of a study, whose steps are a matter of speed.
	progress = regexp.MustCompile(`(?m)^\d+/\d+ done.*\n`)
	// plotLink shows a plot in the document.
	plotLink = regexp.MustCompile(`\]\((studies/\w+\.svg)\)`)
	// decimal is a number that only results have.
	decimal = regexp.MustCompile(`\b\d+\.\d\d?\b`)
	// ranOn are the versions of SUMO in a table: another one has other numbers.
	ranOn = regexp.MustCompile(`\b1\.\d+\.\d+\b`)
)

// numbersOf are the numbers that a plot writes: how it looks is not what the document is held to.
func numbersOf(svg []byte) (numbers []string) {
	for _, text := range regexp.MustCompile(`>([^<]+)</text>`).FindAllSubmatch(svg, -1) {
		numbers = append(numbers, regexp.MustCompile(`\d+(\.\d+)?`).FindAllString(string(text[1]), -1)...)
	}
	return numbers
}

// testStudiesDocument runs the commands of docs/studies.md, all in one shell as a reader would, and compares what they print, numbers and
// sentences, and the plots that they save. -update records them.
func testStudiesDocument(t *testing.T, s *service.Server) {
	const path, between = "../../../docs/studies.md", "\x01"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute) // half a minute on two idle cores
	defer cancel()
	bin := localtest.Folder(t)
	if err := localtest.Build(ctx, filepath.Join(bin, "sumo-k8"), "pkg/client/sumo-k8"); err != nil {
		t.Fatal(err)
	}
	u := tenant(t, s)
	for _, name := range []string{"docs", "test_networks"} { // what the commands write goes into the user's folder
		target, err := filepath.Abs(filepath.Join("../../..", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(u.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	blocks := example.FindAllStringSubmatchIndex(string(text), -1)
	script := []string{"exec 2>&1"}
	for _, b := range blocks {
		script = append(script, string(text[b[2]:b[3]])+"printf '"+between+"'")
	}
	shell := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", strings.Join(script, "\n"))
	shell.Dir = u.dir
	shell.Env = append(os.Environ(), "HOME="+u.dir, "PATH="+bin+":"+os.Getenv("PATH"), urlVariable+"="+u.env[urlVariable],
		apiKeyVariable+"="+u.env[apiKeyVariable])
	printed, err := shell.Output()
	answers := strings.Split(string(printed), between)
	if err != nil || len(answers) != len(blocks)+1 {
		t.Fatalf("the commands of docs/studies.md: %v:\n%s", err, printed)
	}
	plots := map[string][]byte{} // by their places in the document
	for _, link := range plotLink.FindAllStringSubmatch(string(text), -1) {
		if plots[filepath.Join("../../../docs", link[1])], err = os.ReadFile(filepath.Join(u.dir, "cycle", filepath.Base(link[1]))); err != nil {
			t.Fatal(err)
		}
	}
	if *update {
		for file, plot := range plots {
			if err := os.WriteFile(file, plot, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		var anew strings.Builder
		done := 0
		for i, b := range blocks {
			anew.Write(text[done:b[3]])
			anew.WriteString("```\n")
			if answers[i] != "" {
				anew.WriteString("\n```text\n" + answers[i] + "```\n")
			}
			done = b[1]
		}
		anew.Write(text[done:])
		if err := os.WriteFile(path, []byte(anew.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if was, now := ranOn.FindString(string(text)), ranOn.FindString(string(printed)); was != now {
		t.Skipf("the record is of SUMO %q, here runs %q", was, now)
	}
	story, _, _ := strings.Cut(example.ReplaceAllString(string(text), ""), "\n## What the numbers mean")
	for _, number := range decimal.FindAllString(story, -1) {
		if !strings.Contains(string(printed), number) {
			t.Errorf("docs/studies.md says %s, which no command prints", number)
		}
	}
	for file, plot := range plots {
		kept, err := os.ReadFile(file)
		if diff := cmp.Diff(numbersOf(kept), numbersOf(plot)); err != nil || diff != "" {
			t.Errorf("%s (%v) has other numbers; go test ./pkg/client/sumo-k8 -update saves it again (-was +is):\n%s",
				filepath.Base(file), err, diff)
		}
	}
	for i, b := range blocks {
		record := ""
		if b[4] >= 0 {
			record = string(text[b[4]:b[5]])
		}
		clean := func(output string) string { return progress.ReplaceAllString(masked(output), "") }
		if diff := cmp.Diff(clean(record), clean(answers[i])); diff != "" {
			t.Errorf("docs/studies.md: what %q prints (-document +now); go test ./pkg/client/sumo-k8 -update records it again:\n%s",
				text[b[2]:b[3]], diff)
		}
	}
}
