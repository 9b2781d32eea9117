package tables_test

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/gz"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/tables"
	"github.com/sumo-k8/sumo-k8/pkg/table"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// BenchmarkPositions converts the positions of grid, beside SUMO's own converter and Parquet, then 1 GB of them, and 100,000 trips.
func BenchmarkPositions(b *testing.B) {
	sumo := sumotest.Newest(b)
	dir := b.TempDir()
	content, err := networks.ReadyZip("grid")
	if err != nil {
		b.Fatal(err)
	}
	unzip(b, dir, content)
	packed, parquet := filepath.Join(dir, "fcd.xml.gz"), filepath.Join(dir, "sumo.parquet")
	for _, args := range [][]string{{packed}, {parquet, "--output.compression", "zstd"}} {
		args = append([]string{"-c", filepath.Join(dir, "grid.sumocfg"), "--no-step-log", "--no-warnings", "--fcd-output"}, args...)
		if out, err := sumotest.Command(b, sumo, "sumo", args...).CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
	trips := filepath.Join(dir, "trips.xml")
	writeTrips(b, trips, 100_000)
	const copies = 7
	large := filepath.Join(dir, "large.xml.gz")
	size := repeat(b, packed, large, copies)
	made := filepath.Join(dir, "made.parquet")
	convert := func(name simulation.Table, file string) cost {
		began, before := time.Now(), used(b)
		source := tables.Source{Name: string(name), Open: func() (io.ReadCloser, error) { return os.Open(file) }}
		err := tables.Make(name, []tables.Source{source}, 0, func(write func(io.Writer) error) error {
			out, err := os.Create(made)
			if err != nil {
				return err
			}
			defer out.Close()
			return write(out)
		})
		if err != nil {
			b.Fatal(err)
		}
		return cost{time.Since(began), used(b) - before}
	}
	for b.Loop() {
		took := convert(simulation.TableFCD, packed)
		b.ReportMetric(float64(sizeOf(b, made))/float64(sizeOf(b, packed)), "of-gzip-XML")
		b.ReportMetric(float64(sizeOf(b, made))/float64(sizeOf(b, parquet)), "of-SUMO's-Parquet")
		began := time.Now()
		converter := filepath.Join(sumo.Home, "tools", "xml", "xml2csv.py")
		own := exec.CommandContext(b.Context(), "python3", converter, packed, "-o", filepath.Join(dir, "own.csv"))
		own.Env = append(os.Environ(), "SUMO_HOME="+sumo.Home)
		if out, err := own.CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		csv := cost{time.Since(began), own.ProcessState.UserTime() + own.ProcessState.SystemTime()}
		b.ReportMetric(csv.wall.Seconds()/took.wall.Seconds(), "times-faster")
		b.ReportMetric(csv.cpu.Seconds()/took.cpu.Seconds(), "times-less-cpu")
		rows := rowsOf(b, made)
		forgetPeak(b)
		long := convert(simulation.TableFCD, large)
		b.ReportMetric(peak(b), "MiB-peak")
		if got := rowsOf(b, made); got != copies*rows {
			b.Fatalf("%d copies of %d rows are %d", copies, rows, got)
		}
		b.ReportMetric(float64(size)/1e6, "MB-of-XML-large")
		for of, c := range map[string]cost{"": took, "-xml2csv": csv, "-large": long, "-100k-trips": convert(simulation.TableTripinfo, trips)} {
			b.ReportMetric(c.wall.Seconds(), "s"+of)
			b.ReportMetric(c.cpu.Seconds(), "cpu-s"+of)
		}
	}
}

// cost is what something takes: the processor's time differs less than the clock's on a machine that does other things.
type cost struct{ wall, cpu time.Duration }

// used is the processor's time of this process.
func used(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// writeTrips writes a tripinfo-output of so many trips, with values that hardly repeat.
func writeTrips(b *testing.B, file string, trips int) {
	b.Helper()
	out, err := os.Create(file)
	if err != nil {
		b.Fatal(err)
	}
	defer out.Close()
	text, random := bufio.NewWriter(out), rand.New(rand.NewPCG(1, 2))
	fmt.Fprint(text, "<tripinfos>\n")
	for i := range trips {
		some := func(most int) float64 { return float64(random.IntN(100*most)) / 100 }
		depart := 0.36 * float64(i)
		fmt.Fprintf(text, `    <tripinfo id="veh%d" depart="%.2f" departLane="e%d_0" departPos="5.10" departSpeed="%.2f" departDelay="%.2f" `+
			`arrival="%.2f" arrivalLane="e%d_0" arrivalPos="%.2f" arrivalSpeed="%.2f" duration="%.2f" routeLength="%.2f" waitingTime="%.2f" `+
			`waitingCount="%d" stopTime="0.00" timeLoss="%.2f" rerouteNo="0" devices="tripinfo_veh%d routing_veh%d" vType="DEFAULT_VEHTYPE" `+
			`speedFactor="%.2f" vaporized=""/>`+"\n",
			i, depart, random.IntN(4000), some(14), some(1), depart+some(900), random.IntN(4000), some(200), some(14), some(900), some(9000),
			some(100), random.IntN(9), some(300), i, i, 0.8+some(1)*0.4)
	}
	fmt.Fprint(text, "</tripinfos>\n")
	if err := text.Flush(); err != nil {
		b.Fatal(err)
	}
}

// repeat writes the time steps of an output several times, one after the other, and returns how much XML that is. They are compressed once:
// gzip takes members that follow each other for one file (RFC 1952, 2.2).
func repeat(b *testing.B, from, to string, copies int) (size int64) {
	b.Helper()
	in, err := os.Open(from)
	if err != nil {
		b.Fatal(err)
	}
	defer in.Close()
	plain, err := gz.Unpack(in)
	if err != nil {
		b.Fatal(err)
	}
	out, err := os.Create(to)
	if err != nil {
		b.Fatal(err)
	}
	defer out.Close()
	var steps bytes.Buffer
	z := gzip.NewWriter(&steps)
	lines := bufio.NewScanner(plain)
	for lines.Scan() {
		line := lines.Text()
		if tag := strings.TrimLeft(line, " </"); strings.HasPrefix(tag, "timestep") || strings.HasPrefix(tag, "vehicle") {
			n, err := fmt.Fprintln(z, line)
			if err != nil {
				b.Fatal(err)
			}
			size += int64(n)
		}
	}
	if err := cmp.Or(lines.Err(), z.Close()); err != nil {
		b.Fatal(err)
	}
	member := func(text string) {
		z.Reset(out)
		if _, err := io.WriteString(z, text); err != nil {
			b.Fatal(err)
		}
		if err := z.Close(); err != nil {
			b.Fatal(err)
		}
	}
	member("<fcd-export>")
	for range copies {
		if _, err := out.Write(steps.Bytes()); err != nil {
			b.Fatal(err)
		}
	}
	member("</fcd-export>")
	return size * int64(copies)
}

// rowsOf is how many rows a table has, all of its output's.
func rowsOf(b *testing.B, file string) int64 {
	b.Helper()
	in, err := os.Open(file)
	if err != nil {
		b.Fatal(err)
	}
	defer in.Close()
	made, err := table.Open(in, sizeOf(b, file))
	if err != nil || !made.Schema.Complete {
		b.Fatalf("%s is not complete: %v", file, err)
	}
	return made.Rows
}

func sizeOf(b *testing.B, file string) int64 {
	b.Helper()
	info, err := os.Stat(file)
	if err != nil {
		b.Fatal(err)
	}
	return info.Size()
}

// forgetPeak makes peak begin anew (proc(5), clear_refs).
func forgetPeak(b *testing.B) {
	b.Helper()
	for range 2 { // pools keep what they have for one collection
		debug.FreeOSMemory()
	}
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		b.Fatal(err)
	}
}

// peak is the largest resident memory that this process has had, in MiB (proc(5), VmHWM).
func peak(b *testing.B) float64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	var kib float64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		b.Fatal(err)
	}
	return kib / 1024
}
