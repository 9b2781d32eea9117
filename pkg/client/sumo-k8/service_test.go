package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/service"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/service/servicetest"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/release"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/sumotest"
	networks "github.com/sumo-k8/sumo-k8/test_networks"
)

func TestAgainstTheService(t *testing.T) {
	t.Parallel()
	s := servicetest.Start(t)
	for name, test := range map[string]func(*testing.T, *service.Server){
		"submit and follow": testSubmitAndFollow,
		"a study is run, followed, extended and fetched": testStudies,
		"a study's numbers":                    testStudyNumbers,
		"submit, then look":                    testSubmitThenLook,
		"a folder is a scenario":               testFolder,
		"the exit code is the job's":           testExitCodes,
		"Ctrl-C leaves the job alone":          testInterrupt,
		"cut connections lose nothing":         testCutConnections,
		"a refusal names every fault":          testRefusal,
		"results":                              testResults,
		"many jobs":                            testManyJobs,
		"compare":                              testCompare,
		"a manifest is run again":              testReproduce,
		"counts":                               testCounts,
		"plots":                                testPlots,
		"recordings":                           testReplay,
		"a long recording":                     testLongReplay,
		"a recording whose run ends meanwhile": testReplayOfARunThatEnds,
		"scenarios":                            testScenarios,
		"webhooks":                             testWebhooks,
		"versions":                             testVersions,
		"check":                                testCheck,
		"completion":                           testCompletion,
		"login":                                testLogin,
		"keys stay with their service":         testKeysStay,
		"tenants":                              testTenants,
		"import":                               testImport,
		"the same idempotency key, one job":    testIdempotency,
		"JSON is the service's":                testJSON,
		"a key that does not work is reported": testWrongKey,
		"the README shows what submit prints":  testREADME,
		"the worked example of studies":        testStudiesDocument,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, s)
		})
	}
}

func testSubmitAndFollow(t *testing.T, s *service.Server) {
	u := tenant(t, s)
	o := u.ok("submit", u.network("grid", nil), "--follow", "--end", "900", "--seed", "7", "--label", "study=noise", "--outputs", "fcd")
	says(t, o.stderr, "is submitted as grid.", " 100 % SUCCEEDED\n", "sumo-k8 results ")
	says(t, o.stdout, "vehicles inserted", "mean travel time")
	id := regexp.MustCompile(`Job (\S+) is submitted`).FindStringSubmatch(o.stderr)[1]
	log := u.ok("logs", id).stdout
	if !strings.HasPrefix(o.stdout, log) {
		t.Errorf("what was followed is not the log:\n%s\nlog:\n%s", o.stdout, log)
	}
	if again := u.ok("logs", "-f", id).stdout; again != log {
		t.Errorf("followed again it is\n%s\nlog:\n%s", again, log)
	}
	says(t, u.ok("get", id).stdout, "seed           7\n", "status         SUCCEEDED\n", "configuration  grid.sumocfg\n", "vehicles inserted")
	says(t, u.ok("results", id, "--list").stdout, "fcd.xml")
	says(t, u.ok("ls", "--label", "study=noise", "--since", "1h").stdout, id)
}

func testSubmitThenLook(t *testing.T, s *service.Server) {
	u := tenant(t, s)
	o := u.ok("submit", u.network("square", nil), "--name", "mine", "--begin", "0", "--end", "60", "--step-length", "0.5", "--scale", "1.5",
		"--priority", "high", "--timeout", "90s", "--cpu", "1", "--memory-gi", "1", "--config-file", "square.sumocfg")
	id := strings.TrimSpace(o.stdout)
	says(t, o.stderr, "Follow it: sumo-k8 logs -f "+id)
	u.ok("logs", "--follow", id)
	says(t, u.ok("get", "@latest").stdout, id, "name           mine\n", "priority       high\n", "1 core, 1 GiB, at most 1m30s")
	says(t, u.ok("logs", "@latest", "--tail", "1").stdout, "\n")
	again := strings.TrimSpace(u.ok("retry", "@latest").stdout)
	u.ok("logs", "-f", again)
	if again == id {
		t.Error("the second run is the first")
	}
	says(t, u.ends(exitUsage, "cancel", "@latest").stderr, "give the job's id")
	says(t, u.ends(exitRefused, "cancel", id).stderr, "sumo-k8: Job "+id)
	says(t, u.ok("rm", id).stdout, "is removed")
	u.ends(exitRefused, "get", id)
}

