package replay_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/sumo-k8/sumo-k8/pkg/replay"
)

// frame is what a test writes.
type frame struct {
	ms      int64
	samples []replay.Sample
}

// write returns the segments of frames.
func write(t interface{ Fatal(...any) }, frames []frame, each func(w *replay.Writer, i int)) (out []replay.Written) {
	w := replay.NewWriter(func(s replay.Written) error {
		out = append(out, s)
		return nil
	})
	for i, f := range frames {
		if each != nil {
			each(w, i)
		}
		if err := w.Begin(f.ms); err != nil {
			t.Fatal(err)
		}
		for _, s := range f.samples {
			w.Add(s)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out
}

// read is a position with the words of its header.
type read struct {
	Type, Lane         string
	X, Y, Angle, Speed float64
	Waiting            float64
}

// readAll returns where each vehicle is in each frame: by time, and by id with a prefix for persons.
func readAll(t interface{ Fatal(...any) }, segments []replay.Written) map[int64]map[string]read {
	out := map[int64]map[string]read{}
	for _, s := range segments {
		r, err := replay.Open(s.Data)
		if err != nil {
			t.Fatal(err)
		}
		since := map[string]int64{}
		first := map[int]bool{}
		for {
			ms, positions, err := r.Next(nil)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			at := map[string]read{}
			for _, p := range positions {
				v := r.Header.Vehicles[p.Vehicle]
				g := read{
					Type: v.Type, X: float64(p.X) / replay.PerMetre, Y: float64(p.Y) / replay.PerMetre,
					Angle: float64(p.Angle), Speed: float64(p.Speed) / replay.PerSpeed,
				}
				if p.Lane >= 0 {
					g.Lane = r.Header.Lanes[p.Lane]
				}
				name := v.ID
				if v.Person {
					name = "person " + name
				}
				if p.Speed > replay.Standing {
					delete(since, name)
				} else if _, stands := since[name]; !stands {
					since[name] = ms
					if !first[p.Vehicle] {
						since[name] = ms - int64(math.Round(v.Waiting*replay.PerSecond))
					}
				}
				if from, stands := since[name]; stands {
					g.Waiting = float64(ms-from) / replay.PerSecond
				}
				first[p.Vehicle] = true
				if _, twice := at[name]; twice {
					t.Fatal(name, "is in a frame twice")
				}
				at[name] = g
			}
			for name := range since {
				if _, there := at[name]; !there {
					delete(since, name)
				}
			}
			out[ms] = at
		}
	}
	return out
}

// traffic draws vehicles that drive, stop, vanish, come back and jump.
func traffic(t *rapid.T) []frame {
	step := rapid.SampledFrom([]int64{100, 500, 1000, 7000}).Draw(t, "step")
	n := rapid.IntRange(0, 40).Draw(t, "vehicles")
	frames := make([]frame, rapid.IntRange(0, 60).Draw(t, "frames"))
	for i := range frames {
		frames[i].ms = int64(i) * step
	}
	for v := range n {
		s := replay.Sample{
			ID: fmt.Append(nil, rapid.SampledFrom([]string{"v", `<b>"&`, "ü\x01"}).Draw(t, "name"), v), Type: []byte("car"),
			Person: rapid.Bool().Draw(t, "person"),
			X:      rapid.Float64Range(-1e5, 1e5).Draw(t, "x"), Y: rapid.Float64Range(-1e7, 1e7).Draw(t, "y"),
		}
		for i := range frames {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				continue // not here
			case 1:
				s.X += rapid.Float64Range(-5000, 5000).Draw(t, "jump")
			case 2, 3:
				s.Speed = 0
			case 4:
				s.Speed, s.Angle = rapid.Float64Range(0, 60).Draw(t, "speed"), rapid.Float64Range(0, 360).Draw(t, "angle")
				s.Lane = fmt.Appendf(nil, "e_%d", rapid.IntRange(0, 5).Draw(t, "lane"))
			default:
				way := s.Speed * float64(step) / 1000
				s.X += way * math.Sin(s.Angle*math.Pi/180)
				s.Y += way * math.Cos(s.Angle*math.Pi/180)
			}
			frames[i].samples = append(frames[i].samples, s)
		}
	}
	for i := range frames {
		// SUMO's order may change from step to step.
		frames[i].samples = rapid.Permutation(frames[i].samples).Draw(t, "order")
	}
	return frames
}

func TestWhatIsReadBackIsWithinTheQuantumOfWhatWasWritten(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		frames := traffic(t)
		var now int64
		segments := write(t, frames, func(w *replay.Writer, i int) {
			if rapid.IntRange(0, 9).Draw(t, "flush") == 0 {
				if err := w.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			now = frames[i].ms
		})
		check(t, frames, readAll(t, segments))

		// Merged, they are the same.
		x := replay.NewIndex("1", replay.FromRun)
		for _, s := range segments {
			x.Add(s.Segment)
		}
		var merged []replay.Written
		packed, err := replay.Pack(x, func(n int) ([]byte, error) { return segments[n].Data, nil }, func(data []byte) error {
			merged = append(merged, replay.Written{Data: data})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range packed.Segments {
			if s.N != i || s.Bytes != len(merged[i].Data) || (packed.Attempt == "1") != (len(merged) == len(segments)) {
				t.Fatalf("%s: %+v", packed.Attempt, packed.Segments)
			}
		}
		if diff := cmp.Diff(readAll(t, segments), readAll(t, merged)); diff != "" {
			t.Error(diff)
		}
		if least := int(now/60_000) + 1; len(frames) > 0 && len(merged) > 2*least {
			t.Errorf("%d segments for %d ms", len(merged), now)
		}
	})
}

// check holds what was read against what was written.
func check(t *rapid.T, frames []frame, got map[int64]map[string]read) {
	if len(got) != len(frames) {
		t.Fatalf("%d frames, want %d", len(got), len(frames))
	}
	since, lanes := map[string]int64{}, map[string]string{}
	for _, f := range frames {
		at := got[f.ms]
		if len(at) != len(f.samples) {
			t.Fatalf("at %d ms: %d vehicles, want %d", f.ms, len(at), len(f.samples))
		}
		here := map[string]bool{}
		for _, s := range f.samples {
			name := string(s.ID)
			if s.Person {
				name = "person " + name
			}
			here[name] = true
			g, there := at[name]
			turned := math.Abs(math.Remainder(g.Angle-s.Angle, 360))
			const half = 0.05 + 1e-6
			if !there || math.Abs(g.X-s.X) > half || math.Abs(g.Y-s.Y) > half || math.Abs(g.Speed-s.Speed) > half || turned > 0.5+1e-9 {
				t.Fatalf("at %d ms %s is %+v, want %+v", f.ms, name, g, s)
			}
			if len(s.Lane) > 0 {
				lanes[name] = string(s.Lane)
			}
			if string(s.Type) != g.Type || len(s.Lane) > 0 && lanes[name] != g.Lane {
				t.Fatalf("at %d ms %s is %+v, want %+v", f.ms, name, g, s)
			}
			if math.Round(s.Speed*replay.PerSpeed) > replay.Standing {
				delete(since, name)
				continue
			}
			if _, stands := since[name]; !stands {
				since[name] = f.ms
			}
			if want := float64(f.ms-since[name]) / 1000; g.Waiting != want {
				t.Fatalf("at %d ms %s has been standing for %v s, want %v", f.ms, name, g.Waiting, want)
			}
		}
		for name := range since {
			if !here[name] {
				delete(since, name)
			}
		}
	}
}

func TestSignalsAreTheSameHoweverARecordingIsCut(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		frames := make([]frame, rapid.IntRange(1, 100).Draw(t, "frames"))
		states := make([][]string, len(frames))
		for i := range frames {
			frames[i].ms = int64(i) * 1000
			states[i] = rapid.SliceOfN(rapid.SampledFrom([]string{"GGrr", "yyrr", "rrGG"}), 2, 2).Draw(t, "states")
		}
		segments := write(t, frames, func(w *replay.Writer, i int) {
			if rapid.IntRange(0, 4).Draw(t, "flush") == 0 {
				if err := w.Flush(); err != nil {
					t.Fatal(err)
				}
			}
			for s, state := range states[i] {
				w.Signal(frames[i].ms, fmt.Sprint("J", s), state)
			}
		})
		got := map[int64][]string{}
		for _, s := range segments {
			r, err := replay.Open(s.Data)
			if err != nil {
				t.Fatal(err)
			}
			now, changes := slices.Clone(r.Header.Signals.States), r.Header.Signals.Changes
			for _, ms := range r.Header.Times {
				for len(changes) > 0 && changes[0].Time <= ms {
					now[changes[0].Signal] = changes[0].State
					changes = changes[1:]
				}
				got[ms] = slices.Clone(now)
			}
		}
		for i, f := range frames {
			if diff := cmp.Diff(states[i], got[f.ms]); diff != "" {
				t.Fatalf("at %d ms: %s", f.ms, diff)
			}
		}
	})
}

