package show

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vbauerster/mpb/v8"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/job"
)

func TestLinesShowsStatesTenthsAndTheLog(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	d := New(&b, &b, []string{"grid", "a"})
	d.Update("grid", job.Queued, 0)
	d.Update("grid", job.Queued, 0)
	d.Update("grid", job.Running, 0.01)
	d.Update("grid", job.Running, 0.15)
	d.Update("grid", job.Running, 0.17)
	d.Log("a", "Warning: \x1b[31mred\x1b[0m\tand \u009bgrey")
	d.Update("grid", job.Succeeded, 1)
	d.Done("grid")
	d.Close()
	want := `grid    0 % QUEUED
grid    1 % RUNNING
grid   15 % RUNNING
a    | Warning: [31mred[0m and grey
grid  100 % SUCCEEDED
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func TestBarsKeepTheLastLogLinesAndEnd(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	d := newBars(&b, &b, 4, []string{"grid", "a"})
	d.Update("grid", job.Running, 0.5)
	d.Update("grid", job.Succeeded, 1)
	d.Log("grid", "the last line")
	d.Done("grid")
	d.Close() // a is still under way: it must not keep us from ending
	if !strings.Contains(b.String(), "grid | the last line\n") {
		t.Errorf("the last log line is missing in %q", b.String())
	}
}

func TestOneJobNeedsNoNameAndItsLogStandsAlone(t *testing.T) {
	t.Parallel()
	var log, status bytes.Buffer
	d := New(&log, &status, []string{""})
	d.Update("", job.Running, 0.5)
	d.Log("", "Loading done.")
	d.Note("It starts over.")
	d.Close()
	if log.String() != "Loading done.\n" || status.String() != "  50 % RUNNING\nIt starts over.\n" {
		t.Errorf("log %q, status %q", log.String(), status.String())
	}
}

func TestBarsLeaveALogThatGoesElsewhereAlone(t *testing.T) {
	t.Parallel()
	var log, status bytes.Buffer
	d := newBars(&log, &status, 0, []string{""})
	d.Update("", job.Running, 0.5)
	d.Log("", "Loading done.")
	d.Note("It starts over.")
	d.Close()
	if log.String() != "Loading done.\n" || strings.Contains(status.String(), "Loading") ||
		!strings.Contains(status.String(), "It starts over.\n") {
		t.Errorf("log %q, status %q", log.String(), status.String())
	}
}

func TestATransferEndsWhateverItsSize(t *testing.T) {
	t.Parallel()
	for _, total := range []int64{-1, 0, 5} {
		var b bytes.Buffer
		bar := newTransfer(&b, "fcd.xml.gz", total)
		bar.At(5)
		bar.Close()
		if !strings.Contains(b.String(), "fcd.xml.gz") {
			t.Errorf("total %d: no name in %q", total, b.String())
		}
	}
}

func TestBarsOfAStudyGoOnWithItsNextRound(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	d := &studyBars{progress: mpb.New(mpb.WithOutput(&b), mpb.WithWidth(80), mpb.WithAutoRefresh())}
	d.points = append(d.points, d.row("base "), d.row("wave "))
	d.all = d.row("")
	for _, runs := range []client.StudyRuns{{Planned: 4, Succeeded: 4}, {Planned: 8, Succeeded: 5}, {Planned: 8, Succeeded: 7, Failed: 1}} {
		half := client.PointEvent{Point: 1, StudyRuns: client.StudyRuns{Succeeded: runs.Succeeded / 2}}
		Event(d, client.StudyEvent{Runs: runs, Points: []client.PointEvent{half}}, 2)
	}
	Event(d, client.StudyEvent{End: true}, 2)
	d.Close()
	if !strings.Contains(b.String(), "8/8 done, 1 failed\n") || !strings.Contains(b.String(), "3/4 done") {
		t.Errorf("the second round is missing in %q", b.String())
	}
}
