package run

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sumo-k8/sumo-k8/pkg/replay"
	"github.com/sumo-k8/sumo-k8/pkg/scenario"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/outputs"
)

const (
	replayRequestFile = "replay.add.xml"   // asks SUMO for the states of signals
	replayEdgesFile   = "replay-edges.txt" // the edges on which vehicles are recorded
	replayPipe        = "fcd.xml"          // below resultFolder/replay
	// replayEvery bounds how long a frame waits before it can be watched, and replayIndexEvery how often the index is written, which grows
	// with the run.
	replayEvery      = 2 * time.Second
	replayIndexEvery = time.Second
	// replayPipeSize lets SUMO go on while a segment is compressed. It is what Linux lets every user have.
	replayPipeSize = 1 << 20
)

// replayAttributes are those of SUMO's output that a recording has. The edge is that of persons, who have no lane.
const replayAttributes = "x,y,angle,type,speed,lane,edge"

// replaySource is what the run's recording is made from, replay.FromRun or replay.FromFCD: where SUMO writes its positions to a file
// anyway, that stays as it is. Empty is for no recording. remark is what a person should know of that.
func (r Run) replaySource(s settings) (source, remark string) {
	switch {
	case r.Options.Replay == nil, r.Options.Check:
		return "", ""
	case r.hasProgram():
		return "", "There is no recording: runs with a program of the scenario's own cannot be recorded."
	case s.format == "csv" || s.format == "parquet":
		return "", fmt.Sprintf("There is no recording: all outputs of the scenario are in the format %s. Leave out output.format.", s.format)
	case s.own[simulation.OutputFCD] != "" || slices.Contains(r.Options.Outputs, simulation.OutputFCD):
		return replay.FromFCD, "The recording is made from the run's fcd output: it could not be watched while the run went on, and shows no " +
			"signals. Without that output, it would."
	case strings.Contains(s.prefix, "..") || strings.Contains(s.prefix+s.suffix, "TIME"):
		return "", "There is no recording: output-prefix or output-suffix has \"..\" or TIME in it. Change or remove it."
	}
	return replay.FromRun, ""
}

// records reports whether SUMO writes its positions into a pipe.
func (r Run) records(s settings) bool {
	source, _ := r.replaySource(s)
	return source == replay.FromRun
}

// replayPipePath is the name by which SUMO opens the pipe, before the scenario's affixes.
func (r Run) replayPipePath() string {
	return filepath.Join(r.Work, resultFolder, simulation.ReplayFolder, replayPipe)
}

// replayTimes are the first moment and the period of a recording, in ms: whole steps of the run.
func (r Run) replayTimes(s settings) (first, period int64) {
	step := max(int64(math.Round(s.stepLength*replay.PerSecond)), 1)
	wanted := r.Options.Replay.Period
	if wanted == 0 {
		wanted = simulation.DefaultReplayPeriod
	}
	period = max(int64(math.Round(wanted*replay.PerSecond/float64(step))), 1) * step
	first = int64(math.Round(s.begin * replay.PerSecond))
	if from := r.Options.Replay.From; from != nil && *from > s.begin {
		steps := math.Ceil((math.Round(*from*replay.PerSecond) - float64(first)) / float64(step))
		first += int64(steps) * step
	}
	return first, period
}

// replayArguments have SUMO write its positions into the pipe.
func (r Run) replayArguments(s settings) []string {
	first, period := r.replayTimes(s)
	seconds := func(ms int64) string { return strconv.FormatFloat(float64(ms)/replay.PerSecond, 'f', -1, 64) }
	args := []string{
		"--fcd-output=" + r.replayPipePath(), "--fcd-output.attributes=" + replayAttributes,
		"--device.fcd.period=" + seconds(period), "--device.fcd.begin=" + seconds(first),
	}
	if len(r.Options.Replay.Edges) > 0 {
		args = append(args, "--fcd-output.filter-edges.input-file="+filepath.Join(r.Work, replayEdgesFile))
	}
	return args
}

// ofReplay reports whether an option of the scenario would change what SUMO writes into the pipe. Without an fcd output of its own it has
// no other effect. Which vehicles have the device stays: choosing them may draw random numbers.
func ofReplay(o scenario.Option) bool {
	return strings.HasPrefix(o.Name, "fcd-output") || o.Name == "person-fcd-output" ||
		slices.Contains([]string{"device.fcd.period", "device.fcd.begin", "device.fcd.radius", "person-device.fcd.period"}, o.Name)
}