func TestASegmentEndsAfterAMinuteOrManyPositions(t *testing.T) {
	t.Parallel()
	frames := make([]frame, 130)
	for i := range frames {
		frames[i].ms = int64(i) * 1000
	}
	var spans [][2]float64
	for _, s := range write(t, frames, nil) {
		spans = append(spans, [2]float64{s.Begin, s.End})
	}
	if diff := cmp.Diff([][2]float64{{0, 59}, {60, 119}, {120, 129}}, spans); diff != "" {
		t.Error(diff)
	}

	crowd := make([]replay.Sample, 100_000)
	for i := range crowd {
		crowd[i] = replay.Sample{ID: fmt.Append(nil, i), Type: []byte("car"), X: float64(i)}
	}
	for i := range frames {
		frames[i].samples = crowd
	}
	var counts []int
	for _, s := range write(t, frames[:7], nil) {
		counts = append(counts, s.Frames)
	}
	if diff := cmp.Diff([]int{3, 3, 1}, counts); diff != "" {
		t.Error(diff)
	}
}

func TestTheSignalsOfACityAreRecorded(t *testing.T) {
	t.Parallel()
	const lights = 25_000
	frames := make([]frame, 61)
	for i := range frames {
		frames[i].ms = int64(i) * 1000
	}
	states := []string{"GGggrrrrGGggrrrr", "yyyyrrrryyyyrrrr", "rrrrGGggrrrrGGgg", "rrrryyyyrrrryyyy"}
	var w *replay.Writer
	changes := 0
	for _, s := range write(t, frames, func(to *replay.Writer, i int) {
		w = to
		for light := range lights {
			if i == 0 || (i+light)%20 == 0 {
				w.Signal(frames[i].ms, fmt.Sprintf("junction%d", light), states[(i+light)/20%len(states)])
			}
		}
	}) {
		r, err := replay.Open(s.Data)
		if err != nil {
			t.Fatal(err)
		}
		changes += len(r.Header.Signals.Changes)
		if n := len(r.Header.Signals.IDs); n != lights {
			t.Errorf("a segment has %d signals", n)
		}
	}
	if missing := w.Missing(); len(missing) > 0 {
		t.Errorf("missing %q", missing)
	}
	if changes < 2*lights {
		t.Errorf("%d changes", changes)
	}
}

