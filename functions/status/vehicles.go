package status

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"sort"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sumo-k8/sumo-k8/pkg/artifact"
	"github.com/sumo-k8/sumo-k8/pkg/job"
	"github.com/sumo-k8/sumo-k8/pkg/problem"
	"github.com/sumo-k8/sumo-k8/pkg/rest"
	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/outputs"
	"github.com/sumo-k8/sumo-k8/pkg/view"
)

func (f *Function) registerVehicles(api huma.API) {
	op := huma.Operation{
		OperationID: "get-vehicles", Path: "/jobs/{id}/vehicles",
		Summary: "Show vehicle positions over time, part by part",
		Description: "For a run with the fcd output. An answer has about 20,000 positions; repeat with begin set to next until next is null. " +
			"begin and end in the answer are those of the whole recording.",
	}
	describeView[Vehicles](api, &op)
	rest.Register(api, rest.Tenant, op, f.vehicles)
}

// framesView is kept as an index beside the parts that it points into.
var framesView = viewKind[outputs.FramesIndex]{"frames-1.json.gz", (*Function).makeFrames}

const framesParts = "frames-1.parts"

// Vehicles are the positions within a part of a run.
type Vehicles struct {
	JobID    string   `json:"job_id" format:"uuid"`
	Complete bool     `json:"complete" doc:"False if the run stopped early."`
	Begin    float64  `json:"begin" doc:"Simulated time of the recording's first frame, in seconds."`
	End      float64  `json:"end" doc:"Simulated time of the recording's last frame, in seconds."`
	Next     *float64 `json:"next" doc:"Where the next part begins; null if this is the last."`
	outputs.Frames
}

type vehiclesRequest struct {
	ID          string  `path:"id" doc:"The job_id returned at submission."`
	IfNoneMatch string  `header:"If-None-Match" maxLength:"1000" doc:"ETag of an earlier answer. The call then answers 304, since a finished job's results do not change."`
	Begin       float64 `query:"begin" minimum:"0" doc:"Simulated time to start at, in seconds."`
	End         float64 `query:"end" minimum:"0" doc:"Simulated time to stop at, in seconds; 0 for the recording's end."`
	Step        float64 `query:"step" minimum:"0" maximum:"86400" doc:"Minimum time between two frames, in seconds; 0 for every recorded frame."`
}

// partsRead bounds what one answer reads when a wide step leaves most of it out: 400,000 positions, in half a second.
const partsRead = 20

func (f *Function) vehicles(ctx context.Context, in *vehiclesRequest) (*huma.StreamResponse, error) {
	j, err := f.finished(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	index, err := framesView.load(ctx, f, j)
	if err != nil {
		return nil, err
	}
	begin, end := in.Begin, in.End
	if end == 0 {
		end = math.Max(begin, index.End)
	}
	if end < begin {
		return nil, problem.New(problem.Invalid, "end (%g) is before begin (%g). The recording goes from %g "+
			"s to %g s.", end, begin, index.Begin, index.End)
	}
	tag := viewTag(j, fmt.Sprintf("%s/%g/%g/%g", framesView.name, begin, end, in.Step))
	if matches(in.IfNoneMatch, tag) {
		return unchanged(tag, viewAge), nil
	}
	out := Vehicles{
		JobID: j.ID, Complete: index.Complete, Begin: index.Begin, End: index.End,
		Frames: outputs.Frames{Times: []float64{}, IDs: []string{}, Types: []string{}, Frames: [][]outputs.Position{}},
	}
	first := sort.Search(len(index.Parts), func(i int) bool { return index.Parts[i].End >= begin })
	for i, part := range index.Parts[first:] {
		if part.Begin > end {
			break
		}
		if i == partsRead || out.Full() {
			out.Next = &part.Begin
			break
		}
		frames, err := f.part(ctx, j, part)
		if err != nil {
			return nil, err
		}
		if next, full := out.Add(frames, begin, end, in.Step); full {
			out.Next = &next
			break
		}
	}
	body, err := packed(out)
	if err != nil {
		return nil, err
	}
	return stored(tag, viewAge, "application/json", body), nil
}

// part reads one part of the recording.
func (f *Function) part(ctx context.Context, j job.Job, p outputs.Part) (frames outputs.Frames, err error) {
	body, err := f.Objects.Open(ctx, artifact.ViewOf(j.ResultsKey, framesParts), p.Offset, p.Size)
	if err != nil {
		return frames, err
	}
	defer body.Close()
	plain, err := gzip.NewReader(bufio.NewReader(body))
	if err == nil {
		err = json.NewDecoder(plain).Decode(&frames)
	}
	if err != nil {
		return frames, fmt.Errorf("reading positions: %w", err)
	}
	return frames, nil
}

// makeFrames stores the parts first, so that an index never points at what is not there.
func (f *Function) makeFrames(ctx context.Context, j job.Job) (index outputs.FramesIndex, err error) {
	fcd, err := f.output(ctx, j, simulation.OutputFCD)
	if err != nil {
		return index, err
	}
	defer fcd.Close()
	err = view.Store(ctx, f.Objects, artifact.ViewOf(j.ResultsKey, framesParts), view.Gzip, func(w io.Writer) error {
		index, err = outputs.SplitFrames(fcd, w)
		return err
	})
	index.Complete = index.Complete && whole(j)
	return index, err
}