func testWebhooks(t *testing.T, s *service.Server) {
	u := tenant(t, s)
	const target = "https://localhost:1/sumo" // which is not public: nothing is sent
	says(t, u.ok("webhooks", "list").stderr, "No webhooks.")
	o := u.ok("webhooks", "add", target, "--events", "queued,job.finished", "--label", "study=noise")
	secret := regexp.MustCompile(`^whsec_\S+\n$`).FindString(o.stdout)
	id := regexp.MustCompile(`of webhook (\S+)\. It is shown only once`).FindStringSubmatch(o.stderr)
	if secret == "" || id == nil {
		t.Fatalf("no secret of a webhook in %+v", o)
	}
	says(t, u.ok("webhooks", "ls").stdout, id[1]+"  "+target+"  finished,queued  study=noise  enabled\n")
	says(t, u.ends(exitRefused, "webhooks", "add", "http://example.org").stderr, "must begin with https://")
	says(t, u.ends(exitRefused, "webhooks", "set", id[1], "--events", "eaten").stderr, "job.finished")
	says(t, u.ends(exitUsage, "webhooks", "set", id[1]).stderr, "nothing to change")
	says(t, u.ok("webhooks", "set", id[1], "--to", target+"/2", "--format", "cloudevents", "--studies").stdout,
		"url      "+target+"/2\n", "format   cloudevents\n", "studies  yes\n", "labels   study=noise\n")
	rotated := u.ok("webhooks", "rotate", id[1], "--keep-old", "1h")
	if rotated.stdout == secret || !strings.HasPrefix(rotated.stdout, "whsec_") {
		t.Errorf("the new secret is %q", rotated.stdout)
	}
	says(t, rotated.stderr, "The old one signs until ")

	u.ok("submit", u.network("square", nil), "--label", "study=noise", "--follow")
	u.ok("submit", u.network("square", nil), "--follow")
	list := u.ok("webhooks", "deliveries", "--webhook", id[1]).stdout
	if rows := strings.Count(list, "job.finished") + strings.Count(list, "job.queued"); rows != 2 {
		t.Errorf("a job that matches and one that does not have the deliveries\n%s", list)
	}
	says(t, u.ok("webhooks", "deliveries", "--job", "@latest").stderr, "No deliveries.")
	says(t, u.ok("webhooks", "deliveries", "--state", "delivered").stderr, "No deliveries.")
	var page struct {
		Deliveries []struct {
			ID string `json:"delivery_id"`
		}
	}
	if err := json.Unmarshal([]byte(u.ok("webhooks", "deliveries", "-o", "json").stdout), &page); err != nil || len(page.Deliveries) != 2 {
		t.Fatalf("as JSON there are %d deliveries (%v)", len(page.Deliveries), err)
	}
	delivery := page.Deliveries[0].ID
	says(t, u.ok("webhooks", "redeliver", delivery).stdout, "Delivery "+delivery+" is sent again.\n")
	says(t, u.ok("__complete", "webhooks", "show", "").stdout, id[1]+"\t"+target+"/2\n")
	says(t, u.ok("__complete", "webhooks", "redeliver", "").stdout, delivery+"\tjob.finished ")

	says(t, u.ok("webhooks", "pause", id[1]).stdout, "status            paused\n")
	says(t, u.ends(exitRefused, "webhooks", "redeliver", delivery).stderr, "is disabled")
	says(t, u.ok("webhooks", "resume", id[1]).stdout, "status            enabled\n")
	shown := u.ok("webhooks", "show", id[1])
	says(t, shown.stdout, "old secret until  ")
	if strings.Contains(shown.stdout+list, "whsec_") {
		t.Error("a secret is shown again")
	}
	says(t, u.ok("webhooks", "remove", id[1]).stdout, "is removed")
	u.ends(exitRefused, "webhooks", "show", id[1])

	u.ok("webhooks", "add", target, "--events", "study.finished")
	followed := u.ok("study", "run", u.network("square", nil), "--seeds", "1:2", "--follow")
	about := regexp.MustCompile(`Study (\S+) has`).FindStringSubmatch(followed.stderr)
	if about == nil {
		t.Fatalf("no study in %s", followed.stderr)
	}
	says(t, u.ok("webhooks", "deliveries").stdout, "JOB OR STUDY", "  study.finished  "+about[1]+"  WAITING  ")
}

func testVersions(t *testing.T, s *service.Server) {
	u := tenant(t, s, "--sumo-version", release.Oldest().Version)
	newest, oldest := sumotest.Newest(t), sumotest.Oldest(t)
	lines := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(oldest.Version) + ` .* default .*amd64`).FindString(u.ok("versions").stdout)
	if lines == "" {
		t.Errorf("the tenant's default is not listed as such:\n%s", u.ok("versions").stdout)
	}
	u.ok("submit", u.network("square", nil), "--follow")
	says(t, u.ok("get", "@latest").stdout, "SUMO           "+oldest.Version)
	u.ok("submit", u.network("square", nil), "--follow", "--sumo-version", newest.Version)
	says(t, u.ok("get", "@latest").stdout, "SUMO           "+newest.Version)
	says(t, u.ends(exitRefused, "submit", u.network("square", nil), "--sumo-version", "0.1").stderr, "is not offered here; choose one of")
}

