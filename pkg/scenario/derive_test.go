package scenario

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/tenant"
)

func (r *records) PutDerived(ctx context.Context, s Scenario, from string) (Scenario, bool, error) {
	if r.beforeDerived != nil {
		r.beforeDerived()
	}
	if _, err := r.Scenario(ctx, s.TenantID, from); err != nil {
		return Scenario{}, false, err
	}
	return r.PutScenario(ctx, s)
}

// accept stores an upload.
func (b intakeBundle) accept(t testing.TB, data []byte) Scenario {
	t.Helper()
	s, _, err := b.Accept(t.Context(), b.tenant, bytes.NewReader(data), About{Name: "base"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (b intakeBundle) derive(t testing.TB, from string, changes []byte, deleted ...string) (Scenario, bool, error) {
	t.Helper()
	d := Derivation{From: from, Delete: deleted}
	if changes != nil {
		d.Files = bytes.NewReader(changes)
	}
	s, _, created, err := b.Derive(t.Context(), b.tenant, d)
	return s, created, err
}

func (b intakeBundle) mustDerive(t testing.TB, from string, changes []byte, deleted ...string) Scenario {
	t.Helper()
	s, _, err := b.derive(t, from, changes, deleted...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// extracted returns what Extract writes of c, in a folder of its own below dir: its files with their texts, and its folders.
func extracted(t testing.TB, dir string, c Content) (tree map[string]string, err error) {
	t.Helper()
	into, failed := os.MkdirTemp(dir, "")
	root, opened := os.OpenRoot(into)
	if err := errors.Join(failed, opened); err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := Extract(t.Context(), c, DefaultLimits(), root, nil); err != nil {
		return nil, err
	}
	tree = map[string]string{}
	if err := fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			tree[name+"/"] = ""
			return err
		}
		text, err := fs.ReadFile(root.FS(), name)
		tree[name] = string(text)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return tree, nil
}

const otherRoutes = `<routes><vehicle id="other" depart="0"><route edges="e"/></vehicle></routes>`

func TestADerivedScenarioIsTheSameFilesInOneZip(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		base    []byte
		changes []part // nil for no zip
		deleted []string
		want    []byte // in one zip
		diff    Differences
	}{
		"a changed file": {
			base: scenarioOf(t, ""), changes: []part{{name: "r.rou.xml", text: otherRoutes}},
			want: scenarioOf(t, "", entryOf("r.rou.xml", otherRoutes)), diff: Differences{Changed: []string{"r.rou.xml"}, Total: 1},
		},
		"an added and a deleted file": {
			base: scenarioOf(t, "", entryOf("old/x.txt", "x")), changes: []part{{name: "new/y.txt", text: "y"}}, deleted: []string{"old/x.txt"},
			want: scenarioOf(t, "", entryOf("new/y.txt", "y")),
			diff: Differences{Added: []string{"new/y.txt"}, Deleted: []string{"old/x.txt"}, Total: 2},
		},
		"a folder that is replaced": {
			base:    scenarioOf(t, "", entryOf("d/x", "x"), entryOf("d/y", "y"), entryOf("dx", "stays")),
			changes: []part{{name: "d/y", text: "new"}}, deleted: []string{"d/"},
			want: scenarioOf(t, "", entryOf("dx", "stays"), entryOf("d/y", "new")),
			diff: Differences{Changed: []string{"d/y"}, Deleted: []string{"d/x"}, Total: 2},
		},
		"only deletions": {
			base: scenarioOf(t, "", entryOf("x", "x"), entryOf("y", "y")), deleted: []string{"./y"},
			want: scenarioOf(t, "", entryOf("x", "x")), diff: Differences{Deleted: []string{"y"}, Total: 1},
		},
		"a file that is sent again counts for nothing": {
			base: scenarioOf(t, ""), changes: []part{{name: "n.net.xml", text: net}, {name: "x", text: "x"}},
			want: scenarioOf(t, "", entryOf("x", "x")), diff: Differences{Added: []string{"x"}, Total: 1},
		},
		"litter counts for nothing": {
			base: scenarioOf(t, ""), changes: []part{{name: "__MACOSX/._x", text: "?"}, {name: "x", text: "x"}},
			want: scenarioOf(t, "", entryOf("x", "x")), diff: Differences{Added: []string{"x"}, Total: 1},
		},
		"a name with the separator of Windows, and one in its code page": {
			base:    scenarioOf(t, "", part{name: "gr\x81n.txt", text: "x", change: func(h *zip.FileHeader) { h.NonUTF8 = true }}),
			changes: []part{{name: `d\x`, text: "x"}}, deleted: []string{"grün.txt"},
			want: scenarioOf(t, "", entryOf("d/x", "x")), diff: Differences{Added: []string{"d/x"}, Deleted: []string{"grün.txt"}, Total: 2},
		},
		"an unusable file is replaced": {
			base:    scenarioOf(t, "", part{name: "link", text: "to", change: mode(0o777 | fs.ModeSymlink)}),
			changes: []part{{name: "link", text: "x"}},
			want:    scenarioOf(t, "", entryOf("link", "x")), diff: Differences{Changed: []string{"link"}, Total: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupIntake()
			base := b.accept(t, tc.base)
			var changes []byte
			if tc.changes != nil {
				changes = zipOf(t, tc.changes...)
			}
			s, created, err := b.derive(t, base.Digest, changes, tc.deleted...)
			if err != nil || !created {
				t.Fatalf("created=%t, %v", created, err)
			}
			tc.diff.Base = base.Digest
			if diff := cmp.Diff(tc.diff, s.Derived); diff != "" {
				t.Errorf("what differs (-want +got):\n%s", diff)
			}
			if s.Name != "base" || s.Key != base.Key || s.OverlaySize != int64(len(b.objects.data[s.OverlayKey])) {
				t.Errorf("got %+v", s)
			}
			want, err := inspect(t, tc.want, DefaultLimits())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, s.Manifest, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("manifest (-one zip +derived):\n%s", diff)
			}
			tree, err := extracted(t, t.TempDir(), Zip(bytes.NewReader(tc.want), int64(len(tc.want))))
			got, gotErr := extracted(t, t.TempDir(), s.Content(t.Context(), b.objects))
			if diff := cmp.Diff(tree, got); diff != "" || err != nil || gotErr != nil {
				t.Errorf("tree, %v, %v (-one zip +derived):\n%s", err, gotErr, diff)
			}
			again, created, err := b.derive(t, base.Digest, changes, tc.deleted...)
			if diff := cmp.Diff(s, again); diff != "" || created || err != nil {
				t.Errorf("the same derivation again: created=%t, %v\n%s", created, err, diff)
			}
			if keys := b.keys(); !slices.Equal(keys, slices.Sorted(slices.Values([]string{s.Key, s.OverlayKey}))) {
				t.Errorf("left %q", keys)
			}
		})
	}
}

func (b intakeBundle) keys() []string {
	b.objects.mu.Lock()
	defer b.objects.mu.Unlock()
	return slices.Sorted(maps.Keys(b.objects.data))
}

func TestADerivationOfADerivationIsOneOverlay(t *testing.T) {
	t.Parallel()
	b := setupIntake()
	base := b.accept(t, scenarioOf(t, "", entryOf("x", "x"), entryOf("y", "y")))
	direct := b.mustDerive(t, base.Digest, zipOf(t, entryOf("x", "2"), entryOf("z", "z")), "y")
	first := b.mustDerive(t, base.Digest, zipOf(t, entryOf("x", "1"), entryOf("w", "w"), entryOf("z", "z")))
	second := b.mustDerive(t, first.Digest, zipOf(t, entryOf("x", "2")), "y", "w")
	if direct.Digest != second.Digest || second.Key != base.Key || second.Derived.Base != base.Digest {
		t.Errorf("by two steps %+v, by one %+v", second, direct)
	}
	back := b.mustDerive(t, second.Digest, zipOf(t, entryOf("y", "y")))
	if d, want := back.Derived, []string{"x", "z"}; !slices.Equal(slices.Concat(d.Changed, d.Added), want) || d.Deleted != nil {
		t.Errorf("y is back: %+v", back.Derived)
	}
	for _, known := range []bool{true, false} {
		if !known { // its zip is still there, since others need it
			delete(b.records.known, base.TenantID+base.Digest)
		}
		undone, created, err := b.derive(t, second.Digest, zipOf(t, entryOf("x", "x"), entryOf("y", "y")), "z")
		if err != nil || created == known {
			t.Fatalf("created=%t, %v", created, err)
		}
		if diff := cmp.Diff(base, undone, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("without any difference (-base +got):\n%s", diff)
		}
	}
	other := b.accept(t, scenarioOf(t, "", entryOf("x", "x")))
	if s := b.mustDerive(t, other.Digest, zipOf(t, entryOf("x", "2"), entryOf("z", "z"))); s.Digest == direct.Digest {
		t.Error("the same changes to another zip are the same scenario")
	}
}

func TestADerivationIsRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		changes []byte
		deleted []string
		limits  func(*Limits)
		code    problem.Code
		says    string
	}{
		"nothing":                 {code: problem.Invalid, says: "Nothing would change"},
		"the same file":           {changes: zipOf(t, entryOf("n.net.xml", net)), code: problem.Invalid, says: "Nothing would change"},
		"an empty zip":            {changes: zipOf(t), code: problem.Invalid, says: "Nothing would change"},
		"an unknown file":         {deleted: []string{"q.xml"}, code: problem.Invalid, says: `"q.xml" is no file or folder`},
		"the scenario":            {deleted: []string{"."}, code: problem.Invalid, says: `"." is no file or folder`},
		"the beginning of a name": {deleted: []string{"n.net"}, code: problem.Invalid, says: `"n.net" is no file or folder`},
		"sent and deleted": {
			changes: zipOf(t, entryOf("x", "x")), deleted: []string{"x"}, code: problem.Invalid, says: `"x" is in the zip and`,
		},
		"the configuration":       {deleted: []string{"s.sumocfg"}, code: problem.ScenarioInvalid, says: "no .sumocfg"},
		"what the scenario needs": {deleted: []string{"n.net.xml"}, code: problem.ScenarioInvalid, says: "n.net.xml"},
		"everything":              {deleted: []string{"n.net.xml", "s.sumocfg", "r.rou.xml"}, code: problem.ScenarioInvalid, says: "is empty"},
		"no zip":                  {changes: []byte("no zip"), code: problem.ScenarioInvalid, says: "not a zip"},
		"a link": {
			changes: zipOf(t, part{name: "x", text: "y", change: mode(0o777 | fs.ModeSymlink)}), code: problem.ScenarioInvalid, says: "link",
		},
		"a name outside":            {changes: zipOf(t, entryOf("../x", "x")), code: problem.ScenarioInvalid, says: ".."},
		"the name of the list":      {changes: zipOf(t, entryOf(deltaName, "{}")), code: problem.ScenarioInvalid, says: "absolute"},
		"a file that is no network": {changes: zipOf(t, entryOf("n.net.xml", "<x/>")), code: problem.ScenarioInvalid, says: "n.net.xml"},
		"too much unpacked": {
			changes: zipOf(t, entryOf("x", strings.Repeat("x", 1500))), limits: func(l *Limits) { l.Unpacked = 1600 },
			code: problem.ScenarioInvalid, says: "which is the limit",
		},
		"too many files": {
			changes: zipOf(t, entryOf("x", "x"), entryOf("y", "y")), limits: func(l *Limits) { l.Entries = 4 },
			code: problem.ScenarioInvalid, says: "5 files and folders",
		},
		"too many bytes": {
			changes: zipOf(t, stored("x", rand.Text()+rand.Text())),
			limits:  func(l *Limits) { l.Upload = int64(len(scenarioOf(t, ""))) + 50 },
			code:    problem.TooLarge, says: "at most",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupIntake()
			base := b.accept(t, scenarioOf(t, ""))
			if tc.limits != nil {
				tc.limits(&b.Limits)
			}
			_, _, err := b.derive(t, base.Digest, tc.changes, tc.deleted...)
			p, ok := errors.AsType[*problem.Error](err)
			if !ok || p.Code != tc.code || !strings.Contains(fmt.Sprint(p.Detail, p.Items), tc.says) {
				t.Errorf("got %v, want %s with %q", err, tc.code, tc.says)
			}
			if keys := b.keys(); !slices.Equal(keys, []string{base.Key}) {
				t.Errorf("left %q", keys)
			}
		})
	}
	b := setupIntake()
	_, _, err := b.derive(t, strings.Repeat("0", 64), zipOf(t))
	if problem.CodeOf(err) != problem.NotFound {
		t.Errorf("of no scenario: %v", err)
	}
}

