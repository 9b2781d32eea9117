package status_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

// BenchmarkStudyEdges answers for 50 runs with 10,000 edges in 24 intervals, alone and compared with as many: the time of a request whose
// answer is not kept yet, and the most memory of this process, in which requests are answered and sent.
func BenchmarkStudyEdges(b *testing.B) {
	const runs, edges, intervals, distinct = 50, 10_000, 24, 5
	in := install(b)
	study := in.edgeStudy(b, 2, runs)
	var files []map[string]string
	for i := range distinct {
		files = append(files, withEdges(b, cityEdges(uint64(i), edges, intervals)))
		delete(files[i], "edgedata.xml.gz")
	}
	for p := range 2 {
		for r := range runs {
			in.keptRun(b, study, p, r, files[(r*(p+1))%distinct])
		}
	}
	for name, query := range map[string]string{"OnePoint": "", "AgainstAnother": "&against=1"} {
		b.Run(name, func(b *testing.B) {
			debug.FreeOSMemory() // what making the files took
			idle := resident(b, "VmRSS")
			var peak int64
			interval := 0
			for b.Loop() {
				if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
					b.Fatal(err)
				}
				// Each interval of each attribute is an answer of its own.
				attribute := []string{"timeLoss", "speed", "waitingTime", "density"}[interval/intervals%4]
				var got rest.StudyEdges
				a := in.get(b, fmt.Sprintf("/studies/%s/edgedata?attribute=%s&interval=%d%s", study, attribute, interval%intervals, query))
				a.Want(b, http.StatusOK).Into(b, &got)
				if got.N != runs || len(got.Edges) != edges {
					b.Fatalf("%d runs and %d edges", got.N, len(got.Edges))
				}
				interval++
				peak = max(peak, resident(b, "VmHWM"))
			}
			b.ReportMetric(float64(peak)/(1<<20), "MiB-peak")
			b.ReportMetric(float64(peak-idle)/(1<<20), "MiB-above-idle")
		})
	}
}

// cityEdges is an edgedata output.
func cityEdges(seed uint64, edges, intervals int) string {
	random := rand.New(rand.NewPCG(seed, 0))
	var s strings.Builder
	s.WriteString("<meandata>")
	for i := range intervals {
		fmt.Fprintf(&s, `<interval begin="%d.00" end="%d.00" id="x">`, i*3600, i*3600+3600)
		for e := range edges {
			fmt.Fprintf(&s, `<edge id="%d#%d" sampledSeconds="%.2f" traveltime="%.2f" density="%.2f" occupancy="%.2f" waitingTime="%.2f" timeLoss="%.2f" `+
				`speed="%.2f" speedRelative="%.2f" departed="0" arrived="0" entered="%d" left="%d"/>`, 40_000_000+e/7*31, e%7,
				random.Float64()*4000, 20*random.Float64(), random.ExpFloat64(), random.ExpFloat64(), 100*random.ExpFloat64(), 300*random.ExpFloat64(),
				13*random.Float64(), random.Float64(), random.IntN(300), random.IntN(300))
		}
		s.WriteString("</interval>")
	}
	return s.String() + "</meandata>"
}

// resident is a line of /proc/self/status (proc(5)), in bytes: VmRSS is the memory now, and VmHWM the most since it was last cleared by a 5
// in clear_refs.
func resident(b *testing.B, name string) int64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), name+":")
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return kib << 10
}
