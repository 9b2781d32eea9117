package main

import (
	"archive/zip"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sumo-k8/sumo-k8/infra/laptop/laptoptest"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/s3store"
)

// benchService runs the program as a process of its own, so that its memory is its own too.
func benchService(b *testing.B) (pid int, c *tenantClient) {
	b.Helper()
	settings, err := programs()
	if err != nil {
		b.Fatal(err)
	}
	cmd, s := start(b, laptoptest.Folder(b), settings)
	b.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64 // a connection for each client, not one for each request
	s.client.Transport = transport     // the checker would be measured too
	return cmd.Process.Pid, s.register(b, `"max_concurrent_jobs": 200`, `"max_cpu": 1000`, `"max_memory_gi": 5000`)
}

const gib = 1 << 30

// bigScenario streams a form with a zip of about 1 GiB: the square network and recorded counts that do not compress.
func bigScenario(b *testing.B, square string) (body io.Reader, contentType string) {
	reader, writer := io.Pipe()
	form := multipart.NewWriter(writer)
	go func() {
		writer.CloseWithError(func() error {
			if err := form.WriteField("scenario_id", "big"); err != nil {
				return err
			}
			part, err := form.CreateFormFile("sumo_files", "big.zip")
			if err != nil {
				return err
			}
			if err := writeBigZip(part, square, gib); err != nil {
				return err
			}
			return form.Close()
		}())
	}()
	return reader, form.FormDataContentType()
}

// writeBigZip writes a zip of the square network with size bytes that do not compress.
func writeBigZip(w io.Writer, square string, size int64) error {
	in, err := zip.NewReader(strings.NewReader(square), int64(len(square)))
	if err != nil {
		return err
	}
	out := zip.NewWriter(w)
	for _, f := range in.File {
		if err := out.Copy(f); err != nil {
			return err
		}
	}
	counts, err := out.CreateHeader(&zip.FileHeader{Name: "counts.bin", Method: zip.Store})
	if err != nil {
		return err
	}
	if _, err := io.CopyN(counts, noise(), size); err != nil {
		return err
	}
	return out.Close()
}

// noise is a stream that differs each time, so that no upload is already known.
func noise() io.Reader {
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(rand.Uint32())
	}
	return rand.NewChaCha8(seed)
}

// BenchmarkUploadOneGiB submits a scenario of 1 GiB and prints the memory that it takes beyond the idle process, and its
// speed beside that of a plain PUT of as much to the same store.
func BenchmarkUploadOneGiB(b *testing.B) {
	pid, c := benchService(b)
	square := zipOf(b, "square")
	idle := memory(b, pid, "VmRSS")
	resetPeak(b, pid)
	b.SetBytes(gib)
	for b.Loop() {
		body, contentType := bigScenario(b, square)
		c.request(b, "POST", "/jobs", body, "Authorization: Bearer "+c.key, "Content-Type: "+contentType).want(b, http.StatusOK)
	}
	upload := b.Elapsed() / time.Duration(b.N)
	b.ReportMetric(float64(memory(b, pid, "VmHWM")-idle)/(1<<20), "MiB-above-idle")
	b.ReportMetric(float64(idle)/(1<<20), "MiB-idle")
	plain := plainPut(b)
	b.ReportMetric(plain.Seconds(), "s/plain-PUT")
	b.ReportMetric(100*plain.Seconds()/upload.Seconds(), "%-of-plain-PUT")
}

// plainPut is the time of 1 GiB to the same kind of store through the same client.
func plainPut(b *testing.B) time.Duration {
	b.Helper()
	store, err := s3store.New(laptoptest.Bucket(b))
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	if _, err := store.Put(b.Context(), "plain", io.LimitReader(noise(), gib), ""); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

// memory reads a line of /proc/PID/status (proc(5)), in bytes.
func memory(b testing.TB, pid int, name string) int64 {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib << 10
		}
	}
	b.Fatalf("/proc/%d/status has no %s", pid, name)
	return 0
}

// resetPeak makes VmHWM count anew (proc(5), clear_refs 5).
func resetPeak(b testing.TB, pid int) {
	b.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkGetJob is GET /jobs/{id} with its key check.
func BenchmarkGetJob(b *testing.B) {
	_, c := benchService(b)
	id := c.submit(b, "square").JobID
	c.finish(b, id)
	b.SetParallelism(8)
	b.ResetTimer() // the service was started on it
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c.call(b, "GET", "/jobs/"+id).want(b, http.StatusOK)
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

// BenchmarkShortRuns is a batch of 20 runs of corridor, from the first submission to the last end, beside the same
// runs of SUMO with the same outputs under xargs.
func BenchmarkShortRuns(b *testing.B) {
	const runs = 20
	_, c := benchService(b)
	corridor := zipOf(b, "corridor")
	for b.Loop() {
		var ids []string
		for range runs {
			var j rest.Job
			c.post(b, [][2]string{{"scenario_id", "batch"}, {"cpu_request", "1"}, {"memory_gi", "1"}, {"@sumo_files", corridor}}).
				want(b, http.StatusOK).into(b, &j)
			ids = append(ids, j.JobID)
		}
		for _, id := range ids {
			if j := c.finish(b, id); j.Status != job.Succeeded {
				b.Fatalf("a run ended %s", j.Status)
			}
		}
	}
	ours := b.Elapsed() / time.Duration(b.N)
	bare := underXargs(b, corridor, runs)
	b.ReportMetric(bare.Seconds(), "s/xargs")
	b.ReportMetric(ours.Seconds()/bare.Seconds(), "times-xargs")
}

func underXargs(b *testing.B, scenario string, runs int) time.Duration {
	b.Helper()
	dir := b.TempDir()
	in, err := zip.NewReader(strings.NewReader(scenario), int64(len(scenario)))
	if err != nil {
		b.Fatal(err)
	}
	if err := os.CopyFS(dir, in); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", fmt.Sprintf("seq %d | xargs -P $(nproc) -I N sumo -c corridor.sumocfg --no-step-log --xml-validation.net never "+
		"--xml-validation.routes never -X never --summary-output s.N.xml --tripinfo-output t.N.xml --statistic-output a.N.xml >/dev/null 2>&1", runs))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "SUMO_HOME=/usr/share/sumo")
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("xargs: %v: %s", err, out)
	}
	return time.Since(began)
}