// replayRequest is an additional file that asks for the states of all signals, whenever one changes, where the positions go: so they come
// in the order of time.
func replayRequest(file string) []byte {
	var b bytes.Buffer
	b.WriteString(`<additional><timedEvent type="SaveTLSSwitchStates" dest="`)
	_ = xml.EscapeText(&b, []byte(file)) // a bytes.Buffer takes all
	b.WriteString("\"/></additional>\n")
	return b.Bytes()
}

// prepareReplay writes the files by which SUMO is asked to record.
func (r Run) prepareReplay(s settings) error {
	if !r.records(s) {
		return nil
	}
	err := os.WriteFile(filepath.Join(r.Work, replayRequestFile), replayRequest(r.replayPipePath()), 0o644)
	if edges := r.Options.Replay.Edges; err == nil && len(edges) > 0 {
		err = os.WriteFile(filepath.Join(r.Work, replayEdgesFile), []byte("edge:"+strings.Join(edges, "\nedge:")+"\n"), 0o644)
	}
	return err
}

// recording is the recording of a run. Its methods may be called on nil, which records nothing.
type recording struct {
	folder   string // of segments
	out      string // of the finished recording
	first    int64  // ms
	period   int64  // ms
	to       float64
	box      *[4]float64
	edges    map[string]bool   // nil for all
	last     int64             // the last frame that is recorded, ms; -1 before the first
	before   int64             // the frame before that
	late     []replay.Incident // those that came behind their frame
	now      func() time.Time
	pipe     pipe
	read     chan struct{} // closed when the pipe has been read
	bytes    atomic.Int64  // of segments
	closing  chan struct{}
	watching sync.WaitGroup
	ended    bool
	// The scenario's files are read for types until all that are needed are known.
	typed       chan struct{}
	enoughTypes context.CancelFunc

	// mu is held while a frame is written, so that a segment ends between two frames.
	mu      sync.Mutex
	w       *replay.Writer
	index   replay.Index
	flushed time.Time // of the last segment
	indexed time.Time // of the last index
	dirty   bool      // segments are not in the written index
	past    bool      // the frame at work is not recorded
	inFrame bool
	err     error

	eventsMu sync.Mutex
	pending  []replay.Incident
	dropped  int
	reached  float64 // seconds: the frame at work
}

// maxPending bounds the events that wait for their frame.
const maxPending = replay.MaxEvents

// record begins the recording of a run that SUMO is about to begin. A pipe is read from then on.
func (r Run) record(ctx context.Context, chosen scenario.Config, s settings, started time.Time) (*recording, error) {
	source, _ := r.replaySource(s)
	if source == "" {
		return nil, nil
	}
	if err := r.clearReplay(); err != nil {
		return nil, err
	}
	rec := &recording{
		folder: filepath.Join(r.Out, simulation.ReplayFolder), out: r.Out, to: math.Inf(1), box: r.Options.Replay.Box, now: time.Now, last: -1,
		read: make(chan struct{}), closing: make(chan struct{}), index: replay.NewIndex(replayAttempt(started), source),
	}
	rec.first, rec.period = r.replayTimes(s)
	rec.index.Period = float64(rec.period) / replay.PerSecond
	if to := r.Options.Replay.To; to != nil {
		rec.to = *to * replay.PerSecond
	}
	if edges := r.Options.Replay.Edges; len(edges) > 0 {
		rec.edges = map[string]bool{}
		for _, edge := range edges {
			rec.edges[edge] = true
		}
	}
	rec.w = replay.NewWriter(rec.segment)
	rec.flushed, rec.indexed = rec.now(), rec.now()
	if err := os.MkdirAll(rec.folder, 0o755); err != nil {
		return nil, err
	}
	if source == replay.FromRun {
		if err := rec.open(s.affixed(r.replayPipePath())); err != nil {
			return nil, err
		}
		go rec.follow()
	}
	rec.watching.Go(rec.tick)
	ctx, rec.enoughTypes = context.WithCancel(ctx)
	rec.typed = make(chan struct{})
	go func() {
		defer close(rec.typed)
		r.readShapes(ctx, chosen, rec.know)
	}()
	return rec, nil
}

