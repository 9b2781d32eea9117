package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"image/color"
	"image/png"
	"io"
	"math"
	"strconv"

	"golang.org/x/image/font"
	"gonum.org/v1/plot"
	plotfont "gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"

	"github.com/sumo-k8/sumo-k8/pkg/client/internal/show"
)

const (
	plotWidth  = 1200 // pixels
	plotHeight = 700  // pixels
	// plotDPI makes a text of 11 points 18 pixels high: readable on a screen and on a slide.
	plotDPI = 120
	// headroom above the highest value keeps the legend off the curves.
	headroom = 1.3
)

// sample is one simulated step of a summary-output of SUMO.
type sample struct {
	time    float64 // seconds
	running float64 // vehicles in the network
	halting float64 // those of them slower than 0.1 m/s
	speed   float64 // mean of the running vehicles, m/s
}

// moving reports whether the sample has a mean speed: SUMO writes -1 while nobody is under way.
func (s sample) moving() bool { return s.speed >= 0 }

// readSeries reads a summary-output.
func readSeries(r io.Reader) ([]sample, error) {
	var series []sample
	decoder := xml.NewDecoder(r)
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading the summary output: %w", err)
		}
		step, ok := token.(xml.StartElement)
		if !ok || step.Name.Local != "step" {
			continue
		}
		var s sample
		fields := map[string]*float64{"time": &s.time, "running": &s.running, "halting": &s.halting, "meanSpeed": &s.speed}
		for _, a := range step.Attr {
			if field := fields[a.Name.Local]; field != nil {
				if *field, err = strconv.ParseFloat(a.Value, 64); err != nil {
					return nil, fmt.Errorf("reading the summary output: %s=%q is not a number", a.Name.Local, a.Value)
				}
			}
		}
		series = append(series, s)
	}
	if len(series) == 0 {
		return nil, errors.New("the summary output has no steps")
	}
	return series, nil
}

var (
	blue   = color.RGBA{R: 0x1f, G: 0x6f, B: 0xb5, A: 0xff}
	sky    = color.RGBA{R: 0xd6, G: 0xe6, B: 0xf4, A: 0xff} // the blue, thinned with white
	orange = color.RGBA{R: 0xd9, G: 0x6a, B: 0x0f, A: 0xff}
	green  = color.RGBA{R: 0x22, G: 0x88, B: 0x55, A: 0xff}
	dark   = color.RGBA{R: 0x33, G: 0x33, B: 0x33, A: 0xff}
	pale   = color.RGBA{R: 0xe4, G: 0xe4, B: 0xe4, A: 0xff}
)

// drawPlot writes a PNG with two panels over one time axis: how many vehicles were under way, and how fast.
func drawPlot(w io.Writer, name string, series []sample) error {
	vehicles, err := vehiclePanel(series)
	if err != nil {
		return err
	}
	vehicles.Title.Text = name + ": vehicles under way and their mean speed"
	speed, err := speedPanel(series)
	if err != nil {
		return err
	}
	for _, p := range []*plot.Plot{vehicles, speed} {
		p.X.Min, p.X.Max = series[0].time, series[len(series)-1].time
	}

	bitmap := vgimg.NewWith(vgimg.UseWH(plotWidth*vg.Inch/plotDPI, plotHeight*vg.Inch/plotDPI), vgimg.UseDPI(plotDPI))
	tiles := draw.Tiles{
		Rows: 2, Cols: 1, PadY: vg.Points(10),
		PadTop: vg.Points(10), PadBottom: vg.Points(8), PadLeft: vg.Points(10), PadRight: vg.Points(18),
	}
	panels := [][]*plot.Plot{{vehicles}, {speed}}
	for row, at := range plot.Align(panels, tiles, draw.New(bitmap)) {
		panels[row][0].Draw(at[0])
	}
	if err := png.Encode(w, bitmap.Image()); err != nil {
		return fmt.Errorf("writing the PNG: %w", err)
	}
	return nil
}

func vehiclePanel(series []sample) (*plot.Plot, error) {
	var running, halting plotter.XYs
	for _, s := range series {
		running = append(running, plotter.XY{X: s.time, Y: s.running})
		halting = append(halting, plotter.XY{X: s.time, Y: s.halting})
	}
	p := newPanel("vehicles (veh)")
	area, err := newLine(running, blue)
	if err != nil {
		return nil, err
	}
	area.FillColor = sky
	waiting, err := newLine(halting, orange)
	if err != nil {
		return nil, err
	}
	p.Add(area, waiting)
	p.Legend.Add("running", area)
	p.Legend.Add("of these halting (below 0.1 m/s)", waiting)
	p.Y.Max = max(1, p.Y.Max*headroom)
	return p, nil
}

