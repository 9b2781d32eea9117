package local_test

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/confine"
	"github.com/sumo-k8/sumo-k8/pkg/disk"
	"github.com/sumo-k8/sumo-k8/pkg/engine/local"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

// sumoRun builds sumo-run, and what lies beside it in a release.
func sumoRun(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", dir, "../../sumo/sumo-run", "../../confine/sumo-wall")
	if _, measured := t.(*testing.B); measured { // as in a release; tests take what is compiled already
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
	}
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building sumo-run: %v: %s", err, out)
	}
	return filepath.Join(dir, "sumo-run")
}

// real is an engine whose runs are SUMO's.
type real struct {
	*local.Engine
	cfg      local.Config
	objects  artifact.Store
	sumo     release.Installation
	scenario string // its key
}

// newReal makes one that runs a ready network.
func newReal(t testing.TB, network string, store artifact.Store) *real {
	t.Helper()
	text, err := networks.ReadyZip(network)
	if err != nil {
		t.Fatal(err)
	}
	r := &real{objects: store, sumo: sumotest.Newest(t), scenario: artifact.ScenarioKey("sumo-t", network)}
	r.cfg = local.Config{
		Dir: filepath.Join(localtest.Folder(t), "runs"), SumoRun: sumoRun(t), Slots: 2, Confinement: confine.Prefer,
		Installations: []release.Installation{r.sumo}, StopGrace: patience,
	}
	if _, err := store.Put(t.Context(), r.scenario, bytes.NewReader(text), "application/zip"); err != nil {
		t.Fatal(err)
	}
	r.open(t)
	return r
}

func (r *real) open(t testing.TB) {
	t.Helper()
	e, err := local.New(r.cfg, r.objects, time.Now, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = e.Close(ctx)
	})
	r.Engine = e
}

// study is the runs with the seeds from first to last as one chunk.
func (r *real) study(id string, first, last int) job.Chunk {
	c := chunkOf(id, last-first+1, 2)
	for i := range c.Jobs {
		seed := int64(first + i)
		c.Jobs[i].ScenarioKey = r.scenario
		c.Jobs[i].Options = simulation.Options{Seed: &seed, SumoVersion: r.sumo.Version}
	}
	return c
}

// unstored is a real object store but for results, which it drops.
type unstored struct{ artifact.Store }

func (u unstored) Put(ctx context.Context, key string, body io.Reader, contentType string) (int64, error) {
	if artifact.ScenarioKey("sumo-t", "square") == key || artifact.ScenarioKey("sumo-t", "grid") == key {
		return u.Store.Put(ctx, key, body, contentType)
	}
	return io.Copy(io.Discard, body)
}

// BenchmarkStudy measures the runs of a study, from their start to the last end, beside the loops that a user would write: with xargs, the
// same outputs and the same seeds, where SUMO validates the XML each time, and where it never does.
func BenchmarkStudy(b *testing.B) {
	for _, tt := range []struct {
		network string
		chunks  []int // runs of each, as the gate makes them
	}{
		{"square", []int{200}},
		{"grid", []int{30, 20}},
	} {
		for _, storing := range []bool{true, false} {
			name := tt.network + "/stored"
			if !storing {
				name = tt.network + "/dropped"
			}
			b.Run(name, func(b *testing.B) {
				store, err := s3.New(localtest.Bucket(b))
				if err != nil {
					b.Fatal(err)
				}
				var objects artifact.Store = store
				if !storing {
					objects = unstored{store}
				}
				r := newReal(b, tt.network, objects)
				never := []string{"-X", "never", "--xml-validation.net", "never", "--xml-validation.routes", "never"}
				var engine, below, bare, validating, unvalidating time.Duration
				runs := 0
				for b.Loop() {
					runs = 0
					engine -= cpu(b, unix.RUSAGE_SELF)
					below -= cpu(b, unix.RUSAGE_CHILDREN)
					var ids []string
					for _, n := range tt.chunks {
						id := uuid.NewString()
						if err := r.Start(b.Context(), r.study(id, runs+1, runs+n)); err != nil {
							b.Fatal(err)
						}
						ids, runs = append(ids, id), runs+n
					}
					r.finish(b, ids, runs)
					// The machine's speed changes: each repetition has its own reference.
					engine += cpu(b, unix.RUSAGE_SELF)
					below += cpu(b, unix.RUSAGE_CHILDREN)
					validating += underXargs(b, r.sumo, tt.network, runs)
					bare -= cpu(b, unix.RUSAGE_CHILDREN)
					unvalidating += underXargs(b, r.sumo, tt.network, runs, never...)
					bare += cpu(b, unix.RUSAGE_CHILDREN)
					b.StartTimer()
				}
				perRun := func(total time.Duration) float64 { return total.Seconds() * 1000 / float64(runs*b.N) }
				b.ReportMetric(perRun(engine), "engine-CPU-ms/run")
				b.ReportMetric(perRun(below), "sumo-run-CPU-ms/run")
				b.ReportMetric(perRun(bare), "xargs-X-never-CPU-ms/run")
				b.ReportMetric(validating.Seconds()/float64(b.N), "s/xargs")
				b.ReportMetric(unvalidating.Seconds()/float64(b.N), "s/xargs-X-never")
				b.ReportMetric(b.Elapsed().Seconds()/validating.Seconds(), "times-xargs")
				b.ReportMetric(b.Elapsed().Seconds()/unvalidating.Seconds(), "times-xargs-X-never")
			})
		}
	}
}

