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
	"math"
	"os"
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
	"github.com/sumo-k8/sumo-k8/pkg/sumo/program"
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

// replaySource is what the run's recording is made from, replay.FromRun or replay.FromFCD: where SUMO writes its positions to a file
// anyway, that stays as it is. Empty is for no recording. remark is what a person should know of that.
func (r Run) replaySource(s settings) (source, remark string) {
	switch {
	case r.Options.Replay == nil, r.Options.Check:
		return "", ""
	case r.Options.Tool != nil:
		return "", "There is no recording: a tool runs no single simulation."
	case s.unrecorded != "":
		return "", "There is no recording: " + s.unrecorded
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

// replayAsked is what the run asks of SUMO for its recording.
func (r Run) replayAsked() program.Replay {
	asked := program.Replay{
		Pipe: r.replayPipePath(), Request: filepath.Join(r.Work, replayRequestFile), Asked: *r.Options.Replay,
	}
	if len(asked.Asked.Edges) > 0 {
		asked.Edges, asked.Asked.Edges = filepath.Join(r.Work, replayEdgesFile), nil
	}
	return asked
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
	source   string // replay.FromRun or replay.FromFCD
	first    int64  // ms
	period   int64  // ms; 0 for that of the frames
	ofFile   int64  // ms: the period where it is made from an output
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
	program  bool  // a program runs, which may simulate several times
	another  bool  // the next frame is one of another simulation
	resumed  bool  // SUMO has loaded a state while it ran, after which it writes no states of signals
	lost     error // what is wrong with what comes through the pipe
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
	seen    bool // a vehicle or person is recorded
	err     error
	// unwritten says that a segment could not be written: none may follow.
	unwritten bool

	eventsMu   sync.Mutex
	pending    []awaiting
	dropped    int
	reached    float64 // seconds: the frame at work
	simulation int     // that SUMO's lines are of
}

// awaiting is an event that waits for its frame.
type awaiting struct {
	replay.Incident
	simulation int
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
		read: make(chan struct{}), closing: make(chan struct{}), source: source, index: replay.NewIndex(replayAttempt(started), source),
	}
	rec.first, rec.period = r.Options.Replay.Times(s.begin, s.stepLength)
	rec.ofFile = rec.period
	if rec.program = r.hasProgram(); rec.program && source == replay.FromRun { // it may choose another begin and other steps
		rec.first, rec.period = 0, 0
		if from := r.Options.Replay.From; from != nil {
			rec.first = int64(math.Round(*from * replay.PerSecond))
		}
	}
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
func replayAttempt(started time.Time) string {
	return strconv.FormatInt(started.UnixMilli(), attemptBase)
}

const attemptBase = 36

// follow reads the pipe. SUMO must never wait for it: after an error it is read on, and thrown away.
func (rec *recording) follow() {
	defer close(rec.read)
	if !rec.program {
		rec.scan(rec.pipe.read)
		_, _ = io.Copy(io.Discard, rec.pipe.read)
		return
	}
	for each := newDocuments(rec.pipe.read); each.next(); rec.another = true {
		if complete := rec.scan(each); !complete {
			rec.lost = errCut
		}
		_, _ = io.Copy(io.Discard, each)
	}
}

// startOver forgets all before the frame that comes if another simulation has begun: as in SUMO's own outputs, the last one counts.
func (rec *recording) startOver() {
	if !rec.another {
		return
	}
	rec.another = false
	rec.mu.Lock()
	defer rec.mu.Unlock()
	types := rec.index.Types
	began, _ := strconv.ParseInt(rec.index.Attempt, attemptBase, 64)
	rec.index = replay.NewIndex(replayAttempt(time.UnixMilli(max(rec.now().UnixMilli(), began+1))), rec.source)
	rec.index.Types, rec.index.Period = types, float64(rec.period)/replay.PerSecond
	rec.w = replay.NewWriter(rec.segment)
	rec.last, rec.before, rec.late, rec.lost, rec.flushed, rec.seen = -1, 0, nil, nil, rec.now(), false
	rec.bytes.Store(0)
	// The index comes first, so that nobody takes the segments of this simulation for those of the one before.
	rec.err, rec.unwritten = errors.Join(rec.writeIndex(), rec.removeSegments()), false

	rec.eventsMu.Lock()
	defer rec.eventsMu.Unlock()
	rec.pending = slices.DeleteFunc(rec.pending, func(e awaiting) bool { return e.simulation < rec.simulation })
	rec.dropped, rec.reached = 0, 0
}

// look starts over if what comes of a time is of another simulation.
func (rec *recording) look(ms int64) {
	if rec.another {
		rec.resumed = false
	} else if rec.program && rec.source == replay.FromRun && rec.last >= 0 && float64(ms) <= rec.to {
		gap := float64(ms - rec.last)
		if gap < 0 || rec.index.Period > 0 && gap > 1.5*rec.index.Period*replay.PerSecond { // it has loaded a state of another time
			rec.another, rec.resumed = true, true
		}
	}
	rec.startOver()
}

func (rec *recording) removeSegments() error {
	entries, err := os.ReadDir(rec.folder)
	for _, e := range entries {
		if e.Name() != simulation.ReplayIndexFile {
			err = errors.Join(err, os.Remove(filepath.Join(rec.folder, e.Name())))
		}
	}
	return err
}

// simulates is called when SUMO begins another simulation, before all that it says of it.
func (rec *recording) simulates() {
	if rec == nil {
		return
	}
	rec.eventsMu.Lock()
	defer rec.eventsMu.Unlock()
	rec.simulation++
}

func (rec *recording) scan(fcd io.Reader) (complete bool) {
	complete, err := outputs.ScanReplay(fcd, rec)
	if rec.inFrame {
		rec.inFrame = false
		rec.mu.Unlock()
	}
	rec.fail(err)
	return complete
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
	if rec.inFrame { // SUMO ends each frame before the next
		if err := rec.End(); err != nil {
			return err
		}
	}
	rec.look(ms)
	rec.past = ms < rec.first || float64(ms) > rec.to || rec.last >= 0 && ms < rec.last+max(rec.period, 1)
	if rec.past {
		return nil
	}
	rec.before, rec.last = rec.last, ms
	rec.mu.Lock()
	if rec.index.Period == 0 && rec.before >= 0 {
		rec.index.Period = float64(ms-rec.before) / replay.PerSecond
	}
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
	rec.seen = true
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
	if !rec.inFrame {
		rec.look(ms)
	}
	if float64(ms) > rec.to {
		return
	}
	if !rec.inFrame { // where SUMO writes none
		rec.mu.Lock()
		defer rec.mu.Unlock()
	}
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
		rec.unwritten = true
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
	return writeWhole(name, data)
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
	rec.pending = append(rec.pending, awaiting{e, rec.simulation})
}

// place gives the events up to a time the places at which their vehicles were last, and writes them. SUMO reports them at once, and
// positions later: at the begin of a frame, these are the places before the event.
func (rec *recording) place(until float64) {
	rec.eventsMu.Lock()
	if !math.IsInf(until, 1) {
		rec.reached = until
	}
	var due []replay.Incident
	rec.pending = slices.DeleteFunc(rec.pending, func(e awaiting) bool {
		if e.Time <= until {
			due = append(due, e.Incident)
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

// drain reads what is left in the pipe, into which nobody writes any more.
func (rec *recording) drain() {
	if rec.pipe.read == nil {
		return
	}
	rec.pipe.write.Close()
	select {
	case <-rec.read:
	case <-time.After(pipeDelay): // nothing can hold the pipe any more
		_ = rec.pipe.read.SetReadDeadline(time.Now())
		<-rec.read
	}
	was, err := rec.pipe.read.Stat()
	if is, gone := os.Lstat(rec.pipe.name); rec.program && err == nil && (gone != nil || !os.SameFile(was, is)) {
		rec.lost = errPipe
	}
	rec.pipe.close()
}

// Faults of the recording of a program.
var (
	errPipe = errors.New("the program has removed or replaced the pipe through which SUMO is recorded")
	errCut  = errors.New("what SUMO writes is cut off there, or the program has written in between")
)

// finish ends the recording when SUMO has ended, and leaves its two files. source is what it is made from, or empty for nothing, and fcd
// the output if it is that; empty where there is none. It returns what a person should know.
func (rec *recording) finish(source, fcd string) (warnings []string) {
	if rec == nil || rec.ended {
		return nil
	}
	rec.ended = true
	rec.drain()
	if source == replay.FromFCD {
		if rec.another = rec.source != source; rec.another { // as the program has asked SUMO
			rec.source, rec.period = source, rec.ofFile
			rec.startOver()
		}
		if err := rec.readFile(fcd); err != nil {
			warnings = append(warnings, fmt.Sprintf("There is no recording: %v.", err))
		}
	}
	if !rec.unknownType() {
		rec.enoughTypes()
	}
	<-rec.typed
	rec.enoughTypes()
	close(rec.closing)
	rec.watching.Wait()
	if source == "" {
		if err := os.RemoveAll(rec.folder); err != nil {
			return []string{fmt.Sprintf("The recording's folder could not be removed: %v.", err)}
		}
		return nil
	}
	if !rec.unwritten {
		rec.before = rec.last
		rec.place(math.Inf(1))
		err := rec.w.Flush()
		rec.err = cmp.Or(rec.err, err, rec.lost)
	}
	rec.placeLate()
	if rec.err != nil {
		warnings = append(warnings, fmt.Sprintf("The recording ends at %g s: %v.", rec.index.End, rec.err))
	}
	if rec.misplaced() {
		warnings = append(warnings, "The recording is empty: no vehicle or person was on the edges or in the box of replay. Compare the ids of "+
			"edges and the coordinates with those of the network, and resubmit.")
	}
	rec.complete()
	if err := rec.merge(); err != nil {
		warnings = append(warnings, fmt.Sprintf("The recording could not be kept: %v.", err))
		_ = removeRecording(rec.out)
	}
	if err := os.RemoveAll(rec.folder); err != nil {
		warnings = append(warnings, fmt.Sprintf("The recording's folder could not be removed: %v.", err))
	}
	return warnings
}

// misplaced reports whether frames are empty that only show some places, such as an edge whose id is misspelt.
func (rec *recording) misplaced() bool {
	return rec.part() && !rec.seen && len(rec.index.Segments) > 0
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
	if rec.resumed {
		x.Missing = append(x.Missing, "signals: SUMO does not write their states when it has loaded a state of another time")
	}
	switch {
	case rec.err != nil:
		x.Missing = append(x.Missing, fmt.Sprintf("what comes after %g s: %v", x.End, rec.err))
	case len(x.Segments) == 0:
		x.Missing = append(x.Missing, "vehicles and persons: SUMO wrote no positions in the time that was to be recorded")
	case rec.misplaced():
		x.Missing = append(x.Missing, "vehicles and persons: none was on the edges or in the box of replay")
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
	return errors.Join(os.RemoveAll(filepath.Join(r.Out, simulation.ReplayFolder)), removeRecording(r.Out))
}

// removeRecording removes a finished recording.
func removeRecording(out string) error {
	return removeFiles(filepath.Join(out, simulation.ReplayFile), filepath.Join(out, simulation.ReplaySegmentsFile))
}

// finishReplay ends the recording. It returns what a person should know.
func (r Run) finishReplay(s settings, fcd string) (warnings []string) {
	source, remark := r.replaySource(s)
	if remark != "" {
		warnings = append(warnings, remark)
	}
	return append(warnings, r.recording.finish(source, fcd)...)
}
