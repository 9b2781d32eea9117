package main

import (
	"archive/zip"
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/process/processtest"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// benchService runs the program in its own process, so that its memory can be measured. It applies edits to the settings
// and returns the program's data folder.
func benchService(b *testing.B, edits ...func(*Settings)) (pid int, dir string, c *tenantClient) {
	b.Helper()
	settings, err := programs()
	if err != nil {
		b.Fatal(err)
	}
	for _, edit := range edits {
		edit(&settings)
	}
	dir = localtest.Folder(b)
	cmd, s := start(b, dir, settings, "CALLS_PER_SECOND=0", "SUBMISSIONS_PER_MINUTE=0")
	b.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64 // a connection for each client, not one for each request
	s.client.Transport = transport     // without the checker, which would be measured too
	return cmd.Process.Pid, dir, s.register(b, `"max_concurrent_jobs": 200`, `"max_cpu": 1000`, `"max_memory_gi": 5000`)
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

// noise is a stream that differs each time, so that no upload is known already.
func noise() io.Reader {
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(rand.Uint32())
	}
	return rand.NewChaCha8(seed)
}

// BenchmarkUploadOneGiB submits a scenario of 1 GiB and prints the memory that it takes beyond the idle process, and its
// speed next to that of a plain PUT of the same size to the same store.
func BenchmarkUploadOneGiB(b *testing.B) {
	pid, _, c := benchService(b)
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

// plainPut measures a PUT of 1 GiB to the same kind of store through the same client.
func plainPut(b *testing.B) time.Duration {
	b.Helper()
	store, err := s3.New(localtest.Bucket(b))
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

// resetPeak resets VmHWM (proc(5), clear_refs 5).
func resetPeak(b testing.TB, pid int) {
	b.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkGetJob measures GET /jobs/{id} with its key check. Next to it, it prints the rate of the bare statements, and that of
// the same answer from a server that does nothing else: the remaining cost of a request is ours.
func BenchmarkGetJob(b *testing.B) {
	_, dir, c := benchService(b)
	id := c.submit(b, "square").JobID
	c.finish(b, id)
	b.SetParallelism(8)
	b.ResetTimer() // exclude the start of the service
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			c.call(b, "GET", "/jobs/"+id).want(b, http.StatusOK)
		}
	})
	b.StopTimer() // what follows would count as a request
	rate := float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate, "requests/s")
	bare := bareSQL(b, dir, c, id)
	b.ReportMetric(bare, "bare-SQL/s")
	b.ReportMetric(100*rate/bare, "%-of-bare-SQL")
	b.ReportMetric(bareHTTP(b, c, id), "bare-HTTP/s")
}

// bareHTTP measures the rate at which equally many of the same clients get the same answer from a bare net/http server.
func bareHTTP(b *testing.B, c *tenantClient, id string) float64 {
	b.Helper()
	const took = time.Second
	body := c.call(b, "GET", "/jobs/"+id).want(b, http.StatusOK).body
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}))
	defer server.Close()
	bare := &tenantClient{service: &service{url: server.URL, client: c.client}, key: c.key}
	var done atomic.Int64
	var work sync.WaitGroup
	end := time.Now().Add(took)
	for range 8 * runtime.GOMAXPROCS(0) {
		work.Go(func() {
			for ; time.Now().Before(end); done.Add(1) {
				bare.call(b, "GET", "/jobs/"+id)
			}
		})
	}
	work.Wait()
	return float64(done.Load()) / took.Seconds()
}