// open makes the pipe.
func (rec *recording) open(name string) error {
	err := os.MkdirAll(filepath.Dir(name), 0o755)
	if err == nil {
		rec.pipe, err = openNamed(name)
	}
	if err != nil {
		rec.pipe.close()
		return err
	}
	if raw, err := rec.pipe.read.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _, _ = unix.FcntlInt(fd, unix.F_SETPIPE_SZ, replayPipeSize) }) // a smaller one only takes longer
	}
	return nil
}

// replayAttempt names an attempt: what an earlier one has left is never taken for this one's.
func replayAttempt(started time.Time) string { return strconv.FormatInt(started.UnixMilli(), 36) }

// follow reads the pipe. SUMO must never wait for it: after an error it is read on, and thrown away.
func (rec *recording) follow() {
	defer close(rec.read)
	rec.scan(rec.pipe.read)
	_, _ = io.Copy(io.Discard, rec.pipe.read)
}

func (rec *recording) scan(fcd io.Reader) {
	_, err := outputs.ScanReplay(fcd, rec)
	if rec.inFrame {
		rec.inFrame = false
		rec.mu.Unlock()
	}
	rec.fail(err)
}

// fail keeps the first reason why the recording is incomplete.
func (rec *recording) fail(err error) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if rec.err == nil {
		rec.err = err
	}
}

// Begin implements outputs.ReplayFrames.
func (rec *recording) Begin(ms int64) error {
	rec.past = ms < rec.first || float64(ms) > rec.to || rec.last >= 0 && ms < rec.last+rec.period
	if rec.past {
		return nil
	}
	rec.before, rec.last = rec.last, ms
	rec.mu.Lock()
	rec.inFrame = true
	if err := rec.w.Begin(ms); err != nil {
		return err
	}
	rec.place(float64(ms) / replay.PerSecond)
	return nil
}

// Add implements outputs.ReplayFrames.
func (rec *recording) Add(s replay.Sample) {
	if rec.past {
		return
	}
	if b := rec.box; b != nil && !(s.X >= b[0] && s.Y >= b[1] && s.X <= b[2] && s.Y <= b[3]) {
		return
	}
	if rec.edges != nil && !rec.edges[string(edgeOf(s.Lane, s.Person))] {
		return
	}
	rec.w.Add(s)
}

// edgeOf is the edge of a lane, and of a person that itself.
func edgeOf(lane []byte, person bool) []byte {
	if i := bytes.LastIndexByte(lane, '_'); i > 0 && !person {
		return lane[:i]
	}
	return lane
}

// End implements outputs.ReplayFrames.
func (rec *recording) End() error {
	if rec.past {
		return nil
	}
	defer rec.mu.Unlock()
	rec.inFrame = false
	err := rec.w.End()
	if err == nil && rec.now().Sub(rec.flushed) >= replayEvery {
		err = rec.w.Flush()
	}
	return err
}

// Signal implements outputs.ReplayFrames.
func (rec *recording) Signal(ms int64, id, state string) {
	if float64(ms) > rec.to {
		return
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.w.Signal(ms, id, state)
}

// tick ends segments, and writes the index, while no frames come.
func (rec *recording) tick() {
	every := time.NewTicker(replayIndexEvery)
	defer every.Stop()
	for {
		select {
		case <-rec.closing:
			return
		case <-every.C:
		}
		if !rec.mu.TryLock() { // a frame is being written, whose end does the same
			continue
		}
		if rec.err == nil && rec.w.Frames() > 0 && rec.now().Sub(rec.flushed) >= replayEvery {
			rec.err = rec.w.Flush()
		}
		if rec.err == nil && rec.dirty {
			rec.err = rec.writeIndex()
		}
		rec.mu.Unlock()
	}
}

// segment keeps a segment of the writer.
func (rec *recording) segment(s replay.Written) error {
	rec.flushed = rec.now()
	if err := os.WriteFile(filepath.Join(rec.folder, strconv.Itoa(s.N)), s.Data, 0o644); err != nil {
		return err
	}
	rec.bytes.Add(int64(len(s.Data)))
	rec.index.Add(s.Segment)
	rec.dirty = true
	if rec.now().Sub(rec.indexed) >= replayIndexEvery {
		return rec.writeIndex()
	}
	return nil
}

func (rec *recording) writeIndex() error {
	rec.indexed, rec.dirty = rec.now(), false
	return writeCompact(filepath.Join(rec.folder, simulation.ReplayIndexFile), rec.index)
}

// writeCompact is writeJSON for what no person reads.
func writeCompact(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", filepath.Base(name), err)
	}
	if err := os.WriteFile(name+partialSuffix, data, 0o644); err != nil {
		return err
	}
	return os.Rename(name+partialSuffix, name)
}

