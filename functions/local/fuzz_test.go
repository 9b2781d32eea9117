package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sumo-k8/sumo-k8/functions/internal/contract"
	"github.com/sumo-k8/sumo-k8/functions/internal/requests"
	"github.com/sumo-k8/sumo-k8/infra/laptop/laptoptest"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

// FuzzEveryOperation sends each operation of the document requests that are wrong in every way that clients are. None may
// be answered with a failure of ours, in a form that the document does not promise, or with what is another tenant's. The
// seeds are the same in every run of the tests; make fuzz goes on from there.
func FuzzEveryOperation(f *testing.F) {
	const (
		seeds = 40
		bytes = 256 << 10 // of randomness, ample for one request to each operation
	)
	for seed := range uint64(seeds) {
		f.Add(uint8(seed), seed)
	}
	a := newAttack(f)
	// What is drawn from is made of a seed, as the fuzzing engine would take most of its time to mutate and minimise as much.
	f.Fuzz(func(t *testing.T, first uint8, seed uint64) {
		a.replenish(t)
		data := make([]byte, bytes)
		_, _ = rand.NewChaCha8([32]byte(binary.BigEndian.AppendUint64(make([]byte, 24), seed))).Read(data) // never fails
		rapid.MakeFuzz(func(rt *rapid.T) {
			operations := a.s.checker.Operations
			for i := range operations {
				a.try(rt, operations[(int(first)+i)%len(operations)])
			}
		})(t, data)
	})
}

// attack is a service with something of everything in it.
type attack struct {
	s      *program
	own    *tenantClient
	known  map[string]map[string][]string // by access, then by the name of a parameter or field
	secret string
}

func newAttack(t testing.TB) *attack {
	s := startProgram(t, laptoptest.Folder(t), append(unlimited, "MAX_UPLOAD_MIB=1", "MAX_QUEUED_JOBS=5", "STREAM_LIMIT=2s", "RECONCILE_WINDOW=1s")...)
	own, other := s.register(t), s.register(t)
	victims := []string{s.register(t).id, s.register(t).id, "nobody"}
	tenants := map[string][]string{"sumo_files": {zipOf(t, "square"), "", "PK\x05\x06" + strings.Repeat("\x00", 18), "not a zip", zipOf(t, "square")[:500]}}
	for word, make := range belongings {
		ids := []string{make(t, own), make(t, other)}
		tenants[strings.TrimSuffix(word, "s")] = ids
		if word == "jobs" {
			ids = append(ids, make(t, own)) // some are purged on the way
			tenants["id"], tenants["ids"] = ids, []string{strings.Join(ids[:2], ","), ids[0] + "," + ids[2]}
		}
	}
	for name, values := range map[string][]string{
		"name": {"summary.xml", "log.txt"}, "config_file": {"square.sumocfg"}, "sumo_version": {""}, "begin": {"0"}, "end": {"60"}, "purge": {"false"},
		"sumo_files_s3_url": {"s3://sumo-k8/scenarios/x.zip", ""}, "timeout_seconds": {"60"}, "label": {"mark=" + markOf(own)},
	} {
		tenants[name] = values
	}
	// The checker fails the whole fuzz test, and may not from within. Answers are held against the document in try.
	s.client = &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       patience,
	}
	return &attack{
		s: s, own: own, secret: markOf(other),
		known: map[string]map[string][]string{string(rest.Tenant): tenants, string(rest.Admin): {"id": victims, "tenant_id": victims}},
	}
}

// replenish makes a job in place of one that was purged, so that later requests find something.
func (a *attack) replenish(t *testing.T) {
	ids := a.known[string(rest.Tenant)]["id"]
	for i, id := range ids {
		if i != 1 && a.own.call(t, "GET", "/jobs/"+id).status == http.StatusNotFound { // the second is another tenant's
			ids[i] = belongings["jobs"](t, a.own)
		}
	}
}

// try sends one request and judges the answer.
func (a *attack) try(t *rapid.T, op contract.Operation) {
	q := requests.Any(a.s.checker.Document, op, a.known[op.Access]).Draw(t, op.ID)
	r, err := q.To(a.s.url)
	if err != nil {
		t.Fatalf("%v: %v", q, err)
	}
	if rapid.IntRange(1, 20).Draw(t, "key") < 20 { // rapid prefers the first ones, so nearly always
		r.Header.Set("X-Admin-Key", a.s.adminKey)
		r.Header.Set("Authorization", "Bearer "+a.own.key)
	}
	began := time.Now()
	response, err := a.s.client.Do(r)
	if err != nil {
		t.Fatalf("%v\nafter %s: %v", q, time.Since(began), err)
	}
	defer response.Body.Close()
	matched, ok := a.s.checker.Find(r)
	if ok {
		err = a.s.checker.Check(matched, response)
	}
	body, readErr := io.ReadAll(response.Body)
	if err := errors.Join(err, readErr, judge(response, body)); err != nil {
		t.Fatalf("%v\nis answered %s %s\n%v", q, response.Status, body, err)
	}
	for _, secret := range []string{"SQLSTATE", "goroutine ", ".go:", "postgres", a.s.dir} {
		if strings.Contains(string(body), secret) {
			t.Fatalf("%v\nis answered with %q: %s", q, secret, body)
		}
	}
	if matched.Access == string(rest.Tenant) && strings.Contains(string(body), a.secret) {
		t.Fatalf("%v\nis answered with what is another tenant's: %s", q, body)
	}
}

// judge says what is wrong with any answer, whatever the request was.
func judge(response *http.Response, body []byte) error {
	if response.Header.Get("X-Request-Id") == "" {
		return errors.New("it has no X-Request-Id")
	}
	if response.StatusCode < http.StatusBadRequest || strings.HasSuffix(response.Request.URL.Path, "/health") {
		return nil
	}
	var p rest.Problem
	if response.Header.Get("Content-Type") != "application/problem+json" {
		return errors.New("it is not a problem")
	}
	if response.Request.Method != http.MethodHead {
		if err := json.Unmarshal(body, &p); err != nil {
			return err
		}
		if p.Code == "" || p.Detail == "" || p.Status != response.StatusCode {
			return errors.New("the problem says too little")
		}
	}
	if response.StatusCode >= http.StatusInternalServerError && p.Code != problem.NotConfigured {
		return errors.New("it is a failure of ours")
	}
	return nil
}
