package keeper_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/keeper"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
)

func TestMain(m *testing.M) { localtest.Main(m) }

// patience is far more than any step of a test takes, even on a busy machine, and with a keeper that tries again every half minute.
const patience = 2 * time.Minute

// bench is a keeper with its folders, its store and what it has reported.
type bench struct {
	*keeper.Keeper
	objects *s3.Store
	ended   chan error // what Run returned

	mu       sync.Mutex
	reported []chunk.State
}

// newBench has a list of runs called as ids; those that begin with "p" are packed.
func newBench(t testing.TB, ids ...string) *bench {
	t.Helper()
	objects, err := s3.New(localtest.Bucket(t))
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{objects: objects, ended: make(chan error, 1)}
	dir := t.TempDir()
	b.Keeper = &keeper.Keeper{
		List: chunk.List{ID: "c", Parallel: 2}, Objects: objects, Out: filepath.Join(dir, "out"), Desk: filepath.Join(dir, "desk"),
		Now: time.Now, Log: zerolog.Nop(), Patience: time.Hour,
		Report: func(_ context.Context, s chunk.State) error {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.reported = append(b.reported, s)
			return nil
		},
	}
	for _, id := range ids {
		b.List.Runs = append(b.List.Runs, chunk.Run{ID: id, Results: "results/ns/" + id + "/", Pack: strings.HasPrefix(id, "p")})
	}
	for _, folder := range []string{b.Out, b.Desk} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// start lets the keeper run until the test ends.
func (b *bench) start(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		b.ended <- b.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-stopped // before its folders are removed, in which it may be writing
	})
	b.await(t, "the keeper is ready", func() bool { return b.has(chunk.ReadyFile) })
}