func TestVehiclesWhoseNamesExceedTheHeaderAreCounted(t *testing.T) {
	t.Parallel()
	long := make([]byte, 10_000)
	for i := range long {
		long[i] = 1 // six bytes as JSON
	}
	frames := make([]frame, 3)
	for i := range frames {
		frames[i].ms = int64(i) * 1000
		for v := range 1000 {
			frames[i].samples = append(frames[i].samples, replay.Sample{ID: fmt.Append(slices.Clone(long), v)})
		}
	}
	var missing []string
	var w *replay.Writer
	segments := write(t, frames, func(v *replay.Writer, _ int) { w = v })
	missing = w.Missing()
	if len(missing) != 1 {
		t.Errorf("missing: %q", missing)
	}
	for _, at := range readAll(t, segments) {
		if len(at) < 100 || len(at) >= 1000 {
			t.Errorf("%d vehicles", len(at))
		}
	}
}

func TestPositionsOfNowhereAreLeftOut(t *testing.T) {
	t.Parallel()
	segments := write(t, []frame{{0, []replay.Sample{
		{ID: []byte("a"), X: -1073741824, Y: -1073741824}, {ID: []byte("b"), X: math.NaN()}, {ID: []byte("c"), X: math.Inf(1)}, {ID: []byte("d")},
	}}}, nil)
	if got := readAll(t, segments)[0]; len(got) != 1 {
		t.Errorf("%v", got)
	}
}

func TestFramesMustAscend(t *testing.T) {
	t.Parallel()
	w := replay.NewWriter(func(replay.Written) error { return nil })
	if err := w.Begin(1000); err != nil {
		t.Fatal(err)
	}
	if err := w.Begin(1000); err == nil {
		t.Error("no error")
	}
}

// TestTypesTakeABoundedPartOfAnIndex has a type for each vehicle, with a name as long as an attribute may be. All of them would be in the
// index, whichever segments have their vehicles.
func TestTypesTakeABoundedPartOfAnIndex(t *testing.T) {
	t.Parallel()
	w := replay.NewWriter(func(replay.Written) error { return nil })
	long := make([]byte, 1<<20)
	for i := range long {
		long[i] = 'x'
	}
	for i := range 20 {
		long[0] = byte('a' + i)
		if err := w.Begin(int64(i) * 60 * replay.PerSecond); err != nil {
			t.Fatal(err)
		}
		w.Add(replay.Sample{ID: fmt.Append(nil, i), Type: long})
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, name := range w.Types() {
		size += len(name)
	}
	if size == 0 || size > 2<<20 {
		t.Errorf("%d types take %d bytes", len(w.Types()), size)
	}
}
