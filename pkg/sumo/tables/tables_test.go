package tables_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sumo-k8/sumo-k8/pkg/simulation"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/outputs"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/tables"
	"github.com/sumo-k8/sumo-k8/pkg/table"
)

// convert makes a table of files, named a, b and so on.
func convert(t testing.TB, name simulation.Table, files ...string) (*table.File, error) {
	t.Helper()
	var sources []tables.Source
	for i, content := range files {
		sources = append(sources, tables.Source{Name: string(rune('a' + i)), Open: func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(content)), nil
		}})
	}
	var out bytes.Buffer
	err := tables.Make(name, sources, 0, func(write func(io.Writer) error) error {
		out.Reset()
		return write(&out)
	})
	if err != nil {
		return nil, err
	}
	return table.Open(bytes.NewReader(out.Bytes()), int64(out.Len()))
}

func asCSV(t testing.TB, f *table.File) string {
	t.Helper()
	var out strings.Builder
	if err := f.Render(&out, table.CSV, f.All()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func typesOf(f *table.File) (types []table.Type) {
	for _, c := range f.Schema.Columns {
		types = append(types, c.Type)
	}
	return types
}

func TestEachOutputBecomesRows(t *testing.T) {
	t.Parallel()
	const numbers, text, whole, logical = table.Float64, table.String, table.Int64, table.Boolean
	for name, test := range map[string]struct {
		table simulation.Table
		files []string
		want  string
		types []table.Type
	}{
		"steps of a summary": {
			"summary", []string{`<summary><step time="0.00" running="1"/><step time="1.00" running="2"/></summary>`},
			"time,running\n0,1\n1,2\n", []table.Type{numbers, whole},
		},
		"trips, with what their devices say": {
			"tripinfo", []string{`<tripinfos><tripinfo id="a" depart="1.5"><emissions CO2_abs="3"/><param key="k" value="v"/></tripinfo>
				<personinfo id="p" depart="2"><walk depart="2" arrival="5"/></personinfo><tripinfo id="b" depart="00:01:40"/></tripinfos>`},
			"id,depart,emissions_CO2_abs,param_k\na,1.5,3,v\nb,100,,\n", []table.Type{text, numbers, numbers, text},
		},
		"a row for each stage of a plan": {
			"personinfo", []string{`<tripinfos><tripinfo id="a" depart="1.5"/><personinfo id="p" depart="2"><walk depart="2" arrival="5"/>
				<ride depart="6" vehicle="bus"/></personinfo><personinfo id="q" depart="9"/><containerinfo id="c" depart="1"><transport depart="3"/>
				</containerinfo></tripinfos>`},
			"kind,id,depart,stage,stage_number,stage_depart,stage_arrival,stage_vehicle\npersoninfo,p,2,walk,0,2,5,\n" +
				"personinfo,p,2,ride,1,6,,bus\npersoninfo,q,9,,,,,\ncontainerinfo,c,1,transport,0,3,,\n",
			[]table.Type{text, text, numbers, text, whole, numbers, numbers, text},
		},
		"edges, and lanes where they have values": {
			"edgedata", []string{`<meandata><interval begin="0.00" end="60.00" id="i"><edge id="e" entered="4" speed="6.25"/>
				<edge id="f"><lane id="f_0" speed="1"/><lane id="f_1" speed="2"/></edge></interval></meandata>`},
			"begin,end,interval_id,id,entered,speed,lane\n0,60,i,e,4,6.25,\n0,60,i,f,,1,f_0\n0,60,i,f,,2,f_1\n",
			[]table.Type{numbers, numbers, text, text, whole, numbers, text},
		},
		"positions of vehicles and persons": {
			"fcd", []string{`<fcd-export><timestep time="0.00"/><timestep time="1.00"><vehicle id="1" x="-0.00"/><person id="p" x="2" edge="e"/>
				</timestep></fcd-export>`},
			"time,kind,id,x,edge\n1,vehicle,1,-0,\n1,person,p,2,e\n", []table.Type{numbers, text, text, numbers, text},
		},
		"queues": {
			"queue", []string{`<queue-export><data timestep="3.00"><lanes><lane id="l" queueing_time="2.5"/></lanes></data></queue-export>`},
			"timestep,id,queueing_time\n3,l,2.5\n", []table.Type{numbers, text, numbers},
		},
		"lane changes with and without neighbours": {
			"lanechange", []string{`<lanechanges><change id="v" time="1" leaderGap="None"/><change id="v" time="2" leaderGap="7.5"/></lanechanges>`},
			"id,time,leaderGap\nv,1,\nv,2,7.5\n", []table.Type{text, numbers, numbers},
		},
		"stops": {
			"stops", []string{`<stops><stopinfo id="b" parking="0" started="1"/></stops>`},
			"id,parking,started\nb,false,1\n", []table.Type{text, logical, numbers},
		},
		"detectors of several files": {
			"detectors", []string{
				`<detector><interval begin="0" end="60" id="l" flow="3"/></detector>`, `<detector><interval begin="0" end="60" id="m" meanSpeed="-1"/></detector>`,
			},
			"file,begin,end,id,flow,meanSpeed\na,0,60,l,3,\nb,0,60,m,,-1\n", []table.Type{text, numbers, numbers, text, numbers, numbers},
		},
		"values that do not fit": {
			"fcd", []string{`<fcd-export><timestep time="1"><vehicle id="a" speed="fast" signals="1.5" new="7" newer="x" newest=""/>
				<vehicle id="b" speed="3" signals="" new="nan" newer="1" newest=""/></timestep></fcd-export>`},
			"time,kind,id,speed,signals,new,newer,newest\n1,vehicle,a,fast,1.5,7,x,\n1,vehicle,b,3,,NaN,1,\n",
			[]table.Type{numbers, text, text, text, numbers, numbers, text, text},
		},
		"a file that is cut off": {
			"summary", []string{`<summary><step time="0.00"/><step time="1.00"/><step ti`}, "time\n0\n1\n", []table.Type{numbers},
		},
	} {
		file, err := convert(t, test.table, test.files...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(test.want, asCSV(t, file)); diff != "" || !slices.Equal(typesOf(file), test.types) {
			t.Errorf("%s: types %v (-want +got):\n%s", name, typesOf(file), diff)
		}
		if complete := !strings.Contains(name, "cut off"); file.Schema.Complete != complete {
			t.Errorf("%s: complete is %t", name, file.Schema.Complete)
		}
	}
}

func TestTheEndOfAnOutputMayHaveMoreThanItsBeginning(t *testing.T) {
	t.Parallel()
	long := strings.Repeat(`<timestep time="1"><vehicle id="a" x="1.00" signals="3" extra="4"/></timestep>`+"\n", 100_000) // 7 MB
	for last, want := range map[string]string{
		`<person id="p" x="2" edge="e"/>`:           "2,person,p,2,,,e",
		`<vehicle id="b" signals="1.5"/>`:           "2,vehicle,b,,1.5,",
		`<vehicle id="b" x="somewhere"/>`:           "2,vehicle,b,somewhere,,",
		`<vehicle id="b" x="1" extra="no number"/>`: "2,vehicle,b,1,,no number",
	} {
		file, err := convert(t, "fcd", "<fcd-export>"+long+`<timestep time="2">`+last+"</timestep></fcd-export>")
		if err != nil {
			t.Fatal(err)
		}
		text := strings.TrimSpace(asCSV(t, file))
		if got := text[strings.LastIndexByte(text, '\n')+1:]; got != want || file.Rows != 100_001 {
			t.Errorf("%s: the last of %d rows is %q, want %q", last, file.Rows, got, want)
		}
	}
}

func TestAnOutputWithoutRowsHasItsColumns(t *testing.T) {
	t.Parallel()
	roots := map[simulation.Table]string{
		"summary": "summary", "tripinfo": "tripinfos", "personinfo": "tripinfos", "edgedata": "meandata", "fcd": "fcd-export",
		"emission": "emission-export", "queue": "queue-export", "lanechange": "lanechanges", "stops": "stops", "detectors": "detector",
	}
	for _, name := range simulation.Tables() {
		root := roots[name]
		file, err := convert(t, name, "<"+root+"></"+root+">")
		if err != nil {
			t.Fatal(err)
		}
		want := tables.Documented(name)
		want.Complete = true
		if diff := cmp.Diff(want, file.Schema); diff != "" || file.Rows != 0 || want.Index(want.TimeColumn) < 0 || !tables.From(name, root) {
			t.Errorf("%s has %d rows (-want +got):\n%s", name, file.Rows, diff)
		}
	}
}

func TestWhatIsNoSuchOutputIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := convert(t, "fcd", `<tripinfos/>`); !errors.Is(err, tables.ErrOther) {
		t.Errorf("another output: %v", err)
	}
	var many strings.Builder
	for i := range 300 {
		fmt.Fprintf(&many, `<step time="1" a%d="1"/>`, i)
	}
	if _, err := convert(t, "summary", "<summary>"+many.String()+"</summary>"); !errors.Is(err, tables.ErrManyColumns) {
		t.Errorf("invented attributes: %v", err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	steps := bufio.NewWriter(z)
	_, _ = steps.WriteString("<summary>") // Flush returns the first error
	random := rand.New(rand.NewPCG(1, 2)) // numbers that shrink no more than those of a simulation
	for range 500_000 {
		fmt.Fprintf(steps, `<step time="%d"/>`, random.IntN(100))
	}
	_, _ = steps.WriteString("</summary>")
	if err := steps.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	source := tables.Source{Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil }}
	err := tables.Make("summary", []tables.Source{source}, 7_000_000, func(write func(io.Writer) error) error { return write(io.Discard) })
	if !errors.Is(err, outputs.ErrTooLarge) {
		t.Errorf("8 MB of XML: %v", err)
	}
	failing := errors.New("the store is unreachable")
	source.Open = func() (io.ReadCloser, error) { return nil, failing }
	err = tables.Make("summary", []tables.Source{source}, 0, func(write func(io.Writer) error) error { return write(io.Discard) })
	if !errors.Is(err, failing) {
		t.Errorf("an unreadable file: %v", err)
	}
}

func TestDocumentedColumnsAreSound(t *testing.T) {
	t.Parallel()
	types := []table.Type{table.Float64, table.Int64, table.String, table.Boolean}
	for _, name := range simulation.Tables() {
		seen := map[string]bool{}
		for _, c := range tables.Documented(name).Columns {
			if seen[c.Name] || c.Description == "" || !slices.Contains(types, c.Type) {
				t.Errorf("%s has %+v", name, c)
			}
			seen[c.Name] = true
		}
		if len(seen) == 0 {
			t.Errorf("%s has no columns", name)
		}
	}
}