// finished waits for the end of Run.
func (b *bench) finished(t testing.TB) {
	t.Helper()
	select {
	case err := <-b.ended:
		if err != nil {
			t.Fatalf("Run() = %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the keeper does not end")
	}
}

func (b *bench) await(t testing.TB, what string, met func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !met(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func (b *bench) has(name ...string) bool {
	_, err := os.Lstat(filepath.Join(append([]string{b.Desk}, name...)...))
	return err == nil
}

// last is the state that was reported last.
func (b *bench) last() chunk.State {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.reported) == 0 {
		return chunk.State{}
	}
	return b.reported[len(b.reported)-1]
}

// begin makes the files of a run, and end completes it.
func (b *bench) begin(t testing.TB, id string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		at := filepath.Join(b.Out, id, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
}

var (
	began = time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	over  = began.Add(time.Minute)
)

func (b *bench) end(t testing.TB, id string, o simulation.Outcome) {
	t.Helper()
	o.StartedAt, o.FinishedAt = began, over
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(b.Out, id, simulation.OutcomeFile)
	if err := errors.Join(os.WriteFile(at+".partial", text, 0o644), os.Rename(at+".partial", at)); err != nil {
		t.Fatal(err)
	}
}

// lock holds out/lock as sumo-run does, until the returned function is called.
func (b *bench) lock(t testing.TB) (release func()) {
	t.Helper()
	f, err := os.Create(filepath.Join(b.Out, chunk.LockFile))
	if err == nil {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
	}
	if err != nil {
		t.Fatal(err)
	}
	return sync.OnceFunc(func() { f.Close() })
}

// stored reads a result as it is on record.
func stored(t testing.TB, objects *s3.Store, prefix string, f job.ResultFile) string {
	t.Helper()
	key, offset, length := prefix+f.Name, int64(0), int64(-1)
	if f.Offset > 0 {
		key, offset, length = prefix+artifact.PackFile, f.Offset, f.Size
	}
	body, err := objects.Open(t.Context(), key, offset, length)
	if err != nil {
		t.Fatalf("opening %s: %v", f.Name, err)
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != f.SHA256 || int64(len(text)) != f.Size {
		t.Errorf("%s has %d bytes with the sum %x, on record are %d and %s", f.Name, len(text), sum, f.Size, f.SHA256)
	}
	content, _, err := simulation.ContentSum(f.Name, bytes.NewReader(text))
	if err != nil || content == "" || content != f.ContentSHA256 {
		t.Errorf("%s has the checksum of contents %q, on record is %q: %v", f.Name, content, f.ContentSHA256, err)
	}
	return string(text)
}

func keys(t testing.TB, objects *s3.Store) (keys []string) {
	t.Helper()
	if err := objects.List(t.Context(), "", func(o artifact.Object) bool { keys = append(keys, o.Key); return true }); err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestRunsAreStoredAndReportedAsTheyEnd(t *testing.T) {
	t.Parallel()
	b := newBench(t, "packed", "single")
	b.start(t)
	large := strings.Repeat("0123456789abcdef", artifact.PackBelow/16)
	files := map[string]string{
		"log.txt": "a line\n", "tripinfo.xml": "<tripinfos/>", "empty.xml": "", "fcd.xml": large, "scenario/own.xml": "<own/>",
		"just-below.txt": large[1:],
	}
	outcome := simulation.Outcome{Files: map[simulation.Output]string{simulation.OutputTripinfo: "tripinfo.xml"}}
	for _, id := range []string{"packed", "single"} {
		b.begin(t, id, files)
		b.end(t, id, outcome)
	}
	b.finished(t)

	state := b.last()
	if state.ID != "c" || len(state.Runs) != 2 {
		t.Fatalf("the last report is %+v", state)
	}
	for id, s := range state.Runs {
		prefix := "results/ns/" + id + "/"
		want := maps.Clone(files)
		text, err := os.ReadFile(filepath.Join(b.Out, id, simulation.OutcomeFile))
		if err != nil {
			t.Fatal(err)
		}
		want[simulation.OutcomeFile] = string(text)
		got := map[string]string{}
		for _, f := range s.Results {
			got[f.Name] = stored(t, b.objects, prefix, f)
			if packed := f.Offset > 0; packed != (id == "packed" && f.Name != "fcd.xml") {
				t.Errorf("%s of %s has the offset %d", f.Name, id, f.Offset)
			}
			if trips := f.Name == "tripinfo.xml"; f.Roles == nil || slices.Contains(f.Roles, simulation.OutputTripinfo) != trips {
				t.Errorf("%s has the roles %v", f.Name, f.Roles)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("results of %s (-want +got):\n%.2000s", id, diff)
		}
		if !slices.IsSortedFunc(s.Results, func(a, b job.ResultFile) int { return strings.Compare(a.Name, b.Name) }) {
			t.Errorf("results of %s are not in order", id)
		}
		if !s.Ended() || !s.Outcome.Succeeded() || !s.StartedAt.Equal(began) || !s.Outcome.FinishedAt.Equal(over) || s.StoredAt.IsZero() ||
			s.Progress != 1 {
			t.Errorf("%s has ended as %+v", id, s)
		}
		var onDesk chunk.RunState
		if text, err := os.ReadFile(filepath.Join(b.Desk, chunk.StoredFolder, id)); err != nil || json.Unmarshal(text, &onDesk) != nil {
			t.Fatalf("%s is not on the desk: %v", id, err)
		}
		if diff := cmp.Diff(s, onDesk); diff != "" {
			t.Errorf("%s on the desk (-reported +there):\n%s", id, diff)
		}
	}
	want := []string{
		"results/ns/packed/fcd.xml", "results/ns/packed/files.zip", "results/ns/single/empty.xml", "results/ns/single/fcd.xml",
		"results/ns/single/just-below.txt", "results/ns/single/log.txt", "results/ns/single/outcome.json",
		"results/ns/single/scenario/own.xml", "results/ns/single/tripinfo.xml",
	}
	if diff := cmp.Diff(want, keys(t, b.objects)); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	pack := stored(t, b.objects, "results/ns/packed/", whole(t, b.objects, "results/ns/packed/files.zip"))
	z, err := zip.NewReader(strings.NewReader(pack), int64(len(pack)))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range z.File {
		f, err := entry.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, f); err != nil { // compares the checksum
			t.Errorf("unpacking %s: %v", entry.Name, err)
		}
	}
}

// whole describes an object as a result of its own.
func whole(t testing.TB, objects *s3.Store, key string) job.ResultFile {
	t.Helper()
	body, err := objects.Open(t.Context(), key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, body)
	if err != nil {
		t.Fatal(err)
	}
	text := hex.EncodeToString(sum.Sum(nil))
	return job.ResultFile{Name: filepath.Base(key), Size: size, SHA256: text, ContentSHA256: text}
}

// A scenario may call an output as it likes, and the pack keeps its name.
func TestAnOutputWithThePacksNameIsPacked(t *testing.T) {
	t.Parallel()
	b := newBench(t, "packed")
	b.start(t)
	large := strings.Repeat("x", 2*artifact.PackBelow)
	b.begin(t, "packed", map[string]string{artifact.PackFile: large})
	b.end(t, "packed", simulation.Outcome{})
	b.finished(t)
	for _, f := range b.last().Runs["packed"].Results {
		if text := stored(t, b.objects, "results/ns/packed/", f); f.Offset == 0 || f.Name == artifact.PackFile && text != large {
			t.Errorf("%s is at %d with %d bytes", f.Name, f.Offset, len(text))
		}
	}
}

func TestNothingButRegularFilesOfTheRunIsRead(t *testing.T) {
	t.Parallel()
	b := newBench(t, "packed", "single", "other")
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.begin(t, "other", map[string]string{"theirs": "secret"})
	for _, id := range []string{"packed", "single"} {
		b.begin(t, id, map[string]string{"kept": "kept", "folder/kept": "kept"})
		in := func(name string) string { return filepath.Join(b.Out, id, name) }
		if err := errors.Join(
			os.Symlink(secret, in("absolute")), os.Symlink("../other/theirs", in("relative")), os.Symlink("kept", in("own")),
			os.Symlink("../other", in("directory")), os.Symlink("folder", in("alias")), syscall.Mkfifo(in("fifo"), 0o600),
			os.WriteFile(in("not\nstorable"), nil, 0o600),
		); err != nil {
			t.Fatal(err)
		}
		b.end(t, id, simulation.Outcome{})
	}
	if err := os.Symlink("packed", filepath.Join(b.Out, "linked")); err != nil {
		t.Fatal(err)
	}
	b.List.Runs = append(b.List.Runs, chunk.Run{ID: "linked", Results: "results/ns/linked/"})
	b.start(t)
	b.await(t, "both are stored", func() bool { return b.has(chunk.StoredFolder, "packed") && b.has(chunk.StoredFolder, "single") })
	for id, s := range b.last().Runs {
		var names []string
		for _, f := range s.Results {
			names = append(names, f.Name)
		}
		if want := []string{"folder/kept", "kept", "outcome.json"}; s.Ended() && !slices.Equal(names, want) {
			t.Errorf("results of %s are %q, want %q", id, names, want)
		}
	}
	if _, begun := b.last().Runs["linked"]; begun {
		t.Error("a link counts as the folder of a run")
	}
}

// faults is a store that fails on demand.
type faults struct {
	keeper.Objects
	fail func(key string) error
	seen func(key string, r io.Reader) io.Reader
}

func (f faults) Put(ctx context.Context, key string, r io.Reader, contentType string) (int64, error) {
	if f.fail != nil {
		if err := f.fail(key); err != nil {
			return 0, err
		}
	}
	if f.seen != nil {
		r = f.seen(key, r)
	}
	return f.Objects.Put(ctx, key, r, contentType)
}

func TestAllThatARunMayLeaveIsStored(t *testing.T) {
	t.Parallel()
	b := newBench(t, "packed")
	left := []string{
		simulation.LogFile, simulation.SummaryFile, simulation.OutcomeFile, simulation.ChecksumFile, simulation.EdgeColumnsFile,
		simulation.ReplayFile, simulation.ReplaySegmentsFile,
	}
	for n := range simulation.MaxOwnFiles {
		left = append(left, "own/"+strconv.Itoa(n))
	}
	for _, o := range simulation.Outputs() {
		left = append(left, o.File())
	}
	for _, table := range simulation.Tables() {
		left = append(left, table.File())
	}
	files := map[string]string{}
	for _, name := range left {
		if name != simulation.OutcomeFile {
			files[name] = "x"
		}
	}
	b.begin(t, "packed", files)
	b.end(t, "packed", simulation.Outcome{})
	b.start(t)
	b.finished(t)
	var stored []string
	for _, f := range b.last().Runs["packed"].Results {
		stored = append(stored, f.Name)
	}
	slices.Sort(left)
	slices.Sort(stored)
	if diff := cmp.Diff(left, stored); diff != "" {
		t.Errorf("results (-left +stored):\n%s", diff)
	}
}

// A sumo-run that was killed may have been about to write one of its files. A scenario may call its own what it likes.
func TestWhatAKilledRunHasBegunToWriteIsNoResult(t *testing.T) {
	t.Parallel()
	b := newBench(t, "packed", "single")
	own := []string{"convergence.json.partial/own.xml", "deep/summary.json.partial", "own.partial", "scenario/summary.json.partial"}
	for _, id := range []string{"packed", "single"} {
		files := map[string]string{}
		for _, name := range own {
			files[name] = "own"
		}
		for _, name := range []string{simulation.SummaryFile, simulation.ReplayFile} {
			files[name+simulation.PartialSuffix] = "{"
		}
		b.begin(t, id, files)
		b.end(t, id, simulation.Outcome{Reason: simulation.OutOfMemory})
	}
	b.start(t)
	b.finished(t)
	for _, id := range []string{"packed", "single"} {
		var stored []string
		for _, f := range b.last().Runs[id].Results {
			stored = append(stored, f.Name)
		}
		slices.Sort(stored)
		if diff := cmp.Diff(slices.Sorted(slices.Values(append(own, simulation.OutcomeFile))), stored); diff != "" {
			t.Errorf("results of %s (-want +got):\n%s", id, diff)
		}
	}
}

// A file that is exchanged or grows between listing and reading neither leads elsewhere nor spoils the pack.
func TestFilesThatChangeWhileTheyAreReadDoNotSpoilThePack(t *testing.T) {
	t.Parallel()
	b := newBench(t, "packed")
	b.begin(t, "packed", map[string]string{
		"a-grows": strings.Repeat("a", 300_000), "b-shrinks": strings.Repeat("b", 300_000), "c": "secret", "z": "z",
	})
	in := func(name string) string { return filepath.Join(b.Out, "packed", name) }
	var once sync.Once
	b.Objects = faults{Objects: b.objects, seen: func(_ string, r io.Reader) io.Reader {
		once.Do(func() {
			f, err := os.OpenFile(in("a-grows"), os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = f.WriteString(strings.Repeat("more", 500_000))
			}
			if err := errors.Join(err, f.Close(), os.Truncate(in("b-shrinks"), 7), os.Remove(in("c")), os.Symlink("z", in("c"))); err != nil {
				t.Error(err)
			}
		})
		return r
	}}
	b.end(t, "packed", simulation.Outcome{})
	b.start(t)
	b.finished(t)
	got := map[string]int64{}
	for _, f := range b.last().Runs["packed"].Results {
		stored(t, b.objects, "results/ns/packed/", f)
		got[f.Name] = f.Size
	}
	delete(got, simulation.OutcomeFile)
	if want := map[string]int64{"a-grows": 2_300_000, "b-shrinks": 7, "z": 1}; !maps.Equal(want, got) {
		t.Errorf("the sizes are %v, want %v", got, want)
	}
}

// One file that cannot be read costs the run its success, and none of its other files.
func TestAFileThatCannotBeReadIsMissingAlone(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"packed", "single"} {
		b := newBench(t, id)
		b.begin(t, id, map[string]string{"a": "a", "gone": "gone", "z": "z"})
		var once sync.Once
		b.Objects = faults{Objects: b.objects, seen: func(_ string, r io.Reader) io.Reader {
			once.Do(func() {
				if err := os.Remove(filepath.Join(b.Out, id, "gone")); err != nil {
					t.Error(err)
				}
			})
			return r
		}}
		b.Uploads = make(chan struct{}, 1)
		b.end(t, id, simulation.Outcome{})
		b.start(t)
		b.finished(t)
		s := b.last().Runs[id]
		var names []string
		for _, f := range s.Results {
			stored(t, b.objects, "results/ns/"+id+"/", f)
			names = append(names, f.Name)
		}
		if !slices.Equal(names, []string{"a", "outcome.json", "z"}) || s.Outcome.Reason != simulation.InternalError {
			t.Errorf("%s ended as %+v with %q", id, s.Outcome, names)
		}
	}
}

func TestWhatIsStoredAlreadyIsSkipped(t *testing.T) {
	t.Parallel()
	b := newBench(t, "known", "interrupted", "begun", "left")
	done, interrupted := simulation.Outcome{FinishedAt: over}, simulation.Outcome{Reason: simulation.Interrupted}
	b.Known = map[string]chunk.RunState{
		"known": {StartedAt: began, Outcome: &done, StoredAt: over}, "interrupted": {StartedAt: began, Outcome: &interrupted},
		"begun": {StartedAt: began, Progress: 0.5}, "stranger": {StartedAt: began, Outcome: &done},
	}
	b.begin(t, "left", map[string]string{"log.txt": "by an earlier sumo-run"})
	b.end(t, "left", simulation.Outcome{})
	b.start(t)
	var ready chunk.Ready
	text, err := os.ReadFile(filepath.Join(b.Desk, chunk.ReadyFile))
	if err != nil || json.Unmarshal(text, &ready) != nil {
		t.Fatalf("%s, %v", text, err)
	}
	if want := []string{"known"}; !slices.Equal(ready.Skip, want) { // what is skipped is removed, and "left" is being stored
		t.Errorf("%q are skipped, want %q", ready.Skip, want)
	}
	var shown chunk.RunState
	if text, err := os.ReadFile(filepath.Join(b.Desk, chunk.StoredFolder, "known")); err != nil || json.Unmarshal(text, &shown) != nil ||
		!cmp.Equal(shown, b.Known["known"]) {
		t.Errorf("the desk shows what is known as %s, %v", text, err)
	}
	for _, id := range []string{"interrupted", "begun"} {
		b.begin(t, id, map[string]string{"log.txt": "anew"})
		b.end(t, id, simulation.Outcome{})
	}
	b.finished(t)
	if got := slices.Sorted(maps.Keys(b.last().Runs)); !slices.Equal(got, []string{"begun", "interrupted", "known", "left"}) {
		t.Errorf("%q are reported", got)
	}
	if s := b.last().Runs["known"]; !cmp.Equal(s, b.Known["known"]) {
		t.Errorf("what was known became %+v", s)
	}
}

// A desk that cannot be written for a while loses nothing.
func TestADeskThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	b := newBench(t, "a", "b")
	b.start(t)
	stored := filepath.Join(b.Desk, chunk.StoredFolder)
	if err := os.WriteFile(stored, nil, 0o644); err != nil { // in place of the folder
		t.Fatal(err)
	}
	for _, id := range []string{"a", "b"} {
		b.begin(t, id, map[string]string{"log.txt": "all"})
		b.end(t, id, simulation.Outcome{})
	}
	b.await(t, "the ends are reported", func() bool { s := b.last().Runs; return s["a"].Ended() && s["b"].Ended() })
	select {
	case err := <-b.ended:
		t.Fatalf("Run() = %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	if err := os.Remove(stored); err != nil {
		t.Fatal(err)
	}
	b.finished(t)
	if !b.has(chunk.StoredFolder, "a") || !b.has(chunk.StoredFolder, "b") {
		t.Error("the desk does not show what is stored")
	}
}

func TestCancelledRuns(t *testing.T) {
	t.Parallel()
	b := newBench(t, "first", "running", "waiting", "late", "done")
	var mu sync.Mutex
	asked := []string{"first"}
	b.Cancelled = func(context.Context) ([]string, error) {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(asked), nil
	}
	b.start(t)
	if text, err := os.ReadFile(filepath.Join(b.Desk, chunk.ReadyFile)); err != nil || string(text) != `{"skip":["first"]}` {
		t.Errorf("the keeper is ready with %s, %v", text, err)
	}
	b.begin(t, "running", map[string]string{"log.txt": "some"})
	b.await(t, "the run has begun", func() bool { _, begun := b.last().Runs["running"]; return begun })
	b.Cancel("running", "waiting", "stranger")
	b.await(t, "the waiting run has ended", func() bool { return b.has(chunk.StoredFolder, "waiting") })
	for _, id := range []string{"first", "running", "waiting"} {
		if !b.has(chunk.CancelFolder, id) {
			t.Errorf("%s is not to be stopped", id)
		}
	}
	if b.has(chunk.CancelFolder, "stranger") {
		t.Error("a run of another chunk is to be stopped")
	}
	mu.Lock()
	asked = append(asked, "late")
	mu.Unlock()
	b.await(t, "the object is read again", func() bool { return b.has(chunk.StoredFolder, "late") })
	if b.last().Runs["running"].Ended() {
		t.Error("a run has ended that sumo-run still stops")
	}
	// A sumo-run that was asked to stop by a signal as well.
	b.end(t, "running", simulation.Outcome{Reason: simulation.Interrupted, Message: "stopped"})
	b.begin(t, "done", map[string]string{"log.txt": "all"})
	b.end(t, "done", simulation.Outcome{})
	b.finished(t)
	for id, s := range b.last().Runs {
		want, results := simulation.Cancelled, 0
		switch id {
		case "running":
			results = 2
		case "done":
			want, results = "", 2
		}
		if s.Outcome.Reason != want || len(s.Results) != results || want == simulation.Cancelled && s.Outcome.Message != want.Message() {
			t.Errorf("%s has ended as %+v with %v", id, s.Outcome, s.Results)
		}
	}
}

// A cancelled run of which an earlier sumo-run has left a part ends once that is removed: no other end comes.
func TestACancelledRunThatWasCutOff(t *testing.T) {
	t.Parallel()
	b := newBench(t, "cut")
	b.Cancelled = func(context.Context) ([]string, error) { return []string{"cut"}, nil }
	b.begin(t, "cut", map[string]string{"log.txt": "some"})
	b.start(t)
	if b.last().Runs["cut"].Ended() {
		t.Error("the run has ended before what is left of it is removed")
	}
	if err := os.RemoveAll(filepath.Join(b.Out, "cut")); err != nil {
		t.Fatal(err)
	}
	b.finished(t)
	if s := b.last().Runs["cut"]; !s.Ended() || s.Outcome.Reason != simulation.Cancelled {
		t.Errorf("it has ended as %+v", s)
	}
}

func TestAStoreThatFails(t *testing.T) {
	t.Parallel()
	unreachable := problem.New(problem.Unavailable, "Try again.")
	refused := problem.New(problem.StorageRefused, "The store is full; the operator must free space.")
	for name, c := range map[string]struct {
		patience time.Duration
		fail     func(key string, tries int) error
		cancel   bool
		want     simulation.Reason
		message  string
		results  int
	}{
		"unreachable for a while": {
			fail: func(_ string, tries int) error {
				if tries < 2 {
					return unreachable
				}
				return nil
			},
			results: 3,
		},
		"refuses one file": {
			patience: time.Nanosecond,
			fail: func(key string, _ int) error {
				if strings.HasSuffix(key, "log.txt") {
					return refused
				}
				return nil
			},
			want: simulation.ResultsNotStored, results: 2,
			message: "The run ended successfully. Not all of its results could be stored. The store is full; the operator must free space. " +
				"Then submit the job again.",
		},
		"too large": {
			patience: time.Hour,
			fail:     func(string, int) error { return problem.New(problem.TooLarge, "It is too large.") },
			want:     simulation.ResultsNotStored,
			message:  "The run ended successfully. Not all of its results could be stored. It is too large. Then submit the job again.",
		},
		"cancelled meanwhile": {
			fail: func(string, int) error { return unreachable }, cancel: true,
			want: simulation.Cancelled, message: simulation.CancelledUnstoredMessage,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "single")
			b.Patience = c.patience
			var mu sync.Mutex
			tries := map[string]int{}
			b.Objects = faults{Objects: b.objects, fail: func(key string) error {
				mu.Lock()
				defer mu.Unlock()
				tries[key]++
				return c.fail(key, tries[key])
			}}
			var waits []bool
			b.Waiting = func(_ string, waiting bool, _ string) {
				mu.Lock()
				defer mu.Unlock()
				waits = append(waits, waiting)
			}
			b.begin(t, "single", map[string]string{"log.txt": "log", "tripinfo.xml": "trips"})
			b.end(t, "single", simulation.Outcome{})
			b.start(t)
			if c.cancel {
				b.await(t, "the run waits", func() bool { mu.Lock(); defer mu.Unlock(); return len(waits) > 0 })
				b.Cancel("single")
			}
			b.finished(t)
			s := b.last().Runs["single"]
			if s.Outcome.Reason != c.want || s.Outcome.Message != c.message || len(s.Results) != c.results || s.StoredAt.IsZero() != (c.want != "") {
				t.Errorf("the run ended as %+v with %v, stored at %v", s.Outcome, s.Results, s.StoredAt)
			}
			if len(waits) > 0 && waits[len(waits)-1] {
				t.Errorf("the run waits still: %v", waits)
			}
		})
	}
}

func TestARunIsStoredOnceItsEndIsKnown(t *testing.T) {
	t.Parallel()
	b := newBench(t, "single")
	report := b.Report
	var mu sync.Mutex
	known := false
	b.Report = func(ctx context.Context, s chunk.State) error {
		mu.Lock()
		defer mu.Unlock()
		if !known {
			return problem.New(problem.Unavailable, "Try again.")
		}
		return report(ctx, s)
	}
	b.begin(t, "single", map[string]string{"log.txt": "log"})
	b.end(t, "single", simulation.Outcome{})
	b.start(t)
	b.await(t, "the results are stored", func() bool { return len(keys(t, b.objects)) == 2 })
	time.Sleep(50 * time.Millisecond) // as long as it takes at most to go on
	if b.has(chunk.StoredFolder, "single") {
		t.Error("the run counts as stored before its end is known")
	}
	mu.Lock()
	known = true
	mu.Unlock()
	b.finished(t)
}

func TestAKeeperThatMayNotReportFails(t *testing.T) {
	t.Parallel()
	b := newBench(t, "single")
	b.Patience = time.Nanosecond
	b.Report = func(context.Context, chunk.State) error {
		return problem.New(problem.StorageRefused, "Access is denied.")
	}
	b.begin(t, "single", nil)
	b.begin(t, "single", map[string]string{"log.txt": "log"})
	b.start(t)
	select {
	case err := <-b.ended:
		if problem.CodeOf(err) != problem.StorageRefused {
			t.Errorf("Run() = %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the keeper goes on")
	}
}

// After Close, what ended while sumo-run was still there is stored, and what it did not bring to an end is no run that goes on.
func TestCloseStoresWhatHasEnded(t *testing.T) {
	t.Parallel()
	b := newBench(t, "packed", "cut off", "never")
	release := b.lock(t)
	defer release()
	b.start(t)
	b.begin(t, "packed", map[string]string{"log.txt": "log"})
	b.begin(t, "cut off", map[string]string{"log.txt": "log"})
	b.await(t, "both have begun", func() bool { return len(b.last().Runs) == 2 })
	b.Close()
	time.Sleep(300 * time.Millisecond) // three looks
	select {
	case err := <-b.ended:
		t.Fatalf("the keeper has ended (%v) while sumo-run is there", err)
	default:
	}
	b.end(t, "packed", simulation.Outcome{})
	release()
	b.finished(t)
	if got := b.last().Runs; len(got) != 1 || !got["packed"].Ended() || !b.has(chunk.StoredFolder, "packed") {
		t.Errorf("reported are %+v", got)
	}
}

func TestProgressIsReportedNowAndThen(t *testing.T) {
	t.Parallel()
	b := newBench(t, "single")
	b.ProgressEvery = 50 * time.Millisecond
	b.start(t)
	b.begin(t, "single", map[string]string{"log.txt": "log"})
	for _, n := range []int{1, 500} {
		at := filepath.Join(b.Out, "single"+chunk.ProgressSuffix)
		if err := os.WriteFile(at, fmt.Appendf(nil, "%d/1000", n), 0o644); err != nil {
			t.Fatal(err)
		}
		b.await(t, "progress is reported", func() bool { return b.last().Runs["single"].Progress == float64(n)/1000 })
	}
}

// The least time between two reports bounds them whatever happens, but the last one does not wait.
func TestReportsAreSpacedOut(t *testing.T) {
	t.Parallel()
	ids := []string{"p1", "p2", "p3", "p4"}
	b := newBench(t, ids...)
	b.ReportEvery = time.Hour
	b.start(t)
	for _, id := range ids {
		b.begin(t, id, map[string]string{"log.txt": "log"})
		b.end(t, id, simulation.Outcome{})
	}
	b.finished(t)
	if len(b.reported) > 2 || len(b.last().Runs) != len(ids) {
		t.Errorf("%d reports, the last of %d runs", len(b.reported), len(b.last().Runs))
	}
}

// sumo-run begins nothing while many runs wait, so a keeper does not wait for its time then.
func TestManyEndsAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	ids := []string{"first", "unfinished"}
	for n := range chunk.MostUnstored / 2 {
		ids = append(ids, fmt.Sprint("p", n))
	}
	b := newBench(t, ids...)
	b.ReportEvery = time.Hour
	b.start(t)
	end := func(id string) {
		b.begin(t, id, map[string]string{"log.txt": "log"})
		b.end(t, id, simulation.Outcome{})
	}
	end("first")
	b.await(t, "the first report", func() bool { return len(b.last().Runs) == 1 })
	for _, id := range ids[2:] {
		end(id)
	}
	b.await(t, "as many are stored", func() bool {
		stored, err := os.ReadDir(filepath.Join(b.Desk, chunk.StoredFolder))
		return err == nil && len(stored) >= chunk.MostUnstored/2
	})
}

func TestTheKeeperShowsThatItLives(t *testing.T) {
	t.Parallel()
	b := newBench(t, "single")
	at := time.Now()
	var mu sync.Mutex
	b.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return at }
	b.start(t)
	long := time.Now().Add(-time.Hour)
	alive := filepath.Join(b.Desk, chunk.AliveFile)
	if err := os.Chtimes(alive, long, long); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	at = at.Add(chunk.AliveEvery)
	mu.Unlock()
	b.await(t, "it signals", func() bool {
		info, err := os.Stat(alive)
		return err == nil && time.Since(info.ModTime()) < time.Minute
	})
}

func TestTheKeeperWidensAChunk(t *testing.T) {
	t.Parallel()
	b := newBench(t, "single")
	b.start(t)
	lanes := filepath.Join(b.Desk, chunk.LanesFile)
	b.Widen(b.List.Parallel)
	if _, err := os.Stat(lanes); err == nil {
		t.Error("lanes are on the desk that the list has already")
	}
	b.Widen(b.List.Parallel + 2)
	b.Widen(b.List.Parallel + 1)
	b.await(t, "it widens", func() bool {
		text, err := os.ReadFile(lanes)
		return err == nil && string(text) == strconv.Itoa(b.List.Parallel+2)
	})
}

func TestStatesReadAsWritten(t *testing.T) {
	t.Parallel()
	outcome := simulation.Outcome{StartedAt: began, FinishedAt: over, Files: map[simulation.Output]string{}}
	want := chunk.State{ID: "c", Runs: map[string]chunk.RunState{"a": {StartedAt: began, Outcome: &outcome, Results: []job.ResultFile{{
		Name: "log.txt", Size: 3, Offset: 40, Roles: []simulation.Output{},
	}}}}}
	text, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := chunk.ReadState(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the state (-written +read):\n%s", diff)
	}
	if _, err := chunk.ReadState(strings.NewReader("{}")); err == nil {
		t.Error("what is not packed is read")
	}
}
