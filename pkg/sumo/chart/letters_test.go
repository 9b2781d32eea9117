package chart

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/image/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// named is a plot of a run with a name, which its title and its legend show.
func named(t *testing.T, name string, o Options) string {
	t.Helper()
	o.Width, o.Height, o.Subtitle = 600, 400, name
	var b bytes.Buffer
	if err := Draw(&b, Kinds()[0], []Run{run(name), run("another")}, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestAPNGHasABoxForEachCharacterThatOurTypefaceLacks(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"北京 peak": "□□ peak", "日本": "□□", "서울": "□□", "กรุง": "□□□", "हिन्दी": "□□□", "😀": "□",
		"Łódź": "Łódź", "Αθήνα": "Αθήνα", "Київ": "Київ", "CO₂ → 0": "CO₂ → 0",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if named(t, name, Options{}) != named(t, want, Options{}) {
				t.Errorf("the PNG is not that of %s", want)
			}
			if name != want && named(t, name, Options{}) == named(t, strings.ReplaceAll(want, "□", ""), Options{}) {
				t.Error("the PNG has gaps")
			}
			if svg := named(t, name, Options{SVG: true}); strings.Count(svg, ">"+name+"<") != 2 {
				t.Errorf("the SVG does not have the name twice:\n%s", svg)
			}
		})
	}
}

func TestTextInOtherScriptsHasTheRoomThatItTakes(t *testing.T) {
	t.Parallel()
	const size = 10
	for _, test := range []struct {
		text      string
		svg       bool
		least, to vg.Length
	}{
		{"北京", true, 2 * size, 2 * size},
		{"ก", true, size / 2, size / 2},
		{"北京", false, 1.1 * size, 2 * size},
		{"", true, 0, 0},
	} {
		style := Options{SVG: test.svg}.theme().text(size, font.WeightNormal, light.ink)
		if got := style.Width(test.text); got < test.least || got > test.to {
			t.Errorf("%q, as SVG %t, is %g points wide, want %g to %g", test.text, test.svg, got, test.least, test.to)
		}
	}
}

func TestTextInOtherScriptsEndsWhereItIsAligned(t *testing.T) {
	t.Parallel()
	style := Options{SVG: true}.theme().text(10, font.WeightNormal, light.ink)
	style.XAlign = draw.XRight
	svg := vgsvg.NewWith(vgsvg.UseWH(200, 50))
	canvas := draw.New(svg)
	canvas.FillText(style, vg.Point{X: 100, Y: 20}, "北京")
	var b bytes.Buffer
	if _, err := svg.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), `<text x="80" `) {
		t.Errorf("two characters of 10 points that end at 100 do not begin at 80:\n%s", b.String())
	}
}