func speedPanel(series []sample) (*plot.Plot, error) {
	p := newPanel("mean speed (m/s)")
	p.X.Label.Text = "simulated time (s)"
	var stretch plotter.XYs // of samples without a gap
	var distance, vehicleTime float64
	named := false
	flush := func() error {
		if len(stretch) == 0 {
			return nil
		}
		line, err := newLine(stretch, green)
		if err != nil {
			return err
		}
		p.Add(line)
		if !named {
			p.Legend.Add("mean speed of the running vehicles", line)
			named = true
		}
		stretch = nil
		return nil
	}
	for _, s := range series {
		if s.moving() {
			stretch = append(stretch, plotter.XY{X: s.time, Y: s.speed})
			distance += s.speed * s.running
			vehicleTime += s.running
		} else if err := flush(); err != nil {
			return nil, err
		}
	}
	if err := flush(); err != nil {
		return nil, err
	}
	if vehicleTime > 0 {
		overall := distance / vehicleTime
		line, err := newLine(plotter.XYs{{X: series[0].time, Y: overall}, {X: series[len(series)-1].time, Y: overall}}, dark)
		if err != nil {
			return nil, err
		}
		line.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
		p.Add(line)
		p.Legend.Add(fmt.Sprintf("over all vehicle seconds: %.1f m/s", overall), line)
	}
	p.Y.Max = max(1, p.Y.Max*headroom)
	return p, nil
}

func newLine(points plotter.XYs, c color.Color) (*plotter.Line, error) {
	line, err := plotter.NewLine(points)
	if err != nil {
		return nil, fmt.Errorf("drawing a curve: %w", err)
	}
	line.Color = c
	line.Width = vg.Points(1.4)
	return line, nil
}

// roundTicks is an axis with at most so many intervals, each 1, 2 or 5 times a power of ten.
type roundTicks int

func (most roundTicks) Ticks(least, greatest float64) []plot.Tick {
	wanted := (greatest - least) / float64(most)
	if wanted <= 0 {
		return []plot.Tick{{Value: least, Label: fmt.Sprint(least)}}
	}
	power := math.Pow(10, math.Floor(math.Log10(wanted)))
	step := 10 * power
	for _, factor := range []float64{1, 2, 5} {
		if factor*power >= wanted {
			step = factor * power
			break
		}
	}
	decimals := max(0, -int(math.Floor(math.Log10(step))))
	var ticks []plot.Tick
	for i := math.Ceil(least / step); i*step <= greatest; i++ {
		ticks = append(ticks, plot.Tick{Value: i * step, Label: show.Grouped(strconv.FormatFloat(i*step, 'f', decimals, 64))})
	}
	return ticks
}

// newPanel returns an empty plot from zero upwards in the style of ours.
func newPanel(yLabel string) *plot.Plot {
	p := plot.New()
	face := func(size vg.Length, weight font.Weight) plotfont.Font {
		return plotfont.Font{Typeface: "Liberation", Variant: "Sans", Size: size, Weight: weight}
	}
	p.Title.TextStyle.Font = face(14, font.WeightBold)
	p.Title.Padding = vg.Points(8)
	p.Legend.TextStyle.Font = face(11, font.WeightNormal)
	p.Legend.Top = true
	p.Legend.Padding = vg.Points(4)
	p.Legend.YPosition = draw.PosCenter
	p.Legend.XOffs, p.Legend.YOffs = vg.Points(-6), vg.Points(-4)
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font = face(11, font.WeightNormal)
		axis.Label.Padding = vg.Points(4)
		axis.Tick.Label.Font = face(10, font.WeightNormal)
		axis.Color, axis.Tick.Color = dark, dark
		axis.Padding = 0
	}
	p.X.Tick.Marker = roundTicks(10)
	p.Y.Tick.Marker = roundTicks(6)
	p.Y.Label.Text = yLabel
	p.Y.Min, p.Y.Max = 0, 1
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = pale, pale
	grid.Vertical.Width, grid.Horizontal.Width = vg.Points(0.7), vg.Points(0.7)
	p.Add(grid)
	return p
}
