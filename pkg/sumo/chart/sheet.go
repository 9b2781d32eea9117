package chart

import (
	"math"
	"strings"

	"golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// sheet is a picture that is as high as what it shows takes: a heading, a legend, panes, and notes below them.
type sheet struct {
	theme           theme
	title, subtitle string
	legend          []entry
	panes           []pane
	notes           []string
	columns         int // that panes stand in
}

// entry is a line of a legend.
type entry struct {
	text   string
	sample func(c *draw.Canvas, from, to vg.Point) // drawn between two points of a horizontal line
}

// pane is a plot with what belongs to it.
type pane struct {
	plot   *plot.Plot
	title  string
	legend []entry
	height vg.Length // of the plot with its axes
	// right are remarks beside the data, each at a value of the vertical axis.
	right []remark
	// message stands where there is nothing to draw.
	message string
	// above are texts at the top of the data, left and right of a value of the horizontal axis.
	above *sides
	// below is the name of the horizontal axis, in lines that fit. As the plot's own it would be kept within the data, by making that
	// smaller, which turns the axis around where the name is wider than the pane.
	below block
}

type remark struct {
	y    float64
	text string
}

type sides struct {
	at          float64
	left, right string
}

const (
	edge       = 10 // points around everything
	small      = 10 // points, of all text but headings
	lineHeight = 12.5
	thumb      = 30 // width of a legend's samples
)

// wrap breaks text into lines that are no wider than room: between words, and within a word that is wider itself.
func wrap(style draw.TextStyle, text string, room vg.Length) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		joined := strings.TrimSpace(line + " " + word)
		if style.Width(joined) <= room {
			line = joined
			continue
		}
		if line != "" {
			lines = append(lines, line)
		}
		line = ""
		for _, r := range word {
			if line != "" && style.Width(line+string(r)) > room {
				lines = append(lines, line)
				line = ""
			}
			line += string(r)
		}
	}
	return append(lines, line)
}

// flow arranges a legend's entries in lines of a width; an entry that is wider than a line is wrapped.
func (t theme) flow(entries []entry, width vg.Length) (placed []placedEntry, height vg.Length) {
	style := t.text(small, font.WeightNormal, t.ink)
	const gap = 18
	var x, y vg.Length
	lineCount := 1
	for _, e := range entries {
		lines := wrap(style, printable(e.text), width-thumb-6)
		var w vg.Length
		for _, l := range lines {
			w = max(w, thumb+6+style.Width(l))
		}
		if x > 0 && x+w > width {
			x, y, lineCount = 0, y+vg.Length(lineCount)*lineHeight+2, 1
		}
		placed = append(placed, placedEntry{e, lines, x, y})
		lineCount = max(lineCount, len(lines))
		x += w + gap
	}
	if len(entries) > 0 {
		height = y + vg.Length(lineCount)*lineHeight + 6
	}
	return placed, height
}

type placedEntry struct {
	entry
	lines []string
	x, y  vg.Length // of its upper left corner, y downwards
}

func (t theme) drawLegend(c draw.Canvas, placed []placedEntry, left, top vg.Length) {
	style := t.text(small, font.WeightNormal, t.ink)
	style.YAlign = draw.YTop
	for _, e := range placed {
		x, y := left+e.x, top-e.y
		middle := y - lineHeight/2 - 1
		e.sample(&c, vg.Point{X: x, Y: middle}, vg.Point{X: x + thumb, Y: middle})
		for i, line := range e.lines {
			c.FillText(style, vg.Point{X: x + thumb + 6, Y: y - vg.Length(i)*lineHeight - 1}, line)
		}
	}
}

// block is wrapped text below each other.
type block struct {
	style  draw.TextStyle
	lines  []string
	height vg.Length // of a line
}

func (t theme) block(size vg.Length, weight font.Weight, c colour, text string, width vg.Length) block {
	style := t.text(size, weight, c)
	style.YAlign = draw.YTop
	b := block{style: style, height: size * 1.25}
	if text = printable(text); text != "" {
		b.lines = wrap(style, text, width)
	}
	return b
}

func (b block) total() vg.Length { return vg.Length(len(b.lines)) * b.height }

func (b block) draw(c draw.Canvas, left, top vg.Length) {
	for i, line := range b.lines {
		c.FillText(b.style, vg.Point{X: left, Y: top - vg.Length(i)*b.height}, line)
	}
}

// layout is a sheet with every text broken into lines for a width.
type layout struct {
	sheet
	width, height           vg.Length
	head, sub               block
	legendAt                []placedEntry
	legendHeight, paneWidth vg.Length
	below                   []block
	rowHeights              []vg.Length
	paneHeads               []block
	paneLegends             [][]placedEntry
}

const (
	paneGap = 12
	headGap = 4
)

func (s sheet) layout(width vg.Length) *layout {
	inner := width - 2*edge
	t := s.theme
	l := &layout{
		sheet: s, width: width, head: t.block(14, font.WeightBold, t.ink, s.title, inner),
		sub: t.block(small, font.WeightNormal, t.faint, s.subtitle, inner),
	}
	l.columns = max(1, l.columns)
	l.legendAt, l.legendHeight = t.flow(s.legend, inner)
	l.paneWidth = (inner - paneGap*vg.Length(l.columns-1)) / vg.Length(l.columns)
	l.height = edge + l.head.total() + 2 + l.sub.total() + 8 + l.legendHeight
	for i := range s.panes {
		s.panes[i].name(t, l.paneWidth)
		p := s.panes[i]
		head := t.block(11, font.WeightBold, t.ink, p.title, l.paneWidth)
		placed, height := t.flow(p.legend, l.paneWidth)
		l.paneHeads, l.paneLegends = append(l.paneHeads, head), append(l.paneLegends, placed)
		if i%l.columns == 0 {
			l.rowHeights = append(l.rowHeights, 0)
		}
		last := &l.rowHeights[len(l.rowHeights)-1]
		*last = max(*last, head.total()+headGap+height+p.height)
	}
	for _, h := range l.rowHeights {
		l.height += h + paneGap
	}
	for _, note := range s.notes {
		b := t.block(9, font.WeightNormal, t.faint, note, inner)
		l.below = append(l.below, b)
		l.height += b.total() + 3
	}
	l.height += edge - 4
	return l
}