// cpu is the processor time of this process, with the keeper in it, or of those below it that have ended: sumo-run and SUMO.
func cpu(b *testing.B, who int) time.Duration {
	b.Helper()
	var used unix.Rusage
	if err := unix.Getrusage(who, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// finish waits until all runs of some chunks have succeeded, stops the timer, and forgets these.
func (r *real) finish(b *testing.B, ids []string, runs int) {
	for {
		seen, err := r.Observe(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		succeeded := 0
		for _, s := range seen {
			for _, o := range s.Runs {
				switch {
				case o.State == job.Succeeded:
					succeeded++
				case o.State.Terminal():
					b.Fatalf("a run ended as %+v", o)
				}
			}
		}
		if succeeded == runs {
			break
		}
		<-r.Changed()
	}
	b.StopTimer()
	for {
		seen, err := r.Observe(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		ended := 0
		for _, s := range seen {
			if s.Ended {
				ended++
			}
		}
		if ended == len(seen) {
			break
		}
		<-r.Changed()
	}
	if err := r.Forget(b.Context(), ids); err != nil {
		b.Fatal(err)
	}
}

// apart is a folder that lies on the disk as an engine's chunks do, away from what earlier benchmarks and the compiler have just removed.
func apart(b *testing.B) string {
	b.Helper()
	parent := localtest.Folder(b)
	_ = disk.Spread(parent)
	dir := filepath.Join(parent, uuid.NewString())
	if err := os.Mkdir(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	return dir
}

// underXargs measures the loop that a user would write.
func underXargs(b *testing.B, sumo release.Installation, network string, runs int, more ...string) time.Duration {
	b.Helper()
	dir := apart(b)
	text, err := networks.ReadyZip(network)
	if err != nil {
		b.Fatal(err)
	}
	in, err := zip.NewReader(bytes.NewReader(text), int64(len(text)))
	if err == nil {
		err = os.CopyFS(dir, in)
	}
	if err != nil {
		b.Fatal(err)
	}
	args := []string{
		"-P", "2", "-I", "N", sumo.Binary, "-c", network + ".sumocfg", "--seed", "N", "--no-step-log",
		"--summary-output", "s.N.xml", "--tripinfo-output", "t.N.xml", "--statistic-output", "a.N.xml",
	}
	cmd := exec.Command("xargs", append(args, more...)...)
	var seeds bytes.Buffer
	for i := range runs {
		fmt.Fprintln(&seeds, i+1)
	}
	cmd.Dir, cmd.Stdin = dir, &seeds
	cmd.Env = append(os.Environ(), "SUMO_HOME="+sumo.Home)
	runtime.GC()
	began := time.Now()
	if err := cmd.Run(); err != nil {
		b.Fatalf("xargs: %v", err)
	}
	return time.Since(began)
}
