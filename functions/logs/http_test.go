package logs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"pgregory.net/rapid"

	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/store/s3"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

func TestMain(m *testing.M) { localtest.Main(m) }

// served is a scripted run behind the function's HTTP interface, with a real object store.
type served struct {
	*scripted
	objects artifact.Store
	url     string
	key     string
}

func serve(t testing.TB, state job.State) *served {
	t.Helper()
	return serveBounded(t, state, 0)
}

// serveBounded serves a tenant that may have so many streams; any number if that is 0.
func serveBounded(t testing.TB, state job.State, streams int) *served {
	t.Helper()
	store, err := s3.New(localtest.Bucket(t))
	if err != nil {
		t.Fatal(err)
	}
	text, key, err := tenant.NewKey(strings.NewReader(strings.Repeat("some bytes of no randomness. ", 9)), "acme", "default", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s := &served{scripted: script(state), objects: store, key: text}
	s.state.ResultsKey = artifact.ResultsOf("sumo-acme", s.state.ID)
	f := s.function()
	f.Objects, f.Poll, f.Streams.Most = store, 5*time.Millisecond, streams
	mux := http.NewServeMux()
	f.Register(rest.NewAPI(mux, rest.Keys{TenantByKey: func(_ context.Context, id string, hash []byte) (tenant.Tenant, error) {
		if id != key.ID || !bytes.Equal(hash, key.Hash) {
			return tenant.Tenant{}, tenant.ErrUnknownKey()
		}
		return tenant.Tenant{ID: "acme"}, nil
	}}))
	server := httptest.NewServer(rest.Handler(mux, nil, zerolog.Nop()))
	t.Cleanup(server.Close)
	s.url = server.URL + "/jobs/j/logs"
	return s
}

// finish ends the run as an engine does: its log is in the store, and the engine no longer has it.
func (s *served) finish(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	key := s.state.ResultsKey + simulation.LogFile
	if _, err := s.objects.Put(context.Background(), key, strings.NewReader(*s.log), "text/plain"); err != nil {
		t.Error(err)
	}
	s.state.State, s.log = job.Succeeded, nil
}

func (s *served) get(t testing.TB, path, lastID string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.key)
	r.Header.Set("Accept", "text/event-stream;version=2")
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

// snapshot requests part of the log; the second result is the status.
func (s *served) snapshot(t testing.TB, query string) (Snapshot, int) {
	t.Helper()
	response := s.get(t, "?"+query, "")
	defer response.Body.Close()
	var out Snapshot
	if err := json.NewDecoder(response.Body).Decode(&out); err != nil && response.StatusCode == http.StatusOK {
		t.Fatal(err)
	}
	return out, response.StatusCode
}

func TestATenantHasNoMoreStreamsThanItMay(t *testing.T) {
	t.Parallel()
	run := serveBounded(t, job.Running, 2)
	first, second := run.get(t, "/stream", ""), run.get(t, "/stream", "")
	defer second.Body.Close()
	refused := run.get(t, "/stream", "")
	said, err := io.ReadAll(refused.Body)
	refused.Body.Close()
	if first.StatusCode != http.StatusOK || second.StatusCode != http.StatusOK || refused.StatusCode != http.StatusTooManyRequests ||
		refused.Header.Get("Retry-After") != "5" || err != nil || !strings.Contains(string(said), "2 streams") {
		t.Fatalf("answered %d, %d and %d: %s", first.StatusCode, second.StatusCode, refused.StatusCode, said)
	}
	first.Body.Close() // the service notices with what it sends next, or a heartbeat
	for deadline := time.Now().Add(time.Minute); ; run.say("a line\n") {
		next := run.get(t, "/stream", "")
		next.Body.Close()
		if next.StatusCode == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after one has ended it still answers %d", next.StatusCode)
		}
	}
}