func testCheck(t *testing.T, s *service.Server) {
	u := tenant(t, s)
	says(t, u.ok("check", u.network("square", nil)).stderr, "SUMO "+sumotest.Newest(t).Version+" loads the scenario.")
	var checks client.JobPage
	if err := json.Unmarshal([]byte(u.ok("ls", "-o", "json").stdout), &checks); err != nil || len(checks.Jobs) != 1 {
		t.Fatalf("%d checks are listed: %v", len(checks.Jobs), err)
	}
	check := checks.Jobs[0].ID
	if results := u.ok("results", check, "--list").stdout; strings.Contains(results, "tripinfo") {
		t.Errorf("a check has the results\n%s", results)
	}
	says(t, u.ok("get", check).stdout, "a check, which simulates nothing")
	says(t, u.ends(exitUsage, "get", "@latest").stderr, "there is no job yet that is more than a check")
	made := strings.TrimSpace(u.ok("submit", u.network("square", nil)).stdout)
	u.ok("check", u.network("square", nil))
	says(t, u.ok("get", "@latest").stdout, made)
	broken := u.network("square", func(file, content string) string {
		if strings.HasSuffix(file, ".sumocfg") {
			return "<configuration><input></configuration>"
		}
		return content
	})
	o := u.ends(exitFailed, "check", broken)
	if !regexp.MustCompile(`(?m)^square\.sumocfg(:\d+)?: `).MatchString(o.stdout) {
		t.Errorf("a fault has no place: %s", o.stdout)
	}
}

func testFolder(t *testing.T, s *service.Server) {
	u := tenant(t, s)
	folder := filepath.Join(u.dir, "city")
	unpack(t, "corridor", folder)
	if err := os.WriteFile(filepath.Join(folder, ".notes"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	u.ok("submit", folder, "--follow", "--end", "300")
	says(t, u.ok("ls").stdout, " city ")
	first := u.scenarioOf("@latest")
	u.ok("submit", folder, "--follow", "--end", "300")
	if second := u.scenarioOf("@latest"); second != first {
		t.Errorf("the same folder made scenario %s, then %s", first, second)
	}
}

func (u *user) scenarioOf(id string) string {
	u.t.Helper()
	var j struct{ Scenario string }
	if err := json.Unmarshal([]byte(u.ok("get", id, "-o", "json").stdout), &j); err != nil {
		u.t.Fatal(err)
	}
	return j.Scenario
}

func unpack(t *testing.T, network, folder string) {
	t.Helper()
	raw, err := networks.ReadyZip(network)
	if err != nil {
		t.Fatal(err)
	}
	archive, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(folder, archive); err != nil {
		t.Fatal(err)
	}
}

func testExitCodes(t *testing.T, s *service.Server) {
	u := tenant(t, s)
	fails := u.network("square", func(name, content string) string {
		if strings.HasSuffix(name, ".rou.xml") {
			return strings.Replace(content, `edges="`, `edges="nowhere `, 1)
		}
		return content
	})
	o := u.ends(exitFailed, "submit", fails, "--follow")
	says(t, o.stderr, " is FAILED (InvalidScenario): ", "nowhere")
	u.ends(exitFailed, "logs", "-f", "@latest")
	u.ends(exitFailed, "logs", "-f", "@latest", "-o", "json")
	u.ok("logs", "@latest")
	says(t, u.ok("get", "@latest").stdout, "status         FAILED (InvalidScenario)\n", "error          ")
	says(t, u.ok("results", "@latest", "--list").stderr, "before it stopped")

	id := strings.TrimSpace(u.ok("submit", u.endless()).stdout)
	u.until(id, "RUNNING")
	if o := u.ok("results", id, "--list"); o.stdout != "" || !strings.Contains(o.stderr, "No files.") {
		t.Errorf("no files are listed as\n%s\n%s", o.stdout, o.stderr)
	}
	says(t, u.ok("cancel", id).stdout, id)
	u.ends(exitCancelled, "logs", "--follow", id)
	says(t, u.ends(exitCancelled, "logs", "--follow", id, "-o", "json").stdout, `"CANCELLED"`)
	u.ends(exitRefused, "get", "00000000-0000-7000-8000-000000000000")
	o = u.ends(exitRefused, "logs", "-f", "00000000-0000-7000-8000-000000000000")
	if strings.Contains(o.stderr, "goes on") {
		t.Errorf("a job that nobody knows goes on:\n%s", o.stderr)
	}
	u.ends(exitTrouble, "submit", filepath.Join(u.dir, "missing.zip"))
	u.env[urlVariable] = "http://127.0.0.1:1"
	says(t, u.ends(exitTrouble, "ls").stderr, "refused")
}

// until waits for a job to be in a state.
func (u *user) until(id, state string) {
	u.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if strings.Contains(u.ok("get", id).stdout, "status         "+state) {
			return
		}
		if time.Now().After(deadline) {
			u.t.Fatalf("job %s did not become %s", id, state)
		}
	}
}

// trigger calls then when text has been written to it.
type trigger struct {
	mu   sync.Mutex
	all  bytes.Buffer
	text string
	then func()
}

func (w *trigger) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all.Write(p)
	if strings.Contains(w.all.String(), w.text) {
		w.then()
	}
	return len(p), nil
}

