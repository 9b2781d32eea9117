package simulation

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The names are part of the HTTP contract, and stored with every job.
func TestEachOutputHasItsFile(t *testing.T) {
	t.Parallel()
	got := map[Output]string{}
	for _, o := range Outputs() {
		got[o] = o.File()
	}
	want := map[Output]string{
		"summary": "summary.xml", "tripinfo": "tripinfo.xml", "statistics": "statistics.xml", "fcd": "fcd.xml.gz", "emission": "emission.xml.gz",
		"edgedata": "edgedata.xml.gz", "queue": "queue.xml.gz", "lanechange": "lanechange.xml.gz", "stop": "stop.xml.gz",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}
