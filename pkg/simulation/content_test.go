package simulation_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

const head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\n<!-- generated on 2026-11-29 19:06:39 by Eclipse SUMO sumo Version 1.18.0\n" +
	"<sumoConfiguration>\n    <a value=\"/tmp/1\"/>\n</sumoConfiguration>\n-->\n\n"

func contentOf(t testing.TB, name, text string) string {
	t.Helper()
	sum, ok, err := simulation.ContentSum(name, strings.NewReader(text))
	if err != nil || !ok {
		t.Fatalf("ContentSum(%s) = %q, %v, %v", name, sum, ok, err)
	}
	return sum
}

func zipped(t testing.TB, text string) string {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestContentSumsAreThoseOfWhatEqualRunsWrite(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 200<<10)
	for name, pair := range map[string]struct {
		file, one, other string
		equal            bool
	}{
		"the header does not count":         {"tripinfo.xml", head + "<tripinfos/>\n", "<!-- -- - -> generated --><tripinfos/>\n", true},
		"a comment inside counts":           {"a.xml", head + "<a>\n<!-- 1 -->\n</a>", head + "<a>\n<!-- 2 -->\n</a>", false},
		"a trip's duration counts":          {"tripinfo.xml", head + `<tripinfo duration="1"/>`, head + `<tripinfo duration="2"/>`, false},
		"an attribute counts":               {"tripinfo.xml", head + `<a b="1"/>`, head + `<a b="2"/>`, false},
		"performance does not":              {"s.xml", "<s>\n  <performance a=\"1\"/>\n</s>", "<s>\n  <performance a=\"23\"/>\n</s>", true},
		"what shares its line counts":       {"s.xml", "<s>\n<performance a=\"1\"/><v/>\n</s>", "<s>\n<performance a=\"1\"/><w/>\n</s>", true},
		"the time of a step does not":       {"s.xml", "<s>\n" + `<step a="1" duration="7"/>` + "\n", "<s>\n" + `<step a="1" duration="12"/>` + "\n", true},
		"the rest of a step does":           {"s.xml", "<s>\n" + `  <step a="1" duration="7"/>` + "\n", "<s>\n" + `  <step a="2" duration="7"/>` + "\n", false},
		"long lines count to their end":     {"l.xml", "<l " + long + "1/>\n", "<l " + long + "2/>\n", false},
		"other formats count as they are":   {"a.csv", "<!-- 1 -->", "<!-- 2 -->", false},
		"compression does not count":        {"f.xml.gz", zipped(t, head+"<f>\n<g/>\n</f>"), zipped(t, "<f>\n<g/>\n</f>"), true},
		"a configuration's header does not": {"000/iteration_000.sumocfg", head + "<c/>", "<!-- 1 -->\n<c/>", true},
		"what is compressed does":           {"f.xml.gz", zipped(t, head+"<f>\n<g/>\n</f>"), zipped(t, head+"<f>\n<h/>\n</f>"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if equal := contentOf(t, pair.file, pair.one) == contentOf(t, pair.file, pair.other); equal != pair.equal {
				t.Errorf("equal sums: %v, want %v", equal, pair.equal)
			}
		})
	}
	if contentOf(t, "f.xml.gz", zipped(t, head+"<f/>")) != contentOf(t, "f.xml", "<f/>") {
		t.Error("a file and itself compressed have different sums")
	}
}

func TestFilesThatCannotBeUnpackedHaveNoContentSum(t *testing.T) {
	t.Parallel()
	whole := zipped(t, strings.Repeat("<a/>\n", 10_000))
	bomb := zipped(t, strings.Repeat("0", 50<<20))
	for name, text := range map[string]string{"no gzip": "text", "empty": "", "cut": whole[:len(whole)/2], "a bomb": bomb} {
		if sum, ok, err := simulation.ContentSum("f.xml.gz", strings.NewReader(text)); ok || sum != "" || err != nil {
			t.Errorf("%s: ContentSum = %q, %v, %v", name, sum, ok, err)
		}
	}
	broken := errors.New("broken")
	for _, name := range []string{"a.xml", "a.xml.gz", "a.csv"} {
		r := io.MultiReader(strings.NewReader(whole[:100]), iotest.ErrReader(broken))
		if _, ok, err := simulation.ContentSum(name, r); ok || !errors.Is(err, broken) {
			t.Errorf("%s: ContentSum of a reader that breaks = %v, %v", name, ok, err)
		}
	}
}

func BenchmarkContentSum(b *testing.B) {
	vehicle := "        <vehicle id=\"17\" x=\"1.00\" y=\"2.00\" angle=\"90.00\" type=\"car\" speed=\"3\"/>\n"
	text := head + "<fcd-export>\n" + strings.Repeat(vehicle, 1_000_000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if _, _, err := simulation.ContentSum("fcd.xml", strings.NewReader(text)); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzContentSum(f *testing.F) {
	for _, seed := range []string{head + "<a/>", "<", "<!-", "<!--", "<?", "  <performance />", "<s>\n<step duration=\"",
		"<s>\n<step duration=\"1\"/>"} {
		f.Add("a.xml", []byte(seed))
		f.Add("a.xml.gz", []byte(zipped(f, seed)))
	}
	f.Fuzz(func(t *testing.T, name string, text []byte) {
		before := bytes.Clone(text)
		one, ok, err := simulation.ContentSum(name, bytes.NewReader(text))
		other, _, _ := simulation.ContentSum(name, iotest.OneByteReader(bytes.NewReader(text)))
		if err != nil || one != other || ok != (one != "") || !bytes.Equal(before, text) {
			t.Errorf("ContentSum(%q) = %q, %v, %v and %q in small pieces", name, one, ok, err, other)
		}
	})
}

func TestLogsAreNotCompared(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		simulation.LogFile: true, "dua.log": true, "000/iteration_000.sumo.log": true,
		"tripinfo.xml": false, "out/steps.csv": false, "log": false,
	} {
		if got := simulation.Varies(name) != ""; got != want {
			t.Errorf("%s varies: %v, want %v", name, got, want)
		}
	}
}
