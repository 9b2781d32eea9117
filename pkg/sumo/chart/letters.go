package chart

import (
	"strings"
	"unicode"

	"github.com/mattn/go-runewidth"
	"golang.org/x/image/font/sfnt"
	plotfont "gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
)

// missing stands in a PNG for a character that our typeface lacks: a font with all of Chinese, Japanese and Korean takes more than
// 10 MB. The viewer of an SVG has fonts of its own.
const missing = '□'

// letters draws text, and measures it, where our typeface lacks some of its characters. Plain draws nothing for these, and counts three
// quarters of an em for each.
type letters struct {
	text.Plain
	svg bool
}

// Box implements text.Handler.
func (l letters) Box(txt string, fnt plotfont.Font) (width, height, depth vg.Length) {
	drawn, more := l.fit(txt, fnt)
	width, height, depth = l.Plain.Box(drawn, fnt)
	return width + more, height, depth
}

// Draw implements text.Handler.
func (l letters) Draw(c vg.Canvas, txt string, sty text.Style, pt vg.Point) {
	drawn, more := l.fit(txt, sty.Font)
	if sty.Rotation == 0 { // only titles of axes are turned, and those are ours
		pt.X += vg.Length(sty.XAlign) * more
	}
	l.Plain.Draw(c, drawn, sty, pt)
}

// fit returns txt as it is drawn, and by how much it is wider than our typeface says.
func (l letters) fit(txt string, fnt plotfont.Font) (drawn string, more vg.Length) {
	face := l.Fonts.Lookup(fnt, fnt.Size)
	var buffer sfnt.Buffer
	drawn = strings.Map(func(r rune) rune {
		if r < unicode.MaxASCII {
			return r
		}
		glyph, err := face.Face.GlyphIndex(&buffer, r)
		switch {
		case err == nil && glyph != 0:
			return r
		case l.svg:
			em := vg.Length(runewidth.RuneWidth(r)) / 2 // 1 for wide characters, as of Chinese
			more += em*fnt.Size - face.Width(string(r))
			return r
		case unicode.IsMark(r): // the character that it belongs to says enough
			return -1
		}
		return missing
	}, txt)
	return drawn, more
}