// A base at the limit can be changed, as its zip could.
func TestWhatAnOverlayReplacesDoesNotCount(t *testing.T) {
	t.Parallel()
	b := setupIntake()
	base := b.accept(t, scenarioOf(t, "", stored("x", strings.Repeat("x", 4000))))
	b.Limits.Upload = base.Size
	b.mustDerive(t, base.Digest, zipOf(t, stored("x", strings.Repeat("y", 3000))))
}

// The base is read once, but for what is replaced, and its end, where the table of contents is, twice more: before the changes are
// settled, and when the whole is opened.
func TestADerivationReadsNoMoreOfItsBaseThanACheckNeeds(t *testing.T) {
	t.Parallel()
	b := setupIntake()
	noise := func(n int) string {
		raw := make([]byte, n)
		_, _ = rand.Read(raw)
		return string(raw)
	}
	parts := []part{stored("first.bin", noise(5*blockSize)), stored("second.bin", noise(5*blockSize)), stored("third.bin", noise(5*blockSize))}
	base := b.accept(t, scenarioOf(t, "", parts...))
	for name, replaced := range map[string]int64{"small.txt": 0, "first.bin": 5, "second.bin": 5, "third.bin": 5} {
		b.objects.read = map[string]int64{}
		b.mustDerive(t, base.Digest, zipOf(t, entryOf(name, "another")))
		most := base.Size + (2+2-replaced)*blockSize // what is replaced begins and ends within blocks
		if got := b.objects.read[base.Key]; got > most {
			t.Errorf("with another %s, %.1f of %.1f MiB were read", name, float64(got)/(1<<20), float64(base.Size)/(1<<20))
		}
	}
}

