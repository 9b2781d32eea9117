package run

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

var began = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

func newLogbook(t *testing.T) (*logbook, func() string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "log.txt")
	l, err := openLogbook(name, began, nil, strings.NewReplacer("/secret/", ""))
	if err != nil {
		t.Fatal(err)
	}
	return l, func() string {
		t.Helper()
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

func TestLogSummarisesMessagesOfOneKind(t *testing.T) {
	t.Parallel()
	l, read := newLogbook(t)
	for i := range maxPerKind + 5 {
		l.message(fmt.Sprintf("Warning: Vehicle 'car%d' braked, time=%d.", i, i))
		l.message("  with a reason")
	}
	l.message("Warning: Something else.")
	l.summariseMessages()
	lines := strings.Split(strings.TrimSuffix(read(), "\n"), "\n")
	if want := 1 + 2*maxPerKind + 2; len(lines) != want {
		t.Fatalf("%d lines, want %d", len(lines), want)
	}
	want := []string{"Warning: Something else.", "sumo-run: 5 more like: Warning: Vehicle 'car0' braked, time=0."}
	if diff := cmp.Diff(want, lines[len(lines)-2:]); diff != "" {
		t.Error(diff)
	}
}

// The console gets the log and marks with the offset of each part, so that any part of it can be placed.
func TestMarksOnTheConsoleGiveTheOffsetInTheLog(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "log.txt")
	var console bytes.Buffer
	l, err := openLogbook(name, began, &console, strings.NewReplacer())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4_000 {
		l.line(fmt.Sprintf("line %d: %s", i, strings.Repeat("ä", i%60)))
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	marks := 0
	for line := range bytes.Lines(console.Bytes()) {
		since, offset, ok := simulation.ParseLogMark(line)
		if !ok {
			got = append(got, line...)
			continue
		}
		if marks++; int(offset) != len(got) || !since.Equal(began) {
			t.Errorf("the mark after %d bytes gives %d bytes since %v", len(got), offset, since)
		}
	}
	if !bytes.Equal(want, got) || marks != len(want)/(simulation.LogMarkEvery+100) {
		t.Errorf("%d bytes of the log and %d marks, want %d bytes", len(got), marks, len(want))
	}
	if at, ok := simulation.ParseLogStart(want[:bytes.IndexByte(want, '\n')]); !ok || !at.Equal(began) {
		t.Errorf("the log begins with %.60q", want)
	}
}

func TestLogIsBoundedButHasRoomForTheEnd(t *testing.T) {
	t.Parallel()
	l, read := newLogbook(t)
	l.limit = 1000
	for i := range 3 * maxKinds {
		l.message(fmt.Sprintf("Warning: %s", strings.Repeat("x", i%50)+string(rune('a'+i%26))))
	}
	l.line("not any more")
	l.end("the end\nin two lines")
	text := read()
	if len(text) > 1200 || strings.Contains(text, "not any more") || strings.Count(text, "further lines are dropped") != 1 {
		t.Errorf("%d bytes:\n%s", len(text), text)
	}
	if !strings.HasSuffix(text, "\nthe end\nin two lines\n") {
		t.Errorf("the end is missing:\n%s", text)
	}
}

func TestLogCountsAllFurtherKindsAsOne(t *testing.T) {
	t.Parallel()
	l, _ := newLogbook(t)
	for i := range 10 * maxKinds {
		l.message("Warning: " + strings.Repeat("ab"[i%2:i%2+1], i/2+1)[:min(i/2+1, 900)] + strings.Repeat("c", i/2%900))
	}
	if len(l.kinds) > maxKinds+1 {
		t.Errorf("%d kinds", len(l.kinds))
	}
}

func TestLogReportsAFailedWrite(t *testing.T) {
	t.Parallel()
	l, _ := newLogbook(t)
	if err := l.file.Close(); err != nil {
		t.Fatal(err)
	}
	l.line("lost")
	if err := l.close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestCleanTextHasNothingButText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain, 1.5 m/s":     "plain, 1.5 m/s",
		"a\tb":               "a b",
		"\x1b[31mred":        "\ufffd[31mred",
		"bad \xff byte":      "bad \ufffd byte",
		"back\u202eward":     "back\ufffdward",
		"Straße 東京":          "Straße 東京",
		"\u0085next\u2028up": "\ufffdnext\ufffdup",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestMessagesDifferOnlyInNamesAndNumbersAreOfOneKind(t *testing.T) {
	t.Parallel()
	a := kindOf("Warning: Teleporting vehicle 'a.1'; waited too long (jam), lane='B_0', time=440.00.")
	b := kindOf("Warning: Teleporting vehicle 'flow 7'; waited too long (jam), lane='C_1', time=1.50.")
	c := kindOf("Warning: Teleporting vehicle 'a.1'; waited too long (yield), lane='B_0', time=440.00.")
	if a != b || a == c {
		t.Errorf("%q %q %q", a, b, c)
	}
}

func TestProgressNeverGoesBackAndIsWholeOnlyWhenDone(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "progress")
	p, err := openProgress(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(0, 0)
	for _, tc := range []struct {
		fraction float64
		after    time.Duration
		want     string
	}{
		{0, time.Second, "0/1000"},
		{0.125, time.Second, "125/1000"},
		{0.5, time.Millisecond, "125/1000"}, // too soon
		{0.5, time.Second, "500/1000"},
		{0.4, time.Second, "500/1000"},
		{1, time.Second, "999/1000"},
	} {
		at = at.Add(tc.after)
		p.set(tc.fraction, at)
		if got, err := os.ReadFile(name); err != nil || string(got) != tc.want {
			t.Errorf("after %v: %q, %v, want %q", tc.fraction, got, err, tc.want)
		}
	}
	p.done()
	p.close()
	if got, err := os.ReadFile(name); err != nil || string(got) != "1000/1000" {
		t.Errorf("when done: %q, %v", got, err)
	}
}
