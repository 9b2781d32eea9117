package scenario

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/fairness"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

// objects is an artifact.Store in memory. Methods that intake does not call are left to the nil interface.
type objects struct {
	artifact.Store
	mu    sync.Mutex
	data  map[string][]byte
	opens int
	read  map[string]int64 // bytes that were asked for, by key
}

func (o *objects) Put(ctx context.Context, key string, r io.Reader, _ string) (int64, error) {
	data, err := io.ReadAll(r)
	if err = errors.Join(err, ctx.Err()); err != nil {
		return 0, problem.Wrap(err, problem.Unavailable, "The object could not be stored.")
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.data[key] = data
	return int64(len(data)), nil
}

func (o *objects) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.opens++
	data, ok := o.data[key]
	if !ok {
		return nil, problem.New(problem.NotFound, "no object")
	}
	end := int64(len(data))
	if length >= 0 {
		end = min(offset+length, end)
	}
	if o.read != nil {
		o.read[key] += end - offset
	}
	return io.NopCloser(bytes.NewReader(data[offset:end])), ctx.Err()
}

func (o *objects) Delete(ctx context.Context, keys ...string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, key := range keys {
		delete(o.data, key)
	}
	return ctx.Err()
}

// records is a Store in memory. Methods that intake does not call are left to the nil interface. before and beforeDerived, if not nil,
// run ahead of each PutScenario and PutDerived.
type records struct {
	Store
	known                 map[string]Scenario
	before, beforeDerived func()
	err                   error
}

func (r *records) PutScenario(_ context.Context, s Scenario) (Scenario, bool, error) {
	if r.before != nil {
		r.before()
	}
	if r.err != nil {
		return Scenario{}, false, r.err
	}
	if known, ok := r.known[s.TenantID+s.Digest]; ok {
		return known, false, nil
	}
	r.known[s.TenantID+s.Digest] = s
	return s, true, nil
}

func (r *records) Scenario(_ context.Context, tenantID, digest string) (Scenario, error) {
	if s, ok := r.known[tenantID+digest]; ok {
		return s, nil
	}
	return Scenario{}, problem.New(problem.NotFound, "no scenario")
}

func (r *records) ScenarioOverBase(_ context.Context, tenantID, base string) (Scenario, error) {
	for _, s := range r.known {
		if s.TenantID == tenantID && s.Derived.Base == base {
			return s, nil
		}
	}
	return Scenario{}, problem.New(problem.NotFound, "no scenario")
}

func (r *records) UpdateManifest(_ context.Context, tenantID, digest string, m Manifest) (Scenario, error) {
	s := r.known[tenantID+digest]
	s.Manifest = m
	r.known[tenantID+digest] = s
	return s, nil
}

type intakeBundle struct {
	*Intake
	objects *objects
	records *records
	tenant  tenant.Tenant
}

func setupIntake() intakeBundle {
	b := intakeBundle{
		objects: &objects{data: map[string][]byte{}},
		records: &records{known: map[string]Scenario{}},
		tenant:  tenant.Tenant{ID: "t", Namespace: "sumo-t"},
	}
	n := 0
	b.Intake = &Intake{
		Store: b.records, Objects: b.objects, Limits: DefaultLimits(),
		NewID: func() string { n++; return fmt.Sprint(n) },
		Now:   func() time.Time { return time.Unix(1, 0).UTC() },
	}
	return b
}