func TestADerivationYieldsToADeletedBase(t *testing.T) {
	t.Parallel()
	b := setupIntake()
	base := b.accept(t, scenarioOf(t, ""))
	b.records.beforeDerived = func() { delete(b.records.known, base.TenantID+base.Digest) }
	_, _, err := b.derive(t, base.Digest, zipOf(t, entryOf("x", "x")))
	if problem.CodeOf(err) != problem.NotFound {
		t.Errorf("got %v", err)
	}
	if keys := b.keys(); !slices.Equal(keys, []string{base.Key}) {
		t.Errorf("left %q", keys)
	}
}

// TestLayersReadAsOneZip derives from random scenarios, by one step or two, and compares with the same files in one zip.
func TestLayersReadAsOneZip(t *testing.T) {
	t.Parallel()
	names := []string{"s.sumocfg", "n.net.xml", "r.rou.xml", "a.add.xml", "d/x.xml", "d/y", "d", "D/y", "e/f/g.txt", "z.sumocfg"}
	texts := map[string][]string{
		"s.sumocfg": {cfg, strings.Replace(cfg, "</input>", `<additional-files value="a.add.xml"/></input>`, 1)},
		"z.sumocfg": {cfg, "<configuration/>", "no XML"},
		"n.net.xml": {net, net + "<!-- -->", "<net/>"},
		"r.rou.xml": {routes, otherRoutes, "<routes>"},
		"a.add.xml": {"<additional/>", `<additional><include href="d/x.xml"/></additional>`, `<!DOCTYPE x><additional/>`},
		"d/x.xml":   {"<additional/>", `<additional><edgeData id="e" file="e.xml"/></additional>`},
	}
	dir := t.TempDir()
	rapid.Check(t, func(r *rapid.T) {
		draw := func(label string) (parts []part) {
			for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, len(names), rapid.ID).Draw(r, label) {
				list := texts[name]
				if list == nil {
					list = []string{"", "one", gzipped("<x/>")}
				}
				text := rapid.SampledFrom(list).Draw(r, name)
				if rapid.Bool().Draw(r, "stored") {
					parts = append(parts, stored(name, text))
				} else {
					parts = append(parts, entryOf(name, text))
				}
			}
			return parts
		}
		base := draw("base")
		data := zipOf(t, base...)
		c := Zip(bytes.NewReader(data), int64(len(data)))
		now := slices.Clone(base) // what it should be
		var d delta
		files := map[string]part{}
		for _, p := range draw("changes") {
			now = slices.DeleteFunc(now, func(q part) bool { return q.name == p.name })
			files[p.name] = p
		}
		for _, p := range base {
			if _, changed := files[p.name]; !changed && rapid.IntRange(0, 3).Draw(r, "delete "+p.name) == 0 {
				now = slices.DeleteFunc(now, func(q part) bool { return q.name == p.name })
				d.Deleted = append(d.Deleted, p.name)
			}
		}
		slices.Sort(d.Deleted)
		d.Files = map[string]string{}
		var sent []part
		for _, name := range slices.Sorted(maps.Keys(files)) {
			d.Files[name] = "digest"
			sent = append(sent, files[name])
		}
		now = append(now, sent...)
		packed, err := zip.NewReader(bytes.NewReader(zipOf(t, sent...)), int64(len(zipOf(t, sent...))))
		if err != nil {
			t.Fatal(err)
		}
		raw := map[string]*zip.File{}
		for _, f := range packed.File {
			raw[f.Name] = f
		}
		var over bytes.Buffer
		if err := d.pack(t.Context(), &over, raw); err != nil {
			t.Fatal(err)
		}
		layers := c.Overlaid(bytes.NewReader(over.Bytes()), int64(over.Len()))
		whole := zipOf(t, now...)
		want, wantErr := inspect(t, whole, DefaultLimits())
		got, gotErr := Inspect(t.Context(), layers, DefaultLimits())
		if diff := cmp.Diff(want, got); diff != "" {
			r.Fatalf("manifest (-one zip +layers):\n%s", diff)
		}
		if diff := cmp.Diff(fmt.Sprintf("%+v", wantErr), fmt.Sprintf("%+v", gotErr)); diff != "" {
			r.Fatalf("faults (-one zip +layers):\n%s", diff)
		}
		wantTree, wantErr := extracted(t, dir, Zip(bytes.NewReader(whole), int64(len(whole))))
		gotTree, gotErr := extracted(t, dir, layers)
		if diff := cmp.Diff(wantTree, gotTree); diff != "" || (wantErr == nil) != (gotErr == nil) {
			r.Fatalf("tree, %v, %v (-one zip +layers):\n%s", wantErr, gotErr, diff)
		}
	})
}

