package chart

import (
	"image/color"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

type colour = color.RGBA

// theme is the colours of a plot, and where its typefaces come from.
type theme struct {
	background, ink, faint, grid colour
	palette                      [MostRuns]colour
	svg                          bool
}

// The palettes are that of Okabe and Ito, which people with common colour blindnesses can distinguish, with
// the yellow and the black replaced by what stands out from the background.
var (
	light = theme{
		background: rgb(0xffffff), ink: rgb(0x26323d), faint: rgb(0x5b6875), grid: rgb(0xe3e7eb),
		palette: [...]colour{rgb(0x0072b2), rgb(0xd55e00), rgb(0x009e73), rgb(0xcc79a7), rgb(0xb58900), rgb(0x56b4e9), rgb(0x6a4c93),
			rgb(0x555555)},
	}
	dark = theme{
		background: rgb(0x14191f), ink: rgb(0xdde4ea), faint: rgb(0x9aa7b3), grid: rgb(0x2a323b),
		palette: [...]colour{rgb(0x4aa8e0), rgb(0xf08a3c), rgb(0x2fc79a), rgb(0xe3a0c6), rgb(0xe6c34a), rgb(0x8fd0f5), rgb(0xb199d6),
			rgb(0xb8bec4)},
	}
)

func rgb(hex uint32) colour {
	return colour{R: uint8(hex >> 16), G: uint8(hex >> 8), B: uint8(hex), A: 0xff}
}

// dashes mark what is not measured like the rest.
var dashes = []vg.Length{vg.Points(4), vg.Points(3)}

// line is the style of the curve with number n.
func (t theme) line(n int) draw.LineStyle {
	return draw.LineStyle{Color: t.palette[n%MostRuns], Width: vg.Points(1.4)}
}

// fill makes the colour of an area from that of its outline. It mixes with the background rather than being
// transparent, so that the grid does not shine through.
func (t theme) fill(c color.Color) color.Color {
	of, share := c.(colour), 0.18
	mix := func(a, b uint8) uint8 { return uint8(share*float64(a) + (1-share)*float64(b)) }
	return colour{R: mix(of.R, t.background.R), G: mix(of.G, t.background.G), B: mix(of.B, t.background.B), A: 0xff}
}
