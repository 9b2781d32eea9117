package run

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/replay"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/program"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// BenchmarkRecording compares the whole job of grid with a recording, and without, with bare SUMO that writes the same attributes at the
// same times into a compressed file, and with bare SUMO without such an output. It reports the wall-clock and processor time of each, the
// recorded job as a multiple of SUMO with its file, and the bytes for each position of the recording and of that file.
func BenchmarkRecording(b *testing.B) {
	sumo := sumotest.Newest(b)
	data, err := networks.ReadyZip("grid")
	if err != nil {
		b.Fatal(err)
	}
	zip := filepath.Join(b.TempDir(), "grid.zip")
	if err := os.WriteFile(zip, data, 0o644); err != nil {
		b.Fatal(err)
	}
	desk := b.TempDir()
	unpack := exec.CommandContext(b.Context(), "unzip", "-q", "-o", zip, "-d", desk)
	if out, err := unpack.CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	bare := func(args ...string) times {
		cmd := sumotest.Command(b, sumo, "sumo", append([]string{"-c", "grid.sumocfg", "--no-step-log"}, args...)...)
		cmd.Dir = desk
		return taken(b, cmd)
	}
	job := func(asked *simulation.Replay) (times, Run) {
		r := newRunOf(b, sumo)
		r.Scenario, r.Options.Replay = zip, asked
		before, began := children(b)+own(b), time.Now()
		if o := r.Do(b.Context()); !o.Succeeded() {
			b.Fatal(o.Message)
		}
		return times{time.Since(began), children(b) + own(b) - before}, r
	}
	var plain, file, unrecorded, recorded times
	perPosition := 0.0
	for range b.N {
		// In turn, so that whatever else the machine does befalls all alike.
		plain.add(bare())
		file.add(bare("--fcd-output", "fcd.xml.gz", "--device.fcd.period", "1", "--fcd-output.attributes", program.ReplayAttributes))
		t, _ := job(nil)
		unrecorded.add(t)
		t, r := job(&simulation.Replay{})
		recorded.add(t)
		perPosition = bytesPerPosition(b, r)
	}
	b.ReportMetric(0, "ns/op")
	n := float64(b.N)
	for name, t := range map[string]times{"sumo": plain, "sumo-fcd": file, "job": unrecorded, "recorded-job": recorded} {
		b.ReportMetric(t.wall.Seconds()/n, name+"-s")
		b.ReportMetric(t.cpu.Seconds()/n, name+"-cpu-s")
	}
	b.ReportMetric(recorded.wall.Seconds()/file.wall.Seconds(), "of-sumo-fcd")
	b.ReportMetric(recorded.cpu.Seconds()/file.cpu.Seconds(), "cpu-of-sumo-fcd")
	b.ReportMetric(perPosition, "bytes/position")
	if info, err := os.Stat(filepath.Join(desk, "fcd.xml.gz")); err == nil {
		b.ReportMetric(float64(info.Size())/1e6, "fcd-MB")
	}
}

// own is the processor time of this process.
func own(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// bytesPerPosition reads the recording of a run.
func bytesPerPosition(b *testing.B, r Run) float64 {
	b.Helper()
	var x replay.Index
	text, err := os.ReadFile(filepath.Join(r.Out, simulation.ReplayFile))
	if err == nil {
		err = json.Unmarshal(text, &x)
	}
	if err != nil {
		b.Fatal(err)
	}
	segments, err := os.ReadFile(filepath.Join(r.Out, simulation.ReplaySegmentsFile))
	if err != nil {
		b.Fatal(err)
	}
	size, positions := len(segments)+len(text), 0
	for _, s := range x.Segments {
		read, err := replay.Open(segments[:s.Bytes])
		if err != nil {
			b.Fatal(err)
		}
		segments = segments[s.Bytes:]
		for range s.Frames {
			_, at, err := read.Next(nil)
			if err != nil {
				b.Fatal(err)
			}
			positions += len(at)
		}
	}
	return float64(size) / float64(positions)
}