func testInterrupt(t *testing.T, s *service.Server) {
	u := tenant(t, s)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	stderr := &trigger{text: "RUNNING", then: interrupt}
	code := run(ctx, []string{"submit", u.endless(), "--follow"}, strings.NewReader(""), io.Discard, stderr,
		func(name string) string { return u.env[name] })
	if code != exitInterrupted {
		t.Errorf("exit code %d, want %d:\n%s", code, exitInterrupted, &stderr.all)
	}
	note := regexp.MustCompile(
		`Job (\S+) goes on\. Follow it: sumo-k8 logs -f (\S+)    Stop it: sumo-k8 cancel (\S+)\n$`,
	).FindStringSubmatch(stderr.all.String())
	if note == nil || note[1] != note[2] || note[1] != note[3] {
		t.Fatalf("the note is %q in\n%s", note, &stderr.all)
	}
	says(t, u.ok("get", note[1]).stdout, "status         RUNNING\n")
	u.ok("cancel", note[1])
}

// testCutConnections goes through a proxy that cuts connections, at first in the middle of the answer to the submission.
func testCutConnections(t *testing.T, s *service.Server) {
	direct := tenant(t, s)
	far := *direct
	proxy := cut(t, strings.TrimPrefix(s.URL, "http://"), 600)
	far.env = map[string]string{apiKeyVariable: direct.env[apiKeyVariable], urlVariable: "http://" + proxy.address}
	o := far.ok("submit", direct.network("spider", nil), "--follow")
	id := regexp.MustCompile(`Job (\S+) is submitted`).FindStringSubmatch(o.stderr)[1]
	if log := direct.ok("logs", id).stdout; !strings.HasPrefix(o.stdout, log) {
		t.Errorf("through cut connections it is\n%s\nlog:\n%s", o.stdout, log)
	}
	if n := proxy.cuts.Load(); n < 3 {
		t.Errorf("%d connections were cut, too few to show anything", n)
	}
	var list struct{ Jobs []json.RawMessage }
	if err := json.Unmarshal([]byte(direct.ok("ls", "-o", "json").stdout), &list); err != nil || len(list.Jobs) != 1 {
		t.Errorf("%d jobs (%v), want one: submissions were repeated", len(list.Jobs), err)
	}
}

// cutter is a proxy that cuts connections.
type cutter struct {
	address string
	cuts    atomic.Int32
}

// cut forwards to target. The n-th connection is cut after n times step bytes of what target says.
func cut(t *testing.T, target string, step int64) *cutter {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	proxy := &cutter{address: listener.Addr().String()}
	var open sync.WaitGroup
	t.Cleanup(func() { listener.Close(); open.Wait() })
	open.Go(func() {
		for n := int64(1); ; n++ {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				client.Close()
				return
			}
			open.Go(func() {
				defer client.Close()
				defer server.Close()
				// Connections that are kept for later would keep us.
				defer context.AfterFunc(t.Context(), func() { client.Close(); server.Close() })()
				open.Go(func() { _, _ = io.Copy(server, client) })
				if _, err := io.CopyN(client, server, n*step); err == nil {
					proxy.cuts.Add(1)
				}
			})
		}
	})
	return proxy
}

func testRefusal(t *testing.T, s *service.Server) {
	u := tenant(t, s)
	broken, err := networks.BrokenFiles.ReadFile("broken/several_faults.zip")
	if err != nil {
		t.Fatal(err)
	}
	path := u.file("several_faults.zip", broken)
	o := u.ends(exitRefused, "submit", path)
	if lines := regexp.MustCompile(`(?m)^  \S+: `).FindAllString(o.stderr, -1); len(lines) < 2 || !strings.HasPrefix(o.stderr, "sumo-k8: ") {
		t.Errorf("the faults are not listed:\n%s", o.stderr)
	}
	var document struct {
		Code   string
		Errors []json.RawMessage
	}
	o = u.ends(exitRefused, "submit", path, "-o", "json")
	if err := json.Unmarshal([]byte(o.stdout), &document); err != nil || document.Code != "scenario_invalid" || len(document.Errors) < 2 {
		t.Errorf("the document is %s (%v)", o.stdout, err)
	}
	for _, args := range [][]string{{"submit", u.network("square", nil), "--cpu", "33"}, {"submit", u.file("text.zip", []byte("text"))}} {
		if o := u.ends(exitRefused, args...); strings.Contains(o.stderr, "\n  ") || !strings.HasPrefix(o.stderr, "sumo-k8: ") {
			t.Errorf("the one fault is reported twice, or never:\n%s", o.stderr)
		}
	}
	says(t, u.ends(exitFailed, "validate", u.file("text.zip", []byte("text"))).stdout, "not a zip")
}

