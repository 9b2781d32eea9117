package outputs

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/sumo-k8/sumo-k8/pkg/sumo/roadnet"
	"github.com/sumo-k8/sumo-k8/pkg/sumo/xml"
)

// document is a file of so many pieces between two ends, made as it is read.
type document struct {
	head, tail string
	piece      func(i int) string
	pieces     int
	next       int
	rest       string
}

func (d *document) Read(p []byte) (int, error) {
	for d.rest == "" {
		switch {
		case d.next == 0:
			d.rest = d.head
		case d.next <= d.pieces:
			d.rest = d.piece(d.next - 1)
		case d.next == d.pieces+1:
			d.rest = d.tail
		default:
			return 0, io.EOF
		}
		d.next++
	}
	n := copy(p, d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

// BenchmarkReaders reads files of the sizes that a large city writes in a day, made while they are read.
func BenchmarkReaders(b *testing.B) {
	vehicles := func(i int) string {
		var s strings.Builder
		fmt.Fprintf(&s, `<timestep time="%d.00">`, i)
		for v := range 500 {
			fmt.Fprintf(&s, "\n"+`<vehicle id="flow_%d" x="%d.31" y="%d.77" angle="%d.25" type="passenger" speed="13.21" pos="4.10" lane="edge_%d_0" slope="0.00"/>`,
				(i/300)*500+v, i*7%9000, v*13, (i+v)%360, v)
		}
		s.WriteString("</timestep>\n")
		return s.String()
	}
	for name, file := range map[string]struct {
		document
		read func(io.Reader) error
	}{
		"tripinfo 100 MB": {document{head: "<tripinfos>", tail: "</tripinfos>", pieces: 300_000, piece: func(i int) string {
			return fmt.Sprintf(`<tripinfo id="t%d" depart="%d.00" departLane="e_0" departPos="5.10" departSpeed="0.00" departDelay="0.00" arrival="%d.00" arrivalLane="f_0" arrivalPos="80.00" arrivalSpeed="13.00" duration="%d.00" routeLength="%d.15" waitingTime="%d.00" waitingCount="2" stopTime="0.00" timeLoss="%d.55" rerouteNo="0" devices="tripinfo_%d" vType="passenger" speedFactor="1.02"/>`+"\n",
				i, i, i+400, i%3000, 500+i%9000, i%200, i%600, i)
		}}, func(r io.Reader) error { _, err := ReadDistributions(r); return err }},
		"fcd 200 MB": {document{head: "<fcd-export>", tail: "</fcd-export>", pieces: 3000, piece: vehicles},
			func(r io.Reader) error { _, _, err := Record(r, "1", discard); return err }},
		"edgedata, 10,000 edges, 100 intervals": {document{head: "<meandata>", tail: "</meandata>", pieces: 100, piece: func(i int) string {
			var s strings.Builder
			fmt.Fprintf(&s, `<interval begin="%d.00" end="%d.00" id="edgedata">`, i*60, i*60+60)
			for e := range 10_000 {
				fmt.Fprintf(
					&s,
					"\n"+`<edge id="e%d" sampledSeconds="%d.00" traveltime="12.31" overlapTraveltime="12.9" density="5.41" laneDensity="5.41" occupancy="2.14" waitingTime="%d.00" timeLoss="4.12" speed="%d.31" speedRelative="0.80" departed="0" arrived="0" entered="%d" left="3"/>`,
					e, 1+(e+i)%50, e%9, 1+(e+i)%13, i%7,
				)
			}
			s.WriteString("</interval>\n")
			return s.String()
		}}, func(r io.Reader) error { _, err := ReadEdgeData(r); return err }},
		"network of 10,000 edges": {document{head: `<net version="1.9">`, tail: "</net>", pieces: 10_000, piece: func(i int) string {
			return fmt.Sprintf(`<edge id=":n%d" function="internal"><lane id=":n%d_0" index="0" speed="9.26" length="14.34" shape="1.0,2.0 3.1,4.2 5.5,6.1"/></edge>`+
				`<edge id="e%d" from="a" to="b" priority="-1"><lane id="e%d_0" index="0" speed="13.89" length="133.20" shape="%d.80,6.40 4.80,139.60"/><lane id="e%d_1" index="1" speed="13.89" length="133.20" shape="%d.60,6.40 1.60,139.60"/></edge>`+
				`<junction id="j%d" type="priority" x="%d.00" y="150.00" shape="-6.40,160.40 6.40,160.40 6.84,158.18 7.40,157.40 8.18,156.84 9.18,156.51"><request index="0" response="00" foes="00"/></junction>`+"\n", i, i, i, i, i, i, i, i, i)
		}}, func(r io.Reader) error {
			var n roadnet.Reader
			err := xml.Scan(r, n.Element)
			n.Geometry()
			return err
		}},
	} {
		b.Run(name, func(b *testing.B) {
			size, before := int64(0), heap()
			most := before
			for b.Loop() {
				d := file.document
				counted := &counter{r: &d, every: func() { most = max(most, heap()) }}
				if err := file.read(counted); err != nil {
					b.Fatal(err)
				}
				size = counted.n
			}
			b.SetBytes(size)
			b.ReportMetric(float64(most-before)/(1<<20), "MiB")
		})
	}
}

// BenchmarkRecordManyVehicles records 50,000 vehicles at once, for twenty seconds. It reports the most memory that the heap has taken.
func BenchmarkRecordManyVehicles(b *testing.B) {
	step := func(i int) string {
		var s strings.Builder
		fmt.Fprintf(&s, `<timestep time="%d.00">`, i)
		for v := range 50_000 {
			fmt.Fprintf(&s, "\n"+`<vehicle id="flow_%d" x="%d.31" y="%d.77" angle="%d.25" type="passenger" speed="%d.21" lane="edge_%d_0"/>`,
				v, v%9000+i*13, v/9, v%360, (v+i)%20, v%20_000)
		}
		s.WriteString("</timestep>\n")
		return s.String()
	}
	before, most := heap(), uint64(0)
	for b.Loop() {
		d := document{head: "<fcd-export>", tail: "</fcd-export>", pieces: 20, piece: step}
		counted := &counter{r: &d, every: func() {}}
		_, _, err := Record(counted, "1", func([]byte) error { most = max(most, heap()); return nil })
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(counted.n)
	}
	b.ReportMetric(float64(most-before)/(1<<20), "MiB")
}

// counter tells how much was read, and calls every now and then.
type counter struct {
	r     io.Reader
	n     int64
	every func()
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.n>>24 != (c.n+int64(n))>>24 || err != nil {
		c.every()
	}
	c.n += int64(n)
	return n, err
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}