// bareSQL measures the rate of the same statements, key and job, through pgx alone: equally many clients, the same server.
func bareSQL(b *testing.B, dir string, c *tenantClient, id string) float64 {
	b.Helper()
	const took = time.Second
	clients := 8 * runtime.GOMAXPROCS(0)
	pool, err := pgxpool.New(
		b.Context(), fmt.Sprintf("%s&pool_max_conns=%d", databaseURL(b, filepath.Join(dir, "logs", "service.log")), clients),
	)
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	key, _, err := tenant.ParseKey(c.key)
	if err != nil {
		b.Fatal(err)
	}
	var done atomic.Int64
	var work sync.WaitGroup
	for end := time.Now().Add(took); clients > 0; clients-- {
		work.Go(func() {
			for ; time.Now().Before(end); done.Add(1) {
				for sql, args := range map[string][]any{
					"SELECT t.*, k.hash FROM api_keys k JOIN tenants t ON t.id = k.tenant_id WHERE k.id = $1": {key},
					"SELECT * FROM jobs WHERE tenant_id = $1 AND id = $2":                                     {c.id, id},
				} {
					rows, err := pool.Query(b.Context(), sql, args...)
					if err != nil {
						b.Error(err)
						return
					}
					for rows.Next() {
						_ = rows.RawValues()
					}
					if rows.Err() != nil {
						b.Error(rows.Err())
						return
					}
				}
			}
		})
	}
	work.Wait()
	return float64(done.Load()) / took.Seconds()
}

// BenchmarkLogFollow measures a thousand followers of one job's log, each of which gets a hundred new lines a round. It prints
// the memory that they take, and what the process reads and computes for a round: the same for a long log as for a short one
// if following costs only what is new.
func BenchmarkLogFollow(b *testing.B) {
	const followers, lines = 1000, 100
	line := strings.Repeat("x", 99) + "\n"
	for _, mib := range []int{1, 64} {
		b.Run(fmt.Sprintf("%dMiB", mib), func(b *testing.B) {
			// Stands in for sumo-run, which does not write lines on demand.
			began := time.Now()
			program := filepath.Join(b.TempDir(), "sumo-run")
			script := "#!/bin/sh\ncase $1 in --print-version) echo 1.15.0; exit ;; esac\n" +
				`run=$(sed 's/.*"runs":\[{"id":"\([^"]*\)".*/\1/' "$2")` + "\n" + // of --runs, the first argument
				"while [ \"$1\" != --out ]; do shift; done\nmkdir \"$2/$run\"\n" +
				"echo '" + simulation.LogStart(began) + "' >\"$2/$run/log.txt\"\nexec sleep 3600\n"
			processtest.WriteProgram(b, program, script)
			pid, dir, c := benchService(b, func(s *Settings) { s.SumoRun = program })
			id := c.submit(b, "square").JobID
			c.await(b, id, running)
			log, err := os.OpenFile(filepath.Join(dir, "runs", id, "out", id, simulation.LogFile), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				b.Fatal(err)
			}
			defer log.Close()
			if _, err := io.WriteString(log, strings.Repeat(line, mib<<20/len(line))); err != nil {
				b.Fatal(err)
			}
			info, err := log.Stat()
			if err != nil {
				b.Fatal(err)
			}
			idle := memory(b, pid, "VmRSS")
			resetPeak(b, pid)

			var joined, received atomic.Int64
			for range followers {
				r, err := http.NewRequestWithContext(b.Context(), "GET", c.url+"/jobs/"+id+"/logs/stream", nil)
				if err != nil {
					b.Fatal(err)
				}
				r.Header.Set("Authorization", "Bearer "+c.key)
				r.Header.Set("Last-Event-ID", fmt.Sprintf("%d-%d", began.UnixMilli(), info.Size()))
				response, err := c.client.Do(r)
				if err != nil || response.StatusCode != http.StatusOK {
					b.Fatal(response, err)
				}
				go func() {
					defer response.Body.Close()
					for events := bufio.NewScanner(response.Body); events.Scan(); {
						switch field, _, _ := strings.Cut(events.Text(), ":"); field {
						case "event":
							joined.Add(1)
						case "id":
							received.Add(1)
						}
					}
				}()
			}
			until(b, &joined, followers)
			read, busy := bytesRead(b, pid), processorTime(b, pid)
			for b.Loop() {
				want := received.Load() + followers*lines
				if _, err := io.WriteString(log, strings.Repeat(line, lines)); err != nil {
					b.Fatal(err)
				}
				until(b, &received, want)
			}
			delivered := float64(b.N) * followers * lines * float64(len(line))
			b.ReportMetric(float64(bytesRead(b, pid)-read)/delivered, "bytes-read/new-byte")
			b.ReportMetric(float64((processorTime(b, pid)-busy).Milliseconds())/float64(b.N), "CPU-ms/op")
			b.ReportMetric(delivered/(1<<20)/b.Elapsed().Seconds(), "MiB/s")
			b.ReportMetric(float64(memory(b, pid, "VmHWM")-idle)/(1<<20), "MiB-above-idle")
			b.ReportMetric(float64(memory(b, pid, "VmHWM"))/(1<<20), "MiB-peak")
		})
	}
}