func TestAStepIsWhatItsDerivationChanges(t *testing.T) {
	t.Parallel()
	base := map[string]entry{}
	for _, name := range []string{"net", "rou", "add"} {
		base[name] = entry{entryName: entryName{name: name}}
	}
	for name, tt := range map[string]struct {
		before, after delta
		want          Differences
	}{
		"from the base": {
			delta{}, delta{Files: map[string]string{"net": "1", "new": "2"}, Deleted: []string{"add"}},
			Differences{Changed: []string{"net"}, Added: []string{"new"}, Deleted: []string{"add"}, Total: 3},
		},
		"what stays is left out": {
			delta{Files: map[string]string{"net": "1", "new": "2"}, Deleted: []string{"add"}},
			delta{Files: map[string]string{"net": "1", "new": "2", "rou": "3"}, Deleted: []string{"add"}},
			Differences{Changed: []string{"rou"}, Total: 1},
		},
		"what is changed again": {
			delta{Files: map[string]string{"net": "1", "new": "2"}}, delta{Files: map[string]string{"net": "4", "new": "5"}},
			Differences{Changed: []string{"net", "new"}, Total: 2},
		},
		"back to the base": {
			delta{Files: map[string]string{"net": "1", "new": "2"}, Deleted: []string{"add"}}, delta{},
			Differences{Changed: []string{"net"}, Added: []string{"add"}, Deleted: []string{"new"}, Total: 3},
		},
		"deleted after it was changed, and the reverse": {
			delta{Files: map[string]string{"net": "1"}, Deleted: []string{"add"}},
			delta{Files: map[string]string{"add": "1"}, Deleted: []string{"net"}},
			Differences{Added: []string{"add"}, Deleted: []string{"net"}, Total: 2},
		},
	} {
		if diff := cmp.Diff(tt.want, tt.after.since(tt.before, base)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestADerivationIsRepeatableAfterItsParentWasDeleted(t *testing.T) {
	t.Parallel()
	b := setupIntake()
	parent := b.accept(t, scenarioOf(t, "", part{name: "notes.txt", text: "old"}))
	changes := zipOf(t, part{name: "notes.txt", text: "new"})
	made := b.mustDerive(t, parent.Digest, changes)
	delete(b.records.known, parent.TenantID+parent.Digest)
	objects := len(b.objects.data)
	again, created, err := b.derive(t, parent.Digest, changes)
	if diff := cmp.Diff(made, again); err != nil || created || diff != "" {
		t.Errorf("repeated: created=%t, %v (-want +got):\n%s", created, err, diff)
	}
	for name, other := range map[string]func() error{
		"other changes": func() error {
			_, _, err := b.derive(t, parent.Digest, zipOf(t, part{name: "notes.txt", text: "other"}))
			return err
		},
		"a scenario that never was": func() error {
			_, _, err := b.derive(t, strings.Repeat("f", 64), changes)
			return err
		},
		"of another tenant": func() error {
			_, _, _, err := b.Derive(t.Context(), tenant.Tenant{ID: "u", Namespace: "sumo-u"},
				Derivation{From: parent.Digest, Files: bytes.NewReader(changes)})
			return err
		},
	} {
		if err := other(); problem.CodeOf(err) != problem.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(b.objects.data) != objects {
		t.Errorf("of %d objects there are %d", objects, len(b.objects.data))
	}
}