func testResults(t *testing.T, s *service.Server) {
	u := tenant(t, s)
	u.ok("submit", u.network("corridor", nil), "--follow")
	out := filepath.Join(u.dir, "out")
	says(t, u.ok("results", "@latest", "--dir", out).stdout, " in "+out+"\n")
	names := func(dir string) (names []string) {
		t.Helper()
		err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				name, _ := filepath.Rel(dir, path)
				names = append(names, filepath.ToSlash(name))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	var listing struct {
		Files []struct {
			Name string
			Size int64
		}
	}
	if err := json.Unmarshal([]byte(u.ok("results", "@latest", "--list", "-o", "json").stdout), &listing); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, f := range listing.Files {
		want = append(want, f.Name)
		if info, err := os.Stat(filepath.Join(out, f.Name)); err != nil || info.Size() != f.Size {
			t.Errorf("%s: %v, want %d bytes", f.Name, err, f.Size)
		}
	}
	slices.Sort(want)
	got := names(out)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" || len(want) < 4 {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	some := filepath.Join(u.dir, "some")
	u.ok("results", "@latest", "--dir", some, "--name", "s*.json")
	says(t, u.ok("results", "@latest", "--dir", some, "--name", "s*.json").stdout, "1 file, ")
	if diff := cmp.Diff([]string{"summary.json"}, names(some)); diff != "" {
		t.Errorf("files by name (-want +got):\n%s", diff)
	}
	says(t, u.ends(exitTrouble, "results", "@latest", "--name", "*.nothing").stderr, "none of the ")
	u.ends(exitUsage, "results", "@latest", "--name", "[")
	packed := strings.TrimSpace(u.ok("results", "@latest", "--zip", "--dir", some).stdout)
	archive, err := zip.OpenReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = archive.Close() }()
	if len(archive.File) != len(want) {
		t.Errorf("%d files in the zip, want %d", len(archive.File), len(want))
	}
}

func testManyJobs(t *testing.T, s *service.Server) {
	u := tenant(t, s, "--max-concurrent-jobs", "1")
	first := strings.TrimSpace(u.ok("submit", u.endless()).stdout)
	ids := []string{first}
	for range 3 {
		ids = append(ids, strings.TrimSpace(u.ok("submit", u.network("square", nil), "--name", "waiting").stdout))
	}
	table := u.ok("ls", "-n", "2")
	if lines := strings.Split(strings.TrimSpace(table.stdout), "\n"); len(lines) != 3 || !strings.HasPrefix(lines[0], "JOB ") ||
		!strings.HasPrefix(lines[1], ids[3]) {
		t.Errorf("the table is\n%s", table.stdout)
	}
	says(t, table.stderr, "There are more")
	if n := strings.Count(u.ok("ls", "--name", "waiting", "--status", "queued").stdout, "QUEUED"); n != 3 {
		t.Errorf("%d jobs wait, want 3", n)
	}
	says(t, u.ok("ls", "--until", "1d").stderr, "No jobs.")
	o := u.ends(exitRefused, append([]string{"cancel", "00000000-0000-7000-8000-000000000000"}, ids...)...)
	says(t, o.stderr, "00000000-0000-7000-8000-000000000000:\nsumo-k8: ")
	if n := strings.Count(o.stdout, "\n"); n != 4 {
		t.Errorf("%d jobs were cancelled, want 4:\n%s", n, o.stdout)
	}
	u.ends(exitCancelled, "logs", "-f", first)
}

func testCompletion(t *testing.T, s *service.Server) {
	u := tenant(t, s)
	running := strings.TrimSpace(u.ok("submit", u.endless(), "--name", "goes on").stdout)
	u.until(running, "RUNNING")
	u.ok("submit", u.network("square", nil), "--name", "is over", "--follow")
	offer := func(args ...string) string { return u.ok(append([]string{"__complete"}, args...)...).stdout }
	says(t, offer("get", ""), running+"\tgoes on RUNNING ", "is over SUCCEEDED ", ":36\n")
	if got := offer("cancel", ""); strings.Contains(got, "is over") || !strings.Contains(got, running) {
		t.Errorf("to cancel it offers\n%s", got)
	}
	if got := offer("get", running, ""); !strings.HasPrefix(got, ":4\n") {
		t.Errorf("behind the only job it offers\n%s", got)
	}
	says(t, offer("submit", "--outputs", ""), "emission\n")
	says(t, offer("ls", "--status", ""), "CANCELLED\n")
	says(t, operator(t, s).ok("__complete", "tenants", "limit", "").stdout, "tenant-")
	for _, shell := range []string{"bash", "zsh", "fish"} {
		says(t, u.ok("completion", shell).stdout, "sumo-k8")
	}
	u.ok("cancel", running)
	u.env[apiKeyVariable] = "sk-wrong"
	if got := offer("get", ""); !strings.HasPrefix(got, ":") {
		t.Errorf("without a key that works it offers\n%s", got)
	}
}

