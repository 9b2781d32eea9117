package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sumo-k8/sumo-k8/pkg/client"
	"github.com/sumo-k8/sumo-k8/pkg/client/internal/show"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/replay"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

// replayFlags say what is recorded of a run.
type replayFlags struct {
	on       bool
	period   float64
	from, to float64
	edges    []string
	box      []float64
}

const replayFlag = "replay"

// replayParts are the flags that say what is recorded: each of them asks for a recording.
var replayParts = []string{"replay-period", "replay-from", "replay-to", "replay-edges", "replay-box"}

func (r *replayFlags) add(flags *pflag.FlagSet) {
	flags.BoolVar(&r.on, replayFlag, false, "record the run, so that it can be watched while it goes on and afterwards")
	flags.Float64Var(&r.period, replayParts[0], simulation.DefaultReplayPeriod, "seconds of simulated time between two recorded moments")
	flags.Float64Var(&r.from, replayParts[1], 0, "record from this simulated second on")
	flags.Float64Var(&r.to, replayParts[2], 0, "record up to this simulated second")
	flags.StringSliceVar(&r.edges, replayParts[3], nil, "record what is on these edges only")
	flags.Float64SliceVar(&r.box, replayParts[4], nil, "record what is in this box only: least x and y, greatest x and y, in m")
}

// chosen is what the flags ask for, where set says which of them are given; nil for no recording.
func (r *replayFlags) chosen(set func(name string) bool) (*simulation.Replay, error) {
	part := slices.IndexFunc(replayParts, set)
	switch {
	case part < 0 && !r.on:
		return nil, nil
	case set(replayFlag) && !r.on:
		return nil, usage("--%s=false and --%s contradict each other", replayFlag, replayParts[max(part, 0)])
	case len(r.box) != 0 && len(r.box) != 4:
		return nil, usage("--replay-box takes four numbers: the least x and y, then the greatest x and y")
	}
	asked := &simulation.Replay{Edges: r.edges}
	if set(replayParts[0]) {
		if r.period == 0 { // which the service takes for its default
			return nil, usage("--replay-period 0 is no time between two moments")
		}
		asked.Period = r.period
	}
	if set(replayParts[1]) {
		asked.From = &r.from
	}
	if set(replayParts[2]) {
		asked.To = &r.to
	}
	if len(r.box) == 4 {
		asked.Box = (*[4]float64)(r.box)
	}
	if fault := asked.Fault(); fault != "" {
		return nil, usage("the recording %s", fault)
	}
	return asked, nil
}

func (a *app) replayCommand() *cobra.Command {
	var unopened bool
	c := &cobra.Command{
		Use:   "replay JOB",
		Short: "Watch a recorded job in the browser, or export its recording",
		Long: `Prints where a job that was submitted with --replay can be watched, also while it runs, and what there is of its
recording. On a terminal, it opens that page in your browser: $BROWSER, or your desktop's. A job with the fcd output
has a recording once it has finished.`,
		Example: `  sumo-k8 replay @latest
  sumo-k8 replay export @latest --format csv`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.jobIDs(1, nil),
	}
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		api, id, err := a.oneJob(ctx, args[0])
		if err != nil {
			return err
		}
		r, err := api.Replay(ctx, id)
		if err != nil {
			return err
		}
		s, err := a.settings()
		if err != nil {
			return err
		}
		a.print(r, func() { a.showRecording(r, s.URL) })
		if !unopened {
			a.browse(watchingPage(r, s.URL))
		}
		return nil
	})
	c.Flags().BoolVar(&unopened, "no-open", false, "only print where to watch it")
	c.AddCommand(a.exportReplayCommand())
	return c
}

// oneJob finds the job that an argument names.
func (a *app) oneJob(ctx context.Context, given string) (*client.Client, string, error) {
	api, err := a.tenant()
	if err != nil {
		return nil, "", err
	}
	id, err := a.jobID(ctx, api, given)
	return api, id, err
}

// watchingPage is where a recording is shown.
func watchingPage(r client.Recording, service string) string {
	return strings.TrimSuffix(service, "/") + "/#/jobs/" + r.JobID + "/map"
}

func (a *app) showRecording(r client.Recording, service string) {
	fmt.Fprintln(a.out, watchingPage(r, service))
	switch {
	case len(r.Segments) == 0 && !r.Complete:
		a.note("Nothing is recorded yet.")
	case len(r.Segments) == 0:
		a.note("Nothing is recorded.")
	default:
		state := "so far"
		if r.Complete {
			state = "in all"
		}
		a.note("Recorded from %g s to %g s every %g s; %d kB %s, with %s.", r.Begin, r.End, r.Period, (recordedBytes(r)+999)/1000, state,
			counted(len(r.Events), "event"))
	}
	for _, m := range r.Missing {
		a.note("It lacks %s.", m)
	}
}

// exporters write a recording by the name of a format, which ends the name of its file, too.
var exporters = map[string]struct {
	ending string
	begin  func(*bufio.Writer) exporter
}{
	"fcd": {".fcd.xml", newFCD}, "csv": {".csv", newCSV}, "geojson": {".geojson", newGeoJSON},
}

