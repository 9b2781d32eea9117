package status

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sort"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/replay"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
)

func (f *Function) registerVehicles(api huma.API) {
	op := huma.Operation{
		OperationID: "get-vehicles", Path: "/jobs/{id}/vehicles",
		Summary: "Show vehicle positions over time, part by part",
		Description: "For a run with the fcd output or a recording. An answer has about 20,000 positions; repeat with begin set to next " +
			"until next is null. begin and end in the answer are those of the whole recording.",
	}
	describeView[Vehicles](api, &op)
	rest.Register(api, rest.Tenant, op, f.vehicles)
}

// Vehicles are the positions within a part of a run.
type Vehicles struct {
	JobID    string   `json:"job_id" format:"uuid"`
	Complete bool     `json:"complete" doc:"False if the run stopped early."`
	Begin    float64  `json:"begin" doc:"Simulated time of the recording's first frame, in seconds."`
	End      float64  `json:"end" doc:"Simulated time of the recording's last frame, in seconds."`
	Next     *float64 `json:"next" doc:"Where the next part begins; null if this is the last."`
	Frames
}

type vehiclesRequest struct {
	ID          string  `path:"id" doc:"The job_id returned at submission."`
	IfNoneMatch string  `header:"If-None-Match" maxLength:"1000" doc:"ETag of an earlier answer. The call then answers 304, since a finished job's results do not change."`
	Begin       float64 `query:"begin" minimum:"0" doc:"Simulated time to start at, in seconds."`
	End         float64 `query:"end" minimum:"0" doc:"Simulated time to stop at, in seconds; 0 for the recording's end."`
	Step        float64 `query:"step" minimum:"0" maximum:"86400" doc:"Minimum time between two frames, in seconds; 0 for every recorded frame."`
}

// positionsRead bounds what one answer reads when a wide step leaves most of it out, in segments and positions: half a second.
const (
	segmentsRead  = 100
	positionsRead = 600_000
)

// PartPositions is how many positions one answer has, unless a single frame has more.
const PartPositions = 20_000

func (f *Function) vehicles(ctx context.Context, in *vehiclesRequest) (*huma.StreamResponse, error) {
	j, err := f.finished(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if _, has := j.Result(simulation.OutputFCD); !has && j.Options.Replay == nil {
		return nil, noOutput(j, simulation.OutputFCD)
	}
	r, err := f.recording(ctx, j)
	if err != nil {
		return nil, err
	}
	begin, end := in.Begin, in.End
	if end == 0 {
		end = math.Max(begin, r.End)
	}
	if end < begin {
		return nil, problem.New(problem.Invalid, "end (%g) is before begin (%g). The recording goes from %g "+
			"s to %g s.", end, begin, r.Begin, r.End)
	}
	tag := viewTag(j, fmt.Sprintf("vehicles-2/%g/%g/%g", begin, end, in.Step))
	if matches(in.IfNoneMatch, tag) {
		return unchanged(tag, viewAge), nil
	}
	out := newFrames(begin, end, in.Step)
	first := sort.Search(len(r.Segments), func(i int) bool { return r.Segments[i].End >= begin })
	for i, s := range r.Segments[first:] {
		if s.Begin > end || out.next != nil {
			break
		}
		if i == segmentsRead || out.read >= positionsRead {
			out.next = &s.Begin
			break
		}
		data, err := f.segments(ctx, r, s.N, 1)
		if err == nil {
			err = out.add(data)
		}
		if err != nil {
			return nil, err
		}
	}
	body, err := packed(Vehicles{JobID: j.ID, Complete: r.Whole, Begin: r.Begin, End: r.End, Next: out.next, Frames: out.Frames})
	if err != nil {
		return nil, err
	}
	return stored(tag, viewAge, body), nil
}

// Frames are where vehicles were at some times, each with the vehicles of that time.
type Frames struct {
	Times  []float64    `json:"times" doc:"Seconds of simulated time."`
	IDs    []string     `json:"ids" doc:"The vehicles of these frames."`
	Types  []string     `json:"types" doc:"The type of each of ids."`
	Frames [][]Position `json:"frames" doc:"For each time one array for each vehicle: its index in ids, x and y in m in the plane of the network, its angle in degrees clockwise from north, and its speed in m/s."`
}

// Position is the index of a vehicle, x, y, angle and speed.
type Position [5]float64

// frames gathers those of an answer.
type frames struct {
	Frames
	begin, end, step float64
	known            map[string]int // index in IDs
	count, read      int            // positions that are in it, and that were read
	next             *float64       // the first time that has no room
	buf              []replay.Position
}

func newFrames(begin, end, step float64) *frames {
	return &frames{
		Frames: Frames{Times: []float64{}, IDs: []string{}, Types: []string{}, Frames: [][]Position{}},
		begin:  begin, end: end, step: step, known: map[string]int{},
	}
}

// add adds the frames of a segment that lie within begin and end, and at least step behind the last, as long as there is room.
func (a *frames) add(segment []byte) error {
	r, err := replay.Open(segment)
	if err != nil {
		return err
	}
	for {
		ms, positions, err := r.Next(a.buf[:0])
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		a.buf, a.read = positions, a.read+len(positions)
		const slack = 1e-6 // of times, which SUMO counts in milliseconds
		t := float64(ms) / replay.PerSecond
		if t < a.begin-slack || t > a.end+slack || len(a.Times) > 0 && t < a.Times[len(a.Times)-1]+a.step-slack {
			continue
		}
		if len(a.Times) > 0 && a.count+len(positions) > PartPositions {
			a.next = &t
			return nil
		}
		frame := make([]Position, 0, len(positions))
		for _, p := range positions {
			v := r.Header.Vehicles[p.Vehicle]
			if v.Person {
				continue
			}
			n, ok := a.known[v.ID]
			if !ok {
				n = len(a.IDs)
				a.IDs, a.Types = append(a.IDs, v.ID), append(a.Types, v.Type)
				a.known[v.ID] = n
			}
			frame = append(frame, Position{
				float64(n), float64(p.X) / replay.PerMetre, float64(p.Y) / replay.PerMetre, float64(p.Angle), float64(p.Speed) / replay.PerSpeed,
			})
		}
		a.Times, a.Frames.Frames, a.count = append(a.Times, t), append(a.Frames.Frames, frame), a.count+len(frame)
	}
}