func testLogin(t *testing.T, s *service.Server) {
	known := tenant(t, s)
	u := person(t)
	key := known.env[apiKeyVariable]
	says(t, u.ends(exitUsage, "ls").stderr, "no service is named; run sumo-k8 login")
	o := u.runWith(t.Context(), "sk-wrong\n", "login", s.URL)
	if o.code != exitRefused {
		t.Errorf("a wrong key: exit code %d:\n%s", o.code, o.stderr)
	}
	path := filepath.Join(u.dir, ".config", "sumo-k8", "config.json")
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("a wrong key was kept: %v", err)
	}
	o = u.runWith(t.Context(), s.URL+"/\n"+key+"\n", "login")
	says(t, o.stderr, "Logged in to "+s.URL+" as tenant tenant-", "kept in "+path)
	if strings.Contains(o.stderr+o.stdout, key) {
		t.Error("login shows the key")
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the file: %v, %v", info.Mode(), err)
	}
	says(t, u.ok("ls").stderr, "No jobs.")
	o = u.runWith(t.Context(), s.AdminKey+"\n", "login", "--admin", s.URL)
	says(t, o.stderr, "as operator")
	says(t, u.ok("tenants", "ls").stdout, "TENANT")
	u.ok("ls")
	shown := u.ok("config", "-o", "json").stdout
	want := `{"url":"` + s.URL + `","api_key":"set","admin_key":"set","file":"` + path + `"}` + "\n"
	if diff := cmp.Diff(want, shown); diff != "" || strings.Contains(u.ok("config").stdout, key) {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	says(t, u.ends(exitUsage, "ls").stderr, "run: chmod 600 "+path)
}

func testKeysStay(t *testing.T, s *service.Server) {
	u := person(t)
	if o := u.runWith(t.Context(), tenant(t, s).env[apiKeyVariable]+"\n", "login", s.URL); o.code != exitOK {
		t.Fatal(o.stderr)
	}
	says(t, u.ends(exitUsage, "ls", "--url", "http://elsewhere.invalid").stderr, "there is no API key for http://elsewhere.invalid")
	u.env[urlVariable] = "http://elsewhere.invalid"
	u.ends(exitUsage, "ls")
	u.ok("ls", "--url", s.URL+"/")
}

func testTenants(t *testing.T, s *service.Server) {
	op := operator(t, s)
	o := op.ok("tenants", "create", "acme", "--max-cpu", "8", "--input-buckets", "traffic-data/acme/")
	key := strings.TrimSpace(o.stdout)
	if !strings.HasPrefix(key, "sk-") || strings.Contains(o.stderr, key) {
		t.Errorf("the answer is %q, and besides %q", o.stdout, o.stderr)
	}
	row := regexp.MustCompile(`(?m)^acme +\S+ +sk-\S+ +(\d+) +(\d+) GiB +(\d+) +(\S+)`)
	if got := row.FindStringSubmatch(op.ok("tenants", "ls").stdout); got == nil || got[1] != "8" || got[4] != "traffic-data/acme/" {
		t.Errorf("listed as %q", got)
	}
	if got := row.FindStringSubmatch(op.ok("tenants", "limit", "acme", "--max-concurrent-jobs", "9").stdout); got == nil || got[1] != "8" ||
		got[3] != "9" {
		t.Errorf("limited to %q", got)
	}
	op.ends(exitUsage, "tenants", "limit", "acme")
	op.ends(exitRefused, "tenants", "create", "acme")
	member := person(t)
	member.env[urlVariable], member.env[apiKeyVariable] = s.URL, key
	member.ok("ls")
	second := strings.TrimSpace(op.ok("tenants", "new-key", "acme").stdout)
	member.ends(exitRefused, "ls")
	member.env[apiKeyVariable] = second
	member.ok("ls")
	says(t, op.ends(exitUsage, "tenants", "rm", "acme").stderr, "confirm with --yes")
	member.ok("ls")
	op.ok("tenants", "rm", "acme", "--yes")
	member.ends(exitRefused, "ls")
	says(t, member.ends(exitUsage, "tenants", "ls").stderr, "there is no admin key")
}

func testIdempotency(t *testing.T, s *service.Server) {
	u := tenant(t, s)
	path := u.network("square", nil)
	first := u.ok("submit", path, "--idempotency-key", "nightly").stdout
	if second := u.ok("submit", path, "--idempotency-key", "nightly").stdout; second != first {
		t.Errorf("job %s, then %s", first, second)
	}
	if third := u.ok("submit", path).stdout; third == first {
		t.Error("a submission of its own is the same job")
	}
	u.ends(exitRefused, "submit", path, "--idempotency-key", "nightly", "--seed", "7")
}

func testJSON(t *testing.T, s *service.Server) {
	u := tenant(t, s)
	path := u.network("square", nil)
	o := u.ok("submit", path, "--follow", "-o", "json")
	var j map[string]any
	if err := json.Unmarshal([]byte(o.stdout), &j); err != nil || j["status"] != "SUCCEEDED" || j["task_token"] != nil {
		t.Errorf("submit --follow prints %s (%v)", o.stdout, err)
	}
	for name, args := range map[string][]string{
		"job_id": {"get", "@latest"}, "jobs": {"ls"}, "logs": {"logs", "@latest"}, "files": {"results", "@latest",
			"--list"}, "progress": {"retry", "@latest"},
	} {
		var document map[string]any
		if o := u.ok(append(args, "--output=json")...); json.Unmarshal([]byte(o.stdout), &document) != nil || document[name] == nil {
			t.Errorf("%q prints %s", args, o.stdout)
		}
	}
	id, _ := j["job_id"].(string)
	for line := range strings.Lines(u.ok("logs", "-f", id, "-o", "json").stdout) {
		if !json.Valid([]byte(line)) {
			t.Errorf("a line is %s", line)
		}
	}
}