// The connection breaks at any byte, again and again, while the log is written, while the run ends, and after.
func TestAStreamThatIsCutAnywhereLosesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	const lines = 10_000
	s := serve(t, job.Running)
	random := rand.New(rand.NewPCG(1, 2)) // of this goroutine
	s.restart(time.UnixMilli(1e12))
	want := []string{simulation.LogStart(time.UnixMilli(1e12))}
	for i := range lines {
		want = append(want, fmt.Sprintf("%d: %s", i, strings.Repeat("ä", random.IntN(40))))
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		for i := 1; i < len(want); {
			burst := min(100, len(want)-i)
			s.say(strings.Join(want[i:i+burst], "\n") + "\n")
			i += burst
			time.Sleep(3 * time.Millisecond)
		}
		s.finish(t)
	}()
	var got []string
	lastID, cuts := "", 0
	for status := job.State(""); !status.Terminal(); cuts++ {
		response := s.get(t, "/stream", lastID)
		text, err := io.ReadAll(io.LimitReader(response.Body, random.Int64N(20_000)))
		response.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range eventsIn(t, string(text)) {
			if e.id != "" {
				lastID, got = e.id, append(got, e.Message)
			}
			status = e.Status
		}
	}
	<-written
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%d lines came, want %d (-want +got):\n%.2000s", len(got), len(want), diff)
	}
	if cuts < 20 {
		t.Errorf("the stream was cut only %d times", cuts)
	}
}

// A browser that has read the end reconnects, and stops once the answer has no content. One that has missed the end gets it.
func TestAReaderOfTheWholeStreamStops(t *testing.T) {
	t.Parallel()
	s := serve(t, job.Running)
	s.say("one\n")
	s.finish(t)
	response := s.get(t, "/stream", "")
	text, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || strings.Contains(string(text), "retry: 200") || !strings.Contains(string(text), "retry: 3000\n") {
		t.Errorf("the stream is %s, %v", text, err)
	}
	ids := regexp.MustCompile(`(?m)^id: (.*)$`).FindAllStringSubmatch(string(text), -1)
	for i, want := range []int{http.StatusOK, http.StatusNoContent} { // after the last line, and after the end
		response := s.get(t, "/stream", ids[len(ids)-2+i][1])
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != want || strings.Contains(string(text), "event: end") != (want == http.StatusOK) {
			t.Errorf("after %s the answer is %d: %s, %v", ids[len(ids)-2+i][1], response.StatusCode, text, err)
		}
	}
}

// Whatever their sizes, the parts make the whole log, and none begins or ends inside a character.
func TestPartsOfALogMakeTheWhole(t *testing.T) {
	t.Parallel()
	s := serve(t, job.Running)
	s.restart(time.UnixMilli(1e12))
	s.say(strings.Repeat("a ä € 🚗\n", 20))
	whole := *s.log
	// read collects the parts from a byte on, each as long as limit says.
	read := func(over bool, from int, limit func() int) error {
		before := from
		for before > 0 && before < len(whole) && !utf8.RuneStart(whole[before]) {
			before--
		}
		var got strings.Builder
		for at := from; ; {
			limit := limit()
			part, status := s.snapshot(t, fmt.Sprintf("offset=%d&limit=%d", at, limit))
			if status != http.StatusOK || !utf8.ValidString(part.Logs) || len(part.Logs) > limit ||
				strings.ContainsRune(part.Logs, utf8.RuneError) {
				return fmt.Errorf("%d bytes from %d are %q (status %d)", limit, at, part.Logs, status)
			}
			if part.NextOffset != part.Offset+int64(len(part.Logs)) || part.Size != int64(len(whole)) || at != from && part.Offset != int64(at) {
				return fmt.Errorf("%d bytes from %d: %+v", limit, at, part)
			}
			got.WriteString(part.Logs)
			at = int(part.NextOffset)
			if part.Complete != (over && at == len(whole)) {
				return fmt.Errorf("complete is %v at %d of %d bytes", part.Complete, at, len(whole))
			}
			if at == len(whole) {
				break
			}
		}
		if got.String() != whole[before:] {
			return fmt.Errorf("the parts from %d make %q", from, got.String())
		}
		return nil
	}
	check := func(t *testing.T, over bool) {
		for from := len(whole) - 28; from < len(whole); from++ { // within the last two lines, where a part may end with the log
			for limit := 4; limit < 30; limit++ {
				if err := read(over, from, func() int { return limit }); err != nil {
					t.Error(err)
				}
			}
		}
		rapid.Check(t, func(rt *rapid.T) {
			limits := rapid.IntRange(4, 200)
			if err := read(over, rapid.IntRange(0, len(whole)).Draw(rt, "from"), func() int { return limits.Draw(rt, "limit") }); err != nil {
				rt.Fatal(err)
			}
		})
	}
	t.Run("while the job runs", func(t *testing.T) { check(t, false) })
	s.finish(t)
	t.Run("after its end", func(t *testing.T) { check(t, true) })
}

