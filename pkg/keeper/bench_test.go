package keeper_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// BenchmarkChunk stores a chunk of runs like those of the ready network square, all of which have ended. The CPU is that of this process;
// the server's is not in it.
func BenchmarkChunk(b *testing.B) {
	for _, packed := range []bool{true, false} {
		b.Run(fmt.Sprintf("packed=%t", packed), func(b *testing.B) {
			var wall, cpu time.Duration
			for range b.N {
				var ids []string
				for n := range chunk.MostRuns {
					ids = append(ids, strconv.Itoa(n))
				}
				k := newBench(b, ids...)
				for n := range k.List.Runs {
					k.List.Runs[n].Pack = packed
				}
				for _, id := range ids {
					finishSquare(b, k, id)
				}
				before, began := used(b), time.Now()
				k.start(b)
				k.finished(b)
				wall, cpu = wall+time.Since(began), cpu+used(b)-before
				text, err := k.last().Encode()
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(len(text)), "state-bytes")
			}
			runs := time.Duration(b.N * chunk.MostRuns)
			b.ReportMetric(float64((wall / runs).Microseconds()), "µs/run")
			b.ReportMetric(float64((cpu / runs).Microseconds()), "cpu-µs/run")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// finishSquare leaves files of the sizes that sumo-run leaves of a run of square, and as many metrics.
func finishSquare(b *testing.B, k *bench, id string) {
	b.Helper()
	texts := map[string]string{}
	for name, size := range map[string]int{
		"log.txt": 784, "sha256sums.txt": 391, "statistics.xml": 2_418, "summary.json": 1_969, "summary.xml": 81_929, "tripinfo.xml": 14_193,
	} {
		texts[name] = strings.Repeat(id+" line of text\n", size/14+1)[:size]
	}
	k.begin(b, id, texts)
	outcome := simulation.Outcome{
		Summary:     &simulation.Summary{SumoVersion: "1.28.0", ConfigFile: "square.sumocfg"},
		Confinement: &simulation.Confinement{Landlock: 7, Filter: true},
		Files: map[simulation.Output]string{
			simulation.OutputSummary: "summary.xml", simulation.OutputTripinfo: "tripinfo.xml", simulation.OutputStatistics: "statistics.xml",
		},
	}
	for n := range 26 {
		outcome.Summary.Metrics = append(outcome.Summary.Metrics, simulation.Metric{
			Name: fmt.Sprintf("mean_of_metric_%d", n), Value: rand.Float64(), Unit: "m/s",
		})
	}
	k.end(b, id, outcome)
}

func used(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