func TestAcceptStoresANewScenario(t *testing.T) {
	t.Parallel()
	b := setupIntake()
	data := scenarioOf(t, "")
	got, _, err := b.Accept(t.Context(), b.tenant, iotest.OneByteReader(bytes.NewReader(data)), About{})
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(data)
	manifest, _ := inspect(t, data, DefaultLimits())
	want := Scenario{
		TenantID: "t", Digest: hex.EncodeToString(digest[:]), Key: "scenarios/sumo-t/1.zip", Size: int64(len(data)),
		Manifest: manifest, CreatedAt: time.Unix(1, 0).UTC(),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !bytes.Equal(b.objects.data[got.Key], data) {
		t.Error("the object is not what was sent")
	}
}

func TestAcceptKeepsTheSameContentOnce(t *testing.T) {
	t.Parallel()
	b := setupIntake()
	data := scenarioOf(t, "")
	first, _, err := b.Accept(t.Context(), b.tenant, bytes.NewReader(data), About{})
	if err != nil {
		t.Fatal(err)
	}
	second, _, err := b.Accept(t.Context(), b.tenant, bytes.NewReader(data), About{})
	if diff := cmp.Diff(first, second); err != nil || diff != "" || len(b.objects.data) != 1 {
		t.Errorf("%v, %d objects, %s", err, len(b.objects.data), diff)
	}
	other, _, err := b.Accept(t.Context(), tenant.Tenant{ID: "u", Namespace: "sumo-u"}, bytes.NewReader(data), About{})
	if err != nil || other.Key == first.Key || len(b.objects.data) != 2 {
		t.Errorf("another tenant: %v, %v", other, err)
	}
}

func TestAcceptYieldsToAnUploadThatWasFaster(t *testing.T) {
	t.Parallel()
	b := setupIntake()
	data := scenarioOf(t, "")
	var faster Scenario
	b.records.before = func() {
		b.records.before = nil
		var err error
		if faster, _, err = b.Accept(t.Context(), b.tenant, bytes.NewReader(data), About{}); err != nil {
			t.Error(err)
		}
	}
	got, _, err := b.Accept(t.Context(), b.tenant, bytes.NewReader(data), About{})
	if err != nil || got.Key != faster.Key || len(b.objects.data) != 1 || b.objects.data[faster.Key] == nil {
		t.Errorf("%v, %v", got, err)
	}
}

func TestAcceptLeavesNothingOfARefusedUpload(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection reset")
	for name, test := range map[string]struct {
		src    io.Reader
		upload int64
		code   problem.Code
		detail string
	}{
		"too large":      {strings.NewReader(strings.Repeat("x", 3<<10)), 2 << 10, problem.TooLarge, "has more than 2.0 KiB; at most 2.0 KiB"},
		"not a scenario": {strings.NewReader("hello"), 2 << 10, problem.ScenarioInvalid, "not a zip"},
		"empty":          {strings.NewReader(""), 2 << 10, problem.ScenarioInvalid, "is empty"},
		"broken off": {
			io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)), 2 << 10, problem.Invalid, "broke off after 3 bytes",
		},
		"source is away":  {iotest.ErrReader(problem.New(problem.Unavailable, "away")), 2 << 10, problem.Unavailable, "away"},
		"a good scenario": {bytes.NewReader(scenarioOf(t, "")), 100, problem.TooLarge, "at most 100 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupIntake()
			b.Limits.Upload = test.upload
			_, _, err := b.Accept(t.Context(), b.tenant, test.src, About{})
			if p, ok := errors.AsType[*problem.Error](err); !ok || p.Code != test.code || !strings.Contains(p.Detail, test.detail) {
				t.Errorf("got %v", err)
			}
			if len(b.objects.data) != 0 || len(b.records.known) != 0 {
				t.Errorf("left behind: %d objects, %d records", len(b.objects.data), len(b.records.known))
			}
		})
	}
}

func TestAcceptLeavesNothingOfAnUploadThatItsCheckRefuses(t *testing.T) {
	t.Parallel()
	b := setupIntake()
	data := scenarioOf(t, "")
	refusal := problem.New(problem.KeyReused, "no")
	_, _, err := b.Accept(t.Context(), b.tenant, bytes.NewReader(data), About{Check: func(_ context.Context, got string) error {
		if want := fmt.Sprintf("%x", sha256.Sum256(data)); got != want {
			t.Errorf("checked as %s, want %s", got, want)
		}
		return refusal
	}})
	if !errors.Is(err, refusal) || len(b.objects.data) != 0 || len(b.records.known) != 0 {
		t.Errorf("%v; left behind: %d objects, %d records", err, len(b.objects.data), len(b.records.known))
	}
}