// size is how many bytes the recording has so far.
func (rec *recording) size() int64 {
	if rec == nil {
		return 0
	}
	return rec.bytes.Load()
}

// know takes how a type of vehicles is drawn.
func (rec *recording) know(id string, t replay.VehicleType) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.index.Types[id] = t
	rec.dirty = true
}

// unknownType reports whether a vehicle has been recorded whose type no file of the scenario has shown yet.
func (rec *recording) unknownType() bool {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return slices.ContainsFunc(rec.w.Types(), func(id string) bool {
		_, known := rec.index.Types[id]
		return !known
	})
}

// line takes a line of SUMO's about what happens in the run.
func (rec *recording) line(raw, text string) {
	if rec == nil {
		return
	}
	e, ok := eventOf(raw, text)
	if !ok {
		return
	}
	rec.eventsMu.Lock()
	defer rec.eventsMu.Unlock()
	if e.Time < 0 {
		e.Time = rec.reached
	}
	if len(rec.pending) == maxPending {
		rec.dropped++
		return
	}
	rec.pending = append(rec.pending, e)
}

// place gives the events up to a time the places at which their vehicles were last, and writes them. SUMO reports them at once, and
// positions later: at the begin of a frame, these are the places before the event.
func (rec *recording) place(until float64) {
	rec.eventsMu.Lock()
	if !math.IsInf(until, 1) {
		rec.reached = until
	}
	var due []replay.Incident
	rec.pending = slices.DeleteFunc(rec.pending, func(e replay.Incident) bool {
		if e.Time <= until {
			due = append(due, e)
		}
		return e.Time <= until
	})
	rec.eventsMu.Unlock()
	for _, e := range due {
		ms := e.Time * replay.PerSecond
		switch x, y, ok := rec.w.Where(e.Vehicle); {
		case ms < float64(rec.first) || ms > rec.to:
		case ms < float64(rec.before): // its vehicle may have moved on, or left
			rec.late = append(rec.late, e)
		case ok:
			e.X, e.Y = &x, &y
			rec.w.Event(e)
		case rec.part(): // it is not where vehicles are recorded
		default:
			rec.w.Event(e)
		}
	}
}

// part reports whether only a part of the network is recorded.
func (rec *recording) part() bool { return rec.box != nil || rec.edges != nil }

// placeLate gives the events that came behind their frames the places that the segments have, and adds them to the index.
func (rec *recording) placeLate() {
	if len(rec.late) == 0 {
		return
	}
	x := &rec.index
	bySegment := map[int][]*replay.Incident{}
	for i := range rec.late {
		e := &rec.late[i]
		after, _ := slices.BinarySearchFunc(x.Segments, e.Time, func(s replay.Segment, at float64) int { return cmp.Compare(s.Begin, at) })
		bySegment[max(after-1, 0)] = append(bySegment[max(after-1, 0)], e) // the one with the frame before
	}
	for n, events := range bySegment {
		data, err := rec.readSegment(n)
		if err == nil {
			err = placeIn(data, events)
		}
		if err != nil {
			rec.err = cmp.Or(rec.err, err)
		}
	}
	for _, e := range rec.late {
		if len(x.Events) == replay.MaxEvents || e.X == nil && rec.part() {
			continue
		}
		x.Events = append(x.Events, e)
	}
	slices.SortStableFunc(x.Events, func(a, b replay.Incident) int { return cmp.Compare(a.Time, b.Time) })
}

// placeIn gives events the places of their vehicles in the last frame of a segment before them.
func placeIn(segment []byte, events []*replay.Incident) error {
	r, err := replay.Open(segment)
	if err != nil {
		return err
	}
	of := map[int][]*replay.Incident{} // by vehicle
	for i, v := range r.Header.Vehicles {
		for _, e := range events {
			if e.Vehicle == v.ID && !v.Person {
				of[i] = append(of[i], e)
			}
		}
	}
	var positions []replay.Position
	for {
		var ms int64
		if ms, positions, err = r.Next(positions[:0]); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		for _, p := range positions {
			for _, e := range of[p.Vehicle] {
				if at := float64(ms) / replay.PerSecond; at < e.Time || at == e.Time && e.X == nil {
					x, y := float64(p.X)/replay.PerMetre, float64(p.Y)/replay.PerMetre
					e.X, e.Y = &x, &y
				}
			}
		}
	}
}