func (l *layout) draw(c draw.Canvas) {
	t := l.theme
	c.SetColor(t.background)
	c.Fill(c.Path())
	left, top := c.Min.X+edge, c.Max.Y-edge
	l.head.draw(c, left, top)
	top -= l.head.total() + 2
	l.sub.draw(c, left, top)
	top -= l.sub.total() + 8
	t.drawLegend(c, l.legendAt, left, top)
	top -= l.legendHeight
	for i, p := range l.panes {
		x, y := left+vg.Length(i%l.columns)*(l.paneWidth+paneGap), top
		l.paneHeads[i].draw(c, x, y)
		y -= l.paneHeads[i].total() + headGap
		t.drawLegend(c, l.paneLegends[i], x, y)
		bottom := top - l.rowHeights[i/l.columns]
		p.draw(t, draw.Canvas{
			Canvas: c.Canvas, Rectangle: vg.Rectangle{Min: vg.Point{X: x, Y: bottom}, Max: vg.Point{X: x + l.paneWidth, Y: bottom + p.height}},
		})
		if i%l.columns == l.columns-1 || i == len(l.panes)-1 {
			top = bottom - paneGap
		}
	}
	for _, b := range l.below {
		b.draw(c, left, top)
		top -= b.total() + 3
	}
}

// name breaks the names of both axes into lines that fit. The pane becomes higher by what the horizontal one takes beyond a line.
func (p *pane) name(t theme, width vg.Length) {
	x, y := &p.plot.X.Label, &p.plot.Y.Label
	const ends = 70 // height of what is above and below the vertical axis
	y.Text = strings.Join(wrap(y.TextStyle, y.Text, p.height-ends), "\n")
	p.below = t.block(x.TextStyle.Font.Size, font.WeightNormal, t.ink, x.Text, width)
	p.height += vg.Length(max(len(p.below.lines)-1, 0)) * p.below.height
	x.Text = ""
}

// remarkStyle is that of texts beside the data.
func (t theme) remarkStyle() draw.TextStyle {
	style := t.text(9.5, font.WeightNormal, t.ink)
	style.YAlign = draw.YCenter
	return style
}

func (p pane) draw(t theme, c draw.Canvas) {
	style := t.remarkStyle()
	var room vg.Length
	for _, r := range p.right {
		for line := range strings.SplitSeq(r.text, "\n") {
			room = max(room, style.Width(line)+8)
		}
	}
	if p.above != nil {
		c.Max.Y -= lineHeight + 2
	}
	c.Max.X -= max(room, 6)
	whole := c
	if len(p.below.lines) > 0 {
		c.Min.Y += p.below.total() + p.plot.X.Label.Padding
	}
	p.plot.Draw(c)
	data := p.plot.DataCanvas(c)
	whole.Max.X += max(room, 6)
	for i, line := range p.below.lines {
		width := p.below.style.Width(line)
		// In the middle of the data, as far as the pane is wide enough for that.
		left := max(min(data.Center().X-width/2, whole.Max.X-width), whole.Min.X)
		c.FillText(p.below.style, vg.Point{X: left, Y: whole.Min.Y + p.below.total() - vg.Length(i)*p.below.height}, line)
	}
	x, y := p.plot.Transforms(&data)
	if p.message != "" {
		centred := t.text(12, font.WeightNormal, t.ink)
		centred.XAlign, centred.YAlign = draw.XCenter, draw.YCenter
		c.FillText(centred, data.Center(), p.message)
	}
	for _, r := range p.right {
		c.FillText(style, vg.Point{X: data.Max.X + 8, Y: y(r.y) + style.FontExtents().Descent/2}, r.text)
	}
	if s := p.above; s != nil {
		style, at, top := t.text(small, font.WeightNormal, t.ink), x(s.at), data.Max.Y+3
		// A side that is narrower than its text lets the text reach across the line rather than out of the picture.
		const gap = 6
		c.FillText(style, vg.Point{X: max(at-gap-style.Width(s.left), c.Min.X), Y: top}, s.left)
		c.FillText(style, vg.Point{X: min(at+gap, c.Max.X+room-style.Width(s.right)), Y: top}, s.right)
	}
}

// span is the range of an axis that shows all of some values, with a little room around them.
type span struct{ least, most float64 }

func newSpan() *span { return &span{math.Inf(1), math.Inf(-1)} }

func (s *span) add(values ...float64) {
	for _, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			s.least, s.most = math.Min(s.least, v), math.Max(s.most, v)
		}
	}
}

// set gives an axis the range.
func (s *span) set(a *plot.Axis) {
	least, most := s.least, s.most
	if least > most {
		least, most = 0, 1
	}
	size := math.Max(math.Abs(least), math.Abs(most))
	// Less than this share of the values is rounding, and the ticks would have the same labels.
	if room := 1e-6 * size; most-least <= room {
		room = math.Max(room, 0.02*size)
		if size == 0 {
			room = 1
		}
		least, most = least-room, most+room
	}
	room := 0.05 * (most - least)
	a.Min, a.Max = least-room, most+room
}