func testWrongKey(t *testing.T, s *service.Server) {
	u := tenant(t, s)
	u.env[apiKeyVariable] = "sk-wrong"
	o := u.ends(exitRefused, "ls")
	says(t, o.stderr, "sumo-k8: ")
	if strings.Contains(o.stderr, "sk-wrong") {
		t.Errorf("the key is shown:\n%s", o.stderr)
	}
}

func testCompare(t *testing.T, s *service.Server) {
	u := tenant(t, s)
	path := u.network("square", nil)
	var ids []string
	for _, scale := range []string{"1", "2"} {
		ids = append(ids, strings.TrimSpace(u.ok("submit", path, "--scale", scale).stdout))
		u.ok("logs", "-f", ids[len(ids)-1])
	}
	o := u.ok("compare", ids[0], "@latest")
	says(t, o.stdout, "A  "+ids[0], "B  "+ids[1], "mean travel time ", "DIFFERENT OPTIONS  A  B\n", "scale              1  2\n")
	if !regexp.MustCompile(`(?m)^vehicles inserted +veh +\d+ +\d+ +\+\d+\.\d %$`).MatchString(o.stdout) {
		t.Errorf("no vehicles with their difference in\n%s", o.stdout)
	}
	var document struct{ Metrics []json.RawMessage }
	if err := json.Unmarshal([]byte(u.ok("compare", ids[0], ids[1], "-o", "json").stdout), &document); err != nil ||
		len(document.Metrics) == 0 {
		t.Errorf("%d metrics (%v)", len(document.Metrics), err)
	}
	u.ends(exitUsage, "compare", ids[0])
	waiting := strings.TrimSpace(u.ok("submit", u.endless()).stdout)
	says(t, u.ok("compare", ids[0], waiting).stderr, "B: Job is ")
	u.ok("cancel", waiting)
}

func testCounts(t *testing.T, s *service.Server) {
	u := tenant(t, s)
	id := strings.TrimSpace(u.ok("submit", u.network("cross", nil)).stdout)
	u.ok("logs", "-f", id)
	file := u.file("counts.csv", []byte("detector,begin,end,flow\nwest_0 west_1,0,1500,100\nnone,0,1500,100\n"))
	plot := filepath.Join(u.dir, "counts.svg")
	o := u.ok("counts", id, file, "--plot", plot)
	says(t, o.stdout, "SIMULATED (veh/h)", "west_0 west_1", "GEH below 5: ", " of 1 (", "RMSE ")
	says(t, o.stderr, "line 3: No result of the run has values of an induction loop")
	if picture, err := os.ReadFile(plot); err != nil || !strings.Contains(string(picture), "counted flow (veh/h)") {
		t.Errorf("the plot is %.100q (%v)", picture, err)
	}
	if o := u.ok("counts", id, file, "-o", "json"); !json.Valid([]byte(o.stdout)) {
		t.Errorf("as JSON it prints %s", o.stdout)
	}
	says(t, u.ends(exitRefused, "counts", id, u.file("bad.csv", []byte("detector,hour,flow\nx,noon,1\n"))).stderr, "line 2: hour must")
	u.ends(exitUsage, "counts", id, file, "--plot", "counts.pdf")
}

func testPlots(t *testing.T, s *service.Server) {
	u := tenant(t, s)
	path := u.network("square", nil)
	first := strings.TrimSpace(u.ok("submit", path, "--outputs", "emission").stdout)
	u.ok("logs", "-f", first)
	second := strings.TrimSpace(u.ok("submit", path, "--seed", "2").stdout)
	u.ok("logs", "-f", second)
	says(t, u.ok("plot", first, "--list").stdout, "PLOT ", "travel_time ", "emissions ")
	says(t, u.ok("__complete", "plot", first, "--name", "").stdout, "travel_time\tTravel times of all trips\n")

	out := filepath.Join(u.dir, "out")
	says(t, u.ok("plot", first, "-d", out).stdout, "6 plots in "+out+"\n")
	says(t, u.ok("plot", first, "--name", "speed", "-d", out).stdout, "1 plot in ")
	picture, err := os.ReadFile(filepath.Join(out, "emissions.png"))
	if err != nil || !bytes.HasPrefix(picture, []byte("\x89PNG")) {
		t.Errorf("emissions.png begins with %.8q (%v)", picture, err)
	}

	// Of several jobs those plots are left out that one of them cannot have.
	says(t, u.ok("plot", first, "@latest", "--format", "svg", "--dark", "--width", "640", "--dir", out).stdout, "5 plots in ")
	drawing, err := os.ReadFile(filepath.Join(out, "travel_time.svg"))
	if err != nil {
		t.Fatal(err)
	}
	says(t, string(drawing), `<svg width="640" height="700"`, "2 runs compared")
	if _, err := os.Stat(filepath.Join(out, "emissions.svg")); !os.IsNotExist(err) {
		t.Errorf("emissions of a run that has none: %v", err)
	}
	says(t, u.ends(exitRefused, "plot", first, second, "--name", "emissions", "-d", out).stderr, "outputs=emission")
	u.ends(exitUsage, "plot", first, "--format", "pdf")
	if o := u.ok("plot", first, "--name", "speed", "-d", out, "-o", "json"); !json.Valid([]byte(o.stdout)) {
		t.Errorf("as JSON it prints %s", o.stdout)
	}
}