// What an earlier release stored lacks what is checked today.
func TestAcceptChecksAnOldScenarioThatIsSentAgain(t *testing.T) {
	t.Parallel()
	b := setupIntake()
	data := scenarioOf(t, "")
	stored, _, err := b.Accept(t.Context(), b.tenant, bytes.NewReader(data), About{Name: "first"})
	if err != nil {
		t.Fatal(err)
	}
	old := stored
	old.Manifest = Manifest{Configs: []Config{{Path: "s.sumocfg"}}}
	b.records.known["t"+old.Digest] = old
	got, created, err := b.Accept(t.Context(), b.tenant, bytes.NewReader(data), About{Name: "second"})
	if diff := cmp.Diff(stored, got); err != nil || created || diff != "" {
		t.Errorf("created=%t, %v, (-want +got):\n%s", created, err, diff)
	}
	if len(b.objects.data) != 1 || b.objects.data[stored.Key] == nil {
		t.Errorf("%d objects", len(b.objects.data))
	}
}

func TestConfigChecksWhatHasNotBeenChecked(t *testing.T) {
	t.Parallel()
	data := scenarioOf(t, "", entryOf("odd.txt", cfg), entryOf("d/bad.txt", strings.Replace(cfg, "n.net.xml", "nn.net.xml", 1)))
	for name, test := range map[string]struct {
		old       bool
		requested string
		want      string
		code      problem.Code
		opens     bool // the zip is read
	}{
		"the only one":               {want: "s.sumocfg"},
		"by name":                    {requested: "s.sumocfg", want: "s.sumocfg"},
		"one of another name":        {requested: "odd.txt", want: "odd.txt", opens: true},
		"one that cannot run":        {requested: "bad.txt", code: problem.ScenarioInvalid, opens: true},
		"a file that is none":        {requested: "n.net.xml", code: problem.ScenarioInvalid, opens: true},
		"one that is not there":      {requested: "x.sumocfg", code: problem.Invalid},
		"one of an earlier release":  {old: true, want: "s.sumocfg", opens: true},
		"another of earlier release": {old: true, requested: "odd.txt", want: "odd.txt", opens: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupIntake()
			s, _, err := b.Accept(t.Context(), b.tenant, bytes.NewReader(data), About{})
			if err != nil {
				t.Fatal(err)
			}
			if test.old {
				s.Manifest.Checked = 0
				b.records.known["t"+s.Digest] = s
			}
			before := b.objects.opens
			c, err := b.Config(t.Context(), s, test.requested)
			if problem.CodeOf(err) != test.code || test.code == "" && c.Path != test.want {
				t.Errorf("got %q, %v", c.Path, err)
			}
			if opened := b.objects.opens > before; opened != test.opens {
				t.Errorf("the zip was read: %t", opened)
			}
			stored := b.records.known["t"+s.Digest]
			if !stored.Manifest.Current() {
				t.Errorf("what was found is not stored: %+v", stored.Manifest)
			}
			before = b.objects.opens
			again, err := b.Config(t.Context(), stored, test.requested)
			if problem.CodeOf(err) != test.code || again.Path != c.Path || b.objects.opens > before {
				t.Errorf("again: %q, %v, after %d more reads", again.Path, err, b.objects.opens-before)
			}
			if unasked, err := b.Config(t.Context(), stored, ""); err != nil || unasked.Path != "s.sumocfg" {
				t.Errorf("without a choice: %q, %v", unasked.Path, err)
			}
		})
	}
}

func TestAcceptJudgesTheChosenConfiguration(t *testing.T) {
	t.Parallel()
	b := setupIntake()
	data := zipOf(t, entryOf("s.txt", "<x><n v='n.net.xml'/></x>"), entryOf("n.net.xml", net))
	if _, _, err := b.Accept(t.Context(), b.tenant, bytes.NewReader(data), About{}); problem.CodeOf(err) != problem.ScenarioInvalid {
		t.Errorf("without a choice: %v", err)
	}
	s, _, err := b.Accept(t.Context(), b.tenant, bytes.NewReader(data), About{Config: "s.txt"})
	if err != nil || len(s.Manifest.Configs) != 1 || s.Manifest.Configs[0].Path != "s.txt" {
		t.Errorf("%+v, %v", s.Manifest, err)
	}
}

