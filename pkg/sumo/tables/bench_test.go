package tables_test

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/tables"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// BenchmarkPositions converts the positions of grid, and 1 GB of them, and compares time and size with SUMO's own converter and Parquet.
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
	const copies = 7
	large := filepath.Join(dir, "large.xml.gz")
	size := repeat(b, packed, large, copies)
	made := filepath.Join(dir, "made.parquet")
	convert := func(file string) time.Duration {
		began := time.Now()
		source := tables.Source{Name: "fcd", Open: func() (io.ReadCloser, error) { return os.Open(file) }}
		err := tables.Make("fcd", []tables.Source{source}, 0, func(write func(io.Writer) error) error {
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
		return time.Since(began)
	}
	for b.Loop() {
		convert(packed)
		b.ReportMetric(float64(sizeOf(b, made))/float64(sizeOf(b, packed)), "of-gzip-XML")
		b.ReportMetric(float64(sizeOf(b, made))/float64(sizeOf(b, parquet)), "of-SUMO's-Parquet")
		took := convert(large)
		b.ReportMetric(float64(size)/1e6, "MB-of-XML")
		b.ReportMetric(took.Seconds(), "s")
		b.ReportMetric(peak(b), "MiB-peak")
		began := time.Now()
		own := exec.CommandContext(b.Context(), "python3", filepath.Join(sumo.Home, "tools", "xml", "xml2csv.py"), large, "-o", filepath.Join(dir, "own.csv"))
		own.Env = append(os.Environ(), "SUMO_HOME="+sumo.Home)
		if out, err := own.CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
		b.ReportMetric(time.Since(began).Seconds(), "s-xml2csv")
		b.ReportMetric(time.Since(began).Seconds()/took.Seconds(), "times-faster")
	}
}

// repeat writes the time steps of an output several times, one after the other, and returns how much XML that is.
func repeat(b *testing.B, from, to string, copies int) (size int64) {
	b.Helper()
	out, err := os.Create(to)
	if err != nil {
		b.Fatal(err)
	}
	defer out.Close()
	z := gzip.NewWriter(out)
	write := func(line string) {
		n, err := io.WriteString(z, line)
		if err != nil {
			b.Fatal(err)
		}
		size += int64(n)
	}
	write("<fcd-export>\n")
	for i := range copies {
		in, err := os.Open(from)
		if err != nil {
			b.Fatal(err)
		}
		plain, err := xml.Unpack(in)
		if err != nil {
			b.Fatal(err)
		}
		for lines := bufio.NewScanner(plain); lines.Scan(); {
			line := lines.Text()
			var at float64
			if n, _ := fmt.Sscanf(line, `    <timestep time="%f"`, &at); n == 1 {
				write(fmt.Sprintf("    <timestep time=\"%.2f\">\n", at+3000*float64(i)))
			} else if strings.HasPrefix(line, "        <vehicle") || strings.HasPrefix(line, "    </timestep") {
				write(line + "\n")
			}
		}
		in.Close()
	}
	write("</fcd-export>\n")
	if err := z.Close(); err != nil {
		b.Fatal(err)
	}
	return size
}

func sizeOf(b *testing.B, file string) int64 {
	b.Helper()
	info, err := os.Stat(file)
	if err != nil {
		b.Fatal(err)
	}
	return info.Size()
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