// derives derives a scenario from the one called id and returns it with the folder of its changes.
func (u *user) derives(t *testing.T, id string) (derived, changes string) {
	t.Helper()
	changes = filepath.Join(u.dir, "changed")
	for name, text := range map[string]string{"parking/new.add.xml": "<additional/>\n", ".hidden": ""} {
		file := filepath.Join(changes, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	made := u.ok("scenarios", "derive", id, changes, "--name", "with parking")
	derived = strings.TrimSpace(made.stdout)
	says(t, made.stderr, "Added: parking/new.add.xml\n")
	says(t, u.ok("scenarios", "ls").stdout, derived+"  with parking  ", "  "+id+"\n")
	says(t, u.ok("scenarios", "get", derived).stdout, "derived from  "+id+", ",
		"in one step or several:\n  Added: parking/new.add.xml", "grid.net.xml.gz")
	further := filepath.Join(u.dir, "further")
	for name, text := range map[string]string{"parking/new.add.xml": "<additional></additional>\n", "notes.txt": "x"} {
		file := filepath.Join(further, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	more := u.ok("scenarios", "derive", derived, further)
	says(t, more.stderr, "Changed: parking/new.add.xml\nAdded: notes.txt\nAltogether, other than in the uploaded scenario "+id+
		":\n  Added: notes.txt, parking/new.add.xml\n")
	u.ok("scenarios", "rm", strings.TrimSpace(more.stdout))
	back := u.ok("scenarios", "derive", derived, "--delete", "parking/")
	says(t, back.stderr, "Deleted: parking/new.add.xml\nWith that it is the scenario as it was uploaded.\n")
	if strings.TrimSpace(back.stdout) != id {
		t.Errorf("without its changes it is scenario %s, want %s", back.stdout, id)
	}
	says(t, back.stderr, "It was stored already.")
	says(t, u.ends(exitRefused, "scenarios", "derive", id, "--delete", "x.xml").stderr, `"x.xml" is no file or folder of the scenario`)
	return derived, changes
}

func testScenarios(t *testing.T, s *service.Server) {
	u := tenant(t, s)
	path := u.network("grid", nil)
	id := strings.TrimSpace(u.ok("scenarios", "upload", path).stdout)
	again := u.ok("scenarios", "upload", path)
	says(t, again.stderr, "It was stored already.")
	if strings.TrimSpace(again.stdout) != id {
		t.Errorf("the same zip is scenario %s, then %s", id, again.stdout)
	}
	says(t, u.ok("scenarios", "ls").stdout, "SCENARIO ", id+"  grid  ")
	says(t, u.ok("scenarios", "get", id).stdout, "grid.sumocfg   0 s to 3000 s  ", "2000 vehicles", "grid.net.xml.gz")
	says(t, u.ok("__complete", "submit", "--scenario", "").stdout, id+"\tgrid ")
	if got := u.scenarioOf(strings.TrimSpace(u.ok("submit", "--scenario", id, "--end", "300").stdout)); got != id {
		t.Errorf("the job runs scenario %s, want %s", got, id)
	}
	u.ok("logs", "-f", "@latest")
	says(t, u.ok("ls").stdout, " "+id[:shortID]+" ")
	derived, changes := u.derives(t, id)
	for _, args := range [][]string{{"scenarios", "upload", path}, {"scenarios", "get", id}, {"scenarios", "ls"}, {"validate", path},
		{"scenarios", "derive", id, changes}, {"scenarios", "rm", id}, {"scenarios", "rm", derived}} {
		if o := u.ok(append(args, "-o", "json")...); !json.Valid([]byte(o.stdout)) {
			t.Errorf("%q prints %s", args, o.stdout)
		}
	}
	u.ends(exitRefused, "scenarios", "get", id)
	says(t, u.ok("validate", path).stdout, "The scenario can be run.\n", "grid.sumocfg")
	says(t, u.ends(exitFailed, "validate", path, "--config-file", "grid.net.xml.gz").stdout, "is not a SUMO configuration")
	broken, err := networks.BrokenFiles.ReadFile("broken/several_faults.zip")
	if err != nil {
		t.Fatal(err)
	}
	o := u.ends(exitFailed, "validate", u.file("several_faults.zip", broken))
	if lines := regexp.MustCompile(`(?m)^  \S+: `).FindAllString(o.stdout, -1); len(lines) < 2 || o.stderr != "" {
		t.Errorf("the faults are not listed:\n%s\n%s", o.stdout, o.stderr)
	}
	says(t, u.ok("scenarios", "ls").stderr, "No scenarios.")
}