func TestValidateKeepsNothing(t *testing.T) {
	t.Parallel()
	b := setupIntake()
	good, broken := scenarioOf(t, ""), scenarioOf(t, `<foo value="1"/>`)
	s, err := b.Validate(t.Context(), b.tenant, bytes.NewReader(good), About{})
	if err != nil || s.Size != int64(len(good)) || len(s.Manifest.Files) != 3 || !s.Manifest.Current() {
		t.Errorf("%+v, %v", s, err)
	}
	s, err = b.Validate(t.Context(), b.tenant, bytes.NewReader(broken), About{})
	if problem.CodeOf(err) != problem.ScenarioInvalid || s.Size != int64(len(broken)) || len(s.Manifest.Configs) != 1 {
		t.Errorf("a broken one: %+v, %v", s, err)
	}
	if len(b.objects.data) != 0 || len(b.records.known) != 0 {
		t.Errorf("left behind: %d objects, %d records", len(b.objects.data), len(b.records.known))
	}
}

func TestValidateJudgesTheConfigurationThatAJobWouldChoose(t *testing.T) {
	t.Parallel()
	faulty := func(option string) string {
		return strings.Replace(cfg, "</input>", "<"+option+` value="1"/></input>`, 1)
	}
	mixed := scenarioOf(t, "", entryOf("d/s.sumocfg", faulty("foo")), entryOf("bad.sumocfg", faulty("bar")), entryOf("c.txt", cfg))
	bad := zipOf(t, entryOf("a.sumocfg", faulty("foo")), entryOf("b.sumocfg", faulty("bar")), entryOf("n.net.xml", net),
		entryOf("r.rou.xml", routes))
	for name, test := range map[string]struct {
		zip     []byte
		config  string
		code    problem.Code
		message string
		items   int
	}{
		"any":                        {mixed, "", "", "", 0},
		"a good one":                 {mixed, "s.sumocfg", "", "", 0},
		"one of any name":            {mixed, "c.txt", "", "", 0},
		"a bad one beside good ones": {mixed, "bad.sumocfg", problem.ScenarioInvalid, `"bar" is unknown`, 1},
		"a bad one beside bad ones":  {bad, "b.sumocfg", problem.ScenarioInvalid, `"bar" is unknown`, 1},
		"any of bad ones":            {bad, "", problem.ScenarioInvalid, `"foo" is unknown`, 2},
		"one that is not there":      {mixed, "x.sumocfg", problem.Invalid, `no configuration "x.sumocfg"`, 1},
	} {
		b := setupIntake()
		_, err := b.Validate(t.Context(), b.tenant, bytes.NewReader(test.zip), About{Config: test.config})
		p, _ := errors.AsType[*problem.Error](err)
		if problem.CodeOf(err) != test.code || p != nil && (!strings.Contains(p.Detail, test.message) || len(p.Items) != test.items) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAcceptCleansUpWhenTheClientHasGone(t *testing.T) {
	t.Parallel()
	b := setupIntake()
	ctx, cancel := context.WithCancel(t.Context())
	// The client goes when its last byte has been stored.
	b.Store = leaving{b.records, cancel}
	_, _, err := b.Accept(ctx, b.tenant, bytes.NewReader(scenarioOf(t, "")), About{})
	if !errors.Is(err, context.Canceled) || len(b.objects.data) != 0 {
		t.Errorf("%v, %d objects", err, len(b.objects.data))
	}
}

type leaving struct {
	*records
	leave func()
}

func (l leaving) Scenario(ctx context.Context, tenantID, digest string) (Scenario, error) {
	l.leave()
	return l.records.Scenario(ctx, tenantID, digest)
}

func TestAcceptKeepsTheObjectWhenRecordingIsUncertain(t *testing.T) {
	t.Parallel()
	b := setupIntake()
	b.records.err = problem.New(problem.Unavailable, "no answer")
	if _, _, err := b.Accept(t.Context(), b.tenant, bytes.NewReader(scenarioOf(t, "")), About{}); problem.CodeOf(err) != problem.Unavailable {
		t.Errorf("got %v", err)
	}
	if len(b.objects.data) != 1 {
		t.Error("the object is gone, but the row may refer to it")
	}
}

func TestReaderAtReadsLikeTheObject(t *testing.T) {
	t.Parallel()
	data := []byte(noise(2*blockSize + 1000))
	store := &objects{data: map[string][]byte{"k": data}}
	r := NewReaderAt(t.Context(), store, "k", int64(len(data)))
	if err := iotest.TestReader(io.NewSectionReader(r, blockSize-50, 100), data[blockSize-50:blockSize+50]); err != nil {
		t.Error(err)
	}
	got, err := io.ReadAll(io.NewSectionReader(r, 0, int64(len(data))))
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if store.opens != 3 {
		t.Errorf("%d requests for 3 blocks", store.opens)
	}
	if _, err := r.ReadAt(make([]byte, 2), int64(len(data))-1); !errors.Is(err, io.EOF) {
		t.Errorf("past the end: %v", err)
	}
	if _, err := r.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("a negative offset is read")
	}
}

func TestReaderAtHoldsFewBlocks(t *testing.T) {
	t.Parallel()
	const size = 3 * blockCount * blockSize
	store := &objects{data: map[string][]byte{"k": make([]byte, size)}}
	r := NewReaderAt(t.Context(), store, "k", size)
	one := make([]byte, 1)
	for range 2 {
		for off := int64(0); off < size; off += blockSize {
			if _, err := r.ReadAt(one, off); err != nil {
				t.Fatal(err)
			}
			if _, err := r.ReadAt(one, size-1); err != nil { // as the table of contents is, in between
				t.Fatal(err)
			}
		}
	}
	if len(r.blocks) != blockCount || store.opens != 2*3*blockCount-1 {
		t.Errorf("%d blocks, %d requests", len(r.blocks), store.opens)
	}
}

func TestReaderAtTellsFailuresFromTheEnd(t *testing.T) {
	t.Parallel()
	store := &objects{data: map[string][]byte{"short": []byte("abc")}}
	if _, err := NewReaderAt(t.Context(), store, "short", 10).ReadAt(make([]byte, 5), 0); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("a short object: %v", err)
	}
	if _, err := NewReaderAt(t.Context(), store, "gone", 10).ReadAt(make([]byte, 5), 0); problem.CodeOf(err) != problem.NotFound {
		t.Errorf("a missing object: %v", err)
	}
}

