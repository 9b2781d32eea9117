package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sumo-k8/sumo-k8/functions/internal/testing/contract"
	"github.com/sumo-k8/sumo-k8/functions/internal/testing/requests"
	"github.com/sumo-k8/sumo-k8/infra/local/localtest"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
)

// FuzzEveryOperation sends each operation of the document requests that are wrong in every way that clients are. No answer
// may be an internal error, break the document, or contain another tenant's data. The seeds are the same in every run of
// the tests; make fuzz continues from there.
func FuzzEveryOperation(f *testing.F) {
	const (
		seeds = 40
		bytes = 256 << 10 // of randomness, ample for one request to each operation
	)
	for seed := range uint64(seeds) {
		f.Add(uint8(seed), seed)
	}
	a := newAttack(f)
	// The random bytes come from a seed, as the fuzzing engine would spend most of its time mutating and minimising that many.
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

// attack is a service with at least one of everything.
type attack struct {
	s      *program
	own    *tenantClient
	things map[string][]string // ids by resource word: one of our own, another tenant's, another of our own
	values map[string][]string // meaningful ones, by the name of a parameter or field
	secret string              // part of another tenant's data
}

func newAttack(t testing.TB) *attack {
	s := startProgram(
		t, localtest.Folder(t), append(unlimited, "MAX_UPLOAD_MIB=1", "MAX_QUEUED_JOBS=5", "STREAM_LIMIT=2s", "RECONCILE_WINDOW=1s")...,
	)
	own, other := s.register(t), s.register(t)
	a := &attack{
		s: s, own: own, secret: markOf(other),
		things: map[string][]string{"tenants": {s.register(t).id, s.register(t).id, "nobody"}},
		values: map[string][]string{
			"sumo_files":  {zipOf(t, "square"), "", "PK\x05\x06" + strings.Repeat("\x00", 18), "not a zip", zipOf(t, "square")[:500]},
			"config_file": {"square.sumocfg"}, "begin": {"0"}, "end": {"60"}, "timeout_seconds": {"60"}, "sumo_version": {""},
			"label": {"mark=" + markOf(own)},
			"purge": {"false"}, "sumo_files_s3_url": {"s3://sumo-k8/scenarios/x.zip", ""}, "size": {"1000"},
		},
	}
	for _, op := range s.checker.Operations {
		for _, ref := range referencesOf(s.checker.Document, op) {
			if create, ok := belongings[ref.word]; ok && a.things[ref.word] == nil {
				a.things[ref.word] = []string{create(t, own), create(t, other), create(t, own)}
			}
		}
	}
	// The checker would fail the whole fuzz test, which is not allowed from within. try checks answers against the document.
	s.client = &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       patience,
	}
	return a
}

// replenish replaces a removed thing, so that later requests find one.
func (a *attack) replenish(t *testing.T) {
	for word, ids := range a.things {
		r := httptest.NewRequest("GET", "/"+word+"/"+ids[0], nil)
		if _, ok := a.s.checker.Find(r); ok && a.own.call(t, "GET", r.URL.Path).status == http.StatusNotFound {
			ids[0] = belongings[word](t, a.own)
		}
	}
}

// known returns values that are meaningful to op.
func (a *attack) known(op contract.Operation) map[string][]string {
	known := maps.Clone(a.values)
	for _, ref := range referencesOf(a.s.checker.Document, op) {
		ids := a.things[ref.word]
		known[ref.name] = ids
		if ref.list && len(ids) > 2 {
			known[ref.name] = []string{ids[0] + "," + ids[2], ids[0] + "," + ids[1], ids[0]}
		}
	}
	return known
}

// try sends one request and judges the answer.
func (a *attack) try(t *rapid.T, op contract.Operation) {
	q := requests.Any(a.s.checker.Document, op, a.known(op)).Draw(t, op.ID)
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
		t.Fatalf("%v\nis answered with another tenant's data: %s", q, body)
	}
}

// judge reports what is wrong with an answer, regardless of the request.
func judge(response *http.Response, body []byte) error {
	if response.Header.Get("X-Request-Id") == "" {
		return errors.New("it has no X-Request-Id")
	}
	asked := response.Request.URL.Path
	if response.StatusCode < http.StatusBadRequest || strings.HasSuffix(asked, "/health") {
		return nil
	}
	if response.StatusCode == http.StatusServiceUnavailable && strings.HasSuffix(asked, "/ready") {
		return nil // on a busy machine what it checks may take longer than it waits
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
