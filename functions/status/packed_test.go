package status_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"github.com/sumo-k8/sumo-k8/functions/internal/testing/served"
	"github.com/sumo-k8/sumo-k8/functions/status"
	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/chunk"
	"github.com/sumo-k8/sumo-k8/pkg/keeper"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// kept makes a job whose results a keeper has stored, packed as those of a study's run if study is not empty.
func (in *installation) kept(t testing.TB, study string, files map[string]string) string {
	t.Helper()
	return in.keptIn(t, study, files, func(id, results string) { in.intoStudy(t, study, id, results) })
}

// keptIn is kept, where into makes the job a run of the study.
func (in *installation) keptIn(t testing.TB, study string, files map[string]string, into func(id, results string)) string {
	t.Helper()
	u := succeeded()
	u.ID = in.queue(t)
	if _, err := in.parts.DB.Claim(t.Context(), "acme", 1, true); err != nil {
		t.Fatal(err)
	}
	run := chunk.Run{ID: u.ID, Results: artifact.ResultsOf(tenant.NamespaceFor("acme"), u.ID), Pack: study != ""}
	if study != "" {
		run.Results = artifact.ResultsOfRun(tenant.NamespaceFor("acme"), study, u.ID)
		into(u.ID, run.Results)
	}
	out, desk := t.TempDir(), t.TempDir()
	outcome := simulation.Outcome{Files: map[simulation.Output]string{
		simulation.OutputSummary: "summary.xml", simulation.OutputTripinfo: "tripinfo.xml", simulation.OutputFCD: "fcd.xml.gz",
		simulation.OutputEdgeData: "edgedata.xml.gz",
	}}
	text, err := json.Marshal(outcome)
	if err != nil {
		t.Fatal(err)
	}
	files = maps.Clone(files)
	files[simulation.OutcomeFile] = string(text)
	for name, text := range files {
		if strings.HasSuffix(name, ".gz") {
			text = string(compressed(t, []byte(text)))
		}
		at := filepath.Join(out, u.ID, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	k := keeper.Keeper{
		List: chunk.List{ID: u.ID, Runs: []chunk.Run{run}}, Objects: in.parts.Objects, Out: out, Desk: desk, Now: time.Now, Log: zerolog.Nop(),
		Report: func(_ context.Context, s chunk.State) error { u.Results = s.Runs[u.ID].Results; return nil },
	}
	if err := k.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	in.apply(t, u)
	return u.ID
}

// intoStudy makes a job a run of a study.
func (in *installation) intoStudy(t testing.TB, study, id, results string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), in.parts.Config.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, sql := range []string{
		fmt.Sprintf(`INSERT INTO studies (id, tenant_id, name, state, plan, priority, seeds, max_parallel, stop_share, metric_names, runs)
			VALUES ('%s', 'acme', 'signals', 'RUNNING', '{}', 0, '{1}', 1, 1, '{}', 1)`, study),
		fmt.Sprintf(`UPDATE jobs SET study_id = '%s', point = 0, replication = 0, chunk_id = id, results_key = '%s' WHERE id = '%s'`,
			study, results, id),
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
}

// fetch requests an address without a key.
func fetch(t testing.TB, method, address string, headers ...string) served.Answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return served.Answer{Status: response.StatusCode, Header: response.Header, Body: body}
}

func run(t testing.TB) (in *installation, plain, packed, study string) {
	t.Helper()
	in = install(t)
	files := maps.Clone(written)
	files[simulation.LogFile] = simulation.LogStart(time.Now()) + "\nStep #0.00 — ünfinished\nStep #1.00\n"
	files["empty.txt"], files["scenario/det ector%.xml"] = "", "<detector/>"
	files["large.xml"] = strings.Repeat("<!-- large -->", artifact.PackBelow/10)
	study = uuid.Must(uuid.NewV7()).String()
	plain, packed = in.kept(t, "", files), in.kept(t, study, files)
	return in, plain, packed, study
}

func (in *installation) results(t testing.TB, id string, headers ...string) (r status.Results) {
	t.Helper()
	in.get(t, "/jobs/"+id+"/results", headers...).Want(t, http.StatusOK).Into(t, &r)
	return r
}

// A study's run packs its small results, and callers see no difference.
func TestPackedResultsAreReadLikeOthers(t *testing.T) {
	t.Parallel()
	in, plain, packed, study := run(t)
	a, b := in.results(t, plain), in.results(t, packed)
	if len(a.Files) != 9 || len(b.Files) != len(a.Files) {
		t.Fatalf("%d files, packed %d", len(a.Files), len(b.Files))
	}
	prefix := "results/sumo-acme/" + study + "/" + packed + "/"
	if b.ResultFiles.Prefix != prefix || !strings.HasSuffix(*b.ResultLocation, "/"+prefix) {
		t.Errorf("the prefix is %s, the location %s", b.ResultFiles.Prefix, *b.ResultLocation)
	}
	for i, file := range a.Files {
		other := b.Files[i]
		if isPacked := other.Offset > 0; isPacked != (file.Name != "large.xml") ||
			isPacked != strings.HasSuffix(other.Storage, "/"+prefix+artifact.PackFile) ||
			!isPacked && !strings.HasSuffix(other.Storage, "/"+prefix+file.Name) {
			t.Errorf("%s is in %s at %d", other.Name, other.Storage, other.Offset)
		}
		if listed := b.ResultFiles.Files[i]; listed.URL != other.Storage || listed.Offset != other.Offset || listed.SHA256 != other.SHA256 {
			t.Errorf("%s is listed as %+v", other.Name, listed)
		}
		same := other
		same.URL, same.Storage, same.Offset, same.ExpiresAt = file.URL, file.Storage, file.Offset, file.ExpiresAt
		if diff := cmp.Diff(file, same); diff != "" {
			t.Errorf("%s (-plain +packed):\n%s", file.Name, diff)
		}
		for name, request := range map[string]struct {
			method  string
			headers []string
		}{
			"whole": {"GET", nil}, "range": {"GET", []string{"Range: bytes=2-5"}}, "rest": {"GET", []string{"Range: bytes=7-"}},
			"end": {"GET", []string{"Range: bytes=-3"}}, "past the end": {"GET", []string{"Range: bytes=99999999-"}},
		} {
			if file.Size == 0 && request.headers != nil {
				continue // no range of nothing can be satisfied, which servers answer differently
			}
			want, got := fetch(t, request.method, file.URL, request.headers...), fetch(t, request.method, other.URL, request.headers...)
			if got.Status != want.Status || got.Status < 300 && !bytes.Equal(got.Body, want.Body) {
				t.Errorf("%s, %s: packed answers %d with %d bytes, plain %d with %d",
					file.Name, name, got.Status, len(got.Body), want.Status, len(want.Body))
			}
			for _, header := range []string{"Content-Type", "Content-Disposition", "Content-Length", "Content-Range", "Accept-Ranges"} {
				if got.Status < 300 && got.Header.Get(header) != want.Header.Get(header) {
					t.Errorf("%s, %s: packed has the %s %q, plain %q", file.Name, name, header, got.Header.Get(header), want.Header.Get(header))
				}
			}
		}
		if other.Offset > 0 { // links of the object store are for GET only
			head := fetch(t, "HEAD", other.URL)
			if head.Status != http.StatusOK || head.Header.Get("Content-Length") != strconv.FormatInt(file.Size, 10) {
				t.Errorf("%s: HEAD answers %d %v", file.Name, head.Status, head.Header)
			}
		}
		if path.Base(other.Name) == "det ector%.xml" && !strings.HasSuffix(other.URL, "/det%20ector%25.xml") {
			t.Errorf("programs would save %s as the end of %s", other.Name, other.URL)
		}
		name := strings.NewReplacer("%", "%25", " ", "%20").Replace(file.Name)
		link := in.get(t, "/jobs/"+packed+"/results/"+name).Want(t, http.StatusFound).Header.Get("Location")
		if other.Offset > 0 {
			if !strings.HasPrefix(link, "/links/") {
				t.Errorf("%s redirects to %s", other.Name, link)
			}
			in.Call(t, "GET", link, "").Want(t, http.StatusOK)
		}
	}
	for name, content := range zipped(t, in, plain) {
		if got := zipped(t, in, packed)[name]; got != content {
			t.Errorf("%s has %d bytes in the zip, want %d", name, len(got), len(content))
		}
	}
	for _, view := range []string{"series", "distributions", "vehicles", "edges?interval=0", "summary", "plots",
		"plots/speed.svg?theme=dark"} {
		want, got := in.get(t, "/jobs/"+plain+"/"+view), in.get(t, "/jobs/"+packed+"/"+view)
		if text := strings.ReplaceAll(string(got.Body), packed, plain); got.Status != want.Status || text != string(want.Body) {
			t.Errorf("%s answers %d %.300s, plain %d %.300s", view, got.Status, got.Body, want.Status, want.Body)
		}
	}
	logs := served.Serve(t, in.parts, "logs")
	moment := regexp.MustCompile(`started [^"\\]+|"log_began_at":"[^"]+"`) // the two jobs began at different ones
	for _, query := range []string{"", "?tail=1", "?offset=3&limit=20", "?offset=1000000", "/stream"} {
		want := logs.Call(t, "GET", "/jobs/"+plain+"/logs"+query, "", in.acme)
		got := logs.Call(t, "GET", "/jobs/"+packed+"/logs"+query, "", in.acme)
		text := moment.ReplaceAllString(strings.ReplaceAll(string(got.Body), packed, plain), "")
		if got.Status != want.Status || text != moment.ReplaceAllString(string(want.Body), "") {
			t.Errorf("logs%s answers %d %s, plain %d %s", query, got.Status, got.Body, want.Status, want.Body)
		}
	}
}

func zipped(t testing.TB, in *installation, id string) map[string]string {
	t.Helper()
	body := in.get(t, "/jobs/"+id+"/results.zip").Want(t, http.StatusOK).Body
	z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, entry := range z.File {
		f, err := entry.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		files[entry.Name] = string(text)
	}
	return files
}

func TestLinksToPackedResults(t *testing.T) {
	t.Parallel()
	in, _, packed, study := run(t)
	first := in.results(t, packed).Files[0]
	_, rest, _ := strings.Cut(first.URL, "/links/")
	link := "/links/" + rest
	token, name, _ := strings.Cut(rest, "/")
	whole := in.Call(t, "GET", link, "").Want(t, http.StatusOK)
	if tag := whole.Header.Get("ETag"); tag != `"`+first.SHA256+`"` {
		t.Errorf("the ETag is %s", tag)
	}
	in.Call(t, "GET", link, "", "If-None-Match: "+whole.Header.Get("ETag")).Want(t, http.StatusNotModified)
	in.Call(t, "GET", link, "", "Range: bytes=0-1,4-5").Want(t, http.StatusOK)
	in.Call(t, "GET", link, "", "Range: bytes=0-1").Want(t, http.StatusPartialContent)
	in.Call(t, "GET", link, "", "Range: bytes=99999-").Want(t, http.StatusRequestedRangeNotSatisfiable)
	payload, signature, _ := strings.Cut(token, ".")
	in.WantRefused(t, map[string]served.Refusal{
		"no token":        served.Refused("GET", "/links/x/"+name, "", http.StatusForbidden, "not valid"),
		"no signature":    served.Refused("GET", "/links/"+payload+"/"+name, "", http.StatusForbidden, "not valid"),
		"another payload": served.Refused("GET", "/links/a"+payload+"."+signature+"/"+name, "", http.StatusForbidden, "not valid"),
	})
	for headers, want := range map[string]string{
		"Accept: */*": "http://127.0.0.1:", "X-Forwarded-Host: sumo.example.org": "http://sumo.example.org/links/",
		"X-Forwarded-Host: sumo.example.org:8443, inner\nX-Forwarded-Proto: https": "https://sumo.example.org:8443/links/",
		"X-Forwarded-Host: evil.example/x?":                                        "http://127.0.0.1:",
	} {
		if url := in.results(t, packed, strings.Split(headers, "\n")...).Files[0].URL; !strings.HasPrefix(url, want) {
			t.Errorf("with %q the link is %s", headers, url)
		}
	}
	in.parts.Config.PublicURL = "https://public.example.org/"
	public := installation{Function: served.Serve(t, in.parts, "status"), acme: in.acme}
	url := public.results(t, packed, "X-Forwarded-Host: sumo.example.org").Files[0].URL
	if !strings.HasPrefix(url, "https://public.example.org/links/") {
		t.Errorf("the link is %s", url)
	}
	prefix := artifact.ResultsOfRun(tenant.NamespaceFor("acme"), study, packed)
	in.get(t, "/jobs/"+packed+"/series").Want(t, http.StatusOK) // has a view stored
	if err := artifact.RemoveResults(t.Context(), in.parts.Objects, prefix); err != nil {
		t.Fatal(err)
	}
	in.Call(t, "GET", link, "").Want(t, http.StatusNotFound)
	var left []string
	for _, prefix := range []string{artifact.ResultPrefix, artifact.ViewPrefix} {
		if err := in.parts.Objects.List(t.Context(), prefix, func(o artifact.Object) bool {
			left = append(left, o.Key)
			return true
		}); err != nil {
			t.Fatal(err)
		}
	}
	if slices.ContainsFunc(left, func(key string) bool { return strings.Contains(key, packed) }) {
		t.Errorf("of the removed results there is left %q", left)
	}
}