var exportFormats = []string{"fcd", "csv", "geojson"}

func (a *app) exportReplayCommand() *cobra.Command {
	var format, file string
	c := &cobra.Command{
		Use:   "export JOB",
		Short: "Save a recording in a format for other programs",
		Long: `Saves a recording: as fcd, SUMO's own XML, which its tools read; as csv, a row for each vehicle and moment; or as geojson,
a line for each vehicle and minute. Coordinates are those of the network, in metres; GeoJSON readers expect longitudes and latitudes.`,
		Example: `  sumo-k8 replay export @latest --format fcd
  sumo-k8 replay export @latest --format csv --file - | gzip > positions.csv.gz`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.jobIDs(1, nil),
	}
	c.Flags().StringVar(&format, "format", "", "fcd, csv or geojson (default: as the file's name ends, or else fcd)")
	c.Flags().StringVar(&file, "file", "", "file to write, - for standard output (default: one named after the job)")
	must(c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(exportFormats, cobra.ShellCompDirectiveNoFileComp)))
	c.RunE = a.does(func(ctx context.Context, args []string) error {
		format, err := formatOf(format, file, exportFormats)
		if err != nil {
			return err
		}
		e := exporters[format]
		api, id, err := a.oneJob(ctx, args[0])
		if err != nil {
			return err
		}
		r, err := api.Replay(ctx, id)
		if err != nil {
			return err
		}
		file = cmp.Or(file, id+e.ending)
		write := func(w io.Writer) error {
			bar := &show.Transfer{}
			if file != standardOutput || !show.IsTerminal(a.out) { // where the bar would stand in the middle of the recording
				bar = show.NewTransfer(a.err, file, recordedBytes(r))
			}
			defer bar.Close()
			r, err = export(ctx, api, r, e.begin, w, bar.At)
			return err
		}
		if file == standardOutput {
			err = write(a.out)
		} else if err = save(file, write); err == nil {
			a.print(r, func() { fmt.Fprintln(a.out, file) })
		}
		if err != nil {
			return err
		}
		if !r.Complete {
			a.note("The job goes on: this is its recording up to %g s.", r.End)
		}
		return nil
	})
	return c
}

// exporter writes frames in a format.
type exporter interface {
	segment(h replay.Header)
	frame(ms int64, positions []replay.Position)
	close()
}

// recordedBytes is the size of a recording.
func recordedBytes(r client.Recording) (n int64) {
	for _, s := range r.Segments {
		n += int64(s.Bytes)
	}
	return n
}

// export reads a recording segment by segment and writes it, and returns the recording as it was in the end. It calls got with how many
// bytes of it are written.
func export(
	ctx context.Context, api *client.Client, r client.Recording, begin func(*bufio.Writer) exporter, w io.Writer, got func(int64),
) (client.Recording, error) {
	out := bufio.NewWriter(w)
	x := exporting{exporter: begin(out), last: math.MinInt64, got: got}
	r, err := x.all(ctx, api, r)
	if err != nil {
		return r, err
	}
	return r, out.Flush() // returns the first error of writing
}

// exporting is an export under way.
type exporting struct {
	exporter
	last int64 // time of the last frame that is written, in ms
	done int64
	got  func(int64)
}

// all writes r. When a job ends, the segments of its recording are replaced: the rest is then written from the recording as it is, which
// all returns.
func (x *exporting) all(ctx context.Context, api *client.Client, r client.Recording) (client.Recording, error) {
	for {
		err := x.segments(ctx, api, r)
		if err == nil {
			x.close()
			return r, nil
		}
		var refused *client.Error
		if !errors.As(err, &refused) || refused.Code != problem.NotFound {
			return r, err
		}
		now, err2 := api.Replay(ctx, r.JobID)
		switch {
		case err2 != nil:
			return r, err2
		case now.Attempt == r.Attempt:
			return r, err
		case !now.Continues(r.Index):
			return r, fmt.Errorf("job %s has begun again while its recording was read; export it again", r.JobID)
		}
		r = now
	}
}

// segments writes those of r that have frames after the last one.
func (x *exporting) segments(ctx context.Context, api *client.Client, r client.Recording) error {
	written := func(s replay.Segment) bool { return int64(math.Round(s.End*replay.PerSecond)) <= x.last }
	r.Segments = slices.DeleteFunc(slices.Clone(r.Segments), written)
	var positions []replay.Position
	n := 0
	for data, err := range api.ReplaySegments(ctx, r) {
		if err != nil {
			return err
		}
		read, err := replay.Open(data)
		if err != nil {
			return fmt.Errorf("segment %d: %w", r.Segments[n].N, err)
		}
		x.segment(read.Header)
		for {
			var ms int64
			ms, positions, err = read.Next(positions[:0])
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return fmt.Errorf("segment %d: %w", r.Segments[n].N, err)
			}
			if ms > x.last {
				x.frame(ms, positions)
				x.last = ms
			}
		}
		n, x.done = n+1, x.done+int64(len(data))
		x.got(x.done)
	}
	return nil
}