// finish ends the recording when SUMO has ended, and leaves its two files. fcd is the output from which it is made, if it is; empty where
// there is none. It returns what a person should know.
func (rec *recording) finish(fcd string) (warnings []string) {
	if rec == nil || rec.ended {
		return nil
	}
	rec.ended = true
	if rec.index.Source == replay.FromRun {
		rec.pipe.write.Close()
		select {
		case <-rec.read:
		case <-time.After(pipeDelay): // nothing can hold the pipe any more
			_ = rec.pipe.read.SetReadDeadline(time.Now())
			<-rec.read
		}
		rec.pipe.close()
	} else if err := rec.readFile(fcd); err != nil {
		warnings = append(warnings, fmt.Sprintf("There is no recording: %v.", err))
	}
	if !rec.unknownType() {
		rec.enoughTypes()
	}
	<-rec.typed
	rec.enoughTypes()
	close(rec.closing)
	rec.watching.Wait()
	if rec.err == nil {
		rec.before = rec.last
		rec.place(math.Inf(1))
		rec.err = rec.w.Flush()
	}
	rec.placeLate()
	if rec.err != nil {
		warnings = append(warnings, fmt.Sprintf("The recording ends at %g s: %v.", rec.index.End, rec.err))
	}
	rec.complete()
	if err := rec.merge(); err != nil {
		warnings = append(warnings, fmt.Sprintf("The recording could not be kept: %v.", err))
		_ = removedAll(rec.out, simulation.ReplayFile, simulation.ReplaySegmentsFile)
	}
	if err := os.RemoveAll(rec.folder); err != nil {
		warnings = append(warnings, fmt.Sprintf("The recording's folder could not be removed: %v.", err))
	}
	return warnings
}

// readFile makes the recording from an output.
func (rec *recording) readFile(name string) error {
	if name == "" {
		return errors.New("the run has left no fcd output")
	}
	in, f, err := openOutput(rec.out, name)
	if errors.Is(err, errNotXML) {
		return fmt.Errorf("%s is not XML", name)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	if outputs.Geographic(in) {
		return fmt.Errorf("the positions in %s are longitudes and latitudes; remove fcd-output.geo from the configuration", name)
	}
	rec.scan(in)
	return nil
}

// complete says in the index what is to be known of the whole.
func (rec *recording) complete() {
	x := &rec.index
	x.Types = replay.TypesOf(rec.w.Types(), x.Types)
	x.Missing = append(x.Missing, rec.w.Missing()...)
	if rec.dropped > 0 {
		x.Missing = append(x.Missing, fmt.Sprintf("%d events: there were too many at once", rec.dropped))
	}
	if x.Source == replay.FromFCD {
		x.Missing = append(x.Missing, "signals: the recording was made from the run's fcd output, which has none")
	}
	switch {
	case rec.err != nil:
		x.Missing = append(x.Missing, fmt.Sprintf("what comes after %g s: %v", x.End, rec.err))
	case len(x.Segments) == 0:
		x.Missing = append(x.Missing, "all: SUMO wrote no positions in the time that was to be recorded")
	}
}

// merge writes the segments into one file, small ones together, and the index beside it.
func (rec *recording) merge() error {
	file, err := os.Create(filepath.Join(rec.out, simulation.ReplaySegmentsFile))
	if err != nil {
		return err
	}
	defer file.Close()
	out := bufio.NewWriter(file)
	whole, err := replay.Pack(rec.index, rec.readSegment, func(data []byte) error {
		_, err := out.Write(data)
		return err
	})
	if err != nil {
		return err
	}
	if err := errors.Join(out.Flush(), file.Close()); err != nil {
		return err
	}
	whole.Complete = true
	return writeCompact(filepath.Join(rec.out, simulation.ReplayFile), whole)
}

func (rec *recording) readSegment(n int) ([]byte, error) {
	return os.ReadFile(filepath.Join(rec.folder, strconv.Itoa(n)))
}

// clearReplay removes what an earlier attempt has left of a recording.
func (r Run) clearReplay() error {
	return errors.Join(os.RemoveAll(filepath.Join(r.Out, simulation.ReplayFolder)),
		removedAll(r.Out, simulation.ReplayFile, simulation.ReplaySegmentsFile))
}

func removedAll(folder string, names ...string) error {
	for _, name := range names {
		if err := os.Remove(path.Join(folder, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
