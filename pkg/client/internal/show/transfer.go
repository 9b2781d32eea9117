package show

import (
	"io"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// Transfer shows the progress of one file, or of many things.
type Transfer struct {
	progress *mpb.Progress
	bar      *mpb.Bar
}

// NewTransfer draws a bar when out is a terminal, and nothing when it is not. A total of -1 is unknown.
func NewTransfer(out io.Writer, name string, total int64) *Transfer {
	if !IsTerminal(out) {
		return &Transfer{}
	}
	return newTransfer(out, name, total)
}

// NewCount draws a bar for total things when out is a terminal, and nothing when it is not.
func NewCount(out io.Writer, name string, total int64) *Transfer {
	if !IsTerminal(out) {
		return &Transfer{}
	}
	return newBar(out, name, total, mpb.BarStyle(), decor.CountersNoUnit("% d / % d"))
}

func newTransfer(out io.Writer, name string, total int64) *Transfer {
	counters := decor.CountersKibiByte("% .1f / % .1f")
	var style mpb.BarFillerBuilder = mpb.BarStyle()
	if total < 0 {
		counters, style = decor.CurrentKibiByte("% .1f"), mpb.NopStyle() // a bar needs a total
	}
	return newBar(out, name, total, style, counters)
}

func newBar(out io.Writer, name string, total int64, style mpb.BarFillerBuilder, counters decor.Decorator) *Transfer {
	progress := mpb.New(mpb.WithOutput(out), mpb.WithWidth(80), mpb.WithAutoRefresh())
	return &Transfer{progress: progress, bar: progress.New(max(total, 0), style,
		mpb.PrependDecorators(decor.Name(Printable(name)+" ")),
		mpb.AppendDecorators(counters),
	)}
}

// At shows that done bytes are transferred, or things counted. They decrease when a transfer starts over.
func (t *Transfer) At(done int64) {
	if t.bar != nil {
		t.bar.SetCurrent(done)
	}
}

// Close ends the bar as it is.
func (t *Transfer) Close() {
	if t.bar != nil {
		t.bar.Abort(false) // no effect on a full one
		t.progress.Wait()
	}
}