func TestTheEndOfALog(t *testing.T) {
	t.Parallel()
	began := time.UnixMilli(1e12).UTC()
	s := serve(t, job.Running)
	s.restart(began)
	s.say("one\ntwo\nthree\n")
	start := simulation.LogStart(began) + "\n"
	for over := range 2 {
		for query, want := range map[string]Snapshot{
			"":                  {Logs: start + "one\ntwo\nthree\n"},
			"tail=1":            {Logs: "three\n", Offset: int64(len(start) + 8)},
			"tail=3":            {Logs: "one\ntwo\nthree\n", Offset: int64(len(start))},
			"tail=100":          {Logs: start + "one\ntwo\nthree\n"},
			"tail=2&limit=8":    {Logs: "three\n", Offset: int64(len(start) + 8)},
			"limit=10":          {Logs: "two\nthree\n", Offset: int64(len(start) + 4)},
			"offset=1000000000": {Offset: int64(len(start) + 14)},
		} {
			want.JobID, want.Status, want.BeganAt, want.Size, want.Truncated = "j", job.Running, &began, int64(len(start)+14), want.Offset > 0
			want.NextOffset = want.Size
			if over == 1 {
				want.Status, want.Complete = job.Succeeded, true
			}
			got, status := s.snapshot(t, query)
			if diff := cmp.Diff(want, got); diff != "" || status != http.StatusOK {
				t.Errorf("%q of a job that is %s answers %d (-want +got):\n%s", query, want.Status, status, diff)
			}
		}
		if over == 0 {
			s.finish(t)
		}
	}
	for _, bad := range []string{"offset=-1", "offset=x", "limit=3", "limit=1048577", "tail=0", "tail=-1", "tail=100001", "offset=0&tail=1"} {
		if _, status := s.snapshot(t, bad); status != http.StatusBadRequest {
			t.Errorf("%s answers %d", bad, status)
		}
	}
}

func TestAPartExplainsWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := serve(t, job.Pending)
	const waits = "No log yet: the job is about to start."
	if got, _ := s.snapshot(t, ""); got.Logs != waits || got.Message != waits {
		t.Errorf("without a log it answers %+v", got)
	}
	if got, _ := s.snapshot(t, "offset=7"); got.Logs != "" || got.Message != waits || got.NextOffset != 7 || got.Complete {
		t.Errorf("a part of no log is %+v", got)
	}
	s.become(func(j *job.Job) { j.State = job.Running })
	s.say("one\ntwo\nthree\n")
	s.gone = 8
	got, _ := s.snapshot(t, "offset=4")
	if got.Logs != "three\n" || got.Offset != 8 || !strings.Contains(got.Message, "Bytes 4 to 7") || !got.Truncated {
		t.Errorf("for a log whose beginning is unavailable it answers %+v", got)
	}
	if got, _ := s.snapshot(t, ""); got.Logs != "three\n" || got.Offset != 8 || !got.Truncated {
		t.Errorf("the end of such a log is %+v", got)
	}
}

func TestAnIDIsOfTheStreamOrRefused(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := place{offset: rapid.Int64Min(0).Draw(t, "offset")}
		if ms := rapid.Int64Range(0, 1e13).Draw(t, "began"); ms > 0 {
			p.began = time.UnixMilli(ms).UTC()
		}
		if got, ok := parsePlace(p.String()); !ok || got != p {
			t.Errorf("%s reads as %v, %v", p, got, ok)
		}
		old := strconv.FormatInt(p.offset, 10)
		if got, ok := parsePlace(old); !ok || got != (place{offset: p.offset}) {
			t.Errorf("%s reads as %v, %v", old, got, ok)
		}
	})
	s := serve(t, job.Running)
	for _, bad := range []string{"never", "-", "-5", "5-", "1-2-3", "1--2", "0x5", "+5", "99999999999999999999", strings.Repeat("9", 41)} {
		response := s.get(t, "/stream", url.PathEscape(bad))
		response.Body.Close()
		if response.StatusCode != http.StatusBadRequest {
			t.Errorf("the id %q answers %d", bad, response.StatusCode)
		}
	}
}