func until(b *testing.B, counter *atomic.Int64, want int64) {
	b.Helper()
	for deadline := time.Now().Add(patience); counter.Load() < want; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("after %s %d of %d have arrived", patience, counter.Load(), want)
		}
	}
}

// bytesRead returns how much a process has read from files and connections (proc(5), rchar).
func bytesRead(b *testing.B, pid int) (n int64) {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err == nil {
		_, err = fmt.Sscanf(string(raw), "rchar: %d", &n)
	}
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// processorTime returns a process's processor time (proc(5): utime and stime, in hundredths of a second).
func processorTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), ") ") // after the program's name
	var ticks int64
	for _, field := range strings.Fields(rest)[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100
}

// BenchmarkShortRuns measures a batch of 20 runs of corridor, from the first submission to the last end, next to the same
// runs of SUMO with the same outputs under xargs.
func BenchmarkShortRuns(b *testing.B) {
	const runs = 20
	_, _, c := benchService(b)
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
	cmd := exec.Command("sh", "-c", fmt.Sprintf("seq %d | xargs -P $(nproc) -I N sumo -c corridor.sumocfg --no-step-log "+
		"--xml-validation.net never --xml-validation.routes never -X never --summary-output s.N.xml --tripinfo-output t.N.xml "+
		"--statistic-output a.N.xml >/dev/null 2>&1", runs))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "SUMO_HOME=/usr/share/sumo")
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("xargs: %v: %s", err, out)
	}
	return time.Since(began)
}

// BenchmarkPlanStudy measures POST /studies for the largest study, 10,000 runs, beside one of 10 runs, and how far the memory of the
// process grows meanwhile.
func BenchmarkPlanStudy(b *testing.B) {
	pid, _, c := benchService(b)
	scenario := c.store(b, zipOf(b, "square")).ID
	plan := func(points, seeds int) (took time.Duration, grown int64) {
		values := make([]string, points)
		for i := range values {
			values[i] = fmt.Sprintf("%.4f", 0.5+float64(i)/float64(points))
		}
		body := fmt.Sprintf(`{"name": "large", "variants": [{"name": "base", "scenario": %q}], "max_parallel": 1,
			"axes": [{"name": "demand", "set": "scale", "values": [%s]}], "replications": {"seeds": "1:%d"}}`, scenario, strings.Join(values, ","), seeds)
		before := memory(b, pid, "VmRSS")
		resetPeak(b, pid)
		began := time.Now()
		var s rest.Study
		c.sendJSON(b, "/studies", body).want(b, http.StatusOK).into(b, &s)
		took = time.Since(began)
		grown = memory(b, pid, "VmHWM") - before
		c.call(b, "DELETE", "/studies/"+s.StudyID).want(b, http.StatusOK)
		c.answered(b, s.StudyID)
		return took, grown
	}
	plan(10, 1) // opens what is opened once
	for b.Loop() {
		small, _ := plan(10, 1)
		took, grown := plan(1000, 10)
		b.ReportMetric(float64(took.Milliseconds()), "ms/10000-runs")
		b.ReportMetric(float64(small.Milliseconds()), "ms/10-runs")
		b.ReportMetric(float64(grown)/(1<<20), "MiB-grown")
	}
	b.ReportMetric(0, "ns/op")
}