func TestAScenarioForProgramsRunsWithOneOnly(t *testing.T) {
	t.Parallel()
	b := setupIntake()
	accept := func(data []byte, program bool) (Scenario, bool, error) {
		return b.Accept(t.Context(), b.tenant, bytes.NewReader(data), About{Program: program})
	}
	for name, test := range map[string]struct {
		zip     []byte
		refusal string
	}{
		"no configuration": {zipOf(t, entryOf("n.net.xml", net), entryOf("control.py", "print()")), "no .sumocfg"},
		"a file that a tool has yet to make": {
			zipOf(t, entryOf("s.sumocfg", cfg), entryOf("n.net.xml", net), entryOf("control.py", "print('routes')")), "r.rou.xml",
		},
	} {
		_, _, before := accept(test.zip, false)
		s, created, err := accept(test.zip, true)
		if err != nil || !created {
			t.Fatalf("%s: created %t, %v", name, created, err)
		}
		if again, created, err := accept(test.zip, true); err != nil || created || again.Digest != s.Digest {
			t.Errorf("%s, again: created %t, %v", name, created, err)
		}
		if _, err := b.ProgramConfig(t.Context(), s, ""); err != nil {
			t.Errorf("%s, with a program: %v", name, err)
		}
		_, _, upload := accept(test.zip, false)
		_, run := b.Config(t.Context(), s, "")
		for what, err := range map[string]error{"at first": before, "an upload": upload, "a run": run} {
			if problem.CodeOf(err) != problem.ScenarioInvalid || !strings.Contains(err.Error(), test.refusal) || err.Error() != before.Error() {
				t.Errorf("%s, without a program, %s: %v", name, what, err)
			}
		}
		if _, err := b.Validate(t.Context(), b.tenant, bytes.NewReader(test.zip), About{Program: true}); err != nil {
			t.Errorf("%s, checked for a program: %v", name, err)
		}
	}
}

