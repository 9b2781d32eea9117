package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
)

// fewNames are limits under which little may be kept of names: made-up files that exceed it stay small.
func fewNames() Limits {
	limits := DefaultLimits()
	limits.Names = memoryBudget / 8
	return limits
}

// detectors is an additional file that takes so much of what fewNames lets be kept of names, in per cent.
func detectors(id string, percent int) string {
	var b strings.Builder
	b.WriteString("<additional>\n")
	long := strings.Repeat("x", 100) + "/" + strings.Repeat("y", 100) + "/" + id
	for i := range percent * fewNames().Names / 100 / (2*(len(long)+len("-12345.xml")+len("e1Detector")) + record) {
		fmt.Fprintf(&b, "<e1Detector file=\"%s-%05d.xml\"/>\n", long, i)
	}
	b.WriteString("</additional>")
	return b.String()
}

func TestOnlyNamesThatAConfigurationLeadsToCount(t *testing.T) {
	t.Parallel()
	config := func(additional string) string {
		return strings.Replace(cfg, "</input>", `<additional-files value="`+additional+`"/></input>`, 1)
	}
	zip := func(parts ...part) []byte {
		return zipOf(t, append(parts, entryOf("n.net.xml", net), entryOf("r.rou.xml", routes), entryOf("s.sumocfg", cfg))...)
	}
	huge := stored("huge.xml", detectors("h", 150))
	a, b, c := stored("a.xml", detectors("a", 60)), stored("b.xml", detectors("b", 60)), stored("c.xml", detectors("c", 60))
	outer := entryOf("outer.xml", `<additional><include href="b.xml"/></additional>`)
	use := func(name, files string) part { return entryOf(name+".sumocfg", config(files)) }
	for name, test := range map[string]struct {
		zip     []byte
		outputs map[string]bool // whether a configuration is sound
	}{
		"unused, at the beginning": {zip(huge, use("a", "a.xml"), a), map[string]bool{"a": true, "s": true}},
		"unused, at the end":       {zip(use("a", "a.xml"), a, huge), map[string]bool{"a": true, "s": true}},
		"used by another": {
			zip(use("h", "huge.xml"), huge, use("a", "a.xml"), a), map[string]bool{"h": false, "a": true, "s": true},
		},
		"each for itself": {
			zip(a, b, c, use("a", "a.xml"), use("b", "b.xml"), use("c", "c.xml")), map[string]bool{"a": true, "b": true, "c": true},
		},
		"behind an include":                 {zip(use("o", "outer.xml"), outer, a, b), map[string]bool{"o": true}},
		"too many together":                 {zip(a, b, use("ab", "a.xml,b.xml"), use("a", "a.xml")), map[string]bool{"ab": false, "a": true}},
		"too many together with an include": {zip(a, b, use("ao", "a.xml,outer.xml"), outer), map[string]bool{"ao": false, "s": true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := inspect(t, test.zip, fewNames())
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range m.Configs {
				want, ok := test.outputs[strings.TrimSuffix(c.Path, ".sumocfg")]
				if !ok {
					continue
				}
				tooMany := slices.ContainsFunc(c.Problems, func(i problem.Item) bool {
					return strings.Contains(i.Message, "names of files than can be checked")
				})
				if want != sound(c) || want == tooMany || want && c.Path != "s.sumocfg" && len(c.Outputs) < 1000 {
					t.Errorf("%s: %d outputs, %v", c.Path, len(c.Outputs), c.Problems)
				}
			}
		})
	}
}

// The oddities of a file count for a strict run also when they did not fit at first.
func TestWhatIsReadAgainIsJudgedInFull(t *testing.T) {
	t.Parallel()
	odd := strings.Replace(detectors("b", 60), "<additional>", `<additional><e1Detector file="o.xml" colour="red"/>`, 1)
	m, err := inspect(t, scenarioOf(t, `<a value="b.xml"/>`, stored("a.xml", detectors("a", 70)), stored("b.xml", odd),
		stored("c.xml", detectors("c", 70))), fewNames())
	if err != nil {
		t.Fatal(err)
	}
	if strict := m.Configs[0].Strict(Interval{End: 1}); len(strict) != 1 || !strings.Contains(strict[0].Message, `"colour"`) {
		t.Errorf("a strict run is refused for %v", strict)
	}
}

// A made-up zip makes us read no file any number of times.
func TestFilesAreReadAgainWithinLimits(t *testing.T) {
	t.Parallel()
	parts := []part{entryOf("n.net.xml", net), entryOf("r.rou.xml", routes)}
	var names []string
	for i := range 12 {
		names = append(names, fmt.Sprintf("%d.xml", i))
		parts = append(parts, stored(names[i], detectors(fmt.Sprint(i), 12)))
	}
	for i := range 20 {
		half := strings.Join(names[i%2*6:][:6], ",")
		parts = append(parts, entryOf(fmt.Sprintf("%d.sumocfg", i), strings.Replace(cfg, "</input>", `<a value="`+half+`"/></input>`, 1)))
	}
	data := zipOf(t, parts...)
	limits := fewNames()
	limits.Unpacked = 1 << 20
	counted := &counting{r: bytes.NewReader(data)}
	m, err := Inspect(t.Context(), Zip(counted, int64(len(data))), limits)
	if err != nil {
		t.Fatal(err)
	}
	if refused := len(m.Configs) - len(m.topmost(sound)); refused == 0 || refused == len(m.Configs) || counted.n > 4<<20 {
		t.Errorf("%d of %d configurations are refused, after %d KiB", refused, len(m.Configs), counted.n>>10)
	}
}

// counting counts the bytes that are read.
type counting struct {
	r io.ReaderAt
	n int
}

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.r.ReadAt(p, off)
	c.n += n
	return n, err
}

func TestAStoreThatFailsWhenAFileIsReadAgainIsNoFaultOfTheZip(t *testing.T) {
	t.Parallel()
	data := scenarioOf(t, `<a value="a.xml"/>`, stored("a.xml", detectors("a", 70)), stored("b.xml", detectors("b", 60)))
	away := errors.New("the store is unreachable")
	all := &counting{r: bytes.NewReader(data)}
	if _, err := Inspect(t.Context(), Zip(all, int64(len(data))), fewNames()); err != nil {
		t.Fatal(err)
	}
	for left := all.n - 100<<10; left < all.n; left += 20 << 10 {
		_, err := Inspect(t.Context(), Zip(&exhausted{bytes.NewReader(data), left, away}, int64(len(data))), fewNames())
		if !errors.Is(err, away) || problem.CodeOf(err) == problem.ScenarioInvalid {
			t.Errorf("got %v", err)
		}
	}
}

// exhausted fails after so many bytes.
type exhausted struct {
	r    io.ReaderAt
	left int
	err  error
}

func (e *exhausted) ReadAt(p []byte, off int64) (int, error) {
	if e.left -= len(p); e.left < 0 {
		return 0, e.err
	}
	return e.r.ReadAt(p, off)
}