func TestAProgramMayNameAConfigurationOfAnyName(t *testing.T) {
	t.Parallel()
	b := setupIntake()
	data := zipOf(t, entryOf("s.txt", "<x><n v='n.net.xml'/></x>"), entryOf("n.net.xml", net), entryOf("control.py", "print()"))
	s, _, err := b.Accept(t.Context(), b.tenant, bytes.NewReader(data), About{Program: true})
	if err != nil {
		t.Fatal(err)
	}
	for requested, code := range map[string]problem.Code{"": "", "s.txt": "", "t.txt": problem.Invalid} {
		if c, err := b.ProgramConfig(t.Context(), s, requested); c.Path != requested && err == nil || problem.CodeOf(err) != code {
			t.Errorf("%q: %q, %v", requested, c.Path, err)
		}
	}
}

// TestATenantHasAFewChecksAtOnce: everything that reads whole scenarios waits for its turn, takes one turn only, and leaves nothing behind
// when it is refused.
func TestATenantHasAFewChecksAtOnce(t *testing.T) {
	t.Parallel()
	data := scenarioOf(t, "")
	other := func() io.Reader { return bytes.NewReader(scenarioOf(t, "<!-- another -->")) }
	for name, call := range map[string]func(b intakeBundle, s Scenario, upload string) error{
		"an upload": func(b intakeBundle, _ Scenario, _ string) error {
			_, _, err := b.Accept(t.Context(), b.tenant, other(), About{})
			return err
		},
		"a check": func(b intakeBundle, _ Scenario, _ string) error {
			_, err := b.Validate(t.Context(), b.tenant, bytes.NewReader(data), About{})
			return err
		},
		"a derived scenario": func(b intakeBundle, s Scenario, _ string) error {
			_, _, err := b.derive(t, s.Digest, zipOf(t, part{name: "notes.txt", text: "new"}))
			return err
		},
		"a direct upload": func(b intakeBundle, _ Scenario, upload string) error {
			_, _, err := b.Complete(t.Context(), b.tenant, upload, false)
			return err
		},
		"a scenario of an older release": func(b intakeBundle, s Scenario, _ string) error {
			s.Manifest.Checked = 0
			_, err := b.Config(t.Context(), s, "")
			return err
		},
		"a study's trial": func(b intakeBundle, s Scenario, _ string) error {
			ctx, end, err := b.Share.Begin(t.Context(), b.tenant.ID) // as the plan of the study does
			if err != nil {
				return err
			}
			defer end()
			s.Manifest.Checked = 0
			_, err = b.Trial(ctx, s, "")
			return err
		},
		"an import": func(b intakeBundle, _ Scenario, _ string) error {
			b.tenant.InputBuckets = []string{"inputs"}
			im := Importer{Intake: b.Intake, Inputs: inputs{bytes.NewReader(data)}, OwnBucket: "own"}
			_, err := im.Import(t.Context(), b.tenant, []string{"s3://inputs/x.zip"}, About{})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, _, upload, _ := begun(t, data, "")
			s := b.accept(t, scenarioOf(t, "<!-- the parent -->"))
			b.Share = &fairness.Bound{Most: 1, Patience: time.Millisecond}
			_, end, err := b.Share.Begin(t.Context(), b.tenant.ID)
			if err != nil {
				t.Fatal(err)
			}
			before := len(b.objects.data)
			if err := call(b, s, upload); problem.CodeOf(err) != problem.RateLimited || len(b.objects.data) != before {
				t.Errorf("beside another one: %v; of %d objects there are %d", err, before, len(b.objects.data))
			}
			end()
			if err := call(b, s, upload); err != nil {
				t.Errorf("alone: %v", err)
			}
			if _, end, err = b.Share.Begin(t.Context(), b.tenant.ID); err != nil {
				t.Fatalf("afterwards: %v", err)
			}
			end()
		})
	}
}

// inputs has one object in every place.
type inputs struct{ object *bytes.Reader }

func (in inputs) OpenInput(context.Context, string, string) (io.ReadCloser, int64, error) {
	return io.NopCloser(in.object), in.object.Size(), nil
}
